//! What happens at each bound: who is refused, with which limit, and until when.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use herald_admission::{ClassPolicy, Judge, Refusal, Settings, Verdict};

#[test]
fn a_full_table_of_sessions_refuses_new_tokens_unspent_until_sessions_have_ended() {
    let admission = service_with(Settings { sessions_max: 16, ..settings() }, START);
    let mut judge = Judge::new(admission.clone());
    let mut refused = Vec::new();
    for index in 0..200 {
        let opening = Holder::now(index, GATEWAY).opening(0, Some(number(1)), BODY);
        match store(&mut judge, &opening, number(1), BODY, START) {
            Verdict::Accept(_) => {}
            verdict => {
                assert_refused(verdict, Refusal::SessionsFull { retry_after_s: 120 });
                refused.push(opening);
            }
        }
    }
    assert!((16..=24).contains(&(200 - refused.len())), "{} were refused", refused.len());
    assert_eq!(admission.spent_count() as usize, 200 - refused.len());
    let later = START.plus_millis(121_000);
    assert!(
        is_accepted(store(&mut judge, &refused[0], number(1), BODY, later)),
        "not spent, and now there is room"
    );
}

#[test]
fn as_many_sessions_as_were_asked_for_find_room() {
    let admission = service_with(Settings { sessions_max: 4096, ..settings() }, START);
    let mut judge = Judge::new(admission);
    let refused = (0..4096)
        .map(|index| Holder::now(index, GATEWAY).opening(0, Some(number(1)), BODY))
        .filter(|opening| !is_accepted(store(&mut judge, opening, number(1), BODY, START)))
        .count();
    assert_eq!(refused, 0);
}

#[test]
fn an_epoch_with_all_its_tokens_spent_takes_no_more_and_its_sessions_go_on() {
    let admission = service_with(Settings { spent_max: 10, ..settings() }, START);
    let mut judge = Judge::new(admission);
    let holders: Vec<_> = (0..11).map(|index| Holder::now(index, GATEWAY)).collect();
    for holder in &holders[..10] {
        let opening = holder.opening(0, Some(number(1)), BODY);
        assert!(is_accepted(store(&mut judge, &opening, number(1), BODY, START)));
    }
    let opening = holders[10].opening(0, Some(number(1)), BODY);
    let verdict = store(&mut judge, &opening, number(1), BODY, START);
    assert_refused(verdict, Refusal::EpochFull { retry_after_s: 1200 });
    let continued = holders[3].continued(1, number(1), BODY);
    assert!(is_accepted(store(&mut judge, &continued, number(1), BODY, START)));
    let next = Holder::new(99, START.as_millis() / EPOCH_MS + 1, GATEWAY).opening(0, Some(number(1)), BODY);
    assert!(is_accepted(store(&mut judge, &next, number(1), BODY, START)), "another epoch has room");
}

#[test]
fn one_token_cannot_fill_a_number_and_honest_traffic_never_meets_that_bound() {
    let mut judge = Judge::new(service());
    let flood = Holder::now(1, GATEWAY);
    let policy = ClassPolicy::gateway();
    assert!(is_accepted(store(&mut judge, &flood.opening(0, Some(number(0)), BODY), number(0), BODY, START)));
    // As cunning as it can be: nine other numbers between two stores make the count forget one.
    let (mut on_target, mut refused, mut counter) = (0, 0, 1);
    while counter < policy.stores {
        let index = if counter % 2 == 0 { 500 } else { 1_000 + u64::from(counter) };
        let continued = flood.continued(counter, number(index), BODY);
        match store(&mut judge, &continued, number(index), BODY, START) {
            Verdict::Accept(_) => {
                on_target += u32::from(index == 500);
                counter += 1;
            }
            verdict => {
                assert_refused(verdict, Refusal::NumberUsed);
                refused += 1;
                // The counter was not used: spend it elsewhere.
                let continued = flood.continued(counter, number(2_000 + u64::from(counter)), BODY);
                assert!(is_accepted(store(
                    &mut judge,
                    &continued,
                    number(2_000 + u64::from(counter)),
                    BODY,
                    START
                )));
                counter += 1;
            }
        }
    }
    assert!(refused > 0);
    assert!(on_target <= policy.stores_per_number + policy.stores / 9, "{on_target}");
    // A gateway that stores no number more often than it may is never refused, however many numbers there are.
    let honest = Holder::now(2, GATEWAY);
    assert!(is_accepted(store(
        &mut judge,
        &honest.opening(0, Some(number(0)), BODY),
        number(0),
        BODY,
        START
    )));
    for counter in 1..policy.stores {
        let index = u64::from(counter % 16 * 7919 % 17);
        let continued = honest.continued(counter, number(index), BODY);
        assert!(is_accepted(store(&mut judge, &continued, number(index), BODY, START)), "{counter}");
    }
}

