//! The fetcher behind a worker: each document is asked for once and kept, hostile URLs and hosts get no connection or
//! an error that names what was wrong, and no caller waits.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use herald_runtime::core::{Clock, Timestamp};
use herald_runtime::limits::FETCHES_PER_HOST_MAX;
use herald_runtime::net::{
    Address, Bytes, ClientCertificates, Dialer, ListenSpec, ManualClock, Peer, Refusal, Request, Resolver,
    ResolverReply, Response, Server, ServerConfig, Service, Surroundings, SystemDialer, TlsSlot,
    tls_server_config,
};
use herald_runtime::stir::services::{
    Answer, Ask, Asked, Fetched, IoFault, Machine, Moment, Ticket, Tickets, Turn,
};
use herald_runtime::{FetchPolicy, Fetcher, Worker, WorkerConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

const SOON: Duration = Duration::from_secs(20);

/// Wants one document, and comes to the answer.
struct Wish {
    url: String,
    tickets: Tickets,
    answer: Option<Answer>,
}

impl Machine for Wish {
    type Outcome = Answer;

    fn begin(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        let what = Asked::Get { url: self.url.clone(), kind: Fetched::Certificate };
        Turn::new(now, &mut self.tickets, asks).ask(what);
    }

    fn answer(&mut self, _: Ticket, answer: Answer, _: Moment, _: &mut Vec<Ask>) {
        self.answer = Some(answer);
    }

    fn wake_at(&self) -> Option<Timestamp> {
        None
    }

    fn wake(&mut self, _: Moment, _: &mut Vec<Ask>) {}

    fn cancel(&mut self) {
        self.answer.get_or_insert(Answer::Failed(IoFault::Busy));
    }

    fn outcome(&mut self) -> Option<Answer> {
        self.answer.take()
    }
}

/// The steady clock, moved by hand.
#[derive(Default)]
struct HandClock(AtomicU64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// An authority and what chains to it.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn server(&self, names: &[&str]) -> Arc<rustls::ServerConfig> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap();
        let (chain, key) = (certificate.pem(), key.serialize_pem());
        tls_server_config(chain.as_bytes(), key.as_bytes(), ClientCertificates::NotAsked).unwrap()
    }
}

/// Serves documents of every kind, and counts who asks.
#[derive(Clone, Default)]
struct Repository {
    asked: Arc<AtomicUsize>,
}

impl Service for Repository {
    type Answer = Ready<Response<Bytes>>;

