//! What each durability promises to keep, and whether it was kept.

use std::time::{Duration, Instant};

use herald_journal::limits::{BUFFERED_UNSYNCED_MS, BUFFERED_WINDOW_MS};

use crate::look::Look;

/// Which acknowledged placements must be there after the end of a process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    Everything,
    /// The service takes no more stores when the oldest that only memory has is older than the window. So what is
    /// lost lies within one window before the last acknowledged store, however long the disk stalled then.
    AllButTheWindow,
    /// After a power cut: likewise, the oldest that the disk is not known to have and the window of a power cut.
    AllButTheUnsynced,
    Nothing,
    /// A control: the service was lied to, and whoever finds nothing lost does not look well.
    Broken,
}

const WINDOW: Duration = Duration::from_millis(BUFFERED_WINDOW_MS);
const UNSYNCED_WINDOW: Duration = Duration::from_millis(BUFFERED_UNSYNCED_MS);

/// What all looks together found, held against a promise.
pub(crate) struct Tally {
    promise: Promise,
    pub(crate) looked_count: usize,
    pub(crate) lost_count: usize,
    /// Of those, the ones that had been promised.
    pub(crate) broken_count: usize,
    /// Placements that were gone when their time was over.
    pub(crate) over_count: usize,
    /// The longest time between sending a store that was lost and the end of the process.
    oldest_loss: Duration,
    /// The longest time between the acknowledgement of a store that was lost and the sending of the last one
    /// that was acknowledged: no more than the service itself saw between them.
    loss_span: Duration,
    pub(crate) faults: Vec<String>,
}

impl Tally {
    /// Nothing found yet.
    pub(crate) const fn new(promise: Promise) -> Self {
        Self {
            promise,
            looked_count: 0,
            lost_count: 0,
            broken_count: 0,
            over_count: 0,
            oldest_loss: Duration::ZERO,
            loss_span: Duration::ZERO,
            faults: Vec::new(),
        }
    }

    /// Takes in what was found by a look at a service, or at the one after it if it was gone by then.
    pub(crate) fn judge(&mut self, found: Look, gone_at: Instant) {
        self.looked_count += found.present_count + found.lost.len();
        self.lost_count += found.lost.len();
        self.over_count += found.over_count;
        self.faults.extend(found.faults);
        for lost in found.lost {
            let age = gone_at.saturating_duration_since(lost.sent_at);
            let span = found.last_sent_at.saturating_duration_since(lost.acknowledged_at);
            self.oldest_loss = self.oldest_loss.max(age);
            self.loss_span = self.loss_span.max(span);
            if !self.allows_loss(span) {
                self.broken_count += 1;
                self.faults.push(format!(
                    "a store is lost that was sent {age:?} before the end and acknowledged {span:?} before the \
                     last one that was"
                ));
            }
        }
        if self.promise == Promise::Nothing && found.present_count > 0 {
            let count = found.present_count;
            self.faults.push(format!("{count} placements survive in memory: the test is broken"));
        }
    }

    /// Takes in what another tally under the same promise found.
    pub(crate) fn add(&mut self, other: Self) {
        self.looked_count += other.looked_count;
        self.lost_count += other.lost_count;
        self.broken_count += other.broken_count;
        self.over_count += other.over_count;
        self.oldest_loss = self.oldest_loss.max(other.oldest_loss);
        self.loss_span = self.loss_span.max(other.loss_span);
        self.faults.extend(other.faults);
    }

    /// How old the losses were, in words.
    pub(crate) fn loss_ages(&self) -> String {
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        format!(
            "oldest loss sent {:.1} ms before the kill, acknowledged {:.1} ms before the last store that was",
            ms(self.oldest_loss),
            ms(self.loss_span)
        )
    }

    fn allows_loss(&self, span: Duration) -> bool {
        match self.promise {
            Promise::Everything => false,
            Promise::AllButTheWindow => span <= WINDOW,
            Promise::AllButTheUnsynced => span <= UNSYNCED_WINDOW,
            Promise::Nothing | Promise::Broken => true,
        }
    }
}
