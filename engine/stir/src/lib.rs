//! PASSporTs, the certificates behind them, their sealing, and the pipelines over them.
//!
//! In call order: an authentication service fills in [`Claims`] and signs them with a [`SigningKey`]; a
//! placement service [`seal`]s the token for the called side's [`SealingPublicKey`]; the called side
//! [`open`]s what it retrieved and asks its [`VerificationPolicy`] for a [`Verdict`].
//!
//! Everything here is a function of its arguments. This crate does not know sockets, disks or clocks:
//! certificates, revocation lists and the time are given by the caller, randomness comes through
//! [`herald_core::Random`].
//!
//! ```
//! use herald_core::{TelephoneNumber, Timestamp};
//! use herald_stir::issue::{DevelopmentAuthority, Validity};
//! use herald_stir::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (caller, called): (TelephoneNumber, TelephoneNumber) = ("12155551212".parse()?, "12355551212".parse()?);
//! let now_s = 1_795_300_000;
//! let validity = Validity { from_s: now_s - 60, to_s: now_s + 3600 };
//!
//! // Once: an authority, the caller's certificate, the called side's sealing key.
//! let authority = DevelopmentAuthority::new("Example", validity, &SystemRandom)?;
//! let numbers = TnAuthList::new(vec![TnEntry::One(caller)])?;
//! let signer = authority.issue("Example signer", &numbers, validity, &SystemRandom)?;
//! let sealing_key = SealingKey::generate(Suite::X25519, &SystemRandom);
//!
//! // The caller's side.
//! let certificate = CertificateReference::Url("https://certs.example.net/signer.pem".into());
//! let claims = Claims::base(caller.into(), called.into(), i64::try_from(now_s)?);
//! let token = claims.sign(&certificate, &signer.key)?;
//! let placement = seal(&token, called, &sealing_key.public_key(), &SystemRandom)?;
//!
//! // The called side.
//! let token = open(&placement, called, &[sealing_key])?;
//! let policy = VerificationPolicy::new(TrustStore::from_pem(authority.root_pem().as_bytes())?);
//! let fetched = |_url: &str| Some(signer.chain_pem.clone().into_bytes());
//! let call = CallFacts::new(caller.into(), called.into());
//! let verdict = policy.verify(token.as_bytes(), &fetched, &call, Timestamp::from_millis(now_s * 1000));
//! assert_eq!(verdict?.authority, Authority::Number);
//! # Ok(())
//! # }
//! ```

mod access;
pub mod advert;
pub mod bundle;
mod call;
mod certificate;
mod content;
mod context;
mod error;
mod es256;
mod identity_header;
pub mod issue;
mod json;
mod jws;
pub mod limits;
mod number_map;
mod passport;
mod policy;
mod random;
mod replay;
mod seal;
pub mod services;
mod sip;
pub mod table;
mod verify;

pub use access::{AccessFault, AccessToken, Holder, TYPE as ACCESS_TYPE};
pub use call::{CallVerdict, PassportReport};
pub use certificate::{
    Authority, CertificateChain, CertificateSource, ChainCache, ClaimConstraints, Coverage, CpsUriExtension,
    Encompassed, Held, RangeError, RevocationPolicy, TnAuthList, TnEntry, TnRange, TrustStore, VerifiedChain,
};
pub use content::{ContentPolicy, content_digest};
pub use context::{CallContext, CallFacts, Carrier, IdentityValue, LinkedContent};
pub use error::{Fault, Stage, StirError};
pub use es256::{SigningKey, VerifyingKey};
pub use identity_header::IdentityHeader;
pub use json::Json;
pub use number_map::{NumberMap, NumberSet};
pub use passport::{Attestation, CertificateReference, Claims, Identity, Leniency, Passport, PassportType};
pub use policy::{SETTINGS, Setting, SettingError};
pub use random::SystemRandom;
pub use replay::{CallToken, ReplayMemory};
pub use seal::{SealingKey, SealingPublicKey, Suite, open, seal, seal_for};
pub use sip::{Originator, SipPolicy, SipRequest};
pub use verify::{Accepted, Verdict, VerificationPolicy};
