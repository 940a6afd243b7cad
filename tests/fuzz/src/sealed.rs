//! Sealed placements and sealing keys: cover and forgeries do not open, what was sealed does.
//!
//! The first byte of an input says what the rest is (see [`check`]), the second picks a size or a place.

use core::num::NonZeroU8;
use std::sync::OnceLock;

use herald_core::TelephoneNumber;
use herald_core::limits::BODY_BUCKETS_BYTES;
use herald_stir::{SealingKey, SealingPublicKey, StirError, Suite, open, seal};
use hpke::aead::AesGcm128;
use hpke::kdf::HkdfSha256;
use hpke::kem::{DhP256HkdfSha256, X25519HkdfSha256};
use hpke::{Deserializable, Kem, OpModeS, Serializable};

use crate::fixed::{Fixed, FixedRng};

const TAG_BYTES: usize = 16;
const LENGTH_BYTES: usize = 2;

/// Reads the first byte: its lowest bit is the suite, the next two say whether the rest is a sealed placement (0), a
/// PASSporT to be sealed (1), a plaintext for whoever has the public key to seal (2), or a key (3).
///
/// # Panics
/// If something opens that should not, or does not open that should.
pub fn check(data: &[u8]) {
    let [mode, pick, rest @ ..] = data else { return };
    let key = key(if mode & 1 == 0 { Suite::X25519 } else { Suite::P256 });
    match (mode >> 1) & 3 {
        0 => check_arbitrary(key, *pick, rest),
        1 => check_round_trip(key, *pick, &String::from_utf8_lossy(rest)),
        2 => check_plaintext(key, *pick, rest),
        _ => check_jwk(&String::from_utf8_lossy(rest)),
    }
}

fn key(suite: Suite) -> &'static SealingKey {
    static KEYS: OnceLock<[SealingKey; 2]> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        [Suite::X25519, Suite::P256].map(|suite| SealingKey::generate(suite, &Fixed::new(3)))
    });
    &keys[usize::from(suite == Suite::P256)]
}

fn number() -> TelephoneNumber {
    "12225552222".parse().expect("a number")
}

fn bucket_bytes(pick: u8) -> usize {
    BODY_BUCKETS_BYTES[usize::from(pick) % BODY_BUCKETS_BYTES.len()]
}

/// Nobody can make what opens without having sealed it.
fn check_arbitrary(key: &SealingKey, pick: u8, bytes: &[u8]) {
    assert_eq!(open(bytes, number(), core::slice::from_ref(key)), Err(StirError::Open));
    let mut sized = bytes.to_vec();
    sized.resize(bucket_bytes(pick), pick);
    assert_eq!(open(&sized, number(), core::slice::from_ref(key)), Err(StirError::Open));
}

fn check_round_trip(key: &SealingKey, pick: u8, passport: &str) {
    let public = key.public_key();
    let sealed = seal(passport, number(), &public, &Fixed::new(u64::from(pick)));
    let keys = [key.clone()];
    if passport.len() > public.suite().passport_bytes_max() {
        assert!(matches!(sealed, Err(StirError::TooLongToSeal { .. })));
        return;
    }
    let mut sealed = sealed.expect("it fits and the key is good");
    let smallest =
        BODY_BUCKETS_BYTES.into_iter().find(|&bytes| bytes >= passport.len() + overhead_bytes(&public));
    assert_eq!(Some(sealed.len()), smallest);
    let expected = if passport.is_empty() { Err(StirError::Open) } else { Ok(passport.to_owned()) };
    assert_eq!(open(&sealed, number(), &keys), expected);
    let other = "12225552223".parse().expect("a number");
    assert_eq!(open(&sealed, other, &keys), Err(StirError::Open), "it opens under another number");
    let place = usize::from(pick) * 31 % sealed.len();
    sealed[place] ^= NonZeroU8::new(pick).map_or(1, NonZeroU8::get);
    // X25519 ignores the highest bit of a point (RFC 7748 §5), but the key schedule covers the bytes as sent.
    assert_eq!(open(&sealed, number(), &keys), Err(StirError::Open), "changed at {place} and still opens");
}

const fn overhead_bytes(key: &SealingPublicKey) -> usize {
    key.suite().encapsulated_key_bytes() + TAG_BYTES + LENGTH_BYTES
}

/// Whoever has the public key may seal any plaintext: it opens only with length and padding as they must be.
fn check_plaintext(key: &SealingKey, pick: u8, bytes: &[u8]) {
    let public = key.public_key();
    let mut plaintext = bytes.to_vec();
    plaintext.resize(bucket_bytes(pick) - public.suite().encapsulated_key_bytes() - TAG_BYTES, 0);
    let sealed = match public.suite() {
        Suite::X25519 => encrypt::<X25519HkdfSha256>(&public, &plaintext),
        Suite::P256 => encrypt::<DhP256HkdfSha256>(&public, &plaintext),
    };
    let expected = passport_model(&plaintext).ok_or(StirError::Open);
    assert_eq!(open(&sealed, number(), core::slice::from_ref(key)), expected);
}

/// `length (2 bytes, big-endian) ‖ PASSporT ‖ zeros`; an empty PASSporT is none.
fn passport_model(plaintext: &[u8]) -> Option<String> {
    let (length, rest) = plaintext.split_at(LENGTH_BYTES);
    let length = usize::from(length[0]) << 8 | usize::from(length[1]);
    let passport = rest.get(..length).filter(|passport| !passport.is_empty())?;
    let padded = rest[length..].iter().all(|&byte| byte == 0);
    core::str::from_utf8(passport).ok().filter(|_| padded).map(str::to_owned)
}

fn encrypt<K: Kem>(public: &SealingPublicKey, plaintext: &[u8]) -> Vec<u8> {
    let key = K::PublicKey::from_bytes(&public.to_bytes()).expect("the key of this suite");
    let info = [b"stir-oob-passport v1\0".as_slice(), number().to_string().as_bytes()].concat();
    let mut random = FixedRng::new(4);
    let sealed = hpke::single_shot_seal_with_rng::<AesGcm128, HkdfSha256, K>(
        &OpModeS::Base,
        &key,
        &info,
        plaintext,
        b"",
        &mut random,
    );
    let (encapsulated, ciphertext) = sealed.expect("the key is good");
    [encapsulated.to_bytes().as_slice(), &ciphertext].concat()
}

/// A key that is read is the same after it was written and read again, and never shown.
fn check_jwk(text: &str) {
    if let Ok(public) = SealingPublicKey::from_jwk(text) {
        let written = public.to_jwk();
        assert_eq!(SealingPublicKey::from_jwk(&written), Ok(public.clone()));
        assert_eq!(SealingPublicKey::from_bytes(public.suite(), &public.to_bytes()), Ok(public));
    }
    if let Ok(private) = SealingKey::from_jwk(text) {
        let again = SealingKey::from_jwk(&private.to_jwk()).expect("what was written is read");
        assert_eq!(again.public_key(), private.public_key());
        let sealed =
            seal("passport", number(), &private.public_key(), &Fixed::new(5)).expect("the key is good");
        assert_eq!(open(&sealed, number(), &[again]), Ok("passport".to_owned()));
        assert!(format!("{private:?}").len() < 40, "Debug shows more than the suite");
    }
}
