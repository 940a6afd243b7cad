//! The worker: calls are driven to their end for callers that do not wait, each told once, whatever happens.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use herald_runtime::core::{Clock, TelephoneNumber, Timestamp};
use herald_runtime::stir::services::{
    Answer, Ask, Asked, CpsUri, Fetched, Machine, Moment, Ticket, Tickets, Turn,
};
use herald_runtime::{
    CallHandle, CallLost, Config, Engine, EngineErrorKind, Environment, FetchPolicy, Fetcher, NamedCps,
    SystemClock, Worker, WorkerConfig,
};

const SOON: Duration = Duration::from_secs(20);

/// Asks for one thing after the other, and comes to all the answers.
struct Script {
    left: Vec<Asked>,
    tickets: Tickets,
    waits_for: Option<Ticket>,
    answers: Vec<Answer>,
    gives_up_at: Option<Timestamp>,
    allowed_ms: u64,
    end: Option<Outcome>,
    /// Panics when it is told this many answers.
    panics_at: Option<usize>,
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Done(Vec<Answer>),
    Late,
    Cancelled,
}

impl Script {
    fn new(asks: impl IntoIterator<Item = Asked>) -> Self {
        let mut left: Vec<Asked> = asks.into_iter().collect();
        left.reverse();
        Self {
            left,
            tickets: Tickets::default(),
            waits_for: None,
            answers: Vec::new(),
            gives_up_at: None,
            allowed_ms: 20_000,
            end: None,
            panics_at: None,
        }
    }

    fn go_on(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        assert_ne!(self.panics_at, Some(self.answers.len()), "on purpose");
        let asked = self.left.pop();
        self.waits_for = asked.map(|asked| Turn::new(now, &mut self.tickets, asks).ask(asked));
        if self.waits_for.is_none() {
            self.end = Some(Outcome::Done(std::mem::take(&mut self.answers)));
        }
    }
}

impl Machine for Script {
    type Outcome = Outcome;

    fn begin(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        self.gives_up_at = Some(now.steady.plus_millis(self.allowed_ms));
        self.go_on(now, asks);
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer, now: Moment, asks: &mut Vec<Ask>) {
        assert_eq!(self.waits_for, Some(ticket), "an answer that nobody asked for");
        self.answers.push(answer);
        self.go_on(now, asks);
    }

    fn wake_at(&self) -> Option<Timestamp> {
        self.gives_up_at
    }

    fn wake(&mut self, now: Moment, _: &mut Vec<Ask>) {
        if self.gives_up_at.is_some_and(|at| at <= now.steady) {
            self.end = Some(Outcome::Late);
        }
    }

    fn cancel(&mut self) {
        self.end.get_or_insert(Outcome::Cancelled);
    }

    fn outcome(&mut self) -> Option<Outcome> {
        self.end.take()
    }
}

type Told = Result<Outcome, CallLost>;

fn submit(worker: &Worker, script: Script) -> (CallHandle, Receiver<Told>) {
    let (sender, receiver) = channel();
    let handle = worker.submit(script, move |told| sender.send(told).unwrap()).unwrap();
    (handle, receiver)
}

fn outcome(told: &Receiver<Told>) -> Outcome {
    let outcome = told.recv_timeout(SOON).expect("the call ends").expect("no panic");
    // The completion was consumed by the call; nothing can tell it again.
    assert_eq!(told.recv_timeout(SOON), Err(RecvTimeoutError::Disconnected));
    outcome
}

fn number() -> TelephoneNumber {
    "2.222.555.2222".parse().expect("a number")
}

fn store(cps: &CpsUri, fill: u8) -> Asked {
    Asked::Store { cps: cps.clone(), number: number(), body: vec![fill; 640] }
}

fn retrieve(cps: &CpsUri) -> Asked {
    Asked::Retrieve { cps: cps.clone(), number: number() }
}

fn no_fetcher() -> Arc<Fetcher> {
    Arc::new(Fetcher::new(FetchPolicy::default()).unwrap())
}

fn engine(properties: &[(&str, &str)]) -> Engine {
    let mut config = Config::default();
    config.set("memory", "64MiB").unwrap();
    for (name, value) in properties {
        config.set(name, value).unwrap();
    }
    let engine = Engine::open(config, Environment::system(|_, _| {})).unwrap();
    engine.start().unwrap();
    engine
}

