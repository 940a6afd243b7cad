//! Batches against a running engine, over TLS and both versions of HTTP: what is acknowledged is there, also after a
//! restart where the disk was promised.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use herald_runtime::core::batch::{self, Outcome, Retrieved, Stored};
use herald_runtime::core::{Clock, PlacementId, TelephoneNumber, Timestamp};
use herald_runtime::net::{Address, Bytes, Client, Protocol, Request, StatusCode};
use herald_runtime::{Config, Engine, Environment};

const RECORDS: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(20);

fn started(folder: &Path, durability: &str) -> (Engine, SocketAddr, String) {
    started_in(Environment::system(|_, _| {}), folder, durability)
}

fn started_in(environment: Environment, folder: &Path, durability: &str) -> (Engine, SocketAddr, String) {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
    std::fs::write(&chain, signed.cert.pem()).expect("a file");
    std::fs::write(&key, signed.signing_key.serialize_pem()).expect("a file");
    let mut config = Config::default();
    for (name, value) in [
        ("memory", "64MiB"),
        ("durability", durability),
        ("listen", "127.0.0.1:0"),
        ("reactors", "1"),
        ("data", folder.join("data").to_str().expect("a plain path")),
        ("tls_certificate", chain.to_str().expect("a plain path")),
        ("tls_key", key.to_str().expect("a plain path")),
    ] {
        config.set(name, value).expect("a property");
    }
    let engine = Engine::open(config, environment).expect("an engine");
    engine.start().expect("a start");
    let [Address::Tcp(address)] = *engine.addresses() else { panic!("one address") };
    (engine, address, signed.cert.pem())
}

fn number(index: usize) -> TelephoneNumber {
    format!("1222555{index:04}").parse().expect("a number")
}

fn body(index: usize) -> Vec<u8> {
    let mut body = vec![0; 640];
    body[..8].copy_from_slice(&index.to_be_bytes());
    body
}

fn post(client: &Client, address: SocketAddr, path: &str, body: Vec<u8>) -> Vec<u8> {
    let request = Request::post(format!("https://localhost:{}{path}", address.port()))
        .header("content-type", batch::MEDIA_TYPE)
        .body(Bytes::from(body))
        .expect("a request");
    let response = client.request(request, PATIENCE).expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], batch::MEDIA_TYPE);
    response.into_body().to_vec()
}

fn store_all(client: &Client, address: SocketAddr) -> Vec<PlacementId> {
    let mut request = batch::begin();
    for index in 0..RECORDS {
        batch::put_placement(&mut request, number(index), &body(index)).expect("a body");
    }
    // One that is refused among them, and its place is kept.
    batch::put_placement(&mut request, number(0), &[0; 7]).expect("a body");
    let answer = post(client, address, batch::STORE_PATH, request);
    let mut rest = &answer[..];
    batch::take_version(&mut rest).expect("a version");
    let mut next = || batch::take_stored(&mut rest).expect("a batch");
    let ids = (0..RECORDS).map(|index| match next() {
        Some(Stored::Done(id)) => id,
        other => panic!("{other:?} for record {index}"),
    });
    let ids = ids.collect();
    assert_eq!((next(), next()), (Some(Stored::Refused(Outcome::BodySize)), None));
    ids
}

fn check_all(client: &Client, address: SocketAddr, ids: &[PlacementId]) {
    let mut request = batch::begin();
    (0..RECORDS).for_each(|index| batch::put_number(&mut request, number(index)));
    let answer = post(client, address, batch::RETRIEVE_PATH, request);
    let mut rest = &answer[..];
    batch::take_version(&mut rest).expect("a version");
    for (index, id) in ids.iter().enumerate() {
        let Some(Retrieved::Done(items)) = batch::take_retrieved(&mut rest).expect("a batch") else {
            panic!("nothing for number {index}")
        };
        assert!(items.len() >= 2, "no cover beside placement {index}");
        assert!(items.contains(&(*id, &body(index))), "placement {index} is missing");
    }
    assert_eq!(batch::take_retrieved(&mut rest), Ok(None));
    assert!(rest.is_empty());
}

#[test]
fn a_batch_is_stored_and_retrieved_over_both_versions_of_http() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let folder = tempfile::tempdir().expect("a folder");
        let (engine, address, roots) = started(folder.path(), "memory");
        let client = Client::https(roots.as_bytes()).expect("roots").protocol(protocol);
        let client = client.answer_bytes_max(64 << 20);
        let ids = store_all(&client, address);
        check_all(&client, address, &ids);
        engine.stop().expect("a stop");
    }
}

