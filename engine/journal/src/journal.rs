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

use crate::block::{self, Span};
use crate::commits::Commits;
use crate::limits::{BATCH_BYTES, BLOCK_BYTES_BEYOND, FREE_SHARE, generation_ms};
use crate::store::{BlockStore, Fault, Meta, SyncCall};

/// When a store is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// At once; a restart loses every placement.
    Memory,
    /// At once, or when the kernel has it while the journal lags behind; a killed process loses at most the last
    /// [`BUFFERED_WINDOW_MS`](crate::limits::BUFFERED_WINDOW_MS) ms in which stores were acknowledged, a power
    /// cut the last [`BUFFERED_UNSYNCED_MS`](crate::limits::BUFFERED_UNSYNCED_MS).
    Buffered,
    /// When the disk has it; nothing acknowledged is lost.
    Synced,
}

/// What a journal is told about the engine it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct JournalConfig {
    /// What the commits of its passes mean.
    pub durability: Durability,
    /// How long placements live.
    pub retention: Retention,
    /// When this life began: later than any earlier life of the store.
    pub opened_at: Timestamp,
}

/// Copies a log to a disk.
pub struct Journal<S> {
    log: Arc<PlacementLog>,
    store: S,
    commits: Arc<Commits>,
    config: JournalConfig,
    span: Span,
    /// What the kernel has.
    written: DrainCursor,
    /// What the disk has.
    synced: DrainCursor,
    cover: Option<KeptCover>,
    /// The generations that have blocks of this life, by their ends.
    begun: BTreeSet<Timestamp>,
    failing: bool,
    /// When the last pass that succeeded began.
    good_at: Timestamp,
}

/// The cover secret, and how far its last change has come.
struct KeptCover {
    secret: CoverSecret,
    is_written: bool,
    /// Whether the store was told to forget what an earlier secret knew.
    is_alone: bool,
}

/// What a pass did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassOutcome {
    /// Bytes of records written.
    pub written_bytes: usize,
}

/// A pass whose bytes the kernel has.
pub(crate) struct WrittenPass {
    pub(crate) number: u64,
    /// Bytes of records, in `synced` with those of passes before it that are forced together with it.
    pub(crate) written_bytes: usize,
    /// How far the kernel had the log behind it.
    written: DrainCursor,
    pub(crate) began_at: Timestamp,
}

/// A pass that is still to be forced to the disk, and the call that does it.
pub(crate) struct Unsynced {
    pub(crate) pass: WrittenPass,
    pub(crate) call: SyncCall,
}

impl<S: BlockStore> Journal<S> {
    /// A journal from `log` to `store`.
    pub fn new(log: Arc<PlacementLog>, store: S, commits: Arc<Commits>, config: JournalConfig) -> Self {
        Self {
            log,
            store,
            commits,
            config,
            span: Span::of(config.retention),
            written: DrainCursor::default(),
            synced: DrainCursor::default(),
            cover: None,
            begun: BTreeSet::new(),
            failing: false,
            good_at: config.opened_at,
        }
    }

