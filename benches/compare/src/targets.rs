//! What is asked of the engine, and whether the figures of a run hold it. Knows nothing of how they came about.

use std::collections::HashMap;
use std::fmt::Write as _;

/// One thing asked.
struct Target {
    what: &'static str,
    figure: Figure,
    bound: Bound,
    /// What the bound is in; nothing for a ratio.
    unit: &'static str,
    /// What the same run shows to be out of reach on the machine, where that was measured.
    ceiling: Option<Ceiling>,
}

/// What the least that must be done takes, and what that is.
struct Ceiling {
    figure: Figure,
    what: &'static str,
}

/// What is looked at: rows of the results.
enum Figure {
    Row(&'static str),
    /// How many times the second row the first is.
    Ratio(&'static str, &'static str),
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// Nothing is asked: it is shown beside the others.
    Beside,
}

use Bound::{AtLeast, AtMost, Beside};
use Figure::{Ratio, Row};

const fn target(what: &'static str, figure: Figure, bound: Bound, unit: &'static str) -> Target {
    Target { what, figure, bound, unit, ceiling: None }
}

impl Target {
    const fn under(self, figure: Figure, what: &'static str) -> Self {
        Self { ceiling: Some(Ceiling { figure, what }), ..self }
    }
}

const NOT_HELD: &str = "**no**";

/// All of them, in the order of the table.
const TARGETS: [Target; 55] = [
    target("store, one thread", Row("store_1t"), AtLeast(7.0), "M/s"),
    target("store in batches, one thread", Row("store_batch_1t"), AtLeast(8.5), "M/s"),
    target("store over DashMap of Vec", Ratio("store_1t", "dashmap_store_1t"), AtLeast(6.0), ""),
    target("store over moka", Ratio("store_1t", "moka_store_1t"), AtLeast(12.0), ""),
    target("store over memcpy of the same bytes", Ratio("store_1t", "memcpy_1t"), AtLeast(0.6), "")
        .under(Ratio("indexed_copy_1t", "memcpy_1t"), "memcpy and one random word of an index"),
    target("store, two threads over one", Ratio("store_2t", "store_1t"), AtLeast(1.8), "").under(
        Ratio("indexed_copy_2t", "indexed_copy_1t"),
        "memcpy and one random word, two threads over one",
    ),
    target("store, two threads", Row("store_2t"), AtLeast(13.0), "M/s"),
    target("store in batches, two threads", Row("store_batch_2t"), AtLeast(15.0), "M/s"),
    target("retrieve, one thread", Row("retrieve_1t"), AtLeast(3.0), "M/s")
        .under(Row("lists_1t"), "lists of the same records, without a log"),
    target("retrieve, two threads", Row("retrieve_2t"), AtLeast(5.5), "M/s")
        .under(Row("lists_2t"), "lists of the same records, without a log"),
    target("live records that those retrieves showed, one thread", Row("retrieve_1t_bodies"), Beside, "M/s"),
    target("live records that those retrieves showed, two threads", Row("retrieve_2t_bodies"), Beside, "M/s"),
    target(
        "retrieve of numbers with one live record, one thread",
        Row("retrieve_of_one_1t"),
        AtLeast(3.0),
        "M/s",
    ),
    target(
        "retrieve of numbers with one live record, two threads",
        Row("retrieve_of_one_2t"),
        AtLeast(5.5),
        "M/s",
    ),
    target("retrieve in batches, one thread", Row("retrieve_batch_1t"), AtLeast(4.0), "M/s"),
    target("retrieve in batches, two threads", Row("retrieve_batch_2t"), AtLeast(7.0), "M/s"),
    target("store while the oldest expire over store before", Row("expiry_ratio"), AtLeast(0.9), ""),
    target("store while the oldest expire, p99.9", Row("expiry_p999_us"), AtMost(20.0), "µs"),
    target("`buffered` over a plain writer's bytes", Row("buffered_ratio"), AtLeast(0.8), "")
        .under(Row("buffered_ceiling"), "a plain writer that removes as much"),
    target("`buffered`: a plain log over that plain writer", Row("buffered_log"), Beside, ""),
    target("`synced` over a plain writer's bytes", Row("synced_ratio"), AtLeast(0.8), "")
        .under(Row("synced_ceiling"), "a plain writer that removes as much"),
    target("`synced`: a plain log over that plain writer", Row("synced_log"), Beside, ""),
    target(
        "`buffered` beyond the budget: all it writes over a plain writer's bytes",
        Row("buffered_beyond_ratio"),
        AtLeast(0.8),
        "",
    )
    .under(Row("buffered_beyond_ceiling"), "a plain writer that removes as much"),
    target(
        "`buffered` beyond the budget: a plain log over that plain writer",
        Row("buffered_beyond_log"),
        Beside,
        "",
    ),
    target(
        "`synced` beyond the budget: all it writes over a plain writer's bytes",
        Row("synced_beyond_ratio"),
        AtLeast(0.8),
        "",
    )
    .under(Row("synced_beyond_ceiling"), "a plain writer that removes as much"),
    target(
        "`synced` beyond the budget: a plain log over that plain writer",
        Row("synced_beyond_log"),
        Beside,
        "",
    ),
    target(
        "`buffered` over `memory` until the disk is the limit",
        Row("buffered_of_memory"),
        AtLeast(0.8),
        "",
    ),
    target("write amplification within the budget", Row("write_amplification"), AtMost(1.1), ""),
    target("write amplification beyond the budget", Row("write_amplification_beyond"), AtMost(2.1), ""),
    target(
        "memory beyond the bytes stored, without the index, bodies of 640 bytes",
        Row("bytes_beyond"),
        AtMost(64.0),
        "B",
    ),
    target("C ABI over the Rust call", Row("c_abi_ns"), AtMost(60.0), "ns"),
    target("verify, chain in the cache, over its P-256 verify", Row("verify_ratio"), AtMost(1.3), ""),
    target("seal for X25519 over HPKE's seal", Row("seal_x25519_ratio"), AtMost(1.15), ""),
    target("open for X25519 over HPKE's open", Row("open_x25519_ratio"), AtMost(1.15), ""),
    target("seal for P-256 over HPKE's seal", Row("seal_p256_ratio"), AtMost(1.15), ""),
    target("open for P-256 over HPKE's open", Row("open_p256_ratio"), AtMost(1.15), ""),
    target("HTTP/1.1 pipelined over the constant", Row("tls_h1_pipelined_ratio"), AtLeast(0.7), ""),
    target("HTTP/2 over the constant", Row("tls_h2_ratio"), AtLeast(0.7), ""),
    target("the same pipelined with an admission MAC", Row("tls_h1_pipelined_mac_ratio"), AtLeast(0.5), ""),
    target("the same on HTTP/2 with an admission MAC", Row("tls_h2_mac_ratio"), AtLeast(0.5), ""),
    target("HTTP/2 over a Node + Redis CPS", Row("node_h2_ratio"), AtLeast(70.0), "")
        .under(Ratio("node_h2_ratio", "tls_h2_ratio"), "the constant answer over that CPS"),
    target("HTTP/1.1 pipelined over a Node + Redis CPS", Row("node_pipelined_ratio"), AtLeast(200.0), "")
        .under(Ratio("node_pipelined_ratio", "tls_h1_pipelined_ratio"), "the constant answer over that CPS"),
    target("Redis SETEX, 32 connections, 64 pipelined, without TLS", Row("redis_setex_mps"), Beside, "M/s"),
    target("batch stores over TLS", Row("batch_tls_mps"), AtLeast(1.0), "M/s"),
    target(
        "the same over the byte rate of TLS, enough if that is lower",
        Row("batch_tls_of_bytes"),
        AtLeast(0.9),
        "",
    ),
    target("idle connection before the hello", Row("idle_hello_kb"), AtMost(4.0), "kB"),
    target("idle connection after the handshake", Row("idle_handshake_kb"), AtMost(24.0), "kB"),
    target(
        "authorised stores over the model, VOPRF and HMAC, N = 1 to 256",
        Row("admission_voprf_of_model"),
        AtLeast(0.6),
        "",
    ),
    target("the same with blind RSA and a committed key", Row("admission_blind_of_model"), AtLeast(0.6), ""),
    target("authorised stores, N = 256, best suite, one core", Row("admission_256_mps"), AtLeast(1.0), "M/s"),
    target("honest stores under ten times junk over none", Row("admission_junk_kept"), AtLeast(0.9), ""),
    target("table of 10 million prefixes", Row("table_mb"), AtMost(100.0), "MB"),
    target("look-up in it, the next waiting for it", Row("table_look_ns"), AtMost(1000.0), "ns"),
    target("answers of the plugin while tables are swapped", Row("table_swapped_mps"), AtLeast(1.0), "M/s"),
    target("recovery", Row("recovery_mps"), AtLeast(1.0), "M/s"),
];

/// What a run measured: the median and the spread.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Measured {
    median: f64,
    least: f64,
    most: f64,
}

