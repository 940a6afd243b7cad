//! The connections that are kept, by peer: HTTP/2 carries many exchanges at once, HTTP/1.1 one after the other.
//!
//! Who finds none free and may make no more waits in line. Knows nothing of how a connection is made.

use core::cell::RefCell;
use core::future::Future;
use core::hash::{Hash, Hasher};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use hyper::http::uri::Authority;

use crate::client::connection::{Budget, Sender};
use crate::client::route::{Protocol, Route, Way};
use crate::limits::{CLIENT_IDLE, PEER_CONNECTIONS_MAX, PEERS_MAX};

/// A host reached by a route.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) route: Arc<Route>,
    pub(crate) authority: Authority,
}

impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.route, &other.route) && self.authority == other.authority
    }
}

impl Eq for Peer {}

impl Hash for Peer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.route).hash(state);
        self.authority.hash(state);
    }
}

/// All connections of one [`Outbound`](super::Outbound).
#[derive(Clone, Default)]
pub(crate) struct Pool {
    peers: Rc<RefCell<HashMap<Peer, Connections>>>,
}

#[derive(Default)]
struct Connections {
    /// HTTP/2: the one that all exchanges share, and since when it is open.
    shared: Option<(Sender, Instant)>,
    /// HTTP/1.1: those that wait for their next exchange, and since when.
    idle: Vec<(Sender, Instant)>,
    open_count: usize,
    making_count: usize,
    /// The peer has been found to speak HTTP/1.1.
    is_http1: bool,
    line: BTreeMap<u64, Waker>,
    line_count: u64,
    /// What its answers may hold together, once there was one.
    budget: Option<Rc<Budget>>,
}

/// What [`Pool::take`] gives.
pub(crate) enum Taken {
    /// A connection that is open.
    Kept(Sender),
    /// The right to make one.
    MayMake(Permit),
}

enum Chance {
    Taken(Taken),
    Wait,
}

impl Pool {
    /// A connection to `peer`, or the right to make one; as soon as either is to be had.
    pub(crate) async fn take(&self, peer: &Peer, now: impl Fn() -> Instant) -> Taken {
        loop {
            match self.try_take(peer, now()) {
                Chance::Taken(taken) => return taken,
                Chance::Wait => InLine { pool: self, peer, place: None }.await,
            }
        }
    }

    fn try_take(&self, peer: &Peer, now: Instant) -> Chance {
        let mut peers = self.peers.borrow_mut();
        if !peers.contains_key(peer) {
            forget_the_idle(&mut peers, now);
        }
        let connections = peers.entry(peer.clone()).or_default();
        if let Some(sender) = connections.kept(now) {
            return Chance::Taken(Taken::Kept(sender));
        }
        let may_share = may_be_h2(&peer.route) && !connections.is_http1;
        let must_wait = if may_share {
            connections.making_count > 0
        } else {
            connections.open_count >= PEER_CONNECTIONS_MAX
        };
        if must_wait {
            return Chance::Wait;
        }
        connections.open_count += 1;
        connections.making_count += 1;
        Chance::Taken(Taken::MayMake(Permit { pool: self.clone(), peer: peer.clone(), is_making: true }))
    }

    /// What the answers of `peer` may hold together; made with its first answer.
    pub(crate) fn budget(&self, peer: &Peer, make: impl FnOnce() -> Budget) -> Rc<Budget> {
        match self.peers.borrow_mut().get_mut(peer) {
            Some(connections) => connections.budget.get_or_insert_with(|| Rc::new(make())).clone(),
            // A peer that was forgotten has no other answer under way.
            None => Rc::new(make()),
        }
    }

    /// Puts a connection back that can take another exchange.
    pub(crate) fn give_back(&self, peer: &Peer, sender: Sender, now: Instant) {
        if sender.is_h2() || sender.is_closed() {
            return;
        }
        self.with(peer, |connections| {
            connections.idle.push((sender, now));
            connections.next();
        });
    }

