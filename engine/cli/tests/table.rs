//! `herald table`: tables built from lines and advertisements, looked up, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::herald;
use herald_runtime::stir::advert::Advert;
use herald_runtime::stir::{CertificateReference, SigningKey};
use herald_runtime::wall_clock;

/// A signed advertisement of the holder of the keys in `folder`.
fn advert(folder: &str, entries: &[&str]) -> String {
    let read = |name: &str| fs::read_to_string(format!("{folder}/{name}")).unwrap();
    let now_s = wall_clock().as_millis() / 1000;
    let pairs = entries.iter().map(|entry| (entry.parse().unwrap(), "https://signed".to_owned()));
    let said = Advert {
        issuer: "0-1234".parse().unwrap(),
        iat_s: now_s,
        exp_s: now_s + 600,
        pairs: pairs.collect(),
    };
    let chain = CertificateReference::inline_from_pem(read("signing.pem").as_bytes()).unwrap();
    said.sign(&chain, &SigningKey::from_pem(&read("signing.key")).unwrap()).unwrap()
}

#[test]
fn a_table_is_built_looked_up_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let put = |name: &str, text: &str| fs::write(path(name), text).unwrap();
    let (keys, authority, table) = (path("keys"), path("authority"), path("services.table"));
    let keygen =
        ["keygen", "--out", &keys, "--authority", &authority, "--spc", "1234", "--number", "12225550123"];
    herald(&keygen).good();
    put("lines.csv", "numbers,side,uri\n1222*,both,https://text\n");
    put("plain.json", r#"{"0-1234":"https://plain"}"#);
    put("signed.jwt", &format!("{}\n", advert(&keys, &["2-12225550123", "2-12225550124"])));
    let (lines, plain, signed) = (path("lines.csv"), path("plain.json"), path("signed.jwt"));

    let build = ["table", "build", &lines, &plain, &signed, "-o", &table];
    assert!(herald(&build).ended(2).contains("--roots"));
    let roots = path("authority/roots.pem");
    let said = herald(&[&build[..], &["--roots", &roots]].concat()).good();
    assert!(said.contains("3 entries") && said.contains("1 refused"), "{said}");

    for (number, found) in [("12225550123", "https://signed"), ("12225550124", "https://text")] {
        let said = herald(&["table", "look", &table, number]).good();
        assert!(said.starts_with(found), "{said}");
        assert_eq!(said.contains("signed at"), found == "https://signed", "{said}");
    }
    assert!(herald(&["table", "look", &table, "1", "--spc", "1234"]).good().starts_with("https://plain"));
    assert!(herald(&["table", "look", &table, "1"]).ended(1).contains("nothing"));
    assert!(herald(&["table", "show", &table]).good().contains("3 entries"));

    put("wrong.csv", "1222* https://a\n12x2 https://b\n");
    let wrong = path("wrong.csv");
    let said = herald(&["table", "build", &wrong, "-o", &table]).ended(2);
    assert!(said.contains("line 2"), "{said}");
    assert!(herald(&["table", "show", &table]).good().contains("3 entries"), "what was stays");
    let said = herald(&["table", "build", &wrong, &lines, "-o", &table, "--keep-going"]).good();
    assert!(said.contains("1 entries") && said.contains("1 sources left out"), "{said}");
    assert!(herald(&["table", "show", &lines]).ended(2).contains("herald table build"));
}
