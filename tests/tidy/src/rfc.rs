//! The rule that every requirement of the specifications listed below `docs/rfc` has a mark at the code that meets it
//! and at a test, or a reason why not.
//!
//! A document is TOML: an array of `requirement`, each with an `id` (section and a count in it, `8.1-2`), a `level`
//! (MUST or SHOULD), what it `says` in our words, and `code` and `test`, lists of files, or an `exception`, or both where
//! it is met in part. The mark is `rfcNNNN:ID` anywhere in the file. It does not know whether the code near a mark does
//! what it says.

use toml::{Table, Value};

use crate::Finding;
use crate::files::TextFile;

/// Where the documents lie.
pub const FOLDER: &str = "docs/rfc/";

struct Requirement<'a> {
    path: &'a str,
    line: usize,
    mark: String,
    table: &'a Table,
}

/// Requirements that are met nowhere or tested nowhere, and marks that no document knows.
pub fn marks_and_documents_differ(files: &[TextFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut known = Vec::new();
    for document in files.iter().filter(|file| is_document(&file.path)) {
        match document.text.parse::<Table>() {
            Err(error) => findings.push(Finding::new(&document.path, 1, format!("is no TOML: {error}"))),
            Ok(table) => check_document(document, &table, files, &mut known, &mut findings),
        }
    }
    for file in files.iter().filter(|file| !is_document(&file.path)) {
        for (offset, mark) in marks(&file.text) {
            let series = &mark[..mark.find(':').map_or(mark.len(), |colon| colon + 1)];
            let has_document = known.iter().any(|known: &String| known.starts_with(series));
            if has_document && !known.iter().any(|known| known == mark) {
                let message = format!("`{mark}` is no requirement that {FOLDER} lists");
                findings.push(Finding::at_offset(&file.path, &file.text, offset, message));
            }
        }
    }
    findings
}

fn is_document(path: &str) -> bool {
    path.starts_with(FOLDER) && path.ends_with(".toml")
}

fn check_document(
    document: &TextFile,
    table: &Table,
    files: &[TextFile],
    known: &mut Vec<String>,
    findings: &mut Vec<Finding>,
) {
    let series = document.path[FOLDER.len()..].trim_end_matches(".toml");
    let empty = Vec::new();
    for value in table.get("requirement").and_then(Value::as_array).unwrap_or(&empty) {
        let Some(entry) = value.as_table() else { continue };
        let id = text(entry, "id");
        let line = line_of(&document.text, &format!("id = \"{id}\""));
        let one = Requirement { path: &document.path, line, mark: format!("{series}:{id}"), table: entry };
        if known.contains(&one.mark) {
            findings.push(one.finding("is listed twice"));
        }
        one.check(files, findings);
        known.push(one.mark);
    }
}

impl Requirement<'_> {
    fn check(&self, files: &[TextFile], findings: &mut Vec<Finding>) {
        if !matches!(text(self.table, "level"), "MUST" | "SHOULD") {
            findings.push(self.finding("has no level: MUST or SHOULD"));
        }
        if text(self.table, "says").is_empty() {
            findings.push(self.finding("does not say what it asks"));
        }
        let has_exception = !text(self.table, "exception").is_empty();
        for list in ["code", "test"] {
            let paths = paths(self.table, list);
            if paths.is_empty() && !has_exception {
                findings.push(self.finding(&format!("has no `{list}`, and no `exception` that says why")));
            }
            for path in paths {
                let file = files.iter().find(|file| file.path == path);
                let is_marked = file.is_some_and(|file| marks(&file.text).any(|(_, mark)| mark == self.mark));
                if !is_marked {
                    findings.push(self.finding(&format!("is not marked in {path}")));
                }
            }
        }
    }

    fn finding(&self, what: &str) -> Finding {
        Finding::new(self.path, self.line, format!("`{}` {what}", self.mark))
    }
}

/// Every `rfcNNNN:ID` of a text, with where it begins.
fn marks(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices("rfc").filter_map(|(begin, _)| {
        let rest = &text[begin + 3..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let id = rest[digits..].strip_prefix(':')?;
        let id_bytes =
            id.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')).count();
        // A full stop after a mark ends a sentence.
        let id = id[..id_bytes].trim_end_matches(['.', '-']);
        (digits == 4 && id.contains('-')).then(|| (begin, &text[begin..begin + 3 + digits + 1 + id.len()]))
    })
}

fn text<'a>(table: &'a Table, key: &str) -> &'a str {
    table.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn paths<'a>(table: &'a Table, key: &str) -> Vec<&'a str> {
    let list = table.get(key).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn line_of(text: &str, wanted: &str) -> usize {
    text.lines().position(|line| line == wanted).map_or(1, |index| index + 1)
}
