//! Every bound of the crash test, with its unit, its reason and what happens there.

use std::time::Duration;

use crate::points::Points;

/// Retention of the service under test: the longest, so that loss is looked for over as many restarts as
/// possible.
pub(crate) const RETENTION: Duration = Duration::from_secs(60);
/// By how much a placement must be younger than its retention for its absence to be called loss. Both ends
/// measure with the same machine's clocks; this allows for their rounding and slewing.
pub(crate) const EXPIRY_MARGIN: Duration = Duration::from_millis(250);
/// By how much a placement must be older than its retention for its presence to be called too long.
pub(crate) const EXPIRED_AFTER: Duration = Duration::from_secs(1);

/// How much of each part is played.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    /// Kills with `synced`, with `buffered`, with `memory`, and ends by SIGTERM.
    pub(crate) synced_kills: u32,
    pub(crate) buffered_kills: u32,
    pub(crate) memory_kills: u32,
    pub(crate) terminations: u32,
    /// Calls and writes that the service is killed at.
    pub(crate) points: Points,
    pub(crate) torn_points: Points,
    /// Of the calls at which the disk fails, one of so many is played.
    pub(crate) fault_stride: usize,
    /// Power cuts with `synced`; a quarter of them with `buffered`, and a quarter after a failed `fsync`.
    pub(crate) cuts: u64,
    /// Trials of a control.
    pub(crate) control_trials: u64,
    /// How often the disk is filled and freed under a running service.
    pub(crate) fill_cycles: u32,
}

/// What one wants to know before every change: a sample of each part, in about three minutes.
pub(crate) const SAMPLE: Sizes = Sizes {
    synced_kills: 12,
    buffered_kills: 4,
    memory_kills: 1,
    terminations: 1,
    points: Points { last: 300, stride: 11 },
    torn_points: Points { last: 100, stride: 13 },
    fault_stride: 29,
    cuts: 8,
    control_trials: 2,
    fill_cycles: 2,
};

/// What one wants to know before a release: about forty minutes.
pub(crate) const CAMPAIGN: Sizes = Sizes {
    synced_kills: 260,
    buffered_kills: 50,
    memory_kills: 5,
    terminations: 5,
    points: Points { last: 300, stride: 1 },
    torn_points: Points { last: 100, stride: 1 },
    fault_stride: 1,
    cuts: 200,
    control_trials: 10,
    fill_cycles: 100,
};

/// Memory of a service, as it is given: for all that is stored within one retention, also by what went beyond it in the
/// life before. With less a start without `beyond_memory` is refused by rights: with `buffered` a quick machine had 16,688
/// placements more than 64 MiB hold. A start touches all of it.
pub(crate) const MEMORY: &str = "128MiB";
/// What may live beyond it, in the lives that go beyond: more than a life stores.
pub(crate) const BEYOND_MEMORY: &str = "64MiB";
/// How often the service is killed while its disk is full.
pub(crate) const KILLS_WHILE_FULL: u32 = 3;

/// Trials on the same machine at the same time: they mostly wait.
pub(crate) const TRIALS_AT_ONCE: u32 = 4;
/// From the start of a service to the end of a generation: it has opened by then and has had some load, but not so
/// much that the end lies beyond the calls at which it is killed.
pub(crate) const EVE_LEAD: Duration = Duration::from_millis(600);
/// Stores in that generation.
pub(crate) const EVE_STORES: u32 = 20;
/// Time between two stores of a thread while a service is killed at a call: as [`EVE_LEAD`].
pub(crate) const POINT_PACE: Duration = Duration::from_millis(10);
/// A call that is not reached under load for so long is a fault: the trial shows nothing.
pub(crate) const POINT_MAX: Duration = Duration::from_secs(15);
/// How long a service is watched for the call at which its disk is to fail, at least: past the end of the generation.
pub(crate) const FAULT_WATCH: Duration = Duration::from_millis(1_000);
/// And so many stores: what a quiet machine stores in that time, so that a busy one plays as many calls.
pub(crate) const FAULT_STORES: usize = 80;
/// How long a fault lasts that does not go by itself: more than one of the journal's attempts.
pub(crate) const FAULT_LASTS: Duration = Duration::from_millis(700);
/// Time between two stores of a thread while the disk fails.
pub(crate) const FAULT_PACE: Duration = Duration::from_millis(40);
/// The power is cut at one of the next so many calls: about half a second of them in `synced`, some four
/// seconds in `buffered`.
pub(crate) const CUT_CALLS: u64 = 200;
/// One of the next so many syncs fails before the cut.
pub(crate) const FAILED_SYNCS: u64 = 20;
/// Calls in which there are so many syncs: a third of the calls under load and more are syncs.
pub(crate) const FAILED_SYNCS_CALLS: u64 = 3 * FAILED_SYNCS;
/// Or, once in so many cuts, at one of the first calls of a start: most of what a start takes.
pub(crate) const CUTS_PER_CUT_START: u64 = 4;
/// See [`CUTS_PER_CUT_START`].
pub(crate) const CUT_START_CALLS: u64 = 80;
/// Size of a file system whose power is cut, in bytes. RocksDB prepares some 72 MiB for each file of its log, and after a
/// cut the files of starts before it may be back: up to 420 MB were seen. The image is sparse.
pub(crate) const IMAGE_BYTES: u64 = 1 << 30;
/// How often a file system is asked to let go that a process was just killed on, every 10 ms.
pub(crate) const UNMOUNT_TRIES: u32 = 200;
/// Retention of the services whose clock steps: so short that everything can be watched to its end.
pub(crate) const STEP_RETENTION: Duration = Duration::from_secs(6);
/// By how much placements may live less after a restart under a clock that was set back (docs/OPERATIONS.md).
pub(crate) const STEP_EARLY_MAX: Duration = Duration::from_secs(2);
/// Placements stored at a time, and the time between two of them.
pub(crate) const STEP_STORES: u32 = 10;
/// See [`STEP_STORES`].
pub(crate) const STEP_STORES_PACE: Duration = Duration::from_millis(20);
/// Restarts under a clock that was set back.
pub(crate) const STEP_RESTARTS: u32 = 4;
/// Time between two looks at everything.
pub(crate) const STEP_WATCH_PACE: Duration = Duration::from_millis(50);
/// Power cuts of a control on both kinds of file system together, at most. A machine that writes much lets its kernel
/// write early, and what is written is not lost.
pub(crate) const CONTROL_CUTS_MAX: u64 = 24;
/// Writes that are swallowed in a control before it is killed: those of some dozen stores.
pub(crate) const CONTROL_WRITES: u64 = 60;

