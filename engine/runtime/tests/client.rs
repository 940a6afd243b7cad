//! A client of an engine elsewhere: the same calls, over its Unix socket or TLS; what it says while the engine is away,
//! silent or full.

use std::io::Read;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use herald_runtime::core::{Item, Problem, TelephoneNumber};
use herald_runtime::net::Address;
use herald_runtime::{Config, Engine, EngineError, EngineErrorKind, Environment};

fn opened(properties: &[(&str, &str)]) -> Result<Engine, EngineError> {
    let mut config = Config::default();
    for (name, value) in properties {
        config.set(name, value).expect("a property");
    }
    Engine::open(config, Environment::system(|_, _| {}))
}

fn started(properties: &[(&str, &str)]) -> Engine {
    let engine = opened(properties).unwrap_or_else(|error| panic!("{error}"));
    engine.start().unwrap_or_else(|error| panic!("{error}"));
    engine
}

/// An engine that listens at `socket`.
fn service(socket: &Path) -> Engine {
    started(&[
        ("durability", "memory"),
        ("memory", "64MiB"),
        ("unix_socket", text(socket)),
        ("reactors", "1"),
    ])
}

/// A client of the engine at `socket`.
fn client(socket: &Path, more: &[(&str, &str)]) -> Engine {
    let service = format!("unix:{}", socket.display());
    started(&[&[("service", service.as_str())], more].concat())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn number(index: usize) -> TelephoneNumber {
    format!("1222555{index:04}").parse().expect("a number")
}

fn body(index: usize) -> Vec<u8> {
    let mut body = vec![7; 640];
    body[..8].copy_from_slice(&index.to_be_bytes());
    body
}

fn kind<T>(result: Result<T, EngineError>) -> Option<EngineErrorKind> {
    result.err().map(|error| error.kind())
}

fn counted(client: &Engine, result: &str) -> f64 {
    client.stats().value("herald_service_requests_total", &[("result", result)]).expect("a client counts")
}

fn bodies(items: &[Item]) -> Vec<&[u8]> {
    items.iter().map(|item| &*item.body).collect()
}

fn play(service: &Engine, client: &Engine) {
    let id = client.store(number(1), &body(1)).expect("it serves");
    let items = client.retrieve(number(1)).expect("it serves");
    assert_eq!(items.iter().find(|item| item.id == id).map(|item| &item.body), Some(&body(1)));
    assert_eq!(
        bodies(&items),
        bodies(&service.retrieve(number(1)).expect("it serves")),
        "the same list, cover and all"
    );
}

#[test]
fn what_a_client_stores_is_at_its_service_and_what_it_retrieves_is_the_services_list() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("herald.sock");
    let service = service(&socket);
    play(&service, &client(&socket, &[]));
}

#[test]
fn a_client_asks_over_tls_whom_its_authorities_vouch_for_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("a file");
        text(&path).to_owned()
    };
    let signed = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (own, other) = (signed(), signed());
    let (chain, key) = (file("chain.pem", own.cert.pem()), file("key.pem", own.signing_key.serialize_pem()));
    let other = file("other.pem", other.cert.pem());
    let service = started(&[
        ("durability", "memory"),
        ("memory", "64MiB"),
        ("listen", "127.0.0.1:0"),
        ("tls_certificate", &chain),
        ("tls_key", &key),
    ]);
    let [Address::Tcp(address)] = *service.addresses() else { panic!("one address") };
    let url = format!("https://localhost:{}", address.port());
    play(&service, &started(&[("service", &url), ("cps_authorities", &chain)]));
    let stranger = started(&[("service", &url), ("cps_authorities", &other)]);
    assert_eq!(kind(stranger.store(number(1), &body(1))), Some(EngineErrorKind::Network));
    let trusting = opened(&[("service", &url)]).expect("the files are read at the start");
    assert_eq!(kind(trusting.start()), Some(EngineErrorKind::Argument));
}