#[test]
fn reports_end_a_session_that_stores_bogus_items_and_say_the_same_of_any_other_item() {
    let admission = service();
    let mut judge = Judge::new(admission.clone());
    let (holder, innocent) = (Holder::now(1, GATEWAY), Holder::now(2, GATEWAY));
    let mut ids = Vec::new();
    for holder in [&holder, &innocent] {
        let opening = holder.opening(0, Some(number(1)), BODY);
        let Verdict::Accept(Some(id)) = store(&mut judge, &opening, number(1), BODY, START) else { panic!() };
        ids.push(id);
    }
    let accepts = |judge: &mut Judge, holder: &Holder, counter| {
        is_accepted(store(judge, &holder.continued(counter, number(2), BODY), number(2), BODY, START))
    };
    assert!(accepts(&mut judge, &holder, 200));
    // Ids are there for everybody to see: the holder of another number charges nobody with one.
    assert!(!admission.report(ids[0], number(2)), "the item is of another number");
    assert!(accepts(&mut judge, &holder, 202));
    assert!(admission.report(ids[0], number(1)));
    assert!(!accepts(&mut judge, &holder, 201), "a quarter less");
    assert!(accepts(&mut judge, &holder, 191));
    for _ in 0..3 {
        assert!(admission.report(ids[0], number(1)));
    }
    let verdict = store(&mut judge, &holder.continued(1, number(2), BODY), number(2), BODY, START);
    assert_refused(verdict, Refusal::Used);
    assert!(accepts(&mut judge, &innocent, 255), "nobody else pays");
    assert!(
        !admission.report(herald_core::PlacementId::from_bytes([5; 16]), number(1)),
        "cover and unknown items are of nobody"
    );
    admission.advance(START.plus_millis(3 * EPOCH_MS));
    assert!(!admission.report(ids[0], number(1)), "nothing links any more");
}

#[test]
fn a_store_that_could_not_be_kept_gives_its_counter_back() {
    let admission = service();
    let mut judge = Judge::new(admission.clone());
    let holder = Holder::now(1, GATEWAY);
    assert!(is_accepted(store(
        &mut judge,
        &holder.opening(0, Some(number(1)), BODY),
        number(1),
        BODY,
        START
    )));
    for _ in 0..40 {
        let continued = holder.continued(1, number(2), BODY);
        let Verdict::Accept(Some(id)) = store(&mut judge, &continued, number(2), BODY, START) else {
            panic!()
        };
        admission.give_back(id, number(2));
    }
}

#[test]
fn a_session_ends_with_its_life() {
    let mut judge = Judge::new(service());
    let holder = Holder::now(1, GATEWAY);
    assert!(is_accepted(store(
        &mut judge,
        &holder.opening(0, Some(number(1)), BODY),
        number(1),
        BODY,
        START
    )));
    let continued = holder.continued(1, number(1), BODY);
    assert!(is_accepted(store(&mut judge, &continued, number(1), BODY, START.plus_millis(119_000))));
    let late = START.plus_millis(121_001);
    assert_refused(store(&mut judge, &continued, number(1), BODY, late), Refusal::NoSession);
    assert_refused(
        store(&mut judge, &holder.opening(2, Some(number(1)), BODY), number(1), BODY, late),
        Refusal::Spent,
    );
}

#[test]
fn settings_out_of_their_bounds_are_refused_by_name() {
    let cases: [(Settings, &str); 7] = [
        (Settings { epoch_ms: 1, ..settings() }, "epoch_ms is 1"),
        (Settings { epochs_ahead: 65, ..settings() }, "epochs_ahead is 65"),
        (Settings { sessions_max: 0, ..settings() }, "sessions_max is 0"),
        (Settings { session_life_ms: 10, ..settings() }, "session_life_ms is 10"),
        (Settings { classes: Vec::new(), ..settings() }, "classes is 0"),
        (
            Settings { classes: vec![ClassPolicy { stores: 1025, ..ClassPolicy::gateway() }], ..settings() },
            "1025",
        ),
        (Settings { name: "user@host".to_owned(), ..settings() }, "a service's name is its host"),
    ];
    for (settings, said) in cases {
        let error = herald_admission::Admission::new(settings, &Seeded::default()).err().unwrap().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn every_refusal_says_its_limit_and_when_to_come_back_and_none_names_a_number_or_token() {
    let refusals = [
        (Refusal::Missing, 401, None),
        (Refusal::Key, 401, None),
        (Refusal::NoSession, 401, None),
        (Refusal::Spent, 401, None),
        (Refusal::Proof, 401, None),
        (Refusal::Used, 429, Some(0)),
        (Refusal::NumberUsed, 429, Some(0)),
        (Refusal::Repeated, 429, Some(0)),
        (Refusal::Redeeming, 429, Some(1)),
        (Refusal::Queue { retry_after_s: 7 }, 429, Some(7)),
        (Refusal::SessionsFull { retry_after_s: 120 }, 503, Some(120)),
        (Refusal::EpochFull { retry_after_s: 900 }, 503, Some(900)),
        (Refusal::Unavailable, 503, Some(5)),
    ];
    let mut kinds = std::collections::HashSet::new();
    for (refusal, status, retry_after_s) in refusals {
        assert_eq!((refusal.status(), refusal.retry_after_s()), (status, retry_after_s), "{refusal}");
        assert!(kinds.insert(refusal.kind()), "{refusal}");
    }
}
