//! A thread that forces to the disk what passes have written, while the next passes write.
//!
//! One sync at a time, the next as soon as it has ended; it knows neither the log nor when a sync is due.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

use crate::commits::Commits;
use crate::journal::{Durability, Unsynced, WrittenPass};
use crate::store::Fault;

/// The syncing thread, as the journal's thread holds it.
pub(crate) struct Syncing {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

const BROKEN: &str = "the thread that syncs broke down";

/// What was to be forced to the disk, and whether it was.
pub(crate) type Ended = (WrittenPass, Result<(), Fault>);

/// What both threads hold.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// To be forced next. It holds all that one before it would have.
    next: Option<Unsynced>,
    is_syncing: bool,
    /// Syncs that have ended and were not yet taken, the oldest first: as only one waits to be begun, two at most.
    ended: VecDeque<Ended>,
    /// Since a sync failed, until that is taken: what it was to force is gone, and no later success says it is there.
    has_failed: bool,
    is_closed: bool,
    is_broken: bool,
}

impl State {
    fn is_under_way(&self) -> bool {
        self.is_syncing || self.next.is_some() || !self.ended.is_empty()
    }

    fn take_ended(&mut self) -> Option<Ended> {
        let ended = self.ended.pop_front();
        self.has_failed &= !matches!(ended, Some((_, Err(_))));
        ended
    }
}

impl Syncing {
    /// Starts the thread. It tells `commits` when a sync has ended, and what that made durable in `synced` durability.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub(crate) fn start(commits: Arc<Commits>, durability: Durability) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let serving = Serving { shared: shared.clone(), commits, durability };
        let thread =
            std::thread::Builder::new().name("herald-journal2".into()).spawn(move || serving.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Whether there is a sync that has not ended, or whose end was not yet taken.
    pub(crate) fn is_under_way(&self) -> bool {
        self.shared.state.lock().is_under_way()
    }

    /// Begins a sync, as soon as the one under way has ended. It stands for the one given before too, if that has not
    /// begun. After a failure it is dropped, until that has been taken.
    ///
    /// # Panics
    /// If the thread has broken down.
    pub(crate) fn begin(&self, mut unsynced: Unsynced) {
        let mut state = self.shared.state.lock();
        assert!(!state.is_broken, "{BROKEN}");
        if !state.has_failed {
            unsynced.pass.written_bytes += state.next.take().map_or(0, |next| next.pass.written_bytes);
            state.next = Some(unsynced);
            self.shared.changed.notify_all();
        }
    }

    /// Drops the sync that has not begun.
    pub(crate) fn forget_next(&self) {
        self.shared.state.lock().next = None;
    }

    /// What the oldest sync has come to that has ended and was not yet taken.
    ///
    /// # Panics
    /// If the thread has broken down.
    pub(crate) fn take_ended(&self) -> Option<Ended> {
        let mut state = self.shared.state.lock();
        assert!(!state.is_broken, "{BROKEN}");
        state.take_ended()
    }

    /// As [`take_ended`](Self::take_ended), but waits for one that is under way.
    ///
    /// # Panics
    /// If the thread has broken down.
    pub(crate) fn await_ended(&self) -> Option<Ended> {
        let mut state = self.shared.state.lock();
        while state.ended.is_empty() && state.is_under_way() && !state.is_broken {
            self.shared.changed.wait(&mut state);
        }
        assert!(!state.is_broken, "{BROKEN}");
        state.take_ended()
    }
}

impl Drop for Syncing {
    fn drop(&mut self) {
        self.shared.state.lock().is_closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic was reported by the panic hook.
            let _ = thread.join();
        }
    }
}

/// What the thread has.
struct Serving {
    shared: Arc<Shared>,
    commits: Arc<Commits>,
    durability: Durability,
}

impl Serving {
    fn run(self) {
        while let Some(Unsynced { pass, call }) = self.next() {
            let outcome = call();
            if outcome.is_ok() && self.durability == Durability::Synced {
                self.commits.finish(pass.number, true);
            }
            self.end((pass, outcome));
        }
    }

    /// The next sync, `None` once it is to end.
    fn next(&self) -> Option<Unsynced> {
        let mut state = self.shared.state.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(next) = state.next.take() {
                state.is_syncing = true;
                return Some(next);
            }
            self.shared.changed.wait(&mut state);
        }
    }

    fn end(&self, ended: Ended) {
        let mut state = self.shared.state.lock();
        if ended.1.is_err() {
            state.has_failed = true;
            state.next = None;
        }
        state.is_syncing = false;
        state.ended.push_back(ended);
        drop(state);
        self.shared.changed.notify_all();
        self.commits.nudge();
    }
}

impl Drop for Serving {
    /// However the thread ends, also by a panic: the journal's thread looks.
    fn drop(&mut self) {
        self.shared.state.lock().is_broken = true;
        self.shared.changed.notify_all();
        self.commits.nudge();
    }
}
