//! The model: one number's queue of placements that go when they expire.
//!
//! What a call may answer depends on its time, and a log promises no more about time than this:
//! - A call is between two readings of the clock, its [`Span`]. What has expired by the first is never shown.
//!   What lives beyond the second is always shown: no call so far, on any thread, can have brought a time at
//!   which it was expired and its memory taken back. Between the two a placement may be shown or not.
//! - What is shown is the newest, without gaps: a walk that ends early ends for good.
//! - Of a batch each placement is kept on its own, those of one number in turn.
//! - A placement may live longer than was asked, up to the expiry of another that was appended before its append
//!   returned, and then it shows that expiry to everybody.

use todc_utils::specifications::Specification;

/// A reading of the clock before a call and one after it, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Not later than the time the call was made with.
    pub from: u64,
    /// Not earlier than the time of any call that had begun when this one returned.
    pub until: u64,
}

/// When a placement expires, as far as it is known, in milliseconds. Both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Expiry {
    /// Not before.
    pub min: u64,
    /// Not after.
    pub max: u64,
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Kept, and acknowledged.
    Kept,
    /// Refused: the number has as many as it may have.
    NumberFull,
    /// Nobody knows: the engine went down over it. It may show up or not.
    Unknown,
}

/// Whether the order of a read says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Newest first.
    NewestFirst,
    /// In the order of names, which says nothing.
    None,
}

/// A placement as it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub name: u64,
    /// Its expiry, in milliseconds.
    pub expires_at: u64,
}

/// One call on one number and its answer.
#[derive(Clone, Debug)]
pub enum Operation {
    /// A placement was to be kept.
    Append {
        /// Its name: no other has it.
        name: u64,
        /// When it would expire.
        expiry: Expiry,
        /// The one before it in its batch that went to the same number and was kept.
        after: Option<u64>,
        /// How many live ones the number may have with it.
        records_max: usize,
        /// When.
        span: Span,
        /// What became of it.
        outcome: Outcome,
    },
    /// The live placements were asked for.
    Read {
        /// When.
        span: Span,
        /// The answer.
        seen: Vec<Seen>,
        /// What the order of the answer says.
        order: Order,
    },
}

/// A placement in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kept {
    name: u64,
    expiry: Expiry,
}

/// The queue as a specification for the checker. Its state is what was kept, newest first, expired or not.
#[derive(Debug)]
pub struct Queue;

impl Specification for Queue {
    type State = Vec<Kept>;
    type Operation = Operation;

    fn init() -> Vec<Kept> {
        Vec::new()
    }

    fn apply(operation: &Operation, state: &Vec<Kept>) -> (bool, Vec<Kept>) {
        match operation {
            &Operation::Append { name, expiry, after, records_max, span, outcome } => {
                let in_turn = after.is_none_or(|before| state.iter().any(|kept| kept.name == before));
                let fits = match outcome {
                    Outcome::Kept => {
                        in_turn && state.iter().filter(|kept| kept.is_live(span)).count() < records_max
                    }
                    Outcome::NumberFull => {
                        let refused = state.iter().filter(|kept| kept.may_live(span)).count() >= records_max;
                        return (refused, state.clone());
                    }
                    Outcome::Unknown => true,
                };
                let mut next = state.clone();
                if fits {
                    next.insert(0, Kept { name, expiry });
                }
                (fits, next)
            }
            Operation::Read { span, seen, order } => {
                let fits = match order {
                    Order::NewestFirst => is_newest(state, *span, seen),
                    Order::None => is_some(state, *span, seen),
                };
                (fits, state.clone())
            }
        }
    }
}

impl Kept {
    /// Live whenever in the span the call looked.
    fn is_live(&self, span: Span) -> bool {
        self.expiry.min > span.until
    }

    /// Perhaps live when the call looked.
    fn may_live(&self, span: Span) -> bool {
        self.expiry.max > span.from
    }

    fn is(&self, seen: &Seen) -> bool {
        self.name == seen.name && (self.expiry.min..=self.expiry.max).contains(&seen.expires_at)
    }
}

fn is_newest(state: &[Kept], span: Span, seen: &[Seen]) -> bool {
    let mut rest = state.iter().filter(|kept| kept.may_live(span));
    let shown = seen.iter().all(|one| rest.next().is_some_and(|kept| kept.is(one)));
    let falling = seen.is_sorted_by(|newer, older| newer.expires_at >= older.expires_at);
    shown && falling && !rest.any(|kept| kept.is_live(span))
}

fn is_some(state: &[Kept], span: Span, seen: &[Seen]) -> bool {
    let once = seen.is_sorted_by(|one, other| one.name < other.name);
    let shown = |one: &Seen| state.iter().any(|kept| kept.may_live(span) && kept.is(one));
    let missed = |kept: &Kept| kept.is_live(span) && !seen.iter().any(|one| kept.is(one));
    once && seen.iter().all(shown) && !state.iter().any(missed)
}
