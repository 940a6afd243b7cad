//! A discoverer with sources that do as they are told.

use std::sync::mpsc::{Receiver, Sender, channel};

use herald_stir::SystemRandom;

use super::source::Done;
use super::*;
use crate::plugins::discovery::Found;

/// Leaves what it is asked for the test to answer.
struct Left {
    asked: Mutex<Sender<(Question, Done)>>,
    seen: Mutex<Vec<Vec<u8>>>,
}

impl Source for Left {
    fn ask(&self, question: Question, done: Done) {
        // A test that is over asks no more.
        let _ = self.asked.lock().send((question, done));
    }

    fn observe_certificate(&self, der: &[u8]) {
        self.seen.lock().push(der.to_vec());
    }
}

/// Answers at once, on the thread that asks.
struct AtOnce(fn() -> Outcome);

impl Source for AtOnce {
    fn ask(&self, _: Question, done: Done) {
        done((self.0)());
    }

    fn observe_certificate(&self, _: &[u8]) {}
}

struct Heard(Sender<Answer>);

impl AnswerWaiter for Heard {
    fn tell(&self, answer: Answer) {
        self.0.send(answer).unwrap();
    }
}

struct Scene {
    discoverer: Arc<Discoverer>,
    left: Arc<Left>,
    asked: Receiver<(Question, Done)>,
    told: Receiver<Answer>,
    teller: Sender<Answer>,
}

impl Scene {
    /// `left`, a stranger's; `mine` and `own`, which are the operator's.
    fn new() -> Self {
        let ((asked_by, asked), (teller, told)) = (channel(), channel());
        let left = Arc::new(Left { asked: Mutex::new(asked_by), seen: Mutex::default() });
        let mut codes = Directory::new();
        let block = "2-12155551212".parse().unwrap();
        let herald_stir::services::Selector::Numbers(block) = block else { panic!("a block") };
        codes.set_code(block, "ABCD").unwrap();
        let mut discoverer = Discoverer::new(Arc::new(codes), Arc::new(SystemRandom), 700);
        discoverer.add("left", left.clone(), false);
        discoverer.add("mine", left.clone(), true);
        discoverer.add("own", Arc::new(AtOnce(|| found(&["https://own.example"], 0))), true);
        discoverer.add("odd", Arc::new(AtOnce(|| found(&["unix:/run/x", "local", "http://x"], 9))), false);
        Self { discoverer: Arc::new(discoverer), left, asked, told, teller }
    }

    fn want(&self, source: &str, number: &str, at_s: u64) -> Option<Answer> {
        let now = Timestamp::from_millis(at_s * 1000);
        let wanted = Wanted { source, number: number.parse().unwrap(), side: Side::Called };
        self.discoverer.want(wanted, Box::new(Heard(self.teller.clone())), now)
    }

    fn answers(&self) -> Vec<Answer> {
        self.told.try_iter().collect()
    }
}

fn found(uris: &[&str], fresh_s: u32) -> Outcome {
    let uris = uris.iter().map(|&uri| uri.to_owned()).collect();
    Outcome::Found(Found { uris, is_proven: false, fresh_s, note: "found".to_owned() })
}

fn services(answer: &Answer) -> (Vec<String>, bool, bool) {
    let Answer::Discovered(found) = answer else { panic!("{answer:?}") };
    (found.services.iter().map(ToString::to_string).collect(), found.is_proven, found.is_kept)
}

const NUMBER: &str = "12155551212";

#[test]
fn a_number_is_asked_for_once_for_all_who_wait_and_then_kept_and_renewed_beside_the_calls() {
    let scene = Scene::new();
    assert_eq!([scene.want("left", NUMBER, 0), scene.want("left", NUMBER, 0)], [None, None]);
    let (question, done) = scene.asked.try_recv().unwrap();
    assert_eq!((question.spc.as_deref(), question.deadline_ms), (Some("ABCD"), 700));
    assert!(scene.asked.try_recv().is_err(), "the second call joined the first");
    done(found(&["https://a.example", "https://A.example:443", "https://b.example"], 100));
    let told = scene.answers();
    let both = vec!["https://a.example".to_owned(), "https://b.example".to_owned()];
    assert_eq!(told.iter().map(services).collect::<Vec<_>>(), vec![(both.clone(), false, false); 2]);

    let kept = |at_s| scene.want("left", NUMBER, at_s).map(|answer| services(&answer));
    assert_eq!(kept(60), Some((both.clone(), false, true)), "kept, and not due");
    assert!(scene.asked.try_recv().is_err());
    assert_eq!([kept(80), kept(80)], [Some((both.clone(), false, true)), Some((both, false, true))]);
    let (_, done) = scene.asked.try_recv().expect("it is renewed");
    assert!(scene.asked.try_recv().is_err(), "once");
    done(found(&["https://c.example"], 100));
    assert_eq!(kept(81), Some((vec!["https://c.example".to_owned()], false, true)));
    assert_eq!(scene.answers(), [], "nobody waited for the renewal");

    let (name, counters) = scene.discoverer.counters().swap_remove(0);
    assert_eq!(name, "left");
    let expected =
        SourceCounters { asked: 2, refreshed: 1, joined: 1, kept: 4, found: 2, ..SourceCounters::default() };
    assert_eq!(counters, expected);
}

