//! Plugins in C and C++ from `tests/plugins`, compiled here: the header has no barrier, and promises nothing.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::*;

/// Long enough for anything that is to succeed.
pub(super) const LONG_MS: u64 = 10_000;
/// Short enough to wait for.
const SHORT_MS: u64 = 60;

/// A folder of plugins made for a test.
pub(super) struct Workshop(tempfile::TempDir);

impl Workshop {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// Compiles a source of `tests/plugins`, or of `engine/cli/skeletons`, with `flags`.
    pub(super) fn make(&self, name: &str, source: &str, flags: &[&str]) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let object = self.0.path().join(name);
        let (compiler, standard) = match source.ends_with(".cpp") {
            true => ("c++", "-std=c++17"),
            false => ("cc", "-std=c11"),
        };
        let done = Command::new(compiler)
            .args([
                standard,
                "-Wall",
                "-Wextra",
                "-Wpedantic",
                "-Werror",
                "-fPIC",
                "-shared",
                "-pthread",
                "-I",
            ])
            .args([&root.join("include"), &root.join(source)])
            .args(flags)
            .args([Path::new("-o"), &object])
            .output()
            .expect("a compiler");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        // Whatever the umask is here.
        allow(&object, 0o755);
        object
    }

    /// The text of a settings file.
    fn settings(&self, text: &str) -> PathBuf {
        let path = self.0.path().join("plugins.toml");
        std::fs::write(&path, text).expect("it is written");
        path
    }
}

fn allow(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("it is ours");
}

pub(super) fn stage(objects: &[PathBuf]) -> Stage {
    let stage = Stage::new(objects, None).expect("they load");
    stage.set.start().expect("they open");
    stage
}

fn is_good(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Found(found) if found.uris == ["https://good.example"])
}

#[test]
fn tables_that_are_wrong_are_refused_and_the_error_says_which_plugin_and_why() {
    let workshop = Workshop::new();
    for (flag, why) in [
        ("-DWRONG_MAJOR", "it is made for version 2.0 of the plugin interface, this engine for 1.0"),
        ("-DSHORT", "where this kind of plugin has"),
        ("-DSHORTEST", "its table has 8 bytes"),
        ("-DWRONG_KIND", "it is of kind 99; this engine knows 1, discovery, and 2, rate control"),
        ("-DNO_OPEN", "its open is NULL"),
        ("-DNO_FIND", "its find is NULL"),
        ("-DNO_NAME", "its name is NULL"),
        ("-DBAD_NAME", "its name \"../Bad\" is not made of lower-case letters"),
        ("-DVERSION=\"1\\n\"", "its version has control characters in it"),
        ("-DSUMMARY=\"\\033[2J\"", "its summary has control characters in it"),
        ("-DLONG_NAME", "its name is longer than 32 bytes"),
        ("-DNO_TABLE", "its table is NULL"),
        ("-DNO_ENTRY", "it exports no herald_plugin_entry"),
    ] {
        let object = workshop.make("wrong.so", "tests/plugins/bad.c", &[flag, "-Wno-unused"]);
        let error = Stage::new(core::slice::from_ref(&object), None).err().expect(flag).to_string();
        assert!(error.contains("wrong.so: ") && error.contains(why), "{flag}: {error}");
    }
    let throws = workshop.make("throws.so", "tests/plugins/throws.cpp", &["-DENTRY_THROWS", "-Wno-unused"]);
    let error = Stage::new(&[throws], None).err().expect("it throws").to_string();
    assert!(error.contains("throws.so: threw an exception: from the entry"), "{error}");

    let text = workshop.0.path().join("text.so");
    std::fs::write(&text, "no object").expect("it is written");
    for (path, why) in [
        (text, "file too short"),
        (workshop.0.path().join("none.so"), "No such file"),
        (PathBuf::from("relative.so"), "absolute path"),
    ] {
        let error =
            Stage::new(core::slice::from_ref(&path), None).err().expect("it does not load").to_string();
        assert!(error.contains(why), "{error}");
    }
    // The control: what is right loads, also as a folder, and without what may be NULL.
    let right = Workshop::new();
    right.make("right.so", "tests/plugins/bad.c", &["-DNO_CANCEL", "-Wno-unused"]);
    let stage = stage(&[right.0.path().to_owned()]);
    assert!(is_good(&stage.ask("bad-in-c", "10", LONG_MS)));
}

