//! The plugin: keys by handle, and the host's randomness.

use core::convert::Infallible;
use core::ffi::CStr;
use std::collections::HashMap;
use std::sync::Arc;

use herald_plugin_sdk::{
    Fault, Host, KeyHandle, Mode, Modes, NewKey, RateControl, Redeemed, Redemption, Secret, Settings, Token,
    Want,
};
use parking_lot::RwLock;
use rand_core::{TryCryptoRng, TryRng};
use subtle::ConstantTimeEq;

use crate::client;
use crate::issuer::Key;
use crate::limits::KEYS_MAX;
use crate::suite::{P384, Ristretto255, Suite};

/// The plugin `rate-voprf`.
pub type RateVoprf = Voprf<Ristretto255>;
/// The plugin `rate-voprf-p384`.
pub type RateVoprfP384 = Voprf<P384>;

/// Rate control by the VOPRF of a suite.
pub struct Voprf<S: Suite> {
    host: Host,
    keys: RwLock<HashMap<KeyHandle, Arc<Key<S>>>>,
}

impl<S: Suite> Voprf<S> {
    fn key(&self, handle: KeyHandle) -> Result<Arc<Key<S>>, Fault> {
        self.keys.read().get(&handle).cloned().ok_or(Fault::Refused)
    }
}

impl<S: Suite> RateControl for Voprf<S> {
    const NAME: &'static CStr = S::NAME;
    const VERSION: &'static CStr = c"1.0";
    const SUMMARY: &'static CStr = S::SUMMARY;
    const TOKEN_TYPE: u16 = S::TOKEN_TYPE;
    const MODES: Modes = Modes::of(&[Mode::Bearer, Mode::Withheld]);
    const COUNT_MAX: u32 = S::FRAMING.count_max() as u32;
    const KEY_COST_MS: u32 = 1;
    const REQUEST_TYPE: &'static CStr = S::FRAMING.request_type();
    const RESPONSE_TYPE: &'static CStr = S::FRAMING.response_type();

    fn open(host: Host, settings: &Settings<'_>) -> Result<Self, String> {
        settings.only(&[])?;
        Ok(Self { host, keys: RwLock::default() })
    }

    fn key_make(&self) -> Result<NewKey, Fault> {
        Key::<S>::make(&mut HostRandom(&self.host))
    }

    fn key_add(&self, handle: KeyHandle, secret: &[u8]) -> Result<(), Fault> {
        let key = Key::from_secret(secret).ok_or(Fault::Refused)?;
        let mut keys = self.keys.write();
        if keys.contains_key(&handle) {
            return Err(Fault::Failed(format!("the key {} is in use already", handle.0)));
        }
        if keys.len() >= KEYS_MAX {
            return Err(Fault::Failed(format!("{KEYS_MAX} keys are in use; drop some first")));
        }
        keys.insert(handle, Arc::new(key));
        Ok(())
    }

    fn key_drop(&self, handle: KeyHandle) {
        self.keys.write().remove(&handle);
    }

    fn request_count(&self, request: &[u8]) -> u32 {
        let count = S::FRAMING.request_count::<S>(request);
        u32::try_from(count).expect("bounded by the framing")
    }

    fn issue(&self, handle: KeyHandle, request: &[u8]) -> Result<Vec<u8>, Fault> {
        self.key(handle)?.issue(S::FRAMING, request, &mut HostRandom(&self.host))
    }

    fn redeem(&self, token: &Redemption<'_>) -> Result<Redeemed, Fault> {
        if !token.proof.is_empty() {
            return Err(Fault::Refused);
        }
        let is_shown = match token.mode {
            Mode::Bearer => true,
            Mode::Withheld => false,
            _ => return Err(Fault::Unsupported),
        };
        // Before the public-key work: what can be told from the lengths alone.
        if token.authenticator.len() != if is_shown { S::OUTPUT_BYTES } else { 0 } {
            return Err(Fault::Refused);
        }
        let expected = self.key(token.key)?.authenticator(token.token_input)?;
        if !is_shown {
            return Ok(expected);
        }
        let is_equal = bool::from(expected.ct_eq(token.authenticator));
        is_equal.then(Redeemed::default).ok_or(Fault::Refused)
    }

    fn request(&self, want: &Want<'_>) -> Result<(Vec<u8>, Secret), Fault> {
        client::request::<S>(S::FRAMING, want, &mut HostRandom(&self.host))
    }

    fn finish(&self, state: &[u8], response: &[u8]) -> Result<Vec<Token>, Fault> {
        client::finish::<S>(S::FRAMING, state, response)
    }
}

/// The host's randomness, as the cryptography asks for it.
struct HostRandom<'a>(&'a Host);

impl TryRng for HostRandom<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.random(&mut bytes);
        Ok(u32::from_ne_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.random(&mut bytes);
        Ok(u64::from_ne_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.random(out);
        Ok(())
    }
}

impl TryCryptoRng for HostRandom<'_> {}
