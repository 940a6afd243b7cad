//! Files read again while calls go on: none is refused, those that begin afterwards see what is new, and a wrong file
//! changes nothing.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use herald_runtime::core::TelephoneNumber;
use herald_runtime::stir::issue::{DevelopmentAuthority, Validity};
use herald_runtime::stir::services::{CheckRequest, Checked, PlaceRequest};
use herald_runtime::stir::{Attestation, CallFacts, SealingKey, Suite, SystemRandom, TnAuthList, TnEntry};
use herald_runtime::{Config, Engine, EngineErrorKind, Environment, wall_clock};

const ALICE: &str = "12025550100";
const BOB: &str = "12025550123";
/// How long a test waits for what takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often files are read again under calls.
const RELOADS: usize = 20;
/// Calls to one number that go on beside each: of all of them fewer than it has room for.
const CALLS_PER_RELOAD: usize = 150 / RELOADS;

fn number(text: &str) -> TelephoneNumber {
    text.parse().expect("a number")
}

/// The files of an engine that places Alice's calls and checks Bob's, which one authority signs or the other.
struct Files {
    folder: tempfile::TempDir,
    authorities: [DevelopmentAuthority; 2],
    validity: Validity,
}

impl Files {
    fn new() -> Self {
        let now_s = wall_clock().as_millis() / 1000;
        let validity = Validity { from_s: now_s - 3600, to_s: now_s + 3600 };
        let authority =
            |name| DevelopmentAuthority::new(name, validity, &SystemRandom).expect("an authority");
        let files = Self {
            folder: tempfile::tempdir().expect("a folder"),
            authorities: [authority("One"), authority("Two")],
            validity,
        };
        let bob = SealingKey::generate(Suite::X25519, &SystemRandom);
        files.write("bob.jwk", &bob.to_jwk());
        files.write("bob.pub.jwk", &bob.public_key().to_jwk());
        files.serve_at("local");
        files.trust(0);
        files.sign_by(0);
        files
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("a file");
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("a plain path").to_owned()
    }

    fn trust(&self, which: usize) {
        self.write("roots.pem", self.authorities[which].root_pem());
    }

    /// A new key and certificate for Alice.
    fn sign_by(&self, which: usize) {
        let numbers = TnAuthList::new(vec![TnEntry::One(number(ALICE))]).expect("a list");
        let issued = self.authorities[which].issue("Alice", &numbers, self.validity, &SystemRandom);
        let issued = issued.expect("a certificate");
        self.write("alice.key", &issued.key.to_pkcs8_pem());
        self.write("alice.pem", &issued.chain_pem);
    }

    fn serve_at(&self, cps: &str) {
        let entry = "[[destination]]\nnumbers = [\"1202555012x\"]\nkeys = [\"bob.pub.jwk\"]\n";
        self.write("directory.toml", &format!("{entry}cps = [\"{cps}\"]\n"));
    }

    fn engine(&self) -> Engine {
        let mut config = Config::default();
        for (name, value) in [("memory", "64MiB"), ("durability", "memory")] {
            config.set(name, value).expect("a property");
        }
        for (name, file) in [
            ("signing_key", "alice.key"),
            ("signing_certificate", "alice.pem"),
            ("roots", "roots.pem"),
            ("sealing_keys", "bob.jwk"),
            ("directory", "directory.toml"),
        ] {
            config.set(name, &self.path(file)).expect("a property");
        }
        let engine = Engine::open(config, Environment::system(|_, _| {})).expect("an engine");
        assert_eq!(engine.reload().expect_err("before the start").kind(), EngineErrorKind::State);
        engine.start().expect("a start");
        engine
    }
}

/// Whether a call can be placed.
fn place(engine: &Engine) -> Result<(), String> {
    let (sender, told) = channel();
    let request = PlaceRequest::shaken(number(ALICE), number(BOB), Attestation::Full, &SystemRandom);
    let placed = engine.place(request, move |outcome| sender.send(outcome).expect("the test waits"));
    placed.map_err(|error| error.to_string())?;
    let outcome = told.recv_timeout(PATIENCE).map_err(|error| error.to_string())?;
    outcome.map_err(|_| "it was lost".to_owned())?.map(drop).map_err(|failure| failure.cause.to_string())
}

