//! The bytes of credentials and challenges: what is written is read, and nothing else is.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use common::*;
use herald_admission::wire::{Challenge, Continued, RequestHead};
use herald_admission::{Credential, Mode, Presented, Seal, TokenId, TokenInput, WireError};

fn input(token_type: u16) -> TokenInput {
    let mut input = [3; 98];
    input[..2].copy_from_slice(&token_type.to_be_bytes());
    TokenInput(input)
}

fn presented(token_type: u16, authenticator: usize, proof: usize, seal: Seal) -> Credential {
    let (authenticator, proof) = (vec![1; authenticator], vec![2; proof]);
    Credential::Presented(Box::new(Presented {
        input: input(token_type),
        authenticator,
        proof,
        counter: 9,
        seal,
    }))
}

fn bearer(token_type: u16, authenticator: usize) -> Credential {
    let (authenticator, proof) = (vec![1; authenticator], Vec::new());
    let token = Presented { input: input(token_type), authenticator, proof, counter: 0, seal: Seal::Bearer };
    Credential::Presented(Box::new(token))
}

#[test]
fn a_client_reads_the_challenge_that_a_service_wrote_and_no_other() {
    let challenge = Challenge::new(5, "cps.example:8443").unwrap();
    let header = challenge.header(&[0xfb, 1, 2]);
    let (read, key) = Challenge::from_header(&header).unwrap();
    assert_eq!((read.token_type(), read.name(), key.as_slice()), (5, "cps.example:8443", &[0xfb, 1, 2][..]));
    assert_eq!(read, challenge);
    let of = |bytes: &[u8]| format!("PrivateToken challenge=\"{}\", token-key=AAAA", URL_SAFE.encode(bytes));
    assert!(Challenge::from_header(&of(&[0, 5, 0, 1, b'a', 0, 0, 1, b'a'])).is_ok());
    for (wrong, why) in [
        (of(&[0, 5, 0, 1, b'a', 0, 0, 1, b'b']), WireError::Name),
        (of(&[0, 5, 0, 1, b'a', 1, 9, 0, 1, b'a']), WireError::Name),
        (of(&[0, 5, 0, 1, b'a', 0, 0, 0]), WireError::Name),
        (of(&[0, 5, 0, 9, b'a']), WireError::TooShort),
        ("Bearer".to_owned(), WireError::Scheme),
        ("Bearer realm=a".to_owned(), WireError::Scheme),
        (header.replace("token-key", "key"), WireError::Parameter),
    ] {
        assert_eq!(Challenge::from_header(&wrong), Err(why), "{wrong}");
    }
}

#[test]
fn every_form_is_read_as_it_was_written() {
    let continued = Continued { token_id: TokenId([1; 16]), counter: 0x0102_0304, tag: [5; 16] };
    let credentials = [
        Credential::Continued(continued),
        presented(5, 0, 0, Seal::Mac(Mode::Withheld, [9; 16])),
        presented(2, 256, 32, Seal::Mac(Mode::Committed, [9; 16])),
        presented(2, 256, 32, Seal::Mac(Mode::Agreed, [9; 16])),
        presented(2, 256, 65, Seal::Signature([9; 64])),
        presented(0xff00, 512, 255, Seal::Signature([9; 64])),
    ];
    for credential in credentials {
        let bytes = credential.to_bytes();
        assert_eq!(Credential::from_bytes(&bytes).as_ref(), Ok(&credential));
        assert_eq!(Credential::from_header(&credential.to_header()).as_ref(), Ok(&credential));
        for end in 0..bytes.len() {
            assert!(Credential::from_bytes(&bytes[..end]).is_err(), "{end} bytes of {}", bytes.len());
        }
        assert_eq!(Credential::from_bytes(&[&bytes[..], &[0]].concat()), Err(WireError::TooLong));
    }
    assert_eq!(Continued::from_bytes(&continued.to_bytes()), continued);
    for (token_type, authenticator) in [(1, 48), (2, 256), (5, 64), (0xff00, 100)] {
        let credential = bearer(token_type, authenticator);
        assert_eq!(Credential::from_header(&credential.to_header()), Ok(credential));
    }
}

