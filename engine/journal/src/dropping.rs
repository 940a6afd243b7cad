//! A thread that drops generations which are over. That gives gigabytes of memory back and forces small files to the disk,
//! one behind the other, for which no pass is to wait.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;

use herald_core::Timestamp;
use parking_lot::{Condvar, Mutex, RwLockReadGuard};

use crate::folder::Folder;
use crate::keeper::SharedDb;
use crate::rocks::{begin_new_log, family_name, fault};
use crate::store::Fault;

/// The dropping thread, as the store holds it.
pub(crate) struct Dropping {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What both threads hold.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The generations that are to go, and those that are going, by their ends.
    over: BTreeSet<Timestamp>,
    /// Why one could not be dropped, until it is told.
    fault: Option<Fault>,
    is_closed: bool,
}

impl Dropping {
    /// Starts the thread, for the database in `folder`.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub(crate) fn start(db: SharedDb, folder: Folder) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let serving = Serving { shared: shared.clone(), db, folder };
        let thread =
            std::thread::Builder::new().name("herald-journal3".into()).spawn(move || serving.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Drops these generations behind this call.
    ///
    /// # Errors
    /// Why an earlier one could not be dropped, once.
    pub(crate) fn begin(&self, over: BTreeSet<Timestamp>) -> Result<(), Fault> {
        let mut state = self.shared.state.lock();
        if !over.is_empty() {
            state.over.extend(over);
            self.shared.changed.notify_all();
        }
        state.fault.take().map_or(Ok(()), Err)
    }

    /// Returns when this generation is not among those that are to go.
    pub(crate) fn await_gone(&self, ends_at: Timestamp) {
        let mut state = self.shared.state.lock();
        while state.over.contains(&ends_at) {
            self.shared.changed.wait(&mut state);
        }
    }

    /// Returns when none is to go any more, and forgets why one could not: for the next database that is opened.
    pub(crate) fn await_all_gone(&self) {
        let mut state = self.shared.state.lock();
        while !state.over.is_empty() {
            self.shared.changed.wait(&mut state);
        }
        state.fault = None;
    }
}

impl Drop for Dropping {
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
    db: SharedDb,
    folder: Folder,
}

impl Serving {
    fn run(self) {
        while let Some(over) = self.next() {
            let outcome = self.drop_all(&over);
            let mut state = self.shared.state.lock();
            state.over.retain(|ends_at| !over.contains(ends_at));
            state.fault = outcome.err().or_else(|| state.fault.take());
            drop(state);
            self.shared.changed.notify_all();
        }
    }

    /// What is to go next, `None` once the thread is to end.
    fn next(&self) -> Option<BTreeSet<Timestamp>> {
        let mut state = self.shared.state.lock();
        while state.over.is_empty() && !state.is_closed {
            self.shared.changed.wait(&mut state);
        }
        (!state.is_closed).then(|| state.over.clone())
    }

    fn drop_all(&self, over: &BTreeSet<Timestamp>) -> Result<(), Fault> {
        // Of a database that was closed meanwhile they are dropped when it is open again.
        let Ok(db) = RwLockReadGuard::try_map(self.db.read(), Option::as_ref) else { return Ok(()) };
        self.folder.check()?;
        for name in over.iter().copied().map(family_name) {
            db.drop_cf(&name).map_err(fault)?;
        }
        // Only now do the files of the write-ahead log that held them belong to nothing.
        begin_new_log(&db)
    }
}

impl Drop for Serving {
    /// However the thread ends, also by a panic: nobody waits for it.
    fn drop(&mut self) {
        self.shared.state.lock().over.clear();
        self.shared.changed.notify_all();
    }
}
