//! Where chains come from: whoever fetched them, asked by URL. Nothing here fetches or waits.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use herald_core::Timestamp;

use super::chain::CertificateChain;
use crate::error::Fault;
use crate::limits::{CHAIN_CACHE_ENTRIES_MAX, CHAIN_KEPT_MS};

/// Answers with what stands behind the certificates of a PASSporT, from memory: it is asked in the middle of a
/// verification and must not wait.
///
/// A closure from URL to PEM is one that reads the PEM anew each time; a [`ChainCache`] reads it once.
pub trait CertificateSource {
    /// The chain that `url` (an `x5u`) serves.
    ///
    /// # Errors
    /// [`Fault::NoCertificate`] if it is not at hand, else the fault of what was served.
    fn chain(&self, url: &str, now: Timestamp) -> Result<Arc<CertificateChain>, Fault>;
}

impl<F: Fn(&str) -> Option<Vec<u8>>> CertificateSource for F {
    fn chain(&self, url: &str, _: Timestamp) -> Result<Arc<CertificateChain>, Fault> {
        CertificateChain::from_pem(&self(url).ok_or(Fault::NoCertificate)?).map(Arc::new)
    }
}

/// Chains by the URL that served them, read once and, while a trust store stays the same, verified once.
///
/// Any thread may use it; each call takes a lock for a look-up and no more.
pub struct ChainCache {
    entries: Mutex<BTreeMap<String, Entry>>,
    entries_max: usize,
}

struct Entry {
    chain: Arc<CertificateChain>,
    /// When the host that served it should be asked again.
    fresh_until: Timestamp,
    /// When it is no longer used, asked again or not.
    kept_until: Timestamp,
    used: Timestamp,
}

impl ChainCache {
    /// A cache of at most `entries_max` chains, itself at most [`CHAIN_CACHE_ENTRIES_MAX`].
    pub fn new(entries_max: usize) -> Self {
        let entries_max = entries_max.clamp(1, CHAIN_CACHE_ENTRIES_MAX);
        Self { entries: Mutex::new(BTreeMap::new()), entries_max }
    }

    /// Keeps `chain` as what `url` served at `now`, fresh for `fresh_ms` milliseconds or until a certificate
    /// runs out. When it is no longer fresh it is [due](Self::is_due), and still used for at most
    /// [`CHAIN_KEPT_MS`] in all, so that no call waits for a host that was asked before. If the cache is full,
    /// the entry that was used least recently makes room. O(entries) then, else O(log entries).
    pub fn put(&self, url: &str, chain: Arc<CertificateChain>, fresh_ms: u64, now: Timestamp) {
        let kept_until = now.plus_millis(CHAIN_KEPT_MS);
        let runs_out = Some(chain.valid_until()).filter(|until| *until > now).unwrap_or(kept_until);
        let fresh_until = now.plus_millis(fresh_ms).min(kept_until).min(runs_out);
        let mut entries = self.lock();
        if entries.len() >= self.entries_max && !entries.contains_key(url) {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.used).map(|(url, _)| url.clone());
            oldest.and_then(|url| entries.remove(&url));
        }
        entries.insert(url.to_owned(), Entry { chain, fresh_until, kept_until, used: now });
    }

    /// Whether the chain of `url` is missing or no longer fresh at `now`, so that it should be fetched.
    pub fn is_due(&self, url: &str, now: Timestamp) -> bool {
        self.lock().get(url).is_none_or(|entry| entry.fresh_until <= now)
    }

    /// Forgets what `url` served.
    pub fn remove(&self, url: &str) {
        self.lock().remove(url);
    }

    /// How many chains it holds.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// A panic in another thread cannot leave the map half changed.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ChainCache {
    fn default() -> Self {
        Self::new(CHAIN_CACHE_ENTRIES_MAX)
    }
}

impl CertificateSource for ChainCache {
    fn chain(&self, url: &str, now: Timestamp) -> Result<Arc<CertificateChain>, Fault> {
        let mut entries = self.lock();
        let entry = entries.get_mut(url).filter(|entry| now < entry.kept_until);
        let entry = entry.ok_or(Fault::NoCertificate)?;
        entry.used = now;
        Ok(entry.chain.clone())
    }
}

impl fmt::Debug for ChainCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainCache({} of {} chains)", self.len(), self.entries_max)
    }
}
