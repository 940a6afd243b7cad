//! Key bundles: who may say what about which numbers, where they are found, and how often they are asked for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak, mpsc};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{Seeded, at_s, number};
use herald_stir::bundle::{
    Area, BundleDiscovery, BundleFault, BundleKeeper, BundleTable, DirectoryBounds, Inserted, KeyBundle,
    KeyDirectory, Listing, Lookup, Refused, SignedBundle, TableBounds, VerifiedBundle, keys_of,
};
use herald_stir::issue::{DevelopmentAuthority, Issued, Validity};
use herald_stir::services::{
    Answer, Ask, Asked, CpsDiscovery, CpsUri, Fetched, IoFault, KeyDiscovery, Lookup as Fetch, Machine,
    Moment, Side,
};
use herald_stir::{
    CertificateReference, ChainCache, Fault, SealingKey, SealingPublicKey, Suite, SystemRandom, TnAuthList,
    TnEntry, TrustStore,
};

const T0: u64 = 1_795_300_000;
const VALIDITY: Validity = Validity { from_s: T0 - 86_400, to_s: T0 + 86_400 };
const DAY_S: u64 = 86_400;

fn entry(text: &str) -> TnEntry {
    text.parse().unwrap()
}

fn entries(texts: &[&str]) -> Vec<TnEntry> {
    texts.iter().map(|text| entry(text)).collect()
}

struct House {
    authority: DevelopmentAuthority,
    trust: TrustStore,
    key: SealingPublicKey,
}

impl House {
    fn new() -> Self {
        let authority = DevelopmentAuthority::new("Test authority", VALIDITY, &Seeded::new(3)).unwrap();
        let trust = TrustStore::from_pem(authority.root_pem().as_bytes()).unwrap();
        Self { authority, trust, key: SealingKey::generate(Suite::X25519, &SystemRandom).public_key() }
    }

    fn issue(&self, texts: &[&str]) -> Issued {
        let list = TnAuthList::new(entries(texts)).unwrap();
        self.authority.issue("Test owner", &list, VALIDITY, &SystemRandom).unwrap()
    }

    fn bundle(&self, issuer: &str, texts: &[&str]) -> KeyBundle {
        KeyBundle {
            issuer: entry(issuer),
            iat_s: T0,
            exp_s: T0 + DAY_S,
            entries: entries(texts),
            keys: vec![self.key.clone()],
            cps: vec!["https://cps.example.net".into()],
        }
    }

    fn sign(&self, bundle: &KeyBundle, owner: &Issued) -> String {
        let chain = CertificateReference::inline_from_pem(owner.chain_pem.as_bytes()).unwrap();
        bundle.sign(&chain, &owner.key).unwrap()
    }

    fn verify(&self, token: &str, at: u64) -> Result<VerifiedBundle, BundleFault> {
        SignedBundle::parse(token.as_bytes())?.verify_inline(&self.trust, Suite::X25519, at_s(at))
    }

    /// A bundle of an owner of exactly these entries.
    fn verified(&self, issuer: &str, texts: &[&str], iat_s: u64) -> VerifiedBundle {
        let mut all = texts.to_vec();
        if !all.contains(&issuer) {
            all.push(issuer);
        }
        let bundle = KeyBundle { iat_s, exp_s: iat_s + 3600, ..self.bundle(issuer, texts) };
        self.verify(&self.sign(&bundle, &self.issue(&all)), T0).unwrap()
    }
}

