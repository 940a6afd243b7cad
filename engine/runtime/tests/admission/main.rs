//! Stores over HTTPS where tokens are needed: what is admitted, what is refused and why, across restarts, races and epochs,
//! with tokens of the real VOPRF.

mod full;
mod modes;
mod scene;

use std::collections::HashSet;
use std::sync::Barrier;

use herald_admission::wire::{MEDIA_TYPE, OPEN_PATH};
use herald_runtime::core::PlacementClass;
use herald_runtime::core::batch::{self, Outcome, Stored};
use herald_runtime::{Config, Engine, EngineErrorKind, Environment};
use scene::{Moved, Purse, Scene, Service, Stock, body, number};

const CALLED: &str = "12225550100";
const HOLDER: &str = "13035550123";

fn stored(said: &scene::Said) -> String {
    assert_eq!(said.status, 201, "{}", said.kind());
    said.header("location").expect("a location").to_owned()
}

#[test]
fn a_token_opens_a_session_that_stores_its_quota_and_no_more() {
    let scene = Scene::new(&[]);
    let (service, purse, holder) = (scene.open(), Purse::new(), scene.holder(HOLDER));
    let missing = service.store(CALLED, body(1), None);
    assert_eq!(missing.brief(), (401, "token-needed".to_owned()));
    let challenge = missing.header("www-authenticate").expect("a challenge");
    assert!(challenge.starts_with("PrivateToken challenge=\"") && challenge.contains("token-key=\""));
    service.engine.store(number(CALLED), &body(9)).expect("the host itself needs no token");

    let tokens = purse.get(&service, &holder, "handset", 3);
    let token = &tokens[0];
    let first = stored(&service.store(CALLED, body(1), Some(&token.open(CALLED, 0, &body(1)))));
    let items = service.engine.retrieve(number(CALLED)).expect("items");
    assert!(items.iter().any(|item| first.ends_with(&item.id.to_string()) && item.body == body(1)));
    let again = stored(&service.store(CALLED, body(1), Some(&token.open(CALLED, 0, &body(1)))));
    assert_eq!(again, first, "the same store again is the same item");
    for counter in 1..4 {
        let content = body(10 + counter as u8);
        stored(&service.store(CALLED, content.clone(), Some(&token.go_on(CALLED, counter, &content))));
    }
    let used = service.store(CALLED, body(5), Some(&token.go_on(CALLED, 4, &body(5))));
    assert_eq!((used.brief(), used.header("retry-after")), ((429, "token-used".to_owned()), Some("0")));
    let spent = service.store(CALLED, body(5), Some(&tokens[1].go_on(CALLED, 0, &body(5))));
    assert_eq!(spent.brief(), (401, "no-session".to_owned()));

    // A wrong MAC burns nothing.
    let wrong = service.store(CALLED, body(6), Some(&tokens[1].open(CALLED, 0, &body(7))));
    assert_eq!(wrong.brief(), (401, "token-proof".to_owned()));
    stored(&service.store(CALLED, body(6), Some(&tokens[1].open(CALLED, 0, &body(6)))));

    // As any client of RFC 9577.
    stored(&service.store(CALLED, body(7), Some(&tokens[2].bearer())));
    let twice = service.store(CALLED, body(8), Some(&tokens[2].bearer()));
    assert_eq!(twice.brief(), (401, "token-spent".to_owned()));
    service.engine.stop().expect("a stop");
}

