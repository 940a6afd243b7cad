//! Deadlines of one reactor: a heap of (moment, waker), shared with hyper through its `Timer` trait.
//!
//! Entries are never cancelled. A task that is woken too early looks at the clock and waits again, so a moved
//! deadline costs a stale entry at most, and each owner keeps a handful of entries at a time.
//! Knows nothing of connections.

use core::cmp::{Ordering, Reverse};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::clock::Clock;

/// A shared handle to the deadlines of one reactor.
#[derive(Clone)]
pub(crate) struct Timers {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    heap: Mutex<BinaryHeap<Reverse<Entry>>>,
}

struct Entry {
    at: Instant,
    waker: Waker,
}

impl Timers {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { inner: Arc::new(Inner { clock, heap: Mutex::new(BinaryHeap::new()) }) }
    }

    pub(crate) fn now(&self) -> Instant {
        self.inner.clock.now()
    }

    /// Wakes `waker` in the first turn at or after `at`.
    pub(crate) fn wake_at(&self, at: Instant, waker: Waker) {
        self.inner.heap.lock().push(Reverse(Entry { at, waker }));
    }

    /// Wakes all whose moment has come.
    pub(crate) fn fire(&self) {
        let now = self.now();
        let mut heap = self.inner.heap.lock();
        while let Some(Reverse(entry)) = heap.peek() {
            if entry.at > now {
                return;
            }
            if let Some(Reverse(entry)) = heap.pop() {
                entry.waker.wake();
            }
        }
    }

    /// How long until the next entry; `None` without entries.
    pub(crate) fn next(&self) -> Option<Duration> {
        let heap = self.inner.heap.lock();
        heap.peek().map(|Reverse(entry)| entry.at.saturating_duration_since(self.now()))
    }

    /// A future that ends at `at`.
    pub(crate) fn sleep(&self, at: Instant) -> Sleep {
        Sleep { at, timers: self.clone(), registered: None }
    }
}

impl hyper::rt::Timer for Timers {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Timers::sleep(self, self.now() + duration))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Timers::sleep(self, deadline))
    }

    fn now(&self) -> Instant {
        Timers::now(self)
    }
}

/// Ends at a moment of the reactor's clock.
pub(crate) struct Sleep {
    at: Instant,
    timers: Timers,
    registered: Option<Waker>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.timers.now() >= this.at {
            return Poll::Ready(());
        }
        if !this.registered.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            this.timers.wake_at(this.at, cx.waker().clone());
            this.registered = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl hyper::rt::Sleep for Sleep {}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}
