//! Whether an answer says that a whole batch was stored.

use herald_core::batch::{self, Stored};

/// What is expected in the bodies of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// They are not looked into.
    Anything,
    /// So many results, each saying that a placement is stored.
    Stored(usize),
}

/// The body of one answer, piece by piece.
pub(crate) struct Results {
    expected: Expected,
    has_version: bool,
    /// A result that has not arrived whole.
    partial: Vec<u8>,
    stored: usize,
    is_wrong: bool,
}

impl Results {
    pub(crate) fn new(expected: Expected) -> Self {
        Self { expected, has_version: false, partial: Vec::new(), stored: 0, is_wrong: false }
    }

    /// Takes in the next piece.
    pub(crate) fn take(&mut self, piece: &[u8]) {
        if self.expected == Expected::Anything {
            return;
        }
        self.partial.extend_from_slice(piece);
        let mut rest = &self.partial[..];
        if !self.has_version && !rest.is_empty() {
            self.has_version = true;
            self.is_wrong |= batch::take_version(&mut rest).is_err();
        }
        while !self.is_wrong {
            match batch::take_stored(&mut rest) {
                Ok(Some(Stored::Done(_))) => self.stored += 1,
                Ok(None) => break,
                Ok(Some(Stored::Refused(_))) | Err(_) => self.is_wrong = true,
            }
        }
        let left = rest.len();
        self.partial.drain(..self.partial.len() - left);
    }

    /// The status to count for the answer, now that it is complete: 0 if it does not say what was expected.
    pub(crate) fn status(&self, status: u16) -> u16 {
        match self.expected {
            Expected::Stored(count) if status == 200 && (self.is_wrong || self.stored != count) => 0,
            _ => status,
        }
    }
}
