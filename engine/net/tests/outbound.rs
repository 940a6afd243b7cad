//! Exchanges without waiting: many at once over few connections, to checked addresses only, each within its deadline.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::{Identity, Later, get, loopback, ok_text, post, serve, tcp};
use herald_net::{
    AddressRule, Answered, Bytes, ClientError, Dialer, Exchange, ExchangeId, ListenSpec, ManualClock,
    Outbound, Protocol, Request, Resolver, ResolverReply, Route, Server, Surroundings, SystemDialer, TlsSlot,
};

const SOON: Duration = Duration::from_secs(20);

/// Answers from a table, each time the next address list of the host.
#[derive(Default)]
struct Table {
    hosts: Mutex<HashMap<&'static str, Vec<Vec<IpAddr>>>>,
    asked: AtomicUsize,
}

impl Table {
    fn with(entries: &[(&'static str, &[&[&str]])]) -> Arc<Self> {
        let parse = |list: &&[&str]| list.iter().map(|address| address.parse().unwrap()).collect();
        let hosts = entries.iter().map(|(host, answers)| (*host, answers.iter().map(parse).collect()));
        Arc::new(Self { hosts: Mutex::new(hosts.collect()), asked: AtomicUsize::new(0) })
    }
}

impl Resolver for Table {
    fn resolve(&self, host: &str, reply: ResolverReply) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut hosts = self.hosts.lock().unwrap();
        match hosts.get_mut(host) {
            Some(answers) if answers.len() > 1 => reply.send(Ok(answers.remove(0))),
            Some(answers) => reply.send(Ok(answers[0].clone())),
            None => reply.send(Err(io::Error::other("no such host"))),
        }
    }
}

/// Leads every connection to one address, and writes down where it was meant to go.
struct Diverted {
    to: SocketAddr,
    meant: Mutex<Vec<SocketAddr>>,
}

impl Diverted {
    fn to(to: SocketAddr) -> Arc<Self> {
        Arc::new(Self { to, meant: Mutex::default() })
    }

    fn meant(&self) -> Vec<String> {
        self.meant.lock().unwrap().iter().map(SocketAddr::to_string).collect()
    }
}

impl Dialer for Diverted {
    fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        self.meant.lock().unwrap().push(address);
        SystemDialer.dial(self.to)
    }
}

fn exchange(route: &Arc<Route>, request: Request<Bytes>) -> Exchange {
    Exchange { route: route.clone(), request, answer_bytes_max: 64 * 1024, allowed: SOON }
}

/// Turns until all exchanges have ended.
fn finish(outbound: &mut Outbound) -> HashMap<ExchangeId, Answered> {
    let start = Instant::now();
    let mut ended = HashMap::new();
    while !outbound.is_empty() {
        assert!(start.elapsed() < SOON, "exchanges do not end");
        outbound.turn(Some(Duration::from_millis(50)), || false).unwrap();
        while let Some((id, answered)) = outbound.take_done() {
            assert!(ended.insert(id, answered).is_none(), "an exchange ends twice");
        }
    }
    ended
}

fn one(outbound: &mut Outbound, exchange: Exchange) -> Answered {
    let id = outbound.begin(exchange).unwrap();
    finish(outbound).remove(&id).unwrap()
}

fn accepted(server: &Server) -> u64 {
    server.counters().iter().map(|counters| counters.accepted).sum()
}

/// 300 exchanges at once end with their own answers, over at most `connections_max` connections.
fn check_many(server: &Server, route: Route, base: &str, connections_max: u64) {
    let before = accepted(server);
    let route = Arc::new(route);
    let mut outbound = Outbound::new(Surroundings::default()).unwrap();
    let mut expected = HashMap::new();
    for size in 0..300 {
        let id = outbound.begin(exchange(&route, post(&format!("{base}/n{size}"), size))).unwrap();
        expected.insert(id, format!("POST /n{size} {size}"));
    }
    for (id, answered) in finish(&mut outbound) {
        assert_eq!(ok_text(&answered.unwrap()), expected[&id]);
    }
    let again = one(&mut outbound, exchange(&route, get(&format!("{base}/again")))).unwrap();
    assert_eq!(ok_text(&again), "GET /again 0");
    let connections = accepted(server) - before;
    assert!((1..=connections_max).contains(&connections), "{connections} connections");
}

