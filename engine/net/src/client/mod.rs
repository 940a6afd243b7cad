//! A blocking HTTP client over the same transport as the reactors: one request, one answer, one deadline.
//!
//! Connections are kept and used again. Follows no redirect, keeps no cookie, reads no environment: whom it
//! talks to is the caller's decision alone.

pub(crate) mod connection;
mod drive;
mod error;
pub(crate) mod route;

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Instant;

use hyper::body::Bytes;
use hyper::http::uri::Authority;
use hyper::{Request, Response};
use parking_lot::Mutex;
use rustls::ClientConfig;

pub use error::ClientError;
pub use route::{Protocol, Route};

use crate::error::NetError;
use crate::limits::{CLIENT_ADDRESSES_MAX, CLIENT_ANSWER_BYTES_MAX, CLIENT_CONNECTIONS_MAX};
use crate::stream::Stream;
use connection::{TlsTarget, WholeBody};
use drive::{Connection, Deadline};
use route::{Way, bare_host};

/// A blocking client. Any thread; requests made at the same time use a connection each.
pub struct Client {
    route: Route,
    answer_bytes_max: usize,
    idle: Mutex<VecDeque<(Authority, Connection)>>,
}

impl Client {
    /// A client for `https` URIs that trusts the authorities in `roots_pem` and no others.
    ///
    /// # Errors
    /// [`NetError::Tls`] if the text holds no usable certificate.
    pub fn https(roots_pem: &[u8]) -> Result<Self, NetError> {
        Ok(Self::new(Route::https(roots_pem)?))
    }

    /// A client for `https` URIs with TLS settings of the caller's, such as a client certificate. Its ALPN list is
    /// replaced.
    pub fn https_with(config: ClientConfig) -> Self {
        Self::new(Route::https_with(config))
    }

    /// A client for the service behind a Unix socket. The URI's path is sent; scheme and host are ignored.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::new(Route::unix(path))
    }

    /// A client for `http` URIs, without TLS: loopback only.
    pub fn plain() -> Self {
        Self::new(Route::plain())
    }

    /// A client that goes by `route`.
    pub fn new(route: Route) -> Self {
        Self { route, answer_bytes_max: CLIENT_ANSWER_BYTES_MAX, idle: Mutex::new(VecDeque::new()) }
    }

    /// Chooses the version of HTTP.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.route = self.route.protocol(protocol);
        self
    }

    /// Accepts answers of up to `bytes` bytes.
    #[must_use]
    pub fn answer_bytes_max(mut self, bytes: usize) -> Self {
        self.answer_bytes_max = bytes;
        self
    }

    /// Sends a request and waits for the whole answer, for at most `deadline` in all. Blocks the calling thread.
    ///
    /// A connection that proves dead before any of the request was sent is replaced once. Looking up a host name
    /// is the system's business: it blocks for as long as its resolver likes, and the time counts.
    ///
    /// # Errors
    /// See [`ClientError`]. After an error the server may or may not have acted on the request.
    pub fn request(
        &self,
        request: Request<Bytes>,
        deadline: Duration,
    ) -> Result<Response<Bytes>, ClientError> {
        let deadline = Deadline { allowed: deadline, at: Instant::now() + deadline };
        let authority = self.route.authority(request.uri())?;
        let mut request = request.map(|bytes| WholeBody(Some(bytes)));
        if let Some(mut connection) = self.take_idle(&authority) {
            self.route.shape(&mut request, &authority, connection.is_h2())?;
            match connection.exchange(request, self.answer_bytes_max, deadline) {
                Ok(response) => return Ok(self.keep(authority, connection, response)),
                Err(failed) => request = *failed.unsent.ok_or(failed.error)?,
            }
        }
        let mut connection = self.connect(&authority, deadline)?;
        self.route.shape(&mut request, &authority, connection.is_h2())?;
        let exchanged = connection.exchange(request, self.answer_bytes_max, deadline);
        let response = exchanged.map_err(|failed| failed.error)?;
        Ok(self.keep(authority, connection, response))
    }

    fn take_idle(&self, authority: &Authority) -> Option<Connection> {
        loop {
            let mut connection = {
                let mut idle = self.idle.lock();
                let position = idle.iter().rposition(|(owner, _)| owner == authority)?;
                idle.remove(position)?.1
            };
            if connection.is_usable() {
                return Some(connection);
            }
        }
    }

    fn keep(
        &self,
        authority: Authority,
        mut connection: Connection,
        response: Response<Bytes>,
    ) -> Response<Bytes> {
        if connection.is_usable() {
            let mut idle = self.idle.lock();
            idle.push_back((authority, connection));
            if idle.len() > CLIENT_CONNECTIONS_MAX {
                idle.pop_front();
            }
        }
        response
    }

    fn connect(&self, authority: &Authority, deadline: Deadline) -> Result<Connection, ClientError> {
        let is_h2 = self.route.is_h2_known();
        let Way::Unix(path) = &self.route.way else { return self.connect_tcp(authority, is_h2, deadline) };
        let target = path.display().to_string();
        let stream = mio::net::UnixStream::connect(path)
            .map_err(|source| ClientError::Connect { target: target.clone(), source })?;
        Connection::open(Stream::Unix(stream), &target, None, is_h2, deadline)
    }

    fn connect_tcp(
        &self,
        authority: &Authority,
        is_h2: bool,
        deadline: Deadline,
    ) -> Result<Connection, ClientError> {
        let addresses = self.resolve(authority)?;
        let mut outcome = Err(ClientError::BadRequest { reason: "the URI's host has no address" });
        for (tried, address) in addresses.iter().enumerate() {
            if let Err(what) = self.route.addresses.check(address.ip()) {
                let host = bare_host(authority).to_owned();
                outcome = Err(ClientError::AddressRefused { host, address: address.ip(), what });
                continue;
            }
            // Each address gets its share of the time that is left.
            let left = deadline.at.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let tls = self.route.tls_target(authority)?;
            outcome = open_tcp(*address, tls, is_h2, Deadline { at: Instant::now() + share, ..deadline });
            if !matches!(outcome, Err(ClientError::Connect { .. } | ClientError::Timeout { .. })) {
                return outcome;
            }
        }
        outcome
    }

    fn resolve(&self, authority: &Authority) -> Result<Vec<SocketAddr>, ClientError> {
        let host = bare_host(authority);
        let found = (host, self.route.port(authority))
            .to_socket_addrs()
            .map_err(|source| ClientError::Resolve { host: host.to_owned(), source })?;
        Ok(found.take(CLIENT_ADDRESSES_MAX).collect())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("route", &self.route).finish_non_exhaustive()
    }
}

fn open_tcp(
    address: SocketAddr,
    tls: Option<TlsTarget>,
    is_h2: bool,
    deadline: Deadline,
) -> Result<Connection, ClientError> {
    let target = address.to_string();
    let stream = mio::net::TcpStream::connect(address)
        .map_err(|source| ClientError::Connect { target: target.clone(), source })?;
    // Requests are written whole; waiting to fill segments only adds delay.
    let _ = stream.set_nodelay(true);
    Connection::open(Stream::Tcp(stream), &target, tls, is_h2, deadline)
}
