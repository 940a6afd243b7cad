//! Requests that are answered while they arrive, on both versions of HTTP, with peers that read, don't read, stop and
//! go away.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::peer::RawPeer;
use common::{Hand, h2};
use herald_net::NetLimits;

/// SETTINGS_INITIAL_WINDOW_SIZE.
const INITIAL_WINDOW: u16 = 4;
const WINDOW_UPDATE: u8 = 8;

fn connect_h2(hand: &mut Hand, settings: &[(u16, u32)]) -> RawPeer {
    let mut peer = RawPeer::connect(hand.address);
    peer.send(&h2::hello(settings));
    peer.send(&h2::frame(h2::HEADERS, h2::END_HEADERS, 1, &h2::request_block(true, "/talk")));
    hand.settle();
    peer
}

/// What has come on stream 1: its bytes, and whether it is complete.
fn answer(peer: &mut RawPeer) -> (String, bool) {
    peer.pump();
    let frames = h2::frames(&peer.received);
    let of_stream = || frames.iter().filter(|frame| frame.stream == 1);
    let data = of_stream().filter(|frame| frame.kind == h2::DATA);
    let bytes: Vec<u8> = data.flat_map(|frame| frame.payload.clone()).collect();
    let is_complete = of_stream().any(|frame| frame.kind <= h2::HEADERS && frame.flags & h2::END_STREAM != 0);
    (String::from_utf8(bytes).unwrap(), is_complete)
}

#[test]
fn an_http2_answer_flows_while_its_request_is_open() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = connect_h2(&mut hand, &[]);
    for (piece, so_far) in [("one ", "one "), ("two ", "one two "), ("three ", "one two three ")] {
        peer.send(&h2::frame(h2::DATA, 0, 1, piece.as_bytes()));
        hand.settle();
        assert_eq!(answer(&mut peer), (so_far.to_owned(), false));
    }
    peer.send(&h2::frame(h2::DATA, h2::END_STREAM, 1, b""));
    hand.settle();
    assert_eq!(answer(&mut peer), ("one two three Complete".to_owned(), true));
    assert_eq!(hand.tasks(), 1, "the connection alone");
}

#[test]
fn an_http1_answer_flows_while_its_request_is_open_and_the_next_request_follows() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = RawPeer::connect(hand.address);
    peer.send(b"POST /talk HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in ["one ", "two ", "three "] {
        peer.send(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes());
        hand.until(piece, || peer.has(piece));
    }
    peer.send(b"0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    hand.until("the end", || peer.has("Complete"));
    hand.until("the next answer", || peer.has("GET /next 0"));
}

#[test]
fn a_peer_that_does_not_read_is_made_to_wait_and_goes_on_once_it_reads() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = connect_h2(&mut hand, &[(INITIAL_WINDOW, 10)]);
    // The window for answers opens for 10 bytes; the window for requests stands where the server put it.
    let mut sent = 0;
    for _ in 0..60 {
        if sent + 1000 > hand.echo.taken.get() + 16 * 1024 {
            break;
        }
        sent += 1000;
        peer.send(&h2::frame(h2::DATA, 0, 1, &[b'x'; 1000]));
        hand.settle();
    }
    let taken = hand.echo.taken.get();
    assert!(taken <= 3000, "{taken} bytes were taken from a peer that has read 10");
    assert_eq!(answer(&mut peer).0.len(), 10);
    peer.send(&h2::frame(WINDOW_UPDATE, 0, 1, &60_000_u32.to_be_bytes()));
    hand.settle();
    assert_eq!(hand.echo.taken.get(), sent);
    assert_eq!(answer(&mut peer).0.len(), sent);
}

#[test]
fn a_peer_that_stops_is_answered_to_the_end_when_its_time_is_over_and_one_that_goes_on_is_not() {
    let limits = NetLimits::default();
    let most = limits.body_timeout - Duration::from_secs(1);
    let mut hand = Hand::plain(limits);
    let mut peer = connect_h2(&mut hand, &[]);
    for _ in 0..5 {
        peer.send(&h2::frame(h2::DATA, 0, 1, b"."));
        hand.settle();
        hand.pass(most);
        // The pings that watch over open streams.
        peer.pump();
        peer.send(&h2::pongs(&peer.received));
        hand.settle();
    }
    assert_eq!(answer(&mut peer), (".....".to_owned(), false));
    hand.pass(Duration::from_secs(2));
    let (text, _) = answer(&mut peer);
    assert_eq!(text, ".....Timeout");
    assert_eq!(hand.reactor.handle().counters().body_timeouts, 1);
}

#[test]
fn a_peer_that_goes_away_leaves_nothing_behind() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = connect_h2(&mut hand, &[]);
    peer.send(&h2::frame(h2::DATA, 0, 1, b"one"));
    hand.settle();
    assert_eq!(hand.tasks(), 2);
    peer.send(&h2::frame(h2::RST_STREAM, 0, 1, &8_u32.to_be_bytes()));
    hand.settle();
    assert_eq!(hand.tasks(), 1, "the stream is gone");
    drop(peer);
    hand.settle();
    assert_eq!(hand.tasks(), 0);
    let mut broken = RawPeer::connect(hand.address);
    broken.send(b"POST /talk HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\nzz\r\n");
    hand.until("the end of a request that is no HTTP", || broken.ended());
    drop(broken);
    hand.settle();
    assert_eq!(hand.tasks(), 0);
}

#[test]
fn a_refusal_of_a_request_without_a_body_leaves_the_connection_open() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = RawPeer::connect(hand.address);
    peer.send(b"GET /shut HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    hand.until("both answers", || peer.has("GET /next 0"));
    let text = peer.text();
    assert!(text.starts_with("HTTP/1.1 415 ") && !text.contains("connection: close"), "{text}");
}

#[test]
fn a_dialogue_that_is_refused_as_a_whole_is_answered_once() {
    for (path, status, text) in [("/talk", "400", "not like this"), ("/shut", "415", "shut")] {
        let mut hand = Hand::plain(NetLimits::default());
        let mut peer = RawPeer::connect(hand.address);
        peer.send(
            format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nno thanks").as_bytes(),
        );
        hand.until("a refusal", || peer.has(text));
        assert!(peer.text().starts_with(&format!("HTTP/1.1 {status} ")), "{}", peer.text());
        assert!(peer.text().contains("connection: close"), "{}", peer.text());
        hand.until("the end", || peer.ended());
        let mut peer = RawPeer::connect(hand.address);
        peer.send(&h2::hello(&[]));
        peer.send(&h2::frame(h2::HEADERS, h2::END_HEADERS, 1, &h2::request_block(true, path)));
        peer.send(&h2::frame(h2::DATA, 0, 1, b"no thanks"));
        peer.send(&h2::frame(h2::DATA, h2::END_STREAM, 1, b"whatever else"));
        hand.settle();
        assert_eq!(answer(&mut peer), (text.to_owned(), true));
    }
}
