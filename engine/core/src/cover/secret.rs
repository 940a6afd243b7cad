//! The secret behind the cover, and how it forgets.
//!
//! One key per epoch, each the one-way image of the last. Once the dummies of an epoch have expired its key is
//! gone, so whoever takes the machine later cannot tell past dummies from past calls.

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::limits::{
    COVER_EPOCH_WINDOWS, COVER_EPOCH_WINDOWS_LONG, COVER_EPOCHS_BEHIND_MAX, RETENTION_MAX_MS,
};
use crate::random::Random;
use crate::time::{Retention, Timestamp};

/// The secret of a cover schedule. Written down with [`to_bytes`](Self::to_bytes), it lets the same dummies live
/// on across a restart, as real items do.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct CoverSecret {
    phase_key: [u8; 32],
    chain_key: [u8; 32],
    #[zeroize(skip)]
    epoch: u64,
}

impl CoverSecret {
    /// How many bytes [`to_bytes`](Self::to_bytes) gives.
    pub const BYTES: usize = 72;

    /// A new secret, for an engine that begins at `now`.
    pub fn generate(random: &dyn Random, retention: Retention, now: Timestamp) -> Self {
        Self { phase_key: random.key(), chain_key: random.key(), epoch: oldest_epoch(retention, now) }
    }

    /// The secret as bytes: phase key, chain key, epoch (little endian).
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..32].copy_from_slice(&self.phase_key);
        bytes[32..64].copy_from_slice(&self.chain_key);
        bytes[64..].copy_from_slice(&self.epoch.to_le_bytes());
        bytes
    }

    /// The secret that `bytes` were made from, if it can serve at `now`.
    ///
    /// It cannot when it has already forgotten the epoch of `now` (the clock stepped back across a restart), or
    /// when it lies so far behind that the bytes must be damaged; the caller then generates a new one. It does so too when
    /// the retention is another than before, which cannot be told from here: the dummies would be others anyway.
    pub fn from_bytes(bytes: &[u8; Self::BYTES], retention: Retention, now: Timestamp) -> Option<Self> {
        let key = |at: usize| core::array::from_fn(|index| bytes[at + index]);
        let epoch = u64::from_le_bytes(core::array::from_fn(|index| bytes[64 + index]));
        let needed = oldest_epoch(retention, now);
        (epoch <= needed && needed - epoch <= COVER_EPOCHS_BEHIND_MAX).then(|| Self {
            phase_key: key(0),
            chain_key: key(32),
            epoch,
        })
    }

    /// Forgets the epochs whose dummies have all expired at `now`. Returns whether anything was forgotten: then
    /// the secret must be written down anew.
    pub fn advance(&mut self, retention: Retention, now: Timestamp) -> bool {
        let needed = oldest_epoch(retention, now);
        let forgets = needed > self.epoch;
        while needed > self.epoch {
            let mut next = next_chain_key(&self.chain_key);
            self.chain_key.copy_from_slice(&next);
            next.zeroize();
            self.epoch += 1;
        }
        forgets
    }

    pub(super) const fn phase_key(&self) -> &[u8; 32] {
        &self.phase_key
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The key that the dummies of the `ahead`-th epoch from the oldest one kept are drawn with.
    pub(super) fn epoch_key(&self, ahead: u64) -> [u8; 32] {
        let mut chain = self.chain_key;
        for _ in 0..ahead {
            chain = next_chain_key(&chain);
        }
        let key = blake3::derive_key("herald 2026 cover epoch key v1", &chain);
        chain.zeroize();
        key
    }
}

impl fmt::Debug for CoverSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CoverSecret(epoch {})", self.epoch)
    }
}

fn next_chain_key(chain: &[u8; 32]) -> [u8; 32] {
    blake3::derive_key("herald 2026 cover chain key v1", chain)
}

/// The window that `at` lies in: windows are one retention long.
pub(super) const fn window_at(retention: Retention, at: Timestamp) -> u64 {
    at.as_millis() / retention.as_millis()
}

/// The epoch of a window, of this retention.
pub(super) const fn epoch_of_window(retention: Retention, window: u64) -> u64 {
    let is_long = retention.as_millis() > RETENTION_MAX_MS;
    window / if is_long { COVER_EPOCH_WINDOWS_LONG } else { COVER_EPOCH_WINDOWS }
}

/// The epoch of the oldest dummy that may be live at `now`: one born a retention ago. A base dummy counts from
/// its number's phase, which puts it up to one window further back.
fn oldest_epoch(retention: Retention, now: Timestamp) -> u64 {
    epoch_of_window(retention, window_at(retention, now).saturating_sub(2))
}
