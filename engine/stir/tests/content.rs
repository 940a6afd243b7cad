//! Digests over what comes beside a PASSporT: `msgi` over a message, `rcdi` over rich call data.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Seeded, at_s, number};
use herald_stir::issue::{DevelopmentAuthority, Validity};
use herald_stir::{
    CallContext, CallFacts, CertificateReference, Claims, Fault, IdentityValue, TnAuthList, TnEntry,
    TrustStore, VerificationPolicy, content_digest,
};

const NOW_S: u64 = 1_795_300_000;
const ICON: &[u8] = b"\x89PNG icon";
const CARD: &str = r#"["vcard",[["fn",{},"text","Example"],["logo",{},"uri","https://a.example/icon.png"]]]"#;

/// Verifies a PASSporT of type `ppt` with these claims beside the usual ones, under the setting `rich_content`.
fn judge(ppt: &str, claims: &str, rich_content: &str, message: Option<&[u8]>) -> Option<Fault> {
    let random = Seeded::new(3);
    let validity = Validity { from_s: NOW_S - 60, to_s: NOW_S + 60 };
    let authority = DevelopmentAuthority::new("content", validity, &random).unwrap();
    let orig = number("12025550100");
    let list = TnAuthList::new(vec![TnEntry::One(orig)]).unwrap();
    let signer = authority.issue("signer", &list, validity, &random).unwrap();
    let payload = format!(
        r#"{{"iat":{NOW_S},"orig":{{"tn":"12025550100"}},"dest":{{"tn":["12025550123"]}},{claims}}}"#
    );
    let claims = Claims::from_payload(payload.as_bytes(), Some(ppt)).unwrap();
    let chain = CertificateReference::inline_from_pem(signer.chain_pem.as_bytes()).unwrap();
    let token = claims.sign(&chain, &signer.key).unwrap();

    let mut policy = VerificationPolicy::new(TrustStore::from_pem(authority.root_pem().as_bytes()).unwrap());
    policy.set("rich_content", rich_content).unwrap();
    let facts = CallFacts::new(orig.into(), number("12025550123").into());
    let linked = |url: &str| match url {
        "https://a.example/icon.png" => Some(ICON.to_vec()),
        "https://a.example/card.json" => Some(CARD.as_bytes().to_vec()),
        _ => None,
    };
    let context = CallContext { message, linked: &linked, ..CallContext::of(&facts) };
    let nothing = |_: &str| None;
    let value = IdentityValue::Token(token.as_bytes());
    policy.verify_one(value, &context, &nothing, at_s(NOW_S)).outcome().err().cloned()
}

fn digest(content: impl AsRef<[u8]>) -> String {
    content_digest(content.as_ref())
}

