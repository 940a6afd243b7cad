//! The settings of a [`VerificationPolicy`] by name: one table that is also their documentation (docs/POLICY.md
//! is tested against it).

use core::fmt;
use core::str::FromStr;

use herald_core::limits::NAME_SIGNS_MAX;
use herald_core::nearest_name;

use crate::certificate::RevocationPolicy;
use crate::content::ContentPolicy;
use crate::limits::PASSPORT_BYTES_MAX;
use crate::passport::{Attestation, Leniency};
use crate::sip::{Originator, SipPolicy};
use crate::verify::VerificationPolicy;

/// A setting of a [`VerificationPolicy`].
#[derive(Clone, Copy)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What values it takes.
    pub form: &'static str,
    /// Its value when nothing is set.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// `None` if the value does not have the form.
    set: fn(&mut VerificationPolicy, &str) -> Option<()>,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Setting({} = {})", self.name, self.form)
    }
}

/// Why a setting was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingError {
    /// No setting has this name.
    Unknown {
        /// The name given.
        name: String,
        /// The nearest one there is.
        nearest: &'static str,
    },
    /// The value does not have the form of the setting.
    Value {
        /// The name of the setting.
        name: &'static str,
        /// What values it takes.
        form: &'static str,
    },
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, nearest } => {
                write!(f, "there is no setting {name:?}; the nearest is {nearest:?}")
            }
            Self::Value { name, form } => write!(f, "the setting {name} takes {form}"),
        }
    }
}

impl core::error::Error for SettingError {}

impl VerificationPolicy {
    /// Gives the setting `name` of [`SETTINGS`] the value `value`.
    ///
    /// # Errors
    /// [`SettingError`]; the policy is as it was.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SettingError> {
        let setting = SETTINGS.iter().find(|setting| setting.name == name).ok_or_else(|| {
            let nearest = nearest_name(name, SETTINGS.iter().map(|setting| setting.name)).unwrap_or("");
            SettingError::Unknown { name: name.chars().take(NAME_SIGNS_MAX).collect(), nearest }
        })?;
        let wrong = SettingError::Value { name: setting.name, form: setting.form };
        (setting.set)(self, value.trim()).ok_or(wrong)
    }
}

/// Changes how revocation is told.
fn revoke(policy: &mut VerificationPolicy, change: impl FnOnce(&mut RevocationPolicy)) {
    let mut revocation = policy.trust.revocation();
    change(&mut revocation);
    policy.trust = policy.trust.clone().with_revocation(revocation);
}

/// A setting that is on or off.
macro_rules! switch {
    ($name:literal, $default:literal, $place:ident . $field:ident, $meaning:literal) => {
        Setting {
            name: $name,
            form: "on|off",
            default: $default,
            meaning: $meaning,
            set: |policy, value| {
                policy.$place.$field = on_or_off(value)?;
                Some(())
            },
        }
    };
}

