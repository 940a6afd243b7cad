//! A Call Placement Service elsewhere, asked over HTTPS or a Unix socket (RFC 8816 §9).

use core::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use herald_core::TelephoneNumber;
use herald_net::{Bytes, Client, ClientError, Method, Request, Response, header};
use serde_json::Value;

use crate::limits::{CLIENT_ANSWER_BYTES_MAX, CLIENT_DEADLINE_S, REFERENCE_BYTES_MAX};

/// A service elsewhere. Calls block the calling thread, up to
/// [`CLIENT_DEADLINE_S`] seconds each. Any thread.
pub struct CpsClient {
    http: Client,
    base: String,
}

/// One item as the service gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrievedItem {
    /// Its path at the service.
    pub href: String,
    /// The sealed bytes, or cover.
    pub body: Vec<u8>,
}

impl CpsClient {
    /// The service at `url`: `https://host[:port]`, whose certificate chains to `roots_pem`, or `unix:PATH`.
    ///
    /// # Errors
    /// [`CpsError::Url`] if it is neither, [`CpsError::Roots`] if the roots hold no certificate.
    pub fn open(url: &str, roots_pem: &[u8]) -> Result<Self, CpsError> {
        let url = url.trim_end_matches('/');
        let (http, base) = if let Some(path) = url.strip_prefix("unix:") {
            (Client::unix(path), "http://localhost")
        } else if url.starts_with("https://") {
            (Client::https(roots_pem).map_err(|error| CpsError::Roots(error.to_string()))?, url)
        } else {
            return Err(CpsError::Url(url.to_owned()));
        };
        Ok(Self { http: http.answer_bytes_max(CLIENT_ANSWER_BYTES_MAX), base: base.to_owned() })
    }

    /// Stores a sealed PASSporT under the called number. Returns the item's path.
    ///
    /// # Errors
    /// [`CpsError`]; after [`CpsError::Unreachable`] it may have been stored.
    pub fn store(&self, number: TelephoneNumber, sealed: &[u8]) -> Result<String, CpsError> {
        let uri = self.uri(number, "");
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(header::CONTENT_TYPE, "application/passport")
            .body(Bytes::copy_from_slice(sealed));
        let response = self.exchange(request)?;
        let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let location = location.filter(|location| is_reference(location));
        location.map(str::to_owned).ok_or(CpsError::Answer("a 201 without a Location"))
    }

    /// Everything under the called number, in one round trip.
    ///
    /// # Errors
    /// [`CpsError`].
    pub fn retrieve(&self, number: TelephoneNumber) -> Result<Vec<RetrievedItem>, CpsError> {
        let request = Request::builder().uri(self.uri(number, "?inline=1")).body(Bytes::new());
        let response = self.exchange(request)?;
        parse_inline(response.body()).ok_or(CpsError::Answer("a list of another form"))
    }

    fn uri(&self, number: TelephoneNumber, query: &str) -> String {
        format!("{}/cps/{}/ppts{query}", self.base, number.to_string().replace('#', "%23"))
    }

    fn exchange(
        &self,
        request: Result<Request<Bytes>, impl fmt::Debug>,
    ) -> Result<Response<Bytes>, CpsError> {
        let request = request.map_err(|_| CpsError::Url(self.base.clone()))?;
        let response = self.http.request(request, Duration::from_secs(CLIENT_DEADLINE_S))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let problem: Option<Value> = serde_json::from_slice(response.body()).ok();
        let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str());
        Err(CpsError::Refused {
            status: response.status().as_u16(),
            detail: printable(detail.unwrap_or("it gives no reason")),
        })
    }
}

/// Whether a foreign service's reference may be shown as it is.
fn is_reference(text: &str) -> bool {
    (1..=REFERENCE_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A foreign service's words without what would move a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().filter(|sign| !sign.is_control()).take(REFERENCE_BYTES_MAX).collect()
}

fn parse_inline(body: &[u8]) -> Option<Vec<RetrievedItem>> {
    let list: Value = serde_json::from_slice(body).ok()?;
    let item = |item: &Value| {
        Some(RetrievedItem {
            href: item["href"].as_str().filter(|href| is_reference(href))?.to_owned(),
            body: URL_SAFE_NO_PAD.decode(item["passport"].as_str()?).ok()?,
        })
    };
    list["ppts"].as_array()?.iter().map(item).collect()
}

/// Why a service elsewhere did not do what it was asked.
#[derive(Debug)]
pub enum CpsError {
    /// The URL is neither https nor a Unix socket, or not one at all.
    Url(String),
    /// The roots that its certificate should chain to cannot be used.
    Roots(String),
    /// It could not be asked, or did not answer.
    Unreachable(ClientError),
    /// It refused.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its reason.
        detail: String,
    },
    /// Its answer is not one of RFC 8816 §9.
    Answer(&'static str),
}

impl From<ClientError> for CpsError {
    fn from(error: ClientError) -> Self {
        Self::Unreachable(error)
    }
}

impl fmt::Display for CpsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => write!(f, "{url:?} is no service: give https://HOST[:PORT] or unix:PATH"),
            Self::Roots(why) => write!(f, "the authorities the service's certificate should chain to: {why}"),
            Self::Unreachable(error) => write!(f, "the service gives no answer: {error}"),
            Self::Refused { status, detail } => write!(f, "the service refuses with {status}: {detail}"),
            Self::Answer(why) => write!(f, "the service answers with {why}; is it a Call Placement Service?"),
        }
    }
}

impl core::error::Error for CpsError {}
