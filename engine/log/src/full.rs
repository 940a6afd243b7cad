//! What one handle remembers of numbers that were full, so that refusing them again costs no walk.
//!
//! Whoever floods a number would otherwise make each refusal walk all that lives there. Knows nothing of chains.

use herald_core::{TelephoneNumber, Timestamp};

use crate::append::Quota;
use crate::index::BucketIndex;
use crate::limits::FULL_NUMBERS;

/// Numbers found full lately, by their bucket: which numbers share a place is as secret as which share a bucket. Two
/// that do displace each other.
pub(crate) struct FullNumbers(Box<[FullNumber]>);

/// The number has at least `records` live records until `until`.
#[derive(Clone, Copy, Default)]
struct FullNumber {
    number_bits: u64,
    records: u32,
    until: Timestamp,
}

impl FullNumbers {
    pub(crate) fn new() -> Self {
        Self(vec![FullNumber::default(); FULL_NUMBERS].into_boxed_slice())
    }

    /// Whether `number` is known to be full under `quota`.
    pub(crate) fn contains(&self, number: TelephoneNumber, bucket: BucketIndex, quota: Quota) -> bool {
        let known = self.0[bucket.place_of(FULL_NUMBERS)];
        known.number_bits == number.to_bits() && known.records >= quota.records_max && quota.now < known.until
    }

    /// Remembers that `records` records of `number` live until `until`, when the first of them expires.
    pub(crate) fn insert(
        &mut self,
        number: TelephoneNumber,
        bucket: BucketIndex,
        records: u32,
        until: Timestamp,
    ) {
        let known = FullNumber { number_bits: number.to_bits(), records, until };
        self.0[bucket.place_of(FULL_NUMBERS)] = known;
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    fn quota(records_max: u32, now_ms: u64) -> Quota {
        Quota { records_max, now: Timestamp::from_millis(now_ms) }
    }

    #[test]
    fn a_number_is_full_for_bounds_up_to_what_was_counted_until_the_first_of_them_expires() {
        let number = |text: &[u8]| TelephoneNumber::parse(text).expect("digits");
        let (first, second, place) = (number(b"12225550100"), number(b"12225550101"), BucketIndex::default());
        let mut full = FullNumbers::new();
        assert!(!full.contains(first, place, quota(193, 5)));
        full.insert(first, place, 193, Timestamp::from_millis(10));
        for (records_max, now_ms, expected) in
            [(193, 9, true), (1, 9, true), (194, 9, false), (193, 10, false), (1, 11, false)]
        {
            assert_eq!(full.contains(first, place, quota(records_max, now_ms)), expected);
        }
        assert!(!full.contains(second, place, quota(193, 5)), "another number of the same place");
        full.insert(second, place, 200, Timestamp::from_millis(20));
        assert!(!full.contains(first, place, quota(193, 5)), "displaced");
    }
}
