//! The engine's life: open (recover, bind), start (threads), serve, stop.

mod check;
mod hosted;
mod opening;
mod parts;
mod plugins;
mod reload;
mod stats;
mod watching;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use herald_core::{Clock, Item, PlacementClass, PlacementId, Problem, Random, TelephoneNumber, Timestamp};
use herald_journal::{Fault, Journal, JournalThread, Notice, RocksStore, Vault};
use herald_net::{
    Address, ClientCertificates, ListenSpec, Listeners, NetError, Reactor, ReactorConfig, Server,
    ServerConfig, TlsSlot,
};
use herald_stir::SystemRandom;
use herald_stir::bundle::{Area, Listing};
use herald_stir::services::{CheckRequest, Judging, PlaceRequest};
use parking_lot::Mutex;

use crate::admission::Admitting;
use crate::clock::{SystemClock, wall_clock};
use crate::config::{Config, ConfigError};
use crate::door::Door;
use crate::elsewhere::Elsewhere;
use crate::error::{EngineError, EngineErrorKind};
use crate::fetch::Supplier;
use crate::files::read_pem;
use crate::keys::{KeyShelf, Source};
use crate::limits::{REACTORS_MAX, READERS_MIN};
use crate::plugins::PluginSet;
use crate::services::{
    Calls, CheckOutcome, GatewayFetchOutcome, GatewayStoreOutcome, Helpers, PlaceOutcome, Services,
    not_configured,
};
use crate::shared::{Shared, Stage};
use crate::worker::{CallHandle, Host, Worker, WorkerConfig};
use opening::{Opened, Opening};

pub use check::Prepared;
pub use hosted::Hosted;
pub(crate) use parts::Parts;

/// How weighty a report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The engine goes on as it should.
    Info,
    /// Something needs an eye.
    Warning,
    /// Something does not work until somebody acts.
    Error,
}

type ReportFn = dyn Fn(Level, &str) + Send + Sync;

/// Hears what an operator should know: one plain line each, on any thread, never a secret nor a full telephone
/// number.
pub type Report = Arc<ReportFn>;

/// What the engine takes from its surroundings.
pub struct Environment {
    /// Makes the clock; it must not begin before the moment given.
    pub clock: Box<dyn FnOnce(Timestamp) -> Arc<dyn Clock> + Send>,
    /// Where keys and ids come from.
    pub random: Arc<dyn Random>,
    /// Where reports go.
    pub report: Report,
}

impl Environment {
    /// The machine's clock and randomness, with reports going to `report`.
    pub fn system(report: impl Fn(Level, &str) + Send + Sync + 'static) -> Self {
        Self {
            clock: Box::new(|earliest| Arc::new(SystemClock::starting_at(earliest))),
            random: Arc::new(SystemRandom),
            report: Arc::new(report),
        }
    }
}

/// A Call Placement Service in process, or with the property `service` a client of one elsewhere: the same calls, and
/// where this page says the engine's memory and disk, it is the service's. Every call may come from any thread; [`store`](Self::store) and
/// [`retrieve`](Self::retrieve) serve from the start to the stop.
pub struct Engine {
    shared: Arc<Shared>,
    keys: Arc<KeyShelf>,
    config: Config,
    report: Report,
    tls: OnceLock<TlsSlot>,
    addresses: OnceLock<Vec<Address>>,
    services: Option<Services>,
    plugins: Arc<PluginSet>,
    /// What the listener of metrics sees too.
    parts: Arc<Parts>,
    /// Held while files are read again.
    reloading: Mutex<()>,
    /// Held by start and stop alone, for as long as they take.
    life: Mutex<Life>,
}

/// What start consumes and stop ends.
struct Life {
    journals: Vec<(PlacementClass, Journal<RocksStore>)>,
    /// What rate control keeps in the journal's database.
    vault: Option<Arc<Vault>>,
    server: Option<Server>,
    /// Serves metrics, from the start to the end of the stop.
    monitor: Option<Server>,
}

impl Engine {
    /// Opens an engine and recovers what the journal holds. Starts no thread and binds nothing. A configuration that is
    /// wrong touches no folder.
    ///
    /// # Errors
    /// [`EngineError`]: a contradictory configuration, a folder in use, a damaged journal, memory that is not to
    /// be had.
    pub fn open(config: Config, environment: Environment) -> Result<Self, EngineError> {
        Self::prepare(config, environment)?.open()
    }

