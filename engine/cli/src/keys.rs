//! `herald keys`: key bundles made, published and shown.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use herald_runtime::core::TelephoneNumber;
use herald_runtime::stir::bundle::{Area, KeyBundle, SignedBundle};
use herald_runtime::stir::{SealingPublicKey, SigningKey, Suite, TnEntry, TrustStore};
use herald_runtime::wall_clock;
use serde_json::{Value, json};

use crate::args::{Service, suite};
use crate::calls::{inline_chain, named, open, read, read_text};
use crate::development::write;
use crate::output::{EXIT_NOT_GOOD, Failure, Output};

const HOUR_S: u64 = 3600;

#[derive(Subcommand)]
pub(crate) enum Keys {
    /// Make and sign a key bundle.
    Bundle(Bundle),
    /// Publish a signed key bundle at a service that takes it.
    Publish(Publish),
    /// Show what is published about a number, a prefix or a service provider code. Ends with 0 if there are keys to be
    /// believed, 1 if not.
    Show(Show),
}

#[derive(Args)]
pub(crate) struct Bundle {
    /// Numbers it is about: 2-NUMBER, 1-FIRST-COUNT or 0-CODE (RFC 9888); may be given again.
    #[arg(long = "for", value_name = "ENTRY", required = true)]
    pub entries: Vec<TnEntry>,
    /// Who says it: 2-NUMBER or 0-CODE. The first number or code it is about if not given.
    #[arg(long, value_name = "ENTRY")]
    pub issuer: Option<TnEntry>,
    /// A public sealing key, JWK; may be given again.
    #[arg(long, value_name = "FILE")]
    pub recipient: Vec<PathBuf>,
    /// Where calls to these numbers are placed, an https URL; may be given again.
    #[arg(long, value_name = "URL")]
    pub place_at: Vec<String>,
    /// How long it holds.
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=24))]
    pub hours: u64,
    /// The owner's private key, PEM.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// The owner's certificate chain, PEM, which must stand for all these numbers.
    #[arg(long, value_name = "FILE")]
    pub certificate: PathBuf,
    /// The file to write; standard output if not given.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Publish {
    #[command(flatten)]
    pub service: Service,
    /// The signed bundle; - reads standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Args)]
pub(crate) struct Show {
    #[command(flatten)]
    pub service: Service,
    /// The number.
    #[arg(value_name = "NUMBER", required_unless_present_any = ["prefix", "spc"])]
    pub number: Option<TelephoneNumber>,
    /// All numbers that begin so, 3 digits or more.
    #[arg(long, value_name = "DIGITS", conflicts_with = "number")]
    pub prefix: Option<TelephoneNumber>,
    /// A service provider code.
    #[arg(long, value_name = "CODE", conflicts_with_all = ["number", "prefix"])]
    pub spc: Option<String>,
    /// The authorities that owners' certificates should chain to, PEM.
    #[arg(long, value_name = "FILE")]
    pub roots: PathBuf,
    /// The suite of the service.
    #[arg(long, value_name = "x25519|p256", default_value = "x25519", value_parser = suite)]
    pub suite: Suite,
}

pub(crate) fn run(keys: &Keys, output: &Output) -> Result<ExitCode, Failure> {
    match keys {
        Keys::Bundle(bundle) => make(bundle, output),
        Keys::Publish(publish) => self::publish(publish, output),
        Keys::Show(show) => self::show(show, output),
    }
}

