//! The bounds of this plugin.

/// Tokens in one request of token type 5. One request keeps a core busy for some four milliseconds, which is how long
/// redemptions may wait behind it; the gain of one proof for all is then within 2 % of what it can be. Larger requests
/// are refused.
pub const BATCH_TOKENS_MAX: usize = 64;
/// Keys in use at once: the 64 epochs that may be published ahead, and the running ones, in up to 60 classes. Further
/// ones are refused; that is a host that forgets to drop them.
pub const KEYS_MAX: usize = 4096;
/// Bytes of a list with a length before it: more than any list of [`BATCH_TOKENS_MAX`] elements has. It is what a length
/// of two bytes can say, so longer forms of it are refused unread.
pub const LIST_BYTES_MAX: usize = (1 << 14) - 1;
