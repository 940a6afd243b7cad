//! The bounds of the log and what happens there, and what outlives what.
#![cfg(not(loom))]

mod common;

use std::sync::Arc;

use common::{at, id, is_filled, number, placement};
use herald_core::{NewPlacement, PlacementId, PlacementStore, Refusal};
use herald_log::{LogConfig, LogError, LogHandle, PlacementLog, limits};

const SEGMENT_BYTES: usize = limits::SEGMENT_BYTES_MIN;
/// A record of 1,024 bytes and its header: fourteen to a segment.
const BODY_BYTES: usize = 1024;
const RECORDS_PER_SEGMENT: u64 = 14;
const SEGMENTS: u64 = 32;

fn config() -> LogConfig {
    LogConfig {
        arena_bytes: SEGMENT_BYTES * 32,
        segment_bytes: SEGMENT_BYTES,
        hash_key: [1; 32],
        handles_max: 2,
    }
}

fn log() -> Arc<PlacementLog> {
    PlacementLog::create(config()).expect("a valid configuration")
}

fn put(handle: &mut LogHandle, to: u64, name: u64, now_ms: u64, expires_at_ms: u64) -> Result<(), Refusal> {
    let mut body = [0; BODY_BYTES];
    handle.append(&placement(number(to), id(name, 0), expires_at_ms, &mut body), 1000, at(now_ms))
}

fn ids(handle: &mut LogHandle, of: u64, now_ms: u64) -> Vec<PlacementId> {
    let mut ids = Vec::new();
    handle.for_each_live(number(of), at(now_ms), &mut |item| {
        assert!(is_filled(item.body, number(of), item.id), "a body that is not its own");
        ids.push(item.id);
    });
    ids
}

#[test]
fn a_placement_is_seen_by_every_handle_until_it_expires_and_by_no_other_number() {
    let log = log();
    let (mut writer, mut reader) = (log.handle().expect("one"), log.handle().expect("two"));
    put(&mut writer, 1, 7, 100, 200).expect("room");
    for handle in [&mut writer, &mut reader] {
        assert_eq!(ids(handle, 1, 199), [id(7, 0)]);
        assert_eq!(ids(handle, 1, 200), []);
        assert_eq!(ids(handle, 2, 100), []);
    }
}

#[test]
fn a_walk_shows_each_body_whole_whatever_the_length_of_the_one_before() {
    const SIZES: [usize; 9] = [640, 640, 1, 8192, 8192, 63, 640, 64, 1];
    let log = log();
    let (mut writer, mut reader) = (log.handle().expect("one"), log.handle().expect("two"));
    let mut expected = Vec::new();
    for (name, &size) in (0..).zip(&SIZES) {
        for to in [1, 2] {
            let mut body = vec![0; size];
            let new = placement(number(to), id(name, to), 1000, &mut body);
            writer.append(&new, 1000, at(0)).expect("room");
            expected.push((to, id(name, to), body));
        }
    }
    let of = |to: u64| expected.iter().rev().filter(move |(of, ..)| *of == to).cloned();
    for to in [1, 2, 1] {
        let mut seen = Vec::new();
        reader.for_each_live(number(to), at(0), &mut |item| seen.push((to, item.id, item.body.to_vec())));
        assert!(seen.iter().cloned().eq(of(to)), "one by one");
    }
    let (names, mut seen) = ([2, 1, 2], Vec::new());
    reader.for_each_live_batch(&names.map(number), at(0), &mut |place, item| {
        seen.push((names[place], item.id, item.body.to_vec()));
    });
    assert!(seen.iter().cloned().eq(of(2).chain(of(1)).chain(of(2))), "in a batch");
}

#[test]
fn the_store_refuses_when_full_of_live_placements_and_has_room_again_after_they_expired() {
    let log = log();
    let mut handle = log.handle().expect("one");
    for round in 0..5 {
        let (now_ms, expires_at_ms) = (round * 1000, round * 1000 + 1000);
        for name in 0..SEGMENTS * RECORDS_PER_SEGMENT {
            assert_eq!(
                put(&mut handle, name, name, now_ms, expires_at_ms),
                Ok(()),
                "{name} of round {round}"
            );
        }
        assert_eq!(put(&mut handle, 9999, 0, now_ms, expires_at_ms), Err(Refusal::StoreFull));
        assert_eq!(put(&mut handle, 9999, 0, expires_at_ms - 1, expires_at_ms + 5), Err(Refusal::StoreFull));
        assert_eq!(ids(&mut handle, 9999, now_ms), []);
        for name in 0..SEGMENTS * RECORDS_PER_SEGMENT {
            assert_eq!(ids(&mut handle, name, expires_at_ms - 1), [id(name, 0)]);
        }
    }
}

