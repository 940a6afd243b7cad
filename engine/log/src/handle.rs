//! What one thread does with the log: it keeps a segment open, restores, walks, and hands appends on.
//!
//! Knows no clock (each call brings the time) and no retention (each placement brings its expiry).
#![expect(unsafe_code, reason = "writes into the segment that this handle alone has open")]

use core::cell::Cell;
use core::marker::PhantomData;
use core::sync::atomic::Ordering;
use std::sync::Arc;

use herald_core::{
    NewPlacement, PlacementId, PlacementRef, PlacementStore, Refusal, TelephoneNumber, Timestamp,
};

use crate::append::{Quota, checked_record_bytes};
use crate::beyond::KeptPlace;
use crate::chain::{Body, Chain, Record};
use crate::config::{LINE_BYTES, Place};
use crate::full::FullNumbers;
use crate::index::{Bucket, BucketIndex};
use crate::limits::{BATCH_PART, OPEN_SEGMENT_AGE_SHARE, RECORD_BYTES_COMMON, RETIRE_STEP};
use crate::log::PlacementLog;
use crate::pins::Pin;
use crate::record::{Header, record_bytes};
use crate::segments::{Claimed, Source};

/// One thread's way into a [`PlacementLog`]: a [`PlacementStore`] that shares the log with the other handles.
///
/// It may be moved to another thread, not used by two. While a visit of
/// [`for_each_live`](PlacementStore::for_each_live) lasts, no segment given up meanwhile is used again: a visit
/// that waits for something makes other handles refuse appends.
///
/// A handle that is no longer called keeps its open segment. Drop it, or let it [`forget`](Self::forget) now and then.
pub struct LogHandle {
    pub(crate) log: Arc<PlacementLog>,
    pub(crate) pin_slot: usize,
    pub(crate) open: Option<OpenSegment>,
    pub(crate) full: FullNumbers,
    /// When this handle last looked at all segments for expired ones: at most once a millisecond.
    retired_all_at: Option<Timestamp>,
    /// The last time at which there was no segment to be had: at most one search a millisecond, so that
    /// refusing stays cheap when it is done most.
    none_free_at: Option<Timestamp>,
    /// Where to look for a free segment first: behind the last one found, so that the next is near.
    next_index: usize,
    /// Where to look next for segments that have expired, round and round.
    retire_next: usize,
    /// Whether bodies that have left memory are left out instead of being read.
    leaves_out: bool,
    /// Whether one was.
    left_out: bool,
    /// Bytes of the last body that a walk showed in place: what the next is guessed to have.
    body_bytes_guess: usize,
    not_sync: PhantomData<Cell<()>>,
}

/// The segment this handle alone writes.
pub(crate) struct OpenSegment {
    claimed: Claimed,
    source: Source,
    pub(crate) used_bytes: usize,
    /// Bytes from the segment's start that records linked so far take up. During a batch more than `used_bytes`.
    linked_bytes: usize,
    expires_max: Timestamp,
    /// When it was opened.
    opened_at: Timestamp,
}

/// A record that is shown when the pin is gone.
enum Later {
    Kept(KeptPlace),
    Copied { id: PlacementId, expires_at: Timestamp, body: Vec<u8> },
}

impl LogHandle {
    pub(crate) fn new(log: Arc<PlacementLog>, pin_slot: usize) -> Self {
        Self {
            log,
            pin_slot,
            open: None,
            full: FullNumbers::new(),
            retired_all_at: None,
            none_free_at: None,
            next_index: 0,
            retire_next: 0,
            leaves_out: false,
            left_out: false,
            body_bytes_guess: 0,
            not_sync: PhantomData,
        }
    }

    /// Puts back a placement that the journal kept, under the expiry it had. It is not drained again.
    ///
    /// Restore before the first append, in the order of expiry: a placement restored behind a younger one
    /// gets that one's expiry. Placements that have expired are for the caller to leave out.
    /// A handle that restores does not take expired segments back (it isn't told the time).
    ///
    /// # Errors
    /// [`Refusal::StoreFull`]; it was not kept.
    ///
    /// # Panics
    /// If the body is empty or longer than [`BODY_BYTES_MAX`](herald_core::limits::BODY_BYTES_MAX).
    pub fn restore(&mut self, placement: &NewPlacement<'_>) -> Result<(), Refusal> {
        let length = checked_record_bytes(placement);
        if !self.open_fits(length, Source::Restored) {
            self.seal();
            self.open(Source::Restored, Timestamp::default())?;
        }
        self.publish(placement, None)
    }

