//! Services found by plugins: calls are placed and checked where they say, whose word counts, and what an operator sees.

use core::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use herald_plugin_sdk::{Answer, Discovery, Find, Host, Question, Settings, discovery_entry};
use herald_runtime::core::TelephoneNumber;
use herald_runtime::net::Address;
use herald_runtime::stir::issue::{DevelopmentAuthority, Validity};
use herald_runtime::stir::services::{
    CheckRequest, Checked, LookedUp, LookupRequest, PlaceFailure, PlaceRequest, Placed, Side,
};
use herald_runtime::stir::{Attestation, CallFacts, SealingKey, Suite, TnAuthList, TnEntry};
use herald_runtime::{
    Config, Engine, EngineErrorKind, Environment, SourceCounters, SystemRandom, looked_up_json, wall_clock,
};
use serde_json::json;

const ALICE: &str = "12025550100";
const BOB: &str = "13035550123";

const PATIENCE: Duration = Duration::from_secs(20);

static OBSERVED: AtomicUsize = AtomicUsize::new(0);

/// A table of one service, as the setting `uri` says.
struct Table(String);

impl Discovery for Table {
    const NAME: &'static CStr = c"table";
    const VERSION: &'static CStr = c"1.0";
    const SUMMARY: &'static CStr = c"one service for all numbers";

    fn open(_: Host, settings: &Settings<'_>) -> Result<Self, String> {
        Ok(Self(settings.require("uri")?.to_owned()))
    }

    fn find(&self, question: &Question<'_>) -> Find {
        let note = format!("line 1 for {}", question.spc.unwrap_or("any"));
        Find::Answer(Answer { uris: vec![self.0.clone()], fresh_s: 60, note, ..Answer::default() })
    }

    fn observe_certificate(&self, der: &[u8]) {
        assert_eq!(der[0], 0x30, "a certificate begins with a sequence");
        OBSERVED.fetch_add(1, Ordering::SeqCst);
    }
}

/// Somebody in between who says where the service is.
struct Forger;

impl Discovery for Forger {
    const NAME: &'static CStr = c"forger";
    const VERSION: &'static CStr = c"1.0";
    const SUMMARY: &'static CStr = c"answers first";

    fn open(_: Host, _: &Settings<'_>) -> Result<Self, String> {
        Ok(Self)
    }

    fn find(&self, _: &Question<'_>) -> Find {
        let uris = vec!["https://127.0.0.1:1".to_owned()];
        Find::Answer(Answer { uris, fresh_s: 60, ..Answer::default() })
    }
}

/// Is down.
struct Broken;

impl Discovery for Broken {
    const NAME: &'static CStr = c"broken";
    const VERSION: &'static CStr = c"1.0";
    const SUMMARY: &'static CStr = c"answers nothing";

    fn open(_: Host, _: &Settings<'_>) -> Result<Self, String> {
        Ok(Self)
    }

    fn find(&self, _: &Question<'_>) -> Find {
        Find::Failed("the servers are down".to_owned())
    }
}

fn number(text: &str) -> TelephoneNumber {
    text.parse().expect("a number")
}

