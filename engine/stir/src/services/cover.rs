//! Cover on the way in (RFC 8816 §7.4): stores at random moments that nobody can tell from those of calls, so that who
//! watches the line to a Call Placement Service does not learn when a call is placed.
//!
//! A cover store takes the way of a real one: the same discovery, the same services in the same order, a copy for each
//! key, sealed by the same code. Only its keys are thrown away at once, so that nobody opens it. Moments are those of a
//! Poisson process: the past tells nothing of the next one. It does not know when real calls are placed.

use std::sync::Arc;

use herald_core::{NumberBlock, Random, TelephoneNumber, Timestamp};

use super::authentication::{AuthenticationService, new_origid};
use super::delivery::{Delivery, DeliveryFault};
use super::io::{Answer, Ask, Machine, Moment, Ticket, Tickets, Turn};
use crate::error::StirError;
use crate::limits::{COVER_PER_HOUR_MAX, COVER_UNDER_WAY_MAX, PLACE_DEADLINE_DEFAULT_MS};
use crate::passport::{Attestation, Claims};

/// How much cover, and under which numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverPlan {
    numbers: Vec<NumberBlock>,
    per_hour: u32,
}

impl CoverPlan {
    /// `per_hour` stores an hour on average, under numbers drawn evenly from `numbers`: such as this service's callers
    /// call.
    ///
    /// `None` if there are no numbers, or the rate is 0 or above [`COVER_PER_HOUR_MAX`].
    pub fn new(numbers: Vec<NumberBlock>, per_hour: u32) -> Option<Self> {
        let good = !numbers.is_empty() && (1..=COVER_PER_HOUR_MAX).contains(&per_hour);
        good.then_some(Self { numbers, per_hour })
    }

    fn draw(&self, random: &dyn Random) -> TelephoneNumber {
        let total: u64 = self.numbers.iter().map(NumberBlock::count).sum();
        let mut index = below(total, random);
        for block in &self.numbers {
            if index < block.count() {
                return block.number_at(index).unwrap_or(block.first());
            }
            index -= block.count();
        }
        self.numbers[0].first()
    }

    /// The time to the next store: exponentially distributed.
    fn draw_interval_ms(&self, random: &dyn Random) -> u64 {
        let mean_ms = 3_600_000.0 / f64::from(self.per_hour);
        // 53 bits are what a double holds; 1 is added so that it is never 0, whose logarithm is none.
        let even = (draw_u64(random) >> 11) as f64 + 1.0;
        let uniform = even / (1u64 << 53) as f64;
        (-uniform.ln() * mean_ms) as u64
    }
}

/// Evenly below `end`: of 64 bits the remainder's bias is less than `end` in 2^64.
fn below(end: u64, random: &dyn Random) -> u64 {
    draw_u64(random) % end.max(1)
}

fn draw_u64(random: &dyn Random) -> u64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// What became of cover stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoverReport {
    /// Stores of which every copy was acknowledged.
    pub stored_count: u64,
    /// Stores that failed, or were given up because too many were under way.
    pub failed_count: u64,
}

/// Stores cover until it is cancelled.
pub struct CoverStorer {
    service: Arc<AuthenticationService>,
    plan: CoverPlan,
    /// Stands for a PASSporT: as long as one that the service signs.
    filler: String,
    tickets: Tickets,
    next_at: Option<Timestamp>,
    under_way: Vec<Store>,
    report: CoverReport,
    outcome: Option<CoverReport>,
    is_done: bool,
}

struct Store {
    delivery: Delivery,
    deadline: Timestamp,
    is_sealed: bool,
}

impl AuthenticationService {
    /// The machine that stores cover beside the calls of this service.
    ///
    /// # Errors
    /// [`StirError`] if the service cannot sign, so that no call could be placed either.
    pub fn cover(self: Arc<Self>, plan: CoverPlan) -> Result<CoverStorer, StirError> {
        let number = plan.numbers[0].first();
        let origid = new_origid(&*self.random);
        let typical = Claims::shaken(number.into(), number.into(), TYPICAL_IAT_S, Attestation::Full, origid);
        let credential = self.credentials.first().ok_or(StirError::SigningKey)?;
        let filler = "0".repeat(credential.sign_unchecked(&typical)?.len());
        Ok(CoverStorer {
            service: self,
            plan,
            filler,
            tickets: Tickets::default(),
            next_at: None,
            under_way: Vec::new(),
            report: CoverReport::default(),
            outcome: None,
            is_done: false,
        })
    }
}

