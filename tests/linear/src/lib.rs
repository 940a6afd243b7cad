//! Whether what threads saw of the store can be explained by calls that happened one at a time (Herlihy and
//! Wing, 1990).
//!
//! [`Worker`]s append and read, each call between two stamps of one counter; [`drive_log`] lets threads be workers of
//! a log, and `tests/restarts.rs` does the same with an engine that is stopped and opened again. [`check`] splits what they recorded by number (a history is linearizable if the part of each object is) and
//! asks a published checker, todc-utils' of Wing and Gong with Lowe's memory of states, whether the part fits the
//! model: a queue for each number whose placements go when they expire. The model is [`Queue`].
//!
//! Time is virtual: one clock that all threads read and advance.
//!
//! [`Planted`] wraps a store and breaks it in one way; the tests show that each break is found. Knows nothing of
//! how the log works inside, and tells no weak-memory effect from another: engine/log/loom.sh does.

mod check;
mod history;
mod kept;
mod log;
mod model;
mod planted;
mod random;
mod worker;

pub use check::{OVERLAP_MAX, OVERLAP_PLANTED_MAX, Tally, Violation, check};
pub use history::{Event, Recorder};
pub use kept::Leaving;
pub use log::{LogPlan, drive_log};
pub use model::{Expiry, Operation, Order, Outcome, Queue, Seen, Span};
pub use planted::{Bug, Planted};
pub use random::{Random, seed};
pub use worker::{Scale, Worker};
