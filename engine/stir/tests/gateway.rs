//! The gateway placement service (RFC 8816 §8.3): calls that leave SIP and come back, and what gateways must not be
//! used for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/world.rs"]
mod world;

use std::sync::Arc;

use common::{at_s, identity, number};
use herald_stir::issue::{DevelopmentAuthority, Issued, Validity};
use herald_stir::services::{
    Answer, Ask, Asked, AuthenticationService, CpsSources, Credential, Destination, Directory, Discoveries,
    FetchedValues, GatewayCall, GatewayFailure, GatewayFault, GatewayFetchRequest, GatewayPlaced,
    GatewayService, GatewayStoreRequest, Judging, Machine, Moment, VerificationService, new_origid,
};
use herald_stir::{
    Attestation, CallContext, CertificateReference, ChainCache, Claims, Fault, Identity, IdentityHeader,
    IdentityValue, Json, Leniency, Passport, PassportType, ReplayMemory, SealingKey, SipPolicy, SipRequest,
    Suite, SystemRandom, TnAuthList, TnEntry, TrustStore, VerificationPolicy, open, seal,
};
use world::{Manners, World};

const T0: u64 = 1_795_300_000;
const DATE: &str = "Sat, 21 Nov 2026 22:26:40 GMT";
const CALLER: &str = "12155551212";
const OTHER: &str = "12155559999";
const CALLED: &str = "12355551212";
const NEXT: &str = "12155551214";
const LAST: &str = "12155551216";
const FIRST: &str = "https://one.example.net";
const SECOND: &str = "https://two.example.net";
const VALIDITY: Validity = Validity { from_s: T0 - 86_400, to_s: T0 + 86_400 };

/// A signer with a certificate that is served at an address of its name.
struct Signer {
    x5u: CertificateReference,
    url: String,
    issued: Issued,
}

impl Signer {
    fn new(authority: &DevelopmentAuthority, name: &str, numbers: &[&str]) -> Self {
        let numbers = numbers.iter().map(|text| TnEntry::One(number(text))).collect();
        let numbers = TnAuthList::new(numbers).unwrap();
        let issued = authority.issue(name, &numbers, VALIDITY, &SystemRandom).unwrap();
        let url = format!("https://certs.example.net/{name}.pem");
        Self { x5u: CertificateReference::Url(url.clone()), url, issued }
    }

    fn sign(&self, claims: &Claims) -> String {
        claims.sign(&self.x5u, &self.issued.key).unwrap()
    }

    fn credential(&self) -> Credential {
        Credential::new(self.issued.key.clone(), self.x5u.clone(), self.issued.chain_pem.as_bytes()).unwrap()
    }
}

struct House {
    authority: DevelopmentAuthority,
    caller: Signer,
    forger: Signer,
    /// Stands for the numbers from which calls are diverted.
    gateway: Signer,
    keys: Vec<SealingKey>,
}

impl House {
    fn new() -> Self {
        let authority = DevelopmentAuthority::new("Test issuing authority", VALIDITY, &SystemRandom).unwrap();
        let stranger = DevelopmentAuthority::new("Somebody else", VALIDITY, &SystemRandom).unwrap();
        Self {
            caller: Signer::new(&authority, "caller", &[CALLER, OTHER]),
            forger: Signer::new(&stranger, "forger", &[CALLER, OTHER]),
            gateway: Signer::new(&authority, "gateway", &[CALLED, NEXT]),
            keys: [0, 1].map(|_| SealingKey::generate(Suite::X25519, &SystemRandom)).into(),
            authority,
        }
    }

    fn world(&self) -> World {
        let mut world = World::at(at_s(T0));
        for signer in [&self.caller, &self.forger, &self.gateway] {
            world.serve(&signer.url, signer.issued.chain_pem.clone());
        }
        world
    }

