//! Every bound of the plugin, with its unit, its reason and what happens there.

/// Bytes of the modulus: 2048 bits, as token type 2 is defined (RFC 9578 §8.2.2). Keys of another size are refused.
pub(crate) const MODULUS_BYTES: usize = 256;
/// Tokens in one request: a TokenRequest of RFC 9578 §6.1 carries one.
pub(crate) const REQUEST_TOKENS: u32 = 1;
/// Keys in use at once. A host has at most 64 epochs ahead and the running ones, of a few classes each; a key takes
/// some 5 KB. One more is a failure that the operator is told of.
pub(crate) const KEYS_MAX: usize = 1024;
/// Times that random bytes are drawn until they are a number in range. Each try succeeds in one case of two at least,
/// so all of them fail only if the host's randomness is broken: that is said instead of looping.
pub(crate) const DRAWS_MAX: usize = 128;
