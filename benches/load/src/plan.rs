//! What a run does, and the bounds of it.

use core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;

use clap::ValueEnum;
use rustls::ClientConfig;

use crate::error::LoadError;
use crate::limits::{
    BODY_BYTES_MAX, CONNECTIONS_MAX, DEPTH_MAX, HOST_BYTES_MAX, PREPARED_MAX, RATE_MAX, RECORDS_MAX,
    SECONDS_MAX, THREADS_MAX,
};
use crate::tokens::TokenSource;
use crate::workload::Operation;

/// Which version of HTTP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// HTTP/1.1 with keep-alive; pipelined if the depth is above 1.
    Http1,
    /// HTTP/2; the depth is the number of streams.
    Http2,
}

/// When requests leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// So many a second in all, evenly, whatever the answers do.
    Open {
        /// Requests a second.
        rate_per_s: u64,
    },
    /// As soon as there is room: the depth of each connection is always used up.
    Closed,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the server listens.
    pub address: SocketAddr,
    /// The name in the Host field, and the one the certificate must hold.
    pub host: String,
    /// TLS, or none.
    pub tls: Option<Arc<ClientConfig>>,
    /// The version of HTTP.
    pub protocol: Protocol,
    /// What is asked.
    pub operation: Operation,
    /// Connections in all, spread over the threads.
    pub connections: usize,
    /// Requests under way on one connection at most.
    pub depth: usize,
    /// Threads.
    pub threads: usize,
    /// When requests leave.
    pub pace: Pace,
    /// How long requests are sent before they count.
    pub warmup: Duration,
    /// How long requests are sent that count.
    pub duration: Duration,
    /// How many telephone numbers are drawn from.
    pub numbers: u64,
    /// Bytes of a body that is stored.
    pub body_bytes: usize,
    /// Placements in a batch.
    pub records: usize,
    /// Where the draws begin.
    pub seed: u64,
    /// Who has tokens for [`Operation::StoreAdmitted`].
    pub tokens: Option<TokenSource>,
}

impl Plan {
    /// Placements that one request stores, or lists it asks for.
    pub(crate) fn records_each(&self) -> usize {
        if matches!(self.operation, Operation::Batch | Operation::Bulk) { self.records } else { 1 }
    }

    /// Says what is out of bounds.
    pub(crate) fn check(&self) -> Result<(), LoadError> {
        within("length of the host's name", self.host.len(), 1, HOST_BYTES_MAX)?;
        within("connections", self.connections, 1, CONNECTIONS_MAX)?;
        within("depth", self.depth, 1, DEPTH_MAX)?;
        within("threads", self.threads, 1, THREADS_MAX.min(self.connections))?;
        within("body-bytes", self.body_bytes, 0, BODY_BYTES_MAX)?;
        within("records", self.records, 1, RECORDS_MAX)?;
        within("numbers", self.numbers, 1, Operation::NUMBERS_MAX)?;
        within("seconds", self.duration.as_secs_f64(), f64::MIN_POSITIVE, SECONDS_MAX)?;
        within("warmup", self.warmup.as_secs_f64(), 0.0, SECONDS_MAX)?;
        self.check_tokens()?;
        match self.pace {
            Pace::Open { rate_per_s } => within("rate", rate_per_s, 1, RATE_MAX),
            Pace::Closed => Ok(()),
        }
    }

    fn check_tokens(&self) -> Result<(), LoadError> {
        match (&self.tokens, self.operation == Operation::StoreAdmitted) {
            (Some(tokens), true) => within("prepared", tokens.prepared, 1, PREPARED_MAX),
            (None, false) => Ok(()),
            (None, true) => {
                Err(LoadError::Option("stores with tokens need a signer who has them".to_owned()))
            }
            (Some(_), false) => {
                Err(LoadError::Option("a signer is of use for stores with tokens alone".to_owned()))
            }
        }
    }
}

fn within<T: PartialOrd + core::fmt::Display>(name: &str, value: T, min: T, max: T) -> Result<(), LoadError> {
    if value >= min && value <= max {
        return Ok(());
    }
    Err(LoadError::Option(format!("{name} is {value}; it must be from {min} to {max}")))
}