/// Every setting.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "form",
        form: "strict|lenient",
        default: "strict",
        meaning: "All settings of form at once: those below that are on or off, but for sip_bare_numbers, and \
                  passport_bytes. Lenient forgives all that leaves the meaning clear",
        set: |policy, value| {
            (policy.leniency, policy.sip) = match value {
                "strict" => {
                    (Leniency::STRICT, SipPolicy { originator: policy.sip.originator, ..SipPolicy::STRICT })
                }
                "lenient" => {
                    (Leniency::LENIENT, SipPolicy { originator: policy.sip.originator, ..SipPolicy::LENIENT })
                }
                _ => return None,
            };
            Some(())
        },
    },
    Setting {
        name: "freshness_s",
        form: "SECONDS",
        default: "60",
        meaning: "How old iat may be (RFC 8224 §6.2.2)",
        set: |policy, value| assign(&mut policy.freshness_s, value),
    },
    Setting {
        name: "ahead_s",
        form: "SECONDS",
        default: "60",
        meaning: "How far iat may lie ahead of our clock",
        set: |policy, value| assign(&mut policy.ahead_s, value),
    },
    Setting {
        name: "diverted_freshness_s",
        form: "SECONDS",
        default: "60",
        meaning: "How old iat may be of a PASSporT whose call was diverted since. Transfers by parties that are \
                  trusted may need up to 10800 (RFC 8946 §4.2)",
        set: |policy, value| assign(&mut policy.diverted_freshness_s, value),
    },
    Setting {
        name: "only_by_spc",
        form: "accept|reject",
        default: "accept",
        meaning: "A certificate that names only a service provider code, not the number. Nearly all are so",
        set: |policy, value| {
            policy.accept_only_by_spc = one_of(value, &[("accept", true), ("reject", false)])?;
            Some(())
        },
    },
    Setting {
        name: "revocation",
        form: "listed|required",
        default: "listed",
        meaning: "Whether a certificate that no revocation list and no OCSP answer speaks for is refused",
        set: |policy, value| {
            let required = one_of(value, &[("required", true), ("listed", false)])?;
            revoke(policy, |revocation| revocation.required = required);
            Some(())
        },
    },
    Setting {
        name: "short_lived_s",
        form: "SECONDS",
        default: "0",
        meaning: "Signers' certificates that are valid no longer than this are not looked up in revocation lists (RFC \
                  8226 §10). Those that say that there is nothing to look up never are (RFC 9608)",
        set: |policy, value| {
            let mut short_lived_s = 0;
            assign(&mut short_lived_s, value)?;
            revoke(policy, |revocation| revocation.short_lived_s = short_lived_s);
            Some(())
        },
    },
    Setting {
        name: "ocsp_staples",
        form: "on|off",
        default: "off",
        meaning: "OCSP answers that come with a chain count (RFC 6960)",
        set: |policy, value| {
            let use_staples = on_or_off(value)?;
            revoke(policy, |revocation| revocation.use_staples = use_staples);
            Some(())
        },
    },
    Setting {
        name: "rich_content",
        form: "given|digested|compared",
        default: "given",
        meaning: "Content that rcd refers to: rcdi is compared with what is at hand; also, every URL has a digest \
                  in it; also, everything with a digest is at hand (RFC 9795 §6)",
        set: |policy, value| {
            policy.content = one_of(
                value,
                &[
                    ("given", ContentPolicy::Given),
                    ("digested", ContentPolicy::Digested),
                    ("compared", ContentPolicy::Compared),
                ],
            )?;
            Some(())
        },
    },
    Setting {
        name: "caller",
        form: "from|asserted",
        default: "from",
        meaning: "Which field of a SIP request names the caller: From (RFC 8224 §4.1; if it is anonymous the answer \
                  is 433), or P-Asserted-Identity where there is one (ATIS-1000074; only from peers that are \
                  trusted to assert it)",
        set: |policy, value| {
            policy.sip.originator =
                one_of(value, &[("from", Originator::From), ("asserted", Originator::Asserted)])?;
            Some(())
        },
    },
    Setting {
        name: "compact_shaken",
        form: "off|ATTEST,ORIGID",
        default: "off",
        meaning: "The claims that complete a compact shaken PASSporT, where the signalling carries them elsewhere. \
                  RFC 8588 §7 has it in full form only",
        set: |policy, value| {
            policy.compact_shaken = match value {
                "off" => None,
                _ => {
                    let (attest, origid) = value.split_once(',')?;
                    Some((Attestation::from_letter(attest.trim())?, origid.trim().to_owned()))
                }
            };
            Some(())
        },
    },
    Setting {
        name: "compact_without_date",
        form: "on|off",
        default: "off",
        meaning: "Look for the moment of a compact PASSporT that comes without a Date, second by second within \
                  freshness_s and ahead_s",
        set: |policy, value| {
            policy.compact_without_date = on_or_off(value)?;
            Some(())
        },
    },
    Setting {
        name: "passport_bytes",
        form: "BYTES, at most 131072",
        default: "8192",
        meaning: "How long a PASSporT may be",
        set: |policy, value| {
            let bytes = value.parse().ok().filter(|bytes| (1..=PASSPORT_BYTES_MAX).contains(bytes))?;
            policy.leniency.bytes_max = bytes;
            Some(())
        },
    },
    switch!(
        "base64_padding",
        "off",
        leniency.base64_padding,
        "`=` at the end of a segment (RFC 7515 §2 has none)"
    ),
    switch!(
        "iat_as_text",
        "off",
        leniency.iat_as_text,
        "iat as a text of digits, as signed examples of RFC 8225 and 8816 have it"
    ),
    switch!(
        "dest_as_text",
        "off",
        leniency.dest_as_text,
        "dest.tn as one text instead of an array, as the signed div-o of RFC 8946 has it"
    ),
    switch!(
        "number_separators",
        "off",
        leniency.number_separators,
        "A leading + and visual separators in claims (RFC 8224 §8.3 has the signer drop them)"
    ),
    switch!("origid_any", "off", leniency.origid_any, "An origid that is no UUID (RFC 8588 §5)"),
    switch!("x5u_http", "off", leniency.x5u_http, "x5u with the scheme http"),
    switch!(
        "header_without_ppt",
        "off",
        leniency.header_without_ppt,
        "An Identity header without ppt around a PASSporT that has one (RFC 8224 §4)"
    ),
    switch!(
        "header_trailing_semicolon",
        "off",
        leniency.header_trailing_semicolon,
        "A semicolon at the end of an Identity header"
    ),
    switch!(
        "chain_any_order",
        "off",
        leniency.chain_any_order,
        "A certificate chain that does not begin with the signer's (RFC 8555 §9.1)"
    ),
    switch!(
        "sip_line_feeds",
        "off",
        sip.line_feeds,
        "SIP lines that end without a carriage return (RFC 3261 §7)"
    ),
    switch!(
        "sip_comma_joined",
        "off",
        sip.comma_joined,
        "Several Identity values in one header field, joined by commas (RFC 8224 §4 has no such list)"
    ),
    switch!(
        "sip_bare_numbers",
        "on",
        sip.bare_numbers,
        "A user part of digits is a telephone number even without user=phone (RFC 8224 §8.1)"
    ),
];

fn assign<T: FromStr>(place: &mut T, value: &str) -> Option<()> {
    *place = value.parse().ok()?;
    Some(())
}

fn on_or_off(value: &str) -> Option<bool> {
    one_of(value, &[("on", true), ("off", false), ("true", true), ("false", false)])
}

fn one_of<T: Copy>(value: &str, values: &[(&str, T)]) -> Option<T> {
    values.iter().find(|(name, _)| *name == value).map(|&(_, value)| value)
}