    fn answer(&self, _: &Peer, request: Request<Bytes>) -> Self::Answer {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let response = |status: u16, header: (&'static str, &'static str), body: Vec<u8>| {
            let response = Response::builder().status(status).header(header.0, header.1);
            ready(response.body(Bytes::from(body)).unwrap())
        };
        let aged = ("cache-control", "max-age=1000");
        match request.uri().path() {
            "/kept.pem" => response(200, aged, b"kept".to_vec()),
            "/largest.pem" => response(200, aged, vec![b'x'; 65_536]),
            "/huge.pem" => response(200, aged, vec![b'x'; 65_537]),
            "/inside.pem" => response(302, ("location", "https://inside.example/"), Vec::new()),
            "/elsewhere.pem" => response(301, ("location", "https://certs.example/kept.pem"), Vec::new()),
            "/packed.pem" => response(200, ("content-encoding", "gzip"), b"\x1f\x8b".to_vec()),
            "/empty.pem" => response(200, aged, Vec::new()),
            "/partial.pem" => response(206, aged, b"part".to_vec()),
            _ => response(404, aged, b"none".to_vec()),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Response<Bytes> {
        Response::builder().status(refusal.status()).body(Bytes::new()).unwrap()
    }
}

/// Hosts by name; one that is not listed is never answered. The second lookup of `rebound.example` leads inside.
#[derive(Default)]
struct Names {
    asked: Mutex<Vec<String>>,
}

const PUBLIC: [u8; 4] = [93, 184, 216, 34];

impl Resolver for Names {
    fn resolve(&self, host: &str, reply: ResolverReply) {
        let mut asked = self.asked.lock().unwrap();
        let times = asked.iter().filter(|before| *before == host).count();
        asked.push(host.to_owned());
        let address: IpAddr = match host {
            "inside.example" => [10, 0, 0, 1].into(),
            "metadata.example" => [169, 254, 169, 254].into(),
            "rebound.example" if times > 0 => [127, 0, 0, 1].into(),
            "mapped.example" => "::ffff:127.0.0.1".parse().unwrap(),
            "lab.example" => [10, 1, 2, 3].into(),
            "nowhere.example" => return reply.send(Err(io::Error::other("no such host"))),
            // Never an answer, and the reply is not dropped either.
            "silent-names.example" => return std::mem::forget(reply),
            _ => named_address(host).unwrap_or(PUBLIC.into()),
        };
        reply.send(Ok(vec![address]));
    }
}

/// The address that a name like `at6-fe80--1.below.example` carries.
fn named_address(host: &str) -> Option<IpAddr> {
    let label = host.strip_suffix(".below.example")?;
    let v4 = label.strip_prefix("at4-").map(|label| label.replace('-', "."));
    v4.or_else(|| Some(label.strip_prefix("at6-")?.replace('-', ":")))?.parse().ok()
}

/// Leads each port of the internet to a listener of this machine, and writes down where connections were meant to go.
#[derive(Default)]
struct Internet {
    ports: Mutex<HashMap<u16, SocketAddr>>,
    meant: Mutex<Vec<SocketAddr>>,
}

impl Dialer for Internet {
    fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        self.meant.lock().unwrap().push(address);
        let to = self.ports.lock().unwrap().get(&address.port()).copied();
        SystemDialer.dial(to.ok_or_else(|| io::Error::other("nobody listens"))?)
    }
}

struct Scene {
    names: Arc<Names>,
    internet: Arc<Internet>,
    network_clock: Arc<ManualClock>,
    clock: Arc<HandClock>,
    fetcher: Arc<Fetcher>,
    worker: Worker,
    repository: Repository,
    authority: Authority,
    _server: Server,
}

const HOSTS: [&str; 10] = [
    "certs.example",
    "inside.example",
    "metadata.example",
    "rebound.example",
    "mapped.example",
    "nowhere.example",
    "silent-names.example",
    "lab.example=10.1.0.0/16",
    "other.example",
    "*.below.example",
];

impl Scene {
    fn new() -> Self {
        Self::with(FetchPolicy::default())
    }

    /// A worker with one thread, a policy that allows [`HOSTS`], and a repository on port 443.
    fn with(policy: FetchPolicy) -> Self {
        let (authority, repository) = (Authority::new(), Repository::default());
        let names = ["certs.example", "rebound.example", "lab.example", "a.below.example"];
        let tls = TlsSlot::new(authority.server(&names));
        let listen = vec![ListenSpec::Tls { address: ([127, 0, 0, 1], 0).into(), tls }];
        let config = ServerConfig { listen, reactors: Some(1), ..ServerConfig::default() };
        let served = repository.clone();
        let server = Server::start(config, move |_| served.clone()).unwrap();
        let Address::Tcp(address) = server.addresses()[0] else { panic!("no TCP") };
        let internet = Arc::<Internet>::default();
        internet.ports.lock().unwrap().insert(443, address);
        let policy = FetchPolicy {
            roots_pem: authority.0.pem().into_bytes(),
            certificate_hosts: HOSTS.iter().map(|host| host.parse().unwrap()).collect(),
            ..policy
        };
        let fetcher = Arc::new(Fetcher::new(policy).unwrap());
        let (names, network_clock) = (Arc::<Names>::default(), Arc::new(ManualClock::new()));
        let clock = Arc::<HandClock>::default();
        let surroundings =
            Surroundings { clock: network_clock.clone(), resolver: names.clone(), dialer: internet.clone() };
        let config =
            WorkerConfig { surroundings, clock: clock.clone(), ..WorkerConfig::new(fetcher.clone()) };
        let worker = Worker::start(config).unwrap();
        Self {
            names,
            internet,
            network_clock,
            clock,
            fetcher,
            worker,
            repository,
            authority,
            _server: server,
        }
    }

