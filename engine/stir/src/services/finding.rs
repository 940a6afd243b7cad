//! Finding the services of one number (RFC 8816 §10): its sources are asked in order or at once, as the policy wants, and
//! one that is slow or down is passed over in time.
//!
//! It is a part of a machine: who uses it passes asks and answers through. It does not know what a source is.

use core::fmt;

use herald_core::{TelephoneNumber, Timestamp};

use super::delivery::another_kind;
use super::discovery::{Lookup, Side};
use super::io::{Answer, Asked, CpsUri, Discovered, IoFault, Ticket, Turn};
use super::sources::{CpsPolicy, CpsSource, CpsSources};
use crate::limits::{CPS_URIS_MAX, DISCOVERY_FETCHES_MAX};

/// Why there is no service that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FindingFault {
    /// No source knows one.
    NoService,
    /// The policy believes none of those that were found.
    Undecided(Undecided),
    /// No source knows one, and not all could be asked; what the last one said that could not.
    Discovery(IoFault),
}

/// Why no finding is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// Services were found, but are not proven, and a source that may know better gave no answer.
    Unproven,
    /// Sources name services that have none in common.
    Disagreement,
}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unproven => {
                "the services that were found are not proven, and a source that may know better gave no answer"
            }
            Self::Disagreement => "the sources name different services",
        })
    }
}

impl fmt::Display for FindingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoService => f.write_str("no source knows a Call Placement Service of the number"),
            Self::Undecided(why) => why.fmt(f),
            Self::Discovery(fault) => write!(f, "the number could not be looked up: {fault}"),
        }
    }
}

impl core::error::Error for FindingFault {}

/// What one source came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It was not needed, or there was no time left for it.
    NotAsked,
    /// It knows these services, or with none in it, that it knows of none.
    Answered(Discovered),
    /// It could not say.
    Failed(IoFault),
    /// It had not answered when the matter was decided.
    Waiting,
}

/// How it went with one source, for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceReport {
    /// Its name.
    pub source: String,
    /// What it said.
    pub said: Said,
    /// When it was asked, in milliseconds from the begin; 0 if it was not.
    pub asked_after_ms: u64,
    /// How long it took, or was waited for, in milliseconds.
    pub took_ms: u64,
}

/// What is under way for one number.
#[derive(Debug)]
pub struct Finding {
    number: TelephoneNumber,
    side: Side,
    /// When it began and until when it may take, once it has begun.
    span: Option<(Timestamp, Timestamp)>,
    slots: Vec<Slot>,
    wake_at: Option<Timestamp>,
}

/// One source's part.
#[derive(Debug)]
struct Slot {
    state: State,
    asked_at: Timestamp,
    answered_at: Timestamp,
    /// From here on the next source is asked as well.
    give_up_at: Timestamp,
    fetches_count: usize,
}

#[derive(Debug)]
enum State {
    /// To be asked when it is its turn.
    Idle,
    Open {
        ticket: Ticket,
        /// Of the document that is fetched for it.
        url: Option<String>,
    },
    /// A document has come: it is asked again.
    Again,
    Answered(Discovered),
    Failed(IoFault),
}

/// What is to be done next.
enum Next {
    Ask(usize),
    WaitUntil(Timestamp),
    Done(Result<Vec<CpsUri>, FindingFault>),
}

impl Finding {
    /// The services of `number`.
    pub const fn of(number: TelephoneNumber, side: Side) -> Self {
        Self { number, side, span: None, slots: Vec::new(), wake_at: None }
    }

