//! Tokens and Identity header values changed by chance and by intent: none is believed for what it does not say, and
//! none costs much.
//!
//! An accepted one is right if it says what one of the genuine ones says: the same claims, the same certificate, all the
//! way in. Its bytes may differ where nothing is said: the twin that each ECDSA signature has, padding and white space
//! where a setting forgives it, parameters that nobody knows. 2000 in the usual run; the campaign is in
//! docs/SECURITY.md.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and tells what it ran"
)]

mod common;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{Seeded, VERDICT_CPU_MAX, at_s, call, cpu_time, identity, mutation_count, twin};
use herald_stir::issue::{DevelopmentAuthority, Issued, Validity};
use herald_stir::{
    Attestation, CallContext, CertificateReference, Claims, IdentityHeader, IdentityValue, Leniency,
    Passport, PassportType, SigningKey, TnAuthList, TrustStore, VerificationPolicy,
};

const T0: u64 = 1_795_300_000;
const VALIDITY: Validity = Validity { from_s: T0 - 1000, to_s: T0 + 1000 };
const CALLER: &str = "12155551212";
const CALLED: &str = "12355551212";
const ELSEWHERE: &str = "12355551219";
/// A number that no certificate stands for.
const STRANGER: &str = "12155551213";

/// Genuine tokens, and some with a good signature by somebody who may not.
struct World {
    genuine: Vec<String>,
    all: Vec<String>,
    /// Strict and lenient.
    policies: [VerificationPolicy; 2],
    signers: Vec<(&'static str, Issued)>,
}

fn issued(authority: &DevelopmentAuthority, entries: &[&str], seed: u64) -> Issued {
    let list = TnAuthList::new(entries.iter().map(|entry| entry.parse().unwrap()).collect()).unwrap();
    authority.issue("signer", &list, VALIDITY, &Seeded::new(seed)).unwrap()
}

fn sign(claims: &Claims, name: &str, key: &SigningKey) -> String {
    let url = format!("https://certs.example.net/{name}.pem");
    claims.sign(&CertificateReference::Url(url), key).unwrap()
}

fn base(orig: &str, dest: &str) -> Claims {
    Claims::base(identity(orig), identity(dest), T0 as i64)
}

impl World {
    fn new() -> Self {
        let authority = DevelopmentAuthority::new("trusted", VALIDITY, &Seeded::new(1)).unwrap();
        let other = DevelopmentAuthority::new("not trusted", VALIDITY, &Seeded::new(2)).unwrap();
        let caller = issued(&authority, &["2-12155551212"], 3);
        let called = issued(&authority, &["2-12355551212"], 4);
        let liar = issued(&other, &["2-12155551212", "2-12155551213"], 5);
        let kind = PassportType::Shaken {
            attest: Attestation::Gateway,
            origid: "123e4567-e89b-12d3-a456-426655440000".into(),
        };
        let shaken = sign(&Claims { kind, ..base(CALLER, CALLED) }, "a", &caller.key);
        let inline = CertificateReference::inline_from_pem(caller.chain_pem.as_bytes()).unwrap();
        let kind = PassportType::DivO { from: identity(CALLED), opt: shaken.clone() };
        let diverted = Claims { kind, ..base(CALLER, ELSEWHERE) };
        let genuine = vec![
            sign(&base(CALLER, CALLED), "a", &caller.key),
            base(CALLER, CALLED).sign(&inline, &caller.key).unwrap(),
            sign(&diverted, "b", &called.key),
            shaken,
        ];
        let baits = [
            sign(&base(STRANGER, CALLED), "a", &caller.key),
            sign(&base(CALLER, CALLED), "b", &called.key),
            sign(&base(CALLER, CALLED), "c", &liar.key),
        ];
        let strict = VerificationPolicy::new(TrustStore::from_pem(authority.root_pem().as_bytes()).unwrap());
        let lenient = VerificationPolicy { leniency: Leniency::LENIENT, ..strict.clone() };
        Self {
            all: [&genuine[..], &baits].concat(),
            genuine,
            policies: [strict, lenient],
            signers: vec![("a", caller), ("b", called), ("c", liar)],
        }
    }