    fn open_prepared(prepared: Prepared) -> Result<Self, EngineError> {
        let Prepared { config, environment, services, key_roots } = prepared;
        let Environment { clock, random, report } = environment;
        let opening = Opening::all(&config, &*report)?;
        let last_clocks = opening.iter().map(Opening::last_clock).collect::<Result<Vec<_>, _>>()?;
        let clock = clock(last_clocks.into_iter().max().unwrap_or_default());
        let now = clock.now();
        let (files, settings) = (&config.plugins, config.plugin_settings.as_deref());
        let plugins =
            Arc::new(PluginSet::load(files, settings, clock.clone(), random.clone(), report.clone())?);
        let vault = opening.first().map_or(Ok(None), Opening::vault)?.map(Arc::new);
        let (mut stacks, mut journals) = (Vec::new(), Vec::new());
        for one in opening {
            let class = one.class;
            let Opened { stack, journal } = one.recover(&*random, now, &*report)?;
            stacks.push(stack);
            journals.extend(journal.map(|journal| (class, journal)));
        }
        let mut stacks = stacks.into_iter();
        let calls = stacks.next().expect("calls are kept");
        let shared = Shared::new((calls, stacks.next()), clock, random, config.durability, config.suite);
        let keys = Arc::new(KeyShelf::open(&config, key_roots, &report, wall_clock())?);
        let shared = Arc::new(shared);
        Ok(Self {
            keys,
            config,
            report,
            tls: OnceLock::new(),
            addresses: OnceLock::new(),
            parts: Arc::new(Parts::new(&shared, &plugins, services.as_ref())),
            shared,
            services,
            plugins,
            reloading: Mutex::default(),
            life: Mutex::new(Life { journals, vault, server: None, monitor: None }),
        })
    }

    /// Binds the listeners, starts one thread per reactor for them, some that read what has left memory if it may, one
    /// that writes key bundles if it keeps some, and the journal's two threads.
    ///
    /// All or nothing: after an error the engine is as it was and may be started again; only if one of the journal's
    /// threads is refused, its journal is gone with it and the engine has failed. A store that arrives between
    /// the first listener and the journal's first breath is told to try again.
    ///
    /// # Errors
    /// [`EngineErrorKind::State`] if it was started before, [`EngineErrorKind::Network`] if an address is taken,
    /// [`EngineErrorKind::Limit`] or [`EngineErrorKind::Failed`] if the system refuses a thread.
    pub fn start(&self) -> Result<(), EngineError> {
        let mut life = self.life.lock();
        self.may_start()?;
        self.shared.start_readers(reader_count(&self.config))?;
        self.keys.start()?;
        self.plugins.start()?;
        self.start_admission(&life)?;
        let server = if self.config.has_listeners() { Some(self.serve()?) } else { None };
        let calls = self.start_services()?;
        let monitor = self.start_monitor()?;
        self.shared.watches.tell_here()?;
        self.start_journals(&mut life)?;
        self.keep_calls(calls);
        let addresses = server.as_ref().map_or(Vec::new(), |server| server.addresses().to_vec());
        let _ = self.addresses.set(addresses);
        let _ = self.parts.reactors.set(server.as_ref().map_or(Vec::new(), Server::handles));
        (life.server, life.monitor) = (server, monitor);
        self.shared.advance(Stage::Running);
        Ok(())
    }

    /// Binds the listeners for the calling thread to serve, and starts the threads that wait for disks only. All or nothing
    /// like [`start`](Self::start). A host with in-process calls alone has nothing to turn, and calls that.
    ///
    /// # Errors
    /// As [`start`](Self::start); [`EngineErrorKind::Argument`] if there are no listeners.
    pub fn start_hosted(&self) -> Result<Hosted, EngineError> {
        let mut life = self.life.lock();
        self.may_start()?;
        if !self.config.has_listeners() {
            return Err(ConfigError::new(
                "there is nothing for the host to serve: set listen or unix_socket, or start without a host loop",
            )
            .into());
        }
        self.shared.start_readers(reader_count(&self.config))?;
        self.keys.start()?;
        self.plugins.start()?;
        self.start_admission(&life)?;
        let listeners = Listeners::bind(&self.listen_specs()?, 1)?.into_shares().into_iter().flatten();
        let door = Door::new(
            self.shared.clone(),
            self.keys.clone(),
            self.shared.open_session()?,
            self.parts.admitting.get(),
        );
        let reactor = Reactor::new(ReactorConfig::default(), listeners.collect(), door)?;
        let hosted = Hosted { reactor, watches: self.shared.watches.clone() };
        let calls = self.start_services()?;
        let monitor = self.start_monitor()?;
        self.start_journals(&mut life)?;
        self.keep_calls(calls);
        life.monitor = monitor;
        self.shared.watches.tell_by(hosted.reactor.handle());
        let _ = self.addresses.set(hosted.addresses());
        let _ = self.parts.reactors.set(vec![hosted.reactor.handle()]);
        self.shared.advance(Stage::Running);
        Ok(hosted)
    }

