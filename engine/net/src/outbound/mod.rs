//! The client side without waiting: many exchanges at once on one thread that belongs to the caller.
//!
//! [`Outbound::begin`] takes a request and returns at once, [`Outbound::turn`] waits for what happens next, and
//! [`Outbound::take_done`] gives the answers in the order they came. A name is looked up once, each address is held
//! against the route's [`AddressRule`], and the connection goes to exactly the address that passed: what the name
//! resolves to a moment later does not matter. Follows no redirect, keeps no cookie, undoes no content coding, reads no
//! environment.

mod address;
mod pool;
mod resolve;
mod system_resolver;
mod task;

use core::cell::{Cell, RefCell};
use core::task::{Poll, Waker};
use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::{Request, Response};
use mio::{Events, Registry, Token};

pub use address::{AddressBlock, AddressRule, BadAddressBlock};
pub use resolve::{Resolver, ResolverReply};
pub use system_resolver::SystemResolver;

use crate::client::connection::Budget;
use crate::client::{ClientError, Route};
use crate::clock::{Clock, SystemClock};
use crate::counters::Counters;
use crate::error::NetError;
use crate::executor::{Executor, RunQueue, TaskId};
use crate::limits::{
    ANSWERS_BYTES_MAX, ANSWERS_OF_PEER_BYTES_MAX, ANSWERS_OF_STRANGER_BYTES_MAX,
    ANSWERS_OF_STRANGERS_BYTES_MAX, EVENTS_PER_TURN, EXCHANGES_MAX, POLLS_PER_TURN,
};
use crate::timers::Timers;
use pool::{Peer, Pool};

const ROUSER: Token = Token(usize::MAX);

/// A request, whom it goes to, and what its answer may cost.
pub struct Exchange {
    /// The way to the peer.
    pub route: Arc<Route>,
    /// The request. Its URI names the peer, but for routes through a Unix socket.
    pub request: Request<Bytes>,
    /// Bytes of the answer's body that are accepted.
    pub answer_bytes_max: usize,
    /// How long everything may take: looking up, connecting, sending and the whole answer.
    pub allowed: Duration,
}

/// Names an exchange for the life of its [`Outbound`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeId(u64);

/// What became of an exchange.
pub type Answered = Result<Response<Bytes>, ClientError>;

/// Opens connections. The system's is [`SystemDialer`]; a test may count, refuse or divert.
pub trait Dialer: Send + Sync {
    /// Begins to connect, without waiting: a non-blocking socket whose attempt may still be under way.
    ///
    /// # Errors
    /// The system's reason.
    fn dial(&self, address: SocketAddr) -> io::Result<TcpStream>;
}

/// The system's `connect`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDialer;

impl Dialer for SystemDialer {
    fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        Ok(mio::net::TcpStream::connect(address)?.into())
    }
}

/// What an [`Outbound`] takes from its surroundings.
#[derive(Clone)]
pub struct Surroundings {
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// Where hosts are looked up.
    pub resolver: Arc<dyn Resolver>,
    /// What opens connections.
    pub dialer: Arc<dyn Dialer>,
}

impl Default for Surroundings {
    /// The system's clock, resolver and connections.
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            resolver: Arc::new(SystemResolver::default()),
            dialer: Arc::new(SystemDialer),
        }
    }
}

/// Exchanges with peers, any number at once. It stays on the thread that made it.
pub struct Outbound {
    poll: mio::Poll,
    events: Events,
    queue: Arc<RunQueue>,
    shared: Rc<Shared>,
    running: HashMap<ExchangeId, Running>,
    next_id: u64,
}

/// What the exchanges of one [`Outbound`] share.
struct Shared {
    surroundings: Surroundings,
    registry: Registry,
    executor: Executor,
    timers: Timers,
    pool: Pool,
    /// All answers.
    budget: Rc<Budget>,
    /// Those of hosts that strangers name.
    strangers_budget: Rc<Budget>,
    done: RefCell<VecDeque<(ExchangeId, Answered)>>,
}

/// An exchange under way.
struct Running {
    is_cancelled: Rc<Cell<bool>>,
    waker: Rc<RefCell<Option<Waker>>>,
}

/// Ends an [`Outbound`]'s wait. Any thread.
#[derive(Clone)]
pub struct OutboundWaker(Arc<RunQueue>);

impl OutboundWaker {
    /// Ends the wait that is under way, or the next one if its `has_work` was asked before this call.
    pub fn wake(&self) {
        self.0.nudge();
    }
}

