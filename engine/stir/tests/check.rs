//! Checking a call (RFC 8816 §8.2): what is retrieved, how the set is narrowed, and what is asked of others for it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/world.rs"]
mod world;

use std::sync::{Arc, Mutex};

use common::{at_s, identity, number};
use herald_core::Timestamp;
use herald_stir::issue::{DevelopmentAuthority, Issued, Validity};
use herald_stir::services::{
    Answer, Asked, CheckRequest, Checked, CollectionFault, CpsSources, Destination, Directory, Fetched,
    IoFault, LookupFault, Machine, Moment, Renewal, StepName, VerificationService, new_origid,
};
use herald_stir::{
    Attestation, CallFacts, CallToken, CertificateChain, CertificateReference, CertificateSource, ChainCache,
    Claims, Fault, Json, PassportType, ReplayMemory, SealingKey, Suite, SystemRandom, TnAuthList, TnEntry,
    TrustStore, VerificationPolicy, seal,
};
use world::{Manners, World};

const T0: u64 = 1_795_300_000;
const CALLER: &str = "12155551212";
const OTHER: &str = "12155559999";
const CALLED: &str = "12355551212";
const FIRST: &str = "https://one.example.net";
const SECOND: &str = "https://two.example.net";
const X5U: &str = "https://certs.example.net/signer.pem";
const FORGED_X5U: &str = "https://certs.example.net/forger.pem";
const CERTIFICATES: &str = "https://certs.example.net";
const VALIDITY: Validity = Validity { from_s: T0 - 86_400, to_s: T0 + 86_400 };

struct House {
    authority: DevelopmentAuthority,
    signer: Issued,
    forger: Issued,
    keys: Vec<SealingKey>,
}

impl House {
    fn new() -> Self {
        let authority = DevelopmentAuthority::new("Test issuing authority", VALIDITY, &SystemRandom).unwrap();
        let stranger = DevelopmentAuthority::new("Somebody else", VALIDITY, &SystemRandom).unwrap();
        let list = [CALLER, OTHER].map(|text| TnEntry::One(number(text)));
        let numbers = TnAuthList::new(list.into()).unwrap();
        let signer = authority.issue("Test signer", &numbers, VALIDITY, &SystemRandom).unwrap();
        let forger = stranger.issue("Test signer", &numbers, VALIDITY, &SystemRandom).unwrap();
        let keys = vec![SealingKey::generate(Suite::X25519, &SystemRandom)];
        Self { authority, signer, forger, keys }
    }

    fn service(&self) -> Arc<VerificationService> {
        let mut directory = Directory::new();
        let cps = [FIRST, SECOND].map(|url| url.parse().unwrap()).into();
        directory.add(&[CALLED.parse().unwrap()], Destination { cps, keys: Vec::new() }).unwrap();
        let trust = TrustStore::from_pem(self.authority.root_pem().as_bytes()).unwrap();
        Arc::new(VerificationService {
            policy: VerificationPolicy::new(trust),
            sealing_keys: self.keys.clone(),
            cps: Arc::new(CpsSources::only(Arc::new(directory))),
            certificates: None,
            chains: Arc::new(ChainCache::default()),
            seen: ReplayMemory::default().into(),
            witness: None,
        })
    }

    fn world(&self) -> World {
        let mut world = World::at(at_s(T0));
        world.serve(X5U, self.signer.chain_pem.clone());
        world.serve(FORGED_X5U, self.forger.chain_pem.clone());
        world
    }

    fn token(&self, claims: &Claims) -> String {
        claims.sign(&CertificateReference::Url(X5U.into()), &self.signer.key).unwrap()
    }

    fn good(&self) -> String {
        self.token(&shaken(CALLER, T0))
    }

    fn forged(&self) -> String {
        shaken(CALLER, T0).sign(&CertificateReference::Url(FORGED_X5U.into()), &self.forger.key).unwrap()
    }

    fn sealed(&self, token: &str) -> Vec<u8> {
        seal(token, number(CALLED), &self.keys[0].public_key(), &SystemRandom).unwrap()
    }
}

fn shaken(orig: &str, iat_s: u64) -> Claims {
    let origid = new_origid(&SystemRandom);
    Claims::shaken(identity(orig), identity(CALLED), iat_s as i64, Attestation::Full, origid)
}

fn request() -> CheckRequest {
    CheckRequest::new(CallFacts::new(identity(CALLER), identity(CALLED)))
}

