//! The real RocksDB: what was written is found again after a restart, in order, and goes when it expires.

mod common;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use common::{Failing, Held, RETENTION_MS, append, body, eventually, id, new_journal, new_log, number};
use herald_core::{NewPlacement, PlacementStore, Retention, Timestamp};
use herald_journal::{
    Block, BlockKey, BlockStore, Durability, FaultKind, Journal, JournalConfig, Meta, RocksStore,
};
use herald_log::DrainCursor;

const START: Timestamp = Timestamp::from_millis(1_795_300_000_000);
const MEMORY: usize = 64 << 20;

fn live(path: &Path, now: Timestamp) -> Held {
    let store = RocksStore::open(path, MEMORY).expect("a journal");
    let mut held = Held::new();
    let mut last = Timestamp::default();
    let damaged = store.for_each_live(now, RETENTION_MS, &mut |placement| {
        assert!(placement.expires_at >= last, "not in the order of expiry");
        last = placement.expires_at;
        let known =
            held.insert(placement.id, (placement.number, placement.expires_at, placement.body.to_vec()));
        assert_eq!(known, None, "visited twice");
    });
    assert_eq!(damaged, Ok(0));
    held
}

fn fill(path: &Path, count: u64, step_ms: u64) -> Timestamp {
    let log = new_log();
    let mut handles = [log.handle().expect("a handle"), log.handle().expect("a handle")];
    let mut now = START;
    let store = RocksStore::open(path, MEMORY).expect("a journal");
    let mut journal = new_journal(log, store, Arc::default(), START);
    for index in 0..count {
        now = START.plus_millis(index * step_ms);
        append(&mut handles[(index % 2) as usize], index, now);
        journal.pass(now, index % 7 == 0 || index + 1 == count).expect("a pass");
    }
    now
}

#[test]
fn a_reopened_journal_holds_every_live_placement_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let now = fill(folder.path(), 500, 100);
    let held = live(folder.path(), now);
    assert_eq!(held.len(), 500);
    for index in 0..500 {
        let expires_at = START.plus_millis(index * 100 + RETENTION_MS);
        assert_eq!(held[&id(index)], (number(index), expires_at, body(index)));
    }
    let later = START.plus_millis(RETENTION_MS + 25_000);
    assert_eq!(live(folder.path(), later).len(), 249, "those that expire at 25 s or before are gone");
}

#[test]
fn a_clock_that_stepped_back_does_not_prolong_a_placement_beyond_one_retention() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), 10, 1);
    let long_ago = Timestamp::from_millis(START.as_millis() - 3_600_000);
    let held = live(folder.path(), long_ago);
    assert_eq!(held.len(), 10);
    assert!(held.values().all(|(_, expires_at, _)| *expires_at == long_ago.plus_millis(RETENTION_MS)));
}

/// What lives when a life of `retention_ms` begins, which then stores `count` placements, one a second, from `first` on.
fn next_life(path: &Path, retention_ms: u64, now: Timestamp, (first, count): (u64, u64)) -> Vec<(u64, u64)> {
    let mut store = RocksStore::open(path, MEMORY).expect("a journal");
    let retention = Retention::from_millis(retention_ms).expect("within the bounds");
    store.begin_life(retention, now);
    let (mut held, mut last) = (Vec::new(), Timestamp::default());
    let damaged = store.for_each_live(now, retention_ms, &mut |placement| {
        assert!(placement.expires_at >= last, "not in the order of expiry");
        last = placement.expires_at;
        let index = (0..200).find(|index| id(*index) == placement.id).expect("one that was stored");
        held.push((index, last.millis_since(START) / 1_000));
    });
    assert_eq!(damaged, Ok(0));
    let log = new_log();
    let mut handle = log.handle().expect("a handle");
    let config = JournalConfig { durability: Durability::Synced, retention, opened_at: now };
    let mut journal = Journal::new(log, store, Arc::default(), config);
    for index in first..first + count {
        let now = now.plus_millis((index - first) * 1_000);
        let body = body(index);
        let expires_at = now.plus_millis(retention_ms);
        let placement = NewPlacement { number: number(index), id: id(index), expires_at, body: &body };
        handle.append(&placement, 100_000, now).expect("room in the log");
        journal.pass(now, true).expect("a pass");
    }
    // What hands over the small values where nothing is stored.
    journal.pass(now, true).expect("a pass");
    held
}

