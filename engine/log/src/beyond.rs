//! What stays in memory of records that have left it: for each its header, so that chains lead through it as before.
//!
//! A segment that leaves memory before its records expire leaves a *table* of *stubs* behind, found by the segment's
//! index and generation, which are part of every address into it. Stubs lie in a ring of fixed size, table behind
//! table. A table goes when all in it has expired, by the rule by which segments go (see the module `pins`): it is no
//! longer to be found, then an epoch begins, and its place is written again when everybody has entered since.
//!
//! Knows nothing of disks: a [`Keeper`] reads the bodies.
#![expect(
    unsafe_code,
    reason = "reads and writes stubs in place; the pin or the ring's lock proves them still"
)]

use core::sync::atomic::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use herald_core::{PlacementId, TelephoneNumber, Timestamp};

use crate::arena::Arena;
use crate::config::{Geometry, LINE_BYTES, Place, narrow, wide};
use crate::limits::{RECORD_BYTES_COMMON, STUB_BYTES};
use crate::pins::{Pin, Pins};
use crate::record::Header;
use crate::sync::{AtomicU64, Mutex};

/// Where in a stub the word is that holds its line.
const LINE_WORD: usize = 32;

/// How a log goes beyond its memory.
#[derive(Clone)]
pub struct BeyondConfig {
    /// Bytes of records that may live besides those in the arena. Each record, in the arena or not, takes
    /// [`STUB_BYTES`] of memory for it, at the size most records have.
    pub bytes: usize,
    /// Reads what has left memory.
    pub keeper: Arc<dyn Keeper>,
}

impl core::fmt::Debug for BeyondConfig {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("BeyondConfig").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// Reads the bodies of records that have left memory. Any thread; it may block.
pub trait Keeper: Send + Sync {
    /// Lends `visit` the body of the record at `place`. False, without a visit, if it cannot be read; true without one if
    /// it has expired meanwhile and is gone.
    fn read(&self, place: &KeptPlace, visit: &mut dyn FnMut(&[u8])) -> bool;
}

/// Where a record is that has left memory, and what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptPlace {
    /// Its id.
    pub id: PlacementId,
    /// From this moment on it is gone.
    pub expires_at: Timestamp,
    /// Where its bytes came from.
    pub origin: Origin,
    /// Bytes from the start of that to the record.
    pub offset: u64,
}

/// What a record was part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A segment of this log, as [`LogRange::segment`](crate::LogRange::segment) counts them.
    Segment(u64),
    /// What its [`BeyondRecord`] said.
    Restored(u32),
}

/// A live record that a journal kept, and that is not to take memory for its body.
#[derive(Clone, Copy, Debug)]
pub struct BeyondRecord {
    /// The called number.
    pub number: TelephoneNumber,
    /// Its id.
    pub id: PlacementId,
    /// From this moment on it is gone.
    pub expires_at: Timestamp,
    /// What the keeper is asked for: [`Origin::Restored`] of this.
    pub origin: u32,
    /// Bytes from the start of that to the record: a multiple of 64, below 256 GiB.
    pub offset: u64,
}

/// The stubs of a log.
pub(crate) struct Beyond {
    keeper: Arc<dyn Keeper>,
    stubs: Arena,
    stubs_max: u64,
    /// For each segment as many as generations of it may have left memory and live at a time.
    tables: Box<[Table]>,
    tables_per_segment: u64,
    ring: Mutex<Ring>,
    /// Stubs in the ring.
    count: AtomicU64,
    unread: AtomicU64,
}

/// Which stubs stand for a segment. All but the generation stand still for a thread that has found its generation under
/// its pin.
struct Table {
    /// 0 if there are none.
    generation: AtomicU64,
    /// The first of them in the ring.
    first: AtomicU64,
    count: AtomicU64,
    /// The segment's sequence number; 0 if each stub has an origin of its own.
    sequence: AtomicU64,
    /// Milliseconds from which their expiries are counted.
    expires_from: AtomicU64,
}

