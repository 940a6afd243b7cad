//! The sockets of the questions under way: one each, so that every question has a port of its own to guess.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};

use mio::net::{TcpStream, UdpSocket};
use mio::{Interest, Registry, Token};

use crate::limits::{DATAGRAM_BYTES_MAX, TCP_REPLY_BYTES_MAX};
use crate::resolver::{QueryKey, Transport};

/// Open sockets.
pub(crate) struct Sockets {
    registry: Registry,
    open: HashMap<QueryKey, Socket>,
    datagram: Box<[u8; DATAGRAM_BYTES_MAX]>,
}

enum Socket {
    Udp(UdpSocket),
    Tcp(Stream),
}

struct Stream {
    socket: TcpStream,
    /// The length and the question; what of it was sent.
    output: Vec<u8>,
    sent: usize,
    /// The length and the reply, as far as it has come.
    input: Vec<u8>,
}

impl Sockets {
    pub(crate) fn new(registry: Registry) -> Self {
        Self { registry, open: HashMap::new(), datagram: Box::new([0; DATAGRAM_BYTES_MAX]) }
    }

    /// Sends `message` from a new socket.
    pub(crate) fn open(
        &mut self,
        key: QueryKey,
        server: SocketAddr,
        transport: Transport,
        message: &[u8],
    ) -> io::Result<()> {
        let token = Token(key.0);
        let socket = match transport {
            Transport::Udp => {
                let any = match server.ip() {
                    IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                    IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                };
                // The system chooses the port at random.
                let mut socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
                socket.connect(server)?;
                socket.send(message)?;
                self.registry.register(&mut socket, token, Interest::READABLE)?;
                Socket::Udp(socket)
            }
            Transport::Tcp => {
                let mut socket = TcpStream::connect(server)?;
                self.registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
                let len = u16::try_from(message.len()).map_err(|_| ErrorKind::InvalidInput)?;
                let output = [&len.to_be_bytes(), message].concat();
                Socket::Tcp(Stream { socket, output, sent: 0, input: Vec::new() })
            }
        };
        self.open.insert(key, socket);
        Ok(())
    }

    /// Closes a socket.
    pub(crate) fn close(&mut self, key: QueryKey) {
        // Dropping it deregisters it too.
        self.open.remove(&key);
    }

    /// Hands what came on a socket to `take`, message after message, until that says that it is enough.
    pub(crate) fn receive(&mut self, key: QueryKey, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
        match self.open.get_mut(&key) {
            None => Ok(()),
            Some(Socket::Udp(socket)) => loop {
                match socket.recv(&mut *self.datagram) {
                    Ok(len) if take(&self.datagram[..len]) => {}
                    Ok(_) => return Ok(()),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            },
            Some(Socket::Tcp(stream)) => {
                if stream.send()? && stream.receive()? {
                    take(&stream.input[LENGTH_BYTES..]);
                }
                Ok(())
            }
        }
    }
}

const LENGTH_BYTES: usize = 2;

impl Stream {
    /// Sends what is left; whether that was all.
    fn send(&mut self) -> io::Result<bool> {
        while self.sent < self.output.len() {
            match self.socket.write(&self.output[self.sent..]) {
                Ok(len) => self.sent += len,
                Err(error) if is_not_yet(&error) => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Receives the one reply; whether it is whole. What comes behind it is not read.
    fn receive(&mut self) -> io::Result<bool> {
        loop {
            let whole = match self.input.first_chunk() {
                None => LENGTH_BYTES,
                Some(len) => LENGTH_BYTES + usize::from(u16::from_be_bytes(*len)),
            };
            let missing = whole - self.input.len();
            if missing == 0 && self.input.len() >= LENGTH_BYTES {
                return Ok(self.input.len() > LENGTH_BYTES);
            }
            match self.read(missing) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if is_not_yet(&error) => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn read(&mut self, missing: usize) -> io::Result<usize> {
        let mut part = [0; 4096];
        debug_assert!(self.input.len() < LENGTH_BYTES + TCP_REPLY_BYTES_MAX, "a length has two bytes");
        let len = self.socket.read(&mut part[..missing.min(4096)])?;
        self.input.extend_from_slice(&part[..len]);
        Ok(len)
    }
}

/// Not connected yet, or nothing to be had now.
fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}