fn check(engine: &Engine) -> Checked {
    let (sender, told) = channel();
    let request = CheckRequest::new(CallFacts::new(number(ALICE).into(), number(BOB).into()));
    engine
        .check(request, move |outcome| sender.send(outcome).expect("the test waits"))
        .unwrap_or_else(|error| panic!("{error}"));
    told.recv_timeout(PATIENCE).expect("an outcome").expect("no panic")
}

#[test]
fn no_call_store_or_retrieval_fails_while_files_are_read_again() {
    let files = Files::new();
    let engine = files.engine();
    let (is_over, done, calls_left) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let again = |work: &dyn Fn() -> Result<(), String>| {
        while !is_over.load(Ordering::Relaxed) {
            work().unwrap_or_else(|why| panic!("{why}"));
            done.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let (engine, again, calls_left) = (&engine, &again, &calls_left);
        let take = |left: usize| left.checked_sub(1);
        scope.spawn(move || {
            again(&|| match calls_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
                Ok(_) => place(engine),
                Err(_) => {
                    std::thread::yield_now();
                    Ok(())
                }
            });
        });
        scope.spawn(move || {
            again(&|| engine.retrieve(number("12025550199")).map(drop).map_err(|error| error.to_string()))
        });
        for _ in 0..RELOADS {
            files.sign_by(0);
            calls_left.store(CALLS_PER_RELOAD, Ordering::Relaxed);
            let before = done.load(Ordering::Relaxed);
            engine.reload().unwrap_or_else(|error| panic!("{error}"));
            while calls_left.load(Ordering::Relaxed) > 0 || done.load(Ordering::Relaxed) < before + 2 {
                std::thread::yield_now();
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    check(&engine).verdict.outcome().expect("it was signed by a key of the authority");
    let stats = engine.stats();
    let placed = |result| stats.value("herald_calls_placed_total", &[("result", result)]);
    assert!(placed("placed") >= Some(f64::from(u32::try_from(RELOADS).expect("few"))));
    for result in ["delivery", "cancelled", "lost", "sign", "deadline", "not_authoritative"] {
        assert_eq!(placed(result), Some(0.0), "{result}");
    }
}

#[test]
fn calls_after_it_see_new_roots_keys_and_directory_and_a_wrong_file_changes_nothing() {
    let files = Files::new();
    let engine = files.engine();
    place(&engine).unwrap();
    check(&engine).verdict.outcome().expect("a good call");

    // Another authority is trusted: what the first one signed is not believed any more.
    files.trust(1);
    files.sign_by(1);
    check(&engine).verdict.outcome().expect("nothing was read yet");
    engine.reload().unwrap();
    assert!(check(&engine).verdict.outcome().is_err(), "the first authority is trusted still");
    place(&engine).unwrap();
    check(&engine).verdict.outcome().expect("signed by the second one");

    // A key that does not belong to its certificate: neither it nor the directory beside it is taken.
    files.serve_at("https://elsewhere.example");
    let good = std::fs::read_to_string(files.path("alice.key")).expect("a key");
    files.write("alice.key", "no key");
    let refused = engine.reload().unwrap_err();
    assert!(
        refused.kind() == EngineErrorKind::Argument && refused.to_string().contains("alice.key"),
        "{refused}"
    );
    place(&engine).expect("with the old key, at the old service");

    files.write("alice.key", &good);
    engine.reload().unwrap();
    let elsewhere = place(&engine).expect_err("no service answers there");
    assert!(elsewhere.contains("authorities"), "{elsewhere}");
    engine.stop().unwrap();
    assert_eq!(engine.reload().unwrap_err().kind(), EngineErrorKind::State);
}
