//! JSON as tokens carry it: what is read agrees with a plain reader written from RFC 8259, and what is written has the
//! one form of RFC 8225 §9.
//!
//! An input is put behind the claims of a PASSporT as the value of one more claim; it may end that value and go on.

use std::collections::BTreeMap;

use herald_stir::limits::JSON_DEPTH_MAX;
use herald_stir::{Claims, Json};

const BEFORE: &[u8] = br#"{"dest":{"tn":["12355551212"]},"iat":1,"orig":{"tn":"12155551212"},"x":"#;
/// Above it, it depends on rounding whether a number is one.
const FINITE_MAX: f64 = 1e307;

/// Reads `data` as the value of a claim.
///
/// # Panics
/// If the reader takes other texts than RFC 8259 has, finds something else in them, or writes another form than that of
/// RFC 8225 §9.
pub fn check(data: &[u8]) {
    let payload = [BEFORE, data, b"}"].concat();
    let mut model = Model { rest: &payload, depth: 0, is_borderline: false };
    let expected = core::str::from_utf8(&payload).ok().and_then(|_| model.document());
    if model.is_borderline {
        return;
    }
    match (Claims::from_payload(&payload, None), expected) {
        (Ok(claims), Some(Json::Object(mut members))) => {
            for name in ["dest", "iat", "orig"] {
                members.remove(name);
            }
            assert_eq!(claims.extra, members);
            check_written(&Json::Object(members));
        }
        (Err(_), None) => {}
        (read, expected) => panic!("read: {:?}, RFC 8259: {:?}", read.is_ok(), expected.is_some()),
    }
}

/// What is written is what was read, in the form that another library writes too.
fn check_written(value: &Json) {
    let Some(text) = value.to_text() else {
        assert!(has_inexact(value), "only numbers that were not kept cannot be written");
        return;
    };
    let mut model = Model { rest: text.as_bytes(), depth: 0, is_borderline: false };
    assert_eq!(model.document().as_ref(), Some(value));
    let other: serde_json::Value = serde_json::from_str(&text).expect("what is written is JSON");
    assert_eq!(other.to_string(), text, "not the one form");
}

fn has_inexact(value: &Json) -> bool {
    match value {
        Json::Inexact => true,
        Json::Array(items) => items.iter().any(has_inexact),
        Json::Object(members) => members.values().any(has_inexact),
        _ => false,
    }
}

/// RFC 8259, a method for each rule of its grammar, and what this reader adds: no member twice, no deep nesting.
struct Model<'a> {
    rest: &'a [u8],
    depth: usize,
    is_borderline: bool,
}

impl Model<'_> {
    fn document(&mut self) -> Option<Json> {
        let value = self.value()?;
        self.blank();
        self.rest.is_empty().then_some(value)
    }

    fn value(&mut self) -> Option<Json> {
        self.blank();
        match *self.rest.first()? {
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            b'"' => self.text().map(Json::Text),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            _ => self.number(),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Option<Json>) -> Option<Json> {
        self.depth += 1;
        if self.depth > JSON_DEPTH_MAX {
            return None;
        }
        self.rest = &self.rest[1..];
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Option<Json> {
        let mut members = BTreeMap::new();
        if self.takes(b'}') {
            return Some(Json::Object(members));
        }
        loop {
            self.blank();
            let name = self.text()?;
            let value = if self.takes(b':') { self.value()? } else { return None };
            if members.insert(name, value).is_some() {
                return None;
            }
            if !self.takes(b',') {
                return self.takes(b'}').then_some(Json::Object(members));
            }
        }
    }

    fn array(&mut self) -> Option<Json> {
        let mut items = Vec::new();
        if self.takes(b']') {
            return Some(Json::Array(items));
        }
        loop {
            items.push(self.value()?);
            if !self.takes(b',') {
                return self.takes(b']').then_some(Json::Array(items));
            }
        }
    }

    fn text(&mut self) -> Option<String> {
        self.rest = self.rest.strip_prefix(b"\"")?;
        let mut bytes = Vec::new();
        loop {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            match byte {
                b'"' => return String::from_utf8(bytes).ok(),
                b'\\' => bytes.extend(self.escaped()?.to_string().bytes()),
                0..=0x1f => return None,
                byte => bytes.push(byte),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.code_point(),
            _ => return None,
        })
    }

    fn code_point(&mut self) -> Option<char> {
        let high = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&high) {
            return char::from_u32(high);
        }
        self.rest = self.rest.strip_prefix(b"\\u")?;
        let low = self.four_digits()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
        char::from_u32(0x10000 + (high - 0xd800) * 0x400 + low)
    }

    fn four_digits(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        digits.iter().try_fold(0, |value, &digit| Some(value * 16 + char::from(digit).to_digit(16)?))
    }

    fn number(&mut self) -> Option<Json> {
        let whole = self.rest;
        self.rest = self.rest.strip_prefix(b"-").unwrap_or(self.rest);
        match self.rest.first()? {
            b'0' => self.rest = &self.rest[1..],
            b'1'..=b'9' => self.digits()?,
            _ => return None,
        }
        if let Some(rest) = self.rest.strip_prefix(b".") {
            self.rest = rest;
            self.digits()?;
        }
        if let [b'e' | b'E', rest @ ..] = self.rest {
            self.rest = if let [b'+' | b'-', rest @ ..] = rest { rest } else { rest };
            self.digits()?;
        }
        let text = core::str::from_utf8(&whole[..whole.len() - self.rest.len()]).ok()?;
        if let Some(value) = text.parse::<i64>().ok().filter(|_| text != "-0") {
            return Some(Json::Integer(value));
        }
        self.is_borderline |= text.parse::<f64>().is_ok_and(|value| value.abs() > FINITE_MAX);
        Some(Json::Inexact)
    }

    fn digits(&mut self) -> Option<()> {
        let count = self.rest.iter().take_while(|digit| digit.is_ascii_digit()).count();
        self.rest = &self.rest[count..];
        (count > 0).then_some(())
    }

    fn word(&mut self, word: &str, value: Json) -> Option<Json> {
        self.rest = self.rest.strip_prefix(word.as_bytes())?;
        Some(value)
    }

    fn takes(&mut self, sign: u8) -> bool {
        self.blank();
        let rest = self.rest.strip_prefix(&[sign]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn blank(&mut self) {
        let count = self.rest.iter().take_while(|sign| b" \t\n\r".contains(sign)).count();
        self.rest = &self.rest[count..];
    }
}
