//! Lookups through the plugin's table, against a DNS server that says what a case needs.

mod common;

use common::{Asked, NEGATIVE_S, Says, Server, TTL_S, alias, at, naptr, refer, zone};
use herald_discovery_enum::Enum;
use herald_plugin_sdk::harness::{Discovery, Reply};
use herald_plugin_sdk::{Answer, Side, discovery_entry};
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::RecordType;

const NUMBER: &str = "12025550123";
const KEY: &str = "3.2.1.0.5.5.5.2.0.2.1.e164.arpa.";
const PRIVATE: &str = "3.2.1.0.5.5.5.2.0.2.1.cps.example.net.";
const A: &str = "https://a.example";
const B: &str = "https://b.example";

/// For servers that do not answer.
const HASTY: Settings<'_> = &[("retry_ms", "20"), ("attempts", "3")];

type Settings<'a> = &'a [(&'a str, &'a str)];

fn open(server: &Server, settings: Settings<'_>) -> Discovery {
    let address = server.address.to_string();
    open_at(&address, settings)
}

fn open_at(servers: &str, settings: Settings<'_>) -> Discovery {
    let mut all = vec![("servers", servers), ("apex", "e164.arpa"), ("retry_ms", "3000")];
    all.extend(settings);
    Discovery::open(discovery_entry::<Enum>, &all).expect("it opens")
}

fn ask(plugin: &Discovery) -> Reply {
    plugin.find(NUMBER, Side::Calling)
}

