//! What a service manager is told.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

fn serve(folder: &Path, socket: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_herald"))
        .args(["serve", "--durability", "memory", "--memory", "16MiB", "--unix-socket"])
        .arg(folder.join("herald.sock"))
        .env("NOTIFY_SOCKET", socket)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs")
}

fn signal(process: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &process.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

#[test]
fn a_manager_hears_of_the_start_each_reload_and_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manager");
    let manager = UnixDatagram::bind(&path).unwrap();
    // A bound for a program that says nothing; one that works answers at once.
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut process = serve(folder.path(), path.to_str().unwrap());
    let hear = || {
        let mut message = [0; 512];
        let length = manager.recv(&mut message).expect("the program tells its manager");
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    let serving = format!("READY=1\nSTATUS=serving unix:{}", folder.path().join("herald.sock").display());
    assert_eq!(hear(), serving);
    signal(&process, "-HUP");
    let reloading = hear();
    let began = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("a reload");
    assert!(began.parse::<u64>().is_ok_and(|began| began > 0), "{reloading}");
    assert_eq!(hear(), serving);
    signal(&process, "-TERM");
    assert_eq!(hear(), "STOPPING=1");
    assert!(process.wait().unwrap().success());
}

#[test]
fn a_wrong_address_of_a_manager_is_an_error_and_one_that_is_gone_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let refused = serve(folder.path(), "elsewhere").wait_with_output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("NOTIFY_SOCKET"));

    let gone = folder.path().join("nobody");
    let mut process = serve(folder.path(), gone.to_str().unwrap());
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening unix:"), "{line}");
    signal(&process, "-TERM");
    assert!(process.wait().unwrap().success());
}
