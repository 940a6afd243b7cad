//! Chains changed by chance and by intent: none is believed that should not be, and none costs much.
//!
//! An accepted chain is right if the caller is the one whose token it is and every certificate is there as it was
//! issued: order and what stands besides say nothing. 2000 in the usual run; the campaign is in docs/SECURITY.md.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and tells what it ran"
)]

mod common;

use std::time::Duration;

use common::pki::{
    AUTHORITY_ACCESS, ENHANCED_CONSTRAINTS, Made, Served, T0, TN_AUTH_LIST, elsewhere, extension, issuer,
    numbers, one, range, signer, spc,
};
use common::{Seeded, VERDICT_CPU_MAX, at_s, call, cpu_time, identity, mutation_count};
use herald_stir::{
    CertificateChain, CertificateReference, Claims, Coverage, Fault, Leniency, TrustStore, VerificationPolicy,
};
use rcgen::{CertificateParams, CustomExtension};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

const CALLER: &str = "12155551212";
/// A number that no certificate stands for.
const STRANGER: &str = "12155551213";

/// A chain, what it is trusted by, and a token of the caller and one of the stranger, both signed with its key.
struct Base {
    name: &'static str,
    /// In DER, the signer's first.
    certificates: Vec<Vec<u8>>,
    policy: VerificationPolicy,
    tokens: [String; 2],
}

impl Base {
    fn new(name: &'static str, levels: Vec<CertificateParams>) -> Self {
        let made = Made::new(levels);
        let x5u = CertificateReference::Url("https://certs.example.net/a.pem".into());
        let token = |caller: &str| {
            Claims::base(identity(caller), identity("12355551212"), T0 as i64).sign(&x5u, &made.key).unwrap()
        };
        let mut policy = VerificationPolicy::new(TrustStore::from_pem(made.root_pem.as_bytes()).unwrap());
        policy.leniency = Leniency { chain_any_order: true, ..Leniency::STRICT };
        let certificates = CertificateDer::pem_slice_iter(made.chain_pem.as_bytes());
        Self {
            name,
            certificates: certificates.map(|der| der.unwrap().to_vec()).collect(),
            policy,
            tokens: [token(CALLER), token(STRANGER)],
        }
    }

    /// Whether a call of `caller` is believed with `token` and `certificates`.
    fn judge(&self, caller: &str, token: &[u8], certificates: &[Vec<u8>]) -> Result<(), Fault> {
        let served = Served { chain_pem: pem(certificates), ..Served::default() };
        self.policy.verify(token, &served, &call(caller, "12355551212"), at_s(T0)).map(|_| ())
    }

    /// Whether the list of the first certificate, believed as it stands, holds the stranger.
    fn claims_stranger(certificates: &[Vec<u8>]) -> bool {
        let Ok(chain) = CertificateChain::from_der(certificates) else { return false };
        chain.signer_numbers().is_ok_and(|list| list.coverage(common::number(STRANGER)) == Coverage::Covered)
    }
}

fn pem(certificates: &[Vec<u8>]) -> String {
    use base64::Engine;
    let body = |der: &Vec<u8>| base64::engine::general_purpose::STANDARD.encode(der);
    let one = |der| format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", body(der));
    certificates.iter().map(one).collect()
}

fn bases() -> Vec<Base> {
    let root = || issuer(vec![]);
    let caller = || numbers(vec![one(CALLER)]);
    let block = |start, count| numbers(vec![range(start, count)]);
    // mustExclude: x.
    let constraint = || extension(ENHANCED_CONSTRAINTS, "3007 a205 3003 1601 78");
    let many = || {
        let ends = (500..1700u64).filter(|end| *end != 1213);
        numbers(ends.map(|end| one(&format!("1215555{end:04}"))).collect())
    };
    let beside = |list: CustomExtension, other: CustomExtension| signer(vec![list, other]);
    vec![
        Base::new("one number", vec![root(), issuer(vec![]), signer(vec![caller()])]),
        Base::new(
            "delegations",
            vec![
                root(),
                issuer(vec![block("12155550000", 1213)]),
                issuer(vec![block("12155551000", 213)]),
                issuer(vec![caller()]),
                beside(caller(), constraint()),
            ],
        ),
        Base::new("many numbers", vec![root(), issuer(vec![many()]), signer(vec![many()])]),
        Base::new(
            "a list elsewhere besides",
            vec![root(), issuer(vec![]), beside(caller(), elsewhere(&["https://t"]))],
        ),
        Base::new(
            "an extension nobody knows",
            vec![root(), issuer(vec![caller(), extension(&[1, 2, 3], "0500")]), signer(vec![caller()])],
        ),
    ]
}

