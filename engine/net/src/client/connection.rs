//! The stages of one connection of a client, each a future: connect, negotiate TLS, start HTTP, exchange.
//!
//! Whoever polls them brings the events and the deadline. Knows nothing of pools or retries.

use core::cell::Cell;
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::sync::Arc;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::{Request, Response};
use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;

use super::error::{ClientError, with_causes};
use crate::io::{Io, Transport};
use crate::limits::{self, OUTPUT_BYTES_MAX};
use crate::stream::{IoState, Stream};
use crate::timers::Timers;

/// TLS for one connection: the settings and whom to expect.
pub(crate) struct TlsTarget {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) name: ServerName<'static>,
    pub(crate) host: String,
}

/// What a connection is waiting for, in words for the error when it takes too long.
pub(crate) struct Progress(Cell<&'static str>);

impl Progress {
    pub(crate) const fn new() -> Self {
        Self(Cell::new("connecting"))
    }

    pub(crate) fn attempt(&self) -> &'static str {
        self.0.get()
    }

    pub(crate) fn begin(&self, attempt: &'static str) {
        self.0.set(attempt);
    }
}

/// Where requests of a connection are put in.
pub(crate) enum Sender {
    Http1(http1::SendRequest<WholeBody>),
    Http2(http2::SendRequest<WholeBody>),
}

type Driver = Pin<Box<dyn Future<Output = Result<(), hyper::Error>> + Send>>;
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// hyper's way to start the tasks of an HTTP/2 connection.
#[derive(Clone, Default)]
struct Spawned(Arc<Mutex<Vec<Task>>>);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Spawned {
    fn execute(&self, future: F) {
        self.0.lock().push(Box::pin(future));
    }
}

/// What moves a connection's bytes: somebody must poll it for as long as the connection lives.
///
/// A connection has few tasks, so any wake polls all of them.
pub(crate) struct Background {
    driver: Option<Driver>,
    spawned: Spawned,
    tasks: Vec<Task>,
    failure: Option<String>,
}

impl Background {
    /// False once the connection has ended.
    pub(crate) fn is_alive(&self) -> bool {
        self.driver.is_some()
    }

    /// What ended the connection, if an error did.
    pub(crate) fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }

    /// Does what can be done now. Ready once the connection has ended.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(driver) = self.driver.as_mut()
            && let Poll::Ready(outcome) = driver.as_mut().poll(cx)
        {
            self.driver = None;
            self.failure = outcome.err().map(|error| with_causes(&error));
        }
        self.tasks.append(&mut self.spawned.0.lock());
        self.tasks.retain_mut(|task| task.as_mut().poll(cx).is_pending());
        if !self.spawned.0.lock().is_empty() {
            cx.waker().wake_by_ref();
        }
        if self.is_alive() { Poll::Pending } else { Poll::Ready(()) }
    }
}

/// A request that failed, and the request itself if none of it was sent.
pub(crate) struct Failed {
    pub(crate) error: ClientError,
    pub(crate) unsent: Option<Box<Request<WholeBody>>>,
}

/// How a peer that has gone silent is noticed, on HTTP/2.
pub(crate) struct Pings {
    pub(crate) timers: Timers,
    pub(crate) timeout: Duration,
}

/// Completes a connection attempt on `stream` and starts HTTP on it.
pub(crate) async fn establish(
    stream: Stream,
    state: Arc<IoState>,
    target: &str,
    tls: Option<TlsTarget>,
    is_h2: bool,
    pings: Option<Pings>,
    progress: &Progress,
) -> Result<(Sender, Background), ClientError> {
    let connected = poll_fn(|_| poll_connected(&stream, &state)).await;
    connected.map_err(|source| ClientError::Connect { target: target.to_owned(), source })?;
    let (io, is_h2) = match tls {
        None => (Transport::plain(stream, state, 0), is_h2),
        Some(tls) => {
            progress.begin("negotiating TLS");
            handshake(stream, state, tls).await?
        }
    };
    progress.begin("starting HTTP");
    start(Io::new(io), is_h2, pings).await.map_err(|error| ClientError::protocol(&error))
}

fn poll_connected(stream: &Stream, state: &IoState) -> Poll<io::Result<()>> {
    if let Some(error) = stream.take_error()? {
        return Poll::Ready(Err(error));
    }
    if state.is_writable() && stream.is_connected() { Poll::Ready(Ok(())) } else { Poll::Pending }
}

async fn handshake(
    stream: Stream,
    state: Arc<IoState>,
    tls: TlsTarget,
) -> Result<(Transport, bool), ClientError> {
    let failed = |reason: String| ClientError::Tls { host: tls.host.clone(), reason };
    let session =
        rustls::ClientConnection::new(tls.config, tls.name).map_err(|error| failed(error.to_string()))?;
    let mut io = Transport::tls(stream, state, session.into(), 0, OUTPUT_BYTES_MAX);
    poll_fn(|cx| io.poll_handshake(cx)).await.map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => failed("the peer closed the connection during the handshake".to_owned()),
        _ => failed(error.to_string()),
    })?;
    let is_h2 = io.session().and_then(|session| session.alpn_protocol()) == Some(b"h2");
    Ok((io, is_h2))
}

