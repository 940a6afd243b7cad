//! Out of SIP to the called side: one request's PASSporTs, judged, diverted if need be, sealed and stored.

use core::fmt;
use std::sync::Arc;

use herald_core::{TelephoneNumber, Timestamp};

use super::carry::divert;
use super::{GatewayService, GatewayStoreRequest, Judging};
use crate::call::PassportReport;
use crate::context::CallFacts;
use crate::error::{Fault, StirError};
use crate::identity_header::IdentityHeader;
use crate::passport::{Claims, Identity, Passport, PassportType};
use crate::services::delivery::{Delivery, DeliveryFault, PlacedCopy};
use crate::services::io::{Answer, Ask, Machine, Moment, Ticket, Tickets, Turn};
use crate::services::verification::CheckCall;

/// A request whose PASSporTs wait for the called side: now the call may leave SIP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayPlaced {
    /// The copies, one for each PASSporT and key, every one acknowledged by its service.
    pub copies: Vec<PlacedCopy>,
    /// PASSporTs that were placed, each in one copy for each key.
    pub placed_count: usize,
    /// PASSporTs that were there already.
    pub present_count: usize,
    /// PASSporTs that do not hold, or are of another call, and were left out.
    pub left_out_count: usize,
}

/// Why a request's PASSporTs were not placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayFailure {
    /// Why.
    pub cause: GatewayFault,
    /// The copies that were stored before; they stay until they expire.
    pub stored: Vec<PlacedCopy>,
    /// How many there should be; 0 if it did not come to that.
    pub copies_count: usize,
}

/// The step that failed, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayFault {
    /// The called party is no telephone number, so no service is found under it.
    NotANumber,
    /// The PASSporTs do not hold for the call, or there is none.
    Refused(Fault),
    /// No PASSporT names the number the call goes to, and the gateway does not say that it diverts.
    Elsewhere,
    /// No credential may sign a diversion for the number that was called.
    NotAuthoritative(Fault),
    /// The diversion could not be signed.
    Sign(StirError),
    /// The PASSporTs do not reach the called side.
    Delivery(DeliveryFault),
    /// The time was over.
    Deadline,
    /// The host cancelled it.
    Cancelled,
}

impl From<DeliveryFault> for GatewayFault {
    fn from(fault: DeliveryFault) -> Self {
        Self::Delivery(fault)
    }
}

impl From<StirError> for GatewayFault {
    fn from(error: StirError) -> Self {
        match error {
            StirError::NotAuthoritative(fault) => Self::NotAuthoritative(fault),
            error => Self::Sign(error),
        }
    }
}

impl fmt::Display for GatewayFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotANumber => f.write_str("the called party is no telephone number; only those have a service"),
            Self::Refused(fault) => write!(f, "the PASSporTs of the request do not hold: {fault}"),
            Self::Elsewhere => f.write_str(
                "no PASSporT of the request names the number it goes to; if this gateway diverts the call, say so",
            ),
            Self::NotAuthoritative(fault) => {
                write!(f, "no credential may sign for the number that was called: {fault}")
            }
            Self::Sign(error) => error.fmt(f),
            Self::Delivery(fault) => fault.fmt(f),
            Self::Deadline => f.write_str("the time to place the PASSporTs was over"),
            Self::Cancelled => f.write_str("placing the PASSporTs was cancelled"),
        }
    }
}

impl fmt::Display for GatewayFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)?;
        match self.stored.len() {
            0 => Ok(()),
            stored => write!(f, "; {stored} of {} copies were stored", self.copies_count),
        }
    }
}

impl core::error::Error for GatewayFailure {}

/// One call leaving SIP. Its outcome is [`GatewayPlaced`] only after every copy was acknowledged.
pub struct GatewayStore {
    service: Arc<GatewayService>,
    request: GatewayStoreRequest,
    deadline: Timestamp,
    /// The number that the gateway diverts the call from, if it does.
    diverted_from: Option<TelephoneNumber>,
    stage: Stage,
    /// Of the delivery; the check before it has its own.
    tickets: Tickets,
    placed: GatewayPlaced,
    outcome: Option<Result<GatewayPlaced, GatewayFailure>>,
}

enum Stage {
    /// Not begun, or done.
    Idle,
    Checking(Box<CheckCall>),
    Delivering(Delivery, Tokens),
}

/// PASSporTs in full form; empty once they are sealed.
type Tokens = Vec<String>;

impl Machine for GatewayStore {
    type Outcome = Result<GatewayPlaced, GatewayFailure>;

    fn begin(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        self.deadline = now.steady.plus_millis(self.request.deadline_ms);
        let result = self.read(now, asks);
        self.note(result);
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer, now: Moment, asks: &mut Vec<Ask>) {
        let result = match &mut self.stage {
            Stage::Checking(check) => {
                check.answer(ticket, answer, now, asks);
                self.take_verdict(now, asks)
            }
            Stage::Delivering(delivery, _) if delivery.awaits(ticket) => {
                let by = &self.service.authentication.discoveries;
                let mut turn = Turn::new(now, &mut self.tickets, asks);
                let answered = delivery.answer(ticket, answer, by, self.deadline, &mut turn);
                answered.map_err(GatewayFault::from).and_then(|()| self.deliver(now, asks))
            }
            _ => Ok(()),
        };
        self.note(result);
    }

