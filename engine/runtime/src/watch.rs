//! Subscriptions: who hears of placements as they come.
//!
//! A store looks at one flag, and no further while nobody subscribes. What a subscriber is to hear waits in a queue of
//! its own; when that is full the oldest makes room and is counted, so that a slow subscriber costs the others nothing
//! and no store waits. A thread of the engine tells them, or the thread of a host that serves the engine itself. What
//! is recovered from the disk is not told, nor is cover.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle, Thread};

use herald_core::{
    NewPlacement, NumberBlock, PlacementClass, PlacementId, PlacementRef, PlacementStore, Refusal,
    TelephoneNumber, Timestamp,
};
use herald_log::LogHandle;
use herald_net::ReactorHandle;
use parking_lot::{Mutex, RwLock};

use crate::error::{EngineError, EngineErrorKind};
use crate::limits::{SUBSCRIPTION_QUEUE_LEN_MAX, SUBSCRIPTIONS_MAX, TOLD_PER_TURN_MAX};

/// Which placements a subscription is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// All of them.
    All,
    /// Those under one called number.
    Number(TelephoneNumber),
    /// Those under the numbers of a block.
    Block(NumberBlock),
}

/// A placement that came, as a subscriber hears of it.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The called number.
    pub number: TelephoneNumber,
    /// Its id.
    pub id: PlacementId,
    /// From this moment on it is gone.
    pub expires_at: Timestamp,
    /// The sealed bytes.
    pub body: Box<[u8]>,
}

type Hear = dyn Fn(&Arrival, u64) + Send + Sync;

/// A subscription; its clones are the same one. Dropping it leaves it as it is; [`end`](Self::end) ends it, and so does the engine's stop.
#[derive(Clone)]
pub struct Subscription {
    watch: Arc<Watch>,
    watches: Arc<Watches>,
}

impl Subscription {
    /// Ends it: what waits is not told any more, what is being told may still be on its way. A second end does nothing.
    pub fn end(&self) {
        self.watches.remove(&self.watch);
    }

    /// How many placements made room in the queue before they were told.
    pub fn left_out_count(&self) -> u64 {
        self.watch.queue.lock().left_out_count
    }
}

/// All subscriptions of an engine.
#[derive(Default)]
pub(crate) struct Watches {
    /// All that a store looks at while nobody subscribes.
    is_watched: AtomicBool,
    /// Whether whoever tells has been called and has not come yet.
    is_called: AtomicBool,
    is_stopped: AtomicBool,
    list: RwLock<Vec<Arc<Watch>>>,
    /// From the start on.
    teller: OnceLock<Teller>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Who tells.
enum Teller {
    /// A thread of the engine's own, from the first subscription on.
    Engine(OnceLock<Thread>),
    /// The host's, whenever it serves this reactor.
    Host(ReactorHandle),
}

struct Watch {
    watched: Watched,
    queue_len: usize,
    queue: Mutex<Queue>,
    hear: Box<Hear>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Arrival>,
    left_out_count: u64,
}

impl Watches {
    /// Adds a subscription whose queue takes `queue_len` placements. `hear` is given each, and how many were left out
    /// before.
    pub(crate) fn add(
        self: &Arc<Self>,
        watched: Watched,
        queue_len: usize,
        hear: Box<Hear>,
    ) -> Result<Subscription, EngineError> {
        if !(1..=SUBSCRIPTION_QUEUE_LEN_MAX).contains(&queue_len) {
            let message =
                format!("a queue of {queue_len} placements; 1 to {SUBSCRIPTION_QUEUE_LEN_MAX} are possible");
            return Err(EngineError::new(EngineErrorKind::Argument, message));
        }
        let watch = Arc::new(Watch { watched, queue_len, queue: Mutex::default(), hear });
        let mut list = self.list.write();
        if self.is_stopped.load(Ordering::Relaxed) {
            return Err(EngineError::new(EngineErrorKind::State, "the engine was stopped; open another"));
        }
        if list.len() == SUBSCRIPTIONS_MAX {
            let message = format!("there are {SUBSCRIPTIONS_MAX} subscriptions; end one");
            return Err(EngineError::new(EngineErrorKind::Limit, message));
        }
        if let Some(Teller::Engine(thread)) = self.teller.get() {
            self.start_thread(thread)?;
        }
        list.push(watch.clone());
        // Relaxed: a store that is under way may go untold.
        self.is_watched.store(true, Ordering::Relaxed);
        Ok(Subscription { watch, watches: self.clone() })
    }

