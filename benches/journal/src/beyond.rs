//! What it costs to hold more than memory: stores while segments leave, and reads of what stayed, what RocksDB has in
//! its memory and what lies in its sorted files.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use herald_core::{Clock, NewPlacement, PlacementStore, Refusal, Retention};
use herald_journal::limits::COMMIT_WAIT_MS;
use herald_journal::{Commits, Durability, Journal, JournalConfig, JournalThread, Pace, RocksStore};
use herald_log::{BeyondConfig, LogConfig, LogHandle, PlacementLog};

use crate::Failure;
use crate::limits::{
    BEYOND_ARENA_BYTES, BEYOND_RETENTION_MS, BEYOND_STORED_BYTES, BLOCK_STORES, READ_NUMBERS,
    RECORDS_PER_NUMBER_MAX, SEGMENT_BYTES,
};
use crate::rig::{BEGIN, RECORD_BYTES, RunClock};
use crate::workload::{Bodies, id, number};

/// One course of it.
struct Course {
    name: &'static str,
    arena_bytes: usize,
    beyond_bytes: usize,
    journal_bytes: usize,
}

const COURSES: [Course; 3] = [
    Course {
        name: "all in memory",
        arena_bytes: BEYOND_STORED_BYTES * 2,
        beyond_bytes: 0,
        journal_bytes: BEYOND_STORED_BYTES * 4,
    },
    Course {
        name: "beyond memory, in RocksDB's",
        arena_bytes: BEYOND_ARENA_BYTES,
        beyond_bytes: BEYOND_STORED_BYTES * 2,
        journal_bytes: BEYOND_STORED_BYTES * 4,
    },
    Course {
        name: "beyond memory, in sorted files",
        arena_bytes: BEYOND_ARENA_BYTES,
        beyond_bytes: BEYOND_STORED_BYTES * 2,
        journal_bytes: 64 << 20,
    },
];

/// Prints a table: one run of each course.
pub(crate) fn table(folder: &Path, bodies: &Bodies) -> Result<String, Failure> {
    let mut table = String::from(
        "| what | stores, thousand/s | of them refused | beyond memory at the end | reads, thousand/s | bodies a read |\n\
         |---|--:|--:|--:|--:|--:|\n",
    );
    for course in &COURSES {
        let folder = tempfile::tempdir_in(folder).map_err(Failure::Disk)?;
        table.push_str(&row(&folder.path().join("journal"), course, bodies)?);
    }
    Ok(table)
}

fn row(folder: &Path, course: &Course, bodies: &Bodies) -> Result<String, Failure> {
    let clock = RunClock::starting_at(BEGIN);
    let store = RocksStore::open(folder, course.journal_bytes)?;
    let retention = Retention::from_millis(BEYOND_RETENTION_MS).expect("within the bounds of a retention");
    let opened_at = clock.now();
    let keeper = store.keeper(retention, opened_at);
    let config = LogConfig {
        arena_bytes: course.arena_bytes,
        segment_bytes: SEGMENT_BYTES,
        hash_key: [7; 32],
        handles_max: 2,
    };
    let log = match course.beyond_bytes {
        0 => PlacementLog::create(config)?,
        bytes => PlacementLog::create_beyond(config, &BeyondConfig { bytes, keeper })?,
    };
    let commits = Arc::new(Commits::default());
    let config = JournalConfig { durability: Durability::Buffered, retention, opened_at };
    let journal = Journal::new(log.clone(), store, commits.clone(), config);
    let thread =
        JournalThread::start(journal, commits.clone(), clock.clone(), |_| {}).map_err(Failure::Disk)?;
    let mut handle = log.handle()?;
    let count = (BEYOND_STORED_BYTES as u64) / RECORD_BYTES;
    let began = Instant::now();
    let (mut next, mut refused) = (0, 0);
    while next < count {
        let now = clock.now();
        let pace = thread.pace(now);
        let kept = if pace == Pace::Never { 0 } else { store_block(&mut handle, bodies, next, now) };
        next += kept;
        if kept < BLOCK_STORES as u64 {
            refused += BLOCK_STORES as u64 - kept;
            std::thread::sleep(Duration::from_millis(1));
        }
        if pace == Pace::Committed {
            commits.wait(commits.ticket(), Duration::from_millis(COMMIT_WAIT_MS));
        }
    }
    let stored_in = began.elapsed();
    // The oldest were stored first.
    let (mut shown, began) = (0u64, Instant::now());
    for index in 0..READ_NUMBERS {
        handle.for_each_live(number(index * 7 % (count / 2)), clock.now(), &mut |item| {
            shown += u64::from(!item.body.is_empty());
        });
    }
    let read_in = began.elapsed();
    let stats = log.stats();
    if stats.records_unread > 0 || shown < READ_NUMBERS {
        return Err(Failure::Lost { wanted: READ_NUMBERS, found: shown });
    }
    Ok(format!(
        "| {} | {:.0} | {refused} | {:.0} % | {:.1} | {:.2} |\n",
        course.name,
        count as f64 / stored_in.as_secs_f64() / 1e3,
        stats.records_beyond as f64 / count as f64 * 100.0,
        READ_NUMBERS as f64 / read_in.as_secs_f64() / 1e3,
        shown as f64 / READ_NUMBERS as f64,
    ))
}

/// Stores the next block. Returns how many of it were taken, from its front.
fn store_block(handle: &mut LogHandle, bodies: &Bodies, next: u64, now: herald_core::Timestamp) -> u64 {
    let expires_at = now.plus_millis(BEYOND_RETENTION_MS);
    let placements: [_; BLOCK_STORES] = std::array::from_fn(|at| {
        let index = next + at as u64;
        NewPlacement { number: number(index), id: id(index), expires_at, body: bodies.body(index) }
    });
    let mut results = [Ok(()); BLOCK_STORES];
    handle.append_batch(&placements, RECORDS_PER_NUMBER_MAX, now, &mut results);
    results.iter().take_while(|result| **result != Err(Refusal::StoreFull)).count() as u64
}
