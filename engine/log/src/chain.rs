//! Walking a chain: from the newest record of a bucket to older ones, as far as they live.
//!
//! Knows neither the index (it is given where to begin) nor any clock (it is given the time).
#![expect(
    unsafe_code,
    reason = "reads records in place; the pin and the generation prove that they stand still"
)]

use herald_core::Timestamp;

use crate::arena::Bytes;
use crate::beyond::KeptPlace;
use crate::config::Place;
use crate::log::PlacementLog;
use crate::pins::Pin;
use crate::record::{HEADER_BYTES, Header};

/// A record, lent while the pin lasts.
pub(crate) struct Record<'a> {
    pub(crate) header: Header,
    pub(crate) body: Body<'a>,
}

/// Where the body of a record is.
pub(crate) enum Body<'a> {
    /// In the arena.
    Here(Bytes<'a>),
    /// It has left memory.
    Kept(KeptPlace),
}

/// The records of a chain that live at a moment, newest first. Ends at the first that has expired, which a segment
/// can tell that has been taken back or holds nothing that lives; all behind have expired too. Leads through records that
/// have left memory. O(1) a record, O(log records of a segment) for one that has left.
pub(crate) struct Chain<'a> {
    log: &'a PlacementLog,
    pin: &'a Pin<'a>,
    address: u64,
    now: Timestamp,
}

impl PlacementLog {
    /// The chain that begins at `address`, which the caller loaded with `Acquire` from a bucket of this log, under
    /// `pin` or before it.
    #[inline]
    pub(crate) fn chain<'a>(&'a self, pin: &'a Pin<'a>, address: u64, now: Timestamp) -> Chain<'a> {
        Chain { log: self, pin, address, now }
    }
}

impl<'a> Iterator for Chain<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let address = core::mem::take(&mut self.address);
        if address == 0 {
            return None;
        }
        let place = self.log.geometry.place(address);
        let readable = self.log.segments.readable_generation(place.segment_index, self.pin, self.now);
        let record = if readable == Some(place.generation) {
            self.here(place).map(|(header, body)| Record { header, body: Body::Here(body) })
        } else {
            self.beyond(place)
        }?;
        self.address = record.header.previous;
        Some(record)
    }
}

impl<'a> Chain<'a> {
    /// As `next`, but ends before the first record that has left memory too, where `next` then goes on. Most records are
    /// in memory, and most of what a walk costs is this.
    #[inline]
    pub(crate) fn next_here(&mut self) -> Option<(Header, Bytes<'a>)> {
        if self.address == 0 {
            return None;
        }
        let place = self.log.geometry.place(self.address);
        let readable = self.log.segments.readable_generation(place.segment_index, self.pin, self.now);
        let (header, body) = if readable == Some(place.generation) { self.here(place) } else { None }?;
        self.address = header.previous;
        Some((header, body))
    }

    /// The record at a place whose segment has just been readable with its generation, if it lives.
    #[inline]
    fn here(&self, place: Place) -> Option<(Header, Bytes<'a>)> {
        let offset = self.log.geometry.arena_offset(place.segment_index, place.offset);
        // SAFETY: the address was published with Release after the record was written and came here by Acquire
        // loads, from the bucket or from a younger record whose writer had so acquired it; records don't change
        // once published. Its segment was readable under the pin with the address's generation, so nobody writes
        // it before the pin is dropped, and `'a` ends before that.
        let header = unsafe { self.log.arena.bytes(offset, HEADER_BYTES) };
        let header = Header::from_bytes(header.first_chunk().expect("HEADER_BYTES were asked for"));
        if header.expires_at <= self.now {
            return None;
        }
        let body_bytes = usize::try_from(header.body_bytes).expect("usize has 64 bits");
        // SAFETY: as above; the body follows its header in the same segment.
        let body = unsafe { self.log.arena.bytes(offset + HEADER_BYTES, body_bytes) };
        Some((header, body))
    }

    /// The record that was at a place whose segment has been taken back, if it lives.
    fn beyond(&self, place: Place) -> Option<Record<'a>> {
        let (header, kept) = self.log.beyond.as_ref()?.find(place, self.pin)?;
        (header.expires_at > self.now).then_some(Record { header, body: Body::Kept(kept) })
    }
}
