//! Why a call fails: a status and a sentence, and the one table that turns the engine's errors into both.
//! It does not know how they reach C.

use std::fmt::Display;

use herald_runtime::core::NumberError;
use herald_runtime::stir::StirError;
use herald_runtime::{ConfigError, EngineError, EngineErrorKind};

use crate::status::Status;

/// Why a call fails.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    pub(crate) message: String,
}

impl Failure {
    #[cold]
    pub(crate) fn new(status: Status, message: impl Display) -> Self {
        Self { status, message: message.to_string() }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let status = match error.kind() {
            EngineErrorKind::Argument => Status::BadValue,
            EngineErrorKind::State => Status::WrongState,
            EngineErrorKind::Failed => Status::Failed,
            EngineErrorKind::Full => Status::Full,
            EngineErrorKind::Busy => Status::Busy,
            EngineErrorKind::Limit => Status::Limit,
            EngineErrorKind::Disk => Status::Disk,
            EngineErrorKind::InUse => Status::InUse,
            EngineErrorKind::Network => Status::Network,
            EngineErrorKind::TimedOut => Status::TimedOut,
            EngineErrorKind::Cancelled => Status::Cancelled,
            EngineErrorKind::Data => Status::Data,
        };
        Self::new(status, error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Status::BadValue, error)
    }
}

impl From<NumberError> for Failure {
    fn from(error: NumberError) -> Self {
        Self::new(Status::BadNumber, error)
    }
}

impl From<StirError> for Failure {
    fn from(error: StirError) -> Self {
        let status = match error {
            StirError::Open => Status::DoesNotOpen,
            StirError::TooLongToSeal { .. } => Status::BadSize,
            _ => Status::BadKey,
        };
        Self::new(status, error)
    }
}
