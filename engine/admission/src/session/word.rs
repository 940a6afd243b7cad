//! The word that decides over a session's stores.
//!
//! From the top: generation (10 bits, the lowest says that the slot is being written or holds nothing), reports (4), the
//! highest counter used (10), and which of the 40 counters up to it are used (bit 0 is the highest itself).

use crate::limits::{REPORTS_MAX, WINDOW_STORES};

/// What a session is good for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// Stores.
    pub(crate) stores: u32,
    /// Stores that each report takes off.
    pub(crate) report_costs: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Word {
    generation: u16,
    reports: u8,
    high: u32,
    window: u64,
}

const WINDOW_MASK: u64 = (1 << WINDOW_STORES) - 1;
const GENERATION_MASK: u16 = 0x3ff;

impl Word {
    #[inline]
    pub(crate) const fn from_bits(bits: u64) -> Self {
        // Zeroed memory is a closed slot, so the lowest bit of the generation is kept turned round.
        Self {
            generation: (bits >> 54) as u16 ^ 1,
            reports: (bits >> 50) as u8 & 0xf,
            high: (bits >> 40) as u32 & 0x3ff,
            window: bits & WINDOW_MASK,
        }
    }

    #[inline]
    pub(crate) const fn to_bits(self) -> u64 {
        ((self.generation ^ 1) as u64) << 54
            | (self.reports as u64) << 50
            | (self.high as u64) << 40
            | self.window
    }

    #[inline]
    pub(crate) const fn generation(self) -> u16 {
        self.generation
    }

    #[inline]
    pub(crate) const fn is_open(self) -> bool {
        self.generation & 1 == 0
    }

    /// The word of a slot that goes to another session and is not open yet.
    pub(crate) const fn next_closed(self) -> Self {
        let next = if self.is_open() { 1 } else { 2 };
        Self { generation: (self.generation + next) & GENERATION_MASK, reports: 0, high: 0, window: 0 }
    }

    /// Open, with one counter used.
    pub(crate) const fn opened(self, counter: u32) -> Self {
        let generation = (self.generation + 1) & GENERATION_MASK;
        Self { generation, reports: 0, high: counter & 0x3ff, window: 1 }
    }

    #[inline]
    pub(crate) const fn stores_left_of(self, limit: Limit) -> u32 {
        limit.stores.saturating_sub(self.reports as u32 * limit.report_costs)
    }

    /// The word with `counter` used as well; `None` if it is, or lies behind the window.
    #[inline]
    pub(crate) const fn with(self, counter: u32) -> Option<Self> {
        if counter > self.high {
            let ahead = counter - self.high;
            let window = if ahead < WINDOW_STORES { self.window << ahead & WINDOW_MASK | 1 } else { 1 };
            return Some(Self { high: counter, window, ..self });
        }
        let behind = self.high - counter;
        if behind >= WINDOW_STORES || self.window >> behind & 1 == 1 {
            return None;
        }
        Some(Self { window: self.window | 1 << behind, ..self })
    }

    /// The word with `counter` free again, if it still lies in the window.
    pub(crate) const fn without(self, counter: u32) -> Self {
        if counter > self.high || self.high - counter >= WINDOW_STORES {
            return self;
        }
        Self { window: self.window & !(1 << (self.high - counter)), ..self }
    }

    pub(crate) const fn reported(self) -> Self {
        let is_at_most = self.reports as u64 >= REPORTS_MAX;
        Self { reports: if is_at_most { self.reports } else { self.reports + 1 }, ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_word_takes_each_counter_once_whatever_their_order() {
        let fresh = Word::from_bits(0).next_closed().opened(0);
        let mut word = fresh;
        let (mut taken, mut random) = (HashSet::from([0]), 1u64);
        for step in 0..100_000u32 {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let counter = (step / 120 + (random >> 33) as u32 % 60).min(1023);
            if let Some(next) = word.with(counter) {
                assert!(taken.insert(counter), "{counter} twice");
                assert_eq!((next.generation(), next.reports), (word.generation(), word.reports));
                word = Word::from_bits(next.to_bits());
                assert_eq!(word, next);
            } else {
                let is_behind = word.high >= counter + WINDOW_STORES;
                assert!(taken.contains(&counter) || is_behind, "{counter} refused and not used");
            }
        }
        assert!(taken.len() > 800, "only {}", taken.len());
    }

    #[test]
    fn an_unused_slot_is_closed_and_each_use_of_it_has_a_generation_of_its_own() {
        let mut word = Word::from_bits(0);
        assert!(!word.is_open());
        let mut seen = HashSet::new();
        for _ in 0..511 {
            word = word.next_closed();
            assert!(!word.is_open() && seen.insert(word.generation()));
            word = word.opened(5);
            assert!(word.is_open() && seen.insert(word.generation()));
            assert_eq!(word.with(5), None);
            assert_eq!(word.without(5).with(5), Some(word));
        }
    }

    #[test]
    fn reports_take_their_share_until_nothing_is_left() {
        let (mut word, limit) = (Word::from_bits(0), Limit { stores: 256, report_costs: 64 });
        let mut left = Vec::new();
        for _ in 0..20 {
            left.push(word.stores_left_of(limit));
            word = word.reported();
        }
        assert_eq!(left[..6], [256, 192, 128, 64, 0, 0]);
        assert_eq!(word.reports, 15, "and no further");
    }
}
