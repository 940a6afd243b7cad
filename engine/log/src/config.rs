//! What a log is made from, checked, and the sizes that follow from it. Maps nothing.

use core::fmt;

use crate::limits;

/// What a [`PlacementLog`](crate::PlacementLog) is made from.
#[derive(Clone)]
pub struct LogConfig {
    /// Bytes of memory for placements: a multiple of `segment_bytes`, at least
    /// [`limits::SEGMENTS_PER_HANDLE_MIN`] segments a handle, at most [`limits::ARENA_BYTES_MAX`]. What is left of it
    /// behind the last whole segment, or behind as many as addresses tell apart, is not mapped. The index takes 4.5 % more.
    pub arena_bytes: usize,
    /// The most bytes a segment may have, the unit of reclamation: a power of two, [`limits::SEGMENT_BYTES_MIN`] ..=
    /// [`limits::SEGMENT_BYTES_MAX`]. It has as many of them as records of [`limits::RECORD_BYTES_COMMON`] fill.
    pub segment_bytes: usize,
    /// Secret random bytes that decide which numbers share a bucket. The first 16 are the key.
    pub hash_key: [u8; 32],
    /// Handles that may exist at once: 1 to [`limits::HANDLES_MAX`].
    pub handles_max: usize,
}

impl fmt::Debug for LogConfig {
    /// Leaves the key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogConfig")
            .field("arena_bytes", &self.arena_bytes)
            .field("segment_bytes", &self.segment_bytes)
            .field("handles_max", &self.handles_max)
            .finish_non_exhaustive()
    }
}

/// Why a log or a handle cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogError {
    /// The number of handles is out of bounds.
    Handles {
        /// The number asked for.
        handles_max: usize,
    },
    /// The size of a segment is out of bounds or not a power of two.
    Segment {
        /// The size asked for.
        segment_bytes: usize,
    },
    /// The arena is not whole segments, too small for the handles, or too large.
    Arena {
        /// The size asked for.
        arena_bytes: usize,
        /// The least it may be with the segments and handles asked for.
        arena_bytes_min: usize,
    },
    /// More is to live beyond memory than may.
    Beyond {
        /// The size asked for.
        beyond_bytes: usize,
    },
    /// The operating system does not give the memory.
    Map {
        /// The size asked for.
        arena_bytes: usize,
        /// Its error number.
        os_error: i32,
    },
    /// Every handle is in use.
    HandlesTaken {
        /// How many there are.
        handles_max: usize,
    },
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Handles { handles_max } => {
                write!(f, "a log of {handles_max} handles; give 1 to {}", limits::HANDLES_MAX)
            }
            Self::Segment { segment_bytes } => write!(
                f,
                "segments of {segment_bytes} bytes; give a power of two from {} to {}",
                limits::SEGMENT_BYTES_MIN,
                limits::SEGMENT_BYTES_MAX
            ),
            Self::Arena { arena_bytes, arena_bytes_min } => write!(
                f,
                "an arena of {arena_bytes} bytes; give whole segments, {arena_bytes_min} to {} bytes",
                limits::ARENA_BYTES_MAX
            ),
            Self::Beyond { beyond_bytes } => write!(
                f,
                "{beyond_bytes} bytes of records beyond memory; give at most {}",
                limits::ARENA_BYTES_MAX
            ),
            Self::Map { arena_bytes, os_error } => write!(
                f,
                "no memory for an arena of {arena_bytes} bytes ({}); give it less or raise the limit",
                std::io::Error::from_raw_os_error(os_error)
            ),
            Self::HandlesTaken { handles_max } => {
                write!(f, "all {handles_max} handles of the log are in use; drop one or make it with more")
            }
        }
    }
}

impl core::error::Error for LogError {}

