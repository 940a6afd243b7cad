//! `herald verify`, `sign`, `seal` and `open` over the fixtures, as other people's scripts run them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn shared(path: &str) -> PathBuf {
    let root = std::env::var_os("HERALD_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    root.join(path)
}

fn path(name: &str) -> String {
    shared(name).to_str().unwrap().to_owned()
}

type Row = BTreeMap<String, String>;

fn table(name: &str) -> Vec<Row> {
    let text = std::fs::read_to_string(shared(name)).expect("the fixtures are there; set HERALD_SHARED");
    let mut lines = text.lines();
    let names: Vec<_> = lines.next().unwrap().split('\t').map(str::to_owned).collect();
    lines.map(|line| names.iter().cloned().zip(line.split('\t').map(str::to_owned)).collect()).collect()
}

/// The exit code, the JSON on standard output, and standard error.
fn herald(arguments: &[&str]) -> (Option<i32>, Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_herald")).args(arguments).arg("--json").output().unwrap();
    let answer = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code(), answer, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Verdict, stage and code, with settings, in the words of the tables.
fn verify(file: &str, row: &Row, settings: &[&str]) -> String {
    let (roots, certificates, file) = (path("fixtures/pki/root.pem"), path("fixtures/pki"), path(file));
    let mut arguments = vec!["verify", &file, "--roots", &roots, "--certificates", &certificates];
    arguments.extend(["--at", &row["verify_at"], "--orig", &row["sip_orig"], "--dest", &row["sip_dest"]]);
    for setting in settings {
        arguments.extend(["--policy", setting]);
    }
    let (code, answer, errors) = herald(&arguments);
    let verdict = answer["verdict"].as_str().unwrap_or(&errors).to_owned();
    assert_eq!(code, Some(i32::from(verdict != "accept")), "{file}: {errors}");
    for member in ["reason", "ppi", "orig", "dest", "attest", "div"] {
        assert!(answer.get(member).is_some(), "{file}: no member {member}");
    }
    format!("{verdict} {} {}", answer["stage"].as_str().unwrap(), answer["sip_code"])
}

fn file_of(row: &Row) -> String {
    let id = &row["id"];
    // Of these the header field is what the row is about.
    if id.starts_with(['h', 'c']) {
        format!("fixtures/identity/{id}.hdr")
    } else {
        format!("fixtures/passports/{id}.jwt")
    }
}

fn wanted(row: &Row) -> String {
    let verdict = if row["expected"] == "ACCEPT" { "accept" } else { "reject" };
    format!("{verdict} {} {}", row["stage"], row["sip_code"])
}

#[test]
fn every_token_and_header_field_gets_the_verdict_of_its_row() {
    let rows = table("fixtures/EXPECTED.tsv");
    let mut wrong = Vec::new();
    for row in &rows {
        let header = format!("fixtures/identity/{}.hdr", row["id"]);
        for file in [file_of(row), header] {
            let (got, wanted) = (verify(&file, row, &[]), wanted(row));
            if got != wanted {
                wrong.push(format!("{file}: {got}, wanted {wanted}"));
            }
        }
    }
    println!("{} rows, as token and as header field", rows.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_request_gets_the_verdict_of_its_row() {
    let rows = table("fixtures/SIP_EXPECTED.tsv");
    let mut wrong = Vec::new();
    for row in &rows {
        let file = format!("fixtures/sip/{}.sip", row["id"]);
        let got = verify(&file, row, &[]);
        let verdict = if row["expected"] == "ACCEPT" { "accept" } else { "reject" };
        if !(got.starts_with(verdict) && got.ends_with(&row["sip_code"])) {
            wrong.push(format!("{file}: {got}, wanted {verdict} {}", row["sip_code"]));
        }
    }
    println!("{} requests", rows.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn requests_that_differ_from_a_good_one_are_judged_by_what_they_lack() {
    let row =
        table("fixtures/SIP_EXPECTED.tsv").into_iter().find(|row| row["id"].starts_with("s10")).unwrap();
    let good = std::fs::read_to_string(shared("fixtures/sip/s10-shaken-and-div.sip")).unwrap();
    let identities: Vec<_> = good.lines().filter(|line| line.starts_with("Identity: ")).collect();
    let [shaken, div] = identities[..] else { panic!("{identities:?}") };
    let without = |line: &str| good.replace(&format!("{line}\r\n"), "");
    let broken = |line: &str| good.replace(line, &line.replacen(";info", "A;info", 1));
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("as it is", good.clone(), "accept - 200"),
        ("compact names", good.replace("Identity: ", "y: ").replace("From: ", "f: "), "accept - 200"),
        ("quoted types", good.replace("ppt=div", "ppt=\"div\""), "accept - 200"),
        ("a copy more", good.replace(div, &format!("{div}\r\n{shaken}\r\n{div}")), "accept - 200"),
        ("a broken copy more", good.replace(div, &format!("{div}\r\n{}", broken_value(div))), "accept - 200"),
        ("no PASSporT", without(shaken).replace(&format!("{div}\r\n"), ""), "reject sip-header 428"),
        ("no div, so To is compared", without(div), "accept - 200"),
        ("no original", without(shaken), "reject chain 438"),
        ("a broken div", broken(div), "reject sig 438"),
        (
            "another caller",
            good.replace("From: <sip:12155551212", "From: <sip:12155551213"),
            "reject claims 403",
        ),
        (
            "anonymous",
            good.replace("From: <sip:12155551212@example.net", "From: <sip:anonymous@anonymous.invalid"),
            "reject sip-header 433",
        ),
        (
            "another target",
            good.replace("INVITE sip:12155551214", "INVITE sip:12155551215"),
            "reject claims 403",
        ),
        (
            "no To",
            good.lines().filter(|line| !line.starts_with("To: ")).map(|line| format!("{line}\r\n")).collect(),
            "accept - 200",
        ),
        ("no end", good[..good.find("Content-Type").unwrap()].to_owned(), "reject sip-header 438"),
    ];
    for (what, text, expected) in cases {
        let file = folder.path().join("request");
        std::fs::write(&file, &text).unwrap();
        // An absolute path stays as it is when it is joined to that of the fixtures.
        assert_eq!(verify(file.to_str().unwrap(), &row, &[]), expected, "{what}");
    }
}

/// An Identity line with another signature of the same length.
fn broken_value(line: &str) -> String {
    let end = line.find(";info").unwrap();
    let other = if line[..end].ends_with("AA") { "BA" } else { "AA" };
    format!("{}{other}{}", &line[..end - 2], &line[end..])
}

/// The setting that gives each POLICY row its other outcome.
const OTHER_OUTCOMES: &[(&str, &str)] = &[
    ("v03-shaken-B-ruby-plus-tns", "number_separators=on"),
    ("v19-div-ruby-plus-tns", "number_separators=on"),
    ("p02-iat-string-plain", "iat_as_text=on"),
    ("p04-dest-tn-string", "dest_as_text=on"),
    ("p06-origid-not-uuid", "origid_any=on"),
    ("p07-x5u-http", "x5u_http=on"),
    ("n39-cert-chain-reversed", "chain_any_order=on"),
    ("n84-b64-padding", "base64_padding=on"),
    ("n8f-oversize", "passport_bytes=131072"),
    ("h04-no-ppt", "header_without_ppt=on"),
    ("h16-trailing-garbage", "header_trailing_semicolon=on"),
    ("c01-compact-shaken", "compact_shaken=A,123e4567-e89b-12d3-a456-426655440000"),
    ("s23-from-anonymous-pai", "caller=asserted"),
    ("s26-comma-joined", "sip_comma_joined=on"),
    ("s28-lf-only", "sip_line_feeds=on"),
];

#[test]
fn every_policy_row_has_a_setting_that_accepts_it() {
    let mut rows = table("fixtures/EXPECTED.tsv");
    rows.extend(table("fixtures/SIP_EXPECTED.tsv"));
    let rows: Vec<_> = rows.iter().filter(|row| row["expected"] == "POLICY").collect();
    for row in &rows {
        let id = &row["id"];
        let setting = OTHER_OUTCOMES.iter().find(|(known, _)| known == id).map(|(_, setting)| *setting);
        let setting = setting.unwrap_or_else(|| panic!("{id} has no setting"));
        let file = if id.starts_with('s') { format!("fixtures/sip/{id}.sip") } else { file_of(row) };
        assert_eq!(verify(&file, row, &[setting]), "accept - 200", "{id} with {setting}");
    }
    assert_eq!(rows.len(), OTHER_OUTCOMES.len(), "a setting without a row");
}

#[test]
fn a_diverted_call_tells_who_diverted_it_and_how_well_its_caller_is_known() {
    let row =
        table("fixtures/SIP_EXPECTED.tsv").into_iter().find(|row| row["id"].starts_with("s10")).unwrap();
    let (file, roots) = (path("fixtures/sip/s10-shaken-and-div.sip"), path("fixtures/pki/root.pem"));
    let pki = path("fixtures/pki");
    let (code, answer, _) =
        herald(&["verify", &file, "--roots", &roots, "--certificates", &pki, "--at", &row["verify_at"]]);
    assert_eq!(code, Some(0));
    assert_eq!(answer["orig"], "12155551212");
    assert_eq!(answer["dest"], "12155551214");
    assert_eq!(answer["div"], serde_json::json!(["12355551212"]));
    assert_eq!(answer["attest"], "A");
    assert_eq!(answer["passports"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_revocation_list_of_its_own_goes_before_those_of_the_folder() {
    let file = path("fixtures/passports/n36-cert-revoked.jwt");
    let (roots, pki) = (path("fixtures/pki/root.pem"), path("fixtures/pki"));
    for (list, code) in [("inter-ok", 0), ("inter-revoked", 1)] {
        let crl = path(&format!("fixtures/pki/{list}.crl.pem"));
        let common = ["verify", &file, "--roots", &roots, "--certificates", &pki, "--at", "1795300010"];
        let (got, answer, errors) = herald(&[&common[..], &["--crl", &crl]].concat());
        assert_eq!(got, Some(code), "{list}: {answer} {errors}");
    }
}

#[test]
fn stapled_answers_and_signers_of_indirect_lists_are_heard() {
    let file = path("fixtures/passports/v01-shaken-A-secsipidx.jwt");
    let (roots, pki, list) =
        (path("fixtures/pki/root.pem"), path("fixtures/pki"), path("fixtures/pki/inter-ok.crl.pem"));
    let data = |name: &str| format!("{}/../stir/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let (revoked, signers) = (data("pyca-revoked.ocsp.der"), data("pyca-administrator.pem"));
    let folder = tempfile::tempdir().unwrap();
    let national = folder.path().join("national.crl.pem").to_str().unwrap().to_owned();
    std::fs::write(&national, pem_of_list(&std::fs::read(data("pyca-national.crl.der")).unwrap())).unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["--crl", &list], "accept"),
        (&["--crl", &list, "--staple", &revoked], "is revoked"),
        (&["--crl", &list, "--staple", &revoked, "--policy", "ocsp_staples=off"], "accept"),
        (&["--crl", &national], "cannot be told"),
        (&["--crl", &national, "--crl-signers", &signers], "is revoked"),
    ];
    for (arguments, expected) in cases {
        let common = ["verify", &file, "--roots", &roots, "--certificates", &pki, "--at", "1795400000"];
        let fresh = ["--policy", "freshness_s=200000"];
        let (_, answer, errors) = herald(&[&common[..], &fresh, arguments].concat());
        let answer = format!("{} {}", answer["verdict"], answer["reason"]);
        assert!(answer.contains(expected), "{arguments:?}: {answer} {errors}");
    }
}

fn pem_of_list(der: &[u8]) -> String {
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
    format!("-----BEGIN X509 CRL-----\n{encoded}\n-----END X509 CRL-----\n")
}

#[test]
fn what_is_wrong_with_the_arguments_is_no_verdict() {
    let file = path("fixtures/passports/v01-shaken-A-secsipidx.jwt");
    let (roots, pki) = (path("fixtures/pki/root.pem"), path("fixtures/pki"));
    let common = ["verify", &file, "--roots", &roots, "--certificates", &pki, "--at", "1795300010"];
    let cases: [(&[&str], &str); 6] = [
        (&["--staple", &roots], "is not an OCSP answer"),
        (&["--crl-signers", &file], "no usable certificates of signers"),
        (&["--policy", "freshnes_s=1"], "the nearest is \\\"freshness_s\\\""),
        (&["--policy", "x5u_http=maybe"], "takes on|off"),
        (&["--crl", &roots], "no usable certificate revocation lists"),
        (&["--orig", "nobody"], "a telephone number or a URI"),
    ];
    for (arguments, message) in cases {
        let (code, answer, errors) = herald(&[&common[..], arguments].concat());
        assert_eq!((code, answer), (Some(2), Value::Null), "{arguments:?}");
        assert!(errors.contains(message), "{arguments:?}: {errors}");
    }
}

/// The certificates of `keygen` are valid from yesterday, so these cases are judged now.
fn now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// A folder with a signer's and a receiver's keys.
fn keys() -> (tempfile::TempDir, impl Fn(&str) -> String) {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().to_owned();
    let place = move |name: &str| base.join(name).to_str().unwrap().to_owned();
    for (party, number) in [("alice", "12025550100"), ("bob", "12025550123")] {
        let made = ["keygen", "--out", &place(party), "--authority", &place("authority"), "--number", number];
        assert_eq!(herald(&made).0, Some(0));
    }
    (folder, place)
}

#[test]
fn what_is_signed_here_is_accepted_in_every_form_and_for_no_other_call() {
    let (_folder, place) = keys();
    let (alice, bob, roots) =
        (place("alice/signing.key"), place("bob/signing.key"), place("authority/roots.pem"));
    let (chain, bobs_chain) = (place("alice/signing.pem"), place("bob/signing.pem"));
    std::fs::write(place("body"), "hello").unwrap();
    std::fs::write(place("more.json"), r#"{"rcd":{"nam":"x"},"crn":"why"}"#).unwrap();
    let now = now_s().to_string();
    let call = ["--orig", "+1 202 555 0100", "--dest", "12025550123", "--at", &now];
    let (_, signed, errors) =
        herald(&[&["sign", "--key", &alice, "--certificate", &chain], &call[..]].concat());
    std::fs::write(place("original"), signed["passport"].as_str().unwrap_or(&errors)).unwrap();
    let (original, body, more) = (place("original"), place("body"), place("more.json"));
    let diverted = ["--orig", "12025550100", "--dest", "12025550199", "--at", &now, "--div", "12025550123"];
    // What to sign, whose key, to which number, and what accepts it.
    let cases: Vec<(Vec<&str>, bool, &str)> = vec![
        ([&["--type", "base"], &call[..]].concat(), true, "12025550123"),
        ([&["--type", "shaken", "--attest", "B"], &call[..]].concat(), true, "12025550123"),
        ([&["--type", "rcd", "--name", "Alice"], &call[..]].concat(), true, "12025550123"),
        ([&["--type", "rcd", "--claims", &more], &call[..]].concat(), true, "12025550123"),
        ([&["--type", "rph", "--rph", "ets.0"], &call[..]].concat(), true, "12025550123"),
        ([&["--type", "msg", "--message", &body], &call[..]].concat(), true, "12025550123"),
        ([&["--type", "rsp"], &call[..]].concat(), false, "12025550123"),
        ([&["--type", "div"], &diverted[..]].concat(), false, "12025550199"),
        ([&["--type", "div-o", "--opt", &original], &diverted[..]].concat(), false, "12025550199"),
    ];
    for (arguments, by_alice, dest) in &cases {
        let (key, chain) = if *by_alice { (&alice, &chain) } else { (&bob, &bobs_chain) };
        let by = ["sign", "--key", key, "--certificate", chain];
        let (code, signed, errors) = herald(&[&by[..], arguments].concat());
        assert_eq!(code, Some(0), "{arguments:?}: {errors}");
        std::fs::write(place("token"), signed["passport"].as_str().unwrap()).unwrap();
        let judge = |dest: &str, more: &[&str]| {
            let token = place("token");
            let common =
                ["verify", &token, "--roots", &roots, "--at", &now, "--orig", "12025550100", "--dest", dest];
            herald(&[&common[..], more].concat())
        };
        let (code, answer, _) = judge(dest, &[]);
        assert_eq!(code, Some(0), "{arguments:?}: {answer}");
        assert_eq!(judge("12025550111", &[]).0, Some(1), "{arguments:?} for another call");
        if arguments.contains(&"msg") {
            assert_eq!(judge(dest, &["--message", &body]).0, Some(0), "the message");
            let (code, answer, _) = judge(dest, &["--message", &more]);
            assert_eq!((code, &answer["sip_code"]), (Some(1), &438.into()), "another message");
        }
    }
}

#[test]
fn a_compact_form_is_rebuilt_with_its_date_or_found_within_the_window() {
    let (_folder, place) = keys();
    let (key, chain, roots) =
        (place("alice/signing.key"), place("alice/signing.pem"), place("authority/roots.pem"));
    let now_s = now_s();
    let (now, before) = (now_s.to_string(), (now_s - 30).to_string());
    let x5u = "https://certs.example.net/alice.pem";
    let (code, signed, errors) = herald(&[
        "sign",
        "--key",
        &key,
        "--x5u",
        x5u,
        "--type",
        "base",
        "--orig",
        "12025550100",
        "--dest",
        "12025550123",
        "--at",
        &before,
    ]);
    assert_eq!(code, Some(0), "{errors}");
    let field = format!("Identity: {}\r\n", signed["compact"].as_str().unwrap());
    std::fs::write(place("field"), field).unwrap();
    let judge = |dest: &str, more: &[&str]| {
        let field = place("field");
        let common = ["verify", &field, "--roots", &roots, "--certificate", &chain, "--at", &now];
        herald(&[&common[..], &["--orig", "12025550100", "--dest", dest], more].concat()).0
    };
    assert_eq!(judge("12025550123", &[]), Some(0), "found");
    assert_eq!(judge("12025550123", &["--date", &before]), Some(0), "with its date");
    assert_eq!(judge("12025550123", &["--date", &now]), Some(1), "with another date");
    assert_eq!(judge("12025550124", &[]), Some(1), "for another call");
    assert_eq!(judge("12025550123", &["--policy", "compact_without_date=off"]), Some(1), "not to be found");
}

#[test]
fn what_is_sealed_opens_with_the_right_key_and_number_only() {
    let (_folder, place) = keys();
    std::fs::write(place("token"), "aaaa.bbbb.cccc\n").unwrap();
    let (token, sealed) = (place("token"), place("sealed"));
    let (public, secret, others) =
        (place("bob/sealing.pub.jwk"), place("bob/sealing.jwk"), place("alice/sealing.jwk"));
    let number = ["--number", "12025550123"];
    let (code, printed, errors) = herald(&[&["seal", &token, "--recipient", &public], &number[..]].concat());
    assert_eq!(code, Some(0), "{errors}");
    std::fs::write(place("text"), printed["sealed"].as_str().unwrap()).unwrap();
    let to_file = [&["seal", &token, "--recipient", &public, "--out", &sealed], &number[..]].concat();
    assert_eq!(herald(&to_file).0, Some(0));
    for file in [sealed, place("text")] {
        let open =
            |number: &str, key: &str| herald(&["open", &file, "--number", number, "--sealing-key", key]);
        let (code, opened, _) = open("12025550123", &secret);
        assert_eq!((code, opened["passport"].as_str()), (Some(0), Some("aaaa.bbbb.cccc")));
        assert_eq!(open("12025550124", &secret).0, Some(1), "another number");
        assert_eq!(open("12025550123", &others).0, Some(1), "another key");
    }
}
