//! When the requests of one thread are due.

use core::time::Duration;
use std::time::Instant;

use crate::plan::Pace;

/// The requests of one thread, each with the moment it is due.
pub(crate) struct Schedule {
    start: Instant,
    end: Instant,
    pace: Pace,
    /// The schedule of all threads is dealt out like cards: this thread has every `threads`-th request.
    next_index: u64,
    threads: u64,
}

impl Schedule {
    pub(crate) fn new(
        start: Instant,
        length: Duration,
        pace: Pace,
        (thread, threads): (usize, usize),
    ) -> Self {
        let count = |value| u64::try_from(value).expect("a usize fits 64 bits");
        Self { start, end: start + length, pace, next_index: count(thread), threads: count(threads) }
    }

    /// When the next request is due, if it is by `now`. In a closed loop it always is.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        let at = self.at(now);
        (at <= now && at < self.end).then_some(at)
    }

    /// The request that was due has left.
    pub(crate) fn advance(&mut self) {
        self.next_index += self.threads;
    }

    /// Whether every request has left.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.at(now) >= self.end
    }

    /// Takes out what is left, with the moments it was due.
    pub(crate) fn rest(&mut self) -> impl Iterator<Item = Instant> {
        let end = self.end;
        core::iter::from_fn(move || {
            let at = self.at(end);
            self.advance();
            (at < end).then_some(at)
        })
    }

    fn at(&self, now: Instant) -> Instant {
        match self.pace {
            Pace::Closed => now,
            Pace::Open { rate_per_s } => {
                let nanos = u128::from(self.next_index) * 1_000_000_000 / u128::from(rate_per_s);
                self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
        }
    }
}
