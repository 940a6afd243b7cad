//! The real disk: RocksDB, one column family per generation.
//!
//! A generation is usually dropped before its memory is flushed, so its bytes are written once, to the
//! write-ahead log. That log is cut at each new generation (by flushing the small default column family), so
//! that its files go when their generations do.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use herald_core::{NewPlacement, Retention, Timestamp};
use herald_log::{BeyondRecord, RecordRef};
use parking_lot::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};
use rocksdb::statistics::{StatsLevel, Ticker};
use rocksdb::{
    ColumnFamilyDescriptor, DB, DBRecoveryMode, Error, FlushOptions, LogLevel, Options, WriteBatch,
    WriteOptions,
};

use crate::block::Span;
use crate::folder::Folder;
use crate::keeper::{Db, ReadFault, RocksKeeper, SharedDb};
use crate::limits::{BATCH_BYTES, CUTS_UNDER_WAY_MAX, OPEN_FILES_MAX, WRITEBACK_BYTES};
use crate::processor;
use crate::recovery::{self, Indexed, Together};
use crate::retentions::Retentions;
use crate::store::{Block, BlockStore, Fault, FaultKind, Meta, SyncCall};
use crate::vault::{Doubt, Vault, is_of_vault, rewriting, vault_options};

const FORMAT: u32 = 3;
const DEFAULT_FAMILY: &str = "default";

/// Blocks in a RocksDB folder.
pub struct RocksStore {
    folder: Folder,
    memory_bytes: usize,
    /// The generations there are, by their ends.
    generations: BTreeSet<Timestamp>,
    retentions: Retentions,
    /// What the next write hands over.
    batch: WriteBatch,
    db: SharedDb,
    access: Access,
    read_fault: ReadFault,
    doubt: Doubt,
    meter: RocksMeter,
}

/// How a folder is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Make,
    Write,
    /// Beside a writer or without one: writes nothing, so a full disk does not matter.
    Read,
}

/// What RocksDB counts, for as long as somebody asks. Any thread.
#[derive(Clone)]
pub struct RocksMeter(Options);

/// Bytes that RocksDB has handed to the kernel since the store was opened, and how often it forced them to disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RocksFigures {
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// Bytes written when memory was flushed to sorted files.
    pub flushed_bytes: u64,
    /// Bytes written when sorted files were merged.
    pub compacted_bytes: u64,
    /// Forced writes of the write-ahead log.
    pub syncs: u64,
}

impl RocksMeter {
    /// The figures so far.
    pub fn read(&self) -> RocksFigures {
        let count = |ticker| self.0.get_ticker_count(ticker);
        RocksFigures {
            wal_bytes: count(Ticker::WalFileBytes),
            flushed_bytes: count(Ticker::FlushWriteBytes),
            compacted_bytes: count(Ticker::CompactWriteBytes),
            syncs: count(Ticker::WalFileSynced),
        }
    }
}

impl RocksStore {
    /// Opens the folder at `path`, making it if there is none. `memory_bytes` bounds the blocks that wait in
    /// memory (see [`MEMORY_BYTES_DEFAULT`](crate::limits::MEMORY_BYTES_DEFAULT)).
    ///
    /// # Errors
    /// [`FaultKind::InUse`] if another engine has it open, [`FaultKind::Format`] if another version wrote it,
    /// or the disk's own words.
    pub fn open(path: &Path, memory_bytes: usize) -> Result<Self, Fault> {
        processor::check()?;
        let options = db_options(memory_bytes)?;
        let (db, generations) = open_db(path, memory_bytes, &options, Access::Make)?;
        let mut store = Self {
            folder: Folder::at(path)?,
            memory_bytes,
            generations,
            retentions: Retentions::default(),
            batch: new_batch(),
            db: Arc::new(RwLock::new(Some(db))),
            access: Access::Make,
            read_fault: Arc::default(),
            doubt: Doubt::default(),
            meter: RocksMeter(options),
        };
        match store.meta(Meta::Format)? {
            None => store.write_format()?,
            Some(found) if found == FORMAT.to_le_bytes() => {}
            Some(found) => {
                return Err(Fault::new(
                    FaultKind::Format,
                    format!("the journal has format {found:?}; this version reads {FORMAT} only"),
                ));
            }
        }
        if let Some(bytes) = store.meta(Meta::Retentions)? {
            let damaged = || Fault::new(FaultKind::Damaged, "its retentions are cut off");
            store.retentions = Retentions::from_bytes(&bytes).ok_or_else(damaged)?;
        }
        Ok(store)
    }

