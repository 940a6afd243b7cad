//! One reactor: a poll, its listeners, its connections and its deadlines, all on one thread.
//!
//! A host either gives it a thread ([`Server`](crate::Server)) or polls its one descriptor and calls
//! [`Reactor::turn`]. Knows nothing of other reactors.

use core::cell::Cell;
use core::task::Waker;
use core::time::Duration;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::clock::{Clock, SystemClock};
use crate::connection::{self, Connection};
use crate::counters::{Counters, CountersSnapshot};
use crate::error::NetError;
use crate::exchange::{HandshakeBudget, Shared};
pub use crate::executor::ReactorState;
use crate::executor::{Executor, RunQueue, Spawner};
use crate::limits::{EVENTS_PER_TURN, NetLimits};
use crate::listener::{Address, Listener};
use crate::service::Service;
use crate::timers::Timers;

/// Tokens from here up are not tasks; a task's id stays below 2^63.
const ROUSER: Token = Token(usize::MAX);
const TIMER: Token = Token(usize::MAX - 1);
const FIRST_LISTENER: usize = usize::MAX - 2;
const LISTENERS_MAX: usize = 1024;

/// How a reactor runs.
#[derive(Clone)]
pub struct ReactorConfig {
    /// Its bounds.
    pub limits: NetLimits,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
}

impl Default for ReactorConfig {
    fn default() -> Self {
        Self { limits: NetLimits::default(), clock: Arc::new(SystemClock) }
    }
}

/// What one turn did and what it left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TurnReport {
    /// Tasks polled.
    pub polled: usize,
    /// Connections open after the turn.
    pub connections: usize,
    /// Tasks alive after the turn: connections, and HTTP/2 streams with a request under way.
    pub tasks: usize,
    /// Work was left for the next turn; the descriptor stays readable.
    pub has_more: bool,
    /// A drain was asked for and is complete: no listener and no connection is left.
    pub is_drained: bool,
}

/// A reactor. It stays on the thread that made it.
pub struct Reactor<S: Service> {
    poll: Poll,
    events: Events,
    queue: Arc<RunQueue>,
    executor: Rc<Executor>,
    shared: Rc<Shared<S>>,
    acceptors: Vec<Acceptor>,
    timer: DescriptorTimer,
    drain_until: Option<Instant>,
}

struct Acceptor {
    listener: Listener,
    /// Its place in the list the reactor was given.
    position: usize,
    is_ready: bool,
    rests_until: Option<Instant>,
}

/// What any thread may ask of a reactor.
#[derive(Clone)]
pub struct ReactorHandle {
    queue: Arc<RunQueue>,
    counters: Arc<Counters>,
}

impl ReactorHandle {
    /// Ends the reactor's wait. Any thread.
    pub fn wake(&self) {
        self.queue.rouse();
    }

    /// Stops accepting, lets requests under way finish for `grace`, then closes what is left. Any thread; the
    /// reactor obeys in its next turn, which this call brings about.
    pub fn begin_drain(&self, grace: Duration) {
        self.queue.drain(grace);
    }

    /// What happened so far. Any thread.
    pub fn counters(&self) -> CountersSnapshot {
        self.counters.snapshot()
    }

    /// Whether the reactor serves. Any thread.
    pub fn state(&self) -> ReactorState {
        self.queue.reactor_state()
    }
}

