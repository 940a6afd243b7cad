//! The property table: every setting of the engine with its name, its form, its default and what it means.
//!
//! The same table serves the configuration file, the command line (`--name value`), the C API (name and value)
//! and the documentation. It opens no file but the one it is told to read.

mod error;
mod forms;
mod properties;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use herald_core::{PlacementClass, Retention};
use herald_journal::Durability;
use herald_stir::Suite;

use crate::admission::settings::AdmissionSettings;
use crate::limits::{
    ARENA_BYTES_DEFAULT, ARENA_BYTES_MIN, DRAIN_GRACE_DEFAULT_S, MESSAGE_ARENA_BYTES_DEFAULT,
    MESSAGE_JOURNAL_BYTES_DEFAULT, UNIX_SOCKET_MODE,
};
use crate::services::ServiceSettings;

pub use error::ConfigError;
pub(crate) use forms::line_of;
pub use forms::parse_duration;
use forms::value_words;
pub use properties::{PROPERTIES, Property, property};

/// How a program writes the reports of its engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// An object for machines.
    Json,
}

/// The settings of one class of placements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClassSettings {
    pub(crate) retention: Retention,
    pub(crate) arena_bytes: usize,
    pub(crate) beyond_bytes: usize,
    pub(crate) journal_bytes: usize,
}

/// The settings of an engine.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) unix_socket: Option<PathBuf>,
    pub(crate) unix_socket_mode: u32,
    pub(crate) tls_certificate: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) data: Option<PathBuf>,
    pub(crate) durability: Durability,
    pub(crate) calls: ClassSettings,
    pub(crate) keeps_messages: bool,
    pub(crate) messages: ClassSettings,
    pub(crate) suite: Suite,
    pub(crate) key_roots: Option<PathBuf>,
    pub(crate) key_bundles: Option<PathBuf>,
    pub(crate) reactors: Option<usize>,
    pub(crate) drain_grace: Duration,
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) log_format: LogFormat,
    pub(crate) plugins: Vec<PathBuf>,
    pub(crate) plugin_settings: Option<PathBuf>,
    pub(crate) services: ServiceSettings,
    pub(crate) admission: AdmissionSettings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            unix_socket: None,
            unix_socket_mode: UNIX_SOCKET_MODE,
            tls_certificate: None,
            tls_key: None,
            data: None,
            durability: Durability::Synced,
            calls: ClassSettings {
                retention: Retention::DEFAULT,
                arena_bytes: ARENA_BYTES_DEFAULT,
                beyond_bytes: 0,
                journal_bytes: herald_journal::limits::MEMORY_BYTES_DEFAULT,
            },
            keeps_messages: false,
            messages: ClassSettings {
                retention: Retention::DEFAULT,
                arena_bytes: MESSAGE_ARENA_BYTES_DEFAULT,
                beyond_bytes: 0,
                journal_bytes: MESSAGE_JOURNAL_BYTES_DEFAULT,
            },
            suite: Suite::default(),
            key_roots: None,
            key_bundles: None,
            reactors: None,
            drain_grace: Duration::from_secs(DRAIN_GRACE_DEFAULT_S),
            metrics_listen: None,
            log_format: LogFormat::Text,
            plugins: Vec::new(),
            plugin_settings: None,
            services: ServiceSettings::default(),
            admission: AdmissionSettings::default(),
        }
    }
}

