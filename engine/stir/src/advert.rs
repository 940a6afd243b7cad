//! Advertisements of Call Placement Services (RFC 9888 §4): a JSON object of TNAuthList entries and the https URI of the
//! service for each. It does not fetch anything.
//!
//! `{"0-1234":"https://cps.example.net", "1-15714341000-99":"https://cps.example.net"}` is one as it stands, to be
//! believed if it comes from somebody who is trusted. RFC 9888 lets it be signed and does not say how. Here a signed one
//! is a JWS (RFC 7515) in compact form. Header: `alg` ES256, `typ` [`TYPE`], and `x5c` or `x5u` as in a PASSporT.
//! Payload: `iss` the entry who says it, `iat` and `exp` in seconds, `cps` the object. Other members are ignored.

use core::fmt;

use herald_core::Timestamp;

use crate::certificate::{CertificateChain, TnEntry, TrustStore};
use crate::error::Fault;
use crate::es256::SigningKey;
use crate::json::Json;
use crate::jws::{Jws, Members, faults_of_jws};
use crate::limits::{ADVERT_BYTES_MAX, ADVERT_ENTRIES_MAX, ADVERT_LIFETIME_MAX_S, AHEAD_DEFAULT_S};
use crate::passport::{CertificateReference, Leniency, check_url};

/// `typ` of a signed advertisement's header: nothing else that a STIR certificate signs is taken for one (RFC 8725
/// §3.11).
pub const TYPE: &str = "cps-adv+jwt";

/// An entry and the https URI of its service.
pub type Pair = (TnEntry, String);

/// What a signed advertisement says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advert {
    /// Who says it: a service provider code or a number.
    pub issuer: TnEntry,
    /// When it was made, in seconds since the Unix epoch.
    pub iat_s: u64,
    /// From when on it is void; at most [`ADVERT_LIFETIME_MAX_S`] later.
    pub exp_s: u64,
    /// Its entries: 1 to [`ADVERT_ENTRIES_MAX`].
    pub pairs: Vec<Pair>,
}

impl Advert {
    /// Signs it with the key of `certificate`.
    ///
    /// # Errors
    /// [`AdvertFault`], if no verifier would accept the result whatever its certificate: what is signed is read back
    /// before it is handed out.
    pub fn sign(&self, certificate: &CertificateReference, key: &SigningKey) -> Result<String, AdvertFault> {
        let seconds = |seconds: u64, name| {
            i64::try_from(seconds).map(Json::Integer).map_err(|_| AdvertFault::Member(name))
        };
        let pairs = self.pairs.iter().map(|(entry, uri)| (entry.to_string(), Json::Text(uri.clone())));
        let payload = Members::from([
            ("iss".to_owned(), Json::Text(self.issuer.to_string())),
            ("iat".to_owned(), seconds(self.iat_s, "iat")?),
            ("exp".to_owned(), seconds(self.exp_s, "exp")?),
            ("cps".to_owned(), Json::Object(pairs.collect())),
        ]);
        let token = Jws::sign(TYPE, payload, certificate, key);
        SignedAdvert::parse(token.as_bytes()).map(|_| token)
    }
}

/// Reads an advertisement that is not signed. O(bytes).
///
/// # Errors
/// [`AdvertFault`].
pub fn parse_unsigned(json: &[u8]) -> Result<Vec<Pair>, AdvertFault> {
    if json.len() > ADVERT_BYTES_MAX {
        return Err(AdvertFault::TooLong(json.len()));
    }
    read_pairs(&Json::parse(json).map_err(|_| AdvertFault::Form)?)
}

/// A signed advertisement that was read and is not yet to be believed.
#[derive(Clone, Debug)]
pub struct SignedAdvert {
    advert: Advert,
    jws: Jws,
}

impl SignedAdvert {
    /// Reads one in JWS compact form. O(bytes).
    ///
    /// # Errors
    /// [`AdvertFault`] for its form.
    pub fn parse(token: &[u8]) -> Result<Self, AdvertFault> {
        if token.len() > ADVERT_BYTES_MAX {
            return Err(AdvertFault::TooLong(token.len()));
        }
        let jws = Jws::parse(token, TYPE)?;
        Ok(Self { advert: read_payload(&jws.payload)?, jws })
    }

    /// What it says; not to be believed before it is verified.
    pub const fn advert(&self) -> &Advert {
        &self.advert
    }

    /// Where the signer's certificate is.
    pub const fn certificate(&self) -> &CertificateReference {
        &self.jws.certificate
    }