impl<S: Service> Reactor<S> {
    /// A reactor that accepts on `listeners` and asks `service`.
    ///
    /// # Errors
    /// [`NetError::System`] if the system has no descriptors left.
    pub fn new(config: ReactorConfig, listeners: Vec<Listener>, service: S) -> Result<Self, NetError> {
        let poll = Poll::new().map_err(NetError::system("open a poll"))?;
        let rouser = mio::Waker::new(poll.registry(), ROUSER).map_err(NetError::system("open a waker"))?;
        let queue = Arc::new(RunQueue::new(rouser));
        let counters = Arc::new(Counters::default());
        let executor = Rc::new(Executor::new(queue.clone(), counters.clone()));
        let timer = DescriptorTimer::new(&poll).map_err(NetError::system("open a timer"))?;
        let shared = Shared {
            service,
            limits: config.limits,
            now: Rc::new(Cell::new(config.clock.now())),
            timers: Timers::new(config.clock),
            counters,
            spawner: Spawner(executor.clone()),
            connections: Cell::new(0),
            draining: Cell::new(false),
            handshakes: HandshakeBudget::default(),
        };
        Ok(Self {
            acceptors: acceptors(&poll, listeners)?,
            events: Events::with_capacity(EVENTS_PER_TURN),
            shared: Rc::new(shared),
            poll,
            queue,
            executor,
            timer,
            drain_until: None,
        })
    }

    /// The one descriptor a host polls for reading: readable whenever [`Reactor::turn`] has something to do,
    /// deadlines included. Valid for the life of the reactor.
    pub fn descriptor(&self) -> RawFd {
        self.poll.as_raw_fd()
    }

    /// A handle for other threads.
    pub fn handle(&self) -> ReactorHandle {
        ReactorHandle { queue: self.queue.clone(), counters: self.shared.counters.clone() }
    }

    /// Where the reactor listens, in the order given to [`Reactor::new`]; empty once it drains.
    pub fn addresses(&self) -> Vec<Address> {
        self.acceptors.iter().map(|acceptor| acceptor.listener.address().clone()).collect()
    }

    /// Waits up to `timeout` (`None`: until something happens), then does a bounded amount of work, and sees to
    /// it that the descriptor becomes readable when there is more to do.
    ///
    /// # Errors
    /// [`NetError::System`] if the poll itself fails; the reactor is then of no further use.
    pub fn turn(&mut self, timeout: Option<Duration>) -> Result<TurnReport, NetError> {
        let report = self.step(timeout)?;
        if self.has_work() || !self.queue.fall_asleep() {
            self.queue.rouse();
        } else if let Some(wait) = self.shared.timers.next() {
            self.timer.arm(self.shared.timers.now(), wait).map_err(NetError::system("set a timer"))?;
        }
        Ok(report)
    }

    /// A turn for whoever always calls again: deadlines are kept by the wait itself.
    pub(crate) fn step(&mut self, timeout: Option<Duration>) -> Result<TurnReport, NetError> {
        self.wait(timeout).map_err(NetError::system("wait for events"))?;
        self.shared.now.set(self.shared.timers.now());
        self.dispatch();
        self.shared.timers.fire();
        self.obey();
        self.accept();
        self.shared.handshakes.refill(self.shared.limits.handshakes_per_turn);
        let polled = self.executor.run(self.shared.limits.polls_per_turn);
        let connections = self.shared.connections.get();
        self.shared.counters.open(connections);
        Ok(TurnReport {
            polled,
            connections,
            tasks: self.executor.len(),
            has_more: self.has_work(),
            is_drained: self.drain_until.is_some() && connections == 0,
        })
    }

