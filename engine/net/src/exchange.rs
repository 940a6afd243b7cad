//! One request and its answer, on either version of HTTP: collect the body within its bounds, wait for room, and
//! ask the service.
//!
//! Knows hyper's bodies and our limits; nothing of sockets.

use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Poll, Waker};
use core::time::Duration;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, Version};

use crate::account::{Account, UnderWay};
use crate::answer::AnswerBody;
use crate::conversation::Conversation;
use crate::counters::Counters;
use crate::executor::Spawner;
use crate::limits::NetLimits;
use crate::service::{BadHead, Intake, Peer, Refusal, Service};
use crate::timers::Timers;

/// What the connections of one reactor share.
pub(crate) struct Shared<S> {
    pub(crate) service: S,
    pub(crate) limits: NetLimits,
    pub(crate) timers: Timers,
    pub(crate) counters: Arc<Counters>,
    pub(crate) spawner: Spawner,
    /// The moment of the current turn.
    pub(crate) now: Rc<Cell<Instant>>,
    pub(crate) connections: Cell<usize>,
    pub(crate) draining: Cell<bool>,
    pub(crate) handshakes: HandshakeBudget,
}

/// How many handshake steps the current turn still has, and who waits for the next turn.
#[derive(Default)]
pub(crate) struct HandshakeBudget {
    left: Cell<usize>,
    waiting: RefCell<VecDeque<Waker>>,
}

impl HandshakeBudget {
    /// Takes one step, or queues `waker` for a later turn. Who was put off before goes first.
    pub(crate) fn take(&self, was_put_off: bool, waker: &Waker) -> bool {
        let left = self.left.get();
        if left == 0 || (!was_put_off && self.has_waiting()) {
            self.waiting.borrow_mut().push_back(waker.clone());
            return false;
        }
        self.left.set(left - 1);
        true
    }

    /// Starts a turn: as many of those that wait are woken as there are steps.
    pub(crate) fn refill(&self, steps: usize) {
        self.left.set(steps);
        let mut waiting = self.waiting.borrow_mut();
        let count = steps.min(waiting.len());
        waiting.drain(..count).for_each(Waker::wake);
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.borrow().is_empty()
    }
}

/// hyper's view of our service on one connection.
pub(crate) struct Exchanges<S> {
    pub(crate) shared: Rc<Shared<S>>,
    pub(crate) account: Rc<Account>,
    pub(crate) peer: Rc<Peer>,
}

type Answered = Result<Response<AnswerBody>, Infallible>;

impl<S: Service> hyper::service::Service<Request<Incoming>> for Exchanges<S> {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Answered>>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.shared.counters.request();
        let under_way = UnderWay::begin(self.account.clone());
        let (shared, peer) = (self.shared.clone(), self.peer.clone());
        Box::pin(async move {
            let counters = shared.counters.clone();
            let answered = exchange(shared, peer, under_way, request).await;
            if let Ok(response) = &answered {
                counters.answered(response.status().as_u16());
            }
            answered
        })
    }
}

async fn exchange<S: Service>(
    shared: Rc<Shared<S>>,
    peer: Rc<Peer>,
    mut under_way: UnderWay,
    request: Request<Incoming>,
) -> Answered {
    let is_http1 = request.version() < Version::HTTP_2;
    let (began, reads) = (shared.now.get(), matches!(*request.method(), Method::GET | Method::HEAD));
    if is_http1 {
        // HTTP/2 streams are tasks of their own and take turns in the run queue.
        poll_fn(|cx| under_way.account().poll_share(cx)).await;
    }
    let (parts, mut body) = request.into_parts();
    let head = check_head(&parts);
    let is_head_good = head.is_ok();
    let intake = match head {
        Ok(()) => shared.service.intake(&peer, &parts),
        Err(bad) => Intake::Refused(refuse(&shared, Refusal::BadHead(bad))),
    };
    let refusal = match intake {
        Intake::Whole => match collect_body(&shared, &mut body).await {
            Ok(bytes) => {
                poll_fn(|cx| under_way.account().poll_room(cx)).await;
                let response = shared.service.answer(&peer, Request::from_parts(parts, bytes)).await;
                shared.counters.took(reads, shared.timers.now().saturating_duration_since(began));
                return Ok(response.map(|bytes| AnswerBody::whole(bytes, under_way)));
            }
            Err(refusal) => refuse(&shared, refusal),
        },
        Intake::Dialogue(response) => {
            let (head, dialogue) = response.into_parts();
            let mut conversation = Conversation::new(&shared, under_way, dialogue, body);
            match poll_fn(|cx| conversation.poll_first(cx)).await {
                Ok(()) => return Ok(Response::from_parts(head, AnswerBody::Conversation(conversation))),
                Err(refusal) => {
                    (under_way, body) = conversation.into_rest();
                    refusal
                }
            }
        }
        Intake::Refused(refusal) => refusal,
    };
    let refusal = if is_head_good && body.is_end_stream() {
        // Nothing of it is left on the wire, so the connection goes on as behind any other answer.
        poll_fn(|cx| under_way.account().poll_room(cx)).await;
        refusal
    } else {
        turn_away(&shared, refusal, body, is_http1).await
    };
    Ok(refusal.map(|bytes| AnswerBody::whole(bytes, under_way)))
}

