//! The same placements for the log, the service and every peer: 600 bytes (640 through the service, its smallest
//! size) for ten million numbers, called evenly or by Zipf's law, each live for 60 s.
//!
//! For the log, the service and the map the 60 s are those of a virtual clock that keeps three fifths of the arena
//! live, so that memory goes round and expiry is part of what is measured; the other peers have a clock of their
//! own, and what is stored stays live. The memory of the log and of the copies is faulted in before the first run; the
//! peers take theirs as they go.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use clap::Args;
use herald_core::{TelephoneNumber, Timestamp};
use herald_log::limits::record_bytes;
use herald_log::{LogHandle, PlacementLog};
use memmap2::{Advice, MmapMut};

use crate::failure::Failure;
use crate::limits::{RUN_SECONDS_MAX, SEGMENT_BYTES, THREADS_MAX, WORDS_PER_RECORD, ZIPF_FILL_SHARE};
use crate::measure::{self, Course, Mix, Rate};
use crate::report::{self, COPY, Case, Figure, LOG, READS};
use crate::results;
use crate::setup::{self, BODY_BYTES, HEADER_BYTES, handles, log_of, workload_of};
#[cfg(target_arch = "x86_64")]
use crate::stores::Streaming;
use crate::stores::{
    Batched, Cached, Chasing, Copying, Indexing, Listed, Lists, Mapped, Memcached, Raw, Redis, Retrieving,
    Served, ServedBatched, Storing, Writes,
};
use crate::workload::{BEGIN, Distribution, Picked, Workload};

/// Bytes of a body given to the service: the smallest size it takes.
const SERVED_BODY_BYTES: usize = herald_core::limits::BODY_BUCKETS_BYTES[0];
const INDEXED_COPY: &str = "memcpy, and one random word of an index";
#[cfg(target_arch = "x86_64")]
const STREAM: &str = "copy past the caches";
const LISTS: &str = "lists of the same records, without a log";
const LOG_OF_ONE: &str = "log, numbers with one live record";
const LOG_BATCHED: &str = "log, batches of 64";
const SERVICE_BATCHED: &str = "service over the log, batches of 64";
const SERVICE: &str = "service over the log";
const MAP: &str = "DashMap of Vec";
const CACHE: &str = "moka";
const REDIS: &str = "Redis, pipelines of 64";
const MEMCACHED: &str = "memcached, pipelines of 64";
const ROCKS_SINGLE: &str = "RocksDB, a Put each";
const ROCKS_BATCHED: &str = "RocksDB, batches of 64";
const ROCKS_SINGLE_LOGGED: &str = "RocksDB, a Put each, write-ahead log";
const ROCKS_BATCHED_LOGGED: &str = "RocksDB, batches of 64, write-ahead log";

/// Which rows of the targets are whose.
pub(crate) const ROWS: [(&str, Mix, &str); 15] = [
    (COPY, Mix::STORE, "memcpy"),
    (INDEXED_COPY, Mix::STORE, "indexed_copy"),
    (READS, Mix::RETRIEVE, "memory_read"),
    (LISTS, Mix::RETRIEVE, "lists"),
    (LOG, Mix::STORE, "store"),
    (LOG, Mix::RETRIEVE, "retrieve"),
    (LOG_OF_ONE, Mix::RETRIEVE, "retrieve_of_one"),
    (LOG_BATCHED, Mix::STORE, "store_batch"),
    (LOG_BATCHED, Mix::RETRIEVE, "retrieve_batch"),
    (MAP, Mix::STORE, "dashmap_store"),
    (CACHE, Mix::STORE, "moka_store"),
    (REDIS, Mix::STORE, "redis_store"),
    (MEMCACHED, Mix::STORE, "memcached_store"),
    (ROCKS_SINGLE, Mix::STORE, "rocksdb_store"),
    (ROCKS_BATCHED, Mix::STORE, "rocksdb_store_batch"),
];

/// The workloads that are compared, and the retrieves alone that the log has a target for.
const CASES: [(Distribution, Mix); 7] = [
    (Distribution::Uniform, Mix::STORE),
    (Distribution::Uniform, Mix::RETRIEVE),
    (Distribution::Uniform, Mix::ONE_TO_ONE),
    (Distribution::Uniform, Mix::ONE_TO_TWO),
    (Distribution::Zipf, Mix::STORE),
    (Distribution::Zipf, Mix::ONE_TO_ONE),
    (Distribution::Zipf, Mix::ONE_TO_TWO),
];

