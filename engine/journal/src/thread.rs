//! The journal's thread: passes on demand (`synced`) or by the clock (`buffered`), and one behind the other while much
//! is stored. What they wrote is forced to the disk beside them, by a thread of its own, where the store can do that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use herald_core::{Clock, Timestamp};
use herald_log::PlacementLog;
use parking_lot::Mutex;

use crate::commits::{Commits, Demand};
use crate::journal::{Durability, Journal, PassOutcome, Unsynced, WrittenPass};
use crate::limits::{
    BUFFERED_LAG_MS, BUFFERED_LAG_SHARE, BUFFERED_PASS_MS, BUFFERED_SYNC_MS, BUFFERED_UNSYNCED_MS,
    BUFFERED_WINDOW_MS, BUSY_PASS_BYTES, COMMIT_WAIT_MS, FREE_SHARE_SLOW, IDLE_PASS_MS, RETRY_MS,
    SYNCING_PASS_MS, UNREAD_NOTICE_MS,
};
use crate::store::{BlockStore, Fault};
use crate::syncing::{Ended, Syncing};

/// When a store may be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At once.
    AtOnce,
    /// When its commit is done: take a ticket behind it. Always so in `synced`; in `buffered` while the journal lags
    /// behind, which slows who stores to what the disk takes.
    Committed,
    /// Not at all: refuse it.
    Never,
}

/// What the journal's thread tells an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The first failure after a success.
    Failing(Fault),
    /// Stores begin to be refused because a forced write is under way and the disk is not known to have what is this old,
    /// in ms.
    Hanging(u64),
    /// The first success after either.
    Working,
    /// Records that have left memory could not be read and were left out of answers: so many since this was told last,
    /// at most once in [`UNREAD_NOTICE_MS`](crate::limits::UNREAD_NOTICE_MS), and what the disk last said if it said
    /// anything.
    Unread(u64, Option<Fault>),
}

/// A running journal.
pub struct JournalThread {
    commits: Arc<Commits>,
    log: Arc<PlacementLog>,
    durability: Durability,
    progress: Arc<Progress>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread shares with those who ask whether stores are possible. Times in ms of the engine's clock.
struct Progress {
    /// When the last pass that succeeded began.
    good_at: AtomicU64,
    /// When the last pass began that is known to be on the disk.
    synced_at: AtomicU64,
    /// How many segments of the log had been opened when the pass of `good_at` began.
    good_segments: AtomicU64,
    /// 1 while the disk fails.
    failing: AtomicU64,
    passes: AtomicU64,
    passes_failed: AtomicU64,
    written_bytes: AtomicU64,
    /// In all passes, in microseconds.
    pass_us: AtomicU64,
}

/// What a journal did since its start, at about the moment of asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalStats {
    /// How long ago the last pass that succeeded began, in ms; in `synced` the last that is on the disk.
    pub lag_ms: u64,
    /// How long ago the last pass began that is known to be on the disk, in ms: a power cut may take what came later.
    pub unsynced_ms: u64,
    /// Whether stores are refused: the disk fails, or has hung for too long.
    pub is_failing: bool,
    /// Passes, those that failed among them.
    pub passes: u64,
    /// Passes that failed, or whose bytes could not be forced to the disk.
    pub passes_failed: u64,
    /// Bytes of blocks that were written.
    pub written_bytes: u64,
    /// Time in passes, in microseconds.
    pub pass_us: u64,
}

