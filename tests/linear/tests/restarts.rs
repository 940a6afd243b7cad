//! An engine that is stopped under its callers and opened again, life after life, is linearizable; one that forgets
//! is not.
//!
//! `LINEAR_SEED` sets the seed, `LINEAR_RESTARTED` how many calls on the engine are checked.
#![allow(clippy::print_stdout, reason = "seed and counts belong to the result")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use herald_core::{Clock, Item, TelephoneNumber, Timestamp};
use herald_linear::{
    Event, Expiry, OVERLAP_MAX, Operation, Order, Outcome, Random, Recorder, Seen, Span, Tally, Violation,
    check, seed,
};
use herald_runtime::{Config, Engine, EngineErrorKind, Environment, SystemRandom};

const THREADS: u64 = 6;
/// Lives of an episode: its numbers are followed through so many stops less one.
const LIVES: u64 = 3;
const NUMBERS: u64 = 12;
/// Calls of a thread in a life, if the engine lasts so long.
const CALLS: u64 = 60;
/// Placements of a batch at most.
const BATCH_MAX: u64 = 6;
const RETENTION_MS: u64 = 2_000;
/// The engine's own bound of a number is 193 at least; an episode has far fewer calls on each.
const NO_BOUND: usize = usize::MAX;
const BODY_BYTES: usize = 640;
/// What no dummy of cover begins with.
const OURS: [u8; 16] = *b"herald-linear/01";

fn operations_min() -> usize {
    std::env::var("LINEAR_RESTARTED").map_or(10_000, |text| text.parse().expect("a count"))
}

#[test]
fn every_history_of_an_engine_that_is_restarted_is_linearizable() {
    let seed = seed(1);
    let (tally, restarts) =
        drive(seed, "synced").unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    println!("engine: seed {seed}, {restarts} restarts: {tally:?}");
    assert!(tally.overlapping > tally.operations / 10, "hardly any calls met: {tally:?}");
    assert!(tally.unchecked < tally.histories / 20, "too wide to check: {tally:?}");
    assert!(tally.kept > tally.operations / 5 && tally.shown > tally.operations, "{tally:?}");
}

#[test]
fn an_engine_that_forgets_at_a_restart_is_found() {
    let violation = drive(seed(2), "memory").expect_err("a memory engine forgets");
    println!("an engine that forgets is found in a history of {} calls", violation.events.len());
}

struct SharedClock(Arc<Recorder>);

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.now_ms())
    }
}

struct Worker<'a> {
    engine: &'a Engine,
    recorder: &'a Recorder,
    done: &'a AtomicU64,
    random: Random,
    number_first: u64,
    name_next: u64,
    events: Vec<Event>,
}

/// Drives an engine on a folder of its own and checks episode after episode. Returns also how often it was
/// started again.
fn drive(seed: u64, durability: &str) -> Result<(Tally, u64), Violation> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut random = Random(seed);
    let recorder = Arc::new(Recorder::new(1_700_000_000_000));
    let mut tally = Tally::default();
    let mut lives = 0;
    let operations_min = operations_min();
    while tally.operations < operations_min {
        let mut events = Vec::new();
        for _ in 0..LIVES {
            // Every other life finds what the last one stored beyond its memory.
            let beyond = if durability == "synced" && lives % 2 == 1 { "64MiB" } else { "0" };
            let engine = open(folder.path(), durability, beyond, &recorder);
            events.extend(life(lives, &engine, &recorder, &mut random));
            lives += 1;
        }
        tally.add(&check(events, OVERLAP_MAX)?);
    }
    Ok((tally, lives - 1))
}

fn open(folder: &Path, durability: &str, beyond: &str, recorder: &Arc<Recorder>) -> Engine {
    let mut config = Config::default();
    let folder = folder.to_str().expect("a plain path");
    let retention = format!("{RETENTION_MS}ms");
    for (name, value) in [
        ("memory", "64MiB"),
        ("beyond_memory", beyond),
        ("durability", durability),
        ("data", folder),
        ("retention", &retention),
    ] {
        config.set(name, value).expect("a property");
    }
    let clock = Arc::clone(recorder);
    let environment = Environment {
        clock: Box::new(move |earliest| {
            clock.advance_to(earliest.as_millis());
            Arc::new(SharedClock(clock))
        }),
        random: Arc::new(SystemRandom),
        report: Arc::new(|_, _| {}),
    };
    let engine = Engine::open(config, environment).expect("the engine opens");
    engine.start().expect("the engine starts");
    engine
}

/// Lets threads call until the engine is stopped under them.
fn life(life: u64, engine: &Engine, recorder: &Recorder, random: &mut Random) -> Vec<Event> {
    let done = &AtomicU64::new(0);
    let calls_until_stop = THREADS * CALLS * (50 + random.below(50)) / 100;
    thread::scope(|scope| {
        let started: Vec<_> = (0..THREADS)
            .map(|index| {
                let mut worker = Worker {
                    engine,
                    recorder,
                    done,
                    random: Random(random.next_word()),
                    number_first: life / LIVES * NUMBERS,
                    name_next: (life << 32) + (index << 24),
                    events: Vec::new(),
                };
                scope.spawn(move || {
                    worker.work();
                    worker.events
                })
            })
            .collect();
        while done.load(Ordering::SeqCst) < calls_until_stop {
            thread::sleep(Duration::from_millis(1));
        }
        engine.stop().expect("the engine stops");
        started.into_iter().flat_map(|thread| thread.join().expect("no thread panics")).collect()
    })
}

