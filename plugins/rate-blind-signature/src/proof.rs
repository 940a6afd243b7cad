//! What the nonce of a token commits to, mode by mode, and what both sides derive from it.
//!
//! | mode | seed, which the client keeps | proof, which it shows | nonce | secret of the session |
//! |---|---|---|---|---|
//! | BEARER | none | none | random | none |
//! | COMMITTED | MAC key | the MAC key | SHA-256("cps-mac", proof) | the MAC key |
//! | AGREED | X25519 private key | its public key | SHA-256(proof) | X25519 with the service's agreement key |
//! | SIGNED | P-256 private key | its public key, uncompressed | SHA-256(proof) | that public key |
//!
//! A proof has one encoding: the nonce is a hash of its bytes, and points that are no keys are refused besides.

use aws_lc_rs::agreement::{Algorithm, ECDH_P256, PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use herald_plugin_sdk::{Mode, Secret};
use zeroize::Zeroizing;

use crate::limits::DRAWS_MAX;

/// Bytes of a seed, a MAC key and an X25519 key.
pub(crate) const SEED_BYTES: usize = 32;
/// What a seed is drawn or a key is read from.
pub(crate) type Seed = Zeroizing<[u8; SEED_BYTES]>;

const MAC_KEY_LABEL: &[u8] = b"cps-mac";
/// Bytes of a P-256 key, uncompressed (SEC 1 §2.3.3).
const P256_KEY_BYTES: usize = 65;
/// What such a key begins with. There are others of its length.
const UNCOMPRESSED: u8 = 4;
/// The prime of Curve25519, little-endian: a coordinate from here on has a shorter one that means the same.
const PRIME_25519: [u8; 32] = {
    let mut prime = [0xff; 32];
    prime[0] = 0xed;
    prime[31] = 0x7f;
    prime
};

/// Draws the seed of a token, zeros where the mode needs none; `None` if the randomness is broken.
pub(crate) fn draw(mode: Mode, random: &mut dyn FnMut(&mut [u8])) -> Option<Seed> {
    let mut seed = Seed::default();
    if mode == Mode::Bearer {
        return Some(seed);
    }
    for _ in 0..DRAWS_MAX {
        random(&mut *seed);
        if mode != Mode::Signed || key(&ECDH_P256, &seed).is_some() {
            return Some(seed);
        }
    }
    None
}

/// The proof of a seed; `None` for a mode without one, or a seed that is no key.
pub(crate) fn of_seed(mode: Mode, seed: &Seed) -> Option<Secret> {
    let proof = match mode {
        Mode::Bearer => Vec::new(),
        Mode::Committed => seed.to_vec(),
        Mode::Agreed => public(&X25519, seed)?,
        Mode::Signed => public(&ECDH_P256, seed)?,
        Mode::Withheld => return None,
    };
    Some(Zeroizing::new(proof))
}

/// The nonce that commits to a proof; `None` in BEARER, where it is random, and for a proof of the wrong length.
pub(crate) fn nonce(mode: Mode, proof: &[u8]) -> Option<[u8; 32]> {
    let (label, len): (&[u8], usize) = match mode {
        Mode::Committed => (MAC_KEY_LABEL, SEED_BYTES),
        Mode::Agreed => (b"", SEED_BYTES),
        Mode::Signed => (b"", P256_KEY_BYTES),
        Mode::Bearer | Mode::Withheld => return None,
    };
    if proof.len() != len {
        return None;
    }
    let mut hash = Context::new(&SHA256);
    hash.update(label);
    hash.update(proof);
    hash.finish().as_ref().try_into().ok()
}

/// Whether the nonce of a token is the one for its proof, in a mode that is done here.
pub(crate) fn fits(mode: Mode, nonce_of_token: &[u8], proof: &[u8]) -> bool {
    match mode {
        Mode::Bearer => proof.is_empty(),
        _ => nonce(mode, proof).is_some_and(|nonce| nonce == nonce_of_token),
    }
}

/// At the service: the secret of a token whose nonce fits its proof; `None` if that is no key.
pub(crate) fn secret_of_proof(mode: Mode, proof: &[u8], agreement: &PrivateKey) -> Option<Secret> {
    match mode {
        Mode::Bearer => Some(Secret::default()),
        Mode::Committed => Some(Zeroizing::new(proof.to_vec())),
        Mode::Agreed => agreed(agreement, proof),
        Mode::Signed => {
            let is_key = proof.first() == Some(&UNCOMPRESSED)
                && ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, proof).is_ok();
            is_key.then(|| Zeroizing::new(proof.to_vec()))
        }
        Mode::Withheld => None,
    }
}

/// At the client: what it keeps to authorise stores; in SIGNED the private key.
pub(crate) fn secret_of_seed(mode: Mode, seed: &Seed, agreement_key: &[u8]) -> Option<Secret> {
    match mode {
        Mode::Bearer => Some(Secret::default()),
        Mode::Committed | Mode::Signed => Some(Zeroizing::new(seed.to_vec())),
        Mode::Agreed => agreed(&agreement_private_key(seed)?, agreement_key),
        Mode::Withheld => None,
    }
}

/// The X25519 key of a seed.
pub(crate) fn agreement_private_key(seed: &Seed) -> Option<PrivateKey> {
    key(&X25519, seed)
}

/// X25519; `None` for a peer's key that is not canonical or gives zeros (RFC 7748 §6.1).
fn agreed(private: &PrivateKey, peer: &[u8]) -> Option<Secret> {
    let is_canonical = peer.len() == SEED_BYTES && peer.iter().rev().lt(PRIME_25519.iter().rev());
    if !is_canonical {
        return None;
    }
    agree(private, UnparsedPublicKey::new(&X25519, peer), (), |secret| Ok(Zeroizing::new(secret.to_vec())))
        .ok()
}

fn public(algorithm: &'static Algorithm, private: &Seed) -> Option<Vec<u8>> {
    Some(key(algorithm, private)?.compute_public_key().ok()?.as_ref().to_vec())
}

fn key(algorithm: &'static Algorithm, private: &Seed) -> Option<PrivateKey> {
    PrivateKey::from_private_key(algorithm, private.as_slice()).ok()
}