/// Which part of the stubs is taken, oldest table first. Positions go up for ever.
struct Ring {
    end: u64,
    taken: VecDeque<Taken>,
    /// For each table whether it is among those.
    is_taken: Box<[bool]>,
}

struct Taken {
    first: u64,
    table: usize,
    expires_max: Timestamp,
    /// The epoch that must have passed before its place may be written again, once it is no longer to be found.
    retired_at: Option<u64>,
}

/// A record without its body.
#[derive(Clone, Copy)]
pub(crate) struct Stub {
    pub(crate) header: Header,
    /// Where in its segment it was, in lines.
    pub(crate) line: u32,
    /// Where the keeper has it, if not there.
    pub(crate) origin: u32,
    pub(crate) origin_line: u32,
}

/// What became of stubs that were to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    Done,
    /// The segment has as many tables as it may: others may have room.
    NoTable,
    /// The ring is full.
    NoRoom,
}

/// The stubs of one segment, on their way into the ring.
pub(crate) struct NewTable<'a> {
    /// In the order of their lines.
    pub(crate) stubs: &'a [Stub],
    pub(crate) segment_index: usize,
    pub(crate) generation: u64,
    /// 0 if each stub has an origin of its own.
    pub(crate) sequence: u64,
}

impl Beyond {
    /// Maps memory for the stubs; the error is the operating system's number.
    pub(crate) fn map(geometry: &Geometry, config: &BeyondConfig) -> Result<Self, i32> {
        let records_max = (geometry.arena_bytes.saturating_add(config.bytes)) / RECORD_BYTES_COMMON;
        let stubs_max = records_max.max(2 * geometry.segment_lines_max());
        let rounds = config.bytes.div_ceil(geometry.arena_bytes) + 1;
        let tables_per_segment = (2 * rounds).next_power_of_two();
        let tables = geometry.segment_count * tables_per_segment;
        let is_taken = core::iter::repeat_n(false, tables).collect();
        Ok(Self {
            keeper: Arc::clone(&config.keeper),
            stubs: Arena::map(stubs_max.checked_mul(STUB_BYTES).ok_or(libc::ENOMEM)?)?,
            stubs_max: wide(stubs_max),
            tables: (0..tables).map(|_| Table::new()).collect(),
            tables_per_segment: wide(tables_per_segment),
            ring: Mutex::new(Ring { end: 0, taken: VecDeque::new(), is_taken }),
            count: AtomicU64::new(0),
            unread: AtomicU64::new(0),
        })
    }

    /// The record that was at `place`, if that is known and it has left memory early.
    pub(crate) fn find(&self, place: Place, _pin: &Pin<'_>) -> Option<(Header, KeptPlace)> {
        let table = &self.tables[self.table_index(place.segment_index, place.generation)];
        // Acquire: pairs with the Release of `add`; the fields and the stubs come with it.
        if table.generation.load(Ordering::Acquire) != place.generation {
            return None;
        }
        // Relaxed, all: belong to the generation just acquired and stand still under the pin.
        let first = table.first.load(Ordering::Relaxed);
        let expires_from = Timestamp::from_millis(table.expires_from.load(Ordering::Relaxed));
        let line = u32::try_from(place.offset / LINE_BYTES).expect("a segment has fewer lines");
        let end = first + table.count.load(Ordering::Relaxed);
        let (mut low, mut high) = (first, end);
        while low < high {
            let middle = low.midpoint(high);
            (low, high) = if self.line(middle) < line { (middle + 1, high) } else { (low, middle) };
        }
        if low == end || self.line(low) != line {
            return None;
        }
        let stub = self.stub(low, expires_from);
        Some((stub.header, stub.kept_place(table.sequence.load(Ordering::Relaxed))))
    }

