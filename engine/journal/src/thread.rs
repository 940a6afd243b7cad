//! The journal's thread: passes on demand (`synced`) or by the clock (`buffered`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use herald_core::{Clock, Timestamp};
use parking_lot::Mutex;

use crate::commits::Commits;
use crate::journal::Journal;
use crate::limits::{
    BUFFERED_PASS_MS, BUFFERED_SYNC_MS, BUFFERED_WINDOW_MS, COMMIT_WAIT_MS, IDLE_PASS_MS, RETRY_MS,
};
use crate::store::{BlockStore, Fault};

/// When a store is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// At once; a restart loses every placement.
    Memory,
    /// At once; a killed process loses at most the last
    /// [`BUFFERED_WINDOW_MS`](crate::limits::BUFFERED_WINDOW_MS) ms in which stores were acknowledged, a power
    /// cut about a second more.
    Buffered,
    /// When the disk has it; nothing acknowledged is lost.
    Synced,
}

/// A running journal.
pub struct JournalThread {
    commits: Arc<Commits>,
    progress: Arc<Progress>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread shares with those who ask whether stores are possible. Times in ms of the engine's clock.
struct Progress {
    /// When the last pass that succeeded began.
    good_at: AtomicU64,
    /// 1 while the disk fails.
    failing: AtomicU64,
}

impl JournalThread {
    /// Starts passes of `journal`. `report` hears of the first failure after a success (`Some`) and of the first
    /// success after a failure (`None`), on the journal's thread.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start<S: BlockStore + 'static>(
        journal: Journal<S>,
        commits: Arc<Commits>,
        durability: Durability,
        clock: Arc<dyn Clock>,
        report: impl Fn(Option<&Fault>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let progress = Arc::new(Progress {
            good_at: AtomicU64::new(clock.now().as_millis()),
            failing: AtomicU64::new(0),
        });
        let driver = Driver {
            journal,
            commits: commits.clone(),
            progress: progress.clone(),
            durability,
            clock,
            report: Box::new(report),
            synced_at: Timestamp::default(),
        };
        let thread = std::thread::Builder::new().name("herald-journal".into()).spawn(move || driver.run())?;
        Ok(Self { commits, progress, thread: Mutex::new(Some(thread)) })
    }

    /// Whether a store at `now` may be acknowledged under the promise of `durability`. Any thread.
    pub fn is_keeping_up(&self, durability: Durability, now: Timestamp) -> bool {
        // Relaxed: a hint; what is acknowledged in `synced` is decided by the commit itself.
        let failing = self.progress.failing.load(Ordering::Relaxed) != 0;
        let good_at = Timestamp::from_millis(self.progress.good_at.load(Ordering::Relaxed));
        let behind_ms_max = match durability {
            Durability::Memory => u64::MAX,
            Durability::Buffered => BUFFERED_WINDOW_MS,
            // A disk that hangs reports nothing.
            Durability::Synced => COMMIT_WAIT_MS,
        };
        !failing && now.millis_since(good_at) < behind_ms_max
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

type FaultReport = Box<dyn Fn(Option<&Fault>) + Send>;

struct Driver<S> {
    journal: Journal<S>,
    commits: Arc<Commits>,
    progress: Arc<Progress>,
    durability: Durability,
    clock: Arc<dyn Clock>,
    report: FaultReport,
    synced_at: Timestamp,
}

impl<S: BlockStore> Driver<S> {
    fn run(mut self) {
        let _end = End { commits: self.commits.clone(), progress: self.progress.clone() };
        let mut patience = self.next_patience(true);
        while self.commits.await_demand(patience.0, patience.1) {
            let good = self.pass(false);
            patience = self.next_patience(good);
        }
        self.pass(true);
    }

    /// How long to sleep, and whether somebody who waits may cut it short.
    fn next_patience(&self, good: bool) -> (Duration, bool) {
        let millis = match (good, self.durability) {
            (false, _) => RETRY_MS,
            (true, Durability::Buffered) => BUFFERED_PASS_MS,
            (true, _) => IDLE_PASS_MS,
        };
        (Duration::from_millis(millis), good)
    }

    fn pass(&mut self, last: bool) -> bool {
        let now = self.clock.now();
        let sync_due = now.millis_since(self.synced_at) >= BUFFERED_SYNC_MS;
        let sync = last || self.durability == Durability::Synced || sync_due;
        let result = self.journal.pass(now, sync);
        if sync {
            self.synced_at = now;
        }
        let was_failing = self.progress.failing.load(Ordering::Relaxed) != 0;
        match &result {
            Ok(_) => {
                self.progress.good_at.store(now.as_millis(), Ordering::Relaxed);
                self.progress.failing.store(0, Ordering::Relaxed);
                if was_failing {
                    (self.report)(None);
                }
            }
            Err(fault) => {
                self.progress.failing.store(1, Ordering::Relaxed);
                if !was_failing {
                    (self.report)(Some(fault));
                }
            }
        }
        result.is_ok()
    }
}
