//! From claims to verdict: what is signed and sealed on one side is opened and believed on the other, and
//! nothing else is.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Seeded, at_s, call, identity, number};
use herald_core::limits::BODY_BUCKETS_BYTES;
use herald_stir::issue::{DevelopmentAuthority, Issued, Validity};
use herald_stir::{
    Attestation, Authority, CertificateReference, Claims, Fault, Identity, Json, PassportType, SealingKey,
    SealingPublicKey, SigningKey, StirError, Suite, SystemRandom, TnAuthList, TnEntry, TnRange, TrustStore,
    VerificationPolicy, open, seal, seal_for,
};

const T0: u64 = 1_795_300_000;
const CALLER: &str = "12155551212";
const CALLED: &str = "12355551212";
const X5U: &str = "https://certs.example.net/signer.pem";
const ORIGID: &str = "123e4567-e89b-12d3-a456-426655440000";
const VALIDITY: Validity = Validity { from_s: T0 - 86_400, to_s: T0 + 86_400 };

struct House {
    authority: DevelopmentAuthority,
    policy: VerificationPolicy,
    random: Seeded,
}

impl House {
    fn new() -> Self {
        let random = Seeded::new(7);
        let authority = DevelopmentAuthority::new("Test issuing authority", VALIDITY, &random).unwrap();
        let trust = TrustStore::from_pem(authority.root_pem().as_bytes()).unwrap();
        Self { authority, policy: VerificationPolicy::new(trust), random }
    }

    fn issue(&self, entries: Vec<TnEntry>) -> Issued {
        let list = TnAuthList::new(entries).unwrap();
        self.authority.issue("Test signer", &list, VALIDITY, &self.random).unwrap()
    }

    fn verify(&self, token: &str, issued: &Issued) -> Result<Authority, Fault> {
        let chain = issued.chain_pem.clone().into_bytes();
        let serve = move |url: &str| (url == X5U).then(|| chain.clone());
        self.policy
            .verify(token.as_bytes(), &serve, &call(CALLER, CALLED), at_s(T0 + 10))
            .map(|accepted| accepted.authority)
    }
}

fn x5u() -> CertificateReference {
    CertificateReference::Url(X5U.into())
}

fn shaken() -> Claims {
    Claims::shaken(identity(CALLER), identity(CALLED), T0 as i64, Attestation::Full, ORIGID.into())
}

#[test]
fn what_is_signed_and_sealed_is_opened_and_believed() {
    let house = House::new();
    let issued = house.issue(vec![TnEntry::One(number(CALLER))]);
    let token = shaken().sign(&x5u(), &issued.key).unwrap();
    for suite in [Suite::X25519, Suite::P256] {
        let key = SealingKey::generate(suite, &SystemRandom);
        let sealed = seal(&token, number(CALLED), &key.public_key(), &SystemRandom).unwrap();
        assert_eq!(sealed.len(), BODY_BUCKETS_BYTES[0]);
        let opened = open(&sealed, number(CALLED), &[key]).unwrap();
        assert_eq!(opened, token);
        assert_eq!(house.verify(&opened, &issued), Ok(Authority::Number));
    }
}

// rfc8816:8.1-8.
#[test]
fn a_copy_for_each_key_opens_with_that_key_wherever_it_stands() {
    for suite in [Suite::X25519, Suite::P256] {
        let keys: Vec<_> = (0..3).map(|_| SealingKey::generate(suite, &SystemRandom)).collect();
        let mut public: Vec<_> = keys.iter().map(SealingKey::public_key).collect();
        public.push(public[0].clone());
        let copies = seal_for("a token", number(CALLED), &public, &SystemRandom).unwrap();
        assert_eq!(copies.len(), 3, "a repeated key gets no second copy");
        for (index, copy) in copies.iter().enumerate() {
            assert_eq!(open(copy, number(CALLED), &keys[index..=index]).unwrap(), "a token");
            assert_eq!(open(copy, number(CALLED), &keys).unwrap(), "a token");
            let mut others = keys.clone();
            others.remove(index);
            assert_eq!(open(copy, number(CALLED), &others), Err(StirError::Open));
        }
        assert_eq!(seal_for("a", number(CALLED), &[], &SystemRandom), Err(StirError::TooManyKeys(0)));
        let nine = vec![public[0].clone(); 9];
        assert_eq!(seal_for("a", number(CALLED), &nine, &SystemRandom), Err(StirError::TooManyKeys(9)));
    }
    let mixed =
        [Suite::X25519, Suite::P256].map(|suite| SealingKey::generate(suite, &SystemRandom).public_key());
    assert_eq!(seal_for("a", number(CALLED), &mixed, &SystemRandom), Err(StirError::MixedSuites));
}