    /// An exchange that was sent at `sent_at` had no answer in time: what comes next does not share its connection.
    pub(crate) fn distrust(&self, peer: &Peer, sent_at: Instant) {
        self.with(peer, |connections| {
            connections.shared.take_if(|(_, since)| *since <= sent_at);
        });
    }

    fn with(&self, peer: &Peer, change: impl FnOnce(&mut Connections)) {
        if let Some(connections) = self.peers.borrow_mut().get_mut(peer) {
            change(connections);
        }
    }

    /// Closes every connection that no exchange uses.
    pub(crate) fn clear(&self) {
        self.peers.borrow_mut().clear();
    }
}

impl Connections {
    fn kept(&mut self, now: Instant) -> Option<Sender> {
        if let Some((shared, _)) = &self.shared {
            if !shared.is_closed() {
                return shared.share();
            }
            self.shared = None;
        }
        self.idle.retain(|(sender, since)| !sender.is_closed() && now.duration_since(*since) < CLIENT_IDLE);
        self.idle.pop().map(|(sender, _)| sender)
    }

    /// Lets the next in line try.
    fn next(&mut self) {
        if let Some((_, waker)) = self.line.pop_first() {
            waker.wake();
        }
    }

    fn is_unused(&self) -> bool {
        self.open_count == 0 && self.line.is_empty()
    }
}

/// The right to have one connection to a peer, held by whoever runs it for as long as it lives.
pub(crate) struct Permit {
    pool: Pool,
    peer: Peer,
    is_making: bool,
}

impl Permit {
    /// The connection is open. Returns the sender for whoever made it.
    pub(crate) fn made(&mut self, sender: Sender, now: Instant) -> Sender {
        self.is_making = false;
        let shared = sender.share();
        self.pool.with(&self.peer, |connections| {
            connections.making_count -= 1;
            connections.is_http1 = shared.is_none();
            connections.shared = shared.map(|shared| (shared, now));
            // All who waited for this one may share it, or each make one of their own.
            core::mem::take(&mut connections.line).into_values().for_each(Waker::wake);
        });
        sender
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut peers = self.pool.peers.borrow_mut();
        let Some(connections) = peers.get_mut(&self.peer) else { return };
        connections.open_count -= 1;
        connections.making_count -= usize::from(self.is_making);
        connections.next();
    }
}

/// Ends when it is this one's turn to try. One that was called and never tried calls the next.
struct InLine<'a> {
    pool: &'a Pool,
    peer: &'a Peer,
    place: Option<u64>,
}

impl Future for InLine<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut peers = self.pool.peers.borrow_mut();
        let Some(connections) = peers.get_mut(self.peer) else { return Poll::Ready(()) };
        match self.place {
            Some(place) => match connections.line.get_mut(&place) {
                Some(waker) => {
                    waker.clone_from(cx.waker());
                    Poll::Pending
                }
                None => {
                    drop(peers);
                    self.place = None;
                    Poll::Ready(())
                }
            },
            None => {
                connections.line_count += 1;
                let place = connections.line_count;
                connections.line.insert(place, cx.waker().clone());
                drop(peers);
                self.place = Some(place);
                Poll::Pending
            }
        }
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        self.pool.with(self.peer, |connections| {
            if connections.line.remove(&place).is_none() {
                connections.next();
            }
        });
    }
}

fn may_be_h2(route: &Route) -> bool {
    match route.way {
        Way::Tls(_) => route.protocol != Protocol::Http1,
        Way::Plain | Way::Unix(_) => route.is_h2_known(),
    }
}

/// Makes room for one more peer: what has long been idle goes, and at the bound everything that is idle.
#[allow(clippy::mutable_key_type, reason = "a route is hashed by its address, which does not change")]
fn forget_the_idle(peers: &mut HashMap<Peer, Connections>, now: Instant) {
    let is_crowded = peers.len() >= PEERS_MAX;
    for connections in peers.values_mut() {
        connections.idle.retain(|(_, since)| !is_crowded && now.duration_since(*since) < CLIENT_IDLE);
        if is_crowded {
            connections.shared = None;
        }
    }
    peers.retain(|_, connections| !connections.is_unused());
}
