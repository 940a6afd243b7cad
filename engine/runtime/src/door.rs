//! The door between the reactors and the service: HTTP messages to requests, effects to waiting.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use herald_admission::{Granted, Refusal, Verdict, directory};
use herald_core::{
    BatchExchange, NotFound, NotStored, PlacementClass, PlacementId, PlacementStore, Problem, Request,
    Service, Storing, TelephoneNumber, Timestamp, batch,
};
use herald_journal::CommitState;
use herald_net::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, IF_NONE_MATCH};
use herald_net::{BadHead, Bytes, Dialogue, Intake, Method, Parts, Peer, StatusCode};

use crate::admission::gate::{self, Judged};
use crate::admission::issuer;
use crate::admission::{Admitting, Errand, Gatekeeper, Wish, refused};
use crate::batch::BatchDialogue;
use crate::clock::wall_clock;
use crate::keys::{self, KeyShelf, Source};
use crate::readers::Reading;
use crate::sessions::Session;
use crate::shared::Shared;
use crate::stack::{Pending, Terms};

/// The service of one reactor.
pub(crate) struct Door {
    desk: Rc<Desk>,
    keys: Arc<KeyShelf>,
}

/// What the requests of one reactor have in common.
pub(crate) struct Desk {
    pub(crate) shared: Arc<Shared>,
    pub(crate) session: RefCell<Session>,
    /// Where stores over the network need tokens.
    pub(crate) gate: Option<RefCell<Gatekeeper>>,
}

impl Door {
    pub(crate) fn new(
        shared: Arc<Shared>,
        keys: Arc<KeyShelf>,
        session: Session,
        admitting: Option<&Arc<Admitting>>,
    ) -> Self {
        let gate = admitting.map(|admitting| RefCell::new(Gatekeeper::new(admitting.clone())));
        Self { desk: Rc::new(Desk { shared, session: RefCell::new(session), gate }), keys }
    }
}

#[cfg(test)]
impl Door {
    pub(crate) fn desk(&self) -> Rc<Desk> {
        self.desk.clone()
    }
}

impl Desk {
    /// Whether an answer that shows bodies is made elsewhere. Where nothing has left memory it need not be; where
    /// something has, all are, so that nobody learns from that which numbers it concerns.
    pub(crate) fn reads_elsewhere(&self, asks_for_bodies: bool) -> bool {
        asks_for_bodies && self.shared.has_beyond()
    }

    /// Keeps a store that was let in, or says why not.
    fn keep(&self, verdict: Verdict, class: PlacementClass, number: TelephoneNumber, body: &Bytes) -> Reply {
        let Some(gate) = &self.gate else { return Reply::Ready(Some(unavailable())) };
        let gate = gate.borrow();
        let books = gate.admitting().books();
        let now = self.shared.clock.now();
        let terms = self.shared.terms(class, now);
        let session = &mut *self.session.borrow_mut();
        let (service, log) = match session.of_class(class) {
            Ok(both) => both,
            // It was looked at before there was a verdict.
            Err(problem) => return Reply::Ready(Some(http_response(problem.response()))),
        };
        let placement = (number, &body[..]);
        let refusal = match verdict {
            Verdict::Accept(_) | Verdict::AcceptIfRoom(_) => {
                match keep_let_in((service, log), &gate, placement, verdict, terms.storing, now) {
                    Some(Ok(id)) => return self.stored(number, id, terms),
                    Some(Err(problem)) => return Reply::Ready(Some(http_response(problem.response()))),
                    None => Refusal::NumberUsed,
                }
            }
            Verdict::Repeat(id) if service.holds(log, number, id, now) => {
                return self.stored(number, id, terms);
            }
            Verdict::Repeat(_) => Refusal::Repeated,
            Verdict::Refuse(refusal) => refusal,
        };
        service.tally().not_stored(NotStored::Token);
        Reply::Ready(Some(refused(books, refusal, now)))
    }

    fn opened(&self, verdict: Verdict) -> Reply {
        let Some(gate) = &self.gate else { return Reply::Ready(Some(unavailable())) };
        let now = self.shared.clock.now();
        Reply::Ready(Some(gate::opened(gate.borrow().admitting().books(), verdict, now)))
    }

    fn stored(&self, number: TelephoneNumber, id: PlacementId, terms: Terms) -> Reply {
        let answer = Service::stored(number, id);
        let response = http_response(answer.response);
        match self.shared.pending(terms, answer.effect) {
            Some(pending) => Reply::Committing(Some(response), self.shared.clone(), pending),
            None => Reply::Ready(Some(response)),
        }
    }

