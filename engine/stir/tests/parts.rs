//! The parts that machines share: fetching what waits for a number, and fetching certificates.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::{Arc, Mutex};

use common::{Seeded, number};
use herald_core::{TelephoneNumber, Timestamp};
use herald_stir::issue::{DevelopmentAuthority, Validity};
use herald_stir::limits::CALL_DOCUMENTS_MAX;
use herald_stir::services::{
    Answer, Ask, Asked, Collection, CollectionFault, CpsDiscovery, CpsSources, CpsUri, Fetched, Gathering,
    IoFault, Lookup, Moment, Side, Tickets, Turn,
};
use herald_stir::{CertificateSource, ChainCache, Fault, TnAuthList, TnEntry};

const DOWN: IoFault = IoFault::TimedOut;

fn at(seconds: u64) -> Moment {
    Moment::both(Timestamp::from_millis(seconds * 1000))
}

/// Finds what it was told, after a document if it names one.
struct Found {
    services: Vec<CpsUri>,
    first: Mutex<Option<&'static str>>,
}

impl Found {
    fn new(services: &[&str]) -> Self {
        let services = services.iter().map(|cps| cps.parse().unwrap()).collect();
        Self { services, first: Mutex::new(None) }
    }
}

impl CpsDiscovery for Found {
    fn cps_for(&self, _: TelephoneNumber, side: Side, _: Timestamp) -> Lookup<Vec<CpsUri>> {
        assert_eq!(side, Side::Called);
        match *self.first.lock().unwrap() {
            Some(url) => Lookup::Fetch { url: url.into(), kind: Fetched::KeyBundle },
            None if self.services.is_empty() => Lookup::NotFound,
            None => Lookup::Found(self.services.clone()),
        }
    }

    fn learn(&self, _: &str, body: &[u8], _: u64, _: Timestamp) {
        if body == b"good" {
            *self.first.lock().unwrap() = None;
        }
    }
}

/// A collection driven by hand, each call at a second of its own.
struct Driven {
    by: CpsSources,
    part: Collection,
    tickets: Tickets,
    asks: Vec<Ask>,
}

impl Driven {
    fn begin(by: Found) -> (Self, Result<(), CollectionFault>) {
        let (part, tickets) = (Collection::of(number("12355551212")), Tickets::default());
        let by = CpsSources::only(Arc::new(by));
        let mut driven = Self { by, part, tickets, asks: Vec::new() };
        let result = driven.discover();
        (driven, result)
    }

    fn discover(&mut self) -> Result<(), CollectionFault> {
        let mut turn = Turn::new(at(100), &mut self.tickets, &mut self.asks);
        self.part.discover(&self.by, at(103).steady, &mut turn)
    }

    fn answer(&mut self, index: usize, answer: Answer) -> Result<(), CollectionFault> {
        let ticket = self.asks[index].ticket;
        assert!(self.part.awaits(ticket));
        let mut turn = Turn::new(at(101), &mut self.tickets, &mut self.asks);
        self.part.answer(ticket, answer, &self.by, &mut turn)
    }

    fn items(self) -> Vec<Vec<u8>> {
        self.part.into_items().collect()
    }
}

fn items(texts: &[&str]) -> Answer {
    Answer::Items(texts.iter().map(|text| text.as_bytes().to_vec()).collect())
}

// rfc8816:7.3-1.
#[test]
fn a_service_elsewhere_is_reached_over_tls_or_not_at_all() {
    for good in ["https://cps.example.net/oob", "unix:/run/cps", "local"] {
        assert_eq!(good.parse::<CpsUri>().map(|cps| cps.to_string()), Ok(good.to_owned()));
    }
    for bad in ["http://cps.example.net", "cps.example.net", "ftp://cps.example.net", "https://", "unix:", ""]
    {
        assert!(bad.parse::<CpsUri>().is_err(), "{bad}");
    }
}

#[test]
fn all_services_are_asked_and_the_slow_ones_waited_for_a_while() {
    let (mut driven, begun) = Driven::begin(Found::new(&["https://a", "https://b", "https://c"]));
    assert_eq!((begun, driven.asks.len()), (Ok(()), 3));
    driven.answer(1, Answer::Failed(DOWN)).unwrap();
    assert_eq!((driven.part.wake_at(), driven.part.is_complete(at(200).steady)), (None, false));
    driven.answer(2, items(&["x", "y"])).unwrap();
    assert_eq!(driven.part.wake_at(), Some(at(102).steady));
    assert!(!driven.part.is_complete(at(101).steady) && driven.part.is_complete(at(102).steady));
    driven.answer(0, items(&["y", "z"])).unwrap();
    assert!(driven.part.is_complete(at(101).steady) && !driven.part.awaits(driven.asks[0].ticket));
    assert_eq!(driven.items(), [b"x", b"y", b"z"], "the same item of two services counts once");
}