    /// The engine's own thread tells from now on. All or nothing; a second call does nothing.
    pub(crate) fn tell_here(self: &Arc<Self>) -> Result<(), EngineError> {
        let list = self.list.write();
        if let Teller::Engine(thread) = self.teller.get_or_init(|| Teller::Engine(OnceLock::new()))
            && !list.is_empty()
        {
            self.start_thread(thread)?;
        }
        Ok(())
    }

    /// The thread that serves `reactor` tells from now on, by [`tell`](Self::tell).
    pub(crate) fn tell_by(&self, reactor: ReactorHandle) {
        // An engine starts once, so there is none yet.
        let _ = self.teller.set(Teller::Host(reactor));
    }

    /// Starts the thread unless it runs. The list is locked.
    fn start_thread(self: &Arc<Self>, thread: &OnceLock<Thread>) -> Result<(), EngineError> {
        if thread.get().is_some() {
            return Ok(());
        }
        let watches = self.clone();
        let run = move || {
            while !watches.is_stopped.load(Ordering::Acquire) {
                if !watches.tell() {
                    thread::park();
                }
            }
        };
        let started = thread::Builder::new().name("herald-watch".into()).spawn(run).map_err(|error| {
            EngineError::new(EngineErrorKind::Limit, format!("the thread of subscriptions: {error}"))
        })?;
        let _ = thread.set(started.thread().clone());
        // A call that came before found nobody to call, and those after it leave it at that.
        started.thread().unpark();
        *self.thread.lock() = Some(started);
        Ok(())
    }

    /// Tells what waits, of each subscription at most [`TOLD_PER_TURN_MAX`]. Whether some is left.
    pub(crate) fn tell(&self) -> bool {
        // AcqRel: pairs with `call`, so that what came before a call that is forgotten here is seen.
        if !self.is_called.swap(false, Ordering::AcqRel) {
            return false;
        }
        let list = self.list.read().clone();
        let is_some_left = list.iter().filter(|watch| watch.tell()).count() > 0;
        if is_some_left {
            self.call();
        }
        is_some_left
    }

    /// Calls whoever tells.
    fn call(&self) {
        // AcqRel: pairs with `tell`.
        if self.is_called.swap(true, Ordering::AcqRel) {
            return;
        }
        match self.teller.get() {
            Some(Teller::Host(reactor)) => reactor.wake(),
            Some(Teller::Engine(thread)) => thread.get().map_or((), Thread::unpark),
            None => {}
        }
    }

    /// A placement has come.
    #[cold]
    fn announce(&self, placement: &NewPlacement<'_>) {
        let list = self.list.read();
        let mut is_of_interest = false;
        for watch in list.iter().filter(|watch| watch.is_about(placement.number)) {
            watch.take(placement);
            is_of_interest = true;
        }
        drop(list);
        if is_of_interest {
            self.call();
        }
    }

    fn remove(&self, watch: &Arc<Watch>) {
        let mut list = self.list.write();
        list.retain(|other| !Arc::ptr_eq(other, watch));
        self.is_watched.store(!list.is_empty(), Ordering::Relaxed);
        drop(list);
        watch.queue.lock().waiting.clear();
    }

    /// Tells what waits still, on this thread, and ends all subscriptions. No store may be under way.
    pub(crate) fn stop(&self) {
        let list = {
            let mut list = self.list.write();
            self.is_stopped.store(true, Ordering::Release);
            core::mem::take(&mut *list)
        };
        self.is_watched.store(false, Ordering::Relaxed);
        if let Some(thread) = self.thread.lock().take() {
            thread.thread().unpark();
            // It does not panic, and if it did the rest is told here.
            let _ = thread.join();
        }
        for watch in list {
            while watch.tell() {}
        }
    }
}

impl Watch {
    fn is_about(&self, number: TelephoneNumber) -> bool {
        match self.watched {
            Watched::All => true,
            Watched::Number(watched) => watched == number,
            Watched::Block(block) => block.contains(number),
        }
    }

