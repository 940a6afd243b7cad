//! The JOSE header of a PASSporT (RFC 8225 §4): algorithm, type and where the certificate is. It does not
//! fetch or judge the certificate.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Leniency;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::error::Fault;
use crate::json::Json;
use crate::limits::{CHAIN_CERTIFICATES_MAX, X5U_BYTES_MAX};

/// Where the signer's certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateReference {
    /// `x5u`: an https URL that serves the chain in PEM.
    Url(String),
    /// `x5c`: the chain itself in DER, signer first. It goes before any `x5u` beside it, which must not be
    /// fetched.
    Inline(Vec<Vec<u8>>),
}

impl CertificateReference {
    /// The chain of a PEM text, signer first, to go into the PASSporT itself.
    ///
    /// # Errors
    /// [`Fault::ChainUnreadable`] if there is no certificate in it, too many, or a damaged one.
    pub fn inline_from_pem(pem: &[u8]) -> Result<Self, Fault> {
        let chain = CertificateDer::pem_slice_iter(pem)
            .take(CHAIN_CERTIFICATES_MAX + 1)
            .map(|certificate| Ok(certificate.map_err(|_| Fault::ChainUnreadable)?.to_vec()))
            .collect::<Result<Vec<_>, _>>()?;
        if chain.is_empty() || chain.len() > CHAIN_CERTIFICATES_MAX {
            return Err(Fault::ChainUnreadable);
        }
        Ok(Self::Inline(chain))
    }

    /// Puts it among the members of a JOSE header.
    pub(crate) fn write(&self, members: &mut BTreeMap<String, Json>) {
        match self {
            Self::Url(url) => members.insert("x5u".into(), Json::Text(url.clone())),
            Self::Inline(chain) => {
                let texts = chain.iter().map(|der| Json::Text(STANDARD.encode(der))).collect();
                members.insert("x5c".into(), Json::Array(texts))
            }
        };
    }

    /// Reads it from the members of a JOSE header.
    pub(crate) fn read(members: &BTreeMap<String, Json>, leniency: &Leniency) -> Result<Self, Fault> {
        if let Some(chain) = members.get("x5c") {
            return read_inline(chain).map(Self::Inline);
        }
        let url = members.get("x5u").ok_or(Fault::NoCertificateReference)?;
        let url = url.as_text().ok_or(Fault::X5u)?;
        if url.is_empty() {
            return Err(Fault::NoCertificateReference);
        }
        check_url(url, leniency)?;
        Ok(Self::Url(url.to_owned()))
    }
}

/// Writes the header in the form of RFC 8225 §9.
// rfc8225:4.1-1, rfc8946:3-3.
pub(super) fn write(certificate: &CertificateReference, ppt: Option<&str>) -> String {
    let mut members = BTreeMap::from([
        ("alg".to_owned(), Json::Text("ES256".into())),
        ("typ".to_owned(), Json::Text("passport".into())),
    ]);
    if let Some(ppt) = ppt {
        members.insert("ppt".into(), Json::Text(ppt.into()));
    }
    certificate.write(&mut members);
    Json::Object(members).to_text().expect("a header holds texts only")
}

/// What a header says.
pub(super) struct Header {
    pub(super) ppt: Option<String>,
    pub(super) certificate: CertificateReference,
}

/// Reads a header: algorithm first, since nothing else has a meaning under another one.
// rfc8225:4.1-1.
pub(super) fn read(members: &BTreeMap<String, Json>, leniency: &Leniency) -> Result<Header, Fault> {
    match members.get("alg") {
        None => return Err(Fault::NoAlgorithm),
        Some(alg) if alg.as_text() == Some("ES256") => {}
        Some(_) => return Err(Fault::Algorithm),
    }
    if text(members, "typ") != Some("passport") {
        return Err(Fault::Type);
    }
    if members.contains_key("crit") {
        return Err(Fault::Critical);
    }
    let ppt = match members.get("ppt") {
        None => None,
        Some(Json::Text(ppt)) if !ppt.is_empty() => Some(ppt.clone()),
        Some(_) => return Err(Fault::HeaderMember("ppt")),
    };
    Ok(Header { ppt, certificate: CertificateReference::read(members, leniency)? })
}

fn text<'a>(members: &'a BTreeMap<String, Json>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Json::as_text)
}

fn read_inline(chain: &Json) -> Result<Vec<Vec<u8>>, Fault> {
    const FAULT: Fault = Fault::HeaderMember("x5c");
    let Json::Array(texts) = chain else { return Err(FAULT) };
    if texts.is_empty() || texts.len() > CHAIN_CERTIFICATES_MAX {
        return Err(FAULT);
    }
    let decode = |text: &Json| STANDARD.decode(text.as_text()?).ok();
    texts.iter().map(decode).collect::<Option<_>>().ok_or(FAULT)
}

/// A sane URL to fetch a certificate from: http or https, a host, no user information, visible ASCII.
pub(crate) fn check_url(url: &str, leniency: &Leniency) -> Result<(), Fault> {
    if url.len() > X5U_BYTES_MAX || !url.bytes().all(|sign| sign.is_ascii_graphic() && sign != b'\\') {
        return Err(Fault::X5u);
    }
    let (scheme, rest) = url.split_once("://").ok_or(Fault::X5u)?;
    let is = |name| scheme.eq_ignore_ascii_case(name);
    let is_allowed = is("https") || leniency.x5u_http && is("http");
    if !is_allowed {
        // Only http is a URL that a verifier might be told to fetch.
        return Err(if is("http") { Fault::X5uScheme } else { Fault::X5u });
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    if host.is_empty() || authority.contains('@') { Err(Fault::X5u) } else { Ok(()) }
}
