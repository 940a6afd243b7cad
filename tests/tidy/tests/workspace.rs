//! Every rule over the whole checkout: one test a rule.

use std::collections::HashSet;
use std::process::Command;
use std::sync::OnceLock;

use herald_tidy::files::{TextFile, known_to_git, root};
use herald_tidy::manifest::{self, Manifest};
use herald_tidy::{Finding, compiled_once, dependencies, lexer, lock, rfc, source};

fn files() -> &'static [TextFile] {
    static FILES: OnceLock<Vec<TextFile>> = OnceLock::new();
    FILES.get_or_init(|| known_to_git(&root()).expect("the tests run in a checkout"))
}

fn file(path: &str) -> &'static TextFile {
    files().iter().find(|file| file.path == path).unwrap_or_else(|| panic!("git does not know {path}"))
}

fn manifests() -> Vec<Manifest> {
    let manifests = files().iter().filter(|file| file.path.rsplit('/').next() == Some("Cargo.toml"));
    manifests.map(|file| Manifest::read(file).unwrap_or_else(|finding| panic!("{finding}"))).collect()
}

fn root_manifest() -> Manifest {
    Manifest::read(file("Cargo.toml")).expect("cargo has read it too")
}

fn members() -> Vec<Manifest> {
    let root = root_manifest();
    let members = root.members();
    manifests().into_iter().filter(|manifest| members.contains(&manifest.folder())).collect()
}

/// Production sources: below `engine/*/src` and `plugins/*/src`, without modules that exist only for tests.
fn production() -> Vec<&'static TextFile> {
    let in_src = |file: &&TextFile| {
        let parts: Vec<&str> = file.path.split('/').collect();
        file.has_extension(&["rs"])
            && matches!(parts.first(), Some(&"engine" | &"plugins"))
            && parts.get(2) == Some(&"src")
    };
    let sources: Vec<&TextFile> = files().iter().filter(in_src).collect();
    let for_tests: HashSet<String> = sources
        .iter()
        .flat_map(|file| lexer::test_module_paths(&file.path, &lexer::code_only(&file.text)))
        .collect();
    let is_test = |file: &&TextFile| {
        for_tests.iter().any(|path| file.path == *path || path.ends_with('/') && file.path.starts_with(path))
    };
    sources.into_iter().filter(|file| !is_test(file)).collect()
}

fn with_extension(extensions: &[&str]) -> Vec<&'static TextFile> {
    files().iter().filter(|file| file.has_extension(extensions)).collect()
}

fn check(mut findings: Vec<Finding>) {
    findings.sort();
    findings.dedup();
    let report: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(findings.is_empty(), "\n{}\n", report.join("\n"));
}

fn check_files(files: &[&TextFile], rule: fn(&str, &str) -> Vec<Finding>) {
    assert!(!files.is_empty(), "the rule looked at no file");
    check(files.iter().flat_map(|file| rule(&file.path, &file.text)).collect());
}

#[test]
fn each_crate_uses_only_those_of_ours_that_the_design_lets_it_use() {
    check(members().iter().flat_map(manifest::breaks_the_dependency_rule).collect());
}

#[test]
fn only_the_journal_names_rocksdb_and_only_blind_signatures_name_aws_lc() {
    check(manifests().iter().flat_map(manifest::uses_a_crate_outside_its_home).collect());
    check_files(&with_extension(&["rs"]), source::rocksdb_outside_the_journal);
}

#[test]
fn unsafe_stands_only_in_its_homes() {
    check_files(&with_extension(&["rs"]), source::unsafe_outside_its_homes);
}

#[test]
fn every_crate_has_the_lints_of_the_workspace_which_forbid_unsafe() {
    let root = root_manifest();
    check(manifest::unsafe_not_forbidden(&root));
    check(members().iter().flat_map(|member| manifest::lints_differ(member, &root)).collect());
}

#[test]
fn no_source_file_has_more_than_800_lines() {
    check_files(&with_extension(&["rs", "c", "h", "hpp", "cpp", "py", "sh"]), source::too_long);
}

#[test]
fn every_exemption_from_a_lint_has_a_reason() {
    check_files(&with_extension(&["rs"]), source::exemption_without_reason);
}

#[test]
fn nothing_is_unwrapped_outside_tests() {
    check_files(&production(), source::unwrap_outside_tests);
}

#[test]
fn no_code_is_unfinished_or_left_from_debugging() {
    check_files(&with_extension(&["rs"]), source::unfinished_code);
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    check_files(&files().iter().collect::<Vec<_>>(), source::machine_path);
}

#[test]
fn no_file_holds_a_marker_for_work_left_undone() {
    check_files(&files().iter().collect::<Vec<_>>(), source::marker);
}

#[test]
fn every_limit_says_what_it_is_for() {
    let limits = |file: &&TextFile| file.path.ends_with("/limits.rs");
    check_files(&files().iter().filter(limits).collect::<Vec<_>>(), source::limit_without_doc);
}

#[test]
fn every_version_is_declared_once_in_the_root() {
    check(members().iter().flat_map(manifest::version_outside_the_root).collect());
}

#[test]
fn every_crate_in_the_checkout_is_a_member_or_excluded() {
    let crates: Vec<Manifest> = manifests().into_iter().filter(|one| one.path != "Cargo.toml").collect();
    check(manifest::members_and_manifests_differ(&root_manifest(), &crates));
}

#[test]
fn every_dependency_has_a_line_that_says_why_it_is_here() {
    check(dependencies::rows_and_manifests_differ(&file(dependencies::DOCUMENT).text, &manifests()));
}

#[test]
fn no_banned_crate_is_locked() {
    let locked = file("Cargo.lock");
    assert!(!lock::packages(&locked.text).is_empty(), "the lock file lists nothing");
    check(lock::banned_crates(&locked.path, &locked.text));
}

#[test]
fn no_crate_that_must_be_single_is_locked_twice() {
    let locked = file("Cargo.lock");
    check(lock::doubled_crates(&locked.path, &locked.text));
}

fn cargo_tree(selection: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut tree = Command::new(cargo);
    tree.args(["tree", "--offline", "--no-dedupe", "--prefix", "depth", "-f", " {p} {f}"]).args(selection);
    let output = tree.current_dir(root()).output().expect("cargo runs this test");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

#[test]
fn rocksdb_is_compiled_once_whether_alone_for_the_program_or_for_the_tests() {
    let tests = cargo_tree(&["--workspace"]);
    assert!(!compiled_once::subtree(&tests).is_empty(), "the workspace has no {}", compiled_once::CRATE);
    let program = &["-p", "herald", "-e", "normal,build"];
    let comparison = &["-p", "herald-compare", "-e", "normal,build"];
    for selection in [&["-p", compiled_once::CRATE][..], program, comparison] {
        let differences = compiled_once::differences(&tests, &cargo_tree(selection));
        assert!(
            differences.is_empty(),
            "{selection:?} resolves other features than --workspace, so RocksDB's C++ is compiled again:\n{}",
            differences.join("\n")
        );
    }
}

#[test]
fn the_readme_shows_the_quick_start_word_for_word() {
    let shown = format!("```c\n{}```\n", file("tests/capi/quickstart.c").text);
    let shows = file("README.md").text.contains(&shown);
    assert!(shows, "README.md shows another program than tests/capi/quickstart.c");
}

#[test]
fn requirements_of_the_specifications_are_marked_in_code_and_tests() {
    let documents = files().iter().filter(|file| file.path.starts_with(rfc::FOLDER)).count();
    assert!(documents >= 7, "there are {documents} documents below {}", rfc::FOLDER);
    check(rfc::marks_and_documents_differ(files()));
}
