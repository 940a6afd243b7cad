//! What the tests of the generator share: a server on a core of its own, and a plan to load it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use herald_load::{Operation, Pace, Plan, Protocol, tls_client_config};
use herald_net::{
    Address, ClientCertificates, ListenSpec, Server, ServerConfig, Service, TlsSlot, tls_server_config,
};

/// Bytes of a body as the service takes them.
pub(crate) const SMALL: usize = 640;

pub(crate) struct Target {
    _server: Server,
    address: SocketAddr,
    roots: String,
}

impl Target {
    pub(crate) fn start<S: Service>(
        body_bytes_max: usize,
        service: impl Fn(usize) -> S + Send + Sync + 'static,
    ) -> Self {
        let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let roots = signed.cert.pem();
        let key = signed.signing_key.serialize_pem();
        let tls = tls_server_config(roots.as_bytes(), key.as_bytes(), ClientCertificates::NotAsked).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let listen = vec![ListenSpec::Tls { address, tls: TlsSlot::new(tls) }];
        let mut config = ServerConfig { listen, reactors: Some(1), ..ServerConfig::default() };
        config.reactor.limits.body_bytes_max = body_bytes_max;
        let server = Server::start(config, service).unwrap();
        let Address::Tcp(address) = server.addresses()[0] else { panic!("TLS listens on TCP") };
        Self { _server: server, address, roots }
    }

    pub(crate) fn plan(&self, protocol: Protocol, depth: usize, pace: Pace) -> Plan {
        Plan {
            address: self.address,
            host: self.address.to_string(),
            tls: Some(tls_client_config(self.roots.as_bytes(), protocol).unwrap()),
            protocol,
            operation: Operation::Store,
            connections: 2,
            depth,
            threads: 1,
            pace,
            warmup: Duration::ZERO,
            duration: Duration::from_secs(1),
            numbers: 1000,
            body_bytes: SMALL,
            records: 64,
            seed: 1,
            tokens: None,
        }
    }
}
