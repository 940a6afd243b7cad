//! Replies of DNS servers with NAPTR records, and the regexps in them, as they come from anybody.

use herald_core::TelephoneNumber;
use herald_discovery_enum::limits::{URI_BYTES_MAX, URIS_MAX, WALK_QUERIES_MAX};
use herald_discovery_enum::regexp::substitute;
use herald_discovery_enum::settings::Config;
use herald_discovery_enum::walk::{Outcome, Step, Walk};
use herald_discovery_enum::wire::{Asked, NoReply};
use herald_plugin_sdk::Settings;
use hickory_proto::rr::Name;

/// Reads `data` as a regexp and as the rest of a reply: bits of its header, counts of its sections, records.
///
/// # Panics
/// If a regexp makes something else than its replacement says or more than is allowed, a reply to another question is
/// believed, a search asks for too many names, or it ends with something that is no https URI.
pub fn check(data: &[u8]) {
    check_regexp(data);
    check_search(data);
    let asked = asked(Name::from_ascii("3.2.1.e164.arpa.").expect("a name"));
    if asked.decode(data).is_ok() {
        assert_eq!(&data[..2], asked.id.to_be_bytes(), "a reply has the id of the question");
    }
}

fn check_regexp(regexp: &[u8]) {
    let number = "+12025550123";
    let Some(made) = substitute(regexp, number) else { return };
    assert!(made.len() <= URI_BYTES_MAX);
    let text = core::str::from_utf8(regexp).expect("regexps are ASCII");
    let delimiter = text.chars().next().expect("it has one");
    if let Some(plain) = text.strip_suffix('i') {
        assert_eq!(substitute(plain.as_bytes(), number).as_ref(), Some(&made), "case means nothing");
    }
    // Without escapes a replacement is what comes out.
    if !text.contains('\\') {
        let parts: Vec<&str> = text.split(delimiter).collect();
        assert_eq!((parts.len(), parts[2]), (4, &*made));
    }
}

/// Answers whatever a search asks for with the same records.
fn check_search(data: &[u8]) {
    let Some((&[bits, answers, authorities], records)) = data.split_first_chunk() else { return };
    let mut settings = vec![
        ("servers", "127.0.0.1"),
        ("apex", "e164.arpa"),
        ("enumservices", "X-stircps:https, P-stircps:https"),
    ];
    if bits & 1 == 1 {
        settings.push(("private_apex", "cps.example.net"));
    }
    let config = Config::read(&Settings::of(&settings)).expect("settings");
    let number: TelephoneNumber = "12025550123".parse().expect("a number");
    let (mut walk, mut name) = Walk::new(number, &config);
    for _ in 0..WALK_QUERIES_MAX {
        let asked = asked(name);
        let mut reply = asked.encode();
        // A reply with one question, and whatever counts and codes are asked for.
        reply[2] |= 0x80 | (bits & 2);
        reply[3] = (bits & 0x20) | (bits >> 4 & 3);
        reply[7] = answers;
        reply[9] = authorities;
        reply.extend_from_slice(records);
        let reply = asked.decode(&reply);
        assert_ne!(reply, Err(NoReply::Foreign), "the question is repeated");
        match walk.take(reply.map_err(|_| "malformed"), &config) {
            Step::Ask(next) => name = next,
            Step::Done(Outcome::Known(finding)) => {
                assert!(finding.uris.len() <= URIS_MAX);
                assert!(finding.uris.iter().all(|uri| uri.starts_with("https://")), "{:?}", finding.uris);
                return assert!(!finding.note.contains("3.2.1.0"), "{}", finding.note);
            }
            Step::Done(Outcome::Unknown(_)) => return,
        }
    }
    panic!("a search asks for more than {WALK_QUERIES_MAX} names");
}

fn asked(name: Name) -> Asked {
    Asked { id: 0x1234, name, is_case_kept: false, has_edns: false }
}
