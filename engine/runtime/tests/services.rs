//! Placing and checking calls with an engine: the settings bring keys, roots and a directory, and nobody waits.

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use herald_runtime::core::{NumberBlock, TelephoneNumber, Timestamp};
use herald_runtime::stir::issue::{DevelopmentAuthority, Validity};
use herald_runtime::stir::services::{
    Answer, Ask, CheckRequest, Checked, LookupFault, Machine, Moment, PlaceFailure, PlaceFault, PlaceRequest,
    Placed, Ticket,
};
use herald_runtime::stir::{
    Attestation, CallFacts, Fault, SealingKey, Suite, SystemRandom, TnAuthList, TnEntry,
};
use herald_runtime::{
    CallLost, Config, Engine, EngineErrorKind, Environment, FetchPolicy, Fetcher, Level, WorkerConfig,
    checked_json, wall_clock,
};

const ALICE: &str = "12025550100";
const BOB: &str = "12025550123";
const MALLORY: &str = "12025550166";
const X5U: &str = "https://certs.example.net/alice.pem";

/// How long a test waits for what takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

struct Files {
    folder: tempfile::TempDir,
    chain_pem: String,
}

impl Files {
    /// Alice's credential, Bob's keys, and a directory in which Bob's numbers are at `cps`.
    fn new(cps: &str) -> Self {
        let now_s = wall_clock().as_millis() / 1000;
        let validity = Validity { from_s: now_s - 3600, to_s: now_s + 3600 };
        let authority = DevelopmentAuthority::new("Test", validity, &SystemRandom).expect("an authority");
        let numbers = TnAuthList::new(vec![TnEntry::One(number(ALICE))]).expect("a list");
        let alice = authority.issue("Alice", &numbers, validity, &SystemRandom).expect("a certificate");
        let bob = SealingKey::generate(Suite::X25519, &SystemRandom);
        let folder = tempfile::tempdir().expect("a folder");
        let files = Self { folder, chain_pem: alice.chain_pem };
        files.write("alice.key", &alice.key.to_pkcs8_pem());
        files.write("alice.pem", &files.chain_pem);
        files.write("roots.pem", authority.root_pem());
        files.write("bob.jwk", &bob.to_jwk());
        files.write("bob.pub.jwk", &bob.public_key().to_jwk());
        let directory = format!(
            "[[destination]]\nnumbers = [\"1202555012x\"]\ncps = [\"{cps}\"]\nkeys = [\"bob.pub.jwk\"]\n"
        );
        files.write("directory.toml", &directory);
        files
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file");
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("a plain path").to_owned()
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        [
            ("signing_key", "alice.key"),
            ("signing_certificate", "alice.pem"),
            ("roots", "roots.pem"),
            ("sealing_keys", "bob.jwk"),
            ("directory", "directory.toml"),
        ]
        .map(|(name, file)| (name, self.path(file)))
        .into()
    }

    fn engine(&self, more: &[(&str, &str)]) -> Engine {
        let engine = self.open(&self.settings(), more).unwrap_or_else(|error| panic!("{error}"));
        engine.start().expect("a start");
        engine
    }

