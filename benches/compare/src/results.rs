//! What is handed on besides the tables: figures for the table of targets, and drawings. See benches/run.sh.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

use crate::failure::Failure;

/// Appends a figure to the file named by `BENCH_RESULTS`, if there is one.
pub(crate) fn record(row: &str, value: f64, unit: &str, least: f64, most: f64) -> Result<(), Failure> {
    let Some(path) = env::var_os("BENCH_RESULTS").map(PathBuf::from) else { return Ok(()) };
    let mut file = OpenOptions::new().append(true).create(true).open(&path).map_err(Failure::file(&path))?;
    writeln!(file, "{row}\t{value}\t{unit}\t{least}\t{most}").map_err(Failure::file(&path))
}

/// Writes a drawing to the folder named by `BENCH_PLOTS`, if there is one.
pub(crate) fn draw(name: &str, svg: &str) -> Result<(), Failure> {
    let Some(folder) = env::var_os("BENCH_PLOTS").map(PathBuf::from) else { return Ok(()) };
    let path = folder.join(name);
    fs::write(&path, svg).map_err(Failure::file(&path))
}
