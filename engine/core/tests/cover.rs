//! The acceptance of cover (RFC 8816 §6.2): what pollers of ten thousand numbers can and cannot see.
//!
//! Every check is also made against twins of the service that are broken on purpose, and must find them.

mod common;
#[path = "common/watcher.rs"]
mod watcher;

use std::collections::HashSet;

use common::{MemoryStore, PlainSuite, Rng, number, schedule, service_with};
use herald_core::limits::{BODY_BUCKETS_BYTES, COVER_EPOCH_WINDOWS, RETENTION_DEFAULT_MS};
use herald_core::{
    CoverSchedule, Item, PlacementId, PlacementStore, Response, TelephoneNumber, Timestamp, X25519Suite,
};
use watcher::{Campaign, Deed, Door, Fault, Open, Report, sealed, watch};

/// Half a retention before the cover changes its key, so that a campaign of three retentions sees the change and
/// the old key forgotten.
const START: Timestamp =
    Timestamp::from_millis(500_000 * COVER_EPOCH_WINDOWS * RETENTION_DEFAULT_MS - RETENTION_DEFAULT_MS / 2);

const CAMPAIGN: Campaign = Campaign {
    seed: 8816,
    numbers: 10_000,
    polls_per_number: 5,
    stores_per_number_max: 3,
    start: START,
    length_ms: 3 * RETENTION_DEFAULT_MS,
};

/// Enough for a broken twin, which is caught within the first hundreds of polls.
const SMALL: Campaign = Campaign { numbers: 200, ..CAMPAIGN };

const SECRET: u64 = 62;

fn open() -> Open {
    Open { service: service_with(SECRET, Box::new(X25519Suite), START), store: MemoryStore::default() }
}

// rfc8816:6.2-1, rfc8816:6.2-2.
#[test]
fn pollers_of_ten_thousand_numbers_without_calls_find_no_fault() {
    let report = watch(&mut open(), &Campaign { stores_per_number_max: 0, ..CAMPAIGN }).expect("no fault");
    assert_eq!((report.polls, report.stores), (50_000, 0));
    assert!(report.fetches > 20_000 && report.items_distinct > 45_000, "{report:?}");
    let shown = report.items_shown as f64 / report.polls as f64;
    assert!((2.2..2.3).contains(&shown), "one base and 1.25 others on average, not {shown}");
}

#[test]
fn pollers_of_ten_thousand_numbers_with_calls_find_no_fault() {
    let report = watch(&mut open(), &CAMPAIGN).expect("no fault");
    assert_eq!(report.polls, 50_000);
    assert!(report.stores > 14_000 && report.fetches > 20_000, "{report:?}");
}

#[test]
fn calls_add_their_items_and_change_nothing_else() {
    let mut quiet = open();
    let mut busy = open();
    let looks =
        added_only(&mut quiet, &mut busy, &Campaign { numbers: 2_000, ..CAMPAIGN }).expect("no change");
    assert_eq!(looks, 10_000);
}

// rfc8816:6.2-1, rfc8816:6.2-2.
#[test]
fn the_watcher_catches_broken_cover() {
    for (broken, fault) in [
        (Broken::None, Fault::Empty),
        (Broken::FreshAtEachPoll, Fault::Vanished),
        (Broken::OnlyWhileNothingIsReal, Fault::Vanished),
        (Broken::SameBodyInEveryLife, Fault::Repeated),
        (Broken::SlotsThatReplaceEarly, Fault::Vanished),
        (Broken::LongLived, Fault::Overstayed),
        (Broken::BornInThePast, Fault::Backdated),
        (Broken::OfItsOwnSize, Fault::Form),
        (Broken::AlwaysLast, Fault::Form),
        (Broken::NotListed, Fault::Disagreement),
        (Broken::WithAnAge, Fault::Form),
        (Broken::BodyDrifts, Fault::Changed),
    ] {
        assert_eq!(watch(&mut Twin::new(broken), &SMALL), Err(fault), "{broken:?}");
    }
}

#[test]
fn the_comparison_with_a_quiet_service_catches_cover_that_minds_calls() {
    let mut quiet = Twin::new(Broken::OnlyWhileNothingIsReal);
    let mut busy = Twin::new(Broken::OnlyWhileNothingIsReal);
    assert_eq!(added_only(&mut quiet, &mut busy, &SMALL), Err(Fault::Disagreement));
}