    /// The retention of the last life that used this folder, in milliseconds, if it is known.
    pub fn retention_before_ms(&self) -> Option<u64> {
        self.retentions.last_ms()
    }

    /// Says for how long placements are stored from `now` on, when a life begins, later than any before; ahead of
    /// [`for_each_live`](Self::for_each_live). If that is less than before, what is there lives less by as much. It is kept
    /// with the next write, so that a life that ends before has changed nothing.
    pub fn begin_life(&mut self, retention: Retention, now: Timestamp) {
        self.retentions.begin(retention, now);
        self.put_retentions();
    }

    fn put_retentions(&mut self) {
        self.batch.put(Meta::Retentions.name(), self.retentions.to_bytes());
    }

    /// What RocksDB counts from here on, also when the store is elsewhere.
    pub fn meter(&self) -> RocksMeter {
        self.meter.clone()
    }

    /// The small value `meta`, if there is one.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn meta(&self, meta: Meta) -> Result<Option<Vec<u8>>, Fault> {
        self.db()?.get(meta.name()).map_err(fault)
    }

    /// Visits every placement that is live at `now` once, in the order they expire. No expiry lies more than
    /// `retention_ms` ahead (it would, had the clock stepped back since).
    ///
    /// Returns how many blocks were damaged and passed over; what could be read of them was visited. RocksDB's recovery
    /// has already dropped what was torn by a crash, so damage here is real.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn for_each_live(
        &self,
        now: Timestamp,
        retention_ms: u64,
        visit: &mut dyn FnMut(&NewPlacement<'_>),
    ) -> Result<u64, Fault> {
        let latest = now.plus_millis(retention_ms);
        let mut damaged_count = 0;
        for ends in self.read_together(now) {
            damaged_count += self.read_generations(&ends, now, &mut |_, _, record| {
                visit(&restored(&record, latest));
            })?;
        }
        Ok(damaged_count)
    }

    /// What reads single records of this store, for the log whose journal is told the same `retention` and `opened_at`
    /// ([`JournalConfig`](crate::JournalConfig)): other moments name other blocks.
    pub fn keeper(&self, retention: Retention, opened_at: Timestamp) -> Arc<RocksKeeper> {
        let (db, read_fault) = (Arc::clone(&self.db), Arc::clone(&self.read_fault));
        Arc::new(RocksKeeper::new(db, read_fault, Span::of(retention), opened_at))
    }

    /// What rate control keeps in this store.
    ///
    /// # Errors
    /// If the folder has gone or cannot be read.
    pub fn vault(&self) -> Result<Vault, Fault> {
        let families = DB::list_cf(&Options::default(), &self.folder.path).map_err(fault)?;
        let folder = Folder::at(&self.folder.path)?;
        Ok(Vault::new(Arc::clone(&self.db), folder, self.doubt.clone(), &families))
    }

    /// As [`for_each_live`](Self::for_each_live), for a log that goes beyond its memory: hands `index` many at once, in the
    /// order they expire, without the bodies, which `keeper` then reads. Once `index` has taken fewer than it was given,
    /// those behind and all of later generations go to `restore`, with their bodies.
    ///
    /// Takes memory for what it hands over of one generation (of all, for as long as what was stored before the retention
    /// was made shorter may be there), and 24 bytes for each segment of the log they were in.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn index_live(
        &self,
        now: Timestamp,
        retention_ms: u64,
        keeper: &RocksKeeper,
        index: &mut dyn FnMut(&[BeyondRecord]) -> usize,
        restore: &mut dyn FnMut(&NewPlacement<'_>),
    ) -> Result<u64, Fault> {
        let latest = now.plus_millis(retention_ms);
        let mut indexed = Indexed::default();
        let (mut damaged_count, mut full_at) = (0, None);
        let parts = self.read_together(now);
        for (part, ends) in parts.iter().enumerate() {
            indexed.clear();
            damaged_count += self.read_generations(ends, now, &mut |place, at, record| {
                indexed.add(ends[place.generation], latest, place.key, at, &record);
            })?;
            let taken = index(&indexed.records);
            if taken < indexed.records.len() {
                full_at = Some((part, taken));
                break;
            }
        }
        keeper.know(indexed.segments);
        if let Some((part, taken)) = full_at {
            damaged_count += self.restore_rest(&parts[part..], taken, now, latest, restore)?;
        }
        Ok(damaged_count)
    }

    /// Visits what lives in these parts, but for the first `taken`, as [`for_each_live`](Self::for_each_live). The damage in
    /// the first part has been counted.
    fn restore_rest(
        &self,
        parts: &[Vec<Timestamp>],
        taken: usize,
        now: Timestamp,
        latest: Timestamp,
        visit: &mut dyn FnMut(&NewPlacement<'_>),
    ) -> Result<u64, Fault> {
        let (mut before, mut damaged_count) = (taken, 0);
        for (part, ends) in parts.iter().enumerate() {
            // In the same order as without bodies.
            let damaged =
                self.read_generations(ends, now, &mut |_, _, record| match before.checked_sub(1) {
                    Some(left) => before = left,
                    None => visit(&restored(&record, latest)),
                })?;
            damaged_count += if part == 0 { 0 } else { damaged };
        }
        Ok(damaged_count)
    }

    /// The generations that are not over at `now`, by their ends, in parts that are read one after the other: each alone, or
    /// all as one where what ends in an earlier one may live on longer than what ends in a later one.
    fn read_together(&self, now: Timestamp) -> Vec<Vec<Timestamp>> {
        let ends = self.generations.range(now..).copied();
        if self.retentions.shorten() {
            vec![ends.collect()]
        } else {
            ends.map(|ends_at| vec![ends_at]).collect()
        }
    }

    /// Visits what lives at `now` of these generations in the order of expiry. Returns how many blocks were damaged.
    fn read_generations(
        &self,
        ends: &[Timestamp],
        now: Timestamp,
        visit: &mut recovery::Visit<'_>,
    ) -> Result<u64, Fault> {
        let db = self.db()?;
        let family = |&ends_at: &Timestamp| {
            let name = family_name(ends_at);
            db.cf_handle(&name).ok_or_else(|| missing(&name))
        };
        let families = ends.iter().map(family).collect::<Result<Vec<_>, _>>()?;
        let open = |generation: usize| db.raw_iterator_cf(&families[generation]);
        let (count, retentions) = (families.len(), &self.retentions);
        recovery::for_each_live(&Together { count, open: &open, retentions }, now, visit)
    }

    /// The database, unless reopening it has failed.
    fn db(&self) -> Result<MappedRwLockReadGuard<'_, Db>, Fault> {
        RwLockReadGuard::try_map(self.db.read(), Option::as_ref).map_err(|_| closed())
    }

    fn write_format(&mut self) -> Result<(), Fault> {
        self.put_meta(Meta::Format, &FORMAT.to_le_bytes());
        self.put_retentions();
        self.write()
    }

    fn replace_db(&mut self, access: Access) -> Result<(), Fault> {
        self.batch = new_batch();
        if self.access != Access::Read {
            // A folder has one writer. Whoever reads finds nothing meanwhile.
            self.close();
        }
        match self.open_again(access) {
            Ok(()) => Ok(()),
            Err(fault) => {
                // Who shares the database may read it: the keeper of a log that goes beyond its memory.
                if self.access != Access::Read && Arc::strong_count(&self.db) > 1 {
                    // What this says has been said.
                    let _ = self.open_again(Access::Read);
                }
                Err(fault)
            }
        }
    }

    fn open_again(&mut self, access: Access) -> Result<(), Fault> {
        let (db, generations) = open_db(&self.folder.path, self.memory_bytes, &self.meter.0, access)?;
        // What was open for reading so long, or nothing.
        let old = self.db.write().replace(db);
        drop(old);
        (self.access, self.generations) = (access, generations);
        if access != Access::Read {
            self.doubt.end();
        }
        Ok(())
    }

    fn close(&mut self) {
        let old = self.db.write().take();
        drop(old);
    }
}

