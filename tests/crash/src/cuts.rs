//! Power cuts: the file system that the journal lies on is shut down under the running service, at a random call,
//! and mounted again. `synced` loses nothing, `buffered` what it says, and with `fsync` taken away much is lost.

use crate::Plan;
use crate::error::CrashError;
use crate::image::Image;
use crate::ledger::random_below;
use crate::limits::{
    CONTROL_CUTS_MAX, CUT_CALLS, CUT_START_CALLS, CUTS_PER_CUT_START, FAILED_SYNCS, FAILED_SYNCS_CALLS,
};
use crate::promise::Promise;
use crate::report::{Part, Totals, say};
use crate::service::Ended;
use crate::shim::{Act, Calls, Order};
use crate::sum::{Found, Sum};
use crate::trial::Trial;
use crate::workers::each;

const KINDS: [&str; 2] = ["ext4", "xfs"];

/// `synced`: nothing acknowledged is lost.
pub(crate) fn synced(plan: &Plan) -> Result<Part, CrashError> {
    part(plan, "synced", Lie::None, Promise::Everything, plan.sizes.cuts)
}

/// `synced`, after the disk has failed to write and has forgotten that it should.
pub(crate) fn failed_sync(plan: &Plan) -> Result<Part, CrashError> {
    part(plan, "synced, an fsync failed before", Lie::FailedSync, Promise::Everything, plan.sizes.cuts / 4)
}

/// `buffered`: what is lost was acknowledged within the window of a power cut.
pub(crate) fn buffered(plan: &Plan) -> Result<Part, CrashError> {
    part(plan, "buffered", Lie::None, Promise::AllButTheUnsynced, plan.sizes.cuts / 4)
}

/// The negative control: `fsync` does nothing. The kernel may have written everything by itself just before the cut, so
/// it is played until something is lost.
pub(crate) fn control(plan: &Plan) -> Result<Part, CrashError> {
    part(plan, "synced, fsync swallowed", Lie::NoSync, Promise::Broken, CONTROL_CUTS_MAX)
}

/// What the service is made to believe before the cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lie {
    None,
    /// One `fsync` fails, and later ones of the same file do nothing, as Linux has it.
    FailedSync,
    NoSync,
}

fn part(plan: &Plan, what: &str, lie: Lie, promise: Promise, cuts: u64) -> Result<Part, CrashError> {
    // One thread for each kind, so that both have their share of the cuts.
    let threads = u32::try_from(KINDS.len()).expect("two");
    let played = each(threads, 0..u64::from(threads), |index| {
        let kind = KINDS[usize::try_from(index).expect("two")];
        Some(match Image::new(kind) {
            Ok(image) => Ok(Series { plan, image, lie, promise }.play(cuts.div_ceil(u64::from(threads)))),
            Err(why) => Err(format!("{kind}: {why}")),
        })
    });
    let mut trials = Vec::new();
    for series in played {
        match series {
            Ok(series) => trials.extend(series),
            Err(why) => say(&format!("skipped aloud: the power is not cut under {why}")),
        }
    }
    let is_skipped = trials.is_empty();
    let sum = Sum::of(promise, trials);
    if is_skipped {
        return Ok(Part::new(
            format!("{what}, power cuts: skipped, no file system can be mounted"),
            Vec::new(),
        ));
    }
    if promise == Promise::Broken {
        return Ok(sum.control(what));
    }
    let totals = Totals { cuts: sum.played, ..sum.totals() };
    let ages =
        if promise == Promise::Everything { String::new() } else { format!(" ({})", sum.tally.loss_ages()) };
    Ok(Part::new(format!("{what}, power cuts: {sum}{ages}"), sum.faults).counting(totals))
}

/// Cuts under services on one file system.
struct Series<'a> {
    plan: &'a Plan,
    image: Image,
    lie: Lie,
    promise: Promise,
}

impl Series<'_> {
    /// One after the other on one folder. After a lie a folder is not used again. A control is over with the first loss.
    fn play(&self, cuts: u64) -> Vec<(u64, Result<Found, CrashError>)> {
        let mut trials = Vec::new();
        let mut kept = None;
        for number in 1..=cuts {
            let result = match kept.take() {
                Some(trial) => Ok(trial),
                None => {
                    Trial::on(self.plan, self.image.path().join(number.to_string()), self.durability(), 0)
                }
            };
            let result = result.and_then(|trial| {
                let found = self.cut(&trial, number)?;
                match self.lie {
                    Lie::None => kept = Some(trial),
                    _ => trial.remove()?,
                }
                Ok(found)
            });
            let is_over = match &result {
                Ok(found) => self.promise == Promise::Broken && found.tally.lost_count > 0,
                Err(_) => true,
            };
            trials.push((number, result));
            if is_over {
                break;
            }
        }
        trials
    }

    fn durability(&self) -> &'static str {
        if self.promise == Promise::AllButTheUnsynced { "buffered" } else { "synced" }
    }

    /// One cut, and what is there when the power is back.
    fn cut(&self, trial: &Trial, number: u64) -> Result<Found, CrashError> {
        let mut found = Found::new(self.promise);
        let acknowledged_before = trial.ledger.acknowledged_count();
        let ended = match self.lie {
            Lie::None if number.is_multiple_of(CUTS_PER_CUT_START) => cut_start(trial, &mut found)?,
            lie => cut_under_load(trial, lie, &mut found)?,
        };
        self.image.mount_again()?;
        trial.judge(&mut found, &ended)?;
        found.acknowledged_count -= acknowledged_before;
        Ok(found)
    }
}

/// A cut while the service starts, or soon after if that takes fewer calls.
fn cut_start(trial: &Trial, found: &mut Found) -> Result<Ended, CrashError> {
    trial.shim.order(cut_within(0, CUT_START_CALLS))?;
    match trial.launch.try_start()? {
        Err(ended) => ended.by_kill(),
        Ok(service) => trial.await_kill(service, found),
    }
}

fn cut_under_load(trial: &Trial, lie: Lie, found: &mut Found) -> Result<Ended, CrashError> {
    let service = trial.launch.start()?;
    if lie != Lie::None {
        // With these the generation is made, so that the lie is about placements alone.
        trial.await_success(&service.address)?;
        trial.await_success(&service.address)?;
    }
    match lie {
        Lie::None => trial.shim.order(cut_within(0, CUT_CALLS))?,
        Lie::FailedSync => {
            let at = 1 + random_below(FAILED_SYNCS);
            trial.shim.order(Order::once(Calls::SYNCS, at, Act::FailGone))?;
            trial.shim.also_order(cut_within(FAILED_SYNCS_CALLS, CUT_CALLS))?;
        }
        Lie::NoSync => {
            trial.shim.order(cut_within(CUT_CALLS / 2, CUT_CALLS))?;
            trial.shim.also_order(Order::from(Calls::SYNCS, 1, Act::Swallow))?;
        }
    }
    trial.await_kill(service, found)
}

/// A cut at one of `calls` calls, `after` others.
fn cut_within(after: u64, calls: u64) -> Order {
    let act = if random_below(2) == 0 { Act::CutBefore } else { Act::CutAfter };
    Order::once(Calls::ALL, 1 + after + random_below(calls), act)
}
