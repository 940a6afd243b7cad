//! The way from a signer's certificate to a configured root, and the memory of it. It does not know numbers.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use herald_core::Timestamp;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter};

use super::authority;
use super::facts::CertificateFacts;
use super::ocsp::Staple;
use super::revocation::{self, NEVER};
use super::signed::ALGORITHMS;
use super::trust::{TrustStore, Trusted};
use crate::error::Fault;
use crate::limits::{CHAIN_REFUSED_MS, CHAIN_VERIFIED_MS};

/// A way to a root.
#[derive(Debug)]
pub(super) struct Path {
    /// The issuers between signer and root, the signer's first: where they stand in the chain.
    issuers: Vec<usize>,
    /// What the root's certificate says.
    root: Arc<CertificateFacts>,
    /// Whether each list of numbers lies within the next above it.
    pub(super) is_encompassed: bool,
    /// Whether each list holds all of the signer's own.
    pub(super) stands_for_own: bool,
    /// When a certificate of the way or a revocation list runs out.
    until: Timestamp,
}

impl Path {
    /// Its certificates, the signer's first, the root's last. `facts` are those of its chain.
    pub(super) fn certificates<'a>(
        &'a self,
        facts: &'a [CertificateFacts],
    ) -> impl Iterator<Item = &'a CertificateFacts> {
        facts[..1].iter().chain(self.issuers.iter().map(|&index| &facts[index])).chain([&*self.root])
    }
}

/// The way to a root that was found last, or that there is none.
#[derive(Debug, Default)]
pub(super) struct KnownPath(Mutex<Option<Known>>);

#[derive(Clone, Debug)]
struct Known {
    found: Result<Arc<Path>, Fault>,
    /// Keeps the address from being used again, so the same address is the same trust.
    trusted: Weak<Trusted>,
    from: Timestamp,
    until: Timestamp,
}

impl KnownPath {
    /// What was found under this trust, if it still holds.
    pub(super) fn recall(&self, trust: &TrustStore, now: Timestamp) -> Option<Result<Arc<Path>, Fault>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|known| known.holds(trust, now)).map(|known| known.found.clone())
    }

    /// Keeps what was found at `now`. What may pass with time alone is not kept.
    pub(super) fn keep(&self, found: &Result<Arc<Path>, Fault>, trust: &TrustStore, now: Timestamp) {
        let until = match found {
            Ok(path) => path.until.min(now.plus_millis(CHAIN_VERIFIED_MS)),
            Err(Fault::NotYetValid) => return,
            Err(_) => now.plus_millis(CHAIN_REFUSED_MS),
        };
        let trusted = Arc::downgrade(&trust.0);
        let known = Known { found: found.clone(), trusted, from: now, until };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }
}

impl Known {
    fn holds(&self, trust: &TrustStore, now: Timestamp) -> bool {
        self.trusted.as_ptr() == Arc::as_ptr(&trust.0) && self.from <= now && now <= self.until
    }
}

/// Finds the way from the first of `certificates` to a root of `trust`.
// rfc9060:6-1.
pub(super) fn find(
    certificates: &[CertificateDer<'static>],
    facts: &[CertificateFacts],
    staples: &[Staple],
    trust: &TrustStore,
    now: Timestamp,
) -> Result<Arc<Path>, Fault> {
    let (signer, issuers) = certificates.split_first().expect("a chain has at least one certificate");
    let signer = EndEntityCert::try_from(signer).map_err(fault)?;
    let time = UnixTime::since_unix_epoch(core::time::Duration::from_millis(now.as_millis()));
    let path = signer
        .verify_for_usage(ALGORITHMS, &trust.0.roots, issuers, time, AnyUsage, None, None)
        .map_err(fault)?;
    let index_of = |der: CertificateDer<'_>| {
        certificates
            .iter()
            .position(|certificate| *certificate == der)
            .expect("the path is built from the certificates of the chain")
    };
    let anchor_index = trust.0.roots.iter().position(|root| core::ptr::eq(root, path.anchor()));
    let root = trust.0.root_facts[anchor_index.expect("the path ends in one of the roots")].clone();
    let issuers = path.intermediate_certificates().map(|issuer| index_of(issuer.der())).collect();
    let mut path = Path { issuers, root, is_encompassed: false, stands_for_own: false, until: NEVER };
    check_hierarchy(&path, facts)?;
    let pairs = || path.certificates(facts).zip(path.certificates(facts).skip(1));
    let until = pairs().try_fold(NEVER, |until, (below, issuer)| {
        let known_until = revocation::check(below, issuer, staples, &trust.0, now)?;
        Ok(until.min(below.not_after).min(known_until))
    })?;
    let is_encompassed = authority::is_encompassed(path.certificates(facts));
    path.stands_for_own = is_encompassed && authority::stands_for_own(path.certificates(facts));
    (path.until, path.is_encompassed) = (until, is_encompassed);
    Ok(Arc::new(path))
}

/// What the library below does not look at: that issuers may sign certificates (RFC 5280 §4.2.1.3), that the
/// root's path length is kept (§4.2.1.9), that key identifiers match (RFC 9060 §7).
// rfc9060:6-1, rfc9060:7-3.
fn check_hierarchy(path: &Path, facts: &[CertificateFacts]) -> Result<(), Fault> {
    let depth_allowed = path.root.path_len.is_none_or(|most| path.issuers.len() <= usize::from(most));
    let pairs = path.certificates(facts).zip(path.certificates(facts).skip(1));
    let mut pairs = pairs.map(|(below, issuer)| issuer.may_issue && below.names_key_of(issuer));
    if depth_allowed && pairs.all(|good| good) { Ok(()) } else { Err(Fault::ChainInvalid) }
}

/// STIR defines no extended key usage (RFC 8226), so any is as good as none.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

#[cold]
fn fault(error: webpki::Error) -> Fault {
    match error {
        webpki::Error::CertExpired { .. } => Fault::Expired,
        webpki::Error::CertNotValidYet { .. } => Fault::NotYetValid,
        webpki::Error::UnknownIssuer => Fault::Untrusted,
        _ => Fault::ChainInvalid,
    }
}
