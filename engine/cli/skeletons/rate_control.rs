//! A rate control plugin for Herald: the shape of one, around a stand-in for its mathematics.
//!
//! A token is 98 bytes of input (RFC 9577) and a tag over them. The tags here are a keyed checksum, which anybody can
//! forge, and the service can tell whom it gave a token: put a scheme into the place of `tag`, or protect nothing with
//! it.

use core::ffi::CStr;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::RwLock;

use herald_plugin_sdk::{
    Fault, Host, KeyHandle, Mode, Modes, NewKey, RateControl, Redeemed, Redemption, Secret, Settings, Token,
    Want, rate_control_entry,
};

const INPUT_BYTES: usize = 98;
const TAG_BYTES: usize = 8;

struct Tokens {
    host: Host,
    keys: RwLock<HashMap<KeyHandle, Secret>>,
}

/// The stand-in.
fn tag(secret: &[u8], data: &[u8]) -> [u8; TAG_BYTES] {
    let mut hasher = DefaultHasher::new();
    hasher.write(secret);
    hasher.write(data);
    hasher.finish().to_be_bytes()
}

impl Tokens {
    fn with_key<T>(&self, key: KeyHandle, work: impl FnOnce(&Secret) -> T) -> Result<T, Fault> {
        let keys = self.keys.read().map_err(|_| Fault::Failed("a thread panicked".to_owned()))?;
        keys.get(&key).map(work).ok_or(Fault::Refused)
    }
}

impl RateControl for Tokens {
    const NAME: &'static CStr = c"NAME";
    const VERSION: &'static CStr = c"1.0";
    const SUMMARY: &'static CStr = c"tokens that anybody can forge: a stand-in";
    /// A private one.
    const TOKEN_TYPE: u16 = 0xda7a;
    const MODES: Modes = Modes::of(&[Mode::Bearer]);
    const COUNT_MAX: u32 = 16;
    const KEY_COST_MS: u32 = 1;
    const REQUEST_TYPE: &'static CStr = c"application/x-example-token-request";
    const RESPONSE_TYPE: &'static CStr = c"application/x-example-token-response";

    fn open(host: Host, settings: &Settings<'_>) -> Result<Self, String> {
        settings.only(&[])?;
        Ok(Self { host, keys: RwLock::default() })
    }

    fn key_make(&self) -> Result<NewKey, Fault> {
        let mut secret = Secret::new(vec![0; 32]);
        self.host.random(&mut secret);
        // A real plugin publishes its key and gives the SHA-256 of that.
        let mut id = [0; 32];
        id[..TAG_BYTES].copy_from_slice(&tag(&secret, b"public"));
        Ok(NewKey { id, public_key: id.to_vec(), agreement_key: Vec::new(), secret })
    }

    fn key_add(&self, key: KeyHandle, secret: &[u8]) -> Result<(), Fault> {
        let mut keys = self.keys.write().map_err(|_| Fault::Failed("a thread panicked".to_owned()))?;
        keys.insert(key, Secret::new(secret.to_vec()));
        Ok(())
    }

    fn key_drop(&self, key: KeyHandle) {
        if let Ok(mut keys) = self.keys.write() {
            keys.remove(&key);
        }
    }

    fn request_count(&self, request: &[u8]) -> u32 {
        let count = u32::try_from(request.len() / INPUT_BYTES).unwrap_or(0);
        if request.len() % INPUT_BYTES == 0 && count <= Self::COUNT_MAX { count } else { 0 }
    }

    fn issue(&self, key: KeyHandle, request: &[u8]) -> Result<Vec<u8>, Fault> {
        if self.request_count(request) == 0 {
            return Err(Fault::Refused);
        }
        self.with_key(key, |secret| request.chunks(INPUT_BYTES).flat_map(|input| tag(secret, input)).collect())
    }

    fn redeem(&self, token: &Redemption<'_>) -> Result<Redeemed, Fault> {
        let is_right = self.with_key(token.key, |secret| tag(secret, token.token_input) == token.authenticator)?;
        if is_right && token.mode == Mode::Bearer { Ok(Secret::new(Vec::new())) } else { Err(Fault::Refused) }
    }

    fn request(&self, want: &Want<'_>) -> Result<(Vec<u8>, Secret), Fault> {
        if want.mode != Mode::Bearer {
            return Err(Fault::Unsupported);
        }
        if want.public_key.len() != 32 {
            return Err(Fault::Refused);
        }
        let mut inputs = Vec::new();
        for _ in 0..want.count {
            let mut nonce = [0; 32];
            self.host.random(&mut nonce);
            inputs.extend(Self::TOKEN_TYPE.to_be_bytes());
            inputs.extend(nonce);
            inputs.extend(want.challenge_digest);
            inputs.extend(want.public_key);
        }
        Ok((inputs.clone(), Secret::new(inputs)))
    }

    fn finish(&self, state: &[u8], response: &[u8]) -> Result<Vec<Token>, Fault> {
        if state.len() / INPUT_BYTES * TAG_BYTES != response.len() {
            return Err(Fault::Refused);
        }
        let token = |(input, tag): (&[u8], &[u8])| {
            Ok(Token {
                token_input: input.try_into().map_err(|_| Fault::Refused)?,
                authenticator: Secret::new(tag.to_vec()),
                proof: Secret::new(Vec::new()),
                secret: Secret::new(Vec::new()),
            })
        };
        state.chunks(INPUT_BYTES).zip(response.chunks(TAG_BYTES)).map(token).collect()
    }
}

herald_plugin_sdk::export!(rate_control_entry::<Tokens>);
