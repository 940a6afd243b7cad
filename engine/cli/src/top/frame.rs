//! One picture of `herald top`: lines of at most 80 columns, in columns that stay where they are. With every part of it
//! and two plugins it fits a terminal of 24 lines.

use std::fmt::Write as _;

use super::scrape::Looks;

/// Columns of a line. What is longer is cut.
pub(super) const WIDTH: usize = 80;
/// Lines of the lowest terminal.
const HEIGHT: usize = 24;
/// Signs of the bar that shows how full memory is.
const BAR: usize = 30;
/// Values that are of one class of placements have the class of messages as a label, or none.
const OF_CALLS: (&str, &str) = ("class", "");
const OF_MESSAGES: (&str, &str) = ("class", "message");

/// What the engine at `place` does.
pub(super) fn frame(looks: &Looks<'_>, place: &str) -> String {
    let mut frame = Frame { looks, text: String::new() };
    frame.head(place);
    frame.service();
    frame.reasons();
    frame.memory();
    frame.journal();
    frame.admission();
    frame.calls();
    frame.plugins();
    frame.sources();
    fitted(&frame.text)
}

/// `picture` without its empty lines, if those are what makes it higher than the lowest terminal. The second stays: a later
/// look may have something to say there.
fn fitted(picture: &str) -> String {
    let is_too_high = picture.lines().count() > HEIGHT;
    let lines = picture.lines().enumerate();
    let kept = lines.filter(|(index, line)| !is_too_high || *index == 1 || !line.is_empty());
    kept.flat_map(|(_, line)| [line, "\n"]).collect()
}

struct Frame<'a> {
    looks: &'a Looks<'a>,
    text: String,
}

