//! Calls and messages in one engine: each class has its own memory, journal and time.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use herald_runtime::core::batch;
use herald_runtime::core::{
    Clock, Item, PlacementClass, PlacementId, Problem, Refusal, TelephoneNumber, Timestamp,
};
use herald_runtime::{Config, CpsClient, CpsError, Engine, EngineErrorKind, Environment, Watched};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
/// 2027.
const START_MS: u64 = 1_800_000_000_000;
const MESSAGES: (&str, &str) = ("message_retention", "72h");
const BODY: [u8; 8192] = [7; 8192];

/// A clock that is moved by hand.
struct HandClock(AtomicU64);

impl HandClock {
    fn at(millis: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(millis)))
    }

    fn pass(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

fn config(properties: &[(&str, &str)]) -> Config {
    let mut config = Config::default();
    for (name, value) in [("memory", "16MiB"), ("message_memory", "16MiB")].iter().chain(properties) {
        config.set(name, value).expect("a property");
    }
    config
}

fn on_disk<'a>(folder: &'a Path, more: &[(&'a str, &'a str)]) -> Config {
    let mut properties = vec![("data", folder.to_str().expect("a plain path")), ("durability", "synced")];
    properties.extend(more);
    config(&properties)
}

/// Whose clock is `clock`, and which reports into `told`.
fn environment(clock: &Arc<HandClock>, told: &Arc<Mutex<Vec<String>>>) -> Environment {
    let (clock, told) = (clock.clone(), told.clone());
    let report = move |_, words: &str| told.lock().expect("no panic").push(words.to_owned());
    Environment { clock: Box::new(move |_| clock), ..Environment::system(report) }
}

fn started(config: Config, clock: &Arc<HandClock>) -> Engine {
    let engine = Engine::open(config, environment(clock, &Arc::default())).expect("an engine");
    engine.start().expect("a start");
    engine
}

fn number(index: usize) -> TelephoneNumber {
    format!("1222555{index:04}").parse().expect("a number")
}

fn store(engine: &Engine, class: PlacementClass) -> PlacementId {
    engine.store_of(class, number(1), &BODY).expect("there is room")
}

fn has(engine: &Engine, id: PlacementId) -> bool {
    engine.retrieve(number(1)).expect("it retrieves").iter().any(|item| item.id == id && item.body == BODY)
}

/// Stores of a class until its memory is full, and gives how many were taken.
fn fill(engine: &Engine, class: PlacementClass) -> usize {
    let full = |index: usize| engine.store_of(class, number(index % 5_000), &BODY).is_err();
    let taken = (0..20_000).position(full).expect("its memory is bounded");
    assert!(taken < 2_100, "16 MiB hold {taken} bodies of 8 KiB");
    taken
}

#[test]
fn the_memory_of_calls_is_used_again_while_messages_live_on_and_the_other_way_round() {
    let clock = HandClock::at(START_MS);
    let engine = started(config(&[("durability", "memory"), MESSAGES]), &clock);
    let message = store(&engine, PlacementClass::Message);
    let call = store(&engine, PlacementClass::Call);
    for round in 0..3 {
        assert!(fill(&engine, PlacementClass::Call) > 1_000, "round {round}");
        assert!(engine.fault().is_some_and(|why| why.contains("the memory for placements")));
        clock.pass(MINUTE_MS);
    }
    assert!(has(&engine, message) && !has(&engine, call));
    assert!(fill(&engine, PlacementClass::Message) > 1_000);
    clock.pass(HOUR_MS);
    assert_eq!(fill(&engine, PlacementClass::Message), 0, "an hour makes no room among messages");
    store(&engine, PlacementClass::Call);
    clock.pass(72 * HOUR_MS);
    assert!(fill(&engine, PlacementClass::Message) > 1_000);
    assert!(!has(&engine, message));
    engine.stop().expect("a stop");
}

/// Numbers under which nothing is stored.
const NOBODYS: [usize; 8] = [2, 3, 4, 5, 6, 7, 8, 9];

