//! Placing and checking calls from the command line: one machine, driven by a worker of its own.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use herald_runtime::core::TelephoneNumber;
use herald_runtime::stir::services::{
    AuthenticationService, CheckRequest, Checked, CpsSources, CpsUri, Credential, Destination, Directory,
    Discoveries, LookupFault, Machine, PlaceFault, PlaceRequest, Selector, VerificationService,
};
use herald_runtime::stir::{
    CallFacts, CertificateReference, ChainCache, NumberSet, PassportReport, ReplayMemory, SealingKey,
    SealingPublicKey, SigningKey, TrustStore, VerificationPolicy,
};
use herald_runtime::{FetchPolicy, Fetcher, SystemRandom, Worker, WorkerConfig, checked_json};
use serde_json::json;

use crate::args::{Check, Place};
use crate::calls::{authorities, inline_chain, named, read, read_text};
use crate::output::{EXIT_NOT_GOOD, Failure, Output};

pub(crate) fn place(place: &Place, output: &Output) -> Result<ExitCode, Failure> {
    let keys = place
        .recipient
        .iter()
        .map(|path| SealingPublicKey::from_jwk(&read_text(path)?).map_err(|error| named(path, error)));
    let directory = everybody_at(&place.service.cps, keys.collect::<Result<_, _>>()?)?;
    let service = Arc::new(AuthenticationService {
        credentials: vec![credential(&place.key, place.certificate.as_deref(), place.x5u.as_deref())?],
        trust: None,
        discoveries: Discoveries::by(Arc::new(directory)),
        random: Arc::new(SystemRandom),
    });
    let request = PlaceRequest::shaken(place.from, place.to, place.attest, &SystemRandom);
    let placed = run(service.place(request), &authorities(&place.service)?)?;
    let placed = placed.map_err(|failure| match failure.cause {
        PlaceFault::NotAuthoritative(_) | PlaceFault::Sign(_) => Failure::usage(failure),
        _ => Failure::unavailable(failure),
    })?;
    for copy in &placed.copies {
        output.answer(
            format!("placed {} ({} bytes sealed)", copy.location, copy.sealed_bytes),
            &json!({ "location": copy.location, "sealed_bytes": copy.sealed_bytes }),
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// What PASSporTs are signed with: the key, and the chain by URL, within, or both known.
pub(crate) fn credential(
    key: &Path,
    certificate: Option<&Path>,
    x5u: Option<&str>,
) -> Result<Credential, Failure> {
    let key = SigningKey::from_pem(&read_text(key)?).map_err(|error| named(key, error))?;
    let by_url = x5u.map(|url| CertificateReference::Url(url.to_owned()));
    match (certificate, by_url) {
        (Some(path), by_url) => {
            let reference = by_url.map_or_else(|| inline_chain(path), Ok)?;
            Credential::new(key, reference, &read(path)?).map_err(|fault| named(path, fault))
        }
        (None, Some(by_url)) => Ok(Credential::vouched_for(key, by_url)),
        (None, None) => Err(Failure::usage("give the signer's certificate as a FILE, its URL or both")),
    }
}

pub(crate) fn check(check: &Check, output: &Output) -> Result<ExitCode, Failure> {
    let keys = check
        .sealing_key
        .iter()
        .map(|path| SealingKey::from_jwk(&read_text(path)?).map_err(|error| named(path, error)));
    let trust = TrustStore::from_pem(&read(&check.roots)?).map_err(|error| named(&check.roots, error))?;
    let mut policy = VerificationPolicy::new(trust);
    for (name, value) in &check.policy {
        policy.set(name, value).map_err(Failure::usage)?;
    }
    let service = verification(policy, keys.collect::<Result<_, _>>()?, check)?;
    let request = CheckRequest {
        in_band: check.identity.iter().map(|value| value.clone().into_bytes()).collect(),
        ..CheckRequest::new(CallFacts::new(check.from.into(), check.to.into()))
    };
    let checked = run(service.check(request), &authorities(&check.service)?)?;
    if let Err(fault @ (LookupFault::Nothing(_) | LookupFault::Deadline)) = &checked.lookup
        && checked.verdict.reports().is_empty()
    {
        return Err(Failure::unavailable(fault));
    }
    output.answer(verdict_text(&checked), &checked_json(&checked));
    let is_good = checked.verdict.outcome().is_ok();
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NOT_GOOD) })
}

