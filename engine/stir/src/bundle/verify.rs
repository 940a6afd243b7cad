//! Reading a key bundle and deciding whether it is to be believed.

use core::fmt;

use herald_core::{TelephoneNumber, Timestamp};

use super::entry::Span;
use super::{KeyBundle, TYPE};
use crate::certificate::{CertificateChain, TnAuthList, TnEntry, TrustStore};
use crate::error::Fault;
use crate::json::Json;
use crate::jws::{Jws, Members, faults_of_jws};
use crate::limits::{
    AHEAD_DEFAULT_S, KEY_BUNDLE_BYTES_MAX, KEY_BUNDLE_CPS_MAX, KEY_BUNDLE_ENTRIES_MAX,
    KEY_BUNDLE_LIFETIME_MAX_S, RECIPIENT_KEYS_MAX,
};
use crate::passport::{CertificateReference, Leniency, check_url};
use crate::seal::{SealingPublicKey, Suite};

/// A bundle that was read and is not yet to be believed.
#[derive(Clone, Debug)]
pub struct SignedBundle {
    bundle: KeyBundle,
    jws: Jws,
}

impl SignedBundle {
    /// Reads a bundle in JWS compact form. O(bytes).
    ///
    /// # Errors
    /// [`BundleFault`] for its form.
    pub fn parse(token: &[u8]) -> Result<Self, BundleFault> {
        if token.len() > KEY_BUNDLE_BYTES_MAX {
            return Err(BundleFault::TooLong(token.len()));
        }
        let jws = Jws::parse(token, TYPE)?;
        Ok(Self { bundle: read_payload(&jws.payload)?, jws })
    }

    /// What it says; not to be believed before it is verified.
    pub const fn bundle(&self) -> &KeyBundle {
        &self.bundle
    }

    /// Where the owner's certificate is.
    pub const fn certificate(&self) -> &CertificateReference {
        &self.jws.certificate
    }

    /// The bundle as it was signed.
    pub fn token(&self) -> &str {
        &self.jws.token
    }

    /// What can be told of a bundle that carries its certificates (`x5c`) without verifying a signature: its times, that
    /// its keys are of `suite`, and that the certificates claim its issuer and all its entries. Gives the certificates,
    /// for [`verify`](Self::verify). O(bytes).
    ///
    /// # Errors
    /// [`BundleFault`]; [`BundleFault::NotInline`] if it names a URL instead.
    pub fn check_inline(&self, suite: Suite, now: Timestamp) -> Result<CertificateChain, BundleFault> {
        let CertificateReference::Inline(chain) = &self.jws.certificate else {
            return Err(BundleFault::NotInline);
        };
        let chain = CertificateChain::from_der(chain)?;
        self.check(&chain, suite, now)?;
        Ok(chain)
    }

    /// Verifies it at `now` on the wall clock: times, that its keys are of the `suite` of the Call Placement
    /// Service, that the certificates stand for its issuer and all its entries, the signature, and the chain to a
    /// root. Cheap things first; up to seven signatures are verified.
    ///
    /// A service provider code stands for entries of that code and for no number: whose a number is, is not known
    /// here.
    ///
    /// # Errors
    /// [`BundleFault`].
    pub fn verify(
        self,
        chain: &CertificateChain,
        trust: &TrustStore,
        suite: Suite,
        now: Timestamp,
    ) -> Result<VerifiedBundle, BundleFault> {
        self.check(chain, suite, now)?;
        if !self.jws.is_signed_by(chain.signer_key()?) {
            return Err(BundleFault::Signature);
        }
        for list in chain.verify(trust, now)?.lists() {
            self.bundle.check_covered_by(list?)?;
        }
        Ok(VerifiedBundle { bundle: self.bundle, token: self.jws.token })
    }

    /// Verifies a bundle that carries its certificates (`x5c`).
    ///
    /// # Errors
    /// As [`verify`](Self::verify); [`BundleFault::NotInline`] if it names a URL instead.
    pub fn verify_inline(
        self,
        trust: &TrustStore,
        suite: Suite,
        now: Timestamp,
    ) -> Result<VerifiedBundle, BundleFault> {
        let chain = self.check_inline(suite, now)?;
        self.verify(&chain, trust, suite, now)
    }