    /// Lends `visit` the body of a record that has left memory. One that cannot be read is counted and passed over.
    pub(crate) fn read(&self, place: &KeptPlace, visit: &mut dyn FnMut(&[u8])) {
        if !self.keeper.read(place, visit) {
            // Relaxed: a figure for people.
            self.unread.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many bodies could not be read so far.
    pub(crate) fn unread_count(&self) -> u64 {
        // Relaxed: a figure for people.
        self.unread.load(Ordering::Relaxed)
    }

    /// How many stubs are in the ring, not less than a thread has found there. One load.
    pub(crate) fn stub_count(&self) -> u64 {
        // Relaxed: whoever found a stub acquired its table, and this with it.
        self.count.load(Ordering::Relaxed)
    }

    /// How many stubs have room side by side behind those there are. O(1).
    pub(crate) fn room(&self) -> usize {
        let ring = self.ring.lock();
        let oldest = ring.taken.front().map_or(ring.end, |oldest| oldest.first);
        let left = self.stubs_max - ring.end % self.stubs_max;
        narrow(left.min(oldest + self.stubs_max - ring.end))
    }

    /// Lets the stubs of a segment be found from now on, if there is room for them.
    pub(crate) fn add(&self, new: &NewTable<'_>) -> Added {
        let index = self.table_index(new.segment_index, new.generation);
        let table = &self.tables[index];
        let expiries = || new.stubs.iter().map(|stub| stub.header.expires_at);
        let (expires_from, expires_max) = (expiries().min(), expiries().max());
        let (expires_from, expires_max) = (expires_from.unwrap_or_default(), expires_max.unwrap_or_default());
        let mut ring = self.ring.lock();
        let Some(first) = ring.room(wide(new.stubs.len()), self.stubs_max) else {
            return Added::NoRoom;
        };
        if ring.is_taken[index] || u32::try_from(expires_max.millis_since(expires_from)).is_err() {
            return Added::NoTable;
        }
        for (position, stub) in (first..).zip(new.stubs) {
            let bytes = stub.to_bytes(expires_from);
            // SAFETY: within the arena, as positions are taken modulo its stubs. Under the lock nobody else writes,
            // and no reader finds the place: no table there is has it, and whoever might have found the one that had
            // it left before `reclaim` gave it up.
            unsafe { self.stubs.write(self.stub_offset(position), &bytes, STUB_BYTES) };
        }
        ring.taken.push_back(Taken { first, table: index, expires_max, retired_at: None });
        ring.end = first + wide(new.stubs.len());
        ring.is_taken[index] = true;
        // Relaxed, all: the Release below hands them over.
        self.count.store(ring.stub_count(), Ordering::Relaxed);
        table.first.store(first, Ordering::Relaxed);
        table.count.store(wide(new.stubs.len()), Ordering::Relaxed);
        table.sequence.store(new.sequence, Ordering::Relaxed);
        table.expires_from.store(expires_from.as_millis(), Ordering::Relaxed);
        // Release: pairs with the Acquire of `find`.
        table.generation.store(new.generation, Ordering::Release);
        Added::Done
    }

    /// Takes back the oldest tables, as far as all in them has expired and nobody may be reading them.
    pub(crate) fn reclaim(&self, pins: &Pins, now: Timestamp) {
        let mut ring = self.ring.lock();
        for taken in ring.taken.iter_mut().take_while(|taken| taken.expires_max <= now) {
            if taken.retired_at.is_none() {
                // Relaxed: `advance` makes it seen by whoever pins at the new epoch or later.
                self.tables[taken.table].generation.store(0, Ordering::Relaxed);
                taken.retired_at = Some(pins.advance());
            }
        }
        let oldest = |ring: &Ring| ring.taken.front().and_then(|taken| taken.retired_at);
        let mut horizon = pins.horizon();
        if oldest(&ring).is_some_and(|epoch| epoch > horizon.settled) {
            horizon = pins.settle();
        }
        while oldest(&ring).is_some_and(|epoch| epoch <= horizon.reached) {
            let taken = ring.taken.pop_front().expect("there is a first one");
            ring.is_taken[taken.table] = false;
        }
        // Relaxed: as in `stub_count`.
        self.count.store(ring.stub_count(), Ordering::Relaxed);
    }

    fn table_index(&self, segment_index: usize, generation: u64) -> usize {
        segment_index * narrow(self.tables_per_segment) + narrow(generation & (self.tables_per_segment - 1))
    }

    fn stub_offset(&self, position: u64) -> usize {
        narrow(position % self.stubs_max) * STUB_BYTES
    }

    /// The line of a stub that may be read as in `stub`.
    fn line(&self, position: u64) -> u32 {
        // SAFETY: as in `stub`.
        let bytes = unsafe { self.stubs.bytes(self.stub_offset(position) + LINE_WORD, 8) };
        u32::from_le_bytes(*bytes.first_chunk().expect("eight bytes"))
    }

    fn stub(&self, position: u64, expires_from: Timestamp) -> Stub {
        // SAFETY: within the arena, and part of a table that was found under a pin that lasts: it was written before
        // the table could be found, and is not written before the pin is gone.
        let bytes = unsafe { self.stubs.bytes(self.stub_offset(position), STUB_BYTES) };
        Stub::from_bytes(bytes.first_chunk().expect("STUB_BYTES were asked for"), expires_from)
    }
}

impl Ring {
    /// From the oldest that is taken to the end.
    fn stub_count(&self) -> u64 {
        self.taken.front().map_or(0, |oldest| self.end - oldest.first)
    }

    /// Where `count` stubs have room side by side, if there is any.
    fn room(&self, count: u64, stubs_max: u64) -> Option<u64> {
        let left = stubs_max - self.end % stubs_max;
        let first = if count <= left { self.end } else { self.end + left };
        let oldest = self.taken.front().map_or(first, |taken| taken.first);
        (first + count - oldest <= stubs_max).then_some(first)
    }
}

impl Table {
    fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self { generation: zero(), first: zero(), count: zero(), sequence: zero(), expires_from: zero() }
    }
}

impl Stub {
    /// The stub of a restored record, not linked behind anything yet.
    pub(crate) fn of(record: &BeyondRecord, line: u32) -> Self {
        let BeyondRecord { number, id, expires_at, origin, offset } = *record;
        let number_bits = number.to_bits();
        let header = Header { previous: 0, number_bits, expires_at, id, body_bytes: 0 };
        let origin_line = u32::try_from(offset / wide(LINE_BYTES)).expect("below 256 GiB");
        Self { header, line, origin, origin_line }
    }

