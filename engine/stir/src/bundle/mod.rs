//! Key bundles: who owns telephone numbers says, signed with the certificate of those numbers, for which keys
//! calls to them are sealed and at which Call Placement Services they are placed. One object answers both
//! questions of RFC 8816 §8.1 and §11. It does not fetch anything.
//!
//! A bundle is a JWS (RFC 7515) in compact form. Header: `alg` ES256, `typ` [`TYPE`], and `x5c` or `x5u` as in a
//! PASSporT. Payload: `iss` and each text of `tn` is an entry in the grammar of RFC 9888 §4 (`0-CODE`,
//! `1-FIRST-COUNT`, `2-NUMBER`), `iat` and `exp` are seconds at most a day apart, `keys` are JWKs with `use` enc
//! and the `alg` of one [`Suite`], `cps` are https URIs. Other members are ignored.

mod arrival;
mod directory;
mod discovery;
mod entry;
mod keeper;
mod listing;
mod table;
mod verify;

use core::fmt;

pub use directory::{DirectoryBounds, KeyDirectory, Lookup, keys_of};
pub use discovery::BundleDiscovery;
pub use entry::EntryError;
pub use keeper::BundleKeeper;
pub use listing::{Area, Listing, PUBLISH_PATH, WELL_KNOWN_PATH};
pub use table::{BundleTable, Inserted, Refused, TableBounds};
pub use verify::{BundleFault, SignedBundle, VerifiedBundle};

use crate::certificate::TnEntry;
use crate::es256::SigningKey;
use crate::json::Json;
use crate::jws::{Jws, Members};
use crate::passport::CertificateReference;
use crate::seal::SealingPublicKey;

/// `typ` of a bundle's header. PASSporTs have another, so neither is taken for the other (RFC 8725 §3.11).
pub const TYPE: &str = "stir-keys+jwt";
/// The media type of a bundle (RFC 7515 §9.2.1).
pub const MEDIA_TYPE: &str = "application/jose";

/// What a bundle says. `Debug` shows no number in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyBundle {
    /// Who says it (`iss`): a service provider code or a number, which the certificate must stand for too.
    pub issuer: TnEntry,
    /// When it was made, in seconds since the Unix epoch.
    pub iat_s: u64,
    /// From when on it is void; at most [`KEY_BUNDLE_LIFETIME_MAX_S`](crate::limits::KEY_BUNDLE_LIFETIME_MAX_S)
    /// later.
    pub exp_s: u64,
    /// The numbers it is about, 1 to [`KEY_BUNDLE_ENTRIES_MAX`](crate::limits::KEY_BUNDLE_ENTRIES_MAX).
    pub entries: Vec<TnEntry>,
    /// The keys to seal for, all of one suite; none says that nothing can be sealed for these numbers.
    pub keys: Vec<SealingPublicKey>,
    /// Where to place, https URIs.
    pub cps: Vec<String>,
}

impl KeyBundle {
    /// Signs it with the key of `certificate`.
    ///
    /// # Errors
    /// [`BundleFault`], if no verifier would accept the result whatever its certificate: what is signed is read
    /// back before it is handed out.
    pub fn sign(&self, certificate: &CertificateReference, key: &SigningKey) -> Result<String, BundleFault> {
        let token = Jws::sign(TYPE, self.payload()?, certificate, key);
        SignedBundle::parse(token.as_bytes()).map(|_| token)
    }

    fn payload(&self) -> Result<Members, BundleFault> {
        let seconds = |seconds: u64, name| {
            i64::try_from(seconds).map(Json::Integer).map_err(|_| BundleFault::Member(name))
        };
        let texts = |texts: Vec<String>| Json::Array(texts.into_iter().map(Json::Text).collect());
        Ok(Members::from([
            ("iss".to_owned(), Json::Text(self.issuer.to_string())),
            ("iat".to_owned(), seconds(self.iat_s, "iat")?),
            ("exp".to_owned(), seconds(self.exp_s, "exp")?),
            ("tn".to_owned(), texts(self.entries.iter().map(TnEntry::to_string).collect())),
            ("keys".to_owned(), Json::Array(self.keys.iter().map(jwk).collect())),
            ("cps".to_owned(), texts(self.cps.clone())),
        ]))
    }
}

fn jwk(key: &SealingPublicKey) -> Json {
    let mut members = key.to_members();
    members.insert("alg".into(), Json::Text(key.suite().jose_name().into()));
    members.insert("use".into(), Json::Text("enc".into()));
    Json::Object(members)
}

impl fmt::Display for KeyBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (entries, keys, cps) = (self.entries.len(), self.keys.len(), self.cps.len());
        write!(f, "a bundle of {entries} entries, {keys} keys and {cps} services, until {} s", self.exp_s)
    }
}
