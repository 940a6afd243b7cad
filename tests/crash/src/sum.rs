//! What many trials of one kind found together.

use core::fmt;
use std::time::Duration;

use crate::error::CrashError;
use crate::promise::{Promise, Tally};
use crate::report::{Part, Totals};

/// What one trial found.
pub(crate) struct Found {
    pub(crate) tally: Tally,
    pub(crate) acknowledged_count: usize,
    /// Stores refused while the disk failed.
    pub(crate) refused_count: usize,
    /// Whether a generation of the journal had ended.
    pub(crate) is_past_turn: bool,
    /// From the start after the end to the service's line.
    pub(crate) opened_in: Duration,
    /// From the end of a fault to an acknowledged store.
    pub(crate) resumed_in: Duration,
}

impl Found {
    /// Nothing yet.
    pub(crate) const fn new(promise: Promise) -> Self {
        Self {
            tally: Tally::new(promise),
            acknowledged_count: 0,
            refused_count: 0,
            is_past_turn: false,
            opened_in: Duration::ZERO,
            resumed_in: Duration::ZERO,
        }
    }
}

/// What they found together.
pub(crate) struct Sum {
    pub(crate) played: u64,
    /// The highest number.
    pub(crate) last: u64,
    pub(crate) tally: Tally,
    acknowledged_count: usize,
    refused_count: usize,
    past_turn: u64,
    failed_opens: u64,
    slowest_open: Duration,
    slowest_resume: Duration,
    pub(crate) faults: Vec<String>,
}

impl Sum {
    /// Of trials, each told apart by a number. One that could not be played to its end is a fault.
    pub(crate) fn of(promise: Promise, trials: Vec<(u64, Result<Found, CrashError>)>) -> Self {
        let mut sum = Self {
            played: 0,
            last: 0,
            tally: Tally::new(promise),
            acknowledged_count: 0,
            refused_count: 0,
            past_turn: 0,
            failed_opens: 0,
            slowest_open: Duration::ZERO,
            slowest_resume: Duration::ZERO,
            faults: Vec::new(),
        };
        for (number, result) in trials {
            sum.played += 1;
            sum.last = sum.last.max(number);
            match result {
                Ok(found) => sum.add(number, found),
                Err(error) => {
                    sum.failed_opens += u64::from(matches!(error, CrashError::Start(_)));
                    sum.faults.push(format!("at {number}: {error}"));
                }
            }
        }
        sum
    }

    /// What it adds to the totals of the run.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            acknowledged: self.acknowledged_count,
            lost: self.tally.broken_count,
            failed_opens: self.failed_opens,
            ..Totals::default()
        }
    }

    /// A part that must have found loss.
    pub(crate) fn control(mut self, what: &str) -> Part {
        let line = format!("control: {what}: {self}");
        if self.tally.lost_count == 0 {
            self.faults.push("nothing is lost: whoever finds no loss here does not look well".into());
        }
        Part::new(line, self.faults).counting(Totals { controls: 1, ..Totals::default() })
    }

    fn add(&mut self, number: u64, mut found: Found) {
        let faults = core::mem::take(&mut found.tally.faults);
        self.faults.extend(faults.into_iter().map(|fault| format!("at {number}: {fault}")));
        self.tally.add(found.tally);
        self.acknowledged_count += found.acknowledged_count;
        self.refused_count += found.refused_count;
        self.past_turn += u64::from(found.is_past_turn);
        self.slowest_open = self.slowest_open.max(found.opened_in);
        self.slowest_resume = self.slowest_resume.max(found.resumed_in);
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} trials, {} acknowledged, {} lost, {} opens failed, slowest open {} ms",
            self.played,
            self.acknowledged_count,
            self.tally.lost_count,
            self.failed_opens,
            self.slowest_open.as_millis()
        )?;
        if self.past_turn > 0 {
            write!(f, ", {} after a generation had ended", self.past_turn)?;
        }
        if self.refused_count > 0 {
            write!(f, ", {} refused with 503", self.refused_count)?;
        }
        if !self.slowest_resume.is_zero() {
            write!(f, ", slowest resume {} ms", self.slowest_resume.as_millis())?;
        }
        Ok(())
    }
}
