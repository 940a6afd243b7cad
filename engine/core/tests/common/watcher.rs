//! A poller who writes down everything it is shown and looks for what gives a call away.
//!
//! It knows what any client may know: the items, their bodies and headers, and the retention. It does not know
//! which items are real, but for those it stored itself.

use std::collections::{HashMap, HashSet};

use herald_core::limits::{BODY_BUCKETS_BYTES, RETENTION_DEFAULT_MS};
use herald_core::{Item, PlacementId, Request, Response, Service, Storing, TelephoneNumber, Timestamp};

use crate::common::{MemoryStore, Rng};

/// Something that takes placements and answers polls: the service, or a broken twin of it.
pub(crate) trait Door {
    fn store(&mut self, number: TelephoneNumber, body: &[u8], now: Timestamp) -> PlacementId;
    fn retrieve(&mut self, number: TelephoneNumber, now: Timestamp) -> Vec<Item>;
    fn list(&mut self, number: TelephoneNumber, now: Timestamp) -> Vec<PlacementId>;
    fn fetch(&mut self, number: TelephoneNumber, id: PlacementId, now: Timestamp) -> Response;
}

/// The service over the plain store, entered by its calls and, for single items, by HTTP.
pub(crate) struct Open {
    pub(crate) service: Service,
    pub(crate) store: MemoryStore,
}

impl Door for Open {
    fn store(&mut self, number: TelephoneNumber, body: &[u8], now: Timestamp) -> PlacementId {
        self.service.store(&mut self.store, number, body, now).expect("room for a placement")
    }

    fn retrieve(&mut self, number: TelephoneNumber, now: Timestamp) -> Vec<Item> {
        self.service.retrieve(&mut self.store, number, now)
    }

    fn list(&mut self, number: TelephoneNumber, now: Timestamp) -> Vec<PlacementId> {
        self.service.list(&mut self.store, number, now)
    }

    fn fetch(&mut self, number: TelephoneNumber, id: PlacementId, now: Timestamp) -> Response {
        let target = format!("/cps/{number}/ppts/{id}");
        let request = Request {
            method: "GET",
            target: &target,
            authority: Some("cps.example.com"),
            ..Request::default()
        };
        self.service.handle(&mut self.store, &request, Storing::Possible, now).response
    }
}

/// What gives a service away, or would lose a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An answer without items.
    Empty,
    /// An item was gone before its time.
    Vanished,
    /// An item was shown after its time, or with a lifetime other than one retention.
    Overstayed,
    /// An item came up that was born before an earlier answer and not in it.
    Backdated,
    /// An item was not the same when seen again.
    Changed,
    /// A body or an id was shown before, as another item.
    Repeated,
    /// An item differs from the others in form: order, size or header fields.
    Form,
    /// List, retrieval and single item do not show the same.
    Disagreement,
}

/// How much a watch saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) polls: u64,
    pub(crate) items_distinct: u64,
    pub(crate) items_shown: u64,
    pub(crate) fetches: u64,
    pub(crate) stores: u64,
}

/// One thing that happens to one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deed {
    Store { bytes: usize },
    Poll { fetch: bool },
}

/// A watch: how many numbers, how often, over how long, with how many calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Campaign {
    pub(crate) seed: u64,
    pub(crate) numbers: u64,
    pub(crate) polls_per_number: u64,
    pub(crate) stores_per_number_max: u64,
    pub(crate) start: Timestamp,
    pub(crate) length_ms: u64,
}

impl Campaign {
    /// Its deeds in order of time; every fourth poll fetches each listed item singly.
    pub(crate) fn deeds(&self) -> Vec<(Timestamp, TelephoneNumber, Deed)> {
        let mut rng = Rng::new(self.seed);
        let mut deeds = Vec::new();
        for index in 0..self.numbers {
            let number = crate::common::number(&(12_225_550_000 + index).to_string());
            for _ in 0..rng.below(self.stores_per_number_max + 1) {
                let bytes = BODY_BUCKETS_BYTES[rng.index_below(BODY_BUCKETS_BYTES.len())];
                let at = self.start.plus_millis(rng.below(self.length_ms));
                deeds.push((at, number, Deed::Store { bytes }));
            }
            for _ in 0..self.polls_per_number {
                let at = self.start.plus_millis(rng.below(self.length_ms));
                deeds.push((at, number, Deed::Poll { fetch: rng.below(4) == 0 }));
            }
        }
        deeds.sort_unstable();
        deeds
    }
}

/// A body as a client seals it: a genuine encapsulated key and bytes that look random.
pub(crate) fn sealed(rng: &mut Rng, bytes: usize) -> Vec<u8> {
    let mut body = vec![0; bytes];
    body[..32].copy_from_slice(&crate::common::sealed_key(rng));
    rng.fill(&mut body[32..]);
    body
}

