//! Placing and checking calls (RFC 8816 §8.1 and §8.2) beside an engine: keys, certificates and directory are read from
//! the files that the settings name, and the worker drives the machines. It knows no protocol of its own.

mod directory;
mod lookup;
mod outcomes;
mod report;
mod settings;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use herald_core::{Random, TelephoneNumber};
use herald_stir::bundle::{BundleDiscovery, BundleKeeper, DirectoryBounds};
use herald_stir::services::{
    AuthenticationService, CheckRequest, Checked, CoverPlan, CpsSources, CpsUri, Credential, Destination,
    Directory, Discoveries, Fetched, FetchedValues, GatewayCall, GatewayFailure, GatewayFetchRequest,
    GatewayPlaced, GatewayService, GatewayStoreRequest, Judging, LookedUp, LookupRequest, Machine,
    PlaceFailure, PlaceRequest, Placed, Renewal, Selector, Side, VerificationService, Witness,
};
use herald_stir::{
    CertificateChain, CertificateReference, ChainCache, ReplayMemory, SealingKey, SigningKey, Suite,
    TrustStore, VerificationPolicy,
};

use parking_lot::{Mutex, RwLock};

use crate::clock::wall_clock;
use crate::discovery::Discoverer;
use crate::error::{EngineError, EngineErrorKind};
use crate::fetch::{FetchPolicy, Fetcher, Supplier};
use crate::files::{read_pem, read_text};
use crate::wallet::WalletSettings;
use crate::worker::{CallHandle, CallLost, NamedCps, Worker, WorkerConfig, try_routes};
use directory::wrong;
use lookup::Configured;
pub(crate) use outcomes::Outcomes;

pub(crate) use lookup::LoadedSource;

pub use report::{checked_json, looked_up_json, verdict_json};
pub(crate) use settings::{ServiceSettings, set_paths};

/// What a call that was placed came to. [`CallLost`] if an invariant broke.
pub type PlaceOutcome = Result<Result<Placed, PlaceFailure>, CallLost>;
/// What a call that was checked came to. [`CallLost`] if an invariant broke.
pub type CheckOutcome = Result<Checked, CallLost>;
/// What became of the PASSporTs of a request that leaves SIP. [`CallLost`] if an invariant broke.
pub type GatewayStoreOutcome = Result<Result<GatewayPlaced, GatewayFailure>, CallLost>;
/// What a request that comes into SIP gets. [`CallLost`] if an invariant broke.
pub type GatewayFetchOutcome = Result<FetchedValues, CallLost>;
/// How a number was looked up. [`CallLost`] if an invariant broke.
pub type LookupOutcome = Result<LookedUp, CallLost>;

/// The services that are configured, not yet running.
pub(crate) struct Services {
    credentials: Vec<Credential>,
    /// Who asks for tokens: the signer, with its chain inline.
    asker: Option<(SigningKey, CertificateReference)>,
    trust: Option<TrustStore>,
    /// With roots.
    policy: Option<VerificationPolicy>,
    sealing_keys: Vec<SealingKey>,
    chains: Arc<ChainCache>,
    directory: Option<Arc<Directory>>,
    bundles: Option<Arc<BundleDiscovery>>,
    cover: Option<CoverPlan>,
    settings: ServiceSettings,
    fetcher: Arc<Fetcher>,
    random: Arc<dyn Random>,
    suite: Suite,
    seen: Arc<ReplayMemory>,
}

/// What services go on with when their files are read again.
#[derive(Clone)]
struct Kept {
    chains: Arc<ChainCache>,
    fetcher: Arc<Fetcher>,
    seen: Arc<ReplayMemory>,
}

/// The services with the sources of services that are there at the start.
pub(crate) struct Assembled {
    serving: Serving,
    /// Which service provider code a number has.
    codes: Arc<Directory>,
}

/// What serves calls that begin now.
struct Serving {
    authentication: Arc<AuthenticationService>,
    verification: Option<Arc<VerificationService>>,
    cps: Arc<CpsSources>,
    named_cps: Arc<NamedCps>,
}

