//! Threads that read what has left memory, so that no reactor waits for a disk.
//!
//! A reactor answers without such bodies; if there would have been some, it throws its answer away and has the same
//! done here, where reading may take its time. Knows neither requests nor answers.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use herald_core::Clock;
use parking_lot::{Condvar, Mutex};

use crate::error::{EngineError, EngineErrorKind};
use crate::limits::{FORGET_PERIOD_MS, READERS, READS_WAITING_MAX};
use crate::sessions::Session;

type Job = Box<dyn FnOnce(&mut Session) + Send>;

/// The threads, and what waits for them. Dropping it ends them.
pub(crate) struct Readers {
    queue: Arc<Queue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    is_closed: bool,
}

/// What comes of work on another thread.
pub(crate) struct Reading<T>(Arc<Mutex<Slot<T>>>);

struct Slot<T> {
    result: Option<T>,
    is_over: bool,
    waker: Option<Waker>,
}

/// The end of the one who does the work. Dropped without a result it says that there will be none.
struct Giver<T>(Arc<Mutex<Slot<T>>>);

impl Readers {
    /// Starts [`READERS`] threads, each with a session of its own from `open_session`.
    pub(crate) fn start(
        clock: &Arc<dyn Clock>,
        open_session: impl Fn() -> Result<Session, EngineError>,
    ) -> Result<Self, EngineError> {
        let readers = Self { queue: Arc::default(), threads: Mutex::default() };
        for _ in 0..READERS {
            let (queue, clock, session) = (readers.queue.clone(), clock.clone(), open_session()?);
            let thread = std::thread::Builder::new()
                .name("herald-reader".into())
                .spawn(move || queue.serve(session, &*clock));
            readers.threads.lock().push(thread.map_err(|error| {
                EngineError::new(EngineErrorKind::Limit, format!("the system refuses a thread: {error}"))
            })?);
        }
        Ok(readers)
    }

    /// Has `work` done with a session that reads what has left memory. `None` if too much waits already, or after the
    /// stop.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Session) -> T + Send + 'static,
    ) -> Option<Reading<T>> {
        let mut waiting = self.queue.waiting.lock();
        if waiting.is_closed || waiting.jobs.len() >= READS_WAITING_MAX {
            return None;
        }
        let slot = Arc::new(Mutex::new(Slot { result: None, is_over: false, waker: None }));
        let giver = Giver(slot.clone());
        waiting.jobs.push_back(Box::new(move |session| giver.give(work(session))));
        self.queue.changed.notify_one();
        Some(Reading(slot))
    }
}

impl Readers {
    /// Ends the threads once they have done what they are at, and what waits is given up.
    pub(crate) fn stop(&self) {
        let given_up = {
            let mut waiting = self.queue.waiting.lock();
            waiting.is_closed = true;
            core::mem::take(&mut waiting.jobs)
        };
        self.queue.changed.notify_all();
        drop(given_up);
        for thread in self.threads.lock().drain(..) {
            // It catches panics.
            let _ = thread.join();
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Queue {
    fn serve(&self, mut session: Session, clock: &dyn Clock) {
        let mut waiting = self.waiting.lock();
        while !waiting.is_closed {
            if let Some(job) = waiting.jobs.pop_front() {
                drop(waiting);
                // As on a reactor: it costs the request its answer, and was reported by the panic hook.
                let _ = catch_unwind(AssertUnwindSafe(|| job(&mut session)));
                waiting = self.waiting.lock();
            } else if self.changed.wait_for(&mut waiting, Duration::from_millis(FORGET_PERIOD_MS)).timed_out()
            {
                session.service.forget(clock.now());
            }
        }
    }
}

impl<T> Giver<T> {
    fn give(self, result: T) {
        self.0.lock().result = Some(result);
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        let mut slot = self.0.lock();
        slot.is_over = true;
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for Reading<T> {
    /// `None` if the work broke off.
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = self.0.lock();
        if slot.is_over {
            return Poll::Ready(slot.result.take());
        }
        slot.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
