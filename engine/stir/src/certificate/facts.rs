//! What one certificate says about keys and numbers, as far as STIR asks. Whether it is to be believed is
//! decided elsewhere.

use core::fmt;

use der::asn1::{ObjectIdentifier, OctetString};
use der::oid::AssociatedOid;
use der::{Decode, Encode};
use herald_core::Timestamp;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CrlDistributionPoints,
    ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier,
};
use x509_cert::time::Time;

use super::constraints::ClaimConstraints;
use super::name;
use super::signed::PublicKey;
use super::tn_auth_list::TnAuthList;
use crate::error::Fault;
use crate::es256::VerifyingKey;
use crate::json::Json;
use crate::limits::LIST_URLS_MAX;
use crate::passport::{Leniency, check_url};

const TN_AUTH_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.26");
const CLAIM_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.27");
const ENHANCED_CLAIM_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.33");
const NO_REVOCATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.56");
const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");
const TN_LIST_ACCESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.14");

/// What a certificate says of its authority over numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// Nothing.
    Unsaid,
    /// Something that RFC 8226 does not allow.
    Malformed,
    /// A list, here or elsewhere.
    Scope(Scope),
}

/// The numbers of a certificate: what is listed in it and what is listed elsewhere, one added to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) list: Option<TnAuthList>,
    /// Where the list by reference is served (RFC 8226 §10.1), each the same.
    pub(super) urls: Vec<String>,
}

/// The facts of one certificate.
#[derive(Clone)]
pub(super) struct CertificateFacts {
    pub(super) is_ca: bool,
    /// Whether it may sign certificates: a CA whose key usage, if it has one, says so.
    pub(super) may_issue: bool,
    /// How many CA certificates may stand between it and a signer.
    pub(super) path_len: Option<u8>,
    /// The P-256 key, if it is one that may sign.
    pub(super) signing_key: Option<VerifyingKey>,
    pub(super) numbers: Numbers,
    /// What it demands of claims (RFC 8226 §8, RFC 9118). `None` if that is malformed.
    pub(super) constraints: Option<Vec<ClaimConstraints>>,
    pub(super) serial: Vec<u8>,
    /// The names as they stand there.
    pub(super) issuer: Vec<u8>,
    pub(super) subject: Vec<u8>,
    /// The names in comparable form.
    pub(super) issuer_name: Vec<u8>,
    pub(super) subject_name: Vec<u8>,
    pub(super) key: PublicKey,
    /// Whether it may sign revocation lists, and OCSP answers for its issuer.
    pub(super) may_sign_lists: bool,
    pub(super) signs_ocsp: bool,
    /// Where it says revocation lists about it are.
    pub(super) list_points: Vec<ListPoint>,
    /// Whether it says that there is nothing to look up (RFC 9608).
    pub(super) has_no_revocation: bool,
    /// Which of the issuer's keys signed it.
    pub(super) authority_key_id: Option<Box<[u8]>>,
    pub(super) subject_key_id: Option<Box<[u8]>>,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

/// Where a certificate says a revocation list about it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListPoint {
    pub(super) urls: Vec<String>,
    /// Who issues it, if not the issuer of the certificate; in comparable form.
    pub(super) issuers: Vec<Vec<u8>>,
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
        let constraints = extension::<BasicConstraints>(body)?;
        let usage = extension::<KeyUsage>(body)?;
        let is_ca = constraints.as_ref().is_some_and(|constraints| constraints.ca);
        let may_sign = usage.is_none_or(|usage| usage.digital_signature());
        let spki = body.subject_public_key_info();
        let authority_key_id = extension::<AuthorityKeyIdentifier>(body)?.and_then(|id| id.key_identifier);
        let subject_key_id = extension::<SubjectKeyIdentifier>(body)?.map(|id| id.0);
        let (issuer, subject) = (body.issuer().to_der().ok()?, body.subject().to_der().ok()?);
        let purposes = extension::<ExtendedKeyUsage>(body)?;
        let points = extension::<CrlDistributionPoints>(body)?.unwrap_or_default();
        Some(Self {
            is_ca,
            may_issue: is_ca && usage.is_none_or(|usage| usage.key_cert_sign()),
            path_len: constraints.and_then(|constraints| constraints.path_len_constraint),
            signing_key: VerifyingKey::from_spki_der(&spki.to_der().ok()?).ok().filter(|_| may_sign),
            numbers: read_numbers(body)?,
            constraints: read_constraints(body)?,
            serial: body.serial_number().as_bytes().to_vec(),
            issuer_name: name::comparable(&issuer)?,
            subject_name: name::comparable(&subject)?,
            issuer,
            subject,
            key: PublicKey::read(spki)?,
            may_sign_lists: usage.is_none_or(|usage| usage.crl_sign()),
            signs_ocsp: purposes.is_some_and(|purposes| purposes.0.contains(&OCSP_SIGNING)),
            list_points: points.0.iter().map(read_point).collect(),
            has_no_revocation: extension_bytes(body, NO_REVOCATION)?.is_some(),
            authority_key_id: authority_key_id.map(OctetString::into_bytes),
            subject_key_id: subject_key_id.map(OctetString::into_bytes),
            not_before: moment(body.validity().not_before),
            not_after: moment(body.validity().not_after),
        })
    }

    /// What it says of numbers, if anything.
    pub(super) const fn scope(&self) -> Result<Option<&Scope>, Fault> {
        match &self.numbers {
            Numbers::Unsaid => Ok(None),
            Numbers::Malformed => Err(Fault::TnAuthList),
            Numbers::Scope(scope) => Ok(Some(scope)),
        }
    }

    /// The list of numbers in it, if it says anything of numbers.
    pub(super) fn list(&self) -> Result<Option<&TnAuthList>, Fault> {
        self.scope()?.map(|scope| scope.list.as_ref().ok_or(Fault::TnAuthListByReference)).transpose()
    }

    /// Whether its holder may sign `claims`, which are asked for if it has constraints.
    pub(super) fn check_claims(&self, claims: &dyn Fn() -> Json) -> Result<(), Fault> {
        let constraints = self.constraints.as_ref().ok_or(Fault::ClaimConstraints)?;
        if constraints.is_empty() {
            return Ok(());
        }
        let claims = claims();
        let check = |one: &ClaimConstraints| one.check(&claims).map_err(str::to_owned);
        constraints.iter().try_for_each(check).map_err(Fault::ClaimNotPermitted)
    }

    /// Whether `issuer` signed this with the key that this says. A delegate, that is a certificate below one
    /// with a list of numbers, must say which (RFC 9060 §7).
    // rfc9060:7-2.
    pub(super) fn names_key_of(&self, issuer: &Self) -> bool {
        match (&self.authority_key_id, &issuer.subject_key_id) {
            (Some(named), Some(own)) => named == own,
            _ => issuer.numbers == Numbers::Unsaid,
        }
    }
}

