//! Figures for the table of targets. See benches/run.sh.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Write as _};

/// Appends a figure to the file named by `BENCH_RESULTS`, if there is one.
pub(crate) fn record(row: &str, value: f64, unit: &str, least: f64, most: f64) -> io::Result<()> {
    let Some(path) = env::var_os("BENCH_RESULTS") else { return Ok(()) };
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    writeln!(file, "{row}\t{value}\t{unit}\t{least}\t{most}")
}
