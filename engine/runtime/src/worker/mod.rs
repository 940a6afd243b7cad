//! The worker: drives the machines of [`services`](herald_stir::services) for callers that do not wait.
//!
//! [`Worker::submit`] takes a machine and returns at once; a completion is told the outcome, exactly once, on one of the
//! worker's threads. Each thread is a lane with calls, connections and timers of its own; what lanes share is the
//! fetcher and the engine in process. Knows nothing of what a machine is for.

mod call;
mod home;
mod lane;
mod store;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

use herald_core::{Clock, Timestamp};
use herald_net::{AddressRule, Route, Surroundings};
use herald_stir::services::{CpsUri, Fetched, Machine};
use herald_stir::{CertificateReference, SigningKey};
use parking_lot::Mutex;

use crate::clock::{SystemClock, wall_clock};
use crate::discovery::Discoverer;
use crate::engine::{Level, Report};
use crate::error::{EngineError, EngineErrorKind};
use crate::fetch::Fetcher;
use crate::limits::{SERVICE_DEADLINE_DEFAULT_MS, WORKER_CALLS_MAX, WORKER_THREADS_MAX};
use crate::shared::{Shared, Stage};
use crate::wallet::{Holdings, Wallet};
use call::Work;
use home::Home;
use lane::{Inbox, Lane, Message};

pub use call::CallLost;
pub(crate) use home::{HomeAnswer, NoAnswer, Visit};

/// What a worker works with.
pub struct WorkerConfig {
    /// Threads: one does some thousands of calls a second; more than cores gains nothing.
    pub threads_count: usize,
    /// The authorities, PEM, that certificates of services elsewhere chain to. Without any, no service is asked over
    /// HTTPS.
    pub cps_roots_pem: Vec<u8>,
    /// Which services elsewhere the operator has named.
    pub named_cps: NamedCps,
    /// The service that [`Local`](CpsUri::Local) stands for in place of an engine in process. As good as named.
    pub home: Option<CpsUri>,
    /// The longest that a thread of the host waits for it.
    pub home_deadline: Duration,
    /// Fetches documents.
    pub fetcher: Arc<Fetcher>,
    /// The clock that never steps back.
    pub clock: Arc<dyn Clock>,
    /// The wall clock.
    pub wall: fn() -> Timestamp,
    /// The network.
    pub surroundings: Surroundings,
}

impl WorkerConfig {
    /// One thread, the machine's clocks and network, and no services elsewhere over HTTPS.
    pub fn new(fetcher: Arc<Fetcher>) -> Self {
        Self {
            threads_count: 1,
            cps_roots_pem: Vec::new(),
            named_cps: NamedCps::All,
            home: None,
            home_deadline: Duration::from_millis(SERVICE_DEADLINE_DEFAULT_MS),
            fetcher,
            clock: Arc::new(SystemClock::starting_at(Timestamp::default())),
            wall: wall_clock,
            surroundings: Surroundings::default(),
        }
    }
}

/// Which services elsewhere the operator has named, in the configuration or a directory of his own. Those are asked
/// wherever they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedCps {
    /// All that a machine asks for: there is no other source of services.
    All,
    /// These. Others were found in strangers' documents: they are asked over HTTPS at public addresses, and never
    /// through a socket.
    Only(HashSet<CpsUri>),
}

impl NamedCps {
    fn contains(&self, cps: &CpsUri) -> bool {
        match self {
            Self::All => true,
            Self::Only(named) => named.contains(cps),
        }
    }
}

/// Drives calls on threads of its own. Any thread may submit.
pub struct Worker {
    common: Arc<Common>,
    lanes: Vec<Arc<Inbox>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    thread_ids: Vec<ThreadId>,
    next_call: AtomicU64,
    process: u32,
}

/// The engine that a worker runs beside.
pub(crate) struct Host {
    pub(crate) shared: Arc<Shared>,
    pub(crate) report: Report,
    /// Asks sources of services that machines name, if there are some.
    pub(crate) discoverer: Option<Arc<Discoverer>>,
    /// Has tokens for services that want some, if there are any to be had.
    pub(crate) wallet: Option<Arc<Wallet>>,
}