#[test]
fn a_shorter_retention_shortens_what_is_there_at_each_opening_and_a_longer_one_brings_nothing_back() {
    let at = |seconds: u64| START.plus_millis(seconds * 1_000);
    for shortens in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let short_ms = if shortens { 20_000 } else { 60_000 };
        let open =
            |retention_ms, seconds, stores| next_life(folder.path(), retention_ms, at(seconds), stores);
        let to = |indices: core::ops::Range<u64>, lives: u64| -> Vec<(u64, u64)> {
            indices.map(|index| (index, index + lives)).collect()
        };
        assert_eq!(open(60_000, 0, (0, 30)), []);
        let lives = short_ms / 1_000;
        // Index and second of the store are the same, in each life.
        let live_at = |seconds: u64, stored: u64| to((seconds + 1).saturating_sub(lives)..stored, lives);
        assert_eq!(open(short_ms, 30, (30, 5)), live_at(30, 30), "shortens: {shortens}");
        // Those of both lives, in one order.
        assert_eq!(open(short_ms, 36, (36, 0)), live_at(36, 35));
        assert_eq!(open(short_ms, 41, (41, 0)), live_at(41, 35));
        let last = open(60_000, 45, (45, 1));
        assert_eq!(last, live_at(45, 35));
        let (of_both, all) = (open(60_000, 52, (52, 0)), !shortens);
        assert_eq!(of_both.contains(&(0, 60)), all);
        assert_eq!(of_both.last(), Some(&(45, 105)), "what was stored with the longer one has it");
        assert_eq!(of_both.len(), live_at(52, 35).len() + 1);
    }
}

#[test]
fn the_folder_does_not_grow_over_many_retentions() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = |path: &Path| -> u64 {
        // RocksDB removes files while we look.
        let sizes = std::fs::read_dir(path).unwrap().filter_map(|entry| entry.ok()?.metadata().ok());
        sizes.map(|file| file.len()).sum()
    };
    let log = new_log();
    let mut handle = log.handle().unwrap();
    let mut journal =
        new_journal(log, RocksStore::open(folder.path(), MEMORY).unwrap(), Arc::default(), START);
    let mut most = 0;
    for index in 0..6_000 {
        let now = START.plus_millis(index * 100);
        append(&mut handle, index, now);
        if index % 10 == 0 {
            journal.pass(now, false).unwrap();
            most = most.max(bytes(folder.path()));
        }
    }
    // 700 live placements of 640 bytes, a tenth of all that was written; the rest is RocksDB's own small files.
    assert!(most < 1_500_000, "the folder reached {most} bytes");
}

#[test]
fn a_torn_tail_of_the_write_ahead_log_loses_only_what_follows_the_tear() {
    let folder = tempfile::tempdir().unwrap();
    let now = fill(folder.path(), 60, 1);
    let wal = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap();
    let bytes = std::fs::read(&wal).unwrap();
    std::fs::write(&wal, &bytes[..bytes.len() - bytes.len() / 3]).unwrap();
    let held = live(folder.path(), now);
    assert!((20..60).contains(&held.len()), "{} of 60 are left", held.len());
    assert!((0..held.len() as u64).all(|index| held.contains_key(&id(index))), "a hole in what is left");
}

/// The write-ahead logs with anything in them, the oldest first.
fn logs(path: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut logs: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .filter(|path| path.metadata().expect("a file").len() > 0)
        .collect();
    logs.sort();
    logs
}

#[test]
fn what_a_later_life_forced_to_the_disk_is_there_though_the_log_of_an_earlier_one_is_torn() {
    let folder = tempfile::tempdir().unwrap();
    for life in 0..2 {
        let log = new_log();
        let mut handle = log.handle().unwrap();
        let now = START.plus_millis(life);
        let store = RocksStore::open(folder.path(), MEMORY).unwrap();
        let mut journal = new_journal(log, store, Arc::default(), now);
        append(&mut handle, 2 * life, now);
        journal.pass(now, true).unwrap();
        append(&mut handle, 2 * life + 1, now);
        journal.pass(now, false).unwrap();
    }
    let logs = logs(folder.path());
    assert!(logs.len() >= 2, "{logs:?}: both lives' are there");
    let mut bytes = std::fs::read(&logs[0]).unwrap();
    let torn = bytes.len() - 300;
    bytes[torn..].fill(0);
    std::fs::write(&logs[0], bytes).unwrap();
    let held = live(folder.path(), START.plus_millis(1));
    let kept: Vec<u64> = (0..4).filter(|index| held.contains_key(&id(*index))).collect();
    assert_eq!(kept, [0, 2, 3]);
}

