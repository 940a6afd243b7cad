//! What an operator should know, on standard error: a line for people, a line with a priority for the journal of systemd,
//! or an object for machines. Nothing of one call is among it, and no telephone number.

use std::io::Write;
use std::os::unix::fs::MetadataExt;

use herald_runtime::{Level, LogFormat, wall_clock};
use serde_json::json;

/// Where reports go, and in which form. Any thread.
#[derive(Clone, Copy)]
pub(crate) struct Log {
    form: Form,
}

#[derive(Clone, Copy)]
enum Form {
    Text,
    /// Text with the priority in front that `sd-daemon(3)` describes.
    Journal,
    Json,
}

impl Log {
    /// A log in `format`. `journal_stream` is the variable JOURNAL_STREAM: systemd says there which file its journal
    /// reads.
    pub(crate) fn new(format: LogFormat, journal_stream: Option<&str>) -> Self {
        let form = match format {
            LogFormat::Json => Form::Json,
            LogFormat::Text if is_standard_error(journal_stream) => Form::Journal,
            LogFormat::Text => Form::Text,
        };
        Self { form }
    }

    /// Writes one line.
    pub(crate) fn write(&self, level: Level, message: &str) {
        // Whoever reads may have gone.
        let _ = writeln!(std::io::stderr().lock(), "{}", self.line(level, message, wall_clock().as_millis()));
    }

    fn line(&self, level: Level, message: &str, at_ms: u64) -> String {
        let (name, priority) = match level {
            Level::Info => ("info", 6),
            Level::Warning => ("warning", 4),
            Level::Error => ("error", 3),
        };
        let one_line = message.replace(char::is_control, " ");
        match self.form {
            Form::Text => format!("{name}: {one_line}"),
            Form::Journal => format!("<{priority}>{one_line}"),
            Form::Json => json!({ "time": rfc3339(at_ms), "level": name, "message": message }).to_string(),
        }
    }
}

/// Whether standard error is the file of this device and number.
fn is_standard_error(journal_stream: Option<&str>) -> bool {
    let Some((device, inode)) = journal_stream.and_then(|stream| stream.split_once(':')) else {
        return false;
    };
    let standard_error = std::fs::metadata("/proc/self/fd/2");
    standard_error.is_ok_and(|file| device.parse() == Ok(file.dev()) && inode.parse() == Ok(file.ino()))
}

/// A moment in UTC as RFC 3339 writes it, to the millisecond.
fn rfc3339(millis: u64) -> String {
    let (days, day_ms) = (millis / 86_400_000, millis % 86_400_000);
    let (year, month, day) = date(days);
    let (hour, minute) = (day_ms / 3_600_000, day_ms / 60_000 % 60);
    let (second, milli) = (day_ms / 1000 % 60, day_ms % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Year, month and day of a day counted from 1970-01-01, in years that begin with March (Hinnant, "chrono-compatible
/// low-level date algorithms").
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + 400 * era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_line_in_each_form() {
        let line = |form| Log { form }.line(Level::Warning, "a\nb \"c\"", 951_782_400_999);
        assert_eq!(line(Form::Text), "warning: a b \"c\"");
        assert_eq!(line(Form::Journal), "<4>a b \"c\"");
        let json = r#"{"level":"warning","message":"a\nb \"c\"","time":"2000-02-29T00:00:00.999Z"}"#;
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(parse(&line(Form::Json)), parse(json));
        assert!(!line(Form::Json).contains('\n'));
    }

    #[test]
    fn moments_are_written_in_utc() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_000_000_000_000, "2001-09-09T01:46:40.000Z"),
            (1_709_251_199_000, "2024-02-29T23:59:59.000Z"),
            (4_102_444_800_001, "2100-01-01T00:00:00.001Z"),
        ] {
            assert_eq!(rfc3339(millis), text);
        }
    }

    #[test]
    fn only_the_journal_is_told_priorities() {
        let file = std::fs::metadata("/proc/self/fd/2").expect("Linux shows it");
        let ours = format!("{}:{}", file.dev(), file.ino());
        assert!(is_standard_error(Some(&ours)));
        for other in [None, Some(""), Some("1"), Some("x:y"), Some("0:0")] {
            assert!(!is_standard_error(other), "{other:?}");
        }
    }
}
