//! Bringing PASSporTs to the called side: services and keys are found for each destination (RFC 8816 §8.1 step 3), a
//! copy is sealed for each key, and each copy is stored, at the next service if one does not take it.
//!
//! It is a part of a machine: who uses it passes asks and answers through. It does not know what the PASSporTs say.

use core::fmt;
use std::sync::Arc;

use herald_core::{Random, TelephoneNumber, Timestamp};

use super::discovery::{CpsDiscovery, KeyDiscovery, Lookup, Side};
use super::finding::{Finding, FindingFault, Undecided};
use super::io::{Answer, Asked, CpsUri, IoFault, Ticket, Turn};
use super::sources::CpsSources;
use crate::error::StirError;
use crate::limits::DISCOVERY_FETCHES_MAX;
use crate::seal::{SealingKey, SealingPublicKey, seal_for};

/// Who finds services and keys.
#[derive(Clone)]
pub struct Discoveries {
    /// Finds the services of numbers.
    pub cps: Arc<CpsSources>,
    /// Finds the keys of called numbers.
    pub keys: Arc<dyn KeyDiscovery>,
}

impl Discoveries {
    /// Both by one, as a [`Directory`](super::Directory) is.
    pub fn by(both: Arc<impl CpsDiscovery + KeyDiscovery + 'static>) -> Self {
        Self { cps: Arc::new(CpsSources::only(both.clone())), keys: both }
    }
}

/// One sealed copy that a service acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedCopy {
    /// The service.
    pub cps: CpsUri,
    /// Where the copy is there.
    pub location: String,
    /// Its length in bytes.
    pub sealed_bytes: usize,
}

/// Why PASSporTs do not reach the called side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryFault {
    /// No service is known for a destination.
    NoService,
    /// No key is known for a destination.
    NoKeys,
    /// Services were found for a destination, and none is believed.
    Undecided(Undecided),
    /// A source could not be asked, or what discovery needs could not be fetched, or did not help.
    Discovery(IoFault),
    /// A PASSporT could not be sealed: it is too long, or the keys are too many or of several suites.
    Seal(StirError),
    /// No service of a destination took a copy; what the last one said.
    Store(IoFault),
}

impl From<FindingFault> for DeliveryFault {
    fn from(fault: FindingFault) -> Self {
        match fault {
            FindingFault::NoService => Self::NoService,
            FindingFault::Undecided(why) => Self::Undecided(why),
            FindingFault::Discovery(fault) => Self::Discovery(fault),
        }
    }
}

impl fmt::Display for DeliveryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoService => f.write_str("no Call Placement Service is known for the called number"),
            Self::Undecided(why) => {
                write!(f, "no Call Placement Service of the called number is used: {why}")
            }
            Self::NoKeys => f.write_str("no sealing key is known for the called number"),
            Self::Discovery(fault) => write!(f, "the called number could not be looked up: {fault}"),
            Self::Seal(error) => error.fmt(f),
            Self::Store(fault) => write!(f, "no service of the called number took a copy: {fault}"),
        }
    }
}

impl core::error::Error for DeliveryFault {}

/// What is under way for some destinations. First [`discover`](Self::discover) until all are found, then
/// [`store`](Self::store), answers in between.
#[derive(Default)]
pub struct Delivery {
    legs: Vec<Leg>,
}

/// What is done for one destination.
struct Leg {
    number: TelephoneNumber,
    finding: Finding,
    services: Vec<CpsUri>,
    keys: Vec<SealingPublicKey>,
    /// What the discovery of keys waits for.
    fetch: Option<Fetch>,
    fetches_count: usize,
    copies: Vec<Copy>,
}

struct Fetch {
    ticket: Ticket,
    url: String,
}

/// One sealed copy on its way.
struct Copy {
    body: Vec<u8>,
    /// The service it was last sent to.
    service_index: usize,
    ticket: Ticket,
    give_up_at: Timestamp,
    stored: Option<PlacedCopy>,
}

impl Delivery {
    /// A delivery to `numbers`, each once.
    pub fn to(numbers: impl IntoIterator<Item = TelephoneNumber>) -> Self {
        let mut numbers: Vec<_> = numbers.into_iter().collect();
        numbers.sort_unstable();
        numbers.dedup();
        Self { legs: numbers.into_iter().map(Leg::new).collect() }
    }