/// The extension of this type. The outer `None` stands for one that is there twice or malformed.
fn extension<T: AssociatedOid + for<'a> Decode<'a>>(body: &x509_cert::TbsCertificate) -> Option<Option<T>> {
    Some(body.get_extension::<T>().ok()?.map(|(_, extension)| extension))
}

/// The bytes of an extension. The outer `None` stands for one that is there twice.
pub(super) fn extension_bytes(
    body: &x509_cert::TbsCertificate,
    oid: ObjectIdentifier,
) -> Option<Option<&[u8]>> {
    let mut found = body.extensions().into_iter().flatten().filter(|extension| extension.extn_id == oid);
    let first = found.next().map(|extension| extension.extn_value.as_bytes());
    found.next().is_none().then_some(first)
}

fn read_numbers(body: &x509_cert::TbsCertificate) -> Option<Numbers> {
    let list = extension_bytes(body, TN_AUTH_LIST)?.map(TnAuthList::from_der);
    let access = extension::<AuthorityInfoAccessSyntax>(body)?.unwrap_or_default();
    let locations = access.0.iter().filter(|one| one.access_method == TN_LIST_ACCESS);
    let urls = locations.take(LIST_URLS_MAX).map(|one| https_url(&one.access_location));
    let (Ok(list), Some(urls)) = (list.transpose(), urls.collect::<Option<Vec<_>>>()) else {
        return Some(Numbers::Malformed);
    };
    let is_unsaid = list.is_none() && urls.is_empty();
    Some(if is_unsaid { Numbers::Unsaid } else { Numbers::Scope(Scope { list, urls }) })
}

/// The URL of a location. RFC 8226 §10.1 demands https.
// rfc8226:10.1-2.
fn https_url(location: &GeneralName) -> Option<String> {
    let GeneralName::UniformResourceIdentifier(url) = location else { return None };
    check_url(url.as_str(), &Leniency::STRICT).ok().map(|()| url.as_str().to_owned())
}

/// The constraints of both forms. RFC 9118 §6 forbids an issuer to use both; if it did, both bind.
// rfc9118:6-1.
fn read_constraints(body: &x509_cert::TbsCertificate) -> Option<Option<Vec<ClaimConstraints>>> {
    let plain = extension_bytes(body, CLAIM_CONSTRAINTS)?.map(ClaimConstraints::from_der);
    let enhanced =
        extension_bytes(body, ENHANCED_CLAIM_CONSTRAINTS)?.map(ClaimConstraints::from_enhanced_der);
    Some(plain.into_iter().chain(enhanced).collect())
}

/// A point that cannot be understood is one that no list is published at.
fn read_point(point: &DistributionPoint) -> ListPoint {
    const NOWHERE: &str = "";
    ListPoint {
        urls: urls_of(point.distribution_point.as_ref()).unwrap_or_else(|| vec![NOWHERE.into()]),
        issuers: point.crl_issuer.iter().flat_map(|names| names_of(names)).collect(),
    }
}

/// The URLs of a name of a distribution point; none if it has no name. `None` if it is relative to an issuer, which
/// is not understood.
pub(super) fn urls_of(point: Option<&DistributionPointName>) -> Option<Vec<String>> {
    let names = match point {
        None => return Some(Vec::new()),
        Some(DistributionPointName::FullName(names)) => names,
        Some(DistributionPointName::NameRelativeToCRLIssuer(_)) => return None,
    };
    let url = |name: &GeneralName| match name {
        GeneralName::UniformResourceIdentifier(url) => Some(url.as_str().to_owned()),
        _ => None,
    };
    Some(names.iter().filter_map(url).collect())
}

/// The distinguished names among `names`, in comparable form.
pub(super) fn names_of(names: &[GeneralName]) -> impl Iterator<Item = Vec<u8>> {
    names.iter().filter_map(|name| match name {
        GeneralName::DirectoryName(name) => name::comparable(&name.to_der().ok()?),
        _ => None,
    })
}

/// A time of a certificate or revocation list. Years end at 9999, so the milliseconds fit.
pub(super) fn moment(time: Time) -> Timestamp {
    Timestamp::from_millis(time.to_unix_duration().as_secs().saturating_mul(1000))
}
