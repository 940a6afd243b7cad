//! The TNAuthList (RFC 8226 §9): which numbers a certificate stands for. It does not know which numbers belong
//! to a service provider code.

use core::fmt;

use herald_core::{NumberBlock, TelephoneNumber};

use super::number_blocks::NumberBlocks;
use super::tlv::{self, tag};
use crate::error::StirError;
use crate::limits::{LIST_BYTES_MAX, LIST_ENTRIES_MAX, SPC_BYTES_MAX, TN_ENTRIES_MAX};

/// How far a certificate stands for a number. The order is that of strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Coverage {
    /// No entry stands for it.
    NotCovered,
    /// Only a service provider code might: who holds the number must be looked up elsewhere.
    OnlyBySpc,
    /// A number or range of the list is or holds it.
    Covered,
}

/// Consecutive numbers as RFC 8226 §9 counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TnRange(NumberBlock);

impl TnRange {
    /// The `count` numbers that begin with `start`.
    ///
    /// # Errors
    /// [`RangeError`], unless `count` is 2 or more, `start` is all digits, and start + count is less than 10 to
    /// the power of its length (RFC 8226 §9).
    // rfc8226:9-1.
    pub fn new(start: TelephoneNumber, count: u64) -> Result<Self, RangeError> {
        // One number more than the range holds must still fit: that is the RFC's bound.
        let past = count.checked_add(1).ok_or(RangeError)?;
        if count < 2 || NumberBlock::new(start, past).is_err() {
            return Err(RangeError);
        }
        NumberBlock::new(start, count).map(Self).map_err(|_| RangeError)
    }

    /// The first number.
    pub const fn start(&self) -> TelephoneNumber {
        self.0.first()
    }

    /// How many numbers it holds.
    pub const fn count(&self) -> u64 {
        self.0.count()
    }

    /// The same numbers as a block.
    pub(crate) const fn block(&self) -> NumberBlock {
        self.0
    }

    /// Whether `number` is one of them.
    pub fn contains(&self, number: TelephoneNumber) -> bool {
        self.0.contains(number)
    }
}

/// A range that RFC 8226 §9 does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeError;

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a range needs an all-digits start, 2 or more numbers, and must not grow in length")
    }
}

impl core::error::Error for RangeError {}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TnEntry {
    /// A service provider code: ASCII, 1 to [`SPC_BYTES_MAX`] bytes.
    Spc(String),
    /// A range of numbers.
    Range(TnRange),
    /// One number.
    One(TelephoneNumber),
}

/// A TNAuthList: one or more entries, of which each adds to the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TnAuthList {
    entries: Vec<TnEntry>,
    /// The numbers of all entries.
    numbers: NumberBlocks,
    /// The codes of all entries, sorted.
    codes: Vec<String>,
}

/// How far the authority of one list lies within that of another (RFC 9060 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encompassed {
    /// Not all of it does.
    No,
    /// All of it, if the numbers that the other list does not name belong to its service provider codes.
    OnlyBySpc,
    /// All of it.
    Yes,
}

impl TnAuthList {
    /// The list of `entries`.
    ///
    /// # Errors
    /// [`StirError::TnAuthList`] if there are none or more than [`TN_ENTRIES_MAX`], or a code is not ASCII of 1
    /// to [`SPC_BYTES_MAX`] bytes.
    pub fn new(entries: Vec<TnEntry>) -> Result<Self, StirError> {
        Self::bounded(entries, TN_ENTRIES_MAX)
    }

    /// Reads the DER value of the certificate extension.
    ///
    /// # Errors
    /// [`StirError::TnAuthList`] if it is anything else than RFC 8226 §9 allows.
    pub fn from_der(der: &[u8]) -> Result<Self, StirError> {
        Self::bounded(read_entries(der, TN_ENTRIES_MAX).ok_or(StirError::TnAuthList)?, TN_ENTRIES_MAX)
    }

    /// Reads what the URL of a list by reference serves, `application/tnauthlist` (RFC 8226 §10.1): the same
    /// form, and more of it.
    ///
    /// # Errors
    /// As [`from_der`](Self::from_der), with [`LIST_BYTES_MAX`] bytes and [`LIST_ENTRIES_MAX`] entries.
    // rfc8226:11.2-1.
    pub fn from_reference(der: &[u8]) -> Result<Self, StirError> {
        if der.len() > LIST_BYTES_MAX {
            return Err(StirError::TnAuthList);
        }
        Self::bounded(read_entries(der, LIST_ENTRIES_MAX).ok_or(StirError::TnAuthList)?, LIST_ENTRIES_MAX)
    }

    fn bounded(entries: Vec<TnEntry>, entries_max: usize) -> Result<Self, StirError> {
        let good = |entry: &TnEntry| !matches!(entry, TnEntry::Spc(spc) if !is_spc(spc.as_bytes()));
        if !(1..=entries_max).contains(&entries.len()) || !entries.iter().all(good) {
            return Err(StirError::TnAuthList);
        }
        let (mut ranges, mut codes) = (Vec::new(), Vec::new());
        for entry in &entries {
            match entry {
                TnEntry::Spc(spc) => codes.push(spc.clone()),
                TnEntry::Range(range) => ranges.push((range.start(), range.count())),
                TnEntry::One(number) => ranges.push((*number, 1)),
            }
        }
        codes.sort_unstable();
        codes.dedup();
        Ok(Self { entries, numbers: NumberBlocks::new(ranges.into_iter()), codes })
    }

