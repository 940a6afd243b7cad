//! Every bound of a measurement, with its unit, its reason and what happens there.

/// Tokens that are open at once, as a gateway keeps them.
pub(crate) const OPEN_TOKENS: usize = 32;
/// Rounds of a measurement; the table shows medians. More tokens than these take are not made.
pub(crate) const ROUNDS: usize = 15;
/// Rounds with `--quick`, to see that it runs.
pub(crate) const ROUNDS_QUICK: usize = 3;
/// Stores of one batch.
pub(crate) const BATCH: usize = 256;
/// Bytes of a body: the most common size of a sealed PASSporT.
pub(crate) const BODY_BYTES: usize = 640;
/// Distinct bodies. Together they fit the first-level cache, as a body just received would.
pub(crate) const BODIES: usize = 32;
/// Numbers that are called, so that no number fills and memory is touched as calls would.
pub(crate) const NUMBERS: u64 = 1_000_000;
/// Bytes of the log: the stores of all rounds of one measurement, twice.
pub(crate) const ARENA_BYTES: usize = 256 << 20;
/// Bytes of a segment of the log: what the engine takes.
pub(crate) const SEGMENT_BYTES: usize = 1 << 20;

/// Junk tokens for each that redemption at its pace could take.
pub(crate) const FLOOD_TIMES: f64 = 10.0;
/// Tokens that are handed to the plugin at once.
pub(crate) const REDEEMED_TOGETHER: usize = 16;
/// Junk tokens that are made before the flood and sent in turn. Whether one is junk is seen by redeeming it, each time.
pub(crate) const JUNK_TOKENS: usize = 4_096;
/// Runs with and without a flood, in turn; the table shows their median.
pub(crate) const PAIRS: usize = 3;
/// Microseconds that pass at once while nothing is to be done.
pub(crate) const IDLE_STEP_US: f64 = 20.0;
