//! Stores and retrievals of a client: an engine whose placements are at a service elsewhere.
//!
//! All go out as batches, which bring ids and say of each placement why it was refused; large ones in parts, a few at a
//! time. The calling thread waits. Nothing is sent twice. Knows no connection.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use herald_core::batch::Outcome;
use herald_core::limits::BODY_BYTES_MAX;
use herald_core::{Item, PlacementId, Problem, Refusal, TelephoneNumber, Timestamp};
use herald_net::{Bytes, ClientError, Response};

use crate::cps::{self, CpsError, Sent};
use crate::error::{EngineError, EngineErrorKind};
use crate::limits::{
    CLIENT_ANSWER_BYTES_MAX, HOME_NUMBERS_MAX, HOME_PARTS_MAX, HOME_PLACEMENTS_MAX, STORED_ANSWER_BYTES_MAX,
};
use crate::worker::{HomeAnswer, NoAnswer, Worker};

type Placement<'a> = (TelephoneNumber, &'a [u8]);

/// One call of a client, which has until its deadline.
pub(crate) struct Elsewhere<'a> {
    worker: &'a Worker,
    allowed: Duration,
    until: Instant,
}

impl<'a> Elsewhere<'a> {
    /// A call that begins now.
    pub(crate) fn begin(worker: &'a Worker, allowed: Duration) -> Self {
        Self { worker, allowed, until: Instant::now() + allowed }
    }

    pub(crate) fn store(&self, number: TelephoneNumber, body: &[u8]) -> Result<PlacementId, EngineError> {
        let result = self.store_batch(&[(number, body)])?.pop();
        Ok(result.expect("a result for each")?)
    }

    pub(crate) fn store_batch(
        &self,
        placements: &[Placement<'_>],
    ) -> Result<Vec<Result<PlacementId, Problem>>, EngineError> {
        let parts = placements.chunks(HOME_PLACEMENTS_MAX);
        in_turn(parts, |part| self.begin_store(part), |part, begun| self.end_store(part, begun))
    }

    pub(crate) fn retrieve(&self, number: TelephoneNumber) -> Result<Vec<Item>, EngineError> {
        let list = self.retrieve_batch(&[number])?.pop();
        Ok(list.expect("a list for each"))
    }

    pub(crate) fn retrieve_batch(&self, numbers: &[TelephoneNumber]) -> Result<Vec<Vec<Item>>, EngineError> {
        let parts = numbers.chunks(HOME_NUMBERS_MAX);
        in_turn(parts, |part| self.begin_retrieve(part), |part, begun| self.end_retrieve(part, begun))
    }

    fn begin_store(&self, part: &[Placement<'_>]) -> Result<(HomeAnswer, Sent), EngineError> {
        let mut sent = Sent::new();
        let make = |base: &str| {
            let (request, each) = cps::store_batch_request(base, part)?;
            sent = each;
            Ok::<_, CpsError>(request)
        };
        let answer = self.worker.ask_home(make, STORED_ANSWER_BYTES_MAX, self.until)?;
        Ok((answer, sent))
    }

    fn end_store(
        &self,
        part: &[Placement<'_>],
        (answer, sent): (HomeAnswer, Sent),
    ) -> Result<Vec<Result<PlacementId, Problem>>, EngineError> {
        let results = match cps::stored_batch(&self.wait(answer)?, &sent) {
            // What it would have said of each.
            Err(CpsError::Refused { status: 503, .. }) => return Err(Problem::Unavailable.into()),
            results => results.map_err(in_words)?,
        };
        let each = part.iter().zip(results);
        Ok(each.map(|((_, body), result)| result.map_err(|outcome| problem(outcome, body.len()))).collect())
    }

    fn begin_retrieve(&self, part: &[TelephoneNumber]) -> Result<HomeAnswer, EngineError> {
        let make = |base: &str| cps::retrieve_batch_request(base, part);
        self.worker.ask_home(make, CLIENT_ANSWER_BYTES_MAX, self.until)
    }

    fn end_retrieve(
        &self,
        part: &[TelephoneNumber],
        answer: HomeAnswer,
    ) -> Result<Vec<Vec<Item>>, EngineError> {
        let response = match self.wait(answer) {
            Err(CpsError::Unreachable(ClientError::AnswerTooLarge { .. })) if part.len() > 1 => {
                return part.iter().map(|&number| self.retrieve(number)).collect();
            }
            response => response.map_err(in_words)?,
        };
        let lists = cps::retrieved_batch(&response, part.len()).map_err(in_words)?;
        lists
            .into_iter()
            .map(|list| list.map_or_else(|outcome| Err(not_looked_for(outcome)), |items| Ok(shown(items))))
            .collect()
    }

    fn wait(&self, answer: HomeAnswer) -> Result<Response<Bytes>, CpsError> {
        let error = match answer.wait() {
            Ok(answered) => return Ok(answered?),
            Err(NoAnswer::TimedOut) => {
                ClientError::Timeout { attempt: "waiting for the answer", deadline: self.allowed }
            }
            Err(NoAnswer::Ended) => ClientError::Abandoned,
        };
        Err(error.into())
    }
}

/// Begins `parts`, a few of them at a time, and ends them in their order.
fn in_turn<P: Copy, B, T>(
    mut parts: impl Iterator<Item = P>,
    begin: impl Fn(P) -> Result<B, EngineError>,
    end: impl Fn(P, B) -> Result<Vec<T>, EngineError>,
) -> Result<Vec<T>, EngineError> {
    let mut under_way = VecDeque::new();
    let mut done = Vec::new();
    loop {
        while under_way.len() < HOME_PARTS_MAX
            && let Some(part) = parts.next()
        {
            under_way.push_back((part, begin(part)?));
        }
        let Some((part, begun)) = under_way.pop_front() else { return Ok(done) };
        done.append(&mut end(part, begun)?);
    }
}

/// What a service says of a placement, as an engine in process would have said it.
fn problem(outcome: Outcome, body_bytes: usize) -> Problem {
    match outcome {
        Outcome::BodySize if body_bytes > BODY_BYTES_MAX => Problem::BodyTooLarge,
        Outcome::BodySize => Problem::BodySize(body_bytes),
        Outcome::NumberFull => Problem::Full(Refusal::NumberFull),
        Outcome::StoreFull => Problem::Full(Refusal::StoreFull),
        _ => Problem::Unavailable,
    }
}

/// The items of one number. When they expire is the service's secret.
fn shown(items: Vec<(PlacementId, Vec<u8>)>) -> Vec<Item> {
    let item = |(id, body)| Item { id, expires_at: Timestamp::default(), body };
    items.into_iter().map(item).collect()
}

#[cold]
fn in_words(error: CpsError) -> EngineError {
    match error {
        CpsError::Unreachable(ClientError::Abandoned) => {
            EngineError::new(EngineErrorKind::State, "the engine was stopped; open another")
        }
        CpsError::Refused { status: 401, .. } => EngineError::new(
            EngineErrorKind::Network,
            "the service wants a token for each store over HTTPS; place the call, or store through its Unix socket",
        ),
        error => error.into(),
    }
}

#[cold]
fn not_looked_for(outcome: Outcome) -> EngineError {
    EngineError::new(EngineErrorKind::Busy, format!("the service did not look: {outcome}"))
}
