//! Lookups under a clock that the test turns: deadlines, retries, coalescing and bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use herald_core::{Random, TelephoneNumber};
use herald_discovery_enum::cache::{Cache, Finding};
use herald_discovery_enum::limits::{
    DEADLINE_MARGIN_MS, LOOKUP_MS_MAX, QUERIES_MAX, QUESTIONS_MAX, REFRESHES_MAX, SERVER_REST_MS,
};
use herald_discovery_enum::resolver::{Effect, QueryKey, Resolver};
use herald_discovery_enum::settings::Config;
use herald_discovery_enum::walk::Outcome;
use herald_plugin_sdk::{Settings, Ticket};
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};

/// Counts, so that a run can be repeated.
struct Counting(AtomicU64);

impl Random for Counting {
    fn fill(&self, out: &mut [u8]) {
        let bytes = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        out.iter_mut().zip(bytes.iter().cycle()).for_each(|(out, byte)| *out = *byte);
    }
}

fn resolver() -> Resolver {
    let settings = [("apex", "e164.arpa"), ("servers", "192.0.2.1, 192.0.2.2"), ("retry_ms", "100")];
    let config = Config::read(&Settings::of(&settings)).expect("settings");
    let servers = config.server_addresses().expect("listed");
    Resolver::new(Arc::new(config), servers, Box::new(Counting(AtomicU64::new(0))))
}

fn number(index: usize) -> TelephoneNumber {
    format!("1202{index:07}").parse().expect("a number")
}

#[derive(Default)]
struct Seen {
    opened: Vec<(QueryKey, String, Vec<u8>)>,
    answers: Vec<(Ticket, Outcome)>,
    learnt: usize,
}

fn effects(resolver: &mut Resolver) -> Seen {
    let mut seen = Seen::default();
    while let Some(effect) = resolver.next_effect() {
        match effect {
            Effect::Open { key, server, message, .. } => {
                seen.opened.push((key, server.ip().to_string(), message));
            }
            Effect::Answer(ticket, outcome) => seen.answers.push((ticket, outcome)),
            Effect::Learn(..) => seen.learnt += 1,
            Effect::Close(_) | Effect::Say(..) => {}
        }
    }
    seen
}

/// A reply that says that there is no such name.
fn denial(query: &[u8]) -> Vec<u8> {
    let query = Message::from_vec(query).expect("a query");
    let mut reply = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
    reply.metadata.response_code = ResponseCode::NXDomain;
    reply.add_queries(query.queries);
    reply.to_vec().expect("a reply")
}

#[test]
fn a_question_is_repeated_to_the_next_server_ever_more_patiently() {
    let mut resolver = resolver();
    resolver.ask(Ticket(1), number(1), 60_000, 0);
    let mut asked = vec![(0, effects(&mut resolver).opened.remove(0).1)];
    let mut answers = Vec::new();
    while let Some(now_ms) = resolver.next_due_ms() {
        resolver.tick(now_ms);
        let seen = effects(&mut resolver);
        asked.extend(seen.opened.into_iter().map(|(_, server, _)| (now_ms, server)));
        answers.extend(seen.answers.into_iter().map(|answer| (now_ms, answer)));
    }
    let expected = [(0, "192.0.2.1"), (100, "192.0.2.2"), (300, "192.0.2.1"), (700, "192.0.2.2")];
    assert_eq!(asked, expected.map(|(at, server)| (at, server.to_owned())));
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0], (1500, (Ticket(1), Outcome::Unknown("the DNS servers do not answer"))));
}

#[test]
fn a_server_that_was_silent_is_asked_after_the_others_for_a_while() {
    let mut resolver = resolver();
    let first_asked = |resolver: &mut Resolver, index, now_ms| {
        resolver.ask(Ticket(now_ms), number(index), now_ms + 1_000, now_ms);
        effects(resolver).opened.remove(0)
    };
    assert_eq!(first_asked(&mut resolver, 1, 0).1, "192.0.2.1");
    resolver.tick(100);
    let (key, other, query) = effects(&mut resolver).opened.remove(0);
    assert_eq!(other, "192.0.2.2");
    resolver.received(key, &denial(&query), 150);
    for (index, now_ms, server) in [
        (2, 200, "192.0.2.2"),
        (3, 100 + SERVER_REST_MS - 1, "192.0.2.2"),
        (4, 100 + SERVER_REST_MS, "192.0.2.1"),
    ] {
        let (key, asked, query) = first_asked(&mut resolver, index, now_ms);
        assert_eq!(asked, server, "at {now_ms} ms");
        resolver.received(key, &denial(&query), now_ms);
        effects(&mut resolver);
    }
}

