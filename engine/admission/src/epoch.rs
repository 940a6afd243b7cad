//! Which issuing keys there are: one for each class in each epoch, made ahead, accepted in the epochs around their own and
//! then dropped together with all that hangs on them. It makes no keys; plugins do.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

use herald_core::Timestamp;

use crate::limits::{CLASSES_MAX, EPOCH_GRACE_MS, EPOCHS_AHEAD_MAX};
use crate::policy::{Class, Settings};

/// An issuing key as the books know it. Its secret is the plugin's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerKey {
    /// The epoch: milliseconds since the Unix epoch over the length of one.
    pub epoch: u64,
    /// The class.
    pub class: Class,
    /// SHA-256 of the public key as published (RFC 9578).
    pub id: [u8; 32],
    /// What the plugin knows it by.
    pub handle: u64,
    /// As published in the issuer directory.
    pub public_key: Vec<u8>,
    /// The second public key of [`crate::Mode::Agreed`]; empty without one.
    pub agreement_key: Vec<u8>,
}

impl IssuerKey {
    /// What a token request calls it: the last byte of its id.
    pub fn truncated_id(&self) -> u8 {
        self.id[31]
    }
}

/// The epochs of a service: numbers, and which of them count when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epochs {
    pub(crate) length_ms: u64,
    pub(crate) ahead: u64,
}

impl Epochs {
    pub(crate) const fn at(self, now: Timestamp) -> u64 {
        now.as_millis() / self.length_ms
    }

    /// How long before and after their epoch its tokens may be opened too, in ms.
    const fn grace_ms(self) -> u64 {
        let quarter_ms = self.length_ms / 4;
        if quarter_ms < EPOCH_GRACE_MS { quarter_ms } else { EPOCH_GRACE_MS }
    }

    /// Whether tokens of `epoch` may be opened at `now`: in their own, and a little before and after.
    pub(crate) const fn opens(self, epoch: u64, now: Timestamp) -> bool {
        let grace_ms = self.grace_ms();
        let now_ms = now.as_millis();
        let (first, last) = (now_ms.saturating_sub(grace_ms), now_ms.saturating_add(grace_ms));
        first / self.length_ms <= epoch && epoch <= last / self.length_ms
    }

    /// Whether what was opened with tokens of `epoch` counts at `now`: in their own, the one before and the one after.
    pub(crate) const fn is_accepted(self, epoch: u64, now: Timestamp) -> bool {
        epoch.abs_diff(self.at(now)) <= 1
    }

    /// Whether everything of `epoch` is to be forgotten.
    pub(crate) const fn is_over(self, epoch: u64, now: Timestamp) -> bool {
        epoch + 1 < self.at(now)
    }

    /// The accepted epoch with these low bits.
    pub(crate) const fn accepted_of_low(self, low: u16, now: Timestamp) -> Option<u64> {
        let current = self.at(now);
        match low.wrapping_sub(current as u16) {
            0 => Some(current),
            1 => Some(current + 1),
            u16::MAX => current.checked_sub(1),
            _ => None,
        }
    }

    /// Seconds until `epoch` is over.
    pub(crate) const fn left_s(self, epoch: u64, now: Timestamp) -> u32 {
        seconds_until((epoch + 2).saturating_mul(self.length_ms), now)
    }

    /// Seconds until tokens of the epoch behind `epoch` may be opened.
    pub(crate) const fn until_next_s(self, epoch: u64, now: Timestamp) -> u32 {
        let begins_ms = (epoch + 1).saturating_mul(self.length_ms);
        seconds_until(begins_ms.saturating_sub(self.grace_ms()), now)
    }
}

const fn seconds_until(at_ms: u64, now: Timestamp) -> u32 {
    let left_s = at_ms.saturating_sub(now.as_millis()).div_ceil(1000);
    if left_s > u32::MAX as u64 { u32::MAX } else { left_s as u32 }
}

/// The keys of a service, those of later epochs first, as the issuer directory lists them.
#[derive(Debug)]
pub(crate) struct KeyBook {
    epochs: Epochs,
    class_count: u8,
    keys: Vec<Arc<IssuerKey>>,
}

