//! Each rule against a small bad example, and against a good one it must leave alone.

use herald_tidy::files::TextFile;
use herald_tidy::manifest::{self, Manifest};
use herald_tidy::{Finding, compiled_once, dependencies, lexer, lock, rfc, source};

type Rule = fn(&str, &str) -> Vec<Finding>;

/// `rule` finds exactly the lines `lines` in `text` at `path`.
fn check(rule: Rule, path: &str, text: &str, lines: &[usize]) {
    let mut found: Vec<usize> = rule(path, text).iter().map(|finding| finding.line).collect();
    found.sort_unstable();
    assert_eq!(found, lines, "in {path}:\n{text}");
}

fn manifest_at(path: &str, text: &str) -> Manifest {
    Manifest::read(&TextFile { path: path.to_owned(), text: text.to_owned() }).expect("the example is TOML")
}

fn check_manifest(findings: &[Finding], lines: &[usize]) {
    let found: Vec<usize> = findings.iter().map(|finding| finding.line).collect();
    assert_eq!(found, lines, "{findings:?}");
}

#[test]
fn comments_and_literals_are_not_code() {
    let text = "a /* b /* c */ d */ e // f\ng \"h\\\"i\" r#\"j\"k\"# b'l' '\\'' 'm' n::<'o> br\"p\" q";
    let words: Vec<String> = lexer::code_only(text).split_whitespace().map(str::to_owned).collect();
    assert_eq!(words, ["a", "e", "g", "b", "n::<'o>", "q"]);
    assert_eq!(lexer::code_only(text).len(), text.len());
}

#[test]
fn test_modules_are_not_production_code() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b(x: [u8; 2]) { {} }\n}\nfn c() {}\n\
                #[cfg(all(test, unix))]\nmod d;\n#[cfg(not(test))]\nfn e() {}";
    let left: String = lexer::production_only(text).split_whitespace().collect();
    assert_eq!(left, "fna(){}fnc(){}#[cfg(not(test))]fne(){}");
    assert_eq!(lexer::test_module_paths("x/src/y.rs", text), ["x/src/y/d.rs", "x/src/y/d/"]);
    assert_eq!(lexer::test_module_paths("x/src/lib.rs", text), ["x/src/d.rs", "x/src/d/"]);
    assert_eq!(lexer::production_only("#![cfg(test)]\nfn a() {}").trim(), "");
}

#[test]
fn unsafe_is_found_outside_its_homes() {
    let text = "// unsafe\nfn a() { unsafe { b(\"unsafe\") } }\n#[unsafe(no_mangle)]\nfn unsafe_c() {}";
    check(source::unsafe_outside_its_homes, "engine/core/src/lib.rs", text, &[2, 3]);
    check(source::unsafe_outside_its_homes, "engine/capi/src/engine.rs", text, &[2]);
    check(source::unsafe_outside_its_homes, "engine/capi/src/boundary/scope.rs", text, &[]);
    check(source::unsafe_outside_its_homes, "engine/log/src/arena.rs", text, &[]);
}

#[test]
fn rocksdb_is_found_outside_the_journal() {
    let text = "//! rocksdb\nuse rocksdb::DB;\nlet name = \"rocksdb\";\nlibrocksdb_sys::open();\nlet rocksdb_path = 1;";
    check(source::rocksdb_outside_the_journal, "engine/runtime/src/lib.rs", text, &[2, 4]);
    check(source::rocksdb_outside_the_journal, "engine/journal/src/lib.rs", text, &[]);
}

#[test]
fn a_file_of_801_lines_is_too_long() {
    let lines = |count: usize| "x\n".repeat(count);
    check(source::too_long, "engine/core/src/lib.rs", &lines(801), &[801]);
    check(source::too_long, "engine/core/src/lib.rs", &lines(800), &[]);
    check(source::too_long, "include/herald.h", &lines(801), &[801]);
    let generated = format!("/* Generated from the engine. */\n{}", lines(801));
    check(source::too_long, "include/herald.h", &generated, &[]);
    check(source::too_long, "include/herald.hpp", &generated, &[802]);
}

#[test]
fn an_exemption_needs_a_reason() {
    let text = "#[allow(dead_code)]\n#![expect(clippy::exit)]\n#[cfg_attr(test, allow(dead_code))]\n\
                #[allow(dead_code, reason = \"\")]\n#[allow(\n    dead_code,\n    reason = \"C calls it\"\n)]\n\
                #[expect(dead_code, reason = \"later (soon)\")]\n// #[allow(dead_code)]\nx.expect(\"y\");";
    check(source::exemption_without_reason, "a.rs", text, &[1, 2, 3, 4]);
}

