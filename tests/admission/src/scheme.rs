//! Whose tokens are raced: a toy's, of which there are any number at once, or those of the real VOPRF, made before the race.

use std::fs;
use std::path::Path;

use herald_admission::limits::CLASSES_MAX;
use herald_admission::{Class, IssuerKey, Redemption, TokenInput};
use herald_plugin_sdk::harness::RateControl;
use herald_plugin_sdk::{
    Fault, KeyHandle, Mode, NewKey, Redemption as Shown, Token, Want, rate_control_entry,
};
use herald_rate_voprf::RateVoprf;
use ring::digest::{SHA256, digest};

use crate::AnyError;
use crate::service::{CLASS, FIRST_EPOCH};

/// Of which tokens a race is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Toy,
    Voprf,
}

/// What makes and judges tokens.
pub(crate) enum Scheme {
    Toy,
    Voprf(Box<Voprf>),
}

/// The plugin with one key, and tokens of it.
pub(crate) struct Voprf {
    plugin: RateControl,
    id: [u8; 32],
    public_key: Vec<u8>,
    tokens: Vec<(TokenInput, Vec<u8>)>,
}

const TOY_TYPE: u16 = 5;
const HANDLE: u64 = FIRST_EPOCH;
const INPUT_BYTES: usize = 98;
const SECRET_BYTES: usize = 64;
/// Below it are the truncated ids of the toy's keys.
const TOY_TRUNCATED_IDS: u8 = 64 * TOY_CLASSES;
const TOY_CLASSES: u8 = CLASSES_MAX as u8;
/// Keys made until one has an id apart from the toy's: a quarter of them have.
const KEY_TRIES_MAX: u32 = 256;
const KEY_FILE: &str = "voprf-key";
const ID_FILE: &str = "voprf-id";
const PUBLIC_FILE: &str = "voprf-public";
const TOKENS_FILE: &str = "voprf-tokens";

/// Makes a key and so many tokens, for all lives of a race.
pub(crate) fn make(folder: &Path, tokens: u32, challenge_digest: [u8; 32]) -> Result<(), AnyError> {
    let plugin = open()?;
    // It stands among the toy's keys, and truncated ids differ.
    let is_apart =
        |key: &Result<NewKey, String>| key.as_ref().map_or(true, |key| key.id[31] >= TOY_TRUNCATED_IDS);
    let mut keys = (0..KEY_TRIES_MAX).map(|_| plugin.key_make().map_err(in_words));
    let NewKey { secret, id, public_key, agreement_key, .. } =
        keys.find(is_apart).ok_or("each key's id ends like one of the toy's; look at the plugin")??;
    plugin.key_add(KeyHandle(HANDLE), &secret).map_err(in_words)?;
    let (wanted, together) = (usize::try_from(tokens)?, usize::try_from(plugin.count_max())?);
    let mut bytes = Vec::with_capacity(wanted * (INPUT_BYTES + SECRET_BYTES));
    for begin in (0..wanted).step_by(together) {
        let count = together.min(wanted - begin);
        let (public_key, agreement_key) = (&public_key, &agreement_key);
        let want = Want {
            mode: Mode::Withheld,
            count,
            public_key,
            agreement_key,
            challenge_digest: &challenge_digest,
        };
        let (request, state) = plugin.request(&want).map_err(in_words)?;
        let response = plugin.issue(KeyHandle(HANDLE), &request).map_err(in_words)?;
        for Token { token_input, secret, .. } in plugin.finish(&state, &response).map_err(in_words)? {
            bytes.extend_from_slice(&token_input);
            bytes
                .extend_from_slice(secret.first_chunk::<SECRET_BYTES>().ok_or("a secret of another length")?);
        }
    }
    fs::write(folder.join(KEY_FILE), &*secret)?;
    fs::write(folder.join(ID_FILE), id)?;
    fs::write(folder.join(PUBLIC_FILE), &public_key)?;
    Ok(fs::write(folder.join(TOKENS_FILE), bytes)?)
}

