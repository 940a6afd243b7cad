//! The gate of one reactor: judges stores as they come, without waiting for anything.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use herald_admission::{
    Continued, ContinuedStore, Credential, Granted, Judge, Judgement, Refusal, Verdict, WireError, wire,
};
use herald_core::batch::Outcome;
use herald_core::{Gate, GatedStore, Passage, PlacementId, Room, TelephoneNumber, Timestamp};
use herald_net::header::{AUTHORIZATION, CONTENT_TYPE};
use herald_net::{Bytes, Parts, Peer, StatusCode};

use super::answer::{HttpResponse, bare, problem, refused};
use super::{Admitting, Books};
use crate::keys::Source;
use crate::readers::Reading;

/// Judges the stores of one reactor.
pub(crate) struct Gatekeeper {
    admitting: Arc<Admitting>,
    judge: Judge,
    sources: RandomState,
    /// For batches: used again.
    verdicts: Vec<Verdict>,
}

/// What is to be done with a store.
pub(crate) enum Judged {
    Now(Verdict),
    /// Once its token is redeemed.
    Later(Reading<Granted>),
}

impl Gatekeeper {
    pub(crate) fn new(admitting: Arc<Admitting>) -> Self {
        let judge = Judge::new(admitting.books().admission.clone());
        Self { sources: admitting.sources().clone(), admitting, judge, verdicts: Vec::new() }
    }

    pub(crate) fn admitting(&self) -> &Arc<Admitting> {
        &self.admitting
    }

    /// Judges a store by its head.
    pub(crate) fn judge_store(
        &mut self,
        peer: &Peer,
        head: &Parts,
        number: TelephoneNumber,
        body: &Bytes,
        now: Timestamp,
    ) -> Judged {
        let value = head.headers.get(AUTHORIZATION);
        let credential = match value.map(|value| value.to_str()) {
            None => Err(Refusal::Missing),
            Some(Err(_)) => Err(Refusal::Malformed(WireError::Scheme)),
            Some(Ok(value)) => Credential::from_header(value).map_err(Refusal::Malformed),
        };
        match credential {
            Ok(credential) => self.judge(peer, credential, Some(number), body, now),
            Err(refusal) => Judged::Now(Verdict::Refuse(refusal)),
        }
    }

    /// Judges a request to open a session without a store.
    pub(crate) fn judge_opening(&mut self, peer: &Peer, body: &[u8], now: Timestamp) -> Judged {
        match Credential::from_bytes(body) {
            Ok(credential) => self.judge(peer, credential, None, &Bytes::new(), now),
            Err(error) => Judged::Now(Verdict::Refuse(Refusal::Malformed(error))),
        }
    }

    /// Tells networks apart: one that floods delays its own tokens. The numbers are other ones in each process.
    fn source(&self, peer: &Peer) -> u64 {
        self.sources.hash_one(Source::of(peer.address))
    }

    fn judge(
        &mut self,
        peer: &Peer,
        credential: Credential,
        number: Option<TelephoneNumber>,
        body: &Bytes,
        now: Timestamp,
    ) -> Judged {
        match self.judge.judge(credential, number, body, now) {
            Judgement::Verdict(verdict) => Judged::Now(verdict),
            Judgement::Redeem(redemption) => {
                let redeemed =
                    self.admitting.redeem(*redemption, number, body.clone(), self.source(peer), now);
                redeemed.map_or_else(|refusal| Judged::Now(Verdict::Refuse(refusal)), Judged::Later)
            }
        }
    }
}

/// The path where sessions are opened without a store.
pub(crate) fn is_opening(path: &str) -> bool {
    path == wire::OPEN_PATH
}

/// Whether a request says that its body is a credential.
pub(crate) fn is_credential(head: &Parts) -> bool {
    let media_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    media_type.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case(wire::MEDIA_TYPE)
}

/// The answer to one that does not.
pub(crate) fn not_a_credential() -> HttpResponse {
    let detail = format!("send a token and its MAC as {}", wire::MEDIA_TYPE);
    problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "Not a credential", &detail)
}

/// The answer to a request to open a session.
pub(crate) fn opened(books: &Books, verdict: Verdict, now: Timestamp) -> HttpResponse {
    match verdict {
        Verdict::Accept(_) | Verdict::AcceptIfRoom(_) | Verdict::Repeat(_) => bare(StatusCode::NO_CONTENT),
        Verdict::Refuse(refusal) => refused(books, refusal, now),
    }
}

impl Gate for Gatekeeper {
    fn judge(&mut self, stores: &[GatedStore<'_>], now: Timestamp, passages: &mut Vec<Passage>) {
        let stores: Vec<_> = stores
            .iter()
            .map(|store| ContinuedStore {
                continued: Continued::from_bytes(store.credential),
                number: Some(store.number),
                body: store.body,
            })
            .collect();
        self.verdicts.clear();
        self.judge.judge_batch(&stores, now, &mut self.verdicts);
        passages.extend(self.verdicts.iter().map(|verdict| match verdict {
            Verdict::Accept(id) => Passage::In(*id),
            Verdict::AcceptIfRoom(id) => Passage::InIfRoom(*id),
            Verdict::Repeat(id) => Passage::Again(*id),
            Verdict::Refuse(refusal) => {
                self.admitting.books().counters.refuse(refusal);
                Passage::Out(outcome(*refusal))
            }
        }));
    }

    fn give_back(&mut self, id: PlacementId, number: TelephoneNumber) {
        self.admitting.books().admission.give_back(id, number);
    }

    fn uncontested(&self) -> u32 {
        self.admitting.books().admission.uncontested()
    }

    fn room(
        &self,
        store: (PlacementId, TelephoneNumber),
        live: &mut dyn FnMut() -> Vec<PlacementId>,
        room: u32,
        now: Timestamp,
    ) -> Room {
        self.admitting.books().admission.room(store, live, room, now)
    }
}

fn outcome(refusal: Refusal) -> Outcome {
    match refusal {
        Refusal::Proof => Outcome::Proof,
        Refusal::Used | Refusal::Repeated => Outcome::Used,
        Refusal::NumberUsed => Outcome::NumberUsed,
        _ => Outcome::NoSession,
    }
}
