//! What happened on a reactor, as numbers that any thread may read: aggregates only, nothing about one peer.

use core::sync::atomic::{AtomicU64, Ordering};

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
    }
}

impl Counters {
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
