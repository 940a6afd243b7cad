//! Placements that have left memory are read back from RocksDB, in the life that stored them and in the next.
#![allow(clippy::print_stdout, reason = "counts belong to the result")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{Failing, RETENTION_MS, append, body, id, new_journal, number};
use herald_core::{Clock, NewPlacement, PlacementStore, Retention, Timestamp};
use herald_journal::{Journal, JournalThread, Notice, RocksStore};
use herald_log::{BeyondConfig, BeyondRecord, Keeper, KeptPlace, LogConfig, LogHandle, Origin, PlacementLog};

const START: Timestamp = Timestamp::from_millis(1_795_300_000_000);
/// So little that RocksDB writes most of it to sorted files.
const MEMORY: usize = 4 << 20;
const ARENA_BYTES: usize = 1 << 20;
const BEYOND_BYTES: usize = 64 << 20;

struct Life {
    log: Arc<PlacementLog>,
    handle: LogHandle,
    journal: Journal<Failing>,
}

impl Life {
    /// Opens the folder and restores what lives in it.
    fn begin(path: &Path, now: Timestamp) -> Self {
        let store = RocksStore::open(path, MEMORY).expect("a journal");
        let keeper = store.keeper(Retention::DEFAULT, now);
        let config = LogConfig {
            arena_bytes: ARENA_BYTES,
            segment_bytes: 32 << 10,
            hash_key: [7; 32],
            handles_max: 2,
        };
        let beyond = BeyondConfig { bytes: BEYOND_BYTES, keeper: keeper.clone() };
        let log = PlacementLog::create_beyond(config, &beyond).expect("a log");
        let mut handle = log.handle().expect("a handle");
        let mut index = |records: &[BeyondRecord]| {
            assert!(records.is_sorted_by_key(|record| record.expires_at));
            log.restore_beyond(records).expect("tables")
        };
        let mut restore = |placement: &NewPlacement<'_>| handle.restore(placement).expect("room in memory");
        let damaged = store.index_live(now, RETENTION_MS, &keeper, &mut index, &mut restore);
        assert_eq!(damaged, Ok(0));
        let store = Failing::new(store);
        let journal = new_journal(log.clone(), store, Arc::default(), now);
        Self { log, handle, journal }
    }

    /// Stores the placements of these indexes, one every millisecond, with passes of which some fail.
    fn store(&mut self, indexes: core::ops::Range<u64>) -> Timestamp {
        let mut now = START;
        for index in indexes {
            now = START.plus_millis(index);
            append(&mut self.handle, index, now);
            if index % 100 == 99 {
                let fails = index % 3_000 == 2_999;
                self.journal.store().fail(fails);
                // Some are not synced, so that what a failure takes back overlaps.
                assert_eq!(self.journal.pass(now, fails).is_err(), fails);
            }
        }
        self.journal.store().fail(false);
        self.journal.pass(now, true).expect("a pass");
        now
    }

    /// All that lives of the first `end` placements is found under its number, newest first, and nothing else.
    fn check(&mut self, end: u64, now: Timestamp) {
        let oldest = now.millis_since(START).saturating_sub(RETENTION_MS - 1);
        for of in 0..1_000 {
            let mut expected = (oldest..end).rev().filter(|index| index % 1_000 == of);
            self.handle.for_each_live(number(of), now, &mut |item| {
                let index = expected.next().expect("no more than were stored");
                let expires_at = START.plus_millis(index + RETENTION_MS);
                assert_eq!((item.id, item.expires_at), (id(index), expires_at));
                assert!(item.body == body(index), "another's body");
            });
            assert_eq!(expected.next(), None, "one is missing");
        }
        assert_eq!(self.log.stats().records_unread, 0);
    }
}

