//! Time on the wall and on the processor: what other programs do counts little in the second.

use std::hint::black_box;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of each of many like things.
#[derive(Clone, Copy)]
pub(crate) struct Each {
    pub(crate) processor_ns: f64,
    pub(crate) wall_ns: f64,
}

/// Does `step` for each of `times`, each with what the one before gave: it cannot begin earlier.
pub(crate) fn chained(times: usize, mut step: impl FnMut(usize, usize) -> usize) -> Each {
    let (began, began_s) = (Instant::now(), processor_s());
    let last = (0..times).fold(0, |last, time| step(time, last));
    black_box(last);
    Each {
        processor_ns: (processor_s() - began_s) * 1e9 / times as f64,
        wall_ns: began.elapsed().as_secs_f64() * 1e9 / times as f64,
    }
}

/// Processor time of the calling thread, in seconds.
pub(crate) fn processor_s() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
