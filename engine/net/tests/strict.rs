//! What a hostile or sloppy HTTP/1.1 peer may send, and the one answer it gets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::peer::RawPeer;
use common::{Hand, Identity};
use herald_net::NetLimits;

/// Sends `bytes`; the answer begins with `status` and the connection is closed after that one answer.
fn check_refused(what: &str, bytes: &[u8], status: &str) {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = RawPeer::connect(hand.address);
    let mut sent = 0;
    hand.until(what, || {
        if sent < bytes.len() && !peer.has_ended {
            sent += peer.send(&bytes[sent..]);
        }
        peer.has("HTTP/1.1 ")
    });
    hand.settle();
    hand.pass(Duration::from_secs(2));
    hand.until(what, || peer.ended());
    let text = peer.text();
    assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{what}: {text}");
    assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{what}: more than one answer: {text}");
}

#[test]
fn malformed_heads_get_400_and_the_connection_is_closed() {
    let next = "GET /second HTTP/1.1\r\nHost: a\r\n\r\n";
    let cases = [
        ("obs-fold", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n"),
        ("space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
        ("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        ("the same host twice", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        ("no host", "GET / HTTP/1.1\r\nX: a\r\n\r\n"),
        ("bad method", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("bad target", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("bad version", "GET / HTTP/1.9\r\nHost: a\r\n\r\n"),
        ("bad field name", "GET / HTTP/1.1\r\nHost: a\r\nX(: b\r\n\r\n"),
        ("NUL in a field", "GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n"),
        ("bare CR in a field", "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n"),
        ("two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        ("signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na"),
        ("length list", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\na"),
        ("unknown coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"),
        ("chunked not last", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n"),
        ("chunked in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
        ("bad chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    ];
    for (what, head) in cases {
        check_refused(what, format!("{head}{next}").as_bytes(), "400 ");
    }
}

#[test]
fn a_request_with_both_framings_is_the_last_of_its_connection() {
    // hyper takes Transfer-Encoding and closes, as RFC 9112 §6.1 demands; the smuggled request is never seen.
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for order in
        ["Content-Length: 6\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 6"]
    {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{order}\r\n\r\n{smuggled}");
        check_refused("both framings", request.as_bytes(), "");
    }
}

#[test]
fn a_head_beyond_the_limit_gets_431_or_the_end() {
    let endless = [b"GET / HTTP/1.1\r\nHost: a\r\nX: ".as_slice(), &[b'a'; 1024 * 1024]].concat();
    check_refused("endless header", &endless, "431 ");
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(200));
    check_refused("too many headers", many.as_bytes(), "431 ");
    let long_target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(40_000));
    check_refused("endless target", long_target.as_bytes(), "4");
}

#[test]
fn a_body_at_the_limit_is_answered_and_one_byte_more_is_413() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = RawPeer::connect(hand.address);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8192\r\n\r\n";
    peer.send(&[head.as_bytes(), &[b'b'; 8192]].concat());
    hand.until("the answer", || peer.has("POST / 8192"));
    // Declared too large: refused before the body is read.
    check_refused("a byte more", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8193\r\n\r\nb", "413 ");
    check_refused("1 GiB", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\n\r\nb", "413 ");
    check_refused(
        "more than 64 bits",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nb",
        "4",
    );
}

#[test]
fn a_chunked_body_is_refused_at_the_first_byte_beyond_the_limit() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("1000\r\n{}\r\n", "c".repeat(0x1000));
    let mut hand = Hand::plain(NetLimits::default());
    let mut peer = RawPeer::connect(hand.address);
    peer.send(format!("{head}{chunk}{chunk}0\r\n\r\n").as_bytes());
    hand.until("the answer", || peer.has("POST / 8192"));
    check_refused("chunks beyond the limit", format!("{head}{}", chunk.repeat(100)).as_bytes(), "413 ");
    check_refused("one byte beyond", format!("{head}{chunk}{chunk}1\r\nx\r\n").as_bytes(), "413 ");
}

#[test]
fn pipelined_requests_are_answered_in_order_and_a_hog_takes_turns() {
    let mut limits = NetLimits::default();
    limits.polls_per_turn = 4;
    let mut hand = Hand::plain(limits);
    let mut hog = RawPeer::connect(hand.address);
    let mut other = RawPeer::connect(hand.address);
    let mut bytes = Vec::new();
    for number in 0..150 {
        bytes.extend_from_slice(format!("GET /{number:03} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    }
    assert_eq!(hog.send(&bytes), bytes.len());
    other.send(b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n");
    hand.until("the other's answer", || other.has("GET /other 0"));
    assert!(hand.echo.answered.get() < 150, "the hog was served to its end before the other");
    hand.until("all answers", || hog.has("GET /149 0"));
    let text = hog.text();
    let places: Vec<_> = (0..150).map(|number| text.find(&format!("GET /{number:03} 0")).unwrap()).collect();
    assert!(places.is_sorted(), "answers out of order");
}

/// Writes by this thread so far, as its kernel counts them: `write` and `writev`, which is how TLS is sent.
fn writes_of_this_thread() -> u64 {
    let account = std::fs::read_to_string("/proc/thread-self/io").unwrap();
    account.lines().find_map(|line| line.strip_prefix("syscw: ")).unwrap().parse().unwrap()
}

#[test]
fn pipelined_requests_under_tls_are_answered_in_order_with_one_write_faults_included() {
    let identity = Identity::new();
    let mut hand = Hand::tls(NetLimits::default(), &identity);
    let mut peer = RawPeer::connect(hand.address).with_tls(&identity.chain, b"http/1.1");
    hand.until("the handshake", || {
        peer.pump();
        !peer.is_handshaking()
    });
    hand.settle();
    // The last is a fault, which ends the connection.
    let request = |number: usize| match number {
        15 => "GET /15 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(),
        _ => format!("POST /{number:02} HTTP/1.1\r\nHost: a\r\nContent-Length: 640\r\n\r\n{:640}", "x"),
    };
    // One by one, as a control: the reactor wakes and writes for each.
    let mut answer = |requests: String, last: &str| {
        peer.received.clear();
        assert_eq!(peer.send(requests.as_bytes()), requests.len());
        let before = writes_of_this_thread();
        hand.settle();
        let writes = writes_of_this_thread() - before;
        assert!(peer.has(last), "{}", peer.text());
        (writes, peer.text())
    };
    let singly: u64 =
        (0..15).map(|number| answer(request(number), &format!("POST /{number:02} 640")).0).sum();
    let alone = singly / 15;
    let (together, text) = answer((0..16).map(request).collect(), "connection: close");
    let places: Vec<_> =
        (0..15).map(|number| text.find(&format!("POST /{number:02} 640")).unwrap()).collect();
    assert!(places.is_sorted() && text.find("400 Bad Request").unwrap() > places[14], "{text}");
    // The answers, the farewell of TLS, and what the reactor writes to wake itself.
    assert!(singly >= 15 && together <= alone + 4, "{together} writes; {singly} for 15 requests one by one");
}

#[test]
fn a_peer_that_writes_one_byte_at_a_time_gets_its_answer() {
    let identity = Identity::new();
    let request = b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let mut plain = Hand::plain(NetLimits::default());
    let mut peer = RawPeer::connect(plain.address);
    for byte in request {
        peer.send(&[*byte]);
        plain.turn();
    }
    plain.until("the answer", || peer.has("POST /slow 3"));

    let mut tls = Hand::tls(NetLimits::default(), &identity);
    let mut peer = RawPeer::connect(tls.address).with_tls(&identity.chain, b"http/1.1");
    tls.until("the handshake", || {
        peer.pump();
        !peer.is_handshaking()
    });
    for byte in request {
        peer.send(&[*byte]);
        tls.turn();
    }
    tls.until("the answer", || peer.has("POST /slow 3"));
}

#[test]
fn what_is_not_tls_is_refused_cleanly() {
    let identity = Identity::new();
    let mut hand = Hand::tls(NetLimits::default(), &identity);
    // A hello of TLS 1.1 (3,2) without supported_versions, with one old suite.
    let mut old = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    old.extend_from_slice(&[7; 32]);
    old.extend_from_slice(&[0, 0, 2, 0, 0x2f, 1, 0]);
    let cases: [&[u8]; 4] =
        [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[0xff; 300], &[0x16, 3, 1, 0xff, 0xff], &old];
    for (index, bytes) in cases.into_iter().enumerate() {
        let mut peer = RawPeer::connect(hand.address);
        peer.send(bytes);
        hand.until("the close", || peer.ended());
        // An alert record, and nothing else.
        assert!(peer.received.is_empty() || peer.received[0] == 0x15, "case {index}: {:?}", peer.received);
    }
    assert_eq!(hand.reactor.handle().counters().handshakes_failed, 4);
    let mut good = RawPeer::connect(hand.address).with_tls(&identity.chain, b"http/1.1");
    good.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    hand.until("a good peer's answer", || good.has("GET / 0"));
}

#[test]
fn a_panic_in_the_service_costs_one_connection() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut unlucky = RawPeer::connect(hand.address);
    unlucky.send(b"GET /panic HTTP/1.1\r\nHost: a\r\n\r\n");
    hand.until("the close", || unlucky.ended());
    assert_eq!(unlucky.text(), "");
    let mut other = RawPeer::connect(hand.address);
    other.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    hand.until("another peer's answer", || other.has("GET / 0"));
    assert_eq!(hand.reactor.handle().counters().panics, 1);
}

#[test]
fn accepting_pauses_at_the_connection_limit_and_goes_on_below_it() {
    let mut limits = NetLimits::default();
    limits.connections_max = 3;
    let mut hand = Hand::plain(limits);
    let mut peers: Vec<_> = (0..4).map(|_| RawPeer::connect(hand.address)).collect();
    for peer in &mut peers {
        peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    hand.settle();
    let served = |peers: &mut Vec<RawPeer>| {
        peers.iter_mut().filter_map(|peer| peer.has("GET / 0").then_some(())).count()
    };
    assert_eq!((served(&mut peers), hand.turn().connections), (3, 3));
    let first_served = peers.iter_mut().position(|peer| peer.has("GET / 0")).unwrap();
    drop(peers.remove(first_served));
    hand.until("the fourth", || served(&mut peers) == 3);
}

#[test]
fn many_peers_that_write_one_byte_at_a_time_are_all_answered() {
    let mut hand = Hand::plain(NetLimits::default());
    let mut peers: Vec<_> = (0..300).map(|_| RawPeer::connect(hand.address)).collect();
    for byte in b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" {
        for peer in &mut peers {
            peer.send(&[*byte]);
        }
        hand.turn();
    }
    hand.until("every answer", || peers.iter_mut().all(|peer| peer.has("GET /slow 0")));
}
