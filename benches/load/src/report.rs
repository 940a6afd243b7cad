//! What a run found out, of one thread or of all.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::limits::{LATENCY_DIGITS, LATENCY_NANOS_MAX};
use crate::plan::Plan;

/// What a run found out. Counts are of the requests that were due in the measured time, warm-up apart.
#[derive(Clone, Debug)]
pub struct Report {
    /// The measured time.
    pub duration: Duration,
    /// Placements that one request stores, or lists it asks for.
    pub records_each: usize,
    /// Requests that were due.
    pub due: u64,
    /// Answers that arrived within the measured time, to whatever request.
    pub arrived: u64,
    /// Those of them that say success.
    pub succeeded: u64,
    /// Requests by the status of their answer; 0 if the server reset the stream or did
    /// not store all of a batch.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests not answered some seconds after the last was due.
    pub unanswered: u64,
    /// Nanoseconds from the moment a request was due to its answer; unanswered ones are in it with what they had
    /// reached.
    pub latency: Histogram<u64>,
    /// The longest time in which the generator itself did not look at its schedule: so much of the highest
    /// latency may be its own.
    pub absence_max: Duration,
}

impl Report {
    pub(crate) fn new(plan: &Plan) -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_NANOS_MAX, LATENCY_DIGITS);
        Self {
            duration: plan.duration,
            records_each: plan.records_each(),
            due: 0,
            arrived: 0,
            succeeded: 0,
            statuses: BTreeMap::new(),
            unanswered: 0,
            latency: latency.expect("the bounds are constants that a histogram takes"),
            absence_max: Duration::ZERO,
        }
    }

    /// Takes in an answer that arrived within the measured time.
    pub(crate) fn arrived(&mut self, status: u16) {
        self.arrived += 1;
        self.succeeded += u64::from(is_success(status));
    }

    /// Takes in a request and how long it took.
    pub(crate) fn record(&mut self, latency: Duration) {
        self.due += 1;
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.latency.saturating_record(nanos.max(1));
    }

    /// Takes in the report of another thread.
    pub(crate) fn add(&mut self, other: &Self) {
        self.due += other.due;
        self.arrived += other.arrived;
        self.succeeded += other.succeeded;
        self.unanswered += other.unanswered;
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.latency.add(&other.latency).expect("all histograms have the same bounds");
        self.absence_max = self.absence_max.max(other.absence_max);
    }

    /// Requests a second that were due.
    pub fn due_per_s(&self) -> f64 {
        per_second(self.due, self.duration)
    }

    /// Answers a second.
    pub fn arrived_per_s(&self) -> f64 {
        per_second(self.arrived, self.duration)
    }

    /// Requests that were not answered with success.
    pub fn failed(&self) -> u64 {
        let refused = self.statuses.iter().filter(|(status, _)| !is_success(**status));
        self.unanswered + refused.map(|(_, count)| count).sum::<u64>()
    }

    /// Placements stored a second, or lists given: those of answers that say success.
    pub fn records_per_s(&self) -> f64 {
        let records_each = u64::try_from(self.records_each).expect("a usize fits 64 bits");
        per_second(self.succeeded * records_each, self.duration)
    }

    /// The latency that `percent` of the requests did not exceed.
    pub fn latency_at(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.latency.value_at_quantile(percent / 100.0))
    }
}

/// One figure a line, name and value, for eyes and for awk.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "due_per_s {:.0}", self.due_per_s())?;
        writeln!(f, "arrived_per_s {:.0}", self.arrived_per_s())?;
        if self.records_each > 1 {
            writeln!(f, "records_per_s {:.0}", self.records_per_s())?;
        }
        for (name, percent) in [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("max", 100.0)]
        {
            writeln!(f, "{name}_us {:.0}", self.latency_at(percent).as_secs_f64() * 1e6)?;
        }
        writeln!(f, "own_absence_max_us {:.0}", self.absence_max.as_secs_f64() * 1e6)?;
        writeln!(f, "failed {}", self.failed())?;
        writeln!(f, "unanswered {}", self.unanswered)?;
        for (status, count) in &self.statuses {
            writeln!(f, "status_{status} {count}")?;
        }
        Ok(())
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

#[allow(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
fn per_second(count: u64, duration: Duration) -> f64 {
    count as f64 / duration.as_secs_f64()
}
