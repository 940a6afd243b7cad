//! What a machine asks of its driver and what it is told: the words between the two, and nothing of either.

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use herald_core::{TelephoneNumber, Timestamp};

use super::discovery::Side;
use crate::limits::{CPS_URI_BYTES_MAX, IO_DETAIL_CHARS_MAX};

/// One call's work, driven from outside. The [module](super) says how.
pub trait Machine: Send {
    /// What it comes to.
    type Outcome: Send;

    /// Begins. What must be done first is appended to `asks`.
    fn begin(&mut self, now: Moment, asks: &mut Vec<Ask>);

    /// Takes the answer to the ask of `ticket`. What must be done next is appended to `asks`.
    fn answer(&mut self, ticket: Ticket, answer: Answer, now: Moment, asks: &mut Vec<Ask>);

    /// When it wants to be woken if no answer comes before, on the steady clock. `None` once it is done.
    fn wake_at(&self) -> Option<Timestamp>;

    /// Lets it see the time. To wake it early does no harm.
    fn wake(&mut self, now: Moment, asks: &mut Vec<Ask>);

    /// Ends it early. Its outcome says that it was cancelled, unless it was done already.
    fn cancel(&mut self);

    /// What it came to: `Some` once, when it is done.
    fn outcome(&mut self) -> Option<Self::Outcome>;
}

/// The time, on both clocks a machine needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The engine's clock, which never steps back: for deadlines and for what expires.
    pub steady: Timestamp,
    /// The wall clock: for `iat` and certificates, which other people's clocks wrote.
    pub wall: Timestamp,
}

impl Moment {
    /// The moment at which both clocks say the same.
    pub const fn both(at: Timestamp) -> Self {
        Self { steady: at, wall: at }
    }

    /// Seconds of the wall clock since the Unix epoch.
    pub fn wall_s(self) -> i64 {
        i64::try_from(self.wall.as_millis() / 1000).unwrap_or(i64::MAX)
    }
}

/// Names one ask of one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u32);

/// Where a machine takes its tickets from: each once.
#[derive(Debug, Default)]
pub struct Tickets(u32);

impl Tickets {
    /// Tickets for what a machine does after another machine that it ran first, whose asks it passed through: a late
    /// answer to one of those must not count for one of these.
    pub const fn behind_another() -> Self {
        Self(1 << 31)
    }
}

/// One call into a machine, as its parts see it: the time, and where asks go.
pub struct Turn<'a> {
    /// The time.
    pub now: Moment,
    tickets: &'a mut Tickets,
    asks: &'a mut Vec<Ask>,
}

impl<'a> Turn<'a> {
    /// The turn at `now` of the machine that owns `tickets`; asks are appended to `asks`.
    pub const fn new(now: Moment, tickets: &'a mut Tickets, asks: &'a mut Vec<Ask>) -> Self {
        Self { now, tickets, asks }
    }

    /// Asks for `what`. Returns the ticket that comes back with the answer.
    pub fn ask(&mut self, what: Asked) -> Ticket {
        let ticket = Ticket(self.tickets.0);
        self.tickets.0 = self.tickets.0.wrapping_add(1);
        self.asks.push(Ask { ticket, what });
        ticket
    }
}

/// One thing to be done for a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Comes back with the answer.
    pub ticket: Ticket,
    /// What is to be done.
    pub what: Asked,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq)]
pub enum Asked {
    /// Everything under `number` at a service: [`Answer::Items`].
    Retrieve {
        /// The service.
        cps: CpsUri,
        /// The called number.
        number: TelephoneNumber,
    },
    /// A sealed PASSporT stored under `number`, as durable as the service acknowledges: [`Answer::Stored`].
    Store {
        /// The service.
        cps: CpsUri,
        /// The called number.
        number: TelephoneNumber,
        /// The sealed bytes: one of [`BODY_BUCKETS_BYTES`](herald_core::limits::BODY_BUCKETS_BYTES).
        body: Vec<u8>,
    },
    /// A document of somebody else's, under the rules of the driver's fetcher: [`Answer::Fetched`].
    Get {
        /// Its https URL.
        url: String,
        /// What it should be.
        kind: Fetched,
    },
    /// As [`Get`](Self::Get), but what the fetcher has of it is known to be of no more use: its host is asked, unless
    /// that was done a moment ago.
    GetAnew {
        /// Its https URL.
        url: String,
        /// What it should be.
        kind: Fetched,
    },
    /// The services of a number, by a source that the driver knows by its name: [`Answer::Discovered`].
    Discover {
        /// The source.
        source: Arc<str>,
        /// The called number.
        number: TelephoneNumber,
        /// Which side of the call asks.
        side: Side,
        /// On the steady clock: an answer after it is of no use.
        until: Timestamp,
    },
}

/// What a document that is fetched should be: it decides the fetcher's size, cache and allow-list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fetched {
    /// A certificate chain, PEM, that an `x5u` names.
    Certificate,
    /// A TNAuthList, DER, that a certificate names (RFC 8226 §10.1).
    NumberList,
    /// A signed bundle of sealing keys.
    KeyBundle,
}

