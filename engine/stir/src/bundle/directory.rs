//! The keys of numbers elsewhere, fetched by prefix and kept: the calling side's directory of one Call Placement
//! Service. It says what is to be fetched and is given what came; it fetches nothing itself.

use core::fmt;
use std::collections::HashMap;
use std::sync::Arc;

use herald_core::{TelephoneNumber, Timestamp};

use super::arrival::{Arrival, Judge};
use super::table::{BundleTable, TableBounds};
use super::verify::VerifiedBundle;
use super::{Area, Listing};
use crate::certificate::{CertificateSource, TrustStore};
use crate::limits::{
    KEY_AREA_FREE_SIGNS, KEY_AREA_STEP_SIGNS, KEY_AREAS_MAX, KEY_FRESH_MAX_S, KEY_FRESH_MIN_S,
    KEY_PREFIX_SIGNS_MIN, KEY_RETRY_S, RECIPIENT_KEYS_MAX,
};
use crate::seal::{SealingPublicKey, Suite};

/// How much a directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryBounds {
    /// Areas it knows or has asked for.
    pub areas_max: usize,
    /// Bundles.
    pub table: TableBounds,
}

impl Default for DirectoryBounds {
    fn default() -> Self {
        Self { areas_max: KEY_AREAS_MAX, table: TableBounds::default() }
    }
}

/// What a directory knows of a number or code.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// These bundles, about the fewest numbers first.
    Found(Vec<Arc<VerifiedBundle>>),
    /// There is none.
    Absent,
    /// Nothing yet: the caller fetches this area and hands in what came.
    Ask(Area),
    /// Nothing yet; somebody was told to ask.
    Pending,
    /// Nothing: the server could not be asked a moment ago.
    Failed,
}

/// The bundles of one Call Placement Service, whose suite they have, as far as they were wanted.
///
/// A number is asked for by its prefix, so that one request serves 10,000 numbers and tells nobody which is called;
/// where a server has too many bundles under a prefix, by a longer one. While an area is being asked for, no second
/// request is made for it. That there are no keys is believed for a while too. What is used is asked for again before
/// it expires ([`due`](Self::due)).
///
/// Times are those of the wall clock.
pub struct KeyDirectory {
    judge: Arc<Judge>,
    bounds: DirectoryBounds,
    table: BundleTable,
    areas: HashMap<Area, Known>,
}

#[derive(Clone, Debug)]
struct Known {
    state: State,
    /// Until when `state` holds, in seconds.
    until_s: u64,
    /// When it was last looked up, in seconds.
    used_s: u64,
    /// Whether it was looked up since it was fetched.
    is_used: bool,
    is_kept: bool,
    etag: Option<String>,
    /// The tag of the answer that was taken in since it was last asked for.
    taken_in: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Asked for; `has_answer` if an earlier answer stands.
    Asked { has_answer: bool },
    /// The server could not be asked; `has_answer` if an earlier answer stands.
    Failed { has_answer: bool },
    /// The table holds what there is.
    Fetched,
    /// The server has more than one answer holds: longer prefixes are asked.
    Split,
}

impl KeyDirectory {
    /// An empty directory of a service of `suite`; bundles must be signed under `trust`.
    pub fn new(trust: TrustStore, suite: Suite, bounds: DirectoryBounds) -> Self {
        let judge = Arc::new(Judge { trust, suite });
        Self { judge, bounds, table: BundleTable::new(bounds.table), areas: HashMap::new() }
    }

    /// What is known of a number.
    pub fn lookup(&mut self, number: TelephoneNumber, now: Timestamp) -> Lookup {
        let area = self.area_of(number);
        self.look(area, now, |table| table.for_number(number, now))
    }

    /// What is known of a service provider code.
    pub fn lookup_code(&mut self, code: &str, now: Timestamp) -> Lookup {
        self.look(Area::Code(code.to_owned()), now, |table| table.for_code(code, now))
    }

    /// Keeps an area fetched from now on whether it is looked up or not: [`due`](Self::due) names it.
    pub fn keep(&mut self, area: Area, now: Timestamp) {
        let until_s = seconds(now);
        let new = Known {
            state: State::Failed { has_answer: false },
            until_s,
            used_s: until_s,
            is_used: true,
            is_kept: true,
            etag: None,
            taken_in: None,
        };
        self.make_room();
        self.areas.entry(area).or_insert(new).is_kept = true;
    }

