//! What is looked at: the log and the engine as their users call them, and three that misbehave on purpose.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use herald_core::limits::{BODY_BUCKETS_BYTES, RECORDS_PER_NUMBER_MAX};
use herald_core::{Clock, NewPlacement, PlacementId, PlacementStore, Refusal, TelephoneNumber, Timestamp};
use herald_log::{LogConfig, LogHandle, PlacementLog};
use herald_runtime::{Config, Engine, EngineErrorKind, Environment, SystemRandom};

/// One operation of one thread: whether it was done, not refused because memory was full. The clock runs with the
/// operations, so a thread that loses its processor inside the log delays reuse for long ticks.
pub(crate) type Work = Box<dyn FnMut(u64) -> bool + Send>;

/// One thing that is looked at.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) threads: usize,
    pub(crate) conduct: Conduct,
    /// Makes the work of each thread.
    pub(crate) prepare: fn(usize) -> Vec<Work>,
}

/// What must be seen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Conduct {
    /// No allocation and no system call.
    Quiet,
    /// Allocations: a control.
    Allocates,
    /// This system call: a control.
    Enters(&'static str),
}

impl Subject {
    const fn new(
        name: &'static str,
        threads: usize,
        conduct: Conduct,
        prepare: fn(usize) -> Vec<Work>,
    ) -> Self {
        Self { name, threads, conduct, prepare }
    }
}

/// All of them, controls last.
pub(crate) const SUBJECTS: &[Subject] = &[
    Subject::new("log: append", 1, Conduct::Quiet, appends),
    Subject::new("log: append, two threads", 2, Conduct::Quiet, appends),
    Subject::new("log: append in batches, two threads", 2, Conduct::Quiet, batches),
    Subject::new("log: walk beside appends", 2, Conduct::Quiet, appends_and_walks),
    Subject::new("engine: store in memory", 1, Conduct::Quiet, engine_stores),
    Subject::new("engine: store in memory, two threads", 2, Conduct::Quiet, engine_stores),
    Subject::new("control: a body copied now and then", 1, Conduct::Allocates, |threads| {
        appends_after(threads, || drop(black_box(BODY.to_vec())))
    }),
    Subject::new(
        "control: one log behind a lock for two",
        2,
        Conduct::Enters("futex"),
        appends_behind_a_lock,
    ),
    Subject::new("control: a turn given away now and then", 1, Conduct::Enters("sched_yield"), |threads| {
        appends_after(threads, std::thread::yield_now)
    }),
];

static BODY: [u8; BODY_BUCKETS_BYTES[0]] = [0x5a; BODY_BUCKETS_BYTES[0]];
/// Different numbers that placements go to.
const NUMBERS: u64 = 8192;
/// Memory for placements: it goes round some thirty times.
const ARENA_BYTES: usize = 16 << 20;
const SEGMENT_BYTES: usize = 64 << 10;
/// The engine's memory, which has room for a retention of its clock's ticks.
const ENGINE_MEMORY: &str = "96MiB";
/// Placements of a batch.
const TOGETHER: usize = 16;
/// How many ticks of the log's clock a placement lives: half the arena is live.
const LIFE_TICKS: u64 = 10_000;
const BEGIN: Timestamp = Timestamp::from_millis(1_800_001_812_345);
/// How often a control misbehaves: each so many operations.
const SELDOM: u64 = 1000;
/// Turns of a loop that a lock is held for, so that the other thread comes to wait.
const HELD_TURNS: u32 = 10_000;

/// A clock of which every look is a millisecond later than the last.
#[derive(Default)]
struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        // Relaxed: only the value counts.
        BEGIN.plus_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// A log and what its threads share.
struct Bed {
    log: Arc<PlacementLog>,
    clock: Arc<Ticking>,
    numbers: Arc<[TelephoneNumber]>,
}

impl Bed {
    fn new(threads: usize) -> Self {
        let config = LogConfig {
            arena_bytes: ARENA_BYTES,
            segment_bytes: SEGMENT_BYTES,
            hash_key: [7; 32],
            handles_max: threads,
        };
        let log = PlacementLog::create(config).expect("a few MiB of memory");
        Self { log, clock: Arc::default(), numbers: numbers() }
    }

    fn append(&self) -> impl FnMut(&mut LogHandle, u64) -> bool + Send + 'static {
        let (clock, numbers) = (self.clock.clone(), self.numbers.clone());
        move |handle, index| {
            let now = clock.now();
            handle.append(&placement(&numbers, index, now), RECORDS_PER_NUMBER_MAX, now).is_ok()
        }
    }

    fn handle(&self) -> LogHandle {
        self.log.handle().expect("one for each thread")
    }
}

