//! Whom a header field or a Request-URI names: the URI in it (RFC 3261 §25.1) and the canonical identity of that
//! (RFC 8224 §8). It does not know which field counts.

use herald_core::TelephoneNumber;

use super::lines::{is_blank, is_token_sign, trim};
use crate::error::Fault;
use crate::limits::URI_BYTES_MAX;
use crate::passport::Identity;

const MALFORMED: Fault = Fault::Sip("names a party by a malformed address");

/// A URI, split into scheme and the rest.
pub(super) struct Address<'a> {
    scheme: &'a str,
    rest: &'a str,
}

impl<'a> Address<'a> {
    /// The address of a From, To or P-Asserted-Identity value: `[name] <URI> *(;parameter)` or
    /// `URI *(;parameter)`. Without brackets what stands behind a semicolon is the field's (RFC 3261 §20.10).
    pub(super) fn of_field(value: &'a [u8]) -> Result<Self, Fault> {
        let Some(bracket) = bracket(value)? else {
            let end = value.iter().position(|&sign| sign == b';').unwrap_or(value.len());
            let uri = trim(&value[..end]);
            return if uri.contains(&b'?') || uri.contains(&b',') {
                Err(MALFORMED)
            } else {
                Self::of_uri(uri)
            };
        };
        let within = &value[bracket + 1..];
        let end = within.iter().position(|&sign| sign == b'>').ok_or(MALFORMED)?;
        let behind = trim(&within[end + 1..]);
        if behind.is_empty() || behind.starts_with(b";") {
            Self::of_uri(&within[..end])
        } else {
            Err(MALFORMED)
        }
    }

    pub(super) fn of_uri(uri: &'a [u8]) -> Result<Self, Fault> {
        let plain = |sign: &u8| sign.is_ascii_graphic() && !b"<>\"".contains(sign);
        if uri.len() > URI_BYTES_MAX || !uri.iter().all(plain) {
            return Err(MALFORMED);
        }
        let uri = core::str::from_utf8(uri).map_err(|_| MALFORMED)?;
        let (scheme, rest) = uri.split_once(':').ok_or(MALFORMED)?;
        let named = scheme.starts_with(|sign: char| sign.is_ascii_alphabetic())
            && scheme.bytes().all(|sign| sign.is_ascii_alphanumeric() || b"+-.".contains(&sign));
        if named && !rest.is_empty() { Ok(Self { scheme, rest }) } else { Err(MALFORMED) }
    }

    /// The party in canonical form. `bare_numbers`: whether digits are a number without `user=phone`.
    pub(super) fn identity(&self, bare_numbers: bool) -> Result<Identity, Fault> {
        let scheme = self.scheme.to_ascii_lowercase();
        match scheme.as_str() {
            "tel" => number(self.rest).map(Identity::Tn).ok_or(MALFORMED),
            "sip" | "sips" => SipUri::read(self.rest)?.identity(&scheme, bare_numbers),
            _ => Ok(Identity::Uri(format!("{scheme}:{}", self.rest))),
        }
    }
}

/// Where the bracket of a name-addr is: behind a quoted name, or behind one of tokens (and, since the field
/// writes them, of signs beyond ASCII). `None` if the value is no name-addr.
fn bracket(value: &[u8]) -> Result<Option<usize>, Fault> {
    let name_bytes = if value.first() == Some(&b'"') { quoted_bytes(value).ok_or(MALFORMED)? } else { 0 };
    let is_name = |sign: &u8| is_blank(sign) || name_bytes == 0 && (is_token_sign(sign) || !sign.is_ascii());
    let end = value[name_bytes..].iter().position(|sign| !is_name(sign)).map(|end| name_bytes + end);
    match end {
        Some(end) if value[end] == b'<' => Ok(Some(end)),
        _ if name_bytes > 0 => Err(MALFORMED),
        _ => Ok(None),
    }
}

/// Bytes of the quoted text that `text` begins with, quotes included (RFC 3261 §25.1, `quoted-string`).
fn quoted_bytes(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    let within = text.get(1..)?;
    let end = within.iter().position(|&sign| {
        let ends = sign == b'"' && !escaped;
        escaped = sign == b'\\' && !escaped;
        ends
    })?;
    Some(end + 2)
}

