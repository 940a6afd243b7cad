//! HTTP/2 peers that misbehave, in frames written by hand.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::peer::RawPeer;
use common::{Hand, h2};
use herald_net::NetLimits;

fn connect(hand: &mut Hand) -> RawPeer {
    let mut peer = RawPeer::connect(hand.address);
    peer.send(&h2::hello(&[]));
    hand.until("the server's settings", || {
        peer.pump();
        h2::frames(&peer.received).iter().any(|frame| frame.kind == h2::SETTINGS)
    });
    peer
}

fn check_others(hand: &mut Hand) {
    let mut other = connect(hand);
    other.send(&h2::get(1, "/"));
    hand.until("another peer's answer", || other.has("GET / 0"));
}

/// Sends `bytes` as fast as they are taken, until all are or the connection ends.
fn flood(hand: &mut Hand, peer: &mut RawPeer, bytes: &[u8]) {
    let mut sent = 0;
    hand.until("the flood", || {
        peer.pump();
        if sent < bytes.len() && !peer.has_ended {
            sent += peer.send(&bytes[sent..]);
        }
        sent == bytes.len() || peer.has_ended
    });
}

#[test]
fn rapid_reset_ends_its_own_connection_only() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = connect(&mut hand);
    let mut bytes = Vec::new();
    for stream in (1..10_001).step_by(2) {
        bytes.extend_from_slice(&h2::get(stream, "/later"));
        bytes.extend_from_slice(&h2::frame(h2::RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    flood(&mut hand, &mut peer, &bytes);
    hand.until("GOAWAY", || {
        peer.pump();
        h2::goaway(&peer.received) == Some(h2::ENHANCE_YOUR_CALM) || peer.has_ended
    });
    let answered = hand.echo.answered.get();
    assert!(answered <= 64, "{answered} of 5,000 reset requests reached the service");
    assert_eq!(h2::goaway(&peer.received), Some(h2::ENHANCE_YOUR_CALM));
    check_others(&mut hand);
}

#[test]
fn streams_beyond_the_limit_are_refused() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = connect(&mut hand);
    for stream in (1..160).step_by(2) {
        peer.send(&h2::get(stream, "/later"));
    }
    hand.settle();
    assert_eq!(hand.echo.answered.get(), 64);
    peer.pump();
    let refused = h2::frames(&peer.received).into_iter().filter(|frame| frame.kind == h2::RST_STREAM).count();
    assert_eq!(refused, 16);
    hand.echo.later.complete();
    check_others(&mut hand);
}

#[test]
fn an_endless_header_block_ends_the_connection() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = connect(&mut hand);
    // A field of 16,000 bytes in each CONTINUATION, never the end (CVE-2024-27316).
    let mut field = vec![0x00, 1, b'x', 0x7f, 0x81, 0x7c];
    field.extend_from_slice(&[b'a'; 16_000]);
    let mut bytes = h2::frame(h2::HEADERS, h2::END_STREAM, 1, &h2::request_block(false, "/"));
    for _ in 0..200 {
        bytes.extend_from_slice(&h2::frame(h2::CONTINUATION, 0, 1, &field));
    }
    flood(&mut hand, &mut peer, &bytes);
    hand.until("the end", || peer.ended() || h2::goaway(&peer.received).is_some());
    assert_eq!(hand.echo.answered.get(), 0);
    check_others(&mut hand);
}

#[test]
fn a_header_list_beyond_the_limit_is_refused_with_431() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = connect(&mut hand);
    let mut block = h2::request_block(false, "/");
    for _ in 0..60 {
        block.extend_from_slice(&[0x00, 1, b'x', 0x7f, 0x81, 0x01]);
        block.extend_from_slice(&[b'a'; 256]);
    }
    let (first, second) = block.split_at(12_000);
    peer.send(&h2::frame(h2::HEADERS, h2::END_STREAM, 1, first));
    peer.send(&h2::frame(h2::CONTINUATION, h2::END_HEADERS, 1, second));
    hand.settle();
    peer.pump();
    assert_eq!(hand.echo.answered.get(), 0);
    let frames = h2::frames(&peer.received);
    assert!(frames.iter().any(|frame| matches!(frame.kind, h2::HEADERS | h2::RST_STREAM | h2::GOAWAY)));
    check_others(&mut hand);
}

