//! The workload: which number the placement of an index goes to, with which body, at what virtual time.
//!
//! Everything follows from the index, so that what is live can be named without writing it down. Knows nothing
//! of the stores.

use std::iter;
use std::ops::Range;

use herald_core::{Random, TelephoneNumber, Timestamp};

use crate::limits::{BODIES, DRAWS, LIVE_PERCENT, NUMBERS, PEER_FILL, PEER_WINDOW, PICKS};

/// How long a placement lives, in virtual milliseconds, or in real ones where a store has a clock of its own.
pub(crate) const RETENTION_MS: u64 = 60_000;
/// The virtual time at which the first placement of all is stored.
pub(crate) const BEGIN: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// The exponent of Zipf's law, as in the YCSB benchmark.
const ZIPF_EXPONENT: f64 = 0.99;

/// How the numbers are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distribution {
    /// All equally often.
    Uniform,
    /// The n-th most called 1/n^0.99 times as often as the first.
    Zipf,
}

impl Distribution {
    pub(crate) const ALL: [Self; 2] = [Self::Uniform, Self::Zipf];

    /// The numbers of all placements in turn: [`DRAWS`] of them.
    pub(crate) fn draws(self) -> Vec<TelephoneNumber> {
        let mut random = Sequence::new(1);
        match self {
            Self::Uniform => (0..DRAWS).map(|_| number(random.below(NUMBERS))).collect(),
            Self::Zipf => {
                let zipf = Zipf::new(NUMBERS);
                (0..DRAWS).map(|_| number(scattered(zipf.rank(random.share())))).collect()
            }
        }
    }
}

/// Ranks by Zipf's law in constant time (Gray et al., "Quickly generating billion-record synthetic databases",
/// SIGMOD 1994; the generator of YCSB).
struct Zipf {
    count: f64,
    zeta: f64,
    alpha: f64,
    eta: f64,
}

impl Zipf {
    fn new(count: u64) -> Self {
        let term = |rank: u64| (rank as f64).powf(-ZIPF_EXPONENT);
        let zeta: f64 = (1..=count).map(term).sum();
        let count = count as f64;
        let eta = (1.0 - (2.0 / count).powf(1.0 - ZIPF_EXPONENT)) / (1.0 - (1.0 + term(2)) / zeta);
        Self { count, zeta, alpha: 1.0 / (1.0 - ZIPF_EXPONENT), eta }
    }

    /// The rank, from 0, that a share of all calls (0 up to 1) falls on.
    fn rank(&self, share: f64) -> u64 {
        let scaled = share * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5f64.powf(ZIPF_EXPONENT) {
            return 1;
        }
        let rank = self.count * (self.eta * share - self.eta + 1.0).powf(self.alpha);
        (rank as u64).min(NUMBERS - 1)
    }
}

/// Another rank for each rank, so that numbers called often are no neighbours.
const fn scattered(rank: u64) -> u64 {
    // Odd and no multiple of 5, so it has no factor in common with the count of numbers.
    const { assert!(NUMBERS == 10_000_000) };
    rank * 7_368_787 % NUMBERS
}

/// Which numbers are retrieved. Each has a live placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Picked {
    /// As placements come: some numbers have several.
    AsStored,
    /// Those that have one placement and no other.
    WithOne,
}

/// Which placements there are. The same for every store of the same body size.
pub(crate) struct Workload<'a> {
    draws: &'a [TelephoneNumber],
    bodies: Vec<Vec<u8>>,
    /// Placements stored within one retention.
    live_count: u64,
    /// Placements stored before the first run.
    fill_count: u64,
    /// Youngest placements that are surely live.
    window: u64,
}

impl<'a> Workload<'a> {
    /// Placements with bodies of `body_bytes`, and a virtual clock that keeps [`LIVE_PERCENT`] of `arena_bytes`
    /// live when each of them takes `record_bytes`. Filling goes round the arena once.
    pub(crate) fn in_arena(
        draws: &'a [TelephoneNumber],
        arena_bytes: usize,
        record_bytes: usize,
        body_bytes: usize,
    ) -> Self {
        Self::of_live(draws, wide(arena_bytes / record_bytes * LIVE_PERCENT / 100), body_bytes)
    }

    /// Placements with bodies of `body_bytes`, and a virtual clock that keeps `live_count` of them live.
    pub(crate) fn of_live(draws: &'a [TelephoneNumber], live_count: u64, body_bytes: usize) -> Self {
        let (fill_count, window) =
            (live_count.saturating_mul(100) / wide(LIVE_PERCENT), live_count / 20 * 19);
        Self { draws, bodies: bodies(body_bytes), live_count, fill_count, window }
    }

    /// The same for stores that keep their own time.
    pub(crate) fn in_real_time(draws: &'a [TelephoneNumber], body_bytes: usize, quick: bool) -> Self {
        let share = if quick { 10 } else { 1 };
        let (fill_count, window) = (PEER_FILL / share, PEER_WINDOW / share);
        Self { draws, bodies: bodies(body_bytes), live_count: u64::MAX, fill_count, window }
    }

    /// Indexes up to which a store is filled before it is measured.
    pub(crate) const fn fill_count(&self) -> u64 {
        self.fill_count
    }