#[test]
fn a_bundle_is_believed_as_far_as_its_certificate_stands_for_its_entries() {
    let house = House::new();
    let cases: &[(&[&str], &str, &[&str], bool)] = &[
        (&["2-12225550123"], "2-12225550123", &["2-12225550123"], true),
        (&["2-12225550123"], "2-12225550123", &["2-12225550124"], false),
        (&["2-12225550123"], "2-12225550124", &["2-12225550123"], false),
        (&["1-12225550100-100"], "2-12225550100", &["1-12225550100-100", "2-12225550199"], true),
        (&["1-12225550100-100"], "2-12225550100", &["1-12225550100-101"], false),
        (&["1-12225550100-100"], "2-12225550100", &["1-12225550099-100"], false),
        // What touches counts as one range; a hole between does not.
        (&["1-12225550100-50", "1-12225550150-50"], "2-12225550100", &["1-12225550120-60"], true),
        (&["1-12225550100-50", "1-12225550151-50"], "2-12225550100", &["1-12225550120-60"], false),
        // Another length is another range.
        (&["1-12225550100-100"], "2-12225550100", &["2-122255501000"], false),
        (&["0-1234"], "0-1234", &["0-1234"], true),
        (&["0-1234"], "0-1234", &["0-1235"], false),
        // A code stands for itself; whose a number is, nobody here knows.
        (&["0-1234"], "0-1234", &["2-12225550123"], false),
        (&["2-*12#"], "2-*12#", &["2-*12#"], true),
        (&["2-*12#"], "2-*12#", &["2-*12*"], false),
    ];
    for (certified, issuer, said, good) in cases {
        let token = house.sign(&house.bundle(issuer, said), &house.issue(certified));
        let verdict = house.verify(&token, T0).map(|_| ());
        let expected = if *good { Ok(()) } else { Err(BundleFault::Certificate(Fault::NotCovered)) };
        assert_eq!(verdict, expected, "{certified:?} for {said:?} by {issuer}");
    }
}

#[test]
fn entries_are_read_as_advertised_and_nothing_else_is() {
    for text in ["0-1234", "0-a-b", "1-15714341000-99", "2-12155551212", "2-*12#"] {
        assert_eq!(entry(text).to_string(), text);
    }
    for text in [
        "",
        "0",
        "0-",
        "3-1",
        "2-",
        "2-+1",
        "2-1.2",
        "1-12-1",
        "1-12",
        "1-12-",
        "1-12-+5",
        "1-90-10",
        "2-1234567890123456",
        "1-*1-5",
        "0-a b",
        "0-é",
    ] {
        assert!(text.parse::<TnEntry>().is_err(), "{text:?}");
    }
}

#[test]
fn times_suite_signature_and_root_are_looked_at() {
    let house = House::new();
    let owner = house.issue(&["2-12225550123"]);
    let bundle = house.bundle("2-12225550123", &["2-12225550123"]);
    let token = house.sign(&bundle, &owner);
    assert_eq!(house.verify(&token, T0).unwrap().bundle(), &bundle);
    assert_eq!(house.verify(&token, T0 + DAY_S - 1).err(), None);
    assert_eq!(house.verify(&token, T0 + DAY_S).err(), Some(BundleFault::Expired));
    assert_eq!(house.verify(&token, T0 - 60).err(), None);
    assert_eq!(house.verify(&token, T0 - 61).err(), Some(BundleFault::Ahead));

    let parsed = || SignedBundle::parse(token.as_bytes()).unwrap();
    let other = parsed().verify_inline(&house.trust, Suite::P256, at_s(T0)).err();
    assert_eq!(other, Some(BundleFault::Suite(Suite::P256)));
    let stranger = House::new();
    let stranger = DevelopmentAuthority::new("Stranger", VALIDITY, &Seeded::new(9)).map(|authority| {
        drop(stranger);
        TrustStore::from_pem(authority.root_pem().as_bytes()).unwrap()
    });
    let untrusted = parsed().verify_inline(&stranger.unwrap(), Suite::X25519, at_s(T0)).err();
    assert_eq!(untrusted, Some(BundleFault::Certificate(Fault::Untrusted)));

    let forged = house.sign(&bundle, &Issued { key: house.issue(&["2-1"]).key, ..owner.clone() });
    assert_eq!(house.verify(&forged, T0).err(), Some(BundleFault::Signature));
    // Every flipped bit of a signature, and a payload put behind another's signature.
    let (input, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    for bit in [0, 7, 255, 256, 511] {
        let mut flipped = signature.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(flipped));
        assert_eq!(house.verify(&token, T0).err(), Some(BundleFault::Signature), "bit {bit}");
    }
}

