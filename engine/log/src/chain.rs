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
use crate::config::{Place, narrow};
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

/// A record in the arena, lent while the pin lasts.
pub(crate) struct Here<'a> {
    log: &'a PlacementLog,
    offset: usize,
    header: Bytes<'a>,
}

/// The records of a chain that live at a moment, newest first. Ends at the first that has expired, or whose segment has
/// been taken back without a stub for it, which only happens to what has expired; all behind have expired too. Leads
/// through records that have left memory. O(1) a record, O(log records of a segment) for one that has left.
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
        let record = if self.is_readable(place) {
            self.here(place).map(|here| Record { header: here.header(), body: Body::Here(here.body()) })
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
    pub(crate) fn next_here(&mut self) -> Option<Here<'a>> {
        if self.address == 0 {
            return None;
        }
        let place = self.log.geometry.place(self.address);
        if !self.is_readable(place) {
            return None;
        }
        let here = self.here(place)?;
        self.address = here.header().previous;
        Some(here)
    }

    #[inline]
    fn is_readable(&self, place: Place) -> bool {
        self.log.segments.is_readable(place.segment_index, place.generation, self.pin)
    }

    /// The record at a place whose segment has just been readable with its generation, if it lives.
    #[inline]
    fn here(&self, place: Place) -> Option<Here<'a>> {
        let offset = self.log.geometry.arena_offset(place.segment_index, place.offset);
        // SAFETY: the address was published with Release after the record was written and came here by Acquire
        // loads, from the bucket or from a younger record whose writer had so acquired it; records don't change
        // once published. Its segment was readable under the pin with the address's generation, so nobody writes
        // it before the pin is dropped, and `'a` ends before that. (Addresses that `restore_beyond` publishes lead to no
        // record, and their segment was given up before.)
        let header = unsafe { self.log.arena.bytes(offset, HEADER_BYTES) };
        let here = Here { log: self.log, offset, header };
        (here.header().expires_at > self.now).then_some(here)
    }

    /// The record that was at a place whose segment has been taken back, if it lives.
    fn beyond(&self, place: Place) -> Option<Record<'a>> {
        let (header, kept) = self.log.beyond.as_ref()?.find(place, self.pin)?;
        (header.expires_at > self.now).then_some(Record { header, body: Body::Kept(kept) })
    }
}

impl<'a> Here<'a> {
    /// Read anew each time: what is not used is not read.
    #[inline]
    pub(crate) fn header(&self) -> Header {
        Header::from_bytes(self.header.first_chunk().expect("HEADER_BYTES were asked for"))
    }

    #[inline]
    pub(crate) fn body(&self) -> Bytes<'a> {
        // SAFETY: what the header says.
        unsafe { self.bytes(narrow(self.header().body_bytes.into())) }
    }

    /// As [`body`](Self::body), for one that probably has `guess_bytes`: then the processor need not know the header to
    /// begin what is done with the body, nor to go on to what comes after it. `guess_bytes` is set to its length.
    #[inline]
    pub(crate) fn guessed_body(&self, guess_bytes: &mut usize) -> Bytes<'a> {
        let (guess, body_bytes) = (*guess_bytes, narrow(self.header().body_bytes.into()));
        // The compiler must not know that this is the guess, or it puts the length that it waits for in its place.
        let guessed = opaque(guess);
        let length = if body_bytes == guess { guessed } else { guess_anew(guess_bytes, body_bytes) };
        // SAFETY: what the header says: `guessed` is `guess`, which was compared with it.
        unsafe { self.bytes(length) }
    }

    /// The body.
    ///
    /// # Safety
    /// `body_bytes` is what the header says.
    #[inline]
    unsafe fn bytes(&self, body_bytes: usize) -> Bytes<'a> {
        // SAFETY: as for its header, which it follows in the same segment, as long as that says.
        unsafe { self.log.arena.bytes(self.offset + HEADER_BYTES, body_bytes) }
    }
}

/// Out of the way, so that it is a branch.
#[cold]
#[inline(never)]
fn guess_anew(guess_bytes: &mut usize, body_bytes: usize) -> usize {
    *guess_bytes = body_bytes;
    body_bytes
}

/// The same word, of which the compiler knows nothing. In a register: in memory it would wait behind the stores of what
/// is being copied.
#[inline]
fn opaque(word: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        let same;
        // SAFETY: no instruction at all.
        unsafe {
            core::arch::asm!("/* {0} */", inout(reg) word => same, options(pure, nomem, nostack, preserves_flags));
        }
        same
    }
    #[cfg(not(target_arch = "x86_64"))]
    core::hint::black_box(word)
}
