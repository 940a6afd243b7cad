//! Who an access token is from, and every way in which it is not to be believed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::pki::{Made, issuer, numbers, one, range, signer, spc};
use herald_core::{TelephoneNumber, Timestamp};
use herald_stir::issue::{DevelopmentAuthority, Issued, Validity};
use herald_stir::{
    ACCESS_TYPE, AccessFault, AccessToken, CallToken, CertificateReference, Fault, Holder, ReplayMemory,
    SystemRandom, TnAuthList, TnEntry, TnRange, TrustStore,
};

const NOW_S: u64 = 1_795_300_000;
const AUDIENCE: &str = "https://cps.example.net/token-request";

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn number(text: &str) -> TelephoneNumber {
    text.parse().expect("a number")
}

struct Scene {
    authority: DevelopmentAuthority,
    signer: Issued,
}

impl Scene {
    fn new() -> Self {
        let validity = Validity { from_s: NOW_S - 3600, to_s: NOW_S + 3600 };
        let authority = DevelopmentAuthority::new("Example", validity, &SystemRandom).expect("an authority");
        let signer = authority
            .issue("Example signer", &entries(&["12155551212", "12155551213"]), validity, &SystemRandom)
            .expect("a certificate");
        Self { authority, signer }
    }

    fn trust(&self) -> TrustStore {
        TrustStore::from_pem(self.authority.root_pem().as_bytes()).expect("a root")
    }

    fn certificate(&self) -> CertificateReference {
        CertificateReference::inline_from_pem(self.signer.chain_pem.as_bytes()).expect("a chain")
    }

    fn token(&self) -> String {
        AccessToken::sign(AUDIENCE, at(NOW_S), &self.certificate(), &self.signer.key, &SystemRandom)
            .expect("a token")
    }
}

fn entries(numbers: &[&str]) -> TnAuthList {
    TnAuthList::new(numbers.iter().map(|text| TnEntry::One(number(text))).collect()).expect("a list")
}

fn judge(scene: &Scene, token: &str, audience: &str, now: Timestamp) -> Result<[u8; 32], AccessFault> {
    let holder = AccessToken::parse(token.as_bytes())?.verify(audience, &scene.trust(), now)?;
    assert!(holder.has_number(number("12155551212")) && !holder.has_number(number("12155551214")));
    Ok(holder.identity())
}

#[test]
fn a_token_says_what_its_signer_stands_for_and_nobody_can_bend_it() {
    let scene = Scene::new();
    let token = scene.token();
    judge(&scene, &token, AUDIENCE, at(NOW_S)).expect("believed");
    judge(&scene, &token, AUDIENCE, at(NOW_S + 60)).expect("still fresh");
    assert_eq!(judge(&scene, &token, AUDIENCE, at(NOW_S + 61)), Err(AccessFault::Stale));
    assert_eq!(judge(&scene, &token, AUDIENCE, at(NOW_S - 61)), Err(AccessFault::Stale));
    let elsewhere = "https://cps.example.org/token-request";
    assert_eq!(judge(&scene, &token, elsewhere, at(NOW_S)), Err(AccessFault::Audience));
    let stranger = Scene::new();
    let untrusted = judge(&stranger, &token, AUDIENCE, at(NOW_S));
    assert!(matches!(untrusted, Err(AccessFault::Certificate(_))), "{untrusted:?}");
    let other_key =
        AccessToken::sign(AUDIENCE, at(NOW_S), &scene.certificate(), &stranger.signer.key, &SystemRandom);
    let other_key = other_key.expect("a token");
    assert_eq!(judge(&scene, &other_key, AUDIENCE, at(NOW_S)), Err(AccessFault::Signature));
    let by_url = CertificateReference::Url("https://certs.example.net/signer.pem".into());
    let by_url = AccessToken::sign(AUDIENCE, at(NOW_S), &by_url, &scene.signer.key, &SystemRandom);
    assert_eq!(by_url, Err(AccessFault::Member("x5c")));
    for at_byte in 0..token.len() {
        let mut bent = token.clone().into_bytes();
        bent[at_byte] = if bent[at_byte] == b'A' { b'B' } else { b'A' };
        let bent = String::from_utf8(bent).expect("ASCII");
        judge(&scene, &bent, AUDIENCE, at(NOW_S)).expect_err("a byte of it was changed");
    }
}

