//! What a run measures with: the machine's cores and memory, the placements, the time for each figure.

use std::path::{Path, PathBuf};
use std::time::Duration;

use herald_runtime::Config;
use herald_runtime::core::TelephoneNumber;
use herald_runtime::core::limits::BODY_BUCKETS_BYTES;
use herald_runtime::limits::{ARENA_BYTES_MIN, SESSIONS_MAX};

use crate::args::Bench;
use crate::output::Failure;

/// Bytes of every body: the smallest size the service takes.
pub(super) const BODY_BYTES: usize = BODY_BUCKETS_BYTES[0];
/// Placements that are stored together where batches are measured.
pub(super) const BATCH: usize = 256;
/// Threads that wait for the disk at once, each with one store: as many as the engine lets in.
pub(super) const WAITING_THREADS: usize = SESSIONS_MAX;
/// The most that is taken for placements if nothing is said. More changes no figure: the caches are long full.
const MEMORY_BYTES_MAX: usize = 1 << 30;
/// Without a word an eighth of what is available is taken, and the copy takes as much again.
const MEMORY_SHARE: usize = 8;
/// Different bodies that are stored.
const BODIES: usize = 64;
/// Numbers that placements go to in turn.
pub(super) const NUMBERS: u64 = 1 << 20;
/// Among how many possible numbers they are scattered.
const NUMBERS_SCATTERED: u64 = 10_000_000;
/// What [`Plan::share`] is a share of: figures of a run, those of the journal's throughput counted twice since they
/// take twice as long.
const SHARES: f64 = 20.0;

/// What a run measures with.
pub(super) struct Plan {
    pub(super) cores: usize,
    /// Memory for placements.
    pub(super) memory_bytes: usize,
    /// Where the folder of the trial is made.
    pub(super) parent: PathBuf,
    pub(super) seconds: f64,
    bodies: Vec<Vec<u8>>,
    numbers: Vec<TelephoneNumber>,
}

impl Plan {
    pub(super) fn of(bench: &Bench) -> Result<Self, Failure> {
        if !(bench.seconds > 0.0 && bench.seconds <= SECONDS_MAX) {
            return Err(Failure::usage(format!("--seconds takes more than 0, at most {SECONDS_MAX}")));
        }
        Ok(Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory_bytes(bench.memory.as_deref())?,
            parent: bench.data.clone().unwrap_or_else(std::env::temp_dir),
            seconds: bench.seconds,
            bodies: (0..BODIES).map(|index| vec![index as u8 ^ 0x5a; BODY_BYTES]).collect(),
            numbers: (0..NUMBERS).map(scattered).collect(),
        })
    }

    /// The time for one figure.
    pub(super) fn share(&self) -> Duration {
        Duration::from_secs_f64(self.seconds / SHARES)
    }

    /// The widths to measure in memory: one thread, and one a core.
    pub(super) fn widths(&self) -> Vec<usize> {
        if self.cores == 1 { vec![1] } else { vec![1, self.cores] }
    }

    pub(super) fn body(&self, index: u64) -> &[u8] {
        &self.bodies[place(index, BODIES)]
    }

    pub(super) fn number(&self, index: u64) -> TelephoneNumber {
        self.numbers[place(index, self.numbers.len())]
    }
}

/// Longer says no more.
const SECONDS_MAX: f64 = 600.0;

fn place(index: u64, length: usize) -> usize {
    usize::try_from(index).map_or(0, |index| index % length)
}

/// The `index`th number, scattered by a multiplier that shares no factor with their count.
fn scattered(index: u64) -> TelephoneNumber {
    let text = format!("1{:010}", 2_000_000_000 + index * 7_368_787 % NUMBERS_SCATTERED);
    TelephoneNumber::parse(text.as_bytes()).expect("eleven digits are a number")
}

/// What was asked for, or a share of what there is.
fn memory_bytes(asked: Option<&str>) -> Result<usize, Failure> {
    let mut config = Config::default();
    match asked {
        Some(text) => config.set("memory", text).map_err(Failure::usage)?,
        None => {
            let bytes = (available_bytes() / MEMORY_SHARE).clamp(ARENA_BYTES_MIN, MEMORY_BYTES_MAX);
            config.set("memory", &(bytes >> 20 << 20).to_string()).map_err(Failure::usage)?;
        }
    }
    Ok(config.memory_bytes())
}

/// Memory this process may still take: what the kernel says is available, or less if its group is bounded.
fn available_bytes() -> usize {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let meminfo = read("/proc/meminfo");
    let kib = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.split_whitespace().next());
    let available = kib.and_then(|kib| kib.parse::<usize>().ok()).map_or(MEMORY_BYTES_MAX, |kib| kib << 10);
    let number = |path: &str| read(path).trim().parse::<usize>().ok();
    let bound = number("/sys/fs/cgroup/memory.max");
    let used = number("/sys/fs/cgroup/memory.current").unwrap_or(0);
    bound.map_or(available, |bound| available.min(bound.saturating_sub(used)))
}

/// The kind of file system a folder lies on, as /proc/self/mounts names it.
pub(super) fn file_system(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let kind_at = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (point, kind) = (words.next()?, words.next()?);
        folder.starts_with(point).then(|| (point.len(), kind.to_owned()))
    };
    mounts
        .lines()
        .filter_map(kind_at)
        .max_by_key(|(depth, _)| *depth)
        .map_or_else(|| "unknown".into(), |(_, kind)| kind)
}
