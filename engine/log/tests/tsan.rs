//! The log under everything at once, for ThreadSanitizer to watch: single appends and batches, walks, some of them
//! stalled, drains, handles that come and go, and memory that goes round all the while.
//!
//! The threads share nothing but the log: what they know of time goes from one to the other with `Relaxed`, which
//! orders nothing, so that every order the sanitizer sees is the log's own. A program of its own, since the test
//! harness orders its threads in the standard library, which the sanitizer does not see into. Built and run by
//! `tests/tsan.sh` alone, with `TSAN_SECONDS`, `TSAN_SEED` and, to show that a mistake is noticed, `TSAN_WEAKENED`.
#![allow(clippy::print_stdout, reason = "seed and counts belong to the result")]

mod common;

use core::ops::ControlFlow;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::{Random, at, id, id_words, is_filled, number, placement};
use herald_core::{NewPlacement, PlacementRef, PlacementStore, TelephoneNumber, Timestamp};
use herald_log::{DrainCursor, LogConfig, LogHandle, PlacementLog, Weakening, limits, records, weakened};

/// What the threads do, one each.
const WORKS: [Work; 6] = [
    Shared::append,
    Shared::append_batches,
    Shared::walk,
    Shared::walk_batches,
    Shared::stall,
    Shared::drain,
];
/// All of them but the drain have a handle.
const HANDLES: usize = WORKS.len() - 1;
const SEGMENTS: usize = HANDLES * limits::SEGMENTS_PER_HANDLE_MIN;
const NUMBERS: u64 = 40;
/// Every append takes a millisecond of the shared clock, so about this many calls' placements are live.
const RETENTION_MS: u64 = 150;
/// Calls between two looks at the time that is left, and between two changes of handle.
const CALLS: u64 = 500;

struct Shared {
    log: Arc<PlacementLog>,
    clock_ms: AtomicU64,
    until: Instant,
}

/// What a thread has done, and seen.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    kept: u64,
    refused: u64,
    seen: u64,
    drained: u64,
}

type Work = fn(&Shared, &mut Random) -> Done;

fn main() {
    weaken();
    let seconds = setting("TSAN_SECONDS").map_or(20, |text| text.parse().expect("TSAN_SECONDS is a count"));
    let seed = setting("TSAN_SEED").map_or(1, |text| text.parse().expect("TSAN_SEED is a number"));
    let config = LogConfig {
        arena_bytes: SEGMENTS * limits::SEGMENT_BYTES_MIN,
        segment_bytes: limits::SEGMENT_BYTES_MIN,
        hash_key: [77; 32],
        handles_max: HANDLES,
    };
    let shared = Shared {
        log: PlacementLog::create(config).expect("a valid configuration"),
        clock_ms: AtomicU64::new(1000),
        until: Instant::now() + Duration::from_secs(seconds),
    };
    let total = shared.run(seed);
    let rounds = shared.log.stats().segments_opened / u64::try_from(SEGMENTS).expect("small");
    println!("tsan: {seconds} s, seed {seed}, memory went round {rounds} times: {total:?}");
    let enough = rounds >= 2 && total.seen > total.kept / 10 && total.drained > total.kept / 10;
    assert!(enough, "too little happened to say anything");
}

fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn weaken() {
    match setting("TSAN_WEAKENED").as_deref() {
        None => {}
        Some("publish") => weakened(Weakening::Publish),
        Some("unpin") => weakened(Weakening::Unpin),
        Some("drained") => weakened(Weakening::Drained),
        Some(other) => panic!("TSAN_WEAKENED={other}: give publish, unpin or drained"),
    }
}

