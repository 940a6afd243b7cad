//! When is my placement as durable as promised? Passes of the journal are numbered; an appender takes a ticket after
//! its append and waits until a pass that began after the ticket was taken has come that far: to the kernel in
//! `buffered` durability, to the disk in `synced`.

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// The pass that will hold a placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What is known of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitState {
    /// Its pass is not done.
    Pending,
    /// Everything appended before the ticket was taken is as durable as the journal promises.
    Durable,
    /// Its pass failed. The placement is still in memory and will be written when the disk allows, but that is
    /// not known now and must not be acknowledged.
    Failed,
}

/// The numbers of passes begun, done and failed. Any thread.
#[derive(Default)]
pub struct Commits {
    begun: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
    waiting: Mutex<Waiting>,
    passed: Condvar,
    wanted: Condvar,
}

#[derive(Default)]
struct Waiting {
    wakers: Vec<Waker>,
    /// The newest pass that somebody waits for.
    wanted: u64,
    /// Whether a sync beside the passes has ended since the journal's thread last looked.
    nudged: bool,
    closed: bool,
}

/// Why the journal's thread wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// It is time for a pass, or somebody waits for one.
    Pass,
    /// A sync beside the passes has ended.
    SyncEnded,
    /// It is to stop.
    Stop,
}

impl Commits {
    /// The ticket for everything that this thread has appended so far.
    pub fn ticket(&self) -> Ticket {
        // SeqCst: pairs with the fence in `begin`. Either that pass sees our append, or we see its number and
        // ask for the next one.
        fence(Ordering::SeqCst);
        Ticket(self.begun.load(Ordering::Relaxed) + 1)
    }

    /// What is known of `ticket`.
    pub fn state(&self, ticket: Ticket) -> CommitState {
        // Acquire: pairs with the Release in `finish`.
        if self.done.load(Ordering::Acquire) >= ticket.0 {
            CommitState::Durable
        } else if self.failed.load(Ordering::Acquire) >= ticket.0 {
            CommitState::Failed
        } else {
            CommitState::Pending
        }
    }

    /// Like [`state`](Self::state); while it is pending, `waker` is woken once the next pass ends.
    pub fn poll(&self, ticket: Ticket, waker: &Waker) -> Poll<CommitState> {
        let mut waiting = self.waiting.lock();
        match self.state(ticket) {
            CommitState::Pending if waiting.closed => Poll::Ready(CommitState::Failed),
            CommitState::Pending => {
                // One task may poll many tickets, one behind the other.
                if !waiting.wakers.last().is_some_and(|last| last.will_wake(waker)) {
                    waiting.wakers.push(waker.clone());
                }
                self.want(&mut waiting, ticket);
                Poll::Pending
            }
            known => Poll::Ready(known),
        }
    }

    /// Blocks until the ticket is durable or failed, at most `patience`; then it counts as failed.
    pub fn wait(&self, ticket: Ticket, patience: Duration) -> CommitState {
        let deadline = Instant::now() + patience;
        let mut waiting = self.waiting.lock();
        loop {
            match self.state(ticket) {
                CommitState::Pending if waiting.closed => return CommitState::Failed,
                CommitState::Pending => self.want(&mut waiting, ticket),
                known => return known,
            }
            if self.passed.wait_until(&mut waiting, deadline).timed_out() {
                return match self.state(ticket) {
                    CommitState::Pending => CommitState::Failed,
                    known => known,
                };
            }
        }
    }

    /// Begins a pass: everything appended under an earlier ticket will be seen by whoever reads the log now.
    pub(crate) fn begin(&self) -> u64 {
        let pass = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        // SeqCst: pairs with the fence in `ticket`.
        fence(Ordering::SeqCst);
        pass
    }

    /// Ends the pass and wakes whoever waits. What has failed stays so until a later pass has written it again.
    pub(crate) fn finish(&self, pass: u64, durable: bool) {
        let mut waiting = self.waiting.lock();
        // Release: pairs with the Acquire in `state`; what the pass wrote is where it must be before the number shows it.
        if !durable {
            self.failed.store(pass, Ordering::Release);
        } else if self.failed.load(Ordering::Relaxed) < pass {
            self.done.store(pass, Ordering::Release);
        }
        let wakers = core::mem::take(&mut waiting.wakers);
        drop(waiting);
        self.passed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// For the journal's thread: sleeps until a sync has ended, somebody wants a pass that has not begun and `rest` is
    /// over, or `patience` is over.
    pub(crate) fn await_demand(&self, rest: Duration, patience: Duration) -> Demand {
        let began = Instant::now();
        let (rested_at, deadline) = (began + rest, began + patience);
        let mut waiting = self.waiting.lock();
        loop {
            if waiting.closed {
                return Demand::Stop;
            }
            if core::mem::take(&mut waiting.nudged) {
                return Demand::SyncEnded;
            }
            let is_wanted = waiting.wanted > self.begun.load(Ordering::Relaxed);
            let wakes_at = if is_wanted { rested_at.min(deadline) } else { deadline };
            if Instant::now() >= wakes_at {
                return Demand::Pass;
            }
            self.wanted.wait_until(&mut waiting, wakes_at);
        }
    }

    /// Wakes the journal's thread, once: a sync beside the passes has ended.
    pub(crate) fn nudge(&self) {
        self.waiting.lock().nudged = true;
        self.wanted.notify_all();
    }

    /// Every pass begun so far that is not done has failed.
    pub(crate) fn fail_begun(&self) {
        self.finish(self.begun.load(Ordering::Relaxed), false);
    }

    /// Asks the journal's thread to stop after a last pass. Tickets still pending then count as failed.
    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.wanted.notify_all();
    }

    /// Wakes everybody after the last pass.
    pub(crate) fn wake_all(&self) {
        let wakers = core::mem::take(&mut self.waiting.lock().wakers);
        self.passed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn want(&self, waiting: &mut Waiting, ticket: Ticket) {
        if ticket.0 > waiting.wanted {
            waiting.wanted = ticket.0;
            self.wanted.notify_one();
        }
    }
}
