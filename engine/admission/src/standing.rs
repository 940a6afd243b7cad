//! What the tokens of a source were worth lately: two bounded tables, one that only good tokens fill and one for junk, so that
//! sources of junk, however many, push no good one out.

use crate::limits::{
    CREDIT_LIFE_US, CREDIT_MAX, CREDIT_OF_TOKEN, JUNK_LIFE_US, SOURCES_KNOWN, SOURCES_TOGETHER,
};

/// How a source is served, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// It has credit from good tokens.
    Good,
    /// Nothing is known of it.
    New,
    /// Its tokens were junk.
    Junk,
}

impl Lane {
    pub(crate) const COUNT: usize = 3;
}

/// The sources that are known.
#[derive(Debug)]
pub(crate) struct Standings {
    good: Recent,
    junk: Recent,
}

impl Default for Standings {
    fn default() -> Self {
        Self { good: Recent::new(CREDIT_LIFE_US), junk: Recent::new(JUNK_LIFE_US) }
    }
}

impl Standings {
    pub(crate) fn lane(&self, source: u64, now_us: u64) -> Lane {
        if self.good.find(source, now_us).is_some_and(|entry| entry.credit > 0) {
            Lane::Good
        } else if self.junk.find(source, now_us).is_some() {
            Lane::Junk
        } else {
            Lane::New
        }
    }

    /// A token of a source with credit is taken: it costs some until it is found good.
    pub(crate) fn spend(&mut self, source: u64, now_us: u64) {
        if let Some(entry) = self.good.find_mut(source, now_us) {
            entry.credit = entry.credit.saturating_sub(1);
        }
    }

    /// A token of a source was good.
    pub(crate) fn praise(&mut self, source: u64, now_us: u64) {
        let entry = self.good.renew(source, now_us);
        entry.credit = (entry.credit + CREDIT_OF_TOKEN).min(CREDIT_MAX);
    }

    /// A token of a source was junk.
    pub(crate) fn blame(&mut self, source: u64, now_us: u64) {
        self.junk.renew(source, now_us);
    }
}

/// Sources and when they were last heard of. Where many share a set, who was not for longest is forgotten.
#[derive(Debug)]
struct Recent {
    sets: Box<[[Option<Entry>; SOURCES_TOGETHER]]>,
    life_us: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    source: u64,
    heard_us: u64,
    credit: u32,
}

impl Recent {
    fn new(life_us: u64) -> Self {
        Self { sets: vec![[None; SOURCES_TOGETHER]; SOURCES_KNOWN / SOURCES_TOGETHER].into(), life_us }
    }

    fn find(&self, source: u64, now_us: u64) -> Option<&Entry> {
        let entry = self.sets[self.set_of(source)].iter().flatten().find(|entry| entry.source == source);
        entry.filter(|entry| now_us.saturating_sub(entry.heard_us) <= self.life_us)
    }

    fn find_mut(&mut self, source: u64, now_us: u64) -> Option<&mut Entry> {
        let (life_us, index) = (self.life_us, self.set_of(source));
        let entry = self.sets[index].iter_mut().flatten().find(|entry| entry.source == source);
        entry.filter(|entry| now_us.saturating_sub(entry.heard_us) <= life_us)
    }

    /// The entry of a source, heard of now: a new one if there is none that counts.
    fn renew(&mut self, source: u64, now_us: u64) -> &mut Entry {
        let credit = self.find(source, now_us).map_or(0, |entry| entry.credit);
        let index = self.set_of(source);
        let age = |entry: &&mut Option<Entry>| match entry {
            Some(entry) if entry.source == source => None,
            Some(entry) => Some(entry.heard_us + 1),
            None => Some(0),
        };
        let place = self.sets[index].iter_mut().min_by_key(age).expect("a set has places");
        place.insert(Entry { source, heard_us: now_us, credit })
    }

    fn set_of(&self, source: u64) -> usize {
        (source % self.sets.len() as u64) as usize
    }
}
