//! Rate control: the public-key work of one token type (RFC 8816 §7.5, RFC 9578). The host keeps the books.

use core::ffi::{CStr, c_void};
use core::marker::PhantomData;

use zeroize::Zeroizing;

use crate::abi;
use crate::barrier::guarded;
use crate::host::{Host, Level};
use crate::instance::{self, Instance, Kind};
use crate::memory;
use crate::settings::Settings;

/// A key in use, as the host names it; never used again once dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHandle(pub u64);

/// Bytes that are wiped once they are dropped.
pub type Secret = Zeroizing<Vec<u8>>;

/// How a token is presented, and what it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The authenticator is shown; good for one store, opens no session.
    Bearer,
    /// The authenticator is not shown: both sides derive the MAC key from it.
    Withheld,
    /// The nonce commits to a MAC key, which the proof shows inside TLS.
    Committed,
    /// The nonce commits to a public key in the proof; the MAC key is agreed with it.
    Agreed,
    /// The nonce commits to a public key in the proof, which signs every store (the literal flow of RFC 8816 §7.5).
    Signed,
}

impl Mode {
    /// The mode of this code.
    pub const fn from_code(code: u32) -> Option<Self> {
        match code {
            abi::MODE_BEARER => Some(Self::Bearer),
            abi::MODE_WITHHELD => Some(Self::Withheld),
            abi::MODE_COMMITTED => Some(Self::Committed),
            abi::MODE_AGREED => Some(Self::Agreed),
            abi::MODE_SIGNED => Some(Self::Signed),
            _ => None,
        }
    }

    /// Its code.
    pub const fn code(self) -> u32 {
        match self {
            Self::Bearer => abi::MODE_BEARER,
            Self::Withheld => abi::MODE_WITHHELD,
            Self::Committed => abi::MODE_COMMITTED,
            Self::Agreed => abi::MODE_AGREED,
            Self::Signed => abi::MODE_SIGNED,
        }
    }
}

/// Several modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes(u32);

impl Modes {
    /// These.
    pub const fn of(modes: &[Mode]) -> Self {
        let (mut codes, mut index) = (0, 0);
        while index < modes.len() {
            codes |= modes[index].code();
            index += 1;
        }
        Self(codes)
    }
}

/// A key that was made.
pub struct NewKey {
    /// SHA-256 of the public key as published (RFC 9578).
    pub id: [u8; abi::KEY_ID_BYTES],
    /// The public key as published in the issuer directory.
    pub public_key: Vec<u8>,
    /// A second public key, for [`Mode::Agreed`]; empty without one.
    pub agreement_key: Vec<u8>,
    /// What [`RateControl::key_add`] takes.
    pub secret: Secret,
}

/// A token that is presented.
#[derive(Clone, Copy, Debug)]
pub struct Redemption<'a> {
    /// Its key.
    pub key: KeyHandle,
    /// How it is presented.
    pub mode: Mode,
    /// Type, nonce, challenge digest and key id.
    pub token_input: &'a [u8; abi::TOKEN_INPUT_BYTES],
    /// Empty for [`Mode::Withheld`].
    pub authenticator: &'a [u8],
    /// What the mode asks for besides.
    pub proof: &'a [u8],
}

/// What a token that is valid is worth: the secret that its MAC key is derived from, or the public key that signs its
/// stores. Empty for [`Mode::Bearer`].
pub type Redeemed = Secret;

/// Tokens that are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Want<'a> {
    /// How they will be presented.
    pub mode: Mode,
    /// How many: 1 to [`RateControl::COUNT_MAX`].
    pub count: usize,
    /// The issuer's key, as it publishes it.
    pub public_key: &'a [u8],
    /// Its key for [`Mode::Agreed`].
    pub agreement_key: &'a [u8],
    /// SHA-256 of the TokenChallenge (RFC 9577).
    pub challenge_digest: &'a [u8; 32],
}

/// A token that was obtained.
pub struct Token {
    /// Type, nonce, challenge digest and key id.
    pub token_input: [u8; abi::TOKEN_INPUT_BYTES],
    /// Up to 512 bytes.
    pub authenticator: Secret,
    /// Up to 256 bytes.
    pub proof: Secret,
    /// What the MAC key is derived from, or the private key that signs stores. Up to 128 bytes.
    pub secret: Secret,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The token, request, response or key is not valid.
    Refused,
    /// The plugin does not do that.
    Unsupported,
    /// It failed: why, for the operator.
    Failed(String),
}

