//! Running a store on threads and counting: filling, timed runs, and the proof that what was stored is there.
//! Knows neither which stores there are nor what a table looks like.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use herald_core::{TelephoneNumber, Timestamp};

use crate::failure::Failure;
use crate::limits::{BLOCK_OPERATIONS, MIXED_RUN_LIVE_SHARE, PICKS, PROOFS};
use crate::stores::{Chasing, Lists, Placement, Retrieving, Storing};
use crate::workload::{Picked, Sequence, Workload, narrow, wide};

/// What is done: blocks of stores and blocks of retrieves by turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mix {
    pub(crate) stores: usize,
    pub(crate) retrieves: usize,
}

impl Mix {
    pub(crate) const STORE: Self = Self { stores: 1, retrieves: 0 };
    pub(crate) const RETRIEVE: Self = Self { stores: 0, retrieves: 1 };
    pub(crate) const ONE_TO_ONE: Self = Self { stores: 1, retrieves: 1 };
    pub(crate) const ONE_TO_TWO: Self = Self { stores: 1, retrieves: 2 };
}

/// A workload and how far it has come: one for all threads of a store.
pub(crate) struct Course<'a> {
    workload: &'a Workload<'a>,
    begin: Timestamp,
    next: AtomicU64,
}

impl<'a> Course<'a> {
    /// A course whose virtual time begins at `begin`.
    pub(crate) const fn new(workload: &'a Workload<'a>, begin: Timestamp) -> Self {
        Self { workload, begin, next: AtomicU64::new(0) }
    }

    /// The same workload from its beginning, for a store that keeps no time.
    pub(crate) const fn beginning_again(&self) -> Self {
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

    /// Stores until the workload says that it is full.
    pub(crate) fn fill<S: Storing>(&self, stores: &mut [S]) -> Result<(), Failure> {
        self.store_until(stores, self.workload.fill_count()).map(drop)
    }

    /// Stores the placements up to `end`, and less than a block a thread beyond it.
    pub(crate) fn store_until<S: Storing>(&self, stores: &mut [S], end: u64) -> Result<Rate, Failure> {
        self.store_while(stores, |_| self.end() < end)
    }

    /// Stores until one is refused. Returns how many were kept.
    pub(crate) fn store_until_refused<S: Storing>(&self, store: &mut S) -> Result<usize, Failure> {
        let mut counts = Counts::default();
        while counts.kept == counts.stored {
            self.store_block(store, &mut counts)?;
        }
        Ok(counts.kept)
    }

    /// Stores for `run`.
    pub(crate) fn run_stores<S: Storing>(&self, stores: &mut [S], run: Duration) -> Result<Rate, Failure> {
        self.store_while(stores, |began| began.elapsed() < run)
    }

    fn store_while<S: Storing>(
        &self,
        stores: &mut [S],
        goes_on: impl Fn(Instant) -> bool + Sync,
    ) -> Result<Rate, Failure> {
        on_threads(stores, goes_on, |store| {
            let mut counts = Counts::default();
            self.store_block(store, &mut counts)?;
            Ok(counts)
        })
    }

    /// Stores, and retrieves numbers that have live placements, with every body copied, for `run`.
    pub(crate) fn run<S: Storing + Retrieving>(
        &self,
        stores: &mut [S],
        mix: Mix,
        run: Duration,
    ) -> Result<Rate, Failure> {
        if mix == Mix::STORE {
            return self.run_stores(stores, run);
        }
        let (begin, picks) = (self.end(), self.workload.picks(self.end(), Picked::AsStored));
        let (stored_max, picked) = (self.workload.live_count() / MIXED_RUN_LIVE_SHARE, AtomicU64::new(0));
        on_threads(
            stores,
            |began| began.elapsed() < run && self.end() - begin < stored_max,
            |store| {
                let mut counts = Counts::default();
                for _ in 0..mix.stores {
                    self.store_block(store, &mut counts)?;
                }
                for _ in 0..mix.retrieves {
                    self.retrieve_block(store, (&picks, &picked), &mut counts)?;
                }
                Ok(counts)
            },
        )
    }

    /// Puts into the lists what has been stored since they were given something, off the clock.
    pub(crate) fn keep_up(&self, lists: &mut Lists<'_>) {
        for index in lists.wanted(self.end())..self.end() {
            let (number, body) = (self.workload.number(index), self.workload.body(index));
            lists.put(&Placement { index, number, body }, self.at(index));
        }
    }

    /// Retrieves as [`run`](Self::run), from what need not store anything, numbers picked in one way or the other.
    pub(crate) fn run_retrieves<S: Retrieving>(
        &self,
        stores: &mut [S],
        picked: Picked,
        run: Duration,
    ) -> Result<Rate, Failure> {
        let (picks, picked) = (self.workload.picks(self.end(), picked), AtomicU64::new(0));
        on_threads(
            stores,
            |began| began.elapsed() < run,
            |store| {
                let mut counts = Counts::default();
                self.retrieve_block(store, (&picks, &picked), &mut counts)?;
                Ok(counts)
            },
        )
    }

    #[inline]
    fn retrieve_block<S: Retrieving>(
        &self,
        store: &mut S,
        (picks, picked): (&[TelephoneNumber], &AtomicU64),
        counts: &mut Counts,
    ) -> Result<(), Failure> {
        // Relaxed: only the value counts.
        let first = narrow(picked.fetch_add(wide(BLOCK_OPERATIONS), Ordering::Relaxed)) % PICKS;
        let now = self.now();
        let mut copied = [0; herald_core::limits::BODY_BYTES_MAX];
        let mut bodies = 0;
        let show = &mut |body: &[u8]| {
            copied[..body.len()].copy_from_slice(body);
            bodies += 1;
        };
        counts.found += store.retrieve(&picks[first..][..BLOCK_OPERATIONS], now, show)?;
        counts.bodies += bodies;
        counts.retrieved += BLOCK_OPERATIONS;
        black_box(&copied);
        Ok(())
    }

    #[inline]
    fn store_block<S: Storing>(&self, store: &mut S, counts: &mut Counts) -> Result<(), Failure> {
        // Relaxed: only the value counts, no index may be taken twice.
        let first = self.next.fetch_add(wide(BLOCK_OPERATIONS), Ordering::Relaxed);
        let placements: [_; BLOCK_OPERATIONS] = std::array::from_fn(|offset| {
            let index = first + wide(offset);
            Placement { index, number: self.workload.number(index), body: self.workload.body(index) }
        });
        counts.kept += store.store(&placements, self.at(first))?;
        counts.stored += BLOCK_OPERATIONS;
        Ok(())
    }

    /// Looks for live placements with their bodies, drawn at random: for all of a number's or, where a store
    /// keeps only one of a number, for one of them.
    pub(crate) fn prove<S: Retrieving>(&self, store: &mut S, keeps_all: bool) -> Result<(), Failure> {
        let live = self.workload.live(self.end());
        let mut random = Sequence::new(3);
        let drawn = |_| self.workload.number(live.start + random.below(live.end - live.start));
        let mut wanted: HashMap<_, Vec<&[u8]>> = (0..PROOFS).map(drawn).map(|it| (it, Vec::new())).collect();
        for index in live {
            if let Some(bodies) = wanted.get_mut(&self.workload.number(index)) {
                bodies.push(self.workload.body(index));
            }
        }
        for (number, bodies) in wanted {
            let mut found = vec![false; bodies.len()];
            store.retrieve(&[number], self.now(), &mut |body| {
                // One for each: two placements may have the same bytes.
                if let Some(at) = (0..bodies.len()).find(|&at| !found[at] && bodies[at] == body) {
                    found[at] = true;
                }
            })?;
            let enough = if keeps_all { found.iter().all(|&it| it) } else { found.contains(&true) };
            if !enough {
                return Err(Failure::Missing);
            }
        }
        Ok(())
    }
}

/// Reads memory for `run`, each read waiting for the one before.
pub(crate) fn run_chases(chases: &mut [Chasing<'_>], run: Duration) -> Result<Rate, Failure> {
    on_threads(
        chases,
        |began| began.elapsed() < run,
        |chase| {
            (0..BLOCK_OPERATIONS).for_each(|_| chase.step());
            black_box(chase);
            let (retrieved, found) = (BLOCK_OPERATIONS, BLOCK_OPERATIONS);
            Ok(Counts { retrieved, found, bodies: found, ..Counts::default() })
        },
    )
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    stored: usize,
    kept: usize,
    retrieved: usize,
    found: usize,
    bodies: usize,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.stored += other.stored;
        self.kept += other.kept;
        self.retrieved += other.retrieved;
        self.found += other.found;
        self.bodies += other.bodies;
    }
}

/// What one thread did, and when.
struct Span {
    began: Instant,
    ended: Instant,
    counts: Counts,
    /// The share of the span for which the thread had a processor.
    processor_share: f64,
}

/// How fast a run went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Operations per second: those of all threads, from the first start to the last end.
    pub(crate) per_s: f64,
    /// The share of the run for which its threads had a processor: 1 on a quiet machine.
    pub(crate) processor_share: f64,
    /// The share of the stores that was not refused; 1 without stores.
    pub(crate) kept_share: f64,
    /// The share of the retrieves that found something; 1 without retrieves.
    pub(crate) found_share: f64,
    /// Bodies that a retrieve showed; 0 without retrieves.
    pub(crate) bodies_per_retrieve: f64,
}

