//! What a table of many prefixes takes and costs, as ratios of one run: `cargo run --release --example table -p
//! herald-stir [PREFIXES]`, 10,000,000 if not said. Prints Markdown; exits with 1 if a bound is missed.
//!
//! Prefixes of 9 to 12 digits below a few country codes, a thousand different services, numbers of 12 to 14 digits that
//! are in one of them nine times in ten. Beside it a binary search in a sorted vector of the same prefixes, which
//! answers less: it does not find a shorter prefix behind a longer one that does not fit. Then the table is swapped
//! again and again while two threads look up. Look-ups are timed in CPU time of their thread, so that other programs count
//! little.

#![allow(clippy::print_stdout, reason = "its figures are its output")]

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use herald_core::TelephoneNumber;
use herald_stir::NumberSet;
use herald_stir::services::{Selector, Side};
use herald_stir::table::{Service, Sides, Table, TableBuilder};

const SERVICES: u64 = 1000;
const LOOKS: usize = 1_000_000;
const SWAP_TIME: Duration = Duration::from_secs(5);
/// The bounds: bytes a prefix, nanoseconds a look-up, look-ups a second while the table is swapped.
const BYTES_MAX: f64 = 10.0;
const NANOSECONDS_MAX: f64 = 1000.0;
const SWAPPED_PER_S_MIN: f64 = 1e6;

type AnyError = Box<dyn std::error::Error>;

