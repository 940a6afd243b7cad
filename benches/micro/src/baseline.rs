//! The baseline: what it was counted with, its file, and the verdict over new counts. Counts nothing itself.

use std::fmt;
use std::path::Path;
use std::process::Command;

use crate::Failure;

/// By how much an operation may grow before a check fails, and must shrink to be worth a word.
const TOLERANCE: f64 = 0.03;

/// Instructions of each operation, and what they were counted with.
#[derive(Debug)]
pub(crate) struct Baseline {
    pub(crate) setting: Setting,
    pub(crate) counts: Vec<(String, f64)>,
}

/// What the counts depend on besides the code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Setting(String);

impl Setting {
    /// This compiler and what decides between ways of doing the same: which instructions the processor has.
    pub(crate) fn here() -> Result<Self, Failure> {
        let output = Command::new("rustc").arg("-V").output();
        let output = output.map_err(|error| Failure(format!("rustc does not start: {error}")))?;
        let version = String::from_utf8_lossy(&output.stdout);
        let version: Vec<_> = version.split_whitespace().take(2).collect();
        Ok(Self(format!("{}, {}{}", version.join(" "), std::env::consts::ARCH, instructions())))
    }
}

#[cfg(target_arch = "x86_64")]
fn instructions() -> &'static str {
    match (std::arch::is_x86_feature_detected!("avx2"), std::arch::is_x86_feature_detected!("aes")) {
        (true, true) => " with AVX2 and AES",
        (true, false) => " with AVX2",
        (false, true) => " with AES",
        (false, false) => "",
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn instructions() -> &'static str {
    ""
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Baseline {
    /// Reads a file that [`write`](Self::write) made.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let unreadable = |why: &dyn fmt::Display| {
            Failure(format!("{}: {why}; benches/micro.sh --bless writes it anew", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
        let mut lines = text.lines();
        let setting = lines.next().and_then(|line| line.strip_prefix(SETTING_PREFIX));
        let setting =
            Setting(setting.ok_or_else(|| unreadable(&"its first line names no compiler"))?.to_owned());
        let count = |line: &str| -> Option<(String, f64)> {
            let (name, count) = line.split_once('\t')?;
            Some((name.to_owned(), count.parse().ok()?))
        };
        let rows =
            lines.skip(1).map(|line| count(line).ok_or_else(|| unreadable(&format!("{line:?} is no row"))));
        Ok(Self { setting, counts: rows.collect::<Result<_, _>>()? })
    }

    /// Writes the file: its setting, its columns, a row for each operation.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        let mut text = format!("{SETTING_PREFIX}{}\noperation\tinstructions\n", self.setting);
        for (name, count) in &self.counts {
            text.push_str(&format!("{name}\t{count:.1}\n"));
        }
        std::fs::write(path, text).map_err(|error| Failure(format!("{}: {error}", path.display())))
    }
}

const SETTING_PREFIX: &str = "# counted with ";

/// What a check says.
#[derive(Debug, PartialEq)]
pub(crate) struct Verdict(Vec<Change>);

/// One operation that differs from the baseline by more than [`TOLERANCE`].
#[derive(Debug, PartialEq)]
struct Change {
    name: String,
    before: Option<f64>,
    now: Option<f64>,
}

impl Verdict {
    /// Compares counts with the baseline's.
    pub(crate) fn of(counts: &[(String, f64)], baseline: &[(String, f64)]) -> Self {
        let at = |rows: &[(String, f64)], wanted: &str| {
            rows.iter().find(|(name, _)| name == wanted).map(|(_, count)| *count)
        };
        let gone = baseline.iter().filter(|(name, _)| at(counts, name).is_none());
        let names = counts.iter().chain(gone).map(|(name, _)| name);
        let changes = names.map(|name| Change {
            name: name.clone(),
            before: at(baseline, name),
            now: at(counts, name),
        });
        Self(changes.filter(Change::is_worth_a_word).collect())
    }

    /// Whether nothing got slower, and baseline and program hold the same operations.
    pub(crate) fn is_good(&self) -> bool {
        self.0.iter().all(|change| change.share().is_some_and(|share| share < 0.0))
    }

    /// Whether there is anything to say.
    pub(crate) fn has_changes(&self) -> bool {
        !self.0.is_empty()
    }
}

impl Change {
    /// By which share it grew, if it was there before and is now.
    fn share(&self) -> Option<f64> {
        Some(self.now? / self.before? - 1.0)
    }

    fn is_worth_a_word(&self) -> bool {
        self.share().is_none_or(|share| share.abs() > TOLERANCE)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(
                f,
                "no operation differs from the baseline by more than {:.0} %",
                TOLERANCE * 100.0
            );
        }
        self.0.iter().try_for_each(|change| writeln!(f, "{change}"))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, before, now } = self;
        match (before, now, self.share()) {
            (Some(before), Some(now), Some(share)) if share > 0.0 => {
                write!(f, "SLOWER  {name}: {before:.1} instructions became {now:.1}, {:+.1} %", share * 100.0)
            }
            (Some(before), Some(now), Some(share)) => write!(
                f,
                "faster  {name}: {before:.1} instructions became {now:.1}, {:+.1} %; keep it with \
                 benches/micro.sh --bless",
                share * 100.0
            ),
            (None, Some(now), _) => write!(f, "NEW     {name}: {now:.1} instructions, not in the baseline"),
            _ => write!(f, "GONE    {name}: in the baseline and not counted any more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(&str, f64)]) -> Vec<(String, f64)> {
        rows.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn more_than_three_percent_slower_fails_and_is_named() {
        let baseline = rows(&[("append", 400.0), ("walk", 200.0)]);
        let good = |counts: &[(&str, f64)]| Verdict::of(&rows(counts), &baseline).is_good();
        assert!(good(&[("append", 411.9), ("walk", 100.0)]));
        assert!(!good(&[("append", 412.1), ("walk", 100.0)]));
        assert!(!good(&[("append", 400.0)]), "an operation that is gone");
        assert!(!good(&[("append", 400.0), ("walk", 200.0), ("parse", 1.0)]), "one without a baseline");
        let said = Verdict::of(&rows(&[("append", 500.0), ("walk", 100.0)]), &baseline).to_string();
        assert!(said.contains("SLOWER  append: 400.0 instructions became 500.0, +25.0 %"), "{said}");
        assert!(said.contains("faster  walk: 200.0 instructions became 100.0, -50.0 %"), "{said}");
    }

    #[test]
    fn a_baseline_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("baseline.tsv");
        let setting = Setting("rustc 1.2.3, x86_64".into());
        Baseline { setting, counts: rows(&[("a, b", 12.5), ("c", 3.0)]) }.write(&path).expect("written");
        let read = Baseline::read(&path).expect("read");
        assert_eq!(read.setting, Setting("rustc 1.2.3, x86_64".into()));
        assert_eq!(read.counts, rows(&[("a, b", 12.5), ("c", 3.0)]));
    }
}
