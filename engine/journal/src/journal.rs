//! One pass of the journal: what the log has published since the last one goes to disk.
//!
//! No thread, no clock. The log keeps every placement until it expires, so a pass that fails loses nothing: the
//! cursor goes back to the last state that was known to be on disk, and the next pass writes it again.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use herald_core::{CoverSecret, Retention, Timestamp};
use herald_log::{DrainCursor, PlacementLog};

use crate::block::{self, BlockKey};
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
        }
    }

    /// Keeps the cover secret on disk: now, and again whenever it has forgotten an epoch.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn keep_cover(&mut self, secret: CoverSecret, retention: Retention) -> Result<(), Fault> {
        self.store.put_meta(Meta::Cover, &secret.to_bytes())?;
        self.cover = Some((secret, retention));
        Ok(())
    }

    /// Writes everything appended before the call; with `sync`, returns when it is on disk and tickets taken
    /// before are durable.
    ///
    /// # Errors
    /// The fault of the disk. Tickets taken before count as failed; the next pass tries again.
    pub fn pass(&mut self, now: Timestamp, sync: bool) -> Result<PassOutcome, Fault> {
        let pass = self.commits.begin();
        let result = self.try_pass(now, sync);
        match &result {
            Ok(_) if sync => self.commits.finish(pass, true),
            Ok(_) => {}
            Err(_) => {
                self.failing = true;
                self.written = self.synced.clone();
                self.commits.finish(pass, false);
            }
        }
        result
    }

    fn try_pass(&mut self, now: Timestamp, sync: bool) -> Result<PassOutcome, Fault> {
        if self.failing {
            self.store.reopen()?;
            self.generations.clear();
            self.failing = false;
        }
        let mut written_bytes = 0;
        loop {
            let mut cursor = self.written.clone();
            let (batch, batch_bytes, more) = self.collect(&mut cursor, now);
            if !batch.is_empty() {
                self.open_generations(&batch, now)?;
                self.store.write(&batch)?;
            }
            self.written = cursor;
            written_bytes += batch_bytes;
            if !more {
                break;
            }
        }
        if sync {
            self.store.sync()?;
            self.synced = self.written.clone();
        }
        self.drop_expired(now)?;
        self.forget_cover(now)?;
        Ok(PassOutcome { written_bytes })
    }

    /// The next blocks behind `cursor`, and whether there are more than one batch holds.
    fn collect(&self, cursor: &mut DrainCursor, now: Timestamp) -> (Vec<Block>, usize, bool) {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut more = false;
        self.log.drain(cursor, &mut |range| {
            if range.expires_max > now {
                let key = BlockKey { run: self.run, segment: range.segment, offset: range.offset };
                let generation = range.expires_max.as_millis() / GENERATION_MS;
                batch.push(Block { generation, key, value: block::encode(range.bytes) });
                bytes += range.bytes.len();
            }
            more = bytes >= BATCH_BYTES_MAX;
            if more { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        (batch, bytes, more)
    }

    fn open_generations(&mut self, batch: &[Block], now: Timestamp) -> Result<(), Fault> {
        for Block { generation, .. } in batch {
            if !self.generations.contains(generation) {
                self.store.open_generation(*generation)?;
                self.store.put_meta(Meta::Clock, &now.as_millis().to_le_bytes())?;
                self.generations.insert(*generation);
            }
        }
        Ok(())
    }

    fn forget_cover(&mut self, now: Timestamp) -> Result<(), Fault> {
        if let Some((secret, retention)) = &mut self.cover {
            self.cover_unwritten |= secret.advance(*retention, now);
            if self.cover_unwritten {
                self.store.put_meta(Meta::Cover, &secret.to_bytes())?;
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
            self.generations = self.generations.split_off(&current);
            self.dropped_before = current;
        }
        Ok(())
    }
}