/// The options of `stores`.
#[derive(Args)]
pub(crate) struct Options {
    /// Memory of the log, in MiB; the copy and the lists take as much again each, the map up to twice.
    #[arg(long, default_value_t = 4096)]
    arena_mib: usize,
    /// Runs of each measurement; the tables show their median.
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// Seconds of one run.
    #[arg(long, default_value_t = 0.25)]
    seconds: f64,
    /// Fill the peers with a tenth, to see that everything runs.
    #[arg(long)]
    quick: bool,
    /// The socket of a Redis server that may be filled; without it Redis is left out.
    #[arg(long)]
    redis: Option<PathBuf>,
    /// The socket of a memcached that may be filled; without it memcached is left out.
    #[arg(long)]
    memcached: Option<PathBuf>,
    /// A folder, not there yet, for a RocksDB; without it RocksDB is left out.
    #[arg(long = "rocksdb")]
    rocks: Option<PathBuf>,
}

/// How a measurement is run.
#[derive(Clone, Copy)]
struct Plan {
    arena_bytes: usize,
    runs: u32,
    run: Duration,
    quick: bool,
}

/// The numbers of each distribution.
struct Draws {
    uniform: Vec<TelephoneNumber>,
    zipf: Vec<TelephoneNumber>,
}

impl Draws {
    fn of(&self, distribution: Distribution) -> &[TelephoneNumber] {
        match distribution {
            Distribution::Uniform => &self.uniform,
            Distribution::Zipf => &self.zipf,
        }
    }
}

/// Runs all of it and returns the tables.
pub(crate) fn compare(options: &Options) -> Result<String, Failure> {
    let plan = plan(options)?;
    let draws = Draws { uniform: Distribution::Uniform.draws(), zipf: Distribution::Zipf.draws() };
    let mut figures = of_the_log(plan, &draws)?;
    figures.extend(of_the_map(plan, &draws)?);
    eprintln!("compare: {CACHE}");
    let cache = Cached::new();
    figures.extend(of_a_peer(plan, &draws, CACHE, &CASES, || Ok(cache.clone()))?);
    drop(cache);
    if let Some(folder) = &options.rocks {
        figures.extend(of_rocksdb(plan, &draws, folder)?);
    }
    if let Some(socket) = &options.redis {
        eprintln!("compare: {REDIS}");
        figures.extend(of_a_peer(plan, &draws, REDIS, &CASES, || Redis::open(socket))?);
    }
    if let Some(socket) = &options.memcached {
        eprintln!("compare: {MEMCACHED}");
        figures.extend(of_a_peer(plan, &draws, MEMCACHED, &CASES, || Memcached::open(socket))?);
    }
    report::record(&figures, &ROWS)?;
    results::draw("perf.svg", &report::bars(&figures))?;
    Ok(format!(
        "### In process and beside other stores\n\n\
         ![Placements stored per second](perf.svg)\n\n{}\n### Workloads\n\n{}",
        report::table(&figures),
        report::workloads(&figures)
    ))
}

fn plan(options: &Options) -> Result<Plan, Failure> {
    let (arena_bytes, runs) = (setup::arena_bytes(options.arena_mib)?, setup::runs(options.runs)?);
    if !(options.seconds > 0.0 && options.seconds <= RUN_SECONDS_MAX) {
        return Err(Failure::Options("--seconds takes more than 0, at most 60"));
    }
    let run = Duration::from_secs_f64(options.seconds);
    Ok(Plan { arena_bytes, runs, run, quick: options.quick })
}

