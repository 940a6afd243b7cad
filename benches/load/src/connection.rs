//! One connection of a run: a socket, TLS or none, and HTTP on top.

use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use mio::{Interest, Registry, Token};
use rustls::ClientConnection;
use rustls_pki_types::ServerName;

use crate::error::LoadError;
use crate::http1::Http1;
use crate::http2::Http2;
use crate::limits::{CONNECT_TIMEOUT, READ_CHUNK_BYTES};
use crate::plan::{Plan, Protocol};
use crate::results::Expected;
use crate::workload::{Operation, Workload};

/// An open connection.
pub(crate) struct Connection {
    stream: mio::net::TcpStream,
    tls: Option<Box<ClientConnection>>,
    http: Http,
    /// Plain bytes that neither TLS nor the socket has taken yet.
    out: Vec<u8>,
    /// Plain bytes of answers that are not complete.
    inbox: Vec<u8>,
}

enum Http {
    One(Http1),
    Two(Box<Http2>),
}

impl Connection {
    /// Connects and shakes hands; blocks meanwhile.
    pub(crate) fn open(plan: &Plan) -> Result<Self, LoadError> {
        let failed = |source| LoadError::Connect { target: plan.address.to_string(), source };
        let mut stream = connect(plan.address).map_err(failed)?;
        let tls = shake_hands(plan, &mut stream).map_err(failed)?;
        stream.set_nonblocking(true).map_err(failed)?;
        let mut out = Vec::new();
        let is_batch = plan.operation == Operation::Batch;
        let expected = if is_batch { Expected::Stored(plan.records) } else { Expected::Anything };
        let http = match plan.protocol {
            Protocol::Http1 => Http::One(Http1::new(&plan.host, expected)),
            Protocol::Http2 => Http::Two(Box::new(Http2::new(plan, expected, &mut out))),
        };
        let stream = mio::net::TcpStream::from_std(stream);
        Ok(Self { stream, tls, http, out, inbox: Vec::new() })
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.stream, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Queues the workload's request.
    pub(crate) fn ask(&mut self, workload: &Workload, due: Instant) {
        match &mut self.http {
            Http::One(http) => http.ask(workload, due, &mut self.out),
            Http::Two(http) => http.ask(workload, due, &mut self.out),
        }
    }

    /// When the requests were due that are not answered yet.
    pub(crate) fn under_way(&self) -> Vec<Instant> {
        match &self.http {
            Http::One(http) => http.under_way().collect(),
            Http::Two(http) => http.under_way().collect(),
        }
    }

    /// Sends what is queued, as far as the socket takes it.
    pub(crate) fn flush(&mut self) -> Result<(), LoadError> {
        let Some(tls) = &mut self.tls else { return self.flush_plain() };
        if !self.out.is_empty() {
            tls.writer().write_all(&self.out).map_err(LoadError::Broken)?;
            self.out.clear();
        }
        while tls.wants_write() {
            match tls.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if is_for_later(&error) => return Ok(()),
                Err(error) => return Err(LoadError::Broken(error)),
            }
        }
        Ok(())
    }

    fn flush_plain(&mut self) -> Result<(), LoadError> {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(count) => drop(self.out.drain(..count)),
                Err(error) if is_for_later(&error) => return Ok(()),
                Err(error) => return Err(LoadError::Broken(error)),
            }
        }
        Ok(())
    }

    /// Takes in what has arrived and tells `answered` of each answer when its request was due, and its status.
    pub(crate) fn receive(&mut self, mut answered: impl FnMut(Instant, u16)) -> Result<(), LoadError> {
        while self.read()? {
            let done = match &mut self.http {
                Http::One(http) => http.take(&self.inbox, &mut answered)?,
                Http::Two(http) => http.take(&self.inbox, &mut self.out, &mut answered)?,
            };
            self.inbox.drain(..done);
        }
        self.flush()
    }

    /// Reads once. False if nothing is there.
    fn read(&mut self) -> Result<bool, LoadError> {
        let Some(tls) = &mut self.tls else { return self.read_plain() };
        match tls.read_tls(&mut self.stream) {
            Ok(0) => return Err(LoadError::Closed),
            Ok(_) => {}
            Err(error) if is_for_later(&error) => return Ok(false),
            Err(error) => return Err(LoadError::Broken(error)),
        }
        tls.process_new_packets().map_err(|error| LoadError::Protocol(format!("TLS: {error}")))?;
        let mut reader = tls.reader();
        // "Would block" is the reader's way to say that there is no more.
        while let Ok(plain @ [_, ..]) = reader.fill_buf() {
            let count = plain.len();
            self.inbox.extend_from_slice(plain);
            reader.consume(count);
        }
        Ok(true)
    }

    fn read_plain(&mut self) -> Result<bool, LoadError> {
        let mut chunk = [0_u8; READ_CHUNK_BYTES];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(LoadError::Closed),
            Ok(count) => {
                self.inbox.extend_from_slice(&chunk[..count]);
                Ok(true)
            }
            Err(error) if is_for_later(&error) => Ok(false),
            Err(error) => Err(LoadError::Broken(error)),
        }
    }
}

/// A socket that blocks, for so long at most.
pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(CONNECT_TIMEOUT))?;
    stream.set_write_timeout(Some(CONNECT_TIMEOUT))?;
    Ok(stream)
}

fn shake_hands(plan: &Plan, stream: &mut TcpStream) -> io::Result<Option<Box<ClientConnection>>> {
    let Some(config) = &plan.tls else { return Ok(None) };
    let name = plan.host.rsplit_once(':').map_or(&*plan.host, |(name, _)| name);
    let name = ServerName::try_from(name.trim_matches(['[', ']']).to_owned()).map_err(io::Error::other)?;
    let mut tls = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
    // What is due while the socket is full is kept here: the schedule does not wait.
    tls.set_buffer_limit(None);
    while tls.is_handshaking() {
        tls.complete_io(stream)?;
    }
    Ok(Some(Box::new(tls)))
}

fn is_for_later(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}
