//! One case each, without a service: verify what came with a call, sign, seal and open one PASSporT. For scripts
//! and for other people's test suites.

mod arguments;
mod certificates;
mod presented;
mod sealing;
mod sign;
mod verify;

pub(crate) use arguments::{Open, Seal, Sign, Verify};
pub(crate) use certificates::Certificates;
pub(crate) use sealing::{open, seal};
pub(crate) use sign::sign;
pub(crate) use verify::verify;