#[test]
fn a_plugin_that_somebody_else_may_write_is_refused() {
    let workshop = Workshop::new();
    let folder = workshop.0.path().join("folder");
    std::fs::create_dir(&folder).expect("it is made");
    let object = workshop.make("folder/open.so", "tests/plugins/bad.c", &[]);
    let loaded = |path: &Path| {
        let stage = Stage::new(&[path.to_owned()], None);
        stage.err().map_or(String::new(), |error| error.to_string())
    };
    for (path, mode, why) in [
        (&*object, 0o757, "its group or everybody may write it"),
        (&object, 0o775, "its group or everybody may write it"),
        (&folder, 0o777, "everybody may write its folder"),
        (workshop.0.path(), 0o777, "everybody may write its folder"),
    ] {
        let was = std::fs::metadata(path).expect("it is there").permissions().mode();
        allow(path, mode);
        assert!(loaded(&object).contains(why), "{mode:o}: {:?}", loaded(&object));
        // What is true of the file is true of a link to it.
        let link = Workshop::new();
        std::os::unix::fs::symlink(&object, link.0.path().join("link.so")).expect("it is made");
        assert!(loaded(&link.0.path().join("link.so")).contains(why), "{mode:o}");
        allow(path, was);
        assert_eq!(loaded(&object), "", "the control");
    }
    // In a sticky folder only its owner can move a file.
    allow(&folder, 0o1777);
    assert_eq!(loaded(&object), "");

    let pipe = folder.join("pipe.so");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .expect("it is made");
    assert!(loaded(&pipe).contains("it is no regular file"), "{}", loaded(&pipe));
    // Only root can give a file away.
    if std::os::unix::fs::chown(&object, Some(65534), None).is_ok() {
        assert!(loaded(&object).contains("it belongs to user 65534"), "{}", loaded(&object));
    }
}

#[test]
fn bad_answers_are_failures_that_name_plugin_and_deed_and_the_other_plugins_serve() {
    let workshop = Workshop::new();
    let bad = workshop.make("bad.so", "tests/plugins/bad.c", &[]);
    let good = workshop.make("good.so", "tests/plugins/bad.c", &["-DNAME=\"good\""]);
    let stage = stage(&[bad, good]);
    let mut failures = 0;
    for (number, deed) in [
        ("25", Some("find says 1048576 bytes of URIs where 4096 fit")),
        ("26", Some("find answered URIs that is not UTF-8")),
        ("28", Some("find returned 77")),
        ("29", Some("find returned OK without a URI")),
        ("31", Some("answered and returned OK without a URI")),
        ("32", None),
        ("33", None),
    ] {
        let outcome = stage.ask("bad-in-c", number, LONG_MS);
        match deed {
            Some(deed) => {
                failures += 1;
                assert_eq!(outcome, Outcome::Failed(deed.to_owned()), "{number}");
            }
            None => assert!(matches!(outcome, Outcome::Nothing { .. }), "{number}: {outcome:?}"),
        }
        assert_eq!(stage.status("bad-in-c").failures, failures, "{number}");
        assert!(is_good(&stage.ask("bad-in-c", "10", LONG_MS)), "it serves after {number}");
        assert!(is_good(&stage.ask("good", "10", LONG_MS)), "the other serves after {number}");
    }
    let said = "plugin bad-in-c: find says 1048576 bytes of URIs where 4096 fit (failure 1)";
    assert!(stage.heard().contains(&said.to_owned()), "{:?}", stage.heard());
    let forged = stage.heard().into_iter().find(|line| line.contains("forged")).expect("it was said");
    assert!(forged.starts_with("plugin bad-in-c: first ") && !forged.contains('\n') && forged.len() < 1100);

    let again = stage.ask("bad-in-c", "27", LONG_MS);
    assert!(matches!(again, Outcome::Found(found) if found.uris == ["https://re-entry.example"]));
}

#[test]
fn answers_that_never_come_come_twice_or_come_late_end_each_question_once() {
    let workshop = Workshop::new();
    let stage = stage(&[workshop.make("bad.so", "tests/plugins/bad.c", &[])]);
    assert_eq!(stage.ask("bad-in-c", "21", SHORT_MS), Outcome::TimedOut);
    stage.wait_until_heard("plugin bad-in-c: find was not answered by its deadline (failure 1)");
    stage.wait_until_heard("plugin bad-in-c: answered a question that is over (late answer 1)");
    assert!(matches!(stage.ask("bad-in-c", "22", LONG_MS), Outcome::Found(_)));
    stage.wait_until_heard("(late answer 2)");
    assert_eq!(stage.ask("bad-in-c", "23", SHORT_MS), Outcome::TimedOut);
    assert_eq!(stage.ask("bad-in-c", "24", SHORT_MS), Outcome::TimedOut);
    stage.wait_until_heard("(late answer 4)");
    assert!(is_good(&stage.ask("bad-in-c", "10", LONG_MS)));
    assert_eq!(stage.status("bad-in-c").timed_out, 3);
}

