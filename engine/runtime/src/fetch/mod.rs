//! The fetcher: other people's documents (certificates, number lists, key bundles) by URL, from hosts that the operator
//! allowed, at most once at a time, kept as long as their servers say.
//!
//! It decides and remembers; the exchange itself is run by whoever asked, see [`Want`]. A caller never waits: it is told
//! later. Knows nothing of what is in a document.

mod allow;
mod cache;
mod fresh;
mod supply;

use core::time::Duration;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use herald_core::Timestamp;
use herald_net::sync::Mutex;
use herald_net::{Answered, Bytes, ClientError, Exchange, Request, Response, Route, StatusCode, Uri, header};
use herald_stir::services::{Answer, Fetched, IoFault};

use crate::config::ConfigError;
use crate::cps::IntoFault;
use crate::limits::{
    FETCH_BYTES_MAX, FETCH_DEADLINE_MS, FETCH_FAILED_MS, FETCH_KEYS_BYTES_MAX, FETCHES_MAX,
    FETCHES_PER_HOST_MAX,
};
use allow::AllowList;
use cache::{Cache, Found};
use supply::Awaited;

pub use allow::{AllowedHost, BadAllowedHost};
pub use supply::{Supplier, Supply};

/// What a fetcher may do.
#[derive(Clone, Default)]
pub struct FetchPolicy {
    /// The authorities, PEM, that the hosts' TLS certificates chain to. Without any nothing is fetched.
    pub roots_pem: Vec<u8>,
    /// Hosts of certificate chains (`x5u`).
    pub certificate_hosts: Vec<AllowedHost>,
    /// Hosts of number lists (RFC 8226 §10.1).
    pub number_list_hosts: Vec<AllowedHost>,
    /// Hosts of key bundles.
    pub key_bundle_hosts: Vec<AllowedHost>,
    /// Asked before a host is.
    pub supplier: Option<Arc<Supplier>>,
}

/// Fetches documents for any number of workers. Any thread.
pub struct Fetcher {
    certificates: AllowList,
    number_lists: AllowList,
    key_bundles: AllowList,
    supplier: OnceLock<Arc<Supplier>>,
    state: Mutex<State>,
    counters: Counters,
}

type Key = (Fetched, Arc<str>);

#[derive(Default)]
struct State {
    cache: Cache,
    /// Who waits for which document.
    under_way: HashMap<Key, UnderWay>,
    awaited: Awaited,
}

struct UnderWay {
    /// In small letters.
    host: String,
    waiters: Vec<Box<dyn AnswerWaiter>>,
}

impl UnderWay {
    fn new(exchange: &Exchange, waiter: Option<Box<dyn AnswerWaiter>>) -> Self {
        let host = exchange.request.uri().host().unwrap_or_default().to_ascii_lowercase();
        Self { host, waiters: waiter.into_iter().collect() }
    }
}

impl State {
    /// The place of one more waiter for a document that others wait for already.
    fn waiters(&mut self, key: &Key, now: Timestamp) -> Option<&mut Vec<Box<dyn AnswerWaiter>>> {
        match self.under_way.get_mut(key) {
            Some(under_way) => Some(&mut under_way.waiters),
            None => self.awaited.waiters(key, now),
        }
    }

    /// Whether one more may be fetched from the URI's host. O(fetches under way).
    fn has_room_for(&self, uri: &Uri) -> bool {
        let host = uri.host().unwrap_or_default();
        let is_same = |other: &&UnderWay| other.host.eq_ignore_ascii_case(host);
        self.under_way.len() < FETCHES_MAX
            && self.under_way.values().filter(is_same).count() < FETCHES_PER_HOST_MAX
    }
}

/// Hears the answer to an ask. Called on any thread, must not block.
pub(crate) trait AnswerWaiter: Send {
    fn tell(&self, answer: Answer);
}

/// What a wish for a document comes to.
pub(crate) enum Want {
    /// This is it.
    Answer(Answer),
    /// This is it, and it is time to fetch it again.
    AnswerAndRefresh(Answer, FetchJob),
    /// It is being fetched; the waiter will be told.
    Later,
    /// The caller is to fetch it; the waiter will be told.
    Fetch(FetchJob),
}

