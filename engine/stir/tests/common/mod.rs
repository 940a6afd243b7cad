//! What the tests share: where the fixtures are, tables, and a reproducible source of randomness.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod pki;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use herald_core::{Random, TelephoneNumber, Timestamp};
use herald_stir::{CallFacts, Identity};

/// The folder of fixtures and vectors: `$HERALD_SHARED`, or `shared` beside the workspace.
pub(crate) fn shared(path: &str) -> PathBuf {
    let root = std::env::var_os("HERALD_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let full = root.join(path);
    assert!(
        full.exists(),
        "{} is not there; set HERALD_SHARED to the folder that holds fixtures/ and vectors/",
        full.display()
    );
    full
}

pub(crate) fn read(path: &str) -> Vec<u8> {
    std::fs::read(shared(path)).expect("a fixture that exists can be read")
}

pub(crate) fn read_text(path: &str) -> String {
    String::from_utf8(read(path)).expect("the fixture is text")
}

pub(crate) fn read_json(path: &str) -> serde_json::Value {
    serde_json::from_slice(&read(path)).expect("the fixture is JSON")
}

/// A token as it stands in a file: editors end files with a line feed, which is none of the token.
pub(crate) fn read_token(path: &str) -> Vec<u8> {
    let mut bytes = read(path);
    if bytes.ends_with(b"\n") {
        bytes.pop();
    }
    bytes
}

/// The rows of a table with a heading, by column name.
pub(crate) fn table(path: &str) -> Vec<BTreeMap<String, String>> {
    let text = read_text(path);
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().expect("a table has a heading").split('\t').collect();
    lines
        .map(|line| {
            names.iter().map(|name| name.to_string()).zip(line.split('\t').map(str::to_owned)).collect()
        })
        .collect()
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "hexadecimal digits come in pairs");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

pub(crate) fn number(text: &str) -> TelephoneNumber {
    text.parse().unwrap()
}

pub(crate) fn identity(text: &str) -> Identity {
    text.parse().map_or_else(|_| Identity::Uri(text.to_owned()), Identity::Tn)
}

pub(crate) fn call(orig: &str, dest: &str) -> CallFacts {
    CallFacts::new(identity(orig), identity(dest))
}

pub(crate) fn at_s(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

/// Numbers that look random and are the same in every run (splitmix64).
pub(crate) struct Seeded(AtomicU64);

impl Seeded {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub(crate) fn next(&self) -> u64 {
        let mut value = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&self, end: u64) -> u64 {
        self.next() % end
    }
}

impl Random for Seeded {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}
