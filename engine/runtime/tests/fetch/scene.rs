//! A worker whose internet, names, clocks and certificate authority are the test's.

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use herald_runtime::core::{Clock, Timestamp};
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
pub(crate) struct HandClock(pub(crate) AtomicU64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// An authority and what chains to it.
pub(crate) struct Authority(pub(crate) CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn server(&self, names: &[&str]) -> Arc<rustls::ServerConfig> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap();
        let (chain, key) = (certificate.pem(), key.serialize_pem());
        tls_server_config(chain.as_bytes(), key.as_bytes(), ClientCertificates::NotAsked).unwrap()
    }
}

/// Serves documents of every kind, and counts who asks.
#[derive(Clone, Default)]
pub(crate) struct Repository {
    pub(crate) asked: Arc<AtomicUsize>,
    /// What `/signer.pem` is.
    pub(crate) chain: Arc<Mutex<Vec<u8>>>,
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
            "/signer.pem" => response(200, aged, self.chain.lock().unwrap().clone()),
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
pub(crate) struct Names {
    pub(crate) asked: Mutex<Vec<String>>,
}

pub(crate) const PUBLIC: [u8; 4] = [93, 184, 216, 34];

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
pub(crate) struct Internet {
    pub(crate) ports: Mutex<HashMap<u16, SocketAddr>>,
    pub(crate) meant: Mutex<Vec<SocketAddr>>,
}

impl Dialer for Internet {
    fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        self.meant.lock().unwrap().push(address);
        let to = self.ports.lock().unwrap().get(&address.port()).copied();
        SystemDialer.dial(to.ok_or_else(|| io::Error::other("nobody listens"))?)
    }
}

pub(crate) struct Scene {
    pub(crate) names: Arc<Names>,
    pub(crate) internet: Arc<Internet>,
    pub(crate) network_clock: Arc<ManualClock>,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) worker: Worker,
    pub(crate) repository: Repository,
    pub(crate) authority: Authority,
    _server: Server,
}

pub(crate) const HOSTS: [&str; 10] = [
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
    pub(crate) fn new() -> Self {
        Self::with(FetchPolicy::default())
    }

    /// A worker with one thread, a policy that allows [`HOSTS`], and a repository on port 443.
    pub(crate) fn with(policy: FetchPolicy) -> Self {
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

    /// Runs a machine to its end.
    pub(crate) fn run<M: Machine + 'static>(&self, machine: M) -> M::Outcome {
        let (sender, told) = channel();
        self.worker.submit(machine, move |outcome| drop(sender.send(outcome))).unwrap();
        told.recv_timeout(SOON).expect("a machine ends").expect("no panic")
    }

    pub(crate) fn wish(&self, url: &str) -> Receiver<Answer> {
        let (sender, told) = channel();
        let wish = Wish { url: url.to_owned(), tickets: Tickets::default(), answer: None };
        self.worker.submit(wish, move |answer| sender.send(answer.unwrap()).unwrap()).unwrap();
        told
    }

    pub(crate) fn get(&self, url: &str) -> Answer {
        self.wish(url).recv_timeout(SOON).expect("a wish is answered")
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    pub(crate) fn asked(&self) -> usize {
        self.repository.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> Vec<SocketAddr> {
        self.internet.meant.lock().unwrap().clone()
    }

    /// Lets the fetch deadline pass for what is under way.
    pub(crate) fn pass_deadline(&self) {
        self.network_clock.advance(Duration::from_millis(2_000));
        // Whatever rouses the worker: it sleeps by the system's clock.
        assert!(matches!(self.get("http://rouse.example/"), Answer::Failed(IoFault::NotAllowed(_))));
    }
}
