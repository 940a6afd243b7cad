//! What all threads of one engine share, and the session each of them works with.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering, fence};
use std::time::Duration;

use herald_core::limits::BODY_BUCKETS_BYTES;
use herald_core::{
    Clock, CoverSchedule, CoverSecret, Item, NotFound, NotStored, PlacementId, Problem, Random, Retention,
    Service, Storing, Tallied, Tally, TelephoneNumber, Timestamp,
};
use herald_journal::limits::COMMIT_WAIT_MS;
use herald_journal::{CommitState, Commits, Durability, JournalStats, JournalThread, Pace, Ticket};
use herald_log::{LogHandle, PlacementLog};
use herald_stir::Suite;
use parking_lot::Mutex;

use crate::error::{EngineError, EngineErrorKind};
use crate::limits::{
    BATCH_NUMBERS_PER_TURN, BATCH_STORES_PER_TURN, CALL_PATIENCE_MS, FORGET_PERIOD_MS, READ_PATIENCE_MS,
};
use crate::readers::{Readers, Reading};
use crate::sessions::{Lent, Session, Sessions};
use crate::watch::{WatchedLog, Watches};

/// How far an engine is in its life. It only ever goes on, never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Recovered, serving nobody.
    Opened = 0,
    /// Serving.
    Running = 1,
    /// Serving nobody any more.
    Stopped = 2,
    /// An invariant is broken: it serves nobody, and can only be stopped.
    Failed = 3,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Opened, Self::Running, Self::Stopped, Self::Failed];

    /// Refuses a call that only a running engine serves.
    pub(crate) fn serves(self) -> Result<(), EngineError> {
        match self {
            Self::Running => Ok(()),
            other => Err(other.refusal()),
        }
    }

    /// Why an engine at this stage does not do what another stage could.
    #[cold]
    pub(crate) fn refusal(self) -> EngineError {
        let (kind, message) = match self {
            Self::Opened => (EngineErrorKind::State, "the engine is not started; start it first"),
            Self::Running => (EngineErrorKind::State, "the engine was started before; it starts once"),
            Self::Stopped => (EngineErrorKind::State, "the engine was stopped; open another"),
            Self::Failed => (EngineErrorKind::Failed, "the engine failed; close it and open another"),
        };
        EngineError::new(kind, message)
    }
}

/// The state that reactors, host threads and the journal have in common.
pub(crate) struct Shared {
    pub(crate) log: Arc<PlacementLog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) commits: Arc<Commits>,
    pub(crate) durability: Durability,
    pub(crate) retention: Retention,
    suite: Suite,
    /// The secret for sessions to come. Each session forgets on its own as time goes on.
    cover: Mutex<CoverSecret>,
    /// From the start on. Stores into memory alone never look at it.
    journal: OnceLock<JournalThread>,
    /// From the start on, if anything may leave memory.
    readers: OnceLock<Readers>,
    stage: AtomicU8,
    sessions: Sessions,
    /// Who hears of placements.
    pub(crate) watches: Arc<Watches>,
    /// When all sessions last forgot what was over, in milliseconds.
    forgot_at: AtomicU64,
    /// What happened outside of sessions; and of each session there was: as many as the log has handles.
    tally: Tally,
    tallies: Mutex<Vec<Arc<Tally>>>,
}

/// What was asked for, or who brings it.
pub(crate) enum Retrieved<T> {
    Now(T),
    Later(Reading<T>),
}

/// What the service is to tell storers.
pub(crate) const fn storing(pace: Pace) -> Storing {
    match pace {
        Pace::AtOnce | Pace::Committed => Storing::Possible,
        Pace::Never => Storing::Impossible,
    }
}

