//! What a telephone number may look like, and the blocks of them: cases as data.

mod common;

use std::collections::BTreeSet;

use common::Rng;
use herald_core::limits::{NUMBER_SIGNS_MAX, NUMBER_TEXT_BYTES_MAX};
use herald_core::{BlockError, NumberBlock, TelephoneNumber};

const SIGNS: &[u8; 12] = b"0123456789*#";

fn number(text: &str) -> TelephoneNumber {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

#[test]
fn numbers_are_read_as_people_and_urls_write_them() {
    for (text, canonical) in [
        ("+1 (222) 555-2222", "12225552222"),
        ("2.222.555.2222", "22225552222"),
        ("12225552222", "12225552222"),
        ("%2B1%20%28222%29%20555%2D2222", "12225552222"),
        ("%2b12225552222", "12225552222"),
        ("%31%32%33", "123"),
        ("1/222/555/2222", "12225552222"),
        (" +44 20 7946 0000 ", "442079460000"),
        ("(+44) 20", "4420"),
        ("911", "911"),
        ("112", "112"),
        ("5", "5"),
        ("*67", "*67"),
        ("#31#", "#31#"),
        ("%2331%23", "#31#"),
        ("*", "*"),
        ("000000000000000", "000000000000000"),
        ("123456789012345", "123456789012345"),
        ("1-2-3-4-5-6-7-8-9-0-1-2-3-4-5", "123456789012345"),
    ] {
        let parsed = number(text);
        assert_eq!(parsed.to_string(), canonical, "of {text:?}");
        assert_eq!(parsed, number(canonical), "of {text:?}");
        assert_eq!(parsed.sign_count(), canonical.len(), "of {text:?}");
        assert_eq!(parsed.signs().collect::<Vec<_>>(), canonical.as_bytes(), "of {text:?}");
    }
}

#[test]
fn everything_else_is_refused_where_the_fault_is() {
    let too_long_text = "1".repeat(NUMBER_TEXT_BYTES_MAX + 1);
    let longest_separators = ".".repeat(NUMBER_TEXT_BYTES_MAX);
    for (text, position) in [
        ("", 0),
        ("+", 1),
        ("()", 2),
        ("%20", 3),
        (longest_separators.as_str(), NUMBER_TEXT_BYTES_MAX),
        ("12a", 2),
        ("1222555CALL", 7),
        ("1+2", 1),
        ("++1", 1),
        ("+1%2B2", 2),
        ("1,2", 1),
        ("1;ext=2", 1),
        ("1_2", 1),
        ("1:2", 1),
        ("tel:911", 0),
        ("sip:911@example.com", 0),
        ("12\u{0}", 2),
        ("12\n", 2),
        ("12%0A", 2),
        ("12%00", 2),
        ("1\u{661}", 1),
        ("1\u{ff11}", 1),
        ("1%2", 1),
        ("12%", 2),
        ("12%zz", 2),
        ("12%3", 2),
        ("12%+1", 2),
        ("12%2525", 2),
        ("1234567890123456", 15),
        ("+1 234 567 890 123 456", 21),
        (too_long_text.as_str(), NUMBER_TEXT_BYTES_MAX),
    ] {
        let error = text.parse::<TelephoneNumber>().expect_err(text);
        assert_eq!(error.position(), position, "of {text:?}: {error}");
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_too() {
    let error = TelephoneNumber::parse(b"12\xff").expect_err("no sign");
    assert_eq!(error.position(), 2);
}

#[test]
fn a_hundred_thousand_numbers_survive_the_way_through_bits_and_text() {
    let mut rng = Rng::new(1);
    let mut bits = BTreeSet::new();
    let mut texts = BTreeSet::new();
    for _ in 0..100_000 {
        let text: String =
            (0..=rng.below(15)).map(|_| char::from(SIGNS[rng.index_below(SIGNS.len())])).take(15).collect();
        let number = number(&text);
        assert_ne!(number.to_bits(), 0);
        assert_eq!(TelephoneNumber::from_bits(number.to_bits()), Some(number), "{text}");
        assert_eq!(number.to_string(), text);
        bits.insert(number.to_bits());
        texts.insert(text);
    }
    assert_eq!(bits.len(), texts.len(), "different numbers share a word");
}

#[test]
fn words_that_no_number_has_give_none() {
    let short = number("12").to_bits();
    assert_eq!(TelephoneNumber::from_bits(0), None);
    assert_eq!(TelephoneNumber::from_bits(u64::MAX), None);
    assert_eq!(TelephoneNumber::from_bits(short | 1 << 63), None, "a bit above the first sign");
    assert_eq!(TelephoneNumber::from_bits(short | 1), None, "a sign behind a gap");
    assert_eq!(TelephoneNumber::from_bits(0xd << 56), None, "a code that is no sign");
    let mut rng = Rng::new(2);
    for _ in 0..100_000 {
        let bits = rng.next_word();
        if let Some(number) = TelephoneNumber::from_bits(bits) {
            assert_eq!(number.to_bits(), bits);
        }
    }
}

#[test]
fn numbers_are_ordered_sign_by_sign() {
    let ordered = ["0", "00", "01", "1", "12", "120", "1200", "121", "2", "9", "99", "*", "*1", "#", "##"];
    for pair in ordered.windows(2) {
        assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
        assert!(number(pair[0]).to_bits() < number(pair[1]).to_bits(), "{pair:?}");
    }
}

#[test]
fn debug_never_shows_a_whole_number() {
    for (text, shown) in [
        ("12225552222", "TelephoneNumber(.........22)"),
        ("911", "TelephoneNumber(.11)"),
        ("91", "TelephoneNumber(.1)"),
        ("9", "TelephoneNumber(.)"),
    ] {
        assert_eq!(format!("{:?}", number(text)), shown);
    }
    let block = NumberBlock::parse(b"12225550100-100").expect("a block");
    assert!(!format!("{block:?}").contains("12225550100"));
    let error = "12225552222a".parse::<TelephoneNumber>().expect_err("a letter");
    assert!(!format!("{error:?} {error}").contains("2222"));
}

#[test]
fn blocks_are_read_as_first_and_count_or_as_a_prefix() {
    for (text, first, count) in [
        ("12225550100-100", "12225550100", 100),
        ("12225550100-1", "12225550100", 1),
        ("1.222.555.0100-10", "12225550100", 10),
        ("1-222-555-0100-10", "12225550100", 10),
        ("122255501xx", "12225550100", 100),
        ("1222555010X", "12225550100", 10),
        ("1 222 555 01xX", "12225550100", 100),
        ("0xxx", "0000", 1_000),
        ("1xxxxxxxxxxxxxx", "100000000000000", 100_000_000_000_000),
        ("999999999999999-1", "999999999999999", 1),
        ("0000-10000", "0000", 10_000),
        ("0000-0010", "0000", 10),
    ] {
        let block = NumberBlock::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(block.first(), number(first), "of {text:?}");
        assert_eq!(block.count(), count, "of {text:?}");
        assert_eq!(block.to_string(), format!("{first}-{count}"));
        assert_eq!(NumberBlock::parse(block.to_string().as_bytes()), Ok(block), "of {text:?}");
    }
}

#[test]
fn texts_that_are_no_block_are_refused_with_the_reason() {
    let at = |text: &str| BlockError::Number(text.parse::<TelephoneNumber>().expect_err(text));
    for (text, error) in [
        ("12225550100-0", BlockError::Empty),
        ("12225550100", BlockError::NoCount),
        ("12225550100-", BlockError::NoCount),
        ("12225550100-1x1", BlockError::NoCount),
        ("12225550100-+1", BlockError::NoCount),
        ("12225550100-99999999999999999999", BlockError::NoCount),
        ("99-2", BlockError::PastEnd),
        ("999999999999999-2", BlockError::PastEnd),
        ("1-18446744073709551615", BlockError::PastEnd),
        ("xxx", at("")),
        ("-5", at("")),
        ("12a-5", at("12a")),
        ("#31-5", BlockError::NotDigits),
        ("*6x", BlockError::NotDigits),
        ("12xxxxxxxxxxxxxx", BlockError::PastEnd),
    ] {
        assert_eq!(NumberBlock::parse(text.as_bytes()), Err(error), "of {text:?}");
        assert!(!error.to_string().is_empty());
    }
    assert_eq!(NumberBlock::from_prefix(number("1"), usize::MAX), Err(BlockError::PastEnd));
    assert_eq!(NumberBlock::new(number("5"), 6), Err(BlockError::PastEnd));
}

#[test]
fn a_block_holds_the_numbers_it_lists_and_no_others() {
    let block = NumberBlock::parse(b"0098-5").expect("a block");
    let numbers: Vec<_> = block.numbers().map(|number| number.to_string()).collect();
    assert_eq!(numbers, ["0098", "0099", "0100", "0101", "0102"]);
    for (text, inside) in [
        ("0097", false),
        ("0098", true),
        ("0102", true),
        ("0103", false),
        ("98", false),
        ("098", false),
        ("00098", false),
        ("*098", false),
        ("#", false),
    ] {
        assert_eq!(block.contains(number(text)), inside, "{text}");
    }
    let whole = NumberBlock::from_prefix(number("5"), 2).expect("a block");
    assert_eq!(whole.numbers().count(), 100);
    assert!(
        whole.numbers().all(|number| whole.contains(number) && number.sign_count() == NUMBER_SIGNS_MAX - 12)
    );
    assert!(whole.numbers().zip(whole.numbers().skip(1)).all(|(earlier, later)| earlier < later));
}