/// Makes, issues and redeems anonymous tokens of one type, and asks for them.
pub trait RateControl: Send + Sync + Sized + 'static {
    /// Lower-case letters, digits and hyphens, up to 32.
    const NAME: &'static CStr;
    /// Its version.
    const VERSION: &'static CStr;
    /// One line about it.
    const SUMMARY: &'static CStr;
    /// The token type (RFC 9578).
    const TOKEN_TYPE: u16;
    /// The ways in which its tokens can be presented.
    const MODES: Modes;
    /// Tokens in one request.
    const COUNT_MAX: u32;
    /// Milliseconds that it takes to make a key, roughly.
    const KEY_COST_MS: u32;
    /// The media type of a request.
    const REQUEST_TYPE: &'static CStr;
    /// The media type of a response.
    const RESPONSE_TYPE: &'static CStr;

    /// Makes an instance.
    ///
    /// # Errors
    /// Words for the operator: what is wrong and what to do.
    fn open(host: Host, settings: &Settings<'_>) -> Result<Self, String>;

    /// Makes a key.
    ///
    /// # Errors
    /// [`Fault::Failed`].
    fn key_make(&self) -> Result<NewKey, Fault>;

    /// Takes a key into use.
    ///
    /// # Errors
    /// [`Fault::Refused`] for what [`key_make`](Self::key_make) did not make.
    fn key_add(&self, key: KeyHandle, secret: &[u8]) -> Result<(), Fault>;

    /// Forgets it.
    fn key_drop(&self, key: KeyHandle);

    /// How many tokens a request asks for; 0 if it is malformed.
    fn request_count(&self, request: &[u8]) -> u32;

    /// Answers a request whole.
    ///
    /// # Errors
    /// [`Fault::Refused`] for a request that is not valid.
    fn issue(&self, key: KeyHandle, request: &[u8]) -> Result<Vec<u8>, Fault>;

    /// Judges a token. Whether it was spent is the host's business.
    ///
    /// # Errors
    /// [`Fault::Refused`].
    fn redeem(&self, token: &Redemption<'_>) -> Result<Redeemed, Fault>;

    /// Asks for tokens: the request, and what [`finish`](Self::finish) takes.
    ///
    /// # Errors
    /// [`Fault::Refused`] for a key that is none, [`Fault::Unsupported`] for a mode.
    fn request(&self, want: &Want<'_>) -> Result<(Vec<u8>, Secret), Fault>;

    /// Makes the tokens of a response.
    ///
    /// # Errors
    /// [`Fault::Refused`] for a response that is not valid, or was made with another key.
    fn finish(&self, state: &[u8], response: &[u8]) -> Result<Vec<Token>, Fault>;

    /// Reads its files again.
    ///
    /// # Errors
    /// Words for the operator; what was there before stays.
    fn reload(&self) -> Result<(), String> {
        Ok(())
    }
}

/// The entry function of a rate control plugin, to export or to register.
pub extern "C-unwind" fn rate_control_entry<P: RateControl>() -> *const abi::Plugin {
    (&raw const Table::<P>::TABLE.plugin).cast()
}

struct Table<P>(PhantomData<P>);

impl<P: RateControl> Kind<P> for Table<P> {
    fn open(host: Host, settings: &Settings<'_>) -> Result<P, String> {
        P::open(host, settings)
    }

    fn reload(plugin: &P) -> Result<(), String> {
        plugin.reload()
    }
}

impl<P: RateControl> Table<P> {
    const TABLE: &'static abi::RateControl = &abi::RateControl {
        plugin: instance::head::<Self, P>(
            abi::RATE_CONTROL,
            size_of::<abi::RateControl>(),
            [P::NAME, P::VERSION, P::SUMMARY],
        ),
        token_type: P::TOKEN_TYPE as u32,
        modes: P::MODES.0,
        count_max: P::COUNT_MAX,
        key_cost_ms: P::KEY_COST_MS,
        request_type: P::REQUEST_TYPE.as_ptr(),
        response_type: P::RESPONSE_TYPE.as_ptr(),
        key_make: Some(key_make::<P>),
        key_add: Some(key_add::<P>),
        key_drop: Some(key_drop::<P>),
        request_count: Some(request_count::<P>),
        issue: Some(issue::<P>),
        redeem: Some(redeem::<P>),
        request: Some(request::<P>),
        finish: Some(finish::<P>),
    };
}

/// Runs `work` with an instance, behind the barrier. A fault becomes its code, and its words are logged.
///
/// # Safety
/// `instance` was made by open and is not yet closed.
unsafe fn with<P: RateControl>(instance: *mut c_void, work: impl FnOnce(&P) -> Result<i32, Fault>) -> i32 {
    // SAFETY: the caller's promise.
    let instance = unsafe { Instance::<P>::at(instance) };
    let told = |words: &str| instance.host.log(Level::Error, words);
    guarded(&told, abi::FAILED, || work(&instance.plugin).unwrap_or_else(|fault| code(fault, instance.host)))
}

fn code(fault: Fault, host: Host) -> i32 {
    match fault {
        Fault::Refused => abi::REFUSED,
        Fault::Unsupported => abi::UNSUPPORTED,
        Fault::Failed(words) => {
            host.log(Level::Warning, &words);
            abi::FAILED
        }
    }
}

unsafe extern "C-unwind" fn key_make<P: RateControl>(instance: *mut c_void, key: *mut abi::TokenKey) -> i32 {
    let work = |plugin: &P| {
        let made = plugin.key_make()?;
        // SAFETY: the header's contract for key_make: the host's memory, which nobody else uses meanwhile.
        let key = unsafe { &mut *key };
        key.id = made.id;
        let public_key = memory::give(&mut key.public_key, &made.public_key);
        let agreement_key = memory::give(&mut key.agreement_key, &made.agreement_key);
        let secret = memory::give(&mut key.secret, &made.secret);
        Ok(public_key.max(agreement_key).max(secret))
    };
    // SAFETY: the header's contract.
    unsafe { with(instance, work) }
}

unsafe extern "C-unwind" fn key_add<P: RateControl>(
    instance: *mut c_void,
    key: u64,
    secret: *const u8,
    len: usize,
) -> i32 {
    // SAFETY: the header's contract for key_add.
    let secret = unsafe { memory::values(secret, len) };
    // SAFETY: the header's contract.
    unsafe { with(instance, |plugin: &P| plugin.key_add(KeyHandle(key), secret).map(|()| abi::OK)) }
}

unsafe extern "C-unwind" fn key_drop<P: RateControl>(instance: *mut c_void, key: u64) {
    let work = |plugin: &P| {
        plugin.key_drop(KeyHandle(key));
        Ok(abi::OK)
    };
    // SAFETY: the header's contract.
    unsafe { with(instance, work) };
}

unsafe extern "C-unwind" fn request_count<P: RateControl>(
    instance: *mut c_void,
    request: *const u8,
    len: usize,
) -> u32 {
    // SAFETY: the header's contract for request_count.
    let request = unsafe { memory::values(request, len) };
    let mut count = 0;
    let work = |plugin: &P| {
        count = plugin.request_count(request);
        Ok(abi::OK)
    };
    // SAFETY: the header's contract.
    unsafe { with(instance, work) };
    count
}

unsafe extern "C-unwind" fn issue<P: RateControl>(
    instance: *mut c_void,
    key: u64,
    request: *const u8,
    len: usize,
    response: *mut abi::Bytes,
) -> i32 {
    // SAFETY: the header's contract for issue.
    let request = unsafe { memory::values(request, len) };
    let work = |plugin: &P| {
        let answer = plugin.issue(KeyHandle(key), request)?;
        // SAFETY: the header's contract for issue: the host's memory, which nobody else uses meanwhile.
        Ok(memory::give(unsafe { &mut *response }, &answer))
    };
    // SAFETY: the header's contract.
    unsafe { with(instance, work) }
}

unsafe extern "C-unwind" fn redeem<P: RateControl>(
    instance: *mut c_void,
    tokens: *const abi::Redemption,
    count: usize,
    answers: *mut abi::Redeemed,
) -> i32 {
    // SAFETY: the header's contract for redeem.
    let tokens = unsafe { memory::values(tokens, count) };
    // SAFETY: the header's contract for redeem: the host's memory, which nobody else uses meanwhile.
    let answers = unsafe { memory::places(answers, count) };
    for (token, answer) in tokens.iter().zip(answers) {
        // SAFETY: the header's contract.
        answer.result = unsafe { with(instance, |plugin: &P| redeem_one(plugin, token, answer)) };
    }
    abi::OK
}

fn redeem_one<P: RateControl>(
    plugin: &P,
    token: &abi::Redemption,
    answer: &mut abi::Redeemed,
) -> Result<i32, Fault> {
    let mode = Mode::from_code(token.mode).ok_or(Fault::Unsupported)?;
    // SAFETY: the header's contract for redeem.
    let token_input = unsafe { memory::values(token.token_input, abi::TOKEN_INPUT_BYTES) };
    // SAFETY: the header's contract for redeem.
    let authenticator = unsafe { memory::values(token.authenticator, token.authenticator_len) };
    // SAFETY: the header's contract for redeem.
    let proof = unsafe { memory::values(token.proof, token.proof_len) };
    let redemption = Redemption {
        key: KeyHandle(token.key),
        mode,
        token_input: token_input.try_into().map_err(|_| Fault::Refused)?,
        authenticator,
        proof,
    };
    let secret = plugin.redeem(&redemption)?;
    answer.secret_len = fill(&mut answer.secret, &secret)?;
    Ok(abi::OK)
}

/// Fills the beginning of `place`. Returns how much of it.
fn fill(place: &mut [u8], value: &[u8]) -> Result<u32, Fault> {
    let room = place.len();
    let Some(target) = place.get_mut(..value.len()) else {
        return Err(Fault::Failed(format!("{} bytes where {room} fit", value.len())));
    };
    target.copy_from_slice(value);
    u32::try_from(value.len()).map_err(|_| Fault::Refused)
}

unsafe extern "C-unwind" fn request<P: RateControl>(
    instance: *mut c_void,
    want: *const abi::Want,
    request: *mut abi::Bytes,
    state: *mut abi::Bytes,
) -> i32 {
    let work = |plugin: &P| {
        // SAFETY: the header's contract for request.
        let want = unsafe { &*want };
        // SAFETY: the header's contract for request.
        let public_key = unsafe { memory::values(want.public_key, want.public_key_len) };
        // SAFETY: the header's contract for request.
        let agreement_key = unsafe { memory::values(want.agreement_key, want.agreement_key_len) };
        // SAFETY: the header's contract for request.
        let challenge_digest = unsafe { memory::values(want.challenge_digest, 32) };
        let wanted = Want {
            mode: Mode::from_code(want.mode).ok_or(Fault::Unsupported)?,
            count: usize::try_from(want.count.clamp(1, P::COUNT_MAX)).map_err(|_| Fault::Refused)?,
            public_key,
            agreement_key,
            challenge_digest: challenge_digest.try_into().map_err(|_| Fault::Refused)?,
        };
        let (body, kept) = plugin.request(&wanted)?;
        // SAFETY: the header's contract for request: the host's memory, which nobody else uses meanwhile.
        let given = memory::give(unsafe { &mut *request }, &body);
        // SAFETY: as above.
        Ok(given.max(memory::give(unsafe { &mut *state }, &kept)))
    };
    // SAFETY: the header's contract.
    unsafe { with(instance, work) }
}

unsafe extern "C-unwind" fn finish<P: RateControl>(
    instance: *mut c_void,
    state: *const u8,
    state_len: usize,
    response: *const u8,
    response_len: usize,
    tokens: *mut abi::Token,
    count: *mut usize,
) -> i32 {
    let work = |plugin: &P| {
        // SAFETY: the header's contract for finish.
        let state = unsafe { memory::values(state, state_len) };
        // SAFETY: the header's contract for finish.
        let response = unsafe { memory::values(response, response_len) };
        // SAFETY: the header's contract for finish.
        let count = unsafe { &mut *count };
        let made = plugin.finish(state, response)?;
        if made.len() > *count {
            *count = made.len();
            return Ok(abi::SMALL);
        }
        // SAFETY: the header's contract for finish: the host's memory, which nobody else uses meanwhile.
        let places = unsafe { memory::places(tokens, made.len()) };
        for (place, token) in places.iter_mut().zip(&made) {
            write_token(place, token)?;
        }
        *count = made.len();
        Ok(abi::OK)
    };
    // SAFETY: the header's contract.
    unsafe { with(instance, work) }
}

fn write_token(place: &mut abi::Token, token: &Token) -> Result<(), Fault> {
    place.token_input = token.token_input;
    place.authenticator_len = fill(&mut place.authenticator, &token.authenticator)?;
    place.proof_len = fill(&mut place.proof, &token.proof)?;
    place.secret_len = fill(&mut place.secret, &token.secret)?;
    Ok(())
}
