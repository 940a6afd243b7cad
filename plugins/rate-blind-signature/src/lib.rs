//! Rate control by blind RSA signatures: RSABSSA-SHA384-PSS-Deterministic (RFC 9474) as token type 2 of Privacy Pass
//! (RFC 9578).
//!
//! A service that issues such a token cannot recognise it later, and everybody who has the public key can verify it. What
//! a token opens is the choice of who spends it: one store ([`Mode::Bearer`]), or a session whose MAC key the token
//! commits to or agrees on ([`Mode::Committed`], [`Mode::Agreed`]), or a key that signs each store ([`Mode::Signed`], RFC
//! 8816 §7.5 to the letter). Private operations are AWS-LC's, in constant time. Signatures are verified one by one:
//! products of blind signatures can be forged. The plugin knows neither epochs nor which tokens are spent.

mod blinding;
mod client;
mod limits;
mod private_key;
mod proof;
mod pss;
mod public_key;
mod service;
#[cfg(test)]
mod tests;
mod wire;

use core::ffi::CStr;
use std::collections::HashMap;
use std::sync::Arc;

use herald_plugin_sdk::{
    Fault, Host, KeyHandle, Mode, Modes, NewKey, RateControl, Redeemed, Redemption, Secret, Settings, Token,
    Want,
};
use parking_lot::RwLock;

use crate::limits::{KEYS_MAX, REQUEST_TOKENS};
use crate::service::Key;

/// The plugin.
pub struct BlindSignature {
    host: Host,
    keys: RwLock<HashMap<KeyHandle, Arc<Key>>>,
}

impl BlindSignature {
    fn key(&self, handle: KeyHandle) -> Result<Arc<Key>, Fault> {
        self.keys.read().get(&handle).cloned().ok_or(Fault::Refused)
    }
}

impl RateControl for BlindSignature {
    const NAME: &'static CStr = c"rate-blind-signature";
    const VERSION: &'static CStr = c"1.0";
    const SUMMARY: &'static CStr = c"blind RSA signatures (RFC 9474, token type 2 of RFC 9578)";
    const TOKEN_TYPE: u16 = wire::TOKEN_TYPE;
    const MODES: Modes = Modes::of(&[Mode::Bearer, Mode::Committed, Mode::Agreed, Mode::Signed]);
    const COUNT_MAX: u32 = REQUEST_TOKENS;
    // Two primes of 1024 bits: 60 to 400 ms, as luck has it.
    const KEY_COST_MS: u32 = 150;
    const REQUEST_TYPE: &'static CStr = c"application/private-token-request";
    const RESPONSE_TYPE: &'static CStr = c"application/private-token-response";

    fn open(host: Host, settings: &Settings<'_>) -> Result<Self, String> {
        settings.only(&[])?;
        Ok(Self { host, keys: RwLock::default() })
    }

    fn key_make(&self) -> Result<NewKey, Fault> {
        Key::make(&mut |out| self.host.random(out))
    }

    fn key_add(&self, handle: KeyHandle, secret: &[u8]) -> Result<(), Fault> {
        let key = Arc::new(Key::from_secret(secret).ok_or(Fault::Refused)?);
        let mut keys = self.keys.write();
        if keys.contains_key(&handle) {
            return Err(Fault::Failed(format!("the key {} is in use already", handle.0)));
        }
        if keys.len() >= KEYS_MAX {
            return Err(Fault::Failed(format!("{KEYS_MAX} keys are in use: publish fewer epochs ahead")));
        }
        keys.insert(handle, key);
        Ok(())
    }

    fn key_drop(&self, handle: KeyHandle) {
        self.keys.write().remove(&handle);
    }

    fn request_count(&self, request: &[u8]) -> u32 {
        wire::parse_request(request).map_or(0, |_| REQUEST_TOKENS)
    }

    fn issue(&self, handle: KeyHandle, request: &[u8]) -> Result<Vec<u8>, Fault> {
        self.key(handle)?.issue(request)
    }

    fn redeem(&self, token: &Redemption<'_>) -> Result<Redeemed, Fault> {
        self.key(token.key)?.redeem(token)
    }

    fn request(&self, want: &Want<'_>) -> Result<(Vec<u8>, Secret), Fault> {
        client::request(want, &mut |out| self.host.random(out))
    }

    fn finish(&self, state: &[u8], response: &[u8]) -> Result<Vec<Token>, Fault> {
        client::finish(state, response).map(|token| vec![token])
    }
}
