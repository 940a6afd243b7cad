//! HTTP/2 (RFC 9113) as a client needs it to ask and to count: frames, both directions of flow control, and of an
//! answer's header block its first field, which is the status.
//!
//! The server is told to keep no table of header fields, so that each block can be read alone (RFC 7541 §4.2).

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::error::LoadError;
use crate::limits::HEAD_BYTES_MAX;
use crate::plan::Plan;
use crate::results::{Expected, Results};
use crate::workload::Workload;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;
const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// What a peer may be sent before it says otherwise (RFC 9113 §6.9.2), in bytes.
const WINDOW_BYTES: i64 = 65_535;
/// The largest window there is, which we give the server at once.
const WINDOW_BYTES_MAX: u32 = (1 << 31) - 1;
/// Bytes of answers after which the server's window is filled up again.
const WINDOW_REFILL_BYTES: u32 = 1 << 30;
/// The largest frame a peer takes without having said so, in bytes.
const FRAME_BYTES_MAX: usize = 16 * 1024;

/// One connection's HTTP.
pub(crate) struct Http2 {
    authority: String,
    is_tls: bool,
    depth: usize,
    expected: Expected,
    next_stream: u32,
    streams: HashMap<u32, Stream>,
    /// Streams with a body that waits for the server's window.
    blocked: VecDeque<u32>,
    window: i64,
    stream_window: i64,
    /// Bytes of answers since the server's window was filled up.
    received: u32,
}

struct Stream {
    due: Instant,
    status: u16,
    results: Results,
    window: i64,
    body: Vec<u8>,
    sent: usize,
}

impl Http2 {
    /// Appends the beginning of a connection to `out`.
    pub(crate) fn new(plan: &Plan, expected: Expected, out: &mut Vec<u8>) -> Self {
        let mut settings = Vec::new();
        for (name, value) in
            [(HEADER_TABLE_SIZE, 0), (ENABLE_PUSH, 0), (INITIAL_WINDOW_SIZE, WINDOW_BYTES_MAX)]
        {
            settings.extend_from_slice(&name.to_be_bytes());
            settings.extend_from_slice(&value.to_be_bytes());
        }
        out.extend_from_slice(PREFACE);
        write_frame(out, SETTINGS, 0, 0, &settings);
        write_frame(out, WINDOW_UPDATE, 0, 0, &(WINDOW_BYTES_MAX - 65_535).to_be_bytes());
        Self {
            authority: plan.host.clone(),
            is_tls: plan.tls.is_some(),
            depth: plan.depth,
            expected,
            next_stream: 1,
            streams: HashMap::new(),
            blocked: VecDeque::new(),
            window: WINDOW_BYTES,
            stream_window: WINDOW_BYTES,
            received: 0,
        }
    }

    /// Appends the workload's request to `out`, its body as far as the server's windows allow.
    pub(crate) fn ask(&mut self, workload: &Workload, due: Instant, out: &mut Vec<u8>) {
        let id = self.next_stream;
        self.next_stream += 2;
        let body = workload.body().map(|(_, body)| body.to_vec());
        let flags = if body.is_some() { END_HEADERS } else { END_HEADERS | END_STREAM };
        write_frame(out, HEADERS, flags, id, &self.block(workload));
        let has_body = body.is_some();
        let body = body.unwrap_or_default();
        let results = Results::new(self.expected);
        self.streams
            .insert(id, Stream { due, status: 0, results, window: self.stream_window, body, sent: 0 });
        if has_body && !self.send_body(id, out) {
            self.blocked.push_back(id);
        }
    }

    /// When the requests were due that are not answered yet.
    pub(crate) fn under_way(&self) -> impl Iterator<Item = Instant> {
        self.streams.values().map(|stream| stream.due)
    }

    /// The header block of a request (RFC 7541 §6, indices of the static table, nothing added to the other).
    fn block(&self, workload: &Workload) -> Vec<u8> {
        let mut block = vec![
            if workload.method() == "POST" { 0x83 } else { 0x82 },
            if self.is_tls { 0x87 } else { 0x86 },
        ];
        field(&mut block, &[0x01], &self.authority);
        field(&mut block, &[0x04], workload.path());
        if let Some((media_type, body)) = workload.body() {
            field(&mut block, &[0x0f, 0x10], media_type);
            field(&mut block, &[0x0f, 0x0d], &body.len().to_string());
        }
        if let Some(value) = workload.authorization() {
            field(&mut block, &[0x0f, 0x08], value);
        }
        block
    }

