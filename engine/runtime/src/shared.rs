//! What all threads of one engine share, and the session each of them works with.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use herald_core::limits::BODY_BUCKETS_BYTES;
use herald_core::{
    Clock, Effect, Health, Item, NotFound, NotStored, PlacementClass, PlacementId, Problem, Random, Request,
    Service, Tallied, Tally, TelephoneNumber, Timestamp,
};
use herald_journal::{CommitState, Durability, Pace};
use herald_stir::Suite;
use parking_lot::Mutex;

use crate::error::{EngineError, EngineErrorKind};
use crate::limits::{
    BATCH_NUMBERS_PER_TURN, BATCH_STORES_PER_TURN, CALL_PATIENCE_MS, FORGET_PERIOD_MS, READ_PATIENCE_MS,
};
use crate::readers::{Readers, Reading};
use crate::sessions::{Lent, Session, Sessions};
use crate::stack::{Pending, Stack, Terms};
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
    pub(crate) calls: Stack,
    /// If messages are kept.
    pub(crate) messages: Option<Stack>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) durability: Durability,
    suite: Suite,
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

impl Shared {
    pub(crate) fn new(
        (calls, messages): (Stack, Option<Stack>),
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        durability: Durability,
        suite: Suite,
    ) -> Self {
        Self {
            calls,
            messages,
            clock,
            random,
            durability,
            suite,
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
        // Relaxed: whoever needs more than a hint has a session, see `with_session`.
        Stage::ALL[usize::from(self.stage.load(Ordering::Relaxed))]
    }

    /// Goes on to `stage`; an engine that is further already stays there.
    pub(crate) fn advance(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::Relaxed);
    }

    /// The placements of a class, if they are kept.
    #[inline]
    pub(crate) const fn stack(&self, class: PlacementClass) -> Option<&Stack> {
        match class {
            PlacementClass::Call => Some(&self.calls),
            PlacementClass::Message => self.messages.as_ref(),
        }
    }

    /// The classes that are kept, with their placements.
    pub(crate) fn stacks(&self) -> impl Iterator<Item = (PlacementClass, &Stack)> {
        PlacementClass::ALL.into_iter().filter_map(|class| Some((class, self.stack(class)?)))
    }

    /// Whether placements may ever leave memory.
    pub(crate) fn goes_beyond(&self) -> bool {
        self.stacks().any(|(_, stack)| stack.log.goes_beyond())
    }

    /// Whether some have left memory.
    #[inline]
    pub(crate) fn has_beyond(&self) -> bool {
        self.calls.log.has_beyond() || self.messages.as_ref().is_some_and(|stack| stack.log.has_beyond())
    }

    /// Starts the threads that read what has left memory, unless nothing ever leaves it. A second call does nothing.
    pub(crate) fn start_readers(&self, count: usize) -> Result<(), EngineError> {
        if self.goes_beyond() && self.readers.get().is_none() {
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
        self.sessions.close(patience.max(Duration::from_millis(CALL_PATIENCE_MS)));
        if let Some(readers) = self.readers.get() {
            readers.stop();
        }
        self.stacks().for_each(|(_, stack)| stack.stop());
    }

    /// A session of its own for a thread that keeps it. It waits for no disk: bodies that have left memory are left out.
    pub(crate) fn open_session(&self) -> Result<Session, EngineError> {
        let now = self.clock.now();
        let mut service = Service::new(self.calls.schedule(self.suite, now), &*self.random);
        let mut log = WatchedLog::new(self.calls.log.handle()?, self.watches.clone());
        if let Some(stack) = &self.messages {
            service = service.and_messages(stack.schedule(self.suite, now), &*self.random);
            log = log.and_messages(stack.log.handle()?);
        }
        log.leave_out_beyond(true);
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

    /// Why storing or retrieving would fail at `now`, for who has these handles.
    pub(crate) fn health(&self, log: &WatchedLog, now: Timestamp) -> Health<'static> {
        self.health_if(now, |class, _| log.has_room(class, BODY_BUCKETS_BYTES[0], now))
    }

    /// [`health`](Self::health), for a thread that stores nothing: memory counts as full once no thread gets more of it.
    /// What is left in the segments that some have open says nothing of the others. It works with no session, so that it
    /// is answered too while all are lent.
    pub(crate) fn health_here(&self) -> Health<'static> {
        let now = self.clock.now();
        self.forget_now_and_then(now);
        self.health_if(now, |_, stack| stack.log.has_segment(now))
    }

