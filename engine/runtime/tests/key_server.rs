//! A caller who knows nothing of the called number but a key server: bundles that its owner published there are fetched
//! ahead of the call, by prefix, and the called side accepts the call.

use std::future::{Ready, ready};
use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use herald_runtime::core::TelephoneNumber;
use herald_runtime::net::{
    Address, Bytes, ClientCertificates, ListenSpec, Peer, Refusal, Request, Response, Server, ServerConfig,
    Service, TlsSlot, tls_server_config,
};
use herald_runtime::stir::bundle::{Area, KeyBundle, Listing};
use herald_runtime::stir::issue::{DevelopmentAuthority, Validity};
use herald_runtime::stir::services::{
    CheckRequest, Checked, DeliveryFault, PlaceFailure, PlaceFault, PlaceRequest, Placed,
};
use herald_runtime::stir::{
    Attestation, CallFacts, CertificateReference, SealingKey, Suite, TnAuthList, TnEntry,
};
use herald_runtime::{Config, CpsClient, Engine, Environment, SystemRandom, wall_clock};

const ALICE: &str = "12025550100";
const BOB: &str = "13035550123";
const NOBODY: &str = "14045550199";

const PATIENCE: Duration = Duration::from_secs(20);

fn number(text: &str) -> TelephoneNumber {
    text.parse().expect("a number")
}

/// Shows what an engine publishes, and writes down what it is asked for.
#[derive(Clone)]
struct KeyServer {
    engine: Arc<Engine>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Service for KeyServer {
    type Answer = Ready<Response<Bytes>>;

    fn answer(&self, _: &Peer, request: Request<Bytes>) -> Self::Answer {
        self.asked.lock().expect("no panic").push(request.uri().path().to_owned());
        let area = Area::of_path(request.uri().path()).expect("an area");
        let listing = self.engine.key_bundles(&area);
        let body = Listing::write(listing.tokens.iter().map(String::as_str), listing.is_truncated);
        ready(Response::new(Bytes::from(body)))
    }

    fn refuse(&self, refusal: Refusal) -> Response<Bytes> {
        Response::builder().status(refusal.status()).body(Bytes::new()).expect("a status")
    }
}

struct Scene {
    folder: tempfile::TempDir,
    cps: Arc<Engine>,
    cps_url: String,
    key_server: KeyServer,
    key_port: u16,
    _server: Server,
}

impl Scene {
    /// A service that takes bundles, with Bob's, and a key server that shows them.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| path(folder.path(), name);
        let write = |name: &str, text: &str| std::fs::write(path(name), text).expect("a file");
        let tls = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let (tls_pem, tls_key) = (tls.cert.pem(), tls.signing_key.serialize_pem());
        write("tls.pem", &tls_pem);
        write("tls.key", &tls_key);

        let now_s = wall_clock().as_millis() / 1000;
        let validity = Validity { from_s: now_s - 3600, to_s: now_s + 86_400 };
        let authority = DevelopmentAuthority::new("Test", validity, &SystemRandom).expect("an authority");
        let issue = |text: &str| {
            let numbers = TnAuthList::new(vec![TnEntry::One(number(text))]).expect("a list");
            authority.issue("Owner", &numbers, validity, &SystemRandom).expect("a certificate")
        };
        let (alice, bob) = (issue(ALICE), issue(BOB));
        let sealing = SealingKey::generate(Suite::X25519, &SystemRandom);
        write("roots.pem", authority.root_pem());
        write("alice.key", &alice.key.to_pkcs8_pem());
        write("alice.pem", &alice.chain_pem);
        write("bob.jwk", &sealing.to_jwk());

        let cps = open(&[
            ("listen", "127.0.0.1:0"),
            ("tls_certificate", &path("tls.pem")),
            ("tls_key", &path("tls.key")),
            ("key_roots", &path("roots.pem")),
            ("reactors", "1"),
        ]);
        let cps_url = format!("https://localhost:{}", port(cps.addresses()));
        let bundle = KeyBundle {
            issuer: TnEntry::One(number(BOB)),
            iat_s: now_s,
            exp_s: now_s + 3600,
            entries: vec![TnEntry::One(number(BOB))],
            keys: vec![sealing.public_key()],
            cps: vec![cps_url.clone()],
        };
        let chain = CertificateReference::inline_from_pem(bob.chain_pem.as_bytes()).expect("a chain");
        let token = bundle.sign(&chain, &bob.key).expect("a bundle");
        let owner = CpsClient::open(&cps_url, tls_pem.as_bytes()).expect("a client");
        owner.publish_keys(&token).expect("taken");

        let cps = Arc::new(cps);
        let key_server = KeyServer { engine: cps.clone(), asked: Arc::default() };
        let tls = tls_server_config(tls_pem.as_bytes(), tls_key.as_bytes(), ClientCertificates::NotAsked);
        let tls = TlsSlot::new(tls.expect("a certificate and its key"));
        let listen = vec![ListenSpec::Tls { address: ([127, 0, 0, 1], 0).into(), tls }];
        let config = ServerConfig { listen, reactors: Some(1), ..ServerConfig::default() };
        let served = key_server.clone();
        let server = Server::start(config, move |_| served.clone()).expect("a server");
        let key_port = port(server.addresses());
        Self { folder, cps, cps_url, key_server, key_port, _server: server }
    }

