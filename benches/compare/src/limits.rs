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
/// Numbers with a live placement, picked at random before each run and used in turn. Their bodies take some
/// 600 MB, far more than a cache.
pub(crate) const PICKS: usize = 1 << 20;
/// Live placements looked for, with their bodies, in each store. One that is missing ends the comparison.
pub(crate) const PROOFS: usize = 10_000;

/// Operations of one kind that a thread takes at once, and the depth of a pipeline and the size of a batch where
/// a store has them. The virtual clock stands still within them and the real one is read after them, so that
/// neither is part of what is measured.
pub(crate) const BLOCK_OPERATIONS: usize = 64;
/// How full of live placements the arena is kept, in percent: what is left is for segments that wait until
/// their last record expires.
pub(crate) const LIVE_PERCENT: usize = 60;
/// A run of stores and retrieves ends when this share 1/n of all that is live has been stored in it, so that
/// what was picked before it is still live.
pub(crate) const MIXED_RUN_LIVE_SHARE: u64 = 3;
/// Distinct bodies. Together they fit the first-level cache, as a body just received would.
pub(crate) const BODIES: usize = 32;

/// Placements put into a store with a clock of its own before it is measured: far more than a cache holds, and
/// seconds to store, so that they are still live at the end. It holds fewer than the log; a gift.
pub(crate) const PEER_FILL: u64 = 2_000_000;
/// Placements of such a store, the youngest, that are retrieved and looked for.
pub(crate) const PEER_WINDOW: u64 = 1_000_000;
/// Bytes of RocksDB's memory table; it may have four.
pub(crate) const ROCKS_BUFFER_BYTES: usize = 256 << 20;
/// Bytes of RocksDB's block cache: as much as the fill takes.
pub(crate) const ROCKS_CACHE_BYTES: usize = 2 << 30;
/// Bytes of a cache line: records of the log begin at multiples of it, and so do copies beside it.
pub(crate) const RECORD_STEP_BYTES: usize = 64;
