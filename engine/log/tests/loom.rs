//! loom's search through the interleavings and weak-memory results of small scenes on the real log, and the
//! proof that the search notices: with one ordering weakened each scene must fail.
//!
//! A segment holds one record here, two where batches are appended. So nearly every append opens one. Run by `engine/log/loom.sh`.
#![cfg(loom)]

use core::ops::ControlFlow;
use std::sync::Arc;

use herald_core::{NewPlacement, PlacementId, PlacementStore, Refusal, TelephoneNumber, Timestamp};
use herald_log::{
    BeyondConfig, DrainCursor, Keeper, KeptPlace, LogConfig, LogHandle, PlacementLog, Weakening, records,
    weakened,
};
use loom::thread;

const SEGMENT_BYTES: usize = 64;

fn log(segments: usize, handles_max: usize) -> Arc<PlacementLog> {
    log_of(SEGMENT_BYTES, segments, handles_max)
}

fn log_of(segment_bytes: usize, segments: usize, handles_max: usize) -> Arc<PlacementLog> {
    let arena_bytes = segments * segment_bytes;
    PlacementLog::create(LogConfig { arena_bytes, segment_bytes, hash_key: [1; 32], handles_max })
        .expect("a valid configuration")
}

/// Knows the bodies of these scenes without having been told.
struct Knowing;

impl Keeper for Knowing {
    fn read(&self, place: &KeptPlace, visit: &mut dyn FnMut(&[u8])) -> bool {
        visit(&place.id.as_bytes()[..8]);
        true
    }
}

/// A log that may go beyond its memory by as much again.
fn log_beyond(segments: usize, handles_max: usize) -> Arc<PlacementLog> {
    let arena_bytes = segments * SEGMENT_BYTES;
    let config = LogConfig { arena_bytes, segment_bytes: SEGMENT_BYTES, hash_key: [1; 32], handles_max };
    let beyond = BeyondConfig { bytes: arena_bytes, keeper: Arc::new(Knowing) };
    PlacementLog::create_beyond(config, &beyond).expect("a valid configuration")
}

