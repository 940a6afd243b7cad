//! Every bound of the C interface, with its unit, its reason and what happens there.

/// Engines open in one process at a moment. Each takes 16 MiB or more; one more is refused.
pub const ENGINES_MAX: usize = 64;
/// Results of retrievals that C has not freed. More is a leak; one more is refused.
pub const ITEMS_MAX: usize = 1 << 16;
/// Error objects that C has not freed. More is a leak; one more is not made, and the status stands alone.
pub const ERRORS_MAX: usize = 1 << 12;
/// Placements in one call of herald_store_batch: a second's worth of a small engine. More is refused unread.
pub const PLACEMENTS_MAX: usize = 1 << 16;
/// Numbers in one call of herald_retrieve_batch. Each may bring [`RECORDS_PER_NUMBER_MAX`] bodies of each class and cover,
/// some 4 MiB, all of them held until they are freed. More is refused unread.
///
/// [`RECORDS_PER_NUMBER_MAX`]: herald_runtime::core::limits::RECORDS_PER_NUMBER_MAX
pub const NUMBERS_MAX: usize = 1 << 10;
/// Properties in one call: some hundred times those there are. More is refused unread.
pub const PROPERTIES_MAX: usize = 1024;
/// Bytes of a property's name. A longer one is refused unread.
pub const PROPERTY_NAME_BYTES_MAX: usize = 256;
/// Bytes of a property's value: the longest path of the system. A longer one is refused unread.
pub const PROPERTY_VALUE_BYTES_MAX: usize = 4096;
/// Bytes of a JWK. A sealing key has some 200; a longer text is refused unread.
pub const JWK_BYTES_MAX: usize = 4096;
/// Bytes of a PASSporT. The largest placement holds less; a longer text is refused unread.
pub const PASSPORT_BYTES_MAX: usize = 8192;
/// Bytes of an option struct. A larger `struct_size` is not one.
pub const OPTIONS_BYTES_MAX: usize = 4096;
/// Calls whose handles C has not freed. More is a leak; one more is refused.
pub const CALLS_MAX: usize = 1 << 16;
/// Bytes of a Call-ID or an origid. A longer one is refused unread.
pub const CALL_ID_BYTES_MAX: usize = 1024;
/// Values of Identity header fields of one call: more than are judged. More are refused unread.
pub const IDENTITY_VALUES_MAX: usize = 32;
/// Bytes of one such value: what a lenient policy may take. A longer one is refused unread.
pub const IDENTITY_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a URL. A longer one is refused unread.
pub const URL_BYTES_MAX: usize = 2048;
/// Bytes of a certificate chain. A larger one is refused unread.
pub const CHAIN_BYTES_MAX: usize = 64 * 1024;
/// Copies of stats that C has not freed. More is a leak; one more is refused.
pub const STATS_MAX: usize = 1 << 10;
/// Bytes of the name of a value among stats. A longer one is refused unread.
pub const STAT_NAME_BYTES_MAX: usize = 1024;
/// Subscriptions of a process that C has not closed: each engine may have 64. One more is refused.
pub const SUBSCRIPTIONS_MAX: usize = 1 << 12;
/// Bytes of a block of numbers as text. A longer one is refused unread.
pub const BLOCK_BYTES_MAX: usize = 64;
/// Bytes of a configuration file: many times one with every property. A longer one is refused unread.
pub const CONFIG_FILE_BYTES_MAX: u64 = 1 << 20;
/// Reports that wait on one thread until a lock is given back: a start makes a few. The rest is left out.
pub const REPORTS_WAITING_MAX: usize = 64;
/// Bytes of a SIP request: a header as long as one may be, and a body that is not looked at. A longer one is refused
/// unread.
pub const SIP_BYTES_MAX: usize = 128 * 1024;
