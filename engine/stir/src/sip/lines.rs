//! The lines of a SIP message (RFC 3261 §7): where they end, how they are folded, what names they have. It does
//! not know what the fields mean.

use std::borrow::Cow;

use crate::error::Fault;
use crate::limits::{SIP_FIELDS_MAX, SIP_HEADER_BYTES_MAX};

/// The only version there is (RFC 3261 §7.1), in any case.
pub(super) const VERSION: &[u8] = b"SIP/2.0";

/// A header field's name and its value, unfolded and trimmed.
pub(super) type Field<'a> = (&'a [u8], Cow<'a, [u8]>);

/// Walks over the lines of a header, each once.
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    line_feeds: bool,
    /// What is left of [`SIP_HEADER_BYTES_MAX`].
    bytes_left: usize,
    /// What is left of [`SIP_FIELDS_MAX`].
    fields_left: usize,
}

impl<'a> Lines<'a> {
    pub(super) const fn new(bytes: &'a [u8], line_feeds: bool) -> Self {
        Self { rest: bytes, line_feeds, bytes_left: SIP_HEADER_BYTES_MAX, fields_left: SIP_FIELDS_MAX }
    }

    /// The first line that is not empty: on a stream empty ones may stand before a message (RFC 3261 §7.5).
    pub(super) fn first(&mut self) -> Result<&'a [u8], Fault> {
        loop {
            let line = self.take_line()?;
            if !line.is_empty() {
                return Ok(line);
            }
        }
    }

    /// The next field, unfolded as RFC 3261 §7.3.1 says. `None` at the empty line.
    pub(super) fn next_field(&mut self) -> Result<Option<Field<'a>>, Fault> {
        let line = self.take_line()?;
        if line.is_empty() {
            return Ok(None);
        }
        self.fields_left = self.fields_left.checked_sub(1).ok_or(Fault::Sip("has too many header fields"))?;
        let colon =
            line.iter().position(|&sign| sign == b':').ok_or(Fault::Sip("has a line without a colon"))?;
        let name = trim_end(&line[..colon]);
        if !is_token(name) {
            return Err(Fault::Sip("has a header field whose name is none"));
        }
        let mut value = Cow::Borrowed(trim(&line[colon + 1..]));
        while self.rest.first().is_some_and(is_blank) {
            let more = trim(self.take_line()?);
            let value = value.to_mut();
            value.push(b' ');
            value.extend_from_slice(more);
        }
        // A folded value may begin or end with empty lines.
        if let Cow::Owned(folded) = &value {
            value = Cow::Owned(trim(folded).to_vec());
        }
        Ok(Some((name, value)))
    }

    /// What has not been walked over.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes a line without its end. No other control sign than a tabulator may be in it.
    fn take_line(&mut self) -> Result<&'a [u8], Fault> {
        const TOO_LONG: Fault = Fault::Sip("has too long a header");
        let seen = &self.rest[..self.rest.len().min(self.bytes_left)];
        let Some(end) = seen.iter().position(|&sign| sign == b'\n') else {
            let cut = seen.len() < self.rest.len();
            return Err(if cut {
                TOO_LONG
            } else {
                Fault::Sip("ends before the empty line behind its header")
            });
        };
        let line = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        self.bytes_left -= end + 1;
        let line = match line.strip_suffix(b"\r") {
            Some(line) => line,
            None if self.line_feeds => line,
            None => return Err(Fault::Sip("has a line end without a carriage return")),
        };
        if line.iter().any(|sign| sign.is_ascii_control() && *sign != b'\t') {
            return Err(Fault::Sip("has a control sign in its header"));
        }
        Ok(line)
    }
}

/// RFC 3261 §25.1, `token`.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(is_token_sign)
}

pub(super) fn is_token_sign(sign: &u8) -> bool {
    sign.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(sign)
}

pub(super) const fn is_blank(sign: &u8) -> bool {
    matches!(sign, b' ' | b'\t')
}

/// Drops blanks at both ends.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|sign| !is_blank(sign)).unwrap_or(text.len());
    trim_end(&text[start..])
}

fn trim_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|sign| !is_blank(sign)).map_or(0, |last| last + 1);
    &text[..end]
}
