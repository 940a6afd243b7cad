//! What one NAPTR record says about a number (RFC 6116 §3.4 and §5.2). It knows no DNS messages and asks nobody.

use core::str::FromStr;

use herald_stir::services::CpsUri;
use hickory_proto::rr::Name;

use crate::limits::{ENUMSERVICE_WORD_BYTES_MAX, RULES_MAX};
use crate::regexp::substitute;

/// A NAPTR record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The major term of the order; lower is first.
    pub order: u16,
    /// The minor term.
    pub preference: u16,
    /// `u` for one that ends the search, nothing for one that refers to another name.
    pub flags: Vec<u8>,
    /// What the result is good for.
    pub services: Vec<u8>,
    /// The substitution.
    pub regexp: Vec<u8>,
    /// The name it refers to.
    pub replacement: Name,
}

/// What a rule comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// A service of the number, and the place of the enumservice it was found under in [`Enumservices`].
    Service(String, usize),
    /// The records of another name are to be looked at.
    Refers(Name),
    /// Nothing: it is discarded, and the next one is looked at.
    Discarded,
}

/// `rules` in the order in which they are looked at: by ORDER, then PREFERENCE, then as they came; the first
/// [`RULES_MAX`]. rfc6116:5.2-3, rfc6116:5.2-5.
pub fn in_order(mut rules: Vec<Rule>) -> Vec<Rule> {
    rules.sort_by_key(|rule| (rule.order, rule.preference));
    rules.truncate(RULES_MAX);
    rules
}

impl Rule {
    /// What it says about `number`, which is `+` and digits. Records of private enumservices count only if
    /// `is_private`.
    pub fn judge(&self, number: &str, wanted: &Enumservices, is_private: bool) -> Judgement {
        match &*self.flags {
            // rfc6116:5.2.1-1.
            [] if self.replacement.is_root() => Judgement::Discarded,
            [] => Judgement::Refers(self.replacement.clone()),
            [b'u' | b'U'] => self.service(number, wanted, is_private).unwrap_or(Judgement::Discarded),
            // rfc6116:3.4.2-1.
            _ => Judgement::Discarded,
        }
    }

    fn service(&self, number: &str, wanted: &Enumservices, is_private: bool) -> Option<Judgement> {
        let offered = offered(&self.services)?;
        // rfc6116:3.4.3.1-1.
        if !is_private && offered.iter().any(Enumservice::is_private) {
            return None;
        }
        let place = offered.iter().find_map(|one| wanted.0.iter().position(|wanted| wanted == one))?;
        let uri = substitute(&self.regexp, number)?;
        let CpsUri::Https(uri) = CpsUri::from_str(&uri).ok()? else { return None };
        Some(Judgement::Service(uri.to_string(), place))
    }
}

/// An enumservice: a type and its subtypes, as in `X-stircps:https`. Case means nothing. rfc6116:3.6-1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enumservice(String);

impl Enumservice {
    /// Whether it is meant for private networks only (RFC 6116 §3.4.3.1).
    pub fn is_private(&self) -> bool {
        self.0.starts_with("p-")
    }

    fn read(text: &str) -> Option<Self> {
        let is_word = |word: &str| {
            (1..=ENUMSERVICE_WORD_BYTES_MAX).contains(&word.len())
                && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        text.split(':').all(is_word).then(|| Self(text.to_ascii_lowercase()))
    }
}

impl FromStr for Enumservice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text).ok_or_else(|| {
            format!("{text:?} is no enumservice; write TYPE:SUBTYPE of letters, digits and hyphens")
        })
    }
}

/// The enumservices whose records name Call Placement Services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enumservices(Vec<Enumservice>);

impl Enumservices {
    /// These.
    pub fn new(services: Vec<Enumservice>) -> Self {
        Self(services)
    }

    /// The one at `place`, in lower case.
    pub fn name(&self, place: usize) -> &str {
        self.0.get(place).map_or("", |service| &service.0)
    }
}

impl Default for Enumservices {
    /// None is registered for Call Placement Services; these are for trial use and for private networks.
    fn default() -> Self {
        let names = ["x-stircps:https:ppts", "x-stircps:https", "p-stircps:https:ppts", "p-stircps:https"];
        Self(names.iter().map(|name| Enumservice((*name).to_owned())).collect())
    }
}

/// The enumservices of a services field, from left to right; `None` if it is of another application. rfc6116:5.2-10,
/// rfc6116:5.2-11.
fn offered(services: &[u8]) -> Option<Vec<Enumservice>> {
    let text = core::str::from_utf8(services).ok()?.to_ascii_lowercase();
    if let Some(listed) = text.strip_prefix("e2u+") {
        return Some(listed.split('+').filter_map(Enumservice::read).collect());
    }
    // RFC 2916 wrote it the other way round. rfc6116:5.2-12.
    let old = text.strip_suffix("+e2u")?;
    Some(Enumservice::read(old).into_iter().collect())
}
