//! Discovery from the CPS URIs in certificates (draft-sliwa-stir-cert-cps-ext): the holder of telephone numbers names
//! their Call Placement Service in the certificate of these numbers, so what is found is proven.
//!
//! Certificates come from a folder of chains in PEM, each verified under the configured roots, and from the host, which
//! shows those of signers whose chains it has verified. A certificate with a value that is no https URI is invalid, and
//! one holds from its first second to its last. The certificate for the smallest set that holds a number answers, and
//! of those for one set the one issued last.
//!
//! Settings:
//! - `oid`: the object identifier of the extension, which has no number assigned yet.
//! - `certificates`: the absolute path of a folder with `*.pem`, signer's certificate first. None if not set.
//! - `roots`: the absolute path of the authorities they lead to, PEM; goes with `certificates`.
//! - `crls`: the absolute path of revocation lists, PEM; may be set several times.
//! - `fresh`: for how many seconds the host may remember an answer, 300 if not set.
//!
//! It does not fetch anything and does not look into transparency logs.

mod folder;
pub mod limits;
mod named;
mod observed;
mod plugin;

pub use plugin::DiscoveryCertificate;