impl Fetcher {
    /// A fetcher that keeps to `policy`.
    ///
    /// # Errors
    /// [`ConfigError`] if the roots hold no usable certificate.
    pub fn new(policy: FetchPolicy) -> Result<Self, ConfigError> {
        let (mut certificates, mut number_lists, mut key_bundles) = Default::default();
        if !policy.roots_pem.is_empty() {
            let base = Route::https(&policy.roots_pem).map_err(|error| {
                ConfigError::new(format!("the authorities of hosts to fetch from: {error}"))
            })?;
            certificates = AllowList::new(&policy.certificate_hosts, &base);
            number_lists = AllowList::new(&policy.number_list_hosts, &base);
            key_bundles = AllowList::new(&policy.key_bundle_hosts, &base);
        }
        let (state, counters) = (Mutex::default(), Counters::default());
        let supplier = policy.supplier.map_or_else(OnceLock::new, OnceLock::from);
        Ok(Self { certificates, number_lists, key_bundles, supplier, state, counters })
    }

    /// Has `supplier` asked from now on, if there is none yet; gives whether that is so.
    pub fn supply_by(&self, supplier: Arc<Supplier>) -> bool {
        self.supplier.set(supplier).is_ok()
    }

    /// Keeps `body` as what `url` serves, for `fresh_s` seconds within the fetcher's bounds, and tells all who wait for
    /// it: so a host program that has a document spares its fetch.
    pub fn insert(&self, url: &str, kind: Fetched, body: Vec<u8>, fresh_s: u64, now: Timestamp) {
        let key: Key = (kind, url.into());
        let fresh_ms = fresh::bounded(fresh_s.saturating_mul(1000));
        let waiters = {
            let mut state = self.state.lock();
            state.cache.put(key.clone(), body.clone().into(), fresh_ms, now);
            let mut waiters = state.awaited.take(&key);
            if let Some(under_way) = state.under_way.get_mut(&key) {
                waiters.append(&mut under_way.waiters);
            }
            waiters
        };
        let answer = Answer::Fetched { body: body.into(), fresh_s: fresh_ms.div_ceil(1000) };
        waiters.iter().for_each(|waiter| waiter.tell(answer.clone()));
    }

    /// Forgets what `url` served, good or bad.
    pub fn forget(&self, url: &str, kind: Fetched) {
        self.state.lock().cache.remove(&(kind, url.into()));
    }

    /// What happened so far.
    pub fn counters(&self) -> FetchCounters {
        self.counters.snapshot()
    }

    /// A document is wanted at `now` on the steady clock.
    pub(crate) fn want(
        self: &Arc<Self>,
        url: &str,
        kind: Fetched,
        waiter: Box<dyn AnswerWaiter>,
        now: Timestamp,
    ) -> Want {
        let key: Key = (kind, url.into());
        match self.known(&key, now) {
            Some(known) => known,
            None => self.ask(key, waiter, now),
        }
    }

    /// As [`want`](Self::want), but what is known is of no use any more unless it is news.
    pub(crate) fn want_anew(
        self: &Arc<Self>,
        url: &str,
        kind: Fetched,
        waiter: Box<dyn AnswerWaiter>,
        now: Timestamp,
    ) -> Want {
        let key: Key = (kind, url.into());
        let is_news = self.state.lock().cache.is_news(&key, now);
        if is_news { self.want(url, kind, waiter, now) } else { self.ask(key, waiter, now) }
    }

    fn ask(self: &Arc<Self>, key: Key, waiter: Box<dyn AnswerWaiter>, now: Timestamp) -> Want {
        let (kind, url) = (key.0, &*key.1);
        if let Some(waiters) = self.state.lock().waiters(&key, now) {
            waiters.push(waiter);
            add(&self.counters.joined);
            return Want::Later;
        }
        match self.supplied(url, kind) {
            Supply::Document { body, fresh_s } => {
                add(&self.counters.supplied);
                self.insert(url, kind, body.clone(), fresh_s, now);
                Want::Answer(Answer::Fetched { body: body.into(), fresh_s })
            }
            Supply::Absent => {
                let why = "the host program has no such document and wants none fetched";
                Want::Answer(Answer::Failed(IoFault::NotAllowed(why.to_owned())))
            }
            Supply::Later => self.await_supply(&key, waiter, now),
            Supply::Fetch => self.want_fetched(key, waiter, now),
        }
    }

