//! The watch over plugins: one thread that gives up calls whose deadline is over.

use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use herald_core::Clock;
use parking_lot::{Condvar, Mutex};

use crate::error::{EngineError, EngineErrorKind};
use crate::limits::PLUGIN_WATCH_MS;
use crate::plugins::generation::Generation;

pub(crate) struct Watch {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    changed: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct State {
    /// The earliest deadline that was told since the last look.
    next_ms: Option<u64>,
    generations: Vec<Weak<Generation>>,
    is_over: bool,
}

impl Watch {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let (state, changed, thread) = (Mutex::default(), Condvar::new(), Mutex::new(None));
        Arc::new(Self { clock, state, changed, thread })
    }

    /// Starts its thread. A second start does nothing.
    pub(crate) fn start(self: &Arc<Self>) -> Result<(), EngineError> {
        let mut thread = self.thread.lock();
        if thread.is_none() {
            let watch = self.clone();
            let started = thread::Builder::new().name("herald-plugins".into()).spawn(move || watch.serve());
            *thread = Some(started.map_err(|error| {
                EngineError::new(EngineErrorKind::Limit, format!("the system refuses a thread: {error}"))
            })?);
        }
        Ok(())
    }

    /// The time that deadlines are on, in ms.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now().as_millis()
    }

    /// Watches over `generation` too. `false` if the watch has ended.
    pub(crate) fn over(&self, generation: &Arc<Generation>) -> bool {
        let mut state = self.state.lock();
        state.generations.retain(|known| known.strong_count() > 0);
        state.generations.push(Arc::downgrade(generation));
        !state.is_over
    }

    /// There is a call with this deadline.
    pub(crate) fn expect_by(&self, deadline_ms: u64) {
        let mut state = self.state.lock();
        if state.next_ms.is_none_or(|next_ms| deadline_ms < next_ms) {
            state.next_ms = Some(deadline_ms);
            self.changed.notify_one();
        }
    }

    /// Ends its thread, and every call it watched over.
    pub(crate) fn stop(&self) {
        self.state.lock().is_over = true;
        self.changed.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            // It has nothing to tell.
            let _ = thread.join();
        }
        let generations = core::mem::take(&mut self.state.lock().generations);
        for generation in generations.iter().filter_map(Weak::upgrade) {
            generation.leave_behind();
        }
    }

    fn serve(&self) {
        let mut state = self.state.lock();
        while !state.is_over {
            let generations: Vec<_> = state.generations.iter().filter_map(Weak::upgrade).collect();
            state.next_ms = None;
            drop(state);
            let now_ms = self.now_ms();
            for generation in &generations {
                generation.give_up_overdue(now_ms);
            }
            let first_ms = generations.iter().filter_map(|generation| generation.first_deadline_ms()).min();
            drop(generations);
            state = self.state.lock();
            state.next_ms = first_ms.into_iter().chain(state.next_ms).min();
            match state.next_ms {
                _ if state.is_over => {}
                None => self.changed.wait(&mut state),
                Some(next_ms) => {
                    let left_ms = next_ms.saturating_sub(self.now_ms()).min(PLUGIN_WATCH_MS);
                    self.changed.wait_for(&mut state, Duration::from_millis(left_ms));
                }
            }
        }
    }
}
