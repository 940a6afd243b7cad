//! Looking up a number as calls do, for an operator who wants to see how its services are found.

use std::sync::Arc;

use herald_core::{TelephoneNumber, Timestamp};

use super::discovery::Side;
use super::finding::{Finding, FindingFault, SourceReport};
use super::io::{Answer, Ask, CpsUri, IoFault, Machine, Moment, Ticket, Tickets, Turn};
use super::sources::{CpsPolicy, CpsSources};
use crate::limits::DISCOVERY_DEADLINE_DEFAULT_MS;

/// Which number is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupRequest {
    /// The called number.
    pub number: TelephoneNumber,
    /// Which side asks.
    pub side: Side,
    /// How long a call would have, in milliseconds: half of it goes on this at most.
    pub deadline_ms: u64,
}

impl LookupRequest {
    /// One with the time that finding services takes by default.
    pub const fn new(number: TelephoneNumber, side: Side) -> Self {
        Self { number, side, deadline_ms: 2 * DISCOVERY_DEADLINE_DEFAULT_MS }
    }

    /// The machine that looks it up in `sources`.
    pub fn machine(self, sources: Arc<CpsSources>) -> LookupCall {
        LookupCall {
            sources,
            request: self,
            tickets: Tickets::default(),
            begun_at: Timestamp::default(),
            finding: Finding::of(self.number, self.side),
            outcome: None,
            is_done: false,
        }
    }
}

/// How a number was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookedUp {
    /// The services that calls would use, the preferred one first.
    pub services: Result<Vec<CpsUri>, FindingFault>,
    /// What each source said, in their order.
    pub reports: Vec<SourceReport>,
    /// Which finding is believed.
    pub policy: CpsPolicy,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Whether it was cancelled before it was over.
    pub is_cancelled: bool,
}

/// One number being looked up.
pub struct LookupCall {
    sources: Arc<CpsSources>,
    request: LookupRequest,
    tickets: Tickets,
    begun_at: Timestamp,
    finding: Finding,
    outcome: Option<LookedUp>,
    is_done: bool,
}

impl Machine for LookupCall {
    type Outcome = LookedUp;

    fn begin(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        self.begun_at = now.steady;
        self.go_on(now, asks);
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer, now: Moment, asks: &mut Vec<Ask>) {
        if !self.is_done && self.finding.awaits(ticket) {
            let turn = &Turn::new(now, &mut self.tickets, asks);
            self.finding.answer(ticket, answer, &self.sources, turn);
            self.go_on(now, asks);
        }
    }

    fn wake_at(&self) -> Option<Timestamp> {
        self.finding.wake_at().filter(|_| !self.is_done)
    }

    fn wake(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        if !self.is_done {
            self.go_on(now, asks);
        }
    }

    fn cancel(&mut self) {
        if !self.is_done {
            self.finish(Err(FindingFault::Discovery(IoFault::Busy)), self.begun_at);
            self.outcome = self.outcome.take().map(|outcome| LookedUp { is_cancelled: true, ..outcome });
        }
    }

    fn outcome(&mut self) -> Option<LookedUp> {
        self.outcome.take()
    }
}

impl LookupCall {
    fn go_on(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        let deadline = self.begun_at.plus_millis(self.request.deadline_ms);
        let turn = &mut Turn::new(now, &mut self.tickets, asks);
        match self.finding.find(&self.sources, deadline, turn) {
            Ok(None) => {}
            Ok(Some(services)) => self.finish(Ok(services), now.steady),
            Err(fault) => self.finish(Err(fault), now.steady),
        }
    }

    fn finish(&mut self, services: Result<Vec<CpsUri>, FindingFault>, now: Timestamp) {
        self.is_done = true;
        let reports = self.finding.reports(&self.sources, now);
        let (policy, took_ms) = (self.sources.policy(), now.millis_since(self.begun_at));
        self.outcome = Some(LookedUp { services, reports, policy, took_ms, is_cancelled: false });
    }
}