/// The table of all targets in Markdown: what was asked, what was measured, whether it held.
///
/// `results` has a line for each figure: row, value, unit, least, most, with tabs between them. Of a row that is
/// there twice the last line counts.
///
/// # Errors
/// The line that is none, in words.
pub(crate) fn judge(results: &str) -> Result<String, String> {
    let rows: HashMap<&str, Measured> = results.lines().map(row).collect::<Result<_, _>>()?;
    let mut table =
        String::from("| what | asked | measured: median (least to most) | held |\n|---|--:|--:|---|\n");
    for target in &TARGETS {
        let measured = target.figure.of(&rows);
        let shown = measured.map_or("not measured".to_owned(), |measured| {
            let Measured { median, least, most } = measured;
            let unit = if target.unit.is_empty() { "x" } else { target.unit };
            format!("{} ({} to {}) {unit}", digits(median), digits(least), digits(most))
        });
        let held = measured.map_or_else(String::new, |measured| target.verdict(measured.median, &rows));
        writeln!(table, "| {} | {} | {shown} | {held} |", target.what, target.bound.asked(target.unit))
            .expect("text grows without error");
    }
    Ok(table)
}

fn row(line: &str) -> Result<(&str, Measured), String> {
    let wrong = || format!("not row, value, unit, least, most with tabs between them: {line:?}");
    let cells: Vec<&str> = line.split('\t').collect();
    let &[row, value, _, least, most] = cells.as_slice() else { return Err(wrong()) };
    let number = |cell: &str| cell.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(wrong);
    Ok((row, Measured { median: number(value)?, least: number(least)?, most: number(most)? }))
}

