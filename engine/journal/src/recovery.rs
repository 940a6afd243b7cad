//! What a generation held, read back: every record that lives, once, in the order of expiry.
//!
//! A pass that failed half way leaves blocks that overlap those of the next one: the same bytes of the log, cut at
//! other places. Blocks come in the order of their keys, so whatever has been read already lies before the furthest
//! place read of the same segment.

use core::ops::Range;

use herald_core::{NewPlacement, Timestamp};
use herald_log::RecordRef;

use crate::block::BlockKey;

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
        let (mut live, mut damaged_count) = (Vec::new(), 0);
        let mut furthest: Option<BlockKey> = None;
        for (key, place) in &self.blocks {
            let Some(key) = *key else {
                damaged_count += 1;
                continue;
            };
            let same = furthest.filter(|reached| (reached.run, reached.segment) == (key.run, key.segment));
            let skipped = same.map_or(0, |reached| reached.offset.saturating_sub(key.offset));
            let (reached, is_sound) = collect_live(&self.bytes[place.clone()], skipped, now, &mut live);
            damaged_count += u64::from(!is_sound);
            furthest = Some(BlockKey { offset: key.offset + reached.max(skipped), ..key });
        }
        // Each segment's records stand in order already, which this sort makes use of.
        live.sort_by_key(|record| record.expires_at);
        live.iter().filter_map(RecordRef::to_placement).for_each(|placement| visit(&placement));
        damaged_count
    }
}

/// Adds the live records of a block that begin `skipped` bytes from its start or behind. Returns how far it could be
/// read, and whether that is all of it.
fn collect_live<'a>(
    block: &'a [u8],
    skipped: u64,
    now: Timestamp,
    live: &mut Vec<RecordRef<'a>>,
) -> (u64, bool) {
    let mut records = herald_log::records(block);
    loop {
        let at = records.position() as u64;
        match records.next() {
            None => return (at, true),
            Some(Err(_)) => return (at, false),
            Some(Ok(record)) if at >= skipped && record.expires_at > now => live.push(record),
            Some(Ok(_)) => {}
        }
    }
}