    fn take(&self, placement: &NewPlacement<'_>) {
        let &NewPlacement { number, id, expires_at, body } = placement;
        let arrival = Arrival { number, id, expires_at, body: body.into() };
        let mut queue = self.queue.lock();
        if queue.waiting.len() == self.queue_len {
            queue.waiting.pop_front();
            queue.left_out_count += 1;
        }
        queue.waiting.push_back(arrival);
    }

    /// Tells at most [`TOLD_PER_TURN_MAX`] placements. Whether some are left.
    fn tell(&self) -> bool {
        for _ in 0..TOLD_PER_TURN_MAX {
            let (arrival, left_out_count) = {
                let mut queue = self.queue.lock();
                let Some(arrival) = queue.waiting.pop_front() else { return false };
                (arrival, queue.left_out_count)
            };
            (self.hear)(&arrival, left_out_count);
        }
        !self.queue.lock().waiting.is_empty()
    }
}

/// A handle on the log of calls, and on that of messages where they are kept, that announces what it keeps.
pub(crate) struct WatchedLog {
    log: LogHandle,
    watches: Arc<Watches>,
    messages: Option<Box<Self>>,
}

impl WatchedLog {
    pub(crate) const fn new(log: LogHandle, watches: Arc<Watches>) -> Self {
        Self { log, watches, messages: None }
    }

    /// The same, with the log of messages.
    pub(crate) fn and_messages(mut self, log: LogHandle) -> Self {
        self.messages = Some(Box::new(Self::new(log, self.watches.clone())));
        self
    }

    /// Whether what has left memory is left out of what it shows from now on.
    pub(crate) fn leave_out_beyond(&mut self, leave_out: bool) {
        self.log.leave_out_beyond(leave_out);
        if let Some(messages) = &mut self.messages {
            messages.leave_out_beyond(leave_out);
        }
    }

    /// Whether anything was left out since the last call.
    #[inline]
    pub(crate) fn take_left_out(&mut self) -> bool {
        let messages = self.messages.as_mut().is_some_and(|messages| messages.take_left_out());
        self.log.take_left_out() | messages
    }

    /// Lets go of what has expired.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        self.log.forget(now);
        if let Some(messages) = &mut self.messages {
            messages.forget(now);
        }
    }

    /// Whether a body of `bytes` finds memory among its class.
    pub(crate) fn has_room(&self, class: PlacementClass, bytes: usize, now: Timestamp) -> bool {
        match class {
            PlacementClass::Call => self.log.has_room(bytes, now),
            PlacementClass::Message => {
                self.messages.as_ref().is_some_and(|messages| messages.log.has_room(bytes, now))
            }
        }
    }

    #[inline]
    fn is_watched(&self) -> bool {
        // Relaxed: a store at the moment of a subscription may go untold.
        self.watches.is_watched.load(Ordering::Relaxed)
    }
}

impl PlacementStore for WatchedLog {
    #[inline]
    fn messages(&mut self) -> Option<&mut dyn PlacementStore> {
        self.messages.as_deref_mut().map(|messages| messages as &mut dyn PlacementStore)
    }

    #[inline]
    fn append(
        &mut self,
        placement: &NewPlacement<'_>,
        records_max: u32,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let result = self.log.append(placement, records_max, now);
        if self.is_watched() && result.is_ok() {
            self.watches.announce(placement);
        }
        result
    }

