//! What is remembered of chains: what a URL served, and that a chain led to a root.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use common::{at_s, read};
use herald_core::Timestamp;
use herald_stir::limits::{CHAIN_KEPT_MS, CHAIN_VERIFIED_MS};
use herald_stir::{CertificateChain, CertificateSource, ChainCache, Fault, TrustStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

const T0: Timestamp = Timestamp::from_millis(1_795_300_000_000);

fn chain(name: &str) -> Arc<CertificateChain> {
    let pem = read(&format!("fixtures/pki/{name}.chain.pem"));
    Arc::new(CertificateChain::from_pem(&pem).unwrap())
}

fn root(name: &str) -> TrustStore {
    TrustStore::from_pem(&read(&format!("fixtures/pki/{name}.pem"))).unwrap()
}

#[test]
fn a_chain_is_fetched_again_when_it_is_no_longer_fresh_and_kept_for_a_day() {
    let (cache, signer) = (ChainCache::new(8), chain("leaf-spc"));
    assert!(cache.is_due("a", T0));
    assert_eq!(cache.chain("a", T0).err(), Some(Fault::NoCertificate));
    cache.put("a", signer.clone(), 5000, T0);
    let seen = |after_ms| {
        let now = T0.plus_millis(after_ms);
        (cache.is_due("a", now), cache.chain("a", now).is_ok())
    };
    for (after_ms, due_and_there) in [
        (0, (false, true)),
        (4999, (false, true)),
        (5000, (true, true)),
        (CHAIN_KEPT_MS - 1, (true, true)),
        (CHAIN_KEPT_MS, (true, false)),
    ] {
        assert_eq!(seen(after_ms), due_and_there, "after {after_ms} ms");
    }
    assert!(Arc::ptr_eq(&cache.chain("a", T0).unwrap(), &signer), "it is read once");
    cache.remove("a");
    assert_eq!(seen(0), (true, false));
}

#[test]
fn a_chain_is_due_when_a_certificate_runs_out_and_one_that_has_run_out_is_still_told_apart() {
    let (cache, signer) = (ChainCache::default(), chain("leaf-spc"));
    let before = Timestamp::from_millis(signer.valid_until().as_millis() - 1000);
    cache.put("a", signer.clone(), 5000, before);
    assert!(!cache.is_due("a", before.plus_millis(999)));
    assert!(cache.is_due("a", before.plus_millis(1000)));
    cache.put("b", chain("leaf-expired"), 5000, T0);
    assert!(!cache.is_due("b", T0.plus_millis(4999)));
    assert_eq!(cache.chain("b", T0).unwrap().verify(&root("root"), T0).err(), Some(Fault::Expired));
}

#[test]
fn a_full_cache_forgets_what_was_used_least_recently() {
    let (cache, signer) = (ChainCache::new(2), chain("leaf-spc"));
    let later = |ms| T0.plus_millis(ms);
    cache.put("a", signer.clone(), 5000, later(0));
    cache.put("b", signer.clone(), 5000, later(1));
    cache.chain("a", later(2)).unwrap();
    cache.put("c", signer.clone(), 5000, later(3));
    let there = |url| cache.chain(url, later(4)).is_ok();
    assert_eq!((there("a"), there("b"), there("c"), cache.len()), (true, false, true, 2));
    cache.put("c", signer, 5000, later(5));
    assert_eq!(cache.len(), 2, "another answer of the same URL needs no room");
}

#[test]
fn a_chain_that_passports_carry_is_read_once_and_no_other_has_its_place() {
    let cache = ChainCache::default();
    let ders: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(&read("fixtures/pki/leaf-spc.chain.pem"))
        .map(|der| der.unwrap().to_vec())
        .collect();
    let first = cache.carried_chain(&ders, T0).unwrap();
    assert!(Arc::ptr_eq(&first, &cache.carried_chain(&ders, T0).unwrap()));
    assert!(!Arc::ptr_eq(&first, &cache.carried_chain(&ders[..1], T0).unwrap()), "another chain");
    assert!(
        !Arc::ptr_eq(&first, &cache.carried_chain(&ders, T0.plus_millis(CHAIN_KEPT_MS)).unwrap()),
        "a day"
    );
    // The same bytes cut elsewhere, a byte changed, and nothing.
    let mut joined = ders[0].clone();
    joined.extend(&ders[1]);
    let mut changed = ders.clone();
    changed[1][40] ^= 1;
    for other in [vec![joined], vec![]] {
        assert!(cache.carried_chain(&other, T0).is_err());
    }
    let changed = cache.carried_chain(&changed, T0);
    assert!(changed.is_err() || changed.unwrap().verify(&root("root"), T0).is_err());
    assert_eq!(first.verify(&root("root"), T0).err(), None);
    assert_eq!((cache.len(), cache.chain("", T0).err()), (0, Some(Fault::NoCertificate)), "no URL served it");
}

#[test]
fn what_is_known_of_a_chain_holds_for_one_trust_store_only() {
    let (signer, trust) = (chain("leaf-spc-other"), root("root"));
    let crl =
        |name: &str| trust.clone().with_crls_pem(&read(&format!("fixtures/pki/{name}.crl.pem"))).unwrap();
    let (revoked, not_revoked) = (crl("inter-revoked"), crl("inter-ok"));
    let other = root("root-untrusted");
    for _ in 0..2 {
        assert_eq!(signer.verify(&trust, T0).err(), None);
        assert_eq!(signer.verify(&trust.clone(), T0).err(), None);
        assert_eq!(signer.verify(&revoked, T0).err(), Some(Fault::Revoked));
        assert_eq!(signer.verify(&not_revoked, T0).err(), None);
        assert_eq!(signer.verify(&other, T0).err(), Some(Fault::Untrusted));
    }
}

#[test]
fn what_is_known_of_a_chain_ends_with_its_certificates() {
    let (signer, trust) = (chain("leaf-spc"), root("root"));
    let end = signer.valid_until();
    assert_eq!(signer.verify(&trust, end).err(), None);
    assert_eq!(signer.verify(&trust, end.plus_millis(1000)).err(), Some(Fault::Expired));
    assert_eq!(signer.verify(&trust, at_s(0)).err(), Some(Fault::NotYetValid), "a clock that was set back");
    assert_eq!(signer.verify(&trust, T0.plus_millis(CHAIN_VERIFIED_MS + 1)).err(), None);

    let future = chain("leaf-future");
    assert_eq!(future.verify(&trust, T0).err(), Some(Fault::NotYetValid));
    let begun = Timestamp::from_millis(future.valid_until().as_millis());
    assert_eq!(future.verify(&trust, begun).err(), None, "what time mends is asked again");
}
