//! The atomics, fence and mutex of the crate: the standard library's, or those of loom or shuttle when the crate is
//! built with `--cfg loom` or `--cfg shuttle`. The only file that knows which.
//!
//! Orderings, a fence and steps that the proofs weaken or leave out on purpose are named here. Only a build with one
//! of these or `--cfg tsan` can weaken them.

#[cfg(tsan)]
use core::sync::atomic::fence;
#[cfg(not(any(loom, shuttle)))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicU64};
#[cfg(not(any(loom, shuttle)))]
pub(crate) use parking_lot::Mutex;

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, fence};
#[cfg(shuttle)]
pub(crate) use shuttle::sync::atomic::{AtomicBool, fence};

#[cfg(shuttle)]
pub(crate) use self::model::AtomicU64;
#[cfg(any(loom, shuttle))]
pub(crate) use self::model::Mutex;

#[cfg(not(any(loom, shuttle, tsan)))]
pub(crate) use self::plain::*;
#[cfg(any(loom, shuttle, tsan))]
pub use self::weak::{Weakening, weakened};
#[cfg(any(loom, shuttle, tsan))]
pub(crate) use self::weak::{
    drained_order, expiry_is_raised, fence_readers, link_order, publish_order, show_entered,
    stubs_come_first, unpin_order,
};

/// A value on cache lines of its own, so that writers of its neighbours don't take it away. 128 bytes: x86
/// fetches lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

#[cfg(not(any(loom, shuttle, tsan)))]
mod plain {
    use core::sync::atomic::{AtomicU64, Ordering, compiler_fence, fence};

    /// Ordering of the compare-and-swap that publishes a record.
    #[inline]
    pub(crate) const fn publish_order() -> Ordering {
        Ordering::Release
    }

    /// Ordering of the look at a bucket before a record is linked behind what is there.
    #[inline]
    pub(crate) const fn link_order() -> Ordering {
        Ordering::Acquire
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

    /// Whether the stubs of a segment can be found before it is taken back.
    #[inline]
    pub(crate) const fn stubs_come_first() -> bool {
        true
    }

    /// The reclaimer's half of a barrier that is two fences.
    pub(crate) fn fence_readers() {
        // SeqCst: pairs with the fence of `show_entered`.
        fence(Ordering::SeqCst);
    }

    /// The reader's half of a barrier that is two fences: shows that it has entered at `epoch`.
    #[inline]
    pub(crate) fn show_entered(entered: &AtomicU64, epoch: u64) {
        // Release: pairs with the Acquire of `horizon`, which may see this pin instead of the unpin before it; what
        // was read under the earlier pin is over.
        // SeqCst: pairs with the fence of `fence_readers`: either whoever looks at the pins behind that fence sees this
        // one, or this thread sees the generations raised before it.
        if cfg!(target_arch = "x86_64") {
            // There an exchange is a fence as well, and one that lets later reads begin meanwhile.
            entered.swap(epoch, Ordering::SeqCst);
            compiler_fence(Ordering::SeqCst);
        } else {
            entered.store(epoch, Ordering::Release);
            fence(Ordering::SeqCst);
        }
    }
}

#[cfg(any(loom, shuttle, tsan))]
mod weak {
    use core::sync::atomic::Ordering;

    use super::{AtomicU64, fence};

    /// What a proof weakens to show that it would notice.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Weakening {
        /// Records are published with `Relaxed`.
        Publish,
        /// A bucket is looked at with `Relaxed` before a record is linked behind what is there.
        Link,
        /// No fence between a reader's pin and its first look at a segment.
        PinFence,
        /// No fence between giving up segments and looking at the pins.
        ReclaimFence,
        /// A reader says with `Relaxed` that it has left.
        Unpin,
        /// Bytes are offered to a drain with `Relaxed`.
        Drained,
        /// Records keep the expiry they were given, whatever they are linked behind.
        Expiry,
        /// A segment that leaves memory is taken back before its stubs can be found.
        Stubs,
        /// A reader shows nobody that it is inside.
        Pin,
        /// A compare-and-swap compares first and stores later. Only shuttle's can.
        Swap,
    }