#[test]
fn no_token_stores_a_message_and_the_host_stores_them_without() {
    let scene = Scene::new(&[("message_retention", "1h"), ("message_memory", "16MiB")]);
    let (service, purse, holder) = (scene.open(), Purse::new(), scene.holder(HOLDER));
    let token = &purse.get(&service, &holder, "handset", 1)[0];
    let opening = token.open(CALLED, 0, &body(1));
    let ask = |path: &str, content_type: &str, authorization: Option<&str>, body: Vec<u8>| {
        let mut headers = vec![("content-type", content_type)];
        headers.extend(authorization.map(|value| ("authorization", value)));
        service.ask("POST", path, &headers, body)
    };
    let list = format!("/cps/{CALLED}/ppts");
    let store = |class: &str, authorization| {
        ask(&list, &format!("application/passport; class={class}"), authorization, body(1))
    };
    for authorization in [Some(&*opening), None] {
        assert_eq!(store("message", authorization).brief(), (403, "class".to_owned()));
    }
    let batch_of = |class: &str| {
        let mut request = batch::begin_gated();
        let record = token.record(CALLED, 1, &body(1));
        batch::put_gated(&mut request, &record, number(CALLED), &body(1)).expect("a size");
        ask(batch::STORE_PATH, &format!("{}; class={class}", batch::MEDIA_TYPE), None, request)
    };
    assert_eq!(batch_of("message").brief(), (403, "class".to_owned()));
    assert_eq!(batch_of("call").status, 200);
    let has_any =
        || service.engine.retrieve(number(CALLED)).expect("items").iter().any(|item| item.body == body(1));
    assert!(!has_any());
    stored(&store("call", Some(&opening)));
    assert!(has_any(), "what was refused has spent nothing");

    let over_socket = client(&format!("unix:{}", scene.path("socket")), &scene.path("tls.pem"));
    let messages = PlacementClass::Message;
    let told = over_socket.store_batch_of(messages, &[(number(CALLED), &body(2))]).expect("it stores");
    let there = *told[0].as_ref().expect("a service's own host needs no token");
    let here = service.engine.store_of(messages, number(CALLED), &body(3)).expect("nor does the process");
    let items = service.engine.retrieve(number(CALLED)).expect("items");
    assert!([there, here].iter().all(|id| items.iter().any(|item| item.id == *id)));
    over_socket.stop().expect("a stop");
    service.engine.stop().expect("a stop");
}

#[test]
fn what_is_no_token_of_this_service_is_refused_by_its_reason() {
    let scene = Scene::new(&[]);
    let (service, purse, holder) = (scene.open(), Purse::new(), scene.holder(HOLDER));
    let elsewhere = Purse::of_service("cps.example.net");
    let other_service = Scene::new(&[]);
    let other_service = other_service.open();
    let foreign = {
        let wanted = purse.want(&other_service, "handset", 1);
        let said = purse.send(&other_service, &holder, &wanted);
        assert_eq!(said.status, 401, "a certificate of another authority");
        purse.want(&service, "handset", 1)
    };
    assert!(!foreign.request.is_empty());
    let bound_elsewhere = elsewhere.get(&service, &holder, "handset", 1).remove(0);
    let token = purse.get(&service, &holder, "handset", 1).remove(0);
    let mut other_key = token.clone();
    other_key.input.0[97] ^= 1;
    let mut other_type = token.clone();
    other_type.input.0[1] ^= 1;
    for (authorization, status, kind) in [
        (bound_elsewhere.open(CALLED, 0, &body(1)), 401, "token-service"),
        (other_key.open(CALLED, 0, &body(1)), 401, "token-key"),
        (other_type.open(CALLED, 0, &body(1)), 401, "token-type"),
        (token.open(CALLED, 4, &body(1)), 429, "token-used"),
        (token.open("12225550101", 0, &body(1)), 401, "token-proof"),
        ("Admission AAAA".to_owned(), 400, "credential"),
        ("Basic AAAA".to_owned(), 401, "credential"),
    ] {
        let said = service.store(CALLED, body(1), Some(&authorization));
        assert_eq!(said.brief(), (status, kind.to_owned()));
    }
    // What is wrong with a store whatever its token is told before a token is looked at.
    let unsized_body = service.store(CALLED, vec![1; 641], Some(&token.open(CALLED, 0, &[1; 641])));
    assert_eq!(unsized_body.brief(), (422, "body-size".to_owned()));
    stored(&service.store(CALLED, body(1), Some(&token.open(CALLED, 0, &body(1)))));
}

