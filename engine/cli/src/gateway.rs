//! `herald gateway`: PASSporTs out of a SIP request to the called side, and from there into a SIP request.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use herald_runtime::core::TelephoneNumber;
use herald_runtime::stir::services::{
    AuthenticationService, CpsSources, Discoveries, GatewayCall, GatewayFailure, GatewayFault,
    GatewayFetchRequest, GatewayPlaced, GatewayService, GatewayStoreRequest, Judging, LookupFault,
    VerificationService,
};
use herald_runtime::stir::{
    ChainCache, ReplayMemory, SealingKey, SealingPublicKey, TrustStore, VerificationPolicy,
};
use herald_runtime::{SystemRandom, checked_json};
use serde_json::json;

use crate::args::{Service, setting};
use crate::calls::{authorities, named, read, read_text};
use crate::case::Certificates;
use crate::output::{EXIT_NOT_GOOD, Failure, Output};
use crate::services::{credential, everybody_at, run as drive};

/// What a gateway between SIP and the telephone network does with PASSporTs (RFC 8816 §8.3).
#[derive(Subcommand)]
pub(crate) enum Gateway {
    /// Before the call leaves SIP: judge the PASSporTs of the request, seal them for the number it goes to, store
    /// them. Ends with 1 if they do not hold.
    Store(Store),
    /// When the call comes into SIP: retrieve and judge what waits for the called number, and print the Identity
    /// header fields to insert. Ends with 1 if there is none.
    Fetch(Fetch),
}

/// What both take.
#[derive(Args)]
pub(crate) struct Common {
    /// The SIP request; - reads standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    service: Service,
    /// The authorities that signers' certificates should chain to, PEM.
    #[arg(long, value_name = "FILE")]
    roots: PathBuf,
    /// A folder that answers for every host: https://HOST/.../NAME.pem is its NAME.chain.pem, else its NAME.pem.
    /// Nothing is fetched.
    #[arg(long, value_name = "DIR")]
    certificates: Option<PathBuf>,
    /// A chain, PEM, that answers for every URL; goes before --certificates.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// A setting of docs/POLICY.md; may be given again.
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    policy: Vec<(String, String)>,
}

#[derive(Args)]
pub(crate) struct Store {
    #[command(flatten)]
    common: Common,
    /// The public sealing key of the number the call goes to, JWK; a copy is sealed for each one given.
    #[arg(long, value_name = "FILE", required = true)]
    recipient: Vec<PathBuf>,
    /// A private sealing key of that number, JWK, to see what is there already; may be given again.
    #[arg(long, value_name = "FILE")]
    sealing_key: Vec<PathBuf>,
    /// The number this gateway sends the call to in place of the one that was called: a diversion, which is signed.
    #[arg(long, value_name = "NUMBER", requires = "signer_key")]
    divert_to: Option<TelephoneNumber>,
    /// The private key of the number that diverts, PEM.
    #[arg(long, value_name = "FILE")]
    signer_key: Option<PathBuf>,
    /// The certificate chain of the number that diverts, PEM; it goes into the PASSporT unless --signer-x5u is given.
    #[arg(long, value_name = "FILE")]
    signer_certificate: Option<PathBuf>,
    /// An https URL that serves that chain.
    #[arg(long, value_name = "URL")]
    signer_x5u: Option<String>,
    /// Store what can be read and leave judging to the called side.
    #[arg(long)]
    unjudged: bool,
}

#[derive(Args)]
pub(crate) struct Fetch {
    #[command(flatten)]
    common: Common,
    /// The called side's private sealing key, JWK; may be given again.
    #[arg(long, value_name = "FILE", required = true)]
    sealing_key: Vec<PathBuf>,
}

pub(crate) fn run(gateway: &Gateway, output: &Output) -> Result<ExitCode, Failure> {
    match gateway {
        Gateway::Store(options) => store(options, output),
        Gateway::Fetch(options) => fetch(options, output),
    }
}

