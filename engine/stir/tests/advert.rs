//! Advertisements of services (RFC 9888 §4): read, signed, verified as far as their signer's numbers go, and put into a
//! table.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use herald_core::Timestamp;
use herald_stir::advert::{Advert, AdvertFault, SignedAdvert, parse_unsigned};
use herald_stir::issue::{DevelopmentAuthority, Issued, Validity};
use herald_stir::limits::ADVERT_LIFETIME_MAX_S;
use herald_stir::services::Side;
use herald_stir::table::{Table, TableBuilder};
use herald_stir::{
    CertificateChain, CertificateReference, Fault, SystemRandom, TnAuthList, TnEntry, TrustStore,
};

use common::{at_s, number};

const NOW_S: u64 = 1_795_300_000;
const VALIDITY: Validity = Validity { from_s: NOW_S - 86_400, to_s: NOW_S + 86_400 };

struct Owner {
    signer: Issued,
    trust: TrustStore,
}

impl Owner {
    fn of(entries: &[&str]) -> Self {
        let authority = DevelopmentAuthority::new("Test", VALIDITY, &SystemRandom).expect("an authority");
        let entries = entries.iter().map(|text| entry(text)).collect();
        let numbers = TnAuthList::new(entries).expect("a list");
        let signer = authority.issue("Signer", &numbers, VALIDITY, &SystemRandom).expect("a certificate");
        let trust = TrustStore::from_pem(authority.root_pem().as_bytes()).expect("a root");
        Self { signer, trust }
    }

    fn sign(&self, advert: &Advert) -> String {
        let chain = CertificateReference::inline_from_pem(self.signer.chain_pem.as_bytes()).expect("a chain");
        advert.sign(&chain, &self.signer.key).expect("it can be signed")
    }

    fn verify(&self, token: &str, now: Timestamp) -> Result<(Vec<String>, Vec<TnEntry>, u64), AdvertFault> {
        let chain = CertificateChain::from_pem(self.signer.chain_pem.as_bytes()).expect("a chain");
        let verified = SignedAdvert::parse(token.as_bytes())?.verify(&chain, &self.trust, now)?;
        let entries = verified.advert.pairs.iter().map(|(entry, _)| entry.to_string()).collect();
        Ok((entries, verified.refused, verified.until_s))
    }
}

fn entry(text: &str) -> TnEntry {
    text.parse().expect("an entry")
}

fn advert(issuer: &str, entries: &[&str]) -> Advert {
    let pairs = entries.iter().map(|text| (entry(text), "https://cps.example.net".to_owned())).collect();
    Advert { issuer: entry(issuer), iat_s: NOW_S - 10, exp_s: NOW_S + 3600, pairs }
}

