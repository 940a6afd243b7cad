//! ES256, the one signature algorithm of PASSporTs (RFC 8225 §6, RFC 7518 §3.4). It does not know what is
//! signed.

use core::fmt;

use herald_core::Random;
use p256::ecdsa::signature::Signer;
use p256::elliptic_curve::Generate;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use zeroize::Zeroizing;

use crate::error::StirError;
use crate::random::Drawn;

/// Bytes of an ES256 signature: r and s (RFC 7518 §3.4).
pub(crate) const SIGNATURE_BYTES: usize = 64;

/// A P-256 key that signs PASSporTs. `Debug` shows nothing of it, and it is wiped when dropped.
#[derive(Clone)]
pub struct SigningKey(p256::ecdsa::SigningKey);

impl SigningKey {
    /// A new key.
    pub fn generate(random: &dyn Random) -> Self {
        Self(p256::ecdsa::SigningKey::generate_from_rng(&mut Drawn(random)))
    }

    /// Reads a key from PEM: PKCS#8 (`PRIVATE KEY`) or SEC1 (`EC PRIVATE KEY`).
    ///
    /// # Errors
    /// [`StirError::SigningKey`] if it is neither, or not a P-256 key.
    pub fn from_pem(pem: &str) -> Result<Self, StirError> {
        p256::SecretKey::from_pkcs8_pem(pem)
            .ok()
            .or_else(|| p256::SecretKey::from_sec1_pem(pem).ok())
            .map(|secret| Self(secret.into()))
            .ok_or(StirError::SigningKey)
    }

    /// The key as PKCS#8 PEM; wiped when dropped.
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        self.0.to_pkcs8_pem(LineEnding::LF).expect("a P-256 key always has a PKCS#8 form")
    }

    /// The key as PKCS#8 DER.
    pub(crate) fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        self.0.to_pkcs8_der().expect("a P-256 key always has a PKCS#8 form").to_bytes()
    }

    /// The public key that verifies its signatures.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::of(&p256::PublicKey::from(self.0.verifying_key()))
    }

    /// Signs `message`: r and s, deterministic (RFC 6979), so a weak source of randomness cannot leak the key.
    // rfc8225:4.2-1, rfc8225:4.2-2.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let signature: p256::ecdsa::Signature = self.0.sign(message);
        signature.to_bytes().into()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// A P-256 public key that verifies PASSporTs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    /// 0x04, x, y: a point known to be on the curve.
    uncompressed: [u8; 65],
}

impl VerifyingKey {
    /// Reads a key from a `PUBLIC KEY` PEM.
    ///
    /// # Errors
    /// [`StirError::VerifyingKey`] if it is not a P-256 key.
    pub fn from_pem(pem: &str) -> Result<Self, StirError> {
        p256::PublicKey::from_public_key_pem(pem)
            .map(|key| Self::of(&key))
            .map_err(|_| StirError::VerifyingKey)
    }

    /// Reads a key from a DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`StirError::VerifyingKey`] if it is not a P-256 key or not a point of the curve.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, StirError> {
        p256::PublicKey::from_public_key_der(der)
            .map(|key| Self::of(&key))
            .map_err(|_| StirError::VerifyingKey)
    }

    /// The key as `PUBLIC KEY` PEM.
    pub fn to_pem(&self) -> String {
        p256::PublicKey::from_sec1_bytes(&self.uncompressed)
            .expect("the point was checked when the key was made")
            .to_public_key_pem(LineEnding::LF)
            .expect("a P-256 key always has a SubjectPublicKeyInfo form")
    }

    /// Whether `signature`, r and s of 32 bytes each, is one of this key over `message`.
    ///
    /// Both s and n - s are accepted (neither RFC 7518 nor RFC 8225 asks for the low one), so bytes of a
    /// signature do not identify a PASSporT.
    // rfc8225:4.2-1, rfc8226:4-1.
    pub fn is_signature(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.uncompressed)
            .verify(message, signature)
            .is_ok()
    }

    fn of(key: &p256::PublicKey) -> Self {
        let point = key.to_sec1_point(false);
        let uncompressed = point.as_bytes().try_into().expect("an uncompressed P-256 point has 65 bytes");
        Self { uncompressed }
    }
}
