//! The certificate extension that names Call Placement Services (draft-sliwa-stir-cert-cps-ext). It has no number
//! yet, and two forms: one URI, or several. Whether anybody should place calls there is decided elsewhere.

use der::Decode;
use der::asn1::ObjectIdentifier;

use super::chain::CertificateChain;
use super::facts::extension_bytes;
use super::tlv::{self, tag};
use crate::error::{Fault, StirError};
use crate::limits::CERTIFICATE_CPS_URIS_MAX;
use crate::passport::{Leniency, check_url};

/// Which extension names Call Placement Services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpsUriExtension(ObjectIdentifier);

impl CpsUriExtension {
    /// The extension with the object identifier `oid`, as in `2.25.1`.
    ///
    /// # Errors
    /// [`StirError::ObjectIdentifier`] if it is none.
    pub fn new(oid: &str) -> Result<Self, StirError> {
        ObjectIdentifier::new(oid).map(Self).map_err(|_| StirError::ObjectIdentifier)
    }
}

impl CertificateChain {
    /// The Call Placement Services that the signer's certificate names, in its order; none if it has no such
    /// extension. O(bytes of the certificate).
    ///
    /// # Errors
    /// [`Fault::CpsUri`] if one is not an https URI, or there are more than [`CERTIFICATE_CPS_URIS_MAX`]: such a certificate is
    /// invalid.
    pub fn cps_uris(&self, extension: &CpsUriExtension) -> Result<Vec<String>, Fault> {
        let certificate =
            x509_cert::Certificate::from_der(self.signer_der()).map_err(|_| Fault::ChainUnreadable)?;
        let value = extension_bytes(certificate.tbs_certificate(), extension.0).ok_or(Fault::CpsUri)?;
        value.map_or(Ok(Vec::new()), |der| read(der).ok_or(Fault::CpsUri))
    }
}

fn read(der: &[u8]) -> Option<Vec<String>> {
    if let Some(uri) = tlv::only(der, tag::IA5_STRING) {
        return Some(vec![read_uri(uri)?]);
    }
    let mut rest = tlv::only(der, tag::SEQUENCE).filter(|rest| !rest.is_empty())?;
    let mut uris = Vec::new();
    while !rest.is_empty() {
        uris.push(read_uri(tlv::expect(&mut rest, tag::IA5_STRING)?)?);
    }
    Some(uris).filter(|uris| uris.len() <= CERTIFICATE_CPS_URIS_MAX)
}

fn read_uri(text: &[u8]) -> Option<String> {
    let uri = core::str::from_utf8(text).ok()?;
    check_url(uri, &Leniency::STRICT).ok().map(|()| uri.to_owned())
}
