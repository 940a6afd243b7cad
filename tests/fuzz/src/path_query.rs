//! The service behind HTTP: whatever is asked, the answer is one that docs/openapi.yaml describes.
//!
//! An input is text: up to four requests with an empty line between them, each `METHOD TARGET` and then any of the
//! lines `host: …`, `accept: …`, `content-type: …`, `body: LENGTH`, `after: MILLISECONDS`, `storing: no`.
//! `{item}` in a target stands for the path of the item stored last.

use herald_core::limits::{BLOCK_ANSWER_BYTES_MAX, BODY_BUCKETS_BYTES, TARGET_BYTES_MAX};
use herald_core::{
    Answer, BatchExchange, CoverSchedule, CoverSecret, Effect, NewPlacement, PlacementId, PlacementRef,
    PlacementStore, Problem, Refusal, Request, Response, Retention, Service, Storing, TelephoneNumber,
    Timestamp, X25519Suite,
};
use serde_json::Value;

use crate::contract::{BATCH, BATCH_RETRIEVE, BLOCK, Contract, HEALTH, ITEM, NUMBER};
use crate::fixed::Fixed;
use crate::limits::REQUESTS_MAX;

const START: Timestamp = Timestamp::from_millis(1_795_300_000_000);
/// Longer than any body the service takes, so that the bound is met too.
const BODY_BYTES_MAX: usize = 10_000;

/// Plays `data` against a service of its own.
///
/// # Panics
/// If an answer is not one the document describes, or what was stored or listed cannot be fetched.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut bench = Bench::new();
    for request in text.split("\n\n").take(REQUESTS_MAX) {
        bench.play(request);
    }
}

struct Bench {
    service: Service,
    store: Plain,
    now: Timestamp,
    item: String,
}

/// One request as the input writes it.
struct Asked<'a> {
    method: &'a str,
    target: String,
    host: Option<&'a str>,
    accept: Option<&'a str>,
    content_type: Option<&'a str>,
    body: Vec<u8>,
    after_ms: u64,
    storing: Storing,
}

impl<'a> Asked<'a> {
    fn read(text: &'a str, item: &str) -> Self {
        let mut lines = text.lines();
        let (method, target) = lines.next().unwrap_or("").split_once(' ').unwrap_or(("GET", "/"));
        let (target, storing) = (target.replace("{item}", item), Storing::Possible);
        let (host, accept, content_type) = (None, None, None);
        let mut asked =
            Self { method, target, host, accept, content_type, body: Vec::new(), after_ms: 0, storing };
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            // Other values are refused before the service sees them.
            let field = Some(value).filter(|value| value.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            match name {
                "host" => asked.host = field,
                "accept" => asked.accept = field,
                "content-type" => asked.content_type = field,
                "body" => asked.body = body(value.parse().unwrap_or(0)),
                "after" => asked.after_ms = value.parse().unwrap_or(0),
                "storing" if value == "no" => asked.storing = Storing::Impossible,
                _ => {}
            }
        }
        asked
    }

    fn request(&self) -> Request<'_> {
        Request {
            method: self.method,
            target: &self.target,
            authority: self.host,
            accept: self.accept,
            content_type: self.content_type,
            body: &self.body,
        }
    }

    /// The paths of the document that the target has the form of.
    fn paths(&self) -> &'static [&'static str] {
        let path = self.target.split('?').next().unwrap_or("");
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["", "health"] => &[HEALTH],
            ["", "cps", "batch"] => &[BATCH],
            ["", "cps", "batch", "retrieve"] => &[BATCH_RETRIEVE],
            ["", "cps", _, "ppts"] | ["", "cps", _, "ppts", ""] => &[NUMBER, BLOCK],
            ["", "cps", _, "ppts", _] | ["", "cps", _, "ppts", _, ""] => &[ITEM],
            _ => &[],
        }
    }
}

fn body(bytes: usize) -> Vec<u8> {
    (0..bytes.min(BODY_BYTES_MAX)).map(|at| u8::try_from(at % 251).expect("a remainder below 251")).collect()
}

impl Bench {
    fn new() -> Self {
        let random = Fixed::new(1);
        let secret = CoverSecret::generate(&random, Retention::DEFAULT, START);
        let cover = CoverSchedule::new(secret, Retention::DEFAULT, Box::new(X25519Suite));
        let service = Service::new(cover, &random);
        Self { service, store: Plain::default(), now: START, item: "/health".to_owned() }
    }

    fn play(&mut self, text: &str) {
        let asked = Asked::read(text, &self.item);
        self.now = self.now.plus_millis(asked.after_ms.min(1 << 32));
        let answer = self.handle(&asked.request(), asked.storing);
        check_answer(&asked, &answer);
        let response = answer.response;
        match asked.method {
            "POST" if response.status == 201 => self.look_for(&asked, &response),
            "GET" => {
                let head = Request { method: "HEAD", ..asked.request() };
                assert_eq!(self.handle(&head, asked.storing).response, response, "HEAD is not like GET");
                self.fetch_listed(&asked, &response);
            }
            _ => {}
        }
    }

    /// A batch is known by its head, as at the door of the engine. No body here is one.
    fn handle(&mut self, request: &Request<'_>, storing: Storing) -> Answer {
        match BatchExchange::open(request, storing) {
            Ok(None) => self.service.handle(&mut self.store, request, storing, self.now),
            Ok(Some(exchange)) => refused(&self.no_batch(exchange, request.body, storing)),
            Err(problem) => refused(&problem),
        }
    }

