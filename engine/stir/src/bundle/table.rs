//! Verified bundles, found by number, prefix or service provider code. It does not know where they come from.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use herald_core::{TelephoneNumber, Timestamp};

use super::verify::breadth;
use super::{KeyBundle, SignedBundle, VerifiedBundle};
use crate::certificate::TnEntry;
use crate::limits::{
    KEY_BUNDLE_LIFETIME_MAX_S, KEY_BUNDLES_MAX_DEFAULT, KEY_BUNDLES_PER_PLACE_MAX, KEY_PREFIXES_PER_BUNDLE,
};
use crate::number_map::{Piece, beginning_mask, pieces};

/// How much a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableBounds {
    /// Bundles.
    pub bundles_max: usize,
}

impl Default for TableBounds {
    fn default() -> Self {
        Self { bundles_max: KEY_BUNDLES_MAX_DEFAULT }
    }
}

/// Where a bundle is indexed. Numbers come first, by their signs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Numbers of one beginning.
    Numbers(Piece),
    /// A service provider code.
    Code(String),
}

/// Verified bundles by the numbers they are about.
///
/// Each is stored once for its issuer and its set of entries: a later one replaces it. Where bundles of one issuer
/// overlap, the latest counts. All lookups pass over what has expired.
#[derive(Debug, Default)]
pub struct BundleTable {
    bounds: TableBounds,
    next_serial: u64,
    bundles: HashMap<u64, Arc<VerifiedBundle>>,
    /// By issuer and entries.
    owners: BTreeMap<Vec<String>, u64>,
    places: BTreeMap<Place, Vec<u64>>,
    places_count: usize,
    expiries: BTreeSet<(u64, u64)>,
}

impl BundleTable {
    /// An empty table.
    pub fn new(bounds: TableBounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// How many bundles it holds, some of them perhaps expired.
    pub fn len(&self) -> usize {
        self.bundles.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.bundles.is_empty()
    }

    /// Whether it holds this very bundle, byte for byte: then it was verified when it came.
    pub fn holds(&self, signed: &SignedBundle) -> bool {
        let serial = self.owners.get(&owner(signed.bundle()));
        let held = serial.and_then(|serial| self.bundles.get(serial));
        held.is_some_and(|held| held.token() == signed.token())
    }

    /// Adds a bundle.
    ///
    /// # Errors
    /// [`Refused`]; the table is as it was.
    pub fn insert(&mut self, bundle: VerifiedBundle) -> Result<Inserted, Refused> {
        let owner = owner(bundle.bundle());
        let before = self.owners.get(&owner).copied();
        if let Some(old) = before.and_then(|serial| self.bundles.get(&serial)) {
            if old.token() == bundle.token() {
                return Ok(Inserted::Same);
            }
            if old.bundle().iat_s >= bundle.bundle().iat_s {
                return Err(Refused::Older);
            }
        }
        let places = places(&bundle);
        let (bundles, indexed) = match before {
            Some(_) => (self.bundles.len(), self.places_count),
            None => (self.bundles.len() + 1, self.places_count + places.len()),
        };
        let crowded =
            |place| self.places.get(place).is_some_and(|there| there.len() >= KEY_BUNDLES_PER_PLACE_MAX);
        let is_full = bundles > self.bounds.bundles_max
            || indexed > self.bounds.bundles_max * KEY_PREFIXES_PER_BUNDLE
            || before.is_none() && places.iter().any(crowded);
        if is_full {
            return Err(Refused::Full);
        }
        let replaced = before.and_then(|serial| self.remove(serial));
        let serial = self.next_serial;
        self.next_serial += 1;
        self.places_count += places.len();
        for place in places {
            self.places.entry(place).or_default().push(serial);
        }
        self.expiries.insert((kept_until_s(&bundle), serial));
        self.owners.insert(owner, serial);
        self.bundles.insert(serial, Arc::new(bundle));
        Ok(replaced.map_or(Inserted::New, Inserted::Replaced))
    }

    /// Gives up what is over at `now` on the wall clock: what has expired, once every older bundle has too, so that
    /// none of them comes back in its place.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Arc<VerifiedBundle>> {
        let now_s = now.as_millis() / 1000;
        let mut expired = Vec::new();
        while let Some(&(until_s, serial)) = self.expiries.first().filter(|(until_s, _)| *until_s <= now_s) {
            self.expiries.remove(&(until_s, serial));
            expired.extend(self.remove(serial));
        }
        expired
    }

    /// The bundles about `number`, those about the fewest numbers first. O(signs) and the bundles found.
    pub fn for_number(&self, number: TelephoneNumber, now: Timestamp) -> Vec<Arc<VerifiedBundle>> {
        let sign_count = number.sign_count();
        let places = beginnings(number).map(|beginning| Place::Numbers(Piece { beginning, sign_count }));
        let found = places.filter_map(|place| self.places.get(&place)).flatten();
        let mut bundles = latest_of_each_issuer(self.live(found.copied().collect(), now));
        let narrowest = |bundle: &VerifiedBundle| {
            bundle.bundle().entries.iter().filter_map(|one| breadth(one, number)).min()
        };
        bundles.sort_by_cached_key(|bundle| (narrowest(bundle), bundle.bundle().issuer.to_string()));
        bundles
    }

