//! Rust source with its comments, literals or tests blanked out, byte for byte in place.
//!
//! Enough of the grammar to tell code from prose: nested comments, raw strings, characters against lifetimes,
//! attributes and braces. It does not know macros: their bodies count as code.

use core::ops::Range;

/// `text` with every byte of comments and of string and character literals turned into a space.
///
/// Line ends stay, so offsets and line numbers keep their meaning. The quotes go too.
pub fn code_only(text: &str) -> String {
    let mut scanner = Scanner { bytes: text.as_bytes(), at: 0, out: text.as_bytes().to_vec() };
    while scanner.at < scanner.bytes.len() {
        let end = scanner.token_end();
        match end {
            Some(end) => scanner.blank_to(end),
            None => scanner.at += 1,
        }
    }
    String::from_utf8(scanner.out).expect("literals and comments begin and end at whole characters")
}

/// `code` (from [`code_only`]) without the items under `#[cfg(test)]`.
pub fn production_only(code: &str) -> String {
    let mut out = code.as_bytes().to_vec();
    for span in test_spans(code) {
        blank(&mut out[span]);
    }
    String::from_utf8(out).expect("items begin and end at whole characters")
}

/// Files that `code`, the code of `path`, declares as test modules with `#[cfg(test)] mod name;`.
///
/// Every place where Rust would look is named; at most one of them exists.
pub fn test_module_paths(path: &str, code: &str) -> Vec<String> {
    let (folder, file) = path.rsplit_once('/').unwrap_or((".", path));
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let base = match stem {
        "lib" | "main" | "mod" => folder.to_owned(),
        _ => format!("{folder}/{stem}"),
    };
    let mut paths = Vec::new();
    for span in test_spans(code) {
        let words: Vec<&str> = code[span].split_whitespace().collect();
        let declared =
            words.windows(2).find(|pair| pair[0] == "mod").and_then(|pair| pair[1].strip_suffix(';'));
        if let Some(name) = declared {
            paths.push(format!("{base}/{name}.rs"));
            paths.push(format!("{base}/{name}/"));
        }
    }
    paths
}

/// Where `word` stands in `code` as a whole identifier.
pub fn word_offsets<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    code.match_indices(word).map(|(offset, _)| offset).filter(move |&offset| {
        let before = offset.checked_sub(1).and_then(|index| bytes.get(index));
        let after = bytes.get(offset + word.len());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// The spans of all attributes in `code`, outer and inner, from `#` to after `]`.
pub fn attribute_spans(code: &str) -> Vec<Range<usize>> {
    let bytes = code.as_bytes();
    let mut spans = Vec::new();
    let mut at = 0;
    while let Some(found) = code[at..].find('#') {
        let start = at + found;
        let open = if bytes.get(start + 1) == Some(&b'!') { start + 2 } else { start + 1 };
        at = start + 1;
        if bytes.get(open) == Some(&b'[') {
            at = group_end(bytes, open);
            spans.push(start..at);
        }
    }
    spans
}

/// The offset after the group that opens at `open` with one of `([{`; the end of the text if it never closes.
pub fn group_end(bytes: &[u8], open: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in bytes.iter().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return offset + 1;
        }
    }
    bytes.len()
}

/// Whether `byte` can be part of an identifier.
pub fn is_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80
}

fn test_spans(code: &str) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for attribute in attribute_spans(code) {
        let covered = spans.last().is_some_and(|last| attribute.start < last.end);
        let written = &code[attribute.clone()];
        if covered || !is_test_cfg(written) {
            continue;
        }
        let inner = written.starts_with("#!");
        let end = if inner { code.len() } else { item_end(code, attribute.end) };
        spans.push(attribute.start..end);
    }
    spans
}

fn is_test_cfg(attribute: &str) -> bool {
    let squeezed: String = attribute.split_whitespace().collect();
    let is_cfg = squeezed.trim_start_matches(['#', '!', '[']).starts_with("cfg(");
    is_cfg && !squeezed.contains("not(test") && word_offsets(&squeezed, "test").next().is_some()
}

fn item_end(code: &str, from: usize) -> usize {
    let bytes = code.as_bytes();
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b';' => return at + 1,
            b'{' => return group_end(bytes, at),
            b'(' | b'[' => at = group_end(bytes, at),
            _ => at += 1,
        }
    }
    code.len()
}

fn blank(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    out: Vec<u8>,
}

impl Scanner<'_> {
    /// Where the comment or literal that starts here ends, if one starts here.
    fn token_end(&self) -> Option<usize> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(b"//") {
            return Some(self.at + rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len()));
        }
        if rest.starts_with(b"/*") {
            return Some(self.block_comment_end());
        }
        match rest.first()? {
            b'"' => Some(self.quoted_end(self.at + 1, b'"')),
            b'\'' => self.character_end(),
            b'r' | b'b' | b'c' => self.raw_string_end(),
            _ => None,
        }
    }

    fn block_comment_end(&self) -> usize {
        let mut depth = 0_usize;
        let mut at = self.at;
        while at < self.bytes.len() {
            let rest = &self.bytes[at..];
            if rest.starts_with(b"/*") {
                depth += 1;
                at += 2;
            } else if rest.starts_with(b"*/") {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            } else {
                at += 1;
            }
        }
        at
    }

    fn quoted_end(&self, from: usize, quote: u8) -> usize {
        let mut at = from;
        while let Some(&byte) = self.bytes.get(at) {
            match byte {
                b'\\' => at += 2,
                _ if byte == quote => return at + 1,
                _ => at += 1,
            }
        }
        self.bytes.len()
    }

    /// `'a'` is a literal, `'a` without a closing quote a lifetime.
    fn character_end(&self) -> Option<usize> {
        let first = *self.bytes.get(self.at + 1)?;
        if first == b'\\' {
            return Some(self.quoted_end(self.at + 1, b'\''));
        }
        let width = match first {
            0x00..=0x7f => 1,
            0x80..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
        };
        let close = self.at + 1 + width;
        (self.bytes.get(close) == Some(&b'\'')).then_some(close + 1)
    }

    fn raw_string_end(&self) -> Option<usize> {
        let previous = self.at.checked_sub(1).and_then(|index| self.bytes.get(index));
        if previous.is_some_and(is_word) {
            return None;
        }
        let mut open = self.at;
        if self.bytes[open] != b'r' {
            open += 1;
        }
        if self.bytes.get(open) != Some(&b'r') {
            return None;
        }
        let hashes = self.bytes[open + 1..].iter().take_while(|&&byte| byte == b'#').count();
        let quote = open + 1 + hashes;
        if self.bytes.get(quote) != Some(&b'"') {
            return None;
        }
        let mut close = vec![b'#'; hashes + 1];
        close[0] = b'"';
        let body = &self.bytes[quote + 1..];
        let length = body.windows(close.len()).position(|window| window == close);
        Some(length.map_or(self.bytes.len(), |length| quote + 1 + length + close.len()))
    }

    fn blank_to(&mut self, end: usize) {
        let end = end.min(self.bytes.len());
        blank(&mut self.out[self.at..end]);
        self.at = end;
    }
}