/// What the lanes of a worker share.
struct Common {
    fetcher: Arc<Fetcher>,
    /// The engine in process, if there is one.
    host: Option<Host>,
    https: Option<HttpsRoutes>,
    /// For calls that name no others.
    named_cps: Arc<NamedCps>,
    /// What stands in the place of the engine in process, if something does.
    home: Option<Home>,
    clock: Arc<dyn Clock>,
    wall: fn() -> Timestamp,
    is_stopping: AtomicBool,
    calls_count: AtomicUsize,
    panics_count: AtomicUsize,
}

/// The ways to services elsewhere over HTTPS.
pub(crate) struct HttpsRoutes {
    /// To those the operator has named.
    pub(crate) named: Arc<Route>,
    /// To those that were found.
    pub(crate) found: Arc<Route>,
}

/// Names a call for the life of its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct CallId(u64);

/// A call under way. To drop this changes nothing.
pub struct CallHandle {
    lane: Arc<Inbox>,
    id: CallId,
}

impl CallHandle {
    /// Ends the call early, if it is not done yet: its completion is told an outcome that says so, soon, on the
    /// worker's thread. Any thread.
    pub fn cancel(&self) {
        // A lane that has closed has ended its calls.
        let _ = self.lane.push(Message::Cancel(self.id));
    }
}

impl Worker {
    /// Starts the threads. Machines may not ask for [`Local`](herald_stir::services::CpsUri::Local).
    ///
    /// # Errors
    /// [`EngineErrorKind::Argument`] for a number of threads that is zero or too large, or roots without a certificate;
    /// [`EngineErrorKind::Limit`] if the system refuses a thread; [`EngineErrorKind::Network`] if it has no descriptors.
    pub fn start(config: WorkerConfig) -> Result<Self, EngineError> {
        Self::start_beside(None, config)
    }

    /// As [`start`](Self::start), beside the engine in process, which is then asked without a detour.
    pub(crate) fn start_beside(host: Option<Host>, config: WorkerConfig) -> Result<Self, EngineError> {
        if !(1..=WORKER_THREADS_MAX).contains(&config.threads_count) {
            let why = format!("{} worker threads; choose 1 to {WORKER_THREADS_MAX}", config.threads_count);
            return Err(EngineError::new(EngineErrorKind::Argument, why));
        }
        let (https, home) = routes(&config.cps_roots_pem, config.home, config.home_deadline)?;
        let common = Arc::new(Common {
            fetcher: config.fetcher,
            host,
            https,
            home,
            named_cps: Arc::new(config.named_cps),
            clock: config.clock,
            wall: config.wall,
            is_stopping: AtomicBool::new(false),
            calls_count: AtomicUsize::new(0),
            panics_count: AtomicUsize::new(0),
        });
        let mut worker = Self {
            common,
            lanes: Vec::new(),
            threads: Mutex::default(),
            thread_ids: Vec::new(),
            next_call: AtomicU64::new(0),
            process: std::process::id(),
        };
        for index in 0..config.threads_count {
            // An error drops the worker, which stops the lanes that run.
            worker.start_lane(index, config.surroundings.clone())?;
        }
        Ok(worker)
    }

    fn start_lane(&mut self, index: usize, surroundings: Surroundings) -> Result<(), EngineError> {
        let (sender, receiver) = sync_channel(1);
        let (common, left) = (self.common.clone(), self.common.clone());
        let run = move || match Lane::new(common, surroundings) {
            Ok(lane) => {
                // The starter waits for this message and nothing else.
                let inbox = lane.inbox();
                let _ = sender.send(Ok(inbox.clone()));
                let outcome = catch_unwind(AssertUnwindSafe(|| lane.run()));
                if !matches!(outcome, Ok(Ok(()))) {
                    // An invariant is broken, or the network. The lane's calls are told so, those too that wait.
                    left.fail();
                    drop(inbox.close());
                    left.count_panics(usize::from(outcome.is_err()));
                }
            }
            Err(error) => {
                let _ = sender.send(Err(error));
            }
        };
        let thread = thread::Builder::new().name(format!("herald-worker-{index}")).spawn(run);
        let thread = thread.map_err(|error| {
            EngineError::new(EngineErrorKind::Limit, format!("cannot start a worker's thread: {error}"))
        })?;
        self.thread_ids.push(thread.thread().id());
        self.threads.lock().push(thread);
        let started = receiver.recv().unwrap_or_else(|_| {
            Err(EngineError::new(EngineErrorKind::Failed, "a worker's thread ended before it began"))
        });
        self.lanes.push(started?);
        Ok(())
    }

