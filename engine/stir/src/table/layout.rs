//! Where everything stands in a compiled table, and how numbers become keys. All integers are little-endian.

use herald_core::TelephoneNumber;
use herald_core::limits::NUMBER_SIGNS_MAX;

/// The first bytes of a table; the last of them is the version of the form.
pub(super) const MAGIC: [u8; 8] = *b"hrldtbl1";
/// Magic, digest, seven counts and the time.
pub(super) const HEADER_BYTES: usize = 128;
/// Where the digest stands: SHA-256 of everything behind it.
pub(super) const DIGEST_AT: usize = 8;
pub(super) const DIGESTED_AT: usize = DIGEST_AT + 32;

/// One entry of each part.
pub(super) const FIRST_BYTES: usize = 8;
pub(super) const HEAD_BYTES: usize = 16;
pub(super) const VALUE_BYTES: usize = 12;
pub(super) const SERVICE_BYTES: usize = 40;
pub(super) const CODE_BYTES: usize = 12;
/// Zeros behind the blocks, so that any of their bits can be read with 16 bytes.
pub(super) const PADDING_BYTES: usize = 16;

/// Segments that one block is made from.
pub(super) const BLOCK_SEGMENTS: usize = 128;
/// Bits of an extent, and the extent of a segment that goes on until the next one begins.
pub(super) const EXTENT_BITS: u32 = 4;
pub(super) const UNTIL_NEXT: u8 = 15;
/// Bits of a key within its section.
pub(super) const SECTION_SHIFT: u32 = 60;

/// The value of numbers that no set holds.
pub(super) const NOTHING: u32 = 0;
/// How many free digits the set of everybody counts as.
pub(super) const EVERYBODY_BREADTH: u8 = NUMBER_SIGNS_MAX as u8 + 1;

/// The counts in the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) blocks: u64,
    pub(super) data_bytes: u64,
    pub(super) values: u64,
    pub(super) services: u64,
    pub(super) codes: u64,
    pub(super) text_bytes: u64,
    /// How many sets the table was made from.
    pub(super) sets: u64,
    pub(super) made_s: u64,
    /// The value of everybody, and how many bits a value has in a block.
    pub(super) everybody: u64,
    pub(super) value_bits: u64,
}

impl Counts {
    pub(super) const fn to_array(self) -> [u64; 10] {
        [
            self.blocks,
            self.data_bytes,
            self.values,
            self.services,
            self.codes,
            self.text_bytes,
            self.sets,
            self.made_s,
            self.everybody,
            self.value_bits,
        ]
    }

    pub(super) const fn from_array(counts: [u64; 10]) -> Self {
        let [blocks, data_bytes, values, services, codes, text_bytes, sets, made_s, everybody, value_bits] =
            counts;
        Self { blocks, data_bytes, values, services, codes, text_bytes, sets, made_s, everybody, value_bits }
    }

    /// Where each part begins and where the last one ends; `None` if that is beyond a machine's memory.
    pub(super) fn parts(&self) -> Option<Parts> {
        let mut end = HEADER_BYTES;
        let mut part = |count: u64, each: usize| {
            let begin = end;
            end = usize::try_from(count).ok()?.checked_mul(each)?.checked_add(begin)?;
            Some(begin)
        };
        Some(Parts {
            firsts: part(self.blocks, FIRST_BYTES)?,
            heads: part(self.blocks, HEAD_BYTES)?,
            data: part(self.data_bytes, 1)?,
            values: part(self.values, VALUE_BYTES)?,
            services: part(self.services, SERVICE_BYTES)?,
            codes: part(self.codes, CODE_BYTES)?,
            text: part(self.text_bytes, 1)?,
            end,
        })
    }
}

/// Where each part begins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parts {
    pub(super) firsts: usize,
    pub(super) heads: usize,
    pub(super) data: usize,
    pub(super) values: usize,
    pub(super) services: usize,
    pub(super) codes: usize,
    pub(super) text: usize,
    pub(super) end: usize,
}

/// What stands before the bits of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// Where its bits begin in the data.
    pub(super) data_at: u64,
    /// The value between segments that end before the next one.
    pub(super) gap: u32,
    pub(super) count: u8,
    pub(super) offset_bits: u8,
    /// Bits that are 0 at the end of each offset and left out.
    pub(super) shift: u8,
}

impl Head {
    pub(super) fn to_bytes(self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..8].copy_from_slice(&self.data_at.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.gap.to_le_bytes());
        bytes[12..].copy_from_slice(&[self.count, self.offset_bits, self.shift, 0]);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; HEAD_BYTES]) -> Self {
        Self {
            data_at: u64_at(bytes, 0),
            gap: u32_at(bytes, 8),
            count: bytes[12],
            offset_bits: bytes[13],
            shift: bytes[14],
        }
    }
}

/// What numbers of a segment have: for the calling and for the called side a service, counted from 1, and how many
/// free digits the set has that it comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Value {
    pub(super) services: [u32; 2],
    pub(super) breadths: [u8; 2],
}

impl Value {
    pub(super) fn to_bytes(self) -> [u8; VALUE_BYTES] {
        let mut bytes = [0; VALUE_BYTES];
        bytes[..4].copy_from_slice(&self.services[0].to_le_bytes());
        bytes[4..8].copy_from_slice(&self.services[1].to_le_bytes());
        bytes[8..10].copy_from_slice(&self.breadths);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        Self { services: [u32_at(bytes, 0), u32_at(bytes, 4)], breadths: [bytes[8], bytes[9]] }
    }
}

/// The integer at `at`, which must be inside.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes were asked for"))
}

/// The integer at `at`, which must be inside.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes were asked for"))
}

/// The key of a number among those of its length: the length, then its value. `None` with `*` or `#`.
pub(super) fn digits_key(number: TelephoneNumber) -> Option<u64> {
    let (mut value, mut sign_count) = (0u64, 0u64);
    for sign in number.signs() {
        let digit = sign.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
        sign_count += 1;
    }
    Some((sign_count << SECTION_SHIFT) | value)
}

/// How many keys of a section there are behind `free` free signs.
pub(super) const fn keys_of(section: u64, free: u32) -> u64 {
    if section == 0 { 1 << (4 * free) } else { 10u64.pow(free) }
}

/// How many free signs a set of `keys` keys has, rounded up.
pub(super) const fn free_signs(section: u64, keys: u64) -> u8 {
    let mut free = 0;
    while free < NUMBER_SIGNS_MAX as u32 && keys_of(section, free) < keys {
        free += 1;
    }
    free as u8
}
