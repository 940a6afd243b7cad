//! The generator against real servers that answer, refuse, stall or keep silent on purpose.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::thread;
use std::time::Duration;

use common::{SMALL, Target};
use herald_load::limits::LAST_ANSWERS_TIMEOUT;
use herald_load::{Operation, Pace, Plan, Protocol, Report, run};
use herald_net::{Bytes, Peer, Refusal, Request, Response, Service, StatusCode};

const STALL: Duration = Duration::from_millis(500);
/// Bytes of a body that does not fit into the windows of HTTP/2.
const LARGE: usize = 60_000;

/// What a server does with the `at`-th request it gets.
#[derive(Clone, Copy)]
enum Trick {
    None,
    /// It stands still before it answers, and with it everything else.
    Stall {
        at: usize,
    },
    /// It never answers.
    Silence {
        at: usize,
    },
    /// It refuses this one and every `at`-th after it.
    Refuse {
        at: usize,
    },
}

struct Tricky {
    trick: Trick,
    requests: Cell<usize>,
}

impl Service for Tricky {
    type Answer = Pin<Box<dyn Future<Output = Response<Bytes>>>>;

    fn answer(&self, _: &Peer, request: Request<Bytes>) -> Self::Answer {
        let number = self.requests.get() + 1;
        self.requests.set(number);
        let is_store = request.method() == "POST" && [SMALL, LARGE].contains(&request.body().len());
        let is_list = request.method() == "GET" && request.body().is_empty();
        let is_known = request.uri().path().starts_with("/cps/1") && request.uri().path().ends_with("/ppts");
        let mut response = Response::new(Bytes::from_static(&[b'a'; 600]));
        *response.status_mut() = match self.trick {
            _ if !is_known || !(is_store || is_list) => StatusCode::NOT_FOUND,
            Trick::Refuse { at } if number.is_multiple_of(at) => StatusCode::SERVICE_UNAVAILABLE,
            _ if is_store => StatusCode::CREATED,
            _ => StatusCode::OK,
        };
        match self.trick {
            Trick::Silence { at } if number == at => return Box::pin(std::future::pending()),
            Trick::Stall { at } if number == at => thread::sleep(STALL),
            _ => {}
        }
        Box::pin(std::future::ready(response))
    }

    fn refuse(&self, refusal: Refusal) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = refusal.status();
        response
    }
}

impl Tricky {
    fn start(trick: Trick) -> Target {
        Target::start(LARGE, move |_| Self { trick, requests: Cell::new(0) })
    }
}

fn count(report: &Report, status: u16) -> u64 {
    report.statuses.get(&status).copied().unwrap_or(0)
}

#[test]
fn every_request_of_the_schedule_is_sent_and_answered_over_either_http() {
    let target = Tricky::start(Trick::None);
    for (protocol, depth) in [(Protocol::Http1, 1), (Protocol::Http1, 16), (Protocol::Http2, 16)] {
        for (operation, status) in [(Operation::Store, 201), (Operation::List, 200)] {
            for threads in [1, 2] {
                let plan = target.plan(protocol, depth, Pace::Open { rate_per_s: 200 });
                let duration = Duration::from_millis(250);
                let report = run(&Plan { operation, threads, duration, ..plan }).unwrap();
                assert_eq!(report.due, 50, "{protocol:?} {depth} {operation:?} {threads}");
                assert_eq!(count(&report, status), 50, "{protocol:?} {depth} {operation:?} {report}");
            }
        }
    }
}

#[test]
fn a_stall_shows_in_the_percentiles_of_the_open_loop_and_hides_from_the_closed_one() {
    for (protocol, depth) in [(Protocol::Http1, 1), (Protocol::Http2, 8)] {
        let target = Tricky::start(Trick::Stall { at: 100 });
        let open = run(&target.plan(protocol, depth, Pace::Open { rate_per_s: 200 })).unwrap();
        assert_eq!((open.due, open.failed()), (200, 0));
        // For half of the second nothing is answered: every request due in it waits for the rest of it.
        let (p75, worst) = (open.latency_at(75.0), open.latency_at(99.0));
        assert!(p75 > STALL / 4, "{protocol:?}: the stall is no more than {p75:?} at p75");
        assert!(worst > STALL * 9 / 10, "{protocol:?}: the stall is no more than {worst:?} at p99");

        // The control: who waits for an answer does not ask during the stall, so that one request shows it. Of two
        // seconds no more than 16 requests can take an eighth each: 65 are enough for three quarters to take less.
        let target = Tricky::start(Trick::Stall { at: 20 });
        let (connections, duration) = (1, Duration::from_secs(2));
        let closed = run(&Plan { connections, duration, ..target.plan(protocol, 1, Pace::Closed) }).unwrap();
        assert!(closed.due > 64, "{protocol:?}: only {} requests, too few for this", closed.due);
        assert!(closed.latency_at(100.0) > STALL * 9 / 10);
        let blind = closed.latency_at(75.0);
        assert!(blind < STALL / 4, "{protocol:?}: {blind:?} at p75 though nothing was asked meanwhile");
    }
}

#[test]
fn refusals_are_counted_by_status() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let target = Tricky::start(Trick::Refuse { at: 10 });
        let report = run(&target.plan(protocol, 4, Pace::Open { rate_per_s: 200 })).unwrap();
        assert_eq!((count(&report, 201), count(&report, 503)), (180, 20));
        assert_eq!(report.failed(), 20);
    }
}

#[test]
fn answers_past_the_end_have_a_latency_and_no_part_in_the_rate() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        // From the 180th on everything is answered some tenths of a second past the end.
        let target = Tricky::start(Trick::Stall { at: 180 });
        let report = run(&target.plan(protocol, 64, Pace::Open { rate_per_s: 200 })).unwrap();
        assert_eq!((report.due, report.failed()), (200, 0), "{protocol:?}");
        assert!((1..180).contains(&report.arrived), "{protocol:?}: {report}");
        assert!(report.latency_at(100.0) > STALL * 9 / 10, "{protocol:?}: {report}");
    }
}

#[test]
fn what_is_never_answered_counts_with_the_latency_it_had_reached() {
    let target = Tricky::start(Trick::Silence { at: 100 });
    let report = run(&target.plan(Protocol::Http2, 8, Pace::Open { rate_per_s: 200 })).unwrap();
    assert_eq!((report.due, report.unanswered, count(&report, 201)), (200, 1, 199));
    assert!(report.latency_at(100.0) > LAST_ANSWERS_TIMEOUT);

    // Of HTTP/1.1 everything behind it on its connection waits too, and the schedule does not.
    let target = Tricky::start(Trick::Silence { at: 100 });
    let report = run(&target.plan(Protocol::Http1, 8, Pace::Open { rate_per_s: 200 })).unwrap();
    assert_eq!((report.due, report.unanswered), (200, 8));
    assert!(report.latency_at(100.0) > LAST_ANSWERS_TIMEOUT);
}

#[test]
fn bodies_larger_than_the_windows_of_http2_arrive_whole() {
    let target = Tricky::start(Trick::None);
    let plan = Plan { body_bytes: LARGE, ..target.plan(Protocol::Http2, 4, Pace::Open { rate_per_s: 50 }) };
    let report = run(&plan).unwrap();
    assert_eq!(count(&report, 201), 50, "{report}");
}

#[test]
fn a_server_that_takes_fewer_streams_is_reported_and_not_measured() {
    let target = Tricky::start(Trick::None);
    let error = run(&target.plan(Protocol::Http2, 65, Pace::Closed)).unwrap_err();
    assert_eq!(error.to_string(), "depth is 65; the server takes 64 streams");
}
