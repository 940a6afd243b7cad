//! What travels: tokens, challenges and credentials, to their bytes and back (RFC 9577, docs/PROTOCOL.md).
//!
//! It knows the forms and nothing of what they are worth.

use core::fmt;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE as PADDED};
use base64::engine::{DecodePaddingMode, general_purpose::URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use zeroize::Zeroize;

use crate::limits::{AUTHENTICATOR_BYTES_MAX, HEADER_BYTES_MAX, NAME_BYTES_MAX};

/// Bytes of a token without its authenticator.
pub const TOKEN_INPUT_BYTES: usize = 98;
/// Bytes of a MAC, and of what stands for a token's first store in the books.
pub const TAG_BYTES: usize = 16;
/// Bytes of a signature of [`Mode::Signed`]: ES256 (RFC 7518 §3.4).
pub const SIGNATURE_BYTES: usize = 64;
/// Bytes that begin each placement of a batch of version 2: token id, counter and MAC.
pub const CONTINUED_BYTES: usize = 36;
/// The media type of a credential as a body, which opens a session without a store.
pub const MEDIA_TYPE: &str = "application/vnd.herald.admission";
/// Where it is posted to.
pub const OPEN_PATH: &str = "/cps/admission";
/// The first byte of a credential.
const VERSION: u8 = 1;

/// How a token is presented, and what it opens. The codes are those of `herald_plugin.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Mode {
    /// The authenticator is shown; good for one store, opens no session.
    Bearer = 1,
    /// The authenticator is not shown: both sides derive the MAC key from it.
    Withheld = 2,
    /// The nonce commits to a MAC key, which the proof shows inside TLS.
    Committed = 4,
    /// The nonce commits to a public key in the proof; the MAC key is agreed with it.
    Agreed = 8,
    /// The nonce commits to a public key in the proof, which signs every store (the literal flow of RFC 8816 §7.5).
    Signed = 16,
}

impl Mode {
    /// The mode of this code.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Bearer),
            2 => Some(Self::Withheld),
            4 => Some(Self::Committed),
            8 => Some(Self::Agreed),
            16 => Some(Self::Signed),
            _ => None,
        }
    }

    /// Its code: one bit.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// What a token is called once it is presented: the first 16 bytes of a hash of its input.
///
/// `Debug` shows nothing of it: logs must not link stores.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(pub [u8; 16]);

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenId(..)")
    }
}

/// A token without its authenticator: type, nonce, challenge digest and key id (RFC 9577 §2.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenInput(pub [u8; TOKEN_INPUT_BYTES]);

impl TokenInput {
    /// The token type.
    pub fn token_type(&self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    /// The client's nonce.
    pub fn nonce(&self) -> &[u8; 32] {
        self.part(2)
    }

    /// SHA-256 of the challenge that it answers.
    pub fn challenge_digest(&self) -> &[u8; 32] {
        self.part(34)
    }

    /// The id of the key that issued it.
    pub fn key_id(&self) -> &[u8; 32] {
        self.part(66)
    }

    /// What it is called.
    pub fn id(&self) -> TokenId {
        let hash = digest_of(&[b"herald-token-id", &self.0]);
        TokenId(core::array::from_fn(|index| hash[index]))
    }

    fn part(&self, begin: usize) -> &[u8; 32] {
        self.0[begin..].first_chunk().expect("the parts of a token input lie inside it")
    }
}

impl fmt::Debug for TokenInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenInput(type {})", self.token_type())
    }
}

/// What a service asks of tokens (RFC 9577 §2.1): its own name as issuer and origin, and no redemption context, so that
/// they can be fetched ahead and are worth nothing elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge(Vec<u8>);

