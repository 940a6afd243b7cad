//! The figures as a table. Knows nothing of how they came about.

use std::fmt::Write as _;

use herald_journal::Durability;

use crate::plain::Written;
use crate::rig::Outcome;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    MemoryBurst,
    BufferedBurst,
    Buffered,
    Synced,
    BufferedBeyond,
    SyncedBeyond,
    Restart,
}

impl Course {
    pub(crate) const ALL: [Self; 7] = [
        Self::MemoryBurst,
        Self::BufferedBurst,
        Self::Buffered,
        Self::Synced,
        Self::BufferedBeyond,
        Self::SyncedBeyond,
        Self::Restart,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::MemoryBurst => "`memory`, a burst",
            Self::BufferedBurst => "`buffered`, the same burst",
            Self::Buffered => "`buffered`, generations fit in memory",
            Self::Synced => "`synced`, generations fit in memory",
            Self::BufferedBeyond => "`buffered`, generations do not fit",
            Self::SyncedBeyond => "`synced`, generations do not fit",
            Self::Restart => "`buffered`, a restart while all of it lives",
        }
    }

    pub(crate) const fn durability(self) -> Durability {
        match self {
            Self::MemoryBurst => Durability::Memory,
            Self::BufferedBurst | Self::Buffered | Self::BufferedBeyond | Self::Restart => {
                Durability::Buffered
            }
            Self::Synced | Self::SyncedBeyond => Durability::Synced,
        }
    }
}

/// All runs.
#[derive(Default)]
pub(crate) struct Figures {
    runs: Vec<Run>,
}

struct Run {
    course: Course,
    outcome: Outcome,
    /// The plain writers after it.
    plain: Option<Yardsticks>,
}

/// What plain writers did with as many bytes.
pub(crate) struct Yardsticks {
    /// One without duties.
    pub(crate) writer: Written,
    /// One that removes what has expired.
    pub(crate) remover: Written,
    /// One with a log's duties.
    pub(crate) log: Written,
}

impl Run {
    /// Stores per second: answered in a burst, on the disk otherwise.
    fn stores_per_s(&self) -> f64 {
        let span = match self.plain {
            Some(_) => self.outcome.elapsed,
            None => self.outcome.answered,
        };
        self.outcome.stores as f64 / span.as_secs_f64()
    }

    fn bytes_per_s(&self) -> f64 {
        self.outcome.record_bytes as f64 / self.outcome.elapsed.as_secs_f64()
    }

    fn processor_ns_per_byte(&self) -> f64 {
        self.outcome.processor.as_nanos() as f64 / self.outcome.record_bytes as f64
    }

    fn amplification(&self) -> f64 {
        self.outcome.disk_bytes() as f64 / self.outcome.record_bytes as f64
    }
}

impl Figures {
    pub(crate) fn add(&mut self, course: Course, outcome: Outcome, plain: Option<Yardsticks>) {
        self.runs.push(Run { course, outcome, plain });
    }

    pub(crate) fn table(&self) -> String {
        let mut table = String::from(
            "| what | thousand stores/s: median (least to most) | MB/s of records | plain writer, MB/s | of the plain \
             writer | written to disk, of the plain writer | write amplification | journal's processors, ns a byte | plain writer's | MB a sync | recovered, thousand/s | \
             of that in RocksDB's opening | plain log, MB/s | of the plain log | plain log's processors | plain writer that removes, MB/s |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        for course in Course::ALL {
            let runs: Vec<&Run> = self.runs.iter().filter(|run| run.course == course).collect();
            if !runs.is_empty() {
                table.push_str(&row(course, &runs));
            }
        }
        table
    }
}

fn row(course: Course, runs: &[&Run]) -> String {
    let median = |value: &dyn Fn(&Run) -> Option<f64>| {
        let mut values: Vec<f64> = runs.iter().filter_map(|run| value(run)).collect();
        values.sort_by(f64::total_cmp);
        (!values.is_empty()).then(|| values[values.len() / 2])
    };
    let cell = |decimals: usize, value: &dyn Fn(&Run) -> Option<f64>| {
        median(value).map_or_else(String::new, |value| format!("{value:.decimals$}"))
    };
    let plain = |run: &Run, of: fn(&Yardsticks) -> f64| run.plain.as_ref().map(of);
    let kept = |run: &Run| run.plain.is_some();
    // Where the last forced write took so long that all had expired, there was nothing to recover, and no rate.
    let recovered = |run: &Run| {
        let is_meant = kept(run) || course == Course::Restart;
        run.outcome.recovery.filter(|recovery| is_meant && recovery.records > 0)
    };
    let mut rates: Vec<f64> = runs.iter().map(|run| run.stores_per_s() / 1e3).collect();
    rates.sort_by(f64::total_cmp);
    let rate = format!("{:.0} ({:.0} to {:.0})", rates[rates.len() / 2], rates[0], rates[rates.len() - 1]);
    let mut row = format!("| {} | {rate}", course.name());
    let opening = median(&|run| {
        let recovery = recovered(run)?;
        Some(recovery.opened.as_secs_f64() / recovery.elapsed.as_secs_f64() * 100.0)
    });
    let columns = [
        cell(0, &|run| kept(run).then(|| run.bytes_per_s() / 1e6)),
        cell(0, &|run| plain(run, |plain| plain.writer.bytes_per_s / 1e6)),
        cell(2, &|run| Some(run.bytes_per_s() / plain(run, |plain| plain.writer.bytes_per_s)?)),
        cell(2, &|run| {
            Some(run.bytes_per_s() * run.amplification() / plain(run, |plain| plain.writer.bytes_per_s)?)
        }),
        cell(2, &|run| kept(run).then(|| run.amplification())),
        cell(2, &|run| kept(run).then(|| run.processor_ns_per_byte())),
        cell(2, &|run| plain(run, |plain| plain.writer.processor_ns_per_byte)),
        cell(1, &|run| kept(run).then(|| run.outcome.sync_bytes() as f64 / 1e6)),
        cell(0, &|run| {
            let recovery = recovered(run)?;
            Some(recovery.records as f64 / recovery.elapsed.as_secs_f64() / 1e3)
        }),
        opening.map_or_else(String::new, |share| format!("{share:.0} %")),
        cell(0, &|run| plain(run, |plain| plain.log.bytes_per_s / 1e6)),
        cell(2, &|run| Some(run.bytes_per_s() / plain(run, |plain| plain.log.bytes_per_s)?)),
        cell(2, &|run| plain(run, |plain| plain.log.processor_ns_per_byte)),
        cell(0, &|run| plain(run, |plain| plain.remover.bytes_per_s / 1e6)),
    ];
    for column in columns {
        write!(row, " | {column}").expect("a string takes everything");
    }
    row + " |\n"
}
