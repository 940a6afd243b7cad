//! The two things a switch wants: place this call, check this call (RFC 8816 §8.1 and §8.2).
//!
//! Both work on whole calls over a service elsewhere. Keys, certificates and the time are given; nothing is
//! fetched but the placements.

use core::fmt;

use herald_core::{Random, TelephoneNumber, Timestamp};
use herald_stir::{
    Attestation, CallFacts, CertificateReference, Claims, Fault, Identity, SealingKey, SealingPublicKey,
    SigningKey, StirError, Verdict, VerificationPolicy, open, seal,
};

use crate::client::CpsClient;
use crate::cps::CpsError;

/// Who signs for whom, and for whom it is sealed.
pub struct PlaceCall<'a> {
    /// The caller.
    pub orig: TelephoneNumber,
    /// The called number.
    pub dest: TelephoneNumber,
    /// How well the caller is known (RFC 8588).
    pub attest: Attestation,
    /// The signer's key.
    pub signing_key: &'a SigningKey,
    /// The signer's certificate.
    pub certificate: &'a CertificateReference,
    /// The keys of the called side: a copy is sealed for each.
    pub recipients: &'a [SealingPublicKey],
}

/// What placing a call did.
#[derive(Clone, Debug)]
pub struct PlacedCall {
    /// The PASSporT that was signed.
    pub passport: String,
    /// The size of each sealed copy, in bytes.
    pub sealed_bytes: Vec<usize>,
    /// Where each copy waits.
    pub locations: Vec<String>,
}

impl PlaceCall<'_> {
    /// Signs a shaken PASSporT for the call at `now` on the wall clock.
    ///
    /// # Errors
    /// [`CallError::Stir`].
    pub fn sign(&self, now: Timestamp, random: &dyn Random) -> Result<String, CallError> {
        let iat_s = i64::try_from(now.as_millis() / 1000).unwrap_or(i64::MAX);
        let (orig, dest) = (Identity::from(self.orig), Identity::from(self.dest));
        let claims = Claims::shaken(orig, dest, iat_s, self.attest, uuid(random));
        Ok(claims.sign(self.certificate, self.signing_key)?)
    }

    /// Signs, seals a copy for each recipient and stores them under the called number.
    ///
    /// # Errors
    /// [`CallError`]; copies stored before the failure stay until they expire.
    pub fn place(
        &self,
        service: &CpsClient,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<PlacedCall, CallError> {
        let passport = self.sign(now, random)?;
        let mut placed = PlacedCall { passport, sealed_bytes: Vec::new(), locations: Vec::new() };
        for recipient in self.recipients {
            let sealed = seal(&placed.passport, self.dest, recipient, random)?;
            placed.locations.push(service.store(self.dest, &sealed)?);
            placed.sealed_bytes.push(sealed.len());
        }
        Ok(placed)
    }
}

/// A call that arrived, and what is needed to check it.
pub struct CheckCall<'a> {
    /// The caller, as signalled.
    pub orig: TelephoneNumber,
    /// The called number.
    pub dest: TelephoneNumber,
    /// The called side's keys.
    pub sealing_keys: &'a [SealingKey],
    /// What a PASSporT must satisfy.
    pub policy: &'a VerificationPolicy,
    /// Answers with the certificate chain (PEM) that an `x5u` serves, if the caller has it.
    pub chain_pem: &'a dyn Fn(&str) -> Option<Vec<u8>>,
}

/// What checking a call found.
#[derive(Clone, Debug)]
pub struct CheckedCall {
    /// Items retrieved, cover included.
    pub items_count: usize,
    /// Items that opened with the called side's keys.
    pub opened_count: usize,
    /// The verdict: of the first PASSporT that holds for the call; else of one that does not; `None` if nothing
    /// opened, which is what a call without a PASSporT looks like.
    pub verdict: Option<Verdict>,
}

impl CheckCall<'_> {
    /// Retrieves everything under the called number, opens what opens and judges it at `now` on the wall clock.
    ///
    /// # Errors
    /// [`CallError::Service`] if nothing could be retrieved; a bad PASSporT is a verdict, not an error.
    pub fn check(&self, service: &CpsClient, now: Timestamp) -> Result<CheckedCall, CallError> {
        let items = service.retrieve(self.dest)?;
        let mut checked = CheckedCall { items_count: items.len(), opened_count: 0, verdict: None };
        let call = CallFacts::new(self.orig.into(), self.dest.into());
        for item in &items {
            let Ok(passport) = open(&item.body, self.dest, self.sealing_keys) else { continue };
            checked.opened_count += 1;
            let verdict = self.policy.verify(passport.as_bytes(), &self.chain_pem, &call, now);
            if closer(&verdict, checked.verdict.as_ref()) {
                checked.verdict = Some(verdict);
            }
        }
        Ok(checked)
    }
}

/// Whether `verdict` says more about the call than what is known: a PASSporT that holds says most, one of
/// another call least.
fn closer(verdict: &Verdict, known: Option<&Verdict>) -> bool {
    let rank = |verdict: &Verdict| match verdict {
        Ok(_) => 2,
        Err(Fault::OrigMismatch | Fault::DestMismatch) => 0,
        Err(_) => 1,
    };
    known.is_none_or(|known| rank(verdict) > rank(known))
}

/// A random UUID (RFC 9562 version 4), for `origid`.
fn uuid(random: &dyn Random) -> String {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    let value = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | (4 << 76) | (2 << 62);
    let hex = format!("{value:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// Why a call was not placed or checked.
#[derive(Debug)]
pub enum CallError {
    /// Signing or sealing failed.
    Stir(StirError),
    /// The service failed or refused.
    Service(CpsError),
}

impl From<StirError> for CallError {
    fn from(error: StirError) -> Self {
        Self::Stir(error)
    }
}

impl From<CpsError> for CallError {
    fn from(error: CpsError) -> Self {
        Self::Service(error)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stir(error) => error.fmt(f),
            Self::Service(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for CallError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origid_is_a_version_4_uuid_with_all_other_bits_random() {
        struct Ones;
        impl Random for Ones {
            fn fill(&self, out: &mut [u8]) {
                out.fill(0xff);
            }
        }
        assert_eq!(uuid(&Ones), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
