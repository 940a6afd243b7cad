//! The plugins, through their tables, against the other party.

use herald_plugin_sdk::harness::RateControl;
use herald_plugin_sdk::{Fault, KeyHandle, Mode, Redemption, Want, abi, rate_control_entry};
use herald_rate_voprf::{RateVoprf, RateVoprfP384};

use crate::peer::{P384, Peer, Ristretto255};

const CHALLENGE: [u8; 32] = [0xc4; 32];
const KEY: KeyHandle = KeyHandle(1);

/// Every check with both suites.
pub(crate) fn both_suites() -> Result<(), String> {
    each_way::<Ristretto255>(rate_control_entry::<RateVoprf>, &[1, 2, 64])?;
    each_way::<P384>(rate_control_entry::<RateVoprfP384>, &[1])
}

type Entry = extern "C-unwind" fn() -> *const abi::Plugin;

fn each_way<P: Peer>(entry: Entry, counts: &[usize]) -> Result<(), String> {
    let plugin = RateControl::open(entry, &[])?;
    for &count in counts {
        check(P::NAME, &format!("voprf gets {count} of our tokens"), they_get_ours::<P>(&plugin, count))?;
        check(P::NAME, &format!("we get {count} tokens of voprf"), we_get_theirs::<P>(&plugin, count))?;
    }
    Ok(())
}

fn check(suite: &str, what: &str, held: Result<(), String>) -> Result<(), String> {
    held.map_err(|why| format!("FAILED: {suite}: {what}: {why}"))?;
    println!("  {suite}: {what}");
    Ok(())
}

fn demand(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// The other party asks the plugin, and presents what it got, shown and withheld.
fn they_get_ours<P: Peer>(plugin: &RateControl, count: usize) -> Result<(), String> {
    let key = plugin.key_make().map_err(told)?;
    plugin.key_add(KEY, &key.secret).map_err(told)?;
    demand(P::public_key(&key.secret)? == key.public_key, "the public keys of one secret differ")?;
    let (request, state) = P::request(&key.public_key, &CHALLENGE, count)?;
    demand(plugin.request_count(&request) as usize == count, "the request is counted wrong")?;
    let response = plugin.issue(KEY, &request).map_err(told)?;
    let tokens = P::finish(&key.public_key, &state, &response)?;
    demand(tokens.len() == count, "there are fewer tokens")?;
    for token in &tokens {
        let (input, authenticator) = token.split_first_chunk().ok_or("a token is too short")?;
        let shown =
            Redemption { key: KEY, mode: Mode::Bearer, token_input: input, authenticator, proof: &[] };
        let withheld = Redemption { mode: Mode::Withheld, authenticator: &[], ..shown };
        let mut flipped = authenticator.to_vec();
        flipped[20] ^= 4;
        let flipped = Redemption { authenticator: &flipped, ..shown };
        let judged = plugin.redeem(&[shown, withheld, flipped]);
        demand(judged[0].is_ok(), "a token that is shown is refused")?;
        let secret = judged[1].as_ref().map_err(|fault| told(fault.clone()))?;
        demand(secret.as_slice() == authenticator, "the secret of a withheld token differs")?;
        demand(judged[2] == Err(Fault::Refused), "a token with a flipped bit is taken")?;
    }
    let mut flipped = response;
    let last = flipped.len() - 20;
    flipped[last] ^= 4;
    demand(P::finish(&key.public_key, &state, &flipped).is_err(), "a proof with a flipped bit is taken")?;
    plugin.key_drop(KEY);
    Ok(())
}

/// The plugin asks the other party, which judges what it got.
fn we_get_theirs<P: Peer>(plugin: &RateControl, count: usize) -> Result<(), String> {
    let (secret, public_key) = P::key()?;
    let wanted = Want {
        mode: Mode::Bearer,
        count,
        public_key: &public_key,
        agreement_key: &[],
        challenge_digest: &CHALLENGE,
    };
    let (request, state) = plugin.request(&wanted).map_err(told)?;
    let response = P::issue(&secret, &request)?;
    let tokens = plugin.finish(&state, &response).map_err(told)?;
    demand(tokens.len() == count, "there are fewer tokens")?;
    for token in &tokens {
        let expected = P::authenticator(&secret, &token.token_input)?;
        demand(token.authenticator.as_slice() == expected, "an authenticator differs")?;
    }
    let mut flipped = response;
    let last = flipped.len() - 20;
    flipped[last] ^= 4;
    demand(
        plugin.finish(&state, &flipped).err() == Some(Fault::Refused),
        "a proof with a flipped bit is taken",
    )?;
    // What the other party accepts as a secret of its own, it is with us.
    plugin.key_add(KEY, &secret).map_err(told)?;
    plugin.key_drop(KEY);
    Ok(())
}

fn told(fault: Fault) -> String {
    format!("{fault:?}")
}
