//! What the tests share: where the fixtures are, tables, and a reproducible source of randomness.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod pki;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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

/// The other signature that ECDSA has for the same key and message: s becomes n - s.
pub(crate) fn twin(token: &str) -> String {
    const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let (input, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrow = 0;
    for (index, order) in hex(ORDER).into_iter().enumerate().rev() {
        let difference = i32::from(order) - i32::from(bytes[32 + index]) - borrow;
        (bytes[32 + index], borrow) = (difference.rem_euclid(256) as u8, i32::from(difference < 0));
    }
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes))
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

/// The CPU time of this thread.
pub(crate) fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

/// The most CPU time that one verdict may take: 10 ms as it is delivered. A build without optimisation on a machine
/// that does other things is given ten times as much, so that only an endless loop or a search fails it.
pub(crate) const VERDICT_CPU_MAX: Duration =
    Duration::from_millis(if cfg!(debug_assertions) { 100 } else { 10 });

/// How many inputs a campaign tries: `$HERALD_MUTATIONS`, or `usual` where nobody says.
pub(crate) fn mutation_count(usual: usize) -> usize {
    std::env::var("HERALD_MUTATIONS").map_or(usual, |count| count.parse().unwrap())
}
