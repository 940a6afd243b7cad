//! An engine whose listeners a host serves from its own loop.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::channel;
use std::time::Duration;

use herald_runtime::core::TelephoneNumber;
use herald_runtime::{Config, Engine, Environment, Watched};

/// How long a test waits for what takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn while_listeners_drain_subscribers_hear_and_the_drain_ends_with_the_last_request() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("herald.sock");
    let mut config = Config::default();
    for (name, value) in [
        ("durability", "memory"),
        ("memory", "64MiB"),
        ("unix_socket", socket.to_str().expect("a plain path")),
    ] {
        config.set(name, value).expect("a property");
    }
    let engine = Engine::open(config, Environment::system(|_, _| {})).expect("an engine");
    let mut hosted = engine.start_hosted().expect("a start");
    let number: TelephoneNumber = "12025550123".parse().expect("a number");
    let (sender, told) = channel();
    let hear = move |_: &_, _| sender.send(()).expect("the test waits");
    let _all = engine.subscribe(Watched::All, 8, hear).expect("room");

    // A request under way, which keeps the drain waiting.
    let mut peer = UnixStream::connect(&socket).expect("it listens");
    peer.write_all(b"POST /cps/12025550123/ppts HTTP/1.1\r\nhost: a\r\ncontent-length: 640\r\n\r\n").unwrap();
    for _ in 0..10 {
        hosted.turn(Duration::from_millis(1)).expect("a turn");
    }
    std::thread::scope(|scope| {
        let engine = &engine;
        let heard = scope.spawn(move || {
            engine.store(number, &[7; 640]).expect("room");
            let heard = told.recv_timeout(PATIENCE);
            drop(peer);
            heard
        });
        hosted.drain(2 * PATIENCE).expect("a drain");
        assert_eq!(heard.join().expect("no panic"), Ok(()), "heard while it drained");
    });
    assert!(UnixStream::connect(&socket).is_err(), "nothing listens");
    engine.stop().expect("a stop");
}
