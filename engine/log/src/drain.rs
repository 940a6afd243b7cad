//! Lending the journal what has been published: each byte once for each cursor.
//!
//! Knows nothing of disks, and does not wait for anybody.
#![expect(
    unsafe_code,
    reason = "lends ranges of the arena; the pin and the published length prove them still"
)]

use core::ops::ControlFlow;

use herald_core::Timestamp;

use crate::config::{narrow, wide};
use crate::log::PlacementLog;
use crate::pins::Pin;
use crate::segments::Published;

/// How much a drain has seen: one entry per segment. A fresh cursor has seen nothing.
///
/// Going back to an older clone sees what came after it again, as far as it has not expired and been taken
/// back. What has left memory for the disk is not seen again.
#[derive(Clone, Debug, Default)]
pub struct DrainCursor {
    seen: Vec<Seen>,
    /// The segment to look at next: behind the one where the last drain was broken off.
    next_index: usize,
    /// How many segments had been opened when the first of the drains began that were broken off.
    opened_max: u64,
}

/// How much of which tenure of a segment has been seen.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    sequence: u64,
    bytes: u64,
}

/// Whole records, one after the other, as they lie in a segment. [`records`](crate::records) reads them.
#[derive(Clone, Copy, Debug)]
pub struct LogRange<'a> {
    /// The segment's place in the order in which this process opened segments: 1 or more, never reused by the
    /// process. Another process counts from 1 again.
    pub segment: u64,
    /// Where in the segment the range begins, in bytes.
    pub offset: u64,
    /// The records.
    pub bytes: &'a [u8],
    /// All of them have expired by then.
    pub expires_max: Timestamp,
}

impl DrainCursor {
    /// Whether it has seen this much of the segment that was opened as the `sequence`th.
    pub(crate) fn has_seen(&self, index: usize, sequence: u64, bytes: u64) -> bool {
        self.seen.get(index).is_some_and(|seen| seen.sequence == sequence && seen.bytes == bytes)
    }
}

impl PlacementLog {
    /// Lends `visit` every range that has been published and that `cursor` has not seen, at most one a segment,
    /// in no order of time.
    ///
    /// An append that returned before this was called is among them, unless it has expired and its segment was
    /// taken back. Restored placements are not. `Break` breaks the drain off, which this then returns; the range it
    /// answered counts as seen, and the next call goes on behind it. All calls up to the one that returns `Continue`
    /// together lend what was appended before the first of them, and nothing from a segment opened since: they end, however
    /// fast others append.
    /// While a visit lasts, segments given up meanwhile are not used again, so copy and return.
    ///
    /// O(segments); the first drain of a cursor allocates. Any thread; one drain waits for another to end, so
    /// `visit` must not drain the same log.
    pub fn drain(
        &self,
        cursor: &mut DrainCursor,
        visit: &mut dyn FnMut(LogRange<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let _turn = self.drain_turn.lock();
        cursor.seen.resize(self.segments.count(), Seen::default());
        let first_index = core::mem::take(&mut cursor.next_index);
        if first_index == 0 {
            cursor.opened_max = self.segments.opened_count();
        }
        for (index, seen) in cursor.seen.iter_mut().enumerate().skip(first_index) {
            let pin = self.pins.pin(self.geometry.handles_max);
            let Some(published) = self.segments.published(index, &pin) else { continue };
            let offset = if seen.sequence == published.sequence { seen.bytes } else { 0 };
            if offset == published.bytes || published.sequence > cursor.opened_max {
                continue;
            }
            let flow = self.lend(index, offset, published, &pin, visit);
            *seen = Seen { sequence: published.sequence, bytes: published.bytes };
            if flow.is_break() {
                cursor.next_index = index + 1;
                return flow;
            }
        }
        ControlFlow::Continue(())
    }

    fn lend(
        &self,
        index: usize,
        offset: u64,
        published: Published,
        _pin: &Pin<'_>,
        visit: &mut dyn FnMut(LogRange<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let start = self.geometry.arena_offset(index, narrow(offset));
        // SAFETY: `published` was taken under the pin from a segment in use, so nobody writes the segment from its
        // start before the pin is dropped, after this call; its owner writes only beyond the published length,
        // which is larger than `offset` and was acquired together with the bytes.
        let bytes = unsafe { self.arena.bytes(start, narrow(published.bytes - offset)) };
        debug_assert!(wide(bytes.len()) == published.bytes - offset);
        visit(LogRange {
            segment: published.sequence,
            offset,
            bytes: &bytes,
            expires_max: published.expires_max,
        })
    }
}
