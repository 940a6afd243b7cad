//! A log, its journal and its disk, driven by one thread that stores.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use herald_core::{Clock, NewPlacement, PlacementStore, Refusal, Retention, Timestamp};
use herald_journal::limits::COMMIT_WAIT_MS;
use herald_journal::{
    CommitState, Commits, Durability, Journal, JournalConfig, JournalThread, Pace, RocksFigures, RocksMeter,
    RocksStore, Ticket,
};
use herald_log::{LogConfig, LogHandle, PlacementLog};

use crate::Failure;
use crate::limits::{BLOCK_STORES, RECORDS_PER_NUMBER_MAX, SEGMENT_BYTES, STALL_S_MAX};
use crate::processor;
use crate::workload::{Bodies, id, number};

/// The clock of a run: the machine's monotonic one.
pub(crate) struct RunClock {
    began: Instant,
    begins_at: Timestamp,
}

impl RunClock {
    pub(crate) fn starting_at(begins_at: Timestamp) -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), begins_at })
    }
}

impl Clock for RunClock {
    fn now(&self) -> Timestamp {
        let millis = self.began.elapsed().as_millis();
        self.begins_at.plus_millis(u64::try_from(millis).expect("a run is shorter than the universe is old"))
    }
}

/// How a run is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) durability: Durability,
    pub(crate) arena_bytes: usize,
    pub(crate) retention_ms: u64,
    /// Memory for generations.
    pub(crate) journal_bytes: usize,
    /// Stores that may wait for their commit in `synced`.
    pub(crate) in_flight_max: usize,
    /// How long to store before anything is counted.
    pub(crate) warm_up: Duration,
    /// Handles of the log that take turns: as many segments fill at once.
    pub(crate) handles: usize,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// Stores that were as durable as promised when the run ended.
    pub(crate) stores: u64,
    /// From the first store to the moment when all of them were on the disk.
    pub(crate) elapsed: Duration,
    /// From the first store to the answer to the last.
    pub(crate) answered: Duration,
    /// Bytes of records: what the journal was given.
    pub(crate) record_bytes: u64,
    pub(crate) figures: RocksFigures,
    /// Processor time of the journal's threads, but for the last pass.
    pub(crate) processor: Duration,
    pub(crate) recovery: Option<Recovery>,
}

impl Outcome {
    /// Bytes that RocksDB wrote.
    pub(crate) const fn disk_bytes(&self) -> u64 {
        let RocksFigures { wal_bytes, flushed_bytes, compacted_bytes, .. } = self.figures;
        wal_bytes + flushed_bytes + compacted_bytes
    }

    /// How many of them for each time that it forced the write-ahead log to the disk. That it forces sorted files too is
    /// not counted.
    pub(crate) const fn sync_bytes(&self) -> u64 {
        self.disk_bytes() / if self.figures.syncs == 0 { 1 } else { self.figures.syncs }
    }
}

/// A restart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery {
    pub(crate) records: u64,
    pub(crate) opened: Duration,
    pub(crate) elapsed: Duration,
}

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// After this time.
    Elapsed(Duration),
    /// After this many stores.
    Stores(u64),
}