#[test]
fn messages_and_their_cover_are_there_after_a_restart_when_calls_are_long_over() {
    for more in [[MESSAGES; 2], [MESSAGES, ("message_beyond_memory", "16MiB")]] {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = HandClock::at(START_MS);
        let engine = started(on_disk(folder.path(), &more), &clock);
        let (call, message) = (store(&engine, PlacementClass::Call), store(&engine, PlacementClass::Message));
        assert!(has(&engine, call) && has(&engine, message));
        let shown =
            |engine: &Engine| NOBODYS.map(|index| engine.retrieve(number(index)).expect("it retrieves"));
        let before = shown(&engine);
        engine.stop().expect("a stop");
        drop(engine);

        clock.pass(2 * HOUR_MS);
        let engine = started(on_disk(folder.path(), &more), &clock);
        assert!(has(&engine, message) && !has(&engine, call));
        let after = shown(&engine);
        // Of one number all may have been in their last two hours.
        let lives_on = |before: &[Item], after: &[Item]| before.iter().any(|item| after.contains(item));
        let living = before.iter().zip(&after).filter(|(before, after)| lives_on(before, after)).count();
        assert!(living > NOBODYS.len() / 2, "{living} numbers that are nobody's show cover that lives on");
        engine.stop().expect("a stop");
        drop(engine);

        // The folder of calls is what it is without messages.
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let calls = Engine::open(on_disk(folder.path(), &[]), environment(&clock, &told)).expect("an engine");
        calls.start().expect("a start");
        assert!(!has(&calls, message));
        let refused = calls.store_of(PlacementClass::Message, number(1), &BODY).expect_err("not kept");
        assert_eq!(refused.kind(), EngineErrorKind::Argument);
        assert!(refused.to_string().contains("message_retention"), "{refused}");
        assert!(
            told.lock().expect("no panic").iter().any(|words| words.contains("messages of an earlier life"))
        );
        calls.stop().expect("a stop");
        drop(calls);

        clock.pass(71 * HOUR_MS);
        let engine = started(on_disk(folder.path(), &more), &clock);
        assert!(!has(&engine, message), "its retention is over");
    }
}

#[test]
fn a_shorter_retention_of_messages_ends_what_is_there_earlier_for_good_and_begins_new_cover_aloud() {
    let beyond = ("message_beyond_memory", "16MiB");
    for (more, later) in [(MESSAGES, "24h"), (beyond, "24h"), (beyond, "72h")] {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = HandClock::at(START_MS);
        let open = |retention| {
            let told: Arc<Mutex<Vec<String>>> = Arc::default();
            let config = on_disk(folder.path(), &[more, ("message_retention", retention)]);
            let engine = Engine::open(config, environment(&clock, &told)).expect("an engine");
            engine.start().expect("a start");
            let is_told =
                told.lock().expect("no panic").iter().any(|words| words.contains("new cover begins"));
            (engine, is_told)
        };
        let (engine, _) = open("72h");
        let first = store(&engine, PlacementClass::Message);
        drop(engine);
        clock.pass(20 * HOUR_MS);
        let (engine, _) = open("72h");
        let second = store(&engine, PlacementClass::Message);
        drop(engine);
        clock.pass(HOUR_MS);
        let (engine, is_told) = open(later);
        assert_eq!(is_told, later == "24h", "{later}");
        let third = store(&engine, PlacementClass::Message);
        assert!([first, second, third].iter().all(|&id| has(&engine, id)));
        drop(engine);
        for (hours, lives) in
            [(4, [false, true, true]), (18, [false, true, true]), (2, [false, false, false])]
        {
            clock.pass(hours * HOUR_MS);
            let (engine, is_told) = open(later);
            assert!(!is_told, "it was told before");
            let wanted = lives.map(|lives| lives || later == "72h");
            assert_eq!([first, second, third].map(|id| has(&engine, id)), wanted, "{hours} h on, {later}");
        }
    }
}

#[test]
fn what_leaves_memory_without_a_disk_is_refused_by_the_name_of_its_property() {
    let beyond = ("message_beyond_memory", "16MiB");
    let config = config(&[("durability", "memory"), MESSAGES, beyond]);
    let refused = Engine::open(config, environment(&HandClock::at(START_MS), &Arc::default())).err();
    let why = refused.expect("there is no journal to read it from").to_string();
    assert!(why.contains("message_beyond_memory is set"), "{why}");
}

/// What a service on a Unix socket answers to a POST: status and body.
fn posted(socket: &Path, target: &str, content_type: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let length = body.len();
    let fields = format!("Content-Length: {length}\r\nContent-Type: {content_type}\r\n");
    asked(socket, &format!("POST {target}"), &fields, body)
}