    #[cfg(not(tsan))]
    mod chosen {
        use core::cell::Cell;

        use super::Weakening;

        std::thread_local! {
            // All threads of a model run on the thread that called loom or shuttle.
            static WEAKENED: Cell<Option<Weakening>> = const { Cell::new(None) };
        }

        /// Weakens `what` in every model this thread runs from now on.
        pub fn weakened(what: Weakening) {
            WEAKENED.set(Some(what));
        }

        pub(crate) fn is_weakened(what: Weakening) -> bool {
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

        pub(crate) fn is_weakened(what: Weakening) -> bool {
            WEAKENED.get() == Some(&what)
        }
    }

    pub(crate) use chosen::is_weakened;
    pub use chosen::weakened;

    fn release_unless(what: Weakening) -> Ordering {
        if is_weakened(what) { Ordering::Relaxed } else { Ordering::Release }
    }

    pub(crate) fn publish_order() -> Ordering {
        release_unless(Weakening::Publish)
    }

    pub(crate) fn link_order() -> Ordering {
        if is_weakened(Weakening::Link) { Ordering::Relaxed } else { Ordering::Acquire }
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

    pub(crate) fn stubs_come_first() -> bool {
        !is_weakened(Weakening::Stubs)
    }

    pub(crate) fn fence_readers() {
        if !is_weakened(Weakening::ReclaimFence) {
            fence(Ordering::SeqCst);
        }
    }

    /// As in a plain build for other processors than x86: the store, and the fence that goes with it. The exchange that
    /// stands for both on x86 is beyond what the models can tell.
    pub(crate) fn show_entered(entered: &AtomicU64, epoch: u64) {
        let shown = if is_weakened(Weakening::Pin) { u64::MAX } else { epoch };
        entered.store(shown, Ordering::Release);
        if !is_weakened(Weakening::PinFence) {
            fence(Ordering::SeqCst);
        }
    }
}

#[cfg(any(loom, shuttle))]
mod model {
    #[cfg(loom)]
    use loom::sync;
    #[cfg(shuttle)]
    use shuttle::sync;

    /// The model's mutex with parking_lot's interface.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> sync::MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
        }
    }

    #[cfg(shuttle)]
    pub(crate) use word::AtomicU64;

    #[cfg(shuttle)]
    mod word {
        use core::sync::atomic::Ordering;

        use crate::sync::weak::{Weakening, is_weakened};

        /// shuttle's, whose compare-and-swap can be weakened.
        #[derive(Debug, Default)]
        pub(crate) struct AtomicU64(shuttle::sync::atomic::AtomicU64);

        impl AtomicU64 {
            pub(crate) const fn new(value: u64) -> Self {
                Self(shuttle::sync::atomic::AtomicU64::new(value))
            }

            pub(crate) fn load(&self, order: Ordering) -> u64 {
                self.0.load(order)
            }

            pub(crate) fn store(&self, value: u64, order: Ordering) {
                self.0.store(value, order);
            }

            pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
                self.0.fetch_add(value, order)
            }

            pub(crate) fn fetch_max(&self, value: u64, order: Ordering) -> u64 {
                self.0.fetch_max(value, order)
            }

            pub(crate) fn compare_exchange(
                &self,
                current: u64,
                new: u64,
                success: Ordering,
                failure: Ordering,
            ) -> Result<u64, u64> {
                if !is_weakened(Weakening::Swap) {
                    return self.0.compare_exchange(current, new, success, failure);
                }
                let found = self.0.load(failure);
                if found != current {
                    return Err(found);
                }
                self.0.store(new, success);
                Ok(found)
            }
        }
    }
}
