//! Every bound of the journal, with its unit, its reason and what happens there.

/// A generation, the unit in which placements are dropped from the disk, spans a retention divided by this. So
/// what is kept there, and in RocksDB's memory, lives a sixth longer than it must, and there are seven or eight
/// generations at a time.
pub const GENERATIONS_PER_RETENTION: u64 = 6;
/// The shortest span of a generation in milliseconds, whatever the retention: making and dropping one costs some ten
/// milliseconds.
pub const GENERATION_MS_MIN: u64 = 1_000;

/// How long a generation spans, in milliseconds, when placements live for `retention_ms`.
pub const fn generation_ms(retention_ms: u64) -> u64 {
    let share_ms = retention_ms / GENERATIONS_PER_RETENTION;
    if share_ms < GENERATION_MS_MIN { GENERATION_MS_MIN } else { share_ms }
}

/// Bytes of records handed over in one write, and a segment's more at most: large enough that what a write costs
/// besides its bytes is nothing, small enough that its copies stay in the cache.
pub const BATCH_BYTES: usize = 1 << 20;
/// Bytes of a block, and a record's more at most, where placements may leave memory: large enough that a read of the disk
/// is worth its seek, small enough that a placement does not cost a segment's bytes to read.
pub const BLOCK_BYTES_BEYOND: usize = 64 << 10;
/// Where placements may leave memory, the share of the log's segments (one of this many) that a pass sees to being free.
/// Only segments that are on the disk leave, so a pass that finds fewer forces its writes.
pub const FREE_SHARE: usize = 4;
/// Where placements may leave memory and fewer than one segment of this many is free, stores are acknowledged only once
/// a pass has come by, whatever the durability: who stores is slowed to what the disk takes.
pub const FREE_SHARE_SLOW: usize = 8;
/// A pass that wrote this many bytes is followed by the next at once, in any durability: the log fills faster
/// than passes by the clock would empty it.
pub const BUSY_PASS_BYTES: usize = 4 << 20;
/// Memory of RocksDB for blocks not yet flushed, in bytes, when nothing is configured. Generations that expire
/// within it are never written a second time; beyond it the oldest are flushed to sorted files.
pub const MEMORY_BYTES_DEFAULT: usize = 512 * 1024 * 1024;
/// In `buffered` durability, time between passes at most: an acknowledged placement reaches the kernel within this and
/// the time of one pass. Behind a busy pass it begins anew at 1 ms, and grows by as much with each that is not busy.
pub const BUFFERED_PASS_MS: u64 = 20;
/// In `buffered` durability, time between calls that force the kernel's buffers to the disk.
pub const BUFFERED_SYNC_MS: u64 = 1_000;
/// In `buffered` durability, the stated loss window: if what was acknowledged this long ago has not reached the
/// kernel, stores are refused until it has.
pub const BUFFERED_WINDOW_MS: u64 = 500;
/// In `buffered` durability, when what was stored this long ago has not reached the kernel, stores are acknowledged
/// only once they have: who stores is slowed to what the disk takes, long before the window above ends.
pub const BUFFERED_LAG_MS: u64 = 100;
/// In `buffered` durability, the share of the log's segments (one of this many) that may have been opened since the
/// last pass began; beyond it stores are acknowledged only once they have reached the kernel. So the journal's
/// backlog stays below this share of the memory for placements and what is appended while a pass lasts.
pub const BUFFERED_LAG_SHARE: u64 = 8;
/// In `buffered` durability, the stated loss window of a power cut: if what was acknowledged this long ago is not known to
/// be on the disk, stores are refused until it is. Forced writes go on beside passes and begin
/// [`BUFFERED_SYNC_MS`] apart or when the last has ended: a single one may take two seconds, and each some 1.5 s if all
/// are slow.
pub const BUFFERED_UNSYNCED_MS: u64 = 3_000;
/// In `synced` durability, time between passes while a forced write is under way: what is stored meanwhile reaches the
/// kernel in writes worth making, and is forced next.
pub const SYNCING_PASS_MS: u64 = 1;
/// Time between attempts to write again after a failure.
pub const RETRY_MS: u64 = 500;
/// Time between passes that have nothing to do but drop what has expired. In `synced` durability, behind a busy pass and
/// behind a forced write of as much, it begins anew at 1 ms and doubles with each that is not busy: who stores goes on then,
/// and waits first for what came before.
pub const IDLE_PASS_MS: u64 = 1_000;
/// Time between two notices of records that could not be read back, in milliseconds: while a disk fails there are as
/// many as retrievals.
pub const UNREAD_NOTICE_MS: u64 = 60_000;
/// How long a store waits for its commit before it is told that the store is unavailable.
pub const COMMIT_WAIT_MS: u64 = 10_000;
/// Changes of the retention that a folder remembers, for as long as what was stored before them may be there. Of more the
/// oldest are forgotten, and what was stored then counts as stored after them: nobody changes it so often on purpose.
pub const RETENTIONS_MAX: usize = 64;
/// Sorted files of the journal that RocksDB holds open, each with its index in memory, some 50 KiB of 64 MiB. A generation
/// of messages may come to many, since they are not merged; beyond this one is opened for each read of those unread longest.
pub const OPEN_FILES_MAX: i32 = 512;
/// Cuts of the write-ahead log whose flush may be under way or to come, and one more: the next waits for one to end. A
/// generation takes two, and a busy disk some hundred milliseconds for each.
pub const CUTS_UNDER_WAY_MAX: i32 = 16;
/// Bytes written to a file after which the kernel is asked to begin writing them back. Otherwise a generation is copied to
/// a sorted file while the disk does not know of it, and waited for as a whole when it is forced.
pub const WRITEBACK_BYTES: u64 = 8 << 20;
/// Bytes of a token's id and of what it was spent on: no two tokens share 16 bytes of a hash.
pub const SPENT_NAME_BYTES: usize = 16;
/// Memory of RocksDB for the spent marks of one epoch, in bytes, before they go to a file: some 100,000 of them.
pub const SPENT_MEMORY_BYTES: usize = 8 << 20;