fn refuse<S: Service>(shared: &Shared<S>, refusal: Refusal) -> Response<Bytes> {
    shared.counters.refused();
    if matches!(refusal, Refusal::BodyTimeout { .. }) {
        shared.counters.body_timeout();
    }
    shared.service.refuse(refusal)
}

/// Sees to it that a refusal reaches a peer that may still be sending.
async fn turn_away<S: Service>(
    shared: &Shared<S>,
    mut refusal: Response<Bytes>,
    rest: Incoming,
    is_http1: bool,
) -> Response<Bytes> {
    if is_http1 {
        // What follows on the wire is the rest of a request we did not read.
        refusal.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    } else {
        discard(shared, rest).await;
    }
    refusal
}

async fn collect_body<S: Service>(shared: &Shared<S>, body: &mut Incoming) -> Result<Bytes, Refusal> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let limit_bytes = shared.limits.body_bytes_max;
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > limit_bytes {
        return Err(Refusal::BodyTooLarge { limit_bytes });
    }
    let limit = shared.limits.body_timeout;
    match within(shared, limit, read_body(body, limit_bytes)).await {
        Some(outcome) => outcome,
        None => Err(Refusal::BodyTimeout { limit }),
    }
}

/// The future's output, or `None` once `limit` has passed.
async fn within<S, T>(shared: &Shared<S>, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut timeout = pin!(shared.timers.sleep(shared.now.get() + limit));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => timeout.as_mut().poll(cx).map(|()| None),
    })
    .await
}

async fn read_body(body: &mut Incoming, limit_bytes: usize) -> Result<Bytes, Refusal> {
    let mut first = Bytes::new();
    let mut joined = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| Refusal::BodyBroken)?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > limit_bytes.saturating_sub(first.len() + joined.len()) {
            return Err(Refusal::BodyTooLarge { limit_bytes });
        }
        if first.is_empty() && joined.is_empty() {
            // The usual body comes in one piece and is passed on as it is.
            first = data;
            continue;
        }
        joined.extend_from_slice(&first);
        first = Bytes::new();
        joined.extend_from_slice(&data);
    }
    Ok(if joined.is_empty() { first } else { Bytes::from(joined) })
}

/// Drops what a refused HTTP/2 request still sends, within bounds: a stream reset while the peer is sending may
/// cost it the answer. HTTP/1.1 does the same for the whole connection when it closes.
async fn discard<S: Service>(shared: &Shared<S>, mut rest: Incoming) {
    let mut left = shared.limits.linger_bytes_max;
    let reading = async {
        while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut rest).poll_frame(cx)).await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    within(shared, shared.limits.close_timeout, reading).await;
}

/// What hyper lets pass and a proxy in front of us might read differently.
fn check_head(parts: &Parts) -> Result<(), BadHead> {
    if parts.method == Method::CONNECT {
        return Err(BadHead::Connect);
    }
    let headers = &parts.headers;
    if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
        return Err(BadHead::Framing);
    }
    let mut hosts = headers.get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let is_good = match (parts.version, host) {
        (Version::HTTP_2, None) => authority.is_some(),
        (Version::HTTP_2, Some(host)) => authority.is_none_or(|authority| authority == host.as_bytes()),
        (Version::HTTP_11, None) => false,
        _ => true,
    };
    if second.is_some() || !is_good { Err(BadHead::Host) } else { Ok(()) }
}