    fn wish(&self, url: &str) -> Receiver<Answer> {
        let (sender, told) = channel();
        let wish = Wish { url: url.to_owned(), tickets: Tickets::default(), answer: None };
        self.worker.submit(wish, move |answer| sender.send(answer.unwrap()).unwrap()).unwrap();
        told
    }

    fn get(&self, url: &str) -> Answer {
        self.wish(url).recv_timeout(SOON).expect("a wish is answered")
    }

    fn pass(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    fn asked(&self) -> usize {
        self.repository.asked.load(Ordering::SeqCst)
    }

    fn connections(&self) -> Vec<SocketAddr> {
        self.internet.meant.lock().unwrap().clone()
    }

    /// Lets the fetch deadline pass for what is under way.
    fn pass_deadline(&self) {
        self.network_clock.advance(Duration::from_millis(2_000));
        // Whatever rouses the worker: it sleeps by the system's clock.
        assert!(matches!(self.get("http://rouse.example/"), Answer::Failed(IoFault::NotAllowed(_))));
    }
}

fn document(answer: &Answer) -> (&[u8], u64) {
    match answer {
        Answer::Fetched { body, fresh_s } => (body, *fresh_s),
        other => panic!("no document: {other:?}"),
    }
}

/// Waits for what other threads bring about; fails after some seconds.
#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < SOON, "waited too long for: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_document_is_asked_for_once_kept_renewed_and_forgotten() {
    let scene = Scene::new();
    let url = "https://certs.example/kept.pem";
    let told: Vec<_> = (0..50).map(|_| scene.wish(url)).collect();
    for told in told {
        assert_eq!(document(&told.recv_timeout(SOON).unwrap()), (&b"kept"[..], 1000));
    }
    assert_eq!((scene.asked(), scene.connections()), (1, vec![SocketAddr::from((PUBLIC, 443))]));
    scene.pass(799);
    assert_eq!(document(&scene.get(url)), (&b"kept"[..], 201));
    assert_eq!(scene.asked(), 1);
    // In the last fifth of its time it is answered as before, and fetched again meanwhile.
    scene.pass(1);
    assert_eq!(document(&scene.get(url)), (&b"kept"[..], 200));
    until("the renewal", || scene.fetcher.counters().fetched == 2);
    assert_eq!(document(&scene.get(url)), (&b"kept"[..], 1000));
    scene.pass(1000);
    assert_eq!(document(&scene.get(url)), (&b"kept"[..], 1000));
    scene.fetcher.forget(url, Fetched::Certificate);
    assert_eq!(document(&scene.get(url)), (&b"kept"[..], 1000));
    let counters = scene.fetcher.counters();
    assert_eq!((scene.asked(), counters.begun, counters.fetched, counters.failed), (4, 4, 4, 0));
    assert_eq!(document(&scene.get("https://certs.example/largest.pem")).0.len(), 65_536);
    assert_eq!(document(&scene.get("https://a.below.example/kept.pem")).0, b"kept");
    assert_eq!(document(&scene.get("https://lab.example/kept.pem")).0, b"kept");
    assert_eq!(scene.connections().last().unwrap().to_string(), "10.1.2.3:443");
}

#[test]
fn an_answer_that_is_no_document_is_named_and_not_asked_for_again_at_once() {
    let scene = Scene::new();
    let cases = [
        ("huge.pem", "larger than 65536 bytes"),
        ("inside.pem", "refuses with 302: it redirects, and redirects are not followed"),
        ("elsewhere.pem", "refuses with 301: it redirects"),
        ("packed.pem", "a content coding that was not asked for"),
        ("empty.pem", "an empty document"),
        ("partial.pem", "refuses with 206: Partial Content"),
        ("other.pem", "refuses with 404: Not Found"),
    ];
    for (count, (path, word)) in cases.into_iter().enumerate() {
        let url = format!("https://certs.example/{path}");
        for _ in 0..2 {
            let Answer::Failed(fault) = scene.get(&url) else { panic!("{path} was taken") };
            assert!(fault.to_string().contains(word), "{path}: {fault}");
            assert_eq!(scene.asked(), count + 1, "{path}");
        }
    }
    scene.pass(5);
    scene.get("https://certs.example/other.pem");
    assert_eq!(scene.asked(), cases.len() + 1);
    assert!(!scene.names.asked.lock().unwrap().contains(&"inside.example".to_owned()));
}

#[test]
fn hostile_urls_get_no_connection() {
    let scene = Scene::new();
    let cases = [
        ("https://evil.example/", "not on the allow-list"),
        ("https://certs.example.evil.example/", "not on the allow-list"),
        ("https://below.example/", "not on the allow-list"),
        ("https://localhost/", "not on the allow-list"),
        ("https://127.0.0.1/", "not on the allow-list"),
        ("https://[::1]/", "not on the allow-list"),
        ("https://[::ffff:127.0.0.1]/", "not on the allow-list"),
        ("https://[::ffff:7f00:1]/", "not on the allow-list"),
        ("https://[64:ff9b::7f00:1]/", "not on the allow-list"),
        ("https://[fe80::1]/", "not on the allow-list"),
        ("https://169.254.169.254/latest/meta-data/", "not on the allow-list"),
        ("https://2130706433/", "not on the allow-list"),
        ("https://0x7f.0.0.1/", "not on the allow-list"),
        ("https://0177.0.0.1/", "not on the allow-list"),
        ("https://127.1/", "not on the allow-list"),
        ("https://certs.example:22/", "port is not allowed"),
        ("https://certs.example:6379/", "port is not allowed"),
        ("https://certs.example:0/", "no port"),
        ("https://certs.example:/", "port is empty"),
        ("https://user@certs.example/", "names a user"),
        ("https://certs.example@evil.example/", "names a user"),
        ("https://certs.example\\@evil.example/", "signs"),
        ("https://certs.example#@evil.example/", "signs"),
        ("https://certs.example/ /x", "signs"),
        ("https://certs.example/\r\nx", "signs"),
        ("https://certs\u{3002}example/", "signs"),
        ("http://certs.example/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("gopher://certs.example/", "https://"),
        ("//certs.example/", "https://"),
        ("certs.example", "https://"),
        ("", "https://"),
        ("https://inside.example/", "has the address 10.0.0.1: a private address"),
        ("https://metadata.example/", "has the address 169.254.169.254: link-local"),
        ("https://mapped.example/", "has the address ::ffff:127.0.0.1: IPv4 in IPv6"),
        ("https://nowhere.example/", "no such host"),
    ];
    for (url, word) in cases {
        let Answer::Failed(fault) = scene.get(url) else { panic!("{url} was fetched") };
        assert!(fault.to_string().contains(word), "{url}: {fault}");
        assert_eq!(scene.connections(), [], "{url} got a connection");
    }
    for (url, word) in generated_urls() {
        let Answer::Failed(fault) = scene.get(&url) else { panic!("{url} was fetched") };
        assert!(fault.to_string().contains(word), "{url}: {fault}");
        assert_eq!(scene.connections(), [], "{url} got a connection");
    }
    // The same scene does connect where it may.
    document(&scene.get("https://certs.example/kept.pem"));
    assert_eq!(scene.connections().len(), 1);
}

/// Every kind of address that is not public, written and hidden in every way; and behind a name that is allowed.
fn generated_urls() -> Vec<(String, &'static str)> {
    let written = [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.31.255.255",
        "192.168.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "[::10.0.0.1]",
        "[64:ff9b::a00:1]",
        "[2002:a00:1::1]",
        "[2001::a00:1]",
        "[fd00::1]",
        "[fe80::1]",
        "[ff02::1]",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "0x7f.1",
        "127.1",
        "127.0.0.1.",
    ];
    let mut urls = Vec::new();
    for address in written {
        let ways = [
            (format!("https://{address}/"), "not on the allow-list"),
            (format!("https://{address}:8443/chain.pem"), "not on the allow-list"),
            (format!("https://{address}/?certs.example"), "not on the allow-list"),
            (format!("https://certs.example@{address}/"), "names a user"),
            (format!("https://{address}#@certs.example/"), "signs"),
            (format!("http://{address}/"), "https://"),
        ];
        urls.extend(ways);
        let bare = address.trim_start_matches('[').trim_end_matches(']');
        if let Ok(parsed) = bare.parse::<IpAddr>() {
            let name = if parsed.is_ipv4() {
                format!("at4-{}", bare.replace('.', "-"))
            } else {
                let bits = parsed.to_string().replace([':', '.'], "-");
                // A mapped address is written with dots at its end; the name carries it as two groups.
                if bits.contains("10-0-0-1") { "at6---ffff-a00-1".to_owned() } else { format!("at6-{bits}") }
            };
            urls.push((format!("https://{name}.below.example/"), "has the address"));
        }
    }
    assert!(urls.len() > 170, "{} URLs", urls.len());
    urls
}

#[test]
fn a_name_that_is_rebound_leads_nowhere_else() {
    let scene = Scene::new();
    document(&scene.get("https://rebound.example/kept.pem"));
    assert_eq!(scene.names.asked.lock().unwrap().len(), 1, "one lookup for one connection");
    assert_eq!(scene.connections(), [SocketAddr::from((PUBLIC, 443))]);
}

/// A TLS server that answers each connection with `bytes`, over and over, `pieces` times, and then holds it.
fn stubborn(tls: Arc<rustls::ServerConfig>, bytes: &'static [u8], pieces: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let session = rustls::ServerConnection::new(tls.clone()).unwrap();
            let mut peer = rustls::StreamOwned::new(session, stream);
            let mut asked = [0; 4096];
            let _ = peer.read(&mut asked);
            for _ in 0..pieces {
                if peer.write_all(bytes).is_err() {
                    break;
                }
            }
            while peer.read(&mut asked).is_ok_and(|count| count > 0) {}
        }
    });
    address
}