#[test]
fn unwrap_is_found_outside_tests() {
    let text = "/// a.unwrap()\nfn b() { c.unwrap(); d\n    .unwrap () }\nfn e() { f.unwrap_or(1); unwrap(g) }\n\
                #[cfg(test)]\nmod tests { fn h() { i.unwrap(); } }";
    check(source::unwrap_outside_tests, "engine/core/src/lib.rs", text, &[2, 3]);
}

#[test]
fn unfinished_code_is_found() {
    let text = "todo!()\nunimplemented!(\"later\")\ndbg!(x);\nlet todo = 1; // todo!()\nmy_todo!();";
    check(source::unfinished_code, "a.rs", text, &[1, 2, 3]);
}

#[test]
fn paths_of_one_machine_are_found() {
    let text =
        [concat!("see /wo", "rk/main"), concat!("/ro", "ot/x"), concat!("/tmp", "/t-x"), "/works/ /tmp/x"];
    check(source::machine_path, "README.md", &text.join("\n"), &[1, 2, 3]);
}

#[test]
fn markers_are_found() {
    let text =
        [concat!("// TO", "DO: x"), concat!("FIX", "ME"), concat!("(X", "XX)"), "RFC XXXX, XXXL, todo"];
    check(source::marker, "a.c", &text.join("\n"), &[1, 2, 3]);
}

#[test]
fn a_limit_needs_a_doc_comment() {
    let text = "/// Bytes of a name.\npub const A: usize = 1;\npub const B: usize = 2;\n// not a doc comment\n\
                pub(crate) const C: u8 = 3;\n/// D.\n#[rustfmt::skip]\npub const D: u8 = 4;\npub const fn e() {}";
    check(source::limit_without_doc, "engine/core/src/limits.rs", text, &[3, 5]);
}

#[test]
fn a_forbidden_use_of_our_own_crates_is_found() {
    let text = "[package]\nname = \"herald-log\"\n[dependencies]\nherald-core = { workspace = true }\n\
                herald-journal = { workspace = true }\n[dev-dependencies]\nherald-net.workspace = true\n\
                [target.'cfg(unix)'.build-dependencies]\nstir = { package = \"herald-stir\", workspace = true }";
    check_manifest(
        &manifest::breaks_the_dependency_rule(&manifest_at("engine/log/Cargo.toml", text)),
        &[5, 9],
    );
    let core = "[package]\nname = \"herald-core\"\n[dependencies]\nherald-log.workspace = true";
    check_manifest(&manifest::breaks_the_dependency_rule(&manifest_at("engine/core/Cargo.toml", core)), &[4]);
    let unknown = "[package]\nname = \"herald-new\"";
    check_manifest(
        &manifest::breaks_the_dependency_rule(&manifest_at("engine/new/Cargo.toml", unknown)),
        &[2],
    );
    let plugin = "[package]\nname = \"herald-rate-x\"\n[dependencies]\nherald-log.workspace = true";
    check_manifest(&manifest::breaks_the_dependency_rule(&manifest_at("plugins/x/Cargo.toml", plugin)), &[4]);
}

#[test]
fn a_dependency_on_rocksdb_or_aws_lc_is_found_outside_its_home() {
    let text = "[package]\nname = \"herald-runtime\"\n[dev-dependencies]\nrocksdb = { workspace = true }";
    check_manifest(&manifest::uses_a_crate_outside_its_home(&manifest_at("a/Cargo.toml", text)), &[4]);
    let journal = text.replace("runtime", "journal");
    check_manifest(&manifest::uses_a_crate_outside_its_home(&manifest_at("a/Cargo.toml", &journal)), &[]);
    let signer = journal.replace("rocksdb", "aws-lc-rs");
    check_manifest(&manifest::uses_a_crate_outside_its_home(&manifest_at("a/Cargo.toml", &signer)), &[4]);
}

#[test]
fn a_version_outside_the_root_is_found() {
    let text = "[package]\nname = \"x\"\n[dependencies]\nring = \"0.17\"\nhyper = { workspace = true }\n\
                mio = { version = \"1\" }";
    let mut findings = manifest::version_outside_the_root(&manifest_at("a/Cargo.toml", text));
    findings.sort();
    check_manifest(&findings, &[4, 6]);
}

#[test]
fn lints_that_differ_from_the_workspace_are_found() {
    let root = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\nmissing_docs = \"warn\"";
    let root = manifest_at("Cargo.toml", root);
    assert!(manifest::unsafe_not_forbidden(&root).is_empty());
    check_manifest(&manifest::unsafe_not_forbidden(&manifest_at("Cargo.toml", "[workspace]")), &[1]);
    let with = |name: &str, lints: &str| {
        let text = format!("[package]\nname = \"{name}\"\n{lints}");
        manifest::lints_differ(&manifest_at("a/Cargo.toml", &text), &root).len()
    };
    assert_eq!(with("herald-core", "[lints]\nworkspace = true"), 0);
    assert_eq!(with("herald-core", ""), 1);
    let full = "[lints.rust]\nunsafe_code = \"deny\"\nmissing_docs = \"warn\"";
    assert_eq!(with("herald-core", full), 1);
    assert_eq!(with("herald-log", full), 0);
    assert_eq!(with("herald-log", "[lints.rust]\nmissing_docs = \"allow\""), 2);
}

