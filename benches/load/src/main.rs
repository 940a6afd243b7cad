//! `herald-load`: load for a service that is already running, and what it cost whoever asked.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures on standard output are the program")]

use core::time::Duration;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use herald_load::{
    LoadError, Operation, Pace, Plan, Protocol, Stage, TokenSource, hold, prepare, tls_client_config,
};

/// Sends requests at a fixed rate, whatever the answers do, and tells the latency from when each was due.
#[derive(Parser)]
struct Options {
    /// The service, as in https://127.0.0.1:8443; with http:// no TLS is spoken.
    url: String,
    /// The authorities the service's certificate must chain to, PEM; for https.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// The version of HTTP.
    #[arg(long, default_value = "http2")]
    protocol: Protocol,
    /// What is asked.
    #[arg(long, default_value = "store")]
    operation: Operation,
    /// Requests a second of all threads; without it as many as are answered, whose latencies hide stalls.
    #[arg(long)]
    rate: Option<u64>,
    /// Only open connections, bring them so far, say so, and keep them until standard input ends.
    #[arg(long)]
    hold: Option<Stage>,
    /// Connections.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Requests under way on a connection: pipelined in HTTP/1.1, streams of HTTP/2.
    #[arg(long, default_value_t = 1)]
    depth: usize,
    /// Threads, each of which keeps a core busy.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Seconds of load before that.
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
    /// Telephone numbers that are drawn from.
    #[arg(long, default_value_t = 10_000_000)]
    numbers: u64,
    /// Bytes of a stored body.
    #[arg(long, default_value_t = 640)]
    body_bytes: usize,
    /// Placements in a batch.
    #[arg(long, default_value_t = 64)]
    records: usize,
    /// Where the draws begin.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// For store-admitted: whose tokens open the sessions, as `herald keygen` has made it; a service provider code is needed.
    #[arg(long)]
    signer: Option<PathBuf>,
    /// For store-admitted: what the service calls itself.
    #[arg(long, default_value = "localhost")]
    token_name: String,
    /// For store-admitted: stores that are authorised before the clock starts.
    #[arg(long, default_value_t = 100_000)]
    prepared: usize,
}

impl Options {
    fn plan(&self) -> Result<Plan, LoadError> {
        let wrong = |message: &str| LoadError::Option(format!("{}: {message}", self.url));
        let (is_tls, host) = match self.url.split_once("://") {
            Some(("https", host)) => (true, host),
            Some(("http", host)) => (false, host),
            _ => return Err(wrong("begins with neither https:// nor http://")),
        };
        let tls = if is_tls { Some(tls_client_config(&self.roots()?, self.protocol)?) } else { None };
        Ok(Plan {
            address: resolve(host).ok_or_else(|| wrong("names no host and port that can be found"))?,
            host: host.to_owned(),
            tls,
            protocol: self.protocol,
            operation: self.operation,
            connections: self.connections,
            depth: self.depth,
            threads: self.threads,
            pace: self.rate.map_or(Pace::Closed, |rate_per_s| Pace::Open { rate_per_s }),
            warmup: seconds("warmup", self.warmup)?,
            duration: seconds("seconds", self.seconds)?,
            numbers: self.numbers,
            body_bytes: self.body_bytes,
            records: self.records,
            seed: self.seed,
            tokens: self.signer.as_ref().map(|folder| self.tokens(folder)).transpose()?,
        })
    }

    fn tokens(&self, signer: &Path) -> Result<TokenSource, LoadError> {
        let read = |name: &str| {
            let path = signer.join(name);
            let wrong = |error| LoadError::Option(format!("{}: {error}", path.display()));
            std::fs::read_to_string(&path).map_err(wrong)
        };
        Ok(TokenSource {
            chain_pem: read("signing.pem")?,
            key_pem: read("signing.key")?,
            roots_pem: self.roots()?,
            name: self.token_name.clone(),
            prepared: self.prepared,
        })
    }

    fn roots(&self) -> Result<Vec<u8>, LoadError> {
        let path = self.ca.as_ref().ok_or_else(|| LoadError::Option("https needs --ca PATH".to_owned()))?;
        std::fs::read(path).map_err(|error| LoadError::Option(format!("{}: {error}", path.display())))
    }
}

fn resolve(host: &str) -> Option<SocketAddr> {
    host.to_socket_addrs().ok()?.next()
}

fn seconds(name: &str, value: f64) -> Result<Duration, LoadError> {
    Duration::try_from_secs_f64(value)
        .map_err(|error| LoadError::Option(format!("{name} is {value}: {error}")))
}

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = options.plan().and_then(|plan| match options.hold {
        Some(stage) => hold_until_input_ends(&plan, stage),
        None => measure(&plan),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("herald-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(plan: &Plan) -> Result<(), LoadError> {
    let ready = prepare(plan)?;
    if plan.tokens.is_some() {
        // For whoever reads what the service has had of its processors from here on.
        println!("sessions_open");
    }
    print!("{}", ready.run()?);
    Ok(())
}

fn hold_until_input_ends(plan: &Plan, stage: Stage) -> Result<(), LoadError> {
    let _held = hold(plan, stage)?;
    println!("holding {}", plan.connections);
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).map_err(LoadError::System)?;
    Ok(())
}