    fn directory(&self) -> Arc<Directory> {
        let mut directory = Directory::new();
        let cps = [FIRST, SECOND].map(|url| url.parse().unwrap()).into();
        let keys = self.keys.iter().map(SealingKey::public_key).collect();
        directory.add(&["*".parse().unwrap()], Destination { cps, keys }).unwrap();
        Arc::new(directory)
    }

    fn policy(&self) -> VerificationPolicy {
        VerificationPolicy::new(TrustStore::from_pem(self.authority.root_pem().as_bytes()).unwrap())
    }

    /// A gateway that has the called side's keys, or none.
    fn service(&self, is_called_side: bool, judging: Judging) -> Arc<GatewayService> {
        let own = self.directory();
        let verification = VerificationService {
            policy: self.policy(),
            sealing_keys: if is_called_side { self.keys.clone() } else { Vec::new() },
            cps: Arc::new(CpsSources::only(own.clone())),
            certificates: None,
            chains: Arc::new(ChainCache::default()),
            seen: ReplayMemory::default().into(),
            witness: None,
        };
        let authentication = AuthenticationService {
            credentials: vec![self.gateway.credential()],
            trust: None,
            discoveries: Discoveries::by(own),
            random: Arc::new(SystemRandom),
        };
        Arc::new(GatewayService {
            verification: Arc::new(verification),
            authentication: Arc::new(authentication),
            judging,
        })
    }

    /// Lets a gateway of the calling side place the PASSporTs of `sip`.
    fn place(
        &self,
        world: &mut World,
        sip: &str,
        divert_to: Option<&str>,
    ) -> Result<GatewayPlaced, GatewayFailure> {
        place_by(&self.service(false, Judging::Here), world, sip, divert_to)
    }

    /// Lets a gateway of the called side find the header field values for `sip`.
    fn fetch(&self, world: &mut World, sip: &str) -> FetchedValues {
        let request = GatewayFetchRequest::new(call(sip));
        world.run(&mut self.service(true, Judging::Here).fetch(request))
    }

    /// The tokens that wait under `text` at `cps`, each once, in no order.
    fn waiting(&self, world: &World, cps: &str, text: &str) -> Vec<String> {
        let opened = |item: &Vec<u8>| open(item, number(text), &self.keys).unwrap();
        let mut tokens: Vec<_> = world.items(cps, number(text)).iter().map(opened).collect();
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    }

    /// Whether a verification service behind SIP accepts `sip`, and the diversions it sees.
    fn accepts(&self, sip: &str) -> Result<Vec<Identity>, Fault> {
        let request = SipRequest::parse(sip.as_bytes(), &SipPolicy::STRICT)?;
        let call = request.call_facts()?;
        let values: Vec<_> =
            request.identity_values().iter().map(|value| IdentityValue::Header(value)).collect();
        let serve = |url: &str| {
            let signer = [&self.caller, &self.gateway].into_iter().find(|signer| signer.url == url)?;
            Some(signer.issued.chain_pem.clone().into_bytes())
        };
        let context = CallContext { date_s: request.date_s(), ..CallContext::of(&call) };
        let verdict = self.policy().verify_call(&values, &context, &serve, at_s(T0));
        verdict.outcome().map_err(Clone::clone)?;
        Ok(verdict.diversions().into_iter().cloned().collect())
    }
}

fn place_by(
    service: &Arc<GatewayService>,
    world: &mut World,
    sip: &str,
    divert_to: Option<&str>,
) -> Result<GatewayPlaced, GatewayFailure> {
    let divert_to = divert_to.map(number);
    world.run(
        &mut service.clone().store(GatewayStoreRequest { divert_to, ..GatewayStoreRequest::new(call(sip)) }),
    )
}

fn call(sip: &str) -> GatewayCall {
    GatewayCall::from_sip(sip.as_bytes(), &SipPolicy::STRICT).unwrap()
}

