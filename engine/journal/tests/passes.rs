//! Passes against a disk that fails on command: what is acknowledged is on the disk, whatever the disk does.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Disk, TestClock, TestStore, append, body, id, new_journal, new_log, number};
use herald_core::{CoverSecret, Random, Retention, Timestamp};
use herald_journal::limits::BUFFERED_LAG_SHARE;
use herald_journal::{
    Block, BlockStore, CommitState, Commits, Durability, Fault, Journal, JournalConfig, JournalThread, Meta,
    Notice, Pace,
};
use parking_lot::Mutex;

const START: Timestamp = Timestamp::from_millis(1_795_300_000_000);

#[test]
fn every_place_where_the_disk_fails_leaves_nothing_acknowledged_that_is_not_there() {
    let mut failures = 0;
    for fails_at in 0..40 {
        let log = new_log();
        let mut handle = log.handle().unwrap();
        let store = TestStore::default();
        let commits = Arc::new(Commits::default());
        let mut journal = new_journal(log.clone(), store.clone(), commits.clone(), START);
        store.0.lock().calls_left = Some(fails_at);
        let mut acknowledged = Vec::new();
        for round in 0..12 {
            let now = START.plus_millis(round * 1_500);
            append(&mut handle, round, now);
            let ticket = commits.ticket();
            assert_eq!(commits.state(ticket), CommitState::Pending);
            let result = journal.pass(now, true);
            match commits.state(ticket) {
                CommitState::Durable => acknowledged.push(round),
                state => {
                    assert_eq!((state, result.is_err()), (CommitState::Failed, true));
                    failures += 1;
                }
            }
            let held = store.0.lock().synced();
            assert!(acknowledged.iter().all(|&index| held.contains_key(&id(index))), "failing at {fails_at}");
        }
        store.0.lock().calls_left = None;
        journal.pass(START.plus_millis(20_000), true).unwrap();
        let held = store.0.lock().synced();
        for round in 0..12 {
            let expires_at = START.plus_millis(round * 1_500 + common::RETENTION_MS);
            assert_eq!(held[&id(round)], (number(round), expires_at, body(round)), "failing at {fails_at}");
        }
    }
    assert!(failures > 100, "the disk failed {failures} times only");
}

#[test]
fn what_the_kernel_lost_in_a_failed_sync_is_written_again() {
    let log = new_log();
    let mut handle = log.handle().unwrap();
    let store = TestStore::default();
    let mut journal = new_journal(log.clone(), store.clone(), Arc::default(), START);
    append(&mut handle, 1, START);
    journal.pass(START, false).unwrap();
    store.0.lock().calls_left = Some(0);
    journal.pass(START, true).unwrap_err();
    store.0.lock().calls_left = None;
    journal.pass(START, true).unwrap();
    let disk = store.0.lock();
    assert_eq!(disk.reopened_count, 1);
    assert!(disk.synced().contains_key(&id(1)));
}

#[test]
fn expired_generations_are_dropped_whole_and_live_ones_stay() {
    let log = new_log();
    let mut handle = log.handle().unwrap();
    let store = TestStore::default();
    let mut journal = new_journal(log.clone(), store.clone(), Arc::default(), START);
    for second in 0..300 {
        let now = START.plus_millis(second * 1_000);
        append(&mut handle, second, now);
        journal.pass(now, true).unwrap();
        let held = store.0.lock().synced();
        let oldest_live = second.saturating_sub(59);
        assert!((oldest_live..=second).all(|index| held.contains_key(&id(index))), "at {second} s");
        assert!(held.len() <= 71, "{} placements at {second} s", held.len());
    }
}

#[test]
fn the_cover_secret_on_disk_forgets_with_the_clock_even_if_the_disk_failed_meanwhile() {
    struct Fixed;
    impl Random for Fixed {
        fn fill(&self, out: &mut [u8]) {
            out.fill(9);
        }
    }
    let retention = Retention::DEFAULT;
    let secret = CoverSecret::generate(&Fixed, retention, START);
    let store = TestStore::default();
    let mut journal = new_journal(new_log(), store.clone(), Arc::default(), START);
    journal.keep_cover(secret.clone()).unwrap();
    let stored = |disk: &Disk| disk.metas[&Meta::Cover].clone();
    let first = stored(&store.0.lock());
    assert_eq!(first, secret.to_bytes());
    let later = START.plus_millis(2 * 3_600_000);
    store.0.lock().calls_left = Some(1);
    journal.pass(later, true).unwrap_err();
    store.0.lock().calls_left = None;
    journal.pass(later, true).unwrap();
    let mut advanced = secret;
    assert!(advanced.advance(retention, later));
    assert_eq!(stored(&store.0.lock()), advanced.to_bytes());
}

