//! A single-threaded executor: a slab of tasks and a queue of those that want to be polled.
//!
//! Tasks stay on their reactor's thread; their wakers may go anywhere. A wake puts the task's id on the queue
//! and, if the reactor sleeps in the kernel, rouses it. Knows nothing of HTTP or TLS.

use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Wake;

use crate::counters::Counters;
use crate::stream::IoState;
use crate::sync::Mutex;

/// Names a task for the life of the executor: the slot in the low half, its generation in the high half. The
/// generation has 31 bits, so that an id never meets the tokens kept for listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskId(u64);

const GENERATION_MASK: u32 = 0x7fff_ffff;

impl TaskId {
    fn new(index: u32, generation: u32) -> Self {
        Self((u64::from(generation) << 32) | u64::from(index))
    }

    fn index(self) -> usize {
        usize::try_from(self.0 & u64::from(u32::MAX))
            .expect("32 bits fit a usize on the platforms mio serves")
    }

    fn generation(self) -> u32 {
        u32::try_from(self.0 >> 32).expect("a shifted u64 has 32 bits")
    }

    pub(crate) fn token(self) -> mio::Token {
        mio::Token(usize::try_from(self.0).expect("the reactor runs on 64-bit platforms"))
    }

    pub(crate) fn from_token(token: mio::Token) -> Self {
        Self(u64::try_from(token.0).expect("a usize fits 64 bits"))
    }
}

/// What other threads may touch of a reactor: its queue of woken tasks and its commands.
pub(crate) struct RunQueue {
    state: Mutex<QueueState>,
    rouser: mio::Waker,
    /// A [`ReactorState`].
    reactor_state: AtomicU8,
}

/// How far a reactor is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ReactorState {
    /// It accepts, or will in its next turn.
    Serving = 0,
    /// It was asked to drain. It stays so when it is done.
    Draining = 1,
    /// It ended and nobody had asked it to: it serves nobody any more.
    EndedEarly = 2,
}

#[derive(Default)]
struct QueueState {
    ready: VecDeque<TaskId>,
    /// The reactor is, or may soon be, blocked in the kernel: whoever changes this state must rouse it.
    asleep: bool,
    drain: Option<Duration>,
}

impl RunQueue {
    pub(crate) fn new(rouser: mio::Waker) -> Self {
        let reactor_state = AtomicU8::new(ReactorState::Serving as u8);
        Self { state: Mutex::new(QueueState::default()), rouser, reactor_state }
    }

    fn push(&self, id: TaskId) {
        self.change(|state| state.ready.push_back(id));
    }

    /// Asks the reactor to drain; the later of two wishes replaces the earlier.
    pub(crate) fn drain(&self, grace: Duration) {
        self.leave_serving(ReactorState::Draining);
        self.change(|state| state.drain = Some(grace));
    }

    /// Says that the reactor is gone.
    pub(crate) fn end(&self) {
        self.leave_serving(ReactorState::EndedEarly);
    }

    pub(crate) fn reactor_state(&self) -> ReactorState {
        // Relaxed, as below: it says nothing of what else has happened.
        match self.reactor_state.load(Ordering::Relaxed) {
            0 => ReactorState::Serving,
            1 => ReactorState::Draining,
            _ => ReactorState::EndedEarly,
        }
    }

    /// The first reason not to serve any more stays.
    fn leave_serving(&self, next: ReactorState) {
        let serving = ReactorState::Serving as u8;
        let _ =
            self.reactor_state.compare_exchange(serving, next as u8, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Rouses the reactor if it is, or is about to be, blocked in the kernel.
    pub(crate) fn nudge(&self) {
        self.change(|_| {});
    }

    pub(crate) fn take_drain(&self) -> Option<Duration> {
        self.state.lock().drain.take()
    }

    fn change(&self, apply: impl FnOnce(&mut QueueState)) {
        let must_rouse = {
            let mut state = self.state.lock();
            apply(&mut state);
            core::mem::replace(&mut state.asleep, false)
        };
        if must_rouse {
            self.rouse();
        }
    }

    /// Makes the reactor's descriptor readable.
    pub(crate) fn rouse(&self) {
        // A write to an eventfd fails only when the descriptor is gone, and with it the reactor.
        let _ = self.rouser.wake();
    }

    /// Says that the reactor is about to block. False, and nothing said, if there is work after all.
    pub(crate) fn fall_asleep(&self) -> bool {
        let mut state = self.state.lock();
        state.asleep = state.ready.is_empty() && state.drain.is_none();
        state.asleep
    }

    pub(crate) fn stay_awake(&self) {
        self.state.lock().asleep = false;
    }

    fn is_empty(&self) -> bool {
        self.state.lock().ready.is_empty()
    }
}

/// Waking the queue itself rouses the reactor without naming a task.
impl Wake for RunQueue {
    fn wake(self: Arc<Self>) {
        self.nudge();
    }
}

struct TaskWaker {
    id: TaskId,
    queue: Arc<RunQueue>,
    /// AcqRel swap here, Release store before each poll: a wake that finds the flag set happened before a poll
    /// that is still to come.
    queued: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.queue.push(self.id);
        }
    }
}

type BoxedTask = Pin<Box<dyn Future<Output = ()>>>;

struct Task {
    /// Absent while the task is being polled.
    future: Option<BoxedTask>,
    state: Arc<TaskWaker>,
    waker: Waker,
    io: Option<Arc<IoState>>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    task: Option<Task>,
}

