//! How many tokens an identity may have: so many of each key, that is of each class in each epoch.
//!
//! What an identity holds of an epoch bounds what it can store in that epoch, whenever it came for them. The issuer knows
//! identities and counts, and nothing of nonces or stores.

use core::fmt;
use std::collections::BTreeMap;

use herald_core::Timestamp;
use ring::digest::{SHA256, digest};

use crate::epoch::{Epochs, IssuerKey};
use crate::limits::IDENTITIES_MAX;
use crate::policy::Settings;

/// Who asks for tokens: a hash of what its certificate proves (its TNAuthList, RFC 8226).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity([u8; 16]);

impl Identity {
    /// The identity that these bytes stand for: the same bytes, the same identity.
    pub fn of(proven: &[u8]) -> Self {
        let hash = digest(&SHA256, proven);
        Self(hash.as_ref().first_chunk().copied().expect("SHA-256 has 32 bytes"))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

/// Why tokens are not issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaRefusal {
    /// The identity would have more tokens of this key than it may.
    Used {
        /// How many it may still have of it.
        left: u32,
        /// Seconds until the key's epoch is over. Keys of later epochs have quotas of their own.
        retry_after_s: u32,
    },
    /// As many identities are counted as may be.
    Full {
        /// Seconds until the first of them are forgotten.
        retry_after_s: u32,
    },
}

impl fmt::Display for QuotaRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Used { left, .. } => {
                write!(
                    f,
                    "{left} more tokens of this key can be had; ask for no more, or with a key of a later epoch"
                )
            }
            Self::Full { .. } => f.write_str("too many identities have asked for tokens; try again later"),
        }
    }
}

impl core::error::Error for QuotaRefusal {}

/// What was issued to whom. For one thread at a time.
#[derive(Debug)]
pub struct IssuanceQuota {
    epochs: Epochs,
    tokens_max: Vec<u32>,
    /// By epoch first, so that what is over stands in front.
    issued: BTreeMap<(u64, u8, Identity), u32>,
    identities_max: usize,
}

impl IssuanceQuota {
    /// With the quotas of the classes of `settings`, of which [`crate::Admission::new`] has seen that they are possible.
    pub fn new(settings: &Settings) -> Self {
        Self {
            epochs: Epochs { length_ms: settings.epoch_ms.max(1), ahead: settings.epochs_ahead },
            tokens_max: settings.classes.iter().map(|class| class.tokens_per_identity).collect(),
            issued: BTreeMap::new(),
            identities_max: IDENTITIES_MAX,
        }
    }

    /// Counts `tokens` that are to be issued under `key`. [`refund`](Self::refund) them if that fails.
    ///
    /// # Errors
    /// [`QuotaRefusal`]; nothing is counted.
    pub fn charge(
        &mut self,
        identity: Identity,
        key: &IssuerKey,
        tokens: u32,
        now: Timestamp,
    ) -> Result<(), QuotaRefusal> {
        self.forget(now);
        let place = (key.epoch, key.class.0, identity);
        let most = self.tokens_max.get(usize::from(key.class.0)).copied().unwrap_or(0);
        let issued = self.issued.get(&place).copied();
        let left = most.saturating_sub(issued.unwrap_or(0));
        if tokens > left {
            return Err(QuotaRefusal::Used { left, retry_after_s: self.epochs.until_next_s(key.epoch, now) });
        }
        if issued.is_none() && self.issued.len() >= self.identities_max {
            let first = self.issued.keys().next().map_or(key.epoch, |(epoch, ..)| *epoch);
            return Err(QuotaRefusal::Full { retry_after_s: self.epochs.left_s(first, now) });
        }
        *self.issued.entry(place).or_default() += tokens;
        Ok(())
    }

    /// Takes back what was charged and not issued.
    pub fn refund(&mut self, identity: Identity, key: &IssuerKey, tokens: u32) {
        if let Some(issued) = self.issued.get_mut(&(key.epoch, key.class.0, identity)) {
            *issued = issued.saturating_sub(tokens);
        }
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some(first) = self.issued.first_entry() {
            if !self.epochs.is_over(first.key().0, now) {
                return;
            }
            first.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Class, ClassPolicy};

    const EPOCH_MS: u64 = 600_000;
    const NOW: Timestamp = Timestamp::from_millis(100 * EPOCH_MS);

    fn quota(tokens_per_identity: u32) -> IssuanceQuota {
        let class = ClassPolicy { tokens_per_identity, ..ClassPolicy::handset() };
        IssuanceQuota::new(&Settings { classes: vec![class], ..Settings::new("cps.example", 5, 2) })
    }

    fn key(epoch: u64) -> IssuerKey {
        let (public_key, agreement_key) = (Vec::new(), Vec::new());
        IssuerKey { epoch, class: Class(0), id: [0; 32], handle: epoch, public_key, agreement_key }
    }

    #[test]
    fn an_identity_has_so_many_tokens_of_each_key_and_no_more() {
        let (mut quota, one, other) = (quota(100), Identity::of(b"SPC 1234"), Identity::of(b"SPC 5678"));
        assert_eq!(quota.charge(one, &key(100), 60, NOW), Ok(()));
        let refused = quota.charge(one, &key(100), 41, NOW);
        assert_eq!(refused, Err(QuotaRefusal::Used { left: 40, retry_after_s: 480 }));
        assert_eq!(quota.charge(one, &key(100), 40, NOW), Ok(()));
        assert_eq!(quota.charge(one, &key(101), 100, NOW), Ok(()), "another epoch");
        assert_eq!(quota.charge(other, &key(100), 100, NOW), Ok(()), "another identity");
        quota.refund(one, &key(100), 10);
        assert_eq!(quota.charge(one, &key(100), 10, NOW), Ok(()));
        assert!(quota.charge(one, &key(100), 1, NOW).is_err());
        // A key of that number whose epoch has come round does not exist; what was counted is gone all the same.
        assert_eq!(quota.charge(one, &key(103), 1, NOW.plus_millis(3 * EPOCH_MS)), Ok(()));
        assert_eq!(quota.issued.len(), 1);
    }

    #[test]
    fn a_full_table_refuses_newcomers_and_serves_who_is_in_it() {
        let mut quota = quota(100);
        quota.identities_max = 10;
        for index in 0..10u8 {
            assert_eq!(quota.charge(Identity::of(&[index]), &key(100), 1, NOW), Ok(()));
        }
        let refused = quota.charge(Identity::of(b"new"), &key(100), 1, NOW);
        assert_eq!(refused, Err(QuotaRefusal::Full { retry_after_s: 1200 }));
        assert_eq!(quota.charge(Identity::of(&[3]), &key(100), 99, NOW), Ok(()));
    }
}
