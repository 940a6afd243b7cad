//! The rule that every external dependency has a line in docs/decisions/dependencies.md.
//!
//! It knows the table's shape: crate, version, what it saves, who keeps it, its unsafe, features. It does not
//! know whether what the cells say is true.

use crate::Finding;
use crate::manifest::{Manifest, is_ours};

/// The document.
pub const DOCUMENT: &str = "docs/decisions/dependencies.md";

/// Cells a row has.
const CELLS: usize = 6;

struct Row<'a> {
    line: usize,
    name: &'a str,
    version: &'a str,
    complete: bool,
}

/// Dependencies without a full row, rows with another version than the manifests', and rows that nobody needs.
pub fn rows_and_manifests_differ(document: &str, manifests: &[Manifest]) -> Vec<Finding> {
    let rows = rows(document);
    let declared = declared(manifests);
    let mut findings = Vec::new();
    for row in &rows {
        if !row.complete {
            let message = format!("`{}`: every one of the {CELLS} cells must say something", row.name);
            findings.push(Finding::new(DOCUMENT, row.line, message));
        }
        if !declared.iter().any(|(name, _)| name == row.name) {
            let message = format!("no manifest declares `{}`: delete the row", row.name);
            findings.push(Finding::new(DOCUMENT, row.line, message));
        }
    }
    for (name, version) in &declared {
        let named: Vec<&Row<'_>> = rows.iter().filter(|row| row.name == name).collect();
        if named.is_empty() {
            findings.push(Finding::new(
                DOCUMENT,
                1,
                format!("`{name}` {version} has no row: say why it is here"),
            ));
        } else if !named.iter().any(|row| row.version == version) {
            let message = format!("`{name}` is at {version} in the manifests, at {} here", named[0].version);
            findings.push(Finding::new(DOCUMENT, named[0].line, message));
        }
    }
    findings
}

fn declared(manifests: &[Manifest]) -> Vec<(String, String)> {
    let mut declared = Vec::new();
    for manifest in manifests {
        let external = manifest.workspace_dependencies().into_iter().chain(manifest.dependencies());
        for one in external.filter(|one| !one.inherited && !one.path && !is_ours(&one.package)) {
            declared.push((one.package, one.version.unwrap_or_default()));
        }
    }
    declared.sort();
    declared.dedup();
    declared
}

fn rows(document: &str) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for (index, line) in document.lines().enumerate() {
        let Some(inside) = line.trim().strip_prefix('|').and_then(|line| line.strip_suffix('|')) else {
            continue;
        };
        let cells: Vec<&str> = inside.split('|').map(str::trim).collect();
        let name = cells[0].strip_prefix('`').and_then(|name| name.strip_suffix('`'));
        if let Some(name) = name {
            let complete = cells.len() == CELLS && cells.iter().all(|cell| !cell.is_empty());
            rows.push(Row { line: index + 1, name, version: cells.get(1).copied().unwrap_or(""), complete });
        }
    }
    rows
}