    /// Has `work`, which only asks, done where the disk may be waited for. `None` if too much waits for that.
    pub(crate) fn read_elsewhere<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Session, Timestamp) -> T + Send + 'static,
    ) -> Option<Reading<T>> {
        // The session here may have nothing else to do.
        self.session.borrow_mut().forget(self.shared.clock.now());
        self.shared.read_elsewhere(work)
    }
}

/// Keeps a store that was let in; what it used is given back if that cannot be. `None`: its token has stored enough under
/// the number.
fn keep_let_in(
    (service, log): (&mut Service, &mut dyn PlacementStore),
    gate: &Gatekeeper,
    placement: (TelephoneNumber, &[u8]),
    verdict: Verdict,
    storing: Storing,
    now: Timestamp,
) -> Option<Result<PlacementId, Problem>> {
    let id = match verdict {
        Verdict::Accept(id) => id,
        Verdict::AcceptIfRoom(id) => Some(id),
        Verdict::Repeat(_) | Verdict::Refuse(_) => None,
    };
    let kept = match (storing, verdict) {
        (Storing::Impossible | Storing::NotKept, _) => {
            service.tally().not_stored(NotStored::Journal);
            Err(Problem::Unavailable)
        }
        (Storing::Possible, Verdict::AcceptIfRoom(id)) => {
            service.store_if_room(log, gate, placement, id, now)?
        }
        (Storing::Possible, _) => service.store_as(log, gate, placement, id, now),
    };
    if let (Err(_), Some(id)) = (&kept, id) {
        gate.admitting().books().admission.give_back(id, placement.0);
    }
    Some(kept)
}

impl Door {
    /// The gate, for a peer whose stores need tokens. Processes of this machine that may open the Unix socket need none.
    fn gate_for(&self, peer: &Peer) -> Option<&RefCell<Gatekeeper>> {
        self.desk.gate.as_ref().filter(|_| peer.address.is_some())
    }

    /// Answers a store from where stores need tokens. `None` if it is another request.
    fn admit(&self, gate: &RefCell<Gatekeeper>, peer: &Peer, head: &Parts, body: &Bytes) -> Option<Reply> {
        let shared = &self.desk.shared;
        let now = shared.clock.now();
        let request = asked(head, body);
        let terms = shared.terms_of(&request, now);
        let number = match request.asks_to_store(terms.storing) {
            Ok(number) => number?,
            Err(problem) => {
                shared.turned_away(NotStored::of_problem(&problem));
                return Some(Reply::Ready(Some(http_response(problem.response()))));
            }
        };
        let judged = gate.borrow_mut().judge_store(peer, head, number, body, now);
        Some(match judged {
            Judged::Now(verdict) => self.desk.keep(verdict, terms.class, number, body),
            Judged::Later(verdict) => Reply::Admitting(Box::new(Admission {
                desk: self.desk.clone(),
                class: terms.class,
                number,
                body: body.clone(),
                verdict,
            })),
        })
    }

    /// Answers requests about tokens, where there are some. `None` if it is another request.
    fn answer_admission(&self, peer: &Peer, head: &Parts, body: &Bytes) -> Option<Reply> {
        let gate = self.desk.gate.as_ref()?;
        let path = head.uri.path();
        let report = match asked(head, body).asks_to_report() {
            Ok(report) => report,
            Err(problem) => return Some(Reply::Ready(Some(http_response(problem.response())))),
        };
        let method = match path {
            directory::PATH => "GET",
            directory::REQUEST_PATH => "POST",
            _ if gate::is_opening(path) => "POST",
            _ if report.is_some() => "POST",
            _ => return None,
        };
        if head.method != method && !(method == "GET" && head.method == "HEAD") {
            return Some(Reply::Ready(Some(http_response(Problem::Method(method).response()))));
        }
        let wish = match report {
            Some((number, id)) => Wish::Report(number, id),
            None if path == directory::PATH => {
                let now = self.desk.shared.clock.now();
                let answer = issuer::directory(gate.borrow().admitting().books(), now);
                return Some(Reply::Ready(Some(answer)));
            }
            None if path == directory::REQUEST_PATH => {
                let media_type = head.headers.get(CONTENT_TYPE).map(|value| value.as_bytes().to_vec());
                Wish::Tokens(media_type.unwrap_or_default(), body.clone())
            }
            None => return Some(self.open_session(gate, peer, head, body)),
        };
        let errand = Errand {
            path: path.to_owned(),
            certificates: peer.certificates.iter().map(|certificate| certificate.to_vec()).collect(),
            authorization: head.headers.get(AUTHORIZATION).map(|value| value.as_bytes().to_vec()),
            wish,
        };
        let reading = gate.borrow().admitting().ask(errand);
        Some(reading.map_or_else(|| Reply::Ready(Some(issuer::busy())), Reply::Reading))
    }

