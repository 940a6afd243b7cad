//! What one handle remembers of numbers that were full, so that refusing them again costs no walk.
//!
//! Whoever floods a number would otherwise make each refusal walk all that lives there. Knows nothing of chains.

use herald_core::{TelephoneNumber, Timestamp};

use crate::append::Quota;
use crate::limits::FULL_NUMBERS;

/// Numbers found full lately. Two that share a place displace each other.
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
    pub(crate) fn contains(&self, number: TelephoneNumber, quota: Quota) -> bool {
        let known = self.0[place(number)];
        known.number_bits == number.to_bits() && known.records >= quota.records_max && quota.now < known.until
    }

    /// Remembers that `records` records of `number` live until `until`, when the first of them expires.
    pub(crate) fn insert(&mut self, number: TelephoneNumber, records: u32, until: Timestamp) {
        self.0[place(number)] = FullNumber { number_bits: number.to_bits(), records, until };
    }
}

fn place(number: TelephoneNumber) -> usize {
    // The last signs differ most. They are at the low end of what is used of the word, wherever that is.
    let mixed = number.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    crate::config::narrow(mixed >> (u64::BITS - FULL_NUMBERS.ilog2()))
}
