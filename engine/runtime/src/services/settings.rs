//! The settings of the services of RFC 8816 §8, as the property table fills them in. It opens no file.

use std::path::PathBuf;
use std::time::Duration;

use herald_core::{NumberBlock, TelephoneNumber};
use herald_stir::bundle::Area;
use herald_stir::limits::{
    CHECK_DEADLINE_DEFAULT_MS, COVER_PER_HOUR_MAX, CPS_SOURCES_MAX, DISCOVERY_DEADLINE_DEFAULT_MS,
    KEY_PREFETCH_MAX, KEY_PREFIX_SIGNS_MIN, PLACE_DEADLINE_DEFAULT_MS,
};
use herald_stir::services::{CpsPolicy, CpsUri};

use crate::config::parse_duration;
use crate::fetch::AllowedHost;
use crate::limits::{
    SERVICE_DEADLINE_DEFAULT_MS, SERVICE_DEADLINE_MAX_MS, SERVICE_FILES_MAX, WORKER_THREADS_MAX,
};
use crate::wallet::WalletSettings;

/// Everything that placing and checking calls needs. Empty, an engine has none of the services.
#[derive(Clone, Debug)]
pub(crate) struct ServiceSettings {
    pub(crate) signing_key: Option<PathBuf>,
    pub(crate) signing_certificate: Option<PathBuf>,
    pub(crate) x5u: Option<String>,
    pub(crate) sealing_keys: Vec<PathBuf>,
    pub(crate) roots: Option<PathBuf>,
    pub(crate) crls: Vec<PathBuf>,
    pub(crate) crl_signers: Option<PathBuf>,
    pub(crate) policy: Vec<(String, String)>,
    pub(crate) directory: Option<PathBuf>,
    /// Names of sources, in order.
    pub(crate) discovery: Option<Vec<String>>,
    pub(crate) discovery_own: Vec<String>,
    pub(crate) discovery_policy: CpsPolicy,
    pub(crate) discovery_deadline: Duration,
    pub(crate) key_server: Option<String>,
    pub(crate) key_prefetch: Vec<Area>,
    pub(crate) place_deadline: Duration,
    pub(crate) check_deadline: Duration,
    pub(crate) cover_per_hour: u32,
    pub(crate) cover_numbers: Vec<NumberBlock>,
    pub(crate) cps_authorities: Option<PathBuf>,
    pub(crate) fetch_authorities: Option<PathBuf>,
    pub(crate) fetch_hosts: Vec<AllowedHost>,
    pub(crate) worker_threads: usize,
    pub(crate) wallet: WalletSettings,
    /// Numbers are looked up, even if no call is placed or checked.
    pub(crate) looks_up: bool,
    /// The service that stands in the engine's place: it is a client.
    pub(crate) service: Option<CpsUri>,
    /// How long it may take for a store or a retrieval.
    pub(crate) service_deadline: Duration,
}

impl Default for ServiceSettings {
    fn default() -> Self {
        Self {
            signing_key: None,
            signing_certificate: None,
            x5u: None,
            sealing_keys: Vec::new(),
            roots: None,
            crls: Vec::new(),
            crl_signers: None,
            policy: Vec::new(),
            directory: None,
            discovery: None,
            discovery_own: Vec::new(),
            discovery_policy: CpsPolicy::default(),
            discovery_deadline: Duration::from_millis(DISCOVERY_DEADLINE_DEFAULT_MS),
            key_server: None,
            key_prefetch: Vec::new(),
            place_deadline: Duration::from_millis(PLACE_DEADLINE_DEFAULT_MS),
            check_deadline: Duration::from_millis(CHECK_DEADLINE_DEFAULT_MS),
            cover_per_hour: 0,
            cover_numbers: Vec::new(),
            cps_authorities: None,
            fetch_authorities: None,
            fetch_hosts: Vec::new(),
            worker_threads: 1,
            wallet: WalletSettings::default(),
            looks_up: false,
            service: None,
            service_deadline: Duration::from_millis(SERVICE_DEADLINE_DEFAULT_MS),
        }
    }
}

