//! One accepted connection as a task: from its first byte through the handshake to HTTP/1.1 or HTTP/2, with
//! every deadline of its life.
//!
//! TLS state is opened when the first byte arrives, so a peer that connects and says nothing costs a socket and
//! a small box. Knows nothing of what is asked or answered.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use hyper::body::Bytes;
use hyper::server::conn::{http1, http2};
use rustls::{ServerConfig, ServerConnection};

use crate::account::Account;
use crate::counters::Cause;
use crate::exchange::{Exchanges, Shared};
use crate::executor::Spawner;
use crate::io::{Io, Transport};
use crate::limits;
use crate::service::{Peer, Service};
use crate::stream::{IoState, Stream};
use crate::timers::TimerKey;

/// What an HTTP/2 client sends first (RFC 9113 §3.4). No HTTP/1.1 request begins like this.
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection of a reactor.
pub(crate) struct Connection<S: Service> {
    shared: Rc<Shared<S>>,
    account: Rc<Account>,
    state: Arc<IoState>,
    peer: Option<Peer>,
    phase: Phase<S>,
    /// The transport, once HTTP has begun: hyper fills it, this task drains it.
    io: Option<Io>,
    opened_at: Instant,
    /// When HTTP began.
    served_at: Instant,
    /// When an orderly close began.
    closing_since: Option<Instant>,
    idle: IdleWatch,
    socket_stall: StallWatch,
    answer_stall: StallWatch,
    /// The timer that will wake this task.
    timer: Option<TimerKey>,
    /// A handshake step was put off to a later turn.
    was_put_off: bool,
}

enum Phase<S: Service> {
    /// Nothing has arrived yet.
    Silent(Stream, Option<Arc<ServerConfig>>),
    Handshake(Transport),
    /// No TLS, so no ALPN: the first bytes tell the version.
    Sniff(Transport, Vec<u8>),
    Http1(Pin<Box<http1::Connection<Io, Exchanges<S>>>>),
    Http2(Pin<Box<http2::Connection<Io, Exchanges<S>, Spawner>>>),
    Over,
}

/// Watches an HTTP/1.1 peer between requests: has the next head begun?
#[derive(Default)]
struct IdleWatch {
    requests: u64,
    delivered: u64,
    head_since: Option<Instant>,
}

/// Watches something that should make progress.
#[derive(Default)]
struct StallWatch {
    mark: u64,
    since: Option<Instant>,
}

impl StallWatch {
    /// Since when `mark` has stood still while there was something to do.
    fn since(&mut self, is_active: bool, mark: u64, now: Instant) -> Option<Instant> {
        if !is_active {
            self.since = None;
        } else if self.since.is_none() || self.mark != mark {
            self.since = Some(now);
        }
        self.mark = mark;
        self.since
    }
}

impl<S: Service> Connection<S> {
    pub(crate) fn new(
        shared: Rc<Shared<S>>,
        stream: Stream,
        tls: Option<Arc<ServerConfig>>,
        state: Arc<IoState>,
        listener: usize,
        address: Option<SocketAddr>,
    ) -> Self {
        let account = Account::new(state.clone(), shared.now.clone(), shared.limits.output_bytes_max);
        shared.connections.set(shared.connections.get() + 1);
        shared.counters.accepted();
        Self {
            opened_at: shared.now.get(),
            served_at: shared.now.get(),
            shared,
            account: Rc::new(account),
            state,
            peer: Some(Peer { listener, address, certificates: Arc::new([]) }),
            phase: Phase::Silent(stream, tls),
            io: None,
            closing_since: None,
            idle: IdleWatch::default(),
            socket_stall: StallWatch::default(),
            answer_stall: StallWatch::default(),
            timer: None,
            was_put_off: false,
        }
    }

