//! What is handed on besides the tables: figures for the table of targets. See benches/run.sh.

use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use crate::failure::Failure;

/// Appends a figure to the file named by `BENCH_RESULTS`, if there is one.
pub(crate) fn record(row: &str, value: f64, unit: &str, least: f64, most: f64) -> Result<(), Failure> {
    let Some(path) = env::var_os("BENCH_RESULTS").map(PathBuf::from) else { return Ok(()) };
    let mut file = OpenOptions::new().append(true).create(true).open(&path).map_err(Failure::file(&path))?;
    writeln!(file, "{row}\t{value}\t{unit}\t{least}\t{most}").map_err(Failure::file(&path))
}
