//! The atomics, fence and mutex of the crate: the standard library's, or loom's when the crate is built with
//! `--cfg loom`. The only file that knows which.
//!
//! Two orderings and a fence that the proofs weaken on purpose are named here. Only a loom build can weaken
//! them.

#[cfg(not(loom))]
pub(crate) use self::plain::*;
#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicU64, fence};
#[cfg(not(loom))]
pub(crate) use parking_lot::Mutex;

#[cfg(loom)]
pub(crate) use self::model::{Mutex, drained_order, pin_fence, publish_order, unpin_order};
#[cfg(loom)]
pub use self::model::{Weakening, weakened};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, fence};

/// A value on cache lines of its own, so that writers of its neighbours don't take it away. 128 bytes: x86
/// fetches lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

#[cfg(not(loom))]
mod plain {
    use core::sync::atomic::{Ordering, fence};

    /// Ordering of the compare-and-swap that publishes a record.
    #[inline]
    pub(crate) const fn publish_order() -> Ordering {
        Ordering::Release
    }

    /// Ordering of the store with which a reader says that it has left.
    #[inline]
    pub(crate) const fn unpin_order() -> Ordering {
        Ordering::Release
    }

    /// Ordering of the store that offers bytes to a drain.
    #[inline]
    pub(crate) const fn drained_order() -> Ordering {
        Ordering::Release
    }

    /// The fence between a reader's pin and its first look at a segment.
    #[inline]
    pub(crate) fn pin_fence() {
        fence(Ordering::SeqCst);
    }
}

#[cfg(loom)]
mod model {
    use core::cell::Cell;
    use core::sync::atomic::Ordering;

    /// What a model weakens to show that it would notice.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Weakening {
        /// Records are published with `Relaxed`.
        Publish,
        /// No fence between a reader's pin and its first look at a segment.
        PinFence,
        /// A reader says with `Relaxed` that it has left.
        Unpin,
        /// Bytes are offered to a drain with `Relaxed`.
        Drained,
    }

    std::thread_local! {
        // All threads of a loom model run on the thread that called `loom::model`.
        static WEAKENED: Cell<Option<Weakening>> = const { Cell::new(None) };
    }

    /// Weakens `what` in every model this thread runs from now on.
    pub fn weakened(what: Weakening) {
        WEAKENED.set(Some(what));
    }

    fn release_unless(what: Weakening) -> Ordering {
        if WEAKENED.get() == Some(what) { Ordering::Relaxed } else { Ordering::Release }
    }

    pub(crate) fn publish_order() -> Ordering {
        release_unless(Weakening::Publish)
    }

    pub(crate) fn unpin_order() -> Ordering {
        release_unless(Weakening::Unpin)
    }

    pub(crate) fn drained_order() -> Ordering {
        release_unless(Weakening::Drained)
    }

    pub(crate) fn pin_fence() {
        if WEAKENED.get() != Some(Weakening::PinFence) {
            loom::sync::atomic::fence(Ordering::SeqCst);
        }
    }

    /// loom's mutex with parking_lot's interface.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
        }
    }
}