fn store(options: &Store, output: &Output) -> Result<ExitCode, Failure> {
    let common = &options.common;
    let verification = verification(common, &options.sealing_key)?;
    let call = call(common, &verification)?;
    let recipients = options
        .recipient
        .iter()
        .map(|path| SealingPublicKey::from_jwk(&read_text(path)?).map_err(|error| named(path, error)));
    let directory = everybody_at(&common.service.cps, recipients.collect::<Result<_, _>>()?)?;
    let signer = options
        .signer_key
        .as_deref()
        .map(|key| credential(key, options.signer_certificate.as_deref(), options.signer_x5u.as_deref()));
    let service = Arc::new(GatewayService {
        verification,
        authentication: Arc::new(AuthenticationService {
            credentials: signer.transpose()?.into_iter().collect(),
            trust: None,
            discoveries: Discoveries::by(Arc::new(directory)),
            random: Arc::new(SystemRandom),
        }),
        judging: if options.unjudged { Judging::CalledSide } else { Judging::Here },
    });
    let request = GatewayStoreRequest { divert_to: options.divert_to, ..GatewayStoreRequest::new(call) };
    match drive(service.store(request), &authorities(&common.service)?)? {
        Ok(placed) => {
            say_placed(&placed, output);
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => Err(failure_of(&failure)),
    }
}

fn say_placed(placed: &GatewayPlaced, output: &Output) {
    for copy in &placed.copies {
        output.answer(
            format!("placed {} ({} bytes sealed)", copy.location, copy.sealed_bytes),
            &json!({ "location": copy.location, "sealed_bytes": copy.sealed_bytes }),
        );
    }
    let (placed, present, left_out) = (placed.placed_count, placed.present_count, placed.left_out_count);
    output.answer(
        format!("{placed} PASSporTs placed, {present} were there already, {left_out} left out"),
        &json!({ "placed": placed, "present": present, "left_out": left_out }),
    );
}

fn failure_of(failure: &GatewayFailure) -> Failure {
    match &failure.cause {
        GatewayFault::Refused(fault) => {
            Failure::not_good(format!("{failure} (stage {}, SIP {})", fault.stage().name(), fault.sip_code()))
        }
        GatewayFault::Delivery(_) | GatewayFault::Deadline | GatewayFault::Cancelled => {
            Failure::unavailable(failure)
        }
        _ => Failure::usage(failure),
    }
}

fn fetch(options: &Fetch, output: &Output) -> Result<ExitCode, Failure> {
    let common = &options.common;
    let verification = verification(common, &options.sealing_key)?;
    let request = GatewayFetchRequest::new(call(common, &verification)?);
    let fetched = drive(request.machine(verification), &authorities(&common.service)?)?;
    let checked = &fetched.checked;
    if let Err(fault @ (LookupFault::Nothing(_) | LookupFault::Deadline)) = &checked.lookup
        && fetched.identity_values.is_empty()
    {
        return Err(Failure::unavailable(fault));
    }
    for value in &fetched.identity_values {
        output.answer(format!("Identity: {value}"), &json!({ "identity": value }));
    }
    if !fetched.identity_values.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    if output.is_json() {
        output.line(json!({ "left_out": fetched.left_out_count, "checked": checked_json(checked) }));
        return Ok(ExitCode::from(EXIT_NOT_GOOD));
    }
    Err(Failure::not_good(match checked.verdict.outcome() {
        Ok(_) => "nothing is to be inserted: what holds is in the request already, or fits no header field"
            .to_owned(),
        Err(fault) => format!("nothing is to be inserted: {fault}"),
    }))
}

fn verification(common: &Common, sealing_keys: &[PathBuf]) -> Result<Arc<VerificationService>, Failure> {
    let sealing_keys = sealing_keys
        .iter()
        .map(|path| SealingKey::from_jwk(&read_text(path)?).map_err(|error| named(path, error)));
    let trust = TrustStore::from_pem(&read(&common.roots)?).map_err(|error| named(&common.roots, error))?;
    let mut policy = VerificationPolicy::new(trust);
    for (name, value) in &common.policy {
        policy.set(name, value).map_err(Failure::usage)?;
    }
    let certificates =
        Certificates::from_files(common.certificates.as_deref(), common.certificate.as_deref())?;
    Ok(Arc::new(VerificationService {
        policy,
        sealing_keys: sealing_keys.collect::<Result<_, _>>()?,
        cps: Arc::new(CpsSources::only(Arc::new(everybody_at(&common.service.cps, Vec::new())?))),
        certificates: Some(Arc::new(certificates)),
        chains: Arc::new(ChainCache::default()),
        seen: ReplayMemory::default().into(),
        witness: None,
    }))
}

fn call(common: &Common, verification: &VerificationService) -> Result<GatewayCall, Failure> {
    let bytes = read(&common.file)?;
    GatewayCall::from_sip(&bytes, &verification.policy.sip).map_err(|fault| named(&common.file, fault))
}