async fn start(io: Io, is_h2: bool, pings: Option<Pings>) -> Result<(Sender, Background), hyper::Error> {
    let spawned = Spawned::default();
    let (sender, driver): (_, Driver) = if is_h2 {
        let mut builder = http2::Builder::new(spawned.clone());
        builder
            .max_header_list_size(limits::HEADER_BYTES_MAX)
            .max_send_buf_size(OUTPUT_BYTES_MAX)
            .initial_max_send_streams(limits::H2_FIRST_STREAMS_MAX);
        if let Some(Pings { timers, timeout }) = pings {
            builder
                .timer(timers)
                .keep_alive_interval(limits::CLIENT_PING_INTERVAL)
                .keep_alive_timeout(timeout);
        }
        let (sender, connection) = builder.handshake(io).await?;
        (Sender::Http2(sender), Box::pin(connection))
    } else {
        let mut builder = http1::Builder::new();
        let header_bytes = usize::try_from(limits::HEADER_BYTES_MAX).expect("32 bits fit a usize");
        builder.max_buf_size(header_bytes).max_headers(limits::HEADER_COUNT_MAX);
        let (sender, connection) = builder.handshake(io).await?;
        (Sender::Http1(sender), Box::pin(connection))
    };
    Ok((sender, Background { driver: Some(driver), spawned, tasks: Vec::new(), failure: None }))
}

impl Sender {
    pub(crate) fn is_h2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// Whether the connection can take a request now.
    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_ready(),
            Self::Http2(sender) => sender.is_ready(),
        }
    }

    /// Whether the connection has ended.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_closed(),
            Self::Http2(sender) => sender.is_closed(),
        }
    }

    /// Another way in, if the connection takes several requests at once.
    pub(crate) fn share(&self) -> Option<Self> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(sender) => Some(Self::Http2(sender.clone())),
        }
    }

    /// Sends a request and collects its answer.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<WholeBody>,
        answer_bytes_max: usize,
        budget: &Budget,
    ) -> Result<Response<Bytes>, Failed> {
        let sent = match self {
            Self::Http1(sender) => match sender.ready().await {
                Ok(()) => Ok(sender.try_send_request(request).await),
                Err(error) => Err((error, request)),
            },
            Self::Http2(sender) => match sender.ready().await {
                Ok(()) => Ok(sender.try_send_request(request).await),
                Err(error) => Err((error, request)),
            },
        };
        let answered = sent.map_err(|(error, request)| Failed {
            error: ClientError::protocol(&error),
            unsent: Some(Box::new(request)),
        })?;
        let (parts, body) = answered.map_err(unsent)?.into_parts();
        let bytes =
            collect(body, answer_bytes_max, budget).await.map_err(|error| Failed { error, unsent: None })?;
        Ok(Response::from_parts(parts, bytes))
    }
}

fn unsent(mut failed: TrySendError<Request<WholeBody>>) -> Failed {
    let unsent = failed.take_message().map(Box::new);
    Failed { error: ClientError::protocol(failed.error()), unsent }
}

/// How many bytes answers that arrive may hold together, within what more of them may.
pub(crate) struct Budget {
    bytes_max: usize,
    left: Cell<usize>,
    within: Option<Rc<Budget>>,
}

impl Budget {
    pub(crate) const fn new(bytes_max: usize) -> Self {
        Self { bytes_max, left: Cell::new(bytes_max), within: None }
    }

    /// Some answers' part of what all of them may hold: never more than is left of that.
    pub(crate) fn within(whole: &Rc<Self>, bytes_max: usize) -> Self {
        Self { within: Some(whole.clone()), ..Self::new(bytes_max) }
    }

    fn take(&self, bytes: usize) -> Result<(), ClientError> {
        let busy = ClientError::Busy { what: "bytes of answers", count_max: self.bytes_max };
        let left = self.left.get().checked_sub(bytes).ok_or(busy)?;
        self.within.as_ref().map_or(Ok(()), |whole| whole.take(bytes))?;
        self.left.set(left);
        Ok(())
    }

    fn give_back(&self, bytes: usize) {
        self.left.set(self.left.get() + bytes);
        if let Some(whole) = &self.within {
            whole.give_back(bytes);
        }
    }
}

/// What one answer has taken of a budget, and gives back.
struct Share<'a> {
    budget: &'a Budget,
    taken: usize,
}

impl Share<'_> {
    fn take(&mut self, bytes: usize) -> Result<(), ClientError> {
        self.budget.take(bytes)?;
        self.taken += bytes;
        Ok(())
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.budget.give_back(self.taken);
    }
}

async fn collect(mut body: Incoming, limit_bytes: usize, budget: &Budget) -> Result<Bytes, ClientError> {
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > limit_bytes {
        return Err(ClientError::AnswerTooLarge { limit_bytes });
    }
    let mut share = Share { budget, taken: 0 };
    // What is only declared gets no more memory than a usual answer.
    let mut joined = Vec::with_capacity(declared.min(OUTPUT_BYTES_MAX));
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| ClientError::protocol(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > limit_bytes.saturating_sub(joined.len()) {
            return Err(ClientError::AnswerTooLarge { limit_bytes });
        }
        share.take(data.len())?;
        joined.extend_from_slice(&data);
    }
    Ok(Bytes::from(joined))
}

/// A request body in one piece.
pub(crate) struct WholeBody(pub(crate) Option<Bytes>);

impl Body for WholeBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = self.0.take().filter(|bytes| !bytes.is_empty());
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        let bytes = self.0.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(bytes).expect("a usize fits 64 bits"))
    }
}