    /// Sends as much of a body as the windows allow. True if it is all sent.
    fn send_body(&mut self, id: u32, out: &mut Vec<u8>) -> bool {
        let Some(stream) = self.streams.get_mut(&id) else { return true };
        loop {
            let left = stream.body.len() - stream.sent;
            let room = usize::try_from(self.window.min(stream.window)).unwrap_or(0);
            let count = left.min(room).min(FRAME_BYTES_MAX);
            if count == 0 && left > 0 {
                return false;
            }
            let is_last = count == left;
            let part = &stream.body[stream.sent..stream.sent + count];
            write_frame(out, DATA, if is_last { END_STREAM } else { 0 }, id, part);
            stream.sent += count;
            let count = i64::try_from(count).expect("a frame is small");
            stream.window -= count;
            self.window -= count;
            if is_last {
                return true;
            }
        }
    }

    fn send_blocked(&mut self, out: &mut Vec<u8>) {
        for _ in 0..self.blocked.len() {
            let Some(id) = self.blocked.pop_front() else { return };
            if !self.send_body(id, out) {
                self.blocked.push_back(id);
            }
        }
    }

    /// Takes frames from `input`, appends what they demand to `out`, and tells `answered` when each request was due
    /// and its status; 0 if the server reset it. Returns how many bytes it is done with.
    pub(crate) fn take(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        mut answered: impl FnMut(Instant, u16),
    ) -> Result<usize, LoadError> {
        let mut done = 0;
        while let Some(frame) = Frame::parse(&input[done..])? {
            done += frame.bytes;
            self.take_frame(&frame, out, &mut answered)?;
        }
        Ok(done)
    }

    fn take_frame(
        &mut self,
        frame: &Frame<'_>,
        out: &mut Vec<u8>,
        answered: &mut impl FnMut(Instant, u16),
    ) -> Result<(), LoadError> {
        match frame.kind {
            HEADERS => {
                let status = status(frame.header_block());
                let status = status.ok_or_else(|| unexpected("a header block without status"))?;
                if let Some(stream) = self.streams.get_mut(&frame.stream) {
                    stream.status = status;
                }
                self.end(frame, answered);
            }
            DATA => {
                self.received += u32::try_from(frame.payload.len()).expect("a frame has 24 bits of length");
                if self.received > WINDOW_REFILL_BYTES {
                    write_frame(out, WINDOW_UPDATE, 0, 0, &self.received.to_be_bytes());
                    self.received = 0;
                }
                if let Some(stream) = self.streams.get_mut(&frame.stream) {
                    stream.results.take(frame.payload);
                }
                self.end(frame, answered);
            }
            RST_STREAM => {
                if let Some(stream) = self.streams.remove(&frame.stream) {
                    answered(stream.due, 0);
                }
            }
            SETTINGS if frame.flags & ACK == 0 => {
                self.take_settings(frame.payload)?;
                write_frame(out, SETTINGS, ACK, 0, &[]);
                self.send_blocked(out);
            }
            PING if frame.flags & ACK == 0 => write_frame(out, PING, ACK, 0, frame.payload),
            WINDOW_UPDATE => {
                self.widen(frame)?;
                self.send_blocked(out);
            }
            GOAWAY => return Err(LoadError::Closed),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, frame: &Frame<'_>, answered: &mut impl FnMut(Instant, u16)) {
        if frame.flags & END_STREAM == 0 {
            return;
        }
        if let Some(stream) = self.streams.remove(&frame.stream) {
            answered(stream.due, stream.results.status(stream.status));
        }
    }

    fn take_settings(&mut self, payload: &[u8]) -> Result<(), LoadError> {
        for setting in payload.chunks_exact(6) {
            let name = u16::from_be_bytes([setting[0], setting[1]]);
            let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
            if name == MAX_CONCURRENT_STREAMS && usize::try_from(value).is_ok_and(|max| max < self.depth) {
                let depth = self.depth;
                return Err(LoadError::Option(format!("depth is {depth}; the server takes {value} streams")));
            }
            if name == INITIAL_WINDOW_SIZE {
                let change = i64::from(value) - self.stream_window;
                self.stream_window += change;
                self.streams.values_mut().for_each(|stream| stream.window += change);
            }
        }
        Ok(())
    }

    fn widen(&mut self, frame: &Frame<'_>) -> Result<(), LoadError> {
        let bytes = <[u8; 4]>::try_from(frame.payload).map(u32::from_be_bytes);
        let bytes = bytes.map_err(|_| unexpected("a window update of a wrong length"))?;
        if frame.stream == 0 {
            self.window += i64::from(bytes);
        } else if let Some(stream) = self.streams.get_mut(&frame.stream) {
            stream.window += i64::from(bytes);
        }
        Ok(())
    }
}

/// A complete frame.
struct Frame<'a> {
    bytes: usize,
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame at the beginning of `input`, once all of it is there.
    fn parse(input: &'a [u8]) -> Result<Option<Self>, LoadError> {
        let Some((head, rest)) = input.split_first_chunk::<9>() else { return Ok(None) };
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let length = usize::try_from(length).expect("24 bits fit a usize");
        if length > HEAD_BYTES_MAX {
            return Err(unexpected("a frame larger than was allowed"));
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        Ok(Some(Self {
            bytes: head.len() + length,
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]),
            payload,
        }))
    }

    /// The header block of a HEADERS frame, without what may stand before it.
    fn header_block(&self) -> &'a [u8] {
        let padded = usize::from(self.flags & PADDED != 0);
        let prioritised = if self.flags & PRIORITY != 0 { 5 } else { 0 };
        self.payload.get(padded + prioritised..).unwrap_or_default()
    }
}

