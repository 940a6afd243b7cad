//! The two plugins through their tables: the life of a token, and what is not redeemed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Mutex;
use std::thread;

use herald_plugin_sdk::harness::{RateControl, Stage};
use herald_plugin_sdk::{Fault, KeyHandle, Mode, Redemption, Token, Want, rate_control_entry};
use herald_rate_voprf::limits::KEYS_MAX;
use herald_rate_voprf::{RateVoprf, RateVoprfP384};
use rand_core::Rng;
use ring::digest::{SHA256, digest};

use common::{Script, from_hex, vectors, want};

const CHALLENGE: [u8; 32] = [0xc4; 32];

/// Both plugins, opened.
fn both() -> [RateControl; 2] {
    [rate_control_entry::<RateVoprf>, rate_control_entry::<RateVoprfP384>]
        .map(|entry| RateControl::open(entry, &[]).unwrap())
}

fn ristretto() -> RateControl {
    RateControl::open(rate_control_entry::<RateVoprf>, &[]).unwrap()
}

/// Makes a key, takes it into use as `handle`, and gives its public key.
fn new_key(plugin: &RateControl, handle: KeyHandle) -> Vec<u8> {
    let key = plugin.key_make().unwrap();
    assert_eq!(key.id.as_slice(), digest(&SHA256, &key.public_key).as_ref());
    assert!(key.agreement_key.is_empty());
    plugin.key_add(handle, &key.secret).unwrap();
    key.public_key
}

/// Gets as many tokens as there are in a request.
fn get(plugin: &RateControl, handle: KeyHandle, public_key: &[u8], mode: Mode) -> Vec<Token> {
    let count = plugin.count_max();
    let wanted = Want { mode, ..want(public_key, count as usize, &CHALLENGE) };
    let (request, state) = plugin.request(&wanted).unwrap();
    assert_eq!(plugin.request_count(&request), count);
    let response = plugin.issue(handle, &request).unwrap();
    plugin.finish(&state, &response).unwrap()
}

fn shown(key: KeyHandle, mode: Mode, token: &Token) -> Redemption<'_> {
    Redemption {
        key,
        mode,
        token_input: &token.token_input,
        authenticator: &token.authenticator,
        proof: &token.proof,
    }
}

fn judge(plugin: &RateControl, redemption: Redemption<'_>) -> Result<Vec<u8>, Fault> {
    plugin.redeem(&[redemption]).remove(0).map(|secret| secret.to_vec())
}

#[test]
fn tables_say_what_privacy_pass_says() {
    let facts = both().map(|plugin| (plugin.token_type(), plugin.count_max(), plugin.media_types()));
    let batch = (
        "application/private-token-amortized-batch-request",
        "application/private-token-amortized-batch-response",
    );
    let single = ("application/private-token-request", "application/private-token-response");
    assert_eq!(facts, [(5, 64, batch), (1, 1, single)]);
    let refused = RateControl::open(rate_control_entry::<RateVoprf>, &[("epochs", "9")]).err();
    assert!(refused.is_some_and(|why| why.contains("there is no setting \"epochs\"")));
}

#[test]
fn a_token_is_got_and_redeemed_in_both_modes() {
    for plugin in both() {
        let handle = KeyHandle(7);
        let public_key = new_key(&plugin, handle);
        for mode in [Mode::Bearer, Mode::Withheld] {
            let tokens = get(&plugin, handle, &public_key, mode);
            let redemptions: Vec<_> = tokens.iter().map(|token| shown(handle, mode, token)).collect();
            let redeemed = plugin.redeem(&redemptions);
            assert_eq!(redeemed.len(), plugin.count_max() as usize);
            for (token, redeemed) in tokens.iter().zip(redeemed) {
                assert_eq!(redeemed.unwrap(), token.secret, "both sides hold the same secret");
                assert_eq!(token.secret.is_empty(), mode == Mode::Bearer);
                assert_eq!(token.authenticator.is_empty(), mode == Mode::Withheld);
            }
            let mut nonces: Vec<_> = tokens.iter().map(|token| &token.token_input[2..34]).collect();
            nonces.sort_unstable();
            nonces.dedup();
            assert_eq!(nonces.len(), tokens.len());
        }
        assert_eq!(plugin.stage().heard(), [""; 0]);
    }
}

