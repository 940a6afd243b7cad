//! What a file holds: a token, Identity header fields, or a SIP request.

use herald_runtime::stir::SipRequest;

/// The content of a file, told apart.
pub(super) enum Presented {
    /// A SIP request, or what begins like one.
    Sip,
    /// The values of Identity header fields, unfolded.
    Headers(Vec<Vec<u8>>),
    /// Anything else is taken for a token.
    Token(Vec<u8>),
}

impl Presented {
    pub(super) fn of(bytes: &[u8]) -> Self {
        if SipRequest::is_message(bytes) {
            return Self::Sip;
        }
        let text = without_line_end(bytes);
        let fields = fields(text);
        if !fields.is_empty() {
            return Self::Headers(fields);
        }
        if text.contains(&b';') { Self::Headers(vec![text.to_vec()]) } else { Self::Token(text.to_vec()) }
    }
}

/// Editors end files with a line feed, which is none of the content.
fn without_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// The values of lines that name an Identity header field, with the lines that continue them (RFC 3261 §7.3.1).
fn fields(text: &[u8]) -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = Vec::new();
    for line in text.split(|&sign| sign == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match (named_value(line), values.last_mut()) {
            (Some(value), _) => values.push(value.to_vec()),
            (None, Some(value)) if line.starts_with(b" ") || line.starts_with(b"\t") => {
                value.push(b' ');
                value.extend_from_slice(line.trim_ascii());
            }
            _ => {}
        }
    }
    values
}

/// What stands behind `Identity:` or `y:`.
fn named_value(line: &[u8]) -> Option<&[u8]> {
    let colon = line.iter().position(|&sign| sign == b':')?;
    let name = line[..colon].trim_ascii();
    let is_identity = name.eq_ignore_ascii_case(b"identity") || name.eq_ignore_ascii_case(b"y");
    is_identity.then(|| line[colon + 1..].trim_ascii())
}
