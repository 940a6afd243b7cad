//! The classes of placements: how long each may live.

use crate::limits::{MESSAGE_RETENTION_MAX_MS, RETENTION_MAX_MS};

/// What a placement is about. All of one class live equally long; each class has placements, cover and bounds of its own.
///
/// Bodies are sealed, so only who stores can say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlacementClass {
    /// A call. What is stored without a word about its class.
    #[default]
    Call,
    /// A message (RFC 9475), whose reader may be away for days.
    Message,
}

impl PlacementClass {
    /// Every class.
    pub const ALL: [Self; 2] = [Self::Call, Self::Message];

    /// Its name, in media types and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Message => "message",
        }
    }

    /// The class of this name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name().eq_ignore_ascii_case(name))
    }

    /// The longest retention that it may be given, in milliseconds.
    pub const fn retention_max_ms(self) -> u64 {
        match self {
            Self::Call => RETENTION_MAX_MS,
            Self::Message => MESSAGE_RETENTION_MAX_MS,
        }
    }
}
