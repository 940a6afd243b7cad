//! PASSporTs that other people's software made, each with the verdict the RFCs ask for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;

use common::{at_s, call, identity, read, read_text, read_token, shared, table};
use herald_stir::{
    CertificateChain, Fault, IdentityHeader, Leniency, Passport, Stage, TrustStore, Verdict,
    VerificationPolicy, VerifyingKey,
};

/// Rows of `fixtures/EXPECTED.tsv` left for later, each with the reason. None at the moment.
const LATER: &[(&str, &str)] = &[];

/// What is decided for the rows marked POLICY: the strict verdict is the row's stage and code, and this is what
/// the lenient one is. `None`: accepted.
const LENIENT: &[(&str, Option<Stage>)] = &[
    ("v03-shaken-B-ruby-plus-tns", None),
    ("v19-div-ruby-plus-tns", None),
    ("p02-iat-string-plain", None),
    ("p04-dest-tn-string", None),
    ("p06-origid-not-uuid", None),
    ("p07-x5u-http", None),
    ("n39-cert-chain-reversed", None),
    ("n84-b64-padding", None),
    ("h04-no-ppt", None),
    ("h16-trailing-garbage", None),
    // What SIP does not carry cannot be forgiven.
    ("c01-compact-shaken", Some(Stage::SipHeader)),
    ("n8f-oversize", None),
];

type Row = BTreeMap<String, String>;

/// What an `x5u` serves: the fixtures say `NAME.pem` is `pki/NAME.chain.pem`, else `pki/NAME.pem`.
fn serve(url: &str) -> Option<Vec<u8>> {
    let name = url.split_once("://certs.example.net/")?.1.strip_suffix(".pem")?;
    let folder = shared("fixtures/pki");
    ["chain.pem", "pem"].iter().find_map(|end| std::fs::read(folder.join(format!("{name}.{end}"))).ok())
}

fn policy(crl: &str, leniency: Leniency) -> VerificationPolicy {
    let trust = TrustStore::from_pem(&read("fixtures/pki/root.pem")).unwrap();
    let trust = trust.with_crls_pem(&read(&format!("fixtures/pki/{crl}"))).unwrap();
    VerificationPolicy { leniency, ..VerificationPolicy::new(trust) }
}

/// Verifies the token of a row alone, as it comes out of band.
fn verify_token(row: &Row, policy: &VerificationPolicy) -> Verdict {
    let token = read_token(&format!("fixtures/passports/{}.jwt", row["id"]));
    let facts = call(&row["sip_orig"], &row["sip_dest"]);
    policy.verify(&token, &serve, &facts, at_s(row["verify_at"].parse().unwrap()))
}

/// Verifies the Identity header field of a row. Its Date, which only compact forms need, is the reference time.
fn verify_header(row: &Row, policy: &VerificationPolicy) -> Verdict {
    const T0: i64 = 1_795_300_000;
    let value = read_token(&format!("fixtures/identity/{}.hdr", row["id"]));
    let facts = call(&row["sip_orig"], &row["sip_dest"]);
    policy.verify_header(&value, &serve, &facts, Some(T0), at_s(row["verify_at"].parse().unwrap()))
}

/// Whether the header field around the token is what the row is about.
fn is_about_header(row: &Row) -> bool {
    row["id"].starts_with(['h', 'c'])
}

fn verify(row: &Row, policy: &VerificationPolicy) -> Verdict {
    if is_about_header(row) { verify_header(row, policy) } else { verify_token(row, policy) }
}

fn told(verdict: &Verdict) -> String {
    match verdict {
        Ok(_) => "ACCEPT - 200".into(),
        Err(fault) => format!("REJECT {} {}", fault.stage().name(), fault.sip_code()),
    }
}

fn wanted(row: &Row) -> String {
    let verdict = if row["expected"] == "ACCEPT" { "ACCEPT" } else { "REJECT" };
    format!("{verdict} {} {}", row["stage"], row["sip_code"])
}