#[test]
fn neither_a_passport_nor_a_bundle_is_taken_for_a_token() {
    let scene = Scene::new();
    let claims = herald_stir::Claims::base(
        number("12155551212").into(),
        number("12155551213").into(),
        i64::try_from(NOW_S).expect("a time"),
    );
    let passport = claims.sign(&scene.certificate(), &scene.signer.key).expect("a PASSporT");
    assert_eq!(judge(&scene, &passport, AUDIENCE, at(NOW_S)), Err(AccessFault::Member("typ")));
    assert_ne!(ACCESS_TYPE, herald_stir::bundle::TYPE);
    for text in ["", ".", "..", "a.b", "a.b.c", "e30.e30.", "e30.e30.e30", &"A".repeat(40_000)] {
        AccessToken::parse(text.as_bytes()).map(|_| ()).expect_err("no token");
    }
}

#[test]
fn one_holder_is_one_identity_whichever_certificate_it_has() {
    let scene = Scene::new();
    let validity = Validity { from_s: NOW_S - 3600, to_s: NOW_S + 3600 };
    let identity = |list: &TnAuthList| {
        let signer = scene.authority.issue("Another", list, validity, &SystemRandom).expect("a certificate");
        let certificate =
            CertificateReference::inline_from_pem(signer.chain_pem.as_bytes()).expect("a chain");
        let token = AccessToken::sign(AUDIENCE, at(NOW_S), &certificate, &signer.key, &SystemRandom);
        let token = AccessToken::parse(token.expect("a token").as_bytes()).expect("a token");
        token.verify(AUDIENCE, &scene.trust(), at(NOW_S)).expect("believed").identity()
    };
    let same = judge(&scene, &scene.token(), AUDIENCE, at(NOW_S)).expect("believed");
    assert_eq!(identity(&entries(&["12155551213", "12155551212"])), same, "the order does not matter");
    assert_ne!(identity(&entries(&["12155551212"])), same);
    let range = TnRange::new(number("12155551212"), 2).expect("a range");
    let range = TnAuthList::new(vec![TnEntry::Range(range)]).expect("a list");
    assert_ne!(identity(&range), same, "the same numbers in other words count for themselves");
}

#[test]
fn a_number_is_its_holder_s_where_every_list_above_names_it() {
    // What the issuer and the signer have in their certificates, whether the number counts as the signer's, and whether
    // it has more than single numbers.
    let (number_of, code) = (|| one("12155551212"), || spc("709J"));
    let cases = [
        (vec![], vec![number_of()], Some(true), false),
        (vec![range("12155551000", 1000)], vec![number_of()], Some(true), false),
        (vec![range("12155551000", 1000), code()], vec![number_of(), code()], Some(true), true),
        (vec![code()], vec![number_of()], Some(false), false),
        (vec![code()], vec![code()], Some(false), true),
        (vec![], vec![range("12155551212", 2)], Some(true), true),
        (vec![one("12155551213")], vec![number_of()], None, false),
    ];
    for (above, below, has_number, has_many) in cases {
        let case = format!("{above:?} {below:?}");
        let above = if above.is_empty() { vec![] } else { vec![numbers(above)] };
        let made = Made::new(vec![issuer(vec![]), issuer(above), signer(vec![numbers(below)])]);
        let holder = Holder::of_chain(&made.chain(), &made.trust(), at(NOW_S));
        let told = holder.as_ref().map(|holder| holder.has_number(number("12155551212"))).ok();
        assert_eq!(told, has_number, "{case}");
        assert_eq!(holder.is_ok_and(|holder| holder.has_many()), has_many, "{case}");
    }
}

#[test]
fn a_token_that_comes_twice_is_told_as_a_copy() {
    let (scene, memory) = (Scene::new(), ReplayMemory::new(8));
    let token = AccessToken::parse(scene.token().as_bytes()).expect("a token");
    let note = |call: u64| {
        memory.note_signed(token.signing_input(), CallToken::from(call), token.fresh_until(), at(NOW_S))
    };
    assert_eq!((note(1), note(2)), (Ok(()), Err(Fault::Replayed)));
}