    fn open(
        &self,
        settings: &[(&'static str, String)],
        more: &[(&str, &str)],
    ) -> Result<Engine, herald_runtime::EngineError> {
        Engine::open(self.config(settings, more), Environment::system(|_, _| {}))
    }

    fn config(&self, settings: &[(&'static str, String)], more: &[(&str, &str)]) -> Config {
        let mut config = Config::default();
        let fixed = [("memory", "64MiB"), ("durability", "memory")];
        let settings = settings.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in fixed.into_iter().chain(settings).chain(more.iter().copied()) {
            config.set(name, value).unwrap_or_else(|error| panic!("{error}"));
        }
        config
    }
}

fn number(text: &str) -> TelephoneNumber {
    text.parse().expect("a number")
}

fn call() -> PlaceRequest {
    let request = PlaceRequest::shaken(number(ALICE), number(BOB), Attestation::Full, &SystemRandom);
    PlaceRequest { deadline_ms: 0, ..request }
}

fn arrived(orig: &str) -> CheckRequest {
    let call = CallFacts::new(number(orig).into(), number(BOB).into());
    CheckRequest { deadline_ms: 0, ..CheckRequest::new(call) }
}

fn placing(engine: &Engine) -> Receiver<Result<Result<Placed, PlaceFailure>, CallLost>> {
    let (sender, receiver) = channel();
    let told = move |outcome| sender.send(outcome).expect("the test waits");
    engine.place(call(), told).unwrap_or_else(|error| panic!("{error}"));
    receiver
}

fn place(engine: &Engine) -> Result<Placed, PlaceFailure> {
    placing(engine).recv_timeout(PATIENCE).expect("an outcome").expect("no panic")
}

fn check(engine: &Engine, request: CheckRequest) -> Checked {
    let (sender, receiver) = channel();
    let told = move |outcome| sender.send(outcome).expect("the test waits");
    engine.check(request, told).unwrap_or_else(|error| panic!("{error}"));
    receiver.recv_timeout(PATIENCE).expect("an outcome").expect("no panic")
}

#[test]
fn a_client_places_and_checks_calls_itself_and_their_placements_are_at_its_service() {
    let files = Files::new("local");
    let socket = files.path("herald.sock");
    let service = files.config(&[], &[("unix_socket", &socket)]);
    let service = Engine::open(service, Environment::system(|_, _| {})).expect("an engine");
    service.start().expect("a start");
    let client = files.engine(&[("service", &format!("unix:{socket}"))]);
    let before = service.retrieve(number(BOB)).unwrap().len();
    place(&client).unwrap();
    assert_eq!(service.retrieve(number(BOB)).unwrap().len(), before + 1);
    check(&client, arrived(ALICE)).verdict.outcome().unwrap();
    assert_eq!(check(&client, arrived(MALLORY)).verdict.outcome().unwrap_err(), &Fault::OrigMismatch);
    service.stop().unwrap();
    let refused = place(&client).unwrap_err();
    assert!(matches!(refused.cause, PlaceFault::Delivery(_)) && refused.stored.is_empty(), "{refused:?}");
}

#[test]
fn a_call_placed_with_an_engine_is_accepted_by_it_and_another_caller_is_not() {
    let engine = Files::new("local").engine(&[]);
    let placed = place(&engine).unwrap();
    assert_eq!(placed.copies.len(), 1);
    assert!(placed.copies[0].location.starts_with(&format!("/cps/{BOB}/ppts/")), "{placed:?}");

    let checked = check(&engine, arrived(ALICE));
    let said = checked_json(&checked);
    assert_eq!(
        (&said["verdict"], &said["attest"], &said["orig"]),
        (&"accept".into(), &"A".into(), &ALICE.into())
    );
    assert_eq!((&said["opened"], &said["trace"][5]["kept"]), (&1.into(), &1.into()));

    let checked = check(&engine, arrived(MALLORY));
    assert_eq!(checked.verdict.outcome().unwrap_err(), &Fault::OrigMismatch);
    let said = checked_json(&checked);
    assert_eq!((&said["verdict"], &said["sip_code"]), (&"reject".into(), &403.into()));
    assert_eq!(said["trace"][2]["step"], "call");
}

#[test]
fn a_chain_that_the_host_gives_is_not_fetched_and_without_it_the_call_is_rejected_for_lack_of_one() {
    let files = Files::new("local");
    let engine = files.engine(&[("x5u", X5U)]);
    place(&engine).unwrap();
    assert_eq!(check(&engine, arrived(ALICE)).verdict.outcome().unwrap_err().sip_code(), 436);
    engine.keep_certificate(X5U, files.chain_pem.as_bytes(), Duration::from_secs(60)).unwrap();
    check(&engine, arrived(ALICE)).verdict.outcome().unwrap();
    let refused = engine.keep_certificate(X5U, b"no chain", Duration::from_secs(60)).unwrap_err();
    assert_eq!(refused.kind(), EngineErrorKind::Argument);
}

#[test]
fn calls_under_way_are_told_when_they_are_cancelled_and_when_the_engine_stops() {
    // Somebody who takes connections and never answers.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("silent.sock");
    let _silent = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let files = Files::new(&format!("unix:{}", path.display()));
    let engine = files.engine(&[("place_deadline", "60s")]);

    let (sender, receiver) = channel();
    let handle = engine.place(call(), move |outcome| sender.send(outcome).expect("the test waits")).unwrap();
    handle.cancel();
    let failure = receiver.recv_timeout(PATIENCE).unwrap().unwrap().unwrap_err();
    assert_eq!(failure.cause, PlaceFault::Cancelled);

    let waiting = placing(&engine);
    engine.stop().unwrap();
    let failure = waiting.recv_timeout(PATIENCE).unwrap().unwrap().unwrap_err();
    assert_eq!(failure.cause, PlaceFault::Cancelled);
    let refused = engine.place(call(), |_| ()).map(drop).unwrap_err();
    assert_eq!(refused.kind(), EngineErrorKind::State);
}

#[test]
fn an_engine_says_what_it_does_not_do_and_takes_no_settings_that_contradict_each_other() {
    let files = Files::new("local");
    let engine = files.open(&[], &[]).unwrap();
    assert_eq!(engine.place(call(), |_| ()).map(drop).unwrap_err().kind(), EngineErrorKind::State);
    engine.start().unwrap();
    assert!(engine.place(call(), |_| ()).map(drop).unwrap_err().to_string().contains("signing_key"));

    files.write("odd.toml", "[[destination]]\nnumbers = [\"12a\"]\ncps = [\"local\"]\n");
    files.write("odder.toml", "[[destination]]\nnumber = [\"12\"]\ncps = [\"local\"]\n");
    let (odd, odder, key) = (files.path("odd.toml"), files.path("odder.toml"), files.path("bob.jwk"));
    let unverified =
        [("signing_key", files.path("alice.key")), ("signing_certificate", files.path("alice.pem"))];
    let error = files.open(&unverified, &[("key_server", "https://keys.example.net")]).map(drop).unwrap_err();
    assert!(error.to_string().contains("set roots too"), "{error}");
    let cases: [(&[(&str, &str)], &str); 8] = [
        (&[("directory", &odd)], "this selects no numbers"),
        (&[("directory", &odder)], "unknown field"),
        (&[("directory", "/nowhere")], "/nowhere"),
        (&[("signing_key", &key)], "bob.jwk: not a P-256 private key"),
        (&[("policy", "freshnes_s=10")], "the nearest is \"freshness_s\""),
        (&[("fetch_hosts", "*.example.com")], "fetch_authorities"),
        (&[("cover_per_hour", "60")], "cover_numbers"),
        (&[("key_prefetch", "1202555")], "key_server"),
    ];
    for (settings, said) in cases {
        let error = files.open(&files.settings(), settings).map(drop).unwrap_err();
        assert_eq!(error.kind(), EngineErrorKind::Argument, "{settings:?}");
        assert!(error.to_string().contains(said), "{settings:?}: {error}");
    }
}

#[test]
fn a_number_without_keys_is_not_called_out_of_band_and_one_without_a_service_is_told_from_silence() {
    let files = Files::new("local");
    files.write("directory.toml", "[[destination]]\nnumbers = [\"1203*\"]\ncps = [\"local\"]\n");
    let engine = files.engine(&[]);
    let cause = place(&engine).unwrap_err().cause;
    assert!(cause.to_string().contains("no Call Placement Service is known"), "{cause}");
    let checked = check(&engine, arrived(ALICE));
    assert!(matches!(checked.lookup, Err(LookupFault::Nothing(_))), "{:?}", checked.lookup);
    assert_eq!(checked.verdict.outcome().unwrap_err(), &Fault::NoPassport);
}

#[test]
fn cover_is_stored_beside_calls() {
    let files = Files::new("local");
    let engine = files.engine(&[("cover_per_hour", "36000"), ("cover_numbers", "12025550120-10")]);
    let block = NumberBlock::parse(b"12025550120-10").unwrap();
    let own =
        |items: &[herald_runtime::core::Item]| items.iter().filter(|item| item.body.len() > 640).count();
    let deadline = std::time::Instant::now() + PATIENCE;
    // The engine's own cover has all sizes; cover stores have that of calls, so numbers come to have more of it.
    let before: usize = block.numbers().map(|number| own(&engine.retrieve(number).unwrap())).sum();
    while block.numbers().map(|number| own(&engine.retrieve(number).unwrap())).sum::<usize>() < before + 5 {
        assert!(std::time::Instant::now() < deadline, "no cover came");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn no_error_about_a_directory_or_a_setting_says_a_telephone_number() {
    let files = Files::new("local");
    let rows = [
        "[[destination]]\nnumbers = [12025550123]\ncps = [\"local\"]\n",
        "[[destination]]\nnumbers = \"12025550123\"\ncps = [\"local\"]\n",
        "[[destination]]\nnumbers = [\"12025550123\", ]x\ncps = [\"local\"]\n",
        "[[destination]]\nnumbers = [\"12025550123 and more\"]\ncps = [\"local\"]\n",
        "[[destination]]\n12025550123 = [\"12025550123\"]\n",
    ];
    for row in rows {
        files.write("directory.toml", row);
        let refused = files.open(&files.settings(), &[]).map(drop);
        let said = refused.expect_err(row).to_string();
        assert!(said.contains("directory.toml: "), "{said}");
        let said = said.replace(files.path("").as_str(), "");
        assert!(!said.contains("0123"), "{said}");
    }
    let value = "12025550123-some";
    let said = Config::default().set("cover_numbers", value).unwrap_err().to_string();
    assert!(said.contains("blocks of numbers") && !said.contains("0123"), "{said}");
}

/// Breaks what the worker relies on.
struct Broken;

impl Machine for Broken {
    type Outcome = ();

    fn begin(&mut self, _: Moment, _: &mut Vec<Ask>) {}

    fn answer(&mut self, _: Ticket, _: Answer, _: Moment, _: &mut Vec<Ask>) {}

    fn wake_at(&self) -> Option<Timestamp> {
        panic!("on purpose")
    }

    fn wake(&mut self, _: Moment, _: &mut Vec<Ask>) {}

    fn cancel(&mut self) {}

    fn outcome(&mut self) -> Option<()> {
        None
    }
}

#[test]
fn a_lane_that_ends_by_itself_fails_the_engine_aloud_and_its_calls_are_told() {
    let files = Files::new("local");
    let (reports, heard) = channel();
    let config = files.config(&files.settings(), &[]);
    let environment = Environment::system(move |level, text| drop(reports.send((level, text.to_owned()))));
    let engine = Engine::open(config, environment).unwrap();
    engine.start().unwrap();
    let worker = engine.start_worker(WorkerConfig::new(Fetcher::new(FetchPolicy::default()).unwrap().into()));
    let worker = worker.unwrap();
    let (sender, told) = channel();
    worker.submit(Broken, move |outcome| sender.send(outcome).expect("the test waits")).unwrap();
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), Err(CallLost));
    let is_loud = |(level, text): (Level, String)| level == Level::Error && text.contains("has failed");
    while !is_loud(heard.recv_timeout(PATIENCE).expect("a report")) {}
    assert_eq!(engine.place(call(), |_| ()).map(drop).unwrap_err().kind(), EngineErrorKind::Failed);
    worker.stop();
    assert_eq!((worker.calls_count(), worker.panics_count()), (0, 1));
    let refused = worker.submit(Broken, |_| ()).map(drop).unwrap_err();
    assert_eq!(refused.kind(), EngineErrorKind::State, "it was stopped");
}

/// The folder is there as long as the files are.
#[test]
fn paths_in_a_directory_are_beside_it() {
    let files = Files::new("local");
    assert!(Path::new(&files.path("bob.pub.jwk")).exists());
    files.write(
        "directory.toml",
        "[[destination]]\nnumbers = [\"*\"]\ncps = [\"local\"]\nkeys = [\"gone.jwk\"]\n",
    );
    let error = files.open(&files.settings(), &[]).map(drop).unwrap_err();
    assert!(error.to_string().contains(&files.path("gone.jwk")), "{error}");
}