// rfc8225:4.1-1, rfc8225:4.2-1, rfc8225:4.2-2, rfc8225:5.2.1.1-1, rfc8225:5.2.1.2-1, rfc8225:6-2,
// rfc8225:9-1, rfc8225:9-2, rfc8225:9-3, rfc8225:9-4.
#[test]
fn a_token_has_the_deterministic_form_of_rfc_8225() {
    let key = SigningKey::generate(&Seeded::new(1));
    let mut claims = shaken();
    claims.dest =
        vec![identity("sip:b@example.com"), identity("12355551213"), identity(CALLED), identity(CALLED)];
    claims.extra.insert("mky".into(), Json::Text("a\"\\\n\u{1}é/".into()));
    let members = [("b", Json::Null), ("é", Json::Bool(false)), ("a", Json::Array(vec![Json::Bool(true)]))];
    let members = members.map(|(name, value)| (name.to_owned(), value));
    claims.extra.insert("zz".into(), Json::Array(vec![Json::Object(members.into())]));
    let token = claims.sign(&x5u(), &key).unwrap();
    let decode = |index: usize| {
        use base64::Engine as _;
        let segment = token.split('.').nth(index).unwrap();
        String::from_utf8(base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(segment).unwrap()).unwrap()
    };
    assert_eq!(decode(0), format!(r#"{{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"{X5U}"}}"#));
    assert_eq!(
        decode(1),
        concat!(
            r#"{"attest":"A","dest":{"tn":["12355551212","12355551213"],"uri":["sip:b@example.com"]},"#,
            r#""iat":1795300000,"mky":"a\"\\\n\u0001é/","orig":{"tn":"12155551212"},"#,
            r#""origid":"123e4567-e89b-12d3-a456-426655440000","zz":[{"a":[true],"b":null,"é":false}]}"#
        )
    );
    assert_eq!(token, claims.sign(&x5u(), &key).unwrap(), "signatures are deterministic");
}

// rfc8225:5-1, rfc8225:5.2.1-3, rfc8225:8.3-2.
#[test]
fn claims_that_no_verifier_would_accept_are_not_signed() {
    let key = SigningKey::generate(&Seeded::new(1));
    let refused = |claims: &Claims, certificate| match claims.sign(&certificate, &key) {
        Err(StirError::Claims(fault)) => fault,
        other => panic!("signed or failed otherwise: {other:?}"),
    };
    let with = |change: fn(&mut Claims)| {
        let mut claims = shaken();
        change(&mut claims);
        claims
    };
    assert_eq!(refused(&with(|c| c.dest.clear()), x5u()), Fault::NoIdentity("dest"));
    let no_uuid =
        with(|c| c.kind = PassportType::Shaken { attest: Attestation::Gateway, origid: "x".into() });
    assert_eq!(refused(&no_uuid, x5u()), Fault::Claim("origid"));
    assert_eq!(refused(&with(|c| c.orig = Identity::Uri("no scheme".into())), x5u()), Fault::Claim("orig"));
    let inexact = with(|c| drop(c.extra.insert("x".into(), Json::Inexact)));
    assert!(matches!(refused(&inexact, x5u()), Fault::Claim(_)));
    let foreign = with(|c| drop(c.extra.insert("naïve".into(), Json::Null)));
    assert_eq!(refused(&foreign, x5u()), Fault::Claim("with a name that is not ASCII"));
    let http = CertificateReference::Url("http://certs.example.net/a".into());
    assert_eq!(refused(&shaken(), http), Fault::X5uScheme);
}

#[test]
fn the_certificate_decides_who_may_sign_for_a_number() {
    let house = House::new();
    let range = |start, count| TnEntry::Range(TnRange::new(number(start), count).unwrap());
    let spc = || TnEntry::Spc("709J".into());
    let cases: [(&str, Vec<TnEntry>, Result<Authority, Fault>); 6] = [
        ("the number", vec![TnEntry::One(number(CALLER))], Ok(Authority::Number)),
        ("another number", vec![TnEntry::One(number("12155551213"))], Err(Fault::NotCovered)),
        ("a range that holds it", vec![range("12155551200", 13)], Ok(Authority::Number)),
        ("a range that ends before it", vec![range("12155551200", 12)], Err(Fault::NotCovered)),
        ("a code", vec![spc()], Ok(Authority::OnlyBySpc(vec!["709J".into()]))),
        ("a code and the number", vec![spc(), TnEntry::One(number(CALLER))], Ok(Authority::Number)),
    ];
    for (name, entries, expected) in cases {
        let issued = house.issue(entries);
        let token = shaken().sign(&x5u(), &issued.key).unwrap();
        assert_eq!(house.verify(&token, &issued), expected, "{name}");
    }
}

#[test]
fn a_policy_may_want_more_than_a_code() {
    let mut house = House::new();
    house.policy.accept_only_by_spc = false;
    let issued = house.issue(vec![TnEntry::Spc("709J".into())]);
    let token = shaken().sign(&x5u(), &issued.key).unwrap();
    assert_eq!(house.verify(&token, &issued), Err(Fault::OnlyBySpc));
}

#[test]
fn a_chain_inside_the_token_is_used_and_the_url_is_not_fetched() {
    let house = House::new();
    let issued = house.issue(vec![TnEntry::One(number(CALLER))]);
    let pem = [issued.chain_pem.as_bytes()].concat();
    let chain = pem_to_der(&pem);
    let token = shaken().sign(&CertificateReference::Inline(chain), &issued.key).unwrap();
    let never = |_: &str| -> Option<Vec<u8>> { panic!("nothing is to be fetched") };
    let verdict = house.policy.verify(token.as_bytes(), &never, &call(CALLER, CALLED), at_s(T0));
    assert_eq!(verdict.unwrap().authority, Authority::Number);
}

fn pem_to_der(pem: &[u8]) -> Vec<Vec<u8>> {
    use rustls_pki_types::{CertificateDer, pem::PemObject};
    CertificateDer::pem_slice_iter(pem).map(|der| der.unwrap().to_vec()).collect()
}

#[test]
fn a_restored_authority_issues_certificates_that_lead_to_the_same_root() {
    let house = House::new();
    let old = &house.authority;
    let restored = DevelopmentAuthority::restore(
        "Test issuing authority",
        old.root_pem(),
        old.issuing_pem(),
        &old.issuing_key_pem(),
        &house.random,
    );
    let list = TnAuthList::new(vec![TnEntry::One(number(CALLER))]).unwrap();
    let issued = restored.unwrap().issue("Later signer", &list, VALIDITY, &house.random).unwrap();
    let token = shaken().sign(&x5u(), &issued.key).unwrap();
    assert_eq!(house.verify(&token, &issued), Ok(Authority::Number));
}

// rfc8816:8.1-7.
#[test]
fn a_placement_opens_only_for_its_number_and_key_and_only_unchanged() {
    let key = SealingKey::generate(Suite::X25519, &Seeded::new(3));
    let stranger = SealingKey::generate(Suite::X25519, &Seeded::new(4));
    let token = "x".repeat(450);
    let sealed = seal(&token, number(CALLED), &key.public_key(), &Seeded::new(5)).unwrap();
    let keys = [stranger.clone(), key.clone()];
    assert_eq!(open(&sealed, number(CALLED), &keys), Ok(token));
    assert_eq!(open(&sealed, number(CALLER), &keys), Err(StirError::Open), "another number");
    assert_eq!(open(&sealed, number(CALLED), &[stranger]), Err(StirError::Open), "another key");
    assert_eq!(open(&sealed, number(CALLED), &[]), Err(StirError::Open), "no key");
    for index in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[index] ^= 1 << (index % 8);
        assert_eq!(open(&changed, number(CALLED), &keys), Err(StirError::Open), "byte {index} changed");
    }
    for length in [0, 1, 31, 32, 47, 48, 50, 639] {
        assert_eq!(open(&sealed[..length], number(CALLED), &keys), Err(StirError::Open), "cut to {length}");
    }
    for length in [641, 1024, 2048, 8192, 8193] {
        let mut longer = sealed.clone();
        longer.resize(length, 0);
        assert_eq!(open(&longer, number(CALLED), &keys), Err(StirError::Open), "extended to {length}");
    }
    assert_eq!(open(&sealed, number(CALLED), &vec![key; 9]), Err(StirError::TooManyKeys(9)));
}

#[test]
fn points_that_agree_on_nothing_neither_seal_nor_open() {
    let key = SealingKey::generate(Suite::X25519, &Seeded::new(3));
    for low_order in [0, 1] {
        let mut point = [0; 32];
        point[0] = low_order;
        let public = SealingPublicKey::from_bytes(Suite::X25519, &point).unwrap();
        assert_eq!(seal("x", number(CALLED), &public, &Seeded::new(5)), Err(StirError::SealingKey));
        let mut sealed = seal("x", number(CALLED), &key.public_key(), &Seeded::new(5)).unwrap();
        sealed[..32].copy_from_slice(&point);
        assert_eq!(open(&sealed, number(CALLED), std::slice::from_ref(&key)), Err(StirError::Open));
    }
    assert!(SealingPublicKey::from_bytes(Suite::P256, &[4; 65]).is_err(), "not a point of the curve");
    assert!(SealingPublicKey::from_bytes(Suite::P256, &[0; 65]).is_err(), "the point at infinity");
}

#[test]
fn the_smallest_size_that_holds_a_passport_is_used() {
    for suite in [Suite::X25519, Suite::P256] {
        let key = SealingKey::generate(suite, &Seeded::new(3));
        let seal_len = |bytes: usize| {
            let token = "x".repeat(bytes);
            let sealed = seal(&token, number(CALLED), &key.public_key(), &Seeded::new(5))?;
            assert_eq!(open(&sealed, number(CALLED), std::slice::from_ref(&key)), Ok(token));
            Ok(sealed.len())
        };
        let overhead = BODY_BUCKETS_BYTES[4] - suite.passport_bytes_max();
        for (index, bucket) in BODY_BUCKETS_BYTES.into_iter().enumerate() {
            assert_eq!(seal_len(bucket - overhead), Ok(bucket));
            let next = BODY_BUCKETS_BYTES.get(index + 1).copied();
            let too_long = StirError::TooLongToSeal {
                bytes: bucket - overhead + 1,
                bytes_max: suite.passport_bytes_max(),
            };
            assert_eq!(seal_len(bucket - overhead + 1), next.ok_or(too_long));
        }
    }
}

#[test]
fn sealing_keys_survive_their_text_form_and_do_not_show_in_debug() {
    for (suite, public_start) in [
        (Suite::X25519, r#"{"crv":"X25519","kty":"OKP","x":""#),
        (Suite::P256, r#"{"crv":"P-256","kty":"EC","x":""#),
    ] {
        let key = SealingKey::generate(suite, &Seeded::new(3));
        let jwk = key.to_jwk();
        let again = SealingKey::from_jwk(&jwk).unwrap();
        assert_eq!(again.public_key(), key.public_key());
        let public = key.public_key().to_jwk();
        assert!(public.starts_with(public_start), "{public}");
        assert_eq!(SealingPublicKey::from_jwk(&public).unwrap(), key.public_key());
        assert_eq!(SealingPublicKey::from_jwk(&jwk).unwrap(), key.public_key());
        assert_eq!(format!("{key:?}"), format!("SealingKey({suite:?}, ..)"));
        assert!(SealingKey::from_jwk(&public).is_err(), "a public key opens nothing");
        let other = SealingKey::generate(suite, &Seeded::new(4)).public_key().to_jwk();
        let (_, d) = jwk.split_once("\"d\":").unwrap();
        let d = d.split(',').next().unwrap();
        let mixed = format!("{{\"d\":{d},{}", &other[1..]);
        assert_eq!(SealingKey::from_jwk(&mixed).unwrap_err(), StirError::SealingKey, "halves of two keys");
    }
}