fn handle(log: &Arc<PlacementLog>) -> LogHandle {
    log.handle().expect("one is free")
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn number() -> TelephoneNumber {
    TelephoneNumber::parse(b"12225550100").expect("digits")
}

/// Another number, in the same bucket: a log as small as these has only one.
fn neighbour() -> TelephoneNumber {
    TelephoneNumber::parse(b"12225550101").expect("digits")
}

fn put(handle: &mut LogHandle, name: u8, records_max: u32, now: u64, expires_at: u64) -> Result<(), Refusal> {
    put_under(handle, number(), name, records_max, now, expires_at)
}

fn put_under(
    handle: &mut LogHandle,
    number: TelephoneNumber,
    name: u8,
    records_max: u32,
    now: u64,
    expires_at: u64,
) -> Result<(), Refusal> {
    let id = PlacementId::from_bytes([name; 16]);
    let placement = NewPlacement { number, id, expires_at: at(expires_at), body: &[name; 8] };
    handle.append(&placement, records_max, at(now))
}

/// Puts 1 and 2 in one batch.
fn put_two(handle: &mut LogHandle, records_max: u32, expires_at: u64) -> [Result<(), Refusal>; 2] {
    let placement = |name: u8, body| NewPlacement {
        number: number(),
        id: PlacementId::from_bytes([name; 16]),
        expires_at: at(expires_at),
        body,
    };
    let mut results = [Ok(()); 2];
    let placements = [placement(1, &[1; 8][..]), placement(2, &[2; 8])];
    handle.append_batch(&placements, records_max, at(0), &mut results);
    results
}

/// The names seen in a walk, newest first; each body is checked.
fn names(handle: &mut LogHandle, now: u64) -> Vec<u8> {
    let mut names = Vec::new();
    handle.for_each_live(number(), at(now), &mut |item| {
        let name = item.id.as_bytes()[0];
        assert_eq!((item.id.as_bytes(), item.body), (&[name; 16], &[name; 8][..]), "torn");
        assert!(item.expires_at > at(now), "expired");
        names.push(name);
    });
    names
}

/// One thread appends a batch while another walks.
fn publish_batch_and_walk() {
    let log = log_of(2 * SEGMENT_BYTES, 2, 2);
    let (mut writer, mut reader) = (handle(&log), handle(&log));
    let appending = thread::spawn(move || put_two(&mut writer, 9, 10));
    let seen = names(&mut reader, 5);
    assert!([&[][..], &[1], &[2, 1]].contains(&&seen[..]), "{seen:?}");
    assert_eq!(appending.join().expect("no panic"), [Ok(()), Ok(())]);
    assert_eq!(names(&mut reader, 5), [2, 1]);
}

/// A batch of two and a single append to one number that has room for two. What was refused is not drained.
fn batch_at_the_bound() {
    let log = log_of(2 * SEGMENT_BYTES, 2, 2);
    let (mut first, mut second) = (handle(&log), handle(&log));
    let appending = thread::spawn(move || put_two(&mut first, 2, 10));
    let mine = put(&mut second, 3, 2, 0, 10).is_ok();
    let theirs = appending.join().expect("no panic");
    let mut kept: Vec<u8> = vec![1, 2, 3];
    let is_kept = [theirs[0].is_ok(), theirs[1].is_ok(), mine];
    kept.retain(|&name| is_kept[usize::from(name) - 1]);
    assert_eq!(kept.len(), 2, "{is_kept:?}");
    let mut seen = names(&mut second, 5);
    seen.sort_unstable();
    assert_eq!(seen, kept);
    let mut drained = drain(&log, &mut DrainCursor::default());
    drained.sort_unstable();
    assert_eq!(drained, kept);
}

/// One thread appends while another walks.
fn publish_and_walk() {
    let log = log(2, 2);
    let (mut writer, mut reader) = (handle(&log), handle(&log));
    let appending = thread::spawn(move || put(&mut writer, 1, 9, 0, 10));
    let seen = names(&mut reader, 5);
    assert!(seen.is_empty() || seen == [1], "{seen:?}");
    assert_eq!(appending.join().expect("no panic"), Ok(()));
    assert_eq!(names(&mut reader, 5), [1]);
}

/// Two threads append to one chain, with room for both.
fn two_appends() {
    let log = log(2, 2);
    let (mut first, mut second) = (handle(&log), handle(&log));
    let appending = thread::spawn(move || put(&mut first, 1, 9, 0, 10));
    // Read earlier, published perhaps later: the chain must stay in order of expiry.
    assert_eq!(put(&mut second, 2, 9, 0, 8), Ok(()));
    assert_eq!(appending.join().expect("no panic"), Ok(()));
    let mut seen = names(&mut second, 5);
    seen.sort_unstable();
    assert_eq!(seen, [1, 2]);
    let at_nine = names(&mut second, 9);
    assert!(at_nine.contains(&1), "cut off by one that had expired: {at_nine:?}");
}

/// Two threads append to one number that has room for one.
fn two_appends_at_the_bound() {
    let log = log(2, 2);
    let (mut first, mut second) = (handle(&log), handle(&log));
    let appending = thread::spawn(move || put(&mut first, 1, 1, 0, 10).is_ok());
    let mine = put(&mut second, 2, 1, 0, 10).is_ok();
    let theirs = appending.join().expect("no panic");
    assert!(mine != theirs, "one is kept, one refused");
    assert_eq!(names(&mut second, 5), [if mine { 2 } else { 1 }]);
}

/// Two threads append to two numbers of one bucket, each of which has room for one more.
fn two_numbers_at_their_bounds() {
    let log = log(3, 2);
    let (mut first, mut second) = (handle(&log), handle(&log));
    put(&mut first, 1, 1, 0, 10).expect("room");
    let appending = thread::spawn(move || put(&mut first, 2, 2, 0, 10));
    assert_eq!(put_under(&mut second, neighbour(), 3, 1, 0, 10), Ok(()), "charged with another number's");
    assert_eq!(appending.join().expect("no panic"), Ok(()), "charged with another number's");
    assert_eq!(names(&mut second, 5), [2, 1]);
}

/// A writer takes back and overwrites what a reader may be reading.
fn reclaim_and_walk() {
    walk_beside_reclaim(9);
}

/// As `reclaim_and_walk`, with a reader whose clock says that all has expired: it reads the headers for that.
fn reclaim_and_walk_past_the_expiry() {
    walk_beside_reclaim(10);
}

fn walk_beside_reclaim(reader_ms: u64) {
    let log = log(1, 2);
    // Two handles, one segment: made for this scene only.
    let (mut writer, mut reader) = (handle(&log), handle(&log));
    put(&mut writer, 1, 9, 0, 10).expect("room");
    let writing = thread::spawn(move || put(&mut writer, 2, 9, 10, 20));
    let seen = names(&mut reader, reader_ms);
    assert!(seen.len() <= 1 && (reader_ms < 10 || seen != [1]), "{seen:?}");
    let written = writing.join().expect("no panic");
    let now = names(&mut reader, 10);
    assert_eq!(now, if written.is_ok() { vec![2] } else { vec![] });
}

/// Two writers want the one segment that can be taken back, under the eyes of a reader.
fn two_writers_want_one_segment() {
    let log = log(1, 2);
    let (mut first, mut second) = (handle(&log), handle(&log));
    put(&mut first, 1, 9, 0, 10).expect("room");
    let writing = thread::spawn(move || put(&mut first, 2, 9, 10, 20).is_ok());
    let mine = put(&mut second, 3, 9, 11, 21).is_ok();
    let theirs = writing.join().expect("no panic");
    assert!(!(mine && theirs), "one segment, two owners");
    let seen = names(&mut second, 12);
    assert_eq!(seen.len(), usize::from(mine) + usize::from(theirs));
}

/// As in `reclaim_and_walk`, with a writer more: both overwrite in turn what the reader may be reading.
fn two_writers_and_a_reader() {
    let log = log(1, 3);
    let (mut first, mut second, mut reader) = (handle(&log), handle(&log), handle(&log));
    put(&mut first, 1, 9, 0, 10).expect("room");
    let writing = thread::spawn(move || put(&mut first, 2, 9, 10, 20).is_ok());
    let walking = thread::spawn(move || names(&mut reader, 9));
    let mine = put(&mut second, 3, 9, 20, 30).is_ok();
    writing.join().expect("no panic");
    assert!(walking.join().expect("no panic").len() <= 1);
    assert_eq!(names(&mut second, 20), if mine { vec![3] } else { vec![] });
}

/// A writer takes back the older of two segments of a chain and overwrites it while a reader walks both.
fn reclaim_behind_a_live_record() {
    let log = log(2, 2);
    let (mut writer, mut reader) = (handle(&log), handle(&log));
    put(&mut writer, 1, 9, 0, 10).expect("room");
    put(&mut writer, 2, 9, 5, 15).expect("room");
    let writing = thread::spawn(move || put(&mut writer, 3, 9, 10, 20).is_ok());
    let seen = names(&mut reader, 9);
    // Whoever is slower than ten milliseconds between clock and walk may miss what expired meanwhile.
    let live = [vec![2, 1], vec![3, 2, 1], vec![2], vec![3, 2]];
    assert!(live.contains(&seen), "{seen:?}");
    let written = writing.join().expect("no panic");
    assert_eq!(names(&mut reader, 10), if written { vec![3, 2] } else { vec![2] });
}

/// One thread lets go of its handle while another takes the place and the segment.
fn a_handle_passes_on() {
    let log = log(1, 1);
    let mut first = handle(&log);
    put(&mut first, 1, 9, 0, 10).expect("room");
    let leaving = thread::spawn(move || {
        assert_eq!(names(&mut first, 9), [1]);
        drop(first);
    });
    if let Ok(mut second) = log.handle() {
        assert_eq!(put(&mut second, 2, 9, 10, 20), Ok(()), "the last owner has left");
        assert_eq!(names(&mut second, 10), [2]);
    }
    leaving.join().expect("no panic");
    assert!(log.handle().is_ok());
}

/// A drain runs beside an append, and another follows.
fn append_and_drain() {
    let log = log(2, 2);
    let mut writer = handle(&log);
    let appending = thread::spawn({
        move || {
            put(&mut writer, 1, 9, 0, 10).expect("room");
            put(&mut writer, 2, 9, 0, 10).expect("room");
        }
    });
    let mut cursor = DrainCursor::default();
    let mut seen = drain(&log, &mut cursor);
    appending.join().expect("no panic");
    seen.extend(drain(&log, &mut cursor));
    seen.sort_unstable();
    assert_eq!(seen, [1, 2]);
}

/// A writer takes back and overwrites what a drain may be lending.
fn reclaim_and_drain() {
    let log = log(1, 1);
    let mut writer = handle(&log);
    put(&mut writer, 1, 9, 0, 10).expect("room");
    let writing = thread::spawn(move || put(&mut writer, 2, 9, 10, 20).is_ok());
    let mut cursor = DrainCursor::default();
    let mut seen = drain(&log, &mut cursor);
    let written = writing.join().expect("no panic");
    seen.extend(drain(&log, &mut cursor));
    assert_eq!(seen.contains(&2), written);
    assert!(seen.iter().filter(|&&name| name == 1).count() <= 1, "{seen:?}");
}

/// A record leaves memory, and its place is written again, while a reader walks.
fn leave_and_walk() {
    let log = log_beyond(2, 2);
    let (mut writer, mut reader) = (handle(&log), handle(&log));
    put(&mut writer, 1, 9, 0, 10).expect("room");
    put(&mut writer, 2, 9, 0, 10).expect("room");
    let mut cursor = DrainCursor::default();
    drain(&log, &mut cursor);
    let leaving = thread::spawn({
        let log = Arc::clone(&log);
        move || {
            let left = log.evict(&cursor, 1, at(5));
            (left, put(&mut writer, 3, 9, 5, 15).is_ok())
        }
    });
    let seen = names(&mut reader, 5);
    assert!(seen == [2, 1] || seen == [3, 2, 1], "{seen:?}");
    let (left, written) = leaving.join().expect("no panic");
    assert_eq!(left, 1);
    assert_eq!(names(&mut reader, 5), if written { vec![3, 2, 1] } else { vec![2, 1] });
    assert_eq!(names(&mut reader, 10), if written { vec![3] } else { vec![] });
}

/// What has left memory expires, and its stub is written again, while a reader walks.
fn stubs_go_and_walk() {
    let log = log_beyond(1, 2);
    let (mut writer, mut reader) = (handle(&log), handle(&log));
    let mut cursor = DrainCursor::default();
    let mut leave = |handle: &mut LogHandle, name, now, expires_at| {
        put(handle, name, 9, now, expires_at)?;
        // Seals the segment, unless there is another.
        assert_eq!(put(handle, 0, 9, now, expires_at), Err(Refusal::StoreFull));
        drain(&log, &mut cursor);
        Ok::<_, Refusal>(log.evict(&cursor, 1, at(now)))
    };
    assert_eq!((leave(&mut writer, 1, 0, 10), leave(&mut writer, 2, 1, 11)), (Ok(1), Ok(1)));
    let walking = thread::spawn(move || {
        let seen = names(&mut reader, 9);
        (seen, reader)
    });
    let third = leave(&mut writer, 3, 11, 20);
    let fourth = leave(&mut writer, 4, 12, 20);
    let (seen, mut reader) = walking.join().expect("no panic");
    let is_live = |seen: &[u8]| seen.is_sorted_by(|newer, older| newer > older) && !seen.contains(&0);
    assert!(is_live(&seen), "{seen:?}");
    let kept: Vec<u8> =
        [(4, fourth), (3, third)].iter().filter(|(_, kept)| kept.is_ok()).map(|(name, _)| *name).collect();
    assert_eq!(names(&mut reader, 12), kept);
}

fn drain(log: &PlacementLog, cursor: &mut DrainCursor) -> Vec<u8> {
    let mut names = Vec::new();
    let _ = log.drain(cursor, &mut |range| {
        for record in records(range.bytes) {
            let record = record.expect("whole records");
            if record.is_void() {
                continue;
            }
            let name = record.id.as_bytes()[0];
            assert_eq!(record.body, [name; 8]);
            names.push(name);
        }
        ControlFlow::Continue(())
    });
    names
}

#[test]
fn a_record_is_seen_whole_or_not_at_all() {
    loom::model(publish_and_walk);
}

#[test]
fn of_a_batch_each_record_is_seen_whole_and_in_order() {
    loom::model(publish_batch_and_walk);
}

#[test]
fn a_batch_keeps_the_bound_beside_another_append() {
    loom::model(batch_at_the_bound);
}

#[test]
fn of_two_appends_to_one_chain_both_stay() {
    loom::model(two_appends);
}

#[test]
fn of_two_appends_at_the_bound_one_is_refused() {
    loom::model(two_appends_at_the_bound);
}

#[test]
fn numbers_that_share_a_bucket_have_each_its_own_bound() {
    loom::model(two_numbers_at_their_bounds);
}

#[test]
fn a_segment_is_not_written_while_somebody_reads_it() {
    loom::model(reclaim_and_walk);
}

#[test]
fn a_reader_past_the_expiry_reads_headers_that_nobody_overwrites_meanwhile() {
    loom::model(reclaim_and_walk_past_the_expiry);
}

#[test]
fn a_segment_has_one_owner() {
    loom::model(two_writers_want_one_segment);
}

#[test]
fn a_segment_has_one_owner_even_if_others_read_it() {
    loom::model(two_writers_and_a_reader);
}

#[test]
fn a_live_record_outlasts_the_segment_behind_it() {
    loom::model(reclaim_behind_a_live_record);
}

#[test]
fn a_handle_s_place_is_clean_when_another_takes_it() {
    loom::model(a_handle_passes_on);
}

#[test]
fn beside_a_writer_everything_is_drained_once() {
    loom::model(append_and_drain);
}

#[test]
fn a_segment_is_not_written_while_it_is_drained() {
    loom::model(reclaim_and_drain);
}

#[test]
fn a_record_that_leaves_memory_is_found_all_the_time() {
    loom::model(leave_and_walk);
}

#[test]
fn a_stub_is_not_written_while_somebody_reads_it() {
    loom::model(stubs_go_and_walk);
}

#[test]
#[should_panic(expected = "[2]")]
fn a_segment_taken_back_before_its_stubs_are_there_would_be_noticed() {
    weakened(Weakening::Stubs);
    loom::model(leave_and_walk);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_reader_of_stubs_that_shows_nobody_it_is_inside_would_be_noticed() {
    weakened(Weakening::Pin);
    loom::model(stubs_go_and_walk);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_relaxed_publish_would_be_noticed() {
    weakened(Weakening::Publish);
    loom::model(publish_and_walk);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_pin_without_its_fence_would_be_noticed() {
    weakened(Weakening::PinFence);
    loom::model(reclaim_and_walk);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn reuse_without_the_reclaimer_s_fence_would_be_noticed() {
    weakened(Weakening::ReclaimFence);
    loom::model(reclaim_and_walk);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_relaxed_unpin_would_be_noticed() {
    weakened(Weakening::Unpin);
    loom::model(reclaim_and_walk);
}

#[test]
#[should_panic(expected = "cut off by one that had expired")]
fn a_relaxed_look_before_linking_would_be_noticed() {
    weakened(Weakening::Link);
    loom::model(two_appends);
}

#[test]
#[should_panic(expected = "cut off by one that had expired")]
fn a_chain_out_of_order_would_be_noticed() {
    weakened(Weakening::Expiry);
    loom::model(two_appends);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_relaxed_offer_to_the_drain_would_be_noticed() {
    weakened(Weakening::Drained);
    loom::model(append_and_drain);
}
