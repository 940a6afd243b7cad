//! Servers on their own threads, asked by our client and by curl, over every kind of listener.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use common::{Identity, Later, get, loopback, ok_text, post, serve, tcp};
use herald_net::{
    Client, ClientCertificates, ClientError, ListenSpec, Listener, Listeners, NetError, Protocol, Server,
    StatusCode, TlsSlot, tls_server_config,
};
use socket2::{Domain, SockAddr, Socket, Type};

const SOON: Duration = Duration::from_secs(20);

fn tls_spec(identity: &Identity) -> ListenSpec {
    ListenSpec::Tls { address: loopback(), tls: TlsSlot::new(identity.server()) }
}

fn accepted(server: &Server) -> u64 {
    server.counters().iter().map(|counters| counters.accepted).sum()
}

/// Many requests of `client` are answered over one connection.
fn check_round_trips(server: &Server, client: &Client, base: &str) {
    let before = accepted(server);
    for size in [0, 1, 600, 8192] {
        let response = client.request(post(&format!("{base}/store?x=1"), size), SOON).unwrap();
        assert_eq!(ok_text(&response), format!("POST /store {size}"));
    }
    let big = client.request(get(&format!("{base}/big/200000")), SOON).unwrap();
    assert_eq!(big.body().len(), 200_000);
    let refused = client.request(post(&format!("{base}/store"), 8193), SOON).unwrap();
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let response = client.request(get(&format!("{base}/after")), SOON).unwrap();
    assert_eq!(ok_text(&response), "GET /after 0");
    // A refused body closes an HTTP/1.1 connection, so at most one more was opened.
    assert!((1..=2).contains(&(accepted(server) - before)), "{} connections", accepted(server) - before);
}

#[test]
fn both_versions_go_round_over_tls_unix_and_tcp() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("herald.sock");
    let identity = Identity::new();
    let unix = ListenSpec::Unix { path: path.clone(), mode: 0o600 };
    let listen = vec![tls_spec(&identity), unix, ListenSpec::Plain { address: loopback() }];
    let server = serve(listen, 2, Later::default());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let roots = identity.chain.as_bytes();
    for protocol in [Protocol::Any, Protocol::Http1, Protocol::Http2] {
        let tls = Client::https(roots).unwrap().protocol(protocol);
        check_round_trips(&server, &tls, &format!("https://{}", tcp(&server, 0)));
        check_round_trips(&server, &tls, &format!("https://localhost:{}", tcp(&server, 0).port()));
        check_round_trips(&server, &Client::unix(&path).protocol(protocol), "");
        check_round_trips(
            &server,
            &Client::plain().protocol(protocol),
            &format!("http://{}", tcp(&server, 2)),
        );
    }
    server.shutdown(SOON).unwrap();
    assert!(!path.exists(), "the socket file stays behind");
}

#[test]
fn every_reactor_gets_connections_on_the_one_port_the_kernel_chose() {
    let server = serve(vec![ListenSpec::Plain { address: loopback() }], 4, Later::default());
    for _ in 0..200 {
        Client::plain().request(get(&format!("http://{}/", tcp(&server, 0))), SOON).unwrap();
    }
    let counters = server.counters();
    assert_eq!(counters.iter().map(|counters| counters.requests).sum::<u64>(), 200);
    assert!(counters.iter().all(|counters| counters.accepted > 0), "{counters:?}");
}

#[test]
fn an_address_in_use_is_refused_by_name() {
    let first = Listener::plain(loopback()).unwrap();
    let herald_net::Address::Tcp(address) = *first.address() else { panic!("not TCP") };
    let message = Listener::plain(address).unwrap_err().to_string();
    assert!(message.contains(&address.to_string()), "{message}");
    assert!(matches!(Listeners::bind(&[], 0), Err(NetError::ReactorCount { count: 0 })));
}

