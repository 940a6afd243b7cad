//! From a number to 64 bits that nobody can foresee without the key.
//!
//! Numbers are chosen by attackers; which of them share a bucket is secret. A pseudorandom function is asked of each
//! operation before it knows which memory it needs, so the processor's own is taken where it has one: AES-128, 63
//! instructions fewer than SipHash-1-3. Knows nothing of buckets.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "instructions that not every processor has")
)]

use herald_core::TelephoneNumber;
use herald_core::siphash::{SipKey, hash_word};

/// A pseudorandom function of numbers.
pub(crate) enum NumberHash {
    /// AES-128 (FIPS 197) of the number, half of it.
    #[cfg(target_arch = "x86_64")]
    Aes(aes::RoundKeys),
    /// SipHash-1-3, on a processor that does not compute AES, or that is not asked here.
    Sip(SipKey),
}

impl NumberHash {
    /// The fastest that the processor has, under the first 16 bytes of `secret`.
    pub(crate) fn keyed(secret: &[u8; 32]) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(keys) = aes::RoundKeys::expand(secret.first_chunk().expect("16 of 32 bytes")) {
            return Self::Aes(keys);
        }
        Self::Sip(SipKey::from_secret(secret))
    }

    #[inline]
    pub(crate) fn of(&self, number: TelephoneNumber) -> u64 {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Aes(keys) => keys.encrypt(number.to_bits(), 0),
            Self::Sip(key) => sip(*key, number),
        }
    }
}

/// Not inlined, so that what asks for a hash is short where it is AES.
#[cfg_attr(target_arch = "x86_64", inline(never))]
fn sip(key: SipKey, number: TelephoneNumber) -> u64 {
    hash_word(key, number.to_bits())
}

#[cfg(target_arch = "x86_64")]
mod aes {
    use core::arch::x86_64::{
        __m128i, _mm_aesenc_si128, _mm_aesenclast_si128, _mm_aeskeygenassist_si128, _mm_cvtsi128_si64,
        _mm_set_epi64x, _mm_shuffle_epi32, _mm_slli_si128, _mm_xor_si128,
    };

    const ROUNDS: usize = 10;

    /// The keys of all rounds. There are none on a processor without the instructions.
    #[derive(Clone, Copy)]
    pub(crate) struct RoundKeys([__m128i; ROUNDS + 1]);

    impl RoundKeys {
        /// Those of `key`, if the processor has the instructions.
        pub(super) fn expand(key: &[u8; 16]) -> Option<Self> {
            // SAFETY: asked of the processor just now.
            std::is_x86_feature_detected!("aes").then(|| Self(unsafe { expand(u128::from_le_bytes(*key)) }))
        }

        /// The first half of what the block of these two is enciphered to; all little endian. In registers: a block in memory
        /// would be read before it has left the processor's queue of stores, which waits there for the records before it.
        #[inline]
        pub(super) fn encrypt(&self, first: u64, second: u64) -> u64 {
            // SAFETY: `self` was made where the processor has the instructions.
            unsafe { encrypt(&self.0, first, second) }
        }
    }

    #[target_feature(enable = "aes")]
    fn expand(key: u128) -> [__m128i; ROUNDS + 1] {
        let mut keys = [of_halves(key as u64, (key >> 64) as u64); ROUNDS + 1];
        keys[1] = next_key::<0x01>(keys[0]);
        keys[2] = next_key::<0x02>(keys[1]);
        keys[3] = next_key::<0x04>(keys[2]);
        keys[4] = next_key::<0x08>(keys[3]);
        keys[5] = next_key::<0x10>(keys[4]);
        keys[6] = next_key::<0x20>(keys[5]);
        keys[7] = next_key::<0x40>(keys[6]);
        keys[8] = next_key::<0x80>(keys[7]);
        keys[9] = next_key::<0x1b>(keys[8]);
        keys[10] = next_key::<0x36>(keys[9]);
        keys
    }

