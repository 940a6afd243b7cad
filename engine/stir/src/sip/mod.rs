//! What a SIP request says about its call (RFC 3261, RFC 8224): who calls whom, when, and with which PASSporTs.
//!
//! A slice parser: it reads the request line and the header fields that STIR needs, borrowed from the bytes
//! received, and steps over the rest. It does not know transactions, routing or bodies, and believes nothing:
//! `verstat`, display names and privacy wishes are not looked at.
//!
//! ```
//! use herald_stir::{SipPolicy, SipRequest};
//!
//! let bytes = b"INVITE sip:+12355551212;npdi@example.com;user=phone SIP/2.0\r\n\
//!     f: \"A, B\" <tel:+1-215-555-1212>;tag=1\r\n\
//!     t: <sip:12355551212@example.com>\r\n\
//!     Date: Sat, 21 Nov 2026 22:26:40 GMT\r\n\r\n";
//! let request = SipRequest::parse(bytes, &SipPolicy::STRICT)?;
//! let call = request.call_facts()?;
//! assert_eq!(call.orig, herald_stir::Identity::Tn("12155551212".parse().expect("a number")));
//! assert_eq!(call.dest, request.to()?);
//! assert_eq!(request.date_s(), Some(1_795_300_000));
//! # Ok::<(), herald_stir::Fault>(())
//! ```

mod address;
mod date;
mod lines;

use core::fmt;
use std::borrow::Cow;

use crate::context::CallFacts;
use crate::error::Fault;
use crate::limits::{SIP_ASSERTED_MAX, SIP_HEADER_BYTES_MAX, SIP_IDENTITIES_MAX};
use crate::passport::Identity;
use address::Address;
use lines::Lines;

/// Which header field names the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Originator {
    /// `From` (RFC 8224 §4.1).
    #[default]
    From,
    /// `P-Asserted-Identity` if there is one, else `From`: for networks whose peers are trusted to assert it
    /// (RFC 8224 §8, ATIS-1000074).
    Asserted,
}

/// How SIP requests are read. The default, [`SipPolicy::STRICT`], forgives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SipPolicy {
    /// Which header field names the caller.
    pub originator: Originator,
    /// Line ends without a carriage return. RFC 3261 §7 asks for both; files and test tools drop it.
    pub line_feeds: bool,
    /// Several Identity values in one header field, joined by commas. RFC 8224 §4 has no such list; some stacks
    /// join all fields of a name.
    pub comma_joined: bool,
    /// A user part of digits, after a `+` also with visual separators, is a telephone number even without
    /// `user=phone` (RFC 8224 §8.1 leaves it to policy). Most of the field writes numbers so.
    pub bare_numbers: bool,
}

impl SipPolicy {
    /// What the RFCs ask for, and numbers as the field writes them.
    pub const STRICT: Self =
        Self { originator: Originator::From, line_feeds: false, comma_joined: false, bare_numbers: true };

    /// Everything is forgiven that leaves the meaning clear. The caller is still named by `From`: whom to trust
    /// is no matter of form.
    pub const LENIENT: Self = Self { line_feeds: true, comma_joined: true, ..Self::STRICT };
}

impl Default for SipPolicy {
    fn default() -> Self {
        Self::STRICT
    }
}

/// A SIP request, as far as STIR needs it. `Debug` shows its method and sizes only.
#[derive(Clone)]
pub struct SipRequest<'a> {
    policy: SipPolicy,
    method: &'a str,
    target: &'a [u8],
    fields: Fields<'a>,
    body: &'a [u8],
}

/// The header fields kept, unfolded. Of those that RFC 3261 §20 allows once, a second one is refused.
#[derive(Clone, Default)]
struct Fields<'a> {
    from: Option<Cow<'a, [u8]>>,
    to: Option<Cow<'a, [u8]>>,
    date: Option<Cow<'a, [u8]>>,
    call_id: Option<Cow<'a, [u8]>>,
    cseq: Option<Cow<'a, [u8]>>,
    asserted: Vec<Cow<'a, [u8]>>,
    identities: Vec<Cow<'a, [u8]>>,
}