    fn kept_place(&self, sequence: u64) -> KeptPlace {
        let (origin, line) = match sequence {
            0 => (Origin::Restored(self.origin), self.origin_line),
            sequence => (Origin::Segment(sequence), self.line),
        };
        let Header { id, expires_at, .. } = self.header;
        KeptPlace { id, expires_at, origin, offset: u64::from(line) * wide(LINE_BYTES) }
    }

    /// Little endian: previous address, number, id, line, expiry in milliseconds from `expires_from`, origin and the
    /// line there.
    fn to_bytes(self, expires_from: Timestamp) -> [u8; STUB_BYTES] {
        let expires_ms = self.header.expires_at.millis_since(expires_from);
        let expires_ms = u32::try_from(expires_ms).expect("checked by `add`");
        let mut bytes = [0; STUB_BYTES];
        bytes[..8].copy_from_slice(&self.header.previous.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.header.number_bits.to_le_bytes());
        bytes[16..32].copy_from_slice(self.header.id.as_bytes());
        let words = [self.line, expires_ms, self.origin, self.origin_line];
        for (place, word) in bytes[LINE_WORD..].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; STUB_BYTES], expires_from: Timestamp) -> Self {
        let (longs, rest) = bytes.split_at(16);
        let (id, words) = rest.split_at(16);
        let long = |at: usize| u64::from_le_bytes(core::array::from_fn(|index| longs[at + index]));
        let word = |at: usize| u32::from_le_bytes(core::array::from_fn(|index| words[at + index]));
        let header = Header {
            previous: long(0),
            number_bits: long(8),
            expires_at: expires_from.plus_millis(word(4).into()),
            id: PlacementId::from_bytes(id.try_into().expect("sixteen bytes")),
            body_bytes: 0,
        };
        Self { header, line: word(0), origin: word(8), origin_line: word(12) }
    }
}
