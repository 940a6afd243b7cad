//! Drives a plugin through its table as an engine does, for its tests: every call crosses the boundary and comes back.
//!
//! ```
//! # use core::ffi::CStr;
//! # use herald_plugin_sdk::{Answer, Discovery, Find, Host, Question, Settings};
//! # struct Nobody;
//! # impl Discovery for Nobody {
//! #     const NAME: &'static CStr = c"nobody";
//! #     const VERSION: &'static CStr = c"1.0";
//! #     const SUMMARY: &'static CStr = c"no service for any number";
//! #     fn open(_: Host, _: &Settings<'_>) -> Result<Self, String> { Ok(Self) }
//! #     fn find(&self, _: &Question<'_>) -> Find { Find::Answer(Answer::default()) }
//! # }
//! use herald_plugin_sdk::{Side, discovery_entry, harness};
//!
//! let plugin = harness::Discovery::open(discovery_entry::<Nobody>, &[]).expect("it opens");
//! assert_eq!(plugin.find("12025550123", Side::Calling), harness::Reply::Nothing(Answer::default()));
//! ```

mod discovery;
mod rate_control;
mod stage;

pub use discovery::{Discovery, Reply};
pub use rate_control::RateControl;
pub use stage::{Stage, WAIT_MS};
