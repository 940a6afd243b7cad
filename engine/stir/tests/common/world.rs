//! A world for machines: services that keep what they are given, documents, a virtual clock, and faults.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::{BTreeMap, BTreeSet};

use herald_core::{TelephoneNumber, Timestamp};
use herald_stir::services::{Answer, Ask, Asked, CpsUri, IoFault, Machine, Moment};

/// How a service behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    Good,
    /// No connection.
    Down,
    /// Answers that long after it was asked, in ms.
    Slow(u64),
    /// Takes this many stores, then refuses.
    TakesOnly(usize),
}

pub(crate) struct World {
    pub(crate) now: Moment,
    manners: BTreeMap<CpsUri, Manners>,
    pub(crate) kept: BTreeMap<(CpsUri, TelephoneNumber), Vec<Vec<u8>>>,
    pub(crate) documents: BTreeMap<String, Vec<u8>>,
    /// Everything that was asked, in order.
    pub(crate) asked: Vec<Asked>,
    late: BTreeSet<(Timestamp, usize)>,
    asks: Vec<Ask>,
}

impl World {
    pub(crate) fn at(wall: Timestamp) -> Self {
        // The clocks differ, so that a mix-up shows.
        let now = Moment { steady: Timestamp::from_millis(1_000_000), wall };
        Self {
            now,
            manners: BTreeMap::new(),
            kept: BTreeMap::new(),
            documents: BTreeMap::new(),
            asked: Vec::new(),
            late: BTreeSet::new(),
            asks: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, cps: &str, manners: Manners) -> Self {
        self.manners.insert(cps.parse().unwrap(), manners);
        self
    }

    pub(crate) fn serve(&mut self, url: &str, body: impl Into<Vec<u8>>) {
        self.documents.insert(url.to_owned(), body.into());
    }

    pub(crate) fn items(&self, cps: &str, number: TelephoneNumber) -> Vec<Vec<u8>> {
        self.kept.get(&(cps.parse().unwrap(), number)).cloned().unwrap_or_default()
    }

    /// Puts an item at a service, past any machine.
    pub(crate) fn keep(&mut self, cps: &str, number: TelephoneNumber, body: Vec<u8>) {
        self.kept.entry((cps.parse().unwrap(), number)).or_default().push(body);
    }

    /// Runs `machine` to its end, or until it neither asks nor wants to be woken.
    pub(crate) fn run<M: Machine>(&mut self, machine: &mut M) -> M::Outcome {
        let mut fresh = Vec::new();
        machine.begin(self.now, &mut fresh);
        for _ in 0..10_000 {
            if let Some(outcome) = machine.outcome() {
                assert_eq!(machine.wake_at(), None, "a machine that is done wants nothing more");
                return outcome;
            }
            self.take_in(&mut fresh);
            match self.next_event(machine.wake_at()) {
                Some(index) => {
                    let ask = self.asks[index].clone();
                    let answer = self.answer(&ask.what);
                    machine.answer(ask.ticket, answer, self.now, &mut fresh);
                }
                None => machine.wake(self.now, &mut fresh),
            }
        }
        panic!("the machine does not end");
    }

    /// Schedules what was asked.
    fn take_in(&mut self, fresh: &mut Vec<Ask>) {
        for ask in fresh.drain(..) {
            self.asked.push(ask.what.clone());
            let delay_ms = match self.manners_of(&ask.what) {
                Manners::Slow(ms) => ms,
                _ => 5,
            };
            self.asks.push(ask);
            self.late.insert((self.now.steady.plus_millis(delay_ms), self.asks.len() - 1));
        }
    }

    /// Lets time pass until the next answer, whose ask it returns, or until the machine is to be woken.
    fn next_event(&mut self, wake_at: Option<Timestamp>) -> Option<usize> {
        let wake_at = wake_at.expect("a machine that is not done wants to be woken some time");
        let next = self.late.first().copied().filter(|(at, _)| *at < wake_at);
        let at = next.map_or(wake_at, |(at, _)| at);
        let passed_ms = at.millis_since(self.now.steady);
        self.now.steady = self.now.steady.plus_millis(passed_ms);
        self.now.wall = self.now.wall.plus_millis(passed_ms);
        next.map(|event| {
            self.late.remove(&event);
            event.1
        })
    }

    fn manners_of(&self, asked: &Asked) -> Manners {
        match asked {
            Asked::Retrieve { cps, .. } | Asked::Store { cps, .. } => {
                self.manners.get(cps).copied().unwrap_or(Manners::Good)
            }
            Asked::Get { url, .. } | Asked::GetAnew { url, .. } => {
                let host: CpsUri = url.split('/').take(3).collect::<Vec<_>>().join("/").parse().unwrap();
                self.manners.get(&host).copied().unwrap_or(Manners::Good)
            }
            Asked::Discover { .. } => Manners::Good,
        }
    }

    pub(crate) fn answer(&mut self, asked: &Asked) -> Answer {
        if self.manners_of(asked) == Manners::Down {
            return Answer::Failed(IoFault::Unreachable("nobody listens".into()));
        }
        match asked {
            Asked::Retrieve { cps, number } => {
                Answer::Items(self.kept.get(&(cps.clone(), *number)).cloned().unwrap_or_default())
            }
            Asked::Store { cps, number, body } => self.store(cps, *number, body),
            Asked::Discover { .. } => Answer::Failed(IoFault::NotAllowed("there is no such source".into())),
            Asked::Get { url, .. } | Asked::GetAnew { url, .. } => match self.documents.get(url) {
                Some(body) => Answer::Fetched { body: body.as_slice().into(), fresh_s: 300 },
                None => Answer::Failed(IoFault::Refused { status: 404, detail: "there is none".into() }),
            },
        }
    }

    fn store(&mut self, cps: &CpsUri, number: TelephoneNumber, body: &[u8]) -> Answer {
        let kept = self.kept.entry((cps.clone(), number)).or_default();
        if matches!(self.manners.get(cps), Some(Manners::TakesOnly(count)) if kept.len() >= *count) {
            return Answer::Failed(IoFault::Refused { status: 503, detail: "full".into() });
        }
        kept.push(body.to_vec());
        Answer::Stored { location: format!("/cps/x/ppts/{}", kept.len()) }
    }
}
