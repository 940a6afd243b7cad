//! What admission did so far, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use herald_admission::Refusal;

/// Every access is Relaxed: the numbers order nothing.
#[derive(Default)]
pub(crate) struct AdmissionCounters {
    redeemed: AtomicU64,
    issued: AtomicU64,
    refused: [AtomicU64; Refusal::KINDS.len()],
}

/// What admission did so far, and what it holds.
pub(crate) struct AdmissionStats {
    pub(crate) sessions: usize,
    pub(crate) spent: u64,
    /// Tokens that wait to be redeemed.
    pub(crate) waiting: usize,
    pub(crate) redeemed: u64,
    pub(crate) issued: u64,
    /// In the order of [`Refusal::KINDS`].
    pub(crate) refused: [u64; Refusal::KINDS.len()],
}

impl AdmissionCounters {
    /// Counts a store or opening that was not admitted.
    #[cold]
    pub(crate) fn refuse(&self, refusal: &Refusal) {
        self.refused[refusal.index()].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn redeem(&self) {
        self.redeemed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn issue(&self, count: u64) {
        self.issued.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn redeemed(&self) -> u64 {
        self.redeemed.load(Ordering::Relaxed)
    }

    pub(super) fn issued(&self) -> u64 {
        self.issued.load(Ordering::Relaxed)
    }

    pub(super) fn refused(&self) -> [u64; Refusal::KINDS.len()] {
        self.refused.each_ref().map(|counter| counter.load(Ordering::Relaxed))
    }
}