fn kept(checked: &Checked) -> Vec<usize> {
    checked.trace.iter().map(|step| step.kept_count).collect()
}

fn fetched(world: &World) -> usize {
    world.asked.iter().filter(|asked| matches!(asked, Asked::Get { .. })).count()
}

// rfc8816:8.2-1.
#[test]
fn a_call_whose_passport_waits_is_accepted_and_its_certificate_is_fetched_once_for_many_calls() {
    let (house, mut world) = (House::new(), House::new().world());
    let service = house.service();
    world.serve(X5U, house.signer.chain_pem.clone());
    for fetches in [1, 1] {
        world.keep(FIRST, number(CALLED), house.sealed(&house.good()));
        world.keep(FIRST, number(CALLED), vec![7; 640]);
        let checked = world.run(&mut service.clone().check(request()));
        checked.verdict.outcome().unwrap();
        assert_eq!(checked.verdict.attestation(), Some(Attestation::Full));
        assert_eq!(fetched(&world), fetches);
    }
}

// rfc8816:8.2-1, rfc8816:8.2-2, rfc8816:8.2-3, rfc8816:8.2-4, rfc8816:8.2-5, rfc8816:8.2-6.
#[test]
fn each_step_takes_out_what_it_is_for_and_says_why() {
    let house = House::new();
    let tampered = {
        let token = house.good();
        let (signed, _) = token.rsplit_once('.').unwrap();
        let (_, signature) =
            house.token(&shaken(CALLER, T0)).rsplit_once('.').map(|(_, s)| ((), s.to_owned())).unwrap();
        format!("{signed}.{signature}")
    };
    let unknown = PassportType::Unknown("nobody-knows".into());
    let unknown = house.token(&Claims { kind: unknown, ..shaken(CALLER, T0) });
    let cases: [(StepName, String, u16, usize); 5] = [
        (StepName::Type, unknown, 438, 0),
        (StepName::Call, house.token(&shaken(OTHER, T0)), 403, 0),
        (StepName::Credentials, house.forged(), 437, 1),
        (StepName::Freshness, house.token(&shaken(CALLER, T0 - 120)), 403, 0),
        (StepName::Signature, tampered, 438, 1),
    ];
    for (step, token, sip_code, fetches) in cases {
        let mut world = house.world();
        world.keep(FIRST, number(CALLED), house.sealed(&token));
        world.keep(FIRST, number(CALLED), vec![7; 640]);
        let checked = world.run(&mut house.service().check(request()));
        let fault = checked.verdict.outcome().unwrap_err();
        assert_eq!(fault.sip_code(), sip_code, "{step:?}: {fault}");
        for one in &checked.trace {
            let gone = usize::from(one.name >= step);
            assert_eq!(one.kept_count, 1 - gone, "{step:?} {:?}", checked.trace);
            assert_eq!(one.dropped.is_empty(), one.name != step && one.name != StepName::Open);
        }
        assert_eq!(checked.trace[0].dropped, [("cover, or sealed for others".to_owned(), 1)]);
        assert_eq!(fetched(&world), fetches, "{step:?}: nothing is fetched that cannot help");
        let told = format!("{:?}", checked.trace);
        assert!(![CALLER, OTHER, CALLED].iter().any(|number| told.contains(number)), "{told}");
    }
}

#[test]
fn all_services_of_a_number_are_asked_and_none_is_waited_for_once_the_call_is_accepted() {
    use Manners::{Down, Good, Slow};
    let nobody = || IoFault::Unreachable("nobody listens".into());
    let down = || Err(LookupFault::Missed(nobody()));
    let all_down = || Err(LookupFault::Nothing(CollectionFault::Retrieve(nobody())));
    let silent = || Err(LookupFault::Missed(IoFault::TimedOut));
    // Where the PASSporT is, how the services behave, whether it is found, what is said, and how long it takes at most.
    let cases = [
        (Some(SECOND), Down, Good, true, down(), 50),
        (Some(SECOND), Slow(9_000), Good, true, Ok(()), 50),
        (Some(FIRST), Slow(900), Good, true, Ok(()), 950),
        (Some(FIRST), Slow(9_000), Good, false, silent(), 2_000),
        (None, Good, Good, false, Ok(()), 50),
        (None, Down, Down, false, all_down(), 50),
    ];
    let house = House::new();
    for (place, first, second, is_found, lookup, patience_ms) in cases {
        let mut world = house.world().with(FIRST, first).with(SECOND, second);
        place.into_iter().for_each(|cps| world.keep(cps, number(CALLED), house.sealed(&house.good())));
        let began = world.now.steady;
        let checked = world.run(&mut house.service().check(request()));
        let case = format!("{place:?} {first:?} {second:?}");
        assert_eq!(checked.verdict.outcome().is_ok(), is_found, "{case}");
        assert_eq!(checked.lookup, lookup, "{case}");
        assert!(world.now.steady.millis_since(began) <= patience_ms, "{case}");
    }
}

