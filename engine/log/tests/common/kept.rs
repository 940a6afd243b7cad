//! A journal in memory, from which a log reads what has left it.

use std::collections::HashMap;
use std::ops::ControlFlow;

use herald_log::{DrainCursor, Keeper, KeptPlace, Origin, PlacementLog, records};
use parking_lot::Mutex;

/// A journal in memory.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) segments: Mutex<HashMap<u64, Vec<u8>>>,
    pub(crate) restored: Mutex<HashMap<(u32, u64), Vec<u8>>>,
    pub(crate) reads: Mutex<u64>,
}

impl Keeper for Kept {
    fn read(&self, place: &KeptPlace, visit: &mut dyn FnMut(&[u8])) -> bool {
        *self.reads.lock() += 1;
        match place.origin {
            Origin::Segment(segment) => {
                let segments = self.segments.lock();
                let Some(bytes) = segments.get(&segment) else { return false };
                let offset = usize::try_from(place.offset).expect("small");
                let record = records(&bytes[offset..]).next().expect("a record").expect("a sound one");
                assert_eq!((record.id, record.expires_at), (place.id, place.expires_at));
                visit(record.body);
            }
            Origin::Restored(origin) => visit(&self.restored.lock()[&(origin, place.offset)]),
        }
        true
    }
}

impl Kept {
    /// Copies what `log` has published since the last time.
    pub(crate) fn drain(&self, log: &PlacementLog, cursor: &mut DrainCursor) {
        let mut segments = self.segments.lock();
        let _ = log.drain(cursor, &mut |range| {
            let kept = segments.entry(range.segment).or_default();
            assert_eq!(kept.len() as u64, range.offset);
            kept.extend_from_slice(range.bytes);
            ControlFlow::Continue(())
        });
    }
}