    /// Has `supplier` asked for documents (certificate chains, number lists, key bundles) before they are fetched, on a
    /// thread of the engine's worker. Once, before the start.
    ///
    /// # Errors
    /// [`EngineErrorKind::State`] from the start on, if there is one already, and if no service is configured.
    pub fn supply_by(&self, supplier: Arc<Supplier>) -> Result<(), EngineError> {
        let _life = self.life.lock();
        self.may_start()?;
        self.services.as_ref().ok_or_else(no_services)?.supply_by(supplier)
    }

    /// Where it listens, with the ports that the kernel chose. Empty before the start.
    pub fn addresses(&self) -> &[Address] {
        self.addresses.get().map_or(&[], Vec::as_slice)
    }

    /// How long requests under way may take to finish when the engine stops.
    pub const fn drain_grace(&self) -> Duration {
        self.config.drain_grace()
    }

    /// Stores the sealed PASSporT of a call under the called number. Returns when it is as durable as the engine promises:
    /// with `synced` it waits for the disk. Any thread.
    ///
    /// # Errors
    /// [`EngineErrorKind::Argument`] for a size that is no bucket, [`EngineErrorKind::Full`],
    /// [`EngineErrorKind::Busy`], [`EngineErrorKind::Disk`] while the disk fails, [`EngineErrorKind::State`] before
    /// the start and after the stop, [`EngineErrorKind::Failed`].
    pub fn store(&self, number: TelephoneNumber, body: &[u8]) -> Result<PlacementId, EngineError> {
        self.store_of(PlacementClass::Call, number, body)
    }

    /// As [`store`](Self::store), of a sealed PASSporT of this class.
    ///
    /// # Errors
    /// As [`store`](Self::store); [`EngineErrorKind::Argument`] if the class is not kept, which the property
    /// message_retention decides.
    pub fn store_of(
        &self,
        class: PlacementClass,
        number: TelephoneNumber,
        body: &[u8],
    ) -> Result<PlacementId, EngineError> {
        match self.elsewhere()? {
            None => self.shared.store(class, number, body),
            Some(service) => service.store(class, number, body),
        }
    }

    /// Stores each of `placements`, a called number and the sealed PASSporT of a call, or says at its place in the answer why not;
    /// faster than one after the other. Returns when all are as durable as configured. Any thread.
    ///
    /// # Errors
    /// As [`store`](Self::store), where they concern the engine; what concerns one placement is in its result.
    pub fn store_batch(
        &self,
        placements: &[(TelephoneNumber, &[u8])],
    ) -> Result<Vec<Result<PlacementId, Problem>>, EngineError> {
        self.store_batch_of(PlacementClass::Call, placements)
    }

    /// As [`store_batch`](Self::store_batch), of sealed PASSporTs that are all of this class.
    ///
    /// # Errors
    /// As [`store_of`](Self::store_of).
    pub fn store_batch_of(
        &self,
        class: PlacementClass,
        placements: &[(TelephoneNumber, &[u8])],
    ) -> Result<Vec<Result<PlacementId, Problem>>, EngineError> {
        match self.elsewhere()? {
            None => self.shared.store_batch(class, placements),
            Some(service) => service.store_batch(class, placements),
        }
    }

    /// Everything under the called number, placements among cover, as every retriever sees it. Any thread; it waits for
    /// the disk only where `beyond_memory` is set and something has left memory.
    ///
    /// # Errors
    /// [`EngineErrorKind::Busy`], also if the disk makes it wait too long, [`EngineErrorKind::State`] before the start and after the stop,
    /// [`EngineErrorKind::Failed`].
    pub fn retrieve(&self, number: TelephoneNumber) -> Result<Vec<Item>, EngineError> {
        match self.elsewhere()? {
            None => self.shared.retrieve(number),
            Some(service) => service.retrieve(number),
        }
    }

