//! Whether an engine would open with a configuration, as far as can be told without touching a folder.

use std::path::Path;

use herald_journal::Durability;
use herald_stir::TrustStore;

use super::opening::check;
use super::{Engine, Environment, load_tls};
use crate::config::Config;
use crate::error::EngineError;
use crate::keys::KeyShelf;
use crate::plugins;
use crate::services::Services;

/// An engine that is to be opened: its settings go together, and what it needs of the files they name was read.
pub struct Prepared {
    pub(super) config: Config,
    pub(super) environment: Environment,
    pub(super) services: Option<Services>,
    pub(super) key_roots: Option<TrustStore>,
}

impl Prepared {
    /// The folder that will be opened for what is stored; `None` if all is in memory.
    pub fn folder(&self) -> Option<&Path> {
        self.config.data().filter(|_| self.config.durability != Durability::Memory)
    }

    /// Goes on where [`Engine::prepare`] ended.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open(self) -> Result<Engine, EngineError> {
        Engine::open_prepared(self)
    }
}

impl Engine {
    /// The part of [`open`](Self::open) that changes nothing and runs no code of plugins: looks whether the settings of
    /// `config` go together, and reads the files that opening needs.
    ///
    /// # Errors
    /// [`EngineErrorKind::Argument`](crate::EngineErrorKind::Argument): what is wrong with the configuration.
    pub fn prepare(config: Config, environment: Environment) -> Result<Prepared, EngineError> {
        let config = if config.is_client() { config.for_client()? } else { config };
        check(&config)?;
        let services = Services::read(&config.services, config.suite, environment.random.clone())?;
        let key_roots = KeyShelf::read_trust(&config)?;
        plugins::look_for(&config.plugins, config.plugin_settings.as_deref())?;
        Ok(Prepared { config, environment, services, key_roots })
    }

    /// Looks whether the settings of `config` go together, and reads the certificates, keys and lists that they name. It
    /// changes nothing, binds nothing and runs no code of plugins.
    ///
    /// # Errors
    /// [`EngineError`]: what opening or starting an engine with it would say.
    pub fn try_config(config: Config) -> Result<(), EngineError> {
        let prepared = Self::prepare(config, Environment::system(|_, _| {}))?;
        prepared.services.as_ref().map_or(Ok(()), Services::try_worker)?;
        load_tls(&prepared.config)?;
        prepared.config.admission.trust().map(drop)
    }
}
