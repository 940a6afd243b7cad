//! Discovery as an operator configures it: the directory file, and behind it what owners publish as key bundles.

use std::sync::Arc;

use herald_core::{TelephoneNumber, Timestamp};
use herald_stir::SealingPublicKey;
use herald_stir::bundle::BundleDiscovery;
use herald_stir::services::{CpsDiscovery, CpsUri, Directory, KeyDiscovery, Lookup, Side};

/// The directory first; what it does not know, the bundles may.
pub(super) struct Configured {
    pub(super) directory: Directory,
    pub(super) bundles: Option<Arc<BundleDiscovery>>,
}

impl Configured {
    fn or_bundles<T>(&self, found: Lookup<T>, look: impl FnOnce(&BundleDiscovery) -> Lookup<T>) -> Lookup<T> {
        match (found, &self.bundles) {
            (Lookup::NotFound, Some(bundles)) => look(bundles),
            (found, _) => found,
        }
    }
}

impl CpsDiscovery for Configured {
    fn cps_for(&self, number: TelephoneNumber, side: Side, now: Timestamp) -> Lookup<Vec<CpsUri>> {
        let found = self.directory.cps_for(number, side, now);
        self.or_bundles(found, |bundles| bundles.cps_for(number, side, now))
    }

    fn learn(&self, url: &str, body: &[u8], fresh_s: u64, now: Timestamp) {
        if let Some(bundles) = &self.bundles {
            CpsDiscovery::learn(&**bundles, url, body, fresh_s, now);
        }
    }
}

impl KeyDiscovery for Configured {
    fn keys_for(&self, number: TelephoneNumber, now: Timestamp) -> Lookup<Vec<SealingPublicKey>> {
        let found = self.directory.keys_for(number, now);
        self.or_bundles(found, |bundles| bundles.keys_for(number, now))
    }

    fn learn(&self, url: &str, body: &[u8], fresh_s: u64, now: Timestamp) {
        if let Some(bundles) = &self.bundles {
            KeyDiscovery::learn(&**bundles, url, body, fresh_s, now);
        }
    }
}
