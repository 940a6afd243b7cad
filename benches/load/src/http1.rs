//! HTTP/1.1 as a client that may pipeline: requests as bytes, answers as statuses, in the order they were asked.

use std::collections::VecDeque;
use std::time::Instant;

use crate::error::LoadError;
use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX};
use crate::workload::Workload;

/// One connection's HTTP.
pub(crate) struct Http1 {
    /// All of a request's head that never changes.
    fields: String,
    due: VecDeque<Instant>,
    /// Bytes of the current answer's body that are still to come.
    body_left: usize,
}

impl Http1 {
    pub(crate) fn new(host: &str) -> Self {
        Self { fields: format!(" HTTP/1.1\r\nhost: {host}\r\n"), due: VecDeque::new(), body_left: 0 }
    }

    /// Appends the workload's request to `out`.
    pub(crate) fn ask(&mut self, workload: &Workload, due: Instant, out: &mut Vec<u8>) {
        out.extend_from_slice(workload.method().as_bytes());
        out.push(b' ');
        out.extend_from_slice(workload.path().as_bytes());
        out.extend_from_slice(self.fields.as_bytes());
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
            let rest = &input[done..];
            if self.body_left > 0 {
                let count = self.body_left.min(rest.len());
                self.body_left -= count;
                done += count;
                if self.body_left > 0 {
                    return Ok(done);
                }
                continue;
            }
            let Some(head) = Head::parse(rest)? else { return Ok(done) };
            done += head.bytes;
            self.body_left = head.body_bytes;
            let due = self.due.pop_front();
            answered(due.ok_or_else(|| unexpected("an answer to nothing"))?, head.status);
        }
    }
}

struct Head {
    bytes: usize,
    status: u16,
    body_bytes: usize,
}

impl Head {
    fn parse(input: &[u8]) -> Result<Option<Self>, LoadError> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut answer = httparse::Response::new(&mut headers);
        let parsed =
            answer.parse(input).map_err(|error| unexpected(&format!("an answer's head: {error}")))?;
        let httparse::Status::Complete(bytes) = parsed else {
            let is_endless = input.len() > HEAD_BYTES_MAX;
            return if is_endless { Err(unexpected("a head without an end")) } else { Ok(None) };
        };
        let length = answer.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
        let length = length.ok_or_else(|| unexpected("an answer without content-length"))?;
        let body_bytes = core::str::from_utf8(length.value).ok().and_then(|text| text.trim().parse().ok());
        Ok(Some(Self {
            bytes,
            status: answer.code.unwrap_or(0),
            body_bytes: body_bytes.ok_or_else(|| unexpected("a content-length that is no number"))?,
        }))
    }
}

fn unexpected(what: &str) -> LoadError {
    LoadError::Protocol(what.to_owned())
}
