//! Who may still be reading: an epoch that goes up whenever a segment is taken back, and for each handle the
//! epoch it entered at.
//!
//! A thread *pins* before it looks at a segment and *unpins* when it has let go of everything it read. Taking
//! a segment back is: (1) raise the segment's generation, so that addresses into it are seen to be stale;
//! (2) [`advance`](Pins::advance) the epoch and note the new one on the segment; (3) [`settle`](Pins::settle) the
//! epoch, the reclaimer's half of a [`Barrier`], once for many segments; (4) write to the segment only when
//! [`horizon`](Pins::horizon) has reached the noted epoch. Why no thread that read the old generation is left then:
//! - its pin was seen by `horizon`: then the pin is older than the noted epoch (a pin of that epoch or a later
//!   one acquires from `advance`, so it would have seen the new generation), and `horizon` stays below;
//! - its pin was not seen: then by the barrier it pinned after the `settle` that `horizon` acquired from, and saw what
//!   was written before that: the new generation.
//!
//! Nothing is ever queued: a thread that stays pinned only keeps `horizon` from moving. Knows nothing of
//! segments or records.

use core::sync::atomic::Ordering;

use crate::barrier::Barrier;
use crate::sync::{AtomicBool, AtomicU64, Padded, unpin_order};

/// The epoch of a thread that reads nothing.
const IDLE: u64 = u64::MAX;

/// The epoch and everybody's pins.
pub(crate) struct Pins {
    epoch: Padded<AtomicU64>,
    /// The latest epoch for which the reclaimer's half of the barrier was passed.
    settled: Padded<AtomicU64>,
    slots: Box<[Padded<Slot>]>,
    barrier: Barrier,
}

struct Slot {
    entered: AtomicU64,
    taken: AtomicBool,
}

/// How far reuse may go.
#[derive(Clone, Copy)]
pub(crate) struct Horizon {
    /// What was given up at a later epoch waits for [`Pins::settle`].
    pub(crate) settled: u64,
    /// Everybody who is inside entered at this epoch or later.
    pub(crate) reached: u64,
}

/// A thread is inside; dropping this is leaving.
pub(crate) struct Pin<'a> {
    slot: &'a Slot,
}

impl Pins {
    pub(crate) fn new(slot_count: usize) -> Self {
        let slot = || Slot { entered: AtomicU64::new(IDLE), taken: AtomicBool::new(false) };
        Self {
            epoch: Padded(AtomicU64::new(0)),
            settled: Padded(AtomicU64::new(0)),
            slots: (0..slot_count).map(|_| Padded(slot())).collect(),
            barrier: Barrier::cheapest(),
        }
    }

    /// Takes one of the first `slot_count` slots that nobody has.
    pub(crate) fn take_slot(&self, slot_count: usize) -> Option<usize> {
        // Acquire: pairs with the Release of `give_back`; the slot's last owner has left it idle.
        let take = |slot: &Padded<Slot>| {
            slot.0.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
        };
        self.slots[..slot_count].iter().position(take)
    }

    /// Gives back a slot that `take_slot` gave and that is not pinned.
    pub(crate) fn give_back(&self, slot_index: usize) {
        // Release: pairs with the Acquire of `take_slot`.
        self.slots[slot_index].0.taken.store(false, Ordering::Release);
    }

    /// Enters. The slot must be the caller's and not pinned already.
    #[inline]
    pub(crate) fn pin(&self, slot_index: usize) -> Pin<'_> {
        let slot = &self.slots[slot_index].0;
        // Acquire: pairs with the Release of `advance`; who pins at an epoch sees all generations raised for it.
        let epoch = self.epoch.0.load(Ordering::Acquire);
        self.barrier.enter(&slot.entered, epoch);
        Pin { slot }
    }

    /// Begins a new epoch and returns it: at least 1. What the caller stored before is seen by every thread that pins at
    /// this epoch or later.
    pub(crate) fn advance(&self) -> u64 {
        // Release: pairs with the Acquire loads of the epoch in `pin` and `settle`.
        self.epoch.0.fetch_add(1, Ordering::Release) + 1
    }

    /// Passes the reclaimer's half of the barrier for every epoch begun so far, which may enter the kernel, and looks
    /// again. O(slots).
    #[cold]
    pub(crate) fn settle(&self) -> Horizon {
        // Acquire: pairs with the Release of `advance`; the generations raised for these epochs come before the barrier.
        let epoch = self.epoch.0.load(Ordering::Acquire);
        if self.barrier.pass() {
            // Release: pairs with the Acquire of `horizon`; the barrier comes before its look at the pins.
            self.settled.0.fetch_max(epoch, Ordering::Release);
        }
        self.horizon()
    }

    /// Who may still be inside. O(slots).
    pub(crate) fn horizon(&self) -> Horizon {
        // Acquire: pairs with the Release of `settle`. Read before the pins.
        let settled = self.settled.0.load(Ordering::Acquire);
        // Acquire: pairs with the Release of `Barrier::enter` and of the unpin; the reads of whoever left are over.
        let entered = self.slots.iter().map(|slot| slot.0.entered.load(Ordering::Acquire));
        Horizon { settled, reached: entered.fold(settled, u64::min) }
    }
}

impl Drop for Pin<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the Acquire of `horizon`; reads under this pin come before a write to what was read.
        self.slot.entered.store(IDLE, unpin_order());
    }
}
