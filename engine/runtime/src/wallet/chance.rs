//! Picks at random that nobody can predict.

use std::sync::Arc;

use herald_core::Random;

pub(super) struct Chance(pub(super) Arc<dyn Random>);

impl Chance {
    /// A number below `bound`; 0 for a bound of 0.
    pub(super) fn below(&self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        // 64 bits over a small bound: the bias is far below what anybody could see.
        usize::try_from(u64::from_le_bytes(bytes) % (bound.max(1) as u64)).unwrap_or(0)
    }

    /// As [`below`](Self::below), of milliseconds.
    pub(super) fn below_ms(&self, bound_ms: u64) -> u64 {
        self.below(usize::try_from(bound_ms).unwrap_or(usize::MAX)) as u64
    }
}