/// A service, and an engine of Alice's and Bob's that knows Bob's key and has to find the service.
struct Scene {
    folder: tempfile::TempDir,
    _cps: Engine,
    cps_url: String,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
        let tls = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        write("tls.pem", &tls.cert.pem());
        write("tls.key", &tls.signing_key.serialize_pem());
        let now_s = wall_clock().as_millis() / 1000;
        let validity = Validity { from_s: now_s - 3600, to_s: now_s + 3600 };
        let authority = DevelopmentAuthority::new("Test", validity, &SystemRandom).expect("an authority");
        let numbers = TnAuthList::new(vec![TnEntry::One(number(ALICE))]).expect("a list");
        let alice = authority.issue("Alice", &numbers, validity, &SystemRandom).expect("a certificate");
        let bob = SealingKey::generate(Suite::X25519, &SystemRandom);
        write("roots.pem", authority.root_pem());
        write("alice.key", &alice.key.to_pkcs8_pem());
        write("alice.pem", &alice.chain_pem);
        write("bob.jwk", &bob.to_jwk());
        write("bob.pub.jwk", &bob.public_key().to_jwk());
        // Says whose key it is; the service there is not asked.
        let directory = "[[destination]]\nnumbers = [\"1303555xxxx\"]\ncps = [\"https://unused.example\"]\n\
                         keys = [\"bob.pub.jwk\"]\n[codes]\nABCD = [\"1303555xxxx\"]\n";
        write("directory.toml", directory);
        let path = |name: &str| folder.path().join(name).to_str().expect("a plain path").to_owned();
        let cps = Engine::open(
            config(&[
                ("listen", "127.0.0.1:0"),
                ("tls_certificate", &path("tls.pem")),
                ("tls_key", &path("tls.key")),
                ("reactors", "1"),
            ]),
            Environment::system(|_, _| {}),
        );
        let cps = cps.expect("a service");
        cps.start().expect("a start");
        let [Address::Tcp(address)] = cps.addresses() else { panic!("one address") };
        let cps_url = format!("https://localhost:{}", address.port());
        write("plugins.toml", &format!("[table]\nuri = \"{cps_url}\"\n"));
        Self { folder, _cps: cps, cps_url }
    }

    fn open(&self, more: &[(&str, &str)]) -> Engine {
        let path = |name: &str| self.folder.path().join(name).to_str().expect("a plain path").to_owned();
        let files = [
            ("signing_key", "alice.key"),
            ("signing_certificate", "alice.pem"),
            ("roots", "roots.pem"),
            ("sealing_keys", "bob.jwk"),
            ("directory", "directory.toml"),
            ("cps_authorities", "tls.pem"),
            ("plugin_settings", "plugins.toml"),
        ];
        let files = files.map(|(name, file)| (name, path(file)));
        // Nothing here is to depend on how fast the machine is.
        let times = [("discovery_deadline", "60s"), ("check_deadline", "120s"), ("place_deadline", "120s")];
        let files = files.iter().map(|(name, path)| (*name, path.as_str()));
        let all: Vec<_> = files.chain(times).chain(more.iter().copied()).collect();
        let engine = Engine::open(config(&all), Environment::system(|_, _| {}));
        let engine = engine.unwrap_or_else(|error| panic!("{error}"));
        let entries = [discovery_entry::<Broken>, discovery_entry::<Forger>, discovery_entry::<Table>];
        for entry in entries {
            engine.register_plugin(entry).expect("it is taken");
        }
        engine
    }

    fn start(&self, more: &[(&str, &str)]) -> Engine {
        let engine = self.open(more);
        engine.start().unwrap_or_else(|error| panic!("{error}"));
        engine
    }
}

fn config(settings: &[(&str, &str)]) -> Config {
    let mut config = Config::default();
    let fixed = [("memory", "64MiB"), ("durability", "memory")];
    for (name, value) in fixed.iter().chain(settings) {
        config.set(name, value).unwrap_or_else(|error| panic!("{error}"));
    }
    config
}

fn place(engine: &Engine) -> Result<Placed, PlaceFailure> {
    let request = PlaceRequest::shaken(number(ALICE), number(BOB), Attestation::Full, &SystemRandom);
    let (sender, receiver) = channel();
    let request = PlaceRequest { deadline_ms: 0, ..request };
    engine.place(request, move |outcome| sender.send(outcome).expect("heard")).expect("taken");
    receiver.recv_timeout(PATIENCE).expect("it ends").expect("not lost")
}

fn check(engine: &Engine) -> Checked {
    let facts = CallFacts::new(number(ALICE).into(), number(BOB).into());
    let (sender, receiver) = channel();
    let request = CheckRequest { deadline_ms: 0, ..CheckRequest::new(facts) };
    engine.check(request, move |outcome| sender.send(outcome).expect("heard")).expect("taken");
    receiver.recv_timeout(PATIENCE).expect("it ends").expect("not lost")
}

