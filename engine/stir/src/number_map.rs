//! A map from sets of telephone numbers to values that answers with the smallest set that holds a number.
//!
//! A range is cut into blocks of numbers with one beginning (at most 260 of them), so that a look-up is
//! two hashes for each length a beginning may have, however many sets there are.

use std::collections::HashMap;

use herald_core::limits::NUMBER_SIGNS_MAX;
use herald_core::{NumberBlock, TelephoneNumber};

/// A set of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberSet {
    /// One number.
    One(TelephoneNumber),
    /// Consecutive numbers of one length.
    Block(NumberBlock),
    /// Numbers of any length that begin so.
    Prefix(TelephoneNumber),
    /// All numbers.
    Everybody,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct NumberMap<V> {
    pieces: HashMap<Piece, Entry<V>>,
    len: usize,
}

/// Numbers with one beginning: its word, 0 for none, and how many signs they have, 0 for any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Piece {
    pub(crate) beginning: u64,
    pub(crate) sign_count: usize,
}

#[derive(Clone, Debug)]
struct Entry<V> {
    /// How many numbers the set has that the piece comes from.
    numbers_count: u64,
    value: V,
}

impl<V> Default for NumberMap<V> {
    fn default() -> Self {
        Self { pieces: HashMap::new(), len: 0 }
    }
}

impl<V: Clone> NumberMap<V> {
    /// Gives `value` to the numbers of `set`, except to those that a smaller set gave one. O(the digits of a
    /// number squared).
    pub fn insert(&mut self, set: NumberSet, value: V) {
        self.len += 1;
        match set {
            NumberSet::One(number) => {
                self.put(Piece { beginning: number.to_bits(), sign_count: number.sign_count() }, 1, value);
            }
            NumberSet::Block(block) => {
                for piece in pieces(block) {
                    self.put(piece, block.count(), value.clone());
                }
            }
            NumberSet::Prefix(prefix) => {
                let free_count = NUMBER_SIGNS_MAX - prefix.sign_count();
                self.put(any_length(prefix.to_bits()), 10u64.pow(free_count as u32), value);
            }
            NumberSet::Everybody => self.put(any_length(0), u64::MAX, value),
        }
    }

    /// The value of the smallest set that holds `number`.
    pub fn get(&self, number: TelephoneNumber) -> Option<&V> {
        let (bits, signs) = (number.to_bits(), number.sign_count());
        let beginnings = (0..=signs).map(|length| bits & beginning_mask(length));
        let found = beginnings.flat_map(|beginning| {
            [Piece { beginning, sign_count: signs }, any_length(beginning)]
                .map(|piece| self.pieces.get(&piece))
        });
        found.flatten().min_by_key(|entry| entry.numbers_count).map(|entry| &entry.value)
    }

    /// How many sets were put in.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none was.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn put(&mut self, piece: Piece, numbers_count: u64, value: V) {
        let smaller = self.pieces.get(&piece).is_some_and(|entry| entry.numbers_count < numbers_count);
        if !smaller {
            self.pieces.insert(piece, Entry { numbers_count, value });
        }
    }
}

const fn any_length(beginning: u64) -> Piece {
    Piece { beginning, sign_count: 0 }
}

/// The part of a number's word that its first `length` signs take.
pub(crate) const fn beginning_mask(length: usize) -> u64 {
    const WORD_BITS: u32 = 4 * NUMBER_SIGNS_MAX as u32;
    let free_bits = WORD_BITS - 4 * length as u32;
    !0u64 << free_bits
}

/// The largest blocks of one beginning that make up `block`.
pub(crate) fn pieces(block: NumberBlock) -> Vec<Piece> {
    let sign_count = block.first().sign_count();
    let text = block.first().to_string();
    let mut next: u64 = text.parse().expect("a block's first number is all digits");
    let end = next + block.count();
    let mut pieces = Vec::new();
    while next < end {
        let mut free_count = 0;
        let mut size = 1;
        while free_count < sign_count && next.is_multiple_of(size * 10) && next + size * 10 <= end {
            free_count += 1;
            size *= 10;
        }
        let digits = format!("{next:0sign_count$}");
        let beginning = TelephoneNumber::from_signs(&digits.as_bytes()[..sign_count - free_count]);
        pieces.push(Piece { beginning: beginning.map_or(0, TelephoneNumber::to_bits), sign_count });
        next += size;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> TelephoneNumber {
        text.parse().expect("a number")
    }

    fn block(text: &str) -> NumberSet {
        NumberSet::Block(NumberBlock::parse(text.as_bytes()).expect("a block"))
    }

    #[test]
    fn the_smallest_set_that_holds_a_number_answers_in_whatever_order_they_came() {
        let sets = [
            (NumberSet::Everybody, "everybody"),
            (NumberSet::Prefix(number("12")), "prefix"),
            (block("12225550000-1000"), "range"),
            (block("122255501xx"), "block"),
            (NumberSet::One(number("12225550123")), "one"),
        ];
        let cases = [
            ("12225550123", "one"),
            ("12225550124", "block"),
            ("12225550999", "range"),
            ("12225551000", "prefix"),
            ("122255501234", "prefix"),
            ("1", "everybody"),
            ("*12", "everybody"),
        ];
        for reversed in [false, true] {
            let mut map = NumberMap::default();
            let mut order: Vec<_> = sets.iter().collect();
            if reversed {
                order.reverse();
            }
            order.iter().for_each(|(set, name)| map.insert(*set, *name));
            for (text, expected) in cases {
                assert_eq!(map.get(number(text)), Some(&expected), "{text}");
            }
        }
    }

    #[test]
    fn a_range_holds_what_its_block_holds_and_nothing_else() {
        for text in ["0000-10000", "0997-1006", "1234-1", "1999-2", "9001-999", "0-10", "0123-4567"] {
            let set = NumberBlock::parse(text.as_bytes()).expect("a block");
            let mut map = NumberMap::default();
            map.insert(NumberSet::Block(set), ());
            for length in [3, 4, 5] {
                for value in 0..10u32.pow(length) {
                    let digits = number(&format!("{value:0width$}", width = length as usize));
                    assert_eq!(map.get(digits).is_some(), set.contains(digits), "{digits} in {text}");
                }
            }
        }
    }

    #[test]
    fn the_longest_range_is_cut_into_a_few_pieces() {
        let widest = NumberBlock::parse(b"000000000000001-999999999999998").expect("a block");
        assert_eq!(pieces(widest).len(), 18 * 14 + 8);
    }
}
