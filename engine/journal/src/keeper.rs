//! Reading single records back, for a log that lets them leave memory.
//!
//! Knows in which generation and under which key a record is from where the log had it; it searches nothing.

use std::sync::{Arc, OnceLock};

use herald_core::Timestamp;
use herald_log::{Keeper, KeptPlace, Origin, records};
use parking_lot::{Mutex, RwLock};
use rocksdb::{DBWithThreadMode, MultiThreaded};

use crate::block::{BlockKey, Span};
use crate::rocks::{family_name, fault};
use crate::store::Fault;

pub(crate) type Db = DBWithThreadMode<MultiThreaded>;
/// The database, shared by the journal's thread and those who read. None while it is being reopened after a failure.
pub(crate) type SharedDb = Arc<RwLock<Option<Db>>>;
/// What the disk said when a record was last read in vain, until the journal's thread has told it.
pub(crate) type ReadFault = Arc<Mutex<Option<Fault>>>;

/// Part of a segment of an earlier life: what of it expires in one generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RestoredSegment {
    pub(crate) ends_at: Timestamp,
    pub(crate) run: u64,
    pub(crate) segment: u64,
}

/// Reads what has left memory from the journal. Any thread.
///
/// A read copies nothing but takes an iterator of RocksDB, some microseconds, and the time of the disk where the block is
/// neither in RocksDB's memory nor in the kernel's. It does not wait for the writes of a pass. After a failure the journal's
/// thread closes the database, which waits for the reads under way, as reads that begin then do; while it is being opened
/// again nothing can be read, and where that fails, what the disk has can be read until it succeeds.
pub struct RocksKeeper {
    db: SharedDb,
    read_fault: ReadFault,
    span: Span,
    /// The life whose log it serves.
    run: u64,
    /// What [`Origin::Restored`] counts, once it is known.
    restored: OnceLock<Box<[RestoredSegment]>>,
}

impl RocksKeeper {
    pub(crate) const fn new(db: SharedDb, read_fault: ReadFault, span: Span, opened_at: Timestamp) -> Self {
        Self { db, read_fault, span, run: opened_at.as_millis(), restored: OnceLock::new() }
    }

    /// Says where restored records are; once, before any of them is asked for.
    pub(crate) fn know(&self, restored: Vec<RestoredSegment>) {
        let _ = self.restored.set(restored.into());
    }

    /// The generation and the key under which the record would be, were it a block of its own.
    fn key(&self, place: &KeptPlace) -> Option<(Timestamp, BlockKey)> {
        let offset = place.offset;
        match place.origin {
            Origin::Segment(segment) => {
                Some((self.span.end_of(place.expires_at), BlockKey { run: self.run, segment, offset }))
            }
            Origin::Restored(index) => {
                let RestoredSegment { ends_at, run, segment } =
                    *self.restored.get()?.get(usize::try_from(index).ok()?)?;
                Some((ends_at, BlockKey { run, segment, offset }))
            }
        }
    }

    /// Visits the record if it is there. None if it should be and is not.
    fn find(&self, place: &KeptPlace, visit: &mut dyn FnMut(&[u8])) -> Option<()> {
        let (ends_at, wanted) = self.key(place)?;
        let db = self.db.read();
        let db = db.as_ref()?;
        let Some(family) = db.cf_handle(&family_name(ends_at)) else {
            // A generation goes as a whole, once all in it has expired.
            return Some(());
        };
        let mut blocks = db.raw_iterator_cf(&family);
        blocks.seek_for_prev(wanted.to_bytes());
        // The first one, unless a pass that failed has left blocks that overlap.
        while let Some((key, block)) = blocks.item() {
            let key = BlockKey::from_bytes(key)?;
            if (key.run, key.segment) != (wanted.run, wanted.segment) {
                return None;
            }
            let at = usize::try_from(wanted.offset - key.offset).ok()?;
            if let Some(rest) = block.get(at..).filter(|rest| !rest.is_empty()) {
                let record = records(rest).next()?.ok()?;
                return (record.id == place.id).then(|| visit(record.body));
            }
            blocks.prev();
        }
        if let Err(error) = blocks.status() {
            *self.read_fault.lock() = Some(fault(error));
        }
        None
    }
}

impl Keeper for RocksKeeper {
    fn read(&self, place: &KeptPlace, visit: &mut dyn FnMut(&[u8])) -> bool {
        self.find(place, visit).is_some()
    }
}