#[test]
fn a_stale_unix_socket_is_replaced_and_a_live_one_or_a_file_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("herald.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "std leaves the file behind, as a killed process does");
    let live = Listener::unix(&path, 0o660).unwrap();
    assert!(matches!(Listener::unix(&path, 0o660), Err(NetError::UnixInUse { .. })));
    drop(live);
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(Listener::unix(&path, 0o660), Err(NetError::NotASocket { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no lock is left behind");
}

#[test]
fn of_those_that_begin_at_once_one_has_the_unix_socket_and_it_can_be_reached() {
    const THREADS: usize = 4;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("herald.sock");
    for round in 0..200 {
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let together = std::sync::Barrier::new(THREADS);
        let begin = || {
            together.wait();
            Listener::unix(&path, 0o660)
        };
        let begun: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(begin)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(begun.iter().filter(|begun| begun.is_ok()).count(), 1, "round {round}: {begun:?}");
        UnixStream::connect(&path).unwrap();
    }
}

#[test]
fn a_unix_socket_whose_owner_hangs_is_in_use_and_nobody_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("herald.sock");
    let (address, kind) = (SockAddr::unix(&path).unwrap(), (Domain::UNIX, Type::STREAM));
    let owner = Socket::new(kind.0, kind.1, None).unwrap();
    owner.bind(&address).unwrap();
    owner.listen(1).unwrap();
    let mut waiting = Vec::new();
    loop {
        let peer = Socket::new(kind.0, kind.1, None).unwrap();
        peer.set_nonblocking(true).unwrap();
        if peer.connect(&address).is_err() {
            break;
        }
        waiting.push(peer);
    }
    assert!(matches!(Listener::unix(&path, 0o660), Err(NetError::UnixInUse { .. })));
    assert!(path.exists() && !waiting.is_empty());
}

#[test]
fn two_hundred_half_open_peers_leave_the_service_to_others() {
    let identity = Identity::new();
    let server = serve(vec![tls_spec(&identity)], 1, Later::default());
    let mut half_open: Vec<_> = (0..200).map(|_| TcpStream::connect(tcp(&server, 0)).unwrap()).collect();
    for stream in half_open.iter_mut().step_by(2) {
        stream.write_all(&[0x16, 3, 1, 1, 0, 1]).unwrap();
    }
    let client = Client::https(identity.chain.as_bytes()).unwrap();
    let uri = format!("https://{}/", tcp(&server, 0));
    for _ in 0..50 {
        assert_eq!(ok_text(&client.request(get(&uri), SOON).unwrap()), "GET / 0");
    }
    assert_eq!(accepted(&server), 201);
}

#[test]
fn an_answer_completed_on_another_thread_wakes_its_reactor() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let later = Later::default();
        let server = serve(vec![ListenSpec::Plain { address: loopback() }], 1, later.clone());
        let uri = format!("http://{}/later", tcp(&server, 0));
        let completer = thread::spawn(move || {
            while !later.is_awaited() {
                thread::yield_now();
            }
            later.complete();
        });
        let response = Client::plain().protocol(protocol).request(get(&uri), SOON).unwrap();
        assert_eq!(ok_text(&response), "later");
        completer.join().unwrap();
    }
}

#[test]
fn a_drain_lets_the_running_request_finish_and_takes_no_other() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let later = Later::default();
        let server = serve(vec![ListenSpec::Plain { address: loopback() }], 2, later.clone());
        let address = tcp(&server, 0);
        let client = Client::plain().protocol(protocol);
        let running =
            thread::spawn(move || client.request(get(&format!("http://{address}/later")), SOON).unwrap());
        while !later.is_awaited() {
            thread::yield_now();
        }
        let draining = thread::spawn(move || server.shutdown(SOON));
        let start = Instant::now();
        while TcpStream::connect(address).is_ok() {
            assert!(start.elapsed() < SOON, "a draining server still accepts");
        }
        later.complete();
        assert_eq!(ok_text(&running.join().unwrap()), "later");
        draining.join().unwrap().unwrap();
        assert!(start.elapsed() < SOON, "the drain took all of its grace");
    }
}

