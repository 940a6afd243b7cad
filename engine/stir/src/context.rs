//! The call that PASSporTs are held against: what the signalling says, and what else the host knows of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::Fault;
use crate::json::Json;
use crate::limits::{PASSPORT_BYTES_MAX, SIGNATURE_SIGNS_MAX};
use crate::passport::{Identity, PassportType};
use crate::replay::{CallToken, ReplayMemory};

/// What the signalling says about the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFacts {
    /// The caller.
    pub orig: Identity,
    /// The called party: where the call goes now (in SIP, the Request-URI).
    pub dest: Identity,
    /// The party that was called at first, if it is another one (in SIP, the To header field). Compact
    /// PASSporTs are about it (RFC 8224 §5.1), and so are those of a call that was diverted since.
    pub to: Option<Identity>,
}

impl CallFacts {
    /// A call that goes where it was meant to go.
    pub const fn new(orig: Identity, dest: Identity) -> Self {
        Self { orig, dest, to: None }
    }

    /// The party that was called at first.
    pub fn called_first(&self) -> &Identity {
        self.to.as_ref().unwrap_or(&self.dest)
    }
}

/// A PASSporT as it came with a call, unread.
#[derive(Clone, Copy)]
pub enum IdentityValue<'a> {
    /// The value of an Identity header field, full or compact (RFC 8224 §4).
    Header(&'a [u8]),
    /// A token in full form, as it comes out of band.
    Token(&'a [u8]),
}

impl core::fmt::Debug for IdentityValue<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (name, bytes) = match self {
            Self::Header(value) => ("Header", value.len()),
            Self::Token(token) => ("Token", token.len()),
        };
        write!(f, "{name}({bytes} bytes)")
    }
}

/// What PASSporTs came with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carrier {
    /// A request, or whatever is in its place out of band: a `rsp` PASSporT does not count.
    #[default]
    Request,
    /// A request that is known to be for a call and not for a message: neither does a `msg` PASSporT count, which is
    /// a type of its own so that it makes no call (RFC 9475 §3).
    Call,
    /// A response: only `rsp` PASSporTs count, and the `div` beside them (RFC 9970).
    Response,
    /// Not said: every type counts.
    Unsaid,
}

impl Carrier {
    /// Whether a PASSporT of this type counts in what it came with.
    pub(crate) const fn check(self, kind: &PassportType) -> Result<(), Fault> {
        use PassportType::{Div, Msg, Rsp};
        match (self, kind) {
            (Self::Request | Self::Call, Rsp) => Err(Fault::OnlyInResponse),
            (Self::Call, Msg) => Err(Fault::OnlyInMessage),
            (Self::Response, Rsp | Div { .. }) => Ok(()),
            (Self::Response, _) => Err(Fault::OnlyInRequest),
            _ => Ok(()),
        }
    }
}

/// Answers with the content of a URL that `rcd` refers to, if the host has it at hand.
pub type LinkedContent<'a> = dyn Fn(&str) -> Option<Vec<u8>> + 'a;

/// A call as far as it is known. What is not known is not compared.
#[derive(Clone, Copy)]
pub struct CallContext<'a> {
    /// The caller.
    pub orig: Option<&'a Identity>,
    /// The called party: where the call goes now.
    pub dest: Option<&'a Identity>,
    /// The party that was called at first, if it is another one.
    pub to: Option<&'a Identity>,
    /// The Date of the signalling, in seconds since the Unix epoch. Only compact PASSporTs need it.
    pub date_s: Option<i64>,
    /// What the PASSporTs came with.
    pub carrier: Carrier,
    /// The body of the message that `msg` PASSporTs came with, to be compared with `msgi` (RFC 9475 §3.2).
    pub message: Option<&'a [u8]>,
    /// Content that `rcd` refers to, to be compared with `rcdi` (RFC 9795 §6).
    pub linked: &'a LinkedContent<'a>,
    /// The memory of PASSporTs that came before, and the name of this call in it.
    pub seen: Option<(&'a ReplayMemory, CallToken)>,
}

impl<'a> CallContext<'a> {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        orig: None,
        dest: None,
        to: None,
        date_s: None,
        carrier: Carrier::Unsaid,
        message: None,
        linked: &|_| None,
        seen: None,
    };

    /// A call of which the signalling says `call`.
    pub const fn of(call: &'a CallFacts) -> Self {
        let (orig, dest) = (Some(&call.orig), Some(&call.dest));
        Self { orig, dest, to: call.to.as_ref(), carrier: Carrier::Request, ..Self::UNKNOWN }
    }
}

impl core::fmt::Debug for CallContext<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CallContext")
            .field("orig", &self.orig)
            .field("dest", &self.dest)
            .field("to", &self.to)
            .field("date_s", &self.date_s)
            .field("carrier", &self.carrier)
            .finish_non_exhaustive()
    }
}

/// Names a PASSporT that could not be read, as [`Passport::compact`](crate::Passport::compact) does: by the segment
/// where the signature should be.
pub(crate) fn compact_of(value: IdentityValue<'_>) -> Option<String> {
    let mut segments = segments(value)?.skip(2);
    let signature = core::str::from_utf8(segments.next()?).ok()?;
    let plain = signature.bytes().all(|sign| sign.is_ascii_alphanumeric() || matches!(sign, b'-' | b'_'));
    let fits = !signature.is_empty() && signature.len() <= SIGNATURE_SIGNS_MAX && plain;
    (fits && segments.next().is_none()).then(|| format!("..{signature}"))
}

/// The type that the header of a PASSporT names that could not be read, if that much can be read.
pub(crate) fn type_of(value: IdentityValue<'_>) -> Option<String> {
    let header = URL_SAFE_NO_PAD.decode(segments(value)?.next()?).ok()?;
    Json::parse(&header).ok()?.as_object()?.get("ppt")?.as_text().map(str::to_owned)
}

fn segments(value: IdentityValue<'_>) -> Option<impl Iterator<Item = &[u8]>> {
    let (IdentityValue::Header(bytes) | IdentityValue::Token(bytes)) = value;
    let token = bytes.split(|&sign| sign == b';').next().filter(|token| token.len() <= PASSPORT_BYTES_MAX)?;
    Some(token.trim_ascii().split(|&sign| sign == b'.'))
}
