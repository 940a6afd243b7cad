//! Passes go on while what earlier ones wrote is forced to the disk: nothing counts as forced that was not.

mod common;

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::{Duration, Instant};

use common::{Gate, Held, PATIENCE, TestClock, TestStore, append, body, eventually, id, new_log, number};
use herald_core::{PlacementStore, Retention, Timestamp};
use herald_journal::limits::{BUFFERED_UNSYNCED_MS, BUSY_PASS_BYTES, IDLE_PASS_MS};
use herald_journal::{
    CommitState, Commits, Durability, Journal, JournalConfig, JournalThread, Notice, Pace, Ticket,
};
use herald_log::{BeyondConfig, Keeper, KeptPlace, LogConfig, LogHandle, PlacementLog};
use parking_lot::Mutex;

const START: Timestamp = Timestamp::from_millis(1_795_300_000_000);

/// A journal that runs, on a disk whose gate is shut for syncs.
struct Life {
    log: Arc<PlacementLog>,
    handle: LogHandle,
    store: TestStore,
    gate: Arc<Gate>,
    commits: Arc<Commits>,
    clock: Arc<TestClock>,
    notices: Arc<Mutex<Vec<Notice>>>,
    thread: JournalThread,
}

impl Life {
    /// With so many placements, from 0, in the first pass; its sync waits at the gate.
    fn begin(log: Arc<PlacementLog>, store: TestStore, durability: Durability, count: u64) -> (Self, Ticket) {
        let gate = store.0.lock().sync_gate.clone();
        gate.shut();
        let mut handle = log.handle().expect("a handle");
        (0..count).for_each(|index| append(&mut handle, index, START));
        let commits = Arc::new(Commits::default());
        let first = ask(&commits);
        let config = JournalConfig { durability, retention: Retention::DEFAULT, opened_at: START };
        let journal = Journal::new(log.clone(), store.clone(), commits.clone(), config);
        let clock = Arc::new(TestClock(Mutex::new(START)));
        let notices = Arc::new(Mutex::new(Vec::new()));
        let heard = notices.clone();
        let tell = move |notice| heard.lock().push(notice);
        let thread = JournalThread::start(journal, commits.clone(), clock.clone(), tell).expect("threads");
        gate.await_begun(1);
        (Self { log, handle, store, gate, commits, clock, notices, thread }, first)
    }

    fn append(&mut self, index: u64) -> Ticket {
        append(&mut self.handle, index, START);
        ask(&self.commits)
    }

    /// Appends, and returns when a pass waits at the gate for writes, which it shuts, to hand it over.
    fn append_into_a_write_that_waits(&mut self, index: u64) -> (Ticket, Arc<Gate>) {
        let gate = self.store.0.lock().write_gate.clone();
        gate.shut();
        let ticket = self.append(index);
        eventually("it is to be written", || {
            let (waits, has_it) = (gate.is_waited_at(), self.store.0.lock().is_being_written());
            if waits && !has_it {
                // An earlier pass, without it.
                gate.let_through(true);
            }
            waits && has_it
        });
        (ticket, gate)
    }

    fn wait(&self, ticket: Ticket) -> CommitState {
        self.commits.wait(ticket, PATIENCE)
    }

    fn synced(&self) -> Vec<u64> {
        let held = self.store.0.lock().synced();
        (0..9).filter(|index| held.contains_key(&id(*index))).collect()
    }
}

/// A ticket for what was appended; somebody waits for its pass.
fn ask(commits: &Commits) -> Ticket {
    let ticket = commits.ticket();
    let _ = commits.poll(ticket, Waker::noop());
    ticket
}

#[test]
fn what_is_stored_during_a_forced_write_waits_for_the_next_and_fails_with_either() {
    use CommitState::{Durable, Failed};
    for (first_succeeds, second_succeeds) in [(true, true), (true, false), (false, true)] {
        let case = (first_succeeds, second_succeeds);
        let (mut life, first) = Life::begin(new_log(), TestStore::default(), Durability::Synced, 1);
        let second = life.append(1);
        eventually("the kernel has both", || life.store.0.lock().written_bytes >= 2 * common::RECORD_BYTES);
        assert_eq!((life.commits.state(first), life.synced()), (CommitState::Pending, vec![]), "{case:?}");
        life.gate.let_through(first_succeeds);
        assert_eq!(life.wait(first), if first_succeeds { Durable } else { Failed }, "{case:?}");
        if first_succeeds {
            life.gate.await_begun(2);
            assert_eq!(life.commits.state(second), CommitState::Pending, "counted by the sync before");
            assert_eq!(life.synced(), [0]);
            life.gate.let_through(second_succeeds);
        }
        let succeeds = first_succeeds && second_succeeds;
        assert_eq!(life.wait(second), if succeeds { Durable } else { Failed }, "{case:?}");
        life.gate.open();
        let third = life.append(2);
        assert_eq!(life.wait(third), Durable, "{case:?}");
        assert_eq!(life.synced(), [0, 1, 2], "what a failed sync took was not written again: {case:?}");
        life.thread.stop();
        let notices = life.notices.lock();
        let is_told = matches!(&notices[..], [Notice::Failing(_), Notice::Working]);
        assert_eq!((is_told, notices.is_empty()), (!succeeds, succeeds), "{case:?}: {notices:?}");
    }
}