impl Services {
    /// Reads what the settings name. `None` if they name neither a signer's key, nor roots to verify with, nor sources to
    /// look numbers up in.
    ///
    /// # Errors
    /// [`EngineErrorKind::Argument`]: a file that cannot be read, or is not what it should be; settings that
    /// contradict each other.
    pub(crate) fn read(
        settings: &ServiceSettings,
        suite: Suite,
        random: Arc<dyn Random>,
    ) -> Result<Option<Self>, EngineError> {
        Self::read_with(settings, suite, random, None)
    }

    /// The same services with what their files say now. What was fetched, and which PASSporTs were seen, they know still.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn read_again(&self) -> Result<Self, EngineError> {
        let Self { chains, fetcher, seen, .. } = self;
        let kept = Kept { chains: chains.clone(), fetcher: fetcher.clone(), seen: seen.clone() };
        let services = Self::read_with(&self.settings, self.suite, self.random.clone(), Some(kept))?;
        services.ok_or_else(|| contradiction("there are no services any more"))
    }

    fn read_with(
        settings: &ServiceSettings,
        suite: Suite,
        random: Arc<dyn Random>,
        kept: Option<Kept>,
    ) -> Result<Option<Self>, EngineError> {
        let trust = settings.roots.as_deref().map(|roots| trust(roots, settings)).transpose()?;
        let credentials: Vec<_> = credential(settings)?.into_iter().collect();
        let cover = cover(settings, !credentials.is_empty())?;
        if credentials.is_empty() && trust.is_none() && !settings.looks_up {
            return Ok(None);
        }
        let Kept { chains, fetcher, seen } = kept.map_or_else(|| Kept::new(settings), Ok)?;
        let sealing_keys = settings.sealing_keys.iter().map(|path| read_sealing_key(path));
        Ok(Some(Self {
            credentials,
            asker: asker(settings)?,
            policy: trust.clone().map(|trust| policy(trust, settings)).transpose()?,
            sealing_keys: sealing_keys.collect::<Result<_, _>>()?,
            directory: settings.directory.as_deref().map(directory::read).transpose()?.map(Arc::new),
            bundles: bundles(settings, trust.as_ref(), suite, &chains)?,
            trust,
            chains,
            cover,
            settings: settings.clone(),
            fetcher,
            random,
            suite,
            seen,
        }))
    }

    /// The services, with the sources of services that are `loaded`, which `discoverer` asks; without one it is made. What
    /// a bundle or a plugin names is found in a stranger's document.
    pub(crate) fn assemble(
        &self,
        loaded: &[LoadedSource],
        discoverer: Option<Arc<Discoverer>>,
    ) -> Result<(Assembled, Option<Arc<Discoverer>>), EngineError> {
        let has_others = self.bundles.is_some() || !loaded.is_empty();
        let directory = match &self.directory {
            Some(directory) => directory.clone(),
            None if has_others => Arc::default(),
            None => Arc::new(everybody_here()?),
        };
        let named_cps = if has_others { NamedCps::Only(directory.services().clone()) } else { NamedCps::All };
        let codes = directory.clone();
        let lookup = Arc::new(Configured { directory, bundles: self.bundles.clone() });
        let cps = Arc::new(lookup::sources(&self.settings, &lookup, loaded)?);
        let discoverer = match discoverer {
            Some(discoverer) => Some(discoverer),
            None => lookup::discoverer(&self.settings, &lookup, loaded, self.random.clone())?,
        };
        let authentication = Arc::new(AuthenticationService {
            credentials: self.credentials.clone(),
            trust: self.trust.clone(),
            discoveries: Discoveries { cps: cps.clone(), keys: lookup },
            random: self.random.clone(),
        });
        let witness = discoverer.clone().map(|discoverer| -> Arc<Witness> {
            Arc::new(move |der| discoverer.show_certificate(der, wall_clock()))
        });
        let verification = self.policy.clone().map(|policy| {
            Arc::new(VerificationService {
                policy,
                sealing_keys: self.sealing_keys.clone(),
                cps: cps.clone(),
                certificates: None,
                chains: self.chains.clone(),
                seen: self.seen.clone(),
                witness,
            })
        });
        let serving = Serving { authentication, verification, cps, named_cps: Arc::new(named_cps) };
        Ok((Assembled { serving, codes }, discoverer))
    }

    /// What fetches documents for them.
    pub(crate) const fn fetcher(&self) -> &Arc<Fetcher> {
        &self.fetcher
    }

    /// Has `supplier` asked before anything is fetched.
    pub(crate) fn supply_by(&self, supplier: Arc<Supplier>) -> Result<(), EngineError> {
        match self.fetcher.supply_by(supplier) {
            true => Ok(()),
            false => {
                let why = "this engine has a supplier; open another engine for another one";
                Err(EngineError::new(EngineErrorKind::State, why))
            }
        }
    }

    /// Starts a worker for them with `start`, and cover if it is wanted; `loaded` are the sources of services beside the
    /// built-in ones.
    ///
    /// # Errors
    /// [`EngineErrorKind::Argument`] if the settings name a source that there is not, and those of `start`.
    pub(crate) fn start(
        &self,
        loaded: &[LoadedSource],
        start: impl FnOnce(WorkerConfig, Helpers) -> Result<Worker, EngineError>,
    ) -> Result<Calls, EngineError> {
        let (parts, discoverer) = self.assemble(loaded, None)?;
        let config = WorkerConfig {
            threads_count: self.settings.worker_threads,
            cps_roots_pem: self.cps_roots_pem()?,
            home: self.settings.service.clone(),
            home_deadline: self.settings.service_deadline,
            ..WorkerConfig::new(self.fetcher.clone())
        };
        let asker = self.asker.clone().filter(|_| self.settings.wallet.kept > 0);
        let tokens = asker.map(|(key, certificate)| (self.settings.wallet, key, certificate));
        let worker = start(config, Helpers { discoverer: discoverer.clone(), tokens })?;
        let company = self.start_company(&parts.serving, &worker)?;
        if parts.serving.verification.is_some() {
            worker.submit(Renewal::of(self.chains.clone()), |_| ())?;
        }
        Ok(Calls {
            worker,
            serving: RwLock::new(Arc::new(parts.serving)),
            company: Mutex::new(company),
            under_way: Arc::default(),
            discoverer,
            place_deadline_ms: millis(self.settings.place_deadline),
            check_deadline_ms: millis(self.settings.check_deadline),
            outcomes: Arc::default(),
        })
    }
}

