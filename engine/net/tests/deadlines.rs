//! Every deadline of a connection, on a clock moved by hand: the late are closed, the others are served.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::peer::RawPeer;
use common::{Hand, Identity, h2};
use herald_net::NetLimits;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const ALMOST: Duration = Duration::from_millis(100);

/// Another peer is served now.
fn check_others(hand: &mut Hand) {
    let mut other = RawPeer::connect(hand.address);
    other.send(GET);
    hand.until("another peer's answer", || other.has("GET / 0"));
}

/// A peer that has sent `bytes` is still there just before `limit` and gone at it.
fn check_closed_at(hand: &mut Hand, peer: &mut RawPeer, limit: Duration) {
    hand.settle();
    hand.pass(limit - ALMOST);
    assert!(!peer.ended(), "closed too early: {:?}", peer.text());
    hand.pass(ALMOST);
    hand.until("the close", || peer.ended());
}

#[test]
fn a_silent_peer_is_closed_at_the_hello_deadline_and_others_are_served() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = RawPeer::connect(hand.address);
    check_closed_at(&mut hand, &mut peer, Duration::from_secs(5));
    assert_eq!(hand.reactor.handle().counters().hello_timeouts, 1);
    check_others(&mut hand);
}

#[test]
fn half_a_client_hello_is_closed_at_the_hello_deadline() {
    let identity = Identity::new();
    let mut hand = Hand::tls(NetLimits::default(), &identity);
    let mut peer = RawPeer::connect(hand.address);
    peer.send(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]);
    check_closed_at(&mut hand, &mut peer, Duration::from_secs(5));
    assert_eq!(hand.reactor.handle().counters().hello_timeouts, 1);
}

#[test]
fn a_slow_head_is_closed_at_the_header_deadline_however_steadily_it_trickles() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = RawPeer::connect(hand.address);
    // One request first: then the deadline runs from the first byte of the next head.
    peer.send(GET);
    hand.until("the first answer", || peer.has("GET / 0"));
    hand.pass(Duration::from_secs(20));
    peer.send(b"G");
    hand.settle();
    for byte in b"ET / HTT" {
        hand.pass(Duration::from_secs(1));
        peer.send(&[*byte]);
        hand.settle();
    }
    hand.pass(Duration::from_millis(1900));
    assert!(!peer.ended(), "closed too early");
    hand.pass(ALMOST);
    hand.until("the close", || peer.ended());
    assert_eq!(hand.reactor.handle().counters().header_timeouts, 1);
    check_others(&mut hand);
}

#[test]
fn a_first_head_that_never_ends_is_closed() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = RawPeer::connect(hand.address);
    peer.send(b"GET / HTTP/1.1\r\nX: ");
    check_closed_at(&mut hand, &mut peer, Duration::from_secs(10));
    assert_eq!(hand.reactor.handle().counters().header_timeouts, 1);
}

#[test]
fn a_slow_body_is_refused_with_408_at_the_body_deadline() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = RawPeer::connect(hand.address);
    peer.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab");
    hand.settle();
    hand.pass(Duration::from_secs(30) - ALMOST);
    assert_eq!(peer.text(), "");
    hand.pass(ALMOST);
    hand.until("the refusal", || peer.has("BodyTimeout"));
    assert!(peer.text().starts_with("HTTP/1.1 408 ") && peer.text().contains("connection: close"));
    hand.pass(Duration::from_secs(2));
    hand.until("the close", || peer.ended());
    assert_eq!(hand.reactor.handle().counters().body_timeouts, 1);
    check_others(&mut hand);
}

#[test]
fn an_idle_connection_is_closed_at_the_idle_deadline() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = RawPeer::connect(hand.address);
    peer.send(GET);
    hand.until("the answer", || peer.has("GET / 0"));
    check_closed_at(&mut hand, &mut peer, Duration::from_secs(60));
    assert_eq!(hand.reactor.handle().counters().idle_closes, 1);
}

