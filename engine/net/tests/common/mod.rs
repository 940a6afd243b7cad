//! What the tests of this crate share: a service with answers of every kind, a reactor turned by hand on a clock
//! moved by hand, peers that speak raw bytes, and a certificate.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

pub(crate) mod h2;
pub(crate) mod peer;

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use herald_net::{
    Address, Bytes, ClientCertificates, Dialogue, InputEnd, Intake, ListenSpec, Listener, ManualClock,
    NetLimits, Parts, Peer, Reactor, ReactorConfig, Refusal, Request, Response, Server, ServerConfig,
    Service, StatusCode, TlsSlot, TurnReport, tls_server_config,
};

/// An answer that is completed from outside, on any thread.
#[derive(Clone, Default)]
pub(crate) struct Later(Arc<Mutex<(bool, Option<Waker>)>>);

impl Later {
    pub(crate) fn complete(&self) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.0 = true;
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// How many hold this answer: its makers, and requests that wait for it.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    pub(crate) fn is_awaited(&self) -> bool {
        self.0.lock().unwrap().1.is_some()
    }
}

impl Future for Later {
    type Output = Response<Bytes>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.lock().unwrap();
        if state.0 {
            return Poll::Ready(Response::new(Bytes::from_static(b"later")));
        }
        state.1 = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Answers `/` with what it was asked, `/big/N` with N bytes, `/later` when told to, `/peer` with what it knows of
/// the peer, `/panic` never. `/talk` is answered while it arrives, piece by piece with the same bytes; `/shut` is not
/// taken in.
#[derive(Clone, Default)]
pub(crate) struct Echo {
    pub(crate) later: Later,
    pub(crate) answered: Rc<Cell<usize>>,
    /// Bytes that dialogues have taken in.
    pub(crate) taken: Rc<Cell<usize>>,
}

/// Says what it is told; begins with what it is told first, unless that begins with `no`.
struct Parrot {
    waiting: VecDeque<Bytes>,
    end: Option<InputEnd>,
    has_begun: bool,
    taken: Rc<Cell<usize>>,
}

impl Dialogue for Parrot {
    fn has_room(&self) -> bool {
        self.waiting.is_empty()
    }

    fn take(&mut self, piece: Bytes) {
        assert!(self.has_room() && self.end.is_none());
        self.taken.set(self.taken.get() + piece.len());
        self.waiting.push_back(piece);
    }

    fn end(&mut self, how: InputEnd) {
        self.waiting.push_back(Bytes::from(format!("{how:?}")));
        assert_eq!(self.end.replace(how), None);
    }

    fn poll_answer(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Response<Bytes>>> {
        let Some(piece) = self.waiting.pop_front() else {
            return if self.end.is_some() { Poll::Ready(Ok(None)) } else { Poll::Pending };
        };
        if !self.has_begun && piece.starts_with(b"no") {
            let mut response = Response::new(Bytes::from_static(b"not like this"));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            return Poll::Ready(Err(response));
        }
        self.has_begun = true;
        Poll::Ready(Ok(Some(piece)))
    }
}

impl Service for Echo {
    type Answer = Pin<Box<dyn Future<Output = Response<Bytes>>>>;

    fn intake(&self, _: &Peer, head: &Parts) -> Intake {
        match head.uri.path() {
            "/talk" => {
                let (waiting, taken) = (VecDeque::new(), self.taken.clone());
                let parrot = Parrot { waiting, end: None, has_begun: false, taken };
                Intake::Dialogue(Response::new(Box::new(parrot)))
            }
            "/shut" => {
                let mut response = Response::new(Bytes::from_static(b"shut"));
                *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
                Intake::Refused(response)
            }
            _ => Intake::Whole,
        }
    }

    fn answer(&self, peer: &Peer, request: Request<Bytes>) -> Self::Answer {
        self.answered.set(self.answered.get() + 1);
        let path = request.uri().path();
        if path == "/later" {
            return Box::pin(self.later.clone());
        }
        assert_ne!(path, "/panic", "asked to panic");
        let body = match path.strip_prefix("/big/") {
            Some(size) => Bytes::from(vec![b'x'; size.parse().unwrap()]),
            None if path == "/peer" => {
                let address = peer.address.map_or("none".to_owned(), |address| address.ip().to_string());
                Bytes::from(format!("{} {address} {}", peer.listener, peer.certificates.len()))
            }
            None => Bytes::from(format!("{} {path} {}", request.method(), request.body().len())),
        };
        Box::pin(std::future::ready(Response::new(body)))
    }

