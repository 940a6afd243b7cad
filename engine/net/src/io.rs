//! A socket as hyper wants to see it: plain or under TLS, with budgets on reading and real back-pressure on
//! writing.
//!
//! hyper flushes after every answer. A server's [`Io`] puts that off: its task sends what TLS holds once, at the
//! end of its wake, so that pipelined answers and HTTP/2 streams share system calls.
//!
//! No method registers a waker of its own: whoever polls is woken by the readiness events of the socket. Knows
//! nothing of HTTP or of deadlines.

use core::cell::RefCell;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, BufRead, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::rt::ReadBufCursor;
use parking_lot::Mutex;

use crate::limits::{READ_CHUNK_BYTES, TLS_READ_BYTES};
use crate::stream::{IoState, Stream};

thread_local! {
    /// What one system call brings, on its way into TLS: one buffer for all connections of a thread.
    static CIPHERTEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// hyper's handle to a transport. The lock is never contended: owner and hyper run on one thread, and a mutex
/// instead of a cell lets a client's idle connection move between threads.
#[derive(Clone)]
pub(crate) struct Io {
    transport: Arc<Mutex<Transport>>,
}

impl Io {
    pub(crate) fn new(transport: Transport) -> Self {
        Self { transport: Arc::new(Mutex::new(transport)) }
    }

    /// Sends what TLS holds. Pending until the socket has taken all of it.
    pub(crate) fn drain(&self) -> Poll<io::Result<()>> {
        self.transport.lock().drain()
    }
}

/// A connection's socket and what stands between it and HTTP.
pub(crate) struct Transport {
    stream: Stream,
    state: Arc<IoState>,
    tls: Option<Box<rustls::Connection>>,
    /// Bytes read before HTTP took over.
    replay: Bytes,
    /// Ciphertext read from the socket for which TLS had no room.
    surplus: Vec<u8>,
    closing: Closing,
    linger_left: usize,
    /// The owner drains at the end of its wake, so a flush need not.
    puts_off_flush: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    Open,
    Notified,
    Shut,
}

impl Transport {
    pub(crate) fn plain(stream: Stream, state: Arc<IoState>, linger_bytes_max: usize) -> Self {
        Self {
            stream,
            state,
            tls: None,
            replay: Bytes::new(),
            surplus: Vec::new(),
            closing: Closing::Open,
            linger_left: linger_bytes_max,
            puts_off_flush: false,
        }
    }

    /// The connection's own buffers hold at most `output_bytes_max` bytes, more is left with the caller.
    pub(crate) fn tls(
        stream: Stream,
        state: Arc<IoState>,
        mut tls: rustls::Connection,
        linger_bytes_max: usize,
        output_bytes_max: usize,
    ) -> Self {
        tls.set_buffer_limit(Some(output_bytes_max));
        Self { tls: Some(Box::new(tls)), ..Self::plain(stream, state, linger_bytes_max) }
    }

    /// The TLS connection, if there is one.
    pub(crate) fn session(&self) -> Option<&rustls::Connection> {
        self.tls.as_deref()
    }

    /// Leaves sending to [`Io::drain`], which the owner promises to call at the end of each wake.
    pub(crate) fn put_off_flush(&mut self) {
        self.puts_off_flush = true;
    }

    /// Gives back bytes that were read to look at them.
    pub(crate) fn replay(&mut self, bytes: Bytes) {
        self.replay = bytes;
    }

    /// Runs the TLS handshake as far as the peer's bytes allow.
    pub(crate) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.drain())?;
            if !self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.pull(cx))? == 0 {
                return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Reads plain bytes; 0 at the end.
    pub(crate) fn poll_plain(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_readable(cx));
        match retry(|| self.stream.read(buffer)) {
            Ok(count) => {
                self.state.count_read(count);
                Poll::Ready(Ok(count))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.state.read_would_block();
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.state.is_readable() {
            return Poll::Pending;
        }
        if !self.state.may_read() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Moves ciphertext from the socket into TLS. 0 at the end of the stream.
    fn pull(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let surplus = core::mem::take(&mut self.surplus);
        if !surplus.is_empty() {
            return Poll::Ready(self.feed(&surplus));
        }
        ready!(self.poll_readable(cx));
        CIPHERTEXT.with_borrow_mut(|buffer| {
            buffer.resize(TLS_READ_BYTES, 0);
            match retry(|| self.stream.read(buffer)) {
                Ok(count) => {
                    self.state.count_read(count);
                    if count < buffer.len() {
                        self.state.read_was_short();
                    }
                    Poll::Ready(self.feed(&buffer[..count]))
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.state.read_would_block();
                    Poll::Pending
                }
                Err(error) => Poll::Ready(Err(error)),
            }
        })
    }

    /// Gives TLS what it has room for of `ciphertext`, and keeps the rest. Nothing is the end of the stream.
    fn feed(&mut self, ciphertext: &[u8]) -> io::Result<usize> {
        let Some(tls) = self.tls.as_mut() else { return Ok(0) };
        let mut rest = ciphertext;
        loop {
            let taken = tls.read_tls(&mut rest)?;
            let state = match tls.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    // The alert that tells the peer why; it is a courtesy and may fail.
                    let _ = self.drain();
                    return Err(io::Error::new(ErrorKind::InvalidData, error));
                }
            };
            // TLS takes nothing more once the peer has said farewell.
            if rest.is_empty() || taken == 0 {
                break;
            }
            if state.plaintext_bytes_to_read() >= TLS_READ_BYTES {
                self.surplus = rest.to_vec();
                break;
            }
        }
        // A key update may ask for an answer; where the owner does not flush, nobody else would.
        if !self.puts_off_flush
            && let Poll::Ready(Err(error)) = self.drain()
        {
            return Err(error);
        }
        Ok(ciphertext.len())
    }

    fn read_decrypted(
        &mut self,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let Some(tls) = self.tls.as_mut() else { return Poll::Ready(Ok(())) };
            let mut reader = tls.reader();
            match reader.fill_buf() {
                Ok(plain) => {
                    let count = plain.len().min(buffer.remaining());
                    buffer.put_slice(&plain[..count]);
                    reader.consume(count);
                    self.state.count_delivered(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            ready!(self.pull(cx))?;
        }
    }

    fn read_plain(&mut self, cx: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut chunk = [0_u8; READ_CHUNK_BYTES];
        let room = buffer.remaining().min(chunk.len());
        let count = ready!(self.poll_plain(cx, &mut chunk[..room]))?;
        buffer.put_slice(&chunk[..count]);
        self.state.count_delivered(count);
        Poll::Ready(Ok(()))
    }

    /// Sends what TLS holds. Pending until the socket has taken all of it.
    fn drain(&mut self) -> Poll<io::Result<()>> {
        let Some(tls) = self.tls.as_mut() else {
            return Poll::Ready(Ok(()));
        };
        while tls.wants_write() {
            if !self.state.is_writable() {
                self.state.write_would_block();
                return Poll::Pending;
            }
            match retry(|| tls.write_tls(&mut self.stream)) {
                Ok(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Ok(count) => self.state.count_written(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.state.write_would_block();
                    return Poll::Pending;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        self.state.write_drained();
        Poll::Ready(Ok(()))
    }

    /// Writes by `write`, which is given the TLS writer or the socket itself.
    fn write_with(&mut self, write: impl Fn(&mut dyn Write) -> io::Result<usize>) -> Poll<io::Result<usize>> {
        let Some(tls) = self.tls.as_mut() else { return self.write_plain(write) };
        // The writer takes 0 bytes once its buffer is full: then the socket must drain first, or bytes are lost.
        match write(&mut tls.writer()) {
            Ok(0) => {}
            outcome => return Poll::Ready(outcome),
        }
        ready!(self.drain())?;
        let Some(tls) = self.tls.as_mut() else { return Poll::Pending };
        Poll::Ready(write(&mut tls.writer()))
    }

    fn write_plain(
        &mut self,
        write: impl Fn(&mut dyn Write) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if !self.state.is_writable() {
            self.state.write_would_block();
            return Poll::Pending;
        }
        match retry(|| write(&mut self.stream)) {
            Ok(count) => {
                self.state.count_written(count);
                self.state.write_drained();
                Poll::Ready(Ok(count))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.state.write_would_block();
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Reads and drops what the peer still sends, so that the kernel does not answer it with a reset that
    /// destroys our last bytes on their way (RFC 9112 §9.6).
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waste = [0_u8; READ_CHUNK_BYTES];
        while self.linger_left > 0 && !self.state.skips_linger() {
            match ready!(self.poll_plain(cx, &mut waste)) {
                Ok(0) | Err(_) => return Poll::Ready(Ok(())),
                Ok(count) => self.linger_left = self.linger_left.saturating_sub(count),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Transport {
    fn read(&mut self, cx: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if !self.replay.is_empty() {
            let count = self.replay.len().min(buffer.remaining());
            buffer.put_slice(&self.replay.split_to(count));
            self.state.count_delivered(count);
            return Poll::Ready(Ok(()));
        }
        match self.tls {
            Some(_) => self.read_decrypted(cx, buffer),
            None => self.read_plain(cx, buffer),
        }
    }

    fn flush(&mut self) -> Poll<io::Result<()>> {
        // Once the socket is full, only real progress may count as flushed.
        if self.puts_off_flush && !self.state.is_write_blocked() { Poll::Ready(Ok(())) } else { self.drain() }
    }

    fn shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing == Closing::Open {
            if let Some(tls) = self.tls.as_mut() {
                tls.send_close_notify();
            }
            self.state.begin_close();
            self.closing = Closing::Notified;
        }
        if self.closing == Closing::Notified {
            ready!(self.drain())?;
            // A peer that has gone already is no reason to complain about the farewell.
            let _ = self.stream.shutdown_write();
            self.closing = Closing::Shut;
        }
        self.linger(cx)
    }
}

impl hyper::rt::Read for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.transport.lock().read(cx, buffer)
    }
}

impl hyper::rt::Write for Io {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.transport.lock().write_with(|writer| writer.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.lock().flush()
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.lock().shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.transport.lock().write_with(|writer| writer.write_vectored(slices))
    }
}

/// Repeats a system call that a signal interrupted.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}
