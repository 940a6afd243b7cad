//! The plugin through its table: certificates from a folder and shown by the host, good ones and others.

mod common;

use std::fs;
use std::path::Path;

use common::{Authority, OID, Said, signer_der};
use herald_discovery_certificate::DiscoveryCertificate;
use herald_discovery_certificate::limits::OBSERVED_ENTRIES_MAX;
use herald_plugin_sdk::harness::{Discovery, Reply};
use herald_plugin_sdk::{Answer, Side, discovery_entry};

fn open(settings: &[(&str, &str)]) -> Result<Discovery, String> {
    Discovery::open(discovery_entry::<DiscoveryCertificate>, settings)
}

fn open_folder(folder: &Path, roots: &Path) -> Discovery {
    let (folder, roots) = (folder.to_str().expect("a plain path"), roots.to_str().expect("a plain path"));
    open(&[("oid", OID), ("certificates", folder), ("roots", roots)]).expect("it opens")
}

fn show(plugin: &Discovery, pem: &str) {
    plugin.observe_certificate(&signer_der(pem));
}

fn uris(reply: Reply) -> Vec<String> {
    match reply {
        Reply::Found(Answer { uris, is_proven: true, .. }) => uris,
        Reply::Nothing(_) => Vec::new(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn certificates_of_a_folder_answer_for_their_numbers_and_codes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (certificates, roots) = (folder.path().join("certificates"), folder.path().join("roots.pem"));
    fs::create_dir(&certificates).expect("a folder");
    let (authority, stranger) = (Authority::new(), Authority::new());
    fs::write(&roots, &authority.root_pem).expect("it can be written");
    let put = |name: &str, text: &str| fs::write(certificates.join(name), text).expect("it can be written");
    let said = |entries: &[&str], uris: &[&str]| authority.issue(&Said::now(entries, uris));
    put("range.pem", &said(&["1-12225550100-100"], &["https://a", "https://b"]));
    put("code.pem", &said(&["0-1234", "2-12225550123"], &["https://c"]));
    put("plain.pem", &said(&["2-12225550999"], &[]));
    put("http.pem", &said(&["2-1"], &["https://d", "http://d"]));
    put("stranger.pem", &stranger.issue(&Said::now(&["2-2"], &["https://e"])));
    put("old.pem", &authority.issue(&Said { holds_s: (-3600, -60), ..Said::now(&["2-3"], &["https://f"]) }));
    put("early.pem", &authority.issue(&Said { holds_s: (600, 3600), ..Said::now(&["2-4"], &["https://g"]) }));
    put("rubbish.pem", "rubbish");
    put("rubbish.txt", "rubbish");
    let plugin = open_folder(&certificates, &roots);
    let Reply::Found(range) = plugin.find("12225550150", Side::Calling) else { panic!("there is one") };
    assert_eq!(
        (range.uris.as_slice(), range.is_proven),
        (["https://a".into(), "https://b".into()].as_slice(), true)
    );
    assert_eq!(range.note, "named by the certificate of a range with 2 free digits: range.pem");
    assert_eq!(uris(plugin.find("12225550123", Side::Called)), ["https://c"], "the narrower");
    assert_eq!(uris(plugin.find_with("999", Some("1234"), Side::Called)), ["https://c"]);
    for none in ["12225550200", "12225550999", "1", "2", "3", "4"] {
        assert!(uris(plugin.find(none, Side::Called)).is_empty(), "{none}");
    }
    let heard = plugin.stage().heard().join("\n");
    for name in ["http.pem", "stranger.pem", "old.pem", "early.pem", "rubbish.pem", "2 of 8"] {
        assert!(heard.contains(name), "{name} in {heard}");
    }

    fs::remove_file(certificates.join("range.pem")).expect("it was there");
    put("http.pem", &said(&["2-1"], &["https://d"]));
    plugin.reload().expect("it is read again");
    assert!(uris(plugin.find("12225550150", Side::Calling)).is_empty());
    assert_eq!(uris(plugin.find("1", Side::Calling)), ["https://d"]);
    fs::write(&roots, "none").expect("it can be written");
    assert!(plugin.reload().is_err());
    assert_eq!(uris(plugin.find("1", Side::Calling)), ["https://d"], "what was stays");
}

#[test]
fn certificates_that_are_shown_answer_as_long_as_they_hold_and_the_one_issued_last_first() {
    let authority = Authority::new();
    let plugin = open(&[("oid", OID), ("fresh", "900")]).expect("it opens");
    assert!(uris(plugin.find("12225550150", Side::Called)).is_empty());
    let of = |entry, uri, holds_s| authority.issue(&Said { holds_s, ..Said::now(&[entry], &[uri]) });
    let new = of("2-12225550150", "https://new", (-60, 600));
    let old = of("2-12225550150", "https://old", (-3600, 3600));
    for pem in [&new, &old, &new] {
        show(&plugin, pem);
        assert_eq!(uris(plugin.find("12225550150", Side::Called)), ["https://new"]);
    }
    let Reply::Found(answer) = plugin.find("12225550150", Side::Called) else { panic!("it was there") };
    assert!((500..=601).contains(&answer.fresh_s), "no longer than the certificate: {}", answer.fresh_s);
    show(&plugin, &of("2-5", "https://run-out", (-3600, -60)));
    show(&plugin, &of("2-6", "http://clear", (-3600, 3600)));
    plugin.observe_certificate(b"rubbish");
    assert!(uris(plugin.find("5", Side::Called)).is_empty());
    assert!(uris(plugin.find("6", Side::Called)).is_empty());
    assert_eq!(plugin.stage().heard().len(), 2, "{:?}", plugin.stage().heard());
}

#[test]
fn settings_that_do_not_fit_are_refused_with_words() {
    let cases: [(&[(&str, &str)], &str); 5] = [
        (&[], "set oid"),
        (&[("oid", "cps")], "oid: "),
        (&[("oid", OID), ("certificates", "/nowhere")], "set both"),
        (&[("oid", OID), ("certificates", "here"), ("roots", "/roots")], "certificates is an absolute path"),
        (&[("oid", OID), ("certificates", "/nowhere"), ("roots", "/nowhere/roots")], "/nowhere/roots"),
    ];
    for (settings, words) in cases {
        let refused = open(settings).err().unwrap_or_default();
        assert!(refused.contains(words), "{settings:?}: {refused}");
    }
}

#[test]
fn the_entries_that_are_kept_are_bounded() {
    const EACH: usize = 4096;
    let authority = Authority::new();
    let plugin = open(&[("oid", OID)]).expect("it opens");
    for index in 0..=OBSERVED_ENTRIES_MAX / EACH {
        let entries: Vec<_> = (0..EACH).map(|number| format!("2-{}", index * EACH + number)).collect();
        let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
        show(&plugin, &authority.issue(&Said::now(&entries, &["https://a"])));
        assert_eq!(uris(plugin.find(&(index * EACH).to_string(), Side::Called)), ["https://a"]);
    }
    assert!(uris(plugin.find("0", Side::Called)).is_empty(), "the first was forgotten");
}
