//! The issuer's keys: made ahead, kept, taken up again after a restart, dropped with their epoch.

use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::BTreeSet;

use herald_admission::{Class, IssuerKey, KeyError};
use herald_core::Timestamp;
use herald_journal::{KeptKey, Vault};
use zeroize::Zeroizing;

use super::kept_key::KeptBytes;
use super::{Books, wait_for};
use crate::engine::Level;
use crate::error::{EngineError, EngineErrorKind};
use crate::limits::{KEY_DEADLINE_MS, KEY_TRIES_MAX};
use crate::plugins::{NewKey, NotDone};

/// Names keys for the plugin: no two of one process have one name.
static LAST_HANDLE: AtomicU64 = AtomicU64::new(0);

fn next_handle() -> u64 {
    // Relaxed: only the value counts.
    LAST_HANDLE.fetch_add(1, Ordering::Relaxed) + 1
}

impl Books {
    /// Takes up what the vault holds: keys of this scheme and of epochs of this length, with what is spent of them. Anything
    /// else is dropped with all that was spent of it.
    pub(super) fn take_up(&self, vault: &Vault) -> Result<(), EngineError> {
        let now = self.now();
        let settings = self.admission.settings();
        let (mut kept, mut useless) = (BTreeSet::new(), Vec::new());
        for key in vault.keys()? {
            let Some(found) = KeptBytes::from_bytes(&key.bytes).filter(|found| {
                found.token_type == settings.token_type && found.epoch_ms == settings.epoch_ms
            }) else {
                useless.push((key.epoch, key.class));
                continue;
            };
            let issuer_key = IssuerKey {
                epoch: key.epoch,
                class: Class(key.class),
                id: found.id,
                handle: next_handle(),
                public_key: found.public_key,
                agreement_key: found.agreement_key,
            };
            let handle = issuer_key.handle;
            if self.add_to_plugin(handle, found.secret).is_ok()
                && self.admission.add_key(issuer_key, now).is_ok()
            {
                kept.insert(key.epoch);
            } else {
                self.plugin.key_drop(handle);
                useless.push((key.epoch, key.class));
            }
        }
        vault.drop_keys(&useless)?;
        let mut spent_count = 0;
        for epoch in vault.epochs() {
            if kept.contains(&epoch) {
                spent_count += self.restore_spent(vault, epoch, now)?;
            }
        }
        let count = self.admission.published_keys(now).len();
        self.say(Level::Info, &format!("took up {count} keys and {spent_count} spent tokens"));
        Ok(())
    }

    /// Makes the key that is wanted first, if its epoch is at most `epoch_max`. False if none is.
    pub(super) fn make_wanted(&self, epoch_max: u64) -> Result<bool, EngineError> {
        let wanted = self.admission.wanted_key(self.now()).filter(|(epoch, _)| *epoch <= epoch_max);
        let Some((epoch, class)) = wanted else { return Ok(false) };
        for _ in 0..KEY_TRIES_MAX {
            let deadline_ms = self.plugin_deadline_ms();
            let made = wait_for(|done| self.plugin.key_make(deadline_ms, done)).map_err(no_key)?;
            match self.add(epoch, class, made)? {
                Ok(()) => return Ok(true),
                Err(KeyError::TruncatedId) => {}
                // Time has gone on, or another was faster.
                Err(_) => return Ok(true),
            }
        }
        Err(EngineError::new(
            EngineErrorKind::Failed,
            format!(
                "admission: {KEY_TRIES_MAX} keys in a row had an id like another one's; look at the plugin"
            ),
        ))
    }

    /// Publishes a key once it is kept.
    fn add(&self, epoch: u64, class: Class, made: NewKey) -> Result<Result<(), KeyError>, EngineError> {
        let now = self.now();
        let key = IssuerKey {
            epoch,
            class,
            id: made.id,
            handle: next_handle(),
            public_key: made.public_key,
            agreement_key: made.agreement_key,
        };
        if self.admission.published_keys(now).iter().any(|other| other.truncated_id() == key.truncated_id()) {
            return Ok(Err(KeyError::TruncatedId));
        }
        if let Some(vault) = &self.vault {
            vault.put_keys(&[self.kept(&key, &made.secret)?])?;
        }
        let handle = key.handle;
        self.add_to_plugin(handle, made.secret).map_err(no_key)?;
        let added = self.admission.add_key(key, now);
        if added.is_err() {
            self.plugin.key_drop(handle);
        }
        Ok(added)
    }

    fn kept(&self, key: &IssuerKey, secret: &Zeroizing<Vec<u8>>) -> Result<KeptKey, EngineError> {
        let settings = self.admission.settings();
        let kept = KeptBytes {
            token_type: settings.token_type,
            epoch_ms: settings.epoch_ms,
            id: key.id,
            public_key: key.public_key.clone(),
            agreement_key: key.agreement_key.clone(),
            secret: secret.clone(),
        };
        let bytes = kept.to_bytes().ok_or_else(|| no_key(NotDone::Refused))?;
        Ok(KeptKey { epoch: key.epoch, class: key.class.0, bytes })
    }

    fn add_to_plugin(&self, handle: u64, secret: Zeroizing<Vec<u8>>) -> Result<(), NotDone> {
        let deadline_ms = self.plugin_deadline_ms();
        wait_for(|done| self.plugin.key_add(handle, &secret, deadline_ms, done))
    }

    fn plugin_deadline_ms(&self) -> u64 {
        let cost_ms = u64::from(self.plugin.scheme().key_cost_ms);
        self.now().as_millis() + KEY_DEADLINE_MS.max(20 * cost_ms)
    }

    /// Forgets what is over: keys, sessions and spent tokens in one stroke, in memory and on the disk.
    pub(super) fn drop_over(&self, now: Timestamp) -> Result<(), EngineError> {
        let dropped = self.admission.advance(now);
        for key in &dropped {
            self.plugin.key_drop(key.handle);
        }
        let Some(vault) = &self.vault else { return Ok(()) };
        let first = self.admission.epoch_at(now).saturating_sub(1);
        let is_any_over = !dropped.is_empty() || vault.epochs().first().is_some_and(|epoch| *epoch < first);
        if is_any_over {
            vault.drop_before(first)?;
        }
        Ok(())
    }
}

#[cold]
fn no_key(why: NotDone) -> EngineError {
    let why = match why {
        NotDone::Failed(why) | NotDone::Disabled(why) => why,
        other => format!("{other:?}"),
    };
    EngineError::new(EngineErrorKind::Failed, format!("admission: the plugin gives no key: {why}"))
}