#[test]
fn batches_go_by_the_sessions_of_their_records() {
    let scene = Scene::new(&[]);
    let (service, purse, holder) = (scene.open(), Purse::new(), scene.provider(HOLDER));
    let tokens = purse.get(&service, &holder, "gateway", 2);
    let opening = tokens[0].opening(None, 0, &[]).to_bytes();
    let opened = service.ask("POST", OPEN_PATH, &[("content-type", MEDIA_TYPE)], opening);
    assert_eq!(opened.status, 204, "{}", opened.kind());
    let mut request = batch::begin_gated();
    let mut wanted = Vec::new();
    for counter in 1..40 {
        let called = format!("122255501{counter:02}");
        let content = body(counter as u8);
        let (token, outcome) = match counter % 4 {
            0 => (&tokens[1], Some(Outcome::NoSession)),
            _ => (&tokens[0], None),
        };
        let mut record = token.record(&called, counter, &content);
        if counter == 7 {
            record[35] ^= 1;
        }
        batch::put_gated(&mut request, &record, number(&called), &content).expect("a size");
        wanted.push(if counter == 7 { Some(Outcome::Proof) } else { outcome });
    }
    let told = batch_results(&service, request.clone());
    let refusals: Vec<_> = told
        .iter()
        .map(|stored| match stored {
            Stored::Done(_) => None,
            Stored::Refused(outcome) => Some(*outcome),
        })
        .collect();
    assert_eq!(refusals, wanted);
    assert_eq!(batch_results(&service, request), told, "the same batch again stores nothing twice");
    let plain =
        service.ask("POST", batch::STORE_PATH, &[("content-type", batch::MEDIA_TYPE)], batch::begin());
    assert_eq!(plain.brief(), (400, "batch".to_owned()));
}

/// An engine whose placements are at `service`.
fn client(service: &str, authorities: &str) -> Engine {
    let mut config = Config::default();
    for (name, value) in [("service", service), ("cps_authorities", authorities)] {
        config.set(name, value).expect("a property");
    }
    let engine = Engine::open(config, Environment::system(|_, _| {})).expect("an engine");
    engine.start().expect("a start");
    engine
}

#[test]
fn a_client_is_told_that_its_service_wants_tokens_and_what_to_do() {
    let scene = Scene::new(&[]);
    let service = scene.open();
    let (authorities, socket) = (scene.path("tls.pem"), format!("unix:{}", scene.path("socket")));
    let over_tls = client(&format!("https://localhost:{}", service.port), &authorities);
    let one = over_tls.store(number(CALLED), &body(1)).unwrap_err();
    let many = over_tls.store_batch(&[(number(CALLED), &body(1))]).unwrap_err();
    for why in [one, many] {
        let words = why.to_string();
        assert_eq!(why.kind(), EngineErrorKind::Network);
        assert!(words.contains("wants a token for each store") && words.contains("signing_key"), "{words}");
    }
    over_tls.retrieve(number(CALLED)).expect("whoever asks is answered");
    // The control: where no token is wanted the same call stores.
    client(&socket, &authorities).store(number(CALLED), &body(1)).expect("the socket wants none");
}

fn batch_results(service: &Service, request: Vec<u8>) -> Vec<Stored> {
    let said = service.ask("POST", batch::STORE_PATH, &[("content-type", batch::MEDIA_TYPE)], request);
    assert_eq!(said.status, 200);
    let mut rest = &said.response.body()[..];
    batch::take_version(&mut rest).expect("a version");
    core::iter::from_fn(|| batch::take_stored(&mut rest).expect("results")).collect()
}

