//! The workload: which number the placement of an index goes to, with which body, at what virtual time.
//!
//! Everything follows from the index, so that what is live can be named without writing it down. Knows nothing
//! of the stores.

use std::ops::Range;

use herald_core::{Random, TelephoneNumber, Timestamp};

use crate::limits::{BODIES, DRAWS, LIVE_PERCENT, NUMBERS, PICKS};

/// How long a placement lives, in virtual milliseconds.
pub(crate) const RETENTION_MS: u64 = 60_000;
/// The virtual time at which the first placement of all is stored.
pub(crate) const BEGIN: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Which placements there are. The same for every store of the same body size.
pub(crate) struct Workload<'a> {
    draws: &'a [TelephoneNumber],
    bodies: Vec<Vec<u8>>,
    /// Placements stored within one retention.
    live_count: u64,
    /// Records the arena has room for.
    capacity: u64,
}

/// The numbers of all placements in turn: [`DRAWS`] of them.
pub(crate) fn draws() -> Vec<TelephoneNumber> {
    let mut random = Sequence::new(1);
    (0..DRAWS).map(|_| number(random.below(NUMBERS))).collect()
}

impl<'a> Workload<'a> {
    /// Placements for the numbers of [`draws`] with bodies of `body_bytes`, and a virtual clock that keeps [`LIVE_PERCENT`] of `arena_bytes` live when each
    /// of them takes `record_bytes`.
    pub(crate) fn new(
        draws: &'a [TelephoneNumber],
        arena_bytes: usize,
        record_bytes: usize,
        body_bytes: usize,
    ) -> Self {
        let mut random = Sequence::new(2);
        let capacity = arena_bytes / record_bytes;
        Self {
            draws,
            bodies: (0..BODIES).map(|_| random.bytes(body_bytes)).collect(),
            live_count: wide(capacity * LIVE_PERCENT / 100),
            capacity: wide(capacity),
        }
    }

    /// Indexes up to which a store is filled before it is measured: it has then gone round its memory once.
    pub(crate) const fn filled_at(&self) -> u64 {
        self.capacity
    }

    /// Virtual milliseconds from index 0 to `index`.
    pub(crate) const fn millis_at(&self, index: u64) -> u64 {
        index * RETENTION_MS / self.live_count
    }

    pub(crate) fn number(&self, index: u64) -> TelephoneNumber {
        self.draws[narrow(index) % DRAWS]
    }

    pub(crate) fn body(&self, index: u64) -> &[u8] {
        &self.bodies[narrow(index) % BODIES]
    }

    /// Indexes whose placements are live at the time of `end`, the oldest twentieth left out.
    fn live(&self, end: u64) -> Range<u64> {
        end - self.live_count * 19 / 20..end
    }

    /// Indexes drawn at random from those that are live at the time of `end`.
    pub(crate) fn live_indexes(&self, end: u64, seed: u64) -> impl Iterator<Item = u64> {
        let live = self.live(end);
        let mut random = Sequence::new(seed);
        std::iter::repeat_with(move || live.start + random.below(live.end - live.start))
    }

    /// Numbers to retrieve: each has a placement that is live at the time of `end`.
    pub(crate) fn picks(&self, end: u64) -> Vec<TelephoneNumber> {
        self.live_indexes(end, end).take(PICKS).map(|index| self.number(index)).collect()
    }
}

fn number(index: u64) -> TelephoneNumber {
    let text = format!("1{:010}", 2_000_000_000 + index);
    TelephoneNumber::parse(text.as_bytes()).expect("eleven digits are a number")
}

/// A sequence that looks random and is always the same (SplitMix64).
pub(crate) struct Sequence(u64);

impl Sequence {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// One of 0 up to `bound`; the bounds here are so far below 2⁶⁴ that the remainder is as good as even.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.next().to_le_bytes());
        words.flatten().take(length).collect()
    }
}

/// Keys of the cover for a comparison that can be repeated; nothing here is secret.
pub(crate) struct Repeatable(pub(crate) u64);

impl Random for Repeatable {
    fn fill(&self, out: &mut [u8]) {
        out.copy_from_slice(&Sequence::new(self.0).bytes(out.len()));
    }
}

pub(crate) fn wide(size: usize) -> u64 {
    u64::try_from(size).expect("no memory has 2^64 bytes")
}

pub(crate) fn narrow(word: u64) -> usize {
    usize::try_from(word).expect("the log is for 64-bit machines only")
}