    /// Finds services and keys as far as it goes, and asks for what is needed first, for a call that must be done by
    /// `deadline`. Returns whether everything is found; if not, again after an answer and at
    /// [`wake_at`](Self::wake_at).
    ///
    /// # Errors
    /// [`DeliveryFault`].
    pub fn discover(
        &mut self,
        by: &Discoveries,
        deadline: Timestamp,
        turn: &mut Turn<'_>,
    ) -> Result<bool, DeliveryFault> {
        for leg in &mut self.legs {
            leg.discover(by, deadline, turn)?;
        }
        Ok(self.legs.iter().all(Leg::is_found))
    }

    /// Puts a new key in the place of each that was found, of the same suite, whose private part nobody has: what is
    /// sealed then is cover.
    pub(super) fn forget_recipients(&mut self, random: &dyn Random) {
        for key in self.legs.iter_mut().flat_map(|leg| &mut leg.keys) {
            *key = SealingKey::generate(key.suite(), random).public_key();
        }
    }

    /// Seals each of `passports` for each key of each destination and sends the copies to the preferred services. What
    /// is not acknowledged by `deadline` is the user's to give up.
    ///
    /// # Errors
    /// [`DeliveryFault::Seal`].
    // rfc8816:8.1-7.
    pub fn store(
        &mut self,
        passports: &[&str],
        random: &dyn Random,
        deadline: Timestamp,
        turn: &mut Turn<'_>,
    ) -> Result<(), DeliveryFault> {
        for leg in &mut self.legs {
            let give_up_at = patience(turn.now.steady, deadline, leg.services.len());
            for passport in passports {
                let bodies =
                    seal_for(passport, leg.number, &leg.keys, random).map_err(DeliveryFault::Seal)?;
                for body in bodies {
                    let cps = leg.services[0].clone();
                    let ticket = turn.ask(Asked::Store { cps, number: leg.number, body: body.clone() });
                    leg.copies.push(Copy { body, service_index: 0, ticket, give_up_at, stored: None });
                }
            }
        }
        Ok(())
    }

    /// Whether it waits for the answer to `ticket`.
    pub fn awaits(&self, ticket: Ticket) -> bool {
        self.leg_that_finds(ticket).is_some() || self.copy_of(ticket).is_some()
    }

    /// Takes an answer it [awaits](Self::awaits); until all is found, [`discover`](Self::discover) again.
    ///
    /// # Errors
    /// [`DeliveryFault`].
    pub fn answer(
        &mut self,
        ticket: Ticket,
        answer: Answer,
        by: &Discoveries,
        deadline: Timestamp,
        turn: &mut Turn<'_>,
    ) -> Result<(), DeliveryFault> {
        if let Some(leg_index) = self.leg_that_finds(ticket) {
            return self.legs[leg_index].learn(ticket, answer, by, turn);
        }
        let Some((leg_index, copy_index)) = self.copy_of(ticket) else { return Ok(()) };
        let leg = &mut self.legs[leg_index];
        match answer {
            Answer::Stored { location } => {
                leg.acknowledge(copy_index, location);
                Ok(())
            }
            Answer::Failed(fault) => leg.try_next(copy_index, fault, deadline, turn),
            _ => leg.try_next(copy_index, another_kind(), deadline, turn),
        }
    }

    /// When a source or a service will have had its time.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let slow_sources = self.legs.iter().filter_map(|leg| leg.finding.wake_at());
        self.pending().map(|copy| copy.give_up_at).chain(slow_sources).min()
    }

    /// Sends the copies of services that had their time to the next ones. Until all is found,
    /// [`discover`](Self::discover) instead.
    ///
    /// # Errors
    /// [`DeliveryFault::Store`].
    pub fn wake(&mut self, deadline: Timestamp, turn: &mut Turn<'_>) -> Result<(), DeliveryFault> {
        for leg in &mut self.legs {
            for copy_index in 0..leg.copies.len() {
                let copy = &leg.copies[copy_index];
                if copy.stored.is_none() && turn.now.steady >= copy.give_up_at {
                    leg.try_next(copy_index, IoFault::TimedOut, deadline, turn)?;
                }
            }
        }
        Ok(())
    }

    /// How many copies there are to be stored, and whether all of them are.
    pub fn copies_count(&self) -> usize {
        self.legs.iter().map(|leg| leg.copies.len()).sum()
    }

    /// Whether copies were sent and every one was acknowledged.
    pub fn is_complete(&self) -> bool {
        self.copies_count() > 0 && self.pending().next().is_none()
    }

    /// The copies that were acknowledged.
    pub fn into_stored(self) -> Vec<PlacedCopy> {
        self.legs.into_iter().flat_map(|leg| leg.copies).filter_map(|copy| copy.stored).collect()
    }

    fn pending(&self) -> impl Iterator<Item = &Copy> {
        self.legs.iter().flat_map(|leg| &leg.copies).filter(|copy| copy.stored.is_none())
    }

    fn leg_that_finds(&self, ticket: Ticket) -> Option<usize> {
        let fetches = |leg: &Leg| leg.fetch.as_ref().is_some_and(|fetch| fetch.ticket == ticket);
        self.legs.iter().position(|leg| leg.finding.awaits(ticket) || fetches(leg))
    }

    fn copy_of(&self, ticket: Ticket) -> Option<(usize, usize)> {
        self.legs.iter().enumerate().find_map(|(leg_index, leg)| {
            let awaited = |copy: &Copy| copy.ticket == ticket && copy.stored.is_none();
            Some((leg_index, leg.copies.iter().position(awaited)?))
        })
    }
}

