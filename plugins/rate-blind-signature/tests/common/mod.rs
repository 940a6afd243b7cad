//! What the tests share: vectors, hexadecimal and scripted randomness.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The vectors in a file below `vectors/` of `$HERALD_SHARED`, or of `shared` beside the workspace.
pub(crate) fn vectors(name: &str) -> Vec<serde_json::Value> {
    let root = std::env::var_os("HERALD_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = root.join("vectors").join(name);
    let text = std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; set HERALD_SHARED to the folder that holds vectors/", path.display())
    });
    serde_json::from_slice(&text).expect("the vectors are JSON")
}

/// Bytes of hexadecimal, which `0x` may stand before.
pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    let text = text.strip_prefix("0x").unwrap_or(text);
    assert!(text.len().is_multiple_of(2), "{text:?} is no hexadecimal");
    let byte = |index| u8::from_str_radix(&text[index..index + 2], 16).expect("hexadecimal digits");
    (0..text.len()).step_by(2).map(byte).collect()
}

/// The bytes of the field that has one of these names, if it is there.
pub(crate) fn field(vector: &serde_json::Value, names: &[&str]) -> Option<Vec<u8>> {
    names.iter().find_map(|name| vector[*name].as_str()).map(from_hex)
}

/// The secret of a service's key that holds the RSA key of a PEM file, and an agreement key that is always the same.
pub(crate) fn secret_of_pem(pem: &[u8]) -> Vec<u8> {
    let text = core::str::from_utf8(pem).expect("PEM is text");
    let inner: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let pkcs8 = STANDARD.decode(inner).expect("PEM has base64");
    [[1].as_slice(), &[9; 32], &pkcs8].concat()
}

/// Hands out what it was given, in the sizes in which it was given.
pub(crate) fn script(parts: impl IntoIterator<Item = Vec<u8>>) -> impl FnMut(&mut [u8]) {
    let mut parts: VecDeque<Vec<u8>> = parts.into_iter().collect();
    move |out| {
        out.copy_from_slice(&parts.pop_front().expect("no more randomness is needed than the vector has"))
    }
}