#[test]
fn a_disk_that_cannot_even_be_read_back_is_begun_anew_once_all_on_it_has_expired() {
    let log = new_log();
    let mut handle = log.handle().unwrap();
    let store = TestStore::default();
    let mut journal = new_journal(log.clone(), store.clone(), Arc::default(), START);
    append(&mut handle, 1, START);
    journal.pass(START, true).unwrap();
    store.0.lock().calls_left = Some(0);
    journal.pass(START.plus_millis(1_000), true).unwrap_err();
    store.0.lock().calls_left = None;
    store.0.lock().reopen_fails = true;
    journal.pass(START.plus_millis(60_000), true).unwrap_err();
    assert_eq!(store.0.lock().recreated_count, 0, "thrown away while something on it was live");
    let later = START.plus_millis(80_000);
    append(&mut handle, 2, later);
    journal.pass(later, true).unwrap();
    let disk = store.0.lock();
    assert_eq!((disk.recreated_count, disk.synced().len()), (1, 1));
    assert!(disk.synced().contains_key(&id(2)) && disk.metas.contains_key(&Meta::Clock));
}

#[test]
fn with_many_appenders_each_acknowledged_placement_is_on_disk_at_that_moment() {
    let log = new_log();
    let store = TestStore::default();
    let commits = Arc::new(Commits::default());
    let journal = new_journal(log.clone(), store.clone(), commits.clone(), START);
    let clock = Arc::new(TestClock(Mutex::new(START)));
    let faults = Arc::new(Mutex::new(Vec::new()));
    let heard = faults.clone();
    let thread =
        JournalThread::start(journal, commits.clone(), clock, move |notice| heard.lock().push(notice))
            .unwrap();
    let failed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for appender in 0..4 {
            let (log, store, commits, failed) = (&log, &store, &commits, &failed);
            scope.spawn(move || {
                let mut handle = log.handle().unwrap();
                for index in 0..500 {
                    let index = appender * 1_000_000 + index;
                    append(&mut handle, index, START);
                    match commits.wait(commits.ticket(), Duration::from_secs(20)) {
                        CommitState::Durable => assert!(store.0.lock().has_synced(index)),
                        _ => failed.store(true, Ordering::Relaxed),
                    }
                }
            });
        }
        scope.spawn(|| {
            let (commits, log) = (&commits, &log);
            let mut handle = log.handle().unwrap();
            append(&mut handle, 99_000_000, START);
            commits.wait(commits.ticket(), Duration::from_secs(20));
            store.0.lock().calls_left = Some(3);
        });
        // The appenders may be done before the disk fails; then there is nothing to wait for.
        let began = std::time::Instant::now();
        while !failed.load(Ordering::Relaxed) && began.elapsed() < Duration::from_secs(5) {
            std::thread::yield_now();
        }
        store.0.lock().calls_left = None;
    });
    drop(thread);
    assert_eq!(store.0.lock().synced().len(), 2001);
    let faults = faults.lock();
    let is_failing = matches!(faults[0], Notice::Failing(_));
    assert!(is_failing && faults.last() == Some(&Notice::Working), "{faults:?}");
}

#[test]
fn a_journal_that_breaks_down_leaves_nobody_waiting() {
    struct Broken;
    impl BlockStore for Broken {
        fn open_generation(&mut self, _: Timestamp) -> Result<(), Fault> {
            panic!("broken on purpose")
        }
        fn cut(&mut self) -> Result<(), Fault> {
            Ok(())
        }
        fn put(&mut self, _: &Block<'_>) -> Result<(), Fault> {
            Ok(())
        }
        fn put_meta(&mut self, _: Meta, _: &[u8]) {}
        fn write(&mut self) -> Result<(), Fault> {
            Ok(())
        }
        fn sync(&mut self) -> Result<(), Fault> {
            Ok(())
        }
        fn drop_over(&mut self, _: Timestamp) -> Result<bool, Fault> {
            Ok(false)
        }
        fn forget_overwritten(&mut self) -> Result<(), Fault> {
            Ok(())
        }
        fn reopen(&mut self) -> Result<(), Fault> {
            Ok(())
        }
        fn recreate(&mut self) -> Result<(), Fault> {
            Ok(())
        }
    }
    let log = new_log();
    let commits = Arc::new(Commits::default());
    let journal = new_journal(log.clone(), Broken, commits.clone(), START);
    let clock = Arc::new(TestClock(Mutex::new(START)));
    let thread = JournalThread::start(journal, commits.clone(), clock, |_| {}).unwrap();
    append(&mut log.handle().unwrap(), 1, START);
    let waited = std::time::Instant::now();
    assert_eq!(commits.wait(commits.ticket(), Duration::from_secs(60)), CommitState::Failed);
    assert!(waited.elapsed() < Duration::from_secs(30), "told only when patience ended");
    while thread.pace(START) != Pace::Never {
        std::thread::yield_now();
    }
}

