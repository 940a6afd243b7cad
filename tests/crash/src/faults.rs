//! The disk fails at every call that changes it, once or until somebody helps, with an error, without room or half
//! way through a write. Stores are refused with 503 while it lasts, nothing is acknowledged that is not on the disk,
//! and afterwards they come back without a restart.

use std::time::{Duration, Instant};

use crate::Plan;
use crate::error::CrashError;
use crate::limits::{
    EVE_LEAD, FAULT_LASTS, FAULT_PACE, FAULT_STORES, FAULT_WATCH, POINT_MAX, TRIALS_AT_ONCE,
};
use crate::load::under_load;
use crate::promise::Promise;
use crate::report::{Part, Totals};
use crate::service::{EXIT_UNAVAILABLE, Ended, Service};
use crate::shim::{Act, Calls, Order};
use crate::sum::{Found, Sum};
use crate::trial::{Eve, Trial};
use crate::workers::each;

/// One call fails with `EIO`.
pub(crate) fn once(plan: &Plan) -> Result<Part, CrashError> {
    Sweep { calls: Calls::ALL, act: Act::FailIo, lasts: false }.part(plan, "EIO at one call")
}

/// Every call from one on fails with `EIO`.
pub(crate) fn lasting(plan: &Plan) -> Result<Part, CrashError> {
    Sweep { calls: Calls::ALL, act: Act::FailIo, lasts: true }.part(plan, "EIO from one call on")
}

/// One call finds no room.
pub(crate) fn full_once(plan: &Plan) -> Result<Part, CrashError> {
    Sweep { calls: Calls::ALL, act: Act::FailFull, lasts: false }.part(plan, "ENOSPC at one call")
}

/// Every call from one on finds no room, and writes do half of their work.
pub(crate) fn full(plan: &Plan) -> Result<Part, CrashError> {
    Sweep { calls: Calls::ALL, act: Act::FailTorn, lasts: true }
        .part(plan, "half writes with ENOSPC from one on")
}

/// Every call from one on that forces something to the disk fails: what is not on the disk is not acknowledged.
pub(crate) fn syncs(plan: &Plan) -> Result<Part, CrashError> {
    Sweep { calls: Calls::SYNCS, act: Act::FailIo, lasts: true }.part(plan, "fsync fails from one on")
}

/// Writes do half of their work and say so, all the time: nobody notices.
pub(crate) fn short(plan: &Plan) -> Result<Part, CrashError> {
    let eve = Eve::new(plan)?;
    let trial = Trial::at(plan, &eve, EVE_LEAD)?;
    trial.shim.order(Order::from(Calls::WRITES, 1, Act::Short))?;
    let mut found = Found::new(Promise::Everything);
    let service = trial.launch.start()?;
    let address = service.address.clone();
    let (ended, load) = under_load(&address, &trial.ledger, FAULT_PACE, || {
        std::thread::sleep(FAULT_WATCH);
        service.kill()
    });
    let ended = ended?;
    found.refused_count = load.refused_count;
    found.tally.faults.extend(load.faults_before(ended.asked_at));
    let halved = trial.shim.fired()?;
    trial.judge(&mut found, &ended)?;
    if found.refused_count > 0 || halved == 0 {
        let refused = found.refused_count;
        found.tally.faults.push(format!("{halved} writes were halved and {refused} stores refused"));
    }
    let sum = Sum::of(Promise::Everything, vec![(0, Ok(found))]);
    let totals = Totals { disk_faults: 1, ..sum.totals() };
    Ok(Part::new(format!("synced, {halved} writes done by half: {sum}"), sum.faults).counting(totals))
}

/// The negative control: were failed calls hidden, stores would be acknowledged while they fail.
pub(crate) fn control(plan: &Plan) -> Result<Part, CrashError> {
    let sweep = Sweep { calls: Calls::SYNCS, act: Act::Swallow, lasts: true };
    let sum = sweep.play(plan, plan.sizes.control_trials, 1)?;
    let hasty = sum.faults.iter().filter(|fault| fault.ends_with(HASTY)).count();
    let faults = if hasty == 0 { vec!["no hasty acknowledgement is found".to_owned()] } else { Vec::new() };
    let line = format!("control: fsync fails and nobody says so: {hasty} trials with hasty acknowledgements");
    Ok(Part::new(line, faults).counting(Totals { controls: 1, ..Totals::default() }))
}

