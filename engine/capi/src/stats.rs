//! What an engine did, as numbers: a copy of one moment, with names as monitoring knows them.

#![expect(unsafe_code, reason = "no_mangle counts as unsafe; tests/tidy allows no other here")]

use core::ffi::c_char;

use crate::boundary::{Engine, Error, Stats};
use crate::call::{call, free};
use crate::engine::with;
use crate::failure::Failure;
use crate::handle::Table;
use crate::limits::{STAT_NAME_BYTES_MAX, STATS_MAX};
use crate::status::Status;

/// The values of one moment, and the text that shows them all.
struct Snapshot {
    values: Vec<(String, f64)>,
    text: String,
}

static SNAPSHOTS: Table<Snapshot> = Table::new(5, "snapshot of stats", STATS_MAX);

/// [any thread] Copies the counters and gauges of an engine: what it stored, refused and showed, and why; memory, journal,
/// connections, plugins, sources. Since 0.1.
///
/// *stats is written on success and does not change any more; free it with herald_stats_free. Some ten microseconds; no
/// store waits for it. Nothing in it tells placements from cover, nor names a number.
#[unsafe(no_mangle)]
pub extern "C" fn herald_engine_stats(
    engine: *mut Engine,
    stats: *mut *mut Stats,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let out = scope.out(stats, "stats")?;
        let snapshot = with(engine, |open| {
            let stats = open.engine.stats();
            Ok(Snapshot { values: stats.named().collect(), text: stats.text() })
        })?;
        out.set(SNAPSHOTS.insert(snapshot)?);
        Ok(())
    })
}

/// [any thread] How many values there are. Since 0.1.
///
/// *count is written on success.
#[unsafe(no_mangle)]
pub extern "C" fn herald_stats_count(
    stats: *const Stats,
    count: *mut usize,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let out = scope.out(count, "count")?;
        out.set(SNAPSHOTS.get(stats)?.values.len());
        Ok(())
    })
}

/// [any thread] Copies the name of value index, counted from 0, as in herald_not_stored_total{reason="number_full"}.
/// Since 0.1.
///
/// buffer takes capacity bytes: the name and a NUL. *length, unless length is NULL, is told the bytes without the NUL,
/// also with HERALD_BUFFER_TOO_SMALL. HERALD_OUT_OF_RANGE past the last one.
#[unsafe(no_mangle)]
pub extern "C" fn herald_stats_name(
    stats: *const Stats,
    index: usize,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let snapshot = SNAPSHOTS.get(stats)?;
        let (name, _) = snapshot.values.get(index).ok_or_else(|| none_at(index, &snapshot))?;
        scope.buffer(buffer.cast(), capacity, length).text(name)
    })
}

/// [any thread] Value index, counted from 0. What is counted is whole, and exact up to 2^53; times are seconds.
/// Since 0.1.
///
/// *value is written on success. HERALD_OUT_OF_RANGE past the last one.
#[unsafe(no_mangle)]
pub extern "C" fn herald_stats_value(
    stats: *const Stats,
    index: usize,
    value: *mut f64,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let out = scope.out(value, "value")?;
        let snapshot = SNAPSHOTS.get(stats)?;
        out.set(snapshot.values.get(index).ok_or_else(|| none_at(index, &snapshot))?.1);
        Ok(())
    })
}

/// [any thread] The value of a name as herald_stats_name writes it. O(all values). Since 0.1.
///
/// *value is written on success. HERALD_OUT_OF_RANGE if there is none of this name.
#[unsafe(no_mangle)]
pub extern "C" fn herald_stats_find(
    stats: *const Stats,
    name: *const c_char,
    name_len: usize,
    value: *mut f64,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let out = scope.out(value, "value")?;
        let name = scope.text(name, name_len, STAT_NAME_BYTES_MAX, "name")?;
        let snapshot = SNAPSHOTS.get(stats)?;
        let none = || Failure::new(Status::OutOfRange, "no value has this name; herald_stats_text shows all");
        out.set(snapshot.values.iter().find(|(known, _)| known == name).ok_or_else(none)?.1);
        Ok(())
    })
}

/// [any thread] Copies all of it as Prometheus reads it (text format 0.0.4), for a host to serve with its own. Since 0.1.
///
/// buffer takes capacity bytes: the text and a NUL. *length, unless length is NULL, is told the bytes without the NUL,
/// also with HERALD_BUFFER_TOO_SMALL.
#[unsafe(no_mangle)]
pub extern "C" fn herald_stats_text(
    stats: *const Stats,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let snapshot = SNAPSHOTS.get(stats)?;
        scope.buffer(buffer.cast(), capacity, length).text(&snapshot.text)
    })
}

/// [any thread] Frees a copy. NULL is fine. Allowed inside callbacks. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn herald_stats_free(stats: *mut Stats) -> Status {
    if stats.is_null() {
        return Status::Ok;
    }
    free(|| SNAPSHOTS.remove(stats).map(drop))
}

#[cold]
fn none_at(index: usize, snapshot: &Snapshot) -> Failure {
    Failure::new(Status::OutOfRange, format!("index {index} of {} values", snapshot.values.len()))
}
