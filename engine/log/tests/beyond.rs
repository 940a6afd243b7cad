//! Records that have left memory are found as if they had not.
#![cfg(not(any(loom, shuttle)))]

mod common;

use std::sync::Arc;

use common::kept::Kept;
use common::{at, id, is_filled, number, placement};
use herald_core::{PlacementId, PlacementStore, Refusal};
use herald_log::{BeyondConfig, BeyondRecord, DrainCursor, LogConfig, LogHandle, PlacementLog};

const SEGMENT_BYTES: usize = 1 << 14;
const ARENA_BYTES: usize = 16 * SEGMENT_BYTES;
const RECORD_BYTES: usize = 704;
const RECORDS_PER_SEGMENT: u64 = (SEGMENT_BYTES / RECORD_BYTES) as u64;

struct Scene {
    log: Arc<PlacementLog>,
    handle: LogHandle,
    kept: Arc<Kept>,
    cursor: DrainCursor,
}

impl Scene {
    fn new(beyond_bytes: usize) -> Self {
        let kept = Arc::new(Kept::default());
        let config = LogConfig {
            arena_bytes: ARENA_BYTES,
            segment_bytes: SEGMENT_BYTES,
            hash_key: [3; 32],
            handles_max: 1,
        };
        let beyond = BeyondConfig { bytes: beyond_bytes, keeper: kept.clone() };
        let log = PlacementLog::create_beyond(config, &beyond).expect("a valid configuration");
        let handle = log.handle().expect("one is free");
        Self { log, handle, kept, cursor: DrainCursor::default() }
    }

    fn put(&mut self, index: u64, now_ms: u64, expires_at_ms: u64) -> Result<(), Refusal> {
        let mut body = [0; 640];
        let new = placement(number(index % 10), id(index, 0), expires_at_ms, &mut body);
        self.handle.append(&new, 10_000, at(now_ms))
    }

    fn drain(&mut self) {
        self.kept.drain(&self.log, &mut self.cursor);
    }

    /// The indexes of what lives under the number of `of`, newest first; bodies are checked.
    fn seen(&mut self, of: u64, now_ms: u64) -> Vec<u64> {
        let mut seen = Vec::new();
        self.handle.for_each_live(number(of), at(now_ms), &mut |item| {
            assert!(item.expires_at > at(now_ms));
            assert!(is_filled(item.body, number(of), item.id), "another's body");
            seen.push(common::id_words(item.id).0);
        });
        seen
    }
}

#[test]
fn what_has_left_memory_is_found_by_number_and_by_id_until_it_expires_and_its_room_is_used_again() {
    let mut scene = Scene::new(10 * ARENA_BYTES);
    let (count, mut refused) = (8 * 16 * RECORDS_PER_SEGMENT, 0);
    for round in 0..6 {
        let (first, now) = (round * count, 1_000 + round * 1_000);
        for index in first..first + count {
            if index % (2 * RECORDS_PER_SEGMENT) == 0 {
                scene.drain();
                scene.log.evict(&scene.cursor, 4, at(now));
            }
            refused += u64::from(scene.put(index, now, now + 900).is_err());
        }
        let beyond = scene.log.stats().records_beyond;
        assert!(beyond > count * 7 / 10 && beyond <= count, "{beyond} of {count} have left memory");
        for of in 0..10 {
            let expected: Vec<u64> = (first..first + count).rev().filter(|index| index % 10 == of).collect();
            assert!(scene.seen(of, now) == expected && scene.seen(of, now + 899) == expected, "{of}");
            assert!(scene.seen(of, now + 900).is_empty(), "expired");
            let reads = *scene.kept.reads.lock();
            let mut ids: Vec<PlacementId> = Vec::new();
            scene.handle.for_each_live_id(number(of), at(now), &mut |id| ids.push(id));
            assert!(ids.iter().map(|id| common::id_words(*id).0).eq(expected.iter().copied()));
            assert_eq!(*scene.kept.reads.lock(), reads, "ids are in memory");
            for wanted in [expected[0], expected[expected.len() - 1]] {
                let mut found = Vec::new();
                scene.handle.find_live(number(of), id(wanted, 0), at(now), &mut |item| {
                    found.push((item.id, item.body.len()));
                });
                assert_eq!(found, [(id(wanted, 0), 640)]);
            }
            assert!(*scene.kept.reads.lock() <= reads + 2, "of the others no body is read");
        }
        let batch: Vec<_> = (0..10).map(number).collect();
        let mut together = Vec::new();
        scene.handle.for_each_live_batch(&batch, at(now), &mut |place, item| {
            together.push((place as u64, common::id_words(item.id).0));
        });
        let one_by_one: Vec<_> =
            (0..10).flat_map(|of| scene.seen(of, now).into_iter().map(move |index| (of, index))).collect();
        assert!(together == one_by_one);
        scene.kept.segments.lock().clear();
    }
    assert_eq!((refused, scene.log.stats().records_unread), (0, 0));
}

