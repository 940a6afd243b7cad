//! Telephone numbers in the canonical form of RFC 8224 §8.3, and blocks of them.

use core::fmt;
use core::str::FromStr;

use crate::limits::{NUMBER_SIGNS_MAX, NUMBER_TEXT_BYTES_MAX};

/// A canonical telephone number: 1 to 15 signs out of `0`–`9`, `*` and `#` (RFC 8224 §8.3).
///
/// It is one machine word: four bits a sign, most significant first, so that comparing words compares numbers
/// sign by sign. `Debug` and `Display` differ on purpose: `Debug` shows at most the last two signs and never the
/// first, since full numbers must not reach a log.
///
/// ```
/// use herald_core::TelephoneNumber;
/// let number: TelephoneNumber = "+1 (222) 555-2222".parse()?;
/// assert_eq!(number.to_string(), "12225552222");
/// assert_eq!(number, "1.222.555.2222".parse()?);
/// # Ok::<(), herald_core::NumberError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TelephoneNumber(u64);

const SIGN_BITS: u32 = 4;
const TOP_SHIFT: u32 = 60 - SIGN_BITS;
const SIGNS: &[u8; 12] = b"0123456789*#";

impl TelephoneNumber {
    /// Reads a number as people and URLs write it.
    ///
    /// `+` may stand first; spaces, `-`, `.`, `(`, `)` and `/` are dropped; every sign may be percent-encoded.
    /// Letters and everything else are refused: RFC 8224 would drop them, which turns a typing error into
    /// somebody else's number.
    ///
    /// # Errors
    /// [`NumberError`], with the position of the fault in `text`.
    pub fn parse(text: &[u8]) -> Result<Self, NumberError> {
        // As switches write it: no sign has to be looked at twice.
        if let Some(number) = Self::from_signs(text) {
            return Ok(number);
        }
        if text.len() > NUMBER_TEXT_BYTES_MAX {
            return Err(NumberError::at(NUMBER_TEXT_BYTES_MAX, NumberFault::TextTooLong));
        }
        let mut builder = Builder::default();
        let mut position = 0;
        while position < text.len() {
            let (byte, width) = unescape(text, position)?;
            builder.push(byte, position)?;
            position += width;
        }
        builder.finish(text.len())
    }

    /// The number of these signs, in canonical form only: 1 to 15 of `0`–`9`, `*`, `#` and nothing else.
    pub fn from_signs(signs: &[u8]) -> Option<Self> {
        if signs.is_empty() || signs.len() > NUMBER_SIGNS_MAX {
            return None;
        }
        let mut bits = 0;
        let mut shift = TOP_SHIFT;
        for &sign in signs {
            bits |= sign_code(sign)? << shift;
            shift = shift.saturating_sub(SIGN_BITS);
        }
        Some(Self(bits))
    }

    /// The number as a word: unique to it, never 0.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The number that [`to_bits`](Self::to_bits) made `bits` from, or `None` if there is none.
    pub fn from_bits(bits: u64) -> Option<Self> {
        let mut builder = Builder::default();
        let mut rest = bits;
        while rest != 0 {
            let sign = usize::try_from(rest >> TOP_SHIFT).ok()?.checked_sub(1)?;
            builder.push(*SIGNS.get(sign)?, 0).ok()?;
            rest = (rest << SIGN_BITS) & (u64::MAX >> SIGN_BITS);
        }
        builder.finish(0).ok().filter(|number| number.0 == bits)
    }

    /// How many signs it has: 1 to 15.
    pub fn sign_count(self) -> usize {
        self.signs().count()
    }

    /// Its signs in order, as ASCII.
    pub fn signs(self) -> impl Iterator<Item = u8> {
        (0..NUMBER_SIGNS_MAX as u32)
            .map(move |index| (self.0 >> (TOP_SHIFT - index * SIGN_BITS)) & 0xf)
            .take_while(|&code| code != 0)
            .map(|code| SIGNS[(code - 1) as usize])
    }

    /// Its value if it is all digits.
    fn digits_value(self) -> Option<u64> {
        self.signs()
            .try_fold(0u64, |value, sign| sign.is_ascii_digit().then(|| value * 10 + u64::from(sign - b'0')))
    }

    fn from_digits_value(value: u64, sign_count: usize) -> Option<Self> {
        let text = format!("{value:0sign_count$}");
        (text.len() == sign_count).then(|| Self::parse(text.as_bytes()).ok())?
    }
}