    fn refuse(&self, refusal: Refusal) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(format!("{refusal:?}")));
        *response.status_mut() = refusal.status();
        response
    }
}

/// A reactor turned by the test itself, on a clock the test moves.
pub(crate) struct Hand {
    pub(crate) reactor: Reactor<Echo>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) echo: Echo,
    pub(crate) address: SocketAddr,
}

impl Hand {
    pub(crate) fn plain(limits: NetLimits) -> Self {
        Self::with(limits, Listener::plain(loopback()).unwrap())
    }

    pub(crate) fn tls(limits: NetLimits, identity: &Identity) -> Self {
        Self::with(limits, Listener::tls(loopback(), TlsSlot::new(identity.server())).unwrap())
    }

    fn with(limits: NetLimits, listener: Listener) -> Self {
        let clock = Arc::new(ManualClock::new());
        let echo = Echo::default();
        let Address::Tcp(address) = *listener.address() else { panic!("a TCP listener has a TCP address") };
        let config = ReactorConfig { limits, clock: clock.clone() };
        let reactor = Reactor::new(config, vec![listener], echo.clone()).unwrap();
        Self { reactor, clock, echo, address }
    }

    pub(crate) fn turn(&mut self) -> TurnReport {
        self.reactor.turn(Some(Duration::ZERO)).unwrap()
    }

    /// Connections and HTTP/2 streams the reactor has in hand.
    pub(crate) fn tasks(&mut self) -> usize {
        self.turn().tasks
    }

    /// Turns until `is_done`; fails after ten seconds of real time.
    pub(crate) fn until(&mut self, what: &str, mut is_done: impl FnMut() -> bool) {
        let start = Instant::now();
        while !is_done() {
            assert!(start.elapsed() < Duration::from_secs(10), "waited too long for: {what}");
            self.reactor.turn(Some(Duration::from_millis(1))).unwrap();
        }
    }

    /// Turns until nothing moves any more; fails after ten seconds of real time.
    pub(crate) fn settle(&mut self) {
        let start = Instant::now();
        let mut quiet = 0;
        while quiet < 5 {
            assert!(start.elapsed() < Duration::from_secs(10), "the reactor never comes to rest");
            let report = self.reactor.turn(Some(Duration::from_millis(1))).unwrap();
            quiet = if report.polled == 0 && !report.has_more { quiet + 1 } else { 0 };
        }
    }

    /// Moves the clock and lets the reactor notice.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
        self.settle();
    }
}

pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A certificate for `localhost` and 127.0.0.1 that is its own authority.
pub(crate) struct Identity {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let signed = rcgen::generate_simple_self_signed(names).unwrap();
        Self { chain: signed.cert.pem(), key: signed.signing_key.serialize_pem() }
    }

    pub(crate) fn server(&self) -> Arc<rustls::ServerConfig> {
        tls_server_config(self.chain.as_bytes(), self.key.as_bytes(), ClientCertificates::NotAsked).unwrap()
    }
}

/// A server on its own threads. The service of each is an `Echo` made from `later`.
pub(crate) fn serve(listen: Vec<ListenSpec>, reactors: usize, later: Later) -> Server {
    let config = ServerConfig { listen, reactors: Some(reactors), ..ServerConfig::default() };
    Server::start(config, move |_| Echo { later: later.clone(), ..Echo::default() }).unwrap()
}

pub(crate) fn tcp(server: &Server, position: usize) -> SocketAddr {
    match server.addresses()[position] {
        Address::Tcp(address) => address,
        Address::Unix(_) => panic!("the listener at {position} is a Unix socket"),
    }
}

pub(crate) fn get(uri: &str) -> Request<Bytes> {
    Request::get(uri).body(Bytes::new()).unwrap()
}

pub(crate) fn post(uri: &str, size: usize) -> Request<Bytes> {
    Request::post(uri).body(Bytes::from(vec![b'b'; size])).unwrap()
}

pub(crate) fn ok_text(response: &Response<Bytes>) -> &str {
    assert_eq!(response.status(), StatusCode::OK);
    std::str::from_utf8(response.body()).unwrap()
}