#[test]
fn keys_of_two_instances_agree_once_they_share_the_secret() {
    let [first, _] = both();
    let second = ristretto();
    let key = first.key_make().unwrap();
    first.key_add(KeyHandle(1), &key.secret).unwrap();
    second.key_add(KeyHandle(2), &key.secret).unwrap();
    let tokens = get(&first, KeyHandle(1), &key.public_key, Mode::Bearer);
    assert!(second.redeem(&[shown(KeyHandle(2), Mode::Bearer, &tokens[0])])[0].is_ok());
}

#[test]
fn tokens_that_are_changed_or_of_another_key_are_not_redeemed() {
    for plugin in both() {
        let [now, next] = [KeyHandle(1), KeyHandle(2)];
        let public_key = new_key(&plugin, now);
        new_key(&plugin, next);
        let bearer = &get(&plugin, now, &public_key, Mode::Bearer)[0];
        let withheld = &get(&plugin, now, &public_key, Mode::Withheld)[0];
        let good = shown(now, Mode::Bearer, bearer);
        let judge = |redemption: Redemption<'_>| judge(&plugin, redemption);
        assert_eq!(judge(good), Ok(Vec::new()));

        for index in 0..bearer.token_input.len() {
            let mut token_input = bearer.token_input;
            token_input[index] ^= 1;
            assert_eq!(
                judge(Redemption { token_input: &token_input, ..good }),
                Err(Fault::Refused),
                "{index}"
            );
        }
        for index in [0, bearer.authenticator.len() - 1] {
            let mut authenticator = bearer.authenticator.to_vec();
            authenticator[index] ^= 1;
            assert_eq!(judge(Redemption { authenticator: &authenticator, ..good }), Err(Fault::Refused));
        }
        let cut = &bearer.authenticator[1..];
        let refused = [
            ("the key of another epoch", Redemption { key: next, ..good }),
            ("a key that never was", Redemption { key: KeyHandle(3), ..good }),
            ("an authenticator cut short", Redemption { authenticator: cut, ..good }),
            ("no authenticator", Redemption { authenticator: &[], ..good }),
            ("a proof", Redemption { proof: &[1], ..good }),
            ("a secret that is shown", Redemption { mode: Mode::Withheld, ..good }),
            ("the same for a withheld one", Redemption { key: next, ..shown(now, Mode::Withheld, withheld) }),
        ];
        for (what, redemption) in refused {
            assert_eq!(judge(redemption), Err(Fault::Refused), "{what}");
        }
        for mode in [Mode::Committed, Mode::Agreed, Mode::Signed] {
            assert_eq!(judge(Redemption { mode, ..good }), Err(Fault::Unsupported));
        }
        // Nothing tells a withheld token that was made up, but its secret is one that nobody knows.
        let mut made_up = withheld.token_input;
        made_up[2] ^= 1;
        let secret =
            judge(Redemption { token_input: &made_up, ..shown(now, Mode::Withheld, withheld) }).unwrap();
        assert_ne!(secret, withheld.secret.to_vec());

        plugin.key_drop(now);
        assert_eq!(judge(good), Err(Fault::Refused));
        assert!(plugin.issue(now, &[]).is_err());
        plugin.key_drop(now);
    }
}

