//! A store allocates nothing, waits for no lock and enters the kernel never; a walk of the log neither. Only when a
//! segment of memory is used again may the log have the kernel pass a barrier for its readers: once for all stores
//! that went into the segments given up meanwhile.
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
    let quiet = seen.worked.allocations == 0 && seen.calls.iter().all(is_allowed);
    let (holds, word) = match conduct {
        // Of refusals alone nothing would follow for stores; a busy machine makes some.
        Conduct::Quiet => (quiet && seen.worked.done > OPERATIONS / 10, "quiet"),
        Conduct::Allocates => (seen.worked.allocations > 0, "noticed"),
        Conduct::Enters(_) if tracing == Tracing::Impossible => (true, "skipped"),
        Conduct::Enters(call) => (seen.calls.contains_key(call), "noticed"),
    };
    if holds { word } else { "FAILED" }
}

/// Fewer stores than fit in the smallest segment of a subject: more calls than one for so many are one too many.
const STORES_PER_BARRIER_MIN: u64 = 80;

/// Whether a quiet subject may make this call so often.
fn is_allowed((call, &count): (&String, &u64)) -> bool {
    call == "membarrier" && count <= OPERATIONS / STORES_PER_BARRIER_MIN
}

#[cfg(test)]
mod tests {
    use crate::is_allowed;

    #[test]
    fn a_barrier_for_a_segment_is_quiet_and_one_for_a_store_or_another_call_is_not() {
        for (call, count, expected) in
            [("membarrier", 12_500, true), ("membarrier", 12_501, false), ("futex", 1, false)]
        {
            assert_eq!(is_allowed((&call.to_owned(), &count)), expected, "{count} {call}");
        }
    }
}
