//! Tables of services: compiled ones that somebody damaged, lines of text, and advertisements.
//!
//! An input that begins with the magic of a table is one, with its digest put right; one that begins with `{` is an
//! advertisement, one that begins with `e` a signed one; any other is lines. What lines say is looked up in a plain list
//! beside the table.

use herald_core::TelephoneNumber;
use herald_stir::NumberSet;
use herald_stir::advert::{SignedAdvert, parse_unsigned};
use herald_stir::services::{Selector, Side};
use herald_stir::table::{Table, TableBuilder};
use ring::digest::{SHA256, digest};

const MAGIC: &[u8] = b"hrldtbl1";
/// Where the digest ends.
const DIGESTED_AT: usize = 40;
/// Lines of one input that are compared, each with each number.
const LINES_MAX: usize = 64;

/// Reads `data`.
///
/// # Panics
/// If a table that was taken cannot be looked up in, or a set answers for a number that no line holds, or none for one
/// that a line does hold.
pub fn check(data: &[u8]) {
    match data.first() {
        _ if data.starts_with(MAGIC) => check_table(data),
        Some(b'{') => check_unsigned(data),
        Some(b'e') => drop(SignedAdvert::parse(data)),
        _ => check_lines(data),
    }
}

fn check_table(data: &[u8]) {
    let mut bytes = data.to_vec();
    if let Some(rest) = bytes.get(DIGESTED_AT..) {
        let sum = digest(&SHA256, rest);
        bytes[MAGIC.len()..DIGESTED_AT].copy_from_slice(sum.as_ref());
    }
    let Ok(table) = Table::open(bytes) else { return };
    for text in ["1", "0", "12225550123", "999999999999999", "*12#", "############### "] {
        let Ok(number) = text.trim().parse::<TelephoneNumber>() else { continue };
        for side in [Side::Calling, Side::Called] {
            if let Some(found) = table.look(number, Some("1234"), side) {
                assert!(found.service.uris().all(|uri| uri.to_ascii_lowercase().starts_with("https://")));
            }
        }
    }
}

fn check_unsigned(data: &[u8]) {
    let Ok(pairs) = parse_unsigned(data) else { return };
    let mut builder = TableBuilder::new();
    if builder.add_unsigned_advert(&pairs, "fuzz").is_ok() {
        drop(builder.finish(0).map(|bytes| Table::open(bytes).expect("what was compiled is a table")));
    }
}

fn check_lines(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let mut builder = TableBuilder::new();
    let mut selectors = Vec::new();
    for line in text.lines().take(LINES_MAX) {
        if builder.add_line(line, "fuzz") == Ok(true) {
            let separates = |sign: char| sign.is_whitespace() || matches!(sign, ',' | ';' | '"');
            let field = line.split(separates).find(|field| !field.is_empty()).expect("it was an entry");
            selectors.extend(field.parse::<Selector>());
        }
    }
    let Ok(bytes) = builder.finish(0) else { return };
    let table = Table::open(bytes).expect("what was compiled is a table");
    let numbers = selectors.iter().filter_map(|selector| match selector {
        Selector::Numbers(NumberSet::One(number) | NumberSet::Prefix(number)) => Some(*number),
        Selector::Numbers(NumberSet::Block(block)) => block.number_at(block.count() - 1),
        _ => None,
    });
    for number in numbers {
        let is_held = selectors.iter().any(|selector| holds(selector, number));
        let found = [Side::Calling, Side::Called].map(|side| table.look(number, None, side).is_some());
        assert_eq!(found.contains(&true), is_held, "{number}");
    }
}

fn holds(selector: &Selector, number: TelephoneNumber) -> bool {
    match selector {
        Selector::Code(_) => false,
        Selector::Numbers(NumberSet::One(one)) => *one == number,
        Selector::Numbers(NumberSet::Block(block)) => block.contains(number),
        Selector::Numbers(NumberSet::Prefix(prefix)) => number.to_string().starts_with(&prefix.to_string()),
        Selector::Numbers(NumberSet::Everybody) => true,
    }
}
