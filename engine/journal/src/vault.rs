//! What rate control keeps beside the placements: the issuer's keys and which tokens are spent.
//!
//! Spent marks of one epoch are a column family of their own and go whole; keys are a family of a few records. It knows
//! nothing of tokens: an epoch is a number that only grows, a mark is 32 bytes, a key is a name and bytes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{MappedRwLockReadGuard, Mutex, RwLockReadGuard};
use rocksdb::{BottommostLevelCompaction, CompactOptions, FlushOptions, Options, WriteBatch, WriteOptions};
use zeroize::Zeroizing;

use crate::folder::Folder;
use crate::keeper::{Db, SharedDb};
use crate::limits::{SPENT_MEMORY_BYTES, SPENT_NAME_BYTES};
use crate::rocks::{closed, fault, missing};
use crate::store::{Fault, FaultKind};

/// A token that is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpentMark {
    /// The epoch of its key.
    pub epoch: u64,
    /// Its id.
    pub token: [u8; SPENT_NAME_BYTES],
    /// What it was first spent on, so that exactly this may be tried again.
    pub digest: [u8; SPENT_NAME_BYTES],
}

/// A key of the issuer, as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptKey {
    /// When it counts.
    pub epoch: u64,
    /// Whose it is.
    pub class: u8,
    /// The key, with its secret.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// The keys and spent marks in a journal's database, for as long as its store is open. Any thread; calls may wait for the
/// disk, and for the journal while it begins again after a failure.
pub struct Vault {
    db: SharedDb,
    folder: Folder,
    doubt: Doubt,
    epochs: Mutex<Epochs>,
}

/// The epochs of which there are marks.
#[derive(Default)]
struct Epochs {
    kept: BTreeSet<u64>,
    /// Those that have had marks since they were last brought out of the write-ahead log.
    unsettled: BTreeSet<u64>,
}

/// Whether a write to the database has failed since it was opened. Until it is opened again nothing that is written counts
/// as kept: recovery ends at the first hole of the write-ahead log, whoever made it.
#[derive(Clone, Default)]
pub(crate) struct Doubt(Arc<AtomicBool>);