    /// Verifies it at `now` on the wall clock: times, signature, the chain to a root, and for its issuer and each entry
    /// that every TNAuthList along the chain encompasses it. Entries that are not encompassed are put aside.
    ///
    /// A service provider code stands for entries of that code and for no number: whose a number is, is not known
    /// here.
    ///
    /// # Errors
    /// [`AdvertFault`]; [`Fault::NotCovered`] in it if the certificates do not stand for its issuer.
    pub fn verify(
        self,
        chain: &CertificateChain,
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<VerifiedAdvert, AdvertFault> {
        self.advert.check_times(now)?;
        if !self.jws.is_signed_by(chain.signer_key()?) {
            return Err(AdvertFault::Signature);
        }
        let verified = chain.verify(trust, now)?;
        if !verified.stands_for(&self.advert.issuer)? {
            return Err(AdvertFault::Certificate(Fault::NotCovered));
        }
        let until_s = (self.advert.exp_s - 1).min(chain.valid_until().as_millis() / 1000);
        let mut advert = self.advert;
        let mut refused = Vec::new();
        for (entry, uri) in core::mem::take(&mut advert.pairs) {
            match verified.stands_for(&entry)? {
                true => advert.pairs.push((entry, uri)),
                false => refused.push(entry),
            }
        }
        Ok(VerifiedAdvert { advert, refused, until_s })
    }
}

/// A signed advertisement that was verified.
#[derive(Clone, Debug)]
pub struct VerifiedAdvert {
    /// What it says, without the entries that its signer does not stand for.
    pub advert: Advert,
    /// Those entries.
    pub refused: Vec<TnEntry>,
    /// The last second for which it holds: until it expires, or a certificate of its chain runs out.
    pub until_s: u64,
}

impl Advert {
    fn check_times(&self, now: Timestamp) -> Result<(), AdvertFault> {
        let now_s = now.as_millis() / 1000;
        if self.exp_s <= now_s {
            return Err(AdvertFault::Expired);
        }
        if self.iat_s > now_s.saturating_add(AHEAD_DEFAULT_S) {
            return Err(AdvertFault::Ahead);
        }
        Ok(())
    }
}

fn read_payload(payload: &Members) -> Result<Advert, AdvertFault> {
    let seconds = |name| match payload.get(name) {
        Some(Json::Integer(seconds)) => u64::try_from(*seconds).map_err(|_| AdvertFault::Member(name)),
        _ => Err(AdvertFault::Member(name)),
    };
    let (iat_s, exp_s) = (seconds("iat")?, seconds("exp")?);
    if exp_s <= iat_s || exp_s - iat_s > ADVERT_LIFETIME_MAX_S {
        return Err(AdvertFault::Lifetime);
    }
    let issuer: Option<TnEntry> = payload.get("iss").and_then(Json::as_text).and_then(|iss| iss.parse().ok());
    let issuer = issuer.filter(|issuer| !matches!(issuer, TnEntry::Range(_)));
    let issuer = issuer.ok_or(AdvertFault::Member("iss"))?;
    let pairs = read_pairs(payload.get("cps").ok_or(AdvertFault::Member("cps"))?)?;
    Ok(Advert { issuer, iat_s, exp_s, pairs })
}

fn read_pairs(object: &Json) -> Result<Vec<Pair>, AdvertFault> {
    let members = object.as_object().ok_or(AdvertFault::Member("cps"))?;
    if !(1..=ADVERT_ENTRIES_MAX).contains(&members.len()) {
        return Err(AdvertFault::Entries(members.len()));
    }
    let read = |(entry, uri): (&String, &Json)| {
        let entry = entry.parse().map_err(|_| AdvertFault::Entry)?;
        let uri = uri.as_text().filter(|uri| check_url(uri, &Leniency::STRICT).is_ok());
        Ok((entry, uri.ok_or(AdvertFault::Uri)?.to_owned()))
    };
    members.iter().map(read).collect()
}

/// Why an advertisement is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdvertFault {
    /// More bytes than [`ADVERT_BYTES_MAX`]; how many.
    TooLong(usize),
    /// Neither a JSON object nor a JWS in compact form of two, members once each.
    Form,
    /// A member of header or payload is missing or has the wrong form.
    Member(&'static str),
    /// No entry, or more than [`ADVERT_ENTRIES_MAX`]; how many.
    Entries(usize),
    /// An entry is not one of RFC 9888 §4.
    Entry,
    /// A service is not an https URI.
    Uri,
    /// `exp` is not after `iat`, or too long after it.
    Lifetime,
    /// It has expired.
    Expired,
    /// It was made in the future.
    Ahead,
    /// The signature is not one of the certificate's key over these bytes.
    Signature,
    /// The certificates are not to be believed or do not stand for its issuer.
    Certificate(Fault),
}

faults_of_jws!(AdvertFault);

impl fmt::Display for AdvertFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => write!(
                f,
                "the advertisement has {bytes} bytes; at most {ADVERT_BYTES_MAX} are read: spread its entries over \
                 several"
            ),
            Self::Form => f.write_str(
                "the advertisement is neither a JSON object nor a JWS in compact form of two JSON objects",
            ),
            Self::Member(name) => write!(f, "the advertisement's {name} is missing or has the wrong form"),
            Self::Entries(count) => {
                write!(f, "the advertisement has {count} entries; it may have 1 to {ADVERT_ENTRIES_MAX}")
            }
            Self::Entry => crate::bundle::EntryError.fmt(f),
            Self::Uri => f.write_str("a service of the advertisement is not an https URI with a host"),
            Self::Lifetime => {
                write!(
                    f,
                    "the advertisement's exp must be after its iat, by {ADVERT_LIFETIME_MAX_S} s at most"
                )
            }
            Self::Expired => f.write_str("the advertisement has expired; have its owner sign a new one"),
            Self::Ahead => f.write_str("the advertisement was made in the future; compare the clocks"),
            Self::Signature => f.write_str("the advertisement's signature does not verify"),
            Self::Certificate(fault) => write!(f, "the advertisement's certificates: {fault}"),
        }
    }
}

impl core::error::Error for AdvertFault {}