#[test]
fn a_plugin_that_hangs_is_given_up_and_disabled_and_the_other_plugins_serve() {
    let workshop = Workshop::new();
    for flags in [&[][..], &["-DSHARED"]] {
        let bad = workshop.make("bad.so", "tests/plugins/bad.c", flags);
        let good = workshop.make("good.so", "tests/plugins/bad.c", &["-DNAME=\"good\""]);
        let stage = stage(&[bad, good]);
        // It comes back, late, and serves again.
        assert_eq!(stage.ask("bad-in-c", "34", SHORT_MS), Outcome::TimedOut);
        stage.wait_until_heard("plugin bad-in-c: find returned after its deadline");
        assert!(is_good(&stage.ask("bad-in-c", "10", LONG_MS)), "{flags:?}");

        // It does not come back.
        assert_eq!(stage.ask("bad-in-c", "20", SHORT_MS), Outcome::TimedOut);
        stage.wait_until_heard("plugin bad-in-c: find has not returned by its deadline");
        let again = stage.ask("bad-in-c", "10", SHORT_MS);
        // Where several threads may be in it, another one serves.
        assert_eq!(is_good(&again), !flags.is_empty(), "{flags:?}: {again:?}");
        for _ in 0..20 {
            let number = if flags.is_empty() { "10" } else { "20" };
            assert!(!is_good(&stage.ask("bad-in-c", number, 20)), "{flags:?}");
            assert!(is_good(&stage.ask("good", "10", LONG_MS)), "{flags:?}");
        }
        stage.wait_until_heard("plugin bad-in-c: disabled until it is replaced");
        assert!(matches!(stage.ask("bad-in-c", "10", SHORT_MS), Outcome::Disabled(_)), "{flags:?}");
        let status = stage.status("bad-in-c");
        assert_eq!(status.lost_threads, if flags.is_empty() { 1 } else { 6 }, "{flags:?}");

        // Another generation serves, and the stop is not held up for ever.
        let path = stage.status("good").path.expect("a file");
        assert!(stage.set.replace("bad-in-c", &path).is_err(), "it has another name");
        let fresh = workshop.make("fresh.so", "tests/plugins/bad.c", flags);
        stage.set.replace("bad-in-c", &fresh).expect("it is replaced");
        assert!(is_good(&stage.ask("bad-in-c", "10", LONG_MS)), "{flags:?}");
        let began = Instant::now();
        stage.set.stop();
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn a_stop_ends_the_calls_that_are_in_a_plugin_still() {
    let workshop = Workshop::new();
    // One never returns; one returns while the stop waits, and says that it answers later.
    for number in ["20", "35"] {
        let stage = stage(&[workshop.make("bad.so", "tests/plugins/bad.c", &[])]);
        let (sender, receiver) = mpsc::channel();
        stage.begin("bad-in-c", number, 3_600_000, move |outcome| {
            sender.send(outcome).expect("it is awaited");
        });
        stage.wait_until_heard("plugin bad-in-c: it is asked");
        stage.set.stop();
        let outcome = receiver.recv_timeout(Duration::from_secs(20)).expect("every question ends");
        assert!(matches!(outcome, Outcome::Disabled(_)), "{number}: {outcome:?}");
        let is_left_behind = stage.heard_count("its threads are left behind") == 1;
        assert_eq!(is_left_behind, number == "20", "{:?}", stage.heard());
    }
}

#[test]
fn what_cpp_throws_is_a_failure_in_its_own_words() {
    let workshop = Workshop::new();
    let object = workshop.make("throws.so", "tests/plugins/throws.cpp", &[]);
    let settings = workshop.settings("[throws]\nfrom = \"open\"");
    let opened = Stage::new(core::slice::from_ref(&object), Some(&settings)).expect("it loads").set.start();
    let why = opened.unwrap_err().to_string();
    assert_eq!(why, "plugin throws: threw an exception: from open");

    let settings = workshop.settings("[throws]\nfrom = \"close\"");
    let stage = Stage::new(&[object], Some(&settings)).expect("it loads");
    stage.set.start().expect("it opens");
    for (number, why) in [("40", "from find"), ("41", "something that is no std::exception")] {
        let said = format!("find threw an exception: {why}");
        assert_eq!(stage.ask("throws", number, LONG_MS), Outcome::Failed(said));
        assert!(is_good(&stage.ask("throws", "10", LONG_MS)));
    }
    assert_eq!(stage.ask("throws", "42", SHORT_MS), Outcome::TimedOut);
    stage.wait_until_heard("plugin throws: cancel threw an exception");
    assert!(is_good(&stage.ask("throws", "10", LONG_MS)));
    stage.set.stop();
    assert_eq!(stage.status("throws").failures, 5, "close threw too: {:?}", stage.heard());
}

#[test]
fn an_instance_that_does_not_open_gives_its_reason_within_bounds() {
    let workshop = Workshop::new();
    let object = workshop.make("bad.so", "tests/plugins/bad.c", &[]);
    let settings = workshop.settings("[bad-in-c]\nopen = \"fails\"");
    let error =
        Stage::new(&[object], Some(&settings)).expect("it loads").set.start().unwrap_err().to_string();
    assert!(error.starts_with("plugin bad-in-c: xxx") && error.len() < 600, "{error}");
}

#[test]
fn more_questions_than_there_is_room_for_are_refused_at_once() {
    let workshop = Workshop::new();
    let stage = stage(&[workshop.make("bad.so", "tests/plugins/bad.c", &[])]);
    let ended = Arc::new(AtomicU64::new(0));
    for _ in 0..crate::limits::PLUGIN_CALLS_MAX {
        let ended = ended.clone();
        stage.begin("bad-in-c", "21", LONG_MS, move |_| {
            ended.fetch_add(1, Ordering::Relaxed);
        });
    }
    assert_eq!(stage.ask("bad-in-c", "10", LONG_MS), Outcome::Busy);
    assert_eq!(stage.status("bad-in-c").busy, 1);
    stage.set.stop();
    assert_eq!(ended.load(Ordering::Relaxed), crate::limits::PLUGIN_CALLS_MAX as u64, "each ends once");
}

/// Appends bytes that the loader does not look at, so that the file is another one.
pub(super) fn altered(object: &Path, round: u32) -> PathBuf {
    let altered = object.with_file_name("altered.so");
    let mut bytes = std::fs::read(object).expect("it is there");
    bytes.extend(round.to_be_bytes());
    std::fs::write(&altered, bytes).expect("it is written");
    altered
}

#[test]
fn replaced_a_thousand_times_under_load_no_question_fails() {
    const ROUNDS: u32 = 1000;
    let workshop = Workshop::new();
    let objects = ["1", "2"].map(|version| {
        let name = format!("v{version}.so");
        workshop.make(&name, "tests/plugins/bad.c", &["-DSHARED", &format!("-DVERSION=\"{version}\"")])
    });
    let stage = stage(&objects[..1]);
    let (is_over, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        // Half of the questions are answered later, from another thread.
        for number in ["10", "22"] {
            let (stage, is_over, asked) = (&stage, &is_over, &asked);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let outcome = stage.ask("bad-in-c", number, LONG_MS);
                    assert!(matches!(outcome, Outcome::Found(_)), "{outcome:?}");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 1..=ROUNDS {
            let path = altered(&objects[round as usize % 2], round);
            stage.set.replace("bad-in-c", &path).expect("it is replaced");
            let status = stage.status("bad-in-c");
            let version = ["1", "2"][round as usize % 2];
            assert_eq!((status.version.as_str(), status.generation), (version, u64::from(round) + 1));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let status = stage.status("bad-in-c");
    assert_eq!((status.failures, status.timed_out, status.busy), (0, 0, 0));
    assert!(asked.load(Ordering::Relaxed) >= u64::from(ROUNDS), "there was load: {asked:?}");
    let threads = std::fs::read_dir("/proc/self/task").expect("it is there").count();
    let files = std::fs::read_dir("/proc/self/fd").expect("it is there").count();
    assert!(threads < 100 && files < 100, "{threads} threads and {files} files are left");
    // The control: where nobody serves, the same question does fail.
    stage.set.stop();
    assert!(!matches!(stage.ask("bad-in-c", "10", LONG_MS), Outcome::Found(_)));
}

#[test]
fn a_reload_replaces_a_plugin_whose_file_has_changed_and_keeps_it_if_the_new_file_is_wrong() {
    let workshop = Workshop::new();
    let object = workshop.make("plugin.so", "tests/plugins/bad.c", &[]);
    let stage = stage(core::slice::from_ref(&object));
    stage.set.reload().expect("nothing has changed");
    assert_eq!(stage.status("bad-in-c").generation, 1);
    let newer = workshop.make("newer.so", "tests/plugins/bad.c", &["-DVERSION=\"2\""]);
    std::fs::rename(newer, &object).expect("it is put into its place");
    stage.set.reload().expect("it is replaced");
    assert_eq!((stage.status("bad-in-c").generation, stage.status("bad-in-c").version), (2, "2".to_owned()));
    std::fs::write(&object, "spoilt").expect("it is written");
    let error = stage.set.reload().unwrap_err().to_string();
    assert!(error.starts_with("plugin bad-in-c stays as it is: "), "{error}");
    assert!(is_good(&stage.ask("bad-in-c", "10", LONG_MS)), "what is loaded is a copy");
}