#[test]
fn what_came_in_band_is_judged_too_and_a_copy_for_another_call_is_a_replay() {
    let house = House::new();
    let (service, token) = (house.service(), house.good());
    let named = |name: &[u8], in_band: bool| CheckRequest {
        name: Some(CallToken::of(name)),
        in_band: in_band
            .then(|| format!("{token};info=<{X5U}>;alg=ES256;ppt=shaken").into_bytes())
            .into_iter()
            .collect(),
        ..request()
    };
    let mut world = house.world();
    // In band alone, then both ways at once, for one call.
    for _ in 0..2 {
        let checked = world.run(&mut service.clone().check(named(b"a call", true)));
        checked.verdict.outcome().unwrap();
        world.keep(FIRST, number(CALLED), house.sealed(&token));
    }
    let checked = world.run(&mut service.check(named(b"another call", false)));
    assert_eq!(checked.verdict.outcome().unwrap_err(), &Fault::Replayed);
    assert_eq!(kept(&checked), [1, 1, 1, 1, 1, 0]);
}

#[test]
fn a_flood_of_bad_passports_hides_no_good_one() {
    let house = House::new();
    let mut world = house.world();
    for _ in 0..100 {
        world.keep(FIRST, number(CALLED), house.sealed(&house.forged()));
    }
    world.keep(FIRST, number(CALLED), house.sealed(&house.good()));
    let checked = world.run(&mut house.service().check(request()));
    checked.verdict.outcome().unwrap();
    assert_eq!(kept(&checked), [101, 10, 10, 1, 1, 1]);
}

#[test]
fn a_check_ends_at_its_deadline_with_what_it_has_or_when_cancelled_with_nothing() {
    let house = House::new();
    let mut world = house.world().with(CERTIFICATES, Manners::Slow(60_000));
    world.keep(FIRST, number(CALLED), house.sealed(&house.good()));
    let began = world.now.steady;
    let mut machine = house.service().check(CheckRequest { deadline_ms: 600, ..request() });
    let checked = world.run(&mut machine);
    assert_eq!(world.now.steady.millis_since(began), 600);
    assert_eq!(checked.lookup, Err(LookupFault::Deadline));
    assert_eq!(checked.verdict.outcome().unwrap_err().sip_code(), 436);

    // What came in band is not denied.
    let in_band = vec![format!("{};info=<{X5U}>;alg=ES256;ppt=shaken", house.good()).into_bytes()];
    let (mut machine, mut asks) = (house.service().check(CheckRequest { in_band, ..request() }), Vec::new());
    machine.begin(world.now, &mut asks);
    machine.cancel();
    let checked = machine.outcome().unwrap();
    assert_eq!(checked.lookup, Err(LookupFault::Cancelled));
    assert_eq!(checked.verdict.outcome().unwrap_err(), &Fault::NotJudged);
    assert!(machine.outcome().is_none());
}

#[test]
fn a_chain_that_has_run_out_is_fetched_anew_and_the_call_waits_for_it() {
    let house = House::new();
    let short = Validity { to_s: T0 + 100, ..VALIDITY };
    let numbers = TnAuthList::new(vec![TnEntry::One(number(CALLER))]).unwrap();
    let old = house.authority.issue("Old", &numbers, short, &SystemRandom).unwrap();
    let signed = |by: &Issued, iat_s| {
        let token = shaken(CALLER, iat_s).sign(&CertificateReference::Url(X5U.into()), &by.key).unwrap();
        house.sealed(&token)
    };
    let service = house.service();
    let run = |at: u64, served: &Issued, token: Vec<u8>| {
        let mut world = World::at(at_s(at));
        world.serve(X5U, served.chain_pem.clone());
        world.keep(FIRST, number(CALLED), token);
        let checked = world.run(&mut service.clone().check(request()));
        let anew = world.asked.iter().filter(|asked| matches!(asked, Asked::GetAnew { .. })).count();
        (checked.verdict.outcome().err().cloned(), fetched(&world), anew)
    };
    assert_eq!(run(T0, &old, signed(&old, T0)), (None, 1, 0));
    assert_eq!(run(T0 + 50, &house.signer, signed(&old, T0 + 50)), (None, 0, 0), "it is in the cache");
    assert_eq!(run(T0 + 200, &old, signed(&old, T0 + 200)), (Some(Fault::Expired), 0, 1));
    assert_eq!(run(T0 + 200, &house.signer, signed(&house.signer, T0 + 200)), (None, 0, 1));
    assert_eq!(run(T0 + 200, &old, signed(&house.signer, T0 + 200)), (None, 0, 0));
}

