//! What the journal is lent: everything, once, and again from an older cursor.
#![cfg(not(loom))]

mod common;

use core::ops::ControlFlow;
use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

use common::{at, id, id_words, is_filled, number, placement};
use herald_core::{PlacementStore, Timestamp};
use herald_log::{DrainCursor, LogConfig, PlacementLog, limits, records};

const RECORDS_PER_WRITER: u64 = 20_000;

fn log(segments: usize, handles_max: usize) -> Arc<PlacementLog> {
    let segment_bytes = limits::SEGMENT_BYTES_MIN;
    let arena_bytes = segments * segment_bytes;
    PlacementLog::create(LogConfig { arena_bytes, segment_bytes, hash_key: [5; 32], handles_max })
        .expect("a valid configuration")
}

fn put(log: &Arc<PlacementLog>, names: core::ops::Range<u64>, expires_at_ms: u64) {
    let mut handle = log.handle().expect("one is free");
    let mut body = [0; 1000];
    for name in names {
        let new = placement(number(name), id(name, 0), expires_at_ms, &mut body);
        handle.append(&new, 10, at(expires_at_ms - 1000)).expect("room");
    }
}

/// A range as the journal would keep it.
type Kept = (u64, u64, Vec<u8>, Timestamp);

fn drain(log: &PlacementLog, cursor: &mut DrainCursor) -> Vec<Kept> {
    let mut kept = Vec::new();
    let flow = log.drain(cursor, &mut |range| {
        kept.push((range.segment, range.offset, range.bytes.to_vec(), range.expires_max));
        ControlFlow::Continue(())
    });
    assert!(flow.is_continue());
    kept
}

/// The first id words of the records in `kept`, each checked.
fn names(kept: &[Kept]) -> Vec<u64> {
    let mut names = Vec::new();
    for (_, _, bytes, expires_max) in kept {
        for record in records(bytes) {
            let record = record.expect("whole records");
            assert!(is_filled(record.body, record.number, record.id));
            assert!(record.expires_at <= *expires_max);
            names.push(id_words(record.id).0);
        }
    }
    names.sort_unstable();
    names
}

#[test]
fn a_drain_lends_everything_once_and_an_older_cursor_lends_the_same_again() {
    let log = log(64, 2);
    let mut cursor = DrainCursor::default();
    assert!(drain(&log, &mut cursor).is_empty());
    put(&log, 0..100, 2000);
    let first = drain(&log, &mut cursor);
    assert_eq!(names(&first), Vec::from_iter(0..100));
    let older = cursor.clone();
    put(&log, 100..300, 2500);
    let second = drain(&log, &mut cursor);
    assert_eq!(names(&second), Vec::from_iter(100..300));
    assert_eq!(drain(&log, &mut older.clone()), second);
    assert_eq!(drain(&log, &mut older.clone()), second);
    assert!(drain(&log, &mut cursor).is_empty());
    assert_eq!(names(&drain(&log, &mut DrainCursor::default())), Vec::from_iter(0..300));
}

#[test]
fn a_drain_that_breaks_goes_on_where_it_broke() {
    let log = log(64, 2);
    put(&log, 0..500, 2000);
    let mut cursor = DrainCursor::default();
    let mut kept = Vec::new();
    let mut calls = 0;
    let mut go_on = |log: &PlacementLog, cursor: &mut DrainCursor| {
        calls += 1;
        log.drain(cursor, &mut |range| {
            kept.push((range.segment, range.offset, range.bytes.to_vec(), range.expires_max));
            ControlFlow::Break(())
        })
    };
    while go_on(&log, &mut cursor).is_break() {}
    assert!((20..=64).contains(&calls), "one call a range and one more, not {calls}");
    assert_eq!(names(&kept), Vec::from_iter(0..500));
}

#[test]
fn a_drain_ends_however_fast_others_append() {
    let log = log(64, 2);
    let (mut writer, mut body, mut stored) = (log.handle().expect("one"), [0; 1000], 0);
    let mut fill_a_segment = || {
        let opened = log.stats().segments_opened;
        while log.stats().segments_opened == opened {
            let new = placement(number(stored), id(stored, 0), 2000, &mut body);
            writer.append(&new, 10, at(1000)).expect("room");
            stored += 1;
        }
    };
    fill_a_segment();
    fill_a_segment();
    let (mut cursor, mut kept) = (DrainCursor::default(), Vec::new());
    let flow = log.drain(&mut cursor, &mut |range| {
        fill_a_segment();
        kept.push((range.segment, range.offset, range.bytes.to_vec(), range.expires_max));
        ControlFlow::Continue(())
    });
    assert!(flow.is_continue());
    assert_eq!(kept.iter().map(|(segment, ..)| *segment).collect::<Vec<_>>(), [1, 2]);
    kept.extend(drain(&log, &mut cursor));
    assert_eq!(names(&kept), Vec::from_iter(0..stored), "the next drain lends the rest");
}