#[test]
fn nothing_fetched_says_why() {
    let (_, begun) = Driven::begin(Found::new(&[]));
    assert_eq!(begun, Err(CollectionFault::NoService));

    let (mut driven, _) = Driven::begin(Found::new(&["https://a", "https://b"]));
    driven.answer(0, Answer::Failed(IoFault::Busy)).unwrap();
    assert_eq!(driven.answer(1, Answer::Failed(DOWN)), Err(CollectionFault::Retrieve(DOWN)));

    let (mut driven, _) = Driven::begin(Found::new(&["https://a"]));
    let other = driven.answer(0, Answer::Stored { location: String::new() });
    assert!(matches!(other, Err(CollectionFault::Retrieve(IoFault::Malformed(_)))));
}

#[test]
fn a_document_may_have_to_be_fetched_first_but_not_for_ever() {
    let needs = || {
        let found = Found::new(&["https://a"]);
        *found.first.lock().unwrap() = Some("https://d/b");
        found
    };
    let body = |text: &str| Answer::Fetched { body: text.as_bytes().into(), fresh_s: 9 };

    let (mut driven, _) = Driven::begin(needs());
    assert!(matches!(&driven.asks[0].what, Asked::Get { url, .. } if url == "https://d/b"));
    driven.answer(0, body("good")).unwrap();
    driven.discover().unwrap();
    driven.answer(1, items(&["x"])).unwrap();
    assert!(driven.part.is_complete(at(101).steady));

    let (mut driven, _) = Driven::begin(needs());
    driven.answer(0, Answer::Failed(DOWN)).unwrap();
    assert_eq!(driven.discover(), Err(CollectionFault::Discovery(DOWN)));

    let (mut driven, mut result) = Driven::begin(needs());
    let mut fetches = 0;
    while result.is_ok() && fetches < 100 {
        driven.answer(fetches, body("bad")).unwrap();
        fetches += 1;
        result = driven.discover();
    }
    assert!(matches!(result, Err(CollectionFault::Discovery(_))) && fetches == 3, "{fetches} {result:?}");
}

#[test]
fn each_certificate_is_asked_for_once_and_only_if_it_is_not_at_hand() {
    let validity = Validity { from_s: 0, to_s: 4_000_000_000 };
    let random = Seeded::new(4);
    let authority = DevelopmentAuthority::new("a", validity, &random).unwrap();
    let numbers = TnAuthList::new(vec![TnEntry::One(number("1"))]).unwrap();
    let pem = authority.issue("s", &numbers, validity, &random).unwrap().chain_pem;
    let fetched = |body: &str| Answer::Fetched { body: body.as_bytes().into(), fresh_s: 60 };
    let (cache, mut part, mut tickets, mut asks) =
        (ChainCache::default(), Gathering::default(), Tickets::default(), Vec::new());
    let mut gather = |part: &mut Gathering, asks: &mut Vec<Ask>, urls: &[&str]| {
        part.gather(
            urls.iter().map(|url| ((*url).to_owned(), Fetched::Certificate)),
            &cache,
            &mut Turn::new(at(100), &mut tickets, asks),
        );
    };

    gather(&mut part, &mut asks, &["good", "bad", "good", "gone"]);
    assert_eq!(asks.len(), 3);
    let answers = [fetched(&pem), fetched("no PEM"), Answer::Failed(DOWN)];
    for (ask, answer) in asks.clone().into_iter().zip(answers) {
        assert!(part.awaits(ask.ticket) && !part.is_complete());
        part.answer(
            ask.ticket,
            answer,
            &cache,
            &Turn::new(at(100), &mut Tickets::default(), &mut Vec::new()),
        );
        assert!(!part.awaits(ask.ticket));
    }
    assert!(part.is_complete());
    let source = part.gathered(&cache);
    let found = |url: &str| source.chain(url, at(100).wall).map(|_| ());
    assert_eq!(found("good"), Ok(()));
    assert!(matches!(found("bad"), Err(Fault::NoCertificate | Fault::ChainUnreadable)));
    assert_eq!(found("gone"), Err(Fault::NoCertificate));

    asks.clear();
    gather(&mut Gathering::default(), &mut asks, &["good"]);
    assert_eq!(asks, [], "what the cache has is not fetched");
    let many: Vec<String> = (0..100).map(|index| format!("https://{index}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    gather(&mut Gathering::default(), &mut asks, &many);
    assert_eq!(asks.len(), CALL_DOCUMENTS_MAX);
}
