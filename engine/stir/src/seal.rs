//! Sealing a PASSporT for the called side: HPKE (RFC 9180) in base mode, padded to a placement's size. It does
//! not know what is sealed, nor where keys come from.
//!
//! A sealed placement is `enc ‖ ct` and has exactly one of [`BODY_BUCKETS_BYTES`]. Nothing in it names a suite
//! or a key. `info` is `"stir-oob-passport v1" ‖ 0 ‖ canonical called number`, `aad` is empty, and the plaintext
//! is `length (2 bytes, big-endian) ‖ PASSporT ‖ zeros`.

use core::fmt;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use herald_core::limits::BODY_BUCKETS_BYTES;
use herald_core::{Random, SealingSuite, TelephoneNumber, X25519Suite};
use hpke::aead::AesGcm128;
use hpke::kdf::HkdfSha256;
use hpke::kem::{DhP256HkdfSha256, X25519HkdfSha256};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use zeroize::Zeroizing;

use crate::error::StirError;
use crate::json::Json;
use crate::limits::{OPENING_KEYS_MAX, RECIPIENT_KEYS_MAX, SEALED_LENGTH_BYTES};
use crate::random::Drawn;

const INFO_PREFIX: &[u8] = b"stir-oob-passport v1\0";
const TAG_BYTES: usize = 16;

/// The HPKE suite of a deployment: the KEM; HKDF-SHA256 and AES-128-GCM go with it. All placements of one CPS
/// have the same one, so that it tells nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Suite {
    /// DHKEM(X25519, HKDF-SHA256).
    #[default]
    X25519,
    /// DHKEM(P-256, HKDF-SHA256).
    P256,
}

impl Suite {
    /// Bytes of an encapsulated key, which stands first in a sealed placement.
    pub const fn encapsulated_key_bytes(self) -> usize {
        match self {
            Self::X25519 => 32,
            Self::P256 => 65,
        }
    }

    /// Its name among the JOSE algorithms of HPKE (draft-ietf-jose-hpke-encrypt), as `alg` of a JWK says it.
    pub const fn jose_name(self) -> &'static str {
        match self {
            Self::X25519 => "HPKE-3",
            Self::P256 => "HPKE-0",
        }
    }

    /// The longest PASSporT, in bytes, that the largest placement holds.
    pub const fn passport_bytes_max(self) -> usize {
        BODY_BUCKETS_BYTES[BODY_BUCKETS_BYTES.len() - 1] - self.overhead_bytes()
    }

    const fn overhead_bytes(self) -> usize {
        self.encapsulated_key_bytes() + TAG_BYTES + SEALED_LENGTH_BYTES
    }
}

/// Encapsulated keys for cover.
impl SealingSuite for Suite {
    fn encapsulated_key_bytes(&self) -> usize {
        Self::encapsulated_key_bytes(*self)
    }

    fn encapsulated_key(&self, seed: [u8; 32], out: &mut [u8]) {
        match self {
            Self::X25519 => X25519Suite.encapsulated_key(seed, out),
            Self::P256 => out.copy_from_slice(&DhP256HkdfSha256::derive_keypair(&seed).1.to_bytes()),
        }
    }
}

type PublicKeyOf<K> = <K as Kem>::PublicKey;
type PrivateKeyOf<K> = <K as Kem>::PrivateKey;

#[derive(Clone)]
enum Private {
    X25519(PrivateKeyOf<X25519HkdfSha256>),
    P256(PrivateKeyOf<DhP256HkdfSha256>),
}

/// A private key that opens placements. `Debug` shows nothing of it, and it is wiped when dropped.
#[derive(Clone)]
pub struct SealingKey(Private);

impl SealingKey {
    /// A new key.
    pub fn generate(suite: Suite, random: &dyn Random) -> Self {
        let mut drawn = Drawn(random);
        Self(match suite {
            Suite::X25519 => Private::X25519(X25519HkdfSha256::gen_keypair_with_rng(&mut drawn).0),
            Suite::P256 => Private::P256(DhP256HkdfSha256::gen_keypair_with_rng(&mut drawn).0),
        })
    }

