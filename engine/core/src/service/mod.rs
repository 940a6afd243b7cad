//! The service: a request and the time go in, an answer and what must come before it go out.
//!
//! One `Service` serves one thread; the services of an engine share the placements and the cover secret, nothing
//! else, so they all give the same answers. Messages, where they are kept, have a service of their own within that of
//! calls, with a cover of their own: a retriever sees what both show. It does no I/O, reads no clock and knows no journal: durability is
//! an [`Effect`] for its caller.

mod batch;
mod gate;
mod message;
mod problem;
mod route;
mod show;
mod tally;

use core::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::class::PlacementClass;
use crate::cover::CoverSchedule;
use crate::limits::{
    BLOCK_ANSWER_BYTES_MAX, NUMBER_SIGNS_MAX, RECORDS_PER_NUMBER_BLUR, RECORDS_PER_NUMBER_LEAST,
    RECORDS_PER_NUMBER_MAX, STORES_TOGETHER,
};
use crate::number::{NumberBlock, TelephoneNumber};
use crate::placement::{NewPlacement, PlacementId, PlacementStore, Refusal};
use crate::random::{IdStream, Random};
use crate::time::Timestamp;

pub use batch::BatchExchange;
pub use gate::{Gate, GatedStore, Passage, Room};
pub use message::{Answer, Effect, Request, Response};
pub use problem::{KeyProblem, Problem};
use route::{ListForm, PASSPORT_TYPE, Route, accepts, is_of_type, list_form};
pub use tally::{NotFound, NotStored, Tallied, Tally};

/// One item of a number as everybody sees it: a placement or cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its id.
    pub id: PlacementId,
    /// From this moment on it is gone.
    pub expires_at: Timestamp,
    /// The sealed bytes; one of [`BODY_BUCKETS_BYTES`] long.
    pub body: Vec<u8>,
}

/// Whether placements can be stored and retrieved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health<'a> {
    /// Why storing or retrieving calls would fail. If there is nothing here, the service is well.
    pub fault: Option<&'a str>,
    /// Why messages cannot be stored, where they are kept.
    pub of_messages: Option<&'a str>,
}

/// Whether stores of a class can be acknowledged at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storing {
    /// They can.
    Possible,
    /// The disk cannot be written: stores are refused, retrievals go on.
    Impossible,
    /// Never: the class is not kept.
    NotKept,
}

impl Storing {
    /// Whether a store of `class` may be tried.
    ///
    /// # Errors
    /// [`Problem::Unavailable`], [`Problem::ClassNotKept`].
    pub const fn check(self, class: PlacementClass) -> Result<(), Problem> {
        match self {
            Self::Possible => Ok(()),
            Self::Impossible => Err(Problem::Unavailable),
            Self::NotKept => Err(Problem::ClassNotKept(class)),
        }
    }
}

/// The Call Placement Service of one thread.
pub struct Service {
    cover: CoverSchedule,
    ids: IdStream,
    blur_key: [u8; 32],
    scratch: Vec<u8>,
    tally: Arc<Tally>,
    /// Messages, if they are kept.
    messages: Option<Box<Self>>,
}

impl Service {
    /// A service of calls alone that shows the cover of `cover` and draws ids from `random`.
    pub fn new(cover: CoverSchedule, random: &dyn Random) -> Self {
        Self {
            blur_key: cover.blur_key(),
            cover,
            ids: IdStream::new(random.key()),
            scratch: Vec::new(),
            tally: Arc::default(),
            messages: None,
        }
    }

    /// The same, which keeps messages too, where its stores have a place for them ([`PlacementStore::messages`]), and shows
    /// their cover.
    pub fn and_messages(mut self, cover: CoverSchedule, random: &dyn Random) -> Self {
        self.messages = Some(Box::new(Self { tally: self.tally.clone(), ..Self::new(cover, random) }));
        self
    }