    /// Runs the connection as far as it goes. Ready when it is over.
    fn poll_phases(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.phase = match core::mem::replace(&mut self.phase, Phase::Over) {
                Phase::Silent(stream, tls) => {
                    if !self.state.is_readable() {
                        self.phase = Phase::Silent(stream, tls);
                        return Poll::Pending;
                    }
                    self.open(stream, tls)
                }
                Phase::Handshake(io) => ready!(self.poll_handshake(io, cx)),
                Phase::Sniff(io, seen) => ready!(self.poll_sniff(io, seen, cx)),
                Phase::Http1(mut http) => {
                    if http.as_mut().poll(cx).is_pending() {
                        self.phase = Phase::Http1(http);
                        return Poll::Pending;
                    }
                    Phase::Over
                }
                Phase::Http2(mut http) => {
                    if http.as_mut().poll(cx).is_pending() {
                        self.phase = Phase::Http2(http);
                        return Poll::Pending;
                    }
                    Phase::Over
                }
                Phase::Over => return Poll::Ready(()),
            }
        }
    }

    fn open(&mut self, stream: Stream, tls: Option<Arc<ServerConfig>>) -> Phase<S> {
        let limits = &self.shared.limits;
        let Some(config) = tls else {
            return Phase::Sniff(
                Transport::plain(stream, self.state.clone(), limits.linger_bytes_max),
                Vec::new(),
            );
        };
        let Ok(session) = ServerConnection::new(config) else {
            self.shared.counters.handshake(false);
            return Phase::Over;
        };
        let (linger, output) = (limits.linger_bytes_max, limits.output_bytes_max);
        Phase::Handshake(Transport::tls(stream, self.state.clone(), session.into(), linger, output))
    }

    fn poll_handshake(&mut self, mut io: Transport, cx: &mut Context<'_>) -> Poll<Phase<S>> {
        if self.state.is_readable() {
            self.was_put_off = !self.shared.handshakes.take(self.was_put_off, cx.waker());
            if self.was_put_off {
                self.phase = Phase::Handshake(io);
                return Poll::Pending;
            }
        }
        let outcome = match io.poll_handshake(cx) {
            Poll::Pending => {
                self.phase = Phase::Handshake(io);
                return Poll::Pending;
            }
            Poll::Ready(outcome) => outcome,
        };
        self.shared.counters.handshake(outcome.is_ok());
        Poll::Ready(match outcome {
            Ok(()) => self.serve_tls(io),
            Err(_) => Phase::Over,
        })
    }

    fn serve_tls(&mut self, io: Transport) -> Phase<S> {
        let session = io.session();
        let is_h2 = session.and_then(|session| session.alpn_protocol()) == Some(b"h2");
        let certificates = session.and_then(|session| session.peer_certificates());
        if let (Some(certificates), Some(peer)) = (certificates, self.peer.as_mut()) {
            peer.certificates =
                certificates.iter().map(|certificate| certificate.clone().into_owned()).collect();
        }
        self.serve(io, is_h2)
    }

    fn poll_sniff(&mut self, mut io: Transport, mut seen: Vec<u8>, cx: &mut Context<'_>) -> Poll<Phase<S>> {
        let mut buffer = [0_u8; H2_PREFACE.len()];
        loop {
            let room = H2_PREFACE.len() - seen.len();
            let count = match io.poll_plain(cx, &mut buffer[..room]) {
                Poll::Pending => {
                    self.phase = Phase::Sniff(io, seen);
                    return Poll::Pending;
                }
                Poll::Ready(Err(_)) => return Poll::Ready(Phase::Over),
                Poll::Ready(Ok(count)) => count,
            };
            seen.extend_from_slice(&buffer[..count]);
            let is_h2 = H2_PREFACE.starts_with(&seen);
            if count == 0 && is_h2 {
                return Poll::Ready(Phase::Over);
            }
            if !is_h2 || seen.len() == H2_PREFACE.len() {
                io.replay(Bytes::from(seen));
                return Poll::Ready(self.serve(io, is_h2));
            }
        }
    }

    fn serve(&mut self, mut io: Transport, is_h2: bool) -> Phase<S> {
        let Some(peer) = self.peer.take() else { return Phase::Over };
        self.served_at = self.shared.now.get();
        io.put_off_flush();
        let io = Io::new(io);
        self.io = Some(io.clone());
        let exchanges =
            Exchanges { shared: self.shared.clone(), account: self.account.clone(), peer: Rc::new(peer) };
        if is_h2 {
            Phase::Http2(Box::pin(http2_builder(&self.shared).serve_connection(io, exchanges)))
        } else {
            Phase::Http1(Box::pin(http1_builder(&self.shared).serve_connection(io, exchanges)))
        }
    }

    /// Asks HTTP to finish what is under way and close. False if there is nothing to finish.
    fn begin_close(&mut self) -> bool {
        if self.account.under_way() == 0 && !self.state.is_readable() {
            // Nothing is on its way in either direction, so there is nothing to wait for.
            self.state.skip_linger();
        }
        match &mut self.phase {
            Phase::Http1(http) => http.as_mut().graceful_shutdown(),
            Phase::Http2(http) => http.as_mut().graceful_shutdown(),
            _ => return false,
        }
        self.closing_since = Some(self.shared.now.get());
        true
    }

    /// The next deadline and what it means to miss it.
    fn deadline(&mut self) -> (Instant, Cause) {
        let limits = &self.shared.limits;
        let now = self.shared.now.get();
        if !matches!(self.phase, Phase::Http1(_) | Phase::Http2(_)) {
            return (self.opened_at + limits.hello_timeout, Cause::Hello);
        }
        let socket = self.socket_stall.since(self.state.is_write_blocked(), self.state.bytes_written(), now);
        let answer = self.answer_stall.since(self.account.has_output(), self.account.answers_taken(), now);
        let stall =
            [socket, answer].into_iter().flatten().min().map(|since| since + limits.write_stall_timeout);
        let (quiet, cause) = self.quiet_deadline(now);
        match stall {
            Some(stall) if stall < quiet => (stall, Cause::Stall),
            _ => (quiet, cause),
        }
    }

    /// The deadline for the peer to ask something, or to let go.
    fn quiet_deadline(&mut self, now: Instant) -> (Instant, Cause) {
        let limits = &self.shared.limits;
        if self.account.under_way() > 0 {
            // Nothing is due; look again later, for a stream may end without waking this task.
            return (now + limits.idle_timeout, Cause::Close);
        }
        if self.closing_since.is_some() || self.state.is_closing() {
            let since = *self.closing_since.get_or_insert(now);
            return (since.max(self.account.idle_since()) + limits.close_timeout, Cause::Close);
        }
        if self.account.requests() == 0 {
            return (self.served_at + limits.header_timeout, Cause::Header);
        }
        let delivered = self.state.bytes_delivered();
        if self.idle.requests != self.account.requests() {
            self.idle = IdleWatch { requests: self.account.requests(), delivered, head_since: None };
        }
        let is_http1 = matches!(self.phase, Phase::Http1(_));
        if is_http1 && delivered != self.idle.delivered {
            let since = *self.idle.head_since.get_or_insert(now);
            return (since + limits.header_timeout, Cause::Header);
        }
        (self.account.idle_since() + limits.idle_timeout, Cause::Idle)
    }

    /// Acts on a missed deadline, or arms a timer for the next one. Ready if the connection is to be dropped.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.shared.now.get();
        let (mut at, cause) = self.deadline();
        if at <= now {
            self.shared.counters.closed(cause);
            if cause != Cause::Idle || !self.begin_close() {
                return Poll::Ready(());
            }
            // hyper has to be polled to act on the wish to close.
            cx.waker().wake_by_ref();
            at = now + self.shared.limits.close_timeout;
        }
        self.arm(at, cx);
        Poll::Pending
    }

    /// Sees to it that a timer wakes this task at `at` or before. A later deadline leaves the timer where it is:
    /// moving it with every request would cost more than waking once for nothing.
    fn arm(&mut self, at: Instant, cx: &mut Context<'_>) {
        let now = self.shared.now.get();
        if self.timer.is_some_and(|timer| timer.at() > now && timer.at() <= at) {
            return;
        }
        self.disarm();
        self.timer = Some(self.shared.timers.wake_at(at, cx.waker().clone()));
    }

    fn disarm(&mut self) {
        if let Some(timer) = self.timer.take() {
            self.shared.timers.cancel(timer);
        }
    }
}