/// Plays the campaign at the door. Every body shown is hashed.
pub(crate) fn watch(door: &mut dyn Door, campaign: &Campaign) -> Result<Report, Fault> {
    let mut rng = Rng::new(!campaign.seed);
    let mut watcher = Watcher::default();
    for (now, number, deed) in campaign.deeds() {
        match deed {
            Deed::Store { bytes } => {
                let body = sealed(&mut rng, bytes);
                let id = door.store(number, &body, now);
                let expires_at = now.plus_millis(RETENTION_DEFAULT_MS);
                watcher.learn(number, &Item { id, expires_at, body })?;
                watcher.report.stores += 1;
            }
            Deed::Poll { fetch } => {
                let items = door.retrieve(number, now);
                watcher.look(number, &items, now)?;
                watcher.compare(&items, &door.list(number, now))?;
                if fetch {
                    for item in &items {
                        watcher.fetched(number, item, &door.fetch(number, item.id, now))?;
                    }
                }
            }
        }
    }
    Ok(watcher.report)
}

type Hash = [u8; 32];

#[derive(Default)]
struct Watcher {
    numbers: HashMap<TelephoneNumber, Diary>,
    bodies: HashSet<Hash>,
    ids: HashSet<PlacementId>,
    report: Report,
}

#[derive(Default)]
struct Diary {
    known: Vec<(PlacementId, Timestamp, Hash)>,
    last_look: Option<Timestamp>,
}

impl Watcher {
    /// Takes down an item that is new.
    fn learn(&mut self, number: TelephoneNumber, item: &Item) -> Result<(), Fault> {
        let hash = *blake3::hash(&item.body).as_bytes();
        if !self.bodies.insert(hash) || !self.ids.insert(item.id) {
            return Err(Fault::Repeated);
        }
        self.numbers.entry(number).or_default().known.push((item.id, item.expires_at, hash));
        self.report.items_distinct += 1;
        Ok(())
    }

    fn look(&mut self, number: TelephoneNumber, items: &[Item], now: Timestamp) -> Result<(), Fault> {
        if items.is_empty() {
            return Err(Fault::Empty);
        }
        if !items.is_sorted_by(|earlier, later| earlier.id < later.id) {
            return Err(Fault::Form);
        }
        let diary = self.numbers.entry(number).or_default();
        let last_look = diary.last_look.replace(now);
        let known = std::mem::take(&mut diary.known);
        for (id, _, hash) in known.iter().filter(|(_, expires_at, _)| *expires_at > now) {
            let again = items.iter().find(|item| item.id == *id).ok_or(Fault::Vanished)?;
            if blake3::hash(&again.body).as_bytes() != hash {
                return Err(Fault::Changed);
            }
        }
        for item in items {
            one_item(item, now)?;
            match known.iter().find(|(id, _, _)| *id == item.id) {
                Some((_, expires_at, _)) if *expires_at != item.expires_at => return Err(Fault::Changed),
                Some(_) => {}
                None => {
                    let born_ms = item.expires_at.as_millis() - RETENTION_DEFAULT_MS;
                    if last_look.is_some_and(|last| born_ms <= last.as_millis()) {
                        return Err(Fault::Backdated);
                    }
                    self.learn(number, item)?;
                }
            }
        }
        self.numbers.entry(number).or_default().known.extend(known);
        self.report.polls += 1;
        self.report.items_shown += u64::try_from(items.len()).expect("a short list");
        Ok(())
    }

    fn compare(&self, items: &[Item], listed: &[PlacementId]) -> Result<(), Fault> {
        let same = items.iter().map(|item| item.id).eq(listed.iter().copied());
        if same { Ok(()) } else { Err(Fault::Disagreement) }
    }

    fn fetched(&mut self, number: TelephoneNumber, item: &Item, response: &Response) -> Result<(), Fault> {
        self.report.fetches += 1;
        if response.status != 200 || response.body != item.body {
            return Err(Fault::Disagreement);
        }
        let link = format!("<https://cps.example.com/cps/{number}/ppts>; rel=\"collection\"");
        let expected = [
            ("content-type", "application/passport"),
            ("cache-control", "no-store"),
            ("link", link.as_str()),
        ];
        let headers = response.headers.iter().map(|(name, value)| (*name, value.as_str()));
        if headers.eq(expected) { Ok(()) } else { Err(Fault::Form) }
    }
}

fn one_item(item: &Item, now: Timestamp) -> Result<(), Fault> {
    let remaining = item.expires_at.as_millis().saturating_sub(now.as_millis());
    if !(1..=RETENTION_DEFAULT_MS).contains(&remaining) {
        return Err(Fault::Overstayed);
    }
    if !BODY_BUCKETS_BYTES.contains(&item.body.len()) {
        return Err(Fault::Form);
    }
    Ok(())
}
