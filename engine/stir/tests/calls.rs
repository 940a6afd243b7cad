//! Calls with several PASSporTs: chains of diversions in any order, what decides, what is reported, and copies.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{Seeded, at_s, number, twin};
use herald_core::Timestamp;
use herald_stir::issue::{DevelopmentAuthority, Validity};
use herald_stir::{
    Attestation, CallContext, CallFacts, CallToken, CallVerdict, Carrier, CertificateReference, Claims,
    Fault, Identity, IdentityValue, Json, PassportType, ReplayMemory, SigningKey, TnAuthList, TnEntry,
    TrustStore, VerificationPolicy,
};

const T0: i64 = 1_795_300_000;
const NOW_S: u64 = 1_795_300_010;

/// Parties by letter, each with a certificate for a number of its own.
struct World {
    policy: VerificationPolicy,
    signers: BTreeMap<char, (SigningKey, String)>,
}

fn party(letter: char) -> Identity {
    number(&format!("120255501{:02}", letter as u32 - 'A' as u32)).into()
}

impl World {
    fn new() -> Self {
        let random = Seeded::new(5);
        let validity = Validity { from_s: NOW_S - 86_400, to_s: NOW_S + 86_400 };
        let authority = DevelopmentAuthority::new("calls", validity, &random).unwrap();
        let signer = |letter| {
            let list = TnAuthList::new(vec![TnEntry::One(party(letter).number().unwrap())]).unwrap();
            let issued = authority.issue("signer", &list, validity, &random).unwrap();
            (letter, (issued.key, issued.chain_pem))
        };
        let policy = VerificationPolicy::new(TrustStore::from_pem(authority.root_pem().as_bytes()).unwrap());
        Self { policy, signers: ('A'..='H').map(signer).collect() }
    }

    fn sign(&self, by: char, claims: &Claims) -> String {
        let url = format!("https://certs.example.net/{by}.pem");
        claims.sign(&CertificateReference::Url(url), &self.signers[&by].0).unwrap()
    }

    /// `AB` is a shaken PASSporT of a call from A to B, `AB>C` its diversion by B to C; a letter behind `!` signs
    /// in the place of the right one, `@7` makes it seven seconds older, `*` breaks the signature, and a word
    /// behind `:` is another type.
    fn token(&self, text: &str) -> String {
        let (text, ppt) = text.split_once(':').unwrap_or((text, "shaken"));
        let (text, is_broken) = text.strip_suffix('*').map_or((text, false), |text| (text, true));
        let (text, age_s) =
            text.split_once('@').map_or((text, 0), |(text, age)| (text, age.parse().unwrap()));
        let (text, by) = text.split_once('!').map_or((text, None), |(text, by)| (text, by.chars().next()));
        let letters: Vec<char> = text.chars().filter(char::is_ascii_alphabetic).collect();
        let (signer, kind, dest) = match letters[..] {
            [_, from, to] => (from, PassportType::Div { from: party(from) }, to),
            [from, to] => (from, kind(ppt), to),
            _ => panic!("{text}"),
        };
        let signer = if ppt == "rsp" { dest } else { signer };
        let mut claims = Claims { kind, ..Claims::base(party(letters[0]), party(dest), T0 - age_s) };
        if matches!(claims.kind, PassportType::Rcd | PassportType::Rph) {
            let members = BTreeMap::from([("nam".to_owned(), Json::Text("x".into()))]);
            claims.extra.insert(ppt.to_owned(), Json::Object(members));
        }
        let token = self.sign(by.unwrap_or(signer), &claims);
        if is_broken { broken(&token) } else { token }
    }

    fn judge(&self, tokens: &[String], context: &CallContext<'_>) -> CallVerdict {
        self.judge_with(&self.policy, tokens, context)
    }

    fn judge_with(
        &self,
        policy: &VerificationPolicy,
        tokens: &[String],
        context: &CallContext<'_>,
    ) -> CallVerdict {
        let values: Vec<_> = tokens.iter().map(|token| IdentityValue::Token(token.as_bytes())).collect();
        let serve = |url: &str| {
            let letter = url.strip_suffix(".pem")?.chars().last()?;
            self.signers.get(&letter).map(|(_, chain)| chain.clone().into_bytes())
        };
        policy.verify_call(&values, context, &serve, at_s(NOW_S))
    }