/// Accepts and says nothing, not even in TLS.
fn mute() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut held = Vec::new();
        while let Ok(accepted) = listener.accept() {
            held.push(accepted);
        }
    });
    address
}

#[test]
fn a_host_that_dawdles_or_lies_costs_a_bounded_time_and_size() {
    let scene = Scene::new();
    let http1 = |tls: Arc<rustls::ServerConfig>| {
        let mut tls = (*tls).clone();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(tls)
    };
    let good = || http1(scene.authority.server(&["certs.example"]));
    let wrong_name = http1(scene.authority.server(&["other-name.example"]));
    let wrong_authority = http1(Authority::new().server(&["certs.example"]));
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx";
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let cases: [(SocketAddr, bool, &str); 7] = [
        (mute(), true, "no answer in time"),
        (stubborn(good(), b"", 0), true, "no answer in time"),
        (stubborn(good(), head, 1), true, "no answer in time"),
        (stubborn(good(), chunked, 1), true, "no answer in time"),
        (stubborn(good(), b"x-endless: header\r\n", 100_000), false, "exchange failed"),
        (stubborn(wrong_name, b"", 0), false, "TLS with certs.example failed"),
        (stubborn(wrong_authority, b"", 0), false, "TLS with certs.example failed"),
    ];
    for (number, (address, is_slow, word)) in cases.into_iter().enumerate() {
        scene.internet.ports.lock().unwrap().insert(8443, address);
        let told = scene.wish(&format!("https://certs.example:8443/{number}.pem"));
        if is_slow {
            until("the connection", || scene.connections().len() == number + 1);
            thread::sleep(Duration::from_millis(50));
            assert!(told.try_recv().is_err(), "{number}: ended before its deadline");
            scene.pass_deadline();
        }
        let Answer::Failed(fault) = told.recv_timeout(SOON).unwrap() else { panic!("{number} was taken") };
        assert!(fault.to_string().contains(word), "{number}: {fault}");
    }
    let told = scene.wish("https://silent-names.example/");
    until("the lookup", || scene.names.asked.lock().unwrap().contains(&"silent-names.example".to_owned()));
    scene.pass_deadline();
    assert_eq!(told.recv_timeout(SOON).unwrap(), Answer::Failed(IoFault::TimedOut));
}

