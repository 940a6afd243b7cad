//! Plugins in Rust, linked into the test: what the SDK lets them do.

use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use herald_plugin_sdk::{Answer, Discovery, Find, Host, Level, Question, Settings, Ticket, discovery_entry};

use super::*;

/// Long enough for anything that is to succeed.
const LONG_MS: u64 = 10_000;
/// Short enough to wait for.
const SHORT_MS: u64 = 60;

fn found(uri: &str) -> Answer {
    Answer { uris: vec![uri.to_owned()], fresh_s: 60, note: "so it is".to_owned(), ..Answer::default() }
}

/// Does what the called number says.
struct Obedient(Host);

impl Discovery for Obedient {
    const NAME: &'static CStr = c"obedient";
    const VERSION: &'static CStr = c"1.0";
    const SUMMARY: &'static CStr = c"does what the number says";

    fn open(host: Host, settings: &Settings<'_>) -> Result<Self, String> {
        settings.only(&["mood"])?;
        Ok(Self(host))
    }

    fn find(&self, question: &Question<'_>) -> Find {
        let (host, ticket) = (self.0, question.ticket);
        match question.number {
            "10" => Find::Answer(found("https://a.example")),
            "11" => Find::Answer(Answer { fresh_s: 7, ..Answer::default() }),
            "12" => panic!("on purpose"),
            "13" => Find::Pending,
            "14" => {
                thread::spawn(move || host.answer(ticket, Some(&found("https://later.example"))));
                Find::Pending
            }
            "15" => {
                let first = host.answer(ticket, Some(&found("https://first.example")));
                let second = host.answer(ticket, Some(&found("https://second.example")));
                assert!(first.is_ok() && second.is_err(), "one answer counts");
                Find::Answer(found("https://third.example"))
            }
            "18" => {
                let mut out = [0; 32];
                host.random(&mut out);
                Find::Answer(Answer {
                    note: format!("{}", out != [0; 32]),
                    ..found("https://random.example")
                })
            }
            "16" => {
                let _ = host.answer(Ticket(ticket.0 + 1000), Some(&found("https://other.example")));
                Find::Failed("out of order".to_owned())
            }
            number => Find::Answer(found(&format!("https://{number}.example"))),
        }
    }

    /// Answers tickets that it can guess, among them that of this very call.
    fn reload(&self) -> Result<(), String> {
        for ticket in 1..=4 {
            let other = self.0.answer(Ticket(ticket), Some(&found("https://other.example")));
            assert!(other.is_err(), "no question has this ticket");
        }
        Ok(())
    }

    fn cancel(&self, ticket: Ticket) {
        self.0.log(Level::Info, "was cancelled");
        let late = self.0.answer(ticket, Some(&found("https://late.example")));
        assert!(late.is_err(), "it was told so");
    }
}

/// Reads its files again until it is asked.
struct Patient(Host, AtomicBool);

impl Discovery for Patient {
    const NAME: &'static CStr = c"patient";
    const VERSION: &'static CStr = c"1.0";
    const SUMMARY: &'static CStr = c"takes its time to reload";

    fn open(host: Host, _: &Settings<'_>) -> Result<Self, String> {
        Ok(Self(host, AtomicBool::new(false)))
    }

    fn find(&self, _: &Question<'_>) -> Find {
        self.1.store(true, Ordering::Release);
        Find::Answer(found("https://a.example"))
    }

