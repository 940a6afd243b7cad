//! The figures as tables. Knows nothing of how they came about.

use std::fmt::Write as _;

use crate::failure::Failure;
use crate::measure::{Mix, Rate};
use crate::plot;
use crate::results;
use crate::targets::digits;
use crate::workload::Distribution;

/// The ceiling that stores are compared with.
pub(crate) const COPY: &str = "memcpy of the log's records";
/// Reads that each wait for the one before: what every walk is made of.
pub(crate) const READS: &str = "memory, each read waiting for the last";
/// The log itself, which the peers are compared with.
pub(crate) const LOG: &str = "log";

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) store: &'static str,
    pub(crate) distribution: Distribution,
    pub(crate) mix: Mix,
    pub(crate) threads: usize,
}

/// The rates of several runs.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) case: Case,
    pub(crate) body_bytes: usize,
    /// Operations per second, one a run, in ascending order. At least one.
    rates: Vec<f64>,
    /// The share of all runs for which the threads had a processor.
    processor_share: f64,
    kept_share: f64,
    bodies_per_retrieve: f64,
    /// Bodies shown per second, one a run, in ascending order.
    bodies_rates: Vec<f64>,
}

impl Figure {
    pub(crate) fn new(case: Case, body_bytes: usize, runs: &[Rate]) -> Self {
        let mut rates: Vec<f64> = runs.iter().map(|run| run.per_s).collect();
        rates.sort_by(f64::total_cmp);
        let mut bodies_rates: Vec<f64> = runs.iter().map(|run| run.per_s * run.bodies_per_retrieve).collect();
        bodies_rates.sort_by(f64::total_cmp);
        let mean = |of: fn(&Rate) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
        Self {
            case,
            body_bytes,
            rates,
            processor_share: mean(|run| run.processor_share),
            kept_share: mean(|run| run.kept_share),
            bodies_per_retrieve: mean(|run| run.bodies_per_retrieve),
            bodies_rates,
        }
    }

    pub(crate) fn median(&self) -> f64 {
        self.rates[self.rates.len() / 2]
    }

    pub(crate) fn least(&self) -> f64 {
        self.rates[0]
    }

    pub(crate) fn most(&self) -> f64 {
        self.rates[self.rates.len() - 1]
    }

    /// Bodies that retrieves alone showed per second: the least, the median and the most of all runs.
    fn bodies_per_s(&self) -> [f64; 3] {
        let count = self.bodies_rates.len();
        [0, count / 2, count - 1].map(|place| self.bodies_rates[place])
    }

    /// How many times the rate of another store in the same case.
    fn ratio_to(&self, store: &'static str, figures: &[Self]) -> Option<f64> {
        let case = Case { store, ..self.case };
        Some(self.median() / find(case, figures)?.median())
    }

    /// How many reads that wait for each other take as long as one operation.
    fn in_reads(&self, figures: &[Self]) -> Option<f64> {
        let case = Case { store: READS, mix: Mix::RETRIEVE, ..self.case };
        Some(find(case, figures)?.median() / self.median())
    }
}

fn find(case: Case, figures: &[Figure]) -> Option<&Figure> {
    figures.iter().find(|figure| figure.case == case)
}