impl ServiceSettings {
    pub(crate) fn set_policy(&mut self, value: &str) -> Result<(), &'static str> {
        const FORM: &str = "settings as in freshness_s=30,form=lenient; see docs/POLICY.md";
        let pair = |text: &str| {
            let (name, value) = text.split_once('=').ok_or(FORM)?;
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        };
        self.policy = value.split(',').map(pair).collect::<Result<_, &'static str>>()?;
        Ok(())
    }

    pub(crate) fn set_discovery(&mut self, value: &str) -> Result<(), &'static str> {
        self.discovery = Some(names(value)?);
        self.looks_up = true;
        Ok(())
    }

    pub(crate) fn set_service(&mut self, value: &str) -> Result<(), &'static str> {
        let service = value.parse().ok().filter(|service| *service != CpsUri::Local);
        self.service = Some(service.ok_or("https://HOST[:PORT] or unix:PATH")?);
        self.looks_up = true;
        Ok(())
    }

    pub(crate) fn set_service_deadline(&mut self, value: &str) -> Result<(), &'static str> {
        let allowed = Duration::from_millis(1)..=Duration::from_millis(SERVICE_DEADLINE_MAX_MS);
        let deadline = parse_duration(value).filter(|deadline| allowed.contains(deadline));
        self.service_deadline = deadline.ok_or("a duration as in 2s or 300ms, at most 60s")?;
        Ok(())
    }

    pub(crate) fn set_discovery_own(&mut self, value: &str) -> Result<(), &'static str> {
        self.discovery_own = names(value)?;
        Ok(())
    }

    pub(crate) fn set_discovery_policy(&mut self, value: &str) -> Result<(), &'static str> {
        self.discovery_policy = value.parse().map_err(|_| "first, proven or agree")?;
        Ok(())
    }

    pub(crate) fn set_key_server(&mut self, value: &str) -> Result<(), &'static str> {
        self.key_server = Some(value.to_owned()).filter(|url| url.starts_with("https://"));
        self.key_server.as_ref().map(|_| ()).ok_or("an https URL")
    }

    pub(crate) fn set_key_prefetch(&mut self, value: &str) -> Result<(), &'static str> {
        let is_long = |prefix: &TelephoneNumber| prefix.sign_count() >= KEY_PREFIX_SIGNS_MIN;
        let area = |text: &str| text.trim().parse().ok().filter(is_long).map(Area::Prefix);
        let areas: Option<Vec<Area>> = value.split(',').map(area).collect();
        self.key_prefetch = areas
            .filter(|areas| areas.len() <= KEY_PREFETCH_MAX)
            .ok_or("up to 1024 prefixes of three or more digits as in 1202555,44203")?;
        Ok(())
    }

    pub(crate) fn set_x5u(&mut self, value: &str) -> Result<(), &'static str> {
        self.x5u = Some(value.to_owned()).filter(|url| url.starts_with("https://"));
        self.x5u.as_ref().map(|_| ()).ok_or("an https URL")
    }

    pub(crate) fn set_cover_per_hour(&mut self, value: &str) -> Result<(), &'static str> {
        let count = value.parse().ok().filter(|&count: &u32| count <= COVER_PER_HOUR_MAX);
        self.cover_per_hour = count.ok_or("a count from 0 to 36000")?;
        Ok(())
    }

    pub(crate) fn set_cover_numbers(&mut self, value: &str) -> Result<(), &'static str> {
        let blocks = value.split(',').map(|text| NumberBlock::parse(text.trim().as_bytes()));
        self.cover_numbers = blocks
            .collect::<Result<_, _>>()
            .map_err(|_| "blocks of numbers as in 12225550100-100 or 1222555xxxx")?;
        Ok(())
    }

    pub(crate) fn set_fetch_hosts(&mut self, value: &str) -> Result<(), &'static str> {
        let hosts = value.split(',').map(|text| text.trim().parse());
        self.fetch_hosts = hosts.collect::<Result<_, _>>().map_err(
            |_| "hosts as in certificates.example.com, *.example.com or lab.example:8443=10.0.0.0/8",
        )?;
        Ok(())
    }

    pub(crate) fn set_worker_threads(&mut self, value: &str) -> Result<(), &'static str> {
        let count = value.parse().ok().filter(|count| (1..=WORKER_THREADS_MAX).contains(count));
        self.worker_threads = count.ok_or("a count from 1 to 64")?;
        Ok(())
    }
}

/// A list of different names.
fn names(value: &str) -> Result<Vec<String>, &'static str> {
    const FORM: &str = "up to 8 different names of sources, as in directory,bundles,discovery-enum";
    let names: Vec<String> = value.split(',').map(|name| name.trim().to_owned()).collect();
    let is_good = |(index, name): (usize, &String)| !name.is_empty() && !names[..index].contains(name);
    if names.len() <= CPS_SOURCES_MAX && names.iter().enumerate().all(is_good) {
        return Ok(names);
    }
    Err(FORM)
}

/// A list of paths.
pub(crate) fn set_paths(place: &mut Vec<PathBuf>, value: &str) -> Result<(), &'static str> {
    let paths: Vec<PathBuf> = value.split(',').map(|path| path.trim().into()).collect();
    if paths.len() > SERVICE_FILES_MAX || paths.iter().any(|path| path.as_os_str().is_empty()) {
        return Err("1 to 8 paths, with commas between them");
    }
    *place = paths;
    Ok(())
}
