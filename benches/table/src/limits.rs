//! Every bound of a measurement, with its unit, its reason and what happens there.

/// Prefixes of the table: what is asked of it. Some hundred more or less are drawn.
pub(crate) const PREFIXES: usize = 10_000_000;
/// Prefixes with `--quick`, to see that it runs.
pub(crate) const PREFIXES_QUICK: usize = 300_000;
/// Different services, as many as a large country has operators.
pub(crate) const SERVICES: u64 = 1000;
/// Numbers that are looked up in turn: enough that what one reads was not left in a cache by the last turn.
pub(crate) const NUMBERS: usize = 1_000_000;
/// Rounds of a measurement; the table shows medians.
pub(crate) const ROUNDS: usize = 7;
/// Rounds with `--quick`.
pub(crate) const ROUNDS_QUICK: usize = 3;
/// Times that a table is compiled anew under look-ups.
pub(crate) const COMPILED: u32 = 2;
/// Swaps of the last two tables for each other after each of these.
pub(crate) const SWAPS_EACH: u32 = 8;
/// Look-ups that are timed together, so that reading the clock costs nothing beside them.
pub(crate) const TOGETHER: usize = 1000;
