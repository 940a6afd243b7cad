//! A reactor inside a host's own event loop: one descriptor to poll, one function to call.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::os::fd::RawFd;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use common::peer::RawPeer;
use common::{Echo, Hand, loopback};
use herald_net::{Address, Listener, NetLimits, Reactor, ReactorConfig};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

/// A host's loop: an outer poll that knows nothing but the reactor's descriptor.
struct Host {
    poll: Poll,
    reactor: Reactor<Echo>,
}

impl Host {
    fn new(limits: NetLimits) -> (Self, std::net::SocketAddr) {
        let listener = Listener::plain(loopback()).unwrap();
        let Address::Tcp(address) = *listener.address() else { panic!("not TCP") };
        let config = ReactorConfig { limits, ..ReactorConfig::default() };
        let mut reactor = Reactor::new(config, vec![listener], Echo::default()).unwrap();
        let poll = Poll::new().unwrap();
        let descriptor: RawFd = reactor.descriptor();
        poll.registry().register(&mut SourceFd(&descriptor), Token(0), Interest::READABLE).unwrap();
        reactor.turn(Some(Duration::ZERO)).unwrap();
        (Self { poll, reactor }, address)
    }

    /// Waits for the descriptor, then turns once for each readiness; never turns without being told to.
    fn until(&mut self, what: &str, mut is_done: impl FnMut() -> bool) {
        let start = Instant::now();
        let mut events = Events::with_capacity(4);
        while !is_done() {
            assert!(start.elapsed() < Duration::from_secs(10), "waited too long for: {what}");
            self.poll.poll(&mut events, Some(Duration::from_millis(20))).unwrap();
            if !events.is_empty() {
                self.reactor.turn(Some(Duration::ZERO)).unwrap();
            }
        }
    }
}

#[test]
fn the_descriptor_alone_drives_requests() {
    let mut limits = NetLimits::default();
    // A turn that leaves work behind must leave the descriptor readable.
    limits.polls_per_turn = 1;
    limits.accepts_per_turn = 1;
    let (mut host, address) = Host::new(limits);
    let mut peers: Vec<_> = (0..20).map(|_| RawPeer::connect(address)).collect();
    for peer in &mut peers {
        peer.send(&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(30));
    }
    host.until("all answers", || {
        peers.iter_mut().all(|peer| peer.has("") && peer.text().matches("GET / 0").count() == 30)
    });
}

#[test]
fn the_descriptor_becomes_readable_at_a_deadline() {
    let mut limits = NetLimits::default();
    limits.hello_timeout = Duration::from_millis(60);
    let (mut host, address) = Host::new(limits);
    let mut peer = RawPeer::connect(address);
    let start = Instant::now();
    host.until("the close", || peer.ended());
    assert!(start.elapsed() >= Duration::from_millis(55), "closed after {:?}", start.elapsed());
}

#[test]
fn the_descriptor_becomes_readable_when_another_thread_completes_an_answer_or_asks_for_a_drain() {
    let (mut host, address) = Host::new(NetLimits::default());
    let mut peer = RawPeer::connect(address);
    peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    host.until("an answer", || peer.has("GET / 0"));
    let handle = host.reactor.handle();
    let asker = thread::spawn(move || handle.begin_drain(Duration::from_secs(60)));
    host.until("the close of the idle connection", || peer.ended());
    asker.join().unwrap();
    // The reactor waits for the peer to close too, so that its last answer is not lost.
    drop(peer);
    let handle = host.reactor.handle();
    host.until("the end of the last connection", || handle.counters().open == 0);
    assert!(host.reactor.turn(Some(Duration::ZERO)).unwrap().is_drained);
}

#[test]
fn a_late_answer_may_be_completed_from_any_thread() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peers: Vec<_> = (0..10).map(|_| RawPeer::connect(hand.address)).collect();
    for peer in &mut peers[..1] {
        peer.send(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    let later = hand.echo.later.clone();
    hand.until("the question", || later.is_awaited());
    thread::spawn(move || later.complete()).join().unwrap();
    let report = hand.turn();
    assert!(report.polled >= 1, "the wake from another thread was lost");
    hand.until("the answer", || peers[0].has("later"));
}

#[test]
fn a_drain_of_an_idle_reactor_is_complete_in_one_turn_and_drops_its_service() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = RawPeer::connect(hand.address);
    peer.send(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    hand.settle();
    hand.reactor.handle().begin_drain(Duration::from_secs(5));
    assert!(!hand.turn().is_drained);
    hand.pass(Duration::from_secs(5));
    assert!(hand.turn().is_drained);
    let answered = Rc::downgrade(&hand.echo.answered);
    drop(hand);
    assert!(answered.upgrade().is_none(), "the reactor's tasks outlive it");
}
