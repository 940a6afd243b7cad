//! What an engine does while the disk that it reads from stands still.

use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use herald_core::{BatchExchange, Clock, PlacementId, Request, Storing, TelephoneNumber, Timestamp, batch};
use herald_log::{BeyondConfig, BeyondRecord, Keeper, KeptPlace, PlacementLog};
use herald_net::{Bytes, Dialogue, InputEnd};
use herald_stir::services::{Answer, Ask, Asked, CpsUri, Machine, Moment, Ticket, Tickets, Turn};
use parking_lot::{Condvar, Mutex};

use crate::batch::BatchDialogue;
use crate::clock::wall_clock;
use crate::config::Config;
use crate::door::{Door, Reply};
use crate::engine::Report;
use crate::fetch::{FetchPolicy, Fetcher};
use crate::keys::KeyShelf;
use crate::limits::{READ_WAIT_MS, READERS_MIN, READS_WAITING_MAX, SESSIONS_MAX};
use crate::shared::tests::{log_config, shared_over};
use crate::shared::{Retrieved, Shared};
use crate::worker::{Host, Worker, WorkerConfig};

const BODY: [u8; 640] = [9; 640];
const SOON: Duration = Duration::from_secs(20);

/// A keeper whose reads end when it is let go.
#[derive(Default)]
struct StillDisk {
    goes: Mutex<bool>,
    changed: Condvar,
    reads_count: AtomicUsize,
}

impl StillDisk {
    fn let_go(&self) {
        *self.goes.lock() = true;
        self.changed.notify_all();
    }
}

impl Keeper for StillDisk {
    fn read(&self, _: &KeptPlace, visit: &mut dyn FnMut(&[u8])) -> bool {
        self.reads_count.fetch_add(1, Ordering::SeqCst);
        let mut goes = self.goes.lock();
        self.changed.wait_while(&mut goes, |goes| !*goes);
        visit(&BODY);
        true
    }
}

/// A clock that is moved by hand.
struct HandClock(AtomicU64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

struct Scene {
    shared: Arc<Shared>,
    disk: Arc<StillDisk>,
    clock: Arc<HandClock>,
}

impl Scene {
    /// An engine where one placement, of [`victim`], has left memory.
    fn new() -> Self {
        let disk = Arc::new(StillDisk::default());
        let clock = Arc::new(HandClock(AtomicU64::new(10_000_000)));
        let beyond = BeyondConfig { bytes: 32 << 20, keeper: disk.clone() };
        let log = PlacementLog::create_beyond(log_config(), &beyond).expect("52 MiB are to be had");
        let expires_at = clock.now().plus_millis(50_000);
        let record = BeyondRecord { number: victim(), id: id(), expires_at, origin: 0, offset: 0 };
        log.restore_beyond(&[record]).expect("room for one");
        let shared = Arc::new(shared_over(log, clock.clone()));
        shared.start_readers(READERS_MIN).expect("some threads");
        Self { shared, disk, clock }
    }

    /// Has every reader wait for the disk.
    fn hold_readers(&self) -> Vec<Retrieved<Vec<herald_core::Item>>> {
        let begin = |_| self.shared.begin_retrieve(victim()).expect("room");
        let held = (0..READERS_MIN).map(begin).collect();
        self.wait_until(|| self.disk.reads_count.load(Ordering::SeqCst) == READERS_MIN);
        held
    }

    fn wait_until(&self, happened: impl Fn() -> bool) {
        while !happened() {
            std::thread::yield_now();
        }
    }
}

fn victim() -> TelephoneNumber {
    "12225550111".parse().expect("a number")
}

fn other() -> TelephoneNumber {
    "12225550112".parse().expect("a number")
}

fn id() -> PlacementId {
    PlacementId::from_bytes([5; 16])
}

#[test]
fn stores_go_on_while_as_many_threads_of_the_host_retrieve_as_there_are_sessions() {
    let scene = Scene::new();
    let reads_count = || scene.disk.reads_count.load(Ordering::SeqCst);
    std::thread::scope(|scope| {
        let retrieve = || scene.shared.retrieve(victim()).expect("it is read in the end");
        let threads: Vec<_> = (0..SESSIONS_MAX).map(|_| scope.spawn(retrieve)).collect();
        scene.wait_until(|| reads_count() + scene.shared.reads_waiting_count() == SESSIONS_MAX);
        let stored = scene.shared.store_any();
        scene.disk.let_go();
        stored.expect("no session is held while the disk is waited for");
        for thread in threads {
            let items = thread.join().expect("no panic");
            assert!(items.iter().any(|item| item.id == id() && item.body == BODY));
        }
    });
    let lists = scene.shared.retrieve_batch(&[other(), victim()]).expect("the disk goes");
    assert_eq!(
        lists.iter().map(|items| items.iter().any(|item| item.id == id())).collect::<Vec<_>>(),
        [false, true]
    );
}

/// Asks for one thing.
struct One {
    asked: Option<Asked>,
    tickets: Tickets,
    answer: Option<Answer>,
}

impl Machine for One {
    type Outcome = Option<Answer>;

    fn begin(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        let asked = self.asked.take().expect("it begins once");
        Turn::new(now, &mut self.tickets, asks).ask(asked);
    }

    fn answer(&mut self, _: Ticket, answer: Answer, _: Moment, _: &mut Vec<Ask>) {
        self.answer = Some(answer);
    }

    fn wake_at(&self) -> Option<Timestamp> {
        None
    }

    fn wake(&mut self, _: Moment, _: &mut Vec<Ask>) {}

    fn cancel(&mut self) {}

    fn outcome(&mut self) -> Option<Option<Answer>> {
        self.answer.take().map(Some)
    }
}

fn submit(worker: &Worker, asked: Asked) -> Receiver<Option<Answer>> {
    let (sender, told) = channel();
    let machine = One { asked: Some(asked), tickets: Tickets::default(), answer: None };
    let tell = move |answer: Result<Option<Answer>, _>| {
        let _ = sender.send(answer.ok().flatten());
    };
    worker.submit(machine, tell).expect("room for a call");
    told
}

#[test]
fn a_lane_does_other_calls_while_one_waits_for_the_disk() {
    let scene = Scene::new();
    let fetcher = Arc::new(Fetcher::new(FetchPolicy::default()).expect("a fetcher"));
    let config = WorkerConfig { clock: scene.clock.clone(), ..WorkerConfig::new(fetcher) };
    let host =
        Host { shared: scene.shared.clone(), report: Arc::new(|_, _| ()), discoverer: None, wallet: None };
    let worker = Worker::start_beside(Some(host), config).expect("a worker");
    let read = submit(&worker, Asked::Retrieve { cps: CpsUri::Local, number: victim() });
    scene.wait_until(|| scene.disk.reads_count.load(Ordering::SeqCst) == 1);
    let store = Asked::Store { cps: CpsUri::Local, number: other(), body: vec![7; 640] };
    let stored = submit(&worker, store).recv_timeout(SOON);
    scene.disk.let_go();
    assert!(matches!(stored, Ok(Some(Answer::Stored { .. }))), "{stored:?}");
    let read = read.recv_timeout(SOON).expect("it is told");
    assert!(matches!(read, Some(Answer::Items(items)) if items.contains(&BODY.to_vec())));
}

fn door(shared: &Arc<Shared>) -> Door {
    let report: Report = Arc::new(|_, _| {});
    let keys = Arc::new(KeyShelf::open(&Config::default(), None, &report, wall_clock()).expect("a shelf"));
    Door::new(shared.clone(), keys, shared.open_session().expect("a session"), None)
}

/// The status of an answer; `None` if a reader makes it.
fn status_now(door: &Door, target: &str) -> Option<u16> {
    let request = herald_net::Request::builder().uri(target).body(Bytes::new()).expect("a request");
    let (head, body) = request.into_parts();
    let mut reply = door.respond(head, body);
    if matches!(reply, Reply::Reading(_)) {
        return None;
    }
    match Pin::new(&mut reply).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(response) => Some(response.status().as_u16()),
        Poll::Pending => panic!("{target}: an answer that waits"),
    }
}