/// A request of CALLER to the party of `to`, going to `target`, with these Identity values.
fn invite(target: &str, to: &str, identities: &[String]) -> String {
    let identities: String = identities.iter().map(|value| format!("Identity: {value}\r\n")).collect();
    format!(
        "INVITE sip:+{target}@gw.example.net;user=phone SIP/2.0\r\nFrom: <sip:{CALLER}@example.net>;tag=1\r\n\
         To: \"B, (ob)\" <tel:+{to}>\r\nDate: {DATE}\r\nCall-ID: a@example.net\r\n{identities}\r\n"
    )
}

fn shaken(orig: &str, dest: &str) -> Claims {
    let origid = new_origid(&SystemRandom);
    Claims::shaken(identity(orig), identity(dest), T0 as i64, Attestation::Full, origid)
}

fn div(from: &str, to: &str) -> Claims {
    let kind = PassportType::Div { from: identity(from) };
    Claims { kind, ..Claims::base(identity(CALLER), identity(to), T0 as i64) }
}

fn rcd() -> Claims {
    let name = Json::Object([("nam".to_owned(), Json::Text("Alice".into()))].into());
    let extra = [("rcd".to_owned(), name)].into();
    Claims { kind: PassportType::Rcd, extra, ..Claims::base(identity(CALLER), identity(CALLED), T0 as i64) }
}

/// Nobody's number: a priority.
fn rph() -> Claims {
    let auth = Json::Array(vec![Json::Text("ets.0".into())]);
    let extra = [("rph".to_owned(), Json::Object([("auth".to_owned(), auth)].into()))].into();
    Claims { kind: PassportType::Rph, extra, ..Claims::base(identity(CALLER), identity(CALLED), T0 as i64) }
}

fn passport(token: &str) -> Passport {
    Passport::parse(token.as_bytes(), &Leniency::STRICT).unwrap()
}

fn value(token: &str) -> String {
    IdentityHeader::write(&passport(token)).unwrap()
}

fn stores(world: &World) -> usize {
    world.asked.iter().filter(|asked| matches!(asked, Asked::Store { .. })).count()
}

fn sorted(mut tokens: Vec<String>) -> Vec<String> {
    tokens.sort_unstable();
    tokens
}

// rfc8816:8.3-1.
#[test]
fn a_call_that_leaves_sip_and_comes_back_is_verified_as_if_it_had_stayed() {
    let house = House::new();
    let mut world = house.world();
    let tokens = [house.caller.sign(&shaken(CALLER, CALLED)), house.caller.sign(&rcd())];
    let sip = invite(CALLED, CALLED, &tokens.clone().map(|token| value(&token)));
    assert_eq!(house.accepts(&sip), Ok(Vec::new()));

    let placed = house.place(&mut world, &sip, None).unwrap();
    assert_eq!((placed.placed_count, placed.present_count, placed.left_out_count), (2, 0, 0));
    assert_eq!(placed.copies.len(), 4, "a copy of each PASSporT for each key");
    assert_eq!(house.waiting(&world, FIRST, CALLED), sorted(tokens.to_vec()));

    world.keep(FIRST, number(CALLED), vec![7; 640]);
    let bare = invite(CALLED, CALLED, &[]);
    assert_eq!(house.accepts(&bare), Err(Fault::NoPassport));
    let fetched = house.fetch(&mut world, &bare);
    assert_eq!(sorted(fetched.identity_values.clone()), sorted(tokens.map(|token| value(&token)).to_vec()));
    assert_eq!(house.accepts(&invite(CALLED, CALLED, &fetched.identity_values)), Ok(Vec::new()));

    let other = invite(CALLED, CALLED, &[]).replace(CALLER, OTHER);
    assert_eq!(house.fetch(&mut world, &other).identity_values, [""; 0], "those are of another call");
}

#[test]
fn what_the_request_carries_already_is_not_inserted_again() {
    let house = House::new();
    let mut world = house.world();
    let (first, second) = (house.caller.sign(&shaken(CALLER, CALLED)), house.caller.sign(&rcd()));
    for token in [&first, &second] {
        let sealed = seal(token, number(CALLED), &house.keys[1].public_key(), &SystemRandom).unwrap();
        world.keep(SECOND, number(CALLED), sealed);
    }
    let sip = invite(CALLED, CALLED, &[value(&first)]);
    assert_eq!(house.fetch(&mut world, &sip).identity_values, [value(&second)]);
}