    fn append_batch(
        &mut self,
        placements: &[NewPlacement<'_>],
        records_max: u32,
        now: Timestamp,
        results: &mut [Result<(), Refusal>],
    ) {
        self.log.append_batch(placements, records_max, now, results);
        if self.is_watched() {
            let kept = placements.iter().zip(results).filter(|(_, result)| result.is_ok());
            kept.for_each(|(placement, _)| self.watches.announce(placement));
        }
    }

    #[inline]
    fn for_each_live(
        &mut self,
        number: TelephoneNumber,
        now: Timestamp,
        visit: &mut dyn FnMut(PlacementRef<'_>),
    ) {
        self.log.for_each_live(number, now, visit);
    }

    #[inline]
    fn for_each_live_id(
        &mut self,
        number: TelephoneNumber,
        now: Timestamp,
        visit: &mut dyn FnMut(PlacementId),
    ) {
        self.log.for_each_live_id(number, now, visit);
    }

    #[inline]
    fn find_live(
        &mut self,
        number: TelephoneNumber,
        id: PlacementId,
        now: Timestamp,
        visit: &mut dyn FnMut(PlacementRef<'_>),
    ) {
        self.log.find_live(number, id, now, visit);
    }

    fn for_each_live_batch(
        &mut self,
        numbers: &[TelephoneNumber],
        now: Timestamp,
        visit: &mut dyn FnMut(usize, PlacementRef<'_>),
    ) {
        self.log.for_each_live_batch(numbers, now, visit);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    fn number(text: &str) -> TelephoneNumber {
        TelephoneNumber::parse(text.as_bytes()).expect("a number")
    }

    fn announce(watches: &Watches, to: &str, id: u8) {
        let (number, id) = (number(to), PlacementId::from_bytes([id; 16]));
        watches.announce(&NewPlacement {
            number,
            id,
            expires_at: Timestamp::from_millis(1),
            body: &[7; 640],
        });
    }

    type Heard = Arc<Mutex<Vec<(u8, u64)>>>;

    fn subscribe(watches: &Arc<Watches>, watched: Watched, queue_len: usize) -> (Subscription, Heard) {
        let heard = Heard::default();
        let ears = heard.clone();
        let hear = move |arrival: &Arrival, left_out| ears.lock().push((arrival.id.as_bytes()[0], left_out));
        (watches.add(watched, queue_len, Box::new(hear)).expect("room"), heard)
    }

    #[test]
    fn each_hears_of_its_numbers_in_order_until_it_ends() {
        let watches = Arc::<Watches>::default();
        let block = NumberBlock::parse(b"1202555012x").expect("a block");
        let (_all, all) = subscribe(&watches, Watched::All, 8);
        let (_one, one) = subscribe(&watches, Watched::Number(number("12025550123")), 8);
        let (ended, of_block) = subscribe(&watches, Watched::Block(block), 8);
        announce(&watches, "12025550123", 1);
        announce(&watches, "12025550124", 2);
        announce(&watches, "12025550200", 3);
        watches.tell();
        ended.end();
        announce(&watches, "12025550124", 4);
        watches.tell();
        assert_eq!(*all.lock(), [(1, 0), (2, 0), (3, 0), (4, 0)]);
        assert_eq!(*one.lock(), [(1, 0)]);
        assert_eq!(*of_block.lock(), [(1, 0), (2, 0)]);
    }

    #[test]
    fn the_oldest_makes_room_and_is_counted_and_a_stop_tells_the_rest() {
        let watches = Arc::<Watches>::default();
        let (slow, heard) = subscribe(&watches, Watched::All, 2);
        (1..=5).for_each(|id| announce(&watches, "12025550123", id));
        assert_eq!(slow.left_out_count(), 3);
        watches.stop();
        assert_eq!(*heard.lock(), [(4, 3), (5, 3)]);
        assert!(!watches.is_watched.load(Ordering::Relaxed));
        assert!(watches.add(Watched::All, 1, Box::new(|_, _| ())).is_err());
    }

    #[test]
    fn a_thread_tells_what_comes_before_and_after_it_slept_and_more_than_one_turn_takes() {
        let watches = Arc::<Watches>::default();
        watches.tell_here().expect("nothing to start yet");
        let (sender, receiver) = channel();
        let hear = Box::new(move |arrival: &Arrival, _| sender.send(arrival.number).expect("awaited"));
        let _all = watches.add(Watched::All, 2 * TOLD_PER_TURN_MAX + 1, hear).expect("a thread");
        for count in [1, 2 * TOLD_PER_TURN_MAX + 1, 1] {
            (0..count).for_each(|_| announce(&watches, "12025550123", 1));
            for _ in 0..count {
                receiver.recv_timeout(Duration::from_secs(20)).expect("told");
            }
        }
        watches.stop();
        assert!(receiver.try_recv().is_err(), "nothing is told twice");
    }
}
