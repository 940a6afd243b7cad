//! The metrics of an engine as they are read over HTTP, and what changed between two looks.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use herald_runtime::net::{Bytes, Client, Method, Request, Uri};

/// How long the listener of metrics may take to answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// Bytes of metrics that are read: some thirty plugins and eight sources take a tenth.
const METRICS_BYTES_MAX: usize = 1 << 20;

/// The labels of a value: names with values, in the order of the text.
type Labels = Vec<(String, String)>;

/// All values at one moment.
pub(super) struct Scrape {
    at: Instant,
    values: BTreeMap<String, Vec<(Labels, f64)>>,
}

/// Two looks at the same engine.
pub(super) struct Looks<'a> {
    pub(super) before: Option<&'a Scrape>,
    pub(super) now: &'a Scrape,
    /// Why there was no answer since.
    pub(super) silence: Option<&'a str>,
}

/// Asks for metrics again and again.
pub(super) struct Scraper {
    client: Client,
    uri: Uri,
}

impl Scraper {
    /// Asks at `url`, or at `url` as host and port.
    ///
    /// # Errors
    /// If it is no such URL.
    pub(super) fn new(url: &str) -> Result<Self, String> {
        let with_scheme = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let uri: Uri = with_scheme.parse().map_err(|error| format!("{url}: {error}"))?;
        let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(format!("{url}: metrics are served over plain HTTP, as in http://127.0.0.1:9464"));
        };
        let uri = format!("http://{authority}/metrics").parse().map_err(|error| format!("{url}: {error}"))?;
        Ok(Self { client: Client::plain().answer_bytes_max(METRICS_BYTES_MAX), uri })
    }

    /// # Errors
    /// Why there is no answer, or none with metrics.
    pub(super) fn scrape(&mut self) -> Result<Scrape, String> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = self.uri.clone();
        let failed = |why: String| format!("{}: {why}", self.uri);
        let response = self.client.request(request, DEADLINE).map_err(|error| failed(error.to_string()))?;
        if !response.status().is_success() {
            return Err(failed(format!("it answers {}; is this metrics_listen?", response.status())));
        }
        Scrape::read(&String::from_utf8_lossy(response.body()), Instant::now()).map_err(failed)
    }
}

impl Scrape {
    /// Reads the text form of Prometheus.
    ///
    /// # Errors
    /// If a line is none of it, or it is not Herald's.
    pub(super) fn read(text: &str, at: Instant) -> Result<Self, String> {
        let mut values = BTreeMap::<_, Vec<_>>::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, labels, value) = value(line).ok_or("it does not answer with metrics")?;
            values.entry(name.to_owned()).or_default().push((labels, value));
        }
        match values.contains_key("herald_up") {
            true => Ok(Self { at, values }),
            false => Err("these are not the metrics of Herald".to_owned()),
        }
    }

    /// The sum of the values of this name that have all these labels, of which an empty one stands for none; `None` if there
    /// are no such values.
    pub(super) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let found = self.of(name, labels);
        (!found.is_empty()).then(|| found.iter().map(|(_, value)| *value).sum())
    }

    /// The values of a label that a name has.
    pub(super) fn label_values(&self, name: &str, label: &str) -> Vec<String> {
        let mut found: Vec<_> = self
            .of(name, &[])
            .iter()
            .filter_map(|(labels, _)| value_of(labels, label))
            .map(str::to_owned)
            .collect();
        found.dedup();
        found
    }

    /// The value of `label` on the first value of `name` that has it.
    pub(super) fn label(&self, name: &str, label: &str) -> Option<&str> {
        self.of(name, &[]).into_iter().find_map(|(labels, _)| value_of(labels, label))
    }

    fn of(&self, name: &str, labels: &[(&str, &str)]) -> Vec<&(Labels, f64)> {
        let values = self.values.get(name).map_or(&[][..], Vec::as_slice);
        let has =
            |of: &Labels, (name, value): &(&str, &str)| value_of(of, name).unwrap_or_default() == *value;
        values.iter().filter(|(of, _)| labels.iter().all(|label| has(of, label))).collect()
    }
}

