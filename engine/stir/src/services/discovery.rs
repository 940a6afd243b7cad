//! Where the Call Placement Service of a number is, and which keys its placements are sealed for (RFC 8816 §10
//! and §11). A [`Directory`] is the configured one; others stand behind the same traits.

use core::fmt;
use core::str::FromStr;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use herald_core::{NumberBlock, TelephoneNumber, Timestamp};

use super::io::{CpsUri, Fetched};
use crate::limits::{CPS_URIS_MAX, DIRECTORY_ENTRIES_MAX, RECIPIENT_KEYS_MAX, SPC_BYTES_MAX};
use crate::number_map::{NumberMap, NumberSet};
use crate::seal::SealingPublicKey;

/// Which side of a call asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The calling side, to store.
    Calling,
    /// The called side, to retrieve.
    Called,
}

/// What a discovery answers at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup<T> {
    /// This.
    Found(T),
    /// There is nothing for the number.
    NotFound,
    /// A document must be fetched first; it goes to `learn`, then ask again.
    Fetch {
        /// Its https URL.
        url: String,
        /// What it should be.
        kind: Fetched,
    },
}

/// Finds the Call Placement Service of a number (RFC 8816 §10). Never blocks. Any thread.
pub trait CpsDiscovery: Send + Sync {
    /// The services of `number`, the preferred one first. `now` is the wall clock's.
    fn cps_for(&self, number: TelephoneNumber, side: Side, now: Timestamp) -> Lookup<Vec<CpsUri>>;

    /// Takes in the document that a [`Lookup::Fetch`] named, which may be kept for `fresh_s` seconds. What it
    /// cannot use it leaves aside; the next lookup then says so.
    fn learn(&self, _url: &str, _body: &[u8], _fresh_s: u64, _now: Timestamp) {}
}

/// Finds the public keys of a called number (RFC 8816 §11). Never blocks. Any thread.
pub trait KeyDiscovery: Send + Sync {
    /// All keys that placements for `number` are sealed for, at most [`RECIPIENT_KEYS_MAX`]. `now` is the wall clock's.
    fn keys_for(&self, number: TelephoneNumber, now: Timestamp) -> Lookup<Vec<SealingPublicKey>>;

    /// As [`CpsDiscovery::learn`].
    fn learn(&self, _url: &str, _body: &[u8], _fresh_s: u64, _now: Timestamp) {}
}

/// What is known of a called number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// Its services, the preferred one first: 1 to [`CPS_URIS_MAX`].
    pub cps: Vec<CpsUri>,
    /// Its keys: up to [`RECIPIENT_KEYS_MAX`]. None if they are found otherwise.
    pub keys: Vec<SealingPublicKey>,
}

/// Whom an entry of a directory is for.
///
/// Written as in CPS advertisements (RFC 9888): `2-TN` one number, `1-TN-COUNT` a range, `0-SPC` a service
/// provider code; or as `12225550xxx` (an `x` for each free digit), `1222*` (numbers of any length that begin so), `*`
/// (everybody).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Numbers.
    Numbers(NumberSet),
    /// The numbers of a service provider code, as the directory's [codes](Directory::set_code) have them.
    Code(String),
}

impl FromStr for Selector {
    type Err = DirectoryError;

    fn from_str(text: &str) -> Result<Self, DirectoryError> {
        let number = |text: &str| text.parse().map_err(|_| DirectoryError::Selector);
        let block = |text: &str| NumberBlock::parse(text.as_bytes()).map_err(|_| DirectoryError::Selector);
        let numbers = match text.split_at_checked(2) {
            Some(("0-", code)) => return code_selector(code),
            Some(("1-", range)) => NumberSet::Block(block(range)?),
            Some(("2-", one)) => NumberSet::One(number(one)?),
            _ if text == "*" => NumberSet::Everybody,
            _ => match text.strip_suffix('*') {
                Some(prefix) => NumberSet::Prefix(number(prefix)?),
                None if text.ends_with(['x', 'X']) => NumberSet::Block(block(text)?),
                None => NumberSet::One(number(text)?),
            },
        };
        Ok(Self::Numbers(numbers))
    }
}

fn code_selector(code: &str) -> Result<Selector, DirectoryError> {
    let good =
        (1..=SPC_BYTES_MAX).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if good { Ok(Selector::Code(code.to_owned())) } else { Err(DirectoryError::Selector) }
}

