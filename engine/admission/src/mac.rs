//! The MAC of a store: its key, its input and the two suites.
//!
//! HMAC is ring's, GMAC that of RustCrypto, which takes eight blocks of what is only authenticated at a time, ring one. A key
//! that ring has made ready cannot be wiped; a judge gives its own up at each change of keys.

use core::fmt;

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes128Gcm, KeyInit};
use herald_core::TelephoneNumber;
use ring::hmac;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::wire::{TAG_BYTES, TokenId, TokenInput};

const KEY_LABEL: &[u8] = b"herald-mac-key-v1";
const STORE_LABEL: &[u8; 12] = b"cps-store-v1";
const HEAD_BYTES: usize = 12 + 32 + 16 + 4 + 8 + 4;

/// Which MAC a service asks for: one for all its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Suite {
    /// HMAC-SHA256, the first 128 bits of it.
    #[default]
    HmacSha256,
    /// GMAC with AES-128 and the counter as nonce. Faster where a session's key is used often; a client that uses a counter
    /// for two stores shows the hash key of its own token to who sees both.
    Aes128Gmac,
}

impl Suite {
    /// The suites, the default first.
    pub const ALL: [Self; 2] = [Self::HmacSha256, Self::Aes128Gmac];

    /// What the issuer directory and the configuration call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256-128",
            Self::Aes128Gmac => "aes-128-gmac",
        }
    }

    /// The suite of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }
}

/// The key with which the stores of one token are authenticated.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct MacKey([u64; 4]);

impl MacKey {
    /// The key of a token, from the secret that its plugin gives for it at either side.
    pub fn derive(secret: &[u8], input: &TokenInput) -> Self {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
        context.update(KEY_LABEL);
        context.update(&input.0);
        let key = context.sign();
        let key = key.as_ref().first_chunk::<32>().expect("HMAC-SHA256 has 32 bytes");
        let (words, _) = key.as_chunks();
        Self(core::array::from_fn(|index| u64::from_le_bytes(words[index])))
    }

    /// The key of sessions whose stores are signed: none is ever checked with it.
    pub(crate) const fn none() -> Self {
        Self([0; 4])
    }

    /// The key of these words, little endian.
    pub(crate) const fn from_words(words: [u64; 4]) -> Self {
        Self(words)
    }

    pub(crate) const fn words(&self) -> &[u64; 4] {
        &self.0
    }

    fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        let (parts, _) = bytes.as_chunks_mut();
        parts.iter_mut().zip(self.0).for_each(|(part, word)| *part = word.to_le_bytes());
        bytes
    }

    /// The MAC of one store.
    pub fn tag(&self, suite: Suite, store: &StoreInput<'_>) -> [u8; TAG_BYTES] {
        ReadyKey::new(suite, self).tag(store, &mut Vec::new())
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(..)")
    }
}

/// What is authenticated of a store.
#[derive(Clone, Copy)]
pub struct StoreInput<'a> {
    /// The id of the key that issued the token.
    pub key_id: &'a [u8; 32],
    /// The token.
    pub token_id: TokenId,
    /// Which of its stores this is.
    pub counter: u32,
    /// The called number; none where a session is opened without a store.
    pub number: Option<TelephoneNumber>,
    /// The sealed PASSporT.
    pub body: &'a [u8],
}

impl StoreInput<'_> {
    fn head(&self) -> [u8; HEAD_BYTES] {
        // No body of a size that counts has more; two that differ only there would still differ in themselves.
        let body_bytes = u32::try_from(self.body.len()).unwrap_or(u32::MAX);
        let mut head = [0; HEAD_BYTES];
        head[..12].copy_from_slice(STORE_LABEL);
        head[12..44].copy_from_slice(self.key_id);
        head[44..60].copy_from_slice(&self.token_id.0);
        head[60..64].copy_from_slice(&self.counter.to_be_bytes());
        head[64..72].copy_from_slice(&self.number.map_or(0, TelephoneNumber::to_bits).to_be_bytes());
        head[72..].copy_from_slice(&body_bytes.to_be_bytes());
        head
    }

    /// All of it in one piece, as a signature covers it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.extend_from_slice(&self.head());
        bytes.extend_from_slice(self.body);
    }
}

/// A key with what can be computed of it once.
#[expect(clippy::large_enum_variant, reason = "a service has one suite, and a pointer more is a miss more")]
pub(crate) enum ReadyKey {
    Hmac(hmac::Key),
    Gmac(Aes128Gcm),
}