    fn wake_at(&self) -> Option<Timestamp> {
        let next = match &self.stage {
            Stage::Idle => return None,
            Stage::Checking(check) => check.wake_at(),
            Stage::Delivering(delivery, _) => delivery.wake_at(),
        };
        Some(next.map_or(self.deadline, |at| at.min(self.deadline)))
    }

    fn wake(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        let result = match &mut self.stage {
            Stage::Idle => Ok(()),
            _ if now.steady >= self.deadline => Err(GatewayFault::Deadline),
            Stage::Checking(check) => {
                check.wake(now, asks);
                self.take_verdict(now, asks)
            }
            Stage::Delivering(delivery, _) => {
                let mut turn = Turn::new(now, &mut self.tickets, asks);
                let woken = delivery.wake(self.deadline, &mut turn);
                woken.map_err(GatewayFault::from).and_then(|()| self.deliver(now, asks))
            }
        };
        self.note(result);
    }

    fn cancel(&mut self) {
        if !matches!(self.stage, Stage::Idle) {
            self.note(Err(GatewayFault::Cancelled));
        }
    }

    fn outcome(&mut self) -> Option<Self::Outcome> {
        self.outcome.take()
    }
}

impl GatewayStore {
    pub(super) fn new(service: Arc<GatewayService>, request: GatewayStoreRequest) -> Self {
        Self {
            service,
            request,
            deadline: Timestamp::default(),
            diverted_from: None,
            stage: Stage::Idle,
            tickets: Tickets::behind_another(),
            placed: GatewayPlaced::default(),
            outcome: None,
        }
    }

    /// Reads the PASSporTs, and has them checked or goes on with them.
    // rfc8946:4.1-2.
    fn read(&mut self, now: Moment, asks: &mut Vec<Ask>) -> Result<(), GatewayFault> {
        let passports = self.readable()?;
        self.diverted_from = self.diverter(&passports)?;
        if self.service.judging == Judging::CalledSide {
            self.placed.left_out_count = self.request.call.identity_values.len() - passports.len();
            return self.begin_delivery(&passports.iter().collect::<Vec<_>>(), &[], now, asks);
        }
        let call = match self.diverted_from {
            Some(from) => self.call_before_diversion(from),
            None => self.request.call.call.clone(),
        };
        let request = self.request.call.check(call, self.request.deadline_ms);
        let mut check = Box::new(self.service.verification.clone().check(request));
        check.begin(now, asks);
        self.stage = Stage::Checking(check);
        self.take_verdict(now, asks)
    }

    /// The PASSporTs that can be read.
    ///
    /// # Errors
    /// If there is none, why.
    // rfc8816:8.1-9, rfc8946:4.1-1.
    fn readable(&self) -> Result<Vec<Passport>, GatewayFault> {
        let request = &self.request.call;
        let leniency = &self.service.verification.policy.leniency;
        let (mut passports, mut first_fault) = (Vec::new(), None);
        for value in &request.identity_values {
            match IdentityHeader::new(value).passport(&request.call, request.date_s, leniency) {
                Ok(passport) => passports.push(passport),
                Err(fault) => first_fault = first_fault.or(Some(fault)),
            }
        }
        if passports.is_empty() {
            return Err(GatewayFault::Refused(first_fault.unwrap_or(Fault::NoPassport)));
        }
        Ok(passports)
    }

    /// The number that the gateway diverts the call from: one that a PASSporT names as called and that the call was
    /// not diverted from before. `None` if it does not divert, or a PASSporT names the new target already.
    // rfc8946:3-2, rfc8946:3-5.
    fn diverter(&self, passports: &[Passport]) -> Result<Option<TelephoneNumber>, GatewayFault> {
        let Some(to) = self.request.divert_to.map(Identity::Tn) else { return Ok(None) };
        let is_named =
            |party: &Identity| passports.iter().any(|passport| passport.claims().dest.contains(party));
        let was_left = |party: &Identity| {
            passports.iter().any(|passport| passport.claims().kind.diverter() == Some(party))
        };
        if is_named(&to) {
            return Ok(None);
        }
        let call = &self.request.call.call;
        let others = passports.iter().flat_map(|passport| &passport.claims().dest);
        let mut candidates = [&call.dest, call.called_first()].into_iter().chain(others);
        let from = candidates.find(|party| is_named(party) && !was_left(party) && party.number().is_some());
        from.and_then(Identity::number).map(Some).ok_or(GatewayFault::Elsewhere)
    }

    fn call_before_diversion(&self, from: TelephoneNumber) -> CallFacts {
        let call = &self.request.call.call;
        let first = call.called_first();
        CallFacts {
            to: Some(first.clone()).filter(|first| *first != Identity::Tn(from)),
            ..CallFacts::new(call.orig.clone(), from.into())
        }
    }