#[test]
fn twenty_times_what_memory_holds_is_found_in_this_life_and_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut life = Life::begin(folder.path(), START);
    let now = life.store(0..30_000);
    let stats = life.log.stats();
    println!("{stats:?}");
    assert!(stats.records_beyond > 28_000, "{stats:?}");
    life.check(30_000, now);
    drop(life);

    let now = START.plus_millis(30_000);
    let mut life = Life::begin(folder.path(), now);
    assert_eq!(life.log.stats().records_beyond, 30_000);
    life.check(30_000, now);
    life.store(30_000..40_000);
    life.check(40_000, START.plus_millis(40_000));
    drop(life);

    // The oldest have expired, and the generations of two lives are read in one.
    let now = START.plus_millis(RETENTION_MS + 15_000);
    let mut life = Life::begin(folder.path(), now);
    assert_eq!(life.log.stats().records_beyond, 25_000 - 1);
    life.check(40_000, now);
}

#[test]
fn what_cannot_be_read_is_missing_and_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut life = Life::begin(folder.path(), START);
    let now = life.store(0..10_000);
    life.journal.store().close();
    let mut found = 0;
    for of in 0..1_000 {
        life.handle.for_each_live(number(of), now, &mut |_| found += 1);
    }
    let stats = life.log.stats();
    assert_eq!(found + stats.records_unread, 10_000);
    assert!(stats.records_unread >= stats.records_beyond && found > 0, "{stats:?}");
}

#[test]
fn where_the_journal_cannot_be_opened_for_writing_it_is_still_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut life = Life::begin(folder.path(), START);
    let now = life.store(0..10_000);
    // As on a full disk: nothing can be opened for writing, and all files are there.
    let (lock, aside) = (folder.path().join("LOCK"), folder.path().join("LOCK.aside"));
    std::fs::rename(&lock, &aside).expect("a move");
    std::fs::create_dir(&lock).expect("a folder in its place");
    life.journal.store().fail(true);
    life.journal.pass(now, true).expect_err("says the test");
    life.journal.store().fail(false);
    for index in 10_000..10_002 {
        let now = START.plus_millis(index);
        append(&mut life.handle, index, now);
        life.journal.pass(now, true).expect_err("no lock, no writer");
        life.check(index + 1, now);
    }
    std::fs::remove_dir(&lock).expect("empty");
    std::fs::rename(&aside, &lock).expect("a move");
    let now = START.plus_millis(10_002);
    life.journal.pass(now, true).expect("a pass");
    life.check(10_002, now);
}

#[test]
fn what_the_disk_does_not_give_back_is_told_with_its_words_and_what_has_expired_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut life = Life::begin(folder.path(), START);
    let now = life.store(0..10_000);
    let another = RocksStore::open(&folder.path().join("another"), MEMORY).expect("a journal");
    let keeper = another.keeper(Retention::DEFAULT, START);
    let place = KeptPlace { id: id(1), expires_at: START, origin: Origin::Segment(1), offset: 0 };
    assert!(keeper.read(&place, &mut |_| panic!("nothing is there")), "its generation has gone");
    drop(another);
    assert!(!keeper.read(&place, &mut |_| {}), "the journal is closed");
    let mut sorted = 0;
    for entry in std::fs::read_dir(folder.path()).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "sst") {
            std::fs::OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(0)).expect("cut");
            sorted += 1;
        }
    }
    assert!(sorted > 0, "nothing was in sorted files");
    for of in 0..1_000 {
        life.handle.for_each_live(number(of), now, &mut |_| {});
    }
    let unread = life.log.records_unread();
    assert!(unread > 0);
    let (tell, told) = std::sync::mpsc::channel();
    let clock = Arc::new(Still(now));
    let tell = move |notice| drop(tell.send(notice));
    let thread = JournalThread::start(life.journal, Arc::default(), clock, tell).expect("a thread");
    let notices = std::iter::from_fn(|| told.recv_timeout(Duration::from_secs(20)).ok());
    let mut unread_notices = notices.filter(|notice| matches!(notice, Notice::Unread(..)));
    let Some(Notice::Unread(count, Some(fault))) = unread_notices.next() else { panic!("nothing is told") };
    assert_eq!(count, unread);
    println!("{fault}");
    thread.stop();
}

struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
}