    /// Whether an append of `body_bytes` would find memory at `now`, but for a reader that stalls. It takes none.
    pub fn has_room(&self, body_bytes: usize, now: Timestamp) -> bool {
        self.open_fits(record_bytes(body_bytes), Source::Appended) || self.log.has_segment(now)
    }

    /// Sees to an open segment with `length` bytes of room, a new one if the old is full or old.
    #[inline]
    pub(crate) fn make_room(
        &mut self,
        length: usize,
        now: Timestamp,
        retention_ms: u64,
    ) -> Result<(), Refusal> {
        if !self.open_fits(length, Source::Appended) {
            self.seal();
            return self.open_at(now);
        }
        let age_ms_max = retention_ms / OPEN_SEGMENT_AGE_SHARE;
        let old = |open: &OpenSegment| open.used_bytes > 0 && now.millis_since(open.opened_at) > age_ms_max;
        if self.open.as_ref().is_some_and(old) {
            // Without another segment the old one will do until it is full.
            self.open_at(now).ok();
        }
        Ok(())
    }

    #[inline]
    fn open_fits(&self, length: usize, source: Source) -> bool {
        let room = self.log.geometry.segment_room_bytes;
        self.open.as_ref().is_some_and(|open| open.source == source && open.used_bytes + length <= room)
    }

    /// Takes some expired segments back, all if it must, and opens one.
    #[cold]
    fn open_at(&mut self, now: Timestamp) -> Result<(), Refusal> {
        if self.none_free_at == Some(now) {
            return Err(Refusal::StoreFull);
        }
        let count = self.log.geometry.segment_count;
        self.retire_expired(RETIRE_STEP.min(count), now);
        let mut opened = self.open(Source::Appended, now);
        if opened.is_err() && RETIRE_STEP < count && self.retired_all_at.replace(now) != Some(now) {
            self.retire_expired(count, now);
            opened = self.open(Source::Appended, now);
        }
        self.none_free_at = opened.is_err().then_some(now);
        opened
    }

    /// Takes back what has expired among the next `count` segments.
    fn retire_expired(&mut self, count: usize, now: Timestamp) {
        self.log.segments.retire_expired(&self.log.pins, self.retire_next, count, now);
        self.retire_next = (self.retire_next + count) % self.log.geometry.segment_count;
    }

    /// Seals the open segment, if any, and opens another; without one to be had nothing changes.
    #[cold]
    fn open(&mut self, source: Source, now: Timestamp) -> Result<(), Refusal> {
        let claim = self.log.segments.claim(&self.log.pins, source, self.next_index);
        let claimed = claim.ok_or(Refusal::StoreFull)?;
        self.next_index = (claimed.index + 1) % self.log.geometry.segment_count;
        self.seal();
        let expires_max = Timestamp::default();
        self.open = Some(OpenSegment {
            claimed,
            source,
            used_bytes: 0,
            linked_bytes: 0,
            expires_max,
            opened_at: now,
        });
        Ok(())
    }

    fn seal(&mut self) {
        if let Some(open) = self.open.take() {
            self.log.segments.seal(open.claimed, open.source);
        }
    }
}

impl PlacementStore for LogHandle {
    /// See [`PlacementStore::append`]. O(live placements of the number's bucket).
    ///
    /// [`Refusal::StoreFull`] also if a stalled reader holds the segments that could be used again. Other than
    /// by such a reader, a refusal lasts until `now` moves on, even if memory comes free within the
    /// millisecond.
    ///
    /// # Panics
    /// If the body is empty or longer than [`BODY_BYTES_MAX`](herald_core::limits::BODY_BYTES_MAX).
    #[inline]
    fn append(
        &mut self,
        placement: &NewPlacement<'_>,
        records_max: u32,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.append_one(placement, Quota { records_max, now })
    }

