//! Discovery by key bundles: services and keys of called numbers as their owners published them at one server.

use core::fmt;
use core::hash::BuildHasher;
use std::hash::RandomState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use herald_core::{TelephoneNumber, Timestamp};

use super::arrival::{Arrival, Judge};
use super::{Area, DirectoryBounds, KeyDirectory, Listing, Lookup as Known, VerifiedBundle, keys_of};
use crate::certificate::{CertificateSource, TrustStore};
use crate::limits::CPS_URIS_MAX;
use crate::seal::{SealingPublicKey, Suite};
use crate::services::{CpsDiscovery, CpsUri, Fetched, KeyDiscovery, Lookup, Side};

/// Where keys and services of called numbers are looked up: the bundles that one server publishes under
/// [`WELL_KNOWN_PATH`](super::WELL_KNOWN_PATH), as a [`KeyDirectory`] keeps them.
///
/// While an area is being fetched every lookup names its URL again: the driver's fetcher asks once for all.
pub struct BundleDiscovery {
    server: String,
    directory: Mutex<KeyDirectory>,
    judge: Arc<Judge>,
    /// For tags of answers, which nobody can choose to be alike.
    tags: RandomState,
    chains: Arc<dyn CertificateSource + Send + Sync>,
}

impl BundleDiscovery {
    /// The bundles of `server`, `https://HOST[:PORT]`, signed under `trust`, with keys of `suite`. `chains` has the
    /// certificates of bundles that do not carry them; those it has not are left out.
    pub fn new(
        server: &str,
        trust: TrustStore,
        suite: Suite,
        bounds: DirectoryBounds,
        chains: Arc<dyn CertificateSource + Send + Sync>,
    ) -> Self {
        let directory = KeyDirectory::new(trust, suite, bounds);
        Self {
            server: server.trim_end_matches('/').to_owned(),
            judge: directory.judge(),
            directory: Mutex::new(directory),
            tags: RandomState::new(),
            chains,
        }
    }

    /// Has an area fetched ahead of any call and kept fresh: [`due`](Self::due) names it.
    pub fn keep(&self, area: Area, now: Timestamp) {
        self.directory().keep(area, now);
    }

    /// The URL of something that is to be fetched again by now; the document goes to `learn`. Repeat until `None`.
    pub fn due(&self, now: Timestamp) -> Option<String> {
        self.directory().due(now).map(|area| self.url(&area))
    }

    /// The fetch of `url` failed: it is not tried again for a while.
    pub fn failed(&self, url: &str, now: Timestamp) {
        if let Some(area) = self.area(url) {
            self.directory().failed(&area, now);
        }
    }

    fn look<T>(
        &self,
        number: TelephoneNumber,
        now: Timestamp,
        read: fn(&[Arc<VerifiedBundle>]) -> Vec<T>,
    ) -> Lookup<Vec<T>> {
        let mut directory = self.directory();
        let area = match directory.lookup(number, now) {
            Known::Found(bundles) => return Lookup::Found(read(&bundles)),
            Known::Absent | Known::Failed => return Lookup::NotFound,
            Known::Ask(area) => area,
            Known::Pending => directory.area_of(number),
        };
        Lookup::Fetch { url: self.url(&area), kind: Fetched::KeyBundle }
    }

    /// Takes in what came for `url`, once for all who wait for it. It is read and verified while others look up.
    fn take_in(&self, url: &str, body: &[u8], fresh_s: u64, now: Timestamp) {
        let Some(area) = self.area(url) else { return };
        let tag = self.tags.hash_one(body);
        if !self.directory().wants(&area, tag) {
            return;
        }
        let Some(listing) = Listing::parse(body) else {
            let mut directory = self.directory();
            directory.failed(&area, now);
            directory.remember(&area, tag);
            return;
        };
        let mut arrival = Arrival::read(&listing, now);
        self.directory().leave_out_known(&mut arrival, now);
        arrival.verify(&self.judge, &*self.chains, now);
        let mut directory = self.directory();
        directory.take_in(&area, arrival, None, Some(fresh_s), now);
        directory.remember(&area, tag);
    }

    fn url(&self, area: &Area) -> String {
        format!("{}{}", self.server, area.path())
    }

    fn area(&self, url: &str) -> Option<Area> {
        Area::of_path(url.strip_prefix(&self.server)?)
    }

    /// A panic in another thread cannot leave the directory half changed.
    fn directory(&self) -> MutexGuard<'_, KeyDirectory> {
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyDiscovery for BundleDiscovery {
    fn keys_for(&self, number: TelephoneNumber, now: Timestamp) -> Lookup<Vec<SealingPublicKey>> {
        self.look(number, now, keys_of)
    }

    fn learn(&self, url: &str, body: &[u8], fresh_s: u64, now: Timestamp) {
        self.take_in(url, body, fresh_s, now);
    }
}

impl CpsDiscovery for BundleDiscovery {
    fn cps_for(&self, number: TelephoneNumber, _side: Side, now: Timestamp) -> Lookup<Vec<CpsUri>> {
        self.look(number, now, services_of)
    }

    fn learn(&self, url: &str, body: &[u8], fresh_s: u64, now: Timestamp) {
        self.take_in(url, body, fresh_s, now);
    }
}

/// The different services that bundles name, in their order.
fn services_of(bundles: &[Arc<VerifiedBundle>]) -> Vec<CpsUri> {
    let mut services = Vec::new();
    for uri in bundles.iter().flat_map(|bundle| &bundle.bundle().cps) {
        match uri.parse() {
            Ok(service) if !services.contains(&service) && services.len() < CPS_URIS_MAX => {
                services.push(service)
            }
            _ => {}
        }
    }
    services
}

impl fmt::Debug for BundleDiscovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BundleDiscovery({}, {:?})", self.server, self.directory())
    }
}