fn asked(socket: &Path, what: &str, fields: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let mut stream = UnixStream::connect(socket).expect("the engine listens");
    let head = format!("{what} HTTP/1.1\r\nHost: cps\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).expect("it goes out");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    (status, answer.split_off(at))
}

#[test]
fn over_http_the_media_type_names_the_class_of_one_placement_or_of_a_batch() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("herald.sock");
    let listening = ("unix_socket", socket.to_str().expect("a plain path"));
    let clock = HandClock::at(START_MS);
    let engine = started(on_disk(folder.path(), &[MESSAGES, listening]), &clock);
    let list = format!("/cps/{}/ppts", number(1));
    let two = |body: &[u8]| {
        let mut two = batch::begin();
        for _ in 0..2 {
            batch::put_placement(&mut two, number(1), body).expect("a size taken");
        }
        two
    };
    let cases = [
        (&*list, "application/passport", 201, 0),
        (&list, "application/passport; class=message", 201, 1),
        (&list, "application/passport; class=fax", 415, 0),
        (batch::STORE_PATH, "application/vnd.herald.batch; class=message", 200, 2),
        (batch::STORE_PATH, "application/vnd.herald.batch; class=call", 200, 0),
        (batch::STORE_PATH, "application/vnd.herald.batch; class=fax", 415, 0),
    ];
    let body = |case: usize| vec![u8::try_from(case).expect("a few cases"); 8192];
    for (case, (target, content_type, status, _)) in cases.into_iter().enumerate() {
        let sent = if target == batch::STORE_PATH { two(&body(case)) } else { body(case) };
        let (answered, answer) = posted(&socket, target, content_type, &sent);
        assert_eq!(answered, status, "{content_type}: {}", String::from_utf8_lossy(&answer));
    }
    clock.pass(MINUTE_MS);
    let items = engine.retrieve(number(1)).expect("it retrieves");
    for (case, (_, content_type, _, lives_on)) in cases.into_iter().enumerate() {
        let found = items.iter().filter(|item| item.body == body(case)).count();
        assert_eq!(found, lives_on, "after a minute: {content_type}");
    }
    engine.stop().expect("a stop");
    let calls = started(on_disk(folder.path(), &[listening]), &clock);
    for (target, content_type) in [
        (&*list, "application/passport; class=message"),
        (batch::STORE_PATH, "application/vnd.herald.batch; class=message"),
    ] {
        let (status, answer) = posted(&socket, target, content_type, &BODY);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(status == 415 && answer.contains("urn:herald:problem:class"), "{status}: {answer}");
    }
    drop(calls);
}

#[test]
fn messages_that_find_no_room_are_told_and_only_calls_decide_whether_a_service_is_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("herald.sock");
    let listening = ("unix_socket", socket.to_str().expect("a plain path"));
    let clock = HandClock::at(START_MS);
    let engine = started(config(&[("durability", "memory"), MESSAGES, listening]), &clock);
    let well = |calls: bool, messages: bool, said: Option<&str>| {
        let (status, answer) = asked(&socket, "GET /health", "", &[]);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(status, if calls { 200 } else { 503 }, "{answer}");
        let is_told = |said: &str| answer.contains(&format!(r#""messages":"{said}"#));
        assert_eq!(is_told(""), said.is_some(), "{answer}");
        assert!(said.is_none_or(is_told), "{answer}");
        assert_eq!(engine.fault().is_none(), calls, "{:?}", engine.fault());
        let stats = engine.stats();
        for (name, is_well) in [("herald_healthy", calls), ("herald_messages_healthy", messages)] {
            assert_eq!(stats.value(name, &[]), Some(f64::from(u8::from(is_well))), "{name}");
        }
    };
    well(true, true, None);
    fill(&engine, PlacementClass::Message);
    well(true, false, Some("the memory for messages is full"));
    fill(&engine, PlacementClass::Call);
    well(false, false, Some("the memory for messages is full"));
    clock.pass(MINUTE_MS);
    well(true, false, Some("the memory for messages is full"));
    clock.pass(72 * HOUR_MS);
    well(true, true, None);
    engine.stop().expect("a stop");
    let calls = started(config(&[("durability", "memory")]), &clock);
    assert_eq!(calls.stats().value("herald_messages_healthy", &[]), None);
}

#[test]
fn a_client_stores_messages_at_its_service() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("herald.sock");
    let listening = ("unix_socket", socket.to_str().expect("a plain path"));
    let clock = HandClock::at(START_MS);
    let home = format!("unix:{}", socket.display());
    for (kept, is_taken) in [(MESSAGES, true), (("message_retention", "none"), false)] {
        let service = started(config(&[("durability", "memory"), kept, listening]), &clock);
        let mut elsewhere = Config::default();
        elsewhere.set("service", &home).expect("a property");
        let client = started(elsewhere, &clock);
        let stored = client.store_batch_of(PlacementClass::Message, &[(number(1), &BODY)]);
        match stored {
            Ok(results) => {
                assert!(is_taken);
                clock.pass(HOUR_MS);
                assert!(has(&client, *results[0].as_ref().expect("it is stored")));
            }
            Err(error) => {
                assert!(!is_taken, "{error}");
                assert_eq!(error.kind(), EngineErrorKind::Argument, "{error}");
            }
        }
        client.stop().expect("a stop");
        service.stop().expect("a stop");
    }
}

