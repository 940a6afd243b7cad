//! The placement log and the service beside a memory copy and a concurrent map, in one run on one machine.
//!
//! The same placements go to all of them: 600 bytes (640 through the service, its smallest size) for numbers
//! drawn evenly from ten million, each live for 60 s of a virtual clock that keeps three fifths of the arena
//! live, so that memory goes round and reclaiming is part of what is measured. Everything is in memory and
//! faulted in before the first run. Not measured: reading a clock, batches (the log takes one placement a
//! call), disks, networks.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a table on standard output is the program")]

mod limits;
mod measure;
mod report;
mod stores;
mod workload;

use std::fmt;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use herald_core::{TelephoneNumber, Timestamp};
use herald_log::{LogConfig, LogError, LogHandle, PlacementLog};
use memmap2::{Advice, MmapMut};

use crate::limits::{
    ARENA_BYTES_MAX, ARENA_BYTES_MIN, RUN_SECONDS_MAX, RUNS_MAX, SEGMENT_BYTES, THREADS_MAX,
};
use crate::measure::{Course, Rate};
use crate::report::{COPY, Figure, LOG, Operation, READS};
use crate::stores::{Chasing, Copying, Mapped, Retrieving, Served, Storing};
use crate::workload::{BEGIN, Workload};

/// Bytes of a body given to the log, as in the trials of the design.
const BODY_BYTES: usize = 600;
/// Bytes of a body given to the service: the smallest size it takes.
const SERVED_BODY_BYTES: usize = herald_core::limits::BODY_BUCKETS_BYTES[0];
/// Bytes the log writes before a body.
const HEADER_BYTES: usize = herald_log::limits::RECORD_BYTES_MAX - herald_core::limits::BODY_BYTES_MAX;