#[test]
fn many_exchanges_at_once_share_few_connections() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("herald.sock");
    let identity = Identity::new();
    let listen = vec![
        ListenSpec::Tls { address: loopback(), tls: TlsSlot::new(identity.server()) },
        ListenSpec::Unix { path: path.clone(), mode: 0o600 },
        ListenSpec::Plain { address: loopback() },
    ];
    let server = serve(listen, 1, Later::default());
    let https = Route::https(identity.chain.as_bytes()).unwrap();
    let (over_tls, over_tcp) = (tcp(&server, 0), tcp(&server, 2));
    check_many(&server, https.clone(), &format!("https://{over_tls}"), 1);
    check_many(
        &server,
        https.protocol(Protocol::Http1),
        &format!("https://localhost:{}", over_tls.port()),
        16,
    );
    check_many(&server, Route::unix(&path), "http://localhost", 16);
    check_many(&server, Route::unix(&path).protocol(Protocol::Http2), "http://localhost", 1);
    check_many(&server, Route::plain(), &format!("http://{over_tcp}"), 16);
    server.shutdown(SOON).unwrap();
}

#[test]
fn a_host_is_looked_up_once_and_the_connection_goes_to_the_address_that_was_checked() {
    let identity = Identity::new();
    let listen = vec![ListenSpec::Tls { address: loopback(), tls: TlsSlot::new(identity.server()) }];
    let server = serve(listen, 1, Later::default());
    // The second answer is the attack: a lookup of its own by whatever connects would get it.
    let resolver = Table::with(&[("localhost", &[&["93.184.216.34"], &["127.0.0.1"]])]);
    let dialer = Diverted::to(tcp(&server, 0));
    let surroundings =
        Surroundings { resolver: resolver.clone(), dialer: dialer.clone(), ..Surroundings::default() };
    let mut outbound = Outbound::new(surroundings).unwrap();
    let route = Route::https(identity.chain.as_bytes()).unwrap().addresses(AddressRule::PUBLIC);
    // HTTP/1.1 and `close`: the next exchange needs a connection of its own.
    let route = Arc::new(route.protocol(Protocol::Http1));
    let mut request = get("https://localhost:8443/first");
    request.headers_mut().insert("connection", "close".parse().unwrap());
    let answered = one(&mut outbound, exchange(&route, request)).unwrap();
    assert_eq!(ok_text(&answered), "GET /first 0");
    assert_eq!(
        (resolver.asked.load(Ordering::SeqCst), dialer.meant()),
        (1, vec!["93.184.216.34:8443".to_owned()])
    );
    let refused = one(&mut outbound, exchange(&route, get("https://localhost:8443/second"))).unwrap_err();
    assert!(refused.to_string().contains("localhost has the address 127.0.0.1: loopback"), "{refused}");
    assert_eq!((resolver.asked.load(Ordering::SeqCst), dialer.meant().len()), (2, 1));
}

#[test]
fn an_address_outside_the_rule_is_never_connected_to() {
    let dialer = Diverted::to(loopback());
    let resolver = Table::with(&[
        ("inside.example", &[&["10.0.0.1", "::1", "169.254.169.254"]]),
        ("nowhere.example", &[&[]]),
    ]);
    let surroundings = Surroundings { resolver, dialer: dialer.clone(), ..Surroundings::default() };
    let mut outbound = Outbound::new(surroundings).unwrap();
    let route = Route::https(Identity::new().chain.as_bytes()).unwrap().addresses(AddressRule::PUBLIC);
    let route = Arc::new(route);
    let cases = [
        ("https://127.0.0.1/", "loopback"),
        ("https://[::1]/", "loopback"),
        ("https://[::ffff:127.0.0.1]/", "IPv4 in IPv6"),
        ("https://[::ffff:7f00:1]/", "IPv4 in IPv6"),
        ("https://[64:ff9b::7f00:1]/", "NAT64"),
        ("https://169.254.169.254/latest/meta-data/", "metadata"),
        ("https://inside.example/", "metadata"),
        ("https://nowhere.example/", "no address"),
        ("https://unknown.example/", "no such host"),
        ("https://2130706433/", "neither a name nor an address"),
        ("https://0x7f000001/", "neither a name nor an address"),
        ("https://0177.0.0.1/", "neither a name nor an address"),
        ("https://127.1/", "neither a name nor an address"),
        ("http://example.com/", "does not begin with https://"),
        ("/relative", "does not begin with https://"),
    ];
    for (uri, word) in cases {
        let error = one(&mut outbound, exchange(&route, get(uri))).unwrap_err().to_string();
        assert!(error.contains(word), "{uri}: {error}");
        assert_eq!(dialer.meant().len(), 0, "{uri} was connected to");
    }
}

