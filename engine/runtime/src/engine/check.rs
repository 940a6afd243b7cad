//! Whether an engine would open with a configuration, as far as can be told without opening one.

use std::sync::Arc;

use herald_stir::SystemRandom;

use super::opening::check;
use super::{Engine, load_tls};
use crate::config::Config;
use crate::error::EngineError;
use crate::keys::KeyShelf;
use crate::plugins;
use crate::services::Services;

impl Engine {
    /// Looks whether the settings of `config` go together, and reads the certificates, keys and lists that they name. It
    /// changes nothing, binds nothing and runs no code of plugins.
    ///
    /// # Errors
    /// [`EngineError`]: what opening or starting an engine with it would say.
    pub fn try_config(config: Config) -> Result<(), EngineError> {
        let config = if config.is_client() { config.for_client()? } else { config };
        check(&config)?;
        let services = Services::read(&config.services, config.suite, Arc::new(SystemRandom))?;
        services.map_or(Ok(()), |services| services.try_worker())?;
        load_tls(&config)?;
        KeyShelf::read_trust(&config)?;
        config.admission.trust()?;
        plugins::look_for(&config.plugins, config.plugin_settings.as_deref())
    }
}