    /// `original` within a `div-o` by which `by` diverts a call of A to `to`.
    fn wrap(&self, original: &str, by: char, to: char) -> String {
        let kind = PassportType::DivO { from: party(by), opt: self.token(original) };
        self.sign(by, &Claims { kind, ..Claims::base(party('A'), party(to), T0) })
    }

    fn tokens(&self, texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| self.token(text)).collect()
    }
}

fn kind(ppt: &str) -> PassportType {
    match ppt {
        "shaken" => PassportType::Shaken {
            attest: Attestation::Partial,
            origid: "123e4567-e89b-12d3-a456-426655440000".into(),
        },
        "rcd" => PassportType::Rcd,
        "rph" => PassportType::Rph,
        "msg" => PassportType::Msg,
        "rsp" => PassportType::Rsp,
        other => PassportType::Unknown(other.into()),
    }
}

/// The token with another signature of the right length.
fn broken(token: &str) -> String {
    let (input, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[7] ^= 1;
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// A call from A that goes to `dest`; it was for `to` at first.
fn facts(dest: char, to: Option<char>) -> CallFacts {
    CallFacts { to: to.map(party), ..CallFacts::new(party('A'), party(dest)) }
}

fn permutations<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let with_first = |index: usize| {
        let mut rest = items.to_vec();
        let first = rest.remove(index);
        permutations(&rest).into_iter().map(move |mut tail| {
            tail.insert(0, first.clone());
            tail
        })
    };
    (0..items.len()).flat_map(with_first).collect()
}

// rfc8946:4.2-1.
#[test]
fn a_chain_of_diversions_is_followed_in_any_order() {
    let world = World::new();
    let tokens = world.tokens(&["AB", "AB:rcd", "AB>C", "AC>D"]);
    let facts = facts('D', Some('B'));
    for tokens in permutations(&tokens) {
        let verdict = world.judge(&tokens, &CallContext::of(&facts));
        let head = verdict.outcome().unwrap().passport().unwrap();
        assert_eq!(head.claims().dest, [party('D')]);
        assert_eq!(verdict.diversions(), [&party('C'), &party('B')]);
        assert_eq!(verdict.attestation(), Some(Attestation::Partial));
        assert_eq!(verdict.chain().len(), 3);
        assert!(verdict.claim("rcd").is_some());
        assert!(verdict.reports().iter().all(|report| report.outcome().is_ok()), "{verdict:?}");
    }
}

// rfc8946:3-9, rfc8946:4.2-1, rfc8946:4.2-2, rfc8946:4.2-3, rfc8946:4.2-4, rfc8946:4.2-5, rfc8946:4.2-6,
// rfc8946:4.2-8, rfc8946:4.2-9, rfc8946:4.2-10.
#[test]
fn what_came_with_a_call_decides_by_the_rules() {
    let world = World::new();
    let nested = |fault| Fault::Nested(Box::new(fault));
    type Case<'a> = (&'a [&'a str], char, Option<char>, Option<Fault>);
    let cases: &[Case<'_>] = &[
        // One good PASSporT is enough, wherever it stands.
        (&["AB"], 'B', None, None),
        (&["AB*", "AB"], 'B', None, None),
        (&["AB", "AB*", "AB:new"], 'B', None, None),
        (&["AB:rcd"], 'B', None, None),
        (&["AB*", "AB:rcd"], 'B', None, None),
        (&["AB*"], 'B', None, Some(Fault::Signature)),
        (&["AB*", "AB:new"], 'B', None, Some(Fault::Signature)),
        (&["AB:new"], 'B', None, Some(Fault::UnknownType)),
        (&["AC"], 'B', None, Some(Fault::DestMismatch)),
        (&["BC"], 'C', None, Some(Fault::OrigMismatch)),
        (&["AB!C"], 'B', None, Some(Fault::NotCovered)),
        // A priority vouches for nobody's number.
        (&["AB:rph"], 'B', None, None),
        (&["AB*", "AB:rph"], 'B', None, Some(Fault::Signature)),
        // A response's PASSporT counts in no request.
        (&["AB:rsp"], 'B', None, Some(Fault::OnlyInResponse)),
        (&["AB", "AB:rsp"], 'B', None, None),
        // Retargeted without a word: To is what RFC 8224 compares.
        (&["AB"], 'C', Some('B'), None),
        (&["AB"], 'C', None, Some(Fault::DestMismatch)),
        // Retargeted with one: To does not count any more.
        (&["AB", "AB>C"], 'C', Some('B'), None),
        (&["AB", "AB>C"], 'C', None, None),
        (&["AB", "AB>C"], 'D', Some('B'), Some(Fault::DestMismatch)),
        (&["AB", "AD>C"], 'C', Some('B'), Some(Fault::Diversion)),
        (&["AB>C"], 'C', Some('B'), Some(Fault::Diversion)),
        (&["AB*", "AB>C"], 'C', Some('B'), Some(nested(Fault::Signature))),
        (&["AB", "AB>C*"], 'C', Some('B'), Some(Fault::Signature)),
        (&["AB", "AB>C!D"], 'C', Some('B'), Some(Fault::NotCovered)),
        (&["AB", "AC>D"], 'D', Some('B'), Some(Fault::Diversion)),
        (&["AB", "AB>C*", "AC>D"], 'D', Some('B'), Some(nested(Fault::Signature))),
        // A chain from a type that nobody knows is ignored, and takes nothing from another one.
        (&["AB:new", "AB>C"], 'C', Some('B'), Some(nested(Fault::UnknownType))),
        (&["AB:new", "AB", "AB>C"], 'C', Some('B'), None),
        // A chain begins with who calls: anybody signs a priority, and B signs that B was reached.
        (&["AB:rph", "AB>C"], 'C', Some('B'), Some(Fault::Diversion)),
        // A chain of another caller leads nowhere.
        (&["AB", "DB>C"], 'C', Some('B'), Some(Fault::OrigMismatch)),
        // A broken diversion beside a PASSporT for where the call goes takes nothing away.
        (&["AB", "AD>B"], 'B', None, None),
        // Loops end, and prove nothing.
        (&["AB>C", "AC>B"], 'C', None, Some(Fault::Diversion)),
        (&["AB", "AB>C", "AC>B"], 'B', None, None),
        // Four diversions are followed, five are not.
        (&["AB", "AB>C", "AC>D", "AD>E", "AE>F"], 'F', None, None),
        (&["AB", "AB>C", "AC>D", "AD>E", "AE>F", "AF>G"], 'G', None, Some(Fault::Diversion)),
        (&["AB@61"], 'B', None, Some(Fault::Stale { age_s: 71, age_max_s: 60 })),
        (&["AB@61", "AB>C"], 'C', None, Some(nested(Fault::Stale { age_s: 71, age_max_s: 60 }))),
        (&[], 'B', None, Some(Fault::NoPassport)),
    ];
    for (texts, dest, to, expected) in cases {
        let facts = facts(*dest, *to);
        let verdict = world.judge(&world.tokens(texts), &CallContext::of(&facts));
        assert_eq!(verdict.outcome().err(), expected.as_ref(), "{texts:?} to {dest}: {verdict:?}");
    }
}

// rfc8946:4.2-2, rfc8946:4.2-4, rfc8946:4.2-5, rfc8946:4.2-6, rfc8946:4.2-8, rfc8946:4.2-9, rfc8946:4.2-10,
// rfc8946:5.1-2, rfc8946:5.1-3, rfc8946:5.1-4, rfc8946:6-1.
#[test]
fn what_is_within_a_div_o_is_held_to_the_rules_of_a_chain() {
    let world = World::new();
    let around = |inner: &str, from: char| {
        let kind = PassportType::DivO { from: party(from), opt: inner.to_owned() };
        world.sign(from, &Claims { kind, ..Claims::base(party('A'), party('C'), T0) })
    };
    let nested = |fault| Some(Fault::Nested(Box::new(fault)));
    let compact = format!("..{}", world.token("AB").rsplit('.').next().unwrap());
    for (inner, from, expected) in [
        (world.token("AB"), 'B', None),
        (world.token("AB"), 'D', Some(Fault::Diversion)),
        (world.token("DB"), 'B', Some(Fault::Diversion)),
        (world.token("AB>C"), 'C', Some(Fault::Diversion)),
        (world.token("AB*"), 'B', nested(Fault::Signature)),
        (world.token("AB!D"), 'B', nested(Fault::NotCovered)),
        (world.token("AB@61"), 'B', nested(Fault::Stale { age_s: 71, age_max_s: 60 })),
        (world.token("AB:new"), 'B', nested(Fault::UnknownType)),
        (compact, 'B', nested(Fault::CompactForm)),
    ] {
        let facts = facts('C', None);
        let verdict = world.judge(&[around(&inner, from)], &CallContext::of(&facts));
        assert_eq!(verdict.outcome().err(), expected.as_ref(), "{inner} by {from}");
    }
    // The outer one is about where the call goes now, whoever was called at first.
    let elsewhere = facts('D', Some('C'));
    let verdict = world.judge(&[around(&world.token("AB"), 'B')], &CallContext::of(&elsewhere));
    assert_eq!(verdict.outcome().err(), Some(&Fault::DestMismatch));
}

// rfc8946:4.2-7, rfc8946:4.2-8.
#[test]
fn a_diverted_call_may_be_older_than_its_last_diversion_if_the_policy_says_so() {
    let world = World::new();
    let mut policy = world.policy.clone();
    policy.set("diverted_freshness_s", "3600").unwrap();
    let (to_c, to_b) = (facts('C', Some('B')), facts('B', None));
    let old = world.tokens(&["AB@600", "AB>C"]);
    assert!(world.judge_with(&policy, &old, &CallContext::of(&to_c)).outcome().is_ok());
    // A diversion beside it makes an old PASSporT no fresher for where it was going anyway.
    let verdict = world.judge_with(&policy, &old, &CallContext::of(&to_b));
    assert!(verdict.outcome().is_err(), "{verdict:?}");
    let old_div = world.tokens(&["AB@600", "AB>C@600"]);
    assert!(world.judge_with(&policy, &old_div, &CallContext::of(&to_c)).outcome().is_err());
}

#[test]
fn a_response_is_for_who_was_reached() {
    let world = World::new();
    let facts = facts('B', None);
    let context = CallContext { carrier: Carrier::Response, ..CallContext::of(&facts) };
    assert!(world.judge(&world.tokens(&["AB:rsp"]), &context).outcome().is_ok());
    let by_caller = world.judge(&world.tokens(&["AB!A:rsp"]), &context);
    assert_eq!(by_caller.outcome().err(), Some(&Fault::NotCovered));
    // What the caller sent along proves nothing when it comes back.
    let echoed = ["AB", "AB:rcd", "AB:msg", "AB:rph"].map(|text| world.token(text));
    for token in echoed.into_iter().chain([world.wrap("AC", 'C', 'B')]) {
        let echoed = world.judge(&[token], &context);
        assert_eq!(echoed.outcome().err(), Some(&Fault::OnlyInRequest), "{echoed:?}");
    }
    // Nor does who was reached divert the call to somebody else afterwards.
    let passed_on = world.judge(&world.tokens(&["AC:rsp", "AC>B"]), &context);
    assert!(passed_on.outcome().is_err(), "{passed_on:?}");
    // Who stands for one of several called parties does not stand for the others.
    let dest = vec![party('C'), party('B')];
    let both = Claims { kind: PassportType::Rsp, dest, ..Claims::base(party('A'), party('B'), T0) };
    let by_other = world.judge(&[world.sign('C', &both)], &context);
    assert_eq!(by_other.outcome().err(), Some(&Fault::Claim("dest")));
}

#[test]
fn a_diversion_is_one_of_the_callers_call_whatever_it_came_with() {
    let world = World::new();
    let facts = facts('C', Some('B'));
    let judge = |carrier, tokens: &[String]| {
        let context = CallContext { carrier, ..CallContext::of(&facts) };
        world.judge(tokens, &context).outcome().err().cloned()
    };
    let nested = |fault| Some(Fault::Nested(Box::new(fault)));
    for carrier in [Carrier::Unsaid, Carrier::Request, Carrier::Call] {
        assert_eq!(judge(carrier, &[world.wrap("AB", 'B', 'C')]), None);
        assert_eq!(judge(carrier, &[world.wrap("AB!B", 'B', 'C')]), nested(Fault::NotCovered));
        // B signs all of it; A has never called anybody.
        assert_eq!(judge(carrier, &[world.wrap("AB!B:rph", 'B', 'C')]), Some(Fault::Diversion));
        let by_response = judge(carrier, &[world.wrap("AB:rsp", 'B', 'C')]);
        assert!(by_response == Some(Fault::Diversion) || by_response == nested(Fault::OnlyInResponse));
        assert!(judge(carrier, &world.tokens(&["AB:rsp", "AB>C"])).is_some(), "{carrier:?}");
    }
    assert_eq!(judge(Carrier::Call, &[world.wrap("AB:msg", 'B', 'C')]), nested(Fault::OnlyInMessage));
}

#[test]
fn a_passport_for_a_message_makes_no_call() {
    let world = World::new();
    let facts = facts('B', None);
    let judge = |carrier, text: &str| {
        let context = CallContext { carrier, ..CallContext::of(&facts) };
        world.judge(&world.tokens(&[text]), &context).outcome().err().cloned()
    };
    assert_eq!(judge(Carrier::Call, "AB:msg"), Some(Fault::OnlyInMessage));
    assert_eq!(judge(Carrier::Call, "AB:rsp"), Some(Fault::OnlyInResponse));
    assert_eq!(judge(Carrier::Call, "AB"), None);
    assert_eq!(judge(Carrier::Request, "AB:msg"), None);
}

// rfc9410:4-2, rfc9410:5-1, rfc9410:5-2, rfc9410:5-3, rfc9410:5-4, rfc9410:5-5, rfc9410:6-1.
#[test]
fn each_fault_is_reported_by_code_text_and_compact_form() {
    let world = World::new();
    let facts = facts('B', None);
    let mut tokens = world.tokens(&["AB", "AB*", "AB@70"]);
    tokens.push("no.token".into());
    let verdict = world.judge(&tokens, &CallContext::of(&facts));
    let signature = |token: &str| format!("..{}", token.rsplit('.').next().unwrap());
    let expected = [
        format!("STIR ;cause=438 ;text=\"Invalid Identity Header\" ;ppi=\"{}\"", signature(&tokens[1])),
        format!("STIR ;cause=403 ;text=\"Stale Date\" ;ppi=\"{}\"", signature(&tokens[2])),
        "STIR ;cause=438 ;text=\"Invalid Identity Header\"".to_owned(),
    ];
    assert_eq!(verdict.reasons(), expected);
    assert!(verdict.outcome().is_ok());
}

#[test]
fn no_more_passports_are_judged_than_the_bound() {
    let world = World::new();
    let facts = facts('B', None);
    let mut tokens = vec![world.token("AB*"); herald_stir::limits::CALL_PASSPORTS_MAX];
    tokens.push(world.token("AB"));
    let verdict = world.judge(&tokens, &CallContext::of(&facts));
    assert_eq!(verdict.outcome().err(), Some(&Fault::Signature));
    assert_eq!(verdict.reports().last().unwrap().outcome().err(), Some(&Fault::TooManyPassports));
    tokens.remove(0);
    assert!(world.judge(&tokens, &CallContext::of(&facts)).outcome().is_ok());
}

#[test]
fn a_passport_counts_for_one_call_whatever_its_signature_and_way() {
    let world = World::new();
    let memory = ReplayMemory::new(3);
    let facts = facts('B', None);
    let (one, other) = (CallToken::of(b"one@host"), CallToken::of(b"other@host"));
    let judge = |tokens: &[String], call| {
        let context = CallContext { seen: Some((&memory, call)), ..CallContext::of(&facts) };
        world.judge(tokens, &context).outcome().err().cloned()
    };
    let token = world.token("AB");
    let twin = twin(&token);
    assert_ne!(token, twin);
    // What does not verify leaves no trace, so nobody can use up a PASSporT by a forgery.
    assert_eq!(judge(&[broken(&token)], other), Some(Fault::Signature));
    assert_eq!(judge(&[token.clone(), twin.clone(), token.clone()], one), None, "in band and out of band");
    assert_eq!(judge(core::slice::from_ref(&twin), one), None, "the same call again");
    assert_eq!(judge(core::slice::from_ref(&token), other), Some(Fault::Replayed));
    assert_eq!(judge(&[twin], other), Some(Fault::Replayed), "by another signature");
    assert_eq!(Fault::Replayed.stage().name(), "replay");
    assert_eq!(memory.len(), 1);
    assert_eq!(judge(&world.tokens(&["AB@1", "AB@2"]), other), None);
    assert_eq!(judge(&world.tokens(&["AB@3"]), other), Some(Fault::ReplayMemoryFull));
    assert_eq!(judge(&world.tokens(&["AB@1"]), other), None, "known although the memory is full");
}

#[test]
fn a_passport_counts_for_one_call_within_others_too() {
    let world = World::new();
    let mut policy = world.policy.clone();
    policy.set("diverted_freshness_s", "3600").unwrap();
    let memory = ReplayMemory::new(10);
    let (to_b, to_c) = (facts('B', None), facts('C', Some('B')));
    let judge = |token: &str, facts: &CallFacts, call, at| {
        let context = CallContext { seen: Some((&memory, call)), ..CallContext::of(facts) };
        let serve = |url: &str| {
            let letter = url.strip_suffix(".pem")?.chars().last()?;
            world.signers.get(&letter).map(|(_, chain)| chain.clone().into_bytes())
        };
        let values = [IdentityValue::Token(token.as_bytes())];
        policy.verify_call(&values, &context, &serve, at_s(at)).outcome().err().cloned()
    };
    // Who was called may divert the call, as often as it pleases; the caller called once.
    let wrap = |original: &str, at: u64| {
        let kind = PassportType::DivO { from: party('B'), opt: original.to_owned() };
        world.sign('B', &Claims { kind, ..Claims::base(party('A'), party('C'), at as i64) })
    };
    let calls: Vec<_> = (0..4u64).map(CallToken::from).collect();
    let original = world.token("AB");
    assert_eq!(judge(&wrap(&original, NOW_S), &to_c, calls[0], NOW_S), None);
    assert_eq!(judge(&wrap(&original, NOW_S + 1), &to_c, calls[0], NOW_S), None, "the same call again");
    assert_eq!(judge(&wrap(&original, NOW_S + 2), &to_c, calls[1], NOW_S), Some(Fault::Replayed));
    // Nor is it forgotten while it may still be diverted.
    let answered = world.token("AB@1");
    assert_eq!(judge(&answered, &to_b, calls[2], NOW_S), None);
    let later_s = NOW_S + 600;
    assert_eq!(judge(&wrap(&answered, later_s), &to_c, calls[3], later_s), Some(Fault::Replayed));
    assert_eq!(judge(&wrap(&world.token("AB@2"), later_s), &to_c, calls[3], later_s), None);
}

#[test]
fn what_is_stale_anyway_is_forgotten() {
    let world = World::new();
    let memory = ReplayMemory::new(2);
    let passport = |text: &str| {
        herald_stir::Passport::parse(world.token(text).as_bytes(), &herald_stir::Leniency::STRICT).unwrap()
    };
    let (one, other) = (CallToken::from(1), CallToken::from(2));
    let at = |seconds: u64| Timestamp::from_millis(seconds * 1000);
    memory.note(&passport("AB"), one, at(60), at(0)).unwrap();
    assert_eq!(memory.note(&passport("AB"), other, at(60), at(60)), Err(Fault::Replayed));
    memory.note(&passport("AB@1"), one, at(90), at(30)).unwrap();
    assert_eq!(memory.note(&passport("AB@2"), one, at(120), at(60)), Err(Fault::ReplayMemoryFull));
    memory.note(&passport("AB@2"), one, at(121), at(61)).unwrap();
    assert_eq!(memory.len(), 2);
}

#[test]
fn certificates_are_named_before_they_are_needed() {
    let world = World::new();
    let inner = world.token("AB");
    let outer = Claims {
        kind: PassportType::DivO { from: party('B'), opt: inner.clone() },
        ..Claims::base(party('A'), party('C'), T0)
    };
    let outer = world.sign('B', &outer);
    let urls = |token: &str| {
        world.policy.certificate_urls(IdentityValue::Token(token.as_bytes()), &CallContext::UNKNOWN)
    };
    assert_eq!(urls(&outer), ["https://certs.example.net/B.pem", "https://certs.example.net/A.pem"]);
    assert!(urls("no token").is_empty());
    let facts = facts('B', None);
    let compact = b"..c2ln;info=<https://certs.example.net/A.pem>;alg=ES256";
    let of_compact = world.policy.certificate_urls(IdentityValue::Header(compact), &CallContext::of(&facts));
    // A signature of three bytes is no signature, so there is nothing to fetch for it.
    assert!(of_compact.is_empty());
    let signature = format!("..{}", "A".repeat(86));
    let compact = format!("{signature};info=<https://certs.example.net/A.pem>;alg=ES256");
    let value = IdentityValue::Header(compact.as_bytes());
    assert_eq!(
        world.policy.certificate_urls(value, &CallContext::of(&facts)),
        ["https://certs.example.net/A.pem"]
    );
}
