//! What a look-up costs, beside reads of the same memory of which each waits for the last.

use std::hint::black_box;

use herald_discovery_static::DiscoveryStatic;
use herald_plugin_sdk::{Discovery as _, Find, Question, Side, Ticket};
use herald_stir::services;
use herald_stir::table::Table;

use crate::AnyError;
use crate::clock::{Each, chained};
use crate::limits::NUMBERS;
use crate::results::record;
use crate::world::{Asked, World};

/// What is timed: its words, the row of its processor time for the targets, and its rounds.
struct Row {
    what: &'static str,
    name: &'static str,
    rounds: Vec<Each>,
}

/// Rows of a table: medians of `rounds` rounds, in each of which everything has its turn.
pub(crate) fn measure(
    world: &World,
    bytes: &[u8],
    table: &Table<&[u8]>,
    plugin: &DiscoveryStatic,
    rounds: usize,
) -> Result<(), AnyError> {
    let row = |what, name| Row { what, name, rounds: Vec::new() };
    let mut rows = [
        row("a read of the table's memory that waits for the last", "table_read_ns"),
        row("a look-up that waits for the last", "table_look_ns"),
        row("a look-up that does not wait", "table_look_free_ns"),
        row("an answer of the plugin, which does not wait", "table_plugin_ns"),
    ];
    let length = |asked: &Asked| {
        let found = table.look(asked.number, None, services::Side::Called);
        found.and_then(|found| found.service.uris().next()).map_or(1, str::len)
    };
    for _ in 0..rounds {
        rows[0].rounds.push(chained(NUMBERS, |_, last| read(bytes, last)));
        // Lengths are below the numbers' count, so this is the same number, but it is known only then.
        rows[1]
            .rounds
            .push(chained(NUMBERS, |time, last| length(&world.numbers[(time + last / NUMBERS) % NUMBERS])));
        rows[2].rounds.push(chained(NUMBERS, |time, last| last ^ length(&world.numbers[time])));
        rows[3]
            .rounds
            .push(chained(NUMBERS, |time, last| last ^ usize::from(finds(plugin, &world.numbers[time]))));
    }
    print(&rows)
}

/// Asks the plugin as the engine does, through its trait.
pub(crate) fn ask(plugin: &DiscoveryStatic, asked: &Asked) -> Find {
    plugin.find(&Question {
        ticket: Ticket(0),
        deadline_ms: u64::MAX,
        side: Side::Called,
        number: &asked.signs,
        spc: None,
    })
}

fn finds(plugin: &DiscoveryStatic, asked: &Asked) -> bool {
    matches!(black_box(ask(plugin, asked)), Find::Answer(answer) if !answer.uris.is_empty())
}

/// Reads a byte at a place that `last` decides, and says where the next is.
fn read(bytes: &[u8], last: usize) -> usize {
    let byte = usize::from(bytes[last % bytes.len()]);
    let mixed = last.wrapping_add(byte + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

#[allow(clippy::print_stdout, reason = "tables on standard output are the program")]
fn print(rows: &[Row]) -> Result<(), AnyError> {
    let floor = middle(&rows[0].rounds, |each| each.processor_ns).0;
    println!("| what | processor, ns: median (least to most) | of such a read | on the wall, ns |");
    println!("|---|--:|--:|--:|");
    for row in rows {
        let (ns, least, most) = middle(&row.rounds, |each| each.processor_ns);
        let (wall_ns, wall_least, wall_most) = middle(&row.rounds, |each| each.wall_ns);
        let ratio = ns / floor;
        println!(
            "| {} | {ns:.0} ({least:.0} to {most:.0}) | {ratio:.1} | {wall_ns:.0} ({wall_least:.0} to {wall_most:.0}) |",
            row.what
        );
        record(row.name, ns, "ns", least, most)?;
    }
    println!();
    Ok(())
}

/// The value in the middle, the least and the most.
fn middle(rounds: &[Each], value: impl Fn(&Each) -> f64) -> (f64, f64, f64) {
    let mut values: Vec<_> = rounds.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}
