//! The authority over numbers along a chain that leads to a root, and what its certificates demand of claims.

use core::fmt;
use std::collections::BTreeSet;
use std::sync::Arc;

use herald_core::{TelephoneNumber, Timestamp};

use super::chain::CertificateChain;
use super::facts::{CertificateFacts, Numbers, Scope};
use super::path::Path;
use super::source::{CertificateSource, Held};
use super::tn_auth_list::{Coverage, Encompassed, TnAuthList, TnEntry};
use crate::error::Fault;
use crate::json::Json;
use crate::limits::CODES_ASKED_MAX;
use crate::passport::Identity;

/// By what right a PASSporT was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The certificates name the number, or the [source](CertificateSource::code_holds) says that it belongs to
    /// a service provider code they name.
    Number,
    /// Somewhere along the chain only these service provider codes stand for the number. Whether the number is
    /// theirs must be looked up elsewhere.
    OnlyBySpc(Vec<String>),
    /// The PASSporT vouches for a priority (`rph`): authority over numbers does not apply (RFC 8443 §6), and
    /// authority over the priority was not judged.
    Unjudged,
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "the certificate covers the number",
            Self::OnlyBySpc(_) => "the certificate names a provider code, not the number",
            Self::Unjudged => "authority over the priority was not judged",
        })
    }
}

/// A chain that leads to a root.
#[derive(Clone, Debug)]
pub struct VerifiedChain<'a> {
    pub(super) chain: &'a CertificateChain,
    pub(super) path: Arc<Path>,
}

impl VerifiedChain<'_> {
    /// By what right the signer speaks for `party` at `now`: its own list and the list of every issuer that has
    /// one, the root's too, must stand for it (RFC 8226 §9: in a CA certificate the list limits the path), and
    /// each list must lie within the next above it (RFC 9060 §4). Lists by reference come from `source`, which
    /// also says which numbers belong to a code. They change without their issuers' doing, so of them only
    /// `party` is asked.
    ///
    /// # Errors
    /// [`Fault::NotCovered`], [`Fault::NotEncompassed`], or another of the stages cert and authz if a list
    /// cannot be understood or is not at hand.
    // rfc8226:10.1-1.
    pub fn authority(
        &self,
        party: &Identity,
        source: &dyn CertificateSource,
        now: Timestamp,
    ) -> Result<Authority, Fault> {
        let mut codes: Option<BTreeSet<String>> = None;
        self.chain.signer_scope()?;
        for facts in self.path.certificates(self.chain.facts()) {
            let Some(scope) = facts.scope()? else { continue };
            match (reach(scope, party, source, now)?, &mut codes) {
                (Reach::Nobody, _) => return Err(Fault::NotCovered),
                (Reach::Party, _) => {}
                (Reach::OnlyBySpc(here), None) => codes = Some(here),
                (Reach::OnlyBySpc(here), Some(codes)) => codes.retain(|code| here.contains(code)),
            }
        }
        if !self.path.is_encompassed {
            return Err(Fault::NotEncompassed);
        }
        match codes {
            None => Ok(Authority::Number),
            Some(codes) if codes.is_empty() => Err(Fault::NotCovered),
            Some(codes) => Ok(Authority::OnlyBySpc(codes.into_iter().collect())),
        }
    }

    /// The lists along the chain, the signer's first, those by reference left out.
    ///
    /// # Errors
    /// Each list's own, and [`Fault::NotEncompassed`] behind the last.
    pub(crate) fn lists(&self) -> impl Iterator<Item = Result<&TnAuthList, Fault>> {
        let issuers = self.path.certificates(self.chain.facts()).skip(1);
        let lists = issuers.filter_map(|facts| facts.list().transpose());
        let whole = (!self.path.is_encompassed).then_some(Err(Fault::NotEncompassed));
        core::iter::once(self.chain.signer_numbers()).chain(lists).chain(whole)
    }

    /// Whether every list along the chain encompasses `entry`, so that its holder speaks for all of it. A service
    /// provider code lies within the same code only. O(log entries) for each certificate.
    ///
    /// # Errors
    /// Each list's own, as where it is by reference; [`Fault::NotEncompassed`].
    pub fn stands_for(&self, entry: &TnEntry) -> Result<bool, Fault> {
        let own = TnAuthList::new(vec![entry.clone()]).map_err(|_| Fault::TnAuthList)?;
        let mut stands = true;
        for list in self.lists() {
            stands &= own.encompassed_by(list?) == Encompassed::Yes;
        }
        Ok(stands)
    }

    /// Whether [`stands_for`](Self::stands_for) is true of each entry of the signer's own list, and can be told from the
    /// certificates alone. O(1).
    pub fn stands_for_own(&self) -> bool {
        self.path.stands_for_own
    }

    /// Whether the certificates let their holder sign `claims`. RFC 8226 §8 and RFC 9118 §3 put constraints into
    /// the signer's certificate; those of an issuer bind as well, since it cannot give away more than it has.
    ///
    /// # Errors
    /// [`Fault::ClaimConstraints`], [`Fault::ClaimNotPermitted`].
    // rfc8226:8-1, rfc8226:8-4, rfc9118:3-1, rfc9118:3-4, rfc9118:3-5.
    pub fn check_claims(&self, claims: &dyn Fn() -> Json) -> Result<(), Fault> {
        self.path.certificates(self.chain.facts()).try_for_each(|facts| facts.check_claims(claims))
    }
}

