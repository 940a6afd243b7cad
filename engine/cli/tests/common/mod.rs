//! What the tests of calls over several processes share: parties with keys and certificates, and services that run.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// What a command came to.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) errors: String,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), errors: text(&output.stderr) }
    }

    /// The standard output of a command that must end with 0.
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.errors);
        self.out
    }

    /// What is said by a command that must end with `code`.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.errors);
        self.out + &self.errors
    }
}

/// Runs the program.
pub(crate) fn herald(arguments: &[&str]) -> Said {
    Said::of(Command::new(env!("CARGO_BIN_EXE_herald")).args(arguments).output().expect("the program runs"))
}

/// Runs the program with `input` on its standard input.
pub(crate) fn herald_with(arguments: &[&str], input: &str) -> Said {
    let mut process = Command::new(env!("CARGO_BIN_EXE_herald"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    process.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("the program reads it all");
    Said::of(process.wait_with_output().expect("the program ends"))
}

/// Parties under one authority, their certificates in a folder where verifiers look.
pub(crate) struct Parties {
    folder: TempDir,
}

impl Parties {
    /// Makes keys and certificates of parties with a number each.
    pub(crate) fn new(parties: &[(&str, &str)]) -> Self {
        let made = Self { folder: tempfile::tempdir().expect("a folder") };
        std::fs::create_dir(made.path("certificates")).expect("a folder");
        for (party, number) in parties {
            let (out, authority) = (made.path(party), made.path("authority"));
            herald(&["keygen", "--out", &out, "--authority", &authority, "--number", number]).good();
            let served = made.path(&format!("certificates/{party}.chain.pem"));
            std::fs::copy(made.path(&format!("{party}/signing.pem")), served).expect("a chain");
        }
        made
    }

    /// A path in the folder of all.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("a path of text").to_owned()
    }

    /// Where the certificate of a party is said to be.
    pub(crate) fn x5u(party: &str) -> String {
        format!("https://certs.example.net/{party}.pem")
    }

    /// Options of a verifier: `--roots` and `--certificates`.
    pub(crate) fn verifier(&self) -> Vec<String> {
        let words = ["--roots".to_owned(), self.path("authority/roots.pem"), "--certificates".to_owned()];
        words.into_iter().chain([self.path("certificates")]).collect()
    }

    /// Starts the Call Placement Service of a domain.
    pub(crate) fn serve(&self, domain: &str) -> Served {
        Served::start(Path::new(&self.path(domain)))
    }
}

/// A service that runs until this is dropped.
pub(crate) struct Served {
    process: Child,
    /// The options that name it: `--cps` and `--ca`.
    pub(crate) at: [String; 4],
}

impl Served {
    fn start(data: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_herald"))
            .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--memory", "64MiB", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program runs");
        let mut line = String::new();
        let mut lines = BufReader::new(process.stdout.take().expect("a pipe"));
        lines.read_line(&mut line).expect("a line");
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, url, ca] = words[..] else { panic!("{line:?}") };
        let ca = ca.trim_start_matches("ca=").to_owned();
        Self { process, at: ["--cps".to_owned(), url.to_owned(), "--ca".to_owned(), ca] }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