fn appends(threads: usize) -> Vec<Work> {
    appends_after(threads, || ())
}

/// Appends, each thousandth after `first`.
fn appends_after(threads: usize, first: fn()) -> Vec<Work> {
    let bed = Bed::new(threads);
    let work = |_| -> Work {
        let (mut handle, mut append) = (bed.handle(), bed.append());
        Box::new(move |index| {
            if index % SELDOM == 0 {
                first();
            }
            append(&mut handle, index)
        })
    };
    (0..threads).map(work).collect()
}

/// Each [`TOGETHER`]th time appends for all of them; each time says whether its own placement was taken.
fn batches(threads: usize) -> Vec<Work> {
    let bed = Bed::new(threads);
    let work = |_| -> Work {
        let (mut handle, clock, numbers) = (bed.handle(), bed.clock.clone(), bed.numbers.clone());
        let mut results = [Err(Refusal::StoreFull); TOGETHER];
        Box::new(move |index| {
            let now = clock.now();
            let place = index as usize % TOGETHER;
            if place == 0 {
                let batch: [_; TOGETHER] =
                    std::array::from_fn(|place| placement(&numbers, index + place as u64, now));
                handle.append_batch(&batch, RECORDS_PER_NUMBER_MAX, now, &mut results);
            }
            results[place].is_ok()
        })
    };
    (0..threads).map(work).collect()
}

/// One thread appends, the others walk.
fn appends_and_walks(threads: usize) -> Vec<Work> {
    let bed = Bed::new(threads);
    let (mut handle, mut append) = (bed.handle(), bed.append());
    let mut works: Vec<Work> = vec![Box::new(move |index| append(&mut handle, index))];
    for _ in 1..threads {
        let (mut handle, clock, numbers) = (bed.handle(), bed.clock.clone(), bed.numbers.clone());
        works.push(Box::new(move |index| {
            handle.for_each_live(number(&numbers, index), clock.now(), &mut |item| {
                black_box(item.body);
            });
            true
        }));
    }
    works
}

fn appends_behind_a_lock(threads: usize) -> Vec<Work> {
    let bed = Bed::new(1);
    let handle = Arc::new(Mutex::new(bed.handle()));
    let work = |_| -> Work {
        let (handle, mut append) = (handle.clone(), bed.append());
        Box::new(move |index| {
            let mut handle = handle.lock().expect("no thread panics");
            if index % SELDOM == 0 {
                (0..HELD_TURNS).for_each(|_| std::hint::spin_loop());
            }
            append(&mut handle, index)
        })
    };
    (0..threads).map(work).collect()
}

fn engine_stores(threads: usize) -> Vec<Work> {
    let mut config = Config::default();
    for (name, value) in [("durability", "memory"), ("memory", ENGINE_MEMORY)] {
        config.set(name, value).expect("a property of the engine");
    }
    let environment = Environment {
        clock: Box::new(|_| Arc::new(Ticking::default())),
        random: Arc::new(SystemRandom),
        report: Arc::new(|_, _| ()),
    };
    let engine = Arc::new(Engine::open(config, environment).expect("96 MiB of memory"));
    engine.start().expect("nothing to bind");
    let numbers = numbers();
    let work = |_| -> Work {
        let (engine, numbers) = (engine.clone(), numbers.clone());
        Box::new(move |index| match engine.store(number(&numbers, index), &BODY) {
            Ok(_) => true,
            Err(error) if error.kind() == EngineErrorKind::Full => false,
            Err(error) => panic!("a store into memory: {error}"),
        })
    };
    (0..threads).map(work).collect()
}

fn placement(numbers: &[TelephoneNumber], index: u64, now: Timestamp) -> NewPlacement<'static> {
    NewPlacement {
        number: number(numbers, index),
        id: PlacementId::from_bytes(u128::from(index).to_le_bytes()),
        expires_at: now.plus_millis(LIFE_TICKS),
        body: &BODY,
    }
}

fn numbers() -> Arc<[TelephoneNumber]> {
    let number = |index| TelephoneNumber::parse(format!("1222{index:07}").as_bytes()).expect("eleven digits");
    (0..NUMBERS).map(number).collect()
}

fn number(numbers: &[TelephoneNumber], index: u64) -> TelephoneNumber {
    numbers[usize::try_from(index % NUMBERS).expect("an index")]
}
