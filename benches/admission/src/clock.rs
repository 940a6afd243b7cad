//! Processor time of the calling thread: what other programs do counts little in it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Microseconds that `work` keeps the processor busy.
pub(crate) fn busy_us<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begin = now();
    let done = work();
    ((now() - begin).as_secs_f64() * 1e6, done)
}

fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("below a second"))
}

/// The value in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