impl Services {
    /// Whether a worker could start for them, as far as their settings tell.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub(crate) fn try_worker(&self) -> Result<(), EngineError> {
        try_routes(&self.cps_roots_pem()?, self.settings.service.clone())
    }

    /// Empty if none are set.
    fn cps_roots_pem(&self) -> Result<Vec<u8>, EngineError> {
        let read = self.settings.cps_authorities.as_deref().map(read_pem).transpose()?;
        Ok(read.unwrap_or_default())
    }

    /// The machines that run beside calls, all or none. Nobody waits for them: they end with the worker.
    fn start_company(&self, serving: &Serving, worker: &Worker) -> Result<Vec<CallHandle>, EngineError> {
        let mut company = Vec::new();
        let started = self.start_each(serving, worker, &mut company);
        started.inspect_err(|_| company.iter().for_each(CallHandle::cancel))?;
        Ok(company)
    }

    fn start_each(
        &self,
        serving: &Serving,
        worker: &Worker,
        company: &mut Vec<CallHandle>,
    ) -> Result<(), EngineError> {
        if let Some(plan) = &self.cover {
            let storer = serving.authentication.clone().cover(plan.clone());
            let storer = storer.map_err(|error| contradiction(error.to_string()))?;
            company.push(worker.submit_naming(serving.named_cps.clone(), storer, |_| ())?);
        }
        if let Some(bundles) = &self.bundles {
            let keeper = BundleKeeper::new(bundles.clone(), self.settings.key_prefetch.clone());
            company.push(worker.submit(keeper, |_| ())?);
        }
        Ok(())
    }

    /// Serves calls that begin from now on with `assembled`, which these services were put together to. Those under way go
    /// on as they began.
    ///
    /// # Errors
    /// Those of [`Worker::submit`]; all is then as it was.
    pub(crate) fn take_over(&self, calls: &Calls, assembled: Assembled) -> Result<(), EngineError> {
        let Assembled { serving, codes } = assembled;
        let mut company = calls.company.lock();
        // The old company goes on until there is a new one.
        let new_company = self.start_company(&serving, &calls.worker)?;
        core::mem::replace(&mut *company, new_company).iter().for_each(CallHandle::cancel);
        if let Some(discoverer) = &calls.discoverer {
            discoverer.set_codes(codes);
        }
        calls.worker.ask_tokens_as(self.asker.clone());
        *calls.serving.write() = Arc::new(serving);
        Ok(())
    }
}

