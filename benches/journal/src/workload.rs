//! What is stored: numbers and bodies that follow from an index.

use herald_core::{PlacementId, TelephoneNumber};

use crate::limits::{BODIES, BODY_BYTES, NUMBERS};

/// Bodies that look random.
pub(crate) struct Bodies(Vec<u8>);

impl Bodies {
    pub(crate) fn new() -> Self {
        let mut word = 1;
        let words = std::iter::repeat_with(|| {
            word = mix(word);
            word.to_le_bytes()
        });
        Self(words.flatten().take(BODIES * BODY_BYTES).collect())
    }

    pub(crate) fn body(&self, index: u64) -> &[u8] {
        let at = usize::try_from(index).expect("64-bit machines only") % BODIES;
        &self.0[at * BODY_BYTES..][..BODY_BYTES]
    }

    /// All of them, as something to write.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

pub(crate) fn number(index: u64) -> TelephoneNumber {
    // One digit is a field of four bits with the value of the digit plus one, the first in bits 59 to 56.
    let mut rest = mix(index) % NUMBERS + 12_000_000_000;
    let digits = std::array::from_fn::<u64, 11, _>(|_| {
        let digit = rest % 10;
        rest /= 10;
        digit
    });
    let bits = (0..11).fold(0, |bits, place| bits | (digits[10 - place] + 1) << (56 - 4 * place));
    TelephoneNumber::from_bits(bits).expect("eleven digits are a number")
}

pub(crate) fn id(index: u64) -> PlacementId {
    PlacementId::from_bytes(u128::from(index).to_le_bytes())
}

/// SplitMix64's finish: looks random, always the same.
const fn mix(index: u64) -> u64 {
    let word = index.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
