//! The way to a function of the host that may be called until its finalizer ran, and not after it.

use parking_lot::RwLock;

use crate::boundary::Callback;
use crate::call::inside_callback;

/// A callback that is closed before its finalizer runs.
pub(crate) struct Gate<F> {
    callback: Callback<F>,
    /// Read while the host's function runs, written to close it.
    is_open: RwLock<bool>,
}

impl<F> Gate<F> {
    pub(crate) const fn new(callback: Callback<F>) -> Self {
        Self { callback, is_open: RwLock::new(true) }
    }

    /// Runs `work`, which calls the host, unless the gate is closed.
    pub(crate) fn through<T>(&self, work: impl FnOnce(&Callback<F>) -> T) -> Option<T> {
        let is_open = self.is_open.read_recursive();
        is_open.then(|| inside_callback(|| work(&self.callback)))
    }

    /// Waits for calls that are running; no other follows. Then the finalizer runs, once.
    pub(crate) fn close(&self) {
        if self.close_unfinalized() {
            inside_callback(|| self.callback.finalize());
        }
    }

    /// As [`close`](Self::close), but the host keeps what the finalizer would have been given. Whether it was open.
    pub(crate) fn close_unfinalized(&self) -> bool {
        core::mem::replace(&mut *self.is_open.write(), false)
    }
}
