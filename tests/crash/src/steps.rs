//! The wall clock steps, by hours, forwards and backwards, under the running service and while it is down. What that
//! may change is in docs/OPERATIONS.md: nothing while it runs; across a restart, how long placements live.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use herald_journal::limits::IDLE_PASS_MS;

use crate::Plan;
use crate::error::CrashError;
use crate::http::{Http, Stored};
use crate::ledger::{Placement, random_between};
use crate::limits::{
    EXPIRED_AFTER, EXPIRY_MARGIN, STEP_EARLY_MAX, STEP_RESTARTS, STEP_RETENTION, STEP_STORES,
    STEP_STORES_PACE, STEP_WATCH_PACE,
};
use crate::look::cover;
use crate::report::{Part, Totals};
use crate::service::Service;
use crate::trial::Trial;
use crate::workers::each;

const HOUR_MS: i64 = 3_600_000;

type Scenario = fn(&Plan) -> Result<Run, CrashError>;

/// All scenarios at once; they mostly wait for things to expire.
pub(crate) fn steps(plan: &Plan) -> Result<Part, CrashError> {
    let scenarios: [Scenario; 3] = [running, set_back, set_forward];
    let threads = u32::try_from(scenarios.len()).expect("a few");
    let runs = each(threads, 0..u64::from(threads), |index| {
        Some(scenarios[usize::try_from(index).expect("a few")](plan))
    });
    let mut all = Totals::default();
    let mut faults = Vec::new();
    let mut restarts = 0;
    let mut items_watched = 0;
    for run in runs {
        let run = run?;
        all.clock_steps += run.steps;
        all.acknowledged += run.items.len();
        restarts += run.restarts;
        items_watched += run.items.len() + run.cover.len();
        faults.extend(run.faults);
    }
    all.lost = faults.iter().filter(|fault| fault.contains(EARLY)).count();
    let line = format!(
        "synced, the clock stepped {} times, {restarts} restarts, {items_watched} items watched until they were gone: \
         {} went early, {} faults",
        all.clock_steps,
        all.lost,
        faults.len()
    );
    Ok(Part::new(line, faults).counting(all))
}

/// The negative control: a step that the engine cannot be safe from, of the clock that never steps.
pub(crate) fn control(plan: &Plan) -> Result<Part, CrashError> {
    let mut run = Run::start(plan)?;
    run.store()?;
    run.trial.shim.step_monotonic(3 * HOUR_MS)?;
    run.watch(STEP_WATCH_PACE)?;
    run.judge(Duration::ZERO);
    let early = run.faults.iter().filter(|fault| fault.contains(EARLY)).count();
    let faults = if early == 0 { vec!["nothing went early".to_owned()] } else { Vec::new() };
    let line =
        format!("control: the monotonic clock stepped: {early} of {} items went early", run.items.len());
    Ok(Part::new(line, faults).counting(Totals { controls: 1, ..Totals::default() }))
}

/// While it runs.
fn running(plan: &Plan) -> Result<Run, CrashError> {
    let mut run = Run::start(plan)?;
    for step_ms in [3 * HOUR_MS, -8 * HOUR_MS, 0] {
        run.store()?;
        run.step(step_ms)?;
        run.watch(STEP_RETENTION / 4)?;
    }
    run.store()?;
    run.watch_to_the_end(Duration::ZERO)
}

/// While it is down, backwards, each time further.
fn set_back(plan: &Plan) -> Result<Run, CrashError> {
    let mut run = Run::start(plan)?;
    for restart in 1..=STEP_RESTARTS {
        run.store()?;
        // The journal writes the clock down when something is stored, and else once in a while.
        run.watch(random_between(Duration::ZERO, Duration::from_millis(IDLE_PASS_MS)))?;
        run.restart(-HOUR_MS * i64::from(restart))?;
    }
    run.store()?;
    run.watch_to_the_end(STEP_EARLY_MAX)
}

/// While it is down, forwards: what was placed before is over. Then back to where it was: nothing else is.
fn set_forward(plan: &Plan) -> Result<Run, CrashError> {
    let mut run = Run::start(plan)?;
    run.store()?;
    run.watch(STEP_WATCH_PACE)?;
    run.restart(3 * HOUR_MS)?;
    run.watch(STEP_WATCH_PACE)?;
    if run.items.iter().any(|item| item.first_missed.is_none()) {
        run.faults.push("a placement outlives a clock that was set forward by hours".into());
    }
    run.items.clear();
    run.store()?;
    run.restart(0)?;
    run.store()?;
    run.watch_to_the_end(STEP_EARLY_MAX)
}

const EARLY: &str = "early";

/// A placement and when it was seen.
struct Item {
    location: String,
    body: Vec<u8>,
    sent_at: Instant,
    acknowledged_at: Instant,
    /// Time in which no service ran, up to its store.
    down_before: Duration,
    last_seen: Option<Instant>,
    first_missed: Option<Instant>,
}

/// What is known of an item of cover.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sight {
    Shown,
    Gone,
}

