//! The plugin through its table: what it finds, reloads, and what it does with files that are cut off.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use herald_discovery_static::DiscoveryStatic;
use herald_plugin_sdk::harness::{Discovery, Reply};
use herald_plugin_sdk::{Answer, Side, discovery_entry};
use herald_stir::table::{Service, Sides, TableBuilder};

fn write(path: &Path, lines: &str) {
    let mut builder = TableBuilder::new();
    for line in lines.lines() {
        builder.add_line(line, "lines.txt").expect("a good line");
    }
    fs::write(path, builder.finish(1).expect("a table")).expect("it can be written");
}

fn open(path: &Path) -> Result<Discovery, String> {
    let path = path.to_str().expect("a plain path");
    Discovery::open(discovery_entry::<DiscoveryStatic>, &[("table", path), ("fresh", "7")])
}

fn uris(reply: Reply) -> Vec<String> {
    match reply {
        Reply::Found(answer) => answer.uris,
        Reply::Nothing(_) => Vec::new(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_answers_from_the_table_and_says_how_it_was_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("table");
    write(&path, "1222* calling https://a https://b\n0-1234 https://c");
    let plugin = open(&path).expect("it opens");
    let found = |uris: &[&str], note: &str| {
        let uris = uris.iter().map(|uri| (*uri).to_owned()).collect();
        Answer { uris, fresh_s: 7, note: note.to_owned(), is_proven: false }
    };
    let by_prefix =
        found(&["https://a", "https://b"], "by a set of numbers with 11 free digits, from lines.txt");
    assert_eq!(plugin.find("12225550123", Side::Calling), Reply::Found(by_prefix));
    assert_eq!(plugin.find("12225550123", Side::Called), Reply::Nothing(found(&[], "not in the table")));
    let by_code = found(&["https://c"], "by its service provider code, from lines.txt");
    assert_eq!(plugin.find_with("12225550123", Some("1234"), Side::Called), Reply::Found(by_code));
    assert_eq!(plugin.find("+1222", Side::Called), Reply::Failed, "not canonical");
}

#[test]
fn an_entry_that_ran_out_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("table");
    let mut builder = TableBuilder::new();
    for (selector, until_s) in [("1*", 1000), ("2*", u64::MAX - 1)] {
        let service = Service {
            uris: vec!["https://a".to_owned()],
            is_proven: true,
            since_s: 1,
            until_s: Some(until_s),
            origin: "advert".to_owned(),
        };
        builder.add(&selector.parse().expect("one"), Sides::Both, &service).expect("it fits");
    }
    fs::write(&path, builder.finish(1).expect("a table")).expect("it can be written");
    let plugin = open(&path).expect("it opens");
    let ran_out =
        Answer { fresh_s: 7, note: "the entry from advert has run out".into(), ..Answer::default() };
    assert_eq!(plugin.find("12", Side::Called), Reply::Nothing(ran_out));
    assert!(matches!(plugin.find("22", Side::Called), Reply::Found(answer) if answer.is_proven));
}

#[test]
fn settings_and_files_that_are_wrong_are_refused_with_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("table");
    fs::write(&path, "1222* https://a").expect("it can be written");
    let path = path.to_str().expect("a plain path");
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[], "set table"),
        (&[("table", "table")], "absolute"),
        (&[("table", "/nowhere/at/all")], "No such file"),
        (&[("table", path)], "herald table build"),
        (&[("table", path), ("fresh", "-1")], "0 to 86400"),
        (&[("table", path), ("speed", "1")], "no setting \"speed\""),
    ];
    for (settings, words) in cases {
        let refused = Discovery::open(discovery_entry::<DiscoveryStatic>, settings).err().unwrap_or_default();
        assert!(refused.contains(words), "{settings:?}: {refused}");
    }
}

#[test]
fn a_thousand_hostile_cuts_of_the_file_reach_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("table");
    let lines: String = (0..5_000).map(|index| format!("1{index:06}* https://{}\n", index % 7)).collect();
    write(&path, &lines);
    let whole = fs::read(&path).expect("it is there");
    let plugin = open(&path).expect("it opens");
    let expected = vec!["https://3".to_owned()];
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let cutter = scope.spawn(|| {
            for round in 0..1_000 {
                let file = OpenOptions::new().write(true).open(&path).expect("it is there");
                file.set_len((round * 37 % whole.len()) as u64).expect("it is cut");
                if round % 10 == 0 {
                    fs::write(&path, &whole).expect("it is written");
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
        while !is_over.load(Ordering::Relaxed) {
            assert_eq!(uris(plugin.find("10000031", Side::Called)), expected);
            // Whether it finds the file whole is chance; what was there before stays if not.
            let _ = plugin.reload();
        }
        cutter.join().expect("it cuts");
    });
    fs::write(&path, &whole[..whole.len() - 1]).expect("it is written");
    assert!(plugin.reload().expect_err("it is cut").contains("length"));
    assert_eq!(uris(plugin.find("10000031", Side::Called)), expected);
    write(&path, "1* https://new");
    plugin.reload().expect("it is whole");
    assert_eq!(uris(plugin.find("10000031", Side::Called)), ["https://new"]);
}
