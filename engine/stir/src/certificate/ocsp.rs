//! Stapled OCSP answers (RFC 6960): handed in with a chain, never asked for, since asking would tell the
//! responder who calls whom. It does not know TNQuery.

use core::fmt;

use der::Decode;
use der::asn1::ObjectIdentifier;
use herald_core::Timestamp;
use ring::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use x509_cert::ext::Extensions;
use x509_cert::time::Time;

use super::facts::{CertificateFacts, moment};
use super::signed::Signed;
use super::tlv::{self, tag};
use crate::limits::STAPLE_BYTES_MAX;

/// What an answer is identified by: id-pkix-ocsp-basic.
const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
const HASHES: &[(ObjectIdentifier, &Algorithm)] = &[
    (ObjectIdentifier::new_unwrap("1.3.14.3.2.26"), &SHA1_FOR_LEGACY_USE_ONLY),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1"), &SHA256),
];
/// Certificates of an answer that are looked at: a responder needs one.
const RESPONDERS_MAX: usize = 2;

/// An OCSP answer as it was read. It is not to be believed before its signature is verified.
pub(super) struct Staple {
    signed: Signed,
    /// Certificates of the responder, in DER.
    responders: Vec<Vec<u8>>,
    answers: Vec<SingleAnswer>,
}

struct SingleAnswer {
    hash: &'static Algorithm,
    issuer_name_hash: Vec<u8>,
    issuer_key_hash: Vec<u8>,
    serial: Vec<u8>,
    status: Status,
    this_update: Timestamp,
    /// Without one, newer information is available all the time, and the answer is worth nothing.
    next_update: Option<Timestamp>,
}

/// What an answer says of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Good,
    Revoked,
    Unknown,
}

impl Staple {
    /// Reads an OCSPResponse. `None` if it is not one, is longer than [`STAPLE_BYTES_MAX`], or has a critical
    /// extension.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let mut response = tlv::only(der, tag::SEQUENCE).filter(|_| der.len() <= STAPLE_BYTES_MAX)?;
        const SUCCESSFUL: &[u8] = &[0];
        if tlv::expect(&mut response, tag::ENUMERATED)? != SUCCESSFUL {
            return None;
        }
        let mut bytes = tlv::only(tlv::only(response, tag::context(0))?, tag::SEQUENCE)?;
        let kind = ObjectIdentifier::from_der(tlv::take_whole(&mut bytes)?).ok()?;
        let mut basic = tlv::only(tlv::only(bytes, tag::OCTET_STRING)?, tag::SEQUENCE)?;
        let signed = Signed::take(&mut basic).filter(|_| kind == BASIC)?;
        let responders = match tlv::take_if(&mut basic, tag::context(0))? {
            Some(certificates) => read_responders(tlv::only(certificates, tag::SEQUENCE)?)?,
            None => Vec::new(),
        };
        let answers = read_answers(tlv::only(&signed.message, tag::SEQUENCE)?)?;
        basic.is_empty().then_some(Self { signed, responders, answers })
    }

    /// What it says of `certificate` of `issuer` at `now`, and until when. `None` if that is nothing: it is about
    /// others, out of date, or not signed by the issuer or a responder of its own.
    pub(super) fn status(
        &self,
        certificate: &CertificateFacts,
        issuer: &CertificateFacts,
        now: Timestamp,
    ) -> Option<(Status, Timestamp)> {
        let answer = self.answers.iter().find(|answer| answer.is_about(certificate, issuer))?;
        let until = answer.next_update.filter(|until| answer.this_update <= now && now <= *until)?;
        self.is_signed_for(issuer, now).then_some((answer.status, until))
    }

    fn is_signed_for(&self, issuer: &CertificateFacts, now: Timestamp) -> bool {
        self.signed.is_by(&issuer.key)
            || self.responders.iter().any(|der| self.is_by_responder(der, issuer, now))
    }

    /// Whether the certificate `der` is one that `issuer` gave a responder (RFC 6960 §4.2.2.2) who signed this.
    fn is_by_responder(&self, der: &[u8], issuer: &CertificateFacts, now: Timestamp) -> bool {
        let Some(responder) = CertificateFacts::read(der) else { return false };
        let Some(signed) = tlv::only(der, tag::SEQUENCE).and_then(|mut content| Signed::take(&mut content))
        else {
            return false;
        };
        responder.signs_ocsp
            && responder.issuer == issuer.subject
            && (responder.not_before..=responder.not_after).contains(&now)
            && signed.is_by(&issuer.key)
            && self.signed.is_by(&responder.key)
    }
}