    /// Takes a machine on and returns at once. `completion` is told its outcome, exactly once, on one of the worker's
    /// threads: it must not block, and may submit, cancel and stop. If it panics, that is counted and goes no further.
    ///
    /// # Errors
    /// [`EngineErrorKind::Busy`] if [`WORKER_CALLS_MAX`] calls are under way, [`EngineErrorKind::State`] after the stop,
    /// [`EngineErrorKind::Failed`] in a forked child and if all threads have failed. `completion` is then dropped untold.
    pub fn submit<M, F>(&self, machine: M, completion: F) -> Result<CallHandle, EngineError>
    where
        M: Machine + 'static,
        F: FnOnce(Result<M::Outcome, CallLost>) + Send + 'static,
    {
        self.submit_naming(self.common.named_cps.clone(), machine, completion)
    }

    /// As [`submit`](Self::submit), for a call to which other services than the configured ones count as named.
    pub(crate) fn submit_naming<M, F>(
        &self,
        named: Arc<NamedCps>,
        machine: M,
        completion: F,
    ) -> Result<CallHandle, EngineError>
    where
        M: Machine + 'static,
        F: FnOnce(Result<M::Outcome, CallLost>) + Send + 'static,
    {
        let counted = self.common.count_in()?;
        let id = CallId(self.next_call.fetch_add(1, Ordering::Relaxed));
        let mut work = Some(Box::new(Work::new(machine, completion, counted)));
        match self.leave(id, || work.take().map(|work| Message::Submit(id, work, named.clone()))) {
            Ok(lane) => Ok(CallHandle { lane: lane.clone(), id }),
            Err(error) => {
                work.expect("no lane has taken it").forget();
                Err(error)
            }
        }
    }

    /// Leaves what `make` makes with a lane whose turn it is by `id`. A lane that has closed does not have it made.
    fn leave(
        &self,
        id: CallId,
        mut make: impl FnMut() -> Option<Message>,
    ) -> Result<&Arc<Inbox>, EngineError> {
        if std::process::id() != self.process {
            let why = "this process was forked from the worker's; start a worker of its own";
            return Err(EngineError::new(EngineErrorKind::Failed, why));
        }
        let first = usize::try_from(id.0).unwrap_or(0);
        let mut in_turn =
            (0..self.lanes.len()).map(|offset| &self.lanes[(first + offset) % self.lanes.len()]);
        let taken = in_turn.find(|lane| lane.push_with(&mut make).is_ok());
        taken.ok_or_else(|| if self.common.is_stopping() { stopped() } else { failed() })
    }

    /// Keeps a document as what `url` serves, for `fresh_s` seconds within the fetcher's bounds, and tells all calls that
    /// wait for it. Any thread.
    pub fn keep(&self, url: &str, kind: Fetched, body: Vec<u8>, fresh_s: u64) {
        self.common.fetcher.insert(url, kind, body, fresh_s, self.common.clock.now());
    }

    /// Has its wallet, if there is one, ask for tokens as somebody else from now on.
    pub(crate) fn ask_tokens_as(&self, asker: Option<(SigningKey, CertificateReference)>) {
        let wallet = self.common.host.as_ref().and_then(|host| host.wallet.as_ref());
        if let (Some(wallet), Some(asker)) = (wallet, asker) {
            wallet.ask_as(asker);
        }
    }

    /// What its wallet holds, if it has one.
    pub(crate) fn wallet_holdings(&self) -> Option<Holdings> {
        Some(self.common.host.as_ref()?.wallet.as_ref()?.holdings())
    }

    /// Calls under way.
    pub fn calls_count(&self) -> usize {
        self.common.calls_count.load(Ordering::Relaxed)
    }

    /// Machines and completions that panicked so far.
    pub fn panics_count(&self) -> usize {
        self.common.panics_count.load(Ordering::Relaxed)
    }

