//! Rules over `Cargo.lock`: what must never be built in, and what must be there only once.
//!
//! It knows names and versions. Licences and advisories are cargo-deny's, see deny.toml.

use toml::{Table, Value};

use crate::Finding;

/// Crates that must not be in the lock file, with the reason.
pub const BANNED: [(&str, &str); 4] = [
    ("rsa", "RUSTSEC-2023-0071: not constant time, and no version repairs it"),
    ("openssl", "ring and rustls are the only cryptography and TLS that are linked"),
    ("openssl-sys", "ring and rustls are the only cryptography and TLS that are linked"),
    ("native-tls", "rustls is the only TLS"),
];

/// Crates of which there must be no two versions: two would disagree about types or about advisories.
pub const SINGLE: [&str; 7] =
    ["ring", "rustls", "rustls-webpki", "hyper", "h2", "x25519-dalek", "curve25519-dalek"];

/// A banned crate is locked.
pub fn banned_crates(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, version) in packages(text) {
        if let Some((_, reason)) = BANNED.iter().find(|(banned, _)| *banned == name) {
            findings.push(finding(path, text, &name, format!("{name} {version} is banned: {reason}")));
        }
    }
    findings
}

/// A crate that must be single is locked in two versions.
pub fn doubled_crates(path: &str, text: &str) -> Vec<Finding> {
    let packages = packages(text);
    let mut findings = Vec::new();
    for single in SINGLE {
        let versions: Vec<&str> =
            packages.iter().filter(|(name, _)| name == single).map(|(_, version)| version.as_str()).collect();
        if versions.len() > 1 {
            let message = format!("{single} is there more than once: {versions:?}; align who asks for it");
            findings.push(finding(path, text, single, message));
        }
    }
    findings
}

/// Names and versions of all locked packages; empty if `text` is not a lock file.
pub fn packages(text: &str) -> Vec<(String, String)> {
    let table: Table = toml::from_str(text).unwrap_or_default();
    let packages = table.get("package").and_then(Value::as_array).into_iter().flatten();
    let text_of = |package: &Value, key: &str| package.get(key).and_then(Value::as_str).map(str::to_owned);
    packages.filter_map(|package| Some((text_of(package, "name")?, text_of(package, "version")?))).collect()
}

fn finding(path: &str, text: &str, name: &str, message: String) -> Finding {
    let offset = text.find(&format!("name = \"{name}\"")).unwrap_or(0);
    Finding::at_offset(path, text, offset, message)
}
