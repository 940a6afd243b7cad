//! The durability of the real program: `herald serve` processes are killed with -9 under load, ended by SIGTERM,
//! and deprived of their disk, and whatever they had acknowledged must be there again.
//!
//! It drives the program from outside, over TLS, and knows nothing of what the journal writes. Power cuts are
//! not its business: what the kernel has, survives here.
//!
//! `CRASH_KILLS` lessens the kills for a quick run; `CRASH_HERALD` names another program than the one beside this
//! one; `CRASH_DISK=limit` limits files even where a small disk could be mounted.

mod disk;
mod error;
mod folder;
mod full;
mod http;
mod kills;
mod ledger;
mod limits;
mod load;
mod look;
mod promise;
mod report;
mod service;

use std::path::PathBuf;
use std::process::ExitCode;

use error::CrashError;
use report::Part;

type PartFn = fn(&Plan) -> Result<Part, CrashError>;

/// What a run is asked for.
struct Plan {
    program: PathBuf,
    kills_max: u32,
    limit_files: bool,
}

impl Plan {
    fn from_environment() -> Result<Self, CrashError> {
        let own = std::env::current_exe().map_err(CrashError::system("find the program beside this one"))?;
        let program =
            std::env::var_os("CRASH_HERALD").map_or_else(|| own.with_file_name("herald"), PathBuf::from);
        if !program.is_file() {
            let message = format!("{} is not there; build it: cargo build -p herald", program.display());
            return Err(CrashError::Setting(message));
        }
        let kills_max = match std::env::var("CRASH_KILLS") {
            Ok(text) => {
                text.parse().map_err(|_| CrashError::Setting(format!("CRASH_KILLS={text:?} is no count")))?
            }
            Err(_) => u32::MAX,
        };
        let limit_files = std::env::var("CRASH_DISK").is_ok_and(|value| value == "limit");
        Ok(Self { program, kills_max, limit_files })
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report::complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Plays every part, also after one that finds faults. Returns whether none did.
fn run() -> Result<bool, CrashError> {
    let plan = Plan::from_environment()?;
    let parts: [PartFn; 7] = [
        kills::synced,
        kills::buffered,
        kills::memory,
        kills::terminated,
        full::synced,
        full::buffered,
        folder::in_use,
    ];
    let mut good = true;
    for part in parts {
        match part(&plan) {
            Ok(part) => good &= part.print(),
            Err(error) => {
                report::complain(&error);
                good = false;
            }
        }
    }
    Ok(good)
}
