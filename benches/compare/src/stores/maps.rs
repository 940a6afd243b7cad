//! Peers in the same process: a concurrent map of queues, and a cache with expiry.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use herald_core::limits::RECORDS_PER_NUMBER_MAX;
use herald_core::{PlacementId, TelephoneNumber, Timestamp};
use moka::sync::Cache;

use super::{Placement, Retrieving, Storing, id};
use crate::failure::Failure;
use crate::workload::RETENTION_MS;

/// The log's queues in a concurrent map: what one would write without the log.
#[derive(Clone, Default)]
pub(crate) struct Mapped(Arc<DashMap<u64, Vec<MappedItem>>>);

struct MappedItem {
    expires_at: Timestamp,
    #[expect(dead_code, reason = "a store keeps it; no retrieve by id is measured")]
    id: PlacementId,
    body: Box<[u8]>,
}

impl Mapped {
    /// Drops what has expired everywhere. Numbers that are not called again keep theirs otherwise.
    pub(crate) fn sweep(&self, now: Timestamp) {
        self.0.retain(|_, queue| {
            queue.retain(|item| item.expires_at > now);
            !queue.is_empty()
        });
    }

    fn store_one(&self, placement: &Placement<'_>, now: Timestamp) -> bool {
        let mut queue = self.0.entry(placement.number.to_bits()).or_default();
        // The oldest are in front, so nothing is looked at twice.
        let expired = queue.iter().take_while(|item| item.expires_at <= now).count();
        queue.drain(..expired);
        if u32::try_from(queue.len()).is_ok_and(|count| count >= RECORDS_PER_NUMBER_MAX) {
            return false;
        }
        let (id, expires_at) = (id(placement.index), now.plus_millis(RETENTION_MS));
        queue.push(MappedItem { expires_at, id, body: placement.body.into() });
        true
    }
}

impl Storing for Mapped {
    #[inline]
    fn store(&mut self, placements: &[Placement<'_>], now: Timestamp) -> Result<usize, Failure> {
        Ok(placements.iter().filter(|placement| self.store_one(placement, now)).count())
    }
}

impl Retrieving for Mapped {
    #[inline]
    fn retrieve(
        &mut self,
        numbers: &[TelephoneNumber],
        now: Timestamp,
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, Failure> {
        let mut found = 0;
        for number in numbers {
            let Some(queue) = self.0.get(&number.to_bits()) else { continue };
            let live = queue.iter().filter(|item| item.expires_at > now);
            found += usize::from(live.map(|item| show(&item.body)).count() > 0);
        }
        Ok(found)
    }
}

/// A cache whose entries expire by its own clock. It keeps one placement of a number, the last.
#[derive(Clone)]
pub(crate) struct Cached(Cache<u64, Arc<[u8]>>);

impl Cached {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().time_to_live(Duration::from_millis(RETENTION_MS)).build())
    }
}

impl Storing for Cached {
    #[inline]
    fn store(&mut self, placements: &[Placement<'_>], _: Timestamp) -> Result<usize, Failure> {
        for placement in placements {
            self.0.insert(placement.number.to_bits(), placement.body.into());
        }
        Ok(placements.len())
    }
}

impl Retrieving for Cached {
    #[inline]
    fn retrieve(
        &mut self,
        numbers: &[TelephoneNumber],
        _: Timestamp,
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, Failure> {
        let bodies = numbers.iter().filter_map(|number| self.0.get(&number.to_bits()));
        Ok(bodies.map(|body| show(&body)).count())
    }
}
