//! Every bound of a comparison, with its unit, its reason and what happens there.

/// Bytes of the smallest arena: below it the live set fits the last-level cache and nothing is measured. A
/// smaller one is refused.
pub(crate) const ARENA_BYTES_MIN: usize = 256 << 20;
/// Bytes of the largest arena. Twice as much is taken, for the log and for the copy it is compared with. A
/// larger one is refused.
pub(crate) const ARENA_BYTES_MAX: usize = 6 << 30;
/// Bytes of a segment of the log: what the engine takes.
pub(crate) const SEGMENT_BYTES: usize = 1 << 20;

/// Runs of each measurement: enough for a median; more only take time. More is refused.
pub(crate) const RUNS_MAX: u32 = 99;
/// Seconds of one run. More is refused.
pub(crate) const RUN_SECONDS_MAX: f64 = 60.0;
/// Threads of the widest measurement: one a core of the machine the design's yardstick was taken on.
pub(crate) const THREADS_MAX: usize = 2;

/// Telephone numbers that are drawn from.
pub(crate) const NUMBERS: u64 = 10_000_000;
/// Draws made before the first run and used in turn: several live sets of the largest arena, so that a number
/// is not drawn again while it waits. They take eight bytes each.
pub(crate) const DRAWS: usize = 1 << 24;
/// Numbers with a live placement, picked at random before each run of retrieves and used in turn. Their bodies
/// take some 600 MB, far more than a cache.
pub(crate) const PICKS: usize = 1 << 20;
/// Live placements looked for, with their bodies, after each measurement. One that is missing ends the
/// comparison.
pub(crate) const PROOFS: usize = 10_000;

/// Operations that a thread takes at once. The virtual clock stands still within them and the real one is read
/// after them, so that neither is part of what is measured.
pub(crate) const BLOCK_OPERATIONS: usize = 64;
/// How full of live placements the arena is kept, in percent: what is left is for segments that wait until
/// their last record expires.
pub(crate) const LIVE_PERCENT: usize = 60;
/// Distinct bodies. Together they fit the first-level cache, as a body just received would.
pub(crate) const BODIES: usize = 32;
