//! `herald keygen`: a signer's certificate and keys, and the authority behind them, for trials.

use std::path::Path;
use std::process::ExitCode;

use herald_runtime::stir::issue::{DevelopmentAuthority, Validity};
use herald_runtime::stir::{SealingKey, Suite, TnAuthList, TnEntry};
use herald_runtime::{SystemRandom, wall_clock};
use serde_json::json;

use crate::args::Keygen;
use crate::development::write;
use crate::output::{Failure, Output};

const AUTHORITY_NAME: &str = "herald development signers";
const DAY_S: u64 = 86_400;
const VALID_DAYS: u64 = 90;

pub(crate) fn run(keygen: &Keygen, output: &Output) -> Result<ExitCode, Failure> {
    let numbers = keygen.number.iter().map(|&number| TnEntry::One(number));
    let codes = keygen.spc.iter().map(|code| TnEntry::Spc(code.clone()));
    let entries: Vec<_> = numbers.chain(codes).collect();
    if entries.is_empty() {
        return Err(Failure::usage("whom does the signer stand for? give --number or --spc, or both"));
    }
    make(&keygen.out, &keygen.authority, entries, keygen.suite)?;
    let out = keygen.out.display();
    let roots = keygen.authority.join("roots.pem");
    output.answer(
        format!(
            "signer:   {out}/signing.pem, {out}/signing.key\nsealing:  {out}/sealing.jwk (keep it secret), \
             {out}/sealing.pub.jwk (give it to callers)\nverifiers trust: {}",
            roots.display()
        ),
        &json!({ "out": keygen.out, "roots": roots }),
    );
    Ok(ExitCode::SUCCESS)
}

/// Makes the files of one party.
pub(crate) fn make(out: &Path, authority: &Path, entries: Vec<TnEntry>, suite: Suite) -> Result<(), Failure> {
    for folder in [out, authority] {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::usage(format!("{}: {error}", folder.display())))?;
    }
    let now_s = wall_clock().as_millis() / 1000;
    let validity = Validity { from_s: now_s - DAY_S, to_s: now_s + VALID_DAYS * DAY_S };
    let authority = open_authority(authority, validity)?;
    let numbers = TnAuthList::new(entries).map_err(Failure::usage)?;
    let issued = authority.issue("herald development signer", &numbers, validity, &SystemRandom);
    let issued = issued.map_err(Failure::usage)?;
    let sealing = SealingKey::generate(suite, &SystemRandom);
    let save = |name: &str, text: &str, secret| write(&out.join(name), text, secret).map_err(Failure::usage);
    save("signing.pem", &issued.chain_pem, false)?;
    save("signing.key", &issued.key.to_pkcs8_pem(), true)?;
    save("sealing.jwk", &sealing.to_jwk(), true)?;
    save("sealing.pub.jwk", &sealing.public_key().to_jwk(), false)
}

fn open_authority(folder: &Path, validity: Validity) -> Result<DevelopmentAuthority, Failure> {
    let path = |name: &str| folder.join(name);
    let read = |name: &str| {
        std::fs::read_to_string(path(name))
            .map_err(|error| Failure::usage(format!("{}: {error}", path(name).display())))
    };
    if path("roots.pem").exists() {
        let (roots, issuing) = (read("roots.pem")?, read("issuing.pem")?);
        let key = read("issuing.key")?;
        return DevelopmentAuthority::restore(AUTHORITY_NAME, &roots, &issuing, &key, &SystemRandom)
            .map_err(Failure::usage);
    }
    let authority =
        DevelopmentAuthority::new(AUTHORITY_NAME, validity, &SystemRandom).map_err(Failure::usage)?;
    let save = |name: &str, text: &str, secret| write(&path(name), text, secret).map_err(Failure::usage);
    save("issuing.key", &authority.issuing_key_pem(), true)?;
    save("issuing.pem", authority.issuing_pem(), false)?;
    save("roots.pem", authority.root_pem(), false)?;
    Ok(authority)
}
