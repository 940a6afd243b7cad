//! Every bound of the plugin, with its unit, its reason and what happens there.

/// Apexes that are asked one after the other. Each is a lookup that tells somebody about a call. More are refused.
pub const APEXES_MAX: usize = 4;
/// Servers that are asked. resolv.conf has three at most. More are refused, or left out of resolv.conf.
pub const SERVERS_MAX: usize = 4;
/// Enumservices that are taken. More are refused.
pub const ENUMSERVICES_MAX: usize = 16;
/// Bytes of an enumservice's type or of one of its subtypes (RFC 6116 §3.4.3). A record with more is discarded.
pub const ENUMSERVICE_WORD_BYTES_MAX: usize = 32;
/// Bytes of a resolv.conf; real ones have a few hundred. A larger one is refused.
pub const RESOLV_CONF_BYTES_MAX: u64 = 64 * 1024;

/// Bytes of a regexp: on the wire its length is one byte. A longer one is discarded unread.
pub const REGEXP_BYTES_MAX: usize = 255;
/// Most copies that `{…}` may ask for in a regexp; POSIX asks for 255. A record with more is discarded.
pub const REGEXP_REPEAT_MAX: u32 = 255;
/// Groups of a regexp; nine can be referred to. A record with more is discarded.
pub const REGEXP_GROUPS_MAX: usize = 32;
/// Bytes that a regexp may take when it is compiled. An honest one takes about 2 KiB; the time to compile and to match
/// is in proportion. A record with a larger one is discarded.
pub const REGEXP_COMPILED_BYTES_MAX: usize = 32 * 1024;
/// Bytes of a URI that a regexp makes: those that the engine takes. A record that makes a longer one is discarded.
pub const URI_BYTES_MAX: usize = 512;
/// URIs of one answer. The caller tries them in turn while a phone is about to ring; later ones are left out.
pub const URIS_MAX: usize = 4;

/// Non-terminal records in a chain (RFC 6116 §5.2.1). The next one is discarded as a loop.
pub const CHAIN_MAX: usize = 5;
/// Questions to the DNS for one number: a record set may refer to many others. Then the lookup ends with what it has.
pub const WALK_QUERIES_MAX: usize = 16;
/// Aliases in one reply. Resolvers give up after about ten; a longer chain is a failed reply.
pub const ALIASES_MAX: usize = 8;

/// Bytes of a reply over UDP that is asked for: no link fragments it (RFC 9715). A longer one comes over TCP.
pub const UDP_REPLY_BYTES: u16 = 1232;
/// Bytes of a datagram that is looked at. The rest of a longer one is cut off, and what is left is judged.
pub const DATAGRAM_BYTES_MAX: usize = 4096;
/// Bytes of a reply over TCP: its length is two bytes.
pub const TCP_REPLY_BYTES_MAX: usize = 64 * 1024;
/// Records of a reply that are read. A set of 64 NAPTRs with signatures has about 80; a reply with more is a failed one,
/// so that compressed names cannot keep the thread busy.
pub const RECORDS_MAX: usize = 256;
/// NAPTRs of one reply that are judged, the best by ORDER and PREFERENCE. Each may cost a regexp. Later ones are discarded.
pub const RULES_MAX: usize = 64;
/// Datagrams on one socket that are no answer to what was asked. Then somebody guesses, and the question goes over TCP.
pub const FORGERIES_MAX: u32 = 4;

/// Questions to the DNS under way at once, each with a socket of its own. Further lookups wait for their turn.
pub const QUERIES_MAX: usize = 256;
/// Lookups under way or waiting. A call beyond gets no answer from this source.
pub const LOOKUPS_MAX: usize = 4096;
/// Calls that wait for lookups. One beyond gets no answer from this source.
pub const QUESTIONS_MAX: usize = 8192;
/// Lookups under way that only refresh the cache, so that calls find the others free.
pub const REFRESHES_MAX: usize = 64;
/// Milliseconds of a lookup. Callers are gone by then; it ends with what it has.
pub const LOOKUP_MS_MAX: u64 = 10_000;
/// Milliseconds before a question's deadline at which it is answered in any case: a late answer counts against the plugin.
pub const DEADLINE_MARGIN_MS: u64 = 10;

/// Milliseconds until a question is asked again, when nothing is configured; doubled each time.
pub const RETRY_MS_DEFAULT: u64 = 400;
/// Least and most milliseconds that may be configured for that.
pub const RETRY_MS_RANGE: (u64, u64) = (10, 5_000);
/// How often a question is asked, when nothing is configured.
pub const ATTEMPTS_DEFAULT: u64 = 4;
/// Least and most attempts that may be configured.
pub const ATTEMPTS_RANGE: (u64, u64) = (1, 10);
/// Milliseconds for which a server that did not answer is asked after the others.
pub const SERVER_REST_MS: u64 = 30_000;

/// Numbers that are remembered, when nothing is configured: some 40 MB. At the bound the one that ends first goes.
pub const CACHE_NUMBERS_DEFAULT: u64 = 100_000;
/// Least and most numbers that may be configured.
pub const CACHE_NUMBERS_RANGE: (u64, u64) = (16, 4_000_000);
/// Seconds for which an answer is remembered at most, when nothing is configured, whatever its TTL.
pub const CACHE_S_DEFAULT: u64 = 3600;
/// Seconds for which it is remembered at most that there is nothing, when nothing is configured (RFC 2308 §5: 1 to 3 h;
/// a number that is ported should not wait so long).
pub const CACHE_NEGATIVE_S_DEFAULT: u64 = 300;
/// Least and most seconds that may be configured for either.
pub const CACHE_S_RANGE: (u64, u64) = (0, 86_400);
/// Seconds for which it is remembered at most that a reply was not authentic: keys and clocks get repaired.
pub const CACHE_UNAUTHENTIC_S_MAX: u32 = 30;

/// Numbers that may be looked up ahead. Each has its place in the cache; more are refused.
pub const AHEAD_NUMBERS_MAX: u64 = 65_536;
/// Lookups ahead of calls and refreshes a second, when nothing is configured.
pub const REFRESHES_PER_S_DEFAULT: u64 = 50;
/// Least and most that may be configured.
pub const REFRESHES_PER_S_RANGE: (u64, u64) = (1, 10_000);
/// Milliseconds after which a refresh that failed is tried again.
pub const REFRESH_AGAIN_MS: u64 = 30_000;

/// Commands to the plugin's thread that wait. A call beyond gets no answer from this source.
pub const COMMANDS_MAX: usize = 16_384;
/// Events that the thread takes from the system at once.
pub const EVENTS_MAX: usize = 256;
/// Milliseconds that the thread sleeps at most.
pub const SLEEP_MS_MAX: u64 = 60_000;
