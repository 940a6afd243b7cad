//! Why there are no figures.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use herald_log::LogError;

/// Why there are no figures.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An option is out of bounds.
    Options(&'static str),
    /// The log cannot be made.
    Log(LogError),
    /// The system refuses the memory for the copy.
    Map(io::Error),
    /// A store refused a placement, which its memory has room for.
    Refused,
    /// A placement that is live was not found.
    Missing,
    /// A peer refuses: which, and its words.
    Peer(&'static str, String),
    /// A file cannot be read or written.
    File(PathBuf, io::Error),
    /// A line of results is none.
    Results(String),
}

impl Failure {
    /// What to do with an error of the file at `path`.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File(path, error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Options(bounds) => f.write_str(bounds),
            Self::Log(error) => error.fmt(f),
            Self::Map(error) => {
                write!(f, "no memory for the arena of the copy: {error}; give --arena-mib less")
            }
            Self::Refused => f.write_str(
                "a store refused a placement though its memory has room: a thread stood still for long, try \
                 again on a quieter machine or with a larger --arena-mib",
            ),
            Self::Missing => f.write_str("a live placement was not found: the figures would mean nothing"),
            Self::Peer(peer, words) => write!(f, "{peer}: {words}"),
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Results(words) => f.write_str(words),
        }
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}
