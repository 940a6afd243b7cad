//! EMSA-PSS-ENCODE with SHA-384 (RFC 8017 §9.1.1), for a modulus of whole bytes.
//!
//! Only the client encodes; signatures are verified by AWS-LC.

use aws_lc_rs::digest::{Context, SHA384, SHA384_OUTPUT_LEN, digest};

/// Bytes of salt (RFC 9474 §5: RSABSSA-SHA384-PSS-Deterministic).
pub(crate) const SALT_BYTES: usize = 48;

/// The encoded message, of `len` bytes, for a modulus of as many. `None` if that is too short for hash and salt.
pub(crate) fn encode(message: &[u8], salt: &[u8], len: usize) -> Option<Vec<u8>> {
    let masked_len = len.checked_sub(SHA384_OUTPUT_LEN + 1)?;
    let padding_len = masked_len.checked_sub(salt.len() + 1)?;
    let mut hash = Context::new(&SHA384);
    hash.update(&[0; 8]);
    hash.update(digest(&SHA384, message).as_ref());
    hash.update(salt);
    let hash = hash.finish();

    let mut encoded = vec![0; padding_len];
    encoded.push(1);
    encoded.extend_from_slice(salt);
    mask(&mut encoded, hash.as_ref());
    // The encoding has one bit less than the modulus, so that it is a smaller number.
    encoded[0] &= 0x7f;
    encoded.extend_from_slice(hash.as_ref());
    encoded.push(0xbc);
    Some(encoded)
}

/// Masks `data` with MGF1 of `seed` (RFC 8017 §B.2.1).
fn mask(data: &mut [u8], seed: &[u8]) {
    for (block, counter) in data.chunks_mut(SHA384_OUTPUT_LEN).zip(0_u32..) {
        let mut hash = Context::new(&SHA384);
        hash.update(seed);
        hash.update(&counter.to_be_bytes());
        block.iter_mut().zip(hash.finish().as_ref()).for_each(|(byte, mask)| *byte ^= mask);
    }
}
