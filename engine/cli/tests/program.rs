//! The program as its users run it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

fn herald(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_herald")).args(arguments).output().expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

struct Served {
    process: Child,
    url: String,
    ca: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serve(data: &Path, options: &[&str]) -> Served {
    let mut process = Command::new(env!("CARGO_BIN_EXE_herald"))
        .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--memory", "64MiB", "--data"])
        .arg(data)
        .args(options)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs");
    let mut line = String::new();
    BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let words: Vec<_> = line.split_whitespace().collect();
    let [_, url, ca] = words[..] else { panic!("{line:?}") };
    Served { process, url: url.to_owned(), ca: ca.trim_start_matches("ca=").to_owned() }
}

#[test]
fn a_call_is_placed_and_checked_and_a_wrong_caller_is_not_verified() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (party, number) in [("alice", "12025550100"), ("bob", "12025550123")] {
        let made =
            herald(&["keygen", "--out", &path(party), "--authority", &path("authority"), "--number", number]);
        assert!(made.status.success(), "{}", text(&made.stderr));
    }
    let again =
        herald(&["keygen", "--out", &path("alice"), "--authority", &path("authority"), "--number", "1"]);
    assert_eq!(again.status.code(), Some(2), "keys are not overwritten");
    assert!(text(&again.stderr).contains("exists"), "{}", text(&again.stderr));

    let served = serve(&folder.path().join("data"), &[]);
    let at = ["--cps", &served.url, "--ca", &served.ca];
    let with = |command: &str, rest: &[&str]| {
        let mut arguments = vec![command];
        arguments.extend(at);
        arguments.extend(rest);
        herald(&arguments)
    };
    let call = ["--from", "+1 202-555-0100", "--to", "+1 202-555-0123"];
    let keys = [&path("alice/signing.key"), &path("alice/signing.pem"), &path("bob/sealing.pub.jwk")];
    let placed = with(
        "place",
        &[&call[..], &["--key", keys[0], "--certificate", keys[1], "--recipient", keys[2]]].concat(),
    );
    assert!(placed.status.success(), "{}", text(&placed.stderr));
    assert!(text(&placed.stdout).starts_with("placed /cps/12025550123/ppts/"));

    let listed = with("retrieve", &["--number", "12025550123", "--out", &path("items"), "--json"]);
    assert!(text(&listed.stdout).lines().count() >= 2, "{}", text(&listed.stdout));
    assert_eq!(std::fs::read_dir(path("items")).unwrap().count(), text(&listed.stdout).lines().count());

    let (sealing, roots) = (path("bob/sealing.jwk"), path("authority/roots.pem"));
    let verifier = ["--sealing-key", &sealing, "--roots", &roots];
    let good = with("check", &[&call[..], &verifier].concat());
    assert_eq!(good.status.code(), Some(0), "{}{}", text(&good.stdout), text(&good.stderr));
    assert!(text(&good.stdout).starts_with("VERIFIED attestation A"), "{}", text(&good.stdout));
    let spoofed =
        with("check", &[&["--from", "12025550166", "--to", "12025550123", "--json"], &verifier[..]].concat());
    assert_eq!(spoofed.status.code(), Some(1));
    assert!(text(&spoofed.stdout).contains("\"verdict\":\"reject\""), "{}", text(&spoofed.stdout));
    let silent = with("check", &[&["--from", "12025550100", "--to", "12025550199"], &verifier[..]].concat());
    assert_eq!(silent.status.code(), Some(1));
    assert!(text(&silent.stdout).starts_with("NO PASSPORT"), "{}", text(&silent.stdout));

    let odd = path("odd");
    std::fs::write(&odd, [0; 10]).unwrap();
    let refused = with("store", &["--number", "12025550123", &odd]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("[640, 1024, 2048, 4096, 8192]"), "{}", text(&refused.stderr));
}

#[test]
fn a_list_of_placements_is_stored_in_one_go_and_says_of_each_what_came_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let served = serve(&folder.path().join("data"), &[]);
    let with = |rest: &[&str]| herald(&[&["store", "--cps", &served.url, "--ca", &served.ca], rest].concat());
    std::fs::write(path("good"), [7; 640]).unwrap();
    std::fs::write(path("odd"), [7; 641]).unwrap();
    std::fs::write(path("long"), [7; 9000]).unwrap();
    let mut list: String = (0..300).map(|index| format!("1202555{index:04} good\n")).collect();
    std::fs::write(path("list"), &list).unwrap();
    let all = with(&["--batch", &path("list")]);
    assert_eq!(all.status.code(), Some(0), "{}", text(&all.stderr));
    assert_eq!(text(&all.stdout).lines().count(), 300);
    assert!(text(&all.stdout).lines().all(|line| line.starts_with("stored /cps/1202555")));

    list = "12025550123 good\n\n12025550123 odd\n*12# long\n*12# good\n".to_owned();
    std::fs::write(path("list"), &list).unwrap();
    let some = with(&["--batch", &path("list"), "--json"]);
    assert_eq!(some.status.code(), Some(1), "{}", text(&some.stderr));
    let lines: Vec<Value> =
        text(&some.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let stored: Vec<_> =
        lines.iter().map(|line| (line["line"].as_u64(), line["location"].is_string())).collect();
    assert_eq!(stored, [(Some(1), true), (Some(3), false), (Some(4), false), (Some(5), true)]);
    assert!(lines[3]["location"].as_str().unwrap().starts_with("/cps/*12%23/ppts/"), "{}", lines[3]);

    for (wrong, expected) in
        [("12025550123", "line 1: give a number, a space and a file"), ("x y", "line 1: ")]
    {
        std::fs::write(path("list"), wrong).unwrap();
        let refused = with(&["--batch", &path("list")]);
        assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stdout));
        assert!(text(&refused.stderr).contains(expected), "{}", text(&refused.stderr));
    }
}

