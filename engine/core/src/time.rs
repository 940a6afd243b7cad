//! Time as the engine sees it: milliseconds on a clock that never steps back while the process lives.

use core::fmt;

use crate::class::PlacementClass;
use crate::limits;

/// A moment on the engine's clock, in milliseconds since the Unix epoch.
///
/// The clock is anchored to the wall clock when the engine opens and then advances monotonically, so a step of
/// the wall clock neither loses a placement early nor keeps it late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The moment `millis` later; the end of time if that lies beyond it.
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds since `earlier`; 0 if `earlier` is later.
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Where the engine reads its time.
///
/// Any thread may ask. Answers of one clock never step back.
pub trait Clock: Send + Sync {
    /// The moment now.
    fn now(&self) -> Timestamp;
}

/// How long a placement may be retrieved: one value for every placement of a class.
///
/// A lifetime chosen by each storer would tell a poller which items are real (they would differ from the
/// cover), so it belongs to the engine's policy. RFC 8816 §7.5 asks for no more than 60 seconds for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Retention(u64);

impl Retention {
    /// The default: 60 seconds.
    pub const DEFAULT: Self = Self(limits::RETENTION_DEFAULT_MS);

    /// A retention of calls, of `millis` milliseconds.
    ///
    /// # Errors
    /// Outside [`limits::RETENTION_MIN_MS`] ..= [`limits::RETENTION_MAX_MS`].
    // rfc8816:7.5-1.
    pub const fn from_millis(millis: u64) -> Result<Self, RetentionError> {
        Self::of(PlacementClass::Call, millis)
    }

    /// A retention of `millis` milliseconds for what is of `class`.
    ///
    /// # Errors
    /// Outside [`limits::RETENTION_MIN_MS`] ..= [`PlacementClass::retention_max_ms`].
    pub const fn of(class: PlacementClass, millis: u64) -> Result<Self, RetentionError> {
        if millis < limits::RETENTION_MIN_MS || millis > class.retention_max_ms() {
            return Err(RetentionError { class, millis });
        }
        Ok(Self(millis))
    }

    /// The retention in milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A retention outside its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionError {
    class: PlacementClass,
    millis: u64,
}

impl fmt::Display for RetentionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a {} retention of {} ms is outside {} to {} ms; RFC 8816 section 7.5 asks for 60000 ms at most for a call",
            self.class.name(),
            self.millis,
            limits::RETENTION_MIN_MS,
            self.class.retention_max_ms()
        )
    }
}

impl core::error::Error for RetentionError {}
