//! Collecting the sets of a table and compiling them.

use core::fmt;
use std::collections::{BTreeMap, HashMap};

use herald_core::limits::NUMBER_SIGNS_MAX;
use ring::digest::{SHA256, digest};

use super::blocks::{BlockWriter, Blocks};
use super::layout::{
    Counts, DIGEST_AT, DIGESTED_AT, EVERYBODY_BREADTH, HEADER_BYTES, MAGIC, Value, digits_key, keys_of,
};
use super::sweep::sweep;
use crate::limits::{
    SPC_BYTES_MAX, TABLE_BYTES_MAX, TABLE_ORIGIN_BYTES_MAX, TABLE_SERVICES_MAX, TABLE_SETS_MAX,
    TABLE_URIS_MAX,
};
use crate::number_map::{NumberSet, beginning_mask};
use crate::passport::{Leniency, check_url};
use crate::services::Selector;

/// For which side of a call an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sides {
    /// The calling side, to store.
    Calling,
    /// The called side, to retrieve.
    Called,
    /// Either.
    Both,
}

/// The services that an entry names, and by whose word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Service {
    /// https URIs, the preferred one first: 1 to [`TABLE_URIS_MAX`].
    pub uris: Vec<String>,
    /// Whether somebody with authority over the numbers has signed it, and that was verified.
    pub is_proven: bool,
    /// When it was signed, in seconds since the Unix epoch; 0 if it was not.
    pub since_s: u64,
    /// The last second for which it holds; `None` if it holds for ever.
    pub until_s: Option<u64>,
    /// Where it comes from, for people: a file's name, say. At most [`TABLE_ORIGIN_BYTES_MAX`] bytes are kept.
    pub origin: String,
}

/// Collects entries; [`finish`](Self::finish) compiles them. Some 24 bytes an entry.
#[derive(Debug, Default)]
pub struct TableBuilder {
    sets: Vec<Set>,
    codes: BTreeMap<String, [u32; 2]>,
    everybody: [u32; 2],
    services: Services,
    /// Of codes and everybody.
    others_count: usize,
}

/// Consecutive keys and the services of each side, counted from 1; 0 for none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Set {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) services: [u32; 2],
}

/// Each service once.
#[derive(Debug, Default)]
struct Services {
    all: Vec<Service>,
    ids: HashMap<Service, u32>,
}

impl TableBuilder {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry.
    ///
    /// Of several entries for the very same numbers, a proven one goes before the others, and among proven ones the
    /// one signed last; without a proven one their services add up, in the order in which they came.
    ///
    /// # Errors
    /// [`BuildFault`], and nothing changes.
    pub fn add(&mut self, selector: &Selector, sides: Sides, service: &Service) -> Result<(), BuildFault> {
        if self.len() >= TABLE_SETS_MAX {
            return Err(BuildFault::Sets);
        }
        let id = self.services.id(service)?;
        let services = match sides {
            Sides::Calling => [id, 0],
            Sides::Called => [0, id],
            Sides::Both => [id, id],
        };
        match selector {
            Selector::Numbers(NumberSet::Everybody) => {
                self.others_count += 1;
                self.everybody = self.services.merged(self.everybody, services)?;
            }
            Selector::Numbers(set) => {
                let (first, last) = keys(*set);
                self.sets.push(Set { first, last, services });
            }
            Selector::Code(code) => {
                if !(1..=SPC_BYTES_MAX).contains(&code.len()) {
                    return Err(BuildFault::Code);
                }
                self.others_count += 1;
                let known = self.codes.get(code).copied().unwrap_or_default();
                let merged = self.services.merged(known, services)?;
                self.codes.insert(code.clone(), merged);
            }
        }
        Ok(())
    }

    /// Adds all entries of `other`, behind those that are here.
    ///
    /// # Errors
    /// [`BuildFault`]; some of them were added.
    pub fn append(&mut self, other: Self) -> Result<(), BuildFault> {
        if self.len() + other.len() > TABLE_SETS_MAX {
            return Err(BuildFault::Sets);
        }
        let ids = other.services.all.iter().map(|service| self.services.id(service));
        let ids = ids.collect::<Result<Vec<_>, _>>()?;
        let here = |services: [u32; 2]| {
            services.map(|id| (id as usize).checked_sub(1).map_or(0, |index| ids[index]))
        };
        let sets = other.sets.into_iter();
        self.sets.extend(sets.map(|set| Set { services: here(set.services), ..set }));
        for (code, services) in other.codes {
            let known = self.codes.get(&code).copied().unwrap_or_default();
            let merged = self.services.merged(known, here(services))?;
            self.codes.insert(code, merged);
        }
        self.everybody = self.services.merged(self.everybody, here(other.everybody))?;
        self.others_count += other.others_count;
        Ok(())
    }

    /// How many entries were added.
    pub const fn len(&self) -> usize {
        self.sets.len() + self.others_count
    }