impl fmt::Display for TelephoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.signs().try_for_each(|sign| fmt::Write::write_char(f, char::from(sign)))
    }
}

impl fmt::Debug for TelephoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.sign_count();
        f.write_str("TelephoneNumber(")?;
        for (index, sign) in self.signs().enumerate() {
            let shown = if index == 0 || index + 2 < count { '.' } else { char::from(sign) };
            fmt::Write::write_char(f, shown)?;
        }
        f.write_str(")")
    }
}

impl FromStr for TelephoneNumber {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        Self::parse(text.as_bytes())
    }
}

#[derive(Default)]
struct Builder {
    bits: u64,
    count: usize,
    plus: bool,
}

impl Builder {
    fn push(&mut self, byte: u8, position: usize) -> Result<(), NumberError> {
        match byte {
            b' ' | b'-' | b'.' | b'(' | b')' | b'/' => Ok(()),
            b'+' if self.count == 0 && !self.plus => {
                self.plus = true;
                Ok(())
            }
            _ => {
                let code = sign_code(byte).ok_or(NumberError::at(position, NumberFault::Unexpected(byte)))?;
                if self.count == NUMBER_SIGNS_MAX {
                    return Err(NumberError::at(position, NumberFault::TooManySigns));
                }
                self.bits |= code << (TOP_SHIFT - self.count as u32 * SIGN_BITS);
                self.count += 1;
                Ok(())
            }
        }
    }

    fn finish(self, end: usize) -> Result<TelephoneNumber, NumberError> {
        if self.count == 0 {
            return Err(NumberError::at(end, NumberFault::Empty));
        }
        Ok(TelephoneNumber(self.bits))
    }
}

/// What stands for a sign in a number's word: its place in [`SIGNS`], counted from 1.
const fn sign_code(sign: u8) -> Option<u64> {
    match sign {
        b'0'..=b'9' => Some((sign - b'0') as u64 + 1),
        b'*' => Some(11),
        b'#' => Some(12),
        _ => None,
    }
}

/// The byte at `position`, percent-decoded, and how many bytes of text it took.
fn unescape(text: &[u8], position: usize) -> Result<(u8, usize), NumberError> {
    if text[position] != b'%' {
        return Ok((text[position], 1));
    }
    let hex = |offset: usize| text.get(position + offset).and_then(|&digit| char::from(digit).to_digit(16));
    match (hex(1), hex(2)) {
        (Some(high), Some(low)) => Ok(((high * 16 + low) as u8, 3)),
        _ => Err(NumberError::at(position, NumberFault::BadEscape)),
    }
}

/// Why a text is not a telephone number, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberError {
    position: usize,
    fault: NumberFault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NumberFault {
    Empty,
    Unexpected(u8),
    BadEscape,
    TooManySigns,
    TextTooLong,
}

impl NumberError {
    #[cold]
    const fn at(position: usize, fault: NumberFault) -> Self {
        Self { position, fault }
    }

    /// The offset in bytes of the fault in the text given.
    pub const fn position(&self) -> usize {
        self.position
    }
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let position = self.position;
        match self.fault {
            NumberFault::Empty => {
                write!(f, "the telephone number has no digits; give 1 to {NUMBER_SIGNS_MAX}")
            }
            NumberFault::Unexpected(byte) => write!(
                f,
                "unexpected {:?} at position {position} of the telephone number; digits, * and # count, \
                 a leading + and the separators space - . ( ) / are dropped",
                char::from(byte)
            ),
            NumberFault::BadEscape => write!(
                f,
                "the % at position {position} of the telephone number is not followed by two hexadecimal digits"
            ),
            NumberFault::TooManySigns => write!(
                f,
                "the telephone number has more than {NUMBER_SIGNS_MAX} digits: one too many at position {position}"
            ),
            NumberFault::TextTooLong => {
                write!(f, "the telephone number is written with more than {NUMBER_TEXT_BYTES_MAX} bytes")
            }
        }
    }
}

impl core::error::Error for NumberError {}

/// Consecutive telephone numbers of one length, all digits.
///
/// Written as first and count (`12225550100-100`, the form of RFC 8226 ranges) or as a prefix with an `x` for
/// each free digit (`122255501xx`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberBlock {
    first: TelephoneNumber,
    count: u64,
}

