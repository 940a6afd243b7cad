//! What cannot be reached across the boundary: RSA keys of 4096 bits, and proofs that no client of ours makes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../tests/common/mod.rs"]
mod common;

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PSS_2048_8192_SHA384, RsaPublicKeyComponents};
use crypto_bigint::{BoxedUint, NonZero};
use herald_plugin_sdk::{Fault, KeyHandle, Mode, Redemption};
use serde_json::Value;

use crate::blinding::Modulus;
use crate::client::blinded;
use crate::private_key::PrivateKey;
use crate::service::Key;
use crate::{proof, pss, wire};
use common::{field, from_hex, script, secret_of_pem, vectors};

#[test]
fn every_vector_of_rfc_9474_comes_out() {
    let vectors = vectors("rfc9474/test_vectors_rfc9474.rust-blind-rsa.json");
    assert_eq!(vectors.len(), 4);
    for vector in &vectors {
        let get = |name: &str| field(vector, &[name]).unwrap();
        let (message, salt, inverse) = (get("input_msg"), get("salt"), get("inv"));
        let modulus = Modulus::new(&get("n")).unwrap();
        let inverse = [vec![0; get("n").len() - inverse.len()], inverse].concat();
        // The vectors have the inverse of the blind.
        let blind = modulus.invert(&inverse).unwrap();
        let blinded = blinded(&modulus, &message, &salt, &blind).unwrap();
        assert_eq!(blinded, get("blinded_msg"), "{}", vector["name"]);
        let signed = rsa_key(vector).power(&blinded).unwrap();
        assert_eq!(signed, get("blind_sig"), "{}", vector["name"]);
        let signature = modulus.unblind(&signed, &inverse).unwrap();
        assert_eq!(signature, get("sig"), "{}", vector["name"]);
        // We verify one length of salt: our variant's.
        let has_our_salt = salt.len() == pss::SALT_BYTES;
        assert_eq!(verifies(vector, &message, &signature), has_our_salt, "{}", vector["name"]);
        assert!(!verifies(vector, &[message, vec![0]].concat(), &signature));
    }
}

fn verifies(vector: &Value, message: &[u8], signature: &[u8]) -> bool {
    let [n, e] = ["n", "e"].map(|name| field(vector, &[name]).unwrap());
    let key: ParsedPublicKey =
        RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PSS_2048_8192_SHA384).unwrap();
    key.verify_sig(message, signature).is_ok()
}

/// The key of a vector, which gives its primes and exponents (RFC 8017 §A.1.2 in RFC 5208's frame).
fn rsa_key(vector: &Value) -> PrivateKey {
    let get = |name: &str| field(vector, &[name]).unwrap();
    let [p, q, d] = ["p", "q", "d"].map(|name| BoxedUint::from_be_slice_vartime(&get(name)));
    let less_one = |prime: &BoxedUint| NonZero::new(prime - BoxedUint::one()).unwrap();
    let [dp, dq] = [&p, &q].map(|prime| d.rem_vartime(&less_one(prime)).to_be_bytes().to_vec());
    let q_in_p = q.rem_vartime(&NonZero::new(p).unwrap()).to_be_bytes();
    let inverse = Modulus::new(&get("p")).unwrap().invert(&q_in_p).unwrap().to_vec();
    let numbers = [vec![0], get("n"), get("e"), get("d"), get("p"), get("q"), dp, dq, inverse];
    let numbers: Vec<u8> = numbers.iter().flat_map(|number| integer(number)).collect();
    let algorithm = from_hex("300d06092a864886f70d0101010500");
    let inner = [integer(&[0]), algorithm, tagged(0x04, &tagged(0x30, &numbers))].concat();
    PrivateKey::from_pkcs8(&tagged(0x30, &inner)).unwrap()
}