impl ReadyKey {
    pub(crate) fn new(suite: Suite, key: &MacKey) -> Self {
        let bytes = key.to_bytes();
        match suite {
            Suite::HmacSha256 => Self::Hmac(hmac::Key::new(hmac::HMAC_SHA256, &bytes[..])),
            Suite::Aes128Gmac => {
                let key = Aes128Gcm::new_from_slice(&bytes[..16]);
                Self::Gmac(key.expect("AES-128 takes 16 bytes"))
            }
        }
    }

    /// The MAC of a store. `scratch` is overwritten.
    pub(crate) fn tag(&self, store: &StoreInput<'_>, scratch: &mut Vec<u8>) -> [u8; TAG_BYTES] {
        match self {
            Self::Hmac(key) => {
                let mut context = hmac::Context::with_key(key);
                context.update(&store.head());
                context.update(store.body);
                first_16(context.sign().as_ref())
            }
            Self::Gmac(key) => {
                store.write(scratch);
                let tag =
                    key.encrypt_inout_detached(&nonce(store).into(), scratch, InOutBuf::from(&mut [][..]));
                tag.expect("a store is far smaller than GCM's bound").into()
            }
        }
    }
}

/// GMAC's: the counter.
fn nonce(store: &StoreInput<'_>) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[8..].copy_from_slice(&store.counter.to_be_bytes());
    nonce
}

fn first_16(tag: &[u8]) -> [u8; TAG_BYTES] {
    tag.first_chunk().copied().expect("HMAC-SHA256 has 32 bytes")
}

/// Whether two MACs are equal. Takes the same time wherever they differ.
pub(crate) fn tags_are_equal(one: &[u8; TAG_BYTES], other: &[u8; TAG_BYTES]) -> bool {
    u128::from_ne_bytes(*one) ^ u128::from_ne_bytes(*other) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_a_store_changes_its_mac_in_both_suites() {
        let key = MacKey::from_words([7; 4]);
        let number: TelephoneNumber = "12225552222".parse().unwrap();
        let store = StoreInput {
            key_id: &[1; 32],
            token_id: TokenId([2; 16]),
            counter: 3,
            number: Some(number),
            body: b"sealed",
        };
        for suite in Suite::ALL {
            let tag = key.tag(suite, &store);
            let others = [
                StoreInput { key_id: &[9; 32], ..store },
                StoreInput { token_id: TokenId([9; 16]), ..store },
                StoreInput { counter: 4, ..store },
                StoreInput { number: None, ..store },
                StoreInput { body: b"sealee", ..store },
                StoreInput { body: b"", ..store },
            ];
            assert_eq!(tag, key.tag(suite, &store));
            assert!(others.iter().all(|other| key.tag(suite, other) != tag), "{suite:?}");
            assert_ne!(MacKey::from_words([8; 4]).tag(suite, &store), tag);
        }
    }

    #[test]
    fn the_default_suite_is_hmac_over_the_bytes_that_signatures_cover() {
        let store = StoreInput {
            key_id: &[1; 32],
            token_id: TokenId([2; 16]),
            counter: 3,
            number: None,
            body: &[5; 640],
        };
        let whole = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, &MacKey::from_words([7; 4]).to_bytes()[..]),
            &store.to_bytes(),
        );
        assert_eq!(MacKey::from_words([7; 4]).tag(Suite::HmacSha256, &store), whole.as_ref()[..16]);
    }

    #[test]
    fn the_other_suite_is_ring_s_gmac_with_the_counter_as_nonce_whatever_the_length() {
        use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
        let bytes = MacKey::from_words([7; 4]).to_bytes();
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &bytes[..16]).unwrap());
        let bodies = [0, 1, 3, 4, 5, 51, 52, 53, 640, 1500, 4096].map(|length| vec![5; length]);
        for (counter, body) in (0..).zip(&bodies) {
            let store = StoreInput {
                key_id: &[1; 32],
                token_id: TokenId([2; 16]),
                counter: counter << 8 | 3,
                number: None,
                body,
            };
            let nonce = Nonce::assume_unique_for_key(nonce(&store));
            let tag = key.seal_in_place_separate_tag(nonce, Aad::from(store.to_bytes()), &mut []).unwrap();
            assert_eq!(&MacKey::from_words([7; 4]).tag(Suite::Aes128Gmac, &store), tag.as_ref());
        }
    }
}
