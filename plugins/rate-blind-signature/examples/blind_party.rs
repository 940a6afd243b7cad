//! The plugin as one side of a conversation, for tests/interop: a command a line, an answer a line, hexadecimal.
//!
//! `key` gives its public key; `issue REQUEST` a response; `redeem TOKEN` "accepted"; `request KEY CHALLENGE_DIGEST` a
//! request; `finish RESPONSE` the token of it. What is not valid is answered with "refused".

#![allow(clippy::print_stdout, reason = "its answers are its output")]

use std::io::stdin;

use herald_plugin_sdk::harness::RateControl;
use herald_plugin_sdk::{Fault, KeyHandle, Mode, NewKey, Redemption, Secret, Want, rate_control_entry};
use herald_rate_blind_signature::BlindSignature;

const KEY: KeyHandle = KeyHandle(1);

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let plugin = RateControl::open(rate_control_entry::<BlindSignature>, &[])?;
    let key = plugin.key_make().map_err(|fault| format!("{fault:?}"))?;
    plugin.key_add(KEY, &key.secret).map_err(|fault| format!("{fault:?}"))?;
    let mut party = Party { plugin, key, state: Secret::default() };
    for line in stdin().lines() {
        println!("{}", party.answer(&line?).unwrap_or_else(|| "refused".to_owned()));
    }
    Ok(())
}

struct Party {
    plugin: RateControl,
    key: NewKey,
    /// Of the last request.
    state: Secret,
}

impl Party {
    fn answer(&mut self, line: &str) -> Option<String> {
        let words: Vec<&str> = line.split(' ').collect();
        let bytes = |index: usize| from_hex(words.get(index).copied().unwrap_or(""));
        match words[0] {
            "key" => Some(to_hex(&self.key.public_key)),
            "issue" => self.plugin.issue(KEY, &bytes(1)?).ok().map(|response| to_hex(&response)),
            "redeem" => self.redeem(&bytes(1)?).map(|()| "accepted".to_owned()),
            "request" => self.request(&bytes(1)?, &bytes(2)?).ok().map(|request| to_hex(&request)),
            "finish" => {
                let token = self.plugin.finish(&self.state, &bytes(1)?).ok()?.pop()?;
                Some(to_hex(&[token.token_input.as_slice(), &token.authenticator].concat()))
            }
            _ => None,
        }
    }

    fn redeem(&self, token: &[u8]) -> Option<()> {
        let (token_input, authenticator) = token.split_first_chunk()?;
        let token = Redemption { key: KEY, mode: Mode::Bearer, token_input, authenticator, proof: &[] };
        self.plugin.redeem(&[token]).pop()?.ok().map(|_| ())
    }

    fn request(&mut self, public_key: &[u8], challenge_digest: &[u8]) -> Result<Vec<u8>, Fault> {
        let challenge_digest = challenge_digest.try_into().map_err(|_| Fault::Refused)?;
        let want = Want { mode: Mode::Bearer, count: 1, public_key, agreement_key: &[], challenge_digest };
        let (request, state) = self.plugin.request(&want)?;
        self.state = state;
        Ok(request)
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let byte = |index| u8::from_str_radix(text.get(index..index + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}