impl<S: Service> Future for Connection<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.state.allow_reads(this.shared.limits.read_bytes_per_wake);
        this.account.allow_requests(this.shared.limits.requests_per_wake);
        if this.shared.draining.get() && this.closing_since.is_none() && !this.begin_close() {
            return Poll::Ready(());
        }
        let outcome = this.poll_phases(cx);
        // After the end as well: a last answer or GOAWAY may lie there.
        let drained = this.io.as_ref().map(Io::drain);
        if outcome.is_ready() || matches!(drained, Some(Poll::Ready(Err(_)))) {
            return Poll::Ready(());
        }
        this.account.announce_room();
        this.poll_deadline(cx)
    }
}

impl<S: Service> Drop for Connection<S> {
    fn drop(&mut self) {
        self.disarm();
        self.shared.connections.set(self.shared.connections.get() - 1);
    }
}

/// Accepts a connection's socket into the reactor.
pub(crate) fn register(
    registry: &mio::Registry,
    spawner: &Spawner,
    stream: &mut Stream,
) -> io::Result<Arc<IoState>> {
    stream.register(registry, spawner.0.next_id().token())?;
    Ok(Arc::default())
}

fn http1_builder<S>(shared: &Shared<S>) -> http1::Builder {
    let limits = &shared.limits;
    let header_bytes = usize::try_from(limits.header_bytes_max).expect("32 bits fit a usize");
    let mut builder = http1::Builder::new();
    builder
        .keep_alive(true)
        .half_close(false)
        .ignore_invalid_headers(false)
        .max_headers(limits.header_count_max)
        .max_header_size(header_bytes)
        .max_buf_size(header_bytes.max(limits::HTTP1_BUFFER_BYTES_MIN))
        // The deadline of a head is kept here, from its first byte.
        .header_read_timeout(None)
        // Held back while unread bytes are buffered, an answer would wait for the rest of the next request, and
        // the 400 to a malformed one for ever.
        .pipeline_flush(false);
    builder
}

fn http2_builder<S>(shared: &Shared<S>) -> http2::Builder<Spawner> {
    let limits = &shared.limits;
    let mut builder = http2::Builder::new(shared.spawner.clone());
    builder
        .timer(shared.timers.clone())
        .max_concurrent_streams(limits.h2_streams_max)
        .max_pending_accept_reset_streams(limits.h2_pending_resets_max)
        .max_local_error_reset_streams(limits.h2_error_resets_max)
        .max_header_list_size(limits.header_bytes_max)
        .max_frame_size(limits::H2_FRAME_BYTES_MAX)
        .initial_stream_window_size(limits::H2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::H2_CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(limits::H2_SEND_BYTES_MAX)
        .keep_alive_interval(limits.h2_ping_interval)
        .keep_alive_timeout(limits.h2_ping_timeout);
    builder
}
