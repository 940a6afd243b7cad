//! The roots that chains must lead to, and the revocation lists that take certificates back. It does not know
//! where they come from.

use core::fmt;
use std::sync::Arc;

use der::Decode;
use herald_core::Timestamp;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor};
use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_cert::certificate::Rfc5280;

use super::facts::{CertificateFacts, moment};
use crate::error::StirError;

const NEVER: Timestamp = Timestamp::from_millis(u64::MAX);

/// Root certificates and certificate revocation lists. A copy is the same trust; one with another list is
/// another.
#[derive(Clone)]
pub struct TrustStore(pub(super) Arc<Trusted>);

#[derive(Clone)]
pub(super) struct Trusted {
    pub(super) roots: Vec<TrustAnchor<'static>>,
    /// One for each root.
    pub(super) root_facts: Vec<Arc<CertificateFacts>>,
    /// Shared, since a list may be large.
    pub(super) crls: Vec<Arc<CertRevocationList<'static>>>,
    /// When the first of the lists runs out.
    pub(super) crls_until: Timestamp,
}

impl TrustStore {
    /// Reads root certificates from PEM, one or more.
    ///
    /// # Errors
    /// [`StirError::Trust`] if there is none or one is not a certificate.
    pub fn from_pem(roots_pem: &[u8]) -> Result<Self, StirError> {
        const FAULT: StirError = StirError::Trust("root certificates");
        let roots = CertificateDer::pem_slice_iter(roots_pem)
            .map(|der| read_root(&der.ok()?))
            .collect::<Option<Vec<_>>>()
            .filter(|roots| !roots.is_empty())
            .ok_or(FAULT)?;
        let (roots, root_facts) = roots.into_iter().unzip();
        Ok(Self(Arc::new(Trusted { roots, root_facts, crls: Vec::new(), crls_until: NEVER })))
    }

    /// Adds revocation lists from PEM, one or more.
    ///
    /// With any list, certificates whose issuer has a list are checked against it; the others pass. A list past
    /// its next update revokes nothing and everything: chains it speaks for are refused.
    ///
    /// # Errors
    /// [`StirError::Trust`] if there is none or one is not a revocation list.
    pub fn with_crls_pem(mut self, crls_pem: &[u8]) -> Result<Self, StirError> {
        const FAULT: StirError = StirError::Trust("certificate revocation lists");
        let crls = CertificateRevocationListDer::pem_slice_iter(crls_pem)
            .map(|der| read_crl(&der.ok()?))
            .collect::<Option<Vec<_>>>()
            .filter(|crls| !crls.is_empty())
            .ok_or(FAULT)?;
        let trusted = Arc::make_mut(&mut self.0);
        for (crl, until) in crls {
            trusted.crls.push(Arc::new(crl));
            trusted.crls_until = trusted.crls_until.min(until);
        }
        Ok(self)
    }
}

impl fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustStore({} roots, {} revocation lists)", self.0.roots.len(), self.0.crls.len())
    }
}

fn read_root(der: &CertificateDer<'_>) -> Option<(TrustAnchor<'static>, Arc<CertificateFacts>)> {
    let anchor = webpki::anchor_from_trusted_cert(der).ok()?.to_owned();
    Some((anchor, Arc::new(CertificateFacts::read(der)?)))
}

/// A list and when it runs out. RFC 5280 §5.1.2.5 demands that it says so.
fn read_crl(der: &[u8]) -> Option<(CertRevocationList<'static>, Timestamp)> {
    let next_update =
        x509_cert::crl::CertificateList::<Rfc5280>::from_der(der).ok()?.tbs_cert_list.next_update;
    Some((OwnedCertRevocationList::from_der(der).ok()?.into(), moment(next_update?)))
}