#[test]
fn what_is_malformed_is_refused_with_the_member_named() {
    let house = House::new();
    let owner = house.issue(&["2-12225550123"]);
    let good = house.bundle("2-12225550123", &["2-12225550123"]);
    let refused = |change: &dyn Fn(&mut KeyBundle)| {
        let mut bundle = good.clone();
        change(&mut bundle);
        bundle.sign(&CertificateReference::Url("https://certs.example.net/a.pem".into()), &owner.key).err()
    };
    let p256 = SealingKey::generate(Suite::P256, &SystemRandom).public_key();
    assert_eq!(refused(&|_| ()), None);
    assert_eq!(refused(&|bundle| bundle.exp_s += 1), Some(BundleFault::Lifetime));
    assert_eq!(refused(&|bundle| bundle.exp_s = bundle.iat_s), Some(BundleFault::Lifetime));
    assert_eq!(refused(&|bundle| bundle.entries.clear()), Some(BundleFault::Member("tn")));
    assert_eq!(refused(&|bundle| bundle.issuer = entry("1-10-5")), Some(BundleFault::Member("iss")));
    assert_eq!(refused(&|bundle| bundle.keys.push(p256.clone())), Some(BundleFault::Member("keys")));
    assert_eq!(refused(&|bundle| bundle.cps = vec!["http://a".into()]), Some(BundleFault::Member("cps")));
    assert_eq!(refused(&|bundle| bundle.keys = vec![p256.clone(); 9]), Some(BundleFault::TooMany("keys", 8)));
    assert!(matches!(
        refused(&|bundle| bundle.cps = vec![format!("https://{}", "a".repeat(1000)); 8]),
        Some(BundleFault::TooLong(_))
    ));

    // Members of the header, and of keys, that only a hand can write.
    let token = house.sign(&good, &owner);
    let segments: Vec<_> = token.split('.').collect();
    let text = |index: usize| String::from_utf8(URL_SAFE_NO_PAD.decode(segments[index]).unwrap()).unwrap();
    let parse = |header: &str, payload: &str| {
        let token = [URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload), segments[2].to_owned()]
            .join(".");
        SignedBundle::parse(token.as_bytes()).err()
    };
    let (header, payload) = (text(0), text(1));
    assert_eq!(parse(&header, &payload), None);
    for (from, to, member) in [
        ("ES256", "HS256", "alg"),
        ("stir-keys+jwt", "passport", "typ"),
        ("\"alg\":", "\"crit\":[\"x\"],\"alg\":", "crit"),
    ] {
        assert_eq!(parse(&header.replacen(from, to, 1), &payload), Some(BundleFault::Member(member)), "{to}");
    }
    for (from, to) in [("HPKE-3", "HPKE-0"), ("\"enc\"", "\"sig\""), ("\"alg\":", "\"d\":\"AA\",\"alg\":")] {
        let changed = payload.replacen(from, to, 1);
        assert_eq!(parse(&header, &changed), Some(BundleFault::Member("keys")), "{to}");
    }
    assert_eq!(parse(&header, &format!("{payload} x")), Some(BundleFault::Form));
    assert_eq!(SignedBundle::parse(format!("{token}.").as_bytes()).err(), Some(BundleFault::Form));
}

