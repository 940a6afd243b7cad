//! The roots that chains must lead to, and the revocation lists that take certificates back. It does not know
//! where they come from.

use core::fmt;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor};
use webpki::{CertRevocationList, OwnedCertRevocationList};

use crate::error::StirError;

/// Root certificates and certificate revocation lists.
#[derive(Clone)]
pub struct TrustStore {
    pub(super) roots: Vec<TrustAnchor<'static>>,
    /// Shared, since a list may be large and a policy is copied.
    pub(super) crls: Vec<Arc<CertRevocationList<'static>>>,
}

impl TrustStore {
    /// Reads root certificates from PEM, one or more.
    ///
    /// # Errors
    /// [`StirError::Trust`] if there is none or one is not a certificate.
    pub fn from_pem(roots_pem: &[u8]) -> Result<Self, StirError> {
        const FAULT: StirError = StirError::Trust("root certificates");
        let roots = CertificateDer::pem_slice_iter(roots_pem)
            .map(|der| Some(webpki::anchor_from_trusted_cert(&der.ok()?).ok()?.to_owned()))
            .collect::<Option<Vec<_>>>()
            .filter(|roots| !roots.is_empty())
            .ok_or(FAULT)?;
        Ok(Self { roots, crls: Vec::new() })
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
            .map(|der| OwnedCertRevocationList::from_der(&der.ok()?).ok().map(|crl| Arc::new(crl.into())))
            .collect::<Option<Vec<_>>>()
            .filter(|crls| !crls.is_empty())
            .ok_or(FAULT)?;
        self.crls.extend(crls);
        Ok(self)
    }
}

impl fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustStore({} roots, {} revocation lists)", self.roots.len(), self.crls.len())
    }
}