impl NumberBlock {
    /// The block of `count` numbers that begins with `first`.
    ///
    /// # Errors
    /// If `count` is 0, `first` is not all digits, or the block runs past the numbers of that length.
    pub fn new(first: TelephoneNumber, count: u64) -> Result<Self, BlockError> {
        let value = first.digits_value().ok_or(BlockError::NotDigits)?;
        let end = 10u64.pow(first.sign_count() as u32);
        if count == 0 {
            return Err(BlockError::Empty);
        }
        if value.checked_add(count).is_none_or(|past| past > end) {
            return Err(BlockError::PastEnd);
        }
        Ok(Self { first, count })
    }

    /// Reads `first-count` or a prefix followed by an `x` for each free digit.
    ///
    /// The count stands behind the last `-`; separators may be used in the first number.
    ///
    /// # Errors
    /// [`BlockError`], which names the part at fault.
    pub fn parse(text: &[u8]) -> Result<Self, BlockError> {
        let prefix_end =
            text.iter().rposition(|&byte| !matches!(byte, b'x' | b'X')).map_or(0, |last| last + 1);
        if prefix_end < text.len() {
            return Self::from_prefix(TelephoneNumber::parse(&text[..prefix_end])?, text.len() - prefix_end);
        }
        let dash = text.iter().rposition(|&byte| byte == b'-').ok_or(BlockError::NoCount)?;
        let digits = core::str::from_utf8(&text[dash + 1..]).map_err(|_| BlockError::NoCount)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(BlockError::NoCount);
        }
        let count = digits.parse().map_err(|_| BlockError::NoCount)?;
        Self::new(TelephoneNumber::parse(&text[..dash])?, count)
    }

    /// All numbers that begin with `prefix` and have `free_digit_count` digits more.
    ///
    /// # Errors
    /// If the numbers would have more than 15 digits or `prefix` is not all digits.
    pub fn from_prefix(prefix: TelephoneNumber, free_digit_count: usize) -> Result<Self, BlockError> {
        let sign_count = prefix.sign_count().saturating_add(free_digit_count);
        if sign_count > NUMBER_SIGNS_MAX {
            return Err(BlockError::PastEnd);
        }
        let count = 10u64.pow(free_digit_count as u32);
        let value = prefix.digits_value().ok_or(BlockError::NotDigits)? * count;
        let first = TelephoneNumber::from_digits_value(value, sign_count).ok_or(BlockError::PastEnd)?;
        Self::new(first, count)
    }

    /// The first number.
    pub const fn first(&self) -> TelephoneNumber {
        self.first
    }

    /// How many numbers it holds: at least 1.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Whether `number` is one of them.
    pub fn contains(&self, number: TelephoneNumber) -> bool {
        let (Some(first), Some(value)) = (self.first.digits_value(), number.digits_value()) else {
            return false;
        };
        number.sign_count() == self.first.sign_count() && (first..first + self.count).contains(&value)
    }

    /// The number at `index`, counted from 0.
    pub fn number_at(&self, index: u64) -> Option<TelephoneNumber> {
        let value = self.first.digits_value()?.checked_add(index)?;
        (index < self.count).then(|| TelephoneNumber::from_digits_value(value, self.first.sign_count()))?
    }

    /// Its numbers in order.
    pub fn numbers(self) -> impl Iterator<Item = TelephoneNumber> {
        let sign_count = self.first.sign_count();
        let first = self.first.digits_value().unwrap_or(0);
        (first..first + self.count)
            .filter_map(move |value| TelephoneNumber::from_digits_value(value, sign_count))
    }
}

impl fmt::Display for NumberBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.count)
    }
}

/// Why a text is not a block of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockError {
    /// The first number or the prefix is not a telephone number.
    Number(NumberError),
    /// No count of digits behind the last `-`, and no `x` for free digits either.
    NoCount,
    /// A block of no numbers.
    Empty,
    /// `*` or `#` in a block, where numbers must follow one another.
    NotDigits,
    /// The block runs past the numbers of its length.
    PastEnd,
}

impl From<NumberError> for BlockError {
    fn from(error: NumberError) -> Self {
        Self::Number(error)
    }
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(error) => write!(f, "in the block's first number: {error}"),
            Self::NoCount => f.write_str(
                "a block is written first-count, as in 12225550100-100, or with an x for each free digit, \
                 as in 122255501xx",
            ),
            Self::Empty => f.write_str("the block holds no numbers; its count must be 1 or more"),
            Self::NotDigits => f.write_str("a block's first number must be all digits, without * and #"),
            Self::PastEnd => f.write_str("the block runs past the last number of its length"),
        }
    }
}

impl core::error::Error for BlockError {}
