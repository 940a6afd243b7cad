//! The types of PASSporT (`ppt`) and the claims that belong to each. What a diversion chain or an integrity
//! digest means is not judged here.

use core::fmt;
use std::collections::BTreeMap;

use super::{Identity, Leniency};
use crate::error::Fault;
use crate::json::Json;
use crate::limits::ORIGID_BYTES_MAX;

/// How well the signer knows the caller (RFC 8588 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attestation {
    /// A: full. The caller is known and may use the number.
    Full,
    /// B: partial. The caller is known.
    Partial,
    /// C: gateway. Only where the call came in is known.
    Gateway,
}

impl Attestation {
    /// Its letter.
    pub const fn letter(self) -> &'static str {
        match self {
            Self::Full => "A",
            Self::Partial => "B",
            Self::Gateway => "C",
        }
    }

    /// The attestation of a letter.
    pub fn from_letter(letter: &str) -> Option<Self> {
        [Self::Full, Self::Partial, Self::Gateway].into_iter().find(|level| level.letter() == letter)
    }
}

/// The type of a PASSporT, named by `ppt`. `Debug` shows that name only.
#[derive(Clone, PartialEq, Eq)]
pub enum PassportType {
    /// No `ppt` (RFC 8225).
    Base,
    /// `shaken` (RFC 8588).
    Shaken {
        /// How well the caller is known.
        attest: Attestation,
        /// Where the call came from, opaque: a UUID.
        origid: String,
    },
    /// `div` (RFC 8946 §4): the call was diverted.
    Div {
        /// Who diverted it: a destination of the PASSporT before.
        from: Identity,
    },
    /// `div-o` (RFC 8946 §5): the call was diverted, and the PASSporT before is within.
    DivO {
        /// Who diverted it.
        from: Identity,
        /// The PASSporT before, in full form, unread.
        opt: String,
    },
    /// `rcd` (RFC 9795): who is calling, in words; the claim stays among the extra claims.
    Rcd,
    /// `rph` (RFC 8443): a priority, not a number, is vouched for; the claim stays among the extra claims.
    Rph,
    /// `msg` (RFC 9475): a message, not a call; the digest `msgi` stays among the extra claims.
    Msg,
    /// `rsp` (RFC 9970): who was reached, signed by them; only in responses.
    Rsp,
    /// Any other: a verifier must ignore the PASSporT.
    Unknown(String),
}

impl fmt::Debug for PassportType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PassportType({:?})", self.ppt())
    }
}

impl PassportType {
    /// The value of `ppt`.
    pub fn ppt(&self) -> Option<&str> {
        match self {
            Self::Base => None,
            Self::Shaken { .. } => Some("shaken"),
            Self::Div { .. } => Some("div"),
            Self::DivO { .. } => Some("div-o"),
            Self::Rcd => Some("rcd"),
            Self::Rph => Some("rph"),
            Self::Msg => Some("msg"),
            Self::Rsp => Some("rsp"),
            Self::Unknown(ppt) => Some(ppt),
        }
    }

    /// Who diverted the call, for `div` and `div-o`.
    pub const fn diverter(&self) -> Option<&Identity> {
        match self {
            Self::Div { from } | Self::DivO { from, .. } => Some(from),
            _ => None,
        }
    }

    /// Whether its signer stands for the caller, so that a diversion of it is one of the caller's call: not for a
    /// priority (RFC 8443), for who was reached (RFC 9970), or for who diverted the call before.
    pub(crate) const fn is_by_caller(&self) -> bool {
        !matches!(self, Self::Rph | Self::Rsp | Self::Div { .. } | Self::DivO { .. } | Self::Unknown(_))
    }

    /// Takes the claims of type `ppt` out of `claims`.
    // rfc8946:3-1, rfc8946:3-10, rfc8946:5-1.
    pub(super) fn take(
        ppt: Option<&str>,
        claims: &mut BTreeMap<String, Json>,
        leniency: &Leniency,
    ) -> Result<Self, Fault> {
        match ppt {
            None => Ok(Self::Base),
            Some("shaken") => {
                let attest = take_text(claims, "attest")?;
                let attest = Attestation::from_letter(&attest).ok_or(Fault::Claim("attest"))?;
                let origid = take_text(claims, "origid")?;
                let fits = is_uuid(&origid) || leniency.origid_any && is_short_text(&origid);
                if fits { Ok(Self::Shaken { attest, origid }) } else { Err(Fault::Claim("origid")) }
            }
            Some("div") if claims.contains_key("opt") => Err(Fault::Claim("opt")),
            Some("div") => Ok(Self::Div { from: take_diverter(claims, leniency)? }),
            Some("div-o") => {
                Ok(Self::DivO { from: take_diverter(claims, leniency)?, opt: take_text(claims, "opt")? })
            }
            Some("rcd") => require_object(claims, "rcd").map(|()| Self::Rcd),
            Some("rph") => require_object(claims, "rph").map(|()| Self::Rph),
            Some("msg") => Ok(Self::Msg),
            Some("rsp") => Ok(Self::Rsp),
            Some(ppt) => Ok(Self::Unknown(ppt.to_owned())),
        }
    }

    /// Puts the claims of the type where [`take`](Self::take) finds them.
    pub(super) fn write(&self, claims: &mut BTreeMap<String, Json>) {
        match self {
            Self::Shaken { attest, origid } => {
                claims.insert("attest".into(), Json::Text(attest.letter().into()));
                claims.insert("origid".into(), Json::Text(origid.clone()));
            }
            Self::Div { from } => drop(claims.insert("div".into(), from.to_json())),
            Self::DivO { from, opt } => {
                claims.insert("div".into(), from.to_json());
                claims.insert("opt".into(), Json::Text(opt.clone()));
            }
            Self::Base | Self::Rcd | Self::Rph | Self::Msg | Self::Rsp | Self::Unknown(_) => {}
        }
    }
}

fn take_text(claims: &mut BTreeMap<String, Json>, name: &'static str) -> Result<String, Fault> {
    match claims.remove(name) {
        None => Err(Fault::NoClaim(name)),
        Some(Json::Text(text)) if !text.is_empty() => Ok(text),
        Some(_) => Err(Fault::Claim(name)),
    }
}

fn take_diverter(claims: &mut BTreeMap<String, Json>, leniency: &Leniency) -> Result<Identity, Fault> {
    let value = claims.remove("div").ok_or(Fault::NoClaim("div"))?;
    Identity::from_json(Some(&value), "div", leniency)
}

fn require_object(claims: &BTreeMap<String, Json>, name: &'static str) -> Result<(), Fault> {
    let members = claims.get(name).ok_or(Fault::NoClaim(name))?.as_object();
    if members.is_some_and(|members| !members.is_empty()) { Ok(()) } else { Err(Fault::Claim(name)) }
}

/// RFC 9562 §4: 8-4-4-4-12 hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    let groups = text.split('-').map(str::len);
    groups.eq([8, 4, 4, 4, 12]) && text.bytes().all(|sign| sign == b'-' || sign.is_ascii_hexdigit())
}

fn is_short_text(text: &str) -> bool {
    text.len() <= ORIGID_BYTES_MAX && text.bytes().all(|sign| sign.is_ascii_graphic())
}