#[test]
fn the_next_forced_write_does_not_wait_for_the_pass_under_way() {
    let (mut life, first) = Life::begin(new_log(), TestStore::default(), Durability::Synced, 1);
    let second = life.append(1);
    eventually("the kernel has both", || life.store.0.lock().written_bytes >= 2 * common::RECORD_BYTES);
    let (third, write_gate) = life.append_into_a_write_that_waits(2);
    life.gate.let_through(true);
    life.gate.await_begun(2);
    life.gate.let_through(true);
    assert_eq!((life.wait(first), life.wait(second)), (CommitState::Durable, CommitState::Durable));
    assert_eq!((life.commits.state(third), life.synced()), (CommitState::Pending, vec![0, 1]));
    life.gate.open();
    write_gate.open();
    assert_eq!(life.wait(third), CommitState::Durable);
}

#[test]
fn behind_a_forced_write_that_failed_none_is_made_until_the_passes_know() {
    for round in 0..20 {
        let (mut life, first) = Life::begin(new_log(), TestStore::default(), Durability::Synced, 1);
        let second = life.append(1);
        eventually("the kernel has both", || life.store.0.lock().written_bytes >= 2 * common::RECORD_BYTES);
        let (third, write_gate) = life.append_into_a_write_that_waits(2);
        [false, true, true].into_iter().for_each(|succeeds| life.gate.let_through(succeeds));
        // What must not come about has a chance to.
        (0..1000).for_each(|_| std::thread::yield_now());
        write_gate.open();
        let states = [first, second, third].map(|ticket| life.wait(ticket));
        assert_eq!(states, [CommitState::Failed; 3], "round {round}");
        life.gate.open();
        let fourth = life.append(3);
        assert_eq!((life.wait(fourth), life.synced()), (CommitState::Durable, vec![0, 1, 2, 3]));
    }
}

#[test]
fn what_is_stored_once_much_was_forced_is_written_soon_though_nobody_asks() {
    let count = BUSY_PASS_BYTES as u64 / common::RECORD_BYTES + 1;
    let took = |_| {
        let (mut life, first) = Life::begin(new_log(), TestStore::default(), Durability::Synced, count);
        let mut last = (life.thread.stats(START).passes, Instant::now());
        eventually("passes that find nothing become rare", || {
            let passes = life.thread.stats(START).passes;
            if passes != last.0 {
                last = (passes, Instant::now());
            }
            last.1.elapsed() > Duration::from_millis(IDLE_PASS_MS * 3 / 10)
        });
        life.gate.open();
        assert_eq!(life.wait(first), CommitState::Durable);
        let began = Instant::now();
        append(&mut life.handle, count, START);
        let all = (count + 1) * common::RECORD_BYTES;
        eventually("it is written", || life.store.0.lock().written_bytes == all);
        began.elapsed()
    };
    // The quickest of some, as the machine may be busy.
    let quickest = (0..3).map(took).min().expect("some");
    assert!(quickest < Duration::from_millis(IDLE_PASS_MS / 4), "{quickest:?}");
}

#[test]
fn after_a_pass_that_failed_the_success_of_a_forced_write_under_way_says_nothing() {
    let (mut life, first) = Life::begin(new_log(), TestStore::default(), Durability::Synced, 1);
    {
        let mut disk = life.store.0.lock();
        (disk.calls_left, disk.fails_hard) = (Some(0), true);
    }
    let second = life.append(1);
    assert_eq!((life.wait(first), life.wait(second)), (CommitState::Failed, CommitState::Failed));
    {
        let mut disk = life.store.0.lock();
        (disk.calls_left, disk.own_syncs_fail) = (None, true);
    }
    life.gate.let_through(true);
    eventually("the next pass fails too", || life.thread.stats(START).passes_failed >= 2);
    assert_eq!(life.commits.state(first), CommitState::Failed, "and nothing has written it since");
    assert!(life.synced().is_empty());
    life.store.0.lock().own_syncs_fail = false;
    let third = life.append(2);
    assert_eq!(life.wait(third), CommitState::Durable);
    assert_eq!(life.synced(), [0, 1, 2]);
}

#[test]
fn a_stop_waits_for_the_forced_write_under_way_and_forces_the_rest_whatever_it_comes_to() {
    for succeeds in [true, false] {
        let (mut life, _) = Life::begin(new_log(), TestStore::default(), Durability::Synced, 1);
        let second = life.append(1);
        std::thread::scope(|scope| {
            let stopping = scope.spawn(|| life.thread.stop());
            eventually("it is to stop", || life.commits.poll(second, Waker::noop()).is_ready());
            assert!(!stopping.is_finished());
            assert!(life.synced().is_empty());
            life.gate.let_through(succeeds);
        });
        assert_eq!(life.synced(), [0, 1], "{succeeds}");
        assert_eq!(life.commits.state(second), CommitState::Durable, "{succeeds}");
    }
}

