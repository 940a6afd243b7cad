//! The time of an answer: it depends on how many items are shown and not on which of them are real.
//!
//! Public-key operations are counted instead of timed: they are nearly all the time there is.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{MemoryStore, Rng, START, number, service_with};
use herald_core::limits::{BODY_BUCKETS_BYTES, EQUALISED_BODIES_MAX, RETENTION_DEFAULT_MS};
use herald_core::{
    PlacementId, Request, SealingSuite, Service, Storing, TelephoneNumber, Timestamp, X25519Suite,
};

/// A suite that counts what it is asked for.
struct Counting(Arc<AtomicUsize>);

impl SealingSuite for Counting {
    fn encapsulated_key_bytes(&self) -> usize {
        X25519Suite.encapsulated_key_bytes()
    }

    fn encapsulated_key(&self, seed: [u8; 32], out: &mut [u8]) {
        self.0.fetch_add(1, Ordering::Relaxed);
        X25519Suite.encapsulated_key(seed, out);
    }
}

struct Counted {
    service: Service,
    store: MemoryStore,
    operations: Arc<AtomicUsize>,
}

impl Counted {
    fn new() -> Self {
        let operations = Arc::new(AtomicUsize::new(0));
        let service = service_with(1, Box::new(Counting(Arc::clone(&operations))), START);
        Self { service, store: MemoryStore::default(), operations }
    }

    fn place(&mut self, called: TelephoneNumber, now: Timestamp) -> PlacementId {
        let body = [0; BODY_BUCKETS_BYTES[0]];
        self.service.store(&mut self.store, called, &body, now).expect("room for a placement")
    }

    /// How many operations `work` takes, and what it gives.
    fn count<T>(&mut self, work: impl FnOnce(&mut Service, &mut MemoryStore) -> T) -> (usize, T) {
        let before = self.operations.load(Ordering::Relaxed);
        let result = work(&mut self.service, &mut self.store);
        (self.operations.load(Ordering::Relaxed) - before, result)
    }
}

fn numbers() -> impl Iterator<Item = TelephoneNumber> {
    (0..100).map(|index| number(&(12_225_550_000u64 + index).to_string()))
}

#[test]
fn a_retrieval_costs_one_operation_for_each_item_shown() {
    let mut counted = Counted::new();
    let mut rng = Rng::new(4);
    for called in numbers() {
        for real in 0..=EQUALISED_BODIES_MAX {
            let now = START.plus_millis(rng.below(RETENTION_DEFAULT_MS / 2));
            let (operations, items) = counted.count(|service, store| service.retrieve(store, called, now));
            assert_eq!(operations, items.len(), "with {real} real items");
            counted.place(called, START.plus_millis(RETENTION_DEFAULT_MS / 2));
        }
    }
}

#[test]
fn beyond_the_bound_a_busy_number_costs_no_more() {
    let mut counted = Counted::new();
    let called = number("12225552222");
    let (quiet, _) = counted.count(|service, store| service.retrieve(store, called, START));
    for real in 1..=3 * EQUALISED_BODIES_MAX {
        counted.place(called, START);
        let (operations, items) = counted.count(|service, store| service.retrieve(store, called, START));
        assert_eq!(items.len(), quiet + real);
        assert_eq!(operations, quiet + real.min(EQUALISED_BODIES_MAX));
    }
}

#[test]
fn the_inline_list_costs_what_the_retrieval_costs() {
    let mut counted = Counted::new();
    for called in numbers() {
        counted.place(called, START);
        let (expected, _) = counted.count(|service, store| service.retrieve(store, called, START));
        let target = format!("/cps/{called}/ppts?inline=1");
        let request = Request { method: "GET", target: &target, ..Request::default() };
        let (operations, answer) =
            counted.count(|service, store| service.handle(store, &request, Storing::Possible, START));
        assert_eq!((answer.response.status, operations), (200, expected));
    }
}

#[test]
fn an_item_by_id_costs_one_operation_real_or_not_or_none() {
    let mut counted = Counted::new();
    for called in numbers() {
        let real = counted.place(called, START);
        let (listing, ids) = counted.count(|service, store| service.list(store, called, START));
        assert_eq!(listing, 0, "ids alone need no body");
        assert!(ids.contains(&real) && ids.len() > 1);
        for id in ids {
            let (operations, item) = counted.count(|service, store| service.item(store, called, id, START));
            assert_eq!((operations, item.is_some()), (1, true), "real: {}", id == real);
        }
        let unknown = PlacementId::from_bytes([0; 16]);
        let (operations, item) = counted.count(|service, store| service.item(store, called, unknown, START));
        assert_eq!((operations, item), (1, None));
    }
}

#[test]
fn a_store_costs_the_same_under_quiet_and_busy_numbers() {
    let mut counted = Counted::new();
    let called = number("12225552222");
    for _ in 0..20 {
        let body = [0; BODY_BUCKETS_BYTES[0]];
        let (operations, stored) = counted.count(|service, store| service.store(store, called, &body, START));
        assert!(stored.is_ok());
        assert_eq!(operations, 0);
    }
}
