//! Stores through the engine's Rust interface: `stores THREADS`, on an engine in memory. Prints nanoseconds a store
//! on one thread. `benches/capi.c` makes the same calls in C.
#![allow(clippy::print_stdout, reason = "a figure on standard output is the program")]

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use herald_runtime::core::TelephoneNumber;
use herald_runtime::{Config, Engine, Environment};

const STORES: u32 = 500_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u64 = std::env::args().nth(1).ok_or("usage: stores THREADS")?.parse()?;
    let mut config = Config::default();
    config.set("durability", "memory")?;
    config.set("memory", "2GiB")?;
    let engine = Engine::open(config, Environment::system(|_, _| ()))?;
    engine.start()?;
    let ready = &Barrier::new(usize::try_from(count)?);
    let (engine, ready) = (&engine, ready);
    let nanoseconds: f64 = thread::scope(|scope| {
        let threads: Vec<_> =
            (1..=count).map(|seed| scope.spawn(move || store(engine, ready, seed))).collect();
        threads.into_iter().map(|thread| thread.join().expect("every store succeeds")).sum()
    });
    println!("{:.2}", nanoseconds / count as f64);
    engine.stop()?;
    Ok(())
}

fn store(engine: &Engine, ready: &Barrier, mut seed: u64) -> f64 {
    let body = [7; 640];
    let numbers: Vec<_> =
        (0..STORES).map(|_| format!("1{:010}", 2_000_000_000 + next(&mut seed) % 10_000_000)).collect();
    ready.wait();
    let began = Instant::now();
    for number in &numbers {
        // From text, as in C.
        let number = TelephoneNumber::parse(number.as_bytes()).expect("eleven digits");
        engine.store(number, &body).expect("memory has room");
    }
    began.elapsed().as_secs_f64() * 1e9 / f64::from(STORES)
}

/// The next of a row of words that looks random and is always the same (`SplitMix64`).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
