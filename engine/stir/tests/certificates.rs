//! Certificates that say more than a number: limits of issuers, lists elsewhere, constraints, other keys.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{Seeded, at_s, call, hex, identity, number};
use herald_stir::{
    Authority, CertificateChain, CertificateReference, Claims, Fault, SigningKey, TnAuthList, TnEntry,
    TnRange, TrustStore, VerificationPolicy,
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

const T0: u64 = 1_795_300_000;
const CALLER: &str = "12155551212";
const TN_AUTH_LIST: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 26];
const CLAIM_CONSTRAINTS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 27];
const ENHANCED_CONSTRAINTS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 33];
const AUTHORITY_ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];
/// AuthorityInfoAccess: id-ad-stirTNList at https://t.
const LIST_ELSEWHERE: &str = "3017 3015 0608 2b0601050507300e 8609 68747470733a2f2f74";

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(T0 - 1000);
    params.not_after = epoch + Duration::from_secs(T0 + 1000);
    params.use_authority_key_identifier_extension = true;
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn extension(oid: &[u64], content: &str) -> CustomExtension {
    CustomExtension::from_oid_content(oid, hex(&content.replace(' ', "")))
}

fn numbers(entries: Vec<TnEntry>) -> CustomExtension {
    CustomExtension::from_oid_content(TN_AUTH_LIST, TnAuthList::new(entries).unwrap().to_der())
}

fn one(text: &str) -> TnEntry {
    TnEntry::One(number(text))
}

fn spc(code: &str) -> TnEntry {
    TnEntry::Spc(code.into())
}

/// Signs a PASSporT of `caller` with a certificate of extensions `signer` under an issuer of extensions `issuer`,
/// and verifies it.
fn judge_as(
    caller: &str,
    issuer: Vec<CustomExtension>,
    signer: CertificateParams,
) -> Result<Authority, Fault> {
    let root_key = KeyPair::generate().unwrap();
    let root_params = authority("root");
    let root_pem = root_params.self_signed(&root_key).unwrap().pem();
    let root = Issuer::new(root_params, root_key);

    let mut issuer_params = authority("issuer");
    issuer_params.custom_extensions = issuer;
    let issuer_key = KeyPair::generate().unwrap();
    let issuer_pem = issuer_params.signed_by(&issuer_key, &root).unwrap().pem();
    let issuer = Issuer::new(issuer_params, issuer_key);

    let key = SigningKey::generate(&Seeded::new(3));
    let pair = KeyPair::from_pem(&key.to_pkcs8_pem()).unwrap();
    let chain_pem = signer.signed_by(&pair, &issuer).unwrap().pem() + &issuer_pem;

    let x5u = CertificateReference::Url("https://certs.example.net/a.pem".into());
    let claims = Claims::base(identity(caller), identity("12355551212"), T0 as i64);
    let token = claims.sign(&x5u, &key).unwrap();
    let policy = VerificationPolicy::new(TrustStore::from_pem(root_pem.as_bytes()).unwrap());
    let serve = move |_: &str| Some(chain_pem.clone().into_bytes());
    policy
        .verify(token.as_bytes(), &serve, &call(caller, "12355551212"), at_s(T0))
        .map(|accepted| accepted.authority)
}

fn judge(issuer: Vec<CustomExtension>, signer: Vec<CustomExtension>) -> Result<Authority, Fault> {
    let mut params = params("signer");
    params.custom_extensions = signer;
    judge_as(CALLER, issuer, params)
}

fn by_code(code: &str) -> Result<Authority, Fault> {
    Ok(Authority::OnlyBySpc(vec![code.into()]))
}

#[test]
fn a_signer_reaches_no_further_than_its_issuers() {
    let range = || TnEntry::Range(TnRange::new(number("12155551000"), 1000).unwrap());
    let none = Err(Fault::NotCovered);
    for (issuer, signer, expected) in [
        (vec![one(CALLER)], vec![one(CALLER)], Ok(Authority::Number)),
        (vec![range()], vec![one(CALLER)], Ok(Authority::Number)),
        (vec![one("12155551213")], vec![one(CALLER)], none.clone()),
        (vec![one("12155551213")], vec![spc("709J")], none.clone()),
        (vec![spc("709J")], vec![one(CALLER)], by_code("709J")),
        (vec![range()], vec![spc("709J")], by_code("709J")),
        (vec![spc("709J"), spc("1234")], vec![spc("709J"), spc("5678")], by_code("709J")),
        (vec![spc("1234")], vec![spc("709J")], none),
    ] {
        let case = format!("{issuer:?} over {signer:?}");
        assert_eq!(judge(vec![numbers(issuer)], vec![numbers(signer)]), expected, "{case}");
    }
}

