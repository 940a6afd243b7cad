//! Every bound of admission, with its unit, its reason and what happens there.

use herald_core::limits::RECORDS_PER_NUMBER_LEAST;

/// Bytes of an authenticator or a signature in a token. RSA-4096 has 512. A longer one is refused unread.
pub const AUTHENTICATOR_BYTES_MAX: usize = 512;
/// Bytes of the secret that a token's MAC key is derived from (`herald_plugin.h`). A plugin that gives fewer has failed.
pub const SECRET_BYTES_MIN: usize = 32;
/// Bytes of an `Authorization` header: the largest token, its proof and a signature in base64. A longer one is refused.
pub const HEADER_BYTES_MAX: usize = 2048;
/// Bytes of a service's name in a challenge: a host name has 253, a port 6. A longer one is refused when configured.
pub const NAME_BYTES_MAX: usize = 260;

/// Stores that one token may be good for. Ten bits of a session's word count them; a larger quota is refused when
/// configured.
pub const QUOTA_MAX: u32 = 1024;
/// How far behind the highest counter of its session a store may come, in stores. Later ones are refused as repeated.
pub const WINDOW_STORES: u32 = 40;
/// Reports that lower a session's quota. Each takes a share of it; more change nothing.
pub const REPORTS_MAX: u64 = 15;
/// Words of a session's counts of stores under numbers: one cache line, 256 counts up to 3. Where a count says that the
/// token may have stored enough under a number, what lives there is looked at. loom's models have one.
pub const NUMBER_WORDS: usize = if cfg!(loom) { 1 } else { 8 };

/// Sessions when nothing is configured: 204 bytes each with free places, 26 MiB together. Beyond it new tokens are refused
/// until sessions have ended.
pub const SESSIONS_DEFAULT: usize = 1 << 17;
/// Sessions that may be configured: their place has 32 bits in an item's id, and 2^26 are 13 GiB.
pub const SESSIONS_MAX: usize = 1 << 26;
/// How long a session lives after its first store when nothing is configured. A longer one links more (CRYPTO §4.3).
pub const SESSION_LIFE_DEFAULT_MS: u64 = 120_000;
/// Shorter than this a client's second store finds the session gone. Below it the configuration is refused.
pub const SESSION_LIFE_MIN_MS: u64 = 1_000;
/// Longer than this a session outlives its epochs. Above it the configuration is refused.
pub const SESSION_LIFE_MAX_MS: u64 = 3_600_000;
/// Slots of a bucket in the table of sessions: what one cache line can name.
/// loom's models have one.
pub const BUCKET_SLOTS: usize = if cfg!(loom) { 1 } else { 8 };

/// Shards of an epoch's spent tokens. A shard is locked while it grows; of 20 million tokens it holds 5,000.
pub const SPENT_SHARDS: usize = 4096;
/// Shards of the tokens that are being redeemed: with those that wait some 30 in each, so that junk allocates next to nothing.
pub const RESERVED_SHARDS: usize = 64;
/// Spent tokens of one epoch when nothing is configured. About 30 bytes each, and 40 more for those that opened no session or
/// were spent before a restart, whose first stores may be repeated; beyond it new tokens are refused until the epoch is over.
pub const SPENT_DEFAULT: u64 = 20_000_000;
/// As many as may be asked for: some 70 GB.
pub const SPENT_MAX: u64 = 1_000_000_000;

/// The length of an epoch when nothing is configured (CRYPTO §4.4).
pub const EPOCH_DEFAULT_MS: u64 = 600_000;
/// How long before its epoch and after it a token may be opened, or a quarter of an epoch if that is less: for clocks that
/// differ, and tokens that were on their way. So those of two epochs can be spent within a minute, not of four.
pub const EPOCH_GRACE_MS: u64 = 120_000;
/// Below it keys would be made faster than clients fetch them. The configuration is refused.
pub const EPOCH_MIN_MS: u64 = 1_000;
/// Above it the spent set of an epoch has no useful bound. The configuration is refused.
pub const EPOCH_MAX_MS: u64 = 86_400_000;
/// Epochs for which keys are published ahead. With the classes below the truncated ids of all published keys, one byte
/// each, can still differ.
pub const EPOCHS_AHEAD_MAX: u64 = 64;
/// Classes of a service: each splits the crowd that a token hides in (CRYPTO §4.3). More are refused.
pub const CLASSES_MAX: usize = 3;

