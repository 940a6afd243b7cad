//! What the journal gives back: no token is spent twice across a restart, and no store is lost by one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use herald_admission::{
    Admission, Credential, Granted, Judge, Judgement, Mode, Presented, Refusal, Seal, Settings, SpentRecord,
    Suite, TokenId, Verdict,
};
use herald_core::Timestamp;
use std::sync::Arc;

/// The record that a token's first store leaves in the journal.
fn spent_before(holder: &Holder, body: &[u8]) -> SpentRecord {
    spent_at(&service(), holder, body)
}

fn spent_at(admission: &Arc<Admission>, holder: &Holder, body: &[u8]) -> SpentRecord {
    let opening = holder.opening(0, Some(number(1)), body);
    let Judgement::Redeem(redemption) =
        Judge::new(admission.clone()).judge(opening, Some(number(1)), body, START)
    else {
        panic!()
    };
    redeem(admission, *redemption, Some(number(1)), body, START).1.unwrap()
}

#[test]
fn after_a_restart_exactly_the_first_store_may_be_repeated_once_and_opens_no_session() {
    let holder = Holder::now(1, HANDSET);
    let record = spent_before(&holder, BODY);
    let admission = service();
    admission.restore(&record, START);
    assert_eq!(admission.spent_count(), 1);
    let mut judge = Judge::new(admission.clone());
    let other = holder.opening(0, Some(number(1)), &[8; 640]);
    assert_refused(store(&mut judge, &other, number(1), &[8; 640], START), Refusal::Spent);
    let next = holder.opening(1, Some(number(1)), BODY);
    assert_refused(store(&mut judge, &next, number(1), BODY, START), Refusal::Spent);
    let first = holder.opening(0, Some(number(1)), BODY);
    // What is shown must still be genuine: the same MAC over another body is not.
    assert_refused(store(&mut judge, &first, number(1), &[8; 640], START), Refusal::Proof);
    let Judgement::Redeem(redemption) = judge.judge(first.clone(), Some(number(1)), BODY, START) else {
        panic!()
    };
    let (verdict, written) = redeem(&admission, *redemption, Some(number(1)), BODY, START);
    assert!(is_accepted(verdict) && written.is_none(), "accepted by the record that is there");
    let Verdict::Accept(Some(id)) = verdict else { panic!() };
    assert_eq!(store(&mut judge, &first, number(1), BODY, START), Verdict::Repeat(id), "once");
    let continued = holder.continued(1, number(1), BODY);
    assert_refused(store(&mut judge, &continued, number(1), BODY, START), Refusal::NoSession);
    assert_eq!(admission.spent_count(), 1);
}

#[test]
fn after_a_restart_the_first_store_of_every_token_may_be_repeated_however_many_there_were() {
    let holder = Holder::now(1, HANDSET);
    let admission = service();
    for index in 0..200_000u128 {
        let (token_id, first_store) = (TokenId(index.to_le_bytes()), [5; 16]);
        let epoch = START.as_millis() / EPOCH_MS;
        assert!(admission.restore(&SpentRecord { epoch, token_id, first_store }, START));
    }
    admission.restore(&spent_before(&holder, BODY), START);
    let first = holder.opening(0, Some(number(1)), BODY);
    assert!(is_accepted(store(&mut Judge::new(admission), &first, number(1), BODY, START)));
}

#[test]
fn a_restart_without_the_record_spends_the_token_again_which_this_test_would_see() {
    let holder = Holder::now(1, HANDSET);
    spent_before(&holder, BODY);
    let mut judge = Judge::new(service());
    let other = holder.opening(0, Some(number(1)), &[8; 640]);
    assert!(is_accepted(store(&mut judge, &other, number(1), &[8; 640], START)));
}

#[test]
fn a_record_of_an_epoch_that_is_over_is_passed_over() {
    let holder = Holder::now(1, HANDSET);
    let record = spent_before(&holder, BODY);
    let later = START.plus_millis(3 * EPOCH_MS);
    let admission = service_with(settings(), later);
    assert!(!admission.restore(&record, later));
    assert_eq!(admission.spent_count(), 0);
}

#[test]
fn what_was_restored_while_the_clock_was_behind_is_spent_when_it_is_put_right() {
    let holder = Holder::now(1, HANDSET);
    let record = spent_before(&holder, BODY);
    for behind_ms in [2 * EPOCH_MS, EPOCH_MS, 0] {
        let behind = Timestamp::from_millis(START.as_millis() - behind_ms);
        let admission = service_with(settings(), behind);
        assert!(admission.restore(&record, behind));
        assert!(admission.advance(behind).is_empty());
        admission.advance(START);
        assert_eq!(admission.spent_count(), 1, "{behind_ms} ms behind");
        let other = holder.opening(0, Some(number(1)), &[8; 640]);
        let verdict = store(&mut Judge::new(admission), &other, number(1), &[8; 640], START);
        assert_refused(verdict, Refusal::Spent);
    }
}

