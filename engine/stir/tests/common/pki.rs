//! Chains made for a test: what stands in each certificate is the test's choice.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::Arc;
use std::time::Duration;

use herald_core::{TelephoneNumber, Timestamp};
use herald_stir::{
    CertificateChain, CertificateSource, Fault, Held, SigningKey, TnAuthList, TnEntry, TnRange, TrustStore,
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SerialNumber,
};

use super::{Seeded, hex, number};

pub(crate) const T0: u64 = 1_795_300_000;

pub(crate) const TN_AUTH_LIST: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 26];
pub(crate) const CLAIM_CONSTRAINTS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 27];
pub(crate) const ENHANCED_CONSTRAINTS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 33];
pub(crate) const AUTHORITY_ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];

/// A certificate of the common kind, valid a quarter of an hour around [`T0`].
pub(crate) fn signer(extensions: Vec<CustomExtension>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "signer");
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(T0 - 1000);
    params.not_after = epoch + Duration::from_secs(T0 + 1000);
    params.use_authority_key_identifier_extension = true;
    params.custom_extensions = extensions;
    params
}

/// A certificate that issues others.
pub(crate) fn issuer(extensions: Vec<CustomExtension>) -> CertificateParams {
    let mut params = signer(extensions);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A chain, the root it leads to and the signer's key.
pub(crate) struct Made {
    pub(crate) root_pem: String,
    /// Signer first, without the root.
    pub(crate) chain_pem: String,
    pub(crate) key: SigningKey,
    /// The key of each certificate, the root's first.
    pub(crate) pairs: Vec<KeyPair>,
}

impl Made {
    /// A chain of `levels`, the root first, the signer last. The certificate at depth n has the name `level n`
    /// and the serial number n + 1.
    pub(crate) fn new(levels: Vec<CertificateParams>) -> Self {
        let key = SigningKey::generate(&Seeded::new(3));
        let last = levels.len() - 1;
        let (mut root_pem, mut chain_pem, mut pairs) = (String::new(), String::new(), Vec::new());
        let mut above: Option<Issuer<'_, KeyPair>> = None;
        for (depth, mut params) in levels.into_iter().enumerate() {
            params.distinguished_name.push(DnType::OrganizationName, format!("level {depth}"));
            params.serial_number = Some(SerialNumber::from(depth as u64 + 1));
            let pair = match depth == last {
                true => KeyPair::from_pem(&key.to_pkcs8_pem()).unwrap(),
                false => KeyPair::generate().unwrap(),
            };
            let pem = match &above {
                None => params.self_signed(&pair),
                Some(above) => params.signed_by(&pair, above),
            }
            .unwrap()
            .pem();
            match depth {
                0 => root_pem = pem,
                _ => chain_pem.insert_str(0, &pem),
            }
            pairs.push(KeyPair::from_pem(&pair.serialize_pem()).unwrap());
            above = Some(Issuer::new(params, pair));
        }
        Self { root_pem, chain_pem, key, pairs }
    }

    pub(crate) fn trust(&self) -> TrustStore {
        TrustStore::from_pem(self.root_pem.as_bytes()).unwrap()
    }

    pub(crate) fn chain(&self) -> CertificateChain {
        CertificateChain::from_pem(self.chain_pem.as_bytes()).unwrap()
    }
}

/// One chain, the lists that are at hand, and which codes have the number that is asked about.
#[derive(Default)]
pub(crate) struct Served {
    pub(crate) chain_pem: String,
    /// URLs and the DER they serve.
    pub(crate) lists: Vec<(&'static str, Vec<u8>)>,
    pub(crate) held: Vec<(&'static str, Held)>,
}

impl CertificateSource for Served {
    fn chain(&self, _: &str, _: Timestamp) -> Result<Arc<CertificateChain>, Fault> {
        CertificateChain::from_pem(self.chain_pem.as_bytes()).map(Arc::new)
    }

    fn number_list(&self, url: &str, _: Timestamp) -> Option<Arc<TnAuthList>> {
        let (_, der) = self.lists.iter().find(|(at, _)| *at == url)?;
        TnAuthList::from_reference(der).ok().map(Arc::new)
    }

    fn code_holds(&self, code: &str, _: TelephoneNumber) -> Held {
        self.held.iter().find(|(known, _)| *known == code).map_or(Held::Unknown, |(_, held)| *held)
    }
}

/// An extension of `content` in hexadecimal digits, spaces dropped.
pub(crate) fn extension(oid: &[u64], content: &str) -> CustomExtension {
    CustomExtension::from_oid_content(oid, hex(&content.replace(' ', "")))
}

pub(crate) fn list(entries: Vec<TnEntry>) -> TnAuthList {
    TnAuthList::new(entries).unwrap()
}

pub(crate) fn numbers(entries: Vec<TnEntry>) -> CustomExtension {
    CustomExtension::from_oid_content(TN_AUTH_LIST, list(entries).to_der())
}

/// AuthorityInfoAccess: id-ad-stirTNList at each of `urls`.
pub(crate) fn elsewhere(urls: &[&str]) -> CustomExtension {
    let access = |url: &&str| {
        let method = [0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 0x30, 0x0e];
        der(0x30, &[&method[..], &der(0x86, url.as_bytes())].concat())
    };
    CustomExtension::from_oid_content(
        AUTHORITY_ACCESS,
        der(0x30, &urls.iter().map(access).collect::<Vec<_>>().concat()),
    )
}

pub(crate) fn one(text: &str) -> TnEntry {
    TnEntry::One(number(text))
}

pub(crate) fn range(start: &str, count: u64) -> TnEntry {
    TnEntry::Range(TnRange::new(number(start), count).unwrap())
}

pub(crate) fn spc(code: &str) -> TnEntry {
    TnEntry::Spc(code.into())
}

/// A DER value.
pub(crate) fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    let length = &length[length.iter().position(|&byte| byte != 0).unwrap_or(3)..];
    let count = u8::try_from(length.len()).unwrap();
    let long: &[u8] = if content.len() > 0x7f { &[0x80 | count] } else { &[] };
    [&[tag], long, length, content].concat()
}
