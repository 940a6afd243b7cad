//! The door between the reactors and the service: HTTP messages to requests, effects to waiting.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use herald_core::{BatchExchange, Effect, Problem, Request, Storing, Timestamp, batch};
use herald_journal::{CommitState, Commits, Pace, Ticket};
use herald_net::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, HeaderValue, IF_NONE_MATCH};
use herald_net::{BadHead, Bytes, Dialogue, Intake, Parts, Peer, Refusal, StatusCode};

use crate::batch::BatchDialogue;
use crate::clock::wall_clock;
use crate::keys::{self, KeyShelf, Source};
use crate::readers::Reading;
use crate::sessions::Session;
use crate::shared::{Shared, storing};

/// The service of one reactor.
pub(crate) struct Door {
    desk: Rc<Desk>,
    keys: Arc<KeyShelf>,
}

/// What the requests of one reactor have in common.
pub(crate) struct Desk {
    pub(crate) shared: Arc<Shared>,
    pub(crate) session: RefCell<Session>,
}

impl Door {
    pub(crate) fn new(shared: Arc<Shared>, keys: Arc<KeyShelf>, session: Session) -> Self {
        Self { desk: Rc::new(Desk { shared, session: RefCell::new(session) }), keys }
    }
}

#[cfg(test)]
impl Door {
    pub(crate) fn desk(&self) -> Rc<Desk> {
        self.desk.clone()
    }
}

impl Desk {
    /// When the placements kept so far on this thread are durable enough, if that is to be waited for.
    pub(crate) fn ticket(&self, effect: Effect, pace: Pace) -> Option<Ticket> {
        let waits = effect == Effect::MakeDurable && pace == Pace::Committed;
        waits.then(|| self.shared.commits.ticket())
    }

    /// Whether an answer that shows bodies is made elsewhere. Where nothing has left memory it need not be; where
    /// something has, all are, so that nobody learns from that which numbers it concerns.
    pub(crate) fn reads_elsewhere(&self, asks_for_bodies: bool) -> bool {
        asks_for_bodies && self.shared.log.has_beyond()
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

impl Door {
    /// Answers a request for the service.
    pub(crate) fn respond(&self, head: Parts, body: Bytes) -> Reply {
        let shared = &self.desk.shared;
        let now = shared.clock.now();
        let pace = shared.pace(now);
        if self.desk.reads_elsewhere(asked(&head, &body).asks_for_bodies()) {
            return self.answer_elsewhere(head, body, storing(pace));
        }
        let (answer, left_out) = {
            let session = &mut *self.desk.session.borrow_mut();
            let answer = session.service.handle(&mut session.log, &asked(&head, &body), storing(pace), now);
            (answer, session.log.take_left_out())
        };
        if left_out {
            // The first segment has left memory meanwhile.
            return self.answer_elsewhere(head, body, storing(pace));
        }
        let response = http_response(answer.response);
        match self.desk.ticket(answer.effect, pace) {
            Some(ticket) => Reply::Committing(Some(response), shared.commits.clone(), ticket),
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

    fn intake(&self, _peer: &Peer, head: &Parts) -> Intake {
        if ![batch::STORE_PATH, batch::RETRIEVE_PATH].contains(&head.uri.path()) {
            return Intake::Whole;
        }
        let storing = storing(self.desk.shared.pace(self.desk.shared.clock.now()));
        match BatchExchange::open(&asked(head, &[]), storing) {
            Ok(None) => Intake::Whole,
            Ok(Some(exchange)) => {
                let head = http_response(exchange.head());
                let dialogue = BatchDialogue::new(self.desk.clone(), exchange);
                Intake::Dialogue(head.map(|_| Box::new(dialogue) as Box<dyn Dialogue>))
            }
            Err(problem) => Intake::Refused(http_response(problem.response())),
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
        self.respond(head, body)
    }

    fn refuse(&self, refusal: Refusal) -> herald_net::Response<Bytes> {
        let problem = match refusal {
            Refusal::BodyTooLarge { .. } => Problem::BodyTooLarge,
            Refusal::BodyTimeout { .. } => Problem::Timeout,
            Refusal::BadHead(BadHead::Host) => {
                Problem::Malformed("send one Host field, equal to :authority if both are sent")
            }
            Refusal::BadHead(BadHead::Connect) => Problem::Malformed("CONNECT is for proxies; this is none"),
            Refusal::BadHead(BadHead::Framing) => {
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
    Committing(Option<HttpResponse>, Arc<Commits>, Ticket),
    /// It is made where the disk may be waited for.
    Reading(Reading<HttpResponse>),
}

impl Future for Reply {
    type Output = herald_net::Response<Bytes>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match &mut *self {
            Self::Ready(response) => response.take(),
            Self::Committing(response, commits, ticket) => match commits.poll(*ticket, context.waker()) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(CommitState::Durable) => response.take(),
                Poll::Ready(CommitState::Pending | CommitState::Failed) => Some(unavailable()),
            },
            Self::Reading(reading) => match Pin::new(reading).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(read) => Some(read.unwrap_or_else(unavailable)),
            },
        };
        Poll::Ready(response.expect("a finished answer is not polled again"))
    }
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
