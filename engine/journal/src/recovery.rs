//! What a generation held, read back: every record that lives, once, in the order of expiry.
//!
//! A pass that failed half way leaves blocks that overlap those of the next one: the same bytes of the log, cut at
//! other places. Blocks come in the order of their keys, so whatever has been read already lies before the furthest
//! place read of the same segment.

use core::ops::Range;

use herald_core::{NewPlacement, Timestamp};
use herald_log::{BeyondRecord, RecordRef};

use crate::block::BlockKey;
use crate::keeper::RestoredSegment;

/// The blocks of one generation. Its memory is used again for the next.
#[derive(Default)]
pub(crate) struct Recovered {
    bytes: Vec<u8>,
    blocks: Vec<(Option<BlockKey>, Range<usize>)>,
}

impl Recovered {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.blocks.clear();
    }

    /// Takes the next block in the order of keys; without a key it counts as damaged.
    pub(crate) fn add(&mut self, key: Option<BlockKey>, records: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(records);
        self.blocks.push((key, start..self.bytes.len()));
    }

    /// Visits what lives at `now`. Returns how many blocks were damaged; what came before the damage was visited.
    pub(crate) fn for_each_live(&self, now: Timestamp, visit: &mut dyn FnMut(&NewPlacement<'_>)) -> u64 {
        let mut live = Vec::new();
        let mut reading = Reading::default();
        for (key, place) in &self.blocks {
            reading.block(*key, &self.bytes[place.clone()], now, &mut |_, _, record| live.push(record));
        }
        // Each segment's records stand in order already, which this sort makes use of.
        live.sort_by_key(|record| record.expires_at);
        live.iter().filter_map(RecordRef::to_placement).for_each(|placement| visit(&placement));
        reading.damaged_count
    }
}

/// What a generation holds, without the bodies: what it takes to find them again.
#[derive(Default)]
pub(crate) struct Indexed {
    reading: Reading,
    records: Vec<BeyondRecord>,
    /// Where the records of this and earlier generations are.
    pub(crate) segments: Vec<RestoredSegment>,
}

impl Indexed {
    /// Takes the next block of the generation that is over at `ends_at`, in the order of keys; without a key it counts
    /// as damaged.
    pub(crate) fn add(&mut self, ends_at: Timestamp, key: Option<BlockKey>, records: &[u8], now: Timestamp) {
        let Self { reading, records: live, segments } = self;
        reading.block(key, records, now, &mut |key, at, record| {
            let segment = RestoredSegment { ends_at, run: key.run, segment: key.segment };
            if segments.last() != Some(&segment) {
                segments.push(segment);
            }
            let origin = u32::try_from(segments.len() - 1).expect("fewer segments than that lie on a disk");
            let RecordRef { number, id, expires_at, .. } = record;
            live.push(BeyondRecord { number, id, expires_at, origin, offset: key.offset + at });
        });
    }

    /// Ends a generation: its records in the order of expiry, none later than `latest`.
    pub(crate) fn end(&mut self, latest: Timestamp) -> &[BeyondRecord] {
        self.records.sort_by_key(|record| record.expires_at);
        self.records.iter_mut().for_each(|record| record.expires_at = record.expires_at.min(latest));
        &self.records
    }

    /// Begins the next generation.
    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.reading.furthest = None;
    }

    /// How many blocks were damaged so far.
    pub(crate) const fn damaged_count(&self) -> u64 {
        self.reading.damaged_count
    }
}

/// How far blocks have been read, and how many were damaged.
#[derive(Default)]
struct Reading {
    furthest: Option<BlockKey>,
    damaged_count: u64,
}

impl Reading {
    /// Hands `live` each record of the next block that lives and was not read before, with the block's key and how far
    /// behind its start the record begins.
    fn block<'a>(
        &mut self,
        key: Option<BlockKey>,
        block: &'a [u8],
        now: Timestamp,
        live: &mut dyn FnMut(BlockKey, u64, RecordRef<'a>),
    ) {
        let Some(key) = key else {
            self.damaged_count += 1;
            return;
        };
        let same = self.furthest.filter(|reached| (reached.run, reached.segment) == (key.run, key.segment));
        let skipped = same.map_or(0, |reached| reached.offset.saturating_sub(key.offset));
        let mut records = herald_log::records(block);
        let reached = loop {
            let at = records.position() as u64;
            match records.next() {
                None => break at,
                Some(Err(_)) => {
                    self.damaged_count += 1;
                    break at;
                }
                Some(Ok(record)) if at >= skipped && record.expires_at > now => live(key, at, record),
                Some(Ok(_)) => {}
            }
        };
        self.furthest = Some(BlockKey { offset: key.offset + reached.max(skipped), ..key });
    }
}
