//! Every bound of the service, with its unit, its reason and what happens there.

/// Retention when nothing is configured: RFC 8816 §7.5 asks a CPS not to keep items longer than 60 s.
pub const RETENTION_DEFAULT_MS: u64 = 60_000;
/// Shorter than this a ringing phone on a slow path finds nothing. Below it the configuration is refused.
pub const RETENTION_MIN_MS: u64 = 1_000;
/// What is stored for a call has no use once it rang: RFC 8816 §7.5. Above it the configuration is refused.
pub const RETENTION_MAX_MS: u64 = 60_000;
/// Retention of messages (RFC 9475) at most: seven days, about as long as networks keep a message for a phone that is off.
/// Above it the configuration is refused.
pub const MESSAGE_RETENTION_MAX_MS: u64 = 7 * 24 * 60 * 60 * 1000;

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

/// Live placements of one number and class. A number called more often than this within a retention is a call centre's,
/// which provisions blocks; beyond it a store is refused with 503, so that one number's list stays bounded.
pub const RECORDS_PER_NUMBER_MAX: u32 = 256;
/// By how much, as a share 1/n, the bound of a number is lowered at random each retention. A storer who fills a
/// number learns from the refusal only roughly how many placements of others it held.
pub const RECORDS_PER_NUMBER_BLUR: u32 = 4;

/// The least bound any number has once it is blurred. Up to it nobody is refused.
pub const RECORDS_PER_NUMBER_LEAST: u32 =
    RECORDS_PER_NUMBER_MAX - RECORDS_PER_NUMBER_MAX / RECORDS_PER_NUMBER_BLUR + 1;
/// Stores of a batch that are handed to the placements at a time. Larger batches go in parts.
pub const STORES_TOGETHER: usize = 64;

/// Windows of one retention that share a cover key. At 60 s a key is forgotten after about an hour.
pub const COVER_EPOCH_WINDOWS: u64 = 60;
/// The same where a retention is longer than a call's may be: so a key is forgotten two to three retentions behind its
/// dummies' birth, not weeks or months.
pub const COVER_EPOCH_WINDOWS_LONG: u64 = 1;
/// Cover keys held ready: the oldest epoch that may be live and the two after it.
pub const COVER_EPOCHS_CACHED: usize = 3;
/// Epochs a stored cover secret may lie behind the clock (about 11 years at 60 s). Beyond it is damage, and a
/// new secret is made.
pub const COVER_EPOCHS_BEHIND_MAX: u64 = 100_000;
/// Overlay arrivals of one number in one window. With mean 1 a larger count has probability 1 in 12,000.
pub const COVER_ARRIVALS_PER_WINDOW_MAX: u32 = 6;
/// Real items of one answer for which the time of a dummy body is spent. Beyond it a number is visibly busy.
pub const EQUALISED_BODIES_MAX: usize = 8;

/// Numbers in one block retrieval. A larger block is refused with 400.
pub const BLOCK_NUMBERS_MAX: u64 = 100;
/// Bytes of one block answer. Beyond it the list says `"truncated": true`; the client asks for smaller blocks.
pub const BLOCK_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Bytes of path and query. A longer target is refused with 414.
pub const TARGET_BYTES_MAX: usize = 1024;
/// What a client is told to wait when the store is full or cannot reach its disk.
pub const RETRY_AFTER_S: u32 = 5;

/// Bytes of the largest record of a batch; what is kept of one that has not arrived whole stays below it. A longer
/// record is refused by its lengths and passed over unkept.
pub const BATCH_RECORD_BYTES_MAX: usize =
    crate::batch::CREDENTIAL_BYTES + 3 + NUMBER_SIGNS_MAX + BODY_BYTES_MAX;
/// Numbers of a batch that are looked up in one step at most. Cover makes each cost about 75 µs; others wait meanwhile.
pub const BATCH_NUMBERS_PER_STEP: usize = 8;
/// Items that a client takes for one number of a batch: more than [`RECORDS_PER_NUMBER_MAX`] and their cover, so that a
/// service may have a larger bound. An answer that announces more is no batch.
pub const ITEMS_PER_NUMBER_MAX: usize = 1024;
/// Bytes of results at which a step of a batch ends. The result that reaches it goes beyond it, by what one number
/// brings: [`RECORDS_PER_NUMBER_MAX`] bodies of each class and a few of cover, some 4 MiB.
pub const BATCH_STEP_BYTES: usize = 16 * 1024;

/// Signs of a mistyped name that are compared with those there are. What stands behind them is not looked at.
pub const NAME_SIGNS_MAX: usize = 64;