    /// Starts a worker beside the engine: its machines may ask for
    /// [`Local`](herald_stir::services::CpsUri::Local), which is this engine, and go by the engine's clock. Stop it
    /// before the engine, or its calls are refused by a stopped one. If one of its threads fails, so does the engine.
    ///
    /// # Errors
    /// As [`Worker::start`].
    pub fn start_worker(&self, config: WorkerConfig) -> Result<Worker, EngineError> {
        self.start_worker_with(config, Helpers::default())
    }

    fn start_worker_with(&self, config: WorkerConfig, helpers: Helpers) -> Result<Worker, EngineError> {
        let config = WorkerConfig { clock: self.shared.clock.clone(), ..config };
        let wallet = self.start_wallet(&config, helpers.tokens)?;
        let (shared, report, discoverer) = (self.shared.clone(), self.report.clone(), helpers.discoverer);
        Worker::start_beside(Some(Host { shared, report, discoverer, wallet }), config)
    }

    /// Publishes a key bundle, as its owner does over HTTP: it is verified under `key_roots` and shown to callers.
    /// Any thread.
    ///
    /// # Errors
    /// [`EngineErrorKind::Argument`] if it is not to be believed or not newer, [`EngineErrorKind::Full`],
    /// [`EngineErrorKind::Busy`] if too many are published in this second, [`EngineErrorKind::State`] before the start
    /// and after the stop.
    pub fn publish_key_bundle(&self, token: &[u8]) -> Result<(), EngineError> {
        match self.shared.stage() {
            Stage::Running => Ok(self.keys.publish(Source::Here, token, wall_clock())?),
            other => Err(other.refusal()),
        }
    }

    /// The key bundles that are published about an area, as callers are shown them. Any thread.
    pub fn key_bundles(&self, area: &Area) -> Listing {
        self.keys.listing(area, wall_clock())
    }

    /// Everything under each of `numbers`, in their order: what [`retrieve`](Self::retrieve) gives for one after the
    /// other. Any thread.
    ///
    /// # Errors
    /// As [`retrieve`](Self::retrieve).
    pub fn retrieve_batch(&self, numbers: &[TelephoneNumber]) -> Result<Vec<Vec<Item>>, EngineError> {
        match self.elsewhere()? {
            None => self.shared.retrieve_batch(numbers),
            Some(service) => service.retrieve_batch(numbers),
        }
    }

    /// Places a call (RFC 8816 §8.1) and returns at once. `completion` is told the outcome, exactly once, on a thread of
    /// the engine's worker, also when the engine stops; it must not stop the engine. A deadline of 0 is the configured
    /// one. Any thread.
    ///
    /// # Errors
    /// [`EngineErrorKind::State`] before the start and after the stop, and if no signer is configured;
    /// [`EngineErrorKind::Busy`] if too many calls are under way. `completion` is then dropped untold.
    pub fn place(
        &self,
        request: PlaceRequest,
        completion: impl FnOnce(PlaceOutcome) + Send + 'static,
    ) -> Result<CallHandle, EngineError> {
        self.calls()?.place(request, completion)
    }

    /// Checks a call (RFC 8816 §8.2) and returns at once; as [`place`](Self::place).
    ///
    /// # Errors
    /// As [`place`](Self::place), if no roots are configured.
    pub fn check(
        &self,
        request: CheckRequest,
        completion: impl FnOnce(CheckOutcome) + Send + 'static,
    ) -> Result<CallHandle, EngineError> {
        self.calls()?.check(request, completion)
    }

    /// Places the PASSporTs of the SIP request `sip` before the call leaves SIP (RFC 8816 §8.3), and the call goes to
    /// `divert_to` if it is diverted; as [`place`](Self::place).
    ///
    /// # Errors
    /// As [`place`](Self::place), if no roots are configured; [`EngineErrorKind::Argument`] if `sip` cannot be read.
    pub fn gateway_store(
        &self,
        sip: &[u8],
        divert_to: Option<TelephoneNumber>,
        judging: Judging,
        deadline_ms: u64,
        completion: impl FnOnce(GatewayStoreOutcome) + Send + 'static,
    ) -> Result<CallHandle, EngineError> {
        self.calls()?.gateway_store(sip, divert_to, judging, deadline_ms, completion)
    }

