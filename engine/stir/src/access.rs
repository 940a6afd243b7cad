//! Access tokens: the holder of a STIR certificate asks a service for something, and proves who it is. It does not know
//! what is asked for.
//!
//! A token is a JWS (RFC 7515) in compact form. Header: `alg` ES256, `typ` [`TYPE`], and `x5c`. Payload: `aud` is the URL of
//! the resource, `iat` the second it was made, `jti` a text that is new each time. Other members are ignored. It is good
//! for [`ACCESS_FRESHNESS_S`] and once.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use herald_core::{Random, TelephoneNumber, Timestamp};
use ring::digest::{SHA256, digest};

use crate::certificate::{CertificateChain, Coverage, TnAuthList, TnEntry, TrustStore};
use crate::error::Fault;
use crate::es256::SigningKey;
use crate::json::Json;
use crate::jws::{Jws, Members, faults_of_jws};
use crate::limits::{ACCESS_FRESHNESS_S, ACCESS_ID_BYTES_MAX, ACCESS_TOKEN_BYTES_MAX, AHEAD_DEFAULT_S};
use crate::passport::CertificateReference;

/// `typ` of a token's header. PASSporTs and key bundles have others, so none is taken for another (RFC 8725 §3.11).
pub const TYPE: &str = "stir-access+jwt";

/// Who asks: a holder of numbers or codes, whose chain leads to a root.
#[derive(Clone, Debug)]
pub struct Holder {
    list: TnAuthList,
    /// Those of the certificates above it that have one.
    above: Vec<TnAuthList>,
}

impl Holder {
    /// The holder of `chain`, if it leads to a root of `trust` at `now` on the wall clock and each list of numbers along it
    /// lies within the next. Up to six signatures are verified.
    ///
    /// # Errors
    /// [`Fault`] of the stage cert.
    pub fn of_chain(chain: &CertificateChain, trust: &TrustStore, now: Timestamp) -> Result<Self, Fault> {
        let verified = chain.verify(trust, now)?;
        let lists = verified.lists().map(|list| list.cloned()).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { list: chain.signer_numbers()?.clone(), above: lists.into_iter().skip(1).collect() })
    }

    /// Names the holder among all: a hash of what its certificate stands for, whichever certificate it is.
    pub fn identity(&self) -> [u8; 32] {
        let mut entries: Vec<_> = self.list.entries().iter().map(TnEntry::to_string).collect();
        entries.sort_unstable();
        entries.dedup();
        let text = entries.join("\n");
        let hash = digest(&SHA256, text.as_bytes());
        *hash.as_ref().first_chunk().expect("SHA-256 has 32 bytes")
    }

    /// Whether its certificate names the number, and each one above that has a list does as well. A service provider code
    /// does not: whose numbers it stands for is not known here, so it gives nobody below it any (RFC 9060 §4).
    pub fn has_number(&self, number: TelephoneNumber) -> bool {
        let mut lists = core::iter::once(&self.list).chain(&self.above);
        lists.all(|list| list.coverage(number) == Coverage::Covered)
    }

    /// Whether its certificate stands for more than single numbers: a service provider code or a range.
    pub fn has_many(&self) -> bool {
        self.list.entries().iter().any(|entry| !matches!(entry, TnEntry::One(_)))
    }
}

/// A token that was read and is not yet to be believed.
#[derive(Debug)]
pub struct AccessToken {
    audience: String,
    iat_s: u64,
    chain: CertificateChain,
    jws: Jws,
}

impl AccessToken {
    /// Signs a token for the resource at the URL `audience`.
    ///
    /// # Errors
    /// [`AccessFault`], if no service would take it whatever its certificate: what is signed is read back.
    pub fn sign(
        audience: &str,
        now: Timestamp,
        certificate: &CertificateReference,
        key: &SigningKey,
        random: &dyn Random,
    ) -> Result<String, AccessFault> {
        let iat_s = i64::try_from(now.as_millis() / 1000).map_err(|_| AccessFault::Member("iat"))?;
        let payload = Members::from([
            ("aud".to_owned(), Json::Text(audience.into())),
            ("iat".to_owned(), Json::Integer(iat_s)),
            ("jti".to_owned(), Json::Text(URL_SAFE_NO_PAD.encode(&random.key()[..16]))),
        ]);
        let token = Jws::sign(TYPE, payload, certificate, key);
        Self::parse(token.as_bytes()).map(|_| token)
    }

