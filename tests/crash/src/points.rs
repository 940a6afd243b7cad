//! The service is killed at each of its first calls that change the disk, and half way through its writes: from the
//! opening of its journal, under load, to past the end of a generation. Nothing acknowledged is lost, and every
//! folder that is left opens.

use crate::Plan;
use crate::error::CrashError;
use crate::limits::{CONTROL_WRITES, EVE_LEAD, TRIALS_AT_ONCE};
use crate::promise::Promise;
use crate::report::{Part, Totals};
use crate::shim::{Act, Calls, Order};
use crate::sum::{Found, Sum};
use crate::trial::{Eve, HALF_GENERATION, Trial};
use crate::workers::each;

/// Which calls, counted from 1: every `stride`-th up to `last`.
#[derive(Clone, Copy)]
pub(crate) struct Points {
    pub(crate) last: u64,
    pub(crate) stride: usize,
}

/// Killed before each of the first calls.
pub(crate) fn calls(plan: &Plan) -> Result<Part, CrashError> {
    sweep(plan, "before a call", plan.sizes.points, Calls::ALL, Act::KillBefore)
}

/// Killed half way through each of the first writes.
pub(crate) fn writes(plan: &Plan) -> Result<Part, CrashError> {
    sweep(plan, "half way through a write", plan.sizes.torn_points, Calls::WRITES, Act::KillTorn)
}

fn sweep(plan: &Plan, place: &str, points: Points, calls: Calls, act: Act) -> Result<Part, CrashError> {
    let eve = Eve::new(plan)?;
    let trials = each(TRIALS_AT_ONCE, (1..=points.last).step_by(points.stride), |at| {
        Some((at, kill_at(plan, &eve, Order::once(calls, at, act))))
    });
    let sum = Sum::of(Promise::Everything, trials);
    let line = format!("synced, killed {place}, up to number {}: {sum}", points.last);
    let totals = Totals { points: sum.played, ..sum.totals() };
    Ok(Part::new(line, sum.faults).counting(totals))
}

fn kill_at(plan: &Plan, eve: &Eve, order: Order) -> Result<Found, CrashError> {
    let trial = Trial::at(plan, eve, EVE_LEAD)?;
    trial.shim.order(order)?;
    let mut found = Found::new(Promise::Everything);
    let ended = match trial.launch.try_start()? {
        Err(ended) => ended.by_kill()?,
        Ok(service) => trial.await_kill(service, &mut found)?,
    };
    trial.judge(&mut found, &ended)?;
    Ok(found)
}

/// The negative control: were writes not done at all, loss would be found.
pub(crate) fn control(plan: &Plan) -> Result<Part, CrashError> {
    let eve = Eve::new(plan)?;
    let trials = each(TRIALS_AT_ONCE, 1..=plan.sizes.control_trials, |turn| Some((turn, lie(plan, &eve))));
    Ok(Sum::of(Promise::Broken, trials).control("synced, writes swallowed, then killed"))
}

fn lie(plan: &Plan, eve: &Eve) -> Result<Found, CrashError> {
    let trial = Trial::at(plan, eve, HALF_GENERATION)?;
    let service = trial.launch.start()?;
    // With the first the generation is made and what is over is dropped, with the second that is done: from here
    // only blocks are written, and a lie about them is not noticed.
    trial.await_success(&service.address)?;
    trial.await_success(&service.address)?;
    trial.shim.order(Order::once(Calls::WRITES, CONTROL_WRITES, Act::KillBefore))?;
    trial.shim.also_order(Order::from(Calls::WRITES, 1, Act::Swallow))?;
    let mut found = Found::new(Promise::Broken);
    let ended = trial.await_kill(service, &mut found)?;
    trial.judge(&mut found, &ended)?;
    Ok(found)
}