    fn health_if(
        &self,
        now: Timestamp,
        has_room: impl Fn(PlacementClass, &Stack) -> bool,
    ) -> Health<'static> {
        let of_class = |class| {
            let stack = self.stack(class)?;
            let [unwritten, full] = faults_of(class);
            match stack.pace(self.durability, now) {
                Pace::Never => Some(unwritten),
                Pace::AtOnce | Pace::Committed => (!has_room(class, stack)).then_some(full),
            }
        };
        // Whoever fills messages, and may for days, takes no service of calls out of a balancer's hands.
        let of_messages = of_class(PlacementClass::Message);
        let fault = match self.stage() {
            Stage::Opened => Some("the service begins; try again"),
            Stage::Stopped => Some("the service is stopping"),
            Stage::Failed => Some("the service has failed; its operator starts it anew"),
            Stage::Running => of_class(PlacementClass::Call).or_else(|| {
                let is_full = self.readers.get().is_some_and(Readers::is_full);
                is_full.then_some("too much waits for the disk; retrievals are refused")
            }),
        };
        Health { fault, of_messages }
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

    /// Counts stores that were refused before there was a session for them.
    #[cold]
    fn not_stored(&self, error: &EngineError, count: usize) {
        let why = match error.kind() {
            EngineErrorKind::Busy => NotStored::Busy,
            EngineErrorKind::Disk => NotStored::Journal,
            // The class alone is looked at before there is a session.
            EngineErrorKind::Argument => NotStored::MediaType,
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

    /// On what terms a store of `class` that is made at `now` is taken.
    #[inline]
    pub(crate) fn terms(&self, class: PlacementClass, now: Timestamp) -> Terms {
        match self.stack(class) {
            None => Terms::not_kept(class),
            Some(_) if self.stage() == Stage::Failed => Terms::of(class, Pace::Never),
            Some(stack) => Terms::of(class, stack.pace(self.durability, now)),
        }
    }

    /// On what terms what `request` stores, if it does, is taken at `now`. The service refuses a class that does not exist.
    pub(crate) fn terms_of(&self, request: &Request<'_>, now: Timestamp) -> Terms {
        self.terms(request.class().unwrap_or_default(), now)
    }

    /// What is to be waited for behind stores of this thread that were taken on `terms` and had `effect`.
    pub(crate) fn pending(&self, terms: Terms, effect: Effect) -> Option<Pending> {
        let stack = self.stack(terms.class).filter(|_| terms.is_awaited(effect))?;
        Some(Pending { class: terms.class, ticket: stack.commits.ticket() })
    }

    /// What is known of placements; while that is nothing, `waker` is woken once it changes.
    pub(crate) fn poll_durable(&self, pending: Pending, waker: &Waker) -> Poll<CommitState> {
        let stack = self.stack(pending.class);
        stack.map_or(Poll::Ready(CommitState::Failed), |stack| stack.poll(pending.ticket, waker))
    }

    /// Stores in process and returns when the placement is as durable as the engine promises.
    pub(crate) fn store(
        &self,
        class: PlacementClass,
        number: TelephoneNumber,
        body: &[u8],
    ) -> Result<PlacementId, EngineError> {
        let (id, terms) = self.store_unawaited(class, number, body)?;
        self.make_durable(terms, 1)?;
        Ok(id)
    }

    fn store_unawaited(
        &self,
        class: PlacementClass,
        number: TelephoneNumber,
        body: &[u8],
    ) -> Result<(PlacementId, Terms), EngineError> {
        let (now, terms) = self.storing_now(class, 1)?;
        let stored = self.with_session(now, |session| {
            let (service, log) = session.of_class(class)?;
            service.store(log, number, body, now)
        });
        let id = stored.inspect_err(|error| self.not_stored(error, 1))??;
        Ok((id, terms))
    }

    /// As [`store`](Self::store) of a call, but waits for nothing: what is pending, if anything is, says when the placement
    /// is durable enough.
    pub(crate) fn begin_store(
        &self,
        number: TelephoneNumber,
        body: &[u8],
    ) -> Result<(PlacementId, Option<Pending>), EngineError> {
        let (id, terms) = self.store_unawaited(PlacementClass::Call, number, body)?;
        Ok((id, self.pending(terms, Effect::MakeDurable)))
    }

    /// As [`store`](Self::store), of many at once, in parts, each at the journal's pace; one wait for the disk does for
    /// all.
    pub(crate) fn store_batch(
        &self,
        class: PlacementClass,
        placements: &[(TelephoneNumber, &[u8])],
    ) -> Result<Vec<Result<PlacementId, Problem>>, EngineError> {
        if placements.is_empty() {
            // Nobody else asks whether the engine would take any.
            self.storing_now(class, 0)?;
        }
        let mut results = Vec::with_capacity(placements.len());
        let mut part_results = Vec::with_capacity(placements.len().min(BATCH_STORES_PER_TURN));
        let mut are_awaited = false;
        for part in placements.chunks(BATCH_STORES_PER_TURN) {
            let left_count = placements.len() - results.len();
            let (now, terms) = self.storing_now(class, left_count)?;
            let stored = self.with_session(now, |session| {
                let (service, log) = session.of_class(class)?;
                service.store_batch(log, part, now, &mut part_results);
                Ok::<_, Problem>(())
            });
            stored.inspect_err(|error| self.not_stored(error, left_count))??;
            are_awaited |= terms.are_awaited && part_results.iter().any(Result::is_ok);
            results.append(&mut part_results);
            if self.stack(class).is_some_and(|stack| !stack.has_room()) {
                // The next pass makes some.
                self.make_durable(Terms::of(class, Pace::Committed), stored_count(&results))?;
            }
        }
        if are_awaited {
            self.make_durable(Terms::of(class, Pace::Committed), stored_count(&results))?;
        }
        Ok(results)
    }

    /// The time for `count` stores and on what terms they are taken, if they are.
    #[inline]
    fn storing_now(&self, class: PlacementClass, count: usize) -> Result<(Timestamp, Terms), EngineError> {
        let refused = |error| {
            self.not_stored(&error, count);
            error
        };
        self.stage().serves().map_err(refused)?;
        let now = self.clock.now();
        let terms = self.terms(class, now);
        terms.storing.check(class).map_err(|problem| refused(problem.into()))?;
        Ok((now, terms))
    }

    /// Waits until what this thread has stored, `count` placements, is as durable as the engine promises.
    #[inline]
    fn make_durable(&self, terms: Terms, count: usize) -> Result<(), EngineError> {
        if !terms.are_awaited || self.stack(terms.class).is_some_and(Stack::wait_durable) {
            return Ok(());
        }
        self.not_durable(count);
        Err(Problem::Unavailable.into())
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
        if numbers.is_empty() {
            self.stage().serves()?;
        }
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
        if !self.has_beyond() {
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
        // Who winds up has the stage go on and then exchanges what is in each place. Had it come to this one first, there
        // would have been nothing to lend; if it comes later, it waits for this call; and if it gives up on this call, the
        // next loan sees the stage, which the exchange handed on.
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
            self.stacks().for_each(|(_, stack)| stack.forget(now));
            self.sessions.for_each_idle(Timestamp::from_millis(last), |session| session.forget(now));
        }
    }
}

/// What is wrong where placements of a class cannot be written, and where there is no memory for them.
const fn faults_of(class: PlacementClass) -> [&'static str; 2] {
    match class {
        PlacementClass::Call => [
            "placements cannot be written to disk; retrieval goes on",
            "the memory for placements is full of live ones; retrieval goes on",
        ],
        PlacementClass::Message => [
            "messages cannot be written to disk; calls and retrieval go on",
            "the memory for messages is full of live ones; calls and retrieval go on",
        ],
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

    use herald_core::{CoverSecret, Retention};
    use herald_log::{LogConfig, PlacementLog};
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
        let calls = Stack::new(log, retention, cover);
        let random = Arc::new(SystemRandom);
        let shared = Shared::new((calls, None), clock, random, Durability::Memory, Suite::X25519);
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
            self.store(
                PlacementClass::Call,
                TelephoneNumber::parse(b"12225550100").expect("digits"),
                &[7; 640],
            )
        }
    }
}
