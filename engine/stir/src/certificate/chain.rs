//! A certificate chain as it was received: reading it, and what its signer says of itself.

use herald_core::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::authority::{self, VerifiedChain};
use super::facts::{CertificateFacts, Scope};
use super::ocsp::Staple;
use super::path::{self, KnownPath};
use super::tn_auth_list::TnAuthList;
use super::trust::TrustStore;
use crate::error::Fault;
use crate::es256::VerifyingKey;
use crate::json::Json;
use crate::limits::{CHAIN_BYTES_MAX, CHAIN_CERTIFICATES_MAX};
use crate::passport::Identity;

/// A chain as it was received. It is not to be believed before it is verified.
#[derive(Debug)]
pub struct CertificateChain {
    /// The signer's is the first.
    certificates: Vec<CertificateDer<'static>>,
    /// One for each certificate.
    facts: Vec<CertificateFacts>,
    /// Whether it came signer first, each certificate issued by the next.
    in_order: bool,
    staples: Vec<Staple>,
    /// The way to a root that was found last.
    known: KnownPath,
}

impl CertificateChain {
    /// Reads a chain in PEM (RFC 8555 §9.1). Sections that are not certificates are skipped.
    ///
    /// # Errors
    /// [`Fault`] of the stage cert.
    pub fn from_pem(pem: &[u8]) -> Result<Self, Fault> {
        if pem.len() > CHAIN_BYTES_MAX {
            return Err(Fault::ChainUnreadable);
        }
        let certificates = CertificateDer::pem_slice_iter(pem)
            .take(CHAIN_CERTIFICATES_MAX + 1)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| Fault::ChainUnreadable)?;
        Self::new(certificates)
    }

    /// Takes a chain in DER, as `x5c` holds it.
    ///
    /// # Errors
    /// [`Fault`] of the stage cert.
    pub fn from_der(chain: &[Vec<u8>]) -> Result<Self, Fault> {
        if chain.iter().map(Vec::len).sum::<usize>() > CHAIN_BYTES_MAX {
            return Err(Fault::ChainUnreadable);
        }
        Self::new(chain.iter().cloned().map(CertificateDer::from).collect())
    }

    fn new(mut certificates: Vec<CertificateDer<'static>>) -> Result<Self, Fault> {
        if certificates.is_empty() {
            return Err(Fault::NoCertificate);
        }
        if certificates.len() > CHAIN_CERTIFICATES_MAX {
            return Err(Fault::ChainTooLong(certificates.len()));
        }
        let facts = certificates.iter().map(|der| CertificateFacts::read(der));
        let mut facts = facts.collect::<Option<Vec<_>>>().ok_or(Fault::ChainUnreadable)?;
        if issuers_share_a_name(&facts) {
            return Err(Fault::ChainInvalid);
        }
        let in_order = is_in_order(&facts);
        let signer_index = facts.iter().position(|facts| !facts.is_ca).unwrap_or(0);
        certificates.swap(0, signer_index);
        facts.swap(0, signer_index);
        Ok(Self { certificates, facts, in_order, staples: Vec::new(), known: KnownPath::default() })
    }

    /// Adds OCSP answers that came with the chain, each an OCSPResponse in DER (RFC 6960 §4.2.1). They are looked at
    /// if [`RevocationPolicy::use_staples`](super::RevocationPolicy::use_staples) says so.
    ///
    /// # Errors
    /// [`Fault::Staple`] if one is not such an answer, or there are more than [`CHAIN_CERTIFICATES_MAX`] in all.
    pub fn with_staples(mut self, responses: &[&[u8]]) -> Result<Self, Fault> {
        for response in responses {
            self.staples.push(Staple::read(response).ok_or(Fault::Staple)?);
        }
        self.known = KnownPath::default();
        if self.staples.len() > CHAIN_CERTIFICATES_MAX { Err(Fault::Staple) } else { Ok(self) }
    }

    /// Whether `response` is one that [`with_staples`](Self::with_staples) would take.
    pub fn is_staple(response: &[u8]) -> bool {
        Staple::read(response).is_some()
    }

    /// Whether it came in the order of RFC 8555 §9.1: signer first, each certificate issued by the next.
    pub const fn is_in_order(&self) -> bool {
        self.in_order
    }

    /// The signer's certificate, DER.
    pub fn signer_der(&self) -> &[u8] {
        &self.certificates[0]
    }

    /// The signer's key.
    ///
    /// # Errors
    /// [`Fault::SignerKey`] if it is not a P-256 key that may sign.
    // rfc8226:4-1.
    pub fn signer_key(&self) -> Result<&VerifyingKey, Fault> {
        self.signer().signing_key.as_ref().ok_or(Fault::SignerKey)
    }

    /// Where the lists of numbers are that its certificates name by reference (RFC 8226 §10.1): https URLs, to be
    /// fetched before the chain is judged. What they serve is read by
    /// [`TnAuthList::from_reference`](super::TnAuthList::from_reference).
    pub fn list_urls(&self) -> impl Iterator<Item = &str> {
        let scopes = self.facts.iter().filter_map(|facts| facts.scope().ok().flatten());
        scopes.flat_map(|scope| &scope.urls).map(String::as_str)
    }

    /// The list of numbers in the signer's certificate.
    ///
    /// # Errors
    /// [`Fault::NoTnAuthList`], [`Fault::TnAuthList`], or [`Fault::TnAuthListByReference`] if all of it is
    /// elsewhere.
    pub fn signer_numbers(&self) -> Result<&TnAuthList, Fault> {
        self.signer().list()?.ok_or(Fault::NoTnAuthList)
    }

    /// Whether the signer's own certificate says nothing for `party`, whatever else is looked up: enough to
    /// refuse, without a signature verified.
    ///
    /// # Errors
    /// [`Fault::NoTnAuthList`], [`Fault::TnAuthList`].
    pub(crate) fn is_out_of_reach(&self, party: &Identity) -> Result<bool, Fault> {
        Ok(self.signer_scope()?.is_out_of_reach(party))
    }

    /// Whether the signer's own certificate lets it sign `claims`, which are asked for only if it demands
    /// anything of them.
    ///
    /// # Errors
    /// [`Fault::ClaimConstraints`], [`Fault::ClaimNotPermitted`].
    pub fn check_signer_claims(&self, claims: &dyn Fn() -> Json) -> Result<(), Fault> {
        self.signer().check_claims(claims)
    }

    /// Whether the certificates, as far as they say it themselves and whatever root they lead to, let their holder
    /// sign `claims` for `party`: for a signer who has no root at hand.
    ///
    /// # Errors
    /// Those of [`VerifiedChain::authority`] and [`VerifiedChain::check_claims`].
    pub(crate) fn check_itself(
        &self,
        party: Option<&Identity>,
        claims: &dyn Fn() -> Json,
    ) -> Result<(), Fault> {
        self.signer_scope()?;
        for facts in &self.facts {
            let scope = facts.scope()?;
            if party.is_some_and(|party| scope.is_some_and(|scope| scope.is_out_of_reach(party))) {
                return Err(Fault::NotCovered);
            }
            facts.check_claims(claims)?;
        }
        if authority::is_encompassed(self.facts.iter()) { Ok(()) } else { Err(Fault::NotEncompassed) }
    }

    /// What the signer's certificate says of numbers.
    pub(super) fn signer_scope(&self) -> Result<&Scope, Fault> {
        self.signer().scope()?.ok_or(Fault::NoTnAuthList)
    }

    /// From when on all of its certificates hold.
    pub fn valid_from(&self) -> Timestamp {
        self.facts.iter().map(|facts| facts.not_before).max().expect("a chain has at least one certificate")
    }

    /// When the first of its certificates runs out.
    pub fn valid_until(&self) -> Timestamp {
        self.facts.iter().map(|facts| facts.not_after).min().expect("a chain has at least one certificate")
    }

    /// Whether one of its certificates has run out at `now`.
    pub fn has_run_out(&self, now: Timestamp) -> bool {
        now > self.valid_until()
    }

    /// Follows the chain to a root of `trust` at time `now`: up to six signature verifications. The answer is
    /// kept with the chain, and holds without another for the same `trust` until a certificate or revocation
    /// list of the path runs out, at most [`CHAIN_VERIFIED_MS`](crate::limits::CHAIN_VERIFIED_MS).
    ///
    /// # Errors
    /// [`Fault`] of the stage cert.
    pub fn verify(&self, trust: &TrustStore, now: Timestamp) -> Result<VerifiedChain<'_>, Fault> {
        if let Some(known) = self.known.recall(trust, now) {
            return known.map(|path| VerifiedChain { chain: self, path });
        }
        let found = path::find(&self.certificates, &self.facts, &self.staples, trust, now);
        self.known.keep(&found, trust, now);
        found.map(|path| VerifiedChain { chain: self, path })
    }

    /// What each certificate says, the signer's first.
    pub(super) fn facts(&self) -> &[CertificateFacts] {
        &self.facts
    }

    fn signer(&self) -> &CertificateFacts {
        &self.facts[0]
    }
}

/// Signer first, each certificate issued by the next.
// rfc9060:7-1.
fn is_in_order(facts: &[CertificateFacts]) -> bool {
    facts.windows(2).all(|pair| pair[1].is_ca && pair[0].issuer == pair[1].subject) && !facts[0].is_ca
}

/// Whether two certificates of authorities have one name. A chain is a line (RFC 9060 §6): with one name for two, who
/// verifies it would have to try every way through it, and a stranger could make that hundreds.
fn issuers_share_a_name(facts: &[CertificateFacts]) -> bool {
    let issuers = || facts.iter().enumerate().filter(|(_, facts)| facts.is_ca);
    issuers().any(|(index, one)| {
        issuers().any(|(other_index, other)| index < other_index && one.subject == other.subject)
    })
}