#[test]
fn a_folder_in_use_another_format_and_a_reopen_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = RocksStore::open(folder.path(), MEMORY).unwrap();
    let refused = RocksStore::open(folder.path(), MEMORY).map(|_| ()).unwrap_err();
    assert_eq!(refused.kind(), FaultKind::InUse, "{refused}");
    store.reopen().unwrap();
    store.put_meta(Meta::Format, &99u32.to_le_bytes());
    store.write().unwrap();
    drop(store);
    let refused = RocksStore::open(folder.path(), MEMORY).map(|_| ()).unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Format, "{refused}");
}

#[test]
fn placements_written_again_after_a_failed_sync_come_back_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = new_log();
    let mut handle = log.handle().unwrap();
    let store = Failing::new(RocksStore::open(folder.path(), MEMORY).unwrap());
    let mut journal = new_journal(log, store, Arc::default(), START);
    for index in 0..40 {
        let now = START.plus_millis(index * 700);
        append(&mut handle, index, now);
        journal.store().fail(index % 8 == 7);
        assert_eq!(journal.pass(now, index % 4 == 3).is_err(), index % 8 == 7);
    }
    journal.store().fail(false);
    journal.pass(START.plus_millis(28_000), true).unwrap();
    drop(journal);
    assert_eq!(live(folder.path(), START.plus_millis(28_000)).len(), 40);
}

#[test]
fn a_folder_that_has_gone_is_not_taken_for_an_empty_journal_and_can_be_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let mut store = RocksStore::open(&path, MEMORY).unwrap();
    std::fs::rename(&path, folder.path().join("elsewhere")).unwrap();
    store.reopen().unwrap_err();
    store.recreate().unwrap();
    assert_eq!(store.meta(Meta::Clock), Ok(None));
    assert!(store.meta(Meta::Format).unwrap().is_some());
}

#[test]
fn a_folder_moved_away_under_the_journal_refuses_stores_and_one_put_back_takes_them_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, elsewhere) = (folder.path().join("journal"), folder.path().join("elsewhere"));
    let log = new_log();
    let mut handle = log.handle().unwrap();
    let store = RocksStore::open(&path, MEMORY).unwrap();
    let mut journal = new_journal(log, store, Arc::default(), START);
    append(&mut handle, 1, START);
    journal.pass(START, true).unwrap();
    std::fs::rename(&path, &elsewhere).unwrap();
    // Within the generation there is, and in another that would have to be made.
    for (index, later_ms) in [(2, 1), (3, RETENTION_MS / 2)] {
        append(&mut handle, index, START.plus_millis(later_ms));
        let fault = journal.pass(START.plus_millis(later_ms), true).unwrap_err();
        assert!(fault.to_string().contains("put it back"), "{fault}");
        assert!(!path.exists(), "a folder was made in the place of the one that was moved");
    }
    std::fs::rename(&elsewhere, &path).unwrap();
    let now = START.plus_millis(RETENTION_MS / 2 + 1);
    journal.pass(now, true).unwrap();
    drop(journal);
    assert_eq!(live(&path, now).len(), 3);
}

#[test]
fn what_has_expired_leaves_the_disk_even_if_nothing_more_comes() {
    let folder = tempfile::tempdir().unwrap();
    let log = new_log();
    let mut handle = log.handle().unwrap();
    let mut journal =
        new_journal(log, RocksStore::open(folder.path(), MEMORY).unwrap(), Arc::default(), START);
    append(&mut handle, 77, START);
    journal.pass(START, true).unwrap();
    let on_disk = || is_on_disk(folder.path(), &body(77));
    assert!(on_disk());
    journal.pass(START.plus_millis(RETENTION_MS + 10_000), true).unwrap();
    // RocksDB removes files on a thread of its own.
    eventually("the body of an expired placement leaves the disk", || !on_disk());
}

