//! Batches against a running engine, over TLS and both versions of HTTP: what is acknowledged is there, also after a
//! restart where the disk was promised.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use herald_runtime::core::batch::{self, Outcome, Retrieved, Stored};
use herald_runtime::core::{PlacementId, TelephoneNumber};
use herald_runtime::net::{Address, Bytes, Client, Protocol, Request, StatusCode};
use herald_runtime::{Config, Engine, Environment};

const RECORDS: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(20);

fn started(folder: &Path, durability: &str) -> (Engine, SocketAddr, String) {
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
    let engine = Engine::open(config, Environment::system(|_, _| {})).expect("an engine");
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
