//! What happens at each bound: who is refused, with which limit, and until when.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use herald_admission::{ClassPolicy, Judge, Refusal, Settings, Verdict};
use herald_core::{PlacementId, Room};

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
    assert_refused(verdict, Refusal::EpochFull { retry_after_s: 480 });
    let continued = holders[3].continued(1, number(1), BODY);
    assert!(is_accepted(store(&mut judge, &continued, number(1), BODY, START)));
    let next = Holder::new(99, START.as_millis() / EPOCH_MS + 1, GATEWAY).opening(0, Some(number(1)), BODY);
    let soon = START.plus_millis(EPOCH_MS - 60_000);
    assert!(is_accepted(store(&mut judge, &next, number(1), BODY, soon)), "another epoch has room");
}

#[test]
fn a_token_has_as_many_placements_under_a_number_as_its_class_says_however_cunning_it_is() {
    let admission = service();
    let (mut judge, policy) = (Judge::new(admission.clone()), ClassPolicy::gateway());
    let (flood, target) = (Holder::now(1, GATEWAY), number(500));
    let mut live = Vec::new();
    let mut refused = 0;
    assert!(is_accepted(store(&mut judge, &flood.opening(0, Some(number(0)), BODY), number(0), BODY, START)));
    for counter in 1..policy.stores {
        // Other numbers between do not make the count forget this one.
        let to = if counter % 2 == 0 { target } else { number(1_000 + u64::from(counter)) };
        let verdict = store(&mut judge, &flood.continued(counter, to, BODY), to, BODY, START);
        let id = match verdict {
            Verdict::Accept(id) => id.unwrap(),
            Verdict::AcceptIfRoom(id) => id,
            verdict => panic!("{verdict:?}"),
        };
        let there = if to == target { &live[..] } else { &[] };
        match (verdict, admission.room((id, to), &mut || there.to_vec(), 193, START)) {
            (Verdict::AcceptIfRoom(_), Room::UsedByToken) => refused += 1,
            (_, Room::Left) if to == target => live.push(id),
            (_, room) => assert_eq!(room, Room::Left, "nothing else is there"),
        }
    }
    assert_eq!((live.len() as u32, refused), (policy.stores_per_number, 125));
    // Another token has room there, also behind items that were not admitted here.
    let (honest, unknown) = (Holder::now(2, GATEWAY), PlacementId::from_bytes([5; 16]));
    let opening = honest.opening(0, Some(target), BODY);
    let Verdict::Accept(Some(id)) = store(&mut judge, &opening, target, BODY, START) else { panic!() };
    live.push(unknown);
    assert_eq!(admission.room((id, target), &mut || live.clone(), 193, START), Room::Left);
}

#[test]
fn a_gateway_that_stores_under_many_numbers_is_seldom_looked_at_and_never_refused() {
    let admission = service();
    let mut judge = Judge::new(admission.clone());
    let (mut looked_at, mut stores) = (0, 0);
    for index in 0..32 {
        let honest = Holder::now(index, GATEWAY);
        let opening = honest.opening(0, Some(number(0)), BODY);
        assert!(is_accepted(store(&mut judge, &opening, number(0), BODY, START)));
        for counter in 1..ClassPolicy::gateway().stores {
            let to = number(u64::from(counter) * 37 % 9_973);
            match store(&mut judge, &honest.continued(counter, to, BODY), to, BODY, START) {
                Verdict::Accept(_) => {}
                Verdict::AcceptIfRoom(id) => {
                    assert_eq!(admission.room((id, to), &mut Vec::new, 193, START), Room::Left);
                    looked_at += 1;
                }
                verdict => panic!("{verdict:?}"),
            }
            stores += 1;
        }
    }
    assert!((1..stores / 6).contains(&looked_at), "{looked_at} of {stores}");
}

#[test]
fn a_class_leaves_the_others_their_room_under_a_number() {
    let admission = service();
    let mut judge = Judge::new(admission.clone());
    let to = number(1);
    let mut id_of = |index, class| {
        let opening = Holder::now(index, class).opening(0, Some(to), BODY);
        let Verdict::Accept(Some(id)) = store(&mut judge, &opening, to, BODY, START) else { panic!() };
        id
    };
    let gateways: Vec<_> = (0..130).map(|index| id_of(index, GATEWAY)).collect();
    let handset = id_of(1_000, HANDSET);
    assert_eq!(admission.uncontested(), 129);
    let mut now = START;
    for (id, live, room, expected) in [
        (gateways[129], &gateways[..128], 193, Room::Free),
        (gateways[129], &gateways[..129], 193, Room::UsedByOthers),
        (gateways[129], &gateways[..129], 194, Room::Free),
        (handset, &gateways[..129], 193, Room::Left),
        (PlacementId::from_bytes([5; 16]), &gateways[..129], 193, Room::Free),
    ] {
        // What was found full is taken to be so for a moment.
        now = now.plus_millis(200);
        let found = admission.room((id, to), &mut || live.to_vec(), room, now);
        assert_eq!(found, expected, "{} live of {room}", live.len());
    }
    let full = |now| admission.room((gateways[129], to), &mut || gateways[..129].to_vec(), 193, now);
    let again = |now| admission.room((gateways[129], to), &mut || panic!("not looked at"), 193, now);
    assert_eq!((full(now), again(now.plus_millis(64))), (Room::UsedByOthers, Room::UsedByOthers));
    let other = admission.room((handset, to), &mut || gateways[..129].to_vec(), 193, now);
    assert_eq!(other, Room::Left, "and of no other class");
    let alone = service_with(Settings { classes: vec![ClassPolicy::handset()], ..settings() }, START);
    assert_eq!(alone.uncontested(), 193, "one class leaves nothing to others");
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
        let verdict = store(judge, &holder.continued(counter, number(2), BODY), number(2), BODY, START);
        matches!(verdict, Verdict::Accept(_) | Verdict::AcceptIfRoom(_))
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
        !admission.report(PlacementId::from_bytes([5; 16]), number(1)),
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
        match store(&mut judge, &continued, number(2), BODY, START) {
            Verdict::Accept(Some(id)) | Verdict::AcceptIfRoom(id) => admission.give_back(id, number(2)),
            verdict => panic!("{verdict:?}"),
        }
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
