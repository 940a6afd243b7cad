//! Where chains and lists of numbers come from: whoever fetched them, asked by URL. Nothing here fetches or
//! waits.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use herald_core::{TelephoneNumber, Timestamp};
use ring::digest::{Context, SHA256};

use super::chain::CertificateChain;
use super::tn_auth_list::TnAuthList;
use crate::error::Fault;
use crate::limits::{CARRIED_CHAINS_MAX, CHAIN_CACHE_ENTRIES_MAX, CHAIN_KEPT_MS, LIST_CACHE_ENTRIES_MAX};

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

    /// The chain of these certificates in DER, which a PASSporT carries (`x5c`).
    ///
    /// # Errors
    /// The fault of what was carried.
    fn carried_chain(
        &self,
        certificates: &[Vec<u8>],
        now: Timestamp,
    ) -> Result<Arc<CertificateChain>, Fault> {
        let _ = now;
        CertificateChain::from_der(certificates).map(Arc::new)
    }

    /// The list of numbers that `url` serves (RFC 8226 §10.1), if it is at hand.
    fn number_list(&self, url: &str, now: Timestamp) -> Option<Arc<TnAuthList>> {
        let _ = (url, now);
        None
    }

    /// Whether `number` belongs to the service provider of `code`. What nobody knows is for the
    /// [policy](crate::VerificationPolicy::accept_only_by_spc) to decide. It is asked for at most
    /// [`CODES_ASKED_MAX`](crate::limits::CODES_ASKED_MAX) codes of a certificate.
    fn code_holds(&self, code: &str, number: TelephoneNumber) -> Held {
        let _ = (code, number);
        Held::Unknown
    }
}

/// Whether a number belongs to a service provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// Nobody knows.
    Unknown,
}

impl<F: Fn(&str) -> Option<Vec<u8>>> CertificateSource for F {
    fn chain(&self, url: &str, _: Timestamp) -> Result<Arc<CertificateChain>, Fault> {
        CertificateChain::from_pem(&self(url).ok_or(Fault::NoCertificate)?).map(Arc::new)
    }
}

/// Chains and lists of numbers by the URL that served them, and chains that PASSporTs carried by their digest, read
/// once; chains are also verified once while a trust store stays the same.
///
/// Any thread may use it; each call takes a lock for a look-up and no more.
pub struct ChainCache {
    chains: Kept<CertificateChain>,
    /// By the [digest](digest_of) of their certificates.
    carried: Kept<CertificateChain>,
    lists: Kept<TnAuthList>,
}

impl ChainCache {
    /// A cache of at most `chains_max` fetched chains, itself at most [`CHAIN_CACHE_ENTRIES_MAX`], of
    /// [`CARRIED_CHAINS_MAX`] carried ones and of [`LIST_CACHE_ENTRIES_MAX`] lists.
    pub fn new(chains_max: usize) -> Self {
        Self {
            chains: Kept::new(chains_max.min(CHAIN_CACHE_ENTRIES_MAX)),
            carried: Kept::new(CARRIED_CHAINS_MAX),
            lists: Kept::new(LIST_CACHE_ENTRIES_MAX),
        }
    }

    /// Keeps `chain` as what `url` served at `now`, fresh for `fresh_ms` milliseconds or until a certificate
    /// runs out. When it is no longer fresh it is [due](Self::is_due), and still used for at most
    /// [`CHAIN_KEPT_MS`] in all, so that no call waits for a host that was asked before; who runs a
    /// [`Renewal`](crate::services::Renewal) has it fetched again before. If the cache is full,
    /// the entry that was used least recently makes room. O(entries) then, else O(log entries).
    pub fn put(&self, url: &str, chain: Arc<CertificateChain>, fresh_ms: u64, now: Timestamp) {
        let runs_out = Some(chain.valid_until()).filter(|until| *until > now);
        self.chains.put(url, chain, fresh_ms, runs_out, now);
    }

    /// As [`put`](Self::put), of a list of numbers.
    pub fn put_list(&self, url: &str, list: Arc<TnAuthList>, fresh_ms: u64, now: Timestamp) {
        self.lists.put(url, list, fresh_ms, None, now);
    }

    /// Whether the chain of `url` is missing or no longer fresh at `now`, so that it should be fetched.
    pub fn is_due(&self, url: &str, now: Timestamp) -> bool {
        self.chains.is_due(url, now)
    }

    /// As [`is_due`](Self::is_due), of a list of numbers.
    pub fn is_list_due(&self, url: &str, now: Timestamp) -> bool {
        self.lists.is_due(url, now)
    }

