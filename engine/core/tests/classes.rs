//! Calls and messages beside each other: what is stored of either is found in one list, and each goes in its own time.

mod common;

use std::collections::BTreeSet;

use common::{House, START, SeededRandom, number};
use herald_core::batch::{self, Stored};
use herald_core::limits::{MESSAGE_RETENTION_MAX_MS, RECORDS_PER_NUMBER_MAX, RETENTION_DEFAULT_MS};
use herald_core::{
    BatchExchange, CoverSecret, Effect, PlacementClass, PlacementId, Problem, Refusal, Request, Retention,
    Storing, TelephoneNumber, Timestamp,
};

const COLLECTION: &str = "/cps/12225552222/ppts";
const CALL: &str = "application/passport";
const MESSAGE: &str = "application/passport; class=message";
const HOUR_MS: u64 = 60 * 60 * 1000;
const DAYS_MS: u64 = 72 * HOUR_MS;

fn callee() -> TelephoneNumber {
    number("12225552222")
}

fn days() -> Retention {
    Retention::of(PlacementClass::Message, DAYS_MS).expect("within the bounds")
}

/// A service of both classes, and one of calls alone.
fn both_and_calls() -> [House; 2] {
    [House::with_messages(1, days()), House::new(1)]
}

fn post<'a>(content_type: &'a str, body: &'a [u8]) -> Request<'a> {
    let content_type = Some(content_type);
    Request { method: "POST", target: COLLECTION, content_type, body, ..Request::default() }
}

fn stored(house: &mut House, content_type: &str) -> PlacementId {
    let answer = house.ask(&post(content_type, &[7; 640]));
    assert_eq!((answer.response.status, answer.effect), (201, Effect::MakeDurable), "{content_type}");
    let location = answer.response.header("location").expect("a location");
    location.rsplit('/').next().and_then(|id| id.parse().ok()).expect("a path ends in an id")
}

fn listed(house: &mut House) -> BTreeSet<PlacementId> {
    house.service.list(&mut house.store, callee(), house.now).into_iter().collect()
}

#[test]
fn a_call_goes_after_a_minute_and_a_message_after_days() {
    let mut house = House::with_messages(1, days());
    let (call, message) = (stored(&mut house, CALL), stored(&mut house, MESSAGE));
    for (passed_ms, is_call_there, is_message_there) in [
        (0, true, true),
        (RETENTION_DEFAULT_MS - 1, true, true),
        (RETENTION_DEFAULT_MS, false, true),
        (DAYS_MS - 1, false, true),
        (DAYS_MS, false, false),
    ] {
        house.now = START.plus_millis(passed_ms);
        let ids = listed(&mut house);
        let wanted = [(call, is_call_there), (message, is_message_there)];
        for (id, is_there) in wanted {
            assert_eq!(ids.contains(&id), is_there, "in the list after {passed_ms} ms");
            let item = house.service.item(&mut house.store, callee(), id, house.now);
            assert_eq!(item.is_some_and(|item| item.body == [7; 640]), is_there, "after {passed_ms} ms");
        }
        let items = house.service.retrieve(&mut house.store, callee(), house.now);
        assert!(items.is_sorted_by_key(|item| item.id), "one list in one order");
        assert_eq!(items.iter().map(|item| item.id).collect::<BTreeSet<_>>(), ids);
        let together = house.service.retrieve_batch(&mut house.store, &[callee()], house.now);
        assert_eq!(together, [items]);
    }
}

#[test]
fn a_class_that_is_not_said_well_or_not_kept_is_refused_and_nothing_is_stored() {
    let cases = [
        ("application/passport", [201, 201]),
        ("application/passport;class=call", [201, 201]),
        ("application/passport; v=1; CLASS=\"Call\"", [201, 201]),
        (MESSAGE, [201, 415]),
        ("application/passport;class=\"message\"; v=1", [201, 415]),
        ("application/passport; class=video", [415, 415]),
        ("application/passport; class=", [415, 415]),
        ("application/passport; class=call; class=message", [415, 415]),
        ("text/plain; class=message", [415, 415]),
    ];
    for (content_type, wanted) in cases {
        for (mut house, wanted) in both_and_calls().into_iter().zip(wanted) {
            let before = listed(&mut house);
            let answer = house.ask(&post(content_type, &[7; 640]));
            assert_eq!(answer.response.status, wanted, "{content_type}");
            let is_stored = listed(&mut house) != before;
            assert_eq!(is_stored, wanted == 201, "{content_type}");
        }
    }
    let [_, mut calls] = both_and_calls();
    let refusal = calls.ask(&post(MESSAGE, &[7; 640])).response;
    let refusal = String::from_utf8(refusal.body).expect("text");
    for words in ["urn:herald:problem:class", "message_retention"] {
        assert!(refusal.contains(words), "{refusal}");
    }
    // What the door of an engine says before a token is looked at.
    let request = post(MESSAGE, &[7; 640]);
    let not_kept = Problem::ClassNotKept(PlacementClass::Message);
    assert_eq!(request.asks_to_store(Storing::NotKept), Err(not_kept));
    let not_gated = Problem::ClassNotGated(PlacementClass::Message);
    assert_eq!(request.asks_to_store(Storing::Possible), Err(not_gated));
    assert_eq!(
        post("application/passport; class=x", &[7; 640]).asks_to_store(Storing::Possible),
        Err(Problem::UnknownClass)
    );
}

