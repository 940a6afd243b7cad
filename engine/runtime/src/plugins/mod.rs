//! Plugins at work: loaded, opened, asked with deadlines, replaced while they serve, disabled when they fail.
//!
//! Each plugin has threads that do nothing else, so that one that hangs stops nobody; a watch gives up what takes too
//! long, and the caller goes on with the default of the kind (discovery: the next source; rate control: try again). What
//! is asked and answered is in [`discovery`] and [`rate_control`]; this module does not know what engines do with it.

mod book;
mod check;
pub(crate) mod discovery;
mod files;
mod generation;
mod identity;
mod plugin;
mod rate_control;
#[cfg(test)]
mod tests;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use herald_core::{Clock, Random};
use herald_plugin_abi as abi;
use parking_lot::RwLock;

use crate::error::{EngineError, EngineErrorKind};
use crate::limits::PLUGINS_MAX;
use crate::plugin_loader::Kind;
use crate::{Level, Report};
use files::Settings;
use generation::Surroundings;
use plugin::{Code, Plugin};
use watch::Watch;

pub use check::{CheckedPlugin, PluginTrial, check_plugin, list_plugins};

pub(crate) use self::{
    book::{Done, NotDone},
    discovery::{DiscoveryPlugin, Outcome, Question},
    rate_control::{NewKey, RateControlPlugin, Redemption, Secret, Token, Want},
};

/// Whether a plugin serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginState {
    /// It is loaded and not started.
    Loaded,
    /// It serves.
    Serving,
    /// It failed too often, and serves nobody until it is replaced: why.
    Disabled(String),
}

/// A plugin as an operator sees it. Counts are since the start, across replacements.
#[derive(Clone, Debug)]
pub struct PluginStatus {
    /// Its name.
    pub name: String,
    /// `discovery` or `rate-control`.
    pub kind: &'static str,
    /// The version of the code that serves.
    pub version: String,
    /// One line about it.
    pub summary: String,
    /// The file it was loaded from; `None` if it is linked in.
    pub path: Option<PathBuf>,
    /// 1, and one more for each replacement.
    pub generation: u64,
    /// Whether it serves.
    pub state: PluginState,
    /// Calls into it.
    pub calls: u64,
    /// What it did wrong.
    pub failures: u64,
    /// Calls that were given up at their deadline.
    pub timed_out: u64,
    /// Calls that were refused because too many waited.
    pub busy: u64,
    /// Answers that came when nobody waited any more.
    pub late: u64,
    /// Threads that are stuck in it.
    pub lost_threads: usize,
}

/// The plugins of an engine.
pub(crate) struct PluginSet {
    plugins: RwLock<Vec<Arc<Plugin>>>,
    settings: Settings,
    report: Report,
    surroundings: Surroundings,
}

impl PluginSet {
    /// Loads the files and folders `paths`, with the settings in the file `settings`. Opens none yet.
    ///
    /// # Errors
    /// [`EngineErrorKind::Argument`]: a file that is no plugin, two of one name, settings that cannot be read.
    pub(crate) fn load(
        paths: &[PathBuf],
        settings: Option<&Path>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        report: Report,
    ) -> Result<Self, EngineError> {
        let watch = Watch::new(clock.clone());
        let set = Self {
            plugins: RwLock::default(),
            settings: settings.map(files::settings).transpose()?.unwrap_or_default(),
            report,
            surroundings: Surroundings { clock, random, watch },
        };
        for path in files::objects(paths).map_err(|why| wrong(format!("plugins: {why}")))? {
            let named = |why: String| wrong(format!("plugin {}: {why}", path.display()));
            let code = Code::load(&path).map_err(named)?;
            set.add(code).map_err(named)?;
        }
        Ok(set)
    }

    /// Takes in a plugin that is linked into this program. To be started.
    pub(crate) fn register(&self, entry: abi::LinkedEntry) -> Result<(), EngineError> {
        let added = Code::linked(entry).and_then(|code| self.add(code));
        added.map_err(|why| wrong(format!("a plugin of this program: {why}")))
    }

    fn add(&self, code: Code) -> Result<(), String> {
        let mut plugins = self.plugins.write();
        if plugins.iter().any(|known| known.name() == code.name()) {
            return Err(format!("there is a plugin {} already", code.name()));
        }
        if plugins.len() >= PLUGINS_MAX {
            return Err(format!("there are {PLUGINS_MAX} plugins already"));
        }
        let settings = self.settings.get(code.name()).cloned().unwrap_or_default();
        let plugin = Plugin::new(code, settings, self.report.clone(), self.surroundings.clone());
        plugins.push(Arc::new(plugin));
        Ok(())
    }

