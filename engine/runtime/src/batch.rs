//! A batch on its way: pieces of the request go to the service as they come, its results come back when they are
//! durable.
//!
//! Stores go on while earlier ones wait for the disk, so that one batch fills a pass of the journal instead of
//! waiting for one after the other.

use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::rc::Rc;

use herald_core::batch::{self, Outcome};
use herald_core::{BatchExchange, Problem};
use herald_journal::{CommitState, Ticket};
use herald_net::{Bytes, Dialogue, InputEnd, Response};

use crate::door::{Desk, http_response};
use crate::limits::{BATCH_PIECE_BYTES, BATCH_RESULTS_BYTES_MAX};
use crate::shared::storing;

/// One batch.
pub(crate) struct BatchDialogue {
    desk: Rc<Desk>,
    exchange: BatchExchange,
    /// What has arrived and is not yet answered.
    input: Bytes,
    end: Option<InputEnd>,
    /// Nothing will be added to `waiting` any more.
    is_over: bool,
    waiting: VecDeque<Results>,
    waiting_bytes: usize,
}

/// Results of one step, and when they may be sent.
struct Results {
    bytes: Vec<u8>,
    ticket: Option<Ticket>,
}

impl BatchDialogue {
    pub(crate) fn new(desk: Rc<Desk>, exchange: BatchExchange) -> Self {
        Self {
            desk,
            exchange,
            input: Bytes::new(),
            end: None,
            is_over: false,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
        }
    }

    /// Answers the next few records of what has arrived, or the end.
    fn step(&mut self) -> Result<(), Problem> {
        let mut bytes = Vec::new();
        let mut ticket = None;
        if !self.input.is_empty() {
            let shared = &self.desk.shared;
            let now = shared.clock.now();
            let pace = shared.pace(now);
            let session = &mut *self.desk.session.borrow_mut();
            let mut rest = &*self.input;
            let effect = session.service.step_batch(
                &mut session.log,
                &mut self.exchange,
                &mut rest,
                &mut bytes,
                storing(pace),
                now,
            )?;
            ticket = self.desk.ticket(effect, pace);
            let taken = self.input.len() - rest.len();
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
        if !bytes.is_empty() {
            self.waiting_bytes += bytes.len();
            self.waiting.push_back(Results { bytes, ticket });
        }
        Ok(())
    }

    fn can_step(&self) -> bool {
        (!self.input.is_empty() || self.end.is_some()) && self.waiting_bytes < BATCH_RESULTS_BYTES_MAX
    }

    /// What may be sent of the results, in their order; wakes `waker` when that becomes more.
    fn ready(&mut self, waker: &Waker) -> Vec<u8> {
        let mut piece = Vec::new();
        while let Some(results) = self.waiting.front_mut()
            && piece.len() < BATCH_PIECE_BYTES
        {
            let commits = &self.desk.shared.commits;
            let state =
                results.ticket.map_or(Poll::Ready(CommitState::Durable), |at| commits.poll(at, waker));
            let Poll::Ready(state) = state else { break };
            self.waiting_bytes -= results.bytes.len();
            if state != CommitState::Durable {
                results.bytes = batch::withdraw(&results.bytes);
            }
            let Some(Results { bytes, .. }) = self.waiting.pop_front() else { break };
            if piece.is_empty() {
                piece = bytes;
            } else {
                piece.extend_from_slice(&bytes);
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
