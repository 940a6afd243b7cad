//! Reactors: HTTP/1.1 and HTTP/2 over TLS, Unix sockets and plain TCP, served and asked.
//!
//! Read in call order: [`ListenSpec`] says what to listen on, [`Listeners`] binds it, a [`Reactor`] accepts from
//! its share of the listeners and hands whole requests to a [`Service`], and a [`Server`] runs one reactor on each
//! of its threads. The other side is [`Outbound`], which carries many exchanges at once and never waits for one, and
//! [`Client`]: blocking, one request at a time.
//!
//! There is no async runtime: hyper's connections are polled by a small executor inside the reactor, and mio
//! says when a socket is ready. Reactors share nothing.
//!
//! This crate knows transport and its bounds ([`limits`]). It knows no route, no placement, no policy and no
//! file but Unix sockets: certificates come as bytes, refusals are worded by the service.

mod account;
mod answer;
mod client;
mod clock;
mod connection;
mod conversation;
mod counters;
mod error;
mod exchange;
mod executor;
mod io;
pub mod limits;
mod listener;
mod outbound;
mod reactor;
mod server;
mod service;
mod stream;
pub mod sync;
mod timers;
mod tls;

pub use client::{Client, ClientError, Protocol, Route};
pub use clock::{Clock, ManualClock, SystemClock};
pub use counters::{CountersSnapshot, DURATION_BUCKETS, DURATION_FIRST_US, Durations};
pub use error::NetError;
pub use hyper::body::Bytes;
pub use hyper::http::request::Parts;
pub use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version, header};
pub use limits::NetLimits;
pub use listener::{Address, ListenSpec, Listener, Listeners};
pub use outbound::{
    AddressBlock, AddressRule, Answered, BadAddressBlock, Dialer, Exchange, ExchangeId, Outbound,
    OutboundWaker, Resolver, ResolverReply, Surroundings, SystemDialer, SystemResolver,
};
pub use reactor::{Reactor, ReactorConfig, ReactorHandle, ReactorState, TurnReport};
pub use server::{Server, ServerConfig};
pub use service::{BadHead, Dialogue, InputEnd, Intake, Peer, Refusal, Service};
pub use tls::{ClientCertificates, TlsSlot, tls_server_config};