#[test]
fn after_a_restart_keys_are_the_same_and_what_was_spent_is_spent() {
    for durability in ["synced", "buffered"] {
        let scene = Scene::new(&[("durability", durability)]);
        let (service, purse, holder) = (scene.open(), Purse::new(), scene.holder(HOLDER));
        let tokens = purse.get(&service, &holder, "handset", 3);
        let [spent, fresh, alone] = &tokens[..] else { panic!("three tokens") };
        stored(&service.store(CALLED, body(1), Some(&spent.open(CALLED, 0, &body(1)))));
        stored(&service.store(CALLED, body(2), Some(&alone.bearer())));
        let keys = service.directory();
        service.engine.stop().expect("a stop");
        drop(service);

        let service = scene.open();
        let kept: serde_json::Value = serde_json::from_slice(&keys).expect("JSON");
        let now: serde_json::Value = serde_json::from_slice(&service.directory()).expect("JSON");
        let kept = kept["token-keys"].as_array().expect("keys").clone();
        assert!(kept.iter().all(|key| now["token-keys"].as_array().expect("keys").contains(key)));
        let another = service.store(CALLED, body(3), Some(&spent.open(CALLED, 0, &body(3))));
        assert_eq!(another.brief(), (401, "token-spent".to_owned()), "{durability}");
        let gone = service.store(CALLED, body(3), Some(&spent.go_on(CALLED, 1, &body(3))));
        assert_eq!(gone.brief(), (401, "no-session".to_owned()));
        let twice = service.store(CALLED, body(3), Some(&alone.bearer()));
        assert_eq!(twice.brief(), (401, "token-spent".to_owned()));
        stored(&service.store(CALLED, body(1), Some(&spent.open(CALLED, 0, &body(1)))));
        stored(&service.store(CALLED, body(4), Some(&fresh.open(CALLED, 0, &body(4)))));
        service.engine.stop().expect("a stop");
    }
    // In memory nothing is kept: a restart ends all tokens.
    let scene = Scene::new(&[]);
    let (service, purse, holder) = (scene.open(), Purse::new(), scene.holder(HOLDER));
    let token = purse.get(&service, &holder, "handset", 1).remove(0);
    drop(service);
    let ended = scene.open().store(CALLED, body(1), Some(&token.open(CALLED, 0, &body(1))));
    assert_eq!(ended.brief(), (401, "token-key".to_owned()));
}

#[test]
fn one_token_raced_by_eight_is_spent_once() {
    const RACERS: usize = 8;
    let scene = Scene::new(&[("durability", "synced"), ("reactors", "2")]);
    let (service, purse, holder) = (scene.open(), Purse::new(), scene.holder(HOLDER));
    for token in purse.get(&service, &holder, "handset", 8) {
        let barrier = Barrier::new(RACERS);
        let told: Vec<_> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..RACERS)
                .map(|racer| {
                    let (service, barrier, token) = (&service, &barrier, &token);
                    scope.spawn(move || {
                        let content = body(racer as u8);
                        let credential = token.open(CALLED, 0, &content);
                        barrier.wait();
                        service.store(CALLED, content, Some(&credential)).brief()
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().expect("no panic")).collect()
        });
        assert_eq!(told.iter().filter(|(status, _)| *status == 201).count(), 1, "{told:?}");
        for (status, kind) in told.iter().filter(|(status, _)| *status != 201) {
            let is_told_why = [(429, "token-redeeming"), (401, "token-spent"), (401, "token-proof")];
            let repeated = (429, "counter-repeated");
            assert!(
                is_told_why.contains(&(*status, kind)) || (*status, kind.as_str()) == repeated,
                "{told:?}"
            );
        }
    }
}

