//! The parties of a call as claims name them (RFC 8225 §5.2.1). It does not know who they are.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeMap;

use herald_core::TelephoneNumber;

use super::Leniency;
use crate::error::Fault;
use crate::json::Json;
use crate::limits::{DESTINATIONS_MAX, URI_BYTES_MAX};

/// A party: a telephone number or a URI. `Debug` hides most of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// A canonical telephone number.
    Tn(TelephoneNumber),
    /// A URI, compared byte by byte.
    Uri(String),
}

impl fmt::Display for Identity {
    /// In full: for answers, never for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tn(number) => write!(f, "{number}"),
            Self::Uri(uri) => f.write_str(uri),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tn(number) => write!(f, "{number:?}"),
            Self::Uri(uri) => write!(f, "Uri({} bytes)", uri.len()),
        }
    }
}

impl From<TelephoneNumber> for Identity {
    fn from(number: TelephoneNumber) -> Self {
        Self::Tn(number)
    }
}

impl FromStr for Identity {
    type Err = Fault;

    /// Reads a number in any visual form, or a URI; a `tel` URI, and a `sip` URI whose user part is a number, name
    /// that number (RFC 8224 §8).
    fn from_str(text: &str) -> Result<Self, Fault> {
        text.parse().map_or_else(|_| crate::sip::identity_of_uri(text), |number| Ok(Self::Tn(number)))
    }
}

impl Identity {
    /// Its telephone number, if it is one.
    pub const fn number(&self) -> Option<TelephoneNumber> {
        if let Self::Tn(number) = self { Some(*number) } else { None }
    }

    /// The object with one member of `orig` and `div`.
    pub(super) fn to_json(&self) -> Json {
        let (name, text) = self.member();
        Json::Object(BTreeMap::from([(name.to_owned(), Json::Text(text))]))
    }

    // rfc8225:5.2.1.1-1, rfc8225:5.2.1.2-1.
    fn member(&self) -> (&'static str, String) {
        match self {
            Self::Tn(number) => ("tn", number.to_string()),
            Self::Uri(uri) => ("uri", uri.clone()),
        }
    }

    /// Reads `orig` or `div`: an object with exactly one of `tn` and `uri`, and nothing else.
    // rfc8225:5.2.1-1, rfc8225:5.2.1-2, rfc8946:3-5.
    pub(super) fn from_json(
        value: Option<&Json>,
        claim: &'static str,
        leniency: &Leniency,
    ) -> Result<Self, Fault> {
        let members = value.ok_or(Fault::NoIdentity(claim))?.as_object().ok_or(Fault::Claim(claim))?;
        let mut members = members.iter();
        let (name, text) = members.next().ok_or(Fault::NoIdentity(claim))?;
        let text = text.as_text().ok_or(Fault::Claim(claim))?;
        if members.next().is_some() {
            return Err(Fault::Claim(claim));
        }
        Self::read(name, text, claim, leniency)
    }

    // rfc8225:5.2.1.1-1, rfc8225:5.2.1.2-1.
    fn read(name: &str, text: &str, claim: &'static str, leniency: &Leniency) -> Result<Self, Fault> {
        if text.is_empty() {
            return Err(Fault::NoIdentity(claim));
        }
        match name {
            "tn" => read_number(text, claim, leniency).map(Self::Tn),
            "uri" if is_uri(text) => Ok(Self::Uri(text.to_owned())),
            _ => Err(Fault::Claim(claim)),
        }
    }
}

// rfc8225:5.2.1.1-2.
fn read_number(text: &str, claim: &'static str, leniency: &Leniency) -> Result<TelephoneNumber, Fault> {
    let number: TelephoneNumber = text.parse().map_err(|_| Fault::Claim(claim))?;
    let canonical = text.bytes().all(|sign| sign.is_ascii_digit() || matches!(sign, b'*' | b'#'));
    if canonical || leniency.number_separators { Ok(number) } else { Err(Fault::NotCanonical(claim)) }
}

/// A scheme, a colon and something behind it, in visible ASCII. More is the business of who resolves it.
fn is_uri(text: &str) -> bool {
    let scheme_len = text.find(':').unwrap_or(0);
    let scheme = &text.as_bytes()[..scheme_len];
    text.len() <= URI_BYTES_MAX
        && scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|sign| sign.is_ascii_alphanumeric() || matches!(sign, b'+' | b'-' | b'.'))
        && text.len() > scheme_len + 1
        && text.bytes().all(|sign| sign.is_ascii_graphic())
}

/// Reads `dest`: an object with a non-empty array of texts under `tn`, `uri` or both.
// rfc8225:5.2.1-1, rfc8225:5.2.1-3.
pub(super) fn destinations_from_json(
    value: Option<&Json>,
    leniency: &Leniency,
) -> Result<Vec<Identity>, Fault> {
    const CLAIM: &str = "dest";
    let members = value.ok_or(Fault::NoIdentity(CLAIM))?.as_object().ok_or(Fault::Claim(CLAIM))?;
    let mut destinations = Vec::new();
    for (name, value) in members {
        let texts = match value {
            Json::Array(texts) if !texts.is_empty() => texts.as_slice(),
            Json::Text(_) if leniency.dest_as_text => core::slice::from_ref(value),
            _ => return Err(Fault::Claim(CLAIM)),
        };
        if destinations.len() + texts.len() > DESTINATIONS_MAX {
            return Err(Fault::Claim(CLAIM));
        }
        for text in texts {
            let text = text.as_text().ok_or(Fault::Claim(CLAIM))?;
            destinations.push(Identity::read(name, text, CLAIM, leniency)?);
        }
    }
    if destinations.is_empty() { Err(Fault::NoIdentity(CLAIM)) } else { Ok(destinations) }
}

/// Writes `dest`, its arrays sorted (RFC 8225 §5.2.1) and without repetition.
pub(super) fn destinations_to_json(destinations: &[Identity]) -> Json {
    let mut members: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, text) in destinations.iter().map(Identity::member) {
        members.entry(name.to_owned()).or_default().push(text);
    }
    let arrays = members.into_iter().map(|(name, mut texts)| {
        texts.sort_unstable();
        texts.dedup();
        (name, Json::Array(texts.into_iter().map(Json::Text).collect()))
    });
    Json::Object(arrays.collect())
}
