//! The atomics, fence and mutex of the crate: the standard library's, or loom's when the crate is built with
//! `--cfg loom`. The only file that knows which.
//!
//! Orderings, a fence and a step that the proofs weaken or leave out on purpose are named here. Only a build with `--cfg loom` or
//! `--cfg tsan` can weaken them.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicU64, fence};
#[cfg(not(loom))]
pub(crate) use parking_lot::Mutex;

#[cfg(loom)]
pub(crate) use self::model::Mutex;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, fence};

#[cfg(not(any(loom, tsan)))]
pub(crate) use self::plain::*;
#[cfg(any(loom, tsan))]
pub use self::weak::{Weakening, weakened};
#[cfg(any(loom, tsan))]
pub(crate) use self::weak::{drained_order, expiry_is_raised, pin_fence, publish_order, unpin_order};

/// A value on cache lines of its own, so that writers of its neighbours don't take it away. 128 bytes: x86
/// fetches lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

#[cfg(not(any(loom, tsan)))]
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

    /// Whether a record's expiry is raised to the latest given before.
    #[inline]
    pub(crate) const fn expiry_is_raised() -> bool {
        true
    }

    /// The fence between a reader's pin and its first look at a segment.
    #[inline]
    pub(crate) fn pin_fence() {
        fence(Ordering::SeqCst);
    }
}

#[cfg(any(loom, tsan))]
mod weak {
    use core::sync::atomic::Ordering;

    use super::fence;

    /// What a proof weakens to show that it would notice.
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
        /// Records keep the expiry they were given, whatever they are linked behind.
        Expiry,
    }

    #[cfg(loom)]
    mod chosen {
        use core::cell::Cell;

        use super::Weakening;

        std::thread_local! {
            // All threads of a loom model run on the thread that called `loom::model`.
            static WEAKENED: Cell<Option<Weakening>> = const { Cell::new(None) };
        }

        /// Weakens `what` in every model this thread runs from now on.
        pub fn weakened(what: Weakening) {
            WEAKENED.set(Some(what));
        }

        pub(super) fn is_weakened(what: Weakening) -> bool {
            WEAKENED.get() == Some(what)
        }
    }

    #[cfg(tsan)]
    mod chosen {
        use std::sync::OnceLock;

        use super::Weakening;

        static WEAKENED: OnceLock<Weakening> = OnceLock::new();

        /// Weakens `what` for the rest of the process. Before any thread has been started: whoever looks creates an
        /// order between threads otherwise.
        pub fn weakened(what: Weakening) {
            WEAKENED.get_or_init(|| what);
        }

        pub(super) fn is_weakened(what: Weakening) -> bool {
            WEAKENED.get() == Some(&what)
        }
    }

    use chosen::is_weakened;
    pub use chosen::weakened;

    fn release_unless(what: Weakening) -> Ordering {
        if is_weakened(what) { Ordering::Relaxed } else { Ordering::Release }
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

    pub(crate) fn expiry_is_raised() -> bool {
        !is_weakened(Weakening::Expiry)
    }

    pub(crate) fn pin_fence() {
        if !is_weakened(Weakening::PinFence) {
            fence(Ordering::SeqCst);
        }
    }
}

#[cfg(loom)]
mod model {
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