    /// Finds the Identity header field values for the SIP request `sip` of a call that comes into SIP (RFC 8816 §8.3); as
    /// [`check`](Self::check).
    ///
    /// # Errors
    /// As [`gateway_store`](Self::gateway_store).
    pub fn gateway_fetch(
        &self,
        sip: &[u8],
        deadline_ms: u64,
        completion: impl FnOnce(GatewayFetchOutcome) + Send + 'static,
    ) -> Result<CallHandle, EngineError> {
        self.calls()?.gateway_fetch(sip, deadline_ms, completion)
    }

    /// Keeps a certificate chain, PEM, as what `url` serves, so that it need not be fetched for `fresh`. Any thread.
    ///
    /// # Errors
    /// [`EngineErrorKind::Argument`] if it is no chain, [`EngineErrorKind::State`] as [`check`](Self::check).
    pub fn keep_certificate(&self, url: &str, chain_pem: &[u8], fresh: Duration) -> Result<(), EngineError> {
        self.calls()?.keep_certificate(url, chain_pem, fresh)
    }

    /// Stops: no new calls and connections, calls being placed or checked are cancelled, up to the configured grace for
    /// requests under way, of a client for stores and retrievals that wait for the service, then the journal's last write. A second stop does nothing. Listeners served by the host are
    /// the host's to [drain](Hosted::drain) before.
    ///
    /// # Errors
    /// If a reactor had failed before; the engine is stopped nevertheless.
    pub fn stop(&self) -> Result<(), EngineError> {
        let mut life = self.life.lock();
        if self.config.is_client() {
            // Nobody comes in while those inside have their answers.
            self.shared.advance(Stage::Stopped);
        }
        if let Some(calls) = self.parts.calls.get() {
            calls.worker.close_home(self.config.drain_grace);
            calls.worker.stop();
        }
        self.shared.advance(Stage::Stopped);
        let served = life.server.take().map(|server| server.shutdown(self.config.drain_grace));
        if let Some(admitting) = self.parts.admitting.get() {
            admitting.stop();
        }
        self.shared.wind_up(self.config.drain_grace);
        (life.journals, life.vault, life.monitor) = (Vec::new(), None, None);
        self.shared.watches.stop();
        self.keys.close();
        self.plugins.stop();
        served.map_or(Ok(()), |outcome| Ok(outcome?))
    }

    /// Reads certificate and key again; connections that begin from now on see them. On an error nothing changes.
    ///
    /// # Errors
    /// If a file cannot be read or the key does not belong to the certificate.
    pub fn reload_certificates(&self) -> Result<(), EngineError> {
        if let (Some(slot), Some(tls)) = (self.tls.get(), load_tls(&self.config)?) {
            slot.replace(tls);
        }
        Ok(())
    }

