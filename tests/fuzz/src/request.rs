//! Bytes from a peer into a real reactor: HTTP/1.1 and HTTP/2, on a Unix socket, on one thread.
//!
//! The first byte of an input says what is spoken (see [`Spoken`]), the second in which pieces it is written. The
//! reactor lives as long as the process, as it does in service; each input is one connection, and when it is over
//! nothing of it may be left.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::future::{Ready, ready};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use herald_net::{
    Bytes, Listener, ManualClock, Method, NetLimits, Peer, Reactor, ReactorConfig, Refusal, Request,
    Response, Service, TurnReport, Version, header,
};

use crate::limits::{DEADLINE_ROUNDS_MAX, FRAME_PAYLOAD_BYTES_MAX, TURNS_MAX};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS: [u8; FRAME_HEADER_BYTES] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
const FRAME_HEADER_BYTES: usize = 9;
const BODY: &[u8] = b"herald";
/// Longer than any deadline of [`NetLimits`].
const DEADLINE: Duration = Duration::from_secs(120);

/// Plays `data` as one connection.
///
/// # Panics
/// If the reactor or a task in it panics, hangs or keeps the connection, or sends anything but whole answers.
pub fn check(data: &[u8]) {
    thread_local!(static DRIVER: RefCell<Driver> = RefCell::new(Driver::new()));
    let [mode, pieces, rest @ ..] = data else { return };
    let spoken = Spoken::of(*mode);
    let sent = spoken.bytes(rest);
    // '0' is one piece, '1' pieces of 4 bytes, '2' of 16 and so on.
    let piece_bytes = match pieces & 7 {
        0 => usize::MAX,
        exponent => 1 << (2 * exponent),
    };
    DRIVER.with_borrow_mut(|driver| driver.play(&sent, piece_bytes));
}

/// What an input is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spoken {
    /// '0': bytes as they are.
    Raw,
    /// '1': bytes behind the preface of HTTP/2.
    AfterPreface,
    /// '2': frames of HTTP/2, each `type, flags, stream, length` in one byte each and the payload.
    Frames,
}

impl Spoken {
    const fn of(mode: u8) -> Self {
        match mode & 3 {
            1 => Self::AfterPreface,
            2 => Self::Frames,
            _ => Self::Raw,
        }
    }

    fn bytes(self, rest: &[u8]) -> Vec<u8> {
        match self {
            Self::Raw => rest.to_vec(),
            Self::AfterPreface => [PREFACE, rest].concat(),
            Self::Frames => [PREFACE, &EMPTY_SETTINGS, &frames(rest)].concat(),
        }
    }
}

fn frames(mut rest: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some((&[kind, flags, stream, length], after)) = rest.split_first_chunk() {
        let (payload, after) = after.split_at(usize::from(length).min(after.len()));
        assert!(payload.len() <= FRAME_PAYLOAD_BYTES_MAX);
        let length = u8::try_from(payload.len()).expect("cut to one byte of length");
        bytes.extend([0, 0, length, kind, flags, 0, 0, 0, stream]);
        bytes.extend(payload);
        rest = after;
    }
    bytes
}

/// A reactor with one listener and a clock moved by hand.
struct Driver {
    reactor: Reactor<Constant>,
    clock: Arc<ManualClock>,
    path: PathBuf,
    answered: Rc<Cell<u64>>,
}

impl Driver {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("herald-fuzz-{}.sock", std::process::id()));
        let listener = Listener::unix(&path, 0o600).expect("a socket in the folder for temporary files");
        let clock = Arc::new(ManualClock::new());
        let config = ReactorConfig { limits: NetLimits::default(), clock: clock.clone() };
        let service = Constant::default();
        let answered = service.answered.clone();
        let reactor = Reactor::new(config, vec![listener], service).expect("descriptors for a reactor");
        Self { reactor, clock, path, answered }
    }

    fn play(&mut self, sent: &[u8], piece_bytes: usize) {
        let answered_before = self.answered.get();
        let mut client = Client::connect(&self.path);
        for piece in sent.chunks(piece_bytes) {
            self.write(&mut client, piece);
        }
        // The peer that reads has nothing more to say: the reactor must come to an end by itself or by its deadlines.
        let _ = client.stream.shutdown(Shutdown::Write);
        self.settle(&mut client);
        for _ in 0..DEADLINE_ROUNDS_MAX {
            if client.has_ended {
                break;
            }
            self.clock.advance(DEADLINE);
            self.settle(&mut client);
        }
        assert!(client.has_ended, "the connection is open behind every deadline");
        let received = client.received;
        drop(client.stream);
        let left = self.turns_until_quiet();
        assert_eq!(
            (left.connections, left.tasks),
            (0, 0),
            "something is left of a connection that has ended"
        );
        assert_eq!(self.reactor.handle().counters().panics, 0);
        check_received(sent, &received, self.answered.get() - answered_before);
    }

    fn write(&mut self, client: &mut Client, mut piece: &[u8]) {
        for _ in 0..TURNS_MAX {
            match client.stream.write(piece) {
                Ok(count) => piece = &piece[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // The reactor has refused and closed; what it said is still to be read.
                Err(_) => return self.settle(client),
            }
            self.settle(client);
            if piece.is_empty() {
                return;
            }
        }
        panic!("the reactor takes nothing and does not close");
    }

    /// Turns, and reads what comes, until neither brings anything.
    fn settle(&mut self, client: &mut Client) {
        loop {
            self.turns_until_quiet();
            if !client.read() {
                return;
            }
        }
    }

    fn turns_until_quiet(&mut self) -> TurnReport {
        for _ in 0..TURNS_MAX {
            let report = self.reactor.turn(Some(Duration::ZERO)).expect("the poll works");
            if report.polled == 0 && !report.has_more {
                return report;
            }
        }
        panic!("the reactor does not come to rest");
    }
}