#[test]
fn a_message_is_stored_at_a_service_that_keeps_messages_and_refused_by_one_that_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("sealed"), [7; 640]).unwrap();
    std::fs::write(path("list"), "12025550123 sealed\n").unwrap();
    let file = path("sealed");
    let list = path("list");
    for (data, retention, code, said) in [
        ("messages", &["--message-retention", "2h"][..], 0, "stored /cps/12025550123/ppts/"),
        ("calls", &[], 2, "message_retention"),
    ] {
        let served = serve(&folder.path().join(data), retention);
        let at = ["store", "--cps", &served.url, "--ca", &served.ca];
        for what in [&["--number", "12025550123", &file][..], &["--batch", &list]] {
            let stored = herald(&[&at, what, &["--message"]].concat());
            let answer = text(&stored.stdout) + &text(&stored.stderr);
            assert!(stored.status.code() == Some(code) && answer.contains(said), "{code}: {answer}");
            let call = herald(&[&at, what].concat());
            assert_eq!(call.status.code(), Some(0), "calls are kept by both: {}", text(&call.stderr));
        }
    }
}

#[test]
fn what_is_wrong_on_the_command_line_is_said_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("herald.toml");
    std::fs::write(&file, "durability = \"memory\"\nlisten = \"127.0.0.1:0\"\nretentions = \"5s\"\n")
        .unwrap();
    let data = folder.path().to_str().unwrap();
    let cases: [(&[&str], i32, &str); 11] = [
        (&["serve"], 2, "nothing to listen on"),
        (
            &["serve", "--listen", "127.0.0.1:0", "--durability", "memory"],
            2,
            "set tls_certificate and tls_key too",
        ),
        (
            &[
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--tls-certificate",
                "/nowhere",
                "--tls-key",
                "/nowhere",
                "--data",
                data,
            ],
            2,
            "/nowhere",
        ),
        (&["serve", "--config", file.to_str().unwrap()], 2, "line 3: there is no property \"retentions\""),
        (&["serve", "--dev"], 2, "--dev needs data"),
        (&["retrieve", "--cps", "https://127.0.0.1:1", "--number", "12a"], 2, "position 2"),
        (&["retrieve", "--cps", "ftp://127.0.0.1", "--number", "12"], 2, "is no service"),
        (&["retrieve", "--cps", "unix:/nowhere", "--number", "12"], 69, "gives no answer"),
        (&["bench", "--data", "/nowhere"], 2, "name another with --data"),
        (&["bench", "--seconds", "0"], 2, "--seconds takes more than 0"),
        (&["bench", "--memory", "1KiB"], 2, "at least 16MiB"),
    ];
    for (arguments, code, said) in cases {
        let output = herald(arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_termination_signal_ends_the_service_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let mut served = serve(folder.path(), &[]);
    let pid = served.process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
    assert_eq!(served.process.wait().expect("it ends").code(), Some(0));
}

#[test]
fn the_demo_holds_step_by_step() {
    let demo = herald(&["--json", "demo"]);
    let stdout = text(&demo.stdout);
    assert!(demo.status.success(), "{stdout}{}", text(&demo.stderr));
    assert!(stdout.lines().count() >= 11 && !stdout.contains("fault"), "{stdout}");
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).expect("a folder").next().is_none()
}