#[test]
fn a_call_is_answered_before_its_deadline_and_the_lookup_goes_on_for_the_next_one() {
    let mut resolver = resolver();
    resolver.ask(Ticket(1), number(1), 50, 0);
    resolver.ask(Ticket(2), number(1), 5_000, 0);
    resolver.ask(Ticket(3), number(1), 5_000, 0);
    resolver.cancel(Ticket(3));
    let (key, _, query) = effects(&mut resolver).opened.remove(0);
    assert_eq!(resolver.next_due_ms(), Some(50 - DEADLINE_MARGIN_MS));
    resolver.tick(50 - DEADLINE_MARGIN_MS);
    let seen = effects(&mut resolver);
    assert!(seen.opened.is_empty(), "three calls, one lookup");
    assert_eq!(seen.answers, [(Ticket(1), Outcome::Unknown("the DNS servers do not answer in time"))]);
    assert!(!resolver.received(key, &denial(&query), 60), "the socket is of no more use");
    let seen = effects(&mut resolver);
    assert_eq!(seen.answers.iter().map(|(ticket, _)| *ticket).collect::<Vec<_>>(), [Ticket(2)]);
    assert_eq!((seen.learnt, resolver.next_due_ms()), (1, None), "and nothing is left");
}

#[test]
fn what_is_under_way_is_bounded_and_every_call_is_answered() {
    let mut resolver = resolver();
    let calls = QUESTIONS_MAX + 100;
    let mut answered = 0;
    let mut open = 0;
    for index in 0..calls {
        resolver.ask(Ticket(index as u64), number(index), 3_000, 0);
    }
    for _ in 0..2 * REFRESHES_MAX {
        resolver.refresh(number(1_000_000), 0);
    }
    let seen = effects(&mut resolver);
    answered += seen.answers.len();
    open += seen.opened.len();
    assert_eq!(open, QUERIES_MAX);
    assert!(answered >= 100, "those beyond the bounds at once");
    while let Some(now_ms) = resolver.next_due_ms() {
        assert!(now_ms <= 2 * LOOKUP_MS_MAX);
        resolver.tick(now_ms);
        answered += effects(&mut resolver).answers.len();
    }
    assert_eq!(answered, calls);
}

#[test]
fn calls_find_room_while_much_is_refreshed() {
    let mut resolver = resolver();
    let begun = (0..1000).filter(|index| resolver.refresh(number(*index), 0)).count();
    assert_eq!(begun, REFRESHES_MAX);
    resolver.ask(Ticket(1), number(5000), 3_000, 0);
    assert_eq!(effects(&mut resolver).opened.len(), REFRESHES_MAX + 1);
}

fn finding(fresh_s: u32) -> Finding {
    Finding { uris: vec!["https://a.example".to_owned()], fresh_s, note: String::new() }
}

#[test]
fn what_is_known_is_refreshed_before_its_end_if_somebody_asks_for_it() {
    let mut cache = Cache::new(100);
    cache.learn(number(1), finding(100), 0, 800);
    cache.learn(number(2), finding(100), 0, 800);
    assert_eq!(cache.find(number(1), 1_500).map(|found| found.fresh_s), Some(98));
    assert_eq!(cache.take_due(79_999), None);
    assert_eq!(cache.take_due(80_000), Some(number(1)));
    assert_eq!(cache.take_due(80_000), None, "nobody has asked for the other one");
    cache.learn(number(1), finding(100), 80_100, 800);
    assert!(cache.find(number(1), 100_001).is_some());
    assert_eq!(cache.find(number(2), 100_000), None);
    assert_eq!(cache.take_due(100_000), None);
    assert_eq!(cache.number_count(), 1, "it is forgotten");
}

#[test]
fn numbers_ahead_of_calls_stay_and_others_make_room() {
    let mut cache = Cache::new(10);
    for index in 0..5 {
        cache.look_ahead(number(index), 0);
    }
    for index in 100..1_000 {
        cache.learn(number(index), finding(60), 0, 800);
    }
    assert_eq!(cache.number_count(), 10);
    let due: Vec<_> = core::iter::from_fn(|| cache.take_due(0)).collect();
    assert_eq!(due, (0..5).map(number).collect::<Vec<_>>());
    // One that may not be remembered is looked up again all the same, but not at once.
    cache.learn(number(0), finding(0), 10, 800);
    assert_eq!(cache.find(number(0), 10), None);
    assert!(core::iter::from_fn(|| cache.take_due(10 + 999)).all(|due| due != number(0)));
    assert!(core::iter::from_fn(|| cache.take_due(2_000)).any(|due| due == number(0)));
    cache.postpone(number(0), 90_000);
    let due: Vec<_> = core::iter::from_fn(|| cache.take_due(89_999)).collect();
    assert!(!due.contains(&number(0)) && due.contains(&number(1)), "{due:?}");
}
