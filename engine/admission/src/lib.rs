//! Admission: which stores a service takes from whom it does not know (RFC 8816 §7.5).
//!
//! A storer proves with an anonymous token that somebody vouched for it, not who it is. Checking a token takes public-key
//! work, so a token is checked once: with its first store it opens a *session*, and further stores carry a counter and a
//! MAC under a key that follows from the token. How many stores a token is good for is the policy of its *class*. Keys,
//! sessions and spent tokens belong to an *epoch* and are forgotten with it.
//!
//! [`Admission`] is the books, one for all threads; a [`Judge`] reads them for one thread. What has to happen outside comes
//! out as a value and its outcome goes back in: a [`Redemption`] is work for a rate control plugin, a [`SpentRecord`] is for
//! the journal. There is no clock, disk, network or thread here.
//!
//! The way of a token: [`Judge::judge`] → [`Admission::reserve`] → the plugin redeems it → [`Admission::settle`] → its record
//! is made durable → [`Admission::commit`]. Only then its store is accepted. Where the way is left, the token is free again
//! ([`Admission::release`], [`Admission::withdraw`]), so nobody's wrong MAC burns a token.

mod admission;
pub mod directory;
mod epoch;
mod granted;
mod item_id;
mod judge;
pub mod limits;
mod mac;
mod pacing;
mod policy;
mod queue;
mod quota;
mod ready;
mod refusal;
mod room;
mod session;
mod spent;
mod standing;
mod sync;
pub mod wire;

use core::fmt;

pub use admission::{Admission, DirectoryState, Redemption, Settled, SpentRecord, Verdict};
pub use epoch::{IssuerKey, KeyError};
pub use granted::Granted;
pub use judge::{ContinuedStore, Judge, Judgement};
pub use mac::{MacKey, StoreInput, Suite};
pub use pacing::Pacer;
pub use policy::{Class, ClassPolicy, Settings, SettingsError};
pub use queue::{Outcome, RedemptionQueue};
pub use quota::{Identity, IssuanceQuota, QuotaRefusal};
pub use refusal::Refusal;
pub use wire::{Challenge, Continued, Credential, Mode, Presented, Seal, TokenId, TokenInput, WireError};

/// Why a service's books cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewError {
    /// A setting is out of its bounds.
    Setting(SettingsError),
    /// The service's name is none.
    Name(WireError),
}

impl fmt::Display for NewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(error) => error.fmt(f),
            Self::Name(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for NewError {}

impl From<SettingsError> for NewError {
    fn from(error: SettingsError) -> Self {
        Self::Setting(error)
    }
}

impl From<WireError> for NewError {
    fn from(error: WireError) -> Self {
        Self::Name(error)
    }
}
