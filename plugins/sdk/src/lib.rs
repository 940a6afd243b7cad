//! Plugins for Herald in safe Rust.
//!
//! A plugin implements [`Discovery`] or [`RateControl`] and offers itself with [`discovery_entry`] or
//! [`rate_control_entry`]; [`export!`] makes that the one symbol of a shared object. Panics end at the boundary and count
//! as failures. It knows the interface of `include/herald_plugin.h` and nothing of the engine.
//!
//! ```
//! use core::ffi::CStr;
//! use herald_plugin_sdk::{Answer, Discovery, Find, Host, Question, Settings};
//!
//! struct Everybody(String);
//!
//! impl Discovery for Everybody {
//!     const NAME: &'static CStr = c"everybody";
//!     const VERSION: &'static CStr = c"1.0";
//!     const SUMMARY: &'static CStr = c"one service for all numbers";
//!
//!     fn open(_host: Host, settings: &Settings<'_>) -> Result<Self, String> {
//!         settings.only(&["uri"])?;
//!         Ok(Self(settings.require("uri")?.to_owned()))
//!     }
//!
//!     fn find(&self, _question: &Question<'_>) -> Find {
//!         Find::Answer(Answer { uris: vec![self.0.clone()], fresh_s: 60, ..Answer::default() })
//!     }
//! }
//!
//! // In a crate of its own, of type cdylib: herald_plugin_sdk::export!(discovery_entry::<Everybody>);
//! ```

mod barrier;
mod discovery;
pub mod harness;
mod host;
mod instance;
mod memory;
mod rate_control;
mod sealed;
mod settings;

pub use herald_plugin_abi as abi;

pub use discovery::{Answer, Discovery, Find, Question, Side, Ticket, discovery_entry};
pub use host::{Host, Level, TooLate};
pub use rate_control::{
    Fault, KeyHandle, Mode, Modes, NewKey, RateControl, Redeemed, Redemption, Secret, Token, Want,
    rate_control_entry,
};
pub use sealed::Sealed;
pub use settings::Settings;

/// Exports an entry function as `herald_plugin_entry`, the one symbol of a plugin. Once in a crate of type `cdylib`.
#[macro_export]
macro_rules! export {
    ($entry:expr) => {
        /// The table of this plugin.
        #[unsafe(no_mangle)]
        pub extern "C-unwind" fn herald_plugin_entry() -> *const $crate::abi::Plugin {
            let entry: extern "C-unwind" fn() -> *const $crate::abi::Plugin = $entry;
            entry()
        }
    };
}
