//! What the fuzz targets check: each module has one `check` that takes any bytes and panics when a promise is broken.
//!
//! A check says more than "no panic" wherever a second, plainer way to the same answer exists: a model written
//! from the RFC or from the documents, a round trip, or the interface's own description. It knows the public
//! interfaces only. `run.sh` builds the targets, feeds them and reports.
#![forbid(unsafe_code)]

pub mod batch;
pub mod bundle;
pub mod certificate;
pub mod credential;
pub mod journal_block;
pub mod json;
pub mod limits;
pub mod naptr;
pub mod number;
pub mod passport;
pub mod path_query;
pub mod request;
pub mod sealed;
pub mod sip;
pub mod table;
pub mod tokens;

mod contract;
mod fixed;