    fn reload(&self) -> Result<(), String> {
        self.0.log(Level::Info, "reads again");
        let began = Instant::now();
        while !self.1.load(Ordering::Acquire) {
            if began.elapsed() > Duration::from_secs(5) {
                return Err("it was not asked meanwhile".to_owned());
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

fn stage() -> Stage {
    let stage = Stage::new(&[], None).expect("an empty stage");
    stage.set.register(discovery_entry::<Obedient>).expect("it is whole");
    stage.set.start().expect("it opens");
    stage
}

#[test]
fn questions_are_answered_at_once_later_and_not_at_all() {
    let stage = stage();
    let ask = |number, patience_ms| stage.ask("obedient", number, patience_ms);
    let is_found = |outcome, uri: &str| matches!(outcome, Outcome::Found(found) if found.uris == [uri]);
    assert!(is_found(ask("10", LONG_MS), "https://a.example"));
    assert_eq!(ask("11", LONG_MS), Outcome::Nothing { fresh_s: 7, note: String::new() });
    assert!(is_found(ask("14", LONG_MS), "https://later.example"));
    assert_eq!(stage.heard(), [""; 0]);

    assert!(matches!(ask("12", LONG_MS), Outcome::Failed(_)));
    assert_eq!(stage.heard_count("plugin obedient: panicked: on purpose"), 1);
    assert_eq!(stage.heard_count("plugin obedient: find returned -1"), 1);

    assert_eq!(ask("13", SHORT_MS), Outcome::TimedOut);
    stage.wait_until_heard("plugin obedient: was cancelled");
    stage.wait_until_heard("plugin obedient: answered a question that is over");

    assert!(is_found(ask("15", LONG_MS), "https://first.example"));
    stage.wait_until_heard("(late answer 2)");
    assert!(matches!(ask("16", LONG_MS), Outcome::Failed(_)));
    assert!(is_found(ask("17", LONG_MS), "https://17.example"), "it serves whatever it did");
    assert_eq!(stage.status("obedient").state, PluginState::Serving);
}

#[test]
fn an_answer_to_what_is_no_question_is_late_and_the_call_ends() {
    let stage = Arc::new(stage());
    let (sender, receiver) = mpsc::channel();
    let reloads = stage.clone();
    thread::spawn(move || sender.send(reloads.set.reload()).expect("it is awaited"));
    receiver.recv_timeout(Duration::from_secs(20)).expect("every call ends").expect("it is reloaded");
    assert_eq!(stage.heard_count("answered a question that is over"), 3, "the 1st, 2nd and 4th are told");
    assert_eq!(stage.status("obedient").late, 4);
}

#[test]
fn questions_do_not_wait_while_a_plugin_reads_its_files_again() {
    let stage = Stage::new(&[], None).expect("an empty stage");
    stage.set.register(discovery_entry::<Patient>).expect("it is whole");
    stage.set.start().expect("it opens");
    thread::scope(|scope| {
        let reloaded = scope.spawn(|| stage.set.reload());
        stage.wait_until_heard("plugin patient: reads again");
        assert!(matches!(stage.ask("patient", "10", LONG_MS), Outcome::Found(_)));
        reloaded.join().expect("it ends").expect("it was asked meanwhile");
    });
}

/// The randomness of a system that has none.
struct Dry;

impl Random for Dry {
    fn fill(&self, _: &mut [u8]) {
        panic!("there is no randomness")
    }
}

#[test]
fn where_there_is_no_randomness_the_process_ends_before_a_plugin_takes_what_is_there_for_random() {
    const WHICH: &str = "HERALD_TEST_RANDOMNESS";
    if let Ok(which) = std::env::var(WHICH) {
        let random: Arc<dyn Random> = if which == "dry" { Arc::new(Dry) } else { Arc::new(SystemRandom) };
        let stage = Stage::with_random(&[], None, random).expect("an empty stage");
        stage.set.register(discovery_entry::<Obedient>).expect("it is whole");
        stage.set.start().expect("it opens");
        let outcome = stage.ask("obedient", "18", LONG_MS);
        assert!(matches!(outcome, Outcome::Found(found) if found.note == "true"));
        return;
    }
    let name = thread::current().name().expect("tests have names").to_owned();
    let run = |which: &str| {
        let mut child = std::process::Command::new(std::env::current_exe().expect("it runs"));
        child.args(["--exact", &name, "--nocapture"]).env(WHICH, which).output().expect("it runs")
    };
    let dry = run("dry");
    let said = String::from_utf8_lossy(&dry.stderr).into_owned();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&dry.status), Some(libc::SIGABRT), "{said}");
    assert!(said.contains("herald: there is no randomness for a plugin"), "{said}");
    assert!(run("sound").status.success(), "the control");
}

#[test]
fn sixteen_failures_in_a_row_disable_a_plugin_and_a_success_between_them_does_not() {
    let stage = stage();
    for round in 0..2 {
        for _ in 0..15 {
            assert!(matches!(stage.ask("obedient", "12", LONG_MS), Outcome::Failed(_)), "{round}");
        }
        assert!(matches!(stage.ask("obedient", "10", LONG_MS), Outcome::Found(_)), "{round}");
    }
    for _ in 0..16 {
        assert!(matches!(stage.ask("obedient", "12", LONG_MS), Outcome::Failed(_)));
    }
    assert!(matches!(stage.ask("obedient", "10", LONG_MS), Outcome::Disabled(_)));
    assert!(matches!(stage.status("obedient").state, PluginState::Disabled(_)));
    assert_eq!(stage.heard_count("plugin obedient: disabled until it is replaced"), 1);
}

#[test]
fn what_is_asked_before_the_start_or_after_the_stop_ends_at_once() {
    let stage = Stage::new(&[], None).expect("an empty stage");
    stage.set.register(discovery_entry::<Obedient>).expect("it is whole");
    assert!(matches!(stage.ask("obedient", "10", LONG_MS), Outcome::Disabled(_)));
    stage.set.start().expect("it opens");
    let (sender, receiver) = mpsc::channel();
    stage.begin("obedient", "13", LONG_MS, move |outcome| sender.send(outcome).expect("it is awaited"));
    assert!(matches!(stage.ask("obedient", "10", LONG_MS), Outcome::Found(_)));
    stage.set.stop();
    let pending = receiver.recv_timeout(Duration::from_secs(5)).expect("a stop ends what is pending");
    assert!(matches!(pending, Outcome::Disabled(_)));
    assert!(matches!(stage.ask("obedient", "10", LONG_MS), Outcome::Disabled(_)));
}

#[test]
fn two_plugins_of_one_name_and_settings_that_are_wrong_are_refused() {
    let stage = stage();
    let twice = stage.set.register(discovery_entry::<Obedient>).unwrap_err().to_string();
    assert!(twice.contains("there is a plugin obedient already"), "{twice}");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plugins.toml");
    for (text, why) in [
        ("[obedient]\nmood = [\"good\", 3, true]", None),
        ("[obedient]\nmode = 1", Some("plugin obedient: there is no setting \"mode\"; there are mood")),
        ("mood = 1", Some("plugins.toml: line 1: settings stand below the name")),
        ("[obedient]\n\nmood = {}", Some("plugins.toml: line 3: a setting is a text")),
        ("[obedient", Some("plugins.toml: line 1: ")),
    ] {
        std::fs::write(&path, text).expect("it is written");
        let started = Stage::new(&[], Some(&path)).and_then(|stage| {
            stage.set.register(discovery_entry::<Obedient>)?;
            stage.set.start()
        });
        match (started, why) {
            (Ok(()), None) => {}
            (Err(error), Some(why)) => assert!(error.to_string().contains(why), "{error}"),
            (started, why) => panic!("{text:?}: {started:?} where {why:?} was expected"),
        }
    }
}
