//! Placing a call (RFC 8816 §8.1): what must hold before the call may go out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/world.rs"]
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Seeded, at_s, identity, number};
use herald_core::limits::BODY_BUCKETS_BYTES;
use herald_core::{TelephoneNumber, Timestamp};
use herald_stir::issue::{DevelopmentAuthority, Issued, Validity};
use herald_stir::services::{
    Asked, AuthenticationService, CpsDiscovery, Credential, DeliveryFault, Destination, Directory,
    Discoveries, Fetched, IoFault, KeyDiscovery, Lookup, Machine, PlaceFault, PlaceRequest,
};
use herald_stir::{
    Attestation, CertificateReference, Claims, Fault, Leniency, Passport, SealingKey, SealingPublicKey,
    Suite, SystemRandom, TnAuthList, TnEntry, TrustStore, open,
};
use world::{Manners, World};

const T0: u64 = 1_795_300_000;
const CALLER: &str = "12155551212";
const CALLED: &str = "12355551212";
const FIRST: &str = "https://one.example.net";
const SECOND: &str = "https://two.example.net";
const VALIDITY: Validity = Validity { from_s: T0 - 86_400, to_s: T0 + 86_400 };

struct House {
    authority: DevelopmentAuthority,
    signer: Issued,
    keys: Vec<SealingKey>,
}

impl House {
    fn new() -> Self {
        let authority = DevelopmentAuthority::new("Test issuing authority", VALIDITY, &SystemRandom).unwrap();
        let numbers = TnAuthList::new(vec![TnEntry::One(number(CALLER))]).unwrap();
        let signer = authority.issue("Test signer", &numbers, VALIDITY, &SystemRandom).unwrap();
        let keys = [Suite::X25519, Suite::X25519].map(|suite| SealingKey::generate(suite, &SystemRandom));
        Self { authority, signer, keys: keys.into() }
    }

    fn directory(&self) -> Directory {
        let mut directory = Directory::new();
        let cps = [FIRST, SECOND].map(|url| url.parse().unwrap()).into();
        let keys = self.keys.iter().map(SealingKey::public_key).collect();
        directory.add(&[CALLED.parse().unwrap()], Destination { cps, keys }).unwrap();
        directory
    }

    fn service(&self, discoveries: Discoveries) -> Arc<AuthenticationService> {
        let reference = CertificateReference::Url("https://certs.example.net/signer.pem".into());
        let credential =
            Credential::new(self.signer.key.clone(), reference, self.signer.chain_pem.as_bytes()).unwrap();
        Arc::new(AuthenticationService {
            credentials: vec![credential],
            trust: Some(TrustStore::from_pem(self.authority.root_pem().as_bytes()).unwrap()),
            discoveries,
            random: Arc::new(Seeded::new(3)),
        })
    }

    fn opened(&self, items: &[Vec<u8>]) -> Vec<String> {
        items.iter().map(|item| open(item, number(CALLED), &self.keys).unwrap()).collect()
    }
}

fn request() -> PlaceRequest {
    PlaceRequest::shaken(number(CALLER), number(CALLED), Attestation::Full, &SystemRandom)
}

fn claims(token: &str) -> Claims {
    Passport::parse(token.as_bytes(), &Leniency::STRICT).unwrap().claims().clone()
}

#[test]
fn a_placed_call_has_a_copy_for_every_key_at_the_first_service_that_takes_it() {
    let cases = [
        (Manners::Good, Manners::Good, FIRST, 0),
        (Manners::Good, Manners::Down, FIRST, 0),
        (Manners::Down, Manners::Good, SECOND, 0),
        (Manners::TakesOnly(0), Manners::Good, SECOND, 0),
        // Half of the time is the first one's; its late answer no longer counts.
        (Manners::Slow(2_500), Manners::Good, SECOND, 2_000),
    ];
    let house = House::new();
    for (first, second, stored_at, passed_ms) in cases {
        let mut world = World::at(at_s(T0)).with(FIRST, first).with(SECOND, second);
        let service = house.service(Discoveries::by(Arc::new(house.directory())));
        let began = world.now.steady;
        let placed = world.run(&mut service.place(request())).unwrap();

        let items = world.items(stored_at, number(CALLED));
        assert_eq!(house.opened(&items), vec![placed.passport.clone(); 2], "{first:?} {second:?}");
        assert!(house.keys.iter().all(|key| {
            let own = std::slice::from_ref(key);
            items.iter().filter(|item| open(item, number(CALLED), own).is_ok()).count() == 1
        }));
        assert!(items.iter().all(|item| BODY_BUCKETS_BYTES.contains(&item.len())));
        assert!(placed.copies.iter().all(|copy| copy.cps.to_string() == stored_at));
        assert!(world.now.steady.millis_since(began) >= passed_ms);
        assert_eq!(claims(&placed.passport).iat_s, T0 as i64, "iat is the wall clock's");
    }
}

#[test]
fn a_call_of_which_a_copy_was_refused_everywhere_is_not_placed_and_says_what_was_stored() {
    let house = House::new();
    let mut world =
        World::at(at_s(T0)).with(FIRST, Manners::TakesOnly(1)).with(SECOND, Manners::TakesOnly(0));
    let service = house.service(Discoveries::by(Arc::new(house.directory())));
    let failure = world.run(&mut service.place(request())).unwrap_err();
    assert!(
        matches!(
            &failure.cause,
            PlaceFault::Delivery(DeliveryFault::Store(IoFault::Refused { status: 503, .. }))
        ),
        "{failure}"
    );
    assert_eq!((failure.stored.len(), failure.copies_count), (1, 2));
    assert_eq!(failure.stored[0].cps.to_string(), FIRST);
}

