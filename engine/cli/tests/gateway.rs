//! Calls over gateways between SIP and the telephone network: use cases 3 and 4 of RFC 8816 §5, with real processes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Parties, Said, Served, herald, herald_with};

/// An enterprise, or whoever calls.
const ALICE: &str = "12025550100";
const BOB: &str = "12025550123";
const CAROL: &str = "12025550187";
const MALLORY: &str = "12025550166";

fn parties() -> Parties {
    Parties::new(&[("alice", ALICE), ("bob", BOB), ("carol", CAROL)])
}

/// The request of a call as a gateway or a proxy has it, with these Identity header fields.
fn invite(from: &str, to: &str, identities: &str) -> String {
    format!(
        "INVITE sip:+{to}@gw.example.net;user=phone SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\n\
         From: \"Caller\" <sip:+{from}@gw.example.net;user=phone>;tag=1\r\nTo: <tel:+{to}>\r\nCall-ID: 1@gw\r\n\
         CSeq: 1 INVITE\r\nMax-Forwards: 70\r\n{identities}Content-Length: 0\r\n\r\n"
    )
}

/// Runs a command with its options, given as they come.
fn run(words: &[&str], options: &[&[String]], input: Option<&str>) -> Said {
    let mut arguments: Vec<&str> = words.to_vec();
    arguments.extend(options.iter().flat_map(|options| options.iter().map(String::as_str)));
    match input {
        Some(input) => herald_with(&[&arguments[..], &["-"]].concat(), input),
        None => herald(&arguments),
    }
}

fn option(name: &str, value: String) -> Vec<String> {
    vec![name.to_owned(), value]
}

/// Options of whoever stores for a party.
fn recipient(parties: &Parties, party: &str) -> Vec<String> {
    option("--recipient", parties.path(&format!("{party}/sealing.pub.jwk")))
}

/// Options of whoever opens for a party.
fn opener(parties: &Parties, party: &str) -> Vec<String> {
    option("--sealing-key", parties.path(&format!("{party}/sealing.jwk")))
}

/// Options of whoever signs for a party.
fn signer(parties: &Parties, party: &str) -> Vec<String> {
    [option("--key", parties.path(&format!("{party}/signing.key"))), option("--x5u", Parties::x5u(party))]
        .concat()
}

/// The Identity header field that the authentication service of Alice adds to a call to Bob.
fn identity(parties: &Parties) -> String {
    let signed =
        run(&["sign", "--header", "--orig", ALICE, "--dest", BOB], &[&signer(parties, "alice")], None);
    format!("Identity: {}\r\n", signed.good().trim_end())
}

/// The Identity header fields that a gateway from the telephone network inserts into a request for `party`.
fn fetched(parties: &Parties, cps: &Served, party: &str, request: &str) -> Said {
    let options: [&[String]; 3] = [&cps.at, &parties.verifier(), &opener(parties, party)];
    run(&["gateway", "fetch"], &options, Some(request))
}

/// The verification service of a domain that knows SIP alone.
fn verified(parties: &Parties, request: &str) -> Said {
    run(&["verify"], &[&parties.verifier()], Some(request))
}

/// As header fields of a request.
fn lines(text: &str) -> String {
    text.lines().map(|line| format!("{line}\r\n")).collect()
}

#[test]
fn case_3_a_call_from_the_telephone_network_arrives_in_sip_with_its_identity() {
    let parties = parties();
    let cps = parties.serve("bob-cps");
    // The enterprise's PBX places the PASSporT and routes the call to the telephone network.
    let options: [&[String]; 3] = [&cps.at, &signer(&parties, "alice"), &recipient(&parties, "bob")];
    run(&["place", "--from", ALICE, "--to", BOB], &options, None).good();

    // Subcase 1: the gateway adds the Identity header field; the called domain knows SIP alone.
    let bare = invite(ALICE, BOB, "");
    assert!(verified(&parties, &bare).ended(1).contains("428"));
    let inserted = fetched(&parties, &cps, "bob", &bare).good();
    assert_eq!(inserted.lines().count(), 1, "{inserted}");
    let request = invite(ALICE, BOB, &lines(&inserted));
    verified(&parties, &request).good();
    assert!(fetched(&parties, &cps, "bob", &request).ended(1).contains("is in the request already"));

    // A spoofed call finds nothing, and what was meant for another does not help it.
    let spoofed = invite(MALLORY, BOB, "");
    assert!(fetched(&parties, &cps, "bob", &spoofed).ended(1).contains("nothing is to be inserted"));
    verified(&parties, &invite(MALLORY, BOB, &lines(&inserted))).ended(1);

    // Subcase 2: the gateway does nothing, and the called domain's verification service asks the service itself.
    let certificate = option("--certificate", parties.path("alice/signing.pem"));
    let roots = option("--roots", parties.path("authority/roots.pem"));
    let checked = |from: &str| {
        let options: [&[String]; 4] = [&cps.at, &opener(&parties, "bob"), &roots, &certificate];
        run(&["check", "--from", from, "--to", BOB], &options, None)
    };
    assert!(checked(ALICE).good().starts_with("VERIFIED attestation A"));
    checked(MALLORY).ended(1);
}