fn verification(
    policy: VerificationPolicy,
    sealing_keys: Vec<SealingKey>,
    check: &Check,
) -> Result<Arc<VerificationService>, Failure> {
    let chain = check.certificate.as_deref().map(read).transpose()?;
    Ok(Arc::new(VerificationService {
        policy,
        sealing_keys,
        cps: Arc::new(CpsSources::only(Arc::new(everybody_at(&check.service.cps, Vec::new())?))),
        certificates: Some(Arc::new(move |_: &str| chain.clone())),
        chains: Arc::new(ChainCache::default()),
        seen: ReplayMemory::default().into(),
        witness: None,
    }))
}

/// A directory in which every number has one service, and the keys given.
pub(crate) fn everybody_at(cps: &str, keys: Vec<SealingPublicKey>) -> Result<Directory, Failure> {
    let is_local = cps == "local";
    let cps: CpsUri =
        cps.parse().map_err(|error| Failure::usage(format!("{cps:?} is no service: {error}")))?;
    if is_local {
        return Err(Failure::usage(
            "there is no engine in this process; give https://HOST[:PORT] or unix:PATH",
        ));
    }
    let mut directory = Directory::new();
    let everybody = [Selector::Numbers(NumberSet::Everybody)];
    directory.add(&everybody, Destination { cps: vec![cps], keys }).map_err(Failure::usage)?;
    Ok(directory)
}

/// Drives `machine` to its end. `cps_roots_pem` are the authorities of an https service.
pub(crate) fn run<M: Machine + 'static>(machine: M, cps_roots_pem: &[u8]) -> Result<M::Outcome, Failure> {
    let fetcher = Arc::new(Fetcher::new(FetchPolicy::default()).map_err(Failure::usage)?);
    let config = WorkerConfig { cps_roots_pem: cps_roots_pem.to_vec(), ..WorkerConfig::new(fetcher) };
    let worker = Worker::start(config)?;
    let (sender, receiver) = sync_channel(1);
    worker.submit(machine, move |outcome| {
        // The receiver waits for this message and nothing else.
        let _ = sender.send(outcome);
    })?;
    receiver.recv().map_err(Failure::unavailable)?.map_err(Failure::unavailable)
}

/// The verdict in one line.
pub(crate) fn verdict_text(checked: &Checked) -> String {
    let found = format!("{} items, {} opened", checked.items_count, checked.opened_count);
    match checked.verdict.outcome() {
        Ok(report) => format!("VERIFIED{} ({found})", facts_text(report, checked)),
        Err(_) if checked.verdict.reports().is_empty() => format!("NO PASSPORT for this call ({found})"),
        Err(fault) => format!(
            "NOT VERIFIED: {fault} (stage {}, SIP {}; {found})",
            fault.stage().name(),
            fault.sip_code()
        ),
    }
}

fn facts_text(report: &PassportReport, checked: &Checked) -> String {
    let ppt = report.passport().and_then(|passport| passport.claims().kind.ppt());
    let what = match checked.verdict.attestation() {
        Some(attest) => format!(" attestation {}", attest.letter()),
        None => ppt.map_or_else(String::new, |ppt| format!(" {ppt}")),
    };
    let right = report.outcome().map_or_else(ToString::to_string, ToString::to_string);
    format!("{what}, {right}")
}

/// Whom a call is from and to, for the demo.
pub(crate) fn check_request(orig: TelephoneNumber, dest: TelephoneNumber) -> CheckRequest {
    CheckRequest::new(CallFacts::new(orig.into(), dest.into()))
}
