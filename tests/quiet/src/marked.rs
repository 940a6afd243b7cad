//! Working between two marks: everything that threads need from the kernel happens before the first and after the
//! second.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::subjects::{Subject, Work};

/// Written before the work begins.
pub(crate) const BEGIN: &str = "herald-quiet: begin";
/// Written when the work is done.
pub(crate) const END: &str = "herald-quiet: end";
/// What a process says of its work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Worked {
    /// Operations that were done, not refused.
    pub(crate) done: u64,
    /// Allocations that were made meanwhile.
    pub(crate) allocations: u64,
}

impl Worked {
    /// Reads what [`run`] printed.
    pub(crate) fn read(said: &str) -> Option<Self> {
        let (done, allocations) = said.trim().split_once(' ')?;
        Some(Self { done: done.parse().ok()?, allocations: allocations.parse().ok()? })
    }
}

/// Operations of all threads together between the marks.
pub(crate) const OPERATIONS: u64 = 1_000_000;
/// Operations of each thread before the first mark, so that memory has gone round and sessions are there.
const WARM_UP: u64 = 200_000;

/// Does the subject's work on its threads and prints what came of it.
pub(crate) fn run(subject: &Subject) {
    // A thread that is gone would leave the others waiting for ever.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
    let works = (subject.prepare)(subject.threads);
    let steps = Steps { threads: works.len(), warm: AtomicUsize::new(0), done: AtomicUsize::new(0) };
    let worked = std::thread::scope(|scope| {
        let threads: Vec<_> = works.into_iter().map(|work| scope.spawn(|| steps.work(work))).collect();
        threads.into_iter().fold(Worked::default(), |sum, thread| {
            let worked = thread.join().expect("a panic ends the process");
            Worked { done: sum.done + worked.done, allocations: sum.allocations + worked.allocations }
        })
    });
    println!("{} {}", worked.done, worked.allocations);
}

/// Where the threads are. They wait by spinning: sleeping would be a system call between the marks.
struct Steps {
    threads: usize,
    warm: AtomicUsize,
    done: AtomicUsize,
}

impl Steps {
    /// Works on one thread.
    fn work(&self, mut work: Work) -> Worked {
        // The first count sets up what counting needs.
        allocation_counter::measure(|| (0..WARM_UP).for_each(|index| _ = work(index)));
        if self.arrive(&self.warm) {
            mark(BEGIN);
            // One more than there are threads: the mark is written.
            self.warm.fetch_add(1, Ordering::SeqCst);
        }
        wait_until(&self.warm, self.threads + 1);
        let mut done = 0;
        let counted = allocation_counter::measure(|| {
            (0..OPERATIONS / self.threads as u64).for_each(|index| done += u64::from(work(index)));
        });
        if self.arrive(&self.done) {
            mark(END);
            self.done.fetch_add(1, Ordering::SeqCst);
        }
        wait_until(&self.done, self.threads + 1);
        Worked { done, allocations: counted.count_total }
    }

    /// Whether this thread is the last to come.
    fn arrive(&self, step: &AtomicUsize) -> bool {
        step.fetch_add(1, Ordering::SeqCst) + 1 == self.threads
    }
}

fn wait_until(step: &AtomicUsize, count: usize) {
    while step.load(Ordering::SeqCst) < count {
        std::hint::spin_loop();
    }
}

/// One write to standard error, which has no buffer.
fn mark(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).expect("standard error takes a line");
}
