//! Several trials at once: most of a trial is waiting for a disk, a process or a clock.

use std::sync::{Mutex, PoisonError};

/// Plays `turns` on as many threads, each the next one that nobody has. A thread whose turn gives `None` takes no
/// more. Returns what the turns gave, in no order.
pub(crate) fn each<T: Send>(
    threads: u32,
    turns: impl Iterator<Item = u64> + Send,
    play: impl Fn(u64) -> Option<T> + Sync,
) -> Vec<T> {
    let turns = Mutex::new(turns);
    let next = || turns.lock().unwrap_or_else(PoisonError::into_inner).next();
    let (next, play) = (&next, &play);
    std::thread::scope(|scope| {
        let work = move || std::iter::from_fn(|| next().and_then(play)).collect::<Vec<T>>();
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker does not panic")).collect()
    })
}
