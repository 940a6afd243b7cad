//! What a certificate demands of the claims its holder signs: JWTClaimConstraints (RFC 8226 §8) and the
//! enhanced form (RFC 9118). It does not know what the claims mean.

use super::tlv::{self, tag};
use crate::json::Json;
use crate::limits::{CLAIM_NAME_BYTES_MAX, CONSTRAINTS_MAX};

/// The claims every PASSporT has. They cannot be excluded (RFC 9118 §3).
const BASELINE: &[&str] = &["iat", "orig", "dest"];

/// The constraints of one certificate extension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimConstraints {
    must_include: Vec<String>,
    /// A claim and the values it may have.
    permitted_values: Vec<(String, Vec<String>)>,
    must_exclude: Vec<String>,
}

impl ClaimConstraints {
    /// Reads the DER value of a JWTClaimConstraints extension. `None` if it is not what RFC 8226 §8 allows.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        read(der).filter(|constraints| constraints.must_exclude.is_empty())
    }

    /// Reads the DER value of an EnhancedJWTClaimConstraints extension. `None` if it is not what RFC 9118 §3
    /// allows. One that excludes a claim every PASSporT has is read as if it were not there, as §3 says.
    // rfc9118:3-6.
    pub fn from_enhanced_der(der: &[u8]) -> Option<Self> {
        let constraints = read(der)?;
        let excludes_baseline = constraints.must_exclude.iter().any(|name| BASELINE.contains(&name.as_str()));
        Some(if excludes_baseline { Self::default() } else { constraints })
    }

    /// Whether a PASSporT of `claims`, a JSON object, may be signed.
    ///
    /// A permitted value is compared with the text of a claim; with a claim of another kind than text in the
    /// form of RFC 8225 §9, as it would be signed.
    ///
    /// # Errors
    /// The name of the first claim that is missing, excluded, or has a value that is not permitted.
    // rfc8226:8-1, rfc8226:8-4, rfc9118:3-1, rfc9118:3-4, rfc9118:3-5.
    pub fn check(&self, claims: &Json) -> Result<(), &str> {
        let claim = |name: &str| claims.as_object().and_then(|members| members.get(name));
        if let Some(name) = self.must_include.iter().find(|name| claim(name).is_none()) {
            return Err(name);
        }
        if let Some(name) = self.must_exclude.iter().find(|name| claim(name).is_some()) {
            return Err(name);
        }
        let bad = |(name, values): &&(String, Vec<String>)| claim(name).is_some_and(|at| !is_one(at, values));
        self.permitted_values.iter().find(bad).map_or(Ok(()), |(name, _)| Err(name))
    }
}

fn is_one(claim: &Json, values: &[String]) -> bool {
    match claim {
        Json::Text(text) => values.contains(text),
        other => other.to_text().is_some_and(|text| values.contains(&text)),
    }
}

/// Reads `SEQUENCE { [0] names OPTIONAL, [1] values OPTIONAL, [2] names OPTIONAL }`, with one at least.
fn read(der: &[u8]) -> Option<ClaimConstraints> {
    let mut rest = tlv::only(der, tag::SEQUENCE)?;
    let (mut constraints, mut next, mut budget) = (ClaimConstraints::default(), 0, CONSTRAINTS_MAX);
    while !rest.is_empty() {
        let (field_tag, field) = tlv::take(&mut rest)?;
        let field = tlv::only(field, tag::SEQUENCE).filter(|items| !items.is_empty())?;
        let number = (next..=2).find(|number| field_tag == tag::context(*number))?;
        next = number + 1;
        match number {
            0 => constraints.must_include = read_texts(field, tag::IA5_STRING, &mut budget)?,
            1 => constraints.permitted_values = read_values(field, &mut budget)?,
            _ => constraints.must_exclude = read_texts(field, tag::IA5_STRING, &mut budget)?,
        }
    }
    (next > 0).then_some(constraints)
}

fn read_values(mut rest: &[u8], budget: &mut usize) -> Option<Vec<(String, Vec<String>)>> {
    let mut values = Vec::new();
    while !rest.is_empty() {
        let (entry_tag, mut entry) = tlv::take(&mut rest)?;
        let (name_tag, name) = tlv::take(&mut entry)?;
        if (entry_tag, name_tag) != (tag::SEQUENCE, tag::IA5_STRING) {
            return None;
        }
        let permitted = tlv::only(entry, tag::SEQUENCE).filter(|items| !items.is_empty())?;
        values.push((read_name(name)?, read_texts(permitted, tag::UTF8_STRING, budget)?));
    }
    Some(values)
}

fn read_texts(mut rest: &[u8], text_tag: u8, budget: &mut usize) -> Option<Vec<String>> {
    let mut texts = Vec::new();
    while !rest.is_empty() {
        *budget = budget.checked_sub(1)?;
        let (found, text) = tlv::take(&mut rest)?;
        if found != text_tag {
            return None;
        }
        texts.push(if text_tag == tag::IA5_STRING {
            read_name(text)?
        } else {
            String::from_utf8(text.to_vec()).ok()?
        });
    }
    Some(texts)
}

/// A claim name: printable ASCII, since it may stand in a message.
// rfc9118:3-7.
fn read_name(text: &[u8]) -> Option<String> {
    let good = (1..=CLAIM_NAME_BYTES_MAX).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic);
    good.then(|| String::from_utf8_lossy(text).into_owned())
}
