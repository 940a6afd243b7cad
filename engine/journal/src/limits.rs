//! Every bound of the journal, with its unit, its reason and what happens there.

/// Placements that expire in the same span of this many milliseconds share a generation, the unit in which they
/// are dropped. Ten seconds keep the live generations at seven for a retention of 60 s.
pub const GENERATION_MS: u64 = 10_000;
/// Bytes written in one batch. A pass with more is written in several, so that a long backlog needs no more
/// memory than this beside RocksDB's own.
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Memory of RocksDB for blocks not yet flushed, in bytes, when nothing is configured. Generations that expire
/// within it are never written a second time; beyond it the oldest are flushed to sorted files.
pub const MEMORY_BYTES_DEFAULT: usize = 512 * 1024 * 1024;
/// In `buffered` durability, time between passes: an acknowledged placement reaches the kernel within this and
/// the time of one pass.
pub const BUFFERED_PASS_MS: u64 = 20;
/// In `buffered` durability, time between calls that force the kernel's buffers to the disk.
pub const BUFFERED_SYNC_MS: u64 = 1_000;
/// In `buffered` durability, the stated loss window: if what was acknowledged this long ago has not reached the
/// kernel, stores are refused until it has.
pub const BUFFERED_WINDOW_MS: u64 = 500;
/// Time between attempts to write again after a failure.
pub const RETRY_MS: u64 = 500;
/// Time between passes that have nothing to do but drop what has expired.
pub const IDLE_PASS_MS: u64 = 1_000;
/// How long a store waits for its commit before it is told that the store is unavailable.
pub const COMMIT_WAIT_MS: u64 = 10_000;
