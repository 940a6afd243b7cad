//! The directory file: which services and sealing keys belong to which numbers (RFC 8816 §10 and §11), as an operator
//! writes it down. TOML:
//!
//! ```toml
//! [[destination]]
//! numbers = ["2-12225550123", "1-12225550200-100", "122255504xx", "1223*", "0-ABCD", "*"]
//! cps = ["https://cps.example.net", "local"]
//! keys = ["bob.pub.jwk"]          # beside this file; none where this engine only checks calls
//!
//! [codes]                         # which numbers a service provider code has
//! ABCD = ["1224555xxxx"]
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use herald_stir::SealingPublicKey;
use herald_stir::services::{CpsUri, Destination, Directory, Selector};
use serde::Deserialize;

use crate::config::line_of;
use crate::error::{EngineError, EngineErrorKind};
use crate::files::{read_bounded, read_text};
use crate::limits::DIRECTORY_BYTES_MAX;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    destination: Vec<Row>,
    #[serde(default)]
    codes: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    numbers: Vec<String>,
    cps: Vec<String>,
    #[serde(default)]
    keys: Vec<PathBuf>,
}

/// Reads the directory file `path` and the keys it names.
pub(super) fn read(path: &Path) -> Result<Directory, EngineError> {
    let text = String::from_utf8(read_bounded(path, DIRECTORY_BYTES_MAX)?)
        .map_err(|_| wrong(path, "it is not UTF-8"))?;
    let file: File = toml::from_str(&text).map_err(|error| wrong(path, unreadable(&text, &error)))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut directory = Directory::new();
    for row in &file.destination {
        let selectors = selectors(path, &row.numbers)?;
        let cps = row
            .cps
            .iter()
            .map(|text| text.parse::<CpsUri>().map_err(|error| wrong(path, format!("{text:?}: {error}"))));
        let keys = row.keys.iter().map(|key| read_public_key(&folder.join(key)));
        let destination =
            Destination { cps: cps.collect::<Result<_, _>>()?, keys: keys.collect::<Result<_, _>>()? };
        directory.add(&selectors, destination).map_err(|error| wrong(path, error))?;
    }
    for (code, numbers) in &file.codes {
        for selector in selectors(path, numbers)? {
            let Selector::Numbers(set) = selector else {
                return Err(wrong(path, format!("the numbers of code {code:?} cannot be a code")));
            };
            directory.set_code(set, code).map_err(|error| wrong(path, error))?;
        }
    }
    Ok(directory)
}

/// What is wrong with the file, and in which line. Neither the line nor a value in it is said: they may have telephone
/// numbers, which must not reach a log.
fn unreadable(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace(|sign: char| sign.is_ascii_digit(), "#");
    match error.span() {
        Some(span) => format!("line {}: {message}", line_of(text, span.start)),
        None => message,
    }
}

/// A public sealing key from its JWK file.
pub(super) fn read_public_key(path: &Path) -> Result<SealingPublicKey, EngineError> {
    SealingPublicKey::from_jwk(&read_text(path)?).map_err(|error| wrong(path, error))
}

fn selectors(path: &Path, texts: &[String]) -> Result<Vec<Selector>, EngineError> {
    // The text may be a telephone number, which must not reach a log.
    texts.iter().map(|text| text.parse().map_err(|error| wrong(path, error))).collect()
}

#[cold]
pub(super) fn wrong(path: &Path, why: impl core::fmt::Display) -> EngineError {
    EngineError::new(EngineErrorKind::Argument, format!("{}: {why}", path.display()))
}
