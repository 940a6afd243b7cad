//! Signed examples printed in specifications, with the keys they were checked with by other software.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::read_json;
use herald_stir::{Fault, Leniency, Passport, SigningKey, VerifyingKey};
use serde_json::Value;

/// The public key called `name`; of a private key, the one that goes with it.
fn key(keys: &Value, name: &str) -> VerifyingKey {
    let pem = keys[name].as_str().unwrap();
    VerifyingKey::from_pem(pem).unwrap_or_else(|_| SigningKey::from_pem(pem).unwrap().verifying_key())
}

#[test]
fn each_example_verifies_with_its_key_and_no_other() {
    let file = read_json("vectors/stir-es256-examples.json");
    let (keys, tokens) = (&file["keys"], file["tokens"].as_object().unwrap());
    let names: Vec<&String> = keys.as_object().unwrap().keys().collect();
    let mut verified = 0;
    for (id, example) in tokens {
        let jws = example["jws"].as_str().unwrap();
        let passport = match Passport::parse(jws.as_bytes(), &Leniency::LENIENT) {
            Ok(passport) => passport,
            // An access token is no PASSporT.
            Err(fault) => {
                assert_eq!((id.as_str(), fault), ("vesper-pre00-access-jwt", Fault::Type));
                continue;
            }
        };
        let right = example["verified_with"].as_str();
        for name in &names {
            let is_right = right.is_some_and(|right| key(keys, right) == key(keys, name));
            assert_eq!(passport.verify_signature(&key(keys, name)).is_ok(), is_right, "{id} with {name}");
            verified += usize::from(is_right);
        }
        assert_eq!(passport.to_token(), jws, "{id}");
    }
    println!("{} examples, {verified} pairs of example and key verify", tokens.len());
    // Of one key both halves are there.
    assert_eq!((tokens.len(), verified), (8, 7));
}