#[test]
fn a_message_is_the_one_that_was_signed() {
    let body = "Content-Type: text/plain\r\n\r\nHello";
    let with = format!(r#""msgi":"{}""#, digest(body));
    let padded = format!(r#""msgi":"{}=""#, digest(body));
    let sha384 = format!(r#""msgi":"sha384-{}""#, "A".repeat(64));
    const WRONG: Option<Fault> = Some(Fault::Digest("msgi"));
    const FORM: Option<Fault> = Some(Fault::Claim("msgi"));
    let cases: &[(&str, &str, Option<&str>, Option<Fault>)] = &[
        ("msg", &with, Some(body), None),
        ("msg", &padded, Some(body), None),
        ("msg", &with, Some("other"), WRONG),
        ("msg", &with, Some(""), WRONG),
        ("msg", &sha384, Some(body), WRONG),
        // Without a body there is nothing to compare, without a digest nothing to compare it with.
        ("msg", &with, None, None),
        ("msg", r#""mky":[]"#, Some(body), None),
        ("msg", r#""msgi":"md5-AAAA""#, Some(body), FORM),
        ("msg", r#""msgi":"sha256-AAAA""#, Some(body), FORM),
        ("msg", r#""msgi":7"#, None, FORM),
        // In other types it is none of ours (RFC 9475 §3.2).
        ("rcd", &format!(r#"{with},"rcd":{{"nam":"x"}}"#), Some("other"), None),
    ];
    for (ppt, claims, message, expected) in cases {
        assert_eq!(
            judge(ppt, claims, "given", message.map(str::as_bytes)),
            *expected,
            "{claims} {message:?}"
        );
    }
}

#[test]
fn rich_call_data_is_what_was_signed() {
    const WRONG: Option<Fault> = Some(Fault::Digest("rcdi"));
    const FORM: Option<Fault> = Some(Fault::Claim("rcdi"));
    const RCD: Option<Fault> = Some(Fault::Claim("rcd"));
    let icon = r#""rcd":{"nam":"Example","icn":"https://a.example/icon.png"}"#;
    let absent = r#""rcd":{"nam":"Example","icn":"https://a.example/absent.png"}"#;
    let linked_card = r#""rcd":{"nam":"Example","jcl":"https://a.example/card.json"}"#;
    let card = format!(r#""rcd":{{"nam":"Example","jcd":{CARD}}}"#);
    let with = |rcd: &str, digests: &[(&str, String)]| {
        let members: Vec<_> =
            digests.iter().map(|(pointer, digest)| format!(r#""{pointer}":"{digest}""#)).collect();
        format!(r#"{rcd},"rcdi":{{{}}}"#, members.join(","))
    };
    let (good, other) = (digest(ICON), digest("other"));
    let cases: &[(String, &str, Option<Fault>)] = &[
        (with(icon, &[("/icn", good.clone())]), "compared", None),
        (with(icon, &[("/icn", other.clone())]), "given", WRONG),
        (icon.to_owned(), "given", None),
        (icon.to_owned(), "digested", Some(Fault::NoDigest)),
        (with(absent, &[("/icn", good.clone())]), "digested", None),
        (with(absent, &[("/icn", good.clone())]), "compared", Some(Fault::NoContent)),
        // A value is digested with its quotes, in the form of RFC 8225 §9.
        (with(icon, &[("/nam", digest(r#""Example""#))]), "given", None),
        (with(icon, &[("/nam", digest("Example"))]), "given", WRONG),
        (with(&card, &[("/jcd", digest(CARD))]), "compared", None),
        (with(&card, &[("/jcd", other.clone())]), "given", WRONG),
        // What a card links to is digested itself, in the claim or one link away.
        (with(&card, &[("/jcd/1/1/3", good.clone())]), "compared", None),
        (with(&card, &[("/jcd/1/1/3", other.clone())]), "given", WRONG),
        (with(&card, &[("/jcd/1/0/3", digest(r#""Example""#))]), "compared", None),
        (with(linked_card, &[("/jcl", digest(CARD)), ("/jcl/1/1/3", good.clone())]), "compared", None),
        (with(linked_card, &[("/jcl", digest(CARD)), ("/jcl/1/1/3", other.clone())]), "given", WRONG),
        (with(linked_card, &[("/jcl/1/9", good.clone())]), "given", WRONG),
        (with(icon, &[("/absent", good.clone())]), "given", FORM),
        (with(icon, &[("nam", good.clone())]), "given", FORM),
        (with(icon, &[("/icn", "sha1-AAAA".into())]), "given", FORM),
        (format!(r#"{icon},"rcdi":[]"#), "given", FORM),
        (r#""rcd":{"apn":"12025550100"}"#.into(), "given", RCD),
        (r#""rcd":{"nam":"x","jcd":[],"jcl":"https://a.example/card.json"}"#.into(), "given", RCD),
    ];
    for (claims, setting, expected) in cases {
        assert_eq!(judge("rcd", claims, setting, None), *expected, "{setting}: {claims}");
        // The claim is judged the same in a PASSporT of another type.
        let shaken = format!(r#"{claims},"attest":"A","origid":"123e4567-e89b-12d3-a456-426655440000""#);
        assert_eq!(judge("shaken", &shaken, setting, None), *expected, "shaken, {setting}: {claims}");
    }
}
