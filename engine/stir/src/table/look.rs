//! Looking up in a compiled table.

use herald_core::TelephoneNumber;

use super::blocks::bits_at;
use super::guide::{last_at_most, touch};
use super::layout::{
    EXTENT_BITS, NOTHING, SECTION_SHIFT, UNTIL_NEXT, Value, digits_key, keys_of, u32_at, u64_at,
};
use super::read::Table;
use crate::services::Side;

/// What a table says of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The services and by whose word.
    pub service: FoundService<'a>,
    /// By what it was found.
    pub by: By,
}

/// By what a service was found, the narrower first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// An entry for numbers, of which as many signs are free, rounded up. A number itself has none.
    Numbers {
        /// How many.
        free_signs: u8,
    },
    /// Its service provider code.
    Code,
    /// The entry for everybody.
    Everybody,
}

/// Services as they stand in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundService<'a> {
    uris: &'a str,
    /// Whether somebody with authority over the number has signed it.
    pub is_proven: bool,
    /// When that was, in seconds since the Unix epoch; 0 if it was not signed.
    pub since_s: u64,
    /// The last second for which it holds; `None` if it holds for ever.
    pub until_s: Option<u64>,
    /// Where it comes from, for people.
    pub origin: &'a str,
}

impl<'a> FoundService<'a> {
    /// Its https URIs, the preferred one first.
    pub fn uris(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.uris.split('\n')
    }
}

impl<B: AsRef<[u8]>> Table<B> {
    /// What the smallest set that holds `number` says for `side`, or its service provider code `code`, or the entry
    /// for everybody. Two searches at most, for numbers and for prefixes; each waits for memory a few
    /// times, however large the table. No allocation.
    pub fn look(&self, number: TelephoneNumber, code: Option<&str>, side: Side) -> Option<Found<'_>> {
        let side = match side {
            Side::Calling => 0,
            Side::Called => 1,
        };
        if let Some((service, free_signs)) = self.of_numbers(number, side) {
            return Some(Found { service: self.service(service)?, by: By::Numbers { free_signs } });
        }
        let by_code = code.and_then(|code| self.of_code(code)).map(|value| (value, By::Code));
        let everybody = (u32::try_from(self.counts.everybody).ok()?, By::Everybody);
        let candidates = by_code.into_iter().chain([everybody]);
        let mut found = candidates.map(|(value, by)| (self.value(value).services[side], by));
        let (service, by) = found.find(|(service, _)| *service != 0)?;
        Some(Found { service: self.service(service)?, by })
    }

    /// The service of the smallest set of numbers, and how many free signs that has.
    fn of_numbers(&self, number: TelephoneNumber, side: usize) -> Option<(u32, u8)> {
        let own = |value: Value| (value.services[side], value.breadths[side]);
        let of_length = digits_key(number).map_or((0, 0), |key| own(self.value(self.find(key))));
        if of_length.0 != 0 && of_length.1 == 0 {
            return Some(of_length);
        }
        let of_prefix = own(self.value(self.find(number.to_bits())));
        let found = match (of_length.0, of_prefix.0) {
            (0, _) => of_prefix,
            (_, 0) => of_length,
            _ if of_prefix.1 < of_length.1 => of_prefix,
            _ => of_length,
        };
        (found.0 != 0).then_some(found)
    }

    /// The value at `key`.
    fn find(&self, key: u64) -> u32 {
        let Some(block) = self.block_before(key) else { return NOTHING };
        let (first, head, data) = (self.first(block), self.head(block), self.data());
        let (count, bits) = (usize::from(head.count), u32::from(head.offset_bits));
        let record_bits = EXTENT_BITS + self.counts.value_bits as u32;
        let block_bytes = (count * (bits + record_bits) as usize).div_ceil(8);
        touch(&data[head.data_at as usize..][..block_bytes]);
        let begin = head.data_at as usize * 8;
        let offset_at = |index: usize| bits_at(data, begin + index * bits as usize, bits);
        // Every offset ends with as many zeros, so the rest decides.
        let wanted = (key - first) >> head.shift;
        let index = last_at_most(count, |index| offset_at(index) <= wanted);
        let record_at = begin + count * bits as usize + index * record_bits as usize;
        let record = bits_at(data, record_at, record_bits);
        let value = (record >> EXTENT_BITS) as u32;
        let extent = record as u8 & ((1 << EXTENT_BITS) - 1);
        if extent == UNTIL_NEXT {
            return value;
        }
        let begins = first + (offset_at(index) << head.shift);
        let is_within = key - begins < keys_of(first >> SECTION_SHIFT, u32::from(extent));
        if is_within { value } else { head.gap }
    }

    /// The last block whose first key is at most `key`, if it can hold that.
    fn block_before(&self, key: u64) -> Option<usize> {
        let around = self.guide.around(key)?;
        touch(self.firsts(around.clone()));
        touch(self.heads(around.clone()));
        Some(around.start + last_at_most(around.len(), |index| self.first(around.start + index) <= key))
    }

    fn of_code(&self, code: &str) -> Option<u32> {
        let count = self.counts.codes as usize;
        let is_at_most = |index: usize| self.code(index).is_some_and(|(known, _)| known <= code);
        let (known, value) = self.code(last_at_most(count, is_at_most))?;
        (known == code).then_some(value)
    }

    /// The service with this number, counted from 1.
    pub(super) fn service(&self, id: u32) -> Option<FoundService<'_>> {
        let entry = self.service_entry(id)?;
        Some(FoundService {
            uris: self.text(u32_at(entry, 0), u32_at(entry, 4))?,
            origin: self.text(u32_at(entry, 8), u32_at(entry, 12))?,
            since_s: u64_at(entry, 16),
            until_s: Some(u64_at(entry, 24)).filter(|&until_s| until_s != u64::MAX),
            is_proven: u64_at(entry, 32) == 1,
        })
    }
}