#[test]
fn a_table_finds_bundles_by_number_prefix_and_code() {
    let house = House::new();
    let mut table = BundleTable::new(TableBounds::default());
    let carrier = ["1-12225550000-1000", "0-1234"];
    for (issuer, texts) in [
        ("0-1234", &carrier[..]),
        ("2-12225550100", &["1-12225550100-100"]),
        ("2-12225550123", &["2-12225550123"]),
        ("2-4930123456", &["1-4930123450-10"]),
        ("2-*12#", &["2-*12#"]),
    ] {
        assert!(table.insert(house.verified(issuer, texts, T0)).is_ok());
    }
    let issuers = |bundles: Vec<Arc<VerifiedBundle>>| -> Vec<String> {
        bundles.iter().map(|bundle| bundle.bundle().issuer.to_string()).collect()
    };
    let now = at_s(T0);
    for (text, expected) in [
        ("12225550123", &["2-12225550123", "2-12225550100", "0-1234"][..]),
        ("12225550199", &["2-12225550100", "0-1234"]),
        ("12225550999", &["0-1234"]),
        ("12225551000", &[]),
        ("1222555012", &[]),
        ("4930123459", &["2-4930123456"]),
        ("4930123460", &[]),
        ("*12#", &["2-*12#"]),
    ] {
        assert_eq!(issuers(table.for_number(number(text), now)), expected, "{text}");
    }
    for (text, expected, all) in [
        ("1222555", &["0-1234", "2-12225550100", "2-12225550123"][..], true),
        ("12225550123", &["0-1234", "2-12225550100", "2-12225550123"], true),
        ("12225550124", &["0-1234", "2-12225550100"], true),
        ("122255502", &["0-1234"], true),
        ("12225551", &[], true),
        ("493", &["2-4930123456"], true),
        ("*12", &["2-*12#"], true),
        ("122255501234", &[], true),
        ("999", &[], true),
    ] {
        let (bundles, whole) = table.for_prefix(number(text), 10, now);
        assert_eq!(
            (issuers(bundles), whole),
            (expected.iter().map(|one| one.to_string()).collect(), all),
            "{text}"
        );
    }
    assert!(!table.for_prefix(number("1222555"), 1, now).1, "more than asked for");
    assert_eq!(issuers(table.for_code("1234", now)), ["0-1234"]);
    assert!(table.for_code("123", now).is_empty());

    assert!(table.for_number(number("*12#"), at_s(T0 + 3600)).is_empty(), "expired, and still in the table");
    let replayed = house.verified("2-*12#", &["2-*12#"], T0 - 1);
    table.expire(at_s(T0 + 3600));
    assert_eq!(table.insert(replayed).err(), Some(Refused::Older), "an older one does not come back");
    table.expire(at_s(T0 + DAY_S));
    assert!(table.is_empty());
}

#[test]
fn a_later_bundle_replaces_an_earlier_one_and_never_the_other_way_round() {
    let house = House::new();
    let owner = house.issue(&["1-12225550100-100", "0-1234"]);
    let mut table = BundleTable::new(TableBounds { bundles_max: 2 });
    let made = |iat_s: u64, texts: &[&str], keys: Vec<SealingPublicKey>| {
        let bundle = KeyBundle { iat_s, exp_s: T0 + 3600, keys, ..house.bundle("0-1234", texts) };
        house.verify(&house.sign(&bundle, &owner), T0).unwrap()
    };
    let key = || SealingKey::generate(Suite::X25519, &SystemRandom).public_key();
    let (old, new, narrow) = (key(), key(), key());
    let block = &["1-12225550100-100"][..];
    assert!(table.insert(made(T0, block, vec![old.clone()])).is_ok());
    let same_second = table.insert(made(T0, block, vec![new.clone()]));
    assert_eq!(same_second.err(), Some(Refused::Older));
    let replayed = made(T0, block, vec![old.clone()]);
    assert!(table.insert(made(T0 + 1, block, vec![new.clone()])).is_ok());
    assert_eq!(table.insert(replayed).err(), Some(Refused::Older));
    let keys = |table: &BundleTable, text: &str| keys_of(&table.for_number(number(text), at_s(T0)));
    assert_eq!(keys(&table, "12225550123"), vec![new.clone()]);

    // Of one issuer the latest word about a number counts, be it that there are no keys.
    assert!(table.insert(made(T0 + 2, &["2-12225550123"], vec![narrow.clone()])).is_ok());
    assert_eq!(keys(&table, "12225550123"), [narrow]);
    assert_eq!(keys(&table, "12225550124"), [new]);
    let withdrawn = table.insert(made(T0 + 3, &["2-12225550123"], Vec::new())).unwrap();
    assert!(matches!(withdrawn, Inserted::Replaced(_)));
    assert_eq!(keys(&table, "12225550123"), []);
    assert_eq!(table.insert(made(T0 + 3, &["2-12225550125"], Vec::new())).err(), Some(Refused::Full));
    assert_eq!(table.len(), 2);
}

#[test]
fn paths_of_areas_are_read_as_they_are_written() {
    for area in [
        Area::Number(number("12225550123")),
        Area::Number(number("*12#")),
        Area::Prefix(number("122255")),
        Area::Code("a.B-4_".into()),
    ] {
        assert_eq!(Area::of_path(&area.path()), Some(area.clone()), "{area:?}");
    }
    assert_eq!(Area::Number(number("*12#")).path(), "/.well-known/stir-cps-keys/*12%23");
    for path in ["", "prefix/", "prefix/12", "prefix/1x3", "spc/", "spc/a%2Fb", "spc/a,b", "1/2"] {
        assert_eq!(Area::of_path(&format!("/.well-known/stir-cps-keys/{path}")), None, "{path}");
    }
}

