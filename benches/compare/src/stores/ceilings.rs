//! What memory allows: the same bytes written by something that keeps no account of them, or only half of one.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use herald_core::Timestamp;
use herald_log::limits::record_bytes;

use super::{Placement, Storing};
use crate::failure::Failure;
use crate::workload::narrow;

/// One thread's share of an arena that records are copied into and never found in: the ceiling of any store.
pub(crate) struct Copying<'a> {
    arena: &'a mut [u8],
    header_bytes: usize,
    used_bytes: usize,
}

impl<'a> Copying<'a> {
    /// Copies a header of `header_bytes` before each body.
    pub(crate) const fn new(arena: &'a mut [u8], header_bytes: usize) -> Self {
        Self { arena, header_bytes, used_bytes: 0 }
    }

    #[inline]
    fn copy(&mut self, placement: &Placement<'_>) {
        const HEADER: [u8; 64] = [7; 64];
        let (length, step) = (self.header_bytes + placement.body.len(), record_bytes(placement.body.len()));
        if self.used_bytes + step > self.arena.len() {
            self.used_bytes = 0;
        }
        let record = &mut self.arena[self.used_bytes..][..length];
        let (header, body) = record.split_at_mut(self.header_bytes);
        header.copy_from_slice(&HEADER[..self.header_bytes]);
        body.copy_from_slice(placement.body);
        black_box(record);
        self.used_bytes += step;
    }
}

impl Storing for Copying<'_> {
    #[inline]
    fn store(&mut self, placements: &[Placement<'_>], _: Timestamp) -> Result<usize, Failure> {
        placements.iter().for_each(|placement| self.copy(placement));
        Ok(placements.len())
    }
}

/// A copy that also exchanges one word, at random, of a table as large as an index: what finding the records
/// again costs at least. A block's exchanges do not wait for each other.
pub(crate) struct Indexing<'a> {
    copying: Copying<'a>,
    index: &'a [AtomicU64],
}

impl<'a> Indexing<'a> {
    pub(crate) const fn new(copying: Copying<'a>, index: &'a [AtomicU64]) -> Self {
        Self { copying, index }
    }
}

impl Storing for Indexing<'_> {
    #[inline]
    fn store(&mut self, placements: &[Placement<'_>], _: Timestamp) -> Result<usize, Failure> {
        for placement in placements {
            self.copying.copy(placement);
            let mixed = placement.number.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            // Release, as whoever publishes a record must; nobody reads these.
            let before =
                self.index[narrow(mixed) % self.index.len()].swap(placement.index, Ordering::Release);
            black_box(before);
        }
        Ok(placements.len())
    }
}

/// One thread's reads of an arena in an order that each read decides for the next: what a step from record to
/// record costs at least.
pub(crate) struct Chasing<'a> {
    arena: &'a [u8],
    position: usize,
}

impl<'a> Chasing<'a> {
    pub(crate) const fn new(arena: &'a [u8], seed: usize) -> Self {
        Self { arena, position: seed }
    }

    /// Reads one byte somewhere, and only then knows where the next is.
    #[inline]
    pub(crate) fn step(&mut self) {
        let mixed = self
            .position
            .wrapping_add(usize::from(self.arena[self.position % self.arena.len()]) + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // The high bits of a product are the well-mixed ones.
        self.position = mixed ^ (mixed >> 29);
    }
}
