//! Every bound of the crate, with its unit, its reason and what happens there.

/// Bytes of a full-form PASSporT, when nothing is configured. What is sealed must fit the largest placement of
/// 8192 bytes, so nothing longer can arrive out of band. A longer token is refused unread (438).
pub const PASSPORT_BYTES_DEFAULT: usize = 8 * 1024;
/// The most a configuration may allow: larger than the 64 KiB that SIP stacks take as one message.
pub const PASSPORT_BYTES_MAX: usize = 128 * 1024;
/// Objects and arrays inside one another in a header or payload. Registered claims need 4 (`jcd` of RFC 9795
/// needs 8); the reader recurses once a level, so the bound is also one on the stack. Deeper is refused (438).
pub const JSON_DEPTH_MAX: usize = 16;
/// Destinations of one PASSporT. A conference of more is placed as several. More are refused (438).
pub const DESTINATIONS_MAX: usize = 64;
/// Bytes of one URI identity. SIP stacks allow no more in a header field. A longer one is refused (438).
pub const URI_BYTES_MAX: usize = 512;
/// Bytes of an `x5u`. A longer one is refused (436).
pub const X5U_BYTES_MAX: usize = 1024;
/// Bytes of `origid`: a UUID has 36, real signers use up to 64. A longer one is refused (438).
pub const ORIGID_BYTES_MAX: usize = 128;
/// PASSporTs inside one another in a `div-o` (RFC 8946 §5): each level costs a third more bytes and one more
/// signature. A deeper one is refused (438).
pub const DIVERSION_DEPTH_MAX: usize = 4;
/// Signs of a signature that a report repeats of a PASSporT it cannot read: one of ES512 has 176. A longer one is
/// not repeated.
pub const SIGNATURE_SIGNS_MAX: usize = 176;
/// PASSporTs judged for one call: a shaken, an rcd, a div for each diversion, and the copies that came out of
/// band. Each costs up to five signature verifications (a `div-o` of four levels). More are refused unread (438).
pub const CALL_PASSPORTS_MAX: usize = 10;
/// PASSporTs remembered against replay: 17,000 calls a second of one minute each, some 100 MB. At the bound new
/// ones are refused (438): one that is forgotten could be replayed.
pub const REPLAY_ENTRIES_MAX: usize = 1 << 20;
/// Seconds tried for a compact PASSporT without a Date: the whole of the usual window, some 7 ms. Moments
/// further back are not tried, and the signature counts as wrong (438).
pub const COMPACT_SECONDS_MAX: u64 = 121;
/// Digests in one `rcdi`. Each costs a hash over what it covers. More are refused (438).
pub const CONTENT_DIGESTS_MAX: usize = 32;

/// Bytes of a SIP request's header. A UDP datagram holds no more, and no stack takes more on a stream. A longer
/// one is refused (438).
pub const SIP_HEADER_BYTES_MAX: usize = 64 * 1024;
/// Header fields of a SIP request; a call through ten proxies has fewer than 60. More are refused (438).
pub const SIP_FIELDS_MAX: usize = 256;
/// Identity values of a SIP request: shaken, rcd, rph and a few diversions. Each can cost a signature
/// verification. More are refused (438).
pub const SIP_IDENTITIES_MAX: usize = 16;
/// P-Asserted-Identity header fields of a SIP request, where RFC 3325 allows two values. More are refused (438).
pub const SIP_ASSERTED_MAX: usize = 4;

/// How old `iat` may be, in seconds, when nothing is configured (RFC 8224 §6.2.2 recommends 60). Older is
/// stale (403).
pub const FRESHNESS_DEFAULT_S: u64 = 60;
/// How far `iat` may lie ahead of our clock, in seconds, when nothing is configured: two honest clocks differ.
/// Further ahead is refused (403).
pub const AHEAD_DEFAULT_S: u64 = 60;