/// Changes `certificates`; what it did, or `None` if nothing.
fn mutate(certificates: &mut Vec<Vec<u8>>, others: &[Base], random: &Seeded) -> Option<&'static str> {
    let below = |end: usize| usize::try_from(random.below(end as u64)).unwrap();
    let at = below(certificates.len());
    let length = certificates[at].len();
    let other = &others[below(others.len())].certificates;
    let before = certificates.clone();
    let what = match below(10) {
        0 | 1 => {
            certificates[at][below(length)] ^= 1 << below(8);
            "a bit flipped"
        }
        2 => {
            certificates[at].truncate(below(length));
            "cut"
        }
        3 => {
            let other_at = below(certificates.len());
            certificates.swap(at, other_at);
            "swapped"
        }
        4 => {
            certificates[at] = other[below(other.len())].clone();
            "another's certificate"
        }
        5 => {
            let all = [before.as_slice(), other].concat();
            *certificates = all.iter().cycle().skip(at).take(1 + below(6)).cloned().collect();
            "a mix of two chains"
        }
        6 => {
            let (from, to) = (below(length), below(length));
            let count = below(40).min(length - from.max(to));
            certificates[at].copy_within(from..from + count, to);
            "bytes moved"
        }
        7 => {
            let (place, byte) = (below(length), (random.next() & 0xff) as u8);
            certificates[at].insert(place, byte);
            "a byte put in"
        }
        8 => splice(&mut certificates[at], CALLER.as_bytes(), STRANGER.as_bytes())?,
        _ => {
            // The identifier of the list becomes one that nobody knows, or the other way round.
            let oid: Vec<u8> = vec![0x2b, 6, 1, 5, 5, 7, 1];
            let kinds = [TN_AUTH_LIST, AUTHORITY_ACCESS, ENHANCED_CONSTRAINTS].map(|oid| oid[8] as u8);
            let (from, to) = (kinds[below(3)], kinds[below(3)]);
            let with = |last: u8| [&oid[..], &[last]].concat();
            splice(&mut certificates[at], &with(from), &with(to))?
        }
    };
    (*certificates != before).then_some(what)
}

/// Puts `to` in the place of `from`, of the same length.
fn splice(der: &mut [u8], from: &[u8], to: &[u8]) -> Option<&'static str> {
    let place = der.windows(from.len()).position(|window| window == from)?;
    der[place..place + to.len()].copy_from_slice(to);
    Some("an extension spliced")
}

#[test]
fn no_changed_chain_is_believed_or_costs_much() {
    let count = mutation_count(2000);
    let (bases, random) = (bases(), Seeded::new(5280));
    let (mut tried, mut baits, mut harmless, mut slowest) = (0, 0, 0, (Duration::ZERO, ""));
    while tried < count {
        let base = &bases[tried % bases.len()];
        let mut certificates = base.certificates.clone();
        let Some(mut what) = mutate(&mut certificates, &bases, &random) else { continue };
        // Sometimes twice.
        if random.below(4) == 0 {
            what = mutate(&mut certificates, &bases, &random).unwrap_or(what);
        }
        tried += 1;
        baits += usize::from(Base::claims_stranger(&certificates));
        for (caller, token) in [CALLER, STRANGER].into_iter().zip(&base.tokens) {
            let began = cpu_time();
            let verdict = base.judge(caller, token.as_bytes(), &certificates);
            slowest = slowest.max((cpu_time() - began, what));
            let is_whole = base.certificates.iter().all(|whole| certificates.contains(whole));
            harmless += usize::from(verdict.is_ok());
            assert!(
                verdict.is_err() || caller == CALLER && is_whole,
                "{}: {what}: believed for {caller}",
                base.name
            );
        }
    }
    // A harness that judges nothing would find nothing wrong: what was not changed is believed, chains whose order
    // alone was changed are too, and many lists held the stranger.
    for base in &bases {
        let [caller, stranger] = &base.tokens;
        assert_eq!(base.judge(CALLER, caller.as_bytes(), &base.certificates), Ok(()), "{}", base.name);
        assert!(base.judge(STRANGER, stranger.as_bytes(), &base.certificates).is_err(), "{}", base.name);
    }
    println!("{tried} chains, {baits} whose list held a stranger, {harmless} whole, slowest {slowest:?}");
    assert!(baits > count / 50 && harmless > count / 200, "{baits} baits, {harmless} whole: too few to tell");
    assert!(slowest.0 <= VERDICT_CPU_MAX, "{slowest:?} of CPU time for one verdict");
}

#[test]
fn a_chain_made_to_be_searched_is_refused_at_once() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let root = issuer(vec![]).self_signed(&key).unwrap();
    let policy = VerificationPolicy::new(TrustStore::from_pem(root.pem().as_bytes()).unwrap());
    // Every certificate may have issued every other, by its name.
    let strangers: Vec<Vec<u8>> = (0..5)
        .map(|_| issuer(vec![]).self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec())
        .collect();
    let base = Base::new("strangers", vec![issuer(vec![]), signer(vec![numbers(vec![spc("1234")])])]);
    let certificates = [&base.certificates[..], &strangers].concat();
    let served = Served { chain_pem: pem(&certificates), ..Served::default() };
    let began = cpu_time();
    let token = base.tokens[0].as_bytes();
    let verdict = policy.verify(token, &served, &call(CALLER, "12355551212"), at_s(T0));
    assert_eq!(verdict.err(), Some(Fault::ChainInvalid));
    assert!(cpu_time() - began < VERDICT_CPU_MAX);
}
