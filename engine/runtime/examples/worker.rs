//! What the worker itself costs: machines that compute nothing, driven over the engine in process and over a socket.
//!
//! `cargo run --release --example worker -p herald-runtime [CALLS]` prints a line for each: calls a second, what one
//! call takes from submit to completion (half of them, 99 of 100), and the process's CPU time for each call, in
//! microseconds. Over a socket the engine's own share is among it.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example that prints what it measures")]

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use herald_runtime::core::{TelephoneNumber, Timestamp};
use herald_runtime::stir::services::{Answer, Ask, Asked, CpsUri, Machine, Moment, Ticket, Tickets, Turn};
use herald_runtime::{Config, Engine, Environment, FetchPolicy, Fetcher, Worker, WorkerConfig};

/// Stores once, retrieves once; or, without a service, does nothing.
struct Errand {
    cps: Option<CpsUri>,
    number: TelephoneNumber,
    tickets: Tickets,
    answers: usize,
    is_done: bool,
}

impl Machine for Errand {
    type Outcome = usize;

    fn begin(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        match self.cps.clone() {
            None => self.is_done = true,
            Some(cps) => {
                let asked = Asked::Store { cps, number: self.number, body: vec![7; 640] };
                Turn::new(now, &mut self.tickets, asks).ask(asked);
            }
        }
    }

    fn answer(&mut self, _: Ticket, answer: Answer, now: Moment, asks: &mut Vec<Ask>) {
        assert!(!matches!(answer, Answer::Failed(_)), "{answer:?}");
        self.answers += 1;
        match self.cps.clone() {
            Some(cps) if self.answers == 1 => {
                let asked = Asked::Retrieve { cps, number: self.number };
                Turn::new(now, &mut self.tickets, asks).ask(asked);
            }
            _ => self.is_done = true,
        }
    }

    fn wake_at(&self) -> Option<Timestamp> {
        Some(Timestamp::from_millis(u64::MAX))
    }

    fn wake(&mut self, _: Moment, _: &mut Vec<Ask>) {}

    fn cancel(&mut self) {
        self.is_done = true;
    }

    fn outcome(&mut self) -> Option<usize> {
        self.is_done.then_some(self.answers)
    }
}

/// Keeps `at_once` calls under way until `calls` are done.
fn measure(name: &str, worker: &Worker, cps: Option<&CpsUri>, calls: usize, at_once: usize) {
    let (sender, done) = channel::<Duration>();
    let submit = |index: usize, sender: Sender<Duration>| {
        let number = format!("1{:010}", index % 1_000_000_000).parse().unwrap();
        let errand =
            Errand { cps: cps.cloned(), number, tickets: Tickets::default(), answers: 0, is_done: false };
        let began = Instant::now();
        worker.submit(errand, move |_| sender.send(began.elapsed()).unwrap()).unwrap();
    };
    let (began, cpu) = (Instant::now(), cpu_us());
    (0..at_once).for_each(|index| submit(index, sender.clone()));
    let mut took = Vec::with_capacity(calls);
    while took.len() < calls {
        took.push(done.recv().unwrap());
        if took.len() + at_once <= calls {
            submit(took.len() + at_once, sender.clone());
        }
    }
    let (elapsed, cpu) = (began.elapsed(), cpu_us() - cpu);
    took.sort_unstable();
    let micros = |part: usize| took[(calls * part / 100).min(calls - 1)].as_secs_f64() * 1e6;
    println!(
        "{name:28} {at_once:4} at once  {:9.0} calls/s  p50 {:8.1}  p99 {:8.1}  CPU {:7.1}",
        calls as f64 / elapsed.as_secs_f64(),
        micros(50),
        micros(99),
        cpu / calls as f64,
    );
}

/// User and system time of this process so far (proc(5), in ticks of 10 ms).
fn cpu_us() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) * 1e4
}

fn main() {
    let calls = std::env::args().nth(1).map_or(20_000, |count| count.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("herald.sock");
    let mut config = Config::default();
    for (name, value) in [("memory", "1GiB"), ("durability", "memory"), ("reactors", "1")] {
        config.set(name, value).unwrap();
    }
    config.set("unix_socket", socket.to_str().unwrap()).unwrap();
    let engine = Engine::open(config, Environment::system(|_, _| {})).unwrap();
    engine.start().unwrap();
    let fetcher = Arc::new(Fetcher::new(FetchPolicy::default()).unwrap());
    let worker = engine.start_worker(WorkerConfig::new(fetcher)).unwrap();
    let by_socket: CpsUri = format!("unix:{}", socket.display()).parse().unwrap();
    for at_once in [1, 64] {
        measure("nothing", &worker, None, calls, at_once);
        measure("store, retrieve in process", &worker, Some(&CpsUri::Local), calls, at_once);
        measure("store, retrieve by socket", &worker, Some(&by_socket), calls / 4, at_once);
    }
}
