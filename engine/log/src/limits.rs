//! Every bound of the log, with its unit, its reason and what happens there.

use herald_core::limits::BODY_BYTES_MAX;

/// Bytes of memory that the record of a body takes: header, body and what is left of the last line. Beyond the body
/// that is 64 bytes for each size a sealed placement may have.
pub const fn record_bytes(body_bytes: usize) -> usize {
    crate::record::record_bytes(body_bytes)
}

/// Bytes of the largest record. An append with a larger body is a programming error
/// and panics; [`records`](crate::records) answers such a length with an error.
pub const RECORD_BYTES_MAX: usize = record_bytes(BODY_BYTES_MAX);

/// The smallest segment, in bytes: it must hold the largest record. Smaller is refused at creation.
#[cfg(not(any(loom, shuttle)))]
pub const SEGMENT_BYTES_MIN: usize = 16 << 10;
/// The smallest segment under loom and shuttle, whose scenes need segments of few records.
#[cfg(any(loom, shuttle))]
pub const SEGMENT_BYTES_MIN: usize = 64;
/// The largest segment, in bytes. A segment is the unit of reclamation: a larger one would hold expired
/// records for long. More is refused at creation.
pub const SEGMENT_BYTES_MAX: usize = 1 << 28;

/// The largest arena, in bytes (1 TiB). It leaves 22 bits of an address to count how often a segment was
/// reused: eight years at one reuse a minute, after which the segment is laid aside; an arena of 16 GiB has
/// two centuries. More is refused at creation.
pub const ARENA_BYTES_MAX: usize = 1 << 40;

/// Segments there must be for each handle. A slow writer opens a new segment eight times per retention
/// ([`OPEN_SEGMENT_AGE_SHARE`]) and each of them waits one retention more, so nine or ten are in use at rest;
/// the others leave room for a burst. Fewer is refused at creation.
#[cfg(not(any(loom, shuttle)))]
pub const SEGMENTS_PER_HANDLE_MIN: usize = 16;
/// Under loom and shuttle segments are scarce on purpose: none need be there for a handle.
#[cfg(any(loom, shuttle))]
pub const SEGMENTS_PER_HANDLE_MIN: usize = 0;

/// An open segment is left for a new one when its first record is older than retention divided by this, so
/// that a slow writer keeps an expired record in memory for at most an eighth of the retention.
pub const OPEN_SEGMENT_AGE_SHARE: u64 = 8;

/// Handles of one log: one per thread, and taking back a segment looks at each. More is refused at creation.
pub const HANDLES_MAX: usize = 1024;

/// Bytes of arena for each bucket of the index: a quarter of the smallest record of sealed traffic. With four buckets
/// for each record a full arena can hold, a walk seldom meets a record of another number, each of which it would have
/// to wait for; the index then takes 32 bytes a record.
pub const ARENA_BYTES_PER_BUCKET: usize = RECORD_BYTES_COMMON / 4;

/// Bytes of a record that a walk has fetched at once when it knows the address only: the smallest record of sealed
/// traffic. A longer one comes in as it is read.
pub const RECORD_BYTES_COMMON: usize = record_bytes(640);

/// Bytes of memory that a record of a log that goes beyond its memory takes besides itself, for as long as it may live:
/// its header and where to find its body. 7 % of the smallest record of sealed traffic.
pub const STUB_BYTES: usize = 48;

/// Placements of a batch that are worked on together: enough that memory answers for all while the first is
/// written, few enough that what was fetched is still near when its turn comes. Larger batches go in parts.
pub const BATCH_PART: usize = 16;

/// Expiries that a handle remembers of a number that is full or nearly so, the oldest: what one line of the caches takes.
/// When that many have passed, the number's records are counted once more.
pub const FULL_OLDEST: usize = 7;
/// A number is nearly full when it has room for no more than so many: the handle then remembers it, and looks there at
/// each append. With more room the bound in its bucket's word, once counted, lasts longer than what is remembered.
pub const FULL_ROOM: u32 = FULL_OLDEST as u32;

/// Places in which a handle remembers numbers as full or nearly so: a power of two, 64 bytes each. In a flood over many
/// numbers those that share places make each other's appends walk what lives there.
pub const FULL_NUMBERS: usize = 4096;

/// Segments looked at for expiry whenever one is opened, so that opening costs little however large the arena is.
/// Only if none is free are all looked at, at most once a millisecond and handle.
pub const RETIRE_STEP: usize = 64;

#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(SEGMENT_BYTES_MIN >= RECORD_BYTES_MAX);