impl fmt::Debug for Staple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Staple({} certificates)", self.answers.len())
    }
}

impl SingleAnswer {
    fn is_about(&self, certificate: &CertificateFacts, issuer: &CertificateFacts) -> bool {
        self.serial == certificate.serial
            && digest(self.hash, &issuer.subject).as_ref() == self.issuer_name_hash
            && digest(self.hash, &issuer.key.bits).as_ref() == self.issuer_key_hash
    }

    /// Reads a SingleResponse.
    fn read(mut fields: &[u8]) -> Option<Self> {
        let mut id = tlv::expect(&mut fields, tag::SEQUENCE)?;
        let mut hash = tlv::expect(&mut id, tag::SEQUENCE)?;
        let hash = ObjectIdentifier::from_der(tlv::take_whole(&mut hash)?).ok()?;
        let (_, hash) = HASHES.iter().find(|(oid, _)| *oid == hash)?;
        let issuer_name_hash = tlv::expect(&mut id, tag::OCTET_STRING)?.to_vec();
        let issuer_key_hash = tlv::expect(&mut id, tag::OCTET_STRING)?.to_vec();
        let serial = tlv::only(id, tag::INTEGER)?.to_vec();
        let (status, _) = tlv::take(&mut fields)?;
        let this_update = read_time(tlv::take_whole(&mut fields)?)?;
        let next_update = match tlv::take_if(&mut fields, tag::context(0))? {
            Some(time) => Some(read_time(time)?),
            None => None,
        };
        refuse_critical(tlv::take_if(&mut fields, tag::context(1))?)?;
        const GOOD: u8 = 0x80;
        const REVOKED: u8 = tag::context(1);
        let status = match status {
            GOOD => Status::Good,
            REVOKED => Status::Revoked,
            _ => Status::Unknown,
        };
        fields.is_empty().then_some(Self {
            hash,
            issuer_name_hash,
            issuer_key_hash,
            serial,
            status,
            this_update,
            next_update,
        })
    }
}

fn read_responders(mut certificates: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut responders = Vec::new();
    while !certificates.is_empty() {
        responders.push(tlv::take_whole(&mut certificates)?.to_vec());
    }
    responders.truncate(RESPONDERS_MAX);
    Some(responders)
}

/// Reads the answers of a ResponseData. Who says to be the responder is of no interest: the signature tells.
fn read_answers(mut data: &[u8]) -> Option<Vec<SingleAnswer>> {
    tlv::take_if(&mut data, tag::context(0))?;
    tlv::take(&mut data)?;
    read_time(tlv::take_whole(&mut data)?)?;
    let mut answers = tlv::expect(&mut data, tag::SEQUENCE)?;
    refuse_critical(tlv::take_if(&mut data, tag::context(1))?)?;
    let mut read = Vec::new();
    while !answers.is_empty() {
        read.push(SingleAnswer::read(tlv::expect(&mut answers, tag::SEQUENCE)?)?);
    }
    data.is_empty().then_some(read)
}

fn read_time(der: &[u8]) -> Option<Timestamp> {
    Time::from_der(der).ok().map(moment)
}

fn refuse_critical(extensions: Option<&[u8]>) -> Option<()> {
    let extensions = extensions.map_or(Some(Extensions::new()), |der| Extensions::from_der(der).ok())?;
    extensions.iter().all(|extension| !extension.critical).then_some(())
}
