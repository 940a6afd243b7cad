//! The barrier between a reader's pin and its first look at a segment, as two halves: the reader's, at each pin, and
//! the reclaimer's, once for all segments given up since the last.
//!
//! Together they give: either whoever looks at the pins after the reclaimer's half sees the pin, or the reader sees
//! what was written before that half. Where the system can interrupt the threads of a process and have each pass a
//! barrier (membarrier(2) of Linux), the reader's half costs nothing, so that the reads of one walk begin while the
//! walk before still waits for memory. Elsewhere, and under loom, shuttle and ThreadSanitizer, both halves are fences.
//!
//! Knows neither pins nor segments.
#![cfg_attr(
    all(target_os = "linux", not(any(loom, shuttle, tsan))),
    expect(unsafe_code, reason = "membarrier(2) has no wrapper in the C library")
)]

use core::sync::atomic::{Ordering, compiler_fence};

use crate::sync::{AtomicU64, fence_readers, show_entered};

/// Which of the two ways a log goes; chosen when it is made, for all its readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barrier {
    /// The reclaimer has the kernel interrupt every running thread of the process.
    Interrupts,
    /// Each reader passes a fence of its own.
    Fences,
}

impl Barrier {
    /// The cheapest that this system allows this process.
    pub(crate) fn cheapest() -> Self {
        if interrupts::are_possible() { Self::Interrupts } else { Self::Fences }
    }

    /// The reader's half: shows that it has entered at `epoch`, before its first look at a segment.
    #[inline]
    pub(crate) fn enter(self, entered: &AtomicU64, epoch: u64) {
        match self {
            Self::Interrupts => {
                // Release: pairs with the Acquire of `horizon`, which may see this pin instead of the unpin before it;
                // what was read under the earlier pin is over.
                entered.store(epoch, Ordering::Release);
                // The compiler must not move the looks at segments before the pin; the processor may, and what comes
                // of that is undone by the interrupt.
                compiler_fence(Ordering::SeqCst);
            }
            Self::Fences => show_entered(entered, epoch),
        }
    }

    /// The reclaimer's half. Whether it was done: a process that has since forbidden itself the system call can take
    /// nothing back any more.
    #[cold]
    pub(crate) fn pass(self) -> bool {
        match self {
            Self::Interrupts => interrupts::pass(),
            Self::Fences => {
                fence_readers();
                true
            }
        }
    }
}

#[cfg(all(target_os = "linux", not(any(loom, shuttle, tsan))))]
mod interrupts {
    use libc::c_int;

    /// Registers the process. It may do so more than once; a child made by fork is another process.
    pub(super) fn are_possible() -> bool {
        membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED as c_int) && pass()
    }

    pub(super) fn pass() -> bool {
        membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED as c_int)
    }

    fn membarrier(command: c_int) -> bool {
        // SAFETY: takes three numbers and touches no memory of the process.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }
}

#[cfg(not(all(target_os = "linux", not(any(loom, shuttle, tsan)))))]
mod interrupts {
    pub(super) const fn are_possible() -> bool {
        false
    }

    pub(super) const fn pass() -> bool {
        false
    }
}

#[cfg(all(test, not(any(loom, shuttle, tsan))))]
mod tests {
    use core::hint::spin_loop;
    use core::sync::atomic::fence;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::sync::Padded;

    /// Rounds that the barrier must stand.
    const ROUNDS: u64 = 4000;
    /// Rounds and time within which its absence must show.
    const ROUNDS_MAX: u64 = 1 << 40;
    const UNTIL_SEEN_MAX: Duration = Duration::from_secs(60);
    /// Turns of waiting before a thread gives its processor away.
    const SPINS: u32 = 2000;
    const OVER: u64 = u64::MAX;

    #[derive(Default)]
    struct Scene {
        /// The round that has begun.
        begun: Padded<AtomicU64>,
        /// The round that the reader has ended, and whether it saw the generation of that round.
        ended: Padded<AtomicU64>,
        saw: Padded<AtomicU64>,
        entered: Padded<AtomicU64>,
        generation: Padded<AtomicU64>,
    }

    fn wait_for(word: &AtomicU64, at_least: u64) -> u64 {
        for turn in 1.. {
            let value = word.load(Ordering::Acquire);
            if value >= at_least {
                return value;
            }
            if turn % SPINS == 0 { thread::yield_now() } else { spin_loop() }
        }
        unreachable!("the loop has no end")
    }

    impl Scene {
        fn read(&self, barrier: Barrier) {
            for round in 1.. {
                if wait_for(&self.begun.0, round) == OVER {
                    return;
                }
                barrier.enter(&self.entered.0, round);
                let saw = self.generation.0.load(Ordering::Acquire) == round;
                self.saw.0.store(u64::from(saw), Ordering::Relaxed);
                self.ended.0.store(round, Ordering::Release);
            }
        }

        /// Whether the reclaimer missed the pin of this round while the reader missed its generation.
        fn is_missed(&self, round: u64, pass: impl Fn()) -> bool {
            self.begun.0.store(round, Ordering::Release);
            self.generation.0.store(round, Ordering::Release);
            pass();
            let saw_pin = self.entered.0.load(Ordering::Acquire) == round;
            wait_for(&self.ended.0, round);
            !saw_pin && self.saw.0.load(Ordering::Relaxed) == 0
        }
    }

    /// The first round in which each missed what the other had written.
    fn first_missed(barrier: Barrier, rounds: u64, pass: impl Fn()) -> Option<u64> {
        let (scene, until) = (Scene::default(), Instant::now() + UNTIL_SEEN_MAX);
        thread::scope(|scope| {
            scope.spawn(|| scene.read(barrier));
            let mut all = (1..=rounds).take_while(|_| Instant::now() < until);
            let missed = all.find(|&round| scene.is_missed(round, &pass));
            scene.begun.0.store(OVER, Ordering::Release);
            missed
        })
    }

    #[test]
    fn of_a_pin_and_a_generation_raised_beside_it_one_side_sees_the_other() {
        for barrier in [Barrier::cheapest(), Barrier::Fences] {
            let missed = first_missed(barrier, ROUNDS, || assert!(barrier.pass()));
            assert_eq!(missed, None, "{barrier:?}");
        }
    }

    /// A processor that has no buffer of stores, and a machine of one, would never show it.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn without_the_interrupt_a_fence_of_the_reclaimer_alone_would_be_noticed() {
        if thread::available_parallelism().is_ok_and(|count| count.get() > 1) {
            let missed = first_missed(Barrier::Interrupts, ROUNDS_MAX, || fence(Ordering::SeqCst));
            assert!(missed.is_some(), "each round was seen by one side, although the reader has no fence");
        }
    }
}
