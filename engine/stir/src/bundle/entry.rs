//! The text form of a TNAuthList entry in advertisements (RFC 9888 §4), and the numbers it is about as values.

use core::fmt;
use core::str::FromStr;

use herald_core::TelephoneNumber;

use crate::certificate::{TnAuthList, TnEntry, TnRange};

/// The form of RFC 9888 §4: `0-CODE`, `1-FIRST-COUNT` or `2-NUMBER`. It shows numbers in full.
impl fmt::Display for TnEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spc(code) => write!(f, "0-{code}"),
            Self::Range(range) => write!(f, "1-{}-{}", range.start(), range.count()),
            Self::One(number) => write!(f, "2-{number}"),
        }
    }
}

impl FromStr for TnEntry {
    type Err = EntryError;

    /// Reads the form of RFC 9888 §4, numbers in canonical form only. The count of a range stands behind the last
    /// hyphen.
    fn from_str(text: &str) -> Result<Self, EntryError> {
        let number = |signs: &str| TelephoneNumber::from_signs(signs.as_bytes()).ok_or(EntryError);
        match text.split_at_checked(2).ok_or(EntryError)? {
            ("0-", code) => {
                let list = TnAuthList::new(vec![Self::Spc(code.to_owned())]).map_err(|_| EntryError)?;
                list.entries().first().cloned().ok_or(EntryError)
            }
            ("1-", range) => {
                let (start, count) = range.rsplit_once('-').ok_or(EntryError)?;
                let digits = count.bytes().all(|sign| sign.is_ascii_digit());
                let count = count.parse().ok().filter(|_| digits).ok_or(EntryError)?;
                TnRange::new(number(start)?, count).map(Self::Range).map_err(|_| EntryError)
            }
            ("2-", one) => number(one).map(Self::One),
            _ => Err(EntryError),
        }
    }
}

/// A text that is no entry of RFC 9888 §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryError;

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an entry is 0-CODE, 1-FIRST-COUNT (2 or more numbers of one length) or 2-NUMBER, numbers without \
             separators",
        )
    }
}

impl core::error::Error for EntryError {}

/// Consecutive numbers of one length, as values: from `first` to before `past`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) sign_count: usize,
    pub(super) first: u64,
    pub(super) past: u64,
}

impl Span {
    /// The numbers of an entry; `None` for a code, and for a number with `*` or `#`, which follows no other.
    pub(super) fn of(entry: &TnEntry) -> Option<Self> {
        let (start, count) = match entry {
            TnEntry::Spc(_) => return None,
            TnEntry::Range(range) => (range.start(), range.count()),
            TnEntry::One(number) => (*number, 1),
        };
        let mut first = 0;
        for sign in start.signs() {
            first = first * 10 + u64::from(sign.checked_sub(b'0')?);
        }
        Some(Self { sign_count: start.sign_count(), first, past: first + count })
    }
}
