//! The way of a token: opened, continued, repeated, used up; and every way in which it is refused.

mod common;

use common::*;
use herald_admission::{
    ContinuedStore, Credential, Judge, Judgement, Mode, Presented, Refusal, Seal, Settings, Suite, Verdict,
};

#[test]
fn a_token_opens_a_session_that_is_good_for_its_quota_in_both_suites() {
    for suite in Suite::ALL {
        let admission = service_with(Settings { suite, ..settings() }, START);
        let mut judge = Judge::new(admission.clone());
        let (number, holder) = (number(1), Holder { suite, ..Holder::now(1, HANDSET) });
        assert!(is_accepted(store(&mut judge, &holder.opening(0, Some(number), BODY), number, BODY, START)));
        for counter in 1..4 {
            let continued = holder.continued(counter, number, BODY);
            assert!(is_accepted(store(&mut judge, &continued, number, BODY, START)), "{suite:?} {counter}");
        }
        let verdict = store(&mut judge, &holder.continued(4, number, BODY), number, BODY, START);
        assert_refused(verdict, Refusal::Used);
        assert_eq!(admission.spent_count(), 1);
    }
}

#[test]
fn an_equal_store_is_known_again_by_its_id_and_another_with_its_counter_is_not() {
    let mut judge = Judge::new(service());
    let (number, holder) = (number(1), Holder::now(1, HANDSET));
    let opening = holder.opening(0, Some(number), BODY);
    let Verdict::Accept(Some(first)) = store(&mut judge, &opening, number, BODY, START) else { panic!() };
    assert_eq!(store(&mut judge, &opening, number, BODY, START), Verdict::Repeat(first));
    let other = holder.continued(0, number, &[8; 640]);
    let Verdict::Repeat(id) = store(&mut judge, &other, number, &[8; 640], START) else { panic!() };
    assert_ne!(id, first, "nothing is stored under this one");
}

#[test]
fn a_wrong_mac_neither_uses_a_counter_nor_spends_the_token() {
    let admission = service();
    let mut judge = Judge::new(admission.clone());
    let (number, holder) = (number(1), Holder::now(1, HANDSET));
    let opening = holder.opening(0, Some(number), BODY);
    let verdict = store(&mut judge, &opening, number, &[8; 640], START);
    assert_refused(verdict, Refusal::Proof);
    assert_eq!(admission.spent_count(), 0);
    assert!(is_accepted(store(&mut judge, &opening, number, BODY, START)));
    let continued = holder.continued(1, number, BODY);
    let verdict = store(&mut judge, &continued, number, &[8; 640], START);
    assert_refused(verdict, Refusal::Proof);
    let verdict = store(&mut judge, &continued, common::number(2), BODY, START);
    assert_refused(verdict, Refusal::Proof);
    assert!(is_accepted(store(&mut judge, &continued, number, BODY, START)));
}

#[test]
fn batches_get_the_verdicts_of_single_stores() {
    let (one, other) = (service(), service());
    let (mut single, mut together) = (Judge::new(one), Judge::new(other));
    let holders: Vec<_> = (0..40).map(|index| Holder::now(index, GATEWAY)).collect();
    for holder in &holders[..39] {
        for judge in [&mut single, &mut together] {
            let opening = holder.opening(0, Some(number(0)), BODY);
            assert!(is_accepted(store(judge, &opening, number(0), BODY, START)));
        }
    }
    let stores: Vec<_> = (0..400u32)
        .map(|index| {
            let (holder, number) = (&holders[index as usize * 7 % 40], number(u64::from(index % 3)));
            let mut continued = holder.continuing(index % 11, number, BODY);
            continued.tag[0] ^= u8::from(index % 13 == 0);
            ContinuedStore { continued, number: Some(number), body: BODY }
        })
        .collect();
    let mut verdicts = Vec::new();
    together.judge_batch(&stores, START, &mut verdicts);
    let singly: Vec<_> = stores.iter().map(|store| single.judge_continued(store, START)).collect();
    assert_eq!(verdicts, singly);
    for kind in [Verdict::Refuse(Refusal::Proof), Verdict::Refuse(Refusal::NoSession)] {
        assert!(verdicts.contains(&kind), "{kind:?}");
    }
    assert!(verdicts.iter().any(|verdict| is_accepted(*verdict)));
    assert!(verdicts.iter().any(|verdict| matches!(verdict, Verdict::Repeat(_))));
}

