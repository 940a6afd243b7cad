//! The roots that chains must lead to, and the revocation lists that take certificates back. It does not know
//! where they come from.

use core::fmt;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor};

use super::crl::RevocationList;
use super::facts::CertificateFacts;
use super::revocation::RevocationPolicy;
use crate::error::StirError;
use crate::limits::CRLS_MAX;

/// Root certificates, certificate revocation lists, and how they are used. A copy is the same trust; one with
/// another list is another.
#[derive(Clone)]
pub struct TrustStore(pub(super) Arc<Trusted>);

#[derive(Clone)]
pub(super) struct Trusted {
    pub(super) roots: Vec<TrustAnchor<'static>>,
    /// One for each root.
    pub(super) root_facts: Vec<Arc<CertificateFacts>>,
    /// Shared, since a list may be large.
    pub(super) lists: Vec<Arc<RevocationList>>,
    /// Who may sign lists about certificates of others.
    pub(super) list_signers: Vec<CertificateFacts>,
    pub(super) revocation: RevocationPolicy,
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
        Ok(Self(Arc::new(Trusted {
            roots,
            root_facts,
            lists: Vec::new(),
            list_signers: Vec::new(),
            revocation: RevocationPolicy::default(),
        })))
    }

    /// Adds revocation lists from PEM, one or more, at most [`CRLS_MAX`] in all.
    ///
    /// A list revokes what it names if the issuer of the certificate signed it or, of an indirect list (RFC 5280
    /// §5.2.5), a root or one of the [list signers](Self::with_list_signers_pem). Of certificates that a list speaks
    /// for and that it does not name, it says that they are good until its next update. After that, or if it is not
    /// signed by whom it should be, chains it speaks for are refused: it might have said something. Certificates that
    /// no list speaks for pass, unless [`RevocationPolicy::required`].
    ///
    /// # Errors
    /// [`StirError::Trust`] if there is none, one is not a complete revocation list, or they are too many or too large.
    pub fn with_crls_pem(self, crls_pem: &[u8]) -> Result<Self, StirError> {
        let lists = CertificateRevocationListDer::pem_slice_iter(crls_pem)
            .map(|der| Some(der.ok()?.to_vec()))
            .collect::<Option<Vec<_>>>()
            .ok_or(LIST_FAULT)?;
        self.with_crls_der(&lists)
    }

    /// As [`with_crls_pem`](Self::with_crls_pem), from DER, as they are published.
    ///
    /// # Errors
    /// As there.
    pub fn with_crls_der(mut self, crls: &[Vec<u8>]) -> Result<Self, StirError> {
        let trusted = Arc::make_mut(&mut self.0);
        for der in crls {
            trusted.lists.push(Arc::new(RevocationList::read(der).ok_or(LIST_FAULT)?));
        }
        if crls.is_empty() || trusted.lists.len() > CRLS_MAX { Err(LIST_FAULT) } else { Ok(self) }
    }

    /// Adds certificates, in PEM, of those who may sign indirect revocation lists: the policy administrator of a
    /// country is one.
    ///
    /// # Errors
    /// [`StirError::Trust`] if there is none or one is not a certificate.
    pub fn with_list_signers_pem(mut self, pem: &[u8]) -> Result<Self, StirError> {
        let signers = CertificateDer::pem_slice_iter(pem)
            .map(|der| CertificateFacts::read(&der.ok()?))
            .collect::<Option<Vec<_>>>()
            .filter(|signers| !signers.is_empty())
            .ok_or(StirError::Trust("certificates of signers of revocation lists"))?;
        Arc::make_mut(&mut self.0).list_signers.extend(signers);
        Ok(self)
    }

    /// The same, with revocation told by `policy`.
    #[must_use]
    pub fn with_revocation(mut self, policy: RevocationPolicy) -> Self {
        Arc::make_mut(&mut self.0).revocation = policy;
        self
    }

    /// How revocation is told.
    pub fn revocation(&self) -> RevocationPolicy {
        self.0.revocation
    }
}

const LIST_FAULT: StirError = StirError::Trust("certificate revocation lists");

impl fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (roots, lists) = (self.0.roots.len(), self.0.lists.len());
        write!(f, "TrustStore({roots} roots, {lists} revocation lists, {:?})", self.0.revocation)
    }
}

fn read_root(der: &CertificateDer<'_>) -> Option<(TrustAnchor<'static>, Arc<CertificateFacts>)> {
    let anchor = webpki::anchor_from_trusted_cert(der).ok()?.to_owned();
    Some((anchor, Arc::new(CertificateFacts::read(der)?)))
}
