//! What happened with a source so far.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::plugins::Outcome;

/// What happened with one source of services so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCounters {
    /// Questions it was asked.
    pub asked: u64,
    /// Of these, to renew what was kept before it was over.
    pub refreshed: u64,
    /// Calls that waited for a question another call had asked.
    pub joined: u64,
    /// Calls that were answered from what was kept.
    pub kept: u64,
    /// Answers with services.
    pub found: u64,
    /// Answers that there are none.
    pub nothing: u64,
    /// Questions it failed at.
    pub failed: u64,
    /// Questions it did not answer in time.
    pub timed_out: u64,
}

// All relaxed: each counts for itself.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) asked: AtomicU64,
    pub(super) refreshed: AtomicU64,
    pub(super) joined: AtomicU64,
    pub(super) kept: AtomicU64,
    found: AtomicU64,
    nothing: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
}

pub(super) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn count(&self, outcome: &Outcome) {
        add(match outcome {
            Outcome::Found(_) => &self.found,
            Outcome::Nothing { .. } => &self.nothing,
            Outcome::Failed(_) | Outcome::Busy | Outcome::Disabled(_) => &self.failed,
            Outcome::TimedOut => &self.timed_out,
        });
    }

    pub(super) fn snapshot(&self) -> SourceCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SourceCounters {
            asked: read(&self.asked),
            refreshed: read(&self.refreshed),
            joined: read(&self.joined),
            kept: read(&self.kept),
            found: read(&self.found),
            nothing: read(&self.nothing),
            failed: read(&self.failed),
            timed_out: read(&self.timed_out),
        }
    }
}