#[test]
fn what_is_malformed_is_refused_for_what_it_is() {
    let opening = |change: fn(&mut Vec<u8>)| {
        let mut bytes = presented(5, 0, 0, Seal::Mac(Mode::Withheld, [9; 16])).to_bytes();
        change(&mut bytes);
        Credential::from_bytes(&bytes)
    };
    let cases: [(&str, Result<Credential, WireError>, WireError); 14] = [
        ("empty", Credential::from_bytes(&[]), WireError::TooShort),
        ("version", opening(|bytes| bytes[0] = 2), WireError::Version),
        ("form", opening(|bytes| bytes[1] = 3), WireError::Form),
        ("mode 0", opening(|bytes| bytes[2] = 0), WireError::Mode),
        ("two modes", opening(|bytes| bytes[2] = 6), WireError::Mode),
        ("bearer in a form", opening(|bytes| bytes[2] = 1), WireError::Mode),
        ("signed under a MAC", opening(|bytes| bytes[2] = 16), WireError::Mode),
        ("a long token", opening(|bytes| bytes[3] = 0xff), WireError::TooLong),
        ("a short token", opening(|bytes| bytes[4] = 97), WireError::TooShort),
        ("committed without proof", opening(|bytes| bytes[2] = 4), WireError::Proof),
        ("a withheld authenticator", write(5, 64, 0, Seal::Mac(Mode::Withheld, [0; 16])), WireError::Token),
        (
            "an authenticator too long",
            write(2, 257, 32, Seal::Mac(Mode::Committed, [0; 16])),
            WireError::Token,
        ),
        ("none at all", write(2, 0, 32, Seal::Mac(Mode::Agreed, [0; 16])), WireError::Token),
        ("a proof of nothing", write(5, 0, 32, Seal::Mac(Mode::Withheld, [0; 16])), WireError::Proof),
    ];
    for (what, read, error) in cases {
        assert_eq!(read, Err(error), "{what}");
    }
}

fn write(token_type: u16, authenticator: usize, proof: usize, seal: Seal) -> Result<Credential, WireError> {
    Credential::from_bytes(&presented(token_type, authenticator, proof, seal).to_bytes())
}

#[test]
fn headers_follow_the_grammar_of_rfc_9577() {
    let credential = bearer(2, 256);
    let token = [&input(2).0[..], &[1; 256]].concat();
    let (padded, bare) = (URL_SAFE.encode(&token), URL_SAFE_NO_PAD.encode(&token));
    for header in [
        format!("PrivateToken token=\"{padded}\""),
        format!("privatetoken  TOKEN = \"{bare}\" , other=1"),
        format!("PrivateToken token={bare}"),
        format!("PrivateToken extension=\"x\", token={padded}"),
    ] {
        assert_eq!(Credential::from_header(&header).as_ref(), Ok(&credential), "{header}");
    }
    let long = format!("PrivateToken token={}", "A".repeat(3000));
    for (header, error) in [
        ("", WireError::Scheme),
        ("Bearer abc", WireError::Scheme),
        ("PrivateToken", WireError::Scheme),
        ("PrivateToken token", WireError::Parameter),
        ("PrivateToken other=1", WireError::Parameter),
        ("PrivateToken token=AAAA, token=AAAA", WireError::Parameter),
        ("PrivateToken token=\"AAAA", WireError::Parameter),
        ("PrivateToken token=\"A+/A\"", WireError::Base64),
        ("PrivateToken token=AAAA", WireError::TooShort),
        ("Admission !", WireError::Base64),
        ("Admission AQ", WireError::TooShort),
        (long.as_str(), WireError::TooLong),
    ] {
        assert_eq!(Credential::from_header(header), Err(error), "{header:.40}");
    }
}

#[test]
fn a_challenge_has_the_bytes_of_rfc_9577_and_names_this_service_alone() {
    let challenge = Challenge::new(2, "cps.example").unwrap();
    let bytes = b"\0\x02\0\x0bcps.example\0\0\x0bcps.example";
    let header = challenge.header(&[0xfb; 4]);
    assert_eq!(
        header,
        format!("PrivateToken challenge=\"{}\", token-key=\"-_v7-w==\"", URL_SAFE.encode(bytes))
    );
    assert_ne!(service_digest("cps.example", 2), service_digest("cps.example", 5));
    assert_ne!(service_digest("cps.example", 2), service_digest("cps2.example", 2));
    for name in ["", "a b", "user@host", "a,b", "a\"b", "caf\u{e9}.example", &"x".repeat(261)] {
        assert_eq!(Challenge::new(2, name), Err(WireError::Name), "{name}");
    }
}

#[test]
fn a_token_request_says_type_and_key_first() {
    let head = RequestHead::of(&[0, 5, 0xab, 1, 2, 3]);
    assert_eq!(head, Ok(RequestHead { token_type: 5, truncated_key_id: 0xab }));
    assert_eq!(RequestHead::of(&[0, 5]), Err(WireError::TooShort));
}