// rfc8816:8.1-9.
#[test]
fn a_compact_passport_is_stored_in_full_form() {
    let house = House::new();
    let mut world = house.world();
    let token = house.caller.sign(&Claims::base(identity(CALLER), identity(CALLED), T0 as i64));
    let signature = token.rsplit('.').next().unwrap();
    let compact = format!("..{signature};info=<{}>;alg=ES256", house.caller.url);
    house.place(&mut world, &invite(CALLED, CALLED, &[compact]), None).unwrap();
    assert_eq!(house.waiting(&world, FIRST, CALLED), [token]);
}

#[test]
fn what_is_there_already_is_not_placed_again_if_the_gateway_can_tell() {
    let house = House::new();
    let token = house.caller.sign(&shaken(CALLER, CALLED));
    let sip = invite(CALLED, CALLED, &[value(&token)]);
    for (is_called_side, placed_count) in [(true, 0), (false, 1)] {
        let mut world = house.world();
        house.place(&mut world, &sip, None).unwrap();
        let service = house.service(is_called_side, Judging::Here);
        let again = place_by(&service, &mut world, &sip, None).unwrap();
        assert_eq!((again.placed_count, again.present_count), (placed_count, 1 - placed_count));
        assert_eq!(stores(&world), 2 + 2 * placed_count);
        let is_asked = world.asked.iter().any(|asked| matches!(asked, Asked::Retrieve { .. }));
        assert_eq!(is_asked, is_called_side, "without a key nothing can be told from cover");
    }
}

#[test]
fn nobody_keeps_a_passport_away_by_storing_another_one() {
    let house = House::new();
    let mut world = house.world();
    let token = house.caller.sign(&shaken(CALLER, CALLED));
    for bait in [house.forger.sign(&shaken(CALLER, CALLED)), house.caller.sign(&shaken(CALLER, CALLED))] {
        let sealed = seal(&bait, number(CALLED), &house.keys[0].public_key(), &SystemRandom).unwrap();
        world.keep(FIRST, number(CALLED), sealed);
    }
    let service = house.service(true, Judging::Here);
    let placed = place_by(&service, &mut world, &invite(CALLED, CALLED, &[value(&token)]), None).unwrap();
    assert_eq!((placed.placed_count, placed.present_count), (1, 0));
    assert!(house.waiting(&world, FIRST, CALLED).contains(&token));
}

// rfc8946:4.1-1.
#[test]
fn what_does_not_hold_is_not_placed() {
    let house = House::new();
    let good = || house.caller.sign(&shaken(CALLER, CALLED));
    let stale = Claims { iat_s: T0 as i64 - 100, ..shaken(CALLER, CALLED) };
    let cases = [
        (vec![], Err(428)),
        (vec![house.forger.sign(&shaken(CALLER, CALLED))], Err(437)),
        (vec![house.caller.sign(&stale)], Err(403)),
        (vec![house.caller.sign(&shaken(OTHER, CALLED))], Err(403)),
        (vec![house.caller.sign(&shaken(CALLER, NEXT))], Err(403)),
        (vec![house.caller.sign(&rph()), house.forger.sign(&shaken(CALLER, CALLED))], Err(437)),
        (vec![good(), house.forger.sign(&shaken(CALLER, CALLED))], Ok((1, 1))),
        (vec![good(), house.caller.sign(&shaken(OTHER, CALLED))], Ok((1, 1))),
    ];
    for (tokens, expected) in cases {
        let mut world = house.world();
        let values: Vec<String> = tokens.iter().map(|token| value(token)).collect();
        let placed = house.place(&mut world, &invite(CALLED, CALLED, &values), None);
        let told = placed.map(|placed| (placed.placed_count, placed.left_out_count)).map_err(|failure| {
            assert!(failure.to_string().starts_with("the PASSporTs of the request do not hold: "));
            let GatewayFault::Refused(fault) = failure.cause else { panic!("{failure}") };
            fault.sip_code()
        });
        assert_eq!(told, expected, "{} PASSporTs", tokens.len());
        assert_eq!(stores(&world), if expected.is_ok() { 2 } else { 0 });
    }
}

