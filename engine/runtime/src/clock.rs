//! The machine's clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use herald_core::{Clock, Timestamp};

use crate::limits::CLOCK_WRITTEN_MS;

/// The wall clock as it was when the engine opened, advanced by the monotonic clock since.
#[derive(Debug)]
pub struct SystemClock {
    anchor: Timestamp,
    opened: Instant,
}

impl SystemClock {
    /// A clock that begins with the wall clock. If that shows less than `earliest`, the last that an earlier life
    /// wrote down, it was set back; then this one begins [`CLOCK_WRITTEN_MS`] later, since an engine must not
    /// relive times it has already served, and has served more than it wrote down.
    pub fn starting_at(earliest: Timestamp) -> Self {
        let wall = wall_clock();
        let anchor = if wall < earliest { earliest.plus_millis(CLOCK_WRITTEN_MS) } else { wall };
        Self { anchor, opened: Instant::now() }
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
