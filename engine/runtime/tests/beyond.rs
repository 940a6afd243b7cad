//! An engine with room beyond its memory takes more than memory holds, shows all of it, and does so again after a
//! restart.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use herald_core::batch::{self, Retrieved};
use herald_runtime::core::TelephoneNumber;
use herald_runtime::{Config, Engine, Environment};

const NUMBERS: u64 = 1_000;
/// 42 MB, in a memory of 16 MiB.
const PLACEMENTS: u64 = 60_000;
const BATCH: u64 = 200;

fn config(folder: &Path, durability: &str, beyond: &str) -> Config {
    let mut config = Config::default();
    let folder = folder.to_str().expect("a plain path");
    for (name, value) in [
        ("memory", "16MiB"),
        ("beyond_memory", beyond),
        ("journal_memory", "16MiB"),
        ("data", folder),
        ("durability", durability),
    ] {
        config.set(name, value).expect("a property");
    }
    config
}

fn started(config: Config) -> Engine {
    let engine = Engine::open(config, Environment::system(|_, _| {})).expect("an engine");
    engine.start().expect("a start");
    engine
}

fn number(index: u64) -> TelephoneNumber {
    format!("1222555{:04}", index % NUMBERS).parse().expect("a number")
}

fn body(index: u64) -> Vec<u8> {
    let mut body = index.to_le_bytes().repeat(80);
    body[..8].copy_from_slice(b"a body: ");
    body
}

/// Stores all placements, as many as are taken.
fn fill(engine: &Engine) -> u64 {
    let mut kept = 0;
    for first in (0..PLACEMENTS).step_by(BATCH as usize) {
        let bodies: Vec<_> = (first..first + BATCH).map(|index| (number(index), body(index))).collect();
        let batch: Vec<_> = bodies.iter().map(|(number, body)| (*number, body.as_slice())).collect();
        let results = engine.store_batch(&batch).expect("the engine stores");
        kept += results.iter().filter(|result| result.is_ok()).count() as u64;
    }
    kept
}

/// Every placement is shown once, whole, and found by its id.
fn check(engine: &Engine) {
    for of in (0..NUMBERS).step_by(7) {
        let items = engine.retrieve(number(of)).expect("the engine retrieves");
        let mut shown: Vec<Vec<u8>> = items.into_iter().map(|item| item.body).collect();
        shown.retain(|body| body.starts_with(b"a body: "));
        shown.sort_unstable();
        let mut expected: Vec<_> = (of..PLACEMENTS).step_by(NUMBERS as usize).map(body).collect();
        expected.sort_unstable();
        assert!(shown == expected, "number {of} shows {} of {}", shown.len(), expected.len());
    }
}

#[test]
fn what_memory_cannot_hold_is_kept_shown_and_there_after_a_restart() {
    for durability in ["buffered", "synced"] {
        let folder = tempfile::tempdir().expect("a folder");
        let engine = started(config(folder.path(), durability, "128MiB"));
        assert_eq!(fill(&engine), PLACEMENTS, "{durability}");
        check(&engine);
        engine.stop().expect("a stop");
        let again = started(config(folder.path(), durability, "128MiB"));
        check(&again);
        drop(again);
        let refused = Engine::open(config(folder.path(), durability, "0"), Environment::system(|_, _| {}));
        let refused = refused.map(drop).expect_err("it does not fit into memory").to_string();
        assert!(refused.contains("beyond_memory"), "{refused}");
    }
}

/// How many placements are shown in all.
fn shown_count(engine: &Engine) -> usize {
    let shown = (0..NUMBERS).map(|of| {
        let items = engine.retrieve(number(of)).expect("the engine retrieves");
        items.iter().filter(|item| item.body.starts_with(b"a body: ")).count()
    });
    shown.sum()
}

