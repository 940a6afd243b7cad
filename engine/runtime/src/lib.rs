//! Herald put together: the property table, the engine's life, and in-process store and retrieve.
//!
//! The C API and the program stand on this crate alone. It holds no protocol of its own: requests are
//! `herald-core`'s, bytes are `herald-net`'s, disks are `herald-journal`'s.

mod admission;
mod batch;
mod client;
mod clock;
mod config;
mod cps;
mod discovery;
mod door;
mod elsewhere;
mod engine;
mod error;
mod fetch;
mod files;
mod keys;
pub mod limits;
mod monitor;
mod plugin_loader;
mod plugins;
mod readers;
mod services;
mod sessions;
mod shared;
mod stack;
mod stats;
#[cfg(test)]
mod still_disk;
mod wallet;
mod watch;
mod worker;

pub use client::CpsClient;
pub use clock::{SystemClock, wall_clock};
pub use config::{Config, ConfigError, LogFormat, PROPERTIES, Property, parse_duration, property};
pub use cps::{CpsError, RetrievedItem};
pub use discovery::SourceCounters;
pub use engine::{Engine, Environment, Hosted, Level, Prepared, Report};
pub use error::{EngineError, EngineErrorKind};
pub use fetch::{AllowedHost, BadAllowedHost, FetchCounters, FetchPolicy, Fetcher, Supplier, Supply};
pub use herald_core as core;
pub use herald_net as net;
pub use herald_plugin_abi as plugin_abi;
pub use herald_stir as stir;
pub use herald_stir::SystemRandom;
pub use plugins::{CheckedPlugin, PluginState, PluginStatus, PluginTrial, check_plugin, list_plugins};
pub use services::{
    CheckOutcome, GatewayFetchOutcome, GatewayStoreOutcome, LookupOutcome, PlaceOutcome, checked_json,
    looked_up_json, verdict_json,
};
pub use stats::{StatFamily, StatKind, StatSample, Stats};
pub use watch::{Arrival, Subscription, Watched};
pub use worker::{CallHandle, CallLost, NamedCps, Worker, WorkerConfig};
