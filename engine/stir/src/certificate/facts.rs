//! What one certificate says about keys and numbers, as far as STIR asks. Whether it is to be believed is
//! decided elsewhere.

use core::fmt;

use der::asn1::ObjectIdentifier;
use der::{Decode, Encode};
use herald_core::Timestamp;
use x509_cert::ext::pkix::{AuthorityInfoAccessSyntax, BasicConstraints, KeyUsage};
use x509_cert::time::Time;

use super::tn_auth_list::TnAuthList;
use crate::es256::VerifyingKey;

const TN_AUTH_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.26");
const CLAIM_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.27");
const ENHANCED_CLAIM_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.33");
const TN_LIST_ACCESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.14");

/// What a certificate says of its authority over numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// Nothing.
    Unsaid,
    /// A list that RFC 8226 does not allow.
    Malformed,
    /// That the list is elsewhere, and nothing here.
    ByReference,
    /// A list. What may be elsewhere besides is left out, which makes the authority smaller, never larger.
    List(TnAuthList),
}

/// The facts of one certificate.
#[derive(Clone)]
pub(super) struct CertificateFacts {
    pub(super) is_ca: bool,
    /// The P-256 key, if it is one that may sign.
    pub(super) signing_key: Option<VerifyingKey>,
    pub(super) numbers: Numbers,
    /// Whether it constrains claims (RFC 8226 §8, RFC 9118).
    pub(super) constrains_claims: bool,
    pub(super) issuer: Vec<u8>,
    pub(super) subject: Vec<u8>,
    pub(super) not_after: Timestamp,
}

impl fmt::Debug for CertificateFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateFacts").field("is_ca", &self.is_ca).finish_non_exhaustive()
    }
}

impl CertificateFacts {
    /// Reads a certificate. `None` if it is not one, or an extension stands twice.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let certificate = x509_cert::Certificate::from_der(der).ok()?;
        let body = certificate.tbs_certificate();
        let constraints = body.get_extension::<BasicConstraints>().ok()?;
        let may_sign =
            body.get_extension::<KeyUsage>().ok()?.is_none_or(|(_, usage)| usage.digital_signature());
        let spki = body.subject_public_key_info().to_der().ok()?;
        let is_there = |oid| body.extensions().is_some_and(|all| all.iter().any(|one| one.extn_id == oid));
        Some(Self {
            is_ca: constraints.is_some_and(|(_, constraints)| constraints.ca),
            signing_key: VerifyingKey::from_spki_der(&spki).ok().filter(|_| may_sign),
            numbers: read_numbers(body)?,
            constrains_claims: is_there(CLAIM_CONSTRAINTS) || is_there(ENHANCED_CLAIM_CONSTRAINTS),
            issuer: body.issuer().to_der().ok()?,
            subject: body.subject().to_der().ok()?,
            not_after: moment(body.validity().not_after),
        })
    }
}

fn read_numbers(body: &x509_cert::TbsCertificate) -> Option<Numbers> {
    let mut lists =
        body.extensions().into_iter().flatten().filter(|extension| extension.extn_id == TN_AUTH_LIST);
    if let Some(extension) = lists.next() {
        let list = TnAuthList::from_der(extension.extn_value.as_bytes());
        let numbers = list.map_or(Numbers::Malformed, Numbers::List);
        return lists.next().is_none().then_some(numbers);
    }
    let access = body.get_extension::<AuthorityInfoAccessSyntax>().ok()?;
    let elsewhere =
        access.is_some_and(|(_, access)| access.0.iter().any(|one| one.access_method == TN_LIST_ACCESS));
    Some(if elsewhere { Numbers::ByReference } else { Numbers::Unsaid })
}

/// A time of a certificate or revocation list. Years end at 9999, so the milliseconds fit.
pub(super) fn moment(time: Time) -> Timestamp {
    Timestamp::from_millis(time.to_unix_duration().as_secs().saturating_mul(1000))
}
