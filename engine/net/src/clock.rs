//! Where reactors and clients read the time: the system's monotonic clock, or one that a test moves by hand.
//!
//! Knows nothing of wall-clock time; a deadline here is never more than minutes away.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::time::Instant;

/// A monotonic clock. Any thread may ask; answers never step back.
pub trait Clock: Send + Sync {
    /// The moment now.
    fn now(&self) -> Instant;
}

/// The system's monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that stands still until it is moved, for tests of deadlines.
#[derive(Debug)]
pub struct ManualClock {
    start: Instant,
    advanced_us: AtomicU64,
}

impl ManualClock {
    /// A clock that stands at the moment of this call.
    pub fn new() -> Self {
        Self { start: Instant::now(), advanced_us: AtomicU64::new(0) }
    }

    /// Moves the clock on, to the microsecond. Reactors notice in their next turn.
    pub fn advance(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        // SeqCst: a test moves the clock on one thread and reads the consequence on another.
        self.advanced_us.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.start + Duration::from_micros(self.advanced_us.load(Ordering::SeqCst))
    }
}
