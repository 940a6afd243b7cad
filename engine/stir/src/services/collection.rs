//! Fetching what waits for a called number: its services are found (RFC 8816 §8.2 step 1) and all of them are asked
//! at once, since a caller may have used the next one while the first did not answer.
//!
//! It is a part of a machine: who uses it passes asks and answers through. It does not open what it fetched.

use core::fmt;
use std::collections::BTreeSet;

use herald_core::{TelephoneNumber, Timestamp};

use super::delivery::another_kind;
use super::discovery::Side;
use super::finding::{Finding, FindingFault, Undecided};
use super::io::{Answer, Asked, IoFault, Ticket, Turn};
use super::sources::CpsSources;
use crate::limits::COLLECTED_ITEMS_MAX;

/// Why nothing could be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CollectionFault {
    /// No service is known for the number.
    NoService,
    /// Services were found, and none is believed.
    Undecided(Undecided),
    /// A source of services could not be asked, or what it needs could not be fetched, or did not help.
    Discovery(IoFault),
    /// No service of the number gave an answer; what the last one said.
    Retrieve(IoFault),
}

impl From<FindingFault> for CollectionFault {
    fn from(fault: FindingFault) -> Self {
        match fault {
            FindingFault::NoService => Self::NoService,
            FindingFault::Undecided(why) => Self::Undecided(why),
            FindingFault::Discovery(fault) => Self::Discovery(fault),
        }
    }
}

impl fmt::Display for CollectionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoService => f.write_str("no Call Placement Service is known for the called number"),
            Self::Undecided(why) => {
                write!(f, "no Call Placement Service of the called number is used: {why}")
            }
            Self::Discovery(fault) => write!(f, "the called number could not be looked up: {fault}"),
            Self::Retrieve(fault) => write!(f, "no service of the called number gave an answer: {fault}"),
        }
    }
}

impl core::error::Error for CollectionFault {}

/// What is under way for one number. First [`discover`](Self::discover) until it has asked, answers in between.
#[derive(Debug)]
pub struct Collection {
    number: TelephoneNumber,
    stage: Stage,
    items: BTreeSet<Vec<u8>>,
    /// Those that were taken away.
    taken_count: usize,
}

#[derive(Debug)]
enum Stage {
    Finding(Finding),
    Asking { pending: Vec<Ticket>, answers_count: usize, last_fault: Option<IoFault>, give_up_at: Timestamp },
}

impl Collection {
    /// Everything under `number`.
    pub const fn of(number: TelephoneNumber) -> Self {
        let stage = Stage::Finding(Finding::of(number, Side::Called));
        Self { number, stage, items: BTreeSet::new(), taken_count: 0 }
    }

    /// Finds the services as far as it goes and asks them, for a call that must be done by `deadline`. Half of the time
    /// may go on finding them; once one of them has answered, the others are waited for until a third of what was left
    /// then is left for certificates.
    ///
    /// # Errors
    /// [`CollectionFault`].
    pub fn discover(
        &mut self,
        by: &CpsSources,
        deadline: Timestamp,
        turn: &mut Turn<'_>,
    ) -> Result<(), CollectionFault> {
        let Stage::Finding(finding) = &mut self.stage else { return Ok(()) };
        let Some(services) = finding.find(by, deadline, turn)? else { return Ok(()) };
        let now = turn.now.steady;
        let give_up_at = now.plus_millis(deadline.millis_since(now) / 3 * 2);
        let ask = |cps| turn.ask(Asked::Retrieve { cps, number: self.number });
        let pending = services.into_iter().map(ask).collect();
        self.stage = Stage::Asking { pending, answers_count: 0, last_fault: None, give_up_at };
        Ok(())
    }

    /// Whether it waits for the answer to `ticket`.
    pub fn awaits(&self, awaited: Ticket) -> bool {
        match &self.stage {
            Stage::Finding(finding) => finding.awaits(awaited),
            Stage::Asking { pending, .. } => pending.contains(&awaited),
        }
    }

    /// Takes an answer it [awaits](Self::awaits); then [`discover`](Self::discover) again.
    ///
    /// # Errors
    /// [`CollectionFault`].
    pub fn answer(
        &mut self,
        ticket: Ticket,
        answer: Answer,
        by: &CpsSources,
        turn: &mut Turn<'_>,
    ) -> Result<(), CollectionFault> {
        match &mut self.stage {
            Stage::Finding(finding) => {
                finding.answer(ticket, answer, by, turn);
                Ok(())
            }
            Stage::Asking { pending, answers_count, last_fault, .. } => {
                pending.retain(|asked| *asked != ticket);
                match answer {
                    Answer::Items(items) => {
                        *answers_count += 1;
                        let room = COLLECTED_ITEMS_MAX.saturating_sub(self.taken_count + self.items.len());
                        self.items.extend(items.into_iter().take(room));
                    }
                    Answer::Failed(fault) => *last_fault = Some(fault),
                    _ => *last_fault = Some(another_kind()),
                }
                match last_fault {
                    Some(fault) if pending.is_empty() && *answers_count == 0 => {
                        Err(CollectionFault::Retrieve(fault.clone()))
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// When it no longer waits for sources or services that are slower than others.
    pub const fn wake_at(&self) -> Option<Timestamp> {
        match &self.stage {
            Stage::Finding(finding) => finding.wake_at(),
            Stage::Asking { pending, answers_count, give_up_at, .. }
                if *answers_count > 0 && !pending.is_empty() =>
            {
                Some(*give_up_at)
            }
            _ => None,
        }
    }

    /// Whether there is nothing more to wait for at `now` on the steady clock.
    pub fn is_complete(&self, now: Timestamp) -> bool {
        match &self.stage {
            Stage::Asking { pending, answers_count, give_up_at, .. } => {
                *answers_count > 0 && (pending.is_empty() || now >= *give_up_at)
            }
            _ => false,
        }
    }

    /// Takes away what came so far, so that it can be looked at before all services have answered.
    pub fn take_items(&mut self) -> BTreeSet<Vec<u8>> {
        self.taken_count += self.items.len();
        core::mem::take(&mut self.items)
    }

    /// What the service said that gave nothing, if there is one: then items may be missing.
    pub fn missed(&self) -> Option<IoFault> {
        match &self.stage {
            Stage::Asking { last_fault: Some(fault), .. } => Some(fault.clone()),
            Stage::Asking { pending, .. } if pending.is_empty() => None,
            _ => Some(IoFault::TimedOut),
        }
    }

    /// What came, cover among it, each item once. Its order tells nothing.
    pub fn into_items(self) -> impl Iterator<Item = Vec<u8>> {
        self.items.into_iter()
    }
}
