//! Every bound of the engine as a whole, with its unit, its reason and what happens there.

/// Memory for placements when nothing is configured: some 400,000 of the smallest size.
pub const ARENA_BYTES_DEFAULT: usize = 256 << 20;
/// Memory for messages when nothing is configured: some 100,000 of the smallest size.
pub const MESSAGE_ARENA_BYTES_DEFAULT: usize = 64 << 20;
/// Memory of RocksDB for blocks of messages when nothing is configured, in bytes. What lives for days is written to sorted
/// files in any case; more memory only makes each start read more of the write-ahead log.
pub const MESSAGE_JOURNAL_BYTES_DEFAULT: usize = 64 << 20;
/// Below this the writers' open segments would be most of it. A smaller setting is refused.
pub const ARENA_BYTES_MIN: usize = 16 << 20;
/// Bytes of a segment of the log at most: also the largest block the journal writes.
pub const SEGMENT_BYTES_MAX: usize = 1 << 20;
/// Permission bits of the journal's folder: its owner's alone.
pub const JOURNAL_MODE: u32 = 0o700;
/// Permission bits of the Unix socket: the engine's user and group may connect.
pub const UNIX_SOCKET_MODE: u32 = 0o660;
/// Threads that serve listeners. More than cores gains nothing; a larger setting is refused.
pub const REACTORS_MAX: usize = 256;
/// Threads of a host that are inside the engine at one moment. One more is told to try again.
pub const SESSIONS_MAX: usize = 32;
/// Subscriptions of an engine at a moment: each store looks at all of them. One more is refused.
pub const SUBSCRIPTIONS_MAX: usize = 64;
/// Placements that wait to be told to one subscriber if nothing is asked for: 8 MiB at their largest. Beyond it the oldest
/// makes room.
pub const SUBSCRIPTION_QUEUE_LEN_DEFAULT: usize = 1024;
/// Placements a subscriber may ask to have kept: 128 MiB at their largest. More is refused.
pub const SUBSCRIPTION_QUEUE_LEN_MAX: usize = 16 * 1024;
/// Placements told to one subscriber before others, and the host's own loop, have a turn.
pub(crate) const TOLD_PER_TURN_MAX: usize = 256;
/// Stores of one batch from the host that are made before the journal's pace is looked at again.
pub(crate) const BATCH_STORES_PER_TURN: usize = 256;
/// Numbers of one batch from the host that are looked up before others may have the session: what memory answers
/// together. Cover makes each cost about 75 µs.
pub(crate) const BATCH_NUMBERS_PER_TURN: usize = herald_log::limits::BATCH_PART;
/// How long a stop waits for a call that is inside, however short the grace: it takes microseconds, unless its thread
/// has lost its processor.
pub(crate) const CALL_PATIENCE_MS: u64 = 1_000;
/// How often idle sessions are made to forget cover keys and placements that are over, if anybody comes in.
pub(crate) const FORGET_PERIOD_MS: u64 = 1_000;
/// Connections to the listener of metrics: a few watchers. At the bound others wait to be accepted.
pub const MONITOR_CONNECTIONS_MAX: usize = 32;
/// How long requests under way may take to finish when the engine stops, if nothing is configured.
pub const DRAIN_GRACE_DEFAULT_S: u64 = 10;
/// Bytes of a file of certificates or keys. A larger one is refused unread.
pub const PEM_BYTES_MAX: u64 = 256 * 1024;
/// How long a service elsewhere may take to answer: a phone is ringing.
pub const CLIENT_DEADLINE_S: u64 = 5;
/// Bytes of an answer of a service that the caller has chosen: a few hundred items with bodies, or a batch. A larger one
/// is an error.
pub const CLIENT_ANSWER_BYTES_MAX: usize = 8 << 20;
/// How long the service that a client asks may take for a store or a retrieval, in ms, when nothing is configured: a
/// phone is ringing.
pub const SERVICE_DEADLINE_DEFAULT_MS: u64 = 2_000;
/// The longest time that it may be given, in ms. More is refused.
pub const SERVICE_DEADLINE_MAX_MS: u64 = 60_000;
/// How much longer a thread of the host waits for a lane that is too busy to say that the time is over, in ms.
pub(crate) const HOME_PATIENCE_MS: u64 = 250;
/// Placements in one request of a client's batch: some MiB of the largest, and results that fit
/// [`STORED_ANSWER_BYTES_MAX`]. A larger batch goes in parts.
pub(crate) const HOME_PLACEMENTS_MAX: usize = 512;
/// Numbers in one request of a client's batch. A larger batch goes in parts; a part whose answer is larger than
/// [`CLIENT_ANSWER_BYTES_MAX`] is asked for number by number, of which each is below it.
pub(crate) const HOME_NUMBERS_MAX: usize = 64;
/// Parts of one batch of stores that are under way at once. Of retrievals it is one: the answers of two at their largest
/// would take all the memory that a lane has for those of the service.
pub(crate) const HOME_STORE_PARTS_MAX: usize = 4;
/// Bytes of a service's answer to a worker's store: a few header fields, or a reason. A larger one is an error.
pub const STORED_ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Bytes of an item in a list as a service writes it: the largest body in base64url, and its reference.
pub(crate) const ITEM_TEXT_BYTES_MAX: usize = herald_core::limits::BODY_BYTES_MAX.div_ceil(3) * 4 + 256;
/// Bytes of a service's answer to a worker's retrieval: for each class of placements one service's part of the items that
/// are fetched for a call, at their largest, so that no number full of messages hides its calls. A larger one is an error.
pub const RETRIEVED_ANSWER_BYTES_MAX: usize = herald_core::PlacementClass::ALL.len()
    * (herald_stir::limits::COLLECTED_ITEMS_MAX / herald_stir::limits::CPS_URIS_MAX * ITEM_TEXT_BYTES_MAX);
