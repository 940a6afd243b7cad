//! What generations held, read back: every record that lives, once, in the order of expiry.
//!
//! A pass that failed half way leaves blocks that overlap those of the next one: the same bytes of the log, cut at
//! other places. Blocks come in the order of their keys, so whatever has been read already lies before the furthest
//! place read of the same segment.

use std::collections::BTreeMap;

use herald_core::Timestamp;
use herald_log::{BeyondRecord, RecordRef};
use rocksdb::DBRawIteratorWithThreadMode;

use crate::block::BlockKey;
use crate::keeper::{Db, RestoredSegment};
use crate::retentions::Retentions;
use crate::rocks::fault;
use crate::store::Fault;

/// Takes a record, where its block is, and how far behind the block's start it begins.
pub(crate) type Visit<'a> = dyn FnMut(BlockPlace, u64, RecordRef<'_>) + 'a;

/// Where a block is.
#[derive(Clone, Copy)]
pub(crate) struct BlockPlace {
    /// Which of the generations that are read together.
    pub(crate) generation: usize,
    pub(crate) key: BlockKey,
}

/// Generations that are read together.
pub(crate) struct Together<'a, 'db> {
    pub(crate) count: usize,
    /// Reads the one of this index.
    pub(crate) open: &'a dyn Fn(usize) -> Blocks<'db>,
    /// What shortens the life of what is in them.
    pub(crate) retentions: &'a Retentions,
}

/// Reads the blocks of one generation, each walker from the first key on.
pub(crate) type Blocks<'db> = DBRawIteratorWithThreadMode<'db, Db>;

/// Visits what lives at `now` of these generations, in the order of expiry; what expires at the same moment in the order of
/// generations and keys. Returns how many blocks were damaged; what came before the damage was visited.
///
/// Along a segment expiry never falls, so the segments are merged, and read only where something of theirs is next: each
/// block is visited where RocksDB has it.
pub(crate) fn for_each_live<'db>(
    generations: &Together<'_, 'db>,
    now: Timestamp,
    visit: &mut Visit<'_>,
) -> Result<u64, Fault> {
    let mut damaged_count = 0;
    let mut waiting = segments(generations, &mut damaged_count)?.into_iter().peekable();
    let mut reading: BTreeMap<Turn, SegmentReader<'_>> = BTreeMap::new();
    loop {
        let first = reading.first_key_value().map(|(&turn, _)| turn);
        let (mut reader, turn) = match waiting.next_if(|(next, _)| first.is_none_or(|first| *next < first)) {
            Some((turn, first)) => (SegmentReader::new(generations, first), turn),
            None => match reading.pop_first() {
                Some((turn, reader)) => (reader, turn),
                None => return Ok(damaged_count),
            },
        };
        let others =
            [waiting.peek().map(|&(turn, _)| turn), reading.first_key_value().map(|(&turn, _)| turn)];
        let until = others.into_iter().flatten().min();
        let is_before = |expires_at| until.is_none_or(|until| Turn { expires_at, ..turn } < until);
        if let Some(expires_at) = reader.read(now, &is_before, visit, &mut damaged_count)? {
            reading.insert(Turn { expires_at, ..turn }, reader);
        }
    }
}

/// Whose turn it is: the least goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    expires_at: Timestamp,
    /// Which segment, in the order of generations and keys.
    index: usize,
}

/// The segments of generations by what they begin with, each with its first block. Reads the first block of each.
fn segments(
    generations: &Together<'_, '_>,
    damaged_count: &mut u64,
) -> Result<Vec<(Turn, BlockPlace)>, Fault> {
    let mut segments = Vec::new();
    for generation in 0..generations.count {
        let blocks = &mut (generations.open)(generation);
        add_segments(generation, blocks, generations.retentions, &mut segments, damaged_count)?;
    }
    segments.sort_by_key(|&(turn, _)| turn);
    Ok(segments)
}

fn add_segments(
    generation: usize,
    blocks: &mut Blocks<'_>,
    retentions: &Retentions,
    segments: &mut Vec<(Turn, BlockPlace)>,
    damaged_count: &mut u64,
) -> Result<(), Fault> {
    blocks.seek_to_first();
    while let Some((key, records)) = blocks.item() {
        let Some(key) = BlockKey::from_bytes(key) else {
            *damaged_count += 1;
            blocks.next();
            continue;
        };
        // What cannot be read comes first, and is counted then.
        let first = herald_log::records(records).next().and_then(Result::ok);
        let expires_at = first.map_or(Timestamp::default(), |record| record.expires_at);
        let expires_at = shortened(expires_at, retentions.shortened_ms(key.run));
        segments.push((Turn { expires_at, index: segments.len() }, BlockPlace { generation, key }));
        let Some(segment) = key.segment.checked_add(1) else { break };
        blocks.seek(BlockKey { segment, offset: 0, ..key }.to_bytes());
    }
    blocks.status().map_err(fault)
}

