//! The machine's clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use herald_core::{Clock, Timestamp};

/// The wall clock as it was when the engine opened, advanced by the monotonic clock since.
#[derive(Debug)]
pub struct SystemClock {
    anchor: Timestamp,
    opened: Instant,
}

impl SystemClock {
    /// A clock that begins with the wall clock, but not before `earliest`: an engine that comes back after the
    /// wall clock was set back must not relive times it has already served.
    pub fn starting_at(earliest: Timestamp) -> Self {
        Self { anchor: wall_clock().max(earliest), opened: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let elapsed = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.anchor.plus_millis(elapsed)
    }
}

/// The wall clock, which `iat` is compared with. It may step.
pub fn wall_clock() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Timestamp::from_millis(u64::try_from(since_epoch).unwrap_or(u64::MAX))
}
