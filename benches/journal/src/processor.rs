//! Processor time of threads, as the kernel counts it. Where other programs want the processors too, it says more of
//! a cost than the clock does.

use std::fs;
use std::time::Duration;

/// Processor time so far of the journal's thread and of RocksDB's, while they live.
pub(crate) fn of_journal() -> Duration {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return Duration::ZERO };
    let of_task = |task: fs::DirEntry| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        let is_meant = name.starts_with("herald-journal") || name.starts_with("rocksdb");
        if is_meant { taken(&fs::read_to_string(task.path().join("schedstat")).ok()?) } else { None }
    };
    tasks.filter_map(|task| of_task(task.ok()?)).sum()
}

/// Processor time so far of the calling thread.
pub(crate) fn of_this_thread() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").ok();
    stat.and_then(|stat| taken(&stat)).unwrap_or_default()
}

/// The first word of a `schedstat` is nanoseconds.
fn taken(schedstat: &str) -> Option<Duration> {
    Some(Duration::from_nanos(schedstat.split_whitespace().next()?.parse().ok()?))
}
