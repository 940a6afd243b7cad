//! What a reactor does when the process runs out of descriptors. Alone in its binary: the limit is the process's.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs::File;
use std::time::Duration;

use common::Hand;
use common::peer::RawPeer;
use herald_net::NetLimits;
use rustix::process::{Resource, Rlimit, setrlimit};

#[test]
fn without_descriptors_accepting_rests_and_goes_on_when_there_are_some() {
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: Some(64) }).unwrap();
    let mut hand = Hand::plain(NetLimits::default());
    let mut served = RawPeer::connect(hand.address);
    hand.settle();
    let mut waiting = RawPeer::connect(hand.address);
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    waiting.send(b"GET /waiting HTTP/1.1\r\nHost: a\r\n\r\n");
    hand.settle();
    let errors = hand.reactor.handle().counters().accept_errors;
    assert_eq!(errors, 1);
    for _ in 0..1000 {
        assert!(!hand.turn().has_more, "the reactor spins");
    }
    assert_eq!(hand.reactor.handle().counters().accept_errors, errors);
    served.send(b"GET /served HTTP/1.1\r\nHost: a\r\n\r\n");
    hand.until("an open connection's answer", || served.has("GET /served 0"));

    hand.pass(Duration::from_millis(100));
    assert_eq!(hand.reactor.handle().counters().accept_errors, 2);
    hoard.clear();
    hand.pass(Duration::from_millis(100));
    hand.until("the waiting peer's answer", || waiting.has("GET /waiting 0"));
}