    /// The bundles about a service provider code.
    pub fn for_code(&self, code: &str, now: Timestamp) -> Vec<Arc<VerifiedBundle>> {
        let found = self.places.get(&Place::Code(code.to_owned()));
        latest_of_each_issuer(self.live(found.into_iter().flatten().copied().collect(), now))
    }

    /// The bundles about any number that begins with `prefix`, up to `bundles_max` of them, and whether that is all.
    /// O(signs) and `bundles_max`.
    pub fn for_prefix(
        &self,
        prefix: TelephoneNumber,
        bundles_max: usize,
        now: Timestamp,
    ) -> (Vec<Arc<VerifiedBundle>>, bool) {
        let signs = prefix.sign_count();
        let place = |beginning, sign_count| Place::Numbers(Piece { beginning, sign_count });
        // Wider blocks first, then all that begins with the prefix, which stands together in the order of signs.
        let wider = beginnings(prefix)
            .take(signs)
            .flat_map(|beginning| self.places.range(place(beginning, signs)..=place(beginning, usize::MAX)));
        let last = prefix.to_bits() | !beginning_mask(signs);
        let within = self.places.range(place(prefix.to_bits(), 0)..=place(last, usize::MAX));
        let mut serials = BTreeSet::new();
        for (looked_at, (_, found)) in wider.chain(within).enumerate() {
            if serials.len() > bundles_max || looked_at > bundles_max * KEY_PREFIXES_PER_BUNDLE {
                return (self.live(serials, now), false);
            }
            serials.extend(found);
        }
        (self.live(serials, now), true)
    }

    /// The bundles of `serials`, in the order they came, without those that have expired.
    fn live(&self, serials: BTreeSet<u64>, now: Timestamp) -> Vec<Arc<VerifiedBundle>> {
        let now_s = now.as_millis() / 1000;
        let bundles = serials.into_iter().filter_map(|serial| self.bundles.get(&serial));
        bundles.filter(|bundle| bundle.bundle().exp_s > now_s).cloned().collect()
    }

    fn remove(&mut self, serial: u64) -> Option<Arc<VerifiedBundle>> {
        let bundle = self.bundles.remove(&serial)?;
        self.expiries.remove(&(kept_until_s(&bundle), serial));
        self.owners.remove(&owner(bundle.bundle()));
        for place in places(&bundle) {
            self.places_count -= 1;
            if let Some(serials) = self.places.get_mut(&place) {
                serials.retain(|&other| other != serial);
                if serials.is_empty() {
                    self.places.remove(&place);
                }
            }
        }
        Some(bundle)
    }
}

/// When no bundle that was made earlier holds any more.
fn kept_until_s(bundle: &VerifiedBundle) -> u64 {
    bundle.bundle().iat_s.saturating_add(KEY_BUNDLE_LIFETIME_MAX_S)
}

/// Whose word a bundle is, about what: its issuer and its entries in order.
fn owner(bundle: &KeyBundle) -> Vec<String> {
    let entries: BTreeSet<_> = bundle.entries.iter().map(TnEntry::to_string).collect();
    core::iter::once(bundle.issuer.to_string()).chain(entries).collect()
}

fn places(bundle: &VerifiedBundle) -> BTreeSet<Place> {
    let of_entry = |entry: &TnEntry| match entry {
        TnEntry::Spc(code) => vec![Place::Code(code.clone())],
        TnEntry::One(number) => {
            vec![Place::Numbers(Piece { beginning: number.to_bits(), sign_count: number.sign_count() })]
        }
        TnEntry::Range(range) => pieces(range.block()).into_iter().map(Place::Numbers).collect(),
    };
    bundle.bundle().entries.iter().flat_map(of_entry).collect()
}

/// What `number` begins with, from nothing to the whole.
fn beginnings(number: TelephoneNumber) -> impl Iterator<Item = u64> {
    (0..=number.sign_count()).map(move |signs| number.to_bits() & beginning_mask(signs))
}

/// Of each issuer the bundle that was made last.
fn latest_of_each_issuer(bundles: Vec<Arc<VerifiedBundle>>) -> Vec<Arc<VerifiedBundle>> {
    let mut latest: BTreeMap<String, Arc<VerifiedBundle>> = BTreeMap::new();
    for bundle in bundles {
        let kept = latest.entry(bundle.bundle().issuer.to_string()).or_insert_with(|| bundle.clone());
        if kept.bundle().iat_s < bundle.bundle().iat_s {
            *kept = bundle;
        }
    }
    latest.into_values().collect()
}

/// What became of a bundle that was put into a table.
#[derive(Clone, Debug)]
pub enum Inserted {
    /// It is new.
    New,
    /// The very same was there.
    Same,
    /// It took the place of this one.
    Replaced(Arc<VerifiedBundle>),
}

/// Why a table does not take a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its issuer made another one for the same entries at the same moment or later.
    Older,
    /// There is no room for another one.
    Full,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Older => "a bundle of the same issuer and entries is there that was made no earlier",
            Self::Full => "there is no room for another bundle",
        })
    }
}

impl core::error::Error for Refused {}
