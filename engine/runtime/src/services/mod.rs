//! Placing and checking calls (RFC 8816 §8.1 and §8.2) beside an engine: keys, certificates and directory are read from
//! the files that the settings name, and the worker drives the machines. It knows no protocol of its own.

mod directory;
mod lookup;
mod report;
mod settings;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use herald_core::Random;
use herald_stir::bundle::{BundleDiscovery, BundleKeeper, DirectoryBounds};
use herald_stir::services::{
    AuthenticationService, CheckRequest, Checked, CoverPlan, CpsUri, Credential, Destination, Directory,
    Discoveries, Fetched, GatewayService, Judging, PlaceFailure, PlaceRequest, Placed, Renewal, Selector,
    VerificationService,
};
use herald_stir::{
    CertificateChain, CertificateReference, ChainCache, ReplayMemory, SealingKey, SigningKey, Suite,
    TrustStore, VerificationPolicy,
};

use crate::clock::wall_clock;
use crate::error::{EngineError, EngineErrorKind};
use crate::fetch::{FetchPolicy, Fetcher, Supplier};
use crate::files::{read_pem, read_text};
use crate::worker::{CallHandle, CallLost, NamedCps, Worker, WorkerConfig};
use directory::wrong;
use lookup::Configured;

pub use report::{checked_json, verdict_json};
pub(crate) use settings::{ServiceSettings, set_paths};

/// What a call that was placed came to. [`CallLost`] if an invariant broke.
pub type PlaceOutcome = Result<Result<Placed, PlaceFailure>, CallLost>;
/// What a call that was checked came to. [`CallLost`] if an invariant broke.
pub type CheckOutcome = Result<Checked, CallLost>;

/// The services that are configured, not yet running.
pub(crate) struct Services {
    authentication: Arc<AuthenticationService>,
    verification: Option<Arc<VerificationService>>,
    cover: Option<CoverPlan>,
    settings: ServiceSettings,
    fetcher: Arc<Fetcher>,
    lookup: Arc<Configured>,
}

