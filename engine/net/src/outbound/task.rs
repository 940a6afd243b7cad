//! One exchange and one connection, each as a task.

use core::future::{Future, poll_fn};
use core::net::IpAddr;
use core::pin::pin;
use core::task::{Poll, Waker};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use hyper::Response;
use hyper::body::Bytes;

use super::pool::{Peer, Permit, Taken};
use super::{Exchange, Shared, resolve};
use crate::client::ClientError;
use crate::client::connection::{self, Background, Pings, Progress, Sender, TlsTarget, WholeBody};
use crate::client::route::{Way, bare_host};
use crate::limits::{CLIENT_ADDRESSES_MAX, EXCHANGE_TRIES_MAX, READ_BYTES_PER_WAKE};
use crate::stream::{IoState, Stream};

/// Runs an exchange to its end or its deadline.
pub(super) async fn run(shared: &Rc<Shared>, exchange: Exchange) -> Result<Response<Bytes>, ClientError> {
    let allowed = exchange.allowed;
    let until = shared.timers.now() + allowed;
    let progress = Rc::new(Progress::new());
    let authority = exchange.route.authority(exchange.request.uri())?;
    let peer = Peer { authority, route: exchange.route.clone() };
    let sent_at = Cell::new(None);
    match within(shared, until, attempt(shared, &peer, exchange, until, &progress, &sent_at)).await {
        Some(answered) => answered,
        None => {
            if let Some(sent_at) = sent_at.get() {
                shared.pool.distrust(&peer, sent_at);
            }
            Err(ClientError::Timeout { attempt: progress.attempt(), deadline: allowed })
        }
    }
}

async fn attempt(
    shared: &Rc<Shared>,
    peer: &Peer,
    exchange: Exchange,
    until: Instant,
    progress: &Rc<Progress>,
    sent_at: &Cell<Option<Instant>>,
) -> Result<Response<Bytes>, ClientError> {
    let Exchange { request, answer_bytes_max, allowed, .. } = exchange;
    let mut request = request.map(|bytes| WholeBody(Some(bytes)));
    let mut tries_left = EXCHANGE_TRIES_MAX;
    loop {
        progress.begin("waiting for a connection");
        let (mut sender, is_kept) = match shared.pool.take(peer, || shared.timers.now()).await {
            Taken::Kept(sender) => (sender, true),
            Taken::MayMake(permit) => {
                let plan = Plan { peer, until, allowed, progress };
                (connect(shared, &plan, permit).await?, false)
            }
        };
        peer.route.shape(&mut request, &peer.authority, sender.is_h2())?;
        progress.begin("waiting for the answer");
        tries_left -= 1;
        sent_at.set(Some(shared.timers.now()));
        let budget = shared.budget_of(peer);
        match sender.exchange(request, answer_bytes_max, &budget).await {
            Ok(response) => {
                shared.pool.give_back(peer, sender, shared.timers.now());
                return Ok(response);
            }
            // A kept connection that proves dead before anything was sent is replaced.
            Err(failed) if is_kept && tries_left > 0 => request = *failed.unsent.ok_or(failed.error)?,
            Err(failed) => return Err(failed.error),
        }
    }
}

/// What making a connection has to know.
struct Plan<'a> {
    peer: &'a Peer,
    until: Instant,
    allowed: core::time::Duration,
    progress: &'a Rc<Progress>,
}

async fn connect(shared: &Rc<Shared>, plan: &Plan<'_>, permit: Permit) -> Result<Sender, ClientError> {
    let route = &plan.peer.route;
    if let Way::Unix(path) = &route.way {
        let target = path.display().to_string();
        plan.progress.begin("connecting");
        let stream = mio::net::UnixStream::connect(path)
            .map_err(|source| ClientError::Connect { target: target.clone(), source })?;
        let mut permit = Some(permit);
        return open(shared, plan, Stream::Unix(stream), target, None, plan.until, &mut permit).await;
    }
    let addresses = addresses(shared, plan).await?;
    let mut permit = Some(permit);
    let mut outcome = Err(ClientError::BadRequest { reason: "the URI's host has no address" });
    for (tried, address) in addresses.iter().enumerate() {
        // Each address gets its share of the time that is left.
        let now = shared.timers.now();
        let rest = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let until = now + plan.until.saturating_duration_since(now) / rest;
        outcome = open_tcp(shared, plan, *address, until, &mut permit).await;
        if !matches!(outcome, Err(ClientError::Connect { .. } | ClientError::Timeout { .. })) {
            return outcome;
        }
    }
    outcome
}

/// The addresses of the peer that the route's rule lets through.
async fn addresses(shared: &Shared, plan: &Plan<'_>) -> Result<Vec<SocketAddr>, ClientError> {
    let Peer { route, authority } = plan.peer;
    let host = bare_host(authority);
    let found = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) if !resolve::is_name(host) => {
            return Err(ClientError::BadRequest {
                reason: "the URI's host is neither a name nor an address as it is usually written",
            });
        }
        Err(_) => {
            plan.progress.begin("looking up the host");
            let found = resolve::resolve(&*shared.surroundings.resolver, host, route.is_for_strangers).await;
            found.map_err(|source| ClientError::Resolve { host: host.to_owned(), source })?
        }
    };
    let mut refused = None;
    let mut passed = Vec::new();
    for &address in found.iter().take(CLIENT_ADDRESSES_MAX) {
        match route.addresses.check(address) {
            Ok(()) => passed.push(SocketAddr::new(address, route.port(authority))),
            Err(what) => {
                refused = Some(ClientError::AddressRefused { host: host.to_owned(), address, what });
            }
        }
    }
    match refused {
        Some(refused) if passed.is_empty() => Err(refused),
        _ => Ok(passed),
    }
}

