//! A log, placements in it, and a disk in memory that fails on command.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use herald_core::{Clock, NewPlacement, PlacementId, PlacementStore, Retention, TelephoneNumber, Timestamp};
use herald_journal::{
    Block, BlockKey, BlockStore, Commits, Durability, Fault, FaultKind, Journal, JournalConfig, Meta,
    RocksStore, SyncCall,
};
use herald_log::{LogConfig, LogHandle, PlacementLog};
use parking_lot::{Condvar, Mutex};

pub const RETENTION_MS: u64 = 60_000;
/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of a record of [`append`] in the log.
pub const RECORD_BYTES: u64 = 704;

pub fn new_log() -> Arc<PlacementLog> {
    let config =
        LogConfig { arena_bytes: 64 << 20, segment_bytes: 256 << 10, hash_key: [7; 32], handles_max: 8 };
    PlacementLog::create(config).expect("a log of 64 MiB")
}

/// A journal in `synced` durability that begins its life at `opened_at`.
pub fn new_journal<S: BlockStore>(
    log: Arc<PlacementLog>,
    store: S,
    commits: Arc<Commits>,
    opened_at: Timestamp,
) -> Journal<S> {
    let config = JournalConfig { durability: Durability::Synced, retention: Retention::DEFAULT, opened_at };
    Journal::new(log, store, commits, config)
}

pub fn number(index: u64) -> TelephoneNumber {
    format!("1222555{index:04}").parse().expect("a number")
}

pub fn id(index: u64) -> PlacementId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&index.to_le_bytes());
    PlacementId::from_bytes(bytes)
}

pub fn body(index: u64) -> Vec<u8> {
    (0..640).map(|at| (index.wrapping_mul(31) + at) as u8).collect()
}

pub fn append(log: &mut LogHandle, index: u64, now: Timestamp) {
    let body = body(index);
    let placement = NewPlacement {
        number: number(index % 1000),
        id: id(index),
        expires_at: now.plus_millis(RETENTION_MS),
        body: &body,
    };
    log.append(&placement, 100_000, now).expect("room in the log");
}

/// A clock that stands where it is put.
pub struct TestClock(pub Mutex<Timestamp>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock()
    }
}

/// Returns once `is_so`.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        std::thread::yield_now();
    }
}

/// What a disk holds, by id.
pub type Held = BTreeMap<PlacementId, (TelephoneNumber, Timestamp, Vec<u8>)>;

type Key = (Timestamp, BlockKey);
type Blocks = BTreeMap<Key, Arc<[u8]>>;

/// Where writes, or syncs beside the passes, wait while it is shut.
#[derive(Default)]
pub struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    is_shut: bool,
    begun_count: u64,
    is_waited_at: bool,
    /// What those that may pass a shut gate come to.
    outcomes: VecDeque<Result<(), Fault>>,
}

impl Gate {
    pub fn shut(&self) {
        self.state.lock().is_shut = true;
    }

    pub fn open(&self) {
        self.state.lock().is_shut = false;
        self.changed.notify_all();
    }

    /// Whether a call waits.
    pub fn is_waited_at(&self) -> bool {
        self.state.lock().is_waited_at
    }

    /// The call that waits, or the next, ends so.
    pub fn let_through(&self, succeeds: bool) {
        let fault = || Fault::new(FaultKind::Io, "a forced write failed, says the test");
        let mut state = self.state.lock();
        state.outcomes.push_back(succeeds.then_some(()).ok_or_else(fault));
        state.is_waited_at = false;
        drop(state);
        self.changed.notify_all();
    }

    /// Returns once so many calls have begun since the test did.
    pub fn await_begun(&self, count: u64) {
        eventually("a call begins", || self.state.lock().begun_count >= count);
    }

    fn pass(&self) -> Result<(), Fault> {
        let mut state = self.state.lock();
        state.begun_count += 1;
        let is_held = |state: &mut GateState| state.is_shut && state.outcomes.is_empty();
        // A test that has failed opens no gate.
        state.is_waited_at = state.is_shut && state.outcomes.is_empty();
        let _ = self.changed.wait_while_for(&mut state, is_held, PATIENCE);
        state.is_waited_at = false;
        state.outcomes.pop_front().unwrap_or(Ok(()))
    }
}

