//! The parameters of an Identity header field: what may vary, and what must repeat the PASSporT.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Seeded, call, identity};
use herald_stir::{
    Attestation, CertificateReference, Claims, Fault, IdentityHeader, Leniency, Passport, PassportType,
    SigningKey,
};

const T0: i64 = 1_795_300_000;
const X5U: &str = "https://certs.example.net/a.pem";
const LIST: Fault = Fault::IdentityHeader("list of parameters");
const INFO: Fault = Fault::IdentityHeader("info");
const PPT: Fault = Fault::IdentityHeader("ppt");

fn key() -> SigningKey {
    SigningKey::generate(&Seeded::new(2))
}

fn base() -> Claims {
    Claims::base(identity("12155551212"), identity("12355551212"), T0)
}

fn shaken() -> Claims {
    let origid = "123e4567-e89b-12d3-a456-426655440000";
    Claims::shaken(identity("12155551212"), identity("12355551212"), T0, Attestation::Full, origid.into())
}

fn sign(claims: &Claims) -> String {
    claims.sign(&CertificateReference::Url(X5U.into()), &key()).unwrap()
}

fn judge(value: &str, leniency: &Leniency) -> Option<Fault> {
    let facts = call("12155551212", "12355551212");
    IdentityHeader::new(value.as_bytes())
        .passport(&facts, Some(T0), leniency)
        .and_then(|passport| passport.verify_signature(&key().verifying_key()))
        .err()
}

#[test]
fn parameters_are_read_as_sip_writes_them_and_repeat_the_passport() {
    let token = sign(&shaken());
    let cases = [
        (";info=<https://certs.example.net/a.pem>;alg=ES256;ppt=shaken", None),
        (" ; info = <https://certs.example.net/a.pem> ; alg = ES256 ; ppt = \"shaken\"", None),
        (";PPT=shaken;Alg=\"ES256\";INFO=<https://certs.example.net/a.pem>", None),
        (";info=<https://certs.example.net/a.pem>;ppt=shaken;new=1;flag;other=\"a;b\"", None),
        ("", Some(INFO)),
        (";alg=ES256;ppt=shaken", Some(INFO)),
        (";info=https://certs.example.net/a.pem;ppt=shaken", Some(INFO)),
        (";info=\"https://certs.example.net/a.pem\";ppt=shaken", Some(INFO)),
        (";info;ppt=shaken", Some(INFO)),
        (";info=<https://certs.example.net/b.pem>;ppt=shaken", Some(Fault::InfoMismatch)),
        (";info=<>;ppt=shaken", Some(Fault::InfoMismatch)),
        (";info=<https://certs.example.net/a.pem>;ppt=div", Some(PPT)),
        (";info=<https://certs.example.net/a.pem>;ppt", Some(PPT)),
        (";info=<https://certs.example.net/a.pem>", Some(PPT)),
        (";info=<https://certs.example.net/a.pem>;alg=es256;ppt=shaken", Some(Fault::HeaderAlgorithm)),
        (";info=<https://certs.example.net/a.pem>;flag;alg=HS256;ppt=shaken", Some(Fault::HeaderAlgorithm)),
        (";info=<https://certs.example.net/a.pem>;ppt=shaken;ppt=shaken", Some(LIST)),
        (";info=<https://certs.example.net/a.pem>;alg=ES256;alg=HS256;ppt=shaken", Some(LIST)),
        (";info=<https://certs.example.net/a.pem>;ppt=shaken,next", Some(LIST)),
        (";info=<https://certs.example.net/a.pem>x;ppt=shaken", Some(LIST)),
        (";info=<https://certs.example.net/a.pem;ppt=shaken", Some(LIST)),
        (";info=<https://certs.example.net/a.pem>;;ppt=shaken", Some(LIST)),
        (";info=<https://certs.example.net/a.pem>;ppt=", Some(LIST)),
        (";info=<https://certs.example.net/a.pem>;ppt=\"shaken", Some(LIST)),
        (";info=<https://certs.example.net/a.pem>;ppt=shaken;", Some(LIST)),
        (";info=<https://certs.example.net/a.pem>;ppt=shaken;=x", Some(LIST)),
    ];
    for (parameters, fault) in cases {
        assert_eq!(judge(&format!("{token}{parameters}"), &Leniency::STRICT), fault, "{parameters:?}");
    }
    for parameters in
        [";info=<https://certs.example.net/a.pem>", ";info=<https://certs.example.net/a.pem>;ppt=shaken; "]
    {
        assert_eq!(judge(&format!("{token}{parameters}"), &Leniency::LENIENT), None, "{parameters:?}");
    }
}

