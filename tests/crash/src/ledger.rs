//! What was sent to the service and what it promised: the memory that its own is compared with.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use herald_runtime::SystemRandom;
use herald_runtime::core::{Random, TelephoneNumber};

use crate::error::CrashError;
use crate::http::{Http, Stored};
use crate::limits::{BODY_BYTES, NUMBERS};

/// One store, whatever became of it.
pub(crate) struct Placement {
    pub(crate) number: TelephoneNumber,
    pub(crate) body: Vec<u8>,
    pub(crate) sent_at: Instant,
    /// `None` if it was refused or the answer never came: then it may be there or not.
    pub(crate) acknowledged: Option<Acknowledged>,
    pub(crate) fate: Fate,
}

/// The promise that a store can be retrieved.
#[derive(Clone)]
pub(crate) struct Acknowledged {
    pub(crate) location: String,
    pub(crate) at: Instant,
}

/// What has been seen of a placement so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nobody has looked for it.
    Unseen,
    /// It was there when it was last looked for.
    Seen,
    /// It was missing before its time. Not looked for again.
    Lost,
    /// Its time is over. Not looked for again.
    Over,
}

/// Every store there was. Any thread.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Vec<Placement>>);

impl Placement {
    /// A placement with a body of random bytes for a random one of the numbers that are called, sent now.
    pub(crate) fn random() -> Self {
        let mut body = vec![0; BODY_BYTES];
        SystemRandom.fill(&mut body);
        let number = called_number(random_below(NUMBERS));
        Self { number, body, sent_at: Instant::now(), acknowledged: None, fate: Fate::Unseen }
    }
}

impl Ledger {
    /// All placements, for as long as the guard lives.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Vec<Placement>> {
        // A thread that panicked while it held the lock has failed the run already.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers one.
    pub(crate) fn push(&self, placement: Placement) {
        self.lock().push(placement);
    }

    /// Stores once, and remembers it. Returns whether it was acknowledged.
    pub(crate) fn store(&self, http: &Http) -> Result<bool, CrashError> {
        let mut placement = Placement::random();
        let stored = http.store(placement.number, &placement.body);
        if let Ok(Stored::Acknowledged(location)) = &stored {
            placement.acknowledged = Some(Acknowledged { location: location.clone(), at: Instant::now() });
        }
        self.push(placement);
        Ok(matches!(stored?, Stored::Acknowledged(_)))
    }

    /// How many were sent after `since` and acknowledged.
    pub(crate) fn acknowledged_since(&self, since: Instant) -> usize {
        let placements = self.lock();
        let later = placements.iter().filter(|placement| placement.sent_at > since);
        later.filter(|placement| placement.acknowledged.is_some()).count()
    }

    /// How many were acknowledged.
    pub(crate) fn acknowledged_count(&self) -> usize {
        self.lock().iter().filter(|placement| placement.acknowledged.is_some()).count()
    }
}

/// One of the numbers that stores go to.
pub(crate) fn called_number(index: u64) -> TelephoneNumber {
    format!("1999{index:07}").parse().expect("eleven digits are a number")
}

/// One of as many numbers that no store goes to.
pub(crate) fn quiet_number(index: u64) -> TelephoneNumber {
    called_number(NUMBERS + index)
}

/// A number below `bound`; evenly, as far as 64 bits allow.
pub(crate) fn random_below(bound: u64) -> u64 {
    let mut bytes = [0; 8];
    SystemRandom.fill(&mut bytes);
    u64::from_le_bytes(bytes) % bound
}

/// A duration between the two, to the microsecond.
pub(crate) fn random_between(least: Duration, most: Duration) -> Duration {
    let span_us = u64::try_from((most - least).as_micros()).unwrap_or(u64::MAX - 1);
    least + Duration::from_micros(random_below(span_us + 1))
}
