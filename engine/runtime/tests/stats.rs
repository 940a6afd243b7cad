//! What an engine counts: each store and retrieval once, and each refusal under its reason, in process and over HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use herald_runtime::core::TelephoneNumber;
use herald_runtime::{Config, Engine, Environment, Stats, net};

const BODY: [u8; 640] = [7; 640];

fn number(signs: &str) -> TelephoneNumber {
    signs.parse().expect("a number")
}

fn open(properties: &[(&str, &str)]) -> Engine {
    let mut config = Config::default();
    for (name, value) in [("memory", "16MiB"), ("durability", "memory"), ("reactors", "1")] {
        config.set(name, value).expect("a property");
    }
    for (name, value) in properties {
        config.set(name, value).expect("a property");
    }
    Engine::open(config, Environment::system(|_, _| {})).expect("an engine")
}

fn not_stored(stats: &Stats, reason: &str) -> f64 {
    stats.value("herald_not_stored_total", &[("reason", reason)]).expect("a reason")
}

fn not_found(stats: &Stats, reason: &str) -> f64 {
    stats.value("herald_not_found_total", &[("reason", reason)]).expect("a reason")
}

fn total(stats: &Stats, name: &str) -> f64 {
    stats
        .families()
        .iter()
        .filter(|family| family.name == name)
        .flat_map(|family| &family.samples)
        .map(|sample| sample.value)
        .sum()
}