#[test]
fn a_client_without_an_engine_names_the_class_of_one_placement_and_of_a_batch() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("herald.sock");
    let listening = ("unix_socket", socket.to_str().expect("a plain path"));
    let clock = HandClock::at(START_MS);
    let client = CpsClient::open(&format!("unix:{}", socket.display()), b"").expect("a client");
    let store = |class: PlacementClass| {
        let one = client.store_of(class, number(1), &BODY)?;
        let two = client.store_batch_of(class, &[(number(1), &BODY)])?.pop().expect("a result");
        Ok([one, two.expect("there is room")])
    };
    let service = started(config(&[("durability", "memory"), MESSAGES, listening]), &clock);
    let calls = store(PlacementClass::Call).expect("calls are kept");
    let messages = store(PlacementClass::Message).expect("messages are kept");
    clock.pass(HOUR_MS);
    let items = client.retrieve(number(1)).expect("it retrieves");
    let still_there = |path: &String| items.iter().any(|item| item.href == *path && item.body == BODY);
    assert!(messages.iter().all(still_there) && !calls.iter().any(still_there));
    service.stop().expect("a stop");
    let _calls = started(config(&[("durability", "memory"), listening]), &clock);
    store(PlacementClass::Call).expect("calls are kept");
    let refused = store(PlacementClass::Message).expect_err("messages are not kept");
    assert!(matches!(refused, CpsError::Refused { status: 415, .. }), "{refused}");
}

#[test]
fn subscribers_hear_of_messages_and_each_class_is_measured() {
    let clock = HandClock::at(START_MS);
    let engine = started(config(&[("durability", "memory"), ("message_memory", "32MiB"), MESSAGES]), &clock);
    let (tell, told) = mpsc::channel();
    let hear = move |arrival: &herald_runtime::Arrival, _| {
        let _ = tell.send((arrival.id, arrival.expires_at.as_millis()));
    };
    let subscription = engine.subscribe(Watched::Number(number(1)), 8, hear).expect("a subscription");
    for (class, lives_ms) in [(PlacementClass::Message, 72 * HOUR_MS), (PlacementClass::Call, MINUTE_MS)] {
        let id = store(&engine, class);
        let heard = told.recv_timeout(Duration::from_secs(20)).expect("it is told");
        assert_eq!(heard, (id, START_MS + lives_ms));
    }
    subscription.end();
    let stats = engine.stats();
    // As many segments as fit, so a little less than was asked for.
    let arena_mib = |labels| {
        stats
            .value("herald_arena_bytes", labels)
            .map(|bytes| (bytes / f64::from(1 << 20) * 10.0).ceil() / 10.0)
    };
    assert_eq!(arena_mib(&[]), Some(16.0));
    assert_eq!(arena_mib(&[("class", "message")]), Some(32.0));
    assert_eq!(stats.value("herald_stored_total", &[]), Some(2.0));
    let calls = started(config(&[("durability", "memory")]), &clock);
    assert_eq!(calls.stats().value("herald_arena_bytes", &[("class", "message")]), None);
}

#[test]
fn a_number_full_of_messages_takes_calls() {
    let clock = HandClock::at(START_MS);
    let engine = started(config(&[("durability", "memory"), MESSAGES]), &clock);
    let placements = vec![(number(1), &BODY[..640]); 300];
    let results = engine.store_batch_of(PlacementClass::Message, &placements).expect("it stores");
    assert_eq!(results.last(), Some(&Err(Problem::Full(Refusal::NumberFull))));
    store(&engine, PlacementClass::Call);
    let batch = engine.store_batch(&[(number(1), &BODY)]).expect("it stores");
    assert!(batch[0].is_ok());
}