#[test]
fn a_drain_ends_with_its_grace_though_a_request_never_does() {
    let later = Later::default();
    let server = serve(vec![ListenSpec::Plain { address: loopback() }], 1, later.clone());
    let uri = format!("http://{}/later", tcp(&server, 0));
    let running = thread::spawn(move || Client::plain().request(get(&uri), SOON));
    while !later.is_awaited() {
        thread::yield_now();
    }
    server.shutdown(Duration::from_millis(50)).unwrap();
    assert!(matches!(running.join().unwrap(), Err(ClientError::Protocol { .. })));
}

#[test]
fn a_replaced_certificate_serves_new_connections_and_keeps_the_old_ones() {
    let (old, new) = (Identity::new(), Identity::new());
    let slot = TlsSlot::new(old.server());
    let server = serve(vec![ListenSpec::Tls { address: loopback(), tls: slot.clone() }], 1, Later::default());
    let uri = format!("https://{}/", tcp(&server, 0));
    let before = Client::https(old.chain.as_bytes()).unwrap();
    before.request(get(&uri), SOON).unwrap();
    slot.replace(new.server());
    before.request(get(&uri), SOON).unwrap();
    assert_eq!(accepted(&server), 1, "the old connection was dropped");
    Client::https(new.chain.as_bytes()).unwrap().request(get(&uri), SOON).unwrap();
    let stranger = Client::https(old.chain.as_bytes()).unwrap().request(get(&uri), SOON);
    assert!(matches!(stranger, Err(ClientError::Tls { .. })), "{stranger:?}");
}

#[test]
fn a_client_certificate_reaches_the_service_and_a_missing_one_is_refused() {
    let identity = Identity::new();
    let roots = identity.chain.as_bytes();
    let signed = rcgen::generate_simple_self_signed(["switch.example".to_owned()]).unwrap();
    let authorities = signed.cert.pem();
    let spec = |clients| ListenSpec::Tls {
        address: loopback(),
        tls: TlsSlot::new(tls_server_config(roots, identity.key.as_bytes(), clients).unwrap()),
    };
    let listen = vec![
        spec(ClientCertificates::Required(authorities.as_bytes())),
        spec(ClientCertificates::Optional(authorities.as_bytes())),
    ];
    let server = serve(listen, 1, Later::default());
    let uri = |position| format!("https://{}/peer", tcp(&server, position));

    let mut store = rustls::RootCertStore::empty();
    let pem = <rustls::pki_types::CertificateDer as rustls::pki_types::pem::PemObject>::from_pem_slice(roots);
    store.add(pem.unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let chain = vec![signed.cert.der().clone()];
    let config = builder.with_root_certificates(store).with_client_auth_cert(chain, key).unwrap();
    let known = Client::https_with(config);
    assert_eq!(ok_text(&known.request(get(&uri(0)), SOON).unwrap()), "0 127.0.0.1 1");
    assert_eq!(ok_text(&known.request(get(&uri(1)), SOON).unwrap()), "1 127.0.0.1 1");

    let unknown = Client::https(roots).unwrap();
    assert_eq!(ok_text(&unknown.request(get(&uri(1)), SOON).unwrap()), "1 127.0.0.1 0");
    let refused = unknown.request(get(&uri(0)), SOON).unwrap_err().to_string();
    assert!(refused.contains("CertificateRequired"), "{refused}");
}

#[test]
fn the_client_says_what_failed() {
    let identity = Identity::new();
    let server =
        serve(vec![tls_spec(&identity), ListenSpec::Plain { address: loopback() }], 1, Later::default());
    let (tls, plain) = (tcp(&server, 0), tcp(&server, 1));
    let nobody = std::net::TcpListener::bind(loopback()).unwrap().local_addr().unwrap();
    let known = || Client::https(identity.chain.as_bytes()).unwrap();
    let stranger = Client::https(Identity::new().chain.as_bytes()).unwrap();
    let wrong_name = format!("https://127.0.0.2:{}/", tls.port());
    let cases = [
        ("unknown authority", stranger.request(get(&format!("https://{tls}/")), SOON), "certificate"),
        ("not TLS", known().request(get(&format!("https://{plain}/")), SOON), "TLS with 127.0.0.1"),
        (
            "nobody listens",
            known().request(get(&format!("https://{nobody}/")), SOON),
            "cannot connect to 127.0.0.1",
        ),
        ("wrong address", known().request(get(&wrong_name), SOON), "127.0.0.2"),
        ("no such name", known().request(get("https://no-such-name.invalid/"), SOON), "no-such-name.invalid"),
        ("wrong scheme", known().request(get("http://localhost/"), SOON), "https://"),
        (
            "no socket",
            Client::unix("/nonexistent/herald.sock").request(get("/"), SOON),
            "/nonexistent/herald.sock",
        ),
        (
            "too large",
            known().answer_bytes_max(100).request(get(&format!("https://{tls}/big/101")), SOON),
            "larger than 100",
        ),
        (
            "too slow",
            known().request(get(&format!("https://{tls}/later")), Duration::from_millis(50)),
            "within 50 ms, while waiting for the answer",
        ),
    ];
    for (what, outcome, expected) in cases {
        let message = outcome.map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(expected), "{what}: {message}");
    }
}

