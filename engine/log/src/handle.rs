//! Appending and walking: what one thread does with the log.
//!
//! Knows no clock (each call brings the time) and no retention (each placement brings its expiry).
#![expect(unsafe_code, reason = "writes records into the segment that this handle alone has open")]

use core::cell::Cell;
use core::marker::PhantomData;
use core::sync::atomic::Ordering;
use std::sync::Arc;

use herald_core::limits::BODY_BYTES_MAX;
use herald_core::{NewPlacement, PlacementRef, PlacementStore, Refusal, TelephoneNumber, Timestamp};

use crate::config::Place;
use crate::limits::OPEN_SEGMENT_AGE_SHARE;
use crate::log::PlacementLog;
use crate::pins::Pin;
use crate::record::{HEADER_BYTES, Header, record_bytes};
use crate::segments::{Claimed, Source};
use crate::sync::publish_order;

/// One thread's way into a [`PlacementLog`]: a [`PlacementStore`] that shares the log with the other handles.
///
/// It may be moved to another thread, not used by two. While a visit of
/// [`for_each_live`](PlacementStore::for_each_live) lasts, no segment given up meanwhile is used again: a visit
/// that waits for something makes other handles refuse appends.
///
/// A handle that is no longer called keeps its open segment. Drop it, or walk with it now and then.
pub struct LogHandle {
    log: Arc<PlacementLog>,
    pin_slot: usize,
    open: Option<OpenSegment>,
    /// When this handle last took expired segments back: at most once a millisecond.
    swept_at: Option<Timestamp>,
    /// The last time at which there was no segment to be had: at most one search a millisecond, so that
    /// refusing stays cheap when it is done most.
    none_free_at: Option<Timestamp>,
    /// Where to look for a free segment first: behind the last one found, so that the next is near.
    next_index: usize,
    not_sync: PhantomData<Cell<()>>,
}

/// The segment this handle alone writes.
struct OpenSegment {
    claimed: Claimed,
    source: Source,
    used_bytes: usize,
    expires_max: Timestamp,
    /// When its first record came; until then, whenever it was opened.
    first_at: Timestamp,
}

/// At most `records_max` live records of a number, counted while they are found.
struct Quota {
    records_max: u32,
    now: Timestamp,
    counted: u32,
}

impl LogHandle {
    pub(crate) fn new(log: Arc<PlacementLog>, pin_slot: usize) -> Self {
        Self {
            log,
            pin_slot,
            open: None,
            swept_at: None,
            none_free_at: None,
            next_index: 0,
            not_sync: PhantomData,
        }
    }

    /// Puts back a placement that the journal kept, under the expiry it had. It is not drained again.
    ///
    /// Restore before the first append, in the order of expiry: a placement restored behind a younger one of
    /// the same bucket gets that one's expiry. Placements that have expired are for the caller to leave out.
    /// A handle that restores does not take expired segments back (it isn't told the time).
    ///
    /// # Errors
    /// [`Refusal::StoreFull`]; it was not kept.
    ///
    /// # Panics
    /// If the body is empty or longer than [`BODY_BYTES_MAX`].
    pub fn restore(&mut self, placement: &NewPlacement<'_>) -> Result<(), Refusal> {
        let length = checked_record_bytes(placement);
        if !self.open_fits(length, Source::Restored) {
            self.seal();
            self.open(Source::Restored, Timestamp::default())?;
        }
        self.publish(placement, None)
    }

    /// Sees to an open segment with `length` bytes of room, a new one if the old is full or old.
    #[inline]
    fn make_room(&mut self, length: usize, now: Timestamp, retention_ms: u64) -> Result<(), Refusal> {
        if !self.open_fits(length, Source::Appended) {
            self.seal();
            return self.open_at(now);
        }
        let age_ms_max = retention_ms / OPEN_SEGMENT_AGE_SHARE;
        let old = |open: &OpenSegment| open.used_bytes > 0 && now.millis_since(open.first_at) > age_ms_max;
        if self.open.as_ref().is_some_and(old) {
            // Without another segment the old one will do until it is full.
            self.open_at(now).ok();
        }
        Ok(())
    }

    #[inline]
    fn open_fits(&self, length: usize, source: Source) -> bool {
        let room = self.log.geometry.segment_bytes;
        self.open.as_ref().is_some_and(|open| open.source == source && open.used_bytes + length <= room)
    }

    /// Takes expired segments back and opens one.
    #[cold]
    fn open_at(&mut self, now: Timestamp) -> Result<(), Refusal> {
        if self.none_free_at == Some(now) {
            return Err(Refusal::StoreFull);
        }
        if self.swept_at.replace(now) != Some(now) {
            self.log.segments.retire_expired(&self.log.pins, now);
        }
        let opened = self.open(Source::Appended, now);
        self.none_free_at = opened.is_err().then_some(now);
        opened
    }

    /// Seals the open segment, if any, and opens another; without one to be had nothing changes.
    #[cold]
    fn open(&mut self, source: Source, now: Timestamp) -> Result<(), Refusal> {
        let claim = self.log.segments.claim(&self.log.pins, source, self.next_index);
        let claimed = claim.ok_or(Refusal::StoreFull)?;
        self.next_index = (claimed.index + 1) % self.log.geometry.segment_count;
        self.seal();
        let expires_max = Timestamp::default();
        self.open = Some(OpenSegment { claimed, source, used_bytes: 0, expires_max, first_at: now });
        Ok(())
    }

    fn seal(&mut self) {
        if let Some(open) = self.open.take() {
            self.log.segments.seal(open.claimed, open.source);
        }
    }