    fn has_work(&self) -> bool {
        self.executor.has_ready()
            || self.shared.handshakes.has_waiting()
            || self.acceptors.iter().any(|acceptor| acceptor.is_ready && self.may_accept(acceptor))
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = if self.has_work() || !self.queue.fall_asleep() {
            Some(Duration::ZERO)
        } else {
            [timeout, self.shared.timers.next()].into_iter().flatten().min()
        };
        let outcome = self.poll.poll(&mut self.events, timeout);
        self.queue.stay_awake();
        match outcome {
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn dispatch(&mut self) {
        for event in &self.events {
            match event.token() {
                ROUSER | TIMER => {}
                Token(token) if token > FIRST_LISTENER - LISTENERS_MAX => {
                    let position = FIRST_LISTENER - token;
                    let found = self.acceptors.iter_mut().find(|acceptor| acceptor.position == position);
                    if let Some(acceptor) = found {
                        acceptor.is_ready = true;
                    }
                }
                token => self.executor.signal(token, event),
            }
        }
    }

    fn obey(&mut self) {
        let now = self.shared.now.get();
        if let Some(grace) = self.queue.take_drain() {
            self.acceptors.clear();
            self.shared.draining.set(true);
            self.executor.wake_connections();
            self.drain_until = Some(now + grace);
            self.shared.timers.wake_at(now + grace, Waker::from(self.queue.clone()));
        }
        if self.drain_until.is_some_and(|until| until <= now) {
            self.executor.clear();
        }
    }

    fn may_accept(&self, acceptor: &Acceptor) -> bool {
        self.shared.connections.get() < self.shared.limits.connections_max
            && acceptor.rests_until.is_none_or(|until| until <= self.shared.now.get())
    }

    fn accept(&mut self) {
        for index in 0..self.acceptors.len() {
            for _ in 0..self.shared.limits.accepts_per_turn {
                if !self.acceptors[index].is_ready || !self.may_accept(&self.acceptors[index]) {
                    break;
                }
                self.accept_one(index);
            }
        }
    }

    fn accept_one(&mut self, index: usize) {
        let acceptor = &mut self.acceptors[index];
        let accepted = acceptor.listener.accept();
        let registered = accepted.and_then(|(mut stream, address)| {
            let state = connection::register(self.poll.registry(), &self.shared.spawner, &mut stream)?;
            Ok((stream, address, state))
        });
        match registered {
            Ok((stream, address, state)) => {
                let tls = acceptor.listener.tls_slot().map(|slot| slot.current());
                let shared = self.shared.clone();
                let task = Connection::new(shared, stream, tls, state.clone(), acceptor.position, address);
                self.executor.spawn(Box::pin(task), Some(state));
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => acceptor.is_ready = false,
                // The peer was gone before we came.
                ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted => {}
                _ => {
                    // No descriptors or no memory: trying again at once would only burn the processor.
                    let until = self.shared.now.get() + self.shared.limits.accept_backoff;
                    acceptor.rests_until = Some(until);
                    self.shared.counters.accept_error();
                    self.shared.timers.wake_at(until, Waker::from(self.queue.clone()));
                }
            },
        }
    }
}

impl<S: Service> Drop for Reactor<S> {
    fn drop(&mut self) {
        // Tasks hold the executor and the executor holds the tasks: the circle is cut here.
        self.executor.clear();
        self.queue.end();
    }
}

fn acceptors(poll: &Poll, listeners: Vec<Listener>) -> Result<Vec<Acceptor>, NetError> {
    if listeners.len() > LISTENERS_MAX {
        let source = io::Error::other(format!("{} listeners; {LISTENERS_MAX} is the most", listeners.len()));
        return Err(NetError::System { attempt: "watch the listeners", source });
    }
    let mut acceptors = Vec::with_capacity(listeners.len());
    for (position, mut listener) in listeners.into_iter().enumerate() {
        let token = Token(FIRST_LISTENER - position);
        listener.register(poll.registry(), token).map_err(NetError::system("watch a listener"))?;
        acceptors.push(Acceptor { listener, position, is_ready: true, rests_until: None });
    }
    Ok(acceptors)
}

/// Makes the reactor's descriptor readable at a deadline, for hosts that wait on it themselves.
struct DescriptorTimer {
    timer: OwnedFd,
    armed: Option<Instant>,
}

impl DescriptorTimer {
    fn new(poll: &Poll) -> io::Result<Self> {
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        Ok(Self { timer, armed: None })
    }

    fn arm(&mut self, now: Instant, wait: Duration) -> io::Result<()> {
        let at = now + wait;
        if self.armed.is_some_and(|armed| armed > now && armed <= at) {
            return Ok(());
        }
        // A value of zero would disarm the timer.
        let wait = wait.max(Duration::from_nanos(1));
        let value = Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        self.armed = Some(at);
        Ok(())
    }
}
