//! The journal beside a plain sequential writer on the same disk, in one run.
//!
//! Placements of 640 bytes go the real way: log, journal's thread, RocksDB in a folder. Each run ends when all of
//! it is on the disk, then the journal is opened again and must hold everything that is still live. Between runs
//! of the journal a plain file is written with as many bytes, forced to the disk in the same rhythm.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a table on standard output is the program")]

mod beyond;
mod limits;
mod plain;
mod processor;
mod report;
mod rig;
mod workload;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use herald_core::limits::RETENTION_MAX_MS;
use herald_journal::{Durability, Fault};
use herald_log::LogError;

use crate::limits::ROUNDS_MAX;
use crate::plain::{Duty, Kept, Written};
use crate::report::{Course, Figures, Yardsticks};
use crate::rig::{Setup, Until};
use crate::workload::Bodies;

/// Measures the journal beside a plain sequential writer.
#[derive(Parser)]
struct Options {
    /// A folder on the disk to measure.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
    /// Rounds; the table shows their median.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of one run.
    #[arg(long, default_value_t = 6.0)]
    seconds: f64,
    /// Memory of the log, in MiB.
    #[arg(long, default_value_t = 5120)]
    arena_mib: usize,
    /// Memory for the journal's generations where they are to fit, in MiB.
    #[arg(long, default_value_t = 9216)]
    journal_mib: usize,
    /// Milliseconds a placement lives.
    #[arg(long, default_value_t = 2000)]
    retention_ms: u64,
    /// Only what has these words in its name.
    #[arg(long, default_value = "")]
    only: String,
    /// Stores that wait for their commit at once in `synced`.
    #[arg(long, default_value_t = 131_072)]
    in_flight: usize,
    /// Measure retention beyond memory instead, once.
    #[arg(long)]
    beyond: bool,
}

/// Why there are no figures.
#[derive(Debug)]
enum Failure {
    Options(&'static str),
    Log(LogError),
    Journal(Fault),
    Disk(std::io::Error),
    Stalled,
    NotCommitted,
    Lost { wanted: u64, found: u64 },
    Unreadable { damaged: u64, refused: u64 },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Options(bounds) => f.write_str(bounds),
            Self::Log(error) => error.fmt(f),
            Self::Journal(fault) => fault.fmt(f),
            Self::Disk(error) => write!(f, "the disk to measure refuses: {error}; name another --folder"),
            Self::Stalled => f.write_str("the journal took nothing for a minute; see what the disk does"),
            Self::NotCommitted => f.write_str("a store was not committed; see what the disk does"),
            Self::Lost { wanted, found } => {
                write!(f, "the journal holds {found} of {wanted} placements that live: that is a fault of it")
            }
            Self::Unreadable { damaged, refused } => write!(
                f,
                "{damaged} blocks were damaged, {refused} placements did not fit into memory; give --arena-mib more"
            ),
        }
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Journal(fault)
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let table = if options.beyond {
        beyond::table(&options.folder, &Bodies::new())
    } else {
        measure(&options).map(|figures| figures.table())
    };
    match table {
        Ok(table) => {
            print!("{table}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("no figures: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<Figures, Failure> {
    if !(1..=ROUNDS_MAX).contains(&options.rounds) {
        return Err(Failure::Options("--rounds is 1 to 99"));
    }
    let bodies = Bodies::new();
    let mut figures = Figures::default();
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        for course in Course::ALL.into_iter().filter(|course| course.name().contains(&options.only)) {
            eprintln!("  {}", course.name());
            round_of(options, course, &bodies, &mut figures)?;
        }
    }
    Ok(figures)
}

/// One run, and the plain writers after it where there is something to compare.
fn round_of(
    options: &Options,
    course: Course,
    bodies: &Bodies,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let journal_bytes = match course {
        Course::BufferedBeyond | Course::SyncedBeyond => BEYOND_BYTES,
        _ => options.journal_mib << 20,
    };
    let retention_ms = match course {
        // Nothing of it is to expire before it is read again.
        Course::Restart => RETENTION_MAX_MS,
        _ => options.retention_ms,
    };
    let setup = Setup {
        durability: course.durability(),
        arena_bytes: options.arena_mib << 20,
        retention_ms,
        journal_bytes,
        in_flight_max: options.in_flight,
        handles: if course == Course::Restart { HANDLES } else { 1 },
        warm_up: match course {
            Course::MemoryBurst | Course::BufferedBurst | Course::Restart => Duration::ZERO,
            _ => WARM_UP_SPANS * Duration::from_millis(kept_ms(retention_ms)),
        },
    };
    let until = match course {
        // A burst that neither fills the log nor has to wait for the disk.
        Course::MemoryBurst | Course::BufferedBurst => {
            Until::Stores((setup.arena_bytes / BURST_SHARE / 1024) as u64)
        }
        Course::Restart => Until::Stores((setup.arena_bytes / RESTART_SHARE / 1024) as u64),
        _ => Until::Elapsed(Duration::from_secs_f64(options.seconds)),
    };
    let folder = tempfile::tempdir_in(&options.folder).map_err(Failure::Disk)?;
    let outcome = rig::run(&folder.path().join("journal"), &setup, bodies, until)?;
    let yardsticks = match course.durability() {
        Durability::Memory => None,
        _ if matches!(until, Until::Stores(_)) => None,
        _ => {
            let kept = Kept { bytes: kept_bytes(options, &outcome), files: kept_files(options.retention_ms) };
            let beside = |duty| plain_beside(folder.path(), bodies, &outcome, duty);
            let [writer, remover, log] = [Duty::None, Duty::Removing(kept), Duty::Log(kept)].map(beside);
            Some(Yardsticks { writer: writer?, remover: remover?, log: log? })
        }
    };
    figures.add(course, outcome, yardsticks);
    Ok(())
}

/// Bytes of memory for generations where they are not to fit.
const BEYOND_BYTES: usize = 64 << 20;
/// What part of the arena a burst fills: less than the journal may lag behind before stores are slowed.
const BURST_SHARE: usize = 16;

/// How many times as long as anything is kept a course stores before it is measured: as many go as come then, and the
/// memory of what has gone is used again.
const WARM_UP_SPANS: u32 = 2;
/// What part of the arena is stored before a restart: what a plain machine reads back in seconds.
const RESTART_SHARE: usize = 2;

/// Segments that fill at once before a restart: recovery has to merge them.
const HANDLES: usize = 2;

/// How long, in ms, a record stays in RocksDB's memory: for a retention and the generation in which that ends.
const fn kept_ms(retention_ms: u64) -> u64 {
    retention_ms + herald_journal::limits::generation_ms(retention_ms)
}

/// Generations in that time.
const fn kept_files(retention_ms: u64) -> u64 {
    kept_ms(retention_ms) / herald_journal::limits::generation_ms(retention_ms)
}

/// Bytes of records in RocksDB's memory once as many go as come.
fn kept_bytes(options: &Options, outcome: &rig::Outcome) -> u64 {
    let share = kept_ms(options.retention_ms) as f64 / 1e3 / outcome.elapsed.as_secs_f64();
    (outcome.record_bytes as f64 * share) as u64
}

fn plain_beside(
    folder: &Path,
    bodies: &Bodies,
    outcome: &rig::Outcome,
    duty: Duty,
) -> Result<Written, Failure> {
    plain::write(folder, bodies.bytes(), outcome.record_bytes, outcome.sync_bytes(), duty)
        .map_err(Failure::Disk)
}
