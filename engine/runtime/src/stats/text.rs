//! The text form of Prometheus, version 0.0.4.

use core::fmt::Write as _;

use super::{Stats, full_name};

impl Stats {
    /// The media type of [`text`](Self::text).
    pub const TEXT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

    /// Everything, for Prometheus to read. Families without values are left out.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for family in self.families().iter().filter(|family| !family.samples.is_empty()) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# HELP {} {}", family.name, family.help);
            let _ = writeln!(text, "# TYPE {} {}", family.name, family.kind.name());
            for sample in &family.samples {
                let _ = writeln!(text, "{} {}", full_name(family.name, sample), sample.value);
            }
        }
        text
    }
}

/// The value of a label as it stands between quotes.
pub(super) fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