    /// Writes the record into the open segment, which has room for it, and links it at the head of its chain.
    #[inline]
    fn publish(&mut self, placement: &NewPlacement<'_>, mut quota: Option<Quota>) -> Result<(), Refusal> {
        let (log, open) = (&*self.log, self.open.as_mut().expect("the caller has made room"));
        let bucket = log.bucket(placement.number);
        let pin = log.pins.pin(self.pin_slot);
        // Acquire: pairs with the Release of the compare-and-swap below, in whichever thread.
        let mut head = bucket.load(Ordering::Acquire);
        if let Some(quota) = &mut quota {
            quota.count(log, &pin, placement.number, head, 0)?;
        }
        let (mut header, address) = (Header::of(placement), open.address(log));
        open.write(log, HEADER_BYTES, placement.body);
        loop {
            header.link(placement.expires_at, log, &pin, head);
            open.write(log, 0, &header.to_bytes());
            // Release: pairs with every Acquire load of the bucket; who finds the address finds the record, and
            // through it all that this thread acquired with `head`. Acquire on failure: as the load above.
            match bucket.compare_exchange(head, address, publish_order(), Ordering::Acquire) {
                Ok(_) => break,
                Err(newer) => {
                    if let Some(quota) = &mut quota {
                        quota.count(log, &pin, placement.number, newer, head)?;
                    }
                    head = newer;
                }
            }
        }
        open.advance(log, record_bytes(placement.body.len()), header.expires_at);
        Ok(())
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
    /// If the body is empty or longer than [`BODY_BYTES_MAX`].
    #[inline]
    fn append(
        &mut self,
        placement: &NewPlacement<'_>,
        records_max: u32,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let length = checked_record_bytes(placement);
        self.make_room(length, now, placement.expires_at.millis_since(now))?;
        self.publish(placement, Some(Quota { records_max, now, counted: 0 }))
    }

    #[inline]
    fn for_each_live(
        &mut self,
        number: TelephoneNumber,
        now: Timestamp,
        visit: &mut dyn FnMut(PlacementRef<'_>),
    ) {
        // A handle that only reads from now on must not keep what has expired.
        if self.open.as_ref().is_some_and(|open| open.used_bytes > 0 && open.expires_max <= now) {
            self.seal();
        }
        let pin = self.log.pins.pin(self.pin_slot);
        // Acquire: pairs with the Release of the compare-and-swap in `publish`.
        let head = self.log.bucket(number).load(Ordering::Acquire);
        for record in self.log.chain(&pin, head) {
            if record.header.expires_at <= now {
                return;
            }
            if record.header.number_bits == number.to_bits() {
                let (id, expires_at) = (record.header.id, record.header.expires_at);
                visit(PlacementRef { id, expires_at, body: &record.body });
            }
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
    /// The address the next record will have.
    #[inline]
    fn address(&self, log: &PlacementLog) -> u64 {
        let Claimed { index: segment_index, generation } = self.claimed;
        log.geometry.address(Place { generation, segment_index, offset: self.used_bytes })
    }

    /// Writes a part of the next record, `offset` bytes from the record's start.
    #[inline]
    fn write(&mut self, log: &PlacementLog, offset: usize, bytes: &[u8]) {
        let start = log.geometry.arena_offset(self.claimed.index, self.used_bytes + offset);
        assert!(self.used_bytes + offset + bytes.len() <= log.geometry.segment_bytes);
        // SAFETY: the words lie in the segment that `claimed` gave to this value alone (its end is a multiple of
        // a word, so padding stays within), beyond `used_bytes`: no published address or offered length leads
        // there. Whoever read the segment's earlier tenure had left before it could be claimed.
        unsafe { log.arena.write(start, bytes) };
    }

    /// Counts in the record just published.
    #[inline]
    fn advance(&mut self, log: &PlacementLog, length: usize, expires_at: Timestamp) {
        self.used_bytes += length;
        self.expires_max = self.expires_max.max(expires_at);
        log.segments.offer(self.claimed.index, self.used_bytes, self.expires_max);
    }
}

impl Quota {
    /// Counts the live records of `number` from `newest` up to `counted_from`, which was counted from before.
    #[inline]
    fn count(
        &mut self,
        log: &PlacementLog,
        pin: &Pin<'_>,
        number: TelephoneNumber,
        newest: u64,
        counted_from: u64,
    ) -> Result<(), Refusal> {
        let live = log
            .chain(pin, newest)
            .take_while(|record| record.address != counted_from && record.header.expires_at > self.now);
        for _ in live.filter(|record| record.header.number_bits == number.to_bits()) {
            self.counted += 1;
            if self.counted >= self.records_max {
                break;
            }
        }
        if self.counted >= self.records_max { Err(Refusal::NumberFull) } else { Ok(()) }
    }
}

impl Header {
    /// Links it behind the record at `head`, if that still exists, and raises its expiry to that one's, so that
    /// expiry never rises from new to old.
    #[inline]
    fn link(&mut self, expires_at: Timestamp, log: &PlacementLog, pin: &Pin<'_>, head: u64) {
        let before = log.chain(pin, head).next();
        (self.previous, self.expires_at) = match before {
            Some(before) => (head, expires_at.max(before.header.expires_at)),
            None => (0, expires_at),
        };
    }
}

#[inline]
fn checked_record_bytes(placement: &NewPlacement<'_>) -> usize {
    let body_bytes = placement.body.len();
    assert!(
        (1..=BODY_BYTES_MAX).contains(&body_bytes),
        "a placement of {body_bytes} bytes; the service lets pass 1 to {BODY_BYTES_MAX}"
    );
    record_bytes(body_bytes)
}