impl Worker<'_> {
    fn work(&mut self) {
        for _ in 0..CALLS {
            self.recorder.advance(self.random.below(8));
            let number = self.number_first + self.random.number(NUMBERS);
            let goes_on = match self.random.below(100) {
                0..30 => self.store(number),
                30..40 => self.store_batch(),
                _ => self.retrieve(number),
            };
            self.done.fetch_add(1, Ordering::SeqCst);
            if !goes_on {
                // The others wait for nobody.
                self.done.fetch_add(CALLS, Ordering::SeqCst);
                return;
            }
        }
    }

    /// Whether the engine is still there.
    fn store(&mut self, number: u64) -> bool {
        let name = self.name();
        let (from, invoked) = (self.recorder.now_ms(), self.recorder.stamp());
        let result = self.engine.store(to_number(number), &body(name));
        let responded = self.recorder.stamp();
        self.note(number, name, None, from, result.is_ok().then_some((invoked, responded)).ok_or(invoked));
        !result.is_err_and(|error| error.kind() == EngineErrorKind::State)
    }

    /// Whether the engine is still there.
    fn store_batch(&mut self) -> bool {
        let count = 1 + self.random.below(BATCH_MAX);
        let stored: Vec<(u64, u64)> =
            (0..count).map(|_| (self.number_first + self.random.number(NUMBERS), self.name())).collect();
        let bodies: Vec<Vec<u8>> = stored.iter().map(|&(_, name)| body(name)).collect();
        let batch: Vec<(TelephoneNumber, &[u8])> =
            stored.iter().zip(&bodies).map(|(&(number, _), body)| (to_number(number), &body[..])).collect();
        let (from, invoked) = (self.recorder.now_ms(), self.recorder.stamp());
        let results = self.engine.store_batch(&batch);
        let responded = self.recorder.stamp();
        let is_kept = |index: usize| results.as_ref().is_ok_and(|results| results[index].is_ok());
        for (index, &(number, name)) in stored.iter().enumerate() {
            let after = (0..index).rev().find(|&before| stored[before].0 == number && is_kept(before));
            let stamps = is_kept(index).then_some((invoked, responded)).ok_or(invoked);
            self.note(number, name, after.map(|before| stored[before].1), from, stamps);
        }
        !results.is_err_and(|error| error.kind() == EngineErrorKind::State)
    }

    fn name(&mut self) -> u64 {
        let name = self.name_next;
        self.name_next += 1;
        name
    }

    /// Notes a store with its two stamps if it was acknowledged, else with its first.
    fn note(
        &mut self,
        number: u64,
        name: u64,
        after: Option<u64>,
        from: u64,
        stamps: Result<(u64, u64), u64>,
    ) {
        let until = self.recorder.now_ms();
        let (outcome, invoked, responded) = match stamps {
            Ok((invoked, responded)) => (Outcome::Kept, invoked, responded),
            Err(invoked) => (Outcome::Unknown, invoked, u64::MAX),
        };
        let expiry = Expiry { min: from + RETENTION_MS, max: until + RETENTION_MS };
        let span = Span { from, until };
        let operation = Operation::Append { name, expiry, after, records_max: NO_BOUND, span, outcome };
        self.events.push(Event { number, invoked, responded, operation });
    }

    /// Whether the engine is still there.
    fn retrieve(&mut self, number: u64) -> bool {
        let from = self.recorder.now_ms();
        let invoked = self.recorder.stamp();
        let Ok(items) = self.engine.retrieve(to_number(number)) else { return false };
        let responded = self.recorder.stamp();
        let span = Span { from, until: self.recorder.now_ms() };
        let mut seen: Vec<Seen> = items.iter().filter_map(ours).collect();
        seen.sort_unstable_by_key(|one| one.name);
        let operation = Operation::Read { span, seen, order: Order::None };
        self.events.push(Event { number, invoked, responded, operation });
        true
    }
}

fn body(name: u64) -> Vec<u8> {
    let mut body = OURS.to_vec();
    body.extend_from_slice(&name.to_le_bytes());
    body.resize(BODY_BYTES, name.to_le_bytes()[0]);
    body
}

/// The placement behind an item; `None` for cover.
fn ours(item: &Item) -> Option<Seen> {
    let rest = item.body.strip_prefix(&OURS)?;
    let name = u64::from_le_bytes(*rest.first_chunk()?);
    assert_eq!(item.body, body(name), "a torn body");
    Some(Seen { name, expires_at: item.expires_at.as_millis() })
}

fn to_number(number: u64) -> TelephoneNumber {
    TelephoneNumber::parse(format!("1222{number:09}").as_bytes()).expect("thirteen digits")
}
