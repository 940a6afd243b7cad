//! Rules over one source file: a path and its text in, findings out. They do not know other files.

use crate::Finding;
use crate::lexer::{attribute_spans, code_only, group_end, production_only, word_offsets};
use crate::limits::{GENERATED_NOTICE_LINES_MAX, SOURCE_LINES_MAX};

/// Where `unsafe` may stand: the lock-free log, the C boundary, the plugin ABI and SDK, the plugin loader.
/// The tests of the C API call it as C would. A ceiling beside the log is written with the log's own instruction.
pub const UNSAFE_HOMES: [&str; 8] = [
    "engine/log/src/",
    "engine/capi/src/boundary/",
    "engine/capi/tests/",
    "engine/runtime/src/plugin_loader/",
    "plugins/abi/src/",
    "plugins/sdk/src/",
    "plugins/rate-blind-signature/src/private_key.rs",
    "benches/compare/src/stores/streaming.rs",
];

/// Folders whose exported functions need the attribute `#[unsafe(no_mangle)]`, which alone is allowed there.
const UNSAFE_ATTRIBUTE_HOMES: [&str; 1] = ["engine/capi/src/"];

/// The only places that may name the storage engine: the journal, and the comparison that shows it raw.
pub const ROCKSDB_HOMES: [&str; 2] = ["engine/journal/", "benches/compare/src/stores/rocks.rs"];

/// `unsafe` stands in a file that is not one of its homes.
pub fn unsafe_outside_its_homes(path: &str, text: &str) -> Vec<Finding> {
    if UNSAFE_HOMES.iter().any(|home| path.starts_with(home)) {
        return Vec::new();
    }
    let code = code_only(text);
    let attribute_allowed = UNSAFE_ATTRIBUTE_HOMES.iter().any(|home| path.starts_with(home));
    word_offsets(&code, "unsafe")
        .filter(|&offset| !(attribute_allowed && code[offset..].starts_with("unsafe(no_mangle)")))
        .map(|offset| {
            let message = "unsafe outside the log, the C boundary, the plugin ABI, SDK and loader: \
                           move it there or do without";
            Finding::at_offset(path, &code, offset, message)
        })
        .collect()
}

/// Code outside the journal names RocksDB's crates.
pub fn rocksdb_outside_the_journal(path: &str, text: &str) -> Vec<Finding> {
    if ROCKSDB_HOMES.iter().any(|home| path.starts_with(home)) {
        return Vec::new();
    }
    let code = code_only(text);
    ["rocksdb", "librocksdb_sys", "rust_rocksdb"]
        .iter()
        .flat_map(|name| word_offsets(&code, name))
        .map(|offset| Finding::at_offset(path, &code, offset, "only engine/journal may name rocksdb"))
        .collect()
}

/// The file has more than [`SOURCE_LINES_MAX`] lines. A header that says it is generated is exempt.
pub fn too_long(path: &str, text: &str) -> Vec<Finding> {
    let lines = text.lines().count();
    let notice = text.lines().take(GENERATED_NOTICE_LINES_MAX).any(|line| {
        let line = line.to_ascii_lowercase();
        line.contains("generated")
    });
    if lines <= SOURCE_LINES_MAX || (path == "include/herald.h" && notice) {
        return Vec::new();
    }
    let message = format!("{lines} lines, at most {SOURCE_LINES_MAX}: split it by what it tells");
    vec![Finding::new(path, lines, message)]
}

/// A lint is switched off without saying why.
pub fn exemption_without_reason(path: &str, text: &str) -> Vec<Finding> {
    let code = code_only(text);
    let mut findings = Vec::new();
    for span in attribute_spans(&code) {
        let attribute = &code[span.clone()];
        for kind in ["allow", "expect"] {
            for offset in word_offsets(attribute, kind).map(|offset| span.start + offset) {
                let open = offset + kind.len();
                let is_call = code.as_bytes().get(open) == Some(&b'(');
                if is_call && !has_reason(&text[open..group_end(code.as_bytes(), open)]) {
                    let message = format!("`{kind}` without a reason: add reason = \"why\"");
                    findings.push(Finding::at_offset(path, &code, offset, message));
                }
            }
        }
    }
    findings
}

fn has_reason(arguments: &str) -> bool {
    let Some((_, after)) = arguments.rsplit_once("reason") else { return false };
    let Some(value) = after.trim_start().strip_prefix('=') else { return false };
    value.trim_start().strip_prefix('"').is_some_and(|value| !value.trim_start().starts_with('"'))
}

/// `.unwrap()` outside `#[cfg(test)]`.
pub fn unwrap_outside_tests(path: &str, text: &str) -> Vec<Finding> {
    let code = production_only(&code_only(text));
    word_offsets(&code, "unwrap")
        .filter(|&offset| {
            let called = code[offset + "unwrap".len()..].trim_start().starts_with('(');
            called && code[..offset].trim_end().ends_with('.')
        })
        .map(|offset| {
            let message = "unwrap outside tests: return an error, or expect(\"why it cannot fail\")";
            Finding::at_offset(path, &code, offset, message)
        })
        .collect()
}

/// Code that says it is not finished, or that was left from debugging.
pub fn unfinished_code(path: &str, text: &str) -> Vec<Finding> {
    let code = code_only(text);
    let mut findings = Vec::new();
    for name in ["todo", "unimplemented", "dbg"] {
        for offset in word_offsets(&code, name) {
            if code[offset + name.len()..].starts_with('!') {
                findings.push(Finding::at_offset(
                    path,
                    &code,
                    offset,
                    format!("`{name}!` must not be committed"),
                ));
            }
        }
    }
    findings
}

/// The text names a place that exists only on somebody's machine.
pub fn machine_path(path: &str, text: &str) -> Vec<Finding> {
    // Written in two halves, so that this file does not name them either.
    let places = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp", "/t-")];
    places
        .iter()
        .flat_map(|place| text.match_indices(place))
        .map(|(offset, place)| {
            Finding::at_offset(
                path,
                text,
                offset,
                format!("`{place}` is a path of one machine: name the thing"),
            )
        })
        .collect()
}

/// The text holds a marker for work left undone.
pub fn marker(path: &str, text: &str) -> Vec<Finding> {
    let markers = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
    let mut findings = Vec::new();
    for marker in markers {
        for offset in word_offsets(text, marker) {
            let message = format!("`{marker}`: do it, or write down in docs/ what is missing and why");
            findings.push(Finding::at_offset(path, text, offset, message));
        }
    }
    findings
}

/// A constant of a `limits.rs` has no doc comment.
pub fn limit_without_doc(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut documented = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with("///") {
            documented = true;
        } else if !line.starts_with("#[") {
            if !documented && is_public_const(line) {
                let message =
                    "a limit without a doc comment: say its unit, its reason and what happens there";
                findings.push(Finding::new(path, index + 1, message));
            }
            documented = false;
        }
    }
    findings
}

fn is_public_const(line: &str) -> bool {
    let visible = line.starts_with("pub const ") || line.starts_with("pub(");
    visible && word_offsets(line, "const").next().is_some() && !line.contains(" fn ")
}
