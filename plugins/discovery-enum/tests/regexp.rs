//! The substitution of NAPTR records: what it makes, what it discards, and how long hostile ones take.

use std::time::{Duration, Instant};

use herald_discovery_enum::regexp::substitute;

const NUMBER: &str = "+441632960083";

// rfc6116:5.2-7, rfc6116:5.2-8, rfc6116:5.2-9.
#[test]
fn a_number_is_replaced_as_the_regexp_says() {
    // As on the wire: a master file doubles each backslash.
    let cases = [
        ("!^.*$!https://cps.example.net/!", Some("https://cps.example.net/")),
        (r"!^(\+441632960083)$!sip:\1@example.com!", Some("sip:+441632960083@example.com")),
        (r"!^\+441632960083$!h323:operator@example.com!", Some("h323:operator@example.com")),
        (
            r"!^\+44(.*)$!https://uk.example/\1/\1/\1!",
            Some("https://uk.example/1632960083/1632960083/1632960083"),
        ),
        (r"!^\+(4+)(1)([0-9]{3})([[:digit:]]+)$!\4-\3-\2-\1!", Some("960083-632-1-44")),
        // Another delimiter, also one that is escaped in both parts.
        ("/^.*$/https:\\/\\/cps.example\\/a/", Some("https://cps.example/a")),
        ("|^\\+4\\|.*$|https://cps.example/|", None),
        ("#^.*$#https://cps.example/\\##", Some("https://cps.example/#")),
        // The flag that means nothing, and ones there are not.
        ("!^.*$!https://a.example!i", Some("https://a.example")),
        ("!^.*$!https://a.example!x", None),
        ("!^.*$!https://a.example!ii", None),
        // Too few and too many delimiters, or none that can be one.
        ("", None),
        ("!", None),
        ("!^.*$!https://a.example", None),
        ("!^.*$!https://a.example!!", None),
        ("1^.*$1https://a.example1", None),
        (r"\^.*$\https://a.example\", None),
        // It does not match.
        (r"!^\+1.*$!https://a.example!", None),
        ("!441632960083$!https://a.example!", Some("https://a.example")),
        // POSIX brackets.
        ("!^[+][0-9]+$!https://a.example!", Some("https://a.example")),
        ("!^[^0-9][]0-9[]*$!https://a.example!", Some("https://a.example")),
        ("!^[^[:alpha:]]+$!https://a.example!", Some("https://a.example")),
        ("!^[+-9]+$!https://a.example!", Some("https://a.example")),
        ("!^[9-0]+$!https://a.example!", None),
        ("!^[[.plus.]]4!https://a.example!", None),
        ("!^[[:digits:]]+$!https://a.example!", None),
        ("!^[0-9!https://a.example!", None),
        // Alternatives, groups and repeats.
        (r"!^(\+1|\+44)([0-9]{10,13})$!\2!", Some("1632960083")),
        (r"!^\+(44){1}.{9,}$!\1!", Some("44")),
        (r"!^(\+33)?\+?44(.*)$!x\1y\2!", Some("xy1632960083")),
        (r"!^\+44(.*)!\3!", None),
        (r"!^\+44(.*)!\0!", None),
        ("!^+44.*$!https://a.example!", None),
        ("!^.**$!https://a.example!", None),
        ("!^.*?$!https://a.example!", None),
        ("!^.{2,1}$!https://a.example!", None),
        ("!^.{256}$!https://a.example!", None),
        ("!^.{,3}$!https://a.example!", None),
        ("!^(.*$!https://a.example!", None),
        ("!^.*)$!https://a.example!", None),
        // No POSIX: classes, look-around, names, flags.
        (r"!^\+\d+$!https://a.example!", None),
        ("!^(?:.*)$!https://a.example!", None),
        ("!^(?=.*)$!https://a.example!", None),
        ("!^(?P<a>.*)$!https://a.example!", None),
        ("!(?i)^.*$!https://a.example!", None),
        // Signs outside ASCII.
        ("!^.*$!https://é.example!", None),
        ("!^.*$!https://a.example\n!", None),
    ];
    for (regexp, expected) in cases {
        assert_eq!(substitute(regexp.as_bytes(), NUMBER).as_deref(), expected, "{regexp}");
    }
}

#[test]
fn what_comes_out_is_bounded() {
    let copies = |count: usize| format!("!^(.*)$!{}!", r"\1".repeat(count));
    assert_eq!(substitute(copies(39).as_bytes(), NUMBER).map(|uri| uri.len()), Some(39 * 13));
    assert_eq!(substitute(copies(40).as_bytes(), NUMBER), None);
}

#[test]
fn hostile_regexps_take_no_time() {
    let nested = |inner: &str, outer: &str, depth: usize| {
        format!("!^{}{inner}{}$!https://a.example!", "(".repeat(depth), outer.repeat(depth))
    };
    let bombs = [
        format!("!^.*$!{}!", "a".repeat(1 << 20)),
        "(".repeat(1 << 20),
        nested("a", ")*", 30),
        nested(".", ")+", 30),
        nested(".*", ")*", 30),
        nested("", "){255}", 30),
        nested(".", "){255}", 30),
        nested("()", ")*", 28),
        nested(".{0,255}", "){0,255}", 20),
        nested("[0-9]", "|[0-9])*", 22),
        format!("!^{}$!https://a.example!", "(.*)*".repeat(30)),
        format!("!^{}$!https://a.example!", ".{0,255}".repeat(25)),
        format!("!^({})+$!https://a.example!", "|.*".repeat(60)),
        format!("!{}!{}!", "(.*)".repeat(9), r"\1".repeat(100)),
    ];
    for bomb in bombs {
        // The best of some, as the machine may do other things too.
        let took = (0..5).map(|_| {
            let began = Instant::now();
            let _ = substitute(bomb.as_bytes(), NUMBER);
            began.elapsed()
        });
        let took = took.min().unwrap_or_default();
        assert!(took < Duration::from_millis(5), "{took:?} for {:.60}", bomb);
    }
}