#[test]
fn a_source_that_fails_is_left_in_peace_for_that_number_for_a_while() {
    let scene = Scene::new();
    let failed = |why: &str| Answer::Failed(IoFault::Unreachable(why.to_owned()));
    assert_eq!(scene.want("left", NUMBER, 0), None);
    drop(scene.asked.try_recv().unwrap());
    assert_eq!(scene.answers(), [failed("it dropped the question")]);
    assert_eq!(scene.want("left", NUMBER, 4), Some(failed("it dropped the question")));
    assert_eq!(scene.want("left", "12155551213", 4), None, "other numbers are asked for");
    assert_eq!(scene.want("left", NUMBER, 5), None);
    assert_eq!(scene.asked.try_iter().count(), 2);
    assert!(matches!(scene.want("nobody", NUMBER, 5), Some(Answer::Failed(IoFault::NotAllowed(_)))));
}

#[test]
fn only_the_operators_own_source_names_services_that_are_asked_wherever_they_are() {
    let scene = Scene::new();
    assert_eq!(scene.want("left", NUMBER, 0), None);
    scene.asked.try_recv().unwrap().1(found(&["https://left.example"], 9));
    for source in ["own", "odd"] {
        assert_eq!(scene.want(source, NUMBER, 0), None, "told on the way");
    }
    let told = scene.answers();
    assert_eq!(services(&told[0]), (vec!["https://left.example".to_owned()], false, false));
    assert_eq!(services(&told[1]), (vec!["https://own.example".to_owned()], true, false));
    assert!(matches!(&told[2], Answer::Failed(IoFault::Malformed(_))), "{:?}", told[2]);
    let is_own = |uri: &str| scene.discoverer.is_own(&uri.parse().unwrap());
    assert_eq!([is_own("https://own.example"), is_own("https://left.example")], [true, false]);
}

#[test]
fn questions_under_way_are_bounded_and_certificates_are_shown_once() {
    let scene = Scene::new();
    for index in 0..DISCOVERIES_MAX {
        assert_eq!(scene.want("left", &(12_155_550_000 + index).to_string(), 0), None);
    }
    assert_eq!(scene.want("left", "1", 0), Some(Answer::Failed(IoFault::Busy)));
    scene.asked.try_recv().unwrap().1(Outcome::Nothing { fresh_s: 0, note: String::new() });
    assert_eq!(scene.want("left", "1", 0), None, "one is over, so there is room");

    for der in [b"one", b"one", b"two"] {
        scene.discoverer.show_certificate(der, Timestamp::default());
    }
    let twice = [b"one", b"one", b"two", b"two"].map(|der| der[..].to_vec());
    assert_eq!(*scene.left.seen.lock(), twice, "by each of its names");
}

#[test]
fn what_was_asked_before_all_was_forgotten_is_neither_kept_nor_joined_nor_the_operators_own() {
    let scene = Scene::new();
    let is_own = |uri: &str| scene.discoverer.is_own(&uri.parse().unwrap());
    let ask = || {
        assert_eq!(scene.want("mine", NUMBER, 0), None);
        scene.asked.try_recv().expect("it is asked").1
    };
    ask()(found(&["https://first.example"], 100));
    assert!(is_own("https://first.example"));
    scene.discoverer.forget();
    assert!(!is_own("https://first.example"));

    let old = ask();
    scene.discoverer.forget();
    let new = ask();
    new(found(&["https://new.example"], 100));
    old(found(&["https://old.example"], 100));
    let told: Vec<_> = scene.answers().iter().map(|answer| services(answer).0.join(" ")).collect();
    assert_eq!(told, ["https://first.example", "https://new.example", "https://old.example"]);
    let kept = scene.want("mine", NUMBER, 1).map(|answer| services(&answer).0);
    assert_eq!(kept, Some(vec!["https://new.example".to_owned()]));
    assert_eq!([is_own("https://new.example"), is_own("https://old.example")], [true, false]);
}

#[test]
fn nothing_for_no_time_at_all_is_no_answer() {
    let scene = Scene::new();
    let said = [0, 1].map(|fresh_s| {
        assert_eq!(scene.want("left", &(fresh_s + 5).to_string(), 0), None);
        scene.asked.try_recv().unwrap().1(Outcome::Nothing { fresh_s, note: String::new() });
        matches!(scene.answers()[..], [Answer::Discovered(_)])
    });
    assert_eq!(said, [false, true]);
}
