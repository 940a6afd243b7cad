//! What the test says: one line a part on standard output, faults on standard error.

use std::fmt::{self, Display, Formatter};
use std::io::Write;

use crate::limits::FAULTS_TOLD_MAX;

/// What a part found.
pub(crate) struct Part {
    line: String,
    faults: Vec<String>,
    totals: Totals,
}

/// What all parts together did and found.
#[derive(Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) kills: u64,
    /// Kills at a chosen call on files.
    pub(crate) points: u64,
    /// Faults of the disk, each at a chosen call.
    pub(crate) disk_faults: u64,
    pub(crate) cuts: u64,
    pub(crate) fills: u64,
    pub(crate) clock_steps: u64,
    /// Controls that lost as they must.
    pub(crate) controls: u64,
    /// Stores that were acknowledged, and of them those that were lost though they had been promised.
    pub(crate) acknowledged: usize,
    pub(crate) lost: usize,
    pub(crate) failed_opens: u64,
}

impl Totals {
    /// Takes in those of another part.
    pub(crate) fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.points += other.points;
        self.disk_faults += other.disk_faults;
        self.cuts += other.cuts;
        self.fills += other.fills;
        self.clock_steps += other.clock_steps;
        self.controls += other.controls;
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.failed_opens += other.failed_opens;
    }
}

impl Display for Totals {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "total: {} kills, {} kills at a call, {} faults of the disk, {} power cuts, {} full disks, {} steps of \
             the clock; {} acknowledged with a promise, {} of them lost, {} opens failed; {} controls as they must",
            self.kills,
            self.points,
            self.disk_faults,
            self.cuts,
            self.fills,
            self.clock_steps,
            self.acknowledged,
            self.lost,
            self.failed_opens,
            self.controls
        )
    }
}

impl Part {
    /// A part that says `line` and found `faults`.
    pub(crate) fn new(line: impl Into<String>, faults: Vec<String>) -> Self {
        Self { line: line.into(), faults, totals: Totals::default() }
    }

    /// The same, adding to the totals.
    pub(crate) const fn counting(mut self, totals: Totals) -> Self {
        self.totals = totals;
        self
    }

    /// What it adds to the totals. A control that did not do what it must is none.
    pub(crate) fn totals(&self) -> Totals {
        if self.faults.is_empty() { self.totals } else { Totals { controls: 0, ..self.totals } }
    }

    /// Prints it. Returns whether there was no fault.
    pub(crate) fn print(&self) -> bool {
        say(&self.line);
        self.faults.iter().take(FAULTS_TOLD_MAX).for_each(|fault| complain(&format!("FAULT: {fault}")));
        if self.faults.len() > FAULTS_TOLD_MAX {
            complain(&format!("and {} faults more", self.faults.len() - FAULTS_TOLD_MAX));
        }
        self.faults.is_empty()
    }
}

/// A line of the result.
pub(crate) fn say(line: &str) {
    // Whoever reads may have gone; the exit code still tells.
    let _ = writeln!(std::io::stdout().lock(), "crash: {line}");
}

/// A line about what went wrong.
pub(crate) fn complain(what: &dyn Display) {
    let _ = writeln!(std::io::stderr().lock(), "crash: {what}");
}