fn shortened(expires_at: Timestamp, by_ms: u64) -> Timestamp {
    Timestamp::from_millis(expires_at.as_millis().saturating_sub(by_ms))
}

/// Reads one segment's blocks of a generation.
struct SegmentReader<'db> {
    blocks: Blocks<'db>,
    generation: usize,
    /// By how much its records live less than they say.
    shortened_ms: u64,
    run: u64,
    segment: u64,
    /// Where in the current block the next record begins.
    at: usize,
    /// How far in the segment blocks have been read.
    furthest: u64,
}

impl<'db> SegmentReader<'db> {
    fn new(generations: &Together<'_, 'db>, first: BlockPlace) -> Self {
        let BlockPlace { generation, key } = first;
        let mut blocks = (generations.open)(generation);
        blocks.seek(key.to_bytes());
        let shortened_ms = generations.retentions.shortened_ms(key.run);
        Self { blocks, generation, shortened_ms, run: key.run, segment: key.segment, at: 0, furthest: 0 }
    }

    /// Visits what lives, for as long as `is_before` holds of its expiry. Returns the first expiry of which it does not;
    /// `None` at the end of the segment.
    fn read(
        &mut self,
        now: Timestamp,
        is_before: &dyn Fn(Timestamp) -> bool,
        visit: &mut Visit<'_>,
        damaged_count: &mut u64,
    ) -> Result<Option<Timestamp>, Fault> {
        while let Some((key, block)) = self.blocks.item() {
            match BlockKey::from_bytes(key) {
                Some(key) if (key.run, key.segment) != (self.run, self.segment) => return Ok(None),
                Some(key) => {
                    let skipped = self.furthest.saturating_sub(key.offset);
                    let mut records = herald_log::records(&block[self.at..]);
                    let reached = loop {
                        let at = self.at + records.position();
                        match records.next() {
                            None => break at,
                            Some(Err(_)) => {
                                *damaged_count += 1;
                                break at;
                            }
                            Some(Ok(_)) if (at as u64) < skipped => {}
                            Some(Ok(record)) => {
                                let expires_at = shortened(record.expires_at, self.shortened_ms);
                                if expires_at > now && !is_before(expires_at) {
                                    self.at = at;
                                    return Ok(Some(expires_at));
                                }
                                if expires_at > now {
                                    let place = BlockPlace { generation: self.generation, key };
                                    visit(place, at as u64, RecordRef { expires_at, ..record });
                                }
                            }
                        }
                    };
                    self.furthest = key.offset + (reached as u64).max(skipped);
                }
                None => *damaged_count += 1,
            }
            self.at = 0;
            self.blocks.next();
        }
        self.blocks.status().map_err(fault)?;
        Ok(None)
    }
}

/// What generations hold, without the bodies: what it takes to find them again.
#[derive(Default)]
pub(crate) struct Indexed {
    pub(crate) records: Vec<BeyondRecord>,
    /// Where the records of this and earlier generations are.
    pub(crate) segments: Vec<RestoredSegment>,
    /// Which of `segments` are of the generations that are read together, by end, run and segment.
    origins: BTreeMap<(Timestamp, u64, u64), u32>,
}

impl Indexed {
    /// Takes the next record, of the generation that is over at `ends_at`, which expires no later than `latest`.
    pub(crate) fn add(
        &mut self,
        ends_at: Timestamp,
        latest: Timestamp,
        key: BlockKey,
        at: u64,
        record: &RecordRef<'_>,
    ) {
        let Self { records, segments, origins } = self;
        let origin = *origins.entry((ends_at, key.run, key.segment)).or_insert_with(|| {
            segments.push(RestoredSegment { ends_at, run: key.run, segment: key.segment });
            u32::try_from(segments.len() - 1).expect("fewer segments than that lie on a disk")
        });
        let &RecordRef { number, id, expires_at, .. } = record;
        records.push(BeyondRecord {
            number,
            id,
            expires_at: expires_at.min(latest),
            origin,
            offset: key.offset + at,
        });
    }

    /// Begins the next generations.
    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.origins.clear();
    }
}
