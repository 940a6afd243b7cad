//! Every bound of the service, with its unit, its reason and what happens there.

/// Retention when nothing is configured: RFC 8816 §7.5 asks a CPS not to keep items longer than 60 s.
pub const RETENTION_DEFAULT_MS: u64 = 60_000;
/// Shorter than this a ringing phone on a slow path finds nothing. Below it the configuration is refused.
pub const RETENTION_MIN_MS: u64 = 1_000;
/// Longer-lived classes (messages, RFC 9475) will have a log of their own. Above it the configuration is refused.
pub const RETENTION_MAX_MS: u64 = 60_000;

/// Signs in a canonical telephone number: E.164 allows 15 digits, RFC 8226 `TelephoneNumber` 15 signs.
/// A longer number is refused.
pub const NUMBER_SIGNS_MAX: usize = 15;
/// Bytes of a number as written, with separators and percent-encoding. More is refused unread.
pub const NUMBER_TEXT_BYTES_MAX: usize = 96;

/// The sizes a sealed placement may have, in bytes. All placements and all cover have one of these, so that a
/// size tells nothing. Any other size is refused with 422, a larger one with 413.
pub const BODY_BUCKETS_BYTES: [usize; 5] = [640, 1024, 2048, 4096, 8192];
/// The largest body.
pub const BODY_BYTES_MAX: usize = BODY_BUCKETS_BYTES[BODY_BUCKETS_BYTES.len() - 1];