    /// What the host program says.
    fn supplied(&self, url: &str, kind: Fetched) -> Supply {
        let Some(supply) = self.supplier.get() else { return Supply::Fetch };
        catch_unwind(AssertUnwindSafe(|| supply(url, kind))).unwrap_or(Supply::Fetch)
    }

    /// Waits for a document that the host program brings later; it may be there by now.
    fn await_supply(&self, key: &Key, waiter: Box<dyn AnswerWaiter>, now: Timestamp) -> Want {
        let mut state = self.state.lock();
        if state.cache.is_news(key, now)
            && let Some(Found::Document { body, fresh_ms, .. }) = state.cache.find(key, now)
        {
            return Want::Answer(Answer::Fetched { body: (&*body).into(), fresh_s: fresh_ms.div_ceil(1000) });
        }
        if let Some(waiters) = state.waiters(key, now) {
            waiters.push(waiter);
        } else if !state.awaited.begin(key, waiter, now) {
            return Want::Answer(Answer::Failed(IoFault::Busy));
        }
        Want::Later
    }

    fn want_fetched(self: &Arc<Self>, key: Key, waiter: Box<dyn AnswerWaiter>, now: Timestamp) -> Want {
        let exchange = match self.exchange(&key) {
            Ok(exchange) => exchange,
            Err(why) => {
                add(&self.counters.refused);
                return Want::Answer(Answer::Failed(IoFault::NotAllowed(why.to_owned())));
            }
        };
        let mut state = self.state.lock();
        if let Some(waiters) = state.waiters(&key, now) {
            waiters.push(waiter);
            add(&self.counters.joined);
            return Want::Later;
        }
        if !state.has_room_for(exchange.request.uri()) {
            return Want::Answer(Answer::Failed(IoFault::Busy));
        }
        state.under_way.insert(key.clone(), UnderWay::new(&exchange, Some(waiter)));
        drop(state);
        Want::Fetch(self.job(key, exchange))
    }

    /// What is known without asking anybody.
    fn known(self: &Arc<Self>, key: &Key, now: Timestamp) -> Option<Want> {
        let mut state = self.state.lock();
        let (body, fresh_ms, is_due) = match state.cache.find(key, now)? {
            Found::Failure(fault) => {
                add(&self.counters.hits);
                return Some(Want::Answer(Answer::Failed(fault)));
            }
            Found::Document { body, fresh_ms, is_due } => (body, fresh_ms, is_due),
        };
        add(&self.counters.hits);
        let answer = Answer::Fetched { body: (&*body).into(), fresh_s: fresh_ms.div_ceil(1000) };
        if !is_due || state.under_way.contains_key(key) {
            return Some(Want::Answer(answer));
        }
        let exchange = self.exchange(key).ok().filter(|exchange| state.has_room_for(exchange.request.uri()));
        let Some(exchange) = exchange else { return Some(Want::Answer(answer)) };
        state.under_way.insert(key.clone(), UnderWay::new(&exchange, None));
        Some(Want::AnswerAndRefresh(answer, self.job(key.clone(), exchange)))
    }

    fn job(self: &Arc<Self>, key: Key, exchange: Exchange) -> FetchJob {
        add(&self.counters.begun);
        FetchJob { fetcher: self.clone(), key, exchange: Some(exchange), is_finished: false }
    }

