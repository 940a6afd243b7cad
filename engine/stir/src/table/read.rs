//! Opening a compiled table: everything a look-up relies on is checked here, once.

use core::fmt;
use core::ops::Range;

use ring::digest::{SHA256, digest};

use super::blocks::bits_at;
use super::guide::Guide;
use super::layout::{
    BLOCK_SEGMENTS, CODE_BYTES, Counts, DIGEST_AT, DIGESTED_AT, EVERYBODY_BREADTH, EXTENT_BITS, FIRST_BYTES,
    HEAD_BYTES, HEADER_BYTES, Head, MAGIC, PADDING_BYTES, Parts, SECTION_SHIFT, SERVICE_BYTES, VALUE_BYTES,
    Value, u32_at, u64_at,
};
use crate::limits::{
    SPC_BYTES_MAX, TABLE_BYTES_MAX, TABLE_ORIGIN_BYTES_MAX, TABLE_SERVICES_MAX, TABLE_URIS_MAX,
};
use crate::passport::{Leniency, check_url};

/// A compiled table, read where it lies. Any thread.
#[derive(Clone)]
pub struct Table<B> {
    pub(super) bytes: B,
    pub(super) counts: Counts,
    pub(super) parts: Parts,
    pub(super) guide: Guide,
}

/// What a table says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Entries it was made from.
    pub entries_count: u64,
    /// When it was made, in seconds since the Unix epoch.
    pub made_s: u64,
    /// Different lists of services.
    pub services_count: u64,
    /// Service provider codes.
    pub codes_count: u64,
    /// Whether it has an entry for everybody.
    pub has_everybody: bool,
    /// Its bytes.
    pub bytes_count: usize,
}

impl<B: AsRef<[u8]>> Table<B> {
    /// The table in `bytes`, which must not change. All of it is checked. O(bytes).
    ///
    /// # Errors
    /// [`TableFault`].
    pub fn open(bytes: B) -> Result<Self, TableFault> {
        let all = bytes.as_ref();
        if all.len() > TABLE_BYTES_MAX {
            return Err(TableFault::TooLong(all.len()));
        }
        if all.get(..MAGIC.len()) != Some(&MAGIC) {
            return Err(TableFault::NoTable);
        }
        if all.len() < HEADER_BYTES {
            return Err(TableFault::Length);
        }
        let counts = Counts::from_array(core::array::from_fn(|index| u64_at(all, DIGESTED_AT + 8 * index)));
        let parts = counts.parts().filter(|parts| parts.end == all.len()).ok_or(TableFault::Length)?;
        if digest(&SHA256, &all[DIGESTED_AT..]).as_ref() != &all[DIGEST_AT..DIGESTED_AT] {
            return Err(TableFault::Digest);
        }
        let mut table = Self { bytes, counts, parts, guide: Guide::new(0, |_| 0) };
        table.check_services()?;
        table.check_values()?;
        table.check_codes()?;
        let blocks = table.check_blocks()?;
        table.guide = Guide::new(blocks, |block| table.first(block));
        Ok(table)
    }

    /// What it says of itself.
    pub fn about(&self) -> About {
        About {
            entries_count: self.counts.sets,
            made_s: self.counts.made_s,
            services_count: self.counts.services,
            codes_count: self.counts.codes,
            has_everybody: self.counts.everybody != 0,
            bytes_count: self.bytes.as_ref().len(),
        }
    }

