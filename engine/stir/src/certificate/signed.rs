//! Signed DER as certificates, revocation lists and OCSP answers have it: `SEQUENCE { what is signed, algorithm,
//! signature }`. It does not know what is signed.

use core::fmt;

use der::Encode;
use rustls_pki_types::SignatureVerificationAlgorithm;
use webpki::ring::{ECDSA_P256_SHA256, ECDSA_P256_SHA384, ECDSA_P384_SHA256, ECDSA_P384_SHA384};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use super::tlv::{self, tag};

/// How issuers sign: ECDSA as in ATIS-1000080, on either common curve.
pub(super) const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] =
    &[ECDSA_P256_SHA256, ECDSA_P256_SHA384, ECDSA_P384_SHA384, ECDSA_P384_SHA256];

/// A public key of any kind.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PublicKey {
    /// The content of its AlgorithmIdentifier.
    algorithm: Vec<u8>,
    /// The content of its BIT STRING, without the count of unused bits.
    pub(super) bits: Vec<u8>,
}

impl PublicKey {
    pub(super) fn read(spki: &SubjectPublicKeyInfoOwned) -> Option<Self> {
        let algorithm = spki.algorithm.to_der().ok()?;
        Some(Self {
            algorithm: tlv::only(&algorithm, tag::SEQUENCE)?.to_vec(),
            bits: spki.subject_public_key.as_bytes()?.to_vec(),
        })
    }
}

/// What was signed, and how.
#[derive(Clone)]
pub(super) struct Signed {
    /// The DER value that was signed.
    pub(super) message: Vec<u8>,
    /// The content of its AlgorithmIdentifier.
    algorithm: Vec<u8>,
    signature: Vec<u8>,
}

impl Signed {
    /// Takes the three values off `content`.
    pub(super) fn take(content: &mut &[u8]) -> Option<Self> {
        let message = tlv::take_whole(content).filter(|value| value[0] == tag::SEQUENCE)?;
        let algorithm = tlv::expect(content, tag::SEQUENCE)?;
        let (unused_bits, signature) = tlv::expect(content, tag::BIT_STRING)?.split_first()?;
        (*unused_bits == 0).then(|| Self {
            message: message.to_vec(),
            algorithm: algorithm.to_vec(),
            signature: signature.to_vec(),
        })
    }

    /// Whether it is signed by `algorithm`, the content of an AlgorithmIdentifier.
    pub(super) fn is_with(&self, algorithm: &[u8]) -> bool {
        self.algorithm == algorithm
    }

    /// Whether `key` signed it.
    pub(super) fn is_by(&self, key: &PublicKey) -> bool {
        let fits = |algorithm: &&&dyn SignatureVerificationAlgorithm| {
            algorithm.public_key_alg_id().as_ref() == key.algorithm
                && algorithm.signature_alg_id().as_ref() == self.algorithm
        };
        ALGORITHMS.iter().find(fits).is_some_and(|algorithm| {
            algorithm.verify_signature(&key.bits, &self.message, &self.signature).is_ok()
        })
    }
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({} bytes)", self.message.len())
    }
}
