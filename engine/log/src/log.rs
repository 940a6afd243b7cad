//! The log itself: arena, index and segments in one value that all handles share. It neither appends nor walks;
//! handles do.

use core::sync::atomic::Ordering;
use std::sync::Arc;

use herald_core::Timestamp;

use crate::arena::Arena;
use crate::beyond::{Beyond, BeyondConfig};
use crate::config::{Geometry, LogConfig, LogError};
use crate::handle::LogHandle;
use crate::hash::NumberHash;
use crate::index::Index;
use crate::pins::Pins;
use crate::segments::Segments;
use crate::sync::{AtomicU64, Mutex, Padded, expiry_is_raised};

/// Placements of one retention class in memory. See the [crate] for how it works.
///
/// Any thread may use it. Memory is fixed when it is made and given back when the last handle is gone.
pub struct PlacementLog {
    pub(crate) geometry: Geometry,
    pub(crate) arena: Arena,
    pub(crate) segments: Segments,
    pub(crate) pins: Pins,
    /// Held for the length of a drain, which uses the last pin slot.
    pub(crate) drain_turn: Mutex<()>,
    pub(crate) index: Index,
    /// What stays of records that have left memory, in a log that lets them.
    pub(crate) beyond: Option<Beyond>,
    /// The latest expiry any record was given, in milliseconds.
    expires_latest: Padded<AtomicU64>,
}

/// How full a log is, at about the moment of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogStats {
    /// Bytes of memory for placements, as mapped: all segments, side by side.
    pub arena_bytes: usize,
    /// Segments in all.
    pub segments_total: usize,
    /// Segments that are not in use. A segment counts as in use until a handle that needs one takes it back.
    pub segments_free: usize,
    /// Segments opened since the log was made, so how often memory went round.
    pub segments_opened: u64,
    /// Records that have left memory and may live.
    pub records_beyond: u64,
    /// Records that have left memory and could not be read when they were asked for, since the log was made.
    pub records_unread: u64,
}

impl PlacementLog {
    /// Maps the arena, faults it in and makes an empty log. Takes as long as the
    /// kernel needs to clear it: tenths of a second a GiB, more on a machine that must first find the memory.
    ///
    /// # Errors
    /// [`LogError`]: a value of the configuration is out of bounds, or the system refuses the memory.
    pub fn create(config: LogConfig) -> Result<Arc<Self>, LogError> {
        Self::make(&config, None)
    }

    /// As [`create`](Self::create), a log from which records may leave memory while they live; see
    /// [`evict`](Self::evict). Besides the arena it maps the memory that `beyond` says.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_beyond(config: LogConfig, beyond: &BeyondConfig) -> Result<Arc<Self>, LogError> {
        Self::make(&config, Some(beyond))
    }

    fn make(config: &LogConfig, beyond: Option<&BeyondConfig>) -> Result<Arc<Self>, LogError> {
        let geometry = Geometry::new(config, beyond.map_or(0, |beyond| beyond.bytes))?;
        let arena_bytes = geometry.arena_bytes;
        let no_memory = |os_error| LogError::Map { arena_bytes, os_error };
        let index = Index::map(geometry.bucket_count, NumberHash::keyed(&config.hash_key));
        let pins = Pins::new(geometry.handles_max + 1);
        let beyond = beyond.map(|beyond| Beyond::map(&geometry, beyond)).transpose().map_err(no_memory)?;
        Ok(Arc::new(Self {
            beyond,
            arena: Arena::map(arena_bytes).map_err(no_memory)?,
            index: index.map_err(no_memory)?,
            expires_latest: Padded(AtomicU64::new(0)),
            segments: Segments::new(geometry.segment_count, geometry.generation_max()),
            pins,
            drain_turn: Mutex::new(()),
            geometry,
        }))
    }

    /// A handle for one thread, to append and to walk. Dropping it seals its segment.
    ///
    /// # Errors
    /// [`LogError::HandlesTaken`] if `handles_max` of them exist.
    pub fn handle(self: &Arc<Self>) -> Result<LogHandle, LogError> {
        let handles_max = self.geometry.handles_max;
        let slot = self.pins.take_slot(handles_max).ok_or(LogError::HandlesTaken { handles_max })?;
        Ok(LogHandle::new(Arc::clone(self), slot))
    }

    /// How full it is. O(1).
    pub fn stats(&self) -> LogStats {
        LogStats {
            arena_bytes: self.geometry.arena_bytes,
            segments_total: self.segments.count(),
            segments_free: self.segments.free_count(),
            segments_opened: self.segments.opened_count(),
            records_beyond: self.beyond.as_ref().map_or(0, Beyond::stub_count),
            records_unread: self.records_unread(),
        }
    }

    /// Segments opened since the log was made. One load.
    pub fn segments_opened(&self) -> u64 {
        self.segments.opened_count()
    }

    /// Segments that are not in use. A segment counts as in use until it is taken back.
    pub fn segments_free(&self) -> usize {
        self.segments.free_count()
    }

    /// Whether a handle that needs another segment at `now` finds one, but for a reader that stalls: one is free, or all in
    /// one has expired. It takes none. O(segments), but all of them only if nearly all are in use.
    pub fn has_segment(&self, now: Timestamp) -> bool {
        (0..self.segments.count()).any(|index| self.segments.is_to_be_had(index, now))
    }

    /// Records that have left memory and could not be read when they were asked for, since the log was made. One load.
    pub fn records_unread(&self) -> u64 {
        self.beyond.as_ref().map_or(0, Beyond::unread_count)
    }

    /// Whether records may leave memory while they live.
    pub const fn goes_beyond(&self) -> bool {
        self.beyond.is_some()
    }

    /// Whether any record has left memory that may live: if a walk has met one, then yes. One load.
    pub fn has_beyond(&self) -> bool {
        self.beyond.as_ref().is_some_and(|beyond| beyond.stub_count() > 0)
    }

    /// Segments in all.
    pub fn segments_total(&self) -> usize {
        self.segments.count()
    }

    /// The expiry of a record that was to expire at `expires_at`: not before that of any record published earlier.
    ///
    /// Ask after loading the bucket with `Acquire` and before publishing with `Release`: then whoever published
    /// what the bucket holds had asked before, and the answer is no less than theirs.
    #[inline]
    pub(crate) fn expiry(&self, expires_at: Timestamp) -> Timestamp {
        if !expiry_is_raised() {
            return expires_at;
        }
        let wanted = expires_at.as_millis();
        // Relaxed, both: one word never goes back for a thread, and the bucket carries the order between threads.
        let latest = self.expires_latest.0.load(Ordering::Relaxed);
        // Shared by all writers, so written only when it changes: once a millisecond or so.
        if latest < wanted {
            self.expires_latest.0.fetch_max(wanted, Ordering::Relaxed);
        }
        Timestamp::from_millis(latest.max(wanted))
    }
}
