//! What was measured, as lines while it is measured, as a table and as JSON. Measures nothing.

use std::fmt::Write;

use herald_runtime::Level;
use serde_json::{Value, json};

use super::drive::Run;
use super::plan::{BODY_BYTES, Plan, file_system};
use crate::output::Output;

/// One figure.
pub(super) struct Figure {
    id: String,
    what: String,
    threads: usize,
    /// Operations a second of each run, in order.
    per_second: Vec<f64>,
    refused: u64,
    moves_bodies: bool,
    /// The figure that no engine could exceed.
    ceiling: Option<String>,
}

impl Figure {
    /// A figure from its runs, of which there is at least one.
    pub(super) fn of(id: String, what: String, threads: usize, runs: &[Run]) -> Self {
        let mut per_second: Vec<f64> = runs.iter().map(Run::per_second).collect();
        per_second.sort_by(f64::total_cmp);
        let refused = runs.iter().map(|run| run.tally.refused).sum();
        Self { id, what, threads, per_second, refused, moves_bodies: false, ceiling: None }
    }

    /// Each operation moves one body.
    pub(super) fn with_bytes(self) -> Self {
        Self { moves_bodies: true, ..self }
    }

    /// Compared with another figure.
    pub(super) fn below(self, ceiling: String) -> Self {
        Self { ceiling: Some(ceiling), ..self }
    }

    /// The median run.
    fn rate(&self) -> f64 {
        self.per_second[self.per_second.len() / 2]
    }

    fn bytes_per_second(&self) -> Option<f64> {
        self.moves_bodies.then(|| self.rate() * BODY_BYTES as f64)
    }
}

/// The figures so far.
pub(super) struct Report {
    setting: Value,
    heading: String,
    figures: Vec<Figure>,
    json: bool,
}

impl Report {
    pub(super) fn new(plan: &Plan, json: bool) -> Self {
        let (memory_mib, kind) = (plan.memory_bytes >> 20, file_system(&plan.parent));
        let folder = plan.parent.display();
        let heading = format!(
            "{} cores, {memory_mib} MiB for placements of {BODY_BYTES} bytes, journal in {folder} ({kind})",
            plan.cores
        );
        let setting = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "cores": plan.cores,
            "memory_bytes": plan.memory_bytes,
            "body_bytes": BODY_BYTES,
            "seconds": plan.seconds,
            "folder": plan.parent,
            "file_system": kind,
        });
        let report = Self { setting, heading, figures: Vec::new(), json };
        report.say(&report.heading);
        if kind == "tmpfs" {
            let warning = format!("{folder} is in memory: name a folder on the disk in question with --data");
            Output::report(json, Level::Warning, &warning);
        }
        report
    }

    pub(super) const fn is_json(&self) -> bool {
        self.json
    }

    /// Takes a figure and says it.
    pub(super) fn add(&mut self, figure: Figure) {
        let on = if figure.threads == 1 { "thread" } else { "threads" };
        self.say(&format!("{}, {} {on}: {:.0} per second", figure.what, figure.threads, figure.rate()));
        self.figures.push(figure);
    }

    fn say(&self, message: &str) {
        Output::report(self.json, Level::Info, message);
    }

    /// The figure's share of its ceiling.
    fn of_ceiling(&self, figure: &Figure) -> Option<f64> {
        let ceiling = figure.ceiling.as_ref()?;
        let ceiling = self.figures.iter().find(|other| other.id == *ceiling)?;
        Some(figure.rate() / ceiling.rate())
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let mut text = format!("{}\n\n", self.heading);
        let head = ["per second", "MB/s", "of ceiling", "refused"];
        let _ = writeln!(
            text,
            "{:<36} {:>7} {:>12} {:>9} {:>11} {:>9}",
            "", "threads", head[0], head[1], head[2], head[3]
        );
        for figure in &self.figures {
            let or_blank = |value: Option<String>| value.unwrap_or_default();
            let _ = writeln!(
                text,
                "{:<36} {:>7} {:>12.0} {:>9} {:>11} {:>9}",
                figure.what,
                figure.threads,
                figure.rate(),
                or_blank(figure.bytes_per_second().map(|bytes| format!("{:.1}", bytes / 1e6))),
                or_blank(self.of_ceiling(figure).map(|share| format!("{:.1} %", share * 100.0))),
                or_blank((figure.refused > 0).then(|| figure.refused.to_string())),
            );
        }
        text.push_str(
            "\nThe ceiling of a store in memory is the copy on as many threads; of one on disk, the plain writer \
             that syncs as often.",
        );
        text
    }

    /// For machines; docs/OPERATIONS.md describes it.
    pub(super) fn json(&self) -> Value {
        let figure = |figure: &Figure| {
            json!({
                "id": figure.id,
                "what": figure.what,
                "threads": figure.threads,
                "per_second": figure.rate(),
                "per_second_least": figure.per_second.first(),
                "per_second_most": figure.per_second.last(),
                "bytes_per_second": figure.bytes_per_second(),
                "refused": figure.refused,
                "ceiling": figure.ceiling,
                "of_ceiling": self.of_ceiling(figure),
            })
        };
        let mut value = self.setting.clone();
        value["figures"] = self.figures.iter().map(figure).collect();
        value
    }
}
