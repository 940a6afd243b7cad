//! The placement log: for each called number a queue of placements, in memory, without locks.
//!
//! # A guided tour
//! 1. [`PlacementLog::create`] maps one arena, faults it in and cuts it into segments.
//! 2. Each thread takes a [`LogHandle`]. Its [`append`](herald_core::PlacementStore::append) copies the record
//!    into the handle's own open segment and publishes it with one compare-and-swap at the head of the chain
//!    of the number's bucket; [`for_each_live`](herald_core::PlacementStore::for_each_live) walks that chain,
//!    newest first, up to the first record that has expired. Batches of either fetch the memory they will need
//!    for all their parts at once.
//! 3. A segment whose last record has expired is taken back by whichever handle next needs one, as soon as no
//!    thread that might be reading it is left.
//! 4. [`PlacementLog::drain`] lends the journal every published byte once, and [`records`] reads such bytes
//!    back after a restart.
//!
//! 5. A log made with [`create_beyond`](PlacementLog::create_beyond) may hold more than its memory:
//!    [`evict`](PlacementLog::evict) lets the oldest segments that a drain has seen leave early. Their headers stay,
//!    so chains lead through them as before; their bodies are read by the [`Keeper`] when they are asked for.
//!
//! # What must stay true
//! - **An address means one record for ever.** It holds the generation of its segment, which goes up when the
//!   segment is taken back; so an old address is recognised, not followed.
//! - **Along a chain, from new to old, expiry never rises.** Whoever publishes a record raises its expiry to the
//!   latest that any record was given before. So when a record has expired, or its segment is gone, all behind
//!   it have expired too, and a walk may stop. One thread with a clock that never steps back never needs the
//!   raise; two threads that read the clock in one order and publish in the other gain the younger record the
//!   milliseconds between the two readings. A record that is to live much longer than the others would keep all
//!   that follow: give each retention a log of its own.
//! - **The bound in a bucket's word is never below the number of its live records.** While it is below what a
//!   number may hold, an append looks at nothing but that word; otherwise it counts, and corrects the bound.
//! - **Nobody reads a segment that is being written again.** See the module `pins` of the source.
//! - **Memory is fixed at creation.** A reader that stalls delays reuse, so that appends are refused with
//!   [`Refusal::StoreFull`](herald_core::Refusal::StoreFull); it never makes memory grow.
//!
//! This crate does not know HTTP, disks, clocks (every call is given the time), how long placements live (each
//! brings its expiry) or what their bytes mean. It allocates, locks and enters the kernel when a log or a
//! handle is made, in `drain` and `evict`, never in a walk, and in an append only to pass a barrier for all readers, at
//! most once for each segment that is opened (the module `barrier` of the source). The exception is a log that goes
//! beyond its memory: a walk that meets a record which has left notes it and what is behind it in a vector, and when it
//! has let go of its pin calls the keeper, which may lock and wait for a disk.
//!
//! ```
//! use herald_core::{NewPlacement, PlacementId, PlacementStore, Timestamp};
//! use herald_log::{LogConfig, PlacementLog};
//!
//! let log = PlacementLog::create(LogConfig {
//!     arena_bytes: 1 << 20,
//!     segment_bytes: 1 << 15,
//!     hash_key: [7; 32], // random, in earnest
//!     handles_max: 2,
//! })?;
//! let mut handle = log.handle()?;
//! let now = Timestamp::from_millis(1_000);
//! let number = "+1 222 555 2222".parse()?;
//! let placement = NewPlacement {
//!     number,
//!     id: PlacementId::from_bytes([9; 16]),
//!     expires_at: now.plus_millis(60_000),
//!     body: b"sealed",
//! };
//! handle.append(&placement, 16, now).expect("the log is empty");
//! let mut seen = 0;
//! handle.for_each_live(number, now, &mut |item| seen += item.body.len());
//! assert_eq!(seen, 6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod append;
mod arena;
mod barrier;
mod beyond;
mod chain;
mod config;
mod drain;
mod evict;
mod full;
mod handle;
mod hash;
mod index;
pub mod limits;
mod log;
mod pins;
mod record;
mod segments;
mod sync;
mod twin;

pub use beyond::{BeyondConfig, BeyondRecord, Keeper, KeptPlace, Origin};
pub use config::{LogConfig, LogError};
pub use drain::{DrainCursor, LogRange};
pub use handle::LogHandle;
pub use log::{LogStats, PlacementLog};
pub use record::{RecordError, RecordRef, Records, records};
#[cfg(any(loom, shuttle, tsan))]
pub use sync::{Weakening, weakened};
pub use twin::PlainStore;

const _: () = assert!(usize::BITS == 64, "addresses and sizes of the log are 64-bit words");
