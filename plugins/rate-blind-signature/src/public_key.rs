//! A public key as an issuer publishes it (RFC 9578 §6.5), and what it verifies.
//!
//! The encoding of a 2048-bit key with the exponent 65537, which all makers use, differs in its modulus alone. So it is
//! compared and not parsed: a key that is written in any other way would have another id, and could mark a client.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PSS_2048_8192_SHA384};

use crate::limits::MODULUS_BYTES;

/// SubjectPublicKeyInfo up to the modulus: id-RSASSA-PSS with SHA-384, MGF1 of it and 48 bytes of salt.
// rfc9474:6.2-3.
const BEFORE: [u8; 81] = [
    0x30, 0x82, 0x01, 0x52, 0x30, 0x3d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a,
    0x30, 0x30, 0xa0, 0x0d, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02,
    0xa1, 0x1a, 0x30, 0x18, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0b,
    0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0xa2, 0x03, 0x02, 0x01, 0x30, 0x03,
    0x82, 0x01, 0x0f, 0x00, 0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00,
];
/// What follows it: the exponent 65537.
const AFTER: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];
/// Where the RSAPublicKey (RFC 8017 §A.1.1) begins, which AWS-LC reads.
const RSA_PUBLIC_KEY: usize = 72;
/// Bytes of a key as it is published.
pub(crate) const PUBLISHED_BYTES: usize = BEFORE.len() + MODULUS_BYTES + AFTER.len();

/// A public key of 2048 bits with the exponent 65537.
pub(crate) struct PublicKey {
    published: [u8; PUBLISHED_BYTES],
    id: [u8; 32],
    parsed: ParsedPublicKey,
}

impl PublicKey {
    /// The key of this modulus: of 2048 bits and odd.
    pub(crate) fn new(modulus: &[u8]) -> Option<Self> {
        if modulus.len() != MODULUS_BYTES || modulus[0] < 0x80 || modulus[MODULUS_BYTES - 1].is_multiple_of(2)
        {
            return None;
        }
        let mut published = [0; PUBLISHED_BYTES];
        let (before, rest) = published.split_at_mut(BEFORE.len());
        let (middle, after) = rest.split_at_mut(MODULUS_BYTES);
        before.copy_from_slice(&BEFORE);
        middle.copy_from_slice(modulus);
        after.copy_from_slice(&AFTER);
        let parsed = ParsedPublicKey::new(&RSA_PSS_2048_8192_SHA384, &published[RSA_PUBLIC_KEY..]).ok()?;
        let mut id = [0; 32];
        id.copy_from_slice(digest(&SHA256, &published).as_ref());
        Some(Self { published, id, parsed })
    }

    /// The key that is published as `bytes`.
    pub(crate) fn from_published(bytes: &[u8]) -> Option<Self> {
        Self::new(bytes.strip_prefix(&BEFORE)?.strip_suffix(&AFTER)?)
    }

    /// The key of an RSAPublicKey.
    pub(crate) fn from_rsa(der: &[u8]) -> Option<Self> {
        Self::new(der.strip_prefix(&BEFORE[RSA_PUBLIC_KEY..])?.strip_suffix(&AFTER)?)
    }

    /// As it is published.
    pub(crate) const fn published(&self) -> &[u8; PUBLISHED_BYTES] {
        &self.published
    }

    /// SHA-256 of it as it is published.
    pub(crate) const fn id(&self) -> &[u8; 32] {
        &self.id
    }

    /// Its modulus.
    pub(crate) fn modulus(&self) -> &[u8] {
        &self.published[BEFORE.len()..][..MODULUS_BYTES]
    }

    /// Whether `signature` is one of `message`: RSASSA-PSS with SHA-384 and 48 bytes of salt (RFC 9474 §4.5).
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }
}
