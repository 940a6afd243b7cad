//! The log is linearizable, and with each of the planted bugs it is not.
//!
//! `LINEAR_SEED` sets the seed, `LINEAR_OPERATIONS` how many calls on the log are checked.
#![allow(clippy::print_stdout, reason = "seed and counts belong to the result")]

use herald_linear::{Bug, Leaving, LogPlan, OVERLAP_MAX, OVERLAP_PLANTED_MAX, Planted, drive_log, seed};

/// Calls within which each planted bug must be found.
const PLANTED_OPERATIONS: usize = 100_000;

fn log_operations() -> usize {
    std::env::var("LINEAR_OPERATIONS").map_or(200_000, |text| text.parse().expect("a count"))
}

#[test]
fn every_history_of_the_log_is_linearizable() {
    for (leaving, operations_min) in
        [(Leaving::Never, log_operations()), (Leaving::Always, log_operations() / 2)]
    {
        linearizable(LogPlan {
            seed: seed(0x6865_7261_6c64),
            operations_min,
            leaving,
            overlap_max: OVERLAP_MAX,
        });
    }
}

fn linearizable(plan: LogPlan) {
    let tally = drive_log(plan, |handle| handle).unwrap_or_else(|violation| panic!("{plan:?}: {violation}"));
    println!("log: {plan:?}: {tally:?}");
    // A run in which nothing happened proves nothing.
    assert!(tally.overlapping > tally.operations / 100, "hardly any calls met: {tally:?}");
    assert!(tally.kept > tally.operations / 4 && tally.shown > tally.operations, "{tally:?}");
    assert!(tally.number_full > tally.operations / 100, "{tally:?}");
    assert!(tally.unchecked < tally.histories / 20, "many histories were too wide to be checked: {tally:?}");
}

#[test]
fn each_planted_bug_is_found_and_nothing_without_one() {
    let plan = LogPlan {
        seed: seed(3),
        operations_min: PLANTED_OPERATIONS,
        leaving: Leaving::Never,
        overlap_max: OVERLAP_PLANTED_MAX,
    };
    if let Err(violation) = drive_log(plan, |handle| Planted::new(handle, None)) {
        panic!("found without a bug, {plan:?}: {violation}");
    }
    for bug in Bug::ALL {
        let outcome = drive_log(plan, |handle| Planted::new(handle, Some(bug)));
        let violation = outcome.err().unwrap_or_else(|| panic!("{bug:?} was not found, {plan:?}"));
        println!("{bug:?} is found in a history of {} calls", violation.events.len());
    }
}

#[test]
fn a_journal_that_forgets_what_has_left_memory_is_found() {
    let plan = LogPlan {
        seed: seed(4),
        operations_min: PLANTED_OPERATIONS,
        leaving: Leaving::Forgetting,
        overlap_max: OVERLAP_PLANTED_MAX,
    };
    let violation = drive_log(plan, |handle| handle).expect_err("bodies are missing");
    println!("a forgetful journal is found in a history of {} calls", violation.events.len());
}
