//! Why a part could not be played to its end, as opposed to the faults it is there to find.

use core::fmt;
use std::io;

use herald_runtime::CpsError;
use herald_runtime::net::{ClientError, NetError};

/// Why a part ended early.
#[derive(Debug)]
pub(crate) enum CrashError {
    /// The environment asks for what is not there.
    Setting(String),
    /// The system refused.
    System { attempt: &'static str, source: io::Error },
    /// The service did not start, or not as it should.
    Start(String),
    /// The service gave no answer: the connection broke, or time ran out.
    Gone(String),
    /// The service answered what its interface does not allow.
    Answer(String),
}

impl CrashError {
    /// The system refused to do this.
    #[cold]
    pub(crate) fn system(attempt: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { attempt, source }
    }
}

impl From<ClientError> for CrashError {
    fn from(error: ClientError) -> Self {
        Self::Gone(error.to_string())
    }
}

impl From<NetError> for CrashError {
    fn from(error: NetError) -> Self {
        Self::Answer(error.to_string())
    }
}

impl From<CpsError> for CrashError {
    fn from(error: CpsError) -> Self {
        Self::Answer(error.to_string())
    }
}

impl fmt::Display for CrashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(message) => f.write_str(message),
            Self::System { attempt, source } => write!(f, "cannot {attempt}: {source}"),
            Self::Start(message) => write!(f, "the service does not start: {message}"),
            Self::Gone(message) => write!(f, "the service is gone: {message}"),
            Self::Answer(message) => write!(f, "the service does not answer as it should: {message}"),
        }
    }
}

impl core::error::Error for CrashError {}
