//! Reading a PASSporT in full form, strictly, and verifying it over the bytes received. It does not know
//! whether the key that verifies it is the right one.

use core::fmt;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{CertificateReference, Claims, Identity, Leniency, PassportType, header, identity};
use crate::error::Fault;
use crate::es256::{SIGNATURE_BYTES, VerifyingKey};
use crate::json::Json;
use crate::limits::PASSPORT_BYTES_MAX;

/// Bytes of the signatures of ES384 and ES512 (RFC 7518 §3.4).
const OTHER_SIGNATURE_BYTES: [usize; 2] = [96, 132];

/// A PASSporT that was read and not yet verified. `Debug` shows no token.
#[derive(Clone, PartialEq, Eq)]
pub struct Passport {
    certificate: CertificateReference,
    claims: Claims,
    signing_input: String,
    signature: [u8; SIGNATURE_BYTES],
}

impl Passport {
    /// Reads a token in full form. O(bytes).
    ///
    /// # Errors
    /// [`Fault`] of the stages parse, alg, header, x5u, iat, claims, canonical and, for the length of the
    /// signature, sig. A `ppt` that is not known is no error here: see [`PassportType::Unknown`].
    pub fn parse(token: &[u8], leniency: &Leniency) -> Result<Self, Fault> {
        let bytes_max = leniency.bytes_max.min(PASSPORT_BYTES_MAX);
        if token.len() > bytes_max {
            return Err(Fault::TooLong { bytes: token.len(), bytes_max });
        }
        let token = core::str::from_utf8(token).map_err(|_| Fault::Base64("token"))?;
        let [header, payload, signature] = split(token)?;
        let header_bytes = decode(header, "header", leniency)?;
        let payload_bytes = decode(payload, "payload", leniency)?;
        let signature_bytes = decode(signature, "signature", leniency)?;
        let header_json = parse_object(&header_bytes, "header")?;
        let payload_json = parse_object(&payload_bytes, "payload")?;

        let read = header::read(members(&header_json), leniency)?;
        let signature = signature_bytes.as_slice().try_into().map_err(|_| length_fault(&signature_bytes))?;
        let claims = read_claims(payload_json, read.ppt.as_deref(), leniency)?;
        // Only a lenient reader comes here with padding, and JWS signs what is in front of it (RFC 7515 §5.1).
        let signing_input = format!("{}.{}", header.trim_end_matches('='), payload.trim_end_matches('='));
        Ok(Self { certificate: read.certificate, claims, signing_input, signature })
    }

    /// What it says; not to be believed before it is verified.
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Where the signer's certificate is.
    pub const fn certificate(&self) -> &CertificateReference {
        &self.certificate
    }

    /// The token in full form, as it was received but for padding.
    pub fn to_token(&self) -> String {
        format!("{}.{}", self.signing_input, URL_SAFE_NO_PAD.encode(self.signature))
    }

    /// What was signed, as it was received.
    pub(crate) fn signing_input(&self) -> &str {
        &self.signing_input
    }

    /// Its compact form (RFC 8225 §7): two dots and the signature. It names the PASSporT in a `Reason` header
    /// (RFC 9410 §3) without telling what it says.
    // rfc8225:7-1, rfc9410:5-5.
    pub fn compact(&self) -> String {
        format!("..{}", URL_SAFE_NO_PAD.encode(self.signature))
    }

    /// Verifies the signature over the bytes received.
    ///
    /// # Errors
    /// [`Fault::Signature`].
    pub fn verify_signature(&self, key: &VerifyingKey) -> Result<(), Fault> {
        let good = key.is_signature(self.signing_input.as_bytes(), &self.signature);
        if good { Ok(()) } else { Err(Fault::Signature) }
    }
}

impl fmt::Debug for Passport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passport").field("ppt", &self.claims.kind.ppt()).finish_non_exhaustive()
    }
}

fn split(token: &str) -> Result<[&str; 3], Fault> {
    let mut segments = token.split('.');
    let [first, second, third] = [segments.next(), segments.next(), segments.next()];
    match (first, second, third, segments.count()) {
        (Some(""), Some(""), Some(_), 0) => Err(Fault::CompactForm),
        (Some(header), Some(payload), Some(signature), 0) => Ok([header, payload, signature]),
        (_, second, third, more) => {
            Err(Fault::Segments(1 + usize::from(second.is_some()) + usize::from(third.is_some()) + more))
        }
    }
}

fn decode(segment: &str, name: &'static str, leniency: &Leniency) -> Result<Vec<u8>, Fault> {
    const fn engine(padding: DecodePaddingMode) -> GeneralPurpose {
        GeneralPurpose::new(&URL_SAFE, GeneralPurposeConfig::new().with_decode_padding_mode(padding))
    }
    const STRICT: GeneralPurpose = engine(DecodePaddingMode::RequireNone);
    const LENIENT: GeneralPurpose = engine(DecodePaddingMode::Indifferent);
    let engine = if leniency.base64_padding { LENIENT } else { STRICT };
    engine.decode(segment).map_err(|_| Fault::Base64(name))
}

fn parse_object(bytes: &[u8], name: &'static str) -> Result<Json, Fault> {
    let value = Json::parse(bytes).map_err(|_| Fault::Json(name))?;
    if value.as_object().is_some() { Ok(value) } else { Err(Fault::Json(name)) }
}

fn members(object: &Json) -> &std::collections::BTreeMap<String, Json> {
    object.as_object().expect("parse_object lets only objects through")
}

const fn length_fault(signature: &[u8]) -> Fault {
    let bytes = signature.len();
    if bytes == OTHER_SIGNATURE_BYTES[0] || bytes == OTHER_SIGNATURE_BYTES[1] {
        return Fault::AlgorithmOfSignature(bytes);
    }
    Fault::SignatureLength(bytes)
}

/// Reads a payload by itself.
pub(super) fn read_payload(bytes: &[u8], ppt: Option<&str>, leniency: &Leniency) -> Result<Claims, Fault> {
    read_claims(parse_object(bytes, "payload")?, ppt, leniency)
}

// rfc8225:8.1-1, rfc8225:8.3-2, rfc8226:8-3, rfc9118:3-3.
fn read_claims(payload: Json, ppt: Option<&str>, leniency: &Leniency) -> Result<Claims, Fault> {
    let Json::Object(mut claims) = payload else { return Err(Fault::Json("payload")) };
    let iat_s = read_iat(claims.remove("iat"), leniency)?;
    let orig = Identity::from_json(claims.remove("orig").as_ref(), "orig", leniency)?;
    let dest = identity::destinations_from_json(claims.remove("dest").as_ref(), leniency)?;
    let kind = PassportType::take(ppt, &mut claims, leniency)?;
    Ok(Claims { kind, iat_s, orig, dest, extra: claims })
}

// rfc8225:5.1.1-1.
fn read_iat(value: Option<Json>, leniency: &Leniency) -> Result<i64, Fault> {
    match value {
        Some(Json::Integer(seconds)) => Ok(seconds),
        Some(Json::Text(text)) if leniency.iat_as_text && text.bytes().all(|sign| sign.is_ascii_digit()) => {
            text.parse().map_err(|_| Fault::Iat)
        }
        _ => Err(Fault::Iat),
    }
}
