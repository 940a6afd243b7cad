//! Peers in processes of their own, over a Unix socket: Redis and memcached. A block of operations is one pipeline.
//!
//! The key is the number, so they keep one placement of a number, the last: less than is asked of the log.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use herald_core::{TelephoneNumber, Timestamp};

use super::{Placement, Retrieving, Storing};
use crate::failure::Failure;
use crate::workload::RETENTION_MS;

/// A connection, with room for requests that are being written and an answer that is being read.
struct Connection {
    server: &'static str,
    reader: BufReader<UnixStream>,
    requests: Vec<u8>,
    line: String,
    body: Vec<u8>,
}

impl Connection {
    fn open(server: &'static str, socket: &Path) -> Result<Self, Failure> {
        let stream = UnixStream::connect(socket).map_err(|error| Failure::Peer(server, error.to_string()))?;
        let reader = BufReader::with_capacity(1 << 17, stream);
        Ok(Self { server, reader, requests: Vec::new(), line: String::new(), body: Vec::new() })
    }

    /// Sends what has been written to `requests`.
    fn send(&mut self) -> Result<(), Failure> {
        let sent = self.reader.get_mut().write_all(&self.requests);
        self.requests.clear();
        sent.map_err(|error| Failure::Peer(self.server, error.to_string()))
    }

    /// The next line of the answer, without its end.
    fn line(&mut self) -> Result<&str, Failure> {
        self.line.clear();
        match self.reader.read_line(&mut self.line) {
            Ok(1..) => Ok(self.line.trim_end()),
            Ok(0) => Err(Failure::Peer(self.server, "closed the connection".to_owned())),
            Err(error) => Err(Failure::Peer(self.server, error.to_string())),
        }
    }

    /// The next line, which must be `wanted`.
    fn expect(&mut self, wanted: &str) -> Result<(), Failure> {
        let server = self.server;
        match self.line()? {
            line if line == wanted => Ok(()),
            line => Err(Failure::Peer(server, format!("answered {line:?}, not {wanted:?}"))),
        }
    }

    /// A body of `length` bytes, whose text is the answer's next, and the end of line behind it.
    fn body(&mut self, length: &str) -> Result<&[u8], Failure> {
        let server = self.server;
        let length: usize =
            length.parse().map_err(|_| Failure::Peer(server, format!("gave the length {length:?}")))?;
        self.body.resize(length + 2, 0);
        self.reader.read_exact(&mut self.body).map_err(|error| Failure::Peer(server, error.to_string()))?;
        Ok(&self.body[..length])
    }
}

/// One client of a Redis server: SETEX and GET.
pub(crate) struct Redis(Connection);

impl Redis {
    /// Connects to the server behind `socket`.
    pub(crate) fn open(socket: &Path) -> Result<Self, Failure> {
        Connection::open("Redis", socket).map(Self)
    }
}

impl Storing for Redis {
    fn store(&mut self, placements: &[Placement<'_>], _: Timestamp) -> Result<usize, Failure> {
        let Self(connection) = self;
        for Placement { number, body, .. } in placements {
            let (number, seconds) = (number.to_bits(), RETENTION_MS / 1000);
            write!(
                connection.requests,
                "*4\r\n$5\r\nSETEX\r\n$16\r\n{number:016x}\r\n$2\r\n{seconds:02}\r\n${}\r\n",
                body.len()
            )
            .expect("memory is written without error");
            connection.requests.extend_from_slice(body);
            connection.requests.extend_from_slice(b"\r\n");
        }
        connection.send()?;
        for _ in placements {
            connection.expect("+OK")?;
        }
        Ok(placements.len())
    }
}

impl Retrieving for Redis {
    fn retrieve(
        &mut self,
        numbers: &[TelephoneNumber],
        _: Timestamp,
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, Failure> {
        let Self(connection) = self;
        for number in numbers {
            write!(connection.requests, "*2\r\n$3\r\nGET\r\n$16\r\n{:016x}\r\n", number.to_bits())
                .expect("memory is written without error");
        }
        connection.send()?;
        let mut found = 0;
        for _ in numbers {
            match connection.line()?.strip_prefix('$') {
                Some("-1") => {}
                Some(length) => {
                    let length = length.to_owned();
                    show(connection.body(&length)?);
                    found += 1;
                }
                None => return Err(Failure::Peer("Redis", format!("answered {:?} to GET", connection.line))),
            }
        }
        Ok(found)
    }
}

/// One client of a memcached server: set and get of the text protocol.
pub(crate) struct Memcached(Connection);

impl Memcached {
    /// Connects to the server behind `socket`.
    pub(crate) fn open(socket: &Path) -> Result<Self, Failure> {
        Connection::open("memcached", socket).map(Self)
    }
}

impl Storing for Memcached {
    fn store(&mut self, placements: &[Placement<'_>], _: Timestamp) -> Result<usize, Failure> {
        let Self(connection) = self;
        for Placement { number, body, .. } in placements {
            let (number, seconds) = (number.to_bits(), RETENTION_MS / 1000);
            write!(connection.requests, "set {number:016x} 0 {seconds} {}\r\n", body.len())
                .expect("memory is written without error");
            connection.requests.extend_from_slice(body);
            connection.requests.extend_from_slice(b"\r\n");
        }
        connection.send()?;
        for _ in placements {
            connection.expect("STORED")?;
        }
        Ok(placements.len())
    }
}

impl Retrieving for Memcached {
    fn retrieve(
        &mut self,
        numbers: &[TelephoneNumber],
        _: Timestamp,
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, Failure> {
        let Self(connection) = self;
        for number in numbers {
            write!(connection.requests, "get {:016x}\r\n", number.to_bits())
                .expect("memory is written without error");
        }
        connection.send()?;
        let mut found = 0;
        for _ in numbers {
            let line = connection.line()?;
            if line == "END" {
                continue;
            }
            let length = line.rsplit(' ').next().unwrap_or_default().to_owned();
            show(connection.body(&length)?);
            connection.expect("END")?;
            found += 1;
        }
        Ok(found)
    }
}
