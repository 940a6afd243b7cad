//! Files read again while calls go on: none is refused, those that begin afterwards see what is new, and a wrong file
//! changes nothing.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use herald_runtime::core::TelephoneNumber;
use herald_runtime::limits::WORKER_CALLS_MAX;
use herald_runtime::net::Address;
use herald_runtime::stir::issue::{DevelopmentAuthority, Validity};
use herald_runtime::stir::services::{CheckRequest, Checked, CpsUri, LookupRequest, PlaceRequest, Side};
use herald_runtime::stir::{Attestation, CallFacts, SealingKey, Suite, SystemRandom, TnAuthList, TnEntry};
use herald_runtime::{
    CheckOutcome, Config, CpsClient, Engine, EngineErrorKind, Environment, Supplier, Supply, wall_clock,
};

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
        self.engine_with(&[], None)
    }

    fn engine_with(&self, more: &[(&str, &str)], supplier: Option<Arc<Supplier>>) -> Engine {
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
        for (name, value) in more {
            config.set(name, value).expect("a property");
        }
        let engine = Engine::open(config, Environment::system(|_, _| {})).expect("an engine");
        supplier.into_iter().for_each(|supplier| engine.supply_by(supplier).expect("the only one"));
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

fn begin_check(engine: &Engine) -> Receiver<CheckOutcome> {
    let (sender, told) = channel();
    let request = CheckRequest::new(CallFacts::new(number(ALICE).into(), number(BOB).into()));
    engine
        .check(request, move |outcome| sender.send(outcome).expect("the test waits"))
        .unwrap_or_else(|error| panic!("{error}"));
    told
}

fn check(engine: &Engine) -> Checked {
    begin_check(engine).recv_timeout(PATIENCE).expect("an outcome").expect("no panic")
}

/// Where Bob's calls are looked for.
fn services(engine: &Engine) -> Vec<CpsUri> {
    let (sender, told) = channel();
    let request = LookupRequest { deadline_ms: 0, ..LookupRequest::new(number(BOB), Side::Called) };
    let begun = engine.look_up(request, move |outcome| sender.send(outcome).expect("the test waits"));
    begun.unwrap_or_else(|error| panic!("{error}"));
    let found = told.recv_timeout(PATIENCE).expect("an outcome").expect("no panic");
    found.services.expect("the directory knows one")
}

/// Waits until as many calls are under way. What runs beside them is none, but counts until it has ended.
fn await_calls(engine: &Engine, count: f64) {
    let began = Instant::now();
    while engine.stats().value("herald_calls_under_way", &[]) != Some(count) {
        assert!(began.elapsed() < PATIENCE, "{:?}", engine.stats().value("herald_calls_under_way", &[]));
        std::thread::yield_now();
    }
}

/// Holds the worker up in the next question for a document, until the test goes on; there are no documents.
struct Barrier {
    is_armed: Arc<AtomicBool>,
    asked: Receiver<()>,
    go_on: Sender<()>,
}

impl Barrier {
    fn new() -> (Self, Arc<Supplier>) {
        let ((teller, asked), (go_on, told)) = (channel(), channel());
        let (is_armed, told) = (Arc::new(AtomicBool::new(false)), Mutex::new(told));
        let barrier = Self { is_armed: is_armed.clone(), asked, go_on };
        let supplier = move |_: &str, _| {
            if is_armed.swap(false, Ordering::SeqCst) {
                teller.send(()).expect("the test waits");
                let told = told.lock().expect("no panic");
                told.recv_timeout(PATIENCE).expect("the test goes on");
            }
            Supply::Absent
        };
        (barrier, Arc::new(supplier))
    }

    /// Begins a check, which looks for bundles first, and returns when the worker is held up in it.
    fn hold_up(&self, engine: &Engine) -> Receiver<CheckOutcome> {
        self.is_armed.store(true, Ordering::SeqCst);
        let told = begin_check(engine);
        self.asked.recv_timeout(PATIENCE).expect("bundles are wanted");
        told
    }

    fn go_on(&self) {
        self.go_on.send(()).expect("the worker waits");
    }
}

/// Looks for bundles first, and names only services of the directory.
const BUNDLES: [(&str, &str); 4] = [
    ("key_server", "https://keys.example.net"),
    ("discovery", "bundles,directory"),
    ("discovery_deadline", "20s"),
    ("check_deadline", "20s"),
];

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

#[test]
fn signers_of_revocation_lists_are_read_with_the_roots() {
    let files = Files::new();
    files.write("signers.pem", include_str!("../../stir/tests/data/pyca-administrator.pem"));
    let engine = files.engine_with(&[("crl_signers", &files.path("signers.pem"))], None);
    engine.reload().unwrap();
    files.write("signers.pem", "no certificate");
    let refused = engine.reload().unwrap_err().to_string();
    assert!(refused.contains("signers.pem: no usable certificates of signers"), "{refused}");
}

#[test]
fn a_call_under_way_asks_the_service_that_was_named_when_it_began() {
    let files = Files::new();
    let socket = format!("unix:{}", files.path("cps.sock"));
    let mut config = Config::default();
    for (name, value) in
        [("memory", "64MiB"), ("durability", "memory"), ("unix_socket", &files.path("cps.sock"))]
    {
        config.set(name, value).expect("a property");
    }
    let service = Engine::open(config, Environment::system(|_, _| {})).expect("a service");
    service.start().expect("a start");
    files.serve_at(&socket);
    let (barrier, supplier) = Barrier::new();
    let engine = files.engine_with(&BUNDLES, Some(supplier));

    let told = barrier.hold_up(&engine);
    files.serve_at("https://elsewhere.example");
    engine.reload().unwrap();
    barrier.go_on();
    let checked = told.recv_timeout(PATIENCE).expect("an outcome").expect("no panic");
    assert_eq!(checked.lookup, Ok(()), "it asked the service");
    assert!(checked.items_count > 0, "there is cover at least");
    assert!(check(&engine).lookup.is_err(), "nobody is at the new one");
}

#[test]
fn a_reload_that_finds_no_room_for_its_company_changes_nothing_and_leaves_nothing() {
    // Who stores cover and who keeps bundles, and who renews certificates: no calls, but they take the room of calls.
    const AT_REST: usize = 3;
    let files = Files::new();
    let (barrier, supplier) = Barrier::new();
    let cover = [("cover_per_hour", "60"), ("cover_numbers", "12025550120-10"), ("key_prefetch", "44203")];
    let engine = files.engine_with(&[&BUNDLES[..], &cover].concat(), Some(supplier));
    await_calls(&engine, 0.0);
    let (before, after) =
        (vec![CpsUri::Local], vec!["https://elsewhere.example".parse().expect("a service")]);
    assert_eq!(services(&engine), before);

    let told = barrier.hold_up(&engine);
    await_calls(&engine, 1.0);
    files.serve_at("https://elsewhere.example");
    let request = LookupRequest::new(number(BOB), Side::Called);
    for _ in 0..WORKER_CALLS_MAX - AT_REST - 2 {
        engine.look_up(request, |_| ()).map(drop).unwrap_or_else(|error| panic!("{error}"));
    }
    for what in ["room for the first, which the worker is too busy to end again", "no room"] {
        let refused = engine.reload().expect_err(what).to_string();
        assert!(refused.contains("calls are under way") && refused.contains("the files stay"), "{refused}");
    }
    barrier.go_on();
    told.recv_timeout(PATIENCE).expect("an outcome").expect("no panic");
    await_calls(&engine, 0.0);
    assert_eq!(services(&engine), before, "nothing was taken");
    engine.reload().unwrap();
    await_calls(&engine, 0.0);
    assert_eq!(services(&engine), after);
}

#[test]
fn reloads_at_once_follow_one_another_and_each_ends_the_company_of_the_one_before() {
    let files = Files::new();
    let engine = files.engine_with(&[("cover_per_hour", "60"), ("cover_numbers", "12025550120-10")], None);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..5).for_each(|_| engine.reload().unwrap_or_else(|error| panic!("{error}"))));
        }
    });
    await_calls(&engine, 0.0);
    place(&engine).unwrap();
    check(&engine).verdict.outcome().expect("a good call");
}

