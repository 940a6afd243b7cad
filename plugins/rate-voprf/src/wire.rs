//! The bytes of requests and responses.
//!
//! A single one (RFC 9578 §5.1, §5.2): `type(2) | truncated key id(1) | element`, answered by `element | proof`. A batch
//! (draft-ietf-privacypass-batched-tokens-08 §5): the same with a list of elements in the place of one, and before a list
//! its length in bytes, as RFC 9000 §16 writes numbers, in the shortest form. A proof is two scalars, c and s (RFC 9497
//! §2.2).

use core::ffi::CStr;

use voprf_ng::{BlindedElement, EvaluationElement, Proof};

use crate::limits::{BATCH_TOKENS_MAX, LIST_BYTES_MAX};
use crate::suite::Suite;

/// How tokens are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One token a request.
    Single,
    /// Up to [`BATCH_TOKENS_MAX`] with one proof.
    Batch,
}

impl Framing {
    /// Tokens in one request.
    pub const fn count_max(self) -> usize {
        match self {
            Self::Single => 1,
            Self::Batch => BATCH_TOKENS_MAX,
        }
    }

    /// The media type of a request.
    pub const fn request_type(self) -> &'static CStr {
        match self {
            Self::Single => c"application/private-token-request",
            Self::Batch => c"application/private-token-amortized-batch-request",
        }
    }

    /// The media type of a response.
    pub const fn response_type(self) -> &'static CStr {
        match self {
            Self::Single => c"application/private-token-response",
            Self::Batch => c"application/private-token-amortized-batch-response",
        }
    }

    /// How many tokens `request` asks for; 0 if it is none of this suite, or asks for too many. What its elements are is
    /// not looked at.
    pub fn request_count<S: Suite>(self, request: &[u8]) -> usize {
        self.split_request::<S>(request).map_or(0, |(_, elements)| elements.len() / S::ELEMENT_BYTES)
    }

    /// The truncated key id and the elements of `request`.
    pub(crate) fn read_request<S: Suite>(self, request: &[u8]) -> Option<(u8, Vec<BlindedElement<S>>)> {
        let (truncated_key_id, elements) = self.split_request::<S>(request)?;
        let read = |element| S::is_in_form(element).then(|| BlindedElement::deserialize(element).ok())?;
        let elements = elements.chunks_exact(S::ELEMENT_BYTES).map(read).collect::<Option<_>>()?;
        Some((truncated_key_id, elements))
    }

    fn split_request<S: Suite>(self, request: &[u8]) -> Option<(u8, &[u8])> {
        let (&token_type, rest) = request.split_first_chunk()?;
        let (&truncated_key_id, rest) = rest.split_first()?;
        let (elements, rest) = self.split_elements::<S>(rest)?;
        let is_ours = u16::from_be_bytes(token_type) == S::TOKEN_TYPE && rest.is_empty();
        is_ours.then_some((truncated_key_id, elements))
    }

    /// A request for `elements`.
    pub(crate) fn write_request<S: Suite>(self, truncated_key_id: u8, elements: &[u8]) -> Vec<u8> {
        let mut request = S::TOKEN_TYPE.to_be_bytes().to_vec();
        request.push(truncated_key_id);
        self.write_elements(&mut request, elements);
        request
    }

    /// The elements and the proof of `response`.
    pub(crate) fn read_response<S: Suite>(
        self,
        response: &[u8],
    ) -> Option<(Vec<EvaluationElement<S>>, Proof<S>)> {
        let (elements, proof) = self.split_elements::<S>(response)?;
        if proof.len() != 2 * S::SCALAR_BYTES {
            return None;
        }
        let read = |element| S::is_in_form(element).then(|| EvaluationElement::deserialize(element).ok())?;
        let elements = elements.chunks_exact(S::ELEMENT_BYTES).map(read).collect::<Option<_>>()?;
        Some((elements, Proof::deserialize(proof).ok()?))
    }

    /// A response of `elements` and `proof`.
    pub(crate) fn write_response(self, elements: &[u8], proof: &[u8]) -> Vec<u8> {
        let mut response = Vec::with_capacity(2 + elements.len() + proof.len());
        self.write_elements(&mut response, elements);
        response.extend_from_slice(proof);
        response
    }

    /// The elements that `bytes` begin with, and what follows them.
    fn split_elements<S: Suite>(self, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
        let (len, bytes) = match self {
            Self::Single => (S::ELEMENT_BYTES, bytes),
            Self::Batch => read_len(bytes)?,
        };
        let (elements, rest) = bytes.split_at_checked(len)?;
        let is_list = len > 0 && len % S::ELEMENT_BYTES == 0 && len / S::ELEMENT_BYTES <= self.count_max();
        is_list.then_some((elements, rest))
    }

    fn write_elements(self, to: &mut Vec<u8>, elements: &[u8]) {
        if self == Self::Batch {
            write_len(to, elements.len());
        }
        to.extend_from_slice(elements);
    }
}

/// A length in its shortest form, and what follows it. Longer ones than [`LIST_BYTES_MAX`] are not read.
fn read_len(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let high = usize::from(first & 0x3f);
    match first >> 6 {
        0 => Some((high, rest)),
        1 => {
            let (&second, rest) = rest.split_first()?;
            let len = high << 8 | usize::from(second);
            (len > 0x3f).then_some((len, rest))
        }
        _ => None,
    }
}

fn write_len(to: &mut Vec<u8>, len: usize) {
    assert!(len <= LIST_BYTES_MAX, "{len} bytes of elements are more than a request may have");
    if len > 0x3f {
        to.push(0x40 | (len >> 8) as u8);
    }
    to.push(len as u8);
}
