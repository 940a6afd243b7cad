//! The issuer directory (RFC 9578 §4): what is published of the keys, and read by who wants tokens.
//!
//! The members `class`, `stores`, `not-after`, `agreement-key` and `mac` are ours; a client that does not know them sees a
//! directory of the RFC. All clients are given the same bytes: keys that differ between them would tell them apart.

use core::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use herald_core::json::Object;
use serde::{Deserialize, Serialize};

use crate::epoch::IssuerKey;
use crate::limits::{DIRECTORY_BYTES_MAX, DIRECTORY_KEYS_MAX};
use crate::mac::Suite;
use crate::policy::Settings;
use crate::wire::decoded;

/// The media type.
pub const MEDIA_TYPE: &str = "application/private-token-issuer-directory";
/// Where it is.
pub const PATH: &str = "/.well-known/private-token-issuer-directory";
/// Where tokens are asked for, beside it.
pub const REQUEST_PATH: &str = "/token-request";

/// A directory as it is written.
#[derive(Serialize, Deserialize)]
struct Document {
    #[serde(rename = "issuer-request-uri")]
    request_uri: String,
    #[serde(rename = "token-keys")]
    keys: Vec<Object<Entry>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Entry {
    token_type: u16,
    token_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_after: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stores: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agreement_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
}

/// The directory of `keys`, which are those published, the latest epoch first: of keys in force a client takes the first
/// (RFC 9578 §4).
pub fn write(settings: &Settings, keys: &[Arc<IssuerKey>]) -> String {
    let entry = |key: &Arc<IssuerKey>| {
        let policy = settings.classes.get(usize::from(key.class.0))?;
        let second_of = |epoch: u64| epoch.saturating_mul(settings.epoch_ms) / 1000;
        let agreement_key = (!key.agreement_key.is_empty()).then(|| URL_SAFE.encode(&key.agreement_key));
        Some(Object(Entry {
            token_type: settings.token_type,
            token_key: URL_SAFE.encode(&key.public_key),
            not_before: Some(second_of(key.epoch)),
            not_after: Some(second_of(key.epoch + 1)),
            class: Some(policy.name.clone()),
            stores: Some(policy.stores),
            agreement_key,
            mac: Some(settings.suite.name().to_owned()),
        }))
    };
    let document =
        Document { request_uri: REQUEST_PATH.to_owned(), keys: keys.iter().filter_map(entry).collect() };
    serde_json::to_string(&document).unwrap_or_default()
}

/// A directory as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Where to ask for tokens: absolute, or beside the directory.
    pub request_uri: String,
    /// The keys, preferred first.
    pub keys: Vec<OfferedKey>,
}

/// A key of which tokens can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedKey {
    /// The type of its tokens.
    pub token_type: u16,
    /// As published: what its id is the hash of.
    pub public_key: Vec<u8>,
    /// From when on its tokens are good, in seconds since the Unix epoch.
    pub not_before_s: u64,
    /// Until when they surely are.
    pub not_after_s: u64,
    /// Its class; empty if the issuer has none.
    pub class: String,
    /// How many stores a token of it is good for.
    pub stores: u32,
    /// The second key of [`crate::Mode::Agreed`]; empty without one.
    pub agreement_key: Vec<u8>,
    /// The MAC of stores. `None`: one that is not known here, so its tokens open no session.
    pub suite: Option<Suite>,
}

/// A body that is no issuer directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotADirectory;

impl fmt::Display for NotADirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer is not an issuer directory (RFC 9578, section 4) of a size that is read")
    }
}

impl core::error::Error for NotADirectory {}

impl Directory {
    /// Reads a directory. Entries whose keys cannot be read are passed over, and so is what goes beyond
    /// [`DIRECTORY_KEYS_MAX`].
    ///
    /// # Errors
    /// [`NotADirectory`].
    pub fn read(body: &[u8]) -> Result<Self, NotADirectory> {
        if body.len() > DIRECTORY_BYTES_MAX {
            return Err(NotADirectory);
        }
        let Object(document): Object<Document> = serde_json::from_slice(body).map_err(|_| NotADirectory)?;
        let keys = document.keys.into_iter().take(DIRECTORY_KEYS_MAX).filter_map(OfferedKey::of).collect();
        Ok(Self { request_uri: document.request_uri, keys })
    }

