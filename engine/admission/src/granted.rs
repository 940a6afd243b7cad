//! A verdict on its way to who asked, who may have left.

use std::sync::Arc;

use herald_core::TelephoneNumber;

use crate::admission::{Admission, Verdict};

/// The verdict on a store that waited for its token to be redeemed. Whoever takes it keeps the store or gives back what it
/// used; dropped before that, it gives this back itself, at whatever moment its asker left: who comes again with the same
/// store finds it not made, and its counter or token good for it.
#[must_use = "dropped, it gives back what the store used"]
pub struct Granted {
    admission: Arc<Admission>,
    verdict: Option<Verdict>,
    number: Option<TelephoneNumber>,
}

impl Granted {
    /// Of a store under a number, or of a token that opens its session without one.
    pub fn new(admission: Arc<Admission>, verdict: Verdict, number: Option<TelephoneNumber>) -> Self {
        Self { admission, verdict: Some(verdict), number }
    }

    /// The verdict, for who does now what it says.
    pub fn take(mut self) -> Verdict {
        self.verdict.take().expect("it is taken once")
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        let Some(Verdict::Accept(Some(id)) | Verdict::AcceptIfRoom(id)) = self.verdict else { return };
        if let Some(number) = self.number {
            self.admission.give_back(id, number);
        }
    }
}
