//! Certificates that name services, for tests.

use std::time::{Duration, SystemTime};

use herald_stir::{CertificateReference, TnAuthList};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

pub(crate) const OID: &str = "2.25.7";
const DAY_S: i64 = 86_400;

/// A root, and signers' certificates below it.
pub(crate) struct Authority {
    pub(crate) root_pem: String,
    issuer: Issuer<'static, KeyPair>,
    key: KeyPair,
}

/// What a certificate says.
pub(crate) struct Said<'a> {
    pub(crate) entries: &'a [&'a str],
    pub(crate) uris: &'a [&'a str],
    /// From and to how many seconds from now it holds.
    pub(crate) holds_s: (i64, i64),
}

impl<'a> Said<'a> {
    pub(crate) fn now(entries: &'a [&'a str], uris: &'a [&'a str]) -> Self {
        Self { entries, uris, holds_s: (-3600, 3600) }
    }
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = params("Test root", (-DAY_S, DAY_S));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        let root_pem = params.self_signed(&key).expect("a root").pem();
        Self { root_pem, issuer: Issuer::new(params, key), key: KeyPair::generate().expect("a key") }
    }

    pub(crate) fn issue(&self, said: &Said<'_>) -> String {
        let entries = said.entries.iter().map(|text| text.parse().expect("an entry")).collect();
        let numbers = TnAuthList::new(entries).expect("a list").to_der();
        let uris: Vec<u8> = said.uris.iter().flat_map(|uri| der(0x16, uri.as_bytes())).collect();
        let mut params = params("Test signer", said.holds_s);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let extension = |oid: &[u64], value| CustomExtension::from_oid_content(oid, value);
        params.custom_extensions = vec![extension(&[1, 3, 6, 1, 5, 5, 7, 1, 26], numbers)];
        if !said.uris.is_empty() {
            params.custom_extensions.push(extension(&[2, 25, 7], der(0x30, &uris)));
        }
        params.signed_by(&self.key, &self.issuer).expect("a certificate").pem()
    }
}

fn params(name: &str, holds_s: (i64, i64)) -> CertificateParams {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let moment = |from_now_s| Duration::from_secs(now.checked_add_signed(from_now_s).expect("after 1970"));
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = epoch + moment(holds_s.0);
    params.not_after = epoch + moment(holds_s.1);
    params
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = u8::try_from(content.len()).ok().filter(|len| *len < 128).expect("it is short");
    [&[tag, len], content].concat()
}

/// The first certificate of `pem`.
pub(crate) fn signer_der(pem: &str) -> Vec<u8> {
    let Ok(CertificateReference::Inline(mut chain)) = CertificateReference::inline_from_pem(pem.as_bytes())
    else {
        panic!("no certificate");
    };
    chain.swap_remove(0)
}
