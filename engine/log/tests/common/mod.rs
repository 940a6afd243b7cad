//! What the tests share: a random source with a seed to print, numbers, and bodies that tell whose they are.
#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod kept;

use herald_core::{NewPlacement, PlacementId, TelephoneNumber, Timestamp};

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// From 0 up to and without `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

pub(crate) fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// The `index`th number of the tests.
pub(crate) fn number(index: u64) -> TelephoneNumber {
    TelephoneNumber::parse(format!("1222{index:07}").as_bytes()).expect("eleven digits")
}

/// An id that holds two words.
pub(crate) fn id(first: u64, second: u64) -> PlacementId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&first.to_le_bytes());
    bytes[8..].copy_from_slice(&second.to_le_bytes());
    PlacementId::from_bytes(bytes)
}

/// The two words of an id.
pub(crate) fn id_words(id: PlacementId) -> (u64, u64) {
    let word =
        |start: usize| u64::from_le_bytes(id.as_bytes()[start..start + 8].try_into().expect("8 bytes"));
    (word(0), word(8))
}

/// The words of the pattern that only a body of this length, number and id has.
fn pattern(body: &[u8], number: TelephoneNumber, id: PlacementId) -> Random {
    let (first, second) = id_words(id);
    let length = u64::try_from(body.len()).expect("a length");
    Random(number.to_bits() ^ mix(first) ^ mix(second).rotate_left(1) ^ mix(length).rotate_left(2))
}

/// Fills `body` with its pattern.
pub(crate) fn fill(body: &mut [u8], number: TelephoneNumber, id: PlacementId) {
    let mut random = pattern(body, number, id);
    for chunk in body.chunks_mut(8) {
        let word = random.next().to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
}

/// Whether `body` is what [`fill`] made for this number and id, and not shorter.
pub(crate) fn is_filled(body: &[u8], number: TelephoneNumber, id: PlacementId) -> bool {
    let mut random = pattern(body, number, id);
    body.chunks(8).all(|chunk| chunk == &random.next().to_le_bytes()[..chunk.len()])
}

pub(crate) fn placement<'a>(
    number: TelephoneNumber,
    id: PlacementId,
    expires_at_ms: u64,
    body: &'a mut [u8],
) -> NewPlacement<'a> {
    fill(body, number, id);
    NewPlacement { number, id, expires_at: at(expires_at_ms), body }
}

pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}