    /// The DER value of the certificate extension.
    pub fn to_der(&self) -> Vec<u8> {
        let mut entries = Vec::new();
        for entry in &self.entries {
            write_entry(&mut entries, entry);
        }
        let mut der = Vec::new();
        tlv::put(&mut der, tag::SEQUENCE, &entries);
        der
    }

    /// Its entries, as they were given.
    pub fn entries(&self) -> &[TnEntry] {
        &self.entries
    }

    /// Its service provider codes, each once, sorted.
    pub fn spcs(&self) -> impl Iterator<Item = &str> {
        self.codes.iter().map(String::as_str)
    }

    /// Whether `code` is one of its service provider codes. O(log entries).
    pub fn has_spc(&self, code: &str) -> bool {
        self.codes.binary_search_by(|own| own.as_str().cmp(code)).is_ok()
    }

    /// How far it stands for `number`. O(log entries).
    pub fn coverage(&self, number: TelephoneNumber) -> Coverage {
        if self.numbers.contains(number) {
            Coverage::Covered
        } else if self.codes.is_empty() {
            Coverage::NotCovered
        } else {
            Coverage::OnlyBySpc
        }
    }

    /// How far all it stands for lies within `parent`, the list of the certificate above (RFC 9060 §4). A code
    /// lies within the same code only: a pointer is no subset of the numbers somebody once looked up. O(entries
    /// log entries of `parent`).
    // rfc9060:4-1.
    pub fn encompassed_by(&self, parent: &Self) -> Encompassed {
        if !self.spcs().all(|code| parent.has_spc(code)) {
            Encompassed::No
        } else if self.numbers.is_within(&parent.numbers) {
            Encompassed::Yes
        } else if parent.codes.is_empty() {
            Encompassed::No
        } else {
            Encompassed::OnlyBySpc
        }
    }
}

fn is_spc(text: &[u8]) -> bool {
    (1..=SPC_BYTES_MAX).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic)
}

/// Reads entries, and no further than one more than allowed.
fn read_entries(der: &[u8], entries_max: usize) -> Option<Vec<TnEntry>> {
    let mut rest = tlv::only(der, tag::SEQUENCE)?;
    let mut entries = Vec::new();
    while !rest.is_empty() && entries.len() <= entries_max {
        let (choice, content) = tlv::take(&mut rest)?;
        entries.push(read_entry(choice, content)?);
    }
    Some(entries)
}

fn read_entry(choice: u8, content: &[u8]) -> Option<TnEntry> {
    const SPC: u8 = tag::context(0);
    const RANGE: u8 = tag::context(1);
    const ONE: u8 = tag::context(2);
    match choice {
        SPC => {
            let text = tlv::only(content, tag::IA5_STRING)?;
            core::str::from_utf8(text)
                .ok()
                .filter(|text| text.is_ascii())
                .map(|text| TnEntry::Spc(text.into()))
        }
        RANGE => read_range(tlv::only(content, tag::SEQUENCE)?).map(TnEntry::Range),
        ONE => read_number(tlv::only(content, tag::IA5_STRING)?).map(TnEntry::One),
        _ => None,
    }
}

/// Reads start and count; what may stand behind them is an extension of a later standard, and ignored.
fn read_range(mut content: &[u8]) -> Option<TnRange> {
    let (start_tag, start) = tlv::take(&mut content)?;
    let (count_tag, count) = tlv::take(&mut content)?;
    if start_tag != tag::IA5_STRING || count_tag != tag::INTEGER {
        return None;
    }
    while !content.is_empty() {
        tlv::take(&mut content)?;
    }
    TnRange::new(read_number(start)?, tlv::unsigned(count)?).ok()
}

/// RFC 8226 allows digits, `#` and `*` and no separators.
fn read_number(text: &[u8]) -> Option<TelephoneNumber> {
    let canonical = text.iter().all(|sign| sign.is_ascii_digit() || matches!(sign, b'*' | b'#'));
    TelephoneNumber::parse(text).ok().filter(|_| canonical)
}

fn write_entry(out: &mut Vec<u8>, entry: &TnEntry) {
    let mut inner = Vec::new();
    let choice = match entry {
        TnEntry::Spc(spc) => {
            tlv::put(&mut inner, tag::IA5_STRING, spc.as_bytes());
            tag::context(0)
        }
        TnEntry::Range(range) => {
            let mut fields = Vec::new();
            tlv::put(&mut fields, tag::IA5_STRING, range.start().to_string().as_bytes());
            tlv::put_unsigned(&mut fields, range.count());
            tlv::put(&mut inner, tag::SEQUENCE, &fields);
            tag::context(1)
        }
        TnEntry::One(number) => {
            tlv::put(&mut inner, tag::IA5_STRING, number.to_string().as_bytes());
            tag::context(2)
        }
    };
    tlv::put(out, choice, &inner);
}