/// How an ask ended.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    /// The bodies of all items under the number, cover among them, in the service's order.
    Items(Vec<Vec<u8>>),
    /// The service acknowledged the store.
    Stored {
        /// Where the item is at the service.
        location: String,
    },
    /// The document.
    Fetched {
        /// Its bytes, shared by all who wait for them.
        body: Arc<[u8]>,
        /// For how many seconds it may be kept, by what its server says and the fetcher's bounds.
        fresh_s: u64,
    },
    /// What a source knows of a number.
    Discovered(Discovered),
    /// It could not be done.
    Failed(IoFault),
}

/// What a source of services knows of a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovered {
    /// The services, the preferred one first, up to [`CPS_URIS_MAX`](crate::limits::CPS_URIS_MAX); none if it knows of
    /// none.
    pub services: Vec<CpsUri>,
    /// Whether somebody with authority over the number says so, and the source has verified that.
    pub is_proven: bool,
    /// How it was found, for an operator. May name the number.
    pub note: Arc<str>,
    /// For how many more seconds it may be kept.
    pub fresh_s: u64,
    /// Whether it was known from an earlier question.
    pub is_kept: bool,
}

/// Why something could not be done. Another service may do it, whatever the cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IoFault {
    /// No connection, or one that broke. A store may have happened.
    Unreachable(String),
    /// No answer in time. A store may have happened.
    TimedOut,
    /// The other side refused, with this HTTP status.
    Refused {
        /// The HTTP status; 503 of the engine in process too.
        status: u16,
        /// Its reason.
        detail: String,
    },
    /// The driver's policy does not let it be asked: a host that is not allowed, an address that is not public.
    NotAllowed(String),
    /// The answer is not of the form it should have, or too large.
    Malformed(String),
    /// The driver does nothing more: it was stopped, or has too much to do.
    Busy,
}

impl fmt::Display for IoFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "it cannot be reached: {}", short(why)),
            Self::TimedOut => f.write_str("it gave no answer in time"),
            Self::Refused { status, detail } => write!(f, "it refuses with {status}: {}", short(detail)),
            Self::NotAllowed(why) => write!(f, "it may not be asked: {}", short(why)),
            Self::Malformed(why) => write!(f, "its answer is malformed: {}", short(why)),
            Self::Busy => f.write_str("it was not asked: the engine stops or has too much to do"),
        }
    }
}

impl core::error::Error for IoFault {}

/// A stranger's words, without what would move a terminal's cursor, cut to a bound.
fn short(text: &str) -> String {
    text.chars().filter(|sign| !sign.is_control()).take(IO_DETAIL_CHARS_MAX).collect()
}

impl From<Result<Discovered, IoFault>> for Answer {
    fn from(says: Result<Discovered, IoFault>) -> Self {
        says.map_or_else(Self::Failed, Self::Discovered)
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retrieve { cps, number } => write!(f, "Retrieve({number:?} at {cps})"),
            Self::Store { cps, number, body } => {
                write!(f, "Store({} bytes, {number:?} at {cps})", body.len())
            }
            Self::Get { url, kind } => write!(f, "Get({kind:?}, {url})"),
            Self::GetAnew { url, kind } => write!(f, "GetAnew({kind:?}, {url})"),
            Self::Discover { source, number, .. } => write!(f, "Discover({number:?} by {source})"),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Items(items) => write!(f, "Items({})", items.len()),
            Self::Stored { .. } => f.write_str("Stored"),
            Self::Fetched { body, fresh_s } => write!(f, "Fetched({} bytes, fresh {fresh_s} s)", body.len()),
            Self::Discovered(found) => write!(f, "Discovered({})", found.services.len()),
            Self::Failed(fault) => write!(f, "Failed({fault:?})"),
        }
    }
}

/// A Call Placement Service: the engine in process, or one elsewhere by its URL.
///
/// Written `local`, `https://HOST[:PORT][/PATH]` or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CpsUri {
    /// The engine that drives the machine.
    Local,
    /// One that is asked over HTTPS. No `/` at its end.
    Https(Arc<str>),
    /// One on this machine, by the path of its socket.
    Unix(Arc<str>),
}

impl CpsUri {
    /// Whether both name the same service: a host has no small and large letters, and port 443 goes without saying.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Https(one), Self::Https(other)) => host_and_path(one) == host_and_path(other),
            (one, other) => one == other,
        }
    }
}

fn host_and_path(url: &str) -> (String, &str) {
    let rest = url.strip_prefix("https://").unwrap_or(url);
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    (host.strip_suffix(":443").unwrap_or(host).to_ascii_lowercase(), path)
}

impl FromStr for CpsUri {
    type Err = CpsUriError;

    // rfc8816:7.3-1.
    fn from_str(text: &str) -> Result<Self, CpsUriError> {
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.len() > CPS_URI_BYTES_MAX || !plain {
            return Err(CpsUriError);
        }
        if text == "local" {
            return Ok(Self::Local);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(CpsUriError) } else { Ok(Self::Unix(path.into())) };
        }
        let rest = text.strip_prefix("https://").ok_or(CpsUriError)?;
        let host = rest.split('/').next().unwrap_or_default();
        if host.is_empty() || rest.contains(['?', '#', '@', '\\']) {
            return Err(CpsUriError);
        }
        Ok(Self::Https(text.trim_end_matches('/').into()))
    }
}

impl fmt::Display for CpsUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Https(url) => f.write_str(url),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// A text that names no service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpsUriError;

impl fmt::Display for CpsUriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no Call Placement Service; give https://HOST[:PORT][/PATH], unix:PATH or local")
    }
}

impl core::error::Error for CpsUriError {}
