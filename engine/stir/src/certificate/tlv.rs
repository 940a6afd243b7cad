//! As much of DER as is needed besides certificates: read strictly, written shortest. It does not know what the values mean.

/// Universal and context tags used here.
pub(super) mod tag {
    pub(in crate::certificate) const INTEGER: u8 = 0x02;
    pub(in crate::certificate) const BIT_STRING: u8 = 0x03;
    pub(in crate::certificate) const OCTET_STRING: u8 = 0x04;
    pub(in crate::certificate) const OID: u8 = 0x06;
    pub(in crate::certificate) const ENUMERATED: u8 = 0x0a;
    pub(in crate::certificate) const UTF8_STRING: u8 = 0x0c;
    pub(in crate::certificate) const PRINTABLE_STRING: u8 = 0x13;
    pub(in crate::certificate) const TELETEX_STRING: u8 = 0x14;
    pub(in crate::certificate) const SET: u8 = 0x31;
    pub(in crate::certificate) const IA5_STRING: u8 = 0x16;
    pub(in crate::certificate) const SEQUENCE: u8 = 0x30;

    /// The constructed context tag `[number]`; `number` is below 31.
    pub(in crate::certificate) const fn context(number: u8) -> u8 {
        0xa0 | number
    }
}

/// Takes the first value off `input`: its tag and its content. `None` if the tag has several bytes, the length
/// is indefinite or not in its shortest form, or there are fewer bytes.
pub(super) fn take<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let length = match first {
        0..=0x7f => usize::from(first),
        0x81..=0x84 => {
            let (bytes, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
            rest = after;
            let length = bytes.iter().fold(0, |length: usize, &byte| length << 8 | usize::from(byte));
            (length > 0x7f && bytes[0] != 0).then_some(length)?
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    *input = after;
    Some((tag, content))
}

/// Takes the first value off `input`, whole: tag, length and content.
pub(super) fn take_whole<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let whole = *input;
    take(input)?;
    Some(&whole[..whole.len() - input.len()])
}

/// Takes the first value off `input` if its tag is `expected`: its content. The outer `None` stands for a value
/// that cannot be read.
pub(super) fn take_if<'a>(input: &mut &'a [u8], expected: u8) -> Option<Option<&'a [u8]>> {
    match input.first() {
        Some(&tag) if tag == expected => take(input).map(|(_, content)| Some(content)),
        _ => Some(None),
    }
}

/// Takes the first value off `input`, whose tag must be `expected`: its content.
pub(super) fn expect<'a>(input: &mut &'a [u8], expected: u8) -> Option<&'a [u8]> {
    take(input).filter(|(tag, _)| *tag == expected).map(|(_, content)| content)
}

/// The content of `input` if it is exactly one value of tag `expected`.
pub(super) fn only(mut input: &[u8], expected: u8) -> Option<&[u8]> {
    let (tag, content) = take(&mut input)?;
    (tag == expected && input.is_empty()).then_some(content)
}

/// A non-negative INTEGER of at most 64 bits, in its shortest form.
pub(super) fn unsigned(content: &[u8]) -> Option<u64> {
    let digits = match content {
        [] => return None,
        [0, second, ..] if *second < 0x80 => return None,
        [0, rest @ ..] if !rest.is_empty() => rest,
        [first, ..] if *first >= 0x80 => return None,
        digits => digits,
    };
    (digits.len() <= 8).then(|| digits.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

/// Appends a value.
pub(super) fn put(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    let length = content.len().to_be_bytes();
    let used = &length[length.iter().position(|&byte| byte != 0).unwrap_or(length.len() - 1)..];
    if content.len() > 0x7f {
        let count = u8::try_from(used.len()).expect("a usize has at most 8 bytes");
        out.push(0x80 | count);
    }
    out.extend_from_slice(used);
    out.extend_from_slice(content);
}

/// Appends a non-negative INTEGER.
pub(super) fn put_unsigned(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_be_bytes();
    let used = &bytes[bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len() - 1)..];
    let sign: &[u8] = if used[0] >= 0x80 { &[0] } else { &[] };
    put(out, tag::INTEGER, &[sign, used].concat());
}