/// How far a certificate stands for a party.
enum Reach {
    Nobody,
    /// It does, if the party belongs to one of these codes.
    OnlyBySpc(BTreeSet<String>),
    Party,
}

// rfc8226:10.1-1.
fn reach(
    scope: &Scope,
    party: &Identity,
    source: &dyn CertificateSource,
    now: Timestamp,
) -> Result<Reach, Fault> {
    let own = scope.list.as_ref();
    if own.is_some_and(|list| coverage(list, party) == Coverage::Covered) {
        return Ok(Reach::Party);
    }
    let elsewhere = scope.urls.iter().find_map(|url| source.number_list(url, now));
    if elsewhere.as_ref().is_some_and(|list| coverage(list, party) == Coverage::Covered) {
        return Ok(Reach::Party);
    }
    let codes = || own.into_iter().chain(elsewhere.as_deref()).flat_map(TnAuthList::spcs);
    // What cannot be had can only add to what is here.
    if codes().next().is_none() && elsewhere.is_none() && !scope.urls.is_empty() {
        return Err(Fault::TnAuthListByReference);
    }
    Ok(match party {
        Identity::Tn(number) => reach_of_codes(codes(), *number, source),
        Identity::Uri(_) => by_codes(codes().map(str::to_owned).collect()),
    })
}

/// Asks about the first [`CODES_ASKED_MAX`] codes; about the others nothing is known.
fn reach_of_codes<'a>(
    codes: impl Iterator<Item = &'a str>,
    number: TelephoneNumber,
    source: &dyn CertificateSource,
) -> Reach {
    let mut unknown = BTreeSet::new();
    for (index, code) in codes.enumerate() {
        let held = if index < CODES_ASKED_MAX { source.code_holds(code, number) } else { Held::Unknown };
        match held {
            Held::Yes => return Reach::Party,
            Held::No => {}
            Held::Unknown => {
                unknown.insert(code.to_owned());
            }
        }
    }
    by_codes(unknown)
}

fn by_codes(codes: BTreeSet<String>) -> Reach {
    if codes.is_empty() { Reach::Nobody } else { Reach::OnlyBySpc(codes) }
}

/// How far a list stands for a party. About a URI a list of numbers says nothing, so only a service provider
/// code can stand for it.
fn coverage(list: &TnAuthList, party: &Identity) -> Coverage {
    match party {
        Identity::Tn(number) => list.coverage(*number),
        Identity::Uri(_) if list.spcs().next().is_some() => Coverage::OnlyBySpc,
        Identity::Uri(_) => Coverage::NotCovered,
    }
}

impl Scope {
    /// Whether it says nothing for `party`, whatever else is looked up.
    pub(super) fn is_out_of_reach(&self, party: &Identity) -> bool {
        self.urls.is_empty()
            && self.list.as_ref().is_none_or(|list| coverage(list, party) == Coverage::NotCovered)
    }
}

/// Whether every list above the first holds all of it. One that is elsewhere holds nothing that is known.
pub(super) fn stands_for_own<'a>(mut certificates: impl Iterator<Item = &'a CertificateFacts>) -> bool {
    let Some(Ok(Some(own))) = certificates.next().map(CertificateFacts::list) else { return false };
    let holds =
        |list: Option<&TnAuthList>| list.is_none_or(|list| own.encompassed_by(list) == Encompassed::Yes);
    certificates.all(|issuer| issuer.list().is_ok_and(holds))
}

/// Whether each list lies within the next above it, as far as the certificates themselves say.
// rfc9060:4-1.
pub(super) fn is_encompassed<'a>(certificates: impl Iterator<Item = &'a CertificateFacts>) -> bool {
    let mut below: Option<&TnAuthList> = None;
    for facts in certificates {
        let Numbers::Scope(scope) = &facts.numbers else { continue };
        if let (Some(child), Some(parent), true) = (below, &scope.list, scope.urls.is_empty())
            && child.encompassed_by(parent) == Encompassed::No
        {
            return false;
        }
        below = scope.list.as_ref();
    }
    true
}