#[test]
fn what_calls_use_is_fetched_again_before_its_time_is_over_and_what_they_do_not_use_is_not() {
    let house = House::new();
    let chains = Arc::new(ChainCache::default());
    let old = Arc::new(CertificateChain::from_pem(house.signer.chain_pem.as_bytes()).unwrap());
    let new = house.forger.chain_pem.clone().into_bytes();
    for url in [X5U, FORGED_X5U] {
        chains.put(url, old.clone(), 100_000, at_s(T0));
    }
    chains.chain(X5U, at_s(T0)).unwrap();
    let (mut machine, mut asks) = (Renewal::of(chains.clone()), Vec::new());
    let now =
        |after_ms| Moment { steady: at_s(7).plus_millis(after_ms), wall: at_s(T0).plus_millis(after_ms) };
    machine.begin(now(0), &mut asks);
    let mut asked_at = Vec::new();
    for after_ms in (0..=130_000).step_by(500) {
        if machine.wake_at().is_some_and(|at| at <= now(after_ms).steady) {
            machine.wake(now(after_ms), &mut asks);
        }
        for ask in asks.drain(..) {
            let what = Asked::GetAnew { url: X5U.into(), kind: Fetched::Certificate };
            assert_eq!(ask.what, what, "nobody uses the other");
            let failed = Answer::Failed(IoFault::TimedOut);
            let fetched = Answer::Fetched { body: new.as_slice().into(), fresh_s: 1000 };
            let answer = if asked_at.is_empty() { failed } else { fetched };
            machine.answer(ask.ticket, answer, now(after_ms), &mut Vec::new());
            asked_at.push(after_ms);
        }
    }
    assert_eq!(asked_at, [80_000, 110_000], "in the last fifth, and not at once again after a failure");
    assert!(!Arc::ptr_eq(&chains.chain(X5U, now(130_000).wall).unwrap(), &old));
    machine.cancel();
    assert_eq!((machine.outcome(), machine.wake_at()), (Some(()), None));
}

// rfc8226:10.1-1, rfc8226:11.2-1.
#[test]
fn a_list_of_numbers_that_a_certificate_names_is_fetched_once_for_many_calls() {
    use common::pki::{Made, elsewhere, issuer, list, one, signer};
    const LIST: &str = "https://lists.example.net/numbers";
    let made = Made::new(vec![issuer(vec![]), signer(vec![elsewhere(&[LIST])])]);
    let house = House::new();
    let token = shaken(CALLER, T0).sign(&CertificateReference::Url(X5U.into()), &made.key).unwrap();
    let service = || {
        let mut service = Arc::into_inner(house.service()).unwrap();
        service.policy.trust = made.trust();
        Arc::new(service)
    };
    let run = |service: &Arc<VerificationService>, served: Option<Vec<u8>>| {
        let mut world = World::at(at_s(T0));
        world.serve(X5U, made.chain_pem.clone());
        served.into_iter().for_each(|der| world.serve(LIST, der));
        world.keep(FIRST, number(CALLED), house.sealed(&token));
        let checked = world.run(&mut service.clone().check(request()));
        let kinds = world.asked.iter().filter_map(|asked| match asked {
            Asked::Get { kind, .. } => Some(*kind),
            _ => None,
        });
        (checked.verdict.outcome().err().cloned(), kinds.collect::<Vec<_>>())
    };
    let both = || vec![Fetched::Certificate, Fetched::NumberList];
    let good = list(vec![one(CALLER)]).to_der();
    let one_service = service();
    assert_eq!(run(&one_service, Some(good)), (None, both()));
    assert_eq!(run(&one_service, None), (None, vec![]), "it is in the cache");
    let missing = || Some(Fault::TnAuthListByReference);
    assert_eq!(run(&service(), None), (missing(), both()));
    assert_eq!(run(&service(), Some(vec![0x30, 0])), (missing(), both()), "it is no list");
    let others = list(vec![one("12155550000")]).to_der();
    assert_eq!(run(&service(), Some(others)), (Some(Fault::NotCovered), both()));
}

