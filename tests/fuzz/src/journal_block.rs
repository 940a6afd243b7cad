//! What the journal reads back from a disk: blocks and the records in them, of any damage.
//!
//! The layout is restated here from the documents of `herald-journal` and `herald-log`: a record that is read must
//! be, written again, the bytes it was read from.

use herald_core::limits::BODY_BYTES_MAX;
use herald_journal::{BlockError, block_records};
use herald_log::{RecordError, RecordRef};

const MAGIC: &[u8] = b"HBLK";
const BLOCK_HEADER_BYTES: usize = 16;
const RECORD_HEADER_BYTES: usize = 48;

/// Reads `data` as a block if it begins like one, else as the records of a block with a good header.
///
/// # Panics
/// If a block is taken that its header does not fit or the other way round, or a record is read wrongly.
pub fn check(data: &[u8]) {
    if data.starts_with(MAGIC) {
        return check_block(data);
    }
    let length = u64::try_from(data.len()).expect("an input is shorter than 2^64 bytes").to_le_bytes();
    check_block(&[MAGIC, &[2, 0, 0, 0], &length, data].concat());
}

fn check_block(block: &[u8]) {
    let read = block_records(block);
    assert_eq!(read.as_ref().err().copied(), fault_model(block));
    match read {
        Ok(records) => check_records(records, &block[BLOCK_HEADER_BYTES..]),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn fault_model(block: &[u8]) -> Option<BlockError> {
    let Some((header, records)) = block.split_at_checked(BLOCK_HEADER_BYTES) else {
        return Some(BlockError::Short);
    };
    let stated = u64::from_le_bytes(header[8..].try_into().expect("eight bytes"));
    match header {
        _ if !header.starts_with(MAGIC) => Some(BlockError::Magic),
        [_, _, _, _, 2, 0, 0, 0, ..] if Ok(records.len()) == usize::try_from(stated) => None,
        [_, _, _, _, 2, 0, 0, 0, ..] => Some(BlockError::Length { stated, found: records.len() }),
        _ => Some(BlockError::Version(u16::from_le_bytes([header[4], header[5]]))),
    }
}

fn check_records<'a>(records: impl Iterator<Item = Result<RecordRef<'a>, RecordError>>, bytes: &[u8]) {
    let mut position = 0;
    let mut damaged = false;
    for record in records {
        assert!(!damaged, "a record behind one that is damaged");
        match record {
            Ok(record) => {
                assert!((1..=BODY_BYTES_MAX).contains(&record.body.len()));
                let written = write(&record, &bytes[position..]);
                assert!(bytes[position..].starts_with(&written), "read otherwise than written");
                position += written.len();
            }
            Err(error) => {
                assert_eq!(error.position(), position);
                assert!(!error.to_string().is_empty());
                damaged = true;
            }
        }
    }
    assert!(damaged || position == bytes.len(), "bytes were passed over without a fault");
}

/// The record as it must have stood; the address of the record before it means nothing and is taken from `source`.
fn write(record: &RecordRef<'_>, source: &[u8]) -> Vec<u8> {
    let length = u32::try_from(record.body.len()).expect("bodies are small");
    let mut bytes = source[..8].to_vec();
    bytes.extend(record.number.to_bits().to_le_bytes());
    bytes.extend(record.expires_at.as_millis().to_le_bytes());
    bytes.extend(record.id.as_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend([0; 4]);
    assert_eq!(bytes.len(), RECORD_HEADER_BYTES);
    bytes.extend(record.body);
    bytes.resize(bytes.len().next_multiple_of(64), 0);
    bytes
}