/// A peer that takes one connection and writes `bytes` over and over, `pieces` times, then holds the connection.
fn stubborn(bytes: &'static [u8], pieces: usize) -> SocketAddr {
    let listener = TcpListener::bind(loopback()).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 1024];
        let _ = stream.read(&mut asked);
        for _ in 0..pieces {
            if stream.write_all(bytes).is_err() {
                return;
            }
        }
        // Until the client gives up.
        while stream.read(&mut asked).is_ok_and(|count| count > 0) {}
    });
    address
}

#[test]
fn an_answer_without_end_ends_at_its_bound() {
    let cases: [(&[u8], &str); 3] = [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n", "larger than 65536 bytes"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n400\r\n", "the exchange failed"),
        (b"HTTP/1.1 200 OK\r\nx: y\r\n", "the exchange failed"),
    ];
    let mut outbound = Outbound::new(Surroundings::default()).unwrap();
    let route = Arc::new(Route::plain());
    for (bytes, word) in cases {
        let address = stubborn(bytes, 100_000);
        let error = one(&mut outbound, exchange(&route, get(&format!("http://{address}/")))).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn answers_that_arrive_together_share_a_bounded_memory() {
    // Each peer sends five of six million bytes, and then nothing.
    let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 6000000\r\n\r\n".to_vec();
    bytes.resize(bytes.len() + 5_000_000, b'x');
    let bytes: &'static [u8] = bytes.leak();
    let mut outbound = Outbound::new(Surroundings::default()).unwrap();
    let route = Arc::new(Route::plain());
    let ask = |outbound: &mut Outbound| {
        let request = get(&format!("http://{}/", stubborn(bytes, 1)));
        let long = Exchange { answer_bytes_max: 8_000_000, ..exchange(&route, request) };
        outbound.begin(long).unwrap()
    };
    let mut under_way: Vec<_> = (0..12).map(|_| ask(&mut outbound)).collect();
    for _ in 0..100 {
        outbound.turn(Some(Duration::from_millis(5)), || false).unwrap();
    }
    assert!(outbound.take_done().is_none(), "60 million bytes are not too many");
    under_way.extend((0..3).map(|_| ask(&mut outbound)));
    let start = Instant::now();
    let refused = loop {
        assert!(start.elapsed() < SOON, "75 million bytes are taken");
        outbound.turn(Some(Duration::from_millis(5)), || false).unwrap();
        if let Some((_, answered)) = outbound.take_done() {
            break answered.unwrap_err();
        }
    };
    assert!(matches!(refused, ClientError::Busy { .. }), "{refused}");
    under_way.into_iter().for_each(|id| outbound.cancel(id));
    finish(&mut outbound);
    // What was given up is given back.
    let again = ask(&mut outbound);
    for _ in 0..20 {
        outbound.turn(Some(Duration::from_millis(5)), || false).unwrap();
    }
    assert!(outbound.take_done().is_none());
    outbound.cancel(again);
}

#[test]
fn what_strangers_hosts_answer_leaves_half_of_the_memory_to_the_others() {
    let answer = |declared: usize, sent: usize| {
        let mut bytes = format!("HTTP/1.1 200 OK\r\ncontent-length: {declared}\r\n\r\n").into_bytes();
        bytes.resize(bytes.len() + sent, b'x');
        &*bytes.leak()
    };
    let (stranger, named) = (Arc::new(Route::plain().for_strangers()), Arc::new(Route::plain()));
    let mut outbound = Outbound::new(Surroundings::default()).unwrap();
    let ask = |outbound: &mut Outbound, route: &Arc<Route>, bytes: &'static [u8]| {
        let request = get(&format!("http://{}/", stubborn(bytes, 1)));
        let long = Exchange { answer_bytes_max: 8_000_000, ..exchange(route, request) };
        outbound.begin(long).unwrap()
    };
    let is_busy = |answered: &Answered| matches!(answered, Err(ClientError::Busy { .. }));
    let too_much = ask(&mut outbound, &stranger, answer(6_000_000, 5_000_000));
    assert!(is_busy(&finish(&mut outbound)[&too_much]), "one stranger takes 5 million bytes");

    // Each sends nearly four million bytes, and then nothing.
    let bytes = answer(6_000_000, 3_900_000);
    let held: Vec<_> = (0..8).map(|_| ask(&mut outbound, &stranger, bytes)).collect();
    for _ in 0..100 {
        outbound.turn(Some(Duration::from_millis(5)), || false).unwrap();
    }
    assert!(outbound.take_done().is_none(), "31 million bytes are not too many");
    let mut last = Vec::from([ask(&mut outbound, &stranger, bytes), ask(&mut outbound, &stranger, bytes)]);
    let whole = ask(&mut outbound, &named, answer(5_000_000, 5_000_000));
    last.push(whole);
    let (start, mut ended) = (Instant::now(), HashMap::new());
    while ended.len() < 2 || !ended.contains_key(&whole) {
        assert!(start.elapsed() < SOON, "{} ended", ended.len());
        outbound.turn(Some(Duration::from_millis(5)), || false).unwrap();
        ended.extend(outbound.take_done());
    }
    assert_eq!(ended.remove(&whole).unwrap().unwrap().body().len(), 5_000_000);
    assert!(ended.values().all(is_busy), "39 million bytes of strangers are taken");
    held.into_iter().chain(last).for_each(|id| outbound.cancel(id));
    finish(&mut outbound);
}