    /// What is cheap.
    fn check(&self, chain: &CertificateChain, suite: Suite, now: Timestamp) -> Result<(), BundleFault> {
        self.bundle.check_times(now)?;
        if self.bundle.keys.iter().any(|key| key.suite() != suite) {
            return Err(BundleFault::Suite(suite));
        }
        self.bundle.check_covered_by(chain.signer_numbers()?)
    }
}

/// A bundle that was verified.
#[derive(Clone, Debug)]
pub struct VerifiedBundle {
    bundle: KeyBundle,
    token: String,
}

impl VerifiedBundle {
    /// What it says.
    pub const fn bundle(&self) -> &KeyBundle {
        &self.bundle
    }

    /// The bundle as it was signed.
    pub fn token(&self) -> &str {
        &self.token
    }
}

impl KeyBundle {
    pub(super) fn check_times(&self, now: Timestamp) -> Result<(), BundleFault> {
        let now_s = now.as_millis() / 1000;
        if self.exp_s <= now_s {
            return Err(BundleFault::Expired);
        }
        if self.iat_s > now_s.saturating_add(AHEAD_DEFAULT_S) {
            return Err(BundleFault::Ahead);
        }
        Ok(())
    }

    fn check_covered_by(&self, list: &TnAuthList) -> Result<(), BundleFault> {
        let spans = merged_spans(list);
        let is_covered = |entry: &TnEntry| match Span::of(entry) {
            Some(span) => is_within(span, &spans),
            None => list.entries().contains(entry),
        };
        let covered = core::iter::once(&self.issuer).chain(&self.entries).all(is_covered);
        if covered { Ok(()) } else { Err(BundleFault::Certificate(Fault::NotCovered)) }
    }
}

/// The numbers of a list, in order, what touches joined.
fn merged_spans(list: &TnAuthList) -> Vec<Span> {
    let mut spans: Vec<_> = list.entries().iter().filter_map(Span::of).collect();
    spans.sort_unstable();
    spans.dedup_by(|later, span| {
        let joins = later.sign_count == span.sign_count && later.first <= span.past;
        if joins {
            span.past = span.past.max(later.past);
        }
        joins
    });
    spans
}

fn is_within(span: Span, merged: &[Span]) -> bool {
    let begins_after = |one: &Span| (one.sign_count, one.first) <= (span.sign_count, span.first);
    merged[..merged.partition_point(begins_after)]
        .last()
        .is_some_and(|one| one.sign_count == span.sign_count && span.past <= one.past)
}

fn read_payload(payload: &Members) -> Result<KeyBundle, BundleFault> {
    let seconds = |name| match payload.get(name) {
        Some(Json::Integer(seconds)) => u64::try_from(*seconds).map_err(|_| BundleFault::Member(name)),
        _ => Err(BundleFault::Member(name)),
    };
    let (iat_s, exp_s) = (seconds("iat")?, seconds("exp")?);
    if exp_s <= iat_s || exp_s - iat_s > KEY_BUNDLE_LIFETIME_MAX_S {
        return Err(BundleFault::Lifetime);
    }
    let issuer = payload.get("iss").and_then(read_entry);
    let issuer = issuer.filter(|issuer| !matches!(issuer, TnEntry::Range(_)));
    let entries = read_list(payload, "tn", KEY_BUNDLE_ENTRIES_MAX, read_entry)?;
    if entries.is_empty() {
        return Err(BundleFault::Member("tn"));
    }
    let keys = read_list(payload, "keys", RECIPIENT_KEYS_MAX, read_key)?;
    if keys.iter().any(|key| key.suite() != keys[0].suite()) {
        return Err(BundleFault::Member("keys"));
    }
    let cps = read_list(payload, "cps", KEY_BUNDLE_CPS_MAX, read_uri)?;
    let issuer = issuer.ok_or(BundleFault::Member("iss"))?;
    Ok(KeyBundle { issuer, iat_s, exp_s, entries, keys, cps })
}

