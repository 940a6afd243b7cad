//! What a service did, counted: how many stores and retrievals, and why not. Nothing about a number, and nothing about
//! which retrievals met a placement: whoever saw that beside his own polls would know placements from cover.

use core::sync::atomic::{AtomicU64, Ordering};

use super::problem::Problem;
use crate::batch::Outcome;
use crate::placement::Refusal;

/// Why a placement was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum NotStored {
    /// The request is none of HTTP or of the service, or broke off.
    Request,
    /// The number is none.
    Number,
    /// The media type is another, or of a class that is not kept or not taken from who stores.
    MediaType,
    /// The body has none of the sizes of a sealed PASSporT.
    BodySize,
    /// Too many placements wait under the number.
    NumberFull,
    /// The memory for placements is full of live ones.
    MemoryFull,
    /// The journal cannot be written, or lags too far behind.
    Journal,
    /// It was taken into memory, but the journal did not come to write it, so it was not acknowledged.
    NotDurable,
    /// The token or MAC it came with, or the lack of one.
    Token,
    /// The engine is not running.
    Stopped,
    /// Too many threads of the host were inside.
    Busy,
}

impl NotStored {
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::Request,
        Self::Number,
        Self::MediaType,
        Self::BodySize,
        Self::NumberFull,
        Self::MemoryFull,
        Self::Journal,
        Self::NotDurable,
        Self::Token,
        Self::Stopped,
        Self::Busy,
    ];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Number => "number",
            Self::MediaType => "media_type",
            Self::BodySize => "body_size",
            Self::NumberFull => "number_full",
            Self::MemoryFull => "memory_full",
            Self::Journal => "journal",
            Self::NotDurable => "not_durable",
            Self::Token => "token",
            Self::Stopped => "stopped",
            Self::Busy => "busy",
        }
    }

    /// What a refusal of the service comes to.
    pub const fn of_problem(problem: &Problem) -> Self {
        match problem {
            Problem::Number(_) => Self::Number,
            Problem::MediaType
            | Problem::UnknownClass
            | Problem::ClassNotKept(_)
            | Problem::ClassNotGated(_)
            | Problem::BatchMediaType => Self::MediaType,
            Problem::BodySize(_) | Problem::BodyTooLarge => Self::BodySize,
            Problem::Full(Refusal::NumberFull) => Self::NumberFull,
            Problem::Full(Refusal::StoreFull) => Self::MemoryFull,
            Problem::Unavailable => Self::Journal,
            _ => Self::Request,
        }
    }

    /// What a result of a batch comes to.
    pub(super) const fn of_outcome(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Number => Self::Number,
            Outcome::BodySize => Self::BodySize,
            Outcome::NumberFull => Self::NumberFull,
            Outcome::StoreFull => Self::MemoryFull,
            Outcome::Unavailable => Self::Journal,
            Outcome::NoSession | Outcome::Proof | Outcome::Used | Outcome::NumberUsed => Self::Token,
            Outcome::Done | Outcome::Broken | Outcome::Timeout => Self::Request,
        }
    }
}

/// Why what was asked for was not shown. That nothing but cover waits under a number is no reason: see the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum NotFound {
    /// The request is none of the service.
    Request,
    /// The number, block or id is none.
    Number,
    /// No item of this id is live: it has expired or never was.
    Item,
    /// Too much waits for the disk, or it took too long.
    Disk,
    /// The engine is not running.
    Stopped,
    /// Too many threads of the host were inside.
    Busy,
}

impl NotFound {
    /// Every reason.
    pub const ALL: [Self; 6] =
        [Self::Request, Self::Number, Self::Item, Self::Disk, Self::Stopped, Self::Busy];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Number => "number",
            Self::Item => "item",
            Self::Disk => "disk",
            Self::Stopped => "stopped",
            Self::Busy => "busy",
        }
    }

    /// What a refusal of the service comes to.
    pub const fn of_problem(problem: &Problem) -> Self {
        match problem {
            Problem::Number(_) | Problem::Block(_) | Problem::BlockTooLarge(_) | Problem::Id(_) => {
                Self::Number
            }
            Problem::NoSuchItem => Self::Item,
            Problem::Unavailable => Self::Disk,
            _ => Self::Request,
        }
    }
}

/// The counters of one [`Service`](super::Service), from its beginning. Any thread may read and add reasons; what succeeds
/// is counted by the service's own thread alone, without a locked instruction.
///
/// Every access is Relaxed: the numbers order nothing.
#[derive(Debug, Default)]
// Two cache lines, which processors fetch together: services of different threads share none.
#[repr(align(128))]
pub struct Tally {
    stored: AtomicU64,
    retrieved: AtomicU64,
    listed: AtomicU64,
    items: AtomicU64,
    not_stored: [AtomicU64; NotStored::ALL.len()],
    not_found: [AtomicU64; NotFound::ALL.len()],
}

impl Tally {
    /// Counts a store that was refused.
    #[cold]
    pub fn not_stored(&self, why: NotStored) {
        self.not_stored_times(why, 1);
    }

    /// Counts stores that were refused.
    #[cold]
    pub fn not_stored_times(&self, why: NotStored, count: u64) {
        self.not_stored[why as usize].fetch_add(count, Ordering::Relaxed);
    }

    /// Counts something that was asked for and not shown.
    #[cold]
    pub fn not_found(&self, why: NotFound) {
        self.not_found[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn stored(&self) {
        add(&self.stored);
    }

    #[inline]
    pub(super) fn retrieved(&self) {
        add(&self.retrieved);
    }

    #[inline]
    pub(super) fn listed(&self) {
        add(&self.listed);
    }

    #[inline]
    pub(super) fn item(&self) {
        add(&self.items);
    }

    /// Adds what was counted so far to `sums`.
    pub fn add_to(&self, sums: &mut Tallied) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        sums.stored += read(&self.stored);
        sums.retrieved += read(&self.retrieved);
        sums.listed += read(&self.listed);
        sums.items += read(&self.items);
        for (sum, counter) in sums.not_stored.iter_mut().zip(&self.not_stored) {
            *sum += read(counter);
        }
        for (sum, counter) in sums.not_found.iter_mut().zip(&self.not_found) {
            *sum += read(counter);
        }
    }
}

/// A plain load and store: there is one writer, so no locked instruction is needed.
#[inline]
fn add(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// Sums of tallies at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tallied {
    /// Placements taken into memory.
    pub stored: u64,
    /// Numbers answered with everything under them, bodies too.
    pub retrieved: u64,
    /// Numbers answered with the ids of everything under them.
    pub listed: u64,
    /// Items shown by their id.
    pub items: u64,
    /// Placements not stored, in the order of [`NotStored::ALL`].
    pub not_stored: [u64; NotStored::ALL.len()],
    /// What was asked for and not shown, in the order of [`NotFound::ALL`].
    pub not_found: [u64; NotFound::ALL.len()],
}

impl Tallied {
    /// Placements not stored, with each reason.
    pub fn not_stored(&self) -> impl Iterator<Item = (NotStored, u64)> + '_ {
        NotStored::ALL.into_iter().zip(self.not_stored)
    }

    /// What was asked for and not shown, with each reason.
    pub fn not_found(&self) -> impl Iterator<Item = (NotFound, u64)> + '_ {
        NotFound::ALL.into_iter().zip(self.not_found)
    }
}