/// Reads what a power cut would leave, as it is when it is first asked.
struct SyncedOnly(TestStore, OnceLock<Held>);

impl Keeper for SyncedOnly {
    fn read(&self, place: &KeptPlace, visit: &mut dyn FnMut(&[u8])) -> bool {
        let held = self.1.get_or_init(|| self.0.0.lock().synced());
        held.get(&place.id).is_some_and(|(_, _, body)| {
            visit(body);
            true
        })
    }
}

#[test]
fn records_leave_memory_only_when_the_forced_write_that_holds_them_has_ended() {
    /// Three quarters of memory are some 1,100 placements.
    const BEFORE: u64 = 1_000;
    const IN_ALL: u64 = 1_250;
    for succeeds in [true, false] {
        let store = TestStore::default();
        let config =
            LogConfig { arena_bytes: 1 << 20, segment_bytes: 32 << 10, hash_key: [7; 32], handles_max: 2 };
        let keeper = Arc::new(SyncedOnly(store.clone(), OnceLock::new()));
        let log =
            PlacementLog::create_beyond(config, &BeyondConfig { bytes: 64 << 20, keeper }).expect("a log");
        let (mut life, _) = Life::begin(log, store, Durability::Synced, BEFORE);
        (BEFORE..IN_ALL - 1).for_each(|index| append(&mut life.handle, index, START));
        let last = life.append(IN_ALL - 1);
        assert_eq!((life.commits.state(last), life.log.stats().records_beyond), (CommitState::Pending, 0));
        life.gate.let_through(succeeds);
        life.gate.open();
        let outcome = life.wait(last);
        if outcome == CommitState::Failed {
            assert!(!succeeds, "it failed with the sync before");
            assert_eq!(life.wait(ask(&life.commits)), CommitState::Durable);
        }
        assert!(life.log.stats().records_beyond > 0, "memory was short");
        let mut found = BTreeSet::new();
        for of in 0..1_000 {
            life.handle.for_each_live(number(of), START, &mut |item| {
                let index = (of..IN_ALL).step_by(1_000).find(|index| item.id == id(*index)).expect("known");
                assert!(item.body == body(index) && found.insert(index));
            });
        }
        assert_eq!(found.len() as u64, IN_ALL, "{succeeds}");
        assert_eq!(life.log.records_unread(), 0, "{succeeds}");
    }
}

#[test]
fn a_forced_write_that_hangs_holds_no_store_in_buffered_until_the_window_of_a_power_cut_ends() {
    for succeeds in [true, false] {
        let (mut life, first) = Life::begin(new_log(), TestStore::default(), Durability::Buffered, 1);
        assert_eq!(life.wait(first), CommitState::Durable);
        let late = START.plus_millis(BUFFERED_UNSYNCED_MS - 1);
        for (index, now) in [(1, START.plus_millis(1_500)), (2, late)] {
            *life.clock.0.lock() = now;
            let ticket = life.append(index);
            assert_eq!(life.wait(ticket), CommitState::Durable);
            eventually("stores go on", || life.thread.pace(now) == Pace::AtOnce);
        }
        let stats = life.thread.stats(late);
        assert_eq!((stats.unsynced_ms, stats.is_failing), (BUFFERED_UNSYNCED_MS - 1, false));
        assert!(life.synced().is_empty() && life.notices.lock().is_empty(), "the gate is shut");
        let later = late.plus_millis(1);
        *life.clock.0.lock() = later;
        assert_eq!(life.thread.pace(later), Pace::Never);
        let passes = life.thread.stats(later).passes;
        eventually("passes go on", || life.thread.stats(later).passes > passes + 2);
        let stats = life.thread.stats(later);
        assert_eq!((stats.lag_ms, stats.unsynced_ms, stats.is_failing), (0, BUFFERED_UNSYNCED_MS, true));
        assert_eq!(*life.notices.lock(), [Notice::Hanging(BUFFERED_UNSYNCED_MS)], "told once");
        life.gate.let_through(succeeds);
        life.gate.open();
        eventually("stores go on", || life.thread.pace(later) == Pace::AtOnce);
        eventually("all is on the disk", || life.synced() == [0, 1, 2]);
        eventually("it is told", || life.notices.lock().last() == Some(&Notice::Working));
        let notices = life.notices.lock();
        let is_failure_told = matches!(notices[1..], [Notice::Failing(_), Notice::Working]);
        assert_eq!(
            (notices.len(), is_failure_told),
            if succeeds { (2, false) } else { (3, true) },
            "{notices:?}"
        );
    }
}
