//! SipHash (Aumasson and Bernstein, 2012) of 64-bit words.
//!
//! Numbers and token ids in an index are chosen by attackers; under a secret key they cannot choose which of them
//! share a bucket. Knows nothing of what the words mean.

/// The 128-bit key.
#[derive(Clone, Copy)]
pub struct SipKey([u64; 2]);

impl SipKey {
    /// The key of the first 16 of these bytes, little endian: all SipHash takes.
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        let word = |start: usize| u64::from_le_bytes(core::array::from_fn(|index| secret[start + index]));
        Self([word(0), word(8)])
    }
}

/// SipHash-1-3 of the eight little-endian bytes of `word`: for an index.
#[inline]
pub fn hash_word(key: SipKey, word: u64) -> u64 {
    sip::<1, 3, 1>(key, &[word])
}

/// SipHash-2-4 of the little-endian bytes of `words`, up to 31 of them: a pseudorandom function.
#[inline]
pub fn prf_words<const COUNT: usize>(key: SipKey, words: &[u64; COUNT]) -> u64 {
    const { assert!(COUNT < 32, "the length in bytes has eight bits") };
    sip::<2, 4, COUNT>(key, words)
}

#[inline]
fn sip<const COMPRESSION_ROUNDS: usize, const FINAL_ROUNDS: usize, const COUNT: usize>(
    key: SipKey,
    words: &[u64; COUNT],
) -> u64 {
    let [k0, k1] = key.0;
    let mut state = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    for word in words {
        absorb::<COMPRESSION_ROUNDS>(&mut state, *word);
    }
    // The message is whole words; the last block is then its length in bytes in the top byte.
    absorb::<COMPRESSION_ROUNDS>(&mut state, (COUNT as u64 * 8) << 56);
    state[2] ^= 0xff;
    (0..FINAL_ROUNDS).for_each(|_| round(&mut state));
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

#[inline]
fn absorb<const ROUNDS: usize>(state: &mut [u64; 4], block: u64) {
    state[3] ^= block;
    (0..ROUNDS).for_each(|_| round(state));
    state[0] ^= block;
}

#[inline]
fn round([v0, v1, v2, v3]: &mut [u64; 4]) {
    *v0 = v0.wrapping_add(*v1);
    *v1 = v1.rotate_left(13) ^ *v0;
    *v0 = v0.rotate_left(32);
    *v2 = v2.wrapping_add(*v3);
    *v3 = v3.rotate_left(16) ^ *v2;
    *v0 = v0.wrapping_add(*v3);
    *v3 = v3.rotate_left(21) ^ *v0;
    *v2 = v2.wrapping_add(*v1);
    *v1 = v1.rotate_left(17) ^ *v2;
    *v2 = v2.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use core::hash::Hasher;
    use std::collections::hash_map::DefaultHasher;

    use super::*;

    #[test]
    fn it_is_the_standard_library_s_siphash_1_3_under_the_zero_key() {
        let words = (0..1000u64).map(|index| index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for word in words.chain([0, u64::MAX]) {
            let mut theirs = DefaultHasher::new();
            theirs.write(&word.to_le_bytes());
            assert_eq!(hash_word(SipKey([0, 0]), word), theirs.finish(), "of {word:#x}");
        }
    }

    #[test]
    fn with_the_paper_s_key_and_rounds_it_gives_the_paper_s_vector_of_eight_bytes() {
        let secret = core::array::from_fn(|index| u8::try_from(index).expect("32 bytes"));
        let word = u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(prf_words(SipKey::from_secret(&secret), &[word]), 0x93f5_f579_9a93_2462);
    }

    #[test]
    #[expect(deprecated, reason = "the only keyed SipHash of the standard library, of 2 and 4 rounds")]
    fn under_any_key_it_agrees_with_the_standard_library_s_siphash_2_4() {
        for seed in 1..200u64 {
            let (k0, k1) =
                (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), seed.wrapping_mul(0xd134_2543_de82_ef95));
            let mut theirs = core::hash::SipHasher::new_with_keys(k0, k1);
            theirs.write(&seed.to_le_bytes());
            assert_eq!(prf_words(SipKey([k0, k1]), &[seed]), theirs.finish(), "seed {seed}");
            theirs.write(&k1.to_le_bytes());
            assert_eq!(prf_words(SipKey([k0, k1]), &[seed, k1]), theirs.finish(), "seed {seed}, two words");
        }
    }
}