    /// The service of one class and where its placements are: what to [`store`](Self::store) with.
    ///
    /// # Errors
    /// [`Problem::ClassNotKept`].
    #[inline]
    pub fn of_class<'a>(
        &'a mut self,
        store: &'a mut dyn PlacementStore,
        class: PlacementClass,
    ) -> Result<(&'a mut Self, &'a mut dyn PlacementStore), Problem> {
        match class {
            PlacementClass::Call => Ok((self, store)),
            PlacementClass::Message => self.beside(store).ok_or(Problem::ClassNotKept(class)),
        }
    }

    /// Messages, if they are kept.
    #[inline]
    fn beside<'a>(
        &'a mut self,
        store: &'a mut dyn PlacementStore,
    ) -> Option<(&'a mut Self, &'a mut dyn PlacementStore)> {
        Some((self.messages.as_deref_mut()?, store.messages()?))
    }

    /// What it did so far.
    pub fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// Forgets the keys of cover that is over. Every call does; this is for a service that is not called.
    pub fn forget(&mut self, now: Timestamp) {
        self.cover.advance(now);
        if let Some(messages) = &mut self.messages {
            messages.forget(now);
        }
    }

    /// Answers one HTTP request of RFC 8816 §9; `storing` is of its [class](Request::class). A batch is a [`BatchExchange`] instead, which knows it by its head.
    pub fn handle(
        &mut self,
        store: &mut dyn PlacementStore,
        request: &Request<'_>,
        storing: Storing,
        now: Timestamp,
    ) -> Answer {
        self.dispatch(store, request, storing, now).unwrap_or_else(|problem| {
            self.turn_away(request, &problem);
            Answer::now(problem.response())
        })
    }

    /// Keeps a sealed PASSporT of this service's class under the called number, for one retention from `now`. The caller then makes it
    /// durable.
    ///
    /// # Errors
    /// [`Problem::BodySize`], [`Problem::BodyTooLarge`], [`Problem::Full`]; nothing was kept.
    pub fn store(
        &mut self,
        store: &mut dyn PlacementStore,
        number: TelephoneNumber,
        body: &[u8],
        now: Timestamp,
    ) -> Result<PlacementId, Problem> {
        let placement = self.placement(number, body, now).inspect_err(|problem| self.not_stored(problem))?;
        let result = store.append(&placement, RECORDS_PER_NUMBER_LEAST, now);
        self.settle(store, None, &placement, result, now)
    }

    /// Keeps each of `placements`, or says at its place in `results` why not: what [`store`](Self::store) says of one
    /// after the other, and faster.
    pub fn store_batch(
        &mut self,
        store: &mut dyn PlacementStore,
        placements: &[(TelephoneNumber, &[u8])],
        now: Timestamp,
        results: &mut Vec<Result<PlacementId, Problem>>,
    ) {
        let placements = placements.iter().map(|&(number, body)| (number, body, None));
        self.store_each(store, None, placements, now, results);
    }

    /// [`store_batch`](Self::store_batch), each under the id that it comes with, if it does, and with the room that `gate`
    /// gives it, if there is one.
    fn store_each<'a>(
        &mut self,
        store: &mut dyn PlacementStore,
        gate: Option<&dyn Gate>,
        placements: impl Iterator<Item = (TelephoneNumber, &'a [u8], Option<PlacementId>)>,
        now: Timestamp,
        results: &mut Vec<Result<PlacementId, Problem>>,
    ) {
        results.clear();
        let records_max = RECORDS_PER_NUMBER_LEAST.min(gate.map_or(u32::MAX, Gate::uncontested));
        let mut placements = placements.peekable();
        // What cannot be stored is answered at once and leaves its place in the arrays to the next.
        while let Some(&(number, ..)) = placements.peek() {
            let nothing =
                NewPlacement { number, id: PlacementId::from_bytes([0; 16]), expires_at: now, body: &[] };
            let mut new = [nothing; STORES_TOGETHER];
            let mut count = 0;
            let first = results.len();
            for (number, body, id) in placements.by_ref().take(STORES_TOGETHER) {
                let mut placement = self.placement(number, body, now);
                if let Ok(placement) = &mut placement {
                    placement.id = id.unwrap_or(placement.id);
                    new[count] = *placement;
                    count += 1;
                } else if let Err(problem) = &placement {
                    self.not_stored(problem);
                }
                results.push(placement.map(|placement| placement.id));
            }
            let mut kept = [Ok(()); STORES_TOGETHER];
            store.append_batch(&new[..count], records_max, now, &mut kept[..count]);
            let mut appended = new.iter().zip(kept);
            for result in results[first..].iter_mut().filter(|result| result.is_ok()) {
                let (placement, kept) = appended.next().expect("one for each that could be stored");
                *result = self.settle(store, gate, placement, kept, now);
            }
        }
    }

    /// Counts a request that was refused, unless it is a store of which the placement was, which is counted already.
    #[cold]
    fn turn_away(&self, request: &Request<'_>, problem: &Problem) {
        match problem {
            Problem::Full(_) | Problem::BodySize(_) | Problem::BodyTooLarge => {}
            problem if request.method == "POST" => self.not_stored(problem),
            problem => self.tally.not_found(NotFound::of_problem(problem)),
        }
    }

    /// What is answered to who asks for health: whether storing and retrieving calls would succeed, or what is wrong; and
    /// beside it what is wrong with messages, which decides nothing.
    pub fn health(health: Health<'_>) -> Response {
        let (status, message) = health.fault.map_or((200, "OK"), |fault| (503, fault));
        let mut body = json!({ "status": status, "message": message });
        if let Some(of_messages) = health.of_messages {
            body["messages"] = json!(of_messages);
        }
        let response = Response::new(status, "application/json", body.to_string().into_bytes());
        response.with("cache-control", "no-store")
    }

    fn dispatch(
        &mut self,
        store: &mut dyn PlacementStore,
        request: &Request<'_>,
        storing: Storing,
        now: Timestamp,
    ) -> Result<Answer, Problem> {
        match Route::of(request)? {
            Route::Health => {
                let fault = "placements cannot be written to disk; retrieval goes on";
                let fault = (storing == Storing::Impossible).then_some(fault);
                Ok(Answer::now(Self::health(Health { fault, of_messages: None })))
            }
            Route::Store(number) => {
                if !is_of_type(request.content_type, PASSPORT_TYPE) {
                    return Err(Problem::MediaType);
                }
                let class = request.class()?;
                storing.check(class)?;
                let (service, store) = self.of_class(store, class)?;
                let id = service.store(store, number, request.body, now)?;
                Ok(Self::stored(number, id))
            }
            Route::List { number, inline: false } => {
                let form = list_form(request.accept)?;
                let ids = self.list(store, number, now);
                let paths = ids.into_iter().map(|id| item_path(number, id)).collect();
                Ok(Answer::now(listing(paths, form, request.authority, false)))
            }
            Route::List { number, inline: true } => {
                accepts(request.accept, "application/json")?;
                let items = self.retrieve(store, number, now);
                Ok(Answer::now(inline_listing(number, &items)))
            }
            Route::ListBlock(block) => {
                let form = list_form(request.accept)?;
                let around_bytes = bytes_around(form, request.authority);
                let (paths, truncated) = self.block_paths(store, block, around_bytes, now);
                Ok(Answer::now(listing(paths, form, request.authority, truncated)))
            }
            Route::Item(number, id) => {
                accepts(request.accept, PASSPORT_TYPE)?;
                let item = self.item(store, number, id, now).ok_or(Problem::NoSuchItem)?;
                self.tally.item();
                Ok(Answer::now(item_response(number, item, request.authority)))
            }
        }
    }

    /// The paths of everything under a block: the union of what its numbers would list, cut at the bound of one
    /// answer, in which each path has `around_bytes` around it. Numbers come in order, items by id, so a cut
    /// cannot prefer cover to placements.
    fn block_paths(
        &mut self,
        store: &mut dyn PlacementStore,
        block: NumberBlock,
        around_bytes: usize,
        now: Timestamp,
    ) -> (Vec<String>, bool) {
        let mut paths: Vec<String> = Vec::new();
        let mut bytes = LIST_FRAME_BYTES;
        for number in block.numbers() {
            for id in self.list(store, number, now) {
                let path = item_path(number, id);
                bytes += path.len() + around_bytes;
                if bytes > BLOCK_ANSWER_BYTES_MAX {
                    return (paths, true);
                }
                paths.push(path);
            }
        }
        (paths, false)
    }

    /// A placement with an id of its own.
    // rfc8816:7.5-1.
    fn placement<'a>(
        &mut self,
        number: TelephoneNumber,
        body: &'a [u8],
        now: Timestamp,
    ) -> Result<NewPlacement<'a>, Problem> {
        gate::check_body(body)?;
        self.cover.advance(now);
        let expires_at = now.plus_millis(self.cover.retention().as_millis());
        Ok(NewPlacement { number, id: self.ids.next_id(), expires_at, body })
    }

    /// What became of a placement that was tried with the least bound any number has. Where that refused it, the
    /// number's own bound and the gate decide, who are seldom asked.
    fn settle(
        &self,
        store: &mut dyn PlacementStore,
        gate: Option<&dyn Gate>,
        placement: &NewPlacement<'_>,
        result: Result<(), Refusal>,
        now: Timestamp,
    ) -> Result<PlacementId, Problem> {
        let result = match result {
            Err(Refusal::NumberFull) => {
                self.contest(store, gate, placement, now).unwrap_or(Err(Refusal::NumberFull))
            }
            result => result,
        };
        self.tallied(placement, result)
    }

    /// What became of a placement, counted.
    fn tallied(
        &self,
        placement: &NewPlacement<'_>,
        result: Result<(), Refusal>,
    ) -> Result<PlacementId, Problem> {
        match result {
            Ok(()) => {
                self.tally.stored();
                Ok(placement.id)
            }
            Err(refusal) => {
                let problem = Problem::Full(refusal);
                self.not_stored(&problem);
                Err(problem)
            }
        }
    }

    #[cold]
    fn not_stored(&self, problem: &Problem) {
        self.tally.not_stored(NotStored::of_problem(problem));
    }

    /// The bound of a number for the current retention, blurred: see [`RECORDS_PER_NUMBER_BLUR`].
    fn records_max(&self, number: TelephoneNumber, now: Timestamp) -> u32 {
        let window = now.as_millis() / self.cover.retention().as_millis();
        let mut input = [0; 16];
        input[..8].copy_from_slice(&number.to_bits().to_le_bytes());
        input[8..].copy_from_slice(&window.to_le_bytes());
        let hash = blake3::keyed_hash(&self.blur_key, &input);
        let word = u32::from_le_bytes(core::array::from_fn(|index| hash.as_bytes()[index]));
        RECORDS_PER_NUMBER_MAX - word % (RECORDS_PER_NUMBER_MAX / RECORDS_PER_NUMBER_BLUR)
    }
}

