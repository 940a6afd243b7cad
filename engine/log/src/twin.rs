//! The plain twin of the log: the same store with a mutex and a map. Tests compare the two; knows nothing of
//! segments, addresses or drains.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use herald_core::{
    NewPlacement, PlacementId, PlacementRef, PlacementStore, Refusal, TelephoneNumber, Timestamp,
};
use parking_lot::Mutex;

use crate::record::record_bytes;

/// A store of placements behind one mutex, with the behaviour of the log and a bound of bytes. A clone is
/// another handle of the same store.
///
/// It answers as the log does to the same calls from one thread, but for memory: the log's bound is counted in
/// whole segments, this one's in records.
#[derive(Clone)]
pub struct PlainStore(Arc<Mutex<Queues>>);

#[derive(Default)]
struct Queues {
    bytes_max: usize,
    bytes: usize,
    /// The latest expiry any item was given. None gets an earlier one.
    expires_latest: Timestamp,
    by_number: HashMap<TelephoneNumber, VecDeque<Item>>,
}

struct Item {
    id: PlacementId,
    expires_at: Timestamp,
    body: Box<[u8]>,
}

impl PlainStore {
    /// An empty store of at most `bytes_max` bytes, counted as the log lays records out.
    pub fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Mutex::new(Queues { bytes_max, ..Queues::default() })))
    }
}

impl Queues {
    fn drop_expired(&mut self, now: Timestamp) {
        let bytes = &mut self.bytes;
        self.by_number.retain(|_, queue| {
            queue.retain(|item| {
                let keep = item.expires_at > now;
                *bytes -= if keep { 0 } else { record_bytes(item.body.len()) };
                keep
            });
            !queue.is_empty()
        });
    }
}

impl PlacementStore for PlainStore {
    fn append(
        &mut self,
        placement: &NewPlacement<'_>,
        records_max: u32,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let mut queues = self.0.lock();
        let queues = &mut *queues;
        let length = record_bytes(placement.body.len());
        if queues.bytes + length > queues.bytes_max {
            queues.drop_expired(now);
        }
        if queues.bytes + length > queues.bytes_max {
            return Err(Refusal::StoreFull);
        }
        let queue = queues.by_number.entry(placement.number).or_default();
        let live_count = queue.iter().filter(|item| item.expires_at > now).count();
        if u32::try_from(live_count).is_ok_and(|count| count < records_max) {
            queues.expires_latest = queues.expires_latest.max(placement.expires_at);
            let (id, expires_at, body) = (placement.id, queues.expires_latest, placement.body.into());
            queue.push_back(Item { id, expires_at, body });
            queues.bytes += length;
            return Ok(());
        }
        Err(Refusal::NumberFull)
    }

    fn for_each_live(
        &mut self,
        number: TelephoneNumber,
        now: Timestamp,
        visit: &mut dyn FnMut(PlacementRef<'_>),
    ) {
        let queues = self.0.lock();
        let queue = queues.by_number.get(&number).into_iter().flatten().rev();
        for item in queue.filter(|item| item.expires_at > now) {
            visit(PlacementRef { id: item.id, expires_at: item.expires_at, body: &item.body });
        }
    }
}
