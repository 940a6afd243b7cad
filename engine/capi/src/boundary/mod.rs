//! All raw pointers of the C interface: what C hands in is read here, what C gets is written here.
//!
//! Nothing else of this crate follows a pointer. [`types`] are those of the header, [`scope`] reads and writes within
//! one call, [`callback`] calls the host, [`process`] asks the system, [`late`] runs what C++ would at the load. The helpers are safe to call from Rust because
//! their pointers come from C alone, through exported functions whose documentation states what they must point to:
//! text and data of the length given, and places to write to, all valid until the function returns. What can be
//! checked is checked: NULL, lengths beyond any valid one (before a byte is read), text that is not UTF-8, the sizes
//! of structs. It does not know what the data means.

mod callback;
mod late;
mod process;
mod scope;
mod types;

pub(crate) use callback::{Callback, Completion, plugin_entry};
pub(crate) use late::construct_globals;
pub(crate) use process::{GENERATIONS, enter, generation, with_signals_blocked, without_sigpipe};
pub(crate) use scope::{Outs, Scope};
pub use types::{
    ArrivedFn, Call, CheckOptions, CheckedFn, DiscoverOptions, DiscoveredFn, Engine, EngineOptions, Error,
    FinalizerFn, GatewayFetchOptions, GatewayFetchedFn, GatewayStoreOptions, GatewayStoredFn, Items, Number,
    PlaceOptions, PlacedFn, Placement, Plugin, PluginEntryFn, Property, ReportFn, Stats, Stored,
    SubscribeOptions, Subscription, SupplierFn, Text,
};

use crate::failure::Failure;
use crate::status::Status;

#[cold]
fn null(what: &str) -> Failure {
    Failure::new(Status::NullArgument, format!("{what} is NULL"))
}