    /// Reads a token. O(bytes).
    ///
    /// # Errors
    /// [`AccessFault`] for its form.
    pub fn parse(token: &[u8]) -> Result<Self, AccessFault> {
        if token.len() > ACCESS_TOKEN_BYTES_MAX {
            return Err(AccessFault::TooLong(token.len()));
        }
        let jws = Jws::parse(token, TYPE)?;
        let CertificateReference::Inline(chain) = &jws.certificate else {
            return Err(AccessFault::Member("x5c"));
        };
        let (audience, iat_s) = read_payload(&jws.payload)?;
        Ok(Self { audience, iat_s, chain: CertificateChain::from_der(chain)?, jws })
    }

    /// What was signed: what a service remembers of a token that it took, for as long as it is fresh.
    pub fn signing_input(&self) -> &str {
        self.jws.signing_input()
    }

    /// Until when it is fresh.
    pub fn fresh_until(&self) -> Timestamp {
        Timestamp::from_millis((self.iat_s + ACCESS_FRESHNESS_S).saturating_mul(1000))
    }

    /// Who asks for the resource at `audience`, at `now` on the wall clock. Cheap things first; up to seven signatures are
    /// verified. That it was not seen before is for the caller to see to.
    ///
    /// # Errors
    /// [`AccessFault`].
    pub fn verify(&self, audience: &str, trust: &TrustStore, now: Timestamp) -> Result<Holder, AccessFault> {
        let now_s = now.as_millis() / 1000;
        if self.audience != audience {
            return Err(AccessFault::Audience);
        }
        if self.iat_s > now_s.saturating_add(AHEAD_DEFAULT_S) || now > self.fresh_until() {
            return Err(AccessFault::Stale);
        }
        if !self.jws.is_signed_by(self.chain.signer_key()?) {
            return Err(AccessFault::Signature);
        }
        Ok(Holder::of_chain(&self.chain, trust, now)?)
    }
}

fn read_payload(payload: &Members) -> Result<(String, u64), AccessFault> {
    let text = |name| payload.get(name).and_then(Json::as_text).ok_or(AccessFault::Member(name));
    let audience = text("aud")?.to_owned();
    if !(1..=ACCESS_ID_BYTES_MAX).contains(&text("jti")?.len()) {
        return Err(AccessFault::Member("jti"));
    }
    let Some(Json::Integer(iat_s)) = payload.get("iat") else { return Err(AccessFault::Member("iat")) };
    let iat_s = u64::try_from(*iat_s).map_err(|_| AccessFault::Member("iat"))?;
    // A thousand years on, milliseconds still have room.
    if iat_s > 1 << 36 { Err(AccessFault::Member("iat")) } else { Ok((audience, iat_s)) }
}

/// Why an access token is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessFault {
    /// More bytes than [`ACCESS_TOKEN_BYTES_MAX`]; how many.
    TooLong(usize),
    /// Not a JWS in compact form of two JSON objects, members once each.
    Form,
    /// A member of header or payload is missing or has the wrong form.
    Member(&'static str),
    /// It is for another resource.
    Audience,
    /// It was made too long ago, or in the future.
    Stale,
    /// The signature is not one of the certificate's key over these bytes.
    Signature,
    /// The certificates are not to be believed.
    Certificate(Fault),
}

faults_of_jws!(AccessFault);

impl fmt::Display for AccessFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => {
                write!(f, "the token has {bytes} bytes; at most {ACCESS_TOKEN_BYTES_MAX} are read")
            }
            Self::Form => f.write_str("the token is not a JWS in compact form of two JSON objects"),
            Self::Member(name) => write!(f, "the token's {name} is missing or has the wrong form"),
            Self::Audience => f.write_str("the token's aud is not the URL of this resource"),
            Self::Stale => {
                write!(
                    f,
                    "the token's iat is not of the last {ACCESS_FRESHNESS_S} s; sign a new one, and compare clocks"
                )
            }
            Self::Signature => f.write_str("the token's signature does not verify"),
            Self::Certificate(fault) => write!(f, "the token's certificates: {fault}"),
        }
    }
}

impl core::error::Error for AccessFault {}