    /// Reads a private JWK (RFC 7518 §6.2.2, RFC 8037 §2); members it does not use are ignored.
    ///
    /// # Errors
    /// [`StirError::SealingKey`] if it is no such key, or its public part is not that of its private part.
    pub fn from_jwk(jwk: &str) -> Result<Self, StirError> {
        let jwk = Jwk::parse(jwk)?;
        let members = jwk.members()?;
        let secret = Zeroizing::new(bytes(members, "d")?);
        let key = Self(match suite(members)? {
            Suite::X25519 => Private::X25519(private_key::<X25519HkdfSha256>(&secret)?),
            Suite::P256 => Private::P256(private_key::<DhP256HkdfSha256>(&secret)?),
        });
        let same = key.public_key() == SealingPublicKey::from_members(members)?;
        if same { Ok(key) } else { Err(StirError::SealingKey) }
    }

    /// The key as a private JWK; wiped when dropped.
    pub fn to_jwk(&self) -> Zeroizing<String> {
        let secret = Zeroizing::new(match &self.0 {
            Private::X25519(key) => key.to_bytes().to_vec(),
            Private::P256(key) => key.to_bytes().to_vec(),
        });
        let d = Zeroizing::new(URL_SAFE_NO_PAD.encode(&*secret));
        let public = self.public_key().to_jwk();
        let rest = public.strip_prefix("{\"crv\":").expect("crv is the first member of a public JWK");
        let (crv, rest) = rest.split_once(',').expect("a public JWK has more members than crv");
        Zeroizing::new(format!("{{\"crv\":{crv},\"d\":\"{}\",{rest}", *d))
    }

    /// The public key that seals for it.
    pub fn public_key(&self) -> SealingPublicKey {
        SealingPublicKey(match &self.0 {
            Private::X25519(key) => Public::X25519(X25519HkdfSha256::sk_to_pk(key)),
            Private::P256(key) => Public::P256(DhP256HkdfSha256::sk_to_pk(key)),
        })
    }

    /// The suite it belongs to.
    pub const fn suite(&self) -> Suite {
        match self.0 {
            Private::X25519(_) => Suite::X25519,
            Private::P256(_) => Suite::P256,
        }
    }

    fn decrypt(&self, sealed: &[u8], info: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match &self.0 {
            Private::X25519(key) => decrypt::<X25519HkdfSha256>(key, sealed, info),
            Private::P256(key) => decrypt::<DhP256HkdfSha256>(key, sealed, info),
        }
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({:?}, ..)", self.suite())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Public {
    X25519(PublicKeyOf<X25519HkdfSha256>),
    P256(PublicKeyOf<DhP256HkdfSha256>),
}

/// The public key that placements are sealed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealingPublicKey(Public);

impl SealingPublicKey {
    /// Reads a public JWK; members it does not use, `d` among them, are ignored.
    ///
    /// # Errors
    /// [`StirError::SealingKey`] if it is no such key.
    pub fn from_jwk(jwk: &str) -> Result<Self, StirError> {
        Self::from_members(Jwk::parse(jwk)?.members()?)
    }

    /// The key as a public JWK.
    pub fn to_jwk(&self) -> String {
        Json::Object(self.to_members()).to_text().expect("a JWK holds texts only")
    }

    /// The members of its JWK.
    pub(crate) fn to_members(&self) -> BTreeMap<String, Json> {
        let bytes = self.to_bytes();
        let (crv, kty, x, y) = match self.suite() {
            Suite::X25519 => ("X25519", "OKP", &bytes[..], None),
            Suite::P256 => ("P-256", "EC", &bytes[1..33], Some(&bytes[33..])),
        };
        let mut members = BTreeMap::from([
            ("crv".to_owned(), Json::Text(crv.into())),
            ("kty".to_owned(), Json::Text(kty.into())),
            ("x".to_owned(), Json::Text(URL_SAFE_NO_PAD.encode(x))),
        ]);
        if let Some(y) = y {
            members.insert("y".into(), Json::Text(URL_SAFE_NO_PAD.encode(y)));
        }
        members
    }

    /// The key in the form of RFC 9180 §7.1.1: 32 bytes, or 65 with P-256.
    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.0 {
            Public::X25519(key) => key.to_bytes().to_vec(),
            Public::P256(key) => key.to_bytes().to_vec(),
        }
    }

