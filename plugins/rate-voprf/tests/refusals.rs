//! What is no element, no scalar, no request, no response or no key of the other side is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use herald_plugin_sdk::{Fault, Mode, Want};
use herald_rate_voprf::limits::BATCH_TOKENS_MAX;
use herald_rate_voprf::{Framing, Key, P384, Ristretto255, Suite, client};

use common::{from_hex, system, want};

const CHALLENGE: [u8; 32] = [0xc4; 32];

/// Encodings that a suite must not decode: what is wrong, and the encoding.
type Bad = &'static [(&'static str, &'static str)];

/// From RFC 9496, appendix A.3, one or two of each kind.
const RISTRETTO_ELEMENTS: Bad = &[
    ("the identity", "0000000000000000000000000000000000000000000000000000000000000000"),
    ("not below p", "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
    ("p itself: the identity again", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    ("p + 6", "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    ("negative", "0100000000000000000000000000000000000000000000000000000000000000"),
    ("negative", "ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20"),
    ("x is no square root", "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"),
    ("x is no square root", "bcab477be20861e01e4a0e295284146a510150d9817763caf1a6f4b422d67042"),
    ("xy is negative", "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e"),
    ("y is 0: a point of low order", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
];

const RISTRETTO_SCALARS: Bad = &[
    ("zero", "0000000000000000000000000000000000000000000000000000000000000000"),
    ("the order", "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"),
    ("the order and one", "eed3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"),
    ("all ones", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
];

const P384_ELEMENTS: Bad = &[
    (
        "the identity, filled up",
        "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "the compact form",
        "05aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
    ),
    (
        "half of the uncompressed form",
        "04aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
    ),
    (
        "half of the hybrid form",
        "06aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
    ),
    (
        "x is p: 0 again",
        "02fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
    ),
    (
        "off the curve",
        "02000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001",
    ),
];

const P384_SCALARS: Bad = &[
    (
        "zero",
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "the order",
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    ),
    (
        "the order and one",
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52974",
    ),
    ("what a decoder might fill up", "00000000000000000000000000000000000000000000000000000000000001"),
];

/// A key, a request for `count` tokens of it, the state, and the response.
struct Exchange<S: Suite> {
    framing: Framing,
    key: Key<S>,
    request: Vec<u8>,
    state: Vec<u8>,
    response: Vec<u8>,
}

impl<S: Suite> Exchange<S> {
    fn of(framing: Framing, count: usize) -> Self {
        let key = Key::<S>::from_secret(&Key::<S>::make(&mut system()).unwrap().secret).unwrap();
        let public_key = key.public_key();
        let wanted = want(&public_key, count, &CHALLENGE);
        let (request, state) = client::request::<S>(framing, &wanted, &mut system()).unwrap();
        let response = key.issue(framing, &request, &mut system()).unwrap();
        let exchange = Self { framing, key, request, state: state.to_vec(), response };
        assert_eq!(exchange.finish(&exchange.response), Ok(count));
        exchange
    }

    fn issue(&self, request: &[u8]) -> Result<Vec<u8>, Fault> {
        self.key.issue(self.framing, request, &mut system())
    }

    /// How many tokens `response` makes.
    fn finish(&self, response: &[u8]) -> Result<usize, Fault> {
        client::finish::<S>(self.framing, &self.state, response).map(|tokens| tokens.len())
    }

    fn count(&self, request: &[u8]) -> usize {
        self.framing.request_count::<S>(request)
    }
}

fn replaced(bytes: &[u8], at: usize, part: &[u8]) -> Vec<u8> {
    [&bytes[..at], part, &bytes[at + part.len()..]].concat()
}

fn bad_elements_are_refused<S: Suite>(elements: Bad) {
    let one = Exchange::<S>::of(Framing::Single, 1);
    let two = Exchange::<S>::of(Framing::Batch, 2);
    for (why, element) in elements {
        let element = from_hex(element);
        assert_eq!(element.len(), S::ELEMENT_BYTES, "{why}");
        let wanted = want(&element, 1, &CHALLENGE);
        let asked = client::request::<S>(Framing::Single, &wanted, &mut system());
        assert_eq!(asked.err(), Some(Fault::Refused), "as a published key: {why}");
        for (exchange, from_end) in [(&one, 1), (&two, 1), (&two, 2)] {
            let request = &exchange.request;
            let request = replaced(request, request.len() - from_end * S::ELEMENT_BYTES, &element);
            assert_eq!(exchange.issue(&request), Err(Fault::Refused), "in a request: {why}");
            let response = &exchange.response;
            let at = response.len() - 2 * S::SCALAR_BYTES - from_end * S::ELEMENT_BYTES;
            let response = replaced(response, at, &element);
            assert_eq!(exchange.finish(&response), Err(Fault::Refused), "in a response: {why}");
        }
    }
}

#[test]
fn what_is_no_element_is_refused_wherever_it_stands() {
    bad_elements_are_refused::<Ristretto255>(RISTRETTO_ELEMENTS);
    bad_elements_are_refused::<P384>(P384_ELEMENTS);
}

#[test]
fn the_compact_form_of_an_element_is_refused_though_the_decoder_takes_it() {
    let compact = from_hex(P384_ELEMENTS[1].1);
    assert!(voprf_ng::BlindedElement::<P384>::deserialize(&compact).is_ok());
}

fn bad_scalars_are_refused<S: Suite>(scalars: Bad) {
    let exchange = Exchange::<S>::of(S::FRAMING, 1);
    let good = Key::<S>::make(&mut system()).unwrap().secret;
    assert!(Key::<S>::from_secret(&good).is_some());
    assert!(Key::<S>::from_secret(&good[1..]).is_none(), "too short");
    assert!(Key::<S>::from_secret(&[good.as_slice(), &[0]].concat()).is_none(), "too long");
    assert!(Key::<S>::from_secret(&[]).is_none(), "empty");
    for (why, scalar) in scalars {
        let scalar = from_hex(scalar);
        assert!(Key::<S>::from_secret(&scalar).is_none(), "as a key: {why}");
        if scalar.len() == S::SCALAR_BYTES {
            for from_end in [1, 2] {
                let response = &exchange.response;
                let response = replaced(response, response.len() - from_end * S::SCALAR_BYTES, &scalar);
                assert_eq!(exchange.finish(&response), Err(Fault::Refused), "in a proof: {why}");
            }
        }
    }
}

#[test]
fn what_is_no_scalar_is_no_key_and_no_part_of_a_proof() {
    bad_scalars_are_refused::<Ristretto255>(RISTRETTO_SCALARS);
    bad_scalars_are_refused::<P384>(P384_SCALARS);
}

/// A batch of `count` elements behind `len`, the length as it is to stand there.
fn batch(exchange: &Exchange<Ristretto255>, len: &[u8], count: usize) -> Vec<u8> {
    let element = &exchange.request[exchange.request.len() - 32..];
    [&exchange.request[..3], len, &element.repeat(count)].concat()
}

#[test]
fn malformed_requests_count_nothing_and_are_refused() {
    let exchange = Exchange::<Ristretto255>::of(Framing::Batch, 3);
    let request = &exchange.request;
    let good = [
        ("as it was asked", request.clone(), 3),
        ("one, its length in one byte", batch(&exchange, &[0x20], 1), 1),
        ("two, the shortest length of two bytes", batch(&exchange, &[0x40, 0x40], 2), 2),
        ("as many as there may be", batch(&exchange, &[0x48, 0x00], BATCH_TOKENS_MAX), 64),
    ];
    for (what, request, count) in good {
        assert_eq!(exchange.count(&request), count, "{what}");
        assert!(exchange.issue(&request).is_ok(), "{what}");
    }
    let bad = [
        ("nothing", Vec::new()),
        ("a head alone", request[..3].to_vec()),
        ("no tokens", batch(&exchange, &[0x00], 0)),
        ("another token type", replaced(request, 0, &[0, 1])),
        ("more than the list says", [request.as_slice(), &[0]].concat()),
        ("half an element", batch(&exchange, &[0x10], 1)[..4 + 16].to_vec()),
        ("a length in more bytes than it needs", batch(&exchange, &[0x40, 0x20], 1)),
        ("a length in four bytes", batch(&exchange, &[0x80, 0, 0, 0x20], 1)),
        ("a length in eight bytes", batch(&exchange, &[0xc0, 0, 0, 0, 0, 0, 0, 0x20], 1)),
        ("one more than there may be", batch(&exchange, &[0x48, 0x20], BATCH_TOKENS_MAX + 1)),
        ("the framing of a single one", batch(&exchange, &[], 1)),
    ];
    for (what, request) in bad {
        assert_eq!(exchange.count(&request), 0, "{what}");
        assert_eq!(exchange.issue(&request), Err(Fault::Refused), "{what}");
    }
    for len in 0..request.len() {
        assert_eq!(exchange.count(&request[..len]), 0, "cut after {len} bytes");
        assert_eq!(exchange.issue(&request[..len]), Err(Fault::Refused), "cut after {len} bytes");
    }
    let of_another_key = replaced(request, 2, &[request[2] ^ 1]);
    assert_eq!(exchange.issue(&of_another_key), Err(Fault::Refused));

    let single = Exchange::<P384>::of(Framing::Single, 1);
    assert_eq!(single.count(&single.request), 1);
    assert_eq!(single.count(&[single.request.as_slice(), &[0]].concat()), 0);
}

fn bad_responses_are_refused<S: Suite>() {
    let exchange = Exchange::<S>::of(Framing::Batch, 3);
    let response = &exchange.response;
    let proof_at = response.len() - 2 * S::SCALAR_BYTES;
    let list_at = proof_at - 3 * S::ELEMENT_BYTES;
    let elements: Vec<&[u8]> = response[list_at..proof_at].chunks(S::ELEMENT_BYTES).collect();
    let swapped = [elements[1], elements[0], elements[2]].concat();
    assert_eq!(exchange.finish(&replaced(response, list_at, &swapped)), Err(Fault::Refused));
    let doubled = [elements[0], elements[0], elements[2]].concat();
    assert_eq!(exchange.finish(&replaced(response, list_at, &doubled)), Err(Fault::Refused));
    for len in 0..response.len() {
        assert_eq!(exchange.finish(&response[..len]), Err(Fault::Refused), "cut after {len} bytes");
    }
    assert_eq!(exchange.finish(&[response.as_slice(), &[0]].concat()), Err(Fault::Refused));

    // Right in itself, but for two tokens where three were asked for.
    let fewer = Exchange::<S>::of(Framing::Batch, 2);
    assert_eq!(exchange.finish(&fewer.response), Err(Fault::Refused));
    // Right in itself, but by another key: what would tell this caller from others.
    let other = Exchange::<S>::of(Framing::Batch, 3);
    let request = replaced(&exchange.request, 2, &other.request[2..3]);
    let response = other.issue(&request).unwrap();
    assert_eq!(exchange.finish(&response), Err(Fault::Refused));

    for state in [&exchange.state[..0], &exchange.state[1..], &exchange.state[..exchange.state.len() - 1]] {
        let finished = client::finish::<S>(Framing::Batch, state, &exchange.response);
        assert!(matches!(finished, Err(Fault::Failed(_))));
    }
}

#[test]
fn responses_that_were_not_asked_for_are_refused() {
    bad_responses_are_refused::<Ristretto255>();
    bad_responses_are_refused::<P384>();
}

#[test]
fn a_caller_asks_for_what_the_suite_does() {
    let public_key = Exchange::<Ristretto255>::of(Framing::Batch, 1).key.public_key();
    let wanted = want(&public_key, 1, &CHALLENGE);
    let ask =
        |wanted: &Want<'_>, framing| client::request::<Ristretto255>(framing, wanted, &mut system()).err();
    assert_eq!(ask(&wanted, Framing::Batch), None);
    for mode in [Mode::Committed, Mode::Agreed, Mode::Signed] {
        assert_eq!(ask(&Want { mode, ..wanted }, Framing::Batch), Some(Fault::Unsupported));
    }
    for count in [0, BATCH_TOKENS_MAX + 1] {
        assert_eq!(ask(&Want { count, ..wanted }, Framing::Batch), Some(Fault::Refused));
    }
    assert_eq!(ask(&Want { count: 2, ..wanted }, Framing::Single), Some(Fault::Refused));
    assert_eq!(ask(&Want { public_key: &public_key[1..], ..wanted }, Framing::Batch), Some(Fault::Refused));
}