    /// Keeps the cover secret on disk: now, and again whenever it has forgotten an epoch.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn keep_cover(&mut self, secret: CoverSecret) -> Result<(), Fault> {
        self.store.put_meta(Meta::Cover, &secret.to_bytes());
        self.store.write()?;
        self.store.forget_overwritten()?;
        self.cover = Some(KeptCover { secret, is_written: true, is_alone: true });
        Ok(())
    }

    /// What the journal promises.
    pub const fn durability(&self) -> Durability {
        self.config.durability
    }

    /// Where it keeps blocks.
    pub const fn store(&mut self) -> &mut S {
        &mut self.store
    }

    /// The log it copies.
    pub const fn log(&self) -> &Arc<PlacementLog> {
        &self.log
    }

    /// Writes everything appended before the call; with `sync`, or when a log that lets records leave memory is short of
    /// it, returns when it is on disk, and segments have left. Tickets taken before are committed once it is as durable
    /// as the journal promises. Then it keeps house, which no ticket waits for but the next pass does: drops what has
    /// expired and makes room for the generation to come.
    ///
    /// # Errors
    /// The fault of the disk. If it came before the commit, tickets taken before count as failed; the next pass
    /// tries again.
    pub fn pass(&mut self, now: Timestamp, sync: bool) -> Result<PassOutcome, Fault> {
        let pass = self.commits.begin();
        let sync = sync || self.needs_sync();
        let written = self.write_all(now, sync);
        if written.is_ok() {
            // Before anybody who was slowed goes on.
            self.log.evict(&self.synced, self.free_min(), now);
        }
        match &written {
            Ok(_) if sync || self.config.durability != Durability::Synced => self.commits.finish(pass, true),
            Ok(_) => {}
            Err(_) => self.commits.finish(pass, false),
        }
        let outcome = written.and_then(|written_bytes| {
            self.keep_house(now)?;
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

    /// The first half of a [`pass`](Self::pass), without a sync: what it wrote is still to be forced to the disk, on another
    /// thread, and the outcome of that is for [`end_sync`](Self::end_sync). In `synced` durability its tickets wait for it.
    /// The second half is [`end_pass`](Self::end_pass).
    ///
    /// None, and nothing done, if the store syncs on this thread only, the log is short of memory that a sync would free, or
    /// the last pass has failed.
    pub(crate) fn pass_beside(&mut self, now: Timestamp) -> Option<Result<(PassOutcome, Unsynced), Fault>> {
        if self.failing || self.needs_sync() {
            return None;
        }
        let call = self.store.sync_beside()?;
        let number = self.commits.begin();
        let outcome = self.write_all(now, false).map(|written_bytes| {
            if self.config.durability != Durability::Synced {
                self.commits.finish(number, true);
            }
            let pass = WrittenPass { number, written_bytes, written: self.written.clone(), began_at: now };
            (PassOutcome { written_bytes }, Unsynced { pass, call })
        });
        Some(outcome.inspect_err(|_| self.fail()))
    }

    /// Keeps house behind a pass that began at `now`: no ticket of that pass waits for it, the next pass does.
    ///
    /// # Errors
    /// The fault of the disk.
    pub(crate) fn end_pass(&mut self, now: Timestamp) -> Result<(), Fault> {
        let outcome = self.keep_house(now);
        match &outcome {
            Ok(()) => self.good_at = now,
            Err(_) => self.fail(),
        }
        outcome
    }

    /// Takes the outcome of forcing what a pass wrote to the disk.
    pub(crate) fn end_sync(&mut self, pass: WrittenPass, outcome: &Result<(), Fault>) {
        match outcome {
            // A pass that failed meanwhile has gone back to what was known then.
            Ok(()) if !self.failing => self.synced = pass.written,
            Ok(()) => {}
            Err(_) => self.fail(),
        }
    }

    /// Nothing is known any more of what was written since the last sync.
    fn fail(&mut self) {
        self.commits.fail_begun();
        self.failing = true;
        self.written = self.synced.clone();
    }

    /// Whether the log is short of memory that a sync would free.
    fn needs_sync(&self) -> bool {
        self.log.goes_beyond() && self.log.segments_free() < self.free_min()
    }

    /// How many segments of the log are to be free after a pass.
    fn free_min(&self) -> usize {
        self.log.segments_total() / FREE_SHARE
    }

    fn write_all(&mut self, now: Timestamp, sync: bool) -> Result<usize, Fault> {
        if self.failing {
            self.begin_again(now)?;
        }
        let mut written_bytes = 0;
        loop {
            let (batch_bytes, flow) = self.put_batch(now)?;
            written_bytes += batch_bytes;
            if flow.is_continue() {
                self.put_metas(now, written_bytes > 0);
            }
            self.store.write()?;
            if flow.is_continue() {
                break;
            }
        }
        if sync {
            self.store.sync()?;
            self.synced = self.written.clone();
        }
        Ok(written_bytes)
    }

    /// After a failure: from what the disk has, or, once all of that has expired, from nothing. The second way
    /// out is for a disk so full that reading back what is on it takes more room than there is.
    fn begin_again(&mut self, now: Timestamp) -> Result<(), Fault> {
        self.begun.clear();
        if let Some(cover) = &mut self.cover {
            cover.is_written = false;
        }
        let retention_ms_max = self.config.retention.as_millis().max(RETENTION_MAX_MS);
        let kept_ms_max = retention_ms_max + generation_ms(retention_ms_max);
        let all_expired = now.millis_since(self.good_at) > kept_ms_max;
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

    /// Hands the next blocks to the store. Returns their bytes, and `Break` if the log has more.
    fn put_batch(&mut self, now: Timestamp) -> Result<(usize, ControlFlow<()>), Fault> {
        let Self { log, store, written, begun, config, span, .. } = self;
        let run = config.opened_at.as_millis();
        let block_bytes_max = if log.goes_beyond() { BLOCK_BYTES_BEYOND } else { usize::MAX };
        let (mut bytes, mut outcome) = (0, Ok(()));
        let flow = log.drain(written, &mut |range| {
            if range.expires_max <= now {
                return ControlFlow::Continue(());
            }
            outcome = block::for_each_block(run, *span, &range, block_bytes_max, |block| {
                if begun.insert(block.ends_at) {
                    store.open_generation(block.ends_at)?;
                    store.cut()?;
                }
                store.put(block)
            });
            bytes += range.bytes.len();
            let goes_on = outcome.is_ok() && bytes < BATCH_BYTES;
            if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        outcome.map(|()| (bytes, flow))
    }

    /// The clock with every pass, so that no later life begins before anything this one has shown; the cover
    /// secret when it has forgotten an epoch.
    ///
    /// Where placements live longer than calls, the journal of calls beside this one keeps the clock, and this one only of
    /// passes that write: what an idle one wrote would stay in the write-ahead log for hours, until a generation turns.
    fn put_metas(&mut self, now: Timestamp, has_written: bool) {
        if has_written || self.config.retention.as_millis() <= RETENTION_MAX_MS {
            self.store.put_meta(Meta::Clock, &now.as_millis().to_le_bytes());
        }
        let Some(cover) = &mut self.cover else { return };
        if cover.secret.advance(self.config.retention, now) || !cover.is_written {
            self.store.put_meta(Meta::Cover, &cover.secret.to_bytes());
            (cover.is_written, cover.is_alone) = (true, false);
        }
    }

    /// What no ticket waits for. Where generations turn, the disk is forced some ten times here, one behind the other.
    fn keep_house(&mut self, now: Timestamp) -> Result<(), Fault> {
        if self.store.drop_over(now)? {
            self.store.cut()?;
            self.begun = self.begun.split_off(&now.plus_millis(1));
        }
        if let Some(newest) = self.begun.last() {
            self.store.open_generation(newest.plus_millis(self.span.as_millis()))?;
        }
        if let Some(cover) = self.cover.as_mut().filter(|cover| !cover.is_alone) {
            self.store.forget_overwritten()?;
            cover.is_alone = true;
        }
        Ok(())
    }
}
