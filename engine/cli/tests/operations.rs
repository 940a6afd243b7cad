//! What operators use: checking a configuration, watching an engine, logs that machines read, and files read again.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use serde_json::Value;

fn herald(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_herald")).args(arguments).output().expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn written(folder: &Path, name: &str, content: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).expect("a file");
    path.to_str().expect("a plain path").to_owned()
}

#[test]
fn a_configuration_is_checked_with_every_wrong_line_and_what_it_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = written(folder.path(), "good.toml", "unix_socket = \"s\"\ndurability = \"memory\"\n");
    let passed = herald(&["check-config", &good]);
    assert_eq!(passed.status.code(), Some(0), "{}", text(&passed.stdout));
    assert!(!folder.path().join("s").exists(), "nothing was started");

    let wrong = "# begins\nretenton = \"60s\"\nunix_socket = \"s\"\nmemory = \"1KiB\"\n";
    let wrong = written(folder.path(), "wrong.toml", wrong);
    let failed = herald(&["check-config", &wrong]);
    assert_eq!(failed.status.code(), Some(2));
    let lines: Vec<_> = text(&failed.stdout).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("line 2:") && lines[0].contains("\"retention\""), "{lines:?}");
    assert!(lines[1].contains("line 4:") && lines[1].contains("16MiB"), "{lines:?}");
    let as_json = herald(&["check-config", &wrong, "--json"]);
    let first: Value =
        serde_json::from_str(text(&as_json.stdout).lines().next().expect("a line")).expect("JSON");
    assert_eq!((&first["line"], &first["good"]), (&Value::from(2), &Value::from(false)));

    for (content, said) in [
        ("durability = \"memory\"\n", "listen"),
        ("unix_socket = \"s\"\n", "data is not set"),
        ("unix_socket = \"s\"\ndurability = \"memory\"\nroots = \"/nowhere.pem\"\n", "/nowhere.pem"),
        ("unix_socket = \"s\"\ndurability = \"memory\"\nkey_roots = \"/nowhere.pem\"\n", "/nowhere.pem"),
        (
            "unix_socket = \"s\"\ndurability = \"memory\"\ncps_authorities = \"/nowhere.pem\"\ndiscovery = \"directory\"\n",
            "/nowhere.pem",
        ),
        ("unix_socket = \"s\"\ndurability = \"memory\"\nplugins = \"/nowhere.so\"\n", "/nowhere.so"),
        ("unix_socket = [\n", "line"),
    ] {
        let failed = herald(&["check-config", &written(folder.path(), "bad.toml", content)]);
        assert_eq!(failed.status.code(), Some(2), "{content}");
        assert!(text(&failed.stdout).contains(said), "{content}: {}", text(&failed.stdout));
    }
    assert_eq!(herald(&["check-config", "/nowhere.toml"]).status.code(), Some(2));
}

struct Served {
    process: Child,
    log: BufReader<ChildStderr>,
}

impl Served {
    fn start(data: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_herald"))
            .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--memory", "64MiB"])
            .args(["--metrics-listen", "127.0.0.1:0", "--log-format", "json", "--data"])
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let log = BufReader::new(process.stderr.take().expect("a pipe"));
        Self { process, log }
    }

    /// The message of the next line of the log with `part` in it.
    fn logged(&mut self, part: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).expect("text") > 0, "it ended before it said {part}");
            let said: Value = serde_json::from_str(&line).expect("each line is JSON");
            assert!(said["time"].is_string() && said["level"].is_string(), "{line}");
            let message = said["message"].as_str().expect("a message");
            if message.contains(part) {
                return message.to_owned();
            }
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.process.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_daemon_is_watched_reads_its_files_again_and_says_so_in_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut served = Served::start(folder.path());
    let said = served.logged("metrics are served at");
    let url = said.split_whitespace().last().expect("a URL").to_owned();

    let seen = herald(&["top", "--metrics", &url, "--every", "0.1", "--once"]);
    assert_eq!(seen.status.code(), Some(0), "{}", text(&seen.stderr));
    let picture = text(&seen.stdout);
    assert!(picture.lines().all(|line| line.chars().count() <= 80), "{picture}");
    for part in ["healthy", "stored", "p99", "MEMORY", "JOURNAL", "connections open"] {
        assert!(picture.contains(part), "no {part} in\n{picture}");
    }
    let live = herald(&["top", "--metrics", &url]);
    assert_eq!(live.status.code(), Some(2), "a pipe is no terminal");

    served.signal("-HUP");
    served.logged("read again");
    served.signal("-TERM");
    served.logged("stopping");
    assert!(served.process.wait().expect("it ends").success());
    let gone = herald(&["top", "--metrics", &url, "--once"]);
    assert_eq!(gone.status.code(), Some(69));
    assert_eq!(herald(&["top", "--metrics", "https://127.0.0.1:1", "--once"]).status.code(), Some(2));
}
