//! What can go wrong with the network on the server side, in words an operator can act on.

use core::fmt;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A failure to set up or to run a reactor. What a single peer does wrong is never one of these: it closes that
/// peer's connection and is counted.
#[derive(Debug)]
#[non_exhaustive]
pub enum NetError {
    /// A TCP address could not be listened on.
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// A Unix socket could not be listened on.
    BindUnix {
        /// The path asked for.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A living process already listens on the Unix socket.
    UnixInUse {
        /// The path asked for.
        path: PathBuf,
    },
    /// Something that is not a socket stands at the Unix socket's path.
    NotASocket {
        /// The path asked for.
        path: PathBuf,
    },
    /// The certificate chain, the key or the authorities cannot be used.
    Tls {
        /// Which of them.
        part: &'static str,
        /// Why.
        reason: String,
    },
    /// The number of reactors is zero or beyond [`REACTORS_MAX`](crate::limits::REACTORS_MAX).
    ReactorCount {
        /// The number asked for.
        count: usize,
    },
    /// The system refused a descriptor or a thread, or the poll itself failed.
    System {
        /// What was attempted.
        attempt: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// A reactor's thread ended by a panic.
    Panicked {
        /// Which reactor, counted from 0.
        reactor: usize,
    },
}

impl NetError {
    #[cold]
    pub(crate) fn system(attempt: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { attempt, source }
    }

    #[cold]
    pub(crate) fn tls(part: &'static str, reason: impl fmt::Display) -> Self {
        Self::Tls { part, reason: reason.to_string() }
    }
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { address, source } => {
                write!(f, "cannot listen on {address}: {source}; free the address or choose another")
            }
            Self::BindUnix { path, source } => {
                write!(
                    f,
                    "cannot listen on the socket {}: {source}; check its folder's owner and mode",
                    path.display()
                )
            }
            Self::UnixInUse { path } => {
                write!(f, "another process listens on {}; stop it or choose another path", path.display())
            }
            Self::NotASocket { path } => {
                write!(
                    f,
                    "{} exists and is not a socket; move it away or choose another path",
                    path.display()
                )
            }
            Self::Tls { part, reason } => write!(f, "the {part} cannot be used: {reason}"),
            Self::ReactorCount { count } => {
                write!(f, "{count} reactors asked for; choose 1 to {}", crate::limits::REACTORS_MAX)
            }
            Self::System { attempt, source } => write!(f, "cannot {attempt}: {source}"),
            Self::Panicked { reactor } => {
                write!(f, "reactor {reactor} stopped on a broken invariant; restart the server and report it")
            }
        }
    }
}

impl Error for NetError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Bind { source, .. } | Self::BindUnix { source, .. } | Self::System { source, .. } => {
                Some(source)
            }
            _ => None,
        }
    }
}
