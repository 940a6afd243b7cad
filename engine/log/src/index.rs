//! From a telephone number to its bucket, and what the word of a bucket says.
//!
//! Knows nothing of records.

use herald_core::TelephoneNumber;

use crate::arena::Words;
use crate::config::ADDRESS_BITS;
use crate::hash::NumberHash;
use crate::sync::AtomicU64;

/// The buckets of a log.
pub(crate) struct Index {
    hash: NumberHash,
    words: Words,
    count: usize,
}

/// Which bucket a number belongs to.
#[derive(Clone, Copy, Default)]
pub(crate) struct BucketIndex(usize);

impl BucketIndex {
    /// A place among `count`, a power of two, as secret as the bucket itself.
    #[inline]
    pub(crate) const fn place_of(self, count: usize) -> usize {
        self.0 & (count - 1)
    }
}

/// What the word of a bucket says: where its newest record is, and how many of its records live at most.
///
/// The bound saves an append the look at the chain: it goes up by one with each record, and is counted anew, under
/// a walk, only when it no longer proves that there is room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bucket(u64);

impl Index {
    /// `bucket_count` empty buckets, at least one; the error is the operating system's number.
    pub(crate) fn map(bucket_count: usize, hash: NumberHash) -> Result<Self, i32> {
        Ok(Self { hash, words: Words::map(bucket_count)?, count: bucket_count })
    }

    /// The bucket of `number`. Touches no memory of the index.
    #[inline]
    pub(crate) fn of(&self, number: TelephoneNumber) -> BucketIndex {
        // The hash as a share of all there can be, and that share of the buckets: no count need be a power of two.
        let product = u128::from(self.hash.of(number)) * (self.count as u128);
        BucketIndex((product >> u64::BITS) as usize)
    }

    /// The bucket's word, a [`Bucket`].
    #[inline]
    pub(crate) fn word(&self, index: BucketIndex) -> &AtomicU64 {
        self.words.get(index.0)
    }

    /// Has the bucket's word fetched.
    #[inline]
    pub(crate) fn prefetch(&self, index: BucketIndex) {
        self.words.prefetch(index.0);
    }
}

impl Bucket {
    /// A bound that says nothing: as many as this, or more.
    pub(crate) const LIVE_UNKNOWN: u32 = (1 << (u64::BITS - ADDRESS_BITS)) - 1;

    #[inline]
    pub(crate) fn new(address: u64, live_max: u32) -> Self {
        debug_assert!(address >> ADDRESS_BITS == 0);
        Self((u64::from(live_max.min(Self::LIVE_UNKNOWN)) << ADDRESS_BITS) | address)
    }

    #[inline]
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline]
    pub(crate) const fn to_bits(self) -> u64 {
        self.0
    }

    /// The address of its newest record, 0 for none.
    #[inline]
    pub(crate) const fn newest(self) -> u64 {
        self.0 & ((1 << ADDRESS_BITS) - 1)
    }

    /// How many of its records live at most, of all its numbers; [`LIVE_UNKNOWN`](Self::LIVE_UNKNOWN) or more
    /// is unknown.
    #[inline]
    pub(crate) fn live_max(self) -> u32 {
        u32::try_from(self.0 >> ADDRESS_BITS).expect("eight bits")
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_word_gives_back_what_it_was_made_from_and_a_bound_beyond_its_bits_is_unknown() {
        for address in [0, 1, (1 << ADDRESS_BITS) - 1] {
            for live_max in [0, 1, 254, 255] {
                let bucket = Bucket::new(address, live_max);
                assert_eq!((bucket.newest(), bucket.live_max()), (address, live_max));
                assert_eq!(Bucket::from_bits(bucket.to_bits()), bucket);
            }
            assert_eq!(Bucket::new(address, 256).live_max(), Bucket::LIVE_UNKNOWN);
        }
    }
}
