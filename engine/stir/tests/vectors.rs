//! Published vectors: RFC 9180, Wycheproof, and PASSporTs sealed by two other HPKE libraries.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::convert::Infallible;

use common::{hex, read_json};
use herald_stir::{SealingPublicKey, Suite, VerifyingKey};
use hpke::aead::{Aead, AeadCtxR, AeadCtxS, AesGcm128, AesGcm256, ChaCha20Poly1305, ExportOnlyAead};
use hpke::kdf::HkdfSha256;
use hpke::kem::{DhP256HkdfSha256, X25519HkdfSha256};
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, PskBundle, Serializable, setup_receiver, setup_sender_with_rng,
};
use serde_json::Value;

fn bytes(vector: &Value, name: &str) -> Vec<u8> {
    hex(vector[name].as_str().unwrap_or_default())
}

fn suite_ids(vector: &Value) -> [u64; 4] {
    ["mode", "kem_id", "kdf_id", "aead_id"].map(|name| vector[name].as_u64().unwrap())
}

/// Calls `$function::<Aead, Kem>($arguments)` for the suite of ids; `None` for one this library does not have.
macro_rules! with_suite {
    ($kem_id:expr, $aead_id:expr, $function:ident($($argument:expr),*)) => {
        match ($kem_id, $aead_id) {
            (0x20, 1) => $function::<AesGcm128, X25519HkdfSha256>($($argument),*),
            (0x20, 2) => $function::<AesGcm256, X25519HkdfSha256>($($argument),*),
            (0x20, 3) => $function::<ChaCha20Poly1305, X25519HkdfSha256>($($argument),*),
            (0x20, 0xffff) => $function::<ExportOnlyAead, X25519HkdfSha256>($($argument),*),
            (0x10, 1) => $function::<AesGcm128, DhP256HkdfSha256>($($argument),*),
            (0x10, 2) => $function::<AesGcm256, DhP256HkdfSha256>($($argument),*),
            (0x10, 3) => $function::<ChaCha20Poly1305, DhP256HkdfSha256>($($argument),*),
            (0x10, 0xffff) => $function::<ExportOnlyAead, DhP256HkdfSha256>($($argument),*),
            other => panic!("no suite {other:?}"),
        }
    };
}

/// Owns what a mode of HPKE borrows.
struct Psk {
    key: Vec<u8>,
    id: Vec<u8>,
}

impl Psk {
    fn of(vector: &Value) -> Self {
        Self { key: bytes(vector, "psk"), id: bytes(vector, "psk_id") }
    }

    fn bundle(&self) -> PskBundle<'_> {
        PskBundle::new(&self.key, &self.id).unwrap()
    }
}

/// The receiver of a vector in whatever mode it has, or `None` where a key or point is not one.
fn receiver<A: Aead, K: Kem>(vector: &Value) -> Option<AeadCtxR<A, HkdfSha256, K>> {
    let secret = K::PrivateKey::from_bytes(&bytes(vector, "skRm")).ok()?;
    let enc = K::EncappedKey::from_bytes(&bytes(vector, "enc")).ok()?;
    let sender = K::PublicKey::from_bytes(&bytes(vector, "pkSm"));
    let psk = Psk::of(vector);
    let mode = match vector["mode"].as_u64().unwrap() {
        0 => OpModeR::Base,
        1 => OpModeR::Psk(psk.bundle()),
        2 => OpModeR::Auth(sender.unwrap()),
        3 => OpModeR::AuthPsk(sender.unwrap(), psk.bundle()),
        other => panic!("no mode {other}"),
    };
    setup_receiver(&mode, &secret, &enc, &bytes(vector, "info")).ok()
}

/// The sender of a vector, its ephemeral key made from the printed randomness.
fn sender<A: Aead, K: Kem>(vector: &Value) -> (K::EncappedKey, AeadCtxS<A, HkdfSha256, K>) {
    let recipient = K::PublicKey::from_bytes(&bytes(vector, "pkRm")).unwrap();
    let keys = K::PrivateKey::from_bytes(&bytes(vector, "skSm")).map(|secret| {
        let public = K::sk_to_pk(&secret);
        (secret, public)
    });
    let psk = Psk::of(vector);
    let mode = match vector["mode"].as_u64().unwrap() {
        0 => OpModeS::Base,
        1 => OpModeS::Psk(psk.bundle()),
        2 => OpModeS::Auth(keys.unwrap()),
        3 => OpModeS::AuthPsk(keys.unwrap(), psk.bundle()),
        other => panic!("no mode {other}"),
    };
    let mut printed = Printed(bytes(vector, "ikmE"));
    setup_sender_with_rng(&mode, &recipient, &bytes(vector, "info"), &mut printed).unwrap()
}

/// Randomness that was printed, given out once.
struct Printed(Vec<u8>);

impl TryRng for Printed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("keys are made from bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("keys are made from bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.copy_from_slice(&std::mem::take(&mut self.0));
        Ok(())
    }
}

impl TryCryptoRng for Printed {}

/// The place of an encryption in its sequence: its nonce is the base nonce with that number added in.
fn sequence_number(vector: &Value, encryption: &Value) -> usize {
    let (base, nonce) = (bytes(vector, "base_nonce"), bytes(encryption, "nonce"));
    base.iter().zip(nonce).fold(0, |number, (one, other)| number << 8 | usize::from(one ^ other))
}

