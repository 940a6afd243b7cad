//! The PASSporT (RFC 8225): its claims, how they are signed, and how a token is read. It does not know
//! certificates, time, or the call it is about.

mod header;
mod identity;
mod kind;
mod parse;

use core::fmt;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub use header::CertificateReference;
pub(crate) use header::check_url;
pub use identity::Identity;
pub use kind::{Attestation, PassportType};
pub use parse::Passport;

use crate::error::{Fault, StirError};
use crate::es256::SigningKey;
use crate::json::Json;
use crate::limits::PASSPORT_BYTES_MAX;

/// What a PASSporT says. `Debug` shows the names of extra claims only.
#[derive(Clone, PartialEq, Eq)]
pub struct Claims {
    /// Its type, with the claims that belong to it.
    pub kind: PassportType,
    /// When it was signed, in seconds since the Unix epoch. A received one may be negative.
    pub iat_s: i64,
    /// The caller.
    pub orig: Identity,
    /// The called parties, one or more.
    pub dest: Vec<Identity>,
    /// All other claims by name (`mky`, `rcd`, `crn`, ...), unjudged.
    pub extra: BTreeMap<String, Json>,
}

impl Claims {
    /// Claims of RFC 8225 without extensions.
    pub fn base(orig: Identity, dest: Identity, iat_s: i64) -> Self {
        Self { kind: PassportType::Base, iat_s, orig, dest: vec![dest], extra: BTreeMap::new() }
    }

    /// Claims of RFC 8588.
    pub fn shaken(orig: Identity, dest: Identity, iat_s: i64, attest: Attestation, origid: String) -> Self {
        Self { kind: PassportType::Shaken { attest, origid }, ..Self::base(orig, dest, iat_s) }
    }

    /// Reads a payload in JSON, as one of a PASSporT of type `ppt`, strictly.
    ///
    /// # Errors
    /// [`Fault`] of the stages parse, iat, claims and canonical.
    pub fn from_payload(payload: &[u8], ppt: Option<&str>) -> Result<Self, Fault> {
        parse::read_payload(payload, ppt, &Leniency::STRICT)
    }

    /// Signs the claims: a PASSporT in full form, in the deterministic JSON of RFC 8225 §9.
    ///
    /// Destinations are sorted and repeated ones dropped.
    ///
    /// # Errors
    /// [`StirError::Claims`] if a strict verifier would refuse the result whatever the call: what is signed is
    /// read back before it is handed out.
    // rfc8225:5-1.
    pub fn sign(&self, certificate: &CertificateReference, key: &SigningKey) -> Result<String, StirError> {
        if !self.extra.keys().all(|name| name.is_ascii()) {
            return Err(StirError::Claims(Fault::Claim("with a name that is not ASCII")));
        }
        let input = self.signing_input(certificate)?;
        let signature = URL_SAFE_NO_PAD.encode(key.sign(input.as_bytes()));
        let token = format!("{input}.{signature}");
        let strict = Leniency { bytes_max: PASSPORT_BYTES_MAX, ..Leniency::STRICT };
        Passport::parse(token.as_bytes(), &strict).map_err(StirError::Claims)?;
        Ok(token)
    }

    /// What is signed: header and payload in the form of RFC 8225 §9, in base64url.
    // rfc8225:6-1, rfc8225:6-2.
    pub(crate) fn signing_input(&self, certificate: &CertificateReference) -> Result<String, StirError> {
        let header = header::write(certificate, self.kind.ppt());
        const INEXACT: Fault = Fault::Claim("with a number that is not whole");
        let payload = self.payload().to_text().ok_or(StirError::Claims(INEXACT))?;
        Ok(format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload)))
    }

    /// Whom the signer must stand for: the caller, who diverted the call (RFC 8946 §4), or in a response who was
    /// reached (RFC 9970). Nobody for a priority (RFC 8443 §6).
    // rfc8946:3-9.
    pub(crate) fn signed_for(&self) -> Option<&Identity> {
        match &self.kind {
            PassportType::Rph => None,
            PassportType::Rsp => self.dest.first(),
            PassportType::Div { from } | PassportType::DivO { from, .. } => Some(from),
            _ => Some(&self.orig),
        }
    }

    /// All claims, as they are signed.
    pub(crate) fn payload(&self) -> Json {
        let mut members = self.extra.clone();
        self.kind.write(&mut members);
        members.insert("iat".into(), Json::Integer(self.iat_s));
        members.insert("orig".into(), self.orig.to_json());
        members.insert("dest".into(), identity::destinations_to_json(&self.dest));
        Json::Object(members)
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("kind", &self.kind)
            .field("iat_s", &self.iat_s)
            .field("orig", &self.orig)
            .field("dest", &self.dest)
            .field("extra", &self.extra.keys())
            .finish()
    }
}

/// What a reader forgives. The default, [`Leniency::STRICT`], forgives nothing; every setting names who needs
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leniency {
    /// Bytes a token may have, up to [`PASSPORT_BYTES_MAX`].
    pub bytes_max: usize,
    /// `=` at the end of a segment. Some encoders keep it; the signature is that of the token without.
    pub base64_padding: bool,
    /// `iat` as a text of digits, as in the signed examples of RFC 8225 §7.1 and RFC 8816 §9.
    pub iat_as_text: bool,
    /// `dest.tn` and `dest.uri` as one text instead of an array, as in the signed example of RFC 8946.
    pub dest_as_text: bool,
    /// A leading `+` and visual separators in numbers, which RFC 8224 §8.3 has the signer drop.
    pub number_separators: bool,
    /// An `origid` that is not a UUID (RFC 8588 §5 asks for one; real signers send others).
    pub origid_any: bool,
    /// `x5u` with the scheme http.
    pub x5u_http: bool,
    /// An Identity header field without `ppt` around a PASSporT that has one (RFC 8224 §4 asks for it).
    pub header_without_ppt: bool,
    /// A semicolon at the end of an Identity header field.
    pub header_trailing_semicolon: bool,
    /// A certificate chain whose file does not begin with the signer's certificate.
    pub chain_any_order: bool,
}

impl Leniency {
    /// Nothing is forgiven.
    pub const STRICT: Self = Self {
        bytes_max: crate::limits::PASSPORT_BYTES_DEFAULT,
        base64_padding: false,
        iat_as_text: false,
        dest_as_text: false,
        number_separators: false,
        origid_any: false,
        x5u_http: false,
        header_without_ppt: false,
        header_trailing_semicolon: false,
        chain_any_order: false,
    };

    /// Everything is forgiven that leaves the meaning clear.
    pub const LENIENT: Self = Self {
        bytes_max: PASSPORT_BYTES_MAX,
        base64_padding: true,
        iat_as_text: true,
        dest_as_text: true,
        number_separators: true,
        origid_any: true,
        x5u_http: true,
        header_without_ppt: true,
        header_trailing_semicolon: true,
        chain_any_order: true,
    };
}

impl Default for Leniency {
    fn default() -> Self {
        Self::STRICT
    }
}