/// Of so many kills, one is followed by a start that is itself killed before it is done.
pub(crate) const KILLS_PER_KILLED_START: u32 = 5;
/// A start that is killed gets at most this long first: about what a whole start takes.
pub(crate) const KILLED_START_MAX: Duration = Duration::from_millis(80);

/// From the start of the process to its line, recovery included. A start beyond it is a fault.
pub(crate) const START_MAX: Duration = Duration::from_secs(10);
/// From the end of its standard output to the end of a process that does not start. Beyond it it is killed.
pub(crate) const EXIT_MAX: Duration = Duration::from_secs(2);
/// From SIGTERM to the end of the process: the drain grace and the last write. Beyond it is a fault.
pub(crate) const STOP_MAX: Duration = Duration::from_secs(15);
/// One request. Beyond it the service counts as gone.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(10);
/// From the moment space is free to the first acknowledged store. Beyond it is a fault (THREATS row 32).
pub(crate) const RESUME_MAX: Duration = Duration::from_secs(10);
/// From the moment the disk is full until stores are refused and health says so. Beyond it is a fault.
pub(crate) const REFUSE_MAX: Duration = Duration::from_secs(10);
/// Cycles of a full disk between two looks at everything: less than one retention.
pub(crate) const CYCLES_PER_LOOK: u32 = 8;
/// Cycles of a full disk, of two seconds and more, after which placements expire as fast as they come.
pub(crate) const CYCLES_TO_SETTLE: usize = 40;
/// What the folder may take at most in the second half of the cycles after that, in percent of the first.
pub(crate) const GROWTH_PERCENT_MAX: u64 = 130;
/// How long the disk stays full after the first refusal, at least and at most: a few of the journal's attempts,
/// and not always as long after the last one.
pub(crate) const FULL_MIN: Duration = Duration::from_millis(1_000);
/// See [`FULL_MIN`].
pub(crate) const FULL_MAX: Duration = Duration::from_millis(2_000);
/// How long stores run before the disk is filled, and after it has been freed.
pub(crate) const LOAD_BETWEEN: Duration = Duration::from_secs(1);

/// Load before a kill: at least, and at most, from the first acknowledged store.
pub(crate) const LOAD_MIN: Duration = Duration::from_millis(20);
/// See [`LOAD_MIN`]. Longer would find no more, and every placement is asked for after every restart.
pub(crate) const LOAD_MAX: Duration = Duration::from_millis(320);
/// Threads that store.
pub(crate) const STORERS: u32 = 4;
/// Threads that look afterwards: enough to keep the service busy while some wait.
pub(crate) const CHECKERS: u32 = 4;
/// Time between two stores of a thread while the small disk lasts.
pub(crate) const PACE_ON_SMALL_DISK: Duration = Duration::from_millis(10);

/// Numbers that stores go to. Far below the live placements of one run, so that many wait under one number, and
/// so many that none reaches the bound of a number.
pub(crate) const NUMBERS: u64 = 2_000;
/// Numbers looked at as a whole after each restart: half of them called, half never.
pub(crate) const NUMBERS_LISTED: usize = 32;
/// Cover of one number at one moment, at most: the base dummies of this retention and the last, and up to 6
/// arrivals in each of two windows. More is a placement that nobody can have sent.
pub(crate) const COVER_MAX: usize = 14;

/// Numbers whose cover is compared from one life to the next.
pub(crate) const QUIET_NUMBERS: u64 = 16;
/// Of the cover seen just before a kill, what must be there after the restart, in percent, over all kills of a
/// run. Cover expires like placements do, so in the few seconds between some of it goes by rights.
pub(crate) const COVER_KEPT_PERCENT_MIN: usize = 75;

/// Bytes of a body: the smallest bucket.
pub(crate) const BODY_BYTES: usize = herald_runtime::core::limits::BODY_BUCKETS_BYTES[0];
/// Size of the disk that is filled, as mount takes it.
pub(crate) const DISK_SIZE: &str = "24m";
/// Bytes a file may have while files are limited in place of a disk that is full.
pub(crate) const FULL_FILE_BYTES: u64 = 4_096;
/// Faults told of one part. More of the same would bury them.
pub(crate) const FAULTS_TOLD_MAX: usize = 10;
