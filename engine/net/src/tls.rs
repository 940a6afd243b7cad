//! TLS settings: what we offer as a server, built from PEM, and a slot that lets them be replaced while
//! connections live.
//!
//! The cryptography is ring's, named explicitly; the process default of rustls is neither read nor set. Knows
//! nothing of files: the host reads them.

use core::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::NetError;
use crate::limits::CERTIFICATES_MAX;

/// HTTP/2 first, then HTTP/1.1 (RFC 7301; RFC 9113 §3.2).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The TLS settings of a listener, shared by its reactors and replaceable at any time from any thread.
///
/// A connection keeps the settings it began with; the next one takes the new ones.
#[derive(Clone)]
pub struct TlsSlot {
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

impl TlsSlot {
    /// A slot that holds `config`.
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self { current: Arc::new(RwLock::new(config)) }
    }

    /// Replaces the settings for connections that begin from now on.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        *self.current.write() = config;
    }

    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.current.read().clone()
    }
}

impl fmt::Debug for TlsSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsSlot")
    }
}

/// Whether a peer has to show a certificate.
#[derive(Clone, Copy, Debug, Default)]
pub enum ClientCertificates<'a> {
    /// None is asked for.
    #[default]
    NotAsked,
    /// One may be shown; if it is, it must chain to these authorities (PEM).
    Optional(&'a [u8]),
    /// One must be shown, and chain to these authorities (PEM).
    Required(&'a [u8]),
}

/// Server settings: TLS 1.3 and 1.2 with AEAD suites only, ALPN `h2` and `http/1.1`, stateless session tickets, no
/// 0-RTT (a replayed store would be a second store). rustls knows no renegotiation.
///
/// `chain_pem` is the certificate chain, leaf first; `key_pem` the leaf's key (PKCS #8, SEC 1 or PKCS #1).
///
/// # Errors
/// [`NetError::Tls`] if a PEM text holds nothing usable or the key does not belong to the certificate.
pub fn tls_server_config(
    chain_pem: &[u8],
    key_pem: &[u8],
    clients: ClientCertificates<'_>,
) -> Result<Arc<ServerConfig>, NetError> {
    let chain = certificates(chain_pem, "certificate chain")?;
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| NetError::tls("private key", error))?;
    let provider = provider();
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| NetError::tls("TLS version", error))?;
    let builder = match client_verifier(clients, provider)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| NetError::tls("certificate chain with this key", error))?;
    config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
    config.max_early_data_size = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer =
        rustls::crypto::ring::Ticketer::new().map_err(|error| NetError::tls("ticket key", error))?;
    Ok(Arc::new(config))
}

fn client_verifier(
    clients: ClientCertificates<'_>,
    provider: Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn rustls::server::danger::ClientCertVerifier>>, NetError> {
    let (pem, optional) = match clients {
        ClientCertificates::NotAsked => return Ok(None),
        ClientCertificates::Optional(pem) => (pem, true),
        ClientCertificates::Required(pem) => (pem, false),
    };
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(pem)?), provider);
    let builder = if optional { builder.allow_unauthenticated() } else { builder };
    let verifier = builder.build().map_err(|error| NetError::tls("client authorities", error))?;
    Ok(Some(verifier))
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The authorities in a PEM text.
pub(crate) fn roots(pem: &[u8]) -> Result<RootCertStore, NetError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem, "list of authorities")? {
        store.add(certificate).map_err(|error| NetError::tls("list of authorities", error))?;
    }
    Ok(store)
}

fn certificates(pem: &[u8], part: &'static str) -> Result<Vec<CertificateDer<'static>>, NetError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).take(CERTIFICATES_MAX + 1).collect();
    let found = found.map_err(|error| NetError::tls(part, error))?;
    match found.len() {
        0 => Err(NetError::tls(part, "it holds no certificate in PEM form")),
        count if count > CERTIFICATES_MAX => {
            Err(NetError::tls(part, format_args!("it holds more than {CERTIFICATES_MAX} certificates")))
        }
        _ => Ok(found),
    }
}