#[test]
fn a_frame_beyond_the_limit_and_garbage_end_the_connection() {
    for garbage in [h2::frame(h2::DATA, 0, 1, &[0; 20_000]), vec![0xff; 500]] {
        let mut hand = Hand::plain(NetLimits::default());
        let mut peer = connect(&mut hand);
        peer.send(&garbage);
        hand.until("GOAWAY", || {
            peer.pump();
            h2::goaway(&peer.received).is_some()
        });
        check_others(&mut hand);
    }
}

#[test]
fn floods_of_pings_and_settings_leave_others_served() {
    let mut hand = Hand::plain(NetLimits::default());
    for flooding in [h2::frame(h2::PING, 0, 0, &[0; 8]), h2::frame(h2::SETTINGS, 0, 0, &[])] {
        let mut peer = connect(&mut hand);
        flood(&mut hand, &mut peer, &flooding.repeat(20_000));
        check_others(&mut hand);
    }
}

#[test]
fn a_body_beyond_the_limit_is_413_on_its_stream_alone() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = connect(&mut hand);
    peer.send(&h2::frame(h2::HEADERS, h2::END_HEADERS, 1, &h2::request_block(true, "/")));
    peer.send(&h2::frame(h2::DATA, 0, 1, &[b'b'; 8192]));
    hand.settle();
    peer.send(&h2::frame(h2::DATA, h2::END_STREAM, 1, b"b"));
    hand.until("the refusal", || peer.has("BodyTooLarge"));
    peer.send(&h2::get(3, "/after"));
    hand.until("the next answer", || peer.has("GET /after 0"));
}

#[test]
fn requests_under_way_end_with_their_connection() {
    let mut hand = Hand::plain(NetLimits::default());
    let before = hand.echo.later.holders();
    let mut peer = connect(&mut hand);
    for stream in (1..100).step_by(2) {
        peer.send(&h2::get(stream, "/later"));
    }
    hand.settle();
    assert_eq!(hand.echo.later.holders(), before + 50);
    peer.send(&h2::frame(h2::RST_STREAM, 0, 1, &8_u32.to_be_bytes()));
    hand.settle();
    assert_eq!(hand.echo.later.holders(), before + 49, "a reset request is still under way");
    drop(peer);
    hand.settle();
    assert_eq!(hand.echo.later.holders(), before, "requests outlive their connection");
}

#[test]
fn requests_that_wait_for_room_end_with_their_connection() {
    const INITIAL_WINDOW_SIZE: u16 = 4;
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = RawPeer::connect(hand.address);
    peer.send(&h2::hello(&[(INITIAL_WINDOW_SIZE, 0)]));
    for stream in (1..40).step_by(2) {
        peer.send(&h2::get(stream, "/big/60000"));
    }
    hand.settle();
    let waiting = hand.tasks();
    assert!(waiting > 15, "{waiting} tasks");
    drop(peer);
    hand.settle();
    assert_eq!(hand.tasks(), 0);
}

#[test]
fn a_request_that_names_no_authority_is_refused() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = connect(&mut hand);
    // :method GET, :scheme http, :path / (RFC 9113 section 8.3.1 asks for :authority or Host as well).
    peer.send(&h2::frame(h2::HEADERS, h2::END_STREAM | h2::END_HEADERS, 1, &[0x82, 0x86, 0x84]));
    hand.until("an answer", || {
        peer.pump();
        h2::frames(&peer.received).iter().any(|frame| frame.kind == h2::HEADERS)
    });
    assert_eq!(hand.echo.answered.get(), 0, "it reached the service");
    check_others(&mut hand);
}
