//! Kills under load, and what each durability promises to keep: `synced` everything, `buffered` all but its
//! window, `memory` nothing; and a graceful end, after which nothing may be missing.

use std::time::{Duration, Instant};

use crate::Plan;
use crate::error::CrashError;
use crate::ledger::{Ledger, random_between};
use crate::limits::{
    ANSWER_MAX, COVER_KEPT_PERCENT_MIN, KILLED_START_MAX, KILLS_PER_KILLED_START, LOAD_MAX, LOAD_MIN,
};
use crate::load::under_load;
use crate::look::{cover, list, look};
use crate::promise::{Promise, Tally};
use crate::report::{Part, Totals};
use crate::service::{Ended, Launch, Service, read_complaints};

/// How a process ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Kill,
    Terminate,
}

/// `synced`: nothing acknowledged is lost.
pub(crate) fn synced(plan: &Plan) -> Result<Part, CrashError> {
    let run = Run::play(plan, "synced", plan.sizes.synced_kills, End::Kill, Promise::Everything)?;
    let detail = format!("synced {} kills", run.ends);
    Ok(run.part(&detail))
}

/// `buffered`: what is lost was acknowledged within the window before the kill.
pub(crate) fn buffered(plan: &Plan) -> Result<Part, CrashError> {
    let run = Run::play(plan, "buffered", plan.sizes.buffered_kills, End::Kill, Promise::AllButTheWindow)?;
    let detail = format!("buffered {} kills ({})", run.ends, run.tally.loss_ages());
    Ok(run.part(&detail))
}

/// `memory`, the negative control: if anything survives, the other parts prove nothing.
pub(crate) fn memory(plan: &Plan) -> Result<Part, CrashError> {
    let run = Run::play(plan, "memory", plan.sizes.memory_kills, End::Kill, Promise::Nothing)?;
    let detail = format!("memory {} kills (control: all must be lost)", run.ends);
    Ok(run.part(&detail))
}

/// SIGTERM: `buffered` loses nothing when it is asked to end.
pub(crate) fn terminated(plan: &Plan) -> Result<Part, CrashError> {
    let run = Run::play(plan, "buffered", plan.sizes.terminations, End::Terminate, Promise::Everything)?;
    let detail = format!("buffered {} ends by SIGTERM", run.ends);
    Ok(run.part(&detail))
}

/// One service on one folder through many lives.
struct Run {
    launch: Launch,
    ledger: Ledger,
    end: End,
    promise: Promise,
    tally: Tally,
    ends: u32,
    killed_starts: u32,
    clean_opens: u32,
    slowest_open: Duration,
    refused_count: usize,
    /// Cover that was there just before an end, and what of it was there after the next start.
    cover_count: usize,
    cover_kept_count: usize,
}

impl Run {
    fn play(
        plan: &Plan,
        durability: &'static str,
        ends: u32,
        end: End,
        promise: Promise,
    ) -> Result<Self, CrashError> {
        let folder = tempfile::tempdir().map_err(CrashError::system("make a folder"))?;
        let mut run = Self {
            launch: Launch::new(&plan.program, folder.path(), durability),
            ledger: Ledger::default(),
            end,
            promise,
            tally: Tally::new(promise),
            ends,
            killed_starts: 0,
            clean_opens: 0,
            slowest_open: Duration::ZERO,
            refused_count: 0,
            cover_count: 0,
            cover_kept_count: 0,
        };
        let mut service = run.launch.start()?;
        for life in 1..=run.ends {
            let cover_before = cover(&service.address)?;
            let ended = run.load_and_end(service)?;
            if end == End::Kill && life % KILLS_PER_KILLED_START == 0 {
                run.kill_a_start()?;
            }
            // Each life finds what the last one left in the other way.
            run.launch.goes_beyond = run.promise != Promise::Nothing && life % 2 == 1;
            service = run.launch.start()?;
            run.clean_opens += 1;
            run.slowest_open = run.slowest_open.max(service.opened_in);
            run.cover_count += cover_before.len();
            run.cover_kept_count += cover(&service.address)?.intersection(&cover_before).count();
            run.tally.judge(look(&service.address, &run.ledger)?, ended.gone_at);
            run.tally.faults.extend(list(&service.address, &run.ledger)?);
        }
        let ended = service.kill()?;
        run.note_complaints(&ended);
        run.judge_cover();
        Ok(run)
    }