impl<'a> SipRequest<'a> {
    /// Reads the request line and the header of `bytes`, up to the empty line. O(bytes).
    ///
    /// Which header fields are there is not judged; their absence is a fault of the accessor that needs them.
    ///
    /// # Errors
    /// [`Fault::Sip`] with what was wrong: a response, malformed lines, no empty line, a field twice that may
    /// be there once, or more than the bounds of [`limits`](crate::limits).
    pub fn parse(bytes: &'a [u8], policy: &SipPolicy) -> Result<Self, Fault> {
        let mut lines = Lines::new(bytes, policy.line_feeds);
        let (method, target) = read_request_line(lines.first()?)?;
        let mut fields = Fields::default();
        while let Some((name, value)) = lines.next_field()? {
            fields.keep(name, value, policy)?;
        }
        Ok(Self { policy: *policy, method, target, fields, body: lines.rest() })
    }

    /// Whether `bytes` begin as a SIP message does, request or response: to tell it from a token or a header
    /// field value. Looks at the first line only.
    pub fn is_message(bytes: &[u8]) -> bool {
        let bytes = bytes.trim_ascii_start();
        let end = bytes.iter().take(SIP_HEADER_BYTES_MAX).position(|&sign| sign == b'\n');
        let line = end.map_or(bytes, |end| &bytes[..end]).trim_ascii_end();
        let version = line.len().checked_sub(lines::VERSION.len()).map_or(line, |start| &line[start..]);
        is_response(line) || line.contains(&b' ') && version.eq_ignore_ascii_case(lines::VERSION)
    }

    /// Its method, as written.
    pub const fn method(&self) -> &'a str {
        self.method
    }

    /// The values of its Identity header fields in their order, unfolded, one PASSporT each: what
    /// [`VerificationPolicy::verify_header`](crate::VerificationPolicy::verify_header) takes.
    pub fn identity_values(&self) -> &[Cow<'a, [u8]>] {
        &self.fields.identities
    }

    /// Its Date in seconds since the Unix epoch. `None` if there is none, or none of the form of RFC 3261 §20.17.
    pub fn date_s(&self) -> Option<i64> {
        date::parse(self.fields.date.as_deref()?)
    }

    /// Its Call-ID, if there is one.
    pub fn call_id(&self) -> Option<&[u8]> {
        self.fields.call_id.as_deref()
    }

    /// Its CSeq, if there is one.
    pub fn cseq(&self) -> Option<&[u8]> {
        self.fields.cseq.as_deref()
    }

    /// What stands behind the header. Content-Length is not applied.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Who calls whom: the [`caller`](Self::caller), the [`target`](Self::target), and the party of `To` if that
    /// is another one. A target that is no telephone number is no destination where `To` names one: the
    /// Request-URI was resolved on the way (RFC 8946 §4.2).
    ///
    /// # Errors
    /// Those of [`caller`](Self::caller), [`target`](Self::target) and, if there is a `To`, [`to`](Self::to).
    pub fn call_facts(&self) -> Result<CallFacts, Fault> {
        let (orig, target) = (self.caller()?, self.target()?);
        let to = self.fields.to.as_ref().map(|_| self.to()).transpose()?;
        match to {
            Some(to) if target.number().is_none() && to.number().is_some() => Ok(CallFacts::new(orig, to)),
            to => Ok(CallFacts { to: to.filter(|to| *to != target), orig, dest: target }),
        }
    }

    /// The caller, from the header field that the policy names, in canonical form (RFC 8224 §8.3, §8.5).
    ///
    /// Of several asserted identities a telephone number goes first (RFC 3325 §9.1 allows one beside a URI).
    ///
    /// # Errors
    /// [`Fault::Anonymous`] if `From` names nobody; [`Fault::Sip`] if the field is missing or malformed, or if
    /// two different numbers are asserted.
    pub fn caller(&self) -> Result<Identity, Fault> {
        if self.policy.originator == Originator::Asserted
            && let Some(asserted) = self.asserted()?
        {
            return Ok(asserted);
        }
        let from = self.fields.from.as_deref().ok_or(Fault::Sip("has no From"))?;
        self.identity(Address::of_field(from)?)
    }

    /// The party that `To` names: the destination that the caller chose, and the one of a compact PASSporT
    /// (RFC 8224 §4.1). Retargeting leaves it as it was.
    ///
    /// # Errors
    /// [`Fault::Sip`] if it is missing or malformed.
    pub fn to(&self) -> Result<Identity, Fault> {
        let to = self.fields.to.as_deref().ok_or(Fault::Sip("has no To"))?;
        self.identity(Address::of_field(to)?)
    }

    /// The party that the Request-URI names: where the call goes now (RFC 8946 §4.2).
    ///
    /// # Errors
    /// [`Fault::Sip`] if it is malformed.
    pub fn target(&self) -> Result<Identity, Fault> {
        self.identity(Address::of_uri(self.target)?)
    }

    fn asserted(&self) -> Result<Option<Identity>, Fault> {
        let mut chosen: Option<Identity> = None;
        for value in &self.fields.asserted {
            for part in address::split_list(value) {
                let next = self.identity(Address::of_field(part)?)?;
                match (&chosen, &next) {
                    (Some(Identity::Tn(one)), Identity::Tn(other)) if one != other => {
                        return Err(Fault::Sip("asserts two different numbers"));
                    }
                    (None, _) | (Some(Identity::Uri(_)), Identity::Tn(_)) => chosen = Some(next),
                    _ => {}
                }
            }
        }
        Ok(chosen)
    }

    fn identity(&self, address: Address<'_>) -> Result<Identity, Fault> {
        address.identity(self.policy.bare_numbers)
    }
}