    /// Ends all calls: each completion is told that its call was cancelled. Returns when the threads have ended; called
    /// from a completion it returns at once, and they end by themselves. A second stop does nothing. Any thread.
    pub fn stop(&self) {
        if std::process::id() != self.process {
            // The threads did not come along into the forked child.
            self.threads.lock().drain(..).for_each(core::mem::forget);
            return;
        }
        self.common.is_stopping.store(true, Ordering::SeqCst);
        self.lanes.iter().for_each(|lane| lane.nudge());
        if let Some(wallet) = self.common.host.as_ref().and_then(|host| host.wallet.as_ref()) {
            wallet.stop();
        }
        if self.thread_ids.contains(&thread::current().id()) {
            return;
        }
        let mut threads = self.threads.lock();
        for thread in threads.drain(..) {
            // A lane's panic has been counted; what it left is gone with it.
            let _ = thread.join();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Common {
    fn count_in(self: &Arc<Self>) -> Result<Counted, EngineError> {
        // Relaxed, all: a bound, nothing hangs on the order.
        let before = self.calls_count.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(self.clone());
        if before < WORKER_CALLS_MAX {
            return Ok(counted);
        }
        let why = format!("{WORKER_CALLS_MAX} calls are under way; try again when some are done");
        Err(EngineError::new(EngineErrorKind::Busy, why))
    }

    fn count_panics(&self, count: usize) {
        self.panics_count.fetch_add(count, Ordering::Relaxed);
    }

    fn discoverer(&self) -> Option<&Arc<Discoverer>> {
        self.host.as_ref()?.discoverer.as_ref()
    }

    /// Whether the operator has named the service, for a call to which those of `named` are.
    fn is_named(&self, named: &NamedCps, cps: &CpsUri) -> bool {
        let is_home = self.home.as_ref().is_some_and(|home| home.is(cps));
        is_home || named.contains(cps) || self.discoverer().is_some_and(|discoverer| discoverer.is_own(cps))
    }

    /// The engine in process, if there is one.
    fn local(&self) -> Option<&Shared> {
        self.host.as_ref().map(|host| &*host.shared)
    }

    /// A lane has ended by itself: so has the engine that it serves, and its operator hears of it.
    #[cold]
    fn fail(&self) {
        if let Some(host) = &self.host {
            host.shared.advance(Stage::Failed);
            (host.report)(
                Level::Error,
                "a thread that places and checks calls has failed, and the engine with it; close it and open another",
            );
        }
    }

    fn is_stopping(&self) -> bool {
        // SeqCst, here and where it is set: a lane that was nudged afterwards sees it.
        self.is_stopping.load(Ordering::SeqCst)
    }
}

/// A call that counts as under way until this is dropped.
struct Counted(Arc<Common>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.calls_count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cold]
fn failed() -> EngineError {
    EngineError::new(EngineErrorKind::Failed, "all threads of the worker have failed; start another")
}

#[cold]
fn stopped() -> EngineError {
    EngineError::new(EngineErrorKind::State, "the worker was stopped; start another")
}

/// Whether a worker finds its ways with these authorities, and to what stands in the engine's place.
pub(crate) fn try_routes(cps_roots_pem: &[u8], home: Option<CpsUri>) -> Result<(), EngineError> {
    routes(cps_roots_pem, home, Duration::ZERO).map(|_| ())
}

fn routes(
    cps_roots_pem: &[u8],
    home: Option<CpsUri>,
    home_deadline: Duration,
) -> Result<(Option<HttpsRoutes>, Option<Home>), EngineError> {
    let https = https_routes(cps_roots_pem)?;
    let home = home.map(|cps| Home::new(cps, https.as_ref(), home_deadline)).transpose()?;
    Ok((https, home))
}

/// Ways of their own: connections are not shared with others to the same services. `None` without roots.
pub(crate) fn https_routes(roots_pem: &[u8]) -> Result<Option<HttpsRoutes>, EngineError> {
    if roots_pem.is_empty() {
        return Ok(None);
    }
    let route = Route::https(roots_pem).map_err(|error| {
        EngineError::new(EngineErrorKind::Argument, format!("the authorities of services elsewhere: {error}"))
    })?;
    let found = Arc::new(route.clone().addresses(AddressRule::PUBLIC).for_strangers());
    Ok(Some(HttpsRoutes { named: Arc::new(route), found }))
}