fn found(reply: Reply) -> Answer {
    match reply {
        Reply::Found(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn nothing(reply: Reply) -> Answer {
    match reply {
        Reply::Nothing(answer) => answer,
        other => panic!("{other:?}"),
    }
}

/// The URIs that come of `says`, and the questions it took.
fn check(
    name: &str,
    settings: Settings<'_>,
    says: impl Fn(&Asked) -> Says + Send + Sync + 'static,
    uris: &[&str],
) -> Vec<String> {
    let server = Server::start(says);
    match ask(&open(&server, settings)) {
        Reply::Found(answer) => assert_eq!(answer.uris, uris, "{name}"),
        Reply::Nothing(answer) => assert!(uris.is_empty(), "{name}: {answer:?}"),
        other => panic!("{name}: {other:?}"),
    }
    server.asked()
}

fn everybody(service: &str, uri: &str) -> hickory_proto::rr::Record {
    naptr(KEY, (100, 10, "u", service, &format!("!^.*$!{uri}!"), "."))
}

// rfc6116:3.4.2-1, rfc6116:3.4.2-2, rfc6116:3.6-1, rfc6116:5.2-1, rfc6116:5.2-3, rfc6116:5.2-4, rfc6116:5.2-5,
// rfc6116:5.2-6, rfc6116:5.2-10, rfc6116:5.2-11, rfc6116:5.2-12, rfc6116:5.2.1-1, rfc6116:5.2.1-2, rfc6116:5.2.1-3.
#[test]
fn records_are_judged_as_rfc_6116_says() {
    let plain: Settings<'_> = &[];
    let cases = [
        ("terminal", vec![at(KEY, 100, A)], &[A][..]),
        (
            "by ORDER, then PREFERENCE",
            vec![
                naptr(KEY, (100, 20, "u", "E2U+X-stircps:https", "!^.*$!https://c.example!", ".")),
                at(KEY, 200, B),
                at(KEY, 100, A),
            ],
            &[A, "https://c.example", B],
        ),
        (
            "the same ORDER and PREFERENCE, as they came",
            vec![at(KEY, 1, "https://c.example"), at(KEY, 1, A), at(KEY, 1, B)],
            &["https://c.example", A, B],
        ),
        ("the same twice", vec![at(KEY, 1, A), at(KEY, 2, A)], &[A]),
        (
            "a worse ORDER is not discarded",
            vec![naptr(KEY, (1, 1, "u", "E2U+sip", "!^.*$!sip:a@example!", ".")), at(KEY, 100, A)],
            &[A],
        ),
        ("compound, one known", vec![everybody("E2U+voice:tel+x-STIRcps:HTTPS+sms:tel", A)], &[A]),
        ("with the interface of RFC 8816", vec![everybody("E2U+X-stircps:https:ppts", A)], &[A]),
        ("with another interface", vec![everybody("E2U+X-stircps:https:atis", A)], &[]),
        ("as RFC 2916 wrote it", vec![everybody("X-stircps:https+E2U", A)], &[A]),
        ("another application", vec![everybody("E2X+X-stircps:https", A)], &[]),
        (
            "an upper-case flag",
            vec![naptr(KEY, (1, 1, "U", "e2u+x-stircps:https", "!.*!https://a.example!", "."))],
            &[A],
        ),
        (
            "another flag",
            vec![naptr(KEY, (1, 1, "s", "E2U+X-stircps:https", "!.*!https://a.example!", "."))],
            &[],
        ),
        ("for private networks, on a public apex", vec![everybody("E2U+P-stircps:https", A)], &[]),
        (
            "a record for both",
            vec![everybody("E2U+X-stircps:https+P-stircps:https", A), at(KEY, 200, B)],
            &[B],
        ),
        (
            "only https, and no tricks",
            vec![
                at(KEY, 1, "http://a.example"),
                at(KEY, 2, "https://user@a.example"),
                at(KEY, 3, "https://"),
                at(KEY, 4, "https://a.example/ x"),
                at(KEY, 5, "local"),
                at(KEY, 6, "unix:/run/cps"),
                at(KEY, 7, "https://a.example/?tn"),
                at(KEY, 8, A),
            ],
            &[A],
        ),
        (
            "hostile regexps",
            vec![
                naptr(
                    KEY,
                    (
                        1,
                        1,
                        "u",
                        "E2U+X-stircps:https",
                        &format!("!^{}.{}$!{A}!", "(".repeat(30), "){255}".repeat(30)),
                        ".",
                    ),
                ),
                naptr(KEY, (1, 2, "u", "E2U+X-stircps:https", r"!^(?R)$!\1!", ".")),
                at(KEY, 2, A),
            ],
            &[A],
        ),
        ("non-terminal", vec![refer(KEY, 1, "pool.example."), at("pool.example.", 1, A)], &[A]),
        (
            "non-terminal, its other fields ignored",
            vec![naptr(KEY, (1, 1, "", "E2U+sip", "!x!y!", "pool.example.")), at("pool.example.", 1, A)],
            &[A],
        ),
        ("non-terminal without a name", vec![refer(KEY, 1, "."), at(KEY, 2, A)], &[A]),
        ("a dead end does not end it", vec![refer(KEY, 1, "gone.example."), at(KEY, 2, A)], &[A]),
        (
            "a set of no use does not end it",
            vec![refer(KEY, 1, "pool.example."), at("pool.example.", 1, "ftp://a.example"), at(KEY, 2, A)],
            &[A],
        ),
        (
            "ORDER holds in one set only",
            vec![refer(KEY, 1, "pool.example."), at("pool.example.", 900, A), at(KEY, 2, B)],
            &[A],
        ),
        (
            "a loop",
            vec![
                refer(KEY, 1, "a.example."),
                refer("a.example.", 1, "b.example."),
                refer("b.example.", 1, "a.example."),
                at(KEY, 2, A),
            ],
            &[A],
        ),
        ("a name that refers to itself", vec![refer(KEY, 1, KEY), at(KEY, 2, A)], &[A]),
        ("an alias", vec![alias(KEY, "pool.example."), at("pool.example.", 1, A)], &[A]),
        ("aliases in a circle", vec![alias(KEY, "a.example."), alias("a.example.", KEY)], &[]),
        ("records of another name", vec![at("other.example.", 1, A)], &[]),
    ];
    for (name, records, uris) in cases {
        check(name, plain, zone(records), uris);
    }
}

#[test]
fn chains_end_after_five_references() {
    for (references, uris) in [(5, [A]), (6, [B])] {
        let hop = |index: usize| if index == 0 { KEY.to_owned() } else { format!("h{index}.example.") };
        let mut records: Vec<_> =
            (0..references).map(|index| refer(&hop(index), 1, &hop(index + 1))).collect();
        records.extend([at(&hop(references), 1, A), at(KEY, 2, B)]);
        check("chain", &[], zone(records), &uris);
    }
    let wide = |index| refer(KEY, index, &format!("w{index}.example."));
    let asked = check("many references", &[], zone((0..60).map(wide).collect()), &[]);
    assert_eq!(asked.iter().filter(|name| !name.starts_with("tcp")).count(), 16);
}

// rfc6116:3.4.3.1-1.
#[test]
fn private_records_count_below_private_apexes_only() {
    let private: Settings<'_> = &[("private_apex", "cps.example.net")];
    let records = |target: &str| {
        let service = |owner: &str, uri: &str| {
            naptr(owner, (1, 1, "u", "E2U+P-stircps:https", &format!("!.*!{uri}!"), "."))
        };
        vec![refer(PRIVATE, 1, target), service("pool.cps.example.net.", A), service("pool.example.", B)]
    };
    check("within", private, zone(records("pool.cps.example.net.")), &[A]);
    check("outside", private, zone(records("pool.example.")), &[]);
    let asked = check("then the public tree", private, zone(vec![at(KEY, 1, B)]), &[B]);
    assert_eq!(asked, [PRIVATE, KEY]);
    let asked = check("the private one first", private, zone(vec![at(PRIVATE, 1, A), at(KEY, 1, B)]), &[A]);
    assert_eq!(asked, [PRIVATE]);
}

#[test]
fn other_enumservices_can_be_configured() {
    let web: Settings<'_> = &[("enumservices", "web:https, X-other")];
    check("web", web, zone(vec![everybody("E2U+web:https", A)]), &[A]);
    check("the default is replaced", web, zone(vec![everybody("E2U+X-stircps:https", A)]), &[]);
}

/// A reply with one service, changed by `change` before it is sent over UDP.
fn spoilt(change: impl Fn(&mut Message) + Send + Sync + 'static) -> impl Fn(&Asked) -> Says + Send + Sync {
    move |asked| {
        let mut reply = asked.reply(ResponseCode::NoError);
        reply.add_answer(at(KEY, 1, if asked.is_tcp { B } else { A }));
        if !asked.is_tcp {
            change(&mut reply);
        }
        vec![reply.to_vec().expect("a reply")]
    }
}

type Forge = fn(&mut Message);

/// `count` datagrams that `forge` has changed, and then the honest one.
fn forged(count: usize, forge: Forge) -> impl Fn(&Asked) -> Says + Send + Sync {
    move |asked| {
        let mut says = Says::new();
        for _ in 0..if asked.is_tcp { 0 } else { count } {
            let mut reply = asked.reply(ResponseCode::NoError);
            reply.add_answer(at(KEY, 1, "https://forged.example"));
            forge(&mut reply);
            says.push(reply.to_vec().expect("a reply"));
        }
        says.extend(spoilt(|_| {})(asked));
        says
    }
}

#[test]
fn replies_to_something_else_are_passed_over_and_many_of_them_lead_to_tcp() {
    let forgeries: [(&str, Forge); 5] = [
        ("id", |reply| reply.metadata.id ^= 1),
        ("name", |reply| reply.queries[0].name = common::name("3.2.1.e164.arpa.")),
        ("type", |reply| reply.queries[0].query_type = RecordType::TXT),
        ("no question", |reply| reply.queries.clear()),
        ("no reply", |reply| reply.metadata.message_type = MessageType::Query),
    ];
    for (name, forge) in forgeries {
        check(name, &[], forged(4, forge), &[A]);
        let asked = check(name, &[], forged(5, forge), &[B]);
        assert_eq!(asked, [KEY.to_owned(), format!("tcp {KEY}")], "{name}");
    }
    // The control: what is wrong in nothing is believed.
    check("nothing wrong", &[], forged(1, |_| {}), &["https://forged.example"]);
}

#[test]
fn a_truncated_reply_is_asked_for_over_tcp() {
    let asked = check("truncated", &[], spoilt(|reply| reply.metadata.truncation = true), &[B]);
    assert_eq!(asked, [KEY.to_owned(), format!("tcp {KEY}")]);
    let large: Vec<_> =
        (0..200).map(|index| at(KEY, 200 - index, &format!("https://{index}.example"))).collect();
    let says = move |asked: &Asked| match asked.is_tcp {
        true => zone(large.clone())(asked),
        false => vec![asked.reply(ResponseCode::NoError).truncate_to_nothing()],
    };
    check(
        "large",
        &[],
        says,
        &["https://199.example", "https://198.example", "https://197.example", "https://196.example"],
    );
}

trait Truncated {
    fn truncate_to_nothing(self) -> Vec<u8>;
}

impl Truncated for Message {
    fn truncate_to_nothing(mut self) -> Vec<u8> {
        self.metadata.truncation = true;
        self.to_vec().expect("a reply")
    }
}

#[test]
fn replies_that_cannot_be_read_do_no_harm() {
    // rfc6116:5.2-2. A record whose regexp runs past its end, before a good one.
    let broken_record = |asked: &Asked| {
        let mut reply = asked.reply(ResponseCode::NoError);
        reply.add_answers([at(KEY, 1, B), at(KEY, 2, A)]);
        let mut bytes = reply.to_vec().expect("a reply");
        let regexp = bytes.windows(5).position(|part| part == b"!^.*$").expect("it is there");
        bytes[regexp - 1] = 255;
        vec![bytes]
    };
    check("a broken record", &[], broken_record, &[A]);
    let odd_flags = |asked: &Asked| {
        let mut reply = asked.reply(ResponseCode::NoError);
        reply.add_answers([naptr(KEY, (1, 1, "!", "\u{e9}", "\u{e9}", ".")), at(KEY, 2, A)]);
        vec![reply.to_vec().expect("a reply")]
    };
    check("odd flags", &[], odd_flags, &[A]);
    // A name that points to itself, where the owner of the answer stands.
    let circle = |asked: &Asked| {
        let mut bytes = asked.reply(ResponseCode::NoError).to_vec().expect("a reply");
        bytes[7] = 1;
        let at = u8::try_from(bytes.len()).expect("a short question");
        bytes.extend([0xc0, at, 0, 35, 0, 1, 0, 0, 0, 9, 0, 0]);
        vec![bytes]
    };
    check("a circle of names", &[], circle, &[]);
    let cut = |asked: &Asked| {
        let whole = spoilt(|_| {})(asked).remove(0);
        vec![whole[..whole.len() - 7].to_vec()]
    };
    check("cut", &[], cut, &[]);
    let crowded = |asked: &Asked| match asked.is_tcp {
        false => vec![asked.reply(ResponseCode::NoError).truncate_to_nothing()],
        true => zone((0..300).map(|order| at(KEY, order, A)).collect())(asked),
    };
    check("too many records", &[], crowded, &[]);
    check("zeros", HASTY, |_: &Asked| vec![vec![0; 4000]], &[]);
    check("nothing", HASTY, |_: &Asked| vec![Vec::new()], &[]);
}

#[test]
fn answers_last_as_long_as_the_dns_says_and_ask_it_once() {
    let server = Server::start(zone(vec![refer(KEY, 1, "p.example."), at("p.example.", 1, A)]));
    let plugin = open(&server, &[]);
    let first = found(ask(&plugin));
    assert_eq!((first.fresh_s, first.is_proven), (TTL_S, false));
    assert!(first.note.contains("x-stircps:https") && first.note.contains("1 references"), "{}", first.note);
    assert!(!first.note.contains("0123") && !first.note.contains("3.2.1"), "no number: {}", first.note);
    assert_eq!(found(ask(&plugin)).uris, [A]);
    assert_eq!(server.asked().len(), 2);
    let none = nothing(plugin.find("12025550199", Side::Called));
    assert_eq!(none.fresh_s, NEGATIVE_S);
    nothing(plugin.find("12025550199", Side::Called));
    assert_eq!(server.asked().len(), 3);
    // rfc6116:2-1: no E.164 number, nobody is asked.
    nothing(plugin.find("*21#", Side::Calling));
    assert_eq!(server.asked().len(), 3);
    let capped = open(&server, &[("cache_s_max", "7"), ("cache_negative_s_max", "3")]);
    assert_eq!(found(ask(&capped)).fresh_s, 7);
    assert_eq!(nothing(capped.find("12025550199", Side::Called)).fresh_s, 3);
}

#[test]
fn servers_that_fail_are_replaced_by_others_and_never_by_a_wrong_answer() {
    let good = Server::start(zone(vec![at(KEY, 1, A)]));
    let refuses = |code| Server::start(move |asked| vec![asked.reply(code).to_vec().expect("a reply")]);
    let silent = Server::start(|_| Vec::new());
    // Nobody listens there any more.
    let gone = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback").local_addr().expect("bound");
    let bad = [
        ("SERVFAIL", refuses(ResponseCode::ServFail).address),
        ("REFUSED", refuses(ResponseCode::Refused).address),
        ("FORMERR", refuses(ResponseCode::FormErr).address),
        ("silent", silent.address),
        ("gone", gone),
    ];
    for (name, address) in bad {
        let both = format!("{address}, {}", good.address);
        let plugin = open_at(&both, &[("retry_ms", "20"), ("attempts", "9")]);
        assert_eq!(found(ask(&plugin)).uris, [A], "{name}");
        let alone = nothing(ask(&open_at(&address.to_string(), HASTY)));
        assert_eq!(alone.fresh_s, 0, "{name}: {alone:?}");
        assert!(alone.note.starts_with("the DNS servers"), "{name}: {alone:?}");
    }
    let plugin = open_at(&silent.address.to_string(), HASTY);
    ask(&plugin);
    let heard = plugin.stage().heard();
    assert_eq!(heard.iter().filter(|line| line.contains("does not answer")).count(), 1, "{heard:?}");
}

#[test]
fn servers_without_edns_are_asked_without() {
    let old = |asked: &Asked| match asked.query.edns {
        Some(_) => vec![asked.reply(ResponseCode::FormErr).to_vec().expect("a reply")],
        None => spoilt(|_| {})(asked),
    };
    assert_eq!(check("FORMERR", &[], old, &[A]).len(), 2);
}

#[test]
fn only_what_the_resolver_has_verified_counts_where_that_is_required() {
    let require: Settings<'_> = &[("dnssec", "require")];
    check("not verified", require, spoilt(|_| {}), &[]);
    check("verified", require, spoilt(|reply| reply.metadata.authentic_data = true), &[A]);
    let says = |asked: &Asked| {
        assert!(asked.query.metadata.authentic_data && !asked.query.metadata.checking_disabled);
        spoilt(|_| {})(asked)
    };
    let server = Server::start(says);
    let answer = nothing(ask(&open(&server, require)));
    assert!(answer.note.contains("DNSSEC") && answer.fresh_s > 0, "{answer:?}");
}

#[test]
fn mixed_case_has_to_be_repeated() {
    let mixed: Settings<'_> = &[("case", "mixed")];
    check("repeated", mixed, zone(vec![at(KEY, 1, A)]), &[A]);
    let lowered = |asked: &Asked| {
        let says = |reply: &mut Message| reply.queries[0].name = common::name(&KEY.to_uppercase());
        forged(5, says)(asked)
    };
    // One in 512 honest names is all upper case; then the forgery is believed, as without.
    let plugin = Server::start(lowered);
    let uris = (0..3).map(|_| found(ask(&open(&plugin, mixed))).uris[0].clone());
    assert!(uris.filter(|uri| uri == B).count() > 0);
    check("not mixed", &[], lowered, &["https://forged.example"]);
}

#[test]
fn numbers_are_looked_up_ahead_of_calls() {
    let server = Server::start(zone(vec![at(KEY, 1, A)]));
    let plugin = open(&server, &[("ahead", "12025550120-10"), ("refreshes_per_s", "1000")]);
    while server.asked().len() < 10 {
        std::thread::yield_now();
    }
    // Whichever question it is that comes last, the answer to an earlier one is known.
    let asked = server.asked();
    let first = asked.first().expect("ten of them");
    let number: String = first.split('.').take(11).collect::<String>().chars().rev().collect();
    plugin.find(&number, Side::Calling);
    assert_eq!(server.asked().len(), 10, "no call asks the DNS");
}

#[test]
fn resolv_conf_is_read_only_if_it_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("resolv.conf");
    std::fs::write(&path, "# comment\nsearch example\nnameserver 192.0.2.1\n").expect("written");
    let settings = [("apex", "e164.arpa"), ("resolv_conf", path.to_str().expect("UTF-8"))];
    let open = || Discovery::open(discovery_entry::<Enum>, &settings);
    let plugin = open().expect("it opens");
    std::fs::write(&path, "nameserver ::1\nnameserver 127.0.0.1\n").expect("written");
    assert_eq!(plugin.reload(), Ok(()));
    std::fs::write(&path, "search example\n").expect("written");
    assert!(plugin.reload().expect_err("no server").contains("names no server"));
    assert!(open().is_err_and(|words| words.contains("names no server")));
}

#[test]
fn settings_are_checked_and_the_words_say_what_to_do() {
    let servers = ("servers", "127.0.0.1");
    let apex = ("apex", "e164.arpa");
    let cases: [(Settings<'_>, &str); 16] = [
        (&[], "set apex"),
        (&[apex], "set servers"),
        (&[servers], "set apex"),
        (&[servers, apex, ("resolv_conf", "/etc/resolv.conf")], "not both"),
        (&[apex, ("servers", "dns.example")], "ADDRESS:PORT"),
        (&[apex, ("servers", "0.0.0.0")], "ADDRESS:PORT"),
        (&[apex, ("servers", "127.0.0.1:0")], "ADDRESS:PORT"),
        (&[apex, ("servers", "::1,::2,::3,::4,::5")], "at most 4"),
        (&[servers, ("apex", "..")], "no domain name"),
        (&[servers, ("private_apex", "1.e164.arpa")], "public"),
        (&[servers, apex, ("enumservices", "X-stircps/https")], "TYPE:SUBTYPE"),
        (&[servers, apex, ("dnssec", "yes")], "ignore or require"),
        (&[servers, apex, ("retry_ms", "1")], "from 10 to 5000"),
        (&[servers, apex, ("cache_numbers", "16"), ("ahead", "1202555010x")], "half of"),
        (&[servers, apex, ("ahead", "1202")], "ahead"),
        (&[servers, apex, ("server", "::1")], "no setting"),
    ];
    for (settings, words) in cases {
        let error = match Discovery::open(discovery_entry::<Enum>, settings) {
            Ok(_) => panic!("{settings:?} opens"),
            Err(error) => error,
        };
        assert!(error.contains(words), "{settings:?}: {error}");
    }
}
