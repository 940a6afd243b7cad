//! Tokens across the plugin's boundary: published ones byte for byte, our own in every mode, and bad ones.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::thread;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, EcdsaKeyPair, UnparsedPublicKey};
use aws_lc_rs::{rand, signature};
use common::{field, script, secret_of_pem, vectors};
use herald_plugin_sdk::harness::{RateControl, Stage};
use herald_plugin_sdk::{
    Fault, KeyHandle, Mode, NewKey, Redeemed, Redemption, Token, Want, rate_control_entry,
};
use herald_rate_blind_signature::BlindSignature;
use serde_json::Value;

const KEY: KeyHandle = KeyHandle(1);
const OTHER_KEY: KeyHandle = KeyHandle(2);
const DROPPED_KEY: KeyHandle = KeyHandle(3);
const DIGEST: [u8; 32] = [7; 32];
const MODES: [Mode; 4] = [Mode::Bearer, Mode::Committed, Mode::Agreed, Mode::Signed];

fn open() -> RateControl {
    RateControl::open(rate_control_entry::<BlindSignature>, &[]).unwrap()
}

fn want<'a>(mode: Mode, key: &'a NewKey) -> Want<'a> {
    Want {
        mode,
        count: 1,
        public_key: &key.public_key,
        agreement_key: &key.agreement_key,
        challenge_digest: &DIGEST,
    }
}

/// A token of a key in use.
fn token_of(plugin: &RateControl, mode: Mode, key: &NewKey) -> Token {
    issued(plugin, KEY, &want(mode, key))
}

fn issued(plugin: &RateControl, handle: KeyHandle, want: &Want<'_>) -> Token {
    let (request, state) = plugin.request(want).unwrap();
    let response = plugin.issue(handle, &request).unwrap();
    plugin.finish(&state, &response).unwrap().remove(0)
}

/// A token as it is presented, to be changed.
#[derive(Clone, Debug)]
struct Shown {
    key: KeyHandle,
    mode: Mode,
    token_input: [u8; 98],
    authenticator: Vec<u8>,
    proof: Vec<u8>,
}

impl Shown {
    fn of(mode: Mode, token: &Token) -> Self {
        let [authenticator, proof] = [&token.authenticator, &token.proof].map(|secret| secret.to_vec());
        Self { key: KEY, mode, token_input: token.token_input, authenticator, proof }
    }

    fn redemption(&self) -> Redemption<'_> {
        Redemption {
            key: self.key,
            mode: self.mode,
            token_input: &self.token_input,
            authenticator: &self.authenticator,
            proof: &self.proof,
        }
    }

    /// It with a change.
    fn but(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed
    }
}

fn redeem(plugin: &RateControl, tokens: &[Shown]) -> Vec<Result<Redeemed, Fault>> {
    plugin.redeem(&tokens.iter().map(Shown::redemption).collect::<Vec<_>>())
}

fn service() -> (RateControl, NewKey) {
    let plugin = open();
    let key = plugin.key_make().unwrap();
    plugin.key_add(KEY, &key.secret).unwrap();
    (plugin, key)
}

/// Runs one vector and says whether it had request and response.
fn run(vector: &Value) -> bool {
    let get = |names: &[&str]| field(vector, names).unwrap_or_else(|| panic!("{names:?} is in {vector}"));
    let random = ["nonce", "salt", "blind"].map(|name| get(&[name]));
    let stage = Stage::with_random(script(random));
    let plugin = RateControl::open_on(stage, rate_control_entry::<BlindSignature>, &[]).unwrap();
    plugin.key_add(KEY, &secret_of_pem(&get(&["skS", "sk_s"]))).unwrap();
    let challenge_digest = digest(&SHA256, &get(&["token_challenge"]));
    let want = Want {
        mode: Mode::Bearer,
        count: 1,
        // rfc9474:6.2-3: with this OID, or it would be refused.
        public_key: &get(&["pkS", "pk_s"]),
        agreement_key: &[],
        challenge_digest: challenge_digest.as_ref().try_into().unwrap(),
    };
    let (request, state) = plugin.request(&want).unwrap();
    let response = plugin.issue(KEY, &request).unwrap();
    let token = plugin.finish(&state, &response).unwrap().remove(0);
    assert_eq!([token.token_input.as_slice(), &token.authenticator].concat(), get(&["token"]));
    assert!(redeem(&plugin, &[Shown::of(Mode::Bearer, &token)])[0].is_ok());

    let whole = field(vector, &["token_request"]);
    if let Some(expected) = &whole {
        assert_eq!(&request, expected);
        assert_eq!(response, get(&["token_response"]));
    }
    whole.is_some()
}

