//! shuttle's random schedules of larger scenes on the real log than loom can search: up to four threads that make
//! random calls, handles that come and go, restored placements, drains, and memory for a dozen records.
//!
//! Every schedule is a history that the checker of `tests/linear` must find linearizable, and every kept placement
//! must be drained once. shuttle treats every atomic as sequentially consistent: it tries interleavings, and weak
//! memory is loom's. Run by `engine/log/shuttle.sh`; `SHUTTLE_SCHEDULES` is how many schedules each scene gets. A
//! failure prints a schedule to give to `shuttle::replay`.
#![cfg(shuttle)]
#![allow(clippy::print_stdout, reason = "counts belong to the result")]

use core::ops::ControlFlow;
use std::collections::BTreeSet;
use std::sync::Arc;

use herald_core::{NewPlacement, PlacementRef, PlacementStore, Refusal, TelephoneNumber, Timestamp};
use herald_linear::{Event, OVERLAP_MAX, Operation, Outcome, Random, Recorder, Scale, Worker, check};
use herald_log::{DrainCursor, LogConfig, LogHandle, PlacementLog, Weakening, records, weakened};
use shuttle::rand::RngCore;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner, thread};

const SCALE: Scale = Scale {
    numbers: 2,
    retention_ms: 24,
    step_ms_end: 5,
    body_bytes_max: 80,
    records_max: 3,
    batch_max: 3,
    pause: thread::yield_now,
};
const START_MS: u64 = 1000;
/// Segments of two to four records.
const SEGMENT_BYTES: usize = 256;

/// Schedules within which a weakening must be noticed.
const WEAKENED_SCHEDULES: usize = 20_000;

/// Who takes part.
#[derive(Clone, Copy, Debug)]
struct Scene {
    /// Threads that append and walk.
    workers: u64,
    /// Handles that each of them uses, one after the other.
    handles: u64,
    /// Calls with each handle.
    calls: u64,
    /// Drains of one thread more, which is missing if there are none.
    drains: u64,
    segments: usize,
    /// Placements put back before the first append.
    restored: u64,
    scale: Scale,
}

/// Memory goes round under two writing and walking threads and a drain.
const SCARCE: Scene =
    Scene { workers: 2, handles: 1, calls: 8, drains: 3, segments: 3, restored: 0, scale: SCALE };
/// Three threads at the bound of one number, with room for all.
const BOUND: Scene = Scene {
    workers: 3,
    handles: 1,
    calls: 5,
    drains: 0,
    segments: 12,
    restored: 0,
    scale: Scale { numbers: 1, records_max: 2, batch_max: 2, ..SCALE },
};
/// Handles come and go, beside restored placements that expire and a drain that must pass them over.
const COMING: Scene =
    Scene { workers: 2, handles: 2, calls: 4, drains: 2, segments: 5, restored: 3, scale: SCALE };
/// Everything at once.
const CROWD: Scene =
    Scene { workers: 3, handles: 2, calls: 3, drains: 3, segments: 6, restored: 2, scale: SCALE };

impl Scene {
    fn play(self) {
        let mut random = Random(shuttle::rand::thread_rng().next_u64());
        let log = self.log();
        let recorder = Recorder::new(START_MS);
        let mut events = self.restore(&log, &recorder);
        let mut drained = Vec::new();
        thread::scope(|scope| {
            let (log, recorder) = (&log, &recorder);
            let started: Vec<_> = (1..=self.workers)
                .map(|index| {
                    let random = Random(random.next_word());
                    scope.spawn(move || self.work(log, recorder, random, index << 32))
                })
                .collect();
            let draining = scope.spawn(move || {
                let (mut cursor, mut names) = (DrainCursor::default(), Vec::new());
                (0..self.drains).for_each(|_| drain(log, &mut cursor, &mut names));
                (cursor, names)
            });
            events.extend(started.into_iter().flat_map(|thread| thread.join().expect("no thread panics")));
            let (mut cursor, mut names) = draining.join().expect("no thread panics");
            drain(log, &mut cursor, &mut names);
            drained = names;
        });
        self.look_again(&log, &recorder, &mut events);
        drained_once(&events, &drained, recorder.now_ms());
        check(events, OVERLAP_MAX).unwrap_or_else(|violation| panic!("{violation}"));
    }

    fn log(self) -> Arc<PlacementLog> {
        PlacementLog::create(LogConfig {
            arena_bytes: self.segments * SEGMENT_BYTES,
            segment_bytes: SEGMENT_BYTES,
            hash_key: [1; 32],
            handles_max: 4,
        })
        .expect("a valid configuration")
    }

