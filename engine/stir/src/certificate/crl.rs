//! Certificate revocation lists (RFC 5280 §5), indirect ones too, as a policy administrator publishes for all
//! authorities at once. Whose list counts for which certificate is decided elsewhere.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use der::Decode;
use der::asn1::ObjectIdentifier;
use herald_core::Timestamp;
use x509_cert::ext::Extensions;
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;
use x509_cert::ext::pkix::name::GeneralNames;
use x509_cert::time::Time;

use super::facts::{CertificateFacts, moment, names_of, urls_of};
use super::name;
use super::signed::{PublicKey, Signed};
use super::tlv::{self, tag};
use crate::limits::{CRL_BYTES_MAX, CRL_ENTRIES_MAX};

const ISSUING_DISTRIBUTION_POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");
const CERTIFICATE_ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.29");

/// A revocation list as it was read. It is not to be believed before its signature is verified.
pub(super) struct RevocationList {
    /// In comparable form.
    pub(super) issuer: Vec<u8>,
    pub(super) next_update: Timestamp,
    scope: ListScope,
    /// Serial numbers by the issuer of the certificates, in comparable form.
    revoked: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>,
    signed: Signed,
    /// The key that is known to have signed it: a long list is hashed once.
    signer: OnceLock<PublicKey>,
}

/// What a list is about.
#[derive(Debug, Default)]
struct ListScope {
    /// Certificates of other issuers too.
    is_indirect: bool,
    signers_only: bool,
    issuers_only: bool,
    /// Where it is published, if it says so.
    urls: Vec<String>,
}

impl RevocationList {
    /// Reads a list. `None` if it is not one, is longer than [`CRL_BYTES_MAX`], names more than
    /// [`CRL_ENTRIES_MAX`] certificates, does not say when it runs out, is about a part of the reasons only, or
    /// has a critical extension that is not understood (a delta list has).
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let mut list = tlv::only(der, tag::SEQUENCE).filter(|_| der.len() <= CRL_BYTES_MAX)?;
        let signed = Signed::take(&mut list)?;
        let mut fields = tlv::only(&signed.message, tag::SEQUENCE).filter(|_| list.is_empty())?;
        const VERSION_2: &[u8] = &[1];
        let is_version_2 = tlv::expect(&mut fields, tag::INTEGER)? == VERSION_2;
        if !is_version_2 || !signed.is_with(tlv::expect(&mut fields, tag::SEQUENCE)?) {
            return None;
        }
        let issuer = name::comparable(tlv::take_whole(&mut fields)?)?;
        Time::from_der(tlv::take_whole(&mut fields)?).ok()?;
        let next_update = moment(Time::from_der(tlv::take_whole(&mut fields)?).ok()?);
        let entries = tlv::take_if(&mut fields, tag::SEQUENCE)?.unwrap_or_default();
        let extensions = tlv::take_if(&mut fields, tag::context(0))?;
        let scope = extensions.map_or(Some(ListScope::default()), ListScope::read)?;
        if !fields.is_empty() {
            return None;
        }
        let revoked = read_entries(entries, &issuer, scope.is_indirect)?;
        Some(Self { issuer, next_update, scope, revoked, signed, signer: OnceLock::new() })
    }

    /// Whether it may speak for certificates of other issuers.
    pub(super) const fn is_indirect(&self) -> bool {
        self.scope.is_indirect
    }

    /// Whether the key of `signer` signed it, who may sign such lists.
    pub(super) fn is_signed_by(&self, signer: &CertificateFacts) -> bool {
        if !signer.may_sign_lists {
            return false;
        }
        if self.signer.get() == Some(&signer.key) {
            return true;
        }
        let is_signed = self.signed.is_by(&signer.key);
        if is_signed {
            // A second key over the same bytes is as good as the first, and need not be kept.
            let _ = self.signer.set(signer.key.clone());
        }
        is_signed
    }

    /// Whether it revokes `certificate`.
    pub(super) fn names(&self, certificate: &CertificateFacts) -> bool {
        self.revoked
            .get(&certificate.issuer_name)
            .is_some_and(|serials| serials.contains(&certificate.serial))
    }

    /// Whether `certificate` would be on it if it were revoked (RFC 5280 §6.3.3 (b)): a list of its own issuer,
    /// or an indirect one that the certificate names, for the kind of certificate it is, published where it says.
    pub(super) fn speaks_for(&self, certificate: &CertificateFacts) -> bool {
        let is_kind = if certificate.is_ca { !self.scope.signers_only } else { !self.scope.issuers_only };
        let is_published = |urls: &[String]| {
            self.scope.urls.is_empty()
                || urls.is_empty()
                || urls.iter().any(|url| self.scope.urls.contains(url))
        };
        let points = &certificate.list_points;
        let is_own = self.issuer == certificate.issuer_name;
        let is_direct = is_own && (points.is_empty() || points.iter().any(|point| is_published(&point.urls)));
        let is_named = self.scope.is_indirect
            && points.iter().any(|point| point.issuers.contains(&self.issuer) && is_published(&point.urls));
        is_kind && (is_direct || is_named)
    }
}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: usize = self.revoked.values().map(BTreeSet::len).sum();
        write!(f, "RevocationList({count} certificates)")
    }
}