    /// The key to ask for tokens of a type and class with, at a time in seconds since the Unix epoch: the first in force.
    pub fn key_for(&self, token_type: u16, class: &str, now_s: u64) -> Option<&OfferedKey> {
        let fits = |key: &&OfferedKey| key.token_type == token_type && key.class == class;
        self.keys.iter().filter(fits).find(|key| (key.not_before_s..key.not_after_s).contains(&now_s))
    }
}

impl OfferedKey {
    fn of(Object(entry): Object<Entry>) -> Option<Self> {
        let agreement_key = entry.agreement_key.map_or(Some(Vec::new()), |key| decoded(&key).ok())?;
        Some(Self {
            token_type: entry.token_type,
            public_key: decoded(&entry.token_key).ok()?,
            not_before_s: entry.not_before.unwrap_or(0),
            not_after_s: entry.not_after.unwrap_or(u64::MAX),
            class: entry.class.unwrap_or_default(),
            stores: entry.stores.unwrap_or(1),
            agreement_key,
            suite: entry.mac.as_deref().and_then(Suite::of_name),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Class;

    fn keys() -> Vec<Arc<IssuerKey>> {
        let key = |epoch: u64, class: u8| {
            let agreement_key = if class == 1 { vec![0xfe; 32] } else { Vec::new() };
            let public_key = vec![0xfb, epoch as u8, class];
            Arc::new(IssuerKey {
                epoch,
                class: Class(class),
                id: [0; 32],
                handle: 0,
                public_key,
                agreement_key,
            })
        };
        vec![key(11, 0), key(11, 1), key(10, 0), key(10, 1)]
    }

    #[test]
    fn a_client_reads_what_the_issuer_wrote_and_takes_the_key_in_force() {
        let settings = Settings::new("cps.example", 5, 2);
        let text = write(&settings, &keys());
        assert_eq!(text, write(&settings, &keys()), "the same for everybody");
        let directory = Directory::read(text.as_bytes()).unwrap();
        assert_eq!((directory.request_uri.as_str(), directory.keys.len()), ("/token-request", 4));
        let gateway = directory.key_for(5, "gateway", 10 * 600 + 1).unwrap();
        assert_eq!((gateway.public_key.as_slice(), gateway.agreement_key.len()), (&[0xfb, 10, 1][..], 32));
        assert_eq!((gateway.stores, gateway.suite), (256, Some(Suite::HmacSha256)));
        assert_eq!(directory.key_for(5, "handset", 11 * 600).unwrap().public_key, [0xfb, 11, 0]);
        for (token_type, class, now_s) in
            [(2, "handset", 6_601), (5, "robot", 6_601), (5, "handset", 12 * 600)]
        {
            assert_eq!(directory.key_for(token_type, class, now_s), None);
        }
    }

    #[test]
    fn a_directory_of_the_rfc_alone_is_read_and_what_is_none_is_not() {
        let plain = r#"{"issuer-request-uri":"https://issuer.example.net/request","token-keys":[
            {"token-type":2,"token-key":"MI-_AA","not-before":1686913811},
            {"token-type":2,"token-key":"not base64!"},
            {"token-type":2,"token-key":"MI-_AQ=="}],"other":1}"#;
        let directory = Directory::read(plain.as_bytes()).unwrap();
        assert_eq!(directory.keys.len(), 2);
        let key = directory.key_for(2, "", 1_686_913_810).unwrap();
        assert_eq!((key.public_key.len(), key.suite, key.stores), (4, None, 1));
        let huge = format!("{}{plain}", " ".repeat(DIRECTORY_BYTES_MAX));
        let entry_as_array =
            r#"{"issuer-request-uri":"","token-keys":[[2,"MI-_AA",null,null,null,null,null,null]]}"#;
        for wrong in ["", "{}", "[]", "{\"token-keys\":[]}", r#"["",[]]"#, entry_as_array, huge.as_str()] {
            assert_eq!(Directory::read(wrong.as_bytes()), Err(NotADirectory));
        }
    }
}
