//! A connected socket, TCP or Unix, and what is known of its readiness.
//!
//! epoll is edge-triggered: an event says that something changed, once. [`IoState`] keeps what the events said
//! until a read or write finds the opposite. Knows nothing of TLS or HTTP.

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::event::Event;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};

/// A non-blocking socket.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self {
            Self::Tcp(stream) => registry.register(stream, token, interest),
            Self::Unix(stream) => registry.register(stream, token, interest),
        }
    }

    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// The error a connection attempt ended with, if it did.
    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Self::Tcp(stream) => stream.take_error(),
            Self::Unix(stream) => stream.take_error(),
        }
    }

    /// Whether the connection attempt has succeeded.
    pub(crate) fn is_connected(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.peer_addr().is_ok(),
            Self::Unix(stream) => stream.peer_addr().is_ok(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write_vectored(slices),
            Self::Unix(stream) => stream.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is known of a socket, shared by its owner and the poll that watches it.
///
/// Both run on one thread at a time, so every access is Relaxed; the fields are atomic only so that an idle
/// connection of a client may move between threads.
#[derive(Debug, Default)]
pub(crate) struct IoState {
    readable: AtomicBool,
    read_closed: AtomicBool,
    writable: AtomicBool,
    write_blocked: AtomicBool,
    closing: AtomicBool,
    skips_linger: AtomicBool,
    read_left: AtomicUsize,
    bytes_delivered: AtomicU64,
    bytes_written: AtomicU64,
}

impl IoState {
    /// Takes in an event. True if the owner may now do what it could not do before.
    pub(crate) fn signal(&self, event: &Event) -> bool {
        let broken = event.is_error() || event.is_read_closed() || event.is_write_closed();
        if event.is_error() || event.is_read_closed() {
            self.read_closed.store(true, Ordering::Relaxed);
        }
        let can_read = event.is_readable() || broken;
        let can_write = event.is_writable() || broken;
        let news_read = can_read && !self.readable.swap(true, Ordering::Relaxed);
        let news_write = can_write && !self.writable.swap(true, Ordering::Relaxed);
        news_read || news_write || broken
    }

    pub(crate) fn is_readable(&self) -> bool {
        self.readable.load(Ordering::Relaxed)
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }

    /// A read found nothing: wait for the next event.
    pub(crate) fn read_would_block(&self) {
        self.readable.store(false, Ordering::Relaxed);
    }

    /// A read brought less than it had room for, so there is no more, and an event will say when there is. Once the
    /// peer has closed its side that event has been: then only a read that finds the end tells.
    pub(crate) fn read_was_short(&self) {
        if !self.read_closed.load(Ordering::Relaxed) {
            self.read_would_block();
        }
    }

    /// A write found no room: wait for the next event.
    pub(crate) fn write_would_block(&self) {
        self.writable.store(false, Ordering::Relaxed);
        self.write_blocked.store(true, Ordering::Relaxed);
    }

    pub(crate) fn write_drained(&self) {
        self.write_blocked.store(false, Ordering::Relaxed);
    }

    /// Whether output waits because the peer does not take it.
    pub(crate) fn is_write_blocked(&self) -> bool {
        self.write_blocked.load(Ordering::Relaxed)
    }

    /// Allows `bytes` more to be read before the owner has to wait for its next turn.
    pub(crate) fn allow_reads(&self, bytes: usize) {
        self.read_left.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn may_read(&self) -> bool {
        self.read_left.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn count_read(&self, bytes: usize) {
        let left = self.read_left.load(Ordering::Relaxed);
        self.read_left.store(left.saturating_sub(bytes), Ordering::Relaxed);
    }

    pub(crate) fn count_delivered(&self, bytes: usize) {
        add(&self.bytes_delivered, bytes);
    }

    /// Plain bytes handed to HTTP so far.
    pub(crate) fn bytes_delivered(&self) -> u64 {
        self.bytes_delivered.load(Ordering::Relaxed)
    }

    pub(crate) fn count_written(&self, bytes: usize) {
        add(&self.bytes_written, bytes);
    }

    /// Bytes the socket has taken so far.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.bytes_written.load(Ordering::Relaxed)
    }

    pub(crate) fn begin_close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// The close need not wait for the peer's.
    pub(crate) fn skip_linger(&self) {
        self.skips_linger.store(true, Ordering::Relaxed);
    }

    pub(crate) fn skips_linger(&self) -> bool {
        self.skips_linger.load(Ordering::Relaxed)
    }

    /// Whether HTTP has ended and the socket is being closed.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }
}

fn add(counter: &AtomicU64, bytes: usize) {
    let bytes = u64::try_from(bytes).expect("a usize fits 64 bits");
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(bytes), Ordering::Relaxed);
}
