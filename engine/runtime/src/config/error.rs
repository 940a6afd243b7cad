//! What is wrong with a configuration, and where.

use core::fmt;

use herald_core::nearest_name;

use super::properties::PROPERTIES;

/// Properties whose values are telephone numbers, or may be by mistake: no error says them.
const UNSAID: [&str; 2] = ["cover_numbers", "key_prefetch"];
/// What is wrong with a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub(super) line: Option<usize>,
    pub(super) message: String,
}

impl ConfigError {
    /// The line of the file, from 1, if it is about one.
    pub const fn line(&self) -> Option<usize> {
        self.line
    }

    /// Something is wrong with the settings as a whole.
    #[cold]
    pub fn new(message: impl Into<String>) -> Self {
        Self { line: None, message: message.into() }
    }

    #[cold]
    pub(super) fn unknown(name: &str) -> Self {
        let nearest = nearest_name(name, PROPERTIES.iter().map(|property| property.name)).unwrap_or("");
        Self::new(format!("there is no property {name:?}; the nearest is {nearest:?}"))
    }

    #[cold]
    pub(super) fn value(name: &str, value: &str, wanted: &str) -> Self {
        match UNSAID.contains(&name) {
            true => Self::new(format!("{name} does not take what it is given; it takes {wanted}")),
            false => Self::new(format!("{name} does not take {value:?}; it takes {wanted}")),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl core::error::Error for ConfigError {}