/// A disk in memory: what was written, and what of it was synced.
#[derive(Default)]
pub struct Disk {
    put: Vec<(Key, Arc<[u8]>)>,
    put_metas: Vec<(Meta, Vec<u8>)>,
    written: Blocks,
    synced: Blocks,
    open: Vec<Timestamp>,
    pub metas: BTreeMap<Meta, Vec<u8>>,
    /// Calls until one fails; each call after that fails too, until it is set anew.
    pub calls_left: Option<usize>,
    /// Whether the passes' own syncs fail.
    pub own_syncs_fail: bool,
    /// Whether a call that fails also takes what a sync under way is about to report as forced.
    pub fails_hard: bool,
    failed_count: u64,
    /// Bytes of records written so far.
    pub written_bytes: u64,
    /// How long each write takes.
    pub write_takes: Duration,
    pub write_gate: Arc<Gate>,
    pub sync_gate: Arc<Gate>,
    /// Whether a sync beside the passes is under way.
    is_syncing: bool,
    pub reopened_count: usize,
    pub reopen_fails: bool,
    pub recreated_count: usize,
}

impl Disk {
    /// Whether a pass is handing blocks over.
    pub fn is_being_written(&self) -> bool {
        !self.put.is_empty()
    }

    /// What is there after a power cut.
    pub fn synced(&self) -> Held {
        let mut held = Held::new();
        for block in self.synced.values() {
            for record in herald_log::records(block) {
                let record = record.expect("a record");
                held.insert(record.id, (record.number, record.expires_at, record.body.to_vec()));
            }
        }
        held
    }

    /// Whether the placement of this index would survive a power cut. Looks at raw bytes: ids are unique.
    pub fn has_synced(&self, index: u64) -> bool {
        let wanted = id(index);
        self.synced.values().any(|block| block.windows(16).step_by(8).any(|bytes| bytes == wanted.as_bytes()))
    }

    /// Forgets what was put and not written.
    fn forget(&mut self) {
        self.put.clear();
        self.put_metas.clear();
    }

    fn sync(&mut self) -> Result<(), Fault> {
        assert!(!self.is_syncing, "two syncs at once");
        self.call()?;
        if self.own_syncs_fail {
            self.lose();
            return Err(Fault::new(FaultKind::Io, "the pass's own sync failed, says the test"));
        }
        self.synced = self.written.clone();
        Ok(())
    }

    /// As Linux does: after a failed fsync the pages are clean and gone.
    fn lose(&mut self) {
        self.failed_count += 1;
        self.written = self.synced.clone();
    }