impl Kept {
    fn new(settings: &ServiceSettings) -> Result<Self, EngineError> {
        let fetcher = Arc::new(Fetcher::new(fetch_policy(settings)?)?);
        Ok(Self { chains: Arc::default(), fetcher, seen: Arc::default() })
    }
}

/// What the services' worker has beside it.
#[derive(Default)]
pub(crate) struct Helpers {
    pub(crate) discoverer: Option<Arc<Discoverer>>,
    /// How tokens are got, and who asks for them.
    pub(crate) tokens: Option<(WalletSettings, SigningKey, CertificateReference)>,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The services running on a worker.
pub(crate) struct Calls {
    pub(crate) worker: Worker,
    serving: RwLock<Arc<Serving>>,
    /// Machines that run until the files are read again.
    company: Mutex<Vec<CallHandle>>,
    under_way: Arc<AtomicUsize>,
    /// Asks the sources that were loaded, if there are some.
    pub(crate) discoverer: Option<Arc<Discoverer>>,
    place_deadline_ms: u64,
    check_deadline_ms: u64,
    pub(crate) outcomes: Arc<Outcomes>,
}

impl Calls {
    /// Calls that are being placed, checked or looked up, until their completion begins. What the worker runs beside them is
    /// none.
    pub(crate) fn under_way(&self) -> usize {
        // Relaxed: a figure.
        self.under_way.load(Ordering::Relaxed)
    }

    pub(crate) fn place(
        &self,
        request: PlaceRequest,
        completion: impl FnOnce(PlaceOutcome) + Send + 'static,
    ) -> Result<CallHandle, EngineError> {
        let serving = self.serving();
        if serving.authentication.credentials.is_empty() {
            return Err(not_configured("no signing_key"));
        }
        let outcomes = self.outcomes.clone();
        let request =
            PlaceRequest { deadline_ms: or(request.deadline_ms, self.place_deadline_ms), ..request };
        self.submit(&serving, serving.authentication.clone().place(request), move |outcome| {
            outcomes.count_placed(&outcome);
            completion(outcome);
        })
    }

    pub(crate) fn check(
        &self,
        request: CheckRequest,
        completion: impl FnOnce(CheckOutcome) + Send + 'static,
    ) -> Result<CallHandle, EngineError> {
        let (serving, outcomes) = (self.serving(), self.outcomes.clone());
        let request =
            CheckRequest { deadline_ms: or(request.deadline_ms, self.check_deadline_ms), ..request };
        self.submit(&serving, serving.verification()?.check(request), move |outcome| {
            outcomes.count_checked(&outcome);
            completion(outcome);
        })
    }

    pub(crate) fn look_up(
        &self,
        request: LookupRequest,
        completion: impl FnOnce(LookupOutcome) + Send + 'static,
    ) -> Result<CallHandle, EngineError> {
        let serving = self.serving();
        let configured_ms = match request.side {
            Side::Calling => self.place_deadline_ms,
            Side::Called => self.check_deadline_ms,
        };
        let request = LookupRequest { deadline_ms: or(request.deadline_ms, configured_ms), ..request };
        self.submit(&serving, request.machine(serving.cps.clone()), completion)
    }

    pub(crate) fn gateway_store(
        &self,
        sip: &[u8],
        divert_to: Option<TelephoneNumber>,
        judging: Judging,
        deadline_ms: u64,
        completion: impl FnOnce(GatewayStoreOutcome) + Send + 'static,
    ) -> Result<CallHandle, EngineError> {
        let serving = self.serving();
        let (verification, authentication) = (serving.verification()?, serving.authentication.clone());
        let call = read_sip(sip, &verification)?;
        let request =
            GatewayStoreRequest { call, divert_to, deadline_ms: or(deadline_ms, self.place_deadline_ms) };
        let gateway = Arc::new(GatewayService { verification, authentication, judging });
        self.submit(&serving, gateway.store(request), completion)
    }

