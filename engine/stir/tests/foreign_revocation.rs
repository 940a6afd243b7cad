//! Revocation lists and OCSP answers that other people's software made (`data/README.md`).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{at_s, read};
use herald_stir::{CertificateChain, Fault, RevocationPolicy, TrustStore};

const STAPLED: RevocationPolicy = RevocationPolicy { short_lived_s: 0, use_staples: true, required: false };

fn judge(trust: &TrustStore, staples: &[&[u8]]) -> Result<(), Fault> {
    let chain = CertificateChain::from_pem(&read("fixtures/pki/leaf-spc.chain.pem")).unwrap();
    chain.with_staples(staples)?.verify(trust, at_s(1_795_400_000)).map(|_| ())
}

#[test]
fn lists_and_answers_of_other_software_are_understood() {
    let trust = TrustStore::from_pem(&read("fixtures/pki/root.pem")).unwrap();
    assert_eq!(judge(&trust, &[]), Ok(()));

    let own = trust.clone().with_crls_pem(include_bytes!("data/openssl-revoked.crl.pem")).unwrap();
    assert_eq!(judge(&own, &[]), Err(Fault::Revoked));

    let national = [include_bytes!("data/pyca-national.crl.der").to_vec()];
    let signers = include_bytes!("data/pyca-administrator.pem");
    let signed = trust.clone().with_list_signers_pem(signers).unwrap().with_crls_der(&national).unwrap();
    assert_eq!(judge(&signed, &[]), Err(Fault::Revoked));
    let unsigned = trust.clone().with_crls_der(&national).unwrap();
    assert_eq!(judge(&unsigned, &[]), Err(Fault::RevocationUnknown), "who signed it is not trusted");

    let good: &[u8] = include_bytes!("data/openssl-good.ocsp.der");
    let revoked: &[u8] = include_bytes!("data/pyca-revoked.ocsp.der");
    let stapled = trust.clone().with_revocation(STAPLED);
    assert_eq!(judge(&stapled, &[good]), Ok(()));
    // That it counts, and does not merely do no harm: the unbelievable list is outweighed by it.
    let outweighed = unsigned.with_revocation(STAPLED);
    assert_eq!(judge(&outweighed, &[]), Err(Fault::RevocationUnknown));
    assert_eq!(judge(&outweighed, &[good]), Ok(()));
    assert_eq!(judge(&stapled, &[revoked]), Err(Fault::Revoked));
    assert_eq!(judge(&trust, &[revoked]), Ok(()), "not looked at unless the policy says so");
}