#[test]
fn tokens_of_one_suite_are_nothing_to_the_other() {
    let [five, one] = both();
    let tokens = [&five, &one].map(|plugin| {
        let public_key = new_key(plugin, KeyHandle(1));
        get(plugin, KeyHandle(1), &public_key, Mode::Bearer).remove(0)
    });
    assert_eq!(judge(&five, shown(KeyHandle(1), Mode::Bearer, &tokens[1])), Err(Fault::Refused));
    assert_eq!(judge(&one, shown(KeyHandle(1), Mode::Bearer, &tokens[0])), Err(Fault::Refused));
    let secret = one.key_make().unwrap().secret;
    assert_eq!(five.key_add(KeyHandle(9), &secret), Err(Fault::Refused));
}

#[test]
fn keys_are_bounded_and_no_handle_is_taken_twice() {
    let plugin = ristretto();
    let secret = plugin.key_make().unwrap().secret;
    for handle in 0..KEYS_MAX as u64 {
        plugin.key_add(KeyHandle(handle), &secret).unwrap();
    }
    let add = |handle| matches!(plugin.key_add(KeyHandle(handle), &secret), Err(Fault::Failed(_)));
    assert!(add(0), "a handle that is in use");
    assert!(add(KEYS_MAX as u64), "one key too many");
    plugin.key_drop(KeyHandle(0));
    assert!(!add(KEYS_MAX as u64), "room again");
    let heard = plugin.stage().heard();
    assert!(
        heard[0].contains("the key 0 is in use already") && heard[1].contains("drop some first"),
        "{heard:?}"
    );
}

#[test]
fn several_threads_may_issue_and_redeem_while_keys_come_and_go() {
    let plugin = ristretto();
    let public_key = new_key(&plugin, KeyHandle(0));
    thread::scope(|scope| {
        for thread in 1..4 {
            let (plugin, public_key) = (&plugin, &public_key);
            scope.spawn(move || {
                for round in 0..2 {
                    let own = KeyHandle(thread * 100 + round);
                    let own_key = new_key(plugin, own);
                    for (handle, key) in [(KeyHandle(0), public_key), (own, &own_key)] {
                        let token = &get(plugin, handle, key, Mode::Bearer)[0];
                        assert!(plugin.redeem(&[shown(handle, Mode::Bearer, token)])[0].is_ok());
                    }
                    plugin.key_drop(own);
                }
            });
        }
    });
}

#[test]
fn a_vector_comes_out_through_the_table() {
    let vector = &vectors("rfc9578/rs-repo.amortized_ristretto255_rs.json")[0];
    let bytes = |value: &serde_json::Value| from_hex(value.as_str().unwrap());
    let list = |name: &str| vector[name].as_array().unwrap().iter().map(bytes).collect::<Vec<_>>();
    let random = list("nonces").into_iter().zip(list("blinds")).flat_map(|(nonce, blind)| [nonce, blind]);
    let script = Mutex::new(Script::of(random));
    let stage = Stage::with_random(move |out| script.lock().unwrap().fill_bytes(out));
    let plugin = RateControl::open_on(stage, rate_control_entry::<RateVoprf>, &[]).unwrap();

    let challenge = digest(&SHA256, &bytes(&vector["token_challenge"]));
    let challenge = challenge.as_ref().try_into().unwrap();
    let tokens = list("tokens");
    let public_key = bytes(&vector["pk_s"]);
    let (request, state) = plugin.request(&want(&public_key, tokens.len(), &challenge)).unwrap();
    assert_eq!(request, bytes(&vector["token_request"]));
    let made = plugin.finish(&state, &bytes(&vector["token_response"])).unwrap();
    let made: Vec<_> =
        made.iter().map(|token| [token.token_input.as_slice(), &token.authenticator].concat()).collect();
    assert_eq!(made, tokens);
    plugin.key_add(KeyHandle(1), &bytes(&vector["sk_s"])).unwrap();
    for token in &tokens {
        let (token_input, authenticator) = token.split_first_chunk().unwrap();
        let token =
            Redemption { key: KeyHandle(1), mode: Mode::Bearer, token_input, authenticator, proof: &[] };
        assert!(plugin.redeem(&[token])[0].is_ok());
    }
}