#[test]
fn a_crate_that_is_no_member_is_found() {
    let root =
        manifest_at("Cargo.toml", "[workspace]\nmembers = [\n    \"a\",\n    \"b\",\n]\nexclude = [\"c\"]");
    let at = |folder: &str| manifest_at(&format!("{folder}/Cargo.toml"), "[package]\nname = \"x\"");
    let crates = [at("a"), at("c"), at("c/d"), at("e")];
    let findings = manifest::members_and_manifests_differ(&root, &crates);
    let places: Vec<&str> = findings.iter().map(|finding| finding.path.as_str()).collect();
    assert_eq!(places, ["Cargo.toml", "e/Cargo.toml"], "{findings:?}");
}

#[test]
fn a_dependency_without_a_line_is_found() {
    let root = manifest_at(
        "Cargo.toml",
        "[workspace.dependencies]\nours = { path = \"ours\" }\na = \"1\"\nb = \"2\"\nc = \"3\"",
    );
    let document = "| crate | version | saves | keeper | unsafe | features |\n|---|---|---|---|---|---|\n\
                    | `a` | 1 | x | x | x | x |\n| `b` | 1 | x | x | x | x |\n| `d` | 1 | x |  | x | x |";
    let findings = dependencies::rows_and_manifests_differ(document, &[root]);
    check_manifest(&findings, &[5, 5, 4, 1]);
}

#[test]
fn banned_and_doubled_crates_are_found_in_the_lock_file() {
    let text = "[[package]]\nname = \"ring\"\nversion = \"0.16.20\"\n[[package]]\nname = \"ring\"\nversion = \"0.17.14\"\n\
                [[package]]\nname = \"rsa\"\nversion = \"0.9.0\"\n[[package]]\nname = \"syn\"\nversion = \"1.0.0\"\n\
                [[package]]\nname = \"syn\"\nversion = \"2.0.0\"";
    check(lock::banned_crates, "Cargo.lock", text, &[8]);
    check(lock::doubled_crates, "Cargo.lock", text, &[2]);
}

#[test]
fn a_build_that_would_compile_rocksdb_again_is_found() {
    let one = "0 herald v1 (x) \n1 librocksdb-sys v1 static\n2 syn v2 full\n1 syn v2 full,visit\n";
    let same = "0 librocksdb-sys v1 static\n1 syn v2 full\n";
    let other = "0 librocksdb-sys v1 static\n1 syn v2 full,visit\n";
    assert_eq!(compiled_once::subtree(one).len(), 2);
    assert!(compiled_once::differences(one, same).is_empty());
    assert_eq!(compiled_once::differences(one, other), ["syn v2 full", "syn v2 full,visit"]);
}

#[test]
fn requirements_without_marks_and_marks_without_requirements_are_found() {
    let file = |path: &str, text: &str| TextFile { path: path.to_owned(), text: text.to_owned() };
    let entry = |id: &str, rest: &str| {
        format!("[[requirement]]\nid = \"{id}\"\nlevel = \"MUST\"\nsays = \"x\"\n{rest}\n")
    };
    let met = "code = [\"a.rs\"]\ntest = [\"b.rs\"]";
    let document = [
        entry("1-1", met),
        entry("1-2", met),
        entry("1-3", "exception = \"not here\""),
        entry("1-4", "code = [\"a.rs\"]"),
        entry("1-3", "exception = \"again\""),
    ]
    .concat();
    let files = [
        file("docs/rfc/rfc1234.toml", &document),
        file("a.rs", "// rfc1234:1-1 and rfc1234:1-4.\n// rfc1234:1-9 rfc9999:1-1 rfc1234:"),
        file("b.rs", "// rfc1234:1-1, rfc1234:1-22"),
    ];
    let mut found: Vec<String> =
        rfc::marks_and_documents_differ(&files).iter().map(ToString::to_string).collect();
    found.sort();
    let wanted = [
        "a.rs:2: `rfc1234:1-9` is no requirement that docs/rfc/ lists",
        "b.rs:1: `rfc1234:1-22` is no requirement that docs/rfc/ lists",
        "docs/rfc/rfc1234.toml:14: `rfc1234:1-3` is listed twice",
        "docs/rfc/rfc1234.toml:19: `rfc1234:1-4` has no `test`, and no `exception` that says why",
        "docs/rfc/rfc1234.toml:8: `rfc1234:1-2` is not marked in a.rs",
        "docs/rfc/rfc1234.toml:8: `rfc1234:1-2` is not marked in b.rs",
    ];
    let shown: Vec<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(shown, wanted);
}
