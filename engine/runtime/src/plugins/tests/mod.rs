//! Plugins that do what they must not: the engine lives, the others serve, and the report says who did what.

mod foreign;
mod linked;
mod tokens;

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use herald_core::{Clock, Timestamp};
use herald_stir::SystemRandom;
use herald_stir::services::Side;
use parking_lot::Mutex;

use super::*;
use crate::clock::SystemClock;

/// Plugins on a stage, and what was reported of them.
pub(super) struct Stage {
    pub(super) set: PluginSet,
    clock: Arc<dyn Clock>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Stage {
    pub(super) fn new(paths: &[PathBuf], settings: Option<&Path>) -> Result<Self, EngineError> {
        Self::with_random(paths, settings, Arc::new(SystemRandom))
    }

    pub(super) fn with_random(
        paths: &[PathBuf],
        settings: Option<&Path>,
        random: Arc<dyn Random>,
    ) -> Result<Self, EngineError> {
        let (heard, clock) =
            (Arc::<Mutex<Vec<_>>>::default(), Arc::new(SystemClock::starting_at(Timestamp::default())));
        let hears = heard.clone();
        let report: Report = Arc::new(move |_, line: &str| hears.lock().push(line.to_owned()));
        let set = PluginSet::load(paths, settings, clock.clone(), random, report)?;
        Ok(Self { set, clock, heard })
    }

    /// What was reported, but for what goes as it should.
    pub(super) fn heard(&self) -> Vec<String> {
        let is_news = |line: &&String| !line.contains(" serves") && !line.contains("replaced by");
        self.heard.lock().iter().filter(is_news).cloned().collect()
    }

    pub(super) fn heard_count(&self, part: &str) -> usize {
        self.heard.lock().iter().filter(|line| line.contains(part)).count()
    }

    /// Waits until a report has `part`.
    pub(super) fn wait_until_heard(&self, part: &str) {
        let began = Instant::now();
        while self.heard_count(part) == 0 {
            assert!(began.elapsed() < Duration::from_secs(20), "nothing of {part:?} in {:?}", self.heard());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Asks the plugin `name` for `number` and waits for the outcome.
    pub(super) fn ask(&self, name: &str, number: &str, patience_ms: u64) -> Outcome {
        let (sender, receiver) = mpsc::channel();
        self.begin(name, number, patience_ms, move |outcome| sender.send(outcome).expect("it is awaited"));
        let outcome = receiver.recv_timeout(Duration::from_secs(20)).expect("every question ends");
        assert!(receiver.try_recv().is_err(), "a question ends once");
        outcome
    }

    pub(super) fn begin(
        &self,
        name: &str,
        number: &str,
        patience_ms: u64,
        done: impl FnOnce(Outcome) + Send + 'static,
    ) {
        let question = Question {
            number: number.parse().expect("a number"),
            side: Side::Calling,
            spc: None,
            deadline_ms: self.clock.now().as_millis() + patience_ms,
        };
        self.set.discovery(name).expect("it is there").ask(question, done);
    }

    pub(super) fn status(&self, name: &str) -> PluginStatus {
        self.set.list().into_iter().find(|status| status.name == name).expect("it is there")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.set.stop();
    }
}
