//! What happened on a reactor, as numbers that any thread may read: aggregates only, nothing about one peer.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

/// Why a connection ended before its peer wanted it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Hello,
    Header,
    Stall,
    Idle,
    Close,
}

/// The live counters of one reactor, written by it alone.
///
/// Every access is Relaxed: the numbers order nothing.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    accepted: AtomicU64,
    accept_errors: AtomicU64,
    open: AtomicU64,
    requests: AtomicU64,
    refused: AtomicU64,
    handshakes: AtomicU64,
    handshakes_failed: AtomicU64,
    hello_timeouts: AtomicU64,
    header_timeouts: AtomicU64,
    body_timeouts: AtomicU64,
    write_stalls: AtomicU64,
    idle_closes: AtomicU64,
    panics: AtomicU64,
    answers: [AtomicU64; 6],
    reading: LiveDurations,
    writing: LiveDurations,
}

/// How long requests took, written by one thread.
#[derive(Debug, Default)]
struct LiveDurations {
    buckets: [AtomicU64; DURATION_BUCKETS],
    sum_us: AtomicU64,
}

/// Buckets of durations: each reaches twice as far as the one before, the first [`DURATION_FIRST_US`], the last for ever.
pub const DURATION_BUCKETS: usize = 20;
/// How far the first bucket reaches, in microseconds.
pub const DURATION_FIRST_US: u64 = 32;

/// How long requests took, from the turn in which their head was read to their answer: for each bucket how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// Requests by how long they took.
    pub buckets: [u64; DURATION_BUCKETS],
    /// In all, in microseconds.
    pub sum_us: u64,
}

/// The counters of one reactor at one moment, since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CountersSnapshot {
    /// Connections accepted.
    pub accepted: u64,
    /// Accepts that failed for a reason of our own system (descriptors, memory).
    pub accept_errors: u64,
    /// Connections open now.
    pub open: u64,
    /// Requests whose head arrived in full.
    pub requests: u64,
    /// Requests refused here, before the service saw them.
    pub refused: u64,
    /// TLS handshakes completed.
    pub handshakes: u64,
    /// TLS handshakes that failed.
    pub handshakes_failed: u64,
    /// Connections closed because the handshake or the first bytes took too long.
    pub hello_timeouts: u64,
    /// Connections closed because a request head took too long.
    pub header_timeouts: u64,
    /// Requests refused because their body took too long.
    pub body_timeouts: u64,
    /// Connections closed because the peer did not take its answers.
    pub write_stalls: u64,
    /// Connections closed because nothing was asked for too long.
    pub idle_closes: u64,
    /// Requests lost to a broken invariant in the service or here.
    pub panics: u64,
    /// Answers by the hundreds of their status: 1xx in its place, others at 0.
    pub answers: [u64; 6],
    /// Requests with GET and HEAD that were taken in whole.
    pub reading: Durations,
    /// Other requests that were taken in whole.
    pub writing: Durations,
}

impl core::ops::AddAssign for CountersSnapshot {
    /// Of several reactors.
    fn add_assign(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.accept_errors += other.accept_errors;
        self.open += other.open;
        self.requests += other.requests;
        self.refused += other.refused;
        self.handshakes += other.handshakes;
        self.handshakes_failed += other.handshakes_failed;
        self.hello_timeouts += other.hello_timeouts;
        self.header_timeouts += other.header_timeouts;
        self.body_timeouts += other.body_timeouts;
        self.write_stalls += other.write_stalls;
        self.idle_closes += other.idle_closes;
        self.panics += other.panics;
        self.answers.iter_mut().zip(other.answers).for_each(|(sum, more)| *sum += more);
        self.reading += other.reading;
        self.writing += other.writing;
    }
}

impl core::ops::AddAssign for Durations {
    fn add_assign(&mut self, other: Self) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(sum, more)| *sum += more);
        self.sum_us += other.sum_us;
    }
}

impl Durations {
    /// Up to how many microseconds each bucket but the last reaches.
    pub fn bounds_us() -> impl Iterator<Item = u64> {
        (0..DURATION_BUCKETS - 1).map(|index| DURATION_FIRST_US << index)
    }

    /// The bucket of a duration.
    fn bucket(us: u64) -> usize {
        let doublings = us.div_ceil(DURATION_FIRST_US).next_power_of_two().trailing_zeros();
        usize::try_from(doublings).unwrap_or(usize::MAX).min(DURATION_BUCKETS - 1)
    }
}

impl LiveDurations {
    fn count(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        add(&self.buckets[Durations::bucket(us)]);
        self.sum_us.store(read(&self.sum_us).wrapping_add(us), Ordering::Relaxed);
    }

    fn snapshot(&self) -> Durations {
        Durations { buckets: self.buckets.each_ref().map(read), sum_us: read(&self.sum_us) }
    }
}

impl Counters {
    /// A request was answered.
    pub(crate) fn answered(&self, status: u16) {
        add(&self.answers[usize::from(status / 100).min(5)]);
    }

    /// A request that was taken in whole took so long.
    pub(crate) fn took(&self, reads: bool, took: Duration) {
        let durations = if reads { &self.reading } else { &self.writing };
        durations.count(took);
    }

    pub(crate) fn accepted(&self) {
        add(&self.accepted);
    }

    pub(crate) fn accept_error(&self) {
        add(&self.accept_errors);
    }

    pub(crate) fn open(&self, connections: usize) {
        self.open.store(u64::try_from(connections).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn request(&self) {
        add(&self.requests);
    }

    pub(crate) fn refused(&self) {
        add(&self.refused);
    }

    pub(crate) fn body_timeout(&self) {
        add(&self.body_timeouts);
    }

    pub(crate) fn handshake(&self, succeeded: bool) {
        add(if succeeded { &self.handshakes } else { &self.handshakes_failed });
    }

    pub(crate) fn panic(&self) {
        add(&self.panics);
    }

    pub(crate) fn closed(&self, cause: Cause) {
        match cause {
            Cause::Hello => add(&self.hello_timeouts),
            Cause::Header => add(&self.header_timeouts),
            Cause::Stall => add(&self.write_stalls),
            Cause::Idle => add(&self.idle_closes),
            Cause::Close => {}
        }
    }

    pub(crate) fn snapshot(&self) -> CountersSnapshot {
        CountersSnapshot {
            accepted: read(&self.accepted),
            accept_errors: read(&self.accept_errors),
            open: read(&self.open),
            requests: read(&self.requests),
            refused: read(&self.refused),
            handshakes: read(&self.handshakes),
            handshakes_failed: read(&self.handshakes_failed),
            hello_timeouts: read(&self.hello_timeouts),
            header_timeouts: read(&self.header_timeouts),
            body_timeouts: read(&self.body_timeouts),
            write_stalls: read(&self.write_stalls),
            idle_closes: read(&self.idle_closes),
            panics: read(&self.panics),
            answers: self.answers.each_ref().map(read),
            reading: self.reading.snapshot(),
            writing: self.writing.snapshot(),
        }
    }
}

/// A plain load and store: there is one writer, so no locked instruction is needed.
fn add(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bucket_reaches_as_far_as_its_bound_says() {
        for (index, bound_us) in Durations::bounds_us().enumerate() {
            assert_eq!((Durations::bucket(bound_us), Durations::bucket(bound_us + 1)), (index, index + 1));
        }
        assert_eq!((Durations::bucket(0), Durations::bucket(u64::MAX >> 1)), (0, DURATION_BUCKETS - 1));
    }
}
