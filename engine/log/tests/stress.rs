//! Two writers and two readers on threads of their own, while memory goes round thousands of times.
#![cfg(not(loom))]

mod common;

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread;

use common::{Random, at, id, id_words, is_filled, number, placement};
use herald_core::{PlacementStore, Timestamp};
use herald_log::{LogConfig, LogHandle, PlacementLog, limits};

const WRITERS: u64 = 2;
const READERS: u64 = 2;
const SEGMENTS: usize = 80;
const APPENDS_PER_WRITER: u64 = 400_000;
const NUMBERS_PER_WRITER: u64 = 20;
/// Every append takes a millisecond of the shared clock, so about this many placements are live.
const RETENTION_MS: u64 = 500;

/// Refusals of a writer before the test gives up; each lets another thread go on.
const REFUSALS_MAX: u64 = 50_000_000;

struct Shared {
    log: Arc<PlacementLog>,
    clock_ms: AtomicU64,
    done: AtomicBool,
    /// For each number the newest name and its expiry, 32 bits each: what a reader must find.
    newest: Vec<AtomicU64>,
}

#[test]
fn readers_find_nothing_torn_foreign_or_expired_and_miss_nothing_live() {
    let log = PlacementLog::create(LogConfig {
        arena_bytes: SEGMENTS * limits::SEGMENT_BYTES_MIN,
        segment_bytes: limits::SEGMENT_BYTES_MIN,
        hash_key: [77; 32],
        handles_max: usize::try_from(WRITERS + READERS).expect("four"),
    })
    .expect("a valid configuration");
    let shared = Shared {
        log,
        clock_ms: AtomicU64::new(1000),
        done: AtomicBool::new(false),
        newest: (0..WRITERS * NUMBERS_PER_WRITER).map(|_| AtomicU64::new(0)).collect(),
    };
    let (mut seen, mut found) = (0, 0);
    thread::scope(|scope| {
        let shared = &shared;
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || shared.write(writer))).collect();
        let readers: Vec<_> = (0..READERS).map(|reader| scope.spawn(move || shared.read(reader))).collect();
        for writer in writers {
            writer.join().expect("a writer failed");
        }
        shared.done.store(true, Ordering::Relaxed);
        for reader in readers {
            let (seen_by_it, found_by_it) = reader.join().expect("a reader failed");
            seen += seen_by_it;
            found += found_by_it;
        }
    });
    let rounds = shared.log.stats().segments_opened / 80;
    assert!(rounds > 100, "memory went round {rounds} times");
    assert!(seen > 10_000 && found > 1000, "readers saw {seen} placements, {found} of them the newest");
}

impl Shared {
    fn now_ms(&self) -> u64 {
        self.clock_ms.load(Ordering::SeqCst)
    }

    /// Appends to numbers of its own until all are kept.
    fn write(&self, writer: u64) {
        let mut handle = self.log.handle().expect("one each");
        let mut random = Random(writer);
        let mut body = [0; 2048];
        let mut refused = 0u64;
        for name in 1..=APPENDS_PER_WRITER {
            let index = writer * NUMBERS_PER_WRITER + random.below(NUMBERS_PER_WRITER);
            let body = &mut body[..usize::try_from(1 + random.below(1200)).expect("small")];
            let expires_at_ms = loop {
                let now_ms = self.clock_ms.fetch_add(1, Ordering::SeqCst);
                let expires_at_ms = now_ms + RETENTION_MS;
                let new = placement(number(index), id(name, index), expires_at_ms, body);
                if handle.append(&new, 10_000, at(now_ms)).is_ok() {
                    break expires_at_ms;
                }
                // A reader that lost its processor inside a walk holds the memory; let it go on.
                refused += 1;
                assert!(refused < REFUSALS_MAX, "refused although every reader has left long ago");
                thread::yield_now();
            };
            let slot = &self.newest[usize::try_from(index).expect("small")];
            slot.store(name << 32 | expires_at_ms, Ordering::Release);
        }
    }

    /// Walks until the writers are done; returns how many placements it saw and how often the newest was due.
    fn read(&self, reader: u64) -> (u64, u64) {
        let mut handle = self.log.handle().expect("one each");
        let mut random = Random(100 + reader);
        let (mut seen, mut found) = (0, 0);
        while !self.done.load(Ordering::Relaxed) {
            let index = random.below(WRITERS * NUMBERS_PER_WRITER);
            let newest = self.newest[usize::try_from(index).expect("small")].load(Ordering::Acquire);
            let (due, due_until_ms) = (newest >> 32, newest & 0xffff_ffff);
            let names = walk(&mut handle, index, at(self.now_ms()));
            seen += u64::try_from(names.len()).expect("small");
            // If it is still live after the walk, it was live all along.
            if due_until_ms > self.now_ms() {
                assert!(names.contains(&due), "{due} of number {index} was missed among {}", names.len());
                found += 1;
            }
        }
        (seen, found)
    }
}

/// The names under a number, newest first, each placement checked.
fn walk(handle: &mut LogHandle, index: u64, now: Timestamp) -> Vec<u64> {
    let mut names: Vec<u64> = Vec::new();
    handle.for_each_live(number(index), now, &mut |item| {
        let (name, of) = id_words(item.id);
        assert_eq!(of, index, "a placement of another number");
        assert!(is_filled(item.body, number(index), item.id), "a torn body");
        assert!(item.expires_at > now, "an expired placement");
        assert!(names.last().is_none_or(|&newer| newer > name), "out of order");
        names.push(name);
    });
    names
}
