//! Rate control by a verifiable oblivious pseudorandom function (RFC 9497).
//!
//! The service holds a key. A caller blinds the inputs of its tokens, the service evaluates them without seeing them and
//! proves that it did so with the key it publishes for everybody, and the caller unblinds the outputs. Whoever shows an
//! output later, or a MAC under a key derived from it, was admitted once; which admission that was the service cannot
//! tell.
//!
//! Two plugins, as a table has one token type:
//!
//! - [`RateVoprf`], `rate-voprf`: ristretto255-SHA512, token type 5, as many as [`limits::BATCH_TOKENS_MAX`] tokens with
//!   one proof (draft-ietf-privacypass-batched-tokens-08 §5). To be taken.
//! - [`RateVoprfP384`], `rate-voprf-p384`: P384-SHA384, token type 1, one token a request (RFC 9578 §5). For clients that
//!   know nothing else: a token costs some thirty times as much in all.
//!
//! Top-down: [`Voprf`] is the plugin, [`Key`] the service's side, [`client`] the caller's, [`Framing`] the bytes between
//! them, [`Suite`] what tells the two apart. It does not know epochs, classes, quotas or which tokens are spent: those
//! are the host's.

pub mod client;
mod issuer;
pub mod limits;
mod plugin;
mod suite;
mod wire;

pub use issuer::Key;
pub use plugin::{RateVoprf, RateVoprfP384, Voprf};
pub use suite::{P384, Ristretto255, Suite};
pub use wire::Framing;

/// The first bytes of a token, which its authenticator is the function's value of (RFC 9577 §2.2).
pub type TokenInput = [u8; herald_plugin_sdk::abi::TOKEN_INPUT_BYTES];

/// SHA-256 of a public key as it is published (RFC 9578 §5.5).
fn key_id(public_key: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, public_key);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// The last byte of the key id: how a request names the key that it is for.
fn truncated(key_id: &[u8; 32]) -> u8 {
    key_id[31]
}

/// Type, nonce, challenge digest and key id, one behind the other (RFC 9577 §2.2).
fn token_input<S: Suite>(nonce: &[u8; 32], challenge_digest: &[u8; 32], key_id: &[u8; 32]) -> TokenInput {
    let mut input = [0; herald_plugin_sdk::abi::TOKEN_INPUT_BYTES];
    input[..2].copy_from_slice(&S::TOKEN_TYPE.to_be_bytes());
    input[2..34].copy_from_slice(nonce);
    input[34..66].copy_from_slice(challenge_digest);
    input[66..].copy_from_slice(key_id);
    input
}