#[test]
fn a_body_that_cannot_be_read_is_counted_and_the_others_are_shown() {
    let mut scene = Scene::new(ARENA_BYTES);
    let count = 12 * RECORDS_PER_SEGMENT;
    (0..count).for_each(|index| scene.put(index, 0, 100).expect("room"));
    scene.drain();
    let left = scene.log.evict(&scene.cursor, 10, at(1));
    assert_eq!(left, 6);
    scene.kept.segments.lock().remove(&1);
    let expected: Vec<u64> = (RECORDS_PER_SEGMENT..count).rev().filter(|index| index % 10 == 7).collect();
    assert_eq!(scene.seen(7, 1), expected);
    assert!(scene.log.stats().records_unread > 0);
}

#[test]
fn only_whole_segments_that_a_drain_has_seen_leave_and_no_more_than_there_is_room_for() {
    let mut scene = Scene::new(ARENA_BYTES / 4);
    let put = |scene: &mut Scene, segments: u64, first: u64| {
        let last = first + segments * RECORDS_PER_SEGMENT;
        (first..last).for_each(|index| scene.put(index, 0, 100).expect("room"));
    };
    put(&mut scene, 3, 0);
    assert_eq!(scene.log.evict(&scene.cursor, 16, at(1)), 0, "nothing was drained");
    scene.drain();
    let drained = scene.cursor.clone();
    put(&mut scene, 3, 1_000);
    // The third is open, then sealed with the same bytes.
    assert_eq!(scene.log.evict(&drained, 16, at(1)), 3, "no more was drained");
    assert_eq!(scene.log.evict(&drained, 16, at(1)), 0);
    let mut evicted = 3;
    for round in 2..20 {
        let room = scene.log.stats().segments_free as u64;
        if room == 0 {
            break;
        }
        put(&mut scene, room, round * 10_000);
        scene.drain();
        evicted += scene.log.evict(&scene.cursor, 16, at(1));
    }
    assert!((20..=24).contains(&evicted), "{evicted} left, for 20 segments there are stubs");
    assert!(scene.log.stats().segments_free < 16);
    assert_eq!(scene.put(0, 0, 100), Err(Refusal::StoreFull), "as if there were no room beyond");
    let live: usize = (0..10).map(|of| scene.seen(of, 1).len()).sum();
    assert!(live > 30 * RECORDS_PER_SEGMENT as usize, "{live}");
}

#[test]
fn what_a_journal_kept_is_restored_without_memory_for_bodies() {
    let mut scene = Scene::new(20 * ARENA_BYTES);
    let total = 10 * (ARENA_BYTES / RECORD_BYTES) as u64;
    let all: Vec<_> = (0..total)
        .map(|index| {
            let mut body = [0; 640];
            let offset = index * RECORD_BYTES as u64;
            let expires_at = at(1_000 + index / 10);
            let new = placement(number(index % 10), id(index, 0), 0, &mut body);
            scene.kept.restored.lock().insert((7, offset), new.body.to_vec());
            BeyondRecord { number: new.number, id: new.id, expires_at, origin: 7, offset }
        })
        .collect();
    assert_eq!(scene.log.restore_beyond(&all), Ok(all.len()));
    assert_eq!(scene.log.stats().segments_free, 16);
    scene.put(total, 500, 2_000 + total).expect("room");
    for (now_ms, oldest) in [(500, 0), (1_000, 10), (1_000 + 50, 510)] {
        let expected: Vec<u64> = (oldest..=total).rev().filter(|index| index % 10 == 3).collect();
        assert_eq!(scene.seen(3, now_ms), expected);
    }
    scene.drain();
    assert_eq!(
        scene.kept.segments.lock().values().map(Vec::len).sum::<usize>(),
        RECORD_BYTES,
        "not drained again"
    );
}

#[test]
fn a_full_log_is_restored_with_the_youngest_in_memory() {
    // As many records beyond memory as the first log may have, and as many more as its memory holds.
    let in_memory = 16 * RECORDS_PER_SEGMENT;
    let mut scene = Scene::new(2 * ARENA_BYTES);
    let beyond = (scene.log.stats().arena_bytes + 2 * ARENA_BYTES) as u64 / RECORD_BYTES as u64;
    let all: Vec<_> = (0..beyond + in_memory)
        .map(|index| {
            let mut body = [0; 640];
            let new = placement(number(index % 10), id(index, 0), 1_000 + index, &mut body);
            let offset = index * RECORD_BYTES as u64;
            scene.kept.restored.lock().insert((0, offset), new.body.to_vec());
            BeyondRecord { number: new.number, id: new.id, expires_at: new.expires_at, origin: 0, offset }
        })
        .collect();
    let taken: usize = all.chunks(100).map(|part| scene.log.restore_beyond(part).expect("tables")).sum();
    assert_eq!(taken as u64, beyond, "as many as may be beyond memory");
    for index in beyond..beyond + in_memory {
        let mut body = [0; 640];
        let new = placement(number(index % 10), id(index, 0), 1_000 + index, &mut body);
        scene.handle.restore(&new).expect("room in memory");
    }
    for of in 0..10 {
        let expected = (0..beyond + in_memory).rev().filter(|index| index % 10 == of);
        assert!(scene.seen(of, 1).into_iter().eq(expected), "{of}");
    }
}