impl Shared {
    pub(crate) fn new(
        log: Arc<PlacementLog>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        durability: Durability,
        retention: Retention,
        suite: Suite,
        cover: CoverSecret,
    ) -> Self {
        Self {
            log,
            clock,
            random,
            commits: Arc::new(Commits::default()),
            durability,
            retention,
            suite,
            cover: Mutex::new(cover),
            journal: OnceLock::new(),
            readers: OnceLock::new(),
            stage: AtomicU8::new(Stage::Opened as u8),
            sessions: Sessions::new(),
            watches: Arc::default(),
            forgot_at: AtomicU64::new(0),
            tally: Tally::default(),
            tallies: Mutex::default(),
        }
    }

    /// Where the engine is in its life.
    pub(crate) fn stage(&self) -> Stage {
        // Relaxed: whoever needs more than a hint puts a fence before it, see `with_session`.
        Stage::ALL[usize::from(self.stage.load(Ordering::Relaxed))]
    }

    /// Goes on to `stage`; an engine that is further already stays there.
    pub(crate) fn advance(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::Relaxed);
    }

    /// Lets stores that need a disk find the journal's thread.
    pub(crate) fn keep_journal(&self, journal: JournalThread) {
        // An engine starts once, so there is none yet.
        let _ = self.journal.set(journal);
    }

    /// Starts the threads that read what has left memory, unless nothing ever leaves it. A second call does nothing.
    pub(crate) fn start_readers(&self, count: usize) -> Result<(), EngineError> {
        if self.log.goes_beyond() && self.readers.get().is_none() {
            let readers = Readers::start(count, &self.clock, || self.open_session())?;
            // An engine starts once, so there are none yet.
            let _ = self.readers.set(readers);
        }
        Ok(())
    }

    /// Has `work`, which may wait for the disk, done by a thread that may; it is given the time at which it begins.
    /// `None` if too much waits for that already.
    pub(crate) fn read_elsewhere<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Session, Timestamp) -> T + Send + 'static,
    ) -> Option<Reading<T>> {
        let now = self.clock.now();
        self.forget_now_and_then(now);
        self.readers.get()?.submit(now, work)
    }

    /// Waits for the host's threads that are inside, at most `patience` but for the moment a call takes, then makes
    /// the journal write what is left. The stage must have gone on before, so that nobody comes in.
    pub(crate) fn wind_up(&self, patience: Duration) {
        // SeqCst: pairs with the fence in `with_session`. A thread either sees the stage or is waited for.
        fence(Ordering::SeqCst);
        self.sessions.close(patience.max(Duration::from_millis(CALL_PATIENCE_MS)));
        if let Some(readers) = self.readers.get() {
            readers.stop();
        }
        if let Some(journal) = self.journal.get() {
            journal.stop();
        }
    }

    /// The cover secret, without the epochs that are over.
    pub(crate) fn cover(&self) -> CoverSecret {
        let mut cover = self.cover.lock();
        cover.advance(self.retention, self.clock.now());
        cover.clone()
    }

    /// A session of its own for a thread that keeps it. It waits for no disk: bodies that have left memory are left out.
    pub(crate) fn open_session(&self) -> Result<Session, EngineError> {
        let cover = CoverSchedule::new(self.cover(), self.retention, Box::new(self.suite));
        let mut log = self.log.handle()?;
        log.leave_out_beyond(true);
        let log = WatchedLog::new(log, self.watches.clone());
        let service = Service::new(cover, &*self.random);
        self.tallies.lock().push(service.tally().clone());
        Ok(Session { service, log })
    }

    /// What the service did so far, on all threads.
    pub(crate) fn tallied(&self) -> Tallied {
        let mut sums = Tallied::default();
        self.tally.add_to(&mut sums);
        self.tallies.lock().iter().for_each(|tally| tally.add_to(&mut sums));
        sums
    }

    /// Why storing or retrieving would fail at `now`, for who has this handle on the log. `None` if both would succeed.
    pub(crate) fn fault(&self, log: &LogHandle, now: Timestamp) -> Option<&'static str> {
        self.fault_unless(now, || log.has_room(BODY_BUCKETS_BYTES[0], now))
    }

    /// [`fault`](Self::fault), for a thread that stores nothing: memory counts as full once no thread gets more of it. What
    /// is left in the segments that some have open says nothing of the others. It works with no session, so that it is
    /// answered too while all are lent.
    pub(crate) fn fault_here(&self) -> Option<&'static str> {
        let now = self.clock.now();
        self.forget_now_and_then(now);
        self.fault_unless(now, || self.log.has_segment(now))
    }

    fn fault_unless(&self, now: Timestamp, has_room: impl FnOnce() -> bool) -> Option<&'static str> {
        match self.stage() {
            Stage::Opened => Some("the service begins; try again"),
            Stage::Stopped => Some("the service is stopping"),
            Stage::Failed => Some("the service has failed; its operator starts it anew"),
            Stage::Running if self.pace(now) == Pace::Never => {
                Some("placements cannot be written to disk; retrieval goes on")
            }
            Stage::Running if !has_room() => {
                Some("the memory for placements is full of live ones; retrieval goes on")
            }
            Stage::Running if self.readers.get().is_some_and(Readers::is_full) => {
                Some("too much waits for the disk; retrievals are refused")
            }
            Stage::Running => None,
        }
    }

    /// Counts placements of this thread that were taken into memory, but the journal did not come to write them.
    #[cold]
    pub(crate) fn not_durable(&self, count: usize) {
        self.tally.not_stored_times(NotStored::NotDurable, whole(count));
    }

    /// Counts a store that was refused before it came to a session.
    #[cold]
    pub(crate) fn turned_away(&self, why: NotStored) {
        self.tally.not_stored(why);
    }

    /// Counts what was asked for and refused before it came to a session.
    #[cold]
    pub(crate) fn not_shown(&self, why: NotFound) {
        self.tally.not_found(why);
    }

    /// What the journal did so far, if there is one.
    pub(crate) fn journal_stats(&self) -> Option<JournalStats> {
        Some(self.journal.get()?.stats(self.clock.now()))
    }

    /// Counts stores that were refused before there was a session for them.
    #[cold]
    fn not_stored(&self, error: &EngineError, count: usize) {
        let why = match error.kind() {
            EngineErrorKind::Busy => NotStored::Busy,
            EngineErrorKind::Disk => NotStored::Journal,
            _ => NotStored::Stopped,
        };
        self.tally.not_stored_times(why, whole(count));
    }

    /// Counts what was asked for and not shown.
    #[cold]
    fn not_found(&self, error: &EngineError) {
        self.tally.not_found(match error.kind() {
            EngineErrorKind::Busy => NotFound::Busy,
            _ => NotFound::Stopped,
        });
    }

    /// When a store made at `now` may be acknowledged.
    pub(crate) fn pace(&self, now: Timestamp) -> Pace {
        match self.durability {
            _ if self.stage() == Stage::Failed => Pace::Never,
            Durability::Memory => Pace::AtOnce,
            _ => self.journal.get().map_or(Pace::Never, |journal| journal.pace(now)),
        }
    }

    /// Stores in process and returns when the placement is as durable as the engine promises.
    pub(crate) fn store(&self, number: TelephoneNumber, body: &[u8]) -> Result<PlacementId, EngineError> {
        let (now, pace) = self.storing_now(1)?;
        let stored =
            self.with_session(now, |session| session.service.store(&mut session.log, number, body, now));
        let id = stored.inspect_err(|error| self.not_stored(error, 1))??;
        self.make_durable(pace, 1)?;
        Ok(id)
    }

    /// As [`store`](Self::store), but waits for nothing: the ticket, if there is one, says when the placement is durable
    /// enough.
    pub(crate) fn begin_store(
        &self,
        number: TelephoneNumber,
        body: &[u8],
    ) -> Result<(PlacementId, Option<Ticket>), EngineError> {
        let (now, pace) = self.storing_now(1)?;
        let stored =
            self.with_session(now, |session| session.service.store(&mut session.log, number, body, now));
        let id = stored.inspect_err(|error| self.not_stored(error, 1))??;
        Ok((id, (pace == Pace::Committed).then(|| self.commits.ticket())))
    }

    /// As [`store`](Self::store), of many at once, in parts, each at the journal's pace; one wait for the disk does for
    /// all.
    pub(crate) fn store_batch(
        &self,
        placements: &[(TelephoneNumber, &[u8])],
    ) -> Result<Vec<Result<PlacementId, Problem>>, EngineError> {
        let mut results = Vec::with_capacity(placements.len());
        let mut part_results = Vec::with_capacity(placements.len().min(BATCH_STORES_PER_TURN));
        let mut slowest = Pace::AtOnce;
        for part in placements.chunks(BATCH_STORES_PER_TURN) {
            let left_count = placements.len() - results.len();
            let (now, pace) = self.storing_now(left_count)?;
            let stored = self.with_session(now, |session| {
                session.service.store_batch(&mut session.log, part, now, &mut part_results);
            });
            stored.inspect_err(|error| self.not_stored(error, left_count))?;
            if pace == Pace::Committed && part_results.iter().any(Result::is_ok) {
                slowest = pace;
            }
            results.append(&mut part_results);
            if self.journal.get().is_some_and(|journal| !journal.has_room()) {
                // The next pass makes some.
                self.make_durable(Pace::Committed, stored_count(&results))?;
            }
        }
        self.make_durable(slowest, stored_count(&results))?;
        Ok(results)
    }

    /// The time for `count` stores and when they may be acknowledged, if ever.
    #[inline]
    fn storing_now(&self, count: usize) -> Result<(Timestamp, Pace), EngineError> {
        let refused = |error| {
            self.not_stored(&error, count);
            error
        };
        self.stage().serves().map_err(refused)?;
        let now = self.clock.now();
        let pace = self.pace(now);
        if pace == Pace::Never {
            return Err(refused(Problem::Unavailable.into()));
        }
        Ok((now, pace))
    }

    /// Waits until what this thread has stored, `count` placements, is as durable as the engine promises.
    #[inline]
    fn make_durable(&self, pace: Pace, count: usize) -> Result<(), EngineError> {
        if pace != Pace::Committed {
            return Ok(());
        }
        let ticket = self.commits.ticket();
        match self.commits.wait(ticket, Duration::from_millis(COMMIT_WAIT_MS)) {
            CommitState::Durable => Ok(()),
            CommitState::Pending | CommitState::Failed => {
                self.not_durable(count);
                Err(Problem::Unavailable.into())
            }
        }
    }

    /// Everything under a number, as every retriever sees it.
    pub(crate) fn retrieve(&self, number: TelephoneNumber) -> Result<Vec<Item>, EngineError> {
        let retrieved = self.begin_retrieve(number)?;
        self.wait_for(retrieved)
    }

    /// As [`retrieve`](Self::retrieve), but waits for nothing: what must come from the disk is read elsewhere.
    pub(crate) fn begin_retrieve(
        &self,
        number: TelephoneNumber,
    ) -> Result<Retrieved<Vec<Item>>, EngineError> {
        self.begin_read(move |session, now| session.service.retrieve(&mut session.log, number, now))
    }

    /// As [`retrieve`](Self::retrieve), of many numbers, in parts.
    pub(crate) fn retrieve_batch(&self, numbers: &[TelephoneNumber]) -> Result<Vec<Vec<Item>>, EngineError> {
        let mut lists = Vec::with_capacity(numbers.len());
        for part in numbers.chunks(BATCH_NUMBERS_PER_TURN) {
            let part = part.to_vec();
            let retrieved = self.begin_read(move |session, now| {
                session.service.retrieve_batch(&mut session.log, &part, now)
            })?;
            lists.append(&mut self.wait_for(retrieved)?);
        }
        Ok(lists)
    }

    /// Does `work`, which shows bodies, with a session of the calling thread if nothing has left memory; else all such
    /// work is done by threads that may wait for the disk.
    fn begin_read<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Session, Timestamp) -> T + Send + 'static,
    ) -> Result<Retrieved<T>, EngineError> {
        self.stage().serves().inspect_err(|error| self.not_found(error))?;
        if !self.log.has_beyond() {
            let now = self.clock.now();
            let here = |session: &mut Session| (work(session, now), session.log.take_left_out());
            let shown = self.with_session(now, here).inspect_err(|error| self.not_found(error));
            let (result, left_out) = shown?;
            // Something may have left memory meanwhile.
            if !left_out {
                return Ok(Retrieved::Now(result));
            }
        }
        self.read_elsewhere(work).map(Retrieved::Later).ok_or_else(|| self.not_read())
    }

    fn wait_for<T>(&self, retrieved: Retrieved<T>) -> Result<T, EngineError> {
        match retrieved {
            Retrieved::Now(result) => Ok(result),
            Retrieved::Later(reading) => {
                let result = reading.wait(Duration::from_millis(READ_PATIENCE_MS));
                result.ok_or_else(|| self.not_read())
            }
        }
    }

    /// Why work that may need the disk was not done.
    #[cold]
    pub(crate) fn not_read(&self) -> EngineError {
        if let Err(stopped) = self.stage().serves() {
            self.not_found(&stopped);
            return stopped;
        }
        self.tally.not_found(NotFound::Disk);
        EngineError::new(EngineErrorKind::Busy, "too much waits for the disk; try again")
    }

    /// Lends the calling thread a session.
    ///
    /// If `work` panics the session is not lent again and the engine has failed: what the panic left behind may
    /// be half done.
    fn with_session<T>(
        &self,
        now: Timestamp,
        work: impl FnOnce(&mut Session) -> T,
    ) -> Result<T, EngineError> {
        self.stage().serves()?;
        self.forget_now_and_then(now);
        let lent = self.sessions.lend(now, || self.open_session())?;
        // SeqCst: pairs with the fence in `wind_up`.
        fence(Ordering::SeqCst);
        self.stage().serves()?;
        let mut inside = Inside { shared: self, lent, is_done: false };
        let result = work(&mut inside.lent);
        inside.is_done = true;
        Ok(result)
    }
}