impl Challenge {
    /// The challenge of the service `name` (host, and port if it is not 443) for tokens of a type.
    ///
    /// # Errors
    /// [`WireError::Name`] unless it has 1 to [`NAME_BYTES_MAX`] visible ASCII characters without `@`, `,`, `"` and `\`.
    pub fn new(token_type: u16, name: &str) -> Result<Self, WireError> {
        let is_fine = |byte: u8| byte.is_ascii_graphic() && !b"@,\"\\".contains(&byte);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_fine) {
            return Err(WireError::Name);
        }
        let length = u16::try_from(name.len()).map_err(|_| WireError::Name)?.to_be_bytes();
        let parts: [&[u8]; 6] =
            [&token_type.to_be_bytes(), &length, name.as_bytes(), &[0], &length, name.as_bytes()];
        Ok(Self(parts.concat()))
    }

    /// The challenge in the value of `WWW-Authenticate`, and the public key to have tokens of.
    ///
    /// # Errors
    /// [`WireError`], also for a challenge of another form than [`new`](Self::new) gives: tokens for it cannot be fetched
    /// ahead, or are good elsewhere.
    pub fn from_header(value: &str) -> Result<(Self, Vec<u8>), WireError> {
        if value.len() > HEADER_BYTES_MAX {
            return Err(WireError::TooLong);
        }
        let (scheme, rest) = value.trim().split_once(' ').ok_or(WireError::Scheme)?;
        if !scheme.eq_ignore_ascii_case("PrivateToken") {
            return Err(WireError::Scheme);
        }
        let bytes = decoded(parameter(rest, "challenge")?)?;
        let mut reader = Reader(&bytes);
        let token_type = u16::from_be_bytes(*reader.array()?);
        let name_bytes = usize::from(u16::from_be_bytes(*reader.array()?));
        let name = str::from_utf8(reader.slice(name_bytes)?).map_err(|_| WireError::Name)?;
        let challenge = Self::new(token_type, name)?;
        let is_ours = challenge.0 == bytes;
        if is_ours { Ok((challenge, decoded(parameter(rest, "token-key")?)?)) } else { Err(WireError::Name) }
    }

    /// The type of tokens it asks for.
    pub fn token_type(&self) -> u16 {
        self.0.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes))
    }

    /// The name of the service.
    pub fn name(&self) -> &str {
        let name_bytes = (self.0.len() - 7) / 2;
        str::from_utf8(&self.0[4..4 + name_bytes]).expect("names are ASCII")
    }

    /// What tokens for it carry.
    pub fn digest(&self) -> [u8; 32] {
        digest_of(&[&self.0])
    }

    /// The value of `WWW-Authenticate`, with the key to have tokens of: its public key as published.
    pub fn header(&self, public_key: &[u8]) -> String {
        let (challenge, key) = (PADDED.encode(&self.0), PADDED.encode(public_key));
        format!("PrivateToken challenge=\"{challenge}\", token-key=\"{key}\"")
    }
}

/// With what a store is authorised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// By the session that its token has opened.
    Continued(Continued),
    /// By a token.
    Presented(Box<Presented>),
}

/// A store of an open session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continued {
    /// The session's token.
    pub token_id: TokenId,
    /// Which of its stores this is, from 0.
    pub counter: u32,
    /// The MAC over the store.
    pub tag: [u8; TAG_BYTES],
}

impl Continued {
    /// The one at the front of a record of a batch.
    pub fn from_bytes(bytes: &[u8; CONTINUED_BYTES]) -> Self {
        Self {
            token_id: TokenId(core::array::from_fn(|index| bytes[index])),
            counter: u32::from_be_bytes(core::array::from_fn(|index| bytes[16 + index])),
            tag: core::array::from_fn(|index| bytes[20 + index]),
        }
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> [u8; CONTINUED_BYTES] {
        let mut bytes = [0; CONTINUED_BYTES];
        bytes[..16].copy_from_slice(&self.token_id.0);
        bytes[16..20].copy_from_slice(&self.counter.to_be_bytes());
        bytes[20..].copy_from_slice(&self.tag);
        bytes
    }
}

/// A token and the store it is presented with.
#[derive(Clone, PartialEq, Eq)]
pub struct Presented {
    /// Type, nonce, challenge digest and key id.
    pub input: TokenInput,
    /// Empty in [`Mode::Withheld`].
    pub authenticator: Vec<u8>,
    /// What the mode asks for besides the token.
    pub proof: Vec<u8>,
    /// Which of its stores this is, from 0.
    pub counter: u32,
    /// How mode and store are bound to it.
    pub seal: Seal,
}

/// How a store is bound to the token it is presented with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// Not at all: [`Mode::Bearer`].
    Bearer,
    /// By a MAC, under a key as this mode gives it: one of the three that do.
    Mac(Mode, [u8; TAG_BYTES]),
    /// By a signature: [`Mode::Signed`].
    Signature([u8; SIGNATURE_BYTES]),
}

