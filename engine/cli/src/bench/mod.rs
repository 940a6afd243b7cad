//! `herald bench`: what this machine makes of the engine, in about twenty seconds and what the
//! system needs to hand out memory.
//!
//! Stores and retrieves go through [`Engine`] as a host in the same process calls it. What they are compared with
//! is measured in the same run: copies of the same bodies in memory, and a plain writer that syncs as often in the
//! same folder. Everything lies in a folder of its own that is gone afterwards, also after an error or a signal.

mod ceilings;
mod drive;
mod engine;
mod plan;
mod report;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::args::Bench;
use crate::output::{Failure, Output};
use plan::{BATCH, Plan, WAITING_THREADS};
use report::Report;

pub(crate) fn run(bench: &Bench, output: &Output) -> Result<ExitCode, Failure> {
    let interrupt = Interrupt::armed()?;
    let plan = Plan::of(bench)?;
    let folder =
        tempfile::Builder::new().prefix("herald-bench-").tempdir_in(&plan.parent).map_err(|error| {
            Failure::usage(format!(
                "no folder can be made in {} ({error}); name another with --data",
                plan.parent.display()
            ))
        })?;
    let mut report = Report::new(&plan, output.is_json());
    let outcome = measure(&plan, folder.path(), &mut report, &interrupt);
    // Before anything is said: who is told that it is over may look.
    let removed = folder.close();
    outcome?;
    removed.map_err(|error| Failure::unavailable(format!("the folder of the trial is left: {error}")))?;
    output.answer(report.table(), &report.json());
    Ok(ExitCode::SUCCESS)
}

fn measure(
    plan: &Plan,
    folder: &std::path::Path,
    report: &mut Report,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    engine::in_memory(plan, report, interrupt)?;
    for bodies in [1, WAITING_THREADS, BATCH] {
        ceilings::write_synced(plan, folder, bodies, report, interrupt)?;
    }
    engine::synced(plan, folder, report, interrupt)?;
    ceilings::write_buffered(plan, folder, report, interrupt)?;
    engine::buffered(plan, folder, report, interrupt)
}

/// Whether a signal has asked for the end. A second one ends the process at once.
struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    fn armed() -> Result<Self, Failure> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_default(signal, asked.clone()).map_err(Failure::unavailable)?;
            flag::register(signal, asked.clone()).map_err(Failure::unavailable)?;
        }
        Ok(Self(asked))
    }

    /// # Errors
    /// Once a signal has come.
    fn check(&self) -> Result<(), Failure> {
        // Relaxed: nothing is published through it.
        if self.0.load(Ordering::Relaxed) { Err(Failure::interrupted()) } else { Ok(()) }
    }
}
