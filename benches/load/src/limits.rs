//! Every bound of the generator, with its unit, its reason and what happens there.

use core::time::Duration;

/// Connections of one run; the server's own bound is of this order. More are refused.
pub const CONNECTIONS_MAX: usize = 16 * 1024;
/// Requests under way on one connection. More are refused: what a server lets one peer have is far less.
pub const DEPTH_MAX: usize = 1024;
/// Threads of one run. More are refused: each keeps a core busy.
pub const THREADS_MAX: usize = 64;
/// Seconds of one run, warm-up apart. More are refused.
pub const SECONDS_MAX: f64 = 600.0;
/// Requests a second of all threads. More are refused: their distance would be a few nanoseconds.
pub const RATE_MAX: u64 = 100_000_000;
/// Bytes of a body: what the length of a record in a batch can say. More are refused.
pub const BODY_BYTES_MAX: usize = 65_535;
/// Placements in a batch: so many a server answers on HTTP/1.1 without being read meanwhile. More are refused.
pub const RECORDS_MAX: usize = 3000;

/// Stores of a run that are made ahead with their MACs: 20 bytes each, 80 MiB in all. More are refused.
pub const PREPARED_MAX: usize = 4 * 1024 * 1024;

/// Bytes of a host's name and port: what one byte of length can say in HTTP/2. A longer one is refused.
pub const HOST_BYTES_MAX: usize = 126;

/// How long connecting, the TLS handshake included, may take. At the bound the run ends with an error.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request for tokens, or to open a session, may take: tokens are redeemed in turn, with a share of a core. At the
/// bound the run ends with an error.
pub const TOKEN_REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// Threads that open sessions before a run: one waits for each token, and the service redeems those together that wait.
pub(crate) const OPENERS: usize = 16;
/// How long answers are waited for after the last request was due. What is missing then counts as unanswered,
/// with the latency it had reached.
pub const LAST_ANSWERS_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest latency the histogram tells from a longer one, in nanoseconds: a minute.
pub const LATENCY_NANOS_MAX: u64 = 60_000_000_000;
/// Decimal digits of a latency that are kept.
pub const LATENCY_DIGITS: u8 = 3;

/// Readiness events taken from the kernel at once; the rest stay there for the next look.
pub(crate) const EVENTS_MAX: usize = 1024;
/// Bytes of one plain read.
pub(crate) const READ_CHUNK_BYTES: usize = 64 * 1024;
/// Header lines of an answer. One with more ends the run.
pub(crate) const HEADERS_MAX: usize = 32;
/// Bytes of an answer's head, or of an HTTP/2 frame. A longer one ends the run.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;
