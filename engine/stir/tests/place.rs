//! Placing a call (RFC 8816 §8.1): what must hold before the call may go out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/world.rs"]
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Seeded, at_s, identity, number};
use herald_core::limits::BODY_BUCKETS_BYTES;
use herald_core::{NumberBlock, TelephoneNumber, Timestamp};
use herald_stir::issue::{DevelopmentAuthority, Issued, Validity};
use herald_stir::limits::COVER_PER_HOUR_MAX;
use herald_stir::services::{
    Asked, AuthenticationService, CoverPlan, CoverReport, CpsDiscovery, Credential, DeliveryFault,
    Destination, Directory, Discoveries, Fetched, IoFault, KeyDiscovery, Lookup, Machine, PlaceFault,
    PlaceRequest,
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

// rfc8225:5.1.1-1, rfc8816:8.1-3, rfc8816:8.1-4, rfc8816:8.1-5, rfc8816:8.1-6, rfc8816:8.1-7, rfc8816:8.1-8,
// rfc8816:8.1-9.
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

// rfc8816:8.1-1, rfc8816:8.1-3, rfc8816:8.1-4.
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

// rfc8226:8-5, rfc9060:5-1, rfc9060:5-2, rfc9060:5-3.
#[test]
fn nothing_is_signed_that_verifiers_would_refuse_for_the_certificate() {
    use common::pki::{ENHANCED_CONSTRAINTS, Made, extension, issuer, numbers, one, range, signer};
    let house = House::new();
    let place = |made: &Made, chain_pem: &str| {
        let reference = CertificateReference::Url("https://certs.example.net/signer.pem".into());
        let service = house.service(Discoveries::by(Arc::new(house.directory())));
        let mut service = Arc::into_inner(service).unwrap();
        service.credentials =
            vec![Credential::new(made.key.clone(), reference, chain_pem.as_bytes()).unwrap()];
        service.trust = Some(made.trust());
        let mut world = World::at(at_s(T0));
        let failure = world.run(&mut Arc::new(service).place(request())).err().map(|failure| failure.cause);
        assert_eq!(world.asked.is_empty(), failure.is_some());
        failure
    };
    let one = || numbers(vec![one(CALLER)]);
    let delegate = Made::new(vec![issuer(vec![]), issuer(vec![one()]), signer(vec![one()])]);
    assert_eq!(place(&delegate, &delegate.chain_pem), None);
    let whole = delegate.chain_pem.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
    let no_path = PlaceFault::NotAuthoritative(Fault::Untrusted);
    assert_eq!(place(&delegate, whole), Some(no_path), "x5u serves the whole path");
    let more = numbers(vec![range(CALLER, 2)]);
    let beyond = Made::new(vec![issuer(vec![]), issuer(vec![one()]), signer(vec![more])]);
    let not_encompassed = PlaceFault::NotAuthoritative(Fault::NotEncompassed);
    assert_eq!(place(&beyond, &beyond.chain_pem), Some(not_encompassed));
    // mustInclude: rcd.
    let constraint = extension(ENHANCED_CONSTRAINTS, "3009 a007 3005 1603 726364");
    let bound = Made::new(vec![issuer(vec![]), signer(vec![one(), constraint])]);
    let missing = PlaceFault::NotAuthoritative(Fault::ClaimNotPermitted("rcd".into()));
    assert_eq!(place(&bound, &bound.chain_pem), Some(missing));
}

#[test]
fn a_call_is_signed_by_the_first_credential_that_verifiers_would_take_it_from() {
    let house = House::new();
    let other = TnAuthList::new(vec![TnEntry::One(number("12155559999"))]).unwrap();
    let stranger = house.authority.issue("Another signer", &other, VALIDITY, &SystemRandom).unwrap();
    let credential = |issued: &Issued, name: &str| {
        let reference = CertificateReference::Url(format!("https://certs.example.net/{name}.pem"));
        Credential::new(issued.key.clone(), reference, issued.chain_pem.as_bytes()).unwrap()
    };
    let found = Discoveries::by(Arc::new(house.directory()));
    let mut service = Arc::into_inner(house.service(found)).unwrap();
    service.credentials = vec![credential(&stranger, "other"), credential(&house.signer, "own")];
    let mut world = World::at(at_s(T0)).with(FIRST, Manners::Good);
    let placed = world.run(&mut Arc::new(service).place(request())).unwrap();
    let passport = Passport::parse(placed.passport.as_bytes(), &Leniency::STRICT).unwrap();
    assert_eq!(
        *passport.certificate(),
        CertificateReference::Url("https://certs.example.net/own.pem".into())
    );
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

/// Drives a cover storer for `hours` of virtual time. Returns the moments of its stores, in ms.
fn cover_moments(house: &House, world: &mut World, per_hour: u32, hours: u64) -> (Vec<u64>, CoverReport) {
    let service = house.service(Discoveries::by(Arc::new(house.directory())));
    let plan = CoverPlan::new(vec![format!("{CALLED}-1").parse_block()], per_hour).unwrap();
    let mut machine = service.cover(plan).unwrap();
    let mut moments = Vec::new();
    let began = world.now.steady;
    let mut asks = Vec::new();
    machine.begin(world.now, &mut asks);
    while world.now.steady.millis_since(began) < hours * 3_600_000 {
        world.now.steady = machine.wake_at().unwrap();
        machine.wake(world.now, &mut asks);
        for (index, ask) in std::mem::take(&mut asks).into_iter().enumerate() {
            if index == 0 {
                moments.push(world.now.steady.millis_since(began));
            }
            let answer = world.answer(&ask.what);
            machine.answer(ask.ticket, answer, world.now, &mut asks);
        }
    }
    machine.cancel();
    (moments, machine.outcome().unwrap())
}

trait ParseBlock {
    fn parse_block(&self) -> NumberBlock;
}

impl ParseBlock for String {
    fn parse_block(&self) -> NumberBlock {
        NumberBlock::parse(self.as_bytes()).unwrap()
    }
}

#[test]
fn cover_looks_like_calls_opens_with_no_key_and_comes_at_moments_that_tell_nothing() {
    let house = House::new();
    let mut world = World::at(at_s(T0));
    let (moments, report) = cover_moments(&house, &mut world, 120, 20);
    assert_eq!(report.stored_count, moments.len() as u64);
    assert_eq!(report.failed_count, 0);

    // A Poisson process: intervals with the mean of the plan, whose deviation is as large as their mean.
    let intervals: Vec<f64> = moments.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1000.0).collect();
    let mean = intervals.iter().sum::<f64>() / intervals.len() as f64;
    let variance = intervals.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / intervals.len() as f64;
    assert!((27.0..33.0).contains(&mean), "{mean} s instead of 30");
    assert!((0.9..1.1).contains(&(variance.sqrt() / mean)), "{} of {mean}", variance.sqrt());

    let cover = world.items(FIRST, number(CALLED));
    assert!(cover.iter().all(|item| open(item, number(CALLED), &house.keys).is_err()));
    let service = house.service(Discoveries::by(Arc::new(house.directory())));
    let mut other = World::at(at_s(T0));
    other.run(&mut service.place(request())).unwrap();
    let real = other.items(FIRST, number(CALLED));
    assert_eq!(cover.len(), moments.len() * real.len(), "as many copies");
    assert!(cover.iter().all(|item| item.len() == real[0].len()), "of the same size");
}

#[test]
fn cover_goes_on_while_services_fail_and_its_rate_is_bounded() {
    let house = House::new();
    let mut world = World::at(at_s(T0)).with(FIRST, Manners::Down).with(SECOND, Manners::Down);
    let (_, report) = cover_moments(&house, &mut world, 600, 1);
    assert_eq!(report.stored_count, 0);
    assert!(report.failed_count > 400, "{report:?}");
    let block = || vec![format!("{CALLED}-1").parse_block()];
    assert!(CoverPlan::new(block(), COVER_PER_HOUR_MAX).is_some());
    for (numbers, per_hour) in [(block(), COVER_PER_HOUR_MAX + 1), (block(), 0), (Vec::new(), 1)] {
        assert_eq!(CoverPlan::new(numbers, per_hour), None);
    }
}