impl ListScope {
    /// Reads the extensions of a list.
    fn read(der: &[u8]) -> Option<Self> {
        let mut scope = Self::default();
        for extension in &Extensions::from_der(der).ok()? {
            match extension.extn_id {
                ISSUING_DISTRIBUTION_POINT => {
                    let point = IssuingDistributionPoint::from_der(extension.extn_value.as_bytes()).ok()?;
                    if point.only_some_reasons.is_some() || point.only_contains_attribute_certs {
                        return None;
                    }
                    scope = Self {
                        is_indirect: point.indirect_crl,
                        signers_only: point.only_contains_user_certs,
                        issuers_only: point.only_contains_ca_certs,
                        urls: urls_of(point.distribution_point.as_ref())?,
                    };
                }
                _ if extension.critical => return None,
                _ => {}
            }
        }
        Some(scope)
    }
}

/// Reads the entries. In an indirect list an entry may name another issuer, which holds for those behind it too
/// (RFC 5280 §5.3.3).
fn read_entries(
    mut entries: &[u8],
    own_issuer: &[u8],
    is_indirect: bool,
) -> Option<BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>> {
    let mut revoked: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>> = BTreeMap::new();
    let (mut issuer, mut count) = (own_issuer.to_vec(), 0);
    while !entries.is_empty() {
        count += 1;
        let mut entry = tlv::expect(&mut entries, tag::SEQUENCE).filter(|_| count <= CRL_ENTRIES_MAX)?;
        let serial = tlv::expect(&mut entry, tag::INTEGER)?;
        Time::from_der(tlv::take_whole(&mut entry)?).ok()?;
        if !entry.is_empty()
            && let Some(named) = read_certificate_issuer(entry)?
        {
            issuer = Some(named).filter(|_| is_indirect)?;
        }
        revoked.entry(issuer.clone()).or_default().insert(serial.to_vec());
    }
    Some(revoked)
}

/// The issuer that the extensions of an entry name, in comparable form. The outer `None` stands for extensions
/// that are malformed or not understood.
fn read_certificate_issuer(extensions: &[u8]) -> Option<Option<Vec<u8>>> {
    let mut issuer = None;
    for extension in &Extensions::from_der(extensions).ok()? {
        if extension.extn_id == CERTIFICATE_ISSUER {
            let names = GeneralNames::from_der(extension.extn_value.as_bytes()).ok()?;
            issuer = Some(names_of(&names).next()?);
        } else if extension.critical {
            return None;
        }
    }
    Some(issuer)
}