/// Compares the placement log with a memory copy and a concurrent map.
#[derive(Parser)]
struct Options {
    /// Memory of the log, in MiB; the copy takes as much again, the map up to twice.
    #[arg(long, default_value_t = 4096)]
    arena_mib: usize,
    /// Runs of each measurement; the table shows their median.
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Seconds of one run.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Write JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Why there are no figures.
#[derive(Debug)]
enum Failure {
    /// An option is out of bounds.
    Options(&'static str),
    /// The log cannot be made.
    Log(LogError),
    /// The system refuses the memory for the copy.
    Map(std::io::Error),
    /// A store refused a placement, which its memory has room for.
    Refused,
    /// A placement that is live was not found.
    Missing,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Options(bounds) => f.write_str(bounds),
            Self::Log(error) => error.fmt(f),
            Self::Map(error) => {
                write!(f, "no memory for the arena of the copy: {error}; give --arena-mib less")
            }
            Self::Refused => f.write_str(
                "a store refused a placement though its memory has room: a thread stood still for long, try \
                 again on a quieter machine or with a larger --arena-mib",
            ),
            Self::Missing => f.write_str("a live placement was not found: the figures would mean nothing"),
        }
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match compare(&options) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("herald-compare: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// How a measurement is run.
#[derive(Clone, Copy)]
struct Plan {
    arena_bytes: usize,
    runs: u32,
    run: Duration,
}

fn compare(options: &Options) -> Result<String, Failure> {
    let plan = plan(options)?;
    let draws = workload::draws();
    let mut figures = of_the_log(plan, &draws)?;
    figures.extend(of_the_map(plan, &draws)?);
    figures.sort_by_key(|figure| figure.operation);
    if options.json {
        return Ok(report::json(&figures, plan.arena_bytes, options.seconds).to_string());
    }
    Ok(report::table(&figures))
}

fn plan(options: &Options) -> Result<Plan, Failure> {
    let arena_bytes = options.arena_mib.saturating_mul(1 << 20);
    if !(ARENA_BYTES_MIN..=ARENA_BYTES_MAX).contains(&arena_bytes) {
        return Err(Failure::Options("--arena-mib takes 256 to 6144"));
    }
    if !(1..=RUNS_MAX).contains(&options.runs) {
        return Err(Failure::Options("--runs takes 1 to 99"));
    }
    if !(options.seconds > 0.0 && options.seconds <= RUN_SECONDS_MAX) {
        return Err(Failure::Options("--seconds takes more than 0, at most 60"));
    }
    Ok(Plan { arena_bytes, runs: options.runs, run: Duration::from_secs_f64(options.seconds) })
}

/// The log beside the copy, then the service over the same log: memory is faulted in once.
fn of_the_log(plan: Plan, draws: &[TelephoneNumber]) -> Result<Vec<Figure>, Failure> {
    let log = PlacementLog::create(LogConfig {
        arena_bytes: plan.arena_bytes,
        segment_bytes: SEGMENT_BYTES,
        hash_key: std::array::from_fn(|index| u8::try_from(index).expect("32 bytes")),
        handles_max: THREADS_MAX,
    })?;
    let workload = Workload::new(draws, plan.arena_bytes, HEADER_BYTES + BODY_BYTES, BODY_BYTES);
    let course = Course::new(&workload, BEGIN);
    course.fill(&mut handles(&log, 1)?)?;
    let mut figures = Vec::new();
    let mut arena = copy_arena(plan)?;
    for threads in 1..=THREADS_MAX {
        figures.extend(log_beside_copy(plan, &course, &mut handles(&log, threads)?, &mut arena)?);
    }
    drop(arena);

    // What was stored so far expires while the service fills the memory.
    let begin = course.now();
    let workload =
        Workload::new(draws, plan.arena_bytes, HEADER_BYTES + SERVED_BODY_BYTES, SERVED_BODY_BYTES);
    let course = Course::new(&workload, begin);
    let served = |threads| -> Result<Vec<_>, Failure> {
        let seeds_and_handles = (1..).zip(handles(&log, threads)?);
        Ok(seeds_and_handles.map(|(seed, handle)| Served::new(handle, seed, begin)).collect())
    };
    course.fill(&mut served(1)?)?;
    for threads in 1..=THREADS_MAX {
        let runs = in_turns(plan, &course, &mut served(threads)?, |_| ())?;
        figures.extend(runs.figures("service over the log", threads, SERVED_BODY_BYTES));
    }
    Ok(figures)
}

fn handles(log: &Arc<PlacementLog>, count: usize) -> Result<Vec<LogHandle>, Failure> {
    (0..count).map(|_| Ok(log.handle()?)).collect()
}

/// An arena as the log's: of the same size, in huge pages if there are any, faulted in.
fn copy_arena(plan: Plan) -> Result<MmapMut, Failure> {
    let mut arena = MmapMut::map_anon(plan.arena_bytes).map_err(Failure::Map)?;
    // A wish, as the log's is.
    arena.advise(Advice::HugePage).ok();
    arena.fill(1);
    Ok(arena)
}

/// The log and the limits of memory by turns, so that a change of the machine's mood meets all.
fn log_beside_copy(
    plan: Plan,
    course: &Course<'_>,
    log: &mut [LogHandle],
    arena: &mut [u8],
) -> Result<Vec<Figure>, Failure> {
    let threads = log.len();
    let copy_course = course.beginning_again();
    let (mut read, mut copied, mut runs) = (Vec::new(), Vec::new(), Runs::default());
    for _ in 0..plan.runs {
        let mut chases: Vec<_> = (1..=threads).map(|seed| Chasing::new(arena, seed)).collect();
        read.push(measure::run_chases(&mut chases, plan.run)?);
        let shares = arena.chunks_exact_mut(plan.arena_bytes / threads);
        let mut copies: Vec<_> = shares.map(|share| Copying::new(share, HEADER_BYTES)).collect();
        copied.push(copy_course.run_stores(&mut copies, plan.run)?);
        runs.stored.push(course.run_stores(log, plan.run)?);
        runs.retrieved.push(course.run_retrieves(log, plan.run)?);
    }
    course.prove(&mut log[0])?;
    let mut figures = vec![
        Figure::new(READS, Operation::Read, threads, 1, &read),
        Figure::new(COPY, Operation::Store, threads, BODY_BYTES, &copied),
    ];
    figures.extend(runs.figures(LOG, threads, BODY_BYTES));
    Ok(figures)
}

/// The map. What has expired under numbers that were not called again is swept between runs, off the clock.
fn of_the_map(plan: Plan, draws: &[TelephoneNumber]) -> Result<Vec<Figure>, Failure> {
    let workload = Workload::new(draws, plan.arena_bytes, HEADER_BYTES + BODY_BYTES, BODY_BYTES);
    let course = Course::new(&workload, BEGIN);
    let map = Mapped::default();
    course.fill(&mut [map.clone()])?;
    map.sweep(course.now());
    let mut figures = Vec::new();
    for threads in 1..=THREADS_MAX {
        let runs = in_turns(plan, &course, &mut vec![map.clone(); threads], |now| map.sweep(now))?;
        figures.extend(runs.figures("DashMap of Vec", threads, BODY_BYTES));
    }
    Ok(figures)
}

/// How fast stores and retrieves went, one of each a run.
#[derive(Default)]
struct Runs {
    stored: Vec<Rate>,
    retrieved: Vec<Rate>,
}

impl Runs {
    fn figures(self, what: &'static str, threads: usize, body_bytes: usize) -> [Figure; 2] {
        [
            Figure::new(what, Operation::Store, threads, body_bytes, &self.stored),
            Figure::new(what, Operation::Retrieve, threads, body_bytes, &self.retrieved),
        ]
    }
}

/// Stores and retrieves by turns, `tidy_up` after each run of stores.
fn in_turns<S: Storing + Retrieving>(
    plan: Plan,
    course: &Course<'_>,
    stores: &mut [S],
    tidy_up: impl Fn(Timestamp),
) -> Result<Runs, Failure> {
    let mut runs = Runs::default();
    for _ in 0..plan.runs {
        runs.stored.push(course.run_stores(stores, plan.run)?);
        tidy_up(course.now());
        runs.retrieved.push(course.run_retrieves(stores, plan.run)?);
    }
    course.prove(&mut stores[0])?;
    Ok(runs)
}