    /// An area that is to be fetched again by now, because it is kept or was used; repeat until `None`. Forgets what
    /// is over. O(areas).
    pub fn due(&mut self, now: Timestamp) -> Option<Area> {
        let now_s = seconds(now);
        self.table.expire(now);
        self.areas.retain(|_, known| known.until_s > now_s || known.is_used || known.is_kept);
        let is_due = |known: &Known| known.until_s <= now_s && known.state != State::Split;
        let (area, known) = self.areas.iter_mut().find(|(_, known)| is_due(known))?;
        known.ask(now_s);
        Some(area.clone())
    }

    /// The `ETag` to send as `If-None-Match` when asking for an area.
    pub fn etag(&self, area: &Area) -> Option<&str> {
        self.areas.get(area)?.etag.as_deref()
    }

    /// Takes in what the server answered for an area with status 200, and for how long it says that is fresh. Bundles
    /// that are not to be believed are left out; gives how many. `chains` has the chains of bundles with `x5u`.
    pub fn answer(
        &mut self,
        area: &Area,
        listing: &Listing,
        etag: Option<String>,
        fresh_s: Option<u64>,
        chains: &dyn CertificateSource,
        now: Timestamp,
    ) -> usize {
        let mut arrival = Arrival::read(listing, now);
        self.leave_out_known(&mut arrival, now);
        arrival.verify(&self.judge, chains, now);
        self.take_in(area, arrival, etag, fresh_s, now)
    }

    /// What bundles are held against.
    pub(super) fn judge(&self) -> Arc<Judge> {
        self.judge.clone()
    }

    /// Whether an answer is waited for that was not taken in yet: several calls that wait for one are each given it.
    pub(super) fn wants(&self, area: &Area, tag: u64) -> bool {
        self.areas.get(area).is_some_and(|known| known.taken_in != Some(tag))
    }

    /// Remembers that the answer with this tag was taken in, until the area is asked for again.
    pub(super) fn remember(&mut self, area: &Area, tag: u64) {
        if let Some(known) = self.areas.get_mut(area) {
            known.taken_in = Some(tag);
        }
    }

    /// The second step of an answer: what need not be verified.
    pub(super) fn leave_out_known(&self, arrival: &mut Arrival, now: Timestamp) {
        arrival.leave_out_known(&self.table, now);
    }

    /// The last step of an answer, once it was verified. Gives how many bundles are not to be believed or not taken.
    pub(super) fn take_in(
        &mut self,
        area: &Area,
        arrival: Arrival,
        etag: Option<String>,
        fresh_s: Option<u64>,
        now: Timestamp,
    ) -> usize {
        self.table.expire(now);
        let believed = arrival.believed.into_iter();
        // An older one says nothing new, and a full table keeps what it has.
        let left_out_count = believed.filter_map(|bundle| self.table.insert(bundle).err()).count();
        let can_split = !matches!(area, Area::Number(_) | Area::Code(_));
        let state = if arrival.is_truncated && can_split { State::Split } else { State::Fetched };
        let fresh_s = fresh_s.unwrap_or(KEY_FRESH_MAX_S).min(arrival.least_left_s);
        self.settle(area, state, fresh_s, Some(etag), now);
        arrival.refused_count + left_out_count
    }

    /// The server answered 304: what is known of the area holds on.
    pub fn unchanged(&mut self, area: &Area, fresh_s: Option<u64>, now: Timestamp) {
        self.settle(area, State::Fetched, fresh_s.unwrap_or(KEY_FRESH_MAX_S), None, now);
    }

    /// The server could not be asked, or its answer is none.
    pub fn failed(&mut self, area: &Area, now: Timestamp) {
        let has_answer = self.areas.get(area).is_some_and(|known| known.has_answer());
        self.settle(area, State::Failed { has_answer }, KEY_RETRY_S, None, now);
    }