impl Doubt {
    /// Refuses if there is any.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        // Acquire: pairs with the Release in `watch`.
        if self.0.load(Ordering::Acquire) { Err(doubtful()) } else { Ok(()) }
    }

    /// The outcome of a write: a failure is remembered, and a success behind somebody's failure is none.
    pub(crate) fn watch(&self, outcome: Result<(), Fault>) -> Result<(), Fault> {
        if outcome.is_err() {
            // Release: pairs with the Acquire in `check`.
            self.0.store(true, Ordering::Release);
        }
        outcome.and_then(|()| self.check())
    }

    /// The database was opened again.
    pub(crate) fn end(&self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Vault {
    /// What a database with these `families` keeps.
    pub(crate) fn new(db: SharedDb, folder: Folder, doubt: Doubt, families: &[String]) -> Self {
        let kept: BTreeSet<u64> = families.iter().filter_map(|name| spent_epoch(name)).collect();
        let epochs = Mutex::new(Epochs { unsettled: kept.clone(), kept });
        Self { db, folder, doubt, epochs }
    }

    /// The epochs of which something may be spent, in order.
    pub fn epochs(&self) -> Vec<u64> {
        self.epochs.lock().kept.iter().copied().collect()
    }

    /// Every key, by epoch and class.
    ///
    /// # Errors
    /// If the disk refuses or a record is none.
    pub fn keys(&self) -> Result<Vec<KeptKey>, Fault> {
        let mut keys = Vec::new();
        self.for_each(KEYS_FAMILY, &mut |name, bytes| {
            let (epoch, class) = key_of(name).ok_or_else(damaged)?;
            keys.push(KeptKey { epoch, class, bytes: Zeroizing::new(bytes.to_vec()) });
            Ok(())
        })?;
        Ok(keys)
    }

    /// Visits what is spent of an epoch, in the order of ids.
    ///
    /// # Errors
    /// If the disk refuses or a record is none.
    pub fn for_each_spent(&self, epoch: u64, visit: &mut dyn FnMut(&SpentMark)) -> Result<(), Fault> {
        self.for_each(&spent_family(epoch), &mut |token, digest| {
            let mark =
                || Some(SpentMark { epoch, token: token.try_into().ok()?, digest: digest.try_into().ok()? });
            visit(&mark().ok_or_else(damaged)?);
            Ok(())
        })
    }

    /// Keeps keys; when this returns they are on the disk.
    ///
    /// # Errors
    /// If the disk refuses; none of them counts as kept.
    pub fn put_keys(&self, keys: &[KeptKey]) -> Result<(), Fault> {
        let db = self.db()?;
        make_family(&db, KEYS_FAMILY)?;
        let family = db.cf_handle(KEYS_FAMILY).ok_or_else(|| missing(KEYS_FAMILY))?;
        let mut batch = WriteBatch::default();
        for key in keys {
            batch.put_cf(&family, key_name(key.epoch, key.class), &key.bytes);
        }
        self.write(&db, batch)?;
        // Out of the write-ahead log, of which no file goes while it holds what is nowhere else.
        db.flush_cf(&family).map_err(fault)
    }

    /// Marks tokens as spent; when this returns the marks are on the disk, by one write for all.
    ///
    /// # Errors
    /// If the disk refuses; none of the tokens counts as spent, and what was to follow must not happen.
    pub fn spend(&self, marks: &[SpentMark]) -> Result<(), Fault> {
        let epochs: BTreeSet<u64> = marks.iter().map(|mark| mark.epoch).collect();
        let db = self.db()?;
        // Until the marks are written: no family of them goes meanwhile.
        let mut known = self.epochs.lock();
        let mut batch = WriteBatch::with_capacity_bytes(64 * (marks.len() + 1));
        for epoch in &epochs {
            let name = spent_family(*epoch);
            make_family(&db, &name)?;
            let family = db.cf_handle(&name).ok_or_else(|| missing(&name))?;
            for mark in marks.iter().filter(|mark| mark.epoch == *epoch) {
                batch.put_cf(&family, mark.token, mark.digest);
            }
        }
        known.kept.extend(&epochs);
        known.unsettled.extend(&epochs);
        self.write(&db, batch)
    }

    /// Brings marks out of the write-ahead log into files of their own, behind this call. Its files go with the placements
    /// they hold only once nothing else in them is needed, so call it now and then.
    ///
    /// # Errors
    /// If the disk refuses; marks stay where they are, for the next call.
    pub fn settle(&self) -> Result<(), Fault> {
        let db = self.db()?;
        let mut options = FlushOptions::default();
        options.set_wait(false);
        let mut known = self.epochs.lock();
        while let Some(&epoch) = known.unsettled.first() {
            if let Some(family) = db.cf_handle(&spent_family(epoch)) {
                db.flush_cf_opt(&family, &options).map_err(fault)?;
            }
            known.unsettled.remove(&epoch);
        }
        Ok(())
    }

    /// Ends every epoch before `first`: its marks go whole, and its keys go from the files.
    ///
    /// # Errors
    /// If the disk refuses; call it again.
    pub fn drop_before(&self, first: u64) -> Result<(), Fault> {
        let keys = self.keys()?.into_iter().filter(|key| key.epoch < first);
        let over: Vec<_> = keys.map(|key| (key.epoch, key.class)).collect();
        let db = self.db()?;
        let mut known = self.epochs.lock();
        while let Some(&oldest) = known.kept.first().filter(|&&epoch| epoch < first) {
            let name = spent_family(oldest);
            if db.cf_handle(&name).is_some() {
                db.drop_cf(&name).map_err(fault)?;
            }
            known.kept.remove(&oldest);
            known.unsettled.remove(&oldest);
        }
        drop(known);
        drop(db);
        self.drop_keys(&over)
    }

    /// Drops keys, each by epoch and class, also from the files.
    ///
    /// # Errors
    /// If the disk refuses; call it again.
    pub fn drop_keys(&self, keys: &[(u64, u8)]) -> Result<(), Fault> {
        let db = self.db()?;
        let Some(family) = db.cf_handle(KEYS_FAMILY).filter(|_| !keys.is_empty()) else { return Ok(()) };
        let mut batch = WriteBatch::default();
        for &(epoch, class) in keys {
            batch.delete_cf(&family, key_name(epoch, class));
        }
        self.write(&db, batch)?;
        db.flush_cf(&family).map_err(fault)?;
        db.compact_range_cf_opt::<&[u8], &[u8]>(&family, None, None, &rewriting());
        Ok(())
    }

    fn write(&self, db: &Db, batch: WriteBatch) -> Result<(), Fault> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.doubt.watch(db.write_opt(batch, &options).map_err(fault))
    }

    fn db(&self) -> Result<MappedRwLockReadGuard<'_, Db>, Fault> {
        self.folder.check()?;
        self.doubt.check()?;
        RwLockReadGuard::try_map(self.db.read(), Option::as_ref).map_err(|_| closed())
    }

    fn for_each(&self, family: &str, visit: &mut Visit<'_>) -> Result<(), Fault> {
        let db = self.db()?;
        let Some(family) = db.cf_handle(family) else { return Ok(()) };
        let mut records = db.raw_iterator_cf(&family);
        records.seek_to_first();
        while let Some((name, value)) = records.item() {
            visit(name, value)?;
            records.next();
        }
        records.status().map_err(fault)
    }
}