#[test]
fn what_is_not_for_this_service_is_refused_before_any_public_key_work() {
    let mut judge = Judge::new(service());
    let (number, epoch) = (number(1), START.as_millis() / EPOCH_MS);
    let ours = service_digest(NAME, TYPE);
    let holder = Holder::now(1, HANDSET);
    let mut unknown_key = Holder::now(1, HANDSET);
    unknown_key.input.0[70] ^= 1;
    let cases = [
        (Holder::of(&service_digest("other.example", TYPE), TYPE, 1, epoch, HANDSET), Refusal::Service),
        (Holder::of(&ours, 1, 1, epoch, HANDSET), Refusal::Scheme),
        (Holder::new(1, epoch + 2, HANDSET), Refusal::Key),
        (Holder::new(1, epoch - 2, HANDSET), Refusal::Key),
        (unknown_key, Refusal::Key),
    ];
    for (holder, refusal) in cases {
        let judgement = judge.judge(holder.opening(0, Some(number), BODY), Some(number), BODY, START);
        assert!(
            matches!(judgement, Judgement::Verdict(Verdict::Refuse(why)) if why == refusal),
            "{judgement:?}"
        );
    }
    let over = judge.judge(holder.opening(4, Some(number), BODY), Some(number), BODY, START);
    assert!(matches!(over, Judgement::Verdict(Verdict::Refuse(Refusal::Used))));
    let unopened = store(&mut judge, &holder.continued(1, number, BODY), number, BODY, START);
    assert_refused(unopened, Refusal::NoSession);
    // A token is opened in its own epoch, or two minutes around it.
    for (neighbour, passed_s, expected) in
        [(epoch - 1, 119, true), (epoch - 1, 121, false), (epoch + 1, 479, false), (epoch + 1, 481, true)]
    {
        let opening = Holder::new(passed_s, neighbour, HANDSET).opening(0, Some(number), BODY);
        let verdict = store(&mut judge, &opening, number, BODY, START.plus_millis(passed_s * 1_000));
        assert_eq!(is_accepted(verdict), expected, "{neighbour} after {passed_s} s: {verdict:?}");
    }
}

#[test]
fn an_epoch_takes_its_keys_sessions_and_spent_tokens_with_it() {
    let admission = service();
    let mut judge = Judge::new(admission.clone());
    let (number, holder) = (number(1), Holder::now(1, GATEWAY));
    let opening = holder.opening(0, Some(number), BODY);
    assert!(is_accepted(store(&mut judge, &opening, number, BODY, START)));
    let later = |epochs: u64| START.plus_millis(epochs * EPOCH_MS);
    assert!(admission.advance(later(1)).iter().all(|key| key.epoch < 1_000));
    assert_eq!(admission.spent_count(), 1);
    assert!(admission.advance(later(2)).iter().any(|key| key.epoch == 1_000));
    assert_eq!(admission.spent_count(), 0);
    assert_refused(store(&mut judge, &opening, number, BODY, later(2)), Refusal::Key);
    // Nobody needs to have called for it.
    let admission = service();
    let mut judge = Judge::new(admission);
    assert!(is_accepted(store(&mut judge, &opening, number, BODY, later(1))));
    let continued = holder.continued(1, number, BODY);
    assert_refused(store(&mut judge, &continued, number, BODY, later(2)), Refusal::NoSession);
}

#[test]
fn a_bearer_token_is_good_for_one_store() {
    let mut judge = Judge::new(service());
    let (number, holder) = (number(1), Holder::now(1, HANDSET));
    let token = |seal| Presented {
        input: holder.input,
        authenticator: vec![1; 64],
        proof: Vec::new(),
        counter: 0,
        seal,
    };
    let bearer = Credential::Presented(Box::new(token(Seal::Bearer)));
    let Verdict::Accept(Some(id)) = store(&mut judge, &bearer, number, BODY, START) else { panic!() };
    assert_eq!(store(&mut judge, &bearer, number, BODY, START), Verdict::Repeat(id));
    assert_refused(store(&mut judge, &bearer, number, &[8; 640], START), Refusal::Spent);
    assert_refused(store(&mut judge, &bearer, common::number(2), BODY, START), Refusal::Spent);
    let opening = Holder { mode: Mode::Withheld, ..holder.clone() }.opening(0, Some(number), BODY);
    assert_refused(store(&mut judge, &opening, number, BODY, START), Refusal::Spent);
    // Another token for the same store is another item.
    let Credential::Presented(mut other) = bearer.clone() else { panic!() };
    other.input = Holder::now(2, HANDSET).input;
    let other = Credential::Presented(other);
    let Verdict::Accept(Some(other_id)) = store(&mut judge, &other, number, BODY, START) else { panic!() };
    assert_ne!(other_id, id);
    // What was not kept may be tried once more, and nothing else.
    let admission = judge.admission().clone();
    admission.give_back(id, common::number(2));
    assert_eq!(store(&mut judge, &bearer, number, BODY, START), Verdict::Repeat(id), "of another number");
    for _ in 0..2 {
        admission.give_back(id, number);
        assert_refused(store(&mut judge, &bearer, number, &[8; 640], START), Refusal::Spent);
        assert_eq!(store(&mut judge, &bearer, number, BODY, START), Verdict::Accept(Some(id)));
    }
    assert_eq!(store(&mut judge, &other, number, BODY, START), Verdict::Repeat(other_id));
    assert_eq!(admission.spent_count(), 2);
}