#[test]
fn the_end_of_an_epoch_ends_its_keys_sessions_and_tokens_together() {
    const EPOCH_MS: u64 = 600_000;
    let scene = Scene::new(&[("token_epoch", "10m")]);
    // A minute before the end of one.
    let clock = Moved::at(1_795_300_000_000 / EPOCH_MS * EPOCH_MS + EPOCH_MS - 60_000);
    let (service, purse, holder) = (scene.open_at(clock.clone()), Purse::new(), scene.holder(HOLDER));
    let tokens = purse.get(&service, &holder, "handset", 2);
    stored(&service.store(CALLED, body(1), Some(&tokens[0].open(CALLED, 0, &body(1)))));
    let first = service.whole_directory();
    clock.go(120_000);
    // Still taken a minute behind it.
    stored(&service.store(CALLED, body(2), Some(&tokens[1].open(CALLED, 0, &body(2)))));
    clock.go(EPOCH_MS);
    let late = service.store(CALLED, body(3), Some(&tokens[1].open(CALLED, 1, &body(3))));
    assert_eq!(late.brief(), (401, "token-key".to_owned()));
    let late = service.store(CALLED, body(3), Some(&tokens[0].go_on(CALLED, 1, &body(3))));
    assert_eq!(late.brief(), (401, "no-session".to_owned()));
    let keys = |directory: &[u8]| {
        let directory = herald_admission::directory::Directory::read(directory).expect("a directory");
        directory.keys.into_iter().map(|key| key.public_key).collect::<HashSet<_>>()
    };
    let now = keys(&service.whole_directory());
    assert_eq!((now.len(), now.intersection(&keys(&first)).count()), (6, 2), "one epoch of three is left");
    let token = purse.get(&service, &scene.provider(HOLDER), "gateway", 1).remove(0);
    stored(&service.store(CALLED, body(4), Some(&token.open(CALLED, 0, &body(4)))));
}

#[test]
fn each_holder_has_so_many_tokens_of_a_key_and_strangers_none() {
    let scene = Scene::new(&[]);
    let (service, purse, holder) = (scene.open(), Purse::new(), scene.holder(HOLDER));
    let wanted = purse.want(&service, "handset", 24);
    let path = herald_admission::directory::REQUEST_PATH;
    let send = |headers: &[(&str, &str)]| service.ask("POST", path, headers, wanted.request.clone()).brief();
    let media_type = ("content-type", purse.request_type());
    assert_eq!(send(&[media_type]), (401, "holder".to_owned()));
    let access = holder.access(path);
    assert_eq!(send(&[("authorization", &access)]), (415, "media-type".to_owned()));
    assert_eq!(send(&[media_type, ("authorization", &access)]), (401, "holder".to_owned()), "seen before");
    let elsewhere = holder.access("/elsewhere");
    assert_eq!(send(&[media_type, ("authorization", &elsewhere)]), (401, "holder".to_owned()));
    let access = holder.access(path);
    let headers = [media_type, ("authorization", access.as_str())];
    assert_eq!(service.ask("POST", path, &headers, vec![0, 5, 1]).brief(), (422, "token-request".to_owned()));
    // 64 for one identity and key: twice 24, and 16 more.
    let told: Vec<_> = (0..3).map(|_| purse.send(&service, &holder, &wanted).status).collect();
    assert_eq!(told, [200, 200, 429]);
    assert_eq!(purse.get(&service, &holder, "handset", 16).len(), 16);
    // Another class has keys of its own, and is for who has more than single numbers.
    let wanted = purse.want(&service, "gateway", 64);
    assert_eq!(purse.send(&service, &holder, &wanted).brief(), (403, "token-class".to_owned()));
    assert_eq!(purse.send(&service, &scene.provider(HOLDER), &wanted).status, 200);
    assert_eq!(purse.get(&service, &scene.holder(CALLED), "handset", 16).len(), 16, "another identity");
}

#[test]
fn by_default_a_holder_has_tokens_for_32_placements_under_a_number_in_an_epoch() {
    let scene = Scene::new(&[("token_classes", "handset=4,gateway=256")]);
    let (service, purse, holder) = (scene.open(), Purse::new(), scene.provider(HOLDER));
    for (class, tokens) in [("handset", 8), ("gateway", 16)] {
        let wanted = purse.want(&service, class, tokens + 1);
        assert_eq!(purse.send(&service, &holder, &wanted).brief(), (429, "token-quota".to_owned()));
        assert_eq!(purse.get(&service, &holder, class, tokens).len(), tokens, "{class}");
    }
}

