//! How cost grows: with live records, sizes of bodies, threads, placements under one number, numbers of a block;
//! and the memory a record takes. One thread if nothing else is said.

use std::fmt::Write as _;
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use herald_core::{NumberBlock, PlacementStore, Request, TelephoneNumber};
use herald_log::limits::{SEGMENT_BYTES_MIN, SEGMENTS_PER_HANDLE_MIN, record_bytes};

use crate::failure::Failure;
use crate::limits::{
    BLOCK_SIZES, BODY_SIZES, CURVE_RUN_SECONDS, CURVE_RUNS, HOT_LEVELS, HOT_NUMBERS, LIVE_COUNTS,
    LIVE_PERCENT, MEMORY_LEFT_BYTES, SEGMENT_BYTES, SIZES_ARENA_BYTES, THREADS_MAX,
};
use crate::measure::{Course, Mix};
use crate::plot::{self, Curve};
use crate::results;
use crate::setup::{self, BODY_BYTES, handles, log_of, workload_of};
use crate::stores::{Batched, Placement, Retrieving, Served, Storing, new_placement};
use crate::targets::digits;
use crate::workload::{BEGIN, Distribution, Workload, narrow, number, wide};

/// The options of `curves`.
#[derive(Args)]
pub(crate) struct Options {
    /// Short runs and no large memory, to see that everything runs.
    #[arg(long)]
    quick: bool,
}

/// Points of a line, and the name of the line.
type Series = (&'static str, Vec<(f64, f64)>);

/// Runs all of it and returns the tables.
pub(crate) fn measure(options: &Options) -> Result<String, Failure> {
    let draws = Distribution::Uniform.draws();
    let mut text = String::from("### How cost grows\n\n![Cost curves](perf-curves.svg)\n\n");
    let by_live = by_live_records(&mut text, &draws, options.quick)?;
    let by_size = by_size_and_threads(&mut text, &draws, options.quick)?;
    let memory = memory_of_a_record(&mut text, options.quick)?;
    let hot = one_hot_number(&mut text)?;
    let blocks = blocks(&mut text)?;
    let curve = |title, x, y, series| Curve { title, x, y, series };
    let curves = [
        curve("Live records", "live records", "million/s", by_live),
        curve("Size of bodies", "bytes of a body", "GB/s", by_size),
        curve("Memory of a record beyond its body", "bytes of a body", "bytes", vec![memory]),
        curve("One number called often", "live placements of the number", "µs", hot),
        curve("Lists of blocks, with cover", "numbers of the block", "µs", vec![blocks]),
    ];
    results::draw("perf-curves.svg", &plot::curves("How cost grows", &curves))?;
    Ok(text)
}

/// Median, least and most of several values.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

/// Millions of operations a second: the medians of stores and of retrieves.
fn rates(
    course: &Course<'_>,
    stores: &mut [impl Storing + Retrieving],
    quick: bool,
) -> Result<[f64; 2], Failure> {
    let run = Duration::from_secs_f64(if quick { CURVE_RUN_SECONDS / 10.0 } else { CURVE_RUN_SECONDS });
    let mut median = |mix| -> Result<f64, Failure> {
        let runs = (0..CURVE_RUNS).map(|_| Ok(course.run(stores, mix, run)?.per_s / 1e6));
        Ok(spread(runs.collect::<Result<_, Failure>>()?).0)
    };
    Ok([median(Mix::STORE)?, median(Mix::RETRIEVE)?])
}

/// From what a cache holds to what memory holds. More than fits is left out, and the table says what it would take.
fn by_live_records(
    text: &mut String,
    draws: &[TelephoneNumber],
    quick: bool,
) -> Result<Vec<Series>, Failure> {
    text.push_str(
        "| live records of 600 bytes | arena, MiB | store, million/s | in batches | retrieve, million/s | in batches \
         |\n|--:|--:|--:|--:|--:|--:|\n",
    );
    let mut series = ["store", "batch store", "retrieve", "batch retrieve"].map(|name| (name, Vec::new()));
    for live_count in LIVE_COUNTS {
        eprintln!("curves: {live_count} live records");
        let wanted_bytes = narrow(live_count) * record_bytes(BODY_BYTES) * 100 / LIVE_PERCENT;
        let segment_bytes = (wanted_bytes / 1024).next_power_of_two().clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES);
        let arena_bytes = wanted_bytes
            .next_multiple_of(segment_bytes)
            .max(segment_bytes * SEGMENTS_PER_HANDLE_MIN * THREADS_MAX);
        let mib = arena_bytes >> 20;
        let left_out = if arena_bytes + MEMORY_LEFT_BYTES > available_bytes()? {
            Some("does not fit")
        } else {
            (quick && mib > SIZES_ARENA_BYTES >> 20).then_some("left out")
        };
        if let Some(why) = left_out {
            row(text, format_args!("| {live_count} | {mib} | {why} | | | |"));
            continue;
        }
        let log = log_of(arena_bytes, segment_bytes)?;
        let workload = Workload::of_live(draws, live_count, BODY_BYTES);
        let course = Course::new(&workload, BEGIN);
        let mut handle = handles(&log, 1)?;
        course.fill(&mut handle)?;
        let [store, retrieve] = rates(&course, &mut handle, quick)?;
        let [batch_store, batch_retrieve] = rates(&course, &mut [Batched(&mut handle[0])], quick)?;
        let points = [store, batch_store, retrieve, batch_retrieve];
        row(text, format_args!("| {live_count} | {mib} | {} |", points.map(digits).join(" | ")));
        for ((_, line), point) in series.iter_mut().zip(points) {
            line.push((live_count as f64, point));
        }
    }
    text.push('\n');
    Ok(series.into())
}