    fn restore(self, log: &Arc<PlacementLog>, recorder: &Recorder) -> Vec<Event> {
        let mut handle = Restoring(log.handle().expect("the first"));
        let mut worker = Worker::new(recorder, &mut handle, self.scale, Random(7), 0, 0);
        (0..self.restored).for_each(|index| worker.append(index % self.scale.numbers, START_MS));
        worker.into_events()
    }

    fn work(
        self,
        log: &Arc<PlacementLog>,
        recorder: &Recorder,
        mut random: Random,
        names: u64,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        for turn in 0..self.handles {
            let mut handle = log.handle().expect("one each");
            let choices = Random(random.next_word());
            let mut worker = Worker::new(recorder, &mut handle, self.scale, choices, 0, names + (turn << 16));
            worker.work(self.calls);
            events.extend(worker.into_events());
        }
        events
    }

    /// Walks each number when all is quiet.
    fn look_again(self, log: &Arc<PlacementLog>, recorder: &Recorder, events: &mut Vec<Event>) {
        let mut handle = log.handle().expect("all are back");
        let mut worker = Worker::new(recorder, &mut handle, self.scale, Random(0), 0, 0);
        (0..self.scale.numbers).for_each(|number| worker.walk(number, recorder.now_ms()));
        events.extend(worker.into_events());
    }

    /// Plays it on `SHUTTLE_SCHEDULES` schedules: half of them random, half with few changes of thread (Burckhardt
    /// and others, 2010).
    fn try_schedules(self, name: &str) {
        let count = std::env::var("SHUTTLE_SCHEDULES").map_or(1000, |text| text.parse().expect("a count"));
        self.try_some(count);
        println!("shuttle: {name}: {count} schedules");
    }

    fn try_some(self, count: usize) {
        self.run(RandomScheduler::new(count / 2));
        self.run(PctScheduler::new(3, count - count / 2));
    }

    fn run(self, scheduler: impl Scheduler + 'static) {
        let mut config = Config::default();
        // What it warns of is said above.
        config.silence_warnings = true;
        // A scene takes a few hundred.
        config.max_steps = MaxSteps::FailAfter(50_000);
        Runner::new(scheduler, config).run(move || self.play());
    }
}

/// A handle whose appends restore.
struct Restoring(LogHandle);

impl PlacementStore for Restoring {
    fn append(&mut self, placement: &NewPlacement<'_>, _: u32, _: Timestamp) -> Result<(), Refusal> {
        self.0.restore(placement)
    }

    fn for_each_live(&mut self, _: TelephoneNumber, _: Timestamp, _: &mut dyn FnMut(PlacementRef<'_>)) {}
}

fn drain(log: &PlacementLog, cursor: &mut DrainCursor, names: &mut Vec<u64>) {
    let _ = log.drain(cursor, &mut |range| {
        for record in records(range.bytes) {
            let record = record.expect("overwritten while it was drained");
            if record.is_void() {
                continue;
            }
            names.push(u64::from_le_bytes(*record.id.as_bytes().first_chunk().expect("16 bytes")));
        }
        ControlFlow::Continue(())
    });
}

/// What was appended and cannot have been taken back has been drained, and nothing twice.
fn drained_once(events: &[Event], drained: &[u64], now_ms: u64) {
    let once: BTreeSet<u64> = drained.iter().copied().collect();
    assert_eq!(once.len(), drained.len(), "drained twice: {drained:?}");
    for event in events {
        if let &Operation::Append { name, expiry, outcome: Outcome::Kept, .. } = &event.operation {
            let is_restored = name >> 32 == 0;
            assert!(!(is_restored && once.contains(&name)), "{name} was restored and drained");
            assert!(is_restored || expiry.min <= now_ms || once.contains(&name), "{name} was not drained");
        }
    }
}

#[test]
fn memory_that_is_scarce_goes_round() {
    SCARCE.try_schedules("scarce memory");
}

#[test]
fn a_bound_is_kept_by_three_who_reach_it() {
    BOUND.try_schedules("one bound");
}

#[test]
fn handles_come_and_go_beside_restored_placements() {
    COMING.try_schedules("handles come and go");
}

#[test]
fn a_crowd_is_linearizable() {
    CROWD.try_schedules("a crowd");
}

#[test]
#[should_panic(expected = "overwritten while it was")]
fn a_reader_that_nobody_sees_would_be_noticed() {
    weakened(Weakening::Pin);
    SCARCE.try_some(WEAKENED_SCHEDULES);
}

#[test]
#[should_panic(expected = "no order explains")]
fn a_chain_out_of_order_would_be_noticed() {
    weakened(Weakening::Expiry);
    CROWD.try_some(WEAKENED_SCHEDULES);
}

// A record is lost, or a chain leads back to itself.
#[test]
#[should_panic]
fn a_swap_in_two_steps_would_be_noticed() {
    weakened(Weakening::Swap);
    BOUND.try_some(WEAKENED_SCHEDULES);
}
