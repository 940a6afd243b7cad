//! The door between the reactors and the service: HTTP messages to requests, effects to waiting.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::cell::RefCell;
use std::sync::Arc;

use herald_core::{Effect, Problem, Request};
use herald_journal::{CommitState, Commits, Durability, Ticket};
use herald_net::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use herald_net::{BadHead, Bytes, Peer, Refusal, StatusCode};

use crate::error::EngineError;
use crate::shared::{Session, Shared};

/// The service of one reactor.
pub(crate) struct Door {
    shared: Arc<Shared>,
    session: RefCell<Session>,
}

impl Door {
    pub(crate) fn open(shared: Arc<Shared>) -> Result<Self, EngineError> {
        let session = RefCell::new(shared.open_session()?);
        Ok(Self { shared, session })
    }
}

impl herald_net::Service for Door {
    type Answer = Reply;

    fn answer(&self, _peer: &Peer, request: herald_net::Request<Bytes>) -> Reply {
        let now = self.shared.clock.now();
        let storing = self.shared.storing(now);
        let header = |name: &HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        let asked = Request {
            method: request.method().as_str(),
            target: request.uri().path_and_query().map_or("", |target| target.as_str()),
            authority: request
                .uri()
                .authority()
                .map(|authority| authority.as_str())
                .or_else(|| header(&HOST)),
            accept: header(&ACCEPT),
            content_type: header(&CONTENT_TYPE),
            body: request.body(),
        };
        let session = &mut *self.session.borrow_mut();
        let answer = session.service.handle(&mut session.log, &asked, storing, now);
        let response = http_response(answer.response);
        let waits = answer.effect == Effect::MakeDurable && self.shared.durability == Durability::Synced;
        let commit = waits.then(|| (self.shared.commits.clone(), self.shared.commits.ticket()));
        Reply { response: Some(response), commit }
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

/// An answer that goes out once its placement is durable.
pub(crate) struct Reply {
    response: Option<herald_net::Response<Bytes>>,
    commit: Option<(Arc<Commits>, Ticket)>,
}

impl Future for Reply {
    type Output = herald_net::Response<Bytes>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some((commits, ticket)) = &self.commit {
            match commits.poll(*ticket, context.waker()) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(CommitState::Durable) => {}
                Poll::Ready(CommitState::Pending | CommitState::Failed) => {
                    self.response = Some(http_response(Problem::Unavailable.response()));
                }
            }
        }
        self.commit = None;
        Poll::Ready(self.response.take().expect("a finished answer is not polled again"))
    }
}

fn http_response(response: herald_core::Response) -> herald_net::Response<Bytes> {
    let mut message = herald_net::Response::new(Bytes::from(response.body));
    *message.status_mut() = StatusCode::from_u16(response.status).expect("the service uses valid codes");
    for (name, value) in response.headers {
        // A value with signs that HTTP does not carry can only come from the authority the client sent.
        if let Ok(value) = HeaderValue::from_str(&value) {
            message.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    message
}
