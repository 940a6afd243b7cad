//! The placements of one class: their log, their cover and, unless durability is `memory`, their journal. Classes share
//! nothing of it, so that neither the memory nor the stores of one wait for another's. What has left memory is read back by
//! the same threads for all: many slow reads of messages keep those of calls waiting, and are refused with them.

use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};
use std::time::Duration;

use herald_core::{CoverSchedule, CoverSecret, Effect, PlacementClass, Retention, Storing, Timestamp};
use herald_journal::limits::COMMIT_WAIT_MS;
use herald_journal::{CommitState, Commits, Durability, JournalStats, JournalThread, Pace, Ticket};
use herald_log::PlacementLog;
use herald_stir::Suite;
use parking_lot::Mutex;

/// What an engine has of one class.
pub(crate) struct Stack {
    pub(crate) log: Arc<PlacementLog>,
    pub(crate) commits: Arc<Commits>,
    pub(crate) retention: Retention,
    /// The secret for sessions to come. Each session forgets on its own as time goes on.
    cover: Mutex<CoverSecret>,
    /// From the start on. Stores into memory alone never look at it.
    journal: OnceLock<JournalThread>,
}

/// On what terms placements of one class are stored at the moment.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) class: PlacementClass,
    /// What the service is to tell storers.
    pub(crate) storing: Storing,
    /// Whether they are acknowledged only with their commit.
    pub(crate) are_awaited: bool,
}

/// Placements that are to be made as durable as the engine promises.
#[derive(Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) class: PlacementClass,
    pub(crate) ticket: Ticket,
}

impl Terms {
    /// Those of a class of which there are no placements here.
    pub(crate) const fn not_kept(class: PlacementClass) -> Self {
        Self { class, storing: Storing::NotKept, are_awaited: false }
    }

    /// Those of a class that goes at this pace.
    #[inline]
    pub(crate) const fn of(class: PlacementClass, pace: Pace) -> Self {
        let storing = match pace {
            Pace::AtOnce | Pace::Committed => Storing::Possible,
            Pace::Never => Storing::Impossible,
        };
        Self { class, storing, are_awaited: matches!(pace, Pace::Committed) }
    }

    /// Whether what has this effect is to be waited for.
    pub(crate) fn is_awaited(self, effect: Effect) -> bool {
        self.are_awaited && effect == Effect::MakeDurable
    }
}

impl Stack {
    pub(crate) fn new(log: Arc<PlacementLog>, retention: Retention, cover: CoverSecret) -> Self {
        Self { log, commits: Arc::default(), retention, cover: Mutex::new(cover), journal: OnceLock::new() }
    }

    /// The cover secret, without the epochs that are over at `now`.
    pub(crate) fn cover(&self, now: Timestamp) -> CoverSecret {
        let mut cover = self.cover.lock();
        cover.advance(self.retention, now);
        cover.clone()
    }

    /// The cover, for a session that begins at `now`.
    pub(crate) fn schedule(&self, suite: Suite, now: Timestamp) -> CoverSchedule {
        CoverSchedule::new(self.cover(now), self.retention, Box::new(suite))
    }

    /// Forgets what is over of the cover.
    pub(crate) fn forget(&self, now: Timestamp) {
        self.cover.lock().advance(self.retention, now);
    }

    /// Lets stores that need a disk find the journal's thread.
    pub(crate) fn keep_journal(&self, journal: JournalThread) {
        // An engine starts once, so there is none yet.
        let _ = self.journal.set(journal);
    }

    /// When a store made at `now` may be acknowledged.
    #[inline]
    pub(crate) fn pace(&self, durability: Durability, now: Timestamp) -> Pace {
        match durability {
            Durability::Memory => Pace::AtOnce,
            _ => self.journal.get().map_or(Pace::Never, |journal| journal.pace(now)),
        }
    }

    /// Whether there is memory enough until the journal's next pass makes some.
    pub(crate) fn has_room(&self) -> bool {
        self.journal.get().is_none_or(JournalThread::has_room)
    }

    /// What the journal did so far, if there is one.
    pub(crate) fn journal_stats(&self, now: Timestamp) -> Option<JournalStats> {
        Some(self.journal.get()?.stats(now))
    }

    /// What is known of a ticket; while it is pending `waker` is woken once that changes.
    pub(crate) fn poll(&self, ticket: Ticket, waker: &Waker) -> Poll<CommitState> {
        self.commits.poll(ticket, waker)
    }

    /// Waits until what this thread has stored is as durable as the engine promises. Whether it is.
    pub(crate) fn wait_durable(&self) -> bool {
        let patience = Duration::from_millis(COMMIT_WAIT_MS);
        self.commits.wait(self.commits.ticket(), patience) == CommitState::Durable
    }

    /// Has the journal write what is left, and ends it.
    pub(crate) fn stop(&self) {
        if let Some(journal) = self.journal.get() {
            journal.stop();
        }
    }
}
