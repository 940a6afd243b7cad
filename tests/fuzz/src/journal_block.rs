//! What the journal reads back from a disk: the records of blocks, of any damage.
//!
//! The layout is restated here from the documents of `herald-log`: a record that is read must
//! be, written again, the bytes it was read from.

use herald_core::limits::BODY_BYTES_MAX;
use herald_log::{RecordError, RecordRef};

const RECORD_HEADER_BYTES: usize = 48;

/// Reads `data` as the records of a block.
///
/// # Panics
/// If a record is read wrongly or passed over.
pub fn check(data: &[u8]) {
    check_records(herald_log::records(data), data);
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