    fn call(&mut self) -> Result<(), Fault> {
        match &mut self.calls_left {
            Some(0) => {
                self.lose();
                Err(Fault::new(FaultKind::DiskFull, "no space, says the test"))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A sync beside the passes begins: it forces what is written now, and nothing that is written later.
    fn begin_sync(&mut self) -> Result<(Blocks, u64), Fault> {
        assert!(!self.is_syncing, "two syncs at once");
        self.call()?;
        self.is_syncing = true;
        Ok((self.written.clone(), self.failed_count))
    }

    fn end_sync(&mut self, (forced, failed_count): (Blocks, u64), outcome: &Result<(), Fault>) {
        self.is_syncing = false;
        if outcome.is_err() {
            self.lose();
        } else if !self.fails_hard || self.failed_count == failed_count {
            let forced = forced.into_iter().filter(|((ends_at, _), _)| self.open.contains(ends_at));
            self.synced.extend(forced);
            self.written.extend(self.synced.clone());
        }
    }
}

/// The disk as the journal holds it; the test keeps the other end.
#[derive(Clone, Default)]
pub struct TestStore(pub Arc<Mutex<Disk>>);

impl BlockStore for TestStore {
    fn open_generation(&mut self, ends_at: Timestamp) -> Result<(), Fault> {
        let mut disk = self.0.lock();
        disk.call()?;
        disk.open.push(ends_at);
        Ok(())
    }

    fn cut(&mut self) -> Result<(), Fault> {
        self.0.lock().call()
    }

    fn put(&mut self, block: &Block<'_>) -> Result<(), Fault> {
        let mut disk = self.0.lock();
        assert!(disk.open.contains(&block.ends_at), "a block of a generation that was not opened");
        disk.put.push(((block.ends_at, block.key), block.records.into()));
        Ok(())
    }

    fn put_meta(&mut self, meta: Meta, value: &[u8]) {
        self.0.lock().put_metas.push((meta, value.to_vec()));
    }

    fn write(&mut self) -> Result<(), Fault> {
        let (takes, gate) = {
            let disk = self.0.lock();
            (disk.write_takes, disk.write_gate.clone())
        };
        std::thread::sleep(takes);
        gate.pass()?;
        let disk = &mut *self.0.lock();
        disk.call()?;
        disk.written_bytes += disk.put.iter().map(|(_, records)| records.len() as u64).sum::<u64>();
        disk.written.extend(disk.put.drain(..));
        disk.metas.extend(disk.put_metas.drain(..));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Fault> {
        self.0.lock().sync()
    }

    fn sync_beside(&self) -> Option<SyncCall> {
        let (disk, gate) = (self.0.clone(), self.0.lock().sync_gate.clone());
        Some(Box::new(move || {
            let begun = disk.lock().begin_sync()?;
            let outcome = gate.pass();
            disk.lock().end_sync(begun, &outcome);
            outcome
        }))
    }

    fn drop_over(&mut self, now: Timestamp) -> Result<bool, Fault> {
        let mut disk = self.0.lock();
        let disk = &mut *disk;
        if !disk.open.iter().any(|ends_at| *ends_at <= now) {
            return Ok(false);
        }
        disk.call()?;
        disk.written.retain(|(ends_at, _), _| *ends_at > now);
        disk.synced.retain(|(ends_at, _), _| *ends_at > now);
        disk.open.retain(|ends_at| *ends_at > now);
        Ok(true)
    }

    fn forget_overwritten(&mut self) -> Result<(), Fault> {
        self.0.lock().call()
    }

    fn recreate(&mut self) -> Result<(), Fault> {
        let mut disk = self.0.lock();
        assert!(!disk.is_syncing, "begun anew under a sync");
        disk.call()?;
        disk.recreated_count += 1;
        disk.reopen_fails = false;
        disk.forget();
        (disk.written, disk.synced) = Default::default();
        disk.open.clear();
        disk.metas.clear();
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), Fault> {
        let mut disk = self.0.lock();
        assert!(!disk.is_syncing, "reopened under a sync");
        disk.forget();
        disk.call()?;
        if disk.reopen_fails {
            return Err(Fault::new(FaultKind::DiskFull, "no space to read back, says the test"));
        }
        disk.reopened_count += 1;
        Ok(())
    }
}

/// RocksDB on a disk where syncing fails on command.
pub struct Failing {
    store: Option<RocksStore>,
    fails: bool,
}

impl Failing {
    pub fn new(store: RocksStore) -> Self {
        Self { store: Some(store), fails: false }
    }

    pub fn fail(&mut self, fails: bool) {
        self.fails = fails;
    }

    /// The folder cannot be opened again.
    pub fn close(&mut self) {
        self.store = None;
    }

    fn open(&mut self) -> &mut RocksStore {
        self.store.as_mut().expect("not closed")
    }
}

impl BlockStore for Failing {
    fn open_generation(&mut self, ends_at: Timestamp) -> Result<(), Fault> {
        self.open().open_generation(ends_at)
    }
    fn cut(&mut self) -> Result<(), Fault> {
        self.open().cut()
    }
    fn put(&mut self, block: &Block<'_>) -> Result<(), Fault> {
        self.open().put(block)
    }
    fn put_meta(&mut self, meta: Meta, value: &[u8]) {
        self.open().put_meta(meta, value);
    }
    fn write(&mut self) -> Result<(), Fault> {
        self.open().write()
    }
    fn sync(&mut self) -> Result<(), Fault> {
        if self.fails {
            return Err(Fault::new(FaultKind::Io, "says the test"));
        }
        self.open().sync()
    }
    fn drop_over(&mut self, now: Timestamp) -> Result<bool, Fault> {
        self.open().drop_over(now)
    }
    fn forget_overwritten(&mut self) -> Result<(), Fault> {
        self.open().forget_overwritten()
    }
    fn reopen(&mut self) -> Result<(), Fault> {
        self.open().reopen()
    }
    fn recreate(&mut self) -> Result<(), Fault> {
        self.open().recreate()
    }
    fn take_read_fault(&mut self) -> Option<Fault> {
        self.open().take_read_fault()
    }
}
