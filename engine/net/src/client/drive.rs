//! Runs one client connection on the calling thread: a poll for its socket, and everything hyper wants polled.
//!
//! A connection has few tasks, so any wake polls all of them. Knows nothing of requests.

use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::Wake;
use std::time::Instant;

use mio::{Events, Token};
use parking_lot::Mutex;

use super::error::with_causes;
use crate::stream::{IoState, Stream};

pub(crate) type Driver = Pin<Box<dyn Future<Output = Result<(), hyper::Error>> + Send>>;
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Set when anything of the connection wants to be polled. Relaxed suffices: setting and reading happen on the
/// thread that runs the connection.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// hyper's way to start the tasks of an HTTP/2 connection.
#[derive(Clone, Default)]
pub(crate) struct Spawned(Arc<Mutex<Vec<Task>>>);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Spawned {
    fn execute(&self, future: F) {
        self.0.lock().push(Box::pin(future));
    }
}

/// The moving parts of one connection.
pub(crate) struct Engine {
    poll: mio::Poll,
    events: Events,
    state: Arc<IoState>,
    flag: Arc<Flag>,
    waker: Waker,
    driver: Option<Driver>,
    spawned: Spawned,
    tasks: Vec<Task>,
    failure: Option<String>,
}

/// Why an engine stopped before its future was done.
pub(crate) enum Stopped {
    Deadline,
    Poll(io::Error),
}

impl Engine {
    pub(crate) fn new(stream: &mut Stream) -> io::Result<Self> {
        let poll = mio::Poll::new()?;
        stream.register(poll.registry(), Token(0))?;
        let flag = Arc::new(Flag::default());
        Ok(Self {
            poll,
            events: Events::with_capacity(4),
            state: Arc::default(),
            waker: Waker::from(flag.clone()),
            flag,
            driver: None,
            spawned: Spawned::default(),
            tasks: Vec::new(),
            failure: None,
        })
    }

    pub(crate) fn state(&self) -> Arc<IoState> {
        self.state.clone()
    }

    pub(crate) fn spawned(&self) -> Spawned {
        self.spawned.clone()
    }

    /// Gives the engine the future that moves the connection's bytes.
    pub(crate) fn set_driver(&mut self, driver: Driver) {
        self.driver = Some(driver);
    }

    /// What ended the connection, if an error did.
    pub(crate) fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }

    /// Polls `future` and the connection until the future is done or the deadline has passed.
    pub(crate) fn block_on<T>(
        &mut self,
        deadline: Instant,
        mut future: Pin<&mut dyn Future<Output = T>>,
    ) -> Result<T, Stopped> {
        let waker = self.waker.clone();
        let mut context = Context::from_waker(&waker);
        loop {
            self.flag.0.store(false, Ordering::Relaxed);
            self.state.allow_reads(usize::MAX);
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return Ok(output);
            }
            self.poll_background(&mut context);
            if self.flag.0.load(Ordering::Relaxed) {
                continue;
            }
            self.wait(deadline)?;
        }
    }

    /// Takes in what happened while the connection was idle. False once it has ended.
    pub(crate) fn is_alive(&mut self) -> bool {
        if self.poll.poll(&mut self.events, Some(core::time::Duration::ZERO)).is_err() {
            return false;
        }
        self.signal();
        self.state.allow_reads(usize::MAX);
        let waker = self.waker.clone();
        self.poll_background(&mut Context::from_waker(&waker));
        self.driver.is_some()
    }

    fn poll_background(&mut self, context: &mut Context<'_>) {
        if let Some(driver) = self.driver.as_mut()
            && let Poll::Ready(outcome) = driver.as_mut().poll(context)
        {
            self.driver = None;
            self.failure = outcome.err().map(|error| with_causes(&error));
        }
        self.tasks.append(&mut self.spawned.0.lock());
        self.tasks.retain_mut(|task| task.as_mut().poll(context).is_pending());
        if !self.spawned.0.lock().is_empty() {
            context.waker().wake_by_ref();
        }
    }

    fn wait(&mut self, deadline: Instant) -> Result<(), Stopped> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Stopped::Deadline);
            }
            match self.poll.poll(&mut self.events, Some(left)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Stopped::Poll(error)),
                Ok(()) if self.signal() => return Ok(()),
                Ok(()) => {}
            }
        }
    }

    fn signal(&mut self) -> bool {
        let state = &self.state;
        self.events.iter().fold(false, |news, event| state.signal(event) | news)
    }
}
