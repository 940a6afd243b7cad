//! The settings of admission, as the property table fills them in. It opens no file but the roots.

use std::path::PathBuf;

use herald_admission::limits::{
    CLASSES_MAX, EPOCH_DEFAULT_MS, EPOCH_MAX_MS, EPOCH_MIN_MS, EPOCHS_AHEAD_MAX, LIVE_PER_IDENTITY,
    QUOTA_MAX, REDEMPTION_SHARE_PERMILLE, SESSIONS_DEFAULT, SESSIONS_MAX, SPENT_DEFAULT, SPENT_MAX,
};
use herald_admission::{Challenge, ClassPolicy, Settings, Suite};
use herald_stir::TrustStore;

use crate::config::{ConfigError, parse_duration};
use crate::error::{EngineError, EngineErrorKind};
use crate::files::read_pem;
use crate::limits::TOKEN_EPOCHS_AHEAD_DEFAULT;
use crate::plugin_loader::Scheme;

/// How stores over the network are admitted.
#[derive(Clone, Debug)]
pub(crate) struct AdmissionSettings {
    /// The rate control plugin; without one everybody may store.
    pub(crate) plugin: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) epoch_ms: u64,
    pub(crate) epochs_ahead: u64,
    pub(crate) classes: Vec<ClassPolicy>,
    pub(crate) mac: Suite,
    pub(crate) sessions_max: usize,
    /// Tokens of an epoch.
    pub(crate) spent_max: u64,
    pub(crate) share_percent: u32,
    pub(crate) roots: Option<PathBuf>,
}

impl Default for AdmissionSettings {
    fn default() -> Self {
        Self {
            plugin: None,
            name: None,
            epoch_ms: EPOCH_DEFAULT_MS,
            epochs_ahead: TOKEN_EPOCHS_AHEAD_DEFAULT,
            classes: vec![ClassPolicy::handset(), ClassPolicy::gateway()],
            mac: Suite::default(),
            sessions_max: SESSIONS_DEFAULT,
            spent_max: SPENT_DEFAULT,
            share_percent: REDEMPTION_SHARE_PERMILLE / 10,
            roots: None,
        }
    }
}

