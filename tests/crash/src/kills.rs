//! Kills under load, and what each durability promises to keep: `synced` everything, `buffered` all but its
//! window, `memory` nothing; and a graceful end, after which nothing may be missing.

use std::time::{Duration, Instant};

use herald_journal::limits::BUFFERED_WINDOW_MS;

use crate::Plan;
use crate::error::CrashError;
use crate::ledger::{Ledger, random_between};
use crate::limits::{
    ANSWER_MAX, BUFFERED_KILLS, KILLED_START_MAX, KILLS_PER_KILLED_START, LOAD_MAX, LOAD_MIN, MEMORY_KILLS,
    SYNCED_KILLS, TERMINATIONS,
};
use crate::load::under_load;
use crate::look::{Look, list, look};
use crate::report::Part;
use crate::service::{Ended, Launch, Service, read_complaints};

/// How a process ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Kill,
    Terminate,
}

/// Which acknowledged placements must be there after it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Promise {
    Everything,
    /// The service takes no more stores when the oldest that only memory has is older than the window. So what is
    /// lost lies within one window before the last acknowledged store, however long the disk stalled then.
    AllButTheWindow,
    Nothing,
}

/// `synced`: nothing acknowledged is lost.
pub(crate) fn synced(plan: &Plan) -> Result<Part, CrashError> {
    let run = Run::play(plan, "synced", SYNCED_KILLS, End::Kill, Promise::Everything)?;
    Ok(run.part(&format!("synced {} kills", run.ends)))
}

/// `buffered`: what is lost was acknowledged within the window before the kill.
pub(crate) fn buffered(plan: &Plan) -> Result<Part, CrashError> {
    let run = Run::play(plan, "buffered", BUFFERED_KILLS, End::Kill, Promise::AllButTheWindow)?;
    let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let detail = format!(
        "buffered {} kills (oldest loss sent {:.1} ms before the kill; acknowledged {:.1} ms before the last \
         store that was, of {BUFFERED_WINDOW_MS} ms)",
        run.ends,
        ms(run.oldest_loss),
        ms(run.loss_span)
    );
    Ok(run.part(&detail))
}

/// `memory`, the negative control: if anything survives, the other parts prove nothing.
pub(crate) fn memory(plan: &Plan) -> Result<Part, CrashError> {
    let run = Run::play(plan, "memory", MEMORY_KILLS, End::Kill, Promise::Nothing)?;
    Ok(run.part(&format!("memory {} kills (control: all must be lost)", run.ends)))
}

/// SIGTERM: `buffered` loses nothing when it is asked to end.
pub(crate) fn terminated(plan: &Plan) -> Result<Part, CrashError> {
    let run = Run::play(plan, "buffered", TERMINATIONS, End::Terminate, Promise::Everything)?;
    Ok(run.part(&format!("buffered {} ends by SIGTERM", run.ends)))
}

/// One service on one folder through many lives.
struct Run {
    launch: Launch,
    ledger: Ledger,
    end: End,
    promise: Promise,
    ends: u32,
    killed_starts: u32,
    clean_opens: u32,
    slowest_open: Duration,
    looked_count: usize,
    lost_count: usize,
    refused_count: usize,
    /// The longest time between sending a store that was lost and the end of the process.
    oldest_loss: Duration,
    /// The longest time between the acknowledgement of a store that was lost and the sending of the last one
    /// that was acknowledged: no more than the service itself saw between them.
    loss_span: Duration,
    faults: Vec<String>,
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
            ends: ends.min(plan.kills_max),
            killed_starts: 0,
            clean_opens: 0,
            slowest_open: Duration::ZERO,
            looked_count: 0,
            lost_count: 0,
            refused_count: 0,
            oldest_loss: Duration::ZERO,
            loss_span: Duration::ZERO,
            faults: Vec::new(),
        };
        let mut service = run.launch.start()?;
        for life in 1..=run.ends {
            let ended = run.load_and_end(service)?;
            if end == End::Kill && life % KILLS_PER_KILLED_START == 0 {
                run.kill_a_start()?;
            }
            service = run.launch.start()?;
            run.clean_opens += 1;
            run.slowest_open = run.slowest_open.max(service.opened_in);
            let found = look(&service.address, &run.ledger)?;
            run.judge(found, &ended);
            run.faults.extend(list(&service.address, &run.ledger)?);
        }
        let ended = service.kill()?;
        run.note_complaints(&ended);
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
            self.faults.push("no store was acknowledged before the end".into());
        }
        self.refused_count += load.refused_count;
        self.faults.extend(load.faults_before(ended.asked_at));
        if end == End::Terminate && !ended.status.success() {
            self.faults.push(format!("asked to end, the service ends with {}", ended.status));
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
        self.faults.extend(complaints.into_iter().filter(|line| !line.starts_with("info: ")));
        self.killed_starts += 1;
        Ok(())
    }

    fn judge(&mut self, found: Look, ended: &Ended) {
        self.faults.extend(found.faults);
        self.looked_count += found.present_count + found.lost.len();
        self.lost_count += found.lost.len();
        for lost in found.lost {
            let age = ended.gone_at.saturating_duration_since(lost.sent_at);
            let span = found.last_sent_at.saturating_duration_since(lost.acknowledged_at);
            self.oldest_loss = self.oldest_loss.max(age);
            self.loss_span = self.loss_span.max(span);
            let is_broken = match self.promise {
                Promise::Everything => true,
                Promise::AllButTheWindow => span > Duration::from_millis(BUFFERED_WINDOW_MS),
                Promise::Nothing => false,
            };
            if is_broken {
                self.faults.push(format!(
                    "a store is lost that was sent {age:?} before the end and acknowledged {span:?} before the \
                     last one that was"
                ));
            }
        }
        if self.promise == Promise::Nothing && found.present_count > 0 {
            self.faults
                .push(format!("{} placements survive in memory: the test is broken", found.present_count));
        }
    }

    fn note_complaints(&mut self, ended: &Ended) {
        self.faults.extend(ended.complaints().map(|line| format!("the service says: {line}")));
    }

    fn part(&self, what: &str) -> Part {
        let line = format!(
            "{what}, {} acknowledged, {} lost, {} clean opens, slowest open {} ms; {} looks, {} refused, \
             {} starts killed too",
            self.ledger.acknowledged_count(),
            self.lost_count,
            self.clean_opens,
            self.slowest_open.as_millis(),
            self.looked_count,
            self.refused_count,
            self.killed_starts,
        );
        Part::new(line, self.faults.clone())
    }
}
