//! `herald seal` and `herald open`: one placement, without a service.

use std::path::Path;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use herald_runtime::SystemRandom;
use herald_runtime::core::limits::BODY_BUCKETS_BYTES;
use herald_runtime::stir::{self, SealingKey, SealingPublicKey};
use serde_json::json;

use super::arguments::{Open, Seal};
use super::sign::token_of;
use crate::calls::{read, read_text};
use crate::output::{EXIT_NOT_GOOD, Failure, Output};

pub(crate) fn seal(seal: &Seal, output: &Output) -> Result<ExitCode, Failure> {
    let token = token_of(&seal.file)?;
    let recipient = read_text(&seal.recipient)?;
    let recipient = SealingPublicKey::from_jwk(&recipient).map_err(|error| named(&seal.recipient, error))?;
    let sealed = stir::seal(&token, seal.number, &recipient, &SystemRandom).map_err(Failure::usage)?;
    if let Some(path) = &seal.out {
        std::fs::write(path, &sealed).map_err(|error| named(path, error))?;
        let text = format!("{} ({} bytes sealed)", path.display(), sealed.len());
        output.answer(text, &json!({ "out": path, "sealed_bytes": sealed.len() }));
        return Ok(ExitCode::SUCCESS);
    }
    let text = STANDARD.encode(&sealed);
    output.answer(&text, &json!({ "sealed": text, "sealed_bytes": sealed.len() }));
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn open(open: &Open, output: &Output) -> Result<ExitCode, Failure> {
    let keys = open
        .sealing_key
        .iter()
        .map(|path| SealingKey::from_jwk(&read_text(path)?).map_err(|error| named(path, error)))
        .collect::<Result<Vec<_>, _>>()?;
    match stir::open(&sealed_of(&open.file)?, open.number, &keys) {
        Ok(token) => {
            output.answer(&token, &json!({ "passport": token }));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            output.answer(
                format!("NOT OPENED: {error}"),
                &json!({ "passport": null, "reason": error.to_string() }),
            );
            Ok(ExitCode::from(EXIT_NOT_GOOD))
        }
    }
}

/// The bytes of a placement. Those of a bucket's size are taken as they are, others for base64.
fn sealed_of(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = read(path)?;
    if BODY_BUCKETS_BYTES.contains(&bytes.len()) {
        return Ok(bytes);
    }
    STANDARD.decode(bytes.trim_ascii()).map_err(|_| {
        named(path, "neither a placement (640, 1024, 2048, 4096 or 8192 bytes) nor one in base64")
    })
}

fn named(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}