#[test]
fn an_engine_that_was_full_is_opened_again_with_its_own_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = started(config(folder.path(), "synced", "2MiB"));
    let kept = fill(&engine);
    // More than may live beyond memory, so that the youngest need memory again.
    assert!(kept > (18 << 20) / 704 && kept < PLACEMENTS, "{kept} were taken");
    let shown = shown_count(&engine);
    assert!(shown as u64 >= kept, "{shown} of {kept}");
    drop(engine);
    let again = started(config(folder.path(), "synced", "2MiB"));
    assert_eq!(shown_count(&again), shown);
}

/// What a service on a Unix socket answers to one request, as it stands behind the head.
fn asked(socket: &Path, head: &str, body: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(socket).expect("the engine listens");
    let length = body.len();
    write!(stream, "{head}\r\nHost: cps\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n")
        .and_then(|()| stream.write_all(body))
        .expect("the request goes out");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..100]));
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
    answer.split_off(end + 4)
}

#[test]
fn what_has_left_memory_is_shown_over_the_wire_as_in_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("socket");
    let mut config = config(folder.path(), "buffered", "128MiB");
    config.set("unix_socket", socket.to_str().expect("a plain path")).expect("a property");
    config.set("reactors", "1").expect("a property");
    let engine = started(config);
    assert_eq!(fill(&engine), PLACEMENTS);
    let mut batch_request = batch::begin();
    let numbers: Vec<TelephoneNumber> = (0..200).map(number).collect();
    for number in &numbers {
        batch::put_number(&mut batch_request, *number);
    }
    let head = format!("POST {} HTTP/1.1\r\nContent-Type: {}", batch::RETRIEVE_PATH, batch::MEDIA_TYPE);
    let answer = unchunked(&asked(&socket, &head, &batch_request));
    let mut rest = &answer[..];
    batch::take_version(&mut rest).expect("a version");
    for number in &numbers {
        let Ok(Some(Retrieved::Done(together))) = batch::take_retrieved(&mut rest) else {
            panic!("no result for {number:?}")
        };
        let ours = |body: &[u8]| body.starts_with(b"a body: ");
        let items = engine.retrieve(*number).expect("the engine retrieves");
        let expected: Vec<_> = items.iter().filter(|item| ours(&item.body)).collect();
        let shown = together.iter().filter(|(_, body)| ours(body));
        assert!(shown.eq(expected.iter().map(|item| (item.id, &item.body[..])).collect::<Vec<_>>().iter()));
        assert_eq!(expected.len() as u64, PLACEMENTS / NUMBERS);
        // One that has left memory for certain.
        let oldest = expected.iter().min_by_key(|item| item.expires_at).expect("there are some");
        let path = format!("GET /cps/{}/ppts/{} HTTP/1.1", signs(*number), oldest.id);
        assert!(asked(&socket, &path, b"") == oldest.body);
    }
    assert!(rest.is_empty());
}

fn signs(number: TelephoneNumber) -> String {
    number.signs().map(char::from).collect()
}

/// The bytes of a body in chunks.
fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let line = body.windows(2).position(|bytes| bytes == b"\r\n").expect("a chunk");
        let length =
            usize::from_str_radix(std::str::from_utf8(&body[..line]).expect("text"), 16).expect("hex");
        if length == 0 {
            return bytes;
        }
        bytes.extend_from_slice(&body[line + 2..][..length]);
        body = &body[line + 2 + length + 2..];
    }
}

#[test]
fn without_room_beyond_memory_stores_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = started(config(folder.path(), "buffered", "0"));
    let kept = fill(&engine);
    assert!(kept < PLACEMENTS * 6 / 10, "{kept} were taken");
    let mut memory = config(folder.path(), "memory", "1GiB");
    let refused =
        Engine::open(memory.clone(), Environment::system(|_, _| {})).map(drop).expect_err("no journal");
    assert!(refused.to_string().contains("beyond_memory"), "{refused}");
    memory.set("beyond_memory", "0").expect("a property");
    Engine::open(memory, Environment::system(|_, _| {})).map(drop).expect("nothing is asked of a journal");
}
