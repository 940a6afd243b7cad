//! What becomes of tokens where a table is full or the disk fails: they are refused, stay unspent, and are taken later.

use std::time::{Duration, Instant};

use herald_admission::directory::PATH as DIRECTORY_PATH;
use herald_admission::wire::{MEDIA_TYPE, OPEN_PATH};

use crate::scene::{Moved, PATIENCE, Purse, Said, Scene, Service, Stock, body};
use crate::{CALLED, HOLDER, stored};

/// Another number for each, so that none is ever full.
fn called(index: usize) -> String {
    format!("1222555{index:04}")
}

fn open(service: &Service, token: &Stock, index: usize) -> Said {
    service.store(&called(index), body(1), Some(&token.open(&called(index), 0, &body(1))))
}

fn go_on(service: &Service, token: &Stock, counter: u32) -> Said {
    service.store(CALLED, body(2), Some(&token.go_on(CALLED, counter, &body(2))))
}

/// How long the service asks to be left alone, in seconds.
fn wait_s(said: &Said) -> u64 {
    said.header("retry-after").and_then(|value| value.parse().ok()).expect("when to come back")
}

#[test]
fn with_all_sessions_taken_open_ones_go_on_and_a_token_that_was_refused_is_good_later() {
    let scene = Scene::new(&[("token_sessions", "1"), ("token_classes", "gateway=16:64")]);
    let clock = Moved::at(1_795_300_000_000);
    let (service, holder) = (scene.open_at(clock.clone()), scene.provider(HOLDER));
    let tokens = Purse::new().get(&service, &holder, "gateway", 64);
    let opened = tokens.iter().enumerate().map(|(index, token)| open(&service, token, index));
    let opened: Vec<_> = opened.take_while(|said| said.status == 201).collect();
    assert!((1..63).contains(&opened.len()), "{} sessions in a table for one", opened.len());
    let refused = &tokens[opened.len()];
    let said = open(&service, refused, 99);
    assert_eq!(said.brief(), (503, "sessions-full".to_owned()));
    let life_s = wait_s(&said);
    assert!((1..=120).contains(&life_s), "{life_s}");
    stored(&go_on(&service, &tokens[0], 1));
    // A token that is good for one store needs no session.
    let alone = &tokens[63];
    stored(&service.store(CALLED, body(3), Some(&alone.bearer())));
    clock.go(life_s * 1000 + 1000);
    stored(&open(&service, refused, 99));
    assert_eq!(go_on(&service, &tokens[0], 2).brief(), (401, "no-session".to_owned()));
}

#[test]
fn with_all_tokens_of_an_epoch_spent_open_sessions_go_on_and_those_of_the_next_are_taken() {
    const EPOCH_MS: u64 = 600_000;
    let scene = Scene::new(&[("token_spent", "3"), ("token_epoch", "10m")]);
    let clock = Moved::at(1_795_300_000_000 / EPOCH_MS * EPOCH_MS + EPOCH_MS / 2);
    let (service, holder) = (scene.open_at(clock.clone()), scene.provider(HOLDER));
    let tokens = Purse::new().get(&service, &holder, "gateway", 5);
    for (index, token) in tokens[..3].iter().enumerate() {
        stored(&open(&service, token, index));
    }
    for authorization in [tokens[3].open(CALLED, 0, &body(1)), tokens[4].bearer()] {
        let said = service.store(CALLED, body(1), Some(&authorization));
        assert_eq!(said.brief(), (503, "epoch-full".to_owned()));
        assert!((170..=180).contains(&wait_s(&said)), "until tokens of the next epoch are opened");
    }
    stored(&go_on(&service, &tokens[2], 1));
    let twice = open(&service, &tokens[0], 50);
    assert_eq!(twice.brief(), (429, "counter-repeated".to_owned()), "what is spent stays spent");
    clock.go(EPOCH_MS);
    let next = Purse::new().get(&service, &holder, "gateway", 1).remove(0);
    stored(&open(&service, &next, 51));
}

/// Waits until the keys of all epochs ahead are made and the journal writes nothing but the time: RocksDB loses a file that it
/// is about to name while its folder is moved.
fn rest(service: &Service) {
    let began = Instant::now();
    let written = || service.engine.stats().value("herald_journal_passes_total", &[]).expect("a count");
    let directory = || service.ask("GET", DIRECTORY_PATH, &[], Vec::new()).response.into_body();
    loop {
        let (before, passes) = (directory(), written());
        while written() < passes + 3.0 {
            assert!(began.elapsed() < PATIENCE, "the journal does not rest");
            std::thread::sleep(Duration::from_millis(20));
        }
        if directory() == before {
            return;
        }
    }
}

#[test]
fn while_the_disk_fails_no_token_is_spent_and_afterwards_each_is_once() {
    let scene = Scene::new(&[("durability", "synced")]);
    let (service, purse, holder) = (scene.open(), Purse::new(), scene.holder(HOLDER));
    let tokens = purse.get(&service, &holder, "handset", 4);
    let [session, fresh, alone, empty] = &tokens[..] else { panic!("four tokens") };
    stored(&open(&service, session, 0));

    rest(&service);
    // A journal that is not where it was is one that cannot be written.
    let away = scene.journal().with_extension("away");
    std::fs::rename(scene.journal(), &away).expect("a move");
    let open_alone = || {
        let credential = empty.opening(None, 0, &[]).to_bytes();
        service.ask("POST", OPEN_PATH, &[("content-type", MEDIA_TYPE)], credential)
    };
    let said = open_alone();
    assert_eq!(said.brief(), (503, "redemption-unavailable".to_owned()));
    assert!(wait_s(&said) > 0);
    let stores = || {
        [
            open(&service, fresh, 1),
            service.store(CALLED, body(3), Some(&alone.bearer())),
            go_on(&service, session, 1),
        ]
    };
    // By the mark that cannot be written, or since no placement can be kept.
    for said in stores() {
        assert_eq!(said.status, 503, "{}", said.kind());
        assert!(["redemption-unavailable", "unavailable"].contains(&said.kind().as_str()), "{}", said.kind());
        assert!(wait_s(&said) > 0);
    }
    service.engine.retrieve(crate::number(CALLED)).expect("retrieving goes on");

    let began = Instant::now();
    // RocksDB may have made an empty one in its place.
    while std::fs::rename(&away, scene.journal()).is_err() {
        assert!(began.elapsed() < PATIENCE, "it cannot be moved back");
        drop(std::fs::remove_dir_all(scene.journal()));
    }
    // The same stores again and again: what is taken once is answered so each time.
    while stores().iter().any(|said| said.status == 503) {
        assert!(began.elapsed() < PATIENCE, "the engine does not come back");
        std::thread::sleep(Duration::from_millis(100));
    }
    stores().iter().for_each(|said| drop(stored(said)));
    assert_eq!(open_alone().status, 204);
    let twice = |service: &Service| {
        [fresh.open(CALLED, 0, &body(9)), alone.bearer(), session.open(CALLED, 0, &body(9))]
            .map(|authorization| service.store(CALLED, body(9), Some(&authorization)).brief())
    };
    let spent = (401, "token-spent".to_owned());
    let repeated = (429, "counter-repeated".to_owned());
    assert_eq!(twice(&service), [repeated.clone(), spent.clone(), repeated]);
    service.engine.stop().expect("a stop");
    drop(service);
    assert_eq!(twice(&scene.open()), [spent.clone(), spent.clone(), spent]);
}
