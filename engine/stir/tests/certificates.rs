//! Certificates that say more than a number: limits of issuers, lists elsewhere, constraints, other keys.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::pki::{
    AUTHORITY_ACCESS, CLAIM_CONSTRAINTS, ENHANCED_CONSTRAINTS, Made, Served, T0, TN_AUTH_LIST, elsewhere,
    extension, issuer, list, numbers, one, range, signer, spc,
};
use common::{at_s, call, identity, read};
use herald_stir::services::Credential;
use herald_stir::{
    Authority, CertificateChain, CertificateReference, Claims, CpsUriExtension, Fault, Held, Json, StirError,
    TnEntry, TrustStore, VerificationPolicy,
};
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, IsCa, KeyPair, KeyUsagePurpose};

const CALLER: &str = "12155551212";

type Judged = Result<Authority, Fault>;
/// Claims besides those that every PASSporT has.
type Extra = Vec<(&'static str, Json)>;

/// Signs a PASSporT of `caller`, changed by `change`, with the last of `levels`, and verifies it with what
/// `served` knows besides the chain.
fn judge_with(
    caller: &str,
    levels: Vec<CertificateParams>,
    served: Served,
    change: impl Fn(&mut Claims),
) -> Judged {
    let made = Made::new(levels);
    let x5u = CertificateReference::Url("https://certs.example.net/a.pem".into());
    let mut claims = Claims::base(identity(caller), identity("12355551212"), T0 as i64);
    change(&mut claims);
    let token = claims.sign(&x5u, &made.key).unwrap();
    let knows_more = !(served.lists.is_empty() && served.held.is_empty());
    let served = Served { chain_pem: made.chain_pem.clone(), ..served };
    let judged = VerificationPolicy::new(made.trust())
        .verify(token.as_bytes(), &served, &call(caller, "12355551212"), at_s(T0))
        .map(|accepted| accepted.authority);
    // A list elsewhere may say anything; all else the signer knows as well as the verifier.
    if !knows_more && judged != Err(Fault::TnAuthListByReference) {
        let signed = sign(&made, &claims, Some(&made.trust()));
        assert_eq!(signed.is_ok(), judged.is_ok(), "signer: {signed:?}, verifier: {judged:?}");
    }
    judged
}

/// Signs with a credential that looks at its chain first.
fn sign(made: &Made, claims: &Claims, trust: Option<&TrustStore>) -> Result<String, StirError> {
    let x5u = CertificateReference::Url("https://certs.example.net/a.pem".into());
    Credential::new(made.key.clone(), x5u, made.chain_pem.as_bytes())
        .map_err(StirError::NotAuthoritative)?
        .sign(claims, trust, at_s(T0))
}

#[test]
fn a_credential_does_not_sign_what_its_own_chain_refuses() {
    let own = || numbers(vec![one(CALLER)]);
    let include = || constraint(ENHANCED_CONSTRAINTS, (&["crn"], &[], &[]));
    let not_permitted = || Some(Fault::ClaimNotPermitted("crn".into()));
    // What the issuer and the signer have in their certificates, and why nothing is signed, without the root and with it.
    let cases = [
        (vec![], vec![own()], None, None),
        (vec![own()], vec![own()], None, None),
        (vec![], vec![numbers(vec![spc("709J")])], None, None),
        (vec![], vec![elsewhere(&["https://lists.example.net/1"])], None, None),
        (vec![], vec![numbers(vec![one("12155551213")])], Some(Fault::NotCovered), Some(Fault::NotCovered)),
        (
            vec![numbers(vec![spc("709J")])],
            vec![numbers(vec![one(CALLER), spc("1234")])],
            Some(Fault::NotEncompassed),
            Some(Fault::NotEncompassed),
        ),
        (vec![], vec![own(), include()], not_permitted(), not_permitted()),
        (vec![include()], vec![own()], not_permitted(), not_permitted()),
    ];
    for (above, below, without, with) in cases {
        let made = Made::new(vec![root(), issuer(above), signer(below)]);
        let mut claims = Claims::base(identity(CALLER), identity("12355551212"), T0 as i64);
        let refused = |claims: &Claims, trust: Option<&TrustStore>| match sign(&made, claims, trust) {
            Err(StirError::NotAuthoritative(fault)) => Some(fault),
            other => {
                other.unwrap();
                None
            }
        };
        assert_eq!(refused(&claims, None), without);
        assert_eq!(refused(&claims, Some(&made.trust())), with);
        if with == not_permitted() {
            claims.extra.insert("crn".into(), Json::Text("x".into()));
            assert_eq!(refused(&claims, Some(&made.trust())), None, "with the claim");
        }
    }
    // What the root alone forbids is known only with the root; and another root of the same name is none.
    let made = Made::new(vec![issuer(vec![numbers(vec![one("12155551213")])]), signer(vec![own()])]);
    let claims = Claims::base(identity(CALLER), identity("12355551212"), T0 as i64);
    assert!(sign(&made, &claims, None).is_ok());
    assert_eq!(
        sign(&made, &claims, Some(&made.trust())),
        Err(StirError::NotAuthoritative(Fault::NotCovered))
    );
    let stranger = Made::new(vec![root(), signer(vec![own()])]).trust();
    assert_eq!(sign(&made, &claims, Some(&stranger)), Err(StirError::NotAuthoritative(Fault::ChainInvalid)));
}

fn judge_levels(levels: Vec<CertificateParams>) -> Judged {
    judge_with(CALLER, levels, Served::default(), |_| {})
}

fn judge(issuer: Vec<CustomExtension>, signer: Vec<CustomExtension>) -> Judged {
    judge_levels(vec![root(), self::issuer(issuer), self::signer(signer)])
}

fn root() -> CertificateParams {
    issuer(vec![])
}

fn by_code(code: &str) -> Judged {
    Ok(Authority::OnlyBySpc(vec![code.into()]))
}

// rfc9060:4-1.
#[test]
fn a_signer_reaches_no_further_than_its_issuers() {
    let block = || range("12155551000", 1000);
    let number = Ok(Authority::Number);
    let none = Err(Fault::NotCovered);
    let beyond = Err(Fault::NotEncompassed);
    // The lists from the root down to the signer; an empty one is none.
    let cases: Vec<(Vec<Vec<TnEntry>>, Judged)> = vec![
        (vec![vec![], vec![one(CALLER)], vec![one(CALLER)]], number.clone()),
        (vec![vec![], vec![block()], vec![one(CALLER)]], number.clone()),
        (vec![vec![], vec![block()], vec![range("12155551200", 20)]], number.clone()),
        (
            vec![
                vec![],
                vec![block(), range("12155552000", 1000)],
                vec![range("12155551999", 2), one(CALLER)],
            ],
            number.clone(),
        ),
        (vec![vec![], vec![block()], vec![], vec![one(CALLER)]], number.clone()),
        (vec![vec![block()], vec![one(CALLER)]], number.clone()),
        (vec![vec![], vec![one("12155551213")], vec![one(CALLER)]], none.clone()),
        (vec![vec![one("12155551213")], vec![], vec![one(CALLER)]], none.clone()),
        (vec![vec![], vec![one("12155551213")], vec![spc("709J")]], none),
        (vec![vec![], vec![spc("1234")], vec![spc("709J")]], beyond.clone()),
        // The caller is within every list, and yet a list says more than the one above it.
        (vec![vec![], vec![block()], vec![range("12155551000", 1001)]], beyond.clone()),
        (vec![vec![], vec![block()], vec![range("12155550999", 1000)]], beyond.clone()),
        (vec![vec![], vec![block()], vec![one(CALLER), one("1215555121")]], beyond.clone()),
        (vec![vec![], vec![block()], vec![one(CALLER), one("*67")]], beyond.clone()),
        (vec![vec![], vec![block()], vec![spc("709J")]], beyond.clone()),
        (vec![vec![], vec![block()], vec![one(CALLER), spc("709J")]], beyond.clone()),
        (vec![vec![], vec![spc("709J")], vec![spc("709J"), spc("5678")]], beyond.clone()),
        (vec![vec![], vec![one(CALLER)], vec![block()], vec![one(CALLER)]], beyond.clone()),
        (vec![vec![one(CALLER)], vec![], vec![block()]], beyond),
        // Only the code above stands for the number.
        (vec![vec![], vec![spc("709J")], vec![one(CALLER)]], by_code("709J")),
        (vec![vec![], vec![spc("709J"), spc("1234")], vec![spc("709J")]], by_code("709J")),
        (vec![vec![], vec![spc("709J"), spc("1234")], vec![spc("1234")], vec![one(CALLER)]], by_code("1234")),
        (vec![vec![], vec![spc("709J"), one(CALLER)], vec![one(CALLER)]], number),
    ];
    for (lists, expected) in cases {
        let case = format!("{lists:?}");
        let last = lists.len() - 1;
        let level = |(depth, list): (usize, Vec<TnEntry>)| {
            let extensions = if list.is_empty() { vec![] } else { vec![numbers(list)] };
            if depth == last { signer(extensions) } else { issuer(extensions) }
        };
        assert_eq!(judge_levels(lists.into_iter().enumerate().map(level).collect()), expected, "{case}");
    }
}

#[test]
fn whose_a_number_is_decides_what_a_code_stands_for() {
    let judge = |levels: [Vec<TnEntry>; 2], held: &[(&'static str, Held)]| {
        let [above, own] = levels.map(numbers);
        let served = Served { held: held.to_vec(), ..Served::default() };
        judge_with(CALLER, vec![root(), issuer(vec![above]), signer(vec![own])], served, |_| {})
    };
    let code = || vec![spc("709J")];
    let both = || vec![spc("1234"), spc("709J")];
    assert_eq!(judge([code(), code()], &[("709J", Held::Yes)]), Ok(Authority::Number));
    assert_eq!(judge([code(), code()], &[("709J", Held::No)]), Err(Fault::NotCovered));
    assert_eq!(judge([code(), code()], &[]), by_code("709J"));
    assert_eq!(judge([code(), vec![one(CALLER)]], &[("709J", Held::Yes)]), Ok(Authority::Number));
    assert_eq!(judge([code(), vec![one(CALLER)]], &[("709J", Held::No)]), Err(Fault::NotCovered));
    assert_eq!(judge([both(), both()], &[("1234", Held::No)]), by_code("709J"));
    assert_eq!(judge([both(), both()], &[("1234", Held::No), ("709J", Held::Yes)]), Ok(Authority::Number));
    assert_eq!(
        judge([both(), code()], &[("1234", Held::Yes)]),
        by_code("709J"),
        "it is another code's number"
    );
}

// rfc8226:10.1-1, rfc8226:10.1-2.
#[test]
fn a_list_by_reference_adds_to_what_is_in_the_certificate() {
    const AT: &str = "https://t";
    let judge =
        |above: Vec<CustomExtension>, own: Vec<CustomExtension>, lists: &[(&'static str, Vec<TnEntry>)]| {
            let lists = lists.iter().map(|(url, entries)| (*url, list(entries.clone()).to_der())).collect();
            let served = Served { lists, ..Served::default() };
            judge_with(CALLER, vec![root(), issuer(above), signer(own)], served, |_| {})
        };
    let caller = || numbers(vec![one(CALLER)]);
    let other = || vec![one("12155551213")];
    let here = |entries: Vec<TnEntry>| [(AT, entries)];
    let number = Ok(Authority::Number);
    let missing = Err(Fault::TnAuthListByReference);
    let none = Err(Fault::NotCovered);
    for (name, above, own, lists, expected) in [
        ("at hand", vec![], vec![elsewhere(&[AT])], here(vec![one(CALLER)]).to_vec(), number.clone()),
        ("not at hand", vec![], vec![elsewhere(&[AT])], vec![], missing.clone()),
        ("without the caller", vec![], vec![elsewhere(&[AT])], here(other()).to_vec(), none.clone()),
        ("of a code", vec![], vec![elsewhere(&[AT])], here(vec![spc("709J")]).to_vec(), by_code("709J")),
        (
            "the mirror",
            vec![],
            vec![elsewhere(&["https://m", AT])],
            here(vec![one(CALLER)]).to_vec(),
            number.clone(),
        ),
        (
            "besides",
            vec![],
            vec![numbers(other()), elsewhere(&[AT])],
            here(vec![one(CALLER)]).to_vec(),
            number.clone(),
        ),
        ("needless", vec![], vec![caller(), elsewhere(&[AT])], vec![], number.clone()),
        ("besides, missing", vec![], vec![numbers(other()), elsewhere(&[AT])], vec![], missing.clone()),
        (
            "besides a code, missing",
            vec![],
            vec![numbers(vec![spc("709J")]), elsewhere(&[AT])],
            vec![],
            by_code("709J"),
        ),
        ("an issuer's", vec![elsewhere(&[AT])], vec![caller()], here(vec![one(CALLER)]).to_vec(), number),
        ("an issuer's, missing", vec![elsewhere(&[AT])], vec![caller()], vec![], missing),
        ("an issuer's, without", vec![elsewhere(&[AT])], vec![caller()], here(other()).to_vec(), none),
        ("not https", vec![], vec![elsewhere(&["http://t"])], vec![], Err(Fault::TnAuthList)),
    ] {
        assert_eq!(judge(above, own, &lists), expected, "{name}");
    }
}

// rfc8226:11.2-1.
#[test]
fn lists_by_reference_are_named_and_capped() {
    let made = Made::new(vec![
        root(),
        issuer(vec![elsewhere(&["https://a", "https://b", "https://c"])]),
        signer(vec![elsewhere(&["https://d"])]),
    ]);
    assert_eq!(made.chain().list_urls().collect::<Vec<_>>(), ["https://d", "https://a", "https://b"]);

    use herald_stir::TnAuthList;
    use herald_stir::limits::{LIST_BYTES_MAX, LIST_ENTRIES_MAX, TN_ENTRIES_MAX};
    let many = |count: usize| {
        let entry = common::pki::der(0xa0, &common::pki::der(0x16, b"1"));
        common::pki::der(0x30, &entry.repeat(count))
    };
    assert!(TnAuthList::from_reference(&many(TN_ENTRIES_MAX + 1)).is_ok());
    assert!(TnAuthList::from_der(&many(TN_ENTRIES_MAX + 1)).is_err());
    assert!(TnAuthList::from_reference(&many(LIST_ENTRIES_MAX)).is_ok());
    assert!(TnAuthList::from_reference(&many(LIST_ENTRIES_MAX + 1)).is_err());
    let long =
        common::pki::der(0x30, &common::pki::der(0xa0, &common::pki::der(0x16, &vec![b'1'; LIST_BYTES_MAX])));
    assert!(TnAuthList::from_reference(&long).is_err());
}

#[test]
fn a_uri_is_vouched_for_by_a_code_or_not_at_all() {
    let judge = |issuer: Vec<CustomExtension>, signer| {
        let levels = vec![root(), self::issuer(issuer), self::signer(vec![numbers(signer)])];
        judge_with("sip:bob@example.com", levels, Served::default(), |_| {})
    };
    assert_eq!(judge(vec![], vec![one(CALLER), spc("709J")]), by_code("709J"));
    assert_eq!(judge(vec![], vec![one(CALLER)]), Err(Fault::NotCovered));
    assert_eq!(judge(vec![numbers(vec![one(CALLER)])], vec![spc("709J")]), Err(Fault::NotCovered));
}

// rfc9118:3-7.
#[test]
fn what_is_not_understood_is_refused_and_not_taken_for_more() {
    let good = || numbers(vec![one(CALLER)]);
    let malformed = || extension(TN_AUTH_LIST, "3000");
    let constraints = |oid| extension(oid, "3000");
    for (name, issuer, signer, fault) in [
        ("no list", vec![], vec![], Fault::NoTnAuthList),
        ("an issuer's list is not the signer's", vec![good()], vec![], Fault::NoTnAuthList),
        ("a malformed list", vec![], vec![malformed()], Fault::TnAuthList),
        ("an issuer's malformed list", vec![malformed()], vec![good()], Fault::TnAuthList),
        ("no constraint", vec![], vec![good(), constraints(CLAIM_CONSTRAINTS)], Fault::ClaimConstraints),
        ("no more", vec![], vec![good(), constraints(ENHANCED_CONSTRAINTS)], Fault::ClaimConstraints),
        ("an issuer's", vec![constraints(ENHANCED_CONSTRAINTS)], vec![good()], Fault::ClaimConstraints),
        (
            "a name of a claim that is not ASCII",
            vec![],
            vec![good(), extension(ENHANCED_CONSTRAINTS, "3007 a005 3003 1601 e9")],
            Fault::ClaimConstraints,
        ),
        ("two lists", vec![], vec![good(), numbers(vec![one("12155551213")])], Fault::ChainUnreadable),
        ("broken access", vec![], vec![good(), extension(AUTHORITY_ACCESS, "30")], Fault::ChainUnreadable),
    ] {
        assert_eq!(judge(issuer, signer), Err(fault), "{name}");
    }
}

/// What a constraint on claims is made of: names that must be there, permitted values, names that must not.
type Constraint<'a> = (&'a [&'a str], &'a [(&'a str, &'a [&'a str])], &'a [&'a str]);

fn constraint(oid: &[u64], (include, values, exclude): Constraint<'_>) -> CustomExtension {
    use common::pki::der;
    let texts =
        |tag, texts: &[&str]| texts.iter().flat_map(|text| der(tag, text.as_bytes())).collect::<Vec<_>>();
    let value = |(name, values): &(&str, &[&str])| {
        der(0x30, &[der(0x16, name.as_bytes()), der(0x30, &texts(0x0c, values))].concat())
    };
    let fields = [texts(0x16, include), values.iter().flat_map(value).collect(), texts(0x16, exclude)];
    let fields = (0xa0u8..).zip(fields).filter(|(_, field)| !field.is_empty());
    let fields = fields.flat_map(|(tag, field)| der(tag, &der(0x30, &field))).collect::<Vec<_>>();
    CustomExtension::from_oid_content(oid, der(0x30, &fields))
}

// rfc8226:8-1, rfc8226:8-4, rfc9118:3-1, rfc9118:3-4, rfc9118:3-5, rfc9118:3-6, rfc9118:6-1.
#[test]
fn constraints_on_claims_are_enforced_at_every_level() {
    let text = |text: &str| Json::Text(text.into());
    let high = || vec![("confidence", text("high"))];
    let none = Vec::new;
    let fault = |claim: &str| Err(Fault::ClaimNotPermitted(claim.into()));
    let ok = || Ok(Authority::Number);
    let include: Constraint<'_> = (&["confidence"], &[], &[]);
    let values: Constraint<'_> = (&[], &[("confidence", &["high", "medium"])], &[]);
    let exclude: Constraint<'_> = (&[], &[], &["priority"]);
    let whole: Constraint<'_> = (&["iat"], &[("iat", &["1795300000"]), ("n", &["7"])], &[]);
    let party: Constraint<'_> = (&[], &[("orig", &[r#"{"tn":"12155551212"}"#])], &[]);
    let cases: Vec<(Constraint<'_>, Extra, Judged)> = vec![
        (include, high(), ok()),
        (include, none(), fault("confidence")),
        (values, high(), ok()),
        (values, none(), ok()),
        (values, vec![("confidence", text("low"))], fault("confidence")),
        (values, vec![("confidence", text("highest"))], fault("confidence")),
        (values, vec![("confidence", Json::Array(vec![text("high")]))], fault("confidence")),
        (whole, vec![("n", Json::Integer(7))], ok()),
        (whole, vec![("n", Json::Integer(8))], fault("n")),
        (party, none(), ok()),
    ];
    let judge = |claims: &[(&str, Json)], above: Vec<CustomExtension>, own: Vec<CustomExtension>| {
        let own = [own, vec![numbers(vec![one(CALLER)])]].concat();
        judge_with(CALLER, vec![root(), issuer(above), signer(own)], Served::default(), |made| {
            made.extra.extend(claims.iter().map(|(name, value)| (name.to_string(), value.clone())));
        })
    };
    for (what, claims, expected) in &cases {
        for oid in [CLAIM_CONSTRAINTS, ENHANCED_CONSTRAINTS] {
            let case = format!("{what:?} in {oid:?} over {claims:?}");
            assert_eq!(judge(claims, vec![], vec![constraint(oid, *what)]), *expected, "{case}");
            assert_eq!(judge(claims, vec![constraint(oid, *what)], vec![]), *expected, "issuer: {case}");
        }
    }
    let enhanced = |what| vec![constraint(ENHANCED_CONSTRAINTS, what)];
    let priority = [("priority", text("x"))];
    assert_eq!(judge(&priority, vec![], enhanced(exclude)), fault("priority"));
    assert_eq!(judge(&[], vec![], enhanced(exclude)), ok());
    assert_eq!(
        judge(&[], vec![], enhanced((&["confidence"], &[], &["dest"]))),
        ok(),
        "as if it were not there"
    );
    assert_eq!(
        judge(&priority, vec![], vec![constraint(CLAIM_CONSTRAINTS, exclude)]),
        Err(Fault::ClaimConstraints),
        "the first form excludes nothing"
    );
    let both = [enhanced(exclude), vec![constraint(CLAIM_CONSTRAINTS, include)]].concat();
    assert_eq!(judge(&[], vec![], both.clone()), fault("confidence"), "both bind");
    assert_eq!(judge(&[high(), priority.to_vec()].concat(), vec![], both), fault("priority"), "both bind");
}

// rfc9118:3-1, rfc9118:3-4, rfc9118:3-5.
#[test]
fn the_certificate_printed_in_rfc_9118_constrains_as_its_text_says() {
    use herald_stir::ClaimConstraints;
    let printed = "3040 a00e 300c 160a 636f6e666964656e6365 a120 301e 301c 160a 636f6e666964656e6365 300e 0c04 \
                   68696768 0c06 6d656469756d a20c 300a 1608 7072696f72697479";
    let der = common::hex(&printed.replace(' ', ""));
    let constraints = ClaimConstraints::from_enhanced_der(&der).unwrap();
    let pem = read("vectors/rfc9118-example-cert.pem");
    let chain = CertificateChain::from_pem(&pem).unwrap();
    assert!(chain.signer_numbers().unwrap().has_spc("1234"));
    let check = |claims: &[(&str, &str)]| {
        let claims = claims.iter().map(|(name, value)| (name.to_string(), Json::Text(value.to_string())));
        let claims = Json::Object(claims.collect());
        let told = constraints.check(&claims).map_err(|claim| Fault::ClaimNotPermitted(claim.into()));
        assert_eq!(
            chain.check_signer_claims(&|| claims.clone()),
            told,
            "the certificate has these constraints"
        );
        constraints.check(&claims).map_err(str::to_owned)
    };
    assert_eq!(check(&[("confidence", "high")]), Ok(()));
    assert_eq!(check(&[("confidence", "medium")]), Ok(()));
    assert_eq!(check(&[("confidence", "low")]), Err("confidence".into()));
    assert_eq!(check(&[]), Err("confidence".into()));
    assert_eq!(check(&[("confidence", "high"), ("priority", "1")]), Err("priority".into()));
    for cut in 0..der.len() {
        assert_eq!(ClaimConstraints::from_enhanced_der(&der[..cut]), None, "cut at {cut}");
    }
}

// rfc9060:6-1, rfc9060:7-2, rfc9060:7-3.
#[test]
fn an_issuer_may_issue_and_is_the_one_that_is_named() {
    let good = || vec![numbers(vec![one(CALLER)])];
    let levels = |change: fn(&mut Vec<CertificateParams>)| {
        let mut levels = vec![root(), issuer(good()), issuer(good()), signer(good())];
        change(&mut levels);
        judge_levels(levels)
    };
    let invalid = Err(Fault::ChainInvalid);
    assert_eq!(levels(|_| {}), Ok(Authority::Number));
    assert_eq!(levels(|l| l[1].is_ca = IsCa::Ca(BasicConstraints::Constrained(1))), Ok(Authority::Number));
    assert_eq!(levels(|l| l[1].is_ca = IsCa::Ca(BasicConstraints::Constrained(0))), invalid);
    assert_eq!(levels(|l| l[0].is_ca = IsCa::Ca(BasicConstraints::Constrained(2))), Ok(Authority::Number));
    assert_eq!(
        levels(|l| l[0].is_ca = IsCa::Ca(BasicConstraints::Constrained(1))),
        invalid,
        "the root's too"
    );
    assert_eq!(levels(|l| l[2].key_usages = vec![KeyUsagePurpose::DigitalSignature]), invalid);
    assert_eq!(levels(|l| l[2].key_usages = vec![]), Ok(Authority::Number));
    assert_eq!(levels(|l| l[2].is_ca = IsCa::ExplicitNoCa), Err(Fault::ChainOrder));
    assert_eq!(
        levels(|l| l[3].use_authority_key_identifier_extension = false),
        invalid,
        "a delegate names the key that signed it"
    );
    let wrong_key = |l: &mut Vec<CertificateParams>| {
        l[3].use_authority_key_identifier_extension = false;
        l[3].custom_extensions.push(extension(&[2, 5, 29, 35], "3004 8002 0102"));
    };
    assert_eq!(levels(wrong_key), invalid);
    assert_eq!(
        judge_levels(vec![root(), issuer(vec![]), {
            let mut signer = signer(good());
            signer.use_authority_key_identifier_extension = false;
            signer
        }]),
        Ok(Authority::Number),
        "others need not"
    );
}

#[test]
fn a_certificate_for_other_uses_signs_no_passport() {
    let with = |change: fn(&mut CertificateParams)| {
        let mut params = signer(vec![numbers(vec![one(CALLER)])]);
        change(&mut params);
        judge_levels(vec![root(), issuer(vec![]), params])
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
    let pem = issuer(vec![]).self_signed(&key).unwrap().pem();
    assert_eq!(chain(&pem.repeat(7)), Some(Fault::ChainTooLong(7)));
    assert_eq!(chain(&" ".repeat(64 * 1024 + 1)), Some(Fault::ChainUnreadable));
    assert_eq!(chain(&pem.replace("MII", "MIJ")), Some(Fault::ChainUnreadable));
    assert_eq!(chain(&pem[..pem.len() / 2]), Some(Fault::ChainUnreadable));
    assert_eq!(chain(&key.serialize_pem()), Some(Fault::NoCertificate));
}

#[test]
fn a_certificate_may_name_call_placement_services() {
    const PLACEHOLDER: &str = "1.3.6.1.5.5.7.1.999";
    let named = CpsUriExtension::new(PLACEHOLDER).unwrap();
    let fixture = |name: &str| {
        let chain = CertificateChain::from_pem(&read(&format!("fixtures/pki/{name}.chain.pem"))).unwrap();
        chain.cps_uris(&named)
    };
    let two = ["https://cps.example.net/oob/v1", "https://cps2.example.net/oob/v1"];
    assert_eq!(fixture("leaf-oob-uri"), Ok(two.map(str::to_owned).to_vec()));
    assert_eq!(fixture("leaf-oob-uri-http"), Err(Fault::CpsUri));
    assert_eq!(fixture("leaf-spc"), Ok(vec![]));

    use common::pki::der;
    let text = |text: &str| der(0x16, text.as_bytes());
    let several = |texts: &[&str]| der(0x30, &texts.iter().flat_map(|one| text(one)).collect::<Vec<_>>());
    let long = format!("https://{}", "a".repeat(1024));
    let good = |uris: &[&str]| Ok(uris.iter().map(|uri| uri.to_string()).collect());
    let bad = || Err(Fault::CpsUri);
    for (value, expected) in [
        (text("https://a/oob"), good(&["https://a/oob"])),
        (several(&["https://a", "https://b"]), good(&["https://a", "https://b"])),
        (several(&["https://a"; 8]), good(&["https://a"; 8])),
        (several(&["https://a"; 9]), bad()),
        (several(&["https://a", "http://b"]), bad()),
        (several(&[]), bad()),
        (text("https://"), bad()),
        (text("https://user@a"), bad()),
        (text("unix:/run/cps"), bad()),
        (text(&long), bad()),
        (der(0x0c, b"https://a"), bad()),
        (der(0x30, &der(0x0c, b"https://a")), bad()),
        ([text("https://a"), vec![0]].concat(), bad()),
    ] {
        let extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 999], value.clone());
        let made = Made::new(vec![root(), signer(vec![extension])]);
        assert_eq!(made.chain().cps_uris(&named), expected, "{value:02x?}");
        assert_eq!(
            made.chain().cps_uris(&CpsUriExtension::new("2.25.1").unwrap()),
            Ok(vec![]),
            "another number"
        );
    }
    assert!(CpsUriExtension::new("cps").is_err());
}
