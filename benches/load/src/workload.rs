//! What is asked: one request after the other, for telephone numbers drawn evenly.

use clap::ValueEnum;
use herald_core::{TelephoneNumber, batch};

use crate::error::LoadError;
use crate::plan::Plan;
use crate::session::{Purse, Session};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Operation {
    /// A store of one body.
    Store,
    /// The same with a MAC of a session that was opened with a token (RFC 8816 §7.5).
    StoreAdmitted,
    /// The list of what waits for a number.
    List,
    /// The list with the bodies in it.
    ListInline,
    /// A batch of stores; one that is not stored whole counts as status 0.
    Batch,
    /// The same bytes as a batch, to a server that reads and drops them: its answer is not looked into.
    Bulk,
}

impl Operation {
    /// The most telephone numbers there are to draw from.
    pub const NUMBERS_MAX: u64 = 1_000_000_000;

    fn method(self) -> &'static str {
        match self {
            Self::Store | Self::StoreAdmitted | Self::Batch | Self::Bulk => "POST",
            Self::List | Self::ListInline => "GET",
        }
    }

    fn query(self) -> &'static str {
        match self {
            Self::Store | Self::StoreAdmitted | Self::List | Self::Batch | Self::Bulk => "",
            Self::ListInline => "?inline=1",
        }
    }
}

/// The first number that is drawn; all have as many digits.
const FIRST_NUMBER: u64 = 12_000_000_000;
const NUMBER_DIGITS: usize = 11;
/// What every body consists of: the service does not look into it.
const FILLER: u8 = b's';

/// The requests of one thread.
pub(crate) struct Workload {
    operation: Operation,
    path: String,
    body: Vec<u8>,
    /// Where in the body the numbers of a batch stand.
    places: Vec<usize>,
    draw: Draw,
    purse: Option<Purse>,
    /// By what right the request is made.
    authorization: Option<String>,
}

impl Workload {
    /// With the sessions of this thread where stores need some: all their MACs are made here.
    pub(crate) fn new(plan: &Plan, seed: u64, sessions: Option<Vec<Session>>) -> Self {
        let body = vec![FILLER; plan.body_bytes];
        let (path, body, places) = match plan.operation {
            Operation::Store | Operation::StoreAdmitted => (String::new(), body, Vec::new()),
            Operation::List | Operation::ListInline => (String::new(), Vec::new(), Vec::new()),
            Operation::Batch | Operation::Bulk => {
                let (batch, places) = batch_of(plan.records, &body);
                (batch::STORE_PATH.to_owned(), batch, places)
            }
        };
        let mut draw = Draw { numbers: plan.numbers, state: seed };
        let purse = sessions.map(|sessions| Purse::new(sessions, &body, || draw.next()));
        Self { operation: plan.operation, path, body, places, draw, purse, authorization: None }
    }

    /// Makes the next request, for a connection.
    ///
    /// # Errors
    /// [`LoadError::Option`] if stores were to be made ahead and all were sent.
    pub(crate) fn advance(&mut self, connection: usize) -> Result<(), LoadError> {
        use core::fmt::Write;
        if matches!(self.operation, Operation::Batch | Operation::Bulk) {
            self.draw_batch();
            return Ok(());
        }
        let place = match &mut self.purse {
            None => self.draw.next(),
            Some(purse) => {
                let (place, authorization) = purse.take(connection)?;
                self.authorization = Some(authorization);
                place
            }
        };
        let number = FIRST_NUMBER + u64::from(place);
        self.path.clear();
        write!(self.path, "/cps/{number}/ppts{}", self.operation.query()).expect("a string takes all");
        Ok(())
    }

    pub(crate) fn method(&self) -> &'static str {
        self.operation.method()
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The value of `Authorization`, if the request has one.
    pub(crate) fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// The body and its media type, if the request has one.
    pub(crate) fn body(&self) -> Option<(&'static str, &[u8])> {
        match self.operation {
            Operation::Store | Operation::StoreAdmitted => Some(("application/passport", &self.body)),
            Operation::Batch | Operation::Bulk => Some((batch::MEDIA_TYPE, &self.body)),
            Operation::List | Operation::ListInline => None,
        }
    }

    fn draw_batch(&mut self) {
        for index in 0..self.places.len() {
            let mut number = FIRST_NUMBER + u64::from(self.draw.next());
            let place = self.places[index];
            for digit in self.body[place..place + NUMBER_DIGITS].iter_mut().rev() {
                *digit = b'0' + u8::try_from(number % 10).expect("a digit is below ten");
                number /= 10;
            }
        }
    }
}

/// Draws numbers evenly, by SplitMix64 (Steele, Lea, Flood 2014).
struct Draw {
    numbers: u64,
    state: u64,
}

impl Draw {
    /// The place of a number among those that are drawn from.
    fn next(&mut self) -> u32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((z ^ (z >> 31)) % self.numbers).expect("the plan has fewer numbers")
    }
}

/// The number of a place.
pub(crate) fn telephone_number(place: u32) -> TelephoneNumber {
    (FIRST_NUMBER + u64::from(place)).to_string().parse().expect("digits are a number")
}

/// A batch of so many placements, and where in it their numbers stand.
fn batch_of(records: usize, body: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let number = telephone_number(0);
    let mut batch = batch::begin();
    let mut places = Vec::new();
    for _ in 0..records {
        batch::put_placement(&mut batch, number, body).expect("the plan's body fits a record");
        places.push(batch.len() - body.len() - NUMBER_DIGITS);
    }
    (batch, places)
}