/// One service on one folder through its lives.
struct Run {
    trial: Trial,
    service: Option<Service>,
    items: Vec<Item>,
    cover: HashMap<String, Sight>,
    down: Duration,
    steps: u64,
    restarts: u32,
    faults: Vec<String>,
}

impl Run {
    fn start(plan: &Plan) -> Result<Self, CrashError> {
        let mut trial = Trial::new(plan)?;
        trial.launch.retention = STEP_RETENTION;
        let service = Some(trial.launch.start()?);
        Ok(Self {
            trial,
            service,
            items: Vec::new(),
            cover: HashMap::new(),
            down: Duration::ZERO,
            steps: 0,
            restarts: 0,
            faults: Vec::new(),
        })
    }

    fn service(&self) -> &Service {
        self.service.as_ref().expect("it runs but for a moment in restart")
    }

    fn store(&mut self) -> Result<(), CrashError> {
        let http = Http::new(&self.service().address, 0)?;
        for _ in 0..STEP_STORES {
            let placement = Placement::random();
            let Stored::Acknowledged(location) = http.store(placement.number, &placement.body)? else {
                return Err(CrashError::Answer("a store is refused though nothing fails".into()));
            };
            self.items.push(Item {
                location,
                body: placement.body,
                sent_at: placement.sent_at,
                acknowledged_at: Instant::now(),
                down_before: self.down,
                last_seen: None,
                first_missed: None,
            });
            std::thread::sleep(STEP_STORES_PACE);
        }
        Ok(())
    }

    /// Sets the wall clock off, now.
    fn step(&mut self, ms: i64) -> Result<(), CrashError> {
        self.steps += 1;
        self.trial.shim.step_wall(ms)
    }

    /// Kills the service, and starts it under a wall clock that is off by so much.
    fn restart(&mut self, ms: i64) -> Result<(), CrashError> {
        let service = self.service.take().expect("it runs but for this moment");
        let ended = service.kill()?;
        self.step(ms)?;
        self.service = Some(self.trial.launch.start()?);
        self.down += ended.asked_at.elapsed();
        self.restarts += 1;
        Ok(())
    }

    /// Looks at everything again and again, at least once, until some time is over.
    fn watch(&mut self, duration: Duration) -> Result<(), CrashError> {
        let (began, http) = (Instant::now(), Http::new(&self.service().address, 0)?);
        loop {
            for item in &mut self.items {
                look_at(&http, item, &mut self.faults)?;
            }
            self.look_at_cover()?;
            if began.elapsed() >= duration {
                return Ok(());
            }
            std::thread::sleep(STEP_WATCH_PACE);
        }
    }

    /// Watches until everything should be gone, and judges. `early_max`: by how much it may be so too early.
    fn watch_to_the_end(mut self, early_max: Duration) -> Result<Self, CrashError> {
        self.watch(STEP_RETENTION + self.down + EXPIRED_AFTER)?;
        self.judge(early_max);
        let service = self.service.take().expect("it runs but for a moment in restart");
        service.kill()?;
        Ok(self)
    }

    /// No item may come back, be it real or cover.
    fn look_at_cover(&mut self) -> Result<(), CrashError> {
        let shown = cover(&self.service().address)?;
        for (href, sight) in &mut self.cover {
            match (*sight, shown.contains(href)) {
                (Sight::Shown, false) => *sight = Sight::Gone,
                (Sight::Gone, true) => {
                    self.faults.push("an item of cover is shown again after it was gone".into());
                    *sight = Sight::Shown;
                }
                _ => {}
            }
        }
        for href in shown {
            self.cover.entry(href).or_insert(Sight::Shown);
        }
        Ok(())
    }

    /// Each placement lived as long as it should: with its retention, the time in which nothing ran.
    fn judge(&mut self, early_max: Duration) {
        for item in &self.items {
            let restarts_may_cost = early_max * self.restarts;
            let least = item.sent_at + STEP_RETENTION - restarts_may_cost - EXPIRY_MARGIN;
            let most = item.acknowledged_at + STEP_RETENTION + (self.down - item.down_before) + EXPIRED_AFTER;
            if let Some(missed) = item.first_missed.filter(|&missed| missed < least) {
                self.faults.push(format!("a placement is gone {:?} {EARLY}", least - missed));
            }
            if let Some(seen) = item.last_seen.filter(|&seen| seen > most) {
                self.faults.push(format!("a placement is shown {:?} too long", seen - most));
            }
            if item.first_missed.is_none() {
                self.faults.push("a placement was not watched to its end".into());
            }
        }
    }
}

fn look_at(http: &Http, item: &mut Item, faults: &mut Vec<String>) -> Result<(), CrashError> {
    let asked_at = Instant::now();
    match http.item(&item.location)? {
        Some(body) => {
            if body != item.body {
                faults.push("a placement came back with another body".into());
            }
            if item.first_missed.is_some() {
                faults.push("a placement is shown again after it was gone".into());
            }
            item.last_seen = Some(asked_at);
        }
        None if item.first_missed.is_none() => item.first_missed = Some(Instant::now()),
        None => {}
    }
    Ok(())
}