#[test]
fn the_example_of_the_rfc_is_read_and_what_is_none_is_refused() {
    let read = parse_unsigned(br#"{ "0-1234":"https://cps.example.com", "1-15714341000-99":"https://b" }"#);
    let expected = [
        (entry("0-1234"), "https://cps.example.com".into()),
        (entry("1-15714341000-99"), "https://b".into()),
    ];
    assert_eq!(read, Ok(expected.to_vec()));
    let cases: [(&str, AdvertFault); 9] = [
        ("{}", AdvertFault::Entries(0)),
        ("[]", AdvertFault::Member("cps")),
        ("{", AdvertFault::Form),
        (r#"{"0-1":"https://a","0-1":"https://b"}"#, AdvertFault::Form),
        (r#"{"0-1":"http://a"}"#, AdvertFault::Uri),
        (r#"{"0-1":["https://a"]}"#, AdvertFault::Uri),
        (r#"{"3-1":"https://a"}"#, AdvertFault::Entry),
        (r#"{"1-15714341000":"https://a"}"#, AdvertFault::Entry),
        (r#"{"2-+15714341000":"https://a"}"#, AdvertFault::Entry),
    ];
    for (text, fault) in cases {
        assert_eq!(parse_unsigned(text.as_bytes()), Err(fault), "{text}");
    }
}

#[test]
fn entries_that_the_signer_does_not_stand_for_are_put_aside() {
    let owner = Owner::of(&["0-1234", "1-12225550100-100", "1-12225550200-100", "2-911"]);
    let said =
        advert("0-1234", &["0-1234", "0-1235", "1-12225550150-100", "1-12225550250-51", "2-911", "2-912"]);
    let (believed, refused, until_s) = owner.verify(&owner.sign(&said), at_s(NOW_S)).expect("it is believed");
    assert_eq!(believed, ["0-1234", "1-12225550150-100", "2-911"]);
    assert_eq!(refused, [entry("0-1235"), entry("1-12225550250-51"), entry("2-912")]);
    assert_eq!(until_s, NOW_S + 3599);
    let long = Advert { exp_s: NOW_S + ADVERT_LIFETIME_MAX_S - 10, ..said };
    let (.., until_s) = owner.verify(&owner.sign(&long), at_s(NOW_S)).expect("it is believed");
    assert_eq!(until_s, VALIDITY.to_s, "no longer than the certificate");
}

#[test]
fn an_advertisement_is_believed_only_from_its_signer_in_its_time() {
    let owner = Owner::of(&["0-1234"]);
    let token = owner.sign(&advert("0-1234", &["0-1234"]));
    let fault =
        |owner: &Owner, token: &str, at: u64| owner.verify(token, at_s(at)).expect_err("it is not believed");
    assert_eq!(fault(&owner, &token, NOW_S + 3600), AdvertFault::Expired);
    assert_eq!(fault(&owner, &token, NOW_S - 3600), AdvertFault::Ahead);
    let other = Owner::of(&["0-1234"]);
    assert_eq!(fault(&other, &token, NOW_S), AdvertFault::Signature);
    let stranger = Owner { signer: owner.signer.clone(), trust: other.trust.clone() };
    // Under a root of the same name with another key.
    assert_eq!(fault(&stranger, &token, NOW_S), AdvertFault::Certificate(Fault::ChainInvalid));
    let foreign = owner.sign(&advert("0-4321", &["0-1234"]));
    assert_eq!(
        fault(&owner, &foreign, NOW_S),
        AdvertFault::Certificate(Fault::NotCovered),
        "whose word it is"
    );
    let mut changed = token.into_bytes();
    let payload_at = changed.iter().position(|&sign| sign == b'.').expect("a dot") + 40;
    changed[payload_at] = if changed[payload_at] == b'A' { b'B' } else { b'A' };
    assert!(owner.verify(core::str::from_utf8(&changed).expect("text"), at_s(NOW_S)).is_err());
}

#[test]
fn a_life_that_is_too_long_is_not_signed() {
    let owner = Owner::of(&["0-1234"]);
    let chain = CertificateReference::inline_from_pem(owner.signer.chain_pem.as_bytes()).expect("a chain");
    let good = advert("0-1234", &["0-1234"]);
    for exp_s in [good.iat_s, good.iat_s + ADVERT_LIFETIME_MAX_S + 1] {
        let said = Advert { exp_s, ..good.clone() };
        assert_eq!(said.sign(&chain, &owner.signer.key), Err(AdvertFault::Lifetime));
    }
}

#[test]
fn a_table_has_proven_entries_before_those_of_text() {
    let owner = Owner::of(&["1-12225550100-100", "0-1234"]);
    let token = owner.sign(&advert("0-1234", &["1-12225550100-100", "2-12225550300"]));
    let chain = CertificateChain::from_pem(owner.signer.chain_pem.as_bytes()).expect("a chain");
    let verified = SignedAdvert::parse(token.as_bytes()).expect("it is one");
    let verified = verified.verify(&chain, &owner.trust, at_s(NOW_S)).expect("it is believed");
    let mut builder = TableBuilder::new();
    builder.add_line("1-12225550100-100 called https://text", "text").expect("a line");
    builder.add_advert(&verified, "signed").expect("they fit");
    let pairs = parse_unsigned(br#"{"2-12225550300":"https://unsigned"}"#).expect("it is one");
    builder.add_unsigned_advert(&pairs, "unsigned").expect("they fit");
    let table = Table::open(builder.finish(NOW_S).expect("a table")).expect("it can be read");
    for (wanted, uri, is_proven) in
        [("12225550123", "https://cps.example.net", true), ("12225550300", "https://unsigned", false)]
    {
        let found = table.look(number(wanted), None, Side::Called).expect("there is one").service;
        assert_eq!((found.uris().collect::<Vec<_>>(), found.is_proven), (vec![uri], is_proven));
        assert_eq!(found.until_s.is_some(), is_proven);
    }
}
