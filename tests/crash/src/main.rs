//! The durability of the real program: `herald serve` processes are killed with -9 at random and at chosen calls,
//! ended by SIGTERM, lied to and deprived of their disk, and whatever they had acknowledged must be there again.
//!
//! It drives the program from outside, over TLS, and knows nothing of what the journal writes. A shim that is
//! preloaded into the program ([`shim`]) does what no signal can.
//!
//! `herald-crash [--campaign] [PART...]`: a sample or everything, of all parts or some. `CRASH_HERALD` names another
//! program than the one beside this one, `CRASH_SHIM` the compiled shim; `CRASH_DISK=limit` limits files even where a
//! small disk could be mounted.

mod cuts;
mod disk;
mod error;
mod faults;
mod folder;
mod full;
mod http;
mod image;
mod kills;
mod ledger;
mod limits;
mod load;
mod look;
mod points;
mod promise;
mod report;
mod service;
mod shim;
mod steps;
mod sum;
mod trial;
mod workers;

use std::path::PathBuf;
use std::process::ExitCode;

use error::CrashError;
use limits::{CAMPAIGN, SAMPLE, Sizes};
use report::{Part, Totals};

type PartFn = fn(&Plan) -> Result<Part, CrashError>;

/// Every part, under the name it is asked for with.
const PARTS: &[(&str, PartFn)] = &[
    ("kills", kills::synced),
    ("kills", kills::buffered),
    ("kills", kills::memory),
    ("kills", kills::terminated),
    ("points", points::calls),
    ("points", points::writes),
    ("points", points::control),
    ("faults", faults::once),
    ("faults", faults::lasting),
    ("faults", faults::full_once),
    ("faults", faults::full),
    ("faults", faults::syncs),
    ("faults", faults::short),
    ("faults", faults::control),
    ("cuts", cuts::synced),
    ("cuts", cuts::failed_sync),
    ("cuts", cuts::buffered),
    ("cuts", cuts::control),
    ("full", full::synced),
    ("full", full::buffered),
    ("steps", steps::steps),
    ("steps", steps::control),
    ("folder", folder::in_use),
];

/// What a run is asked for.
struct Plan {
    program: PathBuf,
    shim: PathBuf,
    sizes: Sizes,
    /// Names of parts; none means all.
    names: Vec<String>,
    limit_files: bool,
}

impl Plan {
    fn new() -> Result<Self, CrashError> {
        let own = std::env::current_exe().map_err(CrashError::system("find the program beside this one"))?;
        let program =
            std::env::var_os("CRASH_HERALD").map_or_else(|| own.with_file_name("herald"), PathBuf::from);
        if !program.is_file() {
            let message = format!("{} is not there; build it: cargo build -p herald", program.display());
            return Err(CrashError::Setting(message));
        }
        let shim = std::env::var_os("CRASH_SHIM").map(PathBuf::from);
        let shim = shim.ok_or(CrashError::Setting("CRASH_SHIM is not set; use tests/crash/run.sh".into()))?;
        let (options, names): (Vec<_>, Vec<_>) =
            std::env::args().skip(1).partition(|word| word == "--campaign");
        let sizes = if options.is_empty() { SAMPLE } else { CAMPAIGN };
        if let Some(name) = names.iter().find(|name| PARTS.iter().all(|(part, _)| part != name)) {
            return Err(CrashError::Setting(format!("there is no part {name:?}")));
        }
        let limit_files = std::env::var("CRASH_DISK").is_ok_and(|value| value == "limit");
        Ok(Self { program, shim, sizes, names, limit_files })
    }

    fn includes(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
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
    let plan = Plan::new()?;
    let mut good = true;
    let mut totals = Totals::default();
    for (_, part) in PARTS.iter().filter(|(name, _)| plan.includes(name)) {
        match part(&plan) {
            Ok(part) => {
                totals.add(part.totals());
                good &= part.print();
            }
            Err(error) => {
                totals.failed_opens += u64::from(matches!(error, CrashError::Start(_)));
                report::complain(&error);
                good = false;
            }
        }
    }
    report::say(&totals.to_string());
    Ok(good)
}