impl Services {
    /// Reads what the settings name. `None` if they name neither a signer's key nor roots to verify with.
    ///
    /// # Errors
    /// [`EngineErrorKind::Argument`]: a file that cannot be read, or is not what it should be; settings that
    /// contradict each other.
    pub(crate) fn read(
        settings: &ServiceSettings,
        suite: Suite,
        random: Arc<dyn Random>,
    ) -> Result<Option<Self>, EngineError> {
        let trust = settings.roots.as_deref().map(|roots| trust(roots, settings)).transpose()?;
        let credentials: Vec<_> = credential(settings)?.into_iter().collect();
        let cover = cover(settings, !credentials.is_empty())?;
        if credentials.is_empty() && trust.is_none() {
            return Ok(None);
        }
        let chains = Arc::new(ChainCache::default());
        let bundles = match (&settings.key_server, &trust) {
            (Some(server), Some(trust)) => {
                let bounds = DirectoryBounds::default();
                let bundles = BundleDiscovery::new(server, trust.clone(), suite, bounds, chains.clone());
                Some(Arc::new(bundles))
            }
            (Some(_), None) => return Err(contradiction("key_server is set: set roots too")),
            (None, _) if !settings.key_prefetch.is_empty() => {
                return Err(contradiction("key_prefetch is set: set key_server too"));
            }
            (None, _) => None,
        };
        let directory = match &settings.directory {
            Some(path) => directory::read(path)?,
            None if bundles.is_some() => Directory::new(),
            None => everybody_here()?,
        };
        let lookup = Arc::new(Configured { directory, bundles });
        let authentication = Arc::new(AuthenticationService {
            credentials,
            trust: trust.clone(),
            discoveries: Discoveries::by(lookup.clone()),
            random,
        });
        let verification =
            trust.map(|trust| verification(trust, lookup.clone(), chains, settings)).transpose()?;
        let fetcher = Arc::new(Fetcher::new(fetch_policy(settings)?)?);
        Ok(Some(Self { authentication, verification, cover, settings: settings.clone(), fetcher, lookup }))
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

    /// Starts a worker for them with `start`, and cover if it is wanted.
    pub(crate) fn start(
        &self,
        start: impl FnOnce(WorkerConfig) -> Result<Worker, EngineError>,
    ) -> Result<Calls, EngineError> {
        let cps_roots_pem = self.settings.cps_authorities.as_deref().map(read_pem).transpose()?;
        let worker = start(WorkerConfig {
            threads_count: self.settings.worker_threads,
            cps_roots_pem: cps_roots_pem.unwrap_or_default(),
            named_cps: self.named_cps(),
            ..WorkerConfig::new(self.fetcher.clone())
        })?;
        if let Some(plan) = &self.cover {
            let storer = self.authentication.clone().cover(plan.clone());
            let storer = storer.map_err(|error| contradiction(error.to_string()))?;
            // Nobody waits for it: it ends with the worker.
            worker.submit(storer, |_| ())?;
        }
        if let Some(bundles) = &self.lookup.bundles {
            let keeper = BundleKeeper::new(bundles.clone(), self.settings.key_prefetch.clone());
            worker.submit(keeper, |_| ())?;
        }
        if let Some(verification) = &self.verification {
            worker.submit(Renewal::of(verification.chains.clone()), |_| ())?;
        }
        Ok(Calls {
            worker,
            authentication: self.authentication.clone(),
            verification: self.verification.clone(),
            place_deadline_ms: millis(self.settings.place_deadline),
            check_deadline_ms: millis(self.settings.check_deadline),
        })
    }

    /// What a bundle names is found in a stranger's document.
    fn named_cps(&self) -> NamedCps {
        match &self.lookup.bundles {
            Some(_) => NamedCps::Only(self.lookup.directory.services().clone()),
            None => NamedCps::All,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The services running on a worker.
pub(crate) struct Calls {
    pub(crate) worker: Worker,
    authentication: Arc<AuthenticationService>,
    verification: Option<Arc<VerificationService>>,
    pub(crate) place_deadline_ms: u64,
    pub(crate) check_deadline_ms: u64,
}

impl Calls {
    pub(crate) fn place(
        &self,
        request: PlaceRequest,
        completion: impl FnOnce(PlaceOutcome) + Send + 'static,
    ) -> Result<CallHandle, EngineError> {
        if self.authentication.credentials.is_empty() {
            return Err(not_configured("no signing_key"));
        }
        self.worker.submit(self.authentication.clone().place(request), completion)
    }

    pub(crate) fn check(
        &self,
        request: CheckRequest,
        completion: impl FnOnce(CheckOutcome) + Send + 'static,
    ) -> Result<CallHandle, EngineError> {
        self.worker.submit(self.verification()?.clone().check(request), completion)
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
        self.verification()?.chains.put(url, Arc::new(chain), millis(fresh), wall_clock());
        self.worker.keep(url, Fetched::Certificate, chain_pem.to_vec(), fresh.as_secs());
        Ok(())
    }

    pub(crate) fn gateway(&self, judging: Judging) -> Result<Arc<GatewayService>, EngineError> {
        let (verification, authentication) = (self.verification()?.clone(), self.authentication.clone());
        Ok(Arc::new(GatewayService { verification, authentication, judging }))
    }

    fn verification(&self) -> Result<&Arc<VerificationService>, EngineError> {
        self.verification.as_ref().ok_or_else(|| not_configured("no roots"))
    }
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

fn trust(roots: &Path, settings: &ServiceSettings) -> Result<TrustStore, EngineError> {
    let mut trust = TrustStore::from_pem(&read_pem(roots)?).map_err(|error| wrong(roots, error))?;
    for path in &settings.crls {
        trust = trust.with_crls_pem(&read_pem(path)?).map_err(|error| wrong(path, error))?;
    }
    Ok(trust)
}

fn verification(
    trust: TrustStore,
    cps: Arc<Configured>,
    chains: Arc<ChainCache>,
    settings: &ServiceSettings,
) -> Result<Arc<VerificationService>, EngineError> {
    let mut policy = VerificationPolicy::new(trust);
    for (name, value) in &settings.policy {
        policy.set(name, value).map_err(|error| contradiction(format!("policy: {error}")))?;
    }
    let sealing_keys = settings.sealing_keys.iter().map(|path| read_sealing_key(path));
    Ok(Arc::new(VerificationService {
        policy,
        sealing_keys: sealing_keys.collect::<Result<_, _>>()?,
        cps,
        certificates: None,
        chains,
        seen: ReplayMemory::default(),
    }))
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
