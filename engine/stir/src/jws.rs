//! A JWS (RFC 7515 §3.1) in compact form that is signed with the certificate of telephone numbers: ES256, and `x5c` or
//! `x5u` as in a PASSporT. It does not know what the payload says.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::Fault;
use crate::es256::{SIGNATURE_BYTES, SigningKey, VerifyingKey};
use crate::json::Json;
use crate::passport::{CertificateReference, Leniency};

/// The members of a JSON object.
pub(crate) type Members = BTreeMap<String, Json>;

/// One that was read. Its signature is not verified yet.
#[derive(Clone, Debug)]
pub(crate) struct Jws {
    pub(crate) payload: Members,
    pub(crate) certificate: CertificateReference,
    pub(crate) token: String,
    signature: [u8; SIGNATURE_BYTES],
}

/// Why a text is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JwsFault {
    /// Not a JWS in compact form of two JSON objects, members once each.
    Form,
    /// A member of the header is missing or has the wrong form.
    Member(&'static str),
    /// The signature has not the length of one.
    Signature,
    /// The reference to the certificate is malformed.
    Certificate(Fault),
}

/// Makes a [`JwsFault`] and a [`Fault`] of certificates into the fault of a document that is a JWS, which has variants of
/// the same names.
macro_rules! faults_of_jws {
    ($fault:ident) => {
        impl From<Fault> for $fault {
            fn from(fault: Fault) -> Self {
                Self::Certificate(fault)
            }
        }

        impl From<crate::jws::JwsFault> for $fault {
            fn from(fault: crate::jws::JwsFault) -> Self {
                match fault {
                    crate::jws::JwsFault::Form => Self::Form,
                    crate::jws::JwsFault::Member(name) => Self::Member(name),
                    crate::jws::JwsFault::Signature => Self::Signature,
                    crate::jws::JwsFault::Certificate(fault) => Self::Certificate(fault),
                }
            }
        }
    };
}

pub(crate) use faults_of_jws;

impl Jws {
    /// Reads one whose header says `typ`. O(bytes).
    pub(crate) fn parse(token: &[u8], typ: &str) -> Result<Self, JwsFault> {
        let token = core::str::from_utf8(token).map_err(|_| JwsFault::Form)?;
        let mut segments = token.split('.').map(|segment| URL_SAFE_NO_PAD.decode(segment).ok());
        let mut next = || segments.next().flatten().ok_or(JwsFault::Form);
        let [header, payload, signature] = [next()?, next()?, next()?];
        if segments.next().is_some() {
            return Err(JwsFault::Form);
        }
        let certificate = read_header(&object(&header)?, typ)?;
        let payload = object(&payload)?;
        let signature = signature.as_slice().try_into().map_err(|_| JwsFault::Signature)?;
        Ok(Self { payload, certificate, token: token.to_owned(), signature })
    }

    /// Signs `payload`. It must hold only what can be written.
    pub(crate) fn sign(
        typ: &str,
        payload: Members,
        certificate: &CertificateReference,
        key: &SigningKey,
    ) -> String {
        let mut header = Members::from([
            ("alg".to_owned(), Json::Text("ES256".into())),
            ("typ".to_owned(), Json::Text(typ.into())),
        ]);
        certificate.write(&mut header);
        let input = format!("{}.{}", segment(header), segment(payload));
        let signature = URL_SAFE_NO_PAD.encode(key.sign(input.as_bytes()));
        format!("{input}.{signature}")
    }

    /// Whether it was signed with `key`.
    pub(crate) fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        key.is_signature(self.signing_input().as_bytes(), &self.signature)
    }

    /// What was signed.
    pub(crate) fn signing_input(&self) -> &str {
        self.token.rsplit_once('.').map_or("", |(input, _)| input)
    }
}

fn segment(members: Members) -> String {
    let text = Json::Object(members).to_text().expect("only texts and whole numbers are put in");
    URL_SAFE_NO_PAD.encode(text)
}

fn object(bytes: &[u8]) -> Result<Members, JwsFault> {
    match Json::parse(bytes) {
        Ok(Json::Object(members)) => Ok(members),
        _ => Err(JwsFault::Form),
    }
}

fn read_header(header: &Members, typ: &str) -> Result<CertificateReference, JwsFault> {
    let text = |name| header.get(name).and_then(Json::as_text);
    if text("alg") != Some("ES256") {
        return Err(JwsFault::Member("alg"));
    }
    if text("typ") != Some(typ) {
        return Err(JwsFault::Member("typ"));
    }
    if header.contains_key("crit") {
        return Err(JwsFault::Member("crit"));
    }
    CertificateReference::read(header, &Leniency::STRICT).map_err(JwsFault::Certificate)
}
