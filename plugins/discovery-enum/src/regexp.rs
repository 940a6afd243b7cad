//! The substitution of a NAPTR record (RFC 3402 §3.2, RFC 6116 §5): a POSIX extended regular expression and a replacement
//! with back-references, applied to `+` and the digits of a number.
//!
//! The expression is read here and written anew for an engine whose time is linear in both, so what is no POSIX (lazy
//! repeats, look-around, flags) never gets there. Unlike POSIX, of alternatives that match the first counts, not the
//! longest: it matters only to what a group inside an expression that could match in two ways has captured.

use core::fmt::Write;

use crate::limits::{
    REGEXP_BYTES_MAX, REGEXP_COMPILED_BYTES_MAX, REGEXP_GROUPS_MAX, REGEXP_REPEAT_MAX, URI_BYTES_MAX,
};

/// What `regexp` makes of `number`, which is `+` and digits; `None` if it does not match or the record is to be discarded.
///
/// The result replaces the number as a whole. It has at most [`URI_BYTES_MAX`] bytes. Time is linear in the regexp, which
/// is refused unread above [`REGEXP_BYTES_MAX`]. rfc6116:5.2-9.
pub fn substitute(regexp: &[u8], number: &str) -> Option<String> {
    if regexp.len() > REGEXP_BYTES_MAX || !regexp.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        return None;
    }
    let (expression, replacement) = split(regexp)?;
    let written = Translation::of(&expression)?;
    let compiled =
        regex_lite::RegexBuilder::new(&written).size_limit(REGEXP_COMPILED_BYTES_MAX).build().ok()?;
    let captures = compiled.captures(number)?;
    let group = |index: usize| match index < captures.len() {
        true => Some(captures.get(index).map_or("", |found| found.as_str())),
        false => None,
    };
    replace(&replacement, group)
}

/// A sign of an expression or a replacement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// As it stands.
    Plain(u8),
    /// Behind a backslash.
    Escaped(u8),
}

/// Cuts at the three delimiters that stand without a backslash. Inside both parts an escaped delimiter is that sign
/// itself. rfc6116:5.2-7, rfc6116:5.2-8.
fn split(regexp: &[u8]) -> Option<(Vec<Sign>, Vec<Sign>)> {
    let (&delimiter, rest) = regexp.split_first()?;
    if matches!(delimiter, b'1'..=b'9' | b'i' | b'\\') {
        return None;
    }
    let mut parts = vec![Vec::new()];
    let mut signs = rest.iter();
    while let Some(&sign) = signs.next() {
        let read = match sign {
            b'\\' => Sign::Escaped(*signs.next()?),
            _ if sign == delimiter => {
                parts.push(Vec::new());
                continue;
            }
            _ => Sign::Plain(sign),
        };
        parts.last_mut()?.push(read);
    }
    let [expression, replacement, flags] = <[Vec<Sign>; 3]>::try_from(parts).ok()?;
    // Case means nothing to digits.
    (flags.is_empty() || flags == [Sign::Plain(b'i')]).then_some((expression, replacement))
}

fn replace<'a>(replacement: &[Sign], group: impl Fn(usize) -> Option<&'a str>) -> Option<String> {
    let mut uri = String::new();
    for sign in replacement {
        match *sign {
            Sign::Escaped(digit @ b'1'..=b'9') => uri.push_str(group(usize::from(digit - b'0'))?),
            // The delimiter; whatever else was meant is no part of a URI.
            Sign::Escaped(sign) if sign.is_ascii_punctuation() && sign != b'\\' => uri.push(char::from(sign)),
            Sign::Escaped(_) => return None,
            Sign::Plain(sign) => uri.push(char::from(sign)),
        }
        if uri.len() > URI_BYTES_MAX {
            return None;
        }
    }
    Some(uri)
}

/// A POSIX extended regular expression, written as `regex_lite` reads it.
struct Translation<'a> {
    signs: &'a [Sign],
    at: usize,
    written: String,
    open_groups: usize,
    groups: usize,
    /// Whether a repeat may follow.
    is_atom_before: bool,
}

impl<'a> Translation<'a> {
    fn of(signs: &'a [Sign]) -> Option<String> {
        let written = String::with_capacity(4 * signs.len());
        let mut this = Self { signs, at: 0, written, open_groups: 0, groups: 0, is_atom_before: false };
        while let Some(sign) = this.next() {
            match sign {
                Sign::Escaped(sign) if sign.is_ascii_alphanumeric() => return None,
                Sign::Escaped(sign) => this.literal(sign),
                Sign::Plain(b'[') => this.bracket()?,
                Sign::Plain(b'(') => this.open()?,
                Sign::Plain(b')') => this.close()?,
                Sign::Plain(b'*' | b'+' | b'?' | b'{') => this.repeat(sign)?,
                Sign::Plain(sign @ (b'^' | b'$' | b'|')) => this.put(sign, false),
                Sign::Plain(b'.') => this.put(b'.', true),
                Sign::Plain(sign) => this.literal(sign),
            }
        }
        (this.open_groups == 0).then_some(this.written)
    }