async fn open_tcp(
    shared: &Rc<Shared>,
    plan: &Plan<'_>,
    address: SocketAddr,
    until: Instant,
    permit: &mut Option<Permit>,
) -> Result<Sender, ClientError> {
    plan.progress.begin("connecting");
    let target = address.to_string();
    let stream = shared.surroundings.dialer.dial(address);
    let stream = stream.map_err(|source| ClientError::Connect { target: target.clone(), source })?;
    // Requests are written whole; waiting to fill segments only adds delay.
    let _ = stream.set_nodelay(true);
    let stream = Stream::Tcp(mio::net::TcpStream::from_std(stream));
    let tls = plan.peer.route.tls_target(&plan.peer.authority)?;
    open(shared, plan, stream, target, tls, until, permit).await
}

/// Spawns a task that completes the connection and keeps it, and waits for the first half of that. If it fails the
/// permit comes back.
async fn open(
    shared: &Rc<Shared>,
    plan: &Plan<'_>,
    mut stream: Stream,
    target: String,
    tls: Option<TlsTarget>,
    until: Instant,
    permit: &mut Option<Permit>,
) -> Result<Sender, ClientError> {
    let state = Arc::<IoState>::default();
    stream.register(&shared.registry, shared.next_token()).map_err(ClientError::system("watch a socket"))?;
    let opening = Opening {
        shared: shared.clone(),
        stream,
        state: state.clone(),
        target,
        tls,
        is_h2: plan.peer.route.is_h2_known(),
        ping_timeout: plan.peer.route.ping_timeout,
        until,
        allowed: plan.allowed,
        progress: plan.progress.clone(),
    };
    let permit_in = permit.take().expect("an attempt that failed has given the permit back");
    let slot = Rc::<RefCell<Slot>>::default();
    shared.executor.spawn(Box::pin(live(opening, permit_in, SlotFiller(slot.clone()))), Some(state));
    let (outcome, permit_out) = poll_fn(|cx| {
        let mut slot = slot.borrow_mut();
        match slot.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                slot.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    })
    .await;
    *permit = permit_out;
    outcome
}

/// A connection that is being made.
struct Opening {
    shared: Rc<Shared>,
    stream: Stream,
    state: Arc<IoState>,
    target: String,
    tls: Option<TlsTarget>,
    is_h2: bool,
    ping_timeout: core::time::Duration,
    until: Instant,
    allowed: core::time::Duration,
    progress: Rc<Progress>,
}

/// Where the task of a connection leaves the outcome of opening it.
#[derive(Default)]
struct Slot {
    outcome: Option<Opened>,
    waker: Option<Waker>,
}

type Opened = (Result<Sender, ClientError>, Option<Permit>);

/// Fills the slot, whatever ends the task.
struct SlotFiller(Rc<RefCell<Slot>>);

impl SlotFiller {
    fn fill(&self, outcome: Opened) {
        let mut slot = self.0.borrow_mut();
        slot.outcome = Some(outcome);
        if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
    }

    /// Whether nobody waits for the connection any more.
    fn is_orphaned(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }
}

/// A connection from its first packet to its last.
async fn live(opening: Opening, mut permit: Permit, slot: SlotFiller) {
    let (state, timers) = (opening.state.clone(), opening.shared.timers.clone());
    match complete(opening, &slot).await {
        Err(error) => slot.fill((Err(error), Some(permit))),
        Ok((sender, mut background)) => {
            slot.fill((Ok(permit.made(sender, timers.now())), None));
            drop(slot);
            poll_fn(|cx| {
                state.allow_reads(READ_BYTES_PER_WAKE);
                background.poll(cx)
            })
            .await;
        }
    }
}

async fn complete(opening: Opening, slot: &SlotFiller) -> Result<(Sender, Background), ClientError> {
    let Opening { shared, stream, state, target, tls, is_h2, ping_timeout, until, allowed, progress } =
        opening;
    let pings = Some(Pings { timers: shared.timers.clone(), timeout: ping_timeout });
    let mut work = pin!(connection::establish(stream, state.clone(), &target, tls, is_h2, pings, &progress));
    let work = poll_fn(|cx| {
        if slot.is_orphaned() {
            return Poll::Ready(Err(ClientError::Abandoned));
        }
        state.allow_reads(READ_BYTES_PER_WAKE);
        work.as_mut().poll(cx)
    });
    let timeout = || ClientError::Timeout { attempt: progress.attempt(), deadline: allowed };
    within(&shared, until, work).await.unwrap_or_else(|| Err(timeout()))
}

/// The future's output, or `None` once `until` has come.
async fn within<T>(shared: &Shared, until: Instant, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut timeout = pin!(shared.timers.sleep(until));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => timeout.as_mut().poll(cx).map(|()| None),
    })
    .await
}
