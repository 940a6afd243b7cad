//! What an engine counts, put together from its parts.

use herald_admission::Refusal;
use herald_core::PlacementClass;
use herald_journal::JournalStats;
use herald_log::LogStats;
use herald_net::{Address, CountersSnapshot, Durations, Server};

use super::{Engine, Parts};
use crate::admission::AdmissionStats;
use crate::discovery::SourceCounters;
use crate::error::EngineError;
use crate::fetch::FetchCounters;
use crate::monitor;
use crate::plugins::{PluginState, PluginStatus};
use crate::services::{Calls, Outcomes};
use crate::shared::{Shared, Stage};
use crate::stats::{StatKind, Stats, count, seconds, size};
use crate::wallet::Holdings;
use crate::worker::Worker;

impl Engine {
    /// The counters and gauges of this engine at about this moment, at any stage of its life. Any thread; it waits for
    /// nobody, and takes some microseconds, with admission up to a millisecond. Counters are since the engine was opened.
    pub fn stats(&self) -> Stats {
        self.parts.stats()
    }

    /// Why storing or retrieving would fail now, as `/health` says it; that messages alone cannot be stored is none
    /// (`herald_messages_healthy`). `None` if both would succeed. Any thread.
    pub fn fault(&self) -> Option<&'static str> {
        self.parts.health().fault
    }

    /// Where metrics are served, with the port that the kernel chose. `None` before the start and if they are not.
    pub fn metrics_address(&self) -> Option<&Address> {
        self.parts.monitor.get()
    }

    /// Starts to serve metrics, if that is configured.
    pub(super) fn start_monitor(&self) -> Result<Option<Server>, EngineError> {
        let Some(address) = self.config.metrics_listen else { return Ok(None) };
        let server = monitor::start(address, &self.parts)?;
        if let Some(address) = monitor::address(&server) {
            // After a start that failed it may be another one; only the first is told.
            let _ = self.parts.monitor.set(address);
        }
        Ok(Some(server))
    }
}

impl Parts {
    pub(crate) fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        self.add_life(&mut stats);
        add_service(&mut stats, &self.shared);
        add_memory(&mut stats, &self.shared);
        add_journal(&mut stats, &self.shared);
        self.add_network(&mut stats);
        add_admission(&mut stats, self.admitting.get().map(|admitting| admitting.stats()));
        add_plugins(&mut stats, &self.plugins.list());
        add_discovery(&mut stats, &self.source_counters());
        add_calls(&mut stats, self.calls.get());
        add_fetches(&mut stats, self.fetcher.as_ref().map(|fetcher| fetcher.counters()));
        stats
    }

    fn add_life(&self, stats: &mut Stats) {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        stats.gauge("herald_build_info", "The version that runs; always 1.").with(&version, 1.0);
        let stage = self.shared.stage();
        stats.gauge(
            "herald_up",
            "Whether the engine serves: 1, or 0 before the start, after the stop and once it failed.",
        );
        stats.only(is(stage == Stage::Running));
        stats.gauge("herald_failed", "Whether an invariant broke, so that the engine must be opened anew.");
        stats.only(is(stage == Stage::Failed));
        let health = self.health();
        stats.gauge("herald_healthy", "Whether storing and retrieving would succeed, as /health says.");
        stats.only(is(health.fault.is_none()));
        stats.gauge("herald_messages_healthy", "The same of messages, where they are kept.");
        if self.shared.messages.is_some() {
            stats.only(is(health.fault.is_none() && health.of_messages.is_none()));
        }
    }

    fn add_network(&self, stats: &mut Stats) {
        let mut sums = CountersSnapshot::default();
        for reactor in self.reactors.get().map_or(&[][..], Vec::as_slice) {
            sums += reactor.counters();
        }
        add_connections(stats, &sums);
        add_requests(stats, &sums);
    }
}

