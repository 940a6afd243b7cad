//! Why a run has no figures.

use core::fmt;
use std::io;

/// Why a run has no figures.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// An option is out of bounds or contradicts another.
    Option(String),
    /// The server cannot be reached.
    Connect {
        /// Where it should be.
        target: String,
        /// What the system said.
        source: io::Error,
    },
    /// A connection broke: no figure can come from a run that lost one.
    Broken(io::Error),
    /// The server closed a connection.
    Closed,
    /// The server did not keep to HTTP, or used more of it than this generator understands.
    Protocol(String),
    /// No tokens can be had, or no session be opened with them.
    Tokens(String),
    /// The system refuses something the generator needs.
    System(io::Error),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(message) => f.write_str(message),
            Self::Connect { target, source } => write!(f, "cannot connect to {target}: {source}"),
            Self::Broken(source) => write!(f, "a connection broke: {source}"),
            Self::Closed => f.write_str("the server closed a connection in the middle of the run"),
            Self::Protocol(message) => write!(f, "not understood: {message}"),
            Self::Tokens(why) => write!(f, "no tokens for the run: {why}"),
            Self::System(source) => write!(f, "the system refuses: {source}"),
        }
    }
}

impl std::error::Error for LoadError {}