impl BlockStore for RocksStore {
    fn open_generation(&mut self, ends_at: Timestamp) -> Result<(), Fault> {
        if self.generations.contains(&ends_at) {
            return Ok(());
        }
        self.folder.check()?;
        let options = family_options(self.memory_bytes);
        self.db()?.create_cf(family_name(ends_at), &options).map_err(fault)?;
        self.generations.insert(ends_at);
        Ok(())
    }

    /// Flushing the default family begins a new file of the write-ahead log, so that the files before it can go with
    /// the generations they belong to. The flush itself goes on behind this call.
    fn cut(&mut self) -> Result<(), Fault> {
        self.folder.check()?;
        let mut options = FlushOptions::default();
        options.set_wait(false);
        self.db()?.flush_opt(&options).map_err(fault)
    }

    fn put(&mut self, block: &Block<'_>) -> Result<(), Fault> {
        let name = family_name(block.ends_at);
        let db = RwLockReadGuard::try_map(self.db.read(), Option::as_ref).map_err(|_| closed())?;
        let family = db.cf_handle(&name).ok_or_else(|| missing(&name))?;
        self.batch.put_cf(&family, block.key.to_bytes(), block.records);
        Ok(())
    }

    fn put_meta(&mut self, meta: Meta, value: &[u8]) {
        self.batch.put(meta.name(), value);
    }