    fn exchange(&self, (kind, url): &Key) -> Result<Exchange, &'static str> {
        let (list, answer_bytes_max) = match kind {
            Fetched::Certificate => (&self.certificates, FETCH_BYTES_MAX),
            Fetched::NumberList => (&self.number_lists, FETCH_BYTES_MAX),
            Fetched::KeyBundle => (&self.key_bundles, FETCH_KEYS_BYTES_MAX),
        };
        let (uri, route) = list.admit(url)?;
        let request = Request::get(uri).header(header::ACCEPT, "*/*").body(Bytes::new());
        let request = request.map_err(|_| "the URL is malformed")?;
        let allowed = Duration::from_millis(FETCH_DEADLINE_MS);
        Ok(Exchange { route, request, answer_bytes_max, allowed })
    }

    fn finish(&self, key: &Key, outcome: Result<(Bytes, u64), IoFault>, now: Option<Timestamp>) {
        let waiters = {
            let mut state = self.state.lock();
            match (&outcome, now) {
                (Ok((body, fresh_ms)), Some(now)) => {
                    state.cache.put(key.clone(), body.clone(), *fresh_ms, now);
                }
                // That there was too much to do says nothing of the document.
                (Err(fault), Some(now)) if *fault != IoFault::Busy => {
                    state.cache.put_failure(key.clone(), fault.clone(), FETCH_FAILED_MS, now);
                }
                _ => {}
            }
            state.under_way.remove(key).map_or_else(Vec::new, |under_way| under_way.waiters)
        };
        add(if outcome.is_ok() { &self.counters.fetched } else { &self.counters.failed });
        let answer = match outcome {
            Ok((body, fresh_ms)) => {
                Answer::Fetched { body: (&*body).into(), fresh_s: fresh_ms.div_ceil(1000) }
            }
            Err(fault) => Answer::Failed(fault),
        };
        for waiter in waiters {
            waiter.tell(answer.clone());
        }
    }
}

/// A document to be fetched by whoever holds this. Dropped unfinished, the fetch has failed.
pub(crate) struct FetchJob {
    fetcher: Arc<Fetcher>,
    key: Key,
    exchange: Option<Exchange>,
    is_finished: bool,
}

impl FetchJob {
    /// What to run. Once.
    pub(crate) fn exchange(&mut self) -> Exchange {
        self.exchange.take().expect("a job is run once")
    }

    /// Takes in how it ended, and tells all who wait.
    pub(crate) fn finish(mut self, answered: Answered, now: Timestamp) {
        self.is_finished = true;
        let outcome = answered.map_err(ClientError::into_fault).and_then(judge);
        self.fetcher.finish(&self.key, outcome, Some(now));
    }
}

impl Drop for FetchJob {
    fn drop(&mut self) {
        if !self.is_finished {
            self.fetcher.finish(&self.key, Err(IoFault::Busy), None);
        }
    }
}

/// The document in an answer, and for how many milliseconds it may be kept.
fn judge(response: Response<Bytes>) -> Result<(Bytes, u64), IoFault> {
    let status = response.status();
    if status.is_redirection() {
        let detail = "it redirects, and redirects are not followed".to_owned();
        return Err(IoFault::Refused { status: status.as_u16(), detail });
    }
    if status != StatusCode::OK {
        let detail = status.canonical_reason().unwrap_or("it gives no reason").to_owned();
        return Err(IoFault::Refused { status: status.as_u16(), detail });
    }
    let coding = response.headers().get(header::CONTENT_ENCODING);
    if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(IoFault::Malformed("a content coding that was not asked for".to_owned()));
    }
    if response.body().is_empty() {
        return Err(IoFault::Malformed("an empty document".to_owned()));
    }
    let fresh_ms = fresh::bounded(fresh::said_ms(response.headers()));
    Ok((response.into_body(), fresh_ms))
}

/// What happened at a fetcher since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchCounters {
    /// Wishes answered from memory, failures that are remembered among them.
    pub hits: u64,
    /// Wishes that joined a fetch under way.
    pub joined: u64,
    /// Documents that the host program supplied when asked.
    pub supplied: u64,
    /// Wishes refused by the allow-list.
    pub refused: u64,
    /// Fetches begun, to renew a document among them.
    pub begun: u64,
    /// Fetches that brought a document.
    pub fetched: u64,
    /// Fetches that failed.
    pub failed: u64,
}

/// Every access is Relaxed: the numbers order nothing.
#[derive(Default)]
struct Counters {
    hits: AtomicU64,
    joined: AtomicU64,
    supplied: AtomicU64,
    refused: AtomicU64,
    begun: AtomicU64,
    fetched: AtomicU64,
    failed: AtomicU64,
}

impl Counters {
    fn snapshot(&self) -> FetchCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        FetchCounters {
            hits: read(&self.hits),
            joined: read(&self.joined),
            supplied: read(&self.supplied),
            refused: read(&self.refused),
            begun: read(&self.begun),
            fetched: read(&self.fetched),
            failed: read(&self.failed),
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