#[test]
fn a_deadline_ends_an_exchange_wherever_it_is_and_a_cancel_at_once() {
    let clock = Arc::new(ManualClock::new());
    let surroundings = Surroundings { clock: clock.clone(), ..Surroundings::default() };
    let mut outbound = Outbound::new(surroundings).unwrap();
    let https = Arc::new(Route::https(Identity::new().chain.as_bytes()).unwrap());
    let plain = Arc::new(Route::plain());
    let silent = stubborn(b"", 0);
    let cases = [
        (https, format!("https://{}/", stubborn(b"", 0)), "negotiating TLS"),
        (plain.clone(), format!("http://{silent}/"), "waiting for the answer"),
        (
            plain.clone(),
            format!("http://{}/", stubborn(b"HTTP/1.1 200 OK\r\nx", 1)),
            "waiting for the answer",
        ),
    ];
    for (route, uri, attempt) in cases {
        let id = outbound.begin(exchange(&route, get(&uri))).unwrap();
        for _ in 0..20 {
            outbound.turn(Some(Duration::from_millis(10)), || false).unwrap();
        }
        assert!(outbound.take_done().is_none(), "{uri} ended before its deadline");
        clock.advance(SOON);
        outbound.turn(Some(Duration::ZERO), || false).unwrap();
        let (ended, answered) = outbound.take_done().unwrap();
        assert_eq!(ended, id);
        assert_eq!(answered.unwrap_err().to_string(), format!("no answer within 20000 ms, while {attempt}"));
    }
    let id = outbound.begin(exchange(&plain, get(&format!("http://{}/", stubborn(b"", 0))))).unwrap();
    outbound.turn(Some(Duration::from_millis(10)), || false).unwrap();
    outbound.cancel(id);
    assert!(matches!(finish(&mut outbound).remove(&id), Some(Err(ClientError::Abandoned))));
}

