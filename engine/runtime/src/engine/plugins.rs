//! An engine's plugins, and looking up the services of numbers, which some of them find.

use std::path::Path;
use std::sync::Arc;

use herald_plugin_abi::LinkedEntry;
use herald_stir::services::LookupRequest;
use herald_stir::{CertificateReference, SigningKey};

use parking_lot::Mutex;

use super::Engine;
use crate::discovery::{Discoverer, SourceCounters};
use crate::error::EngineError;
use crate::plugins::PluginStatus;
use crate::services::{LoadedSource, LookupOutcome};
use crate::wallet::{self, Wallet, WalletSettings};
use crate::worker::{CallHandle, WorkerConfig, https_routes};

impl Engine {
    /// Looks up the services of a number as calls do (RFC 8816 §10) and returns at once, as [`place`](Self::place): what
    /// each source said is told too. A deadline of 0 is the configured one for the side of the call.
    ///
    /// # Errors
    /// As [`place`](Self::place), if neither signer, roots nor discovery are configured.
    pub fn look_up(
        &self,
        request: LookupRequest,
        completion: impl FnOnce(LookupOutcome) + Send + 'static,
    ) -> Result<CallHandle, EngineError> {
        self.calls()?.look_up(request, completion)
    }

    /// What the sources of services that were loaded were asked so far, each by its name. Any thread.
    pub fn source_counters(&self) -> Vec<(String, SourceCounters)> {
        self.parts.source_counters()
    }

    /// Takes in a plugin that is linked into this program, by its entry function. Before the start.
    ///
    /// # Errors
    /// [`EngineErrorKind::State`] from the start on; [`EngineErrorKind::Argument`] if its table is not as
    /// `include/herald_plugin.h` says, or there is a plugin of its name.
    pub fn register_plugin(&self, entry: LinkedEntry) -> Result<(), EngineError> {
        let _life = self.life.lock();
        self.may_start()?;
        self.plugins.register(entry)
    }

    /// The plugins with what they did. Any thread.
    pub fn plugins(&self) -> Vec<PluginStatus> {
        self.plugins.list()
    }

    /// Puts the code of the shared object `path` into the place of the plugin `name` while it serves: no question is lost,
    /// and what was asked before is answered by what was there before. On an error nothing changes. Blocks while the new
    /// code opens; code is never unloaded. Any thread.
    ///
    /// # Errors
    /// [`EngineErrorKind::Argument`] if there is no plugin of this name, or the file is not one that can replace it.
    pub fn replace_plugin(&self, name: &str, path: &Path) -> Result<(), EngineError> {
        self.plugins.replace(name, path)?;
        self.forget_found();
        Ok(())
    }

    /// Has plugins read their files again, and replaces those whose own file is another one than when it was loaded. Any
    /// thread.
    ///
    /// # Errors
    /// [`EngineErrorKind::Argument`] with all that did not succeed; those plugins stay as they were.
    pub fn reload_plugins(&self) -> Result<(), EngineError> {
        let reloaded = self.plugins.reload();
        // Some may be as new, even if not all are.
        self.forget_found();
        reloaded
    }

    /// Services that were found are looked up anew.
    fn forget_found(&self) {
        if let Some(discoverer) = self.discoverer() {
            discoverer.forget();
        }
    }

    /// A wallet, if tokens can be had: a plugin makes them, somebody is known to ask, and services are asked over HTTPS.
    pub(super) fn start_wallet(
        &self,
        worker: &WorkerConfig,
        tokens: Option<(WalletSettings, SigningKey, CertificateReference)>,
    ) -> Result<Option<Arc<Wallet>>, EngineError> {
        let Some((settings, key, certificate)) = tokens.filter(|_| self.plugins.has_rate_control()) else {
            return Ok(None);
        };
        let Some(routes) = https_routes(&worker.cps_roots_pem)? else { return Ok(None) };
        let wallet = Wallet::start(wallet::Surroundings {
            settings,
            asker: Mutex::new((key, certificate)),
            plugins: self.plugins.clone(),
            routes,
            clock: worker.clock.clone(),
            wall: worker.wall,
            random: self.shared.random.clone(),
            network: worker.surroundings.clone(),
        })?;
        Ok(Some(Arc::new(wallet)))
    }

    /// The discovery plugins, to be asked when numbers are looked up.
    pub(super) fn loaded_sources(&self) -> Vec<LoadedSource> {
        let plugins = self.plugins.discoveries().into_iter();
        plugins.map(|plugin| -> LoadedSource { (plugin.name().to_owned(), Arc::new(plugin)) }).collect()
    }

    fn discoverer(&self) -> Option<&Arc<Discoverer>> {
        self.parts.discoverer()
    }
}
