//! A certificate chain: reading it, following it to a root, and the authority over numbers along it.

use herald_core::Timestamp;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::ring::{ECDSA_P256_SHA256, ECDSA_P256_SHA384, ECDSA_P384_SHA256, ECDSA_P384_SHA384};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, ExtendedKeyUsageValidator, KeyPurposeIdIter,
    RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy,
};

use super::facts::{CertificateFacts, Numbers};
use super::tn_auth_list::{Coverage, TnAuthList};
use super::trust::TrustStore;
use crate::error::Fault;
use crate::es256::VerifyingKey;
use crate::limits::{CHAIN_BYTES_MAX, CHAIN_CERTIFICATES_MAX};
use crate::passport::{Identity, Leniency};

/// How issuers sign certificates: ECDSA as in ATIS-1000080, on either common curve.
const CERTIFICATE_ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] =
    &[ECDSA_P256_SHA256, ECDSA_P256_SHA384, ECDSA_P384_SHA384, ECDSA_P384_SHA256];

/// A chain as it was received, signer first. It is not to be believed before it is verified.
#[derive(Clone, Debug)]
pub struct CertificateChain {
    certificates: Vec<CertificateDer<'static>>,
    /// One for each certificate.
    facts: Vec<CertificateFacts>,
}

impl CertificateChain {
    /// Reads a chain in PEM, signer first (RFC 8555 §9.1). Sections that are not certificates are skipped.
    ///
    /// # Errors
    /// [`Fault`] of the stage cert.
    pub fn from_pem(pem: &[u8], leniency: &Leniency) -> Result<Self, Fault> {
        if pem.len() > CHAIN_BYTES_MAX {
            return Err(Fault::ChainUnreadable);
        }
        let certificates = CertificateDer::pem_slice_iter(pem)
            .take(CHAIN_CERTIFICATES_MAX + 1)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| Fault::ChainUnreadable)?;
        Self::new(certificates, leniency)
    }

    /// Takes a chain in DER, signer first, as `x5c` holds it.
    ///
    /// # Errors
    /// [`Fault`] of the stage cert.
    pub fn from_der(chain: &[Vec<u8>], leniency: &Leniency) -> Result<Self, Fault> {
        if chain.iter().map(Vec::len).sum::<usize>() > CHAIN_BYTES_MAX {
            return Err(Fault::ChainUnreadable);
        }
        Self::new(chain.iter().cloned().map(CertificateDer::from).collect(), leniency)
    }

    fn new(mut certificates: Vec<CertificateDer<'static>>, leniency: &Leniency) -> Result<Self, Fault> {
        if certificates.is_empty() {
            return Err(Fault::NoCertificate);
        }
        if certificates.len() > CHAIN_CERTIFICATES_MAX {
            return Err(Fault::ChainTooLong(certificates.len()));
        }
        let facts = certificates.iter().map(|der| CertificateFacts::read(der));
        let mut facts = facts.collect::<Option<Vec<_>>>().ok_or(Fault::ChainUnreadable)?;
        if leniency.chain_any_order {
            let signer_index = facts.iter().position(|facts| !facts.is_ca).unwrap_or(0);
            certificates.swap(0, signer_index);
            facts.swap(0, signer_index);
        } else if !is_in_order(&facts) {
            return Err(Fault::ChainOrder);
        }
        Ok(Self { certificates, facts })
    }

    /// The signer's key.
    ///
    /// # Errors
    /// [`Fault::SignerKey`] if it is not a P-256 key that may sign.
    pub fn signer_key(&self) -> Result<&VerifyingKey, Fault> {
        self.signer().signing_key.as_ref().ok_or(Fault::SignerKey)
    }

    /// The signer's list of numbers.
    ///
    /// # Errors
    /// [`Fault::NoTnAuthList`], [`Fault::TnAuthList`], or one of the two for a certificate that says more than
    /// is understood here, and so might be taken for a larger right than it is:
    /// [`Fault::TnAuthListByReference`], [`Fault::ClaimConstraints`].
    pub fn signer_numbers(&self) -> Result<&TnAuthList, Fault> {
        let signer = self.signer();
        if signer.constrains_claims {
            return Err(Fault::ClaimConstraints);
        }
        match &signer.numbers {
            Numbers::List(list) => Ok(list),
            Numbers::Unsaid => Err(Fault::NoTnAuthList),
            Numbers::Malformed => Err(Fault::TnAuthList),
            Numbers::ByReference => Err(Fault::TnAuthListByReference),
        }
    }

    /// Whether the signer's own list says nothing for `party`: enough to refuse, without a signature verified.
    ///
    /// # Errors
    /// As [`signer_numbers`](Self::signer_numbers).
    pub(crate) fn is_out_of_reach(&self, party: &Identity) -> Result<bool, Fault> {
        Ok(coverage(self.signer_numbers()?, party) == Coverage::NotCovered)
    }

    /// Follows the chain to a root of `trust` at time `now`: up to six signature verifications.
    ///
    /// # Errors
    /// [`Fault`] of the stage cert.
    pub fn verify(&self, trust: &TrustStore, now: Timestamp) -> Result<VerifiedChain<'_>, Fault> {
        let (signer, issuers) =
            self.certificates.split_first().expect("a chain has at least one certificate");
        let signer = EndEntityCert::try_from(signer).map_err(fault)?;
        let crls: Vec<&CertRevocationList<'_>> = trust.crls.iter().map(|crl| &**crl).collect();
        let revocation = RevocationOptionsBuilder::new(&crls).ok().map(|builder| {
            builder
                .with_depth(RevocationCheckDepth::Chain)
                .with_status_policy(UnknownStatusPolicy::Allow)
                .with_expiration_policy(ExpirationPolicy::Enforce)
                .build()
        });
        let time = UnixTime::since_unix_epoch(core::time::Duration::from_millis(now.as_millis()));
        let path = signer
            .verify_for_usage(CERTIFICATE_ALGORITHMS, &trust.roots, issuers, time, AnyUsage, revocation, None)
            .map_err(fault)?;
        let facts_of = |der: &CertificateDer<'_>| {
            let index = self.certificates.iter().position(|certificate| certificate == der);
            &self.facts[index.expect("the path is built from the certificates of the chain")]
        };
        let limits = path.intermediate_certificates().map(|issuer| facts_of(&issuer.der())).collect();
        Ok(VerifiedChain { chain: self, issuers: limits })
    }

    fn signer(&self) -> &CertificateFacts {
        &self.facts[0]
    }
}

