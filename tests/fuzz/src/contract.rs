//! What docs/openapi.yaml allows: statuses of each operation, and the types of problems. It reads that one document,
//! by its indentation; it is no reader of YAML.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

const DOCUMENT: &str = include_str!("../../../docs/openapi.yaml");

/// Paths as the document writes them.
pub(crate) const NUMBER: &str = "/cps/{number}/ppts";
pub(crate) const BLOCK: &str = "/cps/{first}-{count}/ppts";
pub(crate) const ITEM: &str = "/cps/{number}/ppts/{id}";
pub(crate) const BATCH: &str = "/cps/batch";
pub(crate) const BATCH_RETRIEVE: &str = "/cps/batch/retrieve";
pub(crate) const HEALTH: &str = "/health";

/// Statuses by path and method (lower case), and the problems there are.
pub(crate) struct Contract {
    statuses: BTreeMap<(&'static str, &'static str), BTreeSet<u16>>,
    problems: BTreeSet<&'static str>,
}

impl Contract {
    /// The contract, read once.
    pub(crate) fn get() -> &'static Self {
        static CONTRACT: OnceLock<Contract> = OnceLock::new();
        CONTRACT.get_or_init(|| {
            let contract = Self::read(DOCUMENT);
            for operation in [
                (NUMBER, "get"),
                (NUMBER, "post"),
                (BLOCK, "get"),
                (ITEM, "get"),
                (BATCH, "post"),
                (BATCH_RETRIEVE, "post"),
                (HEALTH, "get"),
            ] {
                let count = contract.statuses.get(&operation).map_or(0, BTreeSet::len);
                assert!(count > 3, "{operation:?} has {count} statuses in the document");
            }
            assert!(contract.problems.len() > 10, "the document lists too few problems");
            contract
        })
    }

    fn read(document: &'static str) -> Self {
        let mut contract = Self { statuses: BTreeMap::new(), problems: BTreeSet::new() };
        let (mut path, mut method) = ("", "");
        for line in document.lines().filter(|line| !line.trim().is_empty()) {
            let name = line.trim().trim_end_matches(':');
            match line.len() - line.trim_start().len() {
                0 => (path, method) = ("", ""),
                2 => (path, method) = (name, ""),
                4 => method = name,
                8 if path.starts_with('/') => {
                    if let Ok(status) = name.trim_matches('"').parse() {
                        contract.statuses.entry((path, method)).or_default().insert(status);
                    }
                }
                _ => {}
            }
            if let Some(problem) =
                name.strip_prefix("- ").filter(|name| name.starts_with("urn:herald:problem:"))
            {
                contract.problems.insert(problem);
            }
        }
        contract
    }

    /// Whether a request of `method` (as sent) whose path has the form of one of `paths` may be answered so.
    ///
    /// HEAD is answered like GET; other methods than those listed get 405, other paths 404 (the document's preface).
    /// A target may always be too long.
    pub(crate) fn allows(&self, paths: &[&'static str], method: &str, status: u16) -> bool {
        let listed = match method {
            "GET" | "HEAD" => "get",
            "POST" => "post",
            _ => return status == 414 || status == if paths.is_empty() { 404 } else { 405 },
        };
        let mut sets = paths.iter().filter_map(|&path| self.statuses.get(&(path, listed))).peekable();
        match sets.peek() {
            None => status == 414 || status == if paths.is_empty() { 404 } else { 405 },
            Some(_) => sets.any(|statuses| statuses.contains(&status)),
        }
    }

    /// Whether the document lists this type of problem.
    pub(crate) fn knows_problem(&self, kind: &str) -> bool {
        self.problems.contains(kind)
    }
}
