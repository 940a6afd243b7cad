//! Threads on a log whose memory goes round.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use herald_core::PlacementStore;
use herald_log::{BeyondConfig, Keeper, LogConfig, LogHandle, PlacementLog, limits};

use crate::check::{Tally, Violation, check};
use crate::history::{Event, Recorder};
use crate::kept::{Kept, Leaving};
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
    /// Whether records leave the log's memory meanwhile.
    pub leaving: Leaving,
    /// Wider histories are left out.
    pub overlap_max: usize,
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
    let kept = (plan.leaving != Leaving::Never).then(|| Arc::new(Kept::new(plan.leaving)));
    let log = small_log(&mut random, kept.as_ref());
    let mut stores: Vec<S> = (0..THREADS).map(|_| wrap(log.handle().expect("one each"))).collect();
    let recorder = Recorder::new(1_700_000_000_000);
    let mut tally = Tally::default();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _over = Over(&is_over);
        if let Some(kept) = &kept {
            scope.spawn(|| kept.make_leave(&log, &recorder, &is_over));
        }
        for episode in 0.. {
            if tally.operations >= plan.operations_min {
                break;
            }
            tally.add(&check(episode_of(episode, &mut stores, &recorder, &mut random), plan.overlap_max)?);
        }
        Ok(())
    })?;
    let read = kept.map_or(u64::MAX, |kept| kept.reads());
    let read_min = u64::try_from(plan.operations_min / 10).expect("small");
    assert!(read >= read_min, "{read} bodies were read that had left memory");
    let rounds = log.stats().segments_opened / u64::try_from(SEGMENTS).expect("small");
    let rounds_min = u64::try_from(plan.operations_min / 10_000).expect("small");
    assert!(rounds >= rounds_min, "memory went round {rounds} times only");
    Ok(tally)
}

/// Ends a loop on another thread however this one ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The smallest there may be for the threads; with somebody to keep them, as many records more may have left memory.
fn small_log(random: &mut Random, kept: Option<&Arc<Kept>>) -> Arc<PlacementLog> {
    let mut hash_key = [0; 32];
    hash_key.fill_with(|| random.next_word().to_le_bytes()[0]);
    let config = LogConfig {
        arena_bytes: SEGMENTS * limits::SEGMENT_BYTES_MIN,
        segment_bytes: limits::SEGMENT_BYTES_MIN,
        hash_key,
        handles_max: THREADS,
    };
    let log = match kept {
        None => PlacementLog::create(config),
        Some(kept) => {
            let beyond =
                BeyondConfig { bytes: config.arena_bytes, keeper: Arc::clone(kept) as Arc<dyn Keeper> };
            PlacementLog::create_beyond(config, &beyond)
        }
    };
    log.expect("a valid configuration")
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
