//! Batches: whatever arrives, in whatever pieces, each record is answered as a plain reader of the whole says.
//!
//! The first byte of an input says what the records are and how long the pieces, the rest is the body.

use herald_core::batch::{self, Outcome, Retrieved, Stored};
use herald_core::limits::{BODY_BUCKETS_BYTES, BODY_BYTES_MAX, NUMBER_SIGNS_MAX};
use herald_core::{
    BatchExchange, CoverSchedule, CoverSecret, Problem, Request, Retention, SealingSuite, Service, Storing,
    Timestamp,
};

use crate::fixed::Fixed;
use crate::path_query::Plain;

const NOW: Timestamp = Timestamp::from_millis(1_795_300_000_000);

/// Sends `data` as a batch.
///
/// # Panics
/// If an answer is not one result for each record, of the kind a plain reading gives, or depends on the pieces.
pub fn check(data: &[u8]) {
    let [mode, body @ ..] = data else { return };
    let is_store = mode & 1 == 0;
    let piece_bytes = match mode >> 1 & 7 {
        0 => usize::MAX,
        exponent => 1 << (exponent - 1),
    };
    let answer = sent(body, is_store, piece_bytes);
    assert_eq!(answer, sent(body, is_store, usize::MAX), "the answer depends on the pieces");
    let Some((&batch::VERSION, records)) = body.split_first() else {
        return assert_eq!(answer, Err(Problem::BatchVersion(batch::VERSION)));
    };
    let mut answer = &answer.expect("a batch of this version is answered")[..];
    batch::take_version(&mut answer).expect("an answer begins with the version");
    let mut records = Records { rest: records, is_store };
    while let Some(expected) = records.next_outcome() {
        let outcome = if is_store { stored(&mut answer) } else { retrieved(&mut answer) };
        // Whether a number is full is for others to check.
        let is_full = expected == Outcome::Done && outcome == Outcome::NumberFull;
        assert!(outcome == expected || is_full, "{outcome:?} where a plain reader says {expected:?}");
    }
    assert!(answer.is_empty(), "the answer goes on behind the last record");
}

fn sent(body: &[u8], is_store: bool, piece_bytes: usize) -> Result<Vec<u8>, Problem> {
    let random = Fixed::new(1);
    let secret = CoverSecret::generate(&random, Retention::DEFAULT, NOW);
    let mut service =
        Service::new(CoverSchedule::new(secret, Retention::DEFAULT, Box::new(CheapSuite)), &random);
    let mut store = Plain::default();
    let target = if is_store { batch::STORE_PATH } else { batch::RETRIEVE_PATH };
    let content_type = Some(batch::MEDIA_TYPE);
    let head = Request { method: "POST", target, content_type, ..Request::default() };
    let mut exchange = BatchExchange::open(&head, Storing::Possible).expect("well asked").expect("a batch");
    let mut out = Vec::new();
    for mut piece in body.chunks(piece_bytes) {
        while !piece.is_empty() {
            service.step_batch(&mut store, &mut exchange, &mut piece, &mut out, Storing::Possible, NOW)?;
        }
    }
    exchange.end(None, &mut out)?;
    Ok(out)
}

fn stored(answer: &mut &[u8]) -> Outcome {
    match batch::take_stored(answer).expect("a result").expect("one for each record") {
        Stored::Done(_) => Outcome::Done,
        Stored::Refused(outcome) => outcome,
    }
}

fn retrieved(answer: &mut &[u8]) -> Outcome {
    match batch::take_retrieved(answer).expect("a result").expect("one for each record") {
        Retrieved::Done(items) => {
            assert!(!items.is_empty(), "a number without an item");
            assert!(items.iter().all(|(_, body)| BODY_BUCKETS_BYTES.contains(&body.len())));
            Outcome::Done
        }
        Retrieved::Refused(outcome) => outcome,
    }
}

/// The plain reader: docs/PROTOCOL.md over the whole body.
struct Records<'a> {
    rest: &'a [u8],
    is_store: bool,
}

impl<'a> Records<'a> {
    fn next_outcome(&mut self) -> Option<Outcome> {
        if self.rest.is_empty() {
            return None;
        }
        Some(self.read().unwrap_or_else(|unread| {
            self.rest = &[];
            unread
        }))
    }

    /// The next record's outcome; an error if it is the last, since it is not whole.
    fn read(&mut self) -> Result<Outcome, Outcome> {
        let body_bytes = match self.is_store {
            true => usize::from(self.byte()?) * 256 + usize::from(self.byte()?),
            false => 0,
        };
        let sign_count = usize::from(self.byte()?);
        // Lengths that are too large are answered without the rest of the record, and a rest that never comes is
        // told behind that.
        let early = match () {
            () if sign_count > NUMBER_SIGNS_MAX => Some(Outcome::Number),
            () if body_bytes > BODY_BYTES_MAX => Some(Outcome::BodySize),
            () => None,
        };
        if let Some(outcome) = early {
            if self.take(sign_count + body_bytes).is_err() {
                // One byte that no record begins with, so that the next reading ends at once.
                self.rest = if self.is_store { &[0] } else { &[1] };
            }
            return Ok(outcome);
        }
        let signs = self.take(sign_count)?;
        self.take(body_bytes)?;
        let is_number = !signs.is_empty() && signs.iter().all(|sign| b"0123456789*#".contains(sign));
        Ok(match () {
            () if !is_number => Outcome::Number,
            () if self.is_store && !BODY_BUCKETS_BYTES.contains(&body_bytes) => Outcome::BodySize,
            () => Outcome::Done,
        })
    }

    fn byte(&mut self) -> Result<u8, Outcome> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Outcome> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(Outcome::Broken)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// No public-key work: what bodies of cover hold does not matter here.
struct CheapSuite;

impl SealingSuite for CheapSuite {
    fn encapsulated_key_bytes(&self) -> usize {
        32
    }

    fn encapsulated_key(&self, seed: [u8; 32], out: &mut [u8]) {
        out.copy_from_slice(&seed);
    }
}
