//! HTTP/1.1 as a client that may pipeline: requests as bytes, answers as statuses, in the order they were asked.

use std::collections::VecDeque;
use std::time::Instant;

use crate::error::LoadError;
use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX};
use crate::results::{Expected, Results};
use crate::workload::Workload;

/// One connection's HTTP.
pub(crate) struct Http1 {
    /// All of a request's head that never changes.
    fields: String,
    due: VecDeque<Instant>,
    expected: Expected,
    /// The answer that is arriving.
    answer: Option<Answer>,
}

struct Answer {
    status: u16,
    body: Body,
    results: Results,
}

/// What is still to come of a body.
enum Body {
    Sized {
        left: usize,
    },
    ChunkSize,
    Chunk {
        left: usize,
    },
    ChunkEnd,
    /// Behind the last chunk; fields there are not understood.
    Trailer,
    Over,
}

impl Http1 {
    pub(crate) fn new(host: &str, expected: Expected) -> Self {
        let fields = format!(" HTTP/1.1\r\nhost: {host}\r\n");
        Self { fields, due: VecDeque::new(), expected, answer: None }
    }

    /// Appends the workload's request to `out`.
    pub(crate) fn ask(&mut self, workload: &Workload, due: Instant, out: &mut Vec<u8>) {
        out.extend_from_slice(workload.method().as_bytes());
        out.push(b' ');
        out.extend_from_slice(workload.path().as_bytes());
        out.extend_from_slice(self.fields.as_bytes());
        if let Some(value) = workload.authorization() {
            out.extend_from_slice(b"authorization: ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        let body = workload.body().map_or(&[][..], |(media_type, body)| {
            let lines = format!("content-type: {media_type}\r\ncontent-length: {}\r\n", body.len());
            out.extend_from_slice(lines.as_bytes());
            body
        });
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body);
        self.due.push_back(due);
    }

    /// When the requests were due that are not answered yet.
    pub(crate) fn under_way(&self) -> impl Iterator<Item = Instant> {
        self.due.iter().copied()
    }

    /// Takes answers from `input` and tells `answered` when each request was due and its status. Returns how many
    /// bytes it is done with.
    pub(crate) fn take(
        &mut self,
        input: &[u8],
        mut answered: impl FnMut(Instant, u16),
    ) -> Result<usize, LoadError> {
        let mut done = 0;
        loop {
            let Some(answer) = &mut self.answer else {
                let Some((bytes, status, body)) = parse_head(&input[done..])? else { return Ok(done) };
                done += bytes;
                self.answer = Some(Answer { status, body, results: Results::new(self.expected) });
                continue;
            };
            let (bytes, piece) = answer.body.advance(&input[done..])?;
            done += bytes;
            answer.results.take(piece);
            if matches!(answer.body, Body::Over) {
                let due = self.due.pop_front().ok_or_else(|| unexpected("an answer to nothing"))?;
                answered(due, answer.results.status(answer.status));
                self.answer = None;
            } else if bytes == 0 {
                return Ok(done);
            }
        }
    }
}

impl Body {
    /// Goes on by one step. Returns how many bytes it is done with, and what of them is the body's; no bytes if more
    /// have to come first.
    fn advance<'a>(&mut self, input: &'a [u8]) -> Result<(usize, &'a [u8]), LoadError> {
        match self {
            Self::Over | Self::Sized { left: 0 } => {
                *self = Self::Over;
                Ok((0, &[]))
            }
            Self::Sized { left } | Self::Chunk { left } => {
                let piece = &input[..input.len().min(*left)];
                *left -= piece.len();
                match self {
                    Self::Sized { left: 0 } => *self = Self::Over,
                    Self::Chunk { left: 0 } => *self = Self::ChunkEnd,
                    _ => {}
                }
                Ok((piece.len(), piece))
            }
            Self::ChunkSize => {
                let size =
                    httparse::parse_chunk_size(input).map_err(|_| unexpected("the size of a chunk"))?;
                let httparse::Status::Complete((bytes, size)) = size else { return Ok((0, &[])) };
                let left = usize::try_from(size).map_err(|_| unexpected("the size of a chunk"))?;
                *self = if left == 0 { Self::Trailer } else { Self::Chunk { left } };
                Ok((bytes, &[]))
            }
            Self::ChunkEnd | Self::Trailer => {
                let Some(end) = input.first_chunk() else { return Ok((0, &[])) };
                if end != b"\r\n" {
                    return Err(unexpected("what stands behind a chunk"));
                }
                *self = if matches!(self, Self::Trailer) { Self::Over } else { Self::ChunkSize };
                Ok((end.len(), &[]))
            }
        }
    }
}

/// The length and status of the head at the beginning of `input`, and what follows it, once all of it is there.
fn parse_head(input: &[u8]) -> Result<Option<(usize, u16, Body)>, LoadError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    let parsed = answer.parse(input).map_err(|error| unexpected(&format!("an answer's head: {error}")))?;
    let httparse::Status::Complete(bytes) = parsed else {
        let is_endless = input.len() > HEAD_BYTES_MAX;
        return if is_endless { Err(unexpected("a head without an end")) } else { Ok(None) };
    };
    let field = |name: &str| {
        let field = answer.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
        core::str::from_utf8(field.value).ok().map(str::trim)
    };
    let body = match field("content-length") {
        Some(length) => {
            let left = length.parse().map_err(|_| unexpected("a content-length that is no number"))?;
            Body::Sized { left }
        }
        None if field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) => {
            Body::ChunkSize
        }
        None => return Err(unexpected("an answer of unknown length")),
    };
    Ok(Some((bytes, answer.code.unwrap_or(0), body)))
}

fn unexpected(what: &str) -> LoadError {
    LoadError::Protocol(what.to_owned())
}