/// What is stored through the worker is acknowledged and then retrieved.
fn check_store_and_retrieve(worker: &Worker, cps: &CpsUri) {
    let (_, told) = submit(worker, Script::new([store(cps, 7), store(cps, 8), retrieve(cps)]));
    let Outcome::Done(answers) = outcome(&told) else { panic!("{cps}: not done") };
    let [Answer::Stored { location }, Answer::Stored { .. }, Answer::Items(items)] = &answers[..] else {
        panic!("{cps}: {answers:?}")
    };
    assert!(
        location.contains("/cps/12225552222/ppts/") || location.contains("/cps/22225552222/ppts/"),
        "{location}"
    );
    assert!(items.contains(&vec![7; 640]) && items.contains(&vec![8; 640]), "{cps}: {} items", items.len());
}

#[test]
fn the_engine_in_process_and_one_behind_a_socket_are_asked_alike_at_every_durability() {
    for durability in ["memory", "buffered", "synced"] {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("herald.sock");
        let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        let engine = engine(&[
            ("durability", durability),
            ("data", &path(folder.path())),
            ("unix_socket", &path(&socket)),
        ]);
        let worker = engine.start_worker(WorkerConfig::new(no_fetcher())).unwrap();
        check_store_and_retrieve(&worker, &CpsUri::Local);
        check_store_and_retrieve(&worker, &format!("unix:{}", path(&socket)).parse().unwrap());
        assert_eq!((worker.calls_count(), worker.panics_count()), (0, 0));
    }
}

#[test]
fn what_may_not_be_asked_is_refused_in_words() {
    let worker = Worker::start(WorkerConfig::new(no_fetcher())).unwrap();
    let get = |url: &str| Asked::Get { url: url.to_owned(), kind: Fetched::Certificate };
    let cases = [
        (retrieve(&CpsUri::Local), "no engine in process"),
        (store(&CpsUri::Local, 1), "no engine in process"),
        (retrieve(&"https://cps.example.com".parse().unwrap()), "no authorities are configured"),
        (retrieve(&"unix:/nowhere/at/all".parse().unwrap()), "cannot connect"),
        (get("https://certs.example.com/a.pem"), "not on the allow-list"),
        (get("http://certs.example.com/a.pem"), "does not begin with https://"),
    ];
    for (asked, word) in cases {
        let (_, told) = submit(&worker, Script::new([asked]));
        let Outcome::Done(answers) = outcome(&told) else { panic!("{word}: not done") };
        let [Answer::Failed(fault)] = &answers[..] else { panic!("{answers:?}") };
        assert!(fault.to_string().contains(word), "{fault}");
    }
}

#[test]
fn a_service_that_the_operator_has_not_named_is_asked_at_public_addresses_only() {
    let folder = tempfile::tempdir().unwrap();
    let (listener, named) = silent_socket(folder.path());
    listener.set_nonblocking(true).unwrap();
    let key = rcgen::generate_simple_self_signed(["cps.example".to_owned()]).unwrap();
    let named_https: CpsUri = "https://127.0.0.1:1".parse().unwrap();
    let worker = Worker::start(WorkerConfig {
        cps_roots_pem: key.cert.pem().into_bytes(),
        named_cps: NamedCps::Only([named_https.clone()].into()),
        ..WorkerConfig::new(no_fetcher())
    });
    let worker = worker.unwrap();
    let cases = [
        (named, "only services that the operator has named are asked through a socket"),
        ("https://127.0.0.1:2".parse().unwrap(), "127.0.0.1 has the address 127.0.0.1: loopback"),
        ("https://[::ffff:10.0.0.1]".parse().unwrap(), "IPv4 in IPv6"),
        (named_https, "cannot connect to 127.0.0.1:1"),
    ];
    for (cps, word) in cases {
        let (_, told) = submit(&worker, Script::new([store(&cps, 1)]));
        let Outcome::Done(answers) = outcome(&told) else { panic!("{cps}: not done") };
        let [Answer::Failed(fault)] = &answers[..] else { panic!("{answers:?}") };
        assert!(fault.to_string().contains(word), "{cps}: {fault}");
    }
    assert!(listener.accept().is_err(), "the socket was connected to");
}

#[test]
fn every_call_that_was_taken_is_told_once_while_threads_submit_cancel_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    let (_listener, cps) = silent_socket(folder.path());
    for round in 0..20 {
        let config = WorkerConfig { threads_count: 2, ..WorkerConfig::new(no_fetcher()) };
        let worker = Worker::start(config).unwrap();
        let told = Arc::new(AtomicUsize::new(0));
        let taken: usize = thread::scope(|scope| {
            let submitters: Vec<_> = (0..3)
                .map(|number| {
                    let (worker, told, cps) = (&worker, &told, &cps);
                    scope.spawn(move || {
                        let mut taken = 0;
                        for index in 0..400 {
                            let asks = (index % 3 == 0).then(|| retrieve(cps));
                            let told = told.clone();
                            let tell = move |_| {
                                told.fetch_add(1, Ordering::SeqCst);
                            };
                            let Ok(handle) = worker.submit(Script::new(asks), tell) else { break };
                            taken += 1;
                            if index % 2 == number % 2 {
                                handle.cancel();
                            }
                        }
                        taken
                    })
                })
                .collect();
            // Somewhere in the middle of it, elsewhere each round.
            while told.load(Ordering::SeqCst) < round * 40 {
                thread::yield_now();
            }
            worker.stop();
            submitters.into_iter().map(|submitter| submitter.join().unwrap()).sum()
        });
        assert_eq!((told.load(Ordering::SeqCst), worker.calls_count()), (taken, 0), "round {round}");
    }
}

