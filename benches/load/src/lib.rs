//! An open-loop load generator for the service, over TLS.
//!
//! Whoever waits for an answer before he asks again measures a server that is never behind: while it stalls, the
//! questions that would have met the stall are not asked (coordinated omission). Here a [`Plan`] gives each
//! request the moment it is due. It leaves then, or as soon as a connection has room for it, and its latency
//! counts from the moment it was due in either case. [`Pace::Closed`] asks as fast as answers come, for the rate
//! a server can do at most; its latencies have the fault described and are not for print.
//!
//! Read in call order: [`Plan`] says what is asked and how, [`run`] connects, gives each thread its share of
//! connections and of the schedule, and adds up the [`Report`]. A thread never sleeps: one that does wakes late,
//! and that would count as the server's latency. It should have a core of its own.
//!
//! [`hold`] only opens connections and leaves them alone, to see what they cost.
//!
//! Where a service wants tokens, [`TokenSource`] says who has them: sessions are opened and stores authorised before the
//! clock starts.
//!
//! HTTP is written by hand, as load generators do, so that one core of load can fill one core of server. What is
//! asked for is told by [`Operation`]; of an answer its status is looked at, and of a batch's each result.

mod connection;
mod error;
mod hold;
mod http1;
mod http2;
pub mod limits;
mod plan;
mod report;
mod results;
mod schedule;
mod session;
mod tls;
mod tokens;
mod worker;
mod workload;

pub use error::LoadError;
pub use hold::{Held, Stage, hold};
pub use plan::{Pace, Plan, Protocol};
pub use report::Report;
pub use tls::tls_client_config;
pub use tokens::TokenSource;
pub use worker::{Ready, prepare, run};
pub use workload::Operation;
