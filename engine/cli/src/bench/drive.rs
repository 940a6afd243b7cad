//! Threads that do one thing again and again, and how fast they were. Knows neither engine nor disk.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use super::Interrupt;
use crate::output::Failure;

/// How a run ends.
#[derive(Clone, Copy)]
pub(super) struct Until {
    /// After this time.
    pub(super) elapsed: Duration,
    /// After this many operations of each thread, if that is sooner.
    pub(super) operations: u64,
    /// Operations of a thread between two looks at the clock.
    pub(super) stride: u64,
}

/// What came of one run.
#[derive(Clone, Copy, Default)]
pub(super) struct Run {
    pub(super) done: u64,
    /// Operations that were told to come again later.
    pub(super) refused: u64,
    pub(super) elapsed: Duration,
}

impl Run {
    pub(super) fn per_second(&self) -> f64 {
        // Counts and times here are far below what a float holds exactly.
        self.done as f64 / self.elapsed.as_secs_f64()
    }
}

/// Whether an operation was done, or refused for now.
pub(super) type Done = Result<bool, Failure>;

/// Starts a thread for each of `works` and lets them do their operation, numbered from 0, until it is over.
///
/// # Errors
/// The first error of an operation, or the signal that ended the run.
pub(super) fn run<W>(works: Vec<W>, until: Until, interrupt: &Interrupt) -> Result<Run, Failure>
where
    W: FnMut(u64) -> Done + Send,
{
    let start = Barrier::new(works.len());
    let runs = std::thread::scope(|scope| {
        let start = &start;
        let threads: Vec<_> = works
            .into_iter()
            .map(|work| {
                scope.spawn(move || {
                    start.wait();
                    on_one_thread(work, until, interrupt)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no operation panics")).collect::<Vec<_>>()
    });
    runs.into_iter().try_fold(Run::default(), |sum, run| {
        let run = run?;
        Ok(Run {
            done: sum.done + run.done,
            refused: sum.refused + run.refused,
            elapsed: sum.elapsed.max(run.elapsed),
        })
    })
}

fn on_one_thread(
    mut work: impl FnMut(u64) -> Done,
    until: Until,
    interrupt: &Interrupt,
) -> Result<Run, Failure> {
    let mut run = Run::default();
    let began = Instant::now();
    while run.elapsed < until.elapsed && run.done + run.refused < until.operations {
        interrupt.check()?;
        for _ in 0..until.stride {
            if work(run.done + run.refused)? {
                run.done += 1;
            } else {
                run.refused += 1;
                std::thread::sleep(REFUSED_PAUSE);
            }
        }
        run.elapsed = began.elapsed();
    }
    Ok(run)
}

/// How long a thread that is refused waits before it comes again.
const REFUSED_PAUSE: Duration = Duration::from_millis(1);