    /// Goes as far as it goes: asks sources, or decides. `None` while it waits; then again after an answer and at
    /// [`wake_at`](Self::wake_at). It takes no longer than half of what is left until `deadline` when it begins.
    ///
    /// # Errors
    /// [`FindingFault`].
    pub fn find(
        &mut self,
        by: &CpsSources,
        deadline: Timestamp,
        turn: &mut Turn<'_>,
    ) -> Result<Option<Vec<CpsUri>>, FindingFault> {
        let now = turn.now.steady;
        let (_, until) = *self.span.get_or_insert_with(|| {
            // Without any time at all what is known here would not be looked at.
            let allowed_ms = by.deadline_ms().min(deadline.millis_since(now) / 2).max(1);
            (now, now.plus_millis(allowed_ms))
        });
        self.slots.resize_with(by.sources().len(), Slot::new);
        loop {
            if now >= until {
                self.slots.iter_mut().for_each(|slot| slot.time_out(until));
            }
            match self.next(by.policy(), now, until) {
                Next::Ask(index) => self.ask(index, by, until, turn),
                Next::WaitUntil(at) => {
                    self.wake_at = Some(at);
                    return Ok(None);
                }
                Next::Done(result) => {
                    self.wake_at = None;
                    return result.map(Some);
                }
            }
        }
    }

    /// Whether it waits for the answer to `ticket`.
    pub fn awaits(&self, ticket: Ticket) -> bool {
        self.slots.iter().any(|slot| slot.awaits(ticket))
    }

    /// Takes an answer it [awaits](Self::awaits); then [`find`](Self::find) again.
    pub fn answer(&mut self, ticket: Ticket, answer: Answer, by: &CpsSources, turn: &Turn<'_>) {
        let Some(index) = self.slots.iter().position(|slot| slot.awaits(ticket)) else { return };
        let slot = &mut self.slots[index];
        let State::Open { url, .. } = core::mem::replace(&mut slot.state, State::Again) else { return };
        slot.answered_at = turn.now.steady;
        slot.state = match (answer, url, &by.sources()[index].here) {
            (Answer::Fetched { body, fresh_s }, Some(url), Some(here)) => {
                here.learn(&url, &body, fresh_s, turn.now.wall);
                State::Again
            }
            (Answer::Discovered(mut found), None, _) => {
                found.services.truncate(CPS_URIS_MAX);
                State::Answered(found)
            }
            (Answer::Failed(fault), ..) => State::Failed(fault),
            _ => State::Failed(another_kind()),
        };
    }

    /// When it wants to go on though no answer has come.
    pub const fn wake_at(&self) -> Option<Timestamp> {
        self.wake_at
    }

    /// How it went with each source, at `now` on the steady clock.
    pub fn reports(&self, by: &CpsSources, now: Timestamp) -> Vec<SourceReport> {
        let begun_at = self.span.map_or(now, |(begun_at, _)| begun_at);
        let slots = by.sources().iter().zip(&self.slots);
        slots.map(|(source, slot)| slot.report(source, begun_at, now)).collect()
    }

    /// What is to be done next. Before the time is over: sources in order, each waited for as long as its share, or all
    /// at once from the first that the policy does not believe alone. One that was passed over may still answer.
    fn next(&self, policy: CpsPolicy, now: Timestamp, until: Timestamp) -> Next {
        let is_over = now >= until;
        let mut are_all_asked = policy == CpsPolicy::Agree;
        let mut is_waiting = false;
        for (index, slot) in self.slots.iter().enumerate() {
            match &slot.state {
                State::Again => return Next::Ask(index),
                State::Idle if !is_over => return Next::Ask(index),
                State::Open { .. } if !are_all_asked && now < slot.give_up_at => {
                    return Next::WaitUntil(slot.give_up_at);
                }
                State::Open { .. } => is_waiting = true,
                State::Answered(found) if !found.services.is_empty() => {
                    if policy == CpsPolicy::First || (policy == CpsPolicy::Proven && found.is_proven) {
                        return Next::Done(Ok(found.services.clone()));
                    }
                    are_all_asked = true;
                }
                State::Idle | State::Answered(_) | State::Failed(_) => {}
            }
        }
        if is_waiting { Next::WaitUntil(until) } else { Next::Done(self.decide(policy)) }
    }

