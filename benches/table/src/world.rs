//! Prefixes, numbers below them, and what a table has to say of each: found here by looking for each prefix of a number
//! in a sorted list, which shares nothing with a table.

use herald_core::TelephoneNumber;
use herald_stir::NumberSet;
use herald_stir::services::Selector;
use herald_stir::table::{Service, Sides, TableBuilder};

use crate::AnyError;
use crate::limits::{NUMBERS, SERVICES};

const PREFIX_SIGNS: std::ops::RangeInclusive<usize> = 9..=12;
const COUNTRIES: [&str; 5] = ["1", "44", "49", "81", "351"];

/// Everything that is drawn.
pub(crate) struct World {
    /// Ascending, with the number of its service.
    prefixes: Vec<(TelephoneNumber, u64)>,
    pub(crate) numbers: Vec<Asked>,
}

/// A number and the service that it has.
pub(crate) struct Asked {
    pub(crate) number: TelephoneNumber,
    pub(crate) signs: String,
    pub(crate) service: Option<u64>,
}

impl World {
    /// Some `count` prefixes of 9 to 12 digits below a few country codes, and numbers of 12 to 14 digits, nine in ten
    /// of which begin with one of them.
    pub(crate) fn draw(count: usize) -> Self {
        let mut draw = Draw(0x9e37_79b9_7f4a_7c15);
        // Some are drawn twice, so more are drawn and the surplus is left out.
        let mut prefixes: Vec<_> = (0..count + count / 4).map(|_| draw.prefix()).collect();
        prefixes.sort_unstable();
        prefixes.dedup_by_key(|(prefix, _)| *prefix);
        let (all, wanted) = (prefixes.len() as u64, count as u64);
        prefixes.retain(|_| draw.below(all) < wanted);
        let mut world = Self { prefixes, numbers: Vec::new() };
        world.numbers = (0..NUMBERS).map(|_| world.ask(&mut draw)).collect();
        world
    }

    pub(crate) fn prefix_count(&self) -> usize {
        self.prefixes.len()
    }

    /// Compiles the table. Its services are those of `version`.
    pub(crate) fn compile(&self, version: u32) -> Result<Vec<u8>, AnyError> {
        let service = |index| Service { uris: vec![uri(index, version)], ..Service::default() };
        let services: Vec<_> = (0..SERVICES).map(service).collect();
        let mut builder = TableBuilder::new();
        for (prefix, service) in &self.prefixes {
            let selector = Selector::Numbers(NumberSet::Prefix(*prefix));
            builder.add(&selector, Sides::Both, &services[usize::try_from(*service)?])?;
        }
        Ok(builder.finish(u64::from(version))?)
    }

    fn ask(&self, draw: &mut Draw) -> Asked {
        let index = usize::try_from(draw.below(self.prefixes.len() as u64)).expect("an index");
        let begin = if draw.below(10) == 0 { draw.prefix().0 } else { self.prefixes[index].0 };
        let signs = draw.fill(begin.to_string(), 12, 14);
        let of_prefix = |count: usize| {
            let prefix = number(&signs[..count]);
            let found = self.prefixes.binary_search_by_key(&prefix, |(prefix, _)| *prefix);
            found.ok().map(|index| self.prefixes[index].1)
        };
        let service = PREFIX_SIGNS.rev().find_map(of_prefix);
        Asked { number: number(&signs), service, signs }
    }
}

/// How the URI of a service begins in every version.
pub(crate) fn uri_begin(service: u64) -> String {
    format!("https://cps{service}.v")
}

/// The URI of a service.
pub(crate) fn uri(service: u64, version: u32) -> String {
    format!("{}{version}.example.net", uri_begin(service))
}

fn number(signs: &str) -> TelephoneNumber {
    TelephoneNumber::from_signs(signs.as_bytes()).expect("digits")
}

/// Draws as xorshift does: the same in every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn prefix(&mut self) -> (TelephoneNumber, u64) {
        let country = COUNTRIES[usize::try_from(self.below(COUNTRIES.len() as u64)).expect("small")];
        let signs = self.fill(country.to_owned(), *PREFIX_SIGNS.start(), *PREFIX_SIGNS.end());
        (number(&signs), self.below(SERVICES))
    }

    /// Digits behind `signs`, until there are `least` to `most`.
    fn fill(&mut self, mut signs: String, least: usize, most: usize) -> String {
        let count = least + usize::try_from(self.below((most - least + 1) as u64)).expect("small");
        while signs.len() < count {
            signs.push(char::from(b'0' + u8::try_from(self.below(10)).expect("a digit")));
        }
        signs
    }
}