    /// The PASSporTs that are accepted for a call, outermost first.
    fn judge(
        &self,
        policy: &VerificationPolicy,
        value: IdentityValue<'_>,
        orig: &str,
    ) -> Option<Vec<Passport>> {
        let serve = |url: &str| {
            let name = url.strip_prefix("https://certs.example.net/")?.strip_suffix(".pem")?;
            let (_, signer) = self.signers.iter().find(|(known, _)| *known == name)?;
            Some(signer.chain_pem.clone().into_bytes())
        };
        [CALLED, ELSEWHERE].into_iter().find_map(|dest| {
            let facts = call(orig, dest);
            let verdict = policy.verify_call(&[value], &CallContext::of(&facts), &serve, at_s(T0));
            verdict.outcome().ok()?;
            Some(verdict.chain().into_iter().cloned().collect())
        })
    }

    fn says_what_a_genuine_one_says(&self, accepted: &[Passport]) -> bool {
        let parse = |token: &String| Passport::parse(token.as_bytes(), &Leniency::STRICT).unwrap();
        accepted.iter().all(|passport| {
            self.genuine.iter().map(parse).any(|genuine| {
                genuine.claims() == passport.claims() && genuine.certificate() == passport.certificate()
            })
        })
    }
}

/// What stands in headers, payloads and parameters, and what an attacker would like to see there.
const WISHES: &[(&str, &str)] = &[
    (CALLER, STRANGER),
    (STRANGER, CALLER),
    (CALLED, ELSEWHERE),
    ("ES256", "none"),
    ("ES256", "HS256"),
    ("ES256", "es256"),
    ("ES256", "ES384"),
    ("passport", "JWT"),
    ("shaken", "div"),
    ("shaken", "x"),
    ("div-o", "div"),
    ("\"C\"", "\"A\""),
    ("/a.pem", "/b.pem"),
    ("/a.pem", "/c.pem"),
    ("/b.pem", "/a.pem"),
    ("/c.pem", "/a.pem"),
    ("1795300000", "1795300001"),
    ("1795300000", "\"1795300000\""),
    ("{", "{\"crit\":[\"x\"],"),
    ("{", "{\"x5u\":\"https://certs.example.net/c.pem\","),
    ("{", "{\"orig\":{\"tn\":\"12155551213\"},"),
    ("{", "{ "),
    ("\"tn\"", "\"uri\""),
    ("\"tn\":[", "\"tn\":[\"12155551213\","),
    ("\"1", "\"+1"),
    ("ppt=", "ppt=\"x\";x="),
    (";alg=ES256", ""),
    (";info", ";x=1;info"),
    ("info=<", "info=<https://certs.example.net/c.pem>;info=<"),
];

struct Mutator {
    random: Seeded,
}

impl Mutator {
    fn below(&self, end: usize) -> usize {
        usize::try_from(self.random.below(end as u64)).unwrap()
    }

    fn mutate(&self, token: &str, world: &World) -> (&'static str, String) {
        match self.below(9) {
            0 => ("a bit", self.with_bytes(token, |bytes, place| bytes[place] ^= 1 << self.below(7))),
            1 => ("cut", self.with_bytes(token, Vec::truncate)),
            2 => (
                "put in",
                self.with_bytes(token, |bytes, place| bytes.insert(place, b"A.=-_ ;\n"[self.below(8)])),
            ),
            3 => (
                "a bit within",
                self.within(token, |bytes| {
                    let place = self.below(bytes.len());
                    bytes[place] ^= 1 << self.below(8);
                }),
            ),
            4 | 5 => (
                "a wish within",
                self.within(token, |bytes| {
                    let (from, to) = WISHES[self.below(WISHES.len())];
                    *bytes = String::from_utf8_lossy(bytes).replacen(from, to, 1).into_bytes();
                }),
            ),
            6 => {
                let (from, to) = WISHES[self.below(WISHES.len())];
                ("a wish", token.replacen(from, to, 1))
            }
            7 => (
                "another's segment",
                self.with_segment(token, |index, _| {
                    let other = &world.all[self.below(world.all.len())];
                    other.split('.').nth(index).unwrap().to_owned()
                }),
            ),
            _ => ("another signature", self.with_other_signature(token)),
        }
    }

    fn with_bytes(&self, token: &str, change: impl Fn(&mut Vec<u8>, usize)) -> String {
        let mut bytes = token.as_bytes().to_vec();
        change(&mut bytes, self.below(token.len()));
        String::from_utf8(bytes).unwrap_or_default()
    }