#[test]
fn batches_of_any_size_go_out_in_parts_and_say_of_each_what_came_of_it() {
    const COUNT: usize = 1500;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("herald.sock");
    let service = service(&socket);
    let client = client(&socket, &[("service_deadline", "20s")]);
    let all: Vec<_> = (0..COUNT).map(|index| (number(index % 300), body(index))).collect();
    let mut placements: Vec<_> = all.iter().map(|(number, body)| (*number, &**body)).collect();
    let (short, long) = (vec![0; 641], vec![0; 10_000]);
    placements[700].1 = &short;
    placements[1400].1 = &long;
    let results = client.store_batch(&placements).unwrap();
    assert_eq!(results.len(), COUNT);
    let numbers: Vec<_> = (0..300).map(number).collect();
    let lists = client.retrieve_batch(&numbers).unwrap();
    for (index, result) in results.iter().enumerate() {
        match index {
            700 => assert_eq!(*result, Err(Problem::BodySize(641))),
            1400 => assert_eq!(*result, Err(Problem::BodyTooLarge)),
            _ => {
                let id = *result.as_ref().unwrap();
                let item = lists[index % 300].iter().find(|item| item.id == id).expect("it is there");
                assert_eq!(item.body, body(index));
            }
        }
    }
    // A full number, as an engine in process says it; and answers too large for one part.
    let large = vec![7; 8192];
    let full: Vec<_> = (0..3000).map(|index| (number(index % 10), &*large)).collect();
    let stored = client.store_batch(&full).unwrap();
    let here = service.store_batch(&full[..10]).unwrap();
    assert!(stored.iter().any(Result::is_err), "a number holds less than 300");
    assert_eq!(stored[2990..], here[..]);
    let lists = client.retrieve_batch(&numbers[..20]).unwrap();
    assert!(lists[..10].iter().all(|list| list.len() > 150) && lists.len() == 20);
    assert!(client.store_batch(&[]).unwrap().is_empty() && client.retrieve_batch(&[]).unwrap().is_empty());
}

#[test]
fn threads_share_a_client() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("herald.sock");
    let _service = service(&socket);
    let client = client(&socket, &[("service_deadline", "20s")]);
    thread::scope(|scope| {
        for thread in 0..100 {
            let client = &client;
            scope.spawn(move || {
                for round in 0..5 {
                    let id = client.store(number(thread), &body(round)).unwrap();
                    assert!(client.retrieve(number(thread)).unwrap().iter().any(|item| item.id == id));
                }
            });
        }
    });
}

#[test]
fn while_the_service_is_away_calls_are_refused_at_once_and_when_it_is_back_they_succeed() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("herald.sock");
    let client = client(&socket, &[]);
    assert_eq!(kind(client.store(number(1), &body(1))), Some(EngineErrorKind::Network), "never there");
    for _ in 0..3 {
        let service = service(&socket);
        play(&service, &client);
        service.stop().unwrap();
        drop(service);
        let began = Instant::now();
        assert_eq!(kind(client.store(number(1), &body(1))), Some(EngineErrorKind::Network));
        assert_eq!(kind(client.retrieve(number(1))), Some(EngineErrorKind::Network));
        assert!(began.elapsed() < Duration::from_secs(2), "nobody waits for who is away");
    }
    assert_eq!((counted(&client, "answered"), counted(&client, "unreachable")), (6.0, 7.0));
}

#[test]
fn a_service_that_is_silent_costs_the_deadline_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("herald.sock");
    silence(&socket);
    // The longer one is beyond the time after which a peer is asked whether it lives.
    for (deadline, ms) in [("200ms", 200), ("3500ms", 3500)] {
        let client = client(&socket, &[("service_deadline", deadline)]);
        let began = Instant::now();
        assert_eq!(kind(client.store(number(1), &body(1))), Some(EngineErrorKind::TimedOut), "{deadline}");
        let passed = began.elapsed();
        let (least, most) = (Duration::from_millis(ms), Duration::from_millis(ms + 1500));
        assert!((least..most).contains(&passed), "{passed:?} of {deadline}");
        assert_eq!(counted(&client, "timed_out"), 1.0);
    }
}

/// What takes connections at `socket` and reads, and never says anything. Tells when the first bytes of each have come.
fn silence(socket: &Path) -> Receiver<()> {
    let (teller, told) = channel();
    let listener = UnixListener::bind(socket).expect("a socket");
    thread::spawn(move || {
        for peer in listener.incoming() {
            let (mut peer, teller) = (peer.expect("a connection"), teller.clone());
            thread::spawn(move || {
                let mut bytes = [0; 1024];
                let _ = (peer.read(&mut bytes), teller.send(()));
                while peer.read(&mut bytes).unwrap_or(0) > 0 {}
            });
        }
    });
    told
}

