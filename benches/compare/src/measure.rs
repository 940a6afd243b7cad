//! Running a store on threads and counting: filling, timed runs, and the proof that what was stored is there.
//! Knows neither which stores there are nor what a table looks like.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use herald_core::Timestamp;

use crate::Failure;
use crate::limits::{BLOCK_OPERATIONS, PICKS, PROOFS};
use crate::stores::{Chasing, Placement, Retrieving, Storing};
use crate::workload::{Workload, narrow, wide};

/// A workload and how far it has come: one for all threads of a store.
pub(crate) struct Course<'a> {
    workload: &'a Workload<'a>,
    begin: Timestamp,
    next: AtomicU64,
}

impl<'a> Course<'a> {
    /// A course whose virtual time begins at `begin`.
    pub(crate) fn new(workload: &'a Workload<'a>, begin: Timestamp) -> Self {
        Self { workload, begin, next: AtomicU64::new(0) }
    }

    /// The same workload from its beginning, for a store that keeps no time.
    pub(crate) fn beginning_again(&self) -> Self {
        Self::new(self.workload, self.begin)
    }

    /// The first index that has not been stored.
    fn end(&self) -> u64 {
        // Relaxed: read between runs, when the threads that counted have been joined.
        self.next.load(Ordering::Relaxed)
    }

    /// The virtual time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.at(self.end())
    }

    fn at(&self, index: u64) -> Timestamp {
        self.begin.plus_millis(self.workload.millis_at(index))
    }

    /// Stores until memory has gone round once.
    pub(crate) fn fill<S: Storing>(&self, stores: &mut [S]) -> Result<(), Failure> {
        let filled_at = self.workload.filled_at();
        self.store(stores, |_, first| first < filled_at).map(drop)
    }

    /// Stores for `run`. Returns stores per second.
    pub(crate) fn run_stores<S: Storing>(&self, stores: &mut [S], run: Duration) -> Result<Rate, Failure> {
        self.store(stores, |began, _| began.elapsed() < run)
    }

    fn store<S: Storing>(
        &self,
        stores: &mut [S],
        goes_on: impl Fn(Instant, u64) -> bool + Sync,
    ) -> Result<Rate, Failure> {
        on_threads(stores, goes_on, |store| {
            // Relaxed: only the value counts, no index may be taken twice.
            let first = self.next.fetch_add(wide(BLOCK_OPERATIONS), Ordering::Relaxed);
            let now = self.at(first);
            for index in first..first + wide(BLOCK_OPERATIONS) {
                let (number, body) = (self.workload.number(index), self.workload.body(index));
                if !store.store(&Placement { index, number, body }, now) {
                    return Err(Failure::Refused);
                }
            }
            Ok(first)
        })
    }

    /// Retrieves numbers that have live placements, and copies every body, for `run`. Returns retrieves per
    /// second.
    pub(crate) fn run_retrieves<S: Retrieving>(
        &self,
        stores: &mut [S],
        run: Duration,
    ) -> Result<Rate, Failure> {
        let (picks, now) = (self.workload.picks(self.end()), self.now());
        let next = AtomicU64::new(0);
        on_threads(
            stores,
            |began, _| began.elapsed() < run,
            |store| {
                // Relaxed: only the value counts.
                let first = next.fetch_add(wide(BLOCK_OPERATIONS), Ordering::Relaxed);
                let mut copied = [0; herald_core::limits::BODY_BYTES_MAX];
                for number in &picks[narrow(first) % PICKS..][..BLOCK_OPERATIONS] {
                    let show = &mut |body: &[u8]| copied[..body.len()].copy_from_slice(body);
                    if store.retrieve(*number, now, show) == 0 {
                        return Err(Failure::Missing);
                    }
                    black_box(&copied);
                }
                Ok(first)
            },
        )
    }

    /// Looks for live placements with their bodies.
    pub(crate) fn prove<S: Retrieving>(&self, store: &mut S) -> Result<(), Failure> {
        let (end, now) = (self.end(), self.now());
        for index in self.workload.live_indexes(end, 3).take(PROOFS) {
            let (wanted, mut found) = (self.workload.body(index), false);
            store.retrieve(self.workload.number(index), now, &mut |body| found |= body == wanted);
            if !found {
                return Err(Failure::Missing);
            }
        }
        Ok(())
    }
}

/// Reads memory for `run`, each read waiting for the one before. Returns reads per second.
pub(crate) fn run_chases(chases: &mut [Chasing<'_>], run: Duration) -> Result<Rate, Failure> {
    on_threads(
        chases,
        |began, _| began.elapsed() < run,
        |chase| {
            (0..BLOCK_OPERATIONS).for_each(|_| chase.step());
            black_box(chase);
            Ok(0)
        },
    )
}

/// How fast a run went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Operations per second, of all threads together.
    pub(crate) per_s: f64,
    /// The share of the run for which its threads had a processor: 1 on a quiet machine.
    pub(crate) processor_share: f64,
}

/// Runs blocks of operations, one thread a worker, until `goes_on` (told the beginning and what the last block
/// returned) says no.
fn on_threads<W: Send>(
    workers: &mut [W],
    goes_on: impl Fn(Instant, u64) -> bool + Sync,
    block: impl Fn(&mut W) -> Result<u64, Failure> + Sync,
) -> Result<Rate, Failure> {
    let barrier = Barrier::new(workers.len());
    let run = |worker: &mut W| {
        barrier.wait();
        let (began, processor_began, mut blocks) = (Instant::now(), processor_time(), 0u32);
        loop {
            let last = block(worker)?;
            blocks += 1;
            if !goes_on(began, last) {
                break;
            }
        }
        // A block is a small power of two, so nothing is lost.
        let operations = f64::from(blocks) * BLOCK_OPERATIONS as f64;
        let (elapsed, processor) = (began.elapsed(), processor_time() - processor_began);
        let processor_share = processor.as_secs_f64() / elapsed.as_secs_f64();
        Ok(Rate { per_s: operations / elapsed.as_secs_f64(), processor_share })
    };
    let rates = thread::scope(|scope| -> Result<Vec<Rate>, Failure> {
        let threads: Vec<_> = workers.iter_mut().map(|worker| scope.spawn(|| run(worker))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no operation panics")).collect()
    })?;
    let count = rates.len() as f64;
    Ok(Rate {
        per_s: rates.iter().map(|rate| rate.per_s).sum(),
        processor_share: rates.iter().map(|rate| rate.processor_share).sum::<f64>() / count,
    })
}

/// How long the calling thread has had a processor.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a thread's time is not negative")
}