impl Frame<'_> {
    fn line(&mut self, line: impl AsRef<str>) {
        let cut: String = line.as_ref().trim_end().chars().take(WIDTH).collect();
        self.text.push_str(&cut);
        self.text.push('\n');
    }

    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.looks.now.sum(name, labels)
    }

    fn is(&self, name: &str) -> bool {
        self.sum(name, &[]) == Some(1.0)
    }

    fn head(&mut self, place: &str) {
        let version = self.looks.now.label("herald_build_info", "version").unwrap_or("?");
        let state = match (self.is("herald_up"), self.is("herald_healthy")) {
            _ if self.looks.silence.is_some() => "NO ANSWER",
            _ if self.is("herald_failed") => "FAILED",
            (false, _) => "NOT SERVING",
            (true, false) => "UNHEALTHY",
            (true, true) => "healthy",
        };
        self.line(format!("herald {version:<10} {place:<50} {state:>11}"));
        // In place of the empty line, so that what is below stays where it is.
        let silence = self
            .looks
            .silence
            .map_or_else(String::new, |why| format!("asking again; below is what was: {why}"));
        self.line(silence);
    }

    /// What is counted, and beside it how long requests took and how messages are.
    fn service(&mut self) {
        let mut beside = self.durations().into_iter().chain(self.messages());
        let mut row = |title: &str, rate: &str, total: &str| {
            format!("{title:<20}{rate:>12}{total:>17}  {}", beside.next().unwrap_or_default())
        };
        let mut rows = vec![row("SERVICE", "per second", "in all")];
        for (title, name, labels) in [
            ("stored", "herald_stored_total", &[][..]),
            ("not stored", "herald_not_stored_total", &[]),
            ("numbers shown", "herald_retrieved_total", &[]),
            ("not found", "herald_not_found_total", &[]),
            ("HTTP requests", "herald_http_requests_total", &[]),
            ("  answered 5xx", "herald_http_answers_total", &[("code", "5xx")]),
            ("TLS handshakes", "herald_tls_handshakes_total", &[]),
            ("  failed", "herald_tls_handshakes_total", &[("result", "failed")]),
        ] {
            let (rate, total) = (self.looks.rate(name, labels), self.sum(name, labels));
            rows.push(row(title, &shown_rate(rate), &shown_count(total)));
        }
        rows.push(row("connections open", "", &shown_count(self.sum("herald_connections", &[]))));
        rows.iter().for_each(|row| self.line(row));
    }

    fn durations(&self) -> Vec<String> {
        let quantile = |method, share| {
            let name = "herald_http_request_duration_seconds";
            shown_seconds(self.looks.quantile(name, &[("method", method)], share))
        };
        let mut rows = vec![format!("{:<9}{:>10}{:>10}", "HTTP TOOK", "GET", "POST")];
        for (title, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
            rows.push(format!("{title:<9}{:>10}{:>10}", quantile("GET", share), quantile("POST", share)));
        }
        rows
    }

    /// Memory and journal of messages, where they are kept.
    fn messages(&self) -> Vec<String> {
        let Some(healthy) = self.sum("herald_messages_healthy", &[]) else { return Vec::new() };
        let state = if healthy == 1.0 { "healthy" } else { "UNHEALTHY" };
        let (share, bytes) = self.arena(OF_MESSAGES);
        let mut rows = vec![
            String::new(),
            format!("{:<9}{state:>20}", "MESSAGES"),
            format!("{:<9}{:>20}", "memory", format!("{:.0} % of {bytes}", 100.0 * share)),
        ];
        rows.push(match self.sum("herald_journal_lag_seconds", &[OF_MESSAGES]) {
            None => format!("{:<9}{:>20}", "journal", "none"),
            Some(lag_s) => {
                let state =
                    format!("{}, lag {}", self.journal_state(OF_MESSAGES), shown_seconds(Some(lag_s)));
                format!("{:<9}{state:>20}", "journal")
            }
        });
        let beyond = self.sum("herald_placements_beyond_memory", &[OF_MESSAGES]).filter(|count| *count > 0.0);
        rows.extend(beyond.map(|count| format!("{:<9}{:>20}", "beyond", grouped(count))));
        rows
    }

    /// Which share of the memory of a class is used, and of how many bytes.
    fn arena(&self, class: (&str, &str)) -> (f64, String) {
        let segments = |state| self.sum("herald_arena_segments", &[("state", state), class]).unwrap_or(0.0);
        let (used, free) = (segments("used"), segments("free"));
        let share = if used + free > 0.0 { used / (used + free) } else { 0.0 };
        (share, shown_bytes(self.sum("herald_arena_bytes", &[class])))
    }

    fn journal_state(&self, class: (&str, &str)) -> &'static str {
        let is_failing = self.sum("herald_journal_failing", &[class]) == Some(1.0);
        if is_failing { "FAILING" } else { "writing" }
    }

    /// Why something was not stored or found: what happened in this time, else since the start.
    fn reasons(&mut self) {
        for (title, name) in [
            ("not stored, by reason", "herald_not_stored_total"),
            ("not found, by reason", "herald_not_found_total"),
        ] {
            let mut text = String::new();
            for reason in self.looks.now.label_values(name, "reason") {
                let labels = [("reason", reason.as_str())];
                if let Some(total) = self.sum(name, &labels).filter(|total| *total > 0.0) {
                    // Writing to a string cannot fail.
                    let _ = write!(text, "{reason} {}  ", shown_count(Some(total)));
                }
            }
            if !text.is_empty() {
                self.line(format!("{title:<24}{text}"));
            }
        }
    }

    fn memory(&mut self) {
        let (share, bytes) = self.arena(OF_CALLS);
        let beyond = self.sum("herald_placements_beyond_memory", &[OF_CALLS]).unwrap_or(0.0);
        let beyond =
            if beyond > 0.0 { format!("  {} beyond", shown_count(Some(beyond))) } else { String::new() };
        self.line("");
        self.line(format!("{:<10}[{}] {:>4.0} % of {bytes}{beyond}", "MEMORY", bar(share), 100.0 * share));
    }

    fn journal(&mut self) {
        let Some(lag_s) = self.sum("herald_journal_lag_seconds", &[OF_CALLS]) else {
            return self.line(format!("{:<10}none: a restart loses all", "JOURNAL"));
        };
        let passes = self.looks.rate("herald_journal_passes_total", &[OF_CALLS]);
        let busy = self.looks.rate("herald_journal_pass_seconds_total", &[OF_CALLS]);
        let each = passes.zip(busy).map(|(passes, busy)| busy / passes);
        let state = self.journal_state(OF_CALLS);
        self.line(format!(
            "{:<10}{state}  lag {:>7}  {:>6} passes/s of {:>7}  {:>10}/s",
            "JOURNAL",
            shown_seconds(Some(lag_s)),
            shown_rate(passes),
            shown_seconds(each),
            shown_bytes(self.looks.rate("herald_journal_written_bytes_total", &[OF_CALLS])),
        ));
    }

    fn admission(&mut self) {
        let Some(sessions) = self.sum("herald_admission_sessions", &[]) else { return };
        self.line(format!(
            "{:<10}{} sessions  {} waiting  redeemed {}/s  refused {}/s",
            "TOKENS",
            shown_count(Some(sessions)),
            shown_count(self.sum("herald_admission_waiting_tokens", &[])),
            shown_rate(self.looks.rate("herald_admission_redeemed_total", &[])),
            shown_rate(self.looks.rate("herald_admission_refused_total", &[])),
        ));
    }

    fn calls(&mut self) {
        let Some(under_way) = self.sum("herald_calls_under_way", &[]) else { return };
        let checked = |result| self.looks.rate("herald_calls_checked_total", &[("result", result)]);
        self.line(format!(
            "{:<10}{} under way  placed {}/s  accepted {}/s  rejected {}/s",
            "CALLS",
            shown_count(Some(under_way)),
            shown_rate(self.looks.rate("herald_calls_placed_total", &[("result", "placed")])),
            shown_rate(checked("accepted")),
            shown_rate(checked("rejected")),
        ));
    }

    fn plugins(&mut self) {
        let names = self.looks.now.label_values("herald_plugin_serving", "plugin");
        if names.is_empty() {
            return;
        }
        self.line("");
        self.line(format!(
            "{:<24}{:<9}{:>4}{:>11}{:>8}{:>8}{:>8}{:>8}",
            "PLUGIN", "state", "gen", "calls/s", "failed", "timeout", "busy", "late"
        ));
        for name in names {
            let of = [("plugin", name.as_str())];
            let serves = self.sum("herald_plugin_serving", &of) == Some(1.0);
            let fault = |fault| {
                let labels = [("plugin", name.as_str()), ("fault", fault)];
                shown_count(self.sum("herald_plugin_faults_total", &labels))
            };
            let line = format!(
                "{:<24}{:<9}{:>4}{:>11}{:>8}{:>8}{:>8}{:>8}",
                name.chars().take(23).collect::<String>(),
                if serves { "serves" } else { "DISABLED" },
                shown_count(self.sum("herald_plugin_generation", &of)),
                shown_rate(self.looks.rate("herald_plugin_calls_total", &of)),
                fault("failed"),
                fault("timeout"),
                fault("busy"),
                fault("late"),
            );
            self.line(line);
        }
    }

    fn sources(&mut self) {
        let names = self.looks.now.label_values("herald_discovery_questions_total", "source");
        if names.is_empty() {
            return;
        }
        self.line("");
        self.line(format!(
            "{:<24}{:>11}{:>11}{:>11}{:>11}{:>12}",
            "SOURCE  (per second)", "found", "nothing", "failed", "timeout", "kept"
        ));
        for name in names {
            let rate = |result| {
                let labels = [("source", name.as_str()), ("result", result)];
                shown_rate(self.looks.rate("herald_discovery_questions_total", &labels))
            };
            let kept = [("source", name.as_str()), ("by", "kept")];
            let line = format!(
                "{:<24}{:>11}{:>11}{:>11}{:>11}{:>12}",
                name.chars().take(23).collect::<String>(),
                rate("found"),
                rate("nothing"),
                rate("failed"),
                rate("timeout"),
                shown_rate(self.looks.rate("herald_discovery_spared_total", &kept)),
            );
            self.line(line);
        }
    }
}