#[test]
fn connections_that_died_while_they_were_kept_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("herald.sock");
    let listen = || vec![ListenSpec::Unix { path: path.clone(), mode: 0o600 }];
    let mut outbound = Outbound::new(Surroundings::default()).unwrap();
    let route = Arc::new(Route::unix(&path));
    for _ in 0..3 {
        let server = serve(listen(), 1, Later::default());
        let answered = one(&mut outbound, exchange(&route, post("http://localhost/x", 3))).unwrap();
        assert_eq!(ok_text(&answered), "POST /x 3");
        server.shutdown(SOON).unwrap();
    }
    let gone = one(&mut outbound, exchange(&route, get("http://localhost/x"))).unwrap_err();
    assert!(gone.to_string().contains("cannot connect"), "{gone}");
}

#[test]
fn a_shared_connection_whose_peer_went_silent_is_given_up_before_its_exchanges_are_due() {
    let mut silence = Silence::begin();
    let route = Arc::new(Route::plain().protocol(Protocol::Http2));
    for round in 1..=2 {
        silence.ask(&route);
        let (answered, passed) = silence.outcome();
        assert!(matches!(answered, Err(ClientError::Protocol { .. })), "{answered:?}");
        assert!(passed <= Duration::from_secs(5), "the silent connection is kept: {passed:?}");
        assert_eq!(silence.accepted(), round, "the next exchange makes a connection of its own");
    }
}

#[test]
fn where_the_route_is_patient_silence_costs_each_exchange_its_deadline_and_the_next_connects_anew() {
    let mut silence = Silence::begin();
    let route = Arc::new(Route::plain().protocol(Protocol::Http2).ping_timeout(2 * SOON));
    for round in 1..=2 {
        silence.ask(&route);
        silence.pass(SOON / 2);
        // This one shares the connection, and has its full time on it when the first has run out of its own.
        silence.ask(&route);
        let (first, _) = silence.outcome();
        let (second, passed) = silence.outcome();
        for answered in [first, second] {
            assert!(matches!(answered, Err(ClientError::Timeout { .. })), "{answered:?}");
        }
        assert!(passed >= SOON / 2 - SILENCE_STEP, "the second is not broken off: {passed:?}");
        assert_eq!(silence.accepted(), round);
    }
}

const SILENCE_STEP: Duration = Duration::from_millis(500);

/// Exchanges with a peer that takes HTTP/2, then never says anything more: not even to a ping.
struct Silence {
    outbound: Outbound,
    clock: Arc<ManualClock>,
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Silence {
    fn begin() -> Self {
        let listener = TcpListener::bind(loopback()).unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counting = accepted.clone();
        thread::spawn(move || {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept() {
                counting.fetch_add(1, Ordering::SeqCst);
                stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
                held.push(stream);
            }
        });
        let clock = Arc::new(ManualClock::new());
        let surroundings = Surroundings { clock: clock.clone(), ..Surroundings::default() };
        Self { outbound: Outbound::new(surroundings).unwrap(), clock, address, accepted }
    }

    /// Begins an exchange that has [`SOON`] to end.
    fn ask(&mut self, route: &Arc<Route>) {
        let request = get(&format!("http://{}/", self.address));
        self.outbound.begin(exchange(route, request)).unwrap();
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    fn turn(&mut self) {
        for _ in 0..10 {
            self.outbound.turn(Some(Duration::from_millis(2)), || false).unwrap();
        }
    }

    fn pass(&mut self, time: Duration) {
        self.turn();
        self.clock.advance(time);
        self.turn();
    }

    /// How the next exchange ends, and the time that this took.
    fn outcome(&mut self) -> (Answered, Duration) {
        let mut passed = Duration::ZERO;
        loop {
            self.turn();
            if let Some((_, answered)) = self.outbound.take_done() {
                return (answered, passed);
            }
            assert!(passed < 2 * SOON, "an exchange ends with its time");
            self.clock.advance(SILENCE_STEP);
            passed += SILENCE_STEP;
        }
    }
}

#[test]
fn a_wake_from_another_thread_ends_the_wait() {
    let mut outbound = Outbound::new(Surroundings::default()).unwrap();
    let waker = outbound.waker();
    let woken = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        waker.wake();
    });
    let start = Instant::now();
    outbound.turn(Some(SOON), || false).unwrap();
    assert!(start.elapsed() < SOON);
    woken.join().unwrap();
    // Work that came before the wait leaves nothing to wait for.
    outbound.turn(Some(SOON), || true).unwrap();
    assert!(start.elapsed() < SOON);
}
