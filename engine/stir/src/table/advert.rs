//! Advertisements of RFC 9888 §4 as a source of a table. They are about called numbers, so both sides of a call go by
//! them.

use super::build::{BuildFault, Service, Sides, TableBuilder};
use crate::advert::{Pair, VerifiedAdvert};
use crate::certificate::TnEntry;
use crate::number_map::NumberSet;
use crate::services::Selector;

impl TableBuilder {
    /// Adds the entries of an advertisement that is not signed, with `origin` for people.
    ///
    /// # Errors
    /// [`BuildFault`]; entries before the one at fault were added.
    pub fn add_unsigned_advert(&mut self, pairs: &[Pair], origin: &str) -> Result<(), BuildFault> {
        let said = Service { origin: origin.to_owned(), ..Service::default() };
        self.add_pairs(pairs, &said)
    }

    /// Adds the entries of a verified advertisement, which are proven as long as it holds.
    ///
    /// # Errors
    /// As [`add_unsigned_advert`](Self::add_unsigned_advert).
    pub fn add_advert(&mut self, verified: &VerifiedAdvert, origin: &str) -> Result<(), BuildFault> {
        let said = Service {
            is_proven: true,
            since_s: verified.advert.iat_s,
            until_s: Some(verified.until_s),
            origin: origin.to_owned(),
            ..Service::default()
        };
        self.add_pairs(&verified.advert.pairs, &said)
    }

    /// Adds an entry of a TNAuthList for both sides.
    ///
    /// # Errors
    /// [`BuildFault`], and nothing changes.
    pub fn add_entry(&mut self, entry: &TnEntry, service: &Service) -> Result<(), BuildFault> {
        let selector = match entry {
            TnEntry::Spc(code) => Selector::Code(code.clone()),
            TnEntry::Range(range) => Selector::Numbers(NumberSet::Block(range.block())),
            TnEntry::One(number) => Selector::Numbers(NumberSet::One(*number)),
        };
        self.add(&selector, Sides::Both, service)
    }

    fn add_pairs(&mut self, pairs: &[Pair], said: &Service) -> Result<(), BuildFault> {
        pairs.iter().try_for_each(|(entry, uri)| {
            self.add_entry(entry, &Service { uris: vec![uri.clone()], ..said.clone() })
        })
    }
}
