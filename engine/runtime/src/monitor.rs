//! Metrics and health over plain HTTP, on a listener and a thread of their own: whoever watches an engine takes nothing
//! from those it serves. It knows two paths.

use std::future::{Ready, ready};
use std::sync::Arc;

use herald_core::Service;
use herald_net::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use herald_net::{
    Address, Bytes, ListenSpec, Method, NetLimits, Peer, ReactorConfig, Refusal, Request, Response, Server,
    ServerConfig, StatusCode,
};

use crate::door::http_response;
use crate::engine::Parts;
use crate::error::EngineError;
use crate::limits::MONITOR_CONNECTIONS_MAX;
use crate::stats::Stats;

/// The metrics, as text for Prometheus.
const METRICS_PATH: &str = "/metrics";
/// Whether storing and retrieving would succeed.
const HEALTH_PATH: &str = "/health";

/// Starts the thread that serves the metrics of `parts` at `address`.
///
/// # Errors
/// [`EngineErrorKind::Network`](crate::EngineErrorKind::Network) if the address is taken.
pub(crate) fn start(address: std::net::SocketAddr, parts: &Arc<Parts>) -> Result<Server, EngineError> {
    let mut limits = NetLimits::default();
    limits.connections_max = MONITOR_CONNECTIONS_MAX;
    // Nobody has anything to send here.
    limits.body_bytes_max = 0;
    let reactor = ReactorConfig { limits, ..ReactorConfig::default() };
    let listen = vec![ListenSpec::Plain { address }];
    let parts = parts.clone();
    let config = ServerConfig { listen, reactors: Some(1), reactor };
    Ok(Server::start(config, move |_| Monitor { parts: parts.clone() })?)
}

/// Where a server that was started here listens.
pub(crate) fn address(server: &Server) -> Option<Address> {
    server.addresses().first().cloned()
}

struct Monitor {
    parts: Arc<Parts>,
}

impl herald_net::Service for Monitor {
    type Answer = Ready<Response<Bytes>>;

    fn answer(&self, _: &Peer, request: Request<Bytes>) -> Self::Answer {
        let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
        ready(match request.uri().path() {
            METRICS_PATH | HEALTH_PATH if !is_reading => not_allowed(),
            METRICS_PATH => text(StatusCode::OK, Stats::TEXT_TYPE, self.parts.stats().text()),
            HEALTH_PATH => http_response(Service::health(self.parts.health())),
            _ => plain(StatusCode::NOT_FOUND, "here are /metrics and /health"),
        })
    }

    fn refuse(&self, refusal: Refusal) -> Response<Bytes> {
        plain(refusal.status(), "send GET without a body for /metrics or /health")
    }
}

fn not_allowed() -> Response<Bytes> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "here is only something to GET");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn plain(status: StatusCode, why: &str) -> Response<Bytes> {
    text(status, "text/plain; charset=utf-8", format!("{why}\n"))
}

fn text(status: StatusCode, content_type: &'static str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