/// The type of a kind's tokens.
pub(crate) fn type_of(kind: Kind) -> Result<u16, AnyError> {
    match kind {
        Kind::Toy => Ok(TOY_TYPE),
        Kind::Voprf => Ok(u16::try_from(open()?.token_type())?),
    }
}

fn open() -> Result<RateControl, AnyError> {
    Ok(RateControl::open(rate_control_entry::<RateVoprf>, &[])?)
}

impl Scheme {
    /// As [`make`] has left it.
    pub(crate) fn open(kind: Kind, folder: &Path) -> Result<Self, AnyError> {
        if kind == Kind::Toy {
            return Ok(Self::Toy);
        }
        let plugin = open()?;
        plugin.key_add(KeyHandle(HANDLE), &fs::read(folder.join(KEY_FILE))?).map_err(in_words)?;
        let id = fs::read(folder.join(ID_FILE))?.try_into().map_err(|_| "an id of another length")?;
        let bytes = fs::read(folder.join(TOKENS_FILE))?;
        let (tokens, _) = bytes.as_chunks::<{ INPUT_BYTES + SECRET_BYTES }>();
        let token = |bytes: &[u8; INPUT_BYTES + SECRET_BYTES]| {
            let (input, secret) = bytes.split_first_chunk().expect("an input stands before its secret");
            (TokenInput(*input), secret.to_vec())
        };
        let tokens = tokens.iter().map(token).collect();
        Ok(Self::Voprf(Box::new(Voprf {
            plugin,
            id,
            public_key: fs::read(folder.join(PUBLIC_FILE))?,
            tokens,
        })))
    }

    /// The key of an epoch.
    pub(crate) fn key(&self, epoch: u64, class: Class) -> IssuerKey {
        let (id, public_key) = match self {
            Self::Voprf(voprf) if (epoch, class) == (FIRST_EPOCH, CLASS) => {
                (voprf.id, voprf.public_key.clone())
            }
            _ => toy_key(epoch, class),
        };
        IssuerKey { epoch, class, id, handle: epoch, public_key, agreement_key: Vec::new() }
    }

    /// A token of an epoch, and its secret, as who has it knows them.
    pub(crate) fn token(&self, token: u32, epoch: u64, challenge_digest: &[u8; 32]) -> (TokenInput, Vec<u8>) {
        if let Self::Voprf(voprf) = self {
            return voprf.tokens[token as usize].clone();
        }
        let mut input = [0; INPUT_BYTES];
        input[..2].copy_from_slice(&TOY_TYPE.to_be_bytes());
        input[2..34].copy_from_slice(digest(&SHA256, &token.to_be_bytes()).as_ref());
        input[34..66].copy_from_slice(challenge_digest);
        input[66..].copy_from_slice(&toy_key(epoch, CLASS).0);
        let input = TokenInput(input);
        (input, toy_secret(&input))
    }

    /// The secret of a token that is presented, if its plugin finds it valid.
    pub(crate) fn redeem(&self, redemption: &Redemption) -> Option<Vec<u8>> {
        let token = redemption.token();
        let Self::Voprf(voprf) = self else { return Some(toy_secret(&token.input)) };
        let shown = Shown {
            key: KeyHandle(redemption.key_handle()),
            mode: Mode::from_code(u32::from(token.mode().code()))?,
            token_input: &token.input.0,
            authenticator: &token.authenticator,
            proof: &token.proof,
        };
        Some(voprf.plugin.redeem(&[shown]).pop()?.ok()?.to_vec())
    }
}

/// Id and public key of a toy's key.
fn toy_key(epoch: u64, class: Class) -> ([u8; 32], Vec<u8>) {
    let public_key = [&epoch.to_be_bytes()[..], &[class.0]].concat();
    let mut id = [0; 32];
    id.copy_from_slice(digest(&SHA256, &public_key).as_ref());
    // Truncated ids differ.
    id[31] = u8::try_from(epoch % 64).unwrap_or(0) * TOY_CLASSES + class.0;
    (id, public_key)
}

fn toy_secret(input: &TokenInput) -> Vec<u8> {
    digest(&SHA256, &input.0).as_ref().to_vec()
}

fn in_words(fault: Fault) -> String {
    format!("the plugin failed: {fault:?}")
}