fn look_up(engine: &Engine, side: Side) -> LookedUp {
    let (sender, receiver) = channel();
    let request = LookupRequest { deadline_ms: 0, ..LookupRequest::new(number(BOB), side) };
    engine.look_up(request, move |outcome| sender.send(outcome).expect("heard")).expect("taken");
    receiver.recv_timeout(PATIENCE).expect("it ends").expect("not lost")
}

#[test]
fn a_call_is_placed_and_checked_where_a_plugin_of_the_operators_says() {
    let scene = Scene::new();
    let engine = scene.start(&[("discovery", "broken,table"), ("discovery_own", "table")]);
    let placed = place(&engine).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(placed.copies[0].cps.to_string(), scene.cps_url);
    let checked = check(&engine);
    assert!(checked.verdict.outcome().is_ok(), "{:?}", checked.verdict.outcome());
    let begun = Instant::now();
    while OBSERVED.load(Ordering::SeqCst) == 0 && begun.elapsed() < PATIENCE {
        thread::yield_now();
    }
    assert_eq!(OBSERVED.load(Ordering::SeqCst), 1, "it was shown the signer's certificate");

    let mut found = looked_up_json(&look_up(&engine, Side::Called));
    assert!(found["sources"][1]["fresh_s"].take().as_u64().expect("seconds") <= 60);
    let said = |index: usize, name: &str| found["sources"][index][name].clone();
    assert_eq!((&found["services"], &found["policy"]), (&json!([scene.cps_url]), &json!("first")));
    let failed = (said(0, "source"), said(0, "said"), said(0, "services"));
    assert_eq!(failed, (json!("broken"), json!("failed"), json!(null)));
    let answered = ["source", "said", "proven", "kept", "note"].map(|name| said(1, name));
    assert_eq!(
        answered,
        [json!("table"), json!("found"), json!(true), json!(true), json!("line 1 for ABCD")]
    );
    let counters = engine.source_counters();
    let of = |name: &str| counters.iter().find(|(other, _)| other == name).expect("a source").1;
    let expected = SourceCounters { asked: 2, found: 2, kept: 1, ..SourceCounters::default() };
    assert_eq!((of("table"), of("forger")), (expected, SourceCounters::default()));
    assert_eq!(of("broken").failed, 2);
}

#[test]
fn a_strangers_word_leads_inside_no_network_and_proof_goes_before_it() {
    let scene = Scene::new();
    let engine = scene.start(&[("discovery", "forger,table"), ("discovery_own", "table")]);
    let failure = place(&engine).expect_err("the forger was first");
    assert!(failure.to_string().contains("127.0.0.1 has the address 127.0.0.1: loopback"), "{failure}");

    let proven = [("discovery_policy", "proven"), ("discovery_own", "table")];
    let engine = scene.start(&[&[("discovery", "forger,table")][..], &proven].concat());
    assert_eq!(place(&engine).expect("proof counts").copies[0].cps.to_string(), scene.cps_url);

    let silenced = [("discovery", "forger,broken"), ("discovery_policy", "proven")];
    let engine = scene.start(&silenced);
    let failure = place(&engine).expect_err("nothing is proven");
    assert!(failure.to_string().contains("not proven"), "{failure}");

    let engine = scene.start(&[("discovery", "forger,table"), ("discovery_policy", "agree")]);
    let found = look_up(&engine, Side::Calling);
    assert_eq!(looked_up_json(&found)["fault"], json!("the sources name different services"));
    assert!(place(&engine).expect_err("they differ").to_string().contains("different services"));
}

#[test]
fn sources_that_there_are_not_are_told_with_those_that_there_are() {
    let scene = Scene::new();
    let cases = [
        (
            ("discovery", "directory,tabel"),
            "\"tabel\", which is no source; there are directory, broken, forger, table",
        ),
        (("discovery", "bundles"), "set key_server too"),
        (("discovery_own", "directory"), "\"directory\", which is no plugin"),
    ];
    for (setting, words) in cases {
        let error = scene.open(&[setting]).start().expect_err(words);
        assert_eq!(error.kind(), EngineErrorKind::Argument);
        assert!(error.to_string().contains(words), "{error}");
    }
}
