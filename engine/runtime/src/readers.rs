//! Threads that make answers which may need the disk, so that nobody else waits for one.
//!
//! While anything has left memory, all answers that show bodies are made here, whether or not theirs have left: so
//! neither a refusal nor the order of answers tells which. Knows neither requests nor answers.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Wake;
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use herald_core::{Clock, Timestamp};
use parking_lot::{Condvar, Mutex};

use crate::error::{EngineError, EngineErrorKind};
use crate::limits::{FORGET_PERIOD_MS, READ_WAIT_MS, READS_WAITING_MAX};
use crate::sessions::Session;

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

/// Work, and since when it waits.
struct Job {
    asked_at: Timestamp,
    task: Box<dyn Task>,
}

/// What is to be done.
trait Task: Send {
    /// Whether anybody waits for it still.
    fn is_awaited(&self) -> bool;

    fn run(self: Box<Self>, session: &mut Session, now: Timestamp);
}

struct Work<T, W> {
    giver: Giver<T>,
    work: W,
}

/// What comes of work on another thread. Dropped before that has begun, the work is not done.
pub(crate) struct Reading<T>(Arc<Mutex<Slot<T>>>);

struct Slot<T> {
    result: Option<T>,
    is_over: bool,
    waker: Option<Waker>,
}

/// The end of the one who does the work. Dropped without a result it says that there will be none.
pub(crate) struct Giver<T>(Arc<Mutex<Slot<T>>>);

/// The two ends of a result that comes from another thread.
pub(crate) fn reading<T>() -> (Giver<T>, Reading<T>) {
    let slot = Arc::new(Mutex::new(Slot { result: None, is_over: false, waker: None }));
    (Giver(slot.clone()), Reading(slot))
}

impl Readers {
    /// Starts `count` threads, each with a session of its own from `open_session`, which may wait for the disk.
    pub(crate) fn start(
        count: usize,
        clock: &Arc<dyn Clock>,
        open_session: impl Fn() -> Result<Session, EngineError>,
    ) -> Result<Self, EngineError> {
        let readers = Self { queue: Arc::default(), threads: Mutex::default() };
        for _ in 0..count {
            let (queue, clock, mut session) = (readers.queue.clone(), clock.clone(), open_session()?);
            session.log.leave_out_beyond(false);
            let thread = thread::Builder::new()
                .name("herald-reader".into())
                .spawn(move || queue.serve(session, &*clock));
            readers.threads.lock().push(thread.map_err(|error| {
                EngineError::new(EngineErrorKind::Limit, format!("the system refuses a thread: {error}"))
            })?);
        }
        Ok(readers)
    }

    /// Has `work` done, asked for at `now`, with a session that reads what has left memory and the time at which it
    /// begins. `None` if too much waits already, or after the stop.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        now: Timestamp,
        work: impl FnOnce(&mut Session, Timestamp) -> T + Send + 'static,
    ) -> Option<Reading<T>> {
        let (giver, reading) = reading();
        let job = Job { asked_at: now, task: Box::new(Work { giver, work }) };
        // Dropped without the lock: that wakes whoever waits for it.
        let mut given_up = Vec::new();
        let mut waiting = self.queue.waiting.lock();
        while waiting.jobs.len() >= READS_WAITING_MAX
            && waiting.jobs.front().is_some_and(|oldest| oldest.is_given_up(now))
        {
            given_up.extend(waiting.jobs.pop_front());
        }
        if waiting.is_closed || waiting.jobs.len() >= READS_WAITING_MAX {
            return None;
        }
        waiting.jobs.push_back(job);
        self.queue.changed.notify_one();
        Some(reading)
    }
}

impl Readers {
    /// Whether one more would be told to try again.
    pub(crate) fn is_full(&self) -> bool {
        let waiting = self.queue.waiting.lock();
        waiting.is_closed || waiting.jobs.len() >= READS_WAITING_MAX
    }

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

#[cfg(test)]
impl Readers {
    pub(crate) fn waiting_count(&self) -> usize {
        self.queue.waiting.lock().jobs.len()
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
                let now = clock.now();
                if !job.is_given_up(now) {
                    // As on a reactor: it costs the request its answer, and was reported by the panic hook.
                    let _ = catch_unwind(AssertUnwindSafe(|| job.task.run(&mut session, now)));
                }
                waiting = self.waiting.lock();
            } else if self.changed.wait_for(&mut waiting, Duration::from_millis(FORGET_PERIOD_MS)).timed_out()
            {
                session.forget(clock.now());
            }
        }
    }
}

impl Job {
    /// Whether nobody waits for it any more, or it has waited too long to be of use.
    fn is_given_up(&self, now: Timestamp) -> bool {
        !self.task.is_awaited() || now.millis_since(self.asked_at) > READ_WAIT_MS
    }
}

impl<T: Send, W: FnOnce(&mut Session, Timestamp) -> T + Send> Task for Work<T, W> {
    fn is_awaited(&self) -> bool {
        self.giver.is_awaited()
    }

    fn run(self: Box<Self>, session: &mut Session, now: Timestamp) {
        let Self { giver, work } = *self;
        giver.give(work(session, now));
    }
}

impl<T> Giver<T> {
    /// Whether anybody waits for the result still.
    pub(crate) fn is_awaited(&self) -> bool {
        // The other owner is its `Reading`.
        Arc::strong_count(&self.0) > 1
    }

    /// Gives the result.
    pub(crate) fn give(self, result: T) {
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
    /// `None` if the work broke off or was given up.
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

impl<T> Reading<T> {
    /// Waits on the calling thread, no longer than `patience`. `None` also if that was not enough.
    pub(crate) fn wait(mut self, patience: Duration) -> Option<T> {
        let deadline = Instant::now() + patience;
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(result) = Pin::new(&mut self).poll(&mut context) {
                return result;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            thread::park_timeout(left);
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_that_nobody_takes_is_dropped_whenever_its_asker_goes() {
        let owners = |result: &Arc<()>| Arc::strong_count(result) - 1;
        let result = Arc::new(());
        let (giver, asker) = reading();
        drop(asker);
        giver.give(result.clone());
        assert_eq!(owners(&result), 0, "it went before");
        let (giver, asker) = reading();
        giver.give(result.clone());
        assert_eq!(owners(&result), 1, "it may come yet");
        drop(asker);
        assert_eq!(owners(&result), 0, "it went after");
    }
}