/// Stores into a new journal below `folder` (none if nothing is to be kept), waits until all of it is on the
/// disk, and looks whether it is.
pub(crate) fn run(folder: &Path, setup: &Setup, bodies: &Bodies, until: Until) -> Result<Outcome, Failure> {
    let log = new_log(setup.arena_bytes)?;
    let clock = RunClock::starting_at(BEGIN);
    let commits = Arc::new(Commits::default());
    let journal = match setup.durability {
        Durability::Memory => None,
        _ => Some(start_journal(folder, setup, &log, &clock, &commits)?),
    };
    let mut storing = Storing {
        handles: (0..setup.handles).map(|_| log.handle()).collect::<Result<_, _>>()?,
        bodies,
        retention_ms: setup.retention_ms,
        clock: &clock,
        next: 0,
        refusals: 0,
        stored_by: Vec::new(),
    };
    let thread = journal.as_ref().map(|(thread, _)| thread);
    if journal.is_some() {
        // The first pass makes the first generations; no run is to pay for that.
        storing.store_block(clock.now());
        await_first(&commits, &mut VecDeque::from([commits.ticket()]))?;
        storing.drive(setup, thread, &commits, Until::Elapsed(setup.warm_up), Instant::now())?;
    }
    let before = Before {
        stores: storing.next,
        figures: journal.as_ref().map(|(_, meter)| meter.read()).unwrap_or_default(),
        processor: processor::of_journal(),
    };
    let began = Instant::now();
    storing.drive(setup, thread, &commits, until, began)?;
    let answered = began.elapsed();
    let (next, stored_by) = (storing.next, std::mem::take(&mut storing.stored_by));
    drop(storing);
    let stores = next - before.stores;
    let record_bytes = stores * RECORD_BYTES;
    let Some((thread, meter)) = journal else {
        let elapsed = began.elapsed();
        return Ok(Outcome { stores, elapsed, answered, record_bytes, ..Outcome::default() });
    };
    let processor = processor::of_journal() - before.processor;
    drop(thread);
    let (elapsed, figures) = (began.elapsed(), since(&before.figures, meter.read()));
    drop((log, commits));
    // Not earlier: the last pass drops what has expired by then.
    let stopped_at = clock.now();
    let recovery = recover(folder, setup, stopped_at)?;
    let gone_by = stopped_at.as_millis().saturating_sub(setup.retention_ms);
    let gone =
        stored_by.iter().rev().find(|(at, _)| at.as_millis() <= gone_by).map_or(0, |(_, count)| *count);
    if recovery.records < next - gone {
        return Err(Failure::Lost { wanted: next - gone, found: recovery.records });
    }
    Ok(Outcome { stores, elapsed, answered, record_bytes, figures, processor, recovery: Some(recovery) })
}

/// What had come about when counting began.
struct Before {
    stores: u64,
    figures: RocksFigures,
    processor: Duration,
}

fn since(before: &RocksFigures, now: RocksFigures) -> RocksFigures {
    RocksFigures {
        wal_bytes: now.wal_bytes - before.wal_bytes,
        flushed_bytes: now.flushed_bytes - before.flushed_bytes,
        compacted_bytes: now.compacted_bytes - before.compacted_bytes,
        syncs: now.syncs - before.syncs,
    }
}

/// Bytes of a record in the log: header and body, up to the next multiple of 64.
pub(crate) const RECORD_BYTES: u64 = 704;
pub(crate) const BEGIN: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn new_log(arena_bytes: usize) -> Result<Arc<PlacementLog>, Failure> {
    let config = LogConfig { arena_bytes, segment_bytes: SEGMENT_BYTES, hash_key: [7; 32], handles_max: 2 };
    Ok(PlacementLog::create(config)?)
}

fn start_journal(
    folder: &Path,
    setup: &Setup,
    log: &Arc<PlacementLog>,
    clock: &Arc<RunClock>,
    commits: &Arc<Commits>,
) -> Result<(JournalThread, RocksMeter), Failure> {
    let store = RocksStore::open(folder, setup.journal_bytes)?;
    let meter = store.meter();
    let retention = Retention::from_millis(setup.retention_ms).map_err(|_| Failure::Options(RETENTION))?;
    let config = JournalConfig { durability: setup.durability, retention, opened_at: clock.now() };
    let journal = Journal::new(log.clone(), store, commits.clone(), config);
    let thread =
        JournalThread::start(journal, commits.clone(), clock.clone(), |_| {}).map_err(Failure::Disk)?;
    Ok((thread, meter))
}

const RETENTION: &str = "--retention-ms is 1000 to 60000";

