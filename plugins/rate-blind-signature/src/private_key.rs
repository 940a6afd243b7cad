//! The private RSA operation, by AWS-LC: in constant time, blinded, and checked against faults before it is answered.
//!
//! AWS-LC's safe binding offers padded signatures alone, while a blind signature is the bare power of what the client
//! sends (RFC 9474 §4.3). This file reaches for that one function and knows nothing of tokens.

#![expect(
    unsafe_code,
    reason = "aws-lc-rs has no raw RSA operation, and nothing in safe Rust is constant time"
)]

use core::ptr::{self, NonNull};

use aws_lc_sys::{
    CBS, EVP_PKEY_free, EVP_PKEY_get1_RSA, EVP_parse_private_key, RSA, RSA_NO_PADDING, RSA_free,
    RSA_sign_raw, RSA_size,
};

/// A private key, wiped by AWS-LC when it is dropped.
pub(crate) struct PrivateKey {
    rsa: NonNull<RSA>,
    modulus_bytes: usize,
}

// SAFETY: rsa.h: an RSA object may be used from any thread; nothing here is bound to the one that made it.
unsafe impl Send for PrivateKey {}
// SAFETY: rsa.h, "Signing": those functions are non-mutating for thread-safety purposes and may be used concurrently.
// `&self` reaches only them.
unsafe impl Sync for PrivateKey {}

impl PrivateKey {
    /// The key of a PrivateKeyInfo (PKCS#8, DER), if it is one of RSA whose parts fit together.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let mut input = CBS { data: der.as_ptr(), len: der.len() };
        // SAFETY: `input` spans `der`, which outlives the call; the answer is null or ours to free.
        let pkey = NonNull::new(unsafe { EVP_parse_private_key(&raw mut input) })?;
        // SAFETY: `pkey` is a live key; the answer is null, for another algorithm, or a reference of our own.
        let rsa = NonNull::new(unsafe { EVP_PKEY_get1_RSA(pkey.as_ptr()) });
        // SAFETY: `pkey` is ours, freed once, and not used below; `rsa` holds a reference of its own.
        unsafe { EVP_PKEY_free(pkey.as_ptr()) };
        let rsa = rsa?;
        // SAFETY: `rsa` is a live key.
        let bytes = unsafe { RSA_size(rsa.as_ptr()) };
        Some(Self { rsa, modulus_bytes: usize::try_from(bytes).unwrap_or(0) })
    }

    // rfc9474:7.1-1.
    /// `message` to the power of the private exponent, in as many bytes as the modulus has.
    ///
    /// `None` unless `message` has as many, and stands for a number from 2 to the modulus less 2; or if the power did
    /// not come out right (RFC 9474 §4.3: "signing failure"), in which case nothing of it is answered.
    pub(crate) fn power(&self, message: &[u8]) -> Option<Vec<u8>> {
        if message.len() != self.modulus_bytes {
            return None;
        }
        let mut power = vec![0; self.modulus_bytes];
        let mut written = 0;
        // SAFETY: a live key; `power` takes as many bytes as we say, and `message` has as many as we say.
        let done = unsafe {
            RSA_sign_raw(
                self.rsa.as_ptr(),
                ptr::from_mut(&mut written),
                power.as_mut_ptr(),
                power.len(),
                message.as_ptr(),
                message.len(),
                RSA_NO_PADDING,
            )
        };
        (done == 1 && written == self.modulus_bytes).then_some(power)
    }
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        // SAFETY: our own reference, given up once.
        unsafe { RSA_free(self.rsa.as_ptr()) };
    }
}
