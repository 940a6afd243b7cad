//! A machine and what is to be told when it is done, whatever its outcome's type. A panic in either goes no further.

use core::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use herald_core::Timestamp;
use herald_stir::services::{Answer, Ask, Machine, Moment, Ticket};

use super::Counted;

/// The worker lost a call to a broken invariant: its machine panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLost;

impl fmt::Display for CallLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the call was lost to a broken invariant; report it")
    }
}

impl core::error::Error for CallLost {}

/// What can be done with any call.
pub(super) trait Call: Send {
    /// Does `step` with the machine.
    fn step(&mut self, step: Step, now: Moment, asks: &mut Vec<Ask>) -> Progress;

    /// When the machine wants to be woken.
    fn wake_at(&self) -> Option<Timestamp>;

    /// Tells the completion what the machine came to; if it came to nothing, that it was lost.
    ///
    /// # Errors
    /// If the completion panicked.
    fn tell(self: Box<Self>) -> Result<(), Panicked>;
}

/// The host program's code panicked, and that went no further.
pub(super) struct Panicked;

/// One call of a machine.
pub(super) enum Step {
    Begin,
    Answer(Ticket, Answer),
    Wake,
    Cancel,
}

/// Where a call is after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    UnderWay,
    Done,
    /// The machine panicked.
    Panicked,
}

/// A machine with its completion, which is told exactly once, at the latest when this is dropped.
pub(super) struct Work<M: Machine, F: FnOnce(Result<M::Outcome, CallLost>)> {
    machine: M,
    outcome: Option<M::Outcome>,
    completion: Option<F>,
    counted: Option<Counted>,
}

impl<M: Machine, F: FnOnce(Result<M::Outcome, CallLost>)> Work<M, F> {
    pub(super) fn new(machine: M, completion: F, counted: Counted) -> Self {
        Self { machine, outcome: None, completion: Some(completion), counted: Some(counted) }
    }

    /// Nobody is told of a call that was never taken on.
    pub(super) fn forget(&mut self) {
        self.completion = None;
    }

    fn tell_once(&mut self) -> Result<(), Panicked> {
        let Some(completion) = self.completion.take() else { return Ok(()) };
        let outcome = self.outcome.take().ok_or(CallLost);
        // Before it is told: whoever hears it may submit the next.
        self.counted = None;
        catch_unwind(AssertUnwindSafe(|| completion(outcome))).map_err(|_| Panicked)
    }
}

impl<M, F> Call for Work<M, F>
where
    M: Machine,
    F: FnOnce(Result<M::Outcome, CallLost>) + Send,
{
    fn step(&mut self, step: Step, now: Moment, asks: &mut Vec<Ask>) -> Progress {
        let machine = &mut self.machine;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            match step {
                Step::Begin => machine.begin(now, asks),
                Step::Answer(ticket, answer) => machine.answer(ticket, answer, now, asks),
                Step::Wake => machine.wake(now, asks),
                Step::Cancel => machine.cancel(),
            }
            machine.outcome()
        }));
        match outcome {
            Ok(None) => Progress::UnderWay,
            Ok(outcome) => {
                self.outcome = outcome;
                Progress::Done
            }
            Err(_) => Progress::Panicked,
        }
    }

    fn wake_at(&self) -> Option<Timestamp> {
        self.machine.wake_at()
    }

    fn tell(mut self: Box<Self>) -> Result<(), Panicked> {
        self.tell_once()
    }
}

impl<M: Machine, F: FnOnce(Result<M::Outcome, CallLost>)> Drop for Work<M, F> {
    fn drop(&mut self) {
        // Only a lane that panics drops a call untold.
        let _ = self.tell_once();
    }
}