    /// Opens all of them. After an error those that were opened stay so, and another start goes on.
    ///
    /// # Errors
    /// [`EngineErrorKind::Argument`] with the plugin's reason.
    pub(crate) fn start(&self) -> Result<(), EngineError> {
        let plugins = self.plugins.read().clone();
        if plugins.is_empty() {
            return Ok(());
        }
        for name in self.settings.keys() {
            if !plugins.iter().any(|plugin| plugin.name() == name) {
                let why = format!("there are settings for a plugin {name}, which is not loaded");
                (self.report)(Level::Warning, &why);
            }
        }
        self.surroundings.watch.start()?;
        for plugin in &plugins {
            plugin.start().map_err(|why| wrong(format!("plugin {}: {why}", plugin.name())))?;
        }
        Ok(())
    }

    /// Ends all of them; waits a little for each to close.
    pub(crate) fn stop(&self) {
        for plugin in self.plugins.read().iter() {
            plugin.stop();
        }
        self.surroundings.watch.stop();
    }

    /// The discovery plugins, in the order they were loaded.
    pub(crate) fn discoveries(&self) -> Vec<DiscoveryPlugin> {
        let plugins = self.plugins.read();
        let found = plugins.iter().filter(|plugin| *plugin.kind() == Kind::Discovery);
        found.cloned().map(DiscoveryPlugin::of).collect()
    }

    /// The discovery plugin of this name.
    pub(crate) fn discovery(&self, name: &str) -> Option<DiscoveryPlugin> {
        self.discoveries().into_iter().find(|plugin| plugin.name() == name)
    }

    /// The rate control plugin of this name.
    pub(crate) fn rate_control(&self, name: &str) -> Option<RateControlPlugin> {
        let plugin = self.named(name)?;
        matches!(plugin.kind(), Kind::RateControl(_)).then(|| RateControlPlugin::of(plugin))
    }

    /// A rate control plugin for tokens of this type: the first that was loaded.
    pub(crate) fn rate_control_of_type(&self, token_type: u16) -> Option<RateControlPlugin> {
        let speaks = |plugin: &&Arc<Plugin>| match plugin.kind() {
            Kind::RateControl(scheme) => scheme.token_type == token_type,
            Kind::Discovery => false,
        };
        self.plugins.read().iter().find(speaks).cloned().map(RateControlPlugin::of)
    }

    /// Whether there is a rate control plugin.
    pub(crate) fn has_rate_control(&self) -> bool {
        self.plugins.read().iter().any(|plugin| matches!(plugin.kind(), Kind::RateControl(_)))
    }

    /// What they are and do.
    pub(crate) fn list(&self) -> Vec<PluginStatus> {
        self.plugins.read().iter().map(|plugin| plugin.status()).collect()
    }

    /// Puts the code of `path` into the place of the plugin `name` while it serves.
    ///
    /// # Errors
    /// [`EngineErrorKind::Argument`]: there is none of this name, or the file is not to be had; then the old one stays.
    pub(crate) fn replace(&self, name: &str, path: &Path) -> Result<(), EngineError> {
        let plugin = self.named(name).ok_or_else(|| wrong(format!("there is no plugin {name}")))?;
        let replaced = plugin.replace(path);
        replaced.map_err(|why| wrong(format!("plugin {name} stays as it is: {}: {why}", path.display())))
    }

    /// Has all of them read their files again, and replaces those whose own file is another one now.
    ///
    /// # Errors
    /// [`EngineErrorKind::Argument`] with all that went wrong; the others are as new.
    pub(crate) fn reload(&self) -> Result<(), EngineError> {
        let plugins = self.plugins.read().clone();
        let failed = plugins
            .iter()
            .filter_map(|plugin| {
                let why = plugin.reload().err()?;
                Some(format!("plugin {} stays as it is: {why}", plugin.name()))
            })
            .collect::<Vec<_>>();
        if failed.is_empty() { Ok(()) } else { Err(wrong(failed.join("; "))) }
    }

    fn named(&self, name: &str) -> Option<Arc<Plugin>> {
        self.plugins.read().iter().find(|plugin| plugin.name() == name).cloned()
    }
}

/// Whether there are these files and settings. Loads nothing.
///
/// # Errors
/// [`EngineErrorKind::Argument`] as when they are loaded.
pub(crate) fn look_for(paths: &[PathBuf], settings: Option<&Path>) -> Result<(), EngineError> {
    settings.map(files::settings).transpose()?;
    files::objects(paths).map_err(|why| wrong(format!("plugins: {why}")))?;
    match paths.iter().find(|path| !path.exists()) {
        Some(path) => Err(wrong(format!("plugins: {} is not there", path.display()))),
        None => Ok(()),
    }
}

#[cold]
fn wrong(why: String) -> EngineError {
    EngineError::new(EngineErrorKind::Argument, why)
}
