//! Reading files again while an engine serves.

use super::Engine;
use crate::error::{EngineError, EngineErrorKind};

impl Engine {
    /// Reads again what the configuration names: the TLS certificate, and what plugins read; plugins whose own file is
    /// another one are replaced. Requests and calls under way go on as they began. Blocks while files are read. Any thread.
    ///
    /// # Errors
    /// [`EngineErrorKind::Argument`] with all that did not succeed, which stays as it was.
    pub fn reload(&self) -> Result<(), EngineError> {
        let parts = [self.reload_certificates(), self.reload_plugins()];
        let failed: Vec<_> =
            parts.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
        match failed.is_empty() {
            true => Ok(()),
            false => Err(EngineError::new(EngineErrorKind::Argument, failed.join("; "))),
        }
    }
}
