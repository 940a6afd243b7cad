//! Telephone numbers and blocks of them against models written from RFC 8224 §8.3 and RFC 8226 §9.

use herald_core::limits::{NUMBER_SIGNS_MAX, NUMBER_TEXT_BYTES_MAX};
use herald_core::{NumberBlock, TelephoneNumber};

use crate::limits::BLOCK_WALK_NUMBERS;

/// In order of their codes in a number's word, which begin at 1.
const SIGNS: &[u8] = b"0123456789*#";

/// Signs of the longest number the model knows; with the fault of the self-test, one fewer than there are.
const MODEL_SIGNS_MAX: usize = if cfg!(feature = "broken") { NUMBER_SIGNS_MAX - 1 } else { NUMBER_SIGNS_MAX };

/// Reads `data` as a number, as a block and as the bits of a number.
///
/// # Panics
/// If one of them is read otherwise than the model reads it, or does not come back from its text or its bits.
pub fn check(data: &[u8]) {
    check_number(data);
    check_block(data);
    if let Some(bits) = data.first_chunk() {
        check_bits(u64::from_le_bytes(*bits));
    }
}

fn check_number(text: &[u8]) {
    let parsed = TelephoneNumber::parse(text);
    let signs = parsed.map(|number| number.signs().collect::<Vec<_>>());
    assert_eq!(signs.as_ref().ok(), number_model(text).as_ref());
    match (parsed, signs) {
        (Ok(number), Ok(signs)) => check_parsed(number, &signs),
        (Err(error), _) => {
            assert!(error.position() <= text.len(), "the fault lies behind the text");
            assert!(!error.to_string().is_empty());
        }
        (Ok(_), Err(_)) => unreachable!("one comes from the other"),
    }
}

fn check_parsed(number: TelephoneNumber, signs: &[u8]) {
    assert_eq!(number.sign_count(), signs.len());
    assert_eq!(number.to_string().as_bytes(), signs);
    assert_eq!(TelephoneNumber::parse(signs), Ok(number));
    assert_eq!(TelephoneNumber::from_bits(number.to_bits()), Some(number));
    check_bits(number.to_bits());
    let shown = format!("{number:?}").bytes().filter(|byte| SIGNS.contains(byte)).count();
    assert!(shown <= 2 && shown < signs.len(), "Debug shows {shown} signs of {}", signs.len());
}

/// The canonical signs of a number as people write it; letters are refused (see [`TelephoneNumber::parse`]).
fn number_model(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() > NUMBER_TEXT_BYTES_MAX {
        return None;
    }
    let written = percent_decoded(text)?;
    let mut signs: Vec<u8> = written.into_iter().filter(|byte| !b" -.()/".contains(byte)).collect();
    if signs.first() == Some(&b'+') {
        signs.remove(0);
    }
    let good = signs.iter().all(|sign| SIGNS.contains(sign)) && (1..=MODEL_SIGNS_MAX).contains(&signs.len());
    good.then_some(signs)
}

fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let whole = digits.iter().all(u8::is_ascii_hexdigit);
        let digits = core::str::from_utf8(digits).ok().filter(|_| whole)?;
        decoded.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    Some(decoded)
}

/// A word is a number's if its codes, four bits each below the four highest bits, are signs up to the first 0 and
/// nothing but 0 from there on.
fn check_bits(bits: u64) {
    let code = |index: usize| usize::try_from((bits >> (56 - 4 * index)) & 0xf).expect("four bits");
    let codes: Vec<usize> = (0..NUMBER_SIGNS_MAX).map(code).collect();
    let sign_count = codes.iter().take_while(|&&code| code != 0).count();
    let (signs, rest) = codes.split_at(sign_count);
    let good = bits >> 60 == 0
        && sign_count > 0
        && signs.iter().all(|&code| code <= SIGNS.len())
        && rest.iter().all(|&code| code == 0);
    let expected: Option<Vec<u8>> = good.then(|| signs.iter().map(|&code| SIGNS[code - 1]).collect());
    let found = TelephoneNumber::from_bits(bits);
    assert_eq!(found.map(|number| number.signs().collect()), expected);
    assert!(found.is_none_or(|number| number.to_bits() == bits));
}

fn check_block(text: &[u8]) {
    let parsed = NumberBlock::parse(text);
    let found = parsed.map(|block| (block.first().to_string().into_bytes(), block.count()));
    assert_eq!(found.ok(), block_model(text));
    match parsed {
        Ok(block) => check_parsed_block(block),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// First number and count of `first-count` or of a prefix with an `x` for each free digit.
fn block_model(text: &[u8]) -> Option<(Vec<u8>, u64)> {
    let digits = |text| number_model(text).filter(|signs| signs.iter().all(u8::is_ascii_digit));
    let free_count = text.iter().rev().take_while(|byte| byte.eq_ignore_ascii_case(&b'x')).count();
    if free_count > 0 {
        let mut first = digits(&text[..text.len() - free_count])?;
        if first.len() + free_count > NUMBER_SIGNS_MAX {
            return None;
        }
        first.resize(first.len() + free_count, b'0');
        return Some((first, 10u64.pow(u32::try_from(free_count).ok()?)));
    }
    let dash = text.iter().rposition(|&byte| byte == b'-')?;
    let (first, count) = (digits(&text[..dash])?, &text[dash + 1..]);
    let count: u64 = core::str::from_utf8(count).ok().filter(|text| !text.starts_with('+'))?.parse().ok()?;
    let value: u128 = core::str::from_utf8(&first).ok()?.parse().ok()?;
    let end = 10u128.pow(u32::try_from(first.len()).ok()?);
    (count > 0 && value + u128::from(count) <= end).then_some((first, count))
}

fn check_parsed_block(block: NumberBlock) {
    assert_eq!(NumberBlock::parse(block.to_string().as_bytes()), Ok(block));
    assert_eq!(NumberBlock::new(block.first(), block.count()), Ok(block));
    let numbers: Vec<_> = block.numbers().take(BLOCK_WALK_NUMBERS).collect();
    let expected = usize::try_from(block.count()).unwrap_or(usize::MAX).min(BLOCK_WALK_NUMBERS);
    assert_eq!(numbers.len(), expected);
    assert_eq!(numbers[0], block.first());
    assert!(numbers.is_sorted_by(|one, next| one < next), "numbers of a block are not in order");
    assert!(numbers.iter().all(|&number| block.contains(number)));
    assert!(numbers.iter().all(|number| number.sign_count() == block.first().sign_count()));
    if block.count() < u64::try_from(BLOCK_WALK_NUMBERS).expect("a small constant") {
        let last = numbers[numbers.len() - 1];
        let value: u64 = last.to_string().parse().expect("a block holds digits only");
        let next = format!("{:0width$}", value + 1, width = last.sign_count());
        let outside = TelephoneNumber::parse(next.as_bytes());
        assert!(outside.is_err() || outside.is_ok_and(|number| !block.contains(number)));
    }
}