/// Bytes of a refusal's body that are read for a reason. Of a longer one only the status is told.
pub const PROBLEM_BYTES_MAX: usize = 4 * 1024;
/// Bytes of a reference or a reason a service elsewhere gives. A longer reference is an error, a reason is cut.
pub const REFERENCE_BYTES_MAX: usize = 1024;

/// Seconds that an answer with key bundles may be kept: so late a new key is used.
pub const KEYS_FRESH_S: u64 = 300;
/// Key bundles that are verified in one second. Each costs up to seven signatures, some 0.5 ms; a reactor does nothing
/// else meanwhile. One more is refused with 429, but for renewals.
pub const KEYS_PUBLISHED_PER_S_MAX: u32 = 20;
/// Of these, key bundles from one source (an IPv4 network of 24 bits, an IPv6 network of 64), so that nobody stops the
/// others alone. One more is refused with 429. What comes from this machine is not held to it.
pub const KEYS_PUBLISHED_PER_SOURCE_MAX: u32 = 5;
/// Key bundles that are verified beyond that in one second from sources that published something to be believed within
/// the lifetime of a bundle: so owners renew whatever strangers send.
pub const KEYS_RENEWED_PER_S_MAX: u32 = 20;
/// Sources that are remembered for it, some 40 bytes each. At the bound the one known for longest is forgotten.
pub const KEYS_KNOWN_SOURCES_MAX: usize = 4096;
/// Writes of key bundles that may wait for the disk. What comes on top is not written, and reported.
pub(crate) const KEYS_WRITES_WAITING_MAX: usize = 256;

/// Threads that make answers with bodies while placements have left memory, at least; otherwise as many as reactors.
/// So many reads of the disk at a time.
pub(crate) const READERS_MIN: usize = 4;
/// Answers that wait for such a thread. One more is told to try again: 503.
pub(crate) const READS_WAITING_MAX: usize = 4096;
/// How long an answer waits for such a thread at most, in ms: a phone is ringing. Then it is told to try again.
pub(crate) const READ_WAIT_MS: u64 = 1_000 * CLIENT_DEADLINE_S;
/// How long a thread of the host waits for such an answer, in ms: as long again for the disk. Then it is told to try
/// again.
pub(crate) const READ_PATIENCE_MS: u64 = 2 * READ_WAIT_MS;

