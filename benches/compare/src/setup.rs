//! What the measurements of the log have in common: its configuration and the workload that fits it.

use std::sync::Arc;

use herald_core::TelephoneNumber;
use herald_log::limits::record_bytes;
use herald_log::{LogConfig, LogHandle, PlacementLog};

use crate::failure::Failure;
use crate::limits::{ARENA_BYTES_MAX, ARENA_BYTES_MIN, RUNS_MAX, THREADS_MAX};
use crate::workload::Workload;

/// Bytes of a body given to the log, as in the trials of the design.
pub(crate) const BODY_BYTES: usize = 600;
/// Bytes the log writes before a body.
pub(crate) const HEADER_BYTES: usize = 48;

/// The arena that `--arena-mib` asks for, in bytes.
pub(crate) fn arena_bytes(arena_mib: usize) -> Result<usize, Failure> {
    let arena_bytes = arena_mib.saturating_mul(1 << 20);
    if !(ARENA_BYTES_MIN..=ARENA_BYTES_MAX).contains(&arena_bytes) {
        return Err(Failure::Options("--arena-mib takes 256 to 6144"));
    }
    Ok(arena_bytes)
}

/// The runs that `--runs` asks for.
pub(crate) fn runs(runs: u32) -> Result<u32, Failure> {
    if !(1..=RUNS_MAX).contains(&runs) {
        return Err(Failure::Options("--runs takes 1 to 99"));
    }
    Ok(runs)
}

/// A log as the engine makes it, for a thread on each core.
pub(crate) fn log_of(arena_bytes: usize, segment_bytes: usize) -> Result<Arc<PlacementLog>, Failure> {
    Ok(PlacementLog::create(LogConfig {
        arena_bytes,
        segment_bytes,
        hash_key: std::array::from_fn(|index| u8::try_from(index).expect("32 bytes")),
        handles_max: THREADS_MAX,
    })?)
}

/// A handle for each of `count` threads.
pub(crate) fn handles(log: &Arc<PlacementLog>, count: usize) -> Result<Vec<LogHandle>, Failure> {
    (0..count).map(|_| Ok(log.handle()?)).collect()
}

/// A workload under a virtual clock that fits an arena.
pub(crate) fn workload_of(draws: &[TelephoneNumber], arena_bytes: usize, body_bytes: usize) -> Workload<'_> {
    Workload::in_arena(draws, arena_bytes, record_bytes(body_bytes), body_bytes)
}
