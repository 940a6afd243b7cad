//! The engine under measurement: opened, driven by threads as a host's, stopped.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use herald_runtime::core::{Clock, Retention, TelephoneNumber, Timestamp};
use herald_runtime::{Config, Engine, EngineError, EngineErrorKind, Environment, Level, SystemClock};

use super::Interrupt;
use super::ceilings::{self, WRITE_BUFFERED_ID, copy_id, write_id};
use super::drive::{Done, Tally, Until, run};
use super::plan::{BATCH, BODY_BYTES, NUMBERS, Plan, WAITING_THREADS};
use super::report::{Figure, Report};
use crate::output::{Failure, Output};

/// Stores and retrieves of an engine that keeps nothing on disk, and copies by turns with the stores.
pub(super) fn in_memory(plan: &Plan, report: &mut Report, interrupt: &Interrupt) -> Result<(), Failure> {
    let clock = Arc::new(Skipping::new());
    let engine = open(plan, &[("durability", "memory")], clock.clone(), report.is_json())?;
    let mut arena = ceilings::arena(plan)?;
    for threads in plan.widths() {
        let (mut copied, mut stored, mut batched) = (Vec::new(), Vec::new(), Vec::new());
        let (each, together) = (burst(plan, threads, 1), burst(plan, threads, BATCH));
        // The first run makes sessions and warms caches.
        run(storers(plan, &engine, threads), each, interrupt)?;
        let began = Instant::now();
        while stored.is_empty() || began.elapsed() < 3 * plan.share() {
            copied.push(ceilings::copy(plan, &mut arena, threads, each, interrupt)?);
            clock.skip_a_retention();
            stored.push(run(storers(plan, &engine, threads), each, interrupt)?);
            clock.skip_a_retention();
            batched.push(run(batchers(plan, &engine, threads), together, interrupt)?);
        }
        report.add(Figure::of(copy_id(threads), "copy in memory".into(), threads, &copied).with_bytes());
        let together = format!("store {BATCH} together, memory");
        for (id, what, runs) in
            [("store", "store, memory".to_owned(), stored), ("store-batch", together, batched)]
        {
            let figure = Figure::of(format!("{id}/memory/{threads}"), what, threads, &runs);
            report.add(figure.with_bytes().below(copy_id(threads)));
        }
    }
    drop(arena);
    clock.skip_a_retention();
    for threads in plan.widths() {
        let figure = retrieves(plan, &engine, threads, interrupt)?;
        report.add(figure);
    }
    Ok(engine.stop()?)
}

/// Stores that wait for the disk: one thread, then as many as may wait at once, then one with batches.
pub(super) fn synced(
    plan: &Plan,
    folder: &Path,
    report: &mut Report,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    let engine = open_in(plan, &folder.join("synced"), "synced", report.is_json())?;
    let until = Until { elapsed: plan.share(), placements: u64::MAX, stride: 1 };
    for threads in [1, WAITING_THREADS] {
        let run = run(storers(plan, &engine, threads), until, interrupt)?;
        let figure = Figure::of(format!("store/synced/{threads}"), "store, synced".into(), threads, &[run]);
        report.add(figure.with_bytes().below(write_id(threads)));
    }
    let run = run(batchers(plan, &engine, 1), until, interrupt)?;
    let figure =
        Figure::of("store-batch/synced/1".into(), format!("store {BATCH} together, synced"), 1, &[run]);
    report.add(figure.with_bytes().below(write_id(BATCH)));
    Ok(engine.stop()?)
}

/// Stores that the journal follows. The stop belongs to the run: only then has the disk seen all of them.
pub(super) fn buffered(
    plan: &Plan,
    folder: &Path,
    report: &mut Report,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    for threads in plan.widths() {
        let engine =
            open_in(plan, &folder.join(format!("buffered-{threads}")), "buffered", report.is_json())?;
        let until = Until { elapsed: 2 * plan.share(), placements: u64::MAX, stride: STRIDE };
        let mut run = run(storers(plan, &engine, threads), until, interrupt)?;
        let ended = Instant::now();
        engine.stop()?;
        run.elapsed += ended.elapsed();
        let figure =
            Figure::of(format!("store/buffered/{threads}"), "store, buffered".into(), threads, &[run]);
        report.add(figure.with_bytes().below(WRITE_BUFFERED_ID.into()));
    }
    Ok(())
}

/// Operations in memory between two looks at the clock, which costs a fifth of a store.
const STRIDE: u64 = 64;
/// Percent of the memory that one run in memory fills.
const BURST_PERCENT: usize = 40;
/// Bytes that a record takes besides its body, rounded up.
const RECORD_BYTES_BESIDES: usize = 64;
/// Runs of a figure in memory, if they do not end sooner because memory is filled.
const RUNS: u32 = 3;
/// Numbers that are retrieved, each with one placement among its cover.
const RETRIEVED_NUMBERS: u64 = 4096;
/// How long placements live that go to disk: short, so that memory is free again at the rate of a disk.
const JOURNALLED_RETENTION: &str = "1s";

