//! A full disk: stores are refused and say so, retrieval goes on, and with the space the stores come back, without
//! anybody's help.

use std::time::{Duration, Instant};

use crate::Plan;
use crate::disk::Disk;
use crate::error::CrashError;
use crate::http::{Http, Stored};
use crate::ledger::{Acknowledged, Fate, Ledger, Placement, random_below, random_between};
use crate::limits::{
    EXPIRY_MARGIN, FILL_CYCLES, FULL_MAX, FULL_MIN, LOAD_BETWEEN, PACE_ON_SMALL_DISK, REFUSE_MAX, RESUME_MAX,
    RETENTION,
};
use crate::load::under_load;
use crate::look::{list, look};
use crate::report::Part;
use crate::service::{Launch, Service, read_complaints};

/// The status of refusals, and of health while stores are refused.
const UNAVAILABLE: u16 = 503;

/// Fills and frees the disk under a running service, then kills it on a full disk.
pub(crate) fn fill_and_free(plan: &Plan) -> Result<Part, CrashError> {
    let disk = Disk::new(plan.limit_files)?;
    let mut launch = Launch::new(&plan.program, &disk.path().join("data"), "synced");
    launch.bears_file_limit = !disk.is_mounted();
    let service = launch.start()?;
    let ledger = Ledger::default();
    let address = service.address.clone();
    let cycles = FILL_CYCLES.min(plan.kills_max);
    let mut state = Cycles {
        disk: &disk,
        ledger: &ledger,
        slowest_refusal: Duration::ZERO,
        slowest_resume: Duration::ZERO,
        looks: 0,
        faults: Vec::new(),
    };
    let (outcome, load) = under_load(&address, &ledger, PACE_ON_SMALL_DISK, || {
        let http = Http::new(&address, 0)?;
        for _ in 0..cycles {
            state.cycle(&http, service.id())?;
        }
        state.fill_until_refused(&http, service.id())?;
        service.kill()
    });
    let ended = outcome?;
    let Cycles { slowest_refusal, slowest_resume, looks, mut faults, .. } = state;
    let refused_count = load.refused_count;
    faults.extend(load.faults_before(ended.asked_at));
    if disk.is_mounted() {
        faults.extend(start_on_full_disk(&launch)?);
        disk.free(0)?;
    }
    let service: Service = launch.start()?;
    let found = look(&service.address, &ledger)?;
    faults.extend(found.faults);
    faults.extend(found.lost.iter().map(|_| "an acknowledged placement is lost".to_owned()));
    faults.extend(list(&service.address, &ledger)?);
    let line = format!(
        "disk full {cycles} times, {} acknowledged, {refused_count} refused with 503, slowest refusal {} ms, \
         slowest resume {} ms, {looks} retrievals while full; killed while full: {} there again, {} lost",
        ledger.acknowledged_count(),
        slowest_refusal.as_millis(),
        slowest_resume.as_millis(),
        found.present_count,
        found.lost.len(),
    );
    Ok(Part::new(line, faults))
}

struct Cycles<'a> {
    disk: &'a Disk,
    ledger: &'a Ledger,
    slowest_refusal: Duration,
    slowest_resume: Duration,
    looks: usize,
    faults: Vec<String>,
}

impl Cycles<'_> {
    /// Stores go on, the disk is filled, stores are refused, the disk is freed, stores go on.
    fn cycle(&mut self, http: &Http, id: u32) -> Result<(), CrashError> {
        std::thread::sleep(LOAD_BETWEEN);
        self.fill_until_refused(http, id)?;
        let (full_at, full_for) = (Instant::now(), random_between(FULL_MIN, FULL_MAX));
        while full_at.elapsed() < full_for {
            self.disk.fill(id)?;
            self.look_at_one(http)?;
        }
        self.disk.free(id)?;
        self.await_success(http)
    }

    /// Fills the disk until a store is refused and health says the same.
    fn fill_until_refused(&mut self, http: &Http, id: u32) -> Result<(), CrashError> {
        let began = Instant::now();
        let mut refused = false;
        while !refused || http.health()? != UNAVAILABLE {
            self.disk.fill(id)?;
            refused |= !self.store(http)?;
            if began.elapsed() > REFUSE_MAX {
                return Err(CrashError::Answer(format!(
                    "{} s after the disk was filled, stores are {}, health is {}",
                    REFUSE_MAX.as_secs(),
                    if refused { "refused" } else { "acknowledged" },
                    http.health()?
                )));
            }
        }
        self.slowest_refusal = self.slowest_refusal.max(began.elapsed());
        Ok(())
    }

    fn await_success(&mut self, http: &Http) -> Result<(), CrashError> {
        let freed_at = Instant::now();
        while !self.store(http)? {
            if freed_at.elapsed() > RESUME_MAX {
                let limit_s = RESUME_MAX.as_secs();
                let message = format!("{limit_s} s after space was freed stores are still refused");
                return Err(CrashError::Answer(message));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.slowest_resume = self.slowest_resume.max(freed_at.elapsed());
        match http.health()? {
            200 => {}
            status => self.faults.push(format!("with space again, health answers {status}")),
        }
        Ok(())
    }

    /// Stores once. Returns whether it was acknowledged.
    fn store(&self, http: &Http) -> Result<bool, CrashError> {
        let mut placement = Placement::random();
        let stored = http.store(placement.number, &placement.body);
        if let Ok(Stored::Acknowledged(location)) = &stored {
            placement.acknowledged = Some(Acknowledged { location: location.clone(), at: Instant::now() });
        }
        self.ledger.push(placement);
        Ok(matches!(stored?, Stored::Acknowledged(_)))
    }

    /// A random acknowledged placement must be there while the disk is full.
    fn look_at_one(&mut self, http: &Http) -> Result<(), CrashError> {
        let Some((location, body, sent_at)) = self.one() else { return Ok(()) };
        let found = http.item(&location)?;
        self.looks += 1;
        if sent_at.elapsed() < RETENTION - EXPIRY_MARGIN && found.as_deref() != Some(body.as_slice()) {
            self.faults.push("while the disk is full, an acknowledged placement is not retrieved".into());
        }
        Ok(())
    }

    fn one(&self) -> Option<(String, Vec<u8>, Instant)> {
        let placements = self.ledger.lock();
        let count = u64::try_from(placements.len()).ok().filter(|&count| count > 0)?;
        let one = &placements[usize::try_from(random_below(count)).ok()?];
        let location = one.acknowledged.as_ref()?.location.clone();
        (one.fate != Fate::Over).then(|| (location, one.body.clone(), one.sent_at))
    }
}

/// A service that is started on a full disk says that no space is left, and leaves all as it was.
fn start_on_full_disk(launch: &Launch) -> Result<Option<String>, CrashError> {
    let mut process = launch.spawn()?;
    let reports = read_complaints(&mut process);
    let status = process.wait().map_err(CrashError::system("wait for a start on a full disk"))?;
    let reports = reports.join().unwrap_or_default().join("; ");
    let clear = status.code() == Some(69) && reports.contains("no space is left");
    Ok((!clear)
        .then(|| format!("started on a full disk, the service ends with {status} and says: {reports}")))
}
