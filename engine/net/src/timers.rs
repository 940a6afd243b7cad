//! Deadlines of one reactor: an ordered map of (moment, waker), shared with hyper through its `Timer` trait.
//!
//! Each owner keeps at most one entry and takes it out when it ends, so the map is bounded by connections and
//! streams. Knows nothing of either.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::BTreeMap;
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
    schedule: Mutex<Schedule>,
}

#[derive(Default)]
struct Schedule {
    entries: BTreeMap<TimerKey, Waker>,
    /// Tells entries of one moment apart.
    count: u64,
}

/// Names an entry until it fires or is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey {
    at: Instant,
    number: u64,
}

impl TimerKey {
    /// When the entry fires.
    pub(crate) fn at(self) -> Instant {
        self.at
    }
}

impl Timers {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { inner: Arc::new(Inner { clock, schedule: Mutex::default() }) }
    }

    pub(crate) fn now(&self) -> Instant {
        self.inner.clock.now()
    }

    /// Wakes `waker` in the first turn at or after `at`.
    pub(crate) fn wake_at(&self, at: Instant, waker: Waker) -> TimerKey {
        let mut schedule = self.inner.schedule.lock();
        schedule.count += 1;
        let key = TimerKey { at, number: schedule.count };
        schedule.entries.insert(key, waker);
        key
    }

    /// Forgets an entry, fired or not.
    pub(crate) fn cancel(&self, key: TimerKey) {
        self.inner.schedule.lock().entries.remove(&key);
    }

    /// Wakes all whose moment has come.
    pub(crate) fn fire(&self) {
        let now = self.now();
        let mut schedule = self.inner.schedule.lock();
        while let Some(entry) = schedule.entries.first_entry()
            && entry.key().at <= now
        {
            entry.remove().wake();
        }
    }

    /// How long until the next entry; `None` without entries.
    pub(crate) fn next(&self) -> Option<Duration> {
        let schedule = self.inner.schedule.lock();
        let (key, _) = schedule.entries.first_key_value()?;
        Some(key.at.saturating_duration_since(self.now()))
    }

    /// A future that ends at `at`.
    pub(crate) fn sleep(&self, at: Instant) -> Sleep {
        Sleep { at, timers: self.clone(), entry: None }
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
    entry: Option<(TimerKey, Waker)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.timers.now() >= this.at {
            return Poll::Ready(());
        }
        if !this.entry.as_ref().is_some_and(|(_, waker)| waker.will_wake(cx.waker())) {
            this.cancel();
            let key = this.timers.wake_at(this.at, cx.waker().clone());
            this.entry = Some((key, cx.waker().clone()));
        }
        Poll::Pending
    }
}

impl Sleep {
    fn cancel(&mut self) {
        if let Some((key, _)) = self.entry.take() {
            self.timers.cancel(key);
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl hyper::rt::Sleep for Sleep {}
