//! What admitting stores costs with the real plugins, and what junk takes from honest stores: Markdown for docs/PERF.md.
#![allow(clippy::print_stdout, reason = "tables on standard output are the program")]

mod client;
mod clock;
mod junk;
mod limits;
mod results;
mod rig;
mod scheme;
mod stores;

use clap::Parser;

/// Measures admission.
#[derive(Parser)]
struct Options {
    /// A few rounds, to see that it runs.
    #[arg(long)]
    quick: bool,
}

fn main() -> Result<(), scheme::AnyError> {
    let rounds = if Options::parse().quick { limits::ROUNDS_QUICK } else { limits::ROUNDS };
    println!("{}", stores::measure(rounds)?);
    print!("{}", junk::measure(rounds)?);
    Ok(())
}