fn read_list<T>(
    payload: &Members,
    name: &'static str,
    count_max: usize,
    read: fn(&Json) -> Option<T>,
) -> Result<Vec<T>, BundleFault> {
    let Some(Json::Array(items)) = payload.get(name) else { return Err(BundleFault::Member(name)) };
    if items.len() > count_max {
        return Err(BundleFault::TooMany(name, count_max));
    }
    items.iter().map(read).collect::<Option<_>>().ok_or(BundleFault::Member(name))
}

fn read_entry(entry: &Json) -> Option<TnEntry> {
    entry.as_text()?.parse().ok()
}

/// A public key to encrypt for. A private part beside it is refused rather than passed on.
fn read_key(key: &Json) -> Option<SealingPublicKey> {
    let members = key.as_object()?;
    let is = |name, wanted| members.get(name).and_then(Json::as_text) == Some(wanted);
    let key = SealingPublicKey::from_members(members).ok()?;
    let good = is("alg", key.suite().jose_name()) && is("use", "enc") && !members.contains_key("d");
    good.then_some(key)
}

fn read_uri(uri: &Json) -> Option<String> {
    let uri = uri.as_text()?;
    check_url(uri, &Leniency::STRICT).ok().map(|()| uri.to_owned())
}

/// Whether `entry` is about `number`; how many numbers it is about, if so.
pub(super) fn breadth(entry: &TnEntry, number: TelephoneNumber) -> Option<u64> {
    match entry {
        TnEntry::One(one) => (*one == number).then_some(1),
        TnEntry::Range(range) => range.contains(number).then_some(range.count()),
        TnEntry::Spc(_) => None,
    }
}

/// Why a key bundle is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleFault {
    /// More bytes than [`KEY_BUNDLE_BYTES_MAX`]; how many.
    TooLong(usize),
    /// Not a JWS in compact form of two JSON objects, members once each.
    Form,
    /// A member of header or payload is missing or has the wrong form.
    Member(&'static str),
    /// A list has more items than the number given.
    TooMany(&'static str, usize),
    /// `exp` is not after `iat`, or more than a day after it.
    Lifetime,
    /// It has expired.
    Expired,
    /// It was made in the future.
    Ahead,
    /// Its keys are not of the suite wanted.
    Suite(Suite),
    /// It names a URL of its certificates and does not carry them.
    NotInline,
    /// The signature is not one of the certificate's key over these bytes.
    Signature,
    /// The certificates are not to be believed or do not stand for the numbers.
    Certificate(Fault),
}

faults_of_jws!(BundleFault);

impl fmt::Display for BundleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => write!(
                f,
                "the bundle has {bytes} bytes; at most {KEY_BUNDLE_BYTES_MAX} are read: spread its entries over \
                 several"
            ),
            Self::Form => f.write_str("the bundle is not a JWS in compact form of two JSON objects"),
            Self::Member(name) => write!(f, "the bundle's {name} is missing or has the wrong form"),
            Self::TooMany(name, max) => write!(f, "the bundle's {name} holds more than {max} items"),
            Self::Lifetime => {
                write!(f, "the bundle's exp must be after its iat, by {KEY_BUNDLE_LIFETIME_MAX_S} s at most")
            }
            Self::Expired => f.write_str("the bundle has expired; have its owner sign a new one"),
            Self::Ahead => f.write_str("the bundle was made in the future; compare the clocks"),
            Self::Suite(suite) => {
                write!(
                    f,
                    "the bundle's keys are not of the suite used here, {suite:?} ({})",
                    suite.jose_name()
                )
            }
            Self::NotInline => f.write_str("the bundle does not carry its certificates; sign it with x5c"),
            Self::Signature => f.write_str("the bundle's signature does not verify"),
            Self::Certificate(fault) => write!(f, "the bundle's certificates: {fault}"),
        }
    }
}

impl core::error::Error for BundleFault {}