/// The log beside the limits of memory, then the service over the same log: memory is faulted in once.
fn of_the_log(plan: Plan, draws: &Draws) -> Result<Vec<Figure>, Failure> {
    let log = log_of(plan.arena_bytes, SEGMENT_BYTES)?;
    let mut begin = BEGIN;
    let mut figures = Vec::new();
    for distribution in Distribution::ALL {
        eprintln!("compare: {LOG}, {distribution:?}");
        let workload = workload_of(draws.of(distribution), plan.arena_bytes, BODY_BYTES);
        let course = Course::new(&workload, begin);
        fill(&course, &workload, distribution, &mut handles(&log, 1)?)?;
        if distribution == Distribution::Uniform {
            figures.extend(log_beside_memory(plan, &course, &log)?);
            course.prove(&mut log.handle()?, true)?;
        }
        for (_, mix) in CASES.into_iter().filter(|(of, _)| *of == distribution) {
            let is_measured =
                |figure: &Figure| figure.case.mix == mix && figure.case.distribution == distribution;
            if figures.iter().any(|figure| figure.case.store == LOG && is_measured(figure)) {
                continue;
            }
            for threads in 1..=THREADS_MAX {
                let mut handles = handles(&log, threads)?;
                let (mut single, mut batched) = (Vec::new(), Vec::new());
                for _ in 0..plan.runs {
                    single.push(run(plan, &course, &mut handles, (distribution, mix))?);
                    batched.push(run(plan, &course, &mut in_batches(&mut handles), (distribution, mix))?);
                }
                let figure = |store, runs: &[Rate]| {
                    Figure::new(Case { store, distribution, mix, threads }, BODY_BYTES, runs)
                };
                figures.extend([figure(LOG, &single), figure(LOG_BATCHED, &batched)]);
            }
        }
        begin = course.now();
    }
    figures.extend(of_the_service(plan, draws, &log, begin)?);
    Ok(figures)
}

/// The service. What was stored in the log so far expires while it fills the memory.
fn of_the_service(
    plan: Plan,
    draws: &Draws,
    log: &Arc<PlacementLog>,
    begin: Timestamp,
) -> Result<Vec<Figure>, Failure> {
    eprintln!("compare: {SERVICE}");
    let distribution = Distribution::Uniform;
    let workload = workload_of(draws.of(distribution), plan.arena_bytes, SERVED_BODY_BYTES);
    let course = Course::new(&workload, begin);
    let served = |threads| -> Result<Vec<_>, Failure> {
        let seeds_and_handles = (1..).zip(handles(log, threads)?);
        Ok(seeds_and_handles.map(|(seed, handle)| Served::new(handle, seed, begin)).collect())
    };
    course.fill(&mut served(1)?)?;
    let mut figures = Vec::new();
    for mix in [Mix::STORE, Mix::RETRIEVE] {
        for threads in 1..=THREADS_MAX {
            let runs = runs(plan, &course, &mut served(threads)?, (distribution, mix))?;
            let case = Case { store: SERVICE, distribution, mix, threads };
            figures.push(Figure::new(case, SERVED_BODY_BYTES, &runs));
        }
    }
    for threads in 1..=THREADS_MAX {
        let mut batched: Vec<_> = served(threads)?.into_iter().map(ServedBatched::new).collect();
        let run = |_| sound(course.run_stores(&mut batched, plan.run)?, distribution);
        let runs = (0..plan.runs).map(run).collect::<Result<Vec<_>, _>>()?;
        let case = Case { store: SERVICE_BATCHED, distribution, mix: Mix::STORE, threads };
        figures.push(Figure::new(case, SERVED_BODY_BYTES, &runs));
    }
    course.prove(&mut served(1)?[0], true)?;
    Ok(figures)
}

/// An arena as the log's: of the same size, in huge pages if there are any, faulted in.
fn copy_arena(plan: Plan) -> Result<MmapMut, Failure> {
    let mut arena = MmapMut::map_anon(plan.arena_bytes).map_err(Failure::Map)?;
    // A wish, as the log's is.
    arena.advise(Advice::HugePage).ok();
    arena.fill(1);
    Ok(arena)
}

