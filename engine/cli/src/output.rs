//! What the program says: lines for people, JSON for machines. Answers go to standard output, the rest to
//! standard error.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use herald_runtime::{CpsError, EngineError, EngineErrorKind, Level};
use serde_json::{Value, json};

/// The verdict is not good, or the demo found a fault.
pub(crate) const EXIT_NOT_GOOD: u8 = 1;
/// The arguments or files given are wrong.
pub(crate) const EXIT_USAGE: u8 = 2;
/// The service cannot be reached, or cannot do it now (`EX_UNAVAILABLE`).
pub(crate) const EXIT_UNAVAILABLE: u8 = 69;
/// A signal asked for the end, as a shell says it of SIGINT.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

/// Where answers go, and in which form.
pub(crate) struct Output {
    json: bool,
}

/// Why a command ends early.
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// The user can mend it: an argument or a file.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self { code: EXIT_USAGE, message: message.to_string() }
    }

    /// The other side or the machine must mend it.
    pub(crate) fn unavailable(message: impl Display) -> Self {
        Self { code: EXIT_UNAVAILABLE, message: message.to_string() }
    }

    /// What was judged does not hold.
    pub(crate) fn not_good(message: impl Display) -> Self {
        Self { code: EXIT_NOT_GOOD, message: message.to_string() }
    }

    /// A signal asked for the end.
    pub(crate) fn interrupted() -> Self {
        Self { code: EXIT_INTERRUPTED, message: "interrupted; nothing is left behind".to_owned() }
    }
}

impl From<CpsError> for Failure {
    fn from(error: CpsError) -> Self {
        match error {
            CpsError::Url(_) | CpsError::Roots(_) | CpsError::TokensWanted => Self::usage(error),
            // What is refused now and for ever is the user's to mend; 408 and 429 mean later.
            CpsError::Refused { status: 400..=407 | 409..=428 | 430..=499, .. } => Self::usage(error),
            _ => Self::unavailable(error),
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error.kind() {
            EngineErrorKind::Argument | EngineErrorKind::Limit => Self::usage(error),
            _ => Self::unavailable(error),
        }
    }
}

impl Output {
    /// Lines, or JSON if `json`.
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether machines read along.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// The answer of a command.
    pub(crate) fn answer(&self, text: impl Display, value: &Value) {
        if self.json { self.line(value) } else { self.line(text) }
    }

    /// One line of an answer.
    pub(crate) fn line(&self, text: impl Display) {
        let mut out = std::io::stdout().lock();
        // Whoever reads may have gone, as `head` does; that is no failure of ours.
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// A report of the engine, to standard error.
    pub(crate) fn report(json: bool, level: Level, message: &str) {
        let level = match level {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        let line = if json {
            json!({ "level": level, "message": message }).to_string()
        } else {
            format!("{level}: {message}")
        };
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }

    /// Says why the command failed.
    pub(crate) fn failure(&self, failure: &Failure) -> ExitCode {
        Self::report(self.json, Level::Error, &failure.message);
        ExitCode::from(failure.code)
    }
}
