//! From the called side into SIP: one call's PASSporTs as Identity header field values.

use std::sync::Arc;

use herald_core::Timestamp;

use super::GatewayFetchRequest;
use super::carry::header_values;
use crate::passport::Passport;
use crate::services::io::{Answer, Ask, Machine, Moment, Ticket};
use crate::services::verification::{CheckCall, Checked, VerificationService};

/// What a request gets.
#[derive(Clone, Debug)]
pub struct FetchedValues {
    /// Identity header field values to be inserted behind those that are there, in this order, one field each. None
    /// if nothing holds for the call.
    pub identity_values: Vec<String>,
    /// PASSporTs that hold and that no header field can carry: their certificate is within (`x5c`).
    pub left_out_count: usize,
    /// What was found, of the request's own PASSporTs first.
    pub checked: Checked,
}

/// One call coming into SIP.
pub struct GatewayFetch {
    check: CheckCall,
    in_band_count: usize,
}

impl GatewayFetch {
    pub(super) fn new(verification: Arc<VerificationService>, request: GatewayFetchRequest) -> Self {
        let in_band_count = request.call.identity_values.len();
        let check = request.call.check(request.call.call.clone(), request.deadline_ms);
        Self { check: verification.check(check), in_band_count }
    }

    fn values(&self, checked: Checked) -> FetchedValues {
        let (mut found, mut present): (Vec<&Passport>, Vec<&Passport>) = (Vec::new(), Vec::new());
        let is_accepted = checked.verdict.outcome().is_ok();
        for (index, report) in checked.verdict.reports().iter().enumerate() {
            match report.passport() {
                Some(passport) if index < self.in_band_count => present.push(passport),
                Some(passport) if is_accepted && report.outcome().is_ok() => found.push(passport),
                _ => {}
            }
        }
        let (identity_values, left_out_count) = header_values(&found, &present);
        FetchedValues { identity_values, left_out_count, checked }
    }
}

impl Machine for GatewayFetch {
    type Outcome = FetchedValues;

    fn begin(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        self.check.begin(now, asks);
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer, now: Moment, asks: &mut Vec<Ask>) {
        self.check.answer(ticket, answer, now, asks);
    }

    fn wake_at(&self) -> Option<Timestamp> {
        self.check.wake_at()
    }

    fn wake(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        self.check.wake(now, asks);
    }

    fn cancel(&mut self) {
        self.check.cancel();
    }

    fn outcome(&mut self) -> Option<FetchedValues> {
        self.check.outcome().map(|checked| self.values(checked))
    }
}