impl Target {
    /// Whether it is held; if not, and the machine does not allow it, what it allows.
    fn verdict(&self, value: f64, rows: &HashMap<&str, Measured>) -> String {
        let verdict = self.bound.verdict(value);
        let Some(Ceiling { figure, what }) = &self.ceiling else { return verdict.to_owned() };
        match figure.of(rows) {
            Some(most)
                if self.bound.verdict(value) == NOT_HELD
                    && self.bound.verdict(most.median) == NOT_HELD
                    && value <= most.median =>
            {
                let unit = if self.unit.is_empty() { "x" } else { self.unit };
                format!("{verdict}; {what}: {} {unit}", digits(most.median))
            }
            _ => verdict.to_owned(),
        }
    }
}

impl Figure {
    fn of(&self, rows: &HashMap<&str, Measured>) -> Option<Measured> {
        match *self {
            Row(row) => rows.get(row).copied(),
            Ratio(above, below) => {
                let (above, below) = (rows.get(above)?, rows.get(below)?);
                Some(Measured {
                    median: above.median / below.median,
                    least: above.least / below.most,
                    most: above.most / below.least,
                })
            }
        }
    }
}

impl Bound {
    fn asked(&self, unit: &str) -> String {
        let unit = if unit.is_empty() { "x" } else { unit };
        match self {
            AtLeast(bound) => format!("≥ {bound} {unit}"),
            AtMost(bound) => format!("≤ {bound} {unit}"),
            Beside => String::new(),
        }
    }

    const fn verdict(&self, value: f64) -> &'static str {
        let held = match *self {
            AtLeast(bound) => value >= bound,
            AtMost(bound) => value <= bound,
            Beside => return "",
        };
        if held { "yes" } else { NOT_HELD }
    }
}