impl Shared {
    fn run(&self, seed: u64) -> Done {
        thread::scope(|scope| {
            let start =
                |(index, work): (u64, Work)| scope.spawn(move || work(self, &mut Random(seed * 100 + index)));
            let started: Vec<_> = (0..).zip(WORKS).map(start).collect();
            let ended = started.into_iter().map(|thread| thread.join().expect("no thread panics"));
            ended.fold(Done::default(), Done::plus)
        })
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    fn now_ms(&self) -> u64 {
        self.clock_ms.load(Ordering::Relaxed)
    }

    fn tick_ms(&self) -> u64 {
        self.clock_ms.fetch_add(1, Ordering::Relaxed)
    }

    /// Lets `call` use a handle until the time is up, a new one every so many calls.
    fn with_handles(&self, mut call: impl FnMut(&mut LogHandle)) {
        while !self.is_over() {
            let mut handle = self.log.handle().expect("one each");
            (0..CALLS).for_each(|_| call(&mut handle));
        }
    }

    fn append(&self, random: &mut Random) -> Done {
        let (mut done, mut name, mut body) = (Done::default(), 0, [0; 2048]);
        self.with_handles(|handle| {
            name += 1;
            let of = random.below(NUMBERS);
            let body = &mut body[..to_usize(1 + random.below(1200))];
            let now_ms = self.tick_ms();
            let new = placement(number(of), id(name, of), now_ms + RETENTION_MS, body);
            done.count(handle.append(&new, 100, at(now_ms)).is_ok());
        });
        done
    }

    fn append_batches(&self, random: &mut Random) -> Done {
        let (mut done, mut name) = (Done::default(), 1 << 40);
        self.with_handles(|handle| {
            let now_ms = self.tick_ms();
            let count = 1 + random.below(20);
            let mut bodies = vec![[0; 700]; to_usize(count)];
            let new = |body| {
                name += 1;
                let of = random.below(NUMBERS);
                let body: &mut [u8; 700] = body;
                let body = &mut body[..to_usize(1 + random.below(700))];
                placement(number(of), id(name, of), now_ms + RETENTION_MS, body)
            };
            let batch: Vec<NewPlacement<'_>> = bodies.iter_mut().map(new).collect();
            let mut results = vec![Ok(()); batch.len()];
            handle.append_batch(&batch, 100, at(now_ms), &mut results);
            results.iter().for_each(|result| done.count(result.is_ok()));
        });
        done
    }

    fn walk(&self, random: &mut Random) -> Done {
        let mut done = Done::default();
        self.with_handles(|handle| done.seen += self.walk_once(handle, random, || {}));
        done
    }

    fn walk_batches(&self, random: &mut Random) -> Done {
        let mut done = Done::default();
        self.with_handles(|handle| {
            let now = at(self.now_ms());
            let asked: Vec<u64> = (0..1 + random.below(20)).map(|_| random.below(NUMBERS)).collect();
            let numbers: Vec<TelephoneNumber> = asked.iter().map(|&of| number(of)).collect();
            handle.for_each_live_batch(&numbers, now, &mut |index, item| {
                look_at(&item, asked[index], now);
                done.seen += 1;
            });
        });
        done
    }

    /// Stays inside its walks for long, so that memory to be used again must wait for it.
    fn stall(&self, random: &mut Random) -> Done {
        let mut done = Done::default();
        while !self.is_over() {
            let mut handle = self.log.handle().expect("one each");
            done.seen += self.walk_once(&mut handle, random, || thread::sleep(Duration::from_millis(1)));
        }
        done
    }

    fn walk_once(&self, handle: &mut LogHandle, random: &mut Random, pause: impl Fn()) -> u64 {
        let (of, now, mut seen) = (random.below(NUMBERS), at(self.now_ms()), 0);
        handle.for_each_live(number(of), now, &mut |item| {
            pause();
            look_at(&item, of, now);
            seen += 1;
        });
        seen
    }

    fn drain(&self, _random: &mut Random) -> Done {
        let (mut done, mut cursor) = (Done::default(), DrainCursor::default());
        while !self.is_over() {
            let _ = self.log.drain(&mut cursor, &mut |range| {
                for record in records(range.bytes) {
                    let record = record.expect("whole records");
                    if record.is_void() {
                        continue;
                    }
                    assert!(is_filled(record.body, record.number, record.id), "a torn body");
                    done.drained += 1;
                }
                ControlFlow::Continue(())
            });
        }
        done
    }
}

impl Done {
    fn count(&mut self, is_kept: bool) {
        if is_kept {
            self.kept += 1;
        } else {
            // Somebody inside holds the memory; let it go on.
            self.refused += 1;
            thread::yield_now();
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            kept: self.kept + other.kept,
            refused: self.refused + other.refused,
            seen: self.seen + other.seen,
            drained: self.drained + other.drained,
        }
    }
}

fn look_at(item: &PlacementRef<'_>, of: u64, now: Timestamp) {
    assert_eq!(id_words(item.id).1, of, "a placement of another number");
    assert!(is_filled(item.body, number(of), item.id), "a torn body");
    assert!(item.expires_at > now, "an expired placement");
}

fn to_usize(count: u64) -> usize {
    usize::try_from(count).expect("small")
}
