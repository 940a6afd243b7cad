//! Why a store is refused: which limit, and when to come back.
//!
//! A refusal depends on the token, what it has stored itself, and the service's own load, never on what others have under a
//! number. That a number or a class is full there is no refusal of admission: the service says so, and by a bound that is
//! blurred.

use core::fmt;

use crate::wire::WireError;

/// Why a store was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The credential cannot be read.
    Malformed(WireError),
    /// There is no credential.
    Missing,
    /// The token is of another type than this service takes, or presented in a way it does not do.
    Scheme,
    /// The token was made for another service.
    Service,
    /// The token's key is not of this service, or its epoch is over or to come.
    Key,
    /// The token has no open session (any more).
    NoSession,
    /// The token was spent.
    Spent,
    /// The token, the MAC or the signature is not valid. Nothing was spent by it.
    Proof,
    /// The token is used up.
    Used,
    /// This store was made before and is gone, or another was made with its counter.
    Repeated,
    /// The token has stored enough under this number.
    NumberUsed,
    /// The token is being redeemed for another request.
    Redeeming,
    /// Too many tokens wait to be redeemed.
    Queue {
        /// Seconds until there should be room.
        retry_after_s: u32,
    },
    /// There are as many sessions as there may be.
    SessionsFull {
        /// Seconds until some will have ended.
        retry_after_s: u32,
    },
    /// As many tokens of its epoch were spent as may be.
    EpochFull {
        /// Seconds until the epoch is over.
        retry_after_s: u32,
    },
    /// Tokens cannot be redeemed now: the plugin failed or the mark could not be written down. Nothing was spent.
    Unavailable,
}

impl Refusal {
    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed(WireError::Scheme) => 401,
            Self::Malformed(_) => 400,
            Self::Missing | Self::Scheme | Self::Service | Self::Key => 401,
            Self::NoSession | Self::Spent | Self::Proof => 401,
            Self::Used | Self::Repeated | Self::NumberUsed | Self::Redeeming | Self::Queue { .. } => 429,
            Self::SessionsFull { .. } | Self::EpochFull { .. } | Self::Unavailable => 503,
        }
    }

    /// When it may be tried again, in seconds, for statuses that say so. 0: at once, with another token or counter.
    pub const fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::Used | Self::Repeated | Self::NumberUsed => Some(0),
            Self::Redeeming => Some(1),
            Self::Unavailable => Some(5),
            Self::Queue { retry_after_s }
            | Self::SessionsFull { retry_after_s }
            | Self::EpochFull { retry_after_s } => Some(*retry_after_s),
            _ => None,
        }
    }

    /// The names of all, each at its [`index`](Self::index).
    pub const KINDS: [&str; 16] = [
        "credential",
        "token-needed",
        "token-type",
        "token-service",
        "token-key",
        "no-session",
        "token-spent",
        "token-proof",
        "token-used",
        "counter-repeated",
        "token-number",
        "token-redeeming",
        "redemption-queue",
        "sessions-full",
        "epoch-full",
        "redemption-unavailable",
    ];

    /// Its place in [`KINDS`](Self::KINDS).
    pub const fn index(&self) -> usize {
        match self {
            Self::Malformed(_) => 0,
            Self::Missing => 1,
            Self::Scheme => 2,
            Self::Service => 3,
            Self::Key => 4,
            Self::NoSession => 5,
            Self::Spent => 6,
            Self::Proof => 7,
            Self::Used => 8,
            Self::Repeated => 9,
            Self::NumberUsed => 10,
            Self::Redeeming => 11,
            Self::Queue { .. } => 12,
            Self::SessionsFull { .. } => 13,
            Self::EpochFull { .. } => 14,
            Self::Unavailable => 15,
        }
    }

    /// A name for programs.
    pub const fn kind(&self) -> &'static str {
        Self::KINDS[self.index()]
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed(error) => return error.fmt(f),
            Self::Missing => {
                "stores need a token of this service; its issuer directory says where to have one"
            }
            Self::Scheme => "this service takes no tokens of this type or mode",
            Self::Service => "the token was made for another service",
            Self::Key => "the token's key is not in force here; fetch the issuer directory and a new token",
            Self::NoSession => "the token has no open session; open one with a token that was not used",
            Self::Spent => "the token was used before; use another",
            Self::Proof => "the token, MAC or signature is not valid; nothing was spent",
            Self::Used => "the token is used up; use another",
            Self::Repeated => "the token's counter was used before; use the next one",
            Self::NumberUsed => "the token has stored enough under this number; use another",
            Self::Redeeming => "the token is being redeemed for another request; try again in a second",
            Self::Queue { .. } => "too many tokens wait to be redeemed; open sessions go on; try again later",
            Self::SessionsFull { .. } => {
                "no more sessions can be opened now; open ones go on; try again later"
            }
            Self::EpochFull { .. } => {
                "no more tokens of this epoch can be taken; open sessions go on; use a token of a later one"
            }
            Self::Unavailable => "tokens cannot be redeemed now; open sessions go on; try again later",
        })
    }
}

impl core::error::Error for Refusal {}
