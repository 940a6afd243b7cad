//! What the test says: one line a part on standard output, faults on standard error.

use std::fmt::Display;
use std::io::Write;

use crate::limits::FAULTS_TOLD_MAX;

/// What a part found.
pub(crate) struct Part {
    line: String,
    faults: Vec<String>,
}

impl Part {
    /// A part that says `line` and found `faults`.
    pub(crate) fn new(line: impl Into<String>, faults: Vec<String>) -> Self {
        Self { line: line.into(), faults }
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