/// Room for the path of an item, unless its number is full of escapes.
const ITEM_PATH_BYTES: usize =
    "/cps/".len() + NUMBER_SIGNS_MAX + "/ppts/".len() + 2 * size_of::<PlacementId>();

/// What a list has before and behind its items, at most: `{"ppts":[` and `],"truncated":true}`.
const LIST_FRAME_BYTES: usize = 32;

/// What a list has around each path: quotes and a comma, or scheme, authority and end of line.
fn bytes_around(form: ListForm, authority: Option<&str>) -> usize {
    match form {
        ListForm::Json => "\"\",".len(),
        ListForm::UriList => absolute(authority, "\r\n").len(),
    }
}

fn item_path(number: TelephoneNumber, id: PlacementId) -> String {
    let mut path = collection_path(number);
    // Writing to a string cannot fail.
    let _ = write!(path, "/{id}");
    path
}

/// `#` starts a fragment in a URL, so it is escaped; `*` needs no escape.
fn collection_path(number: TelephoneNumber) -> String {
    let mut path = String::with_capacity(ITEM_PATH_BYTES);
    path.push_str("/cps/");
    for sign in number.signs() {
        match sign {
            b'#' => path.push_str("%23"),
            sign => path.push(char::from(sign)),
        }
    }
    path.push_str("/ppts");
    path
}