#[test]
fn a_uri_is_vouched_for_by_a_code_or_not_at_all() {
    let judge = |issuer, signer| {
        let mut params = params("signer");
        params.custom_extensions = vec![numbers(signer)];
        judge_as("sip:bob@example.com", issuer, params)
    };
    assert_eq!(judge(vec![], vec![one(CALLER), spc("709J")]), by_code("709J"));
    assert_eq!(judge(vec![], vec![one(CALLER)]), Err(Fault::NotCovered));
    assert_eq!(judge(vec![numbers(vec![one(CALLER)])], vec![spc("709J")]), Err(Fault::NotCovered));
}

#[test]
fn what_is_not_understood_is_refused_and_not_taken_for_more() {
    let good = || numbers(vec![one(CALLER)]);
    let elsewhere = || extension(AUTHORITY_ACCESS, LIST_ELSEWHERE);
    let malformed = || extension(TN_AUTH_LIST, "3000");
    let constraints = |oid| extension(oid, "300da00b3009160761747465737431");
    for (name, issuer, signer, fault) in [
        ("no list", vec![], vec![], Fault::NoTnAuthList),
        ("an issuer's list is not the signer's", vec![good()], vec![], Fault::NoTnAuthList),
        ("a list elsewhere", vec![], vec![elsewhere()], Fault::TnAuthListByReference),
        ("an issuer's list elsewhere", vec![elsewhere()], vec![good()], Fault::TnAuthListByReference),
        ("a malformed list", vec![], vec![malformed()], Fault::TnAuthList),
        ("an issuer's malformed list", vec![malformed()], vec![good()], Fault::TnAuthList),
        ("constraints", vec![], vec![good(), constraints(CLAIM_CONSTRAINTS)], Fault::ClaimConstraints),
        (
            "more constraints",
            vec![],
            vec![good(), constraints(ENHANCED_CONSTRAINTS)],
            Fault::ClaimConstraints,
        ),
        ("two lists", vec![], vec![good(), numbers(vec![one("12155551213")])], Fault::ChainUnreadable),
    ] {
        assert_eq!(judge(issuer, signer), Err(fault), "{name}");
    }
    assert_eq!(judge(vec![], vec![good(), elsewhere()]), Ok(Authority::Number), "the list at hand is enough");
}

#[test]
fn a_certificate_for_other_uses_signs_no_passport() {
    let with = |change: fn(&mut CertificateParams)| {
        let mut params = params("signer");
        params.custom_extensions = vec![numbers(vec![one(CALLER)])];
        change(&mut params);
        judge_as(CALLER, vec![], params)
    };
    assert_eq!(with(|_| {}), Ok(Authority::Number));
    assert_eq!(with(|p| p.key_usages = vec![KeyUsagePurpose::DigitalSignature]), Ok(Authority::Number));
    assert_eq!(with(|p| p.key_usages = vec![KeyUsagePurpose::KeyAgreement]), Err(Fault::SignerKey));
    assert_eq!(with(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), Err(Fault::ChainOrder));
    let unknown = |p: &mut CertificateParams| {
        let mut critical = CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 999], vec![5, 0]);
        critical.set_criticality(true);
        p.custom_extensions.push(critical);
    };
    assert_eq!(with(unknown), Err(Fault::ChainInvalid));
}

#[test]
fn a_chain_has_bounds() {
    let chain = |pem: &str| CertificateChain::from_pem(pem.as_bytes()).err();
    let key = KeyPair::generate().unwrap();
    let pem = authority("a").self_signed(&key).unwrap().pem();
    assert_eq!(chain(&pem.repeat(7)), Some(Fault::ChainTooLong(7)));
    assert_eq!(chain(&" ".repeat(64 * 1024 + 1)), Some(Fault::ChainUnreadable));
    assert_eq!(chain(&pem.replace("MII", "MIJ")), Some(Fault::ChainUnreadable));
    assert_eq!(chain(&pem[..pem.len() / 2]), Some(Fault::ChainUnreadable));
    assert_eq!(chain(&key.serialize_pem()), Some(Fault::NoCertificate));
}
