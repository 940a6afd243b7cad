//! Fetching the certificates that PASSporTs name and the lists that certificates name, as far as a cache has not got
//! them.
//!
//! It is a part of a machine: who uses it passes asks and answers through. It does not verify anything; what could
//! not be had is a fault of whoever asks for it ([`Gathered`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use herald_core::Timestamp;

use super::io::{Answer, Asked, Fetched, Ticket, Turn};
use crate::certificate::{CertificateChain, CertificateSource, ChainCache, TnAuthList};
use crate::error::Fault;
use crate::limits::CALL_DOCUMENTS_MAX;

/// What is fetched for one call.
#[derive(Debug, Default)]
pub struct Gathering {
    pending: BTreeMap<Ticket, (String, Fetched)>,
    asked: BTreeSet<String>,
    faults: BTreeMap<String, Fault>,
}

impl Gathering {
    /// Asks for the documents that `cache` has not, each once, and anew for chains that have run out. More than [`CALL_DOCUMENTS_MAX`] are not asked for.
    pub fn gather(
        &mut self,
        documents: impl IntoIterator<Item = (String, Fetched)>,
        cache: &ChainCache,
        turn: &mut Turn<'_>,
    ) {
        for (url, kind) in documents {
            let now = turn.now.wall;
            let what = match kind {
                Fetched::NumberList if cache.number_list(&url, now).is_some() => continue,
                Fetched::NumberList => Asked::Get { url: url.clone(), kind },
                _ => match cache.chain(&url, now) {
                    Ok(chain) if chain.has_run_out(now) => Asked::GetAnew { url: url.clone(), kind },
                    Ok(_) => continue,
                    Err(_) => Asked::Get { url: url.clone(), kind },
                },
            };
            if self.asked.len() < CALL_DOCUMENTS_MAX && self.asked.insert(url.clone()) {
                self.pending.insert(turn.ask(what), (url, kind));
            }
        }
    }

    /// Whether it waits for the answer to `ticket`.
    pub fn awaits(&self, ticket: Ticket) -> bool {
        self.pending.contains_key(&ticket)
    }

    /// Takes an answer it [awaits](Self::awaits) into `cache`.
    pub fn answer(&mut self, ticket: Ticket, answer: Answer, cache: &ChainCache, turn: &Turn<'_>) {
        let Some((url, kind)) = self.pending.remove(&ticket) else { return };
        let Answer::Fetched { body, fresh_s } = answer else { return };
        if let Err(fault) = keep(cache, &url, kind, &body, fresh_s, turn.now.wall) {
            self.faults.insert(url, fault);
        }
    }

    /// Whether everything asked for was answered.
    pub fn is_complete(&self) -> bool {
        self.pending.is_empty()
    }

    /// The source of what was gathered and what `cache` had before.
    pub const fn gathered<'a>(&'a self, cache: &'a ChainCache) -> Gathered<'a> {
        Gathered { cache, faults: &self.faults }
    }
}

/// Reads what `url` served into `cache`. What is no list is as good as none; what is no chain is a fault of it.
pub(super) fn keep(
    cache: &ChainCache,
    url: &str,
    kind: Fetched,
    body: &[u8],
    fresh_s: u64,
    now: Timestamp,
) -> Result<(), Fault> {
    let fresh_ms = fresh_s.saturating_mul(1000);
    if kind == Fetched::NumberList {
        if let Ok(list) = TnAuthList::from_reference(body) {
            cache.put_list(url, Arc::new(list), fresh_ms, now);
        }
        return Ok(());
    }
    cache.put(url, Arc::new(CertificateChain::from_pem(body)?), fresh_ms, now);
    Ok(())
}

/// A cache, and why it lacks what was fetched for this call in vain.
#[derive(Clone, Copy, Debug)]
pub struct Gathered<'a> {
    cache: &'a ChainCache,
    faults: &'a BTreeMap<String, Fault>,
}

impl CertificateSource for Gathered<'_> {
    fn chain(&self, url: &str, now: Timestamp) -> Result<Arc<CertificateChain>, Fault> {
        self.cache.chain(url, now).map_err(|fault| self.faults.get(url).cloned().unwrap_or(fault))
    }

    fn carried_chain(
        &self,
        certificates: &[Vec<u8>],
        now: Timestamp,
    ) -> Result<Arc<CertificateChain>, Fault> {
        self.cache.carried_chain(certificates, now)
    }

    fn number_list(&self, url: &str, now: Timestamp) -> Option<Arc<TnAuthList>> {
        self.cache.number_list(url, now)
    }
}