/// The sizes of a log whose configuration has been checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    /// What is mapped: segments side by side and nothing else.
    pub(crate) arena_bytes: usize,
    /// Bytes that the records of a segment may take, and from its start to that of the next.
    pub(crate) segment_room_bytes: usize,
    pub(crate) segment_count: usize,
    pub(crate) bucket_count: usize,
    pub(crate) handles_max: usize,
    /// Bits of an address that tell the lines of a segment apart: of `LogConfig::segment_bytes`, so of more than it has.
    line_bits: u32,
    /// Bits of an address below its generation.
    place_bits: u32,
    /// What an address has of its line, for walks, which take one apart at every step.
    line_mask: u64,
    /// What it has of its segment, behind that.
    segment_mask: u64,
}

/// The unit in which loom watches the arena, in bytes.
#[cfg(loom)]
pub(crate) const WORD_BYTES: usize = 8;
/// Records begin at multiples of this, in bytes: a line of the processors' caches. So a header is one line, no two
/// records share one, and an address needs three bits less. A header and a body of any sealed size leave 16 bytes.
pub(crate) const LINE_BYTES: usize = 64;
/// Bits of an address: it shares a bucket's word with a bound of how many records live there.
pub(crate) const ADDRESS_BITS: u32 = 56;

impl Geometry {
    /// `beyond_bytes` of records may live besides those in the arena.
    pub(crate) fn new(config: &LogConfig, beyond_bytes: usize) -> Result<Self, LogError> {
        let &LogConfig { arena_bytes, segment_bytes, handles_max, .. } = config;
        if !(1..=limits::HANDLES_MAX).contains(&handles_max) {
            return Err(LogError::Handles { handles_max });
        }
        let segment_bounds = limits::SEGMENT_BYTES_MIN..=limits::SEGMENT_BYTES_MAX;
        if !segment_bytes.is_power_of_two() || !segment_bounds.contains(&segment_bytes) {
            return Err(LogError::Segment { segment_bytes });
        }
        let arena_bytes_min = segment_bytes * limits::SEGMENTS_PER_HANDLE_MIN * handles_max;
        let arena_bounds = arena_bytes_min..=limits::ARENA_BYTES_MAX;
        if !arena_bytes.is_multiple_of(segment_bytes) || !arena_bounds.contains(&arena_bytes) {
            return Err(LogError::Arena { arena_bytes, arena_bytes_min });
        }
        if beyond_bytes > limits::ARENA_BYTES_MAX {
            return Err(LogError::Beyond { beyond_bytes });
        }
        let segment_room_bytes = segment_room_bytes(segment_bytes);
        // No more than the largest arena would have of whole powers of two: its addresses keep their generations.
        let segment_count = (arena_bytes / segment_room_bytes).min(limits::ARENA_BYTES_MAX / segment_bytes);
        let arena_bytes = segment_count * segment_room_bytes;
        let buckets = (arena_bytes + beyond_bytes) / limits::ARENA_BYTES_PER_BUCKET;
        let line_bits = (segment_bytes / LINE_BYTES).ilog2();
        let segment_bits = segment_count.next_power_of_two().ilog2();
        Ok(Self {
            arena_bytes,
            segment_room_bytes,
            segment_count,
            bucket_count: buckets.max(1),
            handles_max,
            line_bits,
            place_bits: line_bits + segment_bits,
            line_mask: (1 << line_bits) - 1,
            segment_mask: (1 << segment_bits) - 1,
        })
    }

    /// The last generation a segment may have; then its addresses are used up.
    pub(crate) const fn generation_max(&self) -> u64 {
        // A segment's state word has room for more.
        u64::MAX >> (u64::BITS - ADDRESS_BITS + self.place_bits)
    }

    /// Lines of a segment that addresses tell apart, at least as many as it has.
    pub(crate) const fn segment_lines_max(&self) -> usize {
        1 << self.line_bits
    }