fn is_on_disk(folder: &Path, wanted: &[u8]) -> bool {
    let files = std::fs::read_dir(folder)
        .expect("a folder")
        .filter_map(|entry| std::fs::read(entry.ok()?.path()).ok());
    files.into_iter().any(|bytes| bytes.windows(wanted.len()).any(|window| window == wanted))
}

#[test]
fn a_cover_secret_that_was_overwritten_leaves_the_disk_with_the_placements_written_beside_it() {
    for has_placements in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let is_on_disk = |secret: &[u8]| is_on_disk(folder.path(), secret);
        let mut store = RocksStore::open(folder.path(), MEMORY).expect("a journal");
        store.put_meta(Meta::Cover, &body(0));
        store.write().expect("written");
        // The first leaves the write-ahead log, the others sorted files too.
        for round in 1..4 {
            let (old, new) = (body(round - 1), body(round));
            let ends_at = START.plus_millis(round * RETENTION_MS);
            if has_placements {
                let key = BlockKey::from_bytes(&[1; 24]).expect("24 bytes");
                store.open_generation(ends_at).expect("made");
                store.put(&Block { ends_at, key, records: &[7; 99] }).expect("put");
            }
            store.put_meta(Meta::Cover, &new);
            store.write().and_then(|()| store.sync()).expect("on the disk");
            assert!(is_on_disk(&old), "gone before it was forgotten: round {round}");
            store.forget_overwritten().expect("forgotten");
            // A later pass.
            store.put_meta(Meta::Clock, &ends_at.as_millis().to_le_bytes());
            store.write().expect("written");
            if store.drop_over(ends_at).expect("dropped") {
                store.cut().expect("cut");
            }
            eventually("an old secret leaves the disk", || !is_on_disk(&old));
            assert!(is_on_disk(&new), "round {round}");
            assert_eq!(store.meta(Meta::Cover), Ok(Some(new)));
        }
    }
}

/// The records of the placements `indices`, one a millisecond, as a log lays them out.
fn records_of(indices: std::ops::Range<u64>) -> Vec<u8> {
    let log = new_log();
    let mut handle = log.handle().expect("a handle");
    for index in indices {
        append(&mut handle, index, START.plus_millis(index));
    }
    let mut bytes = Vec::new();
    let _ = log.drain(&mut DrainCursor::default(), &mut |range| {
        bytes.extend_from_slice(range.bytes);
        ControlFlow::Continue(())
    });
    bytes
}

#[test]
fn a_damaged_block_costs_what_lies_behind_the_damage_in_it_and_segments_are_merged() {
    let folder = tempfile::tempdir().unwrap();
    let ends_at = START.plus_millis(RETENTION_MS + 1_000);
    let cut = |mut bytes: Vec<u8>, left: usize| {
        bytes.truncate(left);
        bytes
    };
    let first = records_of(0..1).len();
    let blocks = [
        // Segment 7: two records; two, of which the second is cut; two more. Then what the first block ends
        // with once more, as a failed pass leaves it.
        (7, 0, records_of(0..2)),
        (7, 10_000, cut(records_of(2..4), records_of(2..3).len() + 100)),
        (7, 20_000, records_of(4..6)),
        (7, first as u64, records_of(1..2)),
        // Segment 8 began later, and its records lie among those of segment 7.
        (8, 0, records_of(1..2)),
        (8, 5_000, records_of(5..7)),
    ];
    let mut store = RocksStore::open(folder.path(), MEMORY).unwrap();
    store.open_generation(ends_at).unwrap();
    for (segment, offset, records) in &blocks {
        let key = BlockKey { run: 1, segment: *segment, offset: *offset };
        store.put(&Block { ends_at, key, records }).unwrap();
    }
    store.write().unwrap();
    let mut seen = Vec::new();
    let damaged =
        store.for_each_live(START.plus_millis(1), RETENTION_MS, &mut |placement| seen.push(placement.id));
    assert_eq!(damaged, Ok(1));
    let wanted: Vec<_> = [0, 1, 1, 2, 4, 5, 5, 6].map(id).into();
    assert_eq!(seen, wanted, "in the order of expiry, those of the earlier segment first");
}