fn add_calls(stats: &mut Stats, calls: Option<&Calls>) {
    let worker = calls.map(|calls| &calls.worker);
    stats.gauge("herald_calls_under_way", "Calls that are being placed, checked or looked up.");
    calls.map(|calls| stats.only(size(calls.under_way())));
    stats.counter("herald_call_panics_total", "Machines and completions of calls that broke an invariant.");
    worker.map(|worker| stats.only(size(worker.panics_count())));
    let outcomes = calls.map(|calls| &*calls.outcomes);
    stats.counter("herald_calls_placed_total", "Calls that were placed, by what came of it.");
    add_named(stats, "result", outcomes.map(Outcomes::placed));
    stats.counter("herald_calls_checked_total", "Calls that were checked, by what came of it.");
    add_named(stats, "result", outcomes.map(Outcomes::checked));
    stats.counter(
        "herald_calls_not_found_total",
        "Calls that were checked and no PASSporT was found out of band for, by reason.",
    );
    add_named(stats, "reason", outcomes.map(Outcomes::not_found));
    stats.counter(
        "herald_service_requests_total",
        "Requests of a client to the service that has its placements, by what came of it; those of calls are not among \
         them.",
    );
    add_named(stats, "result", worker.and_then(Worker::home_counts));
    add_wallet(stats, worker.and_then(Worker::wallet_holdings));
}

fn add_named(stats: &mut Stats, label: &'static str, named: Option<Vec<(&'static str, u64)>>) {
    for (name, times) in named.into_iter().flatten() {
        stats.with(&[(label, name)], count(times));
    }
}

fn add_wallet(stats: &mut Stats, holdings: Option<Holdings>) {
    stats.gauge(
        "herald_wallet_services",
        "Services elsewhere that wanted tokens lately, by whether their issuer failed.",
    );
    if let Some(Holdings { services, failing, .. }) = holdings {
        stats
            .with(&[("issuer", "good")], size(services - failing))
            .with(&[("issuer", "failing")], size(failing));
    }
    stats.gauge("herald_wallet_tokens", "Tokens that are kept for calls to come.");
    holdings.map(|holdings| stats.only(size(holdings.tokens)));
    stats.gauge("herald_wallet_sessions", "Sessions at services elsewhere that calls share.");
    holdings.map(|holdings| stats.only(size(holdings.sessions)));
}

fn add_admission(stats: &mut Stats, admission: Option<AdmissionStats>) {
    let mut add = |kind, name, help, value: fn(&AdmissionStats) -> f64| {
        let family = stats.family(kind, name, help);
        if let Some(admission) = &admission {
            family.only(value(admission));
        }
    };
    let (counter, gauge) = (StatKind::Counter, StatKind::Gauge);
    add(gauge, "herald_admission_sessions", "Sessions of tokens that are open.", |admission| {
        size(admission.sessions)
    });
    add(gauge, "herald_admission_spent_tokens", "Spent tokens that are remembered.", |admission| {
        count(admission.spent)
    });
    add(gauge, "herald_admission_waiting_tokens", "Tokens that wait to be redeemed.", |admission| {
        size(admission.waiting)
    });
    add(counter, "herald_admission_redeemed_total", "Tokens that were redeemed.", |admission| {
        count(admission.redeemed)
    });
    add(counter, "herald_admission_issued_total", "Tokens that were issued.", |admission| {
        count(admission.issued)
    });
    stats.counter(
        "herald_admission_refused_total",
        "Stores and openings of sessions that were not admitted, by reason.",
    );
    for (reason, times) in admission.iter().flat_map(|admission| Refusal::KINDS.iter().zip(admission.refused))
    {
        stats.with(&[("reason", reason)], count(times));
    }
}

fn add_service(stats: &mut Stats, shared: &Shared) {
    let tallied = shared.tallied();
    stats.counter(
        "herald_stored_total",
        "Placements taken into memory; those that were then not acknowledged among them.",
    );
    stats.only(count(tallied.stored));
    stats.counter("herald_not_stored_total", "Placements that were refused or not acknowledged, by reason.");
    for (why, times) in tallied.not_stored() {
        stats.with(&[("reason", why.name())], count(times));
    }
    stats.counter(
        "herald_retrieved_total",
        "What was shown, by form: all items of a number (bodies), their ids (ids), one item (item).",
    );
    for (form, times) in [("bodies", tallied.retrieved), ("ids", tallied.listed), ("item", tallied.items)] {
        stats.with(&[("form", form)], count(times));
    }
    stats.counter("herald_not_found_total", "What was asked for and not shown, by reason. A number with nothing but cover is shown like any other.");
    for (why, times) in tallied.not_found() {
        stats.with(&[("reason", why.name())], count(times));
    }
}

/// Of calls without a label, of messages with one: where none are kept nothing is as if there were such a thing.
fn labels_of(class: PlacementClass) -> &'static [(&'static str, &'static str)] {
    match class {
        PlacementClass::Call => &[],
        PlacementClass::Message => &[("class", "message")],
    }
}

