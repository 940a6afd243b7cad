//! The seam between the network and what it serves: requests go up whole and answers come back whole, or, where the
//! service asks for it, both go piece by piece at the same time.
//!
//! Knows the shape of a request, never its meaning.

use core::future::Future;
use core::task::{Context, Poll};
use core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use rustls_pki_types::CertificateDer;

/// What answers requests on one reactor.
///
/// Each reactor has its own instance and calls it on its own thread only, so it may hold `RefCell`s. An answer
/// may complete later: whoever completes it wakes the future's waker from any thread. A panic in `answer` or in
/// its future costs the request its connection, never the reactor.
pub trait Service: 'static {
    /// The answer to come.
    type Answer: Future<Output = Response<Bytes>> + 'static;

    /// How to take in the request with this head. Asked before its body is read; most are taken in whole.
    fn intake(&self, _peer: &Peer, _head: &Parts) -> Intake {
        Intake::Whole
    }

    /// Answers one request. Its body is complete and within
    /// [`NetLimits::body_bytes_max`](crate::NetLimits::body_bytes_max). Must not block.
    fn answer(&self, peer: &Peer, request: Request<Bytes>) -> Self::Answer;

    /// Words the answer to a request that was refused here. [`Refusal::status`] is the status to use.
    fn refuse(&self, refusal: Refusal) -> Response<Bytes>;
}

/// How a request is taken in.
pub enum Intake {
    /// Its body is collected, then [`Service::answer`] is asked.
    Whole,
    /// It is answered while it arrives. The body's length is not bounded; what waits of it and of its answer is.
    Dialogue(Response<Box<dyn Dialogue>>),
    /// Its body is not wanted: this is the answer. Unless there is none, an HTTP/1.1 connection is closed behind it.
    Refused(Response<Bytes>),
}

/// A request that is answered while it arrives. Like its [`Service`] it stays on one thread, and like an answer it
/// wakes the context's waker when it can go on.
///
/// It is dropped without an end if the peer goes away.
pub trait Dialogue {
    /// Whether another piece of the request may come. While it says no, the peer is made to wait.
    fn has_room(&self) -> bool;

    /// Takes in the next piece of the request's body. Must not block.
    fn take(&mut self, piece: Bytes);

    /// No more pieces will come.
    fn end(&mut self, how: InputEnd);

    /// The next piece of the answer's body; `None` behind the last. Pending if it needs more of the request, or
    /// something that will wake it. A bounded amount of work: it is asked again in the reactor's next round.
    ///
    /// # Errors
    /// Before the first piece: the answer to send instead of the one promised.
    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Response<Bytes>>>;
}

/// How the body of a request that is answered while it arrives came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputEnd {
    /// It is complete.
    Complete,
    /// It broke off.
    Broken,
    /// Nothing came for [`NetLimits::body_timeout`](crate::NetLimits::body_timeout).
    Timeout,
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The position of the listener in the list the reactor was given.
    pub listener: usize,
    /// The peer's address; `None` on a Unix socket.
    pub address: Option<SocketAddr>,
    /// The certificates the peer has proven, leaf first; empty unless the listener asks for them.
    pub certificates: Arc<[CertificateDer<'static>]>,
}

/// Why a request was refused before the service saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The body is, or declares to be, larger than the limit. 413.
    BodyTooLarge {
        /// The limit, in bytes.
        limit_bytes: usize,
    },
    /// The body did not arrive in time. 408.
    BodyTimeout {
        /// The time allowed.
        limit: Duration,
    },
    /// The body broke off or its chunks are malformed. 400.
    BodyBroken,
    /// The head is well-formed HTTP but must not be acted on. 400.
    BadHead(BadHead),
}

/// What is wrong with a request head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadHead {
    /// No Host field, more than one, or one that contradicts `:authority` (RFC 9112 §3.2, RFC 9113 §8.3.1).
    Host,
    /// CONNECT: we are no proxy.
    Connect,
    /// Content-Length beside Transfer-Encoding, which is how requests are smuggled (RFC 9112 §6.1).
    Framing,
}

impl Refusal {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::BodyBroken | Self::BadHead(_) => StatusCode::BAD_REQUEST,
        }
    }
}
