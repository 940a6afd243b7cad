//! The life of segments: free, open for one handle, sealed, free again under the next generation.
//!
//! ```text
//! Free ──claim──▶ Held ──▶ Open ──seal──▶ Sealed ──retire──▶ Held ──▶ Free, generation + 1
//! ```
//! State and generation are one word, the *tenure*, so that one load tells whether an address is still good.
//! Only the thread that won the step into `Held`, or the handle that has the segment open, may change it
//! further. Knows nothing of records, chains or memory.

use core::ops::RangeInclusive;
use core::sync::atomic::Ordering;

use herald_core::Timestamp;

use crate::config::{narrow, wide};
use crate::pins::{Pin, Pins};
use crate::sync::{AtomicU64, Padded, drained_order};

/// Low bits of a tenure that are not the generation.
pub(crate) const STATE_BITS: u32 = 3;

/// Where the records of a segment come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Appended in this process: the journal wants them.
    Appended,
    /// Read back from the journal.
    Restored,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Held,
    Open(Source),
    Sealed(Source),
}

/// Generation and state of a segment in one word.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Tenure(u64);

impl Tenure {
    const STATES: [State; 6] = [
        State::Free,
        State::Held,
        State::Open(Source::Appended),
        State::Open(Source::Restored),
        State::Sealed(Source::Appended),
        State::Sealed(Source::Restored),
    ];

    /// The codes of those in which a segment may be read: their places in `STATES`.
    const READABLE: RangeInclusive<u64> = 2..=5;

    fn new(generation: u64, state: State) -> Self {
        let code = Self::STATES.iter().position(|&each| each == state).expect("all states are listed");
        Self((generation << STATE_BITS) | wide(code))
    }

    fn generation(self) -> u64 {
        self.0 >> STATE_BITS
    }

    /// Whether it is this generation, open or sealed.
    #[inline]
    fn is_readable(self, generation: u64) -> bool {
        Self::READABLE.contains(&(self.0 ^ (generation << STATE_BITS)))
    }

    fn state(self) -> State {
        match self.0 & ((1 << STATE_BITS) - 1) {
            0 => State::Free,
            2 => State::Open(Source::Appended),
            3 => State::Open(Source::Restored),
            4 => State::Sealed(Source::Appended),
            5 => State::Sealed(Source::Restored),
            _ => State::Held,
        }
    }
}

/// All segments of a log.
pub(crate) struct Segments {
    /// For each segment its tenure. Side by side, since every step of a walk reads one and they change rarely.
    tenures: Box<[AtomicU64]>,
    segments: Box<[Padded<Segment>]>,
    sequence: AtomicU64,
    /// Segments taken back since the log was made.
    retired: AtomicU64,
    generation_max: u64,
}

/// What else is known of a segment. Fields are written while it is held or by the handle that has it open, and
/// stand still for a thread that saw a readable tenure under its pin, but for the two that grow with each append.
struct Segment {
    /// No record in it expires later, in milliseconds.
    expires_max: AtomicU64,
    /// Bytes from its start that are whole published records.
    published_bytes: AtomicU64,
    /// The epoch that must have passed before the segment may be written again.
    retired_at: AtomicU64,
    /// How many segments had been opened with this one.
    sequence: AtomicU64,
}

/// A segment just opened for the caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claimed {
    pub(crate) index: usize,
    pub(crate) generation: u64,
}

/// A sealed segment of appended records that have not all expired.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Full {
    pub(crate) index: usize,
    pub(crate) generation: u64,
    pub(crate) sequence: u64,
    pub(crate) bytes: u64,
}

/// What a drain needs to know of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published {
    pub(crate) sequence: u64,
    pub(crate) bytes: u64,
    pub(crate) expires_max: Timestamp,
}

impl Segments {
    pub(crate) fn new(segment_count: usize, generation_max: u64) -> Self {
        let tenure = || AtomicU64::new(Tenure::new(1, State::Free).0);
        Self {
            tenures: (0..segment_count).map(|_| tenure()).collect(),
            segments: (0..segment_count).map(|_| Padded(Segment::new())).collect(),
            sequence: AtomicU64::new(0),
            retired: AtomicU64::new(0),
            generation_max,
        }
    }

    /// Whether addresses of this generation into the segment are good.
    ///
    /// If so, what they lead to is not written while the pin lasts.
    #[inline]
    pub(crate) fn is_readable(&self, index: usize, generation: u64, _pin: &Pin<'_>) -> bool {
        self.tenure(index).is_readable(generation)
    }

    /// Opens a free segment for the caller alone, who must not be pinned; looks from `first_index` on, round to
    /// the one before it. O(segments + handles), but all but one of them when nearly all are in use only.
    pub(crate) fn claim(&self, pins: &Pins, source: Source, first_index: usize) -> Option<Claimed> {
        let (mut horizon, mut may_settle) = (pins.horizon(), true);
        let mut indexes = (first_index..self.count()).chain(0..first_index);
        indexes.find_map(|index| {
            let (tenure, retired_at) = self.free(index)?;
            if retired_at > horizon.settled && core::mem::take(&mut may_settle) {
                // Once for all that have been given up since the last time: mostly those that come next in turn.
                horizon = pins.settle();
            }
            let generation = tenure.generation();
            if retired_at > horizon.reached || !self.hold(index, tenure, generation) {
                return None;
            }
            // Relaxed: only the value counts, no two may be equal.
            let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
            self.segments[index].0.begin(sequence);
            self.set(index, generation, State::Open(source));
            Some(Claimed { index, generation })
        })
    }

