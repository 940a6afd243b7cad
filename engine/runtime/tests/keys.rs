//! Key bundles over the wire: published by who may, shown to everybody alike, there again after a restart.

use std::path::Path;
use std::time::Duration;

use herald_runtime::core::TelephoneNumber;
use herald_runtime::stir::bundle::{Area, KeyBundle, Listing};
use herald_runtime::stir::issue::{DevelopmentAuthority, Issued, Validity};
use herald_runtime::stir::{CertificateReference, SealingKey, Suite, TnAuthList, TnEntry};
use herald_runtime::{Config, CpsClient, CpsError, Engine, Environment, SystemRandom, net, wall_clock};

struct House {
    folder: tempfile::TempDir,
    authority: DevelopmentAuthority,
}

impl House {
    fn new() -> Self {
        let now_s = wall_clock().as_millis() / 1000;
        let validity = Validity { from_s: now_s - 3600, to_s: now_s + 86_400 };
        let authority = DevelopmentAuthority::new("Test", validity, &SystemRandom).expect("an authority");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("roots.pem"), authority.root_pem()).expect("a file");
        Self { folder, authority }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("a plain path").to_owned()
    }

    fn engine(&self, properties: &[(&str, &str)]) -> Engine {
        let mut config = Config::default();
        let (socket, folder) = (self.path("socket"), self.path("bundles"));
        let ours = [
            ("memory", "64MiB"),
            ("durability", "memory"),
            ("reactors", "1"),
            ("unix_socket", &socket),
            ("key_bundles", &folder),
        ];
        for (name, value) in ours.iter().chain(properties) {
            config.set(name, value).expect("a property");
        }
        let engine = Engine::open(config, Environment::system(|_, _| {})).expect("an engine");
        engine.start().expect("a start");
        engine
    }

    fn owner(&self, entries: &[&str]) -> Issued {
        let now_s = wall_clock().as_millis() / 1000;
        let validity = Validity { from_s: now_s - 3600, to_s: now_s + 86_400 };
        let list = TnAuthList::new(read(entries)).expect("a list");
        self.authority.issue("Owner", &list, validity, &SystemRandom).expect("a certificate")
    }

    /// A bundle of `owner`, made `age_s` ago.
    fn bundle(&self, owner: &Issued, entries: &[&str], suite: Suite, age_s: u64) -> String {
        let now_s = wall_clock().as_millis() / 1000;
        let entries = read(entries);
        let bundle = KeyBundle {
            issuer: entries[0].clone(),
            iat_s: now_s - age_s,
            exp_s: now_s + 3600,
            entries,
            keys: vec![SealingKey::generate(suite, &SystemRandom).public_key()],
            cps: vec!["https://cps.example.net".into()],
        };
        let chain = CertificateReference::inline_from_pem(owner.chain_pem.as_bytes()).expect("a chain");
        bundle.sign(&chain, &owner.key).expect("a bundle")
    }

    fn get(&self, path: &str, if_none_match: Option<&str>) -> net::Response<net::Bytes> {
        let mut request = net::Request::get(format!("http://localhost{path}"));
        if let Some(tag) = if_none_match {
            request = request.header("if-none-match", tag);
        }
        let request = request.body(net::Bytes::new()).expect("a request");
        let client = net::Client::unix(Path::new(&self.path("socket")));
        client.request(request, Duration::from_secs(10)).expect("an answer")
    }

    fn client(&self) -> CpsClient {
        CpsClient::open(&format!("unix:{}", self.path("socket")), b"").expect("a client")
    }
}

fn read(entries: &[&str]) -> Vec<TnEntry> {
    entries.iter().map(|entry| entry.parse().expect("an entry")).collect()
}

fn number(text: &str) -> TelephoneNumber {
    text.parse().expect("a number")
}