/// What the engine answers to one request over its Unix socket.
fn ask(socket: &Path, head: &str, body: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    let head = format!("{head}\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat()).expect("it takes a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn stores_and_retrievals_in_process_are_counted_once_and_refusals_under_their_reason() {
    let engine = open(&[]);
    assert_eq!(engine.stats().value("herald_up", &[]), Some(0.0));
    assert!(engine.store(number("12225550100"), &BODY).is_err());
    engine.start().expect("a start");
    for _ in 0..3 {
        engine.store(number("12225550100"), &BODY).expect("stored");
    }
    assert!(engine.store(number("12225550100"), &BODY[..639]).is_err());
    let (two, short) = ((number("12225550101"), &BODY[..]), (number("12225550101"), &BODY[..1]));
    assert!(engine.store_batch(&[two, short, two]).expect("a batch")[1].is_err());
    // 256 at most may wait under a number.
    let refused = (0..300).filter(|_| engine.store(number("12225550102"), &BODY).is_err()).count();
    engine.retrieve(number("12225550100")).expect("items");
    let stats = engine.stats();
    assert_eq!(stats.value("herald_up", &[]), Some(1.0));
    assert_eq!(total(&stats, "herald_stored_total"), (3 + 2 + 300 - refused) as f64);
    assert_eq!((not_stored(&stats, "body_size"), not_stored(&stats, "stopped")), (2.0, 1.0));
    assert!(refused > 0);
    assert_eq!(not_stored(&stats, "number_full"), refused as f64);
    assert_eq!(total(&stats, "herald_not_stored_total"), 3.0 + refused as f64);
    assert_eq!(stats.value("herald_retrieved_total", &[("form", "bodies")]), Some(1.0));
    engine.stop().expect("a stop");
    assert!(engine.store(number("12225550100"), &BODY).is_err());
    assert!(engine.retrieve(number("12225550100")).is_err());
    let stats = engine.stats();
    assert_eq!((not_stored(&stats, "stopped"), not_found(&stats, "stopped")), (2.0, 1.0));
    assert_eq!(stats.value("herald_up", &[]), Some(0.0));
}

#[test]
fn requests_are_counted_as_calls_in_process_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("cps.sock");
    let engine = open(&[("unix_socket", socket.to_str().expect("a plain path"))]);
    engine.start().expect("a start");
    let store = |target: &str, media_type: &str, body: &[u8]| {
        ask(&socket, &format!("POST {target} HTTP/1.1\r\nContent-Type: {media_type}"), body)
    };
    let get = |target: &str| ask(&socket, &format!("GET {target} HTTP/1.1"), b"");
    let passport = "application/passport";
    assert!(store("/cps/12225550100/ppts", passport, &BODY).starts_with("HTTP/1.1 201"));
    store("/cps/12225550100/ppts", "text/plain", &BODY);
    store("/cps/12225550100/ppts", passport, &BODY[..10]);
    store("/cps/nobody/ppts", passport, &BODY);
    store("/cps/", passport, &BODY);
    let mut batch = herald_runtime::core::batch::begin();
    for body in [&BODY[..], &BODY[..9], &BODY[..]] {
        let put = herald_runtime::core::batch::put_placement(&mut batch, number("12225550103"), body);
        put.expect("small enough");
    }
    store("/cps/batch", "application/vnd.herald.batch", &batch);
    get("/cps/12225550100/ppts");
    get("/cps/12225550100/ppts?inline=1");
    get(&format!("/cps/12225550100/ppts/{}", "0".repeat(32)));
    get("/cps/nobody/ppts");
    get("/cps/12225550100/ppts?all=1");
    let stats = engine.stats();
    let stored = ["request", "number", "media_type", "body_size"].map(|reason| not_stored(&stats, reason));
    assert_eq!((total(&stats, "herald_stored_total"), stored), (3.0, [1.0, 1.0, 1.0, 2.0]));
    let found =
        ["bodies", "ids", "item"].map(|form| stats.value("herald_retrieved_total", &[("form", form)]));
    assert_eq!(found, [Some(1.0), Some(1.0), Some(0.0)]);
    assert_eq!(["request", "number", "item"].map(|reason| not_found(&stats, reason)), [1.0, 1.0, 1.0]);
    assert_eq!(stats.value("herald_http_requests_total", &[]), Some(11.0));
    let answers =
        ["2xx", "4xx", "5xx"].map(|code| stats.value("herald_http_answers_total", &[("code", code)]));
    assert_eq!(answers, [Some(4.0), Some(7.0), Some(0.0)]);
    let took = |method| stats.value("herald_http_request_duration_seconds_count", &[("method", method)]);
    assert_eq!((took("GET"), took("POST")), (Some(5.0), Some(5.0)), "the batch is not among them");
    assert_eq!(stats.value("herald_connections_accepted_total", &[]), Some(11.0));
}

#[test]
fn metrics_and_health_have_a_listener_of_their_own_that_takes_nothing() {
    let engine = open(&[("metrics_listen", "127.0.0.1:0")]);
    assert!(engine.metrics_address().is_none());
    engine.start().expect("a start");
    let Some(net::Address::Tcp(address)) = engine.metrics_address() else { panic!("no listener") };
    let ask = |head: &str| {
        let mut stream = TcpStream::connect(address).expect("it listens");
        write!(stream, "{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .expect("it takes a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    engine.store(number("12225550100"), &BODY).expect("stored");
    let metrics = ask("GET /metrics");
    assert!(metrics.starts_with("HTTP/1.1 200") && metrics.contains(Stats::TEXT_TYPE), "{metrics}");
    assert!(metrics.contains("\nherald_stored_total 1\n") && !metrics.contains("2225550100"), "{metrics}");
    assert!(ask("GET /health").starts_with("HTTP/1.1 200"));
    for (head, status) in [("POST /metrics", "405"), ("GET /cps/1/ppts", "404"), ("DELETE /health", "405")] {
        assert!(ask(head).starts_with(&format!("HTTP/1.1 {status}")), "{head}");
    }
    let idle = TcpStream::connect(address).expect("it listens");
    engine.stop().expect("a stop");
    assert!(TcpStream::connect(address).is_err(), "nothing listens any more");
    drop(idle);
}

#[test]
fn health_fails_while_memory_is_full_and_once_the_engine_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("cps.sock");
    let path = socket.to_str().expect("a plain path");
    let engine = open(&[("unix_socket", path), ("retention", "2s")]);
    assert!(engine.fault().is_some(), "nothing is served before the start");
    engine.start().expect("a start");
    let health = || ask(&socket, "GET /health HTTP/1.1", b"");
    assert!(health().starts_with("HTTP/1.1 200"));
    assert_eq!(engine.fault(), None);
    let body = [7; 4096];
    let mut full = None;
    for index in 0..20_000_u64 {
        let called = number(&(12_225_550_000 + index).to_string());
        if let Err(error) = engine.store(called, &body) {
            full = Some(error);
            break;
        }
    }
    let full = full.expect("16 MiB hold fewer");
    assert!(full.to_string().contains("memory"), "{full}");
    // Handles that had a segment of their own have some room left.
    let store =
        || ask(&socket, "POST /cps/12225559999/ppts HTTP/1.1\r\nContent-Type: application/passport", &body);
    while store().starts_with("HTTP/1.1 201") {}
    let smallest =
        || ask(&socket, "POST /cps/12225559999/ppts HTTP/1.1\r\nContent-Type: application/passport", &BODY);
    while smallest().starts_with("HTTP/1.1 201") {}
    let ill = health();
    assert!(ill.starts_with("HTTP/1.1 503") && ill.contains("memory"), "{ill}");
    assert!(
        ask(&socket, "GET /cps/12225559999/ppts HTTP/1.1", b"").starts_with("HTTP/1.1 200"),
        "retrieval goes on"
    );
    assert!(not_stored(&engine.stats(), "memory_full") >= 3.0);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !health().starts_with("HTTP/1.1 200") {
        assert!(Instant::now() < deadline, "it stays ill when all has expired");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(smallest().starts_with("HTTP/1.1 201"), "and what it says is so");
    engine.stop().expect("a stop");
    assert_eq!(engine.fault(), Some("the service is stopping"));
    assert_eq!(engine.stats().value("herald_healthy", &[]), Some(0.0));
}

#[test]
fn who_asked_for_health_before_memory_was_full_hears_that_it_is() {
    let engine = open(&[("metrics_listen", "127.0.0.1:0")]);
    engine.start().expect("a start");
    let Some(net::Address::Tcp(address)) = engine.metrics_address() else { panic!("no listener") };
    let health = || {
        let mut stream = TcpStream::connect(address).expect("it listens");
        write!(stream, "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    let free = || engine.stats().value("herald_arena_segments", &[("state", "free")]);
    let free_before = free();
    assert!(free_before > Some(1.0));
    assert!(health().starts_with("HTTP/1.1 200"));
    assert_eq!(free(), free_before, "who asks takes no memory");
    let store = |index: u64| engine.store(number(&(12_225_550_000 + index).to_string()), &[7; 4096]);
    assert!((0..20_000).any(|index| store(index).is_err()), "16 MiB hold fewer");
    let ill = health();
    assert!(ill.starts_with("HTTP/1.1 503") && ill.contains("memory"), "{ill}");
}

#[test]
fn health_fails_once_the_network_is_served_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).to_str().expect("a plain path").to_owned();
    let drained = open(&[("unix_socket", &at("drained.sock"))]);
    drained.start().expect("a start");
    assert_eq!(drained.fault(), None);
    drained.drain(Duration::ZERO).expect("a drain");
    assert!(drained.fault().is_some_and(|why| why.contains("listeners")), "{:?}", drained.fault());
    drained.store(number("12225550100"), &BODY).expect("calls in process go on");

    let hosted = open(&[("unix_socket", &at("hosted.sock"))]);
    let turned = hosted.start_hosted().expect("a start");
    assert_eq!(hosted.fault(), None);
    drop(turned);
    assert!(hosted.fault().is_some_and(|why| why.contains("ended")), "{:?}", hosted.fault());
}

#[test]
fn the_text_has_a_type_for_each_name_and_no_value_twice() {
    let engine = open(&[]);
    let text = engine.stats().text();
    let mut names = std::collections::HashSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("a value");
        assert!(names.insert(name), "{name} is there twice");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let family = name.split('{').next().expect("a name");
        let suffixes = ["_bucket", "_sum", "_count"];
        let histogram = suffixes.iter().find_map(|suffix| family.strip_suffix(suffix));
        let (family, kind) = match histogram {
            Some(family) => (family, "histogram"),
            None if family.ends_with("_total") => (family, "counter"),
            None => (family, "gauge"),
        };
        assert!(text.contains(&format!("# TYPE {family} {kind}\n")), "{family}");
    }
    assert_eq!(names.len(), engine.stats().named().count());
}
