//! The two suites: what of a plugin is different with the group.

use core::ffi::CStr;

use voprf_ng::{CipherSuite, Group};

pub use p384::NistP384 as P384;
pub use voprf_ng::Ristretto255;

use crate::wire::Framing;

/// A suite of RFC 9497 (§4) as a token type of Privacy Pass.
pub trait Suite:
    CipherSuite<Group: Group<Scalar: Send + Sync, Elem: Send + Sync>> + Send + Sync + Sized + 'static
{
    /// The name of its plugin.
    const NAME: &'static CStr;
    /// One line about it.
    const SUMMARY: &'static CStr;
    /// The token type.
    const TOKEN_TYPE: u16;
    /// How its plugin asks for tokens.
    const FRAMING: Framing;
    /// Bytes of an element: Ne of RFC 9497.
    const ELEMENT_BYTES: usize;
    /// Bytes of a scalar: Ns.
    const SCALAR_BYTES: usize;
    /// Bytes of the function's output, an authenticator: Nh.
    const OUTPUT_BYTES: usize;

    /// Whether `element`, [`ELEMENT_BYTES`](Self::ELEMENT_BYTES) long, is in the one form that the suite allows, as far as
    /// its decoder would not notice.
    fn is_in_form(element: &[u8]) -> bool;
}

/// ristretto255-SHA512 (RFC 9497 §4.1), token type 5.
impl Suite for Ristretto255 {
    const NAME: &'static CStr = c"rate-voprf";
    const SUMMARY: &'static CStr =
        c"anonymous tokens by a VOPRF over ristretto255, type 5, many in a request";
    const TOKEN_TYPE: u16 = 5;
    const FRAMING: Framing = Framing::Batch;
    const ELEMENT_BYTES: usize = 32;
    const SCALAR_BYTES: usize = 32;
    const OUTPUT_BYTES: usize = 64;

    fn is_in_form(_element: &[u8]) -> bool {
        // Decoding accepts one form only (RFC 9496 §4.3.1).
        true
    }
}

/// P384-SHA384 (RFC 9497 §4.4), token type 1.
impl Suite for P384 {
    const NAME: &'static CStr = c"rate-voprf-p384";
    const SUMMARY: &'static CStr =
        c"anonymous tokens by a VOPRF over P-384, Privacy Pass type 1, one in a request";
    const TOKEN_TYPE: u16 = 1;
    const FRAMING: Framing = Framing::Single;
    const ELEMENT_BYTES: usize = 49;
    const SCALAR_BYTES: usize = 48;
    const OUTPUT_BYTES: usize = 48;

    fn is_in_form(element: &[u8]) -> bool {
        // The decoder also takes the compact form, which has the length of the compressed one and begins with 5.
        matches!(element.first(), Some(2 | 3))
    }
}
