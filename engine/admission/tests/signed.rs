//! The literal flow of RFC 8816 §7.5: a temporary key, vouched for once, signs every store.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use herald_admission::{
    Admission, Class, ClassPolicy, Credential, Judge, Judgement, Presented, Refusal, Seal, StoreInput,
    TokenInput, Verdict,
};
use herald_core::{Room, TelephoneNumber};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

struct Signer {
    pair: EcdsaKeyPair,
    input: TokenInput,
    random: SystemRandom,
}

impl Signer {
    fn new() -> Self {
        Self::of(HANDSET)
    }

    fn of(class: Class) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        let mut input = Holder::now(1, class).input;
        input.0[2..34].copy_from_slice(digest(&SHA256, pair.public_key().as_ref()).as_ref());
        Self { pair, input, random }
    }

    fn signed(&self, counter: u32, number: TelephoneNumber, body: &[u8]) -> Presented {
        let (key_id, token_id) = (self.input.key_id(), self.input.id());
        let covered = StoreInput { key_id, token_id, counter, number: Some(number), body }.to_bytes();
        let signature = self.pair.sign(&self.random, &covered).unwrap();
        Presented {
            input: self.input,
            authenticator: vec![1; 64],
            proof: self.pair.public_key().as_ref().to_vec(),
            counter,
            seal: Seal::Signature(signature.as_ref().try_into().unwrap()),
        }
    }
}

/// The plugin finds the token valid where it is asked, and gives the public key.
fn settle(
    admission: &Admission,
    judge: &mut Judge,
    token: Presented,
    body: &[u8],
) -> (Verdict, Option<bool>) {
    let number = number(1);
    match judge.judge(Credential::Presented(Box::new(token)), Some(number), body, START) {
        Judgement::Verdict(verdict) => (verdict, None),
        Judgement::Redeem(redemption) => {
            let asked = redemption.needs_plugin();
            admission.reserve(&redemption, START).unwrap();
            let public_key = redemption.token().proof.clone();
            let settled = admission.settle(*redemption, &public_key, Some(number), body, START);
            (settled.map_or_else(Verdict::Refuse, |settled| admission.commit(settled)), Some(asked))
        }
    }
}

#[test]
fn each_store_is_signed_and_the_token_is_redeemed_for_the_first() {
    let admission = service();
    let (mut judge, signer, number) = (Judge::new(admission.clone()), Signer::new(), number(1));
    let (verdict, asked) = settle(&admission, &mut judge, signer.signed(0, number, BODY), BODY);
    assert!(is_accepted(verdict) && asked == Some(true));
    let second = signer.signed(1, number, BODY);
    let (verdict, asked) = settle(&admission, &mut judge, second.clone(), BODY);
    assert!(is_accepted(verdict) && asked == Some(false), "only the signature is verified");
    let (verdict, _) = settle(&admission, &mut judge, signer.signed(1, number, &[8; 640]), &[8; 640]);
    assert!(matches!(verdict, Verdict::Repeat(_)));
    assert_eq!(settle(&admission, &mut judge, second, &[8; 640]).0, Verdict::Refuse(Refusal::Proof));
    assert_eq!(
        settle(&admission, &mut judge, signer.signed(4, number, BODY), BODY).0,
        Verdict::Refuse(Refusal::Used)
    );
    assert_eq!(admission.spent_count(), 1);
}

#[test]
fn nobody_else_s_key_signs_for_a_token_and_no_mac_does() {
    let admission = service();
    let (mut judge, signer, other, number) =
        (Judge::new(admission.clone()), Signer::new(), Signer::new(), number(1));
    assert!(is_accepted(settle(&admission, &mut judge, signer.signed(0, number, BODY), BODY).0));
    let stolen = Signer { input: signer.input, ..other };
    let (verdict, asked) = settle(&admission, &mut judge, stolen.signed(1, number, BODY), BODY);
    assert_eq!((verdict, asked), (Verdict::Refuse(Refusal::Proof), None), "not even verified");
    let mut holder = Holder::now(1, HANDSET);
    holder.input = signer.input;
    let continued = holder.continued(1, number, BODY);
    assert_refused(store(&mut judge, &continued, number, BODY, START), Refusal::Scheme);
    let opening = holder.opening(1, Some(number), BODY);
    assert_refused(store(&mut judge, &opening, number, BODY, START), Refusal::Spent);
}

#[test]
fn a_signer_stores_no_more_under_one_number_than_others_do() {
    let admission = service();
    let (mut judge, signer, number) = (Judge::new(admission.clone()), Signer::of(GATEWAY), number(1));
    let most = ClassPolicy::gateway().stores_per_number;
    let mut live = Vec::new();
    for counter in 0..most {
        live.extend(match settle(&admission, &mut judge, signer.signed(counter, number, BODY), BODY).0 {
            Verdict::Accept(id) => id,
            verdict => panic!("{counter}: {verdict:?}"),
        });
    }
    let one_more = settle(&admission, &mut judge, signer.signed(most, number, BODY), BODY).0;
    let Verdict::AcceptIfRoom(id) = one_more else { panic!("{one_more:?}") };
    assert_eq!(admission.room((id, number), &mut || live.clone(), 193, START), Room::UsedByToken);
    assert_eq!(
        admission.room((id, number), &mut || live[1..].to_vec(), 193, START),
        Room::Left,
        "what is gone does not count"
    );
}
