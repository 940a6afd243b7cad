//! Connections that are opened and then left alone, to see what they cost a server.

use core::time::Duration;
use std::net::TcpStream;
use std::time::Instant;

use clap::ValueEnum;

use crate::connection::{Connection, connect};
use crate::error::LoadError;
use crate::limits::CONNECT_TIMEOUT;
use crate::plan::Plan;
use crate::workload::Workload;

/// How far a connection is brought before it is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// It is accepted; no byte is sent.
    Connected,
    /// The TLS handshake is complete.
    Handshaken,
    /// One request has been answered.
    Answered,
}

/// Open connections; they close when this is dropped.
pub struct Held {
    _connections: Vec<Open>,
}

#[allow(dead_code, reason = "they are kept open, no more")]
enum Open {
    Silent(TcpStream),
    Idle(Box<Connection>),
}

/// Opens the connections of `plan`, one after the other, and brings each as far as `stage`.
///
/// # Errors
/// See [`LoadError`]; one connection that cannot be opened is one.
pub fn hold(plan: &Plan, stage: Stage) -> Result<Held, LoadError> {
    plan.check()?;
    if plan.tokens.is_some() {
        return Err(LoadError::Option("connections are held without tokens".to_owned()));
    }
    let mut workload = Workload::new(plan, plan.seed, None);
    let open = |_| {
        if stage == Stage::Connected {
            let failed = |source| LoadError::Connect { target: plan.address.to_string(), source };
            return Ok(Open::Silent(connect(plan.address).map_err(failed)?));
        }
        let mut connection = Connection::open(plan)?;
        if stage == Stage::Answered {
            workload.advance(0)?;
            connection.ask(&workload, Instant::now());
            wait_for_answer(&mut connection)?;
        }
        Ok(Open::Idle(Box::new(connection)))
    };
    Ok(Held { _connections: (0..plan.connections).map(open).collect::<Result<_, _>>()? })
}

fn wait_for_answer(connection: &mut Connection) -> Result<(), LoadError> {
    let since = Instant::now();
    connection.flush()?;
    let mut answered = None;
    while answered.is_none() {
        connection.receive(|_, status| answered = Some(status))?;
        if since.elapsed() > CONNECT_TIMEOUT {
            return Err(LoadError::Protocol("a request was not answered in time".to_owned()));
        }
        std::thread::sleep(Duration::from_micros(50));
    }
    match answered {
        Some(200..300) => Ok(()),
        status => Err(LoadError::Protocol(format!("a request was answered {}", status.unwrap_or(0)))),
    }
}