impl Presented {
    /// How it is presented.
    pub fn mode(&self) -> Mode {
        match self.seal {
            Seal::Bearer => Mode::Bearer,
            Seal::Mac(mode, _) => mode,
            Seal::Signature(_) => Mode::Signed,
        }
    }
}

/// A proof may be the key that makes MACs, and an authenticator is worth a store.
impl Drop for Presented {
    fn drop(&mut self) {
        self.authenticator.zeroize();
        self.proof.zeroize();
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Presented({:?}, {:?})", self.mode(), self.input)
    }
}

const FORM_CONTINUED: u8 = 0;
const FORM_OPENING: u8 = 1;
const FORM_SIGNED: u8 = 2;

impl Credential {
    /// Reads the value of an `Authorization` header of scheme `PrivateToken` or `Admission`.
    ///
    /// # Errors
    /// [`WireError::Scheme`] for another, else what is wrong with it.
    pub fn from_header(value: &str) -> Result<Self, WireError> {
        if value.len() > HEADER_BYTES_MAX {
            return Err(WireError::TooLong);
        }
        let (scheme, rest) = value.trim().split_once(' ').ok_or(WireError::Scheme)?;
        if scheme.eq_ignore_ascii_case("Admission") {
            // What sessions send with each store: no allocation for it.
            let mut bytes = [0; 2 + CONTINUED_BYTES + 2];
            return match ANY_PADDING.decode_slice(rest.trim(), &mut bytes) {
                Ok(length) => Self::from_bytes(&bytes[..length]),
                Err(base64::DecodeSliceError::OutputSliceTooSmall) => {
                    Self::from_bytes(&decoded(rest.trim())?)
                }
                Err(base64::DecodeSliceError::DecodeError(_)) => Err(WireError::Base64),
            };
        }
        if scheme.eq_ignore_ascii_case("PrivateToken") {
            let token = decoded(parameter(rest, "token")?)?;
            let (input, authenticator) = split_token(&token)?;
            let presented =
                Presented { input, authenticator, proof: Vec::new(), counter: 0, seal: Seal::Bearer };
            return presented.checked();
        }
        Err(WireError::Scheme)
    }

    /// The value of the `Authorization` header that says it.
    pub fn to_header(&self) -> String {
        match self {
            Self::Presented(token) if token.seal == Seal::Bearer => {
                let bytes = [&token.input.0[..], &token.authenticator].concat();
                format!("PrivateToken token=\"{}\"", PADDED.encode(bytes))
            }
            _ => format!("Admission {}", URL_SAFE_NO_PAD.encode(self.to_bytes())),
        }
    }