    /// What to make of it when all have said what they will.
    fn decide(&self, policy: CpsPolicy) -> Result<Vec<CpsUri>, FindingFault> {
        let mut found = self.slots.iter().filter_map(Slot::found);
        let Some(first) = found.next() else { return Err(self.nothing()) };
        let services = match policy {
            CpsPolicy::First => first.to_vec(),
            CpsPolicy::Proven if self.slots.iter().all(Slot::has_answered) => first.to_vec(),
            CpsPolicy::Proven => return Err(FindingFault::Undecided(Undecided::Unproven)),
            CpsPolicy::Agree => found.fold(first.to_vec(), in_common),
        };
        if services.is_empty() {
            return Err(FindingFault::Undecided(Undecided::Disagreement));
        }
        Ok(services)
    }

    fn nothing(&self) -> FindingFault {
        let mut faults = self.slots.iter().rev().filter_map(|slot| match &slot.state {
            State::Failed(fault) => Some(fault.clone()),
            _ => None,
        });
        faults.next().map_or(FindingFault::NoService, FindingFault::Discovery)
    }

    fn ask(&mut self, index: usize, by: &CpsSources, until: Timestamp, turn: &mut Turn<'_>) {
        let idle_count = self.slots.iter().filter(|slot| matches!(slot.state, State::Idle)).count();
        let (slot, source, now) = (&mut self.slots[index], &by.sources()[index], turn.now);
        if matches!(slot.state, State::Idle) {
            let share_ms = until.millis_since(now.steady) / idle_count.max(1) as u64;
            (slot.asked_at, slot.give_up_at) = (now.steady, now.steady.plus_millis(share_ms));
        }
        let Some(here) = &source.here else {
            let (source, number, side) = (source.name.clone(), self.number, self.side);
            let ticket = turn.ask(Asked::Discover { source, number, side, until });
            slot.state = State::Open { ticket, url: None };
            return;
        };
        slot.answered_at = now.steady;
        slot.state = match here.cps_for(self.number, self.side, now.wall) {
            Lookup::Found(mut services) => {
                services.truncate(CPS_URIS_MAX);
                State::Answered(Discovered { services, is_proven: true, ..Discovered::default() })
            }
            Lookup::NotFound => State::Answered(Discovered::default()),
            Lookup::Fetch { .. } if slot.fetches_count == DISCOVERY_FETCHES_MAX => {
                State::Failed(IoFault::Malformed("what was fetched does not help".into()))
            }
            Lookup::Fetch { url, kind } => {
                slot.fetches_count += 1;
                let ticket = turn.ask(Asked::Get { url: url.clone(), kind });
                State::Open { ticket, url: Some(url) }
            }
        };
    }
}

impl Slot {
    const fn new() -> Self {
        let never = Timestamp::from_millis(0);
        Self { state: State::Idle, asked_at: never, answered_at: never, give_up_at: never, fetches_count: 0 }
    }

    fn awaits(&self, awaited: Ticket) -> bool {
        matches!(self.state, State::Open { ticket, .. } if ticket == awaited)
    }

    fn time_out(&mut self, at: Timestamp) {
        if matches!(self.state, State::Open { .. } | State::Again) {
            self.answered_at = at;
            self.state = State::Failed(IoFault::TimedOut);
        }
    }

    fn found(&self) -> Option<&[CpsUri]> {
        match &self.state {
            State::Answered(found) if !found.services.is_empty() => Some(&found.services),
            _ => None,
        }
    }

    const fn has_answered(&self) -> bool {
        matches!(self.state, State::Answered(_))
    }

    fn report(&self, source: &CpsSource, begun_at: Timestamp, now: Timestamp) -> SourceReport {
        let said = match &self.state {
            State::Idle => Said::NotAsked,
            State::Open { .. } | State::Again => Said::Waiting,
            State::Answered(found) => Said::Answered(found.clone()),
            State::Failed(fault) => Said::Failed(fault.clone()),
        };
        let over_at = if said == Said::Waiting { now } else { self.answered_at };
        SourceReport {
            source: source.name().to_owned(),
            said,
            asked_after_ms: self.asked_at.millis_since(begun_at),
            took_ms: over_at.millis_since(self.asked_at),
        }
    }
}

/// Those of `services` that `others` name too.
fn in_common(services: Vec<CpsUri>, others: &[CpsUri]) -> Vec<CpsUri> {
    services.into_iter().filter(|service| others.iter().any(|other| other.is_same(service))).collect()
}