#[test]
fn a_gateway_that_leaves_judging_to_the_called_side_fetches_nothing() {
    let house = House::new();
    let mut world = house.world();
    let forged = house.forger.sign(&shaken(CALLER, CALLED));
    let sip = invite(CALLED, CALLED, &[value(&forged), "nonsense".into()]);
    let placed = place_by(&house.service(true, Judging::CalledSide), &mut world, &sip, None).unwrap();
    assert_eq!((placed.placed_count, placed.left_out_count), (1, 1));
    assert!(world.asked.iter().all(|asked| matches!(asked, Asked::Store { .. })));
    assert_eq!(house.fetch(&mut world, &invite(CALLED, CALLED, &[])).identity_values, [""; 0]);
}

// rfc8816:6.2-3, rfc8946:3-3, rfc8946:3-5, rfc8946:3-7, rfc8946:3-8, rfc8946:5-1, rfc8946:5.1-1,
// rfc8946:5.1-2, rfc8946:6-1.
#[test]
fn a_diverted_call_has_its_passport_within_one_for_the_new_number() {
    let house = House::new();
    let iat_s = T0 as i64 - 20;
    let token = house.caller.sign(&Claims { iat_s, ..shaken(CALLER, CALLED) });
    // The Request-URI as it came, and as the gateway has rewritten it.
    for target in [CALLED, NEXT] {
        let mut world = house.world();
        let placed = house.place(&mut world, &invite(target, CALLED, &[value(&token)]), Some(NEXT)).unwrap();
        assert_eq!((placed.placed_count, placed.copies.len()), (1, 2), "{target}");
        assert_eq!(house.waiting(&world, FIRST, CALLED), [""; 0]);
        let waiting = house.waiting(&world, FIRST, NEXT);
        let [diverted] = waiting.as_slice() else { panic!("{waiting:?}") };
        let claims = passport(diverted).claims().clone();
        let kind = PassportType::DivO { from: identity(CALLED), opt: token.clone() };
        let expected = Claims { kind, ..Claims::base(identity(CALLER), identity(NEXT), iat_s) };
        assert_eq!(claims, expected, "{target}");

        let fetched = house.fetch(&mut world, &invite(NEXT, NEXT, &[]));
        assert_eq!(fetched.identity_values, [value(diverted)]);
        let back = invite(NEXT, NEXT, &fetched.identity_values);
        assert_eq!(house.accepts(&back), Ok(vec![identity(CALLED)]));
    }
}

// rfc8946:3-2, rfc8946:3-3, rfc8946:4.1-3, rfc8946:4.1-5, rfc8946:4.1-6, rfc8946:4.1-8.
#[test]
fn a_call_that_was_diverted_in_band_gets_one_more_link() {
    let house = House::new();
    let original = house.caller.sign(&shaken(CALLER, CALLED));
    let link = house.gateway.sign(&div(CALLED, NEXT));
    let sip = |target| invite(target, CALLED, &[value(&link), value(&original)]);
    assert_eq!(house.accepts(&sip(NEXT)), Ok(vec![identity(CALLED)]));
    for divert_to in [None, Some(NEXT)] {
        let mut world = house.world();
        assert_eq!(house.place(&mut world, &sip(NEXT), divert_to).unwrap().placed_count, 2);
        assert_eq!(house.waiting(&world, FIRST, NEXT), sorted(vec![original.clone(), link.clone()]));
    }
    // The order in which items come is chance, so some rounds.
    for target in [NEXT, LAST, NEXT, LAST, NEXT, LAST] {
        let mut world = house.world();
        assert_eq!(house.place(&mut world, &sip(target), Some(LAST)).unwrap().placed_count, 3);
        let fetched = house.fetch(&mut world, &invite(LAST, CALLED, &[]));
        assert_eq!(
            fetched.identity_values[..2],
            [value(&original), value(&link)],
            "in the order of the call"
        );
        assert_eq!(fetched.identity_values.len(), 3);
        let back = invite(LAST, CALLED, &fetched.identity_values);
        assert_eq!(house.accepts(&back), Ok(vec![identity(NEXT), identity(CALLED)]));
    }
}

