//! What a service allows: its name, its epochs and, for each class of storers, how much one token is good for.

use core::fmt;

use crate::limits::{
    CLASSES_MAX, EPOCH_DEFAULT_MS, EPOCH_MAX_MS, EPOCH_MIN_MS, EPOCHS_AHEAD_MAX, LIVE_PER_IDENTITY,
    QUOTA_MAX, SESSION_LIFE_DEFAULT_MS, SESSION_LIFE_MAX_MS, SESSION_LIFE_MIN_MS, SESSIONS_DEFAULT,
    SESSIONS_MAX, SPENT_DEFAULT,
};
use crate::mac::Suite;
use crate::session::COUNT_MAX;

/// A class of storers, by its place in [`Settings::classes`]. Each has issuing keys of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Class(pub u8);

/// How much one token of a class is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassPolicy {
    /// What the issuer directory calls the class.
    pub name: String,
    /// Stores of one token: 1 to [`QUOTA_MAX`].
    pub stores: u32,
    /// Placements of one token that may live under one number, 1 to 255. From `stores` on nobody counts.
    pub stores_per_number: u32,
    /// By how many stores a report of a bogus item lowers what is left.
    pub report_costs: u32,
    /// Tokens that one identity may have of one key: of the class in one epoch.
    pub tokens_per_identity: u32,
}

impl ClassPolicy {
    /// A telephone: a token serves one call, for all keys of the called party and retries. Its stores are linked anyway, by
    /// number and time. Eight calls in ten minutes, 16 at once.
    pub fn handset() -> Self {
        Self {
            name: "handset".to_owned(),
            stores: 4,
            stores_per_number: 4,
            report_costs: 1,
            tokens_per_identity: LIVE_PER_IDENTITY / 4,
        }
    }

    /// A gateway, which keeps its tokens open and picks one at random for each store: 4,096 in ten minutes.
    pub fn gateway() -> Self {
        Self {
            name: "gateway".to_owned(),
            stores: 256,
            stores_per_number: 2,
            report_costs: 64,
            tokens_per_identity: LIVE_PER_IDENTITY / 2,
        }
    }

    /// Whether stores are counted by number: not where a token is not good for more than one number may have.
    pub(crate) const fn counts_numbers(&self) -> bool {
        self.stores_per_number < self.stores
    }

    /// Whether the `nth` store of a token under a number, counted up to [`COUNT_MAX`], may be one too many.
    pub(crate) const fn may_be_beyond(&self, nth: u32) -> bool {
        nth > self.stores_per_number || nth == COUNT_MAX
    }
}

/// How a service admits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its host, with a port if that is not 443: what tokens are bound to.
    pub name: String,
    /// The type of its tokens.
    pub token_type: u16,
    /// The modes in which they may be presented, their codes or-ed.
    pub modes: u8,
    /// The MAC of stores.
    pub suite: Suite,
    /// How long keys, sessions and spent tokens are kept together.
    pub epoch_ms: u64,
    /// For how many epochs after the current one keys are made.
    pub epochs_ahead: u64,
    /// The classes: one to three.
    pub classes: Vec<ClassPolicy>,
    /// Sessions that may be open at a time.
    pub sessions_max: usize,
    /// How long one lives after its first store.
    pub session_life_ms: u64,
    /// Tokens that may be spent in one epoch.
    pub spent_max: u64,
}

impl Settings {
    /// The defaults, for tokens of a type and modes, at the service `name`.
    pub fn new(name: &str, token_type: u16, modes: u8) -> Self {
        Self {
            name: name.to_owned(),
            token_type,
            modes,
            suite: Suite::default(),
            epoch_ms: EPOCH_DEFAULT_MS,
            epochs_ahead: EPOCHS_AHEAD_MAX,
            classes: vec![ClassPolicy::handset(), ClassPolicy::gateway()],
            sessions_max: SESSIONS_DEFAULT,
            session_life_ms: SESSION_LIFE_DEFAULT_MS,
            spent_max: SPENT_DEFAULT,
        }
    }

    /// # Errors
    /// [`SettingsError`]: the first that is out of its bounds.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        let within = |name: &'static str, value: u64, least: u64, most: u64| {
            let is_within = (least..=most).contains(&value);
            if is_within { Ok(()) } else { Err(SettingsError { name, value, least, most }) }
        };
        within("epoch_ms", self.epoch_ms, EPOCH_MIN_MS, EPOCH_MAX_MS)?;
        within("epochs_ahead", self.epochs_ahead, 1, EPOCHS_AHEAD_MAX)?;
        within("session_life_ms", self.session_life_ms, SESSION_LIFE_MIN_MS, SESSION_LIFE_MAX_MS)?;
        within("sessions_max", self.sessions_max as u64, 1, SESSIONS_MAX as u64)?;
        within("spent_max", self.spent_max, 1, u64::MAX)?;
        within("classes", self.classes.len() as u64, 1, CLASSES_MAX as u64)?;
        for class in &self.classes {
            within("stores of a class", u64::from(class.stores), 1, u64::from(QUOTA_MAX))?;
            within("stores_per_number of a class", u64::from(class.stores_per_number), 1, 255)?;
        }
        Ok(())
    }
}

/// A setting out of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingsError {
    pub(crate) name: &'static str,
    pub(crate) value: u64,
    pub(crate) least: u64,
    pub(crate) most: u64,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}; it can be {} to {}", self.name, self.value, self.least, self.most)
    }
}

impl core::error::Error for SettingsError {}