    /// Placements stored within one retention.
    pub(crate) const fn live_count(&self) -> u64 {
        self.live_count
    }

    /// Virtual milliseconds from index 0 to `index`.
    pub(crate) const fn millis_at(&self, index: u64) -> u64 {
        (index as u128 * RETENTION_MS as u128 / self.live_count as u128) as u64
    }

    pub(crate) fn number(&self, index: u64) -> TelephoneNumber {
        self.draws[narrow(index) % DRAWS]
    }

    pub(crate) fn body(&self, index: u64) -> &[u8] {
        &self.bodies[narrow(index) % BODIES]
    }

    /// Indexes whose placements are surely live at the time of `end`.
    pub(crate) fn live(&self, end: u64) -> Range<u64> {
        end.saturating_sub(self.window)..end
    }

    /// Numbers to retrieve, drawn at random: each has a placement among the younger half of [`Self::live`].
    pub(crate) fn picks(&self, end: u64, picked: Picked) -> Vec<TelephoneNumber> {
        let live = self.live(end);
        let half = (live.end - live.start) / 2;
        let mut random = Sequence::new(end);
        let drawn = iter::repeat_with(|| self.number(live.end - 1 - random.below(half)));
        match picked {
            Picked::AsStored => drawn.take(PICKS).collect(),
            Picked::WithOne => {
                let often = self.stored_often(end);
                let is_alone = |number: &TelephoneNumber| often.binary_search(&number.to_bits()).is_err();
                let mut drawable = live.end - half..live.end;
                assert!(drawable.any(|index| is_alone(&self.number(index))), "each number is stored often");
                drawn.filter(is_alone).take(PICKS).collect()
            }
        }
    }

    /// The numbers of more than one of the placements that may be live, in order.
    fn stored_often(&self, end: u64) -> Vec<u64> {
        let may_live = end.saturating_sub(self.fill_count)..end;
        let mut numbers: Vec<_> = may_live.map(|index| self.number(index).to_bits()).collect();
        numbers.sort_unstable();
        let mut often: Vec<_> =
            numbers.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        often.dedup();
        often
    }
}

fn bodies(body_bytes: usize) -> Vec<Vec<u8>> {
    let mut random = Sequence::new(2);
    (0..BODIES).map(|_| random.bytes(body_bytes)).collect()
}

/// The number of a rank, each another below 10^9.
pub(crate) fn number(index: u64) -> TelephoneNumber {
    let mut text = *b"12000000000";
    let mut rest = index;
    for digit in text.iter_mut().rev().take(9) {
        *digit = b"0123456789"[narrow(rest % 10)];
        rest /= 10;
    }
    TelephoneNumber::parse(&text).expect("eleven digits are a number")
}

/// A sequence that looks random and is always the same (SplitMix64).
pub(crate) struct Sequence(u64);

impl Sequence {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// One of 0 up to `bound`; the bounds here are so far below 2⁶⁴ that the remainder is as good as even.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// One of 0 up to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let words = iter::repeat_with(|| self.next().to_le_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ranks_get_the_share_that_zipfs_law_gives_them() {
        let zipf = Zipf::new(NUMBERS);
        let (mut random, mut counts) = (Sequence::new(7), [0u32; 100]);
        let draws = 1_000_000;
        for _ in 0..draws {
            if let Some(count) = counts.get_mut(narrow(zipf.rank(random.share()))) {
                *count += 1;
            }
        }
        for (rank, tolerance) in [(0, 0.02), (1, 0.02)] {
            let expected = f64::from(draws) / zipf.zeta / f64::from(rank + 1u32).powf(ZIPF_EXPONENT);
            let found = f64::from(counts[narrow(rank.into())]);
            assert!((found / expected - 1.0).abs() < tolerance, "rank {rank}: {found}, not {expected}");
        }
        // Behind the first two the generator is an approximation, good to some percent over many ranks.
        let expected: f64 = (1..=100).map(|rank| f64::from(rank).powf(-ZIPF_EXPONENT)).sum();
        let found = f64::from(counts.iter().sum::<u32>());
        assert!((found / f64::from(draws) / (expected / zipf.zeta) - 1.0).abs() < 0.05);
    }

    #[test]
    fn picks_with_one_have_no_other_that_may_live() {
        let mut random = Sequence::new(8);
        let draws: Vec<_> = (0..2000).map(|_| number(random.below(1000))).collect();
        let workload = Workload::of_live(&draws, 600, 1);
        let end = workload.fill_count() + 500;
        let may_live = end - workload.fill_count()..end;
        let counts = |picked| -> Vec<_> {
            let picks = workload.picks(end, picked).into_iter().take(500);
            picks
                .map(|pick| may_live.clone().filter(|&index| workload.number(index) == pick).count())
                .collect()
        };
        assert!(counts(Picked::WithOne).iter().all(|&count| count == 1));
        // The control.
        assert!(counts(Picked::AsStored).iter().any(|&count| count > 1));
    }

    #[test]
    fn scattering_maps_no_two_ranks_to_one() {
        let mut seen = vec![false; narrow(NUMBERS)];
        for rank in 0..NUMBERS {
            assert!(!std::mem::replace(&mut seen[narrow(scattered(rank))], true), "rank {rank}");
        }
    }
}