/// Placements that an identity may have live under one number by the tokens of one epoch, when nothing is configured. Those
/// of two epochs can be spent at once: 64. Of the 129 that a class finds room for at least, 65 are left: who calls once a
/// second needs 61.
pub const LIVE_PER_IDENTITY: u32 = 32;
/// Placements that the other classes together leave each class under a number: the least room of a number over one more than
/// the classes. With two classes 64, one a second for a minute. What is left over is anybody's.
pub const fn room_of_class(classes: u32) -> u32 {
    RECORDS_PER_NUMBER_LEAST / (classes + 1)
}

/// Places in which numbers are remembered under which a class has no room: a power of two, 8 bytes each. Those that share one
/// make each other be looked at again.
pub const FULL_ROOMS: usize = 4096;
/// So long, and up to twice as long, that is taken to be so without another look, in milliseconds.
pub const FULL_TICK_MS: u64 = 64;

/// Stores that are looked up together. Larger batches go in parts.
pub const JUDGED_TOGETHER: usize = 32;
/// MAC keys that a judge keeps ready, so that a few gateways with 32 tokens open each pay for them once: 600 bytes each.
/// Others push them out.
pub const MAC_KEYS_READY: usize = 128;
/// Of these, keys that share their places: of 32 sessions hardly ever more share a set. One cache line names them.
pub const MAC_KEYS_TOGETHER: usize = 8;

/// Identities whose tokens are counted, each with every key it asked for. About 80 bytes each; beyond it newcomers are
/// refused until epochs are over.
pub const IDENTITIES_MAX: usize = 1 << 20;

/// The share of one core that redemption may take, in thousandths, when nothing is configured (CRYPTO §4.3).
pub const REDEMPTION_SHARE_PERMILLE: u32 = 250;
/// Work that may be done at once after a pause, in microseconds: a burst of honest tokens does not wait.
pub const PACE_BURST_US: u64 = 20_000;
/// Of that share, what may go into junk, in thousandths: 3 % of a core by default, 670 tokens a second at 45 µs. Sources that
/// have no credit wait when it is used up.
pub const JUNK_OF_REDEMPTION_PERMILLE: u32 = 120;
/// Junk that may be redeemed at once after a pause, in microseconds: two batches.
pub const JUNK_BURST_US: u64 = 1_000;
/// How long junk that was redeemed may hold up the next without credit, in microseconds: beyond it a plugin was slow, which new
/// sources are not to pay for. What it took longer is forgiven.
pub const JUNK_WAIT_MAX_US: u64 = 1_000_000;
/// Tokens that wait to be redeemed: what a quarter of a core does in a quarter of a second at 40 µs. More are refused.
pub const REDEMPTIONS_WAITING_MAX: usize = 1_500;
/// Of the turns of sources without credit, one in so many is for those whose tokens were junk, if both wait.
pub const JUNK_TURNS: u32 = 4;

/// Sources that are remembered for good tokens, and as many for junk: 32 bytes each. Others push them out.
pub const SOURCES_KNOWN: usize = 4_096;
/// Of these, sources that share their places.
pub const SOURCES_TOGETHER: usize = 8;
/// What a good token adds to its source's credit, of which each token that is taken on credit uses 1: so of these as many
/// may be junk as were good.
pub const CREDIT_OF_TOKEN: u32 = 2;
/// Credit that a source may have: more than the tokens that are with the plugin at once. More is not counted.
pub const CREDIT_MAX: u32 = 128;
/// How long a source has credit after its last good token, in microseconds: an epoch. Then it is new.
pub const CREDIT_LIFE_US: u64 = 600_000_000;
/// How long a source is remembered for junk after its last, in microseconds. Then it is new.
pub const JUNK_LIFE_US: u64 = 60_000_000;

/// Bytes of an issuer directory that a client reads: what 64 epochs of three classes with RSA-4096 keys take. A larger one
/// is refused.
pub const DIRECTORY_BYTES_MAX: usize = 256 * 1024;
/// Keys of a directory that a client looks at: the first ones count most. Others are passed over.
pub const DIRECTORY_KEYS_MAX: usize = 256;
