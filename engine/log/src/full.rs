//! What one handle remembers of numbers that are full or nearly so, so that they need not be counted for each append.
//!
//! Whoever floods a number would otherwise make each refusal walk all that lives there, and so would each placement that
//! takes the place of one that has just expired. Knows nothing of chains.

use herald_core::{TelephoneNumber, Timestamp};

use crate::index::{Bucket, BucketIndex};
use crate::limits::{FULL_NUMBERS, FULL_OLDEST};

/// Numbers found full or nearly so lately, by their bucket: which numbers share places is as secret as which share a
/// bucket. A number has two places; one that is only nearly full takes neither from another.
pub(crate) struct FullNumbers(Box<[FullNumber]>);

/// A number's share of its bucket's chain as it was under one word of the bucket. An address means one record for ever,
/// so whoever finds the same word finds the same chain.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct FullNumber {
    number_bits: u64,
    word: Bucket,
    /// Records of the number, as many as lived when they were counted and those linked since under `word`.
    records: u32,
    /// Whether this handle looks here at each append, so that only others can have changed the word.
    is_followed: bool,
    oldest: Oldest,
}

/// When the oldest records of a chain expire, of the number or of others in its bucket: the last that a walk came by.
#[derive(Clone, Copy, Default)]
pub(crate) struct Oldest {
    counted_at: Timestamp,
    /// Milliseconds from there to their expiry; [`u32::MAX`] for as many or more.
    expire_after_ms: [u32; FULL_OLDEST],
    /// A bit for each that is of the number.
    of_number: u8,
    /// Which is the next, and how many there are.
    next: u8,
    kept: u8,
}

impl Oldest {
    /// None yet, of a walk at `now`.
    pub(crate) fn at(now: Timestamp) -> Self {
        Self { counted_at: now, ..Self::default() }
    }

    /// Takes note of the next older record.
    pub(crate) fn push(&mut self, expires_at: Timestamp, is_of_number: bool) {
        let place = usize::from(self.next);
        let after_ms = expires_at.millis_since(self.counted_at);
        self.expire_after_ms[place] = u32::try_from(after_ms).unwrap_or(u32::MAX);
        self.of_number = self.of_number & !(1 << place) | u8::from(is_of_number) << place;
        self.next = (self.next + 1) % PLACES;
        self.kept = (self.kept + 1).min(PLACES);
    }

    /// How many records of the number have expired at `now` since they were counted; `None` if it may be more than are
    /// kept here.
    fn expired(&self, now: Timestamp) -> Option<u32> {
        let passed_ms = now.millis_since(self.counted_at);
        let (mut of_number, mut lives) = (0, false);
        for (place, &after_ms) in self.expire_after_ms[..usize::from(self.kept)].iter().enumerate() {
            let is_expired = after_ms != u32::MAX && u64::from(after_ms) <= passed_ms;
            lives |= !is_expired;
            of_number += u32::from(is_expired && self.of_number & (1 << place) != 0);
        }
        lives.then_some(of_number)
    }
}

/// [`FULL_OLDEST`] as it is counted here.
const PLACES: u8 = FULL_OLDEST as u8;

impl FullNumber {
    /// How many of its records live at `now`, if nothing came to the chain since; at least so many, if something did.
    fn live(&self, now: Timestamp) -> Option<u32> {
        Some(self.records - self.oldest.expired(now)?)
    }
}

impl FullNumbers {
    pub(crate) fn new() -> Self {
        Self(vec![FullNumber::default(); FULL_NUMBERS].into_boxed_slice())
    }

    /// How many records of `number` live at `now` at least, if that is remembered.
    pub(crate) fn live_min(
        &self,
        number: TelephoneNumber,
        bucket: BucketIndex,
        now: Timestamp,
    ) -> Option<u32> {
        self.known(number, bucket)?.live(now)
    }

    /// How many records of `number` live at `now` in the chain under `word`, if that is remembered.
    pub(crate) fn live(
        &self,
        number: TelephoneNumber,
        bucket: BucketIndex,
        word: Bucket,
        now: Timestamp,
    ) -> Option<u32> {
        self.known(number, bucket).filter(|known| known.word == word)?.live(now)
    }

    /// Remembers that `records` records of `number`, which is full or not, live in the chain under `word`, at the end of
    /// which are `oldest`. Returns whether it should be followed: not if it was and others have linked since, since they
    /// would again, and not if it was not remembered.
    pub(crate) fn insert(
        &mut self,
        number: TelephoneNumber,
        bucket: BucketIndex,
        word: Bucket,
        (records, is_full): (u32, bool),
        oldest: Oldest,
    ) -> bool {
        let first = bucket.place_of(FULL_NUMBERS);
        let places = [first, first ^ 1];
        let own = places.into_iter().find(|&place| self.0[place].number_bits == number.to_bits());
        let idle = |&place: &usize| self.0[place].live(oldest.counted_at).is_none();
        let free = own.or_else(|| places.into_iter().find(idle)).or(is_full.then_some(first));
        let Some(place) = free else { return false };
        let is_shared = |known: &FullNumber| known.is_followed && known.word != word;
        let is_followed = own.is_none_or(|place| !is_shared(&self.0[place]));
        self.0[place] = FullNumber { number_bits: number.to_bits(), word, records, is_followed, oldest };
        is_followed
    }