    fn write(&mut self) -> Result<(), Fault> {
        if self.batch.is_empty() {
            return self.doubt.check();
        }
        let batch = core::mem::replace(&mut self.batch, new_batch());
        self.doubt.check()?;
        self.doubt.watch(self.db()?.write_opt(batch, &WriteOptions::default()).map_err(fault))
    }

    fn sync(&mut self) -> Result<(), Fault> {
        sync(&self.db, &self.folder, &self.doubt)
    }

    fn sync_beside(&self) -> Option<SyncCall> {
        let (db, folder, doubt) = (Arc::clone(&self.db), self.folder.clone(), self.doubt.clone());
        Some(Box::new(move || sync(&db, &folder, &doubt)))
    }

    fn drop_over(&mut self, now: Timestamp) -> Result<bool, Fault> {
        let mut is_dropped = false;
        let db = RwLockReadGuard::try_map(self.db.read(), Option::as_ref).map_err(|_| closed())?;
        while let Some(&oldest) = self.generations.first().filter(|&&ends_at| ends_at <= now) {
            db.drop_cf(&family_name(oldest)).map_err(fault)?;
            self.generations.remove(&oldest);
            is_dropped = true;
        }
        Ok(is_dropped)
    }

    fn forget_overwritten(&mut self) -> Result<(), Fault> {
        let db = self.db()?;
        let mut options = FlushOptions::default();
        options.set_wait(true);
        db.flush_opt(&options).map_err(fault)?;
        db.compact_range_opt::<&[u8], &[u8]>(None, None, &rewriting());
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), Fault> {
        self.folder.check()?;
        self.replace_db(Access::Write)
    }

    fn take_read_fault(&mut self) -> Option<Fault> {
        self.read_fault.lock().take()
    }

    fn recreate(&mut self) -> Result<(), Fault> {
        self.close();
        DB::destroy(&Options::default(), &self.folder.path).map_err(fault)?;
        self.replace_db(Access::Make)?;
        self.folder = Folder::at(&self.folder.path)?;
        self.write_format()
    }
}

impl Drop for RocksStore {
    /// Whoever still reads finds nothing from now on, and the folder may be opened by another.
    fn drop(&mut self) {
        self.close();
    }
}

/// Forces the write-ahead log to the disk. Others may write to it meanwhile.
fn sync(db: &SharedDb, folder: &Folder, doubt: &Doubt) -> Result<(), Fault> {
    folder.check()?;
    doubt.check()?;
    let db = RwLockReadGuard::try_map(db.read(), Option::as_ref).map_err(|_| closed())?;
    doubt.watch(db.flush_wal(true).map_err(fault))
}

/// A record that lives as it is put back: it expires no later than `latest`.
fn restored<'a>(record: &RecordRef<'a>, latest: Timestamp) -> NewPlacement<'a> {
    let placement = record.to_placement().expect("what lives is not void");
    NewPlacement { expires_at: placement.expires_at.min(latest), ..placement }
}

/// With room for all that a batch may come to where segments have no more than [`BATCH_BYTES`], so that it is not copied once
/// more to grow.
fn new_batch() -> WriteBatch {
    WriteBatch::with_capacity_bytes(2 * BATCH_BYTES + BATCH_BYTES / 8)
}