    /// FIPS 197, section 5.2: each word of a key is the exclusive or of those before it, the first also of the last
    /// word turned, substituted and marked with the round.
    #[target_feature(enable = "aes")]
    fn next_key<const ROUND_CONSTANT: i32>(key: __m128i) -> __m128i {
        let turned = _mm_shuffle_epi32::<0xff>(_mm_aeskeygenassist_si128::<ROUND_CONSTANT>(key));
        let twice = _mm_xor_si128(key, _mm_slli_si128::<4>(key));
        _mm_xor_si128(_mm_xor_si128(twice, _mm_slli_si128::<8>(twice)), turned)
    }

    #[inline]
    #[target_feature(enable = "aes")]
    fn encrypt(keys: &[__m128i; ROUNDS + 1], first: u64, second: u64) -> u64 {
        let [first_key, between @ .., last_key] = keys;
        let mut state = _mm_xor_si128(of_halves(first, second), *first_key);
        // No closure: what is given one is compiled for any processor, and would call it for each round.
        for key in between {
            state = _mm_aesenc_si128(state, *key);
        }
        _mm_cvtsi128_si64(_mm_aesenclast_si128(state, *last_key)).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn of_halves(low: u64, high: u64) -> __m128i {
        _mm_set_epi64x(high.cast_signed(), low.cast_signed())
    }

    #[cfg(all(test, not(any(loom, shuttle))))]
    mod tests {
        use super::RoundKeys;

        #[test]
        fn it_is_aes() {
            let keys = RoundKeys::expand(&core::array::from_fn(|index| index as u8));
            assert_eq!(keys.is_some(), std::is_x86_feature_detected!("aes"));
            let Some(keys) = keys else { return };
            // FIPS 197, appendix C.1.
            let plain = [0x0011_2233_4455_6677_u64, 0x8899_aabb_ccdd_eeff].map(u64::swap_bytes);
            assert_eq!(keys.encrypt(plain[0], plain[1]).swap_bytes(), 0x69c4_e0d8_6a7b_0430);
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    const BUCKETS: u64 = 1024;
    const KINDS: [fn(&[u8; 32]) -> NumberHash; 2] =
        [NumberHash::keyed, |secret| NumberHash::Sip(SipKey::from_secret(secret))];

    fn number(index: u64) -> TelephoneNumber {
        TelephoneNumber::parse(format!("1222{index:07}").as_bytes()).expect("eleven digits")
    }

    fn bucket(hash: &NumberHash, number: TelephoneNumber) -> u64 {
        hash.of(number) / (u64::MAX / BUCKETS + 1)
    }

    /// Numbers in the fullest bucket.
    fn longest(hash: &NumberHash, numbers: &[TelephoneNumber]) -> usize {
        let in_bucket = |wanted| numbers.iter().filter(|&&of| bucket(hash, of) == wanted).count();
        (0..BUCKETS).map(in_bucket).max().expect("a bucket")
    }

    #[test]
    fn numbers_chosen_to_share_a_bucket_under_one_key_are_spread_under_another_as_any_are() {
        for keyed in KINDS {
            let (known, secret) = (keyed(&[1; 32]), keyed(&[2; 32]));
            let chosen: Vec<_> =
                (0..1_000_000).map(number).filter(|&number| bucket(&known, number) == 0).collect();
            let any: Vec<_> = (0..chosen.len() as u64).map(number).collect();
            assert!((500..2000).contains(&chosen.len()), "{} of a million", chosen.len());
            assert_eq!(longest(&known, &chosen), chosen.len(), "the control");
            assert!(longest(&secret, &chosen) <= 2 * longest(&secret, &any));
        }
    }

    #[test]
    fn each_byte_of_the_key_counts() {
        for keyed in KINDS {
            let hash = keyed(&[7; 32]).of(number(100));
            for index in 0..16 {
                let mut secret = [7; 32];
                secret[index] ^= 1;
                let turned = (keyed(&secret).of(number(100)) ^ hash).count_ones();
                assert!((12..=52).contains(&turned), "byte {index} turns {turned} of 64 bits");
            }
        }
    }
}