/// Stands still unless it is moved.
struct HandClock(AtomicU64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

#[test]
fn what_was_stored_and_cannot_be_written_is_withdrawn_until_the_disk_is_back() {
    let folder = tempfile::tempdir().expect("a folder");
    // A second before the next generation of the journal.
    let clock = Arc::new(HandClock(AtomicU64::new(1_795_300_009_000)));
    let environment = Environment {
        clock: Box::new({
            let clock = clock.clone();
            move |_| clock
        }),
        ..Environment::system(|_, _| {})
    };
    let (engine, address, roots) = started_in(environment, folder.path(), "synced");
    // The second is acknowledged when what the journal does behind the first, a new generation, is done.
    for _ in 0..2 {
        engine.store(number(3), &body(3)).expect("a disk");
    }
    let client = Client::https(roots.as_bytes()).expect("roots");
    // One piece, so that all of it is stored before its commit fails.
    let mut request = batch::begin();
    (0..3).for_each(|index| batch::put_placement(&mut request, number(index), &body(index)).expect("a body"));
    let (journal, away) = (folder.path().join("data/journal"), folder.path().join("away"));
    std::fs::rename(&journal, &away).expect("a folder");
    std::fs::write(&journal, "in the way of RocksDB, which makes missing folders").expect("a file");
    // The first placement of a generation begins a new file of RocksDB's log.
    clock.0.fetch_add(2_000, Ordering::Relaxed);
    let answer = post(&client, address, batch::STORE_PATH, request.clone());
    let unavailable = Outcome::Unavailable.code();
    assert_eq!(answer, [batch::VERSION, unavailable, unavailable, unavailable]);
    for index in 0..3 {
        let items = engine.retrieve(number(index)).expect("items");
        assert!(
            items.iter().any(|item| item.body == body(index)),
            "placement {index} was refused, not withdrawn"
        );
    }
    std::fs::remove_file(&journal).expect("a file");
    std::fs::rename(&away, &journal).expect("a folder");
    let deadline = Instant::now() + PATIENCE;
    while engine.store(number(3), &body(3)).is_err() {
        assert!(Instant::now() < deadline, "the journal does not go on");
        std::thread::sleep(Duration::from_millis(50));
    }
    let answer = post(&client, address, batch::STORE_PATH, request);
    let mut rest = &answer[1..];
    for _ in 0..3 {
        assert!(matches!(batch::take_stored(&mut rest), Ok(Some(Stored::Done(_)))));
    }
    engine.stop().expect("a stop");
}

#[test]
fn a_batch_in_process_is_stored_and_retrieved_number_by_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let (engine, _, _) = started(folder.path(), "memory");
    let bodies: Vec<_> = (0..RECORDS).map(body).collect();
    let placements: Vec<_> =
        bodies.iter().enumerate().map(|(index, body)| (number(index), body.as_slice())).collect();
    let stored = engine.store_batch(&placements).expect("the engine serves");
    // More than are looked up together, some of them twice.
    let asked: Vec<_> = (0..100).map(|index| index * 7 % 90).collect();
    let numbers: Vec<_> = asked.iter().map(|&index| number(index)).collect();
    let lists = engine.retrieve_batch(&numbers).expect("the engine serves");
    assert_eq!(lists.len(), numbers.len());
    for (list, &index) in lists.iter().zip(&asked) {
        let id = *stored[index].as_ref().expect("room for all");
        let real: Vec<_> = list.iter().filter(|item| item.body == bodies[index]).collect();
        assert!(
            real.len() == 1 && real[0].id == id && list.len() > 1,
            "number {index}: {} items",
            list.len()
        );
    }
    engine.stop().expect("a stop");
    assert!(engine.retrieve_batch(&numbers).is_err());
}

#[test]
fn a_batch_that_is_acknowledged_as_synced_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let (engine, address, roots) = started(folder.path(), "synced");
    let ids = store_all(&Client::https(roots.as_bytes()).expect("roots"), address);
    engine.stop().expect("a stop");
    let (engine, address, roots) = started(folder.path(), "synced");
    let client = Client::https(roots.as_bytes()).expect("roots").answer_bytes_max(64 << 20);
    check_all(&client, address, &ids);
    engine.stop().expect("a stop");
}