/// The certificates that were shown, DER.
type Shown = Arc<Mutex<Vec<Vec<u8>>>>;

/// A service that trusts the root of `made` and shows signers.
fn showing(house: &House, made: &common::pki::Made) -> (VerificationService, Shown) {
    let mut service = Arc::into_inner(house.service()).unwrap();
    let shown = Shown::default();
    let heard = shown.clone();
    service.policy.trust = made.trust();
    service.witness = Some(Arc::new(move |der: &[u8]| heard.lock().unwrap().push(der.to_vec())));
    (service, shown)
}

#[test]
fn a_signer_is_shown_only_if_its_issuers_lists_hold_all_of_its_own() {
    use common::pki::{Made, elsewhere, issuer, numbers, one, range, signer, spc};
    let anything = vec![];
    let block = vec![numbers(vec![range("12155550000", 10_000)])];
    let code = vec![numbers(vec![spc("1234")])];
    let code_and_one = vec![numbers(vec![spc("1234"), one(CALLER)])];
    let by_reference = vec![elsewhere(&["https://lists.example.net/numbers"])];
    let rph = || {
        let auth = Json::Array(vec![Json::Text("ets.0".into())]);
        let extra = [("rph".to_owned(), Json::Object([("auth".to_owned(), auth)].into()))].into();
        Claims { kind: PassportType::Rph, extra, ..shaken(CALLER, T0) }
    };
    let call = || shaken(CALLER, T0);
    let house = House::new();
    let cases = [
        ("the issuer may give any number", &anything, call(), true),
        ("they are the issuer's", &block, call(), true),
        ("the issuer has a code only", &code, call(), false),
        ("the issuer has one of them", &code_and_one, call(), false),
        ("a priority, and the numbers are the issuer's", &block, rph(), true),
        ("a priority, and nobody gave it the numbers", &code, rph(), false),
        ("a priority, and the issuer's numbers are elsewhere", &by_reference, rph(), false),
    ];
    for (name, above, claims, is_shown) in cases {
        let own = vec![numbers(vec![one(CALLER), one(OTHER)])];
        let made = Made::new(vec![issuer(vec![]), issuer(above.clone()), signer(own)]);
        let (service, shown) = showing(&house, &made);
        let mut world = World::at(at_s(T0));
        world.serve(X5U, made.chain_pem.clone());
        let token = claims.sign(&CertificateReference::Url(X5U.into()), &made.key).unwrap();
        world.keep(FIRST, number(CALLED), house.sealed(&token));
        let checked = world.run(&mut Arc::new(service).check(request()));
        assert_eq!(checked.verdict.outcome().err(), None, "{name}");
        let expected = if is_shown { vec![made.chain().signer_der().to_vec()] } else { vec![] };
        assert_eq!(*shown.lock().unwrap(), expected, "{name}");
    }
}

/// Serves each chain once, the last for ever.
struct InTurn(Mutex<Vec<Arc<CertificateChain>>>);

impl CertificateSource for InTurn {
    fn chain(&self, _: &str, _: Timestamp) -> Result<Arc<CertificateChain>, Fault> {
        let mut chains = self.0.lock().unwrap();
        Ok(if chains.len() > 1 { chains.remove(0) } else { chains[0].clone() })
    }
}

#[test]
fn the_certificate_that_is_shown_is_the_one_that_was_verified() {
    use common::pki::{Made, issuer, numbers, one, signer};
    let made = Made::new(vec![issuer(vec![]), signer(vec![numbers(vec![one(CALLER)])])]);
    let house = House::new();
    let (mut service, shown) = showing(&house, &made);
    let other = CertificateChain::from_pem(house.signer.chain_pem.as_bytes()).unwrap();
    service.certificates = Some(Arc::new(InTurn(Mutex::new(vec![Arc::new(made.chain()), Arc::new(other)]))));
    let mut world = World::at(at_s(T0));
    let token = shaken(CALLER, T0).sign(&CertificateReference::Url(X5U.into()), &made.key).unwrap();
    world.keep(FIRST, number(CALLED), house.sealed(&token));
    world.run(&mut Arc::new(service).check(request())).verdict.outcome().unwrap();
    assert_eq!(*shown.lock().unwrap(), [made.chain().signer_der().to_vec()]);
}