    /// The key of suite `suite` in the form of RFC 9180 §7.1.1.
    ///
    /// # Errors
    /// [`StirError::SealingKey`] if the bytes are no such key.
    pub fn from_bytes(suite: Suite, bytes: &[u8]) -> Result<Self, StirError> {
        let public = match suite {
            Suite::X25519 => PublicKeyOf::<X25519HkdfSha256>::from_bytes(bytes).map(Public::X25519),
            Suite::P256 => PublicKeyOf::<DhP256HkdfSha256>::from_bytes(bytes).map(Public::P256),
        };
        public.map(Self).map_err(|_| StirError::SealingKey)
    }

    /// The suite it belongs to.
    pub const fn suite(&self) -> Suite {
        match self.0 {
            Public::X25519(_) => Suite::X25519,
            Public::P256(_) => Suite::P256,
        }
    }

    /// Reads the members of a JWK.
    pub(crate) fn from_members(members: &BTreeMap<String, Json>) -> Result<Self, StirError> {
        let x = bytes(members, "x")?;
        match suite(members)? {
            Suite::X25519 => Self::from_bytes(Suite::X25519, &x),
            Suite::P256 => {
                Self::from_bytes(Suite::P256, &[[4].as_slice(), &x, &bytes(members, "y")?].concat())
            }
        }
    }
}

/// A JWK that may be private.
struct Jwk(Json);

impl Jwk {
    fn parse(text: &str) -> Result<Self, StirError> {
        Json::parse(text.as_bytes()).map(Self).map_err(|_| StirError::SealingKey)
    }

    fn members(&self) -> Result<&BTreeMap<String, Json>, StirError> {
        self.0.as_object().ok_or(StirError::SealingKey)
    }
}

impl Drop for Jwk {
    fn drop(&mut self) {
        if let Json::Object(members) = &mut self.0
            && let Some(Json::Text(secret)) = members.get_mut("d")
        {
            zeroize::Zeroize::zeroize(secret);
        }
    }
}

fn text<'a>(members: &'a BTreeMap<String, Json>, name: &str) -> Result<&'a str, StirError> {
    members.get(name).and_then(Json::as_text).ok_or(StirError::SealingKey)
}

fn bytes(members: &BTreeMap<String, Json>, name: &str) -> Result<Vec<u8>, StirError> {
    URL_SAFE_NO_PAD.decode(text(members, name)?).map_err(|_| StirError::SealingKey)
}

fn suite(members: &BTreeMap<String, Json>) -> Result<Suite, StirError> {
    match (text(members, "kty")?, text(members, "crv")?) {
        ("OKP", "X25519") => Ok(Suite::X25519),
        ("EC", "P-256") => Ok(Suite::P256),
        _ => Err(StirError::SealingKey),
    }
}

/// Seals `passport` for `key`, to be placed under `number`. One key agreement and one key generation.
///
/// The result has the smallest of [`BODY_BUCKETS_BYTES`] that holds it.
///
/// # Errors
/// [`StirError::TooLongToSeal`]; [`StirError::SealingKey`] if the key is a point that agrees on nothing.
// rfc8816:8.1-7.
pub fn seal(
    passport: &str,
    number: TelephoneNumber,
    key: &SealingPublicKey,
    random: &dyn Random,
) -> Result<Vec<u8>, StirError> {
    let plaintext = pad(passport.as_bytes(), key.suite())?;
    let info = info(number);
    let sealed = match &key.0 {
        Public::X25519(key) => encrypt::<X25519HkdfSha256>(key, &plaintext, &info, random),
        Public::P256(key) => encrypt::<DhP256HkdfSha256>(key, &plaintext, &info, random),
    };
    sealed.ok_or(StirError::SealingKey)
}

/// Seals `passport` once for each of `keys`, to be placed under `number` (RFC 8816 §8.1 step 4): one sealed
/// placement a key, in the order of `keys`, a repeated key left out.
///
/// # Errors
/// As [`seal`], and nothing is sealed. [`StirError::TooManyKeys`], also for no key at all;
/// [`StirError::MixedSuites`], since the placements of one CPS have one suite.
// rfc8816:8.1-8.
pub fn seal_for(
    passport: &str,
    number: TelephoneNumber,
    keys: &[SealingPublicKey],
    random: &dyn Random,
) -> Result<Vec<Vec<u8>>, StirError> {
    if keys.is_empty() || keys.len() > RECIPIENT_KEYS_MAX {
        return Err(StirError::TooManyKeys(keys.len()));
    }
    if keys.iter().any(|key| key.suite() != keys[0].suite()) {
        return Err(StirError::MixedSuites);
    }
    let is_first = |&(index, key): &(usize, &SealingPublicKey)| !keys[..index].contains(key);
    keys.iter().enumerate().filter(is_first).map(|(_, key)| seal(passport, number, key, random)).collect()
}

