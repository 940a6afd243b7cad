//! Certificates of STIR (RFC 8226): chains, the roots they lead to, and the numbers they stand for. It does not
//! fetch anything and does not know PASSporTs.

mod authority;
mod chain;
mod facts;
mod path;
mod source;
mod tlv;
mod tn_auth_list;
mod trust;

pub use authority::{Authority, VerifiedChain};
pub use chain::CertificateChain;
pub use source::{CertificateSource, ChainCache};
pub use tn_auth_list::{Coverage, RangeError, TnAuthList, TnEntry, TnRange};
pub use trust::TrustStore;
