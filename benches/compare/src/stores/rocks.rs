//! RocksDB as one would use it without the journal: an entry a placement, with RocksDB's own time to live.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use herald_core::limits::RECORDS_PER_NUMBER_MAX;
use herald_core::{TelephoneNumber, Timestamp};
use rocksdb::{
    BlockBasedOptions, Cache, DB, Direction, IteratorMode, Options, ReadOptions, SliceTransform, WriteBatch,
    WriteOptions,
};

use super::{Placement, Retrieving, Storing, id};
use crate::failure::Failure;
use crate::limits::{ROCKS_BUFFER_BYTES, ROCKS_CACHE_BYTES};
use crate::workload::RETENTION_MS;

/// Bytes of a number in a key; the id follows.
const NUMBER_BYTES: usize = 8;
/// Bytes of a key.
const KEY_BYTES: usize = NUMBER_BYTES + 16;
/// Entries of a number that a retrieve shows.
const RECORDS_MAX: usize = RECORDS_PER_NUMBER_MAX as usize;

/// How a block of placements is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writes {
    /// A Put for each.
    Single,
    /// One WriteBatch for all.
    Batched,
}

/// One thread's way into a database of all threads.
#[derive(Clone)]
pub(crate) struct Raw {
    db: Arc<DB>,
    writes: Writes,
    logged: bool,
}

impl Raw {
    /// Opens an empty database in the folder at `path`. If `logged`, what is written goes to the write-ahead log,
    /// without waiting for the disk.
    pub(crate) fn open(path: &Path, writes: Writes, logged: bool) -> Result<Self, Failure> {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&Cache::new_lru_cache(ROCKS_CACHE_BYTES));
        table.set_bloom_filter(10.0, false);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.increase_parallelism(2);
        options.set_write_buffer_size(ROCKS_BUFFER_BYTES);
        options.set_max_write_buffer_number(4);
        options.set_prefix_extractor(SliceTransform::create_fixed_prefix(NUMBER_BYTES));
        options.set_memtable_prefix_bloom_ratio(0.1);
        options.set_block_based_table_factory(&table);
        let retention = Duration::from_millis(RETENTION_MS);
        let db = DB::open_with_ttl(&options, path, retention).map_err(|error| rocks(&error))?;
        Ok(Self { db: Arc::new(db), writes, logged })
    }
}

impl Storing for Raw {
    fn store(&mut self, placements: &[Placement<'_>], _: Timestamp) -> Result<usize, Failure> {
        let mut options = WriteOptions::default();
        options.disable_wal(!self.logged);
        let mut batch = WriteBatch::default();
        for placement in placements {
            match self.writes {
                Writes::Single => {
                    self.db
                        .put_opt(key(placement), placement.body, &options)
                        .map_err(|error| rocks(&error))?;
                }
                Writes::Batched => batch.put(key(placement), placement.body),
            }
        }
        if self.writes == Writes::Batched {
            self.db.write_opt(batch, &options).map_err(|error| rocks(&error))?;
        }
        Ok(placements.len())
    }
}

impl Retrieving for Raw {
    /// The entries under the prefix of a number, as many as the log would keep. RocksDB drops what has expired when it compacts, not before, so
    /// a reader would have to look; nothing expires within a comparison.
    fn retrieve(
        &mut self,
        numbers: &[TelephoneNumber],
        _: Timestamp,
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, Failure> {
        let mut found = 0;
        for number in numbers {
            let prefix = number.to_bits().to_be_bytes();
            let mut options = ReadOptions::default();
            options.set_prefix_same_as_start(true);
            let mut has_one = false;
            let entries = self.db.iterator_opt(IteratorMode::From(&prefix, Direction::Forward), options);
            for entry in entries.take(RECORDS_MAX) {
                let (_, body) = entry.map_err(|error| rocks(&error))?;
                show(&body);
                has_one = true;
            }
            found += usize::from(has_one);
        }
        Ok(found)
    }
}

fn key(placement: &Placement<'_>) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..NUMBER_BYTES].copy_from_slice(&placement.number.to_bits().to_be_bytes());
    key[NUMBER_BYTES..].copy_from_slice(id(placement.index).as_bytes());
    key
}

fn rocks(error: &rocksdb::Error) -> Failure {
    Failure::Peer("RocksDB", error.to_string())
}
