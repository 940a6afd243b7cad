//! What is asked of a Call Placement Service over HTTP, and what its answers say (RFC 8816 §9). Messages in and out; it
//! knows no connection.

use core::fmt;
use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use herald_core::batch::{self, NotABatch, Outcome, Retrieved, Stored};
use herald_core::json::Object;
use herald_core::{PlacementClass, PlacementId, TelephoneNumber};
use herald_net::{Bytes, ClientError, Method, Request, Response, header};
use herald_stir::bundle::{self, Area, Listing};
use herald_stir::limits::COLLECTED_ITEMS_MAX;
use herald_stir::services::IoFault;
use serde::Deserialize;

use crate::limits::{PROBLEM_BYTES_MAX, REFERENCE_BYTES_MAX};

/// What URIs begin with where the way is a Unix socket.
pub(crate) const UNIX_BASE: &str = "http://localhost";

/// One item as the service gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrievedItem {
    /// Its path at the service.
    pub href: String,
    /// The sealed bytes, or cover.
    pub body: Vec<u8>,
}

/// Asks for a sealed PASSporT to be stored under the called number, with what it is authorised by, if anything.
pub(crate) fn store_request(
    base: &str,
    class: PlacementClass,
    number: TelephoneNumber,
    sealed: impl Into<Bytes>,
    authorization: Option<&str>,
) -> Result<Request<Bytes>, CpsError> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("{base}{}", list_path(number)))
        .header(header::CONTENT_TYPE, typed("application/passport", class));
    if let Some(value) = authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    let request = request.body(sealed.into());
    request.map_err(|_| CpsError::Url(base.to_owned()))
}

/// The media type of what is of `class`. That of a call is the plain one, which every service takes.
fn typed(media_type: &str, class: PlacementClass) -> String {
    match class {
        PlacementClass::Call => media_type.to_owned(),
        PlacementClass::Message => format!("{media_type}; class={}", class.name()),
    }
}

/// Asks for everything under the called number, in one round trip.
pub(crate) fn retrieve_request(base: &str, number: TelephoneNumber) -> Result<Request<Bytes>, CpsError> {
    let request = Request::builder().uri(format!("{base}{}?inline=1", list_path(number))).body(Bytes::new());
    request.map_err(|_| CpsError::Url(base.to_owned()))
}

/// For each placement of a batch whether it was sent, or what came of it without that.
pub(crate) type Sent = Vec<Result<(), Outcome>>;

/// Asks for each of `placements` to be stored, but for those that no service takes: the answer tells these.
pub(crate) fn store_batch_request(
    base: &str,
    class: PlacementClass,
    placements: &[(TelephoneNumber, &[u8])],
) -> Result<(Request<Bytes>, Sent), CpsError> {
    let mut body = batch::begin();
    let put = |&(number, sealed): &(TelephoneNumber, &[u8])| {
        batch::put_placement(&mut body, number, sealed).map_err(|_| Outcome::BodySize)
    };
    let sent = placements.iter().map(put).collect();
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{base}{}", batch::STORE_PATH))
        .header(header::CONTENT_TYPE, typed(batch::MEDIA_TYPE, class))
        .body(Bytes::from(body));
    Ok((request.map_err(|_| CpsError::Url(base.to_owned()))?, sent))
}

/// What an answer says of each placement of a batch, of which `sent` tells which were sent.
pub(crate) fn stored_batch(
    response: &Response<Bytes>,
    sent: &Sent,
) -> Result<Vec<Result<PlacementId, Outcome>>, CpsError> {
    if wants_tokens(response) {
        return Err(CpsError::TokensWanted);
    }
    check(response)?;
    let mut answer = &response.body()[..];
    batch::take_version(&mut answer).map_err(no_batch)?;
    let mut result = || match batch::take_stored(&mut answer).map_err(no_batch)? {
        Some(Stored::Done(id)) => Ok(Ok(id)),
        Some(Stored::Refused(outcome)) => Ok(Err(outcome)),
        None => Err(CpsError::Answer("fewer results than it was sent placements")),
    };
    let results = sent.iter().map(|sent| sent.map_or_else(|outcome| Ok(Err(outcome)), |()| result()));
    all_of(results.collect(), answer)
}

/// Whether a service refuses a batch of placements since each needs a token: it takes batches of another version alone.
fn wants_tokens(response: &Response<Bytes>) -> bool {
    match response.status().as_u16() {
        401 => true,
        400 => problem(response).is_some_and(|problem| problem.kind == "urn:herald:problem:batch"),
        _ => false,
    }
}