    /// Opens a session without a store.
    fn open_session(&self, gate: &RefCell<Gatekeeper>, peer: &Peer, head: &Parts, body: &Bytes) -> Reply {
        if !gate::is_credential(head) {
            return Reply::Ready(Some(gate::not_a_credential()));
        }
        let now = self.desk.shared.clock.now();
        let judged = gate.borrow_mut().judge_opening(peer, body, now);
        match judged {
            Judged::Now(verdict) => {
                Reply::Ready(Some(gate::opened(gate.borrow().admitting().books(), verdict, now)))
            }
            Judged::Later(verdict) => Reply::Opening(self.desk.clone(), verdict),
        }
    }

    /// Answers a request for the service.
    pub(crate) fn respond(&self, head: Parts, body: Bytes) -> Reply {
        let shared = &self.desk.shared;
        let now = shared.clock.now();
        if is_for_health(&head) {
            let health = shared.health(&self.desk.session.borrow().log, now);
            return Reply::Ready(Some(http_response(Service::health(health))));
        }
        let terms = shared.terms_of(&asked(&head, &body), now);
        if self.desk.reads_elsewhere(asked(&head, &body).asks_for_bodies()) {
            return self.answer_elsewhere(head, body, terms.storing);
        }
        let (answer, left_out) = {
            let session = &mut *self.desk.session.borrow_mut();
            let answer = session.service.handle(&mut session.log, &asked(&head, &body), terms.storing, now);
            (answer, session.log.take_left_out())
        };
        if left_out {
            // The first segment has left memory meanwhile.
            return self.answer_elsewhere(head, body, terms.storing);
        }
        let response = http_response(answer.response);
        match shared.pending(terms, answer.effect) {
            Some(pending) => Reply::Committing(Some(response), shared.clone(), pending),
            None => Reply::Ready(Some(response)),
        }
    }

    /// Answers a request, which only asks, where the disk may be waited for.
    fn answer_elsewhere(&self, head: Parts, body: Bytes, storing: Storing) -> Reply {
        let reading = self.desk.read_elsewhere(move |session, now| {
            let answer = session.service.handle(&mut session.log, &asked(&head, &body), storing, now);
            http_response(answer.response)
        });
        reading.map_or_else(|| Reply::Ready(Some(unavailable())), Reply::Reading)
    }
}

impl herald_net::Service for Door {
    type Answer = Reply;

    fn intake(&self, peer: &Peer, head: &Parts) -> Intake {
        if ![batch::STORE_PATH, batch::RETRIEVE_PATH].contains(&head.uri.path()) {
            return Intake::Whole;
        }
        let request = asked(head, &[]);
        let terms = self.desk.shared.terms_of(&request, self.desk.shared.clock.now());
        let is_gated = self.gate_for(peer).is_some();
        let asked = BatchExchange::open(&request, terms.storing).and_then(|exchange| match exchange {
            Some(exchange) if is_gated => exchange.gated().map(Some),
            other => Ok(other),
        });
        match asked {
            Ok(None) => Intake::Whole,
            Ok(Some(exchange)) => {
                let head = http_response(exchange.head());
                let dialogue = BatchDialogue::new(self.desk.clone(), exchange);
                Intake::Dialogue(head.map(|_| Box::new(dialogue) as Box<dyn Dialogue>))
            }
            Err(problem) => {
                match head.uri.path() {
                    batch::STORE_PATH => self.desk.shared.turned_away(NotStored::of_problem(&problem)),
                    _ => self.desk.shared.not_shown(NotFound::of_problem(&problem)),
                }
                Intake::Refused(http_response(problem.response()))
            }
        }
    }

    fn answer(&self, peer: &Peer, request: herald_net::Request<Bytes>) -> Reply {
        let (head, body) = request.into_parts();
        if keys::is_ours(head.uri.path()) {
            let known = head.headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
            let source = Source::of(peer.address);
            let answer = self.keys.answer(source, &asked(&head, &body), known, wall_clock());
            return Reply::Ready(Some(http_response(answer)));
        }
        if let Some(reply) = self.answer_admission(peer, &head, &body) {
            return reply;
        }
        if let Some(gate) = self.gate_for(peer)
            && let Some(reply) = self.admit(gate, peer, &head, &body)
        {
            return reply;
        }
        self.respond(head, body)
    }