/// The parts of a list joined by commas, trimmed; commas in quotes and in angle brackets join nothing.
pub(super) fn split_list(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut bracketed, mut escaped) = (false, false, false);
    let parts = list.split(move |&sign| {
        let literal = core::mem::take(&mut escaped);
        match sign {
            b'\\' if quoted && !literal => escaped = true,
            b'"' if !literal && !bracketed => quoted = !quoted,
            b'<' if !quoted => bracketed = true,
            b'>' if !quoted => bracketed = false,
            _ => {}
        }
        sign == b',' && !quoted && !bracketed
    });
    parts.map(trim)
}

/// What of a sip or sips URI names the party.
struct SipUri<'a> {
    /// The user part with its parameters, without a password.
    user: Option<&'a str>,
    host: &'a str,
    is_phone: bool,
}

impl<'a> SipUri<'a> {
    fn read(rest: &'a str) -> Result<Self, Fault> {
        let (user, rest) = match rest.split_once('@') {
            Some((user_info, rest)) => (Some(user_info.split(':').next().unwrap_or_default()), rest),
            None => (None, rest),
        };
        let without_headers = rest.split('?').next().unwrap_or_default();
        let mut parts = without_headers.split(';');
        let host = host_of(parts.next().unwrap_or_default()).ok_or(MALFORMED)?;
        if rest.contains('@') || user == Some("") {
            return Err(MALFORMED);
        }
        let is_phone = parts.any(|parameter| parameter.eq_ignore_ascii_case("user=phone"));
        Ok(Self { user, host, is_phone })
    }

    fn identity(&self, scheme: &str, bare_numbers: bool) -> Result<Identity, Fault> {
        let host = self.host.to_ascii_lowercase();
        let Some(user) = self.user else { return Ok(Identity::Uri(format!("{scheme}:{host}"))) };
        let user = normalized(user)?;
        if (self.is_phone || bare_numbers && is_bare_number(&user))
            && let Some(number) = number(&user)
        {
            return Ok(Identity::Tn(number));
        }
        if host == "anonymous.invalid" {
            return Err(Fault::Anonymous);
        }
        // RFC 8224 §8.1: what is no number after all is treated as a URI.
        Ok(Identity::Uri(format!("{scheme}:{user}@{host}")))
    }
}

/// The number of a telephone-subscriber (RFC 3966 §3). Its parameters (npdi, rn, verstat, phone-context, ...) are
/// none of it (RFC 8224 §8.3).
fn number(subscriber: &str) -> Option<TelephoneNumber> {
    TelephoneNumber::parse(subscriber.split(';').next()?.as_bytes()).ok()
}

/// Digits alone, or behind a `+` digits and visual separators (RFC 3966 §3).
fn is_bare_number(user: &str) -> bool {
    let user = user.split(';').next().unwrap_or_default();
    match user.strip_prefix('+') {
        Some(rest) => rest.bytes().all(|sign| sign.is_ascii_digit() || b"-.()".contains(&sign)),
        None => user.bytes().all(|sign| sign.is_ascii_digit()),
    }
}

/// A hostport without its port.
fn host_of(hostport: &str) -> Option<&str> {
    let is_host = |host: &str, others: &[u8]| {
        host.bytes().all(|sign| sign.is_ascii_alphanumeric() || others.contains(&sign))
    };
    let (host, port) = match hostport.strip_prefix('[') {
        Some(literal) => {
            let end = literal.find(']').filter(|&end| is_host(&literal[..end], b":."))?;
            hostport.split_at(end + 2)
        }
        None => {
            let (host, port) = hostport.split_at(hostport.find(':').unwrap_or(hostport.len()));
            (is_host(host, b"-._") && !host.is_empty()).then_some((host, port))?
        }
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    let good = digits.bytes().all(|sign| sign.is_ascii_digit()) && digits.is_empty() == port.is_empty();
    good.then_some(host)
}

/// A user part in lower case, what needs no escape unescaped and the other escapes in capitals (RFC 8224 §8.5,
/// RFC 3986 §6.2.2).
fn normalized(user: &str) -> Result<String, Fault> {
    let mut out = String::with_capacity(user.len());
    let mut signs = user.bytes();
    while let Some(sign) = signs.next() {
        if sign != b'%' {
            out.push(char::from(sign.to_ascii_lowercase()));
            continue;
        }
        let mut digit = || char::from(signs.next()?).to_digit(16);
        let byte = match (digit(), digit()) {
            (Some(high), Some(low)) => u8::try_from(high * 16 + low).map_err(|_| MALFORMED)?,
            _ => return Err(MALFORMED),
        };
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte.to_ascii_lowercase()));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(out)
}
