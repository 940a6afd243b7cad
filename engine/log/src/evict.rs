//! Making room: segments leave memory before their records expire, once a journal has them.
//!
//! Knows which bytes a drain has seen, not where they went.
#![expect(unsafe_code, reason = "reads sealed segments in place under a pin")]

use core::sync::atomic::Ordering;

use herald_core::{Refusal, TelephoneNumber, Timestamp};

use crate::beyond::{Added, Beyond, BeyondRecord, NewTable, Stub};
use crate::config::{LINE_BYTES, Place, narrow};
use crate::drain::DrainCursor;
use crate::index::Bucket;
use crate::log::PlacementLog;
use crate::pins::Pin;
use crate::record::{HEADER_BYTES, Header, record_bytes};
use crate::segments::{Full, Source};
use crate::sync::stubs_come_first;

impl PlacementLog {
    /// Lets the oldest segments leave memory until `free_min` are free, as far as `kept` has seen the whole of them: all
    /// that it has seen must be where the log's [`Keeper`](crate::Keeper) reads. Their records live on, and are found
    /// as before.
    ///
    /// Does nothing in a log that was not made to go [beyond](PlacementLog::create_beyond) its memory, and stops early
    /// if there is no room for more stubs. Returns how many segments left. O(segments, and records that leave). Any
    /// thread; one such call waits for another and for a drain.
    pub fn evict(&self, kept: &DrainCursor, free_min: usize, now: Timestamp) -> usize {
        let Some(beyond) = &self.beyond else { return 0 };
        let _turn = self.drain_turn.lock();
        beyond.reclaim(&self.pins, now);
        if self.segments.free_count() >= free_min {
            return 0;
        }
        self.segments.retire_expired(&self.pins, 0, self.segments.count(), now);
        let wanted = free_min.saturating_sub(self.segments.free_count());
        let mut full: Vec<Full> =
            (0..self.segments.count()).filter_map(|index| self.segments.full(index, now)).collect();
        full.retain(|full| kept.has_seen(full.index, full.sequence, full.bytes));
        full.sort_unstable_by_key(|full| full.sequence);
        let (mut left, mut stubs) = (0, Vec::new());
        for full in &full {
            if left == wanted {
                break;
            }
            match self.evict_one(beyond, full, now, &mut stubs) {
                Added::Done => left += 1,
                Added::NoTable => {}
                Added::NoRoom => break,
            }
        }
        left
    }

    fn evict_one(&self, beyond: &Beyond, full: &Full, now: Timestamp, stubs: &mut Vec<Stub>) -> Added {
        stubs.clear();
        {
            let pin = self.pins.pin(self.geometry.handles_max);
            if !self.segments.is_readable(full.index, full.generation, &pin) {
                // It has expired meanwhile and was taken back.
                return Added::Done;
            }
            self.collect_stubs(full, now, &pin, stubs);
        }
        let Full { index: segment_index, generation, sequence, .. } = *full;
        if !stubs_come_first() {
            self.segments.give_up(segment_index, generation, Source::Appended, &self.pins);
        }
        let added = beyond.add(&NewTable { stubs, segment_index, generation, sequence });
        if added == Added::Done && stubs_come_first() {
            // Should it have expired meanwhile and been taken back by another, that is as good.
            self.segments.give_up(segment_index, generation, Source::Appended, &self.pins);
        }
        added
    }

    /// The stubs of what lives in a sealed segment that is readable under the pin.
    fn collect_stubs(&self, full: &Full, now: Timestamp, _pin: &Pin<'_>, stubs: &mut Vec<Stub>) {
        let mut offset = 0;
        while offset < narrow(full.bytes) {
            // SAFETY: within the published length of a sealed segment that was readable under the pin, so nobody writes
            // it before the pin is gone; the length was acquired with the seal, and the bytes with it.
            let header =
                unsafe { self.arena.bytes(self.geometry.arena_offset(full.index, offset), HEADER_BYTES) };
            let header = Header::from_bytes(header.first_chunk().expect("HEADER_BYTES were asked for"));
            let line = u32::try_from(offset / LINE_BYTES).expect("a segment has fewer lines");
            // What is void or has expired ends a walk, as what is not there does.
            if header.expires_at > now {
                stubs.push(Stub { header, line, origin: 0, origin_line: 0 });
            }
            offset += record_bytes(narrow(header.body_bytes.into()));
        }
    }

    /// Puts back live placements that a journal kept, without their bodies, which stay with the log's
    /// [`Keeper`](crate::Keeper). They are not drained again.
    ///
    /// Restore before the first append or walk, in the order of expiry. Returns how many of `records` there was room for,
    /// from the first on. Those behind, and all that expire later, are for [`LogHandle::restore`](crate::LogHandle::restore):
    /// a full log holds as many in memory as beyond it, so no more than those are left.
    ///
    /// # Errors
    /// [`Refusal::StoreFull`] if they come in so many small parts that there is no table for one; the log is then of no
    /// further use.
    ///
    /// # Panics
    /// If the log was not made to go beyond its memory.
    pub fn restore_beyond(&self, records: &[BeyondRecord]) -> Result<usize, Refusal> {
        let beyond = self.beyond.as_ref().expect("only a log that goes beyond its memory restores so");
        let fitting = &records[..records.len().min(beyond.room())];
        let mut parts = fitting.chunks(self.geometry.segment_lines_max());
        parts.try_for_each(|part| self.restore_part(beyond, part))?;
        Ok(fitting.len())
    }

    /// Puts back records that have room, no more than addresses tell apart in a segment.
    fn restore_part(&self, beyond: &Beyond, records: &[BeyondRecord]) -> Result<(), Refusal> {
        // Round and round, so that no segment has more tables than others.
        let next_index = narrow(self.segments.opened_count()) % self.segments.count();
        let claimed = self.segments.claim(&self.pins, Source::Restored, next_index);
        let claimed = claimed.ok_or(Refusal::StoreFull)?;
        self.segments.seal(claimed, Source::Restored);
        // Before any address leads there: nothing was written to it, so nobody may read it.
        self.segments.give_up(claimed.index, claimed.generation, Source::Restored, &self.pins);
        let place = |line: usize| Place {
            generation: claimed.generation,
            segment_index: claimed.index,
            offset: line * LINE_BYTES,
        };
        let mut stubs: Vec<Stub> = (0..).zip(records).map(|(line, record)| Stub::of(record, line)).collect();
        for (line, (stub, record)) in stubs.iter_mut().zip(records).enumerate() {
            stub.header.previous = self.link_restored(record.number, self.geometry.address(place(line)));
            stub.header.expires_at = self.expiry(record.expires_at);
        }
        let added = beyond.add(&NewTable {
            stubs: &stubs,
            segment_index: claimed.index,
            generation: claimed.generation,
            sequence: 0,
        });
        if added == Added::Done { Ok(()) } else { Err(Refusal::StoreFull) }
    }

    /// Puts `address` at the head of the chain of `number`, where nobody else is yet. Returns what was there.
    fn link_restored(&self, number: TelephoneNumber, address: u64) -> u64 {
        let word = self.index.word(self.index.of(number));
        // Acquire and Release: as in an append.
        let head = Bucket::from_bits(word.load(Ordering::Acquire));
        word.store(Bucket::new(address, head.live_max() + 1).to_bits(), Ordering::Release);
        head.newest()
    }
}
