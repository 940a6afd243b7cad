//! One pass of the journal: what the log has published since the last one goes to disk.
//!
//! No thread, no clock. The log keeps every placement until it expires, so a pass that fails loses nothing: the
//! cursor goes back to the last state that was known to be on disk, and the next pass writes it again.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use herald_core::limits::RETENTION_MAX_MS;
use herald_core::{CoverSecret, Retention, Timestamp};
use herald_log::{DrainCursor, PlacementLog};

use crate::block;
use crate::commits::Commits;
use crate::limits::{BATCH_BYTES_MAX, GENERATION_MS};
use crate::store::{Block, BlockStore, Fault, Meta};

/// Copies a log to a disk.
pub struct Journal<S> {
    log: Arc<PlacementLog>,
    store: S,
    commits: Arc<Commits>,
    run: u64,
    /// What the kernel has.
    written: DrainCursor,
    /// What the disk has.
    synced: DrainCursor,
    cover: Option<(CoverSecret, Retention)>,
    cover_unwritten: bool,
    generations: BTreeSet<u64>,
    dropped_before: u64,
    failing: bool,
    /// When the last pass that succeeded began.
    good_at: Timestamp,
}

/// What a pass did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassOutcome {
    /// Bytes of records written.
    pub written_bytes: usize,
}

impl<S: BlockStore> Journal<S> {
    /// A journal from `log` to `store`. `opened_at` must be later than that of any earlier life of the store.
    pub fn new(log: Arc<PlacementLog>, store: S, commits: Arc<Commits>, opened_at: Timestamp) -> Self {
        Self {
            log,
            store,
            commits,
            run: opened_at.as_millis(),
            written: DrainCursor::default(),
            synced: DrainCursor::default(),
            cover: None,
            cover_unwritten: false,
            generations: BTreeSet::new(),
            dropped_before: 0,
            failing: false,
            good_at: opened_at,
        }
    }

    /// Keeps the cover secret on disk: now, and again whenever it has forgotten an epoch.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn keep_cover(&mut self, secret: CoverSecret, retention: Retention) -> Result<(), Fault> {
        self.store.put_meta(Meta::Cover, &secret.to_bytes())?;
        self.store.compact()?;
        self.cover = Some((secret, retention));
        Ok(())
    }

    /// Writes everything appended before the call; with `sync`, returns when it is on disk and tickets taken
    /// before are durable. Then drops what has expired.
    ///
    /// # Errors
    /// The fault of the disk. If it came before the sync was done, tickets taken before count as failed; the
    /// next pass tries again.
    pub fn pass(&mut self, now: Timestamp, sync: bool) -> Result<PassOutcome, Fault> {
        let pass = self.commits.begin();
        let written = self.write_all(now, sync);
        match &written {
            Ok(_) if sync => self.commits.finish(pass, true),
            Ok(_) => {}
            Err(_) => self.commits.finish(pass, false),
        }
        let outcome = written.and_then(|written_bytes| {
            self.drop_expired(now)?;
            Ok(PassOutcome { written_bytes })
        });
        if outcome.is_ok() {
            self.good_at = now;
        } else {
            self.failing = true;
            self.written = self.synced.clone();
        }
        outcome
    }

    fn write_all(&mut self, now: Timestamp, sync: bool) -> Result<usize, Fault> {
        if self.failing {
            self.begin_again(now)?;
        }
        let mut written_bytes = 0;
        loop {
            let mut cursor = self.written.clone();
            let (batch, batch_bytes, more) = self.collect(&mut cursor, now);
            if !batch.is_empty() {
                self.open_generations(&batch)?;
                self.store.write(&batch)?;
            }
            self.written = cursor;
            written_bytes += batch_bytes;
            if !more {
                break;
            }
        }
        self.write_metas(now)?;
        if sync {
            self.store.sync()?;
            self.synced = self.written.clone();
        }
        Ok(written_bytes)
    }

    /// After a failure: from what the disk has, or, once all of that has expired, from nothing. The second way
    /// out is for a disk so full that reading back what is on it takes more room than there is.
    fn begin_again(&mut self, now: Timestamp) -> Result<(), Fault> {
        self.generations.clear();
        self.cover_unwritten = self.cover.is_some();
        let all_expired = now.millis_since(self.good_at) > RETENTION_MAX_MS + GENERATION_MS;
        match self.store.reopen() {
            Err(_) if all_expired => {
                self.written = DrainCursor::default();
                self.synced = DrainCursor::default();
                self.store.recreate()?;
            }
            other => other?,
        }
        self.failing = false;
        Ok(())
    }

    /// The next blocks behind `cursor`, and whether there are more than one batch holds.
    fn collect(&self, cursor: &mut DrainCursor, now: Timestamp) -> (Vec<Block>, usize, bool) {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut more = false;
        self.log.drain(cursor, &mut |range| {
            if range.expires_max > now {
                block::blocks_of_range(self.run, &range, &mut batch);
                bytes += range.bytes.len();
            }
            more = bytes >= BATCH_BYTES_MAX;
            if more { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        (batch, bytes, more)
    }

    fn open_generations(&mut self, batch: &[Block]) -> Result<(), Fault> {
        for Block { generation, .. } in batch {
            if self.generations.insert(*generation) {
                self.store.open_generation(*generation)?;
                // From here the write-ahead log begins a new file, which goes with this generation.
                self.store.compact()?;
            }
        }
        Ok(())
    }

    /// The clock with every pass, so that no later life begins before anything this one has shown; the cover
    /// secret when it has forgotten an epoch.
    fn write_metas(&mut self, now: Timestamp) -> Result<(), Fault> {
        self.store.put_meta(Meta::Clock, &now.as_millis().to_le_bytes())?;
        if let Some((secret, retention)) = &mut self.cover {
            self.cover_unwritten |= secret.advance(*retention, now);
            if self.cover_unwritten {
                self.store.put_meta(Meta::Cover, &secret.to_bytes())?;
                self.store.compact()?;
                self.cover_unwritten = false;
            }
        }
        Ok(())
    }

    /// A generation is over when the last moment it covers is.
    fn drop_expired(&mut self, now: Timestamp) -> Result<(), Fault> {
        let current = now.as_millis() / GENERATION_MS;
        if current > self.dropped_before {
            self.store.drop_generations_before(current)?;
            self.store.compact()?;
            self.generations = self.generations.split_off(&current);
            self.dropped_before = current;
        }
        Ok(())
    }
}
