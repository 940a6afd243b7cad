//! `herald store`, `retrieve`, `place` and `check`: a service elsewhere, asked from the command line.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use herald_runtime::stir::{
    Accepted, Authority, CertificateReference, PassportType, SealingKey, SealingPublicKey, SigningKey,
    TrustStore, Verdict, VerificationPolicy,
};
use herald_runtime::{
    CheckCall, CheckedCall, CpsClient, PlaceCall, RetrievedItem, SystemRandom, limits, wall_clock,
};
use serde_json::{Value, json};

use crate::args::{Check, Place, Retrieve, Service, Store};
use crate::output::{EXIT_NOT_GOOD, Failure, Output};
use crate::store_batch::store_batch;

pub(crate) fn store(store: &Store, output: &Output) -> Result<ExitCode, Failure> {
    let (number, file) = match (&store.batch, store.number, &store.file) {
        (Some(list), ..) => return store_batch(list, &open(&store.service)?, output),
        (None, Some(number), Some(file)) => (number, file),
        (None, ..) => return Err(Failure::usage("give --number NUMBER and FILE, or --batch LIST")),
    };
    let sealed = read(file)?;
    let location = open(&store.service)?.store(number, &sealed)?;
    output.answer(format!("stored {location}"), &json!({ "location": location }));
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn retrieve(retrieve: &Retrieve, output: &Output) -> Result<ExitCode, Failure> {
    let items = open(&retrieve.service)?.retrieve(retrieve.number)?;
    for item in &items {
        if let Some(folder) = &retrieve.out {
            save(folder, item)?;
        }
        let bytes = item.body.len();
        output.answer(format!("{} {bytes} bytes", item.href), &json!({ "href": item.href, "bytes": bytes }));
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn place(place: &Place, output: &Output) -> Result<ExitCode, Failure> {
    let certificate = match (&place.certificate, &place.x5u) {
        (Some(path), _) => inline_chain(path)?,
        (None, Some(url)) => CertificateReference::Url(url.clone()),
        (None, None) => return Err(Failure::usage("give --certificate FILE or --x5u URL")),
    };
    let key = SigningKey::from_pem(&read_text(&place.key)?).map_err(|error| named(&place.key, error))?;
    let recipients = place
        .recipient
        .iter()
        .map(|path| SealingPublicKey::from_jwk(&read_text(path)?).map_err(|error| named(path, error)))
        .collect::<Result<Vec<_>, _>>()?;
    let call = PlaceCall {
        orig: place.from,
        dest: place.to,
        attest: place.attest,
        signing_key: &key,
        certificate: &certificate,
        recipients: &recipients,
    };
    let placed = call.place(&open(&place.service)?, wall_clock(), &SystemRandom)?;
    for (location, bytes) in placed.locations.iter().zip(&placed.sealed_bytes) {
        output.answer(
            format!("placed {location} ({bytes} bytes sealed)"),
            &json!({ "location": location, "sealed_bytes": bytes }),
        );
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn check(check: &Check, output: &Output) -> Result<ExitCode, Failure> {
    let keys = check
        .sealing_key
        .iter()
        .map(|path| SealingKey::from_jwk(&read_text(path)?).map_err(|error| named(path, error)))
        .collect::<Result<Vec<_>, _>>()?;
    let trust = TrustStore::from_pem(&read(&check.roots)?).map_err(|error| named(&check.roots, error))?;
    let chain = check.certificate.as_deref().map(read).transpose()?;
    let call = CheckCall {
        orig: check.from,
        dest: check.to,
        sealing_keys: &keys,
        policy: &VerificationPolicy::new(trust),
        chain_pem: &|_| chain.clone(),
    };
    let checked = call.check(&open(&check.service)?, wall_clock())?;
    output.answer(verdict_text(&checked), &verdict_json(&checked));
    let good = matches!(checked.verdict, Some(Ok(_)));
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NOT_GOOD) })
}

/// The verdict in one line.
pub(crate) fn verdict_text(checked: &CheckedCall) -> String {
    let found = format!("{} items, {} opened", checked.items_count, checked.opened_count);
    match &checked.verdict {
        Some(Ok(accepted)) => format!("VERIFIED{} ({found})", facts_text(accepted)),
        Some(Err(fault)) => {
            format!(
                "NOT VERIFIED: {fault} (stage {}, SIP {}; {found})",
                fault.stage().name(),
                fault.sip_code()
            )
        }
        None => format!("NO PASSPORT for this call ({found})"),
    }
}

fn facts_text(accepted: &Accepted) -> String {
    let attest = match &accepted.passport.claims().kind {
        PassportType::Shaken { attest, .. } => format!(" attestation {}", attest.letter()),
        kind => kind.ppt().map_or_else(String::new, |ppt| format!(" {ppt}")),
    };
    let authority = match &accepted.authority {
        Authority::Number => ", the certificate covers the number",
        Authority::OnlyBySpc(_) => ", the certificate names a provider code, not the number",
        Authority::Unjudged => ", authority over the priority was not judged",
    };
    attest + authority
}

fn verdict_json(checked: &CheckedCall) -> Value {
    let (verdict, detail) = match &checked.verdict {
        Some(Verdict::Ok(accepted)) => ("verified", json!(facts_text(accepted).trim_start())),
        Some(Verdict::Err(fault)) => {
            let detail = json!({ "stage": fault.stage().name(), "sip_code": fault.sip_code(), "reason": fault.to_string() });
            ("not verified", detail)
        }
        None => ("no passport", Value::Null),
    };
    json!({ "verdict": verdict, "detail": detail, "items": checked.items_count, "opened": checked.opened_count })
}

pub(crate) fn open(service: &Service) -> Result<CpsClient, Failure> {
    let roots = service.ca.as_deref().map(read).transpose()?;
    if roots.is_none() && service.cps.starts_with("https:") {
        return Err(Failure::usage(
            "an https service needs --ca FILE: the authorities its certificate chains to",
        ));
    }
    Ok(CpsClient::open(&service.cps, &roots.unwrap_or_default())?)
}

fn save(folder: &Path, item: &RetrievedItem) -> Result<(), Failure> {
    let id = item.href.rsplit('/').next().unwrap_or_default();
    let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !plain {
        return Err(Failure::unavailable("the service gave an item whose id is no file name"));
    }
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(folder.join(id), &item.body))
        .map_err(|error| Failure::usage(format!("{}: {error}", folder.display())))
}

/// The chain of a PEM file, to go into the PASSporT.
pub(crate) fn inline_chain(path: &Path) -> Result<CertificateReference, Failure> {
    CertificateReference::inline_from_pem(&read(path)?).map_err(|error| named(path, error))
}

pub(crate) fn named(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}

/// The bytes of a file of bounded size; `-` is standard input.
pub(crate) fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, Failure> {
    let path = path.as_ref();
    let mut bytes = Vec::new();
    let source: Result<Box<dyn Read>, _> = match path == Path::new("-") {
        true => Ok(Box::new(std::io::stdin())),
        false => std::fs::File::open(path).map(|file| Box::new(file) as Box<dyn Read>),
    };
    let result = source.and_then(|source| source.take(limits::PEM_BYTES_MAX + 1).read_to_end(&mut bytes));
    match result {
        Ok(_) if bytes.len() as u64 <= limits::PEM_BYTES_MAX => Ok(bytes),
        Ok(_) => Err(named(path, format!("larger than {} bytes", limits::PEM_BYTES_MAX))),
        Err(error) => Err(named(path, error)),
    }
}

/// The text of such a file.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read(path)?).map_err(|_| named(path, "not a text file"))
}