/// Asks for everything under each of `numbers`.
pub(crate) fn retrieve_batch_request(
    base: &str,
    numbers: &[TelephoneNumber],
) -> Result<Request<Bytes>, CpsError> {
    let mut body = batch::begin();
    numbers.iter().for_each(|&number| batch::put_number(&mut body, number));
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{base}{}", batch::RETRIEVE_PATH))
        .header(header::CONTENT_TYPE, batch::MEDIA_TYPE)
        .body(Bytes::from(body));
    request.map_err(|_| CpsError::Url(base.to_owned()))
}

/// What waits under a number, or why the service did not look.
pub(crate) type Found = Result<Vec<(PlacementId, Vec<u8>)>, Outcome>;

/// What an answer says is under each of `count` numbers.
pub(crate) fn retrieved_batch(response: &Response<Bytes>, count: usize) -> Result<Vec<Found>, CpsError> {
    check(response)?;
    let mut answer = &response.body()[..];
    batch::take_version(&mut answer).map_err(no_batch)?;
    let mut result = |_| match batch::take_retrieved(&mut answer).map_err(no_batch)? {
        Some(Retrieved::Done(items)) => {
            Ok(Ok(items.into_iter().map(|(id, body)| (id, body.to_vec())).collect()))
        }
        Some(Retrieved::Refused(outcome)) => Ok(Err(outcome)),
        None => Err(CpsError::Answer("fewer results than it was asked for numbers")),
    };
    let lists = (0..count).map(&mut result).collect();
    all_of(lists, answer)
}

/// The results, if nothing is left behind them.
fn all_of<T>(results: Result<T, CpsError>, rest: &[u8]) -> Result<T, CpsError> {
    match rest {
        [] => results,
        _ => results.and(Err(CpsError::Answer("more results than it was asked for"))),
    }
}

fn no_batch(_: NotABatch) -> CpsError {
    CpsError::Answer("bytes that are no batch")
}

/// Where a store's answer says that the item is.
pub(crate) fn stored(response: &Response<Bytes>) -> Result<String, CpsError> {
    check(response)?;
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let location = location.filter(|location| is_reference(location));
    location.map(str::to_owned).ok_or(CpsError::Answer("a 201 without a Location"))
}

/// The items in a retrieval's answer, the first [`COLLECTED_ITEMS_MAX`] of them.
pub(crate) fn retrieved(response: &Response<Bytes>) -> Result<Vec<RetrievedItem>, CpsError> {
    check(response)?;
    parse_inline(response.body()).ok_or(CpsError::Answer("a list of another form"))
}

/// Asks for a signed key bundle to be published.
pub(crate) fn publish_request(base: &str, token: &str) -> Result<Request<Bytes>, CpsError> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{base}{}", bundle::PUBLISH_PATH))
        .header(header::CONTENT_TYPE, bundle::MEDIA_TYPE)
        .body(Bytes::copy_from_slice(token.as_bytes()));
    request.map_err(|_| CpsError::Url(base.to_owned()))
}

/// Asks for the key bundles about an area.
pub(crate) fn keys_request(base: &str, area: &Area) -> Result<Request<Bytes>, CpsError> {
    let request = Request::builder().uri(format!("{base}{}", area.path())).body(Bytes::new());
    request.map_err(|_| CpsError::Url(base.to_owned()))
}

/// Whether a key bundle was published.
pub(crate) fn published(response: &Response<Bytes>) -> Result<(), CpsError> {
    check(response)
}

/// The key bundles of an answer, none of them verified.
pub(crate) fn key_bundles(response: &Response<Bytes>) -> Result<Listing, CpsError> {
    check(response)?;
    Listing::parse(response.body()).ok_or(CpsError::Answer("a list of key bundles of another form"))
}

/// The path of an item at a service whose paths are RFC 8816's.
pub(crate) fn item_path(number: TelephoneNumber, item: PlacementId) -> String {
    format!("{}/{item}", list_path(number))
}

fn list_path(number: TelephoneNumber) -> String {
    format!("/cps/{}/ppts", number.to_string().replace('#', "%23"))
}

fn check(response: &Response<Bytes>) -> Result<(), CpsError> {
    if response.status().is_success() {
        return Ok(());
    }
    Err(CpsError::Refused { status: response.status().as_u16(), detail: reason(response) })
}

/// Why a service refuses, in its own words.
pub(crate) fn reason(response: &Response<Bytes>) -> String {
    printable(problem(response).as_ref().map_or("it gives no reason", |problem| &problem.detail))
}

