//! Use cases of RFC 8816 §5 from one end to the other, with a service in a process of its own: 5.1 (from SIP to a
//! smartphone behind the telephone network), 5.2 (two endpoints at the telephone network) and 5.5 (a call centre). In 5.1 and
//! 5.5 caller and called belong to two domains, each with a service; the caller's engine finds the other's.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use herald_runtime::core::TelephoneNumber;
use herald_runtime::stir::services::{CheckRequest, Checked, PlaceFailure, PlaceRequest, Placed};
use herald_runtime::stir::{Attestation, CallFacts, CallToken, Fault, SystemRandom};
use herald_runtime::{Config, Engine, Environment};

const CALLER: &str = "12025550100";
const CALLED: &str = "12025550123";
const STRANGER: &str = "12025550166";
const PATIENCE: Duration = Duration::from_secs(20);

fn herald(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herald"));
    command.args(arguments);
    command
}

/// A Call Placement Service in a process of its own.
struct Cps {
    process: Child,
    url: String,
    ca: String,
}

impl Drop for Cps {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Cps {
    fn start(data: &Path) -> Self {
        let mut process =
            herald(&["serve", "--dev", "--listen", "127.0.0.1:0", "--memory", "32MiB", "--data"])
                .arg(data)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, url, ca] = words[..] else { panic!("{line:?}") };
        Self { process, url: url.to_owned(), ca: ca.trim_start_matches("ca=").to_owned() }
    }
}

/// The folder of a test: parties, authority, services.
struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        for (party, number) in [("caller", CALLER), ("called", CALLED)] {
            let (out, authority) = (world.path(party), world.path("authority"));
            let made = herald(&["keygen", "--out", &out, "--authority", &authority, "--number", number]);
            assert!({ made }.output().unwrap().status.success());
        }
        world
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn cps(&self, name: &str) -> Cps {
        Cps::start(&self.0.path().join(name))
    }

    /// An engine whose directory has `cps` for the numbers of the called side.
    fn engine(&self, cps: &[&Cps], settings: &[(&str, String)]) -> Engine {
        let mut authorities = String::new();
        for one in cps {
            authorities += &std::fs::read_to_string(&one.ca).unwrap();
        }
        std::fs::write(self.path("cps-roots.pem"), authorities).unwrap();
        let urls: Vec<_> = cps.iter().map(|cps| format!("{:?}", cps.url)).collect();
        let key = self.path("called/sealing.pub.jwk");
        let directory = format!(
            "[[destination]]\nnumbers = [\"1202555012x\"]\ncps = [{}]\nkeys = [{key:?}]\n",
            urls.join(", ")
        );
        std::fs::write(self.path("directory.toml"), directory).unwrap();
        let mut config = Config::default();
        let fixed = [
            ("durability", "memory".to_owned()),
            ("memory", "16MiB".to_owned()),
            ("directory", self.path("directory.toml")),
            ("cps_authorities", self.path("cps-roots.pem")),
        ];
        for (name, value) in fixed.iter().chain(settings) {
            config.set(name, value).unwrap_or_else(|error| panic!("{error}"));
        }
        let engine =
            Engine::open(config, Environment::system(|_, _| {})).unwrap_or_else(|error| panic!("{error}"));
        engine.start().unwrap();
        engine
    }

    /// The caller's authentication service.
    fn caller(&self, cps: &[&Cps]) -> Engine {
        let (key, chain) = (self.path("caller/signing.key"), self.path("caller/signing.pem"));
        self.engine(cps, &[("signing_key", key), ("signing_certificate", chain)])
    }

    /// The called side's verification service.
    fn called(&self, cps: &[&Cps]) -> Engine {
        let (key, roots) = (self.path("called/sealing.jwk"), self.path("authority/roots.pem"));
        self.engine(cps, &[("sealing_keys", key), ("roots", roots)])
    }
}

fn number(text: &str) -> TelephoneNumber {
    text.parse().unwrap()
}

fn place(engine: &Engine) -> Result<Placed, PlaceFailure> {
    let (sender, receiver) = channel();
    let request = PlaceRequest::shaken(number(CALLER), number(CALLED), Attestation::Full, &SystemRandom);
    engine.place(request, move |outcome| sender.send(outcome).unwrap()).unwrap();
    receiver.recv_timeout(PATIENCE).unwrap().unwrap()
}