    /// Whether none was.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Compiles the table, as made at `made_s` seconds since the Unix epoch. O(entries log entries).
    ///
    /// # Errors
    /// [`BuildFault::Uris`] where entries for the same numbers add up to too many services, [`BuildFault::Bytes`].
    pub fn finish(mut self, made_s: u64) -> Result<Vec<u8>, BuildFault> {
        let sets_count = self.len();
        self.sets.sort_by_key(|set| (set.first, core::cmp::Reverse(set.last)));
        self.merge_sets()?;
        let mut values = Values::new();
        let mut segments = Vec::new();
        sweep(&self.sets, |first, value| segments.push((first, values.id(value))));
        self.sets = Vec::new();
        let everybody = values.id(wide(self.everybody, EVERYBODY_BREADTH));
        let codes: Vec<_> = core::mem::take(&mut self.codes)
            .into_iter()
            .map(|(code, services)| (code, values.id(wide(services, NUMBER_SIGNS_MAX as u8))))
            .collect();
        let value_bits = u64::BITS - (values.all.len() as u64 - 1).leading_zeros();
        let mut writer = BlockWriter::new(value_bits);
        for (first, value) in segments {
            writer.put(first, value);
        }
        let blocks = writer.finish();
        let counts = Counts {
            sets: sets_count as u64,
            made_s,
            everybody: u64::from(everybody),
            value_bits: u64::from(value_bits),
            ..Counts::default()
        };
        assemble(counts, &blocks, &values.all, &self.services.all, &codes)
    }

    /// Makes one set of those with the same keys, which stand together.
    fn merge_sets(&mut self) -> Result<(), BuildFault> {
        let mut kept = 0usize;
        for index in 0..self.sets.len() {
            let set = self.sets[index];
            let before = kept.checked_sub(1).map(|before| self.sets[before]);
            match before.filter(|before| (before.first, before.last) == (set.first, set.last)) {
                Some(before) => {
                    self.sets[kept - 1].services = self.services.merged(before.services, set.services)?;
                }
                None => {
                    self.sets[kept] = set;
                    kept += 1;
                }
            }
        }
        self.sets.truncate(kept);
        Ok(())
    }
}

impl Services {
    /// The number of `service`, counted from 1.
    fn id(&mut self, service: &Service) -> Result<u32, BuildFault> {
        if let Some(&id) = self.ids.get(service) {
            return Ok(id);
        }
        if !(1..=TABLE_URIS_MAX).contains(&service.uris.len()) {
            return Err(BuildFault::Uris(service.origin.clone()));
        }
        if service.uris.iter().any(|uri| check_url(uri, &Leniency::STRICT).is_err()) {
            return Err(BuildFault::Uri);
        }
        if self.all.len() >= TABLE_SERVICES_MAX {
            return Err(BuildFault::Services);
        }
        self.all.push(service.clone());
        let id = u32::try_from(self.all.len()).map_err(|_| BuildFault::Services)?;
        self.ids.insert(service.clone(), id);
        Ok(id)
    }

    /// The services of two entries for the same numbers, of which `later` came later.
    fn merged(&mut self, earlier: [u32; 2], later: [u32; 2]) -> Result<[u32; 2], BuildFault> {
        Ok([self.merge(earlier[0], later[0])?, self.merge(earlier[1], later[1])?])
    }

    fn merge(&mut self, earlier: u32, later: u32) -> Result<u32, BuildFault> {
        if earlier == 0 || later == 0 || earlier == later {
            return Ok(earlier.max(later));
        }
        let (one, other) = (&self.all[earlier as usize - 1], &self.all[later as usize - 1]);
        match (one.is_proven, other.is_proven) {
            (true, false) => return Ok(earlier),
            (false, true) => return Ok(later),
            (true, true) => return Ok(if other.since_s > one.since_s { later } else { earlier }),
            (false, false) => {}
        }
        let mut both = one.clone();
        let new = other.uris.iter().filter(|uri| !one.uris.contains(uri));
        both.uris.extend(new.cloned());
        self.id(&both)
    }
}

/// Each value once. The first is that of numbers which no set holds.
struct Values {
    all: Vec<Value>,
    ids: HashMap<Value, u32>,
    last: (Value, u32),
}

impl Values {
    fn new() -> Self {
        let nothing = Value::default();
        Self { all: vec![nothing], ids: HashMap::from([(nothing, 0)]), last: (nothing, 0) }
    }

    fn id(&mut self, value: Value) -> u32 {
        if self.last.0 != value {
            let next = u32::try_from(self.all.len()).expect("no more than sets, which are bounded");
            let id = *self.ids.entry(value).or_insert(next);
            if id == next {
                self.all.push(value);
            }
            self.last = (value, id);
        }
        self.last.1
    }
}

/// The value of a set that is not one of numbers.
fn wide(services: [u32; 2], breadth: u8) -> Value {
    Value { services, breadths: services.map(|service| if service == 0 { 0 } else { breadth }) }
}

