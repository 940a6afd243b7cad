//! A blocking HTTP client over the same transport as the reactors: one request, one answer, one deadline.
//!
//! Connections are kept and used again. Follows no redirect, keeps no cookie, reads no environment: whom it
//! talks to is the caller's decision alone.

mod connection;
mod drive;
mod error;

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use hyper::body::Bytes;
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Request, Response, Uri};
use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;

pub use error::ClientError;

use crate::error::NetError;
use crate::limits::{CLIENT_ADDRESSES_MAX, CLIENT_ANSWER_BYTES_MAX, CLIENT_CONNECTIONS_MAX};
use crate::stream::Stream;
use crate::tls;
use connection::{Connection, Deadline, TlsTarget, WholeBody};

/// Which version of HTTP a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// What ALPN yields, HTTP/2 preferred; HTTP/1.1 where there is no TLS.
    #[default]
    Any,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; without TLS by prior knowledge (RFC 9113 §3.3).
    Http2,
}

/// A blocking client. Any thread; requests made at the same time use a connection each.
pub struct Client {
    route: Route,
    protocol: Protocol,
    answer_bytes_max: usize,
    idle: Mutex<VecDeque<(Authority, Connection)>>,
}

enum Route {
    Tls(Arc<ClientConfig>),
    Plain,
    Unix(PathBuf),
}

impl Client {
    /// A client for `https` URIs that trusts the authorities in `roots_pem` and no others.
    ///
    /// # Errors
    /// [`NetError::Tls`] if the text holds no usable certificate.
    pub fn https(roots_pem: &[u8]) -> Result<Self, NetError> {
        let builder = ClientConfig::builder_with_provider(tls::provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| NetError::tls("TLS version", error))?;
        let config = builder.with_root_certificates(tls::roots(roots_pem)?).with_no_client_auth();
        Ok(Self::https_with(config))
    }

    /// A client for `https` URIs with TLS settings of the caller's, such as a client certificate. Its ALPN list is
    /// replaced.
    pub fn https_with(config: ClientConfig) -> Self {
        Self::new(Route::Tls(Arc::new(config))).protocol(Protocol::Any)
    }

    /// A client for the service behind a Unix socket. The URI's path is sent; scheme and host are ignored.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::new(Route::Unix(path.into()))
    }

    /// A client for `http` URIs, without TLS: loopback only.
    pub fn plain() -> Self {
        Self::new(Route::Plain)
    }

    /// Chooses the version of HTTP.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        if let Route::Tls(config) = &mut self.route {
            let names: &[&[u8]] = match protocol {
                Protocol::Any => &[b"h2", b"http/1.1"],
                Protocol::Http1 => &[b"http/1.1"],
                Protocol::Http2 => &[b"h2"],
            };
            Arc::make_mut(config).alpn_protocols = names.iter().map(|name| name.to_vec()).collect();
        }
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
        let authority = self.authority(request.uri())?;
        let mut request = request.map(|bytes| WholeBody(Some(bytes)));
        if let Some(mut connection) = self.take_idle(&authority) {
            self.shape(&mut request, &authority, connection.is_h2())?;
            match connection.exchange(request, self.answer_bytes_max, deadline) {
                Ok(response) => return Ok(self.keep(authority, connection, response)),
                Err(failed) => request = *failed.unsent.ok_or(failed.error)?,
            }
        }
        let mut connection = self.connect(&authority, deadline)?;
        self.shape(&mut request, &authority, connection.is_h2())?;
        let exchanged = connection.exchange(request, self.answer_bytes_max, deadline);
        let response = exchanged.map_err(|failed| failed.error)?;
        Ok(self.keep(authority, connection, response))
    }

    fn new(route: Route) -> Self {
        Self {
            route,
            protocol: Protocol::Any,
            answer_bytes_max: CLIENT_ANSWER_BYTES_MAX,
            idle: Mutex::new(VecDeque::new()),
        }
    }

    fn scheme(&self) -> Scheme {
        match self.route {
            Route::Tls(_) => Scheme::HTTPS,
            Route::Plain | Route::Unix(_) => Scheme::HTTP,
        }
    }

    fn authority(&self, uri: &Uri) -> Result<Authority, ClientError> {
        let bad = |reason| ClientError::BadRequest { reason };
        if matches!(self.route, Route::Unix(_)) {
            return Ok(Authority::from_static("localhost"));
        }
        if uri.scheme() != Some(&self.scheme()) {
            return Err(bad(match self.route {
                Route::Tls(_) => "the URI does not begin with https://",
                _ => "the URI does not begin with http://",
            }));
        }
        uri.authority().cloned().ok_or(bad("the URI names no host"))
    }

    /// Puts the URI into the form the version wants (RFC 9112 §3.2.1, RFC 9113 §8.3.1).
    fn shape(
        &self,
        request: &mut Request<WholeBody>,
        authority: &Authority,
        is_h2: bool,
    ) -> Result<(), ClientError> {
        let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        let uri = if is_h2 {
            Uri::builder().scheme(self.scheme()).authority(authority.clone()).path_and_query(path).build()
        } else {
            Uri::builder().path_and_query(path).build()
        };
        *request.uri_mut() =
            uri.map_err(|_| ClientError::BadRequest { reason: "the URI has no usable path" })?;
        if is_h2 {
            request.headers_mut().remove(HOST);
        } else if !request.headers().contains_key(HOST) {
            let host = HeaderValue::from_str(authority.as_str()).map_err(|_| ClientError::BadRequest {
                reason: "the URI's host cannot be sent in a header",
            })?;
            request.headers_mut().insert(HOST, host);
        }
        Ok(())
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
        let is_h2 = self.protocol == Protocol::Http2;
        let Route::Unix(path) = &self.route else { return self.connect_tcp(authority, is_h2, deadline) };
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
            // Each address gets its share of the time that is left.
            let left = deadline.at.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let tls = self.tls_target(authority)?;
            outcome = open_tcp(*address, tls, is_h2, Deadline { at: Instant::now() + share, ..deadline });
            if !matches!(outcome, Err(ClientError::Connect { .. } | ClientError::Timeout { .. })) {
                return outcome;
            }
        }
        outcome
    }

    fn resolve(&self, authority: &Authority) -> Result<Vec<SocketAddr>, ClientError> {
        let default_port = if matches!(self.route, Route::Tls(_)) { 443 } else { 80 };
        let port = authority.port_u16().unwrap_or(default_port);
        let host = bare_host(authority);
        let found = (host, port)
            .to_socket_addrs()
            .map_err(|source| ClientError::Resolve { host: host.to_owned(), source })?;
        Ok(found.take(CLIENT_ADDRESSES_MAX).collect())
    }

    fn tls_target(&self, authority: &Authority) -> Result<Option<TlsTarget>, ClientError> {
        let Route::Tls(config) = &self.route else { return Ok(None) };
        let host = bare_host(authority).to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| ClientError::BadRequest {
            reason: "the URI's host is no name a certificate can hold",
        })?;
        Ok(Some(TlsTarget { config: config.clone(), name, host }))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let route = match &self.route {
            Route::Tls(_) => "https",
            Route::Plain => "http",
            Route::Unix(_) => "unix",
        };
        f.debug_struct("Client")
            .field("route", &route)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

/// The host without the brackets of an IPv6 literal.
fn bare_host(authority: &Authority) -> &str {
    authority.host().trim_start_matches('[').trim_end_matches(']')
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