    /// The address of a record. Offsets are in bytes, multiples of [`LINE_BYTES`].
    #[inline]
    pub(crate) fn address(&self, place: Place) -> u64 {
        (place.generation << self.place_bits)
            | (wide(place.segment_index) << self.line_bits)
            | wide(place.offset / LINE_BYTES)
    }

    /// Where the record of `address` is, or was.
    #[inline]
    pub(crate) fn place(&self, address: u64) -> Place {
        Place {
            generation: address >> self.place_bits,
            segment_index: narrow((address >> self.line_bits) & self.segment_mask),
            offset: narrow(address & self.line_mask) * LINE_BYTES,
        }
    }

    /// The offset in the arena, in bytes, of a place.
    #[inline]
    pub(crate) const fn arena_offset(&self, segment_index: usize, offset: usize) -> usize {
        segment_index * self.segment_room_bytes + offset
    }
}

/// The bytes that records may take of a segment of at most `segment_bytes`: as many whole ones of the common size as
/// fit, which then leave no tail. All of them if the largest record would not fit otherwise.
fn segment_room_bytes(segment_bytes: usize) -> usize {
    let whole = segment_bytes - segment_bytes % limits::RECORD_BYTES_COMMON;
    if whole < limits::RECORD_BYTES_MAX { segment_bytes } else { whole }
}

/// A place in the arena at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// How often the segment had been taken into use, this time included: at least 1, so no address is 0.
    pub(crate) generation: u64,
    /// Which segment.
    pub(crate) segment_index: usize,
    /// Bytes from the segment's start: whole lines.
    pub(crate) offset: usize,
}

/// A size as a 64-bit word.
#[inline]
pub(crate) fn wide(size: usize) -> u64 {
    u64::try_from(size).expect("usize has 64 bits, asserted in lib.rs")
}

/// A 64-bit word as a size.
#[inline]
pub(crate) fn narrow(word: u64) -> usize {
    usize::try_from(word).expect("usize has 64 bits, asserted in lib.rs")
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn geometry(arena_bytes: usize, segment_bytes: usize) -> Geometry {
        let config = LogConfig { arena_bytes, segment_bytes, hash_key: [0; 32], handles_max: 1 };
        Geometry::new(&config, 0).expect("a valid configuration")
    }

    #[test]
    fn every_place_has_an_address_of_its_own_that_leads_back() {
        for (arena_bytes, segment_bytes) in
            [(1 << 18, 1 << 14), (17 << 14, 1 << 14), (1 << 23, 1 << 14), (1 << 40, 1 << 20)]
        {
            let geometry = geometry(arena_bytes, segment_bytes);
            let (room_bytes, last) = (geometry.segment_room_bytes, geometry.segment_count - 1);
            assert!(geometry.generation_max() >= (1 << 22) - 1, "as limits.rs says");
            assert!(geometry.arena_offset(last, room_bytes) == geometry.arena_bytes);
            assert!(geometry.arena_bytes <= arena_bytes && room_bytes <= segment_bytes);
            for generation in [1, 2, geometry.generation_max()] {
                for segment_index in [0, 1, last] {
                    let last_named = geometry.segment_lines_max() * LINE_BYTES - LINE_BYTES;
                    for offset in [0, LINE_BYTES, room_bytes - LINE_BYTES, last_named] {
                        let place = Place { generation, segment_index, offset };
                        let address = geometry.address(place);
                        assert_ne!(address, 0);
                        assert_eq!(address >> ADDRESS_BITS, 0);
                        assert_eq!(geometry.place(address), place);
                    }
                }
            }
        }
    }

    #[test]
    fn a_segment_has_room_for_whole_common_records_unless_the_largest_would_not_fit() {
        for (segment_bytes, room_bytes) in
            [(1 << 20, 1489 * 704), (1 << 14, 23 * 704), (1 << 13, 1 << 13), (64, 64)]
        {
            assert_eq!(segment_room_bytes(segment_bytes), room_bytes, "{segment_bytes}");
        }
    }
}