// rfc8226:4-1.
#[test]
fn every_foreign_passport_gets_the_verdict_of_its_row() {
    let strict = policy("inter-revoked.crl.pem", Leniency::STRICT);
    let rows = table("fixtures/EXPECTED.tsv");
    let mut wrong = Vec::new();
    let mut left = 0;
    for row in &rows {
        let (verdict, wanted) = (told(&verify(row, &strict)), wanted(row));
        let later = LATER.iter().find(|(id, _)| id == &row["id"]);
        left += usize::from(later.is_some());
        match later {
            Some((id, reason)) if verdict == wanted => {
                wrong.push(format!("{id} is right already ({reason})"))
            }
            None if verdict != wanted => wrong.push(format!("{}: {verdict}, wanted {wanted}", row["id"])),
            _ => {}
        }
    }
    println!(
        "fixtures: {} rows run, {} as expected, {left} left",
        rows.len(),
        rows.len() - left - wrong.len()
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(left, LATER.len(), "a row left for later is not there");
}

#[test]
fn a_token_gets_the_same_verdict_in_its_header_field() {
    let mut run = 0;
    for leniency in [Leniency::STRICT, Leniency::LENIENT] {
        let policy = policy("inter-revoked.crl.pem", leniency);
        for row in table("fixtures/EXPECTED.tsv").iter().filter(|row| !is_about_header(row)) {
            assert_eq!(
                told(&verify_header(row, &policy)),
                told(&verify_token(row, &policy)),
                "{}",
                row["id"]
            );
            run += 1;
        }
    }
    println!("header fields: {run} verdicts equal to the token's");
}

#[test]
fn what_policy_decides_is_refused_strictly_and_decided_leniently() {
    let strict = policy("inter-revoked.crl.pem", Leniency::STRICT);
    let lenient = policy("inter-revoked.crl.pem", Leniency::LENIENT);
    let rows = table("fixtures/EXPECTED.tsv");
    let rows = rows.iter().filter(|row| row["expected"] == "POLICY");
    let mut decided = 0;
    for row in rows {
        let id = &row["id"];
        let (_, want) =
            LENIENT.iter().find(|(name, _)| name == id).unwrap_or_else(|| panic!("{id} is undecided"));
        assert!(verify(row, &strict).is_err(), "{id} strictly");
        let verdict = verify(row, &lenient);
        assert_eq!(verdict.as_ref().err().map(Fault::stage), *want, "{id} leniently: {}", told(&verdict));
        decided += 1;
    }
    assert_eq!(decided, LENIENT.len(), "a decision without a row");
}

#[test]
fn leniency_forgives_no_row_that_must_be_rejected() {
    let lenient = policy("inter-revoked.crl.pem", Leniency::LENIENT);
    for row in table("fixtures/EXPECTED.tsv") {
        if row["expected"] == "POLICY" {
            continue;
        }
        assert_eq!(told(&verify(&row, &lenient)), wanted(&row), "{}", row["id"]);
    }
}

#[test]
fn a_certificate_that_its_revocation_list_does_not_name_is_accepted() {
    let policy = policy("inter-ok.crl.pem", Leniency::STRICT);
    let rows = table("fixtures/EXPECTED.tsv");
    let row = rows.iter().find(|row| row["id"] == "n36-cert-revoked").unwrap();
    assert_eq!(told(&verify(row, &policy)), "ACCEPT - 200");
}

#[test]
fn a_diverted_call_is_followed_to_its_original() {
    let policy = policy("inter-ok.crl.pem", Leniency::STRICT);
    let rows = table("fixtures/EXPECTED.tsv");
    let original =
        Passport::parse(&read_token("fixtures/passports/v01-shaken-A-secsipidx.jwt"), &Leniency::STRICT);
    for id in ["v20-div-o-jwcrypto", "v21-div-o-secsipidx-2-level"] {
        let row = rows.iter().find(|row| row["id"] == id).unwrap();
        let accepted = verify(row, &policy).unwrap();
        assert_eq!(accepted.original.unwrap(), *original.as_ref().unwrap(), "{id}");
    }
}

// rfc9060:7-1.
#[test]
fn chains_of_the_pki_are_judged_one_by_one() {
    let trust = TrustStore::from_pem(&read("fixtures/pki/root.pem")).unwrap();
    let judge = |file: &str| {
        let chain = CertificateChain::from_pem(&read(&format!("fixtures/pki/{file}")))?;
        if !chain.is_in_order() {
            return Err(Fault::ChainOrder);
        }
        chain.verify(&trust, at_s(1_795_300_000)).map(|_| ())
    };
    let cases = [
        ("leaf-spc.chain.pem", Ok(())),
        ("leaf-spc.chain-with-root.pem", Ok(())),
        ("leaf-one-tn.chain.pem", Ok(())),
        ("leaf-range.chain.pem", Ok(())),
        ("leaf-mixed.chain.pem", Ok(())),
        ("leaf-oob-uri.chain.pem", Ok(())),
        ("leaf-expired.chain.pem", Err(Fault::Expired)),
        ("leaf-future.chain.pem", Err(Fault::NotYetValid)),
        ("leaf-untrusted.chain.pem", Err(Fault::Untrusted)),
        ("leaf-spc.chain-reversed.pem", Err(Fault::ChainOrder)),
        ("leaf-spc.pem", Err(Fault::Untrusted)),
        ("inter.pem", Err(Fault::ChainOrder)),
        ("garbage-empty.pem", Err(Fault::NoCertificate)),
        ("garbage.pem", Err(Fault::NoCertificate)),
    ];
    for (file, expected) in cases {
        assert_eq!(judge(file), expected, "{file}");
    }
}

#[test]
fn a_malformed_tn_auth_list_leaves_a_valid_chain_without_authority() {
    let trust = TrustStore::from_pem(&read("fixtures/pki-libstirshaken/ca.pem")).unwrap();
    let pem = read("fixtures/pki-libstirshaken/sp.pem");
    let chain = CertificateChain::from_pem(&pem).unwrap();
    // It was made half an hour after the other fixtures' time.
    let verified = chain.verify(&trust, at_s(1_795_310_000)).unwrap();
    for party in ["12155551212", "sip:bob@example.com"] {
        assert_eq!(
            verified.authority(&identity(party), &serve, at_s(1_795_310_000)),
            Err(Fault::TnAuthList),
            "{party}"
        );
    }
    assert_eq!(Fault::TnAuthList.stage(), Stage::Authority);
}

/// Rows of `fixtures/rfc/EXPECTED.tsv` about the Identity header field or the compact form: they have a test of
/// their own.
const RFC_HEADERS: &[&str] =
    &["rfc8225-7.1-compact.jwt", "rfc8224-full.identity", "rfc8224-compact.identity"];

#[test]
fn examples_printed_in_rfcs_verify_where_they_are_right() {
    let rows = table("fixtures/rfc/EXPECTED.tsv");
    let mut run = 0;
    for row in &rows {
        let (file, key, expected) = (row["file"].as_str(), row["key"].as_str(), row["expected"].as_str());
        if RFC_HEADERS.contains(&file) {
            continue;
        }
        run += 1;
        let token = read_token(&format!("fixtures/rfc/{file}"));
        let passport = Passport::parse(&token, &Leniency::LENIENT);
        let outcome = if key == "-" {
            passport.err().map(|fault| fault.stage())
        } else {
            let key = VerifyingKey::from_pem(&read_text(&format!("fixtures/rfc/{key}"))).unwrap();
            passport.unwrap().verify_signature(&key).err().map(|fault| fault.stage())
        };
        let stage = outcome.map_or("-", Stage::name);
        let signature_is_dummy = expected.contains("(dummy)");
        let wanted = match expected.split([' ', ';']).collect::<Vec<_>>()[..] {
            ["ACCEPT", ..] => "-",
            // The RFC names no key for it: it is read, and there is nothing to verify it with.
            ["REJECT", ..] if signature_is_dummy => "-",
            ["REJECT", stage, ..] => stage,
            _ => panic!("{file}: {expected}"),
        };
        assert_eq!(stage, wanted, "{file} with {key}: {expected}");
    }
    println!(
        "rfc fixtures: {} rows, {run} run and as expected, {} in the test of header fields",
        rows.len(),
        rows.len() - run
    );
    assert_eq!(run, rows.len() - RFC_HEADERS.len());
}

#[test]
fn strictness_refuses_the_examples_whose_form_is_wrong() {
    let cases = [
        ("rfc8225-7.1-full-iat-string.jwt", Some(Fault::Iat)),
        ("rfc8946-div-o.jwt", Some(Fault::Claim("dest"))),
        ("rfc8443-rph.jwt", Some(Fault::Json("payload"))),
        ("rfc8816-passport.jwt", Some(Fault::Iat)),
        ("rfc8225-7.1-compact.jwt", Some(Fault::CompactForm)),
        ("rfc8946-div.jwt", None),
        ("rfc8946-opt-inner.jwt", None),
        ("rfc8225-appendix-a.jwt", None),
    ];
    for (file, expected) in cases {
        let passport = Passport::parse(&read_token(&format!("fixtures/rfc/{file}")), &Leniency::STRICT);
        assert_eq!(passport.err(), expected, "{file}");
    }
}

#[test]
fn header_fields_printed_in_rfcs_are_judged_as_the_rows_say() {
    let key = VerifyingKey::from_pem(&read_text("fixtures/rfc/rfc8225-a2.pub.pem")).unwrap();
    let facts = call("12155551212", "sip:alice@example.com");
    let judge = |value: &[u8]| {
        let passport =
            IdentityHeader::new(value).passport(&facts, Some(1_443_208_345), &Leniency::LENIENT)?;
        passport.verify_signature(&key)
    };
    // The field names another certificate than the PASSporT in it.
    assert_eq!(judge(&read_token("fixtures/rfc/rfc8224-full.identity")), Err(Fault::InfoMismatch));
    assert_eq!(judge(&read_token("fixtures/rfc/rfc8224-compact.identity")), Err(Fault::Signature));
    // The right certificate, and still the signer had written iat as a text, which nobody can rebuild.
    let mut compact = read_token("fixtures/rfc/rfc8225-7.1-compact.jwt");
    compact.extend_from_slice(b";info=<https://cert.example.org/passport.cer>");
    assert_eq!(judge(&compact), Err(Fault::Signature));
}