#[test]
fn a_stalled_reader_delays_reuse_and_sees_its_placement_unchanged() {
    let log = log();
    let (mut writer, mut reader) = (log.handle().expect("one"), log.handle().expect("two"));
    for name in 0..SEGMENTS * RECORDS_PER_SEGMENT {
        put(&mut writer, name, name, 0, 1000).expect("room");
    }
    let mut visits = 0;
    reader.for_each_live(number(0), at(999), &mut |item| {
        // All has expired, but this reader has been inside since before.
        for now_ms in 2000..2010 {
            assert_eq!(put(&mut writer, 1, 0, now_ms, now_ms + 1000), Err(Refusal::StoreFull));
        }
        assert!(is_filled(item.body, number(0), item.id));
        visits += 1;
    });
    assert_eq!(visits, 1);
    assert_eq!(log.stats().segments_free, 32, "all were given up, and wait");
    assert_eq!(put(&mut writer, 1, 0, 2010, 3010), Ok(()));
}

#[test]
fn a_reader_that_enters_after_segments_were_given_up_does_not_delay_their_reuse() {
    let log = log();
    let (mut writer, mut reader) = (log.handle().expect("one"), log.handle().expect("two"));
    for name in 0..SEGMENTS * RECORDS_PER_SEGMENT {
        put(&mut writer, 3, name, 0, 1000).expect("room");
    }
    put(&mut writer, 4, 1, 1000, 2000).expect("the first have expired");
    reader.for_each_live(number(4), at(1500), &mut |_| {
        for name in 1..(SEGMENTS - 1) * RECORDS_PER_SEGMENT {
            put(&mut writer, 5, name, 1500, 2500).expect("room");
        }
    });
}

#[test]
fn at_most_records_max_placements_of_a_number_are_live() {
    let log = log();
    let mut handle = log.handle().expect("one");
    let mut body = [0; 8];
    let mut append = |to: u64, records_max: u32, now_ms: u64| {
        let new = placement(number(to), id(now_ms, to), now_ms + 100, &mut body);
        handle.append(&new, records_max, at(now_ms))
    };
    assert_eq!(append(1, 0, 0), Err(Refusal::NumberFull));
    assert_eq!(append(1, 2, 0), Ok(()));
    assert_eq!(append(1, 2, 50), Ok(()));
    assert_eq!(append(1, 2, 99), Err(Refusal::NumberFull));
    assert_eq!(append(2, 2, 99), Ok(()));
    assert_eq!(append(1, 2, 100), Ok(()), "the first has expired");
    assert_eq!(append(1, 2, 149), Err(Refusal::NumberFull));
    assert_eq!(append(1, 3, 149), Ok(()));
}

#[test]
fn a_younger_reading_of_the_clock_published_first_keeps_the_older_one_alive_behind_it() {
    let log = log();
    let (mut early, mut late) = (log.handle().expect("one"), log.handle().expect("two"));
    put(&mut late, 1, 1, 10, 1010).expect("room");
    // This writer read the clock before the other and publishes after it.
    put(&mut early, 1, 2, 5, 1005).expect("room");
    let mut expiries = Vec::new();
    late.for_each_live(number(1), at(1009), &mut |item| expiries.push(item.expires_at.as_millis()));
    assert_eq!(expiries, [1010, 1010]);
}

#[test]
fn a_slow_writer_does_not_hold_expired_placements_for_long() {
    let log = log();
    let mut handle = log.handle().expect("one");
    let in_use = || log.stats().segments_total - log.stats().segments_free;
    for now_ms in (0..100_000).step_by(100) {
        put(&mut handle, now_ms, now_ms, now_ms, now_ms + 1000).expect("room");
        assert!(in_use() <= 11, "{} segments for ten live placements", in_use());
    }
    // Then it only reads; another writer takes back what it left.
    assert_eq!(ids(&mut handle, 99_900, 101_000), []);
    put(&mut log.handle().expect("two"), 1, 1, 101_000, 102_000).expect("room");
    assert_eq!(in_use(), 1);
}

#[test]
fn a_dropped_handle_leaves_its_placements_and_its_place() {
    let log = log();
    let mut first = log.handle().expect("one");
    put(&mut first, 1, 1, 0, 100).expect("room");
    let mut second = log.handle().expect("two");
    assert_eq!(log.handle().err(), Some(LogError::HandlesTaken { handles_max: 2 }));
    drop(first);
    assert_eq!(ids(&mut second, 1, 50), [id(1, 0)]);
    assert_eq!(ids(&mut log.handle().expect("the dropped one's place"), 1, 50), [id(1, 0)]);
}

