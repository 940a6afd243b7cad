//! Segments packed into blocks: each block has its first key, and as many bits for the others as they need.
//!
//! Where a segment ends before the next begins, mostly one value lies between, nothing or that of a wider set. A block
//! names it once, and such a segment says how long it is; so a prefix takes one record and not two.

use super::layout::{
    BLOCK_SEGMENTS, EXTENT_BITS, Head, NOTHING, PADDING_BYTES, SECTION_SHIFT, UNTIL_NEXT, keys_of,
};

/// The blocks of a table.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    pub(super) firsts: Vec<u64>,
    pub(super) heads: Vec<Head>,
    pub(super) data: Vec<u8>,
}

/// Takes segments in order.
pub(super) struct BlockWriter {
    value_bits: u32,
    blocks: Blocks,
    /// First key and value of the segments of the next block.
    segments: Vec<(u64, u32)>,
}

/// One record of a block.
struct Record {
    first: u64,
    value: u32,
    extent: u8,
}

impl BlockWriter {
    pub(super) fn new(value_bits: u32) -> Self {
        Self { value_bits, blocks: Blocks::default(), segments: Vec::with_capacity(BLOCK_SEGMENTS) }
    }

    pub(super) fn put(&mut self, first: u64, value: u32) {
        let same_section = |&(begin, _): &(u64, u32)| begin >> SECTION_SHIFT == first >> SECTION_SHIFT;
        if self.segments.len() == BLOCK_SEGMENTS || !self.segments.first().is_none_or(same_section) {
            self.end_block();
        }
        self.segments.push((first, value));
    }

    pub(super) fn finish(mut self) -> Blocks {
        self.end_block();
        self.blocks.data.extend([0; PADDING_BYTES]);
        self.blocks
    }

    fn end_block(&mut self) {
        let Some(&(first, _)) = self.segments.first() else { return };
        let gap = usual_gap(&self.segments);
        let records = fold(&self.segments, gap);
        self.segments.clear();
        let offsets = || records.iter().map(|record| record.first - first);
        let all = offsets().fold(0, |all, offset| all | offset);
        let shift = if all == 0 { 0 } else { all.trailing_zeros() };
        let offset_bits = u64::BITS - (offsets().next_back().unwrap_or(0) >> shift).leading_zeros();
        self.blocks.firsts.push(first);
        self.blocks.heads.push(Head {
            data_at: self.blocks.data.len() as u64,
            gap,
            count: u8::try_from(records.len()).expect("a block is made from 128 segments"),
            offset_bits: u8::try_from(offset_bits).expect("at most 60: a block lies in one section"),
            shift: u8::try_from(shift).expect("below 60"),
        });
        let mut bits = BitWriter { out: &mut self.blocks.data, held: 0, held_bits: 0 };
        offsets().for_each(|offset| bits.put(offset >> shift, offset_bits));
        for record in &records {
            bits.put(
                u64::from(record.extent) | (u64::from(record.value) << EXTENT_BITS),
                EXTENT_BITS + self.value_bits,
            );
        }
        bits.finish();
    }
}

/// The value most of the segments have that lie behind one with a length which an extent can say.
fn usual_gap(segments: &[(u64, u32)]) -> u32 {
    let mut gaps: Vec<u32> = segments
        .windows(2)
        .filter(|pair| extent(pair[0].0, pair[1].0).is_some())
        .map(|pair| pair[1].1)
        .collect();
    gaps.sort_unstable();
    let runs = gaps.chunk_by(|one, other| one == other);
    runs.max_by_key(|run| run.len()).and_then(|run| run.first()).copied().unwrap_or(NOTHING)
}

/// Leaves out the segments with the value `gap` whose forerunner can say where it ends.
fn fold(segments: &[(u64, u32)], gap: u32) -> Vec<Record> {
    let mut records = Vec::with_capacity(segments.len());
    let mut index = 0;
    while let Some(&(first, value)) = segments.get(index) {
        let behind = segments.get(index + 1).filter(|(_, value)| *value == gap);
        let extent = behind.and_then(|(end, _)| extent(first, *end));
        index += if extent.is_some() { 2 } else { 1 };
        records.push(Record { first, value, extent: extent.unwrap_or(UNTIL_NEXT) });
    }
    records
}

/// The extent of the keys from `first` to before `end`: how many free signs they have, if that is a whole number.
fn extent(first: u64, end: u64) -> Option<u8> {
    let section = first >> SECTION_SHIFT;
    (0..UNTIL_NEXT).find(|&free| keys_of(section, u32::from(free)) == end - first)
}

/// Appends bits, the lowest first.
struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    held: u128,
    held_bits: u32,
}

impl BitWriter<'_> {
    fn put(&mut self, value: u64, bits: u32) {
        self.held |= u128::from(value) << self.held_bits;
        self.held_bits += bits;
        while self.held_bits >= 8 {
            self.out.push(self.held as u8);
            self.held >>= 8;
            self.held_bits -= 8;
        }
    }

    fn finish(self) {
        if self.held_bits > 0 {
            self.out.push(self.held as u8);
        }
    }
}

/// The `bits` bits of `data` from bit `at` on; 16 bytes from its byte on must be inside.
pub(super) fn bits_at(data: &[u8], at: usize, bits: u32) -> u64 {
    let byte = at / 8;
    let window = u128::from_le_bytes(data[byte..byte + 16].try_into().expect("16 bytes were asked for"));
    (window >> (at % 8)) as u64 & ((1u128 << bits) - 1) as u64
}
