//! What all threads of one engine share, and the session each of them works with.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_queue::ArrayQueue;
use herald_core::{
    Clock, CoverSchedule, CoverSecret, Item, PlacementId, Problem, Random, Retention, Service, Storing,
    TelephoneNumber, Timestamp, X25519Suite,
};
use herald_journal::limits::COMMIT_WAIT_MS;
use herald_journal::{CommitState, Commits, Durability, JournalThread};
use herald_log::{LogHandle, PlacementLog};

use crate::error::{EngineError, EngineErrorKind};
use crate::limits::SESSIONS_MAX;

/// The state that reactors, host threads and the journal have in common.
pub(crate) struct Shared {
    pub(crate) log: Arc<PlacementLog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) commits: Arc<Commits>,
    pub(crate) durability: Durability,
    pub(crate) retention: Retention,
    /// The secret as it was at open. Each session forgets on its own as time goes on.
    pub(crate) cover: CoverSecret,
    journal: OnceLock<JournalThread>,
    sessions: ArrayQueue<Session>,
    session_count: AtomicUsize,
}

/// What one thread needs to serve: its own service and its own handle on the log.
pub(crate) struct Session {
    pub(crate) service: Service,
    pub(crate) log: LogHandle,
}

impl Shared {
    pub(crate) fn new(
        log: Arc<PlacementLog>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        durability: Durability,
        retention: Retention,
        cover: CoverSecret,
    ) -> Self {
        Self {
            log,
            clock,
            random,
            commits: Arc::new(Commits::default()),
            durability,
            retention,
            cover,
            journal: OnceLock::new(),
            sessions: ArrayQueue::new(SESSIONS_MAX),
            session_count: AtomicUsize::new(0),
        }
    }

    /// Keeps the journal's thread until the last sharer is gone. Called once.
    pub(crate) fn keep_journal(&self, journal: JournalThread) {
        // The engine starts once; a second thread would be stopped here by its drop.
        let _ = self.journal.set(journal);
    }

    /// A session of its own for a thread that keeps it.
    pub(crate) fn open_session(&self) -> Result<Session, EngineError> {
        let cover = CoverSchedule::new(self.cover.clone(), self.retention, Box::new(X25519Suite));
        Ok(Session { service: Service::new(cover, &*self.random), log: self.log.handle()? })
    }

    /// Whether a store may be acknowledged at `now`.
    pub(crate) fn storing(&self, now: Timestamp) -> Storing {
        let possible = self.durability == Durability::Memory
            || self.journal.get().is_some_and(|journal| journal.is_keeping_up(self.durability, now));
        if possible { Storing::Possible } else { Storing::Impossible }
    }

    /// Stores in process and returns when the placement is as durable as the engine promises.
    pub(crate) fn store(&self, number: TelephoneNumber, body: &[u8]) -> Result<PlacementId, EngineError> {
        let now = self.clock.now();
        if self.storing(now) == Storing::Impossible {
            return Err(Problem::Unavailable.into());
        }
        let id =
            self.with_session(|session| session.service.store(&mut session.log, number, body, now))??;
        if self.durability == Durability::Synced {
            let ticket = self.commits.ticket();
            match self.commits.wait(ticket, Duration::from_millis(COMMIT_WAIT_MS)) {
                CommitState::Durable => {}
                CommitState::Pending | CommitState::Failed => return Err(Problem::Unavailable.into()),
            }
        }
        Ok(id)
    }

    /// Everything under a number, as every retriever sees it.
    pub(crate) fn retrieve(&self, number: TelephoneNumber) -> Result<Vec<Item>, EngineError> {
        let now = self.clock.now();
        self.with_session(|session| session.service.retrieve(&mut session.log, number, now))
    }

    /// Lends an idle session, or makes one while there are fewer than [`SESSIONS_MAX`].
    fn with_session<T>(&self, work: impl FnOnce(&mut Session) -> T) -> Result<T, EngineError> {
        let mut session = match self.sessions.pop() {
            Some(session) => session,
            None => self.another_session()?,
        };
        let result = work(&mut session);
        // There are at most as many sessions as the queue has room for, so this always succeeds.
        let _ = self.sessions.push(session);
        Ok(result)
    }

    fn another_session(&self) -> Result<Session, EngineError> {
        // Relaxed: a count, nothing is published through it.
        if self.session_count.fetch_add(1, Ordering::Relaxed) >= SESSIONS_MAX {
            self.session_count.fetch_sub(1, Ordering::Relaxed);
            return Err(EngineError::new(
                EngineErrorKind::Limit,
                format!("{SESSIONS_MAX} threads are inside the engine already; try again"),
            ));
        }
        self.open_session().inspect_err(|_| {
            self.session_count.fetch_sub(1, Ordering::Relaxed);
        })
    }
}
