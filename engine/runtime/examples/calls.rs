//! How many calls an engine places and checks, and how long one takes, on this machine:
//! `cargo run --release --example calls -p herald-runtime [CALLS] [AT ONCE]`.
//!
//! A service keeps placements in memory; the caller's and the called side's engines reach it in process, over a Unix
//! socket, and over HTTPS on loopback. Every placed call is then checked and must be accepted. Prints Markdown.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement fails by panicking, and prints")]

use std::path::Path;
use std::sync::mpsc::{channel, sync_channel};
use std::time::{Duration, Instant};

use herald_runtime::core::TelephoneNumber;
use herald_runtime::net::Address;
use herald_runtime::stir::issue::{DevelopmentAuthority, Validity};
use herald_runtime::stir::services::{CheckRequest, PlaceRequest};
use herald_runtime::stir::{Attestation, CallFacts, SealingKey, Suite, SystemRandom, TnAuthList, TnEntry};
use herald_runtime::{Config, Engine, Environment, wall_clock};

const CALLER: &str = "12025550100";
const X5U: &str = "https://certs.example.net/caller.pem";

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().unwrap());
    let (calls, at_once) = (arguments.next().unwrap_or(2_000), arguments.next().unwrap_or(64));
    let folder = tempfile::tempdir().unwrap();
    let chain_pem = write_parties(folder.path());
    let socket = folder.path().join("cps.sock").display().to_string();
    let (certificate, key) = tls(folder.path());
    let cps = open(&[
        ("unix_socket", &socket),
        ("listen", "127.0.0.1:0"),
        ("tls_certificate", &certificate),
        ("tls_key", &key),
    ]);
    let port = cps.addresses().iter().find_map(|address| match address {
        Address::Tcp(address) => Some(address.port()),
        Address::Unix(_) => None,
    });
    println!("{calls} calls a row, one worker thread.\n");
    println!(
        "| the service is reached | call | under way | calls/s | calls/s of processor time | p50, µs | p99 |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|");
    for (name, url) in [
        ("in process", "local".to_owned()),
        ("over a Unix socket", format!("unix:{socket}")),
        ("over HTTPS", format!("https://localhost:{}", port.unwrap())),
    ] {
        let engine = caller_and_called(folder.path(), &url, &certificate);
        engine.keep_certificate(X5U, chain_pem.as_bytes(), Duration::from_secs(3600)).unwrap();
        for at_once in [1, at_once] {
            let base = if at_once == 1 { 0 } else { calls };
            report(name, "place", at_once, calls, |index, told| place(&engine, base + index, told));
            report(name, "check", at_once, calls, |index, told| check(&engine, base + index, told));
        }
    }
}

/// Runs `calls` of one kind, at most `at_once` under way, and prints rate, CPU and latency.
fn report(name: &str, kind: &str, at_once: u64, calls: u64, start: impl Fn(u64, Told)) {
    let (sender, receiver) = channel();
    // Tokens: one for each call that may be under way.
    let (done, free) = sync_channel(usize::try_from(at_once).unwrap());
    (0..at_once).for_each(|_| done.send(()).unwrap());
    let (began, cpu) = (Instant::now(), cpu_time());
    for index in 0..calls {
        free.recv().unwrap();
        let (sender, done, began) = (sender.clone(), done.clone(), Instant::now());
        start(
            index,
            Box::new(move || {
                sender.send(began.elapsed()).unwrap();
                done.send(()).unwrap();
            }),
        );
    }
    drop(sender);
    let mut latencies: Vec<Duration> = receiver.iter().collect();
    let (elapsed, cpu) = (began.elapsed().as_secs_f64(), (cpu_time() - cpu).as_secs_f64());
    latencies.sort_unstable();
    let at = |share: f64| latencies[(latencies.len() as f64 * share) as usize].as_secs_f64() * 1e6;
    let calls = latencies.len() as f64;
    println!(
        "| {name} | {kind} | {at_once} | {:.0} | {:.0} | {:.0} | {:.0} |",
        calls / elapsed,
        calls / cpu.max(0.01),
        at(0.5),
        at(0.99)
    );
}

type Told = Box<dyn FnOnce() + Send>;

fn called(index: u64) -> TelephoneNumber {
    format!("1303{index:07}").parse().unwrap()
}

fn place(engine: &Engine, index: u64, told: Told) {
    let caller = CALLER.parse().unwrap();
    let request = PlaceRequest::shaken(caller, called(index), Attestation::Full, &SystemRandom);
    let completion = move |outcome: herald_runtime::PlaceOutcome| {
        outcome.unwrap().unwrap();
        told();
    };
    engine.place(request, completion).unwrap();
}

fn check(engine: &Engine, index: u64, told: Told) {
    let caller: TelephoneNumber = CALLER.parse().unwrap();
    let facts = CallFacts::new(caller.into(), called(index).into());
    let completion = move |outcome: herald_runtime::CheckOutcome| {
        outcome.unwrap().verdict.outcome().unwrap();
        told();
    };
    engine.check(CheckRequest::new(facts), completion).unwrap();
}

fn open(settings: &[(&str, &str)]) -> Engine {
    let mut config = Config::default();
    let fixed = [("durability", "memory"), ("memory", "64MiB"), ("reactors", "1")];
    fixed.iter().chain(settings).for_each(|(name, value)| config.set(name, value).unwrap());
    let engine = Engine::open(config, Environment::system(|_, _| {})).unwrap();
    engine.start().unwrap();
    engine
}

fn caller_and_called(folder: &Path, cps: &str, cps_authorities: &str) -> Engine {
    let path = |name: &str| folder.join(name).display().to_string();
    let directory =
        format!("[[destination]]\nnumbers = [\"*\"]\ncps = [\"{cps}\"]\nkeys = [\"called.pub.jwk\"]\n");
    std::fs::write(path("directory.toml"), directory).unwrap();
    open(&[
        ("signing_key", &path("caller.key")),
        ("signing_certificate", &path("caller.pem")),
        ("x5u", X5U),
        ("roots", &path("roots.pem")),
        ("sealing_keys", &path("called.jwk")),
        ("directory", &path("directory.toml")),
        ("cps_authorities", cps_authorities),
        ("policy", "freshness_s=600"),
    ])
}

/// Writes keys and certificates of both sides. Returns the caller's chain.
fn write_parties(folder: &Path) -> String {
    let now_s = wall_clock().as_millis() / 1000;
    let validity = Validity { from_s: now_s - 3600, to_s: now_s + 3600 };
    let authority = DevelopmentAuthority::new("Measured", validity, &SystemRandom).unwrap();
    let numbers = TnAuthList::new(vec![TnEntry::One(CALLER.parse().unwrap())]).unwrap();
    let caller = authority.issue("Caller", &numbers, validity, &SystemRandom).unwrap();
    let called = SealingKey::generate(Suite::X25519, &SystemRandom);
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("caller.key", &caller.key.to_pkcs8_pem());
    write("caller.pem", &caller.chain_pem);
    write("roots.pem", authority.root_pem());
    write("called.jwk", &called.to_jwk());
    write("called.pub.jwk", &called.public_key().to_jwk());
    caller.chain_pem
}

/// A TLS certificate for this machine that is its own authority, and its key.
fn tls(folder: &Path) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("tls.pem"), folder.join("tls.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate.display().to_string(), key.display().to_string())
}

/// What this process has used of the processors, in steps of 10 ms.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