/// Bytes of a certificate chain file. Six certificates with long TNAuthLists stay below. A larger one is
/// refused unread (436).
pub const CHAIN_BYTES_MAX: usize = 64 * 1024;
/// Certificates of one chain, root included (RFC 9060 hierarchies have 4 at most). More are refused (437).
pub const CHAIN_CERTIFICATES_MAX: usize = 6;
/// Chains that a cache holds: each signer of a country has one or a few, and 4096 of 3 KiB are 12 MiB. At the
/// bound the chain that was used least recently is forgotten, and fetched again when asked for.
pub const CHAIN_CACHE_ENTRIES_MAX: usize = 4096;
/// Chains carried in `x5c` that a cache holds: strangers choose them, so fewer than of fetched ones. A PASSporT of
/// 8 KiB has one of at most 6 KiB, so 1024 are 6 MiB. At the bound the one that was used least recently is
/// forgotten, and read and verified again when it comes again.
pub const CARRIED_CHAINS_MAX: usize = 1024;
/// How long a fetched chain is used whatever its host allows, in milliseconds: a day, so that a replaced
/// certificate is noticed. An older one is as if it had never been fetched.
pub const CHAIN_KEPT_MS: u64 = 24 * 3600 * 1000;
/// How often it is looked which documents of a cache are to be fetched again, in milliseconds: the shortest time a
/// document is kept is longer, and a look takes microseconds.
pub const RENEWAL_PERIOD_MS: u64 = 2_000;
/// How long a document whose renewal was begun is not named again, in milliseconds: a host that fails is asked twice a
/// minute, while what it served before is used.
pub const RENEWAL_RETRY_MS: u64 = 30_000;
/// Documents fetched again at once: what is due beyond that waits for the next look, as calls have the fetcher too.
pub const RENEWALS_MAX: usize = 32;
/// How long a chain that led to a root is not verified again, in milliseconds: an hour. Certificates,
/// revocation lists and a change of roots may end it earlier.
pub const CHAIN_VERIFIED_MS: u64 = 3600 * 1000;
/// How long a chain that led to no root is refused without another look, in milliseconds: a minute, so that a
/// stranger's calls do not cost up to six signature verifications each.
pub const CHAIN_REFUSED_MS: u64 = 60 * 1000;
/// Entries of one TNAuthList. It bounds the work of a coverage test. More are refused as malformed (437).
pub const TN_ENTRIES_MAX: usize = 4096;
/// Bytes of a TNAuthList by reference: as many as [`LIST_ENTRIES_MAX`] single numbers take. A larger one is
/// refused unread.
pub const LIST_BYTES_MAX: usize = 1024 * 1024;
/// Entries of a TNAuthList by reference. A provider with more than 65536 separate blocks has a code. More are
/// refused as malformed.
pub const LIST_ENTRIES_MAX: usize = 65536;
/// URLs of one TNAuthList by reference: mirrors of the same list. Further ones are not read.
pub const LIST_URLS_MAX: usize = 2;
/// Lists by reference that a cache holds: 64 of at most 8 MiB in memory. At the bound the one that was used
/// least recently is forgotten, and fetched again when asked for.
pub const LIST_CACHE_ENTRIES_MAX: usize = 64;
/// Service provider codes of one certificate that are looked up for one number. Signers have a handful; about
/// further ones nothing is known.
pub const CODES_ASKED_MAX: usize = 64;
/// Claim names and permitted values that one certificate may name in its constraints. It bounds the work of
/// checking them. A certificate with more is refused (437).
pub const CONSTRAINTS_MAX: usize = 256;
/// Bytes of a claim name in a constraint; registered ones have at most 6. A certificate with a longer one is
/// refused (437).
pub const CLAIM_NAME_BYTES_MAX: usize = 64;
/// Bytes of one certificate revocation list in DER: a national list of 100000 certificates has some 4 MiB. A larger
/// one is refused unread.
pub const CRL_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Certificates that one revocation list names. A list of more is refused.
pub const CRL_ENTRIES_MAX: usize = 200_000;
/// Revocation lists of a trust store: one for each authority of a country, and the national one. More are refused.
pub const CRLS_MAX: usize = 256;
/// Bytes of one OCSP answer: one with a responder's certificate has some 1 KiB. A larger one is refused unread.
pub const STAPLE_BYTES_MAX: usize = 16 * 1024;
/// Call Placement Services that one certificate names; two or three are for resilience. A certificate with more is
/// refused.
pub const CERTIFICATE_CPS_URIS_MAX: usize = 8;
/// Bytes of a service provider code: an OCN has 4, an SPID fewer than 16. A longer one is malformed (437).
pub const SPC_BYTES_MAX: usize = 64;

