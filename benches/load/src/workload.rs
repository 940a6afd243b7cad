//! What is asked: one request after the other, for telephone numbers drawn evenly.

use clap::ValueEnum;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Operation {
    /// A store of one body.
    Store,
    /// The list of what waits for a number.
    List,
    /// The list with the bodies in it.
    ListInline,
}

impl Operation {
    /// The most telephone numbers there are to draw from.
    pub const NUMBERS_MAX: u64 = 1_000_000_000;

    fn method(self) -> &'static str {
        match self {
            Self::Store => "POST",
            Self::List | Self::ListInline => "GET",
        }
    }

    fn query(self) -> &'static str {
        match self {
            Self::Store | Self::List => "",
            Self::ListInline => "?inline=1",
        }
    }
}

/// The first number that is drawn; all have eleven digits.
const FIRST_NUMBER: u64 = 12_000_000_000;
/// What every body consists of: the service does not look into it.
const FILLER: u8 = b's';

/// The requests of one thread.
pub(crate) struct Workload {
    operation: Operation,
    path: String,
    body: Vec<u8>,
    numbers: u64,
    state: u64,
}

impl Workload {
    pub(crate) fn new(operation: Operation, body_bytes: usize, numbers: u64, seed: u64) -> Self {
        let body = if operation == Operation::Store { vec![FILLER; body_bytes] } else { Vec::new() };
        Self { operation, path: String::new(), body, numbers, state: seed }
    }

    /// Makes the next request.
    pub(crate) fn advance(&mut self) {
        use core::fmt::Write;
        let number = FIRST_NUMBER + self.draw() % self.numbers;
        self.path.clear();
        write!(self.path, "/cps/{number}/ppts{}", self.operation.query()).expect("a string takes all");
    }

    pub(crate) fn method(&self) -> &'static str {
        self.operation.method()
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The body and its media type, if the request has one.
    pub(crate) fn body(&self) -> Option<(&'static str, &[u8])> {
        (self.operation == Operation::Store).then_some(("application/passport", &self.body[..]))
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