fn by_size_and_threads(
    text: &mut String,
    draws: &[TelephoneNumber],
    quick: bool,
) -> Result<Vec<Series>, Failure> {
    text.push_str(
        "| body, bytes | store, million/s: 1 thread | 2 threads | GB/s: 1 thread | 2 threads | retrieve, million/s: \
         1 thread | 2 threads |\n|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let arena_bytes = if quick { SIZES_ARENA_BYTES / 8 } else { SIZES_ARENA_BYTES };
    let log = log_of(arena_bytes, SEGMENT_BYTES)?;
    let mut series: Vec<Series> =
        ["store, 1 t", "store, 2 t", "retrieve, 1 t", "retrieve, 2 t"].map(|name| (name, Vec::new())).into();
    let mut begin = BEGIN;
    for body_bytes in BODY_SIZES {
        eprintln!("curves: bodies of {body_bytes} bytes");
        let workload = workload_of(draws, arena_bytes, body_bytes);
        let course = Course::new(&workload, begin);
        course.fill(&mut handles(&log, 1)?)?;
        let [store_1, retrieve_1] = rates(&course, &mut handles(&log, 1)?, quick)?;
        let [store_2, retrieve_2] = rates(&course, &mut handles(&log, 2)?, quick)?;
        begin = course.now();
        let gb = |millions: f64| millions * body_bytes as f64 / 1e3;
        row(
            text,
            format_args!(
                "| {body_bytes} | {} | {} | {} | {} | {} | {} |",
                digits(store_1),
                digits(store_2),
                digits(gb(store_1)),
                digits(gb(store_2)),
                digits(retrieve_1),
                digits(retrieve_2)
            ),
        );
        for ((_, points), rate) in series.iter_mut().zip([store_1, store_2, retrieve_1, retrieve_2]) {
            points.push((body_bytes as f64, gb(rate)));
        }
    }
    text.push('\n');
    Ok(series)
}

/// The memory of records, each size in a process of its own: what one has freed another would hold for new.
fn memory_of_a_record(text: &mut String, quick: bool) -> Result<Series, Failure> {
    text.push_str(
        "| body, bytes | live records | resident bytes a record, index included | beyond the body | without the index \
         |\n|--:|--:|--:|--:|--:|\n",
    );
    let arena_bytes = if quick { SIZES_ARENA_BYTES / 8 } else { SIZES_ARENA_BYTES };
    let mut points = Vec::new();
    for body_bytes in BODY_SIZES {
        eprintln!("curves: memory of bodies of {body_bytes} bytes");
        let Filled { kept, resident_bytes, mapped_bytes } = memory_elsewhere(arena_bytes, body_bytes)?;
        let (body, each) = (body_bytes as f64, |bytes: f64| bytes / kept);
        let (resident, without_index) = (each(resident_bytes), each(mapped_bytes) - body);
        row(
            text,
            format_args!(
                "| {body_bytes} | {kept} | {} | {} | {} |",
                digits(resident),
                digits(resident - body),
                digits(without_index)
            ),
        );
        points.push((body, resident - body));
        if body_bytes == herald_core::limits::BODY_BUCKETS_BYTES[0] {
            results::record("bytes_beyond", without_index, "B", without_index, without_index)?;
        }
    }
    text.push('\n');
    Ok(("index included", points))
}

/// What [`memory`] prints of a log that was filled until it refused.
struct Filled {
    kept: f64,
    /// Bytes the process holds more than before, as the kernel counts them.
    resident_bytes: f64,
    /// Bytes of the arena, whatever was asked for.
    mapped_bytes: f64,
}

/// Runs [`memory`] in a process of its own.
fn memory_elsewhere(arena_bytes: usize, body_bytes: usize) -> Result<Filled, Failure> {
    let program = std::env::current_exe().map_err(Failure::file("the program itself".as_ref()))?;
    let mut command = Command::new(&program);
    command.args(["memory", &arena_bytes.to_string(), &body_bytes.to_string()]).stderr(Stdio::inherit());
    let output = command.output().map_err(Failure::file(&program))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.split_whitespace().map(str::parse);
    match (words.next(), words.next(), words.next()) {
        (Some(Ok(kept)), Some(Ok(resident_bytes)), Some(Ok(mapped_bytes))) if output.status.success() => {
            Ok(Filled { kept, resident_bytes, mapped_bytes })
        }
        _ => Err(Failure::Results(format!("`{command:?}` ended with {}", output.status))),
    }
}

/// The options of `memory`.
#[derive(Args)]
pub(crate) struct MemoryOptions {
    /// Memory of the log, in bytes.
    arena_bytes: usize,
    /// Bytes of a body.
    body_bytes: usize,
}

/// Fills a log until it refuses. Returns the records it kept, the bytes the process then holds more than before, and the
/// bytes of the arena that was mapped.
pub(crate) fn memory(options: &MemoryOptions) -> Result<String, Failure> {
    let draws = Distribution::Uniform.draws();
    let workload = Workload::of_live(&draws, u64::MAX, options.body_bytes);
    let before = resident_bytes()?;
    let log = log_of(options.arena_bytes, SEGMENT_BYTES)?;
    let kept = Course::new(&workload, BEGIN).store_until_refused(&mut log.handle()?)?;
    Ok(format!("{kept} {} {}\n", resident_bytes()? - before, log.stats().arena_bytes))
}

/// Numbers that are called ever more often and nothing that expires: a call centre's.
fn one_hot_number(text: &mut String) -> Result<Vec<Series>, Failure> {
    text.push_str(
        "| live placements of a number | store, µs | store refused at that bound, µs | retrieve all, µs | µs a body \
         |\n|--:|--:|--:|--:|--:|\n",
    );
    eprintln!("curves: hot numbers");
    let body = [7; BODY_BYTES];
    let numbers: Vec<_> = (0..HOT_NUMBERS).map(number).collect();
    let count = numbers.len() as f64;
    let mut measured: Vec<[Vec<f64>; 3]> = HOT_LEVELS.iter().map(|_| Default::default()).collect();
    for _ in 0..CURVE_RUNS {
        let placements = narrow(HOT_NUMBERS) * HOT_LEVELS[HOT_LEVELS.len() - 1];
        let arena_bytes = (2 * placements * record_bytes(BODY_BYTES)).next_multiple_of(SEGMENT_BYTES);
        let log = log_of(arena_bytes, SEGMENT_BYTES)?;
        let mut handle = log.handle()?;
        let mut level = 0;
        for (wanted, [stores, refusals, retrieves]) in HOT_LEVELS.into_iter().zip(&mut measured) {
            let mut last = Duration::ZERO;
            while level < wanted {
                let round = |&number| Placement { index: wide(level), number, body: &body };
                let placements: Vec<_> = numbers.iter().map(round).collect();
                let began = Instant::now();
                if handle.store(&placements, BEGIN)? < placements.len() {
                    return Err(Failure::Refused);
                }
                last = began.elapsed();
                level += 1;
            }
            let began = Instant::now();
            for &number in &numbers {
                let one_more = Placement { index: 0, number, body: &body };
                let records_max = u32::try_from(wanted).expect("a bound of the log");
                let kept = handle.append(&new_placement(&one_more, BEGIN), records_max, BEGIN).is_ok();
                assert!(!kept, "a number with {wanted} placements took one more than that");
            }
            let refused = began.elapsed();
            let began = Instant::now();
            let mut copied = [0; BODY_BYTES];
            handle.retrieve(&numbers, BEGIN, &mut |body| {
                copied.copy_from_slice(body);
                black_box(&copied);
            })?;
            let retrieved = began.elapsed();
            for (values, took) in [(stores, last), (refusals, refused), (retrieves, retrieved)] {
                values.push(took.as_secs_f64() * 1e6 / count);
            }
        }
    }
    let mut series: [Series; 3] = [("store", Vec::new()), ("refused", Vec::new()), ("retrieve", Vec::new())];
    for (level, values) in HOT_LEVELS.into_iter().zip(measured) {
        let [store, refused, retrieve] = values.map(|values| spread(values).0);
        let each = retrieve / level as f64;
        row(
            text,
            format_args!(
                "| {level} | {} | {} | {} | {} |",
                digits(store),
                digits(refused),
                digits(retrieve),
                digits(each)
            ),
        );
        for ((_, points), value) in series.iter_mut().zip([store, refused, retrieve]) {
            points.push((level as f64, value));
        }
    }
    text.push('\n');
    Ok(series.into())
}

/// Lists of blocks as a client asks for them, each number with one placement and its cover.
fn blocks(text: &mut String) -> Result<Series, Failure> {
    text.push_str("| numbers of a block | list, µs | µs a number |\n|--:|--:|--:|\n");
    eprintln!("curves: blocks");
    let log = log_of(setup::arena_bytes(256)?, SEGMENT_BYTES)?;
    let mut handle = log.handle()?;
    let body = [7; BODY_BYTES];
    let most = BLOCK_SIZES[BLOCK_SIZES.len() - 1];
    // So many blocks that no cache holds their records.
    let blocks = 1000;
    for index in 0..blocks * most {
        handle.store(&[Placement { index, number: number(index), body: &body }], BEGIN)?;
    }
    let mut served = Served::new(handle, 1, BEGIN);
    let mut points = Vec::new();
    for size in BLOCK_SIZES {
        let mut values = Vec::new();
        for _ in 0..CURVE_RUNS {
            // As many numbers for each size.
            let asked = most / size * 10;
            let targets: Vec<_> = (0..asked)
                .map(|index| {
                    NumberBlock::new(number(index * 7919 % blocks * most), size).expect("digits only")
                })
                .map(|block| format!("/cps/{block}/ppts"))
                .collect();
            let began = Instant::now();
            for target in &targets {
                let request = Request { method: "GET", target, ..Request::default() };
                let answer = served.handle(&request, BEGIN);
                assert_eq!(answer.response.status, 200, "{target}");
                black_box(answer);
            }
            values.push(began.elapsed().as_secs_f64() * 1e6 / asked as f64);
        }
        let (median, _, _) = spread(values);
        row(text, format_args!("| {size} | {} | {} |", digits(median), digits(median / size as f64)));
        points.push((size as f64, median));
    }
    Ok(("list", points))
}

fn row(text: &mut String, row: std::fmt::Arguments<'_>) {
    writeln!(text, "{row}").expect("text grows without error");
}

/// Bytes of memory the kernel would give.
fn available_bytes() -> Result<usize, Failure> {
    from_proc("/proc/meminfo", "MemAvailable:")
}

/// Bytes of memory this process holds.
fn resident_bytes() -> Result<usize, Failure> {
    from_proc("/proc/self/status", "VmRSS:")
}

/// The value of `field`, which is in kB.
fn from_proc(path: &str, field: &str) -> Result<usize, Failure> {
    let text = std::fs::read_to_string(path).map_err(Failure::file(path.as_ref()))?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    let kilobytes: Option<usize> = line.trim().split(' ').next().and_then(|value| value.parse().ok());
    kilobytes
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| Failure::Results(format!("{path} has no {field} in kB; curves need Linux")))
}
