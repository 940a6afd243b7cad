//! Every bound of this crate: its name, unit, default and reason, and what happens at the bound.
//!
//! The constants are defaults. [`NetLimits`] carries the values a reactor runs with; constants without a field
//! there are not for the operator to change.

use core::time::Duration;

/// From accept to the end of the TLS handshake (or to the first bytes, where there is no TLS). A peer that needs
/// longer is holding a descriptor, not calling: the connection is closed.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// From the first byte of a request head to its last, and from the end of the handshake to the first complete
/// head. At the bound the connection is closed without an answer.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// From the end of a request head to the end of its body. At the bound the request is refused with
/// [`Refusal::BodyTimeout`](crate::Refusal::BodyTimeout) and an HTTP/1.1 connection is closed.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a peer may take nothing of what is ready for it. At the bound the connection is closed.
pub const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection may stay open with no request under way. At the bound HTTP/1.1 is closed and HTTP/2
/// gets GOAWAY, then [`CLOSE_TIMEOUT`] to act on it.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long an orderly close may take: the peer reading the last answer, our reading and dropping what it still
/// sends, so that a reset does not destroy that answer. At the bound the socket is closed as it is.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes of a request head (HTTP/1.1) or of a decoded header list (HTTP/2): tokens and signatures travel in
/// headers and need a few KiB. At the bound: 431, and an HTTP/1.1 connection is closed.
pub const HEADER_BYTES_MAX: u32 = 16 * 1024;

/// hyper refuses to run with a smaller read buffer than this, in bytes; a smaller limit is raised to it.
pub const HTTP1_BUFFER_BYTES_MIN: usize = 8 * 1024;

/// Header lines of one HTTP/1.1 request: ours need about ten, proxies add as many. At the bound: 431 and close.
pub const HEADER_COUNT_MAX: usize = 64;

/// Bytes of a request body: a sealed PASSporT is below 2 KiB. One byte more is refused with
/// [`Refusal::BodyTooLarge`](crate::Refusal::BodyTooLarge).
pub const BODY_BYTES_MAX: usize = 8 * 1024;

/// Open connections of one reactor: descriptors and at most about 40 KiB each when busy. At the bound accepting
/// pauses, so that new peers wait in the kernel's backlog.
pub const CONNECTIONS_MAX: usize = 16 * 1024;

/// Connections the kernel keeps for us before we accept them.
pub const BACKLOG: i32 = 1024;

/// Times that the lock on the place of a Unix socket is tried for, where others remove its file under us. At the bound
/// the place is in use.
pub(crate) const PLACE_LOCK_TRIES_MAX: usize = 8;

/// Connections accepted from one listener in one turn, so that a burst does not starve those already open.
pub const ACCEPTS_PER_TURN: usize = 32;

/// How long accepting rests after an error that will not go away by itself (no descriptors, no memory).
pub const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Task polls in one turn, so that a turn stays at a few milliseconds and timers and accepts get their share.
pub const POLLS_PER_TURN: usize = 256;

/// Handshake steps in one turn. One costs as much as a dozen requests; a flood of handshakes must leave four
/// fifths of a busy reactor to established connections.
pub const HANDSHAKES_PER_TURN: usize = 4;

/// Readiness events taken from the kernel in one turn; the rest stay there for the next.
pub const EVENTS_PER_TURN: usize = 512;

/// Requests one HTTP/1.1 connection may have answered in one wake, so that a pipelining peer takes its turn.
pub const REQUESTS_PER_WAKE: u32 = 16;

/// Bytes one connection may read in one wake: two full TLS records. The rest waits for the next poll.
pub const READ_BYTES_PER_WAKE: usize = 32 * 1024;

/// Bytes of one plain read, the size of hyper's first buffer.
pub const READ_CHUNK_BYTES: usize = 8 * 1024;

/// Bytes of ciphertext read in one system call, about one full TLS record: rustls by itself reads 4 KiB. Also the
/// plaintext that TLS holds at most before HTTP has taken it; what has been read beyond that waits as it is.
pub const TLS_READ_BYTES: usize = 16 * 1024;

