//! Stores and retrievals of a client: an engine whose placements are at a service elsewhere.
//!
//! All go out as batches, which bring ids and say of each placement why it was refused; large ones in parts, of
//! stores a few at a time. The calling thread waits. Nothing is sent twice. Knows no connection.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use herald_core::batch::Outcome;
use herald_core::limits::BODY_BYTES_MAX;
use herald_core::{Item, PlacementClass, PlacementId, Problem, Refusal, TelephoneNumber, Timestamp};
use herald_net::{Bytes, ClientError, Request, Response};

use crate::cps::{self, CpsError, Sent};
use crate::error::{EngineError, EngineErrorKind};
use crate::limits::{
    CLIENT_ANSWER_BYTES_MAX, HOME_NUMBERS_MAX, HOME_PLACEMENTS_MAX, HOME_STORE_PARTS_MAX,
    STORED_ANSWER_BYTES_MAX,
};
use crate::worker::{HomeAnswer, NoAnswer, Visit, Worker};

type Placement<'a> = (TelephoneNumber, &'a [u8]);

/// One call of a client, which has until its deadline.
pub(crate) struct Elsewhere<'a> {
    worker: &'a Worker,
    allowed: Duration,
    until: Instant,
    _visit: Visit<'a>,
}

impl<'a> Elsewhere<'a> {
    /// A call that begins now.
    ///
    /// # Errors
    /// [`EngineErrorKind::State`] if the engine stops.
    pub(crate) fn begin(worker: &'a Worker, allowed: Duration) -> Result<Self, EngineError> {
        let visit = worker.visit_home()?;
        Ok(Self { worker, allowed, until: Instant::now() + allowed, _visit: visit })
    }

    pub(crate) fn store(
        &self,
        class: PlacementClass,
        number: TelephoneNumber,
        body: &[u8],
    ) -> Result<PlacementId, EngineError> {
        let result = self.store_batch(class, &[(number, body)])?.pop();
        Ok(result.expect("a result for each")?)
    }

    pub(crate) fn store_batch(
        &self,
        class: PlacementClass,
        placements: &[Placement<'_>],
    ) -> Result<Vec<Result<PlacementId, Problem>>, EngineError> {
        let parts = placements.chunks(HOME_PLACEMENTS_MAX);
        in_turn(parts, |part| self.begin_store(class, part), |part, begun| self.end_store(part, begun))
    }

    pub(crate) fn retrieve(&self, number: TelephoneNumber) -> Result<Vec<Item>, EngineError> {
        let list = self.retrieve_batch(&[number])?.pop();
        Ok(list.expect("a list for each"))
    }

    pub(crate) fn retrieve_batch(&self, numbers: &[TelephoneNumber]) -> Result<Vec<Vec<Item>>, EngineError> {
        let mut lists = Vec::with_capacity(numbers.len());
        for part in numbers.chunks(HOME_NUMBERS_MAX) {
            lists.append(&mut self.retrieve_part(part)?);
        }
        Ok(lists)
    }

    fn begin_store(
        &self,
        class: PlacementClass,
        part: &[Placement<'_>],
    ) -> Result<(HomeAnswer, Sent), EngineError> {
        let mut sent = Sent::new();
        let make = |base: &str| {
            let (request, each) = cps::store_batch_request(base, class, part)?;
            sent = each;
            Ok::<_, CpsError>(request)
        };
        let answer = self.ask(make, STORED_ANSWER_BYTES_MAX)?;
        Ok((answer, sent))
    }

    fn end_store(
        &self,
        part: &[Placement<'_>],
        (answer, sent): (HomeAnswer, Sent),
    ) -> Result<Vec<Result<PlacementId, Problem>>, EngineError> {
        let response = self.wait(answer).map_err(in_words)?;
        let results = match cps::stored_batch(&response, &sent) {
            // What it would have said of each.
            Err(CpsError::Refused { status: 503, .. }) => return Err(Problem::Unavailable.into()),
            results => results.map_err(in_words)?,
        };
        let each = part.iter().zip(results);
        Ok(each.map(|((_, body), result)| result.map_err(|outcome| problem(outcome, body.len()))).collect())
    }

    fn retrieve_part(&self, part: &[TelephoneNumber]) -> Result<Vec<Vec<Item>>, EngineError> {
        let make = |base: &str| cps::retrieve_batch_request(base, part);
        let answer = self.ask(make, CLIENT_ANSWER_BYTES_MAX)?;
        let response = match self.wait(answer) {
            // Too large for itself, or beside those of other threads.
            Err(CpsError::Unreachable(ClientError::AnswerTooLarge { .. } | ClientError::Busy { .. }))
                if part.len() > 1 =>
            {
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

    fn ask(
        &self,
        make: impl FnOnce(&str) -> Result<Request<Bytes>, CpsError>,
        answer_bytes_max: usize,
    ) -> Result<HomeAnswer, EngineError> {
        let asked = self.worker.ask_home(make, answer_bytes_max, self.until);
        // This call was let in, so the engine has stopped since.
        asked.map_err(|error| if error.kind() == EngineErrorKind::State { ended() } else { error })
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
        while under_way.len() < HOME_STORE_PARTS_MAX
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
        CpsError::Unreachable(ClientError::Abandoned) => ended(),
        CpsError::Refused { status: 415, detail } => EngineError::new(EngineErrorKind::Argument, detail),
        error => error.into(),
    }
}

#[cold]
fn ended() -> EngineError {
    let why = "the engine was stopped before the service had answered; a store may have happened";
    EngineError::new(EngineErrorKind::Cancelled, why)
}

#[cold]
fn not_looked_for(outcome: Outcome) -> EngineError {
    EngineError::new(EngineErrorKind::Busy, format!("the service did not look: {outcome}"))
}