    /// Takes note that a record of `number` was linked, which made the word of the bucket `after` of `before`.
    pub(crate) fn linked(
        &mut self,
        number: TelephoneNumber,
        bucket: BucketIndex,
        before: Bucket,
        after: Bucket,
    ) {
        let first = bucket.place_of(FULL_NUMBERS);
        for place in [first, first ^ 1] {
            let known = &mut self.0[place];
            if known.number_bits == number.to_bits() && known.word == before {
                known.word = after;
                known.records += 1;
            }
        }
    }

    fn known(&self, number: TelephoneNumber, bucket: BucketIndex) -> Option<&FullNumber> {
        let first = bucket.place_of(FULL_NUMBERS);
        let mut places = [&self.0[first], &self.0[first ^ 1]].into_iter();
        places.find(|known| known.number_bits == number.to_bits())
    }
}

const _: () = assert!(size_of::<FullNumber>() == 64 && FULL_OLDEST <= 8 && FULL_NUMBERS.is_power_of_two());

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    fn number(text: &[u8]) -> TelephoneNumber {
        TelephoneNumber::parse(text).expect("digits")
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// A chain of as many records, each of which expires a millisecond before the next newer one, from 10 ms on; each
    /// third is of another number.
    fn chain(records: u64) -> (u32, Oldest) {
        let mut oldest = Oldest::at(at(0));
        let is_of_number = |age: &u64| age % 3 != 2;
        (0..records).for_each(|age| oldest.push(at(10 + records - 1 - age), is_of_number(&age)));
        (u32::try_from((0..records).filter(is_of_number).count()).expect("a few"), oldest)
    }

    #[test]
    fn what_lives_is_known_until_more_may_have_expired_than_is_remembered() {
        let (this, other, place) = (number(b"12225550100"), number(b"12225550101"), BucketIndex::default());
        let word = Bucket::new(7, 200);
        for records in [1, 3, wide(FULL_OLDEST), 100] {
            let mut full = FullNumbers::new();
            let (count, oldest) = chain(records);
            assert!(full.insert(this, place, word, (count, false), oldest));
            for now in 0..records + 20 {
                let expired = now.saturating_sub(9).min(records);
                let of_number = (0..expired).filter(|index| (records - 1 - index) % 3 != 2).count();
                let is_known = expired < records.min(wide(FULL_OLDEST));
                let expected = is_known.then(|| count - u32::try_from(of_number).expect("a few"));
                assert_eq!(full.live(this, place, word, at(now)), expected, "{records} records at {now}");
                assert_eq!(full.live_min(this, place, at(now)), expected);
                assert_eq!(full.live_min(other, place, at(now)), None, "another number of the place");
            }
        }
    }

    fn wide(count: usize) -> u64 {
        u64::try_from(count).expect("a count")
    }

    #[test]
    fn under_another_word_what_is_remembered_is_the_least_and_links_keep_it_in_step() {
        let (this, place) = (number(b"12225550100"), BucketIndex::default());
        let (before, after, elsewhere) = (Bucket::new(7, 200), Bucket::new(9, 201), Bucket::new(11, 202));
        let mut full = FullNumbers::new();
        let (count, oldest) = chain(6);
        assert!(full.insert(this, place, before, (count, false), oldest));
        assert_eq!(full.live(this, place, after, at(0)), None, "somebody else has linked");
        full.linked(this, place, before, after);
        assert_eq!(full.live(this, place, after, at(0)), Some(count + 1));
        full.linked(this, place, elsewhere, before);
        assert_eq!(full.live(this, place, before, at(0)), None, "linked behind what was not counted");
        assert_eq!(full.live_min(this, place, at(0)), Some(count + 1));
    }

    #[test]
    fn two_numbers_have_room_and_a_third_displaces_one_only_if_it_is_full_or_theirs_has_passed() {
        let names: [&[u8]; 3] = [b"12225550100", b"12225550101", b"12225550102"];
        let (numbers, place, word) = (names.map(number), BucketIndex::default(), Bucket::new(7, 200));
        let (count, oldest) = chain(6);
        let later = Oldest { counted_at: at(20), ..oldest };
        for (is_full, oldest, expected) in [
            (false, oldest, [true, true, false]),
            (true, oldest, [false, true, true]),
            (false, later, [false, true, true]),
        ] {
            let mut full = FullNumbers::new();
            let first = chain(6).1;
            assert!(numbers[..2].iter().all(|&of| full.insert(of, place, word, (count, false), first)));
            assert_eq!(full.insert(numbers[2], place, word, (count, is_full), oldest), expected[2]);
            assert_eq!(numbers.map(|of| full.live_min(of, place, at(0)).is_some()), expected);
        }
    }

    #[test]
    fn a_number_that_others_fill_too_is_followed_each_second_time() {
        let (this, place, mut full) = (number(b"12225550100"), BucketIndex::default(), FullNumbers::new());
        let (count, oldest) = chain(6);
        for (address, expected) in [(1, true), (2, false), (3, true), (3, true), (4, false)] {
            assert_eq!(
                full.insert(this, place, Bucket::new(address, 9), (count, false), oldest),
                expected,
                "{address}"
            );
        }
    }
}
