//! The figures as a table and as JSON. Knows nothing of how they came about.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// The ceiling that stores are compared with.
pub(crate) const COPY: &str = "memcpy of the log's records";
/// The log itself, which the peer is compared with.
pub(crate) const LOG: &str = "log";

/// What the operations were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A placement is kept.
    Store,
    /// All live placements of a number are copied.
    Retrieve,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Retrieve => "retrieve",
        }
    }
}

/// Operations per second of several runs.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) store: &'static str,
    pub(crate) operation: Operation,
    pub(crate) threads: usize,
    pub(crate) body_bytes: usize,
    /// Operations per second, one a run, in ascending order. At least one.
    rates: Vec<f64>,
}

impl Figure {
    pub(crate) fn new(
        store: &'static str,
        operation: Operation,
        threads: usize,
        body_bytes: usize,
        mut rates: Vec<f64>,
    ) -> Self {
        rates.sort_by(f64::total_cmp);
        Self { store, operation, threads, body_bytes, rates }
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

    /// How many times the rate of `store` with the same operation on as many threads.
    fn ratio_to(&self, store: &str, figures: &[Self]) -> Option<f64> {
        let is_it = |other: &&Self| {
            other.store == store && other.operation == self.operation && other.threads == self.threads
        };
        figures.iter().find(is_it).map(|other| self.median() / other.median())
    }
}

/// A table in Markdown: medians with the least and the most, in thousands a second.
pub(crate) fn table(figures: &[Figure]) -> String {
    let mut text = String::from(
        "| what | operation | body, bytes | threads | thousand/s, median (least to most) | of memcpy | of the log |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for figure in figures {
        let of = |store| figure.ratio_to(store, figures).map_or("".to_owned(), |ratio| format!("{ratio:.2}"));
        writeln!(
            text,
            "| {} | {} | {} | {} | {:.0} ({:.0} to {:.0}) | {} | {} |",
            figure.store,
            figure.operation.name(),
            figure.body_bytes,
            figure.threads,
            figure.median() / 1e3,
            figure.least() / 1e3,
            figure.most() / 1e3,
            of(COPY),
            of(LOG),
        )
        .expect("text grows without error");
    }
    text
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
            "of_memcpy": figure.ratio_to(COPY, figures),
            "of_the_log": figure.ratio_to(LOG, figures),
        })
    };
    let figures: Vec<_> = figures.iter().map(figure).collect();
    json!({ "arena_bytes": arena_bytes, "run_seconds": run_seconds, "figures": figures })
}
