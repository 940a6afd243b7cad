//! Where in a table to begin: made when it is opened, small enough to stay in a processor's cache.
//!
//! A look-up costs what its waits for memory cost. Searching all first keys of a large table waits once for each of the
//! last steps; with this it waits once for the first keys and heads of a few blocks, and once for the block.

use core::hint::{black_box, select_unpredictable};
use core::ops::Range;

use super::layout::SECTION_SHIFT;

/// Blocks of which one is here.
const STEP: usize = 16;
/// Bytes that a processor fetches together.
const LINE_BYTES: usize = 64;

/// The first key of every [`STEP`]th block, and which sections have any: 1/200 of a large table.
#[derive(Clone, Debug)]
pub(super) struct Guide {
    keys: Vec<u64>,
    sections: u16,
    count: usize,
}

impl Guide {
    /// For `count` blocks, ascending, of which `first` says the first key. O(count).
    pub(super) fn new(count: usize, first: impl Fn(usize) -> u64) -> Self {
        let sections =
            (0..count).fold(0, |sections, block| sections | (1 << (first(block) >> SECTION_SHIFT)));
        Self { keys: (0..count).step_by(STEP).map(first).collect(), sections, count }
    }

    /// Blocks among which is the last with a first key of at most `key`, if one can hold it: sets lie in one section.
    pub(super) fn around(&self, key: u64) -> Option<Range<usize>> {
        let has_section = self.sections & (1 << (key >> SECTION_SHIFT)) != 0;
        if !has_section || *self.keys.first()? > key {
            return None;
        }
        let begin = STEP * last_at_most(self.keys.len(), |index| self.keys[index] <= key);
        Some(begin..self.count.min(begin + STEP))
    }
}

/// Has all of `bytes` fetched at once, where a search would wait for one line after another.
pub(super) fn touch(bytes: &[u8]) {
    let lines = bytes.iter().step_by(LINE_BYTES).chain(bytes.last());
    black_box(lines.fold(0, |all, byte| all | byte));
}

/// The last of `count` indices for which `holds`, if it does for all before a point and for none behind; 0 if for none.
pub(super) fn last_at_most(count: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut size) = (0, count);
    while size > 1 {
        let half = size / 2;
        // Guessing which half it is goes wrong every other time.
        low = select_unpredictable(holds(low + half), low + half, low);
        size -= half;
    }
    low
}
