//! The log against its plain twin: a million random operations, no difference.
#![cfg(not(loom))]

mod common;

use std::sync::Arc;

use common::kept::Kept;
use common::{Random, at, id, number, placement};
use herald_core::{PlacementId, PlacementStore, Timestamp};
use herald_log::{BeyondConfig, DrainCursor, LogConfig, LogHandle, PlacementLog, PlainStore};

const OPERATIONS: u64 = 1_000_000;
const NUMBERS: u64 = 300;
const RETENTION_MS: u64 = 5_000;
const HANDLES: usize = 4;

/// A log from which nearly everything leaves memory at once.
struct Leaving {
    log: Arc<PlacementLog>,
    kept: Arc<Kept>,
    cursor: DrainCursor,
}

struct Both {
    leaving: Option<Leaving>,
    random: Random,
    handles: Vec<LogHandle>,
    twin: PlainStore,
    now_ms: u64,
    buffer: Vec<u8>,
    refused: u64,
    walked: u64,
    appended_in_batches: usize,
}

#[test]
fn a_million_random_operations_on_the_log_and_its_twin_give_equal_answers() {
    for (seed, hash_key) in [(0x6865_7261_6c64, [3; 32]), (1, [250; 32])] {
        run(seed, hash_key, OPERATIONS / 2);
    }
}

#[test]
fn a_log_that_lets_records_leave_its_memory_gives_the_answers_of_its_twin() {
    let config =
        LogConfig { arena_bytes: 8 << 20, segment_bytes: 1 << 14, hash_key: [9; 32], handles_max: HANDLES };
    let kept = Arc::new(Kept::default());
    let beyond = BeyondConfig { bytes: 64 << 20, keeper: kept.clone() };
    let log = PlacementLog::create_beyond(config, &beyond).expect("a valid configuration");
    let leaving = Leaving { log: log.clone(), kept: kept.clone(), cursor: DrainCursor::default() };
    drive(&log, Some(leaving), 5, OPERATIONS / 8);
    let reads = *kept.reads.lock();
    assert!(reads > OPERATIONS / 8, "only {reads} bodies were read from beyond memory");
    assert_eq!(log.stats().records_unread, 0);
}

fn run(seed: u64, hash_key: [u8; 32], operations: u64) {
    let config = LogConfig { arena_bytes: 48 << 20, segment_bytes: 1 << 16, hash_key, handles_max: HANDLES };
    let log = PlacementLog::create(config).expect("a valid configuration");
    drive(&log, None, seed, operations);
}

fn drive(log: &Arc<PlacementLog>, leaving: Option<Leaving>, seed: u64, operations: u64) {
    let mut both = Both {
        leaving,
        random: Random(seed),
        handles: (0..HANDLES).map(|_| log.handle().expect("a handle each")).collect(),
        twin: PlainStore::new(1 << 30),
        now_ms: 1_700_000_000_000,
        buffer: vec![0; 8192],
        refused: 0,
        walked: 0,
        appended_in_batches: 0,
    };
    for operation in 0..operations {
        both.now_ms += both.random.below(3);
        both.leave();
        let chosen = usize::try_from(both.random.below(4)).expect("small");
        match both.random.below(100) {
            0..45 => both.append(chosen, operation, seed),
            45..50 => both.append_batch(chosen, operation, seed),
            50..94 => both.walk(chosen, operation, seed),
            94..99 => both.walk_batch(chosen, operation, seed),
            // Now and then a thread goes and another comes, or nothing happens for long.
            _ if both.random.below(50) == 0 => both.now_ms += both.random.below(2 * RETENTION_MS),
            _ => {
                both.handles.remove(chosen);
                both.handles.push(log.handle().expect("one was just dropped"));
            }
        }
    }
    assert!(both.refused > operations / 100, "the bound of records was hit {} times only", both.refused);
    assert!(both.walked > operations, "only {} placements were seen in walks", both.walked);
    assert!(both.appended_in_batches as u64 > operations / 5, "only {} in batches", both.appended_in_batches);
    let stats = log.stats();
    let rounds = stats.segments_opened / stats.segments_total as u64;
    assert!(rounds >= 3, "memory went round {rounds} times only");
}

