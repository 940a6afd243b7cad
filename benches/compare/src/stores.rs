//! What is measured: the log, the service over it, a memory copy and a concurrent map, each through the calls
//! its users make. Knows nothing of threads or time.

use std::hint::black_box;
use std::sync::Arc;

use dashmap::DashMap;
use herald_core::limits::RECORDS_PER_NUMBER_MAX;
use herald_core::{
    CoverSchedule, CoverSecret, NewPlacement, PlacementId, PlacementStore, Retention, Service,
    TelephoneNumber, Timestamp, X25519Suite,
};
use herald_log::LogHandle;

use crate::workload::{RETENTION_MS, Repeatable};

/// A placement to be stored.
pub(crate) struct Placement<'a> {
    pub(crate) index: u64,
    pub(crate) number: TelephoneNumber,
    pub(crate) body: &'a [u8],
}

/// One thread's way to store.
pub(crate) trait Storing: Send {
    /// Whether it was kept.
    fn store(&mut self, placement: &Placement<'_>, now: Timestamp) -> bool;
}

/// One thread's way to retrieve.
pub(crate) trait Retrieving: Send {
    /// Shows every live body of a number, and says how many there were.
    fn retrieve(&mut self, number: TelephoneNumber, now: Timestamp, show: &mut dyn FnMut(&[u8])) -> usize;
}

impl Storing for LogHandle {
    #[inline]
    fn store(&mut self, placement: &Placement<'_>, now: Timestamp) -> bool {
        let placement = NewPlacement {
            number: placement.number,
            id: id(placement.index),
            expires_at: now.plus_millis(RETENTION_MS),
            body: placement.body,
        };
        self.append(&placement, RECORDS_PER_NUMBER_MAX, now).is_ok()
    }
}

impl Retrieving for LogHandle {
    #[inline]
    fn retrieve(&mut self, number: TelephoneNumber, now: Timestamp, show: &mut dyn FnMut(&[u8])) -> usize {
        let mut count = 0;
        self.for_each_live(number, now, &mut |item| {
            show(item.body);
            count += 1;
        });
        count
    }
}

/// The service of one thread over its handle: what the engine calls for each request.
pub(crate) struct Served {
    service: Service,
    log: LogHandle,
}

impl Served {
    /// A service whose ids are drawn from `seed`; the cover is the same for all.
    pub(crate) fn new(log: LogHandle, seed: u64, begin: Timestamp) -> Self {
        let retention = Retention::from_millis(RETENTION_MS).expect("the default retention");
        let secret = CoverSecret::generate(&Repeatable(0), retention, begin);
        let cover = CoverSchedule::new(secret, retention, Box::new(X25519Suite));
        Self { service: Service::new(cover, &Repeatable(seed)), log }
    }
}

impl Storing for Served {
    #[inline]
    fn store(&mut self, placement: &Placement<'_>, now: Timestamp) -> bool {
        let id = self.service.store(&mut self.log, placement.number, placement.body, now);
        black_box(id).is_ok()
    }
}

impl Retrieving for Served {
    #[inline]
    fn retrieve(&mut self, number: TelephoneNumber, now: Timestamp, show: &mut dyn FnMut(&[u8])) -> usize {
        let items = self.service.retrieve(&mut self.log, number, now);
        items.iter().for_each(|item| show(&item.body));
        items.len()
    }
}

/// One thread's share of an arena that records are copied into and never found in: the ceiling of any store.
pub(crate) struct Copying<'a> {
    arena: &'a mut [u8],
    header_bytes: usize,
    used_bytes: usize,
}

impl<'a> Copying<'a> {
    /// Copies a header of `header_bytes` before each body.
    pub(crate) fn new(arena: &'a mut [u8], header_bytes: usize) -> Self {
        Self { arena, header_bytes, used_bytes: 0 }
    }
}

impl Storing for Copying<'_> {
    #[inline]
    fn store(&mut self, placement: &Placement<'_>, _: Timestamp) -> bool {
        const HEADER: [u8; 64] = [7; 64];
        let length = self.header_bytes + placement.body.len();
        if self.used_bytes + length > self.arena.len() {
            self.used_bytes = 0;
        }
        let record = &mut self.arena[self.used_bytes..][..length];
        let (header, body) = record.split_at_mut(self.header_bytes);
        header.copy_from_slice(&HEADER[..self.header_bytes]);
        body.copy_from_slice(placement.body);
        black_box(record);
        self.used_bytes += length;
        true
    }
}

/// One thread's reads of an arena in an order that each read decides for the next: what a step from record to
/// record costs at least.
pub(crate) struct Chasing<'a> {
    arena: &'a [u8],
    position: usize,
}

impl<'a> Chasing<'a> {
    pub(crate) fn new(arena: &'a [u8], seed: usize) -> Self {
        Self { arena, position: seed }
    }

    /// Reads one byte somewhere, and only then knows where the next is.
    #[inline]
    pub(crate) fn step(&mut self) {
        let mixed = self
            .position
            .wrapping_add(usize::from(self.arena[self.position % self.arena.len()]) + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // The high bits of a product are the well-mixed ones.
        self.position = mixed ^ (mixed >> 29);
    }
}

/// The same queues in a concurrent map: what one would write without the log.
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
}

impl Storing for Mapped {
    #[inline]
    fn store(&mut self, placement: &Placement<'_>, now: Timestamp) -> bool {
        let mut queue = self.0.entry(placement.number.to_bits()).or_default();
        queue.retain(|item| item.expires_at > now);
        if u32::try_from(queue.len()).is_ok_and(|count| count >= RECORDS_PER_NUMBER_MAX) {
            return false;
        }
        let (id, expires_at) = (id(placement.index), now.plus_millis(RETENTION_MS));
        queue.push(MappedItem { expires_at, id, body: placement.body.into() });
        true
    }
}

impl Retrieving for Mapped {
    #[inline]
    fn retrieve(&mut self, number: TelephoneNumber, now: Timestamp, show: &mut dyn FnMut(&[u8])) -> usize {
        let Some(queue) = self.0.get(&number.to_bits()) else { return 0 };
        let live = queue.iter().filter(|item| item.expires_at > now);
        live.map(|item| show(&item.body)).count()
    }
}

/// An id for a store that is handed one; drawing it is the service's work.
#[inline]
fn id(index: u64) -> PlacementId {
    PlacementId::from_bytes(u128::from(index).to_le_bytes())
}