#[test]
fn the_first_pass_after_a_failure_is_forced_to_the_disk_though_no_forced_write_is_due() {
    let log = new_log();
    let store = TestStore::default();
    let commits = Arc::new(Commits::default());
    let config =
        JournalConfig { durability: Durability::Buffered, retention: Retention::DEFAULT, opened_at: START };
    let journal = Journal::new(log.clone(), store.clone(), commits.clone(), config);
    // It stands, so that after the first forced write none is due any more.
    let clock = Arc::new(TestClock(Mutex::new(START)));
    let thread = JournalThread::start(journal, commits.clone(), clock, |_| {}).unwrap();
    let mut handle = log.handle().unwrap();
    let mut commit = |index| {
        append(&mut handle, index, START);
        commits.wait(commits.ticket(), common::PATIENCE)
    };
    assert_eq!(commit(1), CommitState::Durable);
    common::eventually("the first forced write", || store.0.lock().has_synced(1));
    assert_eq!(commit(2), CommitState::Durable);
    store.0.lock().calls_left = Some(0);
    assert_eq!(commit(3), CommitState::Failed);
    assert!(!store.0.lock().has_synced(2), "no forced write was due");
    store.0.lock().calls_left = None;
    common::eventually("the journal works again", || commit(4) == CommitState::Durable);
    let has_all = || [2, 3, 4].iter().all(|&index| store.0.lock().has_synced(index));
    common::eventually("what was stored before and in the failure is on the disk", has_all);
    drop(thread);
}

/// Stores 60,000 placements (42 MB) with a disk that takes 1 MiB in 30 ms. Returns the most bytes that waited for the
/// disk, and how many stores were slowed.
fn race_a_slow_disk(heeds_pace: bool) -> (u64, u64) {
    const COUNT: u64 = 60_000;
    let log = new_log();
    let store = TestStore::default();
    store.0.lock().write_takes = Duration::from_millis(30);
    let commits = Arc::new(Commits::default());
    let config =
        JournalConfig { durability: Durability::Buffered, retention: Retention::DEFAULT, opened_at: START };
    let journal = Journal::new(log.clone(), store.clone(), commits.clone(), config);
    let clock = Arc::new(TestClock(Mutex::new(START)));
    let thread = JournalThread::start(journal, commits.clone(), clock, |_| {}).expect("a thread");
    let mut handle = log.handle().expect("a handle");
    let (mut waiting_max, mut slowed) = (0, 0);
    for index in 0..COUNT {
        let pace = thread.pace(START);
        append(&mut handle, index, START);
        if heeds_pace && pace == Pace::Committed {
            assert_eq!(commits.wait(commits.ticket(), Duration::from_secs(20)), CommitState::Durable);
            slowed += 1;
        }
        let stored_bytes = (index + 1) * common::RECORD_BYTES;
        waiting_max = waiting_max.max(stored_bytes.saturating_sub(store.0.lock().written_bytes));
    }
    drop(thread);
    assert_eq!(store.0.lock().synced().len() as u64, COUNT);
    (waiting_max, slowed)
}

#[test]
fn a_slow_disk_slows_stores_long_before_the_log_is_full_of_what_it_has_not_got() {
    let log = new_log().stats();
    let segment_bytes = (log.arena_bytes / log.segments_total) as u64;
    let bound = log.arena_bytes as u64 / BUFFERED_LAG_SHARE + 2 * segment_bytes;
    let (waiting, slowed) = race_a_slow_disk(true);
    assert!(waiting <= bound && slowed > 0, "{waiting} of {bound} bytes waited, {slowed} stores were slowed");
    let (waiting, _) = race_a_slow_disk(false);
    assert!(waiting > bound, "who does not heed the pace has {waiting} of {bound} bytes waiting only");
}