#[test]
fn the_tokens_of_three_other_makers_come_out_byte_for_byte() {
    for (file, whole_count, token_count) in [
        ("rfc9578/pat-go.type2-issuance.json", 5, 5),
        ("rfc9578/rs-repo.public_go.json", 5, 5),
        ("rfc9578/rs-repo.public_rs.json", 5, 5),
        ("rfc9578/ts-repo.pub_verif_rfc9578.go.json", 5, 5),
        ("rfc9578/ts-repo.pub_verif_rfc9578.rust.json", 5, 5),
        ("rfc9578/rs-repo.generic_ts.json", 0, 4),
    ] {
        let vectors = vectors(file);
        let parts = vectors.iter().flat_map(|vector| match vector["issuance"].as_array() {
            Some(parts) => parts.iter().collect(),
            None => vec![vector],
        });
        let ours = parts.filter(|part| part["type"].is_null() || part["type"] == "0002");
        let run: Vec<bool> = ours.map(run).collect();
        assert_eq!(run.len(), token_count, "{file}");
        assert_eq!(run.iter().filter(|whole| **whole).count(), whole_count, "{file}");
    }
}

#[test]
fn a_token_of_every_mode_opens_the_same_secret_on_both_sides() {
    let (plugin, key) = service();
    assert_eq!((plugin.token_type(), plugin.count_max()), (2, 1));
    assert_eq!(key.id, digest(&SHA256, &key.public_key).as_ref());
    for mode in MODES {
        let token = token_of(&plugin, mode, &key);
        let redeemed = redeem(&plugin, &[Shown::of(mode, &token)]).remove(0).unwrap();
        match mode {
            Mode::Bearer => assert!(redeemed.is_empty() && token.proof.is_empty()),
            Mode::Signed => signs_stores(&token.secret, &redeemed),
            _ => assert_eq!((&redeemed, redeemed.len()), (&token.secret, 32), "{mode:?}"),
        }
        // rfc9474:7.4-1.
        let again = token_of(&plugin, mode, &key);
        assert_ne!(token.token_input, again.token_input, "{mode:?}");
        assert_ne!((*again.authenticator).clone(), *token.authenticator, "{mode:?}");
    }
}

/// What the private key signs, the public key verifies (RFC 8816 §7.5).
fn signs_stores(private: &[u8], public: &[u8]) {
    let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, private, public).unwrap();
    let signed = pair.sign(&rand::SystemRandom::new(), b"a store").unwrap();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public);
    assert!(public.verify(b"a store", signed.as_ref()).is_ok());
    assert!(public.verify(b"another", signed.as_ref()).is_err());
}

#[test]
fn what_is_not_exactly_the_token_is_refused() {
    let (plugin, key) = service();
    let other = plugin.key_make().unwrap();
    plugin.key_add(OTHER_KEY, &other.secret).unwrap();
    plugin.key_add(DROPPED_KEY, &key.secret).unwrap();
    plugin.key_drop(DROPPED_KEY);
    for mode in MODES {
        let good = Shown::of(mode, &token_of(&plugin, mode, &key));
        let mut tokens = bad_ones(&good);
        // In one batch with the good one, which the others must not change.
        tokens.push(good);
        let mut judged = redeem(&plugin, &tokens);
        assert!(judged.pop().unwrap().is_ok(), "{mode:?}");
        for (token, judged) in tokens.iter().zip(judged) {
            assert_eq!(judged.err(), Some(Fault::Refused), "{token:?}");
        }
    }
    assert!(plugin.stage().heard().is_empty(), "nothing of it is the operator's business");
}

/// Everything that is almost `good`.
fn bad_ones(good: &Shown) -> Vec<Shown> {
    let mut bad = vec![
        good.but(|token| token.key = OTHER_KEY),
        good.but(|token| token.key = DROPPED_KEY),
        good.but(|token| token.mode = Mode::Withheld),
        good.but(|token| token.authenticator.clear()),
        good.but(|token| token.authenticator.truncate(255)),
        good.but(|token| token.authenticator.push(0)),
        good.but(|token| token.authenticator.fill(0)),
        good.but(|token| token.authenticator.fill(0xff)),
        good.but(|token| token.authenticator[0] ^= 1),
        good.but(|token| token.authenticator[255] ^= 1),
        good.but(|token| token.proof.push(0)),
    ];
    if !good.proof.is_empty() {
        bad.push(good.but(|token| token.proof.clear()));
        bad.push(good.but(|token| *token.proof.last_mut().unwrap() ^= 1));
    }
    // Type, nonce, challenge and key.
    for index in [1, 2, 33, 34, 65, 66, 97] {
        bad.push(good.but(|token| token.token_input[index] ^= 1));
    }
    bad.extend(
        MODES.iter().filter(|mode| **mode != good.mode).map(|mode| good.but(|token| token.mode = *mode)),
    );
    bad
}