    /// Goes on once the check has come to an end.
    fn take_verdict(&mut self, now: Moment, asks: &mut Vec<Ask>) -> Result<(), GatewayFault> {
        let Stage::Checking(check) = &mut self.stage else { return Ok(()) };
        let Some(checked) = check.outcome() else { return Ok(()) };
        let in_band_count = self.request.call.identity_values.len().min(checked.verdict.reports().len());
        let (in_band, found) = checked.verdict.reports().split_at(in_band_count);
        let good: Vec<&Passport> = in_band
            .iter()
            .filter(|report| report.outcome().is_ok())
            .filter_map(PassportReport::passport)
            .collect();
        let fault = checked
            .verdict
            .outcome()
            .err()
            .or_else(|| in_band.iter().find_map(|report| report.outcome().err()));
        match fault {
            Some(fault) if good.is_empty() || checked.verdict.outcome().is_err() => {
                return Err(GatewayFault::Refused(fault.clone()));
            }
            _ => {}
        }
        self.placed.left_out_count = self.request.call.identity_values.len() - good.len();
        let present: Vec<&Passport> = found.iter().filter_map(PassportReport::passport).collect();
        self.begin_delivery(&good, &present, now, asks)
    }

    /// Takes `passports` to the number the call goes to, but for those `present` there.
    fn begin_delivery(
        &mut self,
        passports: &[&Passport],
        present: &[&Passport],
        now: Moment,
        asks: &mut Vec<Ask>,
    ) -> Result<(), GatewayFault> {
        let target = match self.request.divert_to {
            Some(target) => target,
            None => self.request.call.call.dest.number().ok_or(GatewayFault::NotANumber)?,
        };
        let tokens = match self.diverted_from {
            Some(from) => self.diverted(passports, from, target, now)?,
            None => self.undiverted(passports, present, target)?,
        };
        self.placed.placed_count = tokens.len();
        if tokens.is_empty() {
            let placed = core::mem::take(&mut self.placed);
            self.finish(Ok(placed));
            return Ok(());
        }
        self.stage = Stage::Delivering(Delivery::to([target]), tokens);
        self.deliver(now, asks)
    }

    // rfc8946:3-6, rfc8946:4.1-4.
    fn diverted(
        &self,
        passports: &[&Passport],
        from: TelephoneNumber,
        to: TelephoneNumber,
        now: Moment,
    ) -> Result<Tokens, GatewayFault> {
        let sign = |claims: &Claims| self.service.authentication.sign(claims, now.wall);
        Ok(divert(passports, from, to, &sign)?)
    }

    /// The PASSporTs that lead to `target` as they are, and are not there yet.
    fn undiverted(
        &mut self,
        passports: &[&Passport],
        present: &[&Passport],
        target: TelephoneNumber,
    ) -> Result<Tokens, GatewayFault> {
        let target = Identity::Tn(target);
        let names_it = |passport: &&&Passport| passport.claims().dest.contains(&target);
        if !passports.iter().any(|passport| names_it(&passport)) {
            return Err(GatewayFault::Elsewhere);
        }
        let is_diverted =
            passports.iter().any(|passport| matches!(passport.claims().kind, PassportType::Div { .. }));
        let leading = passports.iter().filter(|passport| is_diverted || names_it(passport));
        let says_the_same = |one: &Passport, other: &Passport| one.signing_input() == other.signing_input();
        let (there, missing): (Vec<&Passport>, Vec<&Passport>) =
            leading.copied().partition(|passport| present.iter().any(|other| says_the_same(passport, other)));
        self.placed.left_out_count += passports.len() - there.len() - missing.len();
        self.placed.present_count = there.len();
        Ok(missing.into_iter().map(Passport::to_token).collect())
    }

    /// Finds service and keys, seals and stores once they are found, and ends once all is stored.
    // rfc8816:8.3-1.
    fn deliver(&mut self, now: Moment, asks: &mut Vec<Ask>) -> Result<(), GatewayFault> {
        let Stage::Delivering(delivery, tokens) = &mut self.stage else { return Ok(()) };
        let authentication = &self.service.authentication;
        let mut turn = Turn::new(now, &mut self.tickets, asks);
        if !tokens.is_empty() {
            if delivery.discover(&authentication.discoveries, self.deadline, &mut turn)? {
                let tokens = core::mem::take(tokens);
                let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
                delivery.store(&tokens, &*authentication.random, self.deadline, &mut turn)?;
            }
        } else if delivery.is_complete() {
            let copies = core::mem::take(delivery).into_stored();
            let placed = core::mem::take(&mut self.placed);
            self.finish(Ok(GatewayPlaced { copies, ..placed }));
        }
        Ok(())
    }

    fn note(&mut self, result: Result<(), GatewayFault>) {
        let Err(cause) = result else { return };
        let delivery = match &mut self.stage {
            Stage::Delivering(delivery, _) => core::mem::take(delivery),
            _ => Delivery::default(),
        };
        let copies_count = delivery.copies_count();
        self.finish(Err(GatewayFailure { cause, stored: delivery.into_stored(), copies_count }));
    }

    fn finish(&mut self, outcome: Result<GatewayPlaced, GatewayFailure>) {
        self.stage = Stage::Idle;
        self.outcome = Some(outcome);
    }
}
