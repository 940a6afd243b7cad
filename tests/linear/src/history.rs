//! What threads recorded: each call with its number and two stamps of one counter.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::Operation;

/// A call on one number.
#[derive(Clone, Debug)]
pub struct Event {
    /// Which number.
    pub number: u64,
    /// The stamp before the call.
    pub invoked: u64,
    /// The stamp after it; `u64::MAX` if it never returned.
    pub responded: u64,
    /// What it was and what it answered.
    pub operation: Operation,
}

/// The counter of stamps and the clock, shared by the threads of a run.
#[derive(Debug)]
pub struct Recorder {
    stamps: AtomicU64,
    clock_ms: AtomicU64,
    expiry_max: AtomicU64,
}

impl Recorder {
    /// With the clock at `now_ms`.
    pub const fn new(now_ms: u64) -> Self {
        Self { stamps: AtomicU64::new(0), clock_ms: AtomicU64::new(now_ms), expiry_max: AtomicU64::new(0) }
    }

    /// The next stamp. What happened before it on another thread has a lower one.
    pub fn stamp(&self) -> u64 {
        self.stamps.fetch_add(1, Ordering::SeqCst)
    }

    /// What the clock shows, in milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.clock_ms.load(Ordering::SeqCst)
    }

    /// Moves the clock on.
    pub fn advance(&self, millis: u64) {
        self.clock_ms.fetch_add(millis, Ordering::SeqCst);
    }

    /// Moves the clock on to `now_ms`, if it is not there yet.
    pub fn advance_to(&self, now_ms: u64) {
        self.clock_ms.fetch_max(now_ms, Ordering::SeqCst);
    }

    /// Notes that a placement with this expiry is about to be appended.
    pub fn note_expiry(&self, expires_at: u64) {
        self.expiry_max.fetch_max(expires_at, Ordering::SeqCst);
    }

    /// The latest expiry of any placement so far.
    pub fn expiry_max(&self) -> u64 {
        self.expiry_max.load(Ordering::SeqCst)
    }
}
