//! PASSporTs, the certificates behind them, their sealing, and the pipelines over them.
//!
//! In call order: an authentication service fills in [`Claims`] and signs them with a [`SigningKey`]; a
//! placement service [`seal`]s the token for the called side's [`SealingPublicKey`]; the called side
//! [`open`]s what it retrieved and asks its [`VerificationPolicy`] for a [`Verdict`].
//!
//! Everything here is a function of its arguments. This crate does not know sockets, disks or clocks:
//! certificates, revocation lists and the time are given by the caller, randomness comes through
//! [`herald_core::Random`].

mod certificate;
mod error;
mod es256;
pub mod issue;
mod json;
pub mod limits;
mod passport;
mod random;
mod seal;
mod verify;

pub use certificate::{
    CertificateChain, Coverage, RangeError, TnAuthList, TnEntry, TnRange, TrustStore, VerifiedChain,
};
pub use error::{Fault, Stage, StirError};
pub use es256::{SigningKey, VerifyingKey};
pub use json::Json;
pub use passport::{Attestation, CertificateReference, Claims, Identity, Leniency, Passport, PassportType};
pub use random::SystemRandom;
pub use seal::{SealingKey, SealingPublicKey, Suite, open, seal};
pub use verify::{Accepted, Authority, CallFacts, Verdict, VerificationPolicy};