fn nothing(_: &str) -> Option<Vec<u8>> {
    None
}

#[test]
fn a_thousand_calls_into_one_block_ask_once_and_no_server_is_asked_without_need() {
    let house = House::new();
    let mut directory = KeyDirectory::new(house.trust.clone(), Suite::X25519, DirectoryBounds::default());
    let prefix = Area::Prefix(number("1222555"));
    let mut asks = 0;
    for last in 0..1000 {
        match directory.lookup(number(&format!("1222555{last:04}")), at_s(T0)) {
            Lookup::Ask(area) => {
                assert_eq!(area, prefix);
                asks += 1;
            }
            Lookup::Pending => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(asks, 1);
    let good = house.verified("2-12225550100", &["1-12225550100-100"], T0);
    let stranger = house.sign(&house.bundle("2-1999", &["2-1999"]), &house.issue(&["2-1998"]));
    let body = Listing::write([good.token(), &stranger], false);
    let listing = Listing::parse(&body).unwrap();
    assert_eq!(directory.answer(&prefix, &listing, Some("\"1\"".into()), Some(600), &nothing, at_s(T0)), 1);
    assert!(matches!(directory.lookup(number("12225550100"), at_s(T0)), Lookup::Found(found)
        if keys_of(&found) == [house.key.clone()]));
    assert!(matches!(directory.lookup(number("12225550200"), at_s(T0 + 599)), Lookup::Absent));
    assert_eq!(directory.due(at_s(T0 + 599)), None);

    // It was used, so it is asked for again when it is no longer fresh; what is there serves meanwhile.
    assert_eq!(directory.due(at_s(T0 + 600)), Some(prefix.clone()));
    assert_eq!(directory.due(at_s(T0 + 600)), None, "asked for already");
    assert!(matches!(directory.lookup(number("12225550100"), at_s(T0 + 600)), Lookup::Found(_)));
    assert_eq!(directory.etag(&prefix), Some("\"1\""));
    directory.failed(&prefix, at_s(T0 + 601));
    assert!(matches!(directory.lookup(number("12225550100"), at_s(T0 + 602)), Lookup::Found(_)));
    assert_eq!(directory.due(at_s(T0 + 616)), Some(prefix.clone()));
    directory.unchanged(&prefix, Some(60), at_s(T0 + 616));
    // Nobody used it since, so it is forgotten.
    assert_eq!(directory.due(at_s(T0 + 676)), None);
    assert!(matches!(directory.lookup(number("12225550100"), at_s(T0 + 676)), Lookup::Ask(_)));
}

#[test]
fn a_server_with_too_much_under_a_prefix_is_asked_for_longer_ones() {
    let house = House::new();
    let mut directory = KeyDirectory::new(house.trust.clone(), Suite::X25519, DirectoryBounds::default());
    let truncated = Listing { tokens: Vec::new(), is_truncated: true };
    let mut asked = Vec::new();
    while let Lookup::Ask(area) = directory.lookup(number("12225550123"), at_s(T0)) {
        directory.answer(&area, &truncated, None, None, &nothing, at_s(T0));
        asked.push(area.path().rsplit('/').next().unwrap().to_owned());
    }
    assert_eq!(asked, ["1222555", "122255501", "12225550123"]);
    assert!(matches!(directory.lookup(number("12225550123"), at_s(T0)), Lookup::Absent));
}

#[test]
fn a_call_is_told_to_fetch_by_prefix_and_then_finds_keys_and_services() {
    let house = House::new();
    let bounds = DirectoryBounds::default();
    let chains = Arc::new(ChainCache::default());
    let found =
        BundleDiscovery::new("https://cps.example.net/", house.trust.clone(), Suite::X25519, bounds, chains);
    let (called, now) = (number("12225550123"), at_s(T0));
    let url = "https://cps.example.net/.well-known/stir-cps-keys/prefix/1222555";
    let fetch = Fetch::Fetch { url: url.to_owned(), kind: Fetched::KeyBundle };
    assert_eq!(found.keys_for(called, now), fetch);
    assert_eq!(found.keys_for(number("12225559999"), now), fetch, "the fetcher asks once for both");
    let good = house.verified("2-12225550100", &["1-12225550100-100"], T0);
    KeyDiscovery::learn(&found, url, &Listing::write([good.token()], false), 300, now);
    assert_eq!(found.keys_for(called, now), Fetch::Found(vec![house.key.clone()]));
    let service: CpsUri = "https://cps.example.net".parse().unwrap();
    assert_eq!(found.cps_for(called, Side::Calling, now), Fetch::Found(vec![service]));
    assert_eq!(found.keys_for(number("12225559999"), now), Fetch::NotFound);

    // What is no answer is a failure: asked again after a while, not by the next call.
    KeyDiscovery::learn(&found, "https://elsewhere.example.net/x", b"{}", 300, now);
    let other = number("13335550123");
    let Fetch::Fetch { url, .. } = found.keys_for(other, now) else { panic!("nothing is known of it") };
    KeyDiscovery::learn(&found, &url, b"<html>", 300, now);
    assert_eq!(found.keys_for(other, now), Fetch::NotFound);
    assert!(matches!(found.keys_for(other, at_s(T0 + 15)), Fetch::Fetch { .. }));
}

#[test]
fn an_answer_is_verified_once_for_all_who_wait_and_nobody_waits_for_that() {
    let house = House::new();
    let owner = house.issue(&["2-12225550123"]);
    let by_url = CertificateReference::Url("https://certs.example.net/a.pem".into());
    let sign = |iat_s| {
        let bundle = KeyBundle { iat_s, ..house.bundle("2-12225550123", &["2-12225550123"]) };
        bundle.sign(&by_url, &owner.key).unwrap()
    };
    // A chain is asked for whenever a bundle is verified. Meanwhile another call looks up.
    let verified_count = Arc::new(AtomicUsize::new(0));
    let looker = Arc::new(OnceLock::<Weak<BundleDiscovery>>::new());
    let (counted, looking, pem) = (verified_count.clone(), looker.clone(), owner.chain_pem.into_bytes());
    let chains = move |_: &str| {
        counted.fetch_add(1, Ordering::Relaxed);
        let found = looking.get().unwrap().upgrade().unwrap();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || tell.send(found.keys_for(number("12225550124"), at_s(T0))));
        told.recv_timeout(Duration::from_secs(20)).expect("a lookup waits for signatures");
        Some(pem.clone())
    };
    let bounds = DirectoryBounds::default();
    let server = "https://cps.example.net";
    let found = BundleDiscovery::new(server, house.trust.clone(), Suite::X25519, bounds, Arc::new(chains));
    let found = Arc::new(found);
    looker.set(Arc::downgrade(&found)).unwrap();

    let ask = |at| match found.keys_for(number("12225550123"), at_s(at)) {
        Fetch::Fetch { url, .. } => url,
        other => panic!("{other:?}"),
    };
    let url = ask(T0);
    let (first, refused) = (sign(T0), "a.b.c");
    let body = Listing::write([first.as_str(), refused], false);
    for _ in 0..3 {
        KeyDiscovery::learn(&*found, &url, &body, 60, at_s(T0));
    }
    assert_eq!(verified_count.load(Ordering::Relaxed), 1, "one answer, three calls that wait");
    assert_eq!(found.keys_for(number("12225550123"), at_s(T0)), Fetch::Found(vec![house.key.clone()]));

    // Fetched again, what is known is not verified; what is new is.
    assert_eq!(found.due(at_s(T0 + 60)), Some(url.clone()));
    KeyDiscovery::learn(&*found, &url, &body, 60, at_s(T0 + 60));
    assert_eq!(verified_count.load(Ordering::Relaxed), 1);
    assert_eq!(found.keys_for(number("12225550124"), at_s(T0 + 60)), Fetch::NotFound);
    assert_eq!(found.due(at_s(T0 + 120)), Some(url.clone()));
    KeyDiscovery::learn(&*found, &url, &Listing::write([sign(T0 + 1).as_str()], false), 60, at_s(T0 + 120));
    assert_eq!(verified_count.load(Ordering::Relaxed), 2);
}

#[test]
fn a_directory_forgets_the_area_not_used_for_longest() {
    let house = House::new();
    let bounds = DirectoryBounds { areas_max: 2, ..DirectoryBounds::default() };
    let mut directory = KeyDirectory::new(house.trust.clone(), Suite::X25519, bounds);
    let asks = |directory: &mut KeyDirectory, text: &str, at: u64| {
        matches!(directory.lookup(number(text), at_s(at)), Lookup::Ask(_))
    };
    assert!(asks(&mut directory, "12225550123", T0));
    assert!(asks(&mut directory, "13335550123", T0 + 1));
    assert!(!asks(&mut directory, "12225550124", T0 + 2));
    assert!(asks(&mut directory, "14445550123", T0 + 3), "makes room");
    assert!(!asks(&mut directory, "12225550125", T0 + 4), "still there");
    assert!(asks(&mut directory, "13335550123", T0 + 5), "was forgotten");

    let mut directory = KeyDirectory::new(house.trust.clone(), Suite::X25519, bounds);
    directory.keep(Area::Prefix(number("1222555")), at_s(T0));
    assert_eq!(directory.due(at_s(T0)), Some(Area::Prefix(number("1222555"))), "fetched ahead of any call");
}

#[test]
fn what_is_kept_is_fetched_ahead_renewed_and_answers_for_numbers_of_longer_prefixes() {
    let house = House::new();
    let (bounds, chains) = (DirectoryBounds::default(), Arc::new(ChainCache::default()));
    let server = "https://cps.example.net";
    let found = BundleDiscovery::new(server, house.trust.clone(), Suite::X25519, bounds, chains);
    let found = Arc::new(found);
    let areas = ["1222", "1999"].map(|prefix| Area::Prefix(number(prefix)));
    let mut keeper = BundleKeeper::new(found.clone(), areas.into());
    let (mut asks, begin) = (Vec::new(), Moment::both(at_s(T0)));
    keeper.begin(begin, &mut asks);
    let url = |ask: &Ask| match &ask.what {
        Asked::Get { url, kind: Fetched::KeyBundle } => url.rsplit('/').next().unwrap().to_owned(),
        other => panic!("{other:?}"),
    };
    let mut urls: Vec<String> = asks.iter().map(url).collect();
    urls.sort();
    assert_eq!(urls, ["1222", "1999"]);
    let good = house.verified("2-12225550100", &["1-12225550100-100"], T0);
    for ask in core::mem::take(&mut asks) {
        let answer = match url(&ask).as_str() {
            "1222" => Answer::Fetched { body: Listing::write([good.token()], false).into(), fresh_s: 300 },
            _ => Answer::Failed(IoFault::TimedOut),
        };
        keeper.answer(ask.ticket, answer, begin, &mut asks);
    }
    assert_eq!(found.keys_for(number("12225550123"), at_s(T0)), Fetch::Found(vec![house.key.clone()]));
    assert_eq!(found.keys_for(number("12225559999"), at_s(T0)), Fetch::NotFound);
    assert_eq!(found.keys_for(number("19995550100"), at_s(T0)), Fetch::NotFound, "it could not be asked");
    assert!(matches!(found.keys_for(number("13335550123"), at_s(T0)), Fetch::Fetch { .. }), "not kept");

    // What failed is asked for again soon, what was fetched when it is over.
    for (after_s, expected) in [(14, &[][..]), (20, &["1999"]), (300, &["1222"])] {
        let now = Moment::both(at_s(T0 + after_s));
        assert!(keeper.wake_at().unwrap() <= now.steady, "it looks again every few seconds");
        keeper.wake(now, &mut asks);
        let urls: Vec<String> = asks.iter().map(url).filter(|name| name != "1333555").collect();
        assert_eq!(urls, expected, "after {after_s} s");
        for ask in core::mem::take(&mut asks) {
            let body = Listing::write([good.token()], false);
            keeper.answer(ask.ticket, Answer::Fetched { body: body.into(), fresh_s: 600 }, now, &mut asks);
        }
    }
    keeper.cancel();
    assert!(keeper.outcome().is_some());
}