/// INTEGER, without leading zeros but the one that says it is not negative.
fn integer(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = &number[zeros.min(number.len() - 1)..];
    let sign: &[u8] = if number[0] < 0x80 { &[] } else { &[0] };
    tagged(0x02, &[sign, number].concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len()).unwrap().to_be_bytes();
    match content.len() {
        0..0x80 => [&[tag, len[1]], content].concat(),
        0x80..0x100 => [&[tag, 0x81, len[1]], content].concat(),
        _ => [&[tag, 0x82, len[0], len[1]], content].concat(),
    }
}

// rfc9474:4.2-1, rfc9474:4.2-3.
#[test]
fn a_blind_is_drawn_until_it_is_a_number_with_an_inverse() {
    let factors = [0xfffb_u32, 0xfff1];
    let bytes = |number: u32| number.to_be_bytes().to_vec();
    let n = factors[0] * factors[1];
    let modulus = Modulus::new(&bytes(n)).unwrap();
    // Beyond it, itself, without an inverse.
    let bad = [u32::MAX, n, 0, factors[0], factors[1] * 3];
    for good in [1, 2, n - 1] {
        let (blind, inverse) = modulus.draw(&mut script(bad.into_iter().chain([good]).map(bytes))).unwrap();
        assert_eq!(*blind, bytes(good));
        assert_eq!(modulus.unblind(&blind, &inverse).unwrap(), bytes(1));
    }
    assert!(modulus.draw(&mut |out| out.fill(0)).is_none(), "broken randomness ends");
}

/// A service's key from a vector, and the power of its RSA key, with which a test signs what a client would not ask for.
fn service_key() -> (Key, PrivateKey) {
    let pem = field(&vectors("rfc9578/pat-go.type2-issuance.json")[0], &["skS"]).unwrap();
    let secret = secret_of_pem(&pem);
    (Key::from_secret(&secret).unwrap(), PrivateKey::from_pkcs8(&secret[33..]).unwrap())
}

#[test]
fn a_genuine_token_that_commits_to_no_key_is_refused() {
    let (key, rsa) = service_key();
    let redeem = |mode: Mode, shown: &[u8]| {
        let nonce = proof::nonce(mode, shown).unwrap_or([5; 32]);
        let token_input = &wire::token_input(&nonce, &[7; 32], key.public.id());
        let encoded = pss::encode(token_input, &[3; pss::SALT_BYTES], 256).unwrap();
        let authenticator = &rsa.power(&encoded).unwrap();
        let key_handle = KeyHandle(1);
        key.redeem(&Redemption { key: key_handle, mode, token_input, authenticator, proof: shown })
    };
    let point = proof::of_seed(Mode::Signed, &proof::Seed::new([1; 32])).unwrap();
    let x25519 = proof::of_seed(Mode::Agreed, &proof::Seed::new([1; 32])).unwrap();
    for (mode, shown) in [(Mode::Signed, &point), (Mode::Agreed, &x25519)] {
        assert!(redeem(mode, shown).is_ok(), "the control of {mode:?}");
    }

    let mut with_sign = x25519.to_vec();
    with_sign[31] |= 0x80;
    let other_y = [&point[..64], &[point[64] ^ 1]].concat();
    let as_hybrid = [&[6 | (point[64] & 1)], &point[1..]].concat();
    let x_of_p = [
        &[4][..],
        &from_hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"),
        &point[33..],
    ];
    let signed = [vec![0; 65], [vec![4], vec![0; 64]].concat(), other_y, as_hybrid, x_of_p.concat()];
    for shown in &signed {
        assert_eq!(redeem(Mode::Signed, shown).err(), Some(Fault::Refused), "{shown:02x?}");
    }
    let agreed = LOW_ORDER.map(from_hex).into_iter().chain(NOT_CANONICAL.map(from_hex)).chain([with_sign]);
    for shown in agreed {
        assert_eq!(redeem(Mode::Agreed, &shown).err(), Some(Fault::Refused), "{shown:02x?}");
    }
}

/// Points of Curve25519 and its twist whose order divides eight: 0, 1, two of order 8, and -1.
const LOW_ORDER: [&str; 5] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

/// The prime, and nine more than it: 0 and 9, written longer. The second is the base point.
const NOT_CANONICAL: [&str; 2] = [
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];