    /// See [`PlacementStore::append_batch`]. In parts of [`BATCH_PART`](crate::limits::BATCH_PART), whose buckets
    /// are fetched together; bodies go past the caches.
    ///
    /// # Panics
    /// As [`append`](PlacementStore::append) and if `results` has another length than `placements`.
    fn append_batch(
        &mut self,
        placements: &[NewPlacement<'_>],
        records_max: u32,
        now: Timestamp,
        results: &mut [Result<(), Refusal>],
    ) {
        self.append_many(placements, Quota { records_max, now }, results);
    }

    #[inline]
    fn for_each_live(
        &mut self,
        number: TelephoneNumber,
        now: Timestamp,
        visit: &mut dyn FnMut(PlacementRef<'_>),
    ) {
        self.forget(now);
        let log = &*self.log;
        let index = log.index.of(number);
        let pin = log.pins.pin(self.pin_slot);
        let newest = log.bucket(index).newest();
        log.prefetch_record(newest);
        let mut chain = log.chain(&pin, newest, now);
        visit_here(&mut chain, number, &mut self.body_bytes_guess, visit);
        if log.beyond.is_some() {
            let mut later = Vec::new();
            note_later(chain, number, 0, &mut later);
            drop(pin);
            if !later.is_empty() {
                let visit = &mut |_, placement: PlacementRef<'_>| visit(placement);
                self.left_out |= log.visit_later(&later, self.leaves_out, visit);
            }
        }
    }

    /// See [`PlacementStore::for_each_live_id`]. Reads no bodies.
    fn for_each_live_id(
        &mut self,
        number: TelephoneNumber,
        now: Timestamp,
        visit: &mut dyn FnMut(PlacementId),
    ) {
        self.forget(now);
        let bucket = self.log.bucket(self.log.index.of(number));
        let pin = self.log.pins.pin(self.pin_slot);
        let of_number = |header: &Header| header.number_bits == number.to_bits();
        let headers = self.log.chain(&pin, bucket.newest(), now).map(|record| record.header);
        headers.filter(of_number).for_each(|header| visit(header.id));
    }

    /// See [`PlacementStore::find_live`]. Reads no other body.
    fn find_live(
        &mut self,
        number: TelephoneNumber,
        id: PlacementId,
        now: Timestamp,
        visit: &mut dyn FnMut(PlacementRef<'_>),
    ) {
        self.forget(now);
        let bucket = self.log.bucket(self.log.index.of(number));
        let mut later = None;
        {
            let pin = self.log.pins.pin(self.pin_slot);
            let mut chain = self.log.chain(&pin, bucket.newest(), now);
            let found =
                chain.find(|Record { header, .. }| header.number_bits == number.to_bits() && header.id == id);
            match found.map(|record| (record.header.expires_at, record.body)) {
                Some((expires_at, Body::Here(body))) => visit(PlacementRef { id, expires_at, body: &body }),
                Some((_, Body::Kept(place))) => later = Some((0, Later::Kept(place))),
                None => {}
            }
        }
        let visit = &mut |_, placement: PlacementRef<'_>| visit(placement);
        self.left_out |= self.log.visit_later(later.as_slice(), self.leaves_out, visit);
    }

    /// See [`PlacementStore::for_each_live_batch`]. In parts of [`BATCH_PART`](crate::limits::BATCH_PART), whose
    /// buckets, then newest records, then the headers behind these are fetched together.
    fn for_each_live_batch(
        &mut self,
        numbers: &[TelephoneNumber],
        now: Timestamp,
        visit: &mut dyn FnMut(usize, PlacementRef<'_>),
    ) {
        self.forget(now);
        let log = &*self.log;
        for (part, numbers) in numbers.chunks(BATCH_PART).enumerate() {
            let mut indexes = [BucketIndex::default(); BATCH_PART];
            for (index, number) in indexes.iter_mut().zip(numbers) {
                *index = log.index.of(*number);
                log.index.prefetch(*index);
            }
            let mut later = Vec::new();
            let pin = log.pins.pin(self.pin_slot);
            let mut buckets = [Bucket::default(); BATCH_PART];
            for (bucket, index) in buckets[..numbers.len()].iter_mut().zip(indexes) {
                *bucket = log.bucket(index);
                log.prefetch_record(bucket.newest());
            }
            for bucket in &buckets[..numbers.len()] {
                log.prefetch_second(&pin, *bucket, now);
            }
            for (place, (&number, bucket)) in numbers.iter().zip(buckets).enumerate() {
                let place = part * BATCH_PART + place;
                let mut chain = log.chain(&pin, bucket.newest(), now);
                // What has been put off comes first.
                if later.is_empty() {
                    let visit = &mut |placement: PlacementRef<'_>| visit(place, placement);
                    visit_here(&mut chain, number, &mut self.body_bytes_guess, visit);
                }
                if log.beyond.is_some() {
                    note_later(chain, number, place, &mut later);
                }
            }
            drop(pin);
            if !later.is_empty() {
                self.left_out |= log.visit_later(&later, self.leaves_out, visit);
            }
        }
    }
}

impl LogHandle {
    /// From now on walks leave out bodies that have left memory instead of reading them, if `leaves_out`.
    pub const fn leave_out_beyond(&mut self, leaves_out: bool) {
        self.leaves_out = leaves_out;
    }

    /// Whether any body has been left out since this was asked last.
    pub const fn take_left_out(&mut self) -> bool {
        core::mem::replace(&mut self.left_out, false)
    }

    /// Gives up its segment if all in it has expired. Every walk does so too: a handle that only reads from now on must
    /// not keep what has expired.
    #[inline]
    pub fn forget(&mut self, now: Timestamp) {
        if self.open.as_ref().is_some_and(|open| open.used_bytes > 0 && open.expires_max <= now) {
            self.seal();
        }
    }
}

impl PlacementLog {
    /// What the bucket says now.
    #[inline]
    fn bucket(&self, index: BucketIndex) -> Bucket {
        // Acquire: pairs with the Release of the compare-and-swap that published the newest record.
        Bucket::from_bits(self.index.word(index).load(Ordering::Acquire))
    }

    /// Has a record fetched that is as long as most are.
    #[inline]
    fn prefetch_record(&self, address: u64) {
        let place = self.geometry.place(address);
        self.prefetch_common(self.geometry.arena_offset(place.segment_index, place.offset));
    }

    /// Has the bytes of the arena fetched that a record from `offset` on has if it is as long as most are.
    #[inline]
    fn prefetch_common(&self, offset: usize) {
        self.arena.prefetch::<{ RECORD_BYTES_COMMON / LINE_BYTES }>(offset);
    }

    /// Has the header behind the newest record fetched, if that lives: often there is one, of this number or another.
    #[inline]
    fn prefetch_second(&self, pin: &Pin<'_>, bucket: Bucket, now: Timestamp) {
        if let Some(newest) = self.chain(pin, bucket.newest(), now).next() {
            let place = self.geometry.place(newest.header.previous);
            let offset = self.geometry.arena_offset(place.segment_index, place.offset);
            self.arena.prefetch::<1>(offset);
        }
    }

    /// Visits what `note_later` noted, each with its place. The caller holds no pin: to read may take a disk. If it is
    /// not to be read but left out, returns whether anything was.
    #[cold]
    fn visit_later(
        &self,
        later: &[(usize, Later)],
        leaves_out: bool,
        visit: &mut dyn FnMut(usize, PlacementRef<'_>),
    ) -> bool {
        let mut left_out = false;
        for (place, record) in later {
            match record {
                Later::Copied { id, expires_at, body } => {
                    visit(*place, PlacementRef { id: *id, expires_at: *expires_at, body });
                }
                Later::Kept(_) if leaves_out => left_out = true,
                Later::Kept(kept) => {
                    let KeptPlace { id, expires_at, .. } = *kept;
                    let beyond = self.beyond.as_ref().expect("only there do records leave memory");
                    beyond.read(kept, &mut |body| visit(*place, PlacementRef { id, expires_at, body }));
                }
            }
        }
        left_out
    }
}

/// Visits the records of `number` in a chain, up to the first that has left memory.
#[inline]
fn visit_here(
    chain: &mut Chain<'_>,
    number: TelephoneNumber,
    body_bytes_guess: &mut usize,
    visit: &mut dyn FnMut(PlacementRef<'_>),
) {
    while let Some(here) = chain.next_here() {
        if here.header().number_bits == number.to_bits() {
            let body = here.guessed_body(body_bytes_guess);
            let Header { id, expires_at, .. } = here.header();
            visit(PlacementRef { id, expires_at, body: &body });
        }
    }
}

/// Adds the records of `number` in what is left of a chain to `later`, under a place.
fn note_later(chain: Chain<'_>, number: TelephoneNumber, place: usize, later: &mut Vec<(usize, Later)>) {
    for Record { header, body } in chain {
        if header.number_bits == number.to_bits() {
            let (id, expires_at) = (header.id, header.expires_at);
            let record = match body {
                Body::Here(body) => Later::Copied { id, expires_at, body: body.to_vec() },
                Body::Kept(kept) => Later::Kept(kept),
            };
            later.push((place, record));
        }
    }
}

impl Drop for LogHandle {
    fn drop(&mut self) {
        self.seal();
        self.log.pins.give_back(self.pin_slot);
    }
}

impl OpenSegment {
    /// The address of a record that begins `offset` bytes from the end of what is used.
    #[inline]
    pub(crate) fn address(&self, log: &PlacementLog, offset: usize) -> u64 {
        let Claimed { index: segment_index, generation } = self.claimed;
        log.geometry.address(Place { generation, segment_index, offset: self.used_bytes + offset })
    }

    /// Writes `bytes` and then zeros, `length` in all, `offset` bytes from the end of what is used.
    #[inline]
    pub(crate) fn write(&mut self, log: &PlacementLog, offset: usize, bytes: &[u8], length: usize) {
        let start = self.start(log, offset, length);
        // SAFETY: the bytes lie in the segment that `claimed` gave to this value alone, beyond `linked_bytes`: no
        // published address or offered length leads there. Whoever read the segment's earlier tenure had left
        // before it could be claimed.
        unsafe { log.arena.write(start, bytes, length) };
    }

    /// As [`write`](Self::write), whole lines and past the caches. [`settle`](crate::arena::Arena::settle) before
    /// anybody may find them.
    #[inline]
    pub(crate) fn stream(&mut self, log: &PlacementLog, offset: usize, bytes: &[u8], length: usize) {
        let start = self.start(log, offset, length);
        assert!(start.is_multiple_of(LINE_BYTES) && length.is_multiple_of(LINE_BYTES));
        // SAFETY: as for `write`; whole lines, and `publish_together` settles before it links.
        unsafe { log.arena.stream(start, bytes, length) };
    }

    /// Where in the arena the place is, which must be within the segment and beyond what is linked.
    #[inline]
    fn start(&self, log: &PlacementLog, offset: usize, length: usize) -> usize {
        let place = self.used_bytes + offset;
        assert!(self.linked_bytes <= place && place + length <= log.geometry.segment_room_bytes);
        log.geometry.arena_offset(self.claimed.index, self.used_bytes + offset)
    }

    /// Has the place fetched that a record of the common length would take `offset` bytes from the end of what is used.
    #[inline]
    pub(crate) fn prefetch(&self, log: &PlacementLog, offset: usize) {
        log.prefetch_common(log.geometry.arena_offset(self.claimed.index, self.used_bytes + offset));
    }

    /// Lets nobody write any more up to `offset` bytes from the end of what is used: it has been linked.
    #[inline]
    pub(crate) fn mark_linked(&mut self, offset: usize) {
        self.linked_bytes = self.used_bytes + offset;
    }

    /// Counts in `length` bytes of records, all of them published or void.
    #[inline]
    pub(crate) fn advance(&mut self, log: &PlacementLog, length: usize, expires_max: Timestamp) {
        self.used_bytes += length;
        self.expires_max = self.expires_max.max(expires_max);
        log.segments.offer(self.claimed.index, self.used_bytes, self.expires_max);
    }

    /// Bytes that are left.
    #[inline]
    pub(crate) fn room(&self, log: &PlacementLog) -> usize {
        log.geometry.segment_room_bytes - self.used_bytes
    }
}
