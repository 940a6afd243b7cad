//! The counters and gauges of an engine, as hosts and monitoring read them.
//!
//! Names and labels follow the conventions of Prometheus: base units last, `_total` on what only rises. No label holds a
//! number or anything else of one call. What a poller of the service could hold against his own polls (which retrievals
//! met a placement, how many live) is not counted: it would tell placements from cover.

mod text;

use core::fmt::Write as _;

/// What a value does over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatKind {
    /// It only rises, from 0 at the start.
    Counter,
    /// It is what it is at the moment.
    Gauge,
    /// How often something took how long: counters for each bound (`le`, in seconds, cumulative), their number and sum.
    Histogram,
}

impl StatKind {
    /// What Prometheus calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub struct StatSample {
    /// What stands behind the family's name: `_bucket`, `_sum` or `_count` in a histogram, else nothing.
    pub suffix: &'static str,
    /// What tells it from the others of its family: name and value of each label.
    pub labels: Vec<(&'static str, String)>,
    /// The value; whole for what is counted, exact up to 2^53.
    pub value: f64,
}

/// Values of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct StatFamily {
    /// The name, with the unit last.
    pub name: &'static str,
    /// One sentence about it.
    pub help: &'static str,
    /// What its values do.
    pub kind: StatKind,
    /// Its values; none if the engine has no such part.
    pub samples: Vec<StatSample>,
}

/// The counters and gauges of an engine at about one moment. A plain value: it does not change any more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    families: Vec<StatFamily>,
}

impl Stats {
    /// All families, in the order they are shown. The same ones in each engine.
    pub fn families(&self) -> &[StatFamily] {
        &self.families
    }

    /// The value of `name`, of a histogram with its suffix, with exactly these labels in any order. O(all values).
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |sample: &&StatSample| {
            let is_there = |label: &(&str, &str)| {
                sample.labels.iter().any(|(name, value)| (*name, value.as_str()) == *label)
            };
            sample.labels.len() == labels.len() && labels.iter().all(is_there)
        };
        self.families.iter().find_map(|family| {
            let suffix = name.strip_prefix(family.name)?;
            let of_suffix = |sample: &&StatSample| sample.suffix == suffix && has(sample);
            family.samples.iter().find(of_suffix).map(|sample| sample.value)
        })
    }

    /// Each value with its full name, as in `herald_not_stored_total{reason="number_full"}`.
    pub fn named(&self) -> impl Iterator<Item = (String, f64)> + '_ {
        self.families.iter().flat_map(|family| {
            family.samples.iter().map(|sample| (full_name(family.name, sample), sample.value))
        })
    }

    /// One more family; its samples follow.
    pub(crate) fn family(&mut self, kind: StatKind, name: &'static str, help: &'static str) -> &mut Self {
        self.families.push(StatFamily { name, help, kind, samples: Vec::new() });
        self
    }

    pub(crate) fn counter(&mut self, name: &'static str, help: &'static str) -> &mut Self {
        self.family(StatKind::Counter, name, help)
    }

    pub(crate) fn gauge(&mut self, name: &'static str, help: &'static str) -> &mut Self {
        self.family(StatKind::Gauge, name, help)
    }

    /// One more value of the last family.
    pub(crate) fn with(&mut self, labels: &[(&'static str, &str)], value: f64) -> &mut Self {
        self.sample("", labels, value)
    }

    /// One more histogram of the last family: how often each bound in seconds was kept, the last one being none, and the
    /// sum in seconds.
    pub(crate) fn durations(
        &mut self,
        labels: &[(&'static str, &str)],
        buckets: impl Iterator<Item = (Option<f64>, u64)>,
        sum_s: f64,
    ) -> &mut Self {
        let mut total = 0;
        for (bound_s, times) in buckets {
            total += times;
            let bound = bound_s.map_or_else(|| "+Inf".to_owned(), |bound_s| bound_s.to_string());
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.sample("_bucket", &labels, count(total));
        }
        self.sample("_sum", labels, sum_s);
        self.sample("_count", labels, count(total))
    }

    fn sample(&mut self, suffix: &'static str, labels: &[(&'static str, &str)], value: f64) -> &mut Self {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let family = self.families.last_mut().expect("a family comes first");
        family.samples.push(StatSample { suffix, labels, value });
        self
    }

    /// The only value of the last family.
    pub(crate) fn only(&mut self, value: f64) -> &mut Self {
        self.with(&[], value)
    }
}

/// A count as a value; those above 2^53 lose their last digits.
#[expect(clippy::cast_precision_loss, reason = "counters do not reach 2^53 in a century")]
pub(crate) const fn count(count: u64) -> f64 {
    count as f64
}

/// [`count`] of what is in memory.
pub(crate) fn size(size: usize) -> f64 {
    count(u64::try_from(size).unwrap_or(u64::MAX))
}

/// Milliseconds as seconds.
pub(crate) fn seconds(millis: u64) -> f64 {
    count(millis) / 1000.0
}

fn full_name(family: &str, sample: &StatSample) -> String {
    let StatSample { suffix, labels, .. } = sample;
    let mut full = format!("{family}{suffix}");
    for (index, (label, value)) in labels.iter().enumerate() {
        full.push(if index == 0 { '{' } else { ',' });
        // Writing to a string cannot fail.
        let _ = write!(full, "{label}=\"{}\"", text::escaped(value));
    }
    if !labels.is_empty() {
        full.push('}');
    }
    full
}