impl Progress {
    fn count(&self, outcome: &Result<PassOutcome, Fault>, took: Duration) {
        let add = |counter: &AtomicU64, more: u64| counter.fetch_add(more, Ordering::Relaxed);
        add(&self.passes, 1);
        add(&self.pass_us, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        match outcome {
            Ok(outcome) => add(&self.written_bytes, outcome.written_bytes as u64),
            Err(_) => add(&self.passes_failed, 1),
        };
    }
}

impl JournalThread {
    /// Starts passes of `journal`. `report` is called on the journal's thread.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start<S: BlockStore + 'static>(
        journal: Journal<S>,
        commits: Arc<Commits>,
        clock: Arc<dyn Clock>,
        report: impl Fn(Notice) + Send + 'static,
    ) -> std::io::Result<Self> {
        let progress = Arc::new(Progress {
            good_at: AtomicU64::new(clock.now().as_millis()),
            synced_at: AtomicU64::new(clock.now().as_millis()),
            good_segments: AtomicU64::new(journal.log().segments_opened()),
            failing: AtomicU64::new(0),
            passes: AtomicU64::new(0),
            passes_failed: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            pass_us: AtomicU64::new(0),
        });
        let (log, durability) = (journal.log().clone(), journal.durability());
        let driver = Driver {
            syncing: Syncing::start(commits.clone(), durability)?,
            journal,
            commits: commits.clone(),
            progress: progress.clone(),
            clock,
            report: Box::new(report),
            sync_began_at: Timestamp::default(),
            idle_passes: BUFFERED_PASS_MS,
            is_hanging: false,
            unread_told: (0, None),
        };
        let thread = std::thread::Builder::new().name("herald-journal".into()).spawn(move || driver.run())?;
        Ok(Self { commits, log, durability, progress, thread: Mutex::new(Some(thread)) })
    }

    /// When a store made at `now` may be acknowledged. Any thread; a few loads.
    pub fn pace(&self, now: Timestamp) -> Pace {
        // Relaxed, all: hints; what is acknowledged on a commit is decided by the commit itself.
        if self.progress.failing.load(Ordering::Relaxed) != 0 {
            return Pace::Never;
        }
        let lag_ms = since(&self.progress.good_at, now);
        // A disk that hangs reports nothing.
        let hangs = since(&self.progress.synced_at, now) >= unsynced_ms_max(self.durability);
        match self.durability {
            Durability::Memory => Pace::AtOnce,
            _ if hangs => Pace::Never,
            Durability::Synced => Pace::Committed,
            Durability::Buffered
                if lag_ms < BUFFERED_LAG_MS && self.backlog_is_small() && self.has_room() =>
            {
                Pace::AtOnce
            }
            Durability::Buffered if lag_ms < BUFFERED_WINDOW_MS => Pace::Committed,
            Durability::Buffered => Pace::Never,
        }
    }

    /// Whether few segments were opened since the last good pass began.
    fn backlog_is_small(&self) -> bool {
        let seen = self.progress.good_segments.load(Ordering::Relaxed);
        let opened = self.log.segments_opened();
        opened.saturating_sub(seen) * BUFFERED_LAG_SHARE <= self.log.segments_total() as u64
    }

    /// Whether there is memory enough until the next pass makes room, in a log that lets records leave it. Any thread; a
    /// few loads.
    pub fn has_room(&self) -> bool {
        !self.log.goes_beyond() || self.log.segments_free() * FREE_SHARE_SLOW > self.log.segments_total()
    }

    /// What it did so far. Any thread; a few loads.
    pub fn stats(&self, now: Timestamp) -> JournalStats {
        // Relaxed, all: the numbers order nothing.
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Progress { good_at, synced_at, passes, passes_failed, written_bytes, pass_us, .. } =
            &*self.progress;
        let durable_at = if self.durability == Durability::Synced { synced_at } else { good_at };
        JournalStats {
            lag_ms: since(durable_at, now),
            unsynced_ms: since(synced_at, now),
            is_failing: self.pace(now) == Pace::Never,
            passes: read(passes),
            passes_failed: read(passes_failed),
            written_bytes: read(written_bytes),
            pass_us: read(pass_us),
        }
    }

    /// Writes what is left, durably, and ends the thread; dropping does the same. A second call does nothing.
    pub fn stop(&self) {
        self.commits.close();
        if let Some(thread) = self.thread.lock().take() {
            // A panic of the journal has ended it already and was reported by the panic hook.
            let _ = thread.join();
        }
    }
}

