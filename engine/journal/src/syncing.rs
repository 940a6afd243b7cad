//! A thread that forces to the disk what passes have written, while the next passes write.
//!
//! One sync at a time; it knows neither the log nor when a sync is due.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use crate::commits::Commits;
use crate::journal::{Durability, Unsynced, WrittenPass};
use crate::store::Fault;

/// The syncing thread, as the journal's thread holds it.
pub(crate) struct Syncing {
    /// None once it is to end.
    jobs: Option<SyncSender<Unsynced>>,
    ended: Receiver<Ended>,
    is_under_way: bool,
    thread: Option<JoinHandle<()>>,
}

/// What was to be forced to the disk, and whether it was.
pub(crate) type Ended = (WrittenPass, Result<(), Fault>);

impl Syncing {
    /// Starts the thread. It tells `commits` when a sync has ended, and what that made durable in `synced` durability.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub(crate) fn start(commits: Arc<Commits>, durability: Durability) -> std::io::Result<Self> {
        let (jobs, taken) = sync_channel(1);
        let (told, ended) = sync_channel(1);
        let body = move || serve(&taken, told, &commits, durability);
        let thread = std::thread::Builder::new().name("herald-journal2".into()).spawn(body)?;
        Ok(Self { jobs: Some(jobs), ended, is_under_way: false, thread: Some(thread) })
    }

    /// Whether a sync has begun and its end was not yet taken.
    pub(crate) const fn is_under_way(&self) -> bool {
        self.is_under_way
    }

    /// Begins a sync; none is under way.
    ///
    /// # Panics
    /// If the thread has broken down.
    pub(crate) fn begin(&mut self, unsynced: Unsynced) {
        let jobs = self.jobs.as_ref().expect("only a drop takes it");
        jobs.send(unsynced).expect("the thread that syncs is there");
        self.is_under_way = true;
    }

    /// What the sync under way has come to, if it has ended.
    ///
    /// # Panics
    /// If the thread has broken down.
    pub(crate) fn take_ended(&mut self) -> Option<Ended> {
        let ended = match self.ended.try_recv() {
            Ok(ended) => Some(ended),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => panic!("the thread that syncs broke down"),
        };
        self.is_under_way &= ended.is_none();
        ended
    }

    /// Waits until the sync under way has ended, if there is one.
    ///
    /// # Panics
    /// If the thread has broken down.
    pub(crate) fn await_ended(&mut self) -> Option<Ended> {
        core::mem::take(&mut self.is_under_way)
            .then(|| self.ended.recv().expect("the thread that syncs is there"))
    }
}

impl Drop for Syncing {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic was reported by the panic hook.
            let _ = thread.join();
        }
    }
}

/// However the thread ends, also by a panic: the journal's thread looks.
struct End<'a>(&'a Commits);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.nudge();
    }
}

fn serve(jobs: &Receiver<Unsynced>, told: SyncSender<Ended>, commits: &Commits, durability: Durability) {
    let _end = End(commits);
    // Goes before `_end` does, so that whoever looks then finds it gone.
    let told = told;
    for Unsynced { pass, call } in jobs {
        let outcome = call();
        if outcome.is_ok() && durability == Durability::Synced {
            commits.finish(pass.number, true);
        }
        if told.send((pass, outcome)).is_err() {
            return;
        }
        commits.nudge();
    }
}