fn bar(share: f64) -> String {
    let full = (0..BAR).filter(|place| (*place as f64) < share * BAR as f64).count();
    format!("{}{}", "#".repeat(full), "-".repeat(BAR - full))
}

/// What is not there, or not known yet.
const NOTHING: &str = "-";

fn shown_rate(rate: Option<f64>) -> String {
    match rate {
        Some(rate) if rate.is_finite() && rate < 99.95 => format!("{rate:.1}"),
        Some(rate) if rate.is_finite() => grouped(rate),
        _ => NOTHING.to_owned(),
    }
}

fn shown_count(count: Option<f64>) -> String {
    count.map_or_else(|| NOTHING.to_owned(), grouped)
}

/// A whole number with a comma between thousands.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn shown_seconds(seconds: Option<f64>) -> String {
    match seconds {
        Some(seconds) if !seconds.is_finite() => NOTHING.to_owned(),
        Some(seconds) if seconds < 999.5e-6 => format!("{:.0} us", seconds * 1e6),
        Some(seconds) if seconds < 99.95e-3 => format!("{:.1} ms", seconds * 1e3),
        Some(seconds) if seconds < 0.9995 => format!("{:.0} ms", seconds * 1e3),
        Some(seconds) => format!("{seconds:.1} s"),
        None => NOTHING.to_owned(),
    }
}

fn shown_bytes(bytes: Option<f64>) -> String {
    let Some(mut bytes) = bytes.filter(|bytes| bytes.is_finite()) else { return NOTHING.to_owned() };
    for unit in ["B", "KiB", "MiB"] {
        if bytes < 1023.5 {
            return format!("{bytes:.0} {unit}");
        }
        bytes /= 1024.0;
    }
    format!("{bytes:.1} GiB")
}
