//! Refusals in HTTP: `application/problem+json` (RFC 9457), and the challenge of RFC 9577 where a token is wanted.

use herald_admission::Refusal;
use herald_core::Timestamp;
use herald_net::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use herald_net::{Bytes, Response, StatusCode};
use serde_json::{Value, json};

use super::Books;

pub(crate) type HttpResponse = Response<Bytes>;

/// An answer without a body.
pub(super) fn bare(status: StatusCode) -> HttpResponse {
    with_body(status, "", Bytes::new())
}

/// An answer that is the same for all who ask within `fresh_s`.
pub(super) fn public(content_type: &str, body: Bytes, fresh_s: u64) -> HttpResponse {
    let mut answer = with_body(StatusCode::OK, content_type, body);
    put(&mut answer, CACHE_CONTROL, &format!("public, max-age={fresh_s}"));
    answer
}

/// An answer for one who asks.
pub(super) fn private(content_type: &str, body: Vec<u8>) -> HttpResponse {
    let mut answer = with_body(StatusCode::OK, content_type, Bytes::from(body));
    put(&mut answer, CACHE_CONTROL, "no-store");
    answer
}

/// A problem.
#[cold]
pub(super) fn problem(status: StatusCode, kind: &str, title: &str, detail: &str) -> HttpResponse {
    problem_of(status, members(status, kind, title, detail))
}

/// The problem of one who asks for more tokens than it may have, with how many it may (RFC 9457 §3.2).
#[cold]
pub(super) fn no_more_tokens(status: StatusCode, detail: &str, left: Option<u32>) -> HttpResponse {
    let mut members = members(status, "token-quota", "No more tokens", detail);
    if let Some(left) = left {
        members[LEFT] = left.into();
    }
    problem_of(status, members)
}

/// The member that says how many tokens may still be had.
const LEFT: &str = "left";

fn members(status: StatusCode, kind: &str, title: &str, detail: &str) -> Value {
    json!({
        "type": format!("urn:herald:problem:{kind}"),
        "title": title,
        "status": status.as_u16(),
        "detail": detail,
    })
}

fn problem_of(status: StatusCode, members: Value) -> HttpResponse {
    with_body(status, "application/problem+json", Bytes::from(members.to_string()))
}

/// Adds when to come back.
pub(super) fn retry_after(mut answer: HttpResponse, seconds: u64) -> HttpResponse {
    put(&mut answer, RETRY_AFTER, &seconds.to_string());
    answer
}

/// Adds how to be known.
pub(super) fn challenge(mut answer: HttpResponse, challenge: &str) -> HttpResponse {
    put(&mut answer, WWW_AUTHENTICATE, challenge);
    answer
}

/// The refusal of a store. It says which limit was reached and when to come back, never how busy a number is.
#[cold]
pub(crate) fn refused(books: &Books, refusal: Refusal, now: Timestamp) -> HttpResponse {
    books.counters.refuse(&refusal);
    let status = StatusCode::from_u16(refusal.status()).expect("refusals have valid codes");
    let answer = problem(status, refusal.kind(), "Store not admitted", &refusal.to_string());
    let answer = match refusal.retry_after_s() {
        Some(seconds) => retry_after(answer, u64::from(seconds)),
        None => answer,
    };
    if status != StatusCode::UNAUTHORIZED {
        return answer;
    }
    match books.admission.challenge_key(now) {
        Some(key) => challenge(answer, &books.admission.challenge().header(&key.public_key)),
        None => answer,
    }
}

fn with_body(status: StatusCode, content_type: &str, body: Bytes) -> HttpResponse {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    if !content_type.is_empty() {
        put(&mut answer, CONTENT_TYPE, content_type);
    }
    answer
}

fn put(answer: &mut HttpResponse, name: HeaderName, value: &str) {
    // All values are ours and visible ASCII; a media type of a plugin was checked when it was loaded.
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}