#[test]
fn a_gateway_s_token_has_two_placements_under_a_number_at_a_time_alone_or_in_batches() {
    let scene = Scene::new(&[]);
    let (service, purse) = (scene.open(), Purse::new());
    let token = purse.get(&service, &scene.provider(HOLDER), "gateway", 1).remove(0);
    stored(&service.store(CALLED, body(0), Some(&token.open(CALLED, 0, &body(0)))));
    stored(&service.store(CALLED, body(1), Some(&token.go_on(CALLED, 1, &body(1)))));
    let third = service.store(CALLED, body(2), Some(&token.go_on(CALLED, 2, &body(2))));
    assert_eq!(third.brief(), (429, "token-number".to_owned()));
    stored(&service.store(HOLDER, body(3), Some(&token.go_on(HOLDER, 3, &body(3)))));
    // In one batch as well: the first two are there when the others are asked for.
    const ANOTHER: &str = "12225550199";
    let mut request = batch::begin_gated();
    for counter in 4..8 {
        let (record, content) = (token.record(ANOTHER, counter, &body(9)), body(9));
        batch::put_gated(&mut request, &record, number(ANOTHER), &content).expect("a size");
    }
    let told = batch_results(&service, request);
    assert!(matches!(told[..2], [Stored::Done(_), Stored::Done(_)]), "{told:?}");
    assert_eq!(told[2..], [Stored::Refused(Outcome::NumberUsed); 2]);
}

#[test]
fn a_client_certificate_is_as_good_as_an_access_token_and_a_process_of_this_machine_needs_no_token() {
    let scene = Scene::new(&[]);
    let (mut service, purse, holder) = (scene.open(), Purse::new(), scene.holder(HOLDER));
    let wanted = purse.want(&service, "handset", 2);
    let path = herald_admission::directory::REQUEST_PATH;
    let headers = [("content-type", purse.request_type())];
    assert_eq!(service.ask("POST", path, &headers, wanted.request.clone()).status, 401);
    service.client = scene.client_of(&holder);
    let said = service.ask("POST", path, &headers, wanted.request.clone());
    assert_eq!(said.status, 200, "{}", said.kind());
    let token = purse.finish(&wanted, said.response.body()).remove(0);
    stored(&service.store(CALLED, body(1), Some(&token.open(CALLED, 0, &body(1)))));
    assert_eq!(service.store(CALLED, body(2), None).brief(), (401, "token-needed".to_owned()));
    service.client = scene.client_here();
    stored(&service.store(CALLED, body(2), None));
}

#[test]
fn reports_of_the_called_side_cost_the_session_that_stored_and_tell_nothing() {
    let scene = Scene::new(&[]);
    let (service, purse, holder) = (scene.open(), Purse::new(), scene.holder(HOLDER));
    let token = purse.get(&service, &holder, "handset", 1).remove(0);
    let item = stored(&service.store(CALLED, body(1), Some(&token.open(CALLED, 0, &body(1)))));
    let called = scene.holder(CALLED);
    let report = |path: &str, access: Option<String>| {
        let headers = access.as_deref().map(|access| ("authorization", access));
        service.ask("POST", path, headers.as_slice(), Vec::new())
    };
    let path = format!("{item}/report");
    assert_eq!(report(&path, None).status, 401);
    assert_eq!(report(&path, Some(holder.access(&path))).brief(), (403, "authority".to_owned()));
    let unknown = format!("/cps/{CALLED}/ppts/{}/report", "0".repeat(32));
    let cover = service.engine.retrieve(number(CALLED)).expect("items");
    let cover = cover.iter().find(|one| !item.ends_with(&one.id.to_string())).expect("cover");
    let cover = format!("/cps/{CALLED}/ppts/{}/report", cover.id);
    let answers: Vec<_> = [&path, &unknown, &cover, &path]
        .into_iter()
        .map(|path| {
            let said = report(path, Some(called.access(path)));
            let mut headers: Vec<_> = said.response.headers().keys().map(|name| name.to_string()).collect();
            headers.sort();
            (said.status, headers, said.response.body().clone())
        })
        .collect();
    assert_eq!(answers[0].0, 204);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    // Four stores, of which one was made and one was charged once.
    let stores = (1..4).map(|counter| {
        let content = body(20 + counter as u8);
        service.store(CALLED, content.clone(), Some(&token.go_on(CALLED, counter, &content))).status
    });
    assert_eq!(stores.filter(|status| *status == 201).count(), 2);
}