#[test]
fn a_call_is_not_placed_after_its_deadline_or_when_cancelled() {
    let house = House::new();
    let slow = Manners::Slow(60_000);
    let mut world = World::at(at_s(T0)).with(FIRST, slow).with(SECOND, slow);
    let service = house.service(Discoveries::by(Arc::new(house.directory())));
    let began = world.now.steady;
    let mut machine = service.clone().place(PlaceRequest { deadline_ms: 700, ..request() });
    // The first service had its share, the second the rest.
    let failure = world.run(&mut machine).unwrap_err();
    assert!(matches!(failure.cause, PlaceFault::Deadline), "{failure}");
    assert_eq!(world.now.steady.millis_since(began), 700);
    assert_eq!(world.asked.len(), 4);

    let (mut machine, mut asks) = (service.place(request()), Vec::new());
    machine.begin(world.now, &mut asks);
    machine.cancel();
    assert!(matches!(machine.outcome().unwrap().unwrap_err().cause, PlaceFault::Cancelled));
    assert_eq!((machine.outcome(), machine.wake_at()), (None, None));
}

#[test]
fn nothing_is_asked_of_anybody_for_a_call_that_cannot_be_placed() {
    let house = House::new();
    let other = "12155559999";
    let unauthorised = Claims::base(identity(other), identity(CALLED), 0);
    let unlisted = Claims::base(identity(CALLER), identity(other), 0);
    let to_uri = Claims::base(identity(CALLER), identity("sip:bob@example.net"), 0);
    let mut without_keys = Directory::new();
    let services_only = Destination { cps: vec![FIRST.parse().unwrap()], keys: Vec::new() };
    without_keys.add(&[other.parse().unwrap()], services_only).unwrap();

    let cases = [
        (unauthorised, house.directory(), PlaceFault::NotAuthoritative(Fault::NotCovered)),
        (unlisted.clone(), house.directory(), PlaceFault::Delivery(DeliveryFault::NoService)),
        (unlisted, without_keys, PlaceFault::Delivery(DeliveryFault::NoKeys)),
        (to_uri, house.directory(), PlaceFault::NotANumber),
    ];
    for (claims, directory, expected) in cases {
        let mut world = World::at(at_s(T0));
        let service = house.service(Discoveries::by(Arc::new(directory)));
        let failure = world.run(&mut service.place(PlaceRequest::new(claims))).unwrap_err();
        assert_eq!(failure.cause, expected);
        assert!(world.asked.is_empty());
    }
    // The certificate's time is over at the moment of signing.
    let mut world = World::at(at_s(T0 + 90_000));
    let service = house.service(Discoveries::by(Arc::new(house.directory())));
    let failure = world.run(&mut service.place(request())).unwrap_err();
    assert_eq!(failure.cause, PlaceFault::NotAuthoritative(Fault::Expired));
}

/// Knows services and keys only after a document was fetched.
struct Bundled {
    knows: AtomicBool,
    destination: Destination,
}

const BUNDLE: &str = "https://keys.example.net/1235555";

impl Bundled {
    fn lookup<T>(&self, found: T) -> Lookup<T> {
        match self.knows.load(Ordering::Relaxed) {
            true => Lookup::Found(found),
            false => Lookup::Fetch { url: BUNDLE.into(), kind: Fetched::KeyBundle },
        }
    }
}

impl CpsDiscovery for Bundled {
    fn cps_for(
        &self,
        _: TelephoneNumber,
        _: herald_stir::services::Side,
        _: Timestamp,
    ) -> Lookup<Vec<herald_stir::services::CpsUri>> {
        self.lookup(self.destination.cps.clone())
    }

    fn learn(&self, url: &str, body: &[u8], fresh_s: u64, _: Timestamp) {
        assert_eq!((url, fresh_s), (BUNDLE, 300));
        self.knows.store(body == b"the bundle", Ordering::Relaxed);
    }
}

impl KeyDiscovery for Bundled {
    fn keys_for(&self, _: TelephoneNumber, _: Timestamp) -> Lookup<Vec<SealingPublicKey>> {
        self.lookup(self.destination.keys.clone())
    }
}

#[test]
fn what_must_be_fetched_to_find_a_destination_is_fetched_once_and_not_for_ever() {
    let house = House::new();
    let cases = [(Some("the bundle"), 1, true), (Some("rubbish"), 3, false), (None, 1, false)];
    for (document, fetches, is_placed) in cases {
        let destination = Destination {
            cps: vec![FIRST.parse().unwrap()],
            keys: house.keys.iter().map(SealingKey::public_key).collect(),
        };
        let bundled = Bundled { knows: AtomicBool::new(false), destination };
        let mut world = World::at(at_s(T0));
        document.into_iter().for_each(|body| world.serve(BUNDLE, body));
        let service = house.service(Discoveries::by(Arc::new(bundled)));
        let outcome = world.run(&mut service.place(request()));
        assert_eq!(outcome.is_ok(), is_placed, "{document:?}");
        let gets = world.asked.iter().filter(|asked| matches!(asked, Asked::Get { .. })).count();
        assert_eq!(gets, fetches, "{document:?}");
    }
}
