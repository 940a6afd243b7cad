//! A full disk: stores are refused and say so, retrieval goes on, and with the space the stores come back, without
//! anybody's help.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Plan;
use crate::disk::Disk;
use crate::error::CrashError;
use crate::http::Http;
use crate::ledger::{Fate, Ledger, random_below, random_between};
use crate::limits::{
    CYCLES_PER_LOOK, CYCLES_TO_SETTLE, EXPIRY_MARGIN, FULL_MAX, FULL_MIN, GROWTH_PERCENT_MAX,
    KILLS_WHILE_FULL, LOAD_BETWEEN, PACE_ON_SMALL_DISK, REFUSE_MAX, RESUME_MAX, RETENTION,
};
use crate::load::under_load;
use crate::look::{list, look};
use crate::promise::{Promise, Tally};
use crate::report::{Part, Totals};
use crate::service::{EXIT_UNAVAILABLE, Launch};

/// The status of refusals, and of health while stores are refused.
const UNAVAILABLE: u16 = 503;

/// `synced`: the disk is filled and freed under a running service, then the service is killed on a full disk.
/// Nothing acknowledged is lost.
pub(crate) fn synced(plan: &Plan) -> Result<Part, CrashError> {
    let outcome = play(plan, "synced", plan.sizes.fill_cycles, Promise::Everything)?;
    let totals = outcome.totals();
    let (line, faults) = outcome.line("synced");
    Ok(Part::new(line, faults).counting(totals))
}

/// `buffered`, the same: what is lost was acknowledged within one window.
pub(crate) fn buffered(plan: &Plan) -> Result<Part, CrashError> {
    let outcome = play(plan, "buffered", 1, Promise::AllButTheWindow)?;
    let ages = outcome.tally.loss_ages();
    let totals = outcome.totals();
    let (line, faults) = outcome.line("buffered");
    Ok(Part::new(format!("{line} ({ages})"), faults).counting(totals))
}

/// What was found.
struct Outcome {
    tally: Tally,
    acknowledged_count: usize,
    refused_count: usize,
    fills: u32,
    kills: u32,
    /// From a full disk to the refusal of stores, the slowest.
    slowest_refusal: Duration,
    /// From the return of space to an acknowledged store, the slowest.
    slowest_resume: Duration,
    /// Retrievals while the disk was full.
    looks: usize,
    /// What the journal took of the disk after each cycle, in bytes.
    folder_bytes: Vec<u64>,
}

impl Outcome {
    fn totals(&self) -> Totals {
        Totals {
            kills: u64::from(self.kills),
            fills: u64::from(self.fills),
            acknowledged: self.acknowledged_count,
            lost: self.tally.broken_count,
            ..Totals::default()
        }
    }

    fn line(self, durability: &str) -> (String, Vec<String>) {
        let line = format!(
            "{durability} disk full {} times, {} acknowledged, {} refused with 503, slowest refusal {} ms, slowest \
             resume {} ms, {} retrievals while full, folder at most {} KiB; {} kills while full, {} lost",
            self.fills,
            self.acknowledged_count,
            self.refused_count,
            self.slowest_refusal.as_millis(),
            self.slowest_resume.as_millis(),
            self.looks,
            self.folder_bytes.iter().max().copied().unwrap_or_default() >> 10,
            self.kills,
            self.tally.lost_count,
        );
        (line, self.tally.faults)
    }
}

fn play(plan: &Plan, durability: &'static str, fills: u32, promise: Promise) -> Result<Outcome, CrashError> {
    let disk = Disk::new(plan.limit_files)?;
    let mut launch = Launch::new(&plan.program, &disk.path().join("data"), durability);
    launch.bears_file_limit = !disk.is_mounted();
    let ledger = Ledger::default();
    let kills = KILLS_WHILE_FULL;
    let mut outcome = Outcome {
        tally: Tally::new(promise),
        acknowledged_count: 0,
        refused_count: 0,
        fills: fills + kills,
        kills,
        slowest_refusal: Duration::ZERO,
        slowest_resume: Duration::ZERO,
        looks: 0,
        folder_bytes: Vec::new(),
    };
    let mut service = launch.start()?;
    for kill in 0..kills {
        let fills_now = if kill == 0 { fills } else { 0 };
        let address = service.address.clone();
        let (ended, load) = under_load(&address, &ledger, PACE_ON_SMALL_DISK, || {
            let http = Http::new(&address, 0)?;
            let mut cycles = Cycles { disk: &disk, id: service.id(), ledger: &ledger, outcome: &mut outcome };
            for cycle in 1..=fills_now {
                cycles.fill_and_free(&http)?;
                if cycle % CYCLES_PER_LOOK == 0 {
                    cycles.outcome.tally.judge(look(&address, &ledger)?, Instant::now());
                }
            }
            cycles.fill_for_a_while(&http)?;
            service.kill()
        });
        let ended = ended?;
        outcome.refused_count += load.refused_count;
        outcome.tally.faults.extend(load.faults_before(ended.asked_at));
        if disk.is_mounted() {
            outcome.tally.faults.extend(start_on_full_disk(&launch)?);
            disk.free(0)?;
        }
        service = launch.start()?;
        outcome.tally.judge(look(&service.address, &ledger)?, ended.gone_at);
        outcome.tally.faults.extend(list(&service.address, &ledger)?);
    }
    outcome.acknowledged_count = ledger.acknowledged_count();
    outcome.tally.faults.extend(growth(&outcome.folder_bytes));
    Ok(outcome)
}

