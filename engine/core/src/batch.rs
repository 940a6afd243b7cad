//! `application/vnd.herald.batch`: many placements or many numbers in one body, and what came of each.
//!
//! Both sides of it: a client writes requests and reads answers with this module, the service does the
//! opposite. docs/PROTOCOL.md shows the bytes. A reader looks at the front of what has arrived and says what
//! stands there or that more must come. No length field ever decides how much is allocated.
//!
//! ```
//! use herald_core::batch::{self, Outcome, Stored};
//! let mut body = batch::begin();
//! batch::put_placement(&mut body, "12225552222".parse()?, &[0; 640])?;
//! // What a service answers: the version, then a result for each record.
//! let mut answer: &[u8] = &[batch::VERSION, Outcome::NumberFull.code()];
//! batch::take_version(&mut answer)?;
//! assert_eq!(batch::take_stored(&mut answer)?, Some(Stored::Refused(Outcome::NumberFull)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;

use crate::limits::{
    BATCH_RECORD_BYTES_MAX, BODY_BUCKETS_BYTES, BODY_BYTES_MAX, ITEMS_PER_NUMBER_MAX, NUMBER_SIGNS_MAX,
    RECORDS_PER_NUMBER_MAX,
};
use crate::number::TelephoneNumber;
use crate::placement::{PlacementId, Refusal};
use crate::service::{Item, Problem};

/// The media type of requests and answers.
pub const MEDIA_TYPE: &str = "application/vnd.herald.batch";
/// Where placements are posted to.
pub const STORE_PATH: &str = "/cps/batch";
/// Where numbers are posted to, to retrieve what waits under them.
pub const RETRIEVE_PATH: &str = "/cps/batch/retrieve";
/// The first byte of each request and of each answer.
pub const VERSION: u8 = 1;

/// The first byte of a request to [`STORE_PATH`] where stores need tokens: before each placement stand
/// [`CREDENTIAL_BYTES`] that say by what right it is stored. Answers begin with [`VERSION`] in any case.
pub const GATED_VERSION: u8 = 2;
/// Bytes of a credential.
pub const CREDENTIAL_BYTES: usize = 36;

/// What stands in front of an item's body in an answer: id and length.
const ITEM_HEAD_BYTES: usize = 16 + 2;

/// What came of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// It was stored, or retrieved.
    Done = 0,
    /// Its number is not 1 to 15 of the signs `0`–`9`, `*`, `#`.
    Number = 1,
    /// Its body has none of the sizes a sealed PASSporT may have.
    BodySize = 2,
    /// Too many placements wait under its number.
    NumberFull = 3,
    /// The memory for placements is full of live ones.
    StoreFull = 4,
    /// It cannot be made as durable as the service promises.
    Unavailable = 5,
    /// The request ended or broke off inside it. The last result of an answer.
    Broken = 6,
    /// Nothing more arrived for too long. The last result of an answer.
    Timeout = 7,
    /// Its token has no open session.
    NoSession = 8,
    /// Its MAC is wrong.
    Proof = 9,
    /// Its token is used up, or its counter was used before.
    Used = 10,
    /// Its token has stored enough under this number.
    NumberUsed = 11,
}

impl Outcome {
    const ALL: [Self; 12] = [
        Self::Done,
        Self::Number,
        Self::BodySize,
        Self::NumberFull,
        Self::StoreFull,
        Self::Unavailable,
        Self::Broken,
        Self::Timeout,
        Self::NoSession,
        Self::Proof,
        Self::Used,
        Self::NumberUsed,
    ];

