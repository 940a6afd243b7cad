//! Discovery as an operator configures it: in which order the directory file, what owners publish as key bundles, and
//! plugins are asked for services; and the sealing keys, which only the first two know.

use std::sync::Arc;

use herald_core::{Random, TelephoneNumber, Timestamp};
use herald_stir::SealingPublicKey;
use herald_stir::bundle::BundleDiscovery;
use herald_stir::limits::CPS_SOURCES_MAX;
use herald_stir::services::{CpsSource, CpsSources, Directory, KeyDiscovery, Lookup};

use super::settings::ServiceSettings;
use super::{contradiction, millis};
use crate::discovery::{Discoverer, Source};
use crate::error::EngineError;

/// Names of the sources that are built in.
const DIRECTORY: &str = "directory";
const BUNDLES: &str = "bundles";

/// A source of services that was loaded, with its name.
pub(crate) type LoadedSource = (String, Arc<dyn Source>);

/// The directory first; what it does not know, the bundles may.
pub(super) struct Configured {
    pub(super) directory: Arc<Directory>,
    pub(super) bundles: Option<Arc<BundleDiscovery>>,
}

impl KeyDiscovery for Configured {
    fn keys_for(&self, number: TelephoneNumber, now: Timestamp) -> Lookup<Vec<SealingPublicKey>> {
        match (self.directory.keys_for(number, now), &self.bundles) {
            (Lookup::NotFound, Some(bundles)) => bundles.keys_for(number, now),
            (found, _) => found,
        }
    }

    fn learn(&self, url: &str, body: &[u8], fresh_s: u64, now: Timestamp) {
        if let Some(bundles) = &self.bundles {
            KeyDiscovery::learn(&**bundles, url, body, fresh_s, now);
        }
    }
}

/// The sources of services in the order in which they are asked: as the settings say; if they say nothing, directory,
/// bundles and what is `loaded`.
///
/// # Errors
/// [`EngineErrorKind::Argument`](crate::EngineErrorKind::Argument): a source that there is not, or too many.
pub(super) fn sources(
    settings: &ServiceSettings,
    configured: &Configured,
    loaded: &[LoadedSource],
) -> Result<CpsSources, EngineError> {
    let mut all = vec![CpsSource::here(DIRECTORY, configured.directory.clone())];
    all.extend(configured.bundles.iter().map(|bundles| CpsSource::here(BUNDLES, bundles.clone())));
    all.extend(loaded.iter().map(|(name, _)| CpsSource::elsewhere(name)));
    let chosen = match &settings.discovery {
        None => all,
        Some(names) => names.iter().map(|name| named(name, &all, settings)).collect::<Result<_, _>>()?,
    };
    if chosen.len() > CPS_SOURCES_MAX {
        let why = format!("{} sources of services; name up to {CPS_SOURCES_MAX} in discovery", chosen.len());
        return Err(contradiction(why));
    }
    Ok(CpsSources::new(chosen, settings.discovery_policy, millis(settings.discovery_deadline)))
}

fn named(name: &str, all: &[CpsSource], settings: &ServiceSettings) -> Result<CpsSource, EngineError> {
    match (name, &settings.directory) {
        (DIRECTORY, None) => {
            return Err(contradiction("discovery names the directory: set directory too"));
        }
        (BUNDLES, _) if settings.key_server.is_none() => {
            return Err(contradiction("discovery names the bundles: set key_server too"));
        }
        _ => {}
    }
    let names = || all.iter().map(CpsSource::name).collect::<Vec<_>>().join(", ");
    let source = all.iter().find(|source| source.name() == name).cloned();
    source.ok_or_else(|| {
        contradiction(format!("discovery names {name:?}, which is no source; there are {}", names()))
    })
}

/// Asks what is `loaded`. `None` if nothing is.
///
/// # Errors
/// [`EngineErrorKind::Argument`](crate::EngineErrorKind::Argument) if `discovery_own` names one that is not.
pub(super) fn discoverer(
    settings: &ServiceSettings,
    configured: &Configured,
    loaded: &[LoadedSource],
    random: Arc<dyn Random>,
) -> Result<Option<Arc<Discoverer>>, EngineError> {
    let is_loaded = |name: &&String| loaded.iter().any(|(other, _)| other == *name);
    if let Some(name) = settings.discovery_own.iter().find(|name| !is_loaded(name)) {
        return Err(contradiction(format!(
            "discovery_own names {name:?}, which is no plugin that is loaded"
        )));
    }
    if loaded.is_empty() {
        return Ok(None);
    }
    let deadline_ms = millis(settings.discovery_deadline);
    let mut discoverer = Discoverer::new(configured.directory.clone(), random, deadline_ms);
    for (name, source) in loaded {
        discoverer.add(name, source.clone(), settings.discovery_own.contains(name));
    }
    Ok(Some(Arc::new(discoverer)))
}
