//! What can go wrong with an engine, in kinds a host can act on.

use core::fmt;

use herald_core::{KeyProblem, Problem};
use herald_journal::{Fault, FaultKind};
use herald_net::ClientError;

use crate::config::ConfigError;
use crate::cps::CpsError;

/// The kind of an [`EngineError`]. Each has one code in the C API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineErrorKind {
    /// A setting or an argument is wrong.
    Argument,
    /// The engine is not in the state the call needs: not started, started before, or stopped.
    State,
    /// A broken invariant has failed the engine. It can only be stopped.
    Failed,
    /// The number or the memory holds no more placements; some expire within a retention.
    Full,
    /// More threads are inside the engine than it serves at a moment; the same call may succeed at once.
    Busy,
    /// The system refuses memory or threads, or what is stored does not fit into what is configured.
    Limit,
    /// The disk fails or is full; the same call may succeed later.
    Disk,
    /// Another engine has the folder open.
    InUse,
    /// An address cannot be bound, a socket failed, or the service that a client asks is away or refuses.
    Network,
    /// The service that a client asks gave no answer in time. A store may have happened.
    TimedOut,
    /// A client was stopped before its service had answered. A store may have happened.
    Cancelled,
    /// Stored data is damaged or of another version.
    Data,
}

/// Why an engine did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineError {
    kind: EngineErrorKind,
    message: String,
}

impl EngineError {
    #[cold]
    pub(crate) fn new(kind: EngineErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Its kind.
    pub const fn kind(&self) -> EngineErrorKind {
        self.kind
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for EngineError {}

impl From<ConfigError> for EngineError {
    fn from(error: ConfigError) -> Self {
        Self::new(EngineErrorKind::Argument, error.to_string())
    }
}

impl From<Problem> for EngineError {
    fn from(problem: Problem) -> Self {
        let kind = match problem {
            Problem::Full(_) | Problem::Keys(KeyProblem::Full) => EngineErrorKind::Full,
            Problem::Keys(KeyProblem::TooOften) => EngineErrorKind::Busy,
            Problem::Unavailable => EngineErrorKind::Disk,
            _ => EngineErrorKind::Argument,
        };
        Self::new(kind, problem.to_string())
    }
}

impl From<CpsError> for EngineError {
    fn from(error: CpsError) -> Self {
        let kind = match &error {
            CpsError::Url(_) | CpsError::Roots(_) => EngineErrorKind::Argument,
            CpsError::Unreachable(ClientError::Timeout { .. }) => EngineErrorKind::TimedOut,
            CpsError::Unreachable(ClientError::Busy { .. }) | CpsError::Refused { status: 429 | 503, .. } => {
                EngineErrorKind::Busy
            }
            CpsError::Unreachable(_)
            | CpsError::Refused { .. }
            | CpsError::TokensWanted
            | CpsError::Answer(_) => EngineErrorKind::Network,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<Fault> for EngineError {
    fn from(fault: Fault) -> Self {
        let kind = match fault.kind() {
            FaultKind::DiskFull | FaultKind::Io => EngineErrorKind::Disk,
            FaultKind::InUse => EngineErrorKind::InUse,
            FaultKind::Processor => EngineErrorKind::Limit,
            FaultKind::Format | FaultKind::Damaged => EngineErrorKind::Data,
        };
        Self::new(kind, fault.to_string())
    }
}

impl From<herald_log::LogError> for EngineError {
    fn from(error: herald_log::LogError) -> Self {
        Self::new(EngineErrorKind::Limit, error.to_string())
    }
}

impl From<herald_net::NetError> for EngineError {
    fn from(error: herald_net::NetError) -> Self {
        Self::new(EngineErrorKind::Network, error.to_string())
    }
}
