//! A batch on its way: pieces of the request go to the service as they come, its results come back when they are
//! durable.
//!
//! Stores go on while earlier ones wait for the disk, so that one batch fills a pass of the journal instead of
//! waiting for one after the other.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::rc::Rc;

use herald_core::batch::{self, Outcome};
use herald_core::{BatchExchange, Problem, Storing};
use herald_journal::CommitState;
use herald_net::{Bytes, Dialogue, InputEnd, Response};

use crate::door::{Desk, http_response};
use crate::limits::{BATCH_PIECE_BYTES, BATCH_RESULTS_BYTES_MAX};
use crate::readers::Reading;
use crate::stack::Pending;

/// One batch.
pub(crate) struct BatchDialogue {
    desk: Rc<Desk>,
    exchange: BatchExchange,
    /// What has arrived and is not yet answered.
    input: Bytes,
    end: Option<InputEnd>,
    /// A step that is made where the disk may be waited for.
    reading: Option<Reading<Result<Read, Problem>>>,
    /// Nothing will be added to `waiting` any more.
    is_over: bool,
    waiting: VecDeque<Results>,
    waiting_bytes: usize,
}

/// Results of one step, and when they may be sent.
struct Results {
    bytes: Bytes,
    pending: Option<Pending>,
}

/// A step that was made elsewhere.
struct Read {
    exchange: BatchExchange,
    taken_bytes: usize,
    results: Vec<u8>,
}

impl BatchDialogue {
    pub(crate) fn new(desk: Rc<Desk>, exchange: BatchExchange) -> Self {
        Self {
            desk,
            exchange,
            input: Bytes::new(),
            end: None,
            reading: None,
            is_over: false,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
        }
    }

    /// Answers the next few records of what has arrived, or the end.
    fn step(&mut self) -> Result<(), Problem> {
        let mut bytes = Vec::new();
        let mut pending = None;
        if !self.input.is_empty() {
            let shared = &self.desk.shared;
            let now = shared.clock.now();
            let terms = shared.terms(self.exchange.class(), now);
            if self.desk.reads_elsewhere(self.exchange.asks_for_bodies()) {
                return self.step_elsewhere(self.exchange.clone(), terms.storing);
            }
            let before = shared.goes_beyond().then(|| self.exchange.clone());
            let (effect, taken, left_out) = {
                let session = &mut *self.desk.session.borrow_mut();
                let mut rest = &*self.input;
                let log = &mut session.log;
                let (exchange, storing) = (&mut self.exchange, terms.storing);
                let service = &mut session.service;
                let effect = match self.desk.gate.as_ref().filter(|_| exchange.is_gated()) {
                    None => service.step_batch(log, exchange, &mut rest, &mut bytes, storing, now)?,
                    Some(gate) => {
                        let gate = &mut *gate.borrow_mut();
                        service.step_gated(log, gate, exchange, &mut rest, &mut bytes, storing, now)?
                    }
                };
                (effect, self.input.len() - rest.len(), session.log.take_left_out())
            };
            if left_out {
                // The first segment has left memory meanwhile.
                let before = before.expect("only records that have left memory are left out");
                return self.step_elsewhere(before, terms.storing);
            }
            pending = shared.pending(terms, effect);
            self.input = self.input.split_off(taken);
        } else if let Some(end) = self.end.take() {
            let cut_off = match end {
                InputEnd::Complete => None,
                InputEnd::Broken => Some(Outcome::Broken),
                InputEnd::Timeout => Some(Outcome::Timeout),
            };
            let ended = self.exchange.end(cut_off, &mut bytes);
            ended.map_err(|problem| if end == InputEnd::Timeout { Problem::Timeout } else { problem })?;
            self.is_over = true;
        }
        self.keep(bytes, pending);
        Ok(())
    }

    fn keep(&mut self, results: Vec<u8>, pending: Option<Pending>) {
        if !results.is_empty() {
            self.waiting_bytes += results.len();
            self.waiting.push_back(Results { bytes: Bytes::from(results), pending });
        }
    }

    /// Makes a step, which only asks, where the disk may be waited for.
    fn step_elsewhere(&mut self, mut exchange: BatchExchange, storing: Storing) -> Result<(), Problem> {
        let input = self.input.clone();
        let reading = self.desk.read_elsewhere(move |session, now| {
            let (mut rest, mut results) = (&*input, Vec::new());
            let log = &mut session.log;
            let step = session.service.step_batch(log, &mut exchange, &mut rest, &mut results, storing, now);
            step.map(|_| Read { exchange, taken_bytes: input.len() - rest.len(), results })
        });
        self.reading = Some(reading.ok_or(Problem::Unavailable)?);
        Ok(())
    }

