//! A journal in memory: what a log lets leave its own memory is read from here.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use herald_core::Timestamp;
use herald_log::{DrainCursor, Keeper, KeptPlace, Origin, PlacementLog, records};

use crate::history::Recorder;

/// Whether records leave a log's memory before they expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// They stay.
    Never,
    /// All leave as soon as they may, all the time.
    Always,
    /// As [`Always`](Self::Always), and every sixteenth body cannot be read again.
    Forgetting,
}

/// Placements are no longer needed so long after they expired, whatever the clock of a walk.
const GRACE_MS: u64 = 1_000;

/// What has been drained and may live, by segment, with the moment when all of it has expired.
pub(crate) struct Kept {
    segments: Mutex<HashMap<u64, (Vec<u8>, Timestamp)>>,
    forgets: bool,
    reads: AtomicU64,
}

impl Kept {
    pub(crate) fn new(leaving: Leaving) -> Self {
        let forgets = leaving == Leaving::Forgetting;
        Self { segments: Mutex::default(), forgets, reads: AtomicU64::new(0) }
    }

    /// How many bodies were asked for.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Copies what is published and lets it leave, again and again until `is_over`.
    pub(crate) fn make_leave(&self, log: &PlacementLog, recorder: &Recorder, is_over: &AtomicBool) {
        let mut cursor = DrainCursor::default();
        while !is_over.load(Ordering::Relaxed) {
            let now = Timestamp::from_millis(recorder.now_ms());
            self.drain(log, &mut cursor, now);
            log.evict(&cursor, log.segments_total(), now);
            thread::yield_now();
        }
    }

    fn drain(&self, log: &PlacementLog, cursor: &mut DrainCursor, now: Timestamp) {
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        segments.retain(|_, (_, expires_max)| expires_max.plus_millis(GRACE_MS) > now);
        let _ = log.drain(cursor, &mut |range| {
            let (bytes, expires_max) = segments.entry(range.segment).or_default();
            let offset = usize::try_from(range.offset).expect("within a segment");
            // What has expired since an earlier drain may be gone.
            bytes.resize(offset, 0);
            bytes.extend_from_slice(range.bytes);
            *expires_max = range.expires_max;
            ControlFlow::Continue(())
        });
    }
}

impl Keeper for Kept {
    fn read(&self, place: &KeptPlace, visit: &mut dyn FnMut(&[u8])) -> bool {
        let read = self.reads.fetch_add(1, Ordering::Relaxed);
        let (Origin::Segment(segment), false) = (place.origin, self.forgets && read % 16 == 15) else {
            return false;
        };
        let segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = usize::try_from(place.offset).expect("within a segment");
        let record = segments.get(&segment).and_then(|(bytes, _)| records(bytes.get(offset..)?).next()?.ok());
        let body = record.filter(|record| record.id == place.id).map(|record| record.body.to_vec());
        drop(segments);
        body.map(|body| visit(&body)).is_some()
    }
}