fn add_memory(stats: &mut Stats, shared: &Shared) {
    let logs: Vec<_> = shared.stacks().map(|(class, stack)| (labels_of(class), stack.log.stats())).collect();
    stats.gauge(
        "herald_arena_bytes",
        "Memory for placements, as mapped: whole segments, so a little less than was asked for.",
    );
    for (labels, log) in &logs {
        stats.with(labels, size(log.arena_bytes));
    }
    stats.gauge(
        "herald_arena_segments",
        "Segments of the memory for placements, by state; one counts as used until it is taken back.",
    );
    for (labels, log) in &logs {
        let state = |state| [&[("state", state)], *labels].concat();
        stats.with(&state("free"), size(log.segments_free));
        stats.with(&state("used"), size(log.segments_total - log.segments_free));
    }
    let mut add = |kind, name, help, value: fn(&LogStats) -> u64| {
        stats.family(kind, name, help);
        for (labels, log) in &logs {
            stats.with(labels, count(value(log)));
        }
    };
    let (counter, gauge) = (StatKind::Counter, StatKind::Gauge);
    add(
        counter,
        "herald_arena_segments_opened_total",
        "Segments opened, so how often memory goes round.",
        |log| log.segments_opened,
    );
    add(gauge, "herald_placements_beyond_memory", "Placements that have left memory and may live.", |log| {
        log.records_beyond
    });
    add(
        counter,
        "herald_placements_unread_total",
        "Placements that have left memory and could not be read when they were asked for.",
        |log| log.records_unread,
    );
}

fn add_journal(stats: &mut Stats, shared: &Shared) {
    let now = shared.clock.now();
    let journals: Vec<_> = shared
        .stacks()
        .filter_map(|(class, stack)| Some((labels_of(class), stack.journal_stats(now)?)))
        .collect();
    let mut add = |kind, name, help, value: fn(&JournalStats) -> f64| {
        stats.family(kind, name, help);
        for (labels, journal) in &journals {
            stats.with(labels, value(journal));
        }
    };
    let (counter, gauge) = (StatKind::Counter, StatKind::Gauge);
    add(
        gauge,
        "herald_journal_lag_seconds",
        "How long ago the last pass of the journal that succeeded began; in `synced` the last that is on the disk.",
        |journal| seconds(journal.lag_ms),
    );
    add(
        gauge,
        "herald_journal_unsynced_seconds",
        "How long ago the last pass of the journal began that is known to be on the disk.",
        |journal| seconds(journal.unsynced_ms),
    );
    add(
        gauge,
        "herald_journal_failing",
        "Whether stores are refused because the journal cannot be written: the disk fails or hangs.",
        |journal| is(journal.is_failing),
    );
    add(counter, "herald_journal_passes_total", "Passes of the journal.", |journal| count(journal.passes));
    add(counter, "herald_journal_passes_failed_total", "Passes of the journal that failed.", |journal| {
        count(journal.passes_failed)
    });
    add(counter, "herald_journal_written_bytes_total", "Bytes of placements that were written.", |journal| {
        count(journal.written_bytes)
    });
    add(counter, "herald_journal_pass_seconds_total", "Time in passes of the journal.", |journal| {
        count(journal.pass_us) / 1e6
    });
}

type Reading<T> = fn(&T) -> u64;

fn add_connections(stats: &mut Stats, sums: &CountersSnapshot) {
    stats.gauge("herald_connections", "Connections that are open.").only(count(sums.open));
    stats.counter("herald_connections_accepted_total", "Connections that were accepted.");
    stats.only(count(sums.accepted));
    stats.counter(
        "herald_accept_errors_total",
        "Connections that could not be accepted for want of descriptors or memory.",
    );
    stats.only(count(sums.accept_errors));
    stats.counter("herald_tls_handshakes_total", "TLS handshakes, by result.");
    stats.with(&[("result", "done")], count(sums.handshakes));
    stats.with(&[("result", "failed")], count(sums.handshakes_failed));
    stats.counter(
        "herald_connections_closed_total",
        "Connections closed before their peer wanted it, by what took too long.",
    );
    for (cause, times) in [
        ("hello", sums.hello_timeouts),
        ("header", sums.header_timeouts),
        ("write_stall", sums.write_stalls),
        ("idle", sums.idle_closes),
    ] {
        stats.with(&[("cause", cause)], count(times));
    }
}