/// What one side of the service sees and could write down.
fn windows(seen: &[Vec<u8>], width: usize) -> HashSet<Vec<u8>> {
    seen.iter().flat_map(|bytes| bytes.windows(width).map(<[u8]>::to_vec)).collect()
}

#[test]
fn the_issuer_and_the_stores_see_nothing_in_common_and_all_clients_the_same() {
    let scene = Scene::new(&[]);
    let (service, holder) = (scene.open(), scene.holder(HOLDER));
    assert_eq!(service.whole_directory(), service.directory(), "byte for byte the same for all");
    let purse = Purse::new();
    let wanted = purse.want(&service, "handset", 8);
    let said = purse.send(&service, &holder, &wanted);
    let issuer_sees = [wanted.request.clone(), said.response.body().to_vec()];
    let tokens = purse.finish(&wanted, said.response.body());
    let secrets = |token: &Stock| [&token.input.nonce()[..], &token.input.id().0[..]].concat();
    let store_sees: Vec<_> = tokens
        .iter()
        .flat_map(|token| [secrets(token), token.opening(Some(CALLED), 0, &body(1)).to_bytes()])
        .collect();
    for token in &tokens {
        stored(&service.store(CALLED, body(1), Some(&token.open(CALLED, 0, &body(1)))));
    }
    // Six bytes by chance are one in 10^14; what both have is the type and the key.
    let key_id = tokens[0].input.key_id().to_vec();
    let common: Vec<_> = windows(&issuer_sees, 6).intersection(&windows(&store_sees, 6)).cloned().collect();
    let of_key = windows(&[key_id], 6);
    assert!(common.iter().all(|bytes| of_key.contains(bytes)), "{common:?}");
    // The control: one who signs what it sees would have them in common.
    let naive = [issuer_sees[0].clone(), secrets(&tokens[0])];
    assert!(!windows(&naive, 6).is_disjoint(&windows(&store_sees, 6)));
}

#[test]
fn junk_tokens_delay_tokens_and_not_the_stores_of_open_sessions() {
    let scene = Scene::new(&[("token_classes", "handset=4,gateway=1024"), ("redemption_share", "1")]);
    let (service, purse, holder) = (scene.open(), Purse::new(), scene.provider(HOLDER));
    let token = purse.get(&service, &holder, "gateway", 1).remove(0);
    stored(&service.store(CALLED, body(1), Some(&token.open(CALLED, 0, &body(1)))));
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let relaxed = std::sync::atomic::Ordering::Relaxed;
    std::thread::scope(|scope| {
        let flooders: Vec<_> = (0..6u8)
            .map(|flooder| {
                let (service, token, is_over) = (&service, &token, &is_over);
                scope.spawn(move || {
                    let (mut refused, mut round) = (0, 0u64);
                    while !is_over.load(relaxed) {
                        let mut junk = token.clone();
                        junk.input.0[2..10].copy_from_slice(&(round << 8 | u64::from(flooder)).to_le_bytes());
                        let status =
                            service.store(CALLED, body(2), Some(&junk.open(CALLED, 0, &body(2)))).status;
                        assert!([401, 429].contains(&status), "{status}");
                        (refused, round) = (refused + 1, round + 1);
                    }
                    refused
                })
            })
            .collect();
        for counter in 1..200 {
            let called = format!("1222555{counter:04}");
            let credential = token.go_on(&called, counter, &body(3));
            stored(&service.store(&called, body(3), Some(&credential)));
        }
        is_over.store(true, relaxed);
        let refused: u64 = flooders.into_iter().map(|flooder| flooder.join().expect("no panic")).sum();
        assert!(refused > 0, "nobody flooded");
    });
}
