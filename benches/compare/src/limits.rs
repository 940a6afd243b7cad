//! Every bound of a comparison, with its unit, its reason and what happens there.

/// Bytes of the smallest arena: below it the live set fits the last-level cache and nothing is measured. A
/// smaller one is refused.
pub(crate) const ARENA_BYTES_MIN: usize = 256 << 20;
/// Bytes of the largest arena. Three times as much is taken, for the log and for the copy and the plain lists it is
/// compared with. A larger one is refused.
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
/// Words of an index for each record, of plain lists as of plain copies: as many as the log has buckets.
pub(crate) const WORDS_PER_RECORD: usize = 4;
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
/// Retentions that pass while the oldest placements expire.
pub(crate) const EXPIRY_RETENTIONS: u64 = 5;
/// Readings of the clock whose median is shown.
pub(crate) const CLOCK_READINGS: u32 = 100_000;

/// Live records whose cost is shown, from what a cache holds to what no memory of 24 GiB does.
pub(crate) const LIVE_COUNTS: [u64; 6] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
/// Bytes of memory that must be left beside a log, for the draws and for everybody else. What would leave less does
/// not fit and is left out, aloud.
pub(crate) const MEMORY_LEFT_BYTES: usize = 2 << 30;
/// Sizes of bodies whose cost is shown, in bytes: the five the service takes, and one below.
pub(crate) const BODY_SIZES: [usize; 6] = [256, 640, 1024, 2048, 4096, 8192];
/// Bytes of the arena that bodies of all sizes are stored in.
pub(crate) const SIZES_ARENA_BYTES: usize = 2 << 30;
/// Live placements of a number at which its cost is shown; the last is the least bound the service draws.
pub(crate) const HOT_LEVELS: [usize; 8] = [1, 2, 5, 10, 20, 50, 100, 190];
/// Numbers that are called often at once, so that no cache holds their placements.
pub(crate) const HOT_NUMBERS: u64 = 1_000;
/// Numbers of a block that is listed, up to the most one may have.
pub(crate) const BLOCK_SIZES: [u64; 7] = [1, 2, 5, 10, 20, 50, 100];
/// Runs of a point of a curve.
pub(crate) const CURVE_RUNS: u32 = 3;
/// Seconds of one such run.
pub(crate) const CURVE_RUN_SECONDS: f64 = 0.2;

/// The share 1/n of a fill that calls by Zipf's law get: the first thousand numbers are full by then, and refusals are
/// slow.
pub(crate) const ZIPF_FILL_SHARE: u64 = 8;
/// Bytes of the smallest page of memory there is.
pub(crate) const PAGE_BYTES: usize = 4096;
