//! What is measured: each store through the calls its users make. Knows nothing of threads or time.

mod ceilings;
mod log;
mod maps;
mod rocks;
mod servers;
#[cfg(target_arch = "x86_64")]
mod streaming;

use herald_core::{PlacementId, TelephoneNumber, Timestamp};

use crate::failure::Failure;

pub(crate) use ceilings::{Chasing, Copying, Indexing, Listed, Lists};
pub(crate) use log::{Batched, Served, ServedBatched, new_placement};
pub(crate) use maps::{Cached, Mapped};
pub(crate) use rocks::{Raw, Writes};
pub(crate) use servers::{Memcached, Redis};
#[cfg(target_arch = "x86_64")]
pub(crate) use streaming::Streaming;

/// A placement to be stored.
pub(crate) struct Placement<'a> {
    pub(crate) index: u64,
    pub(crate) number: TelephoneNumber,
    pub(crate) body: &'a [u8],
}

/// One thread's way to store.
pub(crate) trait Storing: Send {
    /// Stores them one after the other, or together if that is what the store is for. Returns how many were kept.
    fn store(&mut self, placements: &[Placement<'_>], now: Timestamp) -> Result<usize, Failure>;
}

/// One thread's way to retrieve.
pub(crate) trait Retrieving: Send {
    /// Shows every live body of each number. Returns how many numbers had one.
    fn retrieve(
        &mut self,
        numbers: &[TelephoneNumber],
        now: Timestamp,
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, Failure>;
}

/// An id for a store that is handed one; drawing it is the service's work.
#[inline]
fn id(index: u64) -> PlacementId {
    PlacementId::from_bytes(u128::from(index).to_le_bytes())
}