/// Bytes of the length that stands before the PASSporT inside a sealed placement.
pub const SEALED_LENGTH_BYTES: usize = 2;
/// Keys that one [`open`](crate::open) tries: own key, predecessor and a few numbers of one owner. Each costs
/// a key agreement of some 50 µs. Keys beyond it are an error of the caller.
pub const OPENING_KEYS_MAX: usize = 8;

/// Bytes of the address of a Call Placement Service. A longer one is refused.
pub const CPS_URI_BYTES_MAX: usize = 512;
/// Services of one number, tried one after the other while a phone rings. An entry with more is refused.
pub const CPS_URIS_MAX: usize = 4;
/// Keys that the placements of one number are sealed for: a copy each, stored each. More are refused.
pub const RECIPIENT_KEYS_MAX: usize = 8;
/// Entries of a configured directory, some 200 bytes each, a range up to 260 times as much. More are refused.
pub const DIRECTORY_ENTRIES_MAX: usize = 65_536;
/// Characters of a stranger's reason that an error repeats. The rest is left out.
pub const IO_DETAIL_CHARS_MAX: usize = 256;
/// Documents fetched to find the service and keys of one number: a bundle of keys, and once more if it was out of
/// date. Beyond it the number counts as one that cannot be looked up.
pub const DISCOVERY_FETCHES_MAX: usize = 3;
/// Sources of services that one number is looked up in, one after the other while a phone rings. More are refused.
pub const CPS_SOURCES_MAX: usize = 8;
/// How long finding the services of a number may take, in ms, when nothing is said, and never more than half of the
/// call's time. Then what is there counts.
pub const DISCOVERY_DEADLINE_DEFAULT_MS: u64 = 1_500;
/// How long placing a call may take, in ms, when nothing is said: the call waits for it.
pub const PLACE_DEADLINE_DEFAULT_MS: u64 = 4_000;
/// How long checking a call may take, in ms, when nothing is said: a phone waits to ring.
pub const CHECK_DEADLINE_DEFAULT_MS: u64 = 3_000;
/// Cover stores of one authentication service an hour: ten a second, as of a large one's calls. A plan for more is
/// refused.
pub const COVER_PER_HOUR_MAX: u32 = 36_000;
/// Cover stores under way at a time. At the bound one is left out, which only a service that does not answer causes.
pub const COVER_UNDER_WAY_MAX: usize = 64;

/// Bytes of a key bundle: what one request to an engine may carry. An owner of more numbers signs several. A longer
/// one is refused unread.
pub const KEY_BUNDLE_BYTES_MAX: usize = 8 * 1024;
/// Entries of one key bundle, so that one costs little to index. More are refused.
pub const KEY_BUNDLE_ENTRIES_MAX: usize = 128;
/// Call Placement Services of one key bundle. More are refused.
pub const KEY_BUNDLE_CPS_MAX: usize = 8;
/// Seconds a key bundle may live: so long a key that was taken back may still be used. A longer life is refused.
pub const KEY_BUNDLE_LIFETIME_MAX_S: u64 = 24 * 3600;
/// Key bundles of one table when nothing is configured: some 400 MB at their largest. One more is refused.
pub const KEY_BUNDLES_MAX_DEFAULT: usize = 50_000;
/// Decimal prefixes that the bundles of one table are found by, for each bundle it may hold. A bundle of one number
/// or round block takes one, the worst range 240. Beyond it a bundle is refused.
pub const KEY_PREFIXES_PER_BUNDLE: usize = 16;
/// Bundles under one prefix or code of a table: those of its owner, of who it is delegated from and to. One more is
/// refused.
pub const KEY_BUNDLES_PER_PLACE_MAX: usize = 32;
/// Bundles of one answer to a request for keys. With more, the answer says so, and a longer prefix is to be asked.
pub const KEY_BUNDLES_PER_ANSWER_MAX: usize = 128;
/// Bytes of one answer to a request for keys, from which on it is full, as with too many bundles.
pub const KEY_ANSWER_BYTES_MAX: usize = 240 * 1024;
/// Signs of a prefix at least. A shorter one is most of a country; asking for it is refused.
pub const KEY_PREFIX_SIGNS_MIN: usize = 3;

