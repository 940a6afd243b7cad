//! PASSporTs and Identity header fields, as they come from anybody.
//!
//! An input is read as both. One that begins with `{` is taken for header and payload in JSON with a line
//! end between them, so that claims can be changed without base64 in the way.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use herald_core::TelephoneNumber;
use herald_stir::{
    CallFacts, CertificateReference, Claims, Fault, Identity, IdentityHeader, Json, Leniency, Passport,
    SigningKey,
};

use crate::fixed::Fixed;

/// Seconds of a Date header field, for compact PASSporTs.
const DATE_S: i64 = 1_795_300_000;

/// Reads `data` as a token and as a header field value.
///
/// # Panics
/// If strict reading takes what lenient reading refuses or reads otherwise, or something that was read is not the
/// same after it was written and read again.
pub fn check(data: &[u8]) {
    if data.first() == Some(&b'{') {
        check_token(token(data).as_bytes());
        return;
    }
    check_token(data);
    check_header(data);
}

fn token(text: &[u8]) -> String {
    let end = text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len());
    let (header, payload) = (&text[..end], text.get(end + 1..).unwrap_or_default());
    let signature = [1; 64];
    [header, payload, &signature].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

fn check_token(token: &[u8]) {
    let strict = Passport::parse(token, &Leniency::STRICT);
    let lenient = Passport::parse(token, &Leniency::LENIENT);
    check_agreement(&strict, &lenient);
    if let Ok(passport) = strict {
        check_signed_again(&passport);
    }
}

/// What strict reading takes, lenient reading takes for the same; a refusal can be said in SIP.
fn check_agreement(strict: &Result<Passport, Fault>, lenient: &Result<Passport, Fault>) {
    if strict.is_ok() {
        assert_eq!(strict, lenient, "lenient reading takes less, or reads otherwise");
    }
    for result in [strict, lenient] {
        match result {
            Ok(passport) => check_discretion(passport),
            Err(fault) => {
                assert!((400..700).contains(&fault.sip_code()), "{} is no refusal", fault.sip_code());
                assert!(!fault.phrase().is_empty() && !fault.to_string().is_empty());
            }
        }
    }
}

/// No party is shown in full in a log.
fn check_discretion(passport: &Passport) {
    let claims = passport.claims();
    assert!(!format!("{passport:?}{claims:?}").is_empty());
    for party in claims.dest.iter().chain([&claims.orig]) {
        let full = match party {
            Identity::Tn(number) => number.to_string(),
            Identity::Uri(uri) => uri.clone(),
        };
        assert!(!format!("{party:?}").contains(&full), "Debug shows a party");
    }
}

/// Claims that were read strictly can be signed, and are then read as what they were.
fn check_signed_again(passport: &Passport) {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    let key = KEY.get_or_init(|| SigningKey::generate(&Fixed::new(2)));
    let claims = passport.claims();
    let signed = claims.sign(passport.certificate(), key);
    // Others may name claims as they like; what we sign has names in ASCII (RFC 8225 section 5).
    if claims.extra.values().any(has_inexact) || !claims.extra.keys().all(|name| name.is_ascii()) {
        assert!(signed.is_err(), "a number that was not kept was signed, or a name that is not ASCII");
        return;
    }
    let signed = signed.expect("what a strict reader takes can be signed");
    let lenient_length = Leniency { bytes_max: usize::MAX, ..Leniency::STRICT };
    let again =
        Passport::parse(signed.as_bytes(), &lenient_length).expect("what was signed is read strictly");
    assert_eq!(normal(again.claims()), normal(claims));
    assert_eq!(again.certificate(), passport.certificate());
    assert_eq!(again.verify_signature(&key.verifying_key()), Ok(()));
    let third = again.claims().sign(again.certificate(), key).expect("it was signed before");
    assert_eq!(
        signing_input(&third),
        signing_input(&signed),
        "the form of RFC 8225 section 9 is not one form"
    );
}

fn signing_input(token: &str) -> &str {
    token.rsplit_once('.').expect("a token has a signature").0
}

/// The claims with the destinations sorted and without repetition, as a signer writes them.
fn normal(claims: &Claims) -> Claims {
    let dest: BTreeSet<Identity> = claims.dest.iter().cloned().collect();
    Claims { dest: dest.into_iter().collect(), ..claims.clone() }
}

fn has_inexact(value: &Json) -> bool {
    match value {
        Json::Inexact => true,
        Json::Array(items) => items.iter().any(has_inexact),
        Json::Object(members) => members.values().any(has_inexact),
        _ => false,
    }
}

fn check_header(value: &[u8]) {
    let number = |text: &str| text.parse::<TelephoneNumber>().expect("a number");
    let call = CallFacts::new(number("12155551212").into(), number("12355551212").into());
    let header = IdentityHeader::new(value);
    let read = |leniency: &Leniency| header.passport(&call, Some(DATE_S), leniency);
    let strict = read(&Leniency::STRICT);
    check_agreement(&strict, &read(&Leniency::LENIENT));
    assert!(!header.is_compact() || header.passport(&call, None, &Leniency::LENIENT).is_err());
    let Ok(passport) = strict else { return };
    let claims = passport.claims();
    if header.is_compact() {
        assert_eq!(*claims, Claims::base(call.orig, call.dest, DATE_S));
        assert!(matches!(passport.certificate(), CertificateReference::Url(_)));
    } else {
        let token = value.split(|&sign| sign == b';').next().unwrap_or_default().trim_ascii();
        assert_eq!(Passport::parse(token, &Leniency::STRICT), Ok(passport));
    }
}