/// Makes the keys, every encryption on both sides and every export of a vector, and counts what it compared.
fn run_rfc9180<A: Aead, K: Kem>(vector: &Value) -> usize {
    let (_, public) = K::derive_keypair(&bytes(vector, "ikmR"));
    let printed = K::PrivateKey::from_bytes(&bytes(vector, "skRm")).unwrap();
    assert_eq!(K::sk_to_pk(&printed), public);
    assert_eq!(public.to_bytes().as_slice(), bytes(vector, "pkRm"));
    let (enc, mut from) = sender::<A, K>(vector);
    assert_eq!(enc.to_bytes().as_slice(), bytes(vector, "enc"));
    let mut to = receiver::<A, K>(vector).unwrap();

    let mut compared = 3;
    let mut sequence = 0;
    for encryption in vector["encryptions"].as_array().into_iter().flatten() {
        while sequence < sequence_number(vector, encryption) {
            let skipped = from.seal(b"cut out of the file", b"").unwrap();
            to.open(&skipped, b"").unwrap();
            sequence += 1;
        }
        let aad = bytes(encryption, "aad");
        let ct = from.seal(&bytes(encryption, "pt"), &aad).unwrap();
        assert_eq!(ct, bytes(encryption, "ct"), "encryption {sequence}");
        assert_eq!(to.open(&ct, &aad).unwrap(), bytes(encryption, "pt"), "encryption {sequence}");
        sequence += 1;
        compared += 2;
    }
    for export in vector["exports"].as_array().unwrap() {
        let mut out = vec![0; usize::try_from(export["L"].as_u64().unwrap()).unwrap()];
        to.export(&bytes(export, "exporter_context"), &mut out).unwrap();
        assert_eq!(out, bytes(export, "exported_value"));
        compared += 1;
    }
    compared
}

#[test]
fn every_vector_of_rfc_9180_for_our_kems_comes_out() {
    let vectors = read_json("vectors/rfc9180/rfc9180-slim-p256-x25519-sha256.json");
    let vectors = vectors.as_array().unwrap();
    let (mut ours, mut values) = (0, 0);
    for vector in vectors {
        let [mode, kem, kdf, aead] = suite_ids(vector);
        assert_eq!(kdf, 1, "the file holds HKDF-SHA256 only");
        values += with_suite!(kem, aead, run_rfc9180(vector));
        ours += usize::from(mode == 0 && aead == 1);
    }
    println!("rfc9180: {} vectors run ({ours} of our two suites), {values} values compared", vectors.len());
    assert_eq!((vectors.len(), ours), (32, 2));
}

#[test]
fn public_keys_of_rfc_9180_have_our_text_form() {
    let vectors = read_json("vectors/rfc9180/rfc9180-slim-p256-x25519-sha256.json");
    for vector in vectors.as_array().unwrap() {
        let suite = if suite_ids(vector)[1] == 0x20 { Suite::X25519 } else { Suite::P256 };
        let key = SealingPublicKey::from_bytes(suite, &bytes(vector, "pkRm")).unwrap();
        assert_eq!(SealingPublicKey::from_jwk(&key.to_jwk()).unwrap().to_bytes(), bytes(vector, "pkRm"));
    }
}

fn open_sealed<A: Aead, K: Kem>(entry: &Value) -> Option<Vec<u8>> {
    receiver::<A, K>(entry)?.open(&bytes(entry, "ct"), &bytes(entry, "aad")).ok()
}

#[test]
fn passports_sealed_by_other_libraries_open_or_fail_as_expected() {
    let entries = read_json("fixtures/hpke/sealed-passports.json");
    let entries = entries.as_array().unwrap();
    for (index, entry) in entries.iter().enumerate() {
        let [_, kem, kdf, aead] = suite_ids(entry);
        assert_eq!(kdf, 1);
        let plain = with_suite!(kem, aead, open_sealed(entry));
        let expected = (entry["expected"] == "OPEN").then(|| bytes(entry, "pt"));
        assert_eq!(plain, expected, "entry {index}: {}", entry["why"]);
    }
    println!("sealed passports: {} entries, all as expected", entries.len());
    assert_eq!(entries.len(), 11);
}

// rfc8225:4.2-1, rfc8226:4-1.
#[test]
fn every_wycheproof_signature_is_judged_right() {
    let file = read_json("vectors/wycheproof/ecdsa_secp256r1_sha256_p1363_test.json");
    let mut run = 0;
    for group in file["testGroups"].as_array().unwrap() {
        let key = VerifyingKey::from_pem(group["publicKeyPem"].as_str().unwrap()).unwrap();
        assert_eq!(VerifyingKey::from_spki_der(&hex(group["publicKeyDer"].as_str().unwrap())).unwrap(), key);
        for test in group["tests"].as_array().unwrap() {
            let good = key.is_signature(&bytes(test, "msg"), &bytes(test, "sig"));
            let expected = match test["result"].as_str().unwrap() {
                "valid" => true,
                "invalid" => false,
                other => panic!("test {}: {other} needs a decision", test["tcId"]),
            };
            assert_eq!(good, expected, "test {}: {}", test["tcId"], test["comment"]);
            run += 1;
        }
    }
    println!("wycheproof ecdsa p1363: {run} signatures, all judged right");
    assert_eq!(run, 262);
}