    pub(crate) fn gateway_fetch(
        &self,
        sip: &[u8],
        deadline_ms: u64,
        completion: impl FnOnce(GatewayFetchOutcome) + Send + 'static,
    ) -> Result<CallHandle, EngineError> {
        let serving = self.serving();
        let verification = serving.verification()?;
        let call = read_sip(sip, &verification)?;
        let request = GatewayFetchRequest { call, deadline_ms: or(deadline_ms, self.check_deadline_ms) };
        self.submit(&serving, request.machine(verification), completion)
    }

    /// Whatever is read again meanwhile, a call goes on with what served when it began.
    fn submit<M: Machine + 'static>(
        &self,
        serving: &Serving,
        machine: M,
        completion: impl FnOnce(Result<M::Outcome, CallLost>) + Send + 'static,
    ) -> Result<CallHandle, EngineError> {
        let counted = UnderWay::begin(&self.under_way);
        self.worker.submit_naming(serving.named_cps.clone(), machine, move |outcome| {
            // Before it is told, as in the worker: whoever hears it may look.
            drop(counted);
            completion(outcome);
        })
    }

    /// Keeps a chain that the host has, as what `url` serves.
    pub(crate) fn keep_certificate(
        &self,
        url: &str,
        chain_pem: &[u8],
        fresh: Duration,
    ) -> Result<(), EngineError> {
        let chain =
            CertificateChain::from_pem(chain_pem).map_err(|fault| contradiction(fault.to_string()))?;
        self.serving().verification()?.chains.put(url, Arc::new(chain), millis(fresh), wall_clock());
        self.worker.keep(url, Fetched::Certificate, chain_pem.to_vec(), fresh.as_secs());
        Ok(())
    }

    /// What serves a call that begins now: to be asked once for each call.
    fn serving(&self) -> Arc<Serving> {
        self.serving.read().clone()
    }
}

/// A call is counted while this lives, however it ends.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        // Relaxed, as in the drop: a figure.
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Serving {
    fn verification(&self) -> Result<Arc<VerificationService>, EngineError> {
        self.verification.clone().ok_or_else(|| not_configured("no roots"))
    }
}

/// The configured time, where a call says none.
const fn or(given_ms: u64, configured_ms: u64) -> u64 {
    if given_ms == 0 { configured_ms } else { given_ms }
}

fn read_sip(sip: &[u8], verification: &VerificationService) -> Result<GatewayCall, EngineError> {
    GatewayCall::from_sip(sip, &verification.policy.sip).map_err(|fault| contradiction(fault.to_string()))
}

#[cold]
pub(crate) fn not_configured(missing: &str) -> EngineError {
    EngineError::new(
        EngineErrorKind::State,
        format!("this engine does not do that: {missing} is set when it is opened"),
    )
}

/// Without a directory the engine itself is everybody's service, and nobody's keys are known.
fn everybody_here() -> Result<Directory, EngineError> {
    let mut directory = Directory::new();
    let everybody = Selector::Numbers(herald_stir::NumberSet::Everybody);
    directory
        .add(&[everybody], Destination { cps: vec![CpsUri::Local], keys: Vec::new() })
        .map_err(|error| EngineError::new(EngineErrorKind::Argument, error.to_string()))?;
    Ok(directory)
}

fn credential(settings: &ServiceSettings) -> Result<Option<Credential>, EngineError> {
    let (Some(key_path), Some(chain_path)) = (&settings.signing_key, &settings.signing_certificate) else {
        return match (&settings.signing_key, &settings.signing_certificate) {
            (None, None) => Ok(None),
            _ => Err(contradiction("signing_key and signing_certificate go together: set both")),
        };
    };
    let key = SigningKey::from_pem(&read_text(key_path)?).map_err(|error| wrong(key_path, error))?;
    let chain_pem = read_pem(chain_path)?;
    let reference = match &settings.x5u {
        Some(url) => CertificateReference::Url(url.clone()),
        None => {
            CertificateReference::inline_from_pem(&chain_pem).map_err(|fault| wrong(chain_path, fault))?
        }
    };
    Credential::new(key, reference, &chain_pem).map(Some).map_err(|fault| wrong(chain_path, fault))
}