#[test]
fn an_idle_http2_connection_gets_goaway_and_pings_do_not_keep_it() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = RawPeer::connect(hand.address);
    peer.send(&h2::hello(&[]));
    peer.send(&h2::get(1, "/"));
    hand.until("the answer", || peer.has("GET / 0"));
    for _ in 0..6 {
        peer.send(&h2::frame(h2::PING, 0, 0, &[0; 8]));
        hand.pass(Duration::from_secs(10));
        peer.pump();
        let pongs = h2::pongs(&peer.received);
        peer.send(&pongs);
    }
    hand.until("GOAWAY", || {
        peer.pump();
        h2::goaway(&peer.received) == Some(0)
    });
    hand.pass(Duration::from_secs(2));
    hand.until("the close", || peer.ended());
    assert_eq!(hand.reactor.handle().counters().idle_closes, 1);
}

/// Sends requests for big answers and reads nothing until the reactor gives no more answers.
fn stuff(hand: &mut Hand, peer: &mut RawPeer) {
    let request = b"GET /big/60000 HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20);
    for _ in 0..50 {
        if peer.send(&request) == 0 {
            break;
        }
        hand.settle();
    }
}

fn check_never_reading(mut hand: Hand, mut peer: RawPeer) {
    stuff(&mut hand, &mut peer);
    let answered = hand.echo.answered.get();
    // The kernel's own buffers hold a few MiB; without the bound all 1,000 answers would be given.
    assert!(
        (2..200).contains(&answered),
        "{answered} answers of 60,000 bytes were given to a peer that reads none"
    );
    let polled: usize = (0..50).map(|_| hand.turn().polled).sum();
    assert_eq!(polled, 0, "a blocked peer must cost nothing");
    hand.pass(Duration::from_secs(30) - ALMOST);
    assert_eq!(hand.turn().connections, 1, "closed too early");
    hand.pass(ALMOST);
    assert_eq!(hand.turn().connections, 0);
    assert_eq!(hand.reactor.handle().counters().write_stalls, 1);
}

#[test]
fn a_peer_that_never_reads_is_bounded_and_closed_at_the_write_stall() {
    let hand = Hand::plain(NetLimits::default());
    let peer = RawPeer::connect_small(hand.address);
    check_never_reading(hand, peer);
}

#[test]
fn a_tls_peer_that_never_reads_is_bounded_and_closed_at_the_write_stall() {
    let identity = Identity::new();
    let mut hand = Hand::tls(NetLimits::default(), &identity);
    let mut peer = RawPeer::connect_small(hand.address).with_tls(&identity.chain, b"http/1.1");
    hand.until("the handshake", || {
        peer.pump();
        !peer.is_handshaking()
    });
    check_never_reading(hand, peer);
}

#[test]
fn an_http2_peer_that_opens_no_window_is_closed_at_the_write_stall() {
    const INITIAL_WINDOW_SIZE: u16 = 4;
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = RawPeer::connect(hand.address);
    peer.send(&h2::hello(&[(INITIAL_WINDOW_SIZE, 0)]));
    for stream in (1..40).step_by(2) {
        peer.send(&h2::get(stream, "/big/60000"));
        hand.settle();
    }
    peer.pump();
    assert!(hand.echo.answered.get() <= 2, "answers beyond the output bound: {}", hand.echo.answered.get());
    for _ in 0..3 {
        // Pings are answered, and are no progress.
        peer.send(&h2::frame(h2::PING, 0, 0, &[0; 8]));
        hand.pass(Duration::from_secs(9));
    }
    assert!(!peer.ended(), "closed too early");
    hand.pass(Duration::from_secs(3));
    hand.until("the close", || peer.ended());
    assert_eq!(hand.reactor.handle().counters().write_stalls, 1);
}

#[test]
fn a_tls_handshake_that_stops_midway_is_closed_and_others_are_served() {
    let identity = Identity::new();
    let mut hand = Hand::tls(NetLimits::default(), &identity);
    let mut peer = RawPeer::connect(hand.address).with_tls(&identity.chain, b"h2");
    // The hello goes out; the server's flight is never answered.
    peer.push();
    hand.settle();
    hand.pass(Duration::from_secs(5));
    assert_eq!(hand.turn().connections, 0);
    let mut other = RawPeer::connect(hand.address).with_tls(&identity.chain, b"http/1.1");
    other.send(GET);
    hand.until("another peer's answer", || other.has("GET / 0"));
}