struct Client {
    stream: UnixStream,
    received: Vec<u8>,
    has_ended: bool,
}

impl Client {
    fn connect(path: &PathBuf) -> Self {
        let stream = UnixStream::connect(path).expect("the reactor listens");
        stream.set_nonblocking(true).expect("a socket can be told not to block");
        Self { stream, received: Vec::new(), has_ended: false }
    }

    /// Takes in what is there; whether there was anything.
    fn read(&mut self) -> bool {
        let before = self.received.len();
        let mut buffer = [0; 16 * 1024];
        while !self.has_ended {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.has_ended = true,
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.has_ended = true,
            }
        }
        self.received.len() > before
    }
}

/// Answers everything with the same few bytes.
#[derive(Default)]
struct Constant {
    answered: Rc<Cell<u64>>,
}

impl Service for Constant {
    type Answer = Ready<Response<Bytes>>;

    fn answer(&self, _: &Peer, request: Request<Bytes>) -> Self::Answer {
        check_request(&request);
        self.answered.set(self.answered.get() + 1);
        // An answer to HEAD has no body to be read by; without one in either case both are read alike.
        let is_head = request.method() == Method::HEAD;
        ready(Response::new(Bytes::from_static(if is_head { b"" } else { BODY })))
    }

    fn refuse(&self, refusal: Refusal) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = refusal.status();
        response
    }
}

/// What a service may rely on: a body within the limit and a head that no proxy reads otherwise (RFC 9112 §3.2, §6.1).
fn check_request(request: &Request<Bytes>) {
    assert!(request.body().len() <= NetLimits::default().body_bytes_max, "a body beyond the limit");
    assert_ne!(request.method(), Method::CONNECT, "CONNECT reached the service");
    let fields = |name| request.headers().get_all(name).iter().count();
    let framings = fields(header::CONTENT_LENGTH).min(1) + fields(header::TRANSFER_ENCODING).min(1);
    assert!(framings < 2, "two lengths of one body reached the service");
    assert!(fields(header::HOST) < 2, "two hosts reached the service");
    let is_addressed = fields(header::HOST) == 1 || request.uri().authority().is_some();
    assert!(is_addressed || request.version() <= Version::HTTP_10, "no host reached the service");
}

fn check_received(sent: &[u8], received: &[u8], answered: u64) {
    if sent.starts_with(PREFACE) {
        check_frames(received);
    } else if received.starts_with(b"HTTP/1.") {
        let good = check_answers(received);
        assert!(good <= answered, "{good} answers of the service, which was asked {answered} times");
    } else {
        assert!(received.is_empty(), "neither HTTP/1.1 nor HTTP/2 came back");
    }
}

/// How many answers were the service's; all must be whole.
fn check_answers(mut rest: &[u8]) -> u64 {
    let mut good = 0;
    while !rest.is_empty() {
        let end = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head is whole") + 4;
        let head = core::str::from_utf8(&rest[..end]).expect("our heads are ASCII").to_ascii_lowercase();
        let status: u16 = head.get(9..12).and_then(|status| status.parse().ok()).expect("a status line");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().expect("a length"));
        let body = rest.get(end..end + length).expect("a body is whole");
        match status {
            100 => assert_eq!(length, 0),
            200 => {
                assert!(body == BODY || body.is_empty());
                good += 1;
            }
            _ => assert!((400..600).contains(&status) && body.is_empty(), "status {status}"),
        }
        rest = &rest[end + length..];
    }
    good
}

/// Frames are whole and no longer than a peer that said nothing allows (RFC 9113 §4.2).
fn check_frames(mut rest: &[u8]) {
    while !rest.is_empty() {
        let (header, after) = rest.split_at_checked(FRAME_HEADER_BYTES).expect("a frame header is whole");
        let length = usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
        assert!(length <= 16 * 1024, "a frame of {length} bytes");
        rest = after.get(length..).expect("a frame is whole");
    }
}