/// Makes a family of this name if there is none.
fn make_family(db: &Db, name: &str) -> Result<(), Fault> {
    if db.cf_handle(name).is_none() {
        match db.create_cf(name, &vault_options()) {
            // Another thread may have made it meanwhile.
            Err(error) if db.cf_handle(name).is_none() => return Err(fault(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a column family is one of these.
pub(crate) fn is_of_vault(family: &str) -> bool {
    family == KEYS_FAMILY || spent_epoch(family).is_some()
}

/// Small records, merged as they become many.
pub(crate) fn vault_options() -> Options {
    let mut options = Options::default();
    options.set_write_buffer_size(SPENT_MEMORY_BYTES);
    options
}

/// A compaction that writes every file anew: by default files are only moved where that will do, with what is overwritten in
/// them.
pub(crate) fn rewriting() -> CompactOptions {
    let mut options = CompactOptions::default();
    options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
    options
}

/// Is shown the names and values of a family.
type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), Fault> + 'a;

const KEYS_FAMILY: &str = "keys";

fn spent_family(epoch: u64) -> String {
    format!("s{epoch:016x}")
}

fn spent_epoch(family: &str) -> Option<u64> {
    let digits = family.strip_prefix('s').filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

fn key_name(epoch: u64, class: u8) -> [u8; 9] {
    let mut name = [class; 9];
    name[..8].copy_from_slice(&epoch.to_be_bytes());
    name
}

fn key_of(name: &[u8]) -> Option<(u64, u8)> {
    let (&epoch, class) = name.split_first_chunk()?;
    let &[class] = class else { return None };
    Some((u64::from_be_bytes(epoch), class))
}

#[cold]
fn damaged() -> Fault {
    Fault::new(FaultKind::Damaged, "a record of rate control is none; without the folder tokens begin anew")
}

#[cold]
fn doubtful() -> Fault {
    Fault::new(FaultKind::Io, "a write has failed before and the journal is not yet opened again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_write_that_failed_none_counts_until_the_database_is_opened_again() {
        let doubt = Doubt::default();
        assert_eq!((doubt.check(), doubt.watch(Ok(()))), (Ok(()), Ok(())));
        let elsewhere = doubt.clone();
        elsewhere.watch(Err(closed())).unwrap_err();
        doubt.check().unwrap_err();
        doubt.watch(Ok(())).unwrap_err();
        doubt.end();
        assert_eq!((elsewhere.check(), elsewhere.watch(Ok(()))), (Ok(()), Ok(())));
    }
}
