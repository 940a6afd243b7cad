//! What stays of a plugin while its code is replaced: its name, what it did, and who hears of it.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::{Level, Report};

/// A plugin by name, with what is counted of it.
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) report: Report,
    pub(crate) tally: Tally,
}

/// Counts since the start. All are hints for people: Relaxed.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) calls: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) timed_out: AtomicU64,
    pub(crate) busy: AtomicU64,
    pub(crate) late: AtomicU64,
}

/// One more of what is counted; how many there are.
pub(crate) fn count(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed) + 1
}

impl Identity {
    /// Says something of the plugin.
    pub(crate) fn say(&self, level: Level, deed: &str) {
        (self.report)(level, &format!("plugin {}: {deed}", self.name));
    }

    /// The plugin did what it should not. Said when the count is a power of two: a plugin that fails all the time does not
    /// fill the operator's disk.
    pub(crate) fn failed(&self, deed: &str) {
        let failures = count(&self.tally.failures);
        if failures.is_power_of_two() {
            self.say(Level::Warning, &format!("{deed} (failure {failures})"));
        }
    }

    /// The plugin answered what nobody asks any more.
    pub(crate) fn late(&self, deed: &str) {
        let late = count(&self.tally.late);
        if late.is_power_of_two() {
            self.say(Level::Warning, &format!("{deed} (late answer {late})"));
        }
    }
}