fn main() -> Result<ExitCode, AnyError> {
    let wanted: u64 = std::env::args().nth(1).map_or(Ok(10_000_000), |text| text.parse())?;
    let mut draw = Draw(0x9e37_79b9_7f4a_7c15);
    // Some are drawn twice.
    let mut prefixes: Vec<_> = (0..wanted + wanted / 5).map(|_| draw.prefix()).collect();
    prefixes.sort_unstable();
    prefixes.dedup_by_key(|(prefix, _)| *prefix);
    let count = prefixes.len();
    let began = Instant::now();
    let bytes = build(&prefixes, 0)?;
    let build_s = began.elapsed().as_secs_f64();
    let bytes_each = bytes.len() as f64 / count as f64;
    let began = Instant::now();
    let table = Table::open(bytes)?;
    let open_s = began.elapsed().as_secs_f64();
    println!("| {count} prefixes | |\n|---|--:|");
    println!("| bytes | {} ({bytes_each:.2} a prefix) |", table.about().bytes_count);
    println!("| compiled in | {build_s:.1} s |\n| opened and checked in | {:.0} ms |", open_s * 1e3);

    let numbers: Vec<_> = (0..LOOKS).map(|_| draw.number(&prefixes)).collect();
    let ns = per_look_ns(&numbers, |number| table.look(number, None, Side::Calling).is_some());
    let mut sorted: Vec<_> = prefixes.iter().map(|(prefix, service)| (prefix.to_bits(), *service)).collect();
    sorted.sort_unstable();
    let plain_ns = per_look_ns(&numbers, |number| {
        let bits = number.to_bits();
        let before = sorted.partition_point(|(prefix, _)| *prefix <= bits);
        before.checked_sub(1).is_some_and(|index| black_box(sorted[index].1) < SERVICES)
    });
    println!("| a look-up | {ns:.0} ns |");
    println!(
        "| a binary search in a sorted vector | {plain_ns:.0} ns (the table: {:.2} of it) |",
        ns / plain_ns
    );
    println!("| the vector's bytes | {} |", sorted.len() * size_of::<(u64, u64)>());
    drop(sorted);
    let (per_s, swaps, longest) = swapped(&numbers, &prefixes, table)?;
    println!("| look-ups a second while it was swapped {swaps} times | {:.2} million |", per_s / 1e6);
    println!("| the longest 1000 look-ups meanwhile | {:.1} ms |", longest.as_secs_f64() * 1e3);
    let is_good = bytes_each <= BYTES_MAX && ns <= NANOSECONDS_MAX && per_s >= SWAPPED_PER_S_MIN;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn build(prefixes: &[(TelephoneNumber, u64)], made_s: u64) -> Result<Vec<u8>, AnyError> {
    let services: Vec<_> = (0..SERVICES)
        .map(|index| Service { uris: vec![format!("https://cps{index}.example.net")], ..Service::default() })
        .collect();
    let mut builder = TableBuilder::new();
    for (prefix, service) in prefixes {
        let selector = Selector::Numbers(NumberSet::Prefix(*prefix));
        builder.add(&selector, Sides::Both, &services[usize::try_from(*service)?])?;
    }
    Ok(builder.finish(made_s)?)
}

/// The least of five rounds over all numbers.
fn per_look_ns(numbers: &[TelephoneNumber], look: impl Fn(TelephoneNumber) -> bool) -> f64 {
    let round = || {
        let began_s = cpu_s();
        let found = numbers.iter().filter(|number| look(**number)).count();
        black_box(found);
        (cpu_s() - began_s) * 1e9 / numbers.len() as f64
    };
    (0..5).map(|_| round()).fold(f64::INFINITY, f64::min)
}

/// CPU time of this thread, in seconds.
fn cpu_s() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Look-ups a second of CPU time of two threads while a third swaps tables, compiled anew, how often it did, and the longest time that
/// 1000 look-ups took.
fn swapped(
    numbers: &[TelephoneNumber],
    prefixes: &[(TelephoneNumber, u64)],
    table: Table<Vec<u8>>,
) -> Result<(f64, u64, Duration), AnyError> {
    let other = Table::open(build(prefixes, 1)?)?;
    let shared = RwLock::new(table);
    let (is_over, per_s, longest_us) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let poisoned = "nobody panics";
    let swaps = thread::scope(|scope| {
        for half in numbers.chunks(numbers.len().div_ceil(2)) {
            let (shared, is_over, per_s, longest_us) = (&shared, &is_over, &per_s, &longest_us);
            scope.spawn(move || {
                let (began_s, mut looks) = (cpu_s(), 0.0);
                for thousand in half.chunks(1000).cycle() {
                    let began = Instant::now();
                    for number in thousand {
                        black_box(shared.read().expect(poisoned).look(*number, None, Side::Called).is_some());
                    }
                    let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                    longest_us.fetch_max(took_us, Ordering::Relaxed);
                    looks += thousand.len() as f64;
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                }
                per_s.fetch_add((looks / (cpu_s() - began_s)) as u64, Ordering::Relaxed);
            });
        }
        let (began, mut waiting, mut swaps) = (Instant::now(), other, 0);
        while began.elapsed() < SWAP_TIME {
            thread::sleep(Duration::from_millis(5));
            let mut place = shared.write().expect(poisoned);
            waiting = core::mem::replace(&mut *place, waiting);
            swaps += 1;
        }
        is_over.store(true, Ordering::Relaxed);
        drop(waiting);
        swaps
    });
    Ok((
        per_s.load(Ordering::Relaxed) as f64,
        swaps,
        Duration::from_micros(longest_us.load(Ordering::Relaxed)),
    ))
}

/// Numbers as xorshift draws them.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn prefix(&mut self) -> (TelephoneNumber, u64) {
        let country = ["1", "44", "49", "81", "351"][usize::try_from(self.below(5)).expect("small")];
        let signs = 9 + usize::try_from(self.below(4)).expect("small");
        let mut text = country.to_owned();
        while text.len() < signs {
            text.push(char::from(b'0' + u8::try_from(self.below(10)).expect("a digit")));
        }
        (TelephoneNumber::from_signs(text.as_bytes()).expect("digits"), self.below(SERVICES))
    }

    /// A number of 12 to 14 digits, mostly one that begins with a prefix.
    fn number(&mut self, prefixes: &[(TelephoneNumber, u64)]) -> TelephoneNumber {
        let index = usize::try_from(self.below(prefixes.len() as u64)).expect("an index");
        let mut text = if self.below(10) == 0 { self.prefix().0 } else { prefixes[index].0 }.to_string();
        let signs = 12 + usize::try_from(self.below(3)).expect("small");
        while text.len() < signs {
            text.push(char::from(b'0' + u8::try_from(self.below(10)).expect("a digit")));
        }
        TelephoneNumber::from_signs(text.as_bytes()).expect("digits")
    }
}