/// The status a header block begins with (RFC 9113 §8.3: pseudo-header fields come first).
fn status(mut block: &[u8]) -> Option<u16> {
    // Changes of the table's size, which is 0 (RFC 7541 §6.3).
    while let [0x20, rest @ ..] = block {
        block = rest;
    }
    let (&first, rest) = block.split_first()?;
    match first {
        0x88..=0x8e => Some([200, 204, 206, 304, 400, 404, 500][usize::from(first - 0x88)]),
        0x48..=0x4e | 0x08..=0x0e | 0x18..=0x1e => digits(rest),
        _ => None,
    }
}

/// Three digits as a string literal (RFC 7541 §5.2), with or without Huffman's code.
fn digits(literal: &[u8]) -> Option<u16> {
    let (&length, rest) = literal.split_first()?;
    let text = rest.get(..usize::from(length & 0x7f))?;
    if length & 0x80 == 0 {
        return core::str::from_utf8(text).ok()?.parse().ok();
    }
    let mut bits = text.iter().take(4).fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
    bits <<= 8 * 4_usize.checked_sub(text.len())?;
    let mut value = 0;
    for _ in 0..3 {
        // 0, 1 and 2 are 00000 to 00010; 3 to 9 are 011001 to 011111 (RFC 7541, appendix B).
        let (digit, length) = match (bits >> 27, bits >> 26) {
            (short @ 0..=2, _) => (short, 5),
            (_, long @ 0x19..=0x1f) => (long - 0x16, 6),
            _ => return None,
        };
        bits <<= length;
        value = value * 10 + digit;
    }
    u16::try_from(value).ok()
}

/// Appends a header field that is to be remembered by nobody.
fn field(block: &mut Vec<u8>, name: &[u8], value: &str) {
    block.extend_from_slice(name);
    // Below 127 a length is one byte (RFC 7541 §5.1); hosts and paths are.
    block.push(u8::try_from(value.len()).ok().filter(|length| *length < 127).expect("values are short"));
    block.extend_from_slice(value.as_bytes());
}

fn write_frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a frame is small").to_be_bytes();
    out.extend_from_slice(&[length[1], length[2], length[3], kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

fn unexpected(what: &str) -> LoadError {
    LoadError::Protocol(what.to_owned())
}
