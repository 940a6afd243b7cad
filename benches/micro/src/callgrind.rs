//! Running one operation under valgrind's callgrind and adding up what it counted. Knows no baseline.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::Failure;
use crate::operations::{LOOP_NAME, Operation};

/// Instructions of one operation, the C library's left out: the mean over its repetitions.
pub(crate) fn instructions_per_operation(operation: &Operation) -> Result<f64, Failure> {
    let folder =
        tempfile::tempdir().map_err(|error| Failure(format!("no folder for the profile: {error}")))?;
    let profile = folder.path().join("profile");
    profile_of(operation, &profile)?;
    let text = std::fs::read_to_string(&profile)
        .map_err(|error| Failure(format!("valgrind wrote no profile: {error}")))?;
    match instructions(&text) {
        0 => Err(Failure(format!("callgrind counted nothing for {:?}", operation.name))),
        total => Ok(total as f64 / f64::from(operation.repetitions * operation.together)),
    }
}

fn profile_of(operation: &Operation, profile: &Path) -> Result<(), Failure> {
    let program =
        std::env::current_exe().map_err(|error| Failure(format!("where this program is: {error}")))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--toggle-collect=*{LOOP_NAME}*"))
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .args(["run", operation.name])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            Failure(format!("valgrind does not start ({error}); install it (Debian: valgrind)"))
        })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure(format!("{:?} under valgrind ended with {}:\n{said}", operation.name, output.status)))
}

/// Adds up the instructions of all functions outside the C library in a profile without compression.
///
/// The format (callgrind's manual): `ob=` names the object of the functions that follow, a line of two numbers is a
/// place and the instructions spent there; the line after `calls=` counts what was called, which is listed elsewhere.
fn instructions(profile: &str) -> u64 {
    let (mut total, mut is_ours, mut is_call) = (0, true, false);
    for line in profile.lines() {
        if let Some(object) = line.strip_prefix("ob=") {
            is_ours = !is_c_library(object);
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if let Some(spent) = instructions_of_line(line) {
            if is_ours && !is_call {
                total += spent;
            }
            is_call = false;
        }
    }
    total
}

fn instructions_of_line(line: &str) -> Option<u64> {
    let (place, spent) = line.split_once(' ')?;
    place.parse::<u64>().ok()?;
    spent.parse().ok()
}

fn is_c_library(object: &str) -> bool {
    let name = object.rsplit('/').next().unwrap_or(object);
    name.starts_with("libc.") || name.starts_with("libc-") || name.starts_with("ld-")
}

#[cfg(test)]
mod tests {
    use super::instructions;

    #[test]
    fn calls_and_the_c_library_are_not_counted() {
        let profile = "events: Ir\nob=/x/herald-micro\nfl=a.rs\nfn=append\n10 7\n11 30\ncob=/lib/libc.so.6\n\
                       cfn=memcpy\ncalls=2 0\n11 500\n12 1\n\nob=/lib/libc.so.6\nfn=memcpy\n0 500\n\
                       ob=/x/herald-micro\nfn=walk\n3 4\ntotals: 542\n";
        assert_eq!(instructions(profile), 42);
    }
}
