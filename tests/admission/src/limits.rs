//! Every bound of a race, with its unit and its reason.

use crate::Size;

/// What every change runs.
pub(crate) const SAMPLE: Size = Size { tokens: 24 * WINDOW_TOKENS, kills: 6 };
/// What acceptance asks for: a million tokens and more.
pub(crate) const CAMPAIGN: Size = Size { tokens: 977 * WINDOW_TOKENS, kills: 100 };
/// What the control runs.
pub(crate) const CONTROL: Size = Size { tokens: 8 * WINDOW_TOKENS, kills: 3 };

/// What every change runs with the real VOPRF, whose tokens cost some thousand times as much.
pub(crate) const VOPRF_SAMPLE: Size = Size { tokens: WINDOW_TOKENS, kills: 3 };
/// The same for acceptance. All tokens are of one epoch.
pub(crate) const VOPRF_CAMPAIGN: Size = Size { tokens: 5 * WINDOW_TOKENS, kills: 20 };

/// Threads that race.
pub(crate) const THREADS: u32 = 8;
/// Tokens that all threads are at before any goes on to others.
pub(crate) const WINDOW_TOKENS: u32 = 1024;
/// Windows before the first token that nobody has, which are presented again after a kill.
pub(crate) const WINDOWS_AGAIN: u32 = 2;
/// Tokens whose records are made durable together, as the engine's queue does.
pub(crate) const TOGETHER: usize = 64;
/// Windows of an epoch, so that those of three are remembered of a campaign at a time.
pub(crate) const WINDOWS_OF_AN_EPOCH: u64 = 128;
/// Milliseconds on the virtual clock from a window to the next.
pub(crate) const WINDOW_MS: u64 = 4_000;
/// Lives of a process after the last kill that may pass without all tokens being had. More is a failure.
pub(crate) const LIVES_SPARE: u32 = 3;
/// Milliseconds between looks at how far a process has come.
pub(crate) const LOOK_MS: u64 = 2;
/// Memory of the journal, in bytes: its least.
pub(crate) const JOURNAL_BYTES: usize = 64 << 20;