/// Signs of a number that a request for keys leaves out at first: it hides among 10,000.
pub const KEY_AREA_FREE_SIGNS: usize = 4;
/// Signs that are added where a server has too much under a prefix: a number is found with three requests at most,
/// as many as a call makes ([`DISCOVERY_FETCHES_MAX`]).
pub const KEY_AREA_STEP_SIGNS: usize = 2;
/// Areas (prefixes, codes) of one directory of keys. Beyond it the one not used for longest is forgotten.
pub const KEY_AREAS_MAX: usize = 4096;
/// Prefixes that are fetched ahead of any call: a quarter of the areas, so that calls find room for theirs. More are
/// refused.
pub const KEY_PREFETCH_MAX: usize = KEY_AREAS_MAX / 4;
/// Requests for keys under way at once ahead of calls: a part of what one host is asked at once. Others come after them.
pub const KEY_FETCHES_UNDER_WAY_MAX: usize = 8;
/// Milliseconds after which it is looked again whether something is to be fetched ahead of calls.
pub const KEY_LOOK_MS: u64 = 5_000;
/// Seconds at most that what was fetched is taken as it is: a key that appears is used that late.
pub const KEY_FRESH_MAX_S: u64 = 3600;
/// Seconds at least between two requests for one area: also how long "there are no keys" is believed.
pub const KEY_FRESH_MIN_S: u64 = 60;
/// Seconds after which an area is asked again when a request failed, and how long one may stay unanswered.
pub const KEY_RETRY_S: u64 = 15;
/// Items fetched for one call: what four services with full numbers hold. More are left out, which a number that
/// somebody fills with rubbish may come to.
pub const COLLECTED_ITEMS_MAX: usize = 1056;
/// Documents fetched to judge one call: a chain for each of its PASSporTs, most of which name the same one. More
/// are not fetched, so that nobody has us ask a whole list of hosts; PASSporTs that need them are refused (436).
pub const CALL_DOCUMENTS_MAX: usize = 16;

/// Bytes of an access token: a chain of six certificates with long lists of numbers. A longer one is refused unread.
pub const ACCESS_TOKEN_BYTES_MAX: usize = 32 * 1024;
/// How long an access token is good for, in seconds: the time of a request and the difference of two clocks.
pub const ACCESS_FRESHNESS_S: u64 = 60;
/// Bytes of an access token's `jti`. A longer one is refused.
pub const ACCESS_ID_BYTES_MAX: usize = 128;

/// Bytes of a compiled table of services: some 100 million sets. A larger one is neither made nor read.
pub const TABLE_BYTES_MAX: usize = 1 << 30;
/// Entries of one table: to make it takes some 60 bytes of memory for each. More are refused.
pub const TABLE_SETS_MAX: usize = 100_000_000;
/// Different lists of services of one table, each some 200 bytes: a country has thousands of providers. More are
/// refused.
pub const TABLE_SERVICES_MAX: usize = 1 << 20;
/// Services that a table has for the same numbers on one side of a call: as many as a certificate may name. More are
/// refused.
pub const TABLE_URIS_MAX: usize = CERTIFICATE_CPS_URIS_MAX;
/// Bytes of a line of a table's source: the numbers and services of an entry at their longest. A longer one is refused.
pub const TABLE_LINE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of the words about where an entry comes from. The rest is left out.
pub const TABLE_ORIGIN_BYTES_MAX: usize = 128;

/// Bytes of an advertisement of services: some 20 000 entries. A longer one is refused unread.
pub const ADVERT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Entries of one advertisement: what its bytes may hold at the shortest is not much more. More are refused.
pub const ADVERT_ENTRIES_MAX: usize = 65_536;
/// Seconds a signed advertisement may live, some three months: so long a service that was given up may still be named.
/// A longer life is refused.
pub const ADVERT_LIFETIME_MAX_S: u64 = 90 * 24 * 3600;