impl Drop for JournalThread {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How old, in ms, what the disk is not known to have may become before stores are refused.
const fn unsynced_ms_max(durability: Durability) -> u64 {
    match durability {
        Durability::Memory => u64::MAX,
        Durability::Buffered => BUFFERED_UNSYNCED_MS,
        Durability::Synced => COMMIT_WAIT_MS,
    }
}

/// Whether a pass wrote so much that the next is to follow at once.
fn is_busy(outcome: &Result<PassOutcome, Fault>) -> bool {
    outcome.as_ref().is_ok_and(|outcome| outcome.written_bytes >= BUSY_PASS_BYTES)
}

fn since(moment_ms: &AtomicU64, now: Timestamp) -> u64 {
    // Relaxed: a hint, as whatever is shared of the progress.
    now.millis_since(Timestamp::from_millis(moment_ms.load(Ordering::Relaxed)))
}

/// However the thread ends, also by a panic: nobody waits for it any more and no store counts on it.
struct End {
    commits: Arc<Commits>,
    progress: Arc<Progress>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.progress.failing.store(1, Ordering::Relaxed);
        self.commits.close();
        self.commits.wake_all();
    }
}

type Report = Box<dyn Fn(Notice) + Send>;

struct Driver<S> {
    journal: Journal<S>,
    syncing: Syncing,
    commits: Arc<Commits>,
    progress: Arc<Progress>,
    clock: Arc<dyn Clock>,
    report: Report,
    /// When the pass began whose bytes were last to be forced, whatever came of it.
    sync_began_at: Timestamp,
    /// Passes since the last that was busy, in `synced` also since the end of a sync of as much, each worth more rest.
    idle_passes: u64,
    /// Whether it was told that the disk hangs.
    is_hanging: bool,
    /// How many unread records were told, and when last.
    unread_told: (u64, Option<Timestamp>),
}

impl<S: BlockStore> Driver<S> {
    fn run(mut self) {
        let _end = End { commits: self.commits.clone(), progress: self.progress.clone() };
        let mut outcome = Ok(PassOutcome { written_bytes: 0 });
        loop {
            let (rest, patience) = self.patience_after(&outcome);
            match self.commits.await_demand(rest, patience) {
                Demand::Stop => break,
                Demand::SyncEnded => {
                    while let Some(ended) = self.syncing.take_ended() {
                        outcome = self.end_sync(ended).and(outcome);
                    }
                }
                Demand::Pass => {
                    outcome = self.pass(false);
                    self.idle_passes = if is_busy(&outcome) { 0 } else { self.idle_passes + 1 };
                }
            }
        }
        // Whether it succeeds or not, it was reported.
        let _ = self.pass(true);
    }

    /// How long to sleep after a pass, whoever waits, and how long if nobody does.
    fn patience_after(&self, outcome: &Result<PassOutcome, Fault>) -> (Duration, Duration) {
        let millis = match (outcome, self.journal.durability()) {
            (Err(_), _) => RETRY_MS,
            (Ok(_), _) if is_busy(outcome) => 0,
            // Those who store may have waited for the busy pass before, or for its sync, and go on only now.
            (Ok(_), Durability::Buffered) => BUFFERED_PASS_MS.min(self.idle_passes),
            (Ok(_), Durability::Synced) => IDLE_PASS_MS.min(1 << self.idle_passes.saturating_sub(1).min(32)),
            (Ok(_), Durability::Memory) => IDLE_PASS_MS,
        };
        let rest_millis = match outcome {
            Err(_) => millis,
            Ok(_) if self.waits_for_sync() => SYNCING_PASS_MS,
            Ok(_) => 0,
        };
        (Duration::from_millis(rest_millis), Duration::from_millis(millis))
    }

    /// Whether those who store wait for a sync that is under way.
    fn waits_for_sync(&self) -> bool {
        self.journal.durability() == Durability::Synced && self.syncing.is_under_way()
    }

    /// A pass, and the sync of what it wrote: beside it where possible, before it ends otherwise and if it is the last.
    fn pass(&mut self, last: bool) -> Result<PassOutcome, Fault> {
        let (now, segments) = (self.clock.now(), self.journal.log().segments_opened());
        self.tell_hanging(now);
        let sync_due = now.millis_since(self.sync_began_at) >= BUFFERED_SYNC_MS;
        let synced_only = self.journal.durability() == Durability::Synced;
        let sync = last || synced_only || sync_due || self.is_failing();
        let began = Instant::now();
        let beside = if last { None } else { self.journal.pass_beside(now) };
        let outcome = match beside {
            Some(written) => written.and_then(|(outcome, unsynced)| {
                if sync {
                    self.sync_beside(unsynced);
                }
                self.journal.end_pass(now)?;
                Ok(outcome)
            }),
            None => self.pass_and_sync(now, sync),
        };
        self.progress.count(&outcome, began.elapsed());
        self.note(now, segments, &outcome);
        self.tell_unread(now);
        outcome
    }