    fn refuse(&self, refusal: herald_net::Refusal) -> herald_net::Response<Bytes> {
        let problem = match refusal {
            herald_net::Refusal::BodyTooLarge { .. } => Problem::BodyTooLarge,
            herald_net::Refusal::BodyTimeout { .. } => Problem::Timeout,
            herald_net::Refusal::BadHead(BadHead::Host) => {
                Problem::Malformed("send one Host field, equal to :authority if both are sent")
            }
            herald_net::Refusal::BadHead(BadHead::Connect) => {
                Problem::Malformed("CONNECT is for proxies; this is none")
            }
            herald_net::Refusal::BadHead(BadHead::Framing) => {
                Problem::Malformed("send Content-Length or Transfer-Encoding, not both")
            }
            _ => Problem::Malformed("the body broke off or is not framed as HTTP asks"),
        };
        http_response(problem.response())
    }
}

type HttpResponse = herald_net::Response<Bytes>;

/// An answer, taken out when it goes.
pub(crate) enum Reply {
    /// It may go.
    Ready(Option<HttpResponse>),
    /// It goes once its placement is durable.
    Committing(Option<HttpResponse>, Arc<Shared>, Pending),
    /// It is made where the disk may be waited for.
    Reading(Reading<HttpResponse>),
    /// A store whose token is being redeemed.
    Admitting(Box<Admission>),
    /// A token that opens a session without a store is being redeemed.
    Opening(Rc<Desk>, Reading<Granted>),
}

/// A store that waits for its verdict.
pub(crate) struct Admission {
    desk: Rc<Desk>,
    class: PlacementClass,
    number: TelephoneNumber,
    body: Bytes,
    verdict: Reading<Granted>,
}

impl Reply {
    /// Goes on with a token that was redeemed. Pending while it is not.
    fn poll_admission(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let verdict = match self {
            Self::Admitting(admission) => Pin::new(&mut admission.verdict).poll(context),
            Self::Opening(_, verdict) => Pin::new(verdict).poll(context),
            _ => return Poll::Ready(()),
        };
        let Poll::Ready(verdict) = verdict else { return Poll::Pending };
        let verdict = verdict.map_or(Verdict::Refuse(Refusal::Unavailable), Granted::take);
        *self = match &*self {
            Self::Admitting(admission) => {
                let Admission { desk, class, number, body, .. } = &**admission;
                desk.keep(verdict, *class, *number, body)
            }
            Self::Opening(desk, _) => desk.opened(verdict),
            _ => return Poll::Ready(()),
        };
        Poll::Ready(())
    }
}

impl Future for Reply {
    type Output = herald_net::Response<Bytes>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.poll_admission(context).is_pending() {
            return Poll::Pending;
        }
        let response = match &mut *self {
            Self::Ready(response) => response.take(),
            Self::Committing(response, shared, pending) => {
                match shared.poll_durable(*pending, context.waker()) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(CommitState::Durable) => response.take(),
                    Poll::Ready(CommitState::Pending | CommitState::Failed) => {
                        shared.not_durable(1);
                        Some(unavailable())
                    }
                }
            }
            Self::Reading(reading) => match Pin::new(reading).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(read) => Some(read.unwrap_or_else(unavailable)),
            },
            Self::Admitting(_) | Self::Opening(..) => return Poll::Pending,
        };
        Poll::Ready(response.expect("a finished answer is not polled again"))
    }
}

/// Whether a request asks how the service is. What is wrong with one that nearly does is the service's to say.
fn is_for_health(head: &Parts) -> bool {
    let target = head.uri.path_and_query().map_or("", |target| target.as_str());
    target == "/health" && matches!(head.method, Method::GET | Method::HEAD)
}

fn unavailable() -> HttpResponse {
    http_response(Problem::Unavailable.response())
}

/// A request as the service wants it.
fn asked<'a>(head: &'a Parts, body: &'a [u8]) -> Request<'a> {
    let header = |name: &HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
    Request {
        method: head.method.as_str(),
        target: head.uri.path_and_query().map_or("", |target| target.as_str()),
        authority: head.uri.authority().map(|authority| authority.as_str()).or_else(|| header(&HOST)),
        accept: header(&ACCEPT),
        content_type: header(&CONTENT_TYPE),
        body,
    }
}

pub(crate) fn http_response(response: herald_core::Response) -> herald_net::Response<Bytes> {
    let mut message = herald_net::Response::new(Bytes::from(response.body));
    *message.status_mut() = StatusCode::from_u16(response.status).expect("the service uses valid codes");
    for (name, value) in response.headers {
        // A value with signs that HTTP does not carry can only come from the authority the client sent.
        if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(value)) {
            message.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    message
}
