//! The TNAuthList (RFC 8226 §9): which numbers a certificate stands for. It does not know which numbers belong
//! to a service provider code.

use core::fmt;

use herald_core::{NumberBlock, TelephoneNumber};

use super::tlv::{self, tag};
use crate::error::StirError;
use crate::limits::{SPC_BYTES_MAX, TN_ENTRIES_MAX};

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
pub struct TnAuthList(Vec<TnEntry>);

impl TnAuthList {
    /// The list of `entries`.
    ///
    /// # Errors
    /// [`StirError::TnAuthList`] if there are none or more than [`TN_ENTRIES_MAX`], or a code is not ASCII of 1
    /// to [`SPC_BYTES_MAX`] bytes.
    pub fn new(entries: Vec<TnEntry>) -> Result<Self, StirError> {
        let good = |entry: &TnEntry| !matches!(entry, TnEntry::Spc(spc) if !is_spc(spc.as_bytes()));
        let counted = (1..=TN_ENTRIES_MAX).contains(&entries.len());
        if counted && entries.iter().all(good) { Ok(Self(entries)) } else { Err(StirError::TnAuthList) }
    }

    /// Reads the DER value of the certificate extension.
    ///
    /// # Errors
    /// [`StirError::TnAuthList`] if it is anything else than RFC 8226 §9 allows.
    pub fn from_der(der: &[u8]) -> Result<Self, StirError> {
        Self::new(read_entries(der).ok_or(StirError::TnAuthList)?)
    }

    /// The DER value of the certificate extension.
    pub fn to_der(&self) -> Vec<u8> {
        let mut entries = Vec::new();
        for entry in &self.0 {
            write_entry(&mut entries, entry);
        }
        let mut der = Vec::new();
        tlv::put(&mut der, tag::SEQUENCE, &entries);
        der
    }

    /// Its entries.
    pub fn entries(&self) -> &[TnEntry] {
        &self.0
    }

    /// Its service provider codes.
    pub fn spcs(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter_map(|entry| if let TnEntry::Spc(spc) = entry { Some(spc.as_str()) } else { None })
    }

    /// How far it stands for `number`. O(entries).
    pub fn coverage(&self, number: TelephoneNumber) -> Coverage {
        let of_entry = |entry: &TnEntry| match entry {
            TnEntry::One(one) if *one == number => Coverage::Covered,
            TnEntry::Range(range) if range.contains(number) => Coverage::Covered,
            TnEntry::Spc(_) => Coverage::OnlyBySpc,
            _ => Coverage::NotCovered,
        };
        self.0.iter().map(of_entry).max().unwrap_or(Coverage::NotCovered)
    }
}

fn is_spc(text: &[u8]) -> bool {
    (1..=SPC_BYTES_MAX).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic)
}

fn read_entries(der: &[u8]) -> Option<Vec<TnEntry>> {
    let mut rest = tlv::only(der, tag::SEQUENCE)?;
    let mut entries = Vec::new();
    while !rest.is_empty() && entries.len() <= TN_ENTRIES_MAX {
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