/// Three digits that count, none behind the point from a hundred on.
pub(crate) fn digits(value: f64) -> String {
    let magnitude = value.abs();
    let decimals = [100.0, 10.0, 1.0, 0.1, 0.01].iter().take_while(|&&bound| magnitude < bound).count();
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::comparison::ROWS;
    use crate::limits::THREADS_MAX;
    use crate::measure::Mix;
    use crate::report::LOG;

    fn check(results: &str, what: &str, expected: &str) {
        let table = judge(results).expect("lines of five cells");
        let start = format!("| {what} | ");
        let line = table.lines().find_map(|line| line.strip_prefix(&start)).expect("a row of the table");
        assert_eq!(line, expected);
    }

    #[test]
    fn a_target_is_held_at_its_bound_and_not_beyond_it() {
        let store = "store, one thread";
        check("store_1t\t7\tM/s\t6\t8\n", store, "≥ 7 M/s | 7.00 (6.00 to 8.00) M/s | yes |");
        check("store_1t\t6.99\tM/s\t6\t8\n", store, "≥ 7 M/s | 6.99 (6.00 to 8.00) M/s | **no** |");
        let abi = "C ABI over the Rust call";
        check("c_abi_ns\t60\tns\t5\t123.4\n", abi, "≤ 60 ns | 60.0 (5.00 to 123) ns | yes |");
        check("c_abi_ns\t61\tns\t5\t70\n", abi, "≤ 60 ns | 61.0 (5.00 to 70.0) ns | **no** |");
    }

    #[test]
    fn a_ratio_has_the_widest_spread_its_rows_allow() {
        let results = "store_1t\t6\tM/s\t4\t8\ndashmap_store_1t\t1\tM/s\t0.5\t2\n";
        check(results, "store over DashMap of Vec", "≥ 6 x | 6.00 (2.00 to 16.0) x | yes |");
    }

    #[test]
    fn a_target_beyond_what_the_machine_allows_is_not_held_and_shows_the_limit() {
        let what = "store over memcpy of the same bytes";
        let of = |indexed: &str| format!("store_1t\t4\tM/s\t4\t4\nmemcpy_1t\t10\tM/s\t10\t10\n{indexed}");
        let limit = "indexed_copy_1t\t5\tM/s\t5\t5\n";
        let no = "≥ 0.6 x | 0.400 (0.400 to 0.400) x | **no**";
        check(&of(limit), what, &format!("{no}; memcpy and one random word of an index: 0.500 x |"));
        check(&of(""), what, &format!("{no} |"));
        // What was beaten is no limit.
        check(&of("indexed_copy_1t\t3\tM/s\t3\t3\n"), what, &format!("{no} |"));
        check(&of("indexed_copy_1t\t7\tM/s\t7\t7\n"), what, &format!("{no} |"));
    }

    #[test]
    fn what_no_section_measured_is_named() {
        check("", "recovery", "≥ 1 M/s | not measured |  |");
        check("store_1t\t6\tM/s\t4\t8", "store over DashMap of Vec", "≥ 6 x | not measured |  |");
    }

    #[test]
    fn each_judged_row_is_measured() {
        let benches = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder of benches");
        let mut sources = String::new();
        collect_sources(benches, &mut sources);
        let is_measured = |row: &str| is_of_a_store(row) || is_named(row, &sources);
        let figures = |target: &'static Target| {
            core::iter::once(&target.figure).chain(target.ceiling.as_ref().map(|ceiling| &ceiling.figure))
        };
        for row in TARGETS.iter().flat_map(figures).flat_map(|figure| match *figure {
            Row(row) => vec![row],
            Ratio(above, below) => vec![above, below],
        }) {
            assert!(is_measured(row), "nothing in benches/ measures {row:?}");
        }
        // The controls: a row of nobody, and parts of rows.
        for row in ["no_such_row", "store_3t", "store_1t_bodies", "idle_hello", "expiry_rat"] {
            assert!(!is_measured(row), "{row}");
        }
    }

    /// What the sections are made of, this file apart, without lines of comments.
    fn collect_sources(folder: &Path, sources: &mut String) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect_sources(&path, sources);
            }
            let is_source = path.extension().is_some_and(|extension| extension == "sh" || extension == "rs");
            if is_source && !path.ends_with("compare/src/targets.rs") {
                let text = fs::read_to_string(&path).expect("text");
                let is_comment = |line: &str| line.starts_with('#') || line.starts_with("//");
                sources.extend(
                    text.lines().filter(|line| !is_comment(line.trim())).flat_map(|line| [line, "\n"]),
                );
            }
        }
    }

    /// Whether a script has the row as a word, or Rust as a text or as the beginning of one that is put together.
    fn is_named(row: &str, sources: &str) -> bool {
        let forms = [format!("\"{row}\""), format!("\"{row}{{")];
        sources.split_whitespace().any(|word| word == row) || forms.iter().any(|form| sources.contains(form))
    }

    /// Whether the comparison of stores has it: its rows are put together from a name and the threads.
    fn is_of_a_store(row: &str) -> bool {
        let rows = |name| (1..=THREADS_MAX).map(move |threads| format!("{name}_{threads}t"));
        ROWS.iter().any(|(store, mix, name)| {
            let shows_bodies = *mix == Mix::RETRIEVE && *store == LOG;
            rows(name).any(|of| of == row || shows_bodies && format!("{of}_bodies") == row)
        })
    }

    #[test]
    fn a_line_that_is_no_figure_is_refused() {
        for line in ["store_1t\t7", "store_1t\tx\tM/s\t6\t8", "store_1t\tNaN\tM/s\t6\t8", "a b c d e"] {
            assert!(judge(line).is_err(), "{line}");
        }
    }
}
