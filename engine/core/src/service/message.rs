//! An HTTP exchange as the service sees it: the parts of a request that matter, and an answer.

/// A request, whole. Header values that are not visible ASCII are the caller's to refuse.
#[derive(Clone, Copy, Debug, Default)]
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

/// An answer, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
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