#[test]
fn ranges_of_a_segment_follow_one_another_and_segments_are_never_numbered_twice() {
    let log = log(64, 2);
    let mut cursor = DrainCursor::default();
    let mut ends = HashMap::new();
    let mut writer = log.handle().expect("one");
    let mut body = [0; 900];
    for step in 0..20_000u64 {
        let now_ms = step;
        let new = placement(number(step % 50), id(step, 0), now_ms + 200, &mut body);
        writer.append(&new, 1000, at(now_ms)).expect("room");
        if step % 7 == 0 {
            for (segment, offset, bytes, _) in drain(&log, &mut cursor) {
                let end = ends.insert(segment, offset + u64::try_from(bytes.len()).expect("small"));
                assert_eq!(end.unwrap_or(0), offset, "segment {segment}");
            }
        }
    }
    let opened = log.stats().segments_opened;
    assert!(opened > 640, "memory went round less than ten times");
    assert_eq!(u64::try_from(ends.len()), Ok(opened));
}

#[test]
fn restored_placements_are_not_lent() {
    let log = log(64, 2);
    let mut handle = log.handle().expect("one");
    let mut body = [0; 900];
    for name in 0..50 {
        handle.restore(&placement(number(name), id(name, 0), 2000, &mut body)).expect("room");
    }
    handle.append(&placement(number(99), id(99, 0), 2100, &mut body), 1, at(1100)).expect("room");
    assert_eq!(names(&drain(&log, &mut DrainCursor::default())), [99]);
}

#[test]
fn what_was_drained_can_be_restored_into_another_log() {
    let (old, new) = (log(64, 2), log(64, 2));
    put(&old, 0..300, 2000);
    let kept = drain(&old, &mut DrainCursor::default());
    let mut handle = new.handle().expect("one");
    for record in kept.iter().flat_map(|(_, _, bytes, _)| records(bytes)) {
        let placement = record.expect("whole").to_placement().expect("nothing was refused");
        handle.restore(&placement).expect("room");
    }
    for name in 0..300 {
        let mut seen = 0;
        handle.for_each_live(number(name), at(1999), &mut |item| {
            assert!(is_filled(item.body, number(name), id(name, 0)) && item.id == id(name, 0));
            assert_eq!(item.expires_at, at(2000));
            seen += 1;
        });
        assert_eq!(seen, 1);
    }
}

#[test]
fn with_writers_at_work_everything_appended_is_lent_exactly_once() {
    // Nothing expires, so nothing may be missed; half of the drains fail and are done again.
    let log = log(3000, 2);
    let mut cursor = DrainCursor::default();
    let mut kept = Vec::new();
    thread::scope(|scope| {
        let writers: [_; 2] = core::array::from_fn(|writer| {
            let (log, first) = (&log, RECORDS_PER_WRITER * u64::try_from(writer).expect("0 or 1"));
            scope.spawn(move || put(log, first..first + RECORDS_PER_WRITER, 2000))
        });
        let mut attempts = 0u64;
        loop {
            let done = writers.iter().all(thread::ScopedJoinHandle::is_finished);
            let before = cursor.clone();
            let drained = drain(&log, &mut cursor);
            attempts += 1;
            if attempts.is_multiple_of(2) {
                kept.extend(drained);
            } else {
                cursor = before;
            }
            if done && attempts.is_multiple_of(2) {
                break;
            }
        }
    });
    assert_eq!(names(&kept), Vec::from_iter(0..2 * RECORDS_PER_WRITER));
}

#[test]
fn an_append_that_has_returned_is_in_the_next_drain() {
    let log = log(64, 2);
    let mut cursor = DrainCursor::default();
    for name in 0..200 {
        thread::scope(|scope| {
            scope.spawn(|| put(&log, name..name + 1, 2000 + name * 1000));
        });
        assert_eq!(names(&drain(&log, &mut cursor)), [name]);
    }
}