#[test]
fn only_what_holds_for_an_accepted_call_is_inserted() {
    let house = House::new();
    let good = || house.caller.sign(&shaken(CALLER, CALLED));
    let forged = || house.forger.sign(&shaken(CALLER, CALLED));
    for (tokens, inserted_count) in
        [(vec![forged(), good(), forged()], 1), (vec![house.caller.sign(&rph()), forged()], 0)]
    {
        let mut world = house.world();
        for token in &tokens {
            let sealed = seal(token, number(CALLED), &house.keys[0].public_key(), &SystemRandom).unwrap();
            world.keep(FIRST, number(CALLED), sealed);
        }
        let fetched = house.fetch(&mut world, &invite(CALLED, CALLED, &[]));
        assert_eq!(fetched.identity_values.len(), inserted_count);
        assert!(fetched.identity_values.iter().all(|inserted| *inserted == value(&tokens[1])));
    }
}

// rfc8946:3-6, rfc8946:4.1-2, rfc8946:4.1-4.
#[test]
fn no_diversion_is_signed_unless_the_host_says_so_and_the_gateway_may() {
    let house = House::new();
    let token = house.caller.sign(&shaken(CALLER, CALLED));
    let captured = invite(NEXT, CALLED, &[value(&token)]);
    let mut world = house.world();
    let failure = house.place(&mut world, &captured, None).unwrap_err();
    assert_eq!(failure.cause, GatewayFault::Elsewhere);

    let stranger = Signer::new(&house.authority, "caller", &[NEXT]);
    let ours = house.service(false, Judging::Here);
    let authentication = AuthenticationService {
        credentials: vec![stranger.credential()],
        trust: None,
        discoveries: ours.authentication.discoveries.clone(),
        random: Arc::new(SystemRandom),
    };
    let service = Arc::new(GatewayService {
        verification: ours.verification.clone(),
        authentication: Arc::new(authentication),
        judging: Judging::Here,
    });
    let failure = place_by(&service, &mut world, &captured, Some(NEXT)).unwrap_err();
    assert_eq!(failure.cause, GatewayFault::NotAuthoritative(Fault::NotCovered));

    let forged = invite(CALLED, CALLED, &[value(&house.forger.sign(&shaken(CALLER, CALLED)))]);
    let failure = house.place(&mut world, &forged, Some(NEXT)).unwrap_err();
    assert!(matches!(failure.cause, GatewayFault::Refused(_)), "{failure}");
    assert_eq!(stores(&world), 0);
}

#[test]
fn a_passport_that_brings_its_certificate_fits_no_header_field() {
    let house = House::new();
    let mut world = house.world();
    let inline = CertificateReference::inline_from_pem(house.caller.issued.chain_pem.as_bytes()).unwrap();
    let token = shaken(CALLER, CALLED).sign(&inline, &house.caller.issued.key).unwrap();
    let sealed = seal(&token, number(CALLED), &house.keys[0].public_key(), &SystemRandom).unwrap();
    world.keep(FIRST, number(CALLED), sealed);
    let fetched = house.fetch(&mut world, &invite(CALLED, CALLED, &[]));
    assert_eq!((fetched.identity_values.len(), fetched.left_out_count), (0, 1));
    fetched.checked.verdict.outcome().unwrap();
}