/// By what right a PASSporT was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The certificates name the number.
    Number,
    /// Somewhere along the chain only these service provider codes stand for the number. Whether the number is
    /// theirs must be looked up elsewhere.
    OnlyBySpc(Vec<String>),
    /// The PASSporT vouches for a priority (`rph`): authority over numbers does not apply (RFC 8443 §6), and
    /// authority over the priority was not judged.
    Unjudged,
}

/// A chain that leads to a root.
#[derive(Clone, Debug)]
pub struct VerifiedChain<'a> {
    chain: &'a CertificateChain,
    /// The issuers between signer and root.
    issuers: Vec<&'a CertificateFacts>,
}

impl VerifiedChain<'_> {
    /// By what right the signer speaks for `party`: its own list and the list of every issuer that has one must
    /// stand for it (RFC 8226 §9: in a CA certificate the list limits the path; RFC 9060 §5).
    ///
    /// # Errors
    /// [`Fault::NotCovered`], or another of the stages cert and authz if a list cannot be understood.
    pub fn authority(&self, party: &Identity) -> Result<Authority, Fault> {
        let mut codes: Option<Vec<&str>> = None;
        for list in core::iter::once(self.chain.signer_numbers()).chain(self.issuer_lists()) {
            let list = list?;
            match (coverage(list, party), &mut codes) {
                (Coverage::NotCovered, _) => return Err(Fault::NotCovered),
                (Coverage::Covered, _) => {}
                (Coverage::OnlyBySpc, None) => codes = Some(list.spcs().collect()),
                (Coverage::OnlyBySpc, Some(codes)) => {
                    codes.retain(|&code| list.spcs().any(|spc| spc == code))
                }
            }
        }
        match codes {
            None => Ok(Authority::Number),
            Some(codes) if codes.is_empty() => Err(Fault::NotCovered),
            Some(codes) => Ok(Authority::OnlyBySpc(codes.into_iter().map(str::to_owned).collect())),
        }
    }

    fn issuer_lists(&self) -> impl Iterator<Item = Result<&TnAuthList, Fault>> {
        self.issuers.iter().filter_map(|issuer| match &issuer.numbers {
            Numbers::Unsaid => None,
            Numbers::List(list) => Some(Ok(list)),
            Numbers::Malformed => Some(Err(Fault::TnAuthList)),
            Numbers::ByReference => Some(Err(Fault::TnAuthListByReference)),
        })
    }
}

/// How far a list stands for a party. About a URI a list of numbers says nothing, so only a service provider
/// code can stand for it.
fn coverage(list: &TnAuthList, party: &Identity) -> Coverage {
    match party {
        Identity::Tn(number) => list.coverage(*number),
        Identity::Uri(_) if list.spcs().next().is_some() => Coverage::OnlyBySpc,
        Identity::Uri(_) => Coverage::NotCovered,
    }
}

/// Signer first, each certificate issued by the next.
fn is_in_order(facts: &[CertificateFacts]) -> bool {
    facts.windows(2).all(|pair| pair[1].is_ca && pair[0].issuer == pair[1].subject) && !facts[0].is_ca
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
        webpki::Error::CertRevoked => Fault::Revoked,
        webpki::Error::CrlExpired { .. } => Fault::RevocationUnknown,
        webpki::Error::UnknownIssuer => Fault::Untrusted,
        _ => Fault::ChainInvalid,
    }
}