/// The thread that stores.
struct Storing<'a> {
    handles: Vec<LogHandle>,
    bodies: &'a Bodies,
    retention_ms: u64,
    clock: &'a RunClock,
    /// The index of the next placement.
    next: u64,
    /// Blocks that had to wait a millisecond because nothing was taken.
    refusals: u64,
    /// How many had been stored by when, once a block.
    stored_by: Vec<(Timestamp, u64)>,
}

impl Storing<'_> {
    fn drive(
        &mut self,
        setup: &Setup,
        journal: Option<&JournalThread>,
        commits: &Commits,
        until: Until,
        began: Instant,
    ) -> Result<(), Failure> {
        let mut in_flight = VecDeque::new();
        let first = self.next;
        let goes_on = |next: u64| match until {
            Until::Elapsed(span) => began.elapsed() < span,
            Until::Stores(count) => next - first < count,
        };
        let mut stalled_since = None;
        while goes_on(self.next) {
            let now = self.clock.now();
            let pace = journal.map_or(Pace::AtOnce, |journal| journal.pace(now));
            if pace == Pace::Never || !self.store_block(now) {
                self.refusals += 1;
                let since = *stalled_since.get_or_insert_with(Instant::now);
                if since.elapsed() > Duration::from_secs(STALL_S_MAX) {
                    return Err(Failure::Stalled);
                }
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            stalled_since = None;
            if pace == Pace::Committed {
                in_flight.push_back(commits.ticket());
                if in_flight.len() * BLOCK_STORES >= setup.in_flight_max {
                    await_first(commits, &mut in_flight)?;
                }
            }
        }
        while !in_flight.is_empty() {
            await_first(commits, &mut in_flight)?;
        }
        Ok(())
    }

    /// Stores a block, or as much of it as there is room for. Returns whether all of it was stored.
    fn store_block(&mut self, now: Timestamp) -> bool {
        let expires_at = now.plus_millis(self.retention_ms);
        let placements: [_; BLOCK_STORES] = std::array::from_fn(|at| {
            let index = self.next + at as u64;
            NewPlacement { number: number(index), id: id(index), expires_at, body: self.bodies.body(index) }
        });
        let mut results = [Ok(()); BLOCK_STORES];
        // In turn.
        self.handles.rotate_left(1);
        self.handles[0].append_batch(&placements, RECORDS_PER_NUMBER_MAX, now, &mut results);
        assert!(!results.contains(&Err(Refusal::NumberFull)), "numbers are many and drawn evenly");
        let stored = results.iter().filter(|result| result.is_ok()).count();
        self.next += stored as u64;
        self.stored_by.push((now, self.next));
        stored == BLOCK_STORES
    }
}

/// Waits for the oldest commit, and takes those that came with it.
fn await_first(commits: &Commits, in_flight: &mut VecDeque<Ticket>) -> Result<(), Failure> {
    let Some(&first) = in_flight.front() else { return Ok(()) };
    if commits.wait(first, Duration::from_millis(COMMIT_WAIT_MS)) != CommitState::Durable {
        return Err(Failure::NotCommitted);
    }
    while in_flight.front().is_some_and(|&ticket| commits.state(ticket) == CommitState::Durable) {
        in_flight.pop_front();
    }
    Ok(())
}

/// Opens the journal again and puts what is live at `now` into a new log.
fn recover(folder: &Path, setup: &Setup, now: Timestamp) -> Result<Recovery, Failure> {
    let log = new_log(setup.arena_bytes)?;
    let began = Instant::now();
    let store = RocksStore::open(folder, setup.journal_bytes)?;
    let opened = began.elapsed();
    let mut handle = log.handle()?;
    let (mut records, mut refused) = (0, 0);
    let damaged =
        store.for_each_live(now, setup.retention_ms, &mut |placement| match handle.restore(placement) {
            Ok(()) => records += 1,
            Err(_) => refused += 1,
        })?;
    if damaged + refused > 0 {
        return Err(Failure::Unreadable { damaged, refused });
    }
    Ok(Recovery { records, opened, elapsed: began.elapsed() })
}
