//! What a connection costs in memory while it says nothing. Alone in its binary: the memory is the process's.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::net::TcpStream;

use common::peer::RawPeer;
use common::{Hand, Identity};
use herald_net::NetLimits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const CONNECTIONS: usize = 400;
/// Bytes a connection may cost before its hello, and after its handshake.
const SILENT_BYTES_MAX: usize = 4_000;
const IDLE_BYTES_MAX: usize = 24_000;

#[test]
fn a_silent_connection_costs_little_and_an_idle_one_not_much() {
    // Both ends of each connection are in this process.
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let identity = Identity::new();
    let mut hand = Hand::tls(NetLimits::default(), &identity);

    let silent = bytes_each(&mut hand, |hand| RawPeer::connect(hand.address));
    assert!(silent <= SILENT_BYTES_MAX, "{silent} bytes before the hello");

    let idle = bytes_each(&mut hand, |hand| shake_hands(hand, &identity));
    assert!(idle <= IDLE_BYTES_MAX, "{idle} bytes after the handshake");

    let idle_again = bytes_each(&mut hand, |hand| {
        let mut peer = shake_hands(hand, &identity);
        peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        hand.until("an answer", || peer.has("GET / 0"));
        peer
    });
    assert!(idle_again <= IDLE_BYTES_MAX, "{idle_again} bytes after an answer");

    // The control: of a body that is not complete, what has come shows.
    let busy = bytes_each(&mut hand, |hand| {
        let mut peer = shake_hands(hand, &identity);
        peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8192\r\n\r\n");
        peer.send(&[b'b'; 8000]);
        hand.settle();
        peer
    });
    assert!(busy >= idle + 6_000, "{busy} bytes with 8000 of a body, {idle} without");

    assert_eq!(hand.turn().connections, 4 * CONNECTIONS, "the reactor still has every one of them");
}

fn shake_hands(hand: &mut Hand, identity: &Identity) -> RawPeer {
    let mut peer = RawPeer::connect(hand.address).with_tls(&identity.chain, b"http/1.1");
    hand.until("a handshake", || {
        peer.pump();
        !peer.is_handshaking()
    });
    peer
}

/// Resident bytes of each of many connections made by `connect`. The peers' own are not among them: of a peer only
/// its socket is kept. Memory that connections made before have touched is not counted, so all are kept.
fn bytes_each(hand: &mut Hand, mut connect: impl FnMut(&mut Hand) -> RawPeer) -> usize {
    let before = resident_bytes();
    for _ in 0..CONNECTIONS {
        let socket: TcpStream = connect(hand).stream;
        hand.turn();
        core::mem::forget(socket);
    }
    hand.settle();
    resident_bytes().saturating_sub(before) / CONNECTIONS
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size()
}