/// A run that fills a share of the memory, so that nothing is refused, with operations of `together` placements.
fn burst(plan: &Plan, threads: usize, together: usize) -> Until {
    let records = plan.memory_bytes / 100 * BURST_PERCENT / (BODY_BYTES + RECORD_BYTES_BESIDES);
    let stride = STRIDE / STRIDE.min(together as u64);
    Until { elapsed: plan.share() / RUNS, placements: (records / threads) as u64, stride }
}

/// A storer for each thread, with numbers of its own.
fn storers<'a>(
    plan: &'a Plan,
    engine: &'a Engine,
    threads: usize,
) -> Vec<impl FnMut(u64) -> Done + Send + 'a> {
    let storer = |first| move |index: u64| store(plan, engine, first + index);
    firsts(threads).map(storer).collect()
}

/// A storer of batches for each thread, with numbers of its own.
fn batchers<'a>(
    plan: &'a Plan,
    engine: &'a Engine,
    threads: usize,
) -> Vec<impl FnMut(u64) -> Done + Send + 'a> {
    let batcher = |first| {
        let mut batch: Vec<(TelephoneNumber, &[u8])> = Vec::with_capacity(BATCH);
        move |index: u64| {
            batch.clear();
            batch.extend((index..).map(|index| (plan.number(first + index), plan.body(index))).take(BATCH));
            let kept = engine.store_batch(&batch);
            or_come_again(kept.map(|results| {
                let done = results.iter().filter(|result| result.is_ok()).count() as u64;
                Tally { done, refused: BATCH as u64 - done }
            }))
        }
    };
    firsts(threads).map(batcher).collect()
}

/// Where the numbers of each thread begin.
fn firsts(threads: usize) -> impl Iterator<Item = u64> {
    let share = NUMBERS / threads as u64;
    (0..threads as u64).map(move |thread| thread * share)
}

fn store(plan: &Plan, engine: &Engine, index: u64) -> Done {
    or_come_again(engine.store(plan.number(index), plan.body(index)).map(|id| {
        black_box(id);
        Tally::DONE
    }))
}

/// What the engine cannot take now is counted; other errors end the run.
fn or_come_again(result: Result<Tally, EngineError>) -> Done {
    match result {
        Err(error) if matches!(error.kind(), EngineErrorKind::Full | EngineErrorKind::Disk) => {
            Ok(Tally::REFUSED)
        }
        other => Ok(other?),
    }
}

/// Retrieves of numbers that have a placement.
fn retrieves(plan: &Plan, engine: &Engine, threads: usize, interrupt: &Interrupt) -> Result<Figure, Failure> {
    for index in 0..RETRIEVED_NUMBERS {
        store(plan, engine, index)?;
    }
    let retriever = |thread: usize| {
        move |index: u64| {
            let number = plan.number((thread as u64 + index) % RETRIEVED_NUMBERS);
            black_box(engine.retrieve(number)?);
            Ok(Tally::DONE)
        }
    };
    let until = Until { elapsed: plan.share(), placements: u64::MAX, stride: 1 };
    let run = run((0..threads).map(retriever).collect(), until, interrupt)?;
    Ok(Figure::of(format!("retrieve/{threads}"), "retrieve among cover".into(), threads, &[run]))
}

fn open_in(plan: &Plan, folder: &Path, durability: &str, json: bool) -> Result<Engine, Failure> {
    let folder = folder.to_string_lossy();
    let properties = [("durability", durability), ("data", &folder), ("retention", JOURNALLED_RETENTION)];
    open(plan, &properties, Arc::new(Skipping::new()), json)
}

fn open(
    plan: &Plan,
    properties: &[(&str, &str)],
    clock: Arc<Skipping>,
    json: bool,
) -> Result<Engine, Failure> {
    let mut config = Config::default();
    config.set("memory", &plan.memory_bytes.to_string()).map_err(Failure::usage)?;
    properties.iter().try_for_each(|(name, value)| config.set(name, value)).map_err(Failure::usage)?;
    let report = move |level: Level, message: &str| {
        if level > Level::Info {
            Output::report(json, level, message);
        }
    };
    let environment = Environment { clock: Box::new(|_| clock), ..Environment::system(report) };
    let engine = Engine::open(config, environment)?;
    engine.start()?;
    Ok(engine)
}

/// The machine's clock, which can be told that a retention has passed: memory is empty then.
struct Skipping {
    clock: SystemClock,
    skipped_ms: AtomicU64,
}

impl Skipping {
    fn new() -> Self {
        Self { clock: SystemClock::starting_at(Timestamp::default()), skipped_ms: AtomicU64::new(0) }
    }

    /// Between runs only.
    fn skip_a_retention(&self) {
        // Relaxed: the threads of the next run are started after it.
        self.skipped_ms.fetch_add(Retention::DEFAULT.as_millis() + 1, Ordering::Relaxed);
    }
}

impl Clock for Skipping {
    fn now(&self) -> Timestamp {
        // Relaxed: only the value counts.
        self.clock.now().plus_millis(self.skipped_ms.load(Ordering::Relaxed))
    }
}