    /// Takes in what was read elsewhere. Pending while that is not done.
    fn poll_reading(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Problem>> {
        let Some(reading) = &mut self.reading else { return Poll::Ready(Ok(())) };
        let Poll::Ready(read) = Pin::new(reading).poll(context) else { return Poll::Pending };
        self.reading = None;
        let read = match read.unwrap_or(Err(Problem::Unavailable)) {
            Ok(read) => read,
            Err(problem) => return Poll::Ready(Err(problem)),
        };
        self.exchange = read.exchange;
        self.input = self.input.split_off(read.taken_bytes);
        self.keep(read.results, None);
        Poll::Ready(Ok(()))
    }

    fn can_step(&self) -> bool {
        self.reading.is_none()
            && (!self.input.is_empty() || self.end.is_some())
            && self.waiting_bytes < BATCH_RESULTS_BYTES_MAX
    }

    /// What may be sent of the results, in their order, one piece at most; wakes `waker` when that becomes more.
    fn ready(&mut self, waker: &Waker) -> Vec<u8> {
        let mut piece = Vec::new();
        while let Some(results) = self.waiting.front_mut()
            && piece.len() < BATCH_PIECE_BYTES
        {
            if let Some(pending) = results.pending {
                let Poll::Ready(state) = self.desk.shared.poll_durable(pending, waker) else { break };
                results.pending = None;
                if state != CommitState::Durable {
                    self.desk.shared.not_durable(batch::stored_count(&results.bytes));
                    let withdrawn = Bytes::from(batch::withdraw(&results.bytes));
                    self.waiting_bytes -= results.bytes.len() - withdrawn.len();
                    results.bytes = withdrawn;
                }
            }
            let room = BATCH_PIECE_BYTES - piece.len();
            let part = results.bytes.split_to(room.min(results.bytes.len()));
            self.waiting_bytes -= part.len();
            piece.extend_from_slice(&part);
            if results.bytes.is_empty() {
                self.waiting.pop_front();
            }
        }
        piece
    }
}

impl Dialogue for BatchDialogue {
    fn has_room(&self) -> bool {
        self.input.is_empty() && self.waiting_bytes < BATCH_RESULTS_BYTES_MAX
    }

    fn take(&mut self, piece: Bytes) {
        self.input = piece;
    }

    fn end(&mut self, how: InputEnd) {
        self.end = Some(how);
    }

    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Response<Bytes>>> {
        loop {
            if let Poll::Ready(read) = self.poll_reading(context) {
                read.map_err(|problem| http_response(problem.response()))?;
            }
            let could_step = self.can_step();
            if could_step {
                self.step().map_err(|problem| http_response(problem.response()))?;
            }
            let piece = self.ready(context.waker());
            if !piece.is_empty() {
                return Poll::Ready(Ok(Some(Bytes::from(piece))));
            }
            if self.is_over && self.waiting.is_empty() {
                return Poll::Ready(Ok(None));
            }
            if !could_step {
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::Arc;

    use herald_core::batch::Retrieved;
    use herald_core::limits::{BATCH_STEP_BYTES, BODY_BYTES_MAX, RECORDS_PER_NUMBER_LEAST};
    use herald_core::{Request, Storing, TelephoneNumber};

    use super::*;
    use crate::shared::tests::shared;

    const NUMBERS: usize = 8;
    /// Above what a full number and its cover bring.
    const NUMBER_BYTES_MAX: usize = 300 * (16 + 2 + BODY_BYTES_MAX);

    #[test]
    fn full_numbers_go_out_in_pieces_and_wait_within_the_bound() {
        let shared = Arc::new(shared());
        let mut session = shared.open_session().expect("a session");
        let mut request = batch::begin();
        for index in 0..NUMBERS {
            let number: TelephoneNumber = format!("1222555000{index}").parse().expect("a number");
            for _ in 0..RECORDS_PER_NUMBER_LEAST {
                let now = shared.clock.now();
                session
                    .service
                    .store(&mut session.log, number, &[7; BODY_BYTES_MAX], now)
                    .expect("below its bound");
            }
            batch::put_number(&mut request, number);
        }
        let content_type = Some(batch::MEDIA_TYPE);
        let head =
            Request { method: "POST", target: batch::RETRIEVE_PATH, content_type, ..Request::default() };
        let exchange = BatchExchange::open(&head, Storing::Possible).expect("well asked").expect("a batch");
        let desk = Rc::new(Desk { shared, session: RefCell::new(session), gate: None });
        let mut dialogue = BatchDialogue::new(desk, exchange);
        dialogue.take(Bytes::from(request));
        dialogue.end(InputEnd::Complete);
        let mut answer = Vec::new();
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Ok(Some(piece))) = dialogue.poll_answer(&mut context) {
            assert!(piece.len() <= BATCH_PIECE_BYTES, "a piece of {} bytes", piece.len());
            let waiting: usize = dialogue.waiting.iter().map(|results| results.bytes.len()).sum();
            assert_eq!(dialogue.waiting_bytes, waiting);
            assert!(
                waiting < BATCH_RESULTS_BYTES_MAX + BATCH_STEP_BYTES + NUMBER_BYTES_MAX,
                "{waiting} wait"
            );
            answer.extend_from_slice(&piece);
        }
        assert!(dialogue.is_over);
        let mut rest = &answer[..];
        batch::take_version(&mut rest).expect("a version");
        for _ in 0..NUMBERS {
            let Ok(Some(Retrieved::Done(items))) = batch::take_retrieved(&mut rest) else {
                panic!("no result")
            };
            let full = usize::try_from(RECORDS_PER_NUMBER_LEAST).expect("a count");
            assert!(items.iter().filter(|(_, body)| *body == [7; BODY_BYTES_MAX]).count() == full);
        }
        assert!(rest.is_empty());
    }
}