fn add_requests(stats: &mut Stats, sums: &CountersSnapshot) {
    stats
        .counter("herald_http_requests_total", "HTTP requests whose head arrived.")
        .only(count(sums.requests));
    stats.counter(
        "herald_http_answers_total",
        "HTTP requests that were answered, by the hundreds of the status.",
    );
    for (code, times) in ["2xx", "3xx", "4xx", "5xx"].into_iter().zip(&sums.answers[2..]) {
        stats.with(&[("code", code)], count(*times));
    }
    stats.counter(
        "herald_http_refused_total",
        "HTTP requests refused before the service saw them: too large, too slow or no HTTP.",
    );
    stats.only(count(sums.refused));
    stats.counter("herald_http_panics_total", "HTTP requests lost to a broken invariant.");
    stats.only(count(sums.panics));
    stats.family(
        StatKind::Histogram,
        "herald_http_request_duration_seconds",
        "Time from the head of a request to its answer, by method: GET or POST; batches are not among them.",
    );
    for (method, durations) in [("GET", &sums.reading), ("POST", &sums.writing)] {
        let bounds = Durations::bounds_us().map(|us| Some(count(us) / 1e6)).chain([None]);
        let buckets = bounds.zip(durations.buckets);
        stats.durations(&[("method", method)], buckets, count(durations.sum_us) / 1e6);
    }
}

fn add_plugins(stats: &mut Stats, plugins: &[PluginStatus]) {
    stats.gauge("herald_plugin_serving", "Whether a plugin serves: 0 if it is disabled or not started.");
    for plugin in plugins {
        let labels = [("plugin", &*plugin.name), ("kind", plugin.kind), ("version", &*plugin.version)];
        stats.with(&labels, is(plugin.state == PluginState::Serving));
    }
    let gauges: [(_, _, Reading<PluginStatus>); 2] = [
        ("herald_plugin_generation", "1, and one more for each replacement of a plugin.", |plugin| {
            plugin.generation
        }),
        ("herald_plugin_lost_threads", "Threads that are stuck in a plugin.", |plugin| {
            plugin.lost_threads as u64
        }),
    ];
    for (name, help, read) in gauges {
        stats.gauge(name, help);
        for plugin in plugins {
            stats.with(&[("plugin", &plugin.name)], count(read(plugin)));
        }
    }
    stats.counter("herald_plugin_calls_total", "Calls into a plugin.");
    for plugin in plugins {
        stats.with(&[("plugin", &plugin.name)], count(plugin.calls));
    }
    stats.counter("herald_plugin_faults_total", "What went wrong with a plugin: failed calls, timeouts, calls refused as too many waited, late answers.");
    let faults: [(_, Reading<PluginStatus>); 4] = [
        ("failed", |plugin| plugin.failures),
        ("timeout", |plugin| plugin.timed_out),
        ("busy", |plugin| plugin.busy),
        ("late", |plugin| plugin.late),
    ];
    for plugin in plugins {
        for (fault, read) in faults {
            stats.with(&[("plugin", &plugin.name), ("fault", fault)], count(read(plugin)));
        }
    }
}

fn add_discovery(stats: &mut Stats, sources: &[(String, SourceCounters)]) {
    stats.counter(
        "herald_discovery_questions_total",
        "Questions to sources of services, by what came: found, nothing, failed, timeout.",
    );
    let results: [(_, Reading<SourceCounters>); 4] = [
        ("found", |source| source.found),
        ("nothing", |source| source.nothing),
        ("failed", |source| source.failed),
        ("timeout", |source| source.timed_out),
    ];
    for (source, counters) in sources {
        for (result, read) in results {
            stats.with(&[("source", source), ("result", result)], count(read(counters)));
        }
    }
    stats.counter(
        "herald_discovery_spared_total",
        "Calls that needed no question to a source: answered from what was kept, or by a question under way.",
    );
    for (source, counters) in sources {
        stats.with(&[("source", source), ("by", "kept")], count(counters.kept));
        stats.with(&[("source", source), ("by", "joined")], count(counters.joined));
    }
}

fn add_fetches(stats: &mut Stats, fetches: Option<FetchCounters>) {
    stats.counter(
        "herald_fetches_total",
        "Documents wanted from elsewhere (certificates, number lists, key bundles), by result.",
    );
    let Some(fetches) = fetches else { return };
    for (result, times) in [
        ("kept", fetches.hits),
        ("joined", fetches.joined),
        ("supplied", fetches.supplied),
        ("refused", fetches.refused),
        ("fetched", fetches.fetched),
        ("failed", fetches.failed),
    ] {
        stats.with(&[("result", result)], count(times));
    }
}

fn is(what: bool) -> f64 {
    f64::from(u8::from(what))
}
