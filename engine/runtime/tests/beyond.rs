//! An engine with room beyond its memory takes more than memory holds, shows all of it, and does so again after a
//! restart.

use std::path::Path;

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
