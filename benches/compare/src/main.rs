//! The placement log and the service beside other stores and the limits of memory, on one machine.
//!
//! `stores` gives the same placements to all of them; `expiry` looks at what expiry costs the log, `curves` at how
//! cost grows; `touch` readies memory; `judge` holds the figures of all sections against what is asked. Each prints Markdown for
//! docs/PERF.md; see benches/run.sh for the two variables it reads.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a table on standard output is the program")]

mod comparison;
mod curves;
mod expiry;
mod failure;
mod limits;
mod measure;
mod plot;
mod report;
mod results;
mod setup;
mod stores;
mod targets;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};

use crate::failure::Failure;

/// Measures the placement log beside its peers.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The log and other stores.
    Stores(comparison::Options),
    /// The log before anything expires and while the oldest expire.
    Expiry(expiry::Options),
    /// How cost grows.
    Curves(curves::Options),
    /// Records and bytes of one full log; `curves` starts it.
    Memory(curves::MemoryOptions),
    /// Touches memory, so that the machine below a virtual one has it ready; prints what a page took, in microseconds.
    Touch {
        /// How much, in MiB.
        mib: usize,
    },
    /// Whether the figures in a file of results hold what is asked.
    Judge {
        /// The file; benches/run.sh describes its lines.
        results: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Options::parse().command {
        Command::Stores(options) => comparison::compare(&options),
        Command::Expiry(options) => expiry::measure(&options),
        Command::Curves(options) => curves::measure(&options),
        Command::Memory(options) => curves::memory(&options),
        Command::Touch { mib } => Ok(format!("{:.2}\n", touch(mib))),
        Command::Judge { results } => judge(&results),
    };
    match done {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("herald-compare: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Writes to each page of memory of its own. Returns the microseconds a page took.
fn touch(mib: usize) -> f64 {
    let mut memory = vec![0_u8; mib << 20];
    let began = Instant::now();
    let mut pages = memory.chunks_mut(limits::PAGE_BYTES);
    let count = pages.len().max(1);
    pages.by_ref().for_each(|page| page[0] = 1);
    let took = began.elapsed();
    std::hint::black_box(&memory);
    took.as_secs_f64() * 1e6 / count as f64
}

fn judge(path: &std::path::Path) -> Result<String, Failure> {
    let results = std::fs::read_to_string(path).map_err(Failure::file(path))?;
    targets::judge(&results).map_err(Failure::Results)
}