#[test]
fn the_client_replaces_a_connection_the_server_has_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("herald.sock");
    let unix = || vec![ListenSpec::Unix { path: path.clone(), mode: 0o600 }];
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let client = Client::unix(&path).protocol(protocol);
        for _ in 0..3 {
            let server = serve(unix(), 1, Later::default());
            assert_eq!(ok_text(&client.request(get("/peer"), SOON).unwrap()), "0 none 0");
            server.shutdown(SOON).unwrap();
        }
    }
}

#[test]
fn curl_is_served_over_both_versions() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("SKIPPED: curl is not installed, so no foreign client was tried");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (ca, socket) = (folder.path().join("ca.pem"), folder.path().join("herald.sock"));
    let (file, large) = (folder.path().join("body"), folder.path().join("large"));
    let identity = Identity::new();
    std::fs::write(&ca, &identity.chain).unwrap();
    std::fs::write(&file, vec![b'b'; 5000]).unwrap();
    std::fs::write(&large, vec![b'b'; 100_000]).unwrap();
    let unix = ListenSpec::Unix { path: socket.clone(), mode: 0o600 };
    let server = serve(vec![tls_spec(&identity), unix], 2, Later::default());
    let base = format!("https://localhost:{}", tcp(&server, 0).port());
    let curl = |arguments: &[&str]| {
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "20", "-w", " %{http_code} %{http_version}", "--cacert"])
            .arg(&ca)
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let body = format!("@{}", file.display());
    let large = format!("@{}", large.display());
    for (option, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        assert_eq!(curl(&[option, &format!("{base}/a")]), format!("GET /a 0 200 {version}"));
        let stored = curl(&[option, "--data-binary", &body, &format!("{base}/b")]);
        assert_eq!(stored, format!("POST /b 5000 200 {version}"));
        let refused = curl(&[option, "--data-binary", &large, &format!("{base}/c")]);
        assert_eq!(refused, format!("BodyTooLarge {{ limit_bytes: 8192 }} 413 {version}"));
        let old = curl(&[option, "--tls-max", "1.2", &format!("{base}/d")]);
        assert_eq!(old, format!("GET /d 0 200 {version}"));
    }
    let socket = socket.display().to_string();
    assert_eq!(curl(&["--unix-socket", &socket, "http://localhost/e"]), "GET /e 0 200 1.1");
    let prior = curl(&["--http2-prior-knowledge", "--unix-socket", &socket, "http://localhost/f"]);
    assert_eq!(prior, "GET /f 0 200 2");
    let old = curl(&["--tls-max", "1.1", &format!("{base}/g")]);
    assert!(old.ends_with(" 000 0") || old.contains("error"), "{old}");
}