#[derive(Default)]
struct Slab {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

/// The tasks of one reactor.
pub(crate) struct Executor {
    slab: RefCell<Slab>,
    batch: RefCell<VecDeque<TaskId>>,
    queue: Arc<RunQueue>,
    counters: Arc<Counters>,
}

impl Executor {
    pub(crate) fn new(queue: Arc<RunQueue>, counters: Arc<Counters>) -> Self {
        Self { slab: RefCell::default(), batch: RefCell::default(), queue, counters }
    }

    /// The id the next spawned task will have.
    pub(crate) fn next_id(&self) -> TaskId {
        self.slab.borrow_mut().next_id()
    }

    /// Adds a task and queues its first poll. `io` is told of readiness events on the task's token.
    pub(crate) fn spawn(&self, future: BoxedTask, io: Option<Arc<IoState>>) {
        let id = {
            let mut slab = self.slab.borrow_mut();
            let id = slab.next_id();
            let state = Arc::new(TaskWaker { id, queue: self.queue.clone(), queued: AtomicBool::new(true) });
            slab.free.pop();
            slab.slots[id.index()].task =
                Some(Task { future: Some(future), waker: Waker::from(state.clone()), state, io });
            id
        };
        self.queue.push(id);
    }

    /// Hands a readiness event to the connection it belongs to, and wakes it if it was waiting for that.
    pub(crate) fn signal(&self, token: mio::Token, event: &mio::event::Event) {
        let slab = self.slab.borrow();
        let Some(task) = slab.task(TaskId::from_token(token)) else { return };
        let Some(io) = &task.io else { return };
        if io.signal(event) {
            task.waker.wake_by_ref();
        }
    }

    /// Wakes every task that owns a connection.
    pub(crate) fn wake_connections(&self) {
        let slab = self.slab.borrow();
        let tasks = slab.slots.iter().filter_map(|slot| slot.task.as_ref());
        tasks.filter(|task| task.io.is_some()).for_each(|task| task.waker.wake_by_ref());
    }

    /// Polls up to `polls_max` woken tasks, oldest wake first. Returns how many.
    pub(crate) fn run(&self, polls_max: usize) -> usize {
        for polled in 0..polls_max {
            let Some(id) = self.next_ready() else { return polled };
            self.poll(id);
        }
        polls_max
    }

    /// Tasks alive.
    pub(crate) fn len(&self) -> usize {
        let slab = self.slab.borrow();
        slab.slots.len() - slab.free.len()
    }

    /// Whether a woken task waits for its poll.
    pub(crate) fn has_ready(&self) -> bool {
        !self.batch.borrow().is_empty() || !self.queue.is_empty()
    }

    /// Drops all tasks.
    pub(crate) fn clear(&self) {
        let count = self.slab.borrow().slots.len();
        for index in 0..count {
            let task = self.slab.borrow_mut().slots[index].task.take();
            drop(task);
        }
        *self.slab.borrow_mut() = Slab::default();
        self.batch.borrow_mut().clear();
    }

    fn next_ready(&self) -> Option<TaskId> {
        let mut batch = self.batch.borrow_mut();
        if batch.is_empty() {
            // One lock for a whole batch: the emptied deque goes back as the next queue.
            core::mem::swap(&mut *batch, &mut self.queue.state.lock().ready);
        }
        batch.pop_front()
    }

    fn poll(&self, id: TaskId) {
        let Some((mut future, waker)) = self.slab.borrow_mut().begin_poll(id) else { return };
        let mut context = Context::from_waker(&waker);
        // A panic ends this task alone: the future is dropped and never looked at again.
        let outcome = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context)));
        if matches!(outcome, Ok(Poll::Pending)) {
            self.slab.borrow_mut().end_poll(id, future);
            return;
        }
        if outcome.is_err() {
            self.counters.panic();
        }
        self.slab.borrow_mut().remove(id);
        if catch_unwind(AssertUnwindSafe(|| drop(future))).is_err() {
            self.counters.panic();
        }
    }
}

impl Slab {
    fn next_id(&mut self) -> TaskId {
        if self.free.is_empty() {
            let index =
                u32::try_from(self.slots.len()).expect("connections and streams are bounded far below 2^32");
            self.slots.push(Slot::default());
            self.free.push(index);
        }
        let index = *self.free.last().expect("a free slot was just made");
        TaskId::new(index, self.slots[usize::try_from(index).expect("32 bits fit a usize")].generation)
    }

    fn task(&self, id: TaskId) -> Option<&Task> {
        let slot = self.slots.get(id.index())?;
        slot.task.as_ref().filter(|_| slot.generation == id.generation())
    }

    fn task_mut(&mut self, id: TaskId) -> Option<&mut Task> {
        let slot = self.slots.get_mut(id.index())?;
        slot.task.as_mut().filter(|_| slot.generation == id.generation())
    }

    fn begin_poll(&mut self, id: TaskId) -> Option<(BoxedTask, Waker)> {
        let task = self.task_mut(id)?;
        // Release: pairs with the swap in wake_by_ref.
        task.state.queued.store(false, Ordering::Release);
        Some((task.future.take()?, task.waker.clone()))
    }

    fn end_poll(&mut self, id: TaskId, future: BoxedTask) {
        if let Some(task) = self.task_mut(id) {
            task.future = Some(future);
        }
    }

    fn remove(&mut self, id: TaskId) {
        let Some(slot) = self.slots.get_mut(id.index()) else { return };
        slot.task = None;
        slot.generation = slot.generation.wrapping_add(1) & GENERATION_MASK;
        self.free.push(u32::try_from(id.index()).expect("the index came from 32 bits"));
    }
}

/// hyper's way to start the tasks of HTTP/2 streams.
#[derive(Clone)]
pub(crate) struct Spawner(pub(crate) Rc<Executor>);

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Spawner {
    fn execute(&self, future: F) {
        self.0.spawn(Box::pin(future), None);
    }
}
