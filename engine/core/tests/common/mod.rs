//! What the tests share: a seeded generator, a plain store and a service over both.
//!
//! It knows only the public interface of the crate.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use herald_core::{
    Answer, CoverSchedule, CoverSecret, NewPlacement, PlacementId, PlacementRef, PlacementStore, Random,
    Refusal, Request, Retention, SealingSuite, Service, Storing, TelephoneNumber, Timestamp, X25519Suite,
};

/// A moment in the middle of an epoch, 2027.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_800_001_812_345);

/// SplitMix64: small, and the same on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next_word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Uniform in 0..`end`; the bias of at most `end` · 2^-64 is far below what a test sees.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        u64::try_from((u128::from(self.next_word()) * u128::from(end)) >> 64).expect("less than end")
    }

    pub(crate) fn index_below(&mut self, end: usize) -> usize {
        usize::try_from(self.below(u64::try_from(end).expect("a length"))).expect("less than end")
    }

    pub(crate) fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_word().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// A [`Random`] that repeats itself for the same seed.
#[derive(Debug)]
pub(crate) struct SeededRandom(AtomicU64);

impl SeededRandom {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Random for SeededRandom {
    fn fill(&self, out: &mut [u8]) {
        let seed = self.0.fetch_add(0xd1b5_4a32_d192_ed03, Ordering::Relaxed);
        Rng::new(seed).fill(out);
    }
}

/// The plainest store that keeps the contract: what is live, number by number.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    placements: BTreeMap<TelephoneNumber, Vec<Kept>>,
    /// Refuses every append as full.
    pub(crate) full: bool,
    /// Messages, if they are kept.
    pub(crate) messages: Option<Box<Self>>,
}

#[derive(Debug)]
struct Kept {
    id: PlacementId,
    expires_at: Timestamp,
    body: Vec<u8>,
}

impl PlacementStore for MemoryStore {
    fn messages(&mut self) -> Option<&mut dyn PlacementStore> {
        self.messages.as_deref_mut().map(|messages| messages as &mut dyn PlacementStore)
    }

    fn append(
        &mut self,
        placement: &NewPlacement<'_>,
        records_max: u32,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if self.full {
            return Err(Refusal::StoreFull);
        }
        let queue = self.placements.entry(placement.number).or_default();
        queue.retain(|kept| kept.expires_at > now);
        if u32::try_from(queue.len()).expect("a short queue") >= records_max {
            return Err(Refusal::NumberFull);
        }
        let body = placement.body.to_vec();
        queue.push(Kept { id: placement.id, expires_at: placement.expires_at, body });
        Ok(())
    }

    fn for_each_live(
        &mut self,
        number: TelephoneNumber,
        now: Timestamp,
        visit: &mut dyn FnMut(PlacementRef<'_>),
    ) {
        let queue = self.placements.get(&number).into_iter().flatten();
        for kept in queue.rev().filter(|kept| kept.expires_at > now) {
            visit(PlacementRef { id: kept.id, expires_at: kept.expires_at, body: &kept.body });
        }
    }
}

/// A suite without public-key work, for tests that look at plans and not at bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlainSuite;

impl SealingSuite for PlainSuite {
    fn encapsulated_key_bytes(&self) -> usize {
        32
    }

    fn encapsulated_key(&self, seed: [u8; 32], out: &mut [u8]) {
        out.copy_from_slice(&seed);
    }
}

/// A public key as a sender makes one.
pub(crate) fn sealed_key(rng: &mut Rng) -> [u8; 32] {
    let (mut seed, mut key) = ([0; 32], [0; 32]);
    rng.fill(&mut seed);
    X25519Suite.encapsulated_key(seed, &mut key);
    key
}

pub(crate) fn number(text: &str) -> TelephoneNumber {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

pub(crate) fn schedule(seed: u64, suite: Box<dyn SealingSuite>, now: Timestamp) -> CoverSchedule {
    let secret = CoverSecret::generate(&SeededRandom::new(seed), Retention::DEFAULT, now);
    CoverSchedule::new(secret, Retention::DEFAULT, suite)
}

pub(crate) fn service_with(seed: u64, suite: Box<dyn SealingSuite>, now: Timestamp) -> Service {
    Service::new(schedule(seed, suite, now), &SeededRandom::new(!seed))
}

/// A service, its store and its clock.
pub(crate) struct House {
    pub(crate) service: Service,
    pub(crate) store: MemoryStore,
    pub(crate) storing: Storing,
    pub(crate) now: Timestamp,
}

impl House {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            service: service_with(seed, Box::new(X25519Suite), START),
            store: MemoryStore::default(),
            storing: Storing::Possible,
            now: START,
        }
    }

    /// One that keeps messages too.
    pub(crate) fn with_messages(seed: u64, retention: Retention) -> Self {
        let Self { service, .. } = Self::new(seed);
        let random = SeededRandom::new(seed ^ 0x5555);
        let secret = CoverSecret::generate(&random, retention, START);
        let cover = CoverSchedule::new(secret, retention, Box::new(X25519Suite));
        let store = MemoryStore { messages: Some(Box::default()), ..MemoryStore::default() };
        Self { service: service.and_messages(cover, &random), store, ..Self::new(seed) }
    }

    pub(crate) fn ask(&mut self, request: &Request<'_>) -> Answer {
        self.service.handle(&mut self.store, request, self.storing, self.now)
    }

    pub(crate) fn pass_millis(&mut self, millis: u64) {
        self.now = self.now.plus_millis(millis);
    }
}