    /// The byte that says it.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What the byte `code` says, if it is one.
    pub fn of(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// What a refusal of the service comes to in a batch.
    pub(crate) const fn of_problem(problem: &Problem) -> Self {
        match problem {
            Problem::BodySize(_) | Problem::BodyTooLarge => Self::BodySize,
            Problem::Full(Refusal::NumberFull) => Self::NumberFull,
            Problem::Full(Refusal::StoreFull) => Self::StoreFull,
            _ => Self::Unavailable,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "it is done",
            Self::Number => "the number is none",
            Self::BodySize => "the body has none of the sizes of a sealed PASSporT",
            Self::NumberFull => "too many placements wait under its number; try again later",
            Self::StoreFull => "the service's memory is full; try again later",
            Self::Unavailable => "the service cannot keep it safe now; try again later",
            Self::Broken => "the request broke off",
            Self::Timeout => "nothing more of the request arrived in time",
            Self::NoSession => "its token has no open session; open one with a token that was not used",
            Self::Proof => "its MAC is wrong; nothing was spent",
            Self::Used => {
                "its token is used up or its counter was used before; take the next counter or token"
            }
            Self::NumberUsed => "its token has stored enough under this number; use another",
        })
    }
}

/// Bytes that are no batch, or none of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotABatch;

impl fmt::Display for NotABatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the bytes are not a batch of version {VERSION}; docs/PROTOCOL.md has the format")
    }
}

impl core::error::Error for NotABatch {}

/// The beginning of a request or an answer.
pub fn begin() -> Vec<u8> {
    vec![VERSION]
}

/// Adds a placement to a request to [`STORE_PATH`].
///
/// # Errors
/// [`Problem::BodyTooLarge`] if no service would take the body; nothing was added.
pub fn put_placement(out: &mut Vec<u8>, number: TelephoneNumber, body: &[u8]) -> Result<(), Problem> {
    if body.len() > BODY_BYTES_MAX {
        return Err(Problem::BodyTooLarge);
    }
    let body_bytes = u16::try_from(body.len()).expect("the largest body has 8 KiB");
    out.extend_from_slice(&body_bytes.to_be_bytes());
    put_number(out, number);
    out.extend_from_slice(body);
    Ok(())
}

/// The beginning of a request to [`STORE_PATH`] where stores need tokens.
pub fn begin_gated() -> Vec<u8> {
    vec![GATED_VERSION]
}

/// Adds a placement to a request begun by [`begin_gated`].
///
/// # Errors
/// As [`put_placement`].
pub fn put_gated(
    out: &mut Vec<u8>,
    credential: &[u8; CREDENTIAL_BYTES],
    number: TelephoneNumber,
    body: &[u8],
) -> Result<(), Problem> {
    let before = out.len();
    out.extend_from_slice(credential);
    put_placement(out, number, body).inspect_err(|_| out.truncate(before))
}

/// Adds a number to a request to [`RETRIEVE_PATH`].
pub fn put_number(out: &mut Vec<u8>, number: TelephoneNumber) {
    let at = out.len();
    out.push(0);
    out.extend(number.signs());
    out[at] = u8::try_from(out.len() - at - 1).expect("a number has 15 signs at most");
}

/// The record at the front of what has arrived of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front<'a> {
    /// It has not arrived whole. It will have [`BATCH_RECORD_BYTES_MAX`] bytes at most.
    Partial {
        /// How many bytes must come at least before more can be said.
        missing_bytes: usize,
    },
    /// It is one the service looks at.
    Record {
        /// The number.
        number: TelephoneNumber,
        /// The body of a placement; empty where numbers are asked for.
        body: &'a [u8],
        /// How long the record is.
        bytes: usize,
    },
    /// It is none, whatever else it holds.
    Refused {
        /// Why.
        outcome: Outcome,
        /// How long the record is, perhaps longer than what has arrived.
        bytes: usize,
    },
}

