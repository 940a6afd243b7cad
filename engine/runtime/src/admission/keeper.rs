//! The thread that makes keys ahead and forgets what is over.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::{Books, spawn};
use crate::engine::Level;
use crate::error::EngineError;
use crate::limits::{KEEP_PERIOD_MS, SPENT_SETTLE_PERIODS};

/// The running thread.
pub(super) struct Keeper {
    closing: Arc<Closing>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Closing {
    is_closed: Mutex<bool>,
    changed: Condvar,
}

impl Keeper {
    /// Takes up what is kept, makes the keys of this epoch, and starts the thread for the others.
    pub(super) fn start(books: Arc<Books>) -> Result<Self, EngineError> {
        if let Some(vault) = &books.vault {
            books.take_up(vault)?;
        }
        while books.make_wanted(books.admission.epoch_at(books.now()))? {}
        let closing = Arc::<Closing>::default();
        let thread = {
            let closing = closing.clone();
            spawn("herald-keys", move || keep(&books, &closing))?
        };
        Ok(Self { closing, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn stop(&self) {
        *self.closing.is_closed.lock() = true;
        self.closing.changed.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            // A panic was reported by the panic hook.
            let _ = thread.join();
        }
    }
}

impl Closing {
    /// Sleeps for a period. False once it is closed.
    fn sleep(&self) -> bool {
        let mut is_closed = self.is_closed.lock();
        if !*is_closed {
            self.changed.wait_for(&mut is_closed, Duration::from_millis(KEEP_PERIOD_MS));
        }
        !*is_closed
    }

    fn is_closed(&self) -> bool {
        *self.is_closed.lock()
    }
}

fn keep(books: &Books, closing: &Closing) {
    let (mut period, mut is_failing) = (0, false);
    loop {
        let outcome = keep_once(books, closing, period);
        if let Err(error) = &outcome
            && !is_failing
        {
            books.say(Level::Error, &format!("keys are not made or dropped as they should: {error}"));
        }
        if outcome.is_ok() && is_failing {
            books.say(Level::Info, "keys are made and dropped again");
        }
        is_failing = outcome.is_err();
        period += 1;
        if !closing.sleep() {
            return;
        }
    }
}

fn keep_once(books: &Books, closing: &Closing, period: u64) -> Result<(), EngineError> {
    books.drop_over(books.now())?;
    if let Some(vault) = books.vault.as_ref().filter(|_| period.is_multiple_of(SPENT_SETTLE_PERIODS)) {
        vault.settle()?;
    }
    while !closing.is_closed() && books.make_wanted(u64::MAX)? {}
    Ok(())
}
