//! Certificates of STIR (RFC 8226): chains, the roots they lead to, and the numbers they stand for. It does not
//! fetch anything and does not know PASSporTs.

mod authority;
mod chain;
mod constraints;
mod cps_uri;
mod crl;
mod facts;
mod name;
mod number_blocks;
mod ocsp;
mod path;
mod revocation;
mod signed;
mod source;
mod tlv;
mod tn_auth_list;
mod trust;

pub use authority::{Authority, VerifiedChain};
pub use chain::CertificateChain;
pub use constraints::ClaimConstraints;
pub use cps_uri::CpsUriExtension;
pub use revocation::RevocationPolicy;
pub use source::{CertificateSource, ChainCache, Held};
pub use tn_auth_list::{Coverage, Encompassed, RangeError, TnAuthList, TnEntry, TnRange};
pub use trust::TrustStore;