/// Once placements expire as fast as they come, the folder takes no more than it did. A run too short for that shows
/// nothing.
fn growth(folder_bytes: &[u64]) -> Option<String> {
    let (_, settled) = folder_bytes.split_at_checked(CYCLES_TO_SETTLE)?;
    let (early, late) = settled.split_at(settled.len() / 2);
    let (early, late) = (early.iter().max()?, late.iter().max()?);
    (late * 100 > early * GROWTH_PERCENT_MAX)
        .then(|| format!("the folder grows with the cycles: at most {early} bytes, later {late}"))
}

/// What the files of a folder take of the disk, in bytes.
fn taken_bytes(folder: &Path) -> Result<u64, CrashError> {
    let entries = std::fs::read_dir(folder).map_err(CrashError::system("list the folder"))?;
    // A file may go while it is looked at.
    let files = entries.filter_map(|entry| entry.ok()?.metadata().ok());
    Ok(files.map(|about| about.blocks() * 512).sum())
}

/// One life of a service on a small disk.
struct Cycles<'a> {
    disk: &'a Disk,
    id: u32,
    ledger: &'a Ledger,
    outcome: &'a mut Outcome,
}

impl Cycles<'_> {
    /// Stores go on, the disk is filled, stores are refused, the disk is freed, stores go on.
    fn fill_and_free(&mut self, http: &Http) -> Result<(), CrashError> {
        self.fill_for_a_while(http)?;
        self.disk.free(self.id)?;
        self.await_success(http)?;
        self.outcome.folder_bytes.push(taken_bytes(&self.disk.path().join("data/journal"))?);
        Ok(())
    }

    /// Stores go on, the disk is filled, and stays so for a random while, in which retrieval goes on.
    fn fill_for_a_while(&mut self, http: &Http) -> Result<(), CrashError> {
        std::thread::sleep(LOAD_BETWEEN);
        self.fill_until_refused(http)?;
        let (full_at, full_for) = (Instant::now(), random_between(FULL_MIN, FULL_MAX));
        while full_at.elapsed() < full_for {
            self.disk.fill(self.id)?;
            self.look_at_one(http)?;
        }
        Ok(())
    }

    /// Fills the disk until a store is refused and health says the same.
    fn fill_until_refused(&mut self, http: &Http) -> Result<(), CrashError> {
        let began = Instant::now();
        let mut refused = false;
        while !refused || http.health()? != UNAVAILABLE {
            self.disk.fill(self.id)?;
            refused |= !self.ledger.store(http)?;
            if began.elapsed() > REFUSE_MAX {
                return Err(CrashError::Answer(format!(
                    "{} s after the disk was filled, stores are {}, health is {}",
                    REFUSE_MAX.as_secs(),
                    if refused { "refused" } else { "acknowledged" },
                    http.health()?
                )));
            }
        }
        let slowest = &mut self.outcome.slowest_refusal;
        *slowest = (*slowest).max(began.elapsed());
        Ok(())
    }

    fn await_success(&mut self, http: &Http) -> Result<(), CrashError> {
        let freed_at = Instant::now();
        while !self.ledger.store(http)? {
            if freed_at.elapsed() > RESUME_MAX {
                let limit_s = RESUME_MAX.as_secs();
                let message = format!("{limit_s} s after space was freed stores are still refused");
                return Err(CrashError::Answer(message));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let slowest = &mut self.outcome.slowest_resume;
        *slowest = (*slowest).max(freed_at.elapsed());
        match http.health()? {
            200 => {}
            status => self.outcome.tally.faults.push(format!("with space again, health answers {status}")),
        }
        Ok(())
    }

    /// A random acknowledged placement must be there while the disk is full.
    fn look_at_one(&mut self, http: &Http) -> Result<(), CrashError> {
        let Some((location, body, sent_at)) = self.one() else { return Ok(()) };
        let found = http.item(&location)?;
        self.outcome.looks += 1;
        if sent_at.elapsed() < RETENTION - EXPIRY_MARGIN && found.as_deref() != Some(body.as_slice()) {
            self.outcome
                .tally
                .faults
                .push("while the disk is full, an acknowledged placement is not retrieved".into());
        }
        Ok(())
    }

    fn one(&self) -> Option<(String, Vec<u8>, Instant)> {
        let placements = self.ledger.lock();
        let count = u64::try_from(placements.len()).ok().filter(|&count| count > 0)?;
        let one = &placements[usize::try_from(random_below(count)).ok()?];
        let location = one.acknowledged.as_ref()?.location.clone();
        matches!(one.fate, Fate::Unseen | Fate::Seen).then(|| (location, one.body.clone(), one.sent_at))
    }
}

/// A service that is started on a full disk says that no space is left, and leaves all as it was.
fn start_on_full_disk(launch: &Launch) -> Result<Option<String>, CrashError> {
    let (status, reports) = launch.fail()?;
    let clear = status.code() == Some(EXIT_UNAVAILABLE) && reports.contains("no space is left");
    Ok((!clear)
        .then(|| format!("started on a full disk, the service ends with {status} and says: {reports}")))
}