#[test]
fn case_4_a_call_survives_the_telephone_network_between_two_sip_domains() {
    let parties = parties();
    let cps = parties.serve("bob-cps");
    // Alice's domain signs in band and knows nothing of services; the gateway to the telephone network does.
    let out = invite(ALICE, BOB, &identity(&parties));
    verified(&parties, &out).good();
    let store = |request: &str, more: &[String]| {
        let options: [&[String]; 4] = [&cps.at, &parties.verifier(), &recipient(&parties, "bob"), more];
        run(&["gateway", "store"], &options, Some(request))
    };
    let placed = store(&out, &[]).good();
    assert!(placed.starts_with("placed /cps/"), "{placed}");
    assert!(placed.ends_with("1 PASSporTs placed, 0 were there already, 0 left out\n"), "{placed}");
    let again = store(&out, &opener(&parties, "bob")).good();
    assert_eq!(again, "0 PASSporTs placed, 1 were there already, 0 left out\n");

    // On the other side the next gateway makes a new request, and Bob's domain verifies it as always.
    let inserted = fetched(&parties, &cps, "bob", &invite(ALICE, BOB, "")).good();
    assert_eq!(lines(&inserted), identity_in(&out));
    verified(&parties, &invite(ALICE, BOB, &lines(&inserted))).good();

    // What does not hold is not placed: a spoofed caller, a damaged signature, no PASSporT at all.
    let damaged = out.replace(";info=", "A;info=");
    for (request, code) in
        [(out.replace(ALICE, MALLORY), "403"), (damaged, "438"), (invite(ALICE, BOB, ""), "428")]
    {
        assert!(store(&request, &[]).ended(1).contains(code), "{code}");
    }
}

#[test]
fn case_4_a_call_that_a_gateway_diverts_goes_to_the_service_of_the_new_number() {
    let parties = parties();
    let (bobs, carols) = (parties.serve("bob-cps"), parties.serve("carol-cps"));
    let out = invite(ALICE, BOB, &identity(&parties));
    let store = |request: &str, more: &[String]| {
        let options: [&[String]; 4] = [&carols.at, &parties.verifier(), &recipient(&parties, "carol"), more];
        run(&["gateway", "store", "--divert-to", CAROL], &options, Some(request))
    };
    let gateway_of = |party: &str| {
        let key = option("--signer-key", parties.path(&format!("{party}/signing.key")));
        let chain = option("--signer-certificate", parties.path(&format!("{party}/signing.pem")));
        [key, chain, option("--signer-x5u", Parties::x5u(party))].concat()
    };
    assert!(store(&out, &gateway_of("alice")).ended(2).contains("no credential may sign for the number"));
    store(&out, &gateway_of("bob")).good();

    // Carol's gateway finds it, and Carol's domain sees who diverted the call.
    let inserted = fetched(&parties, &carols, "carol", &invite(ALICE, CAROL, "")).good();
    assert!(inserted.trim_end().ends_with("ppt=div-o"), "{inserted}");
    let request = invite(ALICE, CAROL, &lines(&inserted));
    let json = run(&["verify", "--json"], &[&parties.verifier()], Some(&request)).good();
    let verdict: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&verdict["attest"], &verdict["div"]), (&"A".into(), &serde_json::json!([BOB])), "{json}");
    // At Bob's service, and for Bob, there is nothing.
    fetched(&parties, &bobs, "bob", &invite(ALICE, BOB, "")).ended(1);
    fetched(&parties, &carols, "carol", &invite(ALICE, BOB, "")).ended(1);
}

/// The Identity header fields of a request.
fn identity_in(request: &str) -> String {
    request.split_inclusive("\r\n").filter(|line| line.starts_with("Identity:")).collect()
}