#[test]
fn a_benchmark_gives_figures_whose_shares_are_what_they_are_said_to_be_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let bench = herald(&["bench", "--json", "--seconds", "0.5", "--memory", "32MiB", "--data", data]);
    assert!(bench.status.success(), "{}", text(&bench.stderr));
    assert!(is_empty(folder.path()));
    let report: Value = serde_json::from_slice(&bench.stdout).expect("one JSON object");
    assert_eq!((&report["memory_bytes"], &report["body_bytes"]), (&(32 << 20).into(), &640.into()));
    let figures = report["figures"].as_array().expect("figures");
    let rate = |id: &Value| {
        let figure = figures.iter().find(|figure| figure["id"] == *id).unwrap_or_else(|| panic!("no {id}"));
        figure["per_second"].as_f64().expect("a rate")
    };
    let mut compared = Vec::new();
    for figure in figures {
        let id = &figure["id"];
        let within =
            [&figure["per_second_least"], &figure["per_second_most"]].map(|rate| rate.as_f64().unwrap());
        assert!(0.0 < within[0] && within[0] <= rate(id) && rate(id) <= within[1], "{figure}");
        if let Some(bytes) = figure["bytes_per_second"].as_f64() {
            assert!((bytes / rate(id) / 640.0 - 1.0).abs() < 1e-9, "{figure}");
        }
        match figure["of_ceiling"].as_f64() {
            Some(share) => {
                assert!((share * rate(&figure["ceiling"]) / rate(id) - 1.0).abs() < 1e-9, "{figure}");
                compared.push(id.as_str().expect("an id"));
            }
            None => assert!(figure["ceiling"].is_null(), "{id}"),
        }
    }
    let kinds = [
        "store/memory/1",
        "store-batch/memory/1",
        "store/synced/1",
        "store-batch/synced/1",
        "store/buffered/1",
    ];
    for kind in kinds {
        assert!(compared.contains(&kind), "{kind} is compared with nothing: {compared:?}");
    }
    assert!(rate(&"retrieve/1".into()) < rate(&"store/memory/1".into()), "cover is what costs");
}

#[test]
fn an_interrupted_benchmark_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_herald"))
        .args(["bench", "--seconds", "600", "--memory", "32MiB", "--data"])
        .arg(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut said = BufReader::new(process.stderr.take().expect("a pipe")).lines();
    said.next().expect("it says what it measures with").expect("a line");
    while is_empty(folder.path()) {
        assert!(process.try_wait().expect("a child").is_none(), "it ended before it was told to");
        std::thread::yield_now();
    }
    let pid = process.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    assert_eq!(process.wait().expect("it ends").code(), Some(130));
    assert!(is_empty(folder.path()));
    assert!(said.any(|line| line.expect("a line").contains("nothing is left behind")));
}

#[test]
fn a_number_is_looked_up_by_the_configuration_of_a_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let entry = "[[destination]]\nnumbers = [\"1202555xxxx\"]\ncps = [\"https://a.example\", \"https://b.example\"]\n";
    std::fs::write(path("directory.toml"), entry).unwrap();
    let config = format!(
        "listen = \"127.0.0.1:0\"\ndata = \"/nowhere\"\ndirectory = \"{}\"\n",
        path("directory.toml")
    );
    std::fs::write(path("herald.toml"), config).unwrap();
    let config = path("herald.toml");
    let cases = [
        (&["+1 (202) 555-0123"][..], 0, "https://a.example\nhttps://b.example\n"),
        (
            &["12025550123", "--calling", "--explain"],
            0,
            "for the calling side, policy first\n  directory      0 ms  https://a.example https://b.example, proven\n",
        ),
        (&["13035550123"], 1, "none: no source knows a Call Placement Service of the number\n"),
        (&["13035550123", "--json"], 1, "\"said\":\"nothing\""),
    ];
    for (arguments, code, words) in cases {
        let found = herald(&[&["discover", "--config", &config], arguments].concat());
        let said = String::from_utf8(found.stdout).unwrap();
        let complaint = String::from_utf8(found.stderr).unwrap();
        assert_eq!((found.status.code(), complaint), (Some(code), String::new()), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}
