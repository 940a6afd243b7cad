//! The C interface of Herald: `include/herald.h` is made of the exported functions of this crate.
//!
//! Read in call order: [`call`](mod@call) stands around every function, [`boundary`] follows every pointer, `engine`,
//! `services`, `supply`, `gateway`, `batch`, `items`, `sealing`, `error` and `about` are the nouns. Conventions are in docs/CAPI.md. This crate knows
//! threads, handles and codes; it knows no protocol, and of the engine only what the runtime offers everybody.

mod about;
mod batch;
mod boundary;
mod call;
mod client;
mod discovery;
mod engine;
mod error;
mod failure;
mod gate;
mod gateway;
mod handle;
mod items;
pub mod limits;
#[cfg(test)]
mod panics;
mod plugins;
mod reports;
mod sealing;
mod services;
mod stats;
mod status;
mod subscriptions;
mod supply;

pub use about::{
    ABI_VERSION, PROPERTY_FIELDS, herald_abi_version, herald_property_count, herald_property_text,
    herald_status_name, herald_version, version,
};
pub use batch::{herald_retrieve_batch, herald_store_batch, herald_store_messages};
pub use boundary::{
    ArrivedFn, Call, CheckOptions, CheckedFn, DiscoverOptions, DiscoveredFn, Engine, EngineOptions, Error,
    FinalizerFn, GatewayFetchOptions, GatewayFetchedFn, GatewayStoreOptions, GatewayStoredFn, Items, Number,
    PlaceOptions, PlacedFn, Placement, Plugin, PluginEntryFn, Property, ReportFn, Stats, Stored,
    SubscribeOptions, Subscription, SupplierFn, Text,
};
pub use client::herald_client_open;
pub use discovery::{Discovered, herald_discover};
pub use engine::{
    herald_engine_address, herald_engine_close, herald_engine_descriptor, herald_engine_drain,
    herald_engine_drain_begin, herald_engine_open, herald_engine_reload, herald_engine_start,
    herald_engine_start_hosted, herald_engine_stop, herald_engine_turn, herald_retrieve, herald_store,
};
pub use error::{herald_error_free, herald_error_message, herald_error_status};
pub use gateway::{GatewayFetched, GatewayStored, herald_gateway_fetch, herald_gateway_store};
pub use items::{herald_items_body, herald_items_count, herald_items_free, herald_items_id};
pub use plugins::{herald_plugin_register, herald_plugin_replace};
pub use reports::LEVELS;
pub use sealing::{herald_key_generate, herald_key_public, herald_open, herald_seal};
pub use services::{
    Checked, Placed, VERDICTS, herald_call_cancel, herald_call_free, herald_check, herald_place,
};
pub use stats::{
    herald_engine_stats, herald_stats_count, herald_stats_find, herald_stats_free, herald_stats_name,
    herald_stats_text, herald_stats_value,
};
pub use status::{STATUSES, Status};
pub use subscriptions::{Arrived, herald_subscribe, herald_subscription_close, herald_subscription_left_out};
pub use supply::{CertificateWanted, SUPPLIES, herald_certificate_keep, herald_certificate_supplier_set};