    /// Alice's engine, whose directory names the service if `names` does, and Bob's number in no case.
    fn caller(&self, names: &str, more: &[(&str, &str)]) -> Engine {
        let path = |name: &str| path(self.folder.path(), name);
        let entry = format!("[[destination]]\nnumbers = [\"2-19995550100\"]\ncps = [\"{names}\"]\n");
        std::fs::write(path("directory.toml"), entry).expect("a file");
        let (server, host) = (
            format!("https://localhost:{}", self.key_port),
            format!("localhost:{}=127.0.0.0/8", self.key_port),
        );
        let (key, chain) = (path("alice.key"), path("alice.pem"));
        let (roots, directory, tls) = (path("roots.pem"), path("directory.toml"), path("tls.pem"));
        let mut settings = vec![
            ("signing_key", key.as_str()),
            ("signing_certificate", &chain),
            ("roots", &roots),
            ("directory", &directory),
            ("cps_authorities", &tls),
            ("key_server", &server),
            ("fetch_hosts", &host),
            ("fetch_authorities", &tls),
        ];
        settings.extend(more);
        open(&settings)
    }

    fn asked(&self) -> Vec<String> {
        let asked = self.key_server.asked.lock().expect("no panic");
        asked.iter().map(|path| path.rsplit('/').next().unwrap_or_default().to_owned()).collect()
    }
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

fn port(addresses: &[Address]) -> u16 {
    let Some(Address::Tcp(address)) = addresses.first() else { panic!("no TCP") };
    address.port()
}

fn open(settings: &[(&str, &str)]) -> Engine {
    let mut config = Config::default();
    let fixed = [("durability", "memory"), ("memory", "64MiB")];
    for (name, value) in fixed.iter().chain(settings) {
        config.set(name, value).unwrap_or_else(|error| panic!("{error}"));
    }
    let engine = Engine::open(config, Environment::system(|_, _| {}));
    let engine = engine.unwrap_or_else(|error| panic!("{error}"));
    engine.start().expect("a start");
    engine
}

fn place(engine: &Engine, called: &str) -> Result<Placed, PlaceFailure> {
    let (sender, told) = channel();
    let request = PlaceRequest::shaken(number(ALICE), number(called), Attestation::Full, &SystemRandom);
    engine.place(request, move |outcome| sender.send(outcome).expect("the test waits")).expect("begun");
    told.recv_timeout(PATIENCE).expect("an outcome").expect("no panic")
}

fn check(engine: &Engine) -> Checked {
    let (sender, told) = channel();
    let request = CheckRequest::new(CallFacts::new(number(ALICE).into(), number(BOB).into()));
    engine.check(request, move |outcome| sender.send(outcome).expect("the test waits")).expect("begun");
    told.recv_timeout(PATIENCE).expect("an outcome").expect("no panic")
}

#[test]
fn bundles_are_fetched_ahead_by_prefix_and_a_call_is_placed_by_them_and_accepted() {
    let scene = Scene::new();
    let caller = scene.caller(&scene.cps_url, &[("key_prefetch", "130355,1909")]);
    let began = Instant::now();
    while scene.asked().len() < 2 {
        assert!(began.elapsed() < PATIENCE, "nothing is fetched ahead of a call");
        thread::sleep(Duration::from_millis(1));
    }
    let placed = place(&caller, BOB).expect("Bob's owner has published where and for which key");
    assert_eq!(placed.copies.len(), 1);
    let mut asked = scene.asked();
    asked.sort();
    assert_eq!(asked, ["130355", "1909"], "the call itself asks for nothing");

    let path = |name: &str| path(scene.folder.path(), name);
    let here = format!("[[destination]]\nnumbers = [\"2-{BOB}\"]\ncps = [\"{}\"]\n", scene.cps_url);
    std::fs::write(path("here.toml"), here).expect("a file");
    let called = open(&[
        ("roots", &path("roots.pem")),
        ("sealing_keys", &path("bob.jwk")),
        ("directory", &path("here.toml")),
        ("cps_authorities", &path("tls.pem")),
    ]);
    assert!(check(&called).verdict.outcome().is_ok());

    // Who has published nothing cannot be called, and is not named either.
    let failure = place(&caller, NOBODY).expect_err("nothing is known of this number");
    assert!(matches!(failure.cause, PlaceFault::Delivery(DeliveryFault::NoService)), "{failure}");
    assert_eq!(scene.asked()[2..], ["1404555".to_owned()]);
    assert!(scene.cps.stop().is_ok());
}

#[test]
fn a_service_that_only_a_bundle_names_is_not_asked_inside() {
    let scene = Scene::new();
    let caller = scene.caller("https://cps.example.net", &[]);
    let failure = place(&caller, BOB).expect_err("the service is at a loopback address");
    assert!(failure.to_string().contains("loopback"), "{failure}");
    assert_eq!(scene.asked(), ["1303555"]);
}