#[test]
fn a_sound_twin_passes_so_it_is_the_breakage_that_is_caught() {
    let report = watch(&mut Twin::new(Broken::Nowhere), &SMALL).expect("no fault");
    assert_eq!(report, Report { polls: 1_000, ..report });
}

#[test]
fn guessed_ids_are_never_hit() {
    let mut door =
        Open { service: service_with(SECRET, Box::new(PlainSuite), START), store: MemoryStore::default() };
    let mut rng = Rng::new(3);
    let called = number("12225550000");
    door.store(called, &sealed(&mut rng, BODY_BUCKETS_BYTES[0]), START);
    let first = door.list(called, START)[0];
    assert_eq!(door.fetch(called, first, START).status, 200);
    assert_eq!(door.fetch(number("12225550001"), first, START).status, 404, "an id of another number");
    for _ in 0..100_000 {
        let mut id = *first.as_bytes();
        rng.fill(&mut id[8..]);
        assert_eq!(door.fetch(called, PlacementId::from_bytes(id), START).status, 404);
    }
}

/// Plays the campaign at two doors, calls at one only. At every poll the busy one must show what the quiet one
/// shows and the live calls. Gives the count of polls.
fn added_only(quiet: &mut dyn Door, busy: &mut dyn Door, campaign: &Campaign) -> Result<u64, Fault> {
    let mut rng = Rng::new(campaign.seed);
    let mut calls = HashSet::new();
    let mut polls = 0;
    for (now, number, deed) in campaign.deeds() {
        match deed {
            Deed::Store { bytes } => {
                calls.insert(busy.store(number, &sealed(&mut rng, bytes), now));
            }
            Deed::Poll { .. } => {
                let mut shown = busy.retrieve(number, now);
                shown.retain(|item| !calls.contains(&item.id));
                if shown != quiet.retrieve(number, now) {
                    return Err(Fault::Disagreement);
                }
                polls += 1;
            }
        }
    }
    Ok(polls)
}

/// How a twin is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    /// Not at all.
    Nowhere,
    /// No cover.
    None,
    /// New dummies at each poll, while real items stay.
    FreshAtEachPoll,
    /// Cover gives way as soon as there is a call.
    OnlyWhileNothingIsReal,
    /// Each life of a number's dummy has the body of the last.
    SameBodyInEveryLife,
    /// Cover changes at each half retention, before its time is over.
    SlotsThatReplaceEarly,
    /// Cover that lives twice as long as a placement.
    LongLived,
    /// Cover that a number gets once it is called, as if it had been there before.
    BornInThePast,
    /// Cover of a size no placement has.
    OfItsOwnSize,
    /// Cover behind the placements.
    AlwaysLast,
    /// Cover that is not in the list.
    NotListed,
    /// Cover without the header fields of a placement.
    WithAnAge,
    /// Cover whose bytes change while it lives.
    BodyDrifts,
}

/// A service after the same contract, with cover that is broken on purpose.
struct Twin {
    broken: Broken,
    cover: CoverSchedule,
    store: MemoryStore,
    rng: Rng,
    called: HashSet<TelephoneNumber>,
    /// The answer to the poll at hand, so that its list and its items agree even when they are made up.
    answer: Option<(TelephoneNumber, Timestamp, Vec<Item>)>,
}

impl Twin {
    fn new(broken: Broken) -> Self {
        let cover = schedule(SECRET, Box::new(PlainSuite), START);
        let (store, called) = (MemoryStore::default(), HashSet::new());
        Self { broken, cover, store, rng: Rng::new(17), called, answer: None }
    }

    fn real(&mut self, number: TelephoneNumber, now: Timestamp) -> Vec<Item> {
        let mut items = Vec::new();
        self.store.for_each_live(number, now, &mut |real| {
            items.push(Item { id: real.id, expires_at: real.expires_at, body: real.body.to_vec() });
        });
        items
    }

