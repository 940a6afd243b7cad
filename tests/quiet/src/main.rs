//! A store allocates nothing, waits for no lock and enters the kernel never; a walk of the log neither.
//!
//! Each subject runs in a process of its own, this program again: it prepares, writes a mark to standard error,
//! works a million times, writes a second mark. Meanwhile a counting allocator counts, and strace writes down every
//! system call of every thread; between the marks there must be none. The engine is given a clock of the tests'
//! own: what a look at the machine's clock costs is the machine's business.
//!
//! Subjects that allocate, sleep on a lock or enter the kernel on purpose must be noticed, or the test fails.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a table on standard output is the program")]

mod marked;
mod subjects;
mod trace;

use std::process::ExitCode;

use crate::marked::OPERATIONS;
use crate::subjects::{Conduct, SUBJECTS, Subject};
use crate::trace::{Seen, Tracing};

fn main() -> ExitCode {
    let result = match std::env::args().nth(1) {
        Some(name) => subject_named(&name).map(|subject| {
            marked::run(subject);
            true
        }),
        None => look_at_all(),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("herald-quiet: {message}");
            ExitCode::from(EXIT_NO_VERDICT)
        }
    }
}

/// Nothing was looked at.
const EXIT_NO_VERDICT: u8 = 2;

fn subject_named(name: &str) -> Result<&'static Subject, String> {
    let found = SUBJECTS.iter().find(|subject| subject.name == name);
    found.ok_or_else(|| format!("there is no subject {name:?}"))
}

fn look_at_all() -> Result<bool, String> {
    let tracing = Tracing::here()?;
    let mut good = true;
    for subject in SUBJECTS {
        let seen = trace::run(subject, tracing)?;
        let verdict = verdict(subject.conduct, &seen, tracing);
        good &= verdict != "FAILED";
        println!("{verdict:<8} {:<46} {seen}", subject.name);
    }
    if tracing == Tracing::Impossible {
        println!("skipped aloud: this machine lets no process be traced, so no system call was looked for");
    }
    Ok(good)
}

fn verdict(conduct: Conduct, seen: &Seen, tracing: Tracing) -> &'static str {
    let quiet = seen.worked.allocations == 0 && seen.calls.is_empty();
    let (holds, word) = match conduct {
        // Of refusals alone nothing would follow for stores; a busy machine makes some.
        Conduct::Quiet => (quiet && seen.worked.done > OPERATIONS / 10, "quiet"),
        Conduct::Allocates => (seen.worked.allocations > 0, "noticed"),
        Conduct::Enters(_) if tracing == Tracing::Impossible => (true, "skipped"),
        Conduct::Enters(call) => (seen.calls.contains_key(call), "noticed"),
    };
    if holds { word } else { "FAILED" }
}
