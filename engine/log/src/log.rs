//! The log itself: arena, index and segments in one value that all handles share. It neither appends nor walks;
//! handles do.

use std::sync::Arc;

use herald_core::TelephoneNumber;

use crate::arena::Arena;
use crate::config::{Geometry, LogConfig, LogError, narrow, wide};
use crate::handle::LogHandle;
use crate::pins::Pins;
use crate::segments::Segments;
use crate::siphash::{SipKey, hash_word};
use crate::sync::{AtomicU64, Mutex};

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
    key: SipKey,
    /// For each bucket the address of its newest record, 0 for none.
    buckets: Box<[AtomicU64]>,
}

/// How full a log is, at about the moment of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogStats {
    /// Bytes of memory for placements.
    pub arena_bytes: usize,
    /// Segments in all.
    pub segments_total: usize,
    /// Segments that are not in use. A segment counts as in use until a handle that needs one takes it back.
    pub segments_free: usize,
    /// Segments opened since the log was made, so how often memory went round.
    pub segments_opened: u64,
}

impl PlacementLog {
    /// Maps the arena, faults it in and makes an empty log. Takes as long as the
    /// kernel needs to clear it: tenths of a second a GiB, more on a machine that must first find the memory.
    ///
    /// # Errors
    /// [`LogError`]: a value of the configuration is out of bounds, or the system refuses the memory.
    pub fn create(config: LogConfig) -> Result<Arc<Self>, LogError> {
        let geometry = Geometry::new(&config)?;
        let arena_bytes = geometry.arena_bytes;
        let arena = Arena::map(arena_bytes).map_err(|os_error| LogError::Map { arena_bytes, os_error })?;
        let pins = Pins::new(geometry.handles_max + 1);
        Ok(Arc::new(Self {
            arena,
            segments: Segments::new(geometry.segment_count, geometry.generation_max()),
            pins,
            drain_turn: Mutex::new(()),
            key: SipKey::from_secret(&config.hash_key),
            buckets: (0..geometry.bucket_count).map(|_| AtomicU64::new(0)).collect(),
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

    /// How full it is. O(segments).
    pub fn stats(&self) -> LogStats {
        LogStats {
            arena_bytes: self.geometry.arena_bytes,
            segments_total: self.segments.count(),
            segments_free: self.segments.free_count(),
            segments_opened: self.segments.opened_count(),
        }
    }

    #[inline]
    pub(crate) fn bucket(&self, number: TelephoneNumber) -> &AtomicU64 {
        let mask = wide(self.buckets.len()) - 1;
        &self.buckets[narrow(hash_word(self.key, number.to_bits()) & mask)]
    }
}