    /// A pass with nothing beside it.
    fn pass_and_sync(&mut self, now: Timestamp, sync: bool) -> Result<PassOutcome, Fault> {
        self.syncing.forget_next();
        while let Some(ended) = self.syncing.await_ended() {
            // If it failed, this pass begins again.
            let _ = self.end_sync(ended);
        }
        let outcome = self.journal.pass(now, sync);
        if sync {
            self.sync_began_at = now;
            if outcome.is_ok() {
                self.note_synced(now);
            }
        }
        outcome
    }

    /// Begins the sync of a pass once the one under way has ended. In `buffered` that of a later pass then, as nobody waits
    /// for this one.
    fn sync_beside(&mut self, unsynced: Unsynced) {
        if self.journal.durability() == Durability::Synced || !self.syncing.is_under_way() {
            self.sync_began_at = unsynced.pass.began_at;
            self.syncing.begin(unsynced);
        }
    }

    /// Takes the end of a sync.
    fn end_sync(&mut self, (pass, outcome): Ended) -> Result<(), Fault> {
        let WrittenPass { began_at, written_bytes, .. } = pass;
        self.journal.end_sync(pass, &outcome);
        match &outcome {
            Ok(()) => {
                // In `buffered` nobody waited for it.
                if self.journal.durability() == Durability::Synced && written_bytes >= BUSY_PASS_BYTES {
                    self.idle_passes = 0;
                }
                self.note_synced(began_at);
            }
            Err(fault) => {
                self.progress.passes_failed.fetch_add(1, Ordering::Relaxed);
                self.note_fault(fault);
            }
        }
        outcome
    }

    fn is_failing(&self) -> bool {
        self.progress.failing.load(Ordering::Relaxed) != 0
    }

    /// Shares that what a pass wrote that began at `now` is on the disk.
    fn note_synced(&mut self, now: Timestamp) {
        self.progress.synced_at.store(now.as_millis(), Ordering::Relaxed);
        // While the journal fails it is for the next pass to tell.
        if !self.is_failing() && core::mem::take(&mut self.is_hanging) {
            (self.report)(Notice::Working);
        }
    }

    /// Shares and reports how a pass went.
    fn note(&mut self, now: Timestamp, segments: u64, outcome: &Result<PassOutcome, Fault>) {
        match outcome {
            Ok(_) => {
                self.progress.good_at.store(now.as_millis(), Ordering::Relaxed);
                self.progress.good_segments.store(segments, Ordering::Relaxed);
                if self.progress.failing.swap(0, Ordering::Relaxed) != 0 {
                    self.is_hanging = false;
                    (self.report)(Notice::Working);
                }
            }
            Err(fault) => {
                self.syncing.forget_next();
                self.note_fault(fault);
            }
        }
    }

    fn note_fault(&self, fault: &Fault) {
        if self.progress.failing.swap(1, Ordering::Relaxed) == 0 {
            (self.report)(Notice::Failing(fault.clone()));
        }
    }

    /// A forced write that hangs is told once; it says nothing itself.
    fn tell_hanging(&mut self, now: Timestamp) {
        let unsynced_ms = since(&self.progress.synced_at, now);
        let hangs = self.syncing.is_under_way() && unsynced_ms >= unsynced_ms_max(self.journal.durability());
        if hangs && !self.is_hanging && !self.is_failing() {
            self.is_hanging = true;
            (self.report)(Notice::Hanging(unsynced_ms));
        }
    }

    fn tell_unread(&mut self, now: Timestamp) {
        let (told, told_at) = self.unread_told;
        let unread = self.journal.log().records_unread();
        if unread > told && told_at.is_none_or(|at| now.millis_since(at) >= UNREAD_NOTICE_MS) {
            let fault = self.journal.store().take_read_fault();
            (self.report)(Notice::Unread(unread - told, fault));
            self.unread_told = (unread, Some(now));
        }
    }
}