    /// Where placements are, if this is a client.
    #[inline]
    fn elsewhere(&self) -> Result<Option<Elsewhere<'_>>, EngineError> {
        if !self.config.is_client() {
            return Ok(None);
        }
        Elsewhere::begin(&self.calls()?.worker, self.config.services.service_deadline).map(Some)
    }

    /// Starts admission, if stores need tokens and it is not started yet.
    fn start_admission(&self, life: &Life) -> Result<(), EngineError> {
        let settings = &self.config.admission;
        if settings.plugin.is_none() || self.parts.admitting.get().is_some() {
            return Ok(());
        }
        let Shared { clock, random, .. } = &*self.shared;
        let vault = life.vault.clone();
        let admitting = Admitting::start(settings, &self.plugins, vault, clock, &**random, &self.report)?;
        // An engine starts once, so there is none yet.
        let _ = self.parts.admitting.set(Arc::new(admitting));
        Ok(())
    }

    fn start_services(&self) -> Result<Option<Calls>, EngineError> {
        let loaded = self.loaded_sources();
        let start = |services: &Services| {
            services.start(&loaded, |config, helpers| self.start_worker_with(config, helpers))
        };
        self.services.as_ref().map(start).transpose()
    }

    fn keep_calls(&self, calls: Option<Calls>) {
        if let Some(calls) = calls {
            // An engine starts once, so there are none yet.
            let _ = self.parts.calls.set(calls);
        }
    }

    fn calls(&self) -> Result<&Calls, EngineError> {
        match self.shared.stage() {
            Stage::Running => self.parts.calls.get().ok_or_else(no_services),
            other => Err(other.refusal()),
        }
    }

    fn may_start(&self) -> Result<(), EngineError> {
        match self.shared.stage() {
            Stage::Opened => Ok(()),
            other => Err(other.refusal()),
        }
    }

    fn serve(&self) -> Result<Server, EngineError> {
        let count = reactor_count(&self.config);
        let sessions = (0..count).map(|_| self.shared.open_session()).collect::<Result<Vec<_>, _>>()?;
        let (shared, keys, sessions) = (self.shared.clone(), self.keys.clone(), Mutex::new(sessions));
        let admitting = self.parts.admitting.get().cloned();
        let make_door = move |_| {
            let session = sessions.lock().pop().expect("there is a session for each reactor");
            Door::new(shared.clone(), keys.clone(), session, admitting.as_ref())
        };
        let config =
            ServerConfig { listen: self.listen_specs()?, reactors: Some(count), ..ServerConfig::default() };
        let report = self.report.clone();
        let ended_early = move |why: &NetError| {
            report(Level::Error, &format!("a thread that serves the network has ended, start anew: {why}"));
        };
        Ok(Server::start_told(config, make_door, ended_early)?)
    }

    fn listen_specs(&self) -> Result<Vec<ListenSpec>, EngineError> {
        let mut specs = Vec::new();
        if let Some(tls) = load_tls(&self.config)? {
            let slot = self.tls.get_or_init(|| TlsSlot::new(tls.clone()));
            // After a start that failed there is a slot already, with what the files held then.
            slot.replace(tls);
            let over_tls = |&address| ListenSpec::Tls { address, tls: slot.clone() };
            specs.extend(self.config.listen.iter().map(over_tls));
        }
        if let Some(path) = &self.config.unix_socket {
            specs.push(ListenSpec::Unix { path: path.clone(), mode: self.config.unix_socket_mode });
        }
        Ok(specs)
    }

    fn start_journals(&self, life: &mut Life) -> Result<(), EngineError> {
        for (class, journal) in life.journals.drain(..) {
            let Some(stack) = self.shared.stack(class) else { continue };
            let (report, clock) = (self.report.clone(), self.shared.clock.clone());
            let told = move |notice| report_notice(&*report, class, &notice);
            let thread = JournalThread::start(journal, stack.commits.clone(), clock, told);
            stack.keep_journal(thread.map_err(|error| {
                self.shared.advance(Stage::Failed);
                let why = format!("the journal's thread does not start, close the engine: {error}");
                EngineError::new(EngineErrorKind::Failed, why)
            })?);
        }
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Who wants to know calls stop.
        let _ = self.stop();
    }
}

#[cold]
fn no_services() -> EngineError {
    not_configured("neither signing_key, roots nor discovery")
}

fn reactor_count(config: &Config) -> usize {
    config
        .reactors
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
        .min(REACTORS_MAX)
}

/// Threads that make answers with bodies while placements have left memory: they do then what reactors did.
fn reader_count(config: &Config) -> usize {
    reactor_count(config).max(READERS_MIN)
}

fn load_tls(config: &Config) -> Result<Option<Arc<rustls::ServerConfig>>, EngineError> {
    let (Some(certificate), Some(key)) = (&config.tls_certificate, &config.tls_key) else { return Ok(None) };
    let (chain, key) = (read_pem(certificate)?, read_pem(key)?);
    let roots = config.admission.roots.as_deref().map(read_pem).transpose()?;
    let clients = roots.as_deref().map_or(ClientCertificates::NotAsked, ClientCertificates::Optional);
    Ok(Some(herald_net::tls_server_config(&chain, &key, clients)?))
}

fn report_notice(report: &ReportFn, class: PlacementClass, notice: &Notice) {
    let report = |level, words: &str| match class {
        PlacementClass::Call => report(level, words),
        PlacementClass::Message => report(level, &format!("of messages alone: {words}")),
    };
    match notice {
        Notice::Failing(fault) => {
            report(
                Level::Error,
                &format!("stores are refused, and what left memory may not be shown: {fault}"),
            );
        }
        Notice::Hanging(unsynced_ms) => report(
            Level::Error,
            &format!(
                "stores are refused: the disk has taken nothing for {unsynced_ms} ms and reports no error; look at it"
            ),
        ),
        Notice::Working => report(Level::Info, "the journal can be written again; stores are taken"),
        Notice::Unread(count, fault) => {
            let why = fault.as_ref().map_or("the journal was not open, or damaged".into(), Fault::to_string);
            report(
                Level::Error,
                &format!(
                    "{count} times a placement was not shown that has left memory, look at the disk: {why}"
                ),
            );
        }
    }
}