    /// Reads a body of [`MEDIA_TYPE`].
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader(bytes);
        if reader.byte()? != VERSION {
            return Err(WireError::Version);
        }
        let credential = match reader.byte()? {
            FORM_CONTINUED => Self::Continued(Continued::from_bytes(reader.array()?)),
            FORM_OPENING => {
                let (mode, mut presented) = reader.presented()?;
                presented.seal = Seal::Mac(mode, *reader.array()?);
                presented.checked()?
            }
            FORM_SIGNED => {
                let (mode, mut presented) = reader.presented()?;
                if mode != Mode::Signed {
                    return Err(WireError::Mode);
                }
                presented.seal = Seal::Signature(*reader.array()?);
                presented.checked()?
            }
            _ => return Err(WireError::Form),
        };
        if reader.0.is_empty() { Ok(credential) } else { Err(WireError::TooLong) }
    }

    /// Its bytes: what `Admission` carries and bodies of [`MEDIA_TYPE`] are. None for [`Mode::Bearer`], which has a
    /// scheme of its own.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Continued(continued) => [&[VERSION, FORM_CONTINUED][..], &continued.to_bytes()].concat(),
            Self::Presented(token) => match &token.seal {
                Seal::Bearer => Vec::new(),
                Seal::Mac(mode, tag) => token.bytes(FORM_OPENING, *mode, tag),
                Seal::Signature(signature) => token.bytes(FORM_SIGNED, Mode::Signed, signature),
            },
        }
    }
}

impl Presented {
    /// What no plugin needs to look at.
    fn checked(self) -> Result<Credential, WireError> {
        let needs_proof = match self.seal {
            Seal::Bearer => false,
            Seal::Mac(Mode::Withheld, _) => false,
            Seal::Mac(Mode::Committed | Mode::Agreed, _) | Seal::Signature(_) => true,
            Seal::Mac(..) => return Err(WireError::Mode),
        };
        if needs_proof == self.proof.is_empty() {
            return Err(WireError::Proof);
        }
        let needs_authenticator = self.mode() != Mode::Withheld;
        let bytes = self.authenticator.len();
        let is_of_its_type = match self.input.token_type() {
            _ if !needs_authenticator => bytes == 0,
            1 => bytes == 48,
            2 => bytes == 256,
            5 => bytes == 64,
            _ => (1..=AUTHENTICATOR_BYTES_MAX).contains(&bytes),
        };
        if is_of_its_type { Ok(Credential::Presented(Box::new(self))) } else { Err(WireError::Token) }
    }

    fn bytes(&self, form: u8, mode: Mode, seal: &[u8]) -> Vec<u8> {
        let token_bytes = u16::try_from(TOKEN_INPUT_BYTES + self.authenticator.len());
        let proof_bytes = u8::try_from(self.proof.len());
        let (Ok(token_bytes), Ok(proof_bytes)) = (token_bytes, proof_bytes) else { return Vec::new() };
        let parts: [&[u8]; 8] = [
            &[VERSION, form, mode.code()],
            &token_bytes.to_be_bytes(),
            &self.input.0,
            &self.authenticator,
            &[proof_bytes],
            &self.proof,
            &self.counter.to_be_bytes(),
            seal,
        ];
        parts.concat()
    }
}

/// Takes parts off the front of bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, WireError> {
        self.array().map(|&[byte]| byte)
    }

    fn array<const BYTES: usize>(&mut self) -> Result<&'a [u8; BYTES], WireError> {
        let (part, rest) = self.0.split_first_chunk().ok_or(WireError::TooShort)?;
        self.0 = rest;
        Ok(part)
    }

    fn slice(&mut self, bytes: usize) -> Result<&'a [u8], WireError> {
        let (part, rest) = self.0.split_at_checked(bytes).ok_or(WireError::TooShort)?;
        self.0 = rest;
        Ok(part)
    }

    /// All of a presented token but its seal.
    fn presented(&mut self) -> Result<(Mode, Presented), WireError> {
        let mode = Mode::from_code(self.byte()?).ok_or(WireError::Mode)?;
        let token_bytes = usize::from(u16::from_be_bytes(*self.array()?));
        if token_bytes > TOKEN_INPUT_BYTES + AUTHENTICATOR_BYTES_MAX {
            return Err(WireError::TooLong);
        }
        let (input, authenticator) = split_token(self.slice(token_bytes)?)?;
        let proof_bytes = usize::from(self.byte()?);
        let proof = self.slice(proof_bytes)?.to_vec();
        let counter = u32::from_be_bytes(*self.array()?);
        Ok((mode, Presented { input, authenticator, proof, counter, seal: Seal::Bearer }))
    }
}

