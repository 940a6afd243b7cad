//! Batches: whatever arrives, in whatever pieces, each record is answered as a plain reader of the whole says, also where
//! placements come with credentials (version 2).
//!
//! The first byte of an input says what the records are and how long the pieces, the rest is the body.

use herald_core::batch::{self, CREDENTIAL_BYTES, Outcome, Retrieved, Stored};
use herald_core::limits::{BODY_BUCKETS_BYTES, BODY_BYTES_MAX, NUMBER_SIGNS_MAX};
use herald_core::{
    BatchExchange, CoverSchedule, CoverSecret, Gate, GatedStore, Passage, PlacementId, Problem, Request,
    Retention, SealingSuite, Service, Storing, TelephoneNumber, Timestamp,
};

use crate::fixed::Fixed;
use crate::path_query::Plain;

const NOW: Timestamp = Timestamp::from_millis(1_795_300_000_000);

/// What the records of a batch are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stores,
    GatedStores,
    Numbers,
}

/// Sends `data` as a batch.
///
/// # Panics
/// If an answer is not one result for each record, of the kind a plain reading gives, or depends on the pieces.
pub fn check(data: &[u8]) {
    let [mode, body @ ..] = data else { return };
    let kind = match mode & 0b1_0001 {
        0 => Kind::Stores,
        0b1_0000 => Kind::GatedStores,
        _ => Kind::Numbers,
    };
    let piece_bytes = match mode >> 1 & 7 {
        0 => usize::MAX,
        exponent => 1 << (exponent - 1),
    };
    let answer = sent(body, kind, piece_bytes);
    assert_eq!(answer, sent(body, kind, usize::MAX), "the answer depends on the pieces");
    let version = if kind == Kind::GatedStores { batch::GATED_VERSION } else { batch::VERSION };
    let Some(records) = body.strip_prefix(&[version]) else {
        return assert_eq!(answer, Err(Problem::BatchVersion(version)));
    };
    let mut answer = &answer.expect("a batch of this version is answered")[..];
    batch::take_version(&mut answer).expect("an answer begins with the version");
    let mut records = Records { rest: records, kind };
    while let Some(expected) = records.next_outcome() {
        let outcome = if kind == Kind::Numbers { retrieved(&mut answer) } else { stored(&mut answer) };
        // Whether a number is full is for others to check.
        let is_full = expected == Outcome::Done && outcome == Outcome::NumberFull;
        assert!(outcome == expected || is_full, "{outcome:?} where a plain reader says {expected:?}");
    }
    assert!(answer.is_empty(), "the answer goes on behind the last record");
}

fn sent(body: &[u8], kind: Kind, piece_bytes: usize) -> Result<Vec<u8>, Problem> {
    let random = Fixed::new(1);
    let secret = CoverSecret::generate(&random, Retention::DEFAULT, NOW);
    let mut service =
        Service::new(CoverSchedule::new(secret, Retention::DEFAULT, Box::new(CheapSuite)), &random);
    let mut store = Plain::default();
    let target = if kind == Kind::Numbers { batch::RETRIEVE_PATH } else { batch::STORE_PATH };
    let content_type = Some(batch::MEDIA_TYPE);
    let head = Request { method: "POST", target, content_type, ..Request::default() };
    let exchange = BatchExchange::open(&head, Storing::Possible).expect("well asked").expect("a batch");
    let mut exchange = if kind == Kind::GatedStores { exchange.gated()? } else { exchange };
    let mut out = Vec::new();
    for mut piece in body.chunks(piece_bytes) {
        while !piece.is_empty() {
            let (input, storing) = (&mut piece, Storing::Possible);
            match kind {
                Kind::GatedStores => {
                    let gate = &mut FirstByte;
                    service.step_gated(&mut store, gate, &mut exchange, input, &mut out, storing, NOW)?;
                }
                _ => drop(service.step_batch(&mut store, &mut exchange, input, &mut out, storing, NOW)?),
            }
        }
    }
    exchange.end(None, &mut out)?;
    Ok(out)
}

/// Lets in by the first byte of a credential.
struct FirstByte;

impl FirstByte {
    fn passage(credential: &[u8; CREDENTIAL_BYTES]) -> Passage {
        match credential[0] & 3 {
            0 => Passage::In(None),
            1 => Passage::Out(Outcome::NoSession),
            2 => Passage::In(Some(PlacementId::from_bytes(core::array::from_fn(|index| credential[index])))),
            _ => Passage::Out(Outcome::Proof),
        }
    }
}

impl Gate for FirstByte {
    fn judge(&mut self, stores: &[GatedStore<'_>], _now: Timestamp, passages: &mut Vec<Passage>) {
        passages.extend(stores.iter().map(|store| Self::passage(store.credential)));
    }

    fn give_back(&mut self, _id: PlacementId, _number: TelephoneNumber) {}
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
    kind: Kind,
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
        let passage = match self.kind {
            Kind::GatedStores => {
                let credential = self.take(CREDENTIAL_BYTES)?;
                FirstByte::passage(credential.try_into().expect("as many as were taken"))
            }
            _ => Passage::In(None),
        };
        let body_bytes = match self.kind {
            Kind::Numbers => 0,
            _ => usize::from(self.byte()?) * 256 + usize::from(self.byte()?),
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
                self.rest = if self.kind == Kind::Numbers { &[1] } else { &[0] };
            }
            return Ok(outcome);
        }
        let signs = self.take(sign_count)?;
        self.take(body_bytes)?;
        let is_number = !signs.is_empty() && signs.iter().all(|sign| b"0123456789*#".contains(sign));
        Ok(match passage {
            _ if !is_number => Outcome::Number,
            Passage::Out(outcome) => outcome,
            _ if self.kind != Kind::Numbers && !BODY_BUCKETS_BYTES.contains(&body_bytes) => Outcome::BodySize,
            _ => Outcome::Done,
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