impl Looks<'_> {
    /// How much a counter rose in a second; since the start, if this is the first look.
    pub(super) fn rate(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let now = self.now.sum(name, labels)?;
        let Some(before) = self.before else { return Some(f64::NAN) };
        let seconds = self.now.at.duration_since(before.at).as_secs_f64();
        // An engine that was started anew begins at 0.
        let rose = match before.sum(name, labels).unwrap_or(0.0) {
            before if before <= now => now - before,
            _ => now,
        };
        Some(rose / seconds.max(1e-3))
    }

    /// Below how many seconds this share of what a histogram counted between the looks stayed, since the start if this is
    /// the first; `None` if nothing was counted.
    pub(super) fn quantile(&self, name: &str, labels: &[(&str, &str)], share: f64) -> Option<f64> {
        let bucket = format!("{name}_bucket");
        let mut bounds: Vec<(f64, f64)> = self
            .now
            .of(&bucket, labels)
            .into_iter()
            .filter_map(|(of, now)| {
                let le = value_of(of, "le")?;
                let with_bound: Vec<_> = labels.iter().copied().chain([("le", le)]).collect();
                let before = self.before.and_then(|before| before.sum(&bucket, &with_bound)).unwrap_or(0.0);
                let bound_s = le.parse().ok().filter(|_| le != "+Inf").unwrap_or(f64::INFINITY);
                Some((bound_s, (now - before).max(0.0)))
            })
            .collect();
        bounds.sort_by(|one, other| one.0.total_cmp(&other.0));
        let wanted = bounds.last().map(|(_, total)| total * share).filter(|wanted| *wanted > 0.0)?;
        let at = bounds.iter().position(|(_, upto)| *upto >= wanted)?;
        let (low_s, below) = if at == 0 { (0.0, 0.0) } else { bounds[at - 1] };
        let (high_s, upto) = bounds[at];
        if high_s.is_infinite() {
            return Some(low_s);
        }
        Some(low_s + (high_s - low_s) * (wanted - below) / (upto - below))
    }
}

fn value_of<'a>(labels: &'a Labels, name: &str) -> Option<&'a str> {
    labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
}

/// One line: a name, labels if it has some, and a value.
fn value(line: &str) -> Option<(&str, Labels, f64)> {
    let name_end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(name_end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Labels::new(), rest),
    };
    Some((name, labels, rest.trim().parse().ok()?))
}

/// The labels in front of a closing brace, and what is behind it.
fn labels(mut rest: &str) -> Option<(Labels, &str)> {
    let mut labels = Labels::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, after) = rest.split_once("=\"")?;
        let (value, after) = quoted(after)?;
        labels.push((name.to_owned(), value));
        rest = after;
    }
}

