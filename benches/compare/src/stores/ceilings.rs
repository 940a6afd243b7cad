//! What memory allows: the same bytes written by something that keeps no account of them, or only half of one.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use herald_core::{TelephoneNumber, Timestamp};
use herald_log::limits::record_bytes;

use super::{Placement, Retrieving, Storing};
use crate::failure::Failure;
use crate::limits::WORDS_PER_RECORD;
use crate::setup::{BODY_BYTES, HEADER_BYTES};
use crate::workload::{RETENTION_MS, narrow, wide};

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
            // Release, as whoever publishes a record must; nobody reads these.
            let word = &self.index[word_of(placement.number, self.index.len())];
            let before = word.swap(placement.index, Ordering::Release);
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

/// Records in lists, one for each bucket of a table as large as the log's: a walk of them has the misses of a walk of
/// the log, and the branches that no processor can foresee (whether there is another record, whether it lives, whose it
/// is), and nothing else.
pub(crate) struct Lists<'a> {
    arena: &'a mut [u8],
    /// One more than the index of the newest placement of each; 0 for none.
    heads: Vec<u64>,
    /// Placements that the arena holds; older ones have been written over.
    capacity: u64,
    end: u64,
}

/// One thread's walks.
pub(crate) struct Listed<'a>(pub(crate) &'a Lists<'a>);

impl<'a> Lists<'a> {
    pub(crate) fn new(arena: &'a mut [u8]) -> Self {
        let capacity = arena.len() / record_bytes(BODY_BYTES);
        Self { arena, heads: vec![0; capacity * WORDS_PER_RECORD], capacity: wide(capacity), end: 0 }
    }

    /// The index from which on placements are wanted when they go up to `end`.
    pub(crate) fn wanted(&self, end: u64) -> u64 {
        self.end.max(end.saturating_sub(self.capacity))
    }

    /// Takes the next placement.
    pub(crate) fn put(&mut self, placement: &Placement<'_>, now: Timestamp) {
        let list = self.list(placement.number);
        let head = core::mem::replace(&mut self.heads[list], placement.index + 1);
        let place = self.place(placement.index);
        let (header, body) = self.arena[place..].split_at_mut(HEADER_BYTES);
        let expires_at = now.plus_millis(RETENTION_MS).as_millis();
        for (field, value) in header.chunks_exact_mut(8).zip([head, placement.number.to_bits(), expires_at]) {
            field.copy_from_slice(&value.to_le_bytes());
        }
        body[..BODY_BYTES].copy_from_slice(placement.body);
        self.end = placement.index + 1;
    }

    fn list(&self, number: TelephoneNumber) -> usize {
        word_of(number, self.heads.len())
    }

    fn place(&self, index: u64) -> usize {
        narrow(index % self.capacity) * record_bytes(BODY_BYTES)
    }
}

impl Retrieving for Listed<'_> {
    #[inline]
    fn retrieve(
        &mut self,
        numbers: &[TelephoneNumber],
        now: Timestamp,
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, Failure> {
        let lists = self.0;
        let mut found = 0;
        for number in numbers {
            let (mut has_one, mut next) = (false, lists.heads[lists.list(*number)]);
            while next != 0 && next + lists.capacity > lists.end {
                let record = &lists.arena[lists.place(next - 1)..][..HEADER_BYTES + BODY_BYTES];
                let field = |at: usize| u64::from_le_bytes(record[8 * at..][..8].try_into().expect("a word"));
                if field(2) <= now.as_millis() {
                    break;
                }
                if field(1) == number.to_bits() {
                    show(&record[HEADER_BYTES..]);
                    has_one = true;
                }
                next = field(0);
            }
            found += usize::from(has_one);
        }
        Ok(found)
    }
}

/// A number's word in an index of so many: by the high bits of a product, the well-mixed ones.
fn word_of(number: TelephoneNumber, words: usize) -> usize {
    let mixed = number.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    narrow(((u128::from(mixed) * words as u128) >> u64::BITS) as u64)
}
