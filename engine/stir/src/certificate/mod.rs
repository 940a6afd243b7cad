//! Certificates of STIR (RFC 8226): chains, the roots they lead to, and the numbers they stand for. It does not
//! fetch anything and does not know PASSporTs.

mod authority;
mod chain;
mod constraints;
mod facts;
mod number_blocks;
mod path;
mod source;
mod tlv;
mod tn_auth_list;
mod trust;

pub use authority::{Authority, VerifiedChain};
pub use chain::CertificateChain;
pub use constraints::ClaimConstraints;
pub use source::{CertificateSource, ChainCache, Held};
pub use tn_auth_list::{Coverage, Encompassed, RangeError, TnAuthList, TnEntry, TnRange};
pub use trust::TrustStore;