/// Runs blocks of operations, one thread a worker, until `goes_on` (told when the run began) says no.
fn on_threads<W: Send>(
    workers: &mut [W],
    goes_on: impl Fn(Instant) -> bool + Sync,
    block: impl Fn(&mut W) -> Result<Counts, Failure> + Sync,
) -> Result<Rate, Failure> {
    let barrier = Barrier::new(workers.len());
    let run = |worker: &mut W| {
        barrier.wait();
        let (began, processor_began, mut counts) = (Instant::now(), processor_time(), Counts::default());
        loop {
            counts.add(&block(worker)?);
            if !goes_on(began) {
                break;
            }
        }
        let (ended, processor) = (Instant::now(), processor_time() - processor_began);
        let processor_share = processor.as_secs_f64() / (ended - began).as_secs_f64();
        Ok(Span { began, ended, counts, processor_share })
    };
    let done = thread::scope(|scope| -> Result<Vec<_>, Failure> {
        let threads: Vec<_> = workers.iter_mut().map(|worker| scope.spawn(|| run(worker))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no operation panics")).collect()
    })?;
    let mut counts = Counts::default();
    done.iter().for_each(|span| counts.add(&span.counts));
    let began = done.iter().map(|span| span.began).min().expect("a run has a thread");
    let ended = done.iter().map(|span| span.ended).max().expect("a run has a thread");
    let share =
        |part: usize, whole: usize, none: f64| if whole == 0 { none } else { part as f64 / whole as f64 };
    Ok(Rate {
        per_s: (counts.stored + counts.retrieved) as f64 / (ended - began).as_secs_f64(),
        processor_share: done.iter().map(|span| span.processor_share).sum::<f64>() / done.len() as f64,
        kept_share: share(counts.kept, counts.stored, 1.0),
        found_share: share(counts.found, counts.retrieved, 1.0),
        bodies_per_retrieve: share(counts.bodies, counts.retrieved, 0.0),
    })
}

/// How long the calling thread has had a processor.
pub(crate) fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a thread's time is not negative")
}