    /// Takes back every sealed segment among the `count` from `first` on, round and round, whose last record has
    /// expired at `now`. O(count).
    pub(crate) fn retire_expired(&self, pins: &Pins, first: usize, count: usize, now: Timestamp) {
        (first..first + count).for_each(|index| self.retire_if_expired(index % self.count(), pins, now));
    }

    /// Ends the caller's own open segment.
    pub(crate) fn seal(&self, claimed: Claimed, source: Source) {
        self.set(claimed.index, claimed.generation, State::Sealed(source));
    }

    /// Offers the caller's own open segment to drains up to `published_bytes`.
    #[inline]
    pub(crate) fn offer(&self, index: usize, published_bytes: usize, expires_max: Timestamp) {
        let segment = &self.segments[index].0;
        // Relaxed: ordered before a drain's load by the store below, before a retire's by the seal.
        segment.expires_max.store(expires_max.as_millis(), Ordering::Relaxed);
        // Release: pairs with the Acquire of `published`; the bytes and the expiry come with the length.
        segment.published_bytes.store(wide(published_bytes), drained_order());
    }

    /// What the segment has for a drain, `None` if it is not in use or was restored.
    pub(crate) fn published(&self, index: usize, _pin: &Pin<'_>) -> Option<Published> {
        let (State::Open(Source::Appended) | State::Sealed(Source::Appended)) = self.tenure(index).state()
        else {
            return None;
        };
        let segment = &self.segments[index].0;
        // Acquire: pairs with the Release of `offer`.
        let bytes = segment.published_bytes.load(Ordering::Acquire);
        // Relaxed, both: ordered by the Acquire loads of the tenure and of the length.
        let sequence = segment.sequence.load(Ordering::Relaxed);
        let expires_max = Timestamp::from_millis(segment.expires_max.load(Ordering::Relaxed));
        Some(Published { sequence, bytes, expires_max })
    }

    /// The segment, if it is sealed, was appended to, may be used once more, and holds what lives at `now`.
    pub(crate) fn full(&self, index: usize, now: Timestamp) -> Option<Full> {
        let (tenure, segment) = (self.tenure(index), &self.segments[index].0);
        let generation = tenure.generation();
        if tenure.state() != State::Sealed(Source::Appended) || generation >= self.generation_max {
            return None;
        }
        // Relaxed, all: belong to the sealed tenure just acquired, or to a later one; `give_up` fails then.
        let sequence = segment.sequence.load(Ordering::Relaxed);
        let bytes = segment.published_bytes.load(Ordering::Relaxed);
        let lives = segment.expires_max.load(Ordering::Relaxed) > now.as_millis();
        lives.then_some(Full { index, generation, sequence, bytes })
    }

    /// Takes back a sealed segment, whatever lives in it, if it still is as it was. Whoever sees that it has been taken
    /// back sees what the caller did before.
    pub(crate) fn give_up(&self, index: usize, generation: u64, source: Source, pins: &Pins) {
        self.retire(index, Tenure::new(generation, State::Sealed(source)), pins);
    }

    /// Whether the segment is free, or can be taken back at `now`.
    pub(crate) fn is_to_be_had(&self, index: usize, now: Timestamp) -> bool {
        let tenure = self.tenure(index);
        tenure.state() == State::Free || self.is_over(index, tenure, now)
    }

    pub(crate) fn count(&self) -> usize {
        self.segments.len()
    }

    pub(crate) fn free_count(&self) -> usize {
        // Relaxed, both: a figure. Read in this order it never counts too few in use.
        let retired = self.retired.load(Ordering::Relaxed);
        let used = self.sequence.load(Ordering::Relaxed).saturating_sub(retired);
        self.count().saturating_sub(narrow(used))
    }

    pub(crate) fn opened_count(&self) -> u64 {
        // Relaxed: whoever appended before a drain is ordered before it by what told the drainer, and so is the opening of the
        // segment; a count that is too low leaves out only appends that had not returned.
        self.sequence.load(Ordering::Relaxed)
    }

    #[inline]
    fn tenure(&self, index: usize) -> Tenure {
        // Acquire: pairs with the Release of `set`; the fields written before the step are seen.
        Tenure(self.tenures[index].load(Ordering::Acquire))
    }

    /// Steps to a state; only for the thread that holds the segment or has it open.
    fn set(&self, index: usize, generation: u64, state: State) {
        // Release: pairs with the Acquire of `tenure` and of the steps into `Held`.
        self.tenures[index].store(Tenure::new(generation, state).0, Ordering::Release);
    }

