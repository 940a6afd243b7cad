//! Every bound of the crash test, with its unit, its reason and what happens there.

use std::time::Duration;

/// Retention of the service under test: the longest, so that loss is looked for over as many restarts as
/// possible.
pub(crate) const RETENTION: Duration = Duration::from_secs(60);
/// By how much a placement must be younger than its retention for its absence to be called loss. Both ends
/// measure with the same machine's clocks; this allows for their rounding and slewing.
pub(crate) const EXPIRY_MARGIN: Duration = Duration::from_millis(250);
/// By how much a placement must be older than its retention for its presence to be called too long.
pub(crate) const EXPIRED_AFTER: Duration = Duration::from_secs(1);

/// Kills when nothing is asked for: with `synced`, with `buffered`, with `memory`, and ends by SIGTERM.
pub(crate) const SYNCED_KILLS: u32 = 50;
/// See [`SYNCED_KILLS`].
pub(crate) const BUFFERED_KILLS: u32 = 10;
/// See [`SYNCED_KILLS`]. A control needs few.
pub(crate) const MEMORY_KILLS: u32 = 3;
/// See [`SYNCED_KILLS`].
pub(crate) const TERMINATIONS: u32 = 3;
/// How often the disk is filled and freed under a running service.
pub(crate) const FILL_CYCLES: u32 = 5;
/// How often the service is killed while its disk is full.
pub(crate) const KILLS_WHILE_FULL: u32 = 3;

/// Of so many kills, one is followed by a start that is itself killed before it is done.
pub(crate) const KILLS_PER_KILLED_START: u32 = 5;
/// A start that is killed gets at most this long first: about what a whole start takes.
pub(crate) const KILLED_START_MAX: Duration = Duration::from_millis(80);

/// From the start of the process to its line, recovery included. A start beyond it is a fault.
pub(crate) const START_MAX: Duration = Duration::from_secs(10);
/// From SIGTERM to the end of the process: the drain grace and the last write. Beyond it is a fault.
pub(crate) const STOP_MAX: Duration = Duration::from_secs(15);
/// One request. Beyond it the service counts as gone.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(10);
/// From the moment space is free to the first acknowledged store. Beyond it is a fault (THREATS row 32).
pub(crate) const RESUME_MAX: Duration = Duration::from_secs(10);
/// From the moment the disk is full until stores are refused and health says so. Beyond it is a fault.
pub(crate) const REFUSE_MAX: Duration = Duration::from_secs(10);
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