/// The status with which a batch is refused before its first result; `None` if a reader answers it.
fn batch_status_now(door: &Door, number: TelephoneNumber) -> Option<u16> {
    let head = Request {
        method: "POST",
        target: batch::RETRIEVE_PATH,
        content_type: Some(batch::MEDIA_TYPE),
        ..Request::default()
    };
    let exchange = BatchExchange::open(&head, Storing::Possible).expect("well asked").expect("a batch");
    let mut request = batch::begin();
    batch::put_number(&mut request, number);
    let mut dialogue = BatchDialogue::new(door.desk(), exchange);
    dialogue.take(Bytes::from(request));
    dialogue.end(InputEnd::Complete);
    match dialogue.poll_answer(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Err(response)) => Some(response.status().as_u16()),
        Poll::Ready(Ok(_)) => panic!("a result that waited for no reader"),
        Poll::Pending => None,
    }
}

#[test]
fn whether_a_body_has_left_memory_is_told_neither_by_the_status_nor_by_who_answers() {
    let scene = Scene::new();
    let _held = scene.hold_readers();
    let door = door(&scene.shared);
    let all = || {
        let of = |number: TelephoneNumber| {
            let signs: String = number.signs().map(char::from).collect();
            [
                status_now(&door, &format!("/cps/{signs}/ppts")),
                status_now(&door, &format!("/cps/{signs}/ppts?inline=1")),
                status_now(&door, &format!("/cps/{signs}/ppts/{}", id())),
                batch_status_now(&door, number),
            ]
        };
        [of(victim()), of(other())]
    };
    assert_eq!(all(), [[Some(200), None, None, None]; 2]);
    let wait = |_| scene.shared.read_elsewhere(|_, _| ());
    let waiting: Vec<_> = (0..READS_WAITING_MAX).map_while(wait).collect();
    assert_eq!(scene.shared.reads_waiting_count(), READS_WAITING_MAX);
    assert_eq!(all(), [[Some(200), Some(503), Some(503), Some(503)]; 2]);
    scene.disk.let_go();
    drop(waiting);
}

#[test]
fn work_that_nobody_waits_for_or_that_is_late_is_not_done_and_other_work_goes_by_the_time_it_begins() {
    let scene = Scene::new();
    let _held = scene.hold_readers();
    let begun = Arc::new(AtomicBool::new(false));
    let (abandoned_begun, late_begun) = (begun.clone(), begun.clone());
    let abandoned = scene.shared.read_elsewhere(move |_, _| abandoned_begun.store(true, Ordering::SeqCst));
    drop(abandoned.expect("room"));
    // What nobody waits for takes nobody's place.
    for _ in 0..2 * READS_WAITING_MAX {
        drop(scene.shared.read_elsewhere(|_, _| ()).expect("room"));
    }
    let late = scene.shared.read_elsewhere(move |_, _| late_begun.store(true, Ordering::SeqCst));
    scene.clock.0.fetch_add(READ_WAIT_MS, Ordering::SeqCst);
    let in_time = scene.shared.read_elsewhere(|_, now| now).expect("room");
    scene.clock.0.fetch_add(1, Ordering::SeqCst);
    scene.disk.let_go();
    assert_eq!(in_time.wait(SOON), Some(scene.clock.now()));
    assert_eq!(late.expect("room").wait(SOON), None);
    assert!(!begun.load(Ordering::SeqCst));
}
