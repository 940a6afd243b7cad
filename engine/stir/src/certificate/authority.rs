//! The authority over numbers along a chain that leads to a root. It does not know which numbers belong to a
//! service provider code.

use std::sync::Arc;

use super::chain::CertificateChain;
use super::facts::Numbers;
use super::path::Path;
use super::tn_auth_list::{Coverage, TnAuthList};
use crate::error::Fault;
use crate::passport::Identity;

/// By what right a PASSporT was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The certificates name the number.
    Number,
    /// Somewhere along the chain only these service provider codes stand for the number. Whether the number is
    /// theirs must be looked up elsewhere.
    OnlyBySpc(Vec<String>),
    /// The PASSporT vouches for a priority (`rph`): authority over numbers does not apply (RFC 8443 §6), and
    /// authority over the priority was not judged.
    Unjudged,
}

/// A chain that leads to a root.
#[derive(Clone, Debug)]
pub struct VerifiedChain<'a> {
    pub(super) chain: &'a CertificateChain,
    pub(super) path: Arc<Path>,
}

impl VerifiedChain<'_> {
    /// By what right the signer speaks for `party`: its own list and the list of every issuer that has one must
    /// stand for it (RFC 8226 §9: in a CA certificate the list limits the path; RFC 9060 §5).
    ///
    /// # Errors
    /// [`Fault::NotCovered`], or another of the stages cert and authz if a list cannot be understood.
    pub fn authority(&self, party: &Identity) -> Result<Authority, Fault> {
        let mut codes: Option<Vec<&str>> = None;
        for list in self.lists() {
            let list = list?;
            match (coverage(list, party), &mut codes) {
                (Coverage::NotCovered, _) => return Err(Fault::NotCovered),
                (Coverage::Covered, _) => {}
                (Coverage::OnlyBySpc, None) => codes = Some(list.spcs().collect()),
                (Coverage::OnlyBySpc, Some(codes)) => {
                    codes.retain(|&code| list.spcs().any(|spc| spc == code))
                }
            }
        }
        match codes {
            None => Ok(Authority::Number),
            Some(codes) if codes.is_empty() => Err(Fault::NotCovered),
            Some(codes) => Ok(Authority::OnlyBySpc(codes.into_iter().map(str::to_owned).collect())),
        }
    }

    /// The lists along the chain, the signer's first.
    pub(crate) fn lists(&self) -> impl Iterator<Item = Result<&TnAuthList, Fault>> {
        core::iter::once(self.chain.signer_numbers()).chain(self.issuer_lists())
    }

    fn issuer_lists(&self) -> impl Iterator<Item = Result<&TnAuthList, Fault>> {
        self.path.issuers.iter().filter_map(|&index| match &self.chain.facts()[index].numbers {
            Numbers::Unsaid => None,
            Numbers::List(list) => Some(Ok(list)),
            Numbers::Malformed => Some(Err(Fault::TnAuthList)),
            Numbers::ByReference => Some(Err(Fault::TnAuthListByReference)),
        })
    }
}

/// How far a list stands for a party. About a URI a list of numbers says nothing, so only a service provider
/// code can stand for it.
pub(super) fn coverage(list: &TnAuthList, party: &Identity) -> Coverage {
    match party {
        Identity::Tn(number) => list.coverage(*number),
        Identity::Uri(_) if list.spcs().next().is_some() => Coverage::OnlyBySpc,
        Identity::Uri(_) => Coverage::NotCovered,
    }
}