/// What stands at the front of `input`, which is in the middle of a request to [`STORE_PATH`].
pub fn front_placement(input: &[u8]) -> Front<'_> {
    let Some(&[high, low, signs]) = input.first_chunk() else {
        return Front::Partial { missing_bytes: 3 - input.len() };
    };
    let (body_bytes, number_bytes) = (usize::from(u16::from_be_bytes([high, low])), usize::from(signs));
    let body_at = 3 + number_bytes;
    let bytes = body_at + body_bytes;
    if number_bytes > NUMBER_SIGNS_MAX {
        return Front::Refused { outcome: Outcome::Number, bytes };
    }
    if body_bytes > BODY_BYTES_MAX {
        return Front::Refused { outcome: Outcome::BodySize, bytes };
    }
    let Some(record) = input.get(..bytes) else {
        return Front::Partial { missing_bytes: bytes - input.len() };
    };
    let (head, body) = record.split_at(body_at);
    match TelephoneNumber::from_signs(&head[3..]) {
        Some(number) => Front::Record { number, body, bytes },
        None => Front::Refused { outcome: Outcome::Number, bytes },
    }
}

/// What stands at the front of `input`, which is in the middle of a request begun by [`begin_gated`]. The record begins
/// with its credential.
pub fn front_gated(input: &[u8]) -> Front<'_> {
    let Some((_, rest)) = input.split_first_chunk::<CREDENTIAL_BYTES>() else {
        return Front::Partial { missing_bytes: CREDENTIAL_BYTES - input.len() };
    };
    match front_placement(rest) {
        Front::Record { number, body, bytes } => {
            Front::Record { number, body, bytes: bytes + CREDENTIAL_BYTES }
        }
        Front::Refused { outcome, bytes } => Front::Refused { outcome, bytes: bytes + CREDENTIAL_BYTES },
        partial => partial,
    }
}

/// What stands at the front of `input`, which is in the middle of a request to [`RETRIEVE_PATH`].
pub fn front_number(input: &[u8]) -> Front<'_> {
    let Some(&signs) = input.first() else { return Front::Partial { missing_bytes: 1 } };
    let bytes = 1 + usize::from(signs);
    if usize::from(signs) > NUMBER_SIGNS_MAX {
        return Front::Refused { outcome: Outcome::Number, bytes };
    }
    let Some(record) = input.get(..bytes) else {
        return Front::Partial { missing_bytes: bytes - input.len() };
    };
    match TelephoneNumber::from_signs(&record[1..]) {
        Some(number) => Front::Record { number, body: &[], bytes },
        None => Front::Refused { outcome: Outcome::Number, bytes },
    }
}

/// What an answer says of one placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is stored under this id.
    Done(PlacementId),
    /// It is not.
    Refused(Outcome),
}

/// One item in an answer: its id and its sealed bytes.
pub type ItemRef<'a> = (PlacementId, &'a [u8]);

/// What an answer says of one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retrieved<'a> {
    /// What waits under it, in the order of ids.
    Done(Vec<ItemRef<'a>>),
    /// It was not looked for.
    Refused(Outcome),
}

/// Takes the version off the front of an answer.
///
/// # Errors
/// [`NotABatch`] if it is another or nothing is there.
pub fn take_version(input: &mut &[u8]) -> Result<(), NotABatch> {
    match input.split_first() {
        Some((&VERSION, rest)) => {
            *input = rest;
            Ok(())
        }
        _ => Err(NotABatch),
    }
}

/// Takes the next result off the front of an answer from [`STORE_PATH`]; `None` if it has not arrived whole.
///
/// # Errors
/// [`NotABatch`] if the bytes are none.
pub fn take_stored(input: &mut &[u8]) -> Result<Option<Stored>, NotABatch> {
    let Some((&code, rest)) = input.split_first() else { return Ok(None) };
    let outcome = Outcome::of(code).ok_or(NotABatch)?;
    if outcome != Outcome::Done {
        *input = rest;
        return Ok(Some(Stored::Refused(outcome)));
    }
    let Some((&id, rest)) = rest.split_first_chunk() else { return Ok(None) };
    *input = rest;
    Ok(Some(Stored::Done(PlacementId::from_bytes(id))))
}