/// A socket that takes connections and never says anything.
fn silent_socket(folder: &std::path::Path) -> (std::os::unix::net::UnixListener, CpsUri) {
    let path = folder.join("silent.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    (listener, format!("unix:{}", path.display()).parse().unwrap())
}

#[test]
fn a_call_ends_at_its_own_deadline_at_a_cancel_and_at_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let (_listener, cps) = silent_socket(folder.path());
    let worker = Worker::start(WorkerConfig { threads_count: 2, ..WorkerConfig::new(no_fetcher()) }).unwrap();
    let (_, late) = submit(&worker, Script { allowed_ms: 50, ..Script::new([retrieve(&cps)]) });
    assert_eq!(outcome(&late), Outcome::Late);
    let (handle, cancelled) = submit(&worker, Script::new([retrieve(&cps)]));
    handle.cancel();
    assert_eq!(outcome(&cancelled), Outcome::Cancelled);
    handle.cancel();
    let left: Vec<_> = (0..100).map(|_| submit(&worker, Script::new([retrieve(&cps)])).1).collect();
    worker.stop();
    for told in left {
        assert_eq!(outcome(&told), Outcome::Cancelled);
    }
    worker.stop();
    assert_eq!(worker.calls_count(), 0);
    let refused =
        worker.submit(Script::new([]), |_| panic!("a call that was not taken is told")).err().unwrap();
    assert_eq!(refused.kind(), EngineErrorKind::State);
}

#[test]
fn a_panic_of_a_machine_or_a_completion_ends_its_call_alone() {
    let worker = Worker::start(WorkerConfig::new(no_fetcher())).unwrap();
    for at in [0, 1] {
        let (_, told) =
            submit(&worker, Script { panics_at: Some(at), ..Script::new([retrieve(&CpsUri::Local)]) });
        assert_eq!(told.recv_timeout(SOON).expect("the call ends"), Err(CallLost));
    }
    worker.submit(Script::new([]), |_| panic!("on purpose")).unwrap();
    let (_, told) = submit(&worker, Script::new([]));
    assert_eq!(outcome(&told), Outcome::Done(Vec::new()));
    assert_eq!((worker.calls_count(), worker.panics_count()), (0, 3));
}

#[test]
fn a_completion_may_submit_and_stop() {
    let worker = Arc::new(Worker::start(WorkerConfig::new(no_fetcher())).unwrap());
    let (sender, told) = channel();
    let inner = worker.clone();
    worker
        .submit(Script::new([]), move |_| {
            let again = sender.clone();
            inner.submit(Script::new([]), move |outcome| again.send(outcome.unwrap()).unwrap()).unwrap();
            inner.stop();
            // Perhaps the last reference, dropped on the worker's own thread.
            drop(inner);
        })
        .unwrap();
    drop(worker);
    // Begun or not when the worker stopped, the second call is told.
    assert!(matches!(told.recv_timeout(SOON), Ok(Outcome::Done(_) | Outcome::Cancelled)));
}

#[test]
fn submitting_waits_for_nothing_and_has_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let (_listener, cps) = silent_socket(folder.path());
    let worker = Worker::start(WorkerConfig::new(no_fetcher())).unwrap();
    let began = Instant::now();
    let mut taken = 0;
    let refused = loop {
        match worker.submit(Script::new([retrieve(&cps)]), |_| {}) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken <= herald_runtime::limits::WORKER_CALLS_MAX, "no bound");
    };
    assert_eq!(refused.kind(), EngineErrorKind::Busy);
    assert!(began.elapsed() < SOON, "{taken} calls took {:?} to submit", began.elapsed());
}

#[test]
fn the_number_of_threads_has_bounds() {
    for threads_count in [0, 65] {
        let config = WorkerConfig { threads_count, ..WorkerConfig::new(no_fetcher()) };
        assert_eq!(Worker::start(config).err().unwrap().kind(), EngineErrorKind::Argument);
    }
    assert!(SystemClock::starting_at(Timestamp::default()).now() > Timestamp::default());
}
