//! TokenRequest, and the parts of a token input (RFC 9578 §6.1, RFC 9577 §2.2).

use herald_plugin_sdk::abi::TOKEN_INPUT_BYTES;

use crate::limits::MODULUS_BYTES;

/// Blind RSA with 2048 bits (RFC 9578 §8.2.2).
pub(crate) const TOKEN_TYPE: u16 = 2;
/// Bytes of a TokenRequest: type, the last byte of the key's id, the blinded message.
pub(crate) const REQUEST_BYTES: usize = 2 + 1 + MODULUS_BYTES;

/// Type, nonce, challenge digest and key id: what is signed.
pub(crate) type TokenInput = [u8; TOKEN_INPUT_BYTES];

/// A TokenRequest.
pub(crate) fn request(key_id: &[u8; 32], blinded: &[u8]) -> Vec<u8> {
    [TOKEN_TYPE.to_be_bytes().as_slice(), &key_id[31..], blinded].concat()
}

/// The last byte of the key's id, and the blinded message; `None` for a malformed request.
pub(crate) fn parse_request(request: &[u8]) -> Option<(u8, &[u8])> {
    let rest = request.strip_prefix(&TOKEN_TYPE.to_be_bytes())?;
    (request.len() == REQUEST_BYTES).then(|| rest.split_first()).flatten().map(|(id, blinded)| (*id, blinded))
}

/// The token input of these parts.
pub(crate) fn token_input(nonce: &[u8; 32], challenge_digest: &[u8; 32], key_id: &[u8; 32]) -> TokenInput {
    let mut input = [0; TOKEN_INPUT_BYTES];
    input[..2].copy_from_slice(&TOKEN_TYPE.to_be_bytes());
    input[2..34].copy_from_slice(nonce);
    input[34..66].copy_from_slice(challenge_digest);
    input[66..].copy_from_slice(key_id);
    input
}

/// The nonce of a token input of this type and key; `None` for another one.
pub(crate) fn nonce_of<'a>(input: &'a TokenInput, key_id: &[u8; 32]) -> Option<&'a [u8]> {
    let is_ours = input[..2] == TOKEN_TYPE.to_be_bytes() && input[66..] == *key_id;
    is_ours.then_some(&input[2..34])
}