impl AdmissionSettings {
    pub(crate) fn set_plugin(&mut self, value: &str) -> Result<(), &'static str> {
        self.plugin = match value {
            "" => return Err("none, or the name of a rate control plugin"),
            "none" => None,
            name => Some(name.to_owned()),
        };
        Ok(())
    }

    pub(crate) fn set_name(&mut self, value: &str) -> Result<(), &'static str> {
        Challenge::new(0, value).map_err(|_| "a host, with :PORT if that is not 443")?;
        self.name = Some(value.to_owned());
        Ok(())
    }

    pub(crate) fn set_epoch(&mut self, value: &str) -> Result<(), &'static str> {
        let millis = parse_duration(value).and_then(|epoch| u64::try_from(epoch.as_millis()).ok());
        let millis = millis.filter(|millis| (EPOCH_MIN_MS..=EPOCH_MAX_MS).contains(millis));
        self.epoch_ms = millis.ok_or("a duration from 1s to 1440m")?;
        Ok(())
    }

    pub(crate) fn set_epochs_ahead(&mut self, value: &str) -> Result<(), &'static str> {
        let count = value.parse().ok().filter(|count| (1..=EPOCHS_AHEAD_MAX).contains(count));
        self.epochs_ahead = count.ok_or("a count from 1 to 64")?;
        Ok(())
    }

    /// `NAME=STORES[:TOKENS][,...]`: a class that has a default keeps the rest of it.
    pub(crate) fn set_classes(&mut self, value: &str) -> Result<(), &'static str> {
        const WANTED: &str = "up to 3 of NAME=STORES, or NAME=STORES:TOKENS, as in handset=4:8,gateway=256; stores from 1 to 1024, tokens from 1";
        let classes: Option<Vec<_>> = value.split(',').map(|class| read_class(class.trim())).collect();
        let classes = classes.filter(|classes| (1..=CLASSES_MAX).contains(&classes.len())).ok_or(WANTED)?;
        let is_twice =
            |class: &ClassPolicy| classes.iter().filter(|other| other.name == class.name).count() > 1;
        if classes.iter().any(is_twice) {
            return Err(WANTED);
        }
        self.classes = classes;
        Ok(())
    }

    pub(crate) fn set_mac(&mut self, value: &str) -> Result<(), &'static str> {
        self.mac = Suite::of_name(value).ok_or("hmac-sha256-128 or aes-128-gmac")?;
        Ok(())
    }

    pub(crate) fn set_sessions(&mut self, value: &str) -> Result<(), &'static str> {
        let count = value.parse().ok().filter(|count| (1..=SESSIONS_MAX).contains(count));
        self.sessions_max = count.ok_or("a count from 1 to 67108864")?;
        Ok(())
    }

    pub(crate) fn set_spent(&mut self, value: &str) -> Result<(), &'static str> {
        let count = value.parse().ok().filter(|count| (1..=SPENT_MAX).contains(count));
        self.spent_max = count.ok_or("a count from 1 to 1000000000")?;
        Ok(())
    }

    pub(crate) fn set_share(&mut self, value: &str) -> Result<(), &'static str> {
        let percent = value.parse().ok().filter(|percent| (1..=100).contains(percent));
        self.share_percent = percent.ok_or("a percentage from 1 to 100")?;
        Ok(())
    }

    /// With the tokens of this scheme.
    pub(super) fn of_scheme(&self, scheme: &Scheme) -> Result<Settings, ConfigError> {
        let name = self.name.as_deref().ok_or_else(|| {
            ConfigError::new("admission is set: set token_name to the host that storers know this service by")
        })?;
        let modes = u8::try_from(scheme.modes & 0xff).unwrap_or(u8::MAX);
        Ok(Settings {
            suite: self.mac,
            epoch_ms: self.epoch_ms,
            epochs_ahead: self.epochs_ahead,
            classes: self.classes.clone(),
            sessions_max: self.sessions_max,
            spent_max: self.spent_max,
            ..Settings::new(name, scheme.token_type, modes)
        })
    }

    /// Whose certificates count. Nobody's if no roots are set.
    pub(crate) fn trust(&self) -> Result<Option<TrustStore>, EngineError> {
        let Some(path) = &self.roots else { return Ok(None) };
        let trust = TrustStore::from_pem(&read_pem(path)?).map_err(|error| {
            EngineError::new(EngineErrorKind::Argument, format!("{}: {error}", path.display()))
        })?;
        Ok(Some(trust))
    }
}

fn read_class(class: &str) -> Option<ClassPolicy> {
    let (name, stores) = class.split_once('=')?;
    let is_name = |sign: u8| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == b'-';
    let (stores, tokens) = match stores.split_once(':') {
        Some((stores, tokens)) => (stores, Some(tokens.parse().ok().filter(|tokens| *tokens > 0)?)),
        None => (stores, None),
    };
    let stores = stores.parse().ok().filter(|stores| (1..=QUOTA_MAX).contains(stores))?;
    if name.is_empty() || name.len() > 32 || !name.bytes().all(is_name) {
        return None;
    }
    let usual = if stores <= 16 { ClassPolicy::handset() } else { ClassPolicy::gateway() };
    let stores_per_number = if stores <= 16 { stores } else { usual.stores_per_number };
    let tokens_per_identity = tokens.unwrap_or((LIVE_PER_IDENTITY / stores_per_number).max(1));
    Some(ClassPolicy { name: name.to_owned(), stores, stores_per_number, tokens_per_identity, ..usual })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_identity_may_have_under_a_number_in_an_epoch_makes_its_tokens() {
        for (class, stores_per_number, tokens) in [
            ("handset=1", 1, 32),
            ("handset=4", 4, 8),
            ("handset=16", 16, 2),
            ("gateway=256", 2, 16),
            ("gateway=256:2000", 2, 2000),
        ] {
            let policy = read_class(class).expect("a class");
            let read = (policy.stores_per_number, policy.tokens_per_identity);
            assert_eq!(read, (stores_per_number, tokens), "{class}");
        }
    }
}
