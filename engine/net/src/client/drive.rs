//! One client connection run on the calling thread: a poll for its socket, and everything hyper wants polled.
//!
//! A connection has few tasks, so any wake polls all of them. Knows nothing of pools or retries.

use core::future::Future;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::Wake;
use std::time::Instant;

use hyper::body::Bytes;
use hyper::{Request, Response};
use mio::{Events, Token};

use super::connection::{self, Background, Budget, Failed, Progress, Sender, TlsTarget, WholeBody};
use super::error::ClientError;
use crate::stream::{IoState, Stream};

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

/// How long a whole request may take, and when that ends.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) allowed: core::time::Duration,
    pub(crate) at: Instant,
}

/// An open connection.
pub(crate) struct Connection {
    sender: Sender,
    engine: Engine,
}

impl Connection {
    /// Completes a connection attempt on `stream` and starts HTTP on it.
    pub(crate) fn open(
        mut stream: Stream,
        target: &str,
        tls: Option<TlsTarget>,
        is_h2: bool,
        deadline: Deadline,
    ) -> Result<Self, ClientError> {
        let mut engine = Engine::new(&mut stream).map_err(ClientError::system("watch a socket"))?;
        let progress = Progress::new();
        let opening =
            connection::establish(stream, engine.state.clone(), target, tls, is_h2, None, &progress);
        let opened = engine.block_on(deadline.at, pin!(opening));
        let (sender, background) =
            opened.map_err(|stopped| stopped.error(progress.attempt(), deadline))??;
        engine.background = Some(background);
        Ok(Self { sender, engine })
    }

    pub(crate) fn is_h2(&self) -> bool {
        self.sender.is_h2()
    }

    /// Whether the connection can take another request.
    pub(crate) fn is_usable(&mut self) -> bool {
        self.engine.is_alive() && self.sender.is_ready()
    }

    /// Sends a request and collects its answer.
    pub(crate) fn exchange(
        &mut self,
        request: Request<WholeBody>,
        answer_bytes_max: usize,
        deadline: Deadline,
    ) -> Result<Response<Bytes>, Failed> {
        // One answer at a time: its own bound is bound enough.
        let budget = Budget::new(answer_bytes_max);
        let exchange = self.sender.exchange(request, answer_bytes_max, &budget);
        let mut failed = match self.engine.block_on(deadline.at, pin!(exchange)) {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(failed)) => failed,
            Err(stopped) => Failed { error: stopped.error("waiting for the answer", deadline), unsent: None },
        };
        // The connection's own end says more than "canceled".
        let background = self.engine.background.as_mut();
        if let (ClientError::Protocol { .. }, Some(reason)) =
            (&failed.error, background.and_then(Background::take_failure))
        {
            failed.error = ClientError::Protocol { reason };
        }
        Err(failed)
    }
}

/// The moving parts of one connection.
struct Engine {
    poll: mio::Poll,
    events: Events,
    state: Arc<IoState>,
    flag: Arc<Flag>,
    waker: Waker,
    /// Once HTTP has begun.
    background: Option<Background>,
}

/// Why an engine stopped before its future was done.
enum Stopped {
    Deadline,
    Poll(io::Error),
}

impl Stopped {
    fn error(self, attempt: &'static str, deadline: Deadline) -> ClientError {
        match self {
            Self::Deadline => ClientError::Timeout { attempt, deadline: deadline.allowed },
            Self::Poll(source) => ClientError::System { attempt: "wait for the peer", source },
        }
    }
}

impl Engine {
    fn new(stream: &mut Stream) -> io::Result<Self> {
        let poll = mio::Poll::new()?;
        stream.register(poll.registry(), Token(0))?;
        let flag = Arc::new(Flag::default());
        Ok(Self {
            poll,
            events: Events::with_capacity(4),
            state: Arc::default(),
            waker: Waker::from(flag.clone()),
            flag,
            background: None,
        })
    }

    /// Polls `future` and the connection until the future is done or the deadline has passed.
    fn block_on<T>(
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
    fn is_alive(&mut self) -> bool {
        if self.poll.poll(&mut self.events, Some(core::time::Duration::ZERO)).is_err() {
            return false;
        }
        self.signal();
        self.state.allow_reads(usize::MAX);
        let waker = self.waker.clone();
        self.poll_background(&mut Context::from_waker(&waker));
        self.background.as_ref().is_some_and(Background::is_alive)
    }

    fn poll_background(&mut self, context: &mut Context<'_>) {
        if let Some(background) = &mut self.background {
            // Whether it has ended is asked where it matters.
            let _ = background.poll(context);
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
