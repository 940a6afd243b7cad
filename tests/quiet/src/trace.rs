//! Running a subject under strace and reading what was seen between its marks. Knows nothing of the work.

use std::collections::BTreeMap;
use std::fmt;
use std::process::{Command, Stdio};

use crate::marked::{BEGIN, END, OPERATIONS, Worked};
use crate::subjects::Subject;

/// What happened between the marks.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) worked: Worked,
    /// How often each system call was made.
    pub(crate) calls: BTreeMap<String, u64>,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {OPERATIONS} done, {} allocations", self.worked.done, self.worked.allocations)?;
        if self.calls.is_empty() {
            return f.write_str(", no system call");
        }
        self.calls.iter().try_for_each(|(call, count)| write!(f, ", {count} {call}"))
    }
}

/// Whether system calls can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tracing {
    /// They can.
    Possible,
    /// The kernel does not let processes be traced here.
    Impossible,
}

impl Tracing {
    /// Tries it.
    pub(crate) fn here() -> Result<Self, String> {
        let tried = Command::new("strace").args(["-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
        match tried {
            Ok(status) if status.success() => Ok(Self::Possible),
            Ok(_) => Ok(Self::Impossible),
            Err(error) => Err(format!("strace does not start ({error}); install it (Debian: strace)")),
        }
    }
}

/// Runs `subject` in a process of its own.
pub(crate) fn run(subject: &Subject, tracing: Tracing) -> Result<Seen, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no folder for the trace: {error}"))?;
    let trace = folder.path().join("trace");
    let program = std::env::current_exe().map_err(|error| format!("where this program is: {error}"))?;
    let mut command = match tracing {
        Tracing::Possible => {
            let mut strace = Command::new("strace");
            strace.args(["-f", "-o"]).arg(&trace).arg(program);
            strace
        }
        Tracing::Impossible => Command::new(program),
    };
    let output = command.arg(subject.name).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{:?} does not start: {error}", subject.name))?;
    let worked = Worked::read(&String::from_utf8_lossy(&output.stdout)).filter(|_| output.status.success());
    let worked = worked.ok_or_else(|| {
        let why = String::from_utf8_lossy(&output.stderr);
        format!("{:?} ended with {}: {why}", subject.name, output.status)
    })?;
    if tracing == Tracing::Impossible {
        return Ok(Seen { worked, calls: BTreeMap::new() });
    }
    let trace = std::fs::read_to_string(&trace).map_err(|error| format!("strace left no trace: {error}"))?;
    let calls = calls_between_marks(&trace).ok_or("the trace lacks the marks around the work")?;
    Ok(Seen { worked, calls })
}

/// The system calls that any thread began, ended or was inside of between the two marks. `None` if a mark is missing.
fn calls_between_marks(trace: &str) -> Option<BTreeMap<String, u64>> {
    let (_, behind) = trace.split_once(BEGIN)?;
    let (between, _) = behind.split_once(END)?;
    let mut lines: Vec<&str> = between.lines().collect();
    // The rest of the first mark's line, and the beginning of the second's.
    lines.pop();
    let mut calls = BTreeMap::new();
    for line in lines.into_iter().skip(1) {
        *calls.entry(call_name(line)).or_default() += 1;
    }
    Some(calls)
}

/// The call in a line as `17 futex(0x7f, ...) = 0` or `17 <... futex resumed> ...`; the whole line if it is neither,
/// as a signal is.
fn call_name(line: &str) -> String {
    let text = line.trim_start_matches(|sign: char| sign.is_ascii_digit()).trim_start();
    let text = text.strip_prefix("<... ").unwrap_or(text);
    let end = text.find(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_').unwrap_or(text.len());
    if end == 0 { text.to_owned() } else { text[..end].to_owned() }
}

#[cfg(test)]
mod tests {
    use super::calls_between_marks;

    #[test]
    fn what_lies_between_the_marks_is_counted_and_nothing_else() {
        let quiet = "17 mmap(NULL, 4) = 0\n17 write(2, \"herald-quiet: begin\", 19) = 19\n\
                     17 write(2, \"herald-quiet: end\", 17) = 17\n17 munmap(0x7f) = 0\n";
        assert_eq!(calls_between_marks(quiet).expect("both marks"), [].into());
        let busy =
            quiet.replace("19\n", "19\n18 <... futex resumed>) = 0\n17 futex(0x7f) = 1\n--- SIGUSR1 ---\n");
        let calls = calls_between_marks(&busy).expect("both marks");
        assert_eq!(calls, [("futex".into(), 2), ("--- SIGUSR1 ---".into(), 1)].into());
        assert_eq!(calls_between_marks(&quiet.replace("end", "gone")), None);
    }
}
