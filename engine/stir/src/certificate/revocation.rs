//! Whether a certificate was taken back: what lists and stapled answers say, whose word counts, and what it means
//! that nobody says anything.

use herald_core::Timestamp;

use super::crl::RevocationList;
use super::facts::CertificateFacts;
use super::ocsp::{Staple, Status};
use super::trust::Trusted;
use crate::error::Fault;

/// The end of time: nothing to come will change the answer.
pub(super) const NEVER: Timestamp = Timestamp::from_millis(u64::MAX);

/// How certificates that were taken back are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RevocationPolicy {
    /// Certificates of signers that are valid for at most so many seconds in all are not looked up: they run out
    /// before a list would name them (RFC 8226 §10 a). 0: all are looked up, except those that say themselves
    /// that there is nothing to look up (RFC 9608).
    pub short_lived_s: u64,
    /// Whether OCSP answers that come with a chain are looked at.
    pub use_staples: bool,
    /// Whether a certificate that no list and no answer speaks for is refused.
    pub required: bool,
}

/// Whether `certificate` of `issuer` is still good at `now`, and until when that need not be asked again.
///
/// # Errors
/// [`Fault::Revoked`]; [`Fault::RevocationUnknown`] if what speaks for it is out of date or not to be believed, or
/// nothing does and something must.
pub(super) fn check(
    certificate: &CertificateFacts,
    issuer: &CertificateFacts,
    staples: &[Staple],
    trusted: &Trusted,
    now: Timestamp,
) -> Result<Timestamp, Fault> {
    if is_exempt(certificate, &trusted.revocation) {
        return Ok(NEVER);
    }
    let lists = lists_say(certificate, issuer, trusted, now)?;
    let answers = if trusted.revocation.use_staples {
        staples_say(certificate, issuer, staples, now)?
    } else {
        Word::Nothing
    };
    match (lists, answers) {
        (Word::GoodUntil(one), Word::GoodUntil(other)) => Ok(one.max(other)),
        (Word::GoodUntil(until), _) | (_, Word::GoodUntil(until)) => Ok(until),
        (Word::Worthless, _) | (_, Word::Worthless) => Err(Fault::RevocationUnknown),
        _ if trusted.revocation.required => Err(Fault::RevocationUnknown),
        _ => Ok(NEVER),
    }
}

/// What is said for a certificate.
enum Word {
    Nothing,
    /// Something, but out of date or not to be believed.
    Worthless,
    GoodUntil(Timestamp),
}

/// Only certificates of signers are ever exempt: those of issuers must not have the extension (RFC 9608 §4), and
/// are not short-lived.
fn is_exempt(certificate: &CertificateFacts, policy: &RevocationPolicy) -> bool {
    let lifetime_ms = certificate.not_after.millis_since(certificate.not_before);
    let is_short_lived = policy.short_lived_s > 0 && lifetime_ms / 1000 <= policy.short_lived_s;
    !certificate.is_ca && (certificate.has_no_revocation || is_short_lived)
}

fn lists_say(
    certificate: &CertificateFacts,
    issuer: &CertificateFacts,
    trusted: &Trusted,
    now: Timestamp,
) -> Result<Word, Fault> {
    let mut word = Word::Nothing;
    for list in &trusted.lists {
        let (names, speaks) = (list.names(certificate), list.speaks_for(certificate));
        if !names && !speaks {
            continue;
        }
        let is_believed = is_believed(list, certificate, issuer, trusted, now);
        if names && is_believed {
            return Err(Fault::Revoked);
        }
        word = match word {
            Word::GoodUntil(_) => word,
            _ if is_believed && speaks && now <= list.next_update => Word::GoodUntil(list.next_update),
            _ => Word::Worthless,
        };
    }
    Ok(word)
}

/// Whether who signed `list` may speak for `certificate`: its issuer, or, of an indirect list, a configured signer
/// of such lists or a root.
fn is_believed(
    list: &RevocationList,
    certificate: &CertificateFacts,
    issuer: &CertificateFacts,
    trusted: &Trusted,
    now: Timestamp,
) -> bool {
    if list.issuer == certificate.issuer_name && list.is_signed_by(issuer) {
        return true;
    }
    let signers = trusted.list_signers.iter().chain(trusted.root_facts.iter().map(|root| &**root));
    let may = |signer: &&CertificateFacts| {
        signer.subject_name == list.issuer && (signer.not_before..=signer.not_after).contains(&now)
    };
    list.is_indirect() && signers.filter(may).any(|signer| list.is_signed_by(signer))
}

fn staples_say(
    certificate: &CertificateFacts,
    issuer: &CertificateFacts,
    staples: &[Staple],
    now: Timestamp,
) -> Result<Word, Fault> {
    let mut word = Word::Nothing;
    for (status, until) in staples.iter().filter_map(|staple| staple.status(certificate, issuer, now)) {
        match status {
            Status::Revoked => return Err(Fault::Revoked),
            Status::Good => word = Word::GoodUntil(until),
            Status::Unknown => return Err(Fault::RevocationUnknown),
        }
    }
    Ok(word)
}