/// What has a turn: who, what it does, and on how many threads.
type Turn = (&'static str, Mix, usize);

/// The log and the limits of memory by turns, on one thread and on two, so that a change of the machine's mood meets all.
fn log_beside_memory(
    plan: Plan,
    course: &Course<'_>,
    log: &Arc<PlacementLog>,
) -> Result<Vec<Figure>, Failure> {
    let (mut arena, mut lists_arena) = (copy_arena(plan)?, copy_arena(plan)?);
    let mut lists = Lists::new(&mut lists_arena);
    let words = plan.arena_bytes / record_bytes(BODY_BYTES) * WORDS_PER_RECORD;
    let index: Vec<AtomicU64> = (0..words).map(|_| AtomicU64::new(0)).collect();
    let mut runs: Vec<(Turn, Vec<Rate>)> = Vec::new();
    for _ in 0..plan.runs {
        for threads in 1..=THREADS_MAX {
            let mut turn =
                |store, mix, rate: Rate| match runs.iter_mut().find(|(of, _)| *of == (store, mix, threads)) {
                    Some((_, rates)) => rates.push(rate),
                    None => runs.push(((store, mix, threads), vec![rate])),
                };
            let (mut handles, copy_course) = (handles(log, threads)?, course.beginning_again());
            let share_bytes = plan.arena_bytes / threads;
            let mut chases: Vec<_> = (1..=threads).map(|seed| Chasing::new(&arena, seed)).collect();
            turn(READS, Mix::RETRIEVE, measure::run_chases(&mut chases, plan.run)?);
            let shares = arena.chunks_exact_mut(share_bytes);
            let mut copies: Vec<_> = shares.map(|share| Copying::new(share, HEADER_BYTES)).collect();
            turn(COPY, Mix::STORE, copy_course.run_stores(&mut copies, plan.run)?);
            let mut indexing: Vec<_> =
                copies.into_iter().map(|copying| Indexing::new(copying, &index)).collect();
            turn(INDEXED_COPY, Mix::STORE, copy_course.run_stores(&mut indexing, plan.run)?);
            #[cfg(target_arch = "x86_64")]
            {
                let shares = arena.chunks_exact_mut(share_bytes);
                let mut streams: Vec<_> = shares.map(|share| Streaming::new(share, HEADER_BYTES)).collect();
                turn(STREAM, Mix::STORE, copy_course.run_stores(&mut streams, plan.run)?);
            }
            for mix in [Mix::STORE, Mix::RETRIEVE] {
                let case = (Distribution::Uniform, mix);
                if mix == Mix::RETRIEVE {
                    course.keep_up(&mut lists);
                    let mut listed: Vec<_> = (0..threads).map(|_| Listed(&lists)).collect();
                    let listed = course.run_retrieves(&mut listed, Picked::AsStored, plan.run)?;
                    turn(LISTS, mix, sound(listed, case.0)?);
                    let of_one = course.run_retrieves(&mut handles, Picked::WithOne, plan.run)?;
                    turn(LOG_OF_ONE, mix, sound(of_one, case.0)?);
                }
                turn(LOG, mix, run(plan, course, &mut handles, case)?);
                turn(LOG_BATCHED, mix, run(plan, course, &mut in_batches(&mut handles), case)?);
            }
        }
    }
    // In the table, first what one thread does.
    runs.sort_by_key(|((_, _, threads), _)| *threads);
    let figures = runs.into_iter().map(|((store, mix, threads), rates)| {
        let body_bytes = if store == READS { 1 } else { BODY_BYTES };
        let distribution = Distribution::Uniform;
        Figure::new(Case { store, distribution, mix, threads }, body_bytes, &rates)
    });
    Ok(figures.collect())
}

/// The map. What has expired under numbers that were not called again is swept between runs, off the clock.
fn of_the_map(plan: Plan, draws: &Draws) -> Result<Vec<Figure>, Failure> {
    let (map, mut begin) = (Mapped::default(), BEGIN);
    let mut figures = Vec::new();
    for distribution in Distribution::ALL {
        eprintln!("compare: {MAP}, {distribution:?}");
        let workload = workload_of(draws.of(distribution), plan.arena_bytes, BODY_BYTES);
        let course = Course::new(&workload, begin);
        fill(&course, &workload, distribution, &mut [map.clone()])?;
        for (_, mix) in CASES.into_iter().filter(|(of, _)| *of == distribution) {
            for threads in 1..=THREADS_MAX {
                map.sweep(course.now());
                let runs = runs(plan, &course, &mut vec![map.clone(); threads], (distribution, mix))?;
                figures.push(Figure::new(Case { store: MAP, distribution, mix, threads }, BODY_BYTES, &runs));
            }
        }
        if distribution == Distribution::Uniform {
            course.prove(&mut map.clone(), true)?;
        }
        begin = course.now();
    }
    Ok(figures)
}

/// A store with a clock of its own. `open` gives a thread its way into it.
fn of_a_peer<S: Storing + Retrieving>(
    plan: Plan,
    draws: &Draws,
    store: &'static str,
    cases: &[(Distribution, Mix)],
    open: impl Fn() -> Result<S, Failure>,
) -> Result<Vec<Figure>, Failure> {
    let mut figures = Vec::new();
    for distribution in Distribution::ALL {
        let workload = Workload::in_real_time(draws.of(distribution), BODY_BYTES, plan.quick);
        let course = Course::new(&workload, BEGIN);
        let mut cases = cases.iter().filter(|(of, _)| *of == distribution).peekable();
        if cases.peek().is_some() {
            fill(&course, &workload, distribution, &mut [open()?])?;
            course.prove(&mut open()?, false)?;
        }
        for &(_, mix) in cases {
            for threads in 1..=THREADS_MAX {
                let mut stores = (0..threads).map(|_| open()).collect::<Result<Vec<_>, _>>()?;
                let runs = runs(plan, &course, &mut stores, (distribution, mix))?;
                figures.push(Figure::new(Case { store, distribution, mix, threads }, BODY_BYTES, &runs));
            }
        }
    }
    Ok(figures)
}

/// RocksDB in four ways; those with a write-ahead log only where the difference shows.
fn of_rocksdb(plan: Plan, draws: &Draws, folder: &Path) -> Result<Vec<Figure>, Failure> {
    let only_stores = &CASES[..1];
    let ways = [
        (ROCKS_SINGLE, Writes::Single, false, &CASES[..]),
        (ROCKS_BATCHED, Writes::Batched, false, &CASES[..]),
        (ROCKS_SINGLE_LOGGED, Writes::Single, true, only_stores),
        (ROCKS_BATCHED_LOGGED, Writes::Batched, true, only_stores),
    ];
    let mut figures = Vec::new();
    for (name, writes, logged, cases) in ways {
        eprintln!("compare: {name}");
        let database = Raw::open(folder, writes, logged)?;
        figures.extend(of_a_peer(plan, draws, name, cases, || Ok(database.clone()))?);
        drop(database);
        std::fs::remove_dir_all(folder).map_err(Failure::file(folder))?;
    }
    Ok(figures)
}

/// Fills a store; by Zipf's law with a share only, since it holds evenly called numbers already and the numbers called
/// most are full soon.
fn fill<S: Storing>(
    course: &Course<'_>,
    workload: &Workload<'_>,
    distribution: Distribution,
    stores: &mut [S],
) -> Result<(), Failure> {
    let share = match distribution {
        Distribution::Uniform => 1,
        Distribution::Zipf => ZIPF_FILL_SHARE,
    };
    course.store_until(stores, workload.fill_count() / share).map(drop)
}

/// The runs of one case.
fn runs<S: Storing + Retrieving>(
    plan: Plan,
    course: &Course<'_>,
    stores: &mut [S],
    case: (Distribution, Mix),
) -> Result<Vec<Rate>, Failure> {
    (0..plan.runs).map(|_| run(plan, course, stores, case)).collect()
}

/// One run of a case.
fn run<S: Storing + Retrieving>(
    plan: Plan,
    course: &Course<'_>,
    stores: &mut [S],
    (distribution, mix): (Distribution, Mix),
) -> Result<Rate, Failure> {
    sound(course.run(stores, mix, plan.run)?, distribution)
}

fn in_batches(handles: &mut [LogHandle]) -> Vec<Batched<'_>> {
    handles.iter_mut().map(Batched).collect()
}

/// A run in which everything was found and nothing was refused, but for the numbers that Zipf's law fills.
fn sound(rate: Rate, distribution: Distribution) -> Result<Rate, Failure> {
    if distribution == Distribution::Uniform && rate.kept_share < 1.0 {
        return Err(Failure::Refused);
    }
    if rate.found_share < 1.0 {
        return Err(Failure::Missing);
    }
    Ok(rate)
}