fn make(bundle: &Bundle, output: &Output) -> Result<ExitCode, Failure> {
    let is_issuer = |entry: &&TnEntry| !matches!(entry, TnEntry::Range(_));
    let issuer = bundle.issuer.clone().or_else(|| bundle.entries.iter().find(is_issuer).cloned());
    let issuer = issuer.ok_or_else(|| Failure::usage("who says it? give --issuer 2-NUMBER or 0-CODE"))?;
    let read_key =
        |path: &PathBuf| SealingPublicKey::from_jwk(&read_text(path)?).map_err(|error| named(path, error));
    let now_s = wall_clock().as_millis() / 1000;
    let said = KeyBundle {
        issuer,
        iat_s: now_s,
        exp_s: now_s + bundle.hours * HOUR_S,
        entries: bundle.entries.clone(),
        keys: bundle.recipient.iter().map(read_key).collect::<Result<_, _>>()?,
        cps: bundle.place_at.clone(),
    };
    let key = SigningKey::from_pem(&read_text(&bundle.key)?).map_err(|error| named(&bundle.key, error))?;
    let token = said.sign(&inline_chain(&bundle.certificate)?, &key).map_err(Failure::usage)?;
    match &bundle.out {
        Some(path) => {
            write(path, &token, false).map_err(Failure::usage)?;
            let path = path.display();
            output.answer(format!("{path}: {said}"), &json!({ "out": path.to_string(), "exp": said.exp_s }));
        }
        None => output.answer(token.clone(), &json!({ "bundle": token, "exp": said.exp_s })),
    }
    Ok(ExitCode::SUCCESS)
}

fn publish(publish: &Publish, output: &Output) -> Result<ExitCode, Failure> {
    let token = read_text(&publish.file)?;
    open(&publish.service)?.publish_keys(token.trim_ascii_end())?;
    output.answer("published".to_owned(), &json!({ "published": true }));
    Ok(ExitCode::SUCCESS)
}

fn show(show: &Show, output: &Output) -> Result<ExitCode, Failure> {
    let area = match (&show.number, &show.prefix, &show.spc) {
        (Some(number), _, _) => Area::Number(*number),
        (_, Some(prefix), _) => Area::Prefix(*prefix),
        (_, _, Some(code)) => Area::Code(code.clone()),
        (None, None, None) => return Err(Failure::usage("give a NUMBER, --prefix or --spc")),
    };
    let trust = TrustStore::from_pem(&read(&show.roots)?).map_err(|error| named(&show.roots, error))?;
    let listing = open(&show.service)?.key_bundles(&area)?;
    let mut keys_count = 0;
    for token in &listing.tokens {
        let verdict = SignedBundle::parse(token.as_bytes())
            .and_then(|signed| signed.verify_inline(&trust, show.suite, wall_clock()));
        match verdict {
            Ok(verified) => {
                keys_count += verified.bundle().keys.len();
                output.answer(text(verified.bundle()), &members(verified.bundle()));
            }
            Err(fault) => {
                output.answer(format!("NOT BELIEVED: {fault}"), &json!({ "fault": fault.to_string() }));
            }
        }
    }
    if listing.is_truncated {
        output.answer("there are more: ask for a longer prefix".to_owned(), &json!({ "truncated": true }));
    }
    if listing.tokens.is_empty() {
        output.answer("nothing is published".to_owned(), &json!({ "bundles": 0 }));
    }
    Ok(if keys_count > 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NOT_GOOD) })
}

fn text(bundle: &KeyBundle) -> String {
    let entries: Vec<_> = bundle.entries.iter().map(TnEntry::to_string).collect();
    let mut text = format!("{} says of {}, until {} s:", bundle.issuer, entries.join(", "), bundle.exp_s);
    for key in &bundle.keys {
        text += &format!("\n  seal for {}", key.to_jwk());
    }
    for uri in &bundle.cps {
        text += &format!("\n  place at {uri}");
    }
    text
}

fn members(bundle: &KeyBundle) -> Value {
    let entries: Vec<_> = bundle.entries.iter().map(TnEntry::to_string).collect();
    let keys: Vec<Value> =
        bundle.keys.iter().filter_map(|key| serde_json::from_str(&key.to_jwk()).ok()).collect();
    json!({
        "iss": bundle.issuer.to_string(), "iat": bundle.iat_s, "exp": bundle.exp_s,
        "tn": entries, "keys": keys, "cps": bundle.cps,
    })
}
