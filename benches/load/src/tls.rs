//! TLS settings of the generator.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::error::LoadError;
use crate::plan::Protocol;

/// Settings that trust the authorities in `roots_pem` and offer `protocol` alone.
///
/// # Errors
/// [`LoadError::Option`] if the text holds no usable certificate.
pub fn tls_client_config(roots_pem: &[u8], protocol: Protocol) -> Result<Arc<ClientConfig>, LoadError> {
    let unusable = |error: &dyn core::fmt::Display| LoadError::Option(format!("the authorities: {error}"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(roots_pem) {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() {
        return Err(unusable(&"no certificate in PEM form"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![match protocol {
        Protocol::Http1 => b"http/1.1".to_vec(),
        Protocol::Http2 => b"h2".to_vec(),
    }];
    Ok(Arc::new(config))
}