impl Config {
    /// Sets one property.
    ///
    /// # Errors
    /// [`ConfigError`]: an unknown name (with the nearest one), or a value of the wrong form.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        let property = property(name).ok_or_else(|| ConfigError::unknown(name))?;
        (property.set)(self, value).map_err(|wanted| ConfigError::value(property.name, value, wanted))
    }

    /// Sets every property of a TOML file's text. Values are strings, whole numbers, or lists of strings.
    ///
    /// # Errors
    /// [`ConfigError`], with the line.
    pub fn set_all(&mut self, text: &str) -> Result<(), ConfigError> {
        self.set_good(text).into_iter().next().map_or(Ok(()), Err)
    }

    /// Sets every property of a TOML file's text that is good, and gives what is wrong with the others, with the lines, in
    /// their order.
    pub fn set_good(&mut self, text: &str) -> Vec<ConfigError> {
        let table = match toml::de::DeTable::parse(text) {
            Ok(table) => table,
            Err(error) => {
                let line = error.span().map(|span| line_of(text, span.start));
                return vec![ConfigError { line, message: error.message().to_owned() }];
            }
        };
        let mut wrong = Vec::new();
        for (key, value) in table.get_ref() {
            let words = value_words(value.get_ref()).ok_or_else(|| {
                ConfigError::value(
                    key.get_ref(),
                    "this value",
                    "a string, a whole number or a list of strings",
                )
            });
            if let Err(error) = words.and_then(|words| self.set(key.get_ref(), &words)) {
                let line = line_of(text, key.span().start);
                wrong.push(ConfigError { line: Some(line), ..error });
            }
        }
        wrong.sort_by_key(|error| error.line);
        wrong
    }

    /// How long requests under way may take to finish when the engine stops.
    pub const fn drain_grace(&self) -> Duration {
        self.drain_grace
    }

    /// How a program writes the reports of its engine.
    pub const fn log_format(&self) -> LogFormat {
        self.log_format
    }

    /// The folder of the journal, if one is set.
    pub fn data(&self) -> Option<&Path> {
        self.data.as_deref()
    }

    /// Memory for placements of calls, in bytes.
    pub const fn memory_bytes(&self) -> usize {
        self.calls.arena_bytes
    }

    /// The classes that are kept.
    pub(crate) fn kept(&self) -> impl Iterator<Item = (PlacementClass, &ClassSettings)> {
        let messages = self.keeps_messages.then_some((PlacementClass::Message, &self.messages));
        core::iter::once((PlacementClass::Call, &self.calls)).chain(messages)
    }

    /// Whether placements may leave memory.
    pub(crate) fn goes_beyond(&self) -> bool {
        self.kept().any(|(_, settings)| settings.beyond_bytes > 0)
    }

    /// The same settings for an engine that only looks up numbers, as a daemon with these would: it listens nowhere, keeps
    /// nothing, and neither places nor checks calls.
    pub fn for_looking_up(mut self) -> Self {
        let ServiceSettings { looks_up, signing_key, signing_certificate, .. } = &mut self.services;
        (*looks_up, *signing_key, *signing_certificate) = (true, None, None);
        self.services.sealing_keys.clear();
        self.services.key_prefetch.clear();
        self.services.cover_per_hour = 0;
        Self {
            listen: Vec::new(),
            unix_socket: None,
            metrics_listen: None,
            data: None,
            durability: Durability::Memory,
            calls: ClassSettings { arena_bytes: ARENA_BYTES_MIN, beyond_bytes: 0, ..self.calls },
            keeps_messages: false,
            key_roots: None,
            key_bundles: None,
            ..self
        }
    }

    /// The same settings as the client that they make this, which keeps nothing and serves nobody.
    pub(crate) fn for_client(self) -> Result<Self, ConfigError> {
        let theirs = [
            ("listen", !self.listen.is_empty()),
            ("unix_socket", self.unix_socket.is_some()),
            ("data", self.data.is_some()),
            ("beyond_memory", self.calls.beyond_bytes > 0),
            ("message_retention", self.keeps_messages),
            ("key_roots", self.key_roots.is_some()),
            ("key_bundles", self.key_bundles.is_some()),
            ("admission", self.admission.plugin.is_some()),
        ];
        if let Some((name, _)) = theirs.into_iter().find(|(_, is_set)| *is_set) {
            return Err(ConfigError::new(format!(
                "service is set, so this is a client: {name} belongs to the service; leave out one of the two"
            )));
        }
        Ok(Self { durability: Durability::Memory, ..self })
    }

    /// Whether this makes a client of a service elsewhere.
    pub const fn is_client(&self) -> bool {
        self.services.service.is_some()
    }

    /// Whether anything is to be listened on.
    pub const fn has_listeners(&self) -> bool {
        !self.listen.is_empty() || self.unix_socket.is_some()
    }
}