    pub(super) fn all(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    pub(super) fn first(&self, block: usize) -> u64 {
        u64_at(self.all(), self.parts.firsts + block * FIRST_BYTES)
    }

    /// The first keys of `blocks`.
    pub(super) fn firsts(&self, blocks: Range<usize>) -> &[u8] {
        let at = self.parts.firsts;
        &self.all()[at + blocks.start * FIRST_BYTES..at + blocks.end * FIRST_BYTES]
    }

    /// The heads of `blocks`.
    pub(super) fn heads(&self, blocks: Range<usize>) -> &[u8] {
        let at = self.parts.heads;
        &self.all()[at + blocks.start * HEAD_BYTES..at + blocks.end * HEAD_BYTES]
    }

    pub(super) fn head(&self, block: usize) -> Head {
        let at = self.parts.heads + block * HEAD_BYTES;
        Head::from_bytes(self.all()[at..at + HEAD_BYTES].try_into().expect("that many bytes"))
    }

    /// The bits of all blocks and what pads them.
    pub(super) fn data(&self) -> &[u8] {
        &self.all()[self.parts.data..self.parts.values]
    }

    pub(super) fn value(&self, id: u32) -> Value {
        let at = self.parts.values + id as usize * VALUE_BYTES;
        Value::from_bytes(&self.all()[at..at + VALUE_BYTES])
    }

    pub(super) fn text(&self, at: u32, len: u32) -> Option<&str> {
        let begin = self.parts.text.checked_add(at as usize)?;
        let text = self.all().get(begin..begin.checked_add(len as usize)?)?;
        core::str::from_utf8(text).ok()
    }

    /// The code at `index` and its value.
    pub(super) fn code(&self, index: usize) -> Option<(&str, u32)> {
        let at = self.parts.codes + index * CODE_BYTES;
        let entry = self.all().get(at..at + CODE_BYTES)?;
        Some((self.text(u32_at(entry, 0), u32_at(entry, 4))?, u32_at(entry, 8)))
    }

    /// The bytes of the service with this number, counted from 1.
    pub(super) fn service_entry(&self, id: u32) -> Option<&[u8]> {
        let index = (id as usize).checked_sub(1)?;
        let at = self.parts.services + index * SERVICE_BYTES;
        (at < self.parts.codes).then(|| &self.all()[at..at + SERVICE_BYTES])
    }

    fn check_services(&self) -> Result<(), TableFault> {
        if self.counts.services > TABLE_SERVICES_MAX as u64 {
            return Err(TableFault::Part("services"));
        }
        let is_good = |id: u64| {
            let service = self.service(u32::try_from(id).ok()?)?;
            let uris = service.uris().count();
            let good_uris = service.uris().all(|uri| check_url(uri, &Leniency::STRICT).is_ok());
            let good_origin = service.origin.len() <= TABLE_ORIGIN_BYTES_MAX
                && !service.origin.chars().any(char::is_control);
            ((1..=TABLE_URIS_MAX).contains(&uris) && good_uris && good_origin).then_some(())
        };
        let all = (1..=self.counts.services).try_for_each(is_good);
        all.ok_or(TableFault::Part("services"))
    }

    fn check_values(&self) -> Result<(), TableFault> {
        let ids = 0..u32::try_from(self.counts.values).map_err(|_| TableFault::Part("values"))?;
        let is_good = |value: Value| {
            let known = value.services.iter().all(|&id| u64::from(id) <= self.counts.services);
            known && value.breadths.iter().all(|&breadth| breadth <= EVERYBODY_BREADTH)
        };
        let first_is_nothing = !ids.is_empty() && self.value(0) == Value::default();
        let everybody = self.counts.everybody < self.counts.values;
        let good = first_is_nothing && everybody && ids.into_iter().all(|id| is_good(self.value(id)));
        if good { Ok(()) } else { Err(TableFault::Part("values")) }
    }

    fn check_codes(&self) -> Result<(), TableFault> {
        let mut before = "";
        let count = usize::try_from(self.counts.codes).map_err(|_| TableFault::Part("codes"))?;
        for index in 0..count {
            let (code, value) = self.code(index).ok_or(TableFault::Part("codes"))?;
            if code <= before || code.len() > SPC_BYTES_MAX || u64::from(value) >= self.counts.values {
                return Err(TableFault::Part("codes"));
            }
            before = code;
        }
        Ok(())
    }

    /// How many there are.
    fn check_blocks(&self) -> Result<usize, TableFault> {
        const FAULT: TableFault = TableFault::Part("blocks");
        let count = usize::try_from(self.counts.blocks).map_err(|_| FAULT)?;
        if self.counts.value_bits > u64::from(u32::BITS) {
            return Err(FAULT);
        }
        for block in 0..count {
            let next = if block + 1 < count { self.first(block + 1) } else { u64::MAX };
            let last = self.check_block(block).ok_or(FAULT)?;
            if last >= next {
                return Err(FAULT);
            }
        }
        Ok(count)
    }

    /// Checks a block by itself. Its last key.
    fn check_block(&self, block: usize) -> Option<u64> {
        let (first, head) = (self.first(block), self.head(block));
        let (count, bits) = (usize::from(head.count), u32::from(head.offset_bits));
        let (value_bits, shift) = (self.counts.value_bits as u32, u32::from(head.shift));
        if !(1..=BLOCK_SEGMENTS).contains(&count) || bits + shift > SECTION_SHIFT {
            return None;
        }
        let begin = usize::try_from(head.data_at).ok()?.checked_mul(8)?;
        let record_bits = bits + EXTENT_BITS + value_bits;
        let end = begin.checked_add(count * record_bits as usize)?.div_ceil(8);
        if end.checked_add(PADDING_BYTES)? > self.data().len() || !self.is_value(head.gap) {
            return None;
        }
        let mut before = None;
        for index in 0..count {
            let offset = bits_at(self.data(), begin + index * bits as usize, bits);
            let value_at = begin + count * bits as usize + index * (EXTENT_BITS + value_bits) as usize;
            let record = bits_at(self.data(), value_at, EXTENT_BITS + value_bits);
            let ascends = before.map_or(offset == 0, |before| before < offset);
            if !ascends || !self.is_value(u32::try_from(record >> EXTENT_BITS).ok()?) {
                return None;
            }
            before = Some(offset);
        }
        let last = first.checked_add(before? << shift)?;
        (last >> SECTION_SHIFT == first >> SECTION_SHIFT).then_some(last)
    }

    fn is_value(&self, id: u32) -> bool {
        u64::from(id) < self.counts.values
    }
}

impl<B: AsRef<[u8]>> fmt::Debug for Table<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({:?})", self.about())
    }
}

/// Why bytes are not a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFault {
    /// More bytes than [`TABLE_BYTES_MAX`]; how many.
    TooLong(usize),
    /// It does not begin as a table of this version does.
    NoTable,
    /// It has not the length that its header says.
    Length,
    /// It is not as it was made.
    Digest,
    /// This part of it is not what it should be.
    Part(&'static str),
}

impl fmt::Display for TableFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => {
                write!(f, "the table has {bytes} bytes; at most {TABLE_BYTES_MAX} are read")
            }
            Self::NoTable => f.write_str("not a table of this version; make one with `herald table build`"),
            Self::Length => f.write_str("the table has not the length that its header says; copy it again"),
            Self::Digest => f.write_str("the table is damaged: its digest is another; make it again"),
            Self::Part(part) => write!(f, "the {part} of the table are malformed; make it again"),
        }
    }
}

impl core::error::Error for TableFault {}