    fn look(
        &mut self,
        area: Area,
        now: Timestamp,
        find: impl Fn(&BundleTable) -> Vec<Arc<VerifiedBundle>>,
    ) -> Lookup {
        let now_s = seconds(now);
        let Some(known) = self.areas.get_mut(&area) else {
            self.make_room();
            self.areas.insert(area.clone(), Known::asked(now_s));
            return Lookup::Ask(area);
        };
        (known.used_s, known.is_used) = (now_s, true);
        let is_over = known.until_s <= now_s;
        let found = if known.has_answer() { find(&self.table) } else { Vec::new() };
        match known.state {
            _ if !found.is_empty() => Lookup::Found(found),
            _ if is_over => {
                known.ask(now_s);
                Lookup::Ask(area)
            }
            _ if known.has_answer() => Lookup::Absent,
            State::Asked { .. } => Lookup::Pending,
            _ => Lookup::Failed,
        }
    }

    /// The area that answers for a number: a prefix that is kept, or else the one it is asked for by; one that the server
    /// does not find too large.
    pub(super) fn area_of(&self, number: TelephoneNumber) -> Area {
        let signs: Vec<u8> = number.signs().collect();
        let prefix = |count: usize| TelephoneNumber::from_signs(&signs[..count]).map(Area::Prefix);
        let shortest = signs.len().saturating_sub(KEY_AREA_FREE_SIGNS).max(KEY_PREFIX_SIGNS_MIN);
        let counts = (shortest..signs.len()).step_by(KEY_AREA_STEP_SIGNS);
        let is_split = |area: &Area| self.areas.get(area).is_some_and(|known| known.state == State::Split);
        let is_kept = |area: &Area| self.areas.get(area).is_some_and(|known| known.is_kept);
        // A shorter prefix that is kept anyway tells even less.
        let kept = (KEY_PREFIX_SIGNS_MIN..shortest.min(signs.len())).filter_map(prefix).filter(is_kept);
        let areas = kept.chain(counts.filter_map(prefix));
        areas.into_iter().find(|area| !is_split(area)).unwrap_or(Area::Number(number))
    }

    fn settle(
        &mut self,
        area: &Area,
        state: State,
        fresh_s: u64,
        etag: Option<Option<String>>,
        now: Timestamp,
    ) {
        let Some(known) = self.areas.get_mut(area) else { return };
        known.state = state;
        known.is_used = false;
        let least_s = if matches!(state, State::Failed { .. }) { KEY_RETRY_S } else { KEY_FRESH_MIN_S };
        known.until_s = seconds(now) + fresh_s.clamp(least_s, KEY_FRESH_MAX_S);
        if let Some(etag) = etag {
            known.etag = etag;
        }
    }

    /// Forgets the area that was not used for longest if there are as many as may be.
    fn make_room(&mut self) {
        if self.areas.len() < self.bounds.areas_max {
            return;
        }
        let oldest = self.areas.iter().min_by_key(|(_, known)| (known.is_kept, known.used_s));
        if let Some(area) = oldest.map(|(area, _)| area.clone()) {
            self.areas.remove(&area);
        }
    }
}

impl Known {
    const fn asked(now_s: u64) -> Self {
        let state = State::Asked { has_answer: false };
        let until_s = now_s + KEY_RETRY_S;
        Self { state, until_s, used_s: now_s, is_used: true, is_kept: false, etag: None, taken_in: None }
    }

    const fn ask(&mut self, now_s: u64) {
        self.state = State::Asked { has_answer: self.has_answer() };
        self.until_s = now_s + KEY_RETRY_S;
        self.taken_in = None;
    }

    const fn has_answer(&self) -> bool {
        match self.state {
            State::Asked { has_answer } | State::Failed { has_answer } => has_answer,
            State::Fetched | State::Split => true,
        }
    }
}

impl fmt::Debug for KeyDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyDirectory({} areas, {} bundles)", self.areas.len(), self.table.len())
    }
}

/// The different keys of `bundles` in their order: a PASSporT is sealed once for each (RFC 8816 §8.1 step 4). At
/// most [`RECIPIENT_KEYS_MAX`].
pub fn keys_of(bundles: &[Arc<VerifiedBundle>]) -> Vec<SealingPublicKey> {
    let mut keys: Vec<SealingPublicKey> = Vec::new();
    for key in bundles.iter().flat_map(|bundle| &bundle.bundle().keys) {
        if !keys.contains(key) && keys.len() < RECIPIENT_KEYS_MAX {
            keys.push(key.clone());
        }
    }
    keys
}

fn seconds(now: Timestamp) -> u64 {
    now.as_millis() / 1000
}
