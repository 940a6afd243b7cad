//! What calls came to, counted: nothing of one call, and no number.

use std::sync::atomic::{AtomicU64, Ordering};

use herald_stir::Fault;
use herald_stir::services::{Checked, CollectionFault, LookupFault, PlaceFault};

use super::{CheckOutcome, PlaceOutcome};

/// What calls that were placed came to.
pub(crate) const PLACED: [&str; 8] =
    ["placed", "not_authoritative", "not_a_number", "sign", "delivery", "deadline", "cancelled", "lost"];
/// What calls that were checked came to.
pub(crate) const CHECKED: [&str; 5] = ["accepted", "rejected", "no_passport", "not_judged", "lost"];
/// Why no PASSporT was found out of band for a call that was checked.
pub(crate) const NOT_FOUND: [&str; 10] = [
    "nothing_opens",
    "not_a_number",
    "no_sealing_key",
    "no_service",
    "undecided",
    "discovery",
    "retrieval",
    "retrieval_partly",
    "deadline",
    "cancelled",
];

/// Every access is Relaxed: the numbers order nothing.
#[derive(Default)]
pub(crate) struct Outcomes {
    placed: [AtomicU64; PLACED.len()],
    checked: [AtomicU64; CHECKED.len()],
    not_found: [AtomicU64; NOT_FOUND.len()],
}

type Named = Vec<(&'static str, u64)>;

impl Outcomes {
    pub(super) fn count_placed(&self, outcome: &PlaceOutcome) {
        add(&self.placed[match outcome {
            Ok(Ok(_)) => 0,
            Ok(Err(failure)) => match failure.cause {
                PlaceFault::NotAuthoritative(_) => 1,
                PlaceFault::NotANumber => 2,
                PlaceFault::Sign(_) => 3,
                PlaceFault::Delivery(_) => 4,
                PlaceFault::Deadline => 5,
                PlaceFault::Cancelled => 6,
            },
            Err(_) => 7,
        }]);
    }

    pub(super) fn count_checked(&self, outcome: &CheckOutcome) {
        let Ok(checked) = outcome else { return add(&self.checked[4]) };
        add(&self.checked[match checked.verdict.outcome() {
            Ok(_) => 0,
            Err(Fault::NoPassport) => 2,
            Err(Fault::NotJudged) => 3,
            Err(_) => 1,
        }]);
        if checked.opened_count == 0 {
            add(&self.not_found[why_not_found(checked)]);
        }
    }

    pub(crate) fn placed(&self) -> Named {
        named(&PLACED, &self.placed)
    }

    pub(crate) fn checked(&self) -> Named {
        named(&CHECKED, &self.checked)
    }

    pub(crate) fn not_found(&self) -> Named {
        named(&NOT_FOUND, &self.not_found)
    }
}

/// The place in [`NOT_FOUND`].
const fn why_not_found(checked: &Checked) -> usize {
    match &checked.lookup {
        Ok(()) => 0,
        Err(LookupFault::NotANumber) => 1,
        Err(LookupFault::NoSealingKey) => 2,
        Err(LookupFault::Nothing(CollectionFault::NoService)) => 3,
        Err(LookupFault::Nothing(CollectionFault::Undecided(_))) => 4,
        Err(LookupFault::Nothing(CollectionFault::Discovery(_))) => 5,
        Err(LookupFault::Nothing(CollectionFault::Retrieve(_))) => 6,
        Err(LookupFault::Missed(_)) => 7,
        Err(LookupFault::Deadline) => 8,
        Err(LookupFault::Cancelled) => 9,
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn named(names: &[&'static str], counters: &[AtomicU64]) -> Named {
    names.iter().copied().zip(counters.iter().map(|counter| counter.load(Ordering::Relaxed))).collect()
}
