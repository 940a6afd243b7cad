//! The placement log's persistence on RocksDB.
//!
//! A journal copies what the log has published, in contiguous ranges, into few, large, time-ordered values; one
//! column family holds the placements that expire in the same span of time and is dropped whole. It knows the
//! log and the disk; it does not know requests, cover or sockets. `docs/FORMAT.md` describes every byte.
//!
//! - [`BlockStore`] is the disk: `RocksStore` is the real one (feature `rocks`, on unless refused), tests bring
//!   one that fails on purpose.
//! - [`Journal`] turns the log into blocks, one pass at a time, without a thread or a clock of its own.
//! - `RocksKeeper` (same feature) reads single records back, for a log that lets them leave memory.
//! - `Vault` (same feature) keeps the issuer's keys and spent tokens in the same database.
//! - [`Commits`] tells appenders when their placement is as durable as promised.
//! - [`JournalThread`] drives passes, and slows those who store faster than the disk takes.

mod block;
mod commits;
#[cfg(feature = "rocks")]
mod folder;
mod journal;
#[cfg(feature = "rocks")]
mod keeper;
pub mod limits;
#[cfg(feature = "rocks")]
mod processor;
#[cfg(feature = "rocks")]
mod recovery;
#[cfg(feature = "rocks")]
mod retentions;
#[cfg(feature = "rocks")]
mod rocks;
mod store;
mod syncing;
mod thread;
#[cfg(feature = "rocks")]
mod vault;

pub use block::BlockKey;
pub use commits::{CommitState, Commits, Ticket};
pub use journal::{Durability, Journal, JournalConfig, PassOutcome};
#[cfg(feature = "rocks")]
pub use keeper::RocksKeeper;
#[cfg(feature = "rocks")]
pub use rocks::{RocksFigures, RocksMeter, RocksStore};
pub use store::{Block, BlockStore, Fault, FaultKind, Meta, SyncCall};
pub use thread::{JournalStats, JournalThread, Notice, Pace};
#[cfg(feature = "rocks")]
pub use vault::{KeptKey, SpentMark, Vault};
