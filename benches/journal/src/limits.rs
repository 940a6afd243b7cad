//! Every bound of the measurement, with its unit, its reason and what happens there.

/// Bytes of a body: the smallest sealed size, which most placements have.
pub(crate) const BODY_BYTES: usize = 640;
/// Bytes of a segment of the log: what the engine takes.
pub(crate) const SEGMENT_BYTES: usize = 1 << 20;
/// Telephone numbers that are drawn from.
pub(crate) const NUMBERS: u64 = 10_000_000;
/// Placements that are stored at one reading of the clock, and whose commit is awaited as one.
pub(crate) const BLOCK_STORES: usize = 64;
/// Records of one number: more than any run stores under one.
pub(crate) const RECORDS_PER_NUMBER_MAX: u32 = 10_000;
/// Distinct bodies, so that a disk that compresses gains nothing and the copy does not come out of a register.
pub(crate) const BODIES: usize = 1024;
/// Rounds of each measurement; the table shows their median. More is refused.
pub(crate) const ROUNDS_MAX: usize = 99;
/// How long a run waits for a journal that takes nothing any more before it fails.
pub(crate) const STALL_S_MAX: u64 = 60;
/// Bytes the plain writer hands over in one call: as large as the journal's blocks may be.
pub(crate) const PLAIN_BLOCK_BYTES: usize = 1 << 20;
/// Bytes that the plain writer which does a log's duties takes its blocks from: more than any cache holds.
pub(crate) const PLAIN_SOURCE_BYTES: usize = 256 << 20;
/// Beyond memory: bytes of memory for placements, an eighth of what is stored.
pub(crate) const BEYOND_ARENA_BYTES: usize = 128 << 20;
/// Beyond memory: bytes of records that are stored, few enough for a minute and a small disk.
pub(crate) const BEYOND_STORED_BYTES: usize = 1 << 30;
/// Beyond memory: how long placements live, in ms: nothing expires within a course.
pub(crate) const BEYOND_RETENTION_MS: u64 = 60_000;
/// Beyond memory: numbers that are read, of the older half.
pub(crate) const READ_NUMBERS: u64 = 50_000;
