//! The atomics of the table of sessions, and the steps on which its proof hangs: the standard library's, or loom's when the
//! crate is built with `--cfg loom`. The only file that knows which. Only a build for loom can weaken a step.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU64, fence};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, fence};

#[cfg(not(loom))]
pub(crate) use self::plain::*;
#[cfg(loom)]
pub(crate) use self::weak::*;

#[cfg(not(loom))]
mod plain {
    use core::sync::atomic::Ordering;

    use super::{AtomicU64, fence};

    /// What a writer does between taking a slot away and writing it anew, so that whoever reads anything of the new session
    /// also finds the generation changed.
    #[inline]
    pub(crate) fn fence_writer() {
        fence(Ordering::Release);
    }

    /// The order in which a session is shown.
    #[inline]
    pub(crate) const fn publish_order() -> Ordering {
        Ordering::Release
    }

    /// Whether what was read between two looks at a generation belongs to it.
    #[inline]
    pub(crate) const fn is_unchanged(before: u16, after: u16) -> bool {
        before == after
    }

    /// Whether a store is charged to the session that it was judged by.
    #[inline]
    pub(crate) const fn is_charged_to(judged_by: u16, there: u16) -> bool {
        judged_by == there
    }

    /// Exchanges a session's word, if it still is `old`. Relaxed: the word is all that is decided, and nothing is read by
    /// its leave.
    #[inline]
    pub(crate) fn exchange(word: &AtomicU64, old: u64, new: u64) -> Result<u64, u64> {
        word.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed)
    }
}

#[cfg(loom)]
mod weak {
    use core::cell::Cell;
    use core::sync::atomic::Ordering;

    use super::{AtomicU64, fence};

    /// What a proof weakens to show that it would notice.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Weakening {
        WriterFence,
        Publish,
        ReadAgain,
        Charge,
        Exchange,
    }

    std::thread_local! {
        // All threads of a model run on the thread that called loom.
        static WEAKENED: Cell<Option<Weakening>> = const { Cell::new(None) };
    }

    /// Weakens `what` in every model this thread runs from now on.
    pub(crate) fn weakened(what: Weakening) {
        WEAKENED.set(Some(what));
    }

    fn is_weakened(what: Weakening) -> bool {
        WEAKENED.get() == Some(what)
    }

    pub(crate) fn fence_writer() {
        if !is_weakened(Weakening::WriterFence) {
            fence(Ordering::Release);
        }
    }

    pub(crate) fn publish_order() -> Ordering {
        if is_weakened(Weakening::Publish) { Ordering::Relaxed } else { Ordering::Release }
    }

    pub(crate) fn is_unchanged(before: u16, after: u16) -> bool {
        before == after || is_weakened(Weakening::ReadAgain)
    }

    pub(crate) fn is_charged_to(judged_by: u16, there: u16) -> bool {
        judged_by == there || is_weakened(Weakening::Charge)
    }

    pub(crate) fn exchange(word: &AtomicU64, old: u64, new: u64) -> Result<u64, u64> {
        if is_weakened(Weakening::Exchange) {
            word.store(new, Ordering::Relaxed);
            return Ok(old);
        }
        word.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed)
    }
}