#[test]
fn restored_placements_keep_their_expiry_and_count_as_any_others() {
    let log = log();
    let mut handle = log.handle().expect("one");
    let mut body = [0; BODY_BYTES];
    for name in 0..40 {
        let new = placement(number(1), id(name, 0), 500 + name, &mut body);
        handle.restore(&new).expect("room");
    }
    let mut seen = Vec::new();
    handle.for_each_live(number(1), at(510), &mut |item| seen.push((item.id, item.expires_at)));
    let expected: Vec<_> = (11..40).rev().map(|name| (id(name, 0), at(500 + name))).collect();
    assert_eq!(seen, expected);
    let new = placement(number(1), id(99, 0), 1510, &mut body);
    assert_eq!(handle.append(&new, 29, at(510)), Err(Refusal::NumberFull));
    assert_eq!(handle.append(&new, 30, at(510)), Ok(()));
    // What was restored is taken back like anything else.
    for round in 1..4 {
        for name in 0..(SEGMENTS - 2) * RECORDS_PER_SEGMENT {
            put(&mut handle, 2, name, round * 2000, round * 2000 + 1000).expect("room");
        }
    }
}

#[test]
fn restoring_more_than_fits_is_refused() {
    let log = log();
    let mut handle = log.handle().expect("one");
    let mut body = [0; BODY_BYTES];
    let new = placement(number(1), id(1, 1), 500, &mut body);
    let kept = (0..10_000).take_while(|_| handle.restore(&new) == Ok(())).count();
    assert_eq!(u64::try_from(kept), Ok(SEGMENTS * RECORDS_PER_SEGMENT));
}

#[test]
fn a_full_log_holds_whole_records_of_the_common_size_and_nothing_else() {
    for (segment_bytes, segments, body_bytes) in [
        (1 << 14, 32, 640),
        (1 << 14, 200, 640),
        (1 << 15, 33, 640),
        (1 << 20, 32, 640),
        (1 << 14, 200, BODY_BYTES),
        (1 << 15, 33, 8192),
        (1 << 16, 40, 1),
    ] {
        let case = format!("{segments} segments of {segment_bytes} bytes, bodies of {body_bytes}");
        let config = LogConfig { segment_bytes, arena_bytes: segments * segment_bytes, ..config() };
        let log = PlacementLog::create(config.clone()).expect("a valid configuration");
        let mut handle = log.handle().expect("one");
        let mut body = vec![0; body_bytes];
        let mut kept = 0;
        for name in 0.. {
            let new = placement(number(name), id(name, 0), 1000, &mut body);
            if handle.append(&new, 1, at(0)).is_err() {
                break;
            }
            kept += 1;
        }
        let (stats, record_bytes) = (log.stats(), limits::record_bytes(body_bytes));
        let room_bytes = stats.arena_bytes / stats.segments_total;
        assert_eq!(kept, stats.segments_total * (room_bytes / record_bytes), "{case}");
        let tail_bytes = stats.arena_bytes - kept * record_bytes;
        assert_eq!(tail_bytes == 0, room_bytes.is_multiple_of(record_bytes), "{case}: {tail_bytes} bytes");
        assert_eq!(tail_bytes == 0, [640, 1].contains(&body_bytes), "{case}: {tail_bytes} bytes");
        let left_bytes = config.arena_bytes - stats.arena_bytes;
        assert!(left_bytes < room_bytes && stats.segments_free == 0, "{case}: {left_bytes} bytes");
        for name in (0..kept as u64).step_by(7) {
            assert_eq!(ids(&mut handle, name, 999), [id(name, 0)], "{case}");
        }
    }
}

#[test]
#[should_panic(expected = "a placement of 8193 bytes")]
fn a_body_over_the_bound_is_a_programming_error() {
    let mut handle = log().handle().expect("one");
    let new = NewPlacement { number: number(1), id: id(0, 0), expires_at: at(10), body: &[0; 8193] };
    handle.append(&new, 1, at(0)).ok();
}

#[test]
fn a_configuration_out_of_bounds_is_refused_with_the_value_at_fault() {
    type Change = fn(&mut LogConfig);
    let error = |change: Change| {
        let mut config = config();
        change(&mut config);
        PlacementLog::create(config).err().expect("an error").to_string()
    };
    let cases: [(Change, &str); 7] = [
        (|config| config.handles_max = 0, "a log of 0 handles"),
        (|config| config.handles_max = 1025, "a log of 1025 handles"),
        (|config| config.segment_bytes = 8192, "segments of 8192 bytes"),
        (|config| config.segment_bytes = 20_000, "segments of 20000 bytes"),
        (|config| config.arena_bytes += 8, "an arena of 524296 bytes"),
        (|config| config.arena_bytes = 31 * SEGMENT_BYTES, "an arena of 507904 bytes"),
        (|config| config.arena_bytes = limits::ARENA_BYTES_MAX * 2, "an arena of 2199023255552 bytes"),
    ];
    for (change, expected) in cases {
        let message = error(change);
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn the_key_is_not_shown() {
    let shown = format!("{:?}", LogConfig { hash_key: [213; 32], ..config() });
    assert!(!shown.contains("213") && shown.contains("524288"), "{shown}");
}

#[test]
fn handles_may_move_between_threads() {
    fn assert_send<T: Send>(_: &T) {}
    fn assert_shared<T: Send + Sync>(_: &T) {}
    let log = log();
    assert_shared(&log);
    assert_send(&log.handle().expect("one"));
}