impl Both {
    /// Lets go of whatever may leave, every now and then.
    fn leave(&mut self) {
        let Some(Leaving { log, kept, cursor }) = &mut self.leaving else { return };
        if self.random.below(50) == 0 {
            kept.drain(log, cursor);
            let total = log.stats().segments_total;
            log.evict(
                cursor,
                total - usize::try_from(self.random.below(16)).expect("small"),
                at(self.now_ms),
            );
        }
    }

    fn append(&mut self, chosen: usize, operation: u64, seed: u64) {
        let to = self.random.below(NUMBERS).min(self.random.below(NUMBERS));
        let size = match self.random.below(8) {
            0 => 1 + self.random.below(8192),
            1 => 1 + self.random.below(80),
            2 => 1024,
            _ => 640,
        };
        let body = &mut self.buffer[..usize::try_from(size).expect("at most 8192")];
        let new = placement(
            number(to),
            id(operation, self.random.next()),
            self.now_ms + self.random.retention_ms(),
            body,
        );
        let records_max = u32::try_from(self.random.below(16)).expect("small");
        let ours = self.handles[chosen].append(&new, records_max, at(self.now_ms));
        let theirs = self.twin.append(&new, records_max, at(self.now_ms));
        assert_eq!(ours, theirs, "append {operation}, seed {seed:#x}");
        self.refused += u64::from(ours.is_err());
    }

    fn append_batch(&mut self, chosen: usize, operation: u64, seed: u64) {
        let count = usize::try_from(self.random.below(40)).expect("small");
        let mut bodies: Vec<_> = (0..count).map(|_| self.random.batch_body()).collect();
        let placements: Vec<_> = bodies
            .iter_mut()
            .map(|body| {
                let to = number(self.random.below(NUMBERS).min(self.random.below(NUMBERS)));
                placement(
                    to,
                    id(operation, self.random.next()),
                    self.now_ms + self.random.retention_ms(),
                    body,
                )
            })
            .collect();
        let records_max = u32::try_from(self.random.below(16)).expect("small");
        let (mut ours, mut theirs) = (vec![Ok(()); count], vec![Ok(()); count]);
        self.handles[chosen].append_batch(&placements, records_max, at(self.now_ms), &mut ours);
        self.twin.append_batch(&placements, records_max, at(self.now_ms), &mut theirs);
        assert_eq!(ours, theirs, "batch {operation}, seed {seed:#x}");
        self.appended_in_batches += ours.iter().filter(|result| result.is_ok()).count();
    }

    fn walk_batch(&mut self, chosen: usize, operation: u64, seed: u64) {
        let count = self.random.below(40);
        let numbers: Vec<_> = (0..count).map(|_| number(self.random.below(NUMBERS + 10))).collect();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let now = at(self.now_ms);
        self.handles[chosen].for_each_live_batch(&numbers, now, &mut |index, item| {
            ours.push((index, item.id, item.body.to_vec()));
        });
        self.twin.for_each_live_batch(&numbers, now, &mut |index, item| {
            theirs.push((index, item.id, item.body.to_vec()));
        });
        assert!(ours == theirs, "walk of many {operation}, seed {seed:#x}");
    }

    fn walk(&mut self, chosen: usize, operation: u64, seed: u64) {
        let of = self.random.below(NUMBERS + 10);
        // Retrievals may have read the clock a little earlier.
        let now = at(self.now_ms - self.random.below(2));
        let ours = seen(&mut self.handles[chosen], of, now);
        let theirs = seen(&mut self.twin, of, now);
        assert!(ours == theirs, "walk {operation}, seed {seed:#x}: {} and {}", ours.len(), theirs.len());
        self.walked += u64::try_from(ours.len()).expect("small");
    }
}

impl Random {
    /// Not always the same, so that expiry has to be raised.
    fn retention_ms(&mut self) -> u64 {
        RETENTION_MS - self.below(RETENTION_MS / 20)
    }

    fn batch_body(&mut self) -> Vec<u8> {
        let size = if self.below(8) == 0 { 1 + self.below(4096) } else { 640 };
        vec![0; usize::try_from(size).expect("at most 4096")]
    }
}

type Seen = Vec<(PlacementId, Timestamp, Vec<u8>)>;

fn seen(store: &mut impl PlacementStore, of: u64, now: Timestamp) -> Seen {
    let mut items = Vec::new();
    store.for_each_live(number(of), now, &mut |item| {
        items.push((item.id, item.expires_at, item.body.to_vec()));
    });
    items
}