/// The configured directory: which services and keys belong to which numbers. The entry for the fewest numbers
/// that holds a number is its own; one for its service provider code comes after those for numbers, but before the one
/// for everybody.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    numbers: NumberMap<Arc<Destination>>,
    codes: NumberMap<Arc<str>>,
    by_code: HashMap<Arc<str>, Arc<Destination>>,
    everybody: Option<Arc<Destination>>,
    services: HashSet<CpsUri>,
}

impl Directory {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says what is known of the numbers that `selectors` hold. A later entry for the same numbers replaces an earlier
    /// one.
    ///
    /// # Errors
    /// [`DirectoryError`], and nothing changes: no service, too many services, keys or entries.
    pub fn add(&mut self, selectors: &[Selector], destination: Destination) -> Result<(), DirectoryError> {
        if destination.cps.is_empty() || destination.cps.len() > CPS_URIS_MAX {
            return Err(DirectoryError::Services(destination.cps.len()));
        }
        if destination.keys.len() > RECIPIENT_KEYS_MAX {
            return Err(DirectoryError::Keys(destination.keys.len()));
        }
        if self.len() + selectors.len() > DIRECTORY_ENTRIES_MAX {
            return Err(DirectoryError::Entries);
        }
        self.services.extend(destination.cps.iter().cloned());
        let destination = Arc::new(destination);
        for selector in selectors {
            match selector {
                Selector::Numbers(NumberSet::Everybody) => self.everybody = Some(destination.clone()),
                Selector::Numbers(set) => self.numbers.insert(*set, destination.clone()),
                Selector::Code(code) => {
                    self.by_code.insert(code.as_str().into(), destination.clone());
                }
            }
        }
        Ok(())
    }

    /// Says that the numbers of `set` belong to the service provider code `code`.
    ///
    /// # Errors
    /// [`DirectoryError::Entries`].
    pub fn set_code(&mut self, set: NumberSet, code: &str) -> Result<(), DirectoryError> {
        if self.codes.len() >= DIRECTORY_ENTRIES_MAX {
            return Err(DirectoryError::Entries);
        }
        self.codes.insert(set, code.into());
        Ok(())
    }

    /// What is known of `number`. 15 look-ups at most, however many entries there are.
    pub fn destination(&self, number: TelephoneNumber) -> Option<&Destination> {
        let by_code = || self.by_code.get(self.codes.get(number)?);
        self.numbers.get(number).or_else(by_code).or(self.everybody.as_ref()).map(|found| &**found)
    }

    /// The service provider code of `number`, where one is [set](Self::set_code).
    pub fn code_of(&self, number: TelephoneNumber) -> Option<&str> {
        self.codes.get(number).map(|code| &**code)
    }

    /// All services it names, or named in entries that were replaced.
    pub const fn services(&self) -> &HashSet<CpsUri> {
        &self.services
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.numbers.len() + self.by_code.len() + usize::from(self.everybody.is_some())
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl CpsDiscovery for Directory {
    fn cps_for(&self, number: TelephoneNumber, _side: Side, _now: Timestamp) -> Lookup<Vec<CpsUri>> {
        self.destination(number).map_or(Lookup::NotFound, |found| Lookup::Found(found.cps.clone()))
    }
}

impl KeyDiscovery for Directory {
    fn keys_for(&self, number: TelephoneNumber, _now: Timestamp) -> Lookup<Vec<SealingPublicKey>> {
        let keys = self.destination(number).map(|found| &found.keys).filter(|keys| !keys.is_empty());
        keys.map_or(Lookup::NotFound, |keys| Lookup::Found(keys.clone()))
    }
}

/// What a directory does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryError {
    /// A text that selects no numbers.
    Selector,
    /// No service, or more than [`CPS_URIS_MAX`].
    Services(usize),
    /// More keys than [`RECIPIENT_KEYS_MAX`].
    Keys(usize),
    /// More entries than [`DIRECTORY_ENTRIES_MAX`].
    Entries,
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Selector => {
                f.write_str("this selects no numbers; write 2-TN, 1-TN-COUNT, 0-SPC, 12225550xxx, 1222* or *")
            }
            Self::Services(count) => write!(f, "{count} services; an entry has 1 to {CPS_URIS_MAX}"),
            Self::Keys(count) => write!(f, "{count} keys; an entry has at most {RECIPIENT_KEYS_MAX}"),
            Self::Entries => write!(f, "more than {DIRECTORY_ENTRIES_MAX} entries"),
        }
    }
}

impl core::error::Error for DirectoryError {}