/// The first and last key of a set.
fn keys(set: NumberSet) -> (u64, u64) {
    match set {
        NumberSet::One(number) => {
            let key = digits_key(number).unwrap_or(number.to_bits());
            (key, key)
        }
        NumberSet::Block(block) => {
            let first = digits_key(block.first()).expect("a block is all digits");
            (first, first + (block.count() - 1))
        }
        NumberSet::Prefix(prefix) => {
            let first = prefix.to_bits();
            let free = u32::try_from(NUMBER_SIGNS_MAX - prefix.sign_count()).expect("at most 15");
            debug_assert_eq!(first & !beginning_mask(prefix.sign_count()), 0, "a prefix ends with zeros");
            (first, first + (keys_of(0, free) - 1))
        }
        NumberSet::Everybody => (0, keys_of(0, NUMBER_SIGNS_MAX as u32) - 1),
    }
}

/// Puts the parts behind one another.
fn assemble(
    mut counts: Counts,
    blocks: &Blocks,
    values: &[Value],
    services: &[Service],
    codes: &[(String, u32)],
) -> Result<Vec<u8>, BuildFault> {
    let mut text = TextPool::default();
    let mut tail = Vec::new();
    for value in values {
        tail.extend(value.to_bytes());
    }
    for service in services {
        text.write_service(service, &mut tail)?;
    }
    for (code, value) in codes {
        text.write(code, &mut tail)?;
        tail.extend(value.to_le_bytes());
    }
    counts.blocks = blocks.firsts.len() as u64;
    counts.data_bytes = blocks.data.len() as u64;
    counts.values = values.len() as u64;
    counts.services = services.len() as u64;
    counts.codes = codes.len() as u64;
    counts.text_bytes = text.0.len() as u64;
    let end = counts.parts().map_or(usize::MAX, |parts| parts.end);
    if end > TABLE_BYTES_MAX {
        return Err(BuildFault::Bytes);
    }
    let mut out = Vec::with_capacity(end);
    out.extend(MAGIC);
    out.extend([0; DIGESTED_AT - DIGEST_AT]);
    for count in counts.to_array() {
        out.extend(count.to_le_bytes());
    }
    out.resize(HEADER_BYTES, 0);
    for first in &blocks.firsts {
        out.extend(first.to_le_bytes());
    }
    for head in &blocks.heads {
        out.extend(head.to_bytes());
    }
    out.extend(&blocks.data);
    out.extend(tail);
    out.extend(text.0.as_bytes());
    let sum = digest(&SHA256, &out[DIGESTED_AT..]);
    out[DIGEST_AT..DIGESTED_AT].copy_from_slice(sum.as_ref());
    Ok(out)
}

/// All texts, one behind the other.
#[derive(Default)]
struct TextPool(String);

impl TextPool {
    fn write(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), BuildFault> {
        let at = u32::try_from(self.0.len()).map_err(|_| BuildFault::Bytes)?;
        let len = u32::try_from(text.len()).map_err(|_| BuildFault::Bytes)?;
        self.0.push_str(text);
        out.extend(at.to_le_bytes());
        out.extend(len.to_le_bytes());
        Ok(())
    }

    fn write_service(&mut self, service: &Service, out: &mut Vec<u8>) -> Result<(), BuildFault> {
        self.write(&service.uris.join("\n"), out)?;
        let shown = service.origin.replace(char::is_control, "?");
        let mut end = shown.len().min(TABLE_ORIGIN_BYTES_MAX);
        while !shown.is_char_boundary(end) {
            end -= 1;
        }
        self.write(&shown[..end], out)?;
        out.extend(service.since_s.to_le_bytes());
        out.extend(service.until_s.unwrap_or(u64::MAX).to_le_bytes());
        out.extend(u64::from(service.is_proven).to_le_bytes());
        Ok(())
    }
}

/// Why a table cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildFault {
    /// A service that is not an https URI.
    Uri,
    /// No services for a set, or more than [`TABLE_URIS_MAX`]; where they come from.
    Uris(String),
    /// A service provider code of no bytes or more than [`SPC_BYTES_MAX`].
    Code,
    /// More than [`TABLE_SERVICES_MAX`] different lists of services.
    Services,
    /// More than [`TABLE_SETS_MAX`] entries.
    Sets,
    /// The table would have more than [`TABLE_BYTES_MAX`] bytes.
    Bytes,
}

impl fmt::Display for BuildFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri => f.write_str("a service is an https URI with a host, without white space"),
            Self::Uris(origin) => write!(
                f,
                "the same numbers have 1 to {TABLE_URIS_MAX} services on one side of a call; see {origin}"
            ),
            Self::Code => write!(f, "a service provider code has 1 to {SPC_BYTES_MAX} signs"),
            Self::Services => write!(f, "more than {TABLE_SERVICES_MAX} different lists of services"),
            Self::Sets => write!(f, "more than {TABLE_SETS_MAX} entries; make several tables"),
            Self::Bytes => {
                write!(f, "the table would have more than {TABLE_BYTES_MAX} bytes; make several tables")
            }
        }
    }
}

impl core::error::Error for BuildFault {}
