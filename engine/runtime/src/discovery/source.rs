//! What the discoverer needs of a source of services: a discovery plugin, or in tests a stand-in.

use crate::plugins::{DiscoveryPlugin, Outcome, Question};

/// Hears what came of a question.
pub(super) type Done = Box<dyn FnOnce(Outcome) + Send>;

/// Finds services of numbers.
pub(crate) trait Source: Send + Sync {
    /// Asks and returns at once. `done` is told once, on any thread, by the deadline at the latest.
    fn ask(&self, question: Question, done: Done);

    /// Shows it the certificate, DER, of a signer whose chain was verified. Returns at once.
    fn observe_certificate(&self, der: &[u8]);
}

impl Source for DiscoveryPlugin {
    fn ask(&self, question: Question, done: Done) {
        Self::ask(self, question, done);
    }

    fn observe_certificate(&self, der: &[u8]) {
        Self::observe_certificate(self, der);
    }
}