/// Any moment of ten digits, as `iat` has them for the next 250 years.
const TYPICAL_IAT_S: i64 = 1_800_000_000;

impl Machine for CoverStorer {
    type Outcome = CoverReport;

    fn begin(&mut self, now: Moment, _asks: &mut Vec<Ask>) {
        self.schedule(now.steady);
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer, now: Moment, asks: &mut Vec<Ask>) {
        let Some(index) = self.under_way.iter().position(|store| store.delivery.awaits(ticket)) else {
            return;
        };
        let service = self.service.clone();
        let store = &mut self.under_way[index];
        let mut turn = Turn::new(now, &mut self.tickets, asks);
        let result = store.delivery.answer(ticket, answer, &service.discoveries, store.deadline, &mut turn);
        let result = result.and_then(|()| store.advance(&service, &self.filler, &mut turn));
        self.settle(index, result);
    }

    fn wake_at(&self) -> Option<Timestamp> {
        if self.is_done {
            return None;
        }
        let stores = self.under_way.iter();
        let first =
            stores.map(|store| store.delivery.wake_at().unwrap_or(store.deadline).min(store.deadline));
        first.chain(self.next_at).min()
    }

    fn wake(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        if self.is_done {
            return;
        }
        for index in (0..self.under_way.len()).rev() {
            let store = &mut self.under_way[index];
            if now.steady >= store.deadline {
                self.under_way.swap_remove(index);
                self.report.failed_count += 1;
                continue;
            }
            let mut turn = Turn::new(now, &mut self.tickets, asks);
            let result = store.delivery.wake(store.deadline, &mut turn);
            let result = result.and_then(|()| store.advance(&self.service, &self.filler, &mut turn));
            self.settle(index, result);
        }
        if self.next_at.is_some_and(|at| now.steady >= at) {
            self.start_one(now, asks);
            self.schedule(now.steady);
        }
    }

    fn cancel(&mut self) {
        if !self.is_done {
            self.is_done = true;
            self.under_way.clear();
            self.outcome = Some(self.report);
        }
    }

    fn outcome(&mut self) -> Option<CoverReport> {
        self.outcome.take()
    }
}

impl CoverStorer {
    fn schedule(&mut self, now: Timestamp) {
        let interval_ms = self.plan.draw_interval_ms(&*self.service.random);
        self.next_at = Some(now.plus_millis(interval_ms));
    }

    fn start_one(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        if self.under_way.len() == COVER_UNDER_WAY_MAX {
            self.report.failed_count += 1;
            return;
        }
        let service = self.service.clone();
        let number = self.plan.draw(&*service.random);
        let deadline = now.steady.plus_millis(PLACE_DEADLINE_DEFAULT_MS);
        let mut store = Store { delivery: Delivery::to([number]), deadline, is_sealed: false };
        let result = store.advance(&service, &self.filler, &mut Turn::new(now, &mut self.tickets, asks));
        self.under_way.push(store);
        self.settle(self.under_way.len() - 1, result);
    }

    /// Counts a store that is over and forgets it.
    fn settle(&mut self, index: usize, result: Result<(), DeliveryFault>) {
        match result {
            Ok(()) if !self.under_way[index].delivery.is_complete() => return,
            Ok(()) => self.report.stored_count += 1,
            Err(_) => self.report.failed_count += 1,
        }
        self.under_way.swap_remove(index);
    }
}

impl Store {
    /// As a call: discovers, and when all is found seals and stores.
    fn advance(
        &mut self,
        service: &AuthenticationService,
        filler: &str,
        turn: &mut Turn<'_>,
    ) -> Result<(), DeliveryFault> {
        if self.is_sealed || !self.delivery.discover(&service.discoveries, self.deadline, turn)? {
            return Ok(());
        }
        self.is_sealed = true;
        self.delivery.forget_recipients(&*service.random);
        self.delivery.store(&[filler], &*service.random, self.deadline, turn)
    }
}