/// Bytes of results of one batch that may wait for the disk or the peer. At the bound no step begins and its request
/// is read no further; the last step goes beyond by its own results
/// ([`BATCH_STEP_BYTES`](herald_core::limits::BATCH_STEP_BYTES) and one number).
pub(crate) const BATCH_RESULTS_BYTES_MAX: usize = 64 * 1024;
/// Bytes of results sent in one piece, at most: one HTTP/2 frame. A peer has made progress when it has taken a piece.
pub(crate) const BATCH_PIECE_BYTES: usize = 16 * 1024;
/// The journal writes the engine's clock down at least this often, in ms: twice the time between two of its passes,
/// since one may take its time. A killed engine has served no later than this after what it wrote; after a power cut in
/// `buffered` the disk may have a clock that is older (`BUFFERED_UNSYNCED_MS`, or as long as the disk hung).
pub(crate) const CLOCK_WRITTEN_MS: u64 = 2 * herald_journal::limits::IDLE_PASS_MS;

/// Threads of a worker. More than cores gains nothing; a larger setting is refused.
pub const WORKER_THREADS_MAX: usize = 64;
/// Calls a worker has under way, a few KiB each. One more is refused: a host that has this many waits for a network that
/// does not answer.
pub const WORKER_CALLS_MAX: usize = 16 * 1024;
/// Messages a worker's thread takes before it looks at the network again: each may cost a signature.
pub(crate) const WORKER_MESSAGES_PER_TURN: usize = 32;
/// Unix sockets of services elsewhere that a worker's thread keeps ways to. At the bound all are made anew.
pub(crate) const WORKER_ROUTES_MAX: usize = 64;

/// How long a fetch may take, in ms, from the lookup of the name to the last byte: a phone is ringing.
pub const FETCH_DEADLINE_MS: u64 = 2_000;
/// Bytes of a document that is fetched. A larger one is refused (CVE-2022-26498 was a verifier without such a bound).
pub const FETCH_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a list of key bundles that is fetched: what a service makes it at most. A larger one is refused.
pub const FETCH_KEYS_BYTES_MAX: usize =
    herald_stir::limits::KEY_ANSWER_BYTES_MAX + 2 * herald_stir::limits::KEY_BUNDLE_BYTES_MAX;
/// Bytes of a URL to fetch. A longer one is refused.
pub const FETCH_URL_BYTES_MAX: usize = 2048;
/// Fetches under way at once. One more is refused.
pub const FETCHES_MAX: usize = 256;
/// Fetches under way at once from one host, so that one that dawdles leaves three quarters to the others. One more is
/// refused.
pub const FETCHES_PER_HOST_MAX: usize = 64;
/// Documents and failures a fetcher remembers. At the bound the least recently used goes.
pub const FETCH_CACHE_ENTRIES_MAX: usize = 4096;
/// Bytes of documents a fetcher keeps. At the bound the least recently used goes.
pub const FETCH_CACHE_BYTES_MAX: usize = 16 << 20;
/// Least time a document is kept, in ms, whatever its server says: calls come closer together than this.
pub const FETCH_FRESH_MIN_MS: u64 = 60_000;
/// Longest time a document is kept, in ms, whatever its server says.
pub const FETCH_FRESH_MAX_MS: u64 = 24 * 3_600_000;
/// How long a document is kept whose server says nothing, in ms.
pub const FETCH_FRESH_UNSAID_MS: u64 = 3_600_000;
/// How long the host program may take to bring a document that it said comes later, in ms, before it is asked again.
pub const SUPPLY_DEADLINE_MS: u64 = 5_000;
/// Documents that the host program brings later, at once. One more is refused.
pub const SUPPLIES_AWAITED_MAX: usize = 1024;
/// How long a failed fetch is not tried again, in ms: calls in a row do not all run into it.
pub const FETCH_FAILED_MS: u64 = 5_000;
/// Bytes of a directory file: some 10,000 entries. A larger one is refused unread.
pub const DIRECTORY_BYTES_MAX: u64 = 4 << 20;
/// Files of one setting: sealing keys, revocation lists. More are refused.
pub const SERVICE_FILES_MAX: usize = 8;