/// Who signs, as issuers are shown it.
fn asker(settings: &ServiceSettings) -> Result<Option<(SigningKey, CertificateReference)>, EngineError> {
    let (Some(key_path), Some(chain_path)) = (&settings.signing_key, &settings.signing_certificate) else {
        return Ok(None);
    };
    let key = SigningKey::from_pem(&read_text(key_path)?).map_err(|error| wrong(key_path, error))?;
    let chain = CertificateReference::inline_from_pem(&read_pem(chain_path)?);
    Ok(Some((key, chain.map_err(|fault| wrong(chain_path, fault))?)))
}

fn trust(roots: &Path, settings: &ServiceSettings) -> Result<TrustStore, EngineError> {
    let mut trust = TrustStore::from_pem(&read_pem(roots)?).map_err(|error| wrong(roots, error))?;
    for path in &settings.crls {
        trust = trust.with_crls_pem(&read_pem(path)?).map_err(|error| wrong(path, error))?;
    }
    if let Some(path) = &settings.crl_signers {
        trust = trust.with_list_signers_pem(&read_pem(path)?).map_err(|error| wrong(path, error))?;
    }
    Ok(trust)
}

fn policy(trust: TrustStore, settings: &ServiceSettings) -> Result<VerificationPolicy, EngineError> {
    let mut policy = VerificationPolicy::new(trust);
    for (name, value) in &settings.policy {
        policy.set(name, value).map_err(|error| contradiction(format!("policy: {error}")))?;
    }
    Ok(policy)
}

fn bundles(
    settings: &ServiceSettings,
    trust: Option<&TrustStore>,
    suite: Suite,
    chains: &Arc<ChainCache>,
) -> Result<Option<Arc<BundleDiscovery>>, EngineError> {
    match (&settings.key_server, trust) {
        (Some(server), Some(trust)) => {
            let bounds = DirectoryBounds::default();
            let bundles = BundleDiscovery::new(server, trust.clone(), suite, bounds, chains.clone());
            Ok(Some(Arc::new(bundles)))
        }
        (Some(_), None) => Err(contradiction("key_server is set: set roots too")),
        (None, _) if !settings.key_prefetch.is_empty() => {
            Err(contradiction("key_prefetch is set: set key_server too"))
        }
        (None, _) => Ok(None),
    }
}

fn read_sealing_key(path: &Path) -> Result<SealingKey, EngineError> {
    SealingKey::from_jwk(&read_text(path)?).map_err(|error| wrong(path, error))
}

fn fetch_policy(settings: &ServiceSettings) -> Result<FetchPolicy, EngineError> {
    let roots_pem = settings.fetch_authorities.as_deref().map(read_pem).transpose()?.unwrap_or_default();
    if roots_pem.is_empty() != settings.fetch_hosts.is_empty() {
        return Err(contradiction("fetch_hosts and fetch_authorities go together: set both"));
    }
    let hosts = &settings.fetch_hosts;
    Ok(FetchPolicy {
        roots_pem,
        certificate_hosts: hosts.clone(),
        number_list_hosts: hosts.clone(),
        key_bundle_hosts: hosts.clone(),
        supplier: None,
    })
}

fn cover(settings: &ServiceSettings, may_sign: bool) -> Result<Option<CoverPlan>, EngineError> {
    if settings.cover_per_hour == 0 {
        return Ok(None);
    }
    if !may_sign {
        return Err(contradiction("cover_per_hour is set: set signing_key too, cover looks like calls"));
    }
    let plan = CoverPlan::new(settings.cover_numbers.clone(), settings.cover_per_hour);
    plan.map(Some).ok_or_else(|| contradiction("cover_per_hour is set: set cover_numbers too"))
}

#[cold]
fn contradiction(why: impl Into<String>) -> EngineError {
    EngineError::new(EngineErrorKind::Argument, why)
}