#[test]
fn a_token_is_free_again_when_its_plugin_or_the_journal_fails() {
    let admission = service();
    let mut judge = Judge::new(admission.clone());
    let holder = Holder::now(1, HANDSET);
    let opening = holder.opening(0, Some(number(1)), BODY);
    for step in 0..3 {
        let judgement = judge.judge(opening.clone(), Some(number(1)), BODY, START);
        let Judgement::Redeem(redemption) = judgement else { panic!("{judgement:?}") };
        admission.reserve(&redemption, START).unwrap();
        let again = judge.judge(opening.clone(), Some(number(1)), BODY, START);
        assert!(matches!(again, Judgement::Verdict(Verdict::Refuse(Refusal::Redeeming))));
        match step {
            0 => admission.release(*redemption),
            1 => {
                let short = admission.settle(*redemption, &[1; 31], Some(number(1)), BODY, START);
                assert_eq!(short.err(), Some(Refusal::Unavailable));
            }
            _ => {
                let secret = secret_of(&holder.input);
                let settled = admission.settle(*redemption, &secret, Some(number(1)), BODY, START).unwrap();
                admission.withdraw(settled);
                let continued = holder.continued(1, number(1), BODY);
                assert_refused(store(&mut judge, &continued, number(1), BODY, START), Refusal::NoSession);
            }
        }
    }
    assert_eq!(admission.spent_count(), 0);
    assert!(is_accepted(store(&mut judge, &opening, number(1), BODY, START)));
}

#[test]
fn a_bearer_token_spent_before_a_restart_is_good_for_the_same_store_once_more() {
    let holder = Holder::now(1, HANDSET);
    let bearer = bearer(&holder);
    let before = service();
    let Judgement::Redeem(redemption) =
        Judge::new(before.clone()).judge(bearer.clone(), Some(number(1)), BODY, START)
    else {
        panic!()
    };
    let record = redeem(&before, *redemption, Some(number(1)), BODY, START).1.unwrap();
    let after = service();
    after.restore(&record, START);
    let mut judge = Judge::new(after);
    assert_refused(store(&mut judge, &bearer, number(2), BODY, START), Refusal::Spent);
    let Verdict::Accept(Some(id)) = store(&mut judge, &bearer, number(1), BODY, START) else { panic!() };
    assert_eq!(store(&mut judge, &bearer, number(1), BODY, START), Verdict::Repeat(id), "once");
}

fn bearer(holder: &Holder) -> Credential {
    let presented = Presented {
        input: holder.input,
        authenticator: vec![1; 64],
        proof: Vec::new(),
        counter: 0,
        seal: Seal::Bearer,
    };
    assert_eq!(presented.mode(), Mode::Bearer);
    Credential::Presented(Box::new(presented))
}

/// Another body of which the tag of the first store holds as well: GHASH is linear, and who has the key can learn the square
/// of its hash key.
fn of_the_same_tag(holder: &Holder, body: &[u8]) -> Vec<u8> {
    const LAST_BLOCK: usize = 628;
    const SOME_BLOCK: usize = 4;
    let tag = |body: &[u8]| holder.tag(0, Some(number(1)), body);
    let mut changed = body.to_vec();
    // The one of the field, in the block that is multiplied by the square.
    changed[LAST_BLOCK] ^= 0x80;
    let square: Vec<u8> = tag(body).iter().zip(tag(&changed)).map(|(one, other)| one ^ other).collect();
    let mut twin = body.to_vec();
    twin[SOME_BLOCK] ^= 0x80;
    twin[SOME_BLOCK + 32..][..16].iter_mut().zip(square).for_each(|(byte, of_square)| *byte ^= of_square);
    assert_eq!(tag(&twin), tag(body));
    twin
}

#[test]
fn a_gmac_that_holds_of_two_stores_makes_a_token_good_for_the_one_it_was_spent_on() {
    let settings = Settings { suite: Suite::Aes128Gmac, ..settings() };
    let holder = Holder { suite: settings.suite, ..Holder::now(1, HANDSET) };
    let twin = of_the_same_tag(&holder, BODY);
    let record = spent_at(&service_with(settings.clone(), START), &holder, BODY);
    let after = service_with(settings, START);
    after.restore(&record, START);
    let mut judge = Judge::new(after);
    let opening = holder.opening(0, Some(number(1)), BODY);
    assert_refused(store(&mut judge, &opening, number(1), &twin, START), Refusal::Spent);
    assert!(is_accepted(store(&mut judge, &opening, number(1), BODY, START)));
}

#[test]
fn a_verdict_that_nobody_takes_gives_back_what_its_store_used() {
    let holder = Holder::now(1, HANDSET);
    for credential in [holder.opening(0, Some(number(1)), BODY), bearer(&holder)] {
        for is_taken in [false, true] {
            let admission = service();
            let mut judge = Judge::new(admission.clone());
            let verdict = store(&mut judge, &credential, number(1), BODY, START);
            let Verdict::Accept(Some(id)) = verdict else { panic!("{verdict:?}") };
            let granted = Granted::new(admission.clone(), verdict, Some(number(1)));
            if is_taken {
                assert_eq!(granted.take(), verdict);
            } else {
                drop(granted);
            }
            let again = store(&mut judge, &credential, number(1), BODY, START);
            let expected = if is_taken { Verdict::Repeat(id) } else { Verdict::Accept(Some(id)) };
            assert_eq!(again, expected, "taken: {is_taken}");
            assert_eq!(admission.spent_count(), 1);
        }
    }
}