    fn cover(&mut self, number: TelephoneNumber, now: Timestamp, any_real: bool) -> Vec<Item> {
        self.cover.advance(now);
        let mut items = Vec::new();
        for dummy in self.cover.live(number, now) {
            let mut body = Vec::new();
            self.cover.write_body(&dummy, &mut body);
            items.push(Item { id: dummy.id, expires_at: dummy.expires_at, body });
        }
        match self.broken {
            Broken::None => items.clear(),
            Broken::OnlyWhileNothingIsReal if any_real => items.clear(),
            Broken::FreshAtEachPoll => items.iter_mut().for_each(|item| self.refresh(item)),
            Broken::BornInThePast if self.called.contains(&number) => {
                let mut copy = items[0].clone();
                let mut id = *copy.id.as_bytes();
                id[0] ^= 0xff;
                copy.id = PlacementId::from_bytes(id);
                copy.body[0] ^= 0xff;
                items.push(copy);
            }
            _ => items.iter_mut().for_each(|item| self.spoil(item, number, now)),
        }
        items
    }

    fn refresh(&mut self, item: &mut Item) {
        let mut id = [0; 16];
        self.rng.fill(&mut id);
        item.id = PlacementId::from_bytes(id);
        self.rng.fill(&mut item.body);
    }

    fn spoil(&self, item: &mut Item, number: TelephoneNumber, now: Timestamp) {
        match self.broken {
            Broken::SameBodyInEveryLife => {
                item.body.truncate(BODY_BUCKETS_BYTES[0]);
                item.body[..8].copy_from_slice(&number.to_bits().to_le_bytes());
                item.body[8..].fill(0);
            }
            Broken::SlotsThatReplaceEarly => {
                let mut id = *item.id.as_bytes();
                let slot = now.as_millis() / (RETENTION_DEFAULT_MS / 2);
                id[..8].copy_from_slice(&slot.to_le_bytes());
                item.id = PlacementId::from_bytes(id);
                item.body[..8].copy_from_slice(&slot.to_le_bytes());
            }
            Broken::LongLived => item.expires_at = item.expires_at.plus_millis(RETENTION_DEFAULT_MS),
            Broken::OfItsOwnSize => item.body.push(0),
            Broken::BodyDrifts => item.body[..8].copy_from_slice(&now.as_millis().to_le_bytes()),
            _ => {}
        }
    }
}

impl Door for Twin {
    fn store(&mut self, number: TelephoneNumber, body: &[u8], now: Timestamp) -> PlacementId {
        let mut id = [0; 16];
        self.rng.fill(&mut id);
        let id = PlacementId::from_bytes(id);
        let expires_at = now.plus_millis(RETENTION_DEFAULT_MS);
        let placement = herald_core::NewPlacement { number, id, expires_at, body };
        self.store.append(&placement, u32::MAX, now).expect("room for a placement");
        self.called.insert(number);
        self.answer = None;
        id
    }

    fn retrieve(&mut self, number: TelephoneNumber, now: Timestamp) -> Vec<Item> {
        if let Some((_, _, items)) = self.answer.as_ref().filter(|(of, at, _)| (*of, *at) == (number, now)) {
            return items.clone();
        }
        let mut items = self.real(number, now);
        items.sort_unstable_by_key(|item| item.id);
        let cover = self.cover(number, now, !items.is_empty());
        items.extend(cover);
        if self.broken != Broken::AlwaysLast {
            items.sort_unstable_by_key(|item| item.id);
        }
        self.answer = Some((number, now, items.clone()));
        items
    }

    fn list(&mut self, number: TelephoneNumber, now: Timestamp) -> Vec<PlacementId> {
        let items = match self.broken {
            Broken::NotListed => self.real(number, now),
            _ => self.retrieve(number, now),
        };
        items.iter().map(|item| item.id).collect()
    }

    fn fetch(&mut self, number: TelephoneNumber, id: PlacementId, now: Timestamp) -> Response {
        let is_real = self.real(number, now).iter().any(|item| item.id == id);
        let item = self.retrieve(number, now).into_iter().find(|item| item.id == id).expect("a listed item");
        let link = format!("<https://cps.example.com/cps/{number}/ppts>; rel=\"collection\"");
        let mut headers = vec![
            ("content-type", "application/passport".to_owned()),
            ("cache-control", "no-store".to_owned()),
            ("link", link),
        ];
        if self.broken == Broken::WithAnAge && !is_real {
            headers.push(("age", "1".to_owned()));
        }
        Response { status: 200, headers, body: item.body }
    }
}