const HASTY: &str = "acknowledged while nothing could reach the disk";

struct Sweep {
    calls: Calls,
    act: Act,
    /// From the call on until it is lifted, or once.
    lasts: bool,
}

impl Sweep {
    fn part(&self, plan: &Plan, what: &str) -> Result<Part, CrashError> {
        let sum = self.play(plan, u64::MAX, plan.sizes.fault_stride)?;
        let totals = Totals { disk_faults: sum.played, ..sum.totals() };
        let line = format!("synced, {what}, every {} of {}: {sum}", plan.sizes.fault_stride, sum.last);
        Ok(Part::new(line, sum.faults).counting(totals))
    }

    /// Fails every `stride`-th call up to `last`, or until a service does all its work without coming to it.
    fn play(&self, plan: &Plan, last: u64, stride: usize) -> Result<Sum, CrashError> {
        let eve = Eve::new(plan)?;
        let trials = each(TRIALS_AT_ONCE, (1..=last).step_by(stride), |at| {
            let result = self.fail_at(plan, &eve, at);
            result.transpose().map(|result| (at, result))
        });
        Ok(Sum::of(Promise::Everything, trials))
    }

    /// `None` if the service did not come to that call.
    fn fail_at(&self, plan: &Plan, eve: &Eve, at: u64) -> Result<Option<Found>, CrashError> {
        let trial = Trial::at(plan, eve, EVE_LEAD)?;
        let last = if self.lasts { u64::MAX } else { at };
        trial.shim.order(Order { calls: self.calls, first: at, last, act: self.act })?;
        let mut found = Found::new(Promise::Everything);
        let ended = match trial.launch.try_start()? {
            Err(ended) => {
                expect_refusal(&ended)?;
                ended
            }
            Ok(service) => match self.fail_under_load(&trial, service, &mut found)? {
                Some(ended) => ended,
                None => return Ok(None),
            },
        };
        trial.judge(&mut found, &ended)?;
        Ok(Some(found))
    }

    /// Waits for the fault, and for the service to have got over it, then kills it.
    fn fail_under_load(
        &self,
        trial: &Trial,
        service: Service,
        found: &mut Found,
    ) -> Result<Option<Ended>, CrashError> {
        let address = service.address.clone();
        let (result, load) = under_load(&address, &trial.ledger, FAULT_PACE, || {
            let Some(failing_since) = await_fault(trial)? else {
                return Ok(None);
            };
            if self.lasts {
                std::thread::sleep(FAULT_LASTS);
                let hasty_count = trial.ledger.acknowledged_since(failing_since);
                trial.shim.lift()?;
                if hasty_count > 0 {
                    found.tally.faults.push(format!("{hasty_count} stores were {HASTY}"));
                }
            }
            found.resumed_in = trial.await_success(&address)?;
            service.kill().map(Some)
        });
        found.refused_count = load.refused_count;
        if let Ok(Some(ended)) = &result {
            found.tally.faults.extend(load.faults_before(ended.asked_at));
        }
        result
    }
}

/// Waits until the order was carried out. `None` if it was not while the service did what it does.
fn await_fault(trial: &Trial) -> Result<Option<Instant>, CrashError> {
    let began = Instant::now();
    while trial.shim.fired()? == 0 {
        if began.elapsed() > FAULT_WATCH && trial.ledger.acknowledged_count() >= FAULT_STORES {
            return Ok(None);
        }
        if began.elapsed() > POINT_MAX {
            return Err(CrashError::Answer("it neither comes to the call nor stores".into()));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(Some(Instant::now()))
}

/// A service that cannot open its journal says so and leaves it to its supervisor to try again.
fn expect_refusal(ended: &Ended) -> Result<(), CrashError> {
    if ended.status.code() == Some(EXIT_UNAVAILABLE) && ended.complaints().next().is_some() {
        return Ok(());
    }
    let (status, reports) = (ended.status, ended.reports.join("; "));
    Err(CrashError::Answer(format!("it cannot start and ends with {status} and says: {reports}")))
}
