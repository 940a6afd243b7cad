//! Threads on a log that goes round: appends, walks and a clock that moves on with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use herald_core::{NewPlacement, PlacementId, PlacementStore, Refusal, TelephoneNumber, Timestamp};
use herald_log::{LogConfig, LogHandle, PlacementLog, limits};

use crate::check::{Tally, Violation, check};
use crate::history::{Event, Recorder};
use crate::model::{Expiry, Operation, Order, Outcome, Seen, Span};
use crate::random::Random;

const THREADS: usize = 4;
/// Numbers of an episode: few, so that calls meet on one; the next episode takes fresh ones.
const NUMBERS: u64 = 24;
/// Calls of a thread in an episode.
const CALLS: u64 = 250;
const RETENTION_MS: u64 = 200;
/// A bound that is never reached.
const NO_BOUND: u32 = 10_000;

/// How a log is driven.
#[derive(Clone, Copy, Debug)]
pub struct LogPlan {
    /// Decides the calls, not how threads interleave.
    pub seed: u64,
    /// At least so many calls are checked.
    pub operations_min: usize,
}

struct Worker<'a, S> {
    recorder: &'a Recorder,
    store: &'a mut S,
    random: Random,
    /// The first of the episode's numbers.
    number_first: u64,
    name_next: u64,
    events: Vec<Event>,
}

/// Drives a log through handles that `wrap` may change, and checks episode after episode.
///
/// # Errors
/// The first history that is not linearizable.
///
/// # Panics
/// If the log cannot be made, or memory never went round.
pub fn drive_log<S: PlacementStore + Send>(
    plan: LogPlan,
    mut wrap: impl FnMut(LogHandle) -> S,
) -> Result<Tally, Violation> {
    let mut random = Random(plan.seed);
    let log = small_log(&mut random);
    let mut stores: Vec<S> = (0..THREADS).map(|_| wrap(log.handle().expect("one each"))).collect();
    let recorder = Recorder::new(1_700_000_000_000);
    let mut tally = Tally::default();
    for episode in 0.. {
        if tally.operations >= plan.operations_min {
            break;
        }
        tally.add(&check(episode_of(episode, &mut stores, &recorder, &mut random))?);
    }
    let rounds = log.stats().segments_opened / segments();
    let calls = u64::try_from(plan.operations_min).expect("small");
    assert!(rounds >= calls / 10_000, "memory went round {rounds} times in {calls} calls");
    Ok(tally)
}

fn segments() -> u64 {
    u64::try_from(limits::SEGMENTS_PER_HANDLE_MIN * THREADS).expect("small")
}

/// The smallest there may be for the threads.
fn small_log(random: &mut Random) -> Arc<PlacementLog> {
    let mut hash_key = [0; 32];
    hash_key.fill_with(|| random.next().to_le_bytes()[0]);
    PlacementLog::create(LogConfig {
        arena_bytes: THREADS * limits::SEGMENTS_PER_HANDLE_MIN * limits::SEGMENT_BYTES_MIN,
        segment_bytes: limits::SEGMENT_BYTES_MIN,
        hash_key,
        handles_max: THREADS,
    })
    .expect("a valid configuration")
}

fn episode_of<S: PlacementStore + Send>(
    episode: u64,
    stores: &mut [S],
    recorder: &Recorder,
    random: &mut Random,
) -> Vec<Event> {
    // Threads wait for each other in a loop, not asleep, or one would be done before the next has woken.
    let waiting = &AtomicUsize::new(stores.len());
    thread::scope(|scope| {
        let started: Vec<_> = (0..)
            .zip(stores)
            .map(|(index, store)| {
                let mut worker = Worker {
                    recorder,
                    store,
                    random: Random(random.next()),
                    number_first: episode * NUMBERS,
                    name_next: (episode << 32) + (index << 24),
                    events: Vec::new(),
                };
                scope.spawn(move || {
                    waiting.fetch_sub(1, Ordering::SeqCst);
                    while waiting.load(Ordering::SeqCst) > 0 {
                        thread::yield_now();
                    }
                    worker.work();
                    worker.events
                })
            })
            .collect();
        started.into_iter().flat_map(|thread| thread.join().expect("no thread panics")).collect()
    })
}

impl<S: PlacementStore> Worker<'_, S> {
    fn work(&mut self) {
        for _ in 0..CALLS {
            self.recorder.advance(self.random.below(2));
            let number = self.number_first + self.random.number(NUMBERS);
            let now_ms = self.recorder.now_ms();
            if self.random.once_in(8) {
                // Comes back with a clock that others have seen move on.
                thread::yield_now();
            }
            if self.random.below(100) < 55 { self.append(number, now_ms) } else { self.walk(number, now_ms) }
        }
    }

    fn append(&mut self, number: u64, now_ms: u64) {
        let name = self.name_next;
        self.name_next += 1;
        let records_max = if self.random.once_in(3) {
            u32::try_from(1 + self.random.below(12)).expect("small")
        } else {
            NO_BOUND
        };
        let body = body(name, 16 + self.random.below(1200));
        let expires_ms = now_ms + RETENTION_MS;
        self.recorder.note_expiry(expires_ms);
        let placement = NewPlacement {
            number: to_number(number),
            id: to_id(name),
            expires_at: at(expires_ms),
            body: &body,
        };
        let invoked = self.recorder.stamp();
        let result = self.store.append(&placement, records_max, at(now_ms));
        let responded = self.recorder.stamp();
        let outcome = match result {
            Ok(()) => Outcome::Kept,
            Err(Refusal::NumberFull) => Outcome::NumberFull,
            // Always allowed, and nothing was kept.
            Err(Refusal::StoreFull) => return,
        };
        let expiry = Expiry { min: expires_ms, max: self.recorder.expiry_max() };
        let span = Span { from: now_ms, until: self.recorder.now_ms() };
        let records_max = usize::try_from(records_max).expect("usize has 64 bits");
        let operation = Operation::Append { name, expiry, records_max, span, outcome };
        self.events.push(Event { number, invoked, responded, operation });
    }

    fn walk(&mut self, number: u64, now_ms: u64) {
        let mut seen = Vec::new();
        let invoked = self.recorder.stamp();
        self.store.for_each_live(to_number(number), at(now_ms), &mut |item| {
            let name = u64::from_le_bytes(*item.id.as_bytes().first_chunk().expect("16 bytes"));
            assert_eq!(item.body, body(name, wide(item.body.len())), "the body of another placement");
            seen.push(Seen { name, expires_at: item.expires_at.as_millis() });
        });
        let responded = self.recorder.stamp();
        let span = Span { from: now_ms, until: self.recorder.now_ms() };
        let operation = Operation::Read { span, seen, order: Order::NewestFirst };
        self.events.push(Event { number, invoked, responded, operation });
    }
}

/// The bytes that only this placement has.
fn body(name: u64, length: u64) -> Vec<u8> {
    let mut random = Random(name);
    let mut bytes = Vec::new();
    while wide(bytes.len()) < length {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(usize::try_from(length).expect("a body fits into memory"));
    bytes
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).expect("usize has 64 bits")
}

fn to_id(name: u64) -> PlacementId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&name.to_le_bytes());
    PlacementId::from_bytes(bytes)
}

fn to_number(number: u64) -> TelephoneNumber {
    TelephoneNumber::parse(format!("1222{number:09}").as_bytes()).expect("thirteen digits")
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}