fn absolute(authority: Option<&str>, path: &str) -> String {
    match authority {
        Some(authority) => format!("https://{authority}{path}"),
        None => path.to_owned(),
    }
}

fn retrieved(content_type: &str, body: Vec<u8>) -> Response {
    Response::new(200, content_type, body).with("cache-control", "no-store")
}

fn listing(paths: Vec<String>, form: ListForm, authority: Option<&str>, truncated: bool) -> Response {
    match form {
        ListForm::Json => {
            let mut list = json!({ "ppts": paths });
            if truncated {
                list["truncated"] = Value::Bool(true);
            }
            retrieved("application/json", list.to_string().into_bytes())
        }
        ListForm::UriList => {
            let mut text = String::new();
            if truncated {
                text.push_str("# truncated\r\n");
            }
            for path in &paths {
                text.push_str(&absolute(authority, path));
                text.push_str("\r\n");
            }
            retrieved("text/uri-list", text.into_bytes())
        }
    }
}

fn inline_listing(number: TelephoneNumber, items: &[Item]) -> Response {
    let ppts: Vec<_> = items
        .iter()
        .map(|item| json!({ "href": item_path(number, item.id), "passport": URL_SAFE_NO_PAD.encode(&item.body) }))
        .collect();
    retrieved("application/json", json!({ "ppts": ppts }).to_string().into_bytes())
}

fn item_response(number: TelephoneNumber, item: Item, authority: Option<&str>) -> Response {
    let collection = absolute(authority, &collection_path(number));
    retrieved(PASSPORT_TYPE, item.body).with("link", format!("<{collection}>; rel=\"collection\""))
}