/// Takes the next result off the front of an answer from [`RETRIEVE_PATH`]; `None` if it has not arrived whole.
///
/// # Errors
/// [`NotABatch`] if the bytes are none: also if they announce more than [`ITEMS_PER_NUMBER_MAX`] items, or a body that has
/// none of [`BODY_BUCKETS_BYTES`].
pub fn take_retrieved<'a>(input: &mut &'a [u8]) -> Result<Option<Retrieved<'a>>, NotABatch> {
    let Some((&code, mut rest)) = input.split_first() else { return Ok(None) };
    let outcome = Outcome::of(code).ok_or(NotABatch)?;
    if outcome != Outcome::Done {
        *input = rest;
        return Ok(Some(Retrieved::Refused(outcome)));
    }
    let Some((&count, after)) = rest.split_first_chunk() else { return Ok(None) };
    rest = after;
    let count = usize::from(u16::from_be_bytes(count));
    if count > ITEMS_PER_NUMBER_MAX {
        return Err(NotABatch);
    }
    let mut items = Vec::new();
    for _ in 0..count {
        let Some(item) = take_item(&mut rest)? else { return Ok(None) };
        items.push(item);
    }
    *input = rest;
    Ok(Some(Retrieved::Done(items)))
}

fn take_item<'a>(input: &mut &'a [u8]) -> Result<Option<ItemRef<'a>>, NotABatch> {
    let Some((&id, rest)) = input.split_first_chunk() else { return Ok(None) };
    let Some((&body_bytes, rest)) = rest.split_first_chunk() else { return Ok(None) };
    let body_bytes = usize::from(u16::from_be_bytes(body_bytes));
    if !BODY_BUCKETS_BYTES.contains(&body_bytes) {
        return Err(NotABatch);
    }
    let Some((body, rest)) = rest.split_at_checked(body_bytes) else { return Ok(None) };
    *input = rest;
    Ok(Some((PlacementId::from_bytes(id), body)))
}

pub(crate) fn put_stored(out: &mut Vec<u8>, id: PlacementId) {
    out.push(Outcome::Done.code());
    out.extend_from_slice(id.as_bytes());
}

pub(crate) fn put_retrieved(out: &mut Vec<u8>, items: &[Item]) {
    let count = u16::try_from(items.len()).expect("the bound of a number and its cover are far below 2^16");
    out.reserve(3 + items.iter().map(|item| ITEM_HEAD_BYTES + item.body.len()).sum::<usize>());
    out.push(Outcome::Done.code());
    out.extend_from_slice(&count.to_be_bytes());
    for item in items {
        let body_bytes = u16::try_from(item.body.len()).expect("a body has 8 KiB at most");
        out.extend_from_slice(item.id.as_bytes());
        out.extend_from_slice(&body_bytes.to_be_bytes());
        out.extend_from_slice(&item.body);
    }
}

/// The same results of stores, with each that says "stored" replaced: what is sent in place of `results` if the
/// placements could not be made durable.
pub fn withdraw(mut results: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Ok(Some(result)) = take_stored(&mut results) {
        out.push(match result {
            Stored::Done(_) => Outcome::Unavailable.code(),
            Stored::Refused(outcome) => outcome.code(),
        });
    }
    out
}

/// How many of these results of stores say "stored".
pub fn stored_count(mut results: &[u8]) -> usize {
    let mut count = 0;
    while let Ok(Some(result)) = take_stored(&mut results) {
        count += usize::from(matches!(result, Stored::Done(_)));
    }
    count
}

// A client takes what a service shows of a full number, and as much again of cover.
const _: () = assert!(2 * RECORDS_PER_NUMBER_MAX as usize <= ITEMS_PER_NUMBER_MAX);
// The largest record that must be kept until the rest of it arrives.
const _: () = assert!(BATCH_RECORD_BYTES_MAX == CREDENTIAL_BYTES + 3 + NUMBER_SIGNS_MAX + BODY_BYTES_MAX);