impl Leg {
    const fn new(number: TelephoneNumber) -> Self {
        Self {
            number,
            finding: Finding::of(number, Side::Calling),
            services: Vec::new(),
            keys: Vec::new(),
            fetch: None,
            fetches_count: 0,
            copies: Vec::new(),
        }
    }

    const fn is_found(&self) -> bool {
        !self.services.is_empty() && !self.keys.is_empty()
    }

    // rfc8816:8.1-3, rfc8816:8.1-4, rfc8816:8.1-5.
    fn discover(
        &mut self,
        by: &Discoveries,
        deadline: Timestamp,
        turn: &mut Turn<'_>,
    ) -> Result<(), DeliveryFault> {
        if self.services.is_empty() {
            let Some(services) = self.finding.find(&by.cps, deadline, turn)? else { return Ok(()) };
            self.services = services;
        }
        if self.keys.is_empty() && self.fetch.is_none() {
            match by.keys.keys_for(self.number, turn.now.wall) {
                Lookup::Found(keys) if !keys.is_empty() => self.keys = keys,
                Lookup::Found(_) | Lookup::NotFound => return Err(DeliveryFault::NoKeys),
                Lookup::Fetch { .. } if self.fetches_count == DISCOVERY_FETCHES_MAX => {
                    let fault = IoFault::Malformed("what was fetched does not help".into());
                    return Err(DeliveryFault::Discovery(fault));
                }
                Lookup::Fetch { url, kind } => {
                    let ticket = turn.ask(Asked::Get { url: url.clone(), kind });
                    self.fetch = Some(Fetch { ticket, url });
                    self.fetches_count += 1;
                }
            }
        }
        Ok(())
    }

    fn learn(
        &mut self,
        ticket: Ticket,
        answer: Answer,
        by: &Discoveries,
        turn: &Turn<'_>,
    ) -> Result<(), DeliveryFault> {
        if self.finding.awaits(ticket) {
            self.finding.answer(ticket, answer, &by.cps, turn);
            return Ok(());
        }
        let Some(fetch) = self.fetch.take() else { return Ok(()) };
        match answer {
            Answer::Fetched { body, fresh_s } => {
                by.keys.learn(&fetch.url, &body, fresh_s, turn.now.wall);
                Ok(())
            }
            Answer::Failed(fault) => Err(DeliveryFault::Discovery(fault)),
            _ => Err(DeliveryFault::Discovery(another_kind())),
        }
    }

    fn acknowledge(&mut self, copy_index: usize, location: String) {
        let copy = &mut self.copies[copy_index];
        let cps = self.services[copy.service_index].clone();
        copy.stored = Some(PlacedCopy { cps, location, sealed_bytes: copy.body.len() });
    }

    /// Sends a copy to the next service; `fault` is what the last one said.
    fn try_next(
        &mut self,
        copy_index: usize,
        fault: IoFault,
        deadline: Timestamp,
        turn: &mut Turn<'_>,
    ) -> Result<(), DeliveryFault> {
        let copy = &mut self.copies[copy_index];
        let next = copy.service_index + 1;
        let Some(cps) = self.services.get(next).cloned() else { return Err(DeliveryFault::Store(fault)) };
        let what = Asked::Store { cps, number: self.number, body: copy.body.clone() };
        copy.ticket = turn.ask(what);
        copy.service_index = next;
        copy.give_up_at = patience(turn.now.steady, deadline, self.services.len() - next);
        Ok(())
    }
}

/// Until when one of `services_count` services may take its time: each gets an equal share of what is left.
fn patience(now: Timestamp, deadline: Timestamp, services_count: usize) -> Timestamp {
    let share_ms = deadline.millis_since(now) / services_count.max(1) as u64;
    now.plus_millis(share_ms)
}

pub(super) fn another_kind() -> IoFault {
    IoFault::Malformed("it is of another kind than what was asked for".into())
}
