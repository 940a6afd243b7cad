//! An HTTP exchange as the service sees it: the parts of a request that matter, and an answer.

use core::fmt;

/// A request, whole. Header values that are not visible ASCII are the caller's to refuse.
///
/// `Debug` shows sizes in place of target and body: a target holds a telephone number.
#[derive(Clone, Copy, Default)]
pub struct Request<'a> {
    /// The method, as sent: `GET`, `POST` …
    pub method: &'a str,
    /// Path and query, as sent.
    pub target: &'a str,
    /// Host and port the client asked, if it said so. Only used to write absolute links.
    pub authority: Option<&'a str>,
    /// The `Accept` header.
    pub accept: Option<&'a str>,
    /// The `Content-Type` header.
    pub content_type: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("target_bytes", &self.target.len())
            .field("authority", &self.authority)
            .field("accept", &self.accept)
            .field("content_type", &self.content_type)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// An answer, whole.
///
/// `Debug` shows the names of the header fields and the size of the body: their contents hold telephone numbers.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status code.
    pub status: u16,
    /// Header fields, lower-case names, in the order to be sent. `content-length` is the sender's to add.
    pub headers: Vec<(&'static str, String)>,
    /// The body; for `HEAD` the body that `GET` would bring, which the sender leaves out.
    pub body: Vec<u8>,
}

impl Response {
    pub(super) fn new(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        Self { status, headers: vec![("content-type", content_type.to_owned())], body }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The value of the first header field `name` (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// What must happen before the answer may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: send it.
    None,
    /// A placement was kept in memory. Make it as durable as the engine promises, then send; if that fails,
    /// send [`Problem::Unavailable`](super::Problem::Unavailable) instead.
    MakeDurable,
}

/// An answer and what must happen before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The answer.
    pub response: Response,
    /// What comes first.
    pub effect: Effect,
}

impl Answer {
    pub(super) const fn now(response: Response) -> Self {
        Self { response, effect: Effect::None }
    }
}
