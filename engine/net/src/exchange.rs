//! One request and its answer, on either version of HTTP: collect the body within its bounds, wait for room,
//! ask the service, and keep account of the answer until the peer has taken it.
//!
//! Knows hyper's bodies and our limits; nothing of sockets.

use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use hyper::body::{Body, Buf, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, Version};

use crate::counters::Counters;
use crate::executor::Spawner;
use crate::limits::NetLimits;
use crate::service::{BadHead, Peer, Refusal, Service};
use crate::stream::IoState;
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

/// The account of one connection: requests under way and answers not yet taken.
pub(crate) struct Account {
    io: Arc<IoState>,
    now: Rc<Cell<Instant>>,
    output_bytes_max: usize,
    under_way: Cell<usize>,
    requests: Cell<u64>,
    idle_since: Cell<Instant>,
    output_bytes: Cell<usize>,
    answers_taken: Cell<u64>,
    requests_left: Cell<u32>,
    waiting_for_room: RefCell<Vec<Waker>>,
}

impl Account {
    pub(crate) fn new(io: Arc<IoState>, now: Rc<Cell<Instant>>, output_bytes_max: usize) -> Self {
        let opened_at = now.get();
        Self {
            io,
            now,
            output_bytes_max,
            under_way: Cell::new(0),
            requests: Cell::new(0),
            idle_since: Cell::new(opened_at),
            output_bytes: Cell::new(0),
            answers_taken: Cell::new(0),
            requests_left: Cell::new(0),
            waiting_for_room: RefCell::default(),
        }
    }

    /// Requests whose answer the peer has not yet taken in full.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.get()
    }

    /// Requests since the connection opened.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// When the last request ended, or the connection opened.
    pub(crate) fn idle_since(&self) -> Instant {
        self.idle_since.get()
    }

    /// Whether answers wait inside HTTP for the peer to take them.
    pub(crate) fn has_output(&self) -> bool {
        self.output_bytes.get() > 0
    }

    /// Answers taken in full, the measure of a peer's progress.
    pub(crate) fn answers_taken(&self) -> u64 {
        self.answers_taken.get()
    }

    /// Starts a wake of an HTTP/1.1 connection.
    pub(crate) fn allow_requests(&self, count: u32) {
        self.requests_left.set(count);
    }

    /// Wakes the requests that wait for room, if there is room again.
    pub(crate) fn announce_room(&self) {
        if self.has_room() {
            let waiting = self.waiting_for_room.take();
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    fn has_room(&self) -> bool {
        self.output_bytes.get() < self.output_bytes_max && !self.io.is_write_blocked()
    }

    /// Pending while the peer leaves earlier answers lying.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_room() {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting_for_room.borrow_mut();
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Pending once the connection has had its share of this wake.
    fn poll_share(&self, cx: &mut Context<'_>) -> Poll<()> {
        let left = self.requests_left.get();
        if left == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.requests_left.set(left - 1);
        Poll::Ready(())
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
        Box::pin(exchange(self.shared.clone(), self.peer.clone(), under_way, request))
    }
}

async fn exchange<S: Service>(
    shared: Rc<Shared<S>>,
    peer: Rc<Peer>,
    under_way: UnderWay,
    request: Request<Incoming>,
) -> Answered {
    let is_http1 = request.version() < Version::HTTP_2;
    if is_http1 {
        // HTTP/2 streams are tasks of their own and take turns in the run queue.
        poll_fn(|cx| under_way.account.poll_share(cx)).await;
    }
    let response = match collect(&shared, request).await {
        Ok(request) => {
            poll_fn(|cx| under_way.account.poll_room(cx)).await;
            shared.service.answer(&peer, request).await
        }
        Err(refused) => {
            if !is_http1 {
                discard(&shared, refused.rest).await;
            }
            refuse(&shared, refused.refusal, is_http1)
        }
    };
    Ok(response.map(|bytes| AnswerBody { answer: Some(Answer::new(bytes, under_way)) }))
}

fn refuse<S: Service>(shared: &Shared<S>, refusal: Refusal, is_http1: bool) -> Response<Bytes> {
    shared.counters.refused();
    if matches!(refusal, Refusal::BodyTimeout { .. }) {
        shared.counters.body_timeout();
    }
    let mut response = shared.service.refuse(refusal);
    if is_http1 {
        // What follows on the wire is the rest of a request we did not read.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A refusal, and what is still to come of the refused request.
struct Refused {
    refusal: Refusal,
    rest: Incoming,
}

async fn collect<S: Service>(
    shared: &Shared<S>,
    request: Request<Incoming>,
) -> Result<Request<Bytes>, Refused> {
    let (parts, mut body) = request.into_parts();
    match collect_body(shared, &parts, &mut body).await {
        Ok(bytes) => Ok(Request::from_parts(parts, bytes)),
        Err(refusal) => Err(Refused { refusal, rest: body }),
    }
}

async fn collect_body<S: Service>(
    shared: &Shared<S>,
    parts: &Parts,
    body: &mut Incoming,
) -> Result<Bytes, Refusal> {
    check_head(parts).map_err(Refusal::BadHead)?;
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

/// Counts a request from its head to the moment its answer is gone.
struct UnderWay {
    account: Rc<Account>,
}

impl UnderWay {
    fn begin(account: Rc<Account>) -> Self {
        account.under_way.set(account.under_way.get() + 1);
        account.requests.set(account.requests.get() + 1);
        Self { account }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let account = &self.account;
        account.under_way.set(account.under_way.get() - 1);
        account.idle_since.set(account.now.get());
    }
}

/// An answer's bytes, on the account of their connection until hyper has passed on the last of them.
pub(crate) struct Answer {
    bytes: Bytes,
    charged: usize,
    under_way: UnderWay,
}

impl Answer {
    fn new(bytes: Bytes, under_way: UnderWay) -> Self {
        let charged = bytes.len();
        let account = &under_way.account;
        account.output_bytes.set(account.output_bytes.get() + charged);
        Self { bytes, charged, under_way }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let account = &self.under_way.account;
        account.output_bytes.set(account.output_bytes.get() - self.charged);
        account.answers_taken.set(account.answers_taken.get().wrapping_add(1));
        account.announce_room();
    }
}

impl Buf for Answer {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

/// The body of an answer: one piece, or none.
pub(crate) struct AnswerBody {
    answer: Option<Answer>,
}

impl Body for AnswerBody {
    type Data = Answer;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Answer>, Infallible>>> {
        let answer = self.answer.take().filter(|answer| !answer.bytes.is_empty());
        Poll::Ready(answer.map(|answer| Ok(Frame::data(answer))))
    }

    fn is_end_stream(&self) -> bool {
        self.answer.as_ref().is_none_or(|answer| answer.bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        let bytes = self.answer.as_ref().map_or(0, |answer| answer.bytes.len());
        SizeHint::with_exact(u64::try_from(bytes).expect("a usize fits 64 bits"))
    }
}