#[test]
fn what_the_host_program_has_is_not_fetched() {
    let supplier = |url: &str, _| {
        assert!(!url.ends_with("/panics.pem"), "on purpose");
        url.ends_with("/supplied.pem").then(|| b"supplied".to_vec())
    };
    let scene = Scene::with(FetchPolicy { supplier: Some(Arc::new(supplier)), ..FetchPolicy::default() });
    assert_eq!(document(&scene.get("https://anywhere.example/supplied.pem")), (&b"supplied"[..], 3600));
    let inserted = "https://anywhere.example/inserted.pem";
    scene.fetcher.insert(inserted, Fetched::Certificate, b"inserted".to_vec(), 600, scene.clock.now());
    assert_eq!(document(&scene.get(inserted)), (&b"inserted"[..], 600));
    assert_eq!(document(&scene.get("https://certs.example/kept.pem")).0, b"kept");
    assert_eq!((scene.connections().len(), scene.fetcher.counters().supplied), (1, 1));
    for missing in ["https://anywhere.example/other.pem", "https://anywhere.example/panics.pem"] {
        let Answer::Failed(fault) = scene.get(missing) else { panic!("{missing} was fetched") };
        assert!(fault.to_string().contains("allow-list"), "{fault}");
    }
}

#[test]
fn a_host_that_dawdles_leaves_room_for_others() {
    let scene = Scene::new();
    scene.internet.ports.lock().unwrap().insert(8443, mute());
    let dawdling: Vec<_> =
        (0..100).map(|number| scene.wish(&format!("https://Certs.example:8443/{number}.pem"))).collect();
    assert_eq!(document(&scene.get("https://a.below.example/kept.pem")).0, b"kept");
    let refused = dawdling.iter().filter(|told| told.try_recv() == Ok(Answer::Failed(IoFault::Busy))).count();
    assert_eq!(refused, 100 - FETCHES_PER_HOST_MAX);
    // Too much to do is not held against a document.
    scene.pass_deadline();
    assert_eq!(dawdling[0].recv_timeout(SOON), Ok(Answer::Failed(IoFault::TimedOut)));
    let good = scene.internet.ports.lock().unwrap()[&443];
    scene.internet.ports.lock().unwrap().insert(8443, good);
    assert_eq!(document(&scene.get("https://certs.example:8443/kept.pem")).0, b"kept");
}

#[test]
fn a_caller_never_waits_and_a_stop_does_not_either() {
    let scene = Scene::new();
    scene.internet.ports.lock().unwrap().insert(8443, mute());
    let hosts = ["certs.example:8443", "silent-names.example", "nowhere.example", "evil.example"];
    let began = Instant::now();
    let told: Vec<_> =
        (0..1000).map(|number| scene.wish(&format!("https://{}/{number}.pem", hosts[number % 4]))).collect();
    // The fetches never end by themselves: time stands still for them.
    assert!(began.elapsed() < SOON, "1000 submits took {:?}", began.elapsed());
    scene.worker.stop();
    assert!(began.elapsed() < SOON);
    assert!(told.iter().all(|told| matches!(told.recv_timeout(SOON), Ok(Answer::Failed(_)))));
    assert!(scene.connections().len() <= 16, "connections to one host are bounded");
}