/// Plugins of one engine. More are refused: each has threads of its own.
pub const PLUGINS_MAX: usize = 32;
/// Bytes of a plugin's file: it is copied into memory, since a mapped file that somebody shortens ends the process. A
/// larger one is refused.
pub const PLUGIN_FILE_BYTES_MAX: u64 = 256 << 20;
/// Bytes of the file of plugins' settings. A larger one is refused unread.
pub const PLUGIN_SETTINGS_BYTES_MAX: u64 = 1 << 20;
/// Bytes of a plugin's name. A longer one is refused.
pub const PLUGIN_NAME_BYTES_MAX: usize = 32;
/// Bytes of any other text in a plugin's table. A longer one is refused.
pub const PLUGIN_TEXT_BYTES_MAX: usize = 256;
/// Bytes of what a plugin says to the operator at once. The rest is cut.
pub const PLUGIN_LOG_BYTES_MAX: usize = 1024;
/// Bytes of a key, request or response of a plugin. What says it is longer is a failure.
pub const PLUGIN_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Tokens in one request of a rate control plugin. A table that says more is refused.
pub const PLUGIN_TOKENS_MAX: usize = 4096;
/// Tokens that one call redeems. More are refused: a call is to be short.
pub const PLUGIN_REDEMPTIONS_MAX: usize = 256;
/// Service URIs in an answer of a plugin. More are left out.
pub const PLUGIN_URIS_MAX: usize = 16;
/// Calls that wait for a plugin or its answer. One more is refused: busy.
pub const PLUGIN_CALLS_MAX: usize = 4096;
/// Failures in a row after which a plugin is disabled until it is replaced.
pub const PLUGIN_FAILURES_MAX: u32 = 16;
/// Threads that work in one rate control plugin. More than half the cores would take them from stores.
pub const PLUGIN_THREADS_MAX: usize = 8;
/// Threads of a plugin that are stuck in it and were replaced. At the bound no other takes the place, and its calls time
/// out.
pub const PLUGIN_LOST_THREADS_MAX: usize = 4;
/// Threads that work in one discovery plugin that lets several in: a second one, so that questions do not wait while it
/// reads its files again.
pub const PLUGIN_DISCOVERY_THREADS: usize = 2;
/// How long a plugin may take to open, or to read its files again, in ms: they may be large. Then it is refused, or has
/// failed.
pub const PLUGIN_OPEN_MS: u64 = 30_000;
/// How long a plugin may take to take over or forget a key, to forget a question or to see a certificate, in ms.
pub const PLUGIN_CHORE_MS: u64 = 10_000;
/// How long a stop waits for a plugin to close, in ms. Then its threads are left behind, and reported.
pub const PLUGIN_CLOSE_MS: u64 = 2_000;
/// How long the watch over plugins sleeps at most while something is under way, in ms, should a clock be slow.
pub(crate) const PLUGIN_WATCH_MS: u64 = 1_000;
/// Times that code may be loaded for one plugin. It is never unloaded: at the bound a plugin is not replaced any more
/// until the process is started anew.
pub const PLUGIN_LOADS_MAX: u64 = 8192;
/// How long each call may take when a plugin is checked, in ms.
pub const PLUGIN_CHECK_MS: u64 = 5_000;

/// Questions to sources of services that are under way at once. One more is not asked: the source is passed over.
pub(crate) const DISCOVERIES_MAX: usize = 4096;
/// Answers and failures of sources of services that are remembered: a few hundred bytes each, 3 KiB at most. At the bound
/// one that was not used lately goes.
pub const DISCOVERY_CACHE_ENTRIES_MAX: usize = 16 * 1024;
/// Longest time that services a source found are kept, in ms, whatever it says.
pub const DISCOVERY_FRESH_MAX_MS: u64 = 24 * 3_600_000;
/// Longest time that a source's answer that there are none is kept, in ms, whatever it says: so late a new service is
/// found.
pub const DISCOVERY_NOTHING_FRESH_MAX_MS: u64 = 3_600_000;
/// How long a number that a source failed at is not asked for again, in ms: calls in a row do not all run into it.
pub const DISCOVERY_FAILED_MS: u64 = 5_000;
/// Services of the operator's own sources that are remembered as his. At the bound all are forgotten: one at an address
/// that is not public is refused until its source names it again.
pub(crate) const OWN_SERVICES_MAX: usize = 64 * 1024;
/// How long a certificate that sources were shown is not shown again, in ms: one whose plugin was replaced learns it then.
pub(crate) const SHOWN_AGAIN_MS: u64 = 600_000;
/// Certificates that sources are shown within that time. More are not shown.
pub(crate) const SHOWN_CERTIFICATES_MAX: usize = 4096;

