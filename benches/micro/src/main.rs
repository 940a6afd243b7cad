//! Instructions per operation of the hot path, counted by callgrind and held against a baseline.
//!
//! Instructions are not time, but they are the same on every run: a figure that moves shows a change of the code,
//! on a machine as noisy as it likes. Each operation runs in a process of its own under valgrind, many times over
//! the same numbers, keys and virtual clock; only what happens inside the loop
//! of `operations.rs` is counted.
//!
//! Not counted is what runs inside the C library (copying bytes, allocating): which variant of `memcpy` runs
//! depends on the processor and on the library's version. A body copied twice is for `herald bench` and
//! `benches/compare` to notice. Batches copy with stores of their own, which are counted: so singles and batches are
//! each compared with their own past, not with each other.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a table on standard output is the program")]

mod baseline;
mod callgrind;
mod operations;

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::baseline::{Baseline, Setting, Verdict};
use crate::operations::{OPERATIONS, Operation, PLANTED};

/// Counts the instructions of each operation of the hot path. `benches/micro.sh` runs it.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compare with the baseline; ends with 1 if an operation takes over 3 % more.
    Check {
        /// The baseline.
        #[arg(long, value_name = "FILE")]
        baseline: PathBuf,
    },
    /// Count, and write the baseline.
    Bless {
        /// The baseline.
        #[arg(long, value_name = "FILE")]
        baseline: PathBuf,
    },
    /// Show that the same code counts the same twice, and that a slower operation is noticed.
    SelfTest,
    /// Run one operation; what callgrind looks at.
    Run {
        /// Its name.
        operation: String,
    },
}

/// Why there is no verdict.
#[derive(Debug)]
struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn main() -> ExitCode {
    match run(&Options::parse().command) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("herald-micro: {failure}");
            ExitCode::from(EXIT_NO_VERDICT)
        }
    }
}

/// Nothing was compared.
const EXIT_NO_VERDICT: u8 = 2;

fn run(command: &Command) -> Result<ExitCode, Failure> {
    if cfg!(debug_assertions) {
        return Err(Failure("this is no release build; run benches/micro.sh".into()));
    }
    match command {
        Command::Run { operation } => {
            operation_named(operation)?.run();
            Ok(ExitCode::SUCCESS)
        }
        Command::Check { baseline } => check(&Baseline::read(baseline)?),
        Command::Bless { baseline } => {
            Baseline { setting: Setting::here()?, counts: count_all()? }.write(baseline)?;
            println!("written to {}", baseline.display());
            Ok(ExitCode::SUCCESS)
        }
        Command::SelfTest => self_test(),
    }
}

fn operation_named(name: &str) -> Result<&'static Operation, Failure> {
    let found = OPERATIONS.iter().chain([&PLANTED]).find(|operation| operation.name == name);
    found.ok_or_else(|| Failure(format!("there is no operation {name:?}")))
}

/// Instructions of each operation, one after the other.
fn count_all() -> Result<Vec<(String, f64)>, Failure> {
    let count = |operation: &Operation| {
        let instructions = callgrind::instructions_per_operation(operation)?;
        eprintln!("  {:<44} {instructions:>9.1}", operation.name);
        Ok((operation.name.to_owned(), instructions))
    };
    OPERATIONS.iter().map(count).collect()
}

fn check(baseline: &Baseline) -> Result<ExitCode, Failure> {
    let setting = Setting::here()?;
    let verdict = Verdict::of(&count_all()?, &baseline.counts);
    print!("{verdict}");
    if verdict.is_good() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("if it must be so: benches/micro.sh --bless, and say why in the commit");
    if setting != baseline.setting {
        println!(
            "skipped aloud: the baseline was counted with {}, this is {setting}: the difference may be the \
             compiler's",
            baseline.setting
        );
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

/// The first operation twice, then a slower one in its place, judged as a check would.
fn self_test() -> Result<ExitCode, Failure> {
    let first = &OPERATIONS[0];
    let row = |instructions| vec![(first.name.to_owned(), instructions)];
    let baseline = row(callgrind::instructions_per_operation(first)?);
    let again = Verdict::of(&row(callgrind::instructions_per_operation(first)?), &baseline);
    let slower = Verdict::of(&row(callgrind::instructions_per_operation(&PLANTED)?), &baseline);
    print!("the same code again:\n{again}{}:\n{slower}", PLANTED.name);
    if again.is_good() && !again.has_changes() && !slower.is_good() {
        println!("self-test: what is slower is noticed, and nothing else");
        return Ok(ExitCode::SUCCESS);
    }
    println!("self-test FAILED: the check would not notice a slower operation, or notices what is none");
    Ok(ExitCode::FAILURE)
}
