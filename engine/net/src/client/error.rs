//! Why a request got no answer, in words an operator can act on.

use core::fmt;
use core::time::Duration;
use std::error::Error;
use std::io;
use std::net::IpAddr;

/// A request that got no answer. Never holds a path or a body: they carry telephone numbers.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// The request's URI or headers cannot be sent this way.
    BadRequest {
        /// Why.
        reason: &'static str,
    },
    /// The host has no address.
    Resolve {
        /// The host.
        host: String,
        /// The resolver's reason.
        source: io::Error,
    },
    /// The host's address may not be connected to, by the route's rule. No connection was attempted.
    AddressRefused {
        /// The host.
        host: String,
        /// Its address, the last that was refused.
        address: IpAddr,
        /// What the address is.
        what: &'static str,
    },
    /// Too much is under way already. Nothing was sent.
    Busy {
        /// What there is too much of.
        what: &'static str,
        /// How many there may be.
        count_max: usize,
    },
    /// The exchange was cancelled, or a broken invariant ended it.
    Abandoned,
    /// No connection to the peer.
    Connect {
        /// The address or socket tried last.
        target: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The TLS handshake failed, most often over a certificate.
    Tls {
        /// The host.
        host: String,
        /// What TLS found, such as the fault of the peer's certificate.
        reason: String,
    },
    /// The deadline passed.
    Timeout {
        /// What was being waited for.
        attempt: &'static str,
        /// The time allowed for the whole request.
        deadline: Duration,
    },
    /// The peer broke off or does not speak HTTP.
    Protocol {
        /// What was wrong.
        reason: String,
    },
    /// The answer's body is larger than the client accepts.
    AnswerTooLarge {
        /// The limit, in bytes.
        limit_bytes: usize,
    },
    /// The system refused a descriptor, or waiting failed.
    System {
        /// What was attempted.
        attempt: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

impl ClientError {
    #[cold]
    pub(crate) fn system(attempt: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { attempt, source }
    }

    /// A failure of HTTP, with the reasons below it.
    #[cold]
    pub(crate) fn protocol(error: &(dyn Error + 'static)) -> Self {
        Self::Protocol { reason: with_causes(error) }
    }
}

/// The message of an error and of what caused it.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadRequest { reason } => write!(f, "the request cannot be sent: {reason}"),
            Self::Resolve { host, source } => {
                write!(f, "no address found for {host}: {source}; check the name and the resolver")
            }
            Self::AddressRefused { host, address, what } => {
                write!(
                    f,
                    "{host} has the address {address}: {what}; it was not connected to, allow the address if it is right"
                )
            }
            Self::Busy { what, count_max } => {
                write!(f, "{count_max} {what} are under way, which is the most; try again")
            }
            Self::Abandoned => f.write_str("the exchange was given up before its answer came"),
            Self::Connect { target, source } => {
                write!(f, "cannot connect to {target}: {source}; check that the server runs and is reachable")
            }
            Self::Tls { host, reason } => {
                write!(
                    f,
                    "TLS with {host} failed: {reason}; check the certificate and the trusted authorities"
                )
            }
            Self::Timeout { attempt, deadline } => {
                write!(f, "no answer within {} ms, while {attempt}", deadline.as_millis())
            }
            Self::Protocol { reason } => write!(f, "the exchange failed: {reason}"),
            Self::AnswerTooLarge { limit_bytes } => {
                write!(f, "the answer is larger than {limit_bytes} bytes; raise the limit if it is expected")
            }
            Self::System { attempt, source } => write!(f, "cannot {attempt}: {source}"),
        }
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Resolve { source, .. } | Self::Connect { source, .. } | Self::System { source, .. } => {
                Some(source)
            }
            _ => None,
        }
    }
}