/// What a token request asks for, before its plugin has read it (RFC 9578 §5.1, §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// The token type.
    pub token_type: u16,
    /// The last byte of the id of the key that is to issue.
    pub truncated_key_id: u8,
}

impl RequestHead {
    /// The head of the request in `body`.
    ///
    /// # Errors
    /// [`WireError::TooShort`].
    pub fn of(body: &[u8]) -> Result<Self, WireError> {
        let &[high, low, truncated_key_id] = body.first_chunk().ok_or(WireError::TooShort)?;
        Ok(Self { token_type: u16::from_be_bytes([high, low]), truncated_key_id })
    }
}

fn split_token(token: &[u8]) -> Result<(TokenInput, Vec<u8>), WireError> {
    let (input, authenticator) = token.split_first_chunk().ok_or(WireError::TooShort)?;
    Ok((TokenInput(*input), authenticator.to_vec()))
}

/// The value of `name` among the parameters of a scheme (RFC 9110 §11.2). Others are passed over.
fn parameter<'a>(parameters: &'a str, name: &str) -> Result<&'a str, WireError> {
    let mut found = None;
    // No value of this scheme holds a comma.
    for parameter in parameters.split(',') {
        let (key, value) = parameter.split_once('=').ok_or(WireError::Parameter)?;
        if key.trim().eq_ignore_ascii_case(name) && found.replace(value.trim()).is_some() {
            return Err(WireError::Parameter);
        }
    }
    let value = found.ok_or(WireError::Parameter)?;
    match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"').ok_or(WireError::Parameter),
        None => Ok(value),
    }
}

/// The bytes of base64url, padded or not.
pub(crate) fn decoded(text: &str) -> Result<Vec<u8>, WireError> {
    ANY_PADDING.decode(text).map_err(|_| WireError::Base64)
}

/// RFC 9577 asks senders to pad; readers need not insist.
const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// SHA-256 of `parts`, one behind the other.
pub(crate) fn digest_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = ring::digest::Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let hash = context.finish();
    hash.as_ref().first_chunk().copied().expect("SHA-256 has 32 bytes")
}

/// What [`Mode::Committed`], [`Mode::Agreed`] and [`Mode::Signed`] use as a nonce is the plugin's; of a public key it is
/// this.
pub(crate) fn commits_to(nonce: &[u8; 32], public_key: &[u8]) -> bool {
    digest(&SHA256, public_key).as_ref() == nonce
}

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// Neither `PrivateToken` nor `Admission`.
    Scheme,
    /// A parameter of the scheme is missing, there twice, or not closed.
    Parameter,
    /// Not base64url.
    Base64,
    /// Of a version that is not known.
    Version,
    /// Of a form that is not known.
    Form,
    /// Of a mode that is not known, or not possible in this form.
    Mode,
    /// It ends too early.
    TooShort,
    /// It goes on, or is longer than any may be.
    TooLong,
    /// The token has not the length of its type and mode.
    Token,
    /// A proof is missing, or there is one where none belongs.
    Proof,
    /// Not a service's name.
    Name,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "stores are authorised with Authorization: PrivateToken or Admission",
            Self::Parameter => "PrivateToken takes one parameter token",
            Self::Base64 => "the credential is not base64url",
            Self::Version => "the credential is not of version 1",
            Self::Form => "the credential has none of the forms continued, opening and signed",
            Self::Mode => "the token cannot be presented in this way",
            Self::TooShort => "the credential breaks off",
            Self::TooLong => "the credential is too long",
            Self::Token => "the token has not the length of its type",
            Self::Proof => "the proof beside the token is missing or out of place",
            Self::Name => "a service's name is its host, with a port if that is not 443",
        })
    }
}

impl core::error::Error for WireError {}
