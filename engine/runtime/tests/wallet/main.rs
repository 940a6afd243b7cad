//! Calls placed through a service that wants tokens: an engine gets, keeps and spends them by itself, with the real plugins.

#[path = "../admission/scene.rs"]
#[expect(dead_code, reason = "the storers of the admission tests are not needed here")]
mod scene;

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use herald_runtime::core::TelephoneNumber;
use herald_runtime::stir::services::{PlaceRequest, Placed};
use herald_runtime::stir::{Attestation, SealingKey, Suite};
use herald_runtime::{Config, Engine, Environment, PlaceOutcome, SystemRandom};
use scene::{BLIND, Holder, Scene, Service, VOPRF, number};
use tempfile::TempDir;

const ALICE: &str = "12025550100";
const BOB: &str = "12025550123";
const PATIENCE: Duration = Duration::from_secs(60);

/// An engine that places calls of Alice, to Bob at `service`.
struct Caller {
    engine: Engine,
    _folder: TempDir,
}

impl Caller {
    fn new(scene: &Scene, service: &Service, alice: &Holder, more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).to_str().expect("a plain path").to_owned();
        let write = |name: &str, text: &str| std::fs::write(path(name), text).expect("a file");
        write("alice.key", &alice.0.key.to_pkcs8_pem());
        write("alice.pem", &alice.0.chain_pem);
        write("cps.pem", &scene.tls_pem);
        for name in ["one.jwk", "two.jwk"] {
            write(name, &SealingKey::generate(Suite::X25519, &SystemRandom).public_key().to_jwk());
        }
        let cps = format!("https://localhost:{}", service.port);
        write(
            "directory.toml",
            &format!(
                "[[destination]]\nnumbers = [\"1202555xxxx\"]\ncps = [\"{cps}\"]\nkeys = [\"one.jwk\", \"two.jwk\"]\n"
            ),
        );
        let mut config = Config::default();
        for (name, value) in [
            ("memory", "64MiB"),
            ("durability", "memory"),
            ("place_deadline", "30s"),
            ("signing_key", &path("alice.key")),
            ("signing_certificate", &path("alice.pem")),
            ("directory", &path("directory.toml")),
            ("cps_authorities", &path("cps.pem")),
        ] {
            config.set(name, value).expect("a property");
        }
        for (name, value) in more {
            config.set(name, value).expect("a property");
        }
        let engine = Engine::open(config, Environment::system(|_, _| {})).expect("an engine");
        engine.register_plugin(scene.maker.entry).expect("a plugin");
        engine.start().expect("a start");
        Self { engine, _folder: folder }
    }

    fn placing(&self, called: &str) -> Receiver<PlaceOutcome> {
        let (sender, receiver) = channel();
        let told = move |outcome| sender.send(outcome).expect("the test waits");
        let call = PlaceRequest::shaken(number(ALICE), number(called), Attestation::Full, &SystemRandom);
        self.engine.place(PlaceRequest { deadline_ms: 0, ..call }, told).expect("it is taken on");
        receiver
    }

    fn place(&self) -> Result<Placed, String> {
        outcome(&self.placing(BOB))
    }
}

fn outcome(placing: &Receiver<PlaceOutcome>) -> Result<Placed, String> {
    let told = placing.recv_timeout(PATIENCE).expect("an outcome").expect("no panic");
    told.map_err(|failure| failure.cause.to_string())
}

/// Items under Bob's number that were stored as `placed` says.
fn found(service: &Service, placed: &[Placed]) -> usize {
    let bob: TelephoneNumber = number(BOB);
    let items = service.engine.retrieve(bob).expect("items");
    let is_there = |location: &str| items.iter().any(|item| location.ends_with(&item.id.to_string()));
    placed.iter().flat_map(|placed| &placed.copies).filter(|copy| is_there(&copy.location)).count()
}

#[test]
fn calls_are_placed_with_tokens_that_the_engine_gets_keeps_and_spends() {
    // More calls than tokens are kept, many at once, two copies each. A gateway's tokens have two placements under a number.
    for (maker, class, calls) in
        [(VOPRF, "handset", 24), (VOPRF, "gateway", 24), (BLIND, "handset", 12), (BLIND, "gateway", 12)]
    {
        let called = |call| if class == "handset" || call == 0 { BOB.to_owned() } else { another(call) };
        let scene = Scene::of(maker, &[("redemption_share", "100")]);
        let (service, alice) = (scene.open(), scene.provider(ALICE));
        let caller = Caller::new(&scene, &service, &alice, &[("token_class", class), ("tokens_kept", "8")]);
        let placing: Vec<_> = (0..calls).map(|call| caller.placing(&called(call))).collect();
        let placed: Vec<_> = placing.iter().map(|placing| outcome(placing).expect(class)).collect();
        assert!(placed.iter().all(|placed| placed.copies.len() == 2));
        // As many as a number has room for.
        assert!(found(&service, &placed) > 0, "{class}");
        caller.place().expect("one more");
    }
}

