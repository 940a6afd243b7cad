//! Tokens for those it knows, and reports from them: holders of numbers, by their certificates (RFC 9578, RFC 8816 §7.5).
//!
//! Runs on a thread of its own, since to know somebody takes up to seven signature verifications. Nothing of a request is
//! kept but how many tokens its holder had of which key; nothing of it is ever said.

use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;

use herald_admission::{Class, Identity, IssuanceQuota, IssuerKey, QuotaRefusal, directory};
use herald_core::{PlacementId, TelephoneNumber, Timestamp};
use herald_net::{Bytes, StatusCode};
use herald_stir::{
    AccessFault, AccessToken, CallToken, CertificateChain, Fault, Holder, ReplayMemory, TrustStore,
};
use parking_lot::{Condvar, Mutex, RwLock};

use super::answer::{HttpResponse, bare, challenge, no_more_tokens, private, problem, public, retry_after};
use super::{Books, spawn};
use crate::clock::wall_clock;
use crate::error::EngineError;
use crate::limits::{
    ACCESS_TOKENS_PER_HOLDER_MAX, ACCESS_TOKENS_REMEMBERED_MAX, DIRECTORY_FRESH_S, ERRANDS_WAITING_MAX,
    ISSUE_DEADLINE_MS, ITEMS_REPORTED_MAX,
};
use crate::plugins::NotDone;
use crate::readers::{Giver, Reading, reading};

/// What somebody asks for who must say who it is.
pub(crate) struct Errand {
    /// The path, as it was asked for.
    pub(crate) path: String,
    /// The certificates that the client has proven, leaf first.
    pub(crate) certificates: Vec<Vec<u8>>,
    /// The value of `Authorization`.
    pub(crate) authorization: Option<Vec<u8>>,
    pub(crate) wish: Wish,
}

/// What it is.
pub(crate) enum Wish {
    /// Tokens: the media type and body of the request.
    Tokens(Vec<u8>, Bytes),
    /// To report an item under a number as bogus.
    Report(TelephoneNumber, PlacementId),
}

/// The running thread.
pub(super) struct Issuer {
    inbox: Arc<Inbox>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(Errand, Giver<HttpResponse>)>,
    is_closed: bool,
}

impl Issuer {
    pub(super) fn start(
        books: Arc<Books>,
        trust: Arc<RwLock<Option<TrustStore>>>,
    ) -> Result<Self, EngineError> {
        let inbox = Arc::<Inbox>::default();
        let quota = Arc::new(Mutex::new(IssuanceQuota::new(books.admission.settings())));
        let desk = Desk {
            books,
            quota,
            trust,
            seen: ReplayMemory::new(ACCESS_TOKENS_REMEMBERED_MAX),
            reported: ReplayMemory::new(ITEMS_REPORTED_MAX),
            sighting: AtomicU64::new(0),
        };
        let thread = {
            let inbox = inbox.clone();
            spawn("herald-issuer", move || inbox.serve(&desk))?
        };
        Ok(Self { inbox, thread: Mutex::new(Some(thread)) })
    }

    /// `None` if too many wait.
    pub(super) fn submit(&self, errand: Errand) -> Option<Reading<HttpResponse>> {
        let mut state = self.inbox.state.lock();
        if state.is_closed || state.waiting.len() >= ERRANDS_WAITING_MAX {
            return None;
        }
        let (giver, reading) = reading();
        state.waiting.push_back((errand, giver));
        self.inbox.changed.notify_one();
        Some(reading)
    }

