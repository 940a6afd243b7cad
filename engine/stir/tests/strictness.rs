//! Tokens that are well signed and still not well formed, and moments that are not now.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{Seeded, at_s, call, number};
use herald_stir::issue::{DevelopmentAuthority, Issued, Validity};
use herald_stir::{
    Fault, Leniency, Passport, SigningKey, TnAuthList, TnEntry, TrustStore, VerificationPolicy,
};
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::DecodePrivateKey;

const T0: u64 = 1_795_300_000;
const HEADER: &str = r#"{"alg":"ES256","typ":"passport","x5u":"https://certs.example.net/a.pem"}"#;
const PAYLOAD: &str = r#"{"dest":{"tn":["12355551212"]},"iat":1795300000,"orig":{"tn":"12155551212"}}"#;

/// A token of any bytes, truly signed.
fn token(key: &SigningKey, header: &[u8], payload: &[u8]) -> String {
    let key = p256::ecdsa::SigningKey::from_pkcs8_pem(&key.to_pkcs8_pem()).unwrap();
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature: p256::ecdsa::Signature = key.sign(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

fn parse(header: &[u8], payload: &[u8]) -> Option<Fault> {
    let key = SigningKey::generate(&Seeded::new(2));
    Passport::parse(token(&key, header, payload).as_bytes(), &Leniency::STRICT).err()
}

fn parse_payload(change: (&str, &str)) -> Option<Fault> {
    assert!(PAYLOAD.contains(change.0), "{} is not in the payload", change.0);
    parse(HEADER.as_bytes(), PAYLOAD.replace(change.0, change.1).as_bytes())
}

fn parse_header(change: (&str, &str)) -> Option<Fault> {
    assert!(HEADER.contains(change.0), "{} is not in the header", change.0);
    parse(HEADER.replace(change.0, change.1).as_bytes(), PAYLOAD.as_bytes())
}

// rfc8225:9-5.
#[test]
fn json_is_read_in_one_way_only() {
    assert_eq!(parse(HEADER.as_bytes(), PAYLOAD.as_bytes()), None, "what the others differ from");
    let deep = |levels: usize| format!(r#"{{"x":{}{},"dest""#, "[".repeat(levels), "]".repeat(levels));
    let refused = [
        (r#"{"dest""#, r#"{"iat":1795300000,"dest""#, "a member twice"),
        (r#"{"dest""#, r#"{"\u0069at":1,"dest""#, "a member twice, once escaped"),
        (r#"{"dest""#, r#"{"x":{"y":[{"a":1,"a":1}]},"dest""#, "a member twice, deep inside"),
        (r#"{"dest""#, &deep(16), "nested too deep"),
        (r#"{"dest""#, &deep(2000), "nested absurdly deep"),
        (r#"{"dest""#, r#"{"x":"\ud800","dest""#, "half a surrogate pair"),
        (r#"{"dest""#, "{\"x\":\"\n\",\"dest\"", "a bare control character"),
        (r#"{"dest""#, r#"{"x":01,"dest""#, "a leading zero"),
        (r#"{"dest""#, r#"{"x":NaN,"dest""#, "not a number"),
        (r#"{"dest""#, r#"{"x":1e999,"dest""#, "a number beyond doubles"),
        (r#"{"dest""#, r#"{'x':1,"dest""#, "single quotes"),
        (r#"{"dest""#, "\u{feff}{\"dest\"", "a byte order mark"),
        (r#""12155551212"}}"#, r#""12155551212"}}}"#, "a brace too many"),
        (r#""12155551212"}}"#, r#""12155551212"}},"#, "a comma behind"),
        (r#""12155551212"}}"#, r#""12155551212"},}"#, "a comma before the end"),
    ];
    for (from, to, why) in refused {
        assert_eq!(parse_payload((from, to)), Some(Fault::Json("payload")), "{why}");
    }
    assert_eq!(parse_payload((r#"{"dest""#, &deep(15))), None, "as deep as may be");
    assert_eq!(parse(HEADER.as_bytes(), b"[]"), Some(Fault::Json("payload")));
    assert_eq!(parse(b"{}{}", PAYLOAD.as_bytes()), Some(Fault::Json("header")));
    assert_eq!(parse(HEADER.as_bytes(), b"{\"x\":\"\xff\"}"), Some(Fault::Json("payload")));
}

// rfc8225:4.1-1.
#[test]
fn the_header_names_es256_passport_and_a_sane_url() {
    let x5u = "https://certs.example.net/a.pem";
    let cases = [
        (("ES256", "es256"), Fault::Algorithm),
        (("ES256", "none"), Fault::Algorithm),
        (("\"ES256\"", "[\"ES256\"]"), Fault::Algorithm),
        ((r#""alg":"ES256","#, ""), Fault::NoAlgorithm),
        (("\"passport\"", "\"PASSporT\""), Fault::Type),
        ((r#""typ":"passport","#, ""), Fault::Type),
        ((r#""typ""#, r#""crit":[],"typ""#), Fault::Critical),
        ((r#""typ""#, r#""crit":["b64"],"b64":false,"typ""#), Fault::Critical),
        ((r#""typ""#, r#""ppt":"","typ""#), Fault::HeaderMember("ppt")),
        ((r#""typ""#, r#""ppt":1,"typ""#), Fault::HeaderMember("ppt")),
        ((r#""typ""#, r#""x5c":[],"typ""#), Fault::HeaderMember("x5c")),
        ((r#""typ""#, r#""x5c":["%"],"typ""#), Fault::HeaderMember("x5c")),
        ((x5u, ""), Fault::NoCertificateReference),
        ((x5u, "https://"), Fault::X5u),
        ((x5u, "https:///a.pem"), Fault::X5u),
        ((x5u, "https://:443/a.pem"), Fault::X5u),
        ((x5u, "https://user@certs.example.net/a.pem"), Fault::X5u),
        ((x5u, "https://certs.example.net/a b"), Fault::X5u),
        ((x5u, "https://certs.example.net\\\\@evil.example/"), Fault::X5u),
        ((x5u, "http://certs.example.net/a.pem"), Fault::X5uScheme),
        ((x5u, "file:///etc/passwd"), Fault::X5u),
        ((x5u, "/a.pem"), Fault::X5u),
    ];
    for (change, fault) in cases {
        assert_eq!(parse_header(change), Some(fault), "{change:?}");
    }
    assert_eq!(parse_header((r#""typ""#, r#""kid":{"any":1},"typ""#)), None, "unknown members are ignored");
    assert_eq!(parse_header(("https", "HTTPS")), None);
}

// rfc8225:5.1.1-1, rfc8225:5.2.1-1, rfc8225:5.2.1.1-1, rfc8225:5.2.1.1-2, rfc8225:5.2.1-2,
// rfc8225:5.2.1.2-1, rfc8225:5.2.1-3, rfc8225:8.1-1, rfc8226:8-3, rfc9118:3-3.
#[test]
fn claims_have_the_shape_of_rfc_8225() {
    let dest = r#"{"tn":["12355551212"]}"#;
    let orig = r#"{"tn":"12155551212"}"#;
    let cases = [
        (("1795300000", "1795300000.0"), Fault::Iat),
        (("1795300000", "1.7953e9"), Fault::Iat),
        (("1795300000", "\"1795300000\""), Fault::Iat),
        (("1795300000", "18446744073709551616"), Fault::Iat),
        ((r#""iat":1795300000,"#, ""), Fault::Iat),
        ((orig, "null"), Fault::Claim("orig")),
        ((orig, "{}"), Fault::NoIdentity("orig")),
        ((orig, r#"{"tn":""}"#), Fault::NoIdentity("orig")),
        ((orig, r#"{"tn":12155551212}"#), Fault::Claim("orig")),
        ((orig, r#"{"tn":"1234567890123456"}"#), Fault::Claim("orig")),
        ((orig, r#"{"tn":"12155551212","x":"y"}"#), Fault::Claim("orig")),
        ((orig, r#"{"mail":"a@example.com"}"#), Fault::Claim("orig")),
        ((orig, r#"{"tn":"1 215 555 1212"}"#), Fault::NotCanonical("orig")),
        ((orig, r#"{"tn":"%312155551212"}"#), Fault::NotCanonical("orig")),
        ((orig, r#"{"uri":"alice"}"#), Fault::Claim("orig")),
        ((orig, r#"{"uri":"sip:"}"#), Fault::Claim("orig")),
        ((orig, r#"{"uri":"sip:a@b c"}"#), Fault::Claim("orig")),
        ((dest, "{}"), Fault::NoIdentity("dest")),
        ((dest, r#"{"tn":["12355551212",""]}"#), Fault::NoIdentity("dest")),
        ((dest, r#"{"tn":"12355551212"}"#), Fault::Claim("dest")),
        ((dest, r#"{"tn":[["12355551212"]]}"#), Fault::Claim("dest")),
        ((dest, r#"{"tn":["12355551212"],"uri":[]}"#), Fault::Claim("dest")),
        ((dest, r#"{"tn":["+12355551212"]}"#), Fault::NotCanonical("dest")),
    ];
    for (change, fault) in cases {
        assert_eq!(parse_payload(change), Some(fault), "{change:?}");
    }
    let many = |count| format!(r#"{{"tn":[{}]}}"#, vec![r#""12355551212""#; count].join(","));
    assert_eq!(parse_payload((dest, &many(64))), None);
    assert_eq!(parse_payload((dest, &many(65))), Some(Fault::Claim("dest")));
}

// rfc8946:3-1, rfc8946:3-5, rfc8946:3-10, rfc8946:5-1.
#[test]
fn a_diversion_says_who_diverted_and_only_one_that_nests_has_the_passport_before() {
    let div = r#""div":{"tn":"12155551214"}"#;
    let two = r#""div":{"tn":["12155551214","12155551215"]}"#;
    for (ppt, claims, fault) in [
        ("div", div.to_owned(), None),
        ("div", r#""x":1"#.to_owned(), Some(Fault::NoClaim("div"))),
        ("div", two.to_owned(), Some(Fault::Claim("div"))),
        ("div", format!(r#"{div},"opt":"a.b.c""#), Some(Fault::Claim("opt"))),
        ("div-o", format!(r#"{div},"opt":"a.b.c""#), None),
        ("div-o", r#""opt":"a.b.c""#.to_owned(), Some(Fault::NoClaim("div"))),
        ("div-o", div.to_owned(), Some(Fault::NoClaim("opt"))),
        ("div-o", format!(r#"{div},"opt":"""#), Some(Fault::Claim("opt"))),
    ] {
        let header = HEADER.replace(r#""typ""#, &format!(r#""ppt":"{ppt}","typ""#));
        let payload = PAYLOAD.replacen('{', &format!("{{{claims},"), 1);
        assert_eq!(parse(header.as_bytes(), payload.as_bytes()), fault, "{ppt}: {claims}");
    }
}

#[test]
fn segments_are_base64url_without_anything_else() {
    let key = SigningKey::generate(&Seeded::new(2));
    let good = token(&key, HEADER.as_bytes(), PAYLOAD.as_bytes());
    let parse = |text: &str| Passport::parse(text.as_bytes(), &Leniency::STRICT).err();
    assert_eq!(parse(&good), None);
    let (input, signature) = good.rsplit_once('.').unwrap();
    let header = input.split('.').next().unwrap();
    let cases = [
        (format!("{good}\n"), Fault::Base64("signature")),
        (format!(" {good}"), Fault::Base64("header")),
        (format!("{good}=="), Fault::Base64("signature")),
        (good.replacen("ey", "e+", 1), Fault::Base64("header")),
        (good.replacen("ey", "e\0", 1), Fault::Base64("header")),
        (format!("{input}.{}", &signature[..signature.len() - 2]), Fault::SignatureLength(63)),
        (format!("{input}."), Fault::SignatureLength(0)),
        (format!("{input}.{signature}AAAA"), Fault::SignatureLength(67)),
        (input.to_owned(), Fault::Segments(2)),
        (header.to_owned(), Fault::Segments(1)),
        (format!("{good}."), Fault::Segments(4)),
        (format!("{good}{}", ".".repeat(1000)), Fault::Segments(1003)),
        (format!("..{signature}"), Fault::CompactForm),
        (format!(".{input}"), Fault::Json("header")),
        (String::new(), Fault::Segments(1)),
        ("x".repeat(8193), Fault::TooLong { bytes: 8193, bytes_max: 8192 }),
    ];
    for (text, fault) in cases {
        assert_eq!(parse(&text), Some(fault), "{} bytes", text.len());
    }
    // The last sign of 64 bytes carries two bits only: the other fifteen spellings of it are refused.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = alphabet.find(last).unwrap();
    let twin = alphabet.as_bytes()[place ^ 1] as char;
    assert_eq!(parse(&format!("{}{twin}", &good[..good.len() - 1])), Some(Fault::Base64("signature")));
}

#[test]
fn a_larger_size_may_be_configured_up_to_a_bound() {
    let key = SigningKey::generate(&Seeded::new(2));
    let with_pad = |bytes: usize| {
        let payload = PAYLOAD.replacen('{', &format!(r#"{{"pad":"{}","#, "x".repeat(bytes)), 1);
        token(&key, HEADER.as_bytes(), payload.as_bytes())
    };
    let parse = |text: &str, bytes_max| {
        Passport::parse(text.as_bytes(), &Leniency { bytes_max, ..Leniency::STRICT }).map(|_| ())
    };
    let long = with_pad(20_000);
    let too_long = |bytes, bytes_max| Err(Fault::TooLong { bytes, bytes_max });
    assert_eq!(parse(&long, Leniency::STRICT.bytes_max), too_long(long.len(), 8192));
    assert_eq!(parse(&long, long.len()), Ok(()));
    assert_eq!(parse(&long, long.len() - 1), too_long(long.len(), long.len() - 1));
    let longest = with_pad(120_000);
    assert_eq!(parse(&longest, usize::MAX), too_long(longest.len(), 131_072));
}

// rfc8225:6-1.
#[test]
fn random_damage_to_a_token_is_refused_and_never_worse() {
    let key = SigningKey::generate(&Seeded::new(2));
    let good = token(&key, HEADER.as_bytes(), PAYLOAD.as_bytes());
    let random = Seeded::new(9);
    for leniency in [Leniency::STRICT, Leniency::LENIENT] {
        for _ in 0..20_000 {
            let mut bytes = good.clone().into_bytes();
            for _ in 0..=random.below(2) {
                let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
                bytes[at] = random.next().to_le_bytes()[0];
            }
            if bytes == good.as_bytes() {
                continue;
            }
            let verdict = Passport::parse(&bytes, &leniency)
                .and_then(|passport| passport.verify_signature(&key.verifying_key()));
            assert!(verdict.is_err(), "{:?}", String::from_utf8_lossy(&bytes));
        }
    }
}

struct Signer {
    policy: VerificationPolicy,
    issued: Issued,
}

fn signer() -> Signer {
    let random = Seeded::new(11);
    let validity = Validity { from_s: T0 - 1000, to_s: T0 + 1000 };
    let authority = DevelopmentAuthority::new("Strict", validity, &random).unwrap();
    let list = TnAuthList::new(vec![TnEntry::One(number("12155551212"))]).unwrap();
    let issued = authority.issue("Signer", &list, validity, &random).unwrap();
    let trust = TrustStore::from_pem(authority.root_pem().as_bytes()).unwrap();
    Signer { policy: VerificationPolicy::new(trust), issued }
}

impl Signer {
    fn verify_at(&self, header: &str, payload: &str, now_s: u64) -> Result<(), Fault> {
        let token = token(&self.issued.key, header.as_bytes(), payload.as_bytes());
        let serve = |_: &str| Some(self.issued.chain_pem.clone().into_bytes());
        let call = call("12155551212", "12355551212");
        self.policy.verify(token.as_bytes(), &serve, &call, at_s(now_s)).map(|_| ())
    }
}

// rfc8816:8.2-5.
#[test]
fn a_passport_holds_from_a_minute_before_to_a_minute_after_it_was_signed() {
    let mut signer = signer();
    for (now_s, expected) in [
        (T0 - 61, Err(Fault::Ahead { ahead_s: 61, ahead_max_s: 60 })),
        (T0 - 60, Ok(())),
        (T0, Ok(())),
        (T0 + 60, Ok(())),
        (T0 + 61, Err(Fault::Stale { age_s: 61, age_max_s: 60 })),
    ] {
        assert_eq!(signer.verify_at(HEADER, PAYLOAD, now_s), expected, "{now_s}");
    }
    signer.policy.freshness_s = 5;
    signer.policy.ahead_s = 0;
    assert_eq!(signer.verify_at(HEADER, PAYLOAD, T0 + 6), Err(Fault::Stale { age_s: 6, age_max_s: 5 }));
    assert_eq!(signer.verify_at(HEADER, PAYLOAD, T0 - 1), Err(Fault::Ahead { ahead_s: 1, ahead_max_s: 0 }));
    for extreme in ["9223372036854775807", "-9223372036854775808"] {
        let payload = PAYLOAD.replace("1795300000", extreme);
        assert_eq!(signer.verify_at(HEADER, &payload, T0).unwrap_err().sip_code(), 403, "{extreme}");
    }
}

// rfc8225:8.1-2.
#[test]
fn a_type_nobody_knows_is_reported_and_not_guessed() {
    let signer = signer();
    let header = HEADER.replace(r#""typ""#, r#""ppt":"future","typ""#);
    assert_eq!(signer.verify_at(&header, PAYLOAD, T0), Err(Fault::UnknownType));
    let read = Passport::parse(
        token(&signer.issued.key, header.as_bytes(), PAYLOAD.as_bytes()).as_bytes(),
        &Leniency::STRICT,
    );
    assert_eq!(read.unwrap().claims().kind.ppt(), Some("future"));
}

#[test]
fn no_number_appears_in_a_message_or_a_debug_form() {
    let signer = signer();
    let payload = PAYLOAD.replacen('{', r#"{"rcd":{"apn":"12155551212","nam":"x"},"#, 1);
    let header = HEADER.replace(r#""typ""#, r#""ppt":"rcd","typ""#);
    let token = token(&signer.issued.key, header.as_bytes(), payload.as_bytes());
    let serve = |_: &str| Some(signer.issued.chain_pem.clone().into_bytes());
    let facts = call("12155551212", "12355551212");
    let verdict = signer.policy.verify(token.as_bytes(), &serve, &facts, at_s(T0)).unwrap();
    let stranger =
        signer.policy.verify(token.as_bytes(), &serve, &call("12155551213", "12355551212"), at_s(T0));
    let shown = format!(
        "{verdict:?} {:?} {facts:?} {:?} {}",
        verdict.passport.claims(),
        signer.issued,
        stranger.unwrap_err()
    );
    for secret in ["2155551", "3555512", &token[..20], "PRIVATE"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