    /// URLs of chains and lists, at most `count_max` of each, that were used since they were fetched and are no longer
    /// fresh at `now`, or in the last fifth of their time: they should be fetched again. Each is named once in
    /// `retry_ms`. O(entries).
    pub fn take_due(&self, count_max: usize, retry_ms: u64, now: Timestamp) -> (Vec<String>, Vec<String>) {
        (self.chains.take_due(count_max, retry_ms, now), self.lists.take_due(count_max, retry_ms, now))
    }

    /// Forgets what `url` served.
    pub fn remove(&self, url: &str) {
        self.chains.lock().remove(url);
        self.lists.lock().remove(url);
    }

    /// How many fetched chains it holds.
    pub fn len(&self) -> usize {
        self.chains.lock().len()
    }

    /// Whether it holds no fetched chain.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for ChainCache {
    fn default() -> Self {
        Self::new(CHAIN_CACHE_ENTRIES_MAX)
    }
}

impl CertificateSource for ChainCache {
    fn chain(&self, url: &str, now: Timestamp) -> Result<Arc<CertificateChain>, Fault> {
        self.chains.take(url, now).ok_or(Fault::NoCertificate)
    }

    fn carried_chain(
        &self,
        certificates: &[Vec<u8>],
        now: Timestamp,
    ) -> Result<Arc<CertificateChain>, Fault> {
        let digest = digest_of(certificates);
        if let Some(chain) = self.carried.take(&digest, now) {
            return Ok(chain);
        }
        let chain = Arc::new(CertificateChain::from_der(certificates)?);
        self.carried.put(&digest, chain.clone(), CHAIN_KEPT_MS, None, now);
        Ok(chain)
    }

    fn number_list(&self, url: &str, now: Timestamp) -> Option<Arc<TnAuthList>> {
        self.lists.take(url, now)
    }
}

impl fmt::Debug for ChainCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainCache({} of {} chains)", self.len(), self.chains.entries_max)
    }
}

/// SHA-256 over the certificates, each behind its length, so that no other chain has the same.
fn digest_of(certificates: &[Vec<u8>]) -> String {
    let mut context = Context::new(&SHA256);
    for der in certificates {
        context.update(&(der.len() as u64).to_be_bytes());
        context.update(der);
    }
    STANDARD_NO_PAD.encode(context.finish())
}

/// What is kept under a name: what URLs served, what PASSporTs carried.
struct Kept<T> {
    entries: Mutex<BTreeMap<String, Entry<T>>>,
    entries_max: usize,
}

struct Entry<T> {
    value: Arc<T>,
    /// When the host that served it should be asked again.
    fresh_until: Timestamp,
    /// When it is no longer used, asked again or not.
    kept_until: Timestamp,
    /// From here on it is fetched again if it was used.
    renew_at: Timestamp,
    used: Timestamp,
    is_used: bool,
}

impl<T> Kept<T> {
    fn new(entries_max: usize) -> Self {
        Self { entries: Mutex::new(BTreeMap::new()), entries_max: entries_max.max(1) }
    }

    fn put(&self, url: &str, value: Arc<T>, fresh_ms: u64, runs_out: Option<Timestamp>, now: Timestamp) {
        let kept_until = now.plus_millis(CHAIN_KEPT_MS);
        let fresh_until = now.plus_millis(fresh_ms).min(runs_out.unwrap_or(kept_until)).min(kept_until);
        let mut entries = self.lock();
        if entries.len() >= self.entries_max && !entries.contains_key(url) {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.used).map(|(url, _)| url.clone());
            oldest.and_then(|url| entries.remove(&url));
        }
        let renew_at = now.plus_millis(fresh_until.millis_since(now) / 5 * 4);
        let entry = Entry { value, fresh_until, kept_until, renew_at, used: now, is_used: false };
        entries.insert(url.to_owned(), entry);
    }

    fn take(&self, url: &str, now: Timestamp) -> Option<Arc<T>> {
        let mut entries = self.lock();
        let entry = entries.get_mut(url).filter(|entry| now < entry.kept_until)?;
        (entry.used, entry.is_used) = (now, true);
        Some(entry.value.clone())
    }

    fn take_due(&self, count_max: usize, retry_ms: u64, now: Timestamp) -> Vec<String> {
        let mut entries = self.lock();
        let due = entries.iter_mut().filter(|(_, entry)| entry.is_used && entry.renew_at <= now);
        let name = |(url, entry): (&String, &mut Entry<T>)| {
            entry.renew_at = now.plus_millis(retry_ms);
            url.clone()
        };
        due.take(count_max).map(name).collect()
    }

    fn is_due(&self, url: &str, now: Timestamp) -> bool {
        self.lock().get(url).is_none_or(|entry| entry.fresh_until <= now)
    }

    /// A panic in another thread cannot leave the map half changed.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry<T>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
