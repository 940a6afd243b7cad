//! Sources of services: in which order they are asked, for how long, and who is believed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::number;
use herald_core::Timestamp;
use herald_stir::services::{
    Answer, Ask, Asked, CpsPolicy, CpsSource, CpsSources, CpsUri, Destination, Directory, Discovered,
    FindingFault, IoFault, LookedUp, LookupRequest, Machine, Moment, Said, Side, Undecided,
};
use herald_stir::{NumberSet, services::Selector};

const NUMBER: &str = "12155551212";
const CALL_MS: u64 = 2_400;
/// Half of it, that finding services may take.
const SPAN_MS: u64 = 1_200;

/// What a source of the scene answers, and after how many milliseconds.
#[derive(Clone)]
enum Scene {
    Found(&'static str, u64),
    Proven(&'static str, u64),
    Nothing(u64),
    Fails(u64),
    Silent,
    /// A directory in process.
    Here(&'static str),
}

use Scene::{Fails, Found, Here, Nothing, Proven, Silent};

fn uris(text: &str) -> Vec<CpsUri> {
    text.split_whitespace().map(|host| format!("https://{host}").parse().unwrap()).collect()
}

fn source(index: usize, scene: &Scene) -> CpsSource {
    let name = format!("s{index}");
    let Here(services) = scene else { return CpsSource::elsewhere(&name) };
    let mut directory = Directory::new();
    let everybody = [Selector::Numbers(NumberSet::Everybody)];
    if !services.is_empty() {
        directory.add(&everybody, Destination { cps: uris(services), keys: Vec::new() }).unwrap();
    }
    CpsSource::here(&name, Arc::new(directory))
}

fn answer(scene: &Scene) -> Option<(u64, Answer)> {
    let found = |text: &str, is_proven| {
        Answer::Discovered(Discovered { services: uris(text), is_proven, ..Discovered::default() })
    };
    Some(match *scene {
        Found(text, ms) => (ms, found(text, false)),
        Proven(text, ms) => (ms, found(text, true)),
        Nothing(ms) => (ms, found("", false)),
        Fails(ms) => (ms, Answer::Failed(IoFault::Busy)),
        Silent | Here(_) => return None,
    })
}

/// Looks the number up on a virtual clock. The outcome, and when which source was asked.
fn look_up(policy: CpsPolicy, scenes: &[Scene], call_ms: u64) -> (LookedUp, Vec<(usize, u64)>) {
    let sources = scenes.iter().enumerate().map(|(index, scene)| source(index, scene)).collect();
    let sources = Arc::new(CpsSources::new(sources, policy, 10_000));
    let request = LookupRequest { deadline_ms: call_ms, ..LookupRequest::new(number(NUMBER), Side::Called) };
    let mut machine = request.machine(sources);
    let (mut now_ms, mut asks, mut asked, mut due) = (0, Vec::new(), Vec::new(), BTreeMap::new());
    let moment = |ms| Moment::both(Timestamp::from_millis(ms));
    machine.begin(moment(0), &mut asks);
    for _ in 0..100 {
        if let Some(outcome) = machine.outcome() {
            return (outcome, asked);
        }
        for Ask { ticket, what } in asks.drain(..) {
            let Asked::Discover { source, number: about, side, until } = what else { panic!("{what:?}") };
            assert_eq!((about, side, until), (number(NUMBER), Side::Called, moment(call_ms / 2).steady));
            let index: usize = source[1..].parse().unwrap();
            asked.push((index, now_ms));
            if let Some((ms, answer)) = answer(&scenes[index]) {
                due.insert((now_ms + ms, index), (ticket, answer));
            }
        }
        let wake_ms = machine.wake_at().unwrap().as_millis();
        match due.first_entry().filter(|first| first.key().0 <= wake_ms) {
            Some(first) => {
                now_ms = first.key().0;
                let (ticket, answer) = first.remove();
                machine.answer(ticket, answer, moment(now_ms), &mut asks);
            }
            None => {
                assert!(wake_ms > now_ms, "it wakes without an end at {now_ms} ms");
                now_ms = wake_ms;
                machine.wake(moment(now_ms), &mut asks);
            }
        }
    }
    panic!("it does not end");
}

struct Case {
    name: &'static str,
    policy: CpsPolicy,
    scenes: Vec<Scene>,
    services: Result<&'static str, FindingFault>,
    took_ms: u64,
    asked: Vec<(usize, u64)>,
}

fn check(cases: Vec<Case>) {
    for Case { name, policy, scenes, services, took_ms, asked } in cases {
        let (outcome, really) = look_up(policy, &scenes, CALL_MS);
        assert_eq!(outcome.services, services.map(uris), "{name}: {:?}", outcome.reports);
        assert_eq!((outcome.took_ms, really), (took_ms, asked), "{name}");
    }
}

fn case(
    name: &'static str,
    policy: CpsPolicy,
    scenes: &[Scene],
    services: Result<&'static str, FindingFault>,
    took_ms: u64,
    asked: &[(usize, u64)],
) -> Case {
    Case { name, policy, scenes: scenes.to_vec(), services, took_ms, asked: asked.to_vec() }
}

const UNPROVEN: Result<&str, FindingFault> = Err(FindingFault::Undecided(Undecided::Unproven));
const DISAGREEMENT: Result<&str, FindingFault> = Err(FindingFault::Undecided(Undecided::Disagreement));
const NO_SERVICE: Result<&str, FindingFault> = Err(FindingFault::NoService);

#[test]
fn sources_are_asked_in_order_and_a_slow_one_is_passed_over_in_its_share_of_the_time() {
    let first = CpsPolicy::First;
    check(vec![
        case("the first that finds", first, &[Found("a", 10), Found("b", 10)], Ok("a"), 10, &[(0, 0)]),
        case("nothing is no end", first, &[Nothing(10), Found("b", 5)], Ok("b"), 15, &[(0, 0), (1, 10)]),
        case("nor a failure", first, &[Fails(10), Found("b", 5)], Ok("b"), 15, &[(0, 0), (1, 10)]),
        case("what is here costs nothing", first, &[Here(""), Here("h"), Found("b", 5)], Ok("h"), 0, &[]),
        case(
            "silence costs a share each",
            first,
            &[Silent, Silent, Found("c", 7)],
            Ok("c"),
            807,
            &[(0, 0), (1, 400), (2, 800)],
        ),
        case(
            "one that was passed over may still answer, and goes before",
            first,
            &[Found("a", 650), Found("b", 100)],
            Ok("a"),
            650,
            &[(0, 0), (1, 600)],
        ),
        case(
            "one that is late is waited for while there is nothing else",
            first,
            &[Found("a", 1_100), Nothing(10)],
            Ok("a"),
            1_100,
            &[(0, 0), (1, 600)],
        ),
        case("nobody knows", first, &[Here(""), Nothing(3), Nothing(4)], NO_SERVICE, 7, &[(1, 0), (2, 3)]),
        case(
            "nobody could say",
            first,
            &[Fails(3), Nothing(4)],
            Err(FindingFault::Discovery(IoFault::Busy)),
            7,
            &[(0, 0), (1, 3)],
        ),
        case(
            "the time is bounded",
            first,
            &[Silent, Silent],
            Err(FindingFault::Discovery(IoFault::TimedOut)),
            SPAN_MS,
            &[(0, 0), (1, 600)],
        ),
        case("no source at all", first, &[], NO_SERVICE, 0, &[]),
    ]);
}

#[test]
fn what_is_not_proven_is_believed_only_if_every_other_source_has_had_its_say() {
    let proven = CpsPolicy::Proven;
    check(vec![
        case("proof is enough", proven, &[Proven("a", 10), Found("b", 1)], Ok("a"), 10, &[(0, 0)]),
        case("so is the operator's word", proven, &[Here("h"), Proven("b", 1)], Ok("h"), 0, &[]),
        case(
            "proof overrules, wherever it stands",
            proven,
            &[Found("a", 10), Nothing(900), Proven("c", 20)],
            Ok("c"),
            30,
            &[(0, 0), (1, 10), (2, 10)],
        ),
        case(
            "when the others know nothing it is believed",
            proven,
            &[Found("a", 10), Nothing(20), Here("")],
            Ok("a"),
            30,
            &[(0, 0), (1, 10)],
        ),
        case(
            "whoever silences the one that proves gains nothing",
            proven,
            &[Found("forged", 10), Silent],
            UNPROVEN,
            SPAN_MS,
            &[(0, 0), (1, 10)],
        ),
        case(
            "nor whoever breaks it",
            proven,
            &[Fails(5), Found("forged", 10)],
            UNPROVEN,
            15,
            &[(0, 0), (1, 5)],
        ),
        case("nobody knows", proven, &[Nothing(5), Nothing(5)], NO_SERVICE, 10, &[(0, 0), (1, 5)]),
    ]);
}

#[test]
fn sources_that_must_agree_are_asked_at_once_and_share_a_service() {
    let agree = CpsPolicy::Agree;
    let both: &[(usize, u64)] = &[(0, 0), (1, 0)];
    check(vec![
        case("what both name", agree, &[Found("a b c", 10), Proven("C:443 x a", 30)], Ok("a c"), 30, both),
        case("no common service", agree, &[Proven("a", 10), Found("b", 30)], DISAGREEMENT, 30, both),
        case("paths are not alike", agree, &[Found("a/one", 1), Found("a/two", 1)], DISAGREEMENT, 1, both),
        case("nothing is no opinion", agree, &[Found("a", 10), Nothing(5)], Ok("a"), 10, both),
        case("nor is silence", agree, &[Found("a", 10), Silent], Ok("a"), SPAN_MS, both),
        case("what is here is one of them", agree, &[Here("h"), Found("a", 4)], DISAGREEMENT, 4, &[(1, 0)]),
    ]);
}

#[test]
fn a_report_says_what_each_source_said_and_how_long_it_took() {
    let scenes = [Here(""), Silent, Fails(30), Proven("c", 10), Found("d", 1)];
    let (outcome, _) = look_up(CpsPolicy::First, &scenes, 4_000);
    let brief: Vec<_> = outcome
        .reports
        .iter()
        .map(|report| {
            let said = match &report.said {
                Said::NotAsked => "not asked".to_owned(),
                Said::Waiting => "waiting".to_owned(),
                Said::Failed(fault) => format!("failed: {fault:?}"),
                Said::Answered(found) => format!("{} proven {}", found.services.len(), found.is_proven),
            };
            (&*report.source, said, report.asked_after_ms, report.took_ms)
        })
        .collect();
    assert_eq!(
        brief,
        [
            ("s0", "0 proven false".into(), 0, 0),
            ("s1", "waiting".into(), 0, 540),
            ("s2", "failed: Busy".into(), 500, 30),
            ("s3", "1 proven true".into(), 530, 10),
            ("s4", "not asked".into(), 0, 0),
        ]
    );
}

#[test]
fn without_time_what_is_known_here_is_still_found() {
    let (outcome, asked) = look_up(CpsPolicy::First, &[Here("h")], 0);
    assert_eq!((outcome.services, asked), (Ok(uris("h")), vec![]));
}
