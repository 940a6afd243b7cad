//! Reports on their way to the host: what an operator should know, line by line. They are never told under a lock of the
//! engine's life; who starts, stops or closes one tells them when that is done.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use herald_runtime::Level;

use crate::boundary::{Callback, ReportFn};
use crate::gate::Gate;
use crate::limits::REPORTS_WAITING_MAX;

/// The levels of reports, with their names in C and what they mean.
pub const LEVELS: &[(i32, &str, &str)] = &[
    (0, "HERALD_LEVEL_INFO", "The engine goes on as it should."),
    (1, "HERALD_LEVEL_WARNING", "Something needs an eye."),
    (2, "HERALD_LEVEL_ERROR", "Something does not work until somebody acts."),
];

/// Where the reports of one engine go.
pub(crate) struct Reporter(Gate<ReportFn>);

thread_local! {
    /// What this thread has to report once it has given back the lock it holds. `None` while it holds none.
    static WAITING: RefCell<Option<Vec<(Level, String)>>> = const { RefCell::new(None) };
}

impl Reporter {
    pub(crate) const fn new(callback: Callback<ReportFn>) -> Self {
        Self(Gate::new(callback))
    }

    /// Tells the host, now or when the lock is given back.
    pub(crate) fn report(&self, level: Level, text: &str) {
        let is_kept = WAITING.try_with(|waiting| match &mut *waiting.borrow_mut() {
            Some(waiting) if waiting.len() < REPORTS_WAITING_MAX => {
                waiting.push((level, text.to_owned()));
                true
            }
            Some(_) => true,
            None => false,
        });
        if is_kept != Ok(true) {
            self.tell(level, text);
        }
    }

    fn tell(&self, level: Level, text: &str) {
        // Nobody hears what comes after the close.
        let _ = self.0.through(|callback| callback.report(level_code(level), text));
    }

    /// Nothing is told after this.
    pub(crate) fn close(&self) {
        self.0.close();
    }
}

/// Runs `work`, which takes a lock and gives it back; what this thread reports meanwhile is told afterwards.
pub(crate) fn without_lock<T>(reporter: &Reporter, work: impl FnOnce() -> T) -> T {
    // Once a thread's values are gone, as they are where a program's statics are destroyed, nothing is kept waiting.
    let is_outermost = WAITING.try_with(|waiting| match &mut *waiting.borrow_mut() {
        Some(_) => false,
        waiting => {
            *waiting = Some(Vec::new());
            true
        }
    });
    // Caught only to be passed on: what came before a panic is told too, and nothing waits for ever.
    let result = catch_unwind(AssertUnwindSafe(work));
    if is_outermost == Ok(true) {
        let waiting = WAITING.try_with(RefCell::take).ok().flatten().unwrap_or_default();
        waiting.iter().for_each(|(level, text)| reporter.tell(*level, text));
    }
    result.unwrap_or_else(|payload| resume_unwind(payload))
}

const fn level_code(level: Level) -> i32 {
    match level {
        Level::Info => LEVELS[0].0,
        Level::Warning => LEVELS[1].0,
        Level::Error => LEVELS[2].0,
    }
}