fn db_options(memory_bytes: usize) -> Result<Options, Fault> {
    let mut options = Options::default();
    options.enable_statistics();
    options.set_statistics_level(StatsLevel::ExceptDetailedTimers);
    options.set_max_manifest_file_size(1 << 20);
    options.set_max_open_files(OPEN_FILES_MAX);
    // What was torn was not on the disk, and nothing counted on it; each block stands for itself. What a later life wrote
    // behind it was: with recovery to a point in time it would end at the tear.
    options.set_wal_recovery_mode(DBRecoveryMode::SkipAnyCorruptedRecord);
    options.set_db_write_buffer_size(memory_bytes);
    options.set_wal_bytes_per_sync(WRITEBACK_BYTES);
    options.set_bytes_per_sync(WRITEBACK_BYTES);
    options.set_avoid_unnecessary_blocking_io(true);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1 << 20);
    options.set_log_level(LogLevel::Warn);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    // What was read back from the write-ahead log stays in it, instead of being written once more at each start.
    options.get_options_from_string("avoid_flush_during_recovery=true").map_err(fault)
}

/// The database and the generations in it.
fn open_db(
    path: &Path,
    memory_bytes: usize,
    options: &Options,
    access: Access,
) -> Result<(Db, BTreeSet<Timestamp>), Fault> {
    let mut options = options.clone();
    options.create_if_missing(access == Access::Make);
    let names = match path.join("CURRENT").exists() {
        true => DB::list_cf(&options, path).map_err(fault)?,
        false => vec![DEFAULT_FAMILY.to_owned()],
    };
    let generations = names.iter().filter_map(|name| generation_of(name)).collect();
    let families = names.into_iter().map(|name| {
        let options = match &*name {
            DEFAULT_FAMILY => metas_options(),
            name if is_of_vault(name) => vault_options(),
            _ => family_options(memory_bytes),
        };
        ColumnFamilyDescriptor::new(name, options)
    });
    if access != Access::Read {
        sync_logs(path)?;
    }
    let opened = match access {
        Access::Read => Db::open_cf_descriptors_read_only(&options, path, families, false),
        Access::Make | Access::Write => Db::open_cf_descriptors(&options, path, families),
    };
    Ok((opened.map_err(fault)?, generations))
}

/// Forces to the disk what an earlier life left to the kernel. RocksDB reads its old write-ahead logs and keeps them, but
/// its syncs are of the new one: what is restored from them, and so not written again, would outlive a kill only.
fn sync_logs(path: &Path) -> Result<(), Fault> {
    let all = || -> std::io::Result<()> {
        for entry in fs::read_dir(path)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                fs::File::open(path)?.sync_all()?;
            }
        }
        Ok(())
    };
    match all() {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Fault::new(FaultKind::Io, error.to_string()))
        }
        _ => Ok(()),
    }
}

/// Small values, few of them. Each [`cut`](BlockStore::cut) flushes this family behind the call, which may take as long as
/// the disk is busy; as many cuts as come within that must not wait for one another.
fn metas_options() -> Options {
    let mut options = Options::default();
    options.set_max_write_buffer_number(CUTS_UNDER_WAY_MAX);
    options
}

/// A generation: few large values, read once if ever. Sealed bytes do not compress.
fn family_options(memory_bytes: usize) -> Options {
    let mut options = Options::default();
    options.set_write_buffer_size(memory_bytes);
    options.set_arena_block_size(4 << 20);
    options.set_disable_auto_compactions(true);
    options.set_level_zero_slowdown_writes_trigger(i32::MAX);
    options.set_level_zero_stop_writes_trigger(i32::MAX);
    options
}

pub(crate) fn family_name(ends_at: Timestamp) -> String {
    format!("g{:016x}", ends_at.as_millis())
}

fn generation_of(name: &str) -> Option<Timestamp> {
    u64::from_str_radix(name.strip_prefix('g')?, 16).ok().map(Timestamp::from_millis)
}

#[cold]
pub(crate) fn fault(error: Error) -> Fault {
    let message = error.into_string();
    let kind = match () {
        () if message.contains("No space left") || message.contains("File too large") => FaultKind::DiskFull,
        () if message.contains("lock") && message.contains("LOCK") => FaultKind::InUse,
        () if message.starts_with("Corruption") => FaultKind::Damaged,
        () => FaultKind::Io,
    };
    Fault::new(kind, message)
}

#[cold]
pub(crate) fn missing(family: &str) -> Fault {
    Fault::new(FaultKind::Damaged, format!("column family {family} is missing"))
}

#[cold]
pub(crate) fn closed() -> Fault {
    Fault::new(FaultKind::Io, "it could not be reopened after a failure")
}
