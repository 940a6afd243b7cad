//! The engine in process: what is stored is retrieved among cover, also after a restart, and every wrong use is
//! told apart.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use herald_runtime::core::{Clock, Item, TelephoneNumber, Timestamp};
use herald_runtime::{Config, Engine, EngineError, EngineErrorKind, Environment, net};

fn number() -> TelephoneNumber {
    "2.222.555.2222".parse().expect("a number")
}

fn config(properties: &[(&str, &str)]) -> Config {
    let mut config = Config::default();
    config.set("memory", "64MiB").expect("a size");
    for (name, value) in properties {
        config.set(name, value).expect("a property");
    }
    config
}

fn open(config: Config) -> Result<Engine, EngineError> {
    Engine::open(config, Environment::system(|_, _| {}))
}

fn started(config: Config) -> Engine {
    let engine = open(config).expect("an engine");
    engine.start().expect("a start");
    engine
}

fn on_disk(folder: &Path, durability: &str) -> Config {
    config(&[("data", folder.to_str().expect("a plain path")), ("durability", durability)])
}

fn body(fill: u8) -> Vec<u8> {
    vec![fill; 640]
}

fn has(items: &[Item], body: &[u8]) -> bool {
    items.iter().any(|item| item.body == body)
}

#[test]
fn a_placement_is_retrieved_among_cover_under_its_id() {
    let engine = started(config(&[("durability", "memory")]));
    let id = engine.store(number(), &body(7)).unwrap();
    let items = engine.retrieve(number()).unwrap();
    assert!(items.len() >= 2, "no cover beside the placement");
    assert_eq!(items.iter().find(|item| item.id == id).map(|item| &item.body), Some(&body(7)));
    assert!(items.is_sorted_by_key(|item| item.id));
    let began = Instant::now();
    engine.stop().unwrap();
    drop(engine);
    assert!(began.elapsed() < Duration::from_secs(5), "nobody was inside, so nothing is waited for");
}

#[test]
fn synced_and_buffered_placements_and_the_cover_beside_them_survive_a_restart_and_memory_ones_do_not() {
    for durability in ["synced", "buffered"] {
        let folder = tempfile::tempdir().unwrap();
        let engine = started(on_disk(folder.path(), durability));
        engine.store(number(), &body(7)).unwrap();
        let before = engine.retrieve(number()).unwrap();
        engine.stop().unwrap();
        let engine = started(on_disk(folder.path(), durability));
        let after = engine.retrieve(number()).unwrap();
        assert!(has(&after, &body(7)), "{durability}");
        // A dummy may have expired or been born since; all that live on are the same.
        let now = after.iter().map(|item| item.expires_at).min().unwrap();
        let stayed = before.iter().filter(|item| item.expires_at >= now).count();
        assert!(stayed >= 1 && before.iter().filter(|item| after.contains(item)).count() >= stayed);
        engine.stop().unwrap();
    }
    let engine = started(config(&[("durability", "memory")]));
    assert!(!has(&engine.retrieve(number()).unwrap(), &body(7)));
}

#[test]
fn wrong_uses_are_told_apart() {
    let kind = |result: Result<Engine, EngineError>| result.map(|_| ()).unwrap_err().kind();
    assert_eq!(kind(open(config(&[]))), EngineErrorKind::Argument, "synced without data");
    assert_eq!(
        kind(open(config(&[("durability", "memory"), ("listen", "127.0.0.1:0")]))),
        EngineErrorKind::Argument,
        "listen without TLS"
    );
    let folder = tempfile::tempdir().unwrap();
    let first = open(on_disk(folder.path(), "synced")).unwrap();
    assert_eq!(kind(open(on_disk(folder.path(), "synced"))), EngineErrorKind::InUse);
    let not_started = first.store(number(), &body(1)).unwrap_err();
    assert!(matches!(not_started.kind(), EngineErrorKind::State | EngineErrorKind::Disk), "{not_started}");
    first.start().unwrap();
    assert_eq!(first.start().unwrap_err().kind(), EngineErrorKind::State, "started twice");
    for wrong in [0, 1, 639, 641, 8191, 8193, 1 << 20] {
        let refused = first.store(number(), &vec![0; wrong]).unwrap_err();
        assert_eq!(refused.kind(), EngineErrorKind::Argument, "{wrong} bytes: {refused}");
    }
    first.stop().unwrap();
}

#[test]
fn a_wrong_configuration_makes_no_folder_and_a_right_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let nowhere = folder.path().join("nowhere").to_str().unwrap().to_owned();
    for (name, words) in [
        ("plugins", "nowhere"),
        ("plugin_settings", "nowhere"),
        ("key_roots", "nowhere"),
        ("roots", "nowhere"),
        ("listen", "tls_certificate"),
    ] {
        let mut config = on_disk(&data, "synced");
        config.set(name, if name == "listen" { "127.0.0.1:0" } else { &nowhere }).unwrap();
        let refused = open(config).map(drop).unwrap_err();
        assert!(
            refused.kind() == EngineErrorKind::Argument && refused.to_string().contains(words),
            "{name}: {refused}"
        );
        assert!(!data.exists(), "{name}");
    }
    drop(open(on_disk(&data, "synced")).unwrap());
    assert!(data.exists());
}

struct FixedClock(Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

#[test]
fn the_same_surroundings_give_the_same_cover() {
    let seeded = || Environment {
        clock: Box::new(|_| Arc::new(FixedClock(Timestamp::from_millis(1_795_300_000_000)))),
        random: Arc::new(Seeded),
        report: Arc::new(|_, _| {}),
    };
    let retrieve = || {
        let engine = Engine::open(config(&[("durability", "memory")]), seeded()).unwrap();
        engine.start().unwrap();
        engine.retrieve(number()).unwrap()
    };
    assert_eq!(retrieve(), retrieve());
    let engine = open(config(&[("durability", "memory")])).unwrap();
    engine.start().unwrap();
    assert_ne!(retrieve(), engine.retrieve(number()).unwrap());
}

struct Seeded;

impl herald_runtime::core::Random for Seeded {
    fn fill(&self, out: &mut [u8]) {
        out.fill(3);
    }
}

#[test]
fn an_answer_over_the_wire_waits_for_the_disk_and_every_refusal_of_the_network_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("herald.sock");
    let mut config = on_disk(folder.path(), "synced");
    config.set("unix_socket", socket.to_str().unwrap()).unwrap();
    let engine = started(config);
    let client = net::Client::unix(&socket);
    let post = |body: Vec<u8>| {
        net::Request::post("http://localhost/cps/2.222.555.2222/ppts")
            .header("content-type", "application/passport")
            .body(net::Bytes::from(body))
            .unwrap()
    };
    let patience = Duration::from_secs(10);
    let stored = client.request(post(body(5)), patience).unwrap();
    assert_eq!(stored.status(), 201);
    assert!(has(&engine.retrieve(number()).unwrap(), &body(5)));
    let refused = client.request(post(vec![0; 9000]), patience).unwrap();
    assert_eq!(refused.status(), 413);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    engine.stop().unwrap();
    assert!(client.request(post(body(6)), patience).is_err(), "a stopped engine answers");
}
