//! Peers that send raw bytes, under TLS or not, and never block.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use socket2::{Domain, Socket, Type};

/// A peer of a hand-turned reactor.
pub(crate) struct RawPeer {
    pub(crate) stream: TcpStream,
    pub(crate) received: Vec<u8>,
    pub(crate) has_ended: bool,
    tls: Option<ClientConnection>,
}

impl RawPeer {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    /// A peer whose kernel takes as little as possible.
    pub(crate) fn connect_small(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, received: Vec::new(), has_ended: false, tls: None }
    }

    pub(crate) fn with_tls(mut self, chain_pem: &str, alpn: &[u8]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(chain_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        self.tls = Some(ClientConnection::new(Arc::new(config), name).unwrap());
        self
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// Queues bytes and sends what the kernel takes. Returns how many bytes were taken.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> usize {
        let Some(tls) = self.tls.as_mut() else {
            return match self.stream.write(bytes) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(_) => {
                    self.has_ended = true;
                    0
                }
            };
        };
        let count = tls.writer().write(bytes).unwrap();
        self.push();
        count
    }

    /// Sends what TLS has queued, without reading.
    pub(crate) fn push(&mut self) {
        let Some(tls) = self.tls.as_mut() else { return };
        while tls.wants_write() && tls.write_tls(&mut self.stream).is_ok() {}
    }

    /// Takes in what has arrived.
    pub(crate) fn pump(&mut self) {
        self.push();
        let mut buffer = [0_u8; 16 * 1024];
        loop {
            let read = match self.tls.as_mut() {
                None => self.stream.read(&mut buffer),
                Some(tls) => match tls.read_tls(&mut self.stream) {
                    Ok(count) if tls.process_new_packets().is_ok() => {
                        let plain = tls.reader().read(&mut buffer).unwrap_or(0);
                        self.received.extend_from_slice(&buffer[..plain]);
                        Ok(count)
                    }
                    Ok(_) => Ok(0),
                    Err(error) => Err(error),
                },
            };
            match read {
                Ok(0) => {
                    self.has_ended = true;
                    return;
                }
                Ok(count) if self.tls.is_none() => self.received.extend_from_slice(&buffer[..count]),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return self.push(),
                Err(_) => {
                    self.has_ended = true;
                    return;
                }
            }
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }

    pub(crate) fn has(&mut self, text: &str) -> bool {
        self.pump();
        self.text().contains(text)
    }

    pub(crate) fn ended(&mut self) -> bool {
        self.pump();
        self.has_ended
    }
}