fn status(result: Result<(), CpsError>) -> u16 {
    match result {
        Ok(()) => 204,
        Err(CpsError::Refused { status, .. }) => status,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn what_an_owner_publishes_is_shown_and_survives_a_restart() {
    let house = House::new();
    let roots = house.path("roots.pem");
    let engine = house.engine(&[("key_roots", &roots)]);
    let owner = house.owner(&["2-12225550123", "2-12225550124"]);
    let (first, second) = (
        house.bundle(&owner, &["2-12225550123"], Suite::X25519, 10),
        house.bundle(&owner, &["2-12225550123"], Suite::X25519, 5),
    );
    let client = house.client();
    for (token, expected) in [(&first, 204), (&first, 204), (&second, 204), (&first, 409)] {
        assert_eq!(status(client.publish_keys(token)), expected);
    }
    let all = |area: Area| client.key_bundles(&area).expect("an answer").tokens;
    assert_eq!(all(Area::Number(number("12225550123"))), vec![second.clone()]);
    assert_eq!(all(Area::Prefix(number("1222555"))), vec![second.clone()]);
    assert_eq!(all(Area::Number(number("12225550124"))), [""; 0]);
    engine.stop().expect("a stop");

    let engine = house.engine(&[("key_roots", &roots)]);
    assert_eq!(engine.key_bundles(&Area::Number(number("12225550123"))).tokens, [second]);
    let files = std::fs::read_dir(house.path("bundles")).expect("a folder").count();
    assert_eq!(files, 1, "what was replaced is gone");
    engine.stop().expect("a stop");
}

#[test]
fn who_may_not_sign_for_a_number_publishes_nothing_about_it() {
    let house = House::new();
    let roots = house.path("roots.pem");
    let engine = house.engine(&[("key_roots", &roots), ("suite", "p256")]);
    let owner = house.owner(&["2-12225550123"]);
    let client = house.client();
    let good = house.bundle(&owner, &["2-12225550123"], Suite::P256, 1);
    let stranger = House::new();
    let foreign = stranger.owner(&["2-12225550123"]);
    let changed = good[..good.len() - 4].to_owned() + if good.ends_with("AAAA") { "BBBB" } else { "AAAA" };
    for (token, why) in [
        (house.bundle(&owner, &["2-12225550124"], Suite::P256, 1), "another's number"),
        (house.bundle(&owner, &["2-12225550123"], Suite::X25519, 1), "another suite"),
        (stranger.bundle(&foreign, &["2-12225550123"], Suite::P256, 1), "another root"),
        (changed, "a changed signature"),
        ("a.b.c".into(), "no bundle"),
    ] {
        assert_eq!(status(client.publish_keys(&token)), 422, "{why}");
    }
    assert_eq!(engine.key_bundles(&Area::Number(number("12225550123"))), Listing::default());
    assert_eq!(status(client.publish_keys(&good)), 204);
    engine.stop().expect("a stop");

    let engine = house.engine(&[]);
    assert_eq!(status(client.publish_keys(&good)), 403, "no key_roots");
    engine.stop().expect("a stop");
}

#[test]
fn a_number_without_keys_is_answered_like_one_with_keys() {
    let house = House::new();
    let roots = house.path("roots.pem");
    let engine = house.engine(&[("key_roots", &roots)]);
    let owner = house.owner(&["2-12225550123"]);
    engine
        .publish_key_bundle(house.bundle(&owner, &["2-12225550123"], Suite::X25519, 1).as_bytes())
        .expect("published");
    let known = house.get("/.well-known/stir-cps-keys/12225550123", None);
    let unknown = house.get("/.well-known/stir-cps-keys/13335550123", None);
    assert_eq!((known.status().as_u16(), unknown.status().as_u16()), (200, 200));
    let names = |answer: &net::Response<net::Bytes>| -> Vec<String> {
        answer.headers().keys().map(ToString::to_string).filter(|name| name != "content-length").collect()
    };
    assert_eq!(names(&known), names(&unknown));
    assert_eq!(known.headers()["cache-control"], unknown.headers()["cache-control"]);
    assert_eq!(&unknown.body()[..], b"{\"bundles\":[]}");

    let tag = known.headers()["etag"].to_str().expect("a tag").to_owned();
    for (sent, expected) in [(tag.clone(), 304), (format!("\"0\", W/{tag}"), 304), ("\"0\"".into(), 200)] {
        let answer = house.get("/.well-known/stir-cps-keys/12225550123", Some(&sent));
        assert_eq!(
            (answer.status().as_u16(), answer.body().is_empty()),
            (expected, expected == 304),
            "{sent}"
        );
    }
    for (path, expected) in [
        ("prefix/12", 400),
        ("1x", 400),
        ("12225550123?inline=1", 400),
        ("spc/1234", 200),
        ("prefix/122", 200),
    ] {
        let answer = house.get(&format!("/.well-known/stir-cps-keys/{path}"), None);
        assert_eq!(answer.status(), expected, "{path}");
    }
    assert_eq!(house.get("/.well-known/stir-cps-keys", None).status(), 405);
    assert_eq!(house.get("/.well-known/stir-cps-keyring", None).status(), 404);
    engine.stop().expect("a stop");
}