/// Opens a placement found under `number` with whichever of `keys` fits: one key agreement for each, up to
/// [`OPENING_KEYS_MAX`].
///
/// All keys are tried, the fitting one too, so the time tells how many keys there are and not which one fits. It
/// also tells, by the microseconds of deciphering, that one does: who hands out what was opened tells that anyway.
///
/// # Errors
/// [`StirError::Open`], whatever the cause: every retrieval holds cover that opens with no key.
/// [`StirError::TooManyKeys`].
pub fn open(sealed: &[u8], number: TelephoneNumber, keys: &[SealingKey]) -> Result<String, StirError> {
    if keys.len() > OPENING_KEYS_MAX {
        return Err(StirError::TooManyKeys(keys.len()));
    }
    if !BODY_BUCKETS_BYTES.contains(&sealed.len()) {
        return Err(StirError::Open);
    }
    let info = info(number);
    let mut opened = None;
    for key in keys {
        let plaintext = key.decrypt(sealed, &info);
        opened = opened.or(plaintext.and_then(|plaintext| unpad(&plaintext)));
    }
    opened.ok_or(StirError::Open)
}

fn info(number: TelephoneNumber) -> Vec<u8> {
    INFO_PREFIX.iter().copied().chain(number.signs()).collect()
}

fn pad(passport: &[u8], suite: Suite) -> Result<Zeroizing<Vec<u8>>, StirError> {
    let too_long = StirError::TooLongToSeal { bytes: passport.len(), bytes_max: suite.passport_bytes_max() };
    let needed = passport.len() + suite.overhead_bytes();
    let bucket = BODY_BUCKETS_BYTES.into_iter().find(|&bytes| bytes >= needed).ok_or(too_long)?;
    let length = u16::try_from(passport.len()).expect("the largest bucket is below 64 KiB");

    let mut plaintext = Zeroizing::new(vec![0; bucket - suite.encapsulated_key_bytes() - TAG_BYTES]);
    let (head, tail) = plaintext.split_at_mut(SEALED_LENGTH_BYTES);
    head.copy_from_slice(&length.to_be_bytes());
    tail[..passport.len()].copy_from_slice(passport);
    Ok(plaintext)
}

/// The PASSporT in an opened plaintext, if length, padding and text are as [`pad`] makes them.
fn unpad(plaintext: &[u8]) -> Option<String> {
    let (length, rest) = plaintext.split_first_chunk::<SEALED_LENGTH_BYTES>()?;
    let (passport, padding) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let whole = padding.iter().all(|&byte| byte == 0);
    String::from_utf8(passport.to_vec()).ok().filter(|passport| whole && !passport.is_empty())
}

fn private_key<K: Kem>(bytes: &[u8]) -> Result<PrivateKeyOf<K>, StirError> {
    PrivateKeyOf::<K>::from_bytes(bytes).map_err(|_| StirError::SealingKey)
}

fn encrypt<K: Kem>(
    key: &PublicKeyOf<K>,
    plaintext: &[u8],
    info: &[u8],
    random: &dyn Random,
) -> Option<Vec<u8>> {
    let (enc, ct) = hpke::single_shot_seal_with_rng::<AesGcm128, HkdfSha256, K>(
        &OpModeS::Base,
        key,
        info,
        plaintext,
        b"",
        &mut Drawn(random),
    )
    .ok()?;
    Some([enc.to_bytes().as_slice(), &ct].concat())
}

fn decrypt<K: Kem>(key: &PrivateKeyOf<K>, sealed: &[u8], info: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (enc, ct) = sealed.split_at_checked(<K::EncappedKey as Serializable>::size())?;
    let enc = K::EncappedKey::from_bytes(enc).ok()?;
    hpke::single_shot_open::<AesGcm128, HkdfSha256, K>(&OpModeR::Base, key, &enc, info, ct, b"")
        .ok()
        .map(Zeroizing::new)
}