/// Bytes of answers a connection may have waiting in HTTP before it is given another, and separately the bytes
/// of ciphertext TLS may hold. Above it the peer's next request waits until it has read.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Bytes read and dropped after our side of a connection is closed. A peer that keeps sending is cut off.
pub const LINGER_BYTES_MAX: usize = 256 * 1024;

/// HTTP/2 streams open at once on one connection.
pub const H2_STREAMS_MAX: u32 = 64;

/// HTTP/2 streams a client opens at once before it has heard how many the server takes. One more waits: a server that
/// takes fewer would refuse those beyond, and might take them for an attack.
pub const H2_FIRST_STREAMS_MAX: usize = 16;

/// HTTP/2 streams the peer has reset before we looked at them (rapid reset, CVE-2023-44487). At the bound:
/// GOAWAY with ENHANCE_YOUR_CALM.
pub const H2_PENDING_RESETS_MAX: usize = 16;

/// HTTP/2 streams we have reset for the peer's errors on one connection. At the bound: GOAWAY.
pub const H2_ERROR_RESETS_MAX: usize = 64;

/// Bytes of one HTTP/2 frame: the least the protocol allows (RFC 9113 §4.2).
pub const H2_FRAME_BYTES_MAX: u32 = 16 * 1024;

/// Bytes a peer may send on one HTTP/2 stream before we have read them: one body and a little.
pub const H2_STREAM_WINDOW_BYTES: u32 = 16 * 1024;

/// Bytes a peer may send on all streams of a connection before we have read them (the protocol starts at
/// 65,535 and offers no way to begin lower, RFC 9113 §6.9.2).
pub const H2_CONNECTION_WINDOW_BYTES: u32 = 65_535;

/// Bytes HTTP/2 may hold for one stream when the peer's window is shut.
pub const H2_SEND_BYTES_MAX: usize = 16 * 1024;

/// How often an HTTP/2 peer with open streams is asked whether it still lives.
pub const H2_PING_INTERVAL: Duration = Duration::from_secs(20);

/// How long an HTTP/2 peer may take to answer a ping. At the bound the connection is closed.
pub const H2_PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Certificates in one chain file, and authorities in one roots file: above it the file is the wrong one.
pub const CERTIFICATES_MAX: usize = 512;

/// Bytes of an answer's body the client accepts, unless told otherwise: the service's answers stay at 64 KiB.
pub const CLIENT_ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Peers a client keeps an idle connection to. At the bound the oldest is closed.
pub const CLIENT_CONNECTIONS_MAX: usize = 8;

/// Addresses of one name the client tries before it gives up.
pub const CLIENT_ADDRESSES_MAX: usize = 4;

/// How long a client keeps a connection that no exchange uses: servers close theirs after a minute.
pub const CLIENT_IDLE: Duration = Duration::from_secs(30);

/// How often the peer of an HTTP/2 connection with exchanges under way is asked whether it still lives: all exchanges
/// share the connection, so one that died silently must be given up soon.
pub const CLIENT_PING_INTERVAL: Duration = Duration::from_secs(2);

/// How long that peer may take to answer, unless its route says otherwise. At the bound the connection and its exchanges
/// fail; the next makes another.
pub const CLIENT_PING_TIMEOUT: Duration = Duration::from_secs(1);

/// HTTP/1.1 connections to one peer at once. At the bound exchanges wait in line for one.
pub const PEER_CONNECTIONS_MAX: usize = 16;

/// Peers a client remembers connections of. At the bound those that no exchange uses are closed.
pub const PEERS_MAX: usize = 256;

/// Exchanges one thread may have under way: about 10 KiB each. At the bound [`Outbound::begin`](crate::Outbound::begin)
/// refuses.
pub const EXCHANGES_MAX: usize = 4096;

/// Bytes that the answers arriving on one thread may hold together: thousands of usual ones. At the bound the exchange
/// whose answer needs more fails, so that peers that answer at great length cannot take a host's memory.
pub const ANSWERS_BYTES_MAX: usize = 64 << 20;

/// Of these, bytes of the answers of one peer, so that none can take what the others need. At the bound the exchange
/// with it whose answer needs more fails.
pub const ANSWERS_OF_PEER_BYTES_MAX: usize = 16 << 20;