    pub(super) fn stop(&self) {
        let given_up = {
            let mut state = self.inbox.state.lock();
            state.is_closed = true;
            core::mem::take(&mut state.waiting)
        };
        self.inbox.changed.notify_all();
        drop(given_up);
        if let Some(thread) = self.thread.lock().take() {
            // A panic was reported by the panic hook.
            let _ = thread.join();
        }
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Inbox {
    fn serve(&self, desk: &Desk) {
        let mut state = self.state.lock();
        while !state.is_closed {
            if let Some((errand, giver)) = state.waiting.pop_front() {
                drop(state);
                desk.serve(errand, giver);
                state = self.state.lock();
            } else {
                self.changed.wait(&mut state);
            }
        }
    }
}

/// Who knows whom, and what they may have.
struct Desk {
    books: Arc<Books>,
    quota: Arc<Mutex<IssuanceQuota>>,
    trust: Arc<RwLock<Option<TrustStore>>>,
    /// Access tokens of the last minutes.
    seen: ReplayMemory,
    /// Items that were reported while the sessions that stored them live: each counts once.
    reported: ReplayMemory,
    sighting: AtomicU64,
}

impl Desk {
    fn serve(&self, errand: Errand, giver: Giver<HttpResponse>) {
        let holder = match self.holder(&errand) {
            Ok(holder) => holder,
            Err(why) => return giver.give(why.answer()),
        };
        match errand.wish {
            Wish::Tokens(media_type, request) => self.issue(&holder, &media_type, request, giver),
            Wish::Report(number, id) => giver.give(self.report(&holder, number, id)),
        }
    }

    /// Who asks: by an access token, else by the certificate of the connection.
    fn holder(&self, errand: &Errand) -> Result<Holder, NotKnown> {
        let trust = self.trust.read();
        let Some(trust) = &*trust else { return Err(NotKnown::Nobody) };
        let now = wall_clock();
        let bearer = errand.authorization.as_deref().and_then(|value| value.strip_prefix(b"Bearer "));
        let known = match bearer {
            Some(token) => self.holder_of_token(token, &errand.path, trust, now),
            None if errand.certificates.is_empty() => {
                Err("show a STIR certificate, or send an access token".into())
            }
            None => CertificateChain::from_der(&errand.certificates)
                .and_then(|chain| Holder::of_chain(&chain, trust, now))
                .map_err(|fault| fault.to_string()),
        };
        known.map_err(NotKnown::Because)
    }

    fn holder_of_token(
        &self,
        token: &[u8],
        path: &str,
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<Holder, String> {
        let said = |fault: AccessFault| fault.to_string();
        let token = AccessToken::parse(token).map_err(said)?;
        let audience = format!("https://{}{path}", self.books.admission.settings().name);
        let holder = token.verify(&audience, trust, now).map_err(said)?;
        let (identity, until) = (holder.identity(), token.fresh_until());
        let signer = (identity.as_slice(), ACCESS_TOKENS_PER_HOLDER_MAX);
        match self.seen.note_of_signer(token.signing_input(), signer, self.sighting(), until, now) {
            Ok(()) => Ok(holder),
            Err(Fault::Replayed) => Err("the token was used before; sign a new one".into()),
            Err(_) => Err("too many access tokens were sent; try again in two minutes".into()),
        }
    }

    /// Another one each time, so that what is noted counts once.
    fn sighting(&self) -> CallToken {
        // Relaxed: only that each is another one counts.
        CallToken::from(self.sighting.fetch_add(1, Ordering::Relaxed))
    }

    /// Charges whoever stored an item. The answer is the same for one that is cover, gone or somebody's.
    fn report(&self, holder: &Holder, number: TelephoneNumber, id: PlacementId) -> HttpResponse {
        if !holder.has_number(number) {
            return problem(
                StatusCode::FORBIDDEN,
                "authority",
                "No authority over the number",
                "the certificate does not name the number; only its holder may report what waits under it",
            );
        }
        let now = self.books.now();
        let until = now.plus_millis(self.books.admission.settings().session_life_ms);
        if self.reported.note_signed(&id.to_string(), self.sighting(), until, now).is_ok() {
            // Whether there was anybody to charge is nobody's business.
            let _ = self.books.admission.report(id, number);
        }
        bare(StatusCode::NO_CONTENT)
    }

    /// Gives tokens, if the holder may have as many.
    fn issue(&self, holder: &Holder, media_type: &[u8], request: Bytes, giver: Giver<HttpResponse>) {
        let scheme = self.books.plugin.scheme();
        if !media_type.eq_ignore_ascii_case(scheme.request_type.as_bytes()) {
            let detail = format!("send a token request as {}", scheme.request_type);
            return giver.give(problem(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "media-type",
                "Not a token request",
                &detail,
            ));
        }
        let now = self.books.now();
        let Some(key) = self.key_for(&request, now) else { return giver.give(no_request()) };
        if key.class != FOR_EVERY_HOLDER && !holder.has_many() {
            return giver.give(not_of_class());
        }
        let want = Issue {
            books: self.books.clone(),
            quota: self.quota.clone(),
            holder: Identity::of(&holder.identity()),
            key,
            deadline_ms: now.as_millis() + ISSUE_DEADLINE_MS,
        };
        let request = request.to_vec();
        let asked = request.clone();
        let deadline_ms = want.deadline_ms;
        let count = Box::new(move |count| want.counted(count, request, giver));
        self.books.plugin.request_count(asked, deadline_ms, count);
    }

    /// The key that a request names: type, then the last byte of the key's id (RFC 9578 §5.1, §6.1).
    fn key_for(&self, request: &[u8], now: Timestamp) -> Option<Arc<IssuerKey>> {
        let &[high, low, truncated_id] = request.first_chunk()?;
        let admission = &self.books.admission;
        let is_ours = u16::from_be_bytes([high, low]) == admission.settings().token_type;
        admission.issuing_key(truncated_id, now).filter(|_| is_ours)
    }
}

/// The class that every holder may have tokens of. Tokens of the others are good for more stores, and for who has more
/// than single numbers.
const FOR_EVERY_HOLDER: Class = Class(0);

/// A request for tokens on its way through the plugin.
struct Issue {
    books: Arc<Books>,
    quota: Arc<Mutex<IssuanceQuota>>,
    holder: Identity,
    key: Arc<IssuerKey>,
    deadline_ms: u64,
}

impl Issue {
    /// The plugin has said how many tokens are asked for.
    fn counted(self, count: Result<u32, NotDone>, request: Vec<u8>, giver: Giver<HttpResponse>) {
        let count = match count {
            Ok(0) => return giver.give(no_request()),
            Ok(count) => count,
            Err(why) => return giver.give(not_done(&why)),
        };
        let charged = self.quota.lock().charge(self.holder, &self.key, count, self.books.now());
        if let Err(refusal) = charged {
            return giver.give(no_more(&refusal));
        }
        let (plugin, handle, deadline_ms) = (self.books.plugin.clone(), self.key.handle, self.deadline_ms);
        let issued = Box::new(move |response: Result<Vec<u8>, NotDone>| {
            giver.give(match response {
                Ok(response) => {
                    self.books.counters.issue(u64::from(count));
                    private(&self.books.plugin.scheme().response_type, response)
                }
                Err(why) => {
                    self.quota.lock().refund(self.holder, &self.key, count);
                    not_done(&why)
                }
            });
        });
        plugin.issue(handle, request, deadline_ms, issued);
    }
}

/// What the issuer offers (RFC 9578 §4): byte for byte the same for all.
pub(crate) fn directory(books: &Books, now: Timestamp) -> HttpResponse {
    public(directory::MEDIA_TYPE, books.directory(now), DIRECTORY_FRESH_S)
}

/// The answer to one too many.
pub(crate) fn busy() -> HttpResponse {
    let detail = "too many requests wait for the issuer; try again in a second";
    retry_after(problem(StatusCode::SERVICE_UNAVAILABLE, "busy", "Try again", detail), 1)
}

/// Why somebody gets nothing.
enum NotKnown {
    /// Nobody's certificates count here.
    Nobody,
    /// Its own do not: why.
    Because(String),
}

impl NotKnown {
    fn answer(&self) -> HttpResponse {
        match self {
            Self::Nobody => {
                let detail = "this service knows nobody's certificates; its operator would set token_roots";
                problem(StatusCode::FORBIDDEN, "token-roots", "Nobody is known", detail)
            }
            Self::Because(why) => {
                challenge(problem(StatusCode::UNAUTHORIZED, "holder", "Not known", why), "Bearer")
            }
        }
    }
}

fn no_more(refusal: &QuotaRefusal) -> HttpResponse {
    let (status, left, seconds) = match *refusal {
        QuotaRefusal::Used { left, retry_after_s } => {
            (StatusCode::TOO_MANY_REQUESTS, Some(left), retry_after_s)
        }
        QuotaRefusal::Full { retry_after_s } => (StatusCode::SERVICE_UNAVAILABLE, None, retry_after_s),
    };
    retry_after(no_more_tokens(status, &refusal.to_string(), left), u64::from(seconds))
}

fn not_of_class() -> HttpResponse {
    let detail = "tokens of this class are for holders of a service provider code or a range of numbers; \
                  ask for the first class";
    problem(StatusCode::FORBIDDEN, "token-class", "Not of this class", detail)
}

fn no_request() -> HttpResponse {
    let detail = "the request is not one for tokens of a key that is published; fetch the issuer directory";
    problem(StatusCode::UNPROCESSABLE_ENTITY, "token-request", "Not a token request", detail)
}

fn not_done(why: &NotDone) -> HttpResponse {
    if *why == NotDone::Refused {
        return no_request();
    }
    let detail = "tokens cannot be issued now; try again later";
    retry_after(problem(StatusCode::SERVICE_UNAVAILABLE, "issuer", "No tokens now", detail), 5)
}