/// Whether a service refuses a store since its token has stored enough under this number, and others may have it.
pub(crate) fn is_full_of_token(response: &Response<Bytes>) -> bool {
    response.status().as_u16() == 429
        && problem(response).is_some_and(|problem| problem.kind == "urn:herald:problem:token-number")
}

/// How many tokens an issuer that was asked for too many would give, if it says so.
pub(crate) fn tokens_left(response: &Response<Bytes>) -> Option<u32> {
    problem(response)?.left
}

fn problem(response: &Response<Bytes>) -> Option<ProblemText<'_>> {
    let body = Some(response.body()).filter(|body| body.len() <= PROBLEM_BYTES_MAX)?;
    serde_json::from_slice(body).ok().map(|Object(problem)| problem)
}

/// What is read of a refusal's body (RFC 9457).
#[derive(Deserialize)]
struct ProblemText<'a> {
    #[serde(borrow)]
    detail: Cow<'a, str>,
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(default)]
    left: Option<u32>,
}

/// What is read of a list. Whatever else a service writes takes no memory.
#[derive(Deserialize)]
struct ListText<'a> {
    #[serde(borrow)]
    ppts: Vec<Object<ItemText<'a>>>,
}

#[derive(Deserialize)]
struct ItemText<'a> {
    #[serde(borrow)]
    href: Cow<'a, str>,
    #[serde(borrow)]
    passport: Cow<'a, str>,
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
    let Object(list): Object<ListText> = serde_json::from_slice(body).ok()?;
    let item = |Object(item): Object<ItemText>| {
        let body = URL_SAFE_NO_PAD.decode(item.passport.as_bytes()).ok()?;
        is_reference(&item.href).then(|| RetrievedItem { href: item.href.into_owned(), body })
    };
    list.ppts.into_iter().take(COLLECTED_ITEMS_MAX).map(item).collect()
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
    /// It takes no batch of placements without tokens.
    TokensWanted,
    /// Its answer is not one of RFC 8816 §9.
    Answer(&'static str),
}

impl From<ClientError> for CpsError {
    fn from(error: ClientError) -> Self {
        Self::Unreachable(error)
    }
}

impl From<CpsError> for IoFault {
    fn from(error: CpsError) -> Self {
        match error {
            CpsError::Url(_) | CpsError::Roots(_) | CpsError::TokensWanted => {
                Self::NotAllowed(error.to_string())
            }
            CpsError::Unreachable(error) => error.into_fault(),
            CpsError::Refused { status, detail } => Self::Refused { status, detail },
            CpsError::Answer(why) => Self::Malformed(why.to_owned()),
        }
    }
}

/// A failed exchange in the words of machines.
pub(crate) trait IntoFault {
    fn into_fault(self) -> IoFault;
}

impl IntoFault for ClientError {
    fn into_fault(self) -> IoFault {
        match self {
            Self::Timeout { .. } => IoFault::TimedOut,
            Self::AnswerTooLarge { .. } => IoFault::Malformed(self.to_string()),
            Self::AddressRefused { .. } | Self::BadRequest { .. } => IoFault::NotAllowed(self.to_string()),
            Self::Busy { .. } | Self::Abandoned => IoFault::Busy,
            _ => IoFault::Unreachable(self.to_string()),
        }
    }
}

impl fmt::Display for CpsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => write!(f, "{url:?} is no service: give https://HOST[:PORT] or unix:PATH"),
            Self::Roots(why) => write!(f, "the authorities the service's certificate should chain to: {why}"),
            Self::Unreachable(error) => write!(f, "the service gives no answer: {error}"),
            Self::Refused { status, detail } => write!(f, "the service refuses with {status}: {detail}"),
            Self::TokensWanted => f.write_str(
                "the service wants a token for each store over HTTPS; place the call, which gets tokens by itself with \
                 signing_key, signing_certificate and a rate control plugin set, or store through the service's Unix socket",
            ),
            Self::Answer(why) => write!(f, "the service answers with {why}; is it a Call Placement Service?"),
        }
    }
}

