//! The figures as a table and as JSON. Knows nothing of how they came about.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::measure::Rate;

/// The ceiling that stores are compared with.
pub(crate) const COPY: &str = "memcpy of the log's records";
/// Reads that each wait for the one before: what every walk is made of.
pub(crate) const READS: &str = "memory, each read waiting for the last";
/// The log itself, which the peer is compared with.
pub(crate) const LOG: &str = "log";

/// What the operations were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    /// A byte of the arena is read.
    Read,
    /// A placement is kept.
    Store,
    /// All live placements of a number are copied.
    Retrieve,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Store => "store",
            Self::Retrieve => "retrieve",
        }
    }
}

/// The rates of several runs.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) store: &'static str,
    pub(crate) operation: Operation,
    pub(crate) threads: usize,
    pub(crate) body_bytes: usize,
    /// Operations per second, one a run, in ascending order. At least one.
    rates: Vec<f64>,
    /// The share of all runs for which the threads had a processor.
    processor_share: f64,
}

impl Figure {
    pub(crate) fn new(
        store: &'static str,
        operation: Operation,
        threads: usize,
        body_bytes: usize,
        runs: &[Rate],
    ) -> Self {
        let mut rates: Vec<f64> = runs.iter().map(|run| run.per_s).collect();
        rates.sort_by(f64::total_cmp);
        let processor_shares = runs.iter().map(|run| run.processor_share);
        let processor_share = processor_shares.sum::<f64>() / runs.len() as f64;
        Self { store, operation, threads, body_bytes, rates, processor_share }
    }

    fn median(&self) -> f64 {
        self.rates[self.rates.len() / 2]
    }

    fn least(&self) -> f64 {
        self.rates[0]
    }

    fn most(&self) -> f64 {
        self.rates[self.rates.len() - 1]
    }

    /// How many times the rate of `store` at `operation` on as many threads.
    fn ratio_to(&self, store: &str, operation: Operation, figures: &[Self]) -> Option<f64> {
        let is_it = |other: &&Self| {
            other.store == store && other.operation == operation && other.threads == self.threads
        };
        figures.iter().find(is_it).map(|other| self.median() / other.median())
    }

    /// The rate as a share of the copy's, for stores.
    fn of_the_copy(&self, figures: &[Self]) -> Option<f64> {
        self.ratio_to(COPY, Operation::Store, figures).filter(|_| self.operation == Operation::Store)
    }

    /// The rate as a share of the log's at the same.
    fn of_the_log(&self, figures: &[Self]) -> Option<f64> {
        self.ratio_to(LOG, self.operation, figures)
    }

    /// How many reads that wait for each other take as long as one operation.
    fn in_reads(&self, figures: &[Self]) -> Option<f64> {
        self.ratio_to(READS, Operation::Read, figures).map(|ratio| 1.0 / ratio)
    }
}

/// A table in Markdown: medians with the least and the most, in thousands a second.
pub(crate) fn table(figures: &[Figure]) -> String {
    let mut text = String::from(
        "| what | operation | body, bytes | threads | thousand/s: median (least to most) | processor share \
         | of memcpy | of the log | in memory reads |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let ratio = |ratio: Option<f64>| ratio.map_or(String::new(), two_digits);
    for figure in figures {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} ({} to {}) | {:.0} % | {} | {} | {} |",
            figure.store,
            figure.operation.name(),
            figure.body_bytes,
            figure.threads,
            thousands(figure.median()),
            thousands(figure.least()),
            thousands(figure.most()),
            figure.processor_share * 100.0,
            ratio(figure.of_the_copy(figures)),
            ratio(figure.of_the_log(figures)),
            ratio(figure.in_reads(figures)),
        )
        .expect("text grows without error");
    }
    text
}

/// A rate in thousands, to about three digits.
fn thousands(per_s: f64) -> String {
    let decimals = if per_s < 100e3 { 1 } else { 0 };
    format!("{:.decimals$}", per_s / 1e3)
}

/// A ratio, to at least two digits down to thousandths.
fn two_digits(ratio: f64) -> String {
    let decimals = if ratio < 0.1 { 4 } else { 2 };
    format!("{ratio:.decimals$}")
}

/// The same with every run, operations per second.
pub(crate) fn json(figures: &[Figure], arena_bytes: usize, run_seconds: f64) -> Value {
    let figure = |figure: &Figure| {
        json!({
            "what": figure.store,
            "operation": figure.operation.name(),
            "body_bytes": figure.body_bytes,
            "threads": figure.threads,
            "median_per_s": figure.median(),
            "runs_per_s": figure.rates,
            "processor_share": figure.processor_share,
            "of_memcpy": figure.of_the_copy(figures),
            "of_the_log": figure.of_the_log(figures),
            "in_memory_reads": figure.in_reads(figures),
        })
    };
    let figures: Vec<_> = figures.iter().map(figure).collect();
    json!({ "arena_bytes": arena_bytes, "run_seconds": run_seconds, "figures": figures })
}