#[test]
fn stores_over_the_network_go_on_while_certificates_are_replaced_and_none_is_lost() {
    let files = Files::new();
    let signed = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let own = [signed(), signed()];
    let roots = own.each_ref().map(|own| own.cert.pem()).concat();
    let serve_as = |which: usize| {
        files.write("tls.pem", &own[which].cert.pem());
        files.write("tls.key", &own[which].signing_key.serialize_pem());
    };
    serve_as(0);
    let tls = [files.path("tls.pem"), files.path("tls.key")];
    let listen =
        [("listen", "127.0.0.1:0"), ("tls_certificate", tls[0].as_str()), ("tls_key", tls[1].as_str())];
    let engine = files.engine_with(&listen, None);
    let [Address::Tcp(address)] = *engine.addresses() else { panic!("one address") };
    let url = format!("https://localhost:{}", address.port());
    let client = |roots: &str| CpsClient::open(&url, roots.as_bytes()).expect("a client");
    let (is_over, stored) = (AtomicBool::new(false), AtomicUsize::new(0));
    let storing = |thread: usize| {
        let kept = client(&roots);
        for index in 0_usize.. {
            let (number, mut body) = (number(&format!("1202555{thread:04}")), vec![7; 640]);
            body[..8].copy_from_slice(&index.to_be_bytes());
            // One whose connection stays, and new ones.
            for client in [&kept, &client(&roots)] {
                client.store(number, &body).unwrap_or_else(|error| panic!("{error}"));
                stored.fetch_add(1, Ordering::Relaxed);
            }
            if is_over.load(Ordering::Relaxed) || index >= 60 {
                let items = kept.retrieve(number).expect("it serves");
                let own = items.iter().filter(|item| item.body[8..] == [7; 632]).count();
                assert_eq!(own, 2 * (index + 1), "each is there");
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|thread| scope.spawn(move || storing(thread))).collect();
        for round in 1..=8 {
            let before = stored.load(Ordering::Relaxed);
            serve_as(round % 2);
            engine.reload().unwrap();
            let only = client(&own[round % 2].cert.pem());
            only.retrieve(number(BOB)).unwrap_or_else(|error| panic!("the new certificate: {error}"));
            let is_done = || threads.iter().all(|thread| thread.is_finished());
            while stored.load(Ordering::Relaxed) < before + 4 && !is_done() {
                std::thread::yield_now();
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(stored.load(Ordering::Relaxed) >= 8 * 4);
}