#[test]
fn nobody_s_number_shows_cover_of_each_class() {
    let long_lived = |house: &mut House| {
        let first = listed(house);
        house.pass_millis(RETENTION_DEFAULT_MS);
        first.intersection(&listed(house)).count()
    };
    let [mut both, mut calls] = both_and_calls();
    for _ in 0..20 {
        assert!(
            long_lived(&mut both) > 0,
            "something that lives longer than a call, though nobody sent a message"
        );
        assert_eq!(long_lived(&mut calls), 0, "no cover of messages where they are not kept");
    }
    // Cover of messages lives as long as a message, and no longer.
    let first = listed(&mut both);
    both.pass_millis(DAYS_MS);
    assert_eq!(first.intersection(&listed(&mut both)).count(), 0);
}

#[test]
fn a_number_full_of_messages_has_room_for_calls() {
    let mut house = House::with_messages(1, days());
    let (service, store) =
        house.service.of_class(&mut house.store, PlacementClass::Message).expect("messages are kept");
    let refused = (0..=RECORDS_PER_NUMBER_MAX)
        .filter_map(|_| service.store(store, callee(), &[7; 640], START).err())
        .next();
    assert_eq!(refused, Some(Problem::Full(Refusal::NumberFull)));
    assert_eq!(house.ask(&post(MESSAGE, &[7; 640])).response.status, 503);
    stored(&mut house, CALL);
}

#[test]
fn a_batch_names_the_class_of_all_its_placements() {
    let mut body = batch::begin();
    for _ in 0..3 {
        batch::put_placement(&mut body, callee(), &[7; 640]).expect("a size taken");
    }
    let ask = |house: &mut House, content_type| {
        let target = batch::STORE_PATH;
        let request = Request { target, ..post(content_type, &[]) };
        let mut exchange = BatchExchange::open(&request, Storing::Possible)?.expect("a batch");
        let (mut input, mut out) = (&body[..], Vec::new());
        while !input.is_empty() {
            let House { service, store, now, .. } = house;
            service.step_batch(store, &mut exchange, &mut input, &mut out, Storing::Possible, *now)?;
        }
        let mut answer = &out[..];
        batch::take_version(&mut answer).expect("a version");
        let mut ids = Vec::new();
        while let Some(Stored::Done(id)) = batch::take_stored(&mut answer).expect("a result") {
            ids.push(id);
        }
        Ok(ids)
    };
    let [mut both, mut calls] = both_and_calls();
    for (content_type, is_there) in [
        ("application/vnd.herald.batch", false),
        ("application/vnd.herald.batch; class=call", false),
        ("application/vnd.herald.batch; class=message", true),
    ] {
        let ids = ask(&mut both, content_type).expect("a batch");
        assert_eq!(ids.len(), 3, "{content_type}");
        let mut later = House { now: both.now.plus_millis(HOUR_MS), ..both };
        let found = listed(&mut later);
        assert!(ids.iter().all(|id| found.contains(id) == is_there), "an hour later: {content_type}");
        both = House { now: START, ..later };
    }
    let unknown = ask(&mut both, "application/vnd.herald.batch; class=video");
    assert_eq!(unknown, Err(Problem::UnknownClass));
    let not_kept = ask(&mut calls, "application/vnd.herald.batch; class=message");
    assert_eq!(not_kept, Err(Problem::ClassNotKept(PlacementClass::Message)));
}

#[test]
fn the_bound_of_a_retention_is_that_of_its_class() {
    for (class, millis, is_taken) in [
        (PlacementClass::Call, RETENTION_DEFAULT_MS, true),
        (PlacementClass::Call, RETENTION_DEFAULT_MS + 1, false),
        (PlacementClass::Message, MESSAGE_RETENTION_MAX_MS, true),
        (PlacementClass::Message, MESSAGE_RETENTION_MAX_MS + 1, false),
        (PlacementClass::Message, 0, false),
    ] {
        let retention = Retention::of(class, millis);
        assert_eq!(retention.is_ok(), is_taken, "{millis} ms for a {}", class.name());
        if let Err(error) = retention {
            assert!(error.to_string().contains(class.name()), "{error}");
        }
    }
}

#[test]
fn a_key_of_messages_is_forgotten_within_three_retentions() {
    let mut secret = CoverSecret::generate(&SeededRandom::new(1), days(), START);
    let at = |retentions: u64| START.plus_millis(retentions * DAYS_MS);
    let before = secret.to_bytes();
    let read = |bytes: [u8; CoverSecret::BYTES], now: Timestamp| CoverSecret::from_bytes(&bytes, days(), now);
    assert!(secret.advance(days(), at(3)));
    assert!(read(before, START).is_some());
    assert!(read(secret.to_bytes(), START).is_none(), "what was shown then cannot be shown again");
    assert!(read(secret.to_bytes(), at(3)).is_some());
}