    /// Makes the segment this thread's alone if it is still as in `from`.
    fn hold(&self, index: usize, from: Tenure, generation: u64) -> bool {
        let held = Tenure::new(generation, State::Held);
        // Acquire: pairs with the Release of `set`; what its last holder or owner did comes before what this
        // thread will do. Release: pairs with the Acquire of `tenure`; who sees the segment held sees the stubs that
        // stand for it. Relaxed on failure: nothing is done then.
        let step = self.tenures[index].compare_exchange(from.0, held.0, Ordering::AcqRel, Ordering::Relaxed);
        step.is_ok()
    }

    /// The tenure of the segment if it is free, and the epoch at which it was given up.
    fn free(&self, index: usize) -> Option<(Tenure, u64)> {
        let tenure = self.tenure(index);
        // Relaxed: belongs to the tenure just acquired, and `hold` fails if that is over.
        let retired_at = || self.segments[index].0.retired_at.load(Ordering::Relaxed);
        (tenure.state() == State::Free).then(|| (tenure, retired_at()))
    }

    fn retire_if_expired(&self, index: usize, pins: &Pins, now: Timestamp) {
        let tenure = self.tenure(index);
        if self.is_over(index, tenure, now) {
            self.retire(index, tenure, pins);
        }
    }

    /// Whether the segment under `tenure` is sealed, all in it has expired at `now`, and it may be used once more.
    fn is_over(&self, index: usize, tenure: Tenure, now: Timestamp) -> bool {
        // With its addresses used up it is laid aside: sealed for ever, expired, never written again.
        matches!(tenure.state(), State::Sealed(_))
            && tenure.generation() < self.generation_max
            // Relaxed: belongs to the sealed tenure just acquired, and `hold` fails if that is over.
            && self.segments[index].0.expires_max.load(Ordering::Relaxed) <= now.as_millis()
    }

    /// Makes the segment free under the next generation, if it still is as in `sealed`.
    fn retire(&self, index: usize, sealed: Tenure, pins: &Pins) {
        let next = sealed.generation() + 1;
        if self.hold(index, sealed, next) {
            let epoch = pins.advance();
            // Relaxed: the Release of `set` hands it over.
            self.segments[index].0.retired_at.store(epoch, Ordering::Relaxed);
            self.set(index, next, State::Free);
            // Relaxed: a figure.
            self.retired.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Segment {
    fn new() -> Self {
        Self {
            expires_max: AtomicU64::new(0),
            published_bytes: AtomicU64::new(0),
            retired_at: AtomicU64::new(0),
            sequence: AtomicU64::new(0),
        }
    }

    /// Makes it empty; for the thread that holds it, before it is opened.
    fn begin(&self, sequence: u64) {
        // Relaxed, all: the Release of `set` hands them over.
        self.sequence.store(sequence, Ordering::Relaxed);
        self.expires_max.store(0, Ordering::Relaxed);
        self.published_bytes.store(0, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_tenure_gives_back_the_generation_and_state_it_was_made_from() {
        for state in Tenure::STATES {
            for generation in [1, 2, u64::MAX >> STATE_BITS] {
                let tenure = Tenure::new(generation, state);
                assert_eq!((tenure.generation(), tenure.state()), (generation, state));
                let may_be_read = matches!(state, State::Open(_) | State::Sealed(_));
                assert_eq!(tenure.is_readable(generation), may_be_read, "{state:?}");
                assert!(!tenure.is_readable(generation - 1) && !tenure.is_readable(generation ^ (1 << 60)));
            }
        }
    }

    #[test]
    fn a_segment_whose_addresses_are_used_up_is_laid_aside() {
        let (pins, segments) = (Pins::new(1), Segments::new(1, 3));
        for generation in 1..=3 {
            let claimed = segments.claim(&pins, Source::Appended, 0).expect("one segment is free");
            assert_eq!(claimed.generation, generation);
            segments.seal(claimed, Source::Appended);
            segments.retire_expired(&pins, 0, 1, Timestamp::from_millis(0));
        }
        assert!(segments.claim(&pins, Source::Appended, 0).is_none());
        assert!(segments.tenure(0).state() == State::Sealed(Source::Appended));
    }

    #[test]
    fn a_segment_given_up_under_a_pin_is_free_only_when_the_pin_is_gone() {
        let (pins, segments) = (Pins::new(1), Segments::new(1, 100));
        let end = Timestamp::from_millis(10);
        let claimed = segments.claim(&pins, Source::Appended, 0).expect("one segment is free");
        segments.offer(0, 64, end);
        segments.seal(claimed, Source::Appended);
        let pin = pins.pin(0);
        assert!(segments.is_readable(0, 1, &pin));
        segments.retire_expired(&pins, 0, 1, end);
        assert!(!segments.is_readable(0, 1, &pin), "given up");
        assert!(segments.claim(&pins, Source::Appended, 0).is_none());
        drop(pin);
        assert_eq!(segments.claim(&pins, Source::Appended, 0).map(|claimed| claimed.generation), Some(2));
    }
}