/// Of these, bytes of the answers of all hosts that strangers name ([`Route::for_strangers`](crate::Route::for_strangers)):
/// the other half is for those that the operator named. At the bound the exchange whose answer needs more fails.
pub const ANSWERS_OF_STRANGERS_BYTES_MAX: usize = 32 << 20;

/// Bytes of the answers of one such host: the longest answer with room beside it for many usual ones. At the bound the
/// exchange with it whose answer needs more fails.
pub const ANSWERS_OF_STRANGER_BYTES_MAX: usize = 4 << 20;

/// Connections an exchange is tried on, where each of the earlier ones proved dead before anything was sent: a peer that
/// restarts has closed all that were kept.
pub const EXCHANGE_TRIES_MAX: usize = 3;

/// Threads that look up names, each blocked for as long as the system's resolver likes: some ten seconds for a name whose
/// servers are silent. At the bound lookups wait; those that nobody waits for any more are passed over.
pub const RESOLVER_THREADS_MAX: usize = 16;

/// Of these, threads that look up hosts that strangers name: dead zones on purpose hold no more. The others of them wait.
pub const RESOLVER_STRANGERS_THREADS_MAX: usize = 4;

/// Hosts that wait for a thread, and separately hosts that strangers name. At the bound the next is refused.
pub const RESOLVER_QUEUE_MAX: usize = 256;

/// How long a host is not looked up again after that failed: calls in a row do not all wait for a dead zone.
pub const RESOLVER_FAILED: Duration = Duration::from_secs(5);

/// Hosts whose lookup failed that are remembered for it, some 300 bytes each. At the bound no more are.
pub const RESOLVER_FAILURES_MAX: usize = 1024;

/// How long a thread waits for another name to look up before it ends.
pub const RESOLVER_IDLE: Duration = Duration::from_secs(10);

/// Threads a server may be asked for; above it the number is a mistake.
pub const REACTORS_MAX: usize = 256;

/// The bounds a reactor runs with; see the constant of the same name for unit, reason and consequence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each field is documented at the constant it takes its default from")]
pub struct NetLimits {
    pub hello_timeout: Duration,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
    pub write_stall_timeout: Duration,
    pub idle_timeout: Duration,
    pub close_timeout: Duration,
    pub header_bytes_max: u32,
    pub header_count_max: usize,
    pub body_bytes_max: usize,
    pub connections_max: usize,
    pub accepts_per_turn: usize,
    pub accept_backoff: Duration,
    pub polls_per_turn: usize,
    pub handshakes_per_turn: usize,
    pub requests_per_wake: u32,
    pub read_bytes_per_wake: usize,
    pub output_bytes_max: usize,
    pub linger_bytes_max: usize,
    pub h2_streams_max: u32,
    pub h2_pending_resets_max: usize,
    pub h2_error_resets_max: usize,
    pub h2_ping_interval: Duration,
    pub h2_ping_timeout: Duration,
}

impl Default for NetLimits {
    fn default() -> Self {
        Self {
            hello_timeout: HELLO_TIMEOUT,
            header_timeout: HEADER_TIMEOUT,
            body_timeout: BODY_TIMEOUT,
            write_stall_timeout: WRITE_STALL_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            close_timeout: CLOSE_TIMEOUT,
            header_bytes_max: HEADER_BYTES_MAX,
            header_count_max: HEADER_COUNT_MAX,
            body_bytes_max: BODY_BYTES_MAX,
            connections_max: CONNECTIONS_MAX,
            accepts_per_turn: ACCEPTS_PER_TURN,
            accept_backoff: ACCEPT_BACKOFF,
            polls_per_turn: POLLS_PER_TURN,
            handshakes_per_turn: HANDSHAKES_PER_TURN,
            requests_per_wake: REQUESTS_PER_WAKE,
            read_bytes_per_wake: READ_BYTES_PER_WAKE,
            output_bytes_max: OUTPUT_BYTES_MAX,
            linger_bytes_max: LINGER_BYTES_MAX,
            h2_streams_max: H2_STREAMS_MAX,
            h2_pending_resets_max: H2_PENDING_RESETS_MAX,
            h2_error_resets_max: H2_ERROR_RESETS_MAX,
            h2_ping_interval: H2_PING_INTERVAL,
            h2_ping_timeout: H2_PING_TIMEOUT,
        }
    }
}