// rfc8225:7-1, rfc8225:7-2, rfc8225:8.1-4, rfc8946:3-4.
#[test]
fn a_compact_form_is_rebuilt_from_the_call_and_its_date() {
    let token = sign(&base());
    let signature = token.rsplit_once('.').unwrap().1;
    let value = format!("..{signature};info=<{X5U}>;alg=ES256");
    let passport = Passport::parse(token.as_bytes(), &Leniency::STRICT).unwrap();
    assert_eq!(IdentityHeader::write_compact(&passport).as_ref(), Some(&value));
    assert_eq!(judge(&value, &Leniency::STRICT), None);
    for ppt in ["shaken", "div", "div-o"] {
        assert_eq!(
            judge(&format!("{value};ppt={ppt}"), &Leniency::STRICT),
            Some(Fault::CompactType),
            "{ppt}"
        );
    }
    assert_eq!(judge(&value.replace("a.pem", "b.pem"), &Leniency::STRICT), Some(Fault::Signature));
    assert_eq!(judge(&value.replace("https", "http"), &Leniency::STRICT), Some(Fault::X5uScheme));
    assert_eq!(
        judge(&format!("..{};info=<{X5U}>", &signature[2..]), &Leniency::STRICT),
        Some(Fault::SignatureLength(63))
    );
    assert_eq!(judge(&format!("...{signature};info=<{X5U}>"), &Leniency::STRICT), Some(Fault::Segments(4)));

    let header = IdentityHeader::new(value.as_bytes());
    let rebuild = |orig, date_s| {
        let passport = header.passport(&call(orig, "12355551212"), date_s, &Leniency::STRICT)?;
        passport.verify_signature(&key().verifying_key())
    };
    assert!(header.is_compact());
    assert_eq!(rebuild("12155551212", Some(T0)), Ok(()));
    assert_eq!(rebuild("12155551212", Some(T0 + 1)), Err(Fault::Signature));
    assert_eq!(rebuild("12155551213", Some(T0)), Err(Fault::Signature));
    let no_date = rebuild("12155551212", None).unwrap_err();
    assert_eq!(no_date, Fault::IdentityHeader("Date beside a compact PASSporT"));
}

#[test]
fn a_passport_is_written_as_it_is_read_or_not_at_all() {
    let written = |claims: &Claims, x5u: &str| {
        let token = claims.sign(&CertificateReference::Url(x5u.into()), &key()).unwrap();
        let passport = Passport::parse(token.as_bytes(), &Leniency::STRICT).unwrap();
        assert_eq!(passport.to_token(), token);
        IdentityHeader::write(&passport).map(|value| value.strip_prefix(&token).unwrap().to_owned())
    };
    let unknown = |ppt: &str| Claims { kind: PassportType::Unknown(ppt.into()), ..base() };
    for (claims, x5u, expected) in [
        (shaken(), X5U, Some(";info=<https://certs.example.net/a.pem>;alg=ES256;ppt=shaken")),
        (base(), X5U, Some(";info=<https://certs.example.net/a.pem>;alg=ES256")),
        (unknown("new"), X5U, Some(";info=<https://certs.example.net/a.pem>;alg=ES256;ppt=new")),
        (unknown("a\"\r\nFrom: b"), X5U, None),
        (base(), "https://certs.example.net/a>;alg=none;b=<.pem", None),
    ] {
        let written = written(&claims, x5u);
        assert_eq!(written.as_deref(), expected, "{x5u}");
        if claims.kind.ppt() != Some("new")
            && let Some(parameters) = written
        {
            assert_eq!(judge(&(sign(&claims) + &parameters), &Leniency::STRICT), None);
        }
    }
}
