//! Bounds, with unit and reason.

/// Files of the folder: the signers of a country several times over. More are an error.
pub const FILES_MAX: usize = 65_536;
/// Certificates that were shown and are kept, some 1 KiB each. At the bound the one kept longest is forgotten.
pub const OBSERVED_MAX: usize = 4096;
/// Seconds for which a certificate is believed after it was last shown: one that is revoked is shown no more, and is
/// forgotten after a day; the host shows those in use again several times an hour.
pub const OBSERVED_S: u64 = 24 * 3600;
/// Entries of those certificates in all, some 200 bytes each: so long it takes milliseconds to index them anew. Beyond it
/// those kept longest are forgotten.
pub const OBSERVED_ENTRIES_MAX: usize = 16_384;
/// Seconds that an answer may be remembered at most: a day, as certificates are taken back by then.
pub const FRESH_MAX_S: u32 = 24 * 3600;
/// Seconds that an answer may be remembered when nothing is set.
pub const FRESH_DEFAULT_S: u32 = 300;
