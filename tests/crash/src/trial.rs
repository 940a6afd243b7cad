//! One service under a shim, on a folder of its own: begun just before a generation of the journal ends, so that
//! what happens then is among the first that it does.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use herald_journal::limits::generation_ms;
use tempfile::TempDir;

use crate::Plan;
use crate::error::CrashError;
use crate::http::Http;
use crate::ledger::Ledger;
use crate::limits::{EVE_STORES, POINT_MAX, POINT_PACE, RESUME_MAX, RETENTION};
use crate::load::under_load;
use crate::look::{list, look};
use crate::service::{Address, Ended, Launch, Service};
use crate::shim::Shim;
use crate::sum::Found;

/// A folder that a service has left, in which a generation waits for its end.
pub(crate) struct Eve {
    folder: TempDir,
    /// When it ends, by the wall clock that services are shown, in ms since the Unix epoch.
    ends_at_ms: u64,
}

impl Eve {
    /// Lets a service store under a wall clock one retention and some seconds before the end.
    pub(crate) fn new(plan: &Plan) -> Result<Self, CrashError> {
        let folder = tempfile::tempdir().map_err(CrashError::system("make a folder"))?;
        let ends_at_ms = (now_ms() / GENERATION_MS + AHEAD_GENERATIONS) * GENERATION_MS;
        let eve = Self { folder, ends_at_ms };
        let lead = RETENTION + HALF_GENERATION;
        let trial = Trial::on(plan, eve.folder.path().to_owned(), "synced", eve.step_ms(lead))?;
        let service = trial.launch.start()?;
        let http = Http::new(&service.address, 0)?;
        for _ in 0..EVE_STORES {
            trial.ledger.store(&http)?;
        }
        service.terminate()?;
        Ok(eve)
    }

    /// How far a wall clock is off that shows the end in `lead`.
    fn step_ms(&self, lead: Duration) -> i64 {
        let lead_ms = u64::try_from(lead.as_millis()).expect("a lead of seconds");
        i64::try_from(self.ends_at_ms - lead_ms - now_ms()).expect("less than a day")
    }
}

/// See the module.
pub(crate) struct Trial {
    pub(crate) launch: Launch,
    pub(crate) shim: Shim,
    pub(crate) ledger: Ledger,
    /// When the generation ends.
    turns_at: Option<Instant>,
    /// Removed with the trial, unless the folder is somebody else's.
    _folder: Option<TempDir>,
}

impl Trial {
    /// A service to be started on an empty folder.
    pub(crate) fn new(plan: &Plan) -> Result<Self, CrashError> {
        let folder = tempfile::tempdir().map_err(CrashError::system("make a folder"))?;
        let trial = Self::on(plan, folder.path().to_owned(), "synced", 0)?;
        Ok(Self { _folder: Some(folder), ..trial })
    }

    /// A service to be started on a copy of the folder of `eve`, with so much time to its end.
    pub(crate) fn at(plan: &Plan, eve: &Eve, lead: Duration) -> Result<Self, CrashError> {
        let folder = tempfile::tempdir().map_err(CrashError::system("make a folder"))?;
        copy(eve.folder.path(), folder.path())?;
        let turns_at = Some(Instant::now() + lead);
        let trial = Self::on(plan, folder.path().to_owned(), "synced", eve.step_ms(lead))?;
        Ok(Self { turns_at, _folder: Some(folder), ..trial })
    }

    /// A service to be started on `data`, under a wall clock that is off by `step_ms`.
    pub(crate) fn on(
        plan: &Plan,
        data: PathBuf,
        durability: &'static str,
        step_ms: i64,
    ) -> Result<Self, CrashError> {
        let shim = Shim::new(&plan.shim, &data.join("journal"))?;
        shim.step_wall(step_ms)?;
        let launch = Launch::new(&plan.program, &data, durability).under(&shim);
        Ok(Self { launch, shim, ledger: Ledger::default(), turns_at: None, _folder: None })
    }

    /// Lets it store until the shim ends it.
    pub(crate) fn await_kill(&self, service: Service, found: &mut Found) -> Result<Ended, CrashError> {
        let address = service.address.clone();
        let (ended, load) = under_load(&address, &self.ledger, POINT_PACE, || service.await_end(POINT_MAX));
        found.refused_count += load.refused_count;
        // Connections broke before the end was noticed.
        found.tally.faults.extend(load.faults);
        ended?.by_kill()
    }

    /// Removes what the service has written.
    pub(crate) fn remove(self) -> Result<(), CrashError> {
        std::fs::remove_dir_all(&self.launch.data).map_err(CrashError::system("remove a folder"))
    }

    /// Starts the service with no more orders, and looks for everything it had acknowledged before it ended so. It
    /// must take stores again.
    pub(crate) fn judge(&self, found: &mut Found, ended: &Ended) -> Result<(), CrashError> {
        self.shim.lift()?;
        found.acknowledged_count = self.ledger.acknowledged_count();
        found.is_past_turn = self.turns_at.is_some_and(|turns_at| ended.gone_at > turns_at);
        let service = self.launch.start()?;
        found.opened_in = service.opened_in;
        found.tally.judge(look(&service.address, &self.ledger)?, ended.gone_at);
        found.tally.faults.extend(list(&service.address, &self.ledger)?);
        self.await_success(&service.address)?;
        // What it has just acknowledged is promised to outlive its end only if it may finish.
        if self.launch.durability == "buffered" {
            service.terminate()?
        } else {
            service.kill()?
        };
        Ok(())
    }

    /// Stores until one is acknowledged and health is good. Returns how long that took.
    pub(crate) fn await_success(&self, address: &Address) -> Result<Duration, CrashError> {
        let (http, began) = (Http::new(address, 0)?, Instant::now());
        while !self.ledger.store(&http)? || http.health()? != 200 {
            if began.elapsed() > RESUME_MAX {
                let limit_s = RESUME_MAX.as_secs();
                return Err(CrashError::Answer(format!("after {limit_s} s stores are still refused")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(began.elapsed())
    }
}

/// A lead that leaves the service alone with the generation it is in.
pub(crate) const HALF_GENERATION: Duration = Duration::from_millis(GENERATION_MS / 2);

/// The span of a generation of the services tried.
const GENERATION_MS: u64 = generation_ms(RETENTION.as_secs() * 1000);

/// Far enough ahead that no service has seen it.
const AHEAD_GENERATIONS: u64 = 360;

fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

fn copy(from: &Path, to: &Path) -> Result<(), CrashError> {
    let status = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status();
    let status = status.map_err(CrashError::system("run cp"))?;
    if status.success() { Ok(()) } else { Err(CrashError::Setting(format!("cp ends with {status}"))) }
}
