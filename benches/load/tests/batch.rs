//! Batches: sent whole, answered in pieces, and looked at result by result.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, VecDeque};
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::Duration;

use common::{SMALL, Target};
use herald_core::batch::{self, Front, Outcome};
use herald_load::{Operation, Pace, Plan, Protocol, Report, run};
use herald_net::{
    Bytes, Dialogue, InputEnd, Intake, Parts, Peer, Refusal, Request, Response, Service, StatusCode,
};

const RECORDS: usize = 100;

/// Answers batches in small pieces, once they are complete.
struct Batches {
    /// Which placement of each batch is not stored.
    refused: Option<usize>,
}

struct Exchange {
    refused: Option<usize>,
    input: Vec<u8>,
    pieces: Option<VecDeque<Bytes>>,
}

impl Service for Batches {
    type Answer = Ready<Response<Bytes>>;

    fn intake(&self, _: &Peer, head: &Parts) -> Intake {
        assert_eq!((head.method.as_str(), head.uri.path()), ("POST", batch::STORE_PATH));
        assert_eq!(head.headers["content-type"], batch::MEDIA_TYPE);
        let exchange = Exchange { refused: self.refused, input: Vec::new(), pieces: None };
        Intake::Dialogue(Response::new(Box::new(exchange)))
    }

    fn answer(&self, _: &Peer, _: Request<Bytes>) -> Self::Answer {
        ready(Response::new(Bytes::new()))
    }

    fn refuse(&self, refusal: Refusal) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = refusal.status();
        response
    }
}

impl Dialogue for Exchange {
    fn has_room(&self) -> bool {
        true
    }

    fn take(&mut self, piece: Bytes) {
        self.input.extend_from_slice(&piece);
    }

    fn end(&mut self, how: InputEnd) {
        assert_eq!(how, InputEnd::Complete);
        let mut answer = batch::begin();
        for record in 0..records(&self.input) {
            if self.refused == Some(record) {
                answer.push(Outcome::NumberFull.code());
            } else {
                answer.push(Outcome::Done.code());
                answer.extend_from_slice(&[7; 16]);
            }
        }
        self.pieces = Some(answer.chunks(250).map(Bytes::copy_from_slice).collect());
    }

    fn poll_answer(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Response<Bytes>>> {
        match &mut self.pieces {
            None => Poll::Pending,
            Some(pieces) => Poll::Ready(Ok(pieces.pop_front())),
        }
    }
}

/// The placements in a batch, each of which must be for a number of its own or nearly so.
fn records(batch: &[u8]) -> usize {
    let (mut rest, mut numbers, mut count) = (batch, BTreeMap::<Vec<u8>, usize>::new(), 0);
    batch::take_version(&mut rest).unwrap();
    while !rest.is_empty() {
        let Front::Record { number, body, bytes } = batch::front_placement(rest) else {
            panic!("no placement")
        };
        assert_eq!(body.len(), SMALL);
        *numbers.entry(number.signs().collect()).or_default() += 1;
        rest = &rest[bytes..];
        count += 1;
    }
    assert!(numbers.len() > count / 2, "{} numbers for {count} placements", numbers.len());
    count
}

fn batches(refused: Option<usize>, protocol: Protocol, operation: Operation) -> Report {
    let target = Target::start(0, move |_| Batches { refused });
    let plan = target.plan(protocol, 2, Pace::Open { rate_per_s: 100 });
    let duration = Duration::from_millis(500);
    run(&Plan { operation, duration, records: RECORDS, ..plan }).unwrap()
}

#[test]
fn a_batch_counts_as_stored_if_each_of_its_placements_is() {
    let (all, none) = (BTreeMap::from([(StatusCode::OK.as_u16(), 50)]), BTreeMap::from([(0, 50)]));
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let good = batches(None, protocol, Operation::Batch);
        assert_eq!(good.statuses, all, "{protocol:?}");
        assert!(good.records_per_s() > 50.0, "{protocol:?}: {good}");
        let bad = batches(Some(RECORDS - 1), protocol, Operation::Batch);
        assert_eq!(bad.statuses, none, "{protocol:?}");
        assert!(bad.arrived > 0 && bad.records_per_s() == 0.0, "{protocol:?}: {bad}");
        // The control: who does not look does not see it.
        assert_eq!(batches(Some(RECORDS - 1), protocol, Operation::Bulk).statuses, all, "{protocol:?}");
    }
}