impl Outbound {
    /// One without exchanges. Starts no thread.
    ///
    /// # Errors
    /// [`NetError::System`] if the system has no descriptors left.
    pub fn new(surroundings: Surroundings) -> Result<Self, NetError> {
        let poll = mio::Poll::new().map_err(NetError::system("open a poll"))?;
        let rouser = mio::Waker::new(poll.registry(), ROUSER).map_err(NetError::system("open a waker"))?;
        let registry = poll.registry().try_clone().map_err(NetError::system("watch sockets"))?;
        let queue = Arc::new(RunQueue::new(rouser));
        let budget = Rc::new(Budget::new(ANSWERS_BYTES_MAX));
        let shared = Shared {
            registry,
            executor: Executor::new(queue.clone(), Arc::new(Counters::default())),
            timers: Timers::new(surroundings.clock.clone()),
            surroundings,
            pool: Pool::default(),
            strangers_budget: Rc::new(Budget::within(&budget, ANSWERS_OF_STRANGERS_BYTES_MAX)),
            budget,
            done: RefCell::default(),
        };
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_PER_TURN),
            queue,
            shared: Rc::new(shared),
            running: HashMap::new(),
            next_id: 0,
        })
    }

    /// What other threads end its wait with.
    pub fn waker(&self) -> OutboundWaker {
        OutboundWaker(self.queue.clone())
    }

    /// Begins an exchange. Its outcome comes from [`take_done`](Self::take_done), exactly once.
    ///
    /// # Errors
    /// [`ClientError::Busy`] if [`EXCHANGES_MAX`] are under way.
    pub fn begin(&mut self, exchange: Exchange) -> Result<ExchangeId, ClientError> {
        if self.running.len() >= EXCHANGES_MAX {
            return Err(ClientError::Busy { what: "exchanges", count_max: EXCHANGES_MAX });
        }
        self.next_id += 1;
        let id = ExchangeId(self.next_id);
        let running = Running { is_cancelled: Rc::default(), waker: Rc::default() };
        let (is_cancelled, waker) = (running.is_cancelled.clone(), running.waker.clone());
        self.running.insert(id, running);
        let outcome = Outcome { shared: self.shared.clone(), id, answered: None };
        let shared = self.shared.clone();
        let task = async move {
            let mut work = core::pin::pin!(task::run(&shared, exchange));
            let answered = core::future::poll_fn(|cx| {
                if is_cancelled.get() {
                    return Poll::Ready(Err(ClientError::Abandoned));
                }
                waker.borrow_mut().get_or_insert_with(|| cx.waker().clone());
                work.as_mut().poll(cx)
            });
            outcome.report(answered.await);
        };
        self.shared.executor.spawn(Box::pin(task), None);
        Ok(id)
    }

    /// Gives an exchange up: it ends with [`ClientError::Abandoned`], unless it has ended already. What was sent stays
    /// sent.
    pub fn cancel(&mut self, id: ExchangeId) {
        let Some(running) = self.running.get(&id) else { return };
        running.is_cancelled.set(true);
        if let Some(waker) = running.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// An exchange that has ended, and how.
    pub fn take_done(&mut self) -> Option<(ExchangeId, Answered)> {
        let done = self.shared.done.borrow_mut().pop_front()?;
        self.running.remove(&done.0);
        Some(done)
    }

    /// Exchanges under way, and those whose end was not taken yet.
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// Whether there is no exchange.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Waits until something happens, for at most `timeout` (`None`: however long), then does a bounded amount of work.
    /// Does not wait if an exchange has ended, or if `has_work` says that the caller has something to do: it is asked
    /// when wakes from then on are no longer lost.
    ///
    /// # Errors
    /// [`NetError::System`] if the poll itself fails; this is then of no further use.
    pub fn turn(
        &mut self,
        timeout: Option<Duration>,
        has_work: impl FnOnce() -> bool,
    ) -> Result<(), NetError> {
        self.wait(timeout, has_work).map_err(NetError::system("wait for events"))?;
        for event in self.events.iter().filter(|event| event.token() != ROUSER) {
            self.shared.executor.signal(event.token(), event);
        }
        self.shared.timers.fire();
        self.shared.executor.run(POLLS_PER_TURN);
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>, has_work: impl FnOnce() -> bool) -> io::Result<()> {
        let is_busy = self.shared.executor.has_ready() || !self.shared.done.borrow().is_empty();
        let timeout = if is_busy || !self.queue.fall_asleep() || has_work() {
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
}

impl Drop for Outbound {
    fn drop(&mut self) {
        // Tasks hold what they share, and the executor there holds the tasks: the circle is cut here.
        self.shared.executor.clear();
        self.shared.pool.clear();
    }
}

/// Reports an exchange's end, whatever ends it.
struct Outcome {
    shared: Rc<Shared>,
    id: ExchangeId,
    answered: Option<Answered>,
}

impl Outcome {
    fn report(mut self, answered: Answered) {
        self.answered = Some(answered);
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        let answered = self.answered.take().unwrap_or(Err(ClientError::Abandoned));
        self.shared.done.borrow_mut().push_back((self.id, answered));
    }
}

impl Shared {
    /// What answers of `peer` may hold.
    fn budget_of(&self, peer: &Peer) -> Rc<Budget> {
        self.pool.budget(peer, || {
            if peer.route.is_for_strangers {
                Budget::within(&self.strangers_budget, ANSWERS_OF_STRANGER_BYTES_MAX)
            } else {
                Budget::within(&self.budget, ANSWERS_OF_PEER_BYTES_MAX)
            }
        })
    }

    /// The token of the task that is spawned next.
    fn next_token(&self) -> Token {
        TaskId::token(self.executor.next_id())
    }
}