    fn no_batch(&mut self, mut batch: BatchExchange, mut body: &[u8], storing: Storing) -> Problem {
        let mut out = Vec::new();
        let step =
            self.service.step_batch(&mut self.store, &mut batch, &mut body, &mut out, storing, self.now);
        let ended = step.and_then(|_| batch.end(None, &mut out));
        ended.expect_err("a body that begins with no version is taken for a batch")
    }

    fn get(&mut self, target: &str) -> Response {
        let request = Request { method: "GET", target, ..Request::default() };
        self.handle(&request, Storing::Possible).response
    }

    /// What was just stored is listed, and fetched as it came.
    fn look_for(&mut self, asked: &Asked<'_>, stored: &Response) {
        let item = stored.header("location").expect("201 says where").to_owned();
        let fetched = self.get(&item);
        assert_eq!(
            (fetched.status, &fetched.body),
            (200, &asked.body),
            "the placement is not as it was stored"
        );
        let (list, _) = item.rsplit_once('/').expect("an item stands in a list");
        assert!(listed(&self.get(list).body).contains(&item), "the placement is not listed");
        self.item = item;
    }

    /// The first of a list, cover or not, can be fetched.
    fn fetch_listed(&mut self, asked: &Asked<'_>, list: &Response) {
        if list.status != 200 || list.header("content-type") != Some("application/json") {
            return;
        }
        if asked.paths().contains(&HEALTH) {
            return;
        }
        let items = listed(&list.body);
        let item = items.first().expect("a list has at least one item");
        let fetched = self.get(item);
        assert_eq!(fetched.status, 200, "an item that is listed cannot be fetched");
        assert!(BODY_BUCKETS_BYTES.contains(&fetched.body.len()));
    }
}

fn refused(problem: &Problem) -> Answer {
    Answer { response: problem.response(), effect: Effect::None }
}

/// The paths in a list, inline or not.
fn listed(body: &[u8]) -> Vec<String> {
    let list: Value = serde_json::from_slice(body).expect("a list is JSON");
    let items = list["ppts"].as_array().expect("a list has ppts");
    let path = |item: &Value| item.as_str().or_else(|| item["href"].as_str()).map(str::to_owned);
    items.iter().map(|item| path(item).expect("an item is a path or has one")).collect()
}

fn check_answer(asked: &Asked<'_>, answer: &Answer) {
    let Answer { response, effect } = answer;
    let status = response.status;
    let allowed = Contract::get().allows(asked.paths(), asked.method, status);
    assert!(allowed, "{status} is not for {} {:?}", asked.method, asked.paths());
    assert_eq!(status == 414, asked.target.len() > TARGET_BYTES_MAX);
    assert_eq!(*effect == Effect::MakeDurable, status == 201);
    for (name, value) in &response.headers {
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
        assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{name} is not visible ASCII");
    }
    let is_health = asked.paths().contains(&HEALTH);
    match status {
        201 => assert!(response.body.is_empty() && response.header("location").is_some()),
        200 => check_found(asked, response),
        503 if is_health => assert_eq!(response.header("content-type"), Some("application/json")),
        _ => check_problem(response),
    }
}

fn check_found(asked: &Asked<'_>, response: &Response) {
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let inline = asked.target.contains('?');
    match response.header("content-type") {
        Some("application/passport") => {
            assert!(BODY_BUCKETS_BYTES.contains(&response.body.len()));
            assert!(response.header("link").is_some_and(|link| link.ends_with("/ppts>; rel=\"collection\"")));
        }
        Some("application/json" | "text/uri-list") => {
            assert!(inline || response.body.len() <= BLOCK_ANSWER_BYTES_MAX, "the list is too long");
        }
        other => panic!("{other:?} is no type of an answer"),
    }
}

/// RFC 9457, as the document narrows it.
fn check_problem(response: &Response) {
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    let problem: Value = serde_json::from_slice(&response.body).expect("a problem is JSON");
    let text = |name: &str| problem[name].as_str().filter(|text| !text.is_empty());
    assert!(text("type").is_some_and(|kind| Contract::get().knows_problem(kind)), "{problem}");
    assert!(text("title").is_some() && text("detail").is_some(), "{problem}");
    assert_eq!(problem["status"].as_u64(), Some(u64::from(response.status)), "{problem}");
    assert_eq!(response.header("allow").is_some(), response.status == 405);
    let wait = response.header("retry-after").map(str::parse::<u32>);
    assert_eq!(matches!(wait, Some(Ok(1..))), response.status == 503);
}

/// Placements in a list, newest last.
#[derive(Default)]
pub(crate) struct Plain(Vec<(TelephoneNumber, Kept)>);

/// One placement, kept.
struct Kept {
    id: PlacementId,
    expires_at: Timestamp,
    body: Vec<u8>,
}

impl PlacementStore for Plain {
    fn append(&mut self, new: &NewPlacement<'_>, records_max: u32, now: Timestamp) -> Result<(), Refusal> {
        let mut live_count = 0;
        self.for_each_live(new.number, now, &mut |_| live_count += 1);
        if live_count >= records_max {
            return Err(Refusal::NumberFull);
        }
        self.0.push((new.number, Kept { id: new.id, expires_at: new.expires_at, body: new.body.to_vec() }));
        Ok(())
    }

    fn for_each_live(
        &mut self,
        number: TelephoneNumber,
        now: Timestamp,
        visit: &mut dyn FnMut(PlacementRef<'_>),
    ) {
        let of_number = self.0.iter().rev().filter(|(of, kept)| *of == number && kept.expires_at > now);
        for (_, kept) in of_number {
            visit(PlacementRef { id: kept.id, expires_at: kept.expires_at, body: &kept.body });
        }
    }
}
