//! Threads that do one thing again and again, and how fast they were. Knows neither engine nor disk.

use std::ops::AddAssign;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use super::Interrupt;
use crate::output::Failure;

/// How a run ends.
#[derive(Clone, Copy)]
pub(super) struct Until {
    /// After this time.
    pub(super) elapsed: Duration,
    /// After this many placements of each thread, if that is sooner.
    pub(super) placements: u64,
    /// Operations of a thread between two looks at the clock.
    pub(super) stride: u64,
}

/// What came of one run.
#[derive(Clone, Copy, Default)]
pub(super) struct Run {
    pub(super) tally: Tally,
    pub(super) elapsed: Duration,
}

impl Run {
    pub(super) fn per_second(&self) -> f64 {
        // Counts and times here are far below what a float holds exactly.
        self.tally.done as f64 / self.elapsed.as_secs_f64()
    }
}

/// Placements or retrieves that were done, and those that were told to come again later.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) done: u64,
    pub(super) refused: u64,
}

impl Tally {
    pub(super) const DONE: Self = Self { done: 1, refused: 0 };
    pub(super) const REFUSED: Self = Self { done: 0, refused: 1 };

    /// How many were tried.
    const fn tried(self) -> u64 {
        self.done + self.refused
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, more: Self) {
        self.done += more.done;
        self.refused += more.refused;
    }
}

/// What came of one operation.
pub(super) type Done = Result<Tally, Failure>;

/// Starts a thread for each of `works` and lets them do their operation until it is over; each is
/// told how many placements of its thread came before.
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
    let mut whole = Run::default();
    for run in runs {
        let run = run?;
        whole.tally += run.tally;
        whole.elapsed = whole.elapsed.max(run.elapsed);
    }
    Ok(whole)
}

fn on_one_thread(
    mut work: impl FnMut(u64) -> Done,
    until: Until,
    interrupt: &Interrupt,
) -> Result<Run, Failure> {
    let mut run = Run::default();
    let began = Instant::now();
    while run.elapsed < until.elapsed && run.tally.tried() < until.placements {
        interrupt.check()?;
        for _ in 0..until.stride {
            let tally = work(run.tally.tried())?;
            run.tally += tally;
            if tally.refused > 0 {
                std::thread::sleep(REFUSED_PAUSE);
            }
        }
        run.elapsed = began.elapsed();
    }
    Ok(run)
}

/// How long a thread that is refused waits before it comes again.
const REFUSED_PAUSE: Duration = Duration::from_millis(1);
