//! What a table of ten million prefixes takes and costs, and what the plugin over it answers while tables are compiled
//! and swapped: Markdown for docs/PERF.md. `--quick` for fewer prefixes, to see that it runs.

mod clock;
mod limits;
mod look;
mod results;
mod swap;
mod world;

use std::time::Instant;

use herald_discovery_static::DiscoveryStatic;
use herald_plugin_sdk::harness::Stage;
use herald_plugin_sdk::{Discovery as _, Settings, abi};
use herald_stir::table::Table;

use world::World;

type AnyError = Box<dyn std::error::Error>;

fn main() -> Result<(), AnyError> {
    let is_quick = std::env::args().skip(1).any(|argument| argument == "--quick");
    let (count, rounds) = if is_quick {
        (limits::PREFIXES_QUICK, limits::ROUNDS_QUICK)
    } else {
        (limits::PREFIXES, limits::ROUNDS)
    };
    let world = World::draw(count);
    let began = Instant::now();
    let bytes = world.compile(0)?;
    let compiled_s = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let table = Table::open(bytes.as_slice())?;
    let opened_ms = began.elapsed().as_secs_f64() * 1e3;
    print(&world, bytes.len(), compiled_s, opened_ms)?;

    let folder = tempfile::tempdir()?;
    let place = swap::Place::new(folder.path());
    place.write(0, &bytes)?;
    place.point(0)?;
    let path = place.path();
    let settings = Settings::of(&[("table", path.to_str().ok_or("the folder's name is no text")?)]);
    let plugin = DiscoveryStatic::open(Stage::new().host(abi::DISCOVERY), &settings)?;
    look::measure(&world, &bytes, &table, &plugin, rounds)?;
    swap::measure(&world, &plugin, &place)
}

#[allow(clippy::print_stdout, reason = "tables on standard output are the program")]
fn print(world: &World, bytes: usize, compiled_s: f64, opened_ms: f64) -> Result<(), AnyError> {
    let (count, megabytes) = (world.prefix_count(), bytes as f64 / 1e6);
    println!("### A table of {count} prefixes\n");
    println!("| its bytes | compiled in | opened and checked in |\n|--:|--:|--:|");
    let each = bytes as f64 / count as f64;
    println!("| {megabytes:.1} MB, {each:.2} a prefix | {compiled_s:.1} s | {opened_ms:.0} ms |\n");
    // For as many prefixes as are asked for.
    let megabytes = each * limits::PREFIXES as f64 / 1e6;
    Ok(results::record("table_mb", megabytes, "MB", megabytes, megabytes)?)
}
