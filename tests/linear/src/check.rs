//! Hands what was recorded to the checker, number by number.

use core::fmt;
use std::collections::{BTreeMap, HashMap};

use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History};

use crate::history::Event;
use crate::model::{Expiry, Operation, Outcome, Queue};

/// What a run consisted of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls that were checked.
    pub operations: usize,
    /// Histories they were split into: one a number.
    pub histories: usize,
    /// Calls that ran while another on the same number did.
    pub overlapping: usize,
    /// Appends that were kept.
    pub kept: usize,
    /// Appends refused since their number was full.
    pub number_full: usize,
    /// Appends of unknown outcome that turned out to be kept.
    pub unknown_kept: usize,
    /// Placements shown in reads.
    pub shown: usize,
    /// Histories that were left out since too many of their calls overlapped at one moment: see [`OVERLAP_MAX`].
    pub unchecked: usize,
}

/// Calls on one number under way at one moment, at most. The checker's work and memory may double with each; a thread
/// that loses its processor in the middle of a batch makes all that others do meanwhile overlap with it. A wider history
/// is left out and counted.
pub const OVERLAP_MAX: usize = 20;
/// The same where a bug is planted: a history that no order explains makes the checker try them all.
pub const OVERLAP_PLANTED_MAX: usize = 9;

/// A history of one number that no order of its calls explains.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Its calls, by their first stamps.
    pub events: Vec<Event>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "no order explains the {} calls of this number:", self.events.len())?;
        self.events.iter().try_for_each(|event| {
            writeln!(f, "{:>8} to {:<8} {:?}", event.invoked, event.responded, event.operation)
        })
    }
}

/// Whether every number's part of `events` fits the model. The numbers must have been fresh when the recording
/// began. Histories of more than `overlap_max` calls at one moment are left out.
///
/// # Errors
/// The first number whose part does not.
pub fn check(events: Vec<Event>, overlap_max: usize) -> Result<Tally, Violation> {
    let mut by_number: BTreeMap<u64, Vec<Event>> = BTreeMap::new();
    for event in events {
        by_number.entry(event.number).or_default().push(event);
    }
    let mut tally = Tally::default();
    for mut events in by_number.into_values() {
        events.sort_unstable_by_key(|event| event.invoked);
        settle(&mut events);
        if overlap(&events) > overlap_max {
            tally.unchecked += 1;
            continue;
        }
        tally.count(&events);
        if !events.is_empty() && !WGLChecker::<Queue>::is_linearizable(history(&events)) {
            return Err(Violation { events });
        }
    }
    Ok(tally)
}

/// Puts what later reads tell into the appends: the exact expiry where one was shown and may be, and whether one of
/// unknown outcome was kept. Those that nobody ever saw are taken out; as the last of all they explain themselves.
fn settle(events: &mut Vec<Event>) {
    let shown: HashMap<u64, u64> = events.iter().flat_map(Event::seen).collect();
    events.retain_mut(|event| {
        let Operation::Append { name, expiry, outcome, .. } = &mut event.operation else { return true };
        match shown.get(name) {
            Some(&exact) if (expiry.min..=expiry.max).contains(&exact) => {
                *expiry = Expiry { min: exact, max: exact };
            }
            Some(_) => {}
            None if *outcome == Outcome::Unknown => return false,
            None => {}
        }
        true
    });
}

/// The most calls under way at one moment.
fn overlap(events: &[Event]) -> usize {
    let begins = events.iter().map(|event| (event.invoked, 1));
    let ends = events.iter().map(|event| (event.responded, -1));
    let mut steps: Vec<(u64, isize)> = begins.chain(ends).collect();
    steps.sort_unstable();
    let under_way = steps.iter().scan(0, |count: &mut isize, (_, step)| {
        *count += step;
        Some(*count)
    });
    under_way.max().and_then(|most| usize::try_from(most).ok()).unwrap_or(0)
}

fn history(events: &[Event]) -> History<Operation> {
    let mut actions: Vec<(u64, usize, Action<Operation>)> = Vec::with_capacity(2 * events.len());
    // To the checker each call is a process of its own: the stamps alone say what came first.
    for (process, event) in events.iter().enumerate() {
        actions.push((event.invoked, process, Action::Call(event.operation.clone())));
        actions.push((event.responded, process, Action::Response(event.operation.clone())));
    }
    actions.sort_by_key(|&(stamp, ..)| stamp);
    History::from_actions(actions.into_iter().map(|(_, process, action)| (process, action)).collect())
}

impl Event {
    fn seen(&self) -> Vec<(u64, u64)> {
        match &self.operation {
            Operation::Read { seen, .. } => seen.iter().map(|one| (one.name, one.expires_at)).collect(),
            Operation::Append { .. } => Vec::new(),
        }
    }
}

impl Tally {
    /// Counts in what another run consisted of.
    pub const fn add(&mut self, other: &Self) {
        self.operations += other.operations;
        self.histories += other.histories;
        self.overlapping += other.overlapping;
        self.kept += other.kept;
        self.number_full += other.number_full;
        self.unknown_kept += other.unknown_kept;
        self.shown += other.shown;
        self.unchecked += other.unchecked;
    }

    fn count(&mut self, events: &[Event]) {
        self.histories += 1;
        self.operations += events.len();
        // When all calls that began before the present one had returned; those of a batch began together.
        let (mut began, mut returned, mut next_returned) = (0, 0, 0);
        for event in events {
            if event.invoked > began {
                (began, returned) = (event.invoked, next_returned);
            }
            next_returned = next_returned.max(event.responded);
            self.overlapping += usize::from(event.invoked < returned);
            match &event.operation {
                Operation::Append { outcome: Outcome::Kept, .. } => self.kept += 1,
                Operation::Append { outcome: Outcome::NumberFull, .. } => self.number_full += 1,
                Operation::Append { outcome: Outcome::Unknown, .. } => self.unknown_kept += 1,
                Operation::Read { seen, .. } => self.shown += seen.len(),
            }
        }
    }
}