#[test]
fn a_client_that_stops_has_the_answers_it_waits_for_or_says_that_it_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("herald.sock");
    let asked = silence(&socket);
    for (grace, deadline, said) in [
        // The store has its time, and then the stop goes on.
        ("20s", "500ms", EngineErrorKind::TimedOut),
        ("100ms", "20s", EngineErrorKind::Cancelled),
    ] {
        let client = client(&socket, &[("service_deadline", deadline), ("drain_grace", grace)]);
        let began = Instant::now();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| client.store(number(1), &body(1)));
            asked.recv().unwrap();
            let stopping = scope.spawn(|| client.stop().unwrap());
            let waited = waiting.join().unwrap();
            assert_eq!(kind(waited.clone()), Some(said), "{waited:?} after {grace}");
            stopping.join().unwrap();
        });
        assert!(began.elapsed() < Duration::from_secs(10), "{grace}");
        assert_eq!(kind(client.store(number(1), &body(1))), Some(EngineErrorKind::State));
    }
}

#[test]
fn the_health_of_a_client_is_what_its_service_said_last() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("herald.sock");
    let client = client(&socket, &[]);
    assert_eq!(client.fault(), None, "it has not asked yet");
    assert_eq!(kind(client.retrieve(number(1))), Some(EngineErrorKind::Network));
    assert!(client.fault().is_some_and(|fault| fault.contains("no answer")), "{:?}", client.fault());
    assert_eq!(client.stats().value("herald_healthy", &[]), Some(0.0));
    let service = service(&socket);
    play(&service, &client);
    assert_eq!(client.fault(), None);
    client.stop().unwrap();
    assert!(client.fault().is_some());
}

#[test]
fn large_answers_are_fetched_in_parts_that_fit_the_memory_for_them() {
    // Four parts of some 8 MiB each, twice what a service's answers may hold together.
    const EACH: usize = 150;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("herald.sock");
    let _service = service(&socket);
    let client = client(&socket, &[("service_deadline", "60s")]);
    let large = vec![7; 8192];
    let full = |index: usize| number(index / 6 * 64 + index % 6);
    let placements: Vec<_> = (0..24 * EACH).map(|index| (full(index % 24), &*large)).collect();
    assert!(client.store_batch(&placements).unwrap().iter().all(Result::is_ok));
    let numbers: Vec<_> = (0..256).map(number).collect();
    let lists = client.retrieve_batch(&numbers).unwrap();
    let bytes: usize = lists.iter().flatten().map(|item| item.body.len()).sum();
    assert!(bytes >= 24 * EACH * large.len(), "{bytes}");
}

#[test]
fn a_client_lives_like_an_engine() {
    let client = opened(&[("service", "unix:/nowhere/herald.sock")]).unwrap();
    assert_eq!(kind(client.store(number(1), &body(1))), Some(EngineErrorKind::State), "before the start");
    assert_eq!(client.start_hosted().err().map(|error| error.kind()), Some(EngineErrorKind::Argument));
    client.start().unwrap();
    assert_eq!(kind(client.start()), Some(EngineErrorKind::State));
    assert!(client.addresses().is_empty());
    thread::scope(|scope| {
        scope.spawn(|| while kind(client.retrieve(number(1))) == Some(EngineErrorKind::Network) {});
        client.stop().unwrap();
    });
    assert_eq!(kind(client.retrieve_batch(&[number(1)])), Some(EngineErrorKind::State), "after the stop");
    for (name, value) in
        [("unix_socket", "/nowhere/other.sock"), ("data", "/nowhere"), ("beyond_memory", "1GiB")]
    {
        let both =
            opened(&[("service", "unix:/nowhere/herald.sock"), (name, value)]).err().expect("not both");
        assert!(both.kind() == EngineErrorKind::Argument && both.to_string().contains(name), "{both}");
    }
    let mut config = Config::default();
    for (name, value) in [
        ("service", "local"),
        ("service", "http://a"),
        ("service_deadline", "61s"),
        ("unix_socket_mode", "0"),
        ("unix_socket_mode", "1777"),
    ] {
        assert!(config.set(name, value).is_err(), "{name}={value}");
    }
}
