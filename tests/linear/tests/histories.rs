//! The log is linearizable, and with each of the planted bugs it is not.
//!
//! `LINEAR_SEED` sets the seed, `LINEAR_OPERATIONS` how many calls on the log are checked.
#![allow(clippy::print_stdout, reason = "seed and counts belong to the result")]

use herald_linear::{Bug, LogPlan, Planted, drive_log, seed};

/// Calls within which each planted bug must be found.
const PLANTED_OPERATIONS: usize = 100_000;

fn log_operations() -> usize {
    std::env::var("LINEAR_OPERATIONS").map_or(200_000, |text| text.parse().expect("a count"))
}

#[test]
fn every_history_of_the_log_is_linearizable() {
    let plan = LogPlan { seed: seed(0x6865_7261_6c64), operations_min: log_operations() };
    let tally = drive_log(plan, |handle| handle).unwrap_or_else(|violation| panic!("{plan:?}: {violation}"));
    println!("log: seed {}: {tally:?}", plan.seed);
    // A run in which nothing happened proves nothing.
    assert!(tally.overlapping > tally.operations / 100, "hardly any calls met: {tally:?}");
    assert!(tally.kept > tally.operations / 4 && tally.shown > tally.operations, "{tally:?}");
    assert!(tally.number_full > tally.operations / 100, "{tally:?}");
}

#[test]
fn each_planted_bug_is_found() {
    for bug in Bug::ALL {
        let plan = LogPlan { seed: seed(3), operations_min: PLANTED_OPERATIONS };
        let outcome = drive_log(plan, |handle| Planted::new(handle, bug));
        let violation = outcome.err().unwrap_or_else(|| panic!("{bug:?} was not found, {plan:?}"));
        println!("{bug:?} is found in a history of {} calls", violation.events.len());
    }
}