impl Shared {
    /// Sessions of threads that have gone keep cover keys and expired placements as long as nobody works with them.
    /// So whoever comes in, once in [`FORGET_PERIOD_MS`], makes all forget what is over.
    #[inline]
    fn forget_now_and_then(&self, now: Timestamp) {
        let last = self.forgot_at.load(Ordering::Relaxed);
        if now.millis_since(Timestamp::from_millis(last)) >= FORGET_PERIOD_MS {
            self.forget(last, now);
        }
    }

    #[cold]
    fn forget(&self, last: u64, now: Timestamp) {
        // Relaxed, both: decides who does it, no more.
        let turn =
            self.forgot_at.compare_exchange(last, now.as_millis(), Ordering::Relaxed, Ordering::Relaxed);
        if turn.is_ok() {
            self.cover.lock().advance(self.retention, now);
            self.sessions.for_each_idle(Timestamp::from_millis(last), |session| session.forget(now));
        }
    }
}

fn stored_count(results: &[Result<PlacementId, Problem>]) -> usize {
    results.iter().filter(|result| result.is_ok()).count()
}

fn whole(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// A thread is at work with a session. Dropped before it is done, in a panic, it fails the engine.
struct Inside<'a> {
    shared: &'a Shared,
    lent: Lent<'a>,
    is_done: bool,
}

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.is_done {
            self.shared.advance(Stage::Failed);
            self.lent.lose();
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::time::Instant;

    use herald_log::LogConfig;
    use herald_stir::SystemRandom;

    use super::*;
    use crate::SystemClock;
    use crate::limits::SESSIONS_MAX;

    fn at() -> Timestamp {
        Timestamp::from_millis(1)
    }

    pub(crate) fn shared() -> Shared {
        let log = PlacementLog::create(log_config()).expect("48 MiB are to be had");
        shared_over(log, Arc::new(SystemClock::starting_at(Timestamp::default())))
    }

    /// Room for all sessions, some readers and a reactor.
    pub(crate) fn log_config() -> LogConfig {
        LogConfig {
            arena_bytes: 48 << 20,
            segment_bytes: 64 << 10,
            hash_key: SystemRandom.key(),
            handles_max: SESSIONS_MAX + 8,
        }
    }

    pub(crate) fn shared_over(log: Arc<PlacementLog>, clock: Arc<dyn Clock>) -> Shared {
        let now = clock.now();
        let retention = Retention::DEFAULT;
        let cover = CoverSecret::generate(&SystemRandom, retention, now);
        let shared = Shared::new(
            log,
            clock,
            Arc::new(SystemRandom),
            Durability::Memory,
            retention,
            Suite::X25519,
            cover,
        );
        shared.advance(Stage::Running);
        shared
    }

    #[test]
    fn a_panic_inside_fails_the_engine_and_leaves_no_session_lent() {
        let shared = shared();
        let outcome = catch_unwind(AssertUnwindSafe(|| shared.with_session(at(), |_| panic!("on purpose"))));
        assert!(outcome.is_err());
        assert_eq!(shared.with_session(at(), |_| ()).unwrap_err().kind(), EngineErrorKind::Failed);
        // A session still counted as lent would make this wait its whole patience.
        let began = Instant::now();
        shared.wind_up(Duration::from_secs(60));
        assert!(began.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn one_thread_more_than_sessions_is_told_to_try_again_and_then_succeeds() {
        let shared = shared();
        let (inside, leave) = (Barrier::new(SESSIONS_MAX + 1), Barrier::new(SESSIONS_MAX + 1));
        std::thread::scope(|scope| {
            for _ in 0..SESSIONS_MAX {
                scope.spawn(|| {
                    let stay = |_: &mut Session| {
                        inside.wait();
                        leave.wait();
                    };
                    shared.with_session(at(), stay).expect("a session for each");
                });
            }
            inside.wait();
            let refused = shared.with_session(at(), |_| ()).unwrap_err();
            leave.wait();
            assert_eq!(refused.kind(), EngineErrorKind::Busy);
        });
        shared.with_session(at(), |_| ()).expect("all sessions are back");
    }

    #[test]
    fn a_stopped_engine_lets_nobody_in_and_a_failed_one_stays_failed() {
        let shared = shared();
        shared.advance(Stage::Stopped);
        assert_eq!(shared.with_session(at(), |_| ()).unwrap_err().kind(), EngineErrorKind::State);
        shared.advance(Stage::Failed);
        shared.advance(Stage::Running);
        assert_eq!(shared.stage(), Stage::Failed);
    }

    #[test]
    fn an_engine_wound_up_without_patience_lets_nobody_in_even_if_a_session_comes_back_late() {
        let shared = shared();
        let (inside, leave) = (Barrier::new(2), Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let stay = |_: &mut Session| {
                    inside.wait();
                    leave.wait();
                };
                shared.with_session(at(), stay).expect("it was let in before");
            });
            inside.wait();
            shared.advance(Stage::Stopped);
            shared.wind_up(Duration::ZERO);
            leave.wait();
        });
        let from_elsewhere = std::thread::scope(|scope| scope.spawn(|| shared.store_any()).join());
        let from_elsewhere = from_elsewhere.expect("no panic");
        for refused in [shared.store_any(), from_elsewhere] {
            assert_eq!(refused.unwrap_err().kind(), EngineErrorKind::State);
        }
    }

    impl Shared {
        pub(crate) fn reads_waiting_count(&self) -> usize {
            self.readers.get().map_or(0, Readers::waiting_count)
        }

        pub(crate) fn store_any(&self) -> Result<PlacementId, EngineError> {
            self.store(TelephoneNumber::parse(b"12225550100").expect("digits"), &[7; 640])
        }
    }
}