#[test]
fn without_a_plugin_or_tokens_such_a_service_refuses_and_its_reason_is_told() {
    let scene = Scene::new(&[]);
    let (service, alice) = (scene.open(), scene.provider(ALICE));
    let none = Caller::new(&scene, &service, &alice, &[("tokens_kept", "0")]);
    let why = none.place().map(drop).unwrap_err();
    assert!(why.contains("401") && why.contains("issuer directory"), "{why}");

    // Whom the issuer does not know has none.
    let stranger = Scene::new(&[]).holder(ALICE);
    let caller = Caller::new(&scene, &service, &stranger, &[]);
    for _ in 0..2 {
        let why = caller.place().map(drop).unwrap_err();
        assert!(why.contains("wants a token, and there is none: its issuer refuses with 401"), "{why}");
    }
}

#[test]
fn a_service_that_forgot_its_keys_is_placed_with_again_after_one_refusal() {
    for class in ["handset", "gateway"] {
        let scene = Scene::new(&[]);
        let (service, alice) = (scene.open(), scene.provider(ALICE));
        let caller = Caller::new(&scene, &service, &alice, &[("token_class", class)]);
        let before = caller.place().expect("placed");
        assert_eq!(found(&service, &[before]), 2);
        let port = service.port;
        service.engine.stop().expect("a stop");
        drop(service);
        let service = scene.open_with(Environment::system(|_, _| {}), port);
        let after = caller.place().unwrap_or_else(|why| panic!("{class}: {why}"));
        assert_eq!(found(&service, &[after]), 2);
    }
}

/// A number has room for some hundred.
fn another(count: u32) -> String {
    format!("1202555{:04}", 200 + count % 9_000)
}

#[test]
fn calls_go_on_while_epochs_come_and_go() {
    let scene = Scene::new(&[("token_epoch", "2s"), ("token_epochs_ahead", "8")]);
    let (service, alice) = (scene.open(), scene.provider(ALICE));
    let more = [("tokens_kept", "4"), ("token_class", "gateway")];
    let caller = Caller::new(&scene, &service, &alice, &more);
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(5) {
        let told = outcome(&caller.placing(&another(count)));
        told.unwrap_or_else(|why| panic!("after {count} calls: {why}"));
        count += 1;
    }
    assert!(count > 2, "{count} calls");
}

#[test]
fn a_gateway_that_has_stored_enough_under_one_number_goes_on_under_others_with_the_same_tokens() {
    const TOKENS: usize = 4;
    let scene = Scene::new(&[("token_classes", "handset=4,gateway=256:4"), ("token_epoch", "60m")]);
    let (service, alice) = (scene.open(), scene.provider(ALICE));
    let more = [("token_class", "gateway"), ("tokens_kept", "4")];
    let caller = Caller::new(&scene, &service, &alice, &more);
    // Two placements of a token, two copies of a call: so many are placed, as each finds who has room.
    let told: Vec<_> = (0..2 * TOKENS).map(|_| caller.place()).collect();
    let placed = told.iter().take_while(|told| told.is_ok()).count();
    assert_eq!(placed, TOKENS, "{told:?}");
    for count in 0..2 * TOKENS {
        let called = another(u32::try_from(count).expect("a count"));
        outcome(&caller.placing(&called)).unwrap_or_else(|why| panic!("call {count}: {why}"));
    }
}

#[test]
fn who_has_had_all_tokens_of_an_epoch_is_told_so() {
    let scene = Scene::new(&[]);
    let (service, alice) = (scene.open(), scene.holder(ALICE));
    let caller = Caller::new(&scene, &service, &alice, &[("tokens_kept", "16")]);
    caller.place().expect("placed");
    // 64 for one holder and epoch; should another epoch begin, 64 more.
    let refused = (0..200).find_map(|count| outcome(&caller.placing(&another(count))).err());
    let why = refused.expect("a quota");
    assert!(why.contains("there is none: its issuer refuses with 429"), "{why}");
}

#[test]
fn who_would_keep_more_tokens_than_the_quota_has_gets_those_of_the_quota() {
    const QUOTA: u32 = 6;
    let scene = Scene::new(&[("token_classes", "handset=4:6")]);
    let (service, alice) = (scene.open(), scene.holder(ALICE));
    let caller = Caller::new(&scene, &service, &alice, &[("tokens_kept", "32")]);
    for count in 0..QUOTA {
        outcome(&caller.placing(&another(count))).unwrap_or_else(|why| panic!("call {count}: {why}"));
    }
    // Another epoch has as many again.
    let refused = (0..2 * QUOTA).find_map(|count| outcome(&caller.placing(&another(count))).err());
    let why = refused.expect("a quota");
    assert!(why.contains("there is none: its issuer refuses with 429"), "{why}");
}
