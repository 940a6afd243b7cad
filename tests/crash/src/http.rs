//! A client of the service under test: stores, looks, asks for its health. Checks the form of refusals, because
//! who is refused should know when to come back (RFC 9110 §10.2.3).

use herald_runtime::core::TelephoneNumber;
use herald_runtime::net::{Bytes, Client, Method, Protocol, Request, Response, StatusCode, header};

use crate::error::CrashError;
use crate::limits::ANSWER_MAX;
use crate::service::Address;

/// One thread's client.
pub(crate) struct Http {
    client: Client,
    url: String,
}

/// What became of a store.
pub(crate) enum Stored {
    /// It was acknowledged and is to be found there.
    Acknowledged(String),
    /// It was refused as a service does whose disk fails.
    Refused,
}

impl Http {
    /// A client of the service at `address`. Odd threads speak HTTP/1.1, even ones HTTP/2.
    pub(crate) fn new(address: &Address, thread: u32) -> Result<Self, CrashError> {
        let protocol = if thread.is_multiple_of(2) { Protocol::Http2 } else { Protocol::Http1 };
        let client = Client::https(&address.roots)?.protocol(protocol);
        Ok(Self { client, url: address.url.clone() })
    }

    /// Stores `body`.
    pub(crate) fn store(&self, number: TelephoneNumber, body: &[u8]) -> Result<Stored, CrashError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/cps/{number}/ppts", self.url))
            .header(header::CONTENT_TYPE, "application/passport")
            .body(Bytes::copy_from_slice(body));
        let response = self.ask(request.expect("a URI of digits is one"))?;
        match response.status() {
            StatusCode::CREATED => {
                let location = field(&response, &header::LOCATION);
                let location = location.ok_or(CrashError::Answer("a 201 without Location".into()))?;
                Ok(Stored::Acknowledged(location.to_owned()))
            }
            StatusCode::SERVICE_UNAVAILABLE if is_good_refusal(&response) => Ok(Stored::Refused),
            status => Err(CrashError::Answer(format!(
                "a store is answered {status}, Retry-After {:?}, Content-Type {:?}",
                field(&response, &header::RETRY_AFTER),
                field(&response, &header::CONTENT_TYPE)
            ))),
        }
    }

    /// The item at `location`, `None` if there is none.
    pub(crate) fn item(&self, location: &str) -> Result<Option<Bytes>, CrashError> {
        let response = self.get(location)?;
        match response.status() {
            StatusCode::OK => Ok(Some(response.into_body())),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(CrashError::Answer(format!("an item is answered {status}"))),
        }
    }

    /// The status of its health.
    pub(crate) fn health(&self) -> Result<u16, CrashError> {
        Ok(self.get("/health")?.status().as_u16())
    }

    fn get(&self, path: &str) -> Result<Response<Bytes>, CrashError> {
        let request = Request::builder().uri(format!("{}{path}", self.url)).body(Bytes::new());
        self.ask(request.map_err(|_| CrashError::Answer("a Location that is no URI".into()))?)
    }

    fn ask(&self, request: Request<Bytes>) -> Result<Response<Bytes>, CrashError> {
        Ok(self.client.request(request, ANSWER_MAX)?)
    }
}

fn field<'a>(response: &'a Response<Bytes>, name: &header::HeaderName) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

fn is_good_refusal(response: &Response<Bytes>) -> bool {
    let seconds = field(response, &header::RETRY_AFTER).and_then(|value| value.parse::<u32>().ok());
    seconds.is_some() && field(response, &header::CONTENT_TYPE) == Some("application/problem+json")
}
