//! Threads on a log whose memory goes round.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use herald_core::PlacementStore;
use herald_log::{LogConfig, LogHandle, PlacementLog, limits};

use crate::check::{Tally, Violation, check};
use crate::history::{Event, Recorder};
use crate::random::Random;
use crate::worker::{Scale, Worker};

const THREADS: usize = 4;
const SEGMENTS: usize = THREADS * limits::SEGMENTS_PER_HANDLE_MIN;
/// Calls of a thread in an episode. The next episode takes fresh numbers.
const CALLS: u64 = 120;
const SCALE: Scale = Scale {
    numbers: 24,
    retention_ms: 200,
    step_ms_end: 2,
    body_bytes_max: 1200,
    records_max: 12,
    batch_max: 40,
    pause: thread::yield_now,
};

/// How a log is driven.
#[derive(Clone, Copy, Debug)]
pub struct LogPlan {
    /// Decides the calls, not how threads interleave.
    pub seed: u64,
    /// At least so many calls are checked.
    pub operations_min: usize,
}

/// Drives a log through handles that `wrap` may change, and checks episode after episode.
///
/// # Errors
/// The first history that is not linearizable.
///
/// # Panics
/// If the log cannot be made, or memory never went round.
pub fn drive_log<S: PlacementStore + Send>(
    plan: LogPlan,
    mut wrap: impl FnMut(LogHandle) -> S,
) -> Result<Tally, Violation> {
    let mut random = Random(plan.seed);
    let log = small_log(&mut random);
    let mut stores: Vec<S> = (0..THREADS).map(|_| wrap(log.handle().expect("one each"))).collect();
    let recorder = Recorder::new(1_700_000_000_000);
    let mut tally = Tally::default();
    for episode in 0.. {
        if tally.operations >= plan.operations_min {
            break;
        }
        tally.add(&check(episode_of(episode, &mut stores, &recorder, &mut random))?);
    }
    let rounds = log.stats().segments_opened / u64::try_from(SEGMENTS).expect("small");
    let rounds_min = u64::try_from(plan.operations_min / 10_000).expect("small");
    assert!(rounds >= rounds_min, "memory went round {rounds} times only");
    Ok(tally)
}

/// The smallest there may be for the threads.
fn small_log(random: &mut Random) -> Arc<PlacementLog> {
    let mut hash_key = [0; 32];
    hash_key.fill_with(|| random.next_word().to_le_bytes()[0]);
    PlacementLog::create(LogConfig {
        arena_bytes: SEGMENTS * limits::SEGMENT_BYTES_MIN,
        segment_bytes: limits::SEGMENT_BYTES_MIN,
        hash_key,
        handles_max: THREADS,
    })
    .expect("a valid configuration")
}

fn episode_of<S: PlacementStore + Send>(
    episode: u64,
    stores: &mut [S],
    recorder: &Recorder,
    random: &mut Random,
) -> Vec<Event> {
    // Threads wait for each other in a loop, not asleep, or one would be done before the next has woken.
    let waiting = &AtomicUsize::new(stores.len());
    let numbers = episode * SCALE.numbers;
    thread::scope(|scope| {
        let started: Vec<_> = (0..)
            .zip(stores)
            .map(|(index, store)| {
                let (names, choices) = ((episode << 32) + (index << 24), Random(random.next_word()));
                scope.spawn(move || {
                    let mut worker = Worker::new(recorder, store, SCALE, choices, numbers, names);
                    waiting.fetch_sub(1, Ordering::SeqCst);
                    while waiting.load(Ordering::SeqCst) > 0 {
                        thread::yield_now();
                    }
                    worker.work(CALLS);
                    worker.into_events()
                })
            })
            .collect();
        started.into_iter().flat_map(|thread| thread.join().expect("no thread panics")).collect()
    })
}