    /// Load for a random while, then the end.
    fn load_and_end(&mut self, service: Service) -> Result<Ended, CrashError> {
        let address = service.address.clone();
        let acknowledged_before = self.ledger.acknowledged_count();
        let end = self.end;
        let ledger = &self.ledger;
        let (ended, load) = under_load(&address, ledger, Duration::ZERO, || {
            let began = Instant::now();
            while ledger.acknowledged_count() == acknowledged_before && began.elapsed() < ANSWER_MAX {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(random_between(LOAD_MIN, LOAD_MAX));
            match end {
                End::Kill => service.kill(),
                End::Terminate => service.terminate(),
            }
        });
        let ended = ended?;
        if self.ledger.acknowledged_count() == acknowledged_before {
            self.tally.faults.push("no store was acknowledged before the end".into());
        }
        self.refused_count += load.refused_count;
        self.tally.faults.extend(load.faults_before(ended.asked_at));
        if end == End::Terminate && !ended.status.success() {
            self.tally.faults.push(format!("asked to end, the service ends with {}", ended.status));
        }
        self.note_complaints(&ended);
        Ok(ended)
    }

    /// A start that is killed before it is done, so that recovery is interrupted too.
    fn kill_a_start(&mut self) -> Result<(), CrashError> {
        let mut process = self.launch.spawn()?;
        let complaints = read_complaints(&mut process);
        std::thread::sleep(random_between(Duration::ZERO, KILLED_START_MAX));
        process.kill().map_err(CrashError::system("kill a start"))?;
        process.wait().map_err(CrashError::system("wait for a killed start"))?;
        let complaints = complaints.join().unwrap_or_default();
        self.tally.faults.extend(complaints.into_iter().filter(|line| !line.starts_with("info: ")));
        self.killed_starts += 1;
        Ok(())
    }

    /// Cover outlives the process with the placements: were it new after a restart, what stayed would be real.
    /// Without a journal there is neither, and all cover is new.
    fn judge_cover(&mut self) {
        let percent = self.cover_kept_percent();
        let is_good = match self.promise {
            Promise::Nothing => self.cover_kept_count == 0,
            _ => percent >= COVER_KEPT_PERCENT_MIN,
        };
        if !is_good {
            self.tally.faults.push(format!("{percent} % of the cover outlive a restart"));
        }
    }

    fn cover_kept_percent(&self) -> usize {
        100 * self.cover_kept_count / self.cover_count.max(1)
    }

    fn note_complaints(&mut self, ended: &Ended) {
        self.tally.faults.extend(ended.complaints().map(|line| format!("the service says: {line}")));
    }

    fn part(self, what: &str) -> Part {
        let line = format!(
            "{what}, {} acknowledged, {} lost, {} clean opens, slowest open {} ms; {} looks, {} gone in time, \
             {} refused, {} starts killed too, {} % of the cover lives on",
            self.ledger.acknowledged_count(),
            self.tally.lost_count,
            self.clean_opens,
            self.slowest_open.as_millis(),
            self.tally.looked_count,
            self.tally.over_count,
            self.refused_count,
            self.killed_starts,
            self.cover_kept_percent(),
        );
        let totals = self.totals();
        Part::new(line, self.tally.faults).counting(totals)
    }

    fn totals(&self) -> Totals {
        if self.promise == Promise::Nothing {
            return Totals { controls: 1, ..Totals::default() };
        }
        Totals {
            kills: if self.end == End::Kill { u64::from(self.ends + self.killed_starts) } else { 0 },
            acknowledged: self.ledger.acknowledged_count(),
            lost: self.tally.broken_count,
            ..Totals::default()
        }
    }
}
