//! The Call Placement Service of RFC 8816 as a pure machine.
//!
//! A request and the time go in, an answer and what must happen before it may be sent come out. This crate
//! knows telephone numbers, placements, cover and the HTTP interface of RFC 8816 §9. It does not know sockets,
//! disks, clocks, threads or where placements are kept: the last is behind [`PlacementStore`].

pub mod batch;
mod class;
mod cover;
pub mod json;
pub mod limits;
mod name;
mod number;
mod placement;
mod random;
mod service;
pub mod siphash;
mod time;

pub use class::PlacementClass;
pub use cover::{CoverSchedule, CoverSecret, Dummy, SealingSuite, X25519Suite};
pub use name::nearest_name;
pub use number::{BlockError, NumberBlock, NumberError, TelephoneNumber};
pub use placement::{IdError, NewPlacement, PlacementId, PlacementRef, PlacementStore, Refusal};
pub use random::Random;
pub use service::{
    Answer, BatchExchange, Effect, Gate, GatedStore, Health, Item, KeyProblem, NotFound, NotStored, Passage,
    Problem, Request, Response, Room, Service, Storing, Tallied, Tally,
};
pub use time::{Clock, Retention, RetentionError, Timestamp};
