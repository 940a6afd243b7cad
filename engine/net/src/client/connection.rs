//! One connection of a client: opened over TCP or a Unix socket, under TLS or not, speaking either HTTP.
//!
//! Knows nothing of pools or retries.

use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Instant;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::{Request, Response};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;

use super::drive::{Driver, Engine, Spawned, Stopped};
use super::error::ClientError;
use crate::io::{Io, Transport};
use crate::limits::{self, OUTPUT_BYTES_MAX};
use crate::stream::{IoState, Stream};

/// How long a whole request may take, and when that ends.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) allowed: core::time::Duration,
    pub(crate) at: Instant,
}

/// TLS for one connection: the settings and whom to expect.
pub(crate) struct TlsTarget {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) name: ServerName<'static>,
    pub(crate) host: String,
}

/// An open connection.
pub(crate) struct Connection {
    sender: Sender,
    engine: Engine,
}

enum Sender {
    Http1(http1::SendRequest<WholeBody>),
    Http2(http2::SendRequest<WholeBody>),
}

/// A request that failed, and the request itself if none of it was sent.
pub(crate) struct Failed {
    pub(crate) error: ClientError,
    pub(crate) unsent: Option<Box<Request<WholeBody>>>,
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
        let (state, spawned) = (engine.state(), engine.spawned());
        let connected = poll_fn(|_| poll_connected(&stream, &state));
        run(&mut engine, deadline, "connecting", connected)?
            .map_err(|source| ClientError::Connect { target: target.to_owned(), source })?;
        let (io, is_h2) = match tls {
            None => (Transport::plain(stream, state, 0), is_h2),
            Some(tls) => handshake(&mut engine, stream, state, tls, deadline)?,
        };
        let (sender, driver) =
            run(&mut engine, deadline, "starting HTTP", start(Io::new(io), is_h2, spawned))?
                .map_err(|error| ClientError::protocol(&error))?;
        engine.set_driver(driver);
        Ok(Self { sender, engine })
    }

    pub(crate) fn is_h2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// Whether the connection can take another request.
    pub(crate) fn is_usable(&mut self) -> bool {
        self.engine.is_alive()
            && match &self.sender {
                Sender::Http1(sender) => sender.is_ready(),
                Sender::Http2(sender) => sender.is_ready(),
            }
    }

    /// Sends a request and collects its answer.
    pub(crate) fn exchange(
        &mut self,
        request: Request<WholeBody>,
        answer_bytes_max: usize,
        deadline: Deadline,
    ) -> Result<Response<Bytes>, Failed> {
        let exchange = send_and_collect(&mut self.sender, request, answer_bytes_max);
        let outcome = run(&mut self.engine, deadline, "waiting for the answer", exchange);
        let mut failed = match outcome {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(failed)) => failed,
            Err(error) => Failed { error, unsent: None },
        };
        // The connection's own end says more than "canceled".
        if let (ClientError::Protocol { .. }, Some(reason)) = (&failed.error, self.engine.take_failure()) {
            failed.error = ClientError::Protocol { reason };
        }
        Err(failed)
    }
}

fn run<T>(
    engine: &mut Engine,
    deadline: Deadline,
    attempt: &'static str,
    future: impl Future<Output = T>,
) -> Result<T, ClientError> {
    engine.block_on(deadline.at, pin!(future)).map_err(|stopped| match stopped {
        Stopped::Deadline => ClientError::Timeout { attempt, deadline: deadline.allowed },
        Stopped::Poll(source) => ClientError::System { attempt: "wait for the peer", source },
    })
}

fn poll_connected(stream: &Stream, state: &IoState) -> Poll<io::Result<()>> {
    if let Some(error) = stream.take_error()? {
        return Poll::Ready(Err(error));
    }
    if state.is_writable() && stream.is_connected() { Poll::Ready(Ok(())) } else { Poll::Pending }
}

fn handshake(
    engine: &mut Engine,
    stream: Stream,
    state: Arc<IoState>,
    tls: TlsTarget,
    deadline: Deadline,
) -> Result<(Transport, bool), ClientError> {
    let failed = |reason: String| ClientError::Tls { host: tls.host.clone(), reason };
    let session =
        rustls::ClientConnection::new(tls.config, tls.name).map_err(|error| failed(error.to_string()))?;
    let mut io = Transport::tls(stream, state, session.into(), 0, OUTPUT_BYTES_MAX);
    let outcome = run(engine, deadline, "negotiating TLS", poll_fn(|cx| io.poll_handshake(cx)))?;
    outcome.map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => failed("the peer closed the connection during the handshake".to_owned()),
        _ => failed(error.to_string()),
    })?;
    let is_h2 = io.session().and_then(|session| session.alpn_protocol()) == Some(b"h2");
    Ok((io, is_h2))
}

async fn start(io: Io, is_h2: bool, spawned: Spawned) -> Result<(Sender, Driver), hyper::Error> {
    if is_h2 {
        let mut builder = http2::Builder::new(spawned);
        builder.max_header_list_size(limits::HEADER_BYTES_MAX).max_send_buf_size(OUTPUT_BYTES_MAX);
        let (sender, connection) = builder.handshake(io).await?;
        return Ok((Sender::Http2(sender), Box::pin(connection)));
    }
    let mut builder = http1::Builder::new();
    let header_bytes = usize::try_from(limits::HEADER_BYTES_MAX).expect("32 bits fit a usize");
    builder.max_buf_size(header_bytes).max_headers(limits::HEADER_COUNT_MAX);
    let (sender, connection) = builder.handshake(io).await?;
    Ok((Sender::Http1(sender), Box::pin(connection)))
}

async fn send_and_collect(
    sender: &mut Sender,
    request: Request<WholeBody>,
    answer_bytes_max: usize,
) -> Result<Response<Bytes>, Failed> {
    let answered = match sender {
        Sender::Http1(sender) => match sender.ready().await {
            Ok(()) => sender.try_send_request(request).await,
            Err(error) => {
                return Err(Failed { error: ClientError::protocol(&error), unsent: Some(Box::new(request)) });
            }
        },
        Sender::Http2(sender) => match sender.ready().await {
            Ok(()) => sender.try_send_request(request).await,
            Err(error) => {
                return Err(Failed { error: ClientError::protocol(&error), unsent: Some(Box::new(request)) });
            }
        },
    };
    let response = answered.map_err(unsent)?;
    let (parts, body) = response.into_parts();
    let bytes = collect(body, answer_bytes_max).await.map_err(|error| Failed { error, unsent: None })?;
    Ok(Response::from_parts(parts, bytes))
}

fn unsent(mut failed: TrySendError<Request<WholeBody>>) -> Failed {
    let unsent = failed.take_message().map(Box::new);
    Failed { error: ClientError::protocol(failed.error()), unsent }
}

async fn collect(mut body: Incoming, limit_bytes: usize) -> Result<Bytes, ClientError> {
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > limit_bytes {
        return Err(ClientError::AnswerTooLarge { limit_bytes });
    }
    let mut joined = Vec::with_capacity(declared);
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| ClientError::protocol(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > limit_bytes.saturating_sub(joined.len()) {
            return Err(ClientError::AnswerTooLarge { limit_bytes });
        }
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
