//! A block: one contiguous range of the log, as it lies on disk, all of whose records expire in the same generation.
//!
//! Key: run, segment sequence and offset, 8 bytes each, big endian, so that blocks sort as they were written.
//! Value: the records of the log as they stood in memory, one behind the other.

use herald_core::{Retention, Timestamp};
use herald_log::LogRange;

use crate::limits::generation_ms;
use crate::store::Block;

/// Where in the log a block was copied from: unique within one life of a process, told apart between lives by
/// [`run`](Self::run).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockKey {
    /// The process life that wrote it: the engine's clock when it opened, in milliseconds.
    pub run: u64,
    /// The segment's sequence number.
    pub segment: u64,
    /// The offset in the segment, in bytes.
    pub offset: u64,
}

impl BlockKey {
    /// The key as stored.
    pub fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.run.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.segment.to_be_bytes());
        bytes[16..].copy_from_slice(&self.offset.to_be_bytes());
        bytes
    }

    /// The key that was stored as `bytes`; `None` if they are not 24.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 24] = bytes.try_into().ok()?;
        let word = |at: usize| u64::from_be_bytes(core::array::from_fn(|index| bytes[at + index]));
        Some(Self { run: word(0), segment: word(8), offset: word(16) })
    }
}

/// How long the span of a generation is, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(u64);

impl Span {
    pub(crate) fn of(retention: Retention) -> Self {
        Self(generation_ms(retention.as_millis()))
    }

    pub(crate) const fn as_millis(self) -> u64 {
        self.0
    }

    /// When the generation of a placement that expires at `expires_at` is over.
    pub(crate) const fn end_of(self, expires_at: Timestamp) -> Timestamp {
        let millis = expires_at.as_millis();
        Timestamp::from_millis(millis - millis % self.0).plus_millis(self.0)
    }
}

/// Hands `visit` the blocks that a range of the log makes: one for each stretch of records of one generation, cut behind
/// the record with which it reaches `bytes_max`.
///
/// Void records stay where they are; they have expired for whoever reads them back.
pub(crate) fn for_each_block<E>(
    run: u64,
    span: Span,
    range: &LogRange<'_>,
    bytes_max: usize,
    mut visit: impl FnMut(&Block<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut block = |ends_at, start: usize, end: usize| {
        let key = BlockKey { run, segment: range.segment, offset: range.offset + start as u64 };
        visit(&Block { ends_at, key, records: &range.bytes[start..end] })
    };
    let mut ends = generation_ends(span, range.bytes);
    // Along a segment expiry never falls, so one generation at both ends is one all through.
    let Some((_, first)) = ends.next() else { return Ok(()) };
    if range.bytes.len() <= bytes_max && first == span.end_of(range.expires_max) {
        return block(first, 0, range.bytes.len());
    }
    let (mut start, mut current) = (0, first);
    for (at, ends_at) in ends {
        if ends_at != current || at - start >= bytes_max {
            block(current, start, at)?;
            (start, current) = (at, ends_at);
        }
    }
    block(current, start, range.bytes.len())
}

/// For each record that is not void, where it begins and when its generation is over. The log has written these bytes
/// itself, so they are sound.
fn generation_ends(span: Span, bytes: &[u8]) -> impl Iterator<Item = (usize, Timestamp)> {
    let mut records = herald_log::records(bytes);
    core::iter::from_fn(move || {
        loop {
            let at = records.position();
            let record = records.next()?.ok()?;
            if !record.is_void() {
                return Some((at, span.end_of(record.expires_at)));
            }
        }
    })
}
