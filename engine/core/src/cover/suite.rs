//! The sealing suite as far as cover needs it: an encapsulated key that nobody can tell from a real one.

/// One HPKE suite of a deployment (every item of a CPS uses the same one, so the suite tells nothing).
///
/// Random bytes will not do as an encapsulated key: about half of all strings are no points of the curve, and
/// one square root shows it. So a suite makes a genuine key from a seed.
pub trait SealingSuite: Send + Sync {
    /// The length in bytes of an encapsulated key.
    fn encapsulated_key_bytes(&self) -> usize;

    /// Writes the encapsulated key that `seed` stands for. `out` has
    /// [`encapsulated_key_bytes`](Self::encapsulated_key_bytes) bytes.
    fn encapsulated_key(&self, seed: [u8; 32], out: &mut [u8]);
}

/// DHKEM(X25519, HKDF-SHA256) of RFC 9180: an encapsulated key is a 32-byte public key.
#[derive(Clone, Copy, Debug, Default)]
pub struct X25519Suite;

impl SealingSuite for X25519Suite {
    fn encapsulated_key_bytes(&self) -> usize {
        32
    }

    fn encapsulated_key(&self, seed: [u8; 32], out: &mut [u8]) {
        let secret = x25519_dalek::StaticSecret::from(seed);
        out.copy_from_slice(x25519_dalek::PublicKey::from(&secret).as_bytes());
    }
}