/// A text in front of a closing quote, with what is escaped in it, and what is behind the quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut signs = text.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match signs.next()?.1 {
                'n' => '\n',
                sign => sign,
            }),
            sign => value.push(sign),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::frame::frame;
    use super::*;

    fn scrape(text: &str, at: Instant) -> Scrape {
        Scrape::read(&format!("herald_up 1\n{text}"), at).expect("metrics")
    }

    #[test]
    fn values_are_read_with_what_is_escaped_in_labels_and_anything_else_is_refused() {
        let now = Instant::now();
        let seen = scrape("a{x=\"1\",y=\"q\\\"\\\\\\n}\"} 2\na{x=\"2\"} 3\n# a comment\n", now);
        assert_eq!(seen.sum("a", &[("x", "1")]), Some(2.0));
        assert_eq!(seen.label("a", "y"), Some("q\"\\\n}"));
        assert_eq!((seen.sum("a", &[]), seen.sum("b", &[])), (Some(5.0), None));
        for text in ["<html>", "a{x=\"1} 2", "a{x=\"1\"}", "a", "go_threads 1"] {
            assert!(Scrape::read(text, now).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_and_quantiles_are_of_the_time_between_two_looks() {
        let began = Instant::now();
        let text = |a, fast, slow| {
            format!(
                "a_total {a}\nh_bucket{{le=\"1\"}} {fast}\nh_bucket{{le=\"2\"}} {slow}\nh_bucket{{le=\"+Inf\"}} {slow}\n"
            )
        };
        let before = scrape(&text(10, 100, 100), began);
        let now = scrape(&text(30, 101, 103), began + Duration::from_secs(4));
        let looks = Looks { before: Some(&before), now: &now, silence: None };
        assert_eq!(looks.rate("a_total", &[]), Some(5.0));
        // Of three, one took up to a second and two up to two.
        assert_eq!(looks.quantile("h", &[], 2.0 / 3.0), Some(1.5));
        assert_eq!(Looks { before: Some(&now), now: &now, silence: None }.quantile("h", &[], 0.5), None);
        let anew = scrape(&text(8, 0, 0), began + Duration::from_secs(8));
        assert_eq!(Looks { before: Some(&now), now: &anew, silence: None }.rate("a_total", &[]), Some(2.0));
    }

    #[test]
    fn a_picture_says_as_long_as_there_is_no_answer_and_keeps_its_places() {
        let now = scrape("herald_healthy 1\n", Instant::now());
        let picture = |silence| frame(&Looks { before: None, now: &now, silence }, "127.0.0.1:9464");
        let (answered, silent) = (picture(None), picture(Some("connection refused")));
        assert!(answered.contains("healthy") && !answered.contains("NO ANSWER"), "{answered}");
        assert!(silent.contains("NO ANSWER") && silent.contains("connection refused"), "{silent}");
        assert!(!silent.contains("healthy"), "{silent}");
        assert_eq!(silent.lines().count(), answered.lines().count());
    }

    #[test]
    fn messages_are_beside_calls_and_not_among_them() {
        let of_calls = "herald_healthy 1\nherald_arena_bytes 1048576\nherald_arena_segments{state=\"free\"} 3\n\
             herald_arena_segments{state=\"used\"} 1\nherald_journal_lag_seconds 0.01\nherald_journal_failing 1\n\
             herald_placements_beyond_memory 5\n";
        let of_messages = "herald_messages_healthy 0\nherald_arena_bytes{class=\"message\"} 2097152\n\
             herald_arena_segments{state=\"free\",class=\"message\"} 1\n\
             herald_arena_segments{state=\"used\",class=\"message\"} 3\n\
             herald_placements_beyond_memory{class=\"message\"} 7\n\
             herald_journal_lag_seconds{class=\"message\"} 0.02\nherald_journal_failing{class=\"message\"} 1\n";
        let now = Instant::now();
        let picture = |text: &str| frame(&Looks { before: None, now: &scrape(text, now), silence: None }, "");
        let (calls, both) = (picture(of_calls), picture(&format!("{of_calls}{of_messages}")));
        for part in ["  25 % of 1 MiB  5 beyond", "FAILING  lag 10.0 ms"] {
            assert!(calls.contains(part) && both.contains(part), "no {part} in\n{calls}{both}");
        }
        let parts =
            ["UNHEALTHY", "75 % of 2 MiB", "beyond                      7", "journal  FAILING, lag 20.0 ms"];
        for part in ["MESSAGES"].iter().chain(&parts) {
            assert!(both.contains(part) && !calls.contains(part), "{part} in\n{calls}{both}");
        }
        assert!(both.lines().all(|line| line.chars().count() <= 80), "{both}");
        assert_eq!(both.lines().count(), calls.lines().count());
    }

    #[test]
    fn a_picture_of_all_there_is_fits_a_terminal_of_24_lines_and_80_columns() {
        let now = scrape(
            "herald_healthy 1\nherald_not_stored_total{reason=\"number_full\"} 2\nherald_not_found_total{reason=\"gone\"} 2\n\
             herald_journal_lag_seconds 0.01\nherald_admission_sessions 3\nherald_calls_under_way 4\n\
             herald_plugin_serving{plugin=\"one\"} 1\nherald_plugin_serving{plugin=\"two\"} 1\n\
             herald_discovery_questions_total{source=\"one\",result=\"found\"} 5\n",
            Instant::now(),
        );
        let picture = frame(&Looks { before: None, now: &now, silence: None }, "127.0.0.1:9464");
        assert!(picture.lines().all(|line| line.chars().count() <= 80), "{picture}");
        let heads = ["herald ?", "SERVICE", "MEMORY", "JOURNAL", "TOKENS", "CALLS", "PLUGIN", "SOURCE"];
        for head in heads {
            assert!(picture.lines().any(|line| line.starts_with(head)), "no {head} in\n{picture}");
        }
        assert!(picture.lines().count() <= 24, "{picture}");
        let few = scrape("herald_healthy 1\n", Instant::now());
        let picture = frame(&Looks { before: None, now: &few, silence: None }, "127.0.0.1:9464");
        assert!(picture.contains("\n\nMEMORY"), "where there is room, parts stand apart\n{picture}");
    }
}