/// Tokens that the plugin is given at once: some milliseconds of work, and one write to the disk.
pub const REDEMPTIONS_TOGETHER: usize = 64;
/// Batches that are with the plugin while another is written to the disk.
pub const REDEMPTIONS_IN_FLIGHT_MAX: usize = 2;
/// How long the plugin may take for a batch, in ms. Then its tokens are free again and their stores are refused.
pub const REDEMPTION_DEADLINE_MS: u64 = 5_000;
/// Epochs for which keys are made ahead when nothing is configured: two hours at ten minutes each. Making RSA keys takes a
/// core some 100 ms each.
pub const TOKEN_EPOCHS_AHEAD_DEFAULT: u64 = 12;
/// Time between two looks at what keys are wanted and what is over, in ms.
pub const KEEP_PERIOD_MS: u64 = 1_000;
/// After so many of these looks spent marks are brought out of the write-ahead log.
pub const SPENT_SETTLE_PERIODS: u64 = 10;
/// How long a plugin may take to make or take up a key, in ms, unless it says that a key costs more than a twentieth.
pub const KEY_DEADLINE_MS: u64 = 10_000;
/// Keys in a row whose truncated ids are taken already. With 195 of 256 taken, 64 in a row happen once in 10^7.
pub const KEY_TRIES_MAX: u32 = 64;
/// Requests for tokens and reports that wait for the issuer. One more is refused with 503.
pub const ERRANDS_WAITING_MAX: usize = 256;
/// How long the plugin may take to issue, in ms. Then the request is refused and its quota given back.
pub const ISSUE_DEADLINE_MS: u64 = 5_000;
/// Access tokens remembered for as long as they are fresh. One more is refused.
pub const ACCESS_TOKENS_REMEMBERED_MAX: usize = 1 << 17;
/// Access tokens of one holder remembered at a time, so of some two minutes: one for each request for tokens and each report.
/// More are refused; it takes 128 holders to fill the memory for others.
pub const ACCESS_TOKENS_PER_HOLDER_MAX: usize = 1 << 10;
/// Reported items remembered, so that each counts once. More are not charged to anybody.
pub const ITEMS_REPORTED_MAX: usize = 1 << 17;
/// How long clients may keep the issuer directory, in seconds.
pub const DIRECTORY_FRESH_S: u64 = 60;

/// Tokens kept ahead for each service that wants them, when nothing is configured: what a service lets a
/// handset have of an epoch.
pub(crate) const TOKENS_KEPT_DEFAULT: u32 = 8;
/// Tokens that may be kept ahead for a service: some 700 KiB of the largest.
pub(crate) const TOKENS_KEPT_MAX: u32 = 1024;
/// Services of which tokens are kept. For another one that was not used for longest is forgotten, and asks again.
pub(crate) const WALLET_PURSES_MAX: usize = 1024;
/// Stores that wait for one service's tokens, or for one session to open. One more fails.
pub(crate) const WALLET_WAITERS_MAX: usize = WORKER_CALLS_MAX;
/// Sessions open at a time with one service, where stores are spread over them.
pub(crate) const GATEWAY_SESSIONS: usize = 32;
/// Sessions that a store is sent with in turn, each of which has stored enough under its number: a round trip each. With one
/// more the service's refusal stands. Fewer than are open, so that there is another one to draw.
pub(crate) const FULL_SESSIONS_MAX: usize = 8;
const _: () = assert!(FULL_SESSIONS_MAX < GATEWAY_SESSIONS);
/// No tokens are fetched for a service that had no store for so long, in ms.
pub(crate) const WALLET_IDLE_MS: u64 = 1_800_000;
/// About how often it is looked whether tokens run short, in ms: the moment is random, so that it tells of no call.
pub(crate) const WALLET_LOOK_MS: u64 = 30_000;
/// A service's issuer directory is fetched no more often, in ms.
pub(crate) const ISSUER_GAP_MS: u64 = 1_000;
/// For how long an issuer that failed is not asked again, in ms, if it does not say.
pub(crate) const ISSUER_FAILED_MS: u64 = 10_000;
/// The longest time that an issuer can have itself not asked for, in seconds.
pub(crate) const ISSUER_WAIT_MAX_S: u64 = 600;
/// Bytes of an issuer's answer that are read: tokens of the largest batch.
pub(crate) const TOKENS_ANSWER_BYTES_MAX: usize = 64 << 10;
/// How long a plugin may take to ask for tokens or to finish them, in ms.
pub(crate) const TOKENS_DEADLINE_MS: u64 = 5_000;
