//! How a client reaches its peers: over TLS, without, or through a Unix socket; in which version of HTTP; and which
//! addresses it may connect to.

use core::fmt;
use core::time::Duration;
use std::path::PathBuf;
use std::sync::Arc;

use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Request, Uri};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;

use super::connection::{TlsTarget, WholeBody};
use super::error::ClientError;
use crate::error::NetError;
use crate::limits::CLIENT_PING_TIMEOUT;
use crate::outbound::AddressRule;
use crate::tls;

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

/// A way to peers. Exchanges by the same route share kept connections.
#[derive(Clone)]
pub struct Route {
    pub(crate) way: Way,
    pub(crate) protocol: Protocol,
    pub(crate) addresses: AddressRule,
    pub(crate) is_for_strangers: bool,
    pub(crate) ping_timeout: Duration,
}

#[derive(Clone)]
pub(crate) enum Way {
    Tls(Arc<ClientConfig>),
    Plain,
    Unix(PathBuf),
}

impl Route {
    /// To `https` URIs whose certificates chain to the authorities in `roots_pem` and no others.
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

    /// To `https` URIs with TLS settings of the caller's, such as a client certificate. Its ALPN list is replaced.
    pub fn https_with(config: ClientConfig) -> Self {
        Self::new(Way::Tls(Arc::new(config))).protocol(Protocol::Any)
    }

    /// To the service behind a Unix socket. The URI's path is sent; scheme and host are ignored.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::new(Way::Unix(path.into()))
    }

    /// To `http` URIs, without TLS: loopback only.
    pub fn plain() -> Self {
        Self::new(Way::Plain)
    }

    /// Chooses the version of HTTP.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        if let Way::Tls(config) = &mut self.way {
            let names: &[&[u8]] = match protocol {
                Protocol::Any => &[b"h2", b"http/1.1"],
                Protocol::Http1 => &[b"http/1.1"],
                Protocol::Http2 => &[b"h2"],
            };
            Arc::make_mut(config).alpn_protocols = names.iter().map(|name| name.to_vec()).collect();
        }
        self
    }

    /// Chooses which addresses may be connected to; all, unless told otherwise.
    #[must_use]
    pub fn addresses(mut self, rule: AddressRule) -> Self {
        self.addresses = rule;
        self
    }

    /// Says that strangers name the hosts this leads to, so that an [`Outbound`](crate::Outbound) leaves most of its memory
    /// for answers and most of its lookups to the others.
    #[must_use]
    pub fn for_strangers(mut self) -> Self {
        self.is_for_strangers = true;
        self
    }

    /// How long an HTTP/2 peer may leave a ping unanswered before its connection is given up, with all exchanges on it;
    /// [`CLIENT_PING_TIMEOUT`], unless told otherwise. With twice the longest exchange none is broken off before its own
    /// deadline: one that ran into it has left the connection to those under way.
    #[must_use]
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.ping_timeout = timeout;
        self
    }

    fn new(way: Way) -> Self {
        Self {
            way,
            protocol: Protocol::Any,
            addresses: AddressRule::Any,
            is_for_strangers: false,
            ping_timeout: CLIENT_PING_TIMEOUT,
        }
    }

    fn scheme(&self) -> Scheme {
        match self.way {
            Way::Tls(_) => Scheme::HTTPS,
            Way::Plain | Way::Unix(_) => Scheme::HTTP,
        }
    }

    /// Without TLS nothing is negotiated: whether the version is HTTP/2 must be known.
    pub(crate) fn is_h2_known(&self) -> bool {
        self.protocol == Protocol::Http2
    }

    /// Whom the URI names.
    pub(crate) fn authority(&self, uri: &Uri) -> Result<Authority, ClientError> {
        let bad = |reason| ClientError::BadRequest { reason };
        if matches!(self.way, Way::Unix(_)) {
            return Ok(Authority::from_static("localhost"));
        }
        if uri.scheme() != Some(&self.scheme()) {
            return Err(bad(match self.way {
                Way::Tls(_) => "the URI does not begin with https://",
                _ => "the URI does not begin with http://",
            }));
        }
        uri.authority().cloned().ok_or(bad("the URI names no host"))
    }

    /// The port of an authority, the scheme's where it names none.
    pub(crate) fn port(&self, authority: &Authority) -> u16 {
        authority.port_u16().unwrap_or(if matches!(self.way, Way::Tls(_)) { 443 } else { 80 })
    }

    /// Puts the URI into the form the version wants (RFC 9112 §3.2.1, RFC 9113 §8.3.1).
    pub(crate) fn shape(
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

    pub(crate) fn tls_target(&self, authority: &Authority) -> Result<Option<TlsTarget>, ClientError> {
        let Way::Tls(config) = &self.way else { return Ok(None) };
        let host = bare_host(authority).to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| ClientError::BadRequest {
            reason: "the URI's host is no name a certificate can hold",
        })?;
        Ok(Some(TlsTarget { config: config.clone(), name, host }))
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match &self.way {
            Way::Tls(_) => "https",
            Way::Plain => "http",
            Way::Unix(_) => "unix",
        };
        f.debug_struct("Route").field("way", &way).field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

/// The host without the brackets of an IPv6 literal.
pub(crate) fn bare_host(authority: &Authority) -> &str {
    authority.host().trim_start_matches('[').trim_end_matches(']')
}