impl fmt::Debug for SipRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SipRequest")
            .field("method", &self.method)
            .field("identities", &self.fields.identities.len())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Fields<'a> {
    fn keep(&mut self, name: &[u8], value: Cow<'a, [u8]>, policy: &SipPolicy) -> Result<(), Fault> {
        let is = |long: &str, compact: &str| {
            name.eq_ignore_ascii_case(long.as_bytes()) || name.eq_ignore_ascii_case(compact.as_bytes())
        };
        let (place, twice) = match name.len() {
            _ if is("Identity", "y") => return self.keep_identities(value, policy),
            _ if is("P-Asserted-Identity", "") => {
                return push(&mut self.asserted, value, SIP_ASSERTED_MAX, "has too many P-Asserted-Identity");
            }
            _ if is("From", "f") => (&mut self.from, "has From twice"),
            _ if is("To", "t") => (&mut self.to, "has To twice"),
            _ if is("Date", "") => (&mut self.date, "has Date twice"),
            _ if is("Call-ID", "i") => (&mut self.call_id, "has Call-ID twice"),
            _ if is("CSeq", "") => (&mut self.cseq, "has CSeq twice"),
            _ => return Ok(()),
        };
        if place.replace(value).is_some() { Err(Fault::Sip(twice)) } else { Ok(()) }
    }

    fn keep_identities(&mut self, value: Cow<'a, [u8]>, policy: &SipPolicy) -> Result<(), Fault> {
        let mut keep =
            |value| push(&mut self.identities, value, SIP_IDENTITIES_MAX, "has too many Identity values");
        match value {
            _ if !policy.comma_joined => keep(value),
            Cow::Borrowed(value) => address::split_list(value).try_for_each(|part| keep(Cow::Borrowed(part))),
            Cow::Owned(value) => {
                address::split_list(&value).try_for_each(|part| keep(Cow::Owned(part.to_vec())))
            }
        }
    }
}

/// The party that a URI names, in canonical form; a user part of digits is a number.
pub(crate) fn identity_of_uri(uri: &str) -> Result<Identity, Fault> {
    Address::of_uri(uri.as_bytes())?.identity(true)
}

fn push<'a>(
    values: &mut Vec<Cow<'a, [u8]>>,
    value: Cow<'a, [u8]>,
    count_max: usize,
    fault: &'static str,
) -> Result<(), Fault> {
    if values.len() == count_max {
        return Err(Fault::Sip(fault));
    }
    values.push(value);
    Ok(())
}

/// `Method SP Request-URI SP SIP-Version` (RFC 3261 §7.1).
fn read_request_line(line: &[u8]) -> Result<(&str, &[u8]), Fault> {
    const MALFORMED: Fault = Fault::Sip("does not begin with METHOD URI SIP/2.0");
    if is_response(line) {
        return Err(Fault::Sip("is a response; give the request"));
    }
    let mut parts = line.split(|&sign| sign == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(MALFORMED);
    };
    let method = core::str::from_utf8(method).map_err(|_| MALFORMED)?;
    let good = lines::is_token(method.as_bytes()) && version.eq_ignore_ascii_case(lines::VERSION);
    if good { Ok((method, target)) } else { Err(MALFORMED) }
}

fn is_response(line: &[u8]) -> bool {
    line.split(|&sign| sign == b' ').next().is_some_and(|word| word.eq_ignore_ascii_case(lines::VERSION))
}