fn check(engine: &Engine, orig: &str, call: Option<&str>) -> Checked {
    let (sender, receiver) = channel();
    let facts = CallFacts::new(number(orig).into(), number(CALLED).into());
    let name = call.map(|call| CallToken::of(call.as_bytes()));
    let request = CheckRequest { name, ..CheckRequest::new(facts) };
    engine.check(request, move |outcome| sender.send(outcome).unwrap()).unwrap();
    receiver.recv_timeout(PATIENCE).unwrap().unwrap()
}

#[test]
fn case_1_a_call_from_sip_is_verified_behind_the_telephone_network() {
    let world = World::new();
    let (of_caller, of_called) = (world.cps("cps-caller"), world.cps("cps-called"));
    let placed = place(&world.caller(&[&of_called])).unwrap();

    // In band it is the same PASSporT: whoever gets the call over SIP verifies the header field.
    std::fs::write(world.path("identity"), &placed.passport).unwrap();
    let roots = world.path("authority/roots.pem");
    let in_band = herald(&[
        "verify",
        &world.path("identity"),
        "--roots",
        &roots,
        "--orig",
        CALLER,
        "--dest",
        CALLED,
        "--json",
    ])
    .output()
    .unwrap();
    assert_eq!(in_band.status.code(), Some(0), "{}", String::from_utf8_lossy(&in_band.stdout));

    // Out of band the smartphone finds it at its own domain's service, and only there.
    let phone = world.called(&[&of_called]);
    check(&phone, CALLER, None).verdict.outcome().unwrap();
    assert_eq!(check(&phone, STRANGER, None).verdict.outcome().unwrap_err(), &Fault::OrigMismatch);
    let elsewhere = check(&world.called(&[&of_caller]), CALLER, None);
    assert_eq!(elsewhere.verdict.outcome().unwrap_err(), &Fault::NoPassport);
}

#[test]
fn case_2_an_exchange_and_a_handset_at_the_telephone_network_need_nothing_but_the_service() {
    let world = World::new();
    let cps = world.cps("cps");
    let at = ["--cps", &cps.url, "--ca", &cps.ca, "--from", CALLER, "--to", CALLED];
    let (key, chain) = (world.path("caller/signing.key"), world.path("caller/signing.pem"));
    let recipient = world.path("called/sealing.pub.jwk");
    let place = ["--key", &key, "--certificate", &chain, "--recipient", &recipient];
    let placed = herald(&["place"]).args(at).args(place).output().unwrap();
    assert!(placed.status.success(), "{}", String::from_utf8_lossy(&placed.stderr));

    let (sealing, roots) = (world.path("called/sealing.jwk"), world.path("authority/roots.pem"));
    let keys = ["--sealing-key", &sealing, "--roots", &roots];
    let checked = herald(&["check"]).args(at).args(keys).output().unwrap();
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stdout));
    // Who has no key of the handset learns nothing.
    let caller_key = world.path("caller/sealing.jwk");
    let keys = ["--sealing-key", &caller_key, "--roots", &roots];
    let curious = herald(&["check"]).args(at).args(keys).output().unwrap();
    assert_eq!(curious.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&curious.stdout).starts_with("NO PASSPORT"), "{curious:?}");
}

/// The subscription of RFC 8816 §5.5 is a poll here: the service has no push yet.
#[test]
fn case_5_a_call_centre_correlates_many_calls_and_goes_on_when_one_of_two_services_is_gone() {
    let world = World::new();
    let (first, second) = (world.cps("cps-1"), world.cps("cps-2"));
    let carrier = world.caller(&[&first, &second]);
    let centre = world.called(&[&first, &second]);
    for call in ["call 1", "call 2", "call 3"] {
        place(&carrier).unwrap();
        check(&centre, CALLER, Some(call))
            .verdict
            .outcome()
            .unwrap_or_else(|fault| panic!("{call}: {fault}"));
        assert!(check(&centre, STRANGER, Some(call)).verdict.outcome().is_err());
    }
    // The preferred service dies: the carrier stores at the other one, and the centre finds it there.
    drop(first);
    let placed = place(&carrier).unwrap();
    assert_eq!(placed.copies[0].cps.to_string(), second.url);
    let checked = check(&centre, CALLER, Some("call 4"));
    checked.verdict.outcome().unwrap();
    // With both gone nothing is said to be placed, and the centre is told that it does not know.
    drop(second);
    place(&carrier).unwrap_err();
    let checked = check(&centre, CALLER, Some("call 5"));
    assert!(checked.verdict.outcome().is_err() && checked.lookup.is_err());
}
