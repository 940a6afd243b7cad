//! A block: one contiguous range of the log, as it lies on disk.
//!
//! Key: run, segment sequence and offset, 8 bytes each, big endian, so that blocks sort as they were written.
//! Value: a header of 16 bytes, then the records of the log as they stood in memory. All records of a block
//! expire in the same generation.

use core::fmt;

use herald_log::{LogRange, RecordError, RecordRef};

use crate::limits::GENERATION_MS;
use crate::store::Block;

/// The bytes every block begins with.
const MAGIC: [u8; 4] = *b"HBLK";
const VERSION: u16 = 2;
const HEADER_BYTES: usize = 16;

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
}

/// The blocks that a range of the log makes: one for each stretch of records that expire in the same generation.
/// Void records are left out.
pub(crate) fn blocks_of_range(run: u64, range: &LogRange<'_>, blocks: &mut Vec<Block>) {
    let mut records = herald_log::records(range.bytes);
    let mut start = 0;
    let mut current = None;
    loop {
        let at = records.position();
        // The log has written these bytes itself; a fault would end the range, and what came before stands.
        let next = records.next().and_then(Result::ok).map(|record| generation_of(&record));
        if next == current && next.is_some() {
            continue;
        }
        if let Some(generation) = current.filter(|&generation| generation != VOID) {
            let key = BlockKey { run, segment: range.segment, offset: range.offset + start as u64 };
            blocks.push(Block { generation, key, value: encode(&range.bytes[start..at]) });
        }
        if next.is_none() {
            return;
        }
        (start, current) = (at, next);
    }
}

/// The generation of void records, which expire at the beginning of time.
const VOID: u64 = 0;

fn generation_of(record: &RecordRef<'_>) -> u64 {
    record.expires_at.as_millis() / GENERATION_MS
}

/// The block that holds `records`.
fn encode(records: &[u8]) -> Vec<u8> {
    let mut block = Vec::with_capacity(HEADER_BYTES + records.len());
    block.extend_from_slice(&MAGIC);
    block.extend_from_slice(&VERSION.to_le_bytes());
    block.extend_from_slice(&[0; 2]);
    block.extend_from_slice(&(records.len() as u64).to_le_bytes());
    block.extend_from_slice(records);
    block
}

/// The records of a block as read back from disk. Damaged input gives errors, never a panic.
///
/// # Errors
/// [`BlockError`] if the header is not one of this version or the length is not the one it states.
pub fn block_records(
    block: &[u8],
) -> Result<impl Iterator<Item = Result<RecordRef<'_>, RecordError>>, BlockError> {
    let (header, records) = block.split_first_chunk::<HEADER_BYTES>().ok_or(BlockError::Short)?;
    if header[..4] != MAGIC {
        return Err(BlockError::Magic);
    }
    let version = u16::from_le_bytes([header[4], header[5]]);
    if version != VERSION || header[6..8] != [0; 2] {
        return Err(BlockError::Version(version));
    }
    let stated = u64::from_le_bytes(core::array::from_fn(|index| header[8 + index]));
    if usize::try_from(stated) != Ok(records.len()) {
        return Err(BlockError::Length { stated, found: records.len() });
    }
    Ok(herald_log::records(records))
}

/// Why bytes are not a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockError {
    /// Fewer bytes than a header.
    Short,
    /// It does not begin as a block does.
    Magic,
    /// A version this one does not read.
    Version(u16),
    /// The length of the records is not the one stated.
    Length {
        /// What the header states, in bytes.
        stated: u64,
        /// What there is, in bytes.
        found: usize,
    },
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => write!(f, "a block has at least {HEADER_BYTES} bytes"),
            Self::Magic => f.write_str("a block begins with HBLK"),
            Self::Version(version) => write!(f, "block version {version} is not {VERSION}"),
            Self::Length { stated, found } => {
                write!(f, "the block states {stated} bytes of records and has {found}")
            }
        }
    }
}

impl core::error::Error for BlockError {}
