//! What expiry costs: stores into an empty log until the first placement expires, then for five retentions while the
//! oldest expire, each under a virtual clock that stores fill three fifths of the arena within a retention; and how
//! long single stores take meanwhile.

use std::fmt::Write as _;
use std::slice;
use std::time::Instant;

use clap::Args;
use hdrhistogram::Histogram;
use herald_core::{TelephoneNumber, Timestamp};
use herald_log::LogHandle;

use crate::failure::Failure;
use crate::limits::{CLOCK_READINGS, EXPIRY_RETENTIONS, SEGMENT_BYTES, THREADS_MAX};
use crate::measure::{Course, Rate};
use crate::results;
use crate::setup::{self, BODY_BYTES, handles, log_of, workload_of};
use crate::stores::{Placement, Storing};
use crate::targets::digits;
use crate::workload::{BEGIN, Distribution};

/// The options of `expiry`.
#[derive(Args)]
pub(crate) struct Options {
    /// Memory of the log, in MiB.
    #[arg(long, default_value_t = 2048)]
    arena_mib: usize,
    /// Logs that are filled, one after the other; the table shows their median.
    #[arg(long, default_value_t = 3)]
    runs: u32,
}

/// One log's life.
struct Life {
    /// Stores per second in the first half of the first retention, when the index is empty.
    rising: f64,
    /// In all of the first retention.
    before: f64,
    /// While the oldest expire.
    steady: f64,
    /// Nanoseconds of single stores while the oldest expire.
    latency: Histogram<u64>,
}

/// Runs all of it and returns the tables.
pub(crate) fn measure(options: &Options) -> Result<String, Failure> {
    let (arena_bytes, runs) = (setup::arena_bytes(options.arena_mib)?, setup::runs(options.runs)?);
    let draws = Distribution::Uniform.draws();
    let mut text = format!(
        "### Store while the oldest records expire\n\n\
         | threads | million/s, first half of a retention | before the first expiry | over {EXPIRY_RETENTIONS} \
         retentions | ratio (least to most) | single store, p50 | p99 | p99.9 | p99.99 | longest |\n\
         |--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for threads in 1..=THREADS_MAX {
        let mut lives = Vec::new();
        for run in 1..=runs {
            eprintln!("expiry: {threads} threads, run {run} of {runs}");
            lives.push(live(arena_bytes, &draws, threads)?);
        }
        row(&mut text, threads, &lives)?;
    }
    writeln!(text, "\nReading the clock takes {} ns, which each single store includes.", clock_ns())
        .expect("text grows without error");
    Ok(text)
}

fn live(arena_bytes: usize, draws: &[TelephoneNumber], threads: usize) -> Result<Life, Failure> {
    let log = log_of(arena_bytes, SEGMENT_BYTES)?;
    let workload = workload_of(draws, arena_bytes, BODY_BYTES);
    let course = Course::new(&workload, BEGIN);
    let mut handles = handles(&log, threads)?;
    let retention = workload.live_count();
    let all_kept = |rate: Rate| if rate.kept_share < 1.0 { Err(Failure::Refused) } else { Ok(rate.per_s) };
    let rising = all_kept(course.store_until(&mut handles, retention / 2)?)?;
    let risen = all_kept(course.store_until(&mut handles, retention)?)?;
    let steady = all_kept(course.store_until(&mut handles, (1 + EXPIRY_RETENTIONS) * retention)?)?;
    let mut timed: Vec<_> = handles.into_iter().map(Timed::new).collect();
    all_kept(course.store_until(&mut timed, (2 + EXPIRY_RETENTIONS) * retention)?)?;
    let mut latency = new_histogram();
    for of_thread in timed {
        latency.add(of_thread.nanoseconds).expect("both have the same bounds");
    }
    // Two halves of the same length: their harmonic mean.
    let before = 2.0 / (1.0 / rising + 1.0 / risen);
    Ok(Life { rising, before, steady, latency })
}

fn row(text: &mut String, threads: usize, lives: &[Life]) -> Result<(), Failure> {
    let spread = |of: &dyn Fn(&Life) -> f64| {
        let mut values: Vec<f64> = lives.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        (values[values.len() / 2], values[0], values[values.len() - 1])
    };
    let median = |of: &dyn Fn(&Life) -> f64| digits(spread(of).0);
    let micros = |quantile: f64| move |life: &Life| life.latency.value_at_quantile(quantile) as f64 / 1e3;
    let ratio = spread(&|life| life.steady / life.before);
    let p999 = spread(&micros(0.999));
    write!(
        text,
        "| {threads} | {} | {} | {} | {} ({} to {}) |",
        median(&|life| life.rising / 1e6),
        median(&|life| life.before / 1e6),
        median(&|life| life.steady / 1e6),
        digits(ratio.0),
        digits(ratio.1),
        digits(ratio.2),
    )
    .expect("text grows without error");
    for quantile in [0.5, 0.99, 0.999, 0.9999, 1.0] {
        write!(text, " {} µs |", median(&micros(quantile))).expect("text grows without error");
    }
    text.push('\n');
    let threads = if threads == 1 { String::new() } else { format!("_{threads}t") };
    results::record(&format!("expiry_ratio{threads}"), ratio.0, "", ratio.1, ratio.2)?;
    results::record(&format!("expiry_p999_us{threads}"), p999.0, "µs", p999.1, p999.2)
}

/// A handle whose stores are timed one by one.
struct Timed {
    log: LogHandle,
    nanoseconds: Histogram<u64>,
}

impl Timed {
    fn new(log: LogHandle) -> Self {
        Self { log, nanoseconds: new_histogram() }
    }
}

impl Storing for Timed {
    #[inline]
    fn store(&mut self, placements: &[Placement<'_>], now: Timestamp) -> Result<usize, Failure> {
        let mut kept = 0;
        for placement in placements {
            let began = Instant::now();
            kept += self.log.store(slice::from_ref(placement), now)?;
            self.nanoseconds.saturating_record(began.elapsed().as_nanos() as u64);
        }
        Ok(kept)
    }
}

/// Up to a minute, exact to two digits.
fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("bounds that fit each other")
}

/// The median of what lies between two readings of the clock, in nanoseconds.
fn clock_ns() -> u64 {
    let mut between = new_histogram();
    for _ in 0..CLOCK_READINGS {
        let began = Instant::now();
        between.saturating_record(began.elapsed().as_nanos() as u64);
    }
    between.value_at_quantile(0.5)
}
