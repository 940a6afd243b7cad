//! The calls into one instance that are under way: who waits for each, until when, and how far it is.
//!
//! Whoever takes a call out of the book, and nobody else, tells how it ended: so each ends once, whatever the plugin does.

use core::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Why a call into a plugin has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotDone {
    /// Too many calls wait for it: later.
    Busy,
    /// It is not valid, says the plugin.
    Refused,
    /// The plugin does not do that.
    Unsupported,
    /// The plugin failed, in words for the operator.
    Failed(String),
    /// It took too long.
    TimedOut,
    /// The plugin is disabled: why.
    Disabled(String),
    /// It is not started, or was stopped.
    Stopped,
}

/// Is told how a call ended, once, on any thread. It must be short.
pub(crate) type Done<T> = Box<dyn FnOnce(Result<T, NotDone>) + Send>;

/// Who waits for a call.
pub(crate) struct Promise<T>(Mutex<Option<Done<T>>>);

impl<T> Promise<T> {
    pub(crate) fn new(done: Done<T>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(done))))
    }

    /// Whether the end was told: whatever comes now, comes too late.
    pub(crate) fn is_told(&self) -> bool {
        self.0.lock().is_none()
    }

    /// Tells the end. Nothing may be locked.
    pub(crate) fn tell(&self, result: Result<T, NotDone>) {
        let done = self.0.lock().take();
        if let Some(done) = done {
            // A panic costs whoever asked the answer, and was reported by the panic hook; the plugin's thread goes on.
            let _ = catch_unwind(AssertUnwindSafe(|| done(result)));
        }
    }
}

/// Who waits for a call, whatever its result is.
pub(crate) trait Awaited: Any + Send + Sync {
    fn lose(&self, why: NotDone);
}

impl<T: 'static> Awaited for Promise<T> {
    fn lose(&self, why: NotDone) {
        self.tell(Err(why));
    }
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It waits for a thread.
    Waiting,
    /// The thread of this number is in the plugin.
    Inside(usize),
    /// It was answered while the thread of this number is in the plugin still.
    Answered(usize),
    /// The plugin will answer.
    Pending,
}

/// One call.
pub(crate) struct Call {
    pub(crate) stage: Stage,
    pub(crate) name: &'static str,
    pub(crate) awaited: Arc<dyn Awaited>,
    deadline_ms: u64,
}

#[derive(Default)]
pub(crate) struct Book {
    calls: Mutex<Calls>,
    /// The last call has ended.
    emptied: Condvar,
}

#[derive(Default)]
struct Calls {
    last: u64,
    by_ticket: HashMap<u64, Call>,
    by_deadline: BTreeSet<(u64, u64)>,
}

impl Calls {
    fn remove(&mut self, ticket: u64) -> Option<Call> {
        let call = self.by_ticket.remove(&ticket)?;
        self.by_deadline.remove(&(call.deadline_ms, ticket));
        Some(call)
    }
}

impl Book {
    /// Enters a call, which waits for a thread. Its ticket is never used again. `None` if there are `calls_max`.
    pub(crate) fn open(
        &self,
        name: &'static str,
        deadline_ms: u64,
        awaited: Arc<dyn Awaited>,
        calls_max: usize,
    ) -> Option<u64> {
        let mut calls = self.calls.lock();
        if calls.by_ticket.len() >= calls_max {
            return None;
        }
        calls.last += 1;
        let ticket = calls.last;
        calls.by_ticket.insert(ticket, Call { stage: Stage::Waiting, name, awaited, deadline_ms });
        calls.by_deadline.insert((deadline_ms, ticket));
        Some(ticket)
    }

    /// A thread goes into the plugin with a call, if it is wanted still.
    pub(crate) fn begin(&self, ticket: u64, thread: usize) -> bool {
        let mut calls = self.calls.lock();
        let call = calls.by_ticket.get_mut(&ticket);
        call.is_some_and(|call| {
            call.stage = Stage::Inside(thread);
            true
        })
    }

    /// The thread is back, and the plugin will answer. How far the call was, `None` if nobody waits for it any more.
    pub(crate) fn pend(&self, ticket: u64) -> Option<Stage> {
        let mut calls = self.calls.lock();
        let call = calls.by_ticket.get_mut(&ticket)?;
        let stage = core::mem::replace(&mut call.stage, Stage::Pending);
        if matches!(stage, Stage::Answered(_)) {
            calls.remove(ticket);
            self.tell_if_empty(&calls);
        }
        Some(stage)
    }

    /// The thread is back, and the call over.
    pub(crate) fn end(&self, ticket: u64) -> Option<Call> {
        let mut calls = self.calls.lock();
        let call = calls.remove(ticket);
        self.tell_if_empty(&calls);
        call
    }

    /// The plugin answers a call that was asked, is open, and waits for a `T`. Who is in the plugin with it stays on the
    /// books.
    pub(crate) fn answer<T: 'static>(&self, ticket: u64) -> Option<Arc<Promise<T>>> {
        let mut calls = self.calls.lock();
        let call = calls.by_ticket.get_mut(&ticket)?;
        let awaited: Arc<dyn Any + Send + Sync> = call.awaited.clone();
        let promise = awaited.downcast().ok()?;
        match call.stage {
            Stage::Waiting | Stage::Answered(_) => return None,
            Stage::Inside(thread) => call.stage = Stage::Answered(thread),
            Stage::Pending => {
                calls.remove(ticket);
                self.tell_if_empty(&calls);
            }
        }
        Some(promise)
    }

    /// Takes out the calls whose deadline is over.
    pub(crate) fn overdue(&self, now_ms: u64) -> Vec<(u64, Call)> {
        let mut overdue = Vec::new();
        let mut calls = self.calls.lock();
        while let Some(&(deadline_ms, ticket)) = calls.by_deadline.first() {
            if deadline_ms > now_ms {
                break;
            }
            overdue.extend(calls.remove(ticket).map(|call| (ticket, call)));
        }
        self.tell_if_empty(&calls);
        overdue
    }

    /// Takes out all calls.
    pub(crate) fn clear(&self) -> Vec<Call> {
        let mut calls = self.calls.lock();
        calls.by_deadline.clear();
        let all = calls.by_ticket.drain().map(|(_, call)| call).collect();
        self.tell_if_empty(&calls);
        all
    }

    /// Takes out the calls that no thread is in the plugin with.
    pub(crate) fn give_up(&self) -> Vec<Call> {
        let mut calls = self.calls.lock();
        let is_outside = |call: &Call| matches!(call.stage, Stage::Waiting | Stage::Pending);
        let outside: Vec<_> =
            calls.by_ticket.iter().filter(|(_, call)| is_outside(call)).map(|(&ticket, _)| ticket).collect();
        let given_up = outside.into_iter().filter_map(|ticket| calls.remove(ticket)).collect();
        self.tell_if_empty(&calls);
        given_up
    }

    /// When the next call is overdue.
    pub(crate) fn first_deadline_ms(&self) -> Option<u64> {
        self.calls.lock().by_deadline.first().map(|(deadline_ms, _)| *deadline_ms)
    }

    /// Waits until no call is under way, and looks again after `patience`.
    pub(crate) fn wait_until_empty(&self, patience: Duration) {
        let mut calls = self.calls.lock();
        while !calls.by_ticket.is_empty() {
            self.emptied.wait_for(&mut calls, patience);
        }
    }

    fn tell_if_empty(&self, calls: &Calls) {
        if calls.by_ticket.is_empty() {
            self.emptied.notify_all();
        }
    }
}