#[test]
fn a_gateway_goes_on_to_the_next_service_and_ends_in_time() {
    let house = House::new();
    let sip = invite(CALLED, CALLED, &[value(&house.caller.sign(&shaken(CALLER, CALLED)))]);
    let mut world = house.world().with(FIRST, Manners::Down);
    house.place(&mut world, &sip, None).unwrap();
    assert_eq!(house.waiting(&world, SECOND, CALLED).len(), 1);

    let mut world = house.world().with(FIRST, Manners::TakesOnly(1)).with(SECOND, Manners::TakesOnly(0));
    let failure = house.place(&mut world, &sip, None).unwrap_err();
    assert!(matches!(failure.cause, GatewayFault::Delivery(_)), "{failure}");
    assert_eq!((failure.stored.len(), failure.copies_count), (1, 2));
    assert!(failure.to_string().ends_with("; 1 of 2 copies were stored"), "{failure}");

    let (slow, began) = (Manners::Slow(60_000), house.world().now.steady);
    let mut world = house.world().with(FIRST, slow).with(SECOND, slow);
    let failure = house.place(&mut world, &sip, None).unwrap_err();
    assert!(world.now.steady.millis_since(began) <= 4_000, "{failure}");

    let (mut asks, begun) = (Vec::new(), |asks: &mut Vec<Ask>| {
        let mut machine = house.service(false, Judging::Here).store(GatewayStoreRequest::new(call(&sip)));
        machine.begin(world.now, asks);
        machine
    });
    let mut machine = begun(&mut asks);
    machine.cancel();
    assert_eq!(machine.outcome().unwrap().unwrap_err().cause, GatewayFault::Cancelled);
    machine.cancel();
    assert!(machine.outcome().is_none() && machine.wake_at().is_none());
    let mut machine = begun(&mut asks);
    let steady = machine.wake_at().unwrap();
    machine.wake(Moment { steady, ..world.now }, &mut asks);
    assert_eq!(machine.outcome().unwrap().unwrap_err().cause, GatewayFault::Deadline);
}

#[test]
fn a_late_answer_to_the_check_counts_for_no_store() {
    let house = House::new();
    let world = house.world();
    let (placed, waiting) = (house.caller.sign(&shaken(CALLER, CALLED)), house.caller.sign(&rcd()));
    let waiting = seal(&waiting, number(CALLED), &house.keys[0].public_key(), &SystemRandom).unwrap();
    let sip = invite(CALLED, CALLED, &[value(&placed)]);
    let mut machine = house.service(true, Judging::Here).store(GatewayStoreRequest::new(call(&sip)));
    let (mut asks, mut late) = (Vec::new(), Vec::new());
    machine.begin(world.now, &mut asks);
    while !asks.iter().any(|ask| matches!(ask.what, Asked::Store { .. })) {
        let mut more = Vec::new();
        for ask in asks.drain(..) {
            let answer = match &ask.what {
                Asked::Retrieve { cps, .. } if cps.to_string() == FIRST => {
                    Answer::Items(vec![waiting.clone()])
                }
                Asked::Get { url, .. } => {
                    Answer::Fetched { body: world.documents[url].as_slice().into(), fresh_s: 60 }
                }
                _ => {
                    late.push(ask.ticket);
                    continue;
                }
            };
            machine.answer(ask.ticket, answer, world.now, &mut more);
        }
        assert!(!more.is_empty(), "nothing goes on");
        asks = more;
    }
    let stores: Vec<_> = asks.drain(..).map(|ask| ask.ticket).collect();
    assert_eq!((late.len(), stores.len()), (1, 2));
    for ticket in late {
        machine.answer(ticket, Answer::Items(Vec::new()), world.now, &mut asks);
    }
    assert_eq!(asks, []);
    for ticket in stores {
        machine.answer(ticket, Answer::Stored { location: "/".into() }, world.now, &mut asks);
    }
    assert_eq!(machine.outcome().unwrap().unwrap().copies.len(), 2);
}