    fn next(&mut self) -> Option<Sign> {
        let sign = self.signs.get(self.at).copied();
        self.at += usize::from(sign.is_some());
        sign
    }

    fn next_if(&mut self, plain: u8) -> bool {
        let is_there = self.signs.get(self.at) == Some(&Sign::Plain(plain));
        self.at += usize::from(is_there);
        is_there
    }

    fn put(&mut self, sign: u8, is_atom: bool) {
        self.written.push(char::from(sign));
        self.is_atom_before = is_atom;
    }

    fn literal(&mut self, sign: u8) {
        self.put_code(sign);
        self.is_atom_before = true;
    }

    fn put_code(&mut self, sign: u8) {
        write!(self.written, "\\x{sign:02x}").expect("writing to a String does not fail");
    }

    fn open(&mut self) -> Option<()> {
        self.open_groups += 1;
        self.groups += 1;
        self.put(b'(', false);
        (self.groups <= REGEXP_GROUPS_MAX).then_some(())
    }

    fn close(&mut self) -> Option<()> {
        self.open_groups = self.open_groups.checked_sub(1)?;
        self.put(b')', true);
        Some(())
    }

    /// POSIX leaves open what a repeat of a repeat or of nothing means; elsewhere it is a lazy one.
    fn repeat(&mut self, sign: Sign) -> Option<()> {
        if !self.is_atom_before {
            return None;
        }
        if sign != Sign::Plain(b'{') {
            let Sign::Plain(sign) = sign else { return None };
            self.put(sign, false);
            return Some(());
        }
        let least = self.count()?;
        let most = match self.next_if(b',') {
            false => Some(Some(least)),
            true if self.signs.get(self.at) == Some(&Sign::Plain(b'}')) => Some(None),
            true => self.count().map(Some),
        }?;
        if !self.next_if(b'}') || most.is_some_and(|most| most < least) {
            return None;
        }
        let most = most.map_or(String::new(), |most| most.to_string());
        write!(self.written, "{{{least},{most}}}").expect("writing to a String does not fail");
        self.is_atom_before = false;
        Some(())
    }

    fn count(&mut self) -> Option<u32> {
        let mut count = None;
        while let Some(&Sign::Plain(digit @ b'0'..=b'9')) = self.signs.get(self.at) {
            let value = count.unwrap_or(0) * 10 + u32::from(digit - b'0');
            count = Some(value).filter(|count| *count <= REGEXP_REPEAT_MAX);
            count?;
            self.at += 1;
        }
        count
    }

    /// `[…]`: a backslash is an ordinary sign there, but before the delimiter it was taken off.
    fn bracket(&mut self) -> Option<()> {
        self.written.push('[');
        if self.next_if(b'^') {
            self.written.push('^');
        }
        let mut is_first = true;
        while is_first || !self.next_if(b']') {
            is_first = false;
            self.bracket_item()?;
        }
        self.put(b']', true);
        Some(())
    }

    fn bracket_item(&mut self) -> Option<()> {
        if self.signs.get(self.at) == Some(&Sign::Plain(b'[')) {
            match self.signs.get(self.at + 1) {
                Some(Sign::Plain(b':')) => return self.bracket_class(),
                Some(Sign::Plain(b'.' | b'=')) => return None,
                _ => {}
            }
        }
        let first = self.bracket_sign()?;
        self.put_code(first);
        let is_range = self.signs.get(self.at) == Some(&Sign::Plain(b'-'))
            && self.signs.get(self.at + 1).is_some_and(|next| *next != Sign::Plain(b']'));
        if is_range {
            self.at += 1;
            let last = self.bracket_sign().filter(|last| *last >= first)?;
            self.written.push('-');
            self.put_code(last);
        }
        Some(())
    }

    fn bracket_sign(&mut self) -> Option<u8> {
        match self.next()? {
            Sign::Plain(sign) => Some(sign),
            // POSIX has two signs here. Those who write one mean the second, and some mean a class: too unclear.
            Sign::Escaped(sign) if sign.is_ascii_alphanumeric() => None,
            Sign::Escaped(sign) => Some(sign),
        }
    }

    fn bracket_class(&mut self) -> Option<()> {
        const CLASSES: [&str; 12] = [
            "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
            "upper", "xdigit",
        ];
        let rest = self.signs.get(self.at + 2..)?;
        let is_next = |name: &&&str| {
            let signs = name.bytes().chain(*b":]").map(Sign::Plain);
            rest.len() >= name.len() + 2 && signs.eq(rest[..name.len() + 2].iter().copied())
        };
        let name = CLASSES.iter().find(is_next)?;
        self.at += name.len() + 4;
        write!(self.written, "[:{name}:]").expect("writing to a String does not fail");
        Some(())
    }
}