fn flipped(bytes: &[u8], index: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[index] ^= 1;
    flipped
}

#[test]
fn bad_requests_responses_and_keys_are_refused() {
    let (plugin, key) = service();
    let (request, state) = plugin.request(&want(Mode::Committed, &key)).unwrap();
    assert_eq!(plugin.request_count(&request), 1);
    let modulus = &key.public_key[81..][..256];
    let number = |last: u8| [vec![0; 255], vec![last]].concat();
    let with = |blinded: &[u8]| [&request[..3], blinded].concat();
    for (bad, is_framed) in [
        (Vec::new(), false),
        (request[..258].to_vec(), false),
        ([request.as_slice(), &[0]].concat(), false),
        (flipped(&request, 1), false),
        (flipped(&request, 2), true),
        (with(&number(0)), true),
        (with(&number(1)), true),
        (with(&flipped(modulus, 255)), true),
        (with(modulus), true),
        (with(&[0xff; 256]), true),
    ] {
        assert_eq!(plugin.request_count(&bad), u32::from(is_framed), "{bad:?}");
        assert_eq!(plugin.issue(KEY, &bad).err(), Some(Fault::Refused), "{bad:?}");
    }
    assert!(plugin.issue(KEY, &with(&number(2))).is_ok());
    assert_eq!(plugin.issue(OTHER_KEY, &request).err(), Some(Fault::Refused));

    let response = plugin.issue(KEY, &request).unwrap();
    for bad in [flipped(&response, 255), response[1..].to_vec(), modulus.to_vec(), Vec::new()] {
        assert_eq!(plugin.finish(&state, &bad).err(), Some(Fault::Refused));
    }
    for bad in
        [Vec::new(), state[1..].to_vec(), flipped(&state, 40), flipped(&state, 600), state[..400].to_vec()]
    {
        assert_eq!(plugin.finish(&bad, &response).err(), Some(Fault::Refused));
    }
    assert!(plugin.finish(&state, &response).is_ok());

    let good = want(Mode::Agreed, &key);
    for (bad, fault) in [
        (Want { mode: Mode::Withheld, ..good }, Fault::Unsupported),
        (Want { agreement_key: &[], ..good }, Fault::Refused),
        (Want { public_key: &key.public_key[1..], ..good }, Fault::Refused),
        (Want { public_key: &flipped(&key.public_key, 336), ..good }, Fault::Refused),
        (Want { public_key: &flipped(&key.public_key, 341), ..good }, Fault::Refused),
        (Want { agreement_key: &[0; 32], ..good }, Fault::Refused),
    ] {
        assert_eq!(plugin.request(&bad).err(), Some(fault), "{bad:?}");
    }
    let secret = &key.secret;
    for bad in [&secret[1..], &secret[..200], &flipped(secret, 0), &flipped(secret, 60), &[]] {
        assert_eq!(plugin.key_add(OTHER_KEY, bad).err(), Some(Fault::Refused));
    }
    assert!(RateControl::open(rate_control_entry::<BlindSignature>, &[("key", "1")]).is_err());
}

#[test]
fn several_threads_may_issue_and_redeem_while_keys_come_and_go() {
    let (plugin, key) = service();
    let other = plugin.key_make().unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let (plugin, key, other) = (&plugin, &key, &other);
            scope.spawn(move || {
                for round in 0..4 {
                    let own = KeyHandle(100 + thread * 10 + round);
                    plugin.key_add(own, &other.secret).unwrap();
                    for (handle, key) in [(KEY, key), (own, other)] {
                        let token =
                            Shown::of(Mode::Committed, &issued(plugin, handle, &want(Mode::Committed, key)));
                        assert!(redeem(plugin, &[token.but(|token| token.key = handle)])[0].is_ok());
                    }
                    plugin.key_drop(own);
                }
            });
        }
    });
}

#[test]
fn a_key_has_one_handle_and_there_are_only_so_many() {
    let (plugin, key) = service();
    let is_taken = |handle| plugin.key_add(KeyHandle(handle), &key.secret).is_ok();
    assert!(!is_taken(KEY.0));
    let fitted = (100..).take_while(|handle| is_taken(*handle)).count();
    assert_eq!(fitted, 1023);
    plugin.key_drop(KeyHandle(100));
    assert!(is_taken(100), "room again");
    let heard = plugin.stage().heard();
    assert!(heard[0].contains("in use already") && heard[1].contains("publish fewer"), "{heard:?}");
}