    /// Changes one of the three segments; parameters behind them stay.
    fn with_segment(&self, token: &str, change: impl Fn(usize, &str) -> String) -> String {
        let (digest, parameters) = token.split_at(token.find(';').unwrap_or(token.len()));
        let mut segments: Vec<String> = digest.split('.').map(str::to_owned).collect();
        let index = self.below(segments.len().min(3));
        segments[index] = change(index, &segments[index]);
        segments.join(".") + parameters
    }

    /// Changes what one of the segments encodes.
    fn within(&self, token: &str, change: impl Fn(&mut Vec<u8>)) -> String {
        self.with_segment(token, |_, segment| match URL_SAFE_NO_PAD.decode(segment) {
            Ok(mut bytes) if !bytes.is_empty() => {
                change(&mut bytes);
                URL_SAFE_NO_PAD.encode(bytes)
            }
            _ => segment.to_owned() + "=",
        })
    }

    fn with_other_signature(&self, token: &str) -> String {
        let (digest, parameters) = token.split_at(token.find(';').unwrap_or(token.len()));
        let Some((input, signature)) = digest.rsplit_once('.') else { return token.to_owned() };
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(signature) else { return token.to_owned() };
        let Ok(bytes) = <[u8; 64]>::try_from(bytes) else { return token.to_owned() };
        let changed = match self.below(6) {
            0 => return twin(digest) + parameters,
            1 => return format!("{digest}=={parameters}"),
            2 => vec![0; 64],
            3 => [&bytes[32..], &bytes[..32]].concat(),
            4 => [&bytes[..], &[0]].concat(),
            _ => [&bytes[..32], &[0xff; 32]].concat(),
        };
        format!("{input}.{}{parameters}", URL_SAFE_NO_PAD.encode(changed))
    }
}

#[test]
fn no_changed_token_is_believed_or_costs_much() {
    let (world, mutator, count) = (World::new(), Mutator { random: Seeded::new(8225) }, mutation_count(2000));
    let (mut tried, mut twins, mut slowest) = (0, 0, (Duration::ZERO, ""));
    while tried < count {
        let original = &world.all[tried % world.all.len()];
        let is_header = mutator.below(2) == 0;
        let passport = Passport::parse(original.as_bytes(), &Leniency::STRICT).unwrap();
        // What carries its certificates has no form as a header field.
        let header = is_header.then(|| IdentityHeader::write(&passport)).flatten();
        let before = header.as_ref().unwrap_or(original);
        let (mut what, mut changed) = mutator.mutate(before, &world);
        if mutator.below(4) == 0 && !changed.is_empty() {
            (what, changed) = mutator.mutate(&changed, &world);
        }
        if changed == *before || changed.is_empty() {
            continue;
        }
        tried += 1;
        let value = match header {
            Some(_) => IdentityValue::Header(changed.as_bytes()),
            None => IdentityValue::Token(changed.as_bytes()),
        };
        for policy in &world.policies {
            let began = cpu_time();
            let accepted = world.judge(policy, value, CALLER);
            let stranger = world.judge(policy, value, STRANGER);
            slowest = slowest.max((cpu_time() - began, what));
            assert!(stranger.is_none(), "{what}: {changed} calls as a stranger");
            if let Some(accepted) = accepted {
                twins += 1;
                assert!(world.says_what_a_genuine_one_says(&accepted), "{what}: {changed} is believed");
            }
        }
    }
    println!(
        "{tried} tokens, {twins} accepted that say what was signed, slowest {slowest:?} for four verdicts"
    );
    assert!(twins > count / 100, "{twins} accepted: too few to tell that anything is judged");
    assert!(slowest.0 <= VERDICT_CPU_MAX, "{slowest:?} of CPU time");
}

#[test]
fn what_was_not_changed_is_believed_and_what_was_never_good_is_not() {
    let world = World::new();
    for (index, token) in world.all.iter().enumerate() {
        for policy in &world.policies {
            for orig in [CALLER, STRANGER] {
                let accepted = world.judge(policy, IdentityValue::Token(token.as_bytes()), orig);
                let is_good = orig == CALLER && index < world.genuine.len();
                assert_eq!(accepted.is_some(), is_good, "token {index} of {orig}");
                assert!(accepted.is_none_or(|accepted| world.says_what_a_genuine_one_says(&accepted)));
            }
        }
    }
}