impl core::error::Error for CpsError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: String) -> Response<Bytes> {
        Response::builder().status(status).body(Bytes::from(body)).expect("an answer")
    }

    #[test]
    fn a_list_is_read_whatever_stands_beside_it_and_no_further_than_it_is_wanted() {
        let deep = "[".repeat(40) + &"]".repeat(40);
        let item = r#"{"passport":"AQI","x":1,"href":"\u002fcps/1"}"#;
        let read = |body: String| retrieved(&answer(200, body)).map(|items| items.len()).ok();
        let many = vec![item; COLLECTED_ITEMS_MAX + 1].join(",");
        for (body, count) in [
            (format!(r#"{{"x":{deep},"ppts":[{item},{item}],"y":"z"}}"#), Some(2)),
            (format!(r#"{{"ppts":[{many}]}}"#), Some(COLLECTED_ITEMS_MAX)),
            (r#"{"ppts":[]}"#.to_owned(), Some(0)),
            (r#"{"ppts":[{"href":"/a"}]}"#.to_owned(), None),
            (r#"{"ppts":[{"href":"/a b","passport":""}]}"#.to_owned(), None),
            (r#"{"ppts":[{"href":"/a","passport":"*"}]}"#.to_owned(), None),
            ("{}".to_owned(), None),
            (format!("[[{item}]]"), None),
            (r#"{"ppts":[["/a","AQI"]]}"#.to_owned(), None),
        ] {
            assert_eq!(read(body.clone()), count, "{}", &body[..body.len().min(100)]);
        }
        let items = retrieved(&answer(200, format!(r#"{{"ppts":[{item}]}}"#))).expect("items");
        assert_eq!(items, [RetrievedItem { href: "/cps/1".to_owned(), body: vec![1, 2] }]);
    }

    #[test]
    fn a_batch_that_is_refused_for_want_of_tokens_is_told_from_others() {
        let refused = |status, kind: &str| {
            let body = format!(r#"{{"type":"urn:herald:problem:{kind}","detail":"why"}}"#);
            stored_batch(&answer(status, body), &Vec::new())
        };
        for (status, kind, is_for_tokens) in [
            (400, "batch", true),
            (401, "token-needed", true),
            (400, "malformed", false),
            (503, "batch", false),
            (413, "batch", false),
        ] {
            let told = matches!(refused(status, kind), Err(CpsError::TokensWanted));
            assert_eq!(told, is_for_tokens, "{status} {kind}");
        }
        let array = answer(400, r#"["why","urn:herald:problem:batch"]"#.to_owned());
        assert!(!matches!(stored_batch(&array, &Vec::new()), Err(CpsError::TokensWanted)));
    }

    #[test]
    fn an_answer_to_a_batch_has_a_result_for_each_record_and_nothing_else() {
        let item =
            |bytes: u16| [&[0, 0, 1][..], &[9; 16], &bytes.to_be_bytes(), &vec![7; bytes.into()]].concat();
        let batch =
            |parts: &[&[u8]]| Response::new(Bytes::from([&[batch::VERSION][..], &parts.concat()].concat()));
        let (good, refused, stored) = (item(640), [Outcome::Unavailable.code()], [0; 17]);
        let lists: [(&[&[u8]], bool); 9] = [
            (&[&good, &refused], true),
            (&[&refused, &good], true),
            (&[&good], false),
            (&[&good, &good, &refused], false),
            (&[&good, &good[..600]], false),
            (&[&good, &item(641)], false),
            (&[&good, &[0, 255, 255]], false),
            (&[&good, &[99]], false),
            (&[&good, &good, &[0]], false),
        ];
        for (index, (parts, is_answer)) in lists.into_iter().enumerate() {
            assert_eq!(retrieved_batch(&batch(parts), 2).is_ok(), is_answer, "list {index}");
        }
        let sent = vec![Ok(()), Err(Outcome::BodySize), Ok(())];
        let results: [(&[&[u8]], bool); 5] = [
            (&[&stored, &refused], true),
            (&[&stored], false),
            (&[&stored, &stored, &refused], false),
            (&[&stored, &stored[..16]], false),
            (&[&stored, &[99]], false),
        ];
        for (index, (parts, is_answer)) in results.into_iter().enumerate() {
            assert_eq!(stored_batch(&batch(parts), &sent).is_ok(), is_answer, "results {index}");
        }
    }

    #[test]
    fn a_reason_is_told_if_it_is_short() {
        let detail = |body: String| match retrieved(&answer(503, body)) {
            Err(CpsError::Refused { status: 503, detail }) => detail,
            other => panic!("{other:?}"),
        };
        let none = "it gives no reason";
        for (body, told) in [
            (r#"{"status":503,"detail":"try\nlater"}"#.to_owned(), "trylater"),
            (format!(r#"{{"detail":"x"{}}}"#, " ".repeat(PROBLEM_BYTES_MAX)), none),
            (r#"{"detail":5}"#.to_owned(), none),
            (String::new(), none),
        ] {
            assert_eq!(detail(body), told);
        }
    }
}