/// Stores alone and retrieves alone of evenly called numbers, in Markdown: medians with the least and the most.
pub(crate) fn table(figures: &[Figure]) -> String {
    let mut text = String::from(
        "| what | operation | body, bytes | threads | million/s: median (least to most) | processor share \
         | of memcpy | of the log | in memory reads |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let ratio = |ratio: Option<f64>| ratio.map_or(String::new(), digits);
    for (mix, operation) in [(Mix::STORE, "store"), (Mix::RETRIEVE, "retrieve")] {
        let wanted = |it: &&Figure| it.case.mix == mix && it.case.distribution == Distribution::Uniform;
        for figure in figures.iter().filter(wanted) {
            writeln!(
                text,
                "| {} | {operation} | {} | {} | {} ({} to {}) | {:.0} % | {} | {} | {} |",
                figure.case.store,
                figure.body_bytes,
                figure.case.threads,
                digits(figure.median() / 1e6),
                digits(figure.least() / 1e6),
                digits(figure.most() / 1e6),
                figure.processor_share * 100.0,
                ratio(figure.ratio_to(COPY, figures)),
                ratio(figure.ratio_to(LOG, figures)),
                ratio(figure.in_reads(figures)),
            )
            .expect("text grows without error");
        }
    }
    text
}

/// The workloads side by side in Markdown: medians.
pub(crate) fn workloads(figures: &[Figure]) -> String {
    let columns: Vec<(Distribution, Mix, usize)> = Distribution::ALL
        .iter()
        .flat_map(|&distribution| {
            let mixes = [Mix::STORE, Mix::ONE_TO_ONE, Mix::ONE_TO_TWO];
            mixes.into_iter().flat_map(move |mix| [1, 2].map(|threads| (distribution, mix, threads)))
        })
        .collect();
    let mut text = String::from("| million operations/s |");
    for (distribution, mix, threads) in &columns {
        let law = match distribution {
            Distribution::Uniform => "even",
            Distribution::Zipf => "Zipf",
        };
        write!(text, " {law} {}:{}, {threads} t |", mix.stores, mix.retrieves)
            .expect("text grows without error");
    }
    text.push_str("\n|---|");
    text.push_str(&"--:|".repeat(columns.len()));
    text.push('\n');
    let mut stores: Vec<_> =
        figures.iter().filter(|it| it.case.mix == Mix::ONE_TO_ONE).map(|it| it.case.store).collect();
    stores.dedup();
    stores.sort_unstable();
    stores.dedup();
    let order = |store: &&str| figures.iter().position(|figure| figure.case.store == *store);
    stores.sort_by_key(order);
    for store in stores {
        write!(text, "| {store} |").expect("text grows without error");
        for &(distribution, mix, threads) in &columns {
            let figure = find(Case { store, distribution, mix, threads }, figures);
            let median = figure.map_or(String::new(), |figure| digits(figure.median() / 1e6));
            write!(text, " {median} |").expect("text grows without error");
        }
        text.push('\n');
    }
    let zipf =
        |mix, threads| find(Case { store: LOG, distribution: Distribution::Zipf, mix, threads }, figures);
    if let (Some(stores), Some(mixed)) = (zipf(Mix::STORE, 1), zipf(Mix::ONE_TO_ONE, 1)) {
        writeln!(
            text,
            "\nUnder Zipf's law the most called numbers are full: of the stores the log kept {} %, the others it refused; \
             a retrieve showed {} bodies. The peers that keep one placement a number show one.",
            digits(stores.kept_share * 100.0),
            digits(mixed.bodies_per_retrieve),
        )
        .expect("text grows without error");
    }
    text
}

/// Hands the rows of the targets on. `rows` names the stores that have some.
pub(crate) fn record(figures: &[Figure], rows: &[(&'static str, Mix, &str)]) -> Result<(), Failure> {
    for figure in figures.iter().filter(|figure| figure.case.distribution == Distribution::Uniform) {
        for (store, mix, row) in rows {
            if figure.case.store == *store && figure.case.mix == *mix {
                let row = format!("{row}_{}t", figure.case.threads);
                let [median, least, most] =
                    [figure.median(), figure.least(), figure.most()].map(|it| it / 1e6);
                results::record(&row, median, "M/s", least, most)?;
                if *mix == Mix::RETRIEVE && *store == LOG {
                    let [least, median, most] = figure.bodies_per_s().map(|it| it / 1e6);
                    results::record(&format!("{row}_bodies"), median, "M/s", least, most)?;
                }
            }
        }
    }
    Ok(())
}

/// The stores of evenly called numbers as bars.
pub(crate) fn bars(figures: &[Figure]) -> String {
    let (distribution, mix) = (Distribution::Uniform, Mix::STORE);
    let is_shown = |it: &&Figure| it.case.mix == mix && it.case.distribution == distribution;
    let groups = figures.iter().filter(|it| is_shown(it) && it.case.threads == 1).map(|one| {
        let values = [1, 2].map(|threads| Some(find(Case { threads, ..one.case }, figures)?.median() / 1e6));
        (one.case.store, values.to_vec())
    });
    let title = "Placements of 600 bytes stored per second";
    plot::Bars { title, unit: "million/s", series: &["one thread", "two threads"], groups: groups.collect() }
        .svg()
}