impl KeyBook {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            epochs: Epochs { length_ms: settings.epoch_ms, ahead: settings.epochs_ahead },
            class_count: u8::try_from(settings.classes.len()).unwrap_or(u8::MAX),
            keys: Vec::new(),
        }
    }

    /// The key that is missing and needed first.
    pub(crate) fn wanted(&self, now: Timestamp) -> Option<(u64, Class)> {
        let current = self.epochs.at(now);
        let classes = |epoch| (0..self.class_count).map(move |class| (epoch, Class(class)));
        (current..=current + self.epochs.ahead)
            .flat_map(classes)
            .find(|(epoch, class)| !self.keys.iter().any(|key| key.epoch == *epoch && key.class == *class))
    }

    pub(crate) fn add(&mut self, key: IssuerKey, now: Timestamp) -> Result<(), KeyError> {
        let current = self.epochs.at(now);
        if self.epochs.is_over(key.epoch, now) || key.epoch > current + self.epochs.ahead + 1 {
            return Err(KeyError::Epoch);
        }
        if key.class.0 >= self.class_count {
            return Err(KeyError::Class);
        }
        if self.keys.iter().any(|other| other.epoch == key.epoch && other.class == key.class) {
            return Err(KeyError::There);
        }
        if self.keys.iter().any(|other| other.truncated_id() == key.truncated_id()) {
            return Err(KeyError::TruncatedId);
        }
        self.keys.push(Arc::new(key));
        self.keys.sort_by_key(|key| (core::cmp::Reverse(key.epoch), key.class));
        Ok(())
    }

    /// Takes out the keys whose epochs are over.
    pub(crate) fn drop_over(&mut self, now: Timestamp) -> Vec<Arc<IssuerKey>> {
        let epochs = self.epochs;
        self.keys.extract_if(.., |key| epochs.is_over(key.epoch, now)).collect()
    }

    /// Those that tokens may be had of: of this epoch and later ones.
    pub(crate) fn published(&self, now: Timestamp) -> Vec<Arc<IssuerKey>> {
        let current = self.epochs.at(now);
        self.keys.iter().filter(|key| key.epoch >= current).cloned().collect()
    }

    /// The key of a class in an epoch.
    pub(crate) fn of(&self, epoch: u64, class: Class) -> Option<Arc<IssuerKey>> {
        self.keys.iter().find(|key| key.epoch == epoch && key.class == class).cloned()
    }

    /// All of them, as judges keep them at hand.
    pub(crate) fn at_hand(&self) -> KeysAtHand {
        let mut at_hand =
            KeysAtHand { by_id: BTreeMap::new(), ids: vec![None; EPOCHS_AT_HAND * CLASSES_MAX] };
        for key in &self.keys {
            at_hand.ids[place_of(key.epoch, key.class)] = Some((key.epoch, key.id));
            at_hand.by_id.insert(key.id, key.clone());
        }
        at_hand
    }
}

/// The keys as a judge keeps them at hand. It asks by time which of them count.
#[derive(Debug)]
pub(crate) struct KeysAtHand {
    pub(crate) by_id: BTreeMap<[u8; 32], Arc<IssuerKey>>,
    ids: Vec<Option<(u64, [u8; 32])>>,
}

/// More than are kept: the one before, the current one, those ahead and one more.
const EPOCHS_AT_HAND: usize = 2 * EPOCHS_AHEAD_MAX as usize;

fn place_of(epoch: u64, class: Class) -> usize {
    (epoch % EPOCHS_AT_HAND as u64) as usize * CLASSES_MAX + usize::from(class.0)
}

impl KeysAtHand {
    /// The id of the key of a class in an epoch.
    #[inline]
    pub(crate) fn id_of(&self, epoch: u64, class: Class) -> Option<&[u8; 32]> {
        let (of_epoch, id) = self.ids.get(place_of(epoch, class))?.as_ref()?;
        (*of_epoch == epoch).then_some(id)
    }
}

/// Why a key was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Its epoch is over, or too far ahead.
    Epoch,
    /// There is no such class.
    Class,
    /// The class has a key in that epoch.
    There,
    /// Another key has the same last byte in its id, by which requests name it: make another (RFC 9578 §5.5).
    TruncatedId,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Epoch => "the key is of an epoch that is over or too far ahead",
            Self::Class => "the key is of a class that is not configured",
            Self::There => "the class has a key in that epoch",
            Self::TruncatedId => "another key's id ends in the same byte; make another key",
        })
    }
}

impl core::error::Error for KeyError {}
