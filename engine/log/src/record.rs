//! The bytes of a record, and a reader for ranges of them that trusts nothing.
//!
//! A record begins at a multiple of 64 bytes and is little endian:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | address of the record before it in its chain, 0 for none; means nothing outside the process |
//! | 8 | 8 | the called number, [`TelephoneNumber::to_bits`] |
//! | 16 | 8 | expiry, milliseconds since the Unix epoch; 0 if the record was refused after its place was taken |
//! | 24 | 16 | placement id |
//! | 40 | 4 | length of the body in bytes, 1 to [`BODY_BYTES_MAX`] |
//! | 44 | 4 | 0 |
//! | 48 | | the body, then 0 to 63 bytes of 0 |
//!
//! Knows nothing of segments, chains or memory.

use core::fmt;

use herald_core::limits::BODY_BYTES_MAX;
use herald_core::{NewPlacement, PlacementId, TelephoneNumber, Timestamp};

use crate::config::LINE_BYTES;

/// Bytes before the body.
pub(crate) const HEADER_BYTES: usize = 48;

const PREVIOUS: usize = 0;
const NUMBER: usize = 8;
const EXPIRY: usize = 16;
const ID: usize = 24;
const BODY_LENGTH: usize = 40;
const ZERO: usize = 44;

/// Bytes of the whole record of a body: header, body and padding.
#[inline]
pub(crate) const fn record_bytes(body_bytes: usize) -> usize {
    (HEADER_BYTES + body_bytes).next_multiple_of(LINE_BYTES)
}

/// A header, taken apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) previous: u64,
    pub(crate) number_bits: u64,
    pub(crate) expires_at: Timestamp,
    pub(crate) id: PlacementId,
    pub(crate) body_bytes: u32,
}

impl Header {
    /// The header of `placement`, whose body has been checked, behind nothing.
    #[inline]
    pub(crate) fn of(placement: &NewPlacement<'_>) -> Self {
        Self {
            previous: 0,
            number_bits: placement.number.to_bits(),
            expires_at: placement.expires_at,
            id: placement.id,
            body_bytes: u32::try_from(placement.body.len()).expect("checked against BODY_BYTES_MAX"),
        }
    }

    /// The header of a record that was refused after its place was taken.
    pub(crate) fn void(placement: &NewPlacement<'_>) -> Self {
        Self { expires_at: Timestamp::default(), ..Self::of(placement) }
    }

    #[inline]
    pub(crate) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[PREVIOUS..NUMBER].copy_from_slice(&self.previous.to_le_bytes());
        bytes[NUMBER..EXPIRY].copy_from_slice(&self.number_bits.to_le_bytes());
        bytes[EXPIRY..ID].copy_from_slice(&self.expires_at.as_millis().to_le_bytes());
        bytes[ID..BODY_LENGTH].copy_from_slice(self.id.as_bytes());
        bytes[BODY_LENGTH..ZERO].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes
    }

    #[inline]
    pub(crate) fn from_bytes(bytes: &[u8; HEADER_BYTES]) -> Self {
        Self {
            previous: u64::from_le_bytes(field(bytes, PREVIOUS)),
            number_bits: u64::from_le_bytes(field(bytes, NUMBER)),
            expires_at: Timestamp::from_millis(u64::from_le_bytes(field(bytes, EXPIRY))),
            id: PlacementId::from_bytes(field(bytes, ID)),
            body_bytes: u32::from_le_bytes(field(bytes, BODY_LENGTH)),
        }
    }
}

#[inline]
fn field<const N: usize>(bytes: &[u8; HEADER_BYTES], offset: usize) -> [u8; N] {
    bytes[offset..offset + N].try_into().expect("every field lies within the header")
}

/// A record read from a range of bytes.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    /// The called number.
    pub number: TelephoneNumber,
    /// The placement's id.
    pub id: PlacementId,
    /// From this moment on it is gone. The beginning of time for one that was refused after its place was taken
    /// and never was a placement; see [`is_void`](Self::is_void).
    pub expires_at: Timestamp,
    /// The sealed bytes: 1 to [`BODY_BYTES_MAX`].
    pub body: &'a [u8],
}

impl<'a> RecordRef<'a> {
    /// Whether it never was a placement: nobody has seen it and nothing may come of it.
    pub fn is_void(&self) -> bool {
        self.expires_at == Timestamp::default()
    }

    /// The same as a placement, to restore it; nothing if it is void.
    pub fn to_placement(&self) -> Option<NewPlacement<'a>> {
        let placement =
            NewPlacement { number: self.number, id: self.id, expires_at: self.expires_at, body: self.body };
        (!self.is_void()).then_some(placement)
    }
}

/// Reads the records of a range that [`PlacementLog::drain`](crate::PlacementLog::drain) lent, as it came back
/// from the disk: in the order they were appended.
///
/// The bytes may be anything. The first fault ends the reading, since nothing after it can be told apart; what
/// came before stands. O(1) a record, no allocation, any thread.
pub const fn records(bytes: &[u8]) -> Records<'_> {
    Records { bytes, position: 0 }
}

/// The records of a range of bytes. See [`records`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Records<'_> {
    /// The offset in bytes of the record that comes next.
    pub const fn position(&self) -> usize {
        self.position
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordRef<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.position..).filter(|rest| !rest.is_empty())?;
        match parse(rest) {
            Ok((record, length)) => {
                self.position += length;
                Some(Ok(record))
            }
            Err(fault) => {
                let error = RecordError { position: self.position, fault };
                self.position = self.bytes.len();
                Some(Err(error))
            }
        }
    }
}

impl core::iter::FusedIterator for Records<'_> {}

/// The first record of `rest` and its length in bytes.
fn parse(rest: &[u8]) -> Result<(RecordRef<'_>, usize), RecordFault> {
    let header_bytes = rest.first_chunk::<HEADER_BYTES>().ok_or(RecordFault::HeaderCut)?;
    let header = Header::from_bytes(header_bytes);
    let body_bytes = usize::try_from(header.body_bytes).map_err(|_| RecordFault::BodyLength)?;
    if !(1..=BODY_BYTES_MAX).contains(&body_bytes) {
        return Err(RecordFault::BodyLength);
    }
    let length = record_bytes(body_bytes);
    let tail = rest.get(HEADER_BYTES..length).ok_or(RecordFault::BodyCut)?;
    let (body, padding) = tail.split_at(body_bytes);
    if header_bytes[ZERO..].iter().chain(padding).any(|&byte| byte != 0) {
        return Err(RecordFault::NotZero);
    }
    let number = TelephoneNumber::from_bits(header.number_bits).ok_or(RecordFault::Number)?;
    Ok((RecordRef { number, id: header.id, expires_at: header.expires_at, body }, length))
}

/// Why a range of bytes is not records, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordError {
    position: usize,
    fault: RecordFault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RecordFault {
    HeaderCut,
    BodyLength,
    BodyCut,
    NotZero,
    Number,
}

impl RecordError {
    /// Where the faulty record begins, in bytes from the start of the range.
    pub const fn position(&self) -> usize {
        self.position
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.fault {
            RecordFault::HeaderCut => "ends within its header",
            RecordFault::BodyLength => "states a body length out of bounds",
            RecordFault::BodyCut => "ends within its body",
            RecordFault::NotZero => "has bytes other than 0 where 0 is due",
            RecordFault::Number => "is under something that is not a telephone number",
        };
        write!(
            f,
            "the record at byte {} of a log range {what}; the range is damaged, keep what came before it",
            self.position
        )
    }
}

impl core::error::Error for RecordError {}
