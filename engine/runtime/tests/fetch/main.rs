//! The fetcher behind a worker: each document is asked for once and kept, hostile URLs and hosts get no connection or
//! an error that names what was wrong, and no caller waits.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod scene;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use herald_runtime::core::{Clock, TelephoneNumber};
use herald_runtime::limits::{FETCHES_PER_HOST_MAX, SUPPLY_DEADLINE_MS};
use herald_runtime::stir::issue::{DevelopmentAuthority, Validity};
use herald_runtime::stir::services::{
    Answer, AuthenticationService, CheckRequest, CpsSources, Credential, Destination, Directory, Discoveries,
    Fetched, IoFault, PlaceRequest, VerificationService,
};
use herald_runtime::stir::{
    Attestation, CallFacts, CertificateReference, ChainCache, ReplayMemory, SealingKey, Suite, SystemRandom,
    TnAuthList, TnEntry, TrustStore, VerificationPolicy,
};
use herald_runtime::{Config, Engine, Environment, FetchPolicy, Supply, wall_clock};

use scene::{Authority, PUBLIC, Scene};

const SOON: Duration = Duration::from_secs(20);

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
        match url.rsplit('/').next() {
            Some("supplied.pem") => Supply::Document { body: b"supplied".to_vec(), fresh_s: 3600 },
            Some("absent.pem") => Supply::Absent,
            _ => Supply::Fetch,
        }
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
    let Answer::Failed(fault) = scene.get("https://certs.example/absent.pem") else {
        panic!("it was fetched")
    };
    assert!(fault.to_string().contains("host program"), "{fault}");
    assert_eq!(scene.connections().len(), 1);
}

#[test]
fn what_the_host_program_brings_later_is_waited_for_and_asked_for_once() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let supplier = move |_: &str, _| {
        count.fetch_add(1, Ordering::SeqCst);
        Supply::Later
    };
    let scene = Scene::with(FetchPolicy { supplier: Some(Arc::new(supplier)), ..FetchPolicy::default() });
    let bring = |url| {
        let body = b"brought".to_vec();
        scene.fetcher.insert(url, Fetched::Certificate, body, 600, scene.clock.now());
    };
    let url = "https://certs.example/kept.pem";
    let first = scene.wish(url);
    until("the question", || asked.load(Ordering::SeqCst) == 1);
    let second = scene.wish(url);
    until("the second call", || scene.fetcher.counters().joined == 1);
    assert!(first.try_recv().is_err(), "nothing has come yet");
    bring(url);
    for told in [first, second] {
        assert_eq!(document(&told.recv_timeout(SOON).unwrap()), (&b"brought"[..], 600));
    }
    assert_eq!(document(&scene.get(url)), (&b"brought"[..], 600));

    // What never comes is asked for again, and those who waited are told.
    let never = "https://certs.example/never.pem";
    let in_vain = scene.wish(never);
    until("the question", || asked.load(Ordering::SeqCst) == 2);
    scene.clock.0.fetch_add(SUPPLY_DEADLINE_MS, Ordering::SeqCst);
    let again = scene.wish(never);
    assert_eq!(in_vain.recv_timeout(SOON).unwrap(), Answer::Failed(IoFault::TimedOut));
    bring(never);
    assert_eq!(document(&again.recv_timeout(SOON).unwrap()).0, b"brought");
    assert_eq!((asked.load(Ordering::SeqCst), scene.connections().len()), (3, 0));
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

#[test]
fn a_check_fetches_the_certificate_of_a_passport_once_for_all_calls() {
    let scene = Scene::new();
    let now_s = wall_clock().as_millis() / 1000;
    let validity = Validity { from_s: now_s - 3600, to_s: now_s + 3600 };
    let (orig, dest): (TelephoneNumber, TelephoneNumber) =
        ("12155551212".parse().unwrap(), "12355551212".parse().unwrap());
    let authority = DevelopmentAuthority::new("Test authority", validity, &SystemRandom).unwrap();
    let numbers = TnAuthList::new(vec![TnEntry::One(orig)]).unwrap();
    let signer = authority.issue("Test signer", &numbers, validity, &SystemRandom).unwrap();
    let trust = || TrustStore::from_pem(authority.root_pem().as_bytes()).unwrap();
    *scene.repository.chain.lock().unwrap() = signer.chain_pem.clone().into_bytes();

    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("herald.sock").display().to_string();
    let mut config = Config::default();
    for (name, value) in [("memory", "64MiB"), ("durability", "memory"), ("unix_socket", &socket)] {
        config.set(name, value).unwrap();
    }
    let engine = Engine::open(config, Environment::system(|_, _| {})).unwrap();
    engine.start().unwrap();

    let keys = vec![SealingKey::generate(Suite::X25519, &SystemRandom)];
    let destination = Destination {
        cps: vec![format!("unix:{socket}").parse().unwrap()],
        keys: vec![keys[0].public_key()],
    };
    let mut directory = Directory::new();
    directory.add(&["*".parse().unwrap()], destination).unwrap();
    let directory = Arc::new(directory);
    let url = "https://certs.example/signer.pem".to_owned();
    let credential =
        Credential::new(signer.key, CertificateReference::Url(url), signer.chain_pem.as_bytes()).unwrap();
    let authentication = Arc::new(AuthenticationService {
        credentials: vec![credential],
        trust: Some(trust()),
        discoveries: Discoveries::by(directory.clone()),
        random: Arc::new(SystemRandom),
    });
    let verification = Arc::new(VerificationService {
        policy: VerificationPolicy::new(trust()),
        sealing_keys: keys,
        cps: Arc::new(CpsSources::only(directory)),
        certificates: None,
        chains: Arc::new(ChainCache::default()),
        seen: ReplayMemory::default().into(),
        witness: None,
    });
    let place = PlaceRequest::shaken(orig, dest, Attestation::Full, &SystemRandom);
    let placed = scene.run(authentication.place(place));
    assert_eq!(placed.unwrap().copies.len(), 1);
    for _ in 0..5 {
        let call = CallFacts::new(orig.into(), dest.into());
        let checked = scene.run(verification.clone().check(CheckRequest::new(call)));
        assert!(checked.verdict.outcome().is_ok(), "{:?}", checked.trace);
    }
    assert_eq!((scene.asked(), scene.connections()), (1, vec![SocketAddr::from((PUBLIC, 443))]));
}
